//! What an order waits for before it is begun, by tenant and system.
//!
//! **A vendor that asked to be left alone.** The dispatcher holds back what it has not ordered
//! yet; what was ordered already is at the workers, and each call more makes it worse. Whoever
//! met the answer holds those orders back himself.
//!
//! **A system that this worker does not have.** Processes take a new configuration one after the
//! other: for some minutes it is the other workers' to know, and only then a person's.
//!
//! Nothing here is needed for safety: a worker that forgets it asks once more. So both maps are
//! bounded, and what does not fit is not kept.

use offboard_domain::{System, TenantId};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// The most pairs that are remembered of each sort.
const PAIRS_MAX: usize = 1_024;

/// How long a system may be missing before that is told as a fault: whoever takes a new
/// configuration to several processes has done so by then.
const MISSING_FOR: Duration = Duration::from_secs(3 * 60);

/// When a system that nobody asked for meanwhile is missed anew.
const MISSED_ANEW_AFTER: Duration = Duration::from_secs(10 * 60);

type Pair = (TenantId, System);

/// What is known of the pairs.
#[derive(Debug, Default)]
pub(crate) struct Holds {
    throttled: BTreeMap<Pair, Instant>,
    missing: BTreeMap<Pair, Missed>,
}

#[derive(Debug)]
struct Missed {
    since: Instant,
    last: Instant,
}

impl Holds {
    /// The vendor asked not to be called until then.
    pub(crate) fn throttled(&mut self, pair: Pair, until: Instant, now: Instant) {
        self.throttled.retain(|_, until| *until > now);
        if self.throttled.len() < PAIRS_MAX || self.throttled.contains_key(&pair) {
            let held = self.throttled.entry(pair).or_insert(until);
            *held = until.max(*held);
        }
    }

    /// Until when the vendor is not to be called.
    pub(crate) fn until(&self, pair: &Pair, now: Instant) -> Option<Instant> {
        self.throttled.get(pair).copied().filter(|until| *until > now)
    }

    /// An order came for a system that is not here: whether it may be so because this worker has
    /// not taken the newest configuration yet.
    pub(crate) fn may_come(&mut self, pair: Pair, now: Instant) -> bool {
        self.missing
            .retain(|_, missed| now.duration_since(missed.last) < MISSED_ANEW_AFTER);
        if self.missing.len() >= PAIRS_MAX && !self.missing.contains_key(&pair) {
            return false;
        }
        let missed = self.missing.entry(pair).or_insert(Missed { since: now, last: now });
        missed.last = now;
        now.duration_since(missed.since) < MISSING_FOR
    }

    /// It is here.
    pub(crate) fn is_here(&mut self, pair: &Pair) {
        self.missing.remove(pair);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(tenant: &str) -> Pair {
        (TenantId::new(tenant).unwrap(), System::new("m365").unwrap())
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_vendor_is_left_alone_for_the_longest_that_it_asked_for_and_others_are_not() {
        let (mut holds, now) = (Holds::default(), Instant::now());
        holds.throttled(pair("acme"), now + SECOND * 30, now);
        holds.throttled(pair("acme"), now + SECOND * 10, now);
        assert_eq!(holds.until(&pair("acme"), now), Some(now + SECOND * 30));
        assert_eq!(holds.until(&pair("beta"), now), None);
        assert_eq!(holds.until(&pair("acme"), now + SECOND * 30), None);
    }

    #[test]
    fn a_missing_system_may_come_for_some_minutes_and_anew_when_it_was_here() {
        let (mut holds, now) = (Holds::default(), Instant::now());
        assert!(holds.may_come(pair("acme"), now));
        assert!(holds.may_come(pair("acme"), now + MISSING_FOR - SECOND));
        assert!(!holds.may_come(pair("acme"), now + MISSING_FOR));
        assert!(holds.may_come(pair("beta"), now + MISSING_FOR));
        holds.is_here(&pair("acme"));
        assert!(holds.may_come(pair("acme"), now + MISSING_FOR));
        // Nobody asked for long: the configuration may have changed twice.
        let later = now + MISSING_FOR * 2 + MISSED_ANEW_AFTER;
        assert!(holds.may_come(pair("acme"), later));
    }

    #[test]
    fn there_are_never_more_than_bounded_and_what_is_over_makes_room() {
        let (mut holds, now) = (Holds::default(), Instant::now());
        for n in 0..=PAIRS_MAX {
            holds.throttled(pair(&format!("t-{n}")), now + SECOND, now);
            let kept = holds.may_come(pair(&format!("t-{n}")), now);
            assert_eq!(kept, n < PAIRS_MAX);
        }
        assert_eq!((holds.throttled.len(), holds.missing.len()), (PAIRS_MAX, PAIRS_MAX));
        let later = now + MISSED_ANEW_AFTER;
        holds.throttled(pair("acme"), later + SECOND, later);
        assert!(holds.may_come(pair("acme"), later));
        assert_eq!((holds.throttled.len(), holds.missing.len()), (1, 1));
    }
}
