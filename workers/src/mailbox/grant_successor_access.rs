//! `mailbox.grant_successor_access`: open it, and send as it, for somebody who is
//! still there himself.

use super::mailbox;
use crate::job::{Applied, Job, Seen};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{Answer, Attached, Attachment, DelegationRight, MailboxChange, MailboxRight};

pub(crate) struct GrantSuccessorAccess;

#[async_trait]
impl Procedure for GrantSuccessorAccess {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let (id, found, mut facts) = mailbox(job).await?;
        if found.is_none() {
            return Ok(Seen::facts(facts));
        }
        let held = job
            .mailboxes()?
            .attached(&mut job.call, &id, &Attachment::RightsTo)
            .await?;
        let successor = job.successor();
        let has = |right: &DelegationRight| {
            successor.is_some()
                && held
                    .iter()
                    .any(|a| matches!(a, Attached::Delegation(d) if d.other == successor && d.right == *right))
        };
        facts.set("full_access", has(&DelegationRight::FullAccess));
        facts.set("send_as", has(&DelegationRight::SendAs));
        facts.set("successor_enabled", job.successor_enabled().await?);
        Ok(Seen::facts(facts))
    }

    async fn apply(&self, job: &mut Job<'_>, seen: &Seen) -> Answer<Applied> {
        let id = job.account()?;
        let to = job.needed_successor().await?;
        let mailboxes = job.mailboxes()?;
        for (fact, right) in [
            ("full_access", MailboxRight::FullAccess),
            ("send_as", MailboxRight::SendAs),
        ] {
            if seen.facts.bool(fact) != Some(true) {
                let grant = MailboxChange::Grant { to: to.clone(), right };
                mailboxes.set(job.writing()?, &id, &grant).await?;
            }
        }
        Ok(Applied::All)
    }
}
