//! `device.retire`: what belongs to the company goes, the rest stays. The
//! management's record goes with it, so for this kind (unlike the wipe) a
//! record that is gone is the end state: nothing manages the device any more.

use super::{device, is_of_an_earlier_life, somebody_elses, still_his, under_way};
use crate::job::{Applied, Job, Seen, Things};
use crate::procedure::{Procedure, Wait, When};
use async_trait::async_trait;
use offboard_connectors::{ActionState, Answer, DeviceAction, Owner};
use offboard_domain::time::MINUTE_MS;
use offboard_domain::{Facts, FaultClass};

/// How often a device that was told to retire is looked at.
const LOOK_AGAIN_MS: i64 = 10 * MINUTE_MS;

/// An order to retire it was given, or seen. Without one, a record that is gone
/// proves nothing: deleting it makes it go too.
const ORDERED: &str = "retire_ordered";

pub(crate) struct RetireDevice;

#[async_trait]
impl Procedure for RetireDevice {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let device = device(job)?;
        let Some(managed) = job.devices()?.managed(&mut job.call, &device).await? else {
            let owner = job.params.text("owner").unwrap_or(Owner::Unknown.word()).to_owned();
            let ordered = job.remembered.bool(ORDERED) == Some(true);
            let facts = Facts::new()
                .with("owner_type", owner)
                .with("management_state", "record_gone")
                .with("action_state", "none")
                .with("retired", ordered)
                .with("gone_unproven", !ordered);
            return Ok(Seen::facts(facts));
        };
        let sent = job.remembered.bool(ORDERED) == Some(true);
        let earlier = |a: &&ActionState| is_of_an_earlier_life(job, &managed, a, sent);
        let ordered = managed.action("retire").filter(|a| !earlier(a));
        let state = ordered.map_or("none", |a: &ActionState| a.state.as_str());
        let facts = Facts::new()
            .with("owner_type", managed.owner.word())
            .with(
                "management_state",
                managed.management_state.as_deref().unwrap_or("unknown"),
            )
            .with("action_state", state)
            .with("somebody_elses", somebody_elses(job, &managed)?)
            .with("retired", state == "done");
        Ok(Seen::with(facts, Things::Managed(managed)))
    }

    async fn apply(&self, job: &mut Job<'_>, seen: &Seen) -> Answer<Applied> {
        let device = device(job)?;
        if matches!(seen.things, Things::Managed(_)) {
            let sent = job.remembered.bool(ORDERED) == Some(true);
            let managed = still_his(job, &device, sent).await?;
            if managed.owner == Owner::Company {
                return Err(job.fault(
                    FaultClass::Blocked,
                    "the device is the company's now; decide by hand what becomes of it",
                ));
            }
            job.devices()?
                .act(job.writing()?, &device, DeviceAction::Retire)
                .await?;
            job.remembered.set(ORDERED, true);
        }
        Ok(Applied::All)
    }

    fn wait(&self, job: &Job<'_>, seen: &Seen, when: When) -> Option<Wait> {
        let Things::Managed(managed) = &seen.things else {
            return None;
        };
        let sent = job.remembered.bool(ORDERED) == Some(true);
        let retiring = |a: &ActionState| under_way(&a.state) && !is_of_an_earlier_life(job, managed, a, sent);
        let ordered = managed.action("retire").is_some_and(retiring)
            || managed
                .management_state
                .as_deref()
                .is_some_and(|s| s.starts_with("retire"));
        (ordered && when != When::Closing).then(|| Wait {
            until: job.call.now().plus(LOOK_AGAIN_MS),
            why: "the device was told to retire and has not checked in".to_owned(),
            remember: job.remembered.clone().with(ORDERED, true),
        })
    }
}
