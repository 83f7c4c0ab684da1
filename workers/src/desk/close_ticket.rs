//! `desk.close_ticket`: the last word to the desk. A ticket that somebody has
//! closed is closed.

use super::ticket;
use crate::job::{Applied, Job, Seen};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::Answer;
use offboard_domain::{FaultClass, ObjectId};

pub(crate) struct CloseTicket;

#[async_trait]
impl Procedure for CloseTicket {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let (_, facts) = ticket(job).await?;
        Ok(Seen::facts(facts))
    }

    async fn apply(&self, job: &mut Job<'_>, _seen: &Seen) -> Answer<Applied> {
        let Some(id) = job.params.text(super::TICKET).map(ObjectId::from) else {
            return Err(job.fault(FaultClass::Rejected, "the assignment names no ticket; report this"));
        };
        job.desk()?.close(job.writing()?, &id).await?;
        Ok(Applied::All)
    }
}
