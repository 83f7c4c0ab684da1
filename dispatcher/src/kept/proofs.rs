//! What proves that a history was longer once: the heads of sealed cases, and people's
//! orders. Each stands under its case and its record's place in the history.
//!
//! A case is held against them when it is taken up, when it is in doubt, and before it is
//! sealed. Whoever takes up a shard asks for those of its open cases, however much their
//! tenants ever had.

use super::orders::{Noted, is_ordered};
use super::{ARCHIVE, HEADS, ORDERS, Whose, case_of, hash_kept, name_kept, short, store, version_kept};
use crate::engine::{Engine, EngineError};
use futures::future::try_join_all;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use offboard_domain::evidence::Recorded;
use offboard_domain::task::Place;
use offboard_domain::{CaseId, Record, TenantId};
use offboard_store::{Named, StoreError};
use std::collections::{BTreeMap, BTreeSet};

/// Folders that are listed together.
const LISTED_TOGETHER: usize = 16;

/// Cases of one tenant that are listed together.
const CASES_LISTED_TOGETHER: usize = 8;

/// How many names a bucket tells at a request.
const NAMES_A_REQUEST: usize = 1_000;

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

impl Engine {
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
