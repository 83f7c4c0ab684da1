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
        _ => {
            return LedgerError::Broken {
                attempted,
                detail: error.to_string(),
            };
        }
    };
    LedgerError::Unavailable {
        attempted,
        detail: format!("{error}; {advice}"),
    }
}

/// Whether the disk itself failed, so that nothing it said before can be
/// trusted: after a failed fsync a second one may succeed without having
/// written what the first could not.
pub(super) fn is_disk_failure(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi;

    #[test]
    fn every_refusal_says_what_to_do_next() {
        let cases = [
            (ffi::SQLITE_FULL, true, "free space"),
            (ffi::SQLITE_BUSY, true, "another program holds the file"),
            (ffi::SQLITE_LOCKED, true, "another program holds the file"),
            (ffi::SQLITE_IOERR_FSYNC, true, "check it and the system's log"),
            (ffi::SQLITE_NOMEM, true, "out of memory"),
            (ffi::SQLITE_READONLY, false, "writable for this user"),
            (ffi::SQLITE_CANTOPEN, false, "writable for this user"),
            (ffi::SQLITE_CORRUPT, false, "restore a backup"),
            (ffi::SQLITE_NOTADB, false, "restore a backup"),
        ];
        for (code, may_be_repeated, advice) in cases {
            let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            let said = explained("append to the ledger", &error);
            assert_eq!(
                matches!(said, LedgerError::Unavailable { .. }),
                may_be_repeated,
                "{said}"
            );
            let text = said.to_string();
            assert!(
                text.starts_with("failed to append to the ledger: ") && text.contains(advice),
                "{text}"
            );
        }
    }

    #[test]
    fn only_the_disk_ends_the_writing() {
        let failure = |code| rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        assert!(is_disk_failure(&failure(ffi::SQLITE_IOERR_FSYNC)));
        assert!(!is_disk_failure(&failure(ffi::SQLITE_FULL)));
        assert!(!is_disk_failure(&failure(ffi::SQLITE_BUSY)));
    }
}
