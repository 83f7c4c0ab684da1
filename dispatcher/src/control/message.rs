//! What is asked, and what is answered.

use super::summary::CaseSummary;
use super::why::WhyView;
use crate::gates::Paused;
use crate::letters::{Cleared, Clearing};
use crate::unwritten::Unwritten;
use crate::view::CaseView;
use offboard_domain::{CaseId, Departure, Digest, TaskId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

/// What is asked. A case is named by its id, the beginning of its id, or the
/// source's reference (`tenant/reference` where two tenants use the same one);
/// a task by its id, its beginning, or its kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Who serves, since when, how much.
    Status,
    /// Accept these departures, each by itself.
    Submit {
        /// The requests.
        departures: Vec<Departure>,
    },
    /// A page of cases.
    List {
        /// Of this tenant; none: of all.
        #[serde(default)]
        tenant: Option<TenantId>,
        /// Only those whose life is not over.
        #[serde(default)]
        open_only: bool,
        /// After this case.
        #[serde(default)]
        after: Option<(TenantId, CaseId)>,
        /// At most this many.
        limit: usize,
    },
    /// One case with everything in it.
    Show {
        /// Which.
        case: String,
    },
    /// Why a case or task is where it is.
    Why {
        /// Which case.
        case: String,
        /// Which task; none: all that hold the case up.
        #[serde(default)]
        task: Option<String>,
    },
    /// What a case has put into the store, never what is in it. A server from
    /// before this was asked for refuses it as a request that does not read.
    Artifacts {
        /// Which case.
        case: String,
    },
    /// Approve the plan or a task, by the digest of what was looked at.
    Approve {
        /// Which case.
        case: String,
        /// Who.
        by: String,
        /// What.
        of: Approval,
    },
    /// A person says that a human task is done.
    Attest {
        /// Which case.
        case: String,
        /// Which task.
        task: String,
        /// Who.
        by: String,
        /// The file that shows it; it must be in the store already.
        #[serde(default)]
        file: Option<Digest>,
        /// How its name ends, such as `pdf`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ending: Option<String>,
        /// A note.
        #[serde(default)]
        note: String,
    },
    /// A person decides to go without.
    Waive {
        /// Which case.
        case: String,
        /// Which task.
        task: String,
        /// Who.
        by: String,
        /// Why.
        reason: String,
        /// Until when.
        until: Timestamp,
    },
    /// A person orders another try.
    Retry {
        /// Which case.
        case: String,
        /// Which task; none: all that need a person.
        #[serde(default)]
        task: Option<String>,
        /// Who.
        by: String,
    },
    /// A person calls the departure off.
    Cancel {
        /// Which case.
        case: String,
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// Begin nothing new of this until then; what runs is finished.
    Pause {
        /// Of this tenant; none: of every one.
        #[serde(default)]
        tenant: Option<TenantId>,
        /// What.
        what: Paused,
        /// Until when.
        until: Timestamp,
        /// Who.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// End a pause.
    Resume {
        /// Of this tenant; none: of every one.
        #[serde(default)]
        tenant: Option<TenantId>,
        /// What.
        what: Paused,
    },
    /// What is shut now: pauses, vendors' holds, sites that are away.
    Gates,
    /// Messages that could not be dealt with.
    Dead {
        /// At most this many.
        limit: usize,
    },
    /// Deal with some of them.
    Clear {
        /// Which, as they are listed.
        letters: Vec<Digest>,
        /// How, by whom and why.
        how: Clearing,
    },
    /// Answers when something has changed since `after`, or when the wait is over.
    Changes {
        /// The count that was answered last; 0 for the first time.
        after: u64,
        /// Wait at most this long, in milliseconds of real time.
        wait_ms: u64,
    },
}

/// What is approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Approval {
    /// The plan with this digest.
    Plan {
        /// What was looked at.
        digest: Digest,
    },
    /// One task with this digest.
    Task {
        /// Which.
        task: String,
        /// What was looked at.
        digest: Digest,
    },
}

/// What became of a submitted departure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A new case.
    Opened,
    /// The case that it opened before.
    Known,
    /// The case that it opened before, with the request as it is now.
    Amended,
    /// The state machine, or the configuration, says no.
    Refused,
    /// It could not be written; nothing after it was tried.
    Failed,
}

/// One departure of a submission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Whose.
    pub tenant: TenantId,
    /// Which case.
    pub case: CaseId,
    /// What became of it.
    pub what: What,
    /// Why it was refused; of one that is known, why nothing is done for it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What whoever handed it in should know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// Who serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The process.
    pub process: u32,
    /// The program's version.
    pub version: String,
    /// Engine time.
    pub now: Timestamp,
    /// Open cases in its memory.
    pub held: usize,
    /// Messages that could not be dealt with.
    pub dead: usize,
    /// Where nothing can be written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unwritten: Vec<Unwritten>,
}

/// A message that could not be dealt with. Its body stays where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Buried {
    /// Its name, which no other has.
    pub letter: Digest,
    /// Its id.
    pub id: String,
    /// Its size in bytes.
    pub bytes: usize,
    /// Why it was buried.
    pub reason: String,
}

/// Something that a task has put into the store, which has it by its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Which task.
    pub task: TaskId,
    /// What the task calls it.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// SHA-256 of its bytes.
    pub digest: Digest,
}

/// Something that is shut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// Of which tenant.
    pub tenant: TenantId,
    /// Its name: `pause/m365`, `hold/m365`, `away/ad/identity`.
    pub name: String,
    /// Until when.
    pub until: Timestamp,
    /// Since when, where that is known: of a site that is away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Who paused it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", content = "with", rename_all = "snake_case")]
pub enum Response {
    /// Who serves.
    Status(Status),
    /// What became of each departure, in the order of the request.
    Submitted(Vec<Accepted>),
    /// A page of cases.
    Cases {
        /// The cases, in the order of tenant and id.
        cases: Vec<CaseSummary>,
        /// Whether there are more after them.
        more: bool,
    },
    /// One case; after an order, as it is now.
    Case(Box<CaseView>),
    /// Why.
    Why(Box<WhyView>),
    /// What the case has put into the store, in the order in which it did; the
    /// same thing again stands there again.
    Artifacts(Vec<Stored>),
    /// What is shut now, by tenant and name.
    Gates(Vec<Gate>),
    /// Buried messages.
    Dead(Vec<Buried>),
    /// What became of each letter, in the order of the request.
    Cleared(Vec<Cleared>),
    /// How often something has changed.
    Changes {
        /// The count.
        count: u64,
    },
    /// What was named fits several.
    Ambiguous {
        /// What was named.
        given: String,
        /// What it fits.
        candidates: Vec<String>,
    },
    /// It was lawfully refused, or there is no such thing. Nothing was changed.
    Refused {
        /// Why.
        why: String,
    },
    /// It failed.
    Failed {
        /// What was attempted and what came back.
        why: String,
        /// The chain of what caused it.
        causes: Vec<String>,
    },
}
