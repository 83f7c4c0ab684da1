//! Exchange's admin endpoint: `InvokeCommand` and its own `$batch`.

use serde_json::{Map, Value, json};

use super::odata::Query;
use super::{Answer, GraphFace, Outcome, refuse};
use crate::face::WireRequest;
use crate::world::{Audience, Caller, Failure, VendorError, World};

/// How many cmdlets one batch may hold.
const MOST: usize = 10;

pub(super) fn answer(
    face: &GraphFace,
    world: &mut World,
    now: i64,
    request: &WireRequest,
    tenant: &str,
    rest: &[&str],
) -> Outcome {
    let caller = match super::who_calls(world, now, request, Audience::Exchange) {
        // A token of one tenant says nothing in another.
        Ok(caller) if caller.tenant.eq_ignore_ascii_case(tenant) => caller,
        Ok(_) | Err(_) => {
            return Ok(Answer {
                status: 401,
                ..Answer::default()
            });
        }
    };
    if let Some(anchor) = request.headers.get("x-anchormailbox")
        && looks_like_guid(anchor)
    {
        let error = VendorError::new(
            400,
            "BadRequest",
            "The X-AnchorMailbox header must name a mailbox by its user principal name.",
        );
        return Ok(refuse(&error, spell, "", now, 0));
    }
    let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
        return Ok(refuse(
            &VendorError::new(400, "BadRequest", "The request body is not valid JSON."),
            spell,
            "",
            now,
            0,
        ));
    };
    let most = request.headers.get("prefer").and_then(|prefer| {
        prefer
            .split("odata.maxpagesize=")
            .nth(1)?
            .split([',', ';'])
            .next()?
            .trim()
            .parse()
            .ok()
    });
    match (request.method.as_str(), rest) {
        ("POST", ["InvokeCommand"]) => {
            let link = format!("{}/adminapi/beta/{tenant}/InvokeCommand", face.bases.exchange);
            invoke(world, now, &caller, &body, &Query::parse(&request.query), most, &link)
        }
        ("POST", ["$batch"]) => batch(face, world, now, &caller, &body, tenant),
        _ => Ok(refuse(
            &VendorError::new(404, "NotFound", "Nothing is served here."),
            spell,
            "",
            now,
            0,
        )),
    }
}

fn invoke(
    world: &mut World,
    now: i64,
    caller: &Caller,
    body: &Value,
    query: &Query,
    most: Option<usize>,
    link: &str,
) -> Outcome {
    let input = &body["CmdletInput"];
    let Some(cmdlet) = input["CmdletName"].as_str() else {
        return Ok(refuse(
            &VendorError::new(400, "BadRequest", "CmdletInput.CmdletName is missing."),
            spell,
            "",
            now,
            0,
        ));
    };
    let parameters: Map<String, Value> = input["Parameters"].as_object().cloned().unwrap_or_default();
    let reply = world.invoke(caller, now, cmdlet, &parameters);
    let (latency_ms, request_id) = (reply.latency_ms, reply.request_id);
    match reply.result {
        Err(Failure::Lost) => Err(latency_ms),
        Err(Failure::Vendor(error)) => Ok(refuse(&error, spell, &request_id, now, latency_ms)),
        Ok(output) => {
            let selected = query.selected();
            let skip = query
                .get("$skiptoken")
                .and_then(|token| token.parse::<usize>().ok())
                .unwrap_or(0);
            let size = most.unwrap_or(1_000).min(world.cruelty().page_size).max(1);
            let left = output.rows.len().saturating_sub(skip) > size;
            let rows: Vec<Value> = output
                .rows
                .into_iter()
                .skip(skip)
                .take(size)
                .map(|row| cut(row, selected.as_deref()))
                .collect();
            let mut body = json!({"@odata.context": format!("{link}/$metadata#Collection(Exchange.GenericHashTable)"), "value": rows});
            if !output.warnings.is_empty() {
                body["@adminapi.warnings"] = json!(output.warnings);
                body["adminapi.warnings@odata.type"] = json!("#Collection(String)");
            }
            if left {
                body["@odata.nextLink"] = json!(format!("{link}?{}", query.with_token(&(skip + size).to_string())));
            }
            Ok(Answer {
                status: 200,
                body: Some(body),
                latency_ms,
                request_id,
                ..Answer::default()
            })
        }
    }
}

fn cut(row: Value, selected: Option<&[&str]>) -> Value {
    match (row, selected) {
        (Value::Object(object), Some(names)) => Value::Object(
            object
                .into_iter()
                .filter(|(key, _)| names.iter().any(|name| name.eq_ignore_ascii_case(key)))
                .collect(),
        ),
        (row, _) => row,
    }
}

fn batch(face: &GraphFace, world: &mut World, now: i64, caller: &Caller, body: &Value, tenant: &str) -> Outcome {
    let Some(requests) = body["requests"].as_array().filter(|requests| requests.len() <= MOST) else {
        return Ok(refuse(
            &VendorError::new(400, "BadRequest", format!("A batch holds at most {MOST} requests.")),
            spell,
            "",
            now,
            0,
        ));
    };
    let link = format!("{}/adminapi/beta/{tenant}/InvokeCommand", face.bases.exchange);
    let mut latency_ms = 0;
    let mut responses = Vec::new();
    for request in requests {
        let query = request["url"]
            .as_str()
            .and_then(|url| url.split_once('?'))
            .map_or("", |(_, query)| query);
        let outcome = invoke(world, now, caller, &request["body"], &Query::parse(query), None, &link);
        let part = outcome.unwrap_or_else(|latency_ms| {
            refuse(
                &VendorError::new(504, "GatewayTimeout", "The service did not answer in time."),
                spell,
                "",
                now,
                latency_ms,
            )
        });
        latency_ms = latency_ms.max(part.latency_ms);
        let headers: Map<String, Value> = part
            .headers
            .into_iter()
            .map(|(name, value)| (name, json!(value)))
            .collect();
        responses.push(json!({"id": request["id"], "status": part.status, "headers": headers, "body": part.body}));
    }
    responses.reverse();
    Ok(Answer {
        status: 200,
        body: Some(json!({"responses": responses})),
        latency_ms,
        ..Answer::default()
    })
}

/// A refusal as the endpoint writes it: the text stands in `details` and deeper down, not in `message`.
fn spell(error: &VendorError, request_id: &str, _now: i64) -> Option<Value> {
    if error.status == 401 {
        return None;
    }
    if matches!(error.status, 429 | 502 | 503 | 504) {
        return Some(json!({"error": {"code": error.code, "message": error.message}}));
    }
    let code = match error.status {
        404 => "NotFound",
        403 => "Forbidden",
        _ => "BadRequest",
    };
    let exception = format!("Microsoft.Exchange.Configuration.Tasks.{}", error.code);
    Some(json!({
        "error": {
            "code": code,
            "message": "Error executing cmdlet",
            "details": [{"code": "Context", "target": "", "message": format!("Ex6F9304|{exception}|{}", error.message)}],
            "innererror": {
                "message": "Error executing cmdlet",
                "type": "Microsoft.Exchange.Admin.OData.Core.ODataServiceException",
                "stacktrace": "",
                "internalexception": {"message": error.message, "type": exception, "stacktrace": ""},
                "internalException": {"message": error.message, "type": exception, "stacktrace": ""},
                "request-id": request_id,
            },
        }
    }))
}

fn looks_like_guid(text: &str) -> bool {
    text.len() == 36
        && text.split('-').map(str::len).eq([8, 4, 4, 4, 12])
        && text.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
}
