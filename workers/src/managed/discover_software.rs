//! `device.discover_software`: what is installed on his devices. All of it is kept; a
//! person is asked about what nobody planned for, once.

use crate::job::{Job, Seen, Things};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::Answer;
use offboard_domain::unplanned::{DEVICES, Software, sort_software};
use offboard_domain::{Facts, Find, Kind, ObjectId};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) struct DiscoverSoftware;

#[async_trait]
impl Procedure for DiscoverSoftware {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let fleet = job.fleet()?;
        let mut by_device: BTreeMap<ObjectId, Vec<Software>> = BTreeMap::new();
        for id in job.params.list(DEVICES).unwrap_or_default() {
            let id = ObjectId::from(id.as_str());
            if let Some(software) = fleet.software(&mut job.call, &id).await? {
                by_device.insert(id, software);
            }
        }
        if by_device.is_empty() {
            return Ok(Seen::facts(Facts::new().with("devices_found", false)));
        }
        let installed: BTreeSet<Software> = by_device.values().flatten().cloned().collect();
        let system = job.target.system.clone();
        let sorted = sort_software(&system, &installed, job.params);
        job.keep(&format!("snapshot.software.{system}"), &by_device).await?;
        let asked = sorted.questions.into_iter();
        Ok(Seen {
            facts: sorted.facts.with("devices_found", true),
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
