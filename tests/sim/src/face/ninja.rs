//! NinjaOne's public API (2.0.9-draft) over a remote management: as much of it as
//! one client company's devices take. Whatever it does not know, it refuses.

use std::collections::{BTreeMap, BTreeSet};

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::{WireAnswer, WireRequest, WireResponse};
use crate::world::fleet::{Fleet, FleetFault, Node, Run};

/// A refusal: the status and the `resultCode`.
type Refused = (u16, &'static str);
type Done = Result<(u16, Value), Refused>;

/// The wire protocol of NinjaOne.
#[derive(Debug, Clone, Copy, Default)]
pub struct NinjaFace;

impl NinjaFace {
    /// Answers a request at that simulated time.
    #[must_use]
    pub fn answer(self, fleet: &mut Fleet, now_ms: i64, request: &WireRequest) -> WireAnswer {
        fleet.advance(now_ms);
        if request.path == "/ws/oauth/token" {
            let done = token(fleet, &request.body);
            return response(now_ms, done, None);
        }
        if let Err(refused) = let_in(fleet, request) {
            return response(now_ms, Err(refused), None);
        }
        let of_writes = if request.method == "GET" {
            None
        } else {
            fleet.write_faults.pop()
        };
        match of_writes.or_else(|| fleet.faults.pop()) {
            None => {
                let done = serve(fleet, now_ms, request);
                response(now_ms, done, None)
            }
            Some(FleetFault::Status(status, after_s, happens)) => {
                if happens {
                    let _done = serve(fleet, now_ms, request);
                }
                response(now_ms, Err((status, "FAILURE")), after_s)
            }
            Some(FleetFault::Page(status)) => WireAnswer::Response(WireResponse {
                status,
                headers: vec![("content-type".to_owned(), "text/html;charset=utf-8".to_owned())],
                body: b"<html><body>Too many requests, canary</body></html>".to_vec(),
                latency_ms: 0,
            }),
            Some(FleetFault::Cut(happened)) => {
                if happened {
                    let _done = serve(fleet, now_ms, request);
                }
                WireAnswer::Lost { latency_ms: 0 }
            }
        }
    }
}

fn response(now_ms: i64, done: Done, after_s: Option<u32>) -> WireAnswer {
    let date = jiff::Timestamp::from_millisecond(now_ms).map(|t| t.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string());
    let mut headers = vec![
        ("content-type".to_owned(), "application/json".to_owned()),
        (
            "x-nj-request-id".to_owned(),
            "7d0c7c0e-1111-4222-8333-444455556666".to_owned(),
        ),
    ];
    headers.extend(date.ok().map(|date| ("date".to_owned(), date)));
    headers.extend(after_s.map(|s| ("retry-after".to_owned(), s.to_string())));
    let (status, body) = done.unwrap_or_else(|(status, code)| {
        let body = json!({
            "resultCode": code, "errorMessage": "NinjaOne's own words, canary and all",
            "incidentId": "WEB_MGMT_SERVICE-1",
        });
        (status, body)
    });
    let body = if body.is_null() {
        Vec::new()
    } else {
        body.to_string().into_bytes()
    };
    WireAnswer::Response(WireResponse {
        status,
        headers,
        body,
        latency_ms: 0,
    })
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// Pairs with `&` between, as queries and forms have them.
fn pairs(text: &str) -> BTreeMap<String, String> {
    text.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), decode(value)))
        .collect()
}

fn token(fleet: &mut Fleet, body: &[u8]) -> Done {
    let form = pairs(&String::from_utf8_lossy(body));
    let is = |name: &str, value: &str| form.get(name).is_some_and(|v| v == value);
    if !is("client_id", &fleet.client.0) {
        // So it answers also whoever asks an instance that is not his.
        return Err((404, "Client app not exist"));
    }
    if !is("client_secret", &fleet.client.1) || !is("grant_type", "client_credentials") {
        return Err((401, "invalid_client"));
    }
    let asked: BTreeSet<String> = match form.get("scope") {
        Some(scopes) => scopes.split(' ').map(str::to_owned).collect(),
        None => fleet.scopes.clone(),
    };
    if !asked.is_subset(&fleet.scopes) {
        return Err((400, "invalid_scope"));
    }
    let scope = asked.iter().cloned().collect::<Vec<_>>().join(" ");
    let token = fleet.give(asked);
    Ok((
        200,
        json!({"access_token": token, "expires_in": 3600, "scope": scope, "token_type": "Bearer"}),
    ))
}

fn let_in(fleet: &Fleet, request: &WireRequest) -> Result<(), Refused> {
    let header = request.headers.get("authorization").ok_or((400, "missing_header"))?;
    let token = header.strip_prefix("Bearer ").ok_or((400, "invalid_header"))?;
    let scopes = fleet.scopes_of(token).ok_or((401, "not_authenticated"))?;
    let needed = if request.method == "GET" {
        "monitoring"
    } else {
        "management"
    };
    if scopes.contains(needed) {
        Ok(())
    } else {
        Err((403, "insufficient_permissions"))
    }
}

fn serve(fleet: &mut Fleet, now_ms: i64, request: &WireRequest) -> Done {
    let path = request.path.strip_prefix("/v2/").ok_or((404, "not_found"))?;
    let segments: Vec<String> = path.split('/').map(decode).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let asked = pairs(&request.query);
    let body: Value = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
    match (request.method.as_str(), segments.as_slice()) {
        ("GET", ["organization", of]) => organization(fleet, of),
        ("GET", ["organization", of, "end-users"]) => end_users(fleet, of),
        ("GET", ["organization", of, "devices"]) => devices(fleet, now_ms, of, &asked),
        ("GET", ["user", "technicians"]) => technicians(fleet),
        ("GET", ["queries", report]) => queries(fleet, now_ms, report, &asked),
        ("GET", ["tag"]) => {
            let tag = |(id, name): (&u64, &String)| json!({"id": id, "name": name, "targetsCount": 3});
            Ok((200, json!({"tags": fleet.tags.iter().map(tag).collect::<Vec<_>>()})))
        }
        ("GET", ["device-custom-fields"]) => {
            let field = |(name, may): (&String, &String)| json!({"name": name, "label": "canary", "type": "TEXT", "apiPermission": may, "scope": "NODE_ROLE"});
            Ok((200, Value::Array(fleet.fields.iter().map(field).collect())))
        }
        ("GET", ["automation", "scripts"]) => {
            let script = |id: &u64| json!({"id": id, "name": "canary", "language": "powershell"});
            Ok((200, Value::Array(fleet.scripts.iter().map(script).collect())))
        }
        ("PUT", ["tag", "device", id]) => put_tags(fleet, now_ms, id, &body),
        (method, ["device", id, rest @ ..]) => device(fleet, now_ms, method, id, rest, &body, &asked),
        _ => Err((404, "not_found")),
    }
}

fn organization(fleet: &Fleet, of: &str) -> Done {
    let id: u64 = of.parse().map_err(|_| (400, "invalid_request"))?;
    if !fleet.organizations.contains(&id) {
        return Err((404, "organization_not_found"));
    }
    Ok((
        200,
        json!({"id": id, "name": "canary GmbH", "nodeApprovalMode": "AUTOMATIC", "locations": []}),
    ))
}

fn end_users(fleet: &Fleet, of: &str) -> Done {
    organization(fleet, of)?;
    let ours = fleet
        .users
        .iter()
        .filter(|u| fleet.habits.lists_others || u.organization.to_string() == of);
    let show = |u: &crate::world::fleet::EndUser| {
        json!({
            "id": 900, "uid": u.uid, "email": u.email, "firstName": "canary", "userType": "END_USER",
            "enabled": true, "organizationId": u.organization, "assignedDeviceIds": [],
        })
    };
    Ok((200, Value::Array(ours.map(show).collect())))
}

fn technicians(fleet: &Fleet) -> Done {
    if fleet.habits.hides_technicians {
        return Err((403, "insufficient_permissions"));
    }
    let show = |t: &crate::world::fleet::Technician| {
        json!({
            "id": number(fleet, t.id), "uid": t.uid, "email": t.email, "firstName": "canary", "enabled": t.enabled,
            "userType": "TECHNICIAN", "administrator": false, "assignedDeviceIds": [],
        })
    };
    Ok((200, Value::Array(fleet.technicians.iter().map(show).collect())))
}

/// A number, as this one writes them.
fn number(fleet: &Fleet, n: u64) -> Value {
    if fleet.habits.numbers_as_text {
        json!(n.to_string())
    } else {
        json!(n)
    }
}

fn show(fleet: &Fleet, id: u64, node: &Node) -> Value {
    let mut shown = json!({
        "id": number(fleet, id), "uid": node.uid, "organizationId": number(fleet, node.organization), "locationId": 1,
        "nodeClass": node.class, "approvalStatus": node.status, "offline": true, "displayName": "canary's laptop",
        "systemName": "CANARY", "created": 1_700_000_000.25, "lastContact": 1_750_000_000.5,
        "userData": {"x": null}, "quantumReady": "MAYBE", "references": {"role": {"id": 1}},
    });
    if let Some(owner) = &node.owner {
        shown["assignedOwnerUid"] = json!(owner);
    }
    if let Some((until_ms, why)) = &node.silence {
        shown["maintenance"] =
            json!({"status": "IN_MAINTENANCE", "end": *until_ms as f64 / 1_000.0, "reasonMessage": why});
    }
    if !fleet.habits.hides_tags {
        let names = node.tags.iter().filter_map(|tag| fleet.tags.get(tag));
        shown["tags"] = json!(names.collect::<Vec<_>>());
    }
    shown
}

fn devices(fleet: &Fleet, now_ms: i64, of: &str, asked: &BTreeMap<String, String>) -> Done {
    organization(fleet, of)?;
    let after = asked.get("after").and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
    let after = if fleet.habits.ignores_after { 0 } else { after };
    let wanted = asked.get("pageSize").and_then(|n| n.parse().ok()).unwrap_or(usize::MAX);
    let page = fleet
        .shown(now_ms)
        .iter()
        .filter(|(_, node)| fleet.habits.lists_others || node.organization.to_string() == of)
        .filter(|(id, _)| **id > after)
        .take(wanted.min(fleet.habits.page_max))
        .map(|(id, node)| show(fleet, *id, node));
    Ok((200, Value::Array(page.collect())))
}

/// A report, in pages by a cursor that keeps its name.
fn queries(fleet: &Fleet, now_ms: i64, report: &str, asked: &BTreeMap<String, String>) -> Done {
    let of = asked
        .get("df")
        .and_then(|df| df.strip_prefix("org = "))
        .ok_or((400, "invalid_filter"))?;
    let ours = fleet
        .shown(now_ms)
        .iter()
        .filter(|(_, n)| fleet.habits.lists_others || n.organization.to_string() == of);
    let rows: Vec<Value> = match report {
        "computer-systems" => ours
            .map(|(id, n)| json!({"deviceId": number(fleet, *id), "serialNumber": n.serial, "biosSerialNumber": "Default string", "model": "X"}))
            .collect(),
        "logged-on-users" => ours
            .flat_map(|(id, n)| n.signed_in.iter().map(move |name| (id, name)))
            .map(|(id, name)| json!({"deviceId": number(fleet, *id), "userName": name, "logonTime": 1_750_000_000.0}))
            .collect(),
        _ => return Err((404, "not_found")),
    };
    let start = match asked.get("cursor") {
        Some(name) if !fleet.habits.ignores_after => name
            .strip_prefix("cursor-")
            .and_then(|n| n.parse().ok())
            .ok_or((400, "invalid_cursor"))?,
        _ => 0,
    };
    let page: Vec<&Value> = rows.iter().skip(start).take(fleet.habits.page_max).collect();
    let next = start + page.len();
    Ok((
        200,
        json!({"cursor": {"name": format!("cursor-{next}"), "offset": next, "count": page.len(), "expires": 1_800_000_000.0}, "results": page}),
    ))
}

/// A device as it is shown now; one that was decommissioned may not be found.
fn node<'a>(fleet: &'a Fleet, now_ms: i64, id: &str) -> Result<(u64, &'a Node), Refused> {
    let id: u64 = id.parse().map_err(|_| (400, "invalid_request"))?;
    let node = fleet.shown(now_ms).get(&id);
    let gone = |n: &&Node| fleet.habits.forgets && n.status == "DECOMMISSIONED";
    node.filter(|n| !gone(n))
        .map(|n| (id, n))
        .ok_or((404, "node_not_found"))
}

fn put_tags(fleet: &mut Fleet, now_ms: i64, id: &str, body: &Value) -> Done {
    let (id, _) = node(fleet, now_ms, id)?;
    let ids = body["tagIds"]
        .as_array()
        .filter(|_| body.as_object().is_some_and(|o| o.len() == 1));
    let ids: Option<BTreeSet<u64>> = ids.and_then(|ids| ids.iter().map(Value::as_u64).collect());
    let ids = ids.filter(|ids| ids.iter().all(|id| fleet.tags.contains_key(id)));
    let ids = ids.ok_or((400, "invalid_tag"))?;
    fleet.change(now_ms, Some(format!("tags {id}")), |nodes| {
        if let Some(node) = nodes.get_mut(&id) {
            node.tags = ids;
        }
    });
    if let Some((id, tags)) = fleet.then_tags.take() {
        fleet.change(now_ms, None, |nodes| {
            if let Some(node) = nodes.get_mut(&id) {
                node.tags = tags;
            }
        });
    }
    Ok((204, Value::Null))
}

fn device(
    fleet: &mut Fleet,
    now_ms: i64,
    method: &str,
    id: &str,
    rest: &[&str],
    body: &Value,
    asked: &BTreeMap<String, String>,
) -> Done {
    let (id, seen) = node(fleet, now_ms, id)?;
    match (method, rest) {
        ("GET", []) => Ok((200, show(fleet, id, seen))),
        ("GET", ["custom-fields"]) => Ok((200, json!(seen.fields))),
        ("GET", ["jobs"]) => {
            let jobs = seen.runs.iter().filter(|run| !run.over).map(|run| {
                json!({"uid": "j", "deviceId": id, "jobType": "ACTION", "jobStatus": "START_REQUESTED", "subject": "canary", "data": parameters(fleet, run)})
            });
            Ok((200, Value::Array(jobs.collect())))
        }
        ("GET", ["software"]) => {
            let show = |(name, publisher): &(String, String)| {
                json!({
                    "name": name, "publisher": publisher, "version": "1.2.3", "installDate": 1_700_000_000.0,
                    "location": "C:\\canary", "size": 1024, "productCode": "x", "timestamp": 1_750_000_000.5,
                })
            };
            Ok((200, Value::Array(seen.software.iter().map(show).collect())))
        }
        ("GET", ["activities"]) => Ok((200, activities(fleet, now_ms, id, seen, asked))),
        ("PATCH", ["custom-fields"]) => patch_fields(fleet, now_ms, id, body),
        ("PUT", ["maintenance"]) => maintain(fleet, now_ms, id, body),
        ("POST", ["script", "run"]) => run(fleet, now_ms, id, body),
        ("DELETE", ["owner"]) => {
            fleet.change(now_ms, Some(format!("clear owner {id}")), |nodes| {
                if let Some(node) = nodes.get_mut(&id) {
                    node.owner = None;
                }
            });
            Ok((204, Value::Null))
        }
        ("POST", ["decommission"]) => {
            fleet.change(now_ms, Some(format!("decommission {id}")), |nodes| {
                if let Some(node) = nodes.get_mut(&id) {
                    node.status = "DECOMMISSIONED".to_owned();
                }
            });
            Ok((200, Value::Null))
        }
        _ => Err((404, "not_found")),
    }
}

fn parameters(fleet: &Fleet, run: &Run) -> Value {
    if fleet.habits.shows_parameters {
        json!({"message": {"params": {"scriptParameters": run.parameters}}})
    } else {
        json!({})
    }
}

/// Newest first: each run's end, then its beginning, then what is older.
fn activities(fleet: &Fleet, now_ms: i64, id: u64, node: &Node, asked: &BTreeMap<String, String>) -> Value {
    let mut all = vec![
        json!({"id": 1, "activityTime": 1_600_000_000.0, "deviceId": id, "activityType": "SYSTEM", "statusCode": "NODE_CREATED"}),
    ];
    for (n, run) in (1_u64..).zip(&node.runs) {
        let row = |id: u64, code: &str, result: Option<&str>| {
            json!({
                "id": id, "activityTime": run.ordered_ms as f64 / 1_000.0, "activityType": "ACTION", "statusCode": code,
                "activityResult": result, "seriesUid": "s", "sourceName": "canary", "data": parameters(fleet, run),
            })
        };
        all.insert(0, row(n * 10, "START_REQUESTED", None));
        if run.over {
            let result = if fleet.habits.scripts_fail {
                "FAILURE"
            } else {
                "SUCCESS"
            };
            all.insert(0, row(n * 10 + 1, "COMPLETED", Some(result)));
        }
    }
    if let Some(kept_ms) = fleet.habits.keeps_activities_ms {
        let since_s = now_ms.saturating_sub(kept_ms) as f64 / 1_000.0;
        all.retain(|row| row["activityTime"].as_f64().is_some_and(|at| at >= since_s));
    }
    let older = asked
        .get("olderThan")
        .and_then(|n| n.parse::<u64>().ok())
        .unwrap_or(u64::MAX);
    let older = if fleet.habits.ignores_after { u64::MAX } else { older };
    let page: Vec<Value> = all
        .into_iter()
        .filter(|row| row["id"].as_u64() < Some(older))
        .take(fleet.habits.page_max)
        .collect();
    json!({"lastActivityId": 99, "lastNodeActivityId": 99, "activities": page})
}

fn patch_fields(fleet: &mut Fleet, now_ms: i64, id: u64, body: &Value) -> Done {
    let given = body.as_object().ok_or((400, "invalid_request"))?;
    let mut wanted = BTreeMap::new();
    for (name, value) in given {
        let may = fleet.fields.get(name).ok_or((404, "field_not_found"))?;
        if may != "READ_WRITE" {
            return Err((403, "field_read_only"));
        }
        wanted.insert(name.clone(), value.as_str().ok_or((400, "invalid_value"))?.to_owned());
    }
    fleet.change(now_ms, Some(format!("fields {id}")), |nodes| {
        if let Some(node) = nodes.get_mut(&id) {
            node.fields.extend(wanted);
        }
    });
    Ok((204, Value::Null))
}

fn maintain(fleet: &mut Fleet, now_ms: i64, id: u64, body: &Value) -> Done {
    let features = body["disabledFeatures"].as_array().ok_or((400, "invalid_request"))?;
    let known = ["ALERTS", "PATCHING", "AVSCANS", "TASKS"];
    let fine = features.iter().all(|f| f.as_str().is_some_and(|f| known.contains(&f)));
    // In milliseconds here, and in seconds where it is read.
    let until_ms = body["end"].as_i64().filter(|until| fine && *until > now_ms);
    let until_ms = until_ms.ok_or((400, "invalid_request"))?;
    let why = body["reasonMessage"].as_str().unwrap_or_default().to_owned();
    fleet.change(now_ms, Some(format!("maintenance {id}")), |nodes| {
        if let Some(node) = nodes.get_mut(&id) {
            node.silence = Some((until_ms, why));
        }
    });
    Ok((204, Value::Null))
}

fn run(fleet: &mut Fleet, now_ms: i64, id: u64, body: &Value) -> Done {
    if fleet.habits.wants_a_technician {
        return Err((403, "user_context_required"));
    }
    let known = ["type", "id", "parameters", "runAs"];
    let whole = body
        .as_object()
        .is_some_and(|o| o.keys().all(|k| known.contains(&k.as_str())));
    let script = body["id"].as_u64().filter(|id| fleet.scripts.contains(id));
    let (Some(script), Some(parameters), true) = (script, body["parameters"].as_str(), whole) else {
        return Err((400, "invalid_script"));
    };
    if body["type"] != json!("SCRIPT") {
        return Err((400, "invalid_script"));
    }
    let run = Run {
        ordered_ms: now_ms,
        script,
        parameters: parameters.to_owned(),
        over: false,
    };
    fleet.change(now_ms, Some(format!("run {id}")), |nodes| {
        if let Some(node) = nodes.get_mut(&id) {
            node.runs.push(run);
        }
    });
    // Nobody has said what it answers; clients have met both.
    Ok((204, Value::Null))
}
