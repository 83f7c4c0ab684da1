//! `device.mark_managed`.

use super::{Whose, device, look, still_his};
use crate::job::{Applied, Job, Seen};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{Answer, Mark};
use offboard_domain::catalogue::managed::MARK;
use offboard_domain::{Facts, FaultClass};

pub(crate) struct MarkManaged;

fn mark(job: &Job<'_>) -> Answer<Mark> {
    let word = job.params.text(MARK).and_then(Mark::named);
    word.ok_or_else(|| job.fault(FaultClass::Rejected, "the task says no mark that is known; report this"))
}

#[async_trait]
impl Procedure for MarkManaged {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let (id, mark) = (device(job)?, mark(job)?);
        let Some((_, whose)) = look(job).await? else {
            return Ok(Seen::facts(Facts::new().with("object_exists", false)));
        };
        let marking = job.fleet()?.marking(&mut job.call, &id, mark).await?;
        let facts = Facts::new()
            .with("object_exists", true)
            .with("somebody_elses", whose == Whose::Anothers)
            .with("marked", marking.whole)
            .with("tag_ids", marking.tag_ids);
        Ok(Seen::facts(facts))
    }

    async fn apply(&self, job: &mut Job<'_>, _seen: &Seen) -> Answer<Applied> {
        still_his(job).await?;
        let (id, mark) = (device(job)?, mark(job)?);
        job.fleet()?.mark(job.writing()?, &id, mark).await?;
        Ok(Applied::All)
    }
}
