//! What every test here stands on: the seams in memory (each call to the
//! ledger may take its time, each publication is written down), dispatchers
//! that come, leave and die, and a worker that reads what each kind wants to
//! see unless a test tells it otherwise.

use async_trait::async_trait;
use ed25519_dalek::SigningKey;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use offboard_dispatcher::admission::Limits;
use offboard_dispatcher::tenants::{Tenants, Terms};
use offboard_dispatcher::{Closer, Engine, Keeping, Membership, Parts};
use offboard_domain::departure::{Choices, Manner, PersonRef};
use offboard_domain::event::open_event;
use offboard_domain::policy::{Approvals, SuccessorRule};
use offboard_domain::{
    ApprovalOf, Area, Assignment, Capabilities, Case, CaseId, CaseKey, Checked, Command, Departure, Digest, Event,
    Facts, Fault, FaultClass, Find, Kind, Lane, Mode, ObjectId, Observation, Policy, Report, Said, System, TaskId,
    TenantId, Timestamp,
};
use offboard_ledger::{
    Append, Appended, Due, Filter, GateChange, Gates, History, IndexEntry, Ledger, LedgerError, MemoryLedger, Shard,
};
use offboard_queue::{Consumer, Delivery, Depth, LocalQueue, Message, Queue, QueueError, QueueName, Wanted};
use offboard_runtime::keys::{ANSWER_HEADER, AnswerKey, DispatchKey, PROOF_HEADER, QUEUE_HEADER};
use offboard_runtime::{Clock, TokioClock};
use offboard_store::Store;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// When every test begins.
pub(crate) const T0: Timestamp = Timestamp(1_800_000_000_000);
/// The installation's master key.
pub(crate) const MASTER: [u8; 32] = [7; 32];
/// The header in which a test says who a broker would have said sent it.
pub(crate) const SENDER: &str = "test-sender";
/// How often a state that is waited for is looked at, in virtual time.
const LOOK_EVERY: Duration = Duration::from_millis(20);

pub(crate) const SECOND: i64 = 1_000;
pub(crate) const MINUTE: i64 = 60 * SECOND;

pub(crate) fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

pub(crate) fn system(name: &str) -> System {
    System::new(name).unwrap()
}

pub(crate) fn m365() -> System {
    system("m365")
}

/// What needs no person and no hour.
pub(crate) fn policy() -> Policy {
    Policy {
        approvals: Approvals {
            plan: false,
            irreversible_delay_ms: 0,
            ..Policy::default().approvals
        },
        successor: SuccessorRule::Nobody,
        skip: [Kind::ConfirmHandover, Kind::Validate].into(),
        departures_per_hour: u32::MAX,
        ..Policy::default()
    }
}

/// The terms of a tenant whose one system can do these kinds.
pub(crate) fn terms(kinds: &[Kind]) -> Terms {
    terms_of(&[(m365(), kinds)])
}

pub(crate) fn terms_of(systems: &[(System, &[Kind])]) -> Terms {
    let capabilities = systems
        .iter()
        .map(|(s, kinds)| (s.clone(), kinds.iter().copied().collect()))
        .collect();
    Terms {
        policy: Arc::new(policy()),
        capabilities: Arc::new(Capabilities(capabilities)),
        weight: 1,
        sites: BTreeMap::new(),
    }
}

/// Two tasks, the shortest departure that there is.
pub(crate) const SHORT: &[Kind] = &[Kind::Resolve, Kind::SnapshotAccess];
/// With something to write and a closing round.
pub(crate) const CUT: &[Kind] = &[
    Kind::Resolve,
    Kind::SnapshotAccess,
    Kind::RemoveDirectoryRoles,
    Kind::DisableSignIn,
];
/// With an act that must not happen twice.
pub(crate) const WIPE: &[Kind] = &[
    Kind::Resolve,
    Kind::SnapshotAccess,
    Kind::DisableSignIn,
    Kind::DiscoverDevices,
    Kind::WipeDevice,
];

pub(crate) fn departure(tenant: &TenantId, reference: &str, now: Timestamp) -> Departure {
    Departure {
        tenant: tenant.clone(),
        reference: Some(reference.to_owned()),
        person: PersonRef {
            user_principal_name: Some(format!("{}@{tenant}.example", reference.to_lowercase())),
            ..PersonRef::default()
        },
        manner: Manner::Immediate,
        effective_at: now,
        of_day: None,
        requested_by: "hr@msp.example".into(),
        handed_in_by: None,
        requested_at: now,
        successor: None,
        choices: Choices::default(),
    }
}

/// Waits for a state, at most this long in virtual time.
pub(crate) async fn until(what: &str, within_ms: i64, mut holds: impl AsyncFnMut() -> bool) {
    let end = tokio::time::Instant::now() + Duration::from_millis(within_ms.unsigned_abs());
    while !holds().await {
        assert!(tokio::time::Instant::now() < end, "not within {within_ms} ms: {what}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Lets time pass.
pub(crate) async fn pass(ms: i64) {
    tokio::time::sleep(Duration::from_millis(ms.unsigned_abs())).await;
}

/// The ledger as a store behind a network: each call takes its time both ways,
/// and the way there can be cut.
pub(crate) struct Remote {
    pub(crate) inner: Arc<MemoryLedger>,
    one_way_ms: AtomicU64,
    cut: AtomicBool,
    gates_refused: AtomicBool,
    reads: AtomicU64,
    silent_shard: Mutex<Option<u16>>,
}

impl Remote {
    fn to(inner: Arc<MemoryLedger>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            one_way_ms: AtomicU64::new(0),
            cut: AtomicBool::new(false),
            gates_refused: AtomicBool::new(false),
            reads: AtomicU64::new(0),
            silent_shard: Mutex::default(),
        })
    }

    async fn travel(&self) -> Result<(), LedgerError> {
        let ms = self.one_way_ms.load(Ordering::Relaxed);
        if ms > 0 {
            tokio::time::sleep(Duration::from_millis(ms)).await;
        }
        if self.cut.load(Ordering::Relaxed) {
            return Err(LedgerError::Unavailable {
                attempted: "reach the ledger",
                detail: "as the test wants".into(),
            });
        }
        Ok(())
    }

    /// How many histories were read so far.
    pub(crate) fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// From now on each way takes this long.
    pub(crate) fn takes(&self, one_way_ms: u64) {
        self.one_way_ms.store(one_way_ms, Ordering::Relaxed);
    }

    /// From now on nobody is answered who asks for this shard.
    pub(crate) fn say_nothing_of(&self, shard: Option<u16>) {
        *self.silent_shard.lock().unwrap() = shard;
    }

    /// From now on no gate is changed there, or it is again.
    pub(crate) fn refuse_gates(&self, refused: bool) {
        self.gates_refused.store(refused, Ordering::Relaxed);
    }

    /// From now on nothing gets there, or it does again.
    pub(crate) fn cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::Relaxed);
    }
}

#[async_trait]
impl Ledger for Remote {
    async fn read(&self, tenant: &TenantId, case: CaseId, from: u64) -> Result<History, LedgerError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.travel().await?;
        let answer = self.inner.read(tenant, case, from).await?;
        self.travel().await?;
        Ok(answer)
    }

    async fn append(&self, append: Append) -> Result<Appended, LedgerError> {
        self.travel().await?;
        let answer = self.inner.append(append).await?;
        self.travel().await?;
        Ok(answer)
    }

    async fn due(
        &self,
        shard: Shard,
        now: Timestamp,
        limit: usize,
    ) -> Result<(Vec<Due>, Option<Timestamp>), LedgerError> {
        self.travel().await?;
        self.inner.due(shard, now, limit).await
    }

    async fn list(&self, filter: Filter) -> Result<Vec<IndexEntry>, LedgerError> {
        self.travel().await?;
        self.inner.list(filter).await
    }

    async fn gates(&self, tenant: &TenantId, changes: Vec<GateChange>) -> Result<Gates, LedgerError> {
        self.travel().await?;
        if !changes.is_empty() && self.gates_refused.load(Ordering::Relaxed) {
            return Err(LedgerError::Unavailable {
                attempted: "change a gate",
                detail: "as the test wants".into(),
            });
        }
        self.inner.gates(tenant, changes).await
    }

    async fn gates_while(
        &self,
        tenant: &TenantId,
        gate: &str,
        until: Timestamp,
        changes: Vec<GateChange>,
    ) -> Result<Option<Gates>, LedgerError> {
        self.travel().await?;
        self.inner.gates_while(tenant, gate, until, changes).await
    }

    async fn own(&self, shard: Shard, owner: &str, now: Timestamp, until: Timestamp) -> Result<String, LedgerError> {
        self.travel().await?;
        if *self.silent_shard.lock().unwrap() == Some(shard.index) {
            std::future::pending::<()>().await;
        }
        self.inner.own(shard, owner, now, until).await
    }
}

/// An assignment that was published.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) at: Timestamp,
    pub(crate) queue: QueueName,
    pub(crate) message: Message,
    pub(crate) assignment: Assignment,
}

impl Order {
    /// The report that answers it, as it is written by whoever holds it.
    pub(crate) fn report(&self, at: Timestamp, said: Said) -> Report {
        let a = &self.assignment;
        Report {
            tenant: a.tenant.clone(),
            case: a.case,
            task: a.task,
            attempt: a.attempt,
            version: a.version,
            head: a.head,
            at,
            said,
            seen: None,
            remembered: None,
            writes: None,
            receipts: Vec::new(),
            artifacts: Vec::new(),
        }
    }

    /// The key that came with it.
    pub(crate) fn answer_key(&self) -> AnswerKey {
        AnswerKey::from_header(&self.message.headers[ANSWER_HEADER]).unwrap()
    }

    /// A report as it travels, proven with the key that came with this order.
    pub(crate) fn message(&self, report: &Report) -> Message {
        let body = serde_json::to_vec(report).unwrap();
        let proof = self.answer_key().prove(&body);
        message(body, &proof, &self.queue)
    }
}

/// A report as it travels.
pub(crate) fn message(body: Vec<u8>, proof: &str, through: &QueueName) -> Message {
    Message {
        id: format!("report-{}", Digest::of(&body)),
        headers: BTreeMap::from([
            (PROOF_HEADER.to_owned(), proof.to_owned()),
            (QUEUE_HEADER.to_owned(), through.to_string()),
        ]),
        body: body.into(),
        expires_at: None,
    }
}

/// The queue in memory. What is ordered is written down, and a delivery says
/// who sent it if the test has said so.
pub(crate) struct Watched {
    pub(crate) inner: LocalQueue,
    clock: Arc<dyn Clock>,
    orders: Mutex<Vec<Order>>,
    refusing: Mutex<BTreeSet<QueueName>>,
    /// Whether no order is taken, and nobody told so.
    stuck: watch::Sender<bool>,
}

impl Watched {
    /// All that was ordered until now.
    pub(crate) fn orders(&self) -> Vec<Order> {
        self.orders.lock().unwrap().clone()
    }

    /// From now on these queues refuse what is published to them, and no others.
    pub(crate) fn refuse(&self, queues: impl IntoIterator<Item = QueueName>) {
        *self.refusing.lock().unwrap() = queues.into_iter().collect();
    }

    /// From now on whoever orders waits, or no longer does.
    pub(crate) fn stick(&self, stuck: bool) {
        self.stuck.send_replace(stuck);
    }
}

#[async_trait]
impl Queue for Watched {
    async fn publish(&self, queue: &QueueName, messages: Vec<Message>) -> Result<(), QueueError> {
        if self.refusing.lock().unwrap().contains(queue) {
            return Err(QueueError::Unavailable {
                attempted: "publish to",
                queue: queue.to_string(),
                detail: "as the test wants".into(),
            });
        }
        if let QueueName::Assignments { .. } = queue {
            drop(self.stuck.subscribe().wait_for(|stuck| !*stuck).await);
            let at = self.clock.now();
            let orders = messages.iter().filter_map(|message| {
                Some(Order {
                    at,
                    queue: queue.clone(),
                    message: message.clone(),
                    assignment: serde_json::from_slice(&message.body).ok()?,
                })
            });
            self.orders.lock().unwrap().extend(orders);
        }
        self.inner.publish(queue, messages).await
    }

    async fn consume(&self, queue: &QueueName, prefetch: u16) -> Result<Box<dyn Consumer>, QueueError> {
        let inner = self.inner.consume(queue, prefetch).await?;
        Ok(Box::new(Sent(inner)))
    }

    async fn depths(&self) -> Result<Vec<Depth>, QueueError> {
        self.inner.depths().await
    }

    async fn dead(&self, limit: usize) -> Result<Vec<(Message, String)>, QueueError> {
        self.inner.dead(limit).await
    }

    async fn dead_among(&self, wanted: Wanted<'_>, limit: usize) -> Result<Vec<(Message, String)>, QueueError> {
        self.inner.dead_among(wanted, limit).await
    }
}

/// One dispatcher's way to the broker, which can be cut.
pub(crate) struct Line {
    to: Arc<Watched>,
    cut: AtomicBool,
}

impl Line {
    /// From now on nothing gets there, or it does again.
    pub(crate) fn cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::Relaxed);
    }

    fn reach(&self, queue: &QueueName) -> Result<(), QueueError> {
        match self.cut_off() {
            None => Ok(()),
            Some(detail) => Err(QueueError::Unavailable {
                attempted: "reach",
                queue: queue.to_string(),
                detail,
            }),
        }
    }
}

#[async_trait]
impl Queue for Line {
    async fn publish(&self, queue: &QueueName, messages: Vec<Message>) -> Result<(), QueueError> {
        self.reach(queue)?;
        self.to.publish(queue, messages).await
    }

    async fn consume(&self, queue: &QueueName, prefetch: u16) -> Result<Box<dyn Consumer>, QueueError> {
        self.reach(queue)?;
        self.to.consume(queue, prefetch).await
    }

    async fn depths(&self) -> Result<Vec<Depth>, QueueError> {
        self.reach(&QueueName::Dead)?;
        self.to.depths().await
    }

    fn cut_off(&self) -> Option<String> {
        self.cut.load(Ordering::Relaxed).then(|| "as the test wants".to_owned())
    }

    async fn dead(&self, limit: usize) -> Result<Vec<(Message, String)>, QueueError> {
        self.to.dead(limit).await
    }

    async fn dead_among(&self, wanted: Wanted<'_>, limit: usize) -> Result<Vec<(Message, String)>, QueueError> {
        self.to.dead_among(wanted, limit).await
    }
}

struct Sent(Box<dyn Consumer>);

#[async_trait]
impl Consumer for Sent {
    async fn next(&mut self) -> Result<Box<dyn Delivery>, QueueError> {
        let inner = self.0.next().await?;
        Ok(Box::new(SentDelivery(inner)))
    }

    async fn resize(&mut self, prefetch: u16) -> Result<(), QueueError> {
        self.0.resize(prefetch).await
    }
}

struct SentDelivery(Box<dyn Delivery>);

#[async_trait]
impl Delivery for SentDelivery {
    fn message(&self) -> &Message {
        self.0.message()
    }

    fn redelivered(&self) -> bool {
        self.0.redelivered()
    }

    fn sender(&self) -> Option<&str> {
        self.0.message().headers.get(SENDER).map(String::as_str)
    }

    async fn ack(self: Box<Self>) -> Result<(), QueueError> {
        self.0.ack().await
    }

    async fn give_back(self: Box<Self>) -> Result<(), QueueError> {
        self.0.give_back().await
    }

    async fn bury(self: Box<Self>, reason: &str) -> Result<(), QueueError> {
        self.0.bury(reason).await
    }
}

/// What outlives every process.
pub(crate) struct World {
    pub(crate) ledger: Arc<Remote>,
    pub(crate) queue: Arc<Watched>,
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) terms: BTreeMap<TenantId, Terms>,
    pub(crate) limits: Arc<dyn Fn() -> Limits + Send + Sync>,
    pub(crate) shards: u16,
    pub(crate) keeping: Option<Keeping>,
    salts: Arc<AtomicU64>,
    folder: TempDir,
}

impl World {
    /// A world with these tenants and room for all.
    pub(crate) fn new(tenants: impl IntoIterator<Item = (TenantId, Terms)>) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(TokioClock::new(T0));
        let folder = tempfile::tempdir().unwrap();
        let expiry = clock.clone();
        Self {
            ledger: Remote::to(MemoryLedger::new()),
            queue: Arc::new(Watched {
                inner: LocalQueue::new(Arc::new(move || expiry.now())),
                clock: clock.clone(),
                orders: Mutex::default(),
                refusing: Mutex::default(),
                stuck: watch::Sender::new(false),
            }),
            store: Store::folder(&folder.path().join("store")).unwrap(),
            clock,
            terms: tenants.into_iter().collect(),
            limits: Arc::new(|| Limits::each(64)),
            shards: 1,
            keeping: None,
            salts: Arc::default(),
            folder,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Where the store and the evidence are.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn dispatch(&self) -> DispatchKey {
        DispatchKey::from_bytes([8; 32])
    }

    pub(crate) fn departure(&self, tenant: &TenantId, reference: &str) -> Departure {
        departure(tenant, reference, self.now())
    }

    /// An engine that owns nothing yet.
    pub(crate) fn engine(&self) -> Arc<Engine> {
        self.engine_with((self.limits)(), self.clock.clone())
    }

    pub(crate) fn engine_with(&self, limits: Limits, clock: Arc<dyn Clock>) -> Arc<Engine> {
        self.engine_over(self.ledger.clone(), self.queue.clone(), limits, clock)
    }

    fn engine_over(
        &self,
        ledger: Arc<Remote>,
        queue: Arc<dyn Queue>,
        limits: Limits,
        clock: Arc<dyn Clock>,
    ) -> Arc<Engine> {
        let salts = self.salts.clone();
        Engine::new(Parts {
            ledger,
            queue,
            store: self.store.clone(),
            clock,
            tenants: Tenants::new(self.terms.clone()),
            master: MASTER,
            entropy: Arc::new(move || Digest::of(&salts.fetch_add(1, Ordering::Relaxed).to_be_bytes()).0),
            limits,
            dispatch: self.dispatch(),
            shards: self.shards,
            keeping: self.keeping,
        })
    }

    /// A dispatcher that is alone and owns everything.
    pub(crate) async fn dispatcher(&self) -> Dispatcher {
        let engine = self.engine();
        engine.recover().await.unwrap();
        Dispatcher::over(engine, |engine, stop| {
            (0..engine.shards())
                .map(|shard| tokio::spawn(engine.clone().take_reports(shard, stop.clone())))
                .collect()
        })
    }

    /// A dispatcher among others, by its own clock.
    pub(crate) fn member(&self, name: &str, clock: Arc<dyn Clock>) -> Dispatcher {
        let engine = self.engine();
        let membership = Membership::new(engine.clone(), clock, name.to_owned());
        Dispatcher::over(engine, |_, stop| vec![tokio::spawn(membership.run(stop))])
    }

    /// One that has a way to the ledger of its own.
    pub(crate) fn member_apart(&self, name: &str) -> (Dispatcher, Arc<Remote>) {
        let way = Remote::to(self.ledger.inner.clone());
        let queue = self.queue.clone();
        let engine = self.engine_over(way.clone(), queue, (self.limits)(), self.clock.clone());
        let membership = Membership::new(engine.clone(), self.clock.clone(), name.to_owned());
        let dispatcher = Dispatcher::over(engine, |_, stop| vec![tokio::spawn(membership.run(stop))]);
        (dispatcher, way)
    }

    /// One that has a way to the broker of its own.
    pub(crate) fn member_on_a_line(&self, name: &str) -> (Dispatcher, Arc<Line>) {
        let line = Arc::new(Line {
            to: self.queue.clone(),
            cut: AtomicBool::new(false),
        });
        let engine = self.engine_over(self.ledger.clone(), line.clone(), (self.limits)(), self.clock.clone());
        let membership = Membership::new(engine.clone(), self.clock.clone(), name.to_owned());
        let dispatcher = Dispatcher::over(engine, |_, stop| vec![tokio::spawn(membership.run(stop))]);
        (dispatcher, line)
    }

    /// A closer.
    pub(crate) fn closer(&self) -> Running {
        let evidence = Store::folder(&self.folder.path().join("evidence")).unwrap();
        let engine = self.engine_with(Limits::none(), self.clock.clone());
        let closer = Closer::new(engine, SigningKey::from_bytes(&[9; 32]), evidence);
        let (stop, stopped) = watch::channel(false);
        Running {
            task: tokio::spawn(closer.run(stopped)),
            _stop: stop,
        }
    }

    /// A worker of every area, that says what is wanted.
    pub(crate) fn worker(&self) -> Running {
        self.worker_who(0, |a| Some(truth(a)))
    }

    /// One whose attempts take this long, and who says this; none: he never
    /// answers.
    pub(crate) fn worker_who(
        &self,
        takes_ms: i64,
        says: impl Fn(&Assignment) -> Option<Said> + Send + Sync + 'static,
    ) -> Running {
        self.worker_at(None, takes_ms, says)
    }

    pub(crate) fn worker_at(
        &self,
        site: Option<&str>,
        takes_ms: i64,
        says: impl Fn(&Assignment) -> Option<Said> + Send + Sync + 'static,
    ) -> Running {
        let worker = Worker {
            queue: self.queue.clone(),
            clock: self.clock.clone(),
            dispatch: self.dispatch(),
            shards: self.shards,
            takes_ms,
            says: Box::new(says),
        };
        let lanes: Vec<QueueName> = assignment_queues(site).collect();
        let (stop, _) = watch::channel(false);
        let task = tokio::spawn(async move {
            futures::future::join_all(lanes.iter().map(|lane| worker.serve(lane))).await;
        });
        Running { task, _stop: stop }
    }

    /// All that was ordered of one kind.
    pub(crate) fn ordered(&self, kind: Kind) -> Vec<Order> {
        let mut orders = self.queue.orders();
        orders.retain(|o| o.assignment.kind == kind);
        orders
    }

    pub(crate) fn ordered_for(&self, tenant: &TenantId, kind: Kind) -> Vec<Order> {
        let mut orders = self.ordered(kind);
        orders.retain(|o| o.assignment.tenant == *tenant);
        orders
    }

    /// The order of this kind for a tenant, once there is one; the last of several.
    pub(crate) async fn order(&self, tenant: &TenantId, kind: Kind) -> Order {
        until(&format!("{kind} is ordered for {tenant}"), MINUTE, async || {
            !self.ordered_for(tenant, kind).is_empty()
        })
        .await;
        self.ordered_for(tenant, kind).pop().unwrap()
    }

    /// Sends a report to where this tenant's go.
    pub(crate) async fn send(&self, tenant: &TenantId, message: Message) {
        let shard = tenant.shard(self.shards);
        self.queue
            .publish(&QueueName::Reports { shard }, vec![message])
            .await
            .unwrap();
    }

    /// Answers an order as a truthful worker does.
    pub(crate) async fn answer(&self, order: &Order) {
        self.answer_with(order, truth(&order.assignment)).await;
    }

    pub(crate) async fn answer_with(&self, order: &Order, said: Said) {
        let report = order.report(self.now(), said);
        self.send(&order.assignment.tenant, order.message(&report)).await;
    }

    /// A case as the ledger has it.
    pub(crate) async fn case(&self, tenant: &TenantId, id: CaseId) -> Case {
        let reader = self.engine_with(Limits::none(), self.clock.clone());
        Arc::unwrap_or_clone(reader.case(tenant, id).await.unwrap())
    }

    /// What the ledger holds of a case, read.
    pub(crate) async fn events(&self, tenant: &TenantId, id: CaseId) -> Vec<(Timestamp, Event)> {
        let history = self.ledger.inner.read(tenant, id, 1).await.unwrap();
        let key = CaseKey::derive(&MASTER, &history.salt.unwrap());
        let records = history.records.iter();
        records.map(|r| open_event(&key, r).unwrap()).collect()
    }

    pub(crate) async fn index(&self, tenant: &TenantId, id: CaseId) -> Option<IndexEntry> {
        self.listed()
            .await
            .into_iter()
            .find(|e| (&e.tenant, e.case) == (tenant, id))
    }

    pub(crate) async fn listed(&self) -> Vec<IndexEntry> {
        let filter = Filter {
            limit: usize::MAX,
            ..Filter::default()
        };
        self.ledger.inner.list(filter).await.unwrap()
    }

    /// Waits until every case is closed, sealed and all.
    pub(crate) async fn all_closed(&self, within_ms: i64) {
        let mut open = Vec::new();
        let end = self.now().plus(within_ms);
        while self.now() < end {
            open = self.listed().await;
            open.retain(|e| e.state != "closed");
            if open.is_empty() {
                return;
            }
            pass(200).await;
        }
        let mut stuck = Vec::new();
        for entry in open.iter().take(3) {
            let case = self.case(&entry.tenant, entry.case).await;
            let tasks = case.tasks.values().filter(|t| !t.is_settled());
            stuck.extend(tasks.map(|t| format!("{} {} {:?}", entry.case, t.kind(), t.state)));
        }
        panic!("{} cases are not closed after {within_ms} ms: {stuck:#?}", open.len());
    }

    /// Lets somebody approve every wipe that waits for it.
    pub(crate) async fn approve_wipes(&self, engine: &Arc<Engine>) {
        for entry in self.listed().await.iter().filter(|e| !e.ended) {
            let case = self.case(&entry.tenant, entry.case).await;
            let waits = |t: &&Arc<offboard_domain::Task>| t.kind() == Kind::WipeDevice && t.approved.is_none();
            for task in case.tasks.values().filter(waits) {
                let of = ApprovalOf::Task(task.id(), case.task_digest(task));
                let by = "boss@msp.example".to_owned();
                engine
                    .order(&entry.tenant, entry.case, Command::Approve { by, of })
                    .await
                    .unwrap();
            }
        }
    }

    /// That what must not happen twice was ordered once, whoever ordered it.
    pub(crate) fn assert_once(&self) {
        let mut seen = BTreeSet::new();
        for order in self.ordered(Kind::WipeDevice) {
            let a = &order.assignment;
            if a.mode == Mode::Full {
                assert!(seen.insert((a.case, a.task)), "{} was ordered twice", a.task);
            }
        }
    }
}

/// Every queue of assignments.
pub(crate) fn assignment_queues(site: Option<&str>) -> impl Iterator<Item = QueueName> {
    let site = site.map(str::to_owned);
    let lanes = Area::MACHINES
        .iter()
        .flat_map(|area| [(*area, Lane::Urgent), (*area, Lane::Normal)]);
    lanes.map(move |(area, lane)| QueueName::Assignments {
        area,
        lane,
        site: site.clone(),
    })
}

/// Something that runs until it is dropped.
pub(crate) struct Running {
    task: JoinHandle<()>,
    _stop: watch::Sender<bool>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A dispatcher's process.
pub(crate) struct Dispatcher {
    pub(crate) engine: Arc<Engine>,
    tasks: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
}

impl Dispatcher {
    pub(crate) fn over(
        engine: Arc<Engine>,
        more: impl FnOnce(&Arc<Engine>, watch::Receiver<bool>) -> Vec<JoinHandle<()>>,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = more(&engine, stopped.clone());
        tasks.push(tokio::spawn(engine.clone().sweep(stopped.clone())));
        tasks.push(tokio::spawn(engine.clone().pump(stopped.clone())));
        tasks.push(tokio::spawn(engine.clone().notice(stopped)));
        Self { engine, tasks, stop }
    }

    /// What stops with it.
    pub(crate) fn stopped(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// One more loop of its own.
    pub(crate) fn also(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.push(tokio::spawn(task));
    }

    /// It is told to end, and ends.
    pub(crate) async fn leave(mut self) -> Arc<Engine> {
        self.stop.send_replace(true);
        for task in self.tasks.drain(..) {
            task.await.unwrap();
        }
        self.engine.clone()
    }

    /// It is gone between two instructions.
    pub(crate) async fn die(mut self) -> Arc<Engine> {
        for task in &self.tasks {
            task.abort();
        }
        for task in self.tasks.drain(..) {
            assert!(!task.await.is_err_and(|e| e.is_panic()), "a dispatcher broke");
        }
        self.engine.clone()
    }

    /// The shards that it owns.
    pub(crate) fn owned(&self) -> Vec<u16> {
        let shards = 0..self.engine.shards();
        shards.filter(|s| self.engine.owns_shard(*s)).collect()
    }

    /// Everything that was reserved has come back.
    pub(crate) async fn is_idle(&self) {
        let engine = &self.engine;
        until("nothing is in flight, reserved or waiting", 2 * MINUTE, async || {
            engine.idle()
        })
        .await;
    }
}

impl Drop for Dispatcher {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

type Says = Box<dyn Fn(&Assignment) -> Option<Said> + Send + Sync>;

struct Worker {
    queue: Arc<Watched>,
    clock: Arc<dyn Clock>,
    dispatch: DispatchKey,
    shards: u16,
    takes_ms: i64,
    says: Says,
}

/// Attempts at the same time in one lane.
const AT_ONCE: u16 = 16;

impl Worker {
    async fn serve(&self, lane: &QueueName) {
        let mut consumer = self.queue.consume(lane, AT_ONCE).await.unwrap();
        let mut running = FuturesUnordered::new();
        loop {
            tokio::select! {
                biased;
                Some(()) = running.next(), if !running.is_empty() => {}
                delivery = consumer.next() => running.push(self.attempt(lane, delivery.unwrap())),
            }
        }
    }

    async fn attempt(&self, lane: &QueueName, delivery: Box<dyn Delivery>) {
        let message = delivery.message().clone();
        let key = self.dispatch.queue(&lane.to_string());
        let (proof, answer) = (&message.headers[PROOF_HEADER], &message.headers[ANSWER_HEADER]);
        if !key.holds(proof, &message.id, answer, &message.body) {
            return delivery.bury("not ordered by the dispatcher").await.unwrap();
        }
        let assignment: Assignment = serde_json::from_slice(&message.body).unwrap();
        let order = Order {
            at: self.clock.now(),
            queue: lane.clone(),
            message,
            assignment,
        };
        let a = &order.assignment;
        let once = a.mode == Mode::Full && !a.kind.spec().convergent;
        let again = delivery.redelivered();
        let mut held = Some(delivery);
        if once && let Some(delivery) = held.take() {
            delivery.ack().await.unwrap();
        }
        if self.takes_ms > 0 {
            pass(self.takes_ms).await;
        }
        let said = if once && again {
            Some(fault(a, FaultClass::Unknown))
        } else {
            (self.says)(a)
        };
        if let Some(said) = said {
            let report = order.report(self.clock.now(), said);
            let shard = a.tenant.shard(self.shards);
            self.queue
                .publish(&QueueName::Reports { shard }, vec![order.message(&report)])
                .await
                .unwrap();
        }
        if let Some(delivery) = held {
            delivery.ack().await.unwrap();
        }
    }
}

/// A fault of that class.
pub(crate) fn fault(a: &Assignment, class: FaultClass) -> Said {
    Said::Fault {
        fault: Fault {
            class,
            system: a.target.system.clone(),
            attempted: a.kind.name().to_owned(),
            status: None,
            code: None,
            detail: "as the test wants".into(),
            request_id: None,
        },
    }
}

/// What a truthful worker says once the wanted state is there.
pub(crate) fn truth(a: &Assignment) -> Said {
    if a.kind.is_closing_round() {
        let results = a.checks.iter().map(|c| Checked {
            task: c.task,
            observation: seen(c.kind, &c.params, true),
        });
        return Said::Checked {
            results: results.collect(),
        };
    }
    let mut after = seen(a.kind, &a.params, true);
    if a.kind == Kind::Resolve {
        let name = a.params.text("user_principal_name").unwrap();
        let id = name.split('@').next().unwrap();
        after.facts.set("object_id", format!("id-{id}"));
        after.facts.set("user_principal_name", name);
        if id.starts_with("copy") {
            after.facts.set("synced", true);
            after.facts.set("on_premises_security_id", "S-1-5-21-1-2-3-1104");
        }
    }
    if a.mode == Mode::ObserveOnly {
        after.facts.set("conclusive", true);
        return Said::Observed { observation: after };
    }
    if a.kind == Kind::DiscoverDevices {
        return Said::Found {
            observation: after,
            finds: vec![laptop()],
        };
    }
    if a.kind == Kind::ResolveOnPremises {
        let of = |kind| Find {
            kind,
            object: ObjectId::from("guid-1"),
            params: Facts::new(),
        };
        return Said::Found {
            observation: after,
            finds: vec![of(Kind::DisableOnPremises), of(Kind::ResetPasswordOnPremises)],
        };
    }
    let before = if a.kind.spec().writes {
        seen(a.kind, &a.params, false)
    } else {
        after.clone()
    };
    Said::Satisfied { before, after }
}

/// The device that every person here has.
pub(crate) fn laptop() -> Find {
    Find {
        kind: Kind::WipeDevice,
        object: ObjectId::from("laptop"),
        params: Facts::new().with("owner", "company"),
    }
}

/// What is read of a kind whose state is as wanted, or is not.
pub(crate) fn seen(kind: Kind, params: &Facts, done: bool) -> Observation {
    let judge = &kind.spec().judge;
    let mut facts = Facts::new();
    for (cond, _) in judge.not_applicable.iter().chain(judge.blocked) {
        cond.arrange(false, params, i64::from(done), &mut facts);
    }
    judge.satisfied.arrange(done, params, i64::from(done), &mut facts);
    Observation {
        read_at: T0,
        sources: vec!["test".into()],
        facts,
    }
}

/// A task of a case, by its kind.
pub(crate) fn task(case: &Case, kind: Kind) -> &offboard_domain::Task {
    find(case, kind).unwrap_or_else(|| panic!("{} has no {kind}", case.id))
}

/// The same, if it is planned or found already.
pub(crate) fn find(case: &Case, kind: Kind) -> Option<&offboard_domain::Task> {
    case.tasks.values().map(|t| &**t).find(|t| t.kind() == kind)
}

/// The task of a kind in one of several systems.
pub(crate) fn task_in<'c>(case: &'c Case, kind: Kind, system: &System) -> &'c offboard_domain::Task {
    let mut tasks = case.tasks.values();
    let found = tasks.find(|t| t.kind() == kind && t.planned.target.system == *system);
    found.unwrap_or_else(|| panic!("{} has no {kind} in {system}", case.id))
}

/// The ids of tasks that are with a worker.
pub(crate) fn in_flight(case: &Case) -> Vec<TaskId> {
    let tasks = case.tasks.values().filter(|t| t.in_flight().is_some());
    tasks.map(|t| t.id()).collect()
}
