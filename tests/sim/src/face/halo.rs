//! HaloPSA's API (v2) over a desk: as much of it as one client's tickets take.
//! Whatever it does not know, it refuses.

use serde_json::{Value, json};

use super::desk::{self, Done, Query};
use super::{WireAnswer, WireRequest};
use crate::world::desk::{Desk, DeskRefusal, File, NEW, Ticket};

/// The wire protocol of HaloPSA.
#[derive(Debug, Clone, Copy, Default)]
pub struct HaloFace;

impl HaloFace {
    /// Answers a request at that simulated time.
    #[must_use]
    pub fn answer(self, desk: &mut Desk, now_ms: i64, request: &WireRequest) -> WireAnswer {
        if request.path == "/auth/token" {
            if desk.away {
                return WireAnswer::Lost { latency_ms: 0 };
            }
            return desk::response(now_ms, token(desk, request), None);
        }
        let bearer = request
            .headers
            .get("authorization")
            .map(String::as_str)
            .unwrap_or_default();
        let let_in = bearer.strip_prefix("Bearer ").is_some_and(|t| desk.gave(t));
        desk::answer(desk, now_ms, request, let_in, serve)
    }
}

fn token(desk: &mut Desk, request: &WireRequest) -> Done {
    let form = desk::form(&request.body);
    let query = Query::of(&request.query);
    let given = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let known = (given("client_id"), given("client_secret")) == (desk.caller.0.as_str(), desk.caller.1.as_str());
    let right = given("grant_type") == "client_credentials" && given("scope") == "all" && query.text("tenant") == "msp";
    if !known || !right {
        return Err((400, "invalid_client"));
    }
    Ok((
        200,
        json!({"access_token": desk.give(), "expires_in": 3600, "token_type": "Bearer"}),
    ))
}

fn refused(why: DeskRefusal) -> (u16, &'static str) {
    match why {
        DeskRefusal::Gone => (404, "NotFound"),
        DeskRefusal::Closed => (400, "TicketClosed"),
        DeskRefusal::TooLarge => (413, "TooLarge"),
        DeskRefusal::NoSuchNumber => (400, "Invalid"),
    }
}

fn row(desk: &Desk, id: u64, ticket: &Ticket) -> Value {
    let number = |n: u64| desk::number(desk, n);
    json!({
        "id": number(id), "client_id": number(ticket.client), "summary": ticket.title,
        "status_id": number(ticket.status), "tickettype_id": 21, "user_name": "canary, of the client",
    })
}

/// Notes, or files, which have no next page.
fn whole(desk: &Desk, name: &str, mut rows: Vec<Value>, most: usize) -> Value {
    let all = rows.len();
    if desk.habits.says_no_count {
        rows.truncate(desk.habits.page_max);
        let mut body = json!({});
        body[name] = Value::Array(rows);
        return body;
    }
    rows.truncate(most);
    listed(name, rows, all)
}

fn listed(name: &str, rows: Vec<Value>, all: usize) -> Value {
    let mut body = json!({"record_count": all});
    body[name] = Value::Array(rows);
    body
}

/// What is written is a list of one.
fn one(body: &Value) -> Result<&Value, (u16, &'static str)> {
    match body.as_array().map(Vec::as_slice) {
        Some([one]) => Ok(one),
        _ => Err((400, "NotAnArray")),
    }
}

fn serve(desk: &mut Desk, now_ms: i64, request: &WireRequest) -> Done {
    let parts: Vec<&str> = request.path.trim_start_matches('/').split('/').collect();
    let query = Query::of(&request.query);
    let body: Value = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
    match (request.method.as_str(), parts.as_slice()) {
        ("GET", ["api", "Client", id]) => match id.parse() {
            Ok(id) if desk.clients.contains(&id) => Ok((200, json!({"id": id, "name": "canary and sons"}))),
            _ => Err((404, "NotFound")),
        },
        ("GET", ["api", list @ ("TicketType" | "Status" | "Outcome")]) => {
            let ids: Vec<u64> = match *list {
                "TicketType" => desk.types.iter().copied().collect(),
                "Status" => desk.statuses.keys().copied().collect(),
                _ => desk.note_types.iter().copied().collect(),
            };
            let rows = ids
                .into_iter()
                .map(|id| json!({"id": desk::number(desk, id), "name": "n"}));
            Ok((200, rows.collect()))
        }
        ("GET", ["api", "Tickets"]) => {
            let found = desk.search(now_ms, query.number("client_id"), query.text("search"));
            // Closed ones are shown to who asks for them.
            let closed_too = query.text("includeclosed") == "true";
            let shown = found.into_iter().filter(|(_, t)| closed_too || !desk.is_closed(t));
            let shown: Vec<Value> = shown.map(|(id, t)| row(desk, id, t)).collect();
            let size = query.number("page_size").map_or(desk.habits.page_max, |n| n as usize);
            let size = size.min(desk.habits.page_max);
            let page = query.number("page_no").unwrap_or(1).max(1) as usize;
            let all = shown.len();
            let rows = shown.into_iter().skip((page - 1) * size).take(size).collect();
            Ok((200, listed("tickets", rows, all)))
        }
        ("GET", ["api", "Tickets", id]) => {
            let id: u64 = id.parse().map_err(|_| (400, "Invalid"))?;
            let ticket = desk.tickets().get(&id).ok_or((404, "NotFound"))?;
            let mut shown = row(desk, id, ticket);
            if query.text("includedetails") == "true" {
                shown["hasbeenclosed"] = json!(desk.is_closed(ticket));
            }
            Ok((200, shown))
        }
        ("POST", ["api", "Tickets"]) => change(desk, now_ms, one(&body)?),
        ("GET", ["api", "Actions"]) => {
            let id = query.number("ticket_id").ok_or((400, "Invalid"))?;
            let notes = desk.notes(now_ms, id);
            let rows = notes.iter().zip(1..);
            let rows: Vec<Value> = rows
                .map(|(note, n)| json!({"id": n, "ticket_id": id, "note_html": note, "who": "canary"}))
                .collect();
            let most = query.number("count").unwrap_or(50) as usize;
            Ok((200, whole(desk, "actions", rows, most)))
        }
        ("POST", ["api", "Actions"]) => {
            let note = one(&body)?;
            let id = note["ticket_id"].as_u64().ok_or((400, "Invalid"))?;
            let outcome = note["outcome_id"].as_u64().ok_or((400, "OutcomeMissing"))?;
            if note["hiddenfromuser"] != json!(true) {
                return Err((400, "SeenByTheClient"));
            }
            let text = note["note_html"].as_str().ok_or((400, "Invalid"))?;
            desk.note(now_ms, id, outcome, text).map_err(refused)?;
            Ok((201, json!({"id": 1})))
        }
        ("GET", ["api", "Attachment"]) => {
            let id = query.number("ticket_id").ok_or((400, "Invalid"))?;
            let files = desk.files(now_ms, id);
            let rows = files.iter().zip(1..);
            let rows: Vec<Value> = rows
                .map(|(f, n)| json!({"id": n, "filename": f.name, "filesize": f.bytes.len()}))
                .collect();
            Ok((200, whole(desk, "attachments", rows, usize::MAX)))
        }
        ("POST", ["api", "Attachment"]) => {
            let file = one(&body)?;
            let id = file["ticket_id"].as_u64().ok_or((400, "Invalid"))?;
            let name = file["filename"].as_str().ok_or((400, "Invalid"))?.to_owned();
            let data = file["data_base64"]
                .as_str()
                .and_then(|d| d.strip_prefix("data:application/json;base64,"));
            let bytes = data.and_then(desk::from_base64).ok_or((400, "Invalid"))?;
            desk.attach(now_ms, id, File { name, bytes }).map_err(refused)?;
            Ok((201, json!({"id": 1})))
        }
        _ => Err((404, "NoSuchPath")),
    }
}

/// A new ticket, or another status of one that there is.
fn change(desk: &mut Desk, now_ms: i64, body: &Value) -> Done {
    if let Some(id) = body["id"].as_u64() {
        let status = body["status_id"].as_u64().ok_or((400, "Invalid"))?;
        desk.set_status(id, status).map_err(refused)?;
        return Ok((201, json!({"id": id})));
    }
    let text = |name: &str| body[name].as_str().map(str::to_owned);
    let number = |name: &str| body[name].as_u64().ok_or((400_u16, "Invalid"));
    if body["userlookup"]["id"] != json!(-1) {
        return Err((400, "NoUser"));
    }
    let ticket = Ticket {
        client: number("client_id")?,
        title: text("summary").ok_or((400, "Invalid"))?,
        text: text("details_html").ok_or((400, "Invalid"))?,
        status: NEW,
        priority: body["priority_id"].as_u64(),
        opened_ms: now_ms,
        notes: Vec::new(),
        files: Vec::new(),
    };
    let id = desk.open(now_ms, number("tickettype_id")?, ticket).map_err(refused)?;
    let said = if desk.habits.says_no_id {
        json!({})
    } else {
        json!({"id": id})
    };
    Ok((201, said))
}
