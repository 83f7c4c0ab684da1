//! `mailbox.set_forwarding`: to the successor, or none at all.

use super::{change, mailbox};
use crate::job::{Applied, Job, Seen};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{Answer, ForwardTo, MailboxChange};
use offboard_domain::ObjectId;

pub(crate) struct SetForwarding;

#[async_trait]
impl Procedure for SetForwarding {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let (_, found, mut facts) = mailbox(job).await?;
        if let Some(mailbox) = found {
            facts.set("forwarding", !mailbox.forwarding.to.is_empty());
            facts.set("keeps_copy", mailbox.forwarding.keeps_copy);
            // Only an account alone is one that can be named here; an address
            // is somebody's personal data, and several are not what is wanted.
            if let [ForwardTo::Account(id)] = mailbox.forwarding.to.as_slice() {
                facts.set("forwards_to_id", id.0.as_str());
            }
        }
        Ok(Seen::facts(facts))
    }

    async fn apply(&self, job: &mut Job<'_>, _seen: &Seen) -> Answer<Applied> {
        let to = job.params.text("forward_to_id").map(ObjectId::from);
        if let Some(to) = &to {
            job.must_stay(to).await?;
        }
        change(job, MailboxChange::Forward { to }).await
    }
}
