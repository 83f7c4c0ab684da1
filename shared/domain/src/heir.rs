//! Whether whoever takes over leaves himself. It holds nothing up: what he is given is
//! looked at again where he leaves, but nobody who was told of both on one list would
//! choose him. See `docs/decisions/0036-who-takes-over-is-looked-at-again.md`.

use crate::case::Case;
use crate::catalogue::Kind;
use crate::departure::{Departure, PersonRef};
use crate::policy::{Policy, SuccessorRule};
use crate::task::Task;

/// The kinds that give the successor something, by what the directory says of him.
pub(crate) const BY_THE_DIRECTORY: [Kind; 5] = [
    Kind::SetForwarding,
    Kind::HandOverGroups,
    Kind::HandOverMeetings,
    Kind::GrantSuccessorMailbox,
    Kind::HandOverOneDrive,
];

/// Those that do so by what a workspace says of him.
pub(crate) const BY_A_WORKSPACE: [Kind; 4] = [
    Kind::SetForwardingInWorkspace,
    Kind::GrantMailInWorkspace,
    Kind::TransferFiles,
    Kind::HandOverSharedDrives,
];

/// Whom this task gives something; none: it gives nobody anything.
#[must_use]
pub fn given_to(task: &Task) -> Option<&str> {
    let params = &task.planned.params;
    let gives = BY_THE_DIRECTORY.contains(&task.kind()) || BY_A_WORKSPACE.contains(&task.kind());
    let to = params.text("successor_id").or_else(|| params.text("forward_to_id"));
    to.filter(|_| gives)
}

/// Who is named to take over: by the request, or by the policy.
#[must_use]
pub fn named<'a>(departure: &'a Departure, policy: &'a Policy) -> Option<&'a PersonRef> {
    match (&departure.successor, &policy.successor) {
        (Some(named), _) | (None, SuccessorRule::Named(named)) => Some(named),
        (None, SuccessorRule::Manager | SuccessorRule::Nobody) => None,
    }
}

/// Whether the departure of this open case is that of whoever is named here.
#[must_use]
pub fn is_leaving(named: &PersonRef, other: &Case) -> bool {
    if other.state.ended() {
        return false;
    }
    let found = PersonRef {
        user_principal_name: other.subject_facts.text("user_principal_name").map(str::to_owned),
        ..PersonRef::default()
    };
    let by_name = named.shares_a_name_with(&other.departure.person) || named.shares_a_name_with(&found);
    let id = named.object_id.as_ref();
    by_name || id.is_some_and(|id| other.subject.0.values().any(|theirs| theirs == id))
}

/// Whether whoever takes over in the one case leaves in the other one, by his names or by
/// the ids that the systems gave.
#[must_use]
pub fn leaves_too(case: &Case, other: &Case) -> bool {
    if other.id == case.id || other.state.ended() {
        return false;
    }
    let finders = case.tasks.values().filter(|t| t.kind() == Kind::Resolve);
    let mut found = finders.filter_map(|t| {
        let heir = t.after.as_ref()?.facts.text("successor_id")?;
        Some((&t.planned.target.system, heir))
    });
    let by_id = found.any(|(system, heir)| other.subject.0.get(system).is_some_and(|id| id.0 == heir));
    by_id || named(&case.departure, &case.policy).is_some_and(|named| is_leaving(named, other))
}
