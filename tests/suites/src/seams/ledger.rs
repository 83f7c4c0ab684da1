//! The ledger, which sometimes does not answer: before it has written, or after.

use crate::audit::Auditor;
use crate::trouble::{Fate, Trouble};
use async_trait::async_trait;
use offboard_domain::{CaseId, TenantId, Timestamp, leaving};
use offboard_ledger::{
    Append, Appended, Claim, Due, Filter, GateChange, Gates, History, IndexEntry, Ledger, LedgerError, MemoryLedger,
    Shard,
};
use std::sync::Arc;

/// One process's access to the ledger. What is truly written goes past the auditor.
pub(crate) struct FaultyLedger {
    pub(crate) inner: Arc<MemoryLedger>,
    pub(crate) auditor: Arc<Auditor>,
    pub(crate) trouble: Arc<Trouble>,
    /// Broken on purpose: see [`Broken::NewCasesAreLost`](crate::Broken).
    pub(crate) loses_new_cases: bool,
    /// Broken on purpose: see [`Broken::NobodyKnowsWhoLeaves`](crate::Broken).
    pub(crate) forgets_who_leaves: bool,
    /// Broken on purpose: see [`Broken::ClaimsAreAnothers`](crate::Broken).
    pub(crate) claims_are_anothers: bool,
}

fn silent(attempted: &'static str) -> LedgerError {
    LedgerError::Unavailable {
        attempted,
        detail: "simulated".into(),
    }
}

impl FaultyLedger {
    async fn read_only<T, F: Future<Output = Result<T, LedgerError>> + Send>(
        &self,
        what: &'static str,
        call: F,
    ) -> Result<T, LedgerError> {
        self.auditor.ledger_call(self.trouble.now());
        match self.trouble.meet(what).await {
            Fate::Answered => call.await,
            Fate::FailsBefore | Fate::FailsAfter => Err(silent(what)),
            Fate::DiesBefore | Fate::DiesAfter => self.trouble.die().await,
        }
    }
}

#[async_trait]
impl Ledger for FaultyLedger {
    async fn read(&self, tenant: &TenantId, case: CaseId, from: u64) -> Result<History, LedgerError> {
        self.read_only("read a case", self.inner.read(tenant, case, from)).await
    }

    async fn append(&self, append: Append) -> Result<Appended, LedgerError> {
        const WHAT: &str = "append";
        self.auditor.ledger_call(self.trouble.now());
        let fate = self.trouble.meet(WHAT).await;
        match fate {
            Fate::FailsBefore => return Err(silent(WHAT)),
            Fate::DiesBefore => self.trouble.die().await,
            Fate::Answered | Fate::FailsAfter | Fate::DiesAfter => {}
        }
        if self.loses_new_cases && append.expected == 0 {
            return Ok(Appended::Done);
        }
        if self.claims_are_anothers
            && matches!(append.claim, Claim::Take(_))
            && let Some(by) = self.auditor.another_under_way(&append.index.tenant, append.index.case)
        {
            return Ok(Appended::Claimed { by });
        }
        let appended = self.inner.append(append.clone()).await?;
        match &appended {
            Appended::Done => self.auditor.appended(self.trouble.now(), &append),
            other => self.trouble.note(&format!(
                "append of {} at {}: {}",
                append.index.case,
                append.expected,
                word(other)
            )),
        }
        match fate {
            Fate::FailsAfter => Err(silent(WHAT)),
            Fate::DiesAfter => self.trouble.die().await,
            Fate::Answered | Fate::FailsBefore | Fate::DiesBefore => Ok(appended),
        }
    }

    async fn due(
        &self,
        shard: Shard,
        now: Timestamp,
        limit: usize,
    ) -> Result<(Vec<Due>, Option<Timestamp>), LedgerError> {
        self.read_only("ask what is due", self.inner.due(shard, now, limit))
            .await
    }

    async fn list(&self, filter: Filter) -> Result<Vec<IndexEntry>, LedgerError> {
        self.read_only("list cases", self.inner.list(filter)).await
    }

    async fn gates(&self, tenant: &TenantId, mut changes: Vec<GateChange>) -> Result<Gates, LedgerError> {
        changes.retain(|change| !self.forgets_who_leaves || !change.name.starts_with(leaving::MARK));
        self.read_only("use the gates", self.inner.gates(tenant, changes)).await
    }

    async fn gates_while(
        &self,
        tenant: &TenantId,
        gate: &str,
        until: Timestamp,
        mut changes: Vec<GateChange>,
    ) -> Result<Option<Gates>, LedgerError> {
        changes.retain(|change| !self.forgets_who_leaves || !change.name.starts_with(leaving::MARK));
        let changing = self.inner.gates_while(tenant, gate, until, changes);
        self.read_only("use the gates", changing).await
    }

    async fn own(&self, shard: Shard, owner: &str, now: Timestamp, until: Timestamp) -> Result<String, LedgerError> {
        self.read_only("own a shard", self.inner.own(shard, owner, now, until))
            .await
    }
}

fn word(appended: &Appended) -> &'static str {
    match appended {
        Appended::Done => "done",
        Appended::Ours => "ours already",
        Appended::Conflict { .. } => "somebody was faster",
        Appended::Gap { .. } => "history is missing",
        Appended::Claimed { .. } => "the subject is claimed",
        Appended::Capped { .. } => "the cap is reached",
        Appended::Trimmed { .. } => "history was archived",
    }
}
