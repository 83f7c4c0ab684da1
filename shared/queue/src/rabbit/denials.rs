//! What the broker does not let this process do, as it was last told. Nobody is
//! told that a right was taken from it: it is met by whoever next uses it, and
//! kept here for whoever asks how things stand.

use crate::{QueueError, QueueName};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What AMQP calls it.
const DENIED: &str = "ACCESS_REFUSED";

/// How long it counts unless it is met again: whoever still wants it tries again
/// sooner, and what nobody wants any more is no trouble.
const COUNTS: Duration = Duration::from_secs(60);

/// What was attempted, and on which queue.
type Attempted = (&'static str, QueueName);

/// What was denied, until the same is allowed or it is old.
#[derive(Default)]
pub(super) struct Denials {
    met: Mutex<BTreeMap<Attempted, (Instant, String)>>,
}

impl Denials {
    /// Notes what became of something that was attempted.
    pub(super) fn note<T>(&self, attempted: &'static str, queue: &QueueName, outcome: &Result<T, QueueError>) {
        let denied = match outcome {
            Ok(_) => None,
            Err(error) => {
                let said = error.to_string();
                // Any other failure says nothing about rights.
                if !said.contains(DENIED) {
                    return;
                }
                Some(said)
            }
        };
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        match denied {
            Some(said) => drop(met.insert((attempted, queue.clone()), (Instant::now(), said))),
            None if met.is_empty() => {}
            None => drop(met.remove(&(attempted, queue.clone()))),
        }
    }

    /// One that counts now.
    pub(super) fn now(&self) -> Option<String> {
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        met.retain(|_, (at, _)| at.elapsed() < COUNTS);
        met.values().next().map(|(_, said)| said.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(detail: &str) -> Result<(), QueueError> {
        Err(QueueError::Unavailable {
            attempted: "publish to",
            queue: QueueName::Sealing.to_string(),
            detail: detail.to_owned(),
        })
    }

    #[test]
    fn what_was_denied_counts_until_the_same_is_allowed() {
        let denials = Denials::default();
        denials.note("publish to", &QueueName::Sealing, &failed("the connection was lost"));
        assert_eq!(denials.now(), None);
        let denied = failed("ACCESS_REFUSED - access to exchange refused");
        denials.note("publish to", &QueueName::Sealing, &denied);
        denials.note("publish to", &QueueName::Dead, &Ok(()));
        denials.note("consume", &QueueName::Sealing, &Ok(()));
        denials.note("publish to", &QueueName::Sealing, &failed("the connection was lost"));
        assert!(
            denials
                .now()
                .is_some_and(|said| said.contains("access to exchange refused"))
        );
        denials.note("publish to", &QueueName::Sealing, &Ok(()));
        assert_eq!(denials.now(), None);
    }
}
