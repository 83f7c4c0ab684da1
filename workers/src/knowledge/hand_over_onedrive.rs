//! `knowledge.hand_over_onedrive`: the successor administers the site and is still
//! there himself, and the link to it is in the record.

use crate::job::{Applied, Job, Seen, Things};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::Answer;
use offboard_domain::Facts;

pub(crate) struct HandOverOneDrive;

#[async_trait]
impl Procedure for HandOverOneDrive {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let id = job.account()?;
        let documents = job.documents()?;
        let Some(site) = documents.site(&mut job.call, &id).await? else {
            return Ok(Seen::facts(Facts::new().with("drive_exists", false)));
        };
        let administrators = documents.administrators(&mut job.call, &site).await?;
        let successor = job.successor();
        let is_admin = successor.is_some() && administrators.iter().any(|a| a.account == successor);
        let mut facts = Facts::new()
            .with("drive_exists", true)
            .with("successor_is_admin", is_admin)
            .with("successor_enabled", job.successor_enabled().await?)
            .with("link", site.link.as_str());
        if let Some(used) = site.used_bytes {
            facts.set("used_bytes", used);
        }
        Ok(Seen::with(facts, Things::Site(site)))
    }

    async fn apply(&self, job: &mut Job<'_>, seen: &Seen) -> Answer<Applied> {
        let successor = job.needed_successor().await?;
        if let Things::Site(site) = &seen.things {
            job.documents()?
                .add_administrator(job.writing()?, site, &successor)
                .await?;
        }
        Ok(Applied::All)
    }
}
