//! How a departure gets in.

use crate::engine::{Engine, EngineError};
use crate::kept::Patience;
use crate::transact::CreditFrom;
use offboard_domain::departure::Manner;
use offboard_domain::{Capabilities, CaseId, CaseState, Command, Departure, Policy, Refusal, TenantId};
use offboard_runtime::telemetry::trace;
use std::sync::Arc;

/// What became of a submitted departure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Submitted {
    /// A new case.
    Opened(CaseId),
    /// The case that the same departure opened before.
    Known(CaseId),
    /// The case that it opened before, with the request as it is now.
    Amended(CaseId),
}

impl Submitted {
    /// The case.
    #[must_use]
    pub fn case(self) -> CaseId {
        match self {
            Self::Opened(c) | Self::Known(c) | Self::Amended(c) => c,
        }
    }
}

impl Engine {
    /// Accepts a departure. When this returns, it is in the ledger and will
    /// not be lost.
    ///
    /// # Errors
    /// [`EngineError`] if the tenant is unknown, the ledger does not answer, or
    /// the request can no longer be changed in this way.
    pub async fn submit(self: &Arc<Self>, departure: Departure) -> Result<Submitted, EngineError> {
        let tenant = departure.tenant.clone();
        let terms = self.tenants.get(&tenant).ok_or(EngineError::UnknownTenant(tenant))?;
        self.accept(departure, terms.policy.clone(), terms.capabilities, Patience::Long)
            .await
    }

    /// Accepts the departure that follows a closed one. What everybody knew was
    /// changed in that one. What cannot be kept in time is when it is submitted again.
    pub(crate) async fn submit_after(self: &Arc<Self>, departure: Departure) -> Result<Submitted, EngineError> {
        let tenant = departure.tenant.clone();
        let terms = self.tenants.get(&tenant).ok_or(EngineError::UnknownTenant(tenant))?;
        let policy = Policy {
            shared_credentials: Vec::new(),
            ..(*terms.policy).clone()
        };
        self.accept(departure, Arc::new(policy), terms.capabilities, Patience::Short)
            .await
    }

    async fn accept(
        self: &Arc<Self>,
        departure: Departure,
        policy: Arc<Policy>,
        capabilities: Arc<Capabilities>,
        patience: Patience,
    ) -> Result<Submitted, EngineError> {
        let tenant = departure.tenant.clone();
        let id = match departure.former_case_id() {
            Some(former) if self.was_at_once(&tenant, former).await? => former,
            _ => departure.case_id(),
        };
        let span = trace::accept(&tenant, id);
        let command = Command::Open {
            departure: Arc::new(departure),
            policy,
            capabilities,
            traceparent: span.traceparent(),
        };
        let accepted = span
            .within(self.transact(&tenant, id, command, CreditFrom::Reserve))
            .await;
        match accepted {
            Ok(done) if done.opened => {
                self.keep_opening(&tenant, id, patience).await?;
                Ok(Submitted::Opened(id))
            }
            Ok(done) => {
                self.tell_at_once(&tenant, &done.case).await;
                Ok(Submitted::Amended(id))
            }
            Err(EngineError::Refused(Refusal::AlreadyOpen)) => {
                // Perhaps whoever opened it died before it was kept.
                self.keep_opening(&tenant, id, patience).await?;
                Ok(Submitted::Known(id))
            }
            Err(error) => Err(error),
        }
    }

    /// Of a departure without a reference that is known already: that nothing is done for it
    /// any more, and what to do if it is another one. Only its day and its person tell it
    /// from others, and whoever was rehired leaves as the same person again.
    ///
    /// # Errors
    /// [`EngineError`] if the case cannot be read.
    pub(crate) async fn why_nothing_is_done(
        self: &Arc<Self>,
        tenant: &TenantId,
        id: CaseId,
    ) -> Result<Option<String>, EngineError> {
        // As the ledger has it: a closer elsewhere may have closed it a moment ago.
        let unknown = || EngineError::Refused(Refusal::UnknownCase);
        let mut case = self.load(tenant, id).await?.ok_or_else(unknown)?.case;
        // What it asked for was done there.
        if let CaseState::Merged { into } = case.state {
            case = self.load(tenant, into).await?.ok_or_else(unknown)?.case;
        }
        Ok(case.closed_at.map(|at| {
            format!(
                "case {} is closed since {at}, and nothing more is done for it; if this is another departure, give its row a `reference` of its own",
                case.id
            )
        }))
    }

    /// Whether there is this case, and it is of an immediate departure of which no day is kept.
    async fn was_at_once(&self, tenant: &TenantId, id: CaseId) -> Result<bool, EngineError> {
        match self.load(tenant, id).await {
            Ok(held) => Ok(held.is_some_and(|h| {
                let asked = &h.case.departure;
                asked.manner == Manner::Immediate && asked.of_day.is_none()
            })),
            // Of whom nobody can read anything any more, nothing more is known.
            Err(EngineError::History { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
