//! What evidence says, as it stands in the file.
//!
//! The outside is an in-toto Statement v1 (github.com/in-toto/attestation,
//! spec/v1/statement.md); the predicate is ours, and this file is its
//! description. Members are only ever added, and only optional ones: a change
//! of what one means is another [`PREDICATE_TYPE`]. Kinds, areas and rules are
//! words here, not types, so that old evidence outlives the catalogue.

use super::task::{Reading, TaskAccount};
use super::when::When;
use crate::departure::Manner;
use crate::id::{CaseId, Digest, ObjectId, System, TaskId, TenantId};
use crate::observation::Facts;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The type of the outside.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// The type of the predicate.
pub const PREDICATE_TYPE: &str = "https://offboard.dev/evidence/departure/v1";
/// The name of the first subject: the hash of the last event.
pub const CHAIN_HEAD: &str = "chain-head";

/// The whole statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// [`STATEMENT_TYPE`].
    #[serde(rename = "_type")]
    pub statement_type: String,
    /// What it is about: the chain's head first, then every artifact.
    pub subject: Vec<About>,
    /// [`PREDICATE_TYPE`].
    #[serde(rename = "predicateType")]
    pub predicate_type: String,
    /// What is said.
    pub predicate: Predicate,
}

/// One subject of the statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Its name: `chain-head`, or the artifact's.
    pub name: String,
    /// Its digest.
    pub digest: Sha256Digest,
}

/// A set of digests with the one algorithm that we use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sha256Digest {
    /// SHA-256.
    pub sha256: Digest,
}

/// The account of one departure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Predicate {
    /// What wrote it.
    pub generator: Generator,
    /// Whose departure.
    pub tenant: TenantId,
    /// Which case.
    pub case: CaseId,
    /// How it ended.
    pub ending: Ending,
    /// What was asked for, and about whom.
    pub request: Request,
    /// When, and how long it took.
    pub times: Times,
    /// How many of what.
    pub summary: Summary,
    /// What was planned.
    pub plan: PlanAccount,
    /// Who agreed, and to exactly what.
    pub approvals: Vec<ApprovalAccount>,
    /// Every task, in the order of a departure.
    pub tasks: Vec<TaskAccount>,
    /// The closing rounds, in order.
    pub rounds: Vec<RoundAccount>,
    /// What a person decided to go without, and until when.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waivers: Vec<WaiverAccount>,
    /// Who called it off, and what was under way then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancellation: Option<Cancellation>,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<RefusalAccount>,
    /// History that was lost and repaired.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost_tails: Vec<LostTail>,
    /// The files that belong to it, in the order of the subjects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<ArtifactAccount>,
    /// The chain of events, by their digests: anyone can recompute the head.
    pub chain: Chain,
}

/// What wrote the statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generator {
    /// The program.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// How a case ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// Every task is settled, and read again without difference.
    #[serde(rename = "completed")]
    Completed,
    /// It was called off; what happened until then is listed.
    #[serde(rename = "cancelled")]
    Cancelled,
    /// It could not be planned; nothing was written.
    #[serde(rename = "refused")]
    Refused,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The source's own reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Who asked.
    pub requested_by: String,
    /// Who handed it in, if that was somebody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handed_in_by: Option<String>,
    /// The tenant's policy lets him who handed it in approve it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub approver_may_hand_in: bool,
    /// When.
    pub requested_at: When,
    /// Planned or immediate, by the most urgent of those who asked.
    pub manner: Manner,
    /// From when on access must be gone, as it was at last, by the earliest of
    /// those who asked.
    pub effective_at: When,
    /// Who leaves, by the ids that the systems gave.
    pub subject: BTreeMap<System, ObjectId>,
    /// How the request named him, for a reader.
    pub named: Named,
    /// Who takes over, if the request said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successor: Option<Named>,
    /// What a person chose; a text by its SHA-256.
    #[serde(default, skip_serializing_if = "no_facts")]
    pub choices: Facts,
    /// Changes of the request, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amendments: Vec<Amendment>,
    /// What other cases asked for the same person, which were merged into this
    /// one, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub joined: Vec<JoinedRequest>,
}

/// A person as a request names him.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Named {
    /// The name to show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The sign-in name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_principal_name: Option<String>,
    /// A mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail: Option<String>,
    /// HR's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub employee_id: Option<String>,
    /// The directory's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_id: Option<ObjectId>,
}

/// One change of the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amendment {
    /// By which event.
    pub version: u64,
    /// When.
    pub at: When,
    /// Planned or immediate from then on.
    pub manner: Manner,
    /// From when on access must be gone, from then on.
    pub effective_at: When,
    /// Who changed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Who handed the change in, if that was somebody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handed_in_by: Option<String>,
}

/// What another case asked for the same person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinedRequest {
    /// By which event.
    pub version: u64,
    /// When.
    pub at: When,
    /// Which case.
    pub case: CaseId,
    /// Its source's own reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Who asked.
    pub requested_by: String,
    /// Who handed it in, if that was somebody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handed_in_by: Option<String>,
    /// Who changed it there.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub amended_by: BTreeSet<String>,
    /// When.
    pub requested_at: When,
    /// Planned or immediate.
    pub manner: Manner,
    /// From when on access must be gone.
    pub effective_at: When,
    /// What was chosen there; a text by its SHA-256.
    #[serde(default, skip_serializing_if = "no_facts")]
    pub choices: Facts,
    /// The event with which it no longer asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_version: Option<u64>,
}

/// When, and how long it took. Seconds are between the times as written here; they are
/// negative where the later of the two came first: access was cut, and the time at which it
/// had to be gone was put off afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// The case was opened.
    pub opened_at: When,
    /// The plan was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned_at: Option<When>,
    /// The last event that this accounts for.
    pub ended_at: When,
    /// The reversible burst (roles, sign-in, password, sessions) was proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst_cut_at: Option<When>,
    /// The last access that a machine cuts was proven cut, the second revocation included.
    /// Where a person had to cut some, all of it was cut at the later of this and
    /// `last_access_attested_at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_access_cut_at: Option<When>,
    /// From the request to the burst.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_from_request_to_burst_cut: Option<i64>,
    /// From the time at which access had to be gone to the burst.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_from_effective_to_burst_cut: Option<i64>,
    /// From the request to the last access cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_from_request_to_last_access_cut: Option<i64>,
    /// From the time at which access had to be gone to the last access cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_from_effective_to_last_access_cut: Option<i64>,
    /// The last access that only a person can cut was cut, on his word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_access_attested_at: Option<When>,
    /// From the request to his word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_from_request_to_last_access_attested: Option<i64>,
    /// From the time at which access had to be gone to his word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_from_effective_to_last_access_attested: Option<i64>,
    /// Tasks that cut access and were waived or not done: the times above do
    /// not speak for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub access_not_cut: Vec<TaskId>,
}

/// How many of what; all of it can be counted again in the tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Tasks in all.
    pub tasks: u64,
    /// Tasks by the class of their outcome; `not_done` for those without one, of
    /// which a cancellation lists those that were begun. Where there are `lost_tails`, others
    /// of them may have been, too.
    pub outcomes: BTreeMap<String, u64>,
    /// Attempts in all.
    pub attempts: u64,
    /// Faults in all.
    pub faults: u64,
    /// How often a task came to need a person.
    pub needed_a_person: u64,
    /// Reports that came for a try that was over.
    pub late_reports: u64,
}

/// What was planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanAccount {
    /// SHA-256 over the subject's ids and the digest of each task, ordered by
    /// id, without the closing rounds' tasks; each part preceded by its length
    /// in eight bytes.
    pub digest: Digest,
    /// Kinds that were wanted and that no connected system offers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unserved: Vec<String>,
    /// The tenant's cap was reached, so that a person had to agree first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub capped: bool,
}

/// One approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalAccount {
    /// By which event.
    pub version: u64,
    /// When.
    pub at: When,
    /// By whom.
    pub by: String,
    /// Which task alone; none: the plan as it stood before that event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// The digest of what was approved. With a time: SHA-256 over
    /// `offboard.approval`, the digest of the plan or the task, and the time as it
    /// is written here; each part preceded by its length in eight bytes.
    pub digest: Digest,
    /// From when on it may be done; none: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<When>,
    /// He had handed in what he approved, or a change of it, for another one: an older
    /// program, which did not look at that, let him.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_who_handed_in: bool,
}

/// One closing round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundAccount {
    /// Which, from 1.
    pub round: u32,
    /// The event with which it began.
    pub began_version: u64,
    /// When.
    pub began_at: When,
    /// The event with which it ended; none if the case went on before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_version: Option<u64>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<When>,
    /// How many end states were read.
    pub read: u64,
    /// Those that differed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
}

/// One end state that was no longer true.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Of which task.
    pub task: TaskId,
    /// What differed.
    pub differs: String,
    /// What was read.
    pub reading: Reading,
}

/// One waiver that is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaiverAccount {
    /// Of which task.
    pub task: TaskId,
    /// Who decided.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When it ends; a linked case takes it up then.
    pub until: When,
}

/// Who called it off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancellation {
    /// By which event.
    pub version: u64,
    /// When.
    pub at: When,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// What workers held at that moment, and what became of it: nothing new
    /// was ordered afterwards, and what these did is not denied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub in_flight: Vec<InFlight>,
    /// Tasks that write, that a worker had been given, and that nobody had seen
    /// done: what was sent for them may still take effect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub begun: Vec<Begun>,
    /// Of a case that lost history: tasks that write and have no outcome, and that only a
    /// late report shows to have been begun, because the order to do them is among what was
    /// lost. None: no history was lost, or the account is from before this was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard_late: Option<Vec<Begun>>,
}

impl Cancellation {
    /// All that was begun and is not proven, as far as the account knows.
    pub fn all_begun(&self) -> impl Iterator<Item = &Begun> {
        self.begun.iter().chain(self.heard_late.iter().flatten())
    }
}

/// A task that was begun and is not proven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// Which.
    pub task: TaskId,
    /// How often it was given to a worker; of one that was only heard of late, at least.
    pub attempts: u32,
    /// The last that was heard of it.
    pub last: String,
}

/// One attempt that was under way when the case was called off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InFlight {
    /// Of which task.
    pub task: TaskId,
    /// Which try.
    pub attempt: u32,
    /// The event that ended it: an answer, or that none came in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_version: Option<u64>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<When>,
    /// What it came to, in words.
    pub became: String,
}

/// Why a case was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalAccount {
    /// By which event.
    pub version: u64,
    /// When.
    pub at: When,
    /// Why.
    pub reason: String,
    /// No task that writes was ever given to a worker, as far as the chain of events goes:
    /// where there are `lost_tails`, nobody knows what was lost.
    pub nothing_written: bool,
}

/// History that was lost: everything was read again from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostTail {
    /// The event that recorded it.
    pub version: u64,
    /// When.
    pub at: When,
    /// The version that the report knew; 0: how far it went is not known.
    pub known: u64,
}

/// One file that belongs to the case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactAccount {
    /// Its name among the subjects.
    pub name: String,
    /// Of which task.
    pub task: TaskId,
    /// By which event it was recorded.
    pub version: u64,
    /// Its media type, if a worker put it there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Its size in bytes, if a worker put it there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
}

/// The chain. `hash = SHA-256("offboard.event" ‖ previous hash ‖ body)`, with
/// 32 zero bytes before the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// The hash of the last event.
    pub head: Digest,
    /// Every event, from version 1.
    pub events: Vec<Link>,
}

/// One event of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Its version.
    pub version: u64,
    /// When it was decided.
    pub at: When,
    /// Its name.
    pub event: String,
    /// SHA-256 of its sealed bytes.
    pub body: Digest,
    /// Its hash.
    pub hash: Digest,
}

pub(super) fn no_facts(facts: &Facts) -> bool {
    facts.0.is_empty()
}
