//! Consuming: a channel for each subscription, all on one connection that
//! nothing is published on, so that a broker that takes no publications still
//! delivers and hears acknowledgements.
//!
//! **A subscription that is over says so.** The client library just ends its
//! stream when the broker cancels; a channel can close, a connection fall
//! silent, and a broker forget a consumer. All of them end in
//! [`QueueError::ConsumerEnded`], the last two by a task that asks from outside
//! and on the subscription's own channel whether it still counts. Where others
//! consume the same queue the broker's count tells nothing of this one: then
//! messages that stay ready while this one waits and has room for them do.
//!
//! **An acknowledgement is on its way when `ack` returns**, no more: the
//! protocol has no answer to it. One that is lost with its connection makes the
//! message come again, and it then says that it was delivered before.

use super::apart::APART_FOR;
use super::config::RabbitConfig;
use super::link::{Link, Live};
use super::message::{buried, delivered, explain};
use super::publisher::Publisher;
use crate::{Consumer, Delivery, Message, QueueError, QueueName};
use async_trait::async_trait;
use futures::{FutureExt as _, StreamExt as _};
use lapin::Channel;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// How often in a row the broker may say that nobody consumes the queue before
/// it is believed: a node that has just become the leader counts anew.
const FORGOTTEN_AFTER: u32 = 2;

/// How many looks in a row may find messages ready of which none comes, though they are waited
/// for: between two looks a broker that delivers at all has delivered.
const SILENT_AFTER: u32 = 2;

/// How many reports are taken at a time on a connection of their own: one that waits for its
/// task, or for a newer dispatcher, is held for a while, and must not hold up all others.
const REPORTS_APART: u16 = 16;

/// How often it is looked whether a subscription that is to end still holds something.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Tags are never used twice: some brokers then deliver nothing.
static NEXT_TAG: AtomicU64 = AtomicU64::new(0);

/// What goes through a subscription, for whoever looks at it from outside.
#[derive(Debug, Default)]
struct Flow {
    /// How many deliveries came.
    came: AtomicU64,
    /// How many are held and not settled.
    held: AtomicUsize,
    /// How many may be.
    places: AtomicUsize,
    /// Whether one is waited for, and none was at hand.
    waits: AtomicBool,
}

impl Flow {
    /// Whether the broker should deliver what is ready.
    fn has_room(&self) -> bool {
        self.waits.load(Ordering::Relaxed) && self.held.load(Ordering::Relaxed) < self.places.load(Ordering::Relaxed)
    }
}

/// A delivery that is held, until this is dropped.
struct Held(Arc<Flow>);

impl Held {
    fn begin(flow: &Arc<Flow>) -> Self {
        flow.came.fetch_add(1, Ordering::Relaxed);
        flow.held.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(flow))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A delivery is waited for, until this is dropped.
struct Waits<'a>(&'a Flow);

impl<'a> Waits<'a> {
    fn begin(flow: &'a Flow) -> Self {
        flow.waits.store(true, Ordering::Relaxed);
        Self(flow)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.waits.store(false, Ordering::Relaxed);
    }
}

/// For how many looks in a row nothing has come of what is ready.
#[derive(Debug, Default)]
struct Silence {
    came: u64,
    looks: u32,
}

impl Silence {
    /// One more look: whether the subscription is dead.
    fn goes_on(&mut self, ready: u32, flow: &Flow) -> bool {
        let came = flow.came.load(Ordering::Relaxed);
        let silent = ready > 0 && flow.has_room() && came == self.came;
        self.came = came;
        self.looks = if silent { self.looks + 1 } else { 0 };
        self.looks >= SILENT_AFTER
    }
}

/// What consumer and deliveries share.
struct Subscription {
    queue: QueueName,
    flow: Arc<Flow>,
    channel: Channel,
    config: Arc<RabbitConfig>,
    publisher: Arc<Publisher>,
}

/// A subscription.
pub(super) struct RabbitConsumer {
    shared: Arc<Subscription>,
    stream: lapin::Consumer,
    /// What had come before the prefetch was last changed.
    left: VecDeque<lapin::message::Delivery>,
    /// Why it is over, found from outside.
    found: watch::Receiver<Option<String>>,
    watching: AbortHandle,
    /// Why it is over: it stays so.
    over: Option<String>,
    /// The connection, where that is its own alone.
    own: Option<Arc<Link>>,
}

/// Subscribes on this connection; on one of its own it takes few messages at a time.
pub(super) async fn subscribe(
    (live, own): (&Arc<Live>, Option<Arc<Link>>),
    queue: &QueueName,
    prefetch: u16,
    config: &Arc<RabbitConfig>,
    publisher: &Arc<Publisher>,
) -> Result<RabbitConsumer, QueueError> {
    let unavailable = |detail: String| QueueError::Unavailable {
        attempted: "consume",
        queue: queue.to_string(),
        detail,
    };
    let prefetch = if own.is_some() {
        taken_apart(queue, prefetch)
    } else {
        prefetch
    };
    let subscribing = async {
        let channel = live.connection.create_channel().await?;
        let stream = consume(&channel, queue, prefetch, config).await?;
        Ok::<_, lapin::Error>((channel, stream))
    };
    let (channel, stream) = match tokio::time::timeout(config.limits.answer, subscribing).await {
        Ok(subscribed) => subscribed.map_err(|e| unavailable(e.to_string()))?,
        Err(_) => {
            live.hang_up();
            return Err(unavailable("the broker did not answer".to_owned()));
        }
    };
    let (find, found) = watch::channel(None);
    let flow = Arc::new(Flow::default());
    flow.places.store(places(prefetch), Ordering::Relaxed);
    let shared = Arc::new(Subscription {
        queue: queue.clone(),
        flow: Arc::clone(&flow),
        channel: channel.clone(),
        config: Arc::clone(config),
        publisher: Arc::clone(publisher),
    });
    let watched = (channel, queue.to_string(), Arc::clone(&flow));
    let watching = watch_over(Arc::clone(live), watched, config.limits, find.clone());
    let alone = own.is_some();
    let watching = async move {
        tokio::select! {
            () = watching => {}
            () = apart_long_enough(&flow), if alone => {
                find.send_replace(Some("its own connection has stood for a while; it is consumed with the others again".to_owned()));
            }
        }
    };
    Ok(RabbitConsumer {
        shared,
        stream,
        left: VecDeque::new(),
        found,
        watching: tokio::spawn(watching).abort_handle(),
        over: None,
        own,
    })
}

/// How many of a queue's messages are taken at a time on a connection of its own.
fn taken_apart(queue: &QueueName, prefetch: u16) -> u16 {
    match queue {
        QueueName::Reports { .. } => prefetch.min(REPORTS_APART),
        QueueName::Assignments { .. } | QueueName::Sealing | QueueName::Dead => 1,
    }
}

/// How many deliveries the broker lets a consumer hold: it takes zero for no bound.
fn places(prefetch: u16) -> usize {
    usize::from(prefetch.max(1))
}

/// One more consumer of this channel. The broker counts each one's prefetch by
/// itself.
async fn consume(
    channel: &Channel,
    queue: &QueueName,
    prefetch: u16,
    config: &RabbitConfig,
) -> lapin::Result<lapin::Consumer> {
    let tag = format!("{}.{}", config.name, NEXT_TAG.fetch_add(1, Ordering::Relaxed));
    channel.basic_qos(prefetch.max(1), BasicQosOptions::default()).await?;
    let consuming = channel.basic_consume(
        queue.to_string().into(),
        tag.into(),
        BasicConsumeOptions::default(),
        FieldTable::default(),
    );
    consuming.await
}

/// Returns when a subscription on a connection of its own need not be so any more, and
/// holds nothing, if that comes soon: what is held comes again when it ends.
async fn apart_long_enough(flow: &Flow) {
    tokio::time::sleep(APART_FOR).await;
    let idle = async {
        while flow.held.load(Ordering::Relaxed) > 0 {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    drop(tokio::time::timeout(APART_FOR, idle).await);
}

/// Asks from time to time whether the subscription still counts, and ends when
/// it does not.
async fn watch_over(
    live: Arc<Live>,
    (channel, queue, flow): (Channel, String, Arc<Flow>),
    limits: super::config::Limits,
    find: watch::Sender<Option<String>>,
) {
    let mut forgotten = 0;
    let mut silence = Silence::default();
    loop {
        tokio::time::sleep(limits.watch).await;
        let passive = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let asked = channel.queue_declare(queue.as_str().into(), passive, FieldTable::default());
        let over = match tokio::time::timeout(limits.answer, asked).await {
            Ok(Ok(state)) if state.consumer_count() > 0 => {
                forgotten = 0;
                let silent = silence.goes_on(state.message_count(), &flow);
                silent.then(|| "messages are ready, and the broker delivers none of them to it".to_owned())
            }
            Ok(Ok(_)) => {
                forgotten += 1;
                (forgotten >= FORGOTTEN_AFTER).then(|| "the broker has forgotten it".to_owned())
            }
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => {
                live.hang_up();
                Some(format!("the broker has not answered for {} s", limits.answer.as_secs()))
            }
        };
        if over.is_some() {
            find.send_replace(over);
            return;
        }
    }
}

impl RabbitConsumer {
    fn ended(&mut self, detail: String) -> QueueError {
        let detail = self.over.get_or_insert(detail).clone();
        self.shared.ended(detail)
    }

    /// Consumes anew with another prefetch on the same channel, where what is
    /// held can still be settled, and lets go of the subscription before. The
    /// broker's answer to that comes after all that it delivered to it.
    async fn consume_anew(&mut self, prefetch: u16) -> lapin::Result<bool> {
        let shared = &self.shared;
        let stream = consume(&shared.channel, &shared.queue, prefetch, &shared.config).await?;
        shared.flow.places.store(places(prefetch), Ordering::Relaxed);
        let mut before = std::mem::replace(&mut self.stream, stream);
        let cancelling = shared.channel.basic_cancel(before.tag(), BasicCancelOptions::default());
        cancelling.await?;
        while let Some(item) = before.next().now_or_never() {
            match item {
                Some(delivery) => self.left.push_back(delivery?),
                None => return Ok(true),
            }
        }
        Ok(false)
    }
}

#[async_trait]
impl Consumer for RabbitConsumer {
    async fn next(&mut self) -> Result<Box<dyn Delivery>, QueueError> {
        // A consumer that always finds something still lets others run.
        tokio::task::coop::consume_budget().await;
        if let Some(detail) = self.over.clone() {
            return Err(self.ended(detail));
        }
        loop {
            // What is still at hand of a channel that is closed returns to the
            // queue, so it is not given out any more.
            let at_hand = match self.left.pop_front() {
                Some(left) => Some(Some(Ok(left))),
                None => self.stream.next().now_or_never(),
            };
            let at_hand = match at_hand {
                Some(item) => item,
                None => {
                    let item = {
                        let _waits = Waits::begin(&self.shared.flow);
                        let stream = &mut self.stream;
                        let found = self.found.wait_for(Option::is_some);
                        tokio::select! {
                            biased;
                            item = stream.next() => Ok(item),
                            found = found => Err(found.ok().and_then(|found| found.clone())),
                        }
                    };
                    match item {
                        Ok(item) => item,
                        Err(found) => {
                            let detail = found.unwrap_or_else(|| "nobody watches over it any more".to_owned());
                            return Err(self.ended(detail));
                        }
                    }
                }
            };
            let delivery = match at_hand {
                Some(Ok(delivery)) => delivery,
                Some(Err(error)) => return Err(self.ended(error.to_string())),
                None => {
                    return Err(self.ended("the broker cancelled it: the queue may have been deleted".to_owned()));
                }
            };
            if !self.shared.channel.status().connected() {
                return Err(self.ended("its channel was closed".to_owned()));
            }
            let (mut message, sender) = delivered(&delivery.properties, delivery.data);
            if self.shared.queue == QueueName::Dead {
                explain(&mut message, &delivery.properties);
            }
            let delivery = RabbitDelivery {
                shared: Arc::clone(&self.shared),
                tag: delivery.delivery_tag,
                redelivered: delivery.redelivered,
                message,
                sender,
                settled: false,
                _held: Held::begin(&self.shared.flow),
            };
            // The broker looks only at the head of the queue for what has run out.
            if delivery.expired() {
                delivery.forget();
                continue;
            }
            return Ok(Box::new(delivery));
        }
    }

    async fn resize(&mut self, prefetch: u16) -> Result<(), QueueError> {
        if let Some(detail) = self.over.clone() {
            return Err(self.ended(detail));
        }
        if self.own.is_some() {
            // As few at a time, for as long as it is.
            return Ok(());
        }
        let answer = self.shared.config.limits.answer;
        match tokio::time::timeout(answer, self.consume_anew(prefetch)).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(self.ended("it did not end when it was let go of".to_owned())),
            Ok(Err(error)) => Err(self.ended(error.to_string())),
            Err(_) => Err(self.ended("the broker did not answer".to_owned())),
        }
    }
}

impl Drop for RabbitConsumer {
    fn drop(&mut self) {
        self.watching.abort();
        // Closing the channel returns all that is not settled.
        begin(self.shared.channel.close(200, "OK".into()));
    }
}

impl Subscription {
    fn ended(&self, detail: String) -> QueueError {
        QueueError::ConsumerEnded {
            queue: self.queue.to_string(),
            detail,
        }
    }

    /// Waits until an order about a delivery is on its way.
    async fn sent(&self, order: impl Future<Output = lapin::Result<()>>) -> Result<(), QueueError> {
        match tokio::time::timeout(self.config.limits.answer, order).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.ended(error.to_string())),
            Err(_) => Err(self.ended("the connection takes nothing any more".to_owned())),
        }
    }
}

/// Sends a frame without waiting until it is written: the first poll queues it.
fn begin(order: impl Future) {
    let mut order = pin!(order);
    // Whether it can still be sent, nobody waits to hear.
    drop(order.as_mut().poll(&mut Context::from_waker(Waker::noop())));
}

struct RabbitDelivery {
    shared: Arc<Subscription>,
    /// Of this channel alone: another channel's tags never meet it, since a
    /// lost connection takes its channels with it.
    tag: u64,
    redelivered: bool,
    message: Message,
    sender: String,
    settled: bool,
    _held: Held,
}

impl RabbitDelivery {
    fn expired(&self) -> bool {
        let now = (self.shared.config.clock)();
        self.message.expires_at.is_some_and(|at| at <= now)
    }

    /// It is dealt with, and nobody waits to hear.
    fn forget(mut self) {
        self.settled = true;
        begin(self.shared.channel.basic_ack(self.tag, BasicAckOptions::default()));
    }

    async fn acknowledge(&mut self) -> Result<(), QueueError> {
        self.settled = true;
        let order = self.shared.channel.basic_ack(self.tag, BasicAckOptions::default());
        self.shared.sent(order).await
    }
}

const GIVEN_BACK: BasicNackOptions = BasicNackOptions {
    multiple: false,
    requeue: true,
};

#[async_trait]
impl Delivery for RabbitDelivery {
    fn message(&self) -> &Message {
        &self.message
    }

    fn redelivered(&self) -> bool {
        self.redelivered
    }

    fn sender(&self) -> Option<&str> {
        Some(&self.sender)
    }

    fn tag(&self) -> Option<u64> {
        Some(self.tag)
    }

    async fn ack(mut self: Box<Self>) -> Result<(), QueueError> {
        self.acknowledge().await
    }

    async fn give_back(mut self: Box<Self>) -> Result<(), QueueError> {
        self.settled = true;
        let order = self.shared.channel.basic_nack(self.tag, GIVEN_BACK);
        self.shared.sent(order).await
    }

    async fn bury(mut self: Box<Self>, reason: &str) -> Result<(), QueueError> {
        let shared = Arc::clone(&self.shared);
        if !shared.channel.status().connected() {
            return Err(shared.ended("its channel was closed".to_owned()));
        }
        let (config, from) = (&shared.config, shared.queue.to_string());
        let copy = buried(&self.message, &from, &self.sender, reason, (config.clock)(), config);
        // First the copy is safe; a crash in between buries it twice.
        shared.publisher.bury(&shared.queue, copy).await?;
        self.acknowledge().await
    }
}

impl Drop for RabbitDelivery {
    fn drop(&mut self) {
        if !self.settled {
            begin(self.shared.channel.basic_nack(self.tag, GIVEN_BACK));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks that find this much ready, each after so many deliveries came.
    fn dead(flow: &Flow, looks: &[(u32, u64)]) -> bool {
        let mut silence = Silence::default();
        let mut dead = false;
        for (ready, came) in looks {
            flow.came.fetch_add(*came, Ordering::Relaxed);
            dead = silence.goes_on(*ready, flow);
        }
        dead
    }

    #[test]
    fn a_report_that_waits_holds_up_no_other_on_a_connection_of_its_own() {
        let reports = QueueName::Reports { shard: 3 };
        assert!(taken_apart(&reports, 512) > 1);
        assert_eq!(taken_apart(&reports, 1), 1, "who wants one has one");
        assert_eq!(taken_apart(&QueueName::Sealing, 512), 1);
    }

    #[test]
    fn what_stays_ready_while_it_is_waited_for_shows_that_a_subscription_is_dead() {
        let flow = Arc::new(Flow::default());
        flow.places.store(places(2), Ordering::Relaxed);
        assert!(!dead(&flow, &[(5, 1), (5, 0), (5, 0), (5, 0)]), "nobody waits for any");
        let waits = Waits::begin(&flow);
        assert!(!dead(&flow, &[(5, 1), (5, 0)]), "it may have come ready just now");
        assert!(dead(&flow, &[(5, 1), (5, 0), (5, 0)]));
        assert!(!dead(&flow, &[(5, 1), (5, 0), (5, 1)]), "one came");
        assert!(!dead(&flow, &[(5, 1), (5, 0), (0, 0), (5, 0)]), "others took them");
        let held = [Held::begin(&flow), Held::begin(&flow)];
        assert!(!dead(&flow, &[(5, 1), (5, 0), (5, 0)]), "there is no room for more");
        drop(held);
        assert!(dead(&flow, &[(5, 1), (5, 0), (5, 0)]));
        drop(waits);
        assert!(!flow.has_room());
    }
}
