//! Mailboxes: Exchange's record, Graph's independent view of it, and the
//! changes of the mailbox itself. What hangs on it is in `mailbox_parts` and
//! `meetings`.

use super::GraphConnector;
use super::api::{Api, Ask};
use super::exchange::Cmdlet;
use super::id::is_guid;
use super::path::Path;
use super::permission::{READ_MAILBOX_SETTINGS, WRITE_MAILBOX_SETTINGS};
use super::read::{flag_in, id_in, size_in, text_in, texts_in};
use crate::area::mailboxes::{OtherMailboxes, SIZE_NOT_SAID};
use crate::{
    Answer, Attached, Attachment, AutomaticReply, Call, ForwardTo, Forwarding, Holds, Mailbox, MailboxChange,
    MailboxRight, MailboxSettings, MailboxUsage, Mailboxes,
};
use async_trait::async_trait;
use offboard_domain::{Fault, FaultClass, ObjectId};
use serde_json::{Value, json};

impl Api {
    /// Exchange's row of a mailbox; none when there is none.
    pub(super) async fn mailbox_row(&self, call: &mut Call, id: &ObjectId) -> Answer<Option<Value>> {
        self.invoke_one(call, Cmdlet::about("Get-Mailbox", &id.0)).await
    }

    /// Whether there is really no mailbox, where a part of one was not found: that
    /// of one that is there comes back.
    pub(super) async fn without_mailbox(&self, call: &mut Call, id: &ObjectId) -> Answer<()> {
        match self.mailbox_row(call, id).await? {
            None => Ok(()),
            Some(_) => Err(self.fault_in(
                "Get-Mailbox",
                FaultClass::Transient,
                "a part of the mailbox was not found, and the mailbox is there; it is read again",
            )),
        }
    }

    /// Whether the mailbox's folders are listed, and nothing is in any of them.
    async fn has_empty_folders(&self, call: &mut Call, id: &ObjectId) -> Answer<bool> {
        let list = Cmdlet::about("Get-MailboxFolderStatistics", &id.0).showing("ItemsInFolder");
        let folders = self.invoke_list(call, &list).await?;
        Ok(!folders.is_empty() && folders.iter().all(|f| count_in(&f["ItemsInFolder"]) == Some(0)))
    }

    async fn forwarding(&self, call: &mut Call, row: &Value) -> Answer<Forwarding> {
        let mut to = Vec::new();
        if let Some(recipient) = text_in(&row["ForwardingAddress"]) {
            to.push(self.recipient(call, recipient).await?);
        }
        if let Some(address) = text_in(&row["ForwardingSmtpAddress"]) {
            let bare = address.strip_prefix("smtp:").or_else(|| address.strip_prefix("SMTP:"));
            to.push(ForwardTo::Address(bare.unwrap_or(&address).to_owned()));
        }
        Ok(Forwarding {
            to,
            keeps_copy: flag_in(&row["DeliverToMailboxAndForward"]).unwrap_or(false),
        })
    }

    /// Whom a recipient's name in Exchange means in the directory. Exchange
    /// names accounts by their directory id; older recipients by a name.
    async fn recipient(&self, call: &mut Call, name: String) -> Answer<ForwardTo> {
        if is_guid(&name) {
            return Ok(ForwardTo::Account(ObjectId(name)));
        }
        let row = self.invoke_one(call, Cmdlet::about("Get-Recipient", &name)).await?;
        Ok(match row.and_then(|r| id_in(&r["ExternalDirectoryObjectId"])) {
            Some(id) => ForwardTo::Account(id),
            None => ForwardTo::Recipient(name),
        })
    }
}

/// A count that Exchange may also write as a text.
fn count_in(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// How long a hold lasts, in whole days: `30.00:00:00`, or `Unlimited`, which
/// is also what none says. Of what is neither there is no answer.
fn hold_days(duration: &Value) -> Option<Option<i64>> {
    let Some(text) = text_in(duration) else {
        return duration.is_null().then_some(None);
    };
    if text.eq_ignore_ascii_case("unlimited") {
        return Some(None);
    }
    // Below a day there is no dot before the hours.
    let days = text.split_once(':')?.0.split_once('.').map_or("0", |(days, _)| days);
    days.parse().ok().map(Some)
}

/// What Exchange's row says about holds; none when it cannot be read. Entries
/// with a minus are exclusions.
fn holds(row: &Value) -> Option<Holds> {
    let mut others: Vec<String> = texts_in(&row["InPlaceHolds"])
        .into_iter()
        .filter(|h| !h.starts_with('-'))
        .collect();
    for flag in [
        "ComplianceTagHoldApplied",
        "DelayHoldApplied",
        "DelayReleaseHoldApplied",
    ] {
        if flag_in(&row[flag]) == Some(true) {
            others.push(flag.to_owned());
        }
    }
    let litigation = flag_in(&row["LitigationHoldEnabled"]).unwrap_or(false);
    let litigation_days = if litigation {
        hold_days(&row["LitigationHoldDuration"])?
    } else {
        None
    };
    Some(Holds {
        litigation,
        litigation_days,
        others,
    })
}

#[async_trait]
impl Mailboxes for GraphConnector {
    async fn mailbox(&self, call: &mut Call, id: &ObjectId) -> Answer<Option<Mailbox>> {
        let Some(row) = self.api.mailbox_row(call, id).await? else {
            return Ok(None);
        };
        let (Some(mailbox_id), Some(recipient_type), Some(holds)) = (
            text_in(&row["ExchangeGuid"]).or_else(|| text_in(&row["Guid"])),
            text_in(&row["RecipientTypeDetails"]),
            holds(&row),
        ) else {
            return Err(self.api.fault_in(
                "Get-Mailbox",
                FaultClass::Transient,
                "the answer has not the shape of a mailbox; it is read again",
            ));
        };
        Ok(Some(Mailbox {
            mailbox_id,
            recipient_type,
            hidden: flag_in(&row["HiddenFromAddressListsEnabled"]).unwrap_or(false),
            forwarding: self.api.forwarding(call, &row).await?,
            holds,
            archive: text_in(&row["ArchiveStatus"]).is_some_and(|s| s != "None"),
            synced: flag_in(&row["IsDirSynced"]).unwrap_or(false),
        }))
    }

    async fn settings(&self, call: &mut Call, id: &ObjectId) -> Answer<Option<MailboxSettings>> {
        let ask = Ask::get(Path::user(&id.0).then("mailboxSettings"), READ_MAILBOX_SETTINGS);
        let body = match self.api.send(call, &ask).await {
            Ok(reply) => reply.body,
            Err(fault) if fault.class == FaultClass::Absent => return Ok(None),
            Err(fault) => return Err(fault),
        };
        let reply = &body["automaticRepliesSetting"];
        let text = |name: &str| reply[name].as_str().unwrap_or("").to_owned();
        Ok(Some(MailboxSettings {
            purpose: text_in(&body["userPurpose"]),
            automatic_reply: AutomaticReply {
                status: text("status"),
                internal: text("internalReplyMessage"),
                external: text("externalReplyMessage"),
                audience: text("externalAudience"),
            },
        }))
    }

    async fn usage(&self, call: &mut Call, id: &ObjectId) -> Answer<MailboxUsage> {
        let shape = || {
            self.api.fault_in(
                "Get-MailboxStatistics",
                FaultClass::Transient,
                "the answer does not say the mailbox's size; it is read again",
            )
        };
        let unsaid = || Fault {
            code: Some(SIZE_NOT_SAID.to_owned()),
            ..shape()
        };
        let row = self
            .api
            .invoke(call, Cmdlet::about("Get-MailboxStatistics", &id.0))
            .await?
            .into_iter()
            .next();
        // A mailbox that nobody ever opened has no statistics. Nor has any other in an
        // answer that came too early or from elsewhere, and what is too large to be a
        // shared one would count as empty: its folders must say the same.
        let Some(row) = row else {
            if self.api.has_empty_folders(call, id).await? {
                return Ok(MailboxUsage {
                    size_bytes: 0,
                    items: 0,
                });
            }
            return Err(unsaid());
        };
        Ok(MailboxUsage {
            size_bytes: size_in(&row["TotalItemSize"]).ok_or_else(shape)?,
            items: count_in(&row["ItemCount"]).unwrap_or(0),
        })
    }

    async fn set(&self, call: &mut Call, id: &ObjectId, change: &MailboxChange) -> Answer<()> {
        let set = || Cmdlet::about("Set-Mailbox", &id.0);
        let cmdlet = match change {
            MailboxChange::BlockProtocols => block_protocols(id),
            // Said also when none is wanted: a shorter one may be there.
            MailboxChange::Hold { days: None } => set()
                .with("LitigationHoldEnabled", true)
                .with("LitigationHoldDuration", "Unlimited"),
            MailboxChange::Hold { days: Some(days) } => set()
                .with("LitigationHoldEnabled", true)
                .with("LitigationHoldDuration", format!("{days}.00:00:00")),
            MailboxChange::Hide => set().with("HiddenFromAddressListsEnabled", true),
            MailboxChange::AutomaticReply { text } => {
                let body = json!({"automaticRepliesSetting": {
                    "status": "alwaysEnabled",
                    "externalAudience": "all",
                    "internalReplyMessage": text,
                    "externalReplyMessage": text,
                }});
                let ask = Ask::patch(Path::user(&id.0).then("mailboxSettings"), WRITE_MAILBOX_SETTINGS, body);
                return self.api.send(call, &ask).await.map(|_| ());
            }
            MailboxChange::Forward { to: Some(to) } => set()
                .with("ForwardingAddress", to.0.as_str())
                .with("ForwardingSmtpAddress", Value::Null)
                .with("DeliverToMailboxAndForward", true),
            MailboxChange::Forward { to: None } => set()
                .with("ForwardingAddress", Value::Null)
                .with("ForwardingSmtpAddress", Value::Null)
                .with("DeliverToMailboxAndForward", false),
            MailboxChange::ConvertToShared => set().with("Type", "Shared"),
            MailboxChange::Grant {
                to,
                right: MailboxRight::FullAccess,
            } => Cmdlet::about("Add-MailboxPermission", &id.0)
                .with("User", to.0.as_str())
                .with("AccessRights", json!(["FullAccess"]))
                .with("InheritanceType", "All")
                .with("AutoMapping", true),
            MailboxChange::Grant {
                to,
                right: MailboxRight::SendAs,
            } => Cmdlet::about("Add-RecipientPermission", &id.0)
                .with("Trustee", to.0.as_str())
                .with("AccessRights", json!(["SendAs"]))
                .with("Confirm", false),
            MailboxChange::WipeAccountOn { device } => Cmdlet::about("Clear-MobileDevice", &device.id)
                .with("AccountOnly", true)
                .with("Confirm", false),
            MailboxChange::HandOverMeeting { meeting, to } => {
                return self.api.hand_over_meeting(call, id, meeting, to).await;
            }
        };
        self.api.invoke(call, cmdlet).await.map(|_| ())
    }

    async fn attached(&self, call: &mut Call, id: &ObjectId, what: &Attachment) -> Answer<Vec<Attached>> {
        match what {
            Attachment::Protocols => self.api.open_protocols(call, id).await,
            Attachment::Rules => self.api.inbox_rules(call, id).await,
            Attachment::RightsTo => self.api.delegations_to(call, id, false).await,
            Attachment::DelegationsTo => self.api.delegations_to(call, id, true).await,
            Attachment::DelegationsOn { others } => self.api.delegations_on(call, id, others).await,
            Attachment::MobileDevices => self.api.mobile_devices(call, id).await,
            Attachment::Meetings => self.api.meetings(call, id).await,
            Attachment::OrphanMeetings { successor } => self.api.orphan_meetings(call, id, successor).await,
        }
    }

    async fn detach(&self, call: &mut Call, id: &ObjectId, attached: &Attached) -> Answer<()> {
        self.api.detach(call, id, attached).await
    }

    async fn knows(&self, call: &mut Call, id: &ObjectId) -> Answer<bool> {
        Ok(self.api.known_row(call, id).await?.is_some())
    }

    async fn others(&self, call: &mut Call, id: &ObjectId, from: Option<&str>) -> Answer<OtherMailboxes> {
        self.api.others(call, id, from).await
    }

    async fn held_among(&self, call: &mut Call, id: &ObjectId, others: &[ObjectId]) -> Answer<Vec<ObjectId>> {
        self.api.held_among(call, id, others).await
    }
}

/// Every way in, switched off in one command.
fn block_protocols(id: &ObjectId) -> Cmdlet {
    let mut cmdlet = Cmdlet::about("Set-CASMailbox", &id.0);
    for (_, parameters) in super::mailbox_parts::SWITCHES {
        for parameter in *parameters {
            cmdlet = cmdlet.with(parameter, false);
        }
    }
    cmdlet.with("SmtpClientAuthenticationDisabled", true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holds_duration_is_read_in_days_or_not_at_all() {
        for (said, days) in [
            (json!("Unlimited"), Some(None)),
            (json!(null), Some(None)),
            (json!("365.00:00:00"), Some(Some(365))),
            (json!("12:00:00"), Some(Some(0))),
            (json!("for long"), None),
            (json!(30), None),
        ] {
            assert_eq!(hold_days(&said), days, "{said}");
        }
    }
}
