//! Reports come back here. A report is acknowledged only when what it caused
//! is appended and published; a crash in between repeats the report, which is
//! then recognised, and what that transition assigned is published again.

use crate::engine::{Engine, EngineError, told};
use offboard_domain::assignment::REPORT_MAX_BYTES;
use offboard_domain::time::DAY_MS;
use offboard_domain::{Assignment, CaseId, Heading, Lane, Refusal, Report, Said, TaskId, TenantId};
use offboard_queue::rabbit::may_report;
use offboard_queue::rabbit::topology::exchange_of;
use offboard_queue::{Consumer, Delivery, Message, QueueName};
use offboard_runtime::keys::{ANSWER_HEADER, PROOF_HEADER, QUEUE_HEADER};
use offboard_runtime::telemetry::trace::Envelope;
use offboard_runtime::telemetry::{Span, Work, trace};
use offboard_runtime::{AtHand, health};
use std::sync::Arc;
use tokio::sync::watch;

/// How many reports are worked on at the same time: enough that appends gather
/// into groups, few enough that memory stays flat.
const CONCURRENT_REPORTS: u16 = 512;

/// How long a report for a newer version is kept before it goes back, in
/// milliseconds of engine time.
const TOO_NEW_KEPT_MS: i64 = 10_000;

/// How far from now a report may have been written, by the clock of its worker, to be kept while
/// its case or task is not there, in milliseconds: history was lost, and who was resolved and
/// planned before is so again by then, or nobody waits for it. So one by a clock that is ahead is
/// kept for longer, two days at the most.
const UNKNOWN_KEPT_MS: i64 = DAY_MS;

/// How often it is tried again, in milliseconds of engine time: far more often than any act that
/// must not happen twice is begun after a loss.
const UNKNOWN_AGAIN_MS: i64 = 10_000;

/// Pause before subscribing again, in milliseconds of engine time.
const RESUBSCRIBE_MS: i64 = 1_000;

impl Engine {
    /// Takes reports until told to stop; then finishes those at hand.
    pub async fn take_reports(self: Arc<Self>, shard: u16, mut stop: watch::Receiver<bool>) {
        let queue = QueueName::Reports { shard };
        while !told(&stop) {
            match self.queue.consume(&queue, CONCURRENT_REPORTS).await {
                Ok(consumer) => {
                    if let Err(ended) = self.take_from(&queue, consumer, &mut stop).await {
                        tracing::warn!(error = %ended, "the consumer of reports ended; subscribing again");
                    }
                }
                Err(error) => tracing::warn!(%error, "failed to subscribe to reports; trying again"),
            }
            if !told(&stop) {
                self.clock.sleep_until(self.clock.now().plus(RESUBSCRIBE_MS)).await;
            }
        }
    }

    async fn take_from(
        self: &Arc<Self>,
        queue: &QueueName,
        mut consumer: Box<dyn Consumer>,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<(), offboard_queue::QueueError> {
        let mut at_hand = AtHand::new();
        // One for each shard: of one name, a loop that turns would hide one that hangs.
        let pulse = health::pulse(format!("consumer of {queue}"));
        let mut result = Ok(());
        loop {
            tokio::select! {
                biased;
                Some(()) = at_hand.next(), if !at_hand.is_empty() => {}
                _ = stop.changed() => break,
                () = pulse.next() => {}
                delivery = consumer.next() => match delivery {
                    Ok(delivery) => at_hand.push(self.clone().take_one(queue.clone(), delivery)),
                    Err(ended) => {
                        result = Err(ended);
                        break;
                    }
                },
            }
        }
        // Nothing at hand is dropped half done: its credit would be lost.
        at_hand.finish().await;
        pulse.end();
        result
    }

    async fn take_one(self: Arc<Self>, queue: QueueName, delivery: Box<dyn Delivery>) {
        // Before anything looks into it: whoever may report could send what takes
        // many times its size in memory.
        let bytes = delivery.message().body.len();
        if bytes > REPORT_MAX_BYTES {
            tracing::error!(bytes, "a report is larger than {REPORT_MAX_BYTES} bytes; it is buried");
            let why = format!("not a report: it has {bytes} bytes, more than {REPORT_MAX_BYTES}");
            return settle(delivery.bury(&why).await);
        }
        if let Some(heading) = Heading::of_newer(&delivery.message().body) {
            return self.leave_to_newer(&heading, delivery).await;
        }
        let report: Report = match serde_json::from_slice(&delivery.message().body) {
            Ok(report) => report,
            Err(error) => {
                tracing::error!(%error, "a report does not read; it is buried");
                return settle(delivery.bury(&format!("not a report: {error}")).await);
            }
        };
        if !self.is_an_answer(delivery.as_ref(), &report) {
            tracing::error!(case = %report.case, task = %report.task, "a report does not prove that it answers its assignment; it is buried");
            return settle(
                delivery
                    .bury("forged: it does not prove that it answers its assignment")
                    .await,
            );
        }
        let (tenant, case, task) = (report.tenant.clone(), report.case, report.task);
        // It proves that it was ordered: where that is not known, it was lost. Also one from a
        // clock that is ahead says what happened.
        let age_ms = self.clock.now().since(report.at);
        let tells = !matches!(report.said, Said::NotBegun { .. });
        let may_wait = tells && (-UNKNOWN_KEPT_MS..UNKNOWN_KEPT_MS).contains(&age_ms);
        let span = span(&report, &queue, delivery.as_ref());
        let result = span.within(self.record(&tenant, case, report)).await;
        match &result {
            // Also when the worker that answered died before it could tell of
            // itself, this belongs to the case's story.
            Ok(case) => span.link(case.traceparent.as_deref()),
            Err(_) => span.failed("not_recorded"),
        }
        drop(span);
        match result {
            // It told of the loss, and cannot be kept with a task that is not there.
            Ok(recorded) if may_wait && !recorded.tasks.contains_key(&task) => {
                self.bring_again(delivery).await;
            }
            Ok(recorded) if tells && !recorded.tasks.contains_key(&task) => {
                bury_too_far((case, task), age_ms, delivery).await;
            }
            Err(EngineError::Refused(refusal @ (Refusal::UnknownCase | Refusal::UnknownTask(_)))) if may_wait => {
                if refusal == Refusal::UnknownCase {
                    self.misses(&tenant, case);
                }
                tracing::warn!(%case, %task, "a report answers what was ordered in a history that is lost; it waits until its task is there again");
                self.bring_again(delivery).await;
            }
            Err(EngineError::Refused(Refusal::UnknownCase | Refusal::UnknownTask(_))) if tells => {
                bury_too_far((case, task), age_ms, delivery).await;
            }
            Ok(_) => settle(delivery.ack().await),
            Err(EngineError::Refused(Refusal::AlreadyRecorded)) => {
                if let Err(error) = self.publish_again_of(&tenant, case).await {
                    tracing::warn!(%case, %error, "failed to publish again; the report stays");
                    return settle(delivery.give_back().await);
                }
                settle(delivery.ack().await);
            }
            Err(EngineError::Refused(
                refusal @ (Refusal::UnknownCase | Refusal::UnknownTask(_) | Refusal::Foreign),
            )) => {
                tracing::error!(%case, %task, %refusal, "a report answers nothing that was ordered; it is buried");
                settle(delivery.bury(&refusal.to_string()).await);
            }
            Err(EngineError::Refused(refusal)) => {
                tracing::debug!(%case, %task, %refusal, "a report was refused");
                settle(delivery.ack().await);
            }
            Err(error) => {
                tracing::warn!(%case, %task, %error, "failed to record a report; it comes again");
                self.clock.sleep_until(self.clock.now().plus(RESUBSCRIBE_MS)).await;
                settle(delivery.give_back().await);
            }
        }
    }

    /// Later it may be known what the report answers.
    async fn bring_again(&self, delivery: Box<dyn Delivery>) {
        self.clock.sleep_until(self.clock.now().plus(UNKNOWN_AGAIN_MS)).await;
        settle(delivery.give_back().await);
    }

    /// A report for a newer version of this program goes back until one owns
    /// the shard. If that takes too long its attempt runs out, and it is late.
    async fn leave_to_newer(self: &Arc<Self>, heading: &Heading, delivery: Box<dyn Delivery>) {
        let now = self.clock.now();
        let stands_for = heading.not_begun(now, "");
        if !self.is_an_answer(delivery.as_ref(), &stands_for) {
            let why = "forged: it does not prove that it answers its assignment";
            return settle(delivery.bury(why).await);
        }
        tracing::warn!(case = %stands_for.case, task = %stands_for.task, "a newer version reported, and this dispatcher could not read all of it; it is left to a newer one");
        self.clock.sleep_until(now.plus(TOO_NEW_KEPT_MS)).await;
        settle(delivery.give_back().await);
    }

    /// The report was recorded before, and perhaps what it caused was never
    /// published: that is published now.
    async fn publish_again_of(self: &Arc<Self>, tenant: &TenantId, id: CaseId) -> Result<(), EngineError> {
        if self.holds(id) {
            let place = self.place(tenant, id);
            return self.publish_left(tenant, id, &place).await;
        }
        self.take_up(tenant, id, None).await
    }
}

impl Engine {
    /// Whether a report proves that it answers its own assignment, and comes
    /// from a user of the broker who works on such.
    fn is_an_answer(&self, delivery: &dyn Delivery, report: &Report) -> bool {
        let message = delivery.message();
        let header = |name: &str| message.headers.get(name).map_or("", String::as_str);
        let queue = header(QUEUE_HEADER);
        let proven = self
            .dispatch
            .answer_of(report, queue)
            .holds(header(PROOF_HEADER), &message.body);
        let lawful = match (delivery.sender(), queue.parse()) {
            // In memory there is no user but this process.
            (None, Ok(QueueName::Assignments { .. })) => true,
            (Some(user), Ok(QueueName::Assignments { area, site, .. })) => may_report(user, area, site.as_deref()),
            _ => false,
        };
        proven && lawful
    }

    /// Whether a message is an order of this installation's dispatchers, for
    /// whichever queue it went to.
    pub(crate) fn ordered(&self, message: &Message, assignment: &Assignment) -> bool {
        let header = |name: &str| message.headers.get(name).map_or("", String::as_str);
        let (proof, answer_key) = (header(PROOF_HEADER), header(ANSWER_HEADER));
        [Lane::Urgent, Lane::Normal].into_iter().any(|lane| {
            let queue = QueueName::Assignments {
                area: assignment.kind.spec().area,
                lane,
                site: self.tenants.site(&assignment.tenant, &assignment.target.system),
            };
            let key = self.dispatch.queue(&queue.to_string());
            key.holds(proof, &message.id, answer_key, &message.body)
        })
    }
}

/// What it says happened would be on record nowhere else.
async fn bury_too_far((case, task): (CaseId, TaskId), age_ms: i64, delivery: Box<dyn Delivery>) {
    tracing::warn!(%case, %task, age_ms, "the case or the task of a report is not there, and it was written too far from now to be kept until it is again; it is buried");
    settle(delivery.bury(&too_far_to_keep(age_ms)).await);
}

/// Why one that was written farther from now than is kept is buried.
fn too_far_to_keep(age_ms: i64) -> String {
    let why = if age_ms > 0 {
        "it lay for more than a day, or its worker's clock is behind"
    } else {
        "its worker's clock is more than a day ahead; set that right"
    };
    format!(
        "it answers what was ordered, but its case or its task is not there, and it was not kept until that is there again: {why}; what it says happened is on record nowhere else"
    )
}

fn span(report: &Report, queue: &QueueName, delivery: &dyn Delivery) -> Span {
    let work = Work {
        task: Some(report.task),
        attempt: Some(report.attempt),
        ..Work::case(&report.tenant, report.case)
    };
    let message = delivery.message();
    let envelope = Envelope {
        queue: &queue.to_string(),
        exchange: exchange_of(queue),
        id: &message.id,
        tag: delivery.tag(),
    };
    trace::process(envelope, &message.headers, &work, None)
}

/// A settlement that fails means that the delivery comes again, which is lawful.
pub(crate) fn settle(result: Result<(), offboard_queue::QueueError>) {
    if let Err(error) = result {
        tracing::warn!(%error, "failed to settle a delivery; it comes again");
    }
}
