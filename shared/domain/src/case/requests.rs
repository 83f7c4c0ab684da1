//! What several cases ask for one person: which of them does the work, what the
//! others want of it, and who of them is still to be told. See
//! `docs/decisions/0030-what-anybody-asked-for-holds.md`.

use super::{Case, CaseState};
use crate::departure::{Departure, Manner};
use crate::id::CaseId;
use crate::keeping::{Retention, asked_by};
use crate::task::Task;
use crate::time::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What another case of the same person asks, as it was heard last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// When that case came to ask for this.
    pub asked_at: Timestamp,
    /// None: nothing any more.
    pub asked: Option<Arc<Departure>>,
    /// Who changed it there.
    pub amended_by: BTreeSet<String>,
    /// For how long its own policy keeps what it wants kept; none: nobody has looked yet
    /// at what that is.
    pub retention: Option<Retention>,
}

/// How a case stands to the one that it was merged into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Merge {
    /// That case.
    pub into: CaseId,
    /// It knows what is asked here, or that nothing is any more.
    pub known: bool,
}

impl Case {
    /// The case that it was merged into does not know what is asked here now.
    pub(super) fn is_to_be_told(&mut self) {
        if let Some(merge) = &mut self.merge {
            merge.known = false;
        }
    }

    /// The case that is to be told what is asked here, or that nothing is any more.
    #[must_use]
    pub fn tells(&self) -> Option<CaseId> {
        let merge = self.merge.filter(|m| !m.known)?;
        self.state.ended().then_some(merge.into)
    }

    /// What it asks of the case that it was merged into; none: nothing any more.
    #[must_use]
    pub fn asks_there(&self) -> Option<&Arc<Departure>> {
        matches!(self.state, CaseState::Merged { .. }).then_some(&self.departure)
    }

    /// The cases that were merged into this one and go on by themselves, since
    /// nothing is done for them here any more; and when each came to ask.
    #[must_use]
    pub fn lets_go(&self) -> Vec<(CaseId, Timestamp)> {
        match self.state {
            CaseState::Cancelled | CaseState::Merged { .. } | CaseState::Refused { .. } => {
                let asking = self.joined.iter().filter(|(_, j)| j.asked.is_some());
                asking.map(|(case, j)| (*case, j.asked_at)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Whether another case of the same person is to hear of it.
    #[must_use]
    pub fn speaks(&self) -> bool {
        self.tells().is_some() || !self.lets_go().is_empty()
    }

    /// From when on access must be gone: by the earliest of those who ask for it.
    #[must_use]
    pub fn effective_at(&self) -> Timestamp {
        let others = self.others().map(|d| d.effective_at);
        others.fold(self.departure.effective_at, Timestamp::min)
    }

    /// How he leaves: at once, if one of those who ask for it says so.
    #[must_use]
    pub fn manner(&self) -> Manner {
        let mut all = std::iter::once(&self.departure).chain(self.others());
        if all.any(|d| d.manner == Manner::Immediate) {
            Manner::Immediate
        } else {
            Manner::Planned
        }
    }

    /// Everybody who asked for it, or for something else in it, and who handed that in for
    /// another one, unless the policy lets him: none of them decides about it.
    pub fn asked_by(&self) -> impl Iterator<Item = &str> {
        let asking = || self.joined.values().filter(|j| j.asked.is_some());
        let may_hand_in = self.policy.approvals.approver_may_hand_in;
        let handed_in = std::iter::once(&self.departure).chain(self.others());
        let handed_in = handed_in.filter_map(|d| d.handed_in_by.as_deref());
        std::iter::once(self.departure.requested_by.as_str())
            .chain(self.others().map(|d| d.requested_by.as_str()))
            .chain(handed_in.filter(move |_| !may_hand_in))
            .chain(self.amended_by.iter().map(String::as_str))
            .chain(self.barred_by_changes().map(String::as_str))
            .chain(asking().flat_map(|j| &j.amended_by).map(String::as_str))
    }

    /// Who handed changes in for another one, unless the policy lets him decide.
    fn barred_by_changes(&self) -> impl Iterator<Item = &String> {
        let may_hand_in = self.policy.approvals.approver_may_hand_in;
        self.changes_handed_in_by.iter().filter(move |_| !may_hand_in)
    }

    /// Everybody who decides nothing because of what he changed here: the case that this one
    /// was merged into is told of them.
    #[must_use]
    pub fn changed_by(&self) -> BTreeSet<String> {
        self.amended_by
            .iter()
            .chain(self.barred_by_changes())
            .cloned()
            .collect()
    }

    /// Whether a person is asked about this for a request that was called off since.
    #[must_use]
    pub fn is_asked_no_more(&self, task: &Task) -> bool {
        let joined = asked_by(task).and_then(|other| self.joined.get(&other));
        joined.is_some_and(|j| j.asked.is_none())
    }

    /// What others ask for the same person now.
    pub fn others(&self) -> impl Iterator<Item = &Arc<Departure>> {
        self.joined.values().filter_map(|j| j.asked.as_ref())
    }
}
