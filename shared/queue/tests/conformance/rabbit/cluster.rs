//! A broker of three nodes, each queue on all of them. One is killed, and whoever was
//! connected to it goes on through another; a second, and nothing is confirmed any more;
//! and when they are back all goes on, and nothing that was confirmed is missing. When it
//! is the node that leads a queue, another leads it.

use super::broker::{administrator, blocking, connect, rough, topology};
use super::faults::subscribed;
use crate::kit::{identity, message, next};
use offboard_queue::{Queue as _, RabbitQueue};
use offboard_servers::{Proxy, RabbitCluster};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const VHOST: &str = "replicated";
const NODES: usize = 3;
/// Longer than any limit after which a publisher is told.
const TOLD_WITHIN: Duration = Duration::from_secs(60);
/// How long it may take until somebody else leads a queue and clients are with others.
const GOES_ON_WITHIN: Duration = Duration::from_secs(90);

/// The nodes, and what clients come through.
struct Replicated {
    cluster: RabbitCluster,
    proxy: Proxy,
    queue: RabbitQueue,
    confirmed: BTreeSet<String>,
}

impl Replicated {
    /// Starts them; clients come to the node that is so many places behind the one that
    /// leads, whose number is given, too. It wants no broker beside it that somebody does
    /// something to: three nodes more are enough for a machine.
    async fn start(behind: usize) -> (Self, usize) {
        let (mut cluster, leads) = blocking(|| {
            let cluster = RabbitCluster::start().unwrap();
            let definitions = topology(VHOST).definitions().unwrap();
            cluster.running().unwrap().import(&definitions).unwrap();
            let leads = leader(&cluster);
            (cluster, leads)
        })
        .await;
        let node = cluster.node((leads + behind) % NODES).unwrap();
        let proxy = Proxy::to(node.port()).unwrap();
        let mut config = administrator(node, proxy.port(), VHOST);
        config.limits.confirm = Duration::from_secs(10);
        config.limits.reconnected = Duration::from_secs(5);
        let replicated = Self {
            queue: connect(config).await,
            cluster,
            proxy,
            confirmed: BTreeSet::new(),
        };
        (replicated, leads)
    }

    /// Does something to the nodes that takes a while.
    async fn to<T: Send + 'static>(self, what: impl FnOnce(&mut RabbitCluster) -> T + Send + 'static) -> (Self, T) {
        let mut cluster = self.cluster;
        let (cluster, done) = blocking(move || {
            let done = what(&mut cluster);
            (cluster, done)
        })
        .await;
        (Self { cluster, ..self }, done)
    }

    /// Kills a node, and leads new connections to another, as whoever stands before a
    /// cluster does.
    async fn kill(self, node: usize, goes_on: usize) -> Self {
        let kill = move |cluster: &mut RabbitCluster| cluster.node(node).unwrap().kill();
        let (mut left, ()) = self.to(kill).await;
        left.lead_to(goes_on);
        left
    }

    fn lead_to(&mut self, node: usize) {
        self.proxy.lead_to(self.cluster.node(node).unwrap().port());
    }

    /// Publishes as a dispatcher does: again and again until it is confirmed.
    async fn publish(&mut self, id: &str) {
        let end = Instant::now() + GOES_ON_WITHIN;
        while let Err(error) = self.queue.publish(&identity(), vec![message(id)]).await {
            assert!(Instant::now() < end, "{error}\n{}", self.cluster.output());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.confirmed.insert(id.to_owned());
    }

    /// Takes until all has come that was confirmed.
    async fn take_all(&mut self) {
        let mut consumer = subscribed(&self.queue, &identity()).await;
        while !self.confirmed.is_empty() {
            let delivery = next(&mut consumer).await;
            self.confirmed.remove(&delivery.message().id);
            delivery.ack().await.unwrap();
        }
    }
}

fn leader(cluster: &RabbitCluster) -> usize {
    let queue = identity().to_string();
    cluster.until_on_all(VHOST, &queue).unwrap();
    cluster.leader(VHOST, &queue).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_confirmed_outlives_its_nodes_and_without_a_majority_nothing_is() {
    let _alone = rough().await;
    let (mut replicated, first) = Replicated::start(1).await;
    let (second, third) = ((first + 1) % NODES, (first + 2) % NODES);
    for n in 0..50 {
        replicated.publish(&n.to_string()).await;
    }

    // A minority is gone, with the connections that were to it.
    let mut replicated = replicated.kill(second, third).await;
    replicated.publish("of two").await;

    // So is the majority: told so in time, on the connection that there was and on a new one.
    let replicated = replicated.kill(first, third).await;
    let to = identity();
    for n in 0..2 {
        let publishing = replicated.queue.publish(&to, vec![message(format!("of one, {n}"))]);
        let told = tokio::time::timeout(TOLD_WITHIN, publishing).await.unwrap();
        assert!(told.is_err(), "one of three has confirmed");
    }

    let (mut replicated, ()) = replicated.to(|cluster| cluster.start_all().unwrap()).await;
    replicated.publish("of three").await;
    replicated.take_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_node_that_leads_a_queue_dies_another_leads_it() {
    let _alone = rough().await;
    let (mut replicated, leads) = Replicated::start(0).await;
    replicated.publish("before its death").await;
    let mut replicated = replicated.kill(leads, (leads + 1) % NODES).await;
    replicated.publish("under another leader").await;
    replicated.take_all().await;
}
