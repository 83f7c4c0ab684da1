//! `device.maintain_managed`: ours, and for as long as the device is being ended. What
//! another window silences is not shown, so it proves nothing; it is not replaced
//! either, but followed.

use super::{Whose, device, look, still_his};
use crate::job::{Applied, Job, Seen};
use crate::procedure::{Procedure, Wait, When};
use async_trait::async_trait;
use offboard_connectors::Answer;
use offboard_domain::time::{DAY_MS, HOUR_MS};
use offboard_domain::{Facts, Timestamp};

/// How long alerts are silenced: until a laptop has come back by post and was
/// wiped. One that stays longer is to be heard of again.
const SILENT_FOR_MS: i64 = 14 * DAY_MS;

/// How much of that must be left where it is set already: it was not set for this.
const SILENT_AT_LEAST_MS: i64 = SILENT_FOR_MS - DAY_MS;

/// How often it is looked whether somebody else's window is over.
const LOOK_AGAIN_MS: i64 = HOUR_MS;

const OTHERS_UNTIL_MS: &str = "others_until_ms";

pub(crate) struct MaintainManaged;

#[async_trait]
impl Procedure for MaintainManaged {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let Some((one, whose)) = look(job).await? else {
            return Ok(Seen::facts(Facts::new().with("object_exists", false)));
        };
        let now_ms = job.now_ms();
        let open = one.silence.filter(|window| window.until_ms > now_ms);
        let ours = open.filter(|window| window.ours);
        let enough = ours.is_some_and(|window| window.until_ms - now_ms >= SILENT_AT_LEAST_MS);
        let mut facts = Facts::new()
            .with("object_exists", true)
            .with("somebody_elses", whose == Whose::Anothers)
            .with("in_maintenance", enough);
        if let Some(window) = open {
            let name = if window.ours {
                "silent_until_ms"
            } else {
                OTHERS_UNTIL_MS
            };
            facts.set(name, window.until_ms);
        }
        Ok(Seen::facts(facts))
    }

    async fn apply(&self, job: &mut Job<'_>, _seen: &Seen) -> Answer<Applied> {
        still_his(job).await?;
        let (id, until_ms) = (device(job)?, job.now_ms().saturating_add(SILENT_FOR_MS));
        job.fleet()?.maintain(job.writing()?, &id, until_ms).await?;
        Ok(Applied::All)
    }

    fn wait(&self, job: &Job<'_>, seen: &Seen, when: When) -> Option<Wait> {
        let theirs_until = Timestamp(seen.facts.int(OTHERS_UNTIL_MS).filter(|_| when == When::Before)?);
        Some(Wait {
            until: theirs_until.min(job.call.now().plus(LOOK_AGAIN_MS)),
            why: "somebody else has a maintenance window open on the device, and the remote management does not say what it silences; ours follows it".to_owned(),
            remember: job.remembered.clone(),
        })
    }
}
