//! Admission by assignments, not by cases.
//!
//! Each queue has credit for what may be in flight, shared over tenants by
//! start-time fair queueing. A case that rests or waits for a person holds
//! none, so one client's thousand leavers never delay another's one. Credit is
//! reserved before a decision and what the decision did not use is given back,
//! so that two decisions at the same time cannot both spend it.

use offboard_domain::fair::FairQueue;
use offboard_domain::{Area, Case, CaseId, Credit, Lane, TenantId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The most credit of one queue that a single decision may reserve: what one
/// departure can use at once.
const RESERVE_MOST: u32 = 8;

/// A queue of assignments.
pub type Place = (Area, Lane);

/// Every queue of assignments.
pub fn places() -> impl Iterator<Item = Place> {
    Area::MACHINES
        .iter()
        .flat_map(|a| [(*a, Lane::Urgent), (*a, Lane::Normal)])
}

#[derive(Debug, Default, Clone, Copy)]
struct Use {
    limit: u32,
    in_flight: u32,
    reserved: u32,
}

impl Use {
    fn free(self) -> u32 {
        self.limit.saturating_sub(self.in_flight.saturating_add(self.reserved))
    }
}

#[derive(Default)]
struct State {
    used: BTreeMap<Place, Use>,
    waiting: BTreeMap<Place, FairQueue<CaseId>>,
    queued: BTreeSet<(Place, CaseId)>,
}

/// A case that may have one assignment of a queue, for which credit is reserved.
#[derive(Debug)]
pub struct Admitted {
    /// Whose.
    pub tenant: TenantId,
    /// Which case.
    pub case: CaseId,
    /// The credit that is reserved for it.
    pub credit: Credit,
}

/// How loaded one queue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Which queue.
    pub place: Place,
    /// Assignments in flight.
    pub in_flight: u32,
    /// Cases that wait for credit.
    pub waiting: usize,
    /// Most assignments that may be in flight.
    pub credit: u32,
}

/// Who may put what in flight.
pub struct Admission {
    state: Mutex<State>,
    /// Told whenever somebody who waits might be admitted.
    pub changed: Notify,
}

impl Admission {
    /// Credit for each queue.
    #[must_use]
    pub fn new(limit: impl Fn(Place) -> u32) -> Self {
        let used = places()
            .map(|p| {
                (
                    p,
                    Use {
                        limit: limit(p),
                        ..Use::default()
                    },
                )
            })
            .collect();
        let waiting = places().map(|p| (p, FairQueue::default())).collect();
        Self {
            state: Mutex::new(State {
                used,
                waiting,
                queued: BTreeSet::new(),
            }),
            changed: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reserves credit for a decision: of each queue that nobody waits for.
    #[must_use]
    pub fn reserve(&self) -> Credit {
        let mut state = self.state();
        let mut credit = Credit::NONE;
        let State { used, waiting, .. } = &mut *state;
        for (place, u) in used {
            let others_wait = waiting.get(place).is_some_and(|w| !w.is_empty());
            let n = if others_wait { 0 } else { u.free().min(RESERVE_MOST) };
            u.reserved += n;
            credit.set(place.0, place.1, n);
        }
        credit
    }

    /// Ends a reservation, and counts what the case has in flight now instead
    /// of what it had.
    pub fn settle(&self, reserved: Credit, before: Option<&Case>, after: Option<&Case>) {
        let mut state = self.state();
        for (place, u) in &mut state.used {
            u.reserved = u.reserved.saturating_sub(reserved.get(place.0, place.1));
        }
        for (area, lane, n) in before.into_iter().flat_map(Case::in_flight_by_queue) {
            if let Some(u) = state.used.get_mut(&(area, lane)) {
                u.in_flight = u.in_flight.saturating_sub(n);
            }
        }
        for (area, lane, n) in after.into_iter().flat_map(Case::in_flight_by_queue) {
            if let Some(u) = state.used.get_mut(&(area, lane)) {
                u.in_flight += n;
            }
        }
        let someone_may_go = state
            .used
            .iter()
            .any(|(p, u)| u.free() > 0 && state.waiting.get(p).is_some_and(|w| !w.is_empty()));
        drop(state);
        if someone_may_go {
            self.changed.notify_one();
        }
    }

    /// Lets a case wait for one assignment of a queue; once, however often it asks.
    pub fn wait(&self, place: Place, tenant: &TenantId, weight: u32, case: CaseId) {
        let mut state = self.state();
        if state.queued.insert((place, case)) {
            if let Some(w) = state.waiting.get_mut(&place) {
                w.push(tenant, weight, case);
            }
            let free = state.used.get(&place).is_some_and(|u| u.free() > 0);
            drop(state);
            if free {
                self.changed.notify_one();
            }
        }
    }

    /// The next case that may have an assignment, in fair order; the urgent
    /// lanes first.
    pub fn admit(&self) -> Option<Admitted> {
        let mut state = self.state();
        let lanes = [Lane::Urgent, Lane::Normal];
        let place = lanes
            .iter()
            .flat_map(|l| Area::MACHINES.iter().map(move |a| (*a, *l)))
            .find(|p| {
                state.used.get(p).is_some_and(|u| u.free() > 0) && state.waiting.get(p).is_some_and(|w| !w.is_empty())
            })?;
        let (tenant, case) = state.waiting.get_mut(&place)?.pop()?;
        state.queued.remove(&(place, case));
        let mut credit = Credit::NONE;
        if let Some(u) = state.used.get_mut(&place) {
            u.reserved += 1;
            credit.set(place.0, place.1, 1);
        }
        Some(Admitted { tenant, case, credit })
    }

    /// Whether nothing is in flight, reserved or waiting.
    #[must_use]
    pub fn idle(&self) -> bool {
        let state = self.state();
        state.used.values().all(|u| u.in_flight == 0 && u.reserved == 0) && state.queued.is_empty()
    }

    /// What is in flight, reserved and waiting, in words.
    #[must_use]
    pub fn holdings(&self) -> String {
        let state = self.state();
        let mut words = Vec::new();
        for ((area, lane), u) in &state.used {
            let waiting = state.waiting.get(&(*area, *lane)).map_or(0, FairQueue::len);
            if u.in_flight > 0 || u.reserved > 0 || waiting > 0 {
                let lane = lane.word();
                words.push(format!(
                    "{area}.{lane}: {} in flight, {} reserved, {waiting} waiting",
                    u.in_flight, u.reserved
                ));
            }
        }
        words.join("; ")
    }

    /// What is in flight, what waits and what credit there is, for each queue.
    #[must_use]
    pub fn load(&self) -> Vec<Load> {
        let state = self.state();
        state
            .used
            .iter()
            .map(|(place, u)| Load {
                place: *place,
                in_flight: u.in_flight,
                waiting: state.waiting.get(place).map_or(0, FairQueue::len),
                credit: u.limit,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> CaseId {
        CaseId([n; 10])
    }

    #[test]
    fn what_is_reserved_cannot_be_reserved_again() {
        let a = Admission::new(|_| 10);
        let first = a.reserve();
        assert_eq!(first.get(Area::Identity, Lane::Urgent), 8);
        assert_eq!(a.reserve().get(Area::Identity, Lane::Urgent), 2);
        assert_eq!(a.reserve().get(Area::Identity, Lane::Urgent), 0);
        a.settle(first, None, None);
        assert_eq!(a.reserve().get(Area::Identity, Lane::Urgent), 8);
    }

    #[test]
    fn whoever_waits_goes_before_whoever_comes() {
        let a = Admission::new(|_| 4);
        let t = TenantId::new("acme").unwrap();
        let place = (Area::Mailbox, Lane::Normal);
        a.wait(place, &t, 1, id(1));
        a.wait(place, &t, 1, id(1));
        assert_eq!(a.reserve().get(Area::Mailbox, Lane::Normal), 0);
        let admitted = a.admit().unwrap();
        assert_eq!(admitted.case, id(1));
        assert_eq!(admitted.credit.get(Area::Mailbox, Lane::Normal), 1);
        assert!(a.admit().is_none(), "it waited once, however often it asked");
    }

    #[test]
    fn nobody_is_admitted_beyond_the_limit() {
        let a = Admission::new(|_| 2);
        let t = TenantId::new("acme").unwrap();
        for n in 0..5 {
            a.wait((Area::Device, Lane::Urgent), &t, 1, id(n));
        }
        assert!(a.admit().is_some());
        assert!(a.admit().is_some());
        assert!(a.admit().is_none());
    }
}
