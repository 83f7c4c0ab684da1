//! `device.discover_software`: what is installed on his devices. All of it is kept; a
//! person is asked about what nobody planned for, once.

use crate::job::{Job, Seen, Things};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::Answer;
use offboard_domain::unplanned::{
    ASKED_DEVICES, DEVICES, READ_DEVICES, Software, UNREAD_DEVICES, sort_software, unread_software,
};
use offboard_domain::{Facts, Find, Kind, ObjectId};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) struct DiscoverSoftware;

#[async_trait]
impl Procedure for DiscoverSoftware {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let fleet = job.fleet()?;
        let mut by_device: BTreeMap<ObjectId, Vec<Software>> = BTreeMap::new();
        let mut read: BTreeSet<String> = job
            .params
            .list(READ_DEVICES)
            .unwrap_or_default()
            .iter()
            .cloned()
            .collect();
        let mut unread: Vec<String> = Vec::new();
        for id in job.params.list(DEVICES).unwrap_or_default() {
            match fleet.software(&mut job.call, &ObjectId::from(id.as_str())).await? {
                Some(software) => {
                    by_device.insert(ObjectId::from(id.as_str()), software);
                    read.insert(id.clone());
                }
                None if read.contains(id) => {}
                None => unread.push(id.clone()),
            }
        }
        if read.is_empty() && unread.is_empty() {
            return Ok(Seen::facts(Facts::new().with("devices_found", false)));
        }
        let installed: BTreeSet<Software> = by_device.values().flatten().cloned().collect();
        let system = job.target.system.clone();
        let sorted = sort_software(&system, &installed, job.params);
        job.keep(&format!("snapshot.software.{system}"), &by_device).await?;
        // A device that is gone with its list is not one without programs.
        let before = job.params.list(ASKED_DEVICES).unwrap_or_default();
        let gone = unread_software(&system, &unread, before);
        let asked = sorted.questions.into_iter().chain(gone);
        Ok(Seen {
            facts: sorted
                .facts
                .with("devices_found", true)
                .with(READ_DEVICES, Vec::from_iter(read))
                .with(UNREAD_DEVICES, unread),
            things: Things::Nothing,
            finds: asked
                .map(|question| Find {
                    kind: Kind::DecideApp,
                    object: question.object,
                    params: question.params,
                })
                .collect(),
        })
    }
}
