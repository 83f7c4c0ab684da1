//! What is kept of a shared ledger outside of it, in the store, so that a ledger that lives
//! in memory stays small and nothing that it acknowledged can vanish unnoticed.
//!
//! A store of records that loses something loses its end. What of that end nobody could
//! know otherwise is kept here, each under the name of whose it is:
//!
//! | folder | what | says |
//! |---|---|---|
//! | `openings/<day>/<tenant>/<case>.json` | a case's first record and its salt | that there was the case ([`openings`]) |
//! | `heads/<tenant>/<case>/<version>` | a hash | how far a history went when it was sealed ([`proofs`]) |
//! | `orders/<tenant>/<case>/<version>-<hash>` | a record | what somebody ordered ([`orders`]) |
//! | `pauses/<tenant>/<time>-<hash>` | a gate | what somebody paused, or that he ended it ([`pauses`]) |
//! | `archive/<tenant>/<case>/<from>-<to>.jsonl` | records | a history that has left the ledger ([`archive`]) |
//!
//! Three rules hold for all of them:
//!
//! 1. **First in the ledger, then here; first listed here, then read there.** So a record
//!    that is here and not in a history that was read later has been lost. An end of a
//!    pause is the other way round, for the same reason: its gate leaves nothing behind.
//! 2. **Nothing is ever removed or changed.** The store may be locked. So what is looked at
//!    is bounded by what is open or new ([`proofs`], [`losses`]), not by what there is.
//! 3. **A store that is away holds nothing up that is to be taken from somebody.** It is
//!    waited for [`STORE_WITHIN`], then things go on without, and what was missed is made
//!    up for: by whoever still has it to keep, or by the next look. That something is *not
//!    there* is no such silence: it concerns its case alone ([`of_case`]).
//!
//! What was lost is found and put back by [`losses`]. An embedded ledger is a file that is
//! backed up with everything else: it needs none of this.

mod archive;
mod losses;
mod openings;
mod orders;
mod pauses;
mod proofs;

pub(crate) use archive::{Whole, rearm};
pub(crate) use losses::{Looked, is_mark};
pub(crate) use orders::LostOrders;
pub(crate) use pauses::{is_not_kept_yet, is_ordered_now};
pub(crate) use proofs::{Beyond, Kept, KeptOf, Listed, Stands};

use crate::engine::EngineError;
use futures::FutureExt as _;
use offboard_domain::{CaseId, Digest, TenantId};
use offboard_store::StoreError;
use std::time::Duration;

/// How long the store is waited for where what must not wait stands behind it: a
/// revocation, a person's order, a shard's next owner.
pub(crate) const STORE_WITHIN: Duration = Duration::from_secs(5);

/// Where openings are kept.
const OPENINGS: &str = "openings";

/// Where the heads of sealed cases are kept.
const HEADS: &str = "heads";

/// Where the records of cases that ended are kept.
const ARCHIVE: &str = "archive";

/// Where the orders of people are kept.
const ORDERS: &str = "orders";

/// Where pauses are kept.
const PAUSES: &str = "pauses";

/// A case and whose it is.
pub(crate) type Whose = (TenantId, CaseId);

/// What a shared ledger keeps in the store, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keeping {
    /// How long after its end a case's records stay in the ledger, in
    /// milliseconds.
    pub archive_after_ms: i64,
}

/// What the store says, if it says so in time. Only for what may be dropped half done.
pub(crate) fn in_time<T>(
    asking: impl Future<Output = Result<T, EngineError>>,
) -> impl Future<Output = Result<T, EngineError>> {
    tokio::time::timeout(STORE_WITHIN, asking).map(|answer| answer.unwrap_or_else(|_| Err(no_answer())))
}

/// How long the store is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Until it answers: somebody wants to know whether it is kept.
    Long,
    /// As long as others can wait for it, too.
    Short,
}

impl Patience {
    async fn wait<T>(self, asking: impl Future<Output = Result<T, EngineError>>) -> Result<T, EngineError> {
        match self {
            Self::Long => asking.await,
            Self::Short => in_time(asking).await,
        }
    }
}

fn no_answer() -> EngineError {
    EngineError::Store(format!("no answer within {} s", STORE_WITHIN.as_secs()))
}

/// The folder of what was opened on a day, as the number of days since 1970.
fn day_folder(day: i64) -> String {
    format!("{OPENINGS}/{day}")
}

/// The day of `openings/<day>/<tenant>/<case>.json`.
fn day_of_path(path: &str) -> Option<i64> {
    path.rsplit('/').nth(2)?.parse().ok()
}

/// The case in `<folder>/<tenant>/<case>/<name>`.
fn case_of(path: &str) -> Option<CaseId> {
    path.rsplit('/').nth(1)?.parse().ok()
}

/// The name in `<folder>/<tenant>/<case>/<name>`.
fn name_kept(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The version in `<folder>/<tenant>/<case>/<version>` or `…/<version>-<hash>`.
fn version_kept(path: &str) -> Option<u64> {
    path.rsplit('/').next()?.split('-').next()?.parse().ok()
}

/// The beginning of the record's hash in such a name, if it is there.
fn hash_kept(path: &str) -> Option<&str> {
    path.rsplit('/').next()?.split_once('-').map(|(_, hash)| hash)
}

/// `openings/<day>/<tenant>/<case>.json`.
fn of_path(path: &str) -> Option<(TenantId, CaseId)> {
    let mut parts = path.rsplit('/');
    let case = parts.next()?.strip_suffix(".json")?.parse().ok()?;
    let tenant = TenantId::new(parts.next()?).ok()?;
    Some((tenant, case))
}

/// The beginning of a digest, for a name.
pub(crate) fn short(digest: Digest) -> String {
    const CHARS: usize = 12;
    digest.to_string().chars().take(CHARS).collect()
}

pub(crate) fn store(error: StoreError) -> EngineError {
    EngineError::Store(error.with_causes())
}

/// What the store said of what is kept of one case: that it is not there, or not what it
/// was, concerns that case alone. The store is not away for it.
fn of_case(case: CaseId, error: StoreError) -> EngineError {
    match error {
        StoreError::Absent { .. } | StoreError::Damaged { .. } => EngineError::History {
            case,
            detail: error.to_string(),
        },
        error => store(error),
    }
}

fn damaged(case: CaseId, place: &str) -> EngineError {
    EngineError::History {
        case,
        detail: format!("{place} holds something else than its records; restore it from a backup"),
    }
}
