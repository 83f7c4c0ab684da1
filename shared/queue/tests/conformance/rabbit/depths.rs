//! Which queues are counted may change while the process runs: a site comes with a
//! new configuration. What is not there is named, and many are counted soon also
//! from far away.

use super::broker::{OnRabbit, quiet, topology};
use super::faults::subscribed;
use crate::backend::Backend as _;
use crate::kit::{identity, reports};
use offboard_queue::rabbit::Topology;
use offboard_queue::{Queue as _, QueueName};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_comes_later_is_counted_with_who_consumes_it() {
    let OnRabbit {
        queue, proxy: _proxy, ..
    } = OnRabbit::with(|config| config.queues = vec![reports()]).await;
    let counted = async || {
        let depths = queue.depths().await.unwrap().into_iter();
        depths.map(|d| (d.queue, d.consumers)).collect::<Vec<_>>()
    };
    assert_eq!(counted().await, [(reports(), Some(0))]);
    let _consumer = queue.consume(&identity(), 1).await.unwrap();
    queue.look_at([reports(), identity()]);
    let expected = [(identity(), Some(1)), (reports(), Some(0))];
    let end = Instant::now() + Duration::from_secs(20);
    // A broker takes a moment to count who has come.
    while counted().await != expected {
        assert!(Instant::now() < end, "{:?}", counted().await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_is_gone_is_named_until_it_is_back() {
    let broker = quiet().await;
    let OnRabbit {
        vhost,
        queue,
        proxy: _proxy,
    } = OnRabbit::fresh().await;
    queue.depths().await.unwrap();
    assert!(queue.absent().is_empty());
    assert_eq!(queue.unconsumed(), None);

    broker.delete_queue(&vhost, &identity().to_string()).unwrap();
    queue.depths().await.unwrap();
    assert_eq!(queue.absent(), [identity()]);
    let end = Instant::now() + Duration::from_secs(60);
    let said = loop {
        assert!(queue.consume(&identity(), 1).await.is_err());
        if let Some(said) = queue.unconsumed() {
            break said;
        }
        assert!(Instant::now() < end);
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    assert!(
        said.contains(&identity().to_string()) && said.contains("NOT_FOUND"),
        "{said}"
    );

    broker.import(&topology(&vhost).definitions().unwrap()).unwrap();
    let _consumer = subscribed(&queue, &identity()).await;
    assert_eq!(queue.unconsumed(), None);
    queue.depths().await.unwrap();
    assert!(queue.absent().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_queues_are_counted_soon_on_a_broker_that_is_far_away() {
    const SHARDS: u16 = 64;
    /// How long a dispatcher waits. One after the other they would take twice as long.
    const SOON: Duration = Duration::from_secs(3);
    let broker = quiet().await;
    let OnRabbit { vhost, queue, proxy } = OnRabbit::fresh().await;
    let many = Topology {
        report_shards: SHARDS,
        ..topology(&vhost)
    };
    broker.import(&many.definitions().unwrap()).unwrap();
    queue.look_at((0..SHARDS).map(|shard| QueueName::Reports { shard }));
    // The first time, channels are opened.
    queue.depths().await.unwrap();

    proxy.delay(Duration::from_millis(50));
    let began = Instant::now();
    let depths = queue.depths().await.unwrap();
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    assert_eq!(depths.len(), usize::from(SHARDS));
    assert!(depths.is_sorted_by_key(|d| &d.queue));
}
