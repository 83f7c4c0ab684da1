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
    /// An assignment was not answered in time, or can no longer be of those that a lost history
    /// may have given.
    #[serde(rename = "unanswered")]
    Unanswered,
    /// An approval or attestation is overdue.
    #[serde(rename = "overdue")]
    Overdue,
    /// A waiver runs out.
    #[serde(rename = "waiver_ends")]
    WaiverEnds,
    /// A vendor's hold ends.
    #[serde(rename = "hold_ends")]
    HoldEnds,
    /// The case is to be sealed.
    #[serde(rename = "seal")]
    Seal,
    /// A person's pause ends.
    #[serde(rename = "pause_ends")]
    PauseEnds,
    /// The workers of the site that the system is reached from are silent.
    #[serde(rename = "site_away")]
    SiteAway,
    /// A case whose life is over goes into the archive.
    #[serde(rename = "archive")]
    Archive,
    /// Another case of the same person is to hear of it.
    #[serde(rename = "merge")]
    Merge,
    /// Somebody other than the shard's owner appended to it.
    #[serde(rename = "appended")]
    Appended,
}

impl WakeReason {
    /// All of them, in order.
    pub const ALL: [Self; 14] = [
        Self::Ready,
        Self::Start,
        Self::Retry,
        Self::Delay,
        Self::Unanswered,
        Self::Overdue,
        Self::WaiverEnds,
        Self::HoldEnds,
        Self::Seal,
        Self::PauseEnds,
        Self::SiteAway,
        Self::Archive,
        Self::Merge,
        Self::Appended,
    ];

    /// Its stored name, which never changes.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Start => "start",
            Self::Retry => "retry",
            Self::Delay => "delay",
            Self::Unanswered => "unanswered",
            Self::Overdue => "overdue",
            Self::WaiverEnds => "waiver_ends",
            Self::HoldEnds => "hold_ends",
            Self::Seal => "seal",
            Self::PauseEnds => "pause_ends",
            Self::SiteAway => "site_away",
            Self::Archive => "archive",
            Self::Merge => "merge",
            Self::Appended => "appended",
        }
    }

    /// The reason of a stored name.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.word() == word)
    }

    /// The reason in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Ready => "something can be assigned",
            Self::Start => "the departure's time comes",
            Self::Retry => "a task tries again",
            Self::Delay => "a prescribed delay ends",
            Self::Unanswered => "the time of an assignment runs out, or of those that a lost history may have given",
            Self::Overdue => "a person's answer becomes overdue",
            Self::WaiverEnds => "a waiver runs out",
            Self::HoldEnds => "a vendor's request to slow down ends",
            Self::Seal => "the evidence is to be sealed",
            Self::PauseEnds => "a person's pause ends (`offboard resume` ends it sooner)",
            Self::SiteAway => "the site's workers are silent, and are looked for again",
            Self::Archive => "the case goes into the archive",
            Self::Merge => "the other case of the same person is told of it",
            Self::Appended => "somebody else appended to it",
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

impl Wake {
    /// The wake-up that whoever does not own a case leaves with what he
    /// appends: before every other one, so that its owner finds it first,
    /// however much else is due.
    pub const APPENDED: Self = Self {
        at: Timestamp(0),
        why: WakeReason::Appended,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_names_are_those_that_are_serialised_and_read_back() {
        for reason in WakeReason::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.word());
            assert_eq!(WakeReason::from_word(reason.word()), Some(reason));
        }
        assert_eq!(WakeReason::from_word("later"), None);
    }
}
