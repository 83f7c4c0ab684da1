//! `device.disable_computer`.

use super::object;
use crate::job::{Applied, Job, Seen};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::Answer;
use offboard_domain::Facts;
use offboard_domain::catalogue::premises::LISTED;

pub(crate) struct DisableComputer;

#[async_trait]
impl Procedure for DisableComputer {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let id = object(job)?;
        let computer = job.premises()?.computer(&mut job.call, &id).await?;
        let mut facts = Facts::new().with("object_exists", computer.is_some());
        if let Some(computer) = computer {
            facts.set("object_enabled", computer.enabled);
        }
        if let Some(listed) = job.params.bool(LISTED) {
            facts.set(LISTED, listed);
        }
        Ok(Seen::facts(facts))
    }

    async fn apply(&self, job: &mut Job<'_>, _seen: &Seen) -> Answer<Applied> {
        let id = object(job)?;
        job.premises()?.disable_computer(job.writing()?, &id).await?;
        Ok(Applied::All)
    }
}
