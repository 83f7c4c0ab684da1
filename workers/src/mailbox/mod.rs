//! Mailboxes and what hangs on them.

mod archive_comparison;
pub(crate) mod archive_mailbox;
pub(crate) mod block_protocols;
pub(crate) mod cancel_meetings;
pub(crate) mod convert_to_shared;
mod failed;
pub(crate) mod grant_successor_access;
pub(crate) mod hand_over_meetings;
pub(crate) mod hide_from_address_lists;
pub(crate) mod hold;
mod others;
pub(crate) mod remove_delegations;
pub(crate) mod remove_inbox_rules;
pub(crate) mod remove_mobile_partnerships;
mod runs;
pub(crate) mod set_automatic_reply;
pub(crate) mod set_forwarding;
pub(crate) mod snapshot;

use crate::job::{Applied, Items, Job, Seen, Things, ids};
use offboard_connectors::{Answer, Attached, Attachment, Mailbox, MailboxChange, Mailboxes};
use offboard_domain::catalogue::MAILBOX_EXISTS;
use offboard_domain::{Facts, FaultClass, ObjectId};

/// The mail system's word for a shared mailbox, as the catalogue's predicate
/// has it.
pub(crate) const SHARED: &str = "SharedMailbox";

/// The mailbox, if there is one, and the fact that says so.
async fn mailbox(job: &mut Job<'_>) -> Answer<(ObjectId, Option<Mailbox>, Facts)> {
    let id = job.account()?;
    let mailbox = look_up(job, job.mailboxes()?, &id).await?;
    let facts = Facts::new().with(MAILBOX_EXISTS, mailbox.is_some());
    Ok((id, mailbox, facts))
}

/// The mailbox. That there is none ends tasks and lets licences go, and one
/// empty answer is how a mail system that lags behind looks, too: its second
/// interface must know of none either.
///
/// # Errors
/// Fault `Transient` while they disagree.
pub(crate) async fn look_up(job: &mut Job<'_>, mailboxes: &dyn Mailboxes, id: &ObjectId) -> Answer<Option<Mailbox>> {
    let found = mailboxes.mailbox(&mut job.call, id).await?;
    if found.is_none() && mailboxes.settings(&mut job.call, id).await?.is_some() {
        return Err(job.fault(
            FaultClass::Transient,
            "the mail system shows no mailbox, and its second interface reads the settings of one; they are read again",
        ));
    }
    Ok(found)
}

/// Reads one sort of attachment; its keys become the named fact.
async fn observe_attached(job: &mut Job<'_>, what: Attachment, fact: &str) -> Answer<Seen> {
    let (id, found, facts) = mailbox(job).await?;
    if found.is_none() {
        return Ok(Seen::facts(facts));
    }
    let attached = job.mailboxes()?.attached(&mut job.call, &id, &what).await?;
    let facts = facts.with(fact, ids(attached.iter().map(Attached::key)));
    Ok(Seen::with(facts, Things::Attached(attached)))
}

/// Takes off everything that was read.
async fn detach_all(job: &mut Job<'_>, seen: &Seen) -> Answer<Applied> {
    let id = job.account()?;
    let mailboxes = job.mailboxes()?;
    let mut items = Items::default();
    for one in seen.attached() {
        if !items.go_on(job) {
            break;
        }
        items.note(mailboxes.detach(job.writing()?, &id, one).await)?;
    }
    items.end()
}

/// One change of the mailbox.
async fn change(job: &mut Job<'_>, change: MailboxChange) -> Answer<Applied> {
    let id = job.account()?;
    job.mailboxes()?.set(job.writing()?, &id, &change).await?;
    Ok(Applied::All)
}
