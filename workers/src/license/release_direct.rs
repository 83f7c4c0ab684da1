//! `license.release_direct`: all in one request, because SKUs depend on each
//! other; but for those that the mailbox still needs, and while somebody has the
//! files that were handed over.

use super::keep::{keep, part_number_of, somebody_has_the_files};
use crate::job::{Applied, Job, Seen, Things, ids};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{Answer, LicenceOrigin};
use offboard_domain::Facts;

pub(crate) struct ReleaseDirectLicenses;

#[async_trait]
impl Procedure for ReleaseDirectLicenses {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let id = job.account()?;
        let held = job.licenses()?.held(&mut job.call, &id).await?;
        let keep = keep(job, &id, &held).await?;
        let direct = held
            .iter()
            .filter(|l| l.origin == LicenceOrigin::Direct)
            .map(|l| &l.sku_id);
        let skus = ids(direct.filter(|sku| !keep.sku_ids.contains(*sku)));
        let mut facts = Facts::new()
            .with("direct_sku_ids", skus.clone())
            .with("kept_sku_ids", ids(&keep.sku_ids));
        if let Some(why) = keep.why.filter(|_| !keep.sku_ids.is_empty()) {
            facts.set("kept_because", why);
            for licence in held.iter().filter(|l| keep.sku_ids.contains(&l.sku_id)) {
                if let Some(name) = &licence.part_number {
                    facts.set(&part_number_of(&licence.sku_id), name.as_str());
                }
            }
        }
        Ok(Seen::with(facts, Things::Skus(skus)))
    }

    async fn apply(&self, job: &mut Job<'_>, seen: &Seen) -> Answer<Applied> {
        let id = job.account()?;
        somebody_has_the_files(job, &id).await?;
        if let Things::Skus(skus) = &seen.things {
            job.licenses()?.release(job.writing()?, &id, skus).await?;
        }
        Ok(Applied::All)
    }
}
