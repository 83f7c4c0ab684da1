//! What the workers and the broker gave up. An assignment that nobody can deal
//! with is answered here, as a fault that needs a person, with the reason: it
//! would run out again and again otherwise. The message itself stays among the
//! dead, for whoever looks.

use crate::engine::Engine;
use crate::transact::CreditFrom;
use offboard_domain::assignment::{Assignment, Report, Said};
use offboard_domain::{Command, Fault, FaultClass};
use offboard_queue::Message;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often the dead are looked at, in real time.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How many at most; more than that is a defect, not a case's trouble.
const LOOK_AT: usize = 200;

impl Engine {
    /// Answers assignments that were given up, until told to stop.
    pub async fn heed_dead_letters(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut heeded: BTreeSet<String> = BTreeSet::new();
        while !*stop.borrow() {
            match self.queue.dead(LOOK_AT).await {
                Ok(dead) => {
                    let there: BTreeSet<String> = dead.iter().map(|(m, _)| m.id.clone()).collect();
                    heeded.retain(|id| there.contains(id));
                    for (message, reason) in &dead {
                        if heeded.insert(message.id.clone()) {
                            self.heed(message, reason).await;
                        }
                    }
                }
                Err(error) => tracing::warn!(%error, "failed to look at the dead letters; looking again"),
            }
            tokio::select! {
                biased;
                _ = stop.changed() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    async fn heed(self: &Arc<Self>, message: &Message, reason: &str) {
        // A forged one was never ordered: it concerns no case.
        let Ok(assignment) = serde_json::from_slice::<Assignment>(&message.body) else {
            return;
        };
        if !self.owns(&assignment.tenant) || !self.ordered(message, &assignment) {
            return;
        }
        let fault = Fault {
            class: FaultClass::Rejected,
            system: assignment.target.system.clone(),
            attempted: assignment.kind.name().to_owned(),
            status: None,
            code: None,
            detail: format!("no worker could deal with the assignment: {reason}"),
            request_id: None,
        };
        let report = Report {
            tenant: assignment.tenant.clone(),
            case: assignment.case,
            task: assignment.task,
            attempt: assignment.attempt,
            version: assignment.version,
            head: assignment.head,
            at: self.clock.now(),
            said: Said::Fault { fault },
            receipts: Vec::new(),
            artifacts: Vec::new(),
        };
        let (tenant, case, task) = (&assignment.tenant, assignment.case, assignment.task);
        let command = Command::RecordReport(Box::new(report));
        match self.transact(tenant, case, command, CreditFrom::Reserve).await {
            Ok(_) => tracing::error!(%case, %task, reason, "an assignment was given up; its task needs a person"),
            // It was answered, or has run out, in the meantime.
            Err(error) => tracing::info!(%case, %task, %error, "a dead letter concerns nothing that is open"),
        }
    }
}
