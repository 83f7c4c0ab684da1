//! Admission by assignments, not by cases.
//!
//! Each queue has credit for what may be in flight, shared over tenants by
//! start-time fair queueing. A case that rests or waits for a person holds
//! none, so one client's thousand leavers never delay another's one. Credit is
//! reserved before a decision and what the decision did not use is given back,
//! so that two decisions at the same time cannot both spend it.
//!
//! The limits are the whole installation's. A dispatcher among others has the part
//! of them that its shards are of all, so that however many there are, no more is in
//! flight than is configured; only where that part is less than one it has one.

use offboard_domain::fair::FairQueue;
use offboard_domain::{Area, Case, CaseId, Credit, Lane, TenantId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The most credit of one queue that a single decision may reserve: what one
/// departure can use at once.
const RESERVE_MOST: u32 = 8;

/// A case that waits for credit of a queue, and for how many assignments.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    case: CaseId,
    wants: u32,
}

/// A queue of assignments.
pub type Place = (Area, Lane);

/// Every queue of assignments.
pub fn places() -> impl Iterator<Item = Place> {
    Area::MACHINES
        .iter()
        .flat_map(|a| [(*a, Lane::Urgent), (*a, Lane::Normal)])
}

/// How much may be in flight, of all dispatchers together.
pub struct Limits {
    /// In each queue.
    pub credit: Box<dyn Fn(Place) -> u32 + Send + Sync>,
    /// In all urgent lanes together: beyond it, what is urgent waits its turn
    /// there and cannot starve the rest.
    pub urgent_together: u32,
    /// The most that one tenant may hold of the credit that its dispatcher has of a
    /// queue, in percent (at least one assignment): a tenant whose vendor is slow
    /// leaves room for the others also when it came first.
    pub tenant_percent: u32,
}

impl Limits {
    /// The same credit for every queue, and no other limit.
    #[must_use]
    pub fn each(credit: u32) -> Self {
        Self {
            credit: Box::new(move |_| credit),
            urgent_together: u32::MAX,
            tenant_percent: 100,
        }
    }

    /// Nothing at all: whoever has this assigns nothing.
    #[must_use]
    pub fn none() -> Self {
        Self::each(0)
    }
}

#[derive(Debug, Default, Clone, Copy)]
struct Use {
    in_flight: u32,
    reserved: u32,
}

impl Use {
    fn all(self) -> u32 {
        self.in_flight.saturating_add(self.reserved)
    }
}

/// One queue's credit and who uses it.
#[derive(Default)]
struct Queue {
    /// Of the whole installation.
    configured: u32,
    /// The part of it that is had here.
    limit: u32,
    tenant_limit: u32,
    used: Use,
    by_tenant: BTreeMap<TenantId, Use>,
    waiting: FairQueue<Waiting>,
}

impl Queue {
    fn free(&self) -> u32 {
        self.limit.saturating_sub(self.used.all())
    }

    fn free_for(&self, tenant: &TenantId) -> u32 {
        let used = self.by_tenant.get(tenant).map_or(0, |u| u.all());
        self.free().min(self.tenant_limit.saturating_sub(used))
    }

    fn change(&mut self, tenant: &TenantId, change: impl Fn(&mut Use)) {
        change(&mut self.used);
        if let Some(mine) = self.by_tenant.get_mut(tenant) {
            change(mine);
            if mine.all() == 0 {
                self.by_tenant.remove(tenant);
            }
        } else {
            let mut mine = Use::default();
            change(&mut mine);
            if mine.all() > 0 {
                self.by_tenant.insert(tenant.clone(), mine);
            }
        }
    }

    fn someone_may(&self) -> bool {
        self.free() > 0 && !self.waiting.is_empty()
    }
}

/// Which of how many shards are owned here; of none: the whole.
#[derive(Debug, Default)]
struct Share {
    owned: BTreeSet<u16>,
    of: u16,
}

impl Share {
    /// The part of a limit; no limit stays none. Who owns nothing orders nothing, and
    /// what still waited with him is let go one by one.
    fn part(&self, limit: u32) -> u32 {
        if limit == u32::MAX || self.of == 0 {
            return limit;
        }
        let owned = u64::try_from(self.owned.len()).unwrap_or(u64::MAX);
        let part = u64::from(limit).saturating_mul(owned) / u64::from(self.of);
        u32::try_from(part).unwrap_or(limit).max(1).min(limit)
    }
}

struct State {
    queues: BTreeMap<Place, Queue>,
    queued: BTreeSet<(Place, CaseId)>,
    share: Share,
    tenant_percent: u32,
    /// Of the whole installation.
    urgent_configured: u32,
    /// The part of it that is had here.
    urgent_together: u32,
    /// Which area is asked first, so that none waits until another one, with
    /// which it shares what may be urgent, has nobody left.
    turn: usize,
}

impl State {
    /// Works out what is had here.
    fn divide(&mut self) {
        for queue in self.queues.values_mut() {
            queue.limit = self.share.part(queue.configured);
            let most = u64::from(queue.limit) * u64::from(self.tenant_percent.min(100)) / 100;
            queue.tenant_limit = u32::try_from(most).unwrap_or(queue.limit).max(1);
        }
        self.urgent_together = self.share.part(self.urgent_configured);
    }

    /// What is free of all urgent lanes together; for a normal lane no limit.
    fn free_together(&self, lane: Lane) -> u32 {
        if lane != Lane::Urgent {
            return u32::MAX;
        }
        let urgent = self.queues.iter().filter(|((_, l), _)| *l == Lane::Urgent);
        let used: u32 = urgent.map(|(_, q)| q.used.all()).sum();
        self.urgent_together.saturating_sub(used)
    }

    fn someone_may(&self, lane: Lane) -> bool {
        self.queues.iter().any(|((_, l), q)| *l == lane && q.someone_may())
    }
}

/// A case that may have assignments of a queue, for which credit is reserved.
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
    /// Most assignments of this dispatcher that may be in flight.
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
    pub fn new(limits: &Limits) -> Self {
        let admission = Self {
            state: Mutex::new(State {
                queues: places().map(|place| (place, Queue::default())).collect(),
                queued: BTreeSet::new(),
                share: Share::default(),
                tenant_percent: 100,
                urgent_configured: 0,
                urgent_together: 0,
                turn: 0,
            }),
            changed: Notify::new(),
        };
        admission.set_limits(limits);
        admission
    }

    /// From now on these limits. What is in flight beyond them stays there, and
    /// nobody else is admitted until enough of it has come back.
    pub fn set_limits(&self, limits: &Limits) {
        let mut state = self.state();
        for (place, queue) in &mut state.queues {
            queue.configured = (limits.credit)(*place);
        }
        state.tenant_percent = limits.tenant_percent;
        state.urgent_configured = limits.urgent_together;
        state.divide();
        drop(state);
        self.changed.notify_one();
    }

    /// From now on this shard, of so many, counts as owned here, or no longer does.
    /// It counts once what is in flight in it is counted, so that nothing is admitted
    /// in its place.
    pub fn set_share(&self, shard: u16, owned: bool, of: u16) {
        let mut state = self.state();
        if owned {
            state.share.owned.insert(shard);
        } else {
            state.share.owned.remove(&shard);
        }
        state.share.of = of;
        state.divide();
        drop(state);
        self.changed.notify_one();
    }

    /// From now on what is configured is for this many shards, of which none is owned
    /// here yet.
    pub fn share_among(&self, shards: u16) {
        let mut state = self.state();
        state.share.of = shards;
        state.divide();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reserves credit for a decision about a case of this tenant: of each
    /// queue that nobody waits for.
    #[must_use]
    pub fn reserve(&self, tenant: &TenantId) -> Credit {
        let mut state = self.state();
        let mut credit = Credit::NONE;
        let mut together = state.free_together(Lane::Urgent);
        if state.urgent_together < u32::MAX && state.someone_may(Lane::Urgent) {
            // Nor is what all urgent lanes share taken before who waits for it.
            together = 0;
        }
        for (place, queue) in &mut state.queues {
            if !queue.waiting.is_empty() {
                continue;
            }
            let mut n = queue.free_for(tenant).min(RESERVE_MOST);
            if place.1 == Lane::Urgent {
                n = n.min(together);
                together -= n;
            }
            if n > 0 {
                queue.change(tenant, |u| u.reserved += n);
                credit.set(place.0, place.1, n);
            }
        }
        credit
    }

    /// Ends a reservation, and counts what the case has in flight now instead
    /// of what it had.
    pub fn settle(&self, tenant: &TenantId, reserved: Credit, before: Option<&Case>, after: Option<&Case>) {
        let mut state = self.state();
        for (place, queue) in &mut state.queues {
            let n = reserved.get(place.0, place.1);
            if n > 0 {
                queue.change(tenant, |u| u.reserved = u.reserved.saturating_sub(n));
            }
        }
        for (area, lane, n) in before.into_iter().flat_map(Case::in_flight_by_queue) {
            if let Some(queue) = state.queues.get_mut(&(area, lane)) {
                queue.change(tenant, |u| u.in_flight = u.in_flight.saturating_sub(n));
            }
        }
        for (area, lane, n) in after.into_iter().flat_map(Case::in_flight_by_queue) {
            if let Some(queue) = state.queues.get_mut(&(area, lane)) {
                queue.change(tenant, |u| u.in_flight += n);
            }
        }
        let someone_may_go = state.queues.values().any(Queue::someone_may);
        drop(state);
        if someone_may_go {
            self.changed.notify_one();
        }
    }

    /// Lets a case wait for as many assignments of a queue as it wants now;
    /// once, however often it asks.
    pub fn wait(&self, place: Place, tenant: &TenantId, weight: u32, case: CaseId, wants: u32) {
        let mut state = self.state();
        if state.queued.insert((place, case)) {
            let may = state.queues.get_mut(&place).is_some_and(|queue| {
                queue.waiting.push(tenant, weight, Waiting { case, wants });
                queue.free() > 0
            });
            drop(state);
            if may {
                self.changed.notify_one();
            }
        }
    }

    /// The next case that may have assignments, in fair order; the urgent
    /// lanes first. What it wants at once it gets at once, as far as there is
    /// credit: the burst of a departure is one decision.
    pub fn admit(&self) -> Option<Admitted> {
        let mut state = self.state();
        for lane in [Lane::Urgent, Lane::Normal] {
            let together = state.free_together(lane).min(RESERVE_MOST);
            if together == 0 {
                continue;
            }
            let turn = state.turn;
            for step in 0..Area::MACHINES.len() {
                let place = (Area::MACHINES[(turn + step) % Area::MACHINES.len()], lane);
                let Some(queue) = state.queues.get_mut(&place).filter(|q| q.someone_may()) else {
                    continue;
                };
                let most = queue.free().min(together);
                let Queue {
                    tenant_limit,
                    by_tenant,
                    waiting,
                    ..
                } = queue;
                let used = |t: &TenantId| by_tenant.get(t).map_or(0, |u| u.all());
                let may_have = |t: &TenantId| tenant_limit.saturating_sub(used(t)).min(most);
                let Some((tenant, Waiting { case, .. }, n)) = waiting.pop_for(may_have, |w| w.wants) else {
                    continue;
                };
                queue.change(&tenant, |u| u.reserved += n);
                state.queued.remove(&(place, case));
                state.turn = (turn + step + 1) % Area::MACHINES.len();
                let mut credit = Credit::NONE;
                credit.set(place.0, place.1, n);
                return Some(Admitted { tenant, case, credit });
            }
        }
        None
    }

    /// Whether nothing is in flight, reserved or waiting.
    #[must_use]
    pub fn idle(&self) -> bool {
        let state = self.state();
        state.queues.values().all(|q| q.used.all() == 0) && state.queued.is_empty()
    }

    /// What is in flight, reserved and waiting, in words.
    #[must_use]
    pub fn holdings(&self) -> String {
        let state = self.state();
        let mut words = Vec::new();
        for ((area, lane), q) in &state.queues {
            let waiting = q.waiting.len();
            if q.used.all() > 0 || waiting > 0 {
                let lane = lane.word();
                words.push(format!(
                    "{area}.{lane}: {} in flight, {} reserved, {waiting} waiting",
                    q.used.in_flight, q.used.reserved
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
            .queues
            .iter()
            .map(|(place, q)| Load {
                place: *place,
                in_flight: q.used.in_flight,
                waiting: q.waiting.len(),
                credit: q.limit,
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

    fn tenant(name: &str) -> TenantId {
        TenantId::new(name).unwrap()
    }

    #[test]
    fn what_is_reserved_cannot_be_reserved_again() {
        let (a, t) = (Admission::new(&Limits::each(10)), tenant("acme"));
        let first = a.reserve(&t);
        assert_eq!(first.get(Area::Identity, Lane::Urgent), 8);
        assert_eq!(a.reserve(&t).get(Area::Identity, Lane::Urgent), 2);
        assert_eq!(a.reserve(&t).get(Area::Identity, Lane::Urgent), 0);
        a.settle(&t, first, None, None);
        assert_eq!(a.reserve(&t).get(Area::Identity, Lane::Urgent), 8);
    }

    #[test]
    fn whoever_waits_goes_before_whoever_comes() {
        let (a, t) = (Admission::new(&Limits::each(4)), tenant("acme"));
        let place = (Area::Mailbox, Lane::Normal);
        a.wait(place, &t, 1, id(1), 1);
        a.wait(place, &t, 1, id(1), 1);
        assert_eq!(a.reserve(&t).get(Area::Mailbox, Lane::Normal), 0);
        let admitted = a.admit().unwrap();
        assert_eq!(admitted.case, id(1));
        assert_eq!(admitted.credit.get(Area::Mailbox, Lane::Normal), 1);
        assert!(a.admit().is_none(), "it waited once, however often it asked");
    }

    #[test]
    fn nobody_is_admitted_beyond_the_limit() {
        let (a, t) = (Admission::new(&Limits::each(2)), tenant("acme"));
        for n in 0..5 {
            a.wait((Area::Device, Lane::Urgent), &t, 1, id(n), 1);
        }
        assert!(a.admit().is_some());
        assert!(a.admit().is_some());
        assert!(a.admit().is_none());
    }

    #[test]
    fn what_a_case_wants_at_once_it_gets_at_once_as_far_as_there_is_credit() {
        let (a, t) = (Admission::new(&Limits::each(6)), tenant("acme"));
        let place = (Area::Identity, Lane::Normal);
        a.wait(place, &t, 1, id(1), 4);
        a.wait(place, &t, 1, id(2), 4);
        a.wait(place, &t, 1, id(3), 4);
        let given = || a.admit().map(|one| (one.case, one.credit.get(place.0, place.1)));
        assert_eq!(given(), Some((id(1), 4)));
        assert_eq!(given(), Some((id(2), 2)));
        assert_eq!(given(), None);
    }

    #[test]
    fn all_urgent_lanes_together_stay_under_their_cap() {
        let a = Admission::new(&Limits {
            urgent_together: 3,
            ..Limits::each(2)
        });
        let t = tenant("acme");
        let reserved = a.reserve(&t);
        let urgent: u32 = Area::MACHINES
            .iter()
            .map(|area| reserved.get(*area, Lane::Urgent))
            .sum();
        assert_eq!(urgent, 3);
        let normal: u32 = Area::MACHINES
            .iter()
            .map(|area| reserved.get(*area, Lane::Normal))
            .sum();
        assert_eq!(
            normal,
            2 * u32::try_from(Area::MACHINES.len()).unwrap(),
            "the rest is not starved"
        );
        a.wait((Area::Desk, Lane::Urgent), &t, 1, id(1), 1);
        assert!(a.admit().is_none());
        a.settle(&t, reserved, None, None);
        assert!(a.admit().is_some());
    }

    #[test]
    fn dispatchers_have_together_what_is_configured() {
        let place = (Area::Device, Lane::Normal);
        let credit = |a: &Admission| a.load().iter().find(|l| l.place == place).unwrap().credit;
        let limits = || Limits {
            urgent_together: 20,
            ..Limits::each(64)
        };
        for owned in [vec![16], vec![8, 8], vec![6, 5, 5], vec![4; 4]] {
            let all: Vec<Admission> = owned.iter().map(|_| Admission::new(&limits())).collect();
            let mut shards = 0..16;
            for (a, n) in all.iter().zip(&owned) {
                shards.by_ref().take(*n).for_each(|shard| a.set_share(shard, true, 16));
            }
            assert_eq!(all.iter().map(&credit).sum::<u32>(), 64, "{owned:?}");
            let urgent = all.iter().map(|a| a.state().urgent_together).sum::<u32>();
            assert!((18..=20).contains(&urgent), "{urgent} of {owned:?}");
            // Also when the configuration is read again.
            all.iter().for_each(|a| a.set_limits(&Limits::each(32)));
            assert_eq!(all.iter().map(&credit).sum::<u32>(), 32, "{owned:?}");
            assert_eq!(all[0].state().urgent_together, u32::MAX, "no limit has no parts");
        }
        // Whoever owns little is not shut out, and nothing is never something.
        let a = Admission::new(&Limits::each(4));
        a.set_share(3, true, 16);
        assert_eq!(credit(&a), 1);
        a.set_share(3, false, 16);
        assert_eq!(credit(&a), 1);
        a.set_limits(&Limits::none());
        assert_eq!(credit(&a), 0);
    }

    #[test]
    fn who_is_one_of_several_has_next_to_nothing_before_he_owns_a_shard() {
        let a = Admission::new(&Limits::each(64));
        a.share_among(16);
        let credit = |a: &Admission| a.load()[0].credit;
        assert_eq!(credit(&a), 1);
        a.set_share(0, true, 16);
        assert_eq!(credit(&a), 4);
    }

    #[test]
    fn a_tenant_holds_no_more_than_its_part_of_what_its_dispatcher_has() {
        let a = Admission::new(&Limits {
            tenant_percent: 75,
            ..Limits::each(8)
        });
        (0..8).for_each(|shard| a.set_share(shard, true, 16));
        let reserved = a.reserve(&tenant("slow"));
        assert_eq!(reserved.get(Area::Identity, Lane::Normal), 3);
        assert_eq!(a.reserve(&tenant("other")).get(Area::Identity, Lane::Normal), 1);
    }

    #[test]
    fn a_tenant_that_came_first_leaves_room_for_another() {
        let a = Admission::new(&Limits {
            tenant_percent: 75,
            ..Limits::each(8)
        });
        let (slow, other) = (tenant("slow"), tenant("other"));
        let place = (Area::Identity, Lane::Normal);
        assert_eq!(a.reserve(&slow).get(place.0, place.1), 6);
        for n in 0..4 {
            a.wait(place, &slow, 1, id(n), 1);
        }
        assert!(a.admit().is_none(), "its share is in use");
        a.wait(place, &other, 1, id(9), 1);
        assert_eq!(a.admit().unwrap().tenant, other);
    }
}
