//! Shared drives: what is in one is the company's, and who manages it lets others in.
//! Everything is asked as a domain administrator, so that neither the leaver's account
//! must be open nor the service's be let into a drive.
//!
//! Facts from Google's discovery document (`drive/v3`): a drive's id is that of its top
//! folder, whose permissions are its members; an *organizer* manages it. Believed, with a
//! test of that name: that a search may ask for `organizerCount`. What it lists is only
//! where to look: who manages a drive is read from its own members.

use super::GoogleConnector;
use super::scope::Scope;
use super::wire::{About, Ask, id_of};
use crate::path::Path;
use crate::{Answer, Call, Member, SharedDrives};
use async_trait::async_trait;
use offboard_domain::{FaultClass, ObjectId};
use reqwest::Method;
use serde_json::{Value, json};

/// The role of who manages a drive.
const MANAGER: &str = "organizer";

/// Those that one account, or one group, manages alone.
const OF_ONE_MANAGER: &str = "organizerCount = 1";

/// The most that are looked at one by one: at some hundred milliseconds each, what an
/// attempt has time for.
const DRIVES_MAX: usize = 1_000;

/// How many a page is asked for: the most that Google gives.
const PAGE: &str = "100";

fn as_administrator(path: Path) -> Path {
    path.with("useDomainAdminAccess", "true")
}

fn of_one_manager() -> Path {
    let path = Path::at("drive").then("v3/drives");
    as_administrator(path).with("q", OF_ONE_MANAGER).with("pageSize", PAGE)
}

fn listing(path: Path) -> Ask {
    Ask::get(path, Scope::Drives, About::Service)
}

fn reading(path: Path) -> Ask {
    Ask::get(path, Scope::Drives, About::Account)
}

fn writing(method: Method, path: Path, body: Value) -> Ask {
    Ask::write(method, path, Scope::Drives, About::Change, Some(body))
}

fn members_of(drive: &ObjectId) -> Path {
    let path = Path::at("drive").then("v3/files").id(&drive.0).then("permissions");
    as_administrator(path).with("supportsAllDrives", "true")
}

/// Whether somebody of a deleted account: nobody.
fn is_left(permission: &Value) -> bool {
    permission["deleted"].as_bool() == Some(true)
}

fn is_of(permission: &Value, member: &Member) -> bool {
    let address = permission["emailAddress"].as_str();
    permission["type"].as_str() == Some("user") && address.is_some_and(|a| member.answers_to(a))
}

fn manages(permission: &Value) -> bool {
    permission["role"].as_str() == Some(MANAGER)
}

/// Whether he manages it, and nobody else does. A group counts as somebody.
fn is_managed_alone(members: &[Value], by: &Member) -> bool {
    let mut managers = members.iter().filter(|p| manages(p) && !is_left(p)).peekable();
    managers.peek().is_some() && managers.all(|p| is_of(p, by))
}

impl GoogleConnector {
    /// The first of them, for who tries whether they may be read.
    pub(super) async fn some_drives(&self, call: &mut Call) -> Answer<Value> {
        let path = of_one_manager().with("fields", "drives(id)");
        Ok(self.wire.send(call, &listing(path)).await?.body)
    }

    async fn members(&self, call: &mut Call, drive: &ObjectId) -> Answer<Vec<Value>> {
        let fields = "nextPageToken,permissions(id,type,role,emailAddress,deleted)";
        let path = members_of(drive).with("pageSize", PAGE).with("fields", fields);
        let members = self.wire.list(call, reading, path.clone(), "permissions").await?;
        if members.iter().any(|p| p["role"].as_str().is_none()) {
            let detail = "Google lists a member of a shared drive without saying what he may do; it is read again";
            return Err(self.wire.fault(&reading(path), FaultClass::Transient, detail));
        }
        Ok(members)
    }
}

#[async_trait]
impl SharedDrives for GoogleConnector {
    async fn managed_alone(&self, call: &mut Call, member: &Member) -> Answer<Vec<ObjectId>> {
        let path = of_one_manager().with("fields", "nextPageToken,drives(id)");
        let listed = self.wire.list(call, listing, path.clone(), "drives").await?;
        if listed.len() > DRIVES_MAX {
            let detail = "the company has more shared drives of one manager than are looked at; give those of his another manager by hand (Admin console, Apps > Google Workspace > Drive and Docs > Manage shared drives), then waive this";
            return Err(self.wire.fault(&listing(path), FaultClass::Unsupported, detail));
        }
        let mut found = Vec::new();
        for drive in listed.iter().filter_map(|d| id_of(&d["id"])) {
            let drive = ObjectId(drive);
            match self.members(call, &drive).await {
                Ok(members) if is_managed_alone(&members, member) => found.push(drive),
                Ok(_) => {}
                // Deleted since it was listed.
                Err(fault) if fault.class == FaultClass::Absent => {}
                Err(fault) => return Err(fault),
            }
        }
        found.sort();
        found.dedup();
        Ok(found)
    }

    async fn let_manage(&self, call: &mut Call, drive: &ObjectId, who: &Member) -> Answer<()> {
        let members = self.members(call, drive).await?;
        let his = members.iter().find(|p| is_of(p, who) && !is_left(p));
        let ask = match his {
            Some(permission) if manages(permission) => return Ok(()),
            // He is let in already, for less.
            Some(permission) => {
                let id = id_of(&permission["id"]).unwrap_or_default();
                let path = Path::at("drive")
                    .then("v3/files")
                    .id(&drive.0)
                    .then("permissions")
                    .id(&id);
                let path = as_administrator(path).with("supportsAllDrives", "true");
                writing(Method::PATCH, path, json!({"role": MANAGER}))
            }
            None => {
                let path = members_of(drive).with("sendNotificationEmail", "false");
                let body = json!({"type": "user", "role": MANAGER, "emailAddress": who.address});
                writing(Method::POST, path, body)
            }
        };
        self.wire.send(call, &ask).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anna() -> Member {
        Member {
            id: "1".into(),
            company: None,
            address: "anna@x.test".into(),
            aliases: vec!["a@x.test".into()],
            employee_ids: Vec::new(),
            suspended: true,
            archived: false,
            administrator: false,
            second_factor: false,
            second_factor_enforced: false,
            has_mail: true,
            manager: None,
            whole: Value::Null,
        }
    }

    fn member(sort: &str, role: &str, address: &str) -> Value {
        json!({"id": "p", "type": sort, "role": role, "emailAddress": address})
    }

    #[test]
    fn who_manages_it_alone_is_told_by_its_members() {
        let his = || member("user", "organizer", "A@X.test");
        let other = |role: &str| member("user", role, "berta@x.test");
        let mut gone = other("organizer");
        gone["deleted"] = json!(true);
        for (members, alone) in [
            (vec![his()], true),
            (vec![other("reader"), his(), other("fileOrganizer")], true),
            (vec![his(), gone], true),
            (vec![his(), other("organizer")], false),
            (vec![his(), member("group", "organizer", "anna@x.test")], false),
            (vec![member("group", "organizer", "anna@x.test")], false),
            // Whose it is does not show.
            (vec![his(), json!({"type": "user", "role": "organizer"})], false),
            (vec![other("organizer")], false),
            (vec![member("user", "writer", "anna@x.test")], false),
            (vec![], false),
        ] {
            assert_eq!(is_managed_alone(&members, &anna()), alone, "{members:?}");
        }
    }
}
