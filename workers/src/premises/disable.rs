//! `identity.disable_on_premises`.

use super::{object, observe_account};
use crate::job::{Applied, Job, Seen};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{AccountChange, Answer};

pub(crate) struct DisableOnPremises;

#[async_trait]
impl Procedure for DisableOnPremises {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        observe_account(job).await
    }

    async fn apply(&self, job: &mut Job<'_>, _seen: &Seen) -> Answer<Applied> {
        let id = object(job)?;
        job.directory()?
            .set(job.writing()?, &id, &AccountChange::Disable)
            .await?;
        Ok(Applied::All)
    }
}
