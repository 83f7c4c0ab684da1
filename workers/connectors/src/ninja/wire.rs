//! One request to NinjaOne: leave to write, token, send, judge the answer, keep
//! the receipt. Everything that this connector sends goes through [`Wire::send`].

use super::VENDOR;
use super::fault;
use super::settings::{NinjaOpenError, NinjaSettings};
use crate::answered::{Effect, header_date_ms, named_id};
use crate::client_credentials::{Grant, Tokens};
use crate::http::{Answered, HttpClient, NoAnswer, Request, Shown, base_address, sensitive};
use crate::path::Path;
use crate::{Answer, Call};
use bytes::Bytes;
use offboard_domain::{Fault, FaultClass, Receipt, System};
use offboard_runtime::Secret;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use serde_json::Value;
use tokio::time::Instant;

/// What is asked for: the least that reads and writes. Nothing here takes
/// `control`.
const SCOPE: &str = "monitoring management";

/// What is asked about, for what a refusal of it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// The organisation.
    Organization,
    /// A list or a report.
    List,
    /// One device, or something of it.
    Device,
    /// A device's custom fields.
    Fields,
    /// A script on a device.
    Script,
}

/// A request to be made.
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) path: Path,
    pub(super) about: About,
    pub(super) body: Option<Value>,
    once: bool,
}

impl Ask {
    pub(super) fn get(path: Path, about: About) -> Self {
        Self {
            method: Method::GET,
            path,
            about,
            body: None,
            once: false,
        }
    }

    pub(super) fn write(method: Method, path: Path, about: About, body: Option<Value>) -> Self {
        Self {
            method,
            path,
            about,
            body,
            once: false,
        }
    }

    /// What must not happen twice.
    pub(super) fn once(self) -> Self {
        Self { once: true, ..self }
    }

    pub(super) fn effect(&self) -> Effect {
        match (&self.method, self.once) {
            (&Method::GET, _) => Effect::Read,
            (_, true) => Effect::Once,
            (_, false) => Effect::Write,
        }
    }

    pub(super) fn attempted(&self) -> String {
        format!("{} {}", self.method, self.path.shown())
    }
}

/// An answer that was not a refusal.
pub(super) struct Reply {
    pub(super) body: Value,
    /// How far NinjaOne's clock is ahead of ours, in milliseconds, as far as a
    /// header in whole seconds can tell.
    pub(super) ahead_ms: Option<i64>,
}

/// The requests to one instance.
pub(super) struct Wire {
    pub(super) system: System,
    http: HttpClient,
    base: String,
    client_id: String,
    secret: Secret,
    tokens: Tokens,
}

impl Wire {
    pub(super) fn new(http: &HttpClient, settings: &NinjaSettings) -> Result<Self, NinjaOpenError> {
        let base = base_address(&settings.url).map_err(|why| NinjaOpenError {
            given: settings.url.clone(),
            why,
        })?;
        let base = base.as_str().trim_end_matches('/').to_owned();
        let mut wire = Self {
            system: settings.system.clone(),
            http: http.clone(),
            base,
            client_id: settings.client_id.clone(),
            secret: settings.secret.clone(),
            tokens: Tokens::new(settings.system.clone(), VENDOR, http.clone(), None),
        };
        wire.tokens = wire.tokens_for(SCOPE);
        Ok(wire)
    }

    /// Tokens of this scope, for `offboard doctor` to see whether they are given.
    pub(super) fn tokens_for(&self, scope: &str) -> Tokens {
        let grant = Grant {
            url: format!("{}/ws/oauth/token", self.base),
            client_id: self.client_id.clone(),
            secret: self.secret.clone(),
            scope: Some(scope.to_owned()),
        };
        Tokens::new(self.system.clone(), VENDOR, self.http.clone(), Some(grant))
    }

    /// A fault about this request that no answer caused.
    pub(super) fn fault(&self, ask: &Ask, class: FaultClass, detail: impl Into<String>) -> Fault {
        Fault {
            class,
            system: self.system.clone(),
            attempted: ask.attempted(),
            status: None,
            code: None,
            detail: detail.into(),
            request_id: None,
        }
    }

    async fn token(&self, deadline: Instant, refused: Option<&Secret>) -> Answer<Secret> {
        self.tokens.get(deadline, refused).await
    }

    /// Makes one request and judges its answer. A token that is refused is asked
    /// for once more: it was refused before anything was done.
    pub(super) async fn send(&self, call: &mut Call, ask: &Ask) -> Answer<Reply> {
        let rejected = |detail: &str| self.fault(ask, FaultClass::Rejected, detail);
        if !ask.path.is_sound() {
            return Err(rejected("an id in it is empty or consists of dots; it was not sent"));
        }
        let url = Url::parse(&format!("{}{}", self.base, ask.path.sent()))
            .map_err(|_| rejected("the address cannot be built; it was not sent"))?;
        if ask.effect().writes() && !call.may_write() {
            return Err(rejected(
                "it would write, and this attempt may only read; it was not sent",
            ));
        }
        let mut token = self.token(call.deadline(), None).await?;
        let mut renewed = false;
        loop {
            let request = self.request(ask, &url, &token)?;
            if ask.effect().writes() {
                call.note_write();
            }
            let shown = Shown {
                vendor: VENDOR,
                service: "api",
                template: ask.path.shown(),
                named: None,
            };
            let answered = self.http.send(request, call.deadline(), shown).await;
            if matches!(answered, Err(NoAnswer::NotSent(_))) {
                ask.effect().refused(call);
            }
            let answered = answered.map_err(|why| self.no_answer(ask, why))?;
            let request_id = named_id(&answered.headers, &["x-nj-request-id", "x-request-id"]);
            tracing::debug!(
                system = %self.system,
                attempted = %ask.attempted(),
                status = answered.status.as_u16(),
                request_id = request_id.as_deref(),
                "answered"
            );
            if answered.status == StatusCode::UNAUTHORIZED && !renewed {
                renewed = true;
                ask.effect().refused(call);
                token = self.token(call.deadline(), Some(&token)).await?;
                continue;
            }
            let receipt = Receipt {
                at: call.now(),
                request: ask.attempted(),
                status: answered.status.as_u16(),
                request_id: request_id.clone(),
            };
            if ask.effect().writes() {
                call.note_receipt(receipt);
            } else {
                call.note_read_receipt(receipt);
            }
            let judged = self.judge(call, ask, &answered, request_id);
            ask.effect().judged(call, &judged, &[]);
            return judged.inspect(|_| call.note_source(VENDOR));
        }
    }

    fn request(&self, ask: &Ask, url: &Url, token: &Secret) -> Answer<Request> {
        let mut headers = HeaderMap::new();
        let bearer = sensitive(&format!("Bearer {}", token.expose().trim())).ok_or_else(|| {
            let detail = "the token cannot stand in a header; it was not sent";
            self.fault(ask, FaultClass::Denied, detail)
        })?;
        headers.insert(AUTHORIZATION, bearer);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if ask.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        Ok(Request {
            method: ask.method.clone(),
            url: url.clone(),
            headers,
            body: ask.body.as_ref().map(|body| Bytes::from(body.to_string())),
        })
    }

    fn no_answer(&self, ask: &Ask, why: NoAnswer) -> Fault {
        let silence = ask.effect().silence();
        match why {
            NoAnswer::NotSent(why) => self.fault(ask, FaultClass::Transient, format!("{why}; it was not sent")),
            NoAnswer::Silence(why) if ask.effect().writes() => {
                self.fault(ask, silence, format!("{why}; whether it happened must be read"))
            }
            NoAnswer::Silence(why) => self.fault(ask, silence, format!("{why}; it is read again")),
            NoAnswer::TooLarge => self.fault(ask, silence, "the answer is larger than this client reads"),
        }
    }

    fn judge(&self, call: &Call, ask: &Ask, answered: &Answered, request_id: Option<String>) -> Answer<Reply> {
        let now = call.now();
        let body: Option<Value> = if answered.body.is_empty() {
            Some(Value::Null)
        } else {
            serde_json::from_slice(&answered.body).ok()
        };
        let of_answer = |class, code, detail: String| Fault {
            status: Some(answered.status.as_u16()),
            code,
            request_id: request_id.clone(),
            ..self.fault(ask, class, detail)
        };
        // It answers with a page when it was asked too often, whatever the status
        // says; a write may then have been done or not.
        if body.is_none() && fault::is_a_page(&answered.headers, &answered.body) {
            let class = match ask.effect() {
                Effect::Read => fault::throttled(&answered.headers, now),
                Effect::Write | Effect::Once => FaultClass::Unknown,
            };
            let detail = "NinjaOne answered with a page in place of data, as it does when it is asked too often; it is read again later. If it stays so, see that `url` is the address of your instance";
            return Err(of_answer(class, None, detail.to_owned()));
        }
        if !answered.status.is_success() {
            let body = body.unwrap_or(Value::Null);
            let refusal = fault::of_answer(ask, answered.status, &answered.headers, &body, now);
            return Err(of_answer(refusal.class, refusal.code, refusal.detail));
        }
        let body = match body {
            Some(body) => body,
            // What was written is written; only who reads needs the body.
            None if ask.effect().writes() => Value::Null,
            None => {
                let detail = "the answer is not JSON; see that `url` is the address of your NinjaOne instance";
                return Err(of_answer(FaultClass::Transient, None, detail.to_owned()));
            }
        };
        Ok(Reply {
            body,
            ahead_ms: header_date_ms(&answered.headers).map(|ms| ms - now.0),
        })
    }
}
