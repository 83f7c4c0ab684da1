//! An append as its script takes it, and what the script answers.

use super::answer;
use super::keys::ShardKeys;
use super::row::{self, Damage, VERSION_MAX};
use super::script::{APPEND, Call};
use crate::{Append, Appended, Claim, KeyChange};
use offboard_domain::CaseId;
use redis::Value;

/// The call that makes the append; or why it cannot be made here.
pub(super) fn call(keys: &ShardKeys, append: &Append) -> Result<Call, Damage> {
    let index = &append.index;
    if index.version > VERSION_MAX {
        return Err(format!("version {} is beyond what this ledger counts", index.version));
    }
    let key = match append.key {
        KeyChange::Keep => Vec::new(),
        KeyChange::Create(salt) => [b"c".as_slice(), &salt].concat(),
        KeyChange::Destroy => b"d".to_vec(),
    };
    let claim = match &append.claim {
        Claim::Keep => Vec::new(),
        Claim::Take(subject) if subject.is_empty() || subject.len() > usize::from(u16::MAX) => {
            return Err(format!(
                "{}: a claim of {} bytes cannot be kept",
                index.case,
                subject.len()
            ));
        }
        Claim::Take(subject) => [b"t", subject.as_bytes()].concat(),
        Claim::Release => b"r".to_vec(),
    };
    let (most, since) = append.cap.map_or((Vec::new(), Vec::new()), |cap| {
        (cap.most.to_string().into_bytes(), row::ordered(cap.since).to_vec())
    });
    let log = keys.log(&index.tenant, index.case);
    let names = [
        &keys.cases,
        &log,
        &keys.wakes,
        &keys.open,
        &keys.ended,
        &keys.opened,
        &keys.claims,
    ];
    Ok(Call::new(&APPEND, &names.map(String::as_str))
        .arg(row::case_field(&index.tenant, index.case))
        .arg(append.expected.to_string())
        .arg(append.prev.0)
        .arg(row::entry(index)?)
        .arg(key)
        .arg(claim)
        .arg(most)
        .arg(since)
        .arg(if append.trim { "1" } else { "" })
        .args(append.records.iter().map(row::item)))
}

/// What became of it.
pub(super) fn appended(append: &Append, said: Value) -> Result<Appended, Damage> {
    let case = append.index.case;
    let mut items = answer::list(said)?.into_iter();
    let word = answer::text(items.next().ok_or("the store answered nothing")?)?;
    let mut next = || {
        items
            .next()
            .ok_or_else(|| format!("the store answered '{word}' and no more"))
    };
    Ok(match word.as_str() {
        "done" => Appended::Done,
        "ours" => Appended::Ours,
        "gap" => Appended::Gap {
            version: answer::version(&next()?)?,
        },
        "trimmed" => Appended::Trimmed {
            to: answer::version(&next()?)?,
        },
        "capped" => Appended::Capped {
            count: u32::try_from(answer::number(&next()?)?).unwrap_or(u32::MAX),
        },
        "claimed" => {
            let by = answer::bytes(next()?)?;
            let by = by.try_into().map_err(|_| "a claim is held by what is no case")?;
            Appended::Claimed { by: CaseId(by) }
        }
        "conflict" => {
            let items = answer::list(next()?)?;
            let items = items.into_iter().map(answer::bytes).collect::<Result<_, _>>()?;
            Appended::Conflict {
                missed: row::records(case, append.expected, append.prev, items)?,
            }
        }
        "has key" => return Err(format!("{case} already has a key; nothing was written")),
        "destroyed" => {
            return Err(format!(
                "the key of {case} was destroyed and is never made again; nothing was written"
            ));
        }
        "damaged" => {
            let (expected, found) = (answer::number(&next()?)?, answer::number(&next()?)?);
            return Err(format!(
                "{case} has {found} records where its row says {expected}; nothing was written. The store was damaged \
                 or changed by something else: stop, keep a copy of it, and restore a backup"
            ));
        }
        "format" => {
            let format = answer::number(&next()?)?;
            return Err(format!("{case} is kept in format {format}; use the newer version"));
        }
        other => {
            return Err(format!(
                "the store answered '{other}', which no version of the script says"
            ));
        }
    })
}
