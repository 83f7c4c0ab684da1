//! Several requests for one person: the first that is planned does the work, and
//! what the others ask for is asked for there. None of them is lost: when the
//! first is called off, the others go on by themselves.

use super::Draft;
use crate::case::CaseState;
use crate::catalogue::{Approval, Kind};
use crate::command::Refusal;
use crate::departure::Departure;
use crate::event::Event;
use crate::id::CaseId;
use crate::judge::{Verdict, judge};
use crate::keeping;
use crate::observation::{Facts, Observation};
use crate::task::{Outcome, Task};
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
        let mut brings = keeping::brings(&self.case, case, &departure);
        match self.case.state {
            // An account that is being made is made anew: it says who asked, and what was
            // asked is not known from elsewhere when it is lost.
            CaseState::Active | CaseState::Closing | CaseState::Sealing => {}
            // It is let go of, and goes on by itself.
            CaseState::Cancelling => brings.clear(),
            // All that it could ask for is done and proven; what is not, it does itself.
            CaseState::Closed if brings.is_empty() => return Ok(()),
            ref other => return Err(Refusal::TakesNoRequest(other.word())),
        }
        let known = self.case.joined.get(&case);
        let newer = known.is_none_or(|k| k.asked_at <= asked_at);
        let other = known.is_none_or(|k| k.asked.as_ref() != Some(&departure) || k.amended_by != amended_by);
        if newer && other {
            let late = brings.iter().filter(|t| self.breaks_order(t)).map(|t| t.id).collect();
            let more = brings.iter().any(|t| t.kind.spec().approval != Approval::None);
            self.push(Event::RequestJoined {
                case,
                asked_at,
                departure,
                amended_by,
                tasks: brings,
                late,
            });
            if more {
                self.ask_again("another request asks for more than was approved");
            }
            self.ask_again_if_sooner();
        }
        Ok(())
    }

    pub(super) fn leave(&mut self, case: CaseId, asked_at: Timestamp) {
        let known = self.case.joined.get(&case);
        if known.is_some_and(|k| k.asked.is_some() && k.asked_at <= asked_at) {
            self.push(Event::RequestLeft { case, asked_at });
            self.ask_nobody_for(case);
        }
    }

    /// Nobody is asked any more about what a request wanted kept that is called off. What
    /// a machine was to keep for it stays in the plan: it is kept, or a person decides.
    fn ask_nobody_for(&mut self, case: CaseId) {
        if !matches!(self.case.state, CaseState::Active | CaseState::Closing) {
            return;
        }
        let open = |t: &Task| !t.is_settled() || t.is_waived();
        let asked = |t: &&Arc<Task>| open(t) && keeping::asked_by(t) == Some(case);
        let tasks: Vec<Arc<Task>> = self.case.tasks.values().filter(asked).cloned().collect();
        for task in tasks {
            let seen = Observation {
                read_at: self.now,
                sources: vec![case.to_string()],
                facts: Facts::new().with(keeping::ASKED, false),
            };
            let Verdict::NotApplicable(reason) = judge(task.kind(), &task.planned.params, &seen.facts, None) else {
                continue;
            };
            self.push(Event::TaskSettled {
                task: task.id(),
                attempt: task.attempt,
                outcome: Outcome::NotApplicable {
                    reason: reason.to_owned(),
                },
                before: Some(Arc::new(seen)),
                after: None,
                receipts: Vec::new(),
                artifacts: Vec::new(),
                report: None,
            });
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
