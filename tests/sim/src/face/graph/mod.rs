//! Microsoft's face: the token endpoint, Graph v1.0, Exchange's admin endpoint
//! and SharePoint's REST interface, told apart by the first part of the path.

mod batch;
mod bodies;
mod devices;
mod directory;
mod exchange;
mod mail;
mod odata;
mod people;
mod sharepoint;
mod show;
mod token;
mod types;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use self::odata::Query;
use super::{WireAnswer, WireRequest, WireResponse};
use crate::iso;
use crate::world::{Audience, Caller, Failure, Reply, VendorError, World};

/// The URLs that a client of the simulated vendor is configured with; none ends in a slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bases {
    /// Stands for `https://login.microsoftonline.com`: append `/{tenant}/oauth2/v2.0/token`.
    pub login: String,
    /// Stands for `https://graph.microsoft.com/v1.0`: append `/users/…`.
    pub graph: String,
    /// Stands for `https://outlook.office365.com`: append `/adminapi/beta/{tenant}/InvokeCommand`.
    pub exchange: String,
    /// Stands for the scheme of a SharePoint URL: `https://{host}/{path}` becomes `{sharepoint}/{host}/{path}`.
    pub sharepoint: String,
}

impl Bases {
    /// The four under one root, such as `http://127.0.0.1:40000`.
    #[must_use]
    pub fn at(root: &str) -> Self {
        Self {
            login: format!("{root}/login"),
            graph: format!("{root}/graph/v1.0"),
            exchange: format!("{root}/exchange"),
            sharepoint: format!("{root}/sharepoint"),
        }
    }
}

/// Microsoft's face of the world.
#[derive(Debug, Clone)]
pub struct GraphFace {
    bases: Bases,
}

/// A part's answer before it is put on the wire.
#[derive(Debug, Default)]
struct Answer {
    status: u16,
    body: Option<Value>,
    headers: Vec<(String, String)>,
    latency_ms: i64,
    request_id: String,
    /// In place of the body: a message.
    mime: Option<Arc<Vec<u8>>>,
}

/// An answer, or silence after some time.
type Outcome = Result<Answer, i64>;

/// How a service spells a refusal.
type Spell = fn(&VendorError, &str, i64) -> Option<Value>;

/// Everything that an operation of the face needs.
struct Desk<'a> {
    world: &'a mut World,
    caller: Caller,
    now: i64,
    bases: &'a Bases,
    query: Query,
    headers: &'a BTreeMap<String, String>,
    body: Value,
    /// The path and query below the base, for links to further pages.
    here: String,
}

impl GraphFace {
    /// A face that names `bases` in its links.
    #[must_use]
    pub fn new(bases: Bases) -> Self {
        Self { bases }
    }

    /// Answers one request at a simulated time.
    pub fn answer(&self, world: &mut World, now_ms: i64, request: &WireRequest) -> WireAnswer {
        let segments: Vec<String> = request
            .path
            .split('/')
            .filter(|part| !part.is_empty())
            .map(odata::decode)
            .collect();
        let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
        let outcome = match parts.as_slice() {
            ["login", tenant, "oauth2", "v2.0", "token"] if request.method == "POST" => {
                token::answer(world, now_ms, tenant, request)
            }
            ["graph", "v1.0", rest @ ..] => self.answer_graph(world, now_ms, request, rest),
            ["exchange", "adminapi", "beta" | "v1.0", tenant, rest @ ..] => {
                exchange::answer(self, world, now_ms, request, tenant, rest)
            }
            ["sharepoint", rest @ ..] => sharepoint::answer(world, now_ms, request, rest),
            _ => Ok(plain(
                404,
                json!({"error": {"code": "NotFound", "message": "Nothing is served here."}}),
            )),
        };
        match outcome {
            Err(latency_ms) => WireAnswer::Lost { latency_ms },
            Ok(answer) => WireAnswer::Response(wire(answer, request)),
        }
    }

    fn answer_graph(&self, world: &mut World, now: i64, request: &WireRequest, parts: &[&str]) -> Outcome {
        let caller = match who_calls(world, now, request, Audience::Graph) {
            Ok(caller) => caller,
            Err(error) => {
                let mut answer = refuse(&error, spell_graph, "", now, 0);
                answer.headers.push((
                    "www-authenticate".to_owned(),
                    "Bearer realm=\"\", error=\"invalid_token\"".to_owned(),
                ));
                return Ok(answer);
            }
        };
        let body = match read_body(request) {
            Ok(body) => body,
            Err(error) => return Ok(refuse(&error, spell_graph, "", now, 0)),
        };
        let here = request.path.split_once("/v1.0").map_or("", |(_, rest)| rest).to_owned();
        let query = Query::parse(&request.query);
        let mut desk = Desk {
            world,
            caller,
            now,
            bases: &self.bases,
            query,
            headers: &request.headers,
            body,
            here,
        };
        if let ("POST", ["$batch"]) = (request.method.as_str(), parts) {
            return batch::answer(&mut desk);
        }
        route(&mut desk, &request.method, parts)
    }
}

/// Every path of Graph that is served; one function for each area.
fn route(desk: &mut Desk, method: &str, parts: &[&str]) -> Outcome {
    if let Err(error) = desk.query.check(parts) {
        return Ok(desk.refuse(&error));
    }
    let eventual = desk
        .headers
        .get("consistencylevel")
        .is_some_and(|level| level.eq_ignore_ascii_case("eventual"));
    let advanced = desk.query.counted()
        || desk
            .query
            .filter()
            .unwrap_or_default()
            .iter()
            .any(odata::Condition::is_advanced);
    if advanced && !eventual {
        let error = VendorError::new(
            400,
            "Request_UnsupportedQuery",
            "This query needs the header 'ConsistencyLevel: eventual'.",
        );
        return Ok(desk.refuse(&error));
    }
    match bodies::check(method, parts, &desk.body) {
        Ok(Some(operation)) => desk.world.note_body(operation),
        Ok(None) => {}
        Err(error) => return Ok(desk.refuse(&error)),
    }
    people::route(desk, method, parts)
        .or_else(|| directory::route(desk, method, parts))
        .or_else(|| mail::route(desk, method, parts))
        .or_else(|| devices::route(desk, method, parts))
        .unwrap_or_else(|| {
            let segment = parts.last().copied().unwrap_or_default();
            Ok(desk.refuse(&VendorError::new(
                400,
                "BadRequest",
                format!("Resource not found for the segment '{segment}'."),
            )))
        })
}

impl Desk<'_> {
    /// Turns the world's reply into an answer; `show` renders the value.
    fn reply<T>(&self, reply: Reply<T>, show: impl FnOnce(T) -> Result<(u16, Option<Value>), VendorError>) -> Outcome {
        let Reply {
            result,
            latency_ms,
            request_id,
        } = reply;
        match result {
            Err(Failure::Lost) => Err(latency_ms),
            Err(Failure::Vendor(error)) => Ok(refuse(&error, spell_graph, &request_id, self.now, latency_ms)),
            Ok(value) => match show(value) {
                Ok((status, body)) => Ok(Answer {
                    status,
                    body,
                    latency_ms,
                    request_id,
                    ..Answer::default()
                }),
                Err(error) => Ok(refuse(&error, spell_graph, &request_id, self.now, latency_ms)),
            },
        }
    }

    /// 204 without a body.
    fn done(&self, reply: Reply<()>) -> Outcome {
        self.reply(reply, |()| Ok((204, None)))
    }

    /// 200 with one object of a type, cut to `$select`.
    fn entity<T>(&self, reply: Reply<T>, kind: &str, set: &str, show: impl FnOnce(T) -> Value) -> Outcome {
        self.reply(reply, |value| {
            let mut object = self.query.select(show(value), kind)?;
            put_context(&mut object, &format!("{set}/$entity"));
            Ok((200, Some(object)))
        })
    }

    /// 200 with a page of objects of a type, cut to `$select`; each has a key that orders them.
    fn list<T>(&self, reply: Reply<T>, kind: &str, set: &str, show: impl FnOnce(T) -> Vec<(String, Value)>) -> Outcome {
        self.reply(reply, |value| {
            let mut all = show(value);
            all.sort_by(|a, b| a.0.cmp(&b.0));
            let by_offset = kind == "message";
            let most = self.world.cruelty().page_size;
            let page = match by_offset {
                true => self.query.page_by_offset(all, most),
                false => self.query.page(all, most),
            };
            let items = page
                .items
                .into_iter()
                .map(|item| self.query.select(item, kind))
                .collect::<Result<Vec<_>, _>>()?;
            let mut body = json!({"value": items});
            put_context(&mut body, set);
            if self.query.counted() {
                body["@odata.count"] = json!(page.total);
            }
            if let Some(token) = page.next {
                let query = match by_offset {
                    true => self.query.with_offset(&token),
                    false => self.query.with_token(&token),
                };
                body["@odata.nextLink"] = json!(format!("{}{}?{query}", self.bases.graph, self.here));
            }
            Ok((200, Some(body)))
        })
    }

    fn refuse(&self, error: &VendorError) -> Answer {
        refuse(error, spell_graph, "", self.now, 0)
    }
}

fn put_context(body: &mut Value, set: &str) {
    if let Some(object) = body.as_object_mut() {
        object.insert(
            "@odata.context".to_owned(),
            json!(format!("https://graph.microsoft.com/v1.0/$metadata#{set}")),
        );
    }
}

fn plain(status: u16, body: Value) -> Answer {
    Answer {
        status,
        body: Some(body),
        ..Answer::default()
    }
}

fn refuse(error: &VendorError, spell: Spell, request_id: &str, now: i64, latency_ms: i64) -> Answer {
    let headers = error
        .retry_after_s
        .map(|s| ("retry-after".to_owned(), s.to_string()))
        .into_iter()
        .collect();
    Answer {
        status: error.status,
        body: spell(error, request_id, now),
        headers,
        latency_ms,
        request_id: request_id.to_owned(),
        mime: None,
    }
}

/// A refusal as Graph writes it; a gateway in between writes HTML.
fn spell_graph(error: &VendorError, request_id: &str, now: i64) -> Option<Value> {
    if error.status == 502 {
        return Some(json!(
            "<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>"
        ));
    }
    Some(json!({
        "error": {
            "code": error.code,
            "message": error.message,
            "innerError": {"date": iso(now - now % 1_000).trim_end_matches('Z'), "request-id": request_id, "client-request-id": request_id},
        }
    }))
}

fn bearer(request: &WireRequest) -> &str {
    request
        .headers
        .get("authorization")
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default()
        .trim()
}

fn read_body(request: &WireRequest) -> Result<Value, VendorError> {
    if request.body.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&request.body).map_err(|_| {
        VendorError::new(400, "BadRequest", "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format.")
    })
}

/// Who calls, and what he calls his request.
fn who_calls(world: &mut World, now: i64, request: &WireRequest, audience: Audience) -> Result<Caller, VendorError> {
    let mut caller = world.authenticate(now, bearer(request), audience)?;
    caller.client_request_id = request.headers.get("client-request-id").cloned().unwrap_or_default();
    Ok(caller)
}

fn wire(answer: Answer, request: &WireRequest) -> WireResponse {
    let mut headers = answer.headers;
    if !answer.request_id.is_empty() {
        headers.push(("request-id".to_owned(), answer.request_id.clone()));
        let client = request
            .headers
            .get("client-request-id")
            .cloned()
            .unwrap_or(answer.request_id);
        headers.push(("client-request-id".to_owned(), client));
    }
    let body = match answer.body {
        None => match answer.mime {
            Some(mime) => {
                headers.push(("content-type".to_owned(), "text/plain".to_owned()));
                mime.to_vec()
            }
            None => Vec::new(),
        },
        Some(Value::String(html)) if html.starts_with('<') => {
            headers.push(("content-type".to_owned(), "text/html".to_owned()));
            html.into_bytes()
        }
        Some(json) => {
            headers.push((
                "content-type".to_owned(),
                "application/json; odata.metadata=minimal; charset=utf-8".to_owned(),
            ));
            json.to_string().into_bytes()
        }
    };
    WireResponse {
        status: answer.status,
        headers,
        body,
        latency_ms: answer.latency_ms,
    }
}
