//! Who takes over, looked at once more when the departure's time has come: the manager
//! that the directory names may be another one by then. See
//! `docs/decisions/0036-who-takes-over-is-looked-at-again.md`.

use super::Draft;
use crate::catalogue::Kind;
use crate::event::Event;
use crate::fault::Rule;
use crate::heir::{BY_THE_DIRECTORY, given_to};
use crate::id::TaskId;
use crate::policy::SuccessorRule;
use crate::task::{Task, TaskState};
use std::sync::Arc;

impl Draft<'_> {
    /// What was planned for a manager who is none any more is given to nobody before a
    /// person has decided: whom it goes to stands in tasks that were approved by their
    /// digests. Where he was given something already, he keeps taking over.
    pub(super) fn look_who_takes_over(&mut self, read: TaskId) {
        let follows_the_manager =
            self.case.departure.successor.is_none() && self.case.policy.successor == SuccessorRule::Manager;
        let Some((was, now, heir)) = self.managers(read).filter(|_| follows_the_manager) else {
            return;
        };
        if now.as_ref() == Some(&was) {
            return;
        }
        // Who owns no group has none to hand over, and all his groups wait for that.
        let read_now = self.case.tasks.get(&read).and_then(|t| t.after.as_ref());
        let owns_none = read_now.is_some_and(|seen| seen.facts.int("owned_count") == Some(0));
        let gives_nothing = |kind: Kind| owns_none && kind == Kind::HandOverGroups;
        // A workspace names managers of its own.
        let gives = |t: &&Arc<Task>| {
            let by_the_directory = BY_THE_DIRECTORY.contains(&t.kind()) && !gives_nothing(t.kind());
            by_the_directory && given_to(t) == Some(heir.as_str())
        };
        let gifts: Vec<Arc<Task>> = self.case.tasks.values().filter(gives).cloned().collect();
        // Only of a gift that is known to have been ordered: a history that is lost may have had
        // any, and then a person can tell better than a guess whom it is to go to.
        if gifts.iter().any(|gift| gift.was_ordered()) {
            return;
        }
        let named = now.as_deref().unwrap_or("nobody");
        for task in gifts.into_iter().filter(|t| matches!(t.state, TaskState::Pending)) {
            self.push(Event::TaskFailed {
                task: task.id(),
                attempt: task.attempt,
                rule: Rule::BlockedByPolicy,
                detail: format!(
                    "the directory named {heir} as the manager when this was planned, who was to take over, and names {named} now; retry gives it to the earlier one all the same, or cancel and hand the departure in under a new reference with the successor in it"
                ),
                fault: None,
                seen: None,
                receipts: Vec::new(),
                artifacts: Vec::new(),
                checkpoint: None,
                report: None,
            });
        }
    }

    /// Whom the directory named as the manager when he was found, whom it names in this
    /// reading, and who was to take over. None: nothing can be said of it.
    fn managers(&self, read: TaskId) -> Option<(String, Option<String>, String)> {
        let read = self.case.tasks.get(&read)?;
        let system = &read.planned.target.system;
        let mut all = self.case.tasks.values();
        let found = all.find(|t| t.kind() == Kind::Resolve && t.planned.target.system == *system)?;
        let found = &found.after.as_ref()?.facts;
        let was = found.text("manager_id")?.to_owned();
        let heir = found.text("successor_id")?.to_owned();
        let now = read.after.as_ref()?.facts.text("manager_id").map(str::to_owned);
        Some((was, now, heir))
    }
}
