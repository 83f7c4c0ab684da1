//! The archive. Some time after its end a case's records are written to the store, read
//! back, compared, and only then trimmed from the ledger. A reader finds them there without
//! noticing.

use super::{ARCHIVE, damaged, of_case, store};
use crate::engine::{Engine, EngineError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as B64;
use offboard_domain::{Case, CaseId, Digest, Gates, Record, TenantId, Timestamp};
use offboard_ledger::{Append, Appended, Claim, IndexEntry, KeyChange};
use serde::{Deserialize, Serialize};

/// A record as the archive keeps it, one JSON object a line.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    version: u64,
    prev: Digest,
    hash: Digest,
    /// The record's bytes, base64.
    body: String,
}

impl From<&Record> for Line {
    fn from(r: &Record) -> Self {
        Self {
            version: r.version,
            prev: r.prev,
            hash: r.hash,
            body: B64.encode(&r.body),
        }
    }
}

impl Line {
    pub(crate) fn record(&self) -> Option<Record> {
        let record = Record {
            version: self.version,
            prev: self.prev,
            hash: self.hash,
            body: B64.decode(&self.body).ok()?,
        };
        // It carries its own proof.
        let chained = Record::chained(record.version, record.prev, record.body.clone());
        (chained == record).then_some(record)
    }
}

/// A case's whole history.
pub(crate) struct Whole {
    /// All its records.
    pub(crate) records: Vec<Record>,
    /// The salt of its key.
    pub(crate) salt: Option<[u8; 32]>,
}

impl Engine {
    /// Every record of a case, from the archive and the ledger.
    pub(crate) async fn whole(&self, tenant: &TenantId, id: CaseId) -> Result<Whole, EngineError> {
        let history = self.ledger.read(tenant, id, 1).await?;
        let mut records = match history.trimmed {
            Some(to) => self.archived(tenant, id, to).await?,
            None => Vec::new(),
        };
        records.extend(history.records);
        Ok(Whole {
            records,
            salt: history.salt,
        })
    }

    async fn archived(&self, tenant: &TenantId, id: CaseId, to: u64) -> Result<Vec<Record>, EngineError> {
        let mut records: Vec<Record> = Vec::new();
        for file in self
            .store
            .list(&format!("{ARCHIVE}/{tenant}/{id}"))
            .await
            .map_err(store)?
        {
            let bytes = self.store.get_named(&file.path).await.map_err(|e| of_case(id, e))?;
            records.extend(read_lines(&bytes).ok_or_else(|| damaged(id, &file.path))?);
        }
        records.sort_by_key(|r| r.version);
        records.dedup_by_key(|r| r.version);
        records.retain(|r| r.version <= to);
        let complete = records.iter().zip(1..).all(|(r, version)| r.version == version);
        if !complete || records.len() as u64 != to {
            let detail = format!(
                "its records up to {to} have left the ledger, and the archive has not all of them; restore the store from a backup"
            );
            return Err(EngineError::History { case: id, detail });
        }
        Ok(records)
    }

    /// When the index lets a case of this age be archived.
    pub(crate) fn archive_at(&self, case: &Case) -> Option<Timestamp> {
        let keeping = self.keeping.as_ref()?;
        case.is_over().then(|| case.changed_at.plus(keeping.archive_after_ms))
    }

    /// Moves an ended case's records to the archive, if it is time.
    pub(crate) async fn archive(&self, tenant: &TenantId, case: &Case, now: Timestamp) -> Result<(), EngineError> {
        if self.archive_at(case).is_none_or(|at| at > now) {
            return Ok(());
        }
        let (id, version) = (case.id, case.version);
        let here = self.ledger.read(tenant, id, 1).await?;
        let records: Vec<&Record> = here.records.iter().filter(|r| r.version <= version).collect();
        if let (Some(first), Some(last)) = (records.first(), records.last()) {
            let path = format!("{ARCHIVE}/{tenant}/{id}/{:08}-{:08}.jsonl", first.version, last.version);
            let mut bytes = Vec::new();
            for record in &records {
                serde_json::to_writer(&mut bytes, &Line::from(*record)).expect("a line is plain data");
                bytes.push(b'\n');
            }
            self.store.put_named(&path, bytes).await.map_err(store)?;
            let read_back = self.store.get_named(&path).await.map_err(store)?;
            let same = read_lines(&read_back).is_some_and(|back| back.iter().eq(records.iter().copied()));
            if !same {
                return Err(damaged(id, &path));
            }
        }
        let index = crate::index::index_entry(tenant, case, version, case.head, &Gates::open(), case.changed_at);
        let trimmed = self
            .ledger
            .append(rearm(case, IndexEntry { wake: None, ..index }, true))
            .await?;
        if matches!(trimmed, Appended::Done | Appended::Ours) {
            tracing::info!(case = %id, version, "archived");
        }
        Ok(())
    }
}

/// An append without records: the case's index entry as it should be.
pub(crate) fn rearm(case: &Case, index: IndexEntry, trim: bool) -> Append {
    Append {
        expected: case.version,
        prev: case.head,
        records: Vec::new(),
        index,
        key: KeyChange::Keep,
        claim: Claim::Keep,
        cap: None,
        trim,
    }
}

fn read_lines(bytes: &[u8]) -> Option<Vec<Record>> {
    let lines = bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty());
    lines
        .map(|line| serde_json::from_slice::<Line>(line).ok()?.record())
        .collect()
}
