//! One request to Google: leave to write, token, send, judge the answer, keep the
//! receipt. Everything that this connector sends goes through [`Wire::send`].

use super::fault;
use super::scope::Scope;
use super::settings::{Bases, GoogleOpenError, GoogleSettings, ServiceKey};
use super::token::{ActsFor, Token, Tokens};
use crate::answered::{Effect, header_date_ms};
use crate::http::{Answered, HttpClient, NoAnswer, Request, Shown, sensitive};
use crate::path::Path;
use crate::{Answer, Call};
use bytes::Bytes;
use offboard_domain::{Fault, FaultClass, Receipt, System};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use serde_json::Value;
use std::sync::Arc;

/// The most pages that one listing may have.
const PAGES_MAX: usize = 400;

/// What is asked about, for what a refusal of it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// What there is at all.
    Service,
    /// The account that is acted for.
    Acting,
    /// A product that licences are of.
    Product,
    /// An account, or what it holds; read.
    Account,
    /// An account; changed.
    Change,
    /// Its second factor.
    SecondFactor,
    /// Codes that stand in for it.
    Codes,
    /// A password for applications.
    AppPassword,
    /// Its place in a group.
    Membership,
    /// Its mail settings.
    Mail,
    /// One of its licences.
    Licence,
}

/// A request to be made. Its body may hold a password, so it cannot be printed.
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) path: Path,
    pub(super) scope: Scope,
    pub(super) about: About,
    pub(super) acts_for: ActsFor,
    pub(super) effect: Effect,
    pub(super) body: Option<Value>,
}

impl Ask {
    pub(super) fn get(path: Path, scope: Scope, about: About) -> Self {
        Self {
            method: Method::GET,
            path,
            scope,
            about,
            acts_for: ActsFor::Administrator,
            effect: Effect::Read,
            body: None,
        }
    }

    /// One that writes; harmless when repeated.
    pub(super) fn write(method: Method, path: Path, scope: Scope, about: About, body: Option<Value>) -> Self {
        Self {
            method,
            effect: Effect::Write,
            body,
            ..Self::get(path, scope, about)
        }
    }

    pub(super) fn once(mut self) -> Self {
        self.effect = Effect::Once;
        self
    }

    /// As the person himself, which his mail settings need.
    pub(super) fn acting_for(mut self, address: &str) -> Self {
        self.acts_for = ActsFor::Member(address.to_owned());
        self
    }

    pub(super) fn attempted(&self) -> String {
        format!("{} {}", self.method, self.path.shown())
    }

    fn service(&self) -> &'static str {
        match self.scope {
            Scope::MailSettings | Scope::MailSharing => "gmail",
            Scope::Licences => "licensing",
            Scope::Drives => "drive",
            _ => "admin",
        }
    }
}

/// An answer that was not a refusal.
pub(super) struct Reply {
    pub(super) body: Value,
    /// How far Google's clock is ahead of ours, in milliseconds, as far as a
    /// header in whole seconds can tell.
    pub(super) ahead_ms: Option<i64>,
}

/// The requests to one workspace.
pub(super) struct Wire {
    pub(super) system: System,
    http: HttpClient,
    bases: Bases,
    pub(super) tokens: Tokens,
}

impl Wire {
    pub(super) fn new(http: &HttpClient, settings: &GoogleSettings) -> Result<Self, GoogleOpenError> {
        let bases = Bases::of(&settings.endpoints)?;
        let key = ServiceKey::parse(&settings.key)?;
        let tokens = Tokens::new(
            http.clone(),
            settings.system.clone(),
            settings.admin.clone(),
            key,
            bases.token.clone(),
        );
        Ok(Self {
            system: settings.system.clone(),
            http: http.clone(),
            bases,
            tokens,
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

    fn url(&self, ask: &Ask) -> Answer<Url> {
        let rejected = |detail: &str| self.fault(ask, FaultClass::Rejected, detail);
        if !ask.path.is_sound() {
            return Err(rejected("an id in it is empty or consists of dots; it was not sent"));
        }
        let base = match ask.service() {
            "gmail" => &self.bases.gmail,
            "licensing" => &self.bases.licensing,
            "drive" => &self.bases.drive,
            _ => &self.bases.admin,
        };
        Url::parse(&format!("{}{}", base.as_str().trim_end_matches('/'), ask.path.sent()))
            .map_err(|_| rejected("the address cannot be built; it was not sent"))
    }

    /// Makes one request and judges its answer. A token that is refused is asked
    /// for once more.
    pub(super) async fn send(&self, call: &mut Call, ask: &Ask) -> Answer<Reply> {
        let url = self.url(ask)?;
        if ask.effect.writes() && !call.may_write() {
            let detail = "it would write, and this attempt may only read; it was not sent";
            return Err(self.fault(ask, FaultClass::Rejected, detail));
        }
        let mut token = self.tokens.get(call, &ask.acts_for, ask.scope, None).await?;
        let mut renewed = false;
        loop {
            let request = self.request(ask, &url, &token)?;
            if ask.effect.writes() {
                call.note_write();
            }
            let shown = Shown {
                vendor: super::VENDOR,
                service: ask.service(),
                template: ask.path.shown(),
                named: None,
            };
            let answered = self.http.send(request, call.deadline(), shown).await;
            if matches!(answered, Err(NoAnswer::NotSent(_))) {
                ask.effect.refused(call);
            }
            let answered = answered.map_err(|why| self.no_answer(ask, why))?;
            let status = answered.status.as_u16();
            tracing::debug!(system = %self.system, attempted = %ask.attempted(), status, "answered");
            if answered.status == StatusCode::UNAUTHORIZED && !renewed {
                renewed = true;
                ask.effect.refused(call);
                token = self.tokens.get(call, &ask.acts_for, ask.scope, Some(&*token)).await?;
                continue;
            }
            let receipt = Receipt {
                at: call.now(),
                request: ask.attempted(),
                status,
                request_id: None,
            };
            if ask.effect.writes() {
                call.note_receipt(receipt);
            } else {
                call.note_read_receipt(receipt);
            }
            let judged = self.judge(call, ask, &answered);
            ask.effect.judged(call, &judged, fault::THROTTLED);
            return judged.inspect(|_| call.note_source(ask.service()));
        }
    }

    fn request(&self, ask: &Ask, url: &Url, token: &Arc<Token>) -> Answer<Request> {
        let mut headers = HeaderMap::new();
        let bearer = sensitive(&format!("Bearer {}", token.value.expose()));
        headers.insert(
            AUTHORIZATION,
            bearer.ok_or_else(|| {
                let detail = "the token cannot stand in a header; it was not sent";
                self.fault(ask, FaultClass::Transient, detail)
            })?,
        );
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let body = match (&ask.body, &ask.method) {
            (Some(body), _) => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                Some(Bytes::from(body.to_string()))
            }
            // Without a length, Google refuses what could have a body.
            (None, &Method::POST) => {
                headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
                Some(Bytes::new())
            }
            (None, _) => None,
        };
        Ok(Request {
            method: ask.method.clone(),
            url: url.clone(),
            headers,
            body,
        })
    }

    fn no_answer(&self, ask: &Ask, why: NoAnswer) -> Fault {
        let silence = ask.effect.silence();
        match why {
            NoAnswer::NotSent(why) => self.fault(ask, FaultClass::Transient, format!("{why}; it was not sent")),
            NoAnswer::Silence(why) if ask.effect.writes() => {
                self.fault(ask, silence, format!("{why}; whether it happened must be read"))
            }
            NoAnswer::Silence(why) => self.fault(ask, silence, format!("{why}; it is read again")),
            NoAnswer::TooLarge => self.fault(ask, silence, "the answer is larger than this client reads"),
        }
    }

    fn judge(&self, call: &Call, ask: &Ask, answered: &Answered) -> Answer<Reply> {
        let body = if answered.body.is_empty() {
            Some(Value::Null)
        } else {
            serde_json::from_slice(&answered.body).ok()
        };
        let now = call.now();
        let status = Some(answered.status.as_u16());
        if !answered.status.is_success() {
            let body = body.unwrap_or(Value::Null);
            let refusal = fault::of_answer(ask, answered.status, &answered.headers, &body, now);
            return Err(Fault {
                status,
                code: refusal.code,
                ..self.fault(ask, refusal.class, refusal.detail)
            });
        }
        let body = match body {
            Some(body) => body,
            // What was written is written; only who reads needs the body.
            None if ask.effect.writes() => Value::Null,
            None => {
                return Err(Fault {
                    status,
                    ..self.fault(ask, FaultClass::Transient, "the answer is not JSON; it is read again")
                });
            }
        };
        Ok(Reply {
            body,
            ahead_ms: header_date_ms(&answered.headers).map(|ms| ms - now.0),
        })
    }

    /// Everything that a listing has under this name, page by page. A cursor that
    /// comes back is an error, and so is a listing without an end.
    pub(super) async fn list(
        &self,
        call: &mut Call,
        ask: impl Fn(Path) -> Ask,
        path: Path,
        name: &str,
    ) -> Answer<Vec<Value>> {
        let mut found = Vec::new();
        let mut cursors: Vec<String> = Vec::new();
        for _ in 0..PAGES_MAX {
            let here = match cursors.last() {
                Some(cursor) => path.clone().with("pageToken", cursor),
                None => path.clone(),
            };
            let ask = ask(here);
            let mut body = self.send(call, &ask).await?.body;
            match body.get_mut(name).map(Value::take) {
                // Where there is none, Google leaves the list out.
                None | Some(Value::Null) => {}
                Some(Value::Array(items)) => found.extend(items),
                Some(_) => {
                    let detail = "the answer has something else where its list should be; it is read again";
                    return Err(self.fault(&ask, FaultClass::Transient, detail));
                }
            }
            match body["nextPageToken"].as_str().filter(|t| !t.is_empty()) {
                None => return Ok(found),
                Some(next) if cursors.iter().any(|c| c == next) => {
                    let detail = "the listing's pages go round in a circle; it is read again";
                    return Err(self.fault(&ask, FaultClass::Transient, detail));
                }
                Some(next) => cursors.push(next.to_owned()),
            }
        }
        let ask = ask(path);
        Err(self.fault(
            &ask,
            FaultClass::Unsupported,
            "the listing has more pages than are read; do this by hand, then waive this",
        ))
    }
}

/// A value that is an id, which Google writes as a text or as a number.
pub(super) fn id_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
