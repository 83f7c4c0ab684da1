//! The shell around attempts: takes deliveries, bounds how many run at once,
//! publishes reports and only then acknowledges.
//!
//! Attempts run on whichever core is free, and everything ends with the future
//! of [`Worker::run`]: dropping it is the death of the worker, as sudden as a
//! signal's, and what it held returns to the queue.

use crate::attempt::{attempt, fitting, is_once, say};
use crate::holds::Holds;
use crate::publisher::{Publisher, publisher};
use crate::window::{Place, Window};
use crate::{Context, procedure};
use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::{Either, join_all, select};
use offboard_domain::assignment::CLOCK_MARGIN_MS;
use offboard_domain::fault::held_back_ms;
use offboard_domain::{Area, Assignment, Fault, FaultClass, Heading, Lane, Report, Said, TenantId, Timestamp};
use offboard_queue::rabbit::topology::exchange_of;
use offboard_queue::{Consumer, Delivery, Message, Queue, QueueError, QueueName};
use offboard_runtime::keys::{ANSWER_HEADER, AnswerKey, PROOF_HEADER, QUEUE_HEADER, QueueKey, QueueKeys};
use offboard_runtime::telemetry::trace::Envelope;
use offboard_runtime::telemetry::{Span, Work, metrics, trace};
use offboard_runtime::{AtHand, health};
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// The largest assignment that is read, in bytes: a closing round of a few
/// hundred tasks stays well below.
const ASSIGNMENT_MAX_BYTES: usize = 1024 * 1024;

/// Pause before subscribing again after the broker ended a subscription, or
/// before publishing again; it grows to the second value.
const AGAIN_AFTER: Duration = Duration::from_millis(200);
const AGAIN_AFTER_MAX: Duration = Duration::from_secs(10);

/// How many attempts run at the same time in one area while vendors are well;
/// up to eight times as many while they are slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Concurrency {
    /// In the urgent lane.
    pub urgent: u16,
    /// In the normal lane.
    pub normal: u16,
}

impl Default for Concurrency {
    /// Sixteen urgent, eight others: attempts mostly wait for the vendor.
    fn default() -> Self {
        Self { urgent: 16, normal: 8 }
    }
}

/// What a worker serves, and how much at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerConfig {
    /// The areas that it serves.
    pub areas: Vec<Area>,
    /// The site whose systems it can reach from inside; none: those that can
    /// be reached from anywhere.
    pub site: Option<String>,
    /// How many attempts run at the same time, for each area.
    pub concurrency: Concurrency,
    /// Over how many queues reports are spread.
    pub report_shards: u16,
    /// How long a shutdown lets attempts finish, in real time. What must be carried out once
    /// and was begun goes on until its own time is over.
    pub grace: Duration,
}

impl Default for WorkerConfig {
    /// Every area that machines serve, one shard, ten seconds of grace.
    fn default() -> Self {
        Self {
            areas: Area::MACHINES.to_vec(),
            site: None,
            concurrency: Concurrency::default(),
            report_shards: 1,
            grace: Duration::from_secs(10),
        }
    }
}

/// The queue of a tenant's reports, given over how many they are spread.
#[must_use]
pub fn report_queue(tenant: &TenantId, shards: u16) -> QueueName {
    QueueName::Reports {
        shard: tenant.shard(shards),
    }
}

/// A worker.
pub struct Worker {
    parts: Arc<Parts>,
}

/// What every lane of a worker shares.
struct Parts {
    config: WorkerConfig,
    queue: Arc<dyn Queue>,
    keys: QueueKeys,
    context: Context,
    holds: Mutex<Holds>,
}

impl Worker {
    /// A worker that has not begun. It refuses every order that is not
    /// authenticated with the key of the queue through which it came.
    #[must_use]
    pub fn new(config: WorkerConfig, queue: Arc<dyn Queue>, keys: QueueKeys, context: Context) -> Self {
        let parts = Arc::new(Parts {
            config,
            queue,
            keys,
            context,
            holds: Mutex::default(),
        });
        Self { parts }
    }

    /// Works until `shutdown` becomes true (or its sender goes): then takes
    /// nothing more, lets what runs finish within the grace, and gives the
    /// rest back. A *once* order that was begun is the exception: given up, it could
    /// only be looked for, so it ends with its own time.
    pub async fn run(&self, shutdown: watch::Receiver<bool>) {
        let (publisher, publishing) = publisher();
        let Parts {
            config, queue, keys, ..
        } = self.parts.as_ref();
        let lanes = config.areas.iter().filter(|a| **a != Area::Person).flat_map(|area| {
            let Concurrency { urgent, normal } = config.concurrency;
            [(area, Lane::Urgent, urgent), (area, Lane::Normal, normal)]
        });
        let serving = join_all(lanes.map(|(area, lane, at_once)| {
            let served = Served {
                worker: self.parts.clone(),
                area: *area,
                lane,
                window: Mutex::new(Window::new(at_once)),
                publisher: publisher.clone(),
                key: keys.of(&self.parts.queue_of(*area, lane).to_string()),
            };
            Arc::new(served).run(shutdown.clone())
        }));
        drop(publisher);
        // The publishing ends when the last lane has gone.
        futures::join!(serving, publishing.run(queue.as_ref()));
    }
}

impl Parts {
    fn queue_of(&self, area: Area, lane: Lane) -> QueueName {
        QueueName::Assignments {
            area,
            lane,
            site: self.config.site.clone(),
        }
    }
}

async fn stopped(mut shutdown: watch::Receiver<bool>) {
    // An error means that nobody is left who could ask: that is a shutdown.
    drop(shutdown.wait_for(|stop| *stop).await);
}

/// One lane of one area.
struct Served {
    worker: Arc<Parts>,
    area: Area,
    lane: Lane,
    window: Mutex<Window>,
    publisher: Publisher,
    /// The key of its queue; without it every order is refused.
    key: Option<QueueKey>,
}

/// A place of its window that an attempt has, until it is dropped.
struct Held {
    served: Arc<Served>,
    place: Place,
}

impl Held {
    fn begin(served: &Arc<Served>) -> Self {
        let place = served.window().hold(Instant::now());
        Self {
            served: served.clone(),
            place,
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.served.window().let_go(self.place);
    }
}

/// Returns at that time; never if there is none.
async fn reached(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// An order that is the dispatcher's.
struct Ordered {
    assignment: Assignment,
    answer: AnswerKey,
}

/// An order that is not carried out.
enum Unread {
    /// It can never be dealt with, and why.
    Never(String),
    /// It is the dispatcher's, and for a newer version of this program.
    Newer(Box<Heading>, AnswerKey),
}

impl From<String> for Unread {
    fn from(why: String) -> Self {
        Self::Never(why)
    }
}

impl From<&str> for Unread {
    fn from(why: &str) -> Self {
        Self::Never(why.to_owned())
    }
}

/// Why an order of a newer version is not begun.
const TOO_NEW: &str = "a newer version ordered it, and this worker could not read all of it";

/// How long an order for a newer version is kept before it is given up, so that
/// it does not go round and round while no newer worker is there.
const TOO_NEW_KEPT: Duration = Duration::from_secs(10);

/// Why an order about a system that is not here is not begun.
const NOT_YET_KNOWN: &str =
    "this worker has no such system of this tenant, and may not have taken the newest configuration yet (SIGHUP)";

/// Why an order is not begun while a vendor wants to be left alone.
const LEFT_ALONE: &str = "the vendor asked for less haste, and is left alone until the time that it named";

/// How long an order that cannot be begun yet is kept, in milliseconds: long enough that it does
/// not go round and round, and that what is over soon is waited for here.
const NOT_YET_KEPT_MS: i64 = 10_000;

/// How much later than urgent ones other orders call a vendor that was left alone, in
/// milliseconds.
const URGENT_FIRST_MS: i64 = 1_000;

impl Served {
    async fn run(self: Arc<Self>, shutdown: watch::Receiver<bool>) {
        let name = self.name();
        let mut stop = pin!(stopped(shutdown.clone()).fuse());
        let mut running = AtHand::new();
        let mut pause = AGAIN_AFTER;
        let pulse = health::pulse(format!("worker of {name}"));
        'subscribed: loop {
            pulse.beat();
            let mut places = self.window().places(Instant::now());
            let subscribing = self.worker.queue.consume(&name, places);
            let mut consumer: Box<dyn Consumer> = match select(&mut stop, subscribing).await {
                Either::Left(_) => break,
                Either::Right((Ok(consumer), _)) => consumer,
                Either::Right((Err(error), _)) => {
                    self.wait_again(&name, &error, &mut pause).await;
                    continue;
                }
            };
            loop {
                // What was acknowledged early no longer counts for the
                // broker's bound, so it is counted here.
                let full = running.len() >= usize::from(places);
                let now = Instant::now();
                let (wanted, next_slow) = {
                    let window = self.window();
                    (window.places(now), window.next_slow(now))
                };
                if wanted != places {
                    if let Err(error) = consumer.resize(wanted).await {
                        self.wait_again(&name, &error, &mut pause).await;
                        continue 'subscribed;
                    }
                    places = wanted;
                    tracing::debug!(queue = %name, places, "holds another number of attempts at once, after how long they take");
                    continue;
                }
                tokio::select! {
                    biased;
                    () = &mut stop => {
                        // As long as it is subscribed, what is held can be acknowledged, and
                        // what was not taken yet waits with it: what goes on longer was
                        // acknowledged before it began.
                        let _ = tokio::time::timeout(self.worker.config.grace, running.finish()).await;
                        break 'subscribed;
                    }
                    Some(()) = running.next(), if !running.is_empty() => {}
                    () = pulse.next() => {}
                    // There may be room then.
                    () = reached(next_slow), if full => {}
                    next = consumer.next(), if !full => match next {
                        Ok(delivery) => {
                            pause = AGAIN_AFTER;
                            let held = Held::begin(&self);
                            running.push(self.clone().deal_with(delivery, held, shutdown.clone()));
                        }
                        Err(error) => {
                            self.wait_again(&name, &error, &mut pause).await;
                            continue 'subscribed;
                        }
                    },
                }
            }
        }
        // Longer than a loop may hang.
        while !running.is_empty() {
            tokio::select! {
                _ = running.next() => {}
                () = pulse.next() => {}
            }
        }
        pulse.end();
    }

    async fn wait_again(&self, name: &QueueName, error: &QueueError, pause: &mut Duration) {
        tracing::warn!(queue = %name, error = %error, "subscribing again");
        tokio::time::sleep(*pause).await;
        *pause = (*pause * 2).min(AGAIN_AFTER_MAX);
    }

    fn name(&self) -> QueueName {
        self.worker.queue_of(self.area, self.lane)
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One delivery, from its body to its acknowledgement, which has its place until then,
    /// or until a shutdown's grace is over.
    async fn deal_with(self: Arc<Self>, delivery: Box<dyn Delivery>, _place: Held, shutdown: watch::Receiver<bool>) {
        let read = self.read(delivery.message());
        let once = !delivery.redelivered() && matches!(&read, Ok(ordered) if is_once(&ordered.assignment));
        let dealing = self.carry_out(read, delivery);
        if once {
            return dealing.await;
        }
        let late = async {
            stopped(shutdown).await;
            tokio::time::sleep(self.worker.config.grace).await;
        };
        if let Either::Right(_) = select(pin!(dealing), pin!(late)).await {
            tracing::warn!(queue = %self.name(), "an attempt did not finish within the shutdown's grace; it is given back");
        }
    }

    async fn carry_out(&self, read: Result<Ordered, Unread>, delivery: Box<dyn Delivery>) {
        let Ordered { assignment, answer } = match read {
            Ok(ordered) => ordered,
            Err(Unread::Newer(heading, answer)) => {
                return self.leave_to_newer(&heading, &answer, delivery).await;
            }
            Err(Unread::Never(reason)) => {
                tracing::warn!(area = self.area.word(), reason, "burying what cannot be dealt with");
                noted("bury", delivery.bury(&reason).await);
                return;
            }
        };
        let redelivered = delivery.redelivered();
        let span = self.span(&assignment, delivery.as_ref());
        if redelivered {
            span.note("offboard.redelivered", "true");
        }
        let (of, until) = (work(&assignment), assignment.over_at());
        let known = is_once(&assignment) && redelivered;
        if !known && let Some(why) = self.hindered(&assignment).await {
            let report = say(
                &assignment,
                &self.worker.context,
                Said::NotBegun { why: why.to_owned() },
            );
            span.note("offboard.outcome", outcome(&report.said));
            span.end();
            if span.within(self.answer(&of, until, &answer, &report)).await {
                noted("acknowledge", delivery.ack().await);
            }
            return;
        }
        let mut held = Some(delivery);
        if is_once(&assignment)
            && !redelivered
            && let Some(delivery) = held.take()
            && let Err(error) = delivery.ack().await
        {
            // Not begun: it returns, and is answered as delivered before.
            tracing::warn!(task = %assignment.task, error = %error, "a once-only order could not be acknowledged and was not begun");
            return;
        }
        let report = span.within(self.attempt(&assignment, redelivered)).await;
        span.note("offboard.outcome", outcome(&report.said));
        span.end();
        if span.within(self.answer(&of, until, &answer, &report)).await
            && let Some(delivery) = held
        {
            noted("acknowledge", delivery.ack().await);
        }
    }

    /// Why an order cannot be begun now, after it was waited for a while whether it can. It is
    /// answered as not begun then, and comes again when the dispatcher lets it.
    async fn hindered(&self, assignment: &Assignment) -> Option<&'static str> {
        let pair = (assignment.tenant.clone(), assignment.target.system.clone());
        let context = &self.worker.context;
        // What must not happen twice is not kept while nobody has begun it: brought again, it
        // would count as begun.
        let kept = match is_once(assignment) {
            true => Duration::ZERO,
            false => context.clock.real(NOT_YET_KEPT_MS),
        };
        if context.connectors.get(&pair.0, &pair.1).is_some() {
            self.holds().is_here(&pair);
        } else if self.holds().may_come(pair.clone(), Instant::now()) {
            tokio::time::sleep(kept).await;
            if context.connectors.get(&pair.0, &pair.1).is_none() {
                return Some(NOT_YET_KNOWN);
            }
        }
        let given_up = Instant::now() + kept;
        // Another one may meet the same answer meanwhile.
        loop {
            let now = Instant::now();
            let until = self.holds().until(&pair, now)?;
            if now >= given_up {
                return Some(LEFT_ALONE);
            }
            let turn = match self.lane {
                Lane::Urgent => until,
                Lane::Normal => until + context.clock.real(URGENT_FIRST_MS),
            };
            tokio::time::sleep_until(turn.min(given_up)).await;
        }
    }

    fn holds(&self) -> MutexGuard<'_, Holds> {
        self.worker.holds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers that an order was not begun; it comes again, and in the end to a
    /// newer worker. Returned to the queue it would count as delivered before.
    async fn leave_to_newer(&self, heading: &Heading, answer: &AnswerKey, delivery: Box<dyn Delivery>) {
        tokio::time::sleep(TOO_NEW_KEPT).await;
        let now = self.worker.context.clock.now();
        let report = heading.not_begun(now, TOO_NEW);
        tracing::warn!(case = %report.case, task = %report.task, "{TOO_NEW}; it is left to a newer one");
        let work = Work {
            task: Some(report.task),
            attempt: Some(report.attempt),
            ..Work::case(&report.tenant, report.case)
        };
        if self.answer(&work, now.plus(CLOCK_MARGIN_MS), answer, &report).await {
            noted("acknowledge", delivery.ack().await);
        }
    }

    fn span(&self, assignment: &Assignment, delivery: &dyn Delivery) -> Span {
        let (queue, message) = (self.name(), delivery.message());
        let envelope = Envelope {
            queue: &queue.to_string(),
            exchange: exchange_of(&queue),
            id: &message.id,
            tag: delivery.tag(),
        };
        let accepted = assignment.traceparent.as_deref();
        trace::process(envelope, &message.headers, &work(assignment), accepted)
    }

    async fn attempt(&self, assignment: &Assignment, redelivered: bool) -> Report {
        let context = &self.worker.context;
        let began = Instant::now();
        let attempted = AssertUnwindSafe(attempt(assignment, self.lane, redelivered, context))
            .catch_unwind()
            .await;
        let report = attempted.unwrap_or_else(|_| {
            // The panic's own message went to the hook; it is not repeated.
            tracing::error!(task = %assignment.task, kind = assignment.kind.name(), "an attempt broke inside the worker");
            let fault = Fault {
                class: FaultClass::Unknown,
                system: assignment.target.system.clone(),
                attempted: assignment.kind.name().to_owned(),
                status: None,
                code: None,
                detail: "the attempt broke inside the worker; its log says where, report it".to_owned(),
                request_id: None,
            };
            say(assignment, context, Said::Fault { fault })
        });
        let report = fitting(report, assignment);
        if let Said::Fault { fault } = &report.said
            && let Some(held_ms) = held_back_ms(fault.class)
        {
            let now = Instant::now();
            let pair = (assignment.tenant.clone(), assignment.target.system.clone());
            self.holds().throttled(pair, now + context.clock.real(held_ms), now);
        }
        let vendor = context
            .connectors
            .get(&assignment.tenant, &assignment.target.system)
            .map_or("none", |c| c.vendor());
        let took = began.elapsed();
        self.window().took(took);
        metrics::attempt(assignment.kind, vendor, outcome(&report.said), took);
        tracing::debug!(
            tenant = %assignment.tenant, case = %assignment.case, task = %assignment.task,
            kind = assignment.kind.name(), attempt = assignment.attempt, said = word(&report.said), "attempted"
        );
        report
    }

    /// Publishes the report; false when the broker would not take it while the
    /// assignment was valid (the ledger then notices the missing answer).
    async fn answer(&self, work: &Work<'_>, until: Timestamp, answer: &AnswerKey, report: &Report) -> bool {
        let Ok(body) = serde_json::to_vec(report) else {
            return false;
        };
        let headers = BTreeMap::from([
            (PROOF_HEADER.to_owned(), answer.prove(&body)),
            (QUEUE_HEADER.to_owned(), self.name().to_string()),
        ]);
        let message = Message {
            id: format!("{}.{}.{}", report.case, report.task, report.attempt),
            headers,
            body: Bytes::from(body),
            expires_at: None,
        };
        let queue = report_queue(&report.tenant, self.worker.config.report_shards);
        let envelope = Envelope {
            queue: &queue.to_string(),
            exchange: exchange_of(&queue),
            id: &message.id,
            tag: None,
        };
        let mut pause = AGAIN_AFTER;
        loop {
            let span = trace::answer(envelope, work);
            let mut message = message.clone();
            span.inject(&mut message.headers);
            let published = self.publisher.publish(queue.clone(), message).await;
            if let Some(Err(_)) = &published {
                span.failed("not_confirmed");
                metrics::publish_failed("reports");
            }
            drop(span);
            match published {
                None => return false,
                Some(Ok(())) => return true,
                Some(Err(error)) => {
                    if self.worker.context.clock.now() > until {
                        tracing::warn!(task = %report.task, error = %error, "a report could not be published in time");
                        return false;
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(AGAIN_AFTER_MAX);
                }
            }
        }
    }

    /// The assignment in a message, or why it can never be dealt with. The
    /// reason repeats nothing from the message: it is kept in the open.
    fn read(&self, message: &Message) -> Result<Ordered, Unread> {
        if message.body.len() > ASSIGNMENT_MAX_BYTES {
            return Err(format!(
                "the assignment has {} bytes, more than {ASSIGNMENT_MAX_BYTES}",
                message.body.len()
            )
            .into());
        }
        let header = |name: &str| message.headers.get(name).map_or("", String::as_str);
        let (proof, answer_key) = (header(PROOF_HEADER), header(ANSWER_HEADER));
        let key = self.key.as_ref().ok_or("this worker has no key of the queue")?;
        if !key.holds(proof, &message.id, answer_key, &message.body) {
            return Err("forged: it is not authenticated by the dispatcher for this queue".into());
        }
        let answer = AnswerKey::from_header(answer_key).ok_or("it carries no key for its answer")?;
        if let Some(heading) = Heading::of_newer(&message.body) {
            return Err(Unread::Newer(Box::new(heading), answer));
        }
        let assignment: Assignment = serde_json::from_slice(&message.body).map_err(|e| {
            let what = if e.is_data() {
                "is not an assignment of this version"
            } else {
                "is not JSON"
            };
            format!("the message {what} (line {}, column {})", e.line(), e.column())
        })?;
        let area = assignment.kind.spec().area;
        if area != self.area {
            return Err(format!("{} belongs to {area}, and came through {}", assignment.kind, self.area).into());
        }
        if procedure::of(assignment.kind).is_none() && !assignment.kind.is_closing_round() {
            return Err(format!("{} is not for a worker", assignment.kind).into());
        }
        Ok(Ordered { assignment, answer })
    }
}

fn noted(attempted: &str, done: Result<(), QueueError>) {
    if let Err(error) = done {
        // It returns and is dealt with again, which does no harm.
        tracing::warn!(error = %error, "failed to {attempted} a delivery");
    }
}

/// What an assignment is for, as a span says it.
fn work(assignment: &Assignment) -> Work<'_> {
    Work {
        task: Some(assignment.task),
        kind: Some(assignment.kind),
        attempt: Some(assignment.attempt),
        ..Work::case(&assignment.tenant, assignment.case)
    }
}

/// What became of an attempt, as metrics and spans say it.
fn outcome(said: &Said) -> &'static str {
    match said {
        Said::Fault { fault } => fault.class.word(),
        other => word(other),
    }
}

fn word(said: &Said) -> &'static str {
    match said {
        Said::Satisfied { .. } => "satisfied",
        Said::Observed { .. } => "observed",
        Said::Checked { .. } => "checked",
        Said::Progress { .. } => "progress",
        Said::Wait { .. } => "wait",
        Said::Found { .. } => "found",
        Said::Fault { .. } => "fault",
        Said::NotBegun { .. } => "not_begun",
    }
}
