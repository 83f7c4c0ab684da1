//! A workspace's accounts. Its tasks name the account themselves, as the finder
//! found it; each reads it first, because what may be done depends on whether it
//! is open, and because somebody may have made it an administrator meanwhile.

pub(crate) mod acknowledged;
pub(crate) mod disable_laptops;
pub(crate) mod held;
pub(crate) mod mail;
pub(crate) mod resolve;
pub(crate) mod second_factor;
pub(crate) mod suspend;
pub(crate) mod transfer_files;
pub(crate) mod wipe_account;

use crate::job::{Job, Seen, Things};
use offboard_connectors::{Answer, Member, MemberChange};
use offboard_domain::{Facts, FaultClass, ObjectId};

/// The account that the task is about.
fn account(job: &Job<'_>) -> Answer<ObjectId> {
    job.target.object.clone().ok_or_else(|| {
        job.fault(
            FaultClass::Rejected,
            "the assignment names no account of the workspace; report this",
        )
    })
}

/// Reads it; none when it is gone.
async fn look(job: &mut Job<'_>) -> Answer<Option<Member>> {
    let id = account(job)?;
    job.workspace()?.member(&mut job.call, &id).await
}

fn facts(member: Option<&Member>) -> Facts {
    let Some(member) = member else {
        return Facts::new().with("object_exists", false);
    };
    Facts::new()
        .with("object_exists", true)
        .with("suspended", member.suspended)
        .with("archived", member.archived)
}

/// The account alone, with more facts about it.
async fn observe_account(job: &mut Job<'_>, more: impl FnOnce(&Member, &mut Facts)) -> Answer<Seen> {
    let member = look(job).await?;
    let mut facts = facts(member.as_ref());
    Ok(match member {
        Some(member) => {
            more(&member, &mut facts);
            Seen::with(facts, Things::Member(Box::new(member)))
        }
        None => Seen::facts(facts),
    })
}

/// The account as it was read, for a write: not one that is gone, nor one that
/// administers the workspace by now.
fn writable<'a>(job: &Job<'_>, seen: &'a Seen) -> Answer<&'a Member> {
    let member: &Member = match &seen.things {
        Things::Member(member) => member,
        Things::MemberMail(both) => &both.0,
        _ => {
            let detail = "the account is gone since it was read; it is read again";
            return Err(job.fault(FaultClass::Transient, detail));
        }
    };
    if job.workspace()?.acts_for(member) {
        return Err(job.fault(
            FaultClass::Blocked,
            "his is the account that this service acts for in the workspace; nothing was written. Name another administrator in the tenant's configuration (`admin`), then retry",
        ));
    }
    if member.administrator {
        return Err(job.fault(
            FaultClass::Blocked,
            "he has been made a super administrator of the workspace, whom no service may change; nothing was written. Take the role from him (Admin console, Account > Admin roles), then retry",
        ));
    }
    Ok(member)
}

/// Makes one change of the account.
async fn change(job: &mut Job<'_>, seen: &Seen, change: &MemberChange) -> Answer<()> {
    let id = writable(job, seen)?.id.clone();
    job.workspace()?.change(job.writing()?, &id, change).await
}

/// The successor's account, which must be there and open.
async fn successor(job: &mut Job<'_>) -> Answer<Member> {
    let Some(id) = job.successor() else {
        return Err(job.no_successor("there is no successor"));
    };
    let found = job.workspace()?.member(&mut job.call, &id).await?;
    found.filter(|m| !m.is_shut()).ok_or_else(|| {
        job.fault(
            FaultClass::Blocked,
            "the successor's account in the workspace is gone or suspended; waive this, or cancel and hand the departure in with another successor under a new reference",
        )
    })
}
