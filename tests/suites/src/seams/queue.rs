//! The queue, as unkind as its laws allow: messages come twice, late and in
//! another order, a publish fails after it was accepted, subscriptions end,
//! an acknowledgement is lost. What was confirmed is lost only in a crash.

use crate::audit::Auditor;
use crate::trouble::{Fate, Trouble};
use async_trait::async_trait;
use offboard_domain::{Assignment, Mode};
use offboard_queue::{Consumer, Delivery, Depth, LocalQueue, Message, Queue, QueueError, QueueName, Wanted};
use std::sync::Arc;

/// One process's access to the queue.
#[derive(Clone)]
pub(crate) struct FaultyQueue {
    pub(crate) inner: LocalQueue,
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
            let copies = if self.trouble.duplicates() && !orders_once(queue, &message) {
                2
            } else {
                1
            };
            for _ in 0..copies {
                match self.trouble.lateness() {
                    Some(late) => {
                        // The broker has it, and it outlives whoever published it.
                        let (inner, queue, message) = (self.inner.clone(), queue.clone(), message.clone());
                        tokio::spawn(async move {
                            tokio::time::sleep(late).await;
                            inner.publish(&queue, vec![message]).await
                        });
                    }
                    None => self.inner.publish(queue, vec![message.clone()]).await?,
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
        let inner = self.inner.consume(queue, prefetch).await?;
        Ok(Box::new(FaultyConsumer {
            inner,
            name: queue.to_string(),
            trouble: self.trouble.clone(),
        }))
    }

    async fn depths(&self) -> Result<Vec<Depth>, QueueError> {
        self.inner.depths().await
    }

    async fn dead(&self, limit: usize) -> Result<Vec<(Message, String)>, QueueError> {
        self.inner.dead(limit).await
    }

    async fn dead_among(&self, wanted: Wanted<'_>, limit: usize) -> Result<Vec<(Message, String)>, QueueError> {
        self.inner.dead_among(wanted, limit).await
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
