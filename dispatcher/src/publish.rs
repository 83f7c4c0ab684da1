//! What was ordered goes out.
//!
//! An attempt is published after it is in the ledger, and kept by its case
//! until the queue has confirmed it. A once-only one is published once: when
//! that is not confirmed, it runs out and is read.

use crate::engine::{Engine, EngineError};
use crate::place::Slot;
use futures::future::join_all;
use offboard_domain::{Assignment, Case, CaseId, Mode, TaskId, TenantId};
use offboard_queue::rabbit::topology::exchange_of;
use offboard_queue::{Message, QueueError, QueueName};
use offboard_runtime::keys::{ANSWER_HEADER, PROOF_HEADER};
use offboard_runtime::telemetry::trace::Envelope;
use offboard_runtime::telemetry::{Work, metrics, trace};
use std::collections::BTreeMap;

/// Rest after a failed publication before it is tried again, in milliseconds.
const PUBLISH_AGAIN_MS: i64 = 1_000;

/// An attempt that is not known to be published.
struct Left {
    task: TaskId,
    attempt: u32,
    /// Whether the queue may have it all the same.
    begun: bool,
}

impl Left {
    fn of(assignment: &Assignment, begun: bool) -> Self {
        Self {
            task: assignment.task,
            attempt: assignment.attempt,
            begun,
        }
    }
}

impl Engine {
    /// Publishes what was assigned and is not known to be published, each order by
    /// itself: a queue that is full or gone holds back no order for another one.
    /// What fails is tried again when the case is next looked at; the first failure
    /// is returned.
    pub(crate) async fn publish_left(&self, tenant: &TenantId, id: CaseId, slot: &Slot) -> Result<(), EngineError> {
        let taken = slot
            .held
            .lock()
            .await
            .as_mut()
            .map(|h| (h.case.clone(), std::mem::take(&mut h.unpublished)));
        let Some((case, attempts)) = taken.filter(|(_, attempts)| !attempts.is_empty()) else {
            return Ok(());
        };
        let is_the_last =
            |task: TaskId, attempt: u32, case: &Case| case.tasks.get(&task).map(|t| t.attempt) == Some(attempt);
        // Another owner may have ordered another attempt since, and published it.
        let ordered = attempts.into_iter().filter(|(t, n)| is_the_last(*t, *n, &case));
        let mut assignments: Vec<Assignment> = ordered.filter_map(|(t, _)| case.assignment(t)).collect();
        let mut left: Vec<Left> = Vec::new();
        let mut failed: Option<EngineError> = None;
        match self.tell_who_leaves(&case, &mut assignments).await {
            Ok(()) => {
                let publishing: Vec<_> = assignments.iter().map(|a| self.publish(&case, a)).collect();
                for (assignment, published) in assignments.iter().zip(join_all(publishing).await) {
                    if let Err(error) = published {
                        left.push(Left::of(assignment, true));
                        failed.get_or_insert(error.into());
                    }
                }
            }
            Err(error) => {
                left.extend(assignments.iter().map(|a| Left::of(a, false)));
                failed = Some(error.into());
            }
        }
        let Some(error) = failed else { return Ok(()) };
        tracing::warn!(case = %id, orders = left.len(), %error, "failed to publish assignments; trying again");
        for _ in &left {
            metrics::publish_failed("assignments");
        }
        if let Some(held) = slot.held.lock().await.as_mut() {
            let again: Vec<(TaskId, u32)> = left
                .into_iter()
                .filter(|l| is_the_last(l.task, l.attempt, &held.case))
                .filter(|l| !l.begun || republishable(&held.case, l.task))
                .map(|l| (l.task, l.attempt))
                .collect();
            held.unpublished.extend(again);
            self.timers
                .set(tenant, id, Some(self.clock.now().plus(PUBLISH_AGAIN_MS)));
        }
        Err(error)
    }

    async fn publish(&self, case: &Case, assignment: &Assignment) -> Result<(), QueueError> {
        let queue = QueueName::Assignments {
            area: assignment.kind.spec().area,
            lane: case.lane(assignment.kind),
            site: self.tenants.site(&assignment.tenant, &assignment.target.system),
        };
        if let QueueName::Assignments { site: Some(site), .. } = &queue {
            self.hand_over(site, assignment).await;
        }
        let id = format!("{}-{}", assignment.task, assignment.attempt);
        let work = Work {
            task: Some(assignment.task),
            kind: Some(assignment.kind),
            attempt: Some(assignment.attempt),
            ..Work::case(&assignment.tenant, case.id)
        };
        let name = queue.to_string();
        let envelope = Envelope {
            queue: &name,
            exchange: exchange_of(&queue),
            id: &id,
            tag: None,
        };
        let span = trace::publish(envelope, &work, case.traceparent.as_deref());
        let mut message = self.order_of(&name, id.clone(), assignment);
        span.inject(&mut message.headers);
        let published = self.queue.publish(&queue, vec![message]).await;
        if published.is_err() {
            span.failed("not_confirmed");
        }
        published
    }

    /// An assignment as it travels: authenticated for its queue alone, with
    /// the key that its answer must be proven with.
    fn order_of(&self, queue: &str, id: String, assignment: &Assignment) -> Message {
        let body = serde_json::to_vec(assignment).expect("an assignment is plain data");
        let answer_key = self.dispatch.answer_to(assignment, queue).to_header();
        let proof = self.dispatch.queue(queue).prove(&id, &answer_key, &body);
        Message {
            id,
            headers: BTreeMap::from([(PROOF_HEADER.to_owned(), proof), (ANSWER_HEADER.to_owned(), answer_key)]),
            body: body.into(),
            expires_at: Some(assignment.start_by),
        }
    }
}

/// Whether an attempt in flight may be published although it may have been
/// before: never one of a *once* kind that may write.
pub(crate) fn republishable(case: &Case, task: TaskId) -> bool {
    case.tasks.get(&task).is_some_and(|t| {
        let harmless = |a: &offboard_domain::task::Attempt| a.mode == Mode::ObserveOnly || t.kind().spec().convergent;
        t.in_flight().is_some_and(harmless)
    })
}
