//! `identity.remove_directory_roles`: every role, also those that a group gives,
//! and those that he is only eligible for: he would activate one later.

use super::{observe_roles, refuse_last_administrator, remove_held};
use crate::job::{Applied, Job, Seen, Things};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::Answer;

pub(crate) struct RemoveDirectoryRoles;

#[async_trait]
impl Procedure for RemoveDirectoryRoles {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let (roles, facts) = observe_roles(job).await?;
        Ok(Seen::with(facts, Things::Held(roles)))
    }

    async fn apply(&self, job: &mut Job<'_>, seen: &Seen) -> Answer<Applied> {
        refuse_last_administrator(job, seen.held())?;
        remove_held(job, seen.held()).await
    }
}
