//! Start-time fair queueing over tenants: who is admitted next.
//!
//! Each admission gets a start tag: the later of the queue's virtual time and
//! the tenant's last finish tag; its finish tag is its work over the tenant's
//! weight later. The smallest start tag goes first, and virtual time is the
//! start tag of the last admission. So over any interval in which two tenants
//! both wait, each gets work in proportion to its weight, to within one
//! admission's work — and a tenant that was idle neither saved up nor lost
//! anything.

use crate::id::TenantId;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The cost of one unit of work at weight 1, in virtual units. Divisible by every
/// weight up to 10, so that small weights stay exact.
const UNIT: u64 = 2_520;

/// Who waits for admission, in fair order. `T` is what waits.
#[derive(Debug, Clone)]
pub struct FairQueue<T> {
    virtual_time: u64,
    tenants: BTreeMap<TenantId, Flow<T>>,
    order: BTreeSet<(u64, TenantId)>,
    waiting: usize,
}

#[derive(Debug, Clone)]
struct Flow<T> {
    weight: u32,
    last_finish: u64,
    start: u64,
    items: VecDeque<T>,
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        Self {
            virtual_time: 0,
            tenants: BTreeMap::new(),
            order: BTreeSet::new(),
            waiting: 0,
        }
    }
}

impl<T> FairQueue<T> {
    /// Lets something of a tenant wait. A tenant's own things keep their order.
    pub fn push(&mut self, tenant: &TenantId, weight: u32, item: T) {
        let now = self.virtual_time;
        let flow = self.tenants.entry(tenant.clone()).or_insert_with(|| Flow {
            weight: 1,
            last_finish: 0,
            start: 0,
            items: VecDeque::new(),
        });
        flow.weight = weight.max(1);
        if flow.items.is_empty() {
            flow.start = now.max(flow.last_finish);
            self.order.insert((flow.start, tenant.clone()));
        }
        flow.items.push_back(item);
        self.waiting += 1;
    }

    /// Admits the next to one unit of work, in fair order.
    pub fn pop(&mut self) -> Option<(TenantId, T)> {
        let (tenant, item, _) = self.pop_for(|_| 1, |_| 1)?;
        Some((tenant, item))
    }

    /// Admits the next of a tenant that may have any work, in fair order, to as
    /// much as it wants and its tenant may have. Who may have none now keeps
    /// his place.
    pub fn pop_for(
        &mut self,
        may_have: impl Fn(&TenantId) -> u32,
        wants: impl Fn(&T) -> u32,
    ) -> Option<(TenantId, T, u32)> {
        let next = self.order.iter().find(|(_, tenant)| may_have(tenant) > 0).cloned()?;
        self.order.remove(&next);
        let (start, tenant) = next;
        // Somebody who was passed over may come later with an older tag.
        self.virtual_time = self.virtual_time.max(start);
        let flow = self.tenants.get_mut(&tenant)?;
        let item = flow.items.pop_front()?;
        self.waiting -= 1;
        let work = wants(&item).clamp(1, may_have(&tenant));
        flow.last_finish = start + UNIT * u64::from(work) / u64::from(flow.weight);
        if flow.items.is_empty() {
            // A tenant that caught up leaves nothing behind.
            if flow.last_finish <= self.virtual_time {
                self.tenants.remove(&tenant);
            }
        } else {
            flow.start = flow.last_finish;
            self.order.insert((flow.start, tenant.clone()));
        }
        if self.order.is_empty() {
            self.tenants.clear();
            self.virtual_time = 0;
        }
        Some((tenant, item, work))
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(n: &str) -> TenantId {
        TenantId::new(n).unwrap()
    }

    #[test]
    fn whoever_gets_more_at_once_waits_longer_for_the_next() {
        let mut q = FairQueue::default();
        for _ in 0..4 {
            q.push(&tenant("greedy"), 1, 4);
        }
        for _ in 0..8 {
            q.push(&tenant("modest"), 1, 1);
        }
        let mut got = BTreeMap::<TenantId, u32>::new();
        for _ in 0..5 {
            let (who, _, work) = q.pop_for(|_| 8, |wants| *wants).unwrap();
            *got.entry(who).or_default() += work;
        }
        let (greedy, modest) = (got[&tenant("greedy")], got[&tenant("modest")]);
        assert!(greedy.abs_diff(modest) <= 4, "{greedy} and {modest}");
    }

    #[test]
    fn nobody_gets_more_than_he_may_have() {
        let mut q = FairQueue::default();
        q.push(&tenant("one"), 1, 4);
        q.push(&tenant("two"), 1, 4);
        let may_have = |t: &TenantId| if t.as_str() == "one" { 0 } else { 3 };
        let (who, _, work) = q.pop_for(may_have, |wants| *wants).unwrap();
        assert_eq!((who.as_str(), work), ("two", 3));
        assert!(q.pop_for(may_have, |wants| *wants).is_none());
    }

    #[test]
    fn a_thousand_of_one_do_not_delay_the_other() {
        let mut q = FairQueue::default();
        for i in 0..1_000 {
            q.push(&tenant("big"), 1, i);
        }
        for _ in 0..10 {
            q.pop();
        }
        q.push(&tenant("small"), 1, 5_000);
        let first_two: Vec<_> = (0..2).filter_map(|_| q.pop()).map(|(t, _)| t).collect();
        assert!(first_two.contains(&tenant("small")), "{first_two:?}");
    }

    #[test]
    fn work_follows_weight_within_one_unit() {
        let mut q = FairQueue::default();
        for i in 0..300 {
            q.push(&tenant("one"), 1, i);
            q.push(&tenant("three"), 3, i);
        }
        let (mut one, mut three) = (0_i64, 0_i64);
        for _ in 0..200 {
            match q.pop().unwrap().0.as_str() {
                "one" => one += 1,
                _ => three += 1,
            }
            assert!((one * 3 - three).abs() <= 4, "{one} {three}");
        }
    }

    #[test]
    fn an_idle_tenant_saves_nothing_up() {
        let mut q = FairQueue::default();
        for i in 0..100 {
            q.push(&tenant("busy"), 1, i);
        }
        for _ in 0..50 {
            q.pop();
        }
        for i in 0..50 {
            q.push(&tenant("late"), 1, i);
        }
        let mut late = 0;
        for _ in 0..20 {
            late += i32::from(q.pop().unwrap().0.as_str() == "late");
        }
        assert!((9..=11).contains(&late), "{late}");
    }

    #[test]
    fn who_may_not_now_keeps_his_place() {
        let only_free = |t: &TenantId| u32::from(t.as_str() == "free");
        let mut q = FairQueue::default();
        for i in 0..10 {
            q.push(&tenant("held"), 1, i);
            q.push(&tenant("free"), 1, i);
        }
        for _ in 0..5 {
            assert_eq!(q.pop_for(only_free, |_| 1).unwrap().0.as_str(), "free");
        }
        assert!(q.pop_for(|_| 0, |_| 1).is_none());
        let next: Vec<_> = (0..5).filter_map(|_| q.pop()).map(|(t, _)| t).collect();
        assert!(next.iter().all(|t| t.as_str() == "held"), "he catches up: {next:?}");
        assert_eq!(q.len(), 10);
    }

    #[test]
    fn a_tenants_own_order_is_kept_and_nothing_is_lost() {
        let mut q = FairQueue::default();
        for i in 0..50 {
            q.push(&tenant("a"), 1, i);
            q.push(&tenant("b"), 2, i);
        }
        let mut last = BTreeMap::new();
        let mut n = 0;
        while let Some((t, i)) = q.pop() {
            assert_eq!(last.insert(t, i).map_or(0, |l| l + 1), i);
            n += 1;
        }
        assert_eq!(n, 100);
        assert!(q.is_empty());
    }
}
