//! `mailbox.snapshot`: rules, forwarding, delegates, protocols, phones, size
//! and holds as they were before the first write to them.
//!
//! Everything else waits for it, so it reads what is on his own mailbox, and is
//! quick. What he holds on others' is found by looking at every mailbox of the
//! tenant, which is for `mailbox.remove_delegations`: it records that before it
//! removes it, and can be gone without.

use super::mailbox;
use crate::job::{Job, Seen, count, ids};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_connectors::{Answer, Attached, Attachment, Mailbox, MailboxSettings, MailboxUsage, SIZE_NOT_SAID};
use offboard_domain::FaultClass;
use serde::Serialize;

pub(crate) struct SnapshotMailbox;

#[derive(Serialize)]
struct Whole<'a> {
    mailbox: &'a Mailbox,
    settings: Option<&'a MailboxSettings>,
    usage: Option<&'a MailboxUsage>,
    protocols: &'a [Attached],
    rules: &'a [Attached],
    delegations_to: &'a [Attached],
    mobile_devices: &'a [Attached],
}

#[async_trait]
impl Procedure for SnapshotMailbox {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let (id, found, facts) = mailbox(job).await?;
        let Some(mailbox) = found else {
            return Ok(Seen::facts(facts));
        };
        let mailboxes = job.mailboxes()?;
        let settings = mailboxes.settings(&mut job.call, &id).await?;
        // What only describes it does not keep everything else from being done: whoever
        // hangs on its size or on its folders reads them by himself.
        let usage = match mailboxes.usage(&mut job.call, &id).await {
            Ok(usage) => Some(usage),
            Err(fault) if fault.code.as_deref() == Some(SIZE_NOT_SAID) => None,
            Err(fault) => return Err(fault),
        };
        let protocols = mailboxes.attached(&mut job.call, &id, &Attachment::Protocols).await?;
        let rules = mailboxes.attached(&mut job.call, &id, &Attachment::Rules).await?;
        let (delegations_to, folders_read) =
            match mailboxes.attached(&mut job.call, &id, &Attachment::DelegationsTo).await {
                Ok(all) => (all, true),
                Err(fault) if matches!(fault.class, FaultClass::Blocked | FaultClass::Unsupported) => {
                    let rights = Attachment::RightsTo;
                    (mailboxes.attached(&mut job.call, &id, &rights).await?, false)
                }
                Err(fault) => return Err(fault),
            };
        let mobile_devices = mailboxes
            .attached(&mut job.call, &id, &Attachment::MobileDevices)
            .await?;
        let whole = Whole {
            mailbox: &mailbox,
            settings: settings.as_ref(),
            usage: usage.as_ref(),
            protocols: &protocols,
            rules: &rules,
            delegations_to: &delegations_to,
            mobile_devices: &mobile_devices,
        };
        job.keep("snapshot.mailbox", &whole).await?;
        let mut facts = facts
            .with("recipient_type", mailbox.recipient_type.as_str())
            .with("hidden", mailbox.hidden)
            .with("forwarding", !mailbox.forwarding.to.is_empty())
            .with("on_hold", mailbox.holds.any())
            .with("archive", mailbox.archive)
            .with("open_protocols", ids(protocols.iter().map(Attached::key)))
            .with("rule_count", count(rules.len()))
            .with("delegation_count", count(delegations_to.len()))
            .with("delegations_on_others", "not looked at")
            .with("mobile_device_count", count(mobile_devices.len()));
        match &usage {
            Some(usage) => {
                facts.set("size_bytes", usage.size_bytes);
                facts.set("items", usage.items);
            }
            None => facts.set("size", "not said"),
        }
        if !folders_read {
            facts.set("delegations_by_folder", "not read");
        }
        Ok(Seen::facts(facts))
    }
}
