//! `mailbox.remove_inbox_rules`: inbox rules, hidden ones too.

use super::{detach_all, observe_attached};
use crate::job::{Applied, Job, Seen};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{Answer, Attachment};

pub(crate) struct RemoveInboxRules;

#[async_trait]
impl Procedure for RemoveInboxRules {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        observe_attached(job, Attachment::Rules, "rule_ids").await
    }

    async fn apply(&self, job: &mut Job<'_>, seen: &Seen) -> Answer<Applied> {
        detach_all(job, seen).await
    }
}
