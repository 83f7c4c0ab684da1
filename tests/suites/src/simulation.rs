//! One simulation: the real dispatcher, workers and closer on one thread with
//! paused time, over seams wrapped in the seed's faults; processes die and
//! start again; then faults stop, people grow diligent, and every case must
//! settle.

mod judge;

use crate::audit::Auditor;
use crate::beside::{Beside, Psa};
use crate::clock::{MachinesClock, WatchedClock};
use crate::invariant::{Invariant, Violated};
use crate::logs;
use crate::model::{ModelWorker, ModelWorld};
use crate::person::People;
use crate::rng::Rng;
use crate::script;
use crate::seams::{Broker, FaultyLedger, FaultyQueue, FaultyStore};
use crate::transcript::{EPOCH, Transcript};
use crate::trouble::{Fortune, Rates, Trouble};
use crate::vendor::{Reached, Vendor};
use ed25519_dalek::SigningKey;
use futures::StreamExt as _;
use object_store::memory::InMemory;
use object_store::{ObjectStore as _, ObjectStoreExt as _};
use offboard_dispatcher::admission::Limits;
use offboard_dispatcher::tenants::{Tenants, Terms};
use offboard_dispatcher::{Closer, Engine, Keeping, Membership, Parts};
use offboard_domain::assignment::CLOCK_MARGIN_MS;
use offboard_domain::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use offboard_domain::{CaseState, TenantId, Timestamp};
use offboard_ledger::MemoryLedger;
use offboard_queue::LocalQueue;
use offboard_runtime::Clock;
use offboard_runtime::keys::{DispatchKey, EscrowMaster, QueueKeys};
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
/// How far a clock may be wrong where there are several: two of them differ by
/// less than what an assignment's validity leaves for it.
const SKEWED_BY_MS: i64 = CLOCK_MARGIN_MS / 2 - 1_000;
/// How far all of them together may be from everybody else's. More than the margin
/// between two of them is nothing that is promised: an order would still be carried out
/// after it has counted as unanswered.
const SKEWED_TOGETHER_BY_MS: i64 = 2 * MINUTE_MS;
/// How many appends a shared ledger loses with its end, at most.
const MOST_LOST: u64 = 12;
/// How long a process may be cut off from everything: longer than a lease.
const CUT_OFF_FOR_MS: i64 = 5 * MINUTE_MS;
/// Shards, where several dispatchers share them.
const SHARDS: u16 = 4;
/// When a case that has ended leaves a shared ledger.
const KEEPING: Keeping = Keeping {
    archive_after_ms: DAY_MS,
};
/// How long a process that is told to stop may take.
const STOPS_WITHIN: Duration = Duration::from_secs(120);

/// What is simulated.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shape {
    /// Which workers.
    pub workers: Workers,
    /// How many dispatchers and workers there are.
    pub processes: Processes,
    /// Whether all who administer a tenant leave it at the same second; with the real
    /// workers.
    pub administrators: bool,
    /// What is broken on purpose, to show that it is caught.
    pub broken: Option<Broken>,
    /// Keeps the transcript's lines, not only their digest.
    pub verbose: bool,
}

impl Shape {
    /// The command that replays a seed of this shape, as the README has it (an alias in
    /// `.cargo/config.toml`; `tests/readme` runs it).
    #[must_use]
    pub fn replay(&self, seed: u64) -> String {
        let model = if self.workers == Workers::Model { " --model" } else { "" };
        let several = if self.processes == Processes::Several {
            " --several"
        } else {
            ""
        };
        let administrators = if self.administrators { " --administrators" } else { "" };
        format!("cargo simulate{model}{several}{administrators} --seed {seed}")
    }
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

/// How many processes of each role a simulation has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Processes {
    /// One dispatcher and one worker, perhaps in one process with the queue.
    #[default]
    One,
    /// Up to three of each, with clocks that differ and are set, which share out shards,
    /// hand them over, are cut off, and die each for itself, while the broker loses its
    /// data and the ledger its end.
    Several,
}

/// A part that is broken on purpose, at a seam: the product's code stays as it
/// is, and the harness must notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// Whoever's sessions are revoked loses his licences on the spot.
    LicencesGoEarly,
    /// A revocation strikes another leaver of the same tenant, if one was revoked before.
    AnotherLeaverIsRevoked,
    /// Every wipe that is ordered is sent twice.
    WipesAreSentTwice,
    /// The ledger acknowledges new cases and writes nothing.
    NewCasesAreLost,
    /// The store of the evidence keeps something else than what was sealed.
    EvidenceIsChanged,
    /// A worker of the model's releases licences while it does anything else.
    LicencesGoWithAnything,
    /// The vendor calls everybody and everything by the secret that the application proves
    /// itself with.
    SecretsStandForNames,
    /// Whoever reads a device that was given to somebody else is shown whose it was.
    OwnersStayOld,
    /// The ledger keeps nothing of who leaves, of those who administer a tenant.
    NobodyKnowsWhoLeaves,
    /// The ledger says of who is to be claimed that the case of another leaver of the same
    /// tenant has him.
    ClaimsAreAnothers,
    /// The vendor lists no message that is flagged.
    MessagesAreHidden,
    /// Every ticket is opened twice.
    TicketsAreOpenedTwice,
    /// The desk closes whatever is noted on.
    TicketsAreClosedEarly,
    /// Every page is added a second time, under another title.
    PagesAreAddedTwice,
    /// Nothing is sealed before the desk has answered.
    SealingWaitsForTheDesk,
    /// Applications show everybody as ended, and let him in.
    TheAppCallsEverybodyEnded,
    /// Applications end another account with each that they are to end.
    AnotherEndsInTheApp,
    /// Workspaces show everybody as suspended, and let him in.
    TheWorkspaceCallsEverybodySuspended,
    /// Workspaces suspend another account with each that they are to suspend.
    AnotherEndsInTheWorkspace,
    /// Workspaces give files away twice.
    FilesAreTransferredTwice,
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
    /// What there was beside the vendor.
    pub judged: Judged,
    /// What befell several processes at once.
    pub befell: Befell,
}

/// What befell several processes at once, and how often: what never comes is not tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Befell {
    /// The broker lost its data while processes went on.
    pub emptied: usize,
    /// The ledger lost more than one append of a case.
    pub long_tails: usize,
    /// The ledger lost appends of more than one case at the same time.
    pub broad_tails: usize,
    /// A machine's clock is set while it runs, if it lives that long.
    pub clocks_set: usize,
}

/// How many things beside the vendor were looked at in the end: of what is not there,
/// nothing can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Judged {
    /// Archives that an account calls done.
    pub archives: usize,
    /// Tickets.
    pub tickets: usize,
    /// Desks that answered nobody before every case had ended.
    pub dead_desks: usize,
    /// Pages of notes.
    pub pages: usize,
    /// Accounts that ended in an application.
    pub in_apps: usize,
    /// Accounts that ended in a workspace.
    pub in_workspaces: usize,
    /// Files that were given away in a workspace.
    pub transfers: usize,
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
    stop: watch::Sender<bool>,
}

/// What happens next.
enum Next {
    Halt,
    DispatcherDies(usize),
    WorkerDies(usize),
    ColleagueActs,
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
    /// When a colleague gives a device away, and which.
    colleague: Rng,
    /// What befalls several processes at once.
    fate: Rng,
    rates: Rates,
    clock: Arc<dyn Clock>,
    /// How far every machine's clock is from that one, in milliseconds.
    together_ms: i64,
    ledger: Arc<MemoryLedger>,
    broker: Broker,
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
    processes: Processes,
    dispatchers: usize,
    workers: usize,
    broken: Option<Broken>,
    tails_are_lost: bool,
    deaths: u32,
    judged: Judged,
    befell: Befell,
}

/// Which of these processes dies first.
async fn first_death(processes: &[Process]) -> usize {
    if processes.is_empty() {
        return std::future::pending().await;
    }
    let deaths = processes.iter().map(|p| Box::pin(p.trouble.death()));
    futures::future::select_all(deaths).await.1
}

fn no_messages(clock: &Arc<dyn Clock>) -> LocalQueue {
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
                    Outside::Model(ModelWorld::new(Rng::of(seed, "world"), unkind, shape.broken)),
                    tenants,
                    errands,
                )
            }
            Workers::Real => {
                let beside = Beside::of(seed, shape.broken);
                let claims = script::everything().0.into_values().flatten().collect();
                let (vendor, tenants, mut errands) = script::vendor(seed, &mut script, &claims, beside);
                if shape.administrators {
                    errands.extend(script::administrators(&vendor));
                }
                auditor.keep_secret(vendor.secrets.clone());
                for (tenant, built) in &vendor.tenants {
                    auditor.watch_for(vendor.canaries(built).into_iter().map(|c| (tenant.clone(), c)));
                }
                auditor.watch_for(vendor.beside.canaries());
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
        let mut rates = script::rates(&mut rng);
        let (embedded, mut tails_are_lost) = (rng.happens(500), rng.happens(150));
        let several = shape.processes == Processes::Several;
        let mut fate = Rng::of(seed, "fate");
        let mut together_ms = 0;
        if several {
            rates = script::between_several(&mut fate, rates);
            tails_are_lost |= fate.happens(350);
            // The vendor's world has times of its own, by which archives are judged.
            if shape.workers == Workers::Model {
                together_ms = fate.between(-SKEWED_TOGETHER_BY_MS, SKEWED_TOGETHER_BY_MS);
            }
        }
        let mut count = || match several {
            true => 1 + usize::try_from(rng.below(3)).unwrap_or(0),
            false => 1,
        };
        let (dispatchers, workers) = (count(), count());
        Self {
            seed,
            rates,
            embedded: embedded && !several,
            tails_are_lost,
            processes: shape.processes,
            dispatchers,
            workers,
            broker: Broker::with(no_messages(&clock)),
            artifacts: Arc::new(InMemory::new()),
            evidence: Arc::new(InMemory::new()),
            outside,
            entropy: Arc::new(Mutex::new(Rng::of(seed, "salts"))),
            deaths: 0,
            judged: Judged::default(),
            befell: Befell::default(),
            broken: shape.broken,
            rng,
            fate,
            together_ms,
            colleague: Rng::of(seed, "colleague"),
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
        let cut_off = (self.several() && self.rng.happens(500)).then(|| {
            let from = self.clock.now().plus(self.rng.between(0, DIES_EVERY_MS));
            (from, from.plus(self.rng.between(1, CUT_OFF_FOR_MS)))
        });
        Trouble::new(Fortune {
            name,
            clock: self.clock.clone(),
            transcript: self.transcript.clone(),
            rng: Rng::of(self.seed, &format!("{name}-{}", self.deaths)),
            rates: self.rates,
            calm: self.calm.clone(),
            dies_in,
            cut_off,
        })
    }

    fn several(&self) -> bool {
        self.processes == Processes::Several
    }

    fn shards(&self) -> u16 {
        if self.several() { SHARDS } else { 1 }
    }

    /// The clock of one machine. Under some it is set, once, while faults last.
    fn clock_of_its_own(&mut self) -> Arc<dyn Clock> {
        if !self.several() {
            return self.clock.clone();
        }
        let wrong_by = self.together_ms + self.rng.between(-SKEWED_BY_MS, SKEWED_BY_MS);
        let is_set = !self.is_calm() && self.fate.happens(300);
        let set = is_set.then(|| {
            let at = self.clock.now().plus(self.fate.between(0, DIES_EVERY_MS));
            (at, self.together_ms + self.fate.between(-SKEWED_BY_MS, SKEWED_BY_MS))
        });
        self.befell.clocks_set += usize::from(is_set);
        Arc::new(MachinesClock {
            right: self.clock.clone(),
            wrong_by,
            set,
        })
    }

    fn queue(&self, trouble: &Arc<Trouble>) -> Arc<FaultyQueue> {
        Arc::new(FaultyQueue {
            inner: self.broker.clone(),
            auditor: self.auditor.clone(),
            trouble: trouble.clone(),
        })
    }

    fn dispatcher(&mut self, nth: usize) -> Process {
        let trouble = self.fortune("dispatcher");
        let queue = self.queue(&trouble);
        let ledger = Arc::new(FaultyLedger {
            inner: self.ledger.clone(),
            auditor: self.auditor.clone(),
            trouble: trouble.clone(),
            loses_new_cases: self.broken == Some(Broken::NewCasesAreLost),
            forgets_who_leaves: self.broken == Some(Broken::NobodyKnowsWhoLeaves),
            claims_are_anothers: self.broken == Some(Broken::ClaimsAreAnothers),
        });
        let entropy = self.entropy.clone();
        let clock = self.clock_of_its_own();
        let (several, shards) = (self.several(), self.shards());
        let engine = Engine::new(Parts {
            ledger,
            queue,
            store: FaultyStore::over(&self.artifacts, &trouble),
            clock: clock.clone(),
            tenants: Tenants::new(self.tenants.clone()),
            master: self.master,
            entropy: Arc::new(move || entropy.lock().unwrap_or_else(PoisonError::into_inner).bytes()),
            limits: Limits::each(6),
            dispatch: self.dispatch(),
            shards,
            keeping: several.then_some(KEEPING),
        });
        let (stop, stopped) = watch::channel(false);
        let closer = Closer::new(
            engine.clone(),
            self.signer(),
            FaultyStore::shut_while(self.shut_by(), &self.evidence, &trouble),
        );
        let life = engine.clone();
        let member = Membership::new(engine.clone(), clock.clone(), format!("d{nth}-{}", self.deaths));
        let work = async move {
            let common = async {
                futures::join!(
                    life.clone().sweep(stopped.clone()),
                    life.clone().pump(stopped.clone()),
                    closer.run(stopped.clone()),
                );
            };
            if several {
                futures::join!(
                    common,
                    life.clone().notice(stopped.clone()),
                    life.clone().heed_dead_letters(stopped.clone()),
                    member.run(stopped.clone()),
                );
                return;
            }
            while let Err(error) = life.recover().await {
                tracing::warn!(%error, "failed to recover; trying again");
                clock.sleep_until(clock.now().plus(1_000)).await;
            }
            futures::join!(common, life.clone().take_reports(0, stopped.clone()));
        };
        let mut tasks = vec![tokio::spawn(work)];
        // People work through one of them, whoever owns the case.
        if nth == 0 {
            let (people, engine) = (self.people.clone(), engine.clone());
            tasks.push(tokio::spawn(async move { people.live(engine).await }));
        }
        Process {
            tasks,
            trouble,
            engine: Some(engine),
            stop,
        }
    }

    fn dispatch(&self) -> DispatchKey {
        DispatchKey::from_bytes(Rng::of(self.seed, "dispatch").bytes())
    }

    fn signer(&self) -> SigningKey {
        SigningKey::from_bytes(&Rng::of(self.seed, "signer").bytes())
    }

    /// The desk of a seed that has one.
    fn desk(&self) -> Option<&Psa> {
        match &self.outside {
            Outside::Model(_) => None,
            Outside::Vendor(vendor) => vendor.beside.desk(),
        }
    }

    /// Whose death keeps accounts from being put away, where that is broken.
    fn shut_by(&self) -> Option<Arc<AtomicBool>> {
        let waits = self.broken == Some(Broken::SealingWaitsForTheDesk);
        self.desk().filter(|_| waits).map(Psa::death)
    }

    /// A dead desk answers when every case has ended, but for what the desk is to be told.
    fn revive_the_desk(&mut self) -> bool {
        let mut over = self.people.handed_in();
        self.auditor.each_case(|_, shadow| over &= shadow.case.state.ended());
        let Some(desk) = self.desk().filter(|desk| over && desk.is_dead()) else {
            return false;
        };
        desk.revive();
        self.judged.dead_desks += 1;
        self.note("the desk answers at last");
        true
    }

    fn worker(&mut self) -> Process {
        let trouble = self.fortune("worker");
        let queue = self.queue(&trouble);
        let clock = self.clock_of_its_own();
        let (stop, stopped) = watch::channel(false);
        let task = match self.outside.clone() {
            Outside::Model(world) => {
                let worker = ModelWorker {
                    queue,
                    world,
                    clock,
                    trouble: trouble.clone(),
                    shards: self.shards(),
                };
                tokio::spawn(async move { worker.run().await })
            }
            Outside::Vendor(vendor) => {
                let context = Context {
                    store: FaultyStore::over(&self.artifacts, &trouble),
                    connectors: Arc::new(Reached::new(&vendor, &self.clock, &trouble, self.broken)),
                    escrow: Some(EscrowMaster::from_bytes(self.master)),
                    clock,
                };
                let config = WorkerConfig {
                    report_shards: self.shards(),
                    ..WorkerConfig::default()
                };
                let worker = Worker::new(config, queue, QueueKeys::Dispatch(self.dispatch()), context);
                tokio::spawn(async move { worker.run(stopped).await })
            }
        };
        Process {
            tasks: vec![task],
            trouble,
            engine: None,
            stop,
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

    /// A process is told to stop, finishes or returns what it holds, and ends.
    async fn stop(&self, process: Process) {
        for people in process.tasks.iter().skip(1) {
            people.abort();
        }
        process.stop.send_replace(true);
        let mut process = process;
        let ended = tokio::time::timeout(STOPS_WITHIN, &mut process.tasks[0]).await;
        if let Ok(Err(error)) = &ended
            && error.is_panic()
        {
            let what = format!("a {} broke while it stopped", process.trouble.name());
            self.auditor.violated(Invariant::NoPanic, what);
        }
        if ended.is_ok() {
            process.tasks.remove(0);
        }
        self.end(process).await;
    }

    /// A dispatcher has died: time passes, a tail may be lost, it starts again.
    async fn again(&mut self, nth: usize, process: Process, workers: &mut Vec<Process>) -> Process {
        if self.several() && self.rng.happens(400) {
            self.note("dispatcher stops");
            self.stop(process).await;
        } else {
            self.note("dispatcher dies");
            self.end(process).await;
        }
        if self.embedded {
            for worker in workers.drain(..) {
                self.end(worker).await;
            }
            self.broker = Broker::with(no_messages(&self.clock));
        }
        if self.several() && !self.is_calm() && self.fate.happens(400) {
            self.note("the broker loses its data");
            self.broker.lose_all(no_messages(&self.clock)).await;
            self.befell.emptied += 1;
        }
        let down_ms = if self.rng.happens(300) {
            self.rng.between(0, 30 * MINUTE_MS)
        } else {
            self.rng.between(0, 5_000)
        };
        tokio::time::sleep(Duration::from_millis(down_ms.unsigned_abs())).await;
        match self.tails_are_lost {
            true if self.several() => self.lose_the_end().await,
            true => self.lose_a_tail().await,
            false => {}
        }
        let dispatcher = self.dispatcher(nth);
        while workers.len() < self.workers {
            workers.push(self.worker());
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

    /// The ledger loses what it took last, whosever it was.
    async fn lose_the_end(&mut self) {
        let most = 1 + usize::try_from(self.fate.below(MOST_LOST)).unwrap_or(0);
        let lost = self.auditor.lose_last(most);
        for ((tenant, case), appends) in &lost {
            let left = self.ledger.lose_tail(tenant, *case, *appends);
            self.note(&format!(
                "the ledger loses {appends} appends of {case}; version {left} is left"
            ));
        }
        for (tenant, case) in lost.keys() {
            self.auditor.lost_tail(tenant, *case).await;
        }
        self.befell.long_tails += usize::from(lost.values().any(|appends| *appends > 1));
        self.befell.broad_tails += usize::from(lost.len() > 1);
    }

    /// One bit of one signed account.
    async fn change_evidence(&self) {
        let mut files = self.evidence.list(None);
        while let Some(Ok(file)) = files.next().await {
            if file.location.as_ref().ends_with(".dsse.json")
                && let Ok(got) = self.evidence.get(&file.location).await
                && let Ok(bytes) = got.bytes().await
            {
                let mut bytes = bytes.to_vec();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                drop(self.evidence.put(&file.location, bytes.into()).await);
                return;
            }
        }
    }

    /// Looks for a secret in everything that was kept: artifacts, accounts and pages; and in
    /// accounts and pages for somebody of another tenant.
    async fn look_for_secrets(&self) {
        for (what, store) in [("artifact", &self.artifacts), ("evidence", &self.evidence)] {
            let mut files = store.list(None);
            while let Some(Ok(file)) = files.next().await {
                if let Ok(got) = store.get(&file.location).await
                    && let Ok(bytes) = got.bytes().await
                {
                    self.auditor.kept(&format!("{what} {}", file.location), &bytes);
                    self.auditor.accounted(file.location.as_ref(), &bytes);
                }
            }
        }
    }

    async fn play(mut self) -> Outcome {
        let mut dispatchers: Vec<Process> = (0..self.dispatchers).map(|nth| self.dispatcher(nth)).collect();
        let mut workers: Vec<Process> = (0..self.workers).map(|_| self.worker()).collect();
        let end = EPOCH.plus(UNKIND_FOR_MS);
        while self.clock.now() < end && !self.spins() {
            match self.next(&dispatchers, &workers, end).await {
                Next::Halt => break,
                Next::DispatcherDies(nth) => {
                    let dead = dispatchers.remove(nth);
                    let again = self.again(nth, dead, &mut workers).await;
                    dispatchers.insert(nth, again);
                }
                Next::WorkerDies(nth) => {
                    self.note("worker dies");
                    self.end(workers.remove(nth)).await;
                    workers.push(self.worker());
                }
                Next::ColleagueActs => self.colleague_acts(),
            }
        }
        self.note("faults stop");
        self.calm.store(true, Ordering::Relaxed);
        match &self.outside {
            Outside::Model(world) => world.calm(),
            Outside::Vendor(vendor) => vendor.calm(),
        }
        // Who was doomed is so no more.
        for nth in 0..self.dispatchers {
            let old = dispatchers.remove(nth);
            let again = self.again(nth, old, &mut workers).await;
            dispatchers.insert(nth, again);
        }
        for worker in std::mem::take(&mut workers) {
            self.end(worker).await;
            workers.push(self.worker());
        }
        let mut deadline = self.clock.now().plus(SETTLES_WITHIN_MS);
        let broken = |d: &Process| d.tasks.iter().any(JoinHandle::is_finished);
        let mut looks_settled = 0;
        // Who does not own a case hears of its end only in a while.
        let enough = if self.several() { 2 } else { 1 };
        while self.clock.now() < deadline && !self.spins() && !dispatchers.iter().any(broken) {
            if self.revive_the_desk() {
                deadline = deadline.max(self.clock.now().plus(DAY_MS));
            }
            looks_settled = if self.settled() { looks_settled + 1 } else { 0 };
            if looks_settled == enough {
                break;
            }
            tokio::select! {
                biased;
                () = self.auditor.halted() => break,
                () = tokio::time::sleep(Duration::from_millis(600_000)) => {}
            }
        }
        if self.broken == Some(Broken::EvidenceIsChanged) {
            self.change_evidence().await;
        }
        self.judge(&dispatchers);
        (self.judged.tickets, self.judged.pages) = self.judge_beside();
        self.judge_elsewhere();
        self.judged.archives = self.judge_evidence().await;
        self.look_for_secrets().await;
        for process in dispatchers.into_iter().chain(workers) {
            self.end(process).await;
        }
        self.outcome()
    }

    /// In the model's world something is undone. In the vendor's that happens by itself, and a
    /// leaver's device may get another owner.
    fn colleague_acts(&mut self) {
        match self.outside.clone() {
            Outside::Model(world) => {
                if let Some(kind) = world.undo_something() {
                    self.note(&format!("a colleague undoes {kind}"));
                }
            }
            Outside::Vendor(vendor) => {
                let gives = match self.broken {
                    None => self.colleague.happens(500),
                    Some(broken) => broken == Broken::OwnersStayOld,
                };
                if !gives {
                    return;
                }
                let leavers: BTreeSet<String> = self.people.meant().into_values().flatten().collect();
                let now = self.clock.now();
                if let Some(id) = vendor.give_a_device_away(&mut self.colleague, now, &leavers) {
                    self.note(&format!("a colleague gives {id} to somebody else"));
                }
            }
        }
    }

    /// Lets time pass until something happens.
    async fn next(&mut self, dispatchers: &[Process], workers: &[Process], end: Timestamp) -> Next {
        let wait_ms = self.rng.between(MINUTE_MS, 2 * DIES_EVERY_MS);
        let until = end.min(self.clock.now().plus(wait_ms));
        let what = tokio::select! {
            biased;
            () = self.auditor.halted() => return Next::Halt,
            nth = first_death(dispatchers) => return Next::DispatcherDies(nth),
            nth = first_death(workers) => return Next::WorkerDies(nth),
            () = self.clock.sleep_until(until) => self.rng.below(4),
        };
        let one_of = |rng: &mut Rng, all: &[Process]| usize::try_from(rng.below(all.len() as u64)).unwrap_or(0);
        match what {
            0 => Next::DispatcherDies(one_of(&mut self.rng, dispatchers)),
            1 if !workers.is_empty() => Next::WorkerDies(one_of(&mut self.rng, workers)),
            _ => Next::ColleagueActs,
        }
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
            judged: self.judged,
            befell: self.befell,
        }
    }
}
