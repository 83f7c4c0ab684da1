//! The embedded mode: every role in one process, over one SQLite file and
//! queues in memory.
//!
//! It owns what is started and in which order it ends, and no rule at all. The
//! queue is empty at every start and is filled from the ledger, so nothing
//! that was accepted depends on a process living: Ctrl-C and `kill -9` differ
//! only in what is asked of the outside systems twice.
//!
//! The end, in order: nothing new is ordered; workers finish what they are at;
//! what they reported is recorded; the closer finishes its seal; the ledger
//! folds its log into the file and lets it go.

use crate::backends::{self, OpenLedger, WhenNeeded};
use crate::compose::{self, Settings};
use crate::error::CliError;
use crate::session;
use crate::systems::Systems;
use offboard_dispatcher::admission::Limits;
use offboard_dispatcher::control::{self, Client, Request, Response, Server};
use offboard_dispatcher::{Closer, Engine};
use offboard_queue::{LocalQueue, Queue, QueueName};
use offboard_runtime::Clock;
use offboard_runtime::config::{Configuration, LedgerUrl, StoreUrl};
use offboard_runtime::keys::{DispatchKey, EscrowMaster, QueueKeys, SigningKey};
use offboard_store::Store;
use offboard_workers::{Concurrency, Context, Worker, WorkerConfig};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The shard of an embedded installation, of how many.
const SHARD: u16 = 0;
const SHARDS: u16 = 1;

/// How long a shutdown lets attempts finish, in real time: most requests are
/// answered within seconds, and what is cut off is begun again.
const GRACE: Duration = Duration::from_secs(10);

/// How long a shutdown waits for reports to be recorded, in real time.
const RECORDING: Duration = Duration::from_secs(5);

/// What differs from the configuration.
#[derive(Default)]
pub struct Overrides {
    /// Other systems than those configured.
    pub systems: Option<Systems>,
    /// Other limits of what may be in flight.
    pub limits: Option<Limits>,
    /// How many attempts run at the same time in each area.
    pub concurrency: Option<Concurrency>,
    /// How long a shutdown lets attempts finish.
    pub grace: Option<Duration>,
    /// Do without the control socket: nobody else can look in.
    pub no_control: bool,
}

/// A running installation.
pub struct Embedded {
    engine: Arc<Engine>,
    ledger: OpenLedger,
    queue: Arc<LocalQueue>,
    evidence: StoreUrl,
    recovered: usize,
    stops: Stops,
    tasks: Tasks,
}

/// One switch for each stage of the end.
struct Stops {
    ordering: watch::Sender<bool>,
    working: watch::Sender<bool>,
    recording: watch::Sender<bool>,
}

struct Tasks {
    ordering: Vec<JoinHandle<()>>,
    working: JoinHandle<()>,
    recording: Vec<JoinHandle<()>>,
}

impl Embedded {
    /// Starts, takes up what is open, and runs until [`Embedded::shutdown`].
    ///
    /// # Errors
    /// [`CliError`] if another process holds the working folder, or a key,
    /// file or address cannot be used.
    pub async fn start(config: &Configuration, clock: Arc<dyn Clock>, overrides: Overrides) -> Result<Self, CliError> {
        if backends::is_shared(config) {
            return Err(shared());
        }
        let systems = match overrides.systems {
            Some(systems) => systems,
            None => Systems::open(config)?,
        };
        let limits = overrides
            .limits
            .unwrap_or_else(|| compose::limits(&config.engine.admission));
        // One process: what is signed here is read here, until it ends.
        let dispatch = DispatchKey::ephemeral()?;
        let settings = Settings {
            clock: clock.clone(),
            limits,
            dispatch: dispatch.clone(),
            shards: SHARDS,
            store: compose::store(&config.engine.store).await?,
            keeping: None,
        };
        let ledger = ledger_when_free(config).await?;
        let queue = backends::local(&clock);
        let engine = compose::engine(config, &systems, &ledger, queue.clone(), settings)?;
        let (stops, ordering, working, recording) = Stops::new();
        let mut tasks = Vec::new();
        if !overrides.no_control {
            let path = socket(config).ok_or_else(shared)?;
            let server = Server::bind(&path)?;
            tasks.push(tokio::spawn(server.run(engine.clone(), recording.clone())));
        }
        let evidence = config.engine.evidence.clone();
        let signing = SigningKey::load(&config.engine.keys)?;
        let closer = Closer::new(
            engine.clone(),
            signing.expose().clone(),
            compose::store(&evidence).await?,
        );
        let worker = Worker::new(
            WorkerConfig {
                concurrency: overrides
                    .concurrency
                    .unwrap_or_else(|| compose::concurrency(&config.engine.admission)),
                grace: overrides.grace.unwrap_or(GRACE),
                ..WorkerConfig::default()
            },
            queue.clone(),
            QueueKeys::Dispatch(dispatch),
            Context {
                store: engine.store().clone(),
                connectors: Arc::new(systems),
                escrow: Some(EscrowMaster::load(&config.engine.keys)?),
                clock,
            },
        );
        let recovered = engine.recover().await?;
        tasks.push(tokio::spawn(engine.clone().take_reports(SHARD, recording.clone())));
        tasks.push(tokio::spawn(engine.clone().watch(recording.clone())));
        tasks.push(tokio::spawn(closer.run(recording)));
        let tasks = Tasks {
            ordering: vec![
                tokio::spawn(engine.clone().sweep(ordering.clone())),
                tokio::spawn(engine.clone().pump(ordering)),
            ],
            working: tokio::spawn(async move { worker.run(working).await }),
            recording: tasks,
        };
        Ok(Self {
            engine,
            ledger,
            queue,
            evidence,
            recovered,
            stops,
            tasks,
        })
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Where sealed evidence is.
    #[must_use]
    pub fn evidence(&self) -> &StoreUrl {
        &self.evidence
    }

    /// How many open cases were taken up at the start.
    #[must_use]
    pub fn recovered(&self) -> usize {
        self.recovered
    }

    /// Asks of the engine what another process would ask over the socket.
    pub async fn ask(&self, request: Request) -> Response {
        control::handle(&self.engine, request).await
    }

    /// Ends gracefully, in the order that stands at the head of this file.
    ///
    /// # Errors
    /// [`CliError`] if a role broke, or the ledger could not be closed. What
    /// was acknowledged is kept all the same.
    pub async fn shutdown(self) -> Result<(), CliError> {
        self.stops.ordering.send_replace(true);
        let mut broken = None;
        for task in self.tasks.ordering {
            broken = task.await.err().or(broken);
        }
        // Nobody takes from the queue any more while what is begun is finished, which may be
        // minutes: what is decided meanwhile waits in the ledger for the next start.
        self.engine.set_limits(&Limits::none());
        self.stops.working.send_replace(true);
        broken = self.tasks.working.await.err().or(broken);
        // A time limit here loses nothing: what is not recorded is ordered again.
        let _ = tokio::time::timeout(RECORDING, recorded(&self.queue)).await;
        self.stops.recording.send_replace(true);
        for task in self.tasks.recording {
            broken = task.await.err().or(broken);
        }
        self.ledger.close().await?;
        match broken {
            Some(error) => {
                Err(CliError::failed("a part of the engine broke; what was accepted is kept").caused_by(Some(&error)))
            }
            None => Ok(()),
        }
    }
}

impl Stops {
    fn new() -> (
        Self,
        watch::Receiver<bool>,
        watch::Receiver<bool>,
        watch::Receiver<bool>,
    ) {
        let (ordering, on_ordering) = watch::channel(false);
        let (working, on_working) = watch::channel(false);
        let (recording, on_recording) = watch::channel(false);
        (
            Self {
                ordering,
                working,
                recording,
            },
            on_ordering,
            on_working,
            on_recording,
        )
    }
}

/// Waits until every report has been taken.
async fn recorded(queue: &LocalQueue) {
    const LOOK_AGAIN: Duration = Duration::from_millis(10);
    let reports = QueueName::Reports { shard: SHARD };
    while let Ok(depths) = queue.depths().await {
        let left: u64 = depths
            .iter()
            .filter(|d| d.queue == reports)
            .map(|d| d.ready + d.unacknowledged.unwrap_or(0))
            .sum();
        if left == 0 {
            return;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Opens the ledger as soon as no command has it open that only looks or orders:
/// such a one is soon done. Whoever serves the folder is not waited for.
async fn ledger_when_free(config: &Configuration) -> Result<OpenLedger, CliError> {
    let until = Instant::now() + session::PATIENCE;
    loop {
        match OpenLedger::open(config).await {
            Err(error) if error.is_held() && Instant::now() < until => {
                let served = match socket(config) {
                    Some(path) => Client::connect(&path).await.is_ok_and(|client| client.is_some()),
                    None => false,
                };
                if served {
                    return Err(error);
                }
                tokio::time::sleep(session::LOOK_AGAIN).await;
            }
            opened => return opened,
        }
    }
}

/// The ledger of a working folder with an engine over it, and nothing running.
pub struct Opened {
    /// The engine.
    pub engine: Arc<Engine>,
    /// Its ledger.
    pub ledger: OpenLedger,
}

impl Opened {
    /// Opens the ledger to look at it and to order something, in a process
    /// that carries nothing out: it owns no case, so nothing is ever assigned.
    ///
    /// # Errors
    /// As [`Embedded::start`].
    pub async fn idle(config: &Configuration, clock: Arc<dyn Clock>) -> Result<Self, CliError> {
        let systems = Systems::open(config)?;
        let ledger = OpenLedger::open(config).await?;
        Self::over(config, clock, &systems, ledger)
    }

    /// Opens the ledger's file to look at it, also while another process has it or where
    /// nothing can be written: nothing can be ordered.
    ///
    /// # Errors
    /// [`CliError`] if it cannot be read so.
    pub fn to_read(config: &Configuration, clock: Arc<dyn Clock>) -> Result<Self, CliError> {
        let systems = Systems::open(config)?;
        Self::over(config, clock, &systems, OpenLedger::to_read(config)?)
    }

    fn over(
        config: &Configuration,
        clock: Arc<dyn Clock>,
        systems: &Systems,
        ledger: OpenLedger,
    ) -> Result<Self, CliError> {
        let shared = backends::is_shared(config);
        let queue: Arc<dyn Queue> = if shared {
            Arc::new(WhenNeeded::new(config, clock.clone()))
        } else {
            backends::local(&clock)
        };
        // Where the dispatchers' own is at hand, an order of theirs is told from
        // a forged one.
        let dispatch = if shared && config.engine.keys.join("dispatch.key").exists() {
            DispatchKey::load(&config.engine.keys)?
        } else {
            DispatchKey::ephemeral()?
        };
        let settings = Settings {
            limits: Limits::none(),
            shards: if shared { config.engine.shards } else { SHARDS },
            ..Settings::of(config, clock, dispatch, Store::at(&config.engine.store)?)
        };
        let engine = compose::engine(config, systems, &ledger, queue, settings)?;
        Ok(Self { engine, ledger })
    }
}

/// The control socket of a working folder, beside the ledger that it speaks
/// for; none where the ledger is a server's.
#[must_use]
pub fn socket(config: &Configuration) -> Option<PathBuf> {
    match &config.engine.ledger {
        LedgerUrl::Sqlite(file) => Some(file.with_file_name("offboard.sock")),
        LedgerUrl::Redis(_) => None,
    }
}

fn shared() -> CliError {
    CliError::usage("this folder's ledger and queue are shared by processes, and this command is all of them in one")
        .next("start `offboard dispatcher`, `offboard worker` and `offboard closer` in its place, as many of each as you like; hand departures to them with `offboard submit FILE`")
}
