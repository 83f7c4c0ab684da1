//! `identity.suspend_in_workspace`, `identity.suspend_at_once`.

use super::{change, observe_account};
use crate::job::{Applied, Job, Seen};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{Answer, MemberChange};

pub(crate) struct Suspend;

#[async_trait]
impl Procedure for Suspend {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        observe_account(job, |_, _| ()).await
    }

    async fn apply(&self, job: &mut Job<'_>, seen: &Seen) -> Answer<Applied> {
        change(job, seen, &MemberChange::Suspend).await?;
        Ok(Applied::All)
    }
}
