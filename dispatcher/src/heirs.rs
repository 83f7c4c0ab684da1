//! Whether whoever takes over in a case leaves himself: told to whoever looks at the case,
//! or hands it in. No case knows that of another, and nothing is decided by it.

use crate::engine::{Engine, EngineError};
use crate::view::{CaseView, Need};
use offboard_domain::departure::PersonRef;
use offboard_domain::{Case, CaseId, CaseState, Refusal, TenantId, heir};
use offboard_ledger::Filter;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How many open cases of a tenant are read from the ledger for this, by a process that does
/// not have them in memory.
const READ_MAX: usize = 200;

/// One who was named to take over, in a request that was just handed in.
pub(crate) struct Named {
    pub(crate) tenant: TenantId,
    pub(crate) case: CaseId,
    pub(crate) person: PersonRef,
}

impl Engine {
    /// A case as [`Engine::view`] shows it, with a warning if whoever takes over leaves too.
    ///
    /// # Errors
    /// As [`Engine::view`].
    pub async fn view_with_warnings(self: &Arc<Self>, tenant: &TenantId, id: CaseId) -> Result<CaseView, EngineError> {
        let mut view = self.view(tenant, id).await?;
        let case = self.case(tenant, id).await?;
        let gives = |t: &&Arc<offboard_domain::Task>| !t.is_settled() && heir::given_to(t).is_some();
        let awaited = case.tasks.values().find(gives);
        let named = heir::named(&case.departure, &case.policy).is_some();
        if case.state.ended() || awaited.is_none() && !(named && case.state == CaseState::Received) {
            return Ok(view);
        }
        let open = self.open_cases_of(tenant).await?;
        let Some(other) = open.iter().find(|other| heir::leaves_too(&case, other)) else {
            return Ok(view);
        };
        let warning = warning(other);
        if let Some(task) = awaited {
            view.needs.push(Need {
                task: task.id(),
                kind: task.kind(),
                what: "decide".to_owned(),
                why: warning.clone(),
                command: format!("offboard cancel {id} --reason 'another one takes over'"),
            });
        }
        view.warnings.push(warning);
        Ok(view)
    }

    /// A warning for each of those who were named to take over and leave too.
    ///
    /// # Errors
    /// [`EngineError`] if the ledger does not answer.
    pub(crate) async fn heirs_who_leave(
        self: &Arc<Self>,
        all: &[Named],
    ) -> Result<BTreeMap<CaseId, String>, EngineError> {
        let mut open: BTreeMap<&TenantId, Vec<Arc<Case>>> = BTreeMap::new();
        let mut warnings = BTreeMap::new();
        for tenant in all.iter().map(|named| &named.tenant).collect::<BTreeSet<_>>() {
            open.insert(tenant, self.open_cases_of(tenant).await?);
        }
        for named in all {
            let mut others = open.get(&named.tenant).into_iter().flatten();
            let leaves = |other: &&Arc<Case>| other.id != named.case && heir::is_leaving(&named.person, other);
            if let Some(other) = others.find(leaves) {
                warnings.insert(named.case, warning(other));
            }
        }
        Ok(warnings)
    }

    /// The tenant's open cases: all of them where they are in memory.
    async fn open_cases_of(self: &Arc<Self>, tenant: &TenantId) -> Result<Vec<Arc<Case>>, EngineError> {
        let ids = if self.owns(tenant) {
            self.placed_of_tenant(tenant)
        } else {
            let filter = Filter {
                tenant: Some(tenant.clone()),
                open_only: true,
                limit: READ_MAX,
                ..Filter::default()
            };
            let page = self.ledger.list(filter).await?;
            page.into_iter().map(|entry| entry.case).collect()
        };
        let mut open = Vec::with_capacity(ids.len());
        for id in ids {
            match self.case(tenant, id).await {
                Ok(case) => open.push(case),
                // Its place is there before it is; and what cannot be read is told to whoever
                // asks about it.
                Err(EngineError::Refused(Refusal::UnknownCase) | EngineError::History { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(open)
    }
}

fn warning(other: &Case) -> String {
    format!(
        "whoever is to take over leaves too (case {}, access ends {}): cancel this and hand it in under a new reference with somebody who stays, or see that what he is given goes on from him",
        other.id,
        other.effective_at()
    )
}
