//! The worker over a queue: what is acknowledged when, what is buried, what
//! returns, and how it ends.

use crate::attempts::drive::{Desk, setting};
use crate::attempts::fake::{Fake, pause};
use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt as _;
use offboard_connectors::{Attached, Connector};
use offboard_domain::assignment::REPORT_MAX_BYTES;
use offboard_domain::{Area, Assignment, FaultClass, Kind, Lane, Mode, Report, Said, System, TenantId};
use offboard_queue::{Consumer, Depth, LocalQueue, Message, Queue, QueueError, QueueName, Wanted};
use offboard_runtime::Clock as _;
use offboard_runtime::keys::{ANSWER_HEADER, DispatchKey, PROOF_HEADER, QUEUE_HEADER, QueueKeys};
use offboard_workers::{Concurrency, Connectors, Context, Worker, WorkerConfig, report_queue};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// A queue whose first publications fail, as a broker's do that is away.
struct Flaky {
    queue: LocalQueue,
    failures: AtomicUsize,
}

#[async_trait]
impl Queue for Flaky {
    async fn publish(&self, queue: &QueueName, messages: Vec<Message>) -> Result<(), QueueError> {
        if self
            .failures
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
            .is_ok()
        {
            return Err(QueueError::Unavailable {
                attempted: "publish",
                queue: queue.to_string(),
                detail: "away".into(),
            });
        }
        self.queue.publish(queue, messages).await
    }
    async fn consume(&self, queue: &QueueName, prefetch: u16) -> Result<Box<dyn Consumer>, QueueError> {
        self.queue.consume(queue, prefetch).await
    }
    async fn depths(&self) -> Result<Vec<Depth>, QueueError> {
        self.queue.depths().await
    }
    async fn dead(&self, limit: usize) -> Result<Vec<(Message, String)>, QueueError> {
        self.queue.dead(limit).await
    }
    async fn dead_among(&self, wanted: Wanted<'_>, limit: usize) -> Result<Vec<(Message, String)>, QueueError> {
        self.queue.dead_among(wanted, limit).await
    }
}

struct Shop {
    desk: Desk,
    queue: LocalQueue,
    worker: Worker,
    stop: watch::Sender<bool>,
}

fn shop(kind: Kind, failures: usize) -> (Shop, Assignment) {
    let (state, todo) = setting(kind);
    let desk = Desk::new(state);
    let clock = desk.fake.clock.clone();
    let queue = LocalQueue::new(Arc::new(move || clock.now()));
    let config = WorkerConfig {
        concurrency: Concurrency { urgent: 2, normal: 2 },
        ..WorkerConfig::default()
    };
    let flaky = Arc::new(Flaky {
        queue: queue.clone(),
        failures: AtomicUsize::new(failures),
    });
    let worker = Worker::new(config, flaky, QueueKeys::Dispatch(dispatch()), desk.context.clone());
    let assignment = desk.assignment(&todo);
    (
        Shop {
            desk,
            queue,
            worker,
            stop: watch::channel(false).0,
        },
        assignment,
    )
}

fn lane_of(area: Area) -> QueueName {
    QueueName::Assignments {
        area,
        lane: Lane::Normal,
        site: None,
    }
}

fn dispatch() -> DispatchKey {
    DispatchKey::from_bytes([3; 32])
}

/// A message that the dispatcher has authenticated for a queue.
fn message(queue: &QueueName, id: &str, answering: &Assignment, body: impl Into<Bytes>) -> Message {
    let body = body.into();
    let answer_key = dispatch().answer_to(answering, &queue.to_string()).to_header();
    let proof = dispatch().queue(&queue.to_string()).prove(id, &answer_key, &body);
    Message {
        id: id.to_owned(),
        headers: [(PROOF_HEADER, proof), (ANSWER_HEADER, answer_key)]
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
        body,
        expires_at: None,
    }
}

impl Shop {
    async fn order(&self, assignment: &Assignment) {
        self.order_through(&lane_of(assignment.kind.spec().area), assignment)
            .await;
    }

    async fn order_through(&self, queue: &QueueName, assignment: &Assignment) {
        let body = serde_json::to_vec(assignment).unwrap();
        let message = message(queue, "a", assignment, body);
        self.queue.publish(queue, vec![message]).await.unwrap();
    }

    /// A worker of the same queue whose connectors are these, one attempt at once.
    fn another(&self, connectors: impl Connectors + 'static) -> Worker {
        let config = WorkerConfig {
            concurrency: Concurrency { urgent: 1, normal: 1 },
            ..WorkerConfig::default()
        };
        let context = Context {
            connectors: Arc::new(connectors),
            ..self.desk.context.clone()
        };
        let queue = Arc::new(self.queue.clone());
        Worker::new(config, queue, QueueKeys::Dispatch(dispatch()), context)
    }

    /// Runs the worker, tells it to stop when this is so, and waits until it has.
    async fn stop_when(&self, reached: impl FnMut() -> bool) {
        let stop = async {
            until(reached).await;
            self.stop.send(true).unwrap();
            std::future::pending::<()>().await;
        };
        let mut running = pin!(self.worker.run(self.stop.subscribe()));
        tokio::select! {
            () = &mut running => {}
            () = stop => {}
        }
    }

    /// Runs the worker while the other future lasts.
    async fn work_during<T>(&self, other: impl Future<Output = T>) -> T {
        let mut running = pin!(self.worker.run(self.stop.subscribe()).fuse());
        let mut other = pin!(other);
        tokio::select! {
            biased;
            value = &mut other => value,
            () = &mut running => other.await,
        }
    }

    async fn report(&self) -> Report {
        let tenant = TenantId::new("acme").unwrap();
        let mut reports = self.queue.consume(&report_queue(&tenant, 1), 10).await.unwrap();
        let delivery = reports.next().await.unwrap();
        let report: Report = serde_json::from_slice(&delivery.message().body).unwrap();
        let headers = &delivery.message().headers;
        let key = dispatch().answer_of(&report, &headers[QUEUE_HEADER]);
        assert!(key.holds(&headers[PROOF_HEADER], &delivery.message().body));
        delivery.ack().await.unwrap();
        report
    }

    /// Runs the worker until it has answered and acknowledged.
    async fn answered(&self) -> Report {
        self.work_during(async {
            let report = self.report().await;
            a_while().await;
            report
        })
        .await
    }

    async fn left_in(&self, queue: &QueueName) -> (u64, u64) {
        let depths = self.queue.depths().await.unwrap();
        depths
            .iter()
            .find(|d| d.queue == *queue)
            .map_or((0, 0), |d| (d.ready, d.unacknowledged.unwrap_or(0)))
    }
}

async fn until(mut reached: impl FnMut() -> bool) {
    while !reached() {
        pause().await;
    }
}

async fn a_while() {
    for _ in 0..200 {
        pause().await;
    }
}

fn wrote(fake: &Fake) -> usize {
    fake.lock().writes.len()
}

#[tokio::test(start_paused = true)]
async fn an_assignment_is_answered_and_then_acknowledged() {
    // Also when the broker does not take the report at first.
    for failures in [0, 3] {
        let (shop, assignment) = shop(Kind::HideFromAddressLists, failures);
        shop.order(&assignment).await;
        let report = shop.answered().await;
        assert!(matches!(report.said, Said::Satisfied { .. }), "{:?}", report.said);
        assert_eq!(
            (report.task, report.attempt, report.head),
            (assignment.task, assignment.attempt, assignment.head)
        );
        shop.work_during(a_while()).await;
        assert_eq!(shop.left_in(&lane_of(Area::Mailbox)).await, (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn what_can_never_be_dealt_with_is_buried_and_not_repeated() {
    let (shop, assignment) = shop(Kind::HideFromAddressLists, 0);
    let json = serde_json::to_string(&assignment).unwrap();
    let strange = json.replace("\"full\"", "\"canary_word\"");
    assert_ne!(strange, json);
    let huge = vec![b' '; 2 * 1024 * 1024];
    let human = json.replace("mailbox.hide_from_address_lists", "person.validate");
    let name = lane_of(Area::Mailbox);
    let bodies = [
        b"{\"canary_word\":".to_vec(),
        strange.into_bytes(),
        huge,
        human.into_bytes(),
    ];
    let messages = bodies
        .into_iter()
        .map(|b| message(&name, "x", &assignment, b))
        .collect();
    shop.queue.publish(&name, messages).await.unwrap();
    // One of another area.
    let mut foreign = assignment.clone();
    foreign.kind = Kind::DisableSignIn;
    let foreign = message(&name, "y", &foreign, serde_json::to_vec(&foreign).unwrap());
    shop.queue.publish(&name, vec![foreign]).await.unwrap();
    shop.work_during(a_while()).await;
    let dead = shop.queue.dead(10).await.unwrap();
    assert_eq!(dead.len(), 5, "{:?}", dead.iter().map(|d| &d.1).collect::<Vec<_>>());
    assert!(
        dead.iter()
            .all(|(_, reason)| !reason.contains("canary") && !reason.is_empty())
    );
    assert_eq!(shop.left_in(&name).await, (0, 0));
    assert_eq!(wrote(&shop.desk.fake), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_too_much_to_be_told_is_a_fault_that_says_so_and_what_was_done_is_done() {
    let (shop, assignment) = shop(Kind::RemoveInboxRules, 0);
    let fake = shop.desk.fake.clone();
    fake.edit(|state| {
        for attached in &mut state.attached {
            if let Attached::Rule(rule) = attached {
                rule.id = format!("{}-{}", rule.id, "x".repeat(REPORT_MAX_BYTES / 2));
            }
        }
    });
    shop.order(&assignment).await;
    match shop.answered().await.said {
        Said::Fault { fault } => {
            assert_eq!(fault.class, FaultClass::Blocked);
            assert!(fault.detail.contains(&REPORT_MAX_BYTES.to_string()), "{fault}");
        }
        other => panic!("{}", serde_json::to_string(&other).unwrap().len()),
    }
    assert_eq!(wrote(&fake), 2);
    assert_eq!(
        shop.left_in(&lane_of(Area::Mailbox)).await,
        (0, 0),
        "it does not come again"
    );
    shop.order(&assignment).await;
    assert!(matches!(shop.answered().await.said, Said::Satisfied { .. }));
}

/// Old and new processes run side by side while one replaces the other.
#[tokio::test(start_paused = true)]
async fn an_order_of_a_newer_version_is_neither_begun_nor_buried_and_what_may_be_ignored_is() {
    let (shop, assignment) = shop(Kind::HideFromAddressLists, 0);
    let json = serde_json::to_string(&assignment).unwrap();
    let name = lane_of(Area::Mailbox);
    let newer = [
        json.replace("mailbox.hide_from_address_lists", "mailbox.of_a_later_version"),
        json.replacen('{', "{\"form\":2,", 1),
        json.replacen('{', "{\"form\":2,\"only_if\":[\"the moon is full\"],", 1)
            .replace("\"full\"", "\"sideways\""),
    ];
    for body in newer {
        let order = message(&name, "a", &assignment, body.into_bytes());
        shop.queue.publish(&name, vec![order]).await.unwrap();
        let report = shop.answered().await;
        assert!(
            matches!(&report.said, Said::NotBegun { why } if why.contains("newer version")),
            "{:?}",
            report.said
        );
        assert_eq!(
            (report.task, report.attempt, report.version, report.head),
            (assignment.task, assignment.attempt, assignment.version, assignment.head)
        );
    }
    assert_eq!(wrote(&shop.desk.fake), 0);
    assert_eq!(shop.left_in(&name).await, (0, 0));
    assert!(shop.queue.dead(10).await.unwrap().is_empty());
    // One that only says more than this version asks for is carried out.
    let more = json.replacen('{', "{\"form\":1,\"hint\":{\"of\":\"a later version\"},", 1);
    let order = message(&name, "a", &assignment, more.into_bytes());
    shop.queue.publish(&name, vec![order]).await.unwrap();
    assert!(matches!(shop.answered().await.said, Said::Satisfied { .. }));
    // Forged, it is buried as ever.
    let mut forged = message(
        &name,
        "a",
        &assignment,
        json.replacen('{', "{\"form\":2,", 1).into_bytes(),
    );
    forged.headers.clear();
    shop.queue.publish(&name, vec![forged]).await.unwrap();
    shop.work_during(a_while()).await;
    assert_eq!(shop.queue.dead(10).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_order_that_is_not_the_dispatchers_for_this_queue_is_buried() {
    let (shop, assignment) = shop(Kind::HideFromAddressLists, 0);
    let name = lane_of(Area::Mailbox);
    let body = serde_json::to_vec(&assignment).unwrap();
    let genuine = message(&name, "a", &assignment, body.clone());
    let mut unsigned = genuine.clone();
    unsigned.headers.clear();
    let mut changed = genuine.clone();
    changed.body = String::from_utf8(body.clone()).unwrap().replace("acme", "beta").into();
    let mut renamed = genuine.clone();
    renamed.id = "b".to_owned();
    let mut other_answer = genuine.clone();
    let stolen = DispatchKey::from_bytes([4; 32])
        .answer_to(&assignment, &name.to_string())
        .to_header();
    other_answer.headers.insert(ANSWER_HEADER.to_owned(), stolen);
    let elsewhere = message(&lane_of(Area::Device), "a", &assignment, body);
    let forged = vec![unsigned, changed, renamed, other_answer, elsewhere];
    let n = forged.len();
    shop.queue.publish(&name, forged).await.unwrap();
    shop.work_during(a_while()).await;
    let dead = shop.queue.dead(10).await.unwrap();
    assert_eq!(dead.len(), n);
    assert!(dead.iter().all(|(_, reason)| reason.starts_with("forged")), "{dead:?}");
    assert_eq!(wrote(&shop.desk.fake), 0);
    // The genuine one goes through.
    shop.queue.publish(&name, vec![genuine]).await.unwrap();
    assert!(matches!(shop.answered().await.said, Said::Satisfied { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_dies_gives_back_and_another_finishes() {
    let (shop, assignment) = shop(Kind::RemoveInboxRules, 0);
    shop.order(&assignment).await;
    let fake = shop.desk.fake.clone();
    fake.lock().unanswered = 1;
    shop.work_during(until(|| wrote(&fake) == 1)).await;
    // The worker's future is gone: what it held is back.
    assert_eq!(shop.left_in(&lane_of(Area::Mailbox)).await, (1, 0));
    let report = shop.answered().await;
    assert!(matches!(report.said, Said::Satisfied { .. }), "{:?}", report.said);
    assert_eq!(wrote(&fake), 2);
}

#[tokio::test(start_paused = true)]
async fn a_once_only_order_is_acknowledged_before_it_is_begun() {
    let (shop, assignment) = shop(Kind::WipeDevice, 0);
    shop.order(&assignment).await;
    let fake = shop.desk.fake.clone();
    fake.lock().unanswered = 1;
    shop.work_during(until(|| wrote(&fake) == 1)).await;
    // The worker died right after the order went out: nothing returns.
    assert_eq!(shop.left_in(&lane_of(Area::Device)).await, (0, 0));
    shop.work_during(a_while()).await;
    assert_eq!(wrote(&fake), 1);
}

#[tokio::test(start_paused = true)]
async fn a_once_only_order_that_was_delivered_before_is_answered_unknown() {
    let (shop, mut assignment) = shop(Kind::WipeDevice, 0);
    shop.order(&assignment).await;
    let name = lane_of(Area::Device);
    {
        let mut consumer = shop.queue.consume(&name, 1).await.unwrap();
        drop(consumer.next().await.unwrap());
    }
    let report = shop.answered().await;
    assert!(matches!(report.said, Said::Fault { fault } if fault.class == FaultClass::Unknown));
    assert_eq!(wrote(&shop.desk.fake), 0);
    // Reading it is no order: that may be delivered as often as it likes.
    assignment.mode = Mode::ObserveOnly;
    shop.order(&assignment).await;
    {
        let mut consumer = shop.queue.consume(&name, 1).await.unwrap();
        drop(consumer.next().await.unwrap());
    }
    // What was ordered may be listed late: it is looked for.
    let report = shop.answered().await;
    assert!(matches!(report.said, Said::Wait { .. }), "{:?}", report.said);
    assert_eq!(wrote(&shop.desk.fake), 0);
}

#[tokio::test(start_paused = true)]
async fn no_more_attempts_run_at_once_than_allowed() {
    let (shop, assignment) = shop(Kind::HideFromAddressLists, 0);
    for _ in 0..20 {
        shop.order(&assignment).await;
    }
    let reports = async {
        for _ in 0..20 {
            shop.report().await;
        }
    };
    shop.work_during(reports).await;
    assert_eq!(shop.desk.fake.lock().reading_max, 2);
}

#[tokio::test(start_paused = true)]
async fn more_attempts_are_held_where_each_takes_long_and_no_more_than_bounded() {
    let (shop, assignment) = shop(Kind::HideFromAddressLists, 0);
    shop.desk.fake.lock().slow = Duration::from_secs(10);
    for _ in 0..60 {
        shop.order(&assignment).await;
    }
    let some = async {
        for _ in 0..60 {
            shop.report().await;
        }
    };
    shop.work_during(some).await;
    let most = shop.desk.fake.lock().reading_max;
    assert!((9..=16).contains(&most), "eight times two at most: {most}");
}

/// As many slow ones as there are places: nobody has measured anything yet.
#[tokio::test(start_paused = true)]
async fn slow_attempts_leave_room_for_others_while_they_are_held() {
    const SLOW: Duration = Duration::from_secs(30);
    let (shop, mut assignment) = shop(Kind::HideFromAddressLists, 0);
    let fake = shop.desk.fake.clone();
    let others = async {
        fake.lock().slow = SLOW;
        for attempt in 1..=2 {
            assignment.attempt = attempt;
            shop.order(&assignment).await;
        }
        until(|| fake.lock().reading == 2).await;
        fake.lock().slow = Duration::ZERO;
        // Nor do many quick ones make the room small again.
        for attempt in 3..=20 {
            assignment.attempt = attempt;
            shop.order(&assignment).await;
            let answered = tokio::time::timeout(SLOW / 10, shop.report()).await;
            assert_eq!(answered.expect("it waits for the slow ones").attempt, attempt);
        }
        assert_eq!(fake.lock().reading, 2, "the slow ones are held still");
    };
    shop.work_during(others).await;
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_finishes_what_runs_and_takes_nothing_more() {
    let (shop, assignment) = shop(Kind::RemoveInboxRules, 0);
    for _ in 0..5 {
        shop.order(&assignment).await;
    }
    let fake = shop.desk.fake.clone();
    shop.stop_when(|| wrote(&fake) >= 1).await;
    let (ready, held) = shop.left_in(&lane_of(Area::Mailbox)).await;
    assert_eq!((ready, held), (3, 0));
    let reports = report_queue(&TenantId::new("acme").unwrap(), 1);
    assert_eq!(shop.left_in(&reports).await, (2, 0));
}

/// Given up, it could only be looked for, and a person would be asked.
#[tokio::test(start_paused = true)]
async fn a_once_only_order_that_was_begun_goes_on_when_a_shutdowns_grace_is_over() {
    for (kind, given_back, reported) in [(Kind::WipeDevice, 0, 1), (Kind::HideFromAddressLists, 1, 0)] {
        let (shop, assignment) = shop(kind, 0);
        let fake = shop.desk.fake.clone();
        fake.lock().slow = WorkerConfig::default().grace + Duration::from_secs(1);
        shop.order(&assignment).await;
        shop.stop_when(|| fake.lock().reading == 1).await;
        let reports = report_queue(&TenantId::new("acme").unwrap(), 1);
        let left = shop.left_in(&lane_of(kind.spec().area)).await;
        assert_eq!(left, (given_back, 0), "{kind}");
        assert_eq!(shop.left_in(&reports).await, (reported, 0), "{kind}");
    }
}

/// What a worker knows that has not taken a new client's configuration yet.
struct Nobody;

impl Connectors for Nobody {
    fn get(&self, _tenant: &TenantId, _system: &System) -> Option<Arc<dyn Connector>> {
        None
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_that_a_worker_has_no_system_for_yet_is_left_to_others_before_a_person_hears_of_it() {
    let (mut shop, mut assignment) = shop(Kind::HideFromAddressLists, 0);
    let behind = shop.another(Nobody);
    let reloaded = std::mem::replace(&mut shop.worker, behind);
    let began = Instant::now();
    for attempt in 1..=5 {
        assignment.attempt = attempt;
        shop.order(&assignment).await;
        let said = shop.answered().await.said;
        assert!(
            matches!(&said, Said::NotBegun { why } if why.contains("no such system")),
            "{said:?}"
        );
    }
    // It does not go round and round.
    assert!(began.elapsed() >= Duration::from_secs(50), "{:?}", began.elapsed());
    let behind = std::mem::replace(&mut shop.worker, reloaded);
    shop.order(&assignment).await;
    assert!(matches!(shop.answered().await.said, Said::Satisfied { .. }));
    // Nobody has it, minutes later: somebody has to mend that.
    shop.worker = behind;
    for _ in 0..30 {
        shop.order(&assignment).await;
        match shop.answered().await.said {
            Said::NotBegun { .. } => {}
            Said::Fault { fault } => {
                assert_eq!(fault.class, FaultClass::Denied);
                let after = began.elapsed().as_secs();
                assert!((180..240).contains(&after), "{after}");
                return;
            }
            said => panic!("{said:?}"),
        }
    }
    panic!("nobody hears of it");
}

/// Whoever dies while he keeps it would be taken for one who has begun it.
#[tokio::test(start_paused = true)]
async fn a_once_only_order_that_cannot_be_begun_is_kept_by_nobody() {
    let (mut shop, assignment) = shop(Kind::WipeDevice, 0);
    shop.worker = shop.another(Nobody);
    let began = Instant::now();
    shop.order(&assignment).await;
    let said = shop.work_during(shop.report()).await.said;
    assert!(
        matches!(&said, Said::NotBegun { why } if why.contains("no such system")),
        "{said:?}"
    );
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

/// Several clients whose systems are one world.
struct Anybody(Fake);

impl Connectors for Anybody {
    fn get(&self, _tenant: &TenantId, _system: &System) -> Option<Arc<dyn Connector>> {
        Some(Arc::new(self.0.clone()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_asks_for_less_haste_is_left_alone_also_by_what_was_ordered_already() {
    let (mut shop, assignment) = shop(Kind::HideFromAddressLists, 0);
    let fake = shop.desk.fake.clone();
    shop.worker = shop.another(Anybody(fake.clone()));
    let asked = FaultClass::Throttled {
        retry_after_ms: Some(30_000),
    };
    fake.lock().next_faults.push((asked, false));
    let began = Instant::now();
    for _ in 0..3 {
        shop.order(&assignment).await;
    }
    let of = |tenant: &str, attempt: u32| Assignment {
        tenant: TenantId::new(tenant).unwrap(),
        attempt,
        ..assignment.clone()
    };
    let all = async {
        let first = shop.report().await;
        assert!(
            matches!(&first.said, Said::Fault { fault } if fault.class == asked),
            "{first:?}"
        );
        for _ in 0..2 {
            let left = shop.report().await;
            assert!(
                matches!(&left.said, Said::NotBegun { why } if why.contains("less haste")),
                "{left:?}"
            );
        }
        // Another client's vendor asked for nothing.
        shop.order(&of("beta", 2)).await;
        let goes_on = shop.report().await;
        assert!(matches!(goes_on.said, Said::Satisfied { .. }), "{goes_on:?}");
        assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
        // What is over soon is waited for here, and urgent ones are the first.
        tokio::time::sleep_until(began + Duration::from_secs(25)).await;
        shop.order(&of("acme", 3)).await;
        let urgent = QueueName::Assignments {
            area: Area::Mailbox,
            lane: Lane::Urgent,
            site: None,
        };
        shop.order_through(&urgent, &of("acme", 4)).await;
        for attempt in [4, 3] {
            let report = shop.report().await;
            assert!(matches!(report.said, Said::Satisfied { .. }), "{report:?}");
            assert_eq!(report.attempt, attempt);
            assert!(began.elapsed() >= Duration::from_secs(30), "{:?}", began.elapsed());
        }
    };
    shop.work_during(all).await;
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_ended_is_made_again() {
    let (shop, assignment) = shop(Kind::HideFromAddressLists, 0);
    let all = async {
        a_while().await;
        shop.queue.sever(&lane_of(Area::Mailbox));
        shop.order(&assignment).await;
        shop.report().await
    };
    let report = shop.work_during(all).await;
    assert!(matches!(report.said, Said::Satisfied { .. }), "{:?}", report.said);
}

#[test]
fn a_tenant_s_reports_always_go_the_same_way() {
    let tenant = TenantId::new("acme").unwrap();
    assert_eq!(report_queue(&tenant, 1), QueueName::Reports { shard: 0 });
    assert_eq!(report_queue(&tenant, 0), QueueName::Reports { shard: 0 });
    let spread: std::collections::BTreeSet<QueueName> = (0..200)
        .map(|n| report_queue(&TenantId::new(&format!("t-{n}")).unwrap(), 8))
        .collect();
    assert_eq!(spread.len(), 8);
}
