//! `identity.hand_over_groups`: before the last owner goes, the successor owns
//! the group too.

use crate::job::{Applied, Items, Job, Seen, Things, ids};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{Answer, Held, Holding, OwnedSort};
use offboard_domain::Facts;

pub(crate) struct HandOverGroups;

#[async_trait]
impl Procedure for HandOverGroups {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let id = job.account()?;
        let mut held = job
            .directory()?
            .holdings(&mut job.call, &id, Holding::Ownerships)
            .await?;
        held.retain(|h| {
            matches!(
                h,
                Held::Ownership {
                    sort: OwnedSort::Group,
                    other_owners: 0,
                    ..
                }
            )
        });
        let facts = Facts::new().with("sole_owned_group_ids", ids(held.iter().map(Held::id)));
        Ok(Seen::with(facts, Things::Held(held)))
    }

    async fn apply(&self, job: &mut Job<'_>, seen: &Seen) -> Answer<Applied> {
        let successor = job.needed_successor().await?;
        let directory = job.directory()?;
        let mut items = Items::default();
        for group in seen.held() {
            if !items.go_on(job) {
                break;
            }
            items.note(directory.add_owner(job.writing()?, group.id(), &successor).await)?;
        }
        items.end()
    }
}
