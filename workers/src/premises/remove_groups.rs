//! `identity.remove_groups_on_premises`. Groups that administer the domain are
//! left to people.

use super::object;
use crate::job::{Applied, Items, Job, Seen, Things, ids};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{Answer, Group, Held, Holding};
use offboard_domain::Facts;

pub(crate) struct RemoveGroupsOnPremises;

fn is_protected(group: &Group) -> bool {
    group.role_assignable
}

#[async_trait]
impl Procedure for RemoveGroupsOnPremises {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let id = object(job)?;
        let directory = job.directory()?;
        let held = directory.holdings(&mut job.call, &id, Holding::Memberships).await?;
        let of = |protected: bool| {
            let groups = held.iter().filter_map(Held::group);
            ids(groups.filter(|g| is_protected(g) == protected).map(|g| &g.id))
        };
        let facts = Facts::new()
            .with("removable_group_ids", of(false))
            .with("protected_group_ids", of(true));
        Ok(Seen::with(facts, Things::Held(held)))
    }

    async fn apply(&self, job: &mut Job<'_>, seen: &Seen) -> Answer<Applied> {
        let id = object(job)?;
        let directory = job.directory()?;
        let mut items = Items::default();
        for held in seen.held() {
            if held.group().is_none_or(is_protected) {
                continue;
            }
            if !items.go_on(job) {
                break;
            }
            let done = directory.remove(job.writing()?, &id, held).await;
            items.note(done)?;
        }
        items.end()
    }
}
