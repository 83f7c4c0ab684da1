//! Publishing: one task, one connection of its own, one channel, and a window
//! of publications in flight that all callers share.
//!
//! - **Batches and lone messages alike are pipelined.** Callers take turns, a
//!   few messages each, so that a long batch does not hold up a lone message.
//! - **Every caller gets an answer in time**: a confirm is waited for so long,
//!   a connection so long, a broker that takes nothing so long.
//! - **A failure is never tried again here.** What was in flight has an unknown
//!   outcome, and only the ledger knows what may be ordered twice.

use super::config::RabbitConfig;
use super::link::{Link, Live};
use super::message;
use super::topology::{self, exchange_of};
use super::window::{Confirming, Outcome, Returned, Sent, Verdict, Window};
use crate::{Message, QueueError, QueueName};
use lapin::message::BasicReturnMessage;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::ShortString;
use lapin::{Channel, Confirmation};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

/// What a caller attempted.
const PUBLISH: &str = "publish to";

/// How many messages one caller sends before it is the next one's turn.
const IN_TURN: usize = 32;

/// How many calls are taken up at once; the others wait outside.
const CALLS: usize = 1_024;

/// How often it is looked whether something takes too long.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Rest before a channel is opened again that the broker has closed.
const REOPEN_AFTER: Duration = Duration::from_millis(100);

/// The end that callers hold. Dropped, the publishing ends.
pub(super) struct Publisher {
    calls: mpsc::Sender<Call>,
    publishing: AbortHandle,
}

/// One call of `publish`.
struct Call {
    exchange: &'static str,
    routing_key: ShortString,
    messages: std::vec::IntoIter<Message>,
    since: Instant,
    answer: oneshot::Sender<Result<(), String>>,
}

impl Publisher {
    pub(super) fn start(link: Arc<Link>, config: Arc<RabbitConfig>) -> Self {
        let (calls, on_calls) = mpsc::channel(CALLS);
        let publishing = Publishing {
            user: config.address.user.as_str().into(),
            window: Window::new(config.window),
            link,
            config,
            calls: on_calls,
            taken: Vec::new(),
            free: Vec::new(),
            turns: VecDeque::new(),
            moving_since: Instant::now(),
        };
        Self {
            calls,
            publishing: tokio::spawn(publishing.run()).abort_handle(),
        }
    }

    /// Returns when the broker has confirmed all.
    pub(super) async fn publish(&self, queue: &QueueName, messages: Vec<Message>) -> Result<(), QueueError> {
        self.send(PUBLISH, exchange_of(queue), queue, messages).await
    }

    /// Puts a copy of what came from this queue among the dead.
    pub(super) async fn bury(&self, from: &QueueName, copy: Message) -> Result<(), QueueError> {
        self.send("bury what came from", topology::DEAD, from, vec![copy]).await
    }

    /// By the name of this queue as the routing key: of where it goes, or of
    /// where it comes from.
    async fn send(
        &self,
        attempted: &'static str,
        exchange: &'static str,
        queue: &QueueName,
        messages: Vec<Message>,
    ) -> Result<(), QueueError> {
        if messages.is_empty() {
            return Ok(());
        }
        let unavailable = |detail: String| QueueError::Unavailable {
            attempted,
            queue: queue.to_string(),
            detail,
        };
        let (answer, on_answer) = oneshot::channel();
        let call = Call {
            exchange,
            routing_key: ShortString::try_new(queue.to_string()).map_err(|e| unavailable(e.to_string()))?,
            messages: messages.into_iter(),
            since: Instant::now(),
            answer,
        };
        let over = || unavailable("the publishing of this process has ended".to_owned());
        self.calls.send(call).await.map_err(|_| over())?;
        on_answer.await.map_err(|_| over())?.map_err(unavailable)
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.publishing.abort();
    }
}

/// A call that was taken up.
struct Taken {
    call: Call,
    /// Entered the window and not concluded.
    in_flight: usize,
    failed: Option<String>,
}

/// The task.
struct Publishing {
    link: Arc<Link>,
    config: Arc<RabbitConfig>,
    user: ShortString,
    calls: mpsc::Receiver<Call>,
    window: Window<usize>,
    /// By the number that the window is told.
    taken: Vec<Option<Taken>>,
    /// Numbers that nobody has.
    free: Vec<usize>,
    /// Those that still have something to send, in turn.
    turns: VecDeque<usize>,
    /// Since when the broker takes publications: time in which it takes none
    /// is not held against a confirm.
    moving_since: Instant,
}

/// Why a channel is no longer served.
enum Over {
    /// Open another one.
    Channel,
    /// There are no callers any more.
    Callers,
}

impl Publishing {
    async fn run(mut self) {
        loop {
            let (live, channel) = match self.channel().await {
                Ok(Some(opened)) => opened,
                Ok(None) => continue,
                Err(Over::Channel) => {
                    tokio::time::sleep(REOPEN_AFTER).await;
                    continue;
                }
                Err(Over::Callers) => return,
            };
            match self.serve(&live, &channel).await {
                Over::Channel => {}
                Over::Callers => return,
            }
        }
    }

    /// A channel that confirms. While there is no connection, callers are told
    /// so when their patience is over.
    async fn channel(&mut self) -> Result<Option<(Arc<Live>, Arc<Channel>)>, Over> {
        let live = match self.link.live(LOOK_EVERY).await {
            Ok(live) => live,
            Err(why) => {
                self.take_calls()?;
                self.fail_older(self.config.limits.reconnected, &why);
                return Ok(None);
            }
        };
        let opening = async {
            let channel = live.connection.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            Ok::<_, lapin::Error>(channel)
        };
        match tokio::time::timeout(self.config.limits.answer, opening).await {
            Ok(Ok(channel)) => Ok(Some((live, Arc::new(channel)))),
            Ok(Err(error)) => {
                tracing::warn!(%error, "failed to open a channel to publish on; trying again");
                self.take_calls()?;
                self.fail_older(self.config.limits.reconnected, &error.to_string());
                Err(Over::Channel)
            }
            Err(_) => {
                live.hang_up();
                Err(Over::Channel)
            }
        }
    }

    /// Takes up what waits outside.
    fn take_calls(&mut self) -> Result<(), Over> {
        loop {
            match self.calls.try_recv() {
                Ok(call) => self.take(call),
                Err(mpsc::error::TryRecvError::Empty) => return Ok(()),
                Err(mpsc::error::TryRecvError::Disconnected) => return Err(Over::Callers),
            }
        }
    }

    async fn serve(&mut self, live: &Live, channel: &Arc<Channel>) -> Over {
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let why = loop {
            self.fill(channel);
            let window = &mut self.window;
            tokio::select! {
                biased;
                verdicts = poll_fn(|cx| window.poll_verdicts(cx)) => self.conclude(verdicts),
                call = self.calls.recv(), if self.turns.len() < CALLS => match call {
                    Some(call) => self.take(call),
                    None => return Over::Callers,
                },
                _ = look.tick() => {
                    if let Some(why) = self.look(live) {
                        break why;
                    }
                }
            }
            if !channel.status().connected() {
                break "the channel was closed".to_owned();
            }
        };
        // The library says of each why it failed, which says more.
        while !self.window.is_empty() {
            let window = &mut self.window;
            let last = poll_fn(|cx| window.poll_verdicts(cx));
            match tokio::time::timeout(REOPEN_AFTER, last).await {
                Ok(verdicts) => self.conclude(verdicts),
                Err(_) => break,
            }
        }
        let given_up = self.window.give_up(&format!("{why} before it was confirmed"));
        self.conclude(given_up);
        Over::Channel
    }

    /// Sends as much as there is room for.
    fn fill(&mut self, channel: &Arc<Channel>) {
        while self.window.has_room() {
            let Some(number) = self.turns.pop_front() else { return };
            for _ in 0..IN_TURN {
                if !self.window.has_room() {
                    self.turns.push_front(number);
                    return;
                }
                if !self.send_next(number, channel) {
                    break;
                }
            }
            match &self.taken[number] {
                Some(taken) if taken.call.messages.len() > 0 => self.turns.push_back(number),
                Some(taken) if taken.in_flight == 0 => self.answer(number),
                Some(_) | None => {}
            }
        }
    }

    /// Sends a call's next message; false if there is none.
    fn send_next(&mut self, number: usize, channel: &Arc<Channel>) -> bool {
        let Some(taken) = self.taken[number].as_mut() else {
            return false;
        };
        let Some(message) = taken.call.messages.next() else {
            return false;
        };
        if let Some(why) = message::cannot_travel(&message, &self.config) {
            taken.failed.get_or_insert(why);
            return true;
        }
        // What has run out is not sent: it would not be delivered.
        let Some(properties) = message::properties(&message, &self.user, (self.config.clock)()) else {
            return true;
        };
        taken.in_flight += 1;
        let sent = Sent {
            of: number,
            id: message.id,
            routing_key: taken.call.routing_key.to_string(),
            at: Instant::now(),
        };
        let (exchange, routing_key) = (taken.call.exchange, taken.call.routing_key.clone());
        let (channel, body) = (Arc::clone(channel), message.body);
        let confirming: Confirming = Box::pin(async move {
            let options = BasicPublishOptions {
                mandatory: true,
                ..BasicPublishOptions::default()
            };
            let published = channel.basic_publish(exchange.into(), routing_key, options, &body, properties);
            let confirmed = async { published.await?.await };
            match confirmed.await {
                Ok(Confirmation::Ack(returned)) => Outcome::Confirmed(returned.map(what_returned)),
                Ok(Confirmation::Nack(returned)) => Outcome::Refused(returned.map(what_returned)),
                Ok(Confirmation::NotRequested) => Outcome::Broken("the channel does not confirm".to_owned()),
                Err(error) => Outcome::Broken(error.to_string()),
            }
        });
        self.window.enter(sent, confirming);
        true
    }

    fn take(&mut self, call: Call) {
        let taken = Taken {
            call,
            in_flight: 0,
            failed: None,
        };
        let number = self.free.pop().unwrap_or_else(|| {
            self.taken.push(None);
            self.taken.len() - 1
        });
        self.taken[number] = Some(taken);
        self.turns.push_back(number);
    }

    fn conclude(&mut self, verdicts: Vec<(usize, Verdict)>) {
        for (number, verdict) in verdicts {
            let Some(taken) = self.taken[number].as_mut() else {
                continue;
            };
            taken.in_flight -= 1;
            let failed = match verdict {
                Verdict::Confirmed => None,
                Verdict::Unroutable(reason) => Some(format!(
                    "no queue of that name is bound ({reason}): import the definitions"
                )),
                Verdict::Refused => Some("the broker did not take it: the queue is full or has no leader".to_owned()),
                Verdict::Unknown(why) => Some(format!("whether the broker has it is unknown: {why}")),
            };
            if let Some(failed) = failed {
                // The rest of a call that has failed is not begun.
                taken.failed.get_or_insert(failed);
                taken.call.messages = Vec::new().into_iter();
            }
            if taken.in_flight == 0 && taken.call.messages.len() == 0 {
                self.answer(number);
            }
        }
    }

    fn answer(&mut self, number: usize) {
        if let Some(taken) = self.taken[number].take() {
            self.free.push(number);
            let answer = taken.failed.map_or(Ok(()), Err);
            // Whoever no longer waits wants no answer.
            drop(taken.call.answer.send(answer));
        }
    }

    /// Looks whether something takes too long; says why the channel is over.
    fn look(&mut self, live: &Live) -> Option<String> {
        let limits = self.config.limits;
        if let Some(reason) = self.link.blocked() {
            let why = format!("the broker takes no publications now ({reason})");
            self.fail_older(limits.blocked, &why);
            self.moving_since = Instant::now();
            return None;
        }
        let since = self.window.oldest().map(|sent| sent.max(self.moving_since));
        let late = since.is_some_and(|since| since.elapsed() > limits.confirm);
        if late {
            live.hang_up();
            return Some(format!("nothing was confirmed for {} s", limits.confirm.as_secs()));
        }
        (!live.connected()).then(|| "the connection was lost".to_owned())
    }

    /// Tells the callers that have waited longer than this why.
    fn fail_older(&mut self, than: Duration, why: &str) {
        for number in 0..self.taken.len() {
            let Some(taken) = self.taken[number].as_mut() else {
                continue;
            };
            let left = taken.call.answer.is_closed();
            if !left && taken.call.since.elapsed() < than {
                continue;
            }
            taken.failed.get_or_insert_with(|| why.to_owned());
            taken.call.messages = Vec::new().into_iter();
            if taken.in_flight == 0 {
                self.turns.retain(|turn| *turn != number);
                self.answer(number);
            } else if !left {
                // What is in flight keeps its place until it is concluded.
                let (nobody, _) = oneshot::channel();
                let answer = std::mem::replace(&mut taken.call.answer, nobody);
                drop(answer.send(Err(why.to_owned())));
            }
        }
    }
}

fn what_returned(message: BasicReturnMessage) -> Returned {
    let id = message.delivery.properties.message_id();
    Returned {
        id: id.as_ref().map(ToString::to_string).unwrap_or_default(),
        routing_key: message.delivery.routing_key.to_string(),
        reason: message.reply_text.to_string(),
    }
}
