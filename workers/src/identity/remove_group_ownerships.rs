//! `identity.remove_group_ownerships`: groups, and applications too: whoever
//! owns one can give it a credential and sign in as it.
//!
//! A group that reads as his alone was handed over before this began, and the
//! directory's replicas lag: it is read again for a while before a person is
//! asked to give it another owner.

use super::remove_held;
use crate::job::{Applied, Job, Seen, Things, ids};
use crate::procedure::{Procedure, Wait, When};
use async_trait::async_trait;
use offboard_connectors::{Answer, Held, Holding, OwnedSort};
use offboard_domain::{Facts, FaultClass};

/// How long a group may read as his alone before that is believed, in
/// milliseconds: far longer than replicas lag.
const BELIEVED_AFTER_MS: i64 = 10 * 60_000;
/// How soon it is looked at again, in milliseconds.
const LOOK_AGAIN_MS: i64 = 30_000;
/// Since when a group has read as his alone.
const SOLE_SINCE_MS: &str = "sole_since_ms";

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
        let others: Vec<Held> = seen.held().iter().filter(|h| !is_sole(h)).cloned().collect();
        let applied = remove_held(job, &others).await?;
        if seen.held().iter().any(is_sole) && believed(job) {
            let detail = "he is the only owner of a group again; give it another owner, then retry";
            return Err(job.fault(FaultClass::Blocked, detail));
        }
        Ok(applied)
    }

    fn wait(&self, job: &Job<'_>, seen: &Seen, when: When) -> Option<Wait> {
        let sole = seen.held().iter().filter(|h| is_sole(h)).count();
        let nothing_else = sole == seen.held().len();
        let reads = match when {
            When::Before => sole > 0 && nothing_else,
            When::After => sole > 0,
            When::ObserveOnly | When::Closing => false,
        };
        (reads && !believed(job)).then(|| Wait {
            until: job.call.now().plus(LOOK_AGAIN_MS),
            why: "a group that was handed over still reads as owned by him alone".to_owned(),
            remember: Facts::new().with(SOLE_SINCE_MS, sole_since_ms(job)),
        })
    }
}

fn is_sole(held: &Held) -> bool {
    matches!(
        held,
        Held::Ownership {
            sort: OwnedSort::Group,
            other_owners: 0,
            ..
        }
    )
}

fn sole_since_ms(job: &Job<'_>) -> i64 {
    job.remembered.int(SOLE_SINCE_MS).unwrap_or_else(|| job.now_ms())
}

/// Whether it has read so for so long that it is so: another owner went since
/// the hand-over.
fn believed(job: &Job<'_>) -> bool {
    job.now_ms() - sole_since_ms(job) >= BELIEVED_AFTER_MS
}

fn sort(held: &Held) -> Option<OwnedSort> {
    match held {
        Held::Ownership { sort, .. } => Some(*sort),
        _ => None,
    }
}
