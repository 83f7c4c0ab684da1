//! What people ordered, kept outside of a shared ledger.
//!
//! What machines did is read again when the ledger has lost it. That somebody
//! called a departure off or moved its day stands nowhere else: so each such record
//! is put into the store as well, as the ledger has it.
//!
//! When a loss is written down, what people had ordered in what was lost is
//! ordered anew *in the same append*: nothing is done in between for a departure
//! that was called off. History is not forged by it. Each is decided like any
//! order, as of now; what does not fit what is there is refused, and then a
//! person is asked or told again.

use super::archive::Line;
use super::{ORDERS, STORE_WITHIN, in_time, name_kept, no_answer, short, store, version_kept};
use crate::engine::{Engine, EngineError, lock};
use crate::place::Held;
use crate::transact::word;
use futures::future::join_all;
use offboard_domain::event::{Event, UnreadableEvent, open_event};
use offboard_domain::evidence::Recorded;
use offboard_domain::keeping::Retention;
use offboard_domain::{
    ApprovalOf, Case, CaseId, CaseKey, Command, Decision, Departure, Digest, Gates, Outcome, Record, Refusal, TenantId,
    Timestamp, decide, decide_loss,
};
use offboard_store::StoreError;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Rest before an order is kept again that could not be, in milliseconds.
const KEEP_AGAIN_MS: i64 = 60_000;

/// Pause before lost orders are asked for again.
const READ_AGAIN: Duration = Duration::from_millis(200);

/// How many orders of a case are read at the same time.
const READ_AT_ONCE: usize = 16;

/// What people ordered in the part of a history that was lost.
#[derive(Default)]
pub(crate) struct LostOrders {
    /// How far the history went, as far as they tell.
    known: u64,
    /// They, the oldest first.
    commands: Vec<Command>,
    /// Whether they could not be read.
    unread: bool,
    /// Under which names they, and those that cannot be read, are kept; none: nothing is.
    names: Option<Vec<String>>,
}

/// An order that the ledger has lost.
struct Lost {
    at: Timestamp,
    version: u64,
    /// What it is kept as.
    name: String,
    event: Event,
}

impl LostOrders {
    /// The store does not say what they are.
    pub(crate) fn unread() -> Self {
        Self {
            unread: true,
            ..Self::default()
        }
    }

    /// Decides that history was lost, up to a version at least, by what proved it if a
    /// report did, and all of them anew.
    pub(crate) fn decide(
        self,
        case: &Case,
        (known, proven_by): (u64, Option<Digest>),
        now: Timestamp,
        gates: &Gates,
    ) -> Decision {
        let known = if self.unread {
            // It vouches for nothing, also of what history has grown past since: whoever
            // compares later finds what was kept, and decides it then.
            0
        } else {
            known.max(self.known)
        };
        // The ledger has another record there, or none.
        let mut decision = decide_loss(case, known, proven_by, now, gates);
        if decision.events.is_empty() {
            return decision;
        }
        // Which of them were dealt with stands beside it. How far the history went does not
        // tell: whoever ordered something may keep it long after this.
        for event in &mut decision.events {
            if let Event::TailLost { dealt_with, .. } = event {
                dealt_with.clone_from(&self.names);
            }
        }
        for command in self.commands {
            match decide(Some(&decision.case), command.clone(), now, gates) {
                Ok(next) => {
                    decision.events.extend(next.events);
                    decision.case = next.case;
                }
                Err(refusal) => tell_refused(case.id, &command, &refusal),
            }
        }
        decision
    }
}

/// The losses that a history tells of, and what of what is kept they account for.
pub(crate) struct Noted<'a>(Vec<Loss<'a>>);

/// A loss that was written down.
struct Loss<'a> {
    at: Timestamp,
    known: u64,
    dealt_with: Option<&'a [String]>,
}

impl<'a> Noted<'a> {
    pub(crate) fn of(history: &'a [Recorded]) -> Self {
        let losses = history.iter().filter_map(|r| match &r.event {
            Event::TailLost { known, dealt_with, .. } => Some(Loss {
                at: r.at,
                known: *known,
                dealt_with: dealt_with.as_deref(),
            }),
            _ => None,
        });
        Self(losses.collect())
    }

    /// Whether there is one.
    pub(crate) fn any(&self) -> bool {
        !self.0.is_empty()
    }

    /// Whether it stands there that the history went as far once.
    pub(crate) fn reach(&self, version: u64) -> bool {
        self.0.iter().any(|loss| version <= loss.known)
    }

    /// Whether the last one was written down without what was ordered in it.
    pub(crate) fn last_is_unread(&self) -> bool {
        self.0.last().is_some_and(|loss| loss.known == 0)
    }

    /// Whether an order of that version, which is kept under that name, was dealt with; of
    /// whoever knows when it was given, by that too.
    pub(crate) fn dealt_with(&self, version: u64, name: &str, at: Option<Timestamp>) -> bool {
        self.0.iter().any(|loss| match loss.dealt_with {
            Some(names) => names.iter().any(|dealt_with| dealt_with == name),
            // Older programs do not say which: all that was kept by then.
            None => version <= loss.known && at.is_none_or(|at| at <= loss.at),
        })
    }
}

impl Engine {
    /// The records of an append that hold what people ordered, where they are
    /// kept outside of the ledger.
    pub(crate) fn orders_among(&self, events: &[Event], records: &[Record]) -> Vec<Record> {
        if self.keeping.is_none() {
            return Vec::new();
        }
        let pairs = events.iter().zip(records);
        pairs
            .filter(|(event, _)| is_ordered(event))
            .map(|(_, record)| record.clone())
            .collect()
    }

    /// What people ordered of a held case and is not known to be kept.
    pub(crate) async fn unkept_of(&self, id: CaseId) -> Vec<Record> {
        let Some(place) = self.place_of(id) else {
            return Vec::new();
        };
        let held = place.held.lock().await;
        Held::to_keep(held.as_ref())
    }

    /// Keeps what people ordered of a held case. What cannot be kept now stays with
    /// the case, and is kept when that is next looked at.
    pub(crate) async fn keep_left(&self, tenant: &TenantId, id: CaseId, unkept: Vec<Record>) {
        if unkept.is_empty() {
            return;
        }
        let left = self.keep_orders(tenant, id, unkept.clone()).await;
        let Some(place) = self.place_of(id) else { return };
        let mut held = place.held.lock().await;
        if let Some(held) = held.as_mut() {
            held.unkept.retain(|r| left.contains(r) || !unkept.contains(r));
            if !held.unkept.is_empty() && !held.case.is_over() {
                let again = self.clock.now().plus(KEEP_AGAIN_MS);
                self.timers.set_by(tenant, id, again);
            }
        }
    }

    /// The same, while nobody waits for it: what else is to be done does not hang on the
    /// store. Once at a time for each case; what comes meanwhile is kept the next time.
    pub(crate) fn keep_beside(self: &Arc<Self>, tenant: &TenantId, id: CaseId, unkept: Vec<Record>) {
        if unkept.is_empty() || !lock(&self.kept_beside).insert(id) {
            return;
        }
        let (engine, tenant) = (self.clone(), tenant.clone());
        tokio::spawn(async move {
            engine.keep_left(&tenant, id, unkept).await;
            lock(&engine.kept_beside).remove(&id);
        });
    }

    /// Keeps orders, and returns those that could not be. What was ordered stands in
    /// the ledger whatever comes of this.
    pub(crate) async fn keep_orders(&self, tenant: &TenantId, id: CaseId, records: Vec<Record>) -> Vec<Record> {
        let keeping: Vec<_> = records
            .iter()
            .map(|r| in_time(self.keep_order(tenant, id, r)))
            .collect();
        let mut left = Vec::new();
        for (record, kept) in records.iter().zip(join_all(keeping).await) {
            if let Err(error) = kept {
                tracing::warn!(case = %id, version = record.version, %error, "failed to keep a person's order outside of the ledger; it holds, unless the ledger loses it");
                left.push(record.clone());
            }
        }
        left
    }

    async fn keep_order(&self, tenant: &TenantId, id: CaseId, record: &Record) -> Result<(), EngineError> {
        let path = format!("{ORDERS}/{tenant}/{id}/{}", name_of(record));
        let line = serde_json::to_vec(&Line::from(record)).expect("a line is plain data");
        match self.store.put_named(&path, line).await {
            Ok(_) => Ok(()),
            // Trying again changes nothing.
            Err(error @ StoreError::Occupied { .. }) => {
                tracing::error!(case = %id, version = record.version, %error, "a person's order is kept damaged; it holds, unless the ledger loses it");
                Ok(())
            }
            Err(error) => Err(store(error)),
        }
    }

    /// What people ordered of a case and its history does not hold; asked for again
    /// for a while, if the store does not answer.
    pub(crate) async fn lost_orders_in_time(
        &self,
        tenant: &TenantId,
        case: &Case,
        key: &CaseKey,
        there: &[Recorded],
    ) -> Result<LostOrders, EngineError> {
        let end = tokio::time::Instant::now() + STORE_WITHIN;
        loop {
            match tokio::time::timeout_at(end, self.lost_orders(tenant, case, key, there)).await {
                Ok(Err(EngineError::Store(_))) if tokio::time::Instant::now() + READ_AGAIN < end => {
                    tokio::time::sleep(READ_AGAIN).await;
                }
                Ok(read) => return read,
                Err(_) => return Err(no_answer()),
            }
        }
    }

    /// What people ordered of a case and its history does not hold. What is damaged
    /// there is told, and keeps nothing else back.
    pub(crate) async fn lost_orders(
        &self,
        tenant: &TenantId,
        case: &Case,
        key: &CaseKey,
        there: &[Recorded],
    ) -> Result<LostOrders, EngineError> {
        let mut orders = LostOrders::default();
        if self.keeping.is_none() {
            return Ok(orders);
        }
        let id = case.id;
        let noted = Noted::of(there);
        let stand: BTreeSet<String> = there.iter().map(|r| name_of(&r.record)).collect();
        let mut lost: Vec<Lost> = Vec::new();
        let mut listed = self
            .store
            .list(&format!("{ORDERS}/{tenant}/{id}"))
            .await
            .map_err(store)?;
        listed.retain(|named| !stand.contains(name_kept(&named.path)));
        let mut names: Vec<String> = Vec::new();
        let mut read = Vec::with_capacity(listed.len());
        for some in listed.chunks(READ_AT_ONCE) {
            let reading: Vec<_> = some.iter().map(|named| self.store.get_named(&named.path)).collect();
            read.extend(join_all(reading).await);
        }
        for (named, bytes) in listed.iter().zip(read) {
            let name = name_kept(&named.path).to_owned();
            names.push(name.clone());
            let bytes = match bytes {
                Ok(bytes) => bytes,
                Err(error @ (StoreError::Absent { .. } | StoreError::Damaged { .. })) => {
                    tell_unreadable(id, &named.path, &error);
                    continue;
                }
                Err(error) => return Err(store(error)),
            };
            let line: Option<Line> = serde_json::from_slice(&bytes).ok();
            let Some(record) = line.and_then(|line| line.record()) else {
                tell_unreadable(id, &named.path, &"it holds something else than its record");
                continue;
            };
            orders.known = orders.known.max(record.version);
            match open_event(key, &record) {
                Ok((at, event)) => lost.push(Lost {
                    at,
                    version: record.version,
                    name,
                    event,
                }),
                // The case rests until the program is upgraded, like one with such a record.
                Err(error @ UnreadableEvent::Newer { .. }) => {
                    let detail = format!("{}: {error}", named.path);
                    return Err(EngineError::History { case: id, detail });
                }
                // Or the case vanished, and the same request opened it under another key.
                Err(error) => tell_unreadable(id, &named.path, &error),
            }
        }
        names.retain(|name| version_kept(name).is_none_or(|version| !noted.dealt_with(version, name, None)));
        orders.names = Some(names);
        orders.commands = to_decide(case, there, lost);
        Ok(orders)
    }
}

/// The orders that led to what was lost, the oldest first.
fn to_decide(case: &Case, there: &[Recorded], mut lost: Vec<Lost>) -> Vec<Command> {
    let noted = Noted::of(there);
    // Whoever changed it since has seen the request as it is now.
    let changes = there.iter().filter(|r| matches!(r.event, Event::CaseAmended { .. }));
    let amended = changes.map(|r| r.at).max();
    lost.sort_by_key(|lost| (lost.at, lost.version));
    let mut commands: Vec<Command> = Vec::new();
    // The last first: what was ordered twice, or anew after a loss, holds where it
    // was ordered last.
    for Lost {
        at,
        version,
        name,
        event,
    } in lost.into_iter().rev()
    {
        // What an earlier loss took was ordered anew when that was written down.
        let noticed = noted.dealt_with(version, &name, Some(at));
        let superseded = matches!(event, Event::CaseAmended { .. }) && amended.is_some_and(|later| at <= later);
        if noticed || superseded {
            continue;
        }
        let Some(command) = anew(case, event) else { continue };
        if !commands.contains(&command) {
            commands.push(command);
        }
    }
    commands.reverse();
    commands
}

/// What a record is kept as.
fn name_of(record: &Record) -> String {
    format!("{:08}-{}", record.version, short(record.hash))
}

/// Whether an event is what somebody ordered, and stands nowhere but in the
/// history. Another try needs no order after a loss: everything is tried again.
pub(crate) fn is_ordered(event: &Event) -> bool {
    match event {
        Event::TaskSettled { outcome, .. } => matches!(outcome, Outcome::Attested { .. } | Outcome::Waived { .. }),
        Event::CaseAmended { .. }
        | Event::PlanApproved { .. }
        | Event::TaskApproved { .. }
        | Event::CancelRequested { .. }
        | Event::RequestJoined { .. }
        | Event::RequestLeft { .. }
        | Event::MergeUndone { .. } => true,
        _ => false,
    }
}

/// The order that led to an event.
fn anew(case: &Case, event: Event) -> Option<Command> {
    Some(match event {
        Event::CaseAmended {
            departure,
            by,
            handed_in_by,
        } => {
            let amended = Departure {
                requested_by: by.unwrap_or_else(|| departure.requested_by.clone()),
                handed_in_by,
                ..(*departure).clone()
            };
            Command::Open {
                departure: Arc::new(amended),
                policy: case.policy.clone(),
                capabilities: case.capabilities.clone(),
                traceparent: None,
            }
        }
        Event::PlanApproved { by, digest, .. } => Command::Approve {
            by,
            of: ApprovalOf::Plan(digest),
        },
        Event::TaskApproved { task, by, digest, .. } => Command::Approve {
            by,
            of: ApprovalOf::Task(task, digest),
        },
        Event::TaskSettled {
            task,
            outcome: Outcome::Attested { by, file, ending, note },
            ..
        } => Command::Attest {
            task,
            by,
            file,
            ending,
            note,
        },
        Event::TaskSettled {
            task,
            outcome: Outcome::Waived { by, reason, until },
            ..
        } => Command::Waive {
            task,
            by,
            reason,
            until,
        },
        Event::CancelRequested { by, reason } => Command::Cancel { by, reason },
        Event::RequestJoined {
            case: joined,
            asked_at,
            departure,
            amended_by,
            retention,
            // What it brings is worked out anew, from what the case is now.
            tasks: _,
            late: _,
        } => Command::Join {
            case: joined,
            asked_at,
            departure,
            amended_by,
            retention: retention.unwrap_or_else(|| Retention::of(&case.policy)),
        },
        Event::RequestLeft { case, asked_at } => Command::Leave { case, asked_at },
        Event::MergeUndone { into } => Command::UndoMerge { into },
        _ => return None,
    })
}

/// Says that an order is kept and cannot be read.
fn tell_unreadable(case: CaseId, path: &str, why: &dyn fmt::Display) {
    tracing::error!(%case, order = %path, %why, "a person's order that was lost with the ledger's end cannot be read; look at what was ordered then, and give it again");
}

/// Says what does not hold any more. Who must be asked is asked by the case.
fn tell_refused(case: CaseId, command: &Command, refusal: &Refusal) {
    let order = word(command);
    match (command, refusal) {
        (_, Refusal::AlreadyOpen | Refusal::AlreadyApproved | Refusal::AlreadySettled(_)) => {}
        (Command::Approve { .. } | Command::Attest { .. }, _) => {
            tracing::warn!(%case, order, "what a person said was lost with the ledger's end and does not fit what is there now; he is asked again");
        }
        // The refusal may name him.
        _ => {
            tracing::error!(%case, order, "a person's order was lost with the ledger's end and does not fit what is there now; look at the case with `offboard show`, and give the order again");
        }
    }
}
