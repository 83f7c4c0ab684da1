//! Cmdlets about one mailbox: its type, settings, protocols, rules, calendar.

use serde_json::{Value, json};

use super::{CmdletOutput, Given, done, nothing_changed, rows, time, warned};
use crate::world::catalogue::{self, SHARED_MAILBOX_LIMIT_BYTES};
use crate::world::journal::Effect;
use crate::world::model::{Conversion, Hold, Mailbox, PROTOCOLS};
use crate::world::tenant::Due;
use crate::world::{Cx, Tenant, VendorError};

impl Tenant {
    pub(super) fn get_mailbox(&self, cx: &Cx, given: &Given) -> Result<CmdletOutput, VendorError> {
        given.only(&["Identity", "Filter", "RecipientTypeDetails"])?;
        let filter = given.text("Filter").map(parse_filter).transpose()?;
        let mailboxes = self.mailboxes_about(cx, given.text("Identity"))?;
        Ok(rows(
            mailboxes
                .into_iter()
                .filter(|mailbox| match &filter {
                    None => true,
                    Some((property, wanted)) => {
                        let wanted = self.trustee_id(wanted).unwrap_or_else(|_| wanted.clone());
                        match property.as_str() {
                            "grantsendonbehalfto" => mailbox.send_on_behalf.contains(&wanted),
                            _ => mailbox.forward_to.as_ref() == Some(&wanted),
                        }
                    }
                })
                .map(|mailbox| self.mailbox_row(mailbox))
                .collect(),
        ))
    }

    /// An account of the directory, or only one that has an address.
    pub(super) fn get_person(&self, cx: &Cx, given: &Given, has_address: bool) -> Result<CmdletOutput, VendorError> {
        given.only(&["Identity"])?;
        let identity = given.required("Identity")?;
        let person = self
            .people
            .at(identity, cx.as_of)
            .filter(|person| !has_address || person.mail.is_some())
            .ok_or_else(|| VendorError::no_recipient(identity))?;
        Ok(rows(vec![json!({
            "DisplayName": person.display_name,
            "ExternalDirectoryObjectId": person.id,
            "Identity": person.id,
            "Name": person.id,
            "UserPrincipalName": person.upn,
        })]))
    }

    fn mailbox_row(&self, mailbox: &Mailbox) -> Value {
        let kind = if mailbox.shared { "SharedMailbox" } else { "UserMailbox" };
        json!({
            "Alias": mailbox.alias,
            "ArchiveStatus": if mailbox.archive { "Active" } else { "None" },
            "DeliverToMailboxAndForward": mailbox.keep_forwarded,
            "DisplayName": mailbox.display_name,
            "ExchangeGuid": mailbox.exchange_guid,
            "ExternalDirectoryObjectId": mailbox.owner,
            "ForwardingAddress": mailbox.forward_to,
            "ForwardingSmtpAddress": mailbox.forward_smtp.as_ref().map(|address| format!("smtp:{address}")),
            "GrantSendOnBehalfTo": mailbox.send_on_behalf,
            "Guid": mailbox.exchange_guid,
            "HiddenFromAddressListsEnabled": mailbox.hidden,
            "Identity": mailbox.owner,
            "InPlaceHolds": mailbox.in_place_holds,
            "IsDirSynced": mailbox.synced,
            "IsMailboxEnabled": true,
            "LitigationHoldDate": time(mailbox.hold.map(|hold| hold.at_ms)),
            "LitigationHoldDuration": mailbox.hold.and_then(|hold| hold.days).map_or_else(|| "Unlimited".to_owned(), |days| format!("{days}.00:00:00")),
            "LitigationHoldEnabled": mailbox.hold.is_some(),
            "Name": mailbox.owner,
            "PrimarySmtpAddress": self.people.get(&mailbox.owner).and_then(|person| person.mail.clone()).unwrap_or_else(|| mailbox.upn.clone()),
            "RecipientType": "UserMailbox",
            "RecipientTypeDetails": kind,
            "RetentionPolicy": "Default MRM Policy",
            "UserPrincipalName": mailbox.upn,
        })
    }

    pub(super) fn set_mailbox(&mut self, cx: &Cx, given: &Given) -> Result<CmdletOutput, VendorError> {
        given.only(&[
            "Identity",
            "Type",
            "HiddenFromAddressListsEnabled",
            "ForwardingAddress",
            "ForwardingSmtpAddress",
            "DeliverToMailboxAndForward",
            "LitigationHoldEnabled",
            "LitigationHoldDuration",
            "GrantSendOnBehalfTo",
        ])?;
        let identity = given.required("Identity")?;
        let id = self.mailbox_id(identity)?;
        let Some(before) = self.mailboxes.get(&id).cloned() else {
            return Err(VendorError::no_recipient(identity));
        };
        let mut after = before.clone();
        let mut effects: Vec<(Effect, String, String)> = Vec::new();
        self.apply_type(cx, given, &before, &mut after, &mut effects)?;
        if let Some(hidden) = given.flag("HiddenFromAddressListsEnabled") {
            if before.synced {
                return Err(synced_mailbox(&before, "HiddenFromAddressListsEnabled"));
            }
            after.hidden = hidden;
            if hidden != before.hidden {
                effects.push((Effect::AddressListChanged, id.clone(), id.clone()));
            }
        }
        self.apply_forwarding(given, &before, &mut after, &mut effects)?;
        self.apply_hold(cx, given, &before, &mut after, &mut effects)?;
        if let Some(value) = given.get("GrantSendOnBehalfTo") {
            self.apply_on_behalf(value, &before, &mut after, &mut effects)?;
        }
        if after == before {
            return Ok(nothing_changed(&id));
        }
        self.mailboxes.put(&id, cx.now, after);
        for (effect, subject, object) in effects {
            self.note(cx.now, cx.actor(), effect, &subject, &object);
        }
        Ok(done())
    }

    fn apply_type(
        &mut self,
        cx: &Cx,
        given: &Given,
        before: &Mailbox,
        after: &mut Mailbox,
        effects: &mut Vec<(Effect, String, String)>,
    ) -> Result<(), VendorError> {
        let to_shared = match given.text("Type") {
            None => return Ok(()),
            Some(kind) if kind.eq_ignore_ascii_case("Shared") => true,
            Some(kind) if kind.eq_ignore_ascii_case("Regular") => false,
            Some(kind) => {
                return Err(VendorError::cmdlet(
                    400,
                    "ParameterBindingException",
                    format!(
                        "Cannot process argument transformation on parameter 'Type'. Cannot convert value \"{kind}\" to type \"ConvertibleMailboxSubType\"."
                    ),
                ));
            }
        };
        let heading_for = before
            .conversion
            .map_or(before.shared, |conversion| conversion.to_shared);
        if heading_for == to_shared {
            return Ok(());
        }
        if to_shared && before.size_bytes > SHARED_MAILBOX_LIMIT_BYTES {
            return Err(VendorError::cmdlet(
                400,
                "RecipientTaskException",
                "The mailbox can't be converted to a shared mailbox because its size exceeds the limit of 50 GB.",
            ));
        }
        let exchange_at_ms = cx.now + cx.dice.between(cx.tune.conversion_ms, "conversion", &cx.salt, 0);
        let graph_at_ms = exchange_at_ms
            + cx.dice
                .between(cx.tune.conversion_graph_extra_ms, "conversion in graph", &cx.salt, 0);
        after.conversion = Some(Conversion {
            to_shared,
            exchange_at_ms,
            graph_at_ms,
        });
        self.schedule(
            exchange_at_ms,
            Due::Converted {
                person: before.owner.clone(),
            },
        );
        effects.push((Effect::ConversionOrdered, before.owner.clone(), before.owner.clone()));
        Ok(())
    }

    fn apply_forwarding(
        &self,
        given: &Given,
        before: &Mailbox,
        after: &mut Mailbox,
        effects: &mut Vec<(Effect, String, String)>,
    ) -> Result<(), VendorError> {
        if let Some(value) = given.get("ForwardingAddress") {
            after.forward_to = match value.as_str().filter(|text| !text.is_empty()) {
                Some(target) => Some(self.trustee_id(target)?),
                None => None,
            };
        }
        if let Some(value) = given.get("ForwardingSmtpAddress") {
            let address = value.as_str().map(|text| text.trim_start_matches("smtp:").to_owned());
            after.forward_smtp = address.filter(|text| !text.is_empty());
        }
        if let Some(keep) = given.flag("DeliverToMailboxAndForward") {
            after.keep_forwarded = keep;
        }
        let of = |mailbox: &Mailbox| {
            (
                mailbox.forward_to.clone(),
                mailbox.forward_smtp.clone(),
                mailbox.keep_forwarded,
            )
        };
        if of(before) != of(after) {
            effects.push((Effect::ForwardingChanged, before.owner.clone(), before.owner.clone()));
        }
        Ok(())
    }

    fn apply_hold(
        &self,
        cx: &Cx,
        given: &Given,
        before: &Mailbox,
        after: &mut Mailbox,
        effects: &mut Vec<(Effect, String, String)>,
    ) -> Result<(), VendorError> {
        let days = given.get("LitigationHoldDuration").map(|value| {
            value
                .as_i64()
                .or_else(|| value.as_str().and_then(|text| text.split('.').next()?.parse().ok()))
        });
        let wanted = given.flag("LitigationHoldEnabled").unwrap_or(before.hold.is_some());
        if wanted && before.hold.is_none() {
            let licensed = self
                .people
                .get(&before.owner)
                .is_some_and(|person| person.has_plan(catalogue::is_keeping_plan));
            if !licensed {
                return Err(VendorError::cmdlet(
                    400,
                    "RecipientTaskException",
                    format!(
                        "Mailbox \"{}\" doesn't have the license that litigation hold needs. Assign Exchange Online Plan 2 or Exchange Online Archiving.",
                        before.owner
                    ),
                ));
            }
            after.hold = Some(Hold {
                at_ms: cx.now,
                days: days.flatten(),
            });
            effects.push((Effect::HoldSet, before.owner.clone(), before.owner.clone()));
        } else if !wanted && before.hold.is_some() {
            after.hold = None;
            effects.push((Effect::HoldLifted, before.owner.clone(), before.owner.clone()));
        } else if let (Some(hold), Some(days)) = (after.hold.as_mut(), days)
            && hold.days != days
        {
            hold.days = days;
            effects.push((Effect::HoldSet, before.owner.clone(), before.owner.clone()));
        }
        Ok(())
    }

    fn apply_on_behalf(
        &self,
        value: &Value,
        before: &Mailbox,
        after: &mut Mailbox,
        effects: &mut Vec<(Effect, String, String)>,
    ) -> Result<(), VendorError> {
        after.send_on_behalf = self.changed_list(value, &before.send_on_behalf)?;
        for new in after.send_on_behalf.difference(&before.send_on_behalf) {
            effects.push((Effect::SendOnBehalfGranted, before.owner.clone(), new.clone()));
        }
        for gone in before.send_on_behalf.difference(&after.send_on_behalf) {
            effects.push((Effect::SendOnBehalfRemoved, gone.clone(), before.owner.clone()));
        }
        Ok(())
    }

    pub(super) fn get_mailbox_statistics(&self, cx: &Cx, given: &Given) -> Result<CmdletOutput, VendorError> {
        given.only(&["Identity", "Archive"])?;
        let mailbox = self.mailbox_seen(cx, given.required("Identity")?)?;
        // The store that counts is not at hand, and the answer is that of a mailbox that nobody
        // ever opened.
        let missing = cx.tune.statistics_missing_permille;
        if cx.dice.happens(missing, "statistics missing", &cx.salt, 0) {
            return Ok(warned(format!(
                "The user hasn't logged on to mailbox '{}', so there is no data to return.",
                mailbox.owner
            )));
        }
        Ok(rows(vec![json!({
            "DisplayName": mailbox.display_name,
            "ItemCount": mailbox.items,
            "MailboxGuid": mailbox.exchange_guid,
            "MailboxTypeDetail": if mailbox.shared { "SharedMailbox" } else { "UserMailbox" },
            "TotalItemSize": size_text(mailbox.size_bytes),
        })]))
    }

    pub(super) fn get_cas_mailbox(&self, cx: &Cx, given: &Given) -> Result<CmdletOutput, VendorError> {
        given.only(&["Identity"])?;
        let mailbox = self.mailbox_seen(cx, given.required("Identity")?)?;
        let mut row = json!({
            "DisplayName": mailbox.display_name,
            "ExternalDirectoryObjectId": mailbox.owner,
            "Identity": mailbox.owner,
            "SmtpClientAuthenticationDisabled": mailbox.smtp_auth_disabled,
        });
        for (name, on) in &mailbox.protocols {
            row[*name] = json!(on);
        }
        Ok(rows(vec![row]))
    }

    pub(super) fn set_cas_mailbox(&mut self, cx: &Cx, given: &Given) -> Result<CmdletOutput, VendorError> {
        let known: Vec<&str> = PROTOCOLS
            .iter()
            .copied()
            .chain(["Identity", "SmtpClientAuthenticationDisabled"])
            .collect();
        given.only(&known)?;
        let identity = given.required("Identity")?;
        let id = self.mailbox_id(identity)?;
        let Some(before) = self.mailboxes.get(&id).cloned() else {
            return Err(VendorError::no_recipient(identity));
        };
        let mut after = before.clone();
        for protocol in PROTOCOLS {
            if let Some(on) = given.flag(protocol) {
                after.protocols.insert(protocol, Some(on));
            }
        }
        if let Some(off) = given.flag("SmtpClientAuthenticationDisabled") {
            after.smtp_auth_disabled = Some(off);
        }
        if after == before {
            return Ok(nothing_changed(&id));
        }
        self.mailboxes.put(&id, cx.now, after);
        self.note(cx.now, cx.actor(), Effect::ProtocolsChanged, &id, &id);
        Ok(done())
    }
}

fn synced_mailbox(mailbox: &Mailbox, action: &str) -> VendorError {
    VendorError::cmdlet(
        400,
        "InvalidOperationInDehydratedContextException",
        format!(
            "The operation on mailbox \"{0}\" failed because it's out of the current user's write scope. The action 'Set-Mailbox', '{action}', \
             can't be performed on the object '{0}' because the object is being synchronized from your on-premises organization. \
             This action should be performed on the object in your on-premises organization.",
            mailbox.owner
        ),
    )
}

/// `GrantSendOnBehalfTo -eq 'x'` or `ForwardingAddress -eq 'x'`: the two that find what somebody has elsewhere.
fn parse_filter(filter: &str) -> Result<(String, String), VendorError> {
    let mut parts = filter.trim().splitn(3, char::is_whitespace);
    let (property, operator, value) = (parts.next(), parts.next(), parts.next());
    match (
        property.map(str::to_ascii_lowercase),
        operator.map(str::to_ascii_lowercase).as_deref(),
        value,
    ) {
        (Some(property), Some("-eq"), Some(value))
            if matches!(property.as_str(), "grantsendonbehalfto" | "forwardingaddress") =>
        {
            Ok((property, value.trim().trim_matches(['\'', '"']).to_owned()))
        }
        _ => Err(VendorError::cmdlet(
            400,
            "ParsingException",
            format!("\"{filter}\" isn't a valid filter."),
        )),
    }
}

/// A size as Exchange writes it: `1.5 GB (1,610,612,736 bytes)`.
fn size_text(bytes: u64) -> String {
    let digits = bytes.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let tenths = bytes / 107_374_183;
    format!("{}.{} GB ({grouped} bytes)", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_size_reads_as_exchange_writes_it() {
        assert_eq!(super::size_text(64_424_509_440), "59.9 GB (64,424,509,440 bytes)");
        assert_eq!(super::size_text(1_610_612_736), "1.4 GB (1,610,612,736 bytes)");
    }
}
