//! `$batch`: up to twenty calls in one. The outer answer says nothing about the
//! parts; each has its own fate, and a part whose connection would have been
//! lost answers 504, applied or not. Answers come in no useful order.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::odata::{Query, decode};
use super::{Answer, Desk, Outcome, refuse, route, spell_graph};
use crate::world::{Failure, VendorError};

/// How many calls one batch may hold.
const MOST: usize = 20;

pub(super) fn answer(desk: &mut Desk) -> Outcome {
    let requests = match read(&desk.body) {
        Ok(requests) => requests,
        Err(error) => return Ok(desk.refuse(&error)),
    };
    let outer = desk.world.begin_batch(&desk.caller.clone(), desk.now);
    if let Err(Failure::Vendor(error)) = &outer.result {
        return Ok(refuse(
            error,
            spell_graph,
            &outer.request_id,
            desk.now,
            outer.latency_ms,
        ));
    }
    let mut latency_ms = outer.latency_ms;
    let mut statuses: BTreeMap<String, u16> = BTreeMap::new();
    let mut responses = Vec::new();
    for request in &requests {
        let id = request["id"].as_str().unwrap_or_default().to_owned();
        let part = one(desk, request, &statuses);
        latency_ms = latency_ms.max(part.latency_ms);
        statuses.insert(id.clone(), part.status);
        let mut headers: serde_json::Map<String, Value> = part
            .headers
            .iter()
            .map(|(name, value)| {
                (
                    if name == "retry-after" {
                        "Retry-After".to_owned()
                    } else {
                        name.clone()
                    },
                    json!(value),
                )
            })
            .collect();
        if part.body.is_some() {
            headers.insert("Content-Type".to_owned(), json!("application/json"));
        }
        let mut response = json!({"id": id, "status": part.status, "headers": headers});
        if let Some(body) = part.body {
            response["body"] = body;
        }
        responses.push(response);
    }
    // A batch whose answer is lost was applied: the parts are not undone.
    if matches!(outer.result, Err(Failure::Lost)) {
        return Err(latency_ms);
    }
    responses.reverse();
    Ok(Answer {
        status: 200,
        body: Some(json!({"responses": responses})),
        latency_ms,
        request_id: outer.request_id,
        ..Answer::default()
    })
}

fn read(body: &Value) -> Result<Vec<Value>, VendorError> {
    let bad = |text: String| VendorError::new(400, "BadRequest", text);
    let requests = body["requests"]
        .as_array()
        .ok_or_else(|| bad("Invalid batch payload format.".to_owned()))?;
    if requests.len() > MOST {
        return Err(bad(format!("Number of batch requests exceeds the limit: {MOST}.")));
    }
    let mut seen = BTreeSet::new();
    for request in requests {
        let (Some(id), Some(_), Some(url)) = (
            request["id"].as_str(),
            request["method"].as_str(),
            request["url"].as_str(),
        ) else {
            return Err(bad(
                "Invalid batch payload format: each request needs id, method and url.".to_owned(),
            ));
        };
        if !seen.insert(id) {
            return Err(bad(format!("Request Id {id} has been already used in this batch.")));
        }
        if url.contains("$batch") {
            return Err(bad("Nested batch requests are not supported.".to_owned()));
        }
        if url.contains("://") {
            return Err(bad(
                "Invalid batch payload format: the url of a request must be relative.".to_owned(),
            ));
        }
        if request.get("body").is_some()
            && request["headers"]
                .get("Content-Type")
                .or_else(|| request["headers"].get("content-type"))
                .is_none()
        {
            return Err(bad(format!(
                "Write request id : {id} does not contain Content-Type header or body."
            )));
        }
    }
    Ok(requests.clone())
}

fn one(desk: &mut Desk, request: &Value, statuses: &BTreeMap<String, u16>) -> Answer {
    let waits_for = request["dependsOn"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    for earlier in waits_for {
        if statuses.get(earlier).is_none_or(|status| *status >= 400) {
            let error = VendorError::new(
                424,
                "FailedDependency",
                format!("The request depends on {earlier}, which failed or has not run."),
            );
            return desk.refuse(&error);
        }
    }
    let url = request["url"].as_str().unwrap_or_default();
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let here = format!("/{}", path.trim_start_matches('/'));
    let segments: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(decode).collect();
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let method = request["method"].as_str().unwrap_or_default().to_ascii_uppercase();
    let now = desk.now;
    let headers: BTreeMap<String, String> = request["headers"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.to_ascii_lowercase(), value.as_str()?.to_owned())))
        .collect();
    let mut inner = Desk {
        world: desk.world,
        caller: desk.caller.clone(),
        now,
        bases: desk.bases,
        query: Query::parse(query),
        headers: &headers,
        body: request["body"].clone(),
        here,
    };
    route(&mut inner, &method, &parts).unwrap_or_else(|latency_ms| {
        let error = VendorError::new(504, "GatewayTimeout", "The service did not answer in time.");
        refuse(&error, spell_graph, "", now, latency_ms)
    })
}
