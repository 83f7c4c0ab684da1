//! `mailbox.hide_from_address_lists`.

use super::{change, mailbox};
use crate::job::{Applied, Job, Seen};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{Answer, MailboxChange};

pub(crate) struct HideFromAddressLists;

#[async_trait]
impl Procedure for HideFromAddressLists {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let (_, found, mut facts) = mailbox(job).await?;
        if let Some(mailbox) = found {
            facts.set("hidden", mailbox.hidden);
            facts.set("synced", mailbox.synced);
        }
        Ok(Seen::facts(facts))
    }

    async fn apply(&self, job: &mut Job<'_>, _seen: &Seen) -> Answer<Applied> {
        change(job, MailboxChange::Hide).await
    }
}
