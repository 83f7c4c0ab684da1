//! The ledger on Redis: one server, a cluster, or what sentinels watch.
//!
//! A tenant belongs to one of a fixed number of shards, and all of a shard
//! stands under one hash tag. An append is one script and one round trip: the
//! version and the previous hash are checked, and records, index entry,
//! wake-up, lists, claim, cap and key change together or not at all. Scripts
//! and not functions, because managed stores do not all have these, and
//! called by digest, so that two versions of the program run side by side; a
//! store that has forgotten one (a restart, a failover) is sent it whole.
//!
//! A case's records are a list, not a stream: the bytes come back as they
//! were either way, and a list takes less memory for them.
//!
//! What is promised depends on the store's settings and is said when the
//! ledger is opened ([`RedisStanding`]). It knows no time but what it is
//! given, and never cuts an answer short.

mod acl;
mod address;
mod answer;
mod append;
mod connect;
mod failure;
mod installation;
mod keys;
mod link;
mod merge;
mod options;
mod query;
mod row;
mod script;
mod standing;

pub use acl::{RedisRole, SENTINEL_RULES, acl_rules};
pub use address::{InvalidAddress, RedisAddress};
pub use options::{Credentials, DEFAULT_PREFIX, DEFAULT_SHARDS, RedisOptions, TlsFiles};
pub use standing::{Finding, RedisStanding};

use crate::check::{APPEND, broken, well_formed};
use crate::{Append, Appended, Due, Filter, GateChange, Gates, History, IndexEntry, Ledger, LedgerError, Shard};
use async_trait::async_trait;
use keys::ShardKeys;
use link::Link;
use offboard_domain::{CaseId, TenantId, Timestamp};
use redis::Value;
use row::Damage;
use script::{Call, OWN, RIGHTS};
use std::sync::Arc;

const OPEN: &str = "open the ledger";
const TRY: &str = "try whether the ledger can be written";
const READ: &str = "read a case from the ledger";
const DUE: &str = "read what is due from the ledger";
const LIST: &str = "list the ledger's cases";
const GATES: &str = "use a tenant's gates";
const OWN_SHARD: &str = "own a shard";

/// The Redis backend. It needs a tokio runtime, from when it is opened until
/// it is dropped.
#[derive(Debug)]
pub struct RedisLedger {
    link: Link,
    shards: Vec<ShardKeys>,
}

impl RedisLedger {
    /// Opens the ledger, and says how the store stands.
    ///
    /// # Errors
    /// [`LedgerError`] when the store cannot be reached, when its settings
    /// would lose history ([`RedisStanding::refused`]), when the user lacks a
    /// right, or when the installation has another number of shards.
    pub async fn open(options: RedisOptions) -> Result<(Arc<Self>, RedisStanding), LedgerError> {
        if let Some(why) = options.wrong() {
            return Err(broken(OPEN, why));
        }
        let standing = RedisStanding::look(&options).await?;
        if let Some(why) = standing.refused() {
            return Err(broken(OPEN, format!("{}: {why}", options.at)));
        }
        let options = Arc::new(options);
        let link = Link::open(Arc::clone(&options)).await?;
        let shards = (0..options.shards)
            .map(|n| ShardKeys::new(&options.prefix, n))
            .collect();
        let ledger = Self { link, shards };
        ledger.must_have_rights(OPEN).await?;
        let standing = ledger.settle(&options, standing).await?;
        Ok((Arc::new(ledger), standing))
    }

    /// Fails before a script is stopped in its middle; else what was refused that is
    /// not a matter of rights.
    async fn must_have_rights(&self, attempted: &'static str) -> Result<Option<String>, LedgerError> {
        let keys = self.shard(0);
        let call = Call::new(&RIGHTS, &[&keys.trial]);
        let said = self.link.call(attempted, 0, &call).await?;
        let tried = acl::tried(said).map_err(|why| broken(attempted, why))?;
        if tried.lacking.is_empty() {
            return Ok(tried.refused);
        }
        Err(broken(
            attempted,
            format!(
                "Redis: its user lacks rights that every append takes ({}); give it the rules of its role, see \
                 deploy/redis",
                tried.lacking.join(" ")
            ),
        ))
    }

    /// Writes into every shard what the installation is, or compares.
    async fn settle(&self, options: &RedisOptions, mut standing: RedisStanding) -> Result<RedisStanding, LedgerError> {
        let mut new = Vec::new();
        for (n, _) in (0_u16..).zip(&self.shards) {
            let said = self.link.call(OPEN, 0, &installation::call(options, n)).await?;
            let is_new =
                installation::agreed(options, n, said).map_err(|why| broken(OPEN, format!("{}: {why}", options.at)))?;
            new.extend(is_new.then_some(n));
        }
        standing.new_shards(&new, options.shards);
        Ok(standing)
    }

    fn of(&self) -> u16 {
        u16::try_from(self.shards.len()).unwrap_or(u16::MAX)
    }

    fn shard(&self, n: u16) -> &ShardKeys {
        // There is one at least, and no tenant is of a shard that there is not.
        &self.shards[usize::from(n) % self.shards.len()]
    }

    fn shard_of(&self, tenant: &TenantId) -> u16 {
        Shard::of_tenant(tenant, self.of()).index
    }

    async fn call<T>(
        &self,
        attempted: &'static str,
        shard: u16,
        call: &Call,
        read: impl FnOnce(Value) -> Result<T, Damage>,
    ) -> Result<T, LedgerError> {
        let said = self.link.call(attempted, usize::from(shard), call).await?;
        read(said).map_err(|why| broken(attempted, why))
    }
}

#[async_trait]
impl Ledger for RedisLedger {
    async fn read(&self, tenant: &TenantId, case: CaseId, from: u64) -> Result<History, LedgerError> {
        let shard = self.shard_of(tenant);
        let from = from.clamp(1, row::VERSION_MAX);
        let call = query::read_call(self.shard(shard), tenant, case, from);
        self.call(READ, shard, &call, |said| query::history(tenant, case, from, said))
            .await
    }

    async fn append(&self, append: Append) -> Result<Appended, LedgerError> {
        well_formed(&append)?;
        let shard = self.shard_of(&append.index.tenant);
        let call = append::call(self.shard(shard), &append).map_err(|why| broken(APPEND, why))?;
        self.call(APPEND, shard, &call, |said| append::appended(&append, said))
            .await
    }

    async fn due(
        &self,
        shard: Shard,
        now: Timestamp,
        limit: usize,
    ) -> Result<(Vec<Due>, Option<Timestamp>), LedgerError> {
        merge::due(self, shard, now, limit).await
    }

    async fn list(&self, filter: Filter) -> Result<Vec<IndexEntry>, LedgerError> {
        merge::list(self, &filter).await
    }

    async fn gates(&self, tenant: &TenantId, changes: Vec<GateChange>) -> Result<Gates, LedgerError> {
        let shard = self.shard_of(tenant);
        let call = query::gates_call(self.shard(shard), tenant, None, &changes);
        self.call(GATES, shard, &call, query::gates).await
    }

    async fn gates_while(
        &self,
        tenant: &TenantId,
        gate: &str,
        until: Timestamp,
        changes: Vec<GateChange>,
    ) -> Result<Option<Gates>, LedgerError> {
        let shard = self.shard_of(tenant);
        let call = query::gates_call(self.shard(shard), tenant, Some((gate, until)), &changes);
        self.call(GATES, shard, &call, query::gates_if).await
    }

    async fn ready(&self) -> Result<(), LedgerError> {
        match self.must_have_rights(TRY).await? {
            None => Ok(()),
            Some(refused) => Err(LedgerError::Unavailable {
                attempted: TRY,
                detail: format!("Redis: it takes no writes now: {refused}"),
            }),
        }
    }

    async fn own(&self, shard: Shard, owner: &str, now: Timestamp, until: Timestamp) -> Result<String, LedgerError> {
        let keys = self.shard(shard.index);
        let call = Call::new(&OWN, &[&keys.owners])
            .arg(format!("{}/{}", shard.index, shard.of))
            .arg(owner)
            .arg(now.0.to_string())
            .arg(until.0.to_string());
        self.call(OWN_SHARD, shard.index, &call, answer::text).await
    }
}
