//! `device.unassign_autopilot`.

use super::device;
use crate::job::{Applied, Job, Seen};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{Answer, DeviceAction};
use offboard_domain::Facts;

pub(crate) struct UnassignAutopilot;

#[async_trait]
impl Procedure for UnassignAutopilot {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let device = device(job)?;
        let enrolled = job.devices()?.autopilot(&mut job.call, &device).await?;
        let facts = Facts::new()
            .with("autopilot_record", enrolled.is_some())
            .with("autopilot_assigned", enrolled.is_some_and(|a| a.assigned));
        Ok(Seen::facts(facts))
    }

    async fn apply(&self, job: &mut Job<'_>, _seen: &Seen) -> Answer<Applied> {
        let device = device(job)?;
        job.devices()?
            .act(job.writing()?, &device, DeviceAction::UnassignAutopilot)
            .await?;
        Ok(Applied::All)
    }
}
