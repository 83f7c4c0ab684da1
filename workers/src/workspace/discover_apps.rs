//! `identity.discover_apps_in_workspace`: what the applications are that he gave tokens
//! to. Of those that were revoked meanwhile, whoever did it has kept the ids.

use super::{MISSING_SINCE_MS, known, look};
use crate::job::{Job, Seen, Things};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::Answer;
use offboard_domain::catalogue::workspace::MET_GRANTS;
use offboard_domain::unplanned::{App, Way, sort};
use offboard_domain::{FaultClass, Find, Kind, ObjectId};
use std::collections::BTreeMap;

pub(crate) struct DiscoverApps;

#[async_trait]
impl Procedure for DiscoverApps {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let Some(member) = look(job).await? else {
            let facts = known(job, None);
            if facts.get(MISSING_SINCE_MS).is_some() {
                let detail = "the account is not found, and not listed as deleted either; whether it is gone shows within the hour";
                return Err(job.fault(FaultClass::Transient, detail));
            }
            return Ok(Seen::facts(facts));
        };
        let consents = job.workspace()?.consents(&mut job.call, &member).await?;
        let mut names: BTreeMap<ObjectId, Option<String>> = BTreeMap::new();
        for met in job.params.list(MET_GRANTS).unwrap_or_default() {
            names.insert(ObjectId::from(met.as_str()), None);
        }
        names.extend(consents.into_iter().map(|one| (one.client, one.name)));
        let apps: Vec<App> = names
            .into_iter()
            .map(|(id, name)| App {
                id,
                app_id: None,
                name,
                publisher: None,
                of_the_platform: false,
                ways: [Way::Consented].into(),
            })
            .collect();
        let system = job.target.system.clone();
        let sorted = sort(&system, &apps, job.params);
        job.keep(&format!("snapshot.applications.{system}"), &apps).await?;
        let mut facts = known(job, Some(&member));
        facts.0.extend(sorted.facts.0);
        let asked = sorted.questions.into_iter();
        Ok(Seen {
            facts,
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
