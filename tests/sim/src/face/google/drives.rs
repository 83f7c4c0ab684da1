//! Shared drives and who is let into them, as a domain administrator has them.

use serde_json::{Value, json};

use super::{Asked, Done, Refused, page};
use crate::world::workspace::{Workspace, WorkspaceDriveMember};

const MANAGER: &str = "organizer";

pub(super) fn serve(w: &mut Workspace, asked: &Asked<'_>, rest: &[&str]) -> Done {
    asked.needs(&["drive"])?;
    // Who asks is let into no drive himself.
    if asked.param("useDomainAdminAccess") != Some("true") {
        return Err((404, "notFound"));
    }
    match (asked.method, rest) {
        ("GET", ["drives"]) => {
            asked.only(&["useDomainAdminAccess", "q", "pageSize", "pageToken", "fields"])?;
            if asked.param("q") != Some("organizerCount = 1") {
                return Err((400, "invalid"));
            }
            let drives = w.shown(asked.now_ms).drives.iter();
            let of_one = drives.filter(|(_, members)| members.values().filter(|m| m.role == MANAGER).count() == 1);
            let all = of_one.map(|(id, _)| json!({"kind": "drive#drive", "id": id, "name": "canary"}));
            page(w, asked, "drives", 100, all.collect())
        }
        ("GET", ["files", drive, "permissions"]) => {
            of_a_drive(asked, &["pageSize", "pageToken", "fields"])?;
            let members = w.shown(asked.now_ms).drives.get(*drive).ok_or((404, "notFound"))?;
            let all = members.iter().map(|(id, member)| shown(id, member)).collect();
            page(w, asked, "permissions", 100, all)
        }
        ("POST", ["files", drive, "permissions"]) => {
            of_a_drive(asked, &["sendNotificationEmail"])?;
            if asked.param("sendNotificationEmail") != Some("false") {
                return Err((400, "TheyWouldBeTold"));
            }
            let text = |name: &str| asked.body[name].as_str().ok_or((400, "required"));
            let (sort, role, address) = (text("type")?, text("role")?, text("emailAddress")?);
            let mut users = w.rows().users.iter();
            let user = users.find(|(_, user)| user.address == address && user.customer == w.customer);
            let (user, _) = user.filter(|_| sort == "user").ok_or((400, "invalidSharingRequest"))?;
            let members = w.rows().drives.get(*drive).ok_or((404, "notFound"))?;
            // Who is let in already stays what he is.
            if let Some((id, member)) = members.iter().find(|(_, m)| m.address == address) {
                return Ok((200, shown(id, member)));
            }
            let id = format!("p{user}");
            let member = WorkspaceDriveMember {
                address: address.to_owned(),
                group: false,
                role: role.to_owned(),
                deleted: false,
            };
            let answer = shown(&id, &member);
            w.change(asked.now_ms, Some(format!("{role} {drive} {id}")), |rows| {
                if let Some(members) = rows.drives.get_mut(*drive) {
                    members.insert(id, member);
                }
            });
            Ok((200, answer))
        }
        ("PATCH", ["files", drive, "permissions", id]) => {
            of_a_drive(asked, &[])?;
            let role = asked.body["role"].as_str().ok_or((400, "required"))?;
            let members = w.rows().drives.get(*drive).ok_or((404, "notFound"))?;
            let member = members.get(*id).ok_or((404, "notFound"))?;
            let answer = shown(id, member);
            w.change(asked.now_ms, Some(format!("{role} {drive} {id}")), |rows| {
                let members = rows.drives.get_mut(*drive);
                if let Some(member) = members.and_then(|m| m.get_mut(*id)) {
                    member.role = role.to_owned();
                }
            });
            Ok((200, answer))
        }
        _ => Err((404, "notFound")),
    }
}

/// Refuses what is not asked of a shared drive, or with another parameter.
fn of_a_drive(asked: &Asked<'_>, more: &[&str]) -> Result<(), Refused> {
    if asked.param("supportsAllDrives") != Some("true") {
        return Err((404, "notFound"));
    }
    let known = ["useDomainAdminAccess", "supportsAllDrives"];
    asked.only(&[&known[..], more].concat())
}

fn shown(id: &str, member: &WorkspaceDriveMember) -> Value {
    let sort = if member.group { "group" } else { "user" };
    json!({
        "kind": "drive#permission", "id": id, "type": sort, "role": member.role, "deleted": member.deleted,
        "emailAddress": member.address.to_uppercase(), "displayName": "canary",
    })
}
