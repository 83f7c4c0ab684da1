//! ConnectWise PSA's API (3.0) over a desk: as much of it as one company's tickets
//! take. Whatever it does not know, it refuses.

use serde_json::{Value, json};

use super::desk::{self, Done, Query};
use super::{WireAnswer, WireRequest};
use crate::world::desk::{Desk, DeskRefusal, NEW, Ticket};

/// The wire protocol of ConnectWise PSA.
#[derive(Debug, Clone, Copy, Default)]
pub struct ConnectWiseFace;

/// The longest summary that it takes.
const SUMMARY_MAX: usize = 100;

impl ConnectWiseFace {
    /// Answers a request at that simulated time.
    #[must_use]
    pub fn answer(self, desk: &mut Desk, now_ms: i64, request: &WireRequest) -> WireAnswer {
        let header = |name: &str| request.headers.get(name).map(String::as_str).unwrap_or_default();
        let basic = header("authorization")
            .strip_prefix("Basic ")
            .and_then(desk::from_base64);
        let right = format!("msp+{}:{}", desk.caller.0, desk.caller.1).into_bytes();
        let form = header("accept").starts_with("application/vnd.connectwise.com+json; version=");
        let let_in = basic == Some(right) && header("clientid") == "guid" && form;
        desk::answer(desk, now_ms, request, let_in, serve)
    }
}

fn refused(why: DeskRefusal) -> (u16, &'static str) {
    match why {
        DeskRefusal::Gone => (404, "NotFound"),
        DeskRefusal::Closed => (400, "InvalidObject"),
        DeskRefusal::TooLarge => (413, "TooLarge"),
        DeskRefusal::NoSuchNumber => (400, "InvalidObject"),
    }
}

fn row(desk: &Desk, id: u64, ticket: &Ticket) -> Value {
    let number = |n: u64| desk::number(desk, n);
    json!({
        "id": number(id), "summary": ticket.title, "company": {"id": number(ticket.client), "name": "canary"},
        "status": {"id": number(ticket.status)}, "closedFlag": desk.is_closed(ticket),
        "contact": {"name": "canary, of the company"},
    })
}

/// `summary contains "…" and company/id=N`.
fn conditions(text: &str) -> Option<(&str, u64)> {
    let (words, company) = text
        .strip_prefix("summary contains \"")?
        .split_once("\" and company/id=")?;
    Some((words, company.parse().ok()?))
}

fn page(query: &Query, rows: Vec<Value>) -> Value {
    let size = query.number("pageSize").unwrap_or(25).min(1_000) as usize;
    rows.into_iter().take(size).collect()
}

fn serve(desk: &mut Desk, now_ms: i64, request: &WireRequest) -> Done {
    let path = request.path.strip_prefix("/v4_6_release/apis/3.0/").unwrap_or_default();
    let parts_of_path: Vec<&str> = path.split('/').collect();
    let query = Query::of(&request.query);
    let body: Value = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
    let number = |text: &str| text.parse::<u64>().map_err(|_| (400_u16, "Invalid"));
    match (request.method.as_str(), parts_of_path.as_slice()) {
        ("GET", ["company", "companies", id]) => match number(id)? {
            id if desk.clients.contains(&id) => Ok((200, json!({"id": id, "name": "canary and sons"}))),
            _ => Err((404, "NotFound")),
        },
        ("GET", ["service", "boards", id, "statuses"]) => {
            if !desk.types.contains(&number(id)?) {
                return Err((404, "NotFound"));
            }
            let rows = desk.statuses.iter();
            Ok((
                200,
                rows.map(|(id, closes)| json!({"id": id, "closedStatus": closes}))
                    .collect(),
            ))
        }
        ("GET", ["service", "tickets"]) => {
            let (words, company) = conditions(query.text("conditions")).ok_or((400, "Conditions"))?;
            let found = desk.search(now_ms, Some(company), words);
            let rows = found.into_iter().map(|(id, t)| row(desk, id, t)).collect();
            Ok((200, page(&query, rows)))
        }
        ("GET", ["service", "tickets", id]) => {
            let id = number(id)?;
            let ticket = desk.tickets().get(&id).ok_or((404, "NotFound"))?;
            Ok((200, row(desk, id, ticket)))
        }
        ("POST", ["service", "tickets"]) => {
            let of = |name: &str| body[name]["id"].as_u64().ok_or((400_u16, "MissingObject"));
            let title = body["summary"].as_str().ok_or((400, "Invalid"))?;
            if title.chars().count() > SUMMARY_MAX {
                return Err((400, "TooLong"));
            }
            let ticket = Ticket {
                client: of("company")?,
                title: title.to_owned(),
                text: body["initialDescription"].as_str().unwrap_or_default().to_owned(),
                status: NEW,
                priority: body["priority"]["id"].as_u64(),
                opened_ms: now_ms,
                notes: Vec::new(),
                files: Vec::new(),
            };
            let id = desk.open(now_ms, of("board")?, ticket).map_err(refused)?;
            Ok((
                201,
                if desk.habits.says_no_id {
                    json!({})
                } else {
                    json!({"id": id})
                },
            ))
        }
        ("PATCH", ["service", "tickets", id]) => {
            let id = number(id)?;
            let change = &body[0];
            if change["op"] != json!("replace") || change["path"] != json!("status") {
                return Err((400, "Patch"));
            }
            let status = change["value"]["id"].as_u64().ok_or((400, "Invalid"))?;
            desk.set_status(id, status).map_err(refused)?;
            Ok((200, json!({"id": id})))
        }
        ("GET", ["service", "tickets", id, "notes"]) => {
            let notes = desk.notes(now_ms, number(id)?);
            let rows = notes
                .iter()
                .zip(1..)
                .map(|(n, id)| json!({"id": id, "text": n, "createdBy": "canary"}));
            Ok((200, page(&query, rows.collect())))
        }
        ("POST", ["service", "tickets", id, "notes"]) => {
            if body["internalAnalysisFlag"] != json!(true) {
                return Err((400, "SeenByTheCompany"));
            }
            let text = body["text"].as_str().ok_or((400, "Invalid"))?;
            let any = desk.note_types.first().copied().unwrap_or(0);
            desk.note(now_ms, number(id)?, any, text).map_err(refused)?;
            Ok((201, json!({"id": 1})))
        }
        ("GET", ["system", "documents"]) => {
            if query.text("recordType") != "Ticket" {
                return Err((400, "RecordType"));
            }
            let files = desk.files(now_ms, query.number("recordId").ok_or((400, "Invalid"))?);
            let rows = files.iter().zip(1..).map(|(f, id)| {
                json!({"id": id, "title": f.name, "fileName": "made-to-fit.json", "size": f.bytes.len(), "owner": "canary"})
            });
            Ok((200, page(&query, rows.collect())))
        }
        ("POST", ["system", "documents"]) => {
            let (fields, file) = desk::parts(request).ok_or((400, "Form"))?;
            let hidden = fields.text("privateFlag") == "true" && fields.text("recordType") == "Ticket";
            if !hidden || fields.text("title") != file.name {
                return Err((400, "Form"));
            }
            let id = fields.number("recordId").ok_or((400, "Invalid"))?;
            desk.attach(now_ms, id, file).map_err(refused)?;
            Ok((201, json!({"id": 1})))
        }
        _ => Err((404, "NoSuchPath")),
    }
}
