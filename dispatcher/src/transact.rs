//! `transact`: the one function that writes history.
//!
//! It reads the case, calls the pure `decide`, appends at the expected version,
//! and if it lost a race takes the newer events and decides again. What one
//! command causes is one append; then what it assigned is published.

use crate::engine::{Engine, EngineError, Held, Slot};
use offboard_domain::event::{Event, open_event, seal_events};
use offboard_domain::{
    Case, CaseId, CaseKey, CaseState, Command, Credit, Decision, Digest, Effect, Gates, Mode, Record, Refusal, TaskId,
    TenantId, decide, next,
};
use offboard_ledger::{Append, Appended, Cap, Claim, GateChange, IndexEntry, KeyChange};
use offboard_queue::{Message, QueueError, QueueName};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How often a lost race is decided again before somebody is told: each time
/// somebody else got on, so this many in a row is not a race but a defect.
const MOST_RACES: usize = 100;

/// An hour, over which a tenant's cap of departures counts.
const CAP_WINDOW_MS: i64 = offboard_domain::time::HOUR_MS;

/// Where the credit of a decision comes from.
pub(crate) enum CreditFrom {
    /// Reserve what nobody waits for.
    Reserve,
    /// Reserved already.
    Admitted(Credit),
}

/// What a command led to.
pub(crate) struct Done {
    /// The case after it.
    pub(crate) case: Case,
    /// Whether it opened the case.
    pub(crate) opened: bool,
}

/// Rest after a failed publication before it is tried again, in milliseconds.
const PUBLISH_AGAIN_MS: i64 = 1_000;

impl Engine {
    /// Orders something of a case.
    ///
    /// # Errors
    /// [`EngineError::Refused`] when the state machine says no; else what failed.
    pub async fn order(
        self: &Arc<Self>,
        tenant: &TenantId,
        case: CaseId,
        command: Command,
    ) -> Result<Case, EngineError> {
        self.transact(tenant, case, command, CreditFrom::Reserve)
            .await
            .map(|done| done.case)
    }

    pub(crate) async fn transact(
        self: &Arc<Self>,
        tenant: &TenantId,
        id: CaseId,
        command: Command,
        from: CreditFrom,
    ) -> Result<Done, EngineError> {
        let slot = self.slot(id);
        let mut held = slot.lock().await;
        let credit = match from {
            CreditFrom::Reserve => self.admission.reserve(),
            CreditFrom::Admitted(credit) => credit,
        };
        let before = held.as_ref().map(|h| h.case.clone());
        let answered = matches!(command, Command::RecordReport(_));
        let result = self.transact_held(tenant, id, command, credit, &mut held).await;
        let after = held.as_ref().map(|h| &h.case);
        // A case that was only read now has its assignments counted now.
        self.admission.settle(credit, before.as_ref(), after);
        let ended = after.is_none_or(Case::is_over);
        if let Some(case) = after.filter(|_| !ended) {
            self.follow(tenant, case).await;
        }
        if ended {
            self.timers.clear(id);
        }
        let case = held.as_ref().map(|h| h.case.clone());
        drop(held);
        // Also when the order was refused: what an earlier one left is not its fault.
        let published = self.publish_left(tenant, id, &slot).await;
        if ended {
            self.forget(id, &slot);
        }
        let opened = result?;
        let case = case.ok_or(Refusal::UnknownCase)?;
        // An order that is in the ledger is taken, whatever the queue says; a
        // report comes again until what it caused is published.
        if answered {
            published?;
        }
        Ok(Done { case, opened })
    }

    /// Publishes what was assigned and is not known to be published; what
    /// fails is tried again when the case is next looked at.
    pub(crate) async fn publish_left(&self, tenant: &TenantId, id: CaseId, slot: &Slot) -> Result<(), QueueError> {
        let taken = slot
            .lock()
            .await
            .as_mut()
            .map(|h| (h.case.clone(), std::mem::take(&mut h.unpublished)));
        let Some((case, tasks)) = taken.filter(|(_, tasks)| !tasks.is_empty()) else {
            return Ok(());
        };
        let tasks: Vec<TaskId> = tasks.into_iter().collect();
        let result = self.publish(&case, &tasks).await;
        if let Err(error) = &result {
            tracing::warn!(case = %id, %error, "failed to publish assignments; trying again");
            if let Some(held) = slot.lock().await.as_mut() {
                let same =
                    |t: &TaskId| held.case.tasks.get(t).map(|t| t.attempt) == case.tasks.get(t).map(|t| t.attempt);
                let again: Vec<TaskId> = tasks
                    .into_iter()
                    .filter(|t| same(t) && republishable(&held.case, *t))
                    .collect();
                held.unpublished.extend(again);
                self.timers
                    .set(tenant, id, Some(self.clock.now().plus(PUBLISH_AGAIN_MS)));
            }
        }
        result
    }

    async fn transact_held(
        &self,
        tenant: &TenantId,
        id: CaseId,
        command: Command,
        credit: Credit,
        held: &mut Option<Held>,
    ) -> Result<bool, EngineError> {
        if held.is_none() {
            *held = self.load(tenant, id).await?;
        }
        let shut = self.shut(tenant).await?;
        let mut gates = Gates {
            credit,
            shut: (*shut).clone(),
            claimed_by: None,
            capped: false,
        };
        for _ in 0..MOST_RACES {
            let now = self.clock.now();
            let decision = decide(held.as_ref().map(|h| &h.case), command.clone(), now, &gates)?;
            if decision.events.is_empty() {
                return Ok(false);
            }
            let (key, salt, mut unpublished) = match held.as_ref() {
                Some(h) => (h.key.clone(), KeyChange::Keep, h.unpublished.clone()),
                None => {
                    let salt = (self.entropy)();
                    (
                        CaseKey::derive(&self.master, &salt),
                        KeyChange::Create(salt),
                        BTreeSet::new(),
                    )
                }
            };
            let append = self.append_for(tenant, held.as_ref().map(|h| &h.case), &decision, &key, salt, &gates);
            let opened = held.is_none();
            let places: Vec<(u64, Digest)> = append.records.iter().map(|r| (r.version, r.hash)).collect();
            match self.ledger.append(append).await? {
                Appended::Done | Appended::Ours => {
                    let Decision {
                        mut case,
                        events,
                        holds,
                    } = decision;
                    for (event, (version, head)) in events.iter().zip(&places) {
                        case.recorded(event, *version, *head);
                    }
                    unpublished.extend(assigned_by(&events));
                    *held = Some(Held { case, key, unpublished });
                    if !holds.is_empty() {
                        let changes = holds
                            .into_iter()
                            .map(|(system, until)| GateChange {
                                name: format!("hold/{system}"),
                                until: Some(until),
                            })
                            .collect();
                        self.shut_more(tenant, changes).await?;
                    }
                    self.changed();
                    return Ok(opened);
                }
                Appended::Conflict { missed } => match held.as_mut() {
                    // It may have been ours: written, and never answered or published.
                    Some(h) => {
                        let missed = fold_all(&mut h.case, &h.key, &missed);
                        let assigned = missed.map_err(|detail| EngineError::History { case: id, detail })?;
                        h.unpublished
                            .extend(assigned.into_iter().filter(|t| republishable(&h.case, *t)));
                    }
                    None => *held = self.load(tenant, id).await?,
                },
                Appended::Gap { .. } => *held = self.load(tenant, id).await?,
                Appended::Claimed { by } => gates.claimed_by = Some(by),
                Appended::Capped { .. } => gates.capped = true,
            }
        }
        Err(EngineError::History {
            case: id,
            detail: format!("{MOST_RACES} appends in a row lost their race"),
        })
    }

    fn append_for(
        &self,
        tenant: &TenantId,
        before: Option<&Case>,
        decision: &Decision,
        key: &CaseKey,
        salt: KeyChange,
        gates: &Gates,
    ) -> Append {
        let (expected, prev) = before.map_or((0, Digest::ZERO), |c| (c.version, c.head));
        let now = decision.case.changed_at;
        let records = seal_events(key, expected, prev, now, &decision.events);
        let (version, head) = records.last().map_or((expected, prev), |r| (r.version, r.hash));
        let planned = decision.events.iter().any(|e| matches!(e, Event::CasePlanned { .. }));
        let claim = match (decision.case.state.ended(), planned) {
            (true, _) => Claim::Release,
            (false, true) => subject_key(&decision.case).map_or(Claim::Keep, Claim::Take),
            (false, false) => Claim::Keep,
        };
        let uncapped = before.is_none() && !gates.capped;
        let cap = uncapped.then(|| Cap {
            since: now.plus(-CAP_WINDOW_MS),
            most: decision.case.policy.departures_per_hour,
        });
        Append {
            expected,
            prev,
            records,
            index: index_entry(tenant, &decision.case, version, head, gates),
            key: salt,
            claim,
            cap,
        }
    }

    /// Reads a case from the ledger and folds it.
    pub(crate) async fn load(&self, tenant: &TenantId, id: CaseId) -> Result<Option<Held>, EngineError> {
        let history = self.ledger.read(tenant, id, 1).await?;
        let Some(first) = history.records.first() else {
            return Ok(None);
        };
        let failed = |detail: String| EngineError::History { case: id, detail };
        let salt = history
            .salt
            .ok_or_else(|| failed("its key was destroyed; the person is erased".into()))?;
        let key = CaseKey::derive(&self.master, &salt);
        let (at, event) = open_event(&key, first).map_err(|e| failed(e.to_string()))?;
        let mut case = Case::opened(id, at, &event).map_err(|e| failed(e.to_string()))?;
        case.recorded(&event, first.version, first.hash);
        fold_all(&mut case, &key, &history.records[1..]).map_err(failed)?;
        // Nobody here knows what became of these.
        let unpublished = case
            .tasks
            .keys()
            .copied()
            .filter(|t| republishable(&case, *t))
            .collect();
        Ok(Some(Held { case, key, unpublished }))
    }

    /// Takes up a case that the ledger holds.
    pub(crate) async fn take_up(self: &Arc<Self>, tenant: &TenantId, id: CaseId) -> Result<(), EngineError> {
        let slot = self.slot(id);
        let mut held = slot.lock().await;
        if held.is_some() {
            return Ok(());
        }
        *held = self.load(tenant, id).await?;
        let Some(h) = held.as_ref().filter(|h| !h.case.is_over()) else {
            drop(held);
            self.forget(id, &slot);
            return Ok(());
        };
        self.admission.settle(Credit::NONE, None, Some(&h.case));
        self.follow(tenant, &h.case).await;
        drop(held);
        self.publish_left(tenant, id, &slot).await?;
        Ok(())
    }

    /// Arms the timer, queues for credit, hands to the closer.
    pub(crate) async fn follow(&self, tenant: &TenantId, case: &Case) {
        let shut = self.shut(tenant).await.map(|s| (*s).clone()).unwrap_or_default();
        let gates = Gates { shut, ..Gates::open() };
        let next = next(case, self.clock.now(), &gates);
        self.timers.set(tenant, case.id, next.timer.map(|w| w.at));
        let weight = self.tenants.get(tenant).map_or(1, |t| t.weight);
        for effect in next.effects {
            match effect {
                Effect::Assign(task, lane) => {
                    if let Some(task) = case.tasks.get(&task) {
                        self.admission
                            .wait((task.kind().spec().area, lane), tenant, weight, case.id);
                    }
                }
                // The receiver lives as long as the engine.
                Effect::Seal => drop(self.to_seal.send((tenant.clone(), case.id))),
            }
        }
    }

    async fn publish(&self, case: &Case, tasks: &[TaskId]) -> Result<(), QueueError> {
        let mut by_queue: BTreeMap<QueueName, Vec<Message>> = BTreeMap::new();
        for id in tasks {
            let Some(assignment) = case.assignment(*id) else {
                continue;
            };
            let queue = QueueName::Assignments {
                area: assignment.kind.spec().area,
                lane: case.lane(assignment.kind),
                site: None,
            };
            let body = serde_json::to_vec(&assignment).expect("an assignment is plain data");
            by_queue.entry(queue).or_default().push(Message {
                id: format!("{id}-{}", assignment.attempt),
                headers: assignment
                    .traceparent
                    .iter()
                    .map(|t| ("traceparent".to_owned(), t.clone()))
                    .collect(),
                body: body.into(),
                expires_at: Some(assignment.start_by),
            });
        }
        for (queue, messages) in by_queue {
            self.queue.publish(&queue, messages).await?;
        }
        Ok(())
    }
}

/// Whether an attempt in flight may be published although it may have been
/// before: never one of a *once* kind that may write.
fn republishable(case: &Case, task: TaskId) -> bool {
    case.tasks.get(&task).is_some_and(|t| {
        let harmless = |a: &offboard_domain::task::Attempt| a.mode == Mode::ObserveOnly || t.kind().spec().convergent;
        t.in_flight().is_some_and(harmless)
    })
}

/// The tasks that these events assigned.
fn assigned_by(events: &[Event]) -> Vec<TaskId> {
    events
        .iter()
        .filter_map(|e| match e {
            Event::TaskAssigned { task, .. } => Some(*task),
            _ => None,
        })
        .collect()
}

/// Folds records onto a case, and returns the tasks that they assigned.
fn fold_all(case: &mut Case, key: &CaseKey, records: &[Record]) -> Result<Vec<TaskId>, String> {
    let mut assigned = Vec::new();
    for record in records {
        let fits = record.prev == case.head && record.version == case.version + 1;
        if !fits {
            return Err(format!(
                "record {} does not follow record {}",
                record.version, case.version
            ));
        }
        let (at, event) = open_event(key, record).map_err(|e| e.to_string())?;
        case.fold(at, &event);
        case.recorded(&event, record.version, record.hash);
        assigned.extend(assigned_by(std::slice::from_ref(&event)));
    }
    Ok(assigned)
}

/// What a case claims: the person, in the system in which he was resolved first.
fn subject_key(case: &Case) -> Option<String> {
    case.subject
        .0
        .iter()
        .next()
        .map(|(system, id)| format!("{system}:{id}"))
}

/// What the ledger's index keeps of a case.
pub(crate) fn index_entry(tenant: &TenantId, case: &Case, version: u64, head: Digest, gates: &Gates) -> IndexEntry {
    let open = Gates {
        credit: Credit::UNLIMITED,
        ..gates.clone()
    };
    let next = next(case, case.changed_at, &open);
    let (settled, tasks) = case.progress();
    IndexEntry {
        tenant: tenant.clone(),
        case: case.id,
        version,
        head,
        state: case.state.word().to_owned(),
        ended: case.is_over(),
        needs_person: next.needs_person && case.state != CaseState::Closed,
        urgent: case.urgent(),
        wake: next.wake,
        opened_at: case.opened_at,
        updated_at: case.changed_at,
        settled,
        tasks,
    }
}
