//! The one HTTP client, and one request by it: bounded in time and size, and
//! exact about what is known when no answer comes.

use super::settings::OpenError;
use bytes::{Bytes, BytesMut};
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use std::time::Duration;
use tokio::time::Instant;

/// The longest that one request may take, whatever time the call has left.
const REQUEST_MAX: Duration = Duration::from_secs(60);
/// The longest that a connection may take to be made.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// The largest answer that is read. Pages are far smaller.
pub(crate) const ANSWER_MAX_BYTES: usize = 16 * 1024 * 1024;

/// An HTTP client, to be shared by every connector of the process: TLS by
/// rustls, no redirects, no proxy from the environment.
#[derive(Debug, Clone)]
pub struct HttpClient(reqwest::Client);

impl HttpClient {
    /// Sets the client up.
    ///
    /// # Errors
    /// [`OpenError::Http`] when TLS cannot be set up.
    pub fn new() -> Result<Self, OpenError> {
        // Another part of the process may have installed one; either will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_MAX)
            .referer(false)
            .user_agent(concat!("offboard/", env!("CARGO_PKG_VERSION")))
            .build()
            .map(Self)
            .map_err(|e| OpenError::Http(e.without_url().to_string()))
    }
}

/// A request, complete.
#[derive(Debug)]
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

impl HttpClient {
    /// Sends a request and reads its answer, by `deadline` at the latest.
    pub(crate) async fn send(&self, request: Request, deadline: Instant) -> Result<Answered, NoAnswer> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(NoAnswer::NotSent("no time was left to send it"));
        }
        let mut builder = self.0.request(request.method, request.url).headers(request.headers);
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
            Ok(Answered { status, headers, body: body.freeze() })
        };
        match tokio::time::timeout(left.min(REQUEST_MAX), exchange).await {
            Ok(done) => done,
            Err(_) => Err(NoAnswer::Silence("no answer came in time")),
        }
    }
}

fn of_error(e: &reqwest::Error) -> NoAnswer {
    if e.is_connect() {
        NoAnswer::NotSent("no connection could be made")
    } else if e.is_builder() {
        NoAnswer::NotSent("the request could not be built")
    } else {
        NoAnswer::Silence("the connection broke before an answer came")
    }
}

/// A header value that must not show in any log.
pub(crate) fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
