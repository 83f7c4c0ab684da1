//! `mailbox.remove_delegations`: both ways, but for what the successor holds
//! on the mailbox: he is to have it.
//!
//! What he holds on others' mailboxes is found by looking at each of them
//! ([`others`]), which in a large tenant takes many attempts. Until all were
//! looked at, nothing is said of `delegations`. What an attempt found is an
//! artifact of its report before any of it is removed: a worker that dies in
//! between must not be the only one who knew.
//!
//! Removed, it is enough to read those mailboxes again on which something was
//! found: on the others there was nothing. So does the closing round, which is
//! told which they are; told nothing, it looks at all of them, in slices, too.

use super::{detach_all, mailbox, others};
use crate::job::{Applied, Job, Seen, Things, count, ids};
use crate::procedure::{Procedure, Wait, When};
use async_trait::async_trait;
use offboard_connectors::{Answer, Attached, Attachment};
use offboard_domain::{Facts, Fault, FaultClass, ObjectId};

/// On whose mailboxes something was found. As a parameter, that it was found
/// and removed: these alone are read again.
const FOUND_ON: &str = "found_on";
const DELEGATIONS: &str = "delegations";
const LOOKED_AT: &str = "mailboxes_looked_at";
const IN_ALL: &str = "mailboxes_in_all";
/// How many of those on which something was found were not read again yet.
const UNREAD: &str = "mailboxes_unread";
/// What was found on others' mailboxes, among the case's artifacts.
const ARTIFACT: &str = "snapshot.delegations";

pub(crate) struct RemoveDelegations;

#[async_trait]
impl Procedure for RemoveDelegations {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let (id, found, mut facts) = mailbox(job).await?;
        if found.is_none() {
            return Ok(Seen::facts(facts));
        }
        let (params, began_with) = (job.params, job.call.remaining());
        let found_on: Vec<ObjectId> = match params.list(FOUND_ON) {
            Some(told) => {
                facts.set("others_read_again", "those on which something was found");
                told.iter().map(|id| ObjectId(id.clone())).collect()
            }
            None => {
                let pass = others::go_on(job, &id).await?;
                facts.set(LOOKED_AT, count(pass.looked_at));
                if let Some(all) = pass.in_all {
                    facts.set(IN_ALL, count(all));
                }
                if !pass.new.is_empty() {
                    job.keep(ARTIFACT, &pass.new).await?;
                }
                // What follows has an attempt of its own, unless most of this one is left.
                let late = pass.went_on && job.call.remaining() < began_with / 2;
                if late || !pass.is_through() {
                    return Ok(Seen::facts(facts));
                }
                pass.found.into_iter().collect()
            }
        };
        let mut attached = job
            .mailboxes()?
            .attached(&mut job.call, &id, &Attachment::DelegationsTo)
            .await?;
        let successor = job.successor();
        attached.retain(|one| match one {
            Attached::Delegation(d) => successor.is_none() || d.other != successor,
            _ => true,
        });
        let again = others::read_again(job, &id, &found_on).await?;
        facts.set(UNREAD, count(again.unread));
        if again.held.is_empty() && again.unread > 0 {
            return Ok(Seen::facts(facts));
        }
        attached.extend(again.held);
        if again.unread == 0 {
            facts.set(FOUND_ON, ids(&found_on));
        }
        facts.set(DELEGATIONS, ids(attached.iter().map(Attached::key)));
        Ok(Seen::with(facts, Things::Attached(attached)))
    }

    async fn apply(&self, job: &mut Job<'_>, seen: &Seen) -> Answer<Applied> {
        let unread = seen.facts.int(UNREAD).unwrap_or(0);
        let further = unread > 0 && others::comes_further(&mut job.remembered, unread);
        match detach_all(job, seen).await {
            Ok(_) if further => Ok(Applied::Part),
            // What one of them refuses is met again in the last part: the others go first.
            Err(Fault {
                class: FaultClass::Blocked | FaultClass::Rejected | FaultClass::Unsupported,
                ..
            }) if further => Ok(Applied::Part),
            applied => applied,
        }
    }

    fn wait(&self, job: &Job<'_>, seen: &Seen, when: When) -> Option<Wait> {
        let found_now = || job.artifacts.iter().any(|a| a.name == ARTIFACT);
        let why = match when {
            // Who only reads is told what was not read.
            When::ObserveOnly => return None,
            _ if seen.facts.list(DELEGATIONS).is_none() => left_to_read(&seen.facts),
            When::Before if found_now() => "what he holds on others' mailboxes is kept, and removed next".to_owned(),
            When::Before | When::After | When::Closing => return None,
        };
        Some(Wait {
            until: job.call.now(),
            why,
            remember: job.remembered.clone(),
        })
    }
}

fn left_to_read(facts: &Facts) -> String {
    if let Some(unread) = facts.int(UNREAD) {
        return format!("{unread} of the mailboxes on which he held something are still to be read again");
    }
    match (facts.int(LOOKED_AT), facts.int(IN_ALL)) {
        (Some(looked_at), Some(all)) => {
            format!("{looked_at} of {all} mailboxes of others were looked at for what he holds there")
        }
        _ => "others' mailboxes are being listed, to look at each for what he holds there".to_owned(),
    }
}
