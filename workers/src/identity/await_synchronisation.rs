//! `identity.await_synchronisation`: the cloud's copy, read until it was
//! synchronised after the last change of the account on the premises and agrees with it.
//! A synchronisation stamps what it changes: of the groups, whose members are theirs to
//! say, it is enough that the cloud lists none of the copied ones any more.

use crate::job::{Job, Seen, ids};
use crate::procedure::{Procedure, Wait, When};
use async_trait::async_trait;
use offboard_connectors::{Answer, Held, Holding};
use offboard_domain::Facts;
use offboard_domain::assignment::{ACCOUNT_CHANGED_ON_PREMISES_MS, CHANGED_ON_PREMISES_MS};
use offboard_domain::time::MINUTE_MS;

pub(crate) struct AwaitSynchronisation;

/// How often the copy is looked at: a synchronisation runs every half hour,
/// unless configured otherwise.
const LOOK_AGAIN_MS: i64 = 5 * MINUTE_MS;

#[async_trait]
impl Procedure for AwaitSynchronisation {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let id = job.account()?;
        let directory = job.directory()?;
        let account = directory.account(&mut job.call, &id).await?;
        let held = directory.holdings(&mut job.call, &id, Holding::Memberships).await?;
        let copied = held.iter().filter_map(Held::group).filter(|g| g.synced);
        let changed_ms = job.params.int(CHANGED_ON_PREMISES_MS);
        // An older dispatcher tells of groups and account by one time. 0: only of groups.
        let account_ms = job.params.int(ACCOUNT_CHANGED_ON_PREMISES_MS).or(changed_ms);
        let account_ms = account_ms.filter(|at| *at > 0);
        let synced_ms = account.synced_at_ms.unwrap_or(0);
        let mut facts = Facts::new()
            .with("enabled", account.enabled)
            .with("synced_group_ids", ids(copied.map(|g| &g.id)))
            .with("synchronised_ms", synced_ms)
            .with("changed_on_premises", changed_ms.is_some())
            .with("synchronised_since", account_ms.is_none_or(|at| synced_ms > at));
        if let Some(changed_ms) = changed_ms {
            facts.set(CHANGED_ON_PREMISES_MS, changed_ms);
        }
        Ok(Seen::facts(facts))
    }

    fn wait(&self, job: &Job<'_>, seen: &Seen, _when: When) -> Option<Wait> {
        let why = if seen.facts.bool("synchronised_since") == Some(true) {
            "the cloud was synchronised since the change, and its copy is still another: does the synchronisation leave something out?"
        } else {
            "the cloud was not synchronised since the change on the premises; that takes half an hour, unless configured otherwise"
        };
        Some(Wait {
            until: job.call.now().plus(LOOK_AGAIN_MS),
            why: why.to_owned(),
            remember: Facts::new(),
        })
    }
}
