//! Autotask PSA's REST API (1.0) over a desk: as much of it as one company's
//! tickets take. Whatever it does not know, it refuses.

use serde_json::{Value, json};

use super::desk::{self, Done};
use super::{WireAnswer, WireRequest};
use crate::world::desk::{Desk, DeskRefusal, File, Ticket};

/// The wire protocol of Autotask PSA.
#[derive(Debug, Clone)]
pub struct AutotaskFace {
    zone: String,
}

impl AutotaskFace {
    /// A face that names itself as the zone.
    #[must_use]
    pub fn new(root: &str) -> Self {
        Self {
            zone: format!("{root}/ATServicesRest/"),
        }
    }

    /// Answers a request at that simulated time.
    #[must_use]
    pub fn answer(&self, desk: &mut Desk, now_ms: i64, request: &WireRequest) -> WireAnswer {
        if request.path == "/atservicesrest/v1.0/zoneInformation" {
            if desk.away {
                return WireAnswer::Lost { latency_ms: 0 };
            }
            let known = desk::Query::of(&request.query).text("user") == desk.caller.0;
            let url = if known { json!(self.zone) } else { Value::Null };
            return desk::response(now_ms, Ok((200, json!({"zoneName": "5", "url": url}))), None);
        }
        let header = |name: &str| request.headers.get(name).map(String::as_str).unwrap_or_default();
        let who = (header("username"), header("secret")) == (desk.caller.0.as_str(), desk.caller.1.as_str());
        let let_in = who && header("apiintegrationcode") == "code-canary";
        desk::answer(desk, now_ms, request, let_in, serve)
    }
}

fn refused(why: DeskRefusal) -> (u16, &'static str) {
    match why {
        DeskRefusal::Gone => (404, "NotFound"),
        DeskRefusal::Closed | DeskRefusal::NoSuchNumber => (400, "Invalid"),
        DeskRefusal::TooLarge => (413, "TooLarge"),
    }
}

fn item(desk: &Desk, id: u64, ticket: &Ticket) -> Value {
    let number = |n: u64| desk::number(desk, n);
    json!({
        "id": number(id), "title": ticket.title, "companyID": number(ticket.client),
        "status": number(ticket.status), "contactID": 5, "description": "canary",
    })
}

/// The value of a condition of a query's filter.
fn wanted<'a>(body: &'a Value, op: &str, field: &str) -> Option<&'a Value> {
    let all = body["filter"].as_array()?;
    let one = all
        .iter()
        .find(|f| f["op"] == json!(op) && f["field"] == json!(field))?;
    Some(&one["value"])
}

fn page(body: &Value, rows: Vec<Value>) -> Value {
    let most = body["MaxRecords"].as_u64().unwrap_or(500).min(500) as usize;
    let next = if rows.len() > most { json!("more") } else { Value::Null };
    let items: Vec<Value> = rows.into_iter().take(most).collect();
    json!({"pageDetails": {"count": items.len(), "nextPageUrl": next}, "items": items})
}

fn picklist<'a>(name: &str, values: impl Iterator<Item = &'a u64>) -> Value {
    let values: Vec<Value> = values
        .map(|v| json!({"value": v.to_string(), "isActive": true}))
        .collect();
    json!({"name": name, "isPickList": true, "picklistValues": values})
}

fn serve(desk: &mut Desk, now_ms: i64, request: &WireRequest) -> Done {
    let path = request.path.strip_prefix("/ATServicesRest/V1.0/").unwrap_or_default();
    let parts: Vec<&str> = path.split('/').collect();
    let body: Value = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
    let number = |text: &str| text.parse::<u64>().map_err(|_| (400_u16, "Invalid"));
    let given = |name: &str| body[name].as_u64().ok_or((400_u16, "Invalid"));
    let text = |name: &str| body[name].as_str().map(str::to_owned).ok_or((400_u16, "Invalid"));
    match (request.method.as_str(), parts.as_slice()) {
        ("GET", ["Companies", id]) => {
            let id = number(id)?;
            let item = desk
                .clients
                .contains(&id)
                .then(|| json!({"id": id, "companyName": "canary"}));
            Ok((200, json!({"item": item})))
        }
        ("GET", ["Tickets", "entityInformation", "fields"]) => {
            let fields = [
                picklist("queueID", desk.types.iter()),
                picklist("status", desk.statuses.keys()),
                picklist("priority", [1, 3].iter()),
            ];
            Ok((200, json!({"fields": fields})))
        }
        ("GET", ["TicketNotes", "entityInformation", "fields"]) => {
            let fields = [
                picklist("noteType", desk.note_types.iter()),
                picklist("publish", [1, 2].iter()),
            ];
            Ok((200, json!({"fields": fields})))
        }
        ("POST", ["Tickets", "query"]) => {
            let company = wanted(&body, "eq", "companyID").and_then(Value::as_u64);
            let words = wanted(&body, "contains", "title").and_then(Value::as_str);
            let (Some(company), Some(words)) = (company, words) else {
                return Err((400, "Filter"));
            };
            let found = desk.search(now_ms, Some(company), words);
            let rows = found.into_iter().map(|(id, t)| item(desk, id, t)).collect();
            Ok((200, page(&body, rows)))
        }
        ("GET", ["Tickets", id]) => {
            let id = number(id)?;
            let item = desk.tickets().get(&id).map(|t| item(desk, id, t));
            Ok((200, json!({"item": item})))
        }
        ("POST", ["Tickets"]) => {
            let ticket = Ticket {
                client: given("companyID")?,
                title: text("title")?,
                text: text("description")?,
                status: given("status")?,
                priority: Some(given("priority")?),
                opened_ms: now_ms,
                notes: Vec::new(),
                files: Vec::new(),
            };
            let id = desk.open(now_ms, given("queueID")?, ticket).map_err(refused)?;
            Ok((
                200,
                if desk.habits.says_no_id {
                    json!({})
                } else {
                    json!({"itemId": id})
                },
            ))
        }
        ("PATCH", ["Tickets"]) => {
            desk.set_status(given("id")?, given("status")?).map_err(refused)?;
            Ok((200, json!({"itemId": given("id")?})))
        }
        ("POST", ["TicketNotes", "query"]) => {
            let id = wanted(&body, "eq", "ticketID")
                .and_then(Value::as_u64)
                .ok_or((400, "Filter"))?;
            let notes = desk.notes(now_ms, id);
            let rows = notes
                .iter()
                .map(|n| json!({"id": 1, "title": "canary", "description": n}));
            Ok((200, page(&body, rows.collect())))
        }
        ("POST", ["Tickets", id, "Notes"]) => {
            if given("publish")? != 2 {
                return Err((400, "SeenByTheCompany"));
            }
            let (note_type, text) = (given("noteType")?, text("description")?);
            desk.note(now_ms, number(id)?, note_type, &text).map_err(refused)?;
            Ok((200, json!({"itemId": 1})))
        }
        ("POST", ["TicketAttachments", "query"]) => {
            let id = wanted(&body, "eq", "parentID")
                .and_then(Value::as_u64)
                .ok_or((400, "Filter"))?;
            let files = desk.files(now_ms, id);
            let rows = files
                .iter()
                .map(|f| json!({"id": 1, "title": f.name, "fileSize": f.bytes.len()}));
            Ok((200, page(&body, rows.collect())))
        }
        ("POST", ["Tickets", id, "Attachments"]) => {
            if text("attachmentType")? != "FILE_ATTACHMENT" || given("publish")? != 2 {
                return Err((400, "Invalid"));
            }
            let name = text("title")?;
            let bytes = desk::from_base64(&text("data")?).ok_or((400, "Invalid"))?;
            desk.attach(now_ms, number(id)?, File { name, bytes })
                .map_err(refused)?;
            Ok((200, json!({"itemId": 1})))
        }
        _ => Err((404, "NoSuchPath")),
    }
}
