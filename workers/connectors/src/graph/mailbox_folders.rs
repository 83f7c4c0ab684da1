//! The folders of a leaver's mailbox, and who may open each of them.
//!
//! Outlook shares a mailbox folder by folder, and no list of the mailbox's own
//! rights shows any of it: each folder is asked by itself. A folder's name is in
//! its owner's language, and he may call one of his own as Exchange calls its Inbox
//! in another; so a folder is known by its type, and asked by its id.
//!
//! Asked are those of Exchange's folders that can be shared and hold what was
//! the leaver's ([`KINDS`]), those that he made at the top of the mailbox, and his
//! further calendars; who has more than [`FOLDERS_MAX`] is for a person. Left out are:
//!
//! - folders within other folders. There may be thousands, and a right on one of
//!   them alone is rare: Outlook gives a new folder the rights of the one that
//!   it is in, and shows it to nobody who may not open that one;
//! - what Exchange keeps for itself (recoverable items, conversations' settings,
//!   search folders, synchronisation errors), which Outlook cannot share;
//! - the in-place archive, which has folders of its own;
//! - the folders of others' mailboxes: there is no search for whom a folder is
//!   shared with, and some fifteen questions for each mailbox of the tenant are more
//!   than its throttling bears. What is shared with the leaver there opens
//!   nothing to an account that cannot sign in.
//!
//! What everybody has (`Default`, `Anonymous`) is nobody's delegation, and stays.

use super::api::Api;
use super::exchange::Cmdlet;
use super::mailbox_parts::unless_gone;
use super::read::{text_in, texts_in};
use crate::{Answer, Call, DelegationRight, SharedFolder};
use offboard_domain::{Digest, FaultClass, ObjectId};
use serde_json::Value;

/// The most folders of one mailbox that are asked, ten in a batch: what is done within
/// an attempt. Who has more at the top of his mailbox is not called clean.
const FOLDERS_MAX: usize = 100;
/// What is wanted of each folder: whole rows of thousands of folders would be more
/// than an answer may be.
const SHOWN: &str = "FolderId,FolderPath,FolderType,Name";
const LIST: &str = "Get-MailboxFolderStatistics";
const ENTRIES: &str = "Get-MailboxFolderPermission";
const CALENDAR: &str = "Calendar";
const CONVERSATIONS: &str = "CommunicatorHistory";
const ROOT: DelegationRight = DelegationRight::Folder(SharedFolder::Root);
/// The folders that every mailbox has and that can be shared, by their types.
const KINDS: [(&str, DelegationRight); 14] = [
    (CALENDAR, DelegationRight::Calendar),
    ("Inbox", DelegationRight::Folder(SharedFolder::Inbox)),
    ("Contacts", DelegationRight::Folder(SharedFolder::Contacts)),
    ("Tasks", DelegationRight::Folder(SharedFolder::Tasks)),
    ("Notes", DelegationRight::Folder(SharedFolder::Notes)),
    ("SentItems", DelegationRight::Folder(SharedFolder::SentItems)),
    ("Drafts", DelegationRight::Folder(SharedFolder::Drafts)),
    ("DeletedItems", DelegationRight::Folder(SharedFolder::DeletedItems)),
    ("Archive", DelegationRight::Folder(SharedFolder::Archive)),
    ("Root", ROOT),
    ("JunkEmail", DelegationRight::Folder(SharedFolder::JunkEmail)),
    ("Journal", DelegationRight::Folder(SharedFolder::Journal)),
    ("Outbox", DelegationRight::Folder(SharedFolder::Outbox)),
    (
        CONVERSATIONS,
        DelegationRight::Folder(SharedFolder::ConversationHistory),
    ),
];
/// The type of a folder that the owner made, also of a calendar.
const USER_CREATED: &str = "User Created";
/// What stands in a path for a slash of a name.
const SLASH_IN_NAME: char = '\u{f8ff}';
/// The entries of every folder that stand for nobody in particular.
const NOBODY: &[&str] = &["Default", "Anonymous"];

/// A folder that is asked who may open it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Folder {
    /// What an entry of it is.
    right: DelegationRight,
    /// It as commands name it.
    identity: String,
}

impl Api {
    /// Who may see or change what is in which folder, as Exchange names him.
    pub(super) async fn folder_holders(
        &self,
        call: &mut Call,
        mailbox: &ObjectId,
    ) -> Answer<Vec<(DelegationRight, String)>> {
        let folders = self.shared_folders(call, mailbox, None).await?;
        let asks: Vec<Cmdlet> = folders
            .iter()
            .map(|folder| Cmdlet::about(ENTRIES, &folder.identity))
            .collect();
        let (mut held, mut missed) = (Vec::new(), Vec::new());
        for (folder, answer) in folders.iter().zip(self.invoke_all(call, asks).await) {
            match unless_gone(answer)? {
                Some(rows) => held.extend(self.holders_in(&rows)?.into_iter().map(|name| (folder.right, name))),
                None => missed.push(folder.right),
            }
        }
        // A folder may go between the list and the look. One that is listed still
        // was not read, and nothing may be said of it.
        if !missed.is_empty() {
            let listed = self.shared_folders(call, mailbox, None).await?;
            if listed.iter().any(|folder| missed.contains(&folder.right)) {
                return Err(self.fault_in(
                    ENTRIES,
                    FaultClass::Transient,
                    "a folder of the mailbox was not found, and the list of its folders has it; it is read again",
                ));
            }
        }
        Ok(held)
    }

    /// The folder that a right is on, as commands name it; none when the mailbox
    /// has none such.
    pub(super) async fn folder_of(
        &self,
        call: &mut Call,
        mailbox: &ObjectId,
        right: DelegationRight,
    ) -> Answer<Option<String>> {
        if right == ROOT {
            return Ok(Some(top_of(mailbox)));
        }
        let folders = self.shared_folders(call, mailbox, scope_of(right)).await?;
        Ok(folders
            .into_iter()
            .find(|folder| folder.right == right)
            .map(|folder| folder.identity))
    }

    /// The folders that are asked, of those in a scope, or of all.
    async fn shared_folders(
        &self,
        call: &mut Call,
        mailbox: &ObjectId,
        scope: Option<&'static str>,
    ) -> Answer<Vec<Folder>> {
        let list = Cmdlet::about(LIST, &mailbox.0).showing(SHOWN);
        let list = match scope {
            Some(scope) => list.with("FolderScope", scope),
            None => list,
        };
        let rows = self.invoke_list(call, &list).await?;
        let Some(folders) = folders_in(mailbox, &rows) else {
            return Err(self.fault_in(
                LIST,
                FaultClass::Unsupported,
                "a folder does not say where it is in a way that this version reads; look at it by hand",
            ));
        };
        if folders.len() > FOLDERS_MAX {
            let detail = format!(
                "the mailbox has {} folders to be asked for whom they are shared with, and {FOLDERS_MAX} at most are; look at them by hand, then waive this",
                folders.len()
            );
            return Err(self.fault_in(LIST, FaultClass::Blocked, &detail));
        }
        Ok(folders)
    }

    fn holders_in(&self, rows: &[Value]) -> Answer<Vec<String>> {
        let mut holders = Vec::new();
        for row in rows.iter().filter(|r| opens(r)) {
            match holder(row) {
                Some(name) if NOBODY.iter().any(|n| name.eq_ignore_ascii_case(n)) => {}
                Some(name) => holders.push(name),
                None => {
                    return Err(self.fault_in(
                        ENTRIES,
                        FaultClass::Unsupported,
                        "an entry of a folder does not say whose it is in a way that this version reads; look at it by hand",
                    ));
                }
            }
        }
        Ok(holders)
    }
}

/// The folders among them that are asked, Exchange's own first; none when one of
/// them does not say where it is.
fn folders_in(mailbox: &ObjectId, rows: &[Value]) -> Option<Vec<Folder>> {
    let first = |kind: &str| rows.iter().find(|row| is_of(row, kind));
    let mut folders = Vec::new();
    for (kind, right) in KINDS {
        if let Some(row) = first(kind) {
            let identity = identity(mailbox, right, row)?;
            folders.push(Folder { right, identity });
        }
    }
    let calendar = first(CALENDAR).and_then(path);
    let mut own: Vec<(String, Folder)> = Vec::new();
    for row in rows.iter().filter(|row| is_of(row, USER_CREATED)) {
        let path = path(row)?;
        if is_near(&path, calendar.as_deref()) {
            let id = text_in(&row["FolderId"]).unwrap_or_else(|| path.clone());
            let right = DelegationRight::Folder(SharedFolder::Own(Digest::of(id.as_bytes())));
            let identity = identity(mailbox, right, row)?;
            own.push((path, Folder { right, identity }));
        }
    }
    // Where not all are asked, they are the same ones each time.
    own.sort_by(|a, b| a.0.cmp(&b.0));
    folders.extend(own.into_iter().map(|(_, folder)| folder));
    Some(folders)
}

fn is_of(row: &Value, kind: &str) -> bool {
    row["FolderType"].as_str().is_some_and(|k| k.eq_ignore_ascii_case(kind))
}

/// Where a folder is: `/Projects/2026`.
fn path(row: &Value) -> Option<String> {
    text_in(&row["FolderPath"]).or_else(|| Some(format!("/{}", row["Name"].as_str()?)))
}

/// Whether a folder is at the top of the mailbox, or directly in its main calendar,
/// where further calendars are.
fn is_near(path: &str, calendar: Option<&str>) -> bool {
    let directly_in = |parent: &str| {
        path.strip_prefix(parent)
            .and_then(|rest| rest.strip_prefix('/'))
            .is_some_and(|name| !name.contains('/'))
    };
    directly_in("") || calendar.is_some_and(directly_in)
}

/// The scope of a list that has the folder of a right and little besides; none:
/// the list of all has it.
fn scope_of(right: DelegationRight) -> Option<&'static str> {
    match KINDS.iter().find(|(_, of)| *of == right)?.0 {
        CONVERSATIONS => Some("ConversationHistory"),
        kind => Some(kind),
    }
}

/// The top of a mailbox as commands name it: what a list calls it is no path to it.
fn top_of(mailbox: &ObjectId) -> String {
    format!("{}:\\", mailbox.0)
}

/// A folder as commands name it: by its id, or by its path where it has none.
fn identity(mailbox: &ObjectId, right: DelegationRight, row: &Value) -> Option<String> {
    if right == ROOT {
        return Some(top_of(mailbox));
    }
    let folder =
        text_in(&row["FolderId"]).or_else(|| Some(path(row)?.replace('/', "\\").replace(SLASH_IN_NAME, "/")))?;
    Some(format!("{}:{folder}", mailbox.0))
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn asked(rows: &[Value]) -> Vec<String> {
        folders_in(&ObjectId::from("m"), rows)
            .unwrap()
            .into_iter()
            .map(|folder| folder.identity)
            .collect()
    }

    #[test]
    fn a_folder_is_known_by_its_type_and_named_by_its_id() {
        let row = |kind: &str, path: &str, id: &str| json!({"FolderType": kind, "FolderPath": path, "FolderId": id});
        let rows = [
            row("Root", "/Oberste Ebene des Informationsspeichers", "r"),
            row("Inbox", "/Posteingang", "i"),
            row("User Created", "/Inbox", "u"),
            row("User Created", "/Inbox/2026", "not at the top"),
            row("User Created", "/A\u{f8ff}B", "s"),
            row("BirthdayCalendar", "/Kalender/Geburtstage", "b"),
            row("Calendar", "/Kalender", "c"),
            row("User Created", "/Kalender/Urlaub", "v"),
            row("User Created", "/Kalender/Urlaub/2026", "not directly in the calendar"),
            row("RecoverableItemsRoot", "/Recoverable Items", "x"),
        ];
        assert_eq!(asked(&rows), ["m:c", "m:i", "m:\\", "m:s", "m:u", "m:v"]);
    }

    #[test]
    fn a_folder_without_an_id_is_named_by_its_path() {
        let rows = [
            json!({"FolderType": "Calendar", "Name": "Kalender"}),
            json!({"FolderType": "User Created", "FolderPath": "/A\u{f8ff}B"}),
            json!({"FolderType": "User Created", "FolderPath": "/Kalender/Urlaub"}),
        ];
        assert_eq!(asked(&rows), ["m:\\Kalender", "m:\\A/B", "m:\\Kalender\\Urlaub"]);
    }

    #[test]
    fn a_folder_that_says_nothing_of_where_it_is_is_not_passed_over() {
        for kind in ["Inbox", "User Created"] {
            let rows = [json!({"FolderType": kind})];
            assert_eq!(folders_in(&ObjectId::from("m"), &rows), None, "{kind}");
        }
    }
}
