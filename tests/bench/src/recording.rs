//! A ledger that passes everything on and remembers what was appended, so that
//! the bare run can write the very same bytes.

use async_trait::async_trait;
use offboard_domain::{CaseId, TenantId, Timestamp};
use offboard_ledger::{
    Append, Appended, Due, Filter, GateChange, Gates, History, IndexEntry, Ledger, LedgerError, Shard, SqliteLedger,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The recording ledger.
pub(crate) struct Recording {
    inner: Arc<SqliteLedger>,
    appended: Mutex<Vec<Append>>,
}

impl Recording {
    /// Over this one.
    pub(crate) fn over(inner: Arc<SqliteLedger>) -> Self {
        Self {
            inner,
            appended: Mutex::new(Vec::new()),
        }
    }

    /// What was appended, in order.
    pub(crate) fn appended(&self) -> Vec<Append> {
        self.appended.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many tasks were settled in all.
    pub(crate) fn settled(&self) -> u64 {
        let appended = self.appended.lock().unwrap_or_else(PoisonError::into_inner);
        let last: BTreeMap<CaseId, u32> = appended.iter().map(|a| (a.index.case, a.index.settled)).collect();
        last.values().map(|n| u64::from(*n)).sum()
    }
}

#[async_trait]
impl Ledger for Recording {
    async fn read(&self, tenant: &TenantId, case: CaseId, from: u64) -> Result<History, LedgerError> {
        self.inner.read(tenant, case, from).await
    }

    async fn append(&self, append: Append) -> Result<Appended, LedgerError> {
        let kept = append.clone();
        let outcome = self.inner.append(append).await?;
        if outcome == Appended::Done {
            self.appended.lock().unwrap_or_else(PoisonError::into_inner).push(kept);
        }
        Ok(outcome)
    }

    async fn due(
        &self,
        shard: Shard,
        now: Timestamp,
        limit: usize,
    ) -> Result<(Vec<Due>, Option<Timestamp>), LedgerError> {
        self.inner.due(shard, now, limit).await
    }

    async fn list(&self, filter: Filter) -> Result<Vec<IndexEntry>, LedgerError> {
        self.inner.list(filter).await
    }

    async fn gates(&self, tenant: &TenantId, changes: Vec<GateChange>) -> Result<Gates, LedgerError> {
        self.inner.gates(tenant, changes).await
    }

    async fn gates_while(
        &self,
        tenant: &TenantId,
        gate: &str,
        until: Timestamp,
        changes: Vec<GateChange>,
    ) -> Result<Option<Gates>, LedgerError> {
        self.inner.gates_while(tenant, gate, until, changes).await
    }

    async fn own(&self, shard: Shard, owner: &str, now: Timestamp, until: Timestamp) -> Result<String, LedgerError> {
        self.inner.own(shard, owner, now, until).await
    }
}
