//! `license.release_groups`: a licence that a group gives cannot be taken from
//! the person, so he leaves the group; then the vendor is asked to work out
//! what he still has.

use super::keep::{keep, somebody_has_the_files};
use crate::job::{Applied, Items, Job, Seen, Things, ids};
use crate::procedure::Procedure;
use crate::procedure::{Wait, When};
use async_trait::async_trait;
use offboard_connectors::{Answer, Group, Held, Holding, Removable};
use offboard_domain::catalogue::premises::MASTERED;
use offboard_domain::time::MINUTE_MS;
use offboard_domain::{Facts, FaultClass};

pub(crate) struct ReleaseGroupLicenses;

/// How often it is looked at whether a synchronisation has taken him out.
const LOOK_AGAIN_MS: i64 = 5 * MINUTE_MS;

#[async_trait]
impl Procedure for ReleaseGroupLicenses {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let id = job.account()?;
        let mut held = job
            .directory()?
            .holdings(&mut job.call, &id, Holding::Memberships)
            .await?;
        held.retain(|h| h.group().is_some_and(Group::bears_licences));
        let left = !held.is_empty() && !held.iter().any(removable) && !left_on_premises(job, &held);
        let facts = Facts::new()
            .with("licence_group_ids", ids(held.iter().map(Held::id)))
            .with("only_unremovable_left", left);
        Ok(Seen::with(facts, Things::Held(held)))
    }

    async fn apply(&self, job: &mut Job<'_>, seen: &Seen) -> Answer<Applied> {
        let id = job.account()?;
        let licenses = job.licenses()?;
        let directory = job.directory()?;
        let licences = licenses.held(&mut job.call, &id).await?;
        let keep = keep(job, &id, &licences).await?;
        if let (Some(why), true) = (keep.why, keep.only_groups) {
            let detail = format!(
                "{why} and no licence of the account's own is known to bear it, so a group may; assign one directly, then retry"
            );
            return Err(job.fault(FaultClass::Blocked, &detail));
        }
        somebody_has_the_files(job, &id).await?;
        let mut items = Items::default();
        for membership in seen.held().iter().filter(|h| removable(h)) {
            if !items.go_on(job) {
                break;
            }
            items.note(directory.remove(job.writing()?, &id, membership).await)?;
        }
        let applied = items.end()?;
        licenses.reprocess(job.writing()?, &id).await?;
        Ok(applied)
    }

    fn wait(&self, job: &Job<'_>, seen: &Seen, _when: When) -> Option<Wait> {
        left_on_premises(job, seen.held()).then(|| Wait {
            until: job.call.now().plus(LOOK_AGAIN_MS),
            why: "the groups that are left are left on the premises; a synchronisation brings that here".to_owned(),
            remember: Facts::new(),
        })
    }
}

/// Whether what is left are groups that he leaves on the premises.
fn left_on_premises(job: &Job<'_>, held: &[Held]) -> bool {
    let mastered = |h: &Held| h.group().is_some_and(|g| g.removable() == Removable::WhereItIsMastered);
    job.params.bool(MASTERED) == Some(true) && !held.is_empty() && held.iter().all(mastered)
}

fn removable(held: &Held) -> bool {
    held.group().is_some_and(|g| g.removable() == Removable::Directly)
}
