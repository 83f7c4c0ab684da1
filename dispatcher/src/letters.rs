//! What a person does about dead letters: has them dropped, or sent again.
//!
//! A letter is named by a digest of all of it, so that what was looked at is
//! what is dealt with: one that came meanwhile, or a forged one of the same id,
//! is another letter. A letter is acknowledged last, after its body is on the
//! disk or the queue has confirmed it; a crash in between leaves it among the
//! dead. Each is written into the log with who ordered it and why.
//!
//! **Sent again is only what does no harm**, whoever wrote it: an order of this
//! installation's own, proven for the very queue that it goes to, which its case
//! still waits for and which may happen twice; or an order to seal, which the
//! closer does not believe anyway. A report never: it counts only from the user
//! of the worker that worked, and what it would have said is read again.

use crate::closer::ToSeal;
use crate::engine::{Engine, EngineError};
use offboard_domain::Digest;
use offboard_domain::assignment::{Assignment, Mode};
use offboard_queue::rabbit::{CLOSER, DISPATCHER};
use offboard_queue::{BURIED_FROM, BURIED_REASON, Delivery, Message, QueueName};
use offboard_runtime::keys::{ANSWER_HEADER, PROOF_HEADER};
use offboard_runtime::private::{self, PrivateError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Most letters that are looked at, listed and cleared at once.
pub const LETTERS_MAX: usize = 1_000;

/// How long the next letter may take to be delivered, in real time, before it
/// is taken for gone.
const DELIVERED_WITHIN: Duration = Duration::from_secs(5);

/// The name of a dead letter.
#[must_use]
pub fn letter(message: &Message, reason: &str) -> Digest {
    let mut parts = vec![message.id.as_bytes(), reason.as_bytes(), &message.body];
    for (name, value) in &message.headers {
        parts.extend([name.as_bytes(), value.as_bytes()]);
    }
    Digest::of_parts(&parts)
}

/// What is to be done about letters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clearing {
    /// Who orders it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Send them to where they came from; else they are dropped.
    #[serde(default)]
    pub resend: bool,
    /// The folder into which each body is written before it is dropped.
    #[serde(default)]
    pub keep: Option<PathBuf>,
}

/// What became of a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Became {
    /// It is dropped.
    Dropped,
    /// It is in the queue that it came from.
    SentAgain,
    /// It stays, and why.
    Kept,
    /// It is not among the dead, or in somebody else's hands at this moment.
    Gone,
}

/// One letter of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cleared {
    /// Which.
    pub letter: Digest,
    /// What became of it.
    pub became: Became,
    /// Why it stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Where its body is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
}

impl Engine {
    /// Deals with these letters, and says what became of each. Copies of one
    /// letter are one.
    ///
    /// # Errors
    /// [`EngineError`] if the queue fails; what was dealt with stays so, and
    /// the same order again deals with the rest.
    pub(crate) async fn clear(
        self: &Arc<Self>,
        letters: &[Digest],
        how: &Clearing,
    ) -> Result<Vec<Cleared>, EngineError> {
        let there = self.queue.dead(LETTERS_MAX).await?;
        let mut left: BTreeMap<Digest, usize> = BTreeMap::new();
        for (message, reason) in &there {
            let name = letter(message, reason);
            if letters.contains(&name) {
                *left.entry(name).or_default() += 1;
            }
        }
        let mut cleared: BTreeMap<Digest, Cleared> = BTreeMap::new();
        if !left.is_empty() {
            // How many there are cannot be asked for: those that were just
            // looked at may not be back yet. What is held must not keep out
            // what is looked for.
            let mut consumer = self.queue.consume(&QueueName::Dead, u16::MAX).await?;
            // What is not to be cleared is held, so that it does not come again.
            let mut held: Vec<Box<dyn Delivery>> = Vec::new();
            while !left.is_empty() {
                let Ok(next) = tokio::time::timeout(DELIVERED_WITHIN, consumer.next()).await else {
                    break;
                };
                let delivery = next?;
                let name = name_of(delivery.as_ref());
                let Some(copies) = left.get_mut(&name) else {
                    held.push(delivery);
                    continue;
                };
                *copies -= 1;
                if *copies == 0 {
                    left.remove(&name);
                }
                let (one, stays) = self.deal_with(name, delivery, how).await?;
                held.extend(stays);
                cleared.insert(name, one);
            }
            // In this order: all of it returns at once, and not to this consumer.
            drop(consumer);
            drop(held);
            // An acknowledgement has no answer. That what is asked after it has
            // one shows that it has arrived, before this process ends.
            self.how_many_dead().await?;
        }
        let gone = |letter: Digest| Cleared {
            letter,
            became: Became::Gone,
            why: None,
            file: None,
        };
        Ok(letters
            .iter()
            .map(|l| cleared.get(l).cloned().unwrap_or_else(|| gone(*l)))
            .collect())
    }

    async fn how_many_dead(&self) -> Result<usize, EngineError> {
        let depths = self.queue.depths().await?;
        let dead = depths.iter().find(|d| d.queue == QueueName::Dead);
        Ok(dead.and_then(|d| usize::try_from(d.ready).ok()).unwrap_or(0))
    }

    /// What became of it, and the letter itself if it stays.
    async fn deal_with(
        self: &Arc<Self>,
        letter: Digest,
        delivery: Box<dyn Delivery>,
        how: &Clearing,
    ) -> Result<(Cleared, Option<Box<dyn Delivery>>), EngineError> {
        let Clearing { by, reason, .. } = how;
        let mut one = Cleared {
            letter,
            became: Became::Dropped,
            why: None,
            file: None,
        };
        let message = delivery.message();
        let header = |name: &str| message.headers.get(name).map_or("", String::as_str).to_owned();
        let (id, from) = (message.id.clone(), header(BURIED_FROM));
        if how.resend {
            match self.lawful_again(message, delivery.sender()).await? {
                Ok((queue, again)) => self.queue.publish(&queue, vec![again]).await?,
                Err(why) => {
                    (one.became, one.why) = (Became::Kept, Some(why));
                    return Ok((one, Some(delivery)));
                }
            }
            one.became = Became::SentAgain;
            tracing::warn!(%letter, id, from, by, reason, "a dead letter was sent again, as a person ordered");
        } else {
            if let Some(folder) = &how.keep {
                match write(folder, letter, &message.body) {
                    Ok(file) => one.file = Some(file),
                    Err(error) => {
                        let why = std::error::Error::source(&error).map_or_else(String::new, |s| format!(": {s}"));
                        (one.became, one.why) = (Became::Kept, Some(format!("{error}{why}")));
                        return Ok((one, Some(delivery)));
                    }
                }
            }
            let kept = one.file.as_ref().map(|f| f.display().to_string()).unwrap_or_default();
            tracing::warn!(%letter, id, from, by, reason, kept, "a dead letter is dropped, as a person ordered");
        }
        delivery.ack().await?;
        Ok((one, None))
    }

    /// Where the letter goes and as what, or why it must not be sent again.
    async fn lawful_again(
        self: &Arc<Self>,
        message: &Message,
        sender: Option<&str>,
    ) -> Result<Result<(QueueName, Message), String>, EngineError> {
        let from = message.headers.get(BURIED_FROM).and_then(|from| from.parse().ok());
        Ok(match from {
            None | Some(QueueName::Dead) => Err("it came from no queue of ours: drop it".to_owned()),
            Some(QueueName::Reports { .. }) => Err(
                "a report counts only from the worker that worked; its task ran out and is read or ordered again: drop it"
                    .to_owned(),
            ),
            Some(QueueName::Sealing) => {
                let ours = sender.is_none_or(|s| [CLOSER, DISPATCHER].contains(&s));
                if ours && serde_json::from_slice::<ToSeal>(&message.body).is_ok() {
                    Ok((QueueName::Sealing, message.clone().unburied()))
                } else {
                    Err("it is no order to seal of this version: its case orders it again by itself, drop it".to_owned())
                }
            }
            Some(queue @ QueueName::Assignments { .. }) => {
                self.order_again(&queue, message).await?.map(|order| (queue, order))
            }
        })
    }

    async fn order_again(
        self: &Arc<Self>,
        queue: &QueueName,
        message: &Message,
    ) -> Result<Result<Message, String>, EngineError> {
        let header = |name: &str| message.headers.get(name).map_or("", String::as_str);
        let key = self.dispatch.queue(&queue.to_string());
        if !key.holds(header(PROOF_HEADER), &message.id, header(ANSWER_HEADER), &message.body) {
            let why = "it is forged, cut, or not ordered with the dispatch key that is here: it is never sent again";
            return Ok(Err(why.to_owned()));
        }
        let Ok(assignment) = serde_json::from_slice::<Assignment>(&message.body) else {
            return Ok(Err("it is no assignment of this version".to_owned()));
        };
        let anew = format!(
            "`offboard retry {}` orders anew what is still to be done",
            assignment.case
        );
        if assignment.mode == Mode::Full && !assignment.kind.spec().convergent {
            let kind = assignment.kind;
            return Ok(Err(format!(
                "{kind} may happen only once, and is never sent twice: {anew}"
            )));
        }
        if assignment.start_by <= self.clock.now() {
            return Ok(Err(format!("it has run out: {anew}")));
        }
        if !self.awaits(&assignment).await? {
            return Ok(Err(format!("its case does not wait for it: {anew}")));
        }
        let mut again = message.clone().unburied();
        again.expires_at = Some(assignment.start_by);
        Ok(Ok(again))
    }
}

/// The name of a letter that was delivered, as it is listed.
fn name_of(delivery: &dyn Delivery) -> Digest {
    let message = delivery.message();
    let reason = message.headers.get(BURIED_REASON).cloned().unwrap_or_default();
    letter(&message.clone().unburied(), &reason)
}

/// Writes a body where it is found by its letter's name. Writing it again is
/// harmless.
fn write(folder: &Path, letter: Digest, body: &[u8]) -> Result<PathBuf, PrivateError> {
    private::create_folder(folder)?;
    let (file, part) = (folder.join(letter.to_string()), folder.join(format!("{letter}.part")));
    // Of a process that died while it wrote.
    drop(std::fs::remove_file(&part));
    private::write_new(&part, body)?;
    private::replace(&part, &file)?;
    Ok(file)
}
