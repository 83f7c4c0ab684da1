//! Publishes reports: those that gathered while the last publication was in
//! flight go together, so that an idle worker answers at once and a busy one
//! sends few messages. Never timed.

use offboard_queue::{Message, Queue, QueueError, QueueName};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Most reports in one publication.
const TOGETHER_MAX: usize = 256;

struct Wanted {
    queue: QueueName,
    message: Message,
    confirmed: oneshot::Sender<Result<(), Arc<QueueError>>>,
}

/// The end that attempts hold.
#[derive(Clone)]
pub(crate) struct Publisher(mpsc::Sender<Wanted>);

/// The end that publishes.
pub(crate) struct Publishing(mpsc::Receiver<Wanted>);

pub(crate) fn publisher() -> (Publisher, Publishing) {
    let (send, receive) = mpsc::channel(TOGETHER_MAX);
    (Publisher(send), Publishing(receive))
}

impl Publisher {
    /// Returns when the broker has confirmed the message; none: the worker is
    /// shutting down.
    pub(crate) async fn publish(&self, queue: QueueName, message: Message) -> Option<Result<(), Arc<QueueError>>> {
        let (confirmed, answer) = oneshot::channel();
        self.0
            .send(Wanted {
                queue,
                message,
                confirmed,
            })
            .await
            .ok()?;
        answer.await.ok()
    }
}

impl Publishing {
    /// Publishes until every publisher is gone.
    pub(crate) async fn run(mut self, queue: &dyn Queue) {
        let mut gathered = Vec::new();
        while self.0.recv_many(&mut gathered, TOGETHER_MAX).await > 0 {
            let mut by_queue: BTreeMap<QueueName, (Vec<Message>, Vec<oneshot::Sender<_>>)> = BTreeMap::new();
            for wanted in gathered.drain(..) {
                let (messages, waiting) = by_queue.entry(wanted.queue).or_default();
                messages.push(wanted.message);
                waiting.push(wanted.confirmed);
            }
            for (name, (messages, waiting)) in by_queue {
                let outcome = queue.publish(&name, messages).await.map_err(Arc::new);
                for confirmed in waiting {
                    // Whoever no longer waits has been dropped, and his
                    // delivery returns: nothing is lost.
                    drop(confirmed.send(outcome.clone()));
                }
            }
        }
    }
}
