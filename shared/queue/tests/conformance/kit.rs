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

/// How long anything may take that must come.
const WITHIN: std::time::Duration = std::time::Duration::from_secs(20);

/// How long a delivery may take before the suite says that none comes. Only
/// ever waited out where none is right.
pub(crate) const SOON: std::time::Duration = std::time::Duration::from_millis(300);

pub(crate) async fn next(consumer: &mut Box<dyn Consumer>) -> Box<dyn Delivery> {
    tokio::time::timeout(WITHIN, consumer.next())
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

/// Waits until a queue holds so much: ready, unacknowledged. A broker takes a
/// moment to count what it was told, and may not tell the second.
pub(crate) async fn holds(queue: &dyn Queue, name: &QueueName, ready: u64, unacknowledged: u64) {
    let mut seen = None;
    let counted = async {
        loop {
            let depths = queue.depths().await.unwrap();
            let depth = depths.into_iter().find(|d| d.queue == *name);
            let (r, u) = depth.map_or((0, None), |d| (d.ready, d.unacknowledged));
            if r == ready && u.is_none_or(|u| u == unacknowledged) {
                return;
            }
            seen = Some((r, u));
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(WITHIN, counted).await.is_err() {
        panic!("{name} holds {seen:?}, not ({ready}, {unacknowledged})");
    }
}

/// Looks at the dead until there are so many: what a consumer held returns a
/// moment after it has gone.
pub(crate) async fn dead(queue: &dyn Queue, many: usize) -> Vec<(Message, String)> {
    let mut seen = 0;
    let looked = async {
        loop {
            let dead = queue.dead(10).await.unwrap();
            seen = dead.len();
            if seen == many {
                return dead;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    match tokio::time::timeout(WITHIN, looked).await {
        Ok(dead) => dead,
        Err(_) => panic!("{seen} dead, not {many}"),
    }
}
