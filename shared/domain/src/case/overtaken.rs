//! What is under way while that is done which it must follow. Whether its write came before
//! or after, nobody can say, and a counter that moved tells nothing of it: so it is noted
//! here, and done once more when it is settled. What was settled by then, `decide` has done
//! again itself. See `docs/decisions/0023-sessions-do-not-wait-for-a-person.md`.

use super::Case;
use crate::catalogue::Proof;
use crate::id::TaskId;
use crate::task::Task;
use crate::time::Timestamp;
use std::sync::Arc;

impl Case {
    /// Notes what this, which was done just now, has overtaken: what went ahead of it and, where
    /// something did, what is always done again after it.
    pub(super) fn overtake_what_is_under_way(&mut self, done: TaskId, at: Timestamp) {
        let Some(task) = self.tasks.get(&done) else { return };
        let (kind, system) = (task.kind(), task.planned.target.system.clone());
        let went_ahead = |t: &Arc<Task>| t.kind().spec().goes_ahead_of(kind);
        let begun = |t: &&Arc<Task>| {
            let there = t.planned.target.system == system;
            there && (t.is_under_way() || t.is_settled() && !t.is_waived())
        };
        // Without that, nothing needs to follow it again: it was done in its order.
        if !self.tasks.values().filter(begun).any(went_ahead) {
            return;
        }
        let follows = |t: &&Arc<Task>| went_ahead(t) || kind.spec().redo.contains(&t.kind());
        let under_way = self.tasks.values().filter(begun).filter(|t| t.is_under_way());
        // What is read at the end holds after both, whichever came first. But who finds reads what
        // he was told to when it was ordered, and not what that has found since.
        let unread = |t: &&Arc<Task>| {
            let spec = t.kind().spec();
            spec.proof != Proof::Read || !spec.finds.is_empty()
        };
        let overtaken: Vec<TaskId> = under_way.filter(follows).filter(unread).map(|t| t.id()).collect();
        for id in overtaken {
            self.change(id, at, |t| t.overtaken = true);
        }
    }
}
