//! One simulation: the real dispatcher, workers and closer on one thread with
//! paused time, over seams wrapped in the seed's faults; processes die and
//! start again; then faults stop, people grow diligent, and every case must
//! settle.

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
use offboard_dispatcher::tenants::Tenants;
use offboard_dispatcher::{Closer, Engine, Parts};
use offboard_domain::standing::{standing, words};
use offboard_domain::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use offboard_domain::{Case, CaseState, Digest, Gates, Kind, TenantId, Timestamp, evidence};
use offboard_ledger::MemoryLedger;
use offboard_queue::LocalQueue;
use offboard_runtime::Clock;
use offboard_runtime::keys::EscrowMaster;
use offboard_sim::world::{Actor, Effect, Harm};
use offboard_store::Store;
use offboard_workers::{Context, Worker, WorkerConfig};
use std::collections::{BTreeMap, BTreeSet};
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
    tenants: Tenants,
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
            tenants: self.tenants.clone(),
            master: self.master,
            entropy: Arc::new(move || entropy.lock().unwrap_or_else(PoisonError::into_inner).bytes()),
            limit: Box::new(|_| 6),
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
                let worker = Worker::new(WorkerConfig::default(), queue, context);
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
        self.auditor.each_case(|_, shadow| all &= shadow.case.state.ended());
        all
    }

    fn judge(&self, dispatcher: &Process) {
        for (case, tenant) in self.people.accepted() {
            if self.auditor.with_case(&tenant, case, |_| ()).is_none() {
                self.auditor.violated(
                    Invariant::AcceptedNeverLost,
                    format!("{case} was accepted and is not there"),
                );
            }
        }
        let mut unsettled = Vec::new();
        self.auditor
            .each_case(|tenant, shadow| unsettled.extend(self.why_open(tenant, &shadow.case)));
        for what in unsettled {
            self.note(&what);
            self.auditor.violated(Invariant::Liveness, what);
        }
        if !self.people.handed_in() {
            self.auditor
                .violated(Invariant::Liveness, "a departure could never be handed in".into());
        }
        if let Some(engine) = &dispatcher.engine
            && self.settled()
            && !engine.idle()
        {
            self.auditor.violated(
                Invariant::CreditIsKept,
                format!("everything is settled, but the engine holds: {}", engine.holdings()),
            );
        }
        match &self.outside {
            Outside::Model(world) => self.judge_model(world),
            Outside::Vendor(vendor) => self.judge_vendor(vendor),
        }
    }

    fn judge_model(&self, world: &ModelWorld) {
        for act in world.acts() {
            if act.kind == Kind::WipeDevice && act.times > 1 {
                let what = format!(
                    "{} of {} was wiped {} times",
                    act.object.map_or(String::new(), |o| o.0),
                    act.tenant,
                    act.times
                );
                self.auditor.violated(Invariant::WipeNeverTwice, what);
            }
        }
    }

    fn judge_vendor(&self, vendor: &Vendor) {
        let mut allowed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut given_up: BTreeSet<String> = BTreeSet::new();
        self.auditor.each_case(|tenant, shadow| {
            let Some(built) = vendor.tenants.get(tenant) else {
                return;
            };
            if shadow.case.tasks.len() > 1 {
                if shadow.drive_given_up {
                    given_up.extend(shadow.case.subject.0.values().map(|id| id.0.clone()));
                }
                let allowed = allowed.entry(built.id.clone()).or_default();
                allowed.extend(shadow.case.subject.0.values().map(|id| id.0.clone()));
                allowed.extend(shadow.case.subject_facts.text("successor_id").map(str::to_owned));
            }
        });
        let world = vendor.world();
        let none = BTreeSet::new();
        for entry in world.journal() {
            let Actor::App { .. } = entry.actor else { continue };
            let at = entry.at_ms - EPOCH.0;
            self.note(&format!(
                "world {at} {} {} {}",
                entry.effect, entry.subject, entry.object
            ));
            let allowed = allowed.get(&entry.tenant).unwrap_or(&none);
            if entry.effect != Effect::KeyRead && !allowed.contains(&entry.subject) && !allowed.contains(&entry.object)
            {
                let what = format!(
                    "{} of {} on {} in {}",
                    entry.effect, entry.subject, entry.object, entry.tenant
                );
                self.auditor.violated(Invariant::NeverAnotherSubject, what);
            }
        }
        for harm in world.violations() {
            let Actor::App { .. } = harm.actor else { continue };
            let invariant = match harm.harm {
                // By a person's explicit decision, which the case records.
                Harm::DriveNotHandedOver if given_up.contains(&harm.subject) => continue,
                Harm::LicenceBeforeConversion
                | Harm::MailboxLost
                | Harm::KeptMailboxUnlicensed
                | Harm::DriveNotHandedOver => Invariant::LicenceAfterPreservation,
                Harm::PersonalDeviceWiped => Invariant::WipeNeverPersonal,
                Harm::WipedTwice => Invariant::WipeNeverTwice,
                _ => Invariant::NoHarm,
            };
            let what = format!(
                "{} to {} by {} at {}",
                harm.harm.name(),
                harm.subject,
                harm.object,
                Timestamp(harm.at_ms)
            );
            self.auditor.violated(invariant, what);
        }
    }

    /// The evidence of each closed case, with the public key alone.
    async fn judge_evidence(&self) {
        let mut closed = Vec::new();
        self.auditor.each_case(|tenant, shadow| {
            if shadow.case.state == CaseState::Closed {
                let sealed_at = shadow.sealed_at;
                closed.push((
                    tenant.clone(),
                    shadow.case.id,
                    shadow.case.evidence,
                    sealed_at,
                    shadow.case.tasks.len(),
                ));
            }
        });
        let key = self.signer().verifying_key();
        for (tenant, case, digest, sealed_at, tasks) in closed {
            let name = format!("{tenant}/{case}/evidence-{sealed_at}.dsse.json");
            let wrong = match Store::on(self.evidence.clone()).get_named(&name).await {
                Err(error) => Some(error.to_string()),
                Ok(bytes) if digest != Some(Digest::of(&bytes)) => {
                    Some("it is not the file that the case names".to_owned())
                }
                Ok(bytes) => match evidence::verify(&bytes, &key) {
                    Err(error) => Some(error.to_string()),
                    Ok(statement) if statement.predicate.tasks.len() != tasks => Some(format!(
                        "it tells of {} tasks, there are {tasks}",
                        statement.predicate.tasks.len()
                    )),
                    Ok(_) => self.auditor.foreign_canary(&tenant, &bytes),
                },
            };
            if let Some(wrong) = wrong {
                self.auditor
                    .violated(Invariant::EvidenceVerifies, format!("{name}: {wrong}"));
            }
        }
    }

    fn why_open(&self, tenant: &TenantId, case: &Case) -> Option<String> {
        if case.state.ended() {
            return None;
        }
        let (gates, now) = (Gates::open(), self.clock.now());
        let open: Vec<String> = case
            .tasks
            .values()
            .filter(|t| !t.is_settled())
            .map(|t| format!("{} {}", t.kind(), words(&standing(case, t, now, &gates), t)))
            .collect();
        Some(format!(
            "{tenant} {} is {} after all: {}",
            case.id,
            case.state.word(),
            open.join("; ")
        ))
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
