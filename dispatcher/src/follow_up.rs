//! A waiver that runs out after closing: the closed case stays closed, and a
//! linked one looks at everything again.

use crate::engine::{Engine, EngineError};
use offboard_domain::{Case, Command, Outcome, Refusal, TaskId, TenantId, Timestamp};
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
            .filter(|t| case.is_to_be_followed_up(t))
            .map(|t| t.id())
            .collect();
        for task in ended {
            let Some(departure) = offboard_domain::follow_up(case, task, now) else {
                tracing::error!(case = %case.id, %task, "a closed case knows no person, so nothing can follow it");
                continue;
            };
            let linked = departure.case_id();
            match self.submit_after(departure).await {
                Ok(_)
                | Err(EngineError::Refused(Refusal::AlreadyOpen | Refusal::WasRefused(_) | Refusal::WasCalledOff)) => {}
                Err(error) => return Err(error),
            }
            self.order(tenant, case.id, Command::RecordFollowUp { task, case: linked })
                .await?;
        }
        Ok(())
    }
}
