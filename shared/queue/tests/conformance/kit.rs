//! Messages and deliveries, so that a law says only what it is about.

use bytes::Bytes;
use offboard_domain::{Area, Lane};
use offboard_queue::{Consumer, Delivery, Message, Queue, QueueName};
use std::collections::BTreeMap;

pub(crate) fn identity() -> QueueName {
    QueueName::Assignments {
        area: Area::Identity,
        lane: Lane::Normal,
        site: None,
    }
}

pub(crate) fn reports() -> QueueName {
    QueueName::Reports { shard: 3 }
}

pub(crate) fn message(id: impl ToString) -> Message {
    let id = id.to_string();
    Message {
        headers: BTreeMap::new(),
        body: Bytes::from(format!("body of {id}")),
        id,
        expires_at: None,
    }
}

pub(crate) fn messages(range: std::ops::Range<usize>) -> Vec<Message> {
    range.map(message).collect()
}

/// How long a delivery may take before the suite says that none comes. Only
/// ever waited out where none is right.
const SOON: std::time::Duration = std::time::Duration::from_millis(300);

pub(crate) async fn next(consumer: &mut Box<dyn Consumer>) -> Box<dyn Delivery> {
    let within = std::time::Duration::from_secs(20);
    tokio::time::timeout(within, consumer.next())
        .await
        .expect("a delivery in time")
        .unwrap()
}

pub(crate) async fn nothing_comes(consumer: &mut Box<dyn Consumer>) {
    if let Ok(came) = tokio::time::timeout(SOON, consumer.next()).await {
        panic!("came: {:?}", came.map(|d| d.message().id.clone()));
    }
}

/// The next so many, unsettled, by id in the order of arrival.
pub(crate) async fn take(consumer: &mut Box<dyn Consumer>, many: usize) -> Vec<Box<dyn Delivery>> {
    let mut taken = Vec::new();
    for _ in 0..many {
        taken.push(next(consumer).await);
    }
    taken
}

pub(crate) fn ids(deliveries: &[Box<dyn Delivery>]) -> Vec<String> {
    let mut ids: Vec<String> = deliveries.iter().map(|d| d.message().id.clone()).collect();
    ids.sort();
    ids
}

pub(crate) async fn ack_all(deliveries: Vec<Box<dyn Delivery>>) {
    for delivery in deliveries {
        delivery.ack().await.unwrap();
    }
}

/// What a queue holds: ready, unacknowledged.
pub(crate) async fn depth(queue: &dyn Queue, of: &QueueName) -> (u64, u64) {
    let depths = queue.depths().await.unwrap();
    depths
        .into_iter()
        .find(|d| d.queue == *of)
        .map_or((0, 0), |d| (d.ready, d.unacknowledged))
}
