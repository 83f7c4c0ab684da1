//! `device.maintain_managed`: a window that is open already is not replaced.

use super::{Whose, device, look, still_his};
use crate::job::{Applied, Job, Seen};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::Answer;
use offboard_domain::Facts;
use offboard_domain::time::DAY_MS;

/// How long alerts are silenced: until a laptop has come back by post and was
/// wiped. One that stays longer is to be heard of again.
const SILENT_FOR_MS: i64 = 14 * DAY_MS;

pub(crate) struct MaintainManaged;

#[async_trait]
impl Procedure for MaintainManaged {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let Some((one, whose)) = look(job).await? else {
            return Ok(Seen::facts(Facts::new().with("object_exists", false)));
        };
        let silent = one.silent_until_ms.is_some_and(|until| until > job.now_ms());
        let mut facts = Facts::new()
            .with("object_exists", true)
            .with("somebody_elses", whose == Whose::Anothers)
            .with("in_maintenance", silent);
        if let Some(until_ms) = one.silent_until_ms {
            facts.set("silent_until_ms", until_ms);
        }
        Ok(Seen::facts(facts))
    }

    async fn apply(&self, job: &mut Job<'_>, _seen: &Seen) -> Answer<Applied> {
        still_his(job).await?;
        let (id, until_ms) = (device(job)?, job.now_ms().saturating_add(SILENT_FOR_MS));
        job.fleet()?.maintain(job.writing()?, &id, until_ms).await?;
        Ok(Applied::All)
    }
}
