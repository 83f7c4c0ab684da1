//! The ledger in one SQLite file: the embedded backend.
//!
//! It owns the file: a lock beside it keeps every other process out. Two
//! threads hold one connection each, so that no statement ever runs on the
//! async runtime:
//!
//! * the *writer* takes whatever gathered while its last commit was in flight
//!   and commits it as one transaction (group commit without a timer). An
//!   answer leaves only after COMMIT, with `synchronous=FULL`: what was
//!   acknowledged is on the disk. Every request is checked completely before
//!   its first write, so a loser changes nothing for the others; if SQLite
//!   itself refuses one, the group is rolled back and its requests are
//!   repeated one by one.
//! * the *reader* sees committed state only and is never held up by a commit.
//!
//! A reader can also be had alone, without the lock ([`SqliteLedger::open_to_read`]): for
//! who only looks, beside another process or where nothing can be written.
//!
//! The file is a log: records are only ever added at its end, each pointing
//! to the record before it of the same case, as their hashes do, and leave
//! only when their case is trimmed. What changes
//! in place is one row of `cases` an append. So an append costs the same with
//! ten open cases or a hundred thousand. See `schema.sql`, and `ids.rs` for the
//! one index that is in no order of time.

mod append;
mod failure;
mod ids;
mod open;
mod query;
mod thread;

use crate::check::{APPEND, well_formed};
use crate::{Append, Appended, Due, Filter, GateChange, Gates, History, IndexEntry, Ledger, LedgerError, Shard};
use async_trait::async_trait;
use failure::Failure;
use offboard_domain::{CaseId, TenantId, Timestamp};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use thread::Lane;

/// The SQLite backend. Dropping it finishes what was asked and lets the file
/// go; [`SqliteLedger::close`] does so and says whether it succeeded.
#[derive(Debug)]
pub struct SqliteLedger {
    reader: Lane,
    /// None where it is open to be read alone.
    writer: Option<Lane>,
    /// Keeps writers out where the file is read as one that nobody writes.
    _unchanged: Option<File>,
}

/// A connection and what it may remember of committed state: only a rollback
/// can make it untrue.
struct Session {
    db: Connection,
    /// Tenants by name and by number. They are never removed from the file.
    numbers: BTreeMap<TenantId, i64>,
    names: BTreeMap<i64, TenantId>,
    /// How many ids wait to be merged; unknown after a rollback.
    new_ids: Option<i64>,
    /// A key was destroyed since the file was last scrubbed of old pages.
    scrub: bool,
}

impl Session {
    fn new(db: Connection) -> Self {
        Self {
            db,
            numbers: BTreeMap::new(),
            names: BTreeMap::new(),
            new_ids: None,
            scrub: false,
        }
    }

    /// Forgets what a rollback may have made untrue.
    fn forget(&mut self) {
        self.numbers.clear();
        self.names.clear();
        self.new_ids = None;
    }
}

impl SqliteLedger {
    /// Opens the ledger in this file, or creates it (readable by its owner
    /// alone) in a folder that exists.
    ///
    /// # Errors
    /// [`LedgerError`] when another process holds it, when the file is not a
    /// ledger or is a newer version's, or when the disk refuses.
    pub fn open(path: &Path) -> Result<Arc<Self>, LedgerError> {
        let opened = open::open(path)?;
        let writer = Lane::writer(opened.writer, opened.lock)?;
        let reader = Lane::reader(opened.reader)?;
        Ok(Arc::new(Self {
            reader,
            writer: Some(writer),
            _unchanged: None,
        }))
    }

    /// Opens the ledger in this file to be read alone: beside another process that has it
    /// open, or where nothing can be written. What would write is refused.
    ///
    /// # Errors
    /// [`LedgerError`] when the file is no ledger of this version, when it cannot be read, or
    /// when nothing can be written beside it and a log is left that takes that.
    pub fn open_to_read(path: &Path) -> Result<Arc<Self>, LedgerError> {
        let opened = open::to_read(path)?;
        Ok(Arc::new(Self {
            reader: Lane::reader(opened.reader)?,
            writer: None,
            _unchanged: opened.unchanged,
        }))
    }

    fn writer(&self, attempted: &'static str) -> Result<&Lane, LedgerError> {
        self.writer.as_ref().ok_or_else(|| LedgerError::Broken {
            attempted,
            detail: "it is open to be read alone, and nothing was written".to_owned(),
        })
    }

    /// Waits for all that was asked before, and moves it from the write-ahead
    /// log into the file itself, which is then complete without it.
    ///
    /// # Errors
    /// [`LedgerError`] when the disk refuses or the ledger is closed.
    pub async fn checkpoint(&self) -> Result<(), LedgerError> {
        self.writer("checkpoint the ledger")?.checkpoint().await
    }

    /// Waits for all that was asked before, folds the log into the file and
    /// lets it go; where the disk has no room for that, the log is left to the
    /// next start. Every later call fails.
    ///
    /// # Errors
    /// [`LedgerError`] when it cannot be asked.
    pub async fn close(&self) -> Result<(), LedgerError> {
        self.reader.stop().await?;
        match &self.writer {
            Some(writer) => writer.stop().await,
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Ledger for SqliteLedger {
    async fn read(&self, tenant: &TenantId, case: CaseId, from: u64) -> Result<History, LedgerError> {
        let tenant = tenant.clone();
        self.reader
            .run("read a case from the ledger", move |s| {
                query::read(s, &tenant, case, from)
            })
            .await
    }

    async fn append(&self, append: Append) -> Result<Appended, LedgerError> {
        well_formed(&append)?;
        self.writer(APPEND)?
            .run(APPEND, move |s| append::append(s, &append))
            .await
    }

    async fn due(
        &self,
        shard: Shard,
        now: Timestamp,
        limit: usize,
    ) -> Result<(Vec<Due>, Option<Timestamp>), LedgerError> {
        self.reader
            .run("read what is due from the ledger", move |s| {
                query::due(s, shard, now, limit)
            })
            .await
    }

    async fn list(&self, filter: Filter) -> Result<Vec<IndexEntry>, LedgerError> {
        self.reader
            .run("list the ledger's cases", move |s| query::list(s, &filter))
            .await
    }

    async fn gates(&self, tenant: &TenantId, changes: Vec<GateChange>) -> Result<Gates, LedgerError> {
        let tenant = tenant.clone();
        if changes.is_empty() {
            return self
                .reader
                .run("read a tenant's gates", move |s| query::gates(s, &tenant))
                .await;
        }
        const WHAT: &str = "change a tenant's gates";
        self.writer(WHAT)?
            .run(WHAT, move |s| append::gates(s, &tenant, &changes))
            .await
    }

    async fn gates_while(
        &self,
        tenant: &TenantId,
        gate: &str,
        until: Timestamp,
        changes: Vec<GateChange>,
    ) -> Result<Option<Gates>, LedgerError> {
        const WHAT: &str = "change a tenant's gates";
        let (tenant, gate) = (tenant.clone(), gate.to_owned());
        self.writer(WHAT)?
            .run(WHAT, move |s| append::gates_while(s, &tenant, (&gate, until), &changes))
            .await
    }

    async fn own(&self, shard: Shard, owner: &str, now: Timestamp, until: Timestamp) -> Result<String, LedgerError> {
        const WHAT: &str = "own a shard";
        let owner = owner.to_owned();
        self.writer(WHAT)?
            .run(WHAT, move |s| append::own(s, shard, &owner, now, until))
            .await
    }
}
