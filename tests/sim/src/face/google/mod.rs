//! Google's Directory, Data Transfer, Gmail settings, licence and Drive interfaces over a
//! workspace: as much of them as ending an account takes. Whatever it does not
//! know, it refuses; a parameter or a property that is not known, too.

mod directory;
mod drives;
mod mail;
mod rest;
mod token;

pub use token::public_key;
pub(super) use token::signed_claims;

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::{WireAnswer, WireRequest, WireResponse};
use crate::world::workspace::{Workspace, WorkspaceAnswer, WorkspaceFault, WorkspaceRequest};

/// A refusal: the status and Google's reason.
type Refused = (u16, &'static str);
type Done = Result<(u16, Value), Refused>;

/// What was asked for, read.
struct Asked<'a> {
    now_ms: i64,
    method: &'a str,
    segments: Vec<&'a str>,
    query: BTreeMap<String, String>,
    body: Value,
    /// For whom, and for what, its token is.
    subject: String,
    scope: String,
}

impl Asked<'_> {
    /// Refuses a parameter that is not one of these.
    fn only(&self, known: &[&str]) -> Result<(), Refused> {
        let strange = self.query.keys().any(|name| !known.contains(&name.as_str()));
        if strange {
            Err((400, "invalidParameter"))
        } else {
            Ok(())
        }
    }

    fn param(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    /// Refuses a token that is not for any of these.
    fn needs(&self, scopes: &[&str]) -> Result<(), Refused> {
        let word = self.scope.trim_start_matches("https://www.googleapis.com/auth/");
        if scopes.contains(&word) {
            Ok(())
        } else {
            Err((403, "insufficientPermissions"))
        }
    }
}

/// The wire protocol of a workspace.
#[derive(Debug, Clone)]
pub struct GoogleFace {
    root: String,
}

impl GoogleFace {
    /// One that is reached there.
    #[must_use]
    pub fn new(root: &str) -> Self {
        Self { root: root.to_owned() }
    }

    /// Answers a request at that simulated time.
    #[must_use]
    pub fn answer(&self, workspace: &mut Workspace, now_ms: i64, request: &WireRequest) -> WireAnswer {
        let line = format!("{} {}", request.method, request.path);
        let fault = match workspace.faults.last() {
            Some(fault) if line.contains(&fault.of) => workspace.faults.pop(),
            _ => None,
        };
        if let Some(fault) = fault.as_ref().filter(|f| !f.happens) {
            return met(now_ms, fault);
        }
        let done = if request.path == "/token" {
            token::give(workspace, now_ms, &self.root, request)
        } else {
            workspace.asked.push(WorkspaceRequest {
                method: request.method.clone(),
                path: request.path.clone(),
                query: pairs(&request.query),
                body: request.body.clone(),
            });
            let done = serve(workspace, now_ms, request);
            if let Ok((_, body)) = &done {
                workspace.answered.push(WorkspaceAnswer {
                    method: request.method.clone(),
                    path: request.path.clone(),
                    body: body.clone(),
                });
            }
            done
        };
        match fault {
            Some(fault) => met(now_ms, &fault),
            None => response(now_ms, done, None),
        }
    }
}

fn met(now_ms: i64, fault: &WorkspaceFault) -> WireAnswer {
    match fault.status {
        None => WireAnswer::Lost { latency_ms: 0 },
        Some(status) => shown(now_ms, status, refusal(status, &fault.reason), fault.retry_after_s),
    }
}

fn response(now_ms: i64, done: Done, retry_after_s: Option<u32>) -> WireAnswer {
    let (status, body) = match done {
        Ok(done) => done,
        // The token endpoint's errors are another protocol's.
        Err((400 | 401, reason @ ("invalid_grant" | "unauthorized_client" | "unsupported_grant_type"))) => {
            let status = if reason == "unauthorized_client" { 401 } else { 400 };
            (
                status,
                json!({"error": reason, "error_description": "canary@workspace.example is not right"}),
            )
        }
        Err((status, reason)) => (status, refusal(status, reason)),
    };
    shown(now_ms, status, body, retry_after_s)
}

fn refusal(status: u16, reason: &str) -> Value {
    json!({"error": {
        "code": status, "message": "Google's own words about canary@workspace.example",
        "errors": [{"domain": "global", "reason": reason, "message": "canary"}],
    }})
}

fn shown(now_ms: i64, status: u16, body: Value, retry_after_s: Option<u32>) -> WireAnswer {
    let date = jiff::Timestamp::from_millisecond(now_ms).map(|t| t.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string());
    let mut headers = vec![("content-type".to_owned(), "application/json; charset=UTF-8".to_owned())];
    headers.extend(date.ok().map(|date| ("date".to_owned(), date)));
    headers.extend(retry_after_s.map(|s| ("retry-after".to_owned(), s.to_string())));
    WireAnswer::Response(WireResponse {
        status,
        headers,
        body: if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        },
        latency_ms: 0,
    })
}

pub(super) fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn pairs(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decode(name), decode(value))).collect()
}

fn serve(workspace: &mut Workspace, now_ms: i64, request: &WireRequest) -> Done {
    let bearer = request
        .headers
        .get("authorization")
        .and_then(|h| h.strip_prefix("Bearer "));
    let token = bearer.and_then(|t| workspace.tokens.get(t)).ok_or((401, "authError"))?;
    if token.until_ms <= now_ms {
        return Err((401, "authError"));
    }
    let line = format!("{} {}", request.method, request.path);
    let access = &workspace.access;
    if access.turned_off.iter().any(|part| request.path.starts_with(part)) {
        return Err((403, "accessNotConfigured"));
    }
    if access.forbidden.iter().any(|part| line.contains(part)) {
        return Err((403, "forbidden"));
    }
    if matches!(request.method.as_str(), "POST" | "PUT" | "PATCH") && !request.headers.contains_key("content-length") {
        return Err((411, "lengthRequired"));
    }
    let body = if request.body.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&request.body).map_err(|_| (400, "parseError"))?
    };
    let decoded: Vec<String> = request.path.trim_start_matches('/').split('/').map(decode).collect();
    let asked = Asked {
        now_ms,
        method: &request.method,
        segments: decoded.iter().map(String::as_str).collect(),
        query: pairs(&request.query),
        body,
        subject: token.subject.clone(),
        scope: token.scope.clone(),
    };
    match asked.segments.as_slice() {
        ["admin", "directory", "v1", rest @ ..] => directory::serve(workspace, &asked, rest),
        ["admin", "datatransfer", "v1", rest @ ..] => rest::transfers(workspace, &asked, rest),
        ["drive", "v3", rest @ ..] => drives::serve(workspace, &asked, rest),
        ["apps", "licensing", "v1", rest @ ..] => rest::licences(workspace, &asked, rest),
        ["gmail", "v1", "users", "me", "settings", rest @ ..] => mail::serve(workspace, &asked, rest),
        _ => Err((404, "notFound")),
    }
}

/// A listing that comes whole; where there is nothing, the list is left out.
fn whole(name: &str, all: Vec<Value>) -> Done {
    let mut body = json!({"kind": "admin#list", "etag": "\"canary\"", "surprise": {"new": true}});
    if !all.is_empty() {
        body[name] = json!(all);
    }
    Ok((200, body))
}

/// One page of a listing that gives at most so many at once; where there is none,
/// the list is left out.
fn page(workspace: &Workspace, asked: &Asked<'_>, name: &str, limit: usize, all: Vec<Value>) -> Done {
    let wanted = match asked.param("maxResults").or_else(|| asked.param("pageSize")) {
        None => limit.min(100),
        Some(number) => number.parse().map_err(|_| (400, "invalidParameter"))?,
    };
    if wanted == 0 || wanted > limit {
        return Err((400, "invalidParameter"));
    }
    let most: usize = wanted;
    let size = most.min(workspace.habits.page_max).max(1);
    let from = match asked.param("pageToken") {
        None => 0,
        Some(cursor) => {
            let at = cursor.strip_prefix("c&/+=").ok_or((400, "invalidPageToken"))?;
            at.parse::<usize>().map_err(|_| (400, "invalidPageToken"))?
        }
    };
    let here: Vec<Value> = all.iter().skip(from).take(size).cloned().collect();
    let mut body = json!({"kind": "admin#list", "surprise": {"new": true}});
    // Drive alone gives none.
    if !matches!(name, "drives" | "permissions") {
        body["etag"] = json!("\"canary\"");
    }
    if !here.is_empty() {
        body[name] = json!(here);
    }
    let next = if workspace.habits.circles { 0 } else { from + size };
    if next < all.len() {
        body["nextPageToken"] = json!(format!("c&/+={next}"));
    }
    Ok((200, body))
}

/// An id, as it is written.
fn id(workspace: &Workspace, id: &str) -> Value {
    match id.parse::<u64>() {
        Ok(number) if workspace.habits.numbers => json!(number),
        _ => json!(id),
    }
}
