//! SCIM 2.0 (RFC 7644) over an application's accounts: as much of it as ending
//! one takes. Whatever it does not know, it refuses.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::{WireAnswer, WireRequest, WireResponse};
use crate::iso;
use crate::world::app::{App, AppUser, Patching};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const OURS: &str = "urn:example:app:1.0:User";
const PATCH_OP: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// A refusal: the status and the `scimType`.
type Refused = (u16, &'static str);
type Done = Result<(u16, Value), Refused>;

/// The wire protocol of an application.
#[derive(Debug, Clone, Copy, Default)]
pub struct ScimFace;

impl ScimFace {
    /// Answers a request at that simulated time.
    #[must_use]
    pub fn answer(self, app: &mut App, now_ms: i64, request: &WireRequest) -> WireAnswer {
        let bearer = request.headers.get("authorization").map(String::as_str);
        if bearer != Some(&format!("Bearer {}", app.token)) {
            return response(app, now_ms, Err((401, "")), None);
        }
        let fault = app.faults.pop();
        if let Some(fault) = fault.filter(|f| !f.happens) {
            return response(app, now_ms, Err((fault.status, "")), fault.retry_after_s);
        }
        let done = serve(app, now_ms, request);
        match fault {
            Some(fault) => response(app, now_ms, Err((fault.status, "")), fault.retry_after_s),
            None => response(app, now_ms, done, None),
        }
    }
}

fn response(app: &App, now_ms: i64, done: Done, retry_after_s: Option<u32>) -> WireAnswer {
    let date = jiff::Timestamp::from_millisecond(now_ms).map(|t| t.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string());
    let mut headers = vec![("content-type".to_owned(), "application/scim+json".to_owned())];
    headers.extend(date.ok().map(|date| ("date".to_owned(), date)));
    headers.extend(retry_after_s.map(|s| ("retry-after".to_owned(), s.to_string())));
    let (status, body) = match done {
        Ok((status, body)) => (status, body),
        Err((status, kind)) => {
            let body = json!({
                "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": status.to_string(),
                "scimType": kind, "detail": "the app's own words, canary and all",
            });
            (status, body)
        }
    };
    if app.habits.versions
        && let Some(version) = body["meta"]["version"].as_str()
    {
        headers.push(("etag".to_owned(), version.to_owned()));
    }
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

fn serve(app: &mut App, now_ms: i64, request: &WireRequest) -> Done {
    let path = request.path.strip_prefix("/scim/v2/").ok_or((404, ""))?;
    let segments: Vec<String> = path.split('/').map(decode).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    if request.method != "GET" && !app.may_write {
        return Err((403, ""));
    }
    match (request.method.as_str(), segments.as_slice()) {
        ("GET", ["ServiceProviderConfig"]) => {
            let patch = !matches!(app.habits.patch, Patching::Refused(_));
            Ok((
                200,
                json!({"patch": {"supported": patch}, "filter": {"supported": !app.habits.ignores_filter}, "etag": {"supported": app.habits.versions}}),
            ))
        }
        ("GET", ["Schemas", USER]) => {
            let active = app.habits.active.then(|| json!({"name": "active", "type": "boolean"}));
            let attributes: Vec<Value> = [json!({"name": "userName"})].into_iter().chain(active).collect();
            Ok((200, json!({"id": USER, "attributes": attributes})))
        }
        ("GET", ["Users"]) => list(app, now_ms, &request.query),
        ("GET", ["Users", id]) => {
            let user = app.shown(now_ms).get(*id).ok_or((404, ""))?;
            Ok((200, show(app, id, user)))
        }
        ("PATCH", ["Users", id]) => patch(app, now_ms, id, &request.body),
        ("PUT", ["Users", id]) => put(app, now_ms, id, request),
        ("DELETE", ["Users", id]) => {
            if !app.habits.delete {
                return Err((501, ""));
            }
            if !app.users().contains_key(*id) {
                return Err((404, ""));
            }
            app.change(now_ms, Some(format!("delete {id}")), |users| {
                users.remove(*id);
            });
            Ok((204, Value::Null))
        }
        _ => Err((404, "")),
    }
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn show(app: &App, id: &str, user: &AppUser) -> Value {
    let emails: Vec<Value> = user.emails.iter().map(|e| json!({"value": e})).collect();
    let mut shown = json!({
        "schemas": [USER, OURS], "id": id, "userName": user.user_name, "emails": emails, "displayName": "canary",
        OURS: {"plan": user.plan}, "groups": [{"value": "g1"}],
        "meta": {"resourceType": "User", "created": iso(user.created_ms)},
    });
    if let Some(number) = &user.external_id {
        shown["externalId"] = json!(number);
    }
    if app.habits.hides_emails
        && let Some(shown) = shown.as_object_mut()
    {
        shown.remove("emails");
    }
    if app.habits.active {
        let word = if user.active { "True" } else { "False" };
        shown["active"] = if app.habits.text {
            json!(word)
        } else {
            json!(user.active)
        };
    }
    if app.habits.versions {
        shown["meta"]["version"] = json!(format!("W/\"{}\"", user.version));
    }
    shown
}

/// A filter of one comparison, whose value is one JSON string to its end.
fn filter(text: &str) -> Result<(&str, String), Refused> {
    let (attribute, value) = text.split_once(" eq ").ok_or((400, "invalidFilter"))?;
    let value = serde_json::from_str(value).map_err(|_| (400, "invalidFilter"))?;
    Ok((attribute, value))
}

fn list(app: &App, now_ms: i64, query: &str) -> Done {
    let asked: BTreeMap<&str, String> = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name, decode(value)))
        .collect();
    let number = |name: &str| asked.get(name).and_then(|n| n.parse::<usize>().ok());
    let (attribute, value) = filter(asked.get("filter").ok_or((400, "tooMany"))?)?;
    let habits = &app.habits;
    let same = |s: &str| {
        if habits.cased {
            s == value
        } else {
            s.to_lowercase() == value.to_lowercase()
        }
    };
    let known = ["userName", "emails.value", "externalId"];
    if !known.contains(&attribute) {
        return Err((400, "invalidFilter"));
    }
    let fits = |user: &AppUser| match attribute {
        "userName" => same(&user.user_name),
        "emails.value" => user.emails.iter().any(|e| same(e)),
        _ => user.external_id.as_deref() == Some(&value),
    };
    let all: Vec<Value> = app
        .shown(now_ms)
        .iter()
        .filter(|(_, user)| habits.ignores_filter || fits(user))
        .filter(|(_, user)| user.active || !habits.hides_inactive)
        .map(|(id, user)| show(app, id, user))
        .collect();
    let start = match number("startIndex") {
        Some(n) if !habits.ignores_start => n.saturating_sub(1),
        _ => 0,
    };
    let count = number("count").unwrap_or(habits.page_max).min(habits.page_max);
    let page: Vec<Value> = all.iter().skip(start).take(count).cloned().collect();
    let total = if habits.total_of_page { page.len() } else { all.len() };
    Ok((
        200,
        json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], "totalResults": total,
            "startIndex": start + 1, "itemsPerPage": page.len(), "Resources": page,
        }),
    ))
}

/// `active` as this application takes it.
fn active(app: &App, value: &Value) -> Result<bool, Refused> {
    match value {
        _ if !app.habits.active => Err((400, "invalidPath")),
        Value::Bool(b) if !app.habits.text => Ok(*b),
        Value::String(s) if app.habits.text && s == "True" => Ok(true),
        Value::String(s) if app.habits.text && s == "False" => Ok(false),
        _ => Err((400, "invalidValue")),
    }
}

fn patch(app: &mut App, now_ms: i64, id: &str, body: &[u8]) -> Done {
    if let Patching::Refused(status) = app.habits.patch {
        return Err((status, ""));
    }
    let body: Value = serde_json::from_slice(body).map_err(|_| (400, "invalidSyntax"))?;
    let operations = body["Operations"].as_array().ok_or((400, "invalidSyntax"))?;
    let [operation] = operations.as_slice() else {
        return Err((400, "invalidSyntax"));
    };
    if body["schemas"] != json!([PATCH_OP]) || operation["op"] != json!("replace") {
        return Err((400, "invalidSyntax"));
    }
    let to = match (&operation["path"], app.habits.patch) {
        (Value::Null, _) => active(app, &operation["value"]["active"])?,
        (_, Patching::WithoutPath) => return Err((400, "noTarget")),
        (path, _) if *path == json!("active") => active(app, &operation["value"])?,
        _ => return Err((400, "noTarget")),
    };
    if !app.users().contains_key(id) {
        return Err((404, ""));
    }
    app.change(now_ms, Some(format!("patch {id}")), |users| {
        if let Some(user) = users.get_mut(id) {
            user.active = to;
            user.version += 1;
        }
    });
    written(app, id)
}

fn put(app: &mut App, now_ms: i64, id: &str, request: &WireRequest) -> Done {
    if !app.habits.put {
        return Err((405, ""));
    }
    let body: Value = serde_json::from_slice(&request.body).map_err(|_| (400, "invalidSyntax"))?;
    let user = app.users().get(id).ok_or((404, ""))?;
    let version = format!("W/\"{}\"", user.version);
    let named = request.headers.get("if-match");
    if app.habits.versions && named.is_some_and(|named| *named != version) {
        return Err((412, ""));
    }
    let to = active(app, &body["active"])?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let emails = body["emails"].as_array().cloned().unwrap_or_default();
    let new = AppUser {
        user_name: text(&body["userName"]),
        emails: emails.iter().map(|e| text(&e["value"])).collect(),
        external_id: body["externalId"].as_str().map(str::to_owned),
        active: to,
        plan: text(&body[OURS]["plan"]),
        version: user.version + 1,
        created_ms: user.created_ms,
    };
    app.change(now_ms, Some(format!("put {id}")), |users| {
        users.insert(id.to_owned(), new);
    });
    written(app, id)
}

fn written(app: &App, id: &str) -> Done {
    let user = app.users().get(id).ok_or((404, ""))?;
    if app.habits.silent {
        return Ok((204, Value::Null));
    }
    Ok((200, show(app, id, user)))
}
