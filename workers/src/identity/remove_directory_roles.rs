//! `identity.remove_directory_roles`: every role, also those that a group gives,
//! and those that he is only eligible for: he would activate one later.

use super::{observe_roles, remove_held};
use crate::job::{Applied, Job, Seen, Things};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{Answer, Held};
use offboard_domain::FaultClass;

pub(crate) struct RemoveDirectoryRoles;

#[async_trait]
impl Procedure for RemoveDirectoryRoles {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let (roles, facts) = observe_roles(job).await?;
        Ok(Seen::with(facts, Things::Held(roles)))
    }

    async fn apply(&self, job: &mut Job<'_>, seen: &Seen) -> Answer<Applied> {
        // He may have become the last one since he was resolved.
        let last = |held: &Held| {
            matches!(
                held,
                Held::Role {
                    last_administrator: true,
                    ..
                }
            )
        };
        if seen.held().iter().any(last) {
            let detail = "no other enabled account administers the tenant; give somebody else the role, then retry";
            return Err(job.fault(FaultClass::Blocked, detail));
        }
        remove_held(job, seen.held()).await
    }
}
