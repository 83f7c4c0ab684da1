//! Which queues this process cannot consume, as it was last told. Whoever consumes
//! tries again by himself; how long that has been in vain is kept here for whoever
//! asks how things stand.

use crate::{QueueError, QueueName};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// For how long it must have failed again and again: a broker that was started anew
/// refuses for a moment what it then allows.
const LASTS: Duration = Duration::from_secs(5);

/// How long it counts unless it is tried again: whoever still wants it tries again
/// sooner, and what nobody wants any more is no trouble.
const COUNTS: Duration = Duration::from_secs(60);

/// Attempts that failed, none between them that did not.
struct Failing {
    first: Instant,
    last: Instant,
    said: String,
}

/// What cannot be consumed, until it can or it is old.
#[derive(Default)]
pub(super) struct Unconsumed {
    failing: Mutex<BTreeMap<QueueName, Failing>>,
}

impl Unconsumed {
    /// Notes what became of an attempt to consume.
    pub(super) fn note<T>(&self, queue: &QueueName, outcome: &Result<T, QueueError>, now: Instant) {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(_) => drop(failing.remove(queue)),
            Err(error) => {
                let before = failing.get(queue).filter(|f| f.counts(now));
                let noted = Failing {
                    first: before.map_or(now, |f| f.first),
                    last: now,
                    said: error.to_string(),
                };
                drop(failing.insert(queue.clone(), noted));
            }
        }
    }

    /// What was said of one that has failed for some seconds.
    pub(super) fn at(&self, now: Instant) -> Option<String> {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        failing.retain(|_, f| f.counts(now));
        let lasting = |f: &&Failing| f.last.saturating_duration_since(f.first) >= LASTS;
        failing.values().find(lasting).map(|f| f.said.clone())
    }
}

impl Failing {
    fn counts(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) < COUNTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(detail: &str) -> Result<(), QueueError> {
        Err(QueueError::Unavailable {
            attempted: "consume",
            queue: QueueName::Sealing.to_string(),
            detail: detail.to_owned(),
        })
    }

    #[test]
    fn what_fails_for_some_seconds_counts_until_it_succeeds_or_nobody_tries() {
        let unconsumed = Unconsumed::default();
        let began = Instant::now();
        let after = |s: u64| began + Duration::from_secs(s);
        let sealing = QueueName::Sealing;
        unconsumed.note(&sealing, &failed("NOT_FOUND"), began);
        assert_eq!(unconsumed.at(after(10)), None, "it failed once, and nobody tried again");
        unconsumed.note(&sealing, &failed("NOT_FOUND"), after(11));
        unconsumed.note(&QueueName::Dead, &Ok(()), after(11));
        let said = unconsumed.at(after(11)).unwrap();
        assert!(said.contains("ob.v1.sealing") && said.contains("NOT_FOUND"), "{said}");
        unconsumed.note(&sealing, &Ok(()), after(12));
        assert_eq!(unconsumed.at(after(12)), None);

        unconsumed.note(&sealing, &failed("NOT_FOUND"), after(20));
        unconsumed.note(&sealing, &failed("NOT_FOUND"), after(30));
        assert!(unconsumed.at(after(30)).is_some());
        assert_eq!(unconsumed.at(after(90)), None, "nobody wants it any more");
        unconsumed.note(&sealing, &failed("NOT_FOUND"), after(100));
        assert_eq!(unconsumed.at(after(100)), None, "it begins anew");
    }
}
