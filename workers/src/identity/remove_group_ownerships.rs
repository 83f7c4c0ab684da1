//! `identity.remove_group_ownerships`: groups, and applications too: whoever
//! owns one can give it a credential and sign in as it.

use super::remove_held;
use crate::job::{Applied, Job, Seen, Things, ids};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{Answer, Held, Holding, OwnedSort};
use offboard_domain::{Facts, FaultClass};

pub(crate) struct RemoveGroupOwnerships;

#[async_trait]
impl Procedure for RemoveGroupOwnerships {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let id = job.account()?;
        let all = job
            .directory()?
            .holdings(&mut job.call, &id, Holding::Ownerships)
            .await?;
        let of = |wanted: OwnedSort| ids(all.iter().filter(|h| sort(h) == Some(wanted)).map(Held::id));
        let facts = Facts::new()
            .with("owned_application_ids", of(OwnedSort::Application))
            .with("owned_other_ids", of(OwnedSort::Other));
        let held: Vec<Held> = all
            .into_iter()
            .filter(|h| matches!(sort(h), Some(OwnedSort::Group | OwnedSort::Application)))
            .collect();
        Ok(Seen::with(
            facts.with("owned_group_ids", ids(held.iter().map(Held::id))),
            Things::Held(held),
        ))
    }

    async fn apply(&self, job: &mut Job<'_>, seen: &Seen) -> Answer<Applied> {
        // A group that lost its other owner since it was handed over.
        let sole = |held: &Held| {
            matches!(
                held,
                Held::Ownership {
                    sort: OwnedSort::Group,
                    other_owners: 0,
                    ..
                }
            )
        };
        let others: Vec<Held> = seen.held().iter().filter(|h| !sole(h)).cloned().collect();
        let applied = remove_held(job, &others).await?;
        if seen.held().iter().any(sole) {
            let detail = "he is the only owner of a group again; give it another owner, then retry";
            return Err(job.fault(FaultClass::Blocked, detail));
        }
        Ok(applied)
    }
}

fn sort(held: &Held) -> Option<OwnedSort> {
    match held {
        Held::Ownership { sort, .. } => Some(*sort),
        _ => None,
    }
}
