//! `identity.delete_in_app`.

use super::look;
use crate::job::{Applied, Job, Seen, Things};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::Answer;
use offboard_domain::Facts;

pub(crate) struct DeleteInApp;

#[async_trait]
impl Procedure for DeleteInApp {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let there = look(job).await?;
        let ids = there.ids(|_| true);
        // Still listed, it is not proven to be gone.
        let listed = job.target.object.as_ref().is_some_and(|id| ids.contains(&id.0));
        let facts = Facts::new().with("object_exists", listed).with("account_ids", ids);
        Ok(Seen::with(facts, there.into_things()))
    }

    async fn apply(&self, job: &mut Job<'_>, seen: &Seen) -> Answer<Applied> {
        // What is only listed any more is deleted already.
        if let Things::App(account) = &seen.things {
            job.apps()?.delete(job.writing()?, &account.id).await?;
        }
        Ok(Applied::All)
    }
}
