//! What every backend asks of an append before it looks at the case: that the
//! records follow each other and that the index entry speaks of the last one.
//! A writer that breaks this has a defect; nothing of it is written.

use crate::{Append, LedgerError};
use offboard_domain::record::link;
use offboard_domain::{Digest, Record};

/// What was attempted, for error texts.
pub(crate) const APPEND: &str = "append to the ledger";

pub(crate) fn broken(attempted: &'static str, detail: impl Into<String>) -> LedgerError {
    LedgerError::Broken {
        attempted,
        detail: detail.into(),
    }
}

/// Refuses an append that contradicts itself.
pub(crate) fn well_formed(append: &Append) -> Result<(), LedgerError> {
    let case = append.index.case;
    let refuse = |why: String| {
        Err(broken(
            APPEND,
            format!("{case}: {why}; the writer has a defect, nothing was written"),
        ))
    };
    if append.expected == 0 && append.prev != Digest::ZERO {
        return refuse("a new case follows no hash".into());
    }
    if append.expected == 0 && append.records.is_empty() {
        return refuse("a new case needs a first record".into());
    }
    if append.trim && !append.records.is_empty() {
        return refuse("a trim carries no records".into());
    }
    if append.trim && !append.index.ended {
        return refuse("only a case whose life is over is trimmed".into());
    }
    let end = match follows(append.expected, append.prev, &append.records) {
        Ok(end) => end,
        Err(why) => return refuse(why),
    };
    if (append.index.version, append.index.head) != end {
        return refuse(format!(
            "the index entry speaks of version {}, the last record is {}",
            append.index.version, end.0
        ));
    }
    if i64::try_from(end.0).is_err() {
        return refuse(format!("version {} is beyond what a ledger counts", end.0));
    }
    Ok(())
}

/// Checks that records follow `version` and `hash` and each other; returns
/// the version and hash of the last.
pub(crate) fn follows(version: u64, hash: Digest, records: &[Record]) -> Result<(u64, Digest), String> {
    let mut end = (version, hash);
    for record in records {
        if record.version != end.0.saturating_add(1) || record.prev != end.1 {
            return Err(format!("record {} does not follow record {}", record.version, end.0));
        }
        if record.hash != link(record.prev, Digest::of(&record.body)) {
            return Err(format!(
                "record {} does not have the hash that it claims",
                record.version
            ));
        }
        end = (record.version, record.hash);
    }
    Ok(end)
}
