//! `mailbox.set_automatic_reply`. The mail system wraps and reflows a text, so
//! two texts are compared by their words; where the words are the wanted ones,
//! the digest in the observation is the task's own.

use super::{change, mailbox};
use crate::job::{Applied, Job, Seen};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{Answer, AutomaticReply, MailboxChange};
use offboard_domain::FaultClass;

pub(crate) struct SetAutomaticReply;

#[async_trait]
impl Procedure for SetAutomaticReply {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let (id, found, mut facts) = mailbox(job).await?;
        if found.is_none() {
            return Ok(Seen::facts(facts));
        }
        let reply = job
            .mailboxes()?
            .settings(&mut job.call, &id)
            .await?
            .map(|s| s.automatic_reply)
            .unwrap_or_default();
        facts.set("automatic_reply_status", reply.status.as_str());
        let wanted = job.params.text("reply").map(AutomaticReply::digest_of);
        if let Some(digest) = reply.digest() {
            let is_wanted = wanted.as_deref() == Some(digest.as_str());
            let task_s_own = job.params.text("reply_digest").filter(|_| is_wanted).map(str::to_owned);
            facts.set("automatic_reply_digest", task_s_own.unwrap_or(digest));
        }
        Ok(Seen::facts(facts))
    }

    async fn apply(&self, job: &mut Job<'_>, _seen: &Seen) -> Answer<Applied> {
        let Some(text) = job.params.text("reply").map(str::to_owned) else {
            return Err(job.fault(FaultClass::Rejected, "the task has no text to reply with; report this"));
        };
        change(job, MailboxChange::AutomaticReply { text }).await
    }
}
