//! The wake-ups of the owned cases, in memory, and the count of those cases.
//! The ledger keeps the same times for whoever owns the cases next.

use offboard_domain::{CaseId, TenantId, Timestamp};
use offboard_runtime::telemetry::Census;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

#[derive(Default)]
struct Armed {
    by_time: BTreeSet<Place>,
    by_case: BTreeMap<CaseId, (Place, TenantId)>,
    urgent: BTreeSet<CaseId>,
}

/// When, whether others go first then, and which case.
type Place = (Timestamp, bool, CaseId);

/// One timer a case.
#[derive(Default)]
pub(crate) struct Timers {
    armed: Mutex<Armed>,
    /// Told when the earliest time has changed.
    pub(crate) sooner: Notify,
    /// Counts the cases that are owned here; who has no timer any more is none.
    pub(crate) census: Census,
}

impl Timers {
    fn armed(&self) -> MutexGuard<'_, Armed> {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a case has something urgent to do: of those that are due at the
    /// same time, as after a hold that held all, it goes first. It counts for
    /// the timers that are set from now on.
    pub(crate) fn rank(&self, case: CaseId, urgent: bool) {
        let mut armed = self.armed();
        if urgent {
            armed.urgent.insert(case);
        } else {
            armed.urgent.remove(&case);
        }
    }

    /// Arms, moves or (with none) clears a case's timer.
    pub(crate) fn set(&self, tenant: &TenantId, case: CaseId, at: Option<Timestamp>) {
        let mut armed = self.armed();
        let first = armed.by_time.first().copied();
        if let Some((old, _)) = armed.by_case.remove(&case) {
            armed.by_time.remove(&old);
        }
        if let Some(at) = at {
            let place = (at, !armed.urgent.contains(&case), case);
            armed.by_case.insert(case, (place, tenant.clone()));
            armed.by_time.insert(place);
            if first.is_none_or(|f| place < f) {
                self.sooner.notify_one();
            }
        }
    }

    /// Arms a case's timer, or moves it, if it would come later.
    pub(crate) fn set_by(&self, tenant: &TenantId, case: CaseId, at: Timestamp) {
        let armed = self.armed().by_case.get(&case).map(|((at, ..), _)| *at);
        if armed.is_none_or(|armed| at < armed) {
            self.set(tenant, case, Some(at));
        }
    }

    pub(crate) fn clear(&self, case: CaseId) {
        self.census.forget(case);
        let mut armed = self.armed();
        armed.urgent.remove(&case);
        if let Some((old, _)) = armed.by_case.remove(&case) {
            armed.by_time.remove(&old);
        }
    }

    /// When the next one is due.
    pub(crate) fn next_at(&self) -> Option<Timestamp> {
        self.armed().by_time.first().map(|(at, ..)| *at)
    }

    /// How many are due and not taken, and when the first of them was.
    pub(crate) fn overdue(&self, now: Timestamp) -> (u64, Option<Timestamp>) {
        let armed = self.armed();
        let due = armed.by_time.iter().take_while(|(at, ..)| *at <= now);
        let first = armed.by_time.first().map(|(at, ..)| *at).filter(|at| *at <= now);
        (due.count() as u64, first)
    }

    /// Takes those that are due, the earliest first and what is urgent before
    /// what is not, at most `limit`.
    pub(crate) fn take_due(&self, now: Timestamp, limit: usize) -> Vec<(TenantId, CaseId)> {
        let mut armed = self.armed();
        let mut due = Vec::new();
        while due.len() < limit {
            match armed.by_time.first().copied() {
                Some(place @ (at, _, case)) if at <= now => {
                    armed.by_time.remove(&place);
                    if let Some((_, tenant)) = armed.by_case.remove(&case) {
                        due.push((tenant, case));
                    }
                }
                _ => break,
            }
        }
        due
    }
}
