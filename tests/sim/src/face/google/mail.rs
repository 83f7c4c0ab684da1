//! Gmail's settings, as the person himself alone can see and change them.

use serde_json::{Value, json};

use super::{Asked, Done};
use crate::world::workspace::{Workspace, WorkspaceMailbox};

const BASIC: &str = "gmail.settings.basic";
const SHARING: &str = "gmail.settings.sharing";

/// What is to become of a mailbox.
type Change = Box<dyn FnOnce(&mut WorkspaceMailbox)>;

pub(super) fn serve(w: &mut Workspace, asked: &Asked<'_>, rest: &[&str]) -> Done {
    asked.only(&[])?;
    let of = |rows: &crate::world::workspace::WorkspaceRows| {
        let his = rows.users.iter().find(|(_, user)| user.address == asked.subject);
        his.map(|(id, user)| (id.clone(), user.clone()))
    };
    let (id, now) = of(w.rows()).ok_or((404, "notFound"))?;
    // A token that was given while it was open does not help either.
    if now.suspended || !now.has_mail {
        return Err((400, "failedPrecondition"));
    }
    let seen = of(w.shown(asked.now_ms)).map_or_else(WorkspaceMailbox::default, |(_, user)| user.mailbox);
    let text = |name: &str| asked.body[name].as_str().map(str::to_owned);
    let sharing = matches!(rest, ["forwardingAddresses" | "autoForwarding" | "delegates", ..]) && asked.method != "GET";
    asked.needs(&[if sharing { SHARING } else { BASIC }])?;
    let confirms = w.habits.confirms_addresses;
    let known = |address: &str| {
        let mut users = w.rows().users.values();
        users.any(|user| user.address == address && user.customer == w.customer && !user.suspended)
    };
    let (effect, change): (&str, Change) = match (asked.method, rest) {
        ("GET", ["vacation"]) => {
            let mut shown = json!({"enableAutoReply": seen.reply.is_some(), "restrictToContacts": false});
            if let Some((text, inside)) = &seen.reply {
                shown["responseBodyPlainText"] = json!(text);
                shown["restrictToDomain"] = json!(inside);
            }
            return Ok((200, shown));
        }
        ("GET", ["autoForwarding"]) => {
            return Ok((
                200,
                match &seen.forwards {
                    None => json!({"enabled": false}),
                    Some((to, left)) => json!({"enabled": true, "emailAddress": to, "disposition": left}),
                },
            ));
        }
        ("GET", ["forwardingAddresses"]) => {
            let all = seen.addresses.iter();
            let all: Vec<Value> = all
                .map(|(a, fine)| json!({"forwardingEmail": a, "verificationStatus": if *fine { "accepted" } else { "pending" }}))
                .collect();
            return Ok((
                200,
                if all.is_empty() {
                    json!({})
                } else {
                    json!({"forwardingAddresses": all})
                },
            ));
        }
        ("GET", ["delegates"]) => {
            let mut all: Vec<Value> = seen
                .delegates
                .iter()
                .map(|d| json!({"delegateEmail": d, "verificationStatus": "accepted"}))
                .collect();
            all.push(json!({"delegateEmail": "canary@workspace.example", "verificationStatus": "notAWordYet"}));
            return Ok((200, json!({"delegates": all})));
        }
        ("GET", ["filters"]) => {
            let all = seen.filters.iter().map(|(id, to)| match to {
                Some(to) => json!({"id": id, "criteria": {"from": "canary"}, "action": {"forward": to}}),
                None => json!({"id": id, "action": {"addLabelIds": ["X"]}}),
            });
            let all: Vec<Value> = all.collect();
            return Ok((
                200,
                if all.is_empty() {
                    json!({})
                } else {
                    json!({"filter": all})
                },
            ));
        }
        ("PUT", ["vacation"]) => {
            let on = asked.body["enableAutoReply"].as_bool() == Some(true);
            let inside = asked.body["restrictToDomain"].as_bool() == Some(true);
            let text = text("responseBodyPlainText").filter(|t| !t.is_empty());
            if on && text.is_none() {
                return Err((400, "invalidArgument"));
            }
            // It comes back wrapped.
            let reply = text.filter(|_| on).map(|t| (t.replace('\n', "\r\n "), inside));
            ("reply", Box::new(|m| m.reply = reply))
        }
        ("POST", ["forwardingAddresses"]) => {
            let address = text("forwardingEmail").ok_or((400, "invalidArgument"))?;
            if now.mailbox.addresses.contains_key(&address) {
                return Err((409, "alreadyExists"));
            }
            let fine = known(&address) && !confirms;
            (
                "address",
                Box::new(move |m| {
                    m.addresses.insert(address, fine);
                }),
            )
        }
        ("PUT", ["autoForwarding"]) if asked.body["enabled"].as_bool() == Some(true) => {
            let (Some(to), Some(left)) = (text("emailAddress"), text("disposition")) else {
                return Err((400, "invalidArgument"));
            };
            if now.mailbox.addresses.get(&to) != Some(&true) {
                return Err((400, "failedPrecondition"));
            }
            ("forward", Box::new(move |m| m.forwards = Some((to, left))))
        }
        ("PUT", ["autoForwarding"]) => ("forward", Box::new(|m| m.forwards = None)),
        ("POST", ["delegates"]) => {
            let who = text("delegateEmail").ok_or((400, "invalidArgument"))?;
            if now.mailbox.delegates.contains(&who) {
                return Err((409, "alreadyExists"));
            }
            if !known(&who) {
                return Err((400, "failedPrecondition"));
            }
            (
                "delegate",
                Box::new(move |m| {
                    m.delegates.insert(who);
                }),
            )
        }
        ("DELETE", ["filters", filter]) => {
            let filter = (*filter).to_owned();
            if !now.mailbox.filters.contains_key(&filter) {
                return Err((404, "notFound"));
            }
            ("filter", Box::new(move |m| drop(m.filters.remove(&filter))))
        }
        _ => return Err((404, "notFound")),
    };
    w.change(asked.now_ms, Some(format!("{effect} {id}")), |rows| {
        if let Some(user) = rows.users.get_mut(&id) {
            change(&mut user.mailbox);
        }
    });
    Ok((200, asked.body.clone()))
}
