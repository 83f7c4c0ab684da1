//! When an open case next wants to be looked at, and why.

use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Why a case wants to be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum WakeReason {
    /// Something can be assigned now, or was just appended by somebody else.
    #[serde(rename = "ready")]
    Ready,
    /// The departure's time comes.
    #[serde(rename = "start")]
    Start,
    /// A resting task tries again.
    #[serde(rename = "retry")]
    Retry,
    /// The delay after a dependency, or before an irreversible act, is over.
    #[serde(rename = "delay")]
    Delay,
    /// An assignment was not answered in time.
    #[serde(rename = "unanswered")]
    Unanswered,
    /// An approval or attestation is overdue.
    #[serde(rename = "overdue")]
    Overdue,
    /// A waiver runs out.
    #[serde(rename = "waiver_ends")]
    WaiverEnds,
    /// A vendor's hold or a pause ends.
    #[serde(rename = "hold_ends")]
    HoldEnds,
    /// The case is to be sealed.
    #[serde(rename = "seal")]
    Seal,
}

impl WakeReason {
    /// The reason in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Ready => "something can be assigned",
            Self::Start => "the departure's time comes",
            Self::Retry => "a task tries again",
            Self::Delay => "a prescribed delay ends",
            Self::Unanswered => "an assignment runs out",
            Self::Overdue => "a person's answer becomes overdue",
            Self::WaiverEnds => "a waiver runs out",
            Self::HoldEnds => "a vendor's request to slow down ends",
            Self::Seal => "the evidence is to be sealed",
        }
    }
}

/// A wake-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Wake {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub why: WakeReason,
}
