//! `identity.remove_app_roles`: application roles assigned to the account itself, and the
//! groups that give it some. Not those that bear licences, which the licence area leaves, nor
//! those that he leaves only by their rule or where they are mastered.

use super::{groups_that_give_applications, remove_held};
use crate::job::{Applied, Job, Seen, Things, ids};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{Answer, Group, Held, Holding, Removable};
use offboard_domain::Facts;

pub(crate) struct RemoveAppRoles;

#[async_trait]
impl Procedure for RemoveAppRoles {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let id = job.account()?;
        let directory = job.directory()?;
        let roles = directory.holdings(&mut job.call, &id, Holding::AppRoles).await?;
        let giving = groups_that_give_applications(job).await?;
        // He is in none of them where nothing is given.
        let mut groups = if giving.is_empty() {
            Vec::new()
        } else {
            directory.holdings(&mut job.call, &id, Holding::Memberships).await?
        };
        let is_left_here =
            |g: &Group| giving.contains(&g.id) && !g.bears_licences() && g.removable() == Removable::Directly;
        groups.retain(|h| h.group().is_some_and(is_left_here));
        let facts = Facts::new()
            .with("app_role_ids", ids(roles.iter().map(Held::id)))
            .with("app_group_ids", ids(groups.iter().map(Held::id)));
        let all = roles.into_iter().chain(groups).collect();
        Ok(Seen::with(facts, Things::Held(all)))
    }

    async fn apply(&self, job: &mut Job<'_>, seen: &Seen) -> Answer<Applied> {
        remove_held(job, seen.held()).await
    }
}
