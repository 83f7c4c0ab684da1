//! `device.clear_managed_owner`: only while it is his.

use super::{Whose, device, look};
use crate::job::{Applied, Job, Seen};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::Answer;
use offboard_domain::{Facts, FaultClass};

pub(crate) struct ClearManagedOwner;

#[async_trait]
impl Procedure for ClearManagedOwner {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let Some((_, whose)) = look(job).await? else {
            return Ok(Seen::facts(Facts::new().with("object_exists", false)));
        };
        let facts = Facts::new().with("object_exists", true).with("owner", whose.word());
        Ok(Seen::facts(facts))
    }

    async fn apply(&self, job: &mut Job<'_>, _seen: &Seen) -> Answer<Applied> {
        match look(job).await? {
            Some((_, Whose::His)) => {}
            Some((_, Whose::Nobodys)) | None => return Ok(Applied::All),
            Some((_, Whose::Anothers)) => {
                let detail = "somebody else was given the device just now; it is read again";
                return Err(job.fault(FaultClass::Transient, detail));
            }
        }
        let id = device(job)?;
        job.fleet()?.clear_owner(job.writing()?, &id).await?;
        Ok(Applied::All)
    }
}
