//! One request to one application: leave to write, token, send, judge the
//! answer, keep the receipt. Everything that this connector sends goes through
//! [`Wire::send`].

use super::VENDOR;
use super::fault;
use super::settings::{ScimAccess, ScimOpenError, ScimSettings};
use crate::answered::{Effect, header_date_ms, named_id};
use crate::client_credentials::Tokens;
use crate::http::{Answered, HttpClient, NoAnswer, Request, Shown, base_address, sensitive};
use crate::path::Path;
use crate::{Answer, Call};
use bytes::Bytes;
use offboard_domain::{Fault, FaultClass, Receipt, System};
use offboard_runtime::Secret;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_MATCH};
use reqwest::{Method, StatusCode, Url};
use serde_json::Value;
use tokio::time::Instant;

/// Applications differ in which of the two they write; both are read.
const JSON: &str = "application/scim+json, application/json";

/// What is asked of an application, for what a refusal of it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// What the service can do (`/ServiceProviderConfig`, `/Schemas`).
    Service,
    /// Who answers to a name; the attribute.
    Search(&'static str),
    /// One account.
    Account,
}

/// A request to be made. Its body holds an account, so it cannot be printed.
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) path: Path,
    pub(super) about: About,
    pub(super) body: Option<Value>,
    /// The version that is to be replaced, and no other.
    pub(super) version: Option<String>,
}

impl Ask {
    pub(super) fn get(path: Path, about: About) -> Self {
        Self {
            method: Method::GET,
            path,
            about,
            body: None,
            version: None,
        }
    }

    pub(super) fn write(method: Method, path: Path, body: Option<Value>) -> Self {
        Self {
            method,
            path,
            about: About::Account,
            body,
            version: None,
        }
    }

    /// Every write here is harmless when repeated.
    pub(super) fn effect(&self) -> Effect {
        if self.method == Method::GET {
            Effect::Read
        } else {
            Effect::Write
        }
    }

    pub(super) fn attempted(&self) -> String {
        format!("{} {}", self.method, self.path.shown())
    }
}

/// An answer that was not a refusal.
pub(super) struct Reply {
    pub(super) body: Value,
    pub(super) etag: Option<String>,
    /// How far the application's clock is ahead of ours, in milliseconds, as far
    /// as a header in whole seconds can tell.
    pub(super) ahead_ms: Option<i64>,
}

/// The requests to one application.
pub(super) struct Wire {
    pub(super) system: System,
    http: HttpClient,
    base: String,
    access: ScimAccess,
    tokens: Tokens,
}

impl Wire {
    pub(super) fn new(http: &HttpClient, settings: &ScimSettings) -> Result<Self, ScimOpenError> {
        let address = |which, given: &str| {
            base_address(given).map_err(|why| ScimOpenError::Address {
                which,
                given: given.to_owned(),
                why,
            })
        };
        let base = address("url", &settings.url)?;
        if let ScimAccess::Application { token_url, .. } = &settings.access {
            address("token_url", token_url)?;
        }
        let http = match &settings.authority_pem {
            Some(pem) => HttpClient::trusting(pem)?,
            None => http.clone(),
        };
        Ok(Self {
            system: settings.system.clone(),
            tokens: Tokens::new(settings.system.clone(), VENDOR, http.clone(), settings.access.grant()),
            http,
            base: base.as_str().trim_end_matches('/').to_owned(),
            access: settings.access.clone(),
        })
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
        match &self.access {
            ScimAccess::Token(token) => Ok(token.clone()),
            ScimAccess::Application { .. } => self.tokens.get(deadline, refused).await,
        }
    }

    /// Makes one request and judges its answer. A token that was asked for and
    /// is refused is asked for once more.
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
        let mut renewed = matches!(self.access, ScimAccess::Token(_));
        loop {
            let request = self.request(ask, &url, &token)?;
            if ask.effect().writes() {
                call.note_write();
            }
            let shown = Shown {
                vendor: VENDOR,
                service: "scim",
                template: ask.path.shown(),
                named: None,
            };
            let answered = self.http.send(request, call.deadline(), shown).await;
            if matches!(answered, Err(NoAnswer::NotSent(_))) {
                ask.effect().refused(call);
            }
            let answered = answered.map_err(|why| self.no_answer(ask, why))?;
            let request_id = named_id(&answered.headers, &["x-request-id", "request-id", "x-correlation-id"]);
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
        let unusable = |what: &str| {
            let detail = format!("{what} cannot stand in a header; it was not sent");
            self.fault(ask, FaultClass::Denied, detail)
        };
        let mut headers = HeaderMap::new();
        let bearer = sensitive(&format!("Bearer {}", token.expose().trim()));
        headers.insert(AUTHORIZATION, bearer.ok_or_else(|| unusable("the token"))?);
        headers.insert(ACCEPT, HeaderValue::from_static(JSON));
        if let Some(version) = &ask.version {
            let version = HeaderValue::from_str(version).map_err(|_| unusable("the account's version"))?;
            headers.insert(IF_MATCH, version);
        }
        if ask.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/scim+json"));
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
        let body = if answered.body.is_empty() {
            Some(Value::Null)
        } else {
            serde_json::from_slice(&answered.body).ok()
        };
        let now = call.now();
        if !answered.status.is_success() {
            let body = body.unwrap_or(Value::Null);
            let refusal = fault::of_answer(ask, answered.status, &answered.headers, &body, now);
            return Err(Fault {
                status: Some(answered.status.as_u16()),
                code: refusal.code,
                request_id,
                ..self.fault(ask, refusal.class, refusal.detail)
            });
        }
        let body = match body {
            Some(body) => body,
            // What was written is written; only who reads needs the body.
            None if ask.effect().writes() => Value::Null,
            None => {
                let detail = "the answer is not JSON; see that `url` is the address of the app's SCIM service";
                return Err(Fault {
                    status: Some(answered.status.as_u16()),
                    request_id,
                    ..self.fault(ask, FaultClass::Transient, detail)
                });
            }
        };
        let etag = answered.headers.get(ETAG).and_then(|v| v.to_str().ok());
        Ok(Reply {
            body,
            etag: etag.map(str::to_owned),
            ahead_ms: header_date_ms(&answered.headers).map(|ms| ms - now.0),
        })
    }
}
