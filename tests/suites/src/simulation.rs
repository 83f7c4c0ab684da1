//! One simulation: the real dispatcher, workers and closer on one thread with
//! paused time, over seams wrapped in the seed's faults; processes die and
//! start again; then faults stop, people grow diligent, and every case must
//! settle.

mod judge;

use crate::audit::Auditor;
use crate::clock::WatchedClock;
use crate::invariant::{Invariant, Violated};
use crate::logs;
use crate::model::{ModelWorker, ModelWorld};
use crate::person::People;
use crate::rng::Rng;
use crate::script;
use crate::seams::{FaultyLedger, FaultyQueue, FaultyStore};
use crate::transcript::{EPOCH, Transcript};
use crate::trouble::{Fortune, Rates, Trouble};
use crate::vendor::{Reached, Vendor};
use ed25519_dalek::SigningKey;
use object_store::memory::InMemory;
use offboard_dispatcher::admission::Limits;
use offboard_dispatcher::tenants::{Tenants, Terms};
use offboard_dispatcher::{Closer, Engine, Parts};
use offboard_domain::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use offboard_domain::{CaseState, TenantId};
use offboard_ledger::MemoryLedger;
use offboard_queue::LocalQueue;
use offboard_runtime::Clock;
use offboard_runtime::keys::{DispatchKey, EscrowMaster, QueueKeys};
use offboard_workers::{Context, Worker, WorkerConfig};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long faults last, in virtual time.
const UNKIND_FOR_MS: i64 = 14 * HOUR_MS;
/// Within this time after the faults have stopped, every case settles.
const SETTLES_WITHIN_MS: i64 = 12 * DAY_MS;
/// How often a process dies while faults last, on average.
const DIES_EVERY_MS: i64 = 3 * HOUR_MS;

/// What is simulated.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shape {
    /// Which workers.
    pub workers: Workers,
    /// What is broken on purpose, to show that it is caught.
    pub broken: Option<Broken>,
    /// Keeps the transcript's lines, not only their digest.
    pub verbose: bool,
}

/// Which workers a simulation has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Workers {
    /// The real ones, with the real connector, on the simulated vendor.
    #[default]
    Real,
    /// The model's: each end state is a switch. Cheap, so that many seeds try
    /// the dispatcher by itself.
    Model,
}

/// A part that is broken on purpose, at a seam: the product's code stays as it
/// is, and the harness must notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// Whoever's sessions are revoked loses his licences on the spot.
    LicencesGoEarly,
    /// Every wipe that is ordered is sent twice.
    WipesAreSentTwice,
    /// The ledger acknowledges new cases and writes nothing.
    NewCasesAreLost,
}

/// What a simulation came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// What was violated; nothing, if all is well.
    pub violated: Vec<Violated>,
    /// SHA-256 over the transcript.
    pub digest: String,
    /// How many lines the transcript has.
    pub lines: u64,
    /// The transcript, if it was kept.
    pub transcript: Vec<String>,
    /// Cases in all.
    pub cases: usize,
    /// How many of them were closed with evidence.
    pub closed: usize,
    /// Appends in all.
    pub appends: u64,
    /// Deaths of processes.
    pub deaths: u32,
    /// How long it took in virtual time, in milliseconds.
    pub virtual_ms: i64,
}

/// A simulation.
#[derive(Debug)]
pub struct Simulation;

impl Simulation {
    /// Runs one seed to its end. Everything in it follows from the seed.
    #[must_use]
    pub fn run(seed: u64, shape: &Shape) -> Outcome {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime of one thread needs nothing from outside");
        let local = runtime.block_on(async { Stage::set(seed, shape) });
        let _logs = logs::watch(local.auditor.clone());
        let outcome = runtime.block_on(local.play());
        runtime.shutdown_background();
        outcome
    }
}

/// A process: its tasks, which are dropped together, and its fortune.
struct Process {
    tasks: Vec<JoinHandle<()>>,
    trouble: Arc<Trouble>,
    engine: Option<Arc<Engine>>,
    _stop: watch::Sender<bool>,
}

/// What is outside: it outlives every process.
#[derive(Clone)]
enum Outside {
    Model(Arc<ModelWorld>),
    Vendor(Arc<Vendor>),
}

struct Stage {
    seed: u64,
    rng: Rng,
    rates: Rates,
    clock: Arc<dyn Clock>,
    ledger: Arc<MemoryLedger>,
    broker: LocalQueue,
    artifacts: Arc<InMemory>,
    evidence: Arc<InMemory>,
    tenants: BTreeMap<TenantId, Terms>,
    outside: Outside,
    people: Arc<People>,
    auditor: Arc<Auditor>,
    transcript: Arc<Transcript>,
    calm: Arc<AtomicBool>,
    master: [u8; 32],
    entropy: Arc<Mutex<Rng>>,
    /// One process is all there is, and its queue dies with it.
    embedded: bool,
    broken: Option<Broken>,
    tails_are_lost: bool,
    deaths: u32,
}

fn new_broker(clock: &Arc<dyn Clock>) -> LocalQueue {
    let clock = clock.clone();
    LocalQueue::new(Arc::new(move || clock.now()))
}

impl Stage {
    fn set(seed: u64, shape: &Shape) -> Self {
        let mut rng = Rng::of(seed, "stage");
        let master = rng.bytes();
        let transcript = Arc::new(Transcript::new(shape.verbose));
        let ledger = MemoryLedger::new();
        let auditor = Auditor::new(master, ledger.clone(), transcript.clone());
        let clock: Arc<dyn Clock> = WatchedClock::new(EPOCH, auditor.clone());
        let calm = Arc::new(AtomicBool::new(false));
        let mut script = Rng::of(seed, "script");
        let unkind = [0, 100, 300, 700][usize::try_from(rng.below(4)).unwrap_or(0)];
        let (outside, tenants, errands) = match shape.workers {
            Workers::Model => {
                let (tenants, errands, canaries) = script::model(&mut script);
                auditor.watch_for(canaries);
                (
                    Outside::Model(ModelWorld::new(Rng::of(seed, "world"), unkind)),
                    tenants,
                    errands,
                )
            }
            Workers::Real => {
                let claims = script::everything().0.into_values().flatten().collect();
                let (vendor, tenants, errands) = script::vendor(seed, &mut script, &claims);
                for (tenant, built) in &vendor.tenants {
                    auditor.watch_for(vendor.canaries(built).into_iter().map(|c| (tenant.clone(), c)));
                }
                (Outside::Vendor(vendor), tenants, errands)
            }
        };
        let people = People::new(
            Rng::of(seed, "people"),
            errands,
            clock.clone(),
            transcript.clone(),
            auditor.clone(),
            calm.clone(),
        );
        Self {
            seed,
            rates: script::rates(&mut rng),
            embedded: rng.happens(500),
            tails_are_lost: rng.happens(150),
            broker: new_broker(&clock),
            artifacts: Arc::new(InMemory::new()),
            evidence: Arc::new(InMemory::new()),
            outside,
            entropy: Arc::new(Mutex::new(Rng::of(seed, "salts"))),
            deaths: 0,
            broken: shape.broken,
            rng,
            clock,
            ledger,
            tenants,
            people,
            auditor,
            transcript,
            calm,
            master,
        }
    }

    fn note(&self, text: &str) {
        self.transcript.line(self.clock.now(), text);
    }

    fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    fn fortune(&mut self, name: &'static str) -> Arc<Trouble> {
        self.deaths += 1;
        let doomed = !self.is_calm() && self.rng.happens(400);
        let dies_in = if doomed { 1 + self.rng.below(400) } else { 0 };
        Trouble::new(Fortune {
            name,
            clock: self.clock.clone(),
            transcript: self.transcript.clone(),
            rng: Rng::of(self.seed, &format!("{name}-{}", self.deaths)),
            rates: self.rates,
            calm: self.calm.clone(),
            dies_in,
        })
    }

    fn queue(&self, trouble: &Arc<Trouble>) -> Arc<FaultyQueue> {
        Arc::new(FaultyQueue {
            inner: self.broker.clone(),
            auditor: self.auditor.clone(),
            trouble: trouble.clone(),
        })
    }

    fn dispatcher(&mut self) -> Process {
        let trouble = self.fortune("dispatcher");
        let queue = self.queue(&trouble);
        let ledger = Arc::new(FaultyLedger {
            inner: self.ledger.clone(),
            auditor: self.auditor.clone(),
            trouble: trouble.clone(),
            loses_new_cases: self.broken == Some(Broken::NewCasesAreLost),
        });
        let entropy = self.entropy.clone();
        let engine = Engine::new(Parts {
            ledger,
            queue,
            store: FaultyStore::over(&self.artifacts, &trouble),
            clock: self.clock.clone(),
            tenants: Tenants::new(self.tenants.clone()),
            master: self.master,
            entropy: Arc::new(move || entropy.lock().unwrap_or_else(PoisonError::into_inner).bytes()),
            limits: Limits::each(6),
            dispatch: self.dispatch(),
            shards: 1,
            keeping: None,
        });
        let (stop, stopped) = watch::channel(false);
        let closer = Closer::new(
            engine.clone(),
            self.signer(),
            FaultyStore::over(&self.evidence, &trouble),
        );
        let (clock, people, life) = (self.clock.clone(), self.people.clone(), engine.clone());
        let tasks = vec![tokio::spawn(async move {
            while let Err(error) = life.recover().await {
                tracing::warn!(%error, "failed to recover; trying again");
                clock.sleep_until(clock.now().plus(1_000)).await;
            }
            futures::join!(
                life.clone().sweep(stopped.clone()),
                life.clone().pump(stopped.clone()),
                life.clone().take_reports(0, stopped.clone()),
                closer.run(stopped),
                people.live(life),
            );
        })];
        Process {
            tasks,
            trouble,
            engine: Some(engine),
            _stop: stop,
        }
    }

    fn dispatch(&self) -> DispatchKey {
        DispatchKey::from_bytes(Rng::of(self.seed, "dispatch").bytes())
    }

    fn signer(&self) -> SigningKey {
        SigningKey::from_bytes(&Rng::of(self.seed, "signer").bytes())
    }

    fn worker(&mut self) -> Process {
        let trouble = self.fortune("worker");
        let queue = self.queue(&trouble);
        let (stop, stopped) = watch::channel(false);
        let task = match self.outside.clone() {
            Outside::Model(world) => {
                let worker = ModelWorker {
                    queue,
                    world,
                    clock: self.clock.clone(),
                    trouble: trouble.clone(),
                };
                tokio::spawn(async move { worker.run().await })
            }
            Outside::Vendor(vendor) => {
                let context = Context {
                    store: FaultyStore::over(&self.artifacts, &trouble),
                    connectors: Arc::new(Reached::new(&vendor, &self.clock, &trouble, self.broken)),
                    escrow: Some(EscrowMaster::from_bytes(self.master)),
                    clock: self.clock.clone(),
                };
                let worker = Worker::new(
                    WorkerConfig::default(),
                    queue,
                    QueueKeys::Dispatch(self.dispatch()),
                    context,
                );
                tokio::spawn(async move { worker.run(stopped).await })
            }
        };
        Process {
            tasks: vec![task],
            trouble,
            engine: None,
            _stop: stop,
        }
    }

    async fn end(&self, process: Process) {
        for task in &process.tasks {
            task.abort();
        }
        for task in process.tasks {
            if let Err(error) = task.await
                && error.is_panic()
            {
                self.auditor
                    .violated(Invariant::NoPanic, format!("a {} broke", process.trouble.name()));
            }
        }
    }

    /// The dispatcher has died: time passes, a tail may be lost, it starts again.
    async fn again(&mut self, process: Process, worker: &mut Option<Process>) -> Process {
        self.note("dispatcher dies");
        self.end(process).await;
        if self.embedded {
            if let Some(worker) = worker.take() {
                self.end(worker).await;
            }
            self.broker = new_broker(&self.clock);
        }
        let down_ms = if self.rng.happens(300) {
            self.rng.between(0, 30 * MINUTE_MS)
        } else {
            self.rng.between(0, 5_000)
        };
        tokio::time::sleep(Duration::from_millis(down_ms.unsigned_abs())).await;
        if self.tails_are_lost {
            self.lose_a_tail().await;
        }
        let dispatcher = self.dispatcher();
        if worker.is_none() {
            *worker = Some(self.worker());
        }
        dispatcher
    }

    async fn lose_a_tail(&mut self) {
        let mut open = Vec::new();
        self.auditor.each_case(|tenant, shadow| {
            if !shadow.case.state.ended() && shadow.case.version > 8 {
                open.push((tenant.clone(), shadow.case.id));
            }
        });
        let n = usize::try_from(self.rng.below(open.len() as u64)).unwrap_or(0);
        if let Some((tenant, case)) = open.get(n) {
            let left = self.ledger.lose_tail(tenant, *case, 1);
            self.note(&format!("the ledger loses the tail of {case}; version {left} is left"));
            self.auditor.lost_tail(tenant, *case).await;
        }
    }

    async fn play(mut self) -> Outcome {
        let mut dispatcher = self.dispatcher();
        let mut worker = Some(self.worker());
        let end = EPOCH.plus(UNKIND_FOR_MS);
        while self.clock.now() < end && !self.spins() {
            let wait_ms = self.rng.between(MINUTE_MS, 2 * DIES_EVERY_MS);
            let until = end.min(self.clock.now().plus(wait_ms));
            let worker_died = async {
                match &worker {
                    Some(process) => process.trouble.death().await,
                    None => std::future::pending().await,
                }
            };
            let what = tokio::select! {
                biased;
                () = self.auditor.halted() => break,
                () = dispatcher.trouble.death() => 0,
                () = worker_died => 1,
                () = self.clock.sleep_until(until) => self.rng.below(4),
            };
            match what {
                0 => dispatcher = self.again(dispatcher, &mut worker).await,
                1 => {
                    self.note("worker dies");
                    if let Some(process) = worker.take() {
                        self.end(process).await;
                    }
                    worker = Some(self.worker());
                }
                _ => {
                    // The vendor's world has colleagues of its own.
                    if let Outside::Model(world) = &self.outside
                        && let Some(kind) = world.undo_something()
                    {
                        self.note(&format!("a colleague undoes {kind}"));
                    }
                }
            }
        }
        self.note("faults stop");
        self.calm.store(true, Ordering::Relaxed);
        match &self.outside {
            Outside::Model(world) => world.calm(),
            Outside::Vendor(vendor) => vendor.calm(),
        }
        dispatcher = self.again(dispatcher, &mut worker).await;
        let deadline = self.clock.now().plus(SETTLES_WITHIN_MS);
        while self.clock.now() < deadline
            && !self.settled()
            && !self.spins()
            && !dispatcher.tasks.iter().any(JoinHandle::is_finished)
        {
            tokio::select! {
                biased;
                () = self.auditor.halted() => break,
                () = tokio::time::sleep(Duration::from_millis(600_000)) => {}
            }
        }
        self.judge(&dispatcher);
        self.judge_evidence().await;
        self.end(dispatcher).await;
        if let Some(process) = worker.take() {
            self.end(process).await;
        }
        self.outcome()
    }

    fn spins(&self) -> bool {
        self.auditor
            .verdict()
            .iter()
            .any(|v| v.invariant == Invariant::WakeMovesForward)
    }

    fn settled(&self) -> bool {
        let mut all = self.people.handed_in();
        self.auditor.each_case(|_, shadow| all &= shadow.case.is_over());
        all
    }

    fn outcome(self) -> Outcome {
        let violated = self.auditor.verdict();
        let (mut cases, mut closed) = (0, 0);
        self.auditor.each_case(|_, shadow| {
            cases += 1;
            closed += usize::from(shadow.case.state == CaseState::Closed);
        });
        let (digest, lines) = self.transcript.digest();
        Outcome {
            seed: self.seed,
            violated,
            digest,
            lines,
            transcript: self.transcript.take(),
            cases,
            closed,
            appends: self.auditor.appends(),
            deaths: self.deaths,
            virtual_ms: self.clock.now().since(EPOCH),
        }
    }
}
