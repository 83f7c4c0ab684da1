//! The ledger in memory: for the simulation and for tests.
//!
//! It keeps the same laws as the others, is deterministic, needs no runtime,
//! and can be made to suffer what a real store suffers: a snapshot is what a
//! restart finds, and [`MemoryLedger::lose_tail`] is what a store that
//! acknowledged too early leaves behind. Durable it is not.

use crate::check::{APPEND, broken, well_formed};
use crate::{
    Append, Appended, Claim, Due, Filter, GateChange, Gates, History, IndexEntry, KeyChange, Ledger, LedgerError, Shard,
};
use async_trait::async_trait;
use offboard_domain::{CaseId, Digest, Record, TenantId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The in-memory backend.
#[derive(Debug, Default)]
pub struct MemoryLedger {
    state: Mutex<State>,
}

/// All that a ledger holds at one moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot(State);

#[derive(Debug, Clone, Default)]
struct State {
    cases: BTreeMap<(TenantId, CaseId), Case>,
    wakes: BTreeSet<(Timestamp, CaseId, TenantId)>,
    opened: BTreeSet<(TenantId, Timestamp, CaseId)>,
    claims: BTreeMap<(TenantId, String), CaseId>,
    gates: BTreeMap<TenantId, Gates>,
    owners: BTreeMap<Shard, (String, Timestamp)>,
}

#[derive(Debug, Clone)]
struct Case {
    /// Those after `trimmed`.
    records: Vec<Record>,
    /// The version up to which records have left, and the hash there.
    trimmed: (u64, Digest),
    key: Key,
    index: IndexEntry,
    /// The entries that earlier appends left, for `lose_tail`.
    before: Vec<IndexEntry>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    None,
    Salt([u8; 32]),
    Destroyed,
}

impl MemoryLedger {
    /// An empty ledger.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// A ledger that holds what the snapshot holds.
    #[must_use]
    pub fn from_snapshot(snapshot: Snapshot) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(snapshot.0),
        })
    }

    /// All that it holds now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(self.lock().clone())
    }

    /// Goes back to what it held then.
    pub fn restore(&self, snapshot: Snapshot) {
        *self.lock() = snapshot.0;
    }

    /// Forgets the last `appends` appends of a case that wrote records, as a
    /// store does that lost its tail, and returns the version that is left.
    /// With its first append the case is gone, claims and all; otherwise its
    /// claims and the state of its key stay as they are. Nothing is lost from
    /// before a trim.
    pub fn lose_tail(&self, tenant: &TenantId, case: CaseId, appends: usize) -> u64 {
        let state = &mut *self.lock();
        let id = (tenant.clone(), case);
        let Some(found) = state.cases.get_mut(&id) else {
            return 0;
        };
        let was = found.index.clone();
        for _ in 0..appends {
            let Some(entry) = found.before.pop() else {
                if found.trimmed.0 > 0 {
                    break;
                }
                state.cases.remove(&id);
                state.claims.retain(|(t, _), by| (t, *by) != (tenant, case));
                state.reindex(Some(&was), None);
                return 0;
            };
            found.index = entry;
        }
        let now = found.index.clone();
        found.records.retain(|r| r.version <= now.version);
        state.reindex(Some(&was), Some(&now));
        now.version
    }

    /// Forgets every tenant's gates, as a store does that comes back from before
    /// they were written.
    pub fn lose_gates(&self) {
        self.lock().gates.clear();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is made after all checks, so that a panic elsewhere
        // cannot have left half of one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn append(&mut self, append: Append) -> Result<Appended, LedgerError> {
        let Append {
            expected,
            prev,
            records,
            index,
            key,
            claim,
            cap,
            trim,
        } = append;
        let id = (index.tenant.clone(), index.case);
        let old = self.cases.get(&id);
        let stored: &[Record] = old.map_or(&[], |c| &c.records);
        let trimmed = old.map_or((0, Digest::ZERO), |c| c.trimmed);
        let last = trimmed.0 + stored.len() as u64;
        let hash_at = |version: u64| match version.checked_sub(trimmed.0)? {
            0 => Some(trimmed.1),
            n => usize::try_from(n - 1).ok().and_then(|i| stored.get(i)).map(|r| r.hash),
        };
        if last > expected && records.last().is_some_and(|r| hash_at(r.version) == Some(r.hash)) {
            return Ok(Appended::Ours);
        }
        if expected < trimmed.0 {
            return Ok(Appended::Trimmed { to: trimmed.0 });
        }
        if hash_at(expected) != Some(prev) {
            return Ok(Appended::Gap { version: last });
        }
        if last > expected {
            let missed = stored.iter().filter(|r| r.version > expected).cloned().collect();
            return Ok(Appended::Conflict { missed });
        }
        if trim && trimmed.0 == last {
            return Ok(Appended::Ours);
        }
        if let Claim::Take(subject) = &claim
            && let Some(by) = self.claims.get(&(id.0.clone(), subject.clone()))
            && *by != id.1
        {
            return Ok(Appended::Claimed { by: *by });
        }
        if let Some(cap) = cap {
            let from = (id.0.clone(), cap.since, CaseId([0; 10]));
            let others = self
                .opened
                .range(from..)
                .take_while(|(t, ..)| *t == id.0)
                .filter(|(.., c)| *c != id.1);
            let count = u32::try_from(others.count()).unwrap_or(u32::MAX);
            if count >= cap.most {
                return Ok(Appended::Capped { count });
            }
        }
        let key = changed_key(old.map_or(Key::None, |c| c.key), key, id.1)?;

        let was = old.map(|c| c.index.clone());
        if index.ended || claim == Claim::Release {
            self.claims.retain(|(t, _), by| (t, &*by) != (&id.0, &id.1));
        }
        if let Claim::Take(subject) = claim
            && !index.ended
        {
            self.claims.insert((id.0.clone(), subject), id.1);
        }
        self.reindex(was.as_ref(), Some(&index));
        match self.cases.get_mut(&id) {
            Some(case) => {
                if !records.is_empty() {
                    case.before.push(case.index.clone());
                }
                case.records.extend(records);
                if trim {
                    case.records.clear();
                    case.before.clear();
                    case.trimmed = (index.version, index.head);
                }
                case.index = index;
                case.key = key;
            }
            None => {
                self.cases.insert(
                    id,
                    Case {
                        records,
                        trimmed: (0, Digest::ZERO),
                        key,
                        index,
                        before: Vec::new(),
                    },
                );
            }
        }
        Ok(Appended::Done)
    }

    fn reindex(&mut self, was: Option<&IndexEntry>, now: Option<&IndexEntry>) {
        if let Some(was) = was {
            self.opened.remove(&(was.tenant.clone(), was.opened_at, was.case));
            if let Some(wake) = was.wake {
                self.wakes.remove(&(wake.at, was.case, was.tenant.clone()));
            }
        }
        if let Some(now) = now {
            self.opened.insert((now.tenant.clone(), now.opened_at, now.case));
            if let Some(wake) = now.wake {
                self.wakes.insert((wake.at, now.case, now.tenant.clone()));
            }
        }
    }

    fn change_gates(&mut self, tenant: &TenantId, changes: Vec<GateChange>) -> Gates {
        let gates = self.gates.entry(tenant.clone()).or_default();
        for GateChange { name, until } in changes {
            match until {
                Some(until) => {
                    let shut = gates.entry(name).or_insert(until);
                    *shut = until.max(*shut);
                }
                None => {
                    gates.remove(&name);
                }
            }
        }
        gates.clone()
    }

    fn due(&self, shard: Shard, now: Timestamp, limit: usize) -> (Vec<Due>, Option<Timestamp>) {
        let mut due = Vec::new();
        for (at, case, tenant) in &self.wakes {
            if !shard.holds(tenant) {
                continue;
            }
            if *at > now || due.len() == limit {
                return (due, Some(*at));
            }
            if let Some(found) = self.cases.get(&(tenant.clone(), *case))
                && let Some(wake) = found.index.wake
            {
                due.push(Due {
                    tenant: tenant.clone(),
                    case: *case,
                    version: found.index.version,
                    wake,
                });
            }
        }
        (due, None)
    }
}

fn changed_key(key: Key, change: KeyChange, case: CaseId) -> Result<Key, LedgerError> {
    match (change, key) {
        (KeyChange::Keep, key) => Ok(key),
        (KeyChange::Destroy, _) => Ok(Key::Destroyed),
        (KeyChange::Create(salt), Key::None) => Ok(Key::Salt(salt)),
        (KeyChange::Create(salt), Key::Salt(is)) if salt == is => Ok(key),
        (KeyChange::Create(_), Key::Salt(_)) => {
            Err(broken(APPEND, format!("{case} already has a key; nothing was written")))
        }
        (KeyChange::Create(_), Key::Destroyed) => Err(broken(
            APPEND,
            format!("the key of {case} was destroyed and is never made again; nothing was written"),
        )),
    }
}

#[async_trait]
impl Ledger for MemoryLedger {
    async fn read(&self, tenant: &TenantId, case: CaseId, from: u64) -> Result<History, LedgerError> {
        let state = self.lock();
        let Some(found) = state.cases.get(&(tenant.clone(), case)) else {
            return Ok(History::default());
        };
        let records = found.records.iter().filter(|r| r.version >= from).cloned().collect();
        let salt = match found.key {
            Key::Salt(salt) => Some(salt),
            Key::None | Key::Destroyed => None,
        };
        let trimmed = Some(found.trimmed.0).filter(|v| *v > 0);
        Ok(History { records, salt, trimmed })
    }

    async fn append(&self, append: Append) -> Result<Appended, LedgerError> {
        well_formed(&append)?;
        self.lock().append(append)
    }

    async fn due(
        &self,
        shard: Shard,
        now: Timestamp,
        limit: usize,
    ) -> Result<(Vec<Due>, Option<Timestamp>), LedgerError> {
        Ok(self.lock().due(shard, now, limit))
    }

    async fn list(&self, filter: Filter) -> Result<Vec<IndexEntry>, LedgerError> {
        let state = self.lock();
        let after = filter.after.map_or(Bound::Unbounded, Bound::Excluded);
        let entries = state
            .cases
            .range((after, Bound::Unbounded))
            .filter(|((tenant, _), case)| {
                filter.tenant.as_ref().is_none_or(|t| t == tenant)
                    && filter.shard.is_none_or(|s| s.holds(tenant))
                    && !(filter.open_only && case.index.ended)
            })
            .map(|(_, case)| case.index.clone());
        Ok(entries.take(filter.limit).collect())
    }

    async fn gates(&self, tenant: &TenantId, changes: Vec<GateChange>) -> Result<Gates, LedgerError> {
        let mut state = self.lock();
        if changes.is_empty() {
            return Ok(state.gates.get(tenant).cloned().unwrap_or_default());
        }
        Ok(state.change_gates(tenant, changes))
    }

    async fn gates_while(
        &self,
        tenant: &TenantId,
        gate: &str,
        until: Timestamp,
        changes: Vec<GateChange>,
    ) -> Result<Option<Gates>, LedgerError> {
        let mut state = self.lock();
        let stands = state.gates.get(tenant).and_then(|gates| gates.get(gate)) == Some(&until);
        Ok(stands.then(|| state.change_gates(tenant, changes)))
    }

    async fn own(&self, shard: Shard, owner: &str, now: Timestamp, until: Timestamp) -> Result<String, LedgerError> {
        let mut state = self.lock();
        if let Some((other, lasts)) = state.owners.get(&shard)
            && other != owner
            && *lasts > now
        {
            return Ok(other.clone());
        }
        if until <= now {
            state.owners.remove(&shard);
            return Ok(String::new());
        }
        state.owners.insert(shard, (owner.to_owned(), until));
        Ok(owner.to_owned())
    }
}
