//! Accounts, what they hold, groups and phones.

use serde_json::{Value, json};

use super::{Asked, Done, Refused, id, page, whole};
use crate::iso;
use crate::world::workspace::{Workspace, WorkspaceGroupSort, WorkspaceLaptop, WorkspacePhone, WorkspaceUser};

const USER: &str = "admin.directory.user";
const SECURITY: &str = "admin.directory.user.security";
const GROUPS: &str = "admin.directory.group.readonly";
const MEMBERS: &str = "admin.directory.group.member";
const LAPTOPS: &str = "admin.directory.device.chromeos";
const PHONES: &str = "admin.directory.device.mobile.action";

pub(super) fn serve(w: &mut Workspace, asked: &Asked<'_>, rest: &[&str]) -> Done {
    match (asked.method, rest) {
        ("GET", ["users"]) => list(w, asked),
        ("GET", ["users", key]) => {
            asked.needs(&[USER])?;
            asked.only(&["projection"])?;
            let (id, user) = by_key(w, asked.now_ms, key)?;
            Ok((200, show(w, &id, &user)))
        }
        ("PATCH", ["users", key]) => patch(w, asked, key),
        (_, ["users", key, what @ ..]) => of_user(w, asked, key, what),
        ("GET", ["groups"]) => {
            asked.needs(&[GROUPS])?;
            asked.only(&["userKey", "customer", "maxResults", "pageToken"])?;
            let key = asked.param("userKey");
            let shown = w.shown(asked.now_ms);
            let groups: Vec<String> = match key {
                Some(key) => shown.groups_of(key).into_iter().map(str::to_owned).collect(),
                None => shown.groups.keys().cloned().collect(),
            };
            let all = groups
                .iter()
                .map(|g| json!({"id": id(w, g), "email": "canary@groups.example", "name": "canary"}));
            page(w, asked, "groups", 200, all.collect())
        }
        ("DELETE", ["groups", group, "members", member]) => leave(w, asked, group, member),
        ("GET", ["customer", "my_customer", "devices", "chromeos"]) => {
            asked.needs(&[LAPTOPS])?;
            asked.only(&["projection", "query", "maxResults", "pageToken"])?;
            let laptops = w.shown(asked.now_ms).laptops.iter();
            let begins = beginning(asked, "user:")?;
            let fits = |noted: &str| noted.trim().to_lowercase().starts_with(&begins);
            let all = laptops
                .filter(|(_, laptop)| fits(&laptop.noted))
                .map(|(id, laptop)| laptop_json(id, laptop));
            page(w, asked, "chromeosdevices", 300, all.collect())
        }
        ("GET", ["customer", "my_customer", "devices", "chromeos", laptop]) => {
            asked.needs(&[LAPTOPS])?;
            asked.only(&["projection"])?;
            let row = w.shown(asked.now_ms).laptops.get(*laptop).ok_or((404, "notFound"))?;
            Ok((200, laptop_json(laptop, row)))
        }
        ("POST", ["customer", "my_customer", "devices", "chromeos:batchChangeStatus"]) => change_laptops(w, asked),
        ("GET", ["customer", "my_customer", "devices", "mobile"]) => {
            asked.needs(&[PHONES])?;
            asked.only(&["projection", "query", "maxResults", "pageToken"])?;
            let begins = beginning(asked, "email:")?;
            let phones = w.shown(asked.now_ms).phones.iter();
            let his = phones.filter(|(_, phone)| phone.owner.to_lowercase().starts_with(&begins));
            let all = his.map(|(id, phone)| phone_json(w, asked.now_ms, id, phone)).collect();
            page(w, asked, "mobiledevices", 100, all)
        }
        ("GET", ["customer", "my_customer", "devices", "mobile", phone]) => {
            asked.needs(&[PHONES])?;
            let row = w.shown(asked.now_ms).phones.get(*phone).ok_or((404, "notFound"))?;
            Ok((200, phone_json(w, asked.now_ms, phone, row)))
        }
        ("POST", ["customer", "my_customer", "devices", "mobile", phone, "action"]) => {
            asked.needs(&[PHONES])?;
            let action = asked.body["action"].as_str().ok_or((400, "required"))?;
            if !w.rows().phones.contains_key(*phone) {
                return Err((404, "notFound"));
            }
            let whole = match action {
                "admin_account_wipe" => false,
                "admin_remote_wipe" => true,
                _ => return Err((400, "invalid")),
            };
            let now_ms = asked.now_ms;
            w.change(now_ms, Some(format!("{action} {phone}")), |rows| {
                if let Some(row) = rows.phones.get_mut(*phone) {
                    row.told_ms.get_or_insert(now_ms);
                    row.told += 1;
                    row.wiped_whole |= whole;
                }
            });
            Ok((204, Value::Null))
        }
        _ => Err((404, "notFound")),
    }
}

/// How what a search of devices finds begins: it finds also what begins alike. One
/// of another field is refused; without one, everything is found.
fn beginning(asked: &Asked<'_>, field: &str) -> Result<String, Refused> {
    let Some(query) = asked.param("query") else {
        return Ok(String::new());
    };
    let value = query.strip_prefix(field).filter(|v| !v.is_empty());
    let value = value.ok_or((400, "invalid"))?.to_lowercase();
    Ok(value.chars().take(3).collect())
}

/// Each of a batch has its own answer, and the whole is fine whatever they are.
fn change_laptops(w: &mut Workspace, asked: &Asked<'_>) -> Done {
    asked.needs(&[LAPTOPS])?;
    let disable = json!("CHANGE_CHROME_OS_DEVICE_STATUS_ACTION_DISABLE");
    let ids = asked.body["deviceIds"].as_array().ok_or((400, "required"))?;
    if asked.body["changeChromeOsDeviceStatusAction"] != disable || ids.is_empty() || ids.len() > 50 {
        return Err((400, "invalid"));
    }
    let mut results = Vec::new();
    for key in ids.iter().filter_map(Value::as_str) {
        let active = w
            .rows()
            .laptops
            .get(key)
            .is_some_and(|laptop| laptop.status != "PRE_PROVISIONED");
        if !active {
            results.push(json!({"deviceId": key, "error": {"code": 9, "message": "canary"}}));
            continue;
        }
        w.change(asked.now_ms, Some(format!("disable {key}")), |rows| {
            if let Some(laptop) = rows.laptops.get_mut(key) {
                laptop.status = "DISABLED".to_owned();
            }
        });
        results.push(json!({"deviceId": key, "response": {}}));
    }
    Ok((200, json!({"changeChromeOsDeviceStatusResults": results})))
}

fn laptop_json(id: &str, laptop: &WorkspaceLaptop) -> Value {
    json!({
        "kind": "admin#directory#chromeosdevice", "deviceId": id, "status": laptop.status,
        "annotatedUser": laptop.noted, "recentUsers": [{"type": "USER_TYPE_MANAGED", "email": laptop.recent}],
        "serialNumber": format!("s-{id}"), "notes": "canary",
    })
}

fn phone_json(w: &Workspace, now_ms: i64, id: &str, phone: &WorkspacePhone) -> Value {
    let status = match phone.told_ms {
        None => "APPROVED",
        Some(at) if now_ms - at < w.habits.phone_ms => "ACCOUNT_WIPING",
        Some(_) => "ACCOUNT_WIPED",
    };
    json!({
        "kind": "admin#directory#mobiledevice", "resourceId": id, "status": status, "type": "NEVER_SEEN_BEFORE",
        "email": [phone.owner], "name": ["canary"], "serialNumber": format!("s-{id}"),
    })
}

/// The account of an id, a name or an alias. Of another company, or of nobody,
/// Google says different things.
fn by_key(w: &Workspace, now_ms: i64, key: &str) -> Result<(String, WorkspaceUser), Refused> {
    let users = &w.shown(now_ms).users;
    let named = |user: &WorkspaceUser| user.address == key || user.aliases.iter().any(|a| a == key);
    let found = users.iter().find(|(id, user)| *id == key || named(user));
    match found {
        Some((_, user)) if user.customer != w.customer => Err((403, "forbidden")),
        Some((id, user)) => Ok((id.clone(), user.clone())),
        None => Err((404, "notFound")),
    }
}

fn show(w: &Workspace, key: &str, user: &WorkspaceUser) -> Value {
    let mut shown = json!({
        "kind": "admin#directory#user", "id": id(w, key), "primaryEmail": user.address, "customerId": user.customer,
        "name": {"fullName": "canary", "givenName": "canary"}, "suspended": user.suspended, "archived": false,
        "isAdmin": user.administrator, "isDelegatedAdmin": user.administers_some, "isEnrolledIn2Sv": user.second_factor,
        "isEnforcedIn2Sv": user.enforced, "isMailboxSetup": user.has_mail, "recoveryEmail": "canary@elsewhere.example",
        "emails": [{"address": user.address, "primary": true}, {"address": "canary@elsewhere.example", "type": "home"}],
        "ipWhitelisted": false, "unheardOf": ["canary"],
    });
    if !user.aliases.is_empty() {
        shown["aliases"] = json!(user.aliases);
    }
    if let Some(number) = &user.number {
        shown["externalIds"] = json!([{"type": "organization", "value": number}]);
    }
    if let Some(manager) = &user.manager {
        shown["relations"] = json!([{"type": "manager", "value": manager}]);
    }
    shown
}

/// A search of one comparison, whose value is one quoted text to its end.
fn fits(query: &str, user: &WorkspaceUser) -> Result<bool, Refused> {
    if query == "isAdmin=true" {
        return Ok(user.administrator);
    }
    let (field, quoted) = query.split_once('=').ok_or((400, "invalid"))?;
    let inner = quoted.strip_prefix('\'').and_then(|q| q.strip_suffix('\''));
    let mut value = String::new();
    let mut letters = inner.ok_or((400, "invalid"))?.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => value.push(letters.next().ok_or((400, "invalid"))?),
            '\'' => return Err((400, "invalid")),
            other => value.push(other),
        }
    }
    let same = |s: &str| s.eq_ignore_ascii_case(&value);
    match field {
        "email" => Ok(same(&user.address) || user.aliases.iter().any(|a| same(a))),
        "externalId" => Ok(user.number.as_deref().is_some_and(same)),
        _ => Err((400, "invalid")),
    }
}

/// For how long it is shown who was deleted.
const DELETED_SHOWN_MS: i64 = 20 * 86_400_000;

fn list(w: &Workspace, asked: &Asked<'_>) -> Done {
    asked.needs(&[USER])?;
    asked.only(&[
        "customer",
        "maxResults",
        "pageToken",
        "projection",
        "query",
        "showDeleted",
    ])?;
    if asked.param("customer") != Some("my_customer") {
        return Err((400, "badRequest"));
    }
    match asked.param("showDeleted") {
        Some("true") => return list_deleted(w, asked),
        None | Some("false") => {}
        Some(_) => return Err((400, "invalidParameter")),
    }
    let mut all = Vec::new();
    for (id, user) in &w.shown(asked.now_ms).users {
        let fits = asked.param("query").map_or(Ok(true), |q| fits(q, user))?;
        if user.customer == w.customer && (fits || w.habits.loose_search) {
            all.push(show(w, id, user));
        }
    }
    page(w, asked, "users", 500, all)
}

/// Of who was deleted, little is shown, and no search is offered.
fn list_deleted(w: &Workspace, asked: &Asked<'_>) -> Done {
    if asked.param("query").is_some() {
        return Err((400, "invalid"));
    }
    let shown = w.shown(asked.now_ms).deleted.iter();
    let lately = shown.filter(|(_, (_, at_ms))| asked.now_ms - at_ms < DELETED_SHOWN_MS);
    let all = lately.map(|(key, (address, at_ms))| {
        json!({
            "kind": "admin#directory#user", "id": id(w, key), "primaryEmail": address,
            "customerId": w.customer, "deletionTime": iso(*at_ms),
        })
    });
    page(w, asked, "users", 500, all.collect())
}

/// Who administers anything is changed by who administers everything alone.
fn may_change(w: &Workspace, asked: &Asked<'_>, user: &WorkspaceUser) -> Result<(), Refused> {
    let mut all = w.rows().users.values();
    let acting = all.find(|u| u.address == asked.subject && u.customer == w.customer);
    let is_above = acting.is_some_and(|u| u.administrator);
    if (user.administrator || user.administers_some) && !is_above {
        return Err((403, "forbidden"));
    }
    Ok(())
}

/// Changes the account that is there now, whatever is shown of it.
fn edit(w: &mut Workspace, asked: &Asked<'_>, id: &str, effect: &str, how: impl FnOnce(&mut WorkspaceUser)) -> Done {
    let user = w.rows().users.get(id).filter(|user| user.customer == w.customer);
    may_change(w, asked, user.ok_or((404, "notFound"))?)?;
    w.change(asked.now_ms, Some(format!("{effect} {id}")), |rows| {
        if let Some(user) = rows.users.get_mut(id) {
            how(user);
        }
    });
    Ok((204, Value::Null))
}

fn patch(w: &mut Workspace, asked: &Asked<'_>, key: &str) -> Done {
    asked.needs(&[USER])?;
    asked.only(&[])?;
    let (id, _) = by_key(w, asked.now_ms, key)?;
    let body = asked.body.as_object().ok_or((400, "parseError"))?;
    for (name, value) in body {
        let known = match name.as_str() {
            "password" => value.as_str().is_some_and(|p| (8..=100).contains(&p.len())),
            "suspended" | "changePasswordAtNextLogin" => value.is_boolean(),
            _ => false,
        };
        if !known {
            return Err((400, "invalid"));
        }
    }
    let suspended = asked.body["suspended"].as_bool();
    let password = asked.body["password"].is_string();
    let effect = if password { "password" } else { "suspend" };
    edit(w, asked, &id, effect, |user| {
        user.suspended = suspended.unwrap_or(user.suspended);
        user.passwords += u32::from(password);
    })?;
    let user = w.rows().users[&id].clone();
    Ok((200, show(w, &id, &user)))
}

fn of_user(w: &mut Workspace, asked: &Asked<'_>, key: &str, what: &[&str]) -> Done {
    asked.needs(&[SECURITY])?;
    // These lists come whole.
    asked.only(&[])?;
    let (id, seen) = by_key(w, asked.now_ms, key)?;
    let now = w.rows().users.get(&id).cloned().ok_or((404, "notFound"))?;
    match (asked.method, what) {
        ("POST", ["signOut"]) => edit(w, asked, &id, "sign out", |user| user.sign_outs += 1),
        ("GET", ["tokens"]) => {
            let all = seen.grants.iter();
            let all =
                all.map(|g| json!({"clientId": g, "displayText": format!("Tool {g}"), "userKey": id, "scopes": ["x"]}));
            whole("items", all.collect())
        }
        ("DELETE", ["tokens", client]) => {
            if !now.grants.contains(*client) {
                return Err((404, "notFound"));
            }
            edit(w, asked, &id, &format!("token {client}"), |user| {
                user.grants.remove(*client);
            })
        }
        ("GET", ["asps"]) => {
            let all = seen.app_passwords.iter();
            let all = all.map(|code| json!({"codeId": code, "name": "canary"}));
            whole("items", all.collect())
        }
        ("DELETE", ["asps", code]) => {
            let code: u32 = code.parse().map_err(|_| (400, "invalid"))?;
            if !now.app_passwords.contains(&code) {
                return Err((400, "invalid"));
            }
            edit(w, asked, &id, &format!("asp {code}"), |user| {
                user.app_passwords.remove(&code);
            })
        }
        // Of a suspended account, neither is shown or done.
        (_, ["verificationCodes", ..]) if now.suspended => Err((400, "invalid")),
        ("GET", ["verificationCodes"]) => {
            let all = seen.codes.iter();
            let all = all.map(|code| json!({"verificationCode": code, "userId": id}));
            whole("items", all.collect())
        }
        ("POST", ["verificationCodes", "invalidate"]) => edit(w, asked, &id, "codes", |user| user.codes.clear()),
        ("POST", ["twoStepVerification", "turnOff"]) => {
            if now.suspended || !now.second_factor || now.enforced || now.advanced_protection {
                return Err((400, "invalid"));
            }
            edit(w, asked, &id, "second factor", |user| user.second_factor = false)
        }
        _ => Err((404, "notFound")),
    }
}

fn leave(w: &mut Workspace, asked: &Asked<'_>, group: &str, member: &str) -> Done {
    asked.needs(&[MEMBERS])?;
    match w.rows().sorts.get(group) {
        Some(WorkspaceGroupSort::Dynamic) => return Err((400, "invalid")),
        Some(WorkspaceGroupSort::Security) => return Err((403, "forbidden")),
        Some(WorkspaceGroupSort::Ordinary) | None => {}
    }
    if !w
        .rows()
        .groups
        .get(group)
        .is_some_and(|members| members.iter().any(|m| m == member))
    {
        return Err((404, "notFound"));
    }
    w.change(asked.now_ms, Some(format!("leave {group} {member}")), |rows| {
        if let Some(members) = rows.groups.get_mut(group) {
            members.retain(|m| m != member);
        }
    });
    Ok((204, Value::Null))
}
