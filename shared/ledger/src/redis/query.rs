//! What is read. Every row is held against what it must be, every record
//! against its hash: what does not fit is an error that names it, never a
//! shorter history.

use super::answer;
use super::keys::ShardKeys;
use super::row::{self, Damage, Row};
use super::script::{Call, DUE, GATES, LIST, READ};
use crate::{Due, GateChange, Gates, History, IndexEntry};
use offboard_domain::{CaseId, TenantId, Timestamp};
use redis::Value;

/// Most rows of one answer, so that nobody waits long behind it.
pub(super) const SLICE: usize = 1_000;

pub(super) fn read_call(keys: &ShardKeys, tenant: &TenantId, case: CaseId, from: u64) -> Call {
    let log = keys.log(tenant, case);
    Call::new(&READ, &[&keys.cases, &log])
        .arg(row::case_field(tenant, case))
        .arg(from.to_string())
}

/// The history that the answer holds, from `from`.
pub(super) fn history(tenant: &TenantId, case: CaseId, from: u64, said: Value) -> Result<History, Damage> {
    let mut items = answer::list(said)?.into_iter();
    let Some(row) = items.next() else {
        return Ok(History::default());
    };
    let row = Row::of(tenant.clone(), case, &answer::bytes(row)?)?;
    let items = answer::list(items.next().ok_or("the store answered a case without records")?)?;
    let mut items = items.into_iter().map(answer::bytes).collect::<Result<Vec<_>, _>>()?;

    let (trimmed, trimmed_head) = row.trimmed;
    let (version, head) = (row.index.version, row.index.head);
    let from = from.max(trimmed + 1);
    let records = if from > version {
        Vec::new()
    } else {
        let (after, prev) = if from == trimmed + 1 {
            (trimmed, trimmed_head)
        } else {
            // The first is the one before: its hash is what the next follows.
            let before = (!items.is_empty()).then(|| items.remove(0));
            let before = before.ok_or_else(|| missing(from - 1, case))?;
            (from - 1, row::hash_of(&before)?)
        };
        let found = after + items.len() as u64;
        if found != version {
            return Err(missing(found.min(version) + 1, case));
        }
        row::records(case, after, prev, items)?
    };
    let last = records.last().map_or(head, |r| r.hash);
    if last != head {
        return Err(format!("the row of {case} does not agree with its last record"));
    }
    Ok(History {
        records,
        salt: row.salt,
        trimmed: Some(trimmed).filter(|v| *v > 0),
    })
}

fn missing(version: u64, case: CaseId) -> Damage {
    format!("record {version} of {case} is missing")
}

/// Asks for wake-ups after one (or from the first), up to a time.
pub(super) fn due_call(keys: &ShardKeys, after: Option<&[u8]>, now: Timestamp, most: usize) -> Call {
    let end = match now.0.checked_add(1) {
        Some(next) => [b"(".as_slice(), &row::ordered(Timestamp(next))].concat(),
        None => b"+".to_vec(),
    };
    Call::new(&DUE, &[&keys.wakes, &keys.cases])
        .arg(after_bound(after))
        .arg(end)
        .arg(most.min(SLICE).to_string())
}

/// Due cases, in the order of times and cases.
pub(super) struct DuePage {
    pub(super) due: Vec<Due>,
    /// Where the next page begins.
    pub(super) last: Option<Vec<u8>>,
    /// The first wake-up that is not on this page.
    pub(super) next: Option<Timestamp>,
}

pub(super) fn due_page(said: Value) -> Result<DuePage, Damage> {
    let [members, rows, next] = answer::fixed(said)?;
    let next = match answer::list(next)?.into_iter().next() {
        Some(member) => Some(row::wake_of(&answer::bytes(member)?)?.0),
        None => None,
    };
    let (mut due, mut last) = (Vec::new(), None);
    for (member, entry) in answer::list(members)?.into_iter().zip(answer::list(rows)?) {
        let member = answer::bytes(member)?;
        let (at, tenant, case) = row::wake_of(&member)?;
        let (index, _) = row::index_of(tenant, case, &present(case, entry)?)?;
        let wake = index.wake.filter(|w| w.at == at);
        due.push(Due {
            wake: wake.ok_or_else(|| format!("{case} is to be woken at another time than its row says"))?,
            tenant: index.tenant,
            case,
            version: index.version,
        });
        last = Some(member);
    }
    Ok(DuePage { due, last, next })
}

/// Asks for a page of cases: of a tenant or of all, after one or from the first.
pub(super) fn list_call(
    keys: &ShardKeys,
    tenant: Option<&TenantId>,
    after: Option<&[u8]>,
    open_only: bool,
    most: usize,
) -> Call {
    let of = |tenant: &TenantId, end: u8| [tenant.as_str().as_bytes(), &[end]].concat();
    let begin = match (tenant, after) {
        (Some(tenant), None) => [b"[".as_slice(), &of(tenant, 0)].concat(),
        (_, after) => after_bound(after),
    };
    let end = tenant.map_or(b"+".to_vec(), |t| [b"(".as_slice(), &of(t, 1)].concat());
    let lists = [&keys.cases, &keys.open, &keys.ended].map(String::as_str);
    Call::new(&LIST, &lists)
        .arg(begin)
        .arg(end)
        .arg(most.min(SLICE).to_string())
        .arg(if open_only { "open" } else { "" })
}

/// Cases in the order of their fields, at most as many as were asked for.
pub(super) fn list_page(most: usize, said: Value) -> Result<Vec<(Vec<u8>, IndexEntry)>, Damage> {
    let mut page = Vec::new();
    for list in answer::list(said)? {
        let [fields, rows] = answer::fixed(list)?;
        for (field, entry) in answer::list(fields)?.into_iter().zip(answer::list(rows)?) {
            let field = answer::bytes(field)?;
            let (tenant, case) = row::case_of(&field)?;
            let (index, _) = row::index_of(tenant, case, &present(case, entry)?)?;
            page.push((field, index));
        }
    }
    page.sort_by(|a, b| a.0.cmp(&b.0));
    page.truncate(most.min(SLICE));
    Ok(page)
}

fn present(case: CaseId, entry: Value) -> Result<Vec<u8>, Damage> {
    match entry {
        Value::Nil => Err(format!("{case} is listed and has no row")),
        entry => answer::bytes(entry),
    }
}

fn after_bound(after: Option<&[u8]>) -> Vec<u8> {
    after.map_or(b"-".to_vec(), |member| [b"(", member].concat())
}

/// Changes gates, if the one that is named stands as it is said.
pub(super) fn gates_call(
    keys: &ShardKeys,
    tenant: &TenantId,
    stands: Option<(&str, Timestamp)>,
    changes: &[GateChange],
) -> Call {
    let stands = stands
        .map(|(gate, until)| (gate.to_owned(), until.0.to_string()))
        .unwrap_or_default();
    let words = changes.iter().flat_map(|change| {
        let until = change.until.map_or(String::new(), |t| t.0.to_string());
        [change.name.clone().into_bytes(), until.into_bytes()]
    });
    Call::new(&GATES, &[&keys.gates(tenant)])
        .arg(stands.0)
        .arg(stands.1)
        .args(words)
}

/// The gates after a change; none: the one that it hung on does not stand so.
pub(super) fn gates_if(said: Value) -> Result<Option<Gates>, Damage> {
    match said {
        Value::Nil => Ok(None),
        said => gates(said).map(Some),
    }
}

pub(super) fn gates(said: Value) -> Result<Gates, Damage> {
    let mut gates = Gates::new();
    let mut words = answer::list(said)?.into_iter();
    while let (Some(name), Some(until)) = (words.next(), words.next()) {
        let (name, until) = (answer::text(name)?, answer::text(until)?);
        let until = until
            .parse()
            .map_err(|_| format!("gate '{name}' is shut until '{until}'"))?;
        gates.insert(name, Timestamp(until));
    }
    Ok(gates)
}
