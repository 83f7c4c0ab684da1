//! The auditor stands behind the seams and believes nobody: it folds every
//! record that was truly written into cases of its own, and checks each one
//! against the laws as the catalogue states them, not as the dispatcher
//! computed them.

use crate::invariant::{Invariant, Violated};
use crate::reading::Reading;
use crate::secrets::Secrets;
use crate::transcript::{EPOCH, Transcript};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as B64;
use offboard_domain::catalogue::{Approval, Closes, Dep, Until, apps};
use offboard_domain::departure::Manner;
use offboard_domain::event::{Event, open_event};
use offboard_domain::plan::approval_digest;
use offboard_domain::standing::is_held_up;
use offboard_domain::task::RestReason;
use offboard_domain::time::HOUR_MS;
use offboard_domain::{
    Area, Assignment, AttemptMark, Case, CaseId, CaseKey, CaseState, Departure, Digest, FaultClass, Kind, Mode,
    Outcome, Record, Report, Task, TaskId, TenantId, Timestamp,
};
use offboard_ledger::{Append, KeyChange, Ledger as _, MemoryLedger};
use offboard_queue::{Message, QueueName};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Most calls of the ledger at one moment of virtual time.
const MOST_CALLS_AT_ONCE: u64 = 3_000;
/// Most appends of one case within an hour of virtual time.
const MOST_APPENDS_AN_HOUR: u64 = 1_500;

/// Most messages of all cases within an hour of virtual time.
const MOST_MESSAGES_AN_HOUR: u64 = 6_000;

/// So many appends a case keeps when the ledger loses its end: whoever handed it in was
/// answered, and what becomes of a lost opening is not what is simulated.
const KEEPS_APPENDS: usize = 8;

/// How the files of signed accounts end.
const ENVELOPE: &str = ".dsse.json";

/// How the pages beside them end.
const PAGE: &str = ".html";

/// How long an attempt's mark is: `3f2a9c0d-11aa`.
const MARK_CHARS: usize = 13;

/// One case as the auditor has folded it, and as its events tell of it.
pub(crate) struct Shadow {
    pub(crate) case: Case,
    reading: Reading,
    key: CaseKey,
    closed: u32,
    wrote_in_round: bool,
    /// Once-only tasks that were ordered and of which nobody has shown since
    /// that they did not happen.
    may_have_happened: BTreeSet<TaskId>,
    /// Tasks that somebody was sent to, as an order or what he told of it shows.
    sent_to: BTreeSet<TaskId>,
    appends: BTreeMap<i64, u64>,
    pub(crate) tail_lost: bool,
    /// It is on the record that history was lost: from then on nobody is excused who
    /// does what may have happened.
    loss_noticed: bool,
    /// A person has decided that the files may go with the licence.
    pub(crate) drive_given_up: bool,
    /// When a task of a kind was first settled, by the one clock that is right; also in a
    /// history that was lost since.
    first_settled: BTreeMap<Kind, Timestamp>,
}

#[derive(Default)]
struct State {
    cases: BTreeMap<(TenantId, CaseId), Shadow>,
    violated: BTreeSet<Violated>,
    /// By the record that ordered each: another try of the same number is ordered by
    /// another record, when that one was lost.
    published_once: BTreeSet<(CaseId, TaskId, u32, Digest)>,
    canaries: Vec<(TenantId, String)>,
    secrets: Arc<Secrets>,
    /// Which case each attempt is of, by what its requests' ids begin with.
    attempts: BTreeMap<String, (TenantId, CaseId, TaskId)>,
    last_call: Timestamp,
    calls_now: u64,
    appends: u64,
    messages: BTreeMap<i64, u64>,
    /// Whose each append was that wrote records and is not lost, in the order in which
    /// the ledger took them.
    order: Vec<(TenantId, CaseId)>,
    tails_lost: bool,
}

impl State {
    /// Notes it if a secret stands in a text, which is of this.
    fn told(&mut self, text: &str, of: &str) {
        if let Some(secret) = self.secrets.first_in(text) {
            self.violated.insert(Violated {
                invariant: Invariant::NoSecret,
                what: format!("{secret}… in {of}"),
            });
        }
    }
}

/// A secret in an event, as it is before it is sealed, if there is one.
fn secret_in(secrets: &Secrets, event: &Event) -> Option<String> {
    secrets.first_in(&serde_json::to_string(event).ok()?)
}

/// The names of the person that whoever works in an application, or looks somebody up in a
/// workspace, is told.
fn names_told(assignment: &Assignment) -> impl Iterator<Item = &String> {
    let checks = assignment.checks.iter().map(|check| (check.kind, &check.params));
    let all = checks.chain([(assignment.kind, &assignment.params)]);
    let named = all.filter(|(kind, _)| apps::KINDS.contains(kind) || *kind == Kind::ResolveInWorkspace);
    named.filter_map(|(_, params)| params.list(apps::NAMES)).flatten()
}

/// What a signed envelope carries.
fn payload(envelope: &[u8]) -> Option<Vec<u8>> {
    let envelope = serde_json::from_slice::<serde_json::Value>(envelope).ok()?;
    B64.decode(envelope["payload"].as_str()?).ok()
}

/// The auditor.
pub(crate) struct Auditor {
    master: [u8; 32],
    ledger: Arc<MemoryLedger>,
    transcript: Arc<Transcript>,
    state: Mutex<State>,
    halt: Notify,
}

impl Auditor {
    pub(crate) fn new(master: [u8; 32], ledger: Arc<MemoryLedger>, transcript: Arc<Transcript>) -> Arc<Self> {
        Arc::new(Self {
            master,
            ledger,
            transcript,
            state: Mutex::default(),
            halt: Notify::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Strings that must be seen nowhere.
    pub(crate) fn watch_for(&self, canaries: impl IntoIterator<Item = (TenantId, String)>) {
        // Addresses have it in small letters, names with a capital one.
        let small = canaries.into_iter().map(|(whose, c)| (whose, c.to_lowercase()));
        self.state().canaries.extend(small);
    }

    /// What must be seen nowhere, whichever tenant's it is.
    pub(crate) fn keep_secret(&self, secrets: Arc<Secrets>) {
        self.state().secrets = secrets;
    }

    /// Looks for a secret in something that was kept.
    pub(crate) fn kept(&self, what: &str, bytes: &[u8]) {
        let carried = if what.ends_with(ENVELOPE) { payload(bytes) } else { None };
        for text in [Some(bytes), carried.as_deref()].into_iter().flatten() {
            self.state().told(&String::from_utf8_lossy(text), what);
        }
    }

    /// Notes a violation.
    pub(crate) fn violated(&self, invariant: Invariant, what: String) {
        self.state().violated.insert(Violated { invariant, what });
        if invariant == Invariant::WakeMovesForward {
            self.halt.notify_one();
        }
    }

    /// Returns when it makes no sense to go on.
    pub(crate) async fn halted(&self) {
        self.halt.notified().await;
        self.halt.notify_one();
    }

    /// What was violated so far.
    pub(crate) fn verdict(&self) -> Vec<Violated> {
        self.state().violated.iter().cloned().collect()
    }

    /// Looks at a case.
    pub(crate) fn with_case<T>(&self, tenant: &TenantId, case: CaseId, look: impl FnOnce(&Shadow) -> T) -> Option<T> {
        self.state().cases.get(&(tenant.clone(), case)).map(look)
    }

    /// The case and task of the attempt that called its request this.
    pub(crate) fn ordered_by(&self, client_request_id: &str) -> Option<(TenantId, CaseId, TaskId)> {
        let (mark, _) = client_request_id.split_at_checked(MARK_CHARS)?;
        self.state().attempts.get(mark).cloned()
    }

    /// Another case of the tenant that is under way, if there is one.
    pub(crate) fn another_under_way(&self, tenant: &TenantId, case: CaseId) -> Option<CaseId> {
        let state = self.state();
        let mut others = state.cases.iter().filter_map(|((of, id), shadow)| {
            let under_way = shadow.case.state == CaseState::Active;
            (of == tenant && *id != case && under_way).then_some(*id)
        });
        others.next()
    }

    /// Looks at every case.
    pub(crate) fn each_case(&self, mut look: impl FnMut(&TenantId, &Shadow)) {
        for ((tenant, _), shadow) in &self.state().cases {
            look(tenant, shadow);
        }
    }

    /// How many appends were written.
    pub(crate) fn appends(&self) -> u64 {
        self.state().appends
    }

    /// A call of the ledger: too many at one moment are a loop.
    pub(crate) fn ledger_call(&self, now: Timestamp) {
        let mut state = self.state();
        if state.last_call == now {
            state.calls_now += 1;
            if state.calls_now == MOST_CALLS_AT_ONCE {
                drop(state);
                self.violated(
                    Invariant::WakeMovesForward,
                    format!("{MOST_CALLS_AT_ONCE} calls of the ledger at {now}"),
                );
            }
        } else {
            state.last_call = now;
            state.calls_now = 1;
        }
    }

    /// An append that was truly written.
    pub(crate) fn appended(&self, now: Timestamp, append: &Append) {
        let mut state = self.state();
        let State {
            cases,
            violated,
            appends,
            attempts,
            secrets,
            order,
            ..
        } = &mut *state;
        *appends += 1;
        let id = (append.index.tenant.clone(), append.index.case);
        if !append.records.is_empty() {
            order.push(id.clone());
        }
        let mut found = |invariant, what: String| {
            violated.insert(Violated {
                invariant,
                what: format!("{} {}: {what}", append.index.tenant, append.index.case),
            });
        };
        let mut rest = append.records.as_slice();
        if let KeyChange::Create(salt) = append.key {
            let key = CaseKey::derive(&self.master, &salt);
            let Some((first, more)) = rest.split_first() else {
                return;
            };
            match open_event(&key, first).map(|(at, event)| (Case::opened(append.index.case, at, &event), event)) {
                Ok((Ok(mut case), event)) => {
                    case.recorded(&event, first.version, first.hash);
                    if let Some(secret) = secret_in(secrets, &event) {
                        found(Invariant::NoSecret, format!("{secret}… in the event {}", event.name()));
                    }
                    self.transcript
                        .line(now, &format!("{} v1 {}", append.index.case, event.name()));
                    let mut shadow = Shadow::new(case, key);
                    shadow.reading.note(shadow.case.opened_at, &event);
                    cases.insert(id.clone(), shadow);
                }
                _ => found(
                    Invariant::AcceptedNeverLost,
                    "its first record does not open a case".into(),
                ),
            }
            rest = more;
        }
        let Some(shadow) = cases.get_mut(&id) else {
            found(
                Invariant::AcceptedNeverLost,
                "records of a case that was never opened".into(),
            );
            return;
        };
        let hour = now.since(EPOCH) / HOUR_MS;
        let count = shadow.appends.entry(hour).or_default();
        *count += 1;
        if *count == MOST_APPENDS_AN_HOUR {
            self.halt.notify_one();
            found(Invariant::WakeMovesForward, format!("{count} appends in hour {hour}"));
        }
        for record in rest {
            match open_event(&shadow.key, record) {
                Ok((at, event)) => {
                    if let Event::TaskAssigned { task, attempt, .. } = &event {
                        let mark = AttemptMark::of(*task, *attempt).to_string();
                        attempts.insert(mark, (id.0.clone(), id.1, *task));
                    }
                    if let Some(secret) = secret_in(secrets, &event) {
                        found(Invariant::NoSecret, format!("{secret}… in the event {}", event.name()));
                    }
                    let line = shadow.line(&event);
                    self.transcript
                        .line(now, &format!("{} v{} {line}", append.index.case, record.version));
                    shadow.note_first(now, &event);
                    shadow.take(at, &event, record, &mut found);
                }
                Err(error) => found(Invariant::AcceptedNeverLost, error.to_string()),
            }
        }
        if append.index.ended != shadow.case.is_over() || append.index.version != shadow.case.version {
            found(
                Invariant::AcceptedNeverLost,
                "its index entry is not what its history says".into(),
            );
        }
    }

    /// The last appends of open cases, so many in all, which the ledger is to lose: how many
    /// each case loses. From here on they count as never written.
    pub(crate) fn lose_last(&self, most: usize) -> BTreeMap<(TenantId, CaseId), usize> {
        let mut state = self.state();
        let State { cases, order, .. } = &mut *state;
        let mut left: BTreeMap<(TenantId, CaseId), usize> = BTreeMap::new();
        for id in order.iter() {
            *left.entry(id.clone()).or_default() += 1;
        }
        let mut lost: BTreeMap<(TenantId, CaseId), usize> = BTreeMap::new();
        let mut in_all = 0;
        let mut kept = Vec::new();
        for id in std::mem::take(order).into_iter().rev() {
            let is_open = cases.get(&id).is_some_and(|shadow| !shadow.case.state.ended());
            let has = left.entry(id.clone()).or_default();
            if in_all < most && is_open && *has > KEEPS_APPENDS {
                *has -= 1;
                *lost.entry(id).or_default() += 1;
                in_all += 1;
            } else {
                kept.push(id);
            }
        }
        kept.reverse();
        *order = kept;
        lost
    }

    /// The ledger has lost a tail: what is left is folded anew.
    pub(crate) async fn lost_tail(&self, tenant: &TenantId, id: CaseId) {
        let Ok(history) = self.ledger.read(tenant, id, 1).await else {
            return;
        };
        let mut state = self.state();
        let Some(shadow) = state.cases.get_mut(&(tenant.clone(), id)) else {
            return;
        };
        let Some(first) = history.records.first() else { return };
        let Ok((at, event)) = open_event(&shadow.key, first) else {
            return;
        };
        let Ok(mut case) = Case::opened(id, at, &event) else {
            return;
        };
        let mut reading = shadow.reading.anew();
        let mut sent_to = BTreeSet::new();
        for record in &history.records {
            let Ok((at, event)) = open_event(&shadow.key, record) else {
                return;
            };
            if record.version > 1 {
                case.fold(at, &event);
            }
            reading.note(at, &event);
            sent_to.extend(shows_an_order(&event));
            case.recorded(&event, record.version, record.hash);
        }
        (shadow.case, shadow.reading, shadow.sent_to) = (case, reading, sent_to);
        (shadow.tail_lost, shadow.loss_noticed) = (true, false);
        state.tails_lost = true;
    }

    /// A message that was put on a queue.
    pub(crate) fn published(&self, now: Timestamp, queue: &QueueName, message: &Message) {
        let mut state = self.state();
        let sent = state.messages.entry(now.since(EPOCH) / HOUR_MS).or_default();
        *sent += 1;
        if *sent == MOST_MESSAGES_AN_HOUR {
            drop(state);
            return self.violated(
                Invariant::WakeMovesForward,
                format!("{MOST_MESSAGES_AN_HOUR} messages in the hour before {now}"),
            );
        }
        let mut text = String::from_utf8_lossy(&message.body);
        state.told(&text, "a message");
        let said = match queue {
            QueueName::Assignments { .. } => match serde_json::from_slice::<Assignment>(&message.body) {
                Ok(a) => {
                    let once = a.mode == Mode::Full && !a.kind.spec().convergent;
                    if once && !state.published_once.insert((a.case, a.task, a.attempt, a.head)) {
                        let what = format!("{} {} attempt {} was published twice", a.case, a.kind, a.attempt);
                        state.violated.insert(Violated {
                            invariant: Invariant::OncePublishedOnce,
                            what,
                        });
                    }
                    // A mail server may know the mailbox by its name alone.
                    if let Some(login) = a.params.text("mail_login").filter(|_| a.kind == Kind::ArchiveMailbox) {
                        text = text.replace(login, "").into();
                    }
                    // Where he is known by names alone, they travel with what looks for him.
                    for name in names_told(&a) {
                        text = text.replace(name, "").into();
                    }
                    // The search terms travel with this one assignment.
                    if a.kind == Kind::Resolve {
                        String::new()
                    } else {
                        format!("assignment {} {} #{}", a.case, a.kind, a.attempt)
                    }
                }
                Err(error) => format!("a broken assignment: {error}"),
            },
            QueueName::Reports { .. } => match serde_json::from_slice::<Report>(&message.body) {
                Ok(r) => {
                    let kind = state
                        .cases
                        .get(&(r.tenant.clone(), r.case))
                        .and_then(|s| s.case.tasks.get(&r.task))
                        .map(|t| t.kind());
                    let resolve = kind == Some(Kind::Resolve);
                    if resolve {
                        String::new()
                    } else {
                        format!("report {} {} #{}", r.case, kind.map_or("?", Kind::name), r.attempt)
                    }
                }
                Err(error) => format!("a broken report: {error}"),
            },
            QueueName::Sealing => "an order to seal".to_owned(),
            QueueName::Dead => "something dead".to_owned(),
        };
        if !said.is_empty() {
            let small = text.to_lowercase();
            if let Some((_, canary)) = state.canaries.iter().find(|(_, c)| small.contains(c.as_str())) {
                let what = format!("{canary} in {said}");
                state.violated.insert(Violated {
                    invariant: Invariant::NoCanary,
                    what,
                });
            }
            drop(state);
            self.transcript.line(now, &format!("published {said}"));
        }
    }

    /// Looks for another tenant's people in a file of the evidence: a signed account, or the
    /// page beside it.
    pub(crate) fn accounted(&self, path: &str, bytes: &[u8]) {
        let text = if path.ends_with(ENVELOPE) {
            payload(bytes)
        } else if path.ends_with(PAGE) {
            Some(bytes.to_vec())
        } else {
            None
        };
        let Some(text) = text else { return };
        let tenant = path.split('/').next().unwrap_or_default();
        let small = String::from_utf8_lossy(&text).to_lowercase();
        let mut state = self.state();
        let mut all = state.canaries.iter();
        let foreign = all.find(|(whose, c)| whose.as_str() != tenant && small.contains(c.as_str()));
        if let Some((whose, canary)) = foreign {
            let what = format!("{canary} of {whose} in {path}");
            state.violated.insert(Violated {
                invariant: Invariant::NoCanary,
                what,
            });
        }
    }

    /// A line of a log.
    pub(crate) fn logged(&self, error: bool, line: &str) {
        let mut state = self.state();
        state.told(line, "a log");
        let small = line.to_lowercase();
        if let Some((_, canary)) = state.canaries.iter().find(|(_, c)| small.contains(c.as_str())) {
            let what = format!("{canary} in the log: {line}");
            state.violated.insert(Violated {
                invariant: Invariant::NoCanary,
                what,
            });
        }
        // A dispatcher that goes on while a tail is lost says so.
        let lawful = state.tails_lost && line.contains("the ledger lost the end of a case's history");
        if error && !lawful {
            state.violated.insert(Violated {
                invariant: Invariant::NoErrorLog,
                what: line.to_owned(),
            });
        }
    }
}

impl Shadow {
    fn new(case: Case, key: CaseKey) -> Self {
        Self {
            case,
            reading: Reading::default(),
            key,
            closed: 0,
            wrote_in_round: false,
            may_have_happened: BTreeSet::new(),
            sent_to: BTreeSet::new(),
            appends: BTreeMap::new(),
            tail_lost: false,
            loss_noticed: false,
            drive_given_up: false,
            first_settled: BTreeMap::new(),
        }
    }

    fn note_first(&mut self, now: Timestamp, event: &Event) {
        if let Event::TaskSettled { task, .. } = event
            && let Some(kind) = self.case.tasks.get(task).map(|t| t.kind())
        {
            self.first_settled.entry(kind).or_insert(now);
        }
    }

    /// When a task of this kind was first settled.
    pub(crate) fn first_settled(&self, kind: Kind) -> Option<Timestamp> {
        self.first_settled.get(&kind).copied()
    }

    fn kind_of(&self, task: TaskId) -> &'static str {
        self.case.tasks.get(&task).map_or("?", |t| t.kind().name())
    }

    fn line(&self, event: &Event) -> String {
        let name = event.name();
        match event {
            Event::TaskAssigned {
                task, attempt, mode, ..
            } => format!("{name} {} #{attempt} {mode:?}", self.kind_of(*task)),
            Event::TaskSettled {
                task, attempt, outcome, ..
            } => {
                format!("{name} {} #{attempt} {}", self.kind_of(*task), outcome.word())
            }
            Event::TaskRested { task, attempt, why, .. } => format!("{name} {} #{attempt} {why}", self.kind_of(*task)),
            Event::TaskFailed {
                task,
                attempt,
                rule,
                detail,
                ..
            } => {
                format!("{name} {} #{attempt} {rule:?}: {detail}", self.kind_of(*task))
            }
            Event::TaskReopened { task, why } => format!("{name} {}: {why}", self.kind_of(*task)),
            Event::LateReport { task, attempt, .. } => format!("{name} {} #{attempt}", self.kind_of(*task)),
            Event::TaskApproved { task, by, .. } => format!("{name} {} by {by}", self.kind_of(*task)),
            Event::PersonOverdue { task } | Event::WaiverEnded { task } | Event::RetryOrdered { task, .. } => {
                format!("{name} {}", self.kind_of(*task))
            }
            Event::TasksFound { tasks, late, .. } => format!("{name} {} ({} late)", tasks.len(), late.len()),
            Event::RoundEnded { round, differences } => format!("{name} {round} ({} differ)", differences.len()),
            Event::CaseRefused { reason } => format!("{name}: {reason}"),
            _ => name.to_owned(),
        }
    }

    fn take(&mut self, at: Timestamp, event: &Event, record: &Record, found: &mut impl FnMut(Invariant, String)) {
        if record.prev != self.case.head || record.version != self.case.version + 1 {
            found(
                Invariant::AcceptedNeverLost,
                format!("record {} does not follow its chain", record.version),
            );
        }
        match event {
            Event::TaskAssigned { task, mode, .. } => self.assigned(at, *task, *mode, found),
            Event::TaskSettled { task, outcome, .. } => {
                self.may_have_happened.remove(task);
                self.drive_given_up |= match self.case.tasks.get(task).map(|t| t.kind()) {
                    Some(Kind::DecideOneDrive) => matches!(outcome, Outcome::Attested { .. } | Outcome::Waived { .. }),
                    Some(Kind::HandOverOneDrive) => matches!(outcome, Outcome::Waived { .. }),
                    _ => false,
                };
            }
            Event::TaskRested { task, why, .. } => {
                let nothing = match why {
                    RestReason::NotBegun { .. } | RestReason::DidNotHappen => true,
                    RestReason::Fault { fault } => fault.class != FaultClass::Unknown,
                    RestReason::Waiting { .. } | RestReason::Progress | RestReason::Unanswered => false,
                };
                let in_full = self
                    .case
                    .tasks
                    .get(task)
                    .and_then(|t| t.in_flight())
                    .is_some_and(|a| a.mode == Mode::Full);
                if nothing && (in_full || *why == RestReason::DidNotHappen) {
                    self.may_have_happened.remove(task);
                }
            }
            Event::TaskFailed {
                task,
                fault: Some(fault),
                ..
            } if fault.class != FaultClass::Unknown => {
                self.may_have_happened.remove(task);
            }
            // A person has looked.
            Event::RetryOrdered { task, .. } => {
                self.may_have_happened.remove(task);
            }
            // Whoever is told of it reads first what must not happen twice.
            Event::TailLost { .. } => {
                (self.tail_lost, self.loss_noticed) = (true, true);
                let once = |t: &&Arc<Task>| !t.kind().spec().convergent;
                let all = self.case.tasks.values().filter(once).map(|t| t.id());
                self.may_have_happened.extend(all);
            }
            Event::ClosingBegan { .. } => {
                self.wrote_in_round = false;
                if self.case.lost_orders_until().is_some_and(|over| at < over) {
                    found(
                        Invariant::SealedRoundAfterLastWrite,
                        "a round began while somebody may be at what is lost".to_owned(),
                    );
                }
            }
            Event::RoundEnded { differences, .. } => {
                if differences.is_empty() && self.wrote_in_round {
                    found(
                        Invariant::SealedRoundAfterLastWrite,
                        format!("round {} ended clean, but something was written in it", self.case.round),
                    );
                }
            }
            Event::CaseClosed { .. } => {
                self.closed += 1;
                if self.closed > 1 && !self.tail_lost {
                    found(
                        Invariant::ClosesOnceWhenAllSettled,
                        format!("closed {} times", self.closed),
                    );
                }
                if !self.case.all_settled() || self.case.state != CaseState::Sealing {
                    let (settled, all) = self.case.progress();
                    found(
                        Invariant::ClosesOnceWhenAllSettled,
                        format!(
                            "closed in state {} with {settled} of {all} settled",
                            self.case.state.word()
                        ),
                    );
                }
            }
            Event::EvidenceSealed { .. } => {
                self.closed += 1;
                let ended = matches!(self.case.state, CaseState::Cancelled | CaseState::Refused { .. });
                if !ended || (self.closed > 1 && !self.tail_lost) {
                    found(
                        Invariant::ClosesOnceWhenAllSettled,
                        format!(
                            "accounted for {} times, in state {}",
                            self.closed,
                            self.case.state.word()
                        ),
                    );
                }
            }
            // Who has agreed may change it afterwards; what that brings forward, others agree to.
            Event::PlanApproved { by, .. } | Event::TaskApproved { by, .. } => {
                if self.case.asked_by().any(|who| by.eq_ignore_ascii_case(who)) {
                    found(Invariant::OrderIsLaw, format!("approved by {by}, who asked for it"));
                }
            }
            Event::CaseCancelled => {
                if self.case.in_flight() > 0 {
                    found(
                        Invariant::EffectsInFlightRecorded,
                        format!("cancelled with {} in flight", self.case.in_flight()),
                    );
                }
            }
            _ => {}
        }
        self.sent_to.extend(shows_an_order(event));
        self.case.fold(at, event);
        self.reading.note(at, event);
        self.case.recorded(event, record.version, record.hash);
    }

    fn assigned(&mut self, at: Timestamp, id: TaskId, mode: Mode, found: &mut impl FnMut(Invariant, String)) {
        let Some(task) = self.case.tasks.get(&id).cloned() else {
            return found(Invariant::OrderIsLaw, format!("{id} is assigned and unknown"));
        };
        let (kind, spec) = (task.kind(), task.kind().spec());
        // A desk is told of a case that is closed, and of one that ended otherwise how it did.
        let lives_on = match spec.closes {
            Closes::With => false,
            Closes::Beside | Closes::After => self.case.state == CaseState::Closed,
            Closes::Instead => self.case.ending().is_some(),
        };
        let over = self.case.state.ended() || self.case.state == CaseState::Cancelling;
        if over && !lives_on {
            found(
                Invariant::NothingAssignedAfterCancel,
                format!("{kind} is assigned in state {}", self.case.state.word()),
            );
        }
        if matches!(spec.closes, Closes::After | Closes::Instead) && !lives_on {
            found(
                Invariant::OrderIsLaw,
                format!("{kind} is assigned before the case has ended"),
            );
        }
        // Of a departure that is none, it waits for nothing.
        let ordered = spec.closes != Closes::Instead;
        if spec.area == Area::Person {
            found(
                Invariant::OrderIsLaw,
                format!("{kind} is a person's and was assigned to a worker"),
            );
        }
        if task.in_flight().is_some() || task.is_settled() {
            found(
                Invariant::OrderIsLaw,
                format!("{kind} is assigned although it is {:?}", task.state),
            );
        }
        // What was ordered once and may have happened is looked for, whatever is open again, and
        // whenever he is to leave.
        let is_looked_for = mode == Mode::ObserveOnly && !spec.convergent && self.sent_to.contains(&id);
        let in_order = ordered && !is_looked_for;
        // The order reaches through kinds that are not there.
        let mut before: BTreeSet<Kind> = BTreeSet::new();
        // Of these, only what is about the same device.
        let mut about: BTreeSet<Kind> = BTreeSet::new();
        let object = task.planned.target.object.as_ref();
        let device = object.filter(|_| matches!(spec.area, Area::Device | Area::Person));
        let mut through = vec![kind];
        while let Some(k) = through.pop() {
            for dep in k.spec().after {
                // An end is the task's own.
                let ends = dep.at_most_ms.filter(|_| k == kind);
                let params = &task.planned.params;
                let without = dep.with_param.is_some_and(|name| params.get(name).is_none());
                let system = &task.planned.target.system;
                let all = self.case.tasks.values();
                let mut open = all.filter(|t| t.kind() == dep.kind && !t.is_settled());
                let elsewhere = dep.same_system && open.all(|t| t.planned.target.system != *system);
                let own_mail = &self.case.policy.workspace_mail;
                let all = self.case.tasks.values();
                let mut mail = all.filter(|t| t.kind() == dep.kind && !t.is_settled());
                let may_go_ahead =
                    |t: &Arc<Task>| !own_mail.contains(&t.planned.target.system) || is_held_up(&self.case, t);
                let other_mail = dep.workspace_mail && mail.all(may_go_ahead);
                let at_once = dep.unless_at_once && self.goes_at_once();
                // An archive needs the account open for whoever would suspend it, and for nobody
                // who follows him where he is not there.
                let spared = if k == kind {
                    without || elsewhere || other_mail || at_once
                } else {
                    dep.workspace_mail || at_once
                };
                if spared || self.goes_ahead_of(at, &task, dep, ends) {
                    continue;
                }
                // What it waits for by device itself, it reaches by device.
                let mut own = spec.after.iter().filter(|d| d.same_device);
                let by_device = dep.same_device || own.any(|d| d.kind == dep.kind);
                let (waited, there) = match device.filter(|_| by_device) {
                    // What only another device has is not there for this one.
                    Some(object) => (&mut about, self.reading.has_about(dep.kind, object)),
                    None => (&mut before, self.case.tasks.values().any(|t| t.kind() == dep.kind)),
                };
                if waited.insert(dep.kind) && !there {
                    through.push(dep.kind);
                }
                before.extend(dep.kind.spec().finds.iter().filter(|_| dep.with_finds));
            }
        }
        let open_about = |k: &Kind| device.is_some_and(|object| self.reading.is_open_about(*k, object));
        let missing = before.into_iter().filter(|k| self.reading.is_open(*k));
        let missing = missing.chain(about.into_iter().filter(open_about));
        for missing in missing.filter(|_| in_order) {
            found(Invariant::OrderIsLaw, format!("{kind} goes before {missing}"));
        }
        for dep in spec.after.iter().filter(|dep| in_order && self.reading.has(dep.kind)) {
            if at < self.reading.settled_at(dep.kind).plus(dep.delay_ms) {
                found(
                    Invariant::OrderIsLaw,
                    format!("{kind} goes too soon after {}", dep.kind),
                );
            }
        }
        let rivals = Kind::ALL.iter().filter(|k| self.case.in_flight_of(**k) > 0);
        for rival in rivals.filter(|k| spec.conflicts.contains(k) || k.spec().conflicts.contains(&kind)) {
            found(Invariant::OrderIsLaw, format!("{kind} goes beside {rival}"));
        }
        if !spec.writes {
            return;
        }
        if mode == Mode::Full {
            // What goes on beside the case proves nothing in it.
            self.wrote_in_round |= !kind.is_beside();
            let excused = self.tail_lost && !self.loss_noticed;
            if !spec.convergent && !self.may_have_happened.insert(id) && !excused {
                found(
                    Invariant::OnceOrderedOnce,
                    format!("{kind} is ordered again although it may have happened"),
                );
            }
        }
        if in_order && self.asked().all(|d| at < d.effective_at) {
            found(
                Invariant::OrderIsLaw,
                format!("{kind} goes before the departure's time"),
            );
        }
        self.approved(at, &task, is_looked_for, found);
    }

    /// Whether one of those who ask for it wants him to go at once.
    fn goes_at_once(&self) -> bool {
        self.asked().any(|d| d.manner == Manner::Immediate)
    }

    /// Whether what is not settled holds it up no more.
    fn goes_ahead_of(&self, at: Timestamp, task: &Task, dep: &Dep, ends: Option<i64>) -> bool {
        let tried = match dep.until {
            Until::Settled => false,
            Until::Tried => self.case.is_with_people(dep.kind),
            Until::TriedOnce => self.case.was_tried_once(dep.kind),
            Until::SettledOnce => self.reading.was_settled_once(dep.kind),
            Until::SettledOnceOrTried => self.case.was_settled_once_or_tried(dep.kind),
        };
        let over = |ms: i64| self.patient_since(task).is_some_and(|since| at >= since.plus(ms));
        tried || ends.is_some_and(over)
    }

    /// Everybody's request for this person.
    fn asked(&self) -> impl Iterator<Item = &Departure> {
        let others = self.case.others().map(|departure| &**departure);
        std::iter::once(&*self.case.departure).chain(others)
    }

    /// An immediate departure's reversible acts wait for nobody's approval.
    fn is_burst(&self) -> bool {
        self.goes_at_once() && !self.case.capped
    }

    fn patient_since(&self, task: &Task) -> Option<Timestamp> {
        let effective = self.asked().map(|d| d.effective_at).min()?;
        let needed = self.case.policy.approvals.plan || self.case.capped;
        let needs_plan = match task.kind().spec().approval {
            Approval::None => false,
            Approval::Plan | Approval::Own => needed,
            Approval::PlanOrBurst => needed && !self.is_burst(),
        };
        self.reading.patient_since(task.id(), effective, needs_plan)
    }

    /// Whether a person has gone without a task once.
    pub(crate) fn was_let_off(&self, task: TaskId) -> bool {
        self.reading.was_let_off(task)
    }

    /// Whoever is to look for what may have happened needs that somebody agreed to exactly this,
    /// whenever that holds from.
    fn approved(&self, at: Timestamp, task: &Task, only_looks: bool, found: &mut impl FnMut(Invariant, String)) {
        let (kind, case) = (task.kind(), &self.case);
        let needed = case.policy.approvals.plan || case.capped;
        // Nobody agreed to anything sooner than he was shown.
        let of_plan = case.plan_approval.iter().filter(|_| task.in_approved_plan);
        let approved = of_plan.chain(&task.approved).any(|a| a.from <= at);
        let by_plan = !needed || approved;
        let burst = self.is_burst();
        let invariant = if kind == Kind::WipeDevice {
            Invariant::WipeOnlyApproved
        } else {
            Invariant::OrderIsLaw
        };
        match kind.spec().approval {
            Approval::None => {}
            Approval::Plan | Approval::PlanOrBurst if only_looks => {}
            Approval::Plan if by_plan => {}
            Approval::PlanOrBurst if by_plan || burst => {}
            Approval::Plan | Approval::PlanOrBurst => {
                found(invariant, format!("{kind} goes without the plan's approval"));
            }
            Approval::Own => match &task.approved {
                None => found(invariant, format!("{kind} goes without its own approval")),
                Some(a) => {
                    if at < a.from && !only_looks {
                        found(invariant, format!("{kind} was approved for later"));
                    }
                    if a.digest != approval_digest(task.planned.digest(), a.from) {
                        found(invariant, format!("{kind} was approved as something else"));
                    }
                    let delay_ms = case.policy.approvals.irreversible_delay_ms;
                    if at < a.at.plus(delay_ms) && !only_looks {
                        found(invariant, format!("{kind} goes before its delay is over"));
                    }
                }
            },
        }
    }
}

/// The task that somebody was sent to, as this shows: he was ordered to, or has told of it.
fn shows_an_order(event: &Event) -> Option<TaskId> {
    match event {
        Event::TaskAssigned { task, .. } | Event::LateReport { task, .. } => Some(*task),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use super::*;
    use offboard_domain::catalogue::Lane;
    use offboard_domain::departure::{Choices, PersonRef};
    use offboard_domain::{Capabilities, Facts, ObjectId, PlannedTask, Policy, Subject, System};

    const CASE: CaseId = CaseId([1; 10]);

    /// How often a canary of this tenant was seen in evidence of this name and text.
    fn canaries_seen(whose: &str, path: &str, text: &str) -> usize {
        let auditor = Auditor::new([7; 32], MemoryLedger::new(), Arc::new(Transcript::new(false)));
        auditor.watch_for([(TenantId::new(whose).unwrap(), "Canary0815".to_owned())]);
        auditor.accounted(path, text.as_bytes());
        let violated = auditor.verdict();
        violated.iter().filter(|v| v.invariant == Invariant::NoCanary).count()
    }

    #[test]
    fn somebody_of_another_tenant_in_an_account_or_its_page_is_seen() {
        let told = "of Ina Canary0815, canary0815@globex.example";
        let envelope = serde_json::json!({ "payload": B64.encode(told) }).to_string();
        for (path, text) in [
            ("acme/2026-11/c-1-7.dsse.json", envelope.as_str()),
            ("acme/2026-11/c-1-7.html", told),
        ] {
            assert_eq!(canaries_seen("globex", path, text), 1, "{path}");
            assert_eq!(canaries_seen("acme", path, text), 0, "{path}: his own");
        }
        assert_eq!(canaries_seen("globex", "acme/2026-11/c-1-7.html", "of nobody"), 0);
    }

    /// How often a canary was seen in an order of this kind that has it in this parameter.
    fn canaries_ordered(kind: Kind, param: &str) -> usize {
        let auditor = Auditor::new([7; 32], MemoryLedger::new(), Arc::new(Transcript::new(false)));
        let tenant = TenantId::new("acme").unwrap();
        auditor.watch_for([(tenant.clone(), "Canary0815".to_owned())]);
        let planned = planned(kind, None);
        let order = Assignment {
            tenant,
            case: CASE,
            task: planned.id,
            attempt: 1,
            kind,
            target: planned.target,
            subject: Subject::default(),
            params: Facts::new().with(param, vec!["ina.canary0815@acme.example".to_owned()]),
            mode: Mode::Full,
            checkpoint: None,
            checks: Vec::new(),
            start_by: EPOCH,
            run_for_ms: 1,
            version: 1,
            head: Digest::ZERO,
            traceparent: None,
        };
        let message = Message {
            id: "m-1".to_owned(),
            headers: BTreeMap::new(),
            body: serde_json::to_vec(&order).unwrap().into(),
            expires_at: None,
        };
        let queue = QueueName::Assignments {
            area: kind.spec().area,
            lane: Lane::Normal,
            site: None,
        };
        auditor.published(EPOCH, &queue, &message);
        let violated = auditor.verdict();
        violated.iter().filter(|v| v.invariant == Invariant::NoCanary).count()
    }

    #[test]
    fn names_travel_with_what_looks_for_him_by_them_and_with_nothing_else() {
        for kind in [Kind::ResolveInApp, Kind::DisableInApp, Kind::ResolveInWorkspace] {
            assert_eq!(canaries_ordered(kind, apps::NAMES), 0, "{kind}");
            assert_eq!(canaries_ordered(kind, "note"), 1, "{kind}");
        }
        for kind in [Kind::SuspendInWorkspace, Kind::DisableSignIn] {
            assert_eq!(canaries_ordered(kind, apps::NAMES), 1, "{kind}");
        }
    }

    fn planned(kind: Kind, object: Option<&str>) -> PlannedTask {
        let system = match kind.spec().area {
            Area::Person => System::person(),
            _ => System::new("m365").unwrap(),
        };
        PlannedTask::new(CASE, kind, &system, object.map(ObjectId::from), Facts::new())
    }

    /// What is said of an order of the last of these tasks, none of which is settled.
    fn said_of_the_last(tasks: Vec<PlannedTask>) -> Vec<String> {
        let last = tasks.last().unwrap().id;
        let departure = Departure {
            tenant: TenantId::new("acme").unwrap(),
            reference: Some("HR-1".to_owned()),
            person: PersonRef::default(),
            manner: Manner::Planned,
            effective_at: EPOCH,
            of_day: None,
            requested_by: "hr@msp.example".to_owned(),
            handed_in_by: None,
            requested_at: EPOCH,
            successor: None,
            choices: Choices::default(),
        };
        let opened = Event::CaseOpened {
            departure: Arc::new(departure),
            policy: Arc::new(Policy::default()),
            capabilities: Arc::new(Capabilities::default()),
            tasks: Vec::new(),
            capped: false,
            traceparent: None,
        };
        let case = Case::opened(CASE, EPOCH, &opened).unwrap();
        let mut shadow = Shadow::new(case, CaseKey::derive(&[7; 32], &[7; 32]));
        let event = Event::CasePlanned {
            tasks,
            unserved: Vec::new(),
        };
        shadow.case.fold(EPOCH, &event);
        shadow.reading.note(EPOCH, &event);
        let mut said = Vec::new();
        let mut note = |_: Invariant, what: String| said.push(what);
        shadow.assigned(EPOCH, last, Mode::Full, &mut note);
        said
    }

    /// Nothing but the wipe waits for what is to be kept.
    #[test]
    fn the_order_reaches_through_what_only_another_device_has() {
        let too_soon = format!("{} goes before {}", Kind::DisableDeviceObject, Kind::DecidePreservation);
        for (wiped, reaches_through) in [("d-2", true), ("d-1", false)] {
            let of_him = [
                Kind::DiscoverDevices,
                Kind::DisableSignIn,
                Kind::RevokeSessions,
                Kind::DecidePreservation,
            ];
            let mut tasks: Vec<PlannedTask> = of_him.into_iter().map(|kind| planned(kind, None)).collect();
            tasks.extend([
                planned(Kind::ConfirmDeviceReturned, Some(&format!("m365/{wiped}"))),
                planned(Kind::WipeDevice, Some(wiped)),
                planned(Kind::DisableDeviceObject, Some("d-1")),
            ]);
            let said = said_of_the_last(tasks);
            assert_eq!(said.contains(&too_soon), reaches_through, "{wiped}: {said:?}");
        }
    }
}
