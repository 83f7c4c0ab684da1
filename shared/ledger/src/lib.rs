//! The ledger: the only place where history is written.
//!
//! It keeps sealed records and knows nothing of what they mean. Whoever
//! appends says at which version he stands; of two who stand at the same
//! version one wins, and the loser is told what he missed.
//!
//! # Laws
//! Each is one test that every backend passes.
//! 1. The same bytes come back, in order.
//! 2. An append at a wrong version writes nothing.
//! 3. An append is written whole or not at all: records, index entry, claim, key.
//! 4. Of two appends at one version exactly one wins, and the loser gets what he missed.
//! 5. A repeated append of ours is recognised as ours and changes nothing.
//! 6. A gap or a lost tail is noticed, never papered over.
//! 7. Tenants cannot see each other.
//! 8. What is due and what is listed equal what the last append said.
//! 9. Records of unknown versions survive unread.
//! 10. What was acknowledged survives a restart.
//! 11. A subject is claimed by one open case at a time.
//! 12. A tenant's cap holds under racing appends.
//! 13. A destroyed key does not come back, and the chain stays.
//! 14. A shard has one owner at a time.
//! 15. A trimmed case keeps its place: its records leave, what it is does not,
//!     and whoever reads it is told that they left.
//! 16. A gate that is shut is only ever shut for longer, unless it is opened.
//! 17. What hangs on how a gate stands is changed only while it stands so.

mod check;
pub mod memory;
pub mod redis;
pub mod sqlite;
mod words;

pub use memory::MemoryLedger;
pub use redis::RedisLedger;
pub use sqlite::SqliteLedger;

use async_trait::async_trait;
use offboard_domain::{CaseId, Digest, Record, TenantId, Timestamp, Wake};
use serde::{Deserialize, Serialize};

/// What the index keeps of a case, written with every append. Nothing of the
/// person stands in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexEntry {
    /// Whose case.
    pub tenant: TenantId,
    /// Which case.
    pub case: CaseId,
    /// Version of its last record.
    pub version: u64,
    /// Hash of its last record.
    pub head: Digest,
    /// The state as a word: `received`, `active`, `closing`, `closed`, `cancelling`, `cancelled`, `merged`, `refused`.
    pub state: String,
    /// Whether its life is over.
    pub ended: bool,
    /// Whether a person is needed now.
    pub needs_person: bool,
    /// Whether it goes ahead of others.
    pub urgent: bool,
    /// When it next wants to be looked at.
    pub wake: Option<Wake>,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it was last appended to.
    pub updated_at: Timestamp,
    /// Tasks settled, and tasks in all.
    pub settled: u32,
    /// Tasks in all.
    pub tasks: u32,
}

/// What becomes of the salt from which the case's key is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyChange {
    /// It stays.
    Keep,
    /// The case is new: this is its salt.
    Create([u8; 32]),
    /// It is destroyed: the person is erased, the chain stays.
    Destroy,
}

/// What becomes of a subject's claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// It stays.
    Keep,
    /// This case claims the subject of that key (`system:object id`).
    Take(String),
    /// The case lets go of whatever it claims.
    Release,
}

/// A tenant's cap on how many of its cases may have been opened since a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cap {
    /// Counted from this time on.
    pub since: Timestamp,
    /// At most this many, the one that is appended to included.
    pub most: u32,
}

/// One append: all of it or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// The version that the writer stands at; 0 for a new case.
    pub expected: u64,
    /// The hash that the writer stands at; [`Digest::ZERO`] for a new case.
    pub prev: Digest,
    /// What follows. None re-arms the wake-up (and index) without an event.
    pub records: Vec<Record>,
    /// The case's index entry after it.
    pub index: IndexEntry,
    /// What becomes of the case's key.
    pub key: KeyChange,
    /// What becomes of the subject's claim.
    pub claim: Claim,
    /// The cap that the case must fit under; usually given for a new one only.
    pub cap: Option<Cap>,
    /// The case's records leave the ledger; whoever says so has archived them
    /// and read them back. Its entry, version, head and key stay, and it may
    /// be appended to again. Only without records, and only of an ended case.
    pub trim: bool,
}

/// What became of an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// Written.
    Done,
    /// These very records already stand there: ours, repeated. So is a trim
    /// of what is trimmed already; neither changes anything.
    Ours,
    /// Somebody was faster; these records were missed. Nothing was written.
    Conflict {
        /// The records after `expected`.
        missed: Vec<Record>,
    },
    /// The case ends before `expected`, or its hash there is another: history
    /// was lost or changed. Nothing was written.
    Gap {
        /// The last version that there is.
        version: u64,
    },
    /// Another open case claims the subject. Nothing was written.
    Claimed {
        /// That case.
        by: CaseId,
    },
    /// The tenant's cap is reached. Nothing was written.
    Capped {
        /// How many others were opened since.
        count: u32,
    },
    /// Somebody was faster, and what was missed has left the ledger since:
    /// read the case, and its archive. Nothing was written.
    Trimmed {
        /// The records up to this version have left.
        to: u64,
    },
}

/// A case's history.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct History {
    /// Its records in order, from the version asked for.
    pub records: Vec<Record>,
    /// The salt of its key; none if the case is unknown or its key destroyed.
    pub salt: Option<[u8; 32]>,
    /// The records up to this version have left the ledger: look for them in
    /// the archive. None: all are here.
    pub trimmed: Option<u64>,
}

/// A case that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub case: CaseId,
    /// At which version that was written.
    pub version: u64,
    /// When and why.
    pub wake: Wake,
}

/// Which cases to list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Of this tenant; none: of all (an operator's view).
    pub tenant: Option<TenantId>,
    /// Of the tenants of this shard; none: of all.
    pub shard: Option<Shard>,
    /// Only those whose life is not over.
    pub open_only: bool,
    /// After this case, in the order of ids.
    pub after: Option<(TenantId, CaseId)>,
    /// At most this many.
    pub limit: usize,
}

/// A tenant's gates: what no single case holds. Each is a name and the time
/// until which it is shut (`hold/m365`, `pause`, `pause/m365`, `pause/m365/device.wipe`).
pub type Gates = std::collections::BTreeMap<String, Timestamp>;

/// One change of a tenant's gates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateChange {
    /// Which gate.
    pub name: String,
    /// Shut until then, or for as long as it is shut already if that is longer;
    /// none opens it.
    pub until: Option<Timestamp>,
}

/// What went wrong with the ledger itself.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// It did not answer, or not in time: the outcome is unknown; repeat the
    /// same append, which is then recognised as ours.
    #[error(
        "failed to {attempted}: the ledger did not answer ({detail}); nothing is lost, the same call may be repeated"
    )]
    Unavailable {
        /// What was attempted.
        attempted: &'static str,
        /// What came back.
        detail: String,
    },
    /// Another process has it open.
    #[error("failed to open the ledger: {detail}")]
    Held {
        /// Which file, and who has it.
        detail: String,
    },
    /// It holds what it must not, or refuses what it must take.
    #[error("failed to {attempted}: {detail}")]
    Broken {
        /// What was attempted.
        attempted: &'static str,
        /// What was found.
        detail: String,
    },
}

/// The seam. Eight methods; the laws stand at the head of the module.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// The records of a case from `from` (1 is the first), and its salt. An
    /// unknown case has no records; a trimmed one only those that came after.
    async fn read(&self, tenant: &TenantId, case: CaseId, from: u64) -> Result<History, LedgerError>;

    /// Appends, or says why not.
    async fn append(&self, append: Append) -> Result<Appended, LedgerError>;

    /// Cases of `shard` (of `shards`) that are due at `now`, the earliest
    /// first (then by case id), at most `limit`; with the time of the first
    /// wake-up that is not among them, which is not after `now` when `limit`
    /// cut the answer short.
    async fn due(
        &self,
        shard: Shard,
        now: Timestamp,
        limit: usize,
    ) -> Result<(Vec<Due>, Option<Timestamp>), LedgerError>;

    /// Index entries, in the order of tenant and case id.
    async fn list(&self, filter: Filter) -> Result<Vec<IndexEntry>, LedgerError>;

    /// The tenant's gates, after applying `changes` one after the other: a gate
    /// that is opened and then shut is shut until then, however long it was
    /// shut before.
    async fn gates(&self, tenant: &TenantId, changes: Vec<GateChange>) -> Result<Gates, LedgerError>;

    /// The same, if `gate` is shut until exactly then; otherwise nothing is changed, and
    /// there is no answer. Whoever decides by what he has read learns so whether it still
    /// holds: those who change it open that gate with it.
    async fn gates_while(
        &self,
        tenant: &TenantId,
        gate: &str,
        until: Timestamp,
        changes: Vec<GateChange>,
    ) -> Result<Option<Gates>, LedgerError>;

    /// Owns a shard until then, if nobody else does (or renews it; a time in
    /// the past gives it up). Returns who owns it; empty when nobody does.
    /// Both times are the caller's: whose clock is wrong holds a shard for
    /// too long or too short, and history is safe all the same.
    async fn own(&self, shard: Shard, owner: &str, now: Timestamp, until: Timestamp) -> Result<String, LedgerError>;

    /// Whether an append would be taken now, as far as that can be told without one: a
    /// server may answer who reads and refuse who writes. Changes nothing.
    async fn ready(&self) -> Result<(), LedgerError> {
        Ok(())
    }
}

/// One of a number of shards; a tenant belongs to one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard {
    /// Which, from 0.
    pub index: u16,
    /// Of how many.
    pub of: u16,
}

impl Shard {
    /// The only shard of an embedded installation.
    pub const ALL: Self = Self { index: 0, of: 1 };

    /// The shard of a tenant.
    #[must_use]
    pub fn of_tenant(tenant: &TenantId, of: u16) -> Self {
        Self {
            index: tenant.shard(of),
            of,
        }
    }

    /// Whether a tenant belongs to it.
    #[must_use]
    pub fn holds(self, tenant: &TenantId) -> bool {
        Self::of_tenant(tenant, self.of) == self
    }
}
