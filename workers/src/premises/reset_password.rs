//! `identity.reset_password_on_premises`.

use super::{object, observe_account};
use crate::identity::password;
use crate::job::{Applied, Job, Seen};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{AccountChange, Answer};
use offboard_domain::FaultClass;

pub(crate) struct ResetPasswordOnPremises;

#[async_trait]
impl Procedure for ResetPasswordOnPremises {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        observe_account(job).await
    }

    async fn apply(&self, job: &mut Job<'_>, _seen: &Seen) -> Answer<Applied> {
        let id = object(job)?;
        let new = password::generate()
            .map_err(|_| job.fault(FaultClass::Transient, "the machine gave no random bytes for a password"))?;
        job.directory()?
            .set(job.writing()?, &id, &AccountChange::Password(new))
            .await?;
        Ok(Applied::All)
    }
}
