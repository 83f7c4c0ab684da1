//! `identity.reset_password`.

use super::{observe_account, password, refuse_last_administrator_unless_gone};
use crate::job::{Applied, Job, Seen};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{AccountChange, Answer};
use offboard_domain::FaultClass;

pub(crate) struct ResetPassword;

#[async_trait]
impl Procedure for ResetPassword {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        observe_account(job).await
    }

    async fn apply(&self, job: &mut Job<'_>, _seen: &Seen) -> Answer<Applied> {
        let id = job.account()?;
        refuse_last_administrator_unless_gone(job).await?;
        let new = password::generate()
            .map_err(|_| job.fault(FaultClass::Transient, "the machine gave no random bytes for a password"))?;
        job.directory()?
            .set(job.writing()?, &id, &AccountChange::Password(new))
            .await?;
        Ok(Applied::All)
    }
}
