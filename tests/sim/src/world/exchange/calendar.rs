//! Cmdlets about who may open whose calendar.
//!
//! A calendar is named by its mailbox and its folder's path, and the folder's
//! name is in its owner's language. Who has an entry is shown by the name that
//! address lists show, not by an id.

use serde_json::{Value, json};

use super::{CmdletOutput, Given, rows};
use crate::world::journal::Effect;
use crate::world::model::Mailbox;
use crate::world::{Cx, Tenant, VendorError};

/// What everybody who has no entry may do.
const DEFAULT: (&str, &str) = ("Default", "AvailabilityOnly");
/// What those outside may do.
const ANONYMOUS: (&str, &str) = ("Anonymous", "None");

impl Tenant {
    pub(super) fn get_mailbox_folder_statistics(&self, cx: &Cx, given: &Given) -> Result<CmdletOutput, VendorError> {
        given.only(&["Identity", "FolderScope"])?;
        let mailbox = self.mailbox_seen(cx, given.required("Identity")?)?;
        if !given.required("FolderScope")?.eq_ignore_ascii_case("Calendar") {
            return Err(VendorError::cmdlet(
                400,
                "ParameterBindingException",
                "Only the folder scope Calendar is served here.",
            ));
        }
        let folder = |name: &str, path: String, kind: &str, items: usize| {
            json!({
                "FolderPath": path,
                "FolderType": kind,
                "Identity": format!("{}{}", mailbox.alias, path.replace('/', "\\")),
                "ItemsInFolder": items,
                "Name": name,
            })
        };
        let calendar = &mailbox.calendar.name;
        Ok(rows(vec![
            folder("Birthdays", format!("/{calendar}/Birthdays"), "BirthdayCalendar", 0),
            folder(calendar, format!("/{calendar}"), "Calendar", mailbox.events.len()),
        ]))
    }

    pub(super) fn get_mailbox_folder_permission(&self, cx: &Cx, given: &Given) -> Result<CmdletOutput, VendorError> {
        given.only(&["Identity", "User"])?;
        let identity = given.required("Identity")?;
        let (mailbox, folder) = split(identity)?;
        let mailbox = self.mailbox_seen(cx, mailbox)?;
        check_folder(mailbox, folder, identity)?;
        let only = given.text("User").map(|user| self.calendar_trustee(user)).transpose()?;
        let entries = mailbox
            .calendar
            .shared
            .iter()
            .filter(|(trustee, _)| only.as_ref().is_none_or(|wanted| wanted == *trustee))
            .map(|(trustee, right)| entry(mailbox, &self.shown_as(trustee), right));
        let found: Vec<Value> = match only {
            Some(_) => entries.collect(),
            None => [DEFAULT, ANONYMOUS]
                .into_iter()
                .map(|(user, right)| entry(mailbox, user, right))
                .chain(entries)
                .collect(),
        };
        match only {
            Some(trustee) if found.is_empty() => Err(no_entry(&self.shown_as(&trustee))),
            _ => Ok(rows(found)),
        }
    }

    pub(super) fn remove_mailbox_folder_permission(
        &mut self,
        cx: &Cx,
        given: &Given,
    ) -> Result<CmdletOutput, VendorError> {
        given.only(&["Identity", "User"])?;
        let identity = given.required("Identity")?;
        let (mailbox, folder) = split(identity)?;
        let id = self.mailbox_id(mailbox)?;
        let trustee = self.calendar_trustee(given.required("User")?)?;
        let Some(mailbox) = self.mailboxes.get(&id) else {
            return Err(VendorError::no_recipient(&id));
        };
        check_folder(mailbox, folder, identity)?;
        if !mailbox.calendar.shared.contains_key(&trustee) {
            return Err(no_entry(&self.shown_as(&trustee)));
        }
        if let Some(mailbox) = self.mailboxes.edit(&id, cx.now) {
            mailbox.calendar.shared.remove(&trustee);
        }
        self.note(cx.now, cx.actor(), Effect::CalendarAccessRemoved, &trustee, &id);
        Ok(rows(Vec::new()))
    }

    /// The name by which an entry shows somebody; of somebody who is gone only a number is left.
    fn shown_as(&self, id: &str) -> String {
        self.people
            .get(id)
            .map_or_else(|| gone(id), |person| person.display_name.clone())
    }

    /// The person that `-User` names: also by the name that is shown, if only one bears it.
    fn calendar_trustee(&self, identity: &str) -> Result<String, VendorError> {
        if let Ok(id) = self.trustee_id(identity) {
            return Ok(id);
        }
        let left = identity.strip_prefix("NT User:S-1-5-21-");
        let mut named = self
            .people
            .iter()
            .filter(|(_, person)| person.display_name.eq_ignore_ascii_case(identity))
            .map(|(id, _)| id);
        match (left, named.next(), named.next()) {
            (Some(id), ..) | (None, Some(id), None) => Ok(id.to_owned()),
            (None, Some(_), Some(_)) => Err(VendorError::cmdlet(
                400,
                "ManagementObjectAmbiguousException",
                format!("The operation couldn't be performed because '{identity}' matches multiple entries."),
            )),
            (None, None, _) => Err(VendorError::no_recipient(identity)),
        }
    }
}

fn gone(id: &str) -> String {
    format!("NT User:S-1-5-21-{id}")
}

/// `mailbox:\path`.
fn split(identity: &str) -> Result<(&str, &str), VendorError> {
    identity
        .split_once(":\\")
        .ok_or_else(|| VendorError::no_recipient(identity))
}

fn check_folder(mailbox: &Mailbox, folder: &str, identity: &str) -> Result<(), VendorError> {
    if mailbox.calendar.name.eq_ignore_ascii_case(folder) {
        return Ok(());
    }
    Err(VendorError::no_recipient(identity))
}

fn no_entry(user: &str) -> VendorError {
    VendorError::cmdlet(
        400,
        "UserNotFoundInPermissionEntryException",
        format!("There is no existing permission entry found for user: {user}."),
    )
}

fn entry(mailbox: &Mailbox, user: &str, right: &str) -> Value {
    let name = &mailbox.calendar.name;
    json!({
        "AccessRights": [right],
        "FolderName": name,
        "Identity": format!("{}:\\{name}", mailbox.owner),
        "IsValid": true,
        "SharingPermissionFlags": null,
        "User": user,
    })
}
