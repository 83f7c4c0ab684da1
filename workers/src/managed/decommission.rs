//! `device.decommission`, *once*: a record that says so, or one that is gone
//! after the finder had seen it, is the end state. The connector makes sure that
//! what says "gone" is the same company's management.

use super::{ORDERED_MS, Whose, device, look, no_longer_his, ordered_lately, surely_his};
use crate::attempt::ONCE_LOOK_AGAIN_MS;
use crate::job::{Applied, Job, Seen};
use crate::procedure::{Procedure, Wait, When};
use async_trait::async_trait;
use offboard_connectors::{Answer, EndpointStatus};
use offboard_domain::Facts;

pub(crate) struct Decommission;

#[async_trait]
impl Procedure for Decommission {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let Some((one, whose)) = look(job).await? else {
            let facts = Facts::new()
                .with("object_exists", false)
                .with("status", "gone")
                .with("decommissioned", true)
                .with("conclusive", true);
            return Ok(Seen::facts(facts));
        };
        let over = one.status == EndpointStatus::Decommissioned;
        let ordered = job.remembered.int(ORDERED_MS).is_some();
        let facts = Facts::new()
            .with("object_exists", true)
            .with("status", one.status.word())
            .with("decommissioned", over)
            .with("somebody_elses", whose == Whose::Anothers)
            .with("no_longer_his", no_longer_his(job, whose) && !ordered)
            // What was acknowledged and does not show is not ordered again by itself.
            .with("conclusive", over || !ordered);
        Ok(Seen::facts(facts))
    }

    async fn apply(&self, job: &mut Job<'_>, _seen: &Seen) -> Answer<Applied> {
        surely_his(job).await?;
        let id = device(job)?;
        let ordered_ms = job.now_ms();
        job.fleet()?.decommission(job.writing()?, &id).await?;
        job.remembered.set(ORDERED_MS, ordered_ms);
        Ok(Applied::All)
    }

    fn wait(&self, job: &Job<'_>, _seen: &Seen, when: When) -> Option<Wait> {
        (when != When::Closing && ordered_lately(job)).then(|| Wait {
            until: job.call.now().plus(ONCE_LOOK_AGAIN_MS),
            why: "the device was decommissioned, and its record does not say so yet".to_owned(),
            remember: job.remembered.clone(),
        })
    }
}
