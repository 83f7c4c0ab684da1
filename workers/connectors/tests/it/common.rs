//! A server on loopback that answers whatever a test says, and remembers what
//! it was asked; and the ways to open a connector to it.

use async_trait::async_trait;
use axum::body::Body;
use axum::http::{HeaderMap, Response};
use offboard_connectors::graph::{Credential, Endpoints, GraphConnector, GraphSettings, HttpClient};
use offboard_connectors::{Call, Group, GroupNature};
use offboard_domain::{Lane, System, Timestamp};
use offboard_runtime::{Clock, SystemClock};
use offboard_servers::Certificates;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use std::future::Future;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

pub(crate) const DIRECTORY: &str = "5f9e1a3c-0000-4000-8000-000000000001";
/// Made for these tests alone; nothing trusts it.
pub(crate) const CERTIFICATE: &str = include_str!("../data/test-certificate.pem");
pub(crate) const KEY: &str = include_str!("../data/test-key.pem");

/// Long enough for a busy machine, short enough to end.
const CALL_MAX: Duration = Duration::from_secs(30);

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) root: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> String {
        self.headers
            .get(name)
            .and_then(|v| v.to_str().ok())
            .unwrap_or("")
            .to_owned()
    }

    pub(crate) fn bearer(&self) -> String {
        self.header("authorization").trim_start_matches("Bearer ").to_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn query_value(&self, name: &str) -> Option<String> {
        self.query
            .split('&')
            .find_map(|pair| pair.strip_prefix(&format!("{name}=")).map(str::to_owned))
    }
}

pub(crate) struct Server {
    root: String,
    seen: watch::Receiver<Vec<String>>,
    serving: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start<F, R>(answer: F) -> Self
    where
        F: Fn(Asked) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Response<Body>> + Send + 'static,
    {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let root = format!("http://{}", listener.local_addr().unwrap());
        let (note, seen) = watch::channel(Vec::new());
        let note = Arc::new(Mutex::new(note));
        let base = root.clone();
        let app = axum::Router::new().fallback(move |request: axum::extract::Request| {
            let (answer, note, root) = (answer.clone(), Arc::clone(&note), base.clone());
            async move {
                let (head, body) = request.into_parts();
                let body = axum::body::to_bytes(body, 1 << 24).await.unwrap().to_vec();
                let asked = Asked {
                    root,
                    method: head.method.to_string(),
                    path: head.uri.path().to_owned(),
                    query: head.uri.query().unwrap_or("").to_owned(),
                    headers: head.headers,
                    body,
                };
                note.lock().unwrap().send_modify(|seen| seen.push(asked.path.clone()));
                answer(asked).await
            }
        });
        let serving = tokio::spawn(async move {
            axum::serve(listener, app).await.unwrap();
        });
        Self { root, seen, serving }
    }

    pub(crate) fn root(&self) -> &str {
        &self.root
    }

    /// How many requests had this in their path.
    pub(crate) fn count(&self, part: &str) -> usize {
        self.seen.borrow().iter().filter(|path| path.contains(part)).count()
    }

    /// Waits until it was asked so many times.
    pub(crate) async fn until(&self, requests: usize) {
        let mut seen = self.seen.clone();
        let _ = tokio::time::timeout(CALL_MAX, seen.wait_for(|s| s.len() >= requests))
            .await
            .unwrap()
            .unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Reads a request and closes the connection without a word.
pub(crate) struct Cutting {
    root: String,
    accepting: JoinHandle<()>,
}

impl Cutting {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let root = format!("http://{}", listener.local_addr().unwrap());
        let accepting = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut some = [0; 4096];
                let _ = stream.read(&mut some).await;
            }
        });
        Self { root, accepting }
    }

    pub(crate) fn root(&self) -> &str {
        &self.root
    }
}

impl Drop for Cutting {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Shows the certificate of a server, and asks for none.
pub(crate) fn acceptor(certificates: &Certificates) -> TlsAcceptor {
    let chain = CertificateDer::pem_file_iter(&certificates.server.certificate)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let key = PrivateKeyDer::from_pem_file(&certificates.server.key).unwrap();
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

pub(crate) fn json_answer(status: u16, body: Value) -> Response<Body> {
    let body = if body.is_null() {
        Body::empty()
    } else {
        Body::from(body.to_string())
    };
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(body)
        .unwrap()
}

pub(crate) fn token(value: &str, lives_s: i64) -> Response<Body> {
    json_answer(
        200,
        json!({"access_token": value, "expires_in": lives_s, "token_type": "Bearer"}),
    )
}

pub(crate) async fn no_answer() -> Response<Body> {
    std::future::pending().await
}

pub(crate) fn group(id: &str) -> Value {
    json!({"@odata.type": "#microsoft.graph.group", "id": id, "displayName": "n", "groupTypes": [], "mailEnabled": false, "securityEnabled": true})
}

pub(crate) fn directory_of(id: &str) -> Group {
    Group {
        id: id.into(),
        name: None,
        nature: GroupNature::Security,
        dynamic: false,
        synced: false,
        role_assignable: false,
        gives_skus: Vec::new(),
    }
}

pub(crate) fn open(server: &Server) -> GraphConnector {
    open_at(server.root(), server.root())
}

pub(crate) fn open_with(server: &Server, credential: Credential) -> GraphConnector {
    open_full(server.root(), server.root(), credential)
}

pub(crate) fn open_at(login: &str, rest: &str) -> GraphConnector {
    open_full(login, rest, Credential::Secret("s3cret".into()))
}

/// A connector whose directory is configured so.
pub(crate) fn open_in(server: &Server, directory: &str) -> GraphConnector {
    let secret = Credential::Secret("s3cret".into());
    open_directory(directory, server.root(), server.root(), secret)
}

fn open_full(login: &str, rest: &str, credential: Credential) -> GraphConnector {
    open_directory(DIRECTORY, login, rest, credential)
}

fn open_directory(directory: &str, login: &str, rest: &str, credential: Credential) -> GraphConnector {
    let settings = GraphSettings {
        system: System::new("m365").unwrap(),
        directory: directory.into(),
        client_id: "c".into(),
        credential,
        endpoints: Endpoints {
            login: format!("{login}/login"),
            graph: format!("{rest}/graph"),
            exchange: format!("{rest}/exchange"),
            sharepoint: Some(format!("{rest}/sharepoint")),
        },
    };
    GraphConnector::open(&HttpClient::new().unwrap(), &settings).unwrap()
}

pub(crate) fn call() -> Call {
    call_until(Instant::now() + CALL_MAX)
}

pub(crate) fn call_until(deadline: Instant) -> Call {
    Call::new(Arc::new(SystemClock), deadline, Lane::Normal)
}

pub(crate) fn call_with(clock: &Arc<TestClock>) -> Call {
    let clock: Arc<dyn Clock> = Arc::<TestClock>::clone(clock);
    Call::new(clock, Instant::now() + CALL_MAX, Lane::Urgent)
}

/// A clock that says what it is told.
pub(crate) struct TestClock(AtomicI64);

impl TestClock {
    pub(crate) fn at(ms: i64) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(ms)))
    }

    pub(crate) fn set(&self, ms: i64) {
        self.0.store(ms, Ordering::SeqCst);
    }

    pub(crate) fn advance(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }

    pub(crate) fn ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.ms())
    }

    async fn sleep_until(&self, t: Timestamp) {
        self.0.fetch_max(t.0, Ordering::SeqCst);
    }

    fn real(&self, ms: i64) -> Duration {
        Duration::from_millis(u64::try_from(ms).unwrap_or(0))
    }
}
