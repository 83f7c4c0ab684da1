//! What a workspace's mailbox does by itself, and who is let in. A suspended
//! account's settings cannot be read, so it is not asked for them. What was there
//! is kept, whole, and on the record, before it is changed: who dies in between
//! would leave it where nobody finds it.

use super::{known, look, successor, writable};
use crate::job::{Applied, Job, Seen, Things};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{Answer, AutomaticReply, MailChange, Member, WorkspaceMailSettings};
use offboard_domain::{Facts, FaultClass, ObjectId};

/// Reads the account and, where that can be read, its mailbox's settings.
async fn observe(job: &mut Job<'_>) -> Answer<(Facts, Option<(Member, WorkspaceMailSettings)>)> {
    let Some(member) = look(job).await? else {
        return Ok((known(job, None), None));
    };
    let facts = known(job, Some(&member)).with("has_mail", member.has_mail);
    if member.is_shut() || !member.has_mail {
        return Ok((facts, None));
    }
    let settings = job.workspace_mail()?.mail_settings(&mut job.call, &member).await?;
    Ok((facts, Some((member, settings))))
}

fn seen(facts: Facts, read: Option<(Member, WorkspaceMailSettings)>) -> Seen {
    match read {
        Some(read) => Seen::with(facts, Things::MemberMail(Box::new(read))),
        None => Seen::facts(facts),
    }
}

/// That what was there is on the record.
const KEPT: &str = "kept";

async fn change(job: &mut Job<'_>, seen: &Seen, change: &MailChange) -> Answer<Applied> {
    let member = writable(job, seen)?;
    if let Things::MemberMail(both) = &seen.things
        && job.remembered.bool(KEPT) != Some(true)
    {
        job.keep("snapshot.workspace_mail", &both.1).await?;
        job.remembered.set(KEPT, true);
        return Ok(Applied::Part);
    }
    job.workspace_mail()?
        .change_mail(job.writing()?, member, change)
        .await?;
    Ok(Applied::All)
}

/// The account of this id; none when it is gone. Addresses are compared with its
/// own, because mail settings know no ids.
async fn named(job: &mut Job<'_>, id: Option<ObjectId>) -> Answer<Option<Member>> {
    match id {
        Some(id) => job.workspace()?.member(&mut job.call, &id).await,
        None => Ok(None),
    }
}

/// `mailbox.set_automatic_reply_in_workspace`. Texts are compared by their words,
/// as those of every mail system are.
pub(crate) struct SetReply;

#[async_trait]
impl Procedure for SetReply {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let (mut facts, read) = observe(job).await?;
        if let Some((_, settings)) = &read {
            facts.set("automatic_reply", settings.reply.is_some());
            let wanted = job.params.text("reply").map(AutomaticReply::digest_of);
            if let Some(digest) = settings.reply.as_deref().map(AutomaticReply::digest_of) {
                let is_wanted = wanted.as_deref() == Some(digest.as_str());
                let task_s_own = job.params.text("reply_digest").filter(|_| is_wanted).map(str::to_owned);
                facts.set("automatic_reply_digest", task_s_own.unwrap_or(digest));
            }
        }
        Ok(seen(facts, read))
    }

    async fn apply(&self, job: &mut Job<'_>, seen: &Seen) -> Answer<Applied> {
        let Some(text) = job.params.text("reply").map(str::to_owned) else {
            return Err(job.fault(FaultClass::Rejected, "the task has no text to reply with; report this"));
        };
        change(job, seen, &MailChange::Reply { text }).await
    }
}

/// `mailbox.set_forwarding_in_workspace`.
pub(crate) struct SetForwarding;

fn forward_to(job: &Job<'_>) -> Option<ObjectId> {
    job.params.text("forward_to_id").map(ObjectId::from)
}

#[async_trait]
impl Procedure for SetForwarding {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let (mut facts, read) = observe(job).await?;
        if let Some((_, settings)) = &read {
            let wanted = named(job, forward_to(job)).await?;
            facts.set("forwarding", settings.forwards_to.is_some());
            facts.set("keeps_copy", settings.keeps_copy);
            facts.set("forwarding_filter_ids", settings.forwarding_filters.clone());
            if let Some(address) = &settings.forwards_to {
                // Whoever else it is, his address is not told.
                let id = wanted.filter(|w| w.answers_to(address)).map(|w| w.id.0);
                facts.set("forwards_to_id", id.unwrap_or_else(|| "somebody else".to_owned()));
            }
        }
        Ok(seen(facts, read))
    }

    async fn apply(&self, job: &mut Job<'_>, seen: &Seen) -> Answer<Applied> {
        let to = match forward_to(job) {
            None => MailChange::StopForwarding,
            Some(id) => match named(job, Some(id)).await? {
                Some(to) if !to.is_shut() => MailChange::ForwardTo(Box::new(to)),
                _ => {
                    return Err(job.fault(
                        FaultClass::Blocked,
                        "the account that mail is to go to is gone or suspended; waive this, or cancel and hand the departure in with another successor under a new reference",
                    ));
                }
            },
        };
        change(job, seen, &to).await
    }
}

/// `mailbox.grant_successor_access_in_workspace`.
pub(crate) struct GrantAccess;

#[async_trait]
impl Procedure for GrantAccess {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let (mut facts, read) = observe(job).await?;
        if let Some((_, settings)) = &read {
            let who = named(job, job.successor()).await?;
            let has = |who: &Member| settings.delegates.iter().any(|d| who.answers_to(d));
            facts.set("successor_has_access", who.as_ref().is_some_and(has));
        }
        Ok(seen(facts, read))
    }

    async fn apply(&self, job: &mut Job<'_>, seen: &Seen) -> Answer<Applied> {
        let who = successor(job).await?;
        change(job, seen, &MailChange::LetIn(Box::new(who))).await
    }
}
