//! Cmdlets about distribution lists and mail-enabled security groups.

use serde_json::{Value, json};

use super::{CmdletOutput, Given, done, nothing_changed, rows};
use crate::world::journal::Effect;
use crate::world::model::{Group, GroupKind};
use crate::world::{Cx, Tenant, VendorError};

impl Group {
    fn is_called(&self, identity: &str) -> bool {
        self.is_exchange_managed()
            && (self.id.eq_ignore_ascii_case(identity)
                || self.name.eq_ignore_ascii_case(identity)
                || self
                    .mail
                    .as_ref()
                    .is_some_and(|mail| mail.eq_ignore_ascii_case(identity)))
    }
}

impl Tenant {
    pub(super) fn get_distribution_group(&self, cx: &Cx, given: &Given) -> Result<CmdletOutput, VendorError> {
        given.only(&["Identity", "ManagedBy"])?;
        let seen = self.groups.iter_at(cx.as_of).map(|(_, group)| group);
        let found: Vec<Value> = match given.text("Identity") {
            Some(identity) => seen.filter(|group| group.is_called(identity)).map(group_row).collect(),
            None => seen
                .filter(|group| group.is_exchange_managed())
                .map(group_row)
                .collect(),
        };
        match given.text("Identity") {
            Some(identity) if found.is_empty() => Err(VendorError::no_recipient(identity)),
            _ => Ok(rows(found)),
        }
    }

    pub(super) fn get_distribution_group_member(&self, cx: &Cx, given: &Given) -> Result<CmdletOutput, VendorError> {
        given.only(&["Identity"])?;
        let identity = given.required("Identity")?;
        let group = self
            .groups
            .iter_at(cx.as_of)
            .map(|(_, group)| group)
            .find(|group| group.is_called(identity))
            .ok_or_else(|| VendorError::no_recipient(identity))?;
        Ok(rows(
            group
                .members
                .iter()
                .filter_map(|member| self.people.at(member, cx.as_of))
                .map(|person| {
                    json!({
                        "DisplayName": person.display_name,
                        "ExternalDirectoryObjectId": person.id,
                        "Identity": person.id,
                        "Name": person.id,
                        "PrimarySmtpAddress": person.mail.as_deref().unwrap_or(&person.upn),
                        "RecipientType": "UserMailbox",
                    })
                })
                .collect(),
        ))
    }

    /// Changes who manages the group: a list replaces, a hash table of `add` and `remove` changes.
    pub(super) fn set_distribution_group(&mut self, cx: &Cx, given: &Given) -> Result<CmdletOutput, VendorError> {
        given.only(&["Identity", "ManagedBy", "BypassSecurityGroupManagerCheck"])?;
        let identity = given.required("Identity")?;
        let group = self.changeable(identity, given, "Set-DistributionGroup")?;
        let Some(value) = given.get("ManagedBy") else {
            return Ok(nothing_changed(&group.id));
        };
        let after = self.changed_list(value, &group.owners)?;
        if after == group.owners {
            return Ok(nothing_changed(&group.id));
        }
        if after.is_empty() && !group.owners.is_empty() {
            return Err(VendorError::cmdlet(
                400,
                "RecipientTaskException",
                "The group must have at least one owner, hence this owner cannot be removed.",
            ));
        }
        if let Some(row) = self.groups.edit(&group.id, cx.now) {
            row.owners.clone_from(&after);
        }
        for new in after.difference(&group.owners) {
            self.note(cx.now, cx.actor(), Effect::OwnerAdded, new, &group.id);
        }
        for gone in group.owners.difference(&after) {
            self.note(cx.now, cx.actor(), Effect::OwnerRemoved, gone, &group.id);
        }
        Ok(done())
    }

    /// The group that a cmdlet names, if this caller may change it.
    fn changeable(&self, identity: &str, given: &Given, action: &str) -> Result<Group, VendorError> {
        let found = self
            .groups
            .iter()
            .map(|(_, group)| group)
            .find(|group| group.is_called(identity));
        let group = found.cloned().ok_or_else(|| VendorError::no_recipient(identity))?;
        if group.synced {
            return Err(VendorError::cmdlet(
                400,
                "InvalidOperationInDehydratedContextException",
                format!(
                    "The action '{action}' can't be performed on the object '{}' because the object is being synchronized from your on-premises organization.",
                    group.name
                ),
            ));
        }
        if !given.flag("BypassSecurityGroupManagerCheck").unwrap_or(false) {
            return Err(VendorError::cmdlet(
                403,
                "OperationRequiresGroupManagerException",
                "You don't have sufficient permissions. This operation can only be performed by a manager of the group.",
            ));
        }
        Ok(group)
    }

    pub(super) fn remove_distribution_group_member(
        &mut self,
        cx: &Cx,
        given: &Given,
    ) -> Result<CmdletOutput, VendorError> {
        given.only(&["Identity", "Member", "BypassSecurityGroupManagerCheck"])?;
        let identity = given.required("Identity")?;
        let member = given.required("Member")?;
        let group = self.changeable(identity, given, "Remove-DistributionGroupMember")?;
        let who = self.trustee_id(member)?;
        self.take_out(cx, &group.id, &who, || {
            VendorError::cmdlet(
                404,
                "MemberNotFoundException",
                format!(
                    "The recipient \"{member}\" couldn't be found: it isn't a member of the group \"{}\".",
                    group.name
                ),
            )
        })?;
        Ok(done())
    }
}

fn group_row(group: &Group) -> Value {
    let kind = if group.kind == GroupKind::MailSecurity {
        "MailUniversalSecurityGroup"
    } else {
        "MailUniversalDistributionGroup"
    };
    json!({
        "DisplayName": group.name,
        "ExternalDirectoryObjectId": group.id,
        "Identity": group.id,
        "IsDirSynced": group.synced,
        "ManagedBy": group.owners,
        "Name": group.name,
        "PrimarySmtpAddress": group.mail,
        "RecipientType": kind,
        "RecipientTypeDetails": kind,
    })
}
