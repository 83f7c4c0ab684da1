//! What hangs on a mailbox in Exchange: protocols, rules, delegations, phones.

use super::api::{Api, Ask};
use super::exchange::Cmdlet;
use super::groups::gone_is_fine;
use super::id::is_guid;
use super::path::Path;
use super::permission::READ_MAILBOX_SETTINGS;
use super::read::{flag_in, id_in, text_in, texts_in, time_in};
use crate::area::mailboxes::OtherMailboxes;
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

/// The hidden rule by which Exchange sorts out junk.
const JUNK_RULE: &str = "Junk E-mail Rule";
/// How the names begin of the hidden rules by which Exchange replies automatically.
const REPLY_RULES: &str = "Microsoft.Exchange.OOF.";
/// The actions of a rule that send mail on to somebody.
const SENDS_ON: &[&str] = &[
    "ForwardTo",
    "RedirectTo",
    "ForwardAsAttachmentTo",
    "SendTextMessageNotificationTo",
];
/// The actions that leave a copy of mail elsewhere, or none where it arrived.
const PUTS_AWAY: &[&str] = &["CopyToFolder", "DeleteMessage", "SoftDeleteMessage"];
/// The entry that every mailbox has for its owner.
const SELF: &str = "NT AUTHORITY\\SELF";
/// The rights on a mailbox that no list shows: how a row names each, which command
/// says who has it, and the parameter that asks for one person alone.
const UNLISTED: [(DelegationRight, &str, &str, &str); 2] = [
    (
        DelegationRight::FullAccess,
        "FullAccess",
        "Get-MailboxPermission",
        "User",
    ),
    (DelegationRight::SendAs, "SendAs", "Get-RecipientPermission", "Trustee"),
];
/// What of a recipient's or account's row Exchange's lists may call it.
const NAMES: [&str; 6] = [
    "ExternalDirectoryObjectId",
    "Name",
    "Identity",
    "DistinguishedName",
    "UserPrincipalName",
    "PrimarySmtpAddress",
];
/// The version of ActiveSync since which an account alone can be wiped.
const ACCOUNT_WIPE_SINCE: (u32, u32) = (16, 1);

impl Api {
    pub(super) async fn open_protocols(&self, call: &mut Call, id: &ObjectId) -> Answer<Vec<Attached>> {
        let Some(row) = self.invoke_one(call, Cmdlet::about("Get-CASMailbox", &id.0)).await? else {
            self.without_mailbox(call, id).await?;
            return Ok(Vec::new());
        };
        Ok(open_in(&row)
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
        let mut rules: Vec<InboxRule> = Vec::new();
        for row in &all {
            let Some(rule) = rule_id(row) else { continue };
            let hidden = !shown.contains(&rule);
            if hidden && self.is_exchanges_own(call, id, row).await? {
                continue;
            }
            rules.push(InboxRule {
                name: text_in(&row["Name"]),
                enabled: flag_in(&row["Enabled"]).unwrap_or(true),
                hidden,
                sends_on: does_any(row, SENDS_ON),
                original: row.clone(),
                id: rule,
            });
        }
        rules.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(rules.into_iter().map(Attached::Rule).collect())
    }

    /// Whether a hidden rule is one of Exchange's own, which cannot and need not
    /// go. Its name proves nothing by itself, since anybody can give it to a rule
    /// that he hides: what it does must be no more than what Exchange's own do.
    async fn is_exchanges_own(&self, call: &mut Call, mailbox: &ObjectId, rule: &Value) -> Answer<bool> {
        let name = rule["Name"].as_str().unwrap_or_default();
        let junk = name.eq_ignore_ascii_case(JUNK_RULE);
        let replies = name
            .get(..REPLY_RULES.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(REPLY_RULES));
        if !(junk || replies) || does_any(rule, SENDS_ON) || does_any(rule, PUTS_AWAY) {
            return Ok(false);
        }
        let to = &rule["MoveToFolder"];
        if !is_set(to) {
            return Ok(true);
        }
        if !junk {
            return Ok(false);
        }
        self.is_junk_folder(call, mailbox, to).await
    }

    /// Whether what a rule moves mail to is the mailbox's folder for junk. Its
    /// name is in the owner's language; its type is not.
    async fn is_junk_folder(&self, call: &mut Call, mailbox: &ObjectId, to: &Value) -> Answer<bool> {
        let Some(to) = text_in(to).or_else(|| text_in(&to["Name"])) else {
            return Ok(false);
        };
        // A folder is written as its name, or as its path.
        let name = to.rsplit(['\\', '/']).next().unwrap_or_default();
        let find = Cmdlet::about("Get-MailboxFolderStatistics", &mailbox.0).with("FolderScope", "JunkEmail");
        let rows = self.invoke(call, find).await?;
        let called_so = |row: &Value| row["Name"].as_str().is_some_and(|n| n.eq_ignore_ascii_case(name));
        Ok(rows.iter().any(|r| r["FolderType"] == "JunkEmail" && called_so(r)))
    }

    pub(super) async fn delegations_to(
        &self,
        call: &mut Call,
        id: &ObjectId,
        in_folders: bool,
    ) -> Answer<Vec<Attached>> {
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
        if in_folders {
            // A folder's entries bear the names that address lists show.
            let in_folders = self.folder_holders(call, id).await?;
            names.extend(in_folders.iter().map(|(_, n)| n.clone()).filter(|n| !is_guid(n)));
            held.extend(in_folders);
        }
        let accounts = self.accounts_named(call, &names).await?;
        Ok(sorted(held.into_iter().map(|(right, name)| Delegation {
            direction: Direction::ToOther,
            right,
            other: account_of(&name, &accounts),
            other_name: name,
        })))
    }

    /// A page of the list of others' mailboxes. Whoever looks at all of them needs
    /// of each no more than whose it is and on whose behalf mail is sent: a page
    /// of whole rows would be larger than an answer may be.
    pub(super) async fn others(&self, call: &mut Call, id: &ObjectId, from: Option<&str>) -> Answer<OtherMailboxes> {
        let called = self.names_of(call, id).await?;
        let list = Cmdlet::new("Get-Mailbox")
            .with("ResultSize", "Unlimited")
            .showing("ExternalDirectoryObjectId,GrantSendOnBehalfTo");
        let (rows, next) = self.invoke_page(call, &list, from).await?;
        let mut page = OtherMailboxes {
            next,
            ..OtherMailboxes::default()
        };
        for row in &rows {
            let Some(owner) = id_in(&row["ExternalDirectoryObjectId"]) else {
                continue;
            };
            if owner.0.eq_ignore_ascii_case(&id.0) {
                page.own = true;
                continue;
            }
            if is_sent_for_by(row, &called) {
                page.shown.push(owner.clone());
            }
            page.others.push(owner);
        }
        Ok(page)
    }

    /// By which names Exchange's lists may call the account, in lower case.
    async fn names_of(&self, call: &mut Call, id: &ObjectId) -> Answer<BTreeSet<String>> {
        let Some(own) = self.mailbox_row(call, id).await? else {
            return self.names_without_mailbox(call, id).await;
        };
        Ok(names_in(&own))
    }

    /// Exchange's row of an account without a mailbox: as a recipient, such as a guest
    /// or who only has an address, or else as an account that it has from the directory.
    pub(super) async fn known_row(&self, call: &mut Call, id: &ObjectId) -> Answer<Option<Value>> {
        for cmdlet in ["Get-Recipient", "Get-User"] {
            if let Some(row) = self.invoke_one(call, Cmdlet::about(cmdlet, &id.0)).await? {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    /// The same of an account without a mailbox, as Exchange and the directory have it. Of
    /// one that is only not found for a moment, the settings are read.
    async fn names_without_mailbox(&self, call: &mut Call, id: &ObjectId) -> Answer<BTreeSet<String>> {
        let settings = Ask::get(Path::user(&id.0).then("mailboxSettings"), READ_MAILBOX_SETTINGS);
        match self.send(call, &settings).await {
            Err(fault) if fault.class == FaultClass::Absent => {}
            Err(fault) => return Err(fault),
            Ok(_) => {
                return Err(self.fault_in(
                    "Get-Mailbox",
                    FaultClass::Transient,
                    "the account's own mailbox is not found, and by its names others' are searched; it is read again",
                ));
            }
        }
        let Some(row) = self.known_row(call, id).await? else {
            return Err(self.fault_in(
                "Get-User",
                FaultClass::Transient,
                "Exchange does not know the account that it knew a moment ago; it is read again",
            ));
        };
        let account = self.account(call, id).await?;
        let mut names = names_in(&row);
        let of_directory = [account.id.0, account.user_principal_name]
            .into_iter()
            .chain(account.mail);
        names.extend(of_directory.map(|name| name.to_lowercase()));
        Ok(names)
    }

    /// Those of these mailboxes that the account may open or send as. Exchange has
    /// no search for that: every mailbox is asked.
    ///
    /// Others' folders, calendars among them, are not looked at: `mailbox_folders`
    /// says why.
    pub(super) async fn held_among(
        &self,
        call: &mut Call,
        id: &ObjectId,
        others: &[ObjectId],
    ) -> Answer<Vec<ObjectId>> {
        let mut on: Vec<ObjectId> = self
            .unlisted_rights(call, id, others)
            .await?
            .into_iter()
            .map(|(owner, _)| owner)
            .collect();
        on.dedup();
        Ok(on)
    }

    /// The rights on these mailboxes that no list shows, in the order of the mailboxes.
    async fn unlisted_rights(
        &self,
        call: &mut Call,
        id: &ObjectId,
        others: &[ObjectId],
    ) -> Answer<Vec<(ObjectId, DelegationRight)>> {
        let mut asks = Vec::with_capacity(others.len() * UNLISTED.len());
        let mut about = Vec::with_capacity(others.len() * UNLISTED.len());
        for other in others {
            for (right, word, cmdlet, holder) in UNLISTED {
                asks.push(Cmdlet::about(cmdlet, &other.0).with(holder, id.0.as_str()));
                about.push((other, right, word));
            }
        }
        let mut held = Vec::new();
        let mut not_found = BTreeSet::new();
        for ((other, right, word), answer) in about.into_iter().zip(self.invoke_all(call, asks).await) {
            match unless_gone(answer)? {
                Some(rows) if rows.iter().any(|r| grants(r, word)) => held.push((other.clone(), right)),
                Some(_) => {}
                None => drop(not_found.insert(other)),
            }
        }
        self.must_be_gone(call, &not_found).await?;
        Ok(held)
    }

    /// Whether these mailboxes are really gone: what is not found may also be whoever was
    /// asked for, and then nothing was said about any of them.
    async fn must_be_gone(&self, call: &mut Call, mailboxes: &BTreeSet<&ObjectId>) -> Answer<()> {
        let asks: Vec<Cmdlet> = mailboxes
            .iter()
            .map(|id| Cmdlet::about("Get-Mailbox", &id.0).showing("ExternalDirectoryObjectId"))
            .collect();
        for answer in self.invoke_all(call, asks).await {
            if unless_gone(answer)?.is_some_and(|rows| !rows.is_empty()) {
                return Err(self.fault_in(
                    UNLISTED[0].2,
                    FaultClass::Transient,
                    "the mailbox is there, and Exchange did not find whose rights on it were asked for; it is read again",
                ));
            }
        }
        Ok(())
    }

    /// What the account holds on these mailboxes of others.
    pub(super) async fn delegations_on(
        &self,
        call: &mut Call,
        id: &ObjectId,
        others: &[ObjectId],
    ) -> Answer<Vec<Attached>> {
        if others.is_empty() {
            return Ok(Vec::new());
        }
        let called = self.names_of(call, id).await?;
        let asks: Vec<Cmdlet> = others
            .iter()
            .map(|other| Cmdlet::about("Get-Mailbox", &other.0).showing("UserPrincipalName,GrantSendOnBehalfTo"))
            .collect();
        let mut names: BTreeMap<ObjectId, String> = BTreeMap::new();
        let mut held = Vec::new();
        for (other, answer) in others.iter().zip(self.invoke_all(call, asks).await) {
            let Some(row) = unless_gone(answer)?.and_then(|rows| rows.into_iter().next()) else {
                continue;
            };
            if is_sent_for_by(&row, &called) {
                held.push((other.clone(), DelegationRight::SendOnBehalf));
            }
            if let Some(name) = text_in(&row["UserPrincipalName"]) {
                names.insert(other.clone(), name);
            }
        }
        held.extend(self.unlisted_rights(call, id, others).await?);
        Ok(sorted(held.into_iter().map(|(other, right)| Delegation {
            direction: Direction::FromOther,
            right,
            other_name: names.get(&other).cloned().unwrap_or_else(|| other.0.clone()),
            other: Some(other),
        })))
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
    /// who holds it. None when it ended with the folder that it was on.
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
            right @ (DelegationRight::Calendar | DelegationRight::Folder(_)) => {
                match self.folder_of(call, mailbox, right).await? {
                    Some(folder) => Cmdlet::about("Remove-MailboxFolderPermission", &folder)
                        .with("User", holder)
                        .with("Confirm", false),
                    None => return Ok(None),
                }
            }
        }))
    }
}

/// The protocols that a mailbox's row does not say to be off. A switch that is null
/// is as the organisation has it, which may be on. Nor does one that is missing
/// prove anything: this Exchange may have no such way in, but a row that lacks what
/// every mailbox has may as well be half an answer. It counts as open, is switched
/// off with the others, and is for a person if it is never said.
fn open_in(row: &Value) -> Vec<Protocol> {
    let mut open: Vec<Protocol> = SWITCHES
        .iter()
        .filter(|(_, switches)| switches.iter().any(|s| flag_in(&row[*s]) != Some(false)))
        .map(|(protocol, _)| *protocol)
        .collect();
    if flag_in(&row["SmtpClientAuthenticationDisabled"]) != Some(true) {
        open.push(Protocol::SmtpAuth);
    }
    open
}

/// Whether a rule has one of these actions.
fn does_any(rule: &Value, actions: &[&str]) -> bool {
    actions.iter().any(|action| is_set(&rule[*action]))
}

/// Whether an action's field says anything, however Exchange writes it out: what
/// is missing, empty or off is no action.
fn is_set(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(on) => *on,
        Value::String(text) => !text.is_empty() && !text.eq_ignore_ascii_case("false"),
        Value::Array(items) => items.iter().any(is_set),
        Value::Number(_) | Value::Object(_) => true,
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

/// By which names lists may call whom this row is of, in lower case.
fn names_in(row: &Value) -> BTreeSet<String> {
    let names = NAMES.iter().filter_map(|field| text_in(&row[*field]));
    names.map(|name| name.to_lowercase()).collect()
}

/// Whether somebody of these names may send on the mailbox's behalf.
fn is_sent_for_by(row: &Value, called: &BTreeSet<String>) -> bool {
    texts_in(&row["GrantSendOnBehalfTo"])
        .iter()
        .any(|name| called.contains(&name.to_lowercase()))
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

/// The rows of an answer; none when what was asked went between the list and the look.
pub(super) fn unless_gone(answer: Answer<Vec<Value>>) -> Answer<Option<Vec<Value>>> {
    match answer {
        Ok(rows) => Ok(Some(rows)),
        Err(fault) if fault.class == FaultClass::Absent => Ok(None),
        Err(fault) => Err(fault),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_to_be_off_is_open() {
        let mut row = json!({"DisplayName": "x", "SmtpClientAuthenticationDisabled": true});
        for (_, switches) in SWITCHES {
            for switch in *switches {
                row[*switch] = json!(false);
            }
        }
        assert_eq!(open_in(&row), []);
        for said in [json!(null), json!(true), json!("True"), json!("maybe")] {
            let mut row = row.clone();
            row["EwsEnabled"] = said.clone();
            assert_eq!(open_in(&row), [Protocol::Ews], "{said}");
        }
        row["OWAforDevicesEnabled"] = json!(null);
        row["SmtpClientAuthenticationDisabled"] = json!(null);
        assert_eq!(open_in(&row), [Protocol::Web, Protocol::SmtpAuth]);
        // Missing beside the others, it is not said to be off either.
        let missing = json!({"ActiveSyncEnabled": false, "OWAEnabled": false, "OWAforDevicesEnabled": false,
            "MAPIEnabled": false, "ImapEnabled": false, "PopEnabled": "False", "SmtpClientAuthenticationDisabled": true});
        assert_eq!(open_in(&missing), [Protocol::Ews]);
    }
}
