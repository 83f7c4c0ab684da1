//! The queue in memory: for the embedded mode, where one process is all there
//! is and the ledger refills whatever a restart has emptied.
//!
//! It behaves as a broker does. Messages are handed to the consumers of a
//! queue in turn, first in first out, to each no more than its prefetch, also
//! while it is not asking; what a consumer holds returns to its old place when
//! the delivery is dropped unsettled or the consumer goes. Time is the clock
//! that it is given; there is no task of its own, so that on one thread
//! everything happens in an order that can be repeated.

use crate::{
    BURIED_FROM, BURIED_REASON, Clock, Consumer, Delivery, Depth, Message, Queue, QueueError, QueueName, Wanted,
};
use async_trait::async_trait;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The in-memory backend. A clone is another handle on the same queues.
#[derive(Clone)]
pub struct LocalQueue {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Clock,
    queues: Mutex<BTreeMap<QueueName, Arc<One>>>,
}

/// One queue.
struct One {
    name: QueueName,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Waiting, in the order in which they were published.
    ready: VecDeque<Item>,
    consumers: BTreeMap<u64, Holding>,
    /// Whose turn it is; if he is gone or full, his who comes after him.
    turn: u64,
    next_seq: u64,
    next_consumer: u64,
}

/// What a consumer holds.
struct Holding {
    prefetch: usize,
    /// Handed to it, not yet asked for.
    inbox: VecDeque<Item>,
    /// Delivered and not settled, by `seq`.
    held: BTreeMap<u64, Item>,
    wake: Arc<Notify>,
}

#[derive(Clone)]
struct Item {
    seq: u64,
    message: Arc<Message>,
    redelivered: bool,
}

impl Item {
    fn expired(&self, clock: &Clock) -> bool {
        self.message.expires_at.is_some_and(|at| at <= clock())
    }
}

impl LocalQueue {
    /// Empty queues under this clock.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            shared: Arc::new(Shared {
                clock,
                queues: Mutex::default(),
            }),
        }
    }

    /// Ends every consumer of a queue, as a broker does that goes away: their
    /// streams end with an error and what they hold returns.
    pub fn sever(&self, queue: &QueueName) {
        let one = self.one(queue);
        let mut state = one.lock();
        for (_, gone) in std::mem::take(&mut state.consumers) {
            state.take_back(gone.inbox);
            state.take_back(gone.held.into_values().map(returned));
            gone.wake.notify_one();
        }
    }

    fn one(&self, queue: &QueueName) -> Arc<One> {
        let mut queues = self.shared.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(one) = queues.get(queue) {
            return Arc::clone(one);
        }
        let clock = Arc::clone(&self.shared.clock);
        let one = Arc::new(One {
            name: queue.clone(),
            clock,
            state: Mutex::default(),
        });
        queues.insert(queue.clone(), Arc::clone(&one));
        one
    }

    fn all(&self) -> Vec<Arc<One>> {
        self.shared
            .queues
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }
}

impl fmt::Debug for LocalQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalQueue(…)")
    }
}

#[async_trait]
impl Queue for LocalQueue {
    async fn publish(&self, queue: &QueueName, messages: Vec<Message>) -> Result<(), QueueError> {
        self.one(queue).publish(messages);
        Ok(())
    }

    async fn consume(&self, queue: &QueueName, prefetch: u16) -> Result<Box<dyn Consumer>, QueueError> {
        let one = self.one(queue);
        let wake = Arc::new(Notify::new());
        let id = {
            let mut state = one.lock();
            let id = state.next_consumer;
            state.next_consumer += 1;
            let holding = Holding {
                prefetch: usize::from(prefetch.max(1)),
                inbox: VecDeque::new(),
                held: BTreeMap::new(),
                wake: Arc::clone(&wake),
            };
            state.consumers.insert(id, holding);
            state.hand_out(&one.clock);
            id
        };
        Ok(Box::new(LocalConsumer {
            queue: self.clone(),
            one,
            id,
            wake,
        }))
    }

    async fn depths(&self) -> Result<Vec<Depth>, QueueError> {
        let depth = |one: Arc<One>| {
            let mut state = one.lock();
            state.ready.retain(|item| !item.expired(&one.clock));
            let unacknowledged: usize = state.consumers.values().map(|c| c.inbox.len() + c.held.len()).sum();
            Depth {
                queue: one.name.clone(),
                ready: state.ready.len() as u64,
                unacknowledged: Some(unacknowledged as u64),
                consumers: Some(state.consumers.len() as u64),
            }
        };
        Ok(self.all().into_iter().map(depth).collect())
    }

    async fn dead(&self, limit: usize) -> Result<Vec<(Message, String)>, QueueError> {
        self.dead_among(&|_: &Message| true, limit).await
    }

    async fn dead_among(&self, wanted: Wanted<'_>, limit: usize) -> Result<Vec<(Message, String)>, QueueError> {
        let one = self.one(&QueueName::Dead);
        let state = one.lock();
        let held = state
            .consumers
            .values()
            .flat_map(|c| c.inbox.iter().chain(c.held.values()));
        let mut buried: Vec<&Item> = state.ready.iter().chain(held).collect();
        buried.sort_by_key(|item| std::cmp::Reverse(item.seq));
        let opened = buried.into_iter().map(|item| {
            let mut message = Message::clone(&item.message);
            let reason = message.headers.remove(BURIED_REASON).unwrap_or_default();
            (message.unburied(), reason)
        });
        Ok(opened.filter(|(message, _)| wanted(message)).take(limit).collect())
    }
}

impl One {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No code of others runs under the lock but the clock, and that only
        // where nothing is half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, messages: Vec<Message>) {
        let mut state = self.lock();
        state.ready.reserve(messages.len());
        for message in messages {
            let seq = state.next_seq;
            state.next_seq += 1;
            state.ready.push_back(Item {
                seq,
                message: Arc::new(message),
                redelivered: false,
            });
        }
        state.hand_out(&self.clock);
    }

    fn ended(&self) -> QueueError {
        QueueError::ConsumerEnded {
            queue: self.name.to_string(),
            detail: "its consumers were ended".to_owned(),
        }
    }
}

impl State {
    /// Gives what is ready to the consumers in turn, as far as they have room.
    fn hand_out(&mut self, clock: &Clock) {
        while let Some(id) = self.next_with_room() {
            let Some(item) = self.ready.pop_front() else { return };
            if item.expired(clock) {
                continue;
            }
            if let Some(consumer) = self.consumers.get_mut(&id) {
                self.turn = id + 1;
                consumer.inbox.push_back(item);
                consumer.wake.notify_one();
            }
        }
    }

    fn next_with_room(&self) -> Option<u64> {
        if self.ready.is_empty() {
            return None;
        }
        let mut in_turn = self
            .consumers
            .range(self.turn..)
            .chain(self.consumers.range(..self.turn));
        in_turn
            .find(|(_, c)| c.inbox.len() + c.held.len() < c.prefetch)
            .map(|(id, _)| *id)
    }

    /// Puts items back where they stood.
    fn take_back(&mut self, items: impl IntoIterator<Item = Item>) {
        for item in items {
            let place = self.ready.partition_point(|other| other.seq < item.seq);
            self.ready.insert(place, item);
        }
    }
}

fn returned(mut item: Item) -> Item {
    item.redelivered = true;
    item
}

struct LocalConsumer {
    queue: LocalQueue,
    one: Arc<One>,
    id: u64,
    wake: Arc<Notify>,
}

#[async_trait]
impl Consumer for LocalConsumer {
    async fn next(&mut self) -> Result<Box<dyn Delivery>, QueueError> {
        // A consumer that always finds something still lets others run.
        tokio::task::coop::consume_budget().await;
        loop {
            {
                let mut guard = self.one.lock();
                let state = &mut *guard;
                let Some(mine) = state.consumers.get_mut(&self.id) else {
                    return Err(self.one.ended());
                };
                let mut dropped = false;
                while let Some(item) = mine.inbox.pop_front() {
                    if item.expired(&self.one.clock) {
                        dropped = true;
                        continue;
                    }
                    mine.held.insert(item.seq, item.clone());
                    if dropped {
                        state.hand_out(&self.one.clock);
                    }
                    let delivery = LocalDelivery {
                        queue: self.queue.clone(),
                        one: Arc::clone(&self.one),
                        consumer: self.id,
                        item,
                        settled: false,
                    };
                    return Ok(Box::new(delivery));
                }
                if dropped {
                    state.hand_out(&self.one.clock);
                    continue;
                }
            }
            self.wake.notified().await;
        }
    }

    async fn resize(&mut self, prefetch: u16) -> Result<(), QueueError> {
        let mut state = self.one.lock();
        let Some(mine) = state.consumers.get_mut(&self.id) else {
            return Err(self.one.ended());
        };
        mine.prefetch = usize::from(prefetch.max(1));
        state.hand_out(&self.one.clock);
        Ok(())
    }
}

impl Drop for LocalConsumer {
    fn drop(&mut self) {
        let mut state = self.one.lock();
        if let Some(gone) = state.consumers.remove(&self.id) {
            state.take_back(gone.inbox);
            state.take_back(gone.held.into_values().map(returned));
            state.hand_out(&self.one.clock);
        }
    }
}

struct LocalDelivery {
    queue: LocalQueue,
    one: Arc<One>,
    consumer: u64,
    item: Item,
    settled: bool,
}

impl LocalDelivery {
    /// Takes the message out of its consumer's hands; none if the consumer
    /// went, and the message with it.
    fn settle(&mut self, give_back: bool) -> Result<(), QueueError> {
        self.settled = true;
        let mut state = self.one.lock();
        let held = state
            .consumers
            .get_mut(&self.consumer)
            .and_then(|c| c.held.remove(&self.item.seq));
        let item = held.ok_or_else(|| self.one.ended())?;
        if give_back {
            state.take_back([returned(item)]);
        }
        state.hand_out(&self.one.clock);
        Ok(())
    }
}

#[async_trait]
impl Delivery for LocalDelivery {
    fn message(&self) -> &Message {
        &self.item.message
    }

    fn redelivered(&self) -> bool {
        self.item.redelivered
    }

    fn sender(&self) -> Option<&str> {
        None
    }

    async fn ack(mut self: Box<Self>) -> Result<(), QueueError> {
        self.settle(false)
    }

    async fn give_back(mut self: Box<Self>) -> Result<(), QueueError> {
        self.settle(true)
    }

    async fn bury(mut self: Box<Self>, reason: &str) -> Result<(), QueueError> {
        self.settle(false)?;
        let mut message = Message::clone(&self.item.message);
        message.expires_at = None;
        if self.one.name != QueueName::Dead {
            message = message.unburied();
            let from = self.one.name.to_string();
            message.headers.insert(BURIED_FROM.to_owned(), from);
        }
        message.headers.insert(BURIED_REASON.to_owned(), reason.to_owned());
        self.queue.one(&QueueName::Dead).publish(vec![message]);
        Ok(())
    }
}

impl Drop for LocalDelivery {
    fn drop(&mut self) {
        if !self.settled {
            // Its consumer may be gone, and has then already given it back.
            drop(self.settle(true));
        }
    }
}
