//! A case, and `fold`: case + event → case. The live state *is* the fold;
//! there is no second one.

use crate::assignment::{Mode, Report, Subject, baseline_facts, baseline_in};
use crate::catalogue::{ACCOUNT_GONE, Approval, Closes, ClosingProof, Dep, Kind, Lane, Proof, Urgency};
use crate::departure::{Departure, Manner};
use crate::estate;
use crate::event::Event;
use crate::fault::{Fault, FaultClass, Rule};
use crate::id::{CaseId, Digest, System, TaskId};
use crate::leaving;
use crate::observation::{Facts, Observation};
use crate::policy::{Capabilities, Policy};
use crate::standing::{is_held_up, waited_for};
use crate::task::{Approved, Attempt, Outcome, Place, PlannedTask, Task, TaskState};
use crate::time::Timestamp;
use crate::unplanned;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

mod ending;
mod notes;
mod overtaken;
mod requests;

pub use ending::CalledOff;
pub use requests::{Joined, Merge};

/// Where a case stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaseState {
    /// Accepted; the subject is being found.
    Received,
    /// Planned and under way.
    Active,
    /// Everything settled is being read once more.
    Closing,
    /// A round without difference is over; the closer may seal.
    Sealing,
    /// Sealed.
    Closed,
    /// Called off; what is in flight is awaited.
    Cancelling,
    /// Called off and over.
    Cancelled,
    /// The subject has another open case.
    Merged {
        /// That case.
        into: CaseId,
    },
    /// It cannot be planned; nothing was written.
    Refused {
        /// Why.
        reason: String,
    },
}

impl CaseState {
    /// The state as a word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Active => "active",
            Self::Closing => "closing",
            Self::Sealing => "sealing",
            Self::Closed => "closed",
            Self::Cancelling => "cancelling",
            Self::Cancelled => "cancelled",
            Self::Merged { .. } => "merged",
            Self::Refused { .. } => "refused",
        }
    }

    /// Whether the case's life is over.
    #[must_use]
    pub fn ended(&self) -> bool {
        matches!(
            self,
            Self::Closed | Self::Cancelled | Self::Merged { .. } | Self::Refused { .. }
        )
    }
}

const KINDS: usize = Kind::ALL.len();

/// What is said of what another request asks for too late. What was begun does not prove that it
/// was done.
pub(crate) const ASKED_LATE: &str = "asked for after work that must follow it was done, or may have been begun";

/// The same of what is found too late.
pub(crate) const FOUND_LATE: &str = "found after work that must follow it was done, or may have been begun";

/// From when on an approval holds that names no time.
const ALWAYS: Timestamp = Timestamp(0);

/// A case as its events have made it.
#[derive(Debug, Clone)]
pub struct Case {
    /// Its id.
    pub id: CaseId,
    /// The request as it is now. When access must be gone, and how, is also for
    /// those to say that joined it: see [`Case::effective_at`], [`Case::manner`].
    pub departure: Arc<Departure>,
    /// Who changed it.
    pub amended_by: BTreeSet<String>,
    /// Who handed those changes in, where that was somebody else.
    pub changes_handed_in_by: BTreeSet<String>,
    /// What other cases ask for the same person, which were merged into this one.
    pub joined: BTreeMap<CaseId, Joined>,
    /// The case that this one was merged into.
    pub merge: Option<Merge>,
    /// When it was called off, and by whom.
    pub called_off: Option<CalledOff>,
    /// The policy in force when it was opened.
    pub policy: Arc<Policy>,
    /// What the connectors could do when it was opened.
    pub capabilities: Arc<Capabilities>,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it last changed.
    pub changed_at: Timestamp,
    /// Version of its last record.
    pub version: u64,
    /// Its last record that is neither a late report nor of what goes on beside it.
    quiet_since: Place,
    /// Hash of its last record.
    pub head: Digest,
    /// Where it stands.
    pub state: CaseState,
    /// The tenant's cap was reached when it was opened.
    pub capped: bool,
    /// The person, by the ids that the systems gave.
    pub subject: Subject,
    /// What resolving read about the person.
    pub subject_facts: Facts,
    /// Where a reading has shown a mailbox of the person, whatever was read since.
    pub had_mailbox: BTreeSet<System>,
    /// Where a reading has shown roles of the person, of whatever sort.
    pub had_roles: BTreeSet<System>,
    /// Its tasks.
    pub tasks: BTreeMap<TaskId, Arc<Task>>,
    /// The plan's approval.
    pub plan_approval: Option<Approved>,
    /// The closing round that it is in, or was in last.
    pub round: u32,
    /// The tasks that differed in this round.
    pub differences: BTreeSet<TaskId>,
    /// Late reports that are kept already.
    pub late: BTreeSet<Digest>,
    /// Waivers that a linked case has taken up.
    pub followed_up: BTreeSet<TaskId>,
    /// Since when the account of these was read as gone in a closing round, and is.
    pub accounts_gone: BTreeMap<TaskId, Timestamp>,
    /// When it was last noticed that history was lost.
    pub tail_lost_at: Option<Timestamp>,
    /// The evidence, once sealed: of a closed case, and of one that was called
    /// off or refused.
    pub evidence: Option<Digest>,
    /// When everything that cuts access at once was settled for the first time, and the task
    /// that was the last of it. What is found or done again later changes that no more.
    pub access_cut: Option<(Timestamp, TaskId)>,
    /// When it was closed. What comes after it, such as a late report, changes that no more.
    pub closed_at: Option<Timestamp>,
    /// The trace in which it was accepted.
    pub traceparent: Option<String>,
    tasks_of: [u16; KINDS],
    open: [u16; KINDS],
    in_flight: [u16; KINDS],
    settled_at: [Timestamp; KINDS],
    /// Its time had come, whatever it was put off to since.
    was_due: bool,
    /// The loss of a history was noticed when something can have been written in it.
    lost_writes: bool,
    /// The farthest version that any lost history is known to have had.
    lost_to: u64,
    /// The lost orders by whose reports losses were noted: their hashes, since a loss may be
    /// known to have gone farther.
    lost_orders: BTreeSet<Digest>,
    /// Which of its tasks are about which device, once somebody has asked.
    pub(crate) devices: estate::Kept,
}

/// The first event of a history must open the case.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the history does not begin with an opened case but with '{0}'")]
pub struct NotOpened(pub &'static str);

impl Case {
    /// The case that its first event opens.
    ///
    /// # Errors
    /// [`NotOpened`] if it is another event.
    pub fn opened(id: CaseId, at: Timestamp, event: &Event) -> Result<Self, NotOpened> {
        let Event::CaseOpened {
            departure,
            policy,
            capabilities,
            tasks,
            capped,
            traceparent,
        } = event
        else {
            return Err(NotOpened(event.name()));
        };
        let mut case = Self {
            id,
            departure: departure.clone(),
            amended_by: BTreeSet::new(),
            changes_handed_in_by: BTreeSet::new(),
            joined: BTreeMap::new(),
            merge: None,
            called_off: None,
            policy: policy.clone(),
            capabilities: capabilities.clone(),
            opened_at: at,
            changed_at: at,
            version: 0,
            quiet_since: Place {
                version: 0,
                head: Digest::ZERO,
            },
            head: Digest::ZERO,
            state: CaseState::Received,
            capped: *capped,
            subject: Subject::default(),
            subject_facts: Facts::new(),
            had_mailbox: BTreeSet::new(),
            had_roles: BTreeSet::new(),
            tasks: BTreeMap::new(),
            plan_approval: None,
            round: 0,
            differences: BTreeSet::new(),
            late: BTreeSet::new(),
            followed_up: BTreeSet::new(),
            accounts_gone: BTreeMap::new(),
            tail_lost_at: None,
            evidence: None,
            access_cut: None,
            closed_at: None,
            traceparent: traceparent.clone(),
            tasks_of: [0; KINDS],
            open: [0; KINDS],
            in_flight: [0; KINDS],
            settled_at: [at; KINDS],
            was_due: false,
            lost_writes: false,
            lost_to: 0,
            lost_orders: BTreeSet::new(),
            devices: estate::Kept::default(),
        };
        case.add(tasks, None);
        Ok(case)
    }

    fn add(&mut self, tasks: &[PlannedTask], found_by: Option<TaskId>) {
        for planned in tasks {
            if self.tasks.contains_key(&planned.id) {
                continue;
            }
            self.tasks_of[planned.kind.index()] += 1;
            self.open[planned.kind.index()] += 1;
            let mut task = Task {
                found_by,
                ..Task::new(planned.clone())
            };
            // What was done in the history that was lost is not known.
            if let Some(lost_at) = self.tail_lost_at {
                task.may_be_under_way(lost_at);
            }
            self.tasks.insert(planned.id, Arc::new(task));
            self.devices = estate::Kept::default();
        }
    }

    /// Changes a task and keeps the counts by kind true.
    fn change(&mut self, id: TaskId, at: Timestamp, f: impl FnOnce(&mut Task)) {
        let Some(arc) = self.tasks.get_mut(&id) else { return };
        let task = Arc::make_mut(arc);
        let kind = task.kind().index();
        let (settled, flying) = (task.is_settled(), task.in_flight().is_some());
        let noted = |t: &Task| t.last_seen().is_some_and(|seen| estate::has_noted(&seen.facts));
        let had_noted = noted(task);
        f(task);
        if had_noted || noted(task) {
            self.devices = estate::Kept::default();
        }
        for (known, read) in [
            (&mut self.had_mailbox, task.has_read_a_mailbox()),
            (&mut self.had_roles, leaving::has_read_roles(task)),
        ] {
            if read && !known.contains(&task.planned.target.system) {
                known.insert(task.planned.target.system.clone());
            }
        }
        match (settled, task.is_settled()) {
            (false, true) => {
                self.open[kind] -= 1;
                self.settled_at[kind] = self.settled_at[kind].max(at);
            }
            (true, false) => self.open[kind] += 1,
            _ => {}
        }
        match (flying, task.in_flight().is_some()) {
            (false, true) => self.in_flight[kind] += 1,
            (true, false) => self.in_flight[kind] -= 1,
            _ => {}
        }
    }

    /// Applies what has happened. Total: an event that does not fit changes
    /// nothing but the version.
    pub fn fold(&mut self, at: Timestamp, event: &Event) {
        self.changed_at = at;
        self.was_due |= at >= self.effective_at();
        match event {
            Event::CaseOpened { .. } => {}
            Event::CaseAmended {
                departure,
                by,
                handed_in_by,
            } => {
                let kept = self.departure.handed_in_by.clone();
                self.departure = departure.clone();
                // An older program overlooks who handed it in, and writes it without.
                if departure.handed_in_by.is_none() && kept.is_some() {
                    Arc::make_mut(&mut self.departure).handed_in_by = kept;
                }
                self.amended_by.extend(by.clone());
                self.changes_handed_in_by.extend(handed_in_by.clone());
                self.is_to_be_told();
            }
            Event::CasePlanned { tasks, .. } => {
                self.add(tasks, None);
                self.state = CaseState::Active;
            }
            Event::CaseRefused { reason } => self.state = CaseState::Refused { reason: reason.clone() },
            Event::CaseMerged { into, tells } => {
                self.state = CaseState::Merged { into: *into };
                self.merge = tells.then_some(Merge {
                    into: *into,
                    known: false,
                });
            }
            Event::MergeAcknowledged { into } => {
                if let Some(merge) = self.merge.as_mut().filter(|m| m.into == *into) {
                    merge.known = true;
                }
            }
            Event::MergeUndone { .. } => {
                self.merge = None;
                self.state = CaseState::Received;
                // Who was found may have changed while another case was at it. What was
                // noted of the merge is noted.
                let again = self.tasks.values().filter(|t| !t.kind().is_beside());
                let ids: Vec<TaskId> = again.map(|t| t.id()).collect();
                for id in ids {
                    self.change(id, at, |t| {
                        t.state = TaskState::Pending;
                        t.spent = 0;
                    });
                }
            }
            Event::RequestJoined {
                case,
                asked_at,
                departure,
                amended_by,
                retention,
                tasks,
                late,
            } => {
                let joined = Joined {
                    asked_at: *asked_at,
                    asked: Some(departure.clone()),
                    amended_by: amended_by.clone(),
                    retention: *retention,
                };
                self.joined.insert(*case, joined);
                self.add(tasks, None);
                if tasks.iter().any(|t| t.kind == Kind::DecidePreservation) {
                    self.lapse_what_waits_for_a_decision(at);
                }
                // Who is to see to it is waited for from now on.
                for task in tasks {
                    self.change(task.id, at, |t| t.reopened_at = Some(at));
                }
                self.come_late(late, ASKED_LATE, at);
                // What is sealed was read after all that was asked for it.
                let unread = self.state == CaseState::Closing && !tasks.is_empty();
                if unread || self.state == CaseState::Sealing {
                    self.state = CaseState::Active;
                }
            }
            Event::RequestLeft { case, asked_at } => {
                if let Some(joined) = self.joined.get_mut(case) {
                    joined.asked_at = *asked_at;
                    joined.asked = None;
                }
            }
            Event::TaskAssigned {
                task,
                attempt,
                mode,
                start_by,
                run_for_ms,
            } => {
                let given = Attempt {
                    number: *attempt,
                    mode: *mode,
                    start_by: *start_by,
                    run_for_ms: *run_for_ms,
                };
                self.change(*task, at, |t| {
                    t.attempt = *attempt;
                    t.state = TaskState::Assigned(given);
                    t.told_late = None;
                    t.person_looked &= *mode == Mode::ObserveOnly;
                    if *mode == Mode::Full && !t.kind().spec().convergent {
                        t.busy_until = Some(given.shown_at(t.kind()));
                    }
                });
            }
            Event::TaskSettled {
                task,
                outcome,
                before,
                after,
                report,
                ..
            } => {
                self.change(*task, at, |t| {
                    // To go without it takes nothing back of what may be written already.
                    if matches!(outcome, Outcome::Waived { .. }) && t.may_have_begun() {
                        t.doubt();
                    }
                    t.state = TaskState::Settled {
                        outcome: outcome.clone(),
                        at,
                    };
                    t.before.clone_from(before);
                    let known = t.after.take();
                    t.after = after.clone().or_else(|| before.clone());
                    if t.kind() == Kind::SnapshotDirectory {
                        unplanned::keep_known(known.as_deref(), &mut t.after);
                    }
                    t.seen = None;
                    // A person who goes without it does not say that it has not
                    // happened: what must not happen twice is read first when the
                    // waiver ends.
                    let in_doubt = t.is_waived() && !t.kind().spec().convergent;
                    if !in_doubt {
                        t.checkpoint = None;
                        t.first = None;
                        t.observe_first = false;
                        t.busy_until = None;
                    }
                    t.unproven &= t.is_waived();
                    t.waiting_since = None;
                    t.overdue = false;
                    t.told_late = None;
                    t.overtaken = false;
                    t.last_report = *report;
                    if t.is_waived() {
                        t.lapse_approval();
                    }
                });
                if outcome.is_proven() {
                    self.overtake_what_is_under_way(*task, at);
                }
                self.learn_subject(*task);
                self.note_access_cut(*task, at);
            }
            Event::TaskRested {
                task,
                until,
                why,
                spent,
                observe_first,
                checkpoint,
                seen,
                report,
                ..
            } => {
                self.change(*task, at, |t| {
                    // At a silent site nobody was there to begin it, and that it cost no try
                    // says so.
                    let nobody_was_there = matches!(why, crate::task::RestReason::Unanswered) && !spent;
                    if !why.is_answer() && !nobody_was_there {
                        t.doubt();
                    }
                    t.state = TaskState::Resting {
                        until: *until,
                        why: why.clone(),
                    };
                    t.spent += u32::from(*spent);
                    t.observe_first = *observe_first;
                    if why.is_answer() {
                        t.busy_until = None;
                    }
                    t.leave(checkpoint.as_ref(), seen.as_ref());
                    match why {
                        crate::task::RestReason::Waiting { .. } => {
                            t.waiting_since.get_or_insert(at);
                        }
                        crate::task::RestReason::Fault { fault } => {
                            t.faults += 1;
                            t.last_fault = Some((at, Arc::new(fault.clone())));
                        }
                        crate::task::RestReason::Unanswered => t.faults += 1,
                        // What comes further has its tries and its time anew.
                        crate::task::RestReason::Progress => {
                            t.spent = 0;
                            t.waiting_since = None;
                        }
                        _ => {}
                    }
                    t.last_report = *report;
                });
            }
            Event::TaskFailed {
                task,
                rule,
                detail,
                fault,
                checkpoint,
                seen,
                report,
                ..
            } => {
                self.change(*task, at, |t| {
                    t.state = TaskState::Failed {
                        rule: *rule,
                        detail: detail.clone(),
                        at,
                    };
                    // Nobody has answered, or somebody that he does not know.
                    let nobody_knows = match fault {
                        Some(fault) => fault.class == FaultClass::Unknown,
                        None => *rule == Rule::OutOfAttempts,
                    };
                    if nobody_knows {
                        t.doubt();
                    }
                    let unknown = fault.as_ref().is_none_or(|f| f.class == FaultClass::Unknown);
                    if unknown && !t.kind().spec().convergent {
                        t.observe_first = true;
                    }
                    if !unknown {
                        t.busy_until = None;
                    }
                    t.leave(checkpoint.as_ref(), seen.as_ref());
                    // What no permission helps with, a person may bring about by hand: then
                    // the counter has moved since this reading, and not within the attempt
                    // that sees it. Else it is written again: he who leaves may have moved it.
                    let by_hand = fault.as_ref().is_some_and(Fault::leaves_it_to_hands);
                    let known = t.checkpoint.as_ref().and_then(baseline_in).is_some();
                    if t.kind().spec().proof == Proof::Counter
                        && by_hand
                        && !known
                        && let Some(first) = seen.as_deref()
                    {
                        let remembered = t.checkpoint.get_or_insert_default();
                        remembered.0.extend(baseline_facts(first).0);
                    }
                    if *rule == Rule::IrreversibleDiffers {
                        t.lapse_approval();
                    }
                    t.faults += u32::from(fault.is_some());
                    if let Some(fault) = fault {
                        t.last_fault = Some((at, Arc::new(fault.clone())));
                    }
                    t.last_report = *report;
                });
            }
            Event::TaskReopened { task, .. } => {
                self.change(*task, at, |t| {
                    t.state = TaskState::Pending;
                    t.reopened_at = Some(at);
                    t.spent = 0;
                    t.overtaken = false;
                    t.checkpoint = None;
                    t.first = None;
                });
                self.reactivate();
            }
            Event::TasksFound { by, tasks, late } => {
                self.add(tasks, Some(*by));
                self.come_late(late, FOUND_LATE, at);
            }
            Event::LateReport { task, said, report, .. } => {
                self.late.insert(*report);
                self.change(*task, at, |t| {
                    t.reported_late = true;
                    if t.is_settled() && !t.is_waived() {
                        return;
                    }
                    t.doubt();
                    if !t.kind().spec().convergent {
                        t.learn_late(said);
                    }
                });
            }
            Event::PlanApproved { by, digest, from } => {
                let held = self.plan_approval.as_ref().is_some_and(|a| a.from <= at);
                self.plan_approval = Some(Approved {
                    by: by.clone(),
                    at,
                    digest: *digest,
                    from: from.unwrap_or(ALWAYS),
                });
                let ids: Vec<TaskId> = self.tasks.keys().copied().collect();
                for id in ids {
                    self.change(id, at, |t| {
                        t.in_approved_plan = true;
                        t.in_plan_since = t.in_plan_since.filter(|_| held).or(Some(at));
                        if t.kind() == Kind::ApprovePlan {
                            t.overdue = false;
                            t.state = TaskState::Settled {
                                outcome: Outcome::Attested {
                                    by: by.clone(),
                                    file: None,
                                    ending: None,
                                    note: format!("plan {digest}"),
                                },
                                at,
                            };
                        }
                    });
                }
            }
            Event::TaskApproved { task, by, digest, from } => self.change(*task, at, |t| {
                t.approved = Some(Approved {
                    by: by.clone(),
                    at,
                    digest: *digest,
                    from: from.unwrap_or(ALWAYS),
                });
                t.approval_lapsed = false;
                t.overdue = false;
                t.in_approved_plan = true;
                t.in_plan_since.get_or_insert(at);
            }),
            Event::PersonOverdue { task } => self.change(*task, at, |t| t.overdue = true),
            Event::WaiverEnded { task } => {
                self.change(*task, at, |t| {
                    t.state = TaskState::Pending;
                    t.reopened_at = Some(at);
                    t.spent = 0;
                    t.lapse_approval();
                });
                // A round under way does not read what this will write:
                // another follows it.
                let beside = self.tasks.get(task).is_some_and(|t| t.kind().is_beside());
                if !beside && matches!(self.state, CaseState::Closing | CaseState::Sealing) {
                    self.state = CaseState::Active;
                }
            }
            Event::RetryOrdered { task, .. } => self.change(*task, at, |t| {
                t.person_looked |= t.is_inconclusive();
                t.state = TaskState::Pending;
                t.spent = 0;
                t.reopened = 0;
                t.waiting_since = None;
            }),
            Event::CancelRequested { by, .. } => {
                self.called_off = Some(CalledOff {
                    at,
                    by_requester: by.trim().eq_ignore_ascii_case(self.departure.requested_by.trim()),
                });
                self.state = CaseState::Cancelling;
                self.is_to_be_told();
            }
            Event::CaseCancelled => self.state = CaseState::Cancelled,
            Event::NotePlanned { tasks } => self.add(tasks, None),
            Event::ClosingBegan { round, tasks } => {
                self.round = *round;
                self.differences.clear();
                self.add(tasks, None);
                self.state = CaseState::Closing;
            }
            Event::ChecksDone { results, .. } => {
                for r in results {
                    if r.observation.facts.bool(ACCOUNT_GONE) == Some(true) {
                        self.accounts_gone.entry(r.task).or_insert(r.observation.read_at);
                    } else {
                        self.accounts_gone.remove(&r.task);
                    }
                }
                for r in results.iter().filter(|r| r.differs.is_some()) {
                    self.differences.insert(r.task);
                    // What a closing round finds undone again and again is flapping; what is
                    // done once more for the sake of something else is not.
                    self.change(r.task, at, |t| {
                        t.seen = Some(Arc::new(r.observation.clone()));
                        t.reopened += 1;
                    });
                }
            }
            Event::RoundEnded { differences, .. } => {
                self.state = if differences.is_empty() {
                    CaseState::Sealing
                } else {
                    CaseState::Active
                };
            }
            Event::CaseClosed { evidence, .. } => {
                self.evidence = Some(*evidence);
                self.state = CaseState::Closed;
                self.closed_at = Some(at);
            }
            Event::EvidenceSealed { evidence, .. } => self.evidence = Some(*evidence),
            Event::FollowUpOpened { task, .. } => {
                self.followed_up.insert(*task);
            }
            Event::TailLost { known, proven_by, .. } => {
                self.tail_lost_at = Some(at);
                self.lost_orders.extend(*proven_by);
                self.lost_to = self.lost_to.max(*known);
                // It may have been put off before anybody knew of the loss.
                self.lost_writes |= self.was_due;
                self.forget_tail(at);
            }
        }
        // Nothing is written before the departure's time; and to put that off later unwrites
        // nothing.
        self.lost_writes |= self.tail_lost_at.is_some_and(|at| at >= self.effective_at());
    }

    /// Notes that what has happened is on the record: the record's place in
    /// the chain is the case's, and the attempt that it ordered is known by it.
    pub fn recorded(&mut self, event: &Event, version: u64, head: Digest) {
        self.version = version;
        self.head = head;
        // What goes on beside the case is not accounted for after its last round.
        let task = event.task().and_then(|id| self.tasks.get(&id));
        let beside = task.is_some_and(|t| t.kind().is_beside());
        let of_others = matches!(
            event,
            Event::LateReport { .. }
                | Event::MergeAcknowledged { .. }
                | Event::RequestLeft { .. }
                | Event::NotePlanned { .. }
        );
        // What is over is not read again for it: only what goes on beside is.
        let lost_after = matches!(event, Event::TailLost { .. }) && self.state.ended();
        if !beside && !of_others && !lost_after {
            self.quiet_since = Place { version, head };
        }
        if let Event::TaskAssigned { task, .. } = event
            && let Some(task) = self.tasks.get_mut(task)
        {
            Arc::make_mut(task).ordered_by = Some(Place { version, head });
        }
    }

    /// What comes after what must follow it was done, or may have been begun, is for a person.
    fn come_late(&mut self, late: &[TaskId], detail: &str, at: Timestamp) {
        for id in late {
            self.change(*id, at, |t| {
                t.state = TaskState::Failed {
                    rule: Rule::LateFind,
                    detail: detail.into(),
                    at,
                };
            });
        }
    }

    /// Who agreed to what cannot be undone did not know that somebody wants something
    /// kept: he is asked again when that is decided, however it is.
    fn lapse_what_waits_for_a_decision(&mut self, at: Timestamp) {
        let waits = |t: &&Arc<Task>| {
            let spec = t.kind().spec();
            let after = spec.after.iter().any(|dep| dep.kind == Kind::DecidePreservation);
            after && spec.approval == Approval::Own && !t.is_settled()
        };
        let ids: Vec<TaskId> = self.tasks.values().filter(waits).map(|t| t.id()).collect();
        for id in ids {
            self.change(id, at, Task::lapse_approval);
        }
    }

    /// After a reopened task nothing may be sealed before another round.
    fn reactivate(&mut self) {
        if matches!(self.state, CaseState::Sealing) {
            self.state = CaseState::Active;
        }
    }

    fn learn_subject(&mut self, task: TaskId) {
        let Some(task) = self.tasks.get(&task) else { return };
        if task.kind() != Kind::Resolve {
            return;
        }
        if let Some(seen) = &task.after {
            if let Some(id) = seen.facts.text("object_id") {
                self.subject.0.insert(task.planned.target.system.clone(), id.into());
            }
            self.subject_facts = seen.facts.clone();
        }
    }

    fn forget_tail(&mut self, at: Timestamp) {
        // What is over stays so; what goes on beside it may have been ordered. Nor is any more
        // read of what is being called off: what was proven is told as it was.
        let over = self.state.ended();
        let proven_for_good = self.state == CaseState::Cancelling;
        let in_doubt = |t: &Arc<Task>| {
            if over {
                t.kind().is_beside() && !t.is_settled()
            } else {
                let machines = t.kind().spec().area != crate::catalogue::Area::Person && t.kind() != Kind::Resolve;
                machines && !(proven_for_good && t.is_settled())
            }
        };
        let ids: Vec<TaskId> = self.tasks.values().filter(|t| in_doubt(t)).map(|t| t.id()).collect();
        for id in ids {
            self.change(id, at, |t| {
                t.may_be_under_way(at);
                // What people decided is on the record that there is. What must not happen twice
                // is read first all the same, when they let it go again.
                if !t.is_left_to_people() {
                    t.state = TaskState::Pending;
                }
            });
        }
        if matches!(self.state, CaseState::Closing | CaseState::Sealing) {
            self.state = CaseState::Active;
        }
    }

    /// What this task has recorded, where it is read once more after something that it
    /// records may have been changed: the record is of before the first write, and what is
    /// read since is beside it. None: what is read now is the record.
    pub(crate) fn earlier_record(&self, task: &Task) -> Option<Arc<Observation>> {
        if !task.kind().spec().read_anew {
            return None;
        }
        let system = &task.planned.target.system;
        let changes_it = |t: &Task| {
            let spec = t.kind().spec();
            let after_it = spec.after.iter().any(|d| d.kind == task.kind());
            spec.writes && after_it && t.planned.target.system == *system
        };
        let late = self.may_have_ordered(changes_it);
        task.before.clone().filter(|_| late)
    }

    /// Whether any of these was ordered, or may have been in a history that is lost.
    pub(crate) fn may_have_ordered(&self, of: impl Fn(&Task) -> bool) -> bool {
        let mut all = self.tasks.values();
        self.lost_writes || all.any(|t| t.was_ordered() && of(t))
    }

    /// Whether the case has a task of this kind.
    #[must_use]
    pub fn has(&self, kind: Kind) -> bool {
        self.tasks_of[kind.index()] > 0
    }

    /// Whether everything that cuts access at once is settled, and whoever may find more of it
    /// has looked. Of a case that has nothing to cut, too.
    #[must_use]
    pub fn access_is_cut(&self) -> bool {
        let open = |kind: &Kind| self.open_of(*kind) > 0 && kind.spec().leads_to_cut_access();
        !Kind::ALL.iter().any(open)
    }

    /// Notes that this task was the last of what cuts access, if it was.
    fn note_access_cut(&mut self, task: TaskId, at: Timestamp) {
        let leads = |t: &Arc<Task>| t.kind().spec().leads_to_cut_access();
        if self.access_cut.is_some() || self.round > 0 || !self.tasks.get(&task).is_some_and(leads) {
            return;
        }
        let cuts = |kind: &Kind| self.has(*kind) && kind.spec().cuts_access_at_once();
        if self.access_is_cut() && Kind::ALL.iter().any(cuts) {
            self.access_cut = Some((at, task));
        }
    }

    /// How many tasks of this kind are not settled.
    #[must_use]
    pub fn open_of(&self, kind: Kind) -> u16 {
        self.open[kind.index()]
    }

    /// Whether a task of this kind is not settled in this system.
    #[must_use]
    pub fn is_open_in(&self, kind: Kind, system: &System) -> bool {
        let mut all = self.tasks.values().filter(|t| t.kind() == kind && !t.is_settled());
        self.open_of(kind) > 0 && all.any(|t| t.planned.target.system == *system)
    }

    /// Whether a task of this kind is not settled in a mail server whose mailboxes are the
    /// workspace's own, and no person has to act before it can begin.
    #[must_use]
    pub fn is_to_come_in_workspace_mail(&self, kind: Kind) -> bool {
        let own = &self.policy.workspace_mail;
        let mut open = self.tasks.values().filter(|t| t.kind() == kind && !t.is_settled());
        self.open_of(kind) > 0 && open.any(|t| own.contains(&t.planned.target.system) && !is_held_up(self, t))
    }

    /// Whether a person is to deal with every task of this kind that is not settled.
    #[must_use]
    pub fn is_with_people(&self, kind: Kind) -> bool {
        let mut open = self.tasks.values().filter(|t| t.kind() == kind && !t.is_settled());
        open.all(|t| matches!(t.state, TaskState::Failed { .. }))
    }

    /// Whether every task of this kind was tried once, whatever came of it, or cannot be
    /// before a person has dealt with what it waits for.
    #[must_use]
    pub fn was_tried_once(&self, kind: Kind) -> bool {
        let mut all = self.tasks.values().filter(|t| t.kind() == kind);
        all.all(|t| t.is_settled() || t.was_tried()) || self.waits_for_a_person(kind)
    }

    /// Whether tasks of this kind cannot begin before a person acts.
    fn waits_for_a_person(&self, kind: Kind) -> bool {
        let is_stuck = |dep: &Dep| waited_for(self, dep).any(|k| k == dep.kind && self.is_with_people(k));
        kind.spec().after.iter().any(is_stuck)
    }

    /// Whether every task of this kind was settled once, if it is not to be done
    /// once more now.
    #[must_use]
    pub fn was_settled_once(&self, kind: Kind) -> bool {
        let mut all = self.tasks.values().filter(|t| t.kind() == kind);
        all.all(|t| was_settled(t))
    }

    /// Whether every task of this kind was settled once, or is for a person to deal with.
    #[must_use]
    pub fn was_settled_once_or_tried(&self, kind: Kind) -> bool {
        let mut all = self.tasks.values().filter(|t| t.kind() == kind);
        all.all(|t| was_settled(t) || matches!(t.state, TaskState::Failed { .. }))
    }

    /// How many tasks of this kind are with a worker.
    #[must_use]
    pub fn in_flight_of(&self, kind: Kind) -> u16 {
        self.in_flight[kind.index()]
    }

    /// How many tasks are with workers.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.iter().map(|n| usize::from(*n)).sum()
    }

    /// Until when orders that were given before the last noted loss may be carried out, and
    /// answered: who has them, nobody knows. None: no loss was noted.
    #[must_use]
    pub fn lost_orders_until(&self) -> Option<Timestamp> {
        self.tail_lost_at.map(Attempt::all_over)
    }

    /// Whether only orders of a history that is lost, if there are any, keep it from its end or
    /// from its next closing round.
    pub(crate) fn has_nothing_left_but_orders(&self) -> bool {
        match self.state {
            CaseState::Cancelling => self.in_flight() == 0,
            CaseState::Active => self.all_settled(),
            CaseState::Received
            | CaseState::Closing
            | CaseState::Sealing
            | CaseState::Closed
            | CaseState::Cancelled
            | CaseState::Merged { .. }
            | CaseState::Refused { .. } => false,
        }
    }

    /// Whether orders that were given before the last noted loss may be under way by then.
    pub(crate) fn awaits_lost_orders(&self, now: Timestamp) -> bool {
        self.lost_orders_until().is_some_and(|until| until > now)
    }

    /// Whether a report that proves a loss proves none beyond what is noted. Whoever has an
    /// order of that answers it until the last has run out, each at another time. But where what
    /// was recorded since goes farther than is known of what was lost, and he knows of more still,
    /// that was lost since.
    pub(crate) fn has_noted_loss_of(&self, report: &Report, now: Timestamp) -> bool {
        // An order is lost once: also where it is not known how far that loss went, and whenever
        // its report comes again.
        if self.lost_orders.contains(&report.head) {
            return true;
        }
        let Some(until) = self.lost_orders_until() else {
            return false;
        };
        let is_another = report.version > self.version && self.version > self.lost_to;
        // By a clock that is ahead it is heard again and again while its task is lost as well, and
        // cannot be kept; what it told of is noted. Later than its time it may tell of a loss since.
        let is_absent = !self.tasks.contains_key(&report.task);
        let is_ahead = report.at > now && is_absent && report.version <= self.lost_to;
        // A clock that is ahead of ours does not say when.
        !is_another && (report.at.min(now) <= until || is_ahead)
    }

    /// How many tasks are with workers, by area and lane.
    pub fn in_flight_by_queue(&self) -> impl Iterator<Item = (crate::catalogue::Area, Lane, u32)> + '_ {
        Kind::ALL
            .iter()
            .filter(|k| self.in_flight[k.index()] > 0)
            .map(|k| (k.spec().area, self.lane(*k), u32::from(self.in_flight[k.index()])))
    }

    /// When the last task of this kind was settled (when the case was opened,
    /// if none was).
    #[must_use]
    pub fn settled_at(&self, kind: Kind) -> Timestamp {
        self.settled_at[kind.index()]
    }

    /// Whether every task that the case waits for is settled.
    #[must_use]
    pub fn all_settled(&self) -> bool {
        Kind::ALL.iter().all(|k| k.is_beside() || self.open_of(*k) == 0)
    }

    /// Whether its life is over, and something goes on beside it.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        let open = |k: &Kind| k.is_beside() && self.open_of(*k) > 0;
        let goes_on = |t: &Arc<Task>| !t.is_settled() && self.outlives(t);
        self.state.ended() && Kind::ALL.iter().any(open) && self.tasks.values().any(goes_on)
    }

    /// Whether its life is over, and nothing goes on beside it: nothing that is
    /// heard of it orders anything any more.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.state.ended() && !self.goes_on()
    }

    /// Settled tasks, and tasks in all.
    #[must_use]
    pub fn progress(&self) -> (u32, u32) {
        let open: u32 = self.open.iter().map(|n| u32::from(*n)).sum();
        let all = u32::try_from(self.tasks.len()).unwrap_or(u32::MAX);
        (all - open, all)
    }

    /// Whether the closer is to seal an account of it: of what was done, or of
    /// how it was called off or refused.
    #[must_use]
    pub fn is_to_be_sealed(&self) -> bool {
        match self.state {
            CaseState::Sealing => true,
            CaseState::Cancelled | CaseState::Refused { .. } => self.evidence.is_none(),
            CaseState::Received
            | CaseState::Active
            | CaseState::Closing
            | CaseState::Closed
            | CaseState::Cancelling
            | CaseState::Merged { .. } => false,
        }
    }

    /// Whether its sealed account is needed for something that comes after it.
    #[must_use]
    pub fn is_delivered(&self) -> bool {
        Kind::ALL
            .iter()
            .any(|k| k.spec().closes == Closes::After && self.has(*k))
    }

    /// Whether a linked case takes this task up when its waiver runs out. What
    /// went on beside the case is not asked for again, nor what nobody wants any more;
    /// and who has gone tells nobody anything.
    #[must_use]
    pub fn is_to_be_followed_up(&self, task: &Task) -> bool {
        let waived = matches!(task.outcome(), Some(Outcome::Waived { .. }));
        let done = task.kind().is_beside() || self.followed_up.contains(&task.id());
        let needless = task.kind() == Kind::HoldKnowledgeSession || self.is_asked_no_more(task);
        self.state == CaseState::Closed && waived && !done && !needless
    }

    /// The record that its sealed account reaches to: the last that changed
    /// anything in it. Late reports come after a seal as well, and what goes on
    /// beside it does not stop for one; so however often sealing is tried while
    /// they come, it makes the same account.
    #[must_use]
    pub fn account_to(&self) -> Place {
        self.quiet_since
    }

    /// Whether nothing is left to do for it: its life is over, what is sealed
    /// of it is, nothing goes on beside it, and who is to hear of it has.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.state.ended() && !self.is_to_be_sealed() && !self.goes_on() && !self.speaks()
    }

    /// The plan's approval, if it covers this task. One that was found since is
    /// approved by itself, or with the plan anew.
    #[must_use]
    pub fn plan_approval_of(&self, task: &Task) -> Option<&Approved> {
        let since = task.in_plan_since.filter(|_| task.in_approved_plan)?;
        self.plan_approval.as_ref().filter(|a| since <= a.at)
    }

    /// What an approval of exactly this task binds: the task, and from when on it
    /// may be done.
    #[must_use]
    pub fn task_digest(&self, task: &Task) -> Digest {
        crate::plan::approval_digest(task.planned.digest(), self.effective_at())
    }

    /// Whether it goes ahead of others.
    #[must_use]
    pub fn urgent(&self) -> bool {
        self.manner() == Manner::Immediate
    }

    /// Which of its area's queues a task of this kind goes through: cutting
    /// access is urgent for everybody, and an immediate departure's first
    /// hours are urgent as a whole.
    #[must_use]
    pub fn lane(&self, kind: Kind) -> Lane {
        match kind.spec().urgency {
            Urgency::U0 => Lane::Urgent,
            Urgency::U1 if self.urgent() => Lane::Urgent,
            _ => Lane::Normal,
        }
    }

    /// What the plan's approval binds: every task as it stands, and from when on
    /// they may be done.
    #[must_use]
    pub fn plan_digest(&self) -> Digest {
        crate::plan::approval_digest(self.tasks_digest(), self.effective_at())
    }

    /// Every task as it stands, without those of the closing round.
    #[must_use]
    pub fn tasks_digest(&self) -> Digest {
        let listed = self
            .tasks
            .values()
            .map(|t| &t.planned)
            .filter(|p| !p.kind.is_closing_round());
        crate::plan::plan_digest(&self.subject, listed.map(PlannedTask::digest))
    }

    /// Whether the closing round reads this task's end state again.
    #[must_use]
    pub fn is_read_again(&self, task: &Task) -> bool {
        matches!(task.kind().spec().closing, ClosingProof::Read)
            && matches!(
                task.outcome(),
                Some(
                    Outcome::Verified
                        | Outcome::VerifiedByCounter
                        | Outcome::Acknowledged
                        | Outcome::NotApplicable { .. }
                )
            )
    }

    /// The systems that have something to read again in an area.
    #[must_use]
    pub fn systems_to_check(&self, area: crate::catalogue::Area) -> BTreeSet<System> {
        self.tasks
            .values()
            .filter(|t| t.kind().spec().area == area && self.is_read_again(t))
            .map(|t| t.planned.target.system.clone())
            .collect()
    }
}

/// Whether it is settled, or was by a reading before it was to be done once more. Who
/// went without it has read nothing.
fn was_settled(task: &Task) -> bool {
    task.is_settled() || task.reopened_at.is_some() && task.after.is_some()
}
