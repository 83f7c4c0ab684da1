//! A case's place in memory: one for each case, however many work on it.
//!
//! Two places of one case would count what it has in flight twice, so a place
//! stays as long as anybody uses it; and it must go with the last of them once
//! the case is over, or the process is never idle. So whoever uses one has a
//! [`Place`], which lets go when it is dropped, however its owner ends.

use crate::engine::{Engine, EngineError, lock};
use offboard_domain::{Case, CaseId, CaseKey, Record, Report, TaskId, TenantId};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::sync::{Arc, Mutex};
use tokio::sync::oneshot;

/// One owned case. Locked while it is decided and appended.
pub(crate) struct Held {
    /// Changed by replacing it: whoever looks at it keeps it as it was.
    pub(crate) case: Arc<Case>,
    pub(crate) key: CaseKey,
    /// Attempts that were ordered and are not known to be published. A once-only one is here
    /// until its publication is begun, and never again.
    pub(crate) unpublished: BTreeSet<(TaskId, u32)>,
    /// What people ordered and is not known to be kept outside of the ledger.
    pub(crate) unkept: Vec<Record>,
    /// Whether the ledger's index says that a person is needed, as far as it is known.
    pub(crate) says_needed: Option<bool>,
}

impl Held {
    /// What is to be kept outside of the ledger, as soon as what follows is published.
    /// Until it is, it stays with the case.
    pub(crate) fn to_keep(held: Option<&Self>) -> Vec<Record> {
        held.map(|h| h.unkept.clone()).unwrap_or_default()
    }
}

/// What is in a case's place.
#[derive(Default)]
pub(crate) struct Slot {
    /// The case; empty until it was read.
    pub(crate) held: tokio::sync::Mutex<Option<Held>>,
    /// The reports on it that nobody has begun to record. They gather while the
    /// last append is in flight, and go together.
    pub(crate) reports: Mutex<Vec<Gathered>>,
}

/// A report that waits for the case's place, and who is to be told what became
/// of it.
pub(crate) struct Gathered {
    pub(crate) report: Report,
    pub(crate) tell: oneshot::Sender<Result<Arc<Case>, EngineError>>,
}

/// A slot, and whose case is in it.
struct Placed {
    tenant: TenantId,
    slot: Arc<Slot>,
}

/// All the places there are.
#[derive(Default)]
pub(crate) struct Places(BTreeMap<CaseId, Placed>);

/// A case's place while somebody uses it. A lock on what is in it is let go
/// before the place is.
pub(crate) struct Place<'a> {
    engine: &'a Engine,
    case: CaseId,
    /// There until it is dropped.
    slot: Option<Arc<Slot>>,
}

impl Deref for Place<'_> {
    type Target = Slot;

    fn deref(&self) -> &Slot {
        self.slot.as_deref().expect("a place has its slot until it is dropped")
    }
}

impl Drop for Place<'_> {
    /// Lets go of the case, too, if it is over, never was or went with its
    /// shard, and this was the last who used it: somebody else may have ended it
    /// meanwhile.
    fn drop(&mut self) {
        let mut places = lock(&self.engine.places);
        // From here on nobody can come to use it, and this one no longer does.
        drop(self.slot.take());
        let Some(placed) = places.0.get(&self.case) else {
            return;
        };
        let over = |held: &Option<Held>| held.as_ref().is_none_or(|h| h.case.is_over());
        let unused = Arc::strong_count(&placed.slot) == 1;
        if unused && placed.slot.held.try_lock().is_ok_and(|held| over(&held)) {
            places.0.remove(&self.case);
            self.engine.timers.clear(self.case);
        }
    }
}

impl Engine {
    /// A case's place, made if there is none.
    pub(crate) fn place(&self, tenant: &TenantId, case: CaseId) -> Place<'_> {
        let slot = {
            let mut places = lock(&self.places);
            let placed = places.0.entry(case).or_insert_with(|| Placed {
                tenant: tenant.clone(),
                slot: Arc::default(),
            });
            placed.slot.clone()
        };
        self.used(case, slot)
    }

    /// A case's place, if it has one.
    pub(crate) fn place_of(&self, case: CaseId) -> Option<Place<'_>> {
        let slot = lock(&self.places).0.get(&case).map(|p| p.slot.clone());
        slot.map(|slot| self.used(case, slot))
    }

    fn used(&self, case: CaseId, slot: Arc<Slot>) -> Place<'_> {
        Place {
            engine: self,
            case,
            slot: Some(slot),
        }
    }

    /// The cases of a shard that have a place, and whose they are.
    pub(crate) fn placed_of_shard(&self, shard: u16) -> Vec<(CaseId, TenantId)> {
        let places = lock(&self.places);
        let of_shard = places.0.iter().filter(|(_, p)| p.tenant.shard(self.shards) == shard);
        of_shard.map(|(case, p)| (*case, p.tenant.clone())).collect()
    }

    /// The cases of a tenant that have a place.
    pub(crate) fn placed_of_tenant(&self, tenant: &TenantId) -> Vec<CaseId> {
        let places = lock(&self.places);
        let of_tenant = places.0.iter().filter(|(_, p)| p.tenant == *tenant);
        of_tenant.map(|(case, _)| *case).collect()
    }

    /// Whether an open case is held in memory.
    pub(crate) fn holds(&self, case: CaseId) -> bool {
        // Only looked at: this is no use of it.
        let places = lock(&self.places);
        let open = |held: &Option<Held>| held.as_ref().is_some_and(|h| !h.case.is_over());
        let placed = places.0.get(&case);
        placed.is_some_and(|p| p.slot.held.try_lock().map_or(true, |held| open(&held)))
    }

    /// How many cases are held in memory.
    #[must_use]
    pub fn held(&self) -> usize {
        lock(&self.places).0.len()
    }
}
