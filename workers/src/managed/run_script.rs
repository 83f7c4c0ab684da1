//! `device.run_managed_script`, *once*: the task's id is the marker that goes
//! along, and that the script writes when it is done.
//!
//! | read | means |
//! |---|---|
//! | our marker is in the field | done |
//! | our marker, and that it failed | a person looks |
//! | a job or an activity has our marker | it is awaited: a device may be off for days |
//! | no script at all has run since the device was found, and none of ours was acknowledged | it did not happen: conclusive |
//! | ours was acknowledged, and shows nowhere | wait an hour; then a person looks |
//! | some script has run, and it cannot be told whose | if ours may have been sent, a person looks |

use super::{ORDERED_MS, Whose, device, look, no_longer_his, ordered_lately, surely_his};
use crate::attempt::ONCE_LOOK_AGAIN_MS;
use crate::job::{Applied, Job, Seen};
use crate::procedure::{Procedure, Wait, When};
use async_trait::async_trait;
use offboard_connectors::{Answer, ScriptRun};
use offboard_domain::catalogue::managed::FOUND_MS;
use offboard_domain::time::MINUTE_MS;
use offboard_domain::{Facts, TaskId};

/// How often a device that has the order is looked at.
const LOOK_AGAIN_MS: i64 = 10 * MINUTE_MS;

const STATE: &str = "script_state";

pub(crate) struct RunManagedScript;

fn marker(job: &Job<'_>) -> String {
    let target = job.target;
    TaskId::derive(job.case, job.kind.name(), &target.system, target.object.as_ref()).to_string()
}

#[async_trait]
impl Procedure for RunManagedScript {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let (id, marker) = (device(job)?, marker(job));
        let Some((_, whose)) = look(job).await? else {
            return Ok(Seen::facts(Facts::new().with("object_exists", false)));
        };
        let since_ms = job.params.int(FOUND_MS);
        let run = job.fleet()?.script(&mut job.call, &id, &marker, since_ms).await?;
        let sent = job.remembered.int(ORDERED_MS).is_some();
        let conclusive = match run {
            ScriptRun::Done | ScriptRun::Failed => true,
            ScriptRun::None => !sent,
            ScriptRun::UnderWay | ScriptRun::Unclear => false,
        };
        let facts = Facts::new()
            .with("object_exists", true)
            .with("somebody_elses", whose == Whose::Anothers)
            // What was ordered while it was his is awaited, whosever it is by now.
            .with(
                "no_longer_his",
                no_longer_his(job, whose) && !sent && run != ScriptRun::UnderWay,
            )
            .with(STATE, run.word())
            .with("script_done", run == ScriptRun::Done)
            .with("conclusive", conclusive);
        Ok(Seen::facts(facts))
    }

    async fn apply(&self, job: &mut Job<'_>, _seen: &Seen) -> Answer<Applied> {
        surely_his(job).await?;
        let (id, marker) = (device(job)?, marker(job));
        let ordered_ms = job.now_ms();
        job.fleet()?.run_script(job.writing()?, &id, &marker).await?;
        job.remembered.set(ORDERED_MS, ordered_ms);
        Ok(Applied::All)
    }

    fn wait(&self, job: &Job<'_>, seen: &Seen, when: When) -> Option<Wait> {
        if when == When::Closing || seen.facts.bool("somebody_elses") != Some(false) {
            return None;
        }
        let under_way = seen.facts.text(STATE) == Some(ScriptRun::UnderWay.word());
        let (after_ms, why) = if under_way {
            (
                LOOK_AGAIN_MS,
                "the script was ordered, and the device has not said that it is done",
            )
        } else if ordered_lately(job) {
            (ONCE_LOOK_AGAIN_MS, "the script was ordered and is not listed yet")
        } else {
            return None;
        };
        let ordered_ms = job.remembered.int(ORDERED_MS).unwrap_or_else(|| job.now_ms());
        Some(Wait {
            until: job.call.now().plus(after_ms),
            why: why.to_owned(),
            remember: Facts::new().with(ORDERED_MS, ordered_ms),
        })
    }
}
