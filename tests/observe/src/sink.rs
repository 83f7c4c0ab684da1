//! A collector that keeps everything: OTLP over HTTP, protobuf, on a free port
//! of loopback.

use crate::story::Seen;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Collected, Full, Limited};
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use prost::Message as _;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// Where traces are posted.
const TRACES: &str = "/v1/traces";
/// The largest request that is read: a batch of spans has a few hundred kB.
const BODY_MAX_BYTES: usize = 64 * 1024 * 1024;
/// Far longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often a state is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

#[derive(Debug, Default)]
struct Kept {
    spans: Vec<Seen>,
    metrics: BTreeSet<String>,
    headers: Vec<(String, String)>,
    /// Everything that came, as text: for what must not be in it.
    text: String,
    /// What could not be read.
    unreadable: Vec<String>,
}

/// The collector, until it is dropped.
#[derive(Debug)]
pub struct Sink {
    address: SocketAddr,
    kept: Arc<Mutex<Kept>>,
    accepting: JoinHandle<()>,
}

impl Sink {
    /// Listens on a free port of loopback.
    ///
    /// # Errors
    /// When none can be bound.
    pub async fn start() -> std::io::Result<Self> {
        Self::before(None).await
    }

    /// The same, and hands the traces on as they came to another collector, which
    /// listens at `next` (`HOST:PORT`): for one that does not keep all that is asked of
    /// them. What that did not take is in [`Sink::unreadable`].
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start_before(next: &str) -> std::io::Result<Self> {
        Self::before(Some(next.to_owned())).await
    }

    async fn before(next: Option<String>) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let kept: Arc<Mutex<Kept>> = Arc::default();
        Ok(Self {
            address,
            accepting: tokio::spawn(accept(listener, kept.clone(), next.map(Arc::from))),
            kept,
        })
    }

    /// What a process is configured with (`telemetry.otlp`, or
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`).
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every span so far.
    #[must_use]
    pub fn spans(&self) -> Vec<Seen> {
        self.kept().spans.clone()
    }

    /// The names of every metric so far.
    #[must_use]
    pub fn metrics(&self) -> BTreeSet<String> {
        self.kept().metrics.clone()
    }

    /// The headers that came with every request.
    #[must_use]
    pub fn headers(&self) -> Vec<(String, String)> {
        self.kept().headers.clone()
    }

    /// Everything that came, as text.
    #[must_use]
    pub fn text(&self) -> String {
        self.kept().text.clone()
    }

    /// What came and could not be read; must be empty.
    #[must_use]
    pub fn unreadable(&self) -> Vec<String> {
        self.kept().unreadable.clone()
    }

    /// Waits until the spans that came fulfil something.
    ///
    /// # Panics
    /// When patience has run out, with what was waited for.
    pub async fn until(&self, what: &str, mut holds: impl FnMut(&[Seen]) -> bool) {
        let end = Instant::now() + PATIENCE;
        loop {
            if holds(&self.kept().spans) {
                return;
            }
            assert!(Instant::now() < end, "{what}: not within {PATIENCE:?}");
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        // The connections belong to the accepting task and end with it.
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, kept: Arc<Mutex<Kept>>, next: Option<Arc<str>>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let (kept, next) = (kept.clone(), next.clone());
                connections.spawn(async move {
                    let service = service_fn(move |request| take(kept.clone(), next.clone(), request));
                    // An error here is a process that was ended.
                    let _ended = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn take(
    kept: Arc<Mutex<Kept>>,
    next: Option<Arc<str>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let headers: Vec<(String, String)> = request
        .headers()
        .iter()
        .map(|(n, v)| (n.to_string(), String::from_utf8_lossy(v.as_bytes()).into_owned()))
        .collect();
    let body = Limited::new(request.into_body(), BODY_MAX_BYTES).collect().await;
    let body = body.map(Collected::to_bytes).map_err(|error| error.to_string());
    let passed = match (next, &body) {
        (Some(next), Ok(body)) if path == TRACES => pass_on(&next, body).await,
        _ => Ok(()),
    };
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    kept.headers.extend(headers);
    if let Err(error) = passed {
        kept.unreadable
            .push(format!("the next collector did not take {path}: {error}"));
    }
    let answer = body.and_then(|body| kept.take(&path, body));
    Ok(match answer {
        Ok(body) => {
            let mut response = Response::new(Full::new(body.into()));
            let protobuf = hyper::header::HeaderValue::from_static("application/x-protobuf");
            response.headers_mut().insert(CONTENT_TYPE, protobuf);
            response
        }
        Err(why) => {
            kept.unreadable.push(format!("{path}: {why}"));
            let mut response = Response::new(Full::default());
            *response.status_mut() = StatusCode::BAD_REQUEST;
            response
        }
    })
}

/// Posts a batch of traces to the next collector.
async fn pass_on(next: &str, body: &Bytes) -> std::io::Result<()> {
    let exchange = async {
        let mut stream = TcpStream::connect(next).await?;
        let head = format!(
            "POST {TRACES} HTTP/1.1\r\nhost: {next}\r\ncontent-type: application/x-protobuf\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = tokio::time::timeout(PATIENCE, exchange).await??;
    if answer.starts_with(b"HTTP/1.1 200") {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&answer);
    Err(std::io::Error::other(
        said.lines().next().unwrap_or_default().to_owned(),
    ))
}

impl Kept {
    fn take(&mut self, path: &str, body: Bytes) -> Result<Vec<u8>, String> {
        match path {
            TRACES => {
                let request = ExportTraceServiceRequest::decode(body).map_err(|e| e.to_string())?;
                self.text.push_str(&format!("{request:?}\n"));
                for of_resource in request.resource_spans {
                    let resource = of_resource.resource.unwrap_or_default();
                    let spans = of_resource.scope_spans.into_iter().flat_map(|s| s.spans);
                    self.spans.extend(spans.map(|span| Seen::of(&resource, span)));
                }
                Ok(ExportTraceServiceResponse::default().encode_to_vec())
            }
            "/v1/metrics" => {
                let request = ExportMetricsServiceRequest::decode(body).map_err(|e| e.to_string())?;
                self.text.push_str(&format!("{request:?}\n"));
                let of_scopes = request.resource_metrics.into_iter().flat_map(|r| r.scope_metrics);
                self.metrics
                    .extend(of_scopes.flat_map(|s| s.metrics).map(|metric| metric.name));
                Ok(ExportMetricsServiceResponse::default().encode_to_vec())
            }
            _ => Err("no such path".to_owned()),
        }
    }
}
