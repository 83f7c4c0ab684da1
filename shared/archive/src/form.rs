//! The documents of an archive, as they are written: stored words, by hand.

use offboard_domain::{Digest, Timestamp};
use serde::{Deserialize, Serialize};

/// The form's name, in the manifest and in the first line of every part.
pub const FORM: &str = "offboard-mailbox-archive/1";

/// The manifest: what the archive is, and what it is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORM`].
    pub form: String,
    /// Whose, as ids.
    pub tenant: String,
    /// Of which case.
    pub case: String,
    /// From which system.
    pub system: String,
    /// Which mailbox there.
    pub mailbox: String,
    /// When the pass that made it complete began, in milliseconds since 1970.
    pub taken_from_ms: Timestamp,
    /// And ended.
    pub taken_to_ms: Timestamp,
    /// Until when it is to be kept; none: until somebody decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_until_ms: Option<Timestamp>,
    /// Messages in the folders below.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The folders in force.
    pub folders: Vec<Taken>,
    /// The parts, in the order in which they were written.
    pub parts: Vec<Digest>,
}

/// What is known of a folder when a pass is through with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// Which.
    pub folder: FolderEntry,
    /// Messages of it in the archive, also those that the server has no more.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Messages that the server listed, and that are in the archive.
    pub listed: u64,
    /// Messages that it listed and did not deliver: gone between the two, or lacking.
    /// Which of them, only another listing tells.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub undelivered: u64,
    /// Their bytes, if the server says sizes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listed_bytes: Option<u64>,
    /// What arrives from this place in the folder's order on came later.
    pub next: u64,
    /// The server's own mark of the folder's state, if it has one (MODSEQ).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

/// By reference, as serde asks.
pub(crate) fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// A folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderEntry {
    /// Its number in this archive.
    pub number: u32,
    /// The server's id of it.
    pub id: String,
    /// What tells that ids in it begin anew (UIDVALIDITY); empty if nothing can.
    pub generation: String,
    /// Its name, from the root on.
    pub path: Vec<String>,
    /// The folder in the tar files.
    pub maildir: String,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageEntry {
    /// Its number in this archive, from 1.
    pub number: u64,
    /// Its folder's number.
    pub folder: u32,
    /// The server's id of it.
    pub id: String,
    /// Flags, as the server names them.
    pub flags: Vec<String>,
    /// When the server got it, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received_ms: Option<i64>,
    /// Its bytes.
    pub bytes: u64,
    /// Their SHA-256.
    pub sha256: Digest,
    /// Where it begins in its segment.
    pub at: u64,
    /// Its file in the tar.
    pub file: String,
}

/// A piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// By which the store has it.
    pub sha256: Digest,
    /// Its length.
    pub bytes: u64,
}

/// A segment, with the messages in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// One after the other: a tar file.
    pub pieces: Vec<Piece>,
    /// What is in it.
    pub messages: Vec<MessageEntry>,
}

/// One line of a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Line {
    /// The first.
    #[serde(rename = "part")]
    Part {
        /// [`FORM`].
        form: String,
        /// The part before; none: this is the first.
        previous: Option<Digest>,
    },
    /// A segment.
    #[serde(rename = "segment")]
    Segment(Segment),
    /// The last: from where to go on.
    #[serde(rename = "end")]
    End(Box<crate::writer::State>),
}

/// Most characters of a folder's name that its Maildir shows.
const SLUG_MAX: usize = 40;

/// A folder's Maildir in the tar files: its number, and what is left of its
/// name when everything is dropped that a file system could stumble over.
pub(crate) fn maildir(number: u32, path: &[String]) -> String {
    let mut slug = String::new();
    for name in path {
        if !slug.is_empty() {
            slug.push('.');
        }
        slug.extend(name.chars().filter(char::is_ascii_alphanumeric));
    }
    slug.truncate(SLUG_MAX);
    format!("mail/{number:04}-{slug}")
}

/// The letters that Maildir has for flags, in its order.
pub(crate) fn letters(flags: &[String]) -> String {
    const LETTERS: [(&str, char); 6] = [
        ("\\Draft", 'D'),
        ("\\Flagged", 'F'),
        ("$Forwarded", 'P'),
        ("\\Answered", 'R'),
        ("\\Seen", 'S'),
        ("\\Deleted", 'T'),
    ];
    let has = |name: &str| flags.iter().any(|f| f.eq_ignore_ascii_case(name));
    LETTERS
        .iter()
        .filter(|(name, _)| has(name))
        .map(|(_, letter)| letter)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_folders_name_leaves_its_place() {
        for path in [
            vec!["..", "..", "etc"],
            vec!["/"],
            vec!["a/b", "c\\d"],
            vec![""],
            vec!["\0\n", "%2e%2e"],
            vec!["Ünïcode", "日本"],
            vec!["CON", "nul.txt"],
        ] {
            let path: Vec<String> = path.into_iter().map(str::to_owned).collect();
            let dir = maildir(7, &path);
            let tail = dir.strip_prefix("mail/0007-").expect("it begins with its number");
            assert!(tail.chars().all(|c| c.is_ascii_alphanumeric() || c == '.'), "{dir}");
        }
        let deep = vec!["deep".to_owned(); 500];
        assert!(maildir(9_999, &deep).len() <= "mail/9999-".len() + SLUG_MAX);
    }

    #[test]
    fn flags_have_maildirs_letters_in_its_order() {
        let flags: Vec<String> = ["\\Seen", "\\seen", "work", "$Forwarded", "\\Answered"]
            .map(str::to_owned)
            .to_vec();
        assert_eq!(letters(&flags), "PRS");
        assert_eq!(letters(&[]), "");
    }
}
