//! `identity.remove_group_memberships`: each group as what it is. Groups that
//! bear licences are left to the licence area, which leaves them only when the
//! mailbox is proven kept; dynamic ones follow their rule, synchronised ones
//! the directory that masters them.

use super::remove_held;
use crate::job::{Applied, Job, Seen, Things, ids};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{Answer, Group, Held, Holding, Removable};
use offboard_domain::Facts;

pub(crate) struct RemoveGroupMemberships;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Nature {
    Licence,
    Dynamic,
    Synced,
    Removable,
}

fn nature(group: &Group) -> Nature {
    match group.removable() {
        _ if group.bears_licences() => Nature::Licence,
        Removable::ByItsRule => Nature::Dynamic,
        Removable::WhereItIsMastered => Nature::Synced,
        Removable::Directly => Nature::Removable,
    }
}

#[async_trait]
impl Procedure for RemoveGroupMemberships {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let id = job.account()?;
        let held = job
            .directory()?
            .holdings(&mut job.call, &id, Holding::Memberships)
            .await?;
        let of = |wanted: Nature| {
            ids(held
                .iter()
                .filter_map(Held::group)
                .filter(|g| nature(g) == wanted)
                .map(|g| &g.id))
        };
        let facts = Facts::new()
            .with("removable_group_ids", of(Nature::Removable))
            .with("dynamic_group_ids", of(Nature::Dynamic))
            .with("synced_group_ids", of(Nature::Synced))
            .with("licence_group_ids", of(Nature::Licence));
        Ok(Seen::with(facts, Things::Held(held)))
    }

    async fn apply(&self, job: &mut Job<'_>, seen: &Seen) -> Answer<Applied> {
        let removable = |h: &&Held| h.group().is_some_and(|g| nature(g) == Nature::Removable);
        let held: Vec<Held> = seen.held().iter().filter(removable).cloned().collect();
        remove_held(job, &held).await
    }
}
