//! The vocabulary of what has happened. Stored names are written by hand and
//! never change; every stored version has a golden file that is read for ever.

use crate::assignment::{Artifact, Mode, Receipt, Said};
use crate::catalogue::Kind;
use crate::departure::Departure;
use crate::fault::Rule;
use crate::id::{CaseId, Digest, TaskId};
use crate::keeping::Retention;
use crate::observation::{Facts, Observation};
use crate::policy::{Capabilities, Policy};
use crate::record::{Body, CannotOpen, CaseKey, Record};
use crate::task::{Outcome, PlannedTask, RestReason};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The newest version of the vocabulary that this code writes and reads.
pub const VOCABULARY: u16 = 3;

/// One reading of the closing round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckResult {
    /// Which task was read again.
    pub task: TaskId,
    /// What was read.
    pub observation: Observation,
    /// What differs from the wanted state; none if nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub differs: Option<String>,
}

/// Something that has happened to a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event")]
pub enum Event {
    /// The request was accepted.
    #[serde(rename = "case_opened")]
    CaseOpened {
        /// The request.
        departure: Arc<Departure>,
        /// The policy in force.
        policy: Arc<Policy>,
        /// What the connectors could do.
        capabilities: Arc<Capabilities>,
        /// The read-only tasks that come first.
        tasks: Vec<PlannedTask>,
        /// The tenant's cap was reached: a person must agree before any write.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        capped: bool,
        /// The trace in which it was accepted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        traceparent: Option<String>,
    },
    /// The request was changed.
    #[serde(rename = "case_amended")]
    CaseAmended {
        /// The request as it is now.
        departure: Arc<Departure>,
        /// Who changed it; none in histories from before it was kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// Who handed the change in, if that was somebody else.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        handed_in_by: Option<String>,
    },
    /// What is to be done is known.
    #[serde(rename = "case_planned")]
    CasePlanned {
        /// The plan.
        tasks: Vec<PlannedTask>,
        /// What no connector offers, and is therefore not in the plan.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        unserved: Vec<Kind>,
    },
    /// It cannot be planned; nothing was written.
    #[serde(rename = "case_refused")]
    CaseRefused {
        /// Why.
        reason: String,
    },
    /// The subject has an open case already, which is told what this one asks.
    #[serde(rename = "case_merged")]
    CaseMerged {
        /// That case.
        into: CaseId,
        /// It is to be told what is asked here; not so in histories from before
        /// that was done, which are over.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        tells: bool,
    },
    /// The case that it was merged into knows what is asked here, or that nothing
    /// is any more.
    #[serde(rename = "merge_acknowledged")]
    MergeAcknowledged {
        /// That case.
        into: CaseId,
    },
    /// The case that it was merged into was called off: this one goes on by itself.
    #[serde(rename = "merge_undone")]
    MergeUndone {
        /// That case.
        into: CaseId,
    },
    /// Another case of the same subject was merged into this one: what it asks
    /// for is asked for here.
    #[serde(rename = "request_joined")]
    RequestJoined {
        /// That case.
        case: CaseId,
        /// When it came to ask for this: what it asked before is heard no more.
        asked_at: Timestamp,
        /// What it asks for.
        departure: Arc<Departure>,
        /// Who changed it there.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        amended_by: BTreeSet<String>,
        /// For how long its own policy keeps what it wants kept; none in histories from
        /// before anybody looked at what it wants kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retention: Option<Retention>,
        /// The tasks that it brings: what it wants, and nothing here sees to.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        tasks: Vec<PlannedTask>,
        /// Those that come after what must follow them was done.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        late: Vec<TaskId>,
    },
    /// That case asks for nothing here any more: it was called off, or goes on by
    /// itself.
    #[serde(rename = "request_left")]
    RequestLeft {
        /// That case.
        case: CaseId,
        /// When it came to ask for nothing: what it asked before is heard no more.
        asked_at: Timestamp,
    },
    /// A try was ordered.
    #[serde(rename = "task_assigned")]
    TaskAssigned {
        /// Of which task.
        task: TaskId,
        /// Which try.
        attempt: u32,
        /// What it may do.
        mode: Mode,
        /// Not begun after this.
        start_by: Timestamp,
        /// How long it may run, in milliseconds.
        run_for_ms: i64,
    },
    /// A task ended.
    #[serde(rename = "task_settled")]
    TaskSettled {
        /// Which.
        task: TaskId,
        /// By which try.
        attempt: u32,
        /// How.
        #[serde(flatten)]
        outcome: Outcome,
        /// What was read before the first write.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<Arc<Observation>>,
        /// What was read last; none if it is what was read before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<Arc<Observation>>,
        /// The vendor's receipts.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        receipts: Vec<Receipt>,
        /// What was put into the store.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        artifacts: Vec<Artifact>,
        /// The digest of the report that said so; none if a person did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        report: Option<Digest>,
    },
    /// A try ended without the wanted state; another follows.
    #[serde(rename = "task_rested")]
    TaskRested {
        /// Which task.
        task: TaskId,
        /// Which try.
        attempt: u32,
        /// Not before this.
        until: Timestamp,
        /// Why.
        #[serde(flatten)]
        why: RestReason,
        /// Whether the try counts.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        spent: bool,
        /// A once-only act may have happened: read before anything else.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        observe_first: bool,
        /// Where to go on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        checkpoint: Option<Facts>,
        /// What was read last; none if nothing was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seen: Option<Arc<Observation>>,
        /// The vendor's receipts.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        receipts: Vec<Receipt>,
        /// What was put into the store.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        artifacts: Vec<Artifact>,
        /// The digest of the report that said so; none if nobody answered.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        report: Option<Digest>,
    },
    /// A task needs a person.
    #[serde(rename = "task_failed")]
    TaskFailed {
        /// Which.
        task: TaskId,
        /// After which try.
        attempt: u32,
        /// By which rule.
        rule: Rule,
        /// What it says of this case.
        detail: String,
        /// The fault that led to it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fault: Option<crate::fault::Fault>,
        /// What the next try is to know, should a person order one; none: what the
        /// last one was given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        checkpoint: Option<Facts>,
        /// What was read last; none if nothing was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seen: Option<Arc<Observation>>,
        /// The vendor's receipts.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        receipts: Vec<Receipt>,
        /// What was put into the store.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        artifacts: Vec<Artifact>,
        /// The digest of the report that said so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        report: Option<Digest>,
    },
    /// What was settled is to be done again.
    #[serde(rename = "task_reopened")]
    TaskReopened {
        /// Which.
        task: TaskId,
        /// Why.
        why: String,
    },
    /// Discovery added tasks.
    #[serde(rename = "tasks_found")]
    TasksFound {
        /// Who found them.
        by: TaskId,
        /// The new ones.
        tasks: Vec<PlannedTask>,
        /// Those that come after what must follow them was done.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        late: Vec<TaskId>,
    },
    /// A report came for a try that is over. It changes no state, but what it
    /// says happened is kept.
    #[serde(rename = "late_report")]
    LateReport {
        /// Of which task.
        task: TaskId,
        /// Which try.
        attempt: u32,
        /// What it says.
        #[serde(flatten)]
        said: Box<Said>,
        /// The vendor's receipts.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        receipts: Vec<Receipt>,
        /// What was put into the store; none in histories from before late reports named it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        artifacts: Vec<Artifact>,
        /// Its digest.
        report: Digest,
    },
    /// The plan was approved as it stands.
    #[serde(rename = "plan_approved")]
    PlanApproved {
        /// By whom.
        by: String,
        /// The plan's digest.
        digest: Digest,
        /// From when on it may be done; none in histories from before approvals
        /// named a time: always.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Timestamp>,
    },
    /// One task was approved.
    #[serde(rename = "task_approved")]
    TaskApproved {
        /// Which.
        task: TaskId,
        /// By whom.
        by: String,
        /// The task's digest.
        digest: Digest,
        /// From when on it may be done; none in histories from before approvals
        /// named a time: always.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Timestamp>,
    },
    /// A person has kept a task waiting longer than the policy allows.
    #[serde(rename = "person_overdue")]
    PersonOverdue {
        /// Which.
        task: TaskId,
    },
    /// A waiver ran out.
    #[serde(rename = "waiver_ended")]
    WaiverEnded {
        /// Of which task.
        task: TaskId,
    },
    /// A person ordered another try.
    #[serde(rename = "retry_ordered")]
    RetryOrdered {
        /// Of which task.
        task: TaskId,
        /// Who.
        by: String,
    },
    /// A person called the departure off.
    #[serde(rename = "cancel_requested")]
    CancelRequested {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// Nothing is in flight any more; the case is over.
    #[serde(rename = "case_cancelled")]
    CaseCancelled,
    /// The case ended without a departure, and whoever follows it at a desk is to hear
    /// of that.
    #[serde(rename = "note_planned")]
    NotePlanned {
        /// The tasks that tell it.
        tasks: Vec<PlannedTask>,
    },
    /// All tasks are settled; everything is read once more.
    #[serde(rename = "closing_began")]
    ClosingBegan {
        /// Which round, from 1.
        round: u32,
        /// The tasks that read.
        tasks: Vec<PlannedTask>,
    },
    /// One area was read once more.
    #[serde(rename = "checks_done")]
    ChecksDone {
        /// By which task.
        task: TaskId,
        /// What was read.
        results: Vec<CheckResult>,
    },
    /// A round is over. Without difference, the case may be sealed.
    #[serde(rename = "round_ended")]
    RoundEnded {
        /// Which.
        round: u32,
        /// The tasks that differed.
        differences: Vec<TaskId>,
    },
    /// The evidence is sealed.
    #[serde(rename = "case_closed")]
    CaseClosed {
        /// SHA-256 of the envelope's bytes.
        evidence: Digest,
        /// The key that signed it.
        key_id: String,
    },
    /// The evidence of a case that was called off or refused is sealed.
    #[serde(rename = "evidence_sealed")]
    EvidenceSealed {
        /// SHA-256 of the envelope's bytes.
        evidence: Digest,
        /// The key that signed it.
        key_id: String,
    },
    /// A waiver ran out after closing; a linked case takes it up.
    #[serde(rename = "follow_up_opened")]
    FollowUpOpened {
        /// Of which task.
        task: TaskId,
        /// The case that takes it up.
        case: CaseId,
    },
    /// A report from ahead of the ledger proved that history was lost.
    #[serde(rename = "tail_lost")]
    TailLost {
        /// The version that the report knew; 0: how far it went is not known.
        known: u64,
        /// Under which names the orders of people are kept that were lost and dealt with
        /// when this was written: decided anew with it, or told of. None: it is not known
        /// which those were.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dealt_with: Option<Vec<String>>,
        /// The chain's hash at the order of the report that proved it, which may be of an
        /// earlier version; none: it was proven by something else, or by a report that an
        /// older version heard.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        proven_by: Option<Digest>,
    },
}

/// Kinds that version 1 of the vocabulary did not know.
const OF_THE_SECOND: [Kind; 11] = [
    Kind::DiscoverComputers,
    Kind::RotateSharedCredential,
    Kind::ConfirmDisabledOnPremises,
    Kind::HoldKnowledgeSession,
    Kind::WriteNotes,
    Kind::NoteEnding,
    Kind::HandOverSharedDrives,
    Kind::DiscoverApps,
    Kind::DiscoverAppsInWorkspace,
    Kind::DiscoverSoftware,
    Kind::DecideApp,
];

/// Kinds that version 2 did not know either.
const OF_THE_THIRD: [Kind; 2] = [Kind::ConfirmSharedOnPremises, Kind::DiscoverTechnicians];

/// The version that these kinds are of.
fn of_kinds(kinds: impl Iterator<Item = Kind>) -> u16 {
    let version = |kind: Kind| match kind {
        third if OF_THE_THIRD.contains(&third) => 3,
        second if OF_THE_SECOND.contains(&second) => 2,
        _ => 1,
    };
    kinds.map(version).max().unwrap_or(1)
}

/// The version that what somebody asks for is of. Whoever overlooked the day would account
/// for a case under another id.
fn of_request(departure: &Departure) -> u16 {
    let choices = &departure.choices;
    if departure.of_day.is_some() {
        3
    } else if !choices.shared_credentials.is_empty() || !choices.apps.is_empty() {
        2
    } else {
        1
    }
}

impl Event {
    /// The version of the vocabulary that it is of: that of the first program that
    /// can read it, and overlooks nothing in it that matters.
    #[must_use]
    pub fn vocabulary(&self) -> u16 {
        let second = |is: bool| 1 + u16::from(is);
        match self {
            Self::MergeAcknowledged { .. }
            | Self::MergeUndone { .. }
            | Self::RequestJoined { .. }
            | Self::RequestLeft { .. }
            | Self::NotePlanned { .. } => 2,
            // Whoever overlooked it would do things sooner than was approved, or let
            // approve who must not.
            Self::PlanApproved { from, .. } | Self::TaskApproved { from, .. } => second(from.is_some()),
            // Whoever overlooked it might order again what must not happen twice.
            Self::TaskFailed { checkpoint, .. } => second(checkpoint.is_some()),
            Self::CaseMerged { tells, .. } => second(*tells),
            Self::CaseAmended { departure, by, .. } => second(by.is_some()).max(of_request(departure)),
            Self::CaseOpened {
                departure,
                policy,
                capabilities,
                ..
            } => {
                let offered = capabilities.0.values().flatten().chain(&policy.skip).copied();
                let asked = second(!policy.shared_credentials.is_empty() || policy.knowledge_session);
                of_request(departure).max(asked).max(of_kinds(offered))
            }
            Self::CasePlanned { tasks, .. } | Self::TasksFound { tasks, .. } => of_kinds(tasks.iter().map(|t| t.kind)),
            _ => 1,
        }
    }

    /// The one task that it is about.
    #[must_use]
    pub fn task(&self) -> Option<TaskId> {
        match self {
            Self::TaskAssigned { task, .. }
            | Self::TaskSettled { task, .. }
            | Self::TaskRested { task, .. }
            | Self::TaskFailed { task, .. }
            | Self::TaskReopened { task, .. }
            | Self::LateReport { task, .. }
            | Self::TaskApproved { task, .. }
            | Self::PersonOverdue { task }
            | Self::WaiverEnded { task }
            | Self::RetryOrdered { task, .. } => Some(*task),
            Self::CaseOpened { .. }
            | Self::CaseAmended { .. }
            | Self::CasePlanned { .. }
            | Self::CaseRefused { .. }
            | Self::CaseMerged { .. }
            | Self::MergeAcknowledged { .. }
            | Self::MergeUndone { .. }
            | Self::RequestJoined { .. }
            | Self::RequestLeft { .. }
            | Self::TasksFound { .. }
            | Self::PlanApproved { .. }
            | Self::CancelRequested { .. }
            | Self::CaseCancelled
            | Self::NotePlanned { .. }
            | Self::ClosingBegan { .. }
            | Self::ChecksDone { .. }
            | Self::RoundEnded { .. }
            | Self::CaseClosed { .. }
            | Self::EvidenceSealed { .. }
            | Self::FollowUpOpened { .. }
            | Self::TailLost { .. } => None,
        }
    }

    /// What was put into the store, as the event says.
    #[must_use]
    pub fn artifacts(&self) -> &[Artifact] {
        match self {
            Self::TaskSettled { artifacts, .. }
            | Self::TaskRested { artifacts, .. }
            | Self::TaskFailed { artifacts, .. }
            | Self::LateReport { artifacts, .. } => artifacts,
            _ => &[],
        }
    }

    /// The event's stored name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::CaseOpened { .. } => "case_opened",
            Self::CaseAmended { .. } => "case_amended",
            Self::CasePlanned { .. } => "case_planned",
            Self::CaseRefused { .. } => "case_refused",
            Self::CaseMerged { .. } => "case_merged",
            Self::MergeAcknowledged { .. } => "merge_acknowledged",
            Self::MergeUndone { .. } => "merge_undone",
            Self::RequestJoined { .. } => "request_joined",
            Self::RequestLeft { .. } => "request_left",
            Self::TaskAssigned { .. } => "task_assigned",
            Self::TaskSettled { .. } => "task_settled",
            Self::TaskRested { .. } => "task_rested",
            Self::TaskFailed { .. } => "task_failed",
            Self::TaskReopened { .. } => "task_reopened",
            Self::TasksFound { .. } => "tasks_found",
            Self::LateReport { .. } => "late_report",
            Self::PlanApproved { .. } => "plan_approved",
            Self::TaskApproved { .. } => "task_approved",
            Self::PersonOverdue { .. } => "person_overdue",
            Self::WaiverEnded { .. } => "waiver_ended",
            Self::RetryOrdered { .. } => "retry_ordered",
            Self::CancelRequested { .. } => "cancel_requested",
            Self::CaseCancelled => "case_cancelled",
            Self::NotePlanned { .. } => "note_planned",
            Self::ClosingBegan { .. } => "closing_began",
            Self::ChecksDone { .. } => "checks_done",
            Self::RoundEnded { .. } => "round_ended",
            Self::CaseClosed { .. } => "case_closed",
            Self::EvidenceSealed { .. } => "evidence_sealed",
            Self::FollowUpOpened { .. } => "follow_up_opened",
            Self::TailLost { .. } => "tail_lost",
        }
    }
}

/// A record that cannot be read as an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableEvent {
    /// Sealed under another key, or changed.
    #[error(transparent)]
    Sealed(#[from] CannotOpen),
    /// Written by a newer version.
    #[error("record {version} speaks vocabulary {found}, this program speaks up to {VOCABULARY}; upgrade it")]
    Newer {
        /// Which record.
        version: u64,
        /// Its vocabulary.
        found: u16,
    },
    /// Not what we write.
    #[error("record {version} is not an event: {detail}")]
    Malformed {
        /// Which record.
        version: u64,
        /// What is wrong with it.
        detail: String,
    },
}

/// Chains events onto a history as sealed records.
#[must_use]
pub fn seal_events(key: &CaseKey, version: u64, head: Digest, at: Timestamp, events: &[Event]) -> Vec<Record> {
    let mut prev = head;
    events
        .iter()
        .zip(version + 1..)
        .map(|(event, version)| {
            let plain = serde_json::to_vec(event).expect("an event is plain data");
            let body = Body {
                v: event.vocabulary(),
                at,
                event: event.name().into(),
                sealed: key.seal(&version.to_be_bytes(), &plain).into(),
            };
            let body = serde_json::to_vec(&body).expect("a body is plain data");
            let record = Record::chained(version, prev, body);
            prev = record.hash;
            record
        })
        .collect()
}

/// Reads a record's event, and when it was decided.
///
/// # Errors
/// [`UnreadableEvent`] if it is sealed under another key, newer or malformed.
pub fn open_event(key: &CaseKey, record: &Record) -> Result<(Timestamp, Event), UnreadableEvent> {
    let version = record.version;
    let malformed = |e: serde_json::Error| UnreadableEvent::Malformed {
        version,
        detail: e.to_string(),
    };
    let body: Body<'_> = serde_json::from_slice(&record.body).map_err(malformed)?;
    if body.v > VOCABULARY {
        return Err(UnreadableEvent::Newer { version, found: body.v });
    }
    let plain = key.open(&version.to_be_bytes(), &body.sealed)?;
    let event = serde_json::from_slice(&plain).map_err(malformed)?;
    Ok((body.at, event))
}
