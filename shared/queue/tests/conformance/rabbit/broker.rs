//! The brokers of this test process, and how a test comes to a virtual host
//! and a queue of its own.
//!
//! There are two: one that nothing happens to, for all tests at once, and one
//! that is killed, emptied and starved, for one test at a time.

use crate::backend::Backend;
use async_trait::async_trait;
use offboard_domain::{Area, Timestamp};
use offboard_queue::rabbit::{Address, Limits, Topology, password_hash};
use offboard_queue::{Clock, Queue, QueueName, RabbitConfig, RabbitQueue};
use offboard_runtime::Secret;
use offboard_runtime::retry::Policy;
use offboard_servers::{ADMINISTRATOR, Direction, Proxy, Rabbit, RabbitOptions};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};
use tokio::sync::{Mutex, OwnedMutexGuard};

/// The virtual host that stands in the rough broker's own definitions.
pub(crate) const BOOTED: &str = "booted";

/// How long a broker is waited for that was just started.
const PATIENCE: Duration = Duration::from_secs(60);

static QUIET: OnceLock<Rabbit> = OnceLock::new();
static ROUGH: OnceLock<Arc<Mutex<Rabbit>>> = OnceLock::new();
static NEXT_VHOST: AtomicU32 = AtomicU32::new(0);

fn start(options: RabbitOptions) -> Rabbit {
    Rabbit::start(RabbitOptions {
        outlives_its_value: true,
        ..options
    })
    .unwrap()
}

/// Runs what blocks where it disturbs nobody.
pub(crate) async fn blocking<T: Send + 'static>(what: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(what).await.unwrap()
}

/// The broker that nothing happens to.
pub(crate) async fn quiet() -> &'static Rabbit {
    let options = RabbitOptions {
        tls: true,
        ..RabbitOptions::default()
    };
    blocking(|| QUIET.get_or_init(|| start(options))).await
}

/// The broker that a test may do to what it likes, until the lease is dropped.
pub(crate) async fn rough() -> OwnedMutexGuard<Rabbit> {
    let start_rough = || {
        let options = RabbitOptions {
            definitions: Some(topology(BOOTED).definitions().unwrap()),
            ..RabbitOptions::default()
        };
        Arc::new(Mutex::new(start(options)))
    };
    let rough = blocking(move || Arc::clone(ROUGH.get_or_init(start_rough))).await;
    rough.lock_owned().await
}

/// Does something to the broker that takes a while.
pub(crate) async fn to(
    mut broker: OwnedMutexGuard<Rabbit>,
    what: impl FnOnce(&mut Rabbit) + Send + 'static,
) -> OwnedMutexGuard<Rabbit> {
    blocking(move || {
        what(&mut broker);
        broker
    })
    .await
}

pub(crate) fn wall_clock() -> Clock {
    let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Arc::new(move || Timestamp(i64::try_from(now().as_millis()).unwrap()))
}

/// A password for a user, for these tests.
fn password(user: &str) -> String {
    format!("the password of {user}")
}

/// Little, and one of everything.
pub(crate) fn topology(vhost: &str) -> Topology {
    let mut topology = Topology {
        areas: vec![Area::Identity, Area::Mailbox],
        sites: [("berlin".to_owned(), vec![Area::Identity])].into(),
        report_shards: 4,
        ..Topology::new(vhost)
    };
    let hashed = |user: String| (user.clone(), password_hash(&password(&user), *b"salt"));
    topology.password_hashes = topology.users().into_iter().map(hashed).collect();
    topology
}

/// A new virtual host with that topology; its name.
pub(crate) async fn new_vhost(broker: &Rabbit) -> String {
    let vhost = format!("test-{}", NEXT_VHOST.fetch_add(1, Ordering::Relaxed));
    broker.import(&topology(&vhost).definitions().unwrap()).unwrap();
    vhost
}

/// How a user of the definitions comes to the broker.
pub(crate) fn config(port: u16, vhost: &str, user: &str, secret: &str) -> RabbitConfig {
    let address = Address {
        tls: false,
        host: "127.0.0.1".to_owned(),
        port,
        vhost: vhost.to_owned(),
        user: user.to_owned(),
        password: Some(Secret::new(secret)),
    };
    RabbitConfig {
        heartbeat: Duration::from_secs(4),
        // Beside other tests, on few cores, answers take their time.
        limits: Limits {
            answer: Duration::from_secs(30),
            confirm: Duration::from_secs(30),
            reconnected: Duration::from_secs(30),
            ..Limits::default()
        },
        reconnect: Policy {
            longest: Duration::from_millis(500),
            ..Policy::RECONNECT
        },
        ..RabbitConfig::new(address, topology(vhost).queues(), wall_clock())
    }
}

/// The same for one of the roles, which has a password here.
pub(crate) fn config_of(broker: &Rabbit, vhost: &str, user: &str) -> RabbitConfig {
    config(broker.port(), vhost, user, &password(user))
}

/// For whoever may do everything.
pub(crate) fn administrator(broker: &Rabbit, port: u16, vhost: &str) -> RabbitConfig {
    config(port, vhost, ADMINISTRATOR, broker.password())
}

pub(crate) async fn connect(config: RabbitConfig) -> RabbitQueue {
    RabbitQueue::connect(config, PATIENCE).await.unwrap()
}

/// A virtual host and a queue of its own on the broker that nothing happens
/// to, behind a proxy.
pub(crate) struct OnRabbit {
    pub(crate) vhost: String,
    pub(crate) proxy: Proxy,
    pub(crate) queue: RabbitQueue,
}

impl OnRabbit {
    /// As the administrator, with that changed.
    pub(crate) async fn with(change: impl FnOnce(&mut RabbitConfig)) -> Self {
        let broker = quiet().await;
        let vhost = new_vhost(broker).await;
        let proxy = Proxy::to(broker.port()).unwrap();
        let mut config = administrator(broker, proxy.port(), &vhost);
        change(&mut config);
        Self {
            queue: connect(config).await,
            proxy,
            vhost,
        }
    }
}

#[async_trait]
impl Backend for OnRabbit {
    const DURABLE: bool = true;
    const SHORT_MS: i64 = 5_000;
    const WITHIN: Duration = Duration::from_secs(900);

    async fn fresh() -> Self {
        Self::with(|_| {}).await
    }

    fn queue(&self) -> Arc<dyn Queue> {
        Arc::new(self.queue.clone())
    }

    async fn restart(self) -> Self {
        unreachable!("what restarts is on the other broker");
    }

    async fn sever(&self, _queue: &QueueName) {
        // Nobody is told anything: only the missing heartbeats tell.
        self.proxy.stall(Direction::Both);
    }

    fn now(&self) -> Timestamp {
        wall_clock()()
    }

    async fn pass(&self, ms: i64) {
        tokio::time::sleep(Duration::from_millis(u64::try_from(ms).unwrap())).await;
    }
}

/// The same on the broker that may be killed.
pub(crate) struct OnRough {
    pub(crate) broker: OwnedMutexGuard<Rabbit>,
    pub(crate) vhost: String,
    pub(crate) queue: RabbitQueue,
}

#[async_trait]
impl Backend for OnRough {
    const DURABLE: bool = true;
    const SHORT_MS: i64 = 5_000;
    /// Others come first, one at a time.
    const WITHIN: Duration = Duration::from_secs(900);

    async fn fresh() -> Self {
        let broker = rough().await;
        let vhost = new_vhost(&broker).await;
        let queue = connect(administrator(&broker, broker.port(), &vhost)).await;
        Self { broker, vhost, queue }
    }

    fn queue(&self) -> Arc<dyn Queue> {
        Arc::new(self.queue.clone())
    }

    async fn restart(self) -> Self {
        let Self { broker, vhost, queue } = self;
        drop(queue);
        let broker = to(broker, |broker| {
            broker.kill();
            broker.restart().unwrap();
        })
        .await;
        let queue = connect(administrator(&broker, broker.port(), &vhost)).await;
        Self { broker, vhost, queue }
    }

    async fn sever(&self, _queue: &QueueName) {
        unreachable!("what is severed is on the other broker");
    }

    fn now(&self) -> Timestamp {
        wall_clock()()
    }

    async fn pass(&self, ms: i64) {
        tokio::time::sleep(Duration::from_millis(u64::try_from(ms).unwrap())).await;
    }
}
