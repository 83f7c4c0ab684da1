//! `device.disable_in_workspace`.

use super::{known, look, writable};
use crate::job::{Applied, Items, Job, Seen, Things, ids};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::Answer;
use offboard_domain::ObjectId;
use offboard_domain::estate::{self, Holding, Serial};

const OPEN: &str = "open_device_ids";

pub(crate) struct DisableLaptops;

#[async_trait]
impl Procedure for DisableLaptops {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let Some(member) = look(job).await? else {
            let mut facts = known(job, None);
            // Nothing to look by: that there are none is not said.
            if facts.bool("object_exists") == Some(false) {
                facts.set("looked_at", false);
            }
            return Ok(Seen::facts(facts));
        };
        let listed = job.laptops()?.laptops(&mut job.call, &member).await?;
        let mut facts = known(job, Some(&member))
            .with("device_ids", ids(listed.iter().map(|l| &l.id)))
            .with("serials", ids(listed.iter().filter_map(|l| l.serial.as_ref())))
            .with(OPEN, ids(listed.iter().filter(|l| !l.is_shut()).map(|l| &l.id)));
        for one in &listed {
            let serial = one.serial.as_deref().and_then(Serial::parse);
            estate::note(&mut facts, &one.id, serial.as_ref(), Holding::ManagedWorkspace);
        }
        Ok(Seen::with(facts, Things::Member(Box::new(member))))
    }

    async fn apply(&self, job: &mut Job<'_>, seen: &Seen) -> Answer<Applied> {
        writable(job, seen)?;
        let laptops = job.laptops()?;
        let mut items = Items::default();
        for id in seen.facts.list(OPEN).unwrap_or_default() {
            if !items.go_on(job) {
                break;
            }
            let done = laptops
                .disable_laptop(job.writing()?, &ObjectId::from(id.as_str()))
                .await;
            items.note(done)?;
        }
        items.end()
    }
}
