//! What a person is asked, and need not be any more: what a request wanted kept that was
//! called off since, what somebody was to tell who goes at once by now, and what is to be
//! set of a mailbox that turns out not to be there.

use super::Draft;
use crate::case::{Case, CaseState};
use crate::catalogue::{GOES_AT_ONCE, Kind, MAILBOX_EXISTS};
use crate::event::Event;
use crate::judge::{Verdict, judge};
use crate::keeping;
use crate::observation::{Facts, Observation};
use crate::task::{Outcome, Task};
use std::sync::Arc;

impl Draft<'_> {
    /// Whether he is still asked or goes without for a while. A round under way, and an
    /// account that is being made, stay as they are: nothing is settled after what was
    /// read last, and no case that follows takes it up either. What a machine was to keep
    /// stays in the plan: it is kept, or a person decides.
    pub(super) fn ask_no_more(&mut self) {
        let asked = [
            Kind::DecidePreservation,
            Kind::HoldKnowledgeSession,
            Kind::ConfirmSharedOnPremises,
        ];
        if self.case.state != CaseState::Active || !asked.iter().any(|kind| self.case.has(*kind)) {
            return;
        }
        let open = |t: &&Arc<Task>| asked.contains(&t.kind()) && (!t.is_settled() || t.is_waived());
        let open = self.case.tasks.values().filter(open);
        let needless: Vec<(Arc<Task>, Facts)> = open
            .filter_map(|t| Some((t.clone(), why_needless(&self.case, t)?)))
            .collect();
        for (task, facts) in needless {
            let seen = Observation {
                read_at: self.now,
                sources: vec![self.case.id.to_string()],
                facts,
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
}

/// What makes it needless; none: it is not.
fn why_needless(case: &Case, task: &Task) -> Option<Facts> {
    if task.kind() == Kind::ConfirmSharedOnPremises {
        let mut all = case.tasks.values().filter(|t| t.kind() == Kind::ConvertToShared);
        let none = all.all(|t| matches!(t.outcome(), Some(Outcome::NotApplicable { .. })));
        return none.then(|| Facts::new().with(MAILBOX_EXISTS, false));
    }
    if task.kind() == Kind::HoldKnowledgeSession {
        return case.urgent().then(|| Facts::new().with(GOES_AT_ONCE, true));
    }
    case.is_asked_no_more(task)
        .then(|| Facts::new().with(keeping::ASKED, false))
}
