//! The queue on RabbitMQ, from 3.10 on, through quorum queues.
//!
//! It owns two connections, one to publish and one to consume, since a broker
//! that is low on memory blocks whoever publishes, with everything on the same
//! connection; and a third once the dead are looked at, since among them may be what
//! ends it. Where such a thing is among the work, each queue has one for a time
//! (`apart`). It declares nothing ([`topology`]), retries no publication, and knows
//! nothing of what a message says.
//!
//! How the laws hold here:
//! - What was confirmed is on the disks of a majority of the nodes.
//! - What ran out is dropped by the consumer too: the broker looks only at the
//!   head of a queue.
//! - An acknowledgement that is lost with its connection makes the message come
//!   again, marked as redelivered.
//! - [`Queue::depths`] counts what is ready, as the broker estimates it, and
//!   cannot see what is unacknowledged: nothing may be concluded from a 0.
//! - What merely ran out is not among the dead.

mod address;
mod apart;
mod config;
mod connection;
mod consumer;
mod denials;
mod greeting;
mod held;
mod inspect;
mod link;
mod message;
mod publisher;
mod standing;
pub mod topology;
mod unconsumed;
mod users;
mod window;

pub use address::{Address, AddressError};
pub use config::{Limits, RabbitConfig};
pub use connection::Tls;
pub use standing::{Finding, RabbitStanding};
pub use topology::{Topology, TopologyError};
pub use users::{CLOSER, DISPATCHER, OBSERVER, WORKER, area_worker, may_report, password_hash, site_of, site_worker};

use crate::{Consumer, Depth, Message, Queue, QueueError, QueueName, Wanted};
use apart::Apart;
use async_trait::async_trait;
use connection::OpenError;
use denials::Denials;
use inspect::Inspector;
use link::Link;
use offboard_runtime::retry::{Failed, Policy, retry};
use publisher::Publisher;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use unconsumed::Unconsumed;

/// Why there is no queue.
#[derive(Debug, thiserror::Error)]
pub enum RabbitError {
    /// The broker cannot be reached, or does not let this process in.
    #[error("failed to connect to the broker {address}: {detail}")]
    Connect {
        /// Where, as whom.
        address: String,
        /// What came back.
        detail: String,
    },
    /// It is not what this process needs.
    #[error(
        "the broker {address} lacks {}: import the definitions (deploy/rabbitmq) and start again",
        missing.join(", ")
    )]
    Missing {
        /// Where, as whom.
        address: String,
        /// Which queues and exchanges.
        missing: Vec<String>,
    },
}

/// The queue on RabbitMQ. A clone is another handle on the same connections.
#[derive(Clone)]
pub struct RabbitQueue {
    inner: Arc<Inner>,
}

struct Inner {
    config: Arc<RabbitConfig>,
    publishing: Arc<Link>,
    consuming: Arc<Link>,
    publisher: Arc<Publisher>,
    inspector: Inspector,
    denials: Denials,
    unconsumed: Unconsumed,
    apart: Apart,
}

impl RabbitQueue {
    /// Connects, and looks whether all is there that this process needs. A
    /// broker that is not there yet is waited for as long as `patience`; from
    /// then on lost connections are opened again by themselves.
    ///
    /// # Errors
    /// [`RabbitError`] with what is wrong and where.
    pub async fn connect(config: RabbitConfig, patience: Duration) -> Result<Self, RabbitError> {
        let config = Arc::new(config);
        let address = config.address.to_string();
        let failed = |detail: String| RabbitError::Connect {
            address: address.clone(),
            detail,
        };
        let (publishing, consuming) =
            tokio::join!(first(&config, "publish", patience), first(&config, "consume", patience));
        let publishing = Arc::new(publishing.map_err(failed)?);
        let consuming = Arc::new(consuming.map_err(failed)?);
        let inspector = Inspector::new(Arc::clone(&consuming), Arc::clone(&config));
        let missing = inspector.missing().await.map_err(failed)?;
        if !missing.is_empty() {
            return Err(RabbitError::Missing { address, missing });
        }
        let publisher = Arc::new(Publisher::start(Arc::clone(&publishing), Arc::clone(&config)));
        Ok(Self {
            inner: Arc::new(Inner {
                config,
                publishing,
                consuming,
                publisher,
                inspector,
                denials: Denials::default(),
                unconsumed: Unconsumed::default(),
                apart: Apart::default(),
            }),
        })
    }

    /// From now on these are the queues that [`Queue::depths`] counts; at first they
    /// are those of the configuration. Whatever is consumed and published is not changed.
    pub fn look_at(&self, queues: impl IntoIterator<Item = QueueName>) {
        self.inner.inspector.look_at(queues);
    }

    /// Why the broker takes no publications now, if it does not: it is low on
    /// memory or disk. It still delivers.
    #[must_use]
    pub fn blocked(&self) -> Option<String> {
        self.inner.publishing.blocked().map(|reason| reason.to_string())
    }

    /// Whether both connections stand.
    #[must_use]
    pub fn connected(&self) -> bool {
        self.lost().is_none()
    }

    /// Why a connection does not stand, if one does not; it is being opened again.
    #[must_use]
    pub fn lost(&self) -> Option<String> {
        let links = [&self.inner.publishing, &self.inner.consuming];
        links.into_iter().find_map(|link| link.lost())
    }

    /// What the broker does not let this user do, if somebody has met such a thing
    /// lately and nobody has done the same since.
    #[must_use]
    pub fn denied(&self) -> Option<String> {
        self.inner.denials.now()
    }

    /// Why a queue cannot be consumed, if somebody has tried again and again for some
    /// seconds and still does.
    #[must_use]
    pub fn unconsumed(&self) -> Option<String> {
        self.inner.unconsumed.at(Instant::now())
    }

    /// Says farewell to the broker. What is not settled then returns to its
    /// queue, and nothing works any more.
    pub async fn close(&self) {
        let Inner {
            publishing,
            consuming,
            inspector,
            apart,
            ..
        } = &*self.inner;
        tokio::join!(publishing.close(), consuming.close(), inspector.close());
        // There is none after it: whoever consumes needs the connection of all, too.
        apart.close().await;
    }
}

/// The first connection for a purpose.
async fn first(config: &RabbitConfig, purpose: &str, patience: Duration) -> Result<Link, String> {
    let waiting = Policy {
        within: Some(patience),
        ..config.reconnect
    };
    let opened = retry(&waiting, |_| async {
        Link::open(config.opening(purpose), config.reconnect)
            .await
            .map_err(|e| {
                if e.may_pass() {
                    Failed::Again(e)
                } else {
                    Failed::ForGood(e)
                }
            })
    });
    opened.await.map_err(|gave_up| {
        let OpenError::Failed(error) = &gave_up.error else {
            return gave_up.error.to_string();
        };
        format!("{error} (tried {} times)", gave_up.tries)
    })
}

impl fmt::Debug for RabbitQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RabbitQueue({})", self.inner.config.address)
    }
}

#[async_trait]
impl Queue for RabbitQueue {
    async fn publish(&self, queue: &QueueName, messages: Vec<Message>) -> Result<(), QueueError> {
        let published = self.inner.publisher.publish(queue, messages).await;
        self.inner.denials.note("publish to", queue, &published);
        published
    }

    async fn consume(&self, queue: &QueueName, prefetch: u16) -> Result<Box<dyn Consumer>, QueueError> {
        let Inner {
            config,
            consuming,
            publisher,
            inspector,
            denials,
            unconsumed,
            apart,
            ..
        } = &*self.inner;
        let link = match queue {
            QueueName::Dead => inspector.graves_link().await,
            QueueName::Assignments { .. } | QueueName::Reports { .. } | QueueName::Sealing => Ok(&**consuming),
        };
        let live = match link {
            Ok(link) => link.live(config.limits.reconnected).await,
            Err(why) => Err(why),
        };
        let is_work = *queue != QueueName::Dead;
        let place = match live {
            Ok(_) if is_work && apart.takes(queue, consuming.is_lost_again_and_again(), Instant::now()) => {
                apart.open(queue, config).await
            }
            Ok(live) => Ok((live, None)),
            Err(why) => Err(why),
        };
        let subscribed = match place {
            Ok((live, own)) => {
                let subscribed = consumer::subscribe((&live, own), queue, prefetch, config, publisher).await;
                denials.note("consume", queue, &subscribed);
                subscribed
            }
            Err(detail) => Err(unavailable("consume", queue, detail)),
        };
        unconsumed.note(queue, &subscribed, Instant::now());
        Ok(Box::new(subscribed?))
    }

    async fn depths(&self) -> Result<Vec<Depth>, QueueError> {
        let counted = self.inner.inspector.depths().await;
        counted.map_err(|detail| QueueError::Unavailable {
            attempted: "count what is in",
            queue: "the queues".to_owned(),
            detail,
        })
    }

    fn absent(&self) -> Vec<QueueName> {
        self.inner.inspector.absent()
    }

    fn cut_off(&self) -> Option<String> {
        self.lost()
    }

    async fn dead(&self, limit: usize) -> Result<Vec<(Message, String)>, QueueError> {
        let looked = self.inner.inspector.dead(limit).await;
        looked.map_err(|detail| unavailable("look into", &QueueName::Dead, detail))
    }

    async fn dead_among(&self, wanted: Wanted<'_>, limit: usize) -> Result<Vec<(Message, String)>, QueueError> {
        let looked = self.inner.inspector.dead_among(wanted, limit).await;
        looked.map_err(|detail| unavailable("look through", &QueueName::Dead, detail))
    }
}

fn unavailable(attempted: &'static str, queue: &QueueName, detail: String) -> QueueError {
    QueueError::Unavailable {
        attempted,
        queue: queue.to_string(),
        detail,
    }
}
