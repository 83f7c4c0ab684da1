//! The whole embedded engine over systems that answer at once.

use crate::noop::{ForAll, Noop};
use crate::recording::Recording;
use ed25519_dalek::SigningKey;
use offboard_dispatcher::admission::Limits;
use offboard_dispatcher::tenants::{Tenants, Terms};
use offboard_dispatcher::{Closer, Engine, Parts};
use offboard_domain::departure::{Choices, Manner, PersonRef};
use offboard_domain::policy::{Approvals, SuccessorRule};
use offboard_domain::{Departure, Kind, Policy, TenantId};
use offboard_ledger::{Ledger, SqliteLedger};
use offboard_queue::LocalQueue;
use offboard_runtime::keys::{DispatchKey, QueueKeys};
use offboard_runtime::{Clock, SystemClock};
use offboard_store::Store;
use offboard_workers::{Concurrency, Context, Worker, WorkerConfig};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Anything that may go wrong in a bench ends it.
pub(crate) type Failed = Box<dyn std::error::Error + Send + Sync>;

/// How many tenants the departures are spread over.
pub(crate) const TENANTS: usize = 20;

/// Longest a run may take.
pub(crate) const LONGEST: Duration = Duration::from_secs(900);

/// How often it is looked whether all is done: the one who waits costs nothing then.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(2);

/// The tenant of the n-th departure.
pub(crate) fn tenant(n: usize) -> Result<TenantId, Failed> {
    Ok(TenantId::new(&format!("tenant-{}", n % TENANTS))?)
}

/// What the departures want: everything that no person and no hour is needed for.
pub(crate) fn policy() -> Policy {
    Policy {
        approvals: Approvals {
            plan: false,
            ..Policy::default().approvals
        },
        successor: SuccessorRule::Nobody,
        skip: [Kind::ConfirmHandover, Kind::Validate].into(),
        departures_per_hour: u32::MAX,
        ..Policy::default()
    }
}

/// The n-th departure.
pub(crate) fn departure(n: usize, clock: &dyn Clock) -> Result<Departure, Failed> {
    Ok(Departure {
        tenant: tenant(n)?,
        reference: Some(format!("B-{n}")),
        person: PersonRef {
            user_principal_name: Some(format!("p{n}@bench.example")),
            ..PersonRef::default()
        },
        manner: Manner::Immediate,
        effective_at: clock.now(),
        of_day: None,
        requested_by: "bench".into(),
        handed_in_by: None,
        requested_at: clock.now(),
        successor: None,
        choices: Choices::default(),
    })
}

fn dispatch() -> DispatchKey {
    DispatchKey::from_bytes([8; 32])
}

/// A running engine.
pub(crate) struct Running {
    /// The engine.
    pub(crate) engine: Arc<Engine>,
    /// Its clock.
    pub(crate) clock: Arc<dyn Clock>,
    stop: watch::Sender<bool>,
    loops: Vec<tokio::task::JoinHandle<()>>,
}

impl Running {
    /// An engine over a ledger in this folder, with workers or without, for tenants who want this.
    pub(crate) async fn start(
        ledger: Arc<dyn Ledger>,
        folder: &Path,
        workers: bool,
        policy: Policy,
    ) -> Result<Self, Failed> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let noop = Noop::new();
        let terms = Terms {
            policy: Arc::new(policy),
            capabilities: Arc::new(noop.capabilities()),
            weight: 1,
            sites: std::collections::BTreeMap::new(),
        };
        let tenants = (0..TENANTS)
            .map(|n| Ok((tenant(n)?, terms.clone())))
            .collect::<Result<_, Failed>>()?;
        let queue_clock = clock.clone();
        let queue: Arc<dyn offboard_queue::Queue> = Arc::new(LocalQueue::new(Arc::new(move || queue_clock.now())));
        let store = Store::folder(&folder.join("store"))?;
        let engine = Engine::new(Parts {
            ledger,
            queue: queue.clone(),
            store: store.clone(),
            clock: clock.clone(),
            tenants: Tenants::new(tenants),
            master: [7; 32],
            entropy: Arc::new(|| {
                let mut salt = [0; 32];
                getrandom::fill(&mut salt).unwrap_or_default();
                salt
            }),
            limits: Limits::each(256),
            dispatch: dispatch(),
            shards: 1,
            keeping: None,
        });
        // The one shard there is.
        engine.take_shard(0).await?;
        let (stop, stopping) = watch::channel(false);
        let mut loops = vec![
            tokio::spawn(engine.clone().take_reports(0, stopping.clone())),
            tokio::spawn(engine.clone().sweep(stopping.clone())),
            tokio::spawn(engine.clone().pump(stopping.clone())),
            tokio::spawn(
                Closer::new(
                    engine.clone(),
                    SigningKey::from_bytes(&[9; 32]),
                    Store::folder(&folder.join("evidence"))?,
                )
                .run(stopping.clone()),
            ),
        ];
        if workers {
            let config = WorkerConfig {
                concurrency: Concurrency {
                    urgent: 256,
                    normal: 256,
                },
                ..WorkerConfig::default()
            };
            let context = Context {
                store,
                connectors: Arc::new(ForAll(noop)),
                escrow: None,
                clock: clock.clone(),
            };
            let worker = Worker::new(config, queue, QueueKeys::Dispatch(dispatch()), context);
            loops.push(tokio::spawn(async move { worker.run(stopping).await }));
        }
        Ok(Self {
            engine,
            clock,
            stop,
            loops,
        })
    }

    /// Stops everything.
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        for l in self.loops {
            drop(l.await);
        }
    }

    /// Submits `count` departures, `at_once` at the same time.
    pub(crate) async fn submit(&self, first: usize, count: usize, at_once: usize) -> Result<(), Failed> {
        let mut running = tokio::task::JoinSet::new();
        for n in first..first + count {
            if running.len() >= at_once
                && let Some(done) = running.join_next().await
            {
                done??;
            }
            let (engine, departure) = (self.engine.clone(), departure(n, self.clock.as_ref())?);
            running.spawn(async move { engine.submit(departure).await.map(drop) });
        }
        while let Some(done) = running.join_next().await {
            done??;
        }
        Ok(())
    }

    /// Waits until at most this many cases are held.
    pub(crate) async fn until_held(&self, most: usize) -> Result<(), Failed> {
        let began = Instant::now();
        while self.engine.held() > most {
            if began.elapsed() > LONGEST {
                let holds = self.engine.holdings();
                return Err(format!("after {LONGEST:?} the engine still holds {holds}").into());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}

/// One full-load run: how long, how many tasks, and what was appended.
pub(crate) struct Full {
    /// Wall time.
    pub(crate) took: Duration,
    /// Tasks settled.
    pub(crate) tasks: u64,
    /// What was appended, for the bare run.
    pub(crate) recorded: Arc<Recording>,
    /// Where it left its files.
    pub(crate) folder: tempfile::TempDir,
}

/// Departures through the whole engine.
pub(crate) async fn full_load(departures: usize) -> Result<Full, Failed> {
    let folder = tempfile::tempdir()?;
    let sqlite = SqliteLedger::open(&folder.path().join("ledger.db"))?;
    let recorded = Arc::new(Recording::over(sqlite.clone()));
    let running = Running::start(recorded.clone(), folder.path(), true, policy()).await?;
    let began = Instant::now();
    running.submit(0, departures, 128).await?;
    running.until_held(0).await?;
    let took = began.elapsed();
    running.stop().await;
    sqlite.close().await?;
    let tasks = recorded.settled();
    if tasks < departures as u64 {
        return Err(format!("{departures} departures settled {tasks} tasks: nothing was measured").into());
    }
    Ok(Full {
        took,
        tasks,
        recorded,
        folder,
    })
}
