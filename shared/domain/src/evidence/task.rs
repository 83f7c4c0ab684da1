//! What evidence says of one task.

use super::statement::no_facts;
use super::when::When;
use crate::catalogue::Stage;
use crate::fault::Fault;
use crate::id::{Digest, ObjectId, System, TaskId};
use crate::observation::Facts;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskAccount {
    /// Its id.
    pub id: TaskId,
    /// What sort: `identity.disable_sign_in`.
    pub kind: String,
    /// What it does, in words.
    pub title: String,
    /// Stage of the lifecycle.
    pub stage: Stage,
    /// Which worker served it: `identity`, or `person`.
    pub area: String,
    /// In which system.
    pub system: System,
    /// On which object; none: the subject's own account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectId>,
    /// The task that found it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found_by: Option<TaskId>,
    /// Its parameters.
    #[serde(default, skip_serializing_if = "no_facts")]
    pub params: Facts,
    /// Parameters that are prose: the SHA-256 of their text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub withheld_params: BTreeMap<String, Digest>,
    /// What an approval of exactly this task binds: id, kind, target, parameters.
    pub digest: Digest,
    /// The event that brought it into the case.
    pub since_version: u64,
    /// What sort of task it is.
    pub nature: Nature,
    /// How it ended; none if the case was called off before, or if it goes on
    /// beside the case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<OutcomeAccount>,
    /// The event that settled it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_version: Option<u64>,
    /// When it was settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<When>,
    /// When it was first given to a worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_assigned_at: Option<When>,
    /// How often it was given to a worker.
    pub attempts: u32,
    /// What was read before the first write since it was last to be done, whichever attempt
    /// wrote; as far as it is known, else what the settling attempt read first. Of what is
    /// read and cleared part by part, all parts, and when the first of them was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Reading>,
    /// What the settling attempt read last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Reading>,
    /// How its end state was proven at closing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closing_proof: Option<ClosingProofAccount>,
    /// Everything that happened to it, in order.
    pub steps: Vec<Step>,
    /// The vendor's receipts, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub receipts: Vec<ReceiptAccount>,
    /// The controls that this supports.
    pub controls: ControlsAccount,
}

/// What sort of task it is, as far as it bears on the proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nature {
    /// It writes in an outside system.
    pub writes: bool,
    /// It must never happen twice.
    pub once: bool,
    /// It can be undone.
    pub reversible: bool,
    /// It cuts access and is urgent: its end counts for the time to the last cut, of
    /// machines or, if a person does it, of people.
    pub cuts_access: bool,
    /// It belongs to the reversible burst.
    pub burst: bool,
    /// A person must have approved exactly this task before it writes.
    pub needs_own_approval: bool,
    /// It is one of the closing round's readings; no plan lists it.
    pub closing_round: bool,
    /// It goes on beside the case, also after this account, and proves nothing in
    /// it: the ticket of a service desk.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub beside: bool,
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "class", rename_all = "snake_case")]
pub enum OutcomeAccount {
    /// An independent read equals the wanted state.
    Verified,
    /// A value that only grows moved past where it was.
    VerifiedByCounter,
    /// The provider acknowledged; it keeps no readable state.
    Acknowledged,
    /// A named person says so.
    Attested {
        /// Who.
        by: String,
        /// The file that shows it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file: Option<Digest>,
        /// What he noted.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        note: String,
    },
    /// There was nothing to do.
    NotApplicable {
        /// The reason.
        reason: String,
    },
    /// A person decided to go without.
    Waived {
        /// Who.
        by: String,
        /// Why.
        reason: String,
        /// Until when.
        until: When,
    },
}

impl OutcomeAccount {
    /// The class as it is written.
    #[must_use]
    pub fn class(&self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::VerifiedByCounter => "verified_by_counter",
            Self::Acknowledged => "acknowledged",
            Self::Attested { .. } => "attested",
            Self::NotApplicable { .. } => "not_applicable",
            Self::Waived { .. } => "waived",
        }
    }

    /// Whether a machine brought it about and it counts as done.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        matches!(self, Self::Verified | Self::VerifiedByCounter | Self::Acknowledged)
    }
}

/// What was read, where and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// When.
    pub read_at: When,
    /// Through which interfaces.
    pub sources: Vec<String>,
    /// What they said.
    pub facts: Facts,
}

/// How an end state was proven at closing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum ClosingProofAccount {
    /// It was read again in the last round, and did not differ.
    ReadAgain {
        /// In which round.
        round: u32,
        /// By the event that recorded it.
        version: u64,
        /// What was read.
        reading: Reading,
    },
    /// Its receipt was kept.
    Receipt {
        /// Why it is not read again.
        reason: String,
    },
    /// A person answers for it.
    Person,
}

/// One thing that happened to a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// By which event.
    pub version: u64,
    /// When.
    pub at: When,
    /// The event's name.
    pub event: String,
    /// Of which try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// What it says, in words.
    pub text: String,
    /// It rested until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<When>,
    /// The rule by which it needed a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// The SHA-256 of the report that said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Digest>,
    /// What was read, for a late report and for what was reopened later.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub readings: Vec<Reading>,
}

/// The vendor's receipt for one request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptAccount {
    /// By which event it was recorded.
    pub version: u64,
    /// When the vendor answered.
    pub at: When,
    /// What was asked, without personal data.
    pub request: String,
    /// The HTTP status.
    pub status: u16,
    /// The vendor's id of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// References to controls, by framework.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ControlsAccount {
    /// SOC 2 trust services criteria.
    pub soc2: Vec<String>,
    /// ISO/IEC 27001:2022 Annex A.
    pub iso27001_2022: Vec<String>,
    /// HIPAA Security Rule, 45 CFR.
    pub hipaa: Vec<String>,
    /// NIST SP 800-53 revision 5.
    pub nist_800_53_r5: Vec<String>,
}
