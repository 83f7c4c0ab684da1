//! Several Graph requests in one. The outer answer says nothing about the
//! parts: each is judged by itself, and a part without an answer is as silent
//! as a request without one.

use super::api::{Api, Ask, Reply, Service};
use super::fault;
use super::path::Path;
use crate::{Answer, Call};
use offboard_domain::{Fault, FaultClass, Receipt};
use offboard_runtime::telemetry::metrics;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The most parts that Graph takes in one batch.
const PARTS_MAX: usize = 20;
/// The most of Outlook's: it runs no more at a time for one mailbox.
const OUTLOOK_PARTS_MAX: usize = 4;
const UNAUTHORIZED: u16 = 401;
const TOO_MANY_REQUESTS: u16 = 429;

impl Api {
    /// Makes these requests, in as few batches as may be, and answers for each
    /// in the same order. One alone goes by itself. Where the vendor asks to wait,
    /// what is left is not sent, and is answered with that.
    pub(crate) async fn batch(&self, call: &mut Call, asks: &[Ask]) -> Vec<Answer<Reply>> {
        if let [only] = asks {
            return vec![self.send(call, only).await];
        }
        let most = if asks.iter().any(|a| a.outlook) {
            OUTLOOK_PARTS_MAX
        } else {
            PARTS_MAX
        };
        let mut answers: Vec<Answer<Reply>> = Vec::with_capacity(asks.len());
        for chunk in asks.chunks(most) {
            let told_to_wait = answers
                .iter()
                .find_map(|a| a.as_ref().err().filter(|f| is_throttled(f)));
            let done = match told_to_wait {
                Some(fault) => Err(Fault {
                    detail: "the vendor asked to wait before this was reached; it was not sent".into(),
                    ..fault.clone()
                }),
                None => self.batch_of(call, chunk).await,
            };
            match done {
                Ok(parts) => answers.extend(parts),
                Err(fault) => answers.extend(chunk.iter().map(|ask| {
                    Err(Fault {
                        attempted: ask.attempted(),
                        ..fault.clone()
                    })
                })),
            }
        }
        answers
    }

    async fn batch_of(&self, call: &mut Call, asks: &[Ask]) -> Answer<Vec<Answer<Reply>>> {
        let Some(first) = asks.first() else {
            return Ok(Vec::new());
        };
        let mut effect = first.effect;
        let mut parts = Vec::with_capacity(asks.len());
        for (i, ask) in asks.iter().enumerate() {
            debug_assert!(
                ask.service == Service::Graph && ask.page.is_none(),
                "only Graph has batches"
            );
            if ask.effect.writes() {
                effect = ask.effect;
            }
            if !ask.path.is_sound() {
                return Err(self.fault(
                    ask,
                    FaultClass::Rejected,
                    "an id in it is empty or consists of dots; it was not sent",
                ));
            }
            let mut part = json!({"id": i.to_string(), "method": ask.method.as_str(), "url": ask.path.sent()});
            let mut headers = serde_json::Map::new();
            for (name, value) in &ask.headers {
                headers.insert(name.as_str().to_owned(), Value::String(value.clone()));
            }
            if let Some(body) = &ask.body {
                headers.insert("Content-Type".into(), "application/json".into());
                part["body"] = body.clone();
            }
            if !headers.is_empty() {
                part["headers"] = Value::Object(headers);
            }
            parts.push(part);
        }
        let mut outer = Ask::post(Path::at("$batch"), first.need, Some(json!({"requests": parts})));
        outer.effect = effect;
        let (reply, token) = self.send_with(call, &outer).await?;
        // The batch was counted as one request; from here on each part that writes is one.
        for _ in asks.iter().filter(|ask| ask.effect.writes()).skip(1) {
            call.note_write();
        }
        let mut by_id: BTreeMap<String, Value> = BTreeMap::new();
        if let Value::Array(responses) = reply.body["responses"].clone() {
            for response in responses {
                if let Some(id) = response["id"].as_str() {
                    by_id.insert(id.to_owned(), response);
                }
            }
        }
        let now = call.now();
        let mut answers = Vec::with_capacity(asks.len());
        for (i, ask) in asks.iter().enumerate() {
            let Some(mut part) = by_id.remove(&i.to_string()) else {
                answers.push(Err(self.fault(
                    ask,
                    ask.effect.silence(),
                    "the batch came back without this part",
                )));
                continue;
            };
            let status = part["status"].as_u64().and_then(|s| u16::try_from(s).ok()).unwrap_or(0);
            if status == TOO_MANY_REQUESTS {
                metrics::throttled(super::VENDOR, ask.service.source());
            }
            let headers = headers_of(&part["headers"]);
            if ask.effect.writes() {
                let request_id = super::api::request_id(&headers);
                call.note_receipt(Receipt {
                    at: now,
                    request: ask.attempted(),
                    status,
                    request_id,
                });
            }
            if status == UNAUTHORIZED {
                // The token died on the way: by itself the request renews it.
                ask.effect.refused(call);
                answers.push(self.send(call, ask).await);
                continue;
            }
            let judged = self.judge_part(ask, status, headers, part["body"].take(), &token, now);
            ask.effect.judged(call, &judged, fault::QUOTA);
            answers.push(judged);
        }
        Ok(answers)
    }
}

fn is_throttled(fault: &Fault) -> bool {
    matches!(fault.class, FaultClass::Throttled { .. })
}

/// The headers of a part.
pub(super) fn headers_of(value: &Value) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in value.as_object().into_iter().flatten() {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(n) => n.to_string(),
            _ => continue,
        };
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name.as_str()), HeaderValue::from_str(&text)) {
            headers.insert(name, value);
        }
    }
    headers
}
