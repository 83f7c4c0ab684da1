//! A face behind real HTTP on loopback.
//!
//! It owns the socket and the pace: simulated latencies are slept at the scale
//! that was asked for, and a lost connection is closed without an answer, as the
//! client's side of a real reset would see it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Either, Full, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use super::{
    AutotaskFace, Bases, BucketFace, ConfluenceFace, ConnectWiseFace, GoogleFace, GraphFace, HaloFace, NinjaFace,
    ScimFace, WireAnswer, WireRequest,
};
use crate::world::app::App;
use crate::world::bucket::Bucket;
use crate::world::desk::Desk;
use crate::world::fleet::Fleet;
use crate::world::wiki::Wiki;
use crate::world::workspace::Workspace;
use crate::world::{NEVER_MS, World};

/// Tells the simulated time in milliseconds since 1970.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The largest body that is read, so that a mistaken client cannot fill the memory.
const BODY_LIMIT_BYTES: usize = 4 * 1024 * 1024;

/// The simulated vendor, listening on loopback until it is dropped.
#[derive(Debug)]
pub struct Simulator {
    bases: Bases,
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Simulator {
    /// Listens on a free port of loopback and answers for `world`, at the time that `clock` tells.
    ///
    /// `time_scale` is how many simulated milliseconds pass in a real one: latencies are slept at
    /// that pace; with `None` every answer is immediate.
    ///
    /// # Errors
    /// When no port of loopback can be bound.
    pub async fn start(world: Arc<Mutex<World>>, clock: Clock, time_scale: Option<f64>) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let bases = Bases::at(&format!("http://{address}"));
        let face = GraphFace::new(bases.clone());
        let answer = move |request: &WireRequest| {
            let now = clock();
            let mut world = world.lock().unwrap_or_else(PoisonError::into_inner);
            face.answer(&mut world, now, request)
        };
        let shop = Arc::new(Shop {
            answer: Box::new(answer),
            time_scale,
            resets: false,
        });
        let accepting = tokio::spawn(accept(listener, shop));
        Ok(Self {
            bases,
            address,
            accepting,
        })
    }

    /// The URLs that a client is configured with.
    #[must_use]
    pub fn bases(&self) -> &Bases {
        &self.bases
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        // The connections belong to the accepting task and end with it.
        self.accepting.abort();
    }
}

/// What listens on loopback until it is dropped, and answers at once.
#[derive(Debug)]
struct Listening {
    root: String,
    accepting: JoinHandle<()>,
}

impl Listening {
    async fn start<A>(answer: impl FnOnce(&str) -> A) -> io::Result<Self>
    where
        A: Fn(&WireRequest) -> WireAnswer + Send + Sync + 'static,
    {
        Self::ending(false, answer).await
    }

    /// The same; whether a connection that ends without an answer is reset, and not only closed.
    async fn ending<A>(resets: bool, answer: impl FnOnce(&str) -> A) -> io::Result<Self>
    where
        A: Fn(&WireRequest) -> WireAnswer + Send + Sync + 'static,
    {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let root = format!("http://{}", listener.local_addr()?);
        let shop = Arc::new(Shop {
            answer: Box::new(answer(&root)),
            time_scale: None,
            resets,
        });
        let accepting = tokio::spawn(accept(listener, shop));
        Ok(Self { root, accepting })
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // The connections belong to the accepting task and end with it.
        self.accepting.abort();
    }
}

/// A simulated application, listening on loopback until it is dropped.
#[derive(Debug)]
pub struct ScimSimulator {
    _listening: Listening,
    url: String,
}

impl ScimSimulator {
    /// Listens on a free port of loopback and answers for `app`, at the time that `clock` tells.
    ///
    /// # Errors
    /// When no port of loopback can be bound.
    pub async fn start(app: Arc<Mutex<App>>, clock: Clock) -> io::Result<Self> {
        let listening = Listening::start(|_| {
            move |request: &WireRequest| {
                let now = clock();
                let mut app = app.lock().unwrap_or_else(PoisonError::into_inner);
                ScimFace.answer(&mut app, now, request)
            }
        })
        .await?;
        let url = format!("{}/scim/v2", listening.root);
        Ok(Self {
            _listening: listening,
            url,
        })
    }

    /// The base address that a client is configured with.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// A simulated NinjaOne, listening on loopback until it is dropped.
#[derive(Debug)]
pub struct NinjaSimulator(Listening);

impl NinjaSimulator {
    /// Listens on a free port of loopback and answers for `fleet`, at the time that `clock` tells.
    ///
    /// # Errors
    /// When no port of loopback can be bound.
    pub async fn start(fleet: Arc<Mutex<Fleet>>, clock: Clock) -> io::Result<Self> {
        let listening = Listening::start(|_| {
            move |request: &WireRequest| {
                let now = clock();
                let mut fleet = fleet.lock().unwrap_or_else(PoisonError::into_inner);
                NinjaFace.answer(&mut fleet, now, request)
            }
        })
        .await?;
        Ok(Self(listening))
    }

    /// The base address that a client is configured with.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.0.root
    }
}

/// Whose desk it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeskFace {
    /// HaloPSA.
    Halo,
    /// ConnectWise PSA.
    ConnectWise,
    /// Autotask PSA.
    Autotask,
}

/// A simulated desk, listening on loopback until it is dropped.
#[derive(Debug)]
pub struct DeskSimulator(Listening);

impl DeskSimulator {
    /// Listens on a free port of loopback and answers for `desk` as that maker's
    /// does, at the time that `clock` tells.
    ///
    /// # Errors
    /// When no port of loopback can be bound.
    pub async fn start(desk: Arc<Mutex<Desk>>, face: DeskFace, clock: Clock) -> io::Result<Self> {
        let listening = Listening::start(|root| {
            let autotask = AutotaskFace::new(root);
            move |request: &WireRequest| {
                let now = clock();
                let mut desk = desk.lock().unwrap_or_else(PoisonError::into_inner);
                match face {
                    DeskFace::Halo => HaloFace.answer(&mut desk, now, request),
                    DeskFace::ConnectWise => ConnectWiseFace.answer(&mut desk, now, request),
                    DeskFace::Autotask => autotask.answer(&mut desk, now, request),
                }
            }
        })
        .await?;
        Ok(Self(listening))
    }

    /// The base address that a client is configured with.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.0.root
    }
}

/// A simulated Confluence, listening on loopback until it is dropped.
#[derive(Debug)]
pub struct ConfluenceSimulator(Listening);

impl ConfluenceSimulator {
    /// Listens on a free port of loopback and answers for `wiki`, at the time that `clock` tells.
    ///
    /// # Errors
    /// When no port of loopback can be bound.
    pub async fn start(wiki: Arc<Mutex<Wiki>>, clock: Clock) -> io::Result<Self> {
        let listening = Listening::start(|_| {
            move |request: &WireRequest| {
                let now = clock();
                let mut wiki = wiki.lock().unwrap_or_else(PoisonError::into_inner);
                ConfluenceFace.answer(&mut wiki, now, request)
            }
        })
        .await?;
        Ok(Self(listening))
    }

    /// The base address that a client is configured with.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.0.root
    }
}

/// A simulated workspace, listening on loopback until it is dropped.
#[derive(Debug)]
pub struct GoogleSimulator(Listening);

impl GoogleSimulator {
    /// Listens on a free port of loopback and answers for `workspace`, at the time that `clock` tells.
    ///
    /// # Errors
    /// When no port of loopback can be bound.
    pub async fn start(workspace: Arc<Mutex<Workspace>>, clock: Clock) -> io::Result<Self> {
        let listening = Listening::start(|root| {
            let face = GoogleFace::new(root);
            move |request: &WireRequest| {
                let now = clock();
                let mut workspace = workspace.lock().unwrap_or_else(PoisonError::into_inner);
                face.answer(&mut workspace, now, request)
            }
        })
        .await?;
        Ok(Self(listening))
    }

    /// The base address of every interface; tokens are at `/token` below it.
    #[must_use]
    pub fn root(&self) -> &str {
        &self.0.root
    }
}

/// A simulated bucket at Azure or Google, listening on loopback until it is dropped.
#[derive(Debug)]
pub struct BucketSimulator(Listening);

impl BucketSimulator {
    /// Listens on a free port of loopback and answers for `bucket` as that vendor does, at the time
    /// that `clock` tells. `resets`: what ends without an answer is reset (RST), and not only closed
    /// (FIN); clients take the one for another thing than the other.
    ///
    /// # Errors
    /// When no port of loopback can be bound.
    pub async fn start(bucket: Arc<Mutex<Bucket>>, face: BucketFace, clock: Clock, resets: bool) -> io::Result<Self> {
        let listening = Listening::ending(resets, |_| {
            move |request: &WireRequest| {
                let now = clock();
                let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
                face.answer(&mut bucket, now, request)
            }
        })
        .await?;
        Ok(Self(listening))
    }

    /// The base address that a client is configured with.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.0.root
    }
}

/// What answers a request, at which pace, and how a connection ends that gets none.
struct Shop {
    answer: Box<dyn Fn(&WireRequest) -> WireAnswer + Send + Sync>,
    time_scale: Option<f64>,
    resets: bool,
}

async fn accept(listener: TcpListener, shop: Arc<Shop>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                if shop.resets && stream.set_zero_linger().is_err() {
                    continue;
                }
                let shop = Arc::clone(&shop);
                connections.spawn(async move {
                    let service = service_fn(move |request| serve(Arc::clone(&shop), request));
                    // An error here is the connection that the world wanted lost, or a client that went away.
                    let _ended = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// The connection is to be closed without an answer.
#[derive(Debug)]
struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the connection was cut on purpose")
    }
}

impl std::error::Error for Cut {}

impl From<Infallible> for Cut {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// A body of which a beginning is sent before the connection is cut.
#[derive(Debug)]
struct Torn {
    promised_bytes: usize,
    beginning: Option<Bytes>,
    waited: bool,
}

impl Body for Torn {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if let Some(beginning) = self.beginning.take() {
            return Poll::Ready(Some(Ok(Frame::data(beginning))));
        }
        if !self.waited {
            // What came before goes out while this waits.
            self.waited = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(Cut)))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(u64::try_from(self.promised_bytes).unwrap_or(u64::MAX))
    }
}

async fn serve(shop: Arc<Shop>, request: Request<Incoming>) -> Result<Response<Either<Full<Bytes>, Torn>>, Cut> {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY_LIMIT_BYTES).collect().await else {
        return Err(Cut);
    };
    let headers: BTreeMap<String, String> = head
        .headers
        .iter()
        .map(|(name, value)| {
            (
                name.as_str().to_owned(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .collect();
    let wire = WireRequest {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers,
        body: body.to_bytes().to_vec(),
    };
    let answer = (shop.answer)(&wire);
    if answer.latency_ms() == NEVER_MS {
        // Until the client has had enough, whose going ends this.
        std::future::pending::<()>().await;
    }
    if let Some(scale) = shop.time_scale.filter(|scale| *scale > 0.0) {
        let simulated = u64::try_from(answer.latency_ms()).unwrap_or(0);
        let real = Duration::from_millis(simulated).div_f64(scale);
        if !real.is_zero() {
            tokio::time::sleep(real).await;
        }
    }
    let (answer, after_bytes) = match answer {
        WireAnswer::Response(answer) => (answer, None),
        WireAnswer::Torn { response, after_bytes } => (response, Some(after_bytes)),
        WireAnswer::Lost { .. } => return Err(Cut),
    };
    let body = Bytes::from(answer.body);
    let mut response = Response::new(match after_bytes {
        None => Either::Left(Full::new(body)),
        Some(after_bytes) => Either::Right(Torn {
            promised_bytes: body.len(),
            beginning: Some(body.slice(..after_bytes.min(body.len()))),
            waited: false,
        }),
    });
    *response.status_mut() = StatusCode::from_u16(answer.status).map_err(|_| Cut)?;
    for (name, value) in answer.headers {
        let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) else {
            continue;
        };
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}
