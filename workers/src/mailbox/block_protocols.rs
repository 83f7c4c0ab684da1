//! `mailbox.block_protocols`: every way in is off, and with them application passwords.

use super::{change, observe_attached};
use crate::job::{Applied, Job, Seen};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{Answer, Attachment, MailboxChange};

pub(crate) struct BlockProtocols;

#[async_trait]
impl Procedure for BlockProtocols {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        observe_attached(job, Attachment::Protocols, "open_protocols").await
    }

    async fn apply(&self, job: &mut Job<'_>, _seen: &Seen) -> Answer<Applied> {
        change(job, MailboxChange::BlockProtocols).await
    }
}
