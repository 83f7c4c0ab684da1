//! Requests of one tenant: token, leave to write, send, judge the answer, keep
//! the receipt. Everything that this connector sends goes through [`Api::send`].

use super::fault::{self, Effect, Refusal};
use super::path::{Deletable, Path};
use super::permission::Need;
use super::settings::{Bases, GraphSettings, OpenError, check_directory, resource_of};
use super::token::{Token, Tokens};
use super::{exchange, id};
use crate::answered::named_id;
use crate::http::{Answered, HttpClient, NoAnswer, Request, Shown, Streamed, sensitive};
use crate::{Answer, Call};
use bytes::Bytes;
use offboard_domain::{Fault, FaultClass, Lane, Receipt, System, Timestamp};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

const GRAPH_RESOURCE: &str = "https://graph.microsoft.com";
const EXCHANGE_RESOURCE: &str = "https://outlook.office365.com";
/// The most pages that one listing may have.
pub(crate) const PAGES_MAX: usize = 400;

/// Which interface a request goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Service {
    Graph,
    Exchange,
    /// A SharePoint site, by its own address.
    Site(Url),
}

impl Service {
    pub(crate) fn source(&self) -> &'static str {
        match self {
            Self::Graph => "graph",
            Self::Exchange => "exchange",
            Self::Site(_) => "sharepoint",
        }
    }
}

/// A request to be made. Its body may hold a password, so it cannot be printed.
#[derive(Clone)]
pub(crate) struct Ask {
    pub(crate) service: Service,
    pub(crate) method: Method,
    pub(crate) path: Path,
    /// What is shown in place of method and path, such as a cmdlet's name.
    pub(crate) named: Option<&'static str>,
    pub(crate) effect: Effect,
    pub(crate) need: Need,
    pub(crate) body: Option<Value>,
    pub(crate) headers: Vec<(HeaderName, String)>,
    /// Whether Outlook answers it: such parts of a batch run four at a time.
    pub(crate) outlook: bool,
    /// A following page, in place of the path.
    pub(crate) page: Option<Url>,
}

impl Ask {
    fn new(method: Method, path: Path, effect: Effect, need: Need, body: Option<Value>) -> Self {
        Self {
            service: Service::Graph,
            method,
            path,
            named: None,
            effect,
            need,
            body,
            headers: Vec::new(),
            outlook: false,
            page: None,
        }
    }

    pub(crate) fn get(path: Path, need: Need) -> Self {
        Self::new(Method::GET, path, Effect::Read, need, None)
    }

    pub(crate) fn post(path: Path, need: Need, body: Option<Value>) -> Self {
        Self::new(Method::POST, path, Effect::Write, need, body)
    }

    pub(crate) fn patch(path: Path, need: Need, body: Value) -> Self {
        Self::new(Method::PATCH, path, Effect::Write, need, Some(body))
    }

    /// The only way to delete anything; none when Graph has none for it.
    pub(crate) fn delete(what: &Deletable, need: Need) -> Option<Self> {
        what.path()
            .map(|path| Self::new(Method::DELETE, path, Effect::Write, need, None))
    }

    pub(crate) fn to(mut self, service: Service) -> Self {
        self.service = service;
        self
    }

    pub(crate) fn once(mut self) -> Self {
        self.effect = Effect::Once;
        self
    }

    /// Says that Outlook answers, which then gives ids that survive a move.
    pub(crate) fn outlook(self) -> Self {
        self.outlook_in("UTC")
    }

    /// The same, with times of day as they are in this time zone.
    pub(crate) fn outlook_in(mut self, zone: &str) -> Self {
        self.outlook = true;
        self.header(
            "prefer",
            &format!("IdType=\"ImmutableId\", outlook.timezone=\"{zone}\""),
        )
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((HeaderName::from_static(name), value.to_owned()));
        self
    }

    fn shown(&self) -> Shown<'_> {
        Shown {
            vendor: super::VENDOR,
            service: self.service.source(),
            template: self.path.shown(),
            named: self.named,
        }
    }

    pub(crate) fn attempted(&self) -> String {
        match self.named {
            Some(name) => name.to_owned(),
            None => format!("{} {}", self.method, self.path.shown()),
        }
    }
}

/// An answer that was not a refusal.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) body: Value,
    /// How far the vendor's clock is ahead of ours, in milliseconds, as far as
    /// a header in whole seconds can tell.
    pub(crate) ahead_ms: Option<i64>,
}

/// The requests of one tenant.
pub(crate) struct Api {
    pub(crate) system: System,
    /// The directory's id; empty until a token has said it, where the configuration
    /// has a domain.
    tenant: OnceLock<String>,
    /// The application that it signs in as.
    pub(crate) client_id: String,
    http: HttpClient,
    bases: Bases,
    pub(crate) tokens: Tokens,
    graph_resource: String,
    exchange_resource: String,
}

impl Api {
    pub(crate) fn new(http: HttpClient, settings: &GraphSettings) -> Result<Self, OpenError> {
        check_directory(&settings.directory)?;
        let bases = Bases::of(&settings.endpoints)?;
        Ok(Self {
            system: settings.system.clone(),
            tenant: match id::is_guid(&settings.directory) {
                true => OnceLock::from(settings.directory.clone()),
                false => OnceLock::new(),
            },
            client_id: settings.client_id.clone(),
            tokens: Tokens::new(http.clone(), settings, &bases)?,
            http,
            graph_resource: resource_of(&bases.graph, GRAPH_RESOURCE),
            exchange_resource: resource_of(&bases.exchange, EXCHANGE_RESOURCE),
            bases,
        })
    }

    /// The address of a directory object, for bodies that refer to one.
    pub(crate) fn object_url(&self, path: &Path) -> String {
        // A reference names the public service, whatever gateway it goes through.
        format!("{}/v1.0{}", self.graph_resource, path.sent())
    }

    pub(crate) fn resource(&self, service: &Service) -> String {
        match service {
            Service::Graph => self.graph_resource.clone(),
            Service::Exchange => self.exchange_resource.clone(),
            Service::Site(site) => site.origin().ascii_serialization(),
        }
    }

    fn base(&self, service: &Service) -> String {
        let trim = |url: &Url| url.as_str().trim_end_matches('/').to_owned();
        match service {
            Service::Graph => format!("{}/v1.0", trim(&self.bases.graph)),
            Service::Exchange => format!("{}/adminapi/beta/{}", trim(&self.bases.exchange), self.tenant()),
            Service::Site(site) => match &self.bases.sharepoint {
                Some(base) => format!("{}{}", trim(base), site.path().trim_end_matches('/')),
                None => trim(site),
            },
        }
    }

    fn tenant(&self) -> &str {
        self.tenant.get().map_or("", String::as_str)
    }

    /// Exchange's addresses take the directory's id and none of its domains. Where
    /// the configuration has a domain, Exchange's own token says the id. It is only
    /// read, not believed: with a wrong one Exchange refuses the token.
    pub(crate) async fn learn_tenant(&self, call: &Call) -> Answer<()> {
        if self.tenant.get().is_some() {
            return Ok(());
        }
        let token = self.token(call, &Service::Exchange).await?;
        let Some(tenant) = &token.tenant else {
            return Err(self.fault_in(
                "read the directory's id from a token",
                FaultClass::Denied,
                "Exchange takes the directory's id alone, and its token does not say it; put the id (a GUID) in place of the domain into `directory`",
            ));
        };
        self.tenant.get_or_init(|| tenant.clone());
        Ok(())
    }

    /// The address that stands in place of every site's own host, if one is
    /// configured.
    pub(crate) fn sharepoint_gateway(&self) -> Option<&Url> {
        self.bases.sharepoint.as_ref()
    }

    /// Whether anybody answers there, whatever he says. Nothing is shown to him.
    pub(crate) async fn reach(&self, call: &Call, url: &Url) -> Result<(), &'static str> {
        let request = Request {
            method: Method::GET,
            url: url.clone(),
            headers: HeaderMap::new(),
            body: None,
        };
        let shown = Shown {
            vendor: super::VENDOR,
            service: "reach",
            template: "/",
            named: None,
        };
        match self.http.send(request, call.deadline(), shown).await {
            Ok(_) | Err(NoAnswer::TooLarge) => Ok(()),
            Err(NoAnswer::NotSent(why) | NoAnswer::Silence(why)) => Err(why),
        }
    }

    /// Exchange's base, for the parts of its batches.
    pub(crate) fn exchange_base(&self) -> String {
        self.base(&Service::Exchange)
    }

    fn url(&self, ask: &Ask) -> Answer<Url> {
        match &ask.page {
            Some(page) => Ok(page.clone()),
            None if ask.path.is_sound() => Url::parse(&format!("{}{}", self.base(&ask.service), ask.path.sent()))
                .map_err(|_| self.fault(ask, FaultClass::Rejected, "the address cannot be built")),
            None => Err(self.fault(
                ask,
                FaultClass::Rejected,
                "an id in it is empty or consists of dots; it was not sent",
            )),
        }
    }

    /// A fault about this request that no answer caused.
    pub(crate) fn fault(&self, ask: &Ask, class: FaultClass, detail: impl Into<String>) -> Fault {
        self.fault_in(ask.attempted(), class, detail)
    }

    pub(crate) fn fault_in(&self, attempted: impl Into<String>, class: FaultClass, detail: impl Into<String>) -> Fault {
        Fault {
            class,
            system: self.system.clone(),
            attempted: attempted.into(),
            status: None,
            code: None,
            detail: detail.into(),
            request_id: None,
        }
    }

    /// Makes one request and judges its answer. A token that is refused is
    /// renewed once.
    pub(crate) async fn send(&self, call: &mut Call, ask: &Ask) -> Answer<Reply> {
        self.send_with(call, ask).await.map(|(reply, _)| reply)
    }

    /// The same, with the token that it was sent with: what the parts of a batch are
    /// judged by.
    pub(crate) async fn send_with(&self, call: &mut Call, ask: &Ask) -> Answer<(Reply, Arc<Token>)> {
        if ask.effect.writes() && !call.may_write() {
            return Err(self.fault(
                ask,
                FaultClass::Rejected,
                "it would write, and this attempt may only read; it was not sent",
            ));
        }
        if ask.service == Service::Exchange {
            self.learn_tenant(call).await?;
        }
        let url = self.url(ask)?;
        let resource = self.resource(&ask.service);
        let mut token = self.tokens.get(call, &resource, None).await?;
        let mut renewed = false;
        loop {
            let request_id = id::request_guid(call.mark());
            let request = self.request(call, ask, &url, &token, &request_id)?;
            if ask.effect.writes() {
                call.note_write();
            }
            let answered = match self.http.send(request, call.deadline(), ask.shown()).await {
                Ok(answered) => answered,
                Err(why) => {
                    if matches!(why, NoAnswer::NotSent(_)) {
                        ask.effect.refused(call);
                    }
                    return Err(Fault {
                        request_id: Some(request_id),
                        ..self.no_answer(ask, why)
                    });
                }
            };
            let vendor_id = self::request_id(&answered.headers).or(Some(request_id));
            tracing::debug!(
                system = %self.system,
                attempted = %ask.attempted(),
                status = answered.status.as_u16(),
                request_id = vendor_id.as_deref(),
                "answered"
            );
            if answered.status == StatusCode::UNAUTHORIZED && !renewed {
                renewed = true;
                ask.effect.refused(call);
                token = self.tokens.get(call, &resource, Some(&token)).await?;
                continue;
            }
            let now = call.now();
            self.keep(call, ask, &answered, vendor_id.clone(), now);
            let judged = self.judge(ask, &answered, &token, vendor_id, now);
            ask.effect.judged(call, &judged, fault::QUOTA);
            return judged.map(|reply| {
                call.note_source(ask.service.source());
                (reply, token)
            });
        }
    }

    fn keep(&self, call: &mut Call, ask: &Ask, answered: &Answered, request_id: Option<String>, at: Timestamp) {
        let receipt = Receipt {
            at,
            request: ask.attempted(),
            status: answered.status.as_u16(),
            request_id,
        };
        if ask.effect.writes() {
            call.note_receipt(receipt);
        } else {
            call.note_read_receipt(receipt);
        }
    }

    fn request(&self, call: &Call, ask: &Ask, url: &Url, token: &Token, request_id: &str) -> Answer<Request> {
        let mut headers = HeaderMap::new();
        let unusable = || self.fault(ask, FaultClass::Rejected, "a header cannot be built; it was not sent");
        let bearer = sensitive(&format!("Bearer {}", token.value.expose())).ok_or_else(unusable)?;
        headers.insert(AUTHORIZATION, bearer);
        headers.insert(
            ACCEPT,
            HeaderValue::from_static(match ask.service {
                Service::Site(_) => "application/json;odata=nometadata",
                Service::Graph | Service::Exchange => "application/json",
            }),
        );
        headers.insert(
            "client-request-id",
            HeaderValue::from_str(request_id).map_err(|_| unusable())?,
        );
        if ask.service == Service::Exchange {
            let anchor = HeaderValue::from_str(&exchange::anchor(self.tenant())).map_err(|_| unusable())?;
            headers.insert("x-anchormailbox", anchor);
        }
        if ask.service == Service::Graph && call.lane() == Lane::Urgent {
            headers.insert("x-ms-throttle-priority", HeaderValue::from_static("high"));
        }
        for (name, value) in &ask.headers {
            headers.insert(name.clone(), HeaderValue::from_str(value).map_err(|_| unusable())?);
        }
        let body = match &ask.body {
            Some(body) => {
                headers
                    .entry(CONTENT_TYPE)
                    .or_insert(HeaderValue::from_static("application/json; charset=utf-8"));
                Some(Bytes::from(body.to_string()))
            }
            // Some servers refuse a POST without a length.
            None if ask.effect.writes() && ask.method == Method::POST => Some(Bytes::new()),
            None => None,
        };
        Ok(Request {
            method: ask.method.clone(),
            url: url.clone(),
            headers,
            body,
        })
    }

    fn no_answer(&self, ask: &Ask, why: NoAnswer) -> Fault {
        match why {
            NoAnswer::NotSent(why) => self.fault(ask, FaultClass::Transient, format!("{why}; it was not sent")),
            NoAnswer::Silence(why) => {
                let then = match ask.effect {
                    Effect::Read => "it is read again",
                    Effect::Write | Effect::Once => "whether it happened must be read",
                };
                self.fault(ask, ask.effect.silence(), format!("{why}; {then}"))
            }
            NoAnswer::TooLarge => self.fault(ask, ask.effect.silence(), "the answer is larger than this client reads"),
        }
    }

    fn judge(
        &self,
        ask: &Ask,
        answered: &Answered,
        token: &Token,
        request_id: Option<String>,
        now: Timestamp,
    ) -> Answer<Reply> {
        let body = if answered.body.is_empty() {
            Some(Value::Null)
        } else {
            serde_json::from_slice(&answered.body).ok()
        };
        let fault_of = |refusal: Refusal| Fault {
            status: Some(answered.status.as_u16()),
            code: refusal.code,
            request_id: request_id.clone(),
            ..self.fault(ask, refusal.class, refusal.detail)
        };
        if answered.status.is_success() {
            let Some(body) = body else {
                // What was written is written; only who reads needs the body.
                return match ask.effect {
                    Effect::Read => Err(fault_of(Refusal {
                        class: FaultClass::Transient,
                        code: None,
                        detail: "the answer is not JSON; it is read again".into(),
                    })),
                    Effect::Write | Effect::Once => Ok(Reply {
                        body: Value::Null,
                        ahead_ms: None,
                    }),
                };
            };
            let ahead_ms = fault::header_date_ms(&answered.headers).map(|ms| ms - now.0);
            return Ok(Reply { body, ahead_ms });
        }
        let body = body.unwrap_or(Value::Null);
        let granted = token
            .roles
            .as_ref()
            .map(|roles| ask.need.any.iter().any(|p| roles.contains(*p)));
        let refusal = match ask.service {
            Service::Exchange => exchange::refusal(
                answered.status,
                &answered.headers,
                &body,
                now,
                ask.effect,
                ask.need,
                granted,
            ),
            Service::Graph | Service::Site(_) => fault::of_answer(
                answered.status,
                &answered.headers,
                &body,
                now,
                ask.effect,
                ask.need,
                granted,
            ),
        };
        Err(fault_of(refusal))
    }

    /// Reads a listing to its last page.
    pub(crate) async fn list(&self, call: &mut Call, ask: Ask) -> Answer<Vec<Value>> {
        let mut ask = ask;
        let mut found = Vec::new();
        let mut seen = BTreeSet::new();
        for _ in 0..PAGES_MAX {
            let mut body = self.send(call, &ask).await?.body;
            match body["value"].take() {
                Value::Array(values) => found.extend(values),
                _ => return Err(self.fault(&ask, FaultClass::Transient, "the answer is no list; it is read again")),
            }
            let Some(link) = body["@odata.nextLink"]
                .as_str()
                .or_else(|| body["odata.nextLink"].as_str())
            else {
                return Ok(found);
            };
            let page = self.next_page(&ask, link)?;
            if !seen.insert(page.as_str().to_owned()) {
                return Err(self.fault(
                    &ask,
                    FaultClass::Transient,
                    "the listing goes round in a circle; it is read again",
                ));
            }
            ask.page = Some(page);
        }
        Err(self.fault(
            &ask,
            FaultClass::Unsupported,
            format!("the listing has more than {PAGES_MAX} pages"),
        ))
    }

    /// A link to a following page, followed only within the configured host.
    pub(crate) fn next_page(&self, ask: &Ask, link: &str) -> Answer<Url> {
        let base = Url::parse(&self.base(&ask.service)).ok();
        match (Url::parse(link), base) {
            (Ok(page), Some(base)) if page.origin() == base.origin() && page.username().is_empty() => Ok(page),
            _ => Err(self.fault(
                ask,
                FaultClass::Rejected,
                "its next page is on another host, where the token is not sent",
            )),
        }
    }

    /// A token for this resource, as a check wants to see it.
    pub(crate) async fn token(&self, call: &Call, service: &Service) -> Answer<Arc<Token>> {
        self.tokens.get(call, &self.resource(service), None).await
    }

    /// The token anew, when this one was refused.
    pub(crate) async fn renewed(&self, call: &Call, service: &Service, refused: &Arc<Token>) -> Answer<Arc<Token>> {
        self.tokens.get(call, &self.resource(service), Some(refused)).await
    }

    /// Sends a request that reads, and answers as soon as the answer begins:
    /// its body is too large to be held. With the vendor's id of the request.
    pub(crate) async fn open(&self, call: &Call, ask: &Ask, token: &Token) -> Answer<(Streamed, Option<String>)> {
        let url = self.url(ask)?;
        let own_id = id::request_guid(call.mark());
        let request = self.request(call, ask, &url, token, &own_id)?;
        match self.http.open(request, call.deadline(), ask.shown()).await {
            Ok(streamed) => {
                let request_id = request_id(&streamed.headers).or(Some(own_id));
                Ok((streamed, request_id))
            }
            Err(why) => Err(Fault {
                request_id: Some(own_id),
                ..self.no_answer(ask, why)
            }),
        }
    }

    /// What a refusal means whose answer was opened.
    pub(crate) fn refused(&self, ask: &Ask, streamed: Streamed, token: &Token, now: Timestamp) -> Fault {
        let request_id = request_id(&streamed.headers);
        let answered = Answered {
            status: streamed.status,
            headers: streamed.headers,
            body: streamed.head,
        };
        match self.judge(ask, &answered, token, request_id, now) {
            Err(fault) => fault,
            Ok(_) => self.fault(ask, FaultClass::Transient, "the answer is no message; it is read again"),
        }
    }

    /// Judges one part of a batch, as if it had been sent by itself.
    pub(crate) fn judge_part(
        &self,
        ask: &Ask,
        status: u16,
        headers: HeaderMap,
        body: Value,
        roles: &Token,
        now: Timestamp,
    ) -> Answer<Reply> {
        let Ok(status) = StatusCode::from_u16(status) else {
            return Err(self.fault(ask, ask.effect.silence(), "its part of the batch has no status"));
        };
        let request_id = request_id(&headers);
        let body = if body.is_null() {
            Bytes::new()
        } else {
            Bytes::from(body.to_string())
        };
        self.judge(ask, &Answered { status, headers, body }, roles, request_id, now)
    }
}

/// The vendor's id of the request.
pub(crate) fn request_id(headers: &HeaderMap) -> Option<String> {
    named_id(headers, &["request-id", "x-ms-request-id", "sprequestguid"])
}
