//! Cmdlets about who may open, send as and send on behalf of which mailbox.

use serde_json::{Value, json};

use super::{CmdletOutput, Given, rows, warned};
use crate::world::journal::Effect;
use crate::world::model::Mailbox;
use crate::world::{Cx, Tenant, VendorError};

/// Every mailbox carries this entry of its own owner; it must not be mistaken for a delegation.
const SELF: &str = "NT AUTHORITY\\SELF";

impl Tenant {
    pub(super) fn get_mailbox_permission(&self, cx: &Cx, given: &Given) -> Result<CmdletOutput, VendorError> {
        given.only(&["Identity", "User"])?;
        let mailbox = self.mailbox_seen(cx, given.required("Identity")?)?;
        let only = given.text("User").map(|user| self.trustee_id(user)).transpose()?;
        let own = only.is_none().then(|| full_access_row(mailbox, SELF));
        let others = mailbox
            .full_access
            .iter()
            .filter(|trustee| only.as_ref().is_none_or(|wanted| wanted == *trustee))
            .map(|trustee| full_access_row(mailbox, &self.upn_of(trustee)));
        Ok(rows(own.into_iter().chain(others).collect()))
    }

    pub(super) fn add_mailbox_permission(&mut self, cx: &Cx, given: &Given) -> Result<CmdletOutput, VendorError> {
        given.only(&["Identity", "User", "AccessRights", "AutoMapping", "InheritanceType"])?;
        let id = self.mailbox_id(given.required("Identity")?)?;
        let trustee = self.trustee_id(given.required("User")?)?;
        require_right(given, "FullAccess")?;
        let new = self
            .mailboxes
            .edit(&id, cx.now)
            .is_some_and(|mailbox| mailbox.full_access.insert(trustee.clone()));
        if !new {
            return Ok(warned(format!(
                "The appropriate access control entry is already present on the object \"{id}\" for account \"{}\".",
                self.upn_of(&trustee)
            )));
        }
        self.note(cx.now, cx.actor(), Effect::FullAccessGranted, &id, &trustee);
        let upn = self.upn_of(&trustee);
        Ok(rows(
            self.mailboxes
                .get(&id)
                .map(|mailbox| full_access_row(mailbox, &upn))
                .into_iter()
                .collect(),
        ))
    }

    pub(super) fn remove_mailbox_permission(&mut self, cx: &Cx, given: &Given) -> Result<CmdletOutput, VendorError> {
        given.only(&[
            "Identity",
            "User",
            "AccessRights",
            "InheritanceType",
            "BypassMasterAccountSid",
        ])?;
        let id = self.mailbox_id(given.required("Identity")?)?;
        let trustee = self.trustee_id(given.required("User")?)?;
        require_right(given, "FullAccess")?;
        let had = self
            .mailboxes
            .get(&id)
            .is_some_and(|mailbox| mailbox.full_access.contains(&trustee));
        if !had {
            return Ok(warned(format!(
                "Can't remove the access control entry on the object \"{id}\" for account \"{}\" because the ACE isn't present.",
                self.upn_of(&trustee)
            )));
        }
        if let Some(mailbox) = self.mailboxes.edit(&id, cx.now) {
            mailbox.full_access.remove(&trustee);
        }
        self.note(cx.now, cx.actor(), Effect::FullAccessRemoved, &trustee, &id);
        Ok(rows(Vec::new()))
    }

    pub(super) fn get_recipient_permission(&self, cx: &Cx, given: &Given) -> Result<CmdletOutput, VendorError> {
        given.only(&["Identity", "Trustee", "AccessRights"])?;
        let only = given
            .text("Trustee")
            .map(|trustee| self.trustee_id(trustee))
            .transpose()?;
        let mut found = Vec::new();
        for mailbox in self.mailboxes_about(cx, given.text("Identity"))? {
            if only.is_none() {
                found.push(send_as_row(mailbox, SELF));
            }
            let wanted = mailbox
                .send_as
                .iter()
                .filter(|trustee| only.as_ref().is_none_or(|only| only == *trustee));
            found.extend(wanted.map(|trustee| send_as_row(mailbox, &self.upn_of(trustee))));
        }
        Ok(rows(found))
    }

    pub(super) fn add_recipient_permission(&mut self, cx: &Cx, given: &Given) -> Result<CmdletOutput, VendorError> {
        given.only(&["Identity", "Trustee", "AccessRights"])?;
        let id = self.mailbox_id(given.required("Identity")?)?;
        let trustee = self.trustee_id(given.required("Trustee")?)?;
        require_right(given, "SendAs")?;
        let new = self
            .mailboxes
            .edit(&id, cx.now)
            .is_some_and(|mailbox| mailbox.send_as.insert(trustee.clone()));
        let upn = self.upn_of(&trustee);
        if !new {
            return Ok(warned(format!(
                "The appropriate access control entry is already present on the object \"{id}\" for account \"{upn}\"."
            )));
        }
        self.note(cx.now, cx.actor(), Effect::SendAsGranted, &id, &trustee);
        Ok(rows(
            self.mailboxes
                .get(&id)
                .map(|mailbox| send_as_row(mailbox, &upn))
                .into_iter()
                .collect(),
        ))
    }

    pub(super) fn remove_recipient_permission(&mut self, cx: &Cx, given: &Given) -> Result<CmdletOutput, VendorError> {
        given.only(&["Identity", "Trustee", "AccessRights"])?;
        let id = self.mailbox_id(given.required("Identity")?)?;
        let trustee = self.trustee_id(given.required("Trustee")?)?;
        require_right(given, "SendAs")?;
        let had = self
            .mailboxes
            .get(&id)
            .is_some_and(|mailbox| mailbox.send_as.contains(&trustee));
        if !had {
            // Unlike its sister this one refuses.
            return Err(VendorError::cmdlet(
                400,
                "InvalidOperationException",
                format!(
                    "Can't remove the access control entry on the object \"{id}\" for account \"{}\" because the ACE doesn't exist on the object.",
                    self.upn_of(&trustee)
                ),
            ));
        }
        if let Some(mailbox) = self.mailboxes.edit(&id, cx.now) {
            mailbox.send_as.remove(&trustee);
        }
        self.note(cx.now, cx.actor(), Effect::SendAsRemoved, &trustee, &id);
        Ok(rows(Vec::new()))
    }
}

fn require_right(given: &Given, right: &str) -> Result<(), VendorError> {
    let named = given.get("AccessRights").map(Given::texts).unwrap_or_default();
    if named.iter().any(|name| name.eq_ignore_ascii_case(right)) {
        return Ok(());
    }
    Err(VendorError::cmdlet(
        400,
        "ParameterBindingException",
        format!("Cannot bind parameter 'AccessRights': this mailbox knows only the right {right} here."),
    ))
}

fn full_access_row(mailbox: &Mailbox, user: &str) -> Value {
    let rights = if user == SELF {
        json!(["FullAccess", "ReadPermission"])
    } else {
        json!(["FullAccess"])
    };
    json!({
        "AccessRights": rights,
        "Deny": false,
        "Identity": mailbox.owner,
        "InheritanceType": "All",
        "IsInherited": false,
        "User": user,
    })
}

fn send_as_row(mailbox: &Mailbox, trustee: &str) -> Value {
    json!({
        "AccessControlType": "Allow",
        "AccessRights": ["SendAs"],
        "Identity": mailbox.owner,
        "InheritanceType": "None",
        "IsInherited": false,
        "Trustee": trustee,
    })
}
