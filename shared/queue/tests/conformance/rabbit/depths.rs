//! Which queues are counted may change while the process runs: a site comes with a
//! new configuration.

use super::broker::OnRabbit;
use crate::kit::{identity, reports};
use offboard_queue::Queue as _;
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
