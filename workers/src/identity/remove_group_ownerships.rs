//! `identity.remove_group_ownerships`: groups, and applications too: whoever
//! owns one can give it a credential and sign in as it.
//!
//! A group that reads as his alone was handed over before this began, and the
//! directory's replicas lag: it is read again for a while before that is believed.
//! Then whoever owned it with him has gone since, or leaves, too: it is handed over
//! once more, as the plan has it. One that can hold roles is for a person from the start.

use super::{heir_of_groups, is_sole_owner, may_hold_roles, remove_held};
use crate::job::{Applied, Items, Job, Seen, Things, ids};
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
/// Whether it was handed over once more.
const HANDED_OVER: &str = "handed_over_again";

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
        let (sole, others): (Vec<Held>, Vec<Held>) = seen.held().iter().cloned().partition(is_sole_owner);
        let applied = remove_held(job, &others).await?;
        if sole.is_empty() || !believed(job) {
            return Ok(applied);
        }
        hand_over_again(job, &sole).await
    }

    fn wait(&self, job: &Job<'_>, seen: &Seen, when: When) -> Option<Wait> {
        let sole = seen.held().iter().filter(|h| is_sole_owner(h)).count();
        let nothing_else = sole == seen.held().len();
        let reads = match when {
            When::Before => sole > 0 && nothing_else,
            When::After => sole > 0,
            When::ObserveOnly | When::Closing => false,
        };
        (reads && !believed(job)).then(|| Wait {
            until: job.call.now().plus(LOOK_AGAIN_MS),
            why: "a group that was handed over still reads as owned by him alone".to_owned(),
            remember: job.remembered.clone().with(SOLE_SINCE_MS, sole_since_ms(job)),
        })
    }
}

/// Gives these to the successor, once, where there is one and nobody has to be asked first.
async fn hand_over_again(job: &mut Job<'_>, sole: &[Held]) -> Answer<Applied> {
    let (with_roles, plain): (Vec<&Held>, Vec<&Held>) = sole.iter().partition(|held| may_hold_roles(held));
    let given = job.remembered.bool(HANDED_OVER) == Some(true);
    if plain.is_empty() || given || job.successor().is_none() {
        let detail = if with_roles.is_empty() {
            "he is the only owner of a group again; give it another owner, then retry"
        } else {
            "he is the only owner of a group that can hold roles, and whoever owns it can give himself its roles; give it another owner who may have them by hand, then retry"
        };
        return Err(job.fault(FaultClass::Blocked, detail));
    }
    let successor = heir_of_groups(job).await?;
    let directory = job.directory()?;
    let mut items = Items::default();
    for group in plain {
        if !items.go_on(job) {
            break;
        }
        items.note(directory.add_owner(job.writing()?, group.id(), &successor).await)?;
    }
    if items.end()? == Applied::All {
        // It is left when that shows, and believed otherwise only after as long again.
        job.remembered.set(HANDED_OVER, true);
        job.remembered.0.remove(SOLE_SINCE_MS);
    }
    Ok(Applied::Part)
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
