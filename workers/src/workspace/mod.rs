//! A workspace's accounts. Its tasks name the account themselves, as the finder
//! found it; each reads it first, because what may be done depends on whether it
//! is open, and because somebody may have made it an administrator meanwhile.
//!
//! One that is not found is gone when the workspace lists it as deleted, or when it
//! has not been found for an hour, looked for again and again, in the company that it was
//! found in: see [`Found`].

pub(crate) mod acknowledged;
pub(crate) mod disable_laptops;
pub(crate) mod discover_apps;
pub(crate) mod hand_over_shared_drives;
pub(crate) mod held;
pub(crate) mod mail;
pub(crate) mod resolve;
pub(crate) mod second_factor;
pub(crate) mod suspend;
pub(crate) mod transfer_files;
pub(crate) mod wipe_account;

use crate::job::{Applied, Job, Seen, Things, ids};
use crate::missed::{LOOK_AGAIN_MS, Missed, is_believed};
use crate::procedure::{Procedure, Wait, When};
use async_trait::async_trait;
use offboard_connectors::{Answer, Member, MemberChange};
use offboard_domain::catalogue::managed::for_a_person;
use offboard_domain::catalogue::workspace::{COMPANY, DELETED_MS};
use offboard_domain::estate;
use offboard_domain::{Facts, FaultClass, ObjectId};

/// Since when it is not found: remembered, and a fact while nothing else is known.
const MISSING_SINCE_MS: &str = "missing_since_ms";
/// An account that is not found.
const MISSED: Missed = Missed {
    since_ms: MISSING_SINCE_MS,
    last_ms: "missed_last_ms",
};
/// That it is listed as deleted: remembered.
const DELETED: &str = "listed_as_deleted";

/// The account that the task is about.
fn account(job: &Job<'_>) -> Answer<ObjectId> {
    job.target.object.clone().ok_or_else(|| {
        job.fault(
            FaultClass::Rejected,
            "the assignment names no account of the workspace; report this",
        )
    })
}

/// Reads it; none when it is not found, which [`known`] tells apart from gone.
async fn look(job: &mut Job<'_>) -> Answer<Option<Member>> {
    let id = account(job)?;
    let workspace = job.workspace()?;
    let found = workspace.member(&mut job.call, &id).await?;
    for name in [DELETED, DELETED_MS] {
        job.remembered.0.remove(name);
    }
    if found.is_some() {
        MISSED.shows(job);
        return Ok(found);
    }
    let absence = workspace.absence(&mut job.call, &id).await?;
    if let (Some(was), Some(is)) = (job.params.text(COMPANY), absence.company.as_deref())
        && was != is
    {
        return Err(job.fault(
            FaultClass::Blocked,
            "the account was found in another company of the vendor's than the one that is looked into now, so that it is not found there says nothing: `admin` in the tenant's configuration is of that other company. Correct it, see that `offboard doctor` is content, then retry",
        ));
    }
    if absence.deleted {
        job.remembered.set(DELETED, true);
    }
    if let Some(at_ms) = absence.deleted_ms {
        job.remembered.set(DELETED_MS, at_ms);
    }
    MISSED.note(job);
    Ok(None)
}

/// What [`look`] has found out, as facts.
fn known(job: &Job<'_>, member: Option<&Member>) -> Facts {
    if member.is_some() {
        return facts(member);
    }
    let since_ms = job.remembered.int(MISSING_SINCE_MS).unwrap_or_else(|| job.now_ms());
    let listed = job.remembered.bool(DELETED) == Some(true);
    if !listed && !is_believed(job, since_ms) {
        return Facts::new().with(MISSING_SINCE_MS, since_ms);
    }
    let mut facts = facts(None);
    if let Some(at_ms) = job.remembered.int(DELETED_MS) {
        facts.set(DELETED_MS, at_ms);
    }
    facts
}

/// Compares the devices that are noted among the facts with what other systems have seen of
/// his. Where none has, nothing is said: whoever looks later compares.
fn compare_with_others(job: &Job<'_>, facts: &mut Facts) {
    let others = estate::heard(job.params);
    if others.is_empty() {
        return;
    }
    let mine = estate::noted(&job.target.system, facts);
    let compared = estate::compare(&mine, &others);
    for (id, elsewhere) in &compared.of {
        facts.set(&format!("elsewhere/{id}"), elsewhere.word());
    }
    let only = compared.only_elsewhere.iter();
    facts.set(
        "only_elsewhere_ids",
        ids(only.map(|(system, id)| for_a_person(system, id))),
    );
}

/// A procedure for an account that waits until it is known what became of one that is
/// not found.
pub(crate) struct Found<P>(pub(crate) P);

#[async_trait]
impl<P: Procedure> Procedure for Found<P> {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        self.0.observe(job).await
    }

    async fn apply(&self, job: &mut Job<'_>, seen: &Seen) -> Answer<Applied> {
        self.0.apply(job, seen).await
    }

    fn wait(&self, job: &Job<'_>, seen: &Seen, when: When) -> Option<Wait> {
        if seen.facts.get(MISSING_SINCE_MS).is_none() {
            return self.0.wait(job, seen, when);
        }
        Some(Wait {
            until: job.call.now().plus(LOOK_AGAIN_MS),
            why: "the account is not found, and not listed as deleted either; whether it is gone shows within the hour"
                .to_owned(),
            remember: job.remembered.clone(),
        })
    }
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
    let mut facts = known(job, member.as_ref());
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
