//! `identity.hand_over_groups`: before the last owner goes, the successor owns
//! the group too. A group that can hold roles is left out: whoever owns it can give
//! himself its roles, so a person says who owns it next.

use super::{heir_of_groups, is_sole_owner, may_hold_roles};
use crate::job::{Applied, Items, Job, Seen, Things, ids};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{Answer, Held, Holding};
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
        held.retain(is_sole_owner);
        let (left_out, held): (Vec<Held>, Vec<Held>) = held.into_iter().partition(may_hold_roles);
        let facts = Facts::new()
            .with("sole_owned_group_ids", ids(held.iter().map(Held::id)))
            .with("sole_owned_role_group_ids", ids(left_out.iter().map(Held::id)));
        Ok(Seen::with(facts, Things::Held(held)))
    }

    async fn apply(&self, job: &mut Job<'_>, seen: &Seen) -> Answer<Applied> {
        let successor = heir_of_groups(job).await?;
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
