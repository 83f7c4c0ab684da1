//! Several requests for one person: the first that is planned does the work, and
//! what the others ask for is asked for there. None of them is lost: when the
//! first is called off, the others go on by themselves.

use super::Draft;
use crate::case::CaseState;
use crate::catalogue::Kind;
use crate::command::Refusal;
use crate::departure::Departure;
use crate::event::Event;
use crate::id::CaseId;
use crate::time::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;

impl Draft<'_> {
    pub(super) fn join(
        &mut self,
        case: CaseId,
        asked_at: Timestamp,
        departure: Arc<Departure>,
        amended_by: BTreeSet<String>,
    ) -> Result<(), Refusal> {
        match self.case.state {
            CaseState::Active | CaseState::Closing | CaseState::Cancelling => {}
            // All that it could ask for is done and proven.
            CaseState::Sealing | CaseState::Closed => return Ok(()),
            ref other => return Err(Refusal::TakesNoRequest(other.word())),
        }
        let known = self.case.joined.get(&case);
        let newer = known.is_none_or(|k| k.asked_at <= asked_at);
        let other = known.is_none_or(|k| k.asked.as_ref() != Some(&departure) || k.amended_by != amended_by);
        if newer && other {
            self.push(Event::RequestJoined {
                case,
                asked_at,
                departure,
                amended_by,
            });
            self.ask_again_if_sooner();
        }
        Ok(())
    }

    pub(super) fn leave(&mut self, case: CaseId, asked_at: Timestamp) {
        let known = self.case.joined.get(&case);
        if known.is_some_and(|k| k.asked.is_some() && k.asked_at <= asked_at) {
            self.push(Event::RequestLeft { case, asked_at });
        }
    }

    /// What has changed since it was told is told again.
    pub(super) fn acknowledge_merge(&mut self, into: CaseId, known: Option<&Departure>) {
        let asked = self.case.asks_there().map(AsRef::as_ref);
        if self.case.tells() == Some(into) && asked == known {
            self.push(Event::MergeAcknowledged { into });
        }
    }

    pub(super) fn undo_merge(&mut self, into: CaseId) {
        if self.case.state == (CaseState::Merged { into }) {
            self.push(Event::MergeUndone { into });
        }
    }

    /// An approval holds from the time on that it names: for anything sooner a
    /// person is asked again.
    pub(super) fn ask_again_if_sooner(&mut self) {
        let Some(approved) = &self.case.plan_approval else {
            return;
        };
        let (from, wanted) = (approved.from, self.case.effective_at());
        let sooner = wanted < from && self.now < from && self.case.state == CaseState::Active;
        let settled = self
            .case
            .tasks
            .values()
            .find(|t| t.kind() == Kind::ApprovePlan && t.is_settled());
        let Some(task) = settled.filter(|_| sooner).map(|t| t.id()) else {
            return;
        };
        self.push(Event::TaskReopened {
            task,
            why: format!("it was approved from {from} on, and is to be done from {wanted} on"),
        });
    }
}
