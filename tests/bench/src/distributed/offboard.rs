//! Offboard itself: the real dispatcher, worker and closer, each a process of
//! its own as `offboard dispatcher`, `offboard worker` and `offboard closer`
//! are, put together in the same way. Only the outside systems are others: they
//! answer at once.
//!
//! Everything is on: a user of the broker for each role, authenticated
//! assignments and reports, expiries, traces of every hundredth departure and
//! metrics sent to a collector on this machine, logs, openings and heads kept in
//! the store, the chain, the statement, its signature and its page written for
//! every case and synced to the disk.

use super::lines::{Order, orders, say};
use super::setup::{OFFBOARD_VHOST, Setup};
use crate::embedded::{Failed, tenant};
use crate::noop::{ForAll, Noop};
use async_trait::async_trait;
use offboard_cli::compose;
use offboard_cli::roles::dispatch_with;
use offboard_dispatcher::admission::Limits;
use offboard_dispatcher::tenants::{Tenants, Terms};
use offboard_dispatcher::{Closer, Engine, Keeping, Parts};
use offboard_domain::departure::{Choices, Manner, PersonRef};
use offboard_domain::{Area, Case, CaseId, Departure, Kind, Lane, Policy, TenantId, Timestamp};
use offboard_ledger::redis::RedisOptions;
use offboard_ledger::{
    Append, Appended, Due, Filter, GateChange, Gates, History, IndexEntry, Ledger, LedgerError, RedisLedger, Shard,
};
use offboard_queue::rabbit::{Address, CLOSER, DISPATCHER, WORKER};
use offboard_queue::{Queue, QueueName, RabbitConfig, RabbitQueue};
use offboard_runtime::config::{Access, Engine as EngineConfig, QueueUrl, Remote, Role};
use offboard_runtime::keys::{DispatchKey, MasterKey, QueueKeys, SigningKey};
use offboard_runtime::telemetry::Guard;
use offboard_runtime::{Clock, Secret, SystemClock, telemetry};
use offboard_store::Store;
use offboard_workers::{Context, Worker, WorkerConfig};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// The tasks of a departure. In the order that the catalogue gives them, the
/// longest way through is five tasks: who is it; what is there (4); he cannot
/// sign in any more, and the mailbox is on hold (2); what follows from that (6);
/// his sessions are gone (1). The stages are 1, 4, 2, 6, 1 where the other
/// loops' are 1, 4, 4, 4, 1, because the lawful order of what cuts the access
/// has no stage of four; and each task begins when what it waits for is done,
/// not when its stage is.
pub(crate) const KINDS: [Kind; 14] = [
    Kind::Resolve,
    Kind::SnapshotAccess,
    Kind::SnapshotDirectory,
    Kind::SnapshotMailbox,
    Kind::DiscoverDevices,
    Kind::DisableSignIn,
    Kind::HoldMailbox,
    Kind::ResetPassword,
    Kind::HideFromAddressLists,
    Kind::SetForwarding,
    Kind::RemoveInboxRules,
    Kind::RemoveDelegations,
    Kind::HandOverOneDrive,
    Kind::RevokeSessions,
];

/// Of a million departures so many are traced.
const TRACED_PPM: u32 = 10_000;
/// The servers are there before the roles are.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a shutdown lets attempts finish.
const GRACE: Duration = Duration::from_secs(5);
/// How many departures come in at the same time.
const SUBMITTED_AT_ONCE: usize = 256;
/// How often it is looked whether the dispatcher owns its shards yet.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What the departures want: what those of the embedded bench do, and a hold.
fn policy() -> Policy {
    Policy {
        legal_hold: true,
        ..crate::embedded::policy()
    }
}

fn departure(n: usize, order: &Order, tenants: usize, now: Timestamp) -> Result<Departure, Failed> {
    Ok(Departure {
        tenant: tenant(order.tenant.unwrap_or(n % tenants.max(1)))?,
        reference: Some(format!("B-{n}")),
        person: PersonRef {
            user_principal_name: Some(format!("p{n}@bench.example")),
            ..PersonRef::default()
        },
        manner: if order.planned {
            Manner::Planned
        } else {
            Manner::Immediate
        },
        effective_at: now,
        of_day: None,
        requested_by: "bench".into(),
        handed_in_by: None,
        requested_at: now,
        successor: None,
        choices: Choices::default(),
    })
}

/// What every role has.
struct Common {
    setup: Setup,
    /// As an operator's `offboard.toml` would give it.
    config: EngineConfig,
    clock: Arc<dyn Clock>,
    noop: Arc<Noop>,
    telemetry: Guard,
}

impl Common {
    fn begin(setup: Setup, role: Role) -> Result<Self, Failed> {
        let mut engine = setup.tuning.engine(&setup.folder);
        engine.telemetry.otlp = Some(setup.otlp.clone());
        engine.telemetry.sample_ppm = Some(TRACED_PPM);
        engine.queue = QueueUrl::Rabbit(Remote {
            url: format!("amqp://127.0.0.1:{}", setup.rabbit_port),
            access: Access::default(),
        });
        Ok(Self {
            telemetry: telemetry::start(&engine, role)?,
            clock: Arc::new(SystemClock),
            noop: Noop::answering_after(Duration::from_millis(setup.tuning.vendor_ms), KINDS),
            config: engine,
            setup,
        })
    }

    async fn queue(&self, user: &str, queues: Vec<QueueName>) -> Result<Arc<dyn Queue>, Failed> {
        let address = Address {
            tls: false,
            host: "127.0.0.1".to_owned(),
            port: self.setup.rabbit_port,
            vhost: OFFBOARD_VHOST.to_owned(),
            user: user.to_owned(),
            password: Some(Secret::new(self.setup.password(user)?)),
        };
        let clock = self.clock.clone();
        let config = RabbitConfig::new(address, queues, Arc::new(move || clock.now()));
        Ok(Arc::new(RabbitQueue::connect(config, PATIENCE).await?))
    }

    async fn ledger(&self) -> Result<Arc<dyn Ledger>, Failed> {
        let mut options = RedisOptions::new(self.setup.redis.parse()?);
        options.shards = self.config.shards;
        let (ledger, _) = RedisLedger::open(options).await?;
        Ok(ledger)
    }

    fn store(&self) -> Result<Store, Failed> {
        Ok(Store::folder(&self.setup.folder.join("store"))?)
    }

    fn engine(
        &self,
        ledger: Arc<dyn Ledger>,
        queue: Arc<dyn Queue>,
        limits: Limits,
        dispatch: DispatchKey,
    ) -> Result<Arc<Engine>, Failed> {
        let terms = Terms {
            policy: Arc::new(policy()),
            capabilities: Arc::new(self.noop.capabilities()),
            weight: 1,
            sites: std::collections::BTreeMap::new(),
        };
        let each = |n| Ok::<_, Failed>((tenant(n)?, terms.clone()));
        let tenants = (0..self.setup.tenants).map(each).collect::<Result<_, _>>()?;
        Ok(Engine::new(Parts {
            ledger,
            queue,
            store: self.store()?,
            clock: self.clock.clone(),
            tenants: Tenants::new(tenants),
            master: *MasterKey::load(&self.keys())?.expose(),
            entropy: Arc::new(|| {
                let mut salt = [0; 32];
                getrandom::fill(&mut salt).expect("the system gives random bytes");
                salt
            }),
            limits,
            dispatch,
            shards: self.config.shards,
            keeping: Some(Keeping {
                archive_after_ms: self.config.archive_after_ms,
            }),
        }))
    }

    fn keys(&self) -> std::path::PathBuf {
        self.setup.folder.join("keys")
    }

    /// Waits until the bench says no more, ends what runs, and sends what is
    /// left of telemetry.
    async fn until_over(self, stops: Vec<watch::Sender<bool>>, mut running: JoinSet<()>) -> Result<(), Failed> {
        for stop in stops {
            stop.send_replace(true);
        }
        while let Some(ended) = running.join_next().await {
            ended?;
        }
        let telemetry = self.telemetry;
        Ok(tokio::task::spawn_blocking(move || telemetry.shutdown()).await?)
    }
}

fn assignments() -> Vec<QueueName> {
    let lanes = |area: &Area| {
        [Lane::Urgent, Lane::Normal].map(|lane| QueueName::Assignments {
            area: *area,
            lane,
            site: None,
        })
    };
    Area::MACHINES.iter().flat_map(lanes).collect()
}

/// The dispatcher: `offboard dispatcher`, and where departures come in.
pub(crate) async fn dispatcher(setup: Setup) -> Result<(), Failed> {
    let common = Common::begin(setup, Role::Dispatcher)?;
    let mut queues = assignments();
    queues.extend((0..common.config.shards).map(|shard| QueueName::Reports { shard }));
    queues.extend([QueueName::Sealing, QueueName::Dead]);
    let queue = common.queue(DISPATCHER, queues).await?;
    let dispatch = DispatchKey::load(&common.keys())?;
    let limits = compose::limits(&common.config.admission);
    let engine = common.engine(common.ledger().await?, queue, limits, dispatch)?;
    let mut running = JoinSet::new();
    let stops = dispatch_with(&mut running, &engine, "dispatcher-bench".to_owned());
    while !(0..common.config.shards).all(|shard| engine.owns_shard(shard)) {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    say("ready")?;
    let mut orders = orders();
    let mut submitting = JoinSet::new();
    let at_once = Arc::new(Semaphore::new(SUBMITTED_AT_ONCE));
    loop {
        tokio::select! {
            biased;
            Some(submitted) = submitting.join_next(), if !submitting.is_empty() => submitted??,
            order = orders.recv() => match order {
                Some(order) => {
                    submitting.spawn(submit(engine.clone(), order, common.setup.tenants, at_once.clone()));
                }
                None => break,
            },
        }
    }
    submitting.shutdown().await;
    common.until_over(stops, running).await
}

/// Hands in what was ordered, and tells the bench if it wants to be told.
async fn submit(engine: Arc<Engine>, order: Order, tenants: usize, at_once: Arc<Semaphore>) -> Result<(), Failed> {
    let mut submitting = JoinSet::new();
    for n in order.first..order.first + order.count {
        let permit = at_once.clone().acquire_owned().await?;
        let departure = departure(n, &order, tenants, engine.now())?;
        if order.told && order.count == 1 {
            let (tenant, case) = (departure.tenant.clone(), departure.case_id());
            submitting.spawn(tell_of_cut(engine.clone(), tenant, case));
        }
        let engine = engine.clone();
        submitting.spawn(async move {
            engine.submit(departure).await?;
            drop(permit);
            Ok(())
        });
        while let Some(submitted) = submitting.try_join_next() {
            submitted??;
        }
    }
    while let Some(submitted) = submitting.join_next().await {
        submitted??;
    }
    if order.told && order.count != 1 {
        say("accepted")?;
    }
    Ok(())
}

/// Tells the bench when every task of a case that cuts access is settled.
async fn tell_of_cut(engine: Arc<Engine>, tenant: TenantId, case: CaseId) -> Result<(), Failed> {
    let mut changes = engine.changes();
    // Until it is accepted there is no such case.
    while !engine.case(&tenant, case).await.is_ok_and(|case| is_cut(&case)) {
        changes.changed().await?;
    }
    say("cut")
}

fn is_cut(case: &Case) -> bool {
    let mut cutting = case.tasks.values().filter(|t| t.kind().spec().cuts_access()).peekable();
    cutting.peek().is_some() && cutting.all(|t| t.is_settled())
}

/// The worker: `offboard worker` of all areas.
pub(crate) async fn worker(setup: Setup) -> Result<(), Failed> {
    let common = Common::begin(setup, Role::Worker)?;
    let queue = common.queue(WORKER, assignments()).await?;
    let names = assignments().iter().map(ToString::to_string).collect::<Vec<_>>();
    let keys = QueueKeys::load(&common.setup.folder.join("worker-keys"), names)?;
    let config = WorkerConfig {
        concurrency: compose::concurrency(&common.config.admission),
        report_shards: common.config.shards,
        grace: GRACE,
        ..WorkerConfig::default()
    };
    let context = Context {
        store: common.store()?,
        connectors: Arc::new(ForAll(common.noop.clone())),
        escrow: None,
        clock: common.clock.clone(),
    };
    let worker = Worker::new(config, queue, keys, context);
    let (stop, stopping) = watch::channel(false);
    let mut running = JoinSet::new();
    running.spawn(async move { worker.run(stopping).await });
    say("ready")?;
    no_orders().await?;
    common.until_over(vec![stop], running).await
}

/// The closer: `offboard closer`.
pub(crate) async fn closer(setup: Setup) -> Result<(), Failed> {
    let common = Common::begin(setup, Role::Closer)?;
    let queue = common.queue(CLOSER, vec![QueueName::Sealing]).await?;
    let ledger = Arc::new(Closing(common.ledger().await?));
    let engine = common.engine(ledger, queue, Limits::none(), DispatchKey::ephemeral()?)?;
    let signing = SigningKey::load(&common.keys())?;
    let evidence = Store::folder(&common.setup.folder.join("evidence"))?;
    let closer = Closer::new(engine.clone(), signing.expose().clone(), evidence);
    let (stop, stopping) = watch::channel(false);
    let mut running = JoinSet::new();
    running.spawn(closer.run(stopping.clone()));
    running.spawn(engine.watch_ledger(stopping));
    say("ready")?;
    no_orders().await?;
    common.until_over(vec![stop], running).await
}

async fn no_orders() -> Result<(), Failed> {
    match orders().recv().await {
        Some(_) => Err("only the dispatcher takes orders".into()),
        None => Ok(()),
    }
}

/// The closer's ledger, which tells the bench of every case that is closed: its
/// evidence is written, and the ledger has said that it knows.
struct Closing(Arc<dyn Ledger>);

#[async_trait]
impl Ledger for Closing {
    async fn read(&self, tenant: &TenantId, case: CaseId, from: u64) -> Result<History, LedgerError> {
        self.0.read(tenant, case, from).await
    }

    async fn append(&self, append: Append) -> Result<Appended, LedgerError> {
        let (ended, tasks) = (append.index.ended, append.index.tasks);
        let appended = self.0.append(append).await?;
        if ended
            && appended == Appended::Done
            && let Err(error) = say(&format!("done 1 {tasks}"))
        {
            tracing::error!(%error, "failed to tell the bench");
        }
        Ok(appended)
    }

    async fn due(
        &self,
        shard: Shard,
        now: Timestamp,
        limit: usize,
    ) -> Result<(Vec<Due>, Option<Timestamp>), LedgerError> {
        self.0.due(shard, now, limit).await
    }

    async fn list(&self, filter: Filter) -> Result<Vec<IndexEntry>, LedgerError> {
        self.0.list(filter).await
    }

    async fn gates(&self, tenant: &TenantId, changes: Vec<GateChange>) -> Result<Gates, LedgerError> {
        self.0.gates(tenant, changes).await
    }

    async fn gates_while(
        &self,
        tenant: &TenantId,
        gate: &str,
        until: Timestamp,
        changes: Vec<GateChange>,
    ) -> Result<Option<Gates>, LedgerError> {
        self.0.gates_while(tenant, gate, until, changes).await
    }

    async fn own(&self, shard: Shard, owner: &str, now: Timestamp, until: Timestamp) -> Result<String, LedgerError> {
        self.0.own(shard, owner, now, until).await
    }
}
