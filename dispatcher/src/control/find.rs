//! Which case, which task: what a person types is short.

use super::message::Response;
use crate::engine::{Engine, EngineError};
use offboard_domain::departure::case_of_reference;
use offboard_domain::{Case, CaseId, Kind, Refusal, TaskId, TenantId};
use offboard_ledger::Filter;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The shortest beginning of an id that is looked for: "c-" and two digits.
const PREFIX_MIN_CHARS: usize = 4;
/// Longest name of a case that is looked at: any reference that HR has, and more.
const GIVEN_MAX_CHARS: usize = 256;
/// How many candidates are named when several fit.
const CANDIDATES_MAX: usize = 10;
/// How many cases are looked through at a time.
const PAGE: usize = 1_000;

/// Finds the one case that is meant.
pub(super) async fn case(engine: &Arc<Engine>, given: &str) -> Result<(TenantId, CaseId), Response> {
    let given = given.trim();
    if given.is_empty() || given.chars().count() > GIVEN_MAX_CHARS {
        return Err(refused(
            "name a case by its id, the beginning of its id, or the source's reference".to_owned(),
        ));
    }
    let mut found = BTreeSet::new();
    for (tenant, reference) in references(engine, given) {
        let id = case_of_reference(&tenant, reference);
        if first_from(engine, &tenant, id).await?.contains(&id) {
            found.insert((tenant, id));
        }
    }
    if let Some(range) = Range::of(given) {
        found.extend(beginning_with(engine, &range).await?);
    }
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(refused(format!(
            "there is no case '{given}'; `offboard list` shows those that there are"
        ))),
        (Some(first), Some(second)) => {
            let all = [first, second].into_iter().chain(found);
            let candidates = all.take(CANDIDATES_MAX).map(|(t, c)| format!("{c} ({t})")).collect();
            Err(Response::Ambiguous {
                given: given.to_owned(),
                candidates,
            })
        }
    }
}

/// Finds the one task of a case that is meant.
pub(super) fn task(case: &Case, given: &str) -> Result<TaskId, Response> {
    let given = given.trim();
    let kind = Kind::ALL.iter().copied().find(|k| {
        let name = k.name();
        name == given || name.split_once('.').is_some_and(|(_, verb)| verb == given)
    });
    let by_id = given.starts_with("t-") && given.chars().count() >= PREFIX_MIN_CHARS;
    let fits = |t: &&Arc<offboard_domain::Task>| match kind {
        Some(kind) => t.kind() == kind,
        None => by_id && t.id().to_string().starts_with(given),
    };
    let mut found = case.tasks.values().filter(fits);
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one.id()),
        (None, _) => Err(refused(format!(
            "case {} has no task '{given}'; `offboard show {}` lists its tasks",
            case.id, case.id
        ))),
        (Some(first), Some(second)) => {
            let all = [first, second].into_iter().chain(found);
            let named = |t: &Arc<offboard_domain::Task>| {
                let object = t
                    .planned
                    .target
                    .object
                    .as_ref()
                    .map(|o| format!(" {o}"))
                    .unwrap_or_default();
                format!("{} ({}{object})", t.id(), t.kind())
            };
            Err(Response::Ambiguous {
                given: given.to_owned(),
                candidates: all.take(CANDIDATES_MAX).map(named).collect(),
            })
        }
    }
}

fn refused(why: String) -> Response {
    Response::Refused { why }
}

fn failed(error: &EngineError) -> Response {
    super::handle::failed(error)
}

/// The tenants in which this may be a reference, and the reference.
fn references<'g>(engine: &Engine, given: &'g str) -> Vec<(TenantId, &'g str)> {
    let mut out: Vec<_> = engine.tenants.all().keys().map(|t| (t.clone(), given)).collect();
    if let Some((tenant, reference)) = given.split_once('/')
        && let Ok(tenant) = TenantId::new(tenant)
    {
        out.push((tenant, reference));
    }
    out
}

/// The first case of a tenant whose id is `from` or greater.
async fn first_from(engine: &Arc<Engine>, tenant: &TenantId, from: CaseId) -> Result<Vec<CaseId>, Response> {
    let after = before(from).map(|id| (tenant.clone(), id));
    let filter = Filter {
        tenant: Some(tenant.clone()),
        after,
        limit: 1,
        ..Filter::default()
    };
    let page = engine.ledger.list(filter).await.map_err(|e| failed(&e.into()))?;
    Ok(page.into_iter().map(|e| e.case).collect())
}

/// The ids that begin with what was typed.
struct Range {
    first: CaseId,
    last: CaseId,
}

impl Range {
    fn of(given: &str) -> Option<Self> {
        const DIGITS: usize = 20;
        let given = given.to_ascii_lowercase();
        let digits = given.strip_prefix("c-").filter(|_| given.len() >= PREFIX_MIN_CHARS)?;
        if digits.len() > DIGITS {
            return None;
        }
        let filled = |with: char| {
            let rest: String = std::iter::repeat_n(with, DIGITS - digits.len()).collect();
            format!("c-{digits}{rest}").parse::<CaseId>().ok()
        };
        Some(Self {
            first: filled('0')?,
            last: filled('f')?,
        })
    }

    fn contains(&self, id: CaseId) -> bool {
        (self.first..=self.last).contains(&id)
    }
}

async fn beginning_with(engine: &Arc<Engine>, range: &Range) -> Result<BTreeSet<(TenantId, CaseId)>, Response> {
    let mut found = BTreeSet::new();
    for tenant in engine.tenants.all().keys() {
        let after = before(range.first).map(|id| (tenant.clone(), id));
        let filter = Filter {
            tenant: Some(tenant.clone()),
            after,
            limit: CANDIDATES_MAX,
            ..Filter::default()
        };
        let page = engine.ledger.list(filter).await.map_err(|e| failed(&e.into()))?;
        found.extend(
            page.into_iter()
                .filter(|e| range.contains(e.case))
                .map(|e| (e.tenant, e.case)),
        );
    }
    if !found.is_empty() {
        return Ok(found);
    }
    // Perhaps of a tenant that is not configured any more.
    let mut after = None;
    loop {
        let filter = Filter {
            after,
            limit: PAGE,
            ..Filter::default()
        };
        let page = engine.ledger.list(filter).await.map_err(|e| failed(&e.into()))?;
        let Some(last) = page.last() else { return Ok(found) };
        after = Some((last.tenant.clone(), last.case));
        found.extend(
            page.into_iter()
                .filter(|e| range.contains(e.case))
                .map(|e| (e.tenant, e.case)),
        );
    }
}

/// The id just below; none below the lowest.
fn before(id: CaseId) -> Option<CaseId> {
    let mut bytes = id.0;
    for byte in bytes.iter_mut().rev() {
        let (less, borrowed) = byte.overflowing_sub(1);
        *byte = less;
        if !borrowed {
            return Some(CaseId(bytes));
        }
    }
    None
}

/// There is no such case.
pub(super) fn unknown(error: &EngineError) -> bool {
    matches!(error, EngineError::Refused(Refusal::UnknownCase))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_below_borrows() {
        let mut bytes = [0; 10];
        assert_eq!(before(CaseId(bytes)), None);
        bytes[8] = 1;
        let below = before(CaseId(bytes)).unwrap();
        assert_eq!((below.0[8], below.0[9]), (0, 0xff));
    }

    #[test]
    fn a_beginning_is_a_range() {
        let range = Range::of("C-7f3").unwrap();
        let id = |s: &str| s.parse::<CaseId>().unwrap();
        assert!(range.contains(id("c-7f300000000000000000")));
        assert!(range.contains(id("c-7f3fffffffffffffffff")));
        assert!(!range.contains(id("c-7f400000000000000000")));
        for none in ["c-", "c-1", "7f3", "c-xyz", "c-7f30000000000000000000"] {
            assert!(Range::of(none).is_none(), "{none}");
        }
    }
}
