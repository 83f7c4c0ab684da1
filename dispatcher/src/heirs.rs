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

/// How many open cases of a tenant are looked through for this at most: it is a help, and
/// must not hold up what is decided meanwhile. Who has more is not warned.
const OPEN_MAX: usize = 5_000;

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
        let mut open: BTreeMap<&TenantId, Leavers> = BTreeMap::new();
        let mut warnings = BTreeMap::new();
        for tenant in all.iter().map(|named| &named.tenant).collect::<BTreeSet<_>>() {
            open.insert(tenant, Leavers::of(self.open_cases_of(tenant).await?));
        }
        for named in all {
            let other = open.get(&named.tenant).and_then(|leavers| leavers.other(named));
            if let Some(other) = other {
                warnings.insert(named.case, warning(other));
            }
        }
        Ok(warnings)
    }

    /// The tenant's open cases, to see whether whoever takes over leaves himself: all of them
    /// where they are in memory, else the first that the ledger lists; none of a tenant that
    /// has too many.
    ///
    /// # Errors
    /// [`EngineError`] if the ledger does not answer.
    pub async fn open_cases_of(self: &Arc<Self>, tenant: &TenantId) -> Result<Vec<Arc<Case>>, EngineError> {
        let ids = if self.owns(tenant) {
            let placed = self.placed_of_tenant(tenant);
            if placed.len() > OPEN_MAX {
                return Ok(Vec::new());
            }
            placed
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

/// The open cases of a tenant, by all that their people are called: each request is looked
/// up, and not held against each of them.
struct Leavers {
    cases: Vec<Arc<Case>>,
    by_name: BTreeMap<(&'static str, String), Vec<usize>>,
}

impl Leavers {
    fn of(cases: Vec<Arc<Case>>) -> Self {
        let mut by_name: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for (n, case) in cases.iter().enumerate() {
            for name in known_as(case) {
                by_name.entry(name).or_default().push(n);
            }
        }
        Self { cases, by_name }
    }

    /// Another departure, of whoever is named here.
    fn other(&self, named: &Named) -> Option<&Case> {
        let found = named
            .person
            .names()
            .filter_map(|name| self.by_name.get(&name))
            .flatten();
        let mut cases = found.filter_map(|n| self.cases.get(*n));
        // By a name alone it is not certain.
        let other = cases.find(|case| case.id != named.case && heir::is_leaving(&named.person, case));
        other.map(|case| &**case)
    }
}

/// What tells the person of a case from others: by the request, and by what was found.
fn known_as(case: &Case) -> Vec<(&'static str, String)> {
    let found = PersonRef {
        user_principal_name: case.subject_facts.text("user_principal_name").map(str::to_owned),
        ..PersonRef::default()
    };
    let by_id = case.subject.0.values().map(|id| PersonRef {
        object_id: Some(id.clone()),
        ..PersonRef::default()
    });
    let mut names: Vec<_> = case.departure.person.names().chain(found.names()).collect();
    for person in by_id {
        names.extend(person.names());
    }
    names
}

fn warning(other: &Case) -> String {
    format!(
        "whoever is to take over leaves too (case {}, access ends {}): cancel this and hand it in under a new reference with somebody who stays, or see that what he is given goes on from him",
        other.id,
        other.effective_at()
    )
}
