//! What leaves a shared ledger for the store, so that a ledger that lives in
//! memory stays small and a case cannot vanish whole.
//!
//! - **Openings.** A departure counts as accepted only when its first record
//!   is in the store too. A case that the ledger has lost altogether is put
//!   back from there (`losses.rs`).
//! - **Heads.** When a case is sealed, how far its history went is kept; a
//!   ledger that holds less, or something else, has lost its tail.
//! - **What people ordered** (`orders.rs`).
//! - **The archive.** Some time after its end a case's records are written to
//!   the store, read back, compared, and only then trimmed from the ledger. A
//!   reader finds them there without noticing.
//!
//! An embedded ledger is a file that is backed up with everything else: it
//! needs none of this.

use crate::engine::{Engine, EngineError};
use crate::orders::{Noted, is_ordered};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as B64;
use futures::future::try_join_all;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use offboard_domain::event::open_event;
use offboard_domain::evidence::Recorded;
use offboard_domain::task::Place;
use offboard_domain::time::DAY_MS;
use offboard_domain::{Case, CaseId, CaseKey, Digest, Gates, Record, TenantId, Timestamp};
use offboard_ledger::{Append, Appended, Claim, IndexEntry, KeyChange};
use offboard_store::{Named, StoreError};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How long the store is waited for where what must not wait stands behind it: a
/// revocation, a person's order, a shard's next owner.
pub(crate) const STORE_WITHIN: Duration = Duration::from_secs(5);

/// Folders that are listed together.
const LISTED_TOGETHER: usize = 16;

/// Cases of one tenant that are listed together.
const CASES_LISTED_TOGETHER: usize = 8;

/// How many names a bucket tells at a request.
const NAMES_A_REQUEST: usize = 1_000;

/// Where the heads of sealed cases are kept.
const HEADS: &str = "heads";

/// Where the records of cases that ended are kept.
const ARCHIVE: &str = "archive";

/// Where the orders of people are kept.
pub(crate) const ORDERS: &str = "orders";

/// Where something is kept by its record's place in the case's history.
const KEPT: [&str; 2] = [HEADS, ORDERS];

/// How the ledger lists a case.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stands {
    /// Whether it is over.
    pub(crate) over: bool,
    /// The version of its last record.
    pub(crate) version: u64,
}

/// A case and whose it is.
pub(crate) type Whose = (TenantId, CaseId);

/// The cases that the ledger lists.
pub(crate) type Listed = BTreeMap<Whose, Stands>;

/// What is kept of a case by its record's place: the names, as they were listed.
///
/// They are listed *before* the history is read that they are held against. A record
/// is kept after it was appended, so a history that was read later has it, or has
/// lost it. The other way round, whatever is appended and kept in between would look
/// like a loss.
#[derive(Debug, Default)]
pub(crate) struct Kept(Vec<String>);

impl Kept {
    /// The orders of a history that are not kept.
    pub(crate) fn lacks(&self, history: &[Recorded]) -> Vec<Record> {
        let orders = self.0.iter().filter(|path| path.starts_with(ORDERS));
        let kept: BTreeSet<(u64, &str)> = orders
            .filter_map(|path| Some((version_kept(path)?, hash_kept(path)?)))
            .collect();
        let is_kept = |r: &Recorded| kept.contains(&(r.record.version, short(r.record.hash).as_str()));
        let ordered = history.iter().filter(|r| is_ordered(&r.event));
        ordered.filter(|r| !is_kept(r)).map(|r| r.record.clone()).collect()
    }

    /// Whether a case that the ledger lists at this version is worth being read for
    /// it: one that was sealed once, or has lost an order for certain.
    pub(crate) fn casts_doubt_on(&self, version: u64) -> bool {
        let beyond = |path: &String| version_kept(path).is_some_and(|kept| kept > version);
        self.0.iter().any(|path| path.starts_with(HEADS) || beyond(path))
    }
}

/// What is kept of a case and its history has not.
#[derive(Debug, Default)]
pub(crate) struct Beyond {
    /// The furthest version of it.
    pub(crate) version: u64,
    /// The name of an order that is among it.
    pub(crate) order: Option<String>,
}

/// What is kept of each of several cases; of those that are not there nothing is.
pub(crate) type KeptOf = BTreeMap<Whose, Kept>;

/// What a shared ledger keeps in the store, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keeping {
    /// How long after its end a case's records stay in the ledger, in
    /// milliseconds.
    pub archive_after_ms: i64,
}

/// A record as the archive keeps it, one JSON object a line.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    version: u64,
    prev: Digest,
    hash: Digest,
    /// The record's bytes, base64.
    body: String,
}

/// The first record of a case, and the salt of its key.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Opening {
    pub(crate) record: Line,
    /// Hexadecimal; opens nothing without the installation's master key.
    pub(crate) salt: Digest,
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
        let index = crate::index::index_entry(tenant, case, version, case.head, &Gates::open());
        let trimmed = self
            .ledger
            .append(rearm(case, IndexEntry { wake: None, ..index }, true))
            .await?;
        if matches!(trimmed, Appended::Done | Appended::Ours) {
            tracing::info!(case = %id, version, "archived");
        }
        Ok(())
    }

    /// Keeps a new case's first record outside of the ledger.
    pub(crate) async fn keep_opening(
        self: &Arc<Self>,
        tenant: &TenantId,
        id: CaseId,
        patience: Patience,
    ) -> Result<(), EngineError> {
        if self.keeping.is_none() || patience.wait(self.put_opening(tenant, id)).await? {
            return Ok(());
        }
        // The ledger has forgotten that it was opened before.
        let sealed = patience.wait(self.sealed_version(tenant, id)).await?;
        self.note_loss(tenant, id, sealed, None).await.map(drop)
    }

    /// Puts a case's first record into the store; false if another one is there.
    async fn put_opening(&self, tenant: &TenantId, id: CaseId) -> Result<bool, EngineError> {
        let history = self.ledger.read(tenant, id, 1).await?;
        let (Some(first), Some(salt)) = (history.records.first(), history.salt) else {
            return Ok(true);
        };
        let at = opened_at(&CaseKey::derive(&self.master, &salt), first).ok_or_else(|| damaged(id, "the ledger"))?;
        let opening = Opening {
            record: Line::from(first),
            salt: Digest(salt),
        };
        let bytes = serde_json::to_vec(&opening).expect("an opening is plain data");
        let path = format!("{}/{tenant}/{id}.json", day_folder(at.0.div_euclid(DAY_MS)));
        match self.store.put_named(&path, bytes).await {
            Ok(_) => Ok(true),
            Err(StoreError::Occupied { .. }) => Ok(false),
            Err(error) => Err(store(error)),
        }
    }

    /// Keeps how far the history of a sealed case went.
    pub(crate) async fn keep_head(&self, tenant: &TenantId, id: CaseId, sealed: Place) -> Result<(), EngineError> {
        if self.keeping.is_none() {
            return Ok(());
        }
        let Place { version, head } = sealed;
        let path = format!("{HEADS}/{tenant}/{id}/{version:08}");
        match self.store.put_named(&path, head.to_string()).await {
            // Another history of the case, which was lost, was sealed there.
            Err(StoreError::Occupied { .. }) => {
                let path = format!("{path}-{}", short(head));
                self.store.put_named(&path, head.to_string()).await
            }
            kept => kept,
        }
        .map(drop)
        .map_err(store)
    }

    /// The furthest version of a case that a seal vouches for.
    pub(crate) async fn sealed_version(&self, tenant: &TenantId, id: CaseId) -> Result<Option<u64>, EngineError> {
        let heads = self
            .store
            .list(&format!("{HEADS}/{tenant}/{id}"))
            .await
            .map_err(store)?;
        Ok(heads.iter().filter_map(|named| version_kept(&named.path)).max())
    }

    /// What is kept of a case.
    pub(crate) async fn kept_of(&self, tenant: &TenantId, id: CaseId) -> Result<Kept, EngineError> {
        let mut kept = Kept::default();
        if self.keeping.is_none() {
            return Ok(kept);
        }
        for folder in KEPT {
            let files = self.store.list(&format!("{folder}/{tenant}/{id}")).await;
            kept.0.extend(files.map_err(store)?.into_iter().map(|named| named.path));
        }
        Ok(kept)
    }

    /// What is kept of the open cases among these. Nothing in the store is ever removed, so
    /// what is kept of a tenant grows with all that it ever had; what this costs does not:
    /// either the tenant's whole list is read, or each of its open cases is listed by
    /// itself, whichever takes fewer requests.
    pub(crate) async fn kept_of_open(&self, listed: &Listed) -> Result<KeptOf, EngineError> {
        let mut kept = KeptOf::new();
        if self.keeping.is_none() {
            return Ok(kept);
        }
        let mut open: BTreeMap<TenantId, Vec<CaseId>> = BTreeMap::new();
        for ((tenant, id), _) in listed.iter().filter(|(_, stands)| !stands.over) {
            open.entry(tenant.clone()).or_default().push(*id);
        }
        let folders: Vec<(TenantId, String, Vec<CaseId>)> = open
            .into_iter()
            .flat_map(|(tenant, ids)| KEPT.map(|folder| (tenant.clone(), format!("{folder}/{tenant}"), ids.clone())))
            .collect();
        let listing = stream::iter(folders)
            .map(|(tenant, folder, ids)| async move {
                let files = self.list_of_open(&folder, &ids).await;
                files.map(|files| (tenant, files)).map_err(store)
            })
            .buffer_unordered(LISTED_TOGETHER);
        let all: Vec<(TenantId, Vec<Named>)> = listing.try_collect().await?;
        for (tenant, files) in all {
            for named in files {
                let Some(id) = case_of(&named.path) else { continue };
                let case = (tenant.clone(), id);
                if listed.get(&case).is_some_and(|stands| !stands.over) {
                    kept.entry(case).or_default().0.push(named.path);
                }
            }
        }
        Ok(kept)
    }

    /// What is in a tenant's folder of these cases at least.
    async fn list_of_open(&self, folder: &str, ids: &[CaseId]) -> Result<Vec<Named>, StoreError> {
        let most = ids.len().saturating_mul(NAMES_A_REQUEST);
        if let Some(whole) = self.store.list_at_most(folder, most).await? {
            return Ok(whole);
        }
        let mut files = Vec::new();
        for some in ids.chunks(CASES_LISTED_TOGETHER) {
            let folders: Vec<String> = some.iter().map(|id| format!("{folder}/{id}")).collect();
            let listing: Vec<_> = folders.iter().map(|folder| self.store.list(folder)).collect();
            for listed in try_join_all(listing).await? {
                files.extend(listed);
            }
        }
        Ok(files)
    }

    /// What is kept of a case and that its history has not, or has otherwise, if no loss on
    /// record accounts for it.
    pub(crate) async fn beyond(&self, kept: &Kept, history: &[Recorded]) -> Result<Option<Beyond>, EngineError> {
        let noted = Noted::of(history);
        let mut beyond: Option<Beyond> = None;
        for path in &kept.0 {
            let Some(version) = version_kept(path) else { continue };
            let order = Some(name_kept(path)).filter(|_| path.starts_with(ORDERS));
            let accounted_for = match order {
                Some(name) => noted.dealt_with(version, name, None),
                None => noted.reach(version),
            };
            if accounted_for {
                continue;
            }
            let there = history.iter().find(|r| r.record.version == version);
            let stands = match (there, hash_kept(path)) {
                (None, _) => false,
                (Some(r), Some(hash)) => hash == short(r.record.hash),
                (Some(r), None) => {
                    match self.store.get_named(path).await {
                        Ok(head) => *head == *r.record.hash.to_string().as_bytes(),
                        // Something was sealed there, and nobody can say what.
                        Err(error @ (StoreError::Absent { .. } | StoreError::Damaged { .. })) => {
                            tracing::error!(head = %path, %error, "how far a sealed history went is kept and cannot be read; its case is read again");
                            false
                        }
                        Err(error) => return Err(store(error)),
                    }
                }
            };
            if !stands {
                let beyond = beyond.get_or_insert_default();
                beyond.version = beyond.version.max(version);
                beyond.order = beyond.order.take().or_else(|| order.map(str::to_owned));
            }
        }
        Ok(beyond)
    }

    /// The cases of a tenant that have come to their end, by what the store knows.
    pub(crate) async fn ended_of(&self, tenant: &TenantId) -> Result<BTreeSet<CaseId>, EngineError> {
        let mut ended = BTreeSet::new();
        for folder in [HEADS, ARCHIVE] {
            let files = self.store.list(&format!("{folder}/{tenant}")).await;
            ended.extend(files.map_err(store)?.iter().filter_map(|named| case_of(&named.path)));
        }
        Ok(ended)
    }
}

/// What the store says, if it says so in time. Only for what may be dropped half done.
pub(crate) async fn in_time<T>(asking: impl Future<Output = Result<T, EngineError>>) -> Result<T, EngineError> {
    match tokio::time::timeout(STORE_WITHIN, asking).await {
        Ok(answer) => answer,
        Err(_) => Err(no_answer()),
    }
}

/// How long the store is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Until it answers: somebody wants to know whether it is kept.
    Long,
    /// As long as others can wait for it, too.
    Short,
}

impl Patience {
    async fn wait<T>(self, asking: impl Future<Output = Result<T, EngineError>>) -> Result<T, EngineError> {
        match self {
            Self::Long => asking.await,
            Self::Short => in_time(asking).await,
        }
    }
}

pub(crate) fn no_answer() -> EngineError {
    EngineError::Store(format!("no answer within {} s", STORE_WITHIN.as_secs()))
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

fn opened_at(key: &CaseKey, first: &Record) -> Option<Timestamp> {
    open_event(key, first).ok().map(|(at, _)| at)
}

/// Where openings are kept.
pub(crate) const OPENINGS: &str = "openings";

/// The folder of what was opened on a day, as the number of days since 1970.
pub(crate) fn day_folder(day: i64) -> String {
    format!("{OPENINGS}/{day}")
}

/// The day of `openings/<day>/<tenant>/<case>.json`.
pub(crate) fn day_of_path(path: &str) -> Option<i64> {
    path.rsplit('/').nth(2)?.parse().ok()
}

/// The case in `<folder>/<tenant>/<case>/<name>`.
fn case_of(path: &str) -> Option<CaseId> {
    path.rsplit('/').nth(1)?.parse().ok()
}

/// The name in `<folder>/<tenant>/<case>/<name>`.
pub(crate) fn name_kept(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The version in `<folder>/<tenant>/<case>/<version>` or `…/<version>-<hash>`.
pub(crate) fn version_kept(path: &str) -> Option<u64> {
    path.rsplit('/').next()?.split('-').next()?.parse().ok()
}

/// The beginning of the record's hash in such a name, if it is there.
fn hash_kept(path: &str) -> Option<&str> {
    path.rsplit('/').next()?.split_once('-').map(|(_, hash)| hash)
}

/// `openings/<day>/<tenant>/<case>.json`.
pub(crate) fn of_path(path: &str) -> Option<(TenantId, CaseId)> {
    let mut parts = path.rsplit('/');
    let case = parts.next()?.strip_suffix(".json")?.parse().ok()?;
    let tenant = TenantId::new(parts.next()?).ok()?;
    Some((tenant, case))
}

/// The beginning of a digest, for a name.
pub(crate) fn short(digest: Digest) -> String {
    const CHARS: usize = 12;
    digest.to_string().chars().take(CHARS).collect()
}

pub(crate) fn store(error: StoreError) -> EngineError {
    EngineError::Store(error.with_causes())
}

/// What the store said of what is kept of one case: that it is not there, or not what it
/// was, concerns that case alone. The store is not away for it.
pub(crate) fn of_case(case: CaseId, error: StoreError) -> EngineError {
    match error {
        StoreError::Absent { .. } | StoreError::Damaged { .. } => EngineError::History {
            case,
            detail: error.to_string(),
        },
        error => store(error),
    }
}

pub(crate) fn damaged(case: CaseId, place: &str) -> EngineError {
    EngineError::History {
        case,
        detail: format!("{place} holds something else than its records; restore it from a backup"),
    }
}
