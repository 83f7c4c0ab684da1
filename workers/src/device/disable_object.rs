//! `device.disable_object`. Weeks may lie between the discovery and this: right
//! before the write it is asked again whether somebody else uses the device.

use super::device;
use crate::job::{Applied, Job, Seen};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{Answer, DeviceAction};
use offboard_domain::{Facts, FaultClass};

pub(crate) struct DisableDeviceObject;

#[async_trait]
impl Procedure for DisableDeviceObject {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let device = device(job)?;
        let object = job.devices()?.object(&mut job.call, &device).await?;
        let mut facts = Facts::new().with("object_exists", object.is_some());
        if let Some(object) = object {
            facts.set("object_enabled", object.enabled);
            facts.set("synced", object.synced);
        }
        Ok(Seen::facts(facts))
    }

    async fn apply(&self, job: &mut Job<'_>, _seen: &Seen) -> Answer<Applied> {
        let device = device(job)?;
        let subject = job.account()?;
        if job.devices()?.used_by_another(&mut job.call, &device, &subject).await? {
            let detail = "somebody else uses the device; it was not disabled, decide by hand what becomes of it";
            return Err(job.fault(FaultClass::Blocked, detail));
        }
        job.devices()?
            .act(job.writing()?, &device, DeviceAction::DisableObject)
            .await?;
        Ok(Applied::All)
    }
}
