//! `device.disable_in_workspace`. What is noted as his is his. What was is looked at by
//! its id, whatever it is noted as since: enabled again it is disabled again, unless
//! somebody else, or nobody, has it now. Then it is left alone, and a person looks.

use super::{compare_with_others, known, look, writable};
use crate::job::{Applied, Items, Job, Seen, Things, ids};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{Answer, Laptop};
use offboard_domain::ObjectId;
use offboard_domain::catalogue::workspace::KNOWN_DEVICES;
use offboard_domain::estate::{self, Holding, Serial};

const OPEN: &str = "open_device_ids";

pub(crate) struct DisableLaptops;

#[async_trait]
impl Procedure for DisableLaptops {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let member = look(job).await?;
        let mut facts = known(job, member.as_ref());
        let gone = facts.bool("object_exists") == Some(false);
        let noted = [job.remembered.list(KNOWN_DEVICES), job.params.list(KNOWN_DEVICES)];
        // That there were none is known as well, if somebody has looked.
        let was_read = noted.iter().any(Option::is_some);
        let were_his = ids(noted.into_iter().flatten().flatten());
        if was_read {
            // The next try is told what this one reads: where that is nothing, it knows by this.
            job.remembered.set(KNOWN_DEVICES, were_his.clone());
        }
        if member.is_none() && (!gone || !was_read) {
            // Nothing to look by: that there are none is not said.
            if gone {
                facts.set("looked_at", false);
            }
            return Ok(Seen::facts(facts));
        }
        let laptops = job.laptops()?;
        let mut all: Vec<Laptop> = match &member {
            Some(member) => laptops.laptops(&mut job.call, member).await?,
            None => Vec::new(),
        };
        for id in &were_his {
            let id = ObjectId::from(id.as_str());
            if !all.iter().any(|l| l.id == id) {
                all.extend(laptops.laptop(&mut job.call, &id).await?);
            }
        }
        // Without the account, nobody can say whose they are.
        let may_be_his = |l: &&Laptop| member.as_ref().is_none_or(|member| l.is_noted_as(member));
        let in_use = |l: &&Laptop| !l.is_shut();
        let open = ids(all.iter().filter(may_be_his).filter(in_use).map(|l| &l.id));
        let lost = all.iter().filter(in_use).any(|l| !may_be_his(&l));
        for one in all.iter().filter(may_be_his) {
            let serial = one.serial.as_deref().and_then(Serial::parse);
            estate::note(&mut facts, &one.id, serial.as_ref(), Holding::ManagedWorkspace);
        }
        compare_with_others(job, &mut facts);
        let listed = ids(all.iter().map(|l| &l.id));
        let device_ids = ids(listed.iter().chain(&were_his));
        facts.set("device_ids", device_ids.clone());
        facts.set(
            "serials",
            ids(all.iter().filter(may_be_his).filter_map(|l| l.serial.as_ref())),
        );
        facts.set("no_longer_his", lost);
        facts.set("in_use_without_account", member.is_none() && !open.is_empty());
        facts.set(OPEN, open);
        if !device_ids.is_empty() {
            job.remembered.set(KNOWN_DEVICES, device_ids);
        }
        Ok(match member {
            Some(member) => Seen::with(facts, Things::Member(Box::new(member))),
            None => Seen::facts(facts),
        })
    }

    async fn apply(&self, job: &mut Job<'_>, seen: &Seen) -> Answer<Applied> {
        let member = writable(job, seen)?;
        let laptops = job.laptops()?;
        let mut items = Items::default();
        for id in seen.facts.list(OPEN).unwrap_or_default() {
            if !items.go_on(job) {
                break;
            }
            let id = ObjectId::from(id.as_str());
            // There may be many before it: what is somebody else's by now is not touched.
            let now = laptops.laptop(&mut job.call, &id).await?;
            if now.is_none_or(|now| !now.is_noted_as(member)) {
                continue;
            }
            let done = laptops.disable_laptop(job.writing()?, &id).await;
            items.note(done)?;
        }
        items.end()
    }
}
