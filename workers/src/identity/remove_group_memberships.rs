//! `identity.remove_group_memberships`: each group as what it is. Groups that
//! bear licences are left to the licence area, which leaves them only when the
//! mailbox is proven kept, those that give applications to `identity.remove_app_roles`
//! where that is ordered too; dynamic ones follow their rule, synchronised ones the directory
//! that masters them.

use super::{groups_that_give_applications, remove_held};
use crate::job::{Applied, Job, Seen, Things, ids};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{Answer, Group, Held, Holding, Removable};
use offboard_domain::catalogue::APP_GROUPS_LATER;
use offboard_domain::{Facts, ObjectId};
use std::collections::BTreeSet;

pub(crate) struct RemoveGroupMemberships;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Nature {
    Licence,
    Dynamic,
    Synced,
    Application,
    Removable,
}

/// What a group is, where these give applications.
fn nature(group: &Group, giving: &BTreeSet<ObjectId>) -> Nature {
    match group.removable() {
        _ if group.bears_licences() => Nature::Licence,
        Removable::ByItsRule => Nature::Dynamic,
        Removable::WhereItIsMastered => Nature::Synced,
        Removable::Directly if giving.contains(&group.id) => Nature::Application,
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
        // Else nobody would take him out of them later.
        let giving = if job.params.bool(APP_GROUPS_LATER) == Some(true) {
            groups_that_give_applications(job).await?
        } else {
            BTreeSet::new()
        };
        let of = |wanted: Nature| {
            ids(held
                .iter()
                .filter_map(Held::group)
                .filter(|g| nature(g, &giving) == wanted)
                .map(|g| &g.id))
        };
        let facts = Facts::new()
            .with("removable_group_ids", of(Nature::Removable))
            .with("dynamic_group_ids", of(Nature::Dynamic))
            .with("synced_group_ids", of(Nature::Synced))
            .with("licence_group_ids", of(Nature::Licence))
            .with("app_group_ids", of(Nature::Application));
        let is_removable = |h: &Held| h.group().is_some_and(|g| nature(g, &giving) == Nature::Removable);
        let removable: Vec<Held> = held.iter().filter(|h| is_removable(h)).cloned().collect();
        Ok(Seen::with(facts, Things::Held(removable)))
    }

    async fn apply(&self, job: &mut Job<'_>, seen: &Seen) -> Answer<Applied> {
        remove_held(job, seen.held()).await
    }
}
