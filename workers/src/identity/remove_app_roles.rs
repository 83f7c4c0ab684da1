//! `identity.remove_app_roles`: application roles assigned to the account itself.

use super::{observe_held, remove_held};
use crate::job::{Applied, Job, Seen};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{Answer, Holding};

pub(crate) struct RemoveAppRoles;

#[async_trait]
impl Procedure for RemoveAppRoles {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        observe_held(job, Holding::AppRoles, "app_role_ids").await
    }

    async fn apply(&self, job: &mut Job<'_>, seen: &Seen) -> Answer<Applied> {
        remove_held(job, seen.held()).await
    }
}
