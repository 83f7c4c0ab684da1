//! The bare cost: the same bytes into plain SQLite, in commit groups of the
//! same sizes, with the same durability, and nothing else.

use crate::embedded::Failed;
use offboard_ledger::Append;
use rusqlite::{Connection, params};
use std::time::{Duration, Instant};

/// Writes the appends in groups of these sizes (the last size goes on).
pub(crate) fn write(appends: &[Append], groups: &[usize]) -> Result<Duration, Failed> {
    let folder = tempfile::tempdir()?;
    let db = Connection::open(folder.path().join("bare.db"))?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.execute_batch(
        "CREATE TABLE records (seq INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
         CREATE TABLE cases (id BLOB PRIMARY KEY, version INTEGER, head BLOB, state TEXT, wake_at INTEGER) STRICT, WITHOUT ROWID;",
    )?;
    let mut sizes = groups.iter().copied().filter(|n| *n > 0);
    let mut rest = appends;
    let began = Instant::now();
    while !rest.is_empty() {
        let n = sizes.next().unwrap_or(64).min(rest.len());
        let (group, after) = rest.split_at(n);
        rest = after;
        db.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        for append in group {
            for record in &append.records {
                db.prepare_cached("INSERT INTO records (body) VALUES (?1)")?
                    .execute(params![record.body])?;
            }
            let i = &append.index;
            db.prepare_cached(
                "INSERT INTO cases VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (id) DO UPDATE SET
                 version = excluded.version, head = excluded.head, state = excluded.state, wake_at = excluded.wake_at",
            )?
            .execute(params![
                i.case.0,
                i64::try_from(i.version)?,
                i.head.0,
                i.state,
                i.wake.map(|w| w.at.0)
            ])?;
        }
        db.prepare_cached("COMMIT")?.execute([])?;
    }
    Ok(began.elapsed())
}
