//! Orders to a case, and the lawful refusals.

use crate::assignment::Report;
use crate::departure::Departure;
use crate::id::{CaseId, Digest, TaskId};
use crate::keeping::Retention;
use crate::policy::{Capabilities, Policy};
use crate::task::Place;
use crate::time::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What an approval is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApprovalOf {
    /// The plan with this digest.
    Plan(Digest),
    /// This task with this digest.
    Task(TaskId, Digest),
}

/// An order.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Accept this request (or amend the case that it already opened).
    Open {
        /// The request.
        departure: Arc<Departure>,
        /// The policy in force.
        policy: Arc<Policy>,
        /// What the connectors can do.
        capabilities: Arc<Capabilities>,
        /// The trace in which it is accepted.
        traceparent: Option<String>,
    },
    /// Record what a worker answered.
    RecordReport(Box<Report>),
    /// Look at what is due.
    Tick,
    /// A person approves.
    Approve {
        /// Who.
        by: String,
        /// What.
        of: ApprovalOf,
    },
    /// A person says that a human task is done.
    Attest {
        /// Which.
        task: TaskId,
        /// Who.
        by: String,
        /// The file that shows it, in the store.
        file: Option<Digest>,
        /// How the file's name ends, such as `pdf`: what opens it.
        ending: Option<String>,
        /// A note.
        note: String,
    },
    /// A person decides to go without.
    Waive {
        /// Which.
        task: TaskId,
        /// Who.
        by: String,
        /// Why.
        reason: String,
        /// Until when.
        until: Timestamp,
    },
    /// A person orders another try.
    Retry {
        /// Which; none: all that need a person.
        task: Option<TaskId>,
        /// Who.
        by: String,
    },
    /// A person calls the departure off.
    Cancel {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// Another case of the same person, which was merged into this one, says what
    /// it asks for.
    Join {
        /// That case.
        case: CaseId,
        /// When it came to ask for this.
        asked_at: Timestamp,
        /// What it asks for, as it is now.
        departure: Arc<Departure>,
        /// Who changed it there.
        amended_by: BTreeSet<String>,
        /// For how long its own policy keeps what it wants kept.
        retention: Retention,
    },
    /// That case asks for nothing here any more.
    Leave {
        /// That case.
        case: CaseId,
        /// When it came to ask for nothing.
        asked_at: Timestamp,
    },
    /// The case that it was merged into knows what was asked here.
    AcknowledgeMerge {
        /// That case.
        into: CaseId,
        /// What it knows; none: that nothing is asked any more.
        known: Option<Arc<Departure>>,
    },
    /// The case that it was merged into does nothing for it any more.
    UndoMerge {
        /// That case.
        into: CaseId,
    },
    /// The closer has sealed the evidence up to this record.
    RecordSealed {
        /// The record that was sealed last.
        to: Place,
        /// SHA-256 of the envelope's bytes.
        evidence: Digest,
        /// The key that signed it.
        key_id: String,
    },
    /// A linked case takes up a waiver that ran out after closing.
    RecordFollowUp {
        /// Of which task.
        task: TaskId,
        /// The case that takes it up.
        case: CaseId,
    },
    /// The ledger lost the end of the case's history: something outside of it
    /// knows of more.
    RecordLoss {
        /// A version that there was; 0: none is known.
        known: u64,
        /// The history that is there has another record at that version, or is
        /// known to have lost it.
        parted: bool,
    },
}

/// The state machine lawfully says no. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such case.
    #[error("there is no such case; `offboard list` shows those that there are")]
    UnknownCase,
    /// There is no such task.
    #[error("the case has no task {0}; `offboard show` lists its tasks")]
    UnknownTask(TaskId),
    /// The same request again: the case is this one.
    #[error("this departure is accepted already")]
    AlreadyOpen,
    /// The same request again, of which nothing will be done.
    #[error(
        "this departure was handed in before and refused ({0}); hand it in under a new reference (one without any: give it a `reference`)"
    )]
    WasRefused(String),
    /// The same request again, of which nothing more will be done.
    #[error(
        "this departure was handed in before and called off; hand it in under a new reference (one without any: give it a `reference`)"
    )]
    WasCalledOff,
    /// It has ended in a way that does nothing for anybody else's request.
    #[error("the case is {0} and takes no other request up")]
    TakesNoRequest(&'static str),
    /// This report is recorded already.
    #[error("this report is recorded already")]
    AlreadyRecorded,
    /// The report answers a try that is over and says nothing new.
    #[error("the report answers attempt {got} of task {task}, which is over")]
    Stale {
        /// Which task.
        task: TaskId,
        /// Which try.
        got: u32,
    },
    /// The case is over.
    #[error("the case is {0}; nothing more can be ordered")]
    CaseEnded(&'static str),
    /// Approver and requester must be two people, and so must approver and whoever handed
    /// the request in.
    #[error("{0} asked for this departure, handed it in or changed it, so somebody else must decide this")]
    SamePerson(String),
    /// Only named people may approve.
    #[error("{0} is not among the tenant's approvers")]
    NotAnApprover(String),
    /// The leaver does not decide about his own departure.
    #[error("{0} is the one who leaves, so somebody else must decide this")]
    IsTheLeaver(String),
    /// What was approved is not what there is.
    #[error(
        "the approval names digest {named}, but what is to be done, or from when on, has changed and is now {actual}; look at it again with `offboard show` and approve what you see"
    )]
    Changed {
        /// What was named.
        named: Digest,
        /// What there is.
        actual: Digest,
    },
    /// There is nothing to approve yet.
    #[error("there is nothing to approve yet: {0}")]
    NothingToApprove(&'static str),
    /// It is approved already.
    #[error("it is approved already")]
    AlreadyApproved,
    /// The task is not one that a person attests.
    #[error("{0} is done by a worker and proven by reading; it cannot be attested (`offboard waive` goes without it)")]
    NotAttestable(&'static str),
    /// What it waits for is not settled.
    #[error("{task} waits for {missing}; attest it when that is settled")]
    TooEarly {
        /// Which.
        task: &'static str,
        /// For what.
        missing: String,
    },
    /// A file is needed.
    #[error("{0} needs a file that shows it: add --file")]
    NeedsFile(&'static str),
    /// A link is needed.
    #[error("{0} needs the address of its recording, which begins with https:// and has no password in it: add --link")]
    NeedsLink(&'static str),
    /// It is settled already.
    #[error("{0} is settled already")]
    AlreadySettled(&'static str),
    /// It is with a worker.
    #[error("{0} is with a worker; wait for its answer (at the latest {1}) and try again")]
    InFlight(&'static str, Timestamp),
    /// It cannot be gone without.
    #[error("{0} cannot be waived: everything else rests on it")]
    NotWaivable(&'static str),
    /// A waiver must end in the future.
    #[error("a waiver must end in the future; {0} is past")]
    WaiverInThePast(Timestamp),
    /// A reason must be given.
    #[error("a reason must be given")]
    NeedsReason,
    /// Nothing needs a retry.
    #[error("nothing needs a retry")]
    NothingToRetry,
    /// What is left may be at the desk already.
    #[error(
        "{0} may have been sent already, and the desk does not list it; look there, and if it is not there name the task: offboard retry CASE TASK"
    )]
    NeedsALook(&'static str),
    /// What the change asks for is already under way.
    #[error(
        "this departure was accepted and planned before; only its time and manner can still change, and {0} differs: hand it in under a new reference (and cancel the case, if it is that one which is wrong)"
    )]
    TooLateToAmend(&'static str),
    /// The round that was sealed is not the last state.
    #[error("version {sealed} was sealed, but the case is at {actual} or not to be sealed")]
    NotToBeSealed {
        /// What was sealed.
        sealed: u64,
        /// Where the case is.
        actual: u64,
    },
    /// The report is about another tenant's case, or claims another's place.
    #[error("the report is not about this case")]
    Foreign,
}
