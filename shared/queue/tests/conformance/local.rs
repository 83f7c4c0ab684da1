//! The in-memory backend, under a clock that the test moves; and what it
//! promises beyond the laws.

use crate::backend::{Backend, conformance};
use crate::kit::{ack_all, identity, message, messages, next, take};
use async_trait::async_trait;
use offboard_domain::Timestamp;
use offboard_queue::{LocalQueue, Message, Queue, QueueError, QueueName};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

pub(crate) struct Local {
    queue: LocalQueue,
    now: Arc<AtomicI64>,
}

impl Local {
    fn new() -> Self {
        let now = Arc::new(AtomicI64::new(1_800_000_000_000));
        let clock = Arc::clone(&now);
        Self {
            queue: LocalQueue::new(Arc::new(move || Timestamp(clock.load(Ordering::SeqCst)))),
            now,
        }
    }
}

#[async_trait]
impl Backend for Local {
    const DURABLE: bool = false;
    const SHORT_MS: i64 = 500;
    const WITHIN: Duration = Duration::from_secs(60);

    async fn fresh() -> Self {
        Self::new()
    }

    fn queue(&self) -> Arc<dyn Queue> {
        Arc::new(self.queue.clone())
    }

    async fn restart(self) -> Self {
        Self::new()
    }

    async fn sever(&self, queue: &QueueName) {
        self.queue.sever(queue);
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::SeqCst))
    }

    async fn pass(&self, ms: i64) {
        self.now.fetch_add(ms, Ordering::SeqCst);
    }
}

conformance!(crate::local::Local);

fn in_order(deliveries: &[Box<dyn offboard_queue::Delivery>]) -> Vec<usize> {
    deliveries.iter().map(|d| d.message().id.parse().unwrap()).collect()
}

#[tokio::test]
async fn first_in_first_out_also_after_a_return() {
    let queue = Local::new().queue();
    queue.publish(&identity(), messages(0..10)).await.unwrap();
    let mut gone = queue.consume(&identity(), 4).await.unwrap();
    let held = take(&mut gone, 3).await;
    assert_eq!(in_order(&held), [0, 1, 2]);
    drop(gone);
    drop(held);
    let mut consumer = queue.consume(&identity(), 20).await.unwrap();
    let all = take(&mut consumer, 10).await;
    assert_eq!(
        in_order(&all),
        (0..10).collect::<Vec<_>>(),
        "each returned to its old place, once"
    );
    let redelivered: Vec<bool> = all.iter().map(|d| d.redelivered()).collect();
    assert_eq!(
        redelivered,
        [true, true, true, false, false, false, false, false, false, false]
    );
}

#[tokio::test]
async fn consumers_are_served_in_turn() {
    let queue = Local::new().queue();
    let mut consumers = Vec::new();
    for _ in 0..3 {
        consumers.push(queue.consume(&identity(), 4).await.unwrap());
    }
    queue.publish(&identity(), messages(0..9)).await.unwrap();
    for (n, consumer) in consumers.iter_mut().enumerate() {
        let got = take(consumer, 3).await;
        assert_eq!(in_order(&got), [n, n + 3, n + 6]);
        ack_all(got).await;
    }
    // The turn goes on where it was, also after one has left.
    consumers.remove(0);
    queue.publish(&identity(), messages(9..11)).await.unwrap();
    let got = [next(&mut consumers[0]).await, next(&mut consumers[1]).await];
    assert_eq!(in_order(&got), [9, 10]);
}

#[tokio::test]
async fn what_expired_is_not_counted() {
    let backend = Local::new();
    let queue = backend.queue();
    let until = |n: usize, ms| Message {
        expires_at: Some(backend.now().plus(ms)),
        ..message(n)
    };
    let batch = vec![message(0), until(1, 500), until(2, 600_000), until(3, -1)];
    queue.publish(&identity(), batch).await.unwrap();
    backend.pass(500).await;
    assert_eq!(queue.depths().await.unwrap()[0].ready, 2);
}

#[tokio::test]
async fn depths_say_how_many_consume() {
    let queue = Local::new().queue();
    let consumers = async || queue.depths().await.unwrap()[0].consumers;
    let left = queue.consume(&identity(), 4).await.unwrap();
    let right = queue.consume(&identity(), 4).await.unwrap();
    assert_eq!(consumers().await, Some(2));
    drop((left, right));
    assert_eq!(consumers().await, Some(0));
}

#[tokio::test]
async fn settling_after_the_consumer_went_is_an_error() {
    let queue = Local::new().queue();
    queue.publish(&identity(), messages(0..3)).await.unwrap();
    let mut gone = queue.consume(&identity(), 4).await.unwrap();
    let mut held = take(&mut gone, 3).await.into_iter();
    drop(gone);
    let refused = |r| matches!(r, Err(QueueError::ConsumerEnded { .. }));
    assert!(refused(held.next().unwrap().ack().await));
    assert!(refused(held.next().unwrap().give_back().await));
    assert!(refused(held.next().unwrap().bury("never").await));
    assert!(queue.dead(9).await.unwrap().is_empty());
    let mut consumer = queue.consume(&identity(), 9).await.unwrap();
    assert_eq!(in_order(&take(&mut consumer, 3).await), [0, 1, 2]);
}

/// Two runs of the same tasks on one thread end in the same order.
#[test]
fn on_one_thread_everything_repeats() {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let queue = Local::new().queue();
            let mut workers = tokio::task::JoinSet::new();
            let (seen, mut sightings) = tokio::sync::mpsc::unbounded_channel();
            for worker in 0..4_u64 {
                let mut consumer = queue.consume(&identity(), 2).await.unwrap();
                let seen = seen.clone();
                workers.spawn(async move {
                    loop {
                        let delivery = consumer.next().await.unwrap();
                        let id: u64 = delivery.message().id.parse().unwrap();
                        seen.send((worker, id)).unwrap();
                        tokio::time::sleep(Duration::from_millis((id * 7 + worker) % 11)).await;
                        if id % 5 == worker && !delivery.redelivered() {
                            drop(delivery);
                        } else {
                            delivery.ack().await.unwrap();
                        }
                    }
                });
            }
            queue.publish(&identity(), messages(0..100)).await.unwrap();
            let mut order = Vec::new();
            while let Ok(Some(sighting)) = tokio::time::timeout(Duration::from_secs(1), sightings.recv()).await {
                order.push(sighting);
            }
            order
        })
    };
    let first = run();
    assert!(first.len() >= 100);
    assert_eq!(first, run());
}
