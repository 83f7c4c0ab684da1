//! What SQLite says, turned into what an operator can act on.

use crate::LedgerError;
use rusqlite::ErrorCode;

/// Why a request did not succeed.
#[derive(Debug)]
pub(super) enum Failure {
    /// SQLite refused: nothing of the transaction may stay.
    Sql(rusqlite::Error),
    /// The request cannot be served as it is. Found before its first write.
    Broken(String),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

/// The ledger's error for what SQLite said.
pub(super) fn explained(attempted: &'static str, error: &rusqlite::Error) -> LedgerError {
    let advice = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full: free space",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "another program holds the file: close it",
        Some(ErrorCode::SystemIoFailure) => "the disk failed: check it and the system's log",
        Some(ErrorCode::OutOfMemory) => "the machine is out of memory: free some",
        Some(ErrorCode::OperationInterrupted | ErrorCode::OperationAborted) => "it was interrupted",
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            let detail = format!("{error}; make the file and its folder writable for this user");
            return LedgerError::Broken { attempted, detail };
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            let detail = format!("{error}; the file is damaged: stop, keep a copy of it, and restore a backup");
            return LedgerError::Broken { attempted, detail };
        }
        _ => return LedgerError::Broken { attempted, detail: error.to_string() },
    };
    LedgerError::Unavailable { attempted, detail: format!("{error}; {advice}") }
}

/// Whether the disk itself failed, so that nothing it said before can be
/// trusted: after a failed fsync a second one may succeed without having
/// written what the first could not.
pub(super) fn is_disk_failure(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure)
}
