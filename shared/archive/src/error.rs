//! What can go wrong with an archive.

use offboard_domain::Digest;
use offboard_store::StoreError;

/// What went wrong with an archive.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is in the store and is not what it should be.
    #[error(
        "failed to read {what} {digest} of an archive: {why}; it was written by something else, or by a newer version"
    )]
    Form {
        /// `the manifest`, `a part`.
        what: &'static str,
        /// Which.
        digest: Digest,
        /// What is wrong with it.
        why: String,
    },
    /// The message is not what its line says.
    #[error(
        "failed to read message {number} of an archive: its SHA-256 is {found}, and its line says {wanted}; restore the store from a backup"
    )]
    Message {
        /// Its number.
        number: u64,
        /// What its line says.
        wanted: Digest,
        /// What was read.
        found: Digest,
    },
    /// There is no such message.
    #[error("failed to read message {number} of an archive: there is none of that number")]
    NoMessage {
        /// The number.
        number: u64,
    },
    /// What reads it could not go on.
    #[error("failed to hand a message of an archive on")]
    Sink(#[source] std::io::Error),
    /// A file or folder of an export.
    #[error("failed to {what} {path}")]
    File {
        /// `write`, `look into`.
        what: &'static str,
        /// Which.
        path: String,
        /// What the disk says.
        source: std::io::Error,
    },
    /// Something else is where it is to be exported to.
    #[error(
        "failed to export into {path}: something else is there; name a folder that is empty, or one that the same archive was exported into"
    )]
    Occupied {
        /// The folder.
        path: String,
    },
    /// Another file has the message's name.
    #[error(
        "failed to export message {number}: {path} is there and is not that message; nothing was written over it, move it away and give the same command again"
    )]
    Differs {
        /// Its number.
        number: u64,
        /// The file.
        path: String,
    },
}

impl ArchiveError {
    /// Whether a message or a part is missing or damaged: what else the archive has can
    /// still be read.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::Store(StoreError::Absent { .. } | StoreError::Damaged { .. })
                | Self::Form { .. }
                | Self::Message { .. }
        )
    }
}
