//! What can be wrong with evidence: each fault by name, with a sentence.

use crate::id::{Digest, TaskId};

/// The first thing that is wrong with a piece of evidence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// The file is no JSON.
    #[error("the file is not JSON ({0}); is it an evidence file, and whole?")]
    NotJson(String),
    /// The file is JSON, but no envelope.
    #[error("the file is not a DSSE envelope: {0}")]
    NotAnEnvelope(String),
    /// The envelope carries something else than a statement.
    #[error("the payload's type is '{found}', not '{}'", super::PAYLOAD_TYPE)]
    PayloadType {
        /// What it says.
        found: String,
    },
    /// There is not exactly one signature.
    #[error("the envelope carries {found} signatures; evidence carries one")]
    SignatureCount {
        /// How many there are.
        found: usize,
    },
    /// Signed by another key, as it says itself.
    #[error(
        "the envelope is not signed by the key that was given ({expected}) but names key {found}; get that key's public half, or the file's key name was changed"
    )]
    NoSignatureByThisKey {
        /// The id of the key that was given.
        expected: String,
        /// What the envelope names.
        found: String,
    },
    /// The file's bytes are not in the one form in which evidence is written.
    #[error("the file was changed after it was sealed: from byte {offset} on it is not as evidence is written")]
    NotAsSealed {
        /// The first byte that differs, from 0.
        offset: usize,
    },
    /// The payload is no base64.
    #[error("the payload is not base64 as evidence is written; the file was changed or damaged")]
    PayloadEncoding,
    /// The signature is no base64 of 64 bytes.
    #[error("the signature is not 64 bytes in base64; the file was changed or damaged")]
    SignatureEncoding,
    /// The signature is not one of this key over this payload.
    #[error("the signature does not fit: the payload or the signature was changed, or another key made it{}", seen.as_ref().map(|s| format!(" (in the payload, {s})")).unwrap_or_default())]
    SignatureDoesNotFit {
        /// What looking at the payload shows, when the change can be seen there.
        seen: Option<Box<Invalid>>,
    },
    /// The payload is no statement.
    #[error("the payload is not a statement about a departure: {0}")]
    NotAStatement(String),
    /// Another type of statement.
    #[error("the statement's type is '{found}', not '{}'", super::STATEMENT_TYPE)]
    StatementType {
        /// What it says.
        found: String,
    },
    /// Another type of predicate.
    #[error(
        "the predicate's type is '{found}', not '{}'; a newer program may read it",
        super::PREDICATE_TYPE
    )]
    PredicateType {
        /// What it says.
        found: String,
    },
    /// There are no events.
    #[error("the chain of events is empty")]
    ChainEmpty,
    /// An event does not follow from the one before.
    #[error(
        "the chain of events breaks at version {version}: its hash does not follow from the event before and its own bytes"
    )]
    ChainBroken {
        /// The first version that does not fit.
        version: u64,
    },
    /// The subject or the chain's own head is not the last event's hash.
    #[error("the chain ends with {actual}, but {what} says {said}")]
    HeadDiffers {
        /// Who says otherwise.
        what: &'static str,
        /// What it says.
        said: String,
        /// The last event's hash.
        actual: Digest,
    },
    /// The artifacts and the subjects are not the same list.
    #[error("the artifacts and the statement's subjects differ at '{name}'")]
    ArtifactMismatch {
        /// The first name that differs.
        name: String,
    },
    /// An attested file is not among the artifacts.
    #[error("task {task} is attested with a file that is not among the artifacts")]
    AttestedFileMissing {
        /// Which task.
        task: TaskId,
    },
    /// A task is listed twice.
    #[error("task {task} is listed twice")]
    TaskTwice {
        /// Which.
        task: TaskId,
    },
    /// A task is not what its digest says.
    #[error("task {task} is not what its digest says: its kind, target or parameters differ")]
    TaskDigest {
        /// Which.
        task: TaskId,
    },
    /// The plan is not what its digest says.
    #[error("the plan's digest is {said}, but the tasks that are listed give {actual}")]
    PlanDigest {
        /// What is said.
        said: Digest,
        /// What the tasks give.
        actual: Digest,
    },
    /// An approval does not bind what is listed.
    #[error("the approval at version {version} binds something else than what is listed")]
    ApprovesSomethingElse {
        /// By which event.
        version: u64,
    },
    /// Whoever asked for the departure, or handed it in for another one, approved it.
    #[error("the approval at version {version} is by {by}, who asked for the departure or handed it in")]
    ApprovedByRequester {
        /// By which event.
        version: u64,
        /// Who.
        by: String,
    },
    /// A task that needs its own approval began without one.
    #[error("task {task} needs an approval of its own and was given to a worker without one")]
    Unapproved {
        /// Which.
        task: TaskId,
    },
    /// Something is said to have happened that no event of the chain bears.
    #[error("the account names '{what}' at version {version}, but the chain has no such event there")]
    WithoutEvent {
        /// What is said.
        what: String,
        /// At which version.
        version: u64,
    },
    /// An event of the chain is left out of the account.
    #[error("the chain's event '{event}' at version {version} is left out of the account")]
    LeftOut {
        /// Its name.
        event: String,
        /// Its version.
        version: u64,
    },
    /// A task's outcome does not rest on the event that settled it.
    #[error("task {task} claims an outcome that no event of the chain settled")]
    OutcomeWithoutEvent {
        /// Which.
        task: TaskId,
    },
    /// A completed case has a task without an outcome.
    #[error("task {task} is not settled, but the case is said to be completed")]
    NotSettled {
        /// Which.
        task: TaskId,
    },
    /// A proven outcome shows no reading.
    #[error("task {task} claims to be proven, but shows no reading")]
    NoReading {
        /// Which.
        task: TaskId,
    },
    /// The way in which an end state was proven at closing is missing or wrong.
    #[error("the end state of task {task} was not read again in the last closing round")]
    NotReadAgain {
        /// Which.
        task: TaskId,
    },
    /// A task was worked on after the last round began.
    #[error("task {task} was still worked on after the last closing round had begun")]
    WorkedAfterLastRound {
        /// Which.
        task: TaskId,
    },
    /// Something was ordered although the case had been called off.
    #[error("task {task} was given to a worker after the case had been called off")]
    AssignedAfterCancel {
        /// Which task.
        task: TaskId,
    },
    /// An attempt was under way when the account of a cancelled case ends.
    #[error("task {task} was still with a worker when the case is said to have ended")]
    StillInFlight {
        /// Which task.
        task: TaskId,
    },
    /// The last closing round is missing, not ended, or found a difference.
    #[error("the last closing round is missing, did not end, or found a difference")]
    RoundNotClean,
    /// The ending is not what the chain's last event says.
    #[error("the account says that the case was {said}, but its last event is '{event}'")]
    Ending {
        /// What is said.
        said: &'static str,
        /// The last event.
        event: String,
    },
    /// A list or number that follows from the tasks does not.
    #[error("{what} does not follow from what is listed")]
    DoesNotFollow {
        /// Which.
        what: &'static str,
    },
}
