//! `transact`: the one function that writes history.
//!
//! It reads the case, calls the pure `decide`, appends at the expected version,
//! and if it lost a race takes the newer events and decides again. What one
//! command causes is one append; then what it assigned is published.

use crate::engine::{Engine, EngineError};
use crate::gathered::{Decided, Orders, Worked};
use crate::kept::{Kept, LostOrders, Whole, in_time, rearm};
use crate::place::{Held, Slot};
use crate::publish::republishable;
use crate::sweep::AFTER_FAILURE_MS;
use crate::unwritten;
use offboard_domain::assignment::CLOCK_MARGIN_MS;
use offboard_domain::event::{Event, UnreadableEvent, open_event, seal_events};
use offboard_domain::evidence::Recorded;
use offboard_domain::{
    Case, CaseId, CaseKey, CaseState, Command, Credit, Decision, Digest, Gates, Record, Refusal, System, TaskId,
    TenantId, Timestamp, next,
};
use offboard_ledger::{Append, Appended, Cap, Claim, GateChange, KeyChange, LedgerError};
use offboard_runtime::telemetry::{metrics, trace};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::MutexGuard;

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
    pub(crate) case: Arc<Case>,
    /// Whether it opened the case.
    pub(crate) opened: bool,
}

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
    ) -> Result<Arc<Case>, EngineError> {
        let calls_off = matches!(command, Command::Cancel { .. });
        let accepted = self.accepted(case).await;
        let span = trace::order(word(&command), tenant, case, accepted.as_deref());
        let done = span
            .within(self.transact(tenant, case, command, CreditFrom::Reserve))
            .await;
        if done.is_err() {
            span.failed("refused");
        }
        if accepted.is_none() {
            // Somebody else owns the case: its story is known only now.
            let read = match &done {
                Ok(done) => done.case.traceparent.clone(),
                // A link that is missing is no reason to hide why it was refused.
                Err(_) => self
                    .load(tenant, case)
                    .await
                    .ok()
                    .flatten()
                    .and_then(|h| h.case.traceparent.clone()),
            };
            span.link(read.as_deref());
        }
        let case = done.map(|done| done.case)?;
        // Whoever called a merged request off wants it heard before anything is done for it.
        if calls_off {
            Box::pin(self.tell_at_once(tenant, &case)).await;
        }
        Ok(case)
    }

    /// The trace in which a held case was accepted.
    async fn accepted(&self, case: CaseId) -> Option<String> {
        let place = self.place_of(case)?;
        let held = place.held.lock().await;
        held.as_ref()?.case.traceparent.clone()
    }

    pub(crate) async fn transact(
        self: &Arc<Self>,
        tenant: &TenantId,
        id: CaseId,
        command: Command,
        from: CreditFrom,
    ) -> Result<Done, EngineError> {
        if !self.owns(tenant) {
            return self.transact_for_owner(tenant, id, command, from).await;
        }
        let place = self.place(tenant, id);
        let held = place.held.lock().await;
        // Its shard may have been left while this waited: nothing is held any more.
        if !self.owns(tenant) {
            return self.transact_for_owner(tenant, id, command, from).await;
        }
        let reserved = self.admission.reserve(tenant);
        let credit = match from {
            CreditFrom::Reserve => reserved,
            CreditFrom::Admitted(credit) => credit.and(reserved),
        };
        let orders = Orders::One(command);
        let worked = self.work_on(tenant, id, &place, held, &orders, credit).await;
        let opened = worked.appended?.opened;
        let case = worked.case.ok_or(Refusal::UnknownCase)?;
        // It is in the ledger, and taken, whatever the queue says.
        Ok(Done { case, opened })
    }

    /// Decides on a case whose place is held, appends, takes up what follows,
    /// and publishes what was assigned.
    pub(crate) async fn work_on(
        self: &Arc<Self>,
        tenant: &TenantId,
        id: CaseId,
        slot: &Slot,
        mut held: MutexGuard<'_, Option<Held>>,
        orders: &Orders,
        credit: Credit,
    ) -> Worked {
        let before = held.as_ref().map(|h| h.case.clone());
        let appended = self.transact_held(tenant, id, orders, credit, &mut held).await;
        let case = held.as_ref().map(|h| h.case.clone());
        // A case that was only read now has its assignments counted now.
        self.admission
            .settle(tenant, credit, before.as_deref(), case.as_deref());
        if let Some(case) = case.as_deref() {
            self.remember_leaving(tenant, case).await;
        }
        match case.as_deref().filter(|case| !case.is_over()) {
            Some(case) => {
                let needed = self.follow(tenant, case).await;
                let silent = before.is_some_and(|before| before.version == case.version);
                if let Some(held) = held.as_mut().filter(|_| silent) {
                    self.note_who_is_needed(tenant, held, needed).await;
                }
            }
            None => {
                self.timers.clear(id);
                trace::over(id);
                self.ended(tenant, id);
            }
        }
        let unkept = Held::to_keep(held.as_ref());
        drop(held);
        // Also when the order was refused: what an earlier one left is not its fault.
        let published = self.publish_left(tenant, id, slot).await;
        if orders.are_waited_for() {
            self.keep_left(tenant, id, unkept).await;
        } else {
            self.keep_beside(tenant, id, unkept);
        }
        Worked {
            appended,
            case,
            published,
        }
    }

    /// Has the ledger's index say whether a person is needed: time alone may change that, or
    /// the tenant's configuration, and no record is appended then that would say it.
    async fn note_who_is_needed(&self, tenant: &TenantId, held: &mut Held, needed: bool) {
        if held.says_needed == Some(needed) {
            return;
        }
        let case = held.case.clone();
        let shut = self.shut(tenant).await.unwrap_or_default();
        let gates = self.gates_now(tenant, &shut);
        // Whoever has only read the case knows what was said with its last record.
        let with_the_last = || next(&case, case.changed_at, &gates).needs_person;
        if held.says_needed.unwrap_or_else(with_the_last) != needed {
            let now = self.clock.now();
            let index = self.index_of(tenant, &case, case.version, case.head, &gates, now);
            let noted = self.ledger.append(rearm(&case, index, false)).await;
            self.note_written(&noted);
            match noted {
                Ok(Appended::Done) => {}
                // Who was faster said it, or is found by his wake-up; what is lost, by the
                // next append.
                Ok(_) => return,
                Err(error) => {
                    tracing::warn!(case = %case.id, %error, "failed to note whether a person is needed; trying again");
                    self.timers.set_by(tenant, case.id, now.plus(AFTER_FAILURE_MS));
                    return;
                }
            }
        }
        held.says_needed = Some(needed);
    }

    /// Appends to a case that somebody else owns. Nothing is assigned,
    /// published or kept: the owner finds it by its wake-up.
    pub(crate) async fn transact_for_owner(
        self: &Arc<Self>,
        tenant: &TenantId,
        id: CaseId,
        command: Command,
        from: CreditFrom,
    ) -> Result<Done, EngineError> {
        if let CreditFrom::Admitted(credit) = from {
            self.admission.settle(tenant, credit, None, None);
        }
        let mut held = None;
        let orders = Orders::One(command);
        let appended = self.transact_held(tenant, id, &orders, Credit::NONE, &mut held).await;
        // The owner keeps what cannot be kept from here.
        self.keep_orders(tenant, id, Held::to_keep(held.as_ref())).await;
        let appended = appended?;
        let case = held.map(|h| h.case).ok_or(Refusal::UnknownCase)?;
        Ok(Done {
            case,
            opened: appended.opened,
        })
    }

    async fn transact_held(
        &self,
        tenant: &TenantId,
        id: CaseId,
        orders: &Orders,
        credit: Credit,
        held: &mut Option<Held>,
    ) -> Result<Decided, EngineError> {
        // What is to be opened is hardly ever there: if it is, the append says so.
        let opens = matches!(orders, Orders::One(Command::Open { .. }));
        if held.is_none() && !opens {
            *held = self.load(tenant, id).await?;
        }
        let shut = self.shut(tenant).await?;
        let mut gates = Gates {
            credit,
            ..self.gates_now(tenant, &shut)
        };
        // Once is enough, whatever a report says whose clock is ahead.
        let mut noticed = false;
        for _ in 0..MOST_RACES {
            let now = self.clock.now();
            let (decision, answers) = orders.decide(held.as_ref().map(|h| h.case.as_ref()), now, &gates)?;
            // Nothing more is appended to a case before it is sealed: unless it
            // is looked for, nobody would meet that the ledger has lost its end.
            let looked_for = matches!(orders, Orders::One(Command::Tick)) && decision.case.is_to_be_sealed();
            if decision.events.is_empty() && !looked_for {
                return Ok(Decided { opened: false, answers });
            }
            let lost = decision.events.iter().find_map(|event| match event {
                Event::TailLost { known, proven_by, .. } => Some((*known, *proven_by)),
                _ => None,
            });
            if let Some(proof) = lost.filter(|_| !noticed) {
                // What another owner appended meanwhile is not lost.
                if let Some(h) = held.as_mut() {
                    let newer = self.ledger.read(tenant, id, h.case.version + 1).await?.records;
                    if newer.first().is_some_and(|r| r.prev == h.case.head) {
                        self.take_newer(id, h, &newer)?;
                        continue;
                    }
                }
                // First that it is lost, and what people had ordered; then what follows.
                noticed = true;
                let noted = held.as_ref().and_then(|h| h.case.tail_lost_at);
                // By a worker's clock that is ahead, a report may be written after its
                // loss is noticed, and would tell of another one.
                let at = orders
                    .written_by(now.plus(CLOCK_MARGIN_MS))
                    .map_or(now, |at| at.max(now));
                let unkept = Held::to_keep(held.as_ref());
                *held = self.append_loss(tenant, id, proof, noted, at, unkept).await?;
                if orders.are_a_loss() {
                    self.changed();
                    return Ok(Decided { opened: false, answers });
                }
                continue;
            }
            // Before what asked for it is on record: whoever dies in between has held
            // back what is asked again, and the other way round would forget it.
            let changes = holding(&decision.holds, &shut);
            if !changes.is_empty() {
                self.shut_more(tenant, changes).await?;
            }
            let (key, salt, mut unpublished, mut unkept) = match held.as_ref() {
                Some(h) => (h.key.clone(), KeyChange::Keep, h.unpublished.clone(), h.unkept.clone()),
                None => {
                    let salt = (self.entropy)();
                    (
                        CaseKey::derive(&self.master, &salt),
                        KeyChange::Create(salt),
                        BTreeSet::new(),
                        Vec::new(),
                    )
                }
            };
            let append = self.append_for(
                tenant,
                held.as_ref().map(|h| h.case.as_ref()),
                &decision,
                &key,
                salt,
                &gates,
            );
            let opened = held.is_none();
            let says_needed = Some(append.index.needs_person);
            let places = places(&append);
            let ordered = self.orders_among(&decision.events, &append.records);
            match self.append(append).await? {
                written @ (Appended::Done | Appended::Ours) => {
                    let Decision { mut case, events, .. } = decision;
                    for (event, (version, head)) in events.iter().zip(places) {
                        case.recorded(event, version, head);
                    }
                    metrics::happened(&events, &case);
                    // Whether it was this process that wrote it before, nobody
                    // can tell: another owner who decides the same at the same
                    // time makes the same records.
                    let first = written == Appended::Done;
                    let assigned = assigned_by(&events).into_iter();
                    unpublished.extend(assigned.filter(|(t, _)| first || republishable(&case, *t)));
                    unkept.extend(ordered);
                    *held = Some(Held {
                        case: Arc::new(case),
                        key,
                        unpublished,
                        unkept,
                        says_needed,
                    });
                    self.changed();
                    return Ok(Decided { opened, answers });
                }
                Appended::Conflict { missed } => match held.as_mut() {
                    // It may have been ours: written, and never answered or published.
                    Some(h) => self.take_newer(id, h, &missed)?,
                    None => *held = self.load(tenant, id).await?,
                },
                Appended::Gap { .. } => {
                    // Whoever stood further knows that something is lost; it
                    // is written down before anything else is.
                    let known = held.as_ref().map_or(0, |h| h.case.version);
                    let noted = held.as_ref().and_then(|h| h.case.tail_lost_at);
                    noticed = true;
                    let unkept = Held::to_keep(held.as_ref());
                    *held = self.append_loss(tenant, id, (known, None), noted, now, unkept).await?;
                    if orders.are_a_loss() {
                        self.changed();
                        return Ok(Decided { opened: false, answers });
                    }
                }
                Appended::Trimmed { .. } => *held = self.load(tenant, id).await?,
                Appended::Claimed { by } => gates.claimed_by = Some(by),
                Appended::Capped { .. } => gates.capped = true,
            }
        }
        Err(races(id))
    }

    /// Reads a case anew and writes down that its history was longer once, with
    /// what people had ordered in what was lost. Whoever met it knows of the loss
    /// that was noted at that time, or of none: if another has been since, this one
    /// is on record. Returns the case after it; none if there is no such case any
    /// more.
    ///
    /// What had been ordered is waited for, but not for long: a store that is away must
    /// not hold back what is to be taken from whoever leaves. It is decided when the
    /// store answers (`kept::losses`), and before the case is sealed. What whoever met it
    /// has not kept yet is kept first, and stays to be kept if it cannot be.
    async fn append_loss(
        &self,
        tenant: &TenantId,
        id: CaseId,
        (known, proven_by): (u64, Option<Digest>),
        noted: Option<Timestamp>,
        at: Timestamp,
        unkept: Vec<Record>,
    ) -> Result<Option<Held>, EngineError> {
        let gates = Gates {
            credit: Credit::NONE,
            ..Gates::open()
        };
        if !unkept.is_empty() {
            // Whoever noted it before did not know of these.
            self.doubt(tenant, id);
        }
        let left = self.keep_orders(tenant, id, unkept).await;
        for _ in 0..MOST_RACES {
            let history = self.whole(tenant, id).await?;
            let Some((mut held, recorded)) = self.folded(id, history)? else {
                return Ok(None);
            };
            if held.case.tail_lost_at > noted {
                held.unkept = left;
                return Ok(Some(held));
            }
            let read = if left.is_empty() {
                self.lost_orders_in_time(tenant, &held.case, &held.key, &recorded).await
            } else {
                Err(EngineError::Store("not all of it could be kept there before".into()))
            };
            let (lost, unread) = match read {
                Ok(lost) => (lost, None),
                Err(error @ EngineError::Store(_)) => (LostOrders::unread(), Some(error)),
                Err(error) => return Err(error),
            };
            let now = self.clock.now().max(at);
            let decision = lost.decide(&held.case, (known, proven_by), now, &gates);
            if decision.events.is_empty() {
                held.unkept = left;
                return Ok(Some(held));
            }
            let append = self.append_for(tenant, Some(&held.case), &decision, &held.key, KeyChange::Keep, &gates);
            let places = places(&append);
            let ordered = self.orders_among(&decision.events, &append.records);
            if let Appended::Done | Appended::Ours = self.append(append).await? {
                tracing::error!(case = %id, known, found = held.case.version, "the ledger lost the end of a case's history; everything is read again");
                if let Some(error) = unread {
                    tracing::error!(case = %id, %error, "what people had ordered in it could not be read; the case goes on without, and it is ordered anew once the store answers");
                    self.doubt(tenant, id);
                }
                let mut case = decision.case;
                for (event, (version, head)) in decision.events.iter().zip(places) {
                    case.recorded(event, version, head);
                }
                metrics::happened(&decision.events, &case);
                // What was in flight before may be so still, or was lost with its message. Of
                // who is called off nothing goes out any more.
                let goes_on = case.state != CaseState::Cancelling;
                held.unpublished
                    .retain(|(task, _)| goes_on && republishable(&case, *task));
                held.case = Arc::new(case);
                held.unkept = left;
                held.unkept.extend(ordered);
                return Ok(Some(held));
            }
        }
        Err(races(id))
    }

    /// Whether the ledger took what was to be written; where it answers that somebody was
    /// faster, or that history is lost, nothing was, and nothing failed.
    fn note_written(&self, appended: &Result<Appended, LedgerError>) {
        if let Err(_) | Ok(Appended::Done | Appended::Ours) = appended {
            self.failures.note(unwritten::LEDGER, appended, self.clock.now());
        }
    }

    async fn append(&self, append: Append) -> Result<Appended, LedgerError> {
        let began = Instant::now();
        let appended = self.ledger.append(append).await;
        self.note_written(&appended);
        let word = match &appended {
            Ok(Appended::Done) => "done",
            Ok(Appended::Ours) => "ours",
            Ok(Appended::Conflict { .. }) => "conflict",
            Ok(Appended::Gap { .. }) => "gap",
            Ok(Appended::Claimed { .. }) => "claimed",
            Ok(Appended::Capped { .. }) => "capped",
            Ok(Appended::Trimmed { .. }) => "trimmed",
            Err(_) => "failed",
        };
        metrics::append(word, began.elapsed());
        appended
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
        let most = decision.case.policy.departures_per_hour;
        // What cannot be reached need not be counted.
        let counts = before.is_none() && !gates.capped && most < u32::MAX;
        let cap = counts.then(|| Cap {
            since: now.plus(-CAP_WINDOW_MS),
            most,
        });
        Append {
            expected,
            prev,
            records,
            index: self.index_of(tenant, &decision.case, version, head, gates, now),
            key: salt,
            claim,
            cap,
            trim: false,
        }
    }

    /// Takes up what somebody else appended to a case, and puts its wake-up
    /// right again.
    pub(crate) async fn refresh(self: &Arc<Self>, tenant: &TenantId, id: CaseId) -> Result<(), EngineError> {
        let place = self.place(tenant, id);
        let mut held = place.held.lock().await;
        if !self.owns(tenant) {
            return Ok(());
        }
        let before = held.as_ref().map(|h| h.case.clone());
        match held.as_mut() {
            Some(h) => {
                let newer = self.ledger.read(tenant, id, h.case.version + 1).await?.records;
                if newer.first().is_some_and(|r| r.prev != h.case.head) {
                    // It was appended to another history than this process stood in.
                    let (known, noted) = (h.case.version, h.case.tail_lost_at);
                    let unkept = Held::to_keep(Some(&*h));
                    let lost = self.append_loss(tenant, id, (known, None), noted, self.clock.now(), unkept);
                    *held = lost.await?;
                } else {
                    self.take_newer(id, h, &newer)?;
                }
            }
            // Who appended to it may have died before it was kept.
            None => {
                *held = self.compared(tenant, id, &Kept::default()).await?;
                // Nor may whoever noticed a loss have had what was ordered in it.
                if held.as_ref().is_some_and(|h| h.case.tail_lost_at.is_some()) {
                    self.doubt(tenant, id);
                }
            }
        }
        let Some(h) = held.as_ref() else {
            // The ledger has it no more: nothing of it is in flight, or due.
            self.admission.settle(tenant, Credit::NONE, before.as_deref(), None);
            self.timers.clear(id);
            return Ok(());
        };
        let mut case = h.case.clone();
        self.admission
            .settle(tenant, Credit::NONE, before.as_deref(), Some(&case));
        self.remember_leaving(tenant, &case).await;
        let shut = self.shut(tenant).await?;
        let gates = self.gates_now(tenant, &shut);
        // Who was faster wrote a right wake-up or leaves one to be found again.
        let rearmed = self
            .ledger
            .append(rearm(
                &case,
                self.index_of(tenant, &case, case.version, case.head, &gates, case.changed_at),
                false,
            ))
            .await;
        self.note_written(&rearmed);
        if let Appended::Gap { .. } = rearmed? {
            // What was appended stands where this process knows something else.
            let unkept = Held::to_keep(held.as_ref());
            *held = self
                .append_loss(
                    tenant,
                    id,
                    (case.version, None),
                    case.tail_lost_at,
                    self.clock.now(),
                    unkept,
                )
                .await?;
            let there = held.as_ref().map(|h| h.case.clone());
            self.admission
                .settle(tenant, Credit::NONE, Some(&case), there.as_deref());
            let Some(there) = there else {
                self.timers.clear(id);
                return Ok(());
            };
            case = there;
        }
        if case.is_over() {
            self.timers.clear(id);
            self.ended(tenant, id);
        } else {
            self.follow(tenant, &case).await;
        }
        self.changed();
        let unkept = Held::to_keep(held.as_ref());
        drop(held);
        let published = self.publish_left(tenant, id, &place).await;
        self.keep_beside(tenant, id, unkept);
        published
    }

    /// Takes up what somebody else appended to a held case, who may have died before
    /// it was published, or kept.
    fn take_newer(&self, id: CaseId, held: &mut Held, newer: &[Record]) -> Result<(), EngineError> {
        let failed = |detail| EngineError::History { case: id, detail };
        let events = fold_all(Arc::make_mut(&mut held.case), &held.key, newer).map_err(failed)?;
        // He wrote the index, too.
        held.says_needed = None;
        let assigned = assigned_by(&events).into_iter();
        held.unpublished
            .extend(assigned.filter(|(t, _)| republishable(&held.case, *t)));
        held.unkept.extend(self.orders_among(&events, newer));
        // Whoever noticed a loss may not have had what was ordered in it.
        if events.iter().any(|event| matches!(event, Event::TailLost { .. })) {
            self.doubt(&held.case.departure.tenant, id);
        }
        Ok(())
    }

    /// Reads a case from the ledger and folds it.
    pub(crate) async fn load(&self, tenant: &TenantId, id: CaseId) -> Result<Option<Held>, EngineError> {
        let history = self.whole(tenant, id).await?;
        Ok(self.folded(id, history)?.map(|(held, _)| held))
    }

    /// A case from its whole history, and that history as it was read; none if
    /// it is empty.
    pub(crate) fn folded(&self, id: CaseId, history: Whole) -> Result<Option<(Held, Vec<Recorded>)>, EngineError> {
        if history.records.is_empty() {
            return Ok(None);
        }
        let failed = |detail: String| EngineError::History { case: id, detail };
        let salt = history
            .salt
            .ok_or_else(|| failed("its key was destroyed; the person is erased".into()))?;
        let key = CaseKey::derive(&self.master, &salt);
        let opened = |record: Record| {
            let (at, event) = open_event(&key, &record)?;
            Ok(Recorded { record, at, event })
        };
        let read: Result<Vec<Recorded>, UnreadableEvent> = history.records.into_iter().map(opened).collect();
        let read = read.map_err(|e| failed(e.to_string()))?;
        let [first, rest @ ..] = read.as_slice() else {
            return Ok(None);
        };
        let mut case = Case::opened(id, first.at, &first.event).map_err(|e| failed(e.to_string()))?;
        case.recorded(&first.event, first.record.version, first.record.hash);
        for r in rest {
            fold_one(&mut case, &r.record, r.at, &r.event).map_err(failed)?;
        }
        // Nobody here knows what became of these.
        let unpublished = case
            .tasks
            .values()
            .filter(|t| republishable(&case, t.id()))
            .map(|t| (t.id(), t.attempt))
            .collect();
        let held = Held {
            case: Arc::new(case),
            key,
            unpublished,
            unkept: Vec::new(),
            says_needed: None,
        };
        Ok(Some((held, read)))
    }

    /// Reads a case and holds it against what is kept of it: what it has lost is
    /// written down before anything is done for it, and what is not kept is to be.
    async fn compared(&self, tenant: &TenantId, id: CaseId, kept: &Kept) -> Result<Option<Held>, EngineError> {
        let history = self.whole(tenant, id).await?;
        let Some((mut held, recorded)) = self.folded(id, history)? else {
            return Ok(None);
        };
        if self.keeping.is_none() {
            return Ok(Some(held));
        }
        let lacks = kept.lacks(&recorded);
        if !held.case.is_over() {
            match in_time(self.beyond(kept, &recorded)).await {
                Ok(None) => {}
                Ok(Some(beyond)) => {
                    let (known, noted) = (beyond.version.max(held.case.version + 1), held.case.tail_lost_at);
                    match self
                        .append_loss(tenant, id, (known, None), noted, self.clock.now(), Vec::new())
                        .await?
                    {
                        Some(after) => held = after,
                        None => return Ok(None),
                    }
                }
                // It is compared again when it is looked for losses, and before it is sealed.
                Err(error) => {
                    tracing::warn!(case = %id, %error, "failed to compare a case with what is kept of it; taking it up as the ledger has it");
                }
            }
        }
        held.unkept.extend(lacks);
        Ok(Some(held))
    }

    /// Takes up a case that the ledger holds, after what is kept of it was listed;
    /// none: the store did not say, and it is compared at the next look.
    pub(crate) async fn take_up(
        self: &Arc<Self>,
        tenant: &TenantId,
        id: CaseId,
        kept: Option<&Kept>,
    ) -> Result<(), EngineError> {
        let place = self.place(tenant, id);
        let mut held = place.held.lock().await;
        if held.is_some() {
            return Ok(());
        }
        if self.owns(tenant) {
            *held = match kept {
                Some(kept) => self.compared(tenant, id, kept).await?,
                None => {
                    self.doubt(tenant, id);
                    self.load(tenant, id).await?
                }
            };
        }
        let Some(h) = held.as_ref().filter(|h| !h.case.is_over()) else {
            return Ok(());
        };
        let case = h.case.clone();
        self.admission.settle(tenant, Credit::NONE, None, Some(&case));
        self.remember_leaving(tenant, &case).await;
        let needed = self.follow(tenant, &case).await;
        // Time has passed since its last record: perhaps nobody wakes it for who is needed.
        if let Some(h) = held.as_mut() {
            self.note_who_is_needed(tenant, h, needed).await;
        }
        let unkept = Held::to_keep(held.as_ref());
        drop(held);
        let published = self.publish_left(tenant, id, &place).await;
        self.keep_left(tenant, id, unkept).await;
        published
    }
}

/// The gates that these vendors' requests shut. One that was asked to stay
/// shut longer is not opened sooner.
fn holding(holds: &[(System, Timestamp)], shut: &BTreeMap<String, Timestamp>) -> Vec<GateChange> {
    let gates = holds.iter().map(|(system, until)| (format!("hold/{system}"), *until));
    gates
        .filter(|(name, until)| shut.get(name).is_none_or(|known| known < until))
        .map(|(name, until)| GateChange {
            name,
            until: Some(until),
        })
        .collect()
}

fn races(case: CaseId) -> EngineError {
    EngineError::History {
        case,
        detail: format!("{MOST_RACES} appends in a row lost their race"),
    }
}

/// An order as its span calls it.
pub(crate) fn word(command: &Command) -> &'static str {
    match command {
        Command::Open { .. } => "open",
        Command::RecordReport(_) => "record_report",
        Command::Tick => "tick",
        Command::Approve { .. } => "approve",
        Command::Attest { .. } => "attest",
        Command::Waive { .. } => "waive",
        Command::Retry { .. } => "retry",
        Command::Cancel { .. } => "cancel",
        Command::Join { .. } => "join",
        Command::Leave { .. } => "leave",
        Command::AcknowledgeMerge { .. } => "acknowledge_merge",
        Command::UndoMerge { .. } => "undo_merge",
        Command::RecordSealed { .. } => "record_sealed",
        Command::RecordFollowUp { .. } => "record_follow_up",
        Command::RecordLoss { .. } => "record_loss",
    }
}

/// Where the records of an append stand in their history.
fn places(append: &Append) -> Vec<(u64, Digest)> {
    append.records.iter().map(|r| (r.version, r.hash)).collect()
}

/// The attempts that these events ordered.
fn assigned_by(events: &[Event]) -> Vec<(TaskId, u32)> {
    events
        .iter()
        .filter_map(|e| match e {
            Event::TaskAssigned { task, attempt, .. } => Some((*task, *attempt)),
            _ => None,
        })
        .collect()
}

/// Folds records onto a case, and returns what they say.
fn fold_all(case: &mut Case, key: &CaseKey, records: &[Record]) -> Result<Vec<Event>, String> {
    let mut events = Vec::with_capacity(records.len());
    for record in records {
        let (at, event) = open_event(key, record).map_err(|e| e.to_string())?;
        fold_one(case, record, at, &event)?;
        events.push(event);
    }
    Ok(events)
}

/// Folds a record onto a case, if it is the next one of its history.
fn fold_one(case: &mut Case, record: &Record, at: Timestamp, event: &Event) -> Result<(), String> {
    let fits = record.prev == case.head && record.version == case.version + 1;
    if !fits {
        return Err(format!(
            "record {} does not follow record {}",
            record.version, case.version
        ));
    }
    case.fold(at, event);
    case.recorded(event, record.version, record.hash);
    Ok(())
}

/// What a case claims: the person, in the system in which he was resolved first.
fn subject_key(case: &Case) -> Option<String> {
    case.subject
        .0
        .iter()
        .next()
        .map(|(system, id)| format!("{system}:{id}"))
}
