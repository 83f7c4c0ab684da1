//! What is read. Every row is held against what it must be: a record that is
//! missing, of another case, or not what its hash says, is an error that
//! names it, never a shorter history.

use super::ids::{self, by_id};
use super::{Failure, Session};
use crate::words::wake_reason;
use crate::{Due, Filter, Gates, History, IndexEntry, Shard};
use offboard_domain::record::link;
use offboard_domain::{CaseId, Digest, Record, TenantId, Timestamp, Wake};
use rusqlite::{OptionalExtension as _, Row, params};

const ENTRY: &str = "SELECT id, version, head, state, ended, needs_person, urgent, wake_at, wake_why, opened_at,
    updated_at, settled, tasks FROM cases WHERE number = ?1";

/// The number of a tenant; none if nothing was ever written of it.
pub(super) fn number(session: &mut Session, tenant: &TenantId) -> Result<Option<i64>, Failure> {
    if let Some(number) = session.numbers.get(tenant) {
        return Ok(Some(*number));
    }
    let found: Option<i64> = session
        .db
        .prepare_cached("SELECT number FROM tenants WHERE name = ?1")?
        .query_row([tenant.as_str()], |row| row.get(0))
        .optional()?;
    if let Some(number) = found {
        session.numbers.insert(tenant.clone(), number);
    }
    Ok(found)
}

pub(super) fn add_tenant(session: &mut Session, tenant: &TenantId) -> Result<i64, Failure> {
    let number = session
        .db
        .prepare_cached("INSERT INTO tenants (name) VALUES (?1)")?
        .insert([tenant.as_str()])?;
    session.numbers.insert(tenant.clone(), number);
    Ok(number)
}

fn name(session: &mut Session, number: i64) -> Result<TenantId, Failure> {
    if let Some(name) = session.names.get(&number) {
        return Ok(name.clone());
    }
    let text: String = session
        .db
        .prepare_cached("SELECT name FROM tenants WHERE number = ?1")?
        .query_row([number], |row| row.get(0))?;
    let name = TenantId::new(&text).map_err(|e| damaged(&format!("tenant {number}: {e}")))?;
    session.names.insert(number, name.clone());
    Ok(name)
}

/// Up to which version a case's records have left the log, and the hash there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trimmed {
    pub(super) to: u64,
    pub(super) head: Digest,
}

impl Trimmed {
    pub(super) const NOTHING: Self = Self {
        to: 0,
        head: Digest::ZERO,
    };

    pub(super) fn of(to: i64, head: Option<[u8; 32]>) -> Self {
        Self {
            to: to_u64(to),
            head: head.map_or(Digest::ZERO, Digest),
        }
    }
}

/// Where a case's records are.
pub(super) struct Place {
    pub(super) number: i64,
    pub(super) case: CaseId,
    /// The last record: its version, and its place in the log.
    pub(super) version: u64,
    pub(super) last: i64,
    pub(super) trimmed: Trimmed,
}

/// The records of a case after version `from` (of those that have not left),
/// and the hash that the first of them follows.
pub(super) fn walk(session: &Session, place: &Place, from: u64) -> Result<(Digest, Vec<Record>), Failure> {
    let mut statement = session.db.prepare_cached(
        r#"SELECT before, "case", version, hash, CASE WHEN version > ?2 THEN body END FROM records WHERE seq = ?1"#,
    )?;
    let case = place.case;
    let (mut version, mut seq) = (place.version, place.last);
    let mut records: Vec<Record> = Vec::new();
    while version > place.trimmed.to {
        let row = statement
            .query_row(params![seq, to_i64(from)], |row| {
                let found = (row.get::<_, i64>(1)?, to_u64(row.get(2)?));
                Ok((
                    row.get::<_, i64>(0)?,
                    found,
                    Digest(row.get(3)?),
                    row.get::<_, Option<Vec<u8>>>(4)?,
                ))
            })
            .optional()?;
        let (before, found, hash, body) = row.ok_or_else(|| missing(version, case))?;
        if found != (place.number, version) {
            return Err(missing(version, case));
        }
        if let Some(after) = records.last_mut() {
            after.prev = hash;
        }
        let Some(body) = body else {
            records.reverse();
            return verified(case, hash, records);
        };
        records.push(Record {
            version,
            prev: place.trimmed.head,
            hash,
            body,
        });
        (version, seq) = (version - 1, before);
    }
    records.reverse();
    verified(case, place.trimmed.head, records)
}

fn missing(version: u64, case: CaseId) -> Failure {
    damaged(&format!("record {version} of {case} is missing"))
}

fn verified(case: CaseId, prev: Digest, records: Vec<Record>) -> Result<(Digest, Vec<Record>), Failure> {
    for record in &records {
        if record.hash != link(record.prev, Digest::of(&record.body)) {
            return Err(damaged(&format!(
                "record {} of {case} is not what its hash says",
                record.version
            )));
        }
    }
    Ok((prev, records))
}

pub(super) fn read(session: &mut Session, tenant: &TenantId, case: CaseId, from: u64) -> Result<History, Failure> {
    let Some(tenant) = number(session, tenant)? else {
        return Ok(History::default());
    };
    let row = session
        .db
        .prepare_cached(by_id!(
            "SELECT number, version, last, trimmed, trimmed_head, head, salt"
        ))?
        .query_row(params![tenant, case.0], |row| {
            let place = Place {
                number: row.get(0)?,
                case,
                version: to_u64(row.get(1)?),
                last: row.get(2)?,
                trimmed: Trimmed::of(row.get(3)?, row.get(4)?),
            };
            Ok((place, Digest(row.get(5)?), row.get::<_, Option<[u8; 32]>>(6)?))
        })
        .optional()?;
    let Some((place, head, salt)) = row else {
        return Ok(History::default());
    };
    let trimmed = Some(place.trimmed.to).filter(|v| *v > 0);
    let from = from.saturating_sub(1).max(place.trimmed.to);
    if from >= place.version {
        return Ok(History {
            records: Vec::new(),
            salt,
            trimmed,
        });
    }
    let (_, records) = walk(session, &place, from)?;
    if records.last().map(|r| r.hash) != Some(head) {
        return Err(damaged(&format!(
            "the index of {case} does not agree with its last record"
        )));
    }
    Ok(History { records, salt, trimmed })
}

pub(super) fn due(
    session: &mut Session,
    shard: Shard,
    now: Timestamp,
    limit: usize,
) -> Result<(Vec<Due>, Option<Timestamp>), Failure> {
    // Rows are fetched in slices, so that names can be looked up in between.
    const SLICE: i64 = 512;
    let mut due = Vec::new();
    let mut after = (i64::MIN, [0; 10], i64::MIN);
    loop {
        let rows = {
            let mut statement = session.db.prepare_cached(
                "SELECT wake_at, id, number, wake_why, version, tenant FROM cases INDEXED BY cases_due
                    WHERE wake_at IS NOT NULL AND (wake_at, id, number) > (?1, ?2, ?3)
                    ORDER BY wake_at, id, number LIMIT ?4",
            )?;
            let rows = statement.query_map(params![after.0, after.1, after.2, SLICE], |row| {
                let place = (row.get::<_, i64>(0)?, row.get::<_, [u8; 10]>(1)?, row.get::<_, i64>(2)?);
                Ok((
                    place,
                    row.get::<_, String>(3)?,
                    to_u64(row.get(4)?),
                    row.get::<_, i64>(5)?,
                ))
            })?;
            rows.collect::<Result<Vec<_>, _>>()?
        };
        let Some((place, ..)) = rows.last() else {
            return Ok((due, None));
        };
        after = *place;
        for ((at, case, _), why, version, tenant) in rows {
            let tenant = name(session, tenant)?;
            if !shard.holds(&tenant) {
                continue;
            }
            if at > now.0 || due.len() == limit {
                return Ok((due, Some(Timestamp(at))));
            }
            let case = CaseId(case);
            due.push(Due {
                tenant,
                case,
                version,
                wake: Wake {
                    at: Timestamp(at),
                    why: wake_reason(case, &why).map_err(Failure::Broken)?,
                },
            });
        }
    }
}

pub(super) fn list(session: &mut Session, filter: &Filter) -> Result<Vec<IndexEntry>, Failure> {
    let tenants: Vec<(i64, TenantId)> = match &filter.tenant {
        Some(tenant) => number(session, tenant)?
            .map(|n| (n, tenant.clone()))
            .into_iter()
            .collect(),
        None => {
            let mut numbers: Vec<(i64, TenantId)> = Vec::new();
            for n in all_tenants(session)? {
                numbers.push((n, name(session, n)?));
            }
            numbers.sort_by(|a, b| a.1.cmp(&b.1));
            numbers
        }
    };
    let mut entries = Vec::new();
    for (number, tenant) in tenants {
        if filter.shard.is_some_and(|s| !s.holds(&tenant)) {
            continue;
        }
        // Of the tenant where the last page ended, only what comes after it.
        let after = match &filter.after {
            Some((last, _)) if tenant < *last => continue,
            Some((last, case)) if tenant == *last => case.0.as_slice(),
            _ => &[],
        };
        let room = i64::try_from(filter.limit - entries.len()).unwrap_or(i64::MAX);
        if room == 0 {
            break;
        }
        let listed = if filter.open_only {
            ids::LISTED_OPEN
        } else {
            ids::LISTED
        };
        let (mut listed, mut of_case) = (session.db.prepare_cached(listed)?, session.db.prepare_cached(ENTRY)?);
        let mut rows = listed.query(params![number, after, room])?;
        while let Some(row) = rows.next()? {
            let mut found = of_case.query([row.get::<_, i64>(1)?])?;
            let row = found
                .next()?
                .ok_or_else(|| damaged("a case that its id leads to is missing"))?;
            entries.push(entry(row, &tenant)?);
        }
    }
    Ok(entries)
}

fn all_tenants(session: &Session) -> Result<Vec<i64>, Failure> {
    let mut statement = session.db.prepare_cached("SELECT number FROM tenants")?;
    let numbers = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(numbers)
}

fn entry(row: &Row<'_>, tenant: &TenantId) -> Result<IndexEntry, Failure> {
    let case = CaseId(row.get(0)?);
    let wake = match (row.get::<_, Option<i64>>(7)?, row.get::<_, Option<String>>(8)?) {
        (Some(at), Some(why)) => Some(Wake {
            at: Timestamp(at),
            why: wake_reason(case, &why).map_err(Failure::Broken)?,
        }),
        _ => None,
    };
    Ok(IndexEntry {
        tenant: tenant.clone(),
        case,
        version: to_u64(row.get(1)?),
        head: Digest(row.get(2)?),
        state: row.get(3)?,
        ended: row.get(4)?,
        needs_person: row.get(5)?,
        urgent: row.get(6)?,
        wake,
        opened_at: Timestamp(row.get(9)?),
        updated_at: Timestamp(row.get(10)?),
        settled: row.get(11)?,
        tasks: row.get(12)?,
    })
}

pub(super) fn gates(session: &mut Session, tenant: &TenantId) -> Result<Gates, Failure> {
    let Some(number) = number(session, tenant)? else {
        return Ok(Gates::new());
    };
    let mut statement = session
        .db
        .prepare_cached("SELECT name, until FROM gates WHERE tenant = ?1")?;
    let rows = statement.query_map([number], |row| Ok((row.get(0)?, Timestamp(row.get(1)?))))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn damaged(what: &str) -> Failure {
    Failure::Broken(format!(
        "{what}: the file was damaged or changed; stop, keep a copy of it, and restore a backup"
    ))
}

/// Versions are checked to fit before they are written.
pub(super) fn to_i64(version: u64) -> i64 {
    i64::try_from(version).unwrap_or(i64::MAX)
}

/// Versions in the file are never negative; a damaged one fits nothing.
pub(super) fn to_u64(version: i64) -> u64 {
    u64::try_from(version).unwrap_or(u64::MAX)
}
