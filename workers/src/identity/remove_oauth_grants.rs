//! `identity.remove_oauth_grants`: consents that this person alone gave to applications.

use super::{observe_held, remove_held};
use crate::job::{Applied, Job, Seen};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{Answer, Holding};

pub(crate) struct RemoveOauthGrants;

#[async_trait]
impl Procedure for RemoveOauthGrants {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        observe_held(job, Holding::Grants, "grant_ids").await
    }

    async fn apply(&self, job: &mut Job<'_>, seen: &Seen) -> Answer<Applied> {
        remove_held(job, seen.held()).await
    }
}
