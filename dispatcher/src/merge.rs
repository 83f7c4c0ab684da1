//! Several requests for one person: the case that was merged tells the one that
//! does the work what it asks for, and goes on by itself when that is called off.
//!
//! Two cases are two histories, so this is done step by step, each of which may
//! be done twice: the other is told first, and only then that it knows is written
//! down here. Until then the case is due, also after a crash.

use crate::engine::{Engine, EngineError};
use offboard_domain::{Case, CaseId, Command, Refusal, TenantId, Timestamp, keeping};
use std::sync::Arc;

impl Engine {
    /// Tells the other cases of the same person what they are to hear of this one. Hardly
    /// any is to hear something, and every tick asks: what tells them is not a part of it.
    pub(crate) async fn tell(self: &Arc<Self>, tenant: &TenantId, case: &Case) -> Result<(), EngineError> {
        if let Some(into) = case.tells() {
            Box::pin(self.tell_what_is_asked(tenant, case, into)).await?;
        }
        for (other, asked_at) in case.lets_go() {
            Box::pin(self.let_go(tenant, case.id, other, asked_at)).await?;
        }
        Ok(())
    }

    /// The same, now and not when the case is looked at next. What was ordered of the
    /// case is in the ledger whatever comes of this: where it fails, the case is due
    /// and tells it then.
    pub(crate) async fn tell_at_once(self: &Arc<Self>, tenant: &TenantId, case: &Case) {
        if let Err(error) = self.tell(tenant, case).await {
            tracing::warn!(case = %case.id, %error, "failed to tell the other case of the same person; telling it later");
        }
    }

    async fn tell_what_is_asked(
        self: &Arc<Self>,
        tenant: &TenantId,
        case: &Case,
        into: CaseId,
    ) -> Result<(), EngineError> {
        let known = case.asks_there().cloned();
        let asked_at = case.changed_at;
        let told = match &known {
            Some(departure) => Command::Join {
                case: case.id,
                asked_at,
                departure: keeping::spelled_out(departure, &case.policy),
                amended_by: case.changed_by(),
                retention: keeping::Retention::of(&case.policy),
            },
            None => Command::Leave {
                case: case.id,
                asked_at,
            },
        };
        let answer = match self.order(tenant, into, told).await {
            Ok(_) => Command::AcknowledgeMerge { into, known },
            // Nobody is left to ask for nothing.
            Err(EngineError::Refused(_)) if known.is_none() => Command::AcknowledgeMerge { into, known },
            Err(EngineError::Refused(Refusal::TakesNoRequest(_) | Refusal::UnknownCase)) => Command::UndoMerge { into },
            Err(error) => return Err(error),
        };
        self.order(tenant, case.id, answer).await.map(drop)
    }

    async fn let_go(
        self: &Arc<Self>,
        tenant: &TenantId,
        case: CaseId,
        other: CaseId,
        asked_at: Timestamp,
    ) -> Result<(), EngineError> {
        match self.order(tenant, other, Command::UndoMerge { into: case }).await {
            Ok(_) | Err(EngineError::Refused(Refusal::UnknownCase)) => {}
            Err(error) => return Err(error),
        }
        let leave = Command::Leave { case: other, asked_at };
        self.order(tenant, case, leave).await.map(drop)
    }
}
