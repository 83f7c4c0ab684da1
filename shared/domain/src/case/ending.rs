//! A case that ends without a departure: called off, refused, or joined to another of the
//! same person. Nothing more is done for it, but whoever follows it at a desk hears of
//! that. See `docs/decisions/0028-the-desk-goes-on-beside-the-case.md`.

use super::{Case, CaseState};
use crate::catalogue::desk::{BY_REQUESTER, CALLED_OFF, CALLED_OFF_MS, ENDED, HISTORY_LOST, REFUSED};
use crate::catalogue::{Closes, Kind};
use crate::id::ObjectId;
use crate::observation::Facts;
use crate::plan::is_skipped;
use crate::task::{Outcome, PlannedTask, Task};
use crate::time::Timestamp;
use std::collections::BTreeMap;

/// That somebody called it off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CalledOff {
    /// When.
    pub at: Timestamp,
    /// Whoever asked for it did.
    pub by_requester: bool,
}

/// What was begun when a case was called off, and has no outcome.
const BEGUN: &str = "begun and not proven";

impl Case {
    /// How it ended without a departure, as it stands in the object of the task that
    /// notes it; none: it is open, or was closed.
    #[must_use]
    pub fn ending(&self) -> Option<ObjectId> {
        match &self.state {
            CaseState::Cancelled => Some(ObjectId::from(CALLED_OFF)),
            CaseState::Refused { .. } => Some(ObjectId::from(REFUSED)),
            CaseState::Merged { into } => Some(ObjectId(into.to_string())),
            CaseState::Received
            | CaseState::Active
            | CaseState::Closing
            | CaseState::Sealing
            | CaseState::Closed
            | CaseState::Cancelling => None,
        }
    }

    /// Whether a task is still to be done though the case's life is over.
    #[must_use]
    pub fn outlives(&self, task: &Task) -> bool {
        match task.kind().spec().closes {
            Closes::With => false,
            Closes::Beside | Closes::After => self.state == CaseState::Closed,
            // It may have ended otherwise before: a merge can be undone.
            Closes::Instead => self.ending().is_some() && self.ending() == task.planned.target.object,
        }
    }

    /// The notes that are to tell how it ended, and are not planned yet. Where neither a
    /// ticket was opened nor the request has a name, nobody follows it.
    pub(crate) fn notes_of_its_ending(&self) -> Vec<PlannedTask> {
        let Some(ending) = self.ending() else {
            return Vec::new();
        };
        let mut tickets = self.tasks.values().filter(|t| t.kind() == Kind::OpenTicket);
        let followed = self.departure.reference.is_some() || tickets.any(|t| t.was_ordered());
        if !followed || is_skipped(Kind::NoteEnding, &self.policy) {
            return Vec::new();
        }
        let desks = self.capabilities.0.iter();
        let desks = desks.filter(|(_, kinds)| kinds.contains(&Kind::NoteEnding));
        desks
            .map(|(desk, _)| PlannedTask::new(self.id, Kind::NoteEnding, desk, Some(ending.clone()), Facts::new()))
            .filter(|note| !self.tasks.contains_key(&note.id))
            .collect()
    }

    /// When it was called off, and what had been done by then and stays; and whether that is
    /// all, as far as anybody knows. Nobody's name.
    pub(crate) fn tell_of_its_ending(&self, params: &mut Facts) {
        if self.tail_lost_at.is_some() {
            params.set(HISTORY_LOST, true);
        }
        let Some(called_off) = self.called_off.filter(|_| self.state == CaseState::Cancelled) else {
            return;
        };
        params.set(CALLED_OFF_MS, called_off.at.0);
        params.set(BY_REQUESTER, called_off.by_requester);
        let mut ended: BTreeMap<&str, i64> = BTreeMap::new();
        let all = self.tasks.values().map(AsRef::as_ref);
        for task in all.filter(|t: &&Task| t.kind().spec().writes && !t.kind().is_beside()) {
            let word = match task.outcome() {
                Some(done @ (Outcome::Verified | Outcome::VerifiedByCounter | Outcome::Acknowledged)) => done.word(),
                None if task.was_ordered() => BEGUN,
                _ => continue,
            };
            *ended.entry(word).or_default() += 1;
        }
        for (word, n) in ended {
            params.set(&format!("{ENDED}{word}"), n);
        }
    }
}
