//! What people ordered, kept outside of a shared ledger.
//!
//! What machines did is read again when the ledger has lost it. That somebody
//! called a departure off, moved its day or paused a tenant stands nowhere else:
//! so each such record is put into the store as well, as the ledger has it, and
//! each pause and its end.
//!
//! When a loss is written down, what people had ordered in what was lost is
//! ordered anew *in the same append*: nothing is done in between for a departure
//! that was called off. History is not forged by it. Each is decided like any
//! order, as of now; what does not fit what is there is refused, and then a
//! person is asked or told again.

use crate::archive::{Line, ORDERS, damaged, short, store};
use crate::engine::{Engine, EngineError};
use crate::gates::Paused;
use crate::transact::word;
use offboard_domain::assignment::CLOCK_MARGIN_MS;
use offboard_domain::event::{Event, UnreadableEvent, open_event};
use offboard_domain::evidence::Recorded;
use offboard_domain::keeping::Retention;
use offboard_domain::{
    ApprovalOf, Case, CaseId, CaseKey, Command, Decision, Departure, Digest, Gates, Outcome, Record, Refusal, TenantId,
    Timestamp, decide,
};
use offboard_ledger::GateChange;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A pause, or its end, as the store keeps it.
#[derive(Debug, Serialize, Deserialize)]
struct KeptPause {
    /// The gate's name.
    gate: String,
    /// When it was ordered.
    at: Timestamp,
    /// Shut until then; none: opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
}

/// What people ordered in the part of a history that was lost.
#[derive(Default)]
pub(crate) struct LostOrders {
    /// How far the history went, as far as they tell.
    known: u64,
    /// They, the oldest first.
    commands: Vec<Command>,
}

impl LostOrders {
    /// Decides that history was lost, up to a version at least, and all of them
    /// anew.
    pub(crate) fn decide(self, case: &Case, known: u64, now: Timestamp, gates: &Gates) -> Result<Decision, Refusal> {
        // The ledger has another record there, or none.
        let loss = Command::RecordLoss {
            known: known.max(self.known),
            parted: true,
        };
        let mut decision = decide(Some(case), loss, now, gates)?;
        if decision.events.is_empty() {
            return Ok(decision);
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
        Ok(decision)
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

    /// Keeps them. What was ordered stands in the ledger whatever comes of this.
    pub(crate) async fn keep_orders(&self, tenant: &TenantId, id: CaseId, records: Vec<Record>) {
        for record in records {
            let path = format!("{ORDERS}/{tenant}/{id}/{:08}-{}", record.version, short(record.hash));
            let line = serde_json::to_vec(&Line::from(&record)).expect("a line is plain data");
            if let Err(error) = self.store.put_named(&path, line).await {
                tracing::warn!(case = %id, version = record.version, %error, "failed to keep a person's order outside of the ledger; it holds, unless the ledger loses it");
            }
        }
    }

    /// What people ordered of a case and its history does not hold.
    pub(crate) async fn lost_orders(
        &self,
        tenant: &TenantId,
        case: &Case,
        key: &CaseKey,
        there: &[Recorded],
    ) -> Result<LostOrders, EngineError> {
        if self.keeping.is_none() {
            return Ok(LostOrders::default());
        }
        let id = case.id;
        let last = |is: fn(&Event) -> bool| there.iter().filter(|r| is(&r.event)).map(|r| r.at).max();
        // What an earlier loss took was ordered anew when that was written down.
        let noticed = last(|event| matches!(event, Event::TailLost { .. }));
        // Whoever changed it since has seen the request as it is now.
        let amended = last(|event| matches!(event, Event::CaseAmended { .. }));
        let hashes: BTreeSet<Digest> = there.iter().map(|r| r.record.hash).collect();
        let mut known = 0;
        let mut lost: Vec<(Timestamp, u64, Command)> = Vec::new();
        for named in self
            .store
            .list(&format!("{ORDERS}/{tenant}/{id}"))
            .await
            .map_err(store)?
        {
            let bytes = self.store.get_named(&named.path).await.map_err(store)?;
            let line: Option<Line> = serde_json::from_slice(&bytes).ok();
            let record = line
                .and_then(|line| line.record())
                .ok_or_else(|| damaged(id, &named.path))?;
            if hashes.contains(&record.hash) {
                continue;
            }
            known = known.max(record.version);
            let (at, event) = match open_event(key, &record) {
                Ok(read) => read,
                // The case vanished, and the same request opened it under another key.
                Err(UnreadableEvent::Sealed(_)) => {
                    tracing::error!(case = %id, order = %named.path, "a person's order was lost with an earlier life of the case and cannot be read any more; look at what was ordered then, and give it again");
                    continue;
                }
                Err(error) => {
                    let detail = format!("{}: {error}", named.path);
                    return Err(EngineError::History { case: id, detail });
                }
            };
            let superseded = matches!(event, Event::CaseAmended { .. }) && amended.is_some_and(|later| at <= later);
            if superseded || noticed.is_some_and(|noticed| at <= noticed) {
                continue;
            }
            // What was ordered anew once is kept twice.
            let command = anew(case, event).filter(|command| lost.iter().all(|(.., other)| other != command));
            if let Some(command) = command {
                lost.push((at, record.version, command));
            }
        }
        lost.sort_by_key(|(at, version, _)| (*at, *version));
        let commands = lost.into_iter().map(|(.., command)| command).collect();
        Ok(LostOrders { known, commands })
    }

    /// Keeps a pause, or its end, outside of the ledger.
    pub(crate) async fn keep_pause(
        &self,
        tenant: &TenantId,
        what: &Paused,
        until: Option<Timestamp>,
    ) -> Result<(), EngineError> {
        if self.keeping.is_none() {
            return Ok(());
        }
        let at = self.clock.now();
        let pause = KeptPause {
            gate: what.gate(),
            at,
            until,
        };
        let bytes = serde_json::to_vec(&pause).expect("a pause is plain data");
        let path = format!("pauses/{tenant}/{:015}-{}", at.0, short(Digest::of(&bytes)));
        self.store.put_named(&path, bytes).await.map(drop).map_err(store)
    }

    /// Shuts again what people have paused and the ledger has lost. What was
    /// paused before a mark that is still there is as the ledger has it.
    pub(crate) async fn shut_lost_pauses(&self, shard: u16, marked: Option<Timestamp>) -> Result<(), EngineError> {
        let now = self.clock.now();
        let tenants = self.tenants.all();
        for tenant in tenants.keys().filter(|t| t.shard(self.shards) == shard) {
            let mut last: BTreeMap<String, Option<Timestamp>> = BTreeMap::new();
            for named in self.store.list(&format!("pauses/{tenant}")).await.map_err(store)? {
                let in_doubt = marked.is_none_or(|mark| {
                    let at = paused_at(&named.path);
                    at.is_none_or(|at| at.plus(CLOCK_MARGIN_MS) > mark)
                });
                if !in_doubt {
                    continue;
                }
                let bytes = self.store.get_named(&named.path).await.map_err(store)?;
                let pause: KeptPause = serde_json::from_slice(&bytes).map_err(|e| {
                    let path = &named.path;
                    EngineError::Store(format!("{path} is no pause ({e}); restore it from a backup"))
                })?;
                last.insert(pause.gate, pause.until);
            }
            let shut: Vec<(String, Timestamp)> = last
                .into_iter()
                .filter_map(|(gate, until)| Some((gate, until.filter(|until| *until > now)?)))
                .collect();
            if shut.is_empty() {
                continue;
            }
            let there = self.ledger.gates(tenant, Vec::new()).await?;
            let lost: Vec<GateChange> = shut
                .into_iter()
                .filter(|(gate, until)| there.get(gate).is_none_or(|known| known < until))
                .map(|(name, until)| GateChange {
                    name,
                    until: Some(until),
                })
                .collect();
            if !lost.is_empty() {
                tracing::error!(%tenant, pauses = lost.len(), "the ledger had lost what was paused; it is paused again");
                self.shut_more(tenant, lost).await?;
                self.look_at_all_of(tenant);
            }
        }
        Ok(())
    }
}

/// When a pause was ordered, by its name in the store.
fn paused_at(path: &str) -> Option<Timestamp> {
    let at = path.rsplit('/').next()?.split('-').next()?;
    at.parse().ok().map(Timestamp)
}

/// Whether an event is what somebody ordered, and stands nowhere but in the
/// history. Another try needs no order after a loss: everything is tried again.
fn is_ordered(event: &Event) -> bool {
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
        Event::CaseAmended { departure, by } => {
            let amended = Departure {
                requested_by: by.unwrap_or_else(|| departure.requested_by.clone()),
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
            outcome: Outcome::Attested { by, file, note },
            ..
        } => Command::Attest { task, by, file, note },
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
