//! Transfers of files, and licences.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Asked, Done, id, page};
use crate::iso;
use crate::world::workspace::{Workspace, WorkspaceTransfer};

/// The application of files, and one that has no private ones.
const DRIVE: &str = "55656082996";
const CALENDAR: &str = "435070579839";

/// A transfer that was just asked for is in no state that is documented.
const BEFORE_IT_BEGINS_MS: i64 = 60_000;

pub(super) fn transfers(w: &mut Workspace, asked: &Asked<'_>, rest: &[&str]) -> Done {
    asked.needs(&["admin.datatransfer"])?;
    match (asked.method, rest) {
        ("GET", ["applications"]) => {
            asked.only(&["pageToken", "maxResults", "customerId"])?;
            let all = vec![
                json!({"id": id(w, CALENDAR), "name": "Calendar", "transferParams": [{"key": "RELEASE_RESOURCES", "value": ["TRUE"]}]}),
                json!({"id": "1", "name": "canary"}),
                json!({"id": id(w, DRIVE), "name": "Files, as they are called today", "transferParams": [{"key": "PRIVACY_LEVEL", "value": ["PRIVATE", "SHARED"]}]}),
            ];
            page(w, asked, "applications", 500, all)
        }
        ("GET", ["transfers"]) => {
            asked.only(&[
                "oldOwnerUserId",
                "newOwnerUserId",
                "pageToken",
                "maxResults",
                "customerId",
                "status",
            ])?;
            let from = asked.param("oldOwnerUserId");
            let rows = w.shown(asked.now_ms).transfers.iter();
            // The new owner does not narrow it down.
            let his = rows.filter(|(_, t)| from.is_none_or(|from| t.from == from));
            let all = his.map(|(key, t)| transfer_json(w, asked.now_ms, key, t)).collect();
            page(w, asked, "dataTransfers", 500, all)
        }
        ("POST", ["transfers"]) => order(w, asked),
        _ => Err((404, "notFound")),
    }
}

fn transfer_json(w: &Workspace, now_ms: i64, key: &str, t: &WorkspaceTransfer) -> Value {
    let status = match now_ms - t.requested_ms {
        age if age < BEFORE_IT_BEGINS_MS => "queuedSomewhere",
        age if age < w.habits.transfer_ms => "inProgress",
        _ if t.fails => "failed",
        _ => "completed",
    };
    json!({
        "kind": "admin#datatransfer#DataTransfer", "id": key, "oldOwnerUserId": id(w, &t.from),
        "newOwnerUserId": id(w, &t.to), "requestTime": iso(t.requested_ms), "overallTransferStatusCode": status,
        "applicationDataTransfers": [{
            "applicationId": id(w, DRIVE), "applicationTransferStatus": status,
            "applicationTransferParams": [{"key": "PRIVACY_LEVEL", "value": t.levels}],
        }],
    })
}

fn order(w: &mut Workspace, asked: &Asked<'_>) -> Done {
    let body = &asked.body;
    let who = |name: &str| body[name].as_str().map(str::to_owned).ok_or((400, "required"));
    let (from, to) = (who("oldOwnerUserId")?, who("newOwnerUserId")?);
    let there = |id: &String| w.rows().users.get(id).is_some_and(|user| user.customer == w.customer);
    if !there(&from) || !there(&to) {
        return Err((404, "notFound"));
    }
    let part = &body["applicationDataTransfers"][0];
    if part["applicationId"] != json!(DRIVE) {
        return Err((400, "invalid"));
    }
    let params = part["applicationTransferParams"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let levels: BTreeSet<String> = params
        .iter()
        .filter(|p| p["key"] == json!("PRIVACY_LEVEL"))
        .filter_map(|p| p["value"].as_array())
        .flatten()
        .filter_map(|v| v.as_str().map(str::to_owned))
        .collect();
    let (now_ms, fails) = (asked.now_ms, w.habits.transfers_fail);
    let key = format!("AKrEtI-{}", w.rows().transfers.len() + 1);
    let transfer = WorkspaceTransfer {
        from,
        to,
        levels: if levels.is_empty() {
            ["SHARED".to_owned()].into()
        } else {
            levels
        },
        requested_ms: now_ms,
        fails,
    };
    let answer = transfer_json(w, now_ms, &key, &transfer);
    let effect = format!("transfer {} {}", transfer.from, transfer.to);
    w.change(now_ms, Some(effect), |rows| drop(rows.transfers.insert(key, transfer)));
    Ok((200, answer))
}

pub(super) fn licences(w: &mut Workspace, asked: &Asked<'_>, rest: &[&str]) -> Done {
    asked.needs(&["apps.licensing"])?;
    let ["product", product, "sku", sku, more @ ..] = rest else {
        return Err((404, "notFound"));
    };
    let licence = format!("{product}/{sku}");
    let assignment = |address: &str| json!({"kind": "licensing#licenseAssignment", "productId": product, "skuId": sku, "userId": address});
    match (asked.method, more) {
        ("GET", ["users"]) => {
            if asked.param("customerId") != Some(&w.customer) {
                return Err((400, "invalid"));
            }
            let users = w.shown(asked.now_ms).users.values();
            let all = users.filter(|user| user.licences.contains_key(&licence));
            let all = all.map(|user| assignment(&user.address)).collect();
            page(w, asked, "items", 1_000, all)
        }
        (method, ["user", address]) => {
            let shown = if method == "GET" {
                w.shown(asked.now_ms)
            } else {
                w.rows()
            };
            let his = shown.users.iter().find(|(_, user)| user.address == *address);
            let (id, user) = his
                .filter(|(_, user)| user.customer == w.customer)
                .ok_or((404, "notFound"))?;
            let automatic = *user.licences.get(&licence).ok_or((404, "notFound"))?;
            match method {
                "GET" => Ok((200, assignment(address))),
                "DELETE" if automatic => Err((412, "conditionNotMet")),
                "DELETE" => {
                    let id = id.clone();
                    w.change(asked.now_ms, Some(format!("licence {licence} {id}")), |rows| {
                        if let Some(user) = rows.users.get_mut(&id) {
                            user.licences.remove(&licence);
                        }
                    });
                    Ok((200, json!({})))
                }
                _ => Err((404, "notFound")),
            }
        }
        _ => Err((404, "notFound")),
    }
}
