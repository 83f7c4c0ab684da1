//! Reports come back here. A report is acknowledged only when what it caused
//! is appended and published; a crash in between repeats the report, which is
//! then recognised, and what that transition assigned is published again.

use crate::engine::{Engine, EngineError};
use crate::transact::CreditFrom;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use offboard_domain::{CaseId, Command, Refusal, Report, TenantId};
use offboard_queue::{Consumer, Delivery, Message, QueueName};
use offboard_runtime::health;
use offboard_runtime::telemetry::trace::Envelope;
use offboard_runtime::telemetry::{Span, Work, trace};
use std::sync::Arc;
use tokio::sync::watch;

/// How many reports are worked on at the same time: enough that appends gather
/// into groups, few enough that memory stays flat.
const CONCURRENT_REPORTS: u16 = 512;

/// Pause before subscribing again, in milliseconds of engine time.
const RESUBSCRIBE_MS: i64 = 1_000;

impl Engine {
    /// Takes reports until told to stop; then finishes those at hand.
    pub async fn take_reports(self: Arc<Self>, shard: u16, mut stop: watch::Receiver<bool>) {
        let queue = QueueName::Reports { shard };
        while !*stop.borrow() {
            match self.queue.consume(&queue, CONCURRENT_REPORTS).await {
                Ok(consumer) => {
                    if let Err(ended) = self.take_from(&queue, consumer, &mut stop).await {
                        tracing::warn!(error = %ended, "the consumer of reports ended; subscribing again");
                    }
                }
                Err(error) => tracing::warn!(%error, "failed to subscribe to reports; trying again"),
            }
            if !*stop.borrow() {
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
        let mut at_hand = FuturesUnordered::new();
        let pulse = health::pulse("reports");
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
        while at_hand.next().await.is_some() {}
        pulse.end();
        result
    }

    async fn take_one(self: Arc<Self>, queue: QueueName, delivery: Box<dyn Delivery>) {
        let report: Report = match serde_json::from_slice(&delivery.message().body) {
            Ok(report) => report,
            Err(error) => {
                tracing::error!(%error, "a report does not read; it is buried");
                return settle(delivery.bury(&format!("not a report: {error}")).await);
            }
        };
        let (tenant, case, task) = (report.tenant.clone(), report.case, report.task);
        let span = span(&report, queue, delivery.message());
        let result = span
            .within(self.transact(
                &tenant,
                case,
                Command::RecordReport(Box::new(report)),
                CreditFrom::Reserve,
            ))
            .await;
        if result.is_err() {
            span.failed("not_recorded");
        }
        drop(span);
        match result {
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

    /// The report was recorded before, and perhaps what it caused was never
    /// published: that is published now.
    async fn publish_again_of(self: &Arc<Self>, tenant: &TenantId, id: CaseId) -> Result<(), EngineError> {
        if self.holds(id) {
            return Ok(self.publish_left(tenant, id, &self.slot(id)).await?);
        }
        self.take_up(tenant, id).await
    }
}

fn span(report: &Report, queue: QueueName, message: &Message) -> Span {
    let work = Work {
        task: Some(report.task),
        attempt: Some(report.attempt),
        ..Work::case(&report.tenant, report.case)
    };
    let envelope = Envelope {
        queue: &queue.to_string(),
        id: &message.id,
    };
    trace::process(envelope, &message.headers, &work, None)
}

/// A settlement that fails means that the delivery comes again, which is lawful.
fn settle(result: Result<(), offboard_queue::QueueError>) {
    if let Err(error) = result {
        tracing::warn!(%error, "failed to settle a delivery; it comes again");
    }
}
