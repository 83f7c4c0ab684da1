//! Confluence Cloud's API (v2; v1 for putting files alone) over a wiki: as much of it as
//! one page of notes takes. Whatever it does not know, it refuses, and so it does what v1
//! offers no more.

use serde_json::{Value, json};

use super::desk::{self, Done, Query};
use super::{WireAnswer, WireRequest, xml};
use crate::world::desk::DeskFault;
use crate::world::wiki::{SPACE, Wiki, WikiPage, WikiRefusal};

/// The wire protocol of Confluence Cloud.
#[derive(Debug, Clone, Copy, Default)]
pub struct ConfluenceFace;

impl ConfluenceFace {
    /// Answers a request at that simulated time.
    #[must_use]
    pub fn answer(self, wiki: &mut Wiki, now_ms: i64, request: &WireRequest) -> WireAnswer {
        if wiki.away {
            return WireAnswer::Lost { latency_ms: 0 };
        }
        let asked = format!("{} {}?{}", request.method, request.path, request.query);
        wiki.asked.push(asked.trim_end_matches('?').to_owned());
        let basic = request.headers.get("authorization");
        let basic = basic.and_then(|b| b.strip_prefix("Basic ")).and_then(desk::from_base64);
        let right = format!("{}:{}", wiki.caller.0, wiki.caller.1).into_bytes();
        if basic != Some(right) {
            return desk::response(now_ms, Err((401, "Unauthorized")), None);
        }
        let met = if request.method == "GET" {
            None
        } else {
            wiki.write_faults.pop()
        };
        match met.or_else(|| wiki.faults.pop()) {
            None => {
                let done = serve(wiki, now_ms, request);
                desk::response(now_ms, done, None)
            }
            Some(DeskFault::Status(status, after_s, happens)) => {
                if happens {
                    let _done = serve(wiki, now_ms, request);
                }
                desk::response(now_ms, Err((status, "Failure")), after_s)
            }
            Some(DeskFault::Cut(happened)) => {
                if happened {
                    let _done = serve(wiki, now_ms, request);
                }
                WireAnswer::Lost { latency_ms: 0 }
            }
        }
    }
}

/// A refusal, with the words by which a taken title is known.
fn refused(why: WikiRefusal) -> Done {
    let (status, code, title) = match why {
        WikiRefusal::NotFound => (404, "NOT_FOUND", "Not Found, canary"),
        WikiRefusal::Forbidden => (403, "FORBIDDEN", "Forbidden, canary"),
        WikiRefusal::Taken => (
            400,
            "INVALID_REQUEST_PARAMETER",
            "A page with this title already exists, canary",
        ),
        WikiRefusal::Conflict => (409, "CONFLICT", "Version must be incremented, canary"),
        WikiRefusal::Invalid => (
            400,
            "INVALID_REQUEST_PARAMETER",
            "The parent is of another space, canary",
        ),
        // By the vendor's description it says no more than that.
        WikiRefusal::TooLarge => (404, "NOT_FOUND", "Not Found, canary"),
    };
    Ok((
        status,
        json!({"errors": [{"status": status, "code": code, "title": title}]}),
    ))
}

fn row(id: u64, page: &WikiPage, with_body: bool) -> Value {
    let status = match (page.trashed, page.archived) {
        (true, _) => "trashed",
        (false, true) => "archived",
        (false, false) => "current",
    };
    let mut row = json!({
        "id": id.to_string(), "status": status, "title": page.title,
        "spaceId": page.space.to_string(), "parentId": page.parent.to_string(), "authorId": "canary",
        "version": {"number": page.version, "message": "canary"},
    });
    row["body"] = if with_body {
        json!({"storage": {"representation": "storage", "value": page.body}})
    } else {
        json!({})
    };
    row
}

fn serve(wiki: &mut Wiki, now_ms: i64, request: &WireRequest) -> Done {
    let parts: Vec<&str> = request.path.trim_start_matches('/').split('/').collect();
    let query = Query::of(&request.query);
    let body: Value = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
    let number = |text: &str| text.parse::<u64>().map_err(|_| (400_u16, "Invalid"));
    let text = |value: &Value| value.as_str().map(str::to_owned).ok_or((400_u16, "Invalid"));
    let sent = |body: &Value| {
        let stored = body["body"]["representation"] == json!("storage") && body["status"] == json!("current");
        if !stored {
            return Err((400_u16, "Representation"));
        }
        let value = text(&body["body"]["value"])?;
        if !xml::is_well_formed(&value) {
            return Err((400_u16, "Xhtml"));
        }
        Ok(value)
    };
    match (request.method.as_str(), parts.as_slice()) {
        ("GET", ["wiki", "api", "v2", "pages"]) => {
            let space = query.number("space-id").ok_or((400, "Space"))?;
            let found = wiki.titled(now_ms, space, query.text("title"));
            let rows: Vec<Value> = found.into_iter().map(|(id, page)| row(id, page, false)).collect();
            Ok((200, json!({"results": rows, "_links": {}})))
        }
        ("GET", ["wiki", "api", "v2", "pages", id]) => {
            let id = number(id)?;
            match wiki.page(id) {
                Ok(page) => Ok((200, row(id, page, query.text("body-format") == "storage"))),
                Err(why) => refused(why),
            }
        }
        ("POST", ["wiki", "api", "v2", "pages"]) => {
            let (space, parent) = (number(&text(&body["spaceId"])?)?, number(&text(&body["parentId"])?)?);
            match wiki.add(now_ms, space, parent, &text(&body["title"])?, &sent(&body)?) {
                Ok(_) if wiki.says_no_id => Ok((200, json!({}))),
                Ok(id) => Ok((200, json!({"id": id.to_string()}))),
                Err(why) => refused(why),
            }
        }
        ("PUT", ["wiki", "api", "v2", "pages", id]) => {
            if body["id"] != json!(id) {
                return Err((400, "Id"));
            }
            let version = body["version"]["number"].as_u64().ok_or((400, "Version"))?;
            match wiki.rewrite(number(id)?, version, &text(&body["title"])?, &sent(&body)?) {
                Ok(()) => Ok((200, json!({"id": id}))),
                Err(why) => refused(why),
            }
        }
        ("GET", ["wiki", "api", "v2", "spaces", id, "operations"]) => {
            if number(id)? != SPACE {
                return refused(WikiRefusal::NotFound);
            }
            let mut operations = vec![json!({"operation": "read", "targetType": "space"})];
            let may_create = |what: &str| json!({"operation": "create", "targetType": what});
            if !wiki.read_only {
                operations.extend(["page", "comment"].map(may_create));
            }
            if !wiki.read_only && !wiki.no_files {
                operations.push(may_create("attachment"));
            }
            Ok((200, json!({"operations": operations})))
        }
        ("GET", ["wiki", "api", "v2", "pages", id, "attachments"]) => {
            let since = now_ms.saturating_sub(wiki.lag_ms);
            let name = query.text("filename");
            match wiki.page(number(id)?) {
                Ok(page) => {
                    let found = page.files.iter().filter(|(n, f)| *n == name && f.at_ms <= since);
                    let rows = found.map(|(n, f)| {
                        json!({
                            "id": "att1", "status": "current", "title": n, "pageId": id, "comment": "canary",
                            "fileSize": f.bytes.len(),
                        })
                    });
                    let rows: Vec<Value> = rows.collect();
                    Ok((200, json!({"results": rows, "_links": {}})))
                }
                Err(why) => refused(why),
            }
        }
        ("PUT", ["wiki", "rest", "api", "content", id, "child", "attachment"]) => {
            if request.headers.get("x-atlassian-token").map(String::as_str) != Some("nocheck") {
                return Err((403, "XsrfCheckFailed"));
            }
            let (fields, file) = desk::parts(request).ok_or((400, "Form"))?;
            if fields.text("minorEdit") != "true" {
                return Err((400, "Form"));
            }
            match wiki.attach(now_ms, number(id)?, &file.name, file.bytes) {
                Ok(()) => Ok((200, json!({"results": [{"id": "att1"}]}))),
                Err(why) => refused(why),
            }
        }
        _ => Err((404, "NoSuchPath")),
    }
}
