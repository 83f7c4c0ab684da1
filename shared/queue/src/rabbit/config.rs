//! How this process uses its broker.

use super::address::Address;
use super::connection::{Opening, Tls};
use crate::{Clock, QueueName};
use offboard_runtime::retry::Policy;
use std::time::Duration;

/// Everything that a process says about its broker.
#[derive(Clone)]
pub struct RabbitConfig {
    /// Where it is and as whom this process comes.
    pub address: Address,
    /// What is trusted and shown with TLS.
    pub tls: Tls,
    /// What the broker's lists call this process.
    pub name: String,
    /// The queues that this process uses: looked for at the start, and counted
    /// by [`crate::Queue::depths`].
    pub queues: Vec<QueueName>,
    /// What time it is on the wall, by which messages run out.
    pub clock: Clock,
    /// Most publications in flight. From 256 on, more only wait longer.
    pub window: usize,
    /// Largest message that is published. Brokers from 4.0 take 16 MiB.
    pub message_max_bytes: usize,
    /// What is larger is cut when it is buried: the dead must not fill the
    /// broker.
    pub buried_max_bytes: usize,
    /// How often each side shows that it lives; after two that are missing
    /// the connection is given up. Whole seconds.
    pub heartbeat: Duration,
    /// The time limits.
    pub limits: Limits,
    /// How soon a lost connection is opened again.
    pub reconnect: Policy,
}

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Opening a connection.
    pub connect: Duration,
    /// Anything that is asked on a connection that stands.
    pub answer: Duration,
    /// Confirming a publication. One that takes longer has an unknown outcome,
    /// and its connection is opened anew.
    pub confirm: Duration,
    /// Waiting for a connection while there is none.
    pub reconnected: Duration,
    /// Waiting while the broker takes no publications (it is low on memory or
    /// disk).
    pub blocked: Duration,
    /// How often a subscription is looked at from outside.
    pub watch: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(10),
            confirm: Duration::from_secs(15),
            reconnected: Duration::from_secs(5),
            blocked: Duration::from_secs(2),
            watch: Duration::from_secs(30),
        }
    }
}

impl RabbitConfig {
    /// What is usual, for this broker, these queues and this clock.
    #[must_use]
    pub fn new(address: Address, queues: Vec<QueueName>, clock: Clock) -> Self {
        Self {
            address,
            tls: Tls::default(),
            name: "offboard".to_owned(),
            queues,
            clock,
            window: 256,
            message_max_bytes: 15 * 1024 * 1024,
            buried_max_bytes: 1024 * 1024,
            heartbeat: Duration::from_secs(10),
            limits: Limits::default(),
            reconnect: Policy {
                longest: Duration::from_secs(5),
                ..Policy::RECONNECT
            },
        }
    }

    /// How the connection for this purpose is opened.
    pub(super) fn opening(&self, purpose: &str) -> Opening {
        Opening {
            address: self.address.clone(),
            tls: self.tls.clone(),
            name: format!("{} ({purpose})", self.name),
            heartbeat: self.heartbeat,
            within: self.limits.connect,
        }
    }
}
