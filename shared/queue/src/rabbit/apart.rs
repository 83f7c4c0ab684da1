//! Queues that are consumed on connections of their own for a time.
//!
//! Whoever may publish can put among the work what nobody can be given: headers that fill
//! a frame to the last bytes, and grow when they are delivered again. The library then
//! ends the connection with all subscriptions on it, and says of which queue it was to
//! nobody. So when the connection was lost some times in a row, each time soon after it
//! was opened, each queue is consumed on one of its own, and the poison ends that of its
//! own queue alone, until the broker gives it up.
//!
//! There one message is taken at a time: each loss is a delivery that counts, and what was
//! taken with the poison would be given up with it. Of reports a few are: some are held while
//! they wait, and they may be delivered far more often. A queue whose connection stood for a
//! while is consumed with the others again.

use super::config::RabbitConfig;
use super::link::{Link, Live};
use crate::QueueName;
use futures::future::join_all;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// A connection that was lost sooner than this stood for a short time: longer than it takes
/// to subscribe again, and to be given something.
const SHORT: Duration = Duration::from_secs(10);

/// How often in a row that is no chance. A broker that is started anew ends it once or twice.
const IN_A_ROW: u32 = 3;

/// For how long a queue is consumed on a connection of its own, if that is not lost.
pub(super) const APART_FOR: Duration = Duration::from_secs(60);

/// How long the last connections of a link stood.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// How many in a row were lost soon.
    soon: u32,
    last: Option<Instant>,
}

impl Losses {
    /// Notes one that was lost now and stood for so long.
    pub(super) fn note(&mut self, stood: Duration, now: Instant) {
        self.soon = if stood < SHORT { self.soon.saturating_add(1) } else { 0 };
        self.last = Some(now);
    }

    /// Whether it was lost again and again lately.
    pub(super) fn go_on(&self, now: Instant) -> bool {
        let lately = |last: Instant| now.saturating_duration_since(last) < APART_FOR;
        self.soon >= IN_A_ROW && self.last.is_some_and(lately)
    }
}

/// What is consumed on connections of its own.
#[derive(Default)]
pub(super) struct Apart {
    /// When each queue was last given one.
    since: Mutex<BTreeMap<QueueName, Instant>>,
    links: Mutex<Vec<Weak<Link>>>,
}

impl Apart {
    /// Whether a queue is to be consumed on a connection of its own, where the one of all
    /// is lost again and again, or not. Who comes again before the time is over has lost
    /// his own.
    pub(super) fn takes(&self, queue: &QueueName, losses_go_on: bool, now: Instant) -> bool {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        since.retain(|_, at| now.saturating_duration_since(*at) < APART_FOR);
        let apart = losses_go_on || since.contains_key(queue);
        if apart {
            since.insert(queue.clone(), now);
        }
        apart
    }

    /// Opens a connection for a queue alone.
    pub(super) async fn open(
        &self,
        queue: &QueueName,
        config: &RabbitConfig,
    ) -> Result<(Arc<Live>, Option<Arc<Link>>), String> {
        tracing::warn!(%queue, "the connection to the broker was lost again and again soon after it was opened; the queue is consumed on one of its own, few messages at a time: look among the dead, and for messages that fill a frame, at the broker");
        let opening = config.opening(&format!("consume {queue}"));
        let opened = Link::open(opening, config.reconnect).await;
        let link = opened.map_err(|error| format!("there is no connection to the broker: {error}"))?;
        let link = Arc::new(link);
        {
            let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
            links.retain(|link| link.strong_count() > 0);
            links.push(Arc::downgrade(&link));
        }
        let live = link.live(config.limits.reconnected).await?;
        Ok((live, Some(link)))
    }

    /// Ends these connections with a farewell.
    pub(super) async fn close(&self) {
        let links = std::mem::take(&mut *self.links.lock().unwrap_or_else(PoisonError::into_inner));
        let links: Vec<Arc<Link>> = links.iter().filter_map(Weak::upgrade).collect();
        join_all(links.iter().map(|link| link.close())).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_is_lost_soon_some_times_in_a_row_is_in_trouble_for_a_while() {
        let began = Instant::now();
        let after = |s: u64| began + Duration::from_secs(s);
        let (soon, late) = (Duration::from_secs(1), Duration::from_secs(10));
        let mut losses = Losses::default();
        losses.note(soon, after(1));
        losses.note(soon, after(2));
        assert!(!losses.go_on(after(2)));
        losses.note(late, after(12));
        losses.note(soon, after(13));
        losses.note(soon, after(14));
        assert!(!losses.go_on(after(14)), "one stood for a while");
        losses.note(soon, after(15));
        assert!(losses.go_on(after(15)));
        assert!(losses.go_on(after(74)));
        assert!(!losses.go_on(after(75)), "it stands");
    }

    #[test]
    fn a_queue_stays_apart_until_its_own_connection_has_stood_for_a_while() {
        let began = Instant::now();
        let after = |s: u64| began + Duration::from_secs(s);
        let apart = Apart::default();
        let (poisoned, other) = (QueueName::Reports { shard: 3 }, QueueName::Sealing);
        assert!(!apart.takes(&poisoned, false, began));
        assert!(apart.takes(&poisoned, true, after(1)));
        assert!(apart.takes(&other, true, after(1)));
        assert!(apart.takes(&poisoned, false, after(31)), "it lost its own");
        assert!(!apart.takes(&other, false, after(61)));
        assert!(apart.takes(&poisoned, false, after(90)));
        assert!(!apart.takes(&poisoned, false, after(150)));
    }
}
