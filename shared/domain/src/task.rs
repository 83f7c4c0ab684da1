//! One task of a case: its states and outcomes.

use crate::assignment::{CLOCK_MARGIN_MS, Mode, START_WITHIN_MS, Said, Target, take_baseline};
use crate::catalogue::{Kind, MAILBOX_EXISTS, Proof, desk};
use crate::fault::{Fault, FaultClass, Rule};
use crate::id::{CaseId, Digest, ObjectId, System, TaskId};
use crate::observation::{Facts, Observation};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How a task ended, so that evidence never over-claims. "Sent, no answer" is
/// not among them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome")]
pub enum Outcome {
    /// An independent read equals the wanted state.
    #[serde(rename = "verified")]
    Verified,
    /// A value that only grows moved past where it was.
    #[serde(rename = "verified_by_counter")]
    VerifiedByCounter,
    /// The provider acknowledged; it keeps no readable state.
    #[serde(rename = "acknowledged")]
    Acknowledged,
    /// A named person says so.
    #[serde(rename = "attested")]
    Attested {
        /// Who.
        by: String,
        /// The file that shows it, in the store.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file: Option<Digest>,
        /// How its name ended, if that says what opens it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ending: Option<String>,
        /// What he noted.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        note: String,
    },
    /// There was nothing to do, for this reason.
    #[serde(rename = "not_applicable")]
    NotApplicable {
        /// The reason.
        reason: String,
    },
    /// A person decided to go without, until then.
    #[serde(rename = "waived")]
    Waived {
        /// Who.
        by: String,
        /// Why.
        reason: String,
        /// Until when.
        until: Timestamp,
    },
}

impl Outcome {
    /// The outcome's class as a word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::VerifiedByCounter => "verified by counter",
            Self::Acknowledged => "acknowledged",
            Self::Attested { .. } => "attested",
            Self::NotApplicable { .. } => "not applicable",
            Self::Waived { .. } => "waived",
        }
    }

    /// Whether a machine has read that it is done.
    pub(crate) fn is_proven(&self) -> bool {
        match self {
            Self::Verified | Self::VerifiedByCounter | Self::Acknowledged => true,
            Self::Attested { .. } | Self::NotApplicable { .. } | Self::Waived { .. } => false,
        }
    }
}

/// Why a task rests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "because")]
pub enum RestReason {
    /// A fault that passes.
    #[serde(rename = "fault")]
    Fault {
        /// Which.
        fault: Fault,
    },
    /// The vendor is not ready.
    #[serde(rename = "waiting")]
    Waiting {
        /// What is waited for.
        why: String,
    },
    /// A slice of long work is done.
    #[serde(rename = "progress")]
    Progress,
    /// The assignment was not begun.
    #[serde(rename = "not_begun")]
    NotBegun {
        /// Why.
        why: String,
    },
    /// Nobody answered in time; it may have happened.
    #[serde(rename = "unanswered")]
    Unanswered,
    /// Reading showed conclusively that it did not happen.
    #[serde(rename = "did_not_happen")]
    DidNotHappen,
}

impl RestReason {
    /// Whether whoever was at it has said how far he came.
    pub(crate) fn is_answer(&self) -> bool {
        match self {
            Self::Unanswered => false,
            Self::Fault { fault } => fault.class != FaultClass::Unknown,
            Self::Waiting { .. } | Self::Progress | Self::NotBegun { .. } | Self::DidNotHappen => true,
        }
    }
}

impl std::fmt::Display for RestReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fault { fault } => write!(f, "{fault}"),
            Self::Waiting { why } => write!(f, "waiting: {why}"),
            Self::Progress => f.write_str("a slice is done, the next follows"),
            Self::NotBegun { why } => write!(f, "not begun: {why}"),
            Self::Unanswered => f.write_str("the assignment was not answered in time"),
            Self::DidNotHappen => f.write_str("reading showed that it did not happen"),
        }
    }
}

/// The place of a record in its case's chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its version.
    pub version: u64,
    /// Its hash.
    pub head: Digest,
}

/// An attempt in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Which try.
    pub number: u32,
    /// What it may do.
    pub mode: Mode,
    /// Not begun after this.
    pub start_by: Timestamp,
    /// How long it may run, in milliseconds.
    pub run_for_ms: i64,
}

impl Attempt {
    /// When it was ordered.
    #[must_use]
    pub(crate) fn ordered_at(&self) -> Timestamp {
        self.start_by.plus(-START_WITHIN_MS)
    }

    /// When every worker that may hold it has stopped.
    #[must_use]
    pub fn over_at(&self) -> Timestamp {
        self.start_by.plus(self.run_for_ms + CLOCK_MARGIN_MS)
    }

    /// When every worker has stopped that may hold an order, of whatever kind, which was
    /// given until now.
    #[must_use]
    pub(crate) fn all_over(now: Timestamp) -> Timestamp {
        let longest = Kind::ALL.iter().map(|k| k.spec().run_for_ms).max().unwrap_or_default();
        now.plus(START_WITHIN_MS + longest + CLOCK_MARGIN_MS)
    }

    /// When every worker has stopped that may hold an order of this kind which
    /// was given until now, and what it did shows.
    #[must_use]
    pub(crate) fn all_shown(kind: Kind, now: Timestamp) -> Timestamp {
        let spec = kind.spec();
        now.plus(START_WITHIN_MS + spec.run_for_ms + CLOCK_MARGIN_MS + spec.shows_within_ms)
    }

    /// When every worker that may hold it has stopped, and what it did shows.
    #[must_use]
    pub(crate) fn shown_at(&self, kind: Kind) -> Timestamp {
        self.over_at().plus(kind.spec().shows_within_ms)
    }
}

/// Where a task stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskState {
    /// Not tried, or to be tried again as soon as it may.
    Pending,
    /// With a worker.
    Assigned(Attempt),
    /// To be tried again later.
    Resting {
        /// Not before this.
        until: Timestamp,
        /// Why.
        why: RestReason,
    },
    /// Done, in one of the ways of being done.
    Settled {
        /// Which.
        outcome: Outcome,
        /// When.
        at: Timestamp,
    },
    /// Needs a person: retry or waive.
    Failed {
        /// By which rule.
        rule: Rule,
        /// What it says of this case.
        detail: String,
        /// When.
        at: Timestamp,
    },
}

/// A task as planned or found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedTask {
    /// Digest of case, kind and target.
    pub id: TaskId,
    /// What sort.
    pub kind: Kind,
    /// About what.
    pub target: Target,
    /// With which parameters.
    #[serde(default)]
    pub params: Facts,
}

impl PlannedTask {
    /// The task of this kind about this object of this system.
    #[must_use]
    pub fn new(case: CaseId, kind: Kind, system: &System, object: Option<ObjectId>, params: Facts) -> Self {
        Self {
            id: TaskId::derive(case, kind.name(), system, object.as_ref()),
            kind,
            target: Target {
                system: system.clone(),
                object,
            },
            params,
        }
    }

    /// What an approval of exactly this task binds: id, target, parameters.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let json = serde_json::to_vec(self).expect("a task is plain data");
        Digest::of_parts(&[b"offboard.task.approval", &json])
    }
}

/// A person's approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approved {
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Of what.
    pub digest: Digest,
    /// From when on it holds: whoever is to leave sooner is approved again.
    pub from: Timestamp,
}

/// A task with all that has happened to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// What was planned.
    pub planned: PlannedTask,
    /// Where it stands.
    pub state: TaskState,
    /// The last try's number.
    pub attempt: u32,
    /// The record that ordered it: another try of the same number was ordered
    /// by a history that is lost.
    pub ordered_by: Option<Place>,
    /// Tries that counted.
    pub spent: u32,
    /// Faults in all.
    pub faults: u32,
    /// The last fault, and when it was.
    pub last_fault: Option<(Timestamp, Arc<Fault>)>,
    /// A once-only act may have happened: nothing but reading comes next.
    pub observe_first: bool,
    /// Until when a worker may be at a once-only act that nobody has answered
    /// for, or what he did may not show yet: a reading before that would prove
    /// nothing.
    pub busy_until: Option<Timestamp>,
    /// What may be repeated may have been written, and it has not been seen since what came of
    /// that: a try was not answered, or what was known of it went with a lost tail.
    pub unproven: bool,
    /// A report has come on a try that was not waited for: somebody was at it, also where no
    /// record is left that ordered it.
    pub reported_late: bool,
    /// Reading does not tell whether a once-only act happened, and a person who was told
    /// so wants it tried again: he has looked himself.
    pub person_looked: bool,
    /// Where long work goes on.
    pub checkpoint: Option<Facts>,
    /// What reports on earlier tries of a once-only act have said to remember, since the last
    /// one was ordered; none: none has come. Whoever is at it does not know of them.
    pub told_late: Option<Facts>,
    /// Since when the vendor has been waited for.
    pub waiting_since: Option<Timestamp>,
    /// What was read before the first write. Of what only records, the record.
    pub before: Option<Arc<Observation>>,
    /// What was read when it was settled.
    pub after: Option<Arc<Observation>>,
    /// What was read since, without settling it.
    pub seen: Option<Arc<Observation>>,
    /// What was read before the first write since it was last to be done, where a try that did
    /// not see the end has begun one; of what is read and cleared part by part, all parts. Not
    /// of a counter, whose own is remembered and compared with.
    pub first: Option<Arc<Observation>>,
    /// The plan's approval covers it.
    pub in_approved_plan: bool,
    /// Since when.
    pub in_plan_since: Option<Timestamp>,
    /// Its own approval.
    pub approved: Option<Approved>,
    /// That was agreed to before somebody decided against it, or before it was found
    /// otherwise; it is to be agreed to anew.
    pub approval_lapsed: bool,
    /// Who found it.
    pub found_by: Option<TaskId>,
    /// When it was to be done again last, or came by another request.
    pub reopened_at: Option<Timestamp>,
    /// What it must follow was done while it was under way: it is done once more when it is
    /// settled.
    pub overtaken: bool,
    /// How often a closing round has found it undone.
    pub reopened: u32,
    /// A person has kept it waiting too long.
    pub overdue: bool,
    /// The last report that changed its state.
    pub last_report: Option<Digest>,
}

impl Task {
    /// A task to which nothing has happened.
    #[must_use]
    pub fn new(planned: PlannedTask) -> Self {
        Self {
            planned,
            state: TaskState::Pending,
            attempt: 0,
            ordered_by: None,
            spent: 0,
            faults: 0,
            last_fault: None,
            observe_first: false,
            busy_until: None,
            unproven: false,
            reported_late: false,
            person_looked: false,
            checkpoint: None,
            told_late: None,
            waiting_since: None,
            before: None,
            after: None,
            seen: None,
            first: None,
            in_approved_plan: false,
            in_plan_since: None,
            approved: None,
            approval_lapsed: false,
            found_by: None,
            reopened_at: None,
            overtaken: false,
            reopened: 0,
            overdue: false,
            last_report: None,
        }
    }

    /// Takes in what a try that settled nothing leaves: what the next one is to know, and what
    /// was read last. What was read before the first write stays here: nobody needs it to go on.
    pub(crate) fn leave(&mut self, checkpoint: Option<&Facts>, seen: Option<&Arc<Observation>>) {
        let mut left = checkpoint.cloned();
        if self.kind().spec().proof != Proof::Counter
            && let Some(first) = left.as_mut().and_then(take_baseline)
        {
            self.first = Some(self.there_was(first));
        }
        if left.is_some() {
            self.checkpoint = left;
        }
        if let Some(told) = self.told_late.clone() {
            self.remember_besides(told);
        }
        if seen.is_some() {
            self.seen = seen.cloned();
        }
    }

    /// What there was before it, where this was read before a write, or by the try that sees
    /// the end: an earlier try may have written already, and what was read before that counts.
    pub(crate) fn there_was(&self, read: Observation) -> Arc<Observation> {
        let Some(mut first) = self.first.clone() else {
            return Arc::new(read);
        };
        if let Some(list) = self.kind().spec().in_parts {
            Arc::make_mut(&mut first).take_in(list, &read);
        }
        first
    }

    /// Notes that it may have been written, and that nobody knows what came of that.
    pub(crate) fn doubt(&mut self) {
        let spec = self.kind().spec();
        self.unproven |= spec.writes && spec.convergent;
    }

    /// Takes in what a report on a try that was not waited for says of a once-only act: that it
    /// may have happened, and what of it is to be remembered. Who has looked did so before.
    pub(crate) fn learn_late(&mut self, said: &Said) {
        self.observe_first = true;
        self.person_looked = false;
        let mut told = match said {
            Said::Wait {
                checkpoint: Some(told), ..
            }
            | Said::Progress { checkpoint: told } => told.clone(),
            _ => Facts::new(),
        };
        if let Some(first) = take_baseline(&mut told) {
            self.first.get_or_insert_with(|| Arc::new(first));
        }
        let known = self.told_late.get_or_insert_default();
        for (name, fact) in &told.0 {
            known.0.entry(name.clone()).or_insert_with(|| fact.clone());
        }
        self.remember_besides(told);
    }

    /// What is remembered already is newer, and stays.
    fn remember_besides(&mut self, told: Facts) {
        if told.0.is_empty() {
            return;
        }
        let known = self.checkpoint.get_or_insert_default();
        for (name, fact) in told.0 {
            known.0.entry(name).or_insert(fact);
        }
    }

    /// Orders of it that were given until then are lost; whoever holds one may
    /// still be at it, and what must not happen twice may have happened. What was done
    /// stays done outside, whatever is known of it here.
    pub(crate) fn may_be_under_way(&mut self, lost_at: Timestamp) {
        if self.in_flight().is_some() || self.outcome().is_some_and(Outcome::is_proven) {
            self.doubt();
        }
        if !self.kind().spec().convergent {
            self.observe_first = true;
            self.person_looked = false;
            self.busy_until = Some(Attempt::all_shown(self.kind(), lost_at));
        }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> TaskId {
        self.planned.id
    }

    /// Who agreed to exactly this did not agree to it after somebody decided against
    /// it, or after it had been done and was found otherwise.
    pub(crate) fn lapse_approval(&mut self) {
        self.approval_lapsed = self.approved.is_some();
    }

    /// Whether a person is asked because reading does not tell whether it happened.
    #[must_use]
    pub fn is_inconclusive(&self) -> bool {
        let rule = match &self.state {
            TaskState::Failed { rule, .. } => Some(*rule),
            _ => None,
        };
        rule == Some(Rule::InconclusiveOnce)
    }

    /// Whether to have it tried again is a person's word that he has looked at the desk and
    /// that it is not there: he gives it for this task, and not for all of a case at once.
    #[must_use]
    pub fn waits_for_a_look(&self) -> bool {
        desk::KINDS.contains(&self.kind()) && self.is_inconclusive()
    }

    /// Whether a person goes without it.
    #[must_use]
    pub fn is_waived(&self) -> bool {
        matches!(self.outcome(), Some(Outcome::Waived { .. }))
    }

    /// Whether a person goes without it, or is to say whether it is done at all: it came late,
    /// or was done and is otherwise now. No reading by a machine answers that for him.
    pub(crate) fn is_left_to_people(&self) -> bool {
        match &self.state {
            TaskState::Settled { outcome, .. } => matches!(outcome, Outcome::Waived { .. }),
            TaskState::Failed { rule, .. } => match rule {
                Rule::LateFind | Rule::KeepsFlapping | Rule::IrreversibleDiffers | Rule::ObjectGone => true,
                Rule::OutOfAttempts
                | Rule::NeedsPermission
                | Rule::BlockedByPolicy
                | Rule::NeverAccepted
                | Rule::NotOffered
                | Rule::InconclusiveOnce
                | Rule::ClaimWithoutProof
                | Rule::StillWaiting => false,
            },
            TaskState::Pending | TaskState::Assigned(_) | TaskState::Resting { .. } => false,
        }
    }

    /// What was read last, whatever came of it.
    #[must_use]
    pub fn last_seen(&self) -> Option<&Observation> {
        self.seen.as_deref().or(self.after.as_deref())
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.planned.kind
    }

    /// Whether an attempt at it has ended, whatever came of it. One that was not
    /// begun is none.
    #[must_use]
    pub fn was_tried(&self) -> bool {
        let over = self.spent > 0 || self.faults > 0 || self.waiting_since.is_some();
        over || matches!(self.state, TaskState::Failed { .. })
    }

    /// Whether somebody is at it, or has left what the next try goes on from: a write may be
    /// behind it already.
    pub(crate) fn is_under_way(&self) -> bool {
        self.in_flight().is_some() || !self.is_settled() && self.checkpoint.is_some()
    }

    /// Whether it was ever ordered, as far as anybody has told: by a record, or by the report of
    /// whoever carried out an order whose record is lost.
    #[must_use]
    pub fn was_ordered(&self) -> bool {
        self.attempt > 0 || self.reported_late
    }

    /// Whether it was ordered, must not happen twice, and is only read next: to look for what may
    /// have happened breaks no order, and comes at no wrong time.
    pub(crate) fn is_looked_for(&self) -> bool {
        // A loss has each be read first, also what was never ordered.
        self.observe_first && !self.kind().spec().convergent && self.was_ordered()
    }

    /// Whether a write of it may be behind it that nothing proves: somebody is at it, or the
    /// vendor alone; nobody has answered or read yet; or what was known of it is lost.
    pub(crate) fn may_have_begun(&self) -> bool {
        let vendor_is_at_it = !self.kind().spec().convergent && self.was_ordered() && self.busy_until.is_some();
        self.is_under_way() || self.unproven || self.is_looked_for() || vendor_is_at_it
    }

    /// Whether what was read for it shows a mailbox of the person.
    #[must_use]
    pub fn has_read_a_mailbox(&self) -> bool {
        let mut read = [&self.before, &self.after, &self.seen].into_iter().flatten();
        read.any(|seen| seen.facts.bool(MAILBOX_EXISTS) == Some(true))
    }

    /// Whether it is settled.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        matches!(self.state, TaskState::Settled { .. })
    }

    /// Whether it is settled, and was by then.
    pub(crate) fn was_settled_by(&self, then: Timestamp) -> bool {
        matches!(self.state, TaskState::Settled { at, .. } if at <= then)
    }

    /// Its outcome, once settled.
    #[must_use]
    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.state {
            TaskState::Settled { outcome, .. } => Some(outcome),
            _ => None,
        }
    }

    /// The attempt in flight, if there is one.
    #[must_use]
    pub fn in_flight(&self) -> Option<&Attempt> {
        match &self.state {
            TaskState::Assigned(a) => Some(a),
            _ => None,
        }
    }
}
