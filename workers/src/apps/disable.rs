//! `identity.disable_in_app`.

use super::look;
use crate::job::{Applied, Job, Seen, Things};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::Answer;
use offboard_domain::Facts;

pub(crate) struct DisableInApp;

#[async_trait]
impl Procedure for DisableInApp {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let there = look(job).await?;
        let enabled = there.pinned.as_ref().is_some_and(|a| !a.is_ended());
        let id = job.target.object.clone();
        let enabled_ids = there.ids(|a| !a.is_ended());
        // Still listed as enabled, it is not proven to be ended.
        let enabled = enabled || id.is_some_and(|id| enabled_ids.contains(&id.0));
        let facts = Facts::new()
            .with("object_exists", there.pinned.is_some())
            .with("object_enabled", enabled)
            .with("enabled_ids", enabled_ids);
        Ok(Seen::with(facts, there.into_things()))
    }

    async fn apply(&self, job: &mut Job<'_>, seen: &Seen) -> Answer<Applied> {
        // One that reads as ended is not written again: some refuse that.
        if let Things::App(account) = &seen.things
            && !account.is_ended()
        {
            job.apps()?.deactivate(job.writing()?, account).await?;
        }
        Ok(Applied::All)
    }
}
