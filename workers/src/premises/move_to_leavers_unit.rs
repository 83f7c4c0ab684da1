//! `identity.move_to_leavers_unit`.

use super::object;
use crate::job::{Applied, Job, Seen};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::Answer;
use offboard_domain::Facts;

pub(crate) struct MoveToLeaversUnit;

#[async_trait]
impl Procedure for MoveToLeaversUnit {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let id = object(job)?;
        let footing = job.premises()?.footing(&mut job.call, &id).await?;
        // Without a place for them nobody is there.
        let there = footing.among_leavers == Some(true);
        Ok(Seen::facts(Facts::new().with("among_leavers", there)))
    }

    async fn apply(&self, job: &mut Job<'_>, _seen: &Seen) -> Answer<Applied> {
        let id = object(job)?;
        job.premises()?.move_to_leavers(job.writing()?, &id).await?;
        Ok(Applied::All)
    }
}
