//! What could not be written when it was last tried, and since when. It decides
//! nothing: whoever wrote tries again by himself. It is there to be told to
//! people, who alone can make room on a disk.

use crate::engine::lock;
use offboard_domain::Timestamp;
use offboard_domain::time::MINUTE_MS;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;

/// Where history is written.
pub(crate) const LEDGER: &str = "ledger";
/// Where signed accounts are kept.
pub(crate) const EVIDENCE: &str = "evidence store";

/// What was not tried again for so long says nothing of now: it was a person's order, which
/// he repeats or not, or is others' by now; what is one's own is tried again sooner.
const TRIED_WITHIN_MS: i64 = 5 * MINUTE_MS;

/// A place that has taken nothing since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unwritten {
    /// Which: `ledger`, or `evidence store`.
    pub place: String,
    /// What came back last.
    pub why: String,
    /// Since when, in engine time.
    pub since: Timestamp,
}

impl fmt::Display for Unwritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, why, since } = self;
        write!(f, "nothing could be written to the {place} since {since}: {why}")
    }
}

/// The last failure of each place, until something is written there.
#[derive(Debug, Default)]
pub(crate) struct Failures(Mutex<BTreeMap<&'static str, Failure>>);

#[derive(Debug)]
struct Failure {
    why: String,
    since: Timestamp,
    last: Timestamp,
}

impl Failures {
    /// Something was written there, or not.
    pub(crate) fn note<T, E: fmt::Display>(&self, place: &'static str, written: &Result<T, E>, now: Timestamp) {
        let mut failures = lock(&self.0);
        match written {
            Ok(_) => drop(failures.remove(place)),
            Err(error) => {
                let before = failures.get(place);
                let tried = before.filter(|failure| failure.last >= now.plus(-TRIED_WITHIN_MS));
                let since = tried.map_or(now, |failure| failure.since);
                let failure = Failure {
                    why: error.to_string(),
                    since,
                    last: now,
                };
                failures.insert(place, failure);
            }
        }
    }

    /// What is not made good and still tried.
    pub(crate) fn still_tried(&self, now: Timestamp) -> Vec<Unwritten> {
        let then = now.plus(-TRIED_WITHIN_MS);
        let failures = lock(&self.0);
        let tried = failures.iter().filter(|(_, failure)| failure.last >= then);
        tried
            .map(|(place, failure)| Unwritten {
                place: (*place).to_owned(),
                why: failure.why.clone(),
                since: failure.since,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_stands_since_the_first_until_something_is_written_there() {
        let failures = Failures::default();
        let full = |n: u32| Err::<(), _>(format!("full {n}"));
        assert!(failures.still_tried(Timestamp(0)).is_empty());
        failures.note(LEDGER, &full(1), Timestamp(1));
        failures.note(LEDGER, &full(2), Timestamp(2));
        failures.note(EVIDENCE, &Ok::<(), String>(()), Timestamp(2));
        let told = Unwritten {
            place: LEDGER.to_owned(),
            why: "full 2".to_owned(),
            since: Timestamp(1),
        };
        assert_eq!(failures.still_tried(Timestamp(2)), std::slice::from_ref(&told));
        assert_eq!(failures.still_tried(Timestamp(2 + TRIED_WITHIN_MS)), [told]);
        assert!(failures.still_tried(Timestamp(3 + TRIED_WITHIN_MS)).is_empty());
        // What failed once, and nobody tried again, began no long time without a write.
        failures.note(LEDGER, &full(3), Timestamp(3 + TRIED_WITHIN_MS));
        let anew = failures.still_tried(Timestamp(3 + TRIED_WITHIN_MS));
        let since: Vec<Timestamp> = anew.iter().map(|unwritten| unwritten.since).collect();
        assert_eq!(since, [Timestamp(3 + TRIED_WITHIN_MS)]);
        failures.note(LEDGER, &Ok::<(), String>(()), Timestamp(4 + TRIED_WITHIN_MS));
        assert!(failures.still_tried(Timestamp(4 + TRIED_WITHIN_MS)).is_empty());
    }
}
