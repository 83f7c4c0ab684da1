//! The queue: carries assignments out and reports back, and knows nothing of
//! what they say.
//!
//! # Laws
//! Each is one test that every backend passes.
//! 1. What publish confirmed is delivered, also after a restart (where the backend promises it).
//! 2. What was not acknowledged returns when its consumer goes.
//! 3. What was acknowledged never returns, once the acknowledgement is where
//!    the messages are kept. A broker gives no answer to it: one that was lost on
//!    the way makes the message come again, and law 8 holds for it.
//! 4. Prefetch bounds what a consumer holds unacknowledged. It can be changed;
//!    what is held meanwhile stays held, and the new bound holds for what comes.
//! 5. Headers and body come through unchanged.
//! 6. A consumer that silently stopped is noticed: its stream ends with an error.
//! 7. Order is not promised. 8. Duplicates are allowed; a redelivery says so.
//! 9. What expired is not delivered.
//! 10. What was buried is kept with its reason and seen in the depths. Why and from
//!     where, whoever consumes the dead is told too; what the message itself says of
//!     that counts for nothing.

pub mod local;
pub mod rabbit;

pub use local::LocalQueue;
pub use rabbit::{RabbitConfig, RabbitQueue};

use async_trait::async_trait;
use bytes::Bytes;
use offboard_domain::{Area, Lane, Timestamp};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// What time it is on the wall, by which messages run out.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The header in which a buried message, consumed from [`QueueName::Dead`],
/// says why it was buried.
pub const BURIED_REASON: &str = "offboard-buried-reason";
/// The header in which it says from which queue.
pub const BURIED_FROM: &str = "offboard-buried-from";
/// With what every header of ours begins that tells of a burial.
const BURIED: &str = "offboard-buried-";

/// The name of a queue.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QueueName {
    /// Assignments for an area's workers; of one site if the tenant's system
    /// is reachable only from inside.
    Assignments {
        /// The area.
        area: Area,
        /// The lane.
        lane: Lane,
        /// The site.
        site: Option<String>,
    },
    /// Reports of a shard's tenants.
    Reports {
        /// The shard.
        shard: u16,
    },
    /// Cases that are to be sealed.
    Sealing,
    /// What was buried.
    Dead,
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Assignments { area, lane, site: None } => write!(f, "ob.v1.{area}.{}", lane.word()),
            Self::Assignments {
                area,
                lane,
                site: Some(site),
            } => write!(f, "ob.v1.{area}.{}.{site}", lane.word()),
            Self::Reports { shard } => write!(f, "ob.v1.reports.{shard}"),
            Self::Sealing => f.write_str("ob.v1.sealing"),
            Self::Dead => f.write_str("ob.v1.dead"),
        }
    }
}

/// A name of no queue of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("failed to read the name of a queue: there is none of this name")]
pub struct UnknownQueue;

impl FromStr for QueueName {
    type Err = UnknownQueue;

    fn from_str(text: &str) -> Result<Self, UnknownQueue> {
        let rest = text.strip_prefix("ob.v1.").ok_or(UnknownQueue)?;
        let mut parts = rest.split('.');
        let name = match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some("dead"), None, None, None) => Self::Dead,
            (Some("sealing"), None, None, None) => Self::Sealing,
            (Some("reports"), Some(shard), None, None) => Self::Reports {
                shard: shard.parse().map_err(|_| UnknownQueue)?,
            },
            (Some(area), Some(lane), site, None) => Self::Assignments {
                area: Area::named(area).ok_or(UnknownQueue)?,
                lane: Lane::named(lane).ok_or(UnknownQueue)?,
                site: site.map(str::to_owned),
            },
            _ => return Err(UnknownQueue),
        };
        // One queue has one name: no leading zero, no plus sign.
        if name.to_string() == text {
            Ok(name)
        } else {
            Err(UnknownQueue)
        }
    }
}

/// What travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Unique id; a return or a duplicate is matched by it.
    pub id: String,
    /// Headers, such as `traceparent`.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Bytes,
    /// Not delivered after this time.
    pub expires_at: Option<Timestamp>,
}

impl Message {
    /// A buried message without what was added when it was buried.
    #[must_use]
    pub fn unburied(mut self) -> Self {
        self.headers.retain(|name, _| !name.starts_with(BURIED));
        self
    }
}

/// What went wrong with the queue itself.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// It did not answer or is not there; the outcome of a publish is unknown.
    #[error("failed to {attempted} {queue}: {detail}; the ledger will order it again")]
    Unavailable {
        /// What was attempted.
        attempted: &'static str,
        /// On which queue.
        queue: String,
        /// What came back.
        detail: String,
    },
    /// The consumer ended: subscribe again.
    #[error("the consumer of {queue} ended: {detail}; it must subscribe again")]
    ConsumerEnded {
        /// Which queue.
        queue: String,
        /// What came back.
        detail: String,
    },
}

/// One delivery. It is settled by exactly one of `ack`, `give_back`, `bury`;
/// dropped unsettled, it returns to the queue.
#[async_trait]
pub trait Delivery: Send {
    /// What was delivered.
    fn message(&self) -> &Message;
    /// Whether it may have been delivered before.
    fn redelivered(&self) -> bool;
    /// The user that published it, as the broker checked; none where there is
    /// no broker and so nobody else who could. A broker always answers: what
    /// did not say who sends it has the empty sender, which nobody is.
    fn sender(&self) -> Option<&str>;
    /// The broker's number for this delivery, for whoever looks for it there;
    /// none where there is no broker.
    fn tag(&self) -> Option<u64> {
        None
    }
    /// It is dealt with and never returns.
    async fn ack(self: Box<Self>) -> Result<(), QueueError>;
    /// It returns to the queue.
    async fn give_back(self: Box<Self>) -> Result<(), QueueError>;
    /// It can never be dealt with: it is kept among the dead, with the reason.
    async fn bury(self: Box<Self>, reason: &str) -> Result<(), QueueError>;
}

/// A subscription.
#[async_trait]
pub trait Consumer: Send {
    /// The next delivery. An error means that the subscription is over.
    /// Cancel-safe: a delivery is not lost when the future is dropped.
    async fn next(&mut self) -> Result<Box<dyn Delivery>, QueueError>;
    /// Changes how much is held at most, from now on; what is held stays held
    /// and may come on top until it is settled. After an error the
    /// subscription is over.
    async fn resize(&mut self, prefetch: u16) -> Result<(), QueueError>;
}

/// What a queue holds, for people and for scaling. An estimate: a broker that
/// has just started, or elects a leader, says 0 of a queue that is full. Nobody
/// may conclude from it that a queue is drained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Depth {
    /// Which queue.
    pub queue: QueueName,
    /// Waiting to be delivered. Some of it may have run out already.
    pub ready: u64,
    /// Delivered and not acknowledged; none where the broker does not tell.
    pub unacknowledged: Option<u64>,
    /// How many consume it; none where the broker does not tell. This is how a
    /// site whose workers are silent is noticed.
    pub consumers: Option<u64>,
}

/// Which of the dead are looked for.
pub type Wanted<'a> = &'a (dyn Fn(&Message) -> bool + Send + Sync);

/// The seam.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Publishes all, and returns when the broker has confirmed all.
    async fn publish(&self, queue: &QueueName, messages: Vec<Message>) -> Result<(), QueueError>;
    /// Subscribes; at most `prefetch` deliveries (at least one) are held
    /// unacknowledged. What the consumer holds returns when it is dropped:
    /// drop it only after its deliveries are settled.
    async fn consume(&self, queue: &QueueName, prefetch: u16) -> Result<Box<dyn Consumer>, QueueError>;
    /// What the queues hold, in the order of their names; of those that are there.
    async fn depths(&self) -> Result<Vec<Depth>, QueueError>;
    /// Which queues were not there when [`Queue::depths`] last answered; of a
    /// backend that makes its queues itself, none.
    fn absent(&self) -> Vec<QueueName> {
        Vec::new()
    }
    /// Why nothing can be published or delivered at this moment, as far as that is known
    /// without asking: the connection is lost and is being opened again. Of a backend that
    /// is in this process, nothing.
    fn cut_off(&self) -> Option<String> {
        None
    }
    /// What was buried, newest first: message and reason. It stays there
    /// until somebody consumes [`QueueName::Dead`] and acknowledges it.
    async fn dead(&self, limit: usize) -> Result<Vec<(Message, String)>, QueueError>;
    /// Of those that were buried the newest that are wanted, however many others lie
    /// before and behind them. No more than so many are held in memory.
    async fn dead_among(&self, wanted: Wanted<'_>, limit: usize) -> Result<Vec<(Message, String)>, QueueError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_known_by_its_one_name() {
        let assignments = |site: Option<&str>| QueueName::Assignments {
            area: Area::Device,
            lane: Lane::Urgent,
            site: site.map(str::to_owned),
        };
        for name in [
            assignments(None),
            assignments(Some("berlin-1")),
            QueueName::Reports { shard: 7 },
            QueueName::Sealing,
            QueueName::Dead,
        ] {
            assert_eq!(name.to_string().parse(), Ok(name));
        }
        for none in [
            "",
            "dead",
            "ob.v1.",
            "ob.v1.reports.07",
            "ob.v1.reports.+7",
            "ob.v1.device.later",
            "ob.v1.device.urgent.a.b",
        ] {
            assert_eq!(none.parse::<QueueName>(), Err(UnknownQueue), "{none}");
        }
    }
}
