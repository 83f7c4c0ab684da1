//! The departure that follows a closed case when a waiver of it runs out: the
//! same person, told apart by the ids that were found then. Names and
//! addresses are given to somebody else after a while; ids are not.

use crate::case::Case;
use crate::catalogue::Kind;
use crate::departure::{Choices, Departure, Manner, PersonRef};
use crate::id::{ObjectId, TaskId};
use crate::keeping;
use crate::time::Timestamp;
use crate::unplanned;

/// What to submit when the waiver of a closed case's task has run out. It is
/// planned, whatever the first one was: nothing is urgent any more, so a
/// person approves before anything is written. None if the case never found
/// its person: then there is nothing that could be looked at again.
#[must_use]
pub fn follow_up(case: &Case, task: TaskId, now: Timestamp) -> Option<Departure> {
    let resolve = case.tasks.values().find(|t| t.kind() == Kind::Resolve)?;
    let id = case.subject.0.get(&resolve.planned.target.system)?;
    let by_id = |id: ObjectId, was: Option<&PersonRef>| PersonRef {
        object_id: Some(id),
        display_name: was.and_then(|p| p.display_name.clone()),
        ..PersonRef::default()
    };
    // What others sign in with was changed when he left: again only what he was let off.
    let waived = case
        .tasks
        .get(&task)
        .filter(|t| t.kind() == Kind::RotateSharedCredential);
    let again = waived.and_then(|t| t.planned.target.object.clone());
    // Where he has an account that somebody let be, nobody can read any more.
    let left = case.tasks.get(&task).and_then(|t| unplanned::left(case, t));
    let mut choices = Choices {
        shared_credentials: again.into_iter().map(|name| name.0).collect(),
        apps: left.into_iter().collect(),
        ..case.departure.choices.clone()
    };
    // What another request wanted kept is in no choice of this one.
    if let Some(task) = case.tasks.get(&task) {
        keeping::choose_again(task, &mut choices);
    }
    let successor = case.subject_facts.text("successor_id").map(ObjectId::from);
    Some(Departure {
        // The same for every repetition, so that it opens one case.
        reference: Some(format!("follow-up of {} {task}", case.id)),
        person: by_id(id.clone(), Some(&case.departure.person)),
        successor: successor.map(|id| by_id(id, case.departure.successor.as_ref())),
        manner: Manner::Planned,
        requested_at: now,
        effective_at: now,
        of_day: None,
        choices,
        ..(*case.departure).clone()
    })
}
