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

use crate::error::CliError;
use crate::systems::Systems;
use offboard_dispatcher::admission::Place;
use offboard_dispatcher::control::{self, Request, Response, Server};
use offboard_dispatcher::tenants::{Tenants, Terms};
use offboard_dispatcher::{Closer, Engine, Parts};
use offboard_domain::Lane;
use offboard_ledger::{LedgerError, SqliteLedger};
use offboard_queue::{LocalQueue, Queue, QueueName};
use offboard_runtime::config::{Configuration, LedgerUrl, QueueUrl, StoreUrl};
use offboard_runtime::keys::{EscrowMaster, MasterKey, SigningKey};
use offboard_runtime::{Clock, private};
use offboard_store::Store;
use offboard_workers::{Concurrency, Context, Worker, WorkerConfig};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The shard of an embedded installation.
const SHARD: u16 = 0;

/// How long a shutdown lets attempts finish, in real time: most requests are
/// answered within seconds, and what is cut off is begun again.
const GRACE: Duration = Duration::from_secs(10);

/// How long a shutdown waits for reports to be recorded, in real time.
const RECORDING: Duration = Duration::from_secs(5);

/// Credit of each queue of assignments.
pub type Limit = Box<dyn Fn(Place) -> u32 + Send + Sync>;

/// What differs from the configuration.
#[derive(Default)]
pub struct Overrides {
    /// Other systems than those configured.
    pub systems: Option<Systems>,
    /// Another credit of each queue.
    pub limit: Option<Limit>,
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
    ledger: Arc<SqliteLedger>,
    queue: Arc<LocalQueue>,
    evidence: PathBuf,
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
        let systems = match overrides.systems {
            Some(systems) => systems,
            None => Systems::open(config)?,
        };
        let limit = overrides.limit.unwrap_or_else(|| configured(config));
        let opened = Opened::open(config, clock.clone(), &systems, limit)?;
        let Opened { engine, ledger, queue } = opened;
        let (stops, ordering, working, recording) = Stops::new();
        let mut tasks = Vec::new();
        if !overrides.no_control {
            let server = Server::bind(&socket(config))?;
            tasks.push(tokio::spawn(server.run(engine.clone(), recording.clone())));
        }
        let evidence = config.engine.evidence.clone();
        let signing = SigningKey::load(&config.engine.keys)?;
        let closer = Closer::new(engine.clone(), signing.expose().clone(), Store::folder(&evidence)?);
        let worker = Worker::new(
            WorkerConfig {
                concurrency: overrides.concurrency.unwrap_or_else(|| concurrency(config)),
                grace: overrides.grace.unwrap_or(GRACE),
                ..WorkerConfig::default()
            },
            queue.clone(),
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

    /// The folder of sealed evidence.
    #[must_use]
    pub fn evidence(&self) -> &Path {
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
            .map(|d| d.ready + d.unacknowledged)
            .sum();
        if left == 0 {
            return;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// The ledger of a working folder with an engine over it, and nothing running.
pub struct Opened {
    /// The engine.
    pub engine: Arc<Engine>,
    /// Its ledger.
    pub ledger: Arc<SqliteLedger>,
    queue: Arc<LocalQueue>,
}

impl Opened {
    /// Opens the ledger to look at it and to order something, in a process
    /// that carries nothing out: without credit nothing is ever assigned.
    ///
    /// # Errors
    /// As [`Embedded::start`].
    pub fn idle(config: &Configuration, clock: Arc<dyn Clock>) -> Result<Self, CliError> {
        let systems = Systems::open(config)?;
        Self::open(config, clock, &systems, Box::new(|_| 0))
    }

    fn open(config: &Configuration, clock: Arc<dyn Clock>, systems: &Systems, limit: Limit) -> Result<Self, CliError> {
        let LedgerUrl::Sqlite(file) = &config.engine.ledger;
        let StoreUrl::Folder(store) = &config.engine.store;
        let QueueUrl::Memory = config.engine.queue;
        if let Some(folder) = file.parent() {
            private::create_folder(folder)?;
        }
        let ledger = SqliteLedger::open(file).map_err(|e| match &e {
            LedgerError::Held { .. } => CliError::of(&e).held(),
            _ => CliError::of(&e),
        })?;
        let time = clock.clone();
        let queue = Arc::new(LocalQueue::new(Arc::new(move || time.now())));
        let master = MasterKey::load(&config.engine.keys)?;
        let engine = Engine::new(Parts {
            ledger: ledger.clone(),
            queue: queue.clone(),
            store: Store::folder(store)?,
            clock,
            tenants: tenants(config, systems),
            master: *master.expose(),
            entropy: Arc::new(salt),
            limit,
        });
        Ok(Self { engine, ledger, queue })
    }
}

/// The control socket of a working folder: beside the ledger that it speaks for.
#[must_use]
pub fn socket(config: &Configuration) -> PathBuf {
    let LedgerUrl::Sqlite(file) = &config.engine.ledger;
    file.with_file_name("offboard.sock")
}

/// What the dispatcher needs to know of each tenant.
#[must_use]
pub fn tenants(config: &Configuration, systems: &Systems) -> Tenants {
    let terms = |t: &offboard_runtime::config::Tenant| Terms {
        policy: Arc::new(t.policy.clone()),
        capabilities: Arc::new(systems.capabilities(&t.id)),
        weight: t.weight,
    };
    Tenants(config.tenants.values().map(|t| (t.id.clone(), terms(t))).collect())
}

fn configured(config: &Configuration) -> Limit {
    let admission = config.engine.admission.clone();
    Box::new(move |place| {
        let credit = admission.credit.get(&place).copied().unwrap_or_default();
        match place.1 {
            Lane::Urgent => credit.min(admission.urgent_cap),
            Lane::Normal => credit,
        }
    })
}

/// Half as many of the normal lane as of the urgent one, so that what is
/// urgent always finds a hand free.
fn concurrency(config: &Configuration) -> Concurrency {
    let most = config.engine.admission.prefetch.max(1);
    Concurrency {
        urgent: most,
        normal: (most / 2).max(1),
    }
}

fn salt() -> [u8; 32] {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the system gives random bytes: without them no case may be opened");
    bytes
}
