//! The one HTTP client, and one request by it: bounded in time and size, and
//! exact about what is known when no answer comes.

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use offboard_runtime::telemetry::{metrics, trace};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The longest that one request may take, whatever time the call has left; sending what
/// it carries comes on top.
const REQUEST_MAX: Duration = Duration::from_secs(60);
/// A line over which files can be sent at all carries so many bytes in a second.
const SLOWEST_BYTES_PER_S: u64 = 256 * 1024;
/// The longest that a connection may take to be made.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// The largest answer that is read. Pages are far smaller.
pub(crate) const ANSWER_MAX_BYTES: usize = 16 * 1024 * 1024;

/// An HTTP client, to be shared by every connector of the process: TLS by
/// rustls, no redirects, no proxy from the environment.
#[derive(Clone)]
pub struct HttpClient(Way);

/// Why the HTTP client cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("failed to set up the HTTP client: {0}")]
pub struct HttpError(String);

#[derive(Clone)]
enum Way {
    Network(reqwest::Client),
    Carried(Arc<dyn Carrier>),
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Way::Network(_) => "HttpClient(network)",
            Way::Carried(_) => "HttpClient(carried)",
        })
    }
}

/// Carries requests in place of the network: for a process that holds the
/// vendor itself, as a simulation on one thread does.
#[async_trait]
pub trait Carrier: Send + Sync {
    /// Carries a request there and the answer back; none: it was sent, and
    /// silence followed.
    async fn carry(&self, request: CarriedRequest) -> Option<CarriedAnswer>;
}

/// A request that is carried, complete. It holds secrets: it must not be printed.
pub struct CarriedRequest {
    /// `GET`, `POST`, …
    pub method: String,
    /// The whole address.
    pub url: Url,
    /// Headers by lower-case name.
    pub headers: Vec<(String, String)>,
    /// The body; empty if there is none.
    pub body: Bytes,
}

/// An answer that was carried back, whole.
pub struct CarriedAnswer {
    /// The HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl HttpClient {
    /// Sets the client up.
    ///
    /// # Errors
    /// [`HttpError`] when TLS cannot be set up.
    pub fn new() -> Result<Self, HttpError> {
        Self::built(Vec::new())
    }

    /// A client that trusts these authorities (PEM) besides those that this
    /// machine trusts.
    ///
    /// # Errors
    /// [`HttpError`] when they are no certificates, or TLS cannot be set up.
    pub fn trusting(authorities_pem: &[u8]) -> Result<Self, HttpError> {
        let authorities = reqwest::Certificate::from_pem_bundle(authorities_pem).map_err(failed)?;
        if authorities.is_empty() {
            return Err(HttpError("the authority's file holds no certificate in PEM".to_owned()));
        }
        Self::built(authorities)
    }

    fn built(authorities: Vec<reqwest::Certificate>) -> Result<Self, HttpError> {
        // Another part of the process may have installed one; either will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_MAX)
            .referer(false)
            .user_agent(concat!("offboard/", env!("CARGO_PKG_VERSION")));
        if !authorities.is_empty() {
            builder = builder.tls_certs_merge(authorities);
        }
        let client = builder.build().map_err(failed)?;
        Ok(Self(Way::Network(client)))
    }
}

fn failed(e: reqwest::Error) -> HttpError {
    HttpError(e.without_url().to_string())
}

/// A base address that a credential may be sent to: https, or this machine itself.
pub(crate) fn base_address(given: &str) -> Result<Url, &'static str> {
    let url = Url::parse(given.trim_end_matches('/')).map_err(|_| "it is not a URL")?;
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err("it must have no user, query or fragment");
    }
    match url.scheme() {
        "https" if url.host_str().is_some() => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        _ => Err("it must begin with https:// (http:// only to this machine itself)"),
    }
}

/// Whether it is this machine itself.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback()),
        None => false,
    }
}

/// A request, complete. It holds secrets, so it cannot be printed.
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Bytes>,
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// An answer whose body is read as it comes.
pub(crate) struct Streamed {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// The beginning of the body: all of it when it is not large.
    pub(crate) head: Bytes,
    rest: Option<reqwest::Response>,
}

impl Streamed {
    /// More of the body; none: that was all.
    pub(crate) async fn more(&mut self, deadline: Instant) -> Result<Option<Bytes>, NoAnswer> {
        let Some(response) = &mut self.rest else {
            return Ok(None);
        };
        let until = deadline.min(Instant::now() + REQUEST_MAX);
        match tokio::time::timeout_at(until, response.chunk()).await {
            Ok(Ok(chunk)) => Ok(chunk),
            Ok(Err(_)) => Err(NoAnswer::Silence("the connection broke within the answer")),
            Err(_) => Err(NoAnswer::Silence("the answer stopped coming")),
        }
    }
}

/// How much of a body that is read as it comes is read at once: what is not
/// larger is there whole, while another one is handed on.
const HEAD_BYTES: usize = 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// Nothing was sent: it certainly did not happen.
    NotSent(&'static str),
    /// It was sent, in part or whole: it may have happened.
    Silence(&'static str),
    /// An answer began and is larger than [`ANSWER_MAX_BYTES`].
    TooLarge,
}

impl NoAnswer {
    fn word(self) -> &'static str {
        match self {
            Self::NotSent(_) => "not_sent",
            Self::Silence(_) => "silence",
            Self::TooLarge => "too_large",
        }
    }
}

/// How a request may be shown: nothing of a person stands in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown<'a> {
    /// Whose service it is, for metrics.
    pub(crate) vendor: &'static str,
    /// Which of the vendor's services is asked.
    pub(crate) service: &'static str,
    /// The path with its ids left out.
    pub(crate) template: &'a str,
    /// What it is called in place of method and path, such as a cmdlet's name.
    pub(crate) named: Option<&'static str>,
}

impl HttpClient {
    /// A client whose requests are carried, and never meet the network.
    #[must_use]
    pub fn carried_by(carrier: Arc<dyn Carrier>) -> Self {
        Self(Way::Carried(carrier))
    }

    /// Sends a request and reads its answer, by `deadline` at the latest. It is
    /// traced and measured as `shown`, never by its address.
    pub(crate) async fn send(
        &self,
        request: Request,
        deadline: Instant,
        shown: Shown<'_>,
    ) -> Result<Answered, NoAnswer> {
        let Shown {
            vendor,
            service,
            template,
            named,
        } = shown;
        let (host, port) = (request.url.host_str(), request.url.port_or_known_default());
        let span = trace::request(request.method.as_str(), template, named, host, port);
        let began = Instant::now();
        let answered = self.exchange(request, deadline).await;
        match &answered {
            Ok(answer) => span.answered(answer.status.as_u16()),
            Err(why) => span.failed(why.word()),
        }
        let status = answered.as_ref().map(|a| a.status.as_u16()).map_err(|why| why.word());
        metrics::request(vendor, service, status, began.elapsed());
        answered
    }

    /// Sends a request and reads the beginning of its answer; the rest is the
    /// caller's to read. Traced and measured as one that is read whole.
    pub(crate) async fn open(
        &self,
        request: Request,
        deadline: Instant,
        shown: Shown<'_>,
    ) -> Result<Streamed, NoAnswer> {
        let (host, port) = (request.url.host_str(), request.url.port_or_known_default());
        let span = trace::request(request.method.as_str(), shown.template, shown.named, host, port);
        let began = Instant::now();
        let opened = self.opened(request, deadline).await;
        match &opened {
            Ok(answer) => span.answered(answer.status.as_u16()),
            Err(why) => span.failed(why.word()),
        }
        let status = opened.as_ref().map(|a| a.status.as_u16()).map_err(|why| why.word());
        metrics::request(shown.vendor, shown.service, status, began.elapsed());
        opened
    }

    async fn opened(&self, request: Request, deadline: Instant) -> Result<Streamed, NoAnswer> {
        let Way::Network(client) = &self.0 else {
            let answer = self.exchange(request, deadline).await?;
            return Ok(Streamed {
                status: answer.status,
                headers: answer.headers,
                head: answer.body,
                rest: None,
            });
        };
        if deadline.saturating_duration_since(Instant::now()).is_zero() {
            return Err(NoAnswer::NotSent("no time was left to send it"));
        }
        let until = deadline.min(Instant::now() + longest(&request));
        let builder = client.request(request.method, request.url).headers(request.headers);
        let response = match tokio::time::timeout_at(until, builder.send()).await {
            Ok(response) => response.map_err(|e| of_error(&e))?,
            Err(_) => return Err(NoAnswer::Silence("no answer came in time")),
        };
        let mut streamed = Streamed {
            status: response.status(),
            headers: response.headers().clone(),
            head: Bytes::new(),
            rest: Some(response),
        };
        let mut head = BytesMut::new();
        while head.len() < HEAD_BYTES {
            match streamed.more(deadline).await? {
                Some(chunk) => head.extend_from_slice(&chunk),
                None => {
                    streamed.rest = None;
                    break;
                }
            }
        }
        streamed.head = head.freeze();
        Ok(streamed)
    }

    /// Posts a form and reads the answer as JSON; for a token.
    pub(crate) async fn post_form(
        &self,
        vendor: &'static str,
        url: &str,
        form: &[(&str, &str)],
        deadline: Instant,
    ) -> Result<(u16, serde_json::Value), &'static str> {
        let url = Url::parse(url).map_err(|_| "the token's address is none")?;
        let pairs: Vec<String> = form
            .iter()
            .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)))
            .collect();
        let mut headers = HeaderMap::new();
        headers.insert(
            reqwest::header::CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        let request = Request {
            method: Method::POST,
            url,
            headers,
            body: Some(Bytes::from(pairs.join("&"))),
        };
        let shown = Shown {
            vendor,
            service: "token",
            template: "/token",
            named: None,
        };
        match self.send(request, deadline, shown).await {
            Ok(answer) => {
                let body = serde_json::from_slice(&answer.body).unwrap_or(serde_json::Value::Null);
                Ok((answer.status.as_u16(), body))
            }
            Err(NoAnswer::NotSent(why) | NoAnswer::Silence(why)) => Err(why),
            Err(NoAnswer::TooLarge) => Err("the answer is larger than a token's"),
        }
    }

    async fn exchange(&self, request: Request, deadline: Instant) -> Result<Answered, NoAnswer> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(NoAnswer::NotSent("no time was left to send it"));
        }
        let left = left.min(longest(&request));
        let client = match &self.0 {
            Way::Network(client) => client,
            Way::Carried(carrier) => {
                return match tokio::time::timeout(left, carried(carrier.as_ref(), request)).await {
                    Ok(done) => done,
                    Err(_) => Err(NoAnswer::Silence("no answer came in time")),
                };
            }
        };
        let mut builder = client.request(request.method, request.url).headers(request.headers);
        if let Some(body) = request.body {
            builder = builder.body(body);
        }
        let exchange = async {
            let mut response = builder.send().await.map_err(|e| of_error(&e))?;
            let (status, headers) = (response.status(), response.headers().clone());
            let mut body = BytesMut::new();
            loop {
                match response.chunk().await {
                    Ok(Some(chunk)) if body.len() + chunk.len() > ANSWER_MAX_BYTES => return Err(NoAnswer::TooLarge),
                    Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                    Ok(None) => break,
                    Err(_) => return Err(NoAnswer::Silence("the connection broke within the answer")),
                }
            }
            Ok(Answered {
                status,
                headers,
                body: body.freeze(),
            })
        };
        match tokio::time::timeout(left, exchange).await {
            Ok(done) => done,
            Err(_) => Err(NoAnswer::Silence("no answer came in time")),
        }
    }
}

/// The longest that this request may take.
fn longest(request: &Request) -> Duration {
    let carries = request.body.as_ref().map_or(0, Bytes::len);
    let seconds = u64::try_from(carries).unwrap_or(u64::MAX) / SLOWEST_BYTES_PER_S;
    REQUEST_MAX + Duration::from_secs(seconds)
}

async fn carried(carrier: &dyn Carrier, request: Request) -> Result<Answered, NoAnswer> {
    const UNREADABLE: NoAnswer = NoAnswer::Silence("the answer is not one of HTTP");
    let headers = request.headers.iter();
    let request = CarriedRequest {
        method: request.method.to_string(),
        url: request.url,
        headers: headers
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect(),
        body: request.body.unwrap_or_default(),
    };
    let silence = NoAnswer::Silence("the connection broke before an answer came");
    let answer = carrier.carry(request).await.ok_or(silence)?;
    if answer.body.len() > ANSWER_MAX_BYTES {
        return Err(NoAnswer::TooLarge);
    }
    let mut headers = HeaderMap::new();
    for (name, value) in &answer.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| UNREADABLE)?;
        headers.append(name, HeaderValue::from_str(value).map_err(|_| UNREADABLE)?);
    }
    Ok(Answered {
        status: StatusCode::from_u16(answer.status).map_err(|_| UNREADABLE)?,
        headers,
        body: answer.body,
    })
}

fn of_error(e: &reqwest::Error) -> NoAnswer {
    if let Some(why) = distrust(e) {
        NoAnswer::NotSent(why)
    } else if out_of_files(e) {
        NoAnswer::NotSent(
            "this process may open no more files or connections; raise its limit (ulimit -n, LimitNOFILE)",
        )
    } else if e.is_connect() {
        NoAnswer::NotSent("no connection could be made")
    } else if e.is_builder() {
        NoAnswer::NotSent("the request could not be built")
    } else {
        NoAnswer::Silence("the connection broke before an answer came")
    }
}

/// Whether the system gave no socket, because this process or the whole machine has
/// too many files open.
fn out_of_files(e: &(dyn std::error::Error + 'static)) -> bool {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    let mut cause = Some(e);
    while let Some(error) = cause {
        let io = error.downcast_ref::<std::io::Error>();
        if matches!(io.and_then(std::io::Error::raw_os_error), Some(ENFILE | EMFILE)) {
            return true;
        }
        cause = beneath(error);
    }
    false
}

/// What an error comes from.
fn beneath<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e (dyn std::error::Error + 'static)> {
    // An I/O error hides what it wraps from its own chain.
    match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

/// Why the server's certificate is not trusted, if that is what stood between.
fn distrust(e: &reqwest::Error) -> Option<&'static str> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(e);
    while let Some(error) = cause {
        if let Some(rustls::Error::InvalidCertificate(why)) = error.downcast_ref() {
            use rustls::CertificateError as Is;
            return Some(match why {
                Is::Expired | Is::ExpiredContext { .. } => "the server's certificate has ended",
                Is::NotValidYet | Is::NotValidYetContext { .. } => "the server's certificate is not valid yet",
                Is::NotValidForName | Is::NotValidForNameContext { .. } => {
                    "the server's certificate is for another name"
                }
                Is::UnknownIssuer => "the server's certificate is from an authority that is not trusted here",
                _ => "the server's certificate is not trusted",
            });
        }
        cause = beneath(error);
    }
    None
}

/// A header value that must not show in any log.
pub(crate) fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_form_may_take_longer_and_everything_else_a_minute() {
        let carrying = |body: Option<usize>| Request {
            method: Method::PUT,
            url: Url::parse("https://wiki.example/").unwrap(),
            headers: HeaderMap::new(),
            body: body.map(|bytes| Bytes::from(vec![0; bytes])),
        };
        assert_eq!(longest(&carrying(None)), REQUEST_MAX);
        assert_eq!(longest(&carrying(Some(4_096))), REQUEST_MAX);
        assert_eq!(
            longest(&carrying(Some(32 << 20))),
            REQUEST_MAX + Duration::from_secs(128)
        );
    }

    #[test]
    fn a_process_that_may_open_no_more_files_is_told_apart() {
        let system = std::io::Error::from_raw_os_error;
        assert!(out_of_files(&system(24)) && out_of_files(&system(23)));
        assert!(out_of_files(&std::io::Error::other(system(24))));
        let refused = 111;
        assert!(!out_of_files(&system(refused)) && !out_of_files(&std::io::Error::other("something else")));
    }
}
