//! `identity.disable_sign_in`.

use super::{observe_account, refuse_last_administrator_unless_gone};
use crate::job::{Applied, Job, Seen};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{AccountChange, Answer};

pub(crate) struct DisableSignIn;

#[async_trait]
impl Procedure for DisableSignIn {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        observe_account(job).await
    }

    async fn apply(&self, job: &mut Job<'_>, _seen: &Seen) -> Answer<Applied> {
        let id = job.account()?;
        refuse_last_administrator_unless_gone(job).await?;
        job.directory()?
            .set(job.writing()?, &id, &AccountChange::Disable)
            .await?;
        Ok(Applied::All)
    }
}
