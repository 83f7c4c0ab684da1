//! What the outside world does to us, and the one table that says what follows.
//!
//! The table is exhaustive over [`FaultClass`]: a new class does not compile
//! until it has a row. The schedule is full-jitter exponential, seeded by the
//! task's id, so that a test can predict every wait.

use crate::id::{Digest, System, TaskId};
use crate::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS};
use serde::{Deserialize, Serialize};

/// The classes of fault. Connectors map every vendor's answers onto these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "class")]
pub enum FaultClass {
    /// Broken for now: 5xx, refused connection, a read that has not caught up.
    #[serde(rename = "transient")]
    Transient,
    /// Asked to slow down. Costs no attempt.
    #[serde(rename = "throttled")]
    Throttled {
        /// How long the vendor asked to be left alone, in milliseconds.
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<i64>,
    },
    /// Our configuration or permission is wrong.
    #[serde(rename = "denied")]
    Denied,
    /// A policy of the other side stands in the way, such as a privileged target.
    #[serde(rename = "blocked")]
    Blocked,
    /// The object is not there.
    #[serde(rename = "absent")]
    Absent,
    /// The request will never be accepted.
    #[serde(rename = "rejected")]
    Rejected,
    /// The system cannot do this.
    #[serde(rename = "unsupported")]
    Unsupported,
    /// Sent, and no answer: it may have happened.
    #[serde(rename = "unknown")]
    Unknown,
}

impl FaultClass {
    /// The class as one word, for tables and metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Throttled { .. } => "throttled",
            Self::Denied => "denied",
            Self::Blocked => "blocked",
            Self::Absent => "absent",
            Self::Rejected => "rejected",
            Self::Unsupported => "unsupported",
            Self::Unknown => "unknown",
        }
    }

    /// Whether a vendor that answers a write so has not done it. To be asked for less haste
    /// is not enough: a server that is busy says so, too, and may have passed on what it had.
    /// Whoever has the answer at hand can tell more.
    #[must_use]
    pub fn is_refusal(self) -> bool {
        match self {
            Self::Transient | Self::Throttled { .. } | Self::Unknown => false,
            Self::Denied | Self::Blocked | Self::Absent | Self::Rejected | Self::Unsupported => true,
        }
    }
}

/// The code of a fault that says that the object is a copy, and that this must
/// be changed in the directory that masters it.
pub const MASTERED_ELSEWHERE: &str = "MasteredOnPremises";

/// One fault as it met us. Carries no personal data and no secret: the detail
/// is written by the connector from the vendor's error code, never its text
/// about a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What sort of fault it is.
    #[serde(flatten)]
    pub class: FaultClass,
    /// Which system answered, or did not.
    pub system: System,
    /// What was attempted, in words: `PATCH /users/{id}`.
    pub attempted: String,
    /// The HTTP status, when there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The vendor's error code, when there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What came back, for a person, and what to do about it.
    pub detail: String,
    /// The vendor's id of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl Fault {
    /// Whether no permission helps, nor another request: it is changed elsewhere, or cannot be
    /// by a machine at all, so that a person can but see to it by hand.
    #[must_use]
    pub fn leaves_it_to_hands(&self) -> bool {
        self.code.as_deref() == Some(MASTERED_ELSEWHERE) || self.class == FaultClass::Unsupported
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} on {} ({})", self.attempted, self.system, self.class.word())?;
        if let Some(status) = self.status {
            write!(f, ", HTTP {status}")?;
        }
        if let Some(code) = &self.code {
            write!(f, " {code}")?;
        }
        write!(f, ": {}", self.detail)
    }
}

impl std::error::Error for Fault {}

/// The rule by which a task needs a person. Its text says what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Rule {
    /// Every attempt that the kind allows has been used.
    #[serde(rename = "out_of_attempts")]
    OutOfAttempts,
    /// The vendor refuses our credential or permission.
    #[serde(rename = "needs_permission")]
    NeedsPermission,
    /// A policy stands in the way.
    #[serde(rename = "blocked_by_policy")]
    BlockedByPolicy,
    /// The vendor will never accept this request.
    #[serde(rename = "never_accepted")]
    NeverAccepted,
    /// The system cannot do this.
    #[serde(rename = "not_offered")]
    NotOffered,
    /// The object is gone, and for this kind that proves nothing.
    #[serde(rename = "object_gone")]
    ObjectGone,
    /// A once-only act may have happened, and reading could not tell.
    #[serde(rename = "inconclusive_once")]
    InconclusiveOnce,
    /// Found after what must follow it had already been done.
    #[serde(rename = "late_find")]
    LateFind,
    /// It was proven and undone by somebody, again and again.
    #[serde(rename = "keeps_flapping")]
    KeepsFlapping,
    /// An irreversible end state was no longer true in the closing round.
    #[serde(rename = "irreversible_differs")]
    IrreversibleDiffers,
    /// A report claimed what its own observation does not show.
    #[serde(rename = "claim_without_proof")]
    ClaimWithoutProof,
    /// The vendor was waited for longer than the kind's patience.
    #[serde(rename = "still_waiting")]
    StillWaiting,
}

impl Rule {
    /// The rule as one word, for tables and metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::OutOfAttempts => "out_of_attempts",
            Self::NeedsPermission => "needs_permission",
            Self::BlockedByPolicy => "blocked_by_policy",
            Self::NeverAccepted => "never_accepted",
            Self::NotOffered => "not_offered",
            Self::ObjectGone => "object_gone",
            Self::InconclusiveOnce => "inconclusive_once",
            Self::LateFind => "late_find",
            Self::KeepsFlapping => "keeps_flapping",
            Self::IrreversibleDiffers => "irreversible_differs",
            Self::ClaimWithoutProof => "claim_without_proof",
            Self::StillWaiting => "still_waiting",
        }
    }

    /// What the rule says, and what a person can do.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::OutOfAttempts => {
                "every attempt was used; read the last fault, mend its cause, then `offboard retry`, or `offboard waive` with a reason"
            }
            Self::NeedsPermission => {
                "the outside system refused our credential or permission; run `offboard doctor`, grant what it names, then `offboard retry`"
            }
            Self::BlockedByPolicy => {
                "a machine must not or cannot get past this; resolve it by hand, then `offboard retry`, or `offboard waive` with a reason"
            }
            Self::NeverAccepted => {
                "the outside system will never accept this request; do it by hand and `offboard retry` (it is read again), or `offboard waive` with a reason"
            }
            Self::NotOffered => {
                "the outside system cannot do this; do it by hand and `offboard retry` (it is read again), or `offboard waive` with a reason"
            }
            Self::ObjectGone => {
                "the object is gone, which proves nothing here; find out what became of it, bring it back if that can be and `offboard retry`, or `offboard waive` with what you found"
            }
            Self::InconclusiveOnce => {
                "this act must not happen twice and may have happened; look in the outside system, and do by hand what is not there; then `offboard retry`, which reads it again and orders nothing unless that shows that it did not happen (at the desk do nothing by hand: there `offboard retry` is your word that it is not there, and it is sent again), or `offboard waive` with what you saw"
            }
            Self::LateFind => {
                "this was found or asked for after work that must follow it was done, or may have been begun; decide with `offboard retry` (do it now) or `offboard waive`"
            }
            Self::KeepsFlapping => "somebody or something keeps undoing this; stop that first, then `offboard retry`",
            Self::IrreversibleDiffers => {
                "an act that cannot be undone no longer shows its result; look at the object, then `offboard retry` or `offboard waive`"
            }
            Self::ClaimWithoutProof => {
                "a worker claimed success without an observation that shows it; check the worker, then `offboard retry`"
            }
            Self::StillWaiting => {
                "the outside system has not come round for days; find out why (a device that never checks in?), then `offboard retry` or `offboard waive`"
            }
        }
    }
}

/// What follows a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consequence {
    /// Try again after this long.
    Rest {
        /// How long to rest, in milliseconds.
        wait_ms: i64,
        /// Whether this try counts against the kind's attempts.
        costs_attempt: bool,
    },
    /// A person must act.
    AskPerson(Rule),
}

/// First wait of the exponential schedule.
pub const BASE_WAIT_MS: i64 = 5 * SECOND_MS;
/// Longest wait of the exponential schedule.
pub const MAX_WAIT_MS: i64 = HOUR_MS;
/// Wait when a vendor throttles without saying for how long.
pub const THROTTLED_WAIT_MS: i64 = 30 * SECOND_MS;
/// The most that a vendor's `Retry-After` is believed: beyond it we look again.
pub const RETRY_AFTER_MAX_MS: i64 = DAY_MS;
/// Wait before an attempt without an answer is looked into: in-flight requests
/// have ended by then.
pub const UNKNOWN_WAIT_MS: i64 = MINUTE_MS;

/// The longest wait before try `n + 1` (n from 1), in milliseconds: `base · 2^(n-1)`, capped.
#[must_use]
pub fn ceiling_ms(n: u32) -> i64 {
    BASE_WAIT_MS
        .saturating_mul(1_i64 << n.saturating_sub(1).min(20))
        .min(MAX_WAIT_MS)
}

/// Full-jitter exponential wait before try `n + 1` (n from 1), in milliseconds: anything
/// from nothing to the ceiling, so that those whom one outage has sent to rest together do
/// not come back together. Seeded by task and n.
#[must_use]
pub fn backoff_ms(task: TaskId, n: u32) -> i64 {
    let seed = Digest::of_parts(&[b"offboard.backoff", &task.0, &n.to_be_bytes()]);
    let mut eight = [0; 8];
    eight.copy_from_slice(&seed.0[..8]);
    (u64::from_be_bytes(eight) % (ceiling_ms(n) as u64 + 1)) as i64
}

/// How long a throttled call holds back the tenant's other calls to that
/// system, in milliseconds: as long as the vendor says. Where he says nothing,
/// not for as long as this one task has come to rest: a task that has met many
/// faults would shut the system for everybody.
#[must_use]
pub fn held_back_ms(class: FaultClass) -> Option<i64> {
    match class {
        FaultClass::Throttled { retry_after_ms } => Some(
            retry_after_ms
                .unwrap_or(THROTTLED_WAIT_MS)
                .clamp(SECOND_MS, RETRY_AFTER_MAX_MS),
        ),
        FaultClass::Transient
        | FaultClass::Denied
        | FaultClass::Blocked
        | FaultClass::Absent
        | FaultClass::Rejected
        | FaultClass::Unsupported
        | FaultClass::Unknown => None,
    }
}

/// The fault table: class × tries already spent → what follows.
///
/// `spent` counts the tries that cost an attempt, this one included if it does;
/// `faults` counts all faults of the task so far, this one included;
/// `allowed` is the kind's number of attempts.
#[must_use]
pub fn consequence(class: FaultClass, task: TaskId, spent: u32, faults: u32, allowed: u32) -> Consequence {
    let rest = |wait_ms| {
        if spent >= allowed {
            Consequence::AskPerson(Rule::OutOfAttempts)
        } else {
            Consequence::Rest {
                wait_ms,
                costs_attempt: true,
            }
        }
    };
    match class {
        FaultClass::Transient | FaultClass::Absent => rest(backoff_ms(task, spent)),
        FaultClass::Unknown => rest(backoff_ms(task, spent).max(UNKNOWN_WAIT_MS)),
        FaultClass::Throttled { retry_after_ms } => {
            let asked = retry_after_ms.unwrap_or_else(|| backoff_ms(task, faults).max(THROTTLED_WAIT_MS));
            Consequence::Rest {
                wait_ms: asked.clamp(SECOND_MS, RETRY_AFTER_MAX_MS),
                costs_attempt: false,
            }
        }
        FaultClass::Denied => Consequence::AskPerson(Rule::NeedsPermission),
        FaultClass::Blocked => Consequence::AskPerson(Rule::BlockedByPolicy),
        FaultClass::Rejected => Consequence::AskPerson(Rule::NeverAccepted),
        FaultClass::Unsupported => Consequence::AskPerson(Rule::NotOffered),
    }
}
