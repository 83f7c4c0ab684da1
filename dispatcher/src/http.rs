//! What a process of any role says of itself over HTTP: `/livez`, `/readyz` and
//! `/metrics`. It reads what was set elsewhere, asks nobody, and can change
//! nothing.
//!
//! It is bounded, because whoever reaches the address may talk to it: so many
//! connections at a time, one request each, and each over within seconds.

use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::serve::Listener;
use axum::{Json, Router, middleware};
use offboard_runtime::health::{self, Report};
use offboard_runtime::telemetry::metrics;
use serde_json::{Value, json};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Sleep;

/// Most connections at a time: a scraper, a few probes and a person.
const CONNECTIONS_MAX: usize = 64;
/// How long a connection may last.
const CONNECTION_MAX: Duration = Duration::from_secs(10);
/// Pause after the system refused a connection (out of files, mostly).
const AFTER_REFUSAL: Duration = Duration::from_millis(200);
/// What Prometheus expects.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// An address that could not be listened on.
#[derive(Debug, thiserror::Error)]
#[error("failed to listen on {address} (telemetry.listen): {error}; free it, or configure another one")]
pub struct BindError {
    address: SocketAddr,
    #[source]
    error: io::Error,
}

/// A server that listens and does not answer yet.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Listens on an address; port 0 is a free one.
    ///
    /// # Errors
    /// [`BindError`] if it is taken or not ours.
    pub async fn bind(address: SocketAddr) -> Result<Self, BindError> {
        let failed = |error| BindError { address, error };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until told to stop.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let routes = Router::new()
            .route("/livez", get(async || told("alive", &health::alive())))
            .route("/readyz", get(async || told("ready", &health::ready())))
            .route("/metrics", get(async || measured()))
            .layer(middleware::from_fn(alone));
        let bounded = Bounded {
            listener: self.listener,
            free: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
        };
        // An error means that nobody is left who could ask: that is a stop too.
        let stopped = async move { drop(stop.wait_for(|s| *s).await) };
        let served = axum::serve(bounded, routes).with_graceful_shutdown(stopped).await;
        if let Err(error) = served {
            tracing::warn!(%error, "the server of health and metrics ended");
        }
    }
}

/// One request a connection, and nothing kept on the way.
async fn alone(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn told(what: &str, report: &Report) -> Response {
    let checks: Vec<Value> = report
        .checks
        .iter()
        .map(|(name, state)| match state {
            Ok(()) => json!({ "name": name, "passes": true }),
            Err(why) => json!({ "name": name, "passes": false, "why": why }),
        })
        .collect();
    let status = if report.passes() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(json!({ (what): report.passes(), "checks": checks }))).into_response()
}

fn measured() -> Response {
    match metrics::render() {
        Ok(Some(text)) => ([(CONTENT_TYPE, PROMETHEUS)], text).into_response(),
        Ok(None) => (StatusCode::NOT_FOUND, "nothing is measured here\n").into_response(),
        Err(error) => {
            tracing::warn!(%error, "failed to write the metrics");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Takes a connection only when one is free.
struct Bounded {
    listener: TcpListener,
    free: Arc<Semaphore>,
}

impl Listener for Bounded {
    type Io = Limited;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Limited, SocketAddr) {
        loop {
            let Ok(permit) = self.free.clone().acquire_owned().await else {
                // It is never closed.
                return std::future::pending().await;
            };
            match self.listener.accept().await {
                Ok((stream, from)) => {
                    let limited = Limited {
                        stream,
                        over: Box::pin(tokio::time::sleep(CONNECTION_MAX)),
                        _permit: permit,
                    };
                    return (limited, from);
                }
                Err(_) => tokio::time::sleep(AFTER_REFUSAL).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that ends in time, whatever the other side does.
struct Limited {
    stream: TcpStream,
    over: Pin<Box<Sleep>>,
    _permit: OwnedSemaphorePermit,
}

impl Limited {
    fn in_time(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.over.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Limited {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.in_time(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Limited {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        self.in_time(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.in_time(cx)?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.in_time(cx)?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    async fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        // A server that closes early may reset what it has not read.
        drop(stream.read_to_string(&mut answer).await);
        answer
    }

    async fn get(address: SocketAddr, path: &str) -> (u16, Value) {
        let answer = ask(address, &format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }

    #[tokio::test]
    async fn it_tells_the_truth_about_every_check() {
        health::begin();
        let server = Server::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = server.address();
        let (stop, stopped) = watch::channel(false);
        let running = tokio::spawn(server.run(stopped));
        let (status, body) = get(address, "/readyz").await;
        let why = &body["checks"][0]["why"];
        assert_eq!((status, why), (503, &json!("the process is being started")));
        health::set("ledger", Ok(()));
        health::started();
        let pulse = health::pulse("sweep");
        let passes = |name: &str| json!({ "name": name, "passes": true });
        assert_eq!(
            get(address, "/readyz").await,
            (
                200,
                json!({ "ready": true, "checks": [passes("ledger"), passes("started")] })
            )
        );
        health::set("queue", Err("blocked: the broker is out of memory".into()));
        let (status, body) = get(address, "/readyz").await;
        assert_eq!((status, &body["ready"]), (503, &json!(false)));
        assert_eq!(body["checks"][1]["why"], "blocked: the broker is out of memory");
        assert_eq!(
            get(address, "/livez").await,
            (
                200,
                json!({ "alive": true, "checks": [{ "name": "sweep", "passes": true }] })
            )
        );
        assert_eq!(get(address, "/metrics").await.0, 404);
        assert_eq!(get(address, "/other").await.0, 404);
        let posted = ask(address, "POST /readyz HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n").await;
        assert!(posted.starts_with("HTTP/1.1 405"), "{posted}");
        pulse.end();
        stop.send_replace(true);
        running.await.unwrap();
    }

    #[tokio::test]
    async fn who_says_nothing_is_sent_away_and_others_are_answered() {
        let server = Server::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = server.address();
        let (_stop, stopped) = watch::channel(false);
        tokio::spawn(server.run(stopped));
        let mut silent = Vec::new();
        for _ in 0..CONNECTIONS_MAX {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        // All are taken; the next is answered when the silent ones are over.
        assert_eq!(get(address, "/livez").await.0, 200);
        for mut stream in silent {
            assert_eq!(stream.read(&mut [0; 8]).await.unwrap_or(0), 0);
        }
    }
}
