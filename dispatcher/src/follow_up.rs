//! A waiver that runs out after closing: the closed case stays closed, and a
//! linked one looks at everything again.

use crate::engine::{Engine, EngineError};
use offboard_domain::{Case, Command, Departure, Outcome, Refusal, TaskId, TenantId, Timestamp};
use std::sync::Arc;

impl Engine {
    pub(crate) async fn follow_up(
        self: &Arc<Self>,
        tenant: &TenantId,
        case: &Case,
        now: Timestamp,
    ) -> Result<(), EngineError> {
        let ended: Vec<TaskId> = case
            .tasks
            .values()
            .filter(|t| matches!(t.outcome(), Some(Outcome::Waived { until, .. }) if *until <= now))
            .map(|t| t.id())
            .filter(|id| !case.followed_up.contains(id))
            .collect();
        for task in ended {
            let departure = Departure {
                // The same for every repetition, so that it opens one case.
                reference: Some(format!("follow-up of {} {task}", case.id)),
                requested_at: now,
                effective_at: now,
                ..(*case.departure).clone()
            };
            let linked = departure.case_id();
            match self.submit(departure).await {
                Ok(_) | Err(EngineError::Refused(Refusal::AlreadyOpen)) => {}
                Err(error) => return Err(error),
            }
            self.order(tenant, case.id, Command::RecordFollowUp { task, case: linked })
                .await?;
        }
        Ok(())
    }
}
