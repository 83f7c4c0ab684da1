//! `mailbox.hold`: litigation hold. It is written only when there is none or a
//! shorter one than wanted, so a longer one is never shortened.

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
            let holds = &mailbox.holds;
            facts.set("litigation_hold", holds.litigation);
            if holds.litigation {
                facts.set("held_unlimited", holds.litigation_days.is_none());
            }
            if let Some(days) = holds.litigation_days {
                facts.set("held_days", days);
            }
        }
        Ok(Seen::facts(facts))
    }

    async fn apply(&self, job: &mut Job<'_>, _seen: &Seen) -> Answer<Applied> {
        let days = job.params.int("hold_days").and_then(|days| u32::try_from(days).ok());
        change(job, MailboxChange::Hold { days }).await
    }
}
