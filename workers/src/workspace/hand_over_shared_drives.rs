//! `knowledge.hand_over_shared_drives`: before the only manager of a shared drive is gone,
//! the successor manages it too.

use super::{known, look, successor, writable};
use crate::job::{Applied, Items, Job, Seen, Things, ids};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::Answer;
use offboard_domain::ObjectId;

/// The drives that he manages alone.
const DRIVES: &str = "sole_managed_drive_ids";

pub(crate) struct HandOverSharedDrives;

#[async_trait]
impl Procedure for HandOverSharedDrives {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let Some(member) = look(job).await? else {
            return Ok(Seen::facts(known(job, None)));
        };
        let drives = job.shared_drives()?.managed_alone(&mut job.call, &member).await?;
        let facts = known(job, Some(&member)).with(DRIVES, ids(drives));
        Ok(Seen::with(facts, Things::Member(Box::new(member))))
    }

    async fn apply(&self, job: &mut Job<'_>, seen: &Seen) -> Answer<Applied> {
        writable(job, seen)?;
        let to = successor(job).await?;
        let drives = job.shared_drives()?;
        let mut items = Items::default();
        for drive in seen.facts.list(DRIVES).unwrap_or_default() {
            if !items.go_on(job) {
                break;
            }
            let drive = ObjectId::from(drive.as_str());
            items.note(drives.let_manage(job.writing()?, &drive, &to).await)?;
        }
        items.end()
    }
}
