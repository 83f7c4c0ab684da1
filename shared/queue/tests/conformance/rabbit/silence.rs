//! A network that drops everything without a word, on new connections too, and
//! forgets those that there were: whoever waits is told in bounded time, and all
//! goes on over a connection that is heard.

use super::broker::OnRabbit;
use super::faults::{comes, ended, published, subscribed};
use crate::kit::{identity, message, next, reports};
use offboard_queue::Queue as _;
use std::time::Duration;

/// The heartbeat of these tests is four seconds, of which two may be missing; the rest
/// is a busy machine's.
const TOLD_WITHIN: Duration = Duration::from_secs(40);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_drops_everything_is_noticed_by_all_and_come_back_from() {
    let OnRabbit { proxy, queue, .. } = OnRabbit::with(|config| {
        // Only the missing heartbeats tell.
        config.limits.confirm = Duration::from_secs(600);
        config.limits.watch = Duration::from_secs(600);
        config.limits.connect = Duration::from_secs(3);
        config.limits.reconnected = Duration::from_secs(2);
    })
    .await;
    queue.publish(&identity(), vec![message("held")]).await.unwrap();
    let mut consumer = queue.consume(&identity(), 10).await.unwrap();
    let held = next(&mut consumer).await;

    proxy.swallow();
    let to = reports();
    let publishing = queue.publish(&to, vec![message("unknown")]);
    let told = tokio::time::timeout(TOLD_WITHIN, publishing).await.unwrap();
    let said = told.unwrap_err().to_string();
    assert!(said.contains("unknown"), "{said}");
    ended(&mut consumer).await;
    drop(held);
    // Who comes later hears why there is no connection.
    let publishing = queue.publish(&to, vec![message("later")]);
    let told = tokio::time::timeout(TOLD_WITHIN, publishing).await.unwrap();
    let said = told.unwrap_err().to_string();
    assert!(said.contains("there is no connection to the broker"), "{said}");
    assert!(queue.lost().is_some());

    // The attempt that is under way stays unheard: it must be given up for another.
    proxy.pass_new();
    let mut consumer = subscribed(&queue, &identity()).await;
    let again = next(&mut consumer).await;
    assert!(again.redelivered() && again.message().id == "held");
    again.ack().await.unwrap();
    published(&queue, &identity(), message("after")).await;
    comes(&mut consumer, "after").await;
    assert_eq!(queue.lost(), None);
}
