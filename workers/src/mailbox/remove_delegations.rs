//! `mailbox.remove_delegations`: both ways, but for what the successor holds
//! on the mailbox: he is to have it.
//!
//! What others hold on his goes first: it is one reading, and the way in to
//! what he has. Who has none of his own may hold something on others' all the
//! same: a guest, or who only has an address; whom the mail system does not know at
//! all, holds nothing there. What he holds on others' mailboxes
//! is found by looking at each of them ([`others`]), which in a large tenant takes
//! many attempts. Until all were looked at, nothing is said of `delegations`. What
//! an attempt found is an artifact of its report before any of it is removed: a
//! worker that dies in between must not be the only one who knew.
//!
//! Removed, it is enough to read those mailboxes again on which something was
//! found: on the others there was nothing. So does the closing round, which is
//! told which they are; told nothing, it looks at all of them, in slices, too.

use super::{detach_all, mailbox, others};
use crate::job::{Applied, Job, Seen, Things, count, ids};
use crate::procedure::{Procedure, Wait, When};
use async_trait::async_trait;
use offboard_connectors::{Answer, Attached, Attachment};
use offboard_domain::catalogue::KNOWN_TO_MAIL;
use offboard_domain::{Facts, Fault, FaultClass, ObjectId};

/// On whose mailboxes something was found. As a parameter, that it was found
/// and removed: these alone are read again.
const FOUND_ON: &str = "found_on";
const DELEGATIONS: &str = "delegations";
const LOOKED_AT: &str = "mailboxes_looked_at";
const IN_ALL: &str = "mailboxes_in_all";
/// How many of those on which something was found were not read again yet.
const UNREAD: &str = "mailboxes_unread";
/// In a checkpoint: what others hold on his mailbox was removed as far as it can be.
const HIS_DONE: &str = "his_done";
/// That nobody has looked at others' mailboxes yet.
const HIS_ALONE: &str = "his_mailbox_alone";
/// That what is held on single folders was not looked at yet.
const RIGHTS_ALONE: &str = "rights_alone";
/// In a checkpoint: how many there were when some of them were removed last.
const ATTACHED: &str = "attached";
/// That the vendor is left alone, and nothing was read.
const LEFT_ALONE: &str = "left_alone";

pub(crate) struct RemoveDelegations;

#[async_trait]
impl Procedure for RemoveDelegations {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        if others::left_alone_until(job).is_some() {
            return Ok(Seen::facts(Facts::new().with(LEFT_ALONE, true)));
        }
        let (id, found, mut facts) = mailbox(job).await?;
        let has_own = found.is_some();
        if !has_own && !job.mailboxes()?.knows(&mut job.call, &id).await? {
            facts.set(KNOWN_TO_MAIL, false);
            return Ok(Seen::facts(facts));
        }
        let (params, began_with) = (job.params, job.call.remaining());
        let mut of_pass = None;
        let found_on: Vec<ObjectId> = match params.list(FOUND_ON) {
            Some(told) => {
                facts.set("others_read_again", "those on which something was found");
                told.iter().map(|id| ObjectId(id.clone())).collect()
            }
            None => {
                if has_own && job.remembered.bool(HIS_DONE) != Some(true) {
                    let mut his = on_his(job, &id, &Attachment::RightsTo).await?;
                    if his.is_empty() {
                        his = on_his_and_its_folders(job, &id).await?.0;
                    } else {
                        facts.set(RIGHTS_ALONE, true);
                    }
                    if !his.is_empty() {
                        facts.set(HIS_ALONE, true);
                        facts.set(DELEGATIONS, ids(his.iter().map(Attached::key)));
                        return Ok(Seen::with(facts, Things::Attached(his)));
                    }
                    job.remembered.set(HIS_DONE, true);
                }
                let pass = others::go_on(job, &id, has_own).await?;
                facts.set(LOOKED_AT, count(pass.looked_at));
                if let Some(all) = pass.in_all {
                    facts.set(IN_ALL, count(all));
                }
                // What follows has an attempt of its own, unless most of this one is left.
                let late = pass.went_on && job.call.remaining() < began_with / 2;
                if late || !pass.is_through() {
                    return Ok(Seen::facts(facts));
                }
                let found = pass.found.iter().cloned().collect();
                of_pass = Some(pass);
                found
            }
        };
        let (mut attached, not_read) = if has_own {
            on_his_and_its_folders(job, &id).await?
        } else {
            (Vec::new(), None)
        };
        let again = others::read_again(job, &id, &found_on).await?;
        let unread = match of_pass {
            Some(mut pass) => {
                again.give_up_on_some(job, &mut pass).await?;
                if attached.is_empty() && again.held.is_empty() && again.unread == 0 {
                    others::read_once_more(job, &id, &mut pass).await?;
                    if !pass.new.is_empty() {
                        return Ok(Seen::facts(facts));
                    }
                }
                pass.unread(job)
            }
            None => again.fault,
        };
        facts.set(UNREAD, count(again.unread));
        // Nothing puts aside in a closing round what cannot be read: it is a fault there.
        let goes_on = unread.is_none() || params.list(FOUND_ON).is_none();
        if again.held.is_empty() && again.unread > 0 && goes_on {
            return Ok(Seen::facts(facts));
        }
        attached.extend(again.held);
        // What can be removed is removed first.
        let unread = unread.or(not_read);
        if attached.is_empty()
            && let Some(fault) = unread
        {
            return Err(fault);
        }
        if again.unread == 0 && unread.is_none() {
            facts.set(FOUND_ON, ids(&found_on));
        }
        facts.set(DELEGATIONS, ids(attached.iter().map(Attached::key)));
        Ok(Seen::with(facts, Things::Attached(attached)))
    }

    async fn apply(&self, job: &mut Job<'_>, seen: &Seen) -> Answer<Applied> {
        if seen.facts.bool(HIS_ALONE) == Some(true) {
            let in_part = seen.facts.bool(RIGHTS_ALONE) == Some(true);
            if !in_part && job.remembered.0.remove(RIGHTS_ALONE).is_some() {
                job.remembered.0.remove(ATTACHED);
            }
            let fewer = are_fewer(job, seen);
            let done = match detach_all(job, seen).await {
                Ok(applied) => !fewer || (applied == Applied::All && !in_part),
                // It is met again when all others were looked at.
                Err(fault) if is_refused(&fault) => true,
                Err(fault) => return Err(fault),
            };
            if in_part {
                job.remembered.set(RIGHTS_ALONE, true);
            }
            if done {
                job.remembered.set(HIS_DONE, true);
                job.remembered.0.remove(ATTACHED);
            } else {
                note_attached(job, seen);
            }
            return Ok(Applied::Part);
        }
        let fewer = are_fewer(job, seen);
        let unread = seen.facts.int(UNREAD).unwrap_or(0);
        let further = unread > 0 && others::comes_further(&job.remembered, unread);
        let applied = match detach_all(job, seen).await {
            Ok(_) if further => Applied::Part,
            // What one of them refuses is met again in the last part: the others go first.
            Err(fault) if further && is_refused(&fault) => Applied::Part,
            // What is removed and is there all the same is not removed for ever.
            Ok(Applied::Part) if !fewer => Applied::All,
            applied => applied?,
        };
        note_attached(job, seen);
        if unread > 0 {
            others::note_removed_at(&mut job.remembered, unread);
        }
        Ok(applied)
    }

    fn wait(&self, job: &Job<'_>, seen: &Seen, when: When) -> Option<Wait> {
        let found_now = || job.artifacts.iter().any(|a| a.name == others::ARTIFACT);
        let why = match when {
            // Who only reads is told what was not read.
            When::ObserveOnly => return None,
            _ if seen.facts.list(DELEGATIONS).is_none() => left_to_read(&seen.facts),
            When::Before if found_now() => "what he holds on others' mailboxes is kept, and removed next".to_owned(),
            When::Before | When::After | When::Closing => return None,
        };
        let left_alone = others::left_alone_until(job).filter(|_| seen.facts.bool(LEFT_ALONE) == Some(true));
        Some(Wait {
            until: left_alone.unwrap_or(job.call.now()),
            why,
            remember: job.remembered.clone(),
        })
    }
}

/// What others hold on his mailbox and its folders, but for the successor; and why
/// its folders cannot be read, if they cannot.
async fn on_his_and_its_folders(job: &mut Job<'_>, id: &ObjectId) -> Answer<(Vec<Attached>, Option<Fault>)> {
    match on_his(job, id, &Attachment::DelegationsTo).await {
        Ok(all) => Ok((all, None)),
        Err(fault) if is_refused(&fault) => Ok((on_his(job, id, &Attachment::RightsTo).await?, Some(fault))),
        Err(fault) => Err(fault),
    }
}

async fn on_his(job: &mut Job<'_>, id: &ObjectId, what: &Attachment) -> Answer<Vec<Attached>> {
    let mailboxes = job.mailboxes()?;
    let mut attached = mailboxes.attached(&mut job.call, id, what).await?;
    let successor = job.successor();
    attached.retain(|one| match one {
        Attached::Delegation(d) => successor.is_none() || d.other != successor,
        _ => true,
    });
    Ok(attached)
}

/// Whether there are fewer to remove than when some of them were removed last.
fn are_fewer(job: &Job<'_>, seen: &Seen) -> bool {
    let now = count(seen.attached().len());
    job.remembered.int(ATTACHED).is_none_or(|before| now < before)
}

/// Remembers how many there were, once some of them were removed: a fault before that
/// is no removal.
fn note_attached(job: &mut Job<'_>, seen: &Seen) {
    job.remembered.set(ATTACHED, count(seen.attached().len()));
}

/// Whether it will not be taken off however often it is tried.
fn is_refused(fault: &Fault) -> bool {
    matches!(
        fault.class,
        FaultClass::Blocked | FaultClass::Rejected | FaultClass::Unsupported
    )
}

fn left_to_read(facts: &Facts) -> String {
    if facts.bool(LEFT_ALONE) == Some(true) {
        return "the system asked to be called less often while others' mailboxes were looked at".to_owned();
    }
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
