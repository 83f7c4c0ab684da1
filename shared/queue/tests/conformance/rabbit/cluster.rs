//! A broker of three nodes, each queue on all of them: one is killed, the
//! leader's, and work goes on; then the next leader's, and without a majority
//! nothing is confirmed; and when they are back nothing that was is missing.

use super::broker::{administrator, blocking, connect, rough, topology};
use super::faults::{published, subscribed};
use crate::kit::{identity, message, messages, next};
use offboard_queue::Queue as _;
use offboard_servers::{Proxy, RabbitCluster};
use std::collections::BTreeSet;
use std::time::Duration;

const VHOST: &str = "replicated";
/// Longer than any limit after which a publisher is told.
const TOLD_WITHIN: Duration = Duration::from_secs(60);

/// Kills the node that leads the queue, and leads new connections to one that lives,
/// as whoever stands before a cluster does.
async fn kill_leader(mut cluster: RabbitCluster, proxy: &Proxy) -> RabbitCluster {
    let cluster = blocking(move || {
        let leads = cluster.leader(VHOST, &identity().to_string()).unwrap();
        cluster.node(leads).unwrap().kill();
        cluster
    })
    .await;
    proxy.lead_to(cluster.running().unwrap().port());
    cluster
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_confirmed_outlives_its_nodes_and_without_a_majority_nothing_is() {
    // Three nodes more are enough for a machine beside what else is done to a broker.
    let _alone = rough().await;
    let cluster = blocking(|| {
        let cluster = RabbitCluster::start().unwrap();
        let definitions = topology(VHOST).definitions().unwrap();
        cluster.running().unwrap().import(&definitions).unwrap();
        cluster.leader(VHOST, &identity().to_string()).unwrap();
        cluster
    })
    .await;
    let first = cluster.running().unwrap();
    let proxy = Proxy::to(first.port()).unwrap();
    let mut config = administrator(first, proxy.port(), VHOST);
    config.limits.confirm = Duration::from_secs(20);
    config.limits.reconnected = Duration::from_secs(5);
    let queue = connect(config).await;
    let mut confirmed = BTreeSet::new();
    for message in messages(0..50) {
        confirmed.insert(message.id.clone());
        published(&queue, &identity(), message).await;
    }

    let cluster = kill_leader(cluster, &proxy).await;
    published(&queue, &identity(), message("of two")).await;
    confirmed.insert("of two".to_owned());

    let mut cluster = kill_leader(cluster, &proxy).await;
    let to = identity();
    let publishing = queue.publish(&to, vec![message("of one")]);
    let told = tokio::time::timeout(TOLD_WITHIN, publishing).await.unwrap();
    assert!(told.is_err(), "one of three has confirmed");

    let _cluster = blocking(move || {
        cluster.start_all().unwrap();
        cluster
    })
    .await;
    published(&queue, &identity(), message("of three")).await;
    confirmed.insert("of three".to_owned());
    let mut consumer = subscribed(&queue, &identity()).await;
    while !confirmed.is_empty() {
        let delivery = next(&mut consumer).await;
        confirmed.remove(&delivery.message().id);
        delivery.ack().await.unwrap();
    }
}
