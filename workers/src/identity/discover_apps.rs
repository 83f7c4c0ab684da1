//! `identity.discover_apps`: what the applications are that the snapshot found him to
//! have a way into. What he had is told, and not read again: access may be cut by now.

use crate::job::{Job, Seen, Things};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{Answer, Application};
use offboard_domain::unplanned::{APPS_KNOWN, App, had, sort};
use offboard_domain::{Facts, Find, Kind, ObjectId};
use std::collections::BTreeMap;

pub(crate) struct DiscoverApps;

#[async_trait]
impl Procedure for DiscoverApps {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let Some(had) = had(job.params) else {
            return Ok(Seen::facts(Facts::new().with(APPS_KNOWN, false)));
        };
        let directory = job.directory()?;
        let ids: Vec<ObjectId> = had.keys().cloned().collect();
        let known = directory.applications(&mut job.call, &ids).await?;
        let mut known: BTreeMap<ObjectId, Application> = known.into_iter().map(|one| (one.id.clone(), one)).collect();
        let apps: Vec<App> = had
            .into_iter()
            .map(|(id, ways)| {
                let one = known.remove(&id);
                App {
                    of_the_platform: one.as_ref().is_some_and(|one| one.of_the_platform),
                    app_id: one.as_ref().map(|one| one.app_id.clone()),
                    publisher: one.as_ref().and_then(|one| one.publisher.clone()),
                    name: one.and_then(|one| one.name),
                    id,
                    ways,
                }
            })
            .collect();
        job.keep("snapshot.applications", &apps).await?;
        let sorted = sort(&job.target.system, &apps, job.params);
        let asked = sorted.questions.into_iter();
        Ok(Seen {
            facts: sorted.facts,
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
