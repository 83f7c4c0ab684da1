//! Cmdlets about what a mailbox does by itself: rules, automatic replies, the calendar.

use serde_json::{Value, json};

use super::{CmdletOutput, Given, done, nothing_changed, rows};
use crate::world::journal::Effect;
use crate::world::{Cx, Tenant, VendorError};

const DAY_MS: i64 = 86_400_000;

impl Tenant {
    pub(super) fn get_inbox_rule(&self, cx: &Cx, given: &Given) -> Result<CmdletOutput, VendorError> {
        given.only(&["Mailbox", "IncludeHidden", "Identity"])?;
        let mailbox = self.mailbox_seen(cx, given.required("Mailbox")?)?;
        let hidden = given.flag("IncludeHidden").unwrap_or(false);
        Ok(rows(
            mailbox
                .rules
                .iter()
                .filter(|rule| hidden || !(rule.hidden || rule.system))
                .map(|rule| {
                    json!({
                        "Enabled": true,
                        "ForwardTo": rule.forward_to.iter().collect::<Vec<_>>(),
                        "Identity": format!("{}\\{}", mailbox.alias, rule.rule_id),
                        "MailboxOwnerId": mailbox.alias,
                        "Name": rule.name,
                        "Priority": rule.sequence,
                        "RuleIdentity": rule.rule_id,
                    })
                })
                .collect(),
        ))
    }

    pub(super) fn remove_inbox_rule(&mut self, cx: &Cx, given: &Given) -> Result<CmdletOutput, VendorError> {
        given.only(&["Mailbox", "Identity", "AlwaysDeleteOutlookRulesBlob"])?;
        let identity = match given.get("Identity") {
            Some(Value::Number(number)) => number.to_string(),
            _ => given.required("Identity")?.to_owned(),
        };
        let (of, rule) = identity
            .rsplit_once('\\')
            .map_or((None, identity.as_str()), |(of, rule)| (Some(of), rule));
        let id = self.mailbox_id(match (given.text("Mailbox"), of) {
            (Some(mailbox), _) => mailbox,
            (None, Some(of)) => of,
            (None, None) => given.required("Mailbox")?,
        })?;
        let found = self.mailboxes.get(&id).and_then(|mailbox| {
            mailbox
                .rules
                .iter()
                .find(|row| row.rule_id.to_string() == rule || row.name == rule)
                .cloned()
        });
        let Some(found) = found else {
            return Err(VendorError::cmdlet(
                404,
                "RuleNotFoundException",
                format!("The Inbox rule '{identity}' couldn't be found."),
            ));
        };
        if found.system {
            return Err(VendorError::cmdlet(
                400,
                "RuleException",
                format!(
                    "The Inbox rule '{}' is managed by Exchange and can't be removed.",
                    found.name
                ),
            ));
        }
        if let Some(mailbox) = self.mailboxes.edit(&id, cx.now) {
            mailbox.rules.retain(|row| row.rule_id != found.rule_id);
        }
        self.note(cx.now, cx.actor(), Effect::InboxRuleRemoved, &id, &found.id);
        Ok(done())
    }

    pub(super) fn get_auto_reply(&self, cx: &Cx, given: &Given) -> Result<CmdletOutput, VendorError> {
        given.only(&["Identity"])?;
        let mailbox = self.mailbox_seen(cx, given.required("Identity")?)?;
        let state = match mailbox.reply.status.as_str() {
            "alwaysEnabled" => "Enabled",
            "scheduled" => "Scheduled",
            _ => "Disabled",
        };
        let audience = match mailbox.reply.audience.as_str() {
            "all" => "All",
            "contactsOnly" => "Known",
            _ => "None",
        };
        Ok(rows(vec![json!({
            "AutoReplyState": state,
            "ExternalAudience": audience,
            "ExternalMessage": mailbox.reply.external,
            "Identity": mailbox.owner,
            "InternalMessage": mailbox.reply.internal,
            "MailboxOwnerId": mailbox.owner,
        })]))
    }

    pub(super) fn set_auto_reply_configuration(&mut self, cx: &Cx, given: &Given) -> Result<CmdletOutput, VendorError> {
        given.only(&[
            "Identity",
            "AutoReplyState",
            "ExternalAudience",
            "ExternalMessage",
            "InternalMessage",
        ])?;
        let id = self.mailbox_id(given.required("Identity")?)?;
        let Some(mailbox) = self.mailboxes.edit(&id, cx.now) else {
            return Err(VendorError::no_recipient(&id));
        };
        let before = mailbox.reply.clone();
        if let Some(state) = given.text("AutoReplyState") {
            mailbox.reply.status = match state.to_ascii_lowercase().as_str() {
                "enabled" => "alwaysEnabled",
                "scheduled" => "scheduled",
                _ => "disabled",
            }
            .to_owned();
        }
        if let Some(audience) = given.text("ExternalAudience") {
            mailbox.reply.audience = match audience.to_ascii_lowercase().as_str() {
                "all" => "all",
                "known" => "contactsOnly",
                _ => "none",
            }
            .to_owned();
        }
        if let Some(text) = given.text("ExternalMessage") {
            text.clone_into(&mut mailbox.reply.external);
        }
        if let Some(text) = given.text("InternalMessage") {
            text.clone_into(&mut mailbox.reply.internal);
        }
        if mailbox.reply == before {
            return Ok(nothing_changed(&id));
        }
        self.note(cx.now, cx.actor(), Effect::AutoReplySet, &id, &id);
        Ok(done())
    }

    pub(super) fn remove_calendar_events(&mut self, cx: &Cx, given: &Given) -> Result<CmdletOutput, VendorError> {
        given.only(&[
            "Identity",
            "CancelOrganizedMeetings",
            "QueryStartDate",
            "QueryWindowInDays",
            "PreviewOnly",
        ])?;
        let id = self.mailbox_id(given.required("Identity")?)?;
        let Some(days) = given.number("QueryWindowInDays") else {
            return Err(VendorError::cmdlet(
                400,
                "ParameterBindingException",
                "Cannot process command because of one or more missing mandatory parameters: QueryWindowInDays.",
            ));
        };
        if !(1..=1825).contains(&days) {
            return Err(VendorError::cmdlet(
                400,
                "ArgumentOutOfRangeException",
                "QueryWindowInDays must be between 1 and 1825.",
            ));
        }
        let from = given
            .text("QueryStartDate")
            .and_then(crate::parse_time)
            .unwrap_or(cx.now);
        let until = from + days * DAY_MS;
        let Some(mailbox) = self.mailboxes.get(&id) else {
            return Err(VendorError::no_recipient(&id));
        };
        let cancelled: Vec<(String, String)> = mailbox
            .events
            .iter()
            .filter(|event| {
                event.organiser && event.end_ms >= from && event.start_ms <= until && !event.attendees.is_empty()
            })
            .map(|event| (event.id.clone(), event.subject.clone()))
            .collect();
        let output = rows(vec![json!(format!("{} meetings will be cancelled.", cancelled.len()))]);
        let preview =
            given.flag("PreviewOnly").unwrap_or(false) || !given.flag("CancelOrganizedMeetings").unwrap_or(false);
        if preview || cancelled.is_empty() {
            return Ok(output);
        }
        if let Some(mailbox) = self.mailboxes.edit(&id, cx.now) {
            mailbox
                .events
                .retain(|event| !cancelled.iter().any(|(gone, _)| *gone == event.id));
        }
        for (event, _) in &cancelled {
            self.note(cx.now, cx.actor(), Effect::MeetingCancelled, &id, event);
        }
        Ok(output)
    }
}
