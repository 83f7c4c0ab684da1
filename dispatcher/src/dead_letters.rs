//! What the workers and the broker gave up. An assignment that nobody can deal
//! with is answered here, as a fault that needs a person, with the reason: it
//! would run out again and again otherwise. The message itself stays among the
//! dead, for whoever looks.

use crate::engine::{Engine, EngineError, lock, told};
use crate::transact::CreditFrom;
use offboard_domain::assignment::{Assignment, Report, Said};
use offboard_domain::{Command, Fault, FaultClass, Refusal};
use offboard_queue::{Message, QueueError};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How often the dead are looked at, in real time.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// After a look nobody looks for so many times as long as it took: whoever looks
/// keeps what he looks at from others, and many dead take long.
const REST_TIMES: u32 = 9;
/// How many are answered after one look: so many are in memory at most.
const ANSWERED_AT_ONCE: usize = 200;

impl Engine {
    /// Answers assignments that were given up, until told to stop.
    pub async fn heed_dead_letters(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut heeded: BTreeSet<String> = BTreeSet::new();
        while !told(&stop) {
            let began = Instant::now();
            if let Err(error) = self.heed_all(&mut heeded).await {
                tracing::warn!(%error, "failed to look at the dead letters; looking again");
            }
            let rest = LOOK_EVERY.max(began.elapsed() * REST_TIMES);
            tokio::select! {
                biased;
                _ = stop.changed() => {}
                () = tokio::time::sleep(rest) => {}
            }
        }
    }

    /// Answers those that are this engine's to answer, however many others lie among
    /// them, and keeps in mind which of those that are there it has answered.
    async fn heed_all(self: &Arc<Self>, heeded: &mut BTreeSet<String>) -> Result<(), QueueError> {
        let there: Mutex<BTreeSet<String>> = Mutex::default();
        let known = &*heeded;
        let wanted = |message: &Message| {
            if known.contains(&message.id) {
                lock(&there).insert(message.id.clone());
                return false;
            }
            self.own_order(message).is_some()
        };
        let dead = self.queue.dead_among(&wanted, ANSWERED_AT_ONCE).await?;
        *heeded = there.into_inner().unwrap_or_else(PoisonError::into_inner);
        for (message, reason) in &dead {
            if self.heed(message, reason).await {
                heeded.insert(message.id.clone());
            }
        }
        Ok(())
    }

    /// The order in a message, if it is one of this installation for a case that is
    /// owned here. Another owner's case may be this one's soon, and a forged letter,
    /// which concerns no case, must not stand for the true one of its name.
    fn own_order(&self, message: &Message) -> Option<Assignment> {
        let assignment: Assignment = serde_json::from_slice(&message.body).ok()?;
        let own = self.owns(&assignment.tenant) && self.ordered(message, &assignment);
        own.then_some(assignment)
    }

    /// Whether that is done. What is not is looked at again.
    async fn heed(self: &Arc<Self>, message: &Message, reason: &str) -> bool {
        let Some(assignment) = self.own_order(message) else {
            return false;
        };
        match self.awaits(&assignment).await {
            Ok(true) => {}
            // It was answered, or has run out, in the meantime.
            Ok(false) => return true,
            Err(error) => {
                tracing::warn!(case = %assignment.case, %error, "failed to see what a dead letter concerns; looking again");
                return false;
            }
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
            seen: None,
            remembered: None,
            writes: None,
            receipts: Vec::new(),
            artifacts: Vec::new(),
        };
        let (tenant, case, task) = (&assignment.tenant, assignment.case, assignment.task);
        let command = Command::RecordReport(Box::new(report));
        match self.transact(tenant, case, command, CreditFrom::Reserve).await {
            Ok(_) => tracing::error!(%case, %task, reason, "an assignment was given up; its task needs a person"),
            Err(EngineError::Refused(refusal)) => {
                tracing::info!(%case, %task, %refusal, "a dead letter concerns nothing that is open");
            }
            Err(error) => {
                tracing::warn!(%case, %task, %error, "failed to answer for a dead letter; trying again");
                return false;
            }
        }
        true
    }

    /// Whether the case still waits for the answer to an assignment.
    pub(crate) async fn awaits(self: &Arc<Self>, assignment: &Assignment) -> Result<bool, EngineError> {
        match self.case(&assignment.tenant, assignment.case).await {
            Ok(case) => {
                let in_flight = case.tasks.get(&assignment.task).and_then(|t| t.in_flight());
                Ok(in_flight.is_some_and(|a| a.number == assignment.attempt))
            }
            Err(EngineError::Refused(Refusal::UnknownCase)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
