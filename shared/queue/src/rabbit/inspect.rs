//! Looking without taking: what queues hold, who is dead, and whether what this
//! process needs is there at all. On channels of its own, since asking about
//! what is not there closes the channel; and looking through the dead, which may
//! take long, holds up nobody who asks for something else.
//!
//! The dead have a connection of their own. Anybody who may bury can put among them
//! what nobody can be given: headers that fill a frame to the last bytes, and grow
//! when they are delivered again, or a header's name that is no text. The library then
//! ends the connection, each time; it must not be the one on which work comes.

use super::config::RabbitConfig;
use super::link::{Link, Live};
use super::message::exhumed;
use super::topology::{WAITING_MOST, exchange_of};
use crate::{Depth, Message, QueueName, Wanted};
use futures::future::try_join_all;
use lapin::options::{BasicGetOptions, BasicNackOptions, ExchangeDeclareOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Channel, ErrorKind, ExchangeKind};
use offboard_domain::Timestamp;
use std::collections::{BTreeSet, VecDeque};
use std::future::Future;
use std::sync::{Arc, PoisonError};
use tokio::sync::{Mutex, OnceCell};

/// How many of the dead are looked through to show a person the newest: they can
/// be read from the oldest on alone. Behind more, the newest are not shown until
/// somebody has cleared the oldest.
const DEAD_SHOWN_OF: usize = 10_000;

/// How many are looked through to find those that are wanted: all that there can be.
const DEAD_MOST: usize = WAITING_MOST as usize;

/// On how many channels it is asked at once what queues hold: a site or a shard is a
/// queue more, and whoever looks waits for seconds only, however far the broker is.
const COUNTED_AT_ONCE: usize = 16;

/// AMQP's number for what is not there.
const NOT_FOUND: u16 = 404;

/// A channel, opened when it is needed.
type Kept = Mutex<Option<(Arc<Live>, Channel)>>;

/// A queue, and its ready messages and consumers if it is there.
type Counted = (QueueName, Option<(u32, u32)>);

/// Who looks.
pub(super) struct Inspector {
    link: Arc<Link>,
    config: Arc<RabbitConfig>,
    /// Of which depths are asked for.
    queues: std::sync::Mutex<BTreeSet<QueueName>>,
    /// Which of them were not there when it was last asked.
    absent: std::sync::Mutex<Vec<QueueName>>,
    channel: Kept,
    /// For depths.
    counting: [Kept; COUNTED_AT_ONCE],
    /// For the dead.
    graves: Kept,
    /// The connection of the dead, once somebody has looked at them; none: this process
    /// has said farewell.
    graves_link: OnceCell<Option<Link>>,
}

/// Why there is no answer.
pub(super) enum NoAnswer {
    /// What was asked about is not there.
    NotThere,
    Failed(String),
}

impl Inspector {
    pub(super) fn new(link: Arc<Link>, config: Arc<RabbitConfig>) -> Self {
        Self {
            link,
            queues: std::sync::Mutex::new(config.queues.iter().cloned().collect()),
            absent: std::sync::Mutex::default(),
            config,
            channel: Mutex::new(None),
            counting: std::array::from_fn(|_| Mutex::new(None)),
            graves: Mutex::new(None),
            graves_link: OnceCell::new(),
        }
    }

    /// The connection on which the dead are looked at and taken. Most processes never do.
    pub(super) async fn graves_link(&self) -> Result<&Link, String> {
        let opening = || async {
            let opening = self.config.opening("dead letters");
            Link::open(opening, self.config.reconnect).await.map(Some)
        };
        let opened = self.graves_link.get_or_try_init(opening).await;
        let link = opened.map_err(|error| format!("there is no connection to the broker: {error}"))?;
        link.as_ref().ok_or_else(|| "this process has said farewell".to_owned())
    }

    /// Ends the connection of the dead with a farewell. There is none after it.
    pub(super) async fn close(&self) {
        if let Some(link) = self.graves_link.get_or_init(|| async { None }).await {
            link.close().await;
        }
    }

    /// From now on these are the process's queues.
    pub(super) fn look_at(&self, queues: impl IntoIterator<Item = QueueName>) {
        *self.queues.lock().unwrap_or_else(PoisonError::into_inner) = queues.into_iter().collect();
    }

    /// What the process's queues hold. One that is not there is left out, and is
    /// among the absent from then on.
    pub(super) async fn depths(&self) -> Result<Vec<Depth>, String> {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut shares: [Vec<QueueName>; COUNTED_AT_ONCE] = std::array::from_fn(|_| Vec::new());
        for (share, queue) in (0..COUNTED_AT_ONCE).cycle().zip(queues) {
            shares[share].push(queue);
        }
        let counting = self.counting.iter().zip(shares);
        let counting: Vec<_> = counting.map(|(channel, share)| self.count(channel, share)).collect();
        let mut counted: Vec<Counted> = try_join_all(counting).await?.into_iter().flatten().collect();
        counted.sort();
        let mut depths = Vec::new();
        let mut absent = Vec::new();
        for (queue, state) in counted {
            match state {
                Some((ready, consumers)) => depths.push(Depth {
                    queue,
                    ready: u64::from(ready),
                    unacknowledged: None,
                    consumers: Some(u64::from(consumers)),
                }),
                None => {
                    tracing::warn!(%queue, "there is no such queue: import the definitions");
                    absent.push(queue);
                }
            }
        }
        *self.absent.lock().unwrap_or_else(PoisonError::into_inner) = absent;
        Ok(depths)
    }

    /// Which queues were not there when depths were last told.
    pub(super) fn absent(&self) -> Vec<QueueName> {
        self.absent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts one queue after the other on this channel: asking about one that is not
    /// there closes it, with all that was asked on it meanwhile.
    async fn count(&self, channel: &Kept, queues: Vec<QueueName>) -> Result<Vec<Counted>, String> {
        let mut counted = Vec::with_capacity(queues.len());
        for queue in queues {
            match self.state_on(channel, &queue.to_string()).await {
                Ok(state) => counted.push((queue, Some(state))),
                Err(NoAnswer::NotThere) => counted.push((queue, None)),
                Err(NoAnswer::Failed(why)) => return Err(why),
            }
        }
        Ok(counted)
    }

    /// Which of the queues and exchanges that this process uses are missing.
    pub(super) async fn missing(&self) -> Result<Vec<String>, String> {
        let mut missing = Vec::new();
        let exchanges: BTreeSet<&str> = self.config.queues.iter().map(exchange_of).collect();
        for name in exchanges {
            match self.exchange(name).await {
                Ok(()) => {}
                Err(NoAnswer::NotThere) => missing.push(format!("exchange {name}")),
                Err(NoAnswer::Failed(why)) => return Err(why),
            }
        }
        for queue in &self.config.queues {
            match self.state(&queue.to_string()).await {
                Ok(_) => {}
                Err(NoAnswer::NotThere) => missing.push(format!("queue {queue}")),
                Err(NoAnswer::Failed(why)) => return Err(why),
            }
        }
        Ok(missing)
    }

    /// The newest of the dead with their reasons, newest first.
    pub(super) async fn dead(&self, limit: usize) -> Result<Vec<(Message, String)>, String> {
        self.look_through(DEAD_SHOWN_OF, &|_: &Message| true, limit).await
    }

    /// The newest of all the dead that are wanted, newest first.
    pub(super) async fn dead_among(&self, wanted: Wanted<'_>, limit: usize) -> Result<Vec<(Message, String)>, String> {
        self.look_through(DEAD_MOST, wanted, limit).await
    }

    /// What was looked at stays with the broker until all of it is given back at
    /// once: here no more than so many are held.
    async fn look_through(
        &self,
        most: usize,
        wanted: Wanted<'_>,
        limit: usize,
    ) -> Result<Vec<(Message, String)>, String> {
        // Two that look at the same time would each see a part; of this
        // process the second waits.
        let mut channel = self.graves.lock().await;
        let link = self.graves_link().await?;
        let name = QueueName::Dead.to_string();
        let mut newest: VecDeque<(Message, String, Timestamp)> = VecDeque::new();
        let mut last_tag = None;
        let mut looked = 0;
        let mut failed = None;
        while looked < most {
            let asking = async |c: Channel| c.basic_get(name.as_str().into(), BasicGetOptions::default()).await;
            let got = match self.ask_on(link, &mut channel, asking).await {
                Ok(Some(got)) => got.delivery,
                Ok(None) => break,
                Err(NoAnswer::NotThere) => return Err(format!("there is no queue {name}: import the definitions")),
                Err(NoAnswer::Failed(why)) => {
                    failed = Some(why);
                    break;
                }
            };
            looked += 1;
            last_tag = Some(got.delivery_tag);
            let found = exhumed(&got.properties, got.data);
            if let Some(found) = found.filter(|(message, ..)| wanted(message)) {
                newest.push_back(found);
                if newest.len() > limit {
                    newest.pop_front();
                }
            }
        }
        if let Some(tag) = last_tag {
            let all_back = BasicNackOptions {
                multiple: true,
                requeue: true,
            };
            let returned = self
                .ask_on(link, &mut channel, async |c: Channel| c.basic_nack(tag, all_back).await)
                .await;
            if returned.is_err() {
                // They return when the channel closes.
                *channel = None;
            }
        }
        if let Some(why) = failed {
            return Err(why);
        }
        // Some brokers put what was looked at in another place.
        newest.make_contiguous().sort_by_key(|(_, _, at)| *at);
        Ok(newest.into_iter().rev().map(|(m, reason, _)| (m, reason)).collect())
    }

    /// Ready messages and consumers of a queue.
    pub(super) async fn state(&self, name: &str) -> Result<(u32, u32), NoAnswer> {
        self.state_on(&self.channel, name).await
    }

    async fn state_on(&self, channel: &Kept, name: &str) -> Result<(u32, u32), NoAnswer> {
        let options = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let asking = async |c: Channel| c.queue_declare(name.into(), options, FieldTable::default()).await;
        let state = self.ask_on(&self.link, &mut *channel.lock().await, asking).await?;
        Ok((state.message_count(), state.consumer_count()))
    }

    pub(super) async fn exchange(&self, name: &str) -> Result<(), NoAnswer> {
        let options = ExchangeDeclareOptions {
            passive: true,
            ..ExchangeDeclareOptions::default()
        };
        let asking = async |c: Channel| {
            c.exchange_declare(name.into(), ExchangeKind::Direct, options, FieldTable::default())
                .await
        };
        self.ask_on(&self.link, &mut *self.channel.lock().await, asking).await
    }

    /// Asks on the channel, which is opened anew on this connection if the last answer
    /// closed it.
    async fn ask_on<T, F>(&self, link: &Link, kept: &mut Option<(Arc<Live>, Channel)>, ask: F) -> Result<T, NoAnswer>
    where
        F: AsyncFnOnce(Channel) -> lapin::Result<T>,
    {
        let limits = self.config.limits;
        if let Some((live, channel)) = kept
            && !(live.connected() && channel.status().connected())
        {
            *kept = None;
        }
        let (live, channel) = match kept {
            Some(kept) => kept.clone(),
            None => {
                let live = link.live(limits.reconnected).await.map_err(NoAnswer::Failed)?;
                let channel = self.within(&live, live.connection.create_channel()).await?;
                kept.insert((live, channel)).clone()
            }
        };
        self.within(&live, ask(channel)).await
    }

    async fn within<T>(&self, live: &Live, asked: impl Future<Output = lapin::Result<T>>) -> Result<T, NoAnswer> {
        match tokio::time::timeout(self.config.limits.answer, asked).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(match error.kind() {
                ErrorKind::ProtocolError(e) if e.get_id() == NOT_FOUND => NoAnswer::NotThere,
                _ => NoAnswer::Failed(error.to_string()),
            }),
            Err(_) => {
                live.hang_up();
                Err(NoAnswer::Failed("the broker did not answer".to_owned()))
            }
        }
    }
}
