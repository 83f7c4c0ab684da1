//! `mailbox.remove_delegations`: both ways, but for what the successor holds
//! on the mailbox: he is to have it.

use super::{detach_all, mailbox};
use crate::job::{Applied, Job, Seen, Things, ids};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{Answer, Attached, Attachment, Direction};

pub(crate) struct RemoveDelegations;

#[async_trait]
impl Procedure for RemoveDelegations {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let (id, found, facts) = mailbox(job).await?;
        if found.is_none() {
            return Ok(Seen::facts(facts));
        }
        let mailboxes = job.mailboxes()?;
        let mut attached = mailboxes
            .attached(&mut job.call, &id, &Attachment::DelegationsTo)
            .await?;
        attached.extend(
            mailboxes
                .attached(&mut job.call, &id, &Attachment::DelegationsFrom)
                .await?,
        );
        let successor = job.successor();
        attached.retain(|one| match one {
            Attached::Delegation(d) => {
                d.direction == Direction::FromOther || successor.is_none() || d.other != successor
            }
            _ => true,
        });
        let facts = facts.with("delegations", ids(attached.iter().map(Attached::key)));
        Ok(Seen::with(facts, Things::Attached(attached)))
    }

    async fn apply(&self, job: &mut Job<'_>, seen: &Seen) -> Answer<Applied> {
        detach_all(job, seen).await
    }
}
