//! `identity.hide_on_premises`.

use super::object;
use crate::job::{Applied, Job, Seen};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::Answer;
use offboard_domain::Facts;

pub(crate) struct HideOnPremises;

#[async_trait]
impl Procedure for HideOnPremises {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let id = object(job)?;
        let footing = job.premises()?.footing(&mut job.call, &id).await?;
        let facts = Facts::new()
            .with("hidden", footing.hidden == Some(true))
            .with("can_be_hidden", footing.hidden.is_some());
        Ok(Seen::facts(facts))
    }

    async fn apply(&self, job: &mut Job<'_>, _seen: &Seen) -> Answer<Applied> {
        let id = object(job)?;
        job.premises()?.hide(job.writing()?, &id).await?;
        Ok(Applied::All)
    }
}
