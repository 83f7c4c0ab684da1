//! The queue, as unkind as its laws allow: messages come twice, late and in
//! another order, a publish fails after it was accepted, subscriptions end,
//! an acknowledgement is lost. What was confirmed is lost only in a crash: of the one
//! process that there is, or of the broker with its data.

use crate::audit::Auditor;
use crate::trouble::{Fate, Trouble};
use async_trait::async_trait;
use offboard_domain::{Assignment, Mode};
use offboard_queue::{Consumer, Delivery, Depth, LocalQueue, Message, Queue, QueueError, QueueName, Wanted};
use std::sync::{Arc, Mutex, PoisonError};

/// The broker that every process reaches.
#[derive(Clone)]
pub(crate) struct Broker(Arc<Mutex<LocalQueue>>);

impl Broker {
    pub(crate) fn with(queues: LocalQueue) -> Self {
        Self(Arc::new(Mutex::new(queues)))
    }

    /// What it holds now.
    fn queues(&self) -> LocalQueue {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Its data are gone, and with them every message, also one on its way to it. Whoever
    /// listened hears that it went, and nobody can settle what he holds.
    pub(crate) async fn lose_all(&self, empty: LocalQueue) {
        let old = std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), empty);
        for depth in old.depths().await.unwrap_or_default() {
            old.sever(&depth.queue);
        }
    }
}

/// One process's access to the queue.
#[derive(Clone)]
pub(crate) struct FaultyQueue {
    pub(crate) inner: Broker,
    pub(crate) auditor: Arc<Auditor>,
    pub(crate) trouble: Arc<Trouble>,
}

fn silent(attempted: &'static str, queue: &QueueName) -> QueueError {
    QueueError::Unavailable {
        attempted,
        queue: queue.to_string(),
        detail: "simulated".into(),
    }
}

/// Whether the message orders what must not happen twice.
pub(crate) fn orders_once(queue: &QueueName, message: &Message) -> bool {
    matches!(queue, QueueName::Assignments { .. })
        && serde_json::from_slice::<Assignment>(&message.body)
            .is_ok_and(|a| a.mode == Mode::Full && !a.kind.spec().convergent)
}

#[async_trait]
impl Queue for FaultyQueue {
    async fn publish(&self, queue: &QueueName, messages: Vec<Message>) -> Result<(), QueueError> {
        const WHAT: &str = "publish";
        let fate = self.trouble.meet(WHAT).await;
        match fate {
            Fate::FailsBefore => return Err(silent(WHAT, queue)),
            Fate::DiesBefore => self.trouble.die().await,
            Fate::Answered | Fate::FailsAfter | Fate::DiesAfter => {}
        }
        for message in messages {
            self.auditor.published(self.trouble.now(), queue, &message);
            // A copy that is not marked as redelivered comes only from whoever
            // publishes again, and a once-only order is never published again:
            // the auditor watches that. Its marked copies come when a
            // subscription ends or a worker dies.
            let copies = match self.trouble.copies() {
                copies if copies > 1 && orders_once(queue, &message) => 1,
                copies => copies,
            };
            for _ in 0..copies {
                match self.trouble.lateness() {
                    Some(late) => {
                        // The broker has it, and it outlives whoever published it.
                        let (inner, queue, message) = (self.inner.queues(), queue.clone(), message.clone());
                        tokio::spawn(async move {
                            tokio::time::sleep(late).await;
                            inner.publish(&queue, vec![message]).await
                        });
                    }
                    None => self.inner.queues().publish(queue, vec![message.clone()]).await?,
                }
            }
        }
        match fate {
            Fate::FailsAfter => Err(silent(WHAT, queue)),
            Fate::DiesAfter => self.trouble.die().await,
            Fate::Answered | Fate::FailsBefore | Fate::DiesBefore => Ok(()),
        }
    }

    async fn consume(&self, queue: &QueueName, prefetch: u16) -> Result<Box<dyn Consumer>, QueueError> {
        match self.trouble.meet("consume").await {
            Fate::Answered => {}
            Fate::FailsBefore | Fate::FailsAfter => return Err(silent("consume", queue)),
            Fate::DiesBefore | Fate::DiesAfter => self.trouble.die().await,
        }
        let inner = self.inner.queues().consume(queue, prefetch).await?;
        Ok(Box::new(FaultyConsumer {
            inner,
            name: queue.to_string(),
            trouble: self.trouble.clone(),
        }))
    }

    async fn depths(&self) -> Result<Vec<Depth>, QueueError> {
        self.inner.queues().depths().await
    }

    async fn dead(&self, limit: usize) -> Result<Vec<(Message, String)>, QueueError> {
        self.inner.queues().dead(limit).await
    }

    async fn dead_among(&self, wanted: Wanted<'_>, limit: usize) -> Result<Vec<(Message, String)>, QueueError> {
        self.inner.queues().dead_among(wanted, limit).await
    }
}

struct FaultyConsumer {
    inner: Box<dyn Consumer>,
    name: String,
    trouble: Arc<Trouble>,
}

#[async_trait]
impl Consumer for FaultyConsumer {
    async fn next(&mut self) -> Result<Box<dyn Delivery>, QueueError> {
        let delivery = self.inner.next().await?;
        if self.trouble.severs() {
            self.trouble.note(&format!("the consumer of {} ends", self.name));
            // The delivery returns to the queue.
            return Err(QueueError::ConsumerEnded {
                queue: self.name.clone(),
                detail: "simulated".into(),
            });
        }
        Ok(Box::new(FaultyDelivery {
            inner: delivery,
            trouble: self.trouble.clone(),
            name: self.name.clone(),
        }))
    }

    async fn resize(&mut self, prefetch: u16) -> Result<(), QueueError> {
        self.inner.resize(prefetch).await
    }
}

struct FaultyDelivery {
    inner: Box<dyn Delivery>,
    name: String,
    trouble: Arc<Trouble>,
}

fn lost(what: &'static str, name: &str) -> QueueError {
    QueueError::Unavailable {
        attempted: what,
        queue: name.to_owned(),
        detail: "simulated".into(),
    }
}

/// Whether a settlement gets through. Nobody may rely on an error meaning that
/// it was not done.
async fn gets_through(trouble: &Trouble, what: &'static str, name: &str) -> Result<Fate, QueueError> {
    match trouble.meet(what).await {
        Fate::FailsBefore => Err(lost(what, name)),
        Fate::DiesBefore => trouble.die().await,
        fate => Ok(fate),
    }
}

#[async_trait]
impl Delivery for FaultyDelivery {
    fn message(&self) -> &Message {
        self.inner.message()
    }

    fn redelivered(&self) -> bool {
        self.inner.redelivered()
    }

    fn sender(&self) -> Option<&str> {
        self.inner.sender()
    }

    async fn ack(self: Box<Self>) -> Result<(), QueueError> {
        let Self { inner, name, trouble } = *self;
        let fate = gets_through(&trouble, "acknowledge", &name).await?;
        inner.ack().await?;
        end(fate, lost("acknowledge", &name), &trouble).await
    }

    async fn give_back(self: Box<Self>) -> Result<(), QueueError> {
        let Self { inner, name, trouble } = *self;
        let fate = gets_through(&trouble, "give back", &name).await?;
        inner.give_back().await?;
        end(fate, lost("give back", &name), &trouble).await
    }

    async fn bury(self: Box<Self>, reason: &str) -> Result<(), QueueError> {
        let Self { inner, name, trouble } = *self;
        let fate = gets_through(&trouble, "bury", &name).await?;
        trouble.note(&format!("buried: {reason}"));
        inner.bury(reason).await?;
        end(fate, lost("bury", &name), &trouble).await
    }
}

async fn end(fate: Fate, lost: QueueError, trouble: &Trouble) -> Result<(), QueueError> {
    match fate {
        Fate::FailsAfter => Err(lost),
        Fate::DiesAfter => trouble.die().await,
        Fate::Answered | Fate::FailsBefore | Fate::DiesBefore => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use offboard_domain::Timestamp;

    fn empty() -> LocalQueue {
        LocalQueue::new(Arc::new(|| Timestamp(0)))
    }

    fn message(id: &str) -> Message {
        Message {
            id: id.to_owned(),
            headers: std::collections::BTreeMap::new(),
            body: bytes::Bytes::new(),
            expires_at: None,
        }
    }

    /// Who holds something has it for nothing, and who asks again is given what came since.
    #[test]
    fn a_broker_that_loses_all_ends_who_listens_and_holds_nothing() {
        let queue = QueueName::Sealing;
        let broker = Broker::with(empty());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime of one thread needs nothing from outside");
        runtime.block_on(async {
            let before = broker.queues();
            let one_and_two = vec![message("one"), message("two")];
            before.publish(&queue, one_and_two).await.expect("it is there");
            let mut consumer = before.consume(&queue, 1).await.expect("it is there");
            let held = consumer.next().await.expect("there are two");
            broker.lose_all(empty()).await;
            assert!(held.ack().await.is_err());
            assert!(consumer.next().await.is_err());
            let after = broker.queues();
            after
                .publish(&queue, vec![message("three")])
                .await
                .expect("it is there");
            let mut consumer = after.consume(&queue, 9).await.expect("it is there");
            let came = consumer.next().await.expect("there is one");
            assert_eq!(came.message().id, "three");
        });
    }
}
