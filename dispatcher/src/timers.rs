//! The wake-ups of the owned cases, in memory, and the count of those cases.
//! The ledger keeps the same times for whoever owns the cases next.

use offboard_domain::{CaseId, TenantId, Timestamp};
use offboard_runtime::telemetry::Census;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

#[derive(Default)]
struct Armed {
    by_time: BTreeSet<(Timestamp, CaseId)>,
    by_case: BTreeMap<CaseId, (Timestamp, TenantId)>,
}

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

    /// Arms, moves or (with none) clears a case's timer.
    pub(crate) fn set(&self, tenant: &TenantId, case: CaseId, at: Option<Timestamp>) {
        let mut armed = self.armed();
        let first = armed.by_time.first().copied();
        if let Some((old, _)) = armed.by_case.remove(&case) {
            armed.by_time.remove(&(old, case));
        }
        if let Some(at) = at {
            armed.by_case.insert(case, (at, tenant.clone()));
            armed.by_time.insert((at, case));
            if first.is_none_or(|f| (at, case) < f) {
                self.sooner.notify_one();
            }
        }
    }

    pub(crate) fn clear(&self, case: CaseId) {
        self.census.forget(case);
        let mut armed = self.armed();
        if let Some((old, _)) = armed.by_case.remove(&case) {
            armed.by_time.remove(&(old, case));
        }
    }

    /// When the next one is due.
    pub(crate) fn next_at(&self) -> Option<Timestamp> {
        self.armed().by_time.first().map(|(at, _)| *at)
    }

    /// How many are due and not taken, and when the first of them was.
    pub(crate) fn overdue(&self, now: Timestamp) -> (u64, Option<Timestamp>) {
        let armed = self.armed();
        let due = armed.by_time.iter().take_while(|(at, _)| *at <= now);
        let first = armed.by_time.first().map(|(at, _)| *at).filter(|at| *at <= now);
        (due.count() as u64, first)
    }

    /// Takes those that are due, the earliest first, at most `limit`.
    pub(crate) fn take_due(&self, now: Timestamp, limit: usize) -> Vec<(TenantId, CaseId)> {
        let mut armed = self.armed();
        let mut due = Vec::new();
        while due.len() < limit {
            match armed.by_time.first().copied() {
                Some((at, case)) if at <= now => {
                    armed.by_time.remove(&(at, case));
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
