//! What the writer does inside its transaction. Every function looks at all
//! that could refuse it before its first write.

use super::ids::{self, by_id};
use super::query::{self, Place, Trimmed, to_i64, to_u64};
use super::{Failure, Session};
use crate::{Append, Appended, Claim, GateChange, Gates, KeyChange, Shard};
use offboard_domain::{CaseId, Digest, Record, TenantId, Timestamp};
use rusqlite::{OptionalExtension as _, params};

const STANDING: &str =
    by_id!("SELECT number, version, head, last, wake_at, ended, opened_at, salt, forgotten, trimmed, trimmed_head");

const ADD_RECORD: &str = r#"INSERT INTO records (before, "case", version, hash, body) VALUES (?1, ?2, ?3, ?4, ?5)"#;

/// The number that the next new case gets.
const NEXT_CASE: &str = "SELECT coalesce(max(number), 0) + 1 FROM cases";
const ADD_CASE: &str = "INSERT INTO cases (tenant, id, version, head, last, wake_at, wake_why, state, ended,
        needs_person, urgent, opened_at, updated_at, settled, tasks, salt, forgotten, number)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)";

// An UPDATE rewrites every index that names a column it sets, changed or not:
// what stands in an index is set only when it changes.
const MOVE_CASE: &str = "UPDATE cases SET version = ?2, head = ?3, last = ?4, wake_why = ?5, state = ?6,
        needs_person = ?7, urgent = ?8, updated_at = ?9, settled = ?10, tasks = ?11
    WHERE number = ?1";
const MOVE_CASE_AND_WAKE: &str = "UPDATE cases SET version = ?2, head = ?3, last = ?4, wake_why = ?5, state = ?6,
        needs_person = ?7, urgent = ?8, updated_at = ?9, settled = ?10, tasks = ?11, wake_at = ?12
    WHERE number = ?1";
const SET_LIFE: &str = "UPDATE cases SET ended = ?2, opened_at = ?3 WHERE number = ?1";
const SET_TRIMMED: &str = "UPDATE cases SET trimmed = ?2, trimmed_head = ?3, last = 0 WHERE number = ?1";
const SET_KEY: &str = "UPDATE cases SET salt = ?2, forgotten = ?3 WHERE number = ?1";

/// The case's row as it stands.
struct Standing {
    number: Option<i64>,
    version: u64,
    head: Digest,
    last: i64,
    wake_at: Option<i64>,
    ended: bool,
    opened_at: i64,
    salt: Option<[u8; 32]>,
    forgotten: bool,
    trimmed: Trimmed,
}

impl Standing {
    fn place(&self, case: CaseId) -> Option<Place> {
        self.number.map(|number| Place {
            number,
            case,
            version: self.version,
            last: self.last,
            trimmed: self.trimmed,
        })
    }
}

/// The row that an unknown case would have.
const UNKNOWN: Standing = Standing {
    number: None,
    version: 0,
    head: Digest::ZERO,
    last: 0,
    wake_at: None,
    ended: false,
    opened_at: 0,
    salt: None,
    forgotten: false,
    trimmed: Trimmed::NOTHING,
};

/// What of the key's columns is to be set.
enum KeyWrite {
    Nothing,
    Salt([u8; 32]),
    Forget,
}

pub(super) fn append(session: &mut Session, append: &Append) -> Result<Appended, Failure> {
    let (tenant, case) = (&append.index.tenant, append.index.case);
    let known = query::number(session, tenant)?;
    let old = match known {
        Some(number) => standing(session, number, case)?,
        None => None,
    };
    let old = old.unwrap_or(UNKNOWN);
    if let Some(refused) = at_another_version(session, &old, append)? {
        return Ok(refused);
    }
    if let Some(refused) = claimed(session, known, append)? {
        return Ok(refused);
    }
    if let Some(refused) = capped(session, known, append)? {
        return Ok(refused);
    }
    let key = key_write(&old, append)?;
    if append.trim
        && let Some(place) = old.place(case)
    {
        // What is damaged stays, for whoever has to find out why.
        query::walk(session, &place, old.trimmed.to)?;
    }
    // Nothing is refused from here on.
    let number = match known {
        Some(number) => number,
        None => query::add_tenant(session, tenant)?,
    };
    write(session, number, &old, append, &key)?;
    Ok(Appended::Done)
}

fn standing(session: &Session, tenant: i64, case: CaseId) -> Result<Option<Standing>, Failure> {
    let mut statement = session.db.prepare_cached(STANDING)?;
    let row = statement.query_row(params![tenant, case.0], |row| {
        Ok(Standing {
            number: Some(row.get(0)?),
            version: to_u64(row.get(1)?),
            head: Digest(row.get(2)?),
            last: row.get(3)?,
            wake_at: row.get(4)?,
            ended: row.get(5)?,
            opened_at: row.get(6)?,
            salt: row.get(7)?,
            forgotten: row.get(8)?,
            trimmed: Trimmed::of(row.get(9)?, row.get(10)?),
        })
    });
    Ok(row.optional()?)
}

fn at_another_version(session: &Session, old: &Standing, append: &Append) -> Result<Option<Appended>, Failure> {
    let gap = Ok(Some(Appended::Gap { version: old.version }));
    if old.version < append.expected {
        return gap;
    }
    if old.version == append.expected {
        return match (old.head == append.prev, append.trim && old.trimmed.to == old.version) {
            (false, _) => gap,
            (true, true) => Ok(Some(Appended::Ours)),
            (true, false) => Ok(None),
        };
    }
    let Some(place) = old.place(append.index.case) else {
        return gap;
    };
    let (prev, missed) = query::walk(session, &place, append.expected)?;
    let stands_there = |last: &Record| {
        let at_the_trim = (old.trimmed.to, old.trimmed.head) == (last.version, last.hash);
        at_the_trim || missed.iter().any(|r| r.version == last.version && r.hash == last.hash)
    };
    if append.records.last().is_some_and(stands_there) {
        return Ok(Some(Appended::Ours));
    }
    if append.expected < old.trimmed.to {
        return Ok(Some(Appended::Trimmed { to: old.trimmed.to }));
    }
    if prev != append.prev {
        return gap;
    }
    Ok(Some(Appended::Conflict { missed }))
}

fn claimed(session: &Session, tenant: Option<i64>, append: &Append) -> Result<Option<Appended>, Failure> {
    let (Some(tenant), Claim::Take(subject)) = (tenant, &append.claim) else {
        return Ok(None);
    };
    let by = session
        .db
        .prepare_cached(
            r#"SELECT id FROM cases WHERE number = (SELECT "case" FROM claims WHERE tenant = ?1 AND subject = ?2)"#,
        )?
        .query_row(params![tenant, subject], |row| row.get(0).map(CaseId))
        .optional()?;
    Ok(by
        .filter(|by| *by != append.index.case)
        .map(|by| Appended::Claimed { by }))
}

fn capped(session: &Session, tenant: Option<i64>, append: &Append) -> Result<Option<Appended>, Failure> {
    let Some(cap) = append.cap else { return Ok(None) };
    let count = |most: i64| -> Result<u32, Failure> {
        let Some(tenant) = tenant else { return Ok(0) };
        let mut statement = session.db.prepare_cached(
            "SELECT count(*) FROM (SELECT 1 FROM cases INDEXED BY cases_opened
                WHERE tenant = ?1 AND opened_at >= ?2 AND id <> ?3 LIMIT ?4)",
        )?;
        let found: i64 = statement.query_row(params![tenant, cap.since.0, append.index.case.0, most], |row| {
            row.get(0)
        })?;
        Ok(u32::try_from(found).unwrap_or(u32::MAX))
    };
    // Counting stops at the cap, so that a wide window costs no more than it.
    if count(i64::from(cap.most))? < cap.most {
        return Ok(None);
    }
    Ok(Some(Appended::Capped { count: count(-1)? }))
}

fn key_write(old: &Standing, append: &Append) -> Result<KeyWrite, Failure> {
    let case = append.index.case;
    match append.key {
        KeyChange::Keep => Ok(KeyWrite::Nothing),
        KeyChange::Destroy if old.forgotten => Ok(KeyWrite::Nothing),
        KeyChange::Destroy => Ok(KeyWrite::Forget),
        KeyChange::Create(_) if old.forgotten => Err(Failure::Broken(format!(
            "the key of {case} was destroyed and is never made again; nothing was written"
        ))),
        KeyChange::Create(salt) => match old.salt {
            None => Ok(KeyWrite::Salt(salt)),
            Some(is) if is == salt => Ok(KeyWrite::Nothing),
            Some(_) => Err(Failure::Broken(format!(
                "{case} already has a key; nothing was written"
            ))),
        },
    }
}

fn write(session: &mut Session, tenant: i64, old: &Standing, append: &Append, key: &KeyWrite) -> Result<(), Failure> {
    let index = &append.index;
    let number = match old.number {
        Some(number) => number,
        None => session.db.prepare_cached(NEXT_CASE)?.query_row([], |row| row.get(0))?,
    };
    let mut last = old.last;
    let mut add = session.db.prepare_cached(ADD_RECORD)?;
    for record in &append.records {
        last = add.insert(params![
            last,
            number,
            to_i64(record.version),
            record.hash.0,
            record.body
        ])?;
    }
    drop(add);

    let (wake_at, wake_why) = (index.wake.map(|w| w.at.0), index.wake.map(|w| w.why.word()));
    let version = to_i64(index.version);
    if old.number.is_none() {
        let (salt, forgotten) = match key {
            KeyWrite::Nothing => (None, false),
            KeyWrite::Salt(salt) => (Some(salt), false),
            KeyWrite::Forget => (None, true),
        };
        session.db.prepare_cached(ADD_CASE)?.execute(params![
            tenant,
            index.case.0,
            version,
            index.head.0,
            last,
            wake_at,
            wake_why,
            index.state,
            index.ended,
            index.needs_person,
            index.urgent,
            index.opened_at.0,
            index.updated_at.0,
            index.settled,
            index.tasks,
            salt,
            forgotten,
            number,
        ])?;
        ids::add(session, tenant, index.case, index.ended, number)?;
        return write_claim(session, tenant, number, append);
    }
    if wake_at == old.wake_at {
        session.db.prepare_cached(MOVE_CASE)?.execute(params![
            number,
            version,
            index.head.0,
            last,
            wake_why,
            index.state,
            index.needs_person,
            index.urgent,
            index.updated_at.0,
            index.settled,
            index.tasks,
        ])?;
    } else {
        session.db.prepare_cached(MOVE_CASE_AND_WAKE)?.execute(params![
            number,
            version,
            index.head.0,
            last,
            wake_why,
            index.state,
            index.needs_person,
            index.urgent,
            index.updated_at.0,
            index.settled,
            index.tasks,
            wake_at,
        ])?;
    }
    if index.ended != old.ended || index.opened_at.0 != old.opened_at {
        session
            .db
            .prepare_cached(SET_LIFE)?
            .execute(params![number, index.ended, index.opened_at.0])?;
        ids::set_ended(session, tenant, index.case, index.ended)?;
    }
    match key {
        KeyWrite::Nothing => {}
        KeyWrite::Salt(salt) => {
            session
                .db
                .prepare_cached(SET_KEY)?
                .execute(params![number, salt, false])?;
        }
        KeyWrite::Forget => {
            session
                .db
                .prepare_cached(SET_KEY)?
                .execute(params![number, None::<[u8; 32]>, true])?;
            session.scrub = true;
        }
    }
    if append.trim {
        trim(session, number, old, append)?;
    }
    write_claim(session, tenant, number, append)
}

/// Takes the case's records out of the log, from the last to the first.
fn trim(session: &Session, number: i64, old: &Standing, append: &Append) -> Result<(), Failure> {
    let mut remove = session
        .db
        .prepare_cached("DELETE FROM records WHERE seq = ?1 RETURNING before")?;
    let (mut version, mut seq) = (old.version, old.last);
    while version > old.trimmed.to {
        seq = remove.query_row([seq], |row| row.get(0))?;
        version -= 1;
    }
    session.db.prepare_cached(SET_TRIMMED)?.execute(params![
        number,
        to_i64(append.index.version),
        append.index.head.0
    ])?;
    Ok(())
}

fn write_claim(session: &Session, tenant: i64, number: i64, append: &Append) -> Result<(), Failure> {
    if append.index.ended || append.claim == Claim::Release {
        session
            .db
            .prepare_cached(r#"DELETE FROM claims WHERE "case" = ?1"#)?
            .execute([number])?;
    } else if let Claim::Take(subject) = &append.claim {
        session
            .db
            .prepare_cached(r#"INSERT OR IGNORE INTO claims (tenant, subject, "case") VALUES (?1, ?2, ?3)"#)?
            .execute(params![tenant, subject, number])?;
    }
    Ok(())
}

pub(super) fn gates(session: &mut Session, tenant: &TenantId, changes: &[GateChange]) -> Result<Gates, Failure> {
    let number = match query::number(session, tenant)? {
        Some(number) => number,
        None => query::add_tenant(session, tenant)?,
    };
    for GateChange { name, until } in changes {
        match until {
            Some(until) => session
                .db
                .prepare_cached(
                    "INSERT INTO gates (tenant, name, until) VALUES (?1, ?2, ?3) \
                     ON CONFLICT (tenant, name) DO UPDATE SET until = max(until, excluded.until)",
                )?
                .execute(params![number, name, until.0])?,
            None => session
                .db
                .prepare_cached("DELETE FROM gates WHERE tenant = ?1 AND name = ?2")?
                .execute(params![number, name])?,
        };
    }
    query::gates(session, tenant)
}

/// The same while a gate stands as it is said; none: it does not, and nothing is changed.
pub(super) fn gates_while(
    session: &mut Session,
    tenant: &TenantId,
    (gate, until): (&str, Timestamp),
    changes: &[GateChange],
) -> Result<Option<Gates>, Failure> {
    let stands = query::gates(session, tenant)?.get(gate) == Some(&until);
    stands.then(|| gates(session, tenant, changes)).transpose()
}

pub(super) fn own(
    session: &Session,
    shard: Shard,
    owner: &str,
    now: Timestamp,
    until: Timestamp,
) -> Result<String, Failure> {
    let holder = session
        .db
        .prepare_cached("SELECT owner FROM owners WHERE shards = ?1 AND shard = ?2 AND until > ?3")?
        .query_row(params![shard.of, shard.index, now.0], |row| row.get::<_, String>(0))
        .optional()?;
    if let Some(other) = holder.filter(|holder| holder != owner) {
        return Ok(other);
    }
    if until <= now {
        session
            .db
            .prepare_cached("DELETE FROM owners WHERE shards = ?1 AND shard = ?2")?
            .execute(params![shard.of, shard.index])?;
        return Ok(String::new());
    }
    session
        .db
        .prepare_cached("INSERT OR REPLACE INTO owners (shards, shard, owner, until) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![shard.of, shard.index, owner, until.0])?;
    Ok(owner.to_owned())
}
