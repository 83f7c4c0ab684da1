//! `mailbox.hold`: litigation hold.

use super::{change, mailbox};
use crate::job::{Applied, Job, Seen};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{Answer, MailboxChange};

pub(crate) struct HoldMailbox;

#[async_trait]
impl Procedure for HoldMailbox {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let (_, found, mut facts) = mailbox(job).await?;
        if let Some(mailbox) = found {
            facts.set("litigation_hold", mailbox.holds.litigation);
        }
        Ok(Seen::facts(facts))
    }

    async fn apply(&self, job: &mut Job<'_>, _seen: &Seen) -> Answer<Applied> {
        let days = job.params.int("hold_days").and_then(|days| u32::try_from(days).ok());
        change(job, MailboxChange::Hold { days }).await
    }
}
