//! One request to a service desk, or to a wiki: leave to write, credential, send,
//! judge the answer, keep the receipt. What these differ in (where they are, how they
//! are signed in to, what a ticket or a page looks like) is theirs; that a request is
//! made and understood alike is here.
//!
//! Their own sentences go no further: they may name a person.

use crate::answered::{Effect, Refusal, clean_code, header_date_ms, named_id, retry_after_ms};
use crate::area::desk::NewFile;
use crate::client_credentials::Tokens;
use crate::http::{Answered, HttpClient, NoAnswer, Request, Shown, sensitive};
use crate::path::Path;
use crate::{Answer, Call, Finding, Severity};
use bytes::Bytes;
use offboard_domain::assignment::CLOCK_MARGIN_MS;
use offboard_domain::{Digest, Fault, FaultClass, ObjectId, Receipt, System, Timestamp};
use offboard_runtime::Secret;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use serde_json::Value;
use tokio::time::Instant;

/// What is asked about, for what a refusal of it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum About {
    /// The client company.
    Client,
    /// A list, or what a tenant's file names.
    List,
    /// Tickets: a new one, or one of them.
    Ticket,
    /// A ticket's notes.
    Note,
    /// A ticket's files.
    File,
    /// Pages of a wiki: a new one, or one of them.
    Page,
    /// A page's files.
    PageFile,
}

/// What is sent along.
#[derive(Debug, Clone)]
pub(crate) enum Sent {
    Nothing,
    Json(Value),
    /// Its media type, and the bytes.
    Bytes(String, Bytes),
}

/// A request to be made.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) path: Path,
    pub(crate) about: About,
    pub(crate) sent: Sent,
    pub(crate) effect: Effect,
}

impl Ask {
    pub(crate) fn get(path: Path, about: About) -> Self {
        Self {
            method: Method::GET,
            path,
            about,
            sent: Sent::Nothing,
            effect: Effect::Read,
        }
    }

    /// A query that is sent as a body, and changes nothing.
    pub(crate) fn query(path: Path, about: About, body: Value) -> Self {
        Self {
            method: Method::POST,
            sent: Sent::Json(body),
            ..Self::get(path, about)
        }
    }

    /// What changes something, and is harmless when repeated.
    pub(crate) fn write(method: Method, path: Path, about: About, body: Value) -> Self {
        Self {
            method,
            effect: Effect::Write,
            ..Self::query(path, about, body)
        }
    }

    /// The same, for a form.
    pub(crate) fn put_form(path: Path, about: About, (media_type, body): (String, Bytes)) -> Self {
        Self {
            method: Method::PUT,
            sent: Sent::Bytes(media_type, body),
            effect: Effect::Write,
            ..Self::get(path, about)
        }
    }

    /// What must not happen twice.
    pub(crate) fn once(path: Path, about: About, sent: Sent) -> Self {
        Self {
            method: Method::POST,
            path,
            about,
            sent,
            effect: Effect::Once,
        }
    }

    pub(crate) fn attempted(&self) -> String {
        format!("{} {}", self.method, self.path.shown())
    }
}

/// An answer that was not a refusal.
pub(crate) struct Reply {
    pub(crate) body: Value,
    /// How far the desk's clock is ahead of ours, in milliseconds, as far as a
    /// header in whole seconds can tell.
    pub(crate) ahead_ms: Option<i64>,
}

/// How a desk is signed in to.
pub(crate) enum SignIn {
    /// With a token that is asked for.
    Tokens(Box<Tokens>),
    /// With these headers, each time.
    Headers(Vec<(HeaderName, Secret)>),
}

/// What of a desk its refusals are told by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Desk {
    /// Whose service it is, for metrics.
    pub(crate) vendor: &'static str,
    /// What people call it.
    pub(crate) title: &'static str,
    /// The media type that is asked for.
    pub(crate) accept: &'static str,
    /// Where the rights are given.
    pub(crate) rights: &'static str,
    /// The key of the client company in the tenant's file.
    pub(crate) client_key: &'static str,
}

/// The requests to one desk.
pub(crate) struct Wire {
    pub(crate) system: System,
    pub(crate) desk: Desk,
    http: HttpClient,
    sign_in: SignIn,
}

impl Wire {
    pub(crate) fn new(system: System, desk: Desk, http: &HttpClient, sign_in: SignIn) -> Self {
        Self {
            system,
            desk,
            http: http.clone(),
            sign_in,
        }
    }

    /// A fault about this request that no answer caused.
    pub(crate) fn fault(&self, ask: &Ask, class: FaultClass, detail: impl Into<String>) -> Fault {
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

    /// An answer that has another form than it should.
    pub(crate) fn misshapen(&self, ask: &Ask, wanted: &str) -> Fault {
        let title = self.desk.title;
        let detail = format!("{title} answered with something else than {wanted}; if it stays so, tell its vendor");
        self.fault(ask, FaultClass::Transient, detail)
    }

    /// Makes one request below this base address and judges its answer. A token
    /// that is refused is asked for once more: it was refused before anything was
    /// done.
    pub(crate) async fn send(&self, call: &mut Call, base: &str, ask: &Ask) -> Answer<Reply> {
        let rejected = |detail: &str| self.fault(ask, FaultClass::Rejected, detail);
        if !ask.path.is_sound() {
            return Err(rejected("an id in it is empty or consists of dots; it was not sent"));
        }
        let url = Url::parse(&format!("{base}{}", ask.path.sent()))
            .map_err(|_| rejected("the address cannot be built; it was not sent"))?;
        if ask.effect.writes() && !call.may_write() {
            return Err(rejected(
                "it would write, and this attempt may only read; it was not sent",
            ));
        }
        let mut token = self.token(call.deadline(), None).await?;
        let mut renewed = false;
        loop {
            let request = self.request(ask, &url, token.as_ref())?;
            if ask.effect.writes() {
                call.note_write();
            }
            let shown = Shown {
                vendor: self.desk.vendor,
                service: "api",
                template: ask.path.shown(),
                named: None,
            };
            let answered = self.http.send(request, call.deadline(), shown).await;
            if matches!(answered, Err(NoAnswer::NotSent(_))) {
                ask.effect.refused(call);
            }
            let answered = answered.map_err(|why| self.no_answer(ask, why))?;
            let request_id = named_id(&answered.headers, &["x-request-id", "api-request-id", "request-id"]);
            tracing::debug!(
                system = %self.system,
                attempted = %ask.attempted(),
                status = answered.status.as_u16(),
                request_id = request_id.as_deref(),
                "answered"
            );
            if answered.status == StatusCode::UNAUTHORIZED && token.is_some() && !renewed {
                renewed = true;
                ask.effect.refused(call);
                token = self.token(call.deadline(), token.as_ref()).await?;
                continue;
            }
            let receipt = Receipt {
                at: call.now(),
                request: ask.attempted(),
                status: answered.status.as_u16(),
                request_id: request_id.clone(),
            };
            if ask.effect.writes() {
                call.note_receipt(receipt);
            } else {
                call.note_read_receipt(receipt);
            }
            let judged = self.judge(call, ask, &answered, request_id);
            ask.effect.judged(call, &judged, &[]);
            return judged.inspect(|_| call.note_source(self.desk.vendor));
        }
    }

    async fn token(&self, deadline: Instant, refused: Option<&Secret>) -> Answer<Option<Secret>> {
        match &self.sign_in {
            SignIn::Tokens(tokens) => tokens.get(deadline, refused).await.map(Some),
            SignIn::Headers(_) => Ok(None),
        }
    }

    fn request(&self, ask: &Ask, url: &Url, token: Option<&Secret>) -> Answer<Request> {
        let unusable = || {
            let detail = "the credential cannot stand in a header; see how it is written in its file. It was not sent";
            self.fault(ask, FaultClass::Denied, detail)
        };
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            let bearer = sensitive(&format!("Bearer {}", token.expose().trim())).ok_or_else(unusable)?;
            headers.insert(AUTHORIZATION, bearer);
        }
        if let SignIn::Headers(own) = &self.sign_in {
            for (name, value) in own {
                headers.insert(name, sensitive(value.expose().trim()).ok_or_else(unusable)?);
            }
        }
        headers.insert(ACCEPT, HeaderValue::from_static(self.desk.accept));
        let body = match &ask.sent {
            Sent::Nothing => None,
            Sent::Json(body) => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                Some(Bytes::from(body.to_string()))
            }
            Sent::Bytes(media_type, bytes) => {
                let media_type = HeaderValue::from_str(media_type).map_err(|_| unusable())?;
                headers.insert(CONTENT_TYPE, media_type);
                Some(bytes.clone())
            }
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

    fn judge(&self, call: &Call, ask: &Ask, answered: &Answered, request_id: Option<String>) -> Answer<Reply> {
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
        if !answered.status.is_success() {
            let body = body.unwrap_or(Value::Null);
            let refusal = self.refusal(ask, answered.status, &answered.headers, &body, call.now());
            return Err(of_answer(refusal.class, refusal.code, refusal.detail));
        }
        let body = match body {
            Some(body) => body,
            // What was written is written; only who reads needs the body.
            None if ask.effect.writes() => Value::Null,
            None => {
                let detail = format!(
                    "the answer is not JSON; see that the address is that of {}'s API",
                    self.desk.title
                );
                return Err(of_answer(FaultClass::Transient, None, detail));
            }
        };
        Ok(Reply {
            body,
            ahead_ms: header_date_ms(&answered.headers).map(|ms| ms - call.now().0),
        })
    }

    /// What a refusal means: the one place where a status becomes a fault class,
    /// with what to change at the desk or in the tenant's file.
    fn refusal(&self, ask: &Ask, status: StatusCode, headers: &HeaderMap, body: &Value, now: Timestamp) -> Refusal {
        let Desk {
            title,
            rights,
            client_key,
            ..
        } = self.desk;
        let said = [
            &body["code"],
            &body["error"],
            &body["error_code"],
            &body["errors"][0]["code"],
        ];
        let code = said.into_iter().find_map(|c| c.as_str().and_then(clean_code));
        let throttled = FaultClass::Throttled {
            retry_after_ms: retry_after_ms(headers, now),
        };
        let (class, detail) = match (status.as_u16(), ask.about) {
            (401, _) => (
                FaultClass::Denied,
                format!("{title} does not accept the credential; see that it is still there, then retry"),
            ),
            (403, About::Client) => (
                FaultClass::Denied,
                format!("the credential may not read clients; {rights}"),
            ),
            (403, About::Page | About::PageFile) => (
                FaultClass::Denied,
                format!("the credential may not do this in the space; {rights}"),
            ),
            // Its parent was read just now: what may not be done is not found.
            (404, About::Page) if ask.method == Method::POST => (
                FaultClass::Denied,
                format!("the credential may not add pages below the one that {client_key} names; {rights}"),
            ),
            // The page was read just now, and a file that is too large is answered so.
            (404, About::PageFile) if ask.effect.writes() => (
                FaultClass::Rejected,
                format!(
                    "{title} did not take the file: it is larger than the site's limit, or the page is gone, or the credential may not add files to it; raise the limit, or attach it by hand and waive this, or {rights}"
                ),
            ),
            (404 | 410, About::Page | About::PageFile) => (
                FaultClass::Absent,
                format!("{title} has no page of that id, or the credential may not do this to it; {rights}"),
            ),
            (400 | 409, About::Page) if ask.effect.writes() && is_taken(body) => (
                FaultClass::Transient,
                format!(
                    "{title} has a page of this title and does not list it yet; it is looked for again. If it stays so, that page is in the trash or in the archive, or restricted so that the credential does not see it: restore it, or let the credential see it"
                ),
            ),
            (409, About::Page | About::PageFile) => (
                FaultClass::Transient,
                "somebody changes the page at the same time; it is read and tried again".to_owned(),
            ),
            (400, About::Page) if ask.effect.writes() => (
                FaultClass::Rejected,
                format!(
                    "{title} did not take the page: see that {client_key} is a page of the space that space_id names; `offboard doctor` looks"
                ),
            ),
            (403, _) if ask.effect.writes() => (
                FaultClass::Denied,
                format!("the credential may not add to tickets; {rights}"),
            ),
            (403, _) => (
                FaultClass::Denied,
                format!("the credential may not read this; {rights}"),
            ),
            (404 | 410, About::Ticket | About::Note | About::File) => {
                (FaultClass::Absent, format!("{title} has no ticket of that id"))
            }
            (404, About::Client) => (
                FaultClass::Rejected,
                format!("{title} has no client of that id, or the credential does not see it; correct {client_key}"),
            ),
            (404, About::List) => (
                FaultClass::Unsupported,
                format!("{title} knows no such list; see that the address is that of its API"),
            ),
            (409, _) => (
                FaultClass::Transient,
                "somebody changes the ticket at the same time; it is tried again".to_owned(),
            ),
            (413, _) => (
                FaultClass::Rejected,
                format!("the file is larger than {title} takes; attach it by hand, then waive this"),
            ),
            (429, _) => (throttled, format!("{title} is to be asked less often")),
            // After an order it may come from a gateway whose server has the request.
            (503, _) if ask.effect != Effect::Once && retry_after_ms(headers, now).is_some() => {
                (throttled, format!("{title} is busy, and says when to come again"))
            }
            (500.., _) => (FaultClass::Transient, format!("{title} failed; it is tried again")),
            (408, _) => (
                FaultClass::Transient,
                format!("{title} waited too long for the request"),
            ),
            (300..=399, _) => (
                FaultClass::Rejected,
                format!("{title} is at another address; correct it in the tenant's file"),
            ),
            (_, About::Note | About::File) if ask.effect.writes() => (
                FaultClass::Rejected,
                format!(
                    "{title} did not take it. A closed ticket takes nothing more: open it again there and retry; else see what the ticket's type and the tenant's file ask for"
                ),
            ),
            (_, About::Ticket) if ask.effect.writes() => (
                FaultClass::Rejected,
                format!(
                    "{title} did not take the ticket: a number in the tenant's file is not one of its own, or a field that its type asks for is missing; `offboard doctor` says which numbers it knows"
                ),
            ),
            _ => (FaultClass::Rejected, format!("{title} did not accept the request")),
        };
        Refusal { class, code, detail }
    }
}

/// Whether a page was refused because its title is another's: a space has each once.
fn is_taken(body: &Value) -> bool {
    let said = [
        &body["errors"][0]["title"],
        &body["errors"][0]["detail"],
        &body["message"],
    ];
    said.into_iter()
        .filter_map(Value::as_str)
        .any(|text| text.contains("already exists"))
}

/// A form of several parts, and its media type. What separates them is made from
/// what is in the file, so that it cannot be in it by chance.
pub(crate) fn form(fields: &[(&str, &str)], file: &NewFile) -> (String, Bytes) {
    // At most 70 characters (RFC 2046 section 5.1.1).
    let digest = Digest::of(&file.bytes).to_string();
    let boundary = format!("offboard-{}", digest.get(..32).unwrap_or(&digest));
    let mut body = Vec::with_capacity(file.bytes.len() + 1_024);
    for (name, value) in fields {
        let part = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend_from_slice(part.as_bytes());
    }
    let (name, media_type) = (&file.name, file.media_type);
    let head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: {media_type}\r\n\r\n"
    );
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(&file.bytes);
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={boundary}"), Bytes::from(body))
}

/// A number, or a text that is one.
pub(crate) fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// An id out of an answer.
pub(crate) fn id(value: &Value) -> Option<ObjectId> {
    number(value).filter(|n| *n > 0).map(|n| ObjectId(n.to_string()))
}

/// A fault as a finding: its detail says what to do.
pub(crate) fn failed(what: &str, fault: Fault) -> Finding {
    let status = fault.status.map(|s| format!(" (HTTP {s})")).unwrap_or_default();
    Finding::new(
        Severity::Problem,
        format!("{what}: {} fails{status}", fault.attempted),
        fault.detail,
    )
}

/// What is as it should be.
pub(crate) fn fine(what: impl Into<String>) -> Finding {
    Finding::new(Severity::Fine, what, "")
}

/// What is not.
pub(crate) fn problem(what: impl Into<String>, how_to_mend: impl Into<String>) -> Finding {
    Finding::new(Severity::Problem, what, how_to_mend)
}

/// Whether the clocks agree.
pub(crate) fn clock(title: &str, ahead_ms: Option<i64>) -> Option<Finding> {
    let ahead_ms = ahead_ms?.abs();
    Some(if ahead_ms > CLOCK_MARGIN_MS {
        problem(
            format!(
                "this machine's clock differs from {title}'s by {} seconds",
                ahead_ms / 1_000
            ),
            "set this machine's clock (timedatectl set-ntp true)",
        )
    } else {
        fine(format!("this machine's clock agrees with {title}'s"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_separates_the_parts_is_in_none_of_them() {
        let file = NewFile {
            name: "a.json".to_owned(),
            media_type: "application/json",
            bytes: Bytes::from_static(b"--offboard-\r\n--"),
        };
        let fields = ["a", "b", "c", "d", "e"].map(|name| (name, "value"));
        let (media_type, body) = form(&fields, &file);
        let boundary = media_type.split_once("boundary=").unwrap().1;
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert_eq!(body.matches(boundary).count(), 7);
        assert!(body.ends_with(&format!("\r\n--{boundary}--\r\n")));
    }

    #[test]
    fn a_title_that_is_taken_is_known_by_what_is_said_of_it() {
        let v2 =
            serde_json::json!({"errors": [{"code": "X", "title": "A page with this title already exists: canary"}]});
        let v1 = serde_json::json!({"message": "A page with this title already exists"});
        assert!(is_taken(&v2) && is_taken(&v1));
        assert!(!is_taken(&serde_json::json!({"errors": []})) && !is_taken(&Value::Null));
    }
}
