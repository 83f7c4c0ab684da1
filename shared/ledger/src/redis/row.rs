//! What stands in the store, byte by byte. Numbers are big-endian; times have
//! their sign bit turned, so that bytes sort as the times do.
//!
//! A case is one field of its shard's hash: the *entry*, which the writer
//! makes and the script keeps as it is, and behind it what the script keeps
//! itself (the salt, what was trimmed, the claims). A record is one item of
//! the case's list: its hash and its body.
//!
//! ```text
//! entry   format 1 · length 2 · version 8 · head 32 · flags 1 · wake 8 ·
//!         opened 8 · updated 8 · settled 4 · tasks 4 · state 1+n · why 1+n
//! behind  salt 1+n · trimmed 8 · its hash 32 · claims (2+n)…
//! ```

use crate::IndexEntry;
use crate::words::wake_reason;
use offboard_domain::record::link;
use offboard_domain::{CaseId, Digest, Record, TenantId, Timestamp, Wake};

/// What this version writes. A row of another one is refused, never guessed at.
const FORMAT: u8 = 1;

const ENDED: u8 = 1;
const NEEDS_PERSON: u8 = 2;
const URGENT: u8 = 4;
const WAKES: u8 = 8;

/// Scripts count in doubles, which are exact up to here.
pub(super) const VERSION_MAX: u64 = 1 << 53;

const CASE_BYTES: usize = 10;
const HASH_BYTES: usize = 32;

/// What is wrong with what was found.
pub(super) type Damage = String;

/// The bytes of a time, in the order of times.
pub(super) fn ordered(at: Timestamp) -> [u8; 8] {
    (at.0 ^ i64::MIN).to_be_bytes()
}

fn unordered(bytes: [u8; 8]) -> Timestamp {
    Timestamp(i64::from_be_bytes(bytes) ^ i64::MIN)
}

/// The field of a case, which sorts as tenants and cases do: no tenant's name
/// holds a zero byte.
pub(super) fn case_field(tenant: &TenantId, case: CaseId) -> Vec<u8> {
    [tenant.as_str().as_bytes(), &[0], &case.0].concat()
}

/// Whose case a field is.
pub(super) fn case_of(field: &[u8]) -> Result<(TenantId, CaseId), Damage> {
    let at = field.len().checked_sub(CASE_BYTES + 1).ok_or("a case has no id")?;
    let (tenant, id) = field.split_at(at);
    Ok((tenant_of(tenant)?, CaseId(fixed(&id[1..])?)))
}

fn tenant_of(bytes: &[u8]) -> Result<TenantId, Damage> {
    let text = std::str::from_utf8(bytes).map_err(|_| "a tenant's name is not text")?;
    TenantId::new(text).map_err(|e| e.to_string())
}

/// When which case is to be woken.
pub(super) fn wake_of(member: &[u8]) -> Result<(Timestamp, TenantId, CaseId), Damage> {
    let (at, rest) = member.split_at_checked(8).ok_or("a wake-up has no time")?;
    let (case, tenant) = rest.split_at_checked(CASE_BYTES).ok_or("a wake-up has no case")?;
    Ok((unordered(fixed(at)?), tenant_of(tenant)?, CaseId(fixed(case)?)))
}

/// The entry, or why it cannot be kept.
pub(super) fn entry(index: &IndexEntry) -> Result<Vec<u8>, Damage> {
    let why = index.wake.map_or("", |w| w.why.word());
    let flag = |on: bool, bit: u8| if on { bit } else { 0 };
    let flags = flag(index.ended, ENDED)
        | flag(index.needs_person, NEEDS_PERSON)
        | flag(index.urgent, URGENT)
        | flag(index.wake.is_some(), WAKES);
    let state_bytes = u8::try_from(index.state.len()).map_err(|_| format!("'{}' is no state", index.state))?;
    let why_bytes = u8::try_from(why.len()).unwrap_or(u8::MAX);
    let mut bytes = vec![FORMAT, 0, 0];
    bytes.extend(index.version.to_be_bytes());
    bytes.extend(index.head.0);
    bytes.push(flags);
    bytes.extend(index.wake.map_or([0; 8], |w| ordered(w.at)));
    bytes.extend(ordered(index.opened_at));
    bytes.extend(ordered(index.updated_at));
    bytes.extend(index.settled.to_be_bytes());
    bytes.extend(index.tasks.to_be_bytes());
    bytes.push(state_bytes);
    bytes.extend(index.state.as_bytes());
    bytes.push(why_bytes);
    bytes.extend(why.as_bytes());
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes();
    bytes[1..3].copy_from_slice(&length);
    Ok(bytes)
}

/// The index entry of a case, and where what is behind it begins.
pub(super) fn index_of(tenant: TenantId, case: CaseId, row: &[u8]) -> Result<(IndexEntry, usize), Damage> {
    let mut reader = Reader { bytes: row, at: 0 };
    let format = reader.byte()?;
    if format != FORMAT {
        return Err(format!(
            "{case} is kept in format {format}, this version knows {FORMAT}; use the newer one"
        ));
    }
    let length = usize::from(u16::from_be_bytes(reader.fixed()?));
    let version = u64::from_be_bytes(reader.fixed()?);
    let head = Digest(reader.fixed()?);
    let flags = reader.byte()?;
    let wake_at = unordered(reader.fixed()?);
    let opened_at = unordered(reader.fixed()?);
    let updated_at = unordered(reader.fixed()?);
    let settled = u32::from_be_bytes(reader.fixed()?);
    let tasks = u32::from_be_bytes(reader.fixed()?);
    let state = reader.word()?;
    let why = reader.word()?;
    if reader.at != length {
        return Err(format!("the entry of {case} has another length than it says"));
    }
    let wake = if flags & WAKES == 0 {
        None
    } else {
        let why = wake_reason(case, &why)?;
        Some(Wake { at: wake_at, why })
    };
    let index = IndexEntry {
        tenant,
        case,
        version,
        head,
        state,
        ended: flags & ENDED != 0,
        needs_person: flags & NEEDS_PERSON != 0,
        urgent: flags & URGENT != 0,
        wake,
        opened_at,
        updated_at,
        settled,
        tasks,
    };
    Ok((index, length))
}

/// A case's row: its entry, and what the script keeps behind it.
pub(super) struct Row {
    pub(super) index: IndexEntry,
    pub(super) salt: Option<[u8; 32]>,
    /// The version up to which records have left, and the hash there.
    pub(super) trimmed: (u64, Digest),
}

impl Row {
    pub(super) fn of(tenant: TenantId, case: CaseId, bytes: &[u8]) -> Result<Self, Damage> {
        let (index, at) = index_of(tenant, case, bytes)?;
        let mut reader = Reader { bytes, at };
        let salt = match reader.byte()? {
            0 => None,
            // Destroyed.
            1 => {
                reader.byte()?;
                None
            }
            32 => Some(reader.fixed()?),
            other => return Err(format!("the key of {case} is made from {other} bytes")),
        };
        let trimmed = (u64::from_be_bytes(reader.fixed()?), Digest(reader.fixed()?));
        Ok(Self { index, salt, trimmed })
    }
}

/// The item of a record.
pub(super) fn item(record: &Record) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HASH_BYTES + record.body.len());
    bytes.extend(record.hash.0);
    bytes.extend(&record.body);
    bytes
}

/// The hash that an item begins with.
pub(super) fn hash_of(item: &[u8]) -> Result<Digest, Damage> {
    let hash = item.get(..HASH_BYTES).ok_or("a record has no hash")?;
    Ok(Digest(fixed(hash)?))
}

/// The records of these items, the first of which follows `prev` at `version`.
/// Each is held against its hash.
pub(super) fn records(
    case: CaseId,
    mut version: u64,
    mut prev: Digest,
    items: Vec<Vec<u8>>,
) -> Result<Vec<Record>, Damage> {
    let mut records = Vec::with_capacity(items.len());
    for mut item in items {
        version += 1;
        let hash = hash_of(&item)?;
        let body = item.split_off(HASH_BYTES);
        if hash != link(prev, Digest::of(&body)) {
            return Err(format!("record {version} of {case} is not what its hash says"));
        }
        records.push(Record {
            version,
            prev,
            hash,
            body,
        });
        prev = hash;
    }
    Ok(records)
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Damage> {
    bytes
        .try_into()
        .map_err(|_| format!("{} bytes where {N} belong", bytes.len()))
}

struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl Reader<'_> {
    fn take(&mut self, n: usize) -> Result<&[u8], Damage> {
        let taken = self
            .bytes
            .get(self.at..self.at + n)
            .ok_or("a case's row ends too early")?;
        self.at += n;
        Ok(taken)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Damage> {
        fixed(self.take(N)?)
    }

    fn byte(&mut self) -> Result<u8, Damage> {
        Ok(self.fixed::<1>()?[0])
    }

    fn word(&mut self) -> Result<String, Damage> {
        let n = usize::from(self.byte()?);
        let text = std::str::from_utf8(self.take(n)?).map_err(|_| "a word is not text")?;
        Ok(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use offboard_domain::WakeReason;

    fn example(wake: Option<Wake>) -> IndexEntry {
        let tenant = TenantId::new("acme").unwrap();
        IndexEntry {
            case: CaseId::derive(&tenant, "1"),
            tenant,
            version: 7,
            head: Digest::of(b"head"),
            state: "active".to_owned(),
            ended: false,
            needs_person: true,
            urgent: true,
            wake,
            opened_at: Timestamp(-5),
            updated_at: Timestamp(i64::MAX),
            settled: 3,
            tasks: u32::MAX,
        }
    }

    #[test]
    fn entries_read_back_as_written() {
        let at = |at, why| Some(Wake { at: Timestamp(at), why });
        for wake in [None, at(i64::MIN, WakeReason::Seal), at(i64::MAX, WakeReason::HoldEnds)] {
            let index = example(wake);
            let bytes = entry(&index).unwrap();
            let read = index_of(index.tenant.clone(), index.case, &bytes).unwrap();
            assert_eq!(read, (index, bytes.len()));
        }
    }

    #[test]
    fn damage_is_named() {
        let index = example(None);
        let bytes = entry(&index).unwrap();
        for cut in 0..bytes.len() {
            assert!(
                index_of(index.tenant.clone(), index.case, &bytes[..cut]).is_err(),
                "{cut}"
            );
        }
        let mut newer = bytes;
        newer[0] = 2;
        let said = index_of(index.tenant.clone(), index.case, &newer).unwrap_err();
        assert!(
            said.contains("format 2") && said.contains("use the newer one"),
            "{said}"
        );
    }

    #[test]
    fn fields_sort_as_tenants_and_cases() {
        let field = |tenant: &str, id| case_field(&TenantId::new(tenant).unwrap(), CaseId([id; 10]));
        let sorted = [
            field("acme", 0),
            field("acme", 255),
            field("acme-2", 0),
            field("beta", 1),
        ];
        assert!(sorted.is_sorted());
        assert_eq!(
            case_of(&sorted[2]).unwrap(),
            (TenantId::new("acme-2").unwrap(), CaseId([0; 10]))
        );
        let times = [i64::MIN, -1, 0, 1, i64::MAX].map(|t| ordered(Timestamp(t)));
        assert!(times.is_sorted());
    }
}
