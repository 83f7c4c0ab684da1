//! Who leaves a tenant, of those who hold roles in it.
//!
//! Whoever leaves counts for nobody as one who still administers the tenant: else
//! each of two would go because the other is there. No single case sees that, so it
//! is remembered for the tenant, beside its gates, as `leaves/<case>/<system>/<id>`
//! and until when. A mark that holds for too long only asks a person.

use crate::assignment::Assignment;
use crate::case::Case;
use crate::catalogue::{Kind, LEAVING, MARKED};
use crate::task::Task;
use crate::time::{DAY_MS, HOUR_MS, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// What the name of every mark begins with.
pub const MARK: &str = "leaves/";

/// How long a mark holds from now, or from when he leaves. Whenever his case is looked
/// at, one that has half of it left is renewed; should that never happen, it ends.
const HOLDS_MS: i64 = 14 * DAY_MS;

/// From how long before he leaves he counts for nobody: who leaves in two months
/// administers until then, and nobody who is to go today waits for that.
const BEFORE_MS: i64 = DAY_MS;

/// How long it holds after his case: a directory may show for a while as his what an
/// attempt has just taken away.
const AFTER_END_MS: i64 = HOUR_MS;

/// What is to be remembered of an open case: his marks, and until when they hold.
#[must_use]
pub fn marks(case: &Case, now: Timestamp) -> BTreeMap<String, Timestamp> {
    if case.state.ended() || case.effective_at() > now.plus(BEFORE_MS) {
        return BTreeMap::new();
    }
    let until = now.max(case.effective_at()).plus(HOLDS_MS);
    let privileged = case
        .subject
        .0
        .iter()
        .filter(|(system, _)| case.had_roles.contains(*system));
    privileged
        .map(|(system, id)| (format!("{MARK}{}/{system}/{id}", case.id), until))
        .collect()
}

/// How the marks that there are differ from what is to be remembered of a case: until
/// when each is to hold; none: it goes.
#[must_use]
pub fn changes(
    case: &Case,
    there: &BTreeMap<String, Timestamp>,
    now: Timestamp,
) -> BTreeMap<String, Option<Timestamp>> {
    if !case.state.ended() {
        let mut wanted = marks(case, now);
        wanted.retain(|name, until| there.get(name).is_none_or(|known| known.plus(HOLDS_MS / 2) < *until));
        return wanted.into_iter().map(|(name, until)| (name, Some(until))).collect();
    }
    let own = format!("{MARK}{}/", case.id);
    let last = now.plus(AFTER_END_MS);
    let mut out = BTreeMap::new();
    for (name, until) in there.iter().filter(|(name, _)| name.starts_with(MARK)) {
        if *until <= now {
            out.insert(name.clone(), None);
        } else if name.starts_with(&own) && *until > last {
            out.insert(name.clone(), Some(last));
        }
    }
    out
}

/// Whether what was read for a task shows that he holds roles, of whatever sort: to mark
/// one who administers nothing does no harm, so what was read once counts. Who was given
/// one after he was recorded is found by whoever is to take it away, or to cut his access.
pub(crate) fn has_read_roles(task: &Task) -> bool {
    let reads = matches!(task.kind(), Kind::Resolve | Kind::SnapshotAccess) || looks_who_stays(task.kind());
    let mut read = [&task.before, &task.after, &task.seen].into_iter().flatten();
    reads
        && read.any(|seen| {
            let counted = seen.facts.int("role_count").is_some_and(|n| n > 0);
            counted || seen.facts.list("role_ids").is_some_and(|ids| !ids.is_empty())
        })
}

/// Whether a worker looks who else administers the tenant, or owns a group, before it writes.
fn looks_who_stays(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::RemoveDirectoryRoles
            | Kind::DisableSignIn
            | Kind::ResetPassword
            | Kind::HandOverGroups
            | Kind::RemoveGroupOwnerships
    )
}

/// In which system a mark's leaver is known, and by which id.
fn leaver(mark: &str) -> Option<(&str, &str)> {
    let (_, whom) = mark.strip_prefix(MARK)?.split_once('/')?;
    whom.split_once('/')
}

impl Assignment {
    /// Whether whoever carries it out looks who else administers the tenant, or owns a group.
    #[must_use]
    pub fn asks_who_stays(&self) -> bool {
        looks_who_stays(self.kind)
    }

    /// Tells whether he is marked, by his own marks. Who is told neither does as before
    /// there were marks: a dispatcher of an older version writes them and says nothing.
    pub fn tell_marked(&mut self, own: &BTreeMap<String, Timestamp>) {
        let system = self.target.system.as_str();
        let marked = own.keys().filter_map(|name| leaver(name)).any(|(of, _)| of == system);
        self.params.set(MARKED, marked);
    }

    /// Tells who leaves, too, by the marks that there are. It travels with the
    /// assignment and is in no stored task, so that no approval hangs on it.
    pub fn tell_who_leaves(&mut self, there: &BTreeMap<String, Timestamp>, now: Timestamp) {
        let system = self.target.system.as_str();
        let own = self.subject.0.get(&self.target.system).map(|id| id.0.as_str());
        let marks = there.iter().filter(|(_, until)| **until > now);
        let others: BTreeSet<&str> = marks
            .filter_map(|(name, _)| leaver(name))
            .filter(|(of, id)| *of == system && own != Some(*id))
            .map(|(_, id)| id)
            .collect();
        if !others.is_empty() {
            let others: Vec<String> = others.into_iter().map(str::to_owned).collect();
            self.params.set(LEAVING, others);
        }
    }
}
