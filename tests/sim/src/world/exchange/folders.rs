//! Cmdlets about a mailbox's folders, and who may open each of them.
//!
//! A folder is named by its mailbox and its path, or by its mailbox and its id.
//! The names of Exchange's own folders are in the owner's language, and one of
//! his may be called as they are in another. Who has an entry is shown by the name
//! that address lists show, not by an id; of whom no directory knows, nothing
//! else is shown.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{CmdletOutput, Given, rows};
use crate::world::journal::Effect;
use crate::world::model::{Mailbox, OwnFolder};
use crate::world::{Cx, Dice, Tenant, VendorError};

/// What everybody who has no entry may do in a calendar.
const FREE_OR_BUSY: &str = "AvailabilityOnly";
/// How the name begins of somebody whom no directory knows.
const UNKNOWN: &str = "NT:";
const ROOT: &str = "Root";
const CALENDAR: &str = "Calendar";
const CONTACTS: &str = "Contacts";
const CONVERSATIONS: &str = "CommunicatorHistory";
const RECOVERABLE: &str = "RecoverableItemsRoot";
const USER_CREATED: &str = "User Created";
/// The folders that every mailbox has beside its calendars: the type, and the name in English
/// and in German.
const STANDARD: [(&str, &str, &str); 15] = [
    ("Archive", "Archive", "Archiv"),
    (CONVERSATIONS, "Conversation History", "Aufgezeichnete Unterhaltungen"),
    (CONTACTS, "Contacts", "Kontakte"),
    ("DeletedItems", "Deleted Items", "Gelöschte Elemente"),
    ("Drafts", "Drafts", "Entwürfe"),
    ("Inbox", "Inbox", "Posteingang"),
    ("Journal", "Journal", "Journal"),
    ("JunkEmail", "Junk Email", "Junk-E-Mail"),
    ("Notes", "Notes", "Notizen"),
    ("Outbox", "Outbox", "Postausgang"),
    (RECOVERABLE, "Recoverable Items", "Recoverable Items"),
    (
        ROOT,
        "Top of Information Store",
        "Oberste Ebene des Informationsspeichers",
    ),
    ("SentItems", "Sent Items", "Gesendete Elemente"),
    ("SyncIssues", "Sync Issues", "Synchronisierungsprobleme"),
    ("Tasks", "Tasks", "Aufgaben"),
];

/// A folder as it is at some moment.
#[derive(Debug)]
struct Folder {
    /// Under what its entries are kept: its type, or the path of one that the owner made.
    key: String,
    kind: &'static str,
    /// `/Inbox`; a slash of a name is written as another character.
    path: String,
    id: String,
}

impl Folder {
    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// Its path as a client writes it.
    fn written(&self) -> String {
        self.path.replace('/', "\\").replace('\u{f8ff}', "/")
    }

    /// What they may do there who have no entry, and those outside.
    fn everybody(&self) -> [(&'static str, &'static str); 2] {
        let default = match self.kind {
            CALENDAR => FREE_OR_BUSY,
            // Some companies let everybody see everybody's contacts.
            CONTACTS => "Reviewer",
            _ => "None",
        };
        [("Default", default), ("Anonymous", "None")]
    }
}

impl Tenant {
    /// Lets somebody do this in a folder of a mailbox beside its main calendar. The folder is
    /// its type in Exchange's words (`Inbox`), or the path of one that the owner made (`/Projects`).
    /// Of a trustee who is nobody of the tenant, `NT:S-1-5-21-…`, nothing but this name is shown.
    pub fn share_folder(&mut self, owner: &str, folder: &str, trustee: &str, right: &str) {
        let mut sharing = self.folder_sharing.get(owner).cloned().unwrap_or_default();
        sharing
            .shared
            .entry(folder.to_owned())
            .or_default()
            .insert(trustee.to_owned(), right.to_owned());
        self.folder_sharing.found(owner, sharing);
    }

    /// Adds a folder that the owner of a mailbox has made, and perhaps when he will delete it.
    pub fn add_own_folder(&mut self, owner: &str, path: &str, gone_at_ms: Option<i64>) {
        let mut sharing = self.folder_sharing.get(owner).cloned().unwrap_or_default();
        sharing.own.push(OwnFolder {
            path: path.to_owned(),
            gone_at_ms,
        });
        self.folder_sharing.found(owner, sharing);
    }

    pub(super) fn get_mailbox_folder_statistics(&self, cx: &Cx, given: &Given) -> Result<CmdletOutput, VendorError> {
        given.only(&["Identity", "FolderScope"])?;
        let mailbox = self.mailbox_seen(cx, given.required("Identity")?)?;
        let all = self.folders_of(mailbox, cx.as_of, cx.dice);
        let top = match given.text("FolderScope").unwrap_or("All") {
            "All" => None,
            scope => Some(scope_in(&all, scope)?),
        };
        let is_wanted = |folder: &&Folder| {
            let within = |top: &Folder| {
                let below = folder.path.strip_prefix(top.path.as_str());
                below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            top.is_none_or(within)
        };
        let row = |folder: &Folder| {
            let items = match folder.kind {
                CALENDAR => mailbox.events.len() as u64,
                "Inbox" => mailbox.items,
                _ => 0,
            };
            json!({
                "FolderId": folder.id,
                "FolderPath": folder.path,
                "FolderType": folder.kind,
                "Identity": format!("{}{}", mailbox.alias, folder.path.replace('/', "\\")),
                "ItemsInFolder": items,
                "Name": folder.name(),
            })
        };
        Ok(rows(all.iter().filter(is_wanted).map(row).collect()))
    }

    pub(super) fn get_mailbox_folder_permission(&self, cx: &Cx, given: &Given) -> Result<CmdletOutput, VendorError> {
        given.only(&["Identity", "User"])?;
        let identity = given.required("Identity")?;
        let (named, folder) = split(identity)?;
        let mailbox = self.mailbox_seen(cx, named)?;
        let folder = find(self.folders_of(mailbox, cx.as_of, cx.dice), folder, identity)?;
        let only = given.text("User").map(|user| self.folder_trustee(user)).transpose()?;
        let entries: Vec<Value> = self
            .entries_of(mailbox, &folder, cx.as_of)
            .into_iter()
            .flatten()
            .filter(|(trustee, _)| only.as_ref().is_none_or(|wanted| wanted == *trustee))
            .map(|(trustee, right)| entry(mailbox, &folder, &self.user_of(trustee), right))
            .collect();
        match only {
            Some(trustee) if entries.is_empty() => Err(no_entry(&self.shown_as(&trustee))),
            Some(_) => Ok(rows(entries)),
            None => Ok(rows(
                folder
                    .everybody()
                    .into_iter()
                    .map(|(user, right)| entry(mailbox, &folder, &json!(user), right))
                    .chain(entries)
                    .collect(),
            )),
        }
    }

    pub(super) fn remove_mailbox_folder_permission(
        &mut self,
        cx: &Cx,
        given: &Given,
    ) -> Result<CmdletOutput, VendorError> {
        given.only(&["Identity", "User"])?;
        let identity = given.required("Identity")?;
        let (named, folder) = split(identity)?;
        let id = self.mailbox_id(named)?;
        let trustee = self.folder_trustee(given.required("User")?)?;
        let Some(mailbox) = self.mailboxes.get(&id) else {
            return Err(VendorError::no_recipient(&id));
        };
        let folder = find(self.folders_of(mailbox, cx.now, cx.dice), folder, identity)?;
        let has = self
            .entries_of(mailbox, &folder, cx.now)
            .is_some_and(|entries| entries.contains_key(&trustee));
        if !has {
            return Err(no_entry(&self.shown_as(&trustee)));
        }
        let effect = if folder.kind == CALENDAR {
            if let Some(mailbox) = self.mailboxes.edit(&id, cx.now) {
                mailbox.calendar.shared.remove(&trustee);
            }
            Effect::CalendarAccessRemoved
        } else {
            if let Some(sharing) = self.folder_sharing.edit(&id, cx.now)
                && let Some(entries) = sharing.shared.get_mut(&folder.key)
            {
                entries.remove(&trustee);
            }
            Effect::FolderAccessRemoved
        };
        self.note(cx.now, cx.actor(), effect, &trustee, &id);
        Ok(rows(Vec::new()))
    }

    /// Every folder of a mailbox as it was at that moment, Exchange's own and then the owner's.
    fn folders_of(&self, mailbox: &Mailbox, as_of: i64, dice: Dice) -> Vec<Folder> {
        let calendar = &mailbox.calendar.name;
        let german = calendar == "Kalender";
        let folder = |key: &str, kind: &'static str, path: String| Folder {
            key: key.to_owned(),
            kind,
            path,
            id: format!(
                "LgAAAA{}AAAB",
                dice.guid("folder", &format!("{}{key}", mailbox.owner)).replace('-', "")
            ),
        };
        let mut all: Vec<Folder> = STANDARD
            .into_iter()
            .map(|(kind, english, its_german)| {
                let name = if german { its_german } else { english };
                folder(kind, kind, format!("/{name}"))
            })
            .collect();
        all.push(folder(
            "BirthdayCalendar",
            "BirthdayCalendar",
            format!("/{calendar}/Birthdays"),
        ));
        all.push(folder(CALENDAR, CALENDAR, format!("/{calendar}")));
        let own = self
            .folder_sharing
            .at(&mailbox.owner, as_of)
            .map_or(&[][..], |sharing| sharing.own.as_slice());
        all.extend(
            own.iter()
                .filter(|one| one.gone_at_ms.is_none_or(|gone| as_of < gone))
                .map(|one| folder(&one.path, USER_CREATED, one.path.clone())),
        );
        all
    }

    /// Who may do what in a folder, by the trustee; none where nobody has an entry.
    fn entries_of<'a>(
        &'a self,
        mailbox: &'a Mailbox,
        folder: &Folder,
        as_of: i64,
    ) -> Option<&'a BTreeMap<String, String>> {
        if folder.kind == CALENDAR {
            return Some(&mailbox.calendar.shared);
        }
        self.folder_sharing.at(&mailbox.owner, as_of)?.shared.get(&folder.key)
    }

    /// What an entry shows of whose it is.
    fn user_of(&self, id: &str) -> Value {
        match self.people.get(id) {
            Some(person) => json!(person.display_name),
            None => json!({
                "DisplayName": self.shown_as(id),
                "RecipientPrincipal": null,
                "UserType": {"Value": "Unknown"},
            }),
        }
    }

    /// The name by which an entry shows somebody; of somebody who is gone only a number is left.
    fn shown_as(&self, id: &str) -> String {
        match self.people.get(id) {
            Some(person) => person.display_name.clone(),
            None if id.starts_with(UNKNOWN) => id.to_owned(),
            None => gone(id),
        }
    }

    /// The person that `-User` names: also by the name that is shown, if only one bears it.
    fn folder_trustee(&self, identity: &str) -> Result<String, VendorError> {
        if identity.starts_with(UNKNOWN) {
            return Ok(identity.to_owned());
        }
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

/// `mailbox:\path`, or `mailbox:id`.
fn split(identity: &str) -> Result<(&str, &str), VendorError> {
    identity
        .split_once(':')
        .ok_or_else(|| VendorError::no_recipient(identity))
}

/// The folder among them that an identity names. What a list calls the top of a mailbox is no
/// path to it.
fn find(all: Vec<Folder>, named: &str, identity: &str) -> Result<Folder, VendorError> {
    let is_meant = |folder: &Folder| match named {
        "\\" => folder.kind == ROOT,
        _ if named.starts_with('\\') => folder.kind != ROOT && folder.written().to_lowercase() == named.to_lowercase(),
        _ => folder.id == named,
    };
    let found = all
        .into_iter()
        .find(is_meant)
        .ok_or_else(|| VendorError::no_recipient(identity))?;
    if found.kind == RECOVERABLE {
        return Err(VendorError::cmdlet(
            400,
            "CannotChangePermissionsOnFolderException",
            format!("The permissions of the folder '{identity}' can't be read or changed."),
        ));
    }
    Ok(found)
}

/// The folder that a scope is of: it bears the name of its type, but for one.
fn scope_in<'a>(all: &'a [Folder], scope: &str) -> Result<&'a Folder, VendorError> {
    let kind = match scope {
        "ConversationHistory" => CONVERSATIONS,
        // Types that are no scopes.
        CONVERSATIONS | ROOT | USER_CREATED | RECOVERABLE => "",
        kind => kind,
    };
    all.iter().find(|folder| folder.kind == kind).ok_or_else(|| {
        VendorError::cmdlet(
            400,
            "ParameterBindingException",
            format!("Cannot bind parameter 'FolderScope'. Cannot convert value \"{scope}\" to type \"ElcFolderType\"."),
        )
    })
}

fn no_entry(user: &str) -> VendorError {
    VendorError::cmdlet(
        400,
        "UserNotFoundInPermissionEntryException",
        format!("There is no existing permission entry found for user: {user}."),
    )
}

fn entry(mailbox: &Mailbox, folder: &Folder, user: &Value, right: &str) -> Value {
    json!({
        "AccessRights": [right],
        "FolderName": folder.name(),
        "Identity": format!("{}:{}", mailbox.owner, folder.written()),
        "IsValid": true,
        "SharingPermissionFlags": null,
        "User": user,
    })
}
