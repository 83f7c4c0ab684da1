//! What hangs on a mailbox in Exchange: protocols, rules, delegations, phones.

use super::api::Api;
use super::exchange::Cmdlet;
use super::groups::gone_is_fine;
use super::id::is_guid;
use super::read::{flag_in, id_in, text_in, texts_in, time_in};
use crate::{
    Answer, Attached, Call, Delegation, DelegationRight, Direction, InboxRule, MobileDevice, MobileWipe, Protocol,
};
use offboard_domain::{FaultClass, ObjectId};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The switches of each protocol, `true` for on. SMTP AUTH is switched the
/// other way round and apart.
pub(super) const SWITCHES: &[(Protocol, &[&str])] = &[
    (Protocol::ActiveSync, &["ActiveSyncEnabled"]),
    (Protocol::Web, &["OWAEnabled", "OWAforDevicesEnabled"]),
    (Protocol::Mapi, &["MAPIEnabled"]),
    (Protocol::Imap, &["ImapEnabled"]),
    (Protocol::Pop, &["PopEnabled"]),
    (Protocol::Ews, &["EwsEnabled"]),
];

/// Exchange's own rules, which cannot and need not go: they forward nothing.
const OWN_RULES: &[&str] = &["Junk E-mail Rule", "Microsoft.Exchange.OOF."];
/// The entry that every mailbox has for its owner.
const SELF: &str = "NT AUTHORITY\\SELF";
/// The entries of every calendar that stand for nobody in particular.
const NOBODY: &[&str] = &["Default", "Anonymous"];
/// The version of ActiveSync since which an account alone can be wiped.
const ACCOUNT_WIPE_SINCE: (u32, u32) = (16, 1);

impl Api {
    pub(super) async fn open_protocols(&self, call: &mut Call, id: &ObjectId) -> Answer<Vec<Attached>> {
        let Some(row) = self.invoke_one(call, Cmdlet::about("Get-CASMailbox", &id.0)).await? else {
            return Ok(Vec::new());
        };
        let mut open: Vec<Protocol> = SWITCHES
            .iter()
            // What was not read is not proven to be off, but a switch that this
            // Exchange does not have opens nothing.
            .filter(|(_, switches)| switches.iter().any(|s| flag_in(&row[*s]) == Some(true)))
            .map(|(protocol, _)| *protocol)
            .collect();
        // Unset means as the organisation has it, which may be on.
        if flag_in(&row["SmtpClientAuthenticationDisabled"]) != Some(true) {
            open.push(Protocol::SmtpAuth);
        }
        Ok(open
            .into_iter()
            .map(|protocol| Attached::Protocol { protocol })
            .collect())
    }

    pub(super) async fn inbox_rules(&self, call: &mut Call, id: &ObjectId) -> Answer<Vec<Attached>> {
        let ask = |hidden: bool| {
            Cmdlet::new("Get-InboxRule")
                .with("Mailbox", id.0.as_str())
                .with("IncludeHidden", hidden)
        };
        let rule_id = |row: &Value| match &row["RuleIdentity"] {
            Value::Number(n) => Some(n.to_string()),
            other => text_in(other),
        };
        let all = self.invoke(call, ask(true)).await?;
        let shown: BTreeSet<String> = self
            .invoke(call, ask(false))
            .await?
            .iter()
            .filter_map(rule_id)
            .collect();
        let mut rules: Vec<InboxRule> = all
            .iter()
            .filter(|row| {
                !row["Name"]
                    .as_str()
                    .is_some_and(|name| OWN_RULES.iter().any(|own| name.starts_with(own)))
            })
            .filter_map(|row| {
                let id = rule_id(row)?;
                let sends_on = [
                    "ForwardTo",
                    "RedirectTo",
                    "ForwardAsAttachmentTo",
                    "SendTextMessageNotificationTo",
                ]
                .iter()
                .any(|field| !texts_in(&row[*field]).is_empty());
                Some(InboxRule {
                    name: text_in(&row["Name"]),
                    enabled: flag_in(&row["Enabled"]).unwrap_or(true),
                    hidden: !shown.contains(&id),
                    sends_on,
                    original: row.clone(),
                    id,
                })
            })
            .collect();
        rules.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(rules.into_iter().map(Attached::Rule).collect())
    }

    pub(super) async fn delegations_to(&self, call: &mut Call, id: &ObjectId) -> Answer<Vec<Attached>> {
        let Some(mailbox) = self.mailbox_row(call, id).await? else {
            return Ok(Vec::new());
        };
        let full = self.invoke(call, Cmdlet::about("Get-MailboxPermission", &id.0)).await?;
        let send = self
            .invoke(call, Cmdlet::about("Get-RecipientPermission", &id.0))
            .await?;
        let mut held: Vec<(DelegationRight, String)> = Vec::new();
        held.extend(
            full.iter()
                .filter(|r| grants(r, "FullAccess"))
                .filter_map(|r| Some((DelegationRight::FullAccess, text_in(&r["User"])?))),
        );
        held.extend(
            send.iter()
                .filter(|r| grants(r, "SendAs"))
                .filter_map(|r| Some((DelegationRight::SendAs, text_in(&r["Trustee"])?))),
        );
        held.extend(
            texts_in(&mailbox["GrantSendOnBehalfTo"])
                .into_iter()
                .map(|name| (DelegationRight::SendOnBehalf, name)),
        );
        held.retain(|(_, name)| !name.eq_ignore_ascii_case(SELF));
        let mut names: BTreeSet<String> = held
            .iter()
            .map(|(_, n)| n.clone())
            .filter(|n| n.contains('@'))
            .collect();
        // A calendar's entries bear the names that address lists show.
        let on_calendar = self.calendar_holders(call, id).await?;
        names.extend(on_calendar.iter().filter(|n| !is_guid(n)).cloned());
        held.extend(on_calendar.into_iter().map(|name| (DelegationRight::Calendar, name)));
        let accounts = self.accounts_named(call, &names).await?;
        Ok(sorted(held.into_iter().map(|(right, name)| Delegation {
            direction: Direction::ToOther,
            right,
            other: account_of(&name, &accounts),
            other_name: name,
        })))
    }

    /// Who may see or change the calendar, as Exchange names him.
    async fn calendar_holders(&self, call: &mut Call, id: &ObjectId) -> Answer<Vec<String>> {
        let Some(calendar) = self.calendar(call, id).await? else {
            return Ok(Vec::new());
        };
        let rows = self
            .invoke(call, Cmdlet::about("Get-MailboxFolderPermission", &calendar))
            .await?;
        let mut holders = Vec::new();
        for row in rows.iter().filter(|r| opens(r)) {
            match holder(row) {
                Some(name) if NOBODY.iter().any(|n| name.eq_ignore_ascii_case(n)) => {}
                Some(name) => holders.push(name),
                None => {
                    return Err(self.fault_in(
                        "Get-MailboxFolderPermission",
                        FaultClass::Unsupported,
                        "an entry of the calendar does not say whose it is in a way that this version reads; look at it by hand",
                    ));
                }
            }
        }
        Ok(holders)
    }

    /// The main calendar as Exchange's commands name it; none when the mailbox
    /// has none.
    async fn calendar(&self, call: &mut Call, mailbox: &ObjectId) -> Answer<Option<String>> {
        let find = Cmdlet::about("Get-MailboxFolderStatistics", &mailbox.0).with("FolderScope", "Calendar");
        let rows = self.invoke(call, find).await?;
        Ok(calendar_in(mailbox, &rows))
    }

    /// What the account holds on others' mailboxes. Full access can only be
    /// found by looking at every mailbox of the tenant, ten in a request.
    ///
    /// Others' calendars are not looked at: Exchange has no search for whom
    /// they are shared with, and two commands for every mailbox at every look
    /// are more than a tenant's throttling bears. What is shared with him there
    /// opens nothing to an account that cannot sign in.
    pub(super) async fn delegations_from(&self, call: &mut Call, id: &ObjectId) -> Answer<Vec<Attached>> {
        let mailboxes = self
            .invoke(call, Cmdlet::new("Get-Mailbox").with("ResultSize", "Unlimited"))
            .await?;
        let own = mailboxes
            .iter()
            .find(|m| m["ExternalDirectoryObjectId"] == id.0.as_str());
        // Without a mailbox of his own he is no recipient, and holds nothing that Exchange knows.
        let Some(own) = own else { return Ok(Vec::new()) };
        let called: BTreeSet<String> = [
            "ExternalDirectoryObjectId",
            "Name",
            "Identity",
            "DistinguishedName",
            "UserPrincipalName",
        ]
        .iter()
        .filter_map(|f| text_in(&own[*f]))
        .map(|n| n.to_lowercase())
        .collect();
        let others: Vec<(ObjectId, &Value)> = mailboxes
            .iter()
            .filter_map(|m| Some((id_in(&m["ExternalDirectoryObjectId"])?, m)))
            .filter(|(other, _)| other != id)
            .collect();
        let mut found = Vec::new();
        let held_on = |right, other: &ObjectId, row: &Value| Delegation {
            direction: Direction::FromOther,
            right,
            other: Some(other.clone()),
            other_name: text_in(&row["UserPrincipalName"]).unwrap_or_else(|| other.0.clone()),
        };
        for (other, row) in &others {
            if texts_in(&row["GrantSendOnBehalfTo"])
                .iter()
                .any(|name| called.contains(&name.to_lowercase()))
            {
                found.push(held_on(DelegationRight::SendOnBehalf, other, row));
            }
        }
        let send = self
            .invoke(
                call,
                Cmdlet::new("Get-RecipientPermission")
                    .with("Trustee", id.0.as_str())
                    .with("ResultSize", "Unlimited"),
            )
            .await?;
        for grant in send.iter().filter(|r| grants(r, "SendAs")) {
            let names = |m: &Value| {
                ["ExternalDirectoryObjectId", "Identity", "Name"]
                    .iter()
                    .any(|f| m[*f] == grant["Identity"])
            };
            if let Some((other, row)) = others.iter().find(|(_, m)| names(m)) {
                found.push(held_on(DelegationRight::SendAs, other, row));
            }
        }
        let asks: Vec<Cmdlet> = others
            .iter()
            .map(|(other, _)| Cmdlet::about("Get-MailboxPermission", &other.0).with("User", id.0.as_str()))
            .collect();
        for ((other, row), answer) in others.iter().zip(self.invoke_all(call, asks).await) {
            if unless_gone(answer)?.is_some_and(|rows| rows.iter().any(|r| grants(r, "FullAccess"))) {
                found.push(held_on(DelegationRight::FullAccess, other, row));
            }
        }
        Ok(sorted(found.into_iter()))
    }

    pub(super) async fn mobile_devices(&self, call: &mut Call, id: &ObjectId) -> Answer<Vec<Attached>> {
        let rows = self
            .invoke(
                call,
                Cmdlet::new("Get-MobileDeviceStatistics").with("Mailbox", id.0.as_str()),
            )
            .await?;
        let mut found: Vec<MobileDevice> = rows
            .iter()
            .filter_map(|row| {
                let any = |fields: [&str; 2]| fields.iter().any(|f| time_in(&row[*f]).is_some());
                let wipe = if any(["DeviceWipeAckTime", "AccountOnlyDeviceWipeAckTime"]) {
                    MobileWipe::Acknowledged
                } else if any(["DeviceWipeRequestTime", "AccountOnlyDeviceWipeRequestTime"]) {
                    MobileWipe::Pending
                } else {
                    MobileWipe::None
                };
                Some(MobileDevice {
                    id: text_in(&row["Guid"])?,
                    name: text_in(&row["DeviceFriendlyName"])
                        .or_else(|| text_in(&row["FriendlyName"]))
                        .or_else(|| text_in(&row["DeviceModel"])),
                    can_wipe_account: can_wipe_account(row),
                    wipe,
                })
            })
            .collect();
        found.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(found.into_iter().map(Attached::MobileDevice).collect())
    }

    pub(super) async fn detach(&self, call: &mut Call, id: &ObjectId, attached: &Attached) -> Answer<()> {
        let cmdlet = match attached {
            Attached::Protocol { protocol } => {
                let cas = Cmdlet::about("Set-CASMailbox", &id.0);
                match SWITCHES.iter().find(|(p, _)| p == protocol) {
                    Some((_, switches)) => switches.iter().fold(cas, |c, s| c.with(s, false)),
                    None => cas.with("SmtpClientAuthenticationDisabled", true),
                }
            }
            Attached::Rule(rule) => Cmdlet::about("Remove-InboxRule", &rule.id)
                .with("Mailbox", id.0.as_str())
                .with("AlwaysDeleteOutlookRulesBlob", true)
                .with("Confirm", false),
            Attached::Delegation(delegation) => match self.end_of(call, id, delegation).await? {
                Some(cmdlet) => cmdlet,
                None => return Ok(()),
            },
            Attached::MobileDevice(device) => Cmdlet::about("Remove-MobileDevice", &device.id).with("Confirm", false),
            Attached::Meeting(meeting) => return self.cancel_meeting(call, id, meeting).await,
        };
        gone_is_fine(self.invoke(call, cmdlet).await.map(|_| ()))
    }

    /// The command that ends a delegation: on the mailbox that it is on, for him
    /// who holds it. None when it ended with the calendar that it was on.
    async fn end_of(&self, call: &mut Call, subject: &ObjectId, d: &Delegation) -> Answer<Option<Cmdlet>> {
        let other = d.other.as_ref().map_or(d.other_name.as_str(), |id| id.0.as_str());
        let ends = match (d.direction, &d.other) {
            (Direction::ToOther, _) => Some((subject, other)),
            (Direction::FromOther, Some(owner)) => Some((owner, subject.0.as_str())),
            (Direction::FromOther, None) => None,
        };
        let Some((mailbox, holder)) = ends else {
            return Err(self.fault_in(
                "Remove-MailboxPermission",
                FaultClass::Rejected,
                "the delegation does not say on which mailbox it is",
            ));
        };
        Ok(Some(match d.right {
            DelegationRight::FullAccess => Cmdlet::about("Remove-MailboxPermission", &mailbox.0)
                .with("User", holder)
                .with("AccessRights", json!(["FullAccess"]))
                .with("InheritanceType", "All")
                .with("Confirm", false),
            DelegationRight::SendAs => Cmdlet::about("Remove-RecipientPermission", &mailbox.0)
                .with("Trustee", holder)
                .with("AccessRights", json!(["SendAs"]))
                .with("Confirm", false),
            DelegationRight::SendOnBehalf => {
                Cmdlet::about("Set-Mailbox", &mailbox.0).changing("GrantSendOnBehalfTo", "remove", holder)
            }
            DelegationRight::Calendar => match self.calendar(call, mailbox).await? {
                Some(calendar) => Cmdlet::about("Remove-MailboxFolderPermission", &calendar)
                    .with("User", holder)
                    .with("Confirm", false),
                None => return Ok(None),
            },
        }))
    }
}

/// Whether a permission's row gives this right.
fn grants(row: &Value, right: &str) -> bool {
    flag_in(&row["IsInherited"]) != Some(true)
        && flag_in(&row["Deny"]) != Some(true)
        && row["AccessControlType"].as_str().is_none_or(|t| t != "Deny")
        && texts_in(&row["AccessRights"])
            .iter()
            .any(|r| r.eq_ignore_ascii_case(right))
}

fn account_of(name: &str, accounts: &BTreeMap<String, ObjectId>) -> Option<ObjectId> {
    if is_guid(name) {
        Some(ObjectId::from(name))
    } else {
        accounts.get(name).cloned()
    }
}

fn sorted(found: impl Iterator<Item = Delegation>) -> Vec<Attached> {
    let mut found: Vec<Delegation> = found.collect();
    found.sort_by(|a, b| (a.right, &a.other, &a.other_name).cmp(&(b.right, &b.other, &b.other_name)));
    found.into_iter().map(Attached::Delegation).collect()
}

/// The rows of an answer; none when the mailbox went between the list and the look.
fn unless_gone(answer: Answer<Vec<Value>>) -> Answer<Option<Vec<Value>>> {
    match answer {
        Ok(rows) => Ok(Some(rows)),
        Err(fault) if fault.class == FaultClass::Absent => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// The main calendar among them, as commands about a folder name it. Its name is
/// in the owner's language; its type is not.
fn calendar_in(mailbox: &ObjectId, rows: &[Value]) -> Option<String> {
    let row = rows.iter().find(|r| r["FolderType"] == "Calendar")?;
    let path = text_in(&row["FolderPath"]).or_else(|| Some(format!("/{}", row["Name"].as_str()?)))?;
    Some(format!("{}:{}", mailbox.0, path.replace('/', "\\")))
}

/// Whether a folder's entry gives any right.
fn opens(row: &Value) -> bool {
    texts_in(&row["AccessRights"])
        .iter()
        .any(|r| !r.eq_ignore_ascii_case("None"))
}

/// Whose a folder's entry is: the name that is shown, or the account when Exchange
/// writes out what it knows of him.
fn holder(row: &Value) -> Option<String> {
    let user = &row["User"];
    text_in(user)
        .or_else(|| text_in(&user["RecipientPrincipal"]["ExternalDirectoryObjectId"]))
        .or_else(|| text_in(&user["DisplayName"]))
}

fn can_wipe_account(row: &Value) -> bool {
    if row["ClientType"]
        .as_str()
        .is_some_and(|t| t.eq_ignore_ascii_case("Outlook"))
    {
        return true;
    }
    let version = row["ClientVersion"].as_str().unwrap_or("");
    let mut numbers = version.split('.').map(|n| n.parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= ACCOUNT_WIPE_SINCE
}
