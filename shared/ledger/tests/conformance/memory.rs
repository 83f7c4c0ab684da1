//! The in-memory backend; a snapshot stands for what a restart finds.

use crate::backend::{Backend, conformance};
use async_trait::async_trait;
use offboard_domain::{CaseId, TenantId};
use offboard_ledger::{Ledger, MemoryLedger};
use std::sync::Arc;

struct Memory(Arc<MemoryLedger>);

#[async_trait]
impl Backend for Memory {
    async fn fresh() -> Self {
        Self(MemoryLedger::new())
    }

    fn ledger(&self) -> Arc<dyn Ledger> {
        Arc::clone(&self.0) as Arc<dyn Ledger>
    }

    async fn restart(self) -> Self {
        Self(MemoryLedger::from_snapshot(self.0.snapshot()))
    }

    async fn lose_last_append(self, tenant: &TenantId, case: CaseId) -> Self {
        self.0.lose_tail(tenant, case, 1);
        self
    }
}

conformance!(Memory);

#[tokio::test]
async fn a_case_that_lost_all_is_gone_with_its_claim_and_wake() {
    use crate::pen::{NOON, Pen, wake};
    use offboard_ledger::{Appended, Claim, Filter, Shard};

    let ledger = MemoryLedger::new();
    let mut first = Pen::new("acme", "one");
    let mut append = first.draft(1, "opened");
    append.claim = Claim::Take("m365:7".to_owned());
    append.index.wake = wake(NOON);
    first.write(&*ledger, append).await;
    let second = first.draft(1, "second");
    first.write(&*ledger, second).await;

    assert_eq!(ledger.lose_tail(&first.tenant, first.case, 1), 1);
    assert_eq!(ledger.due(Shard::ALL, NOON, 9).await.unwrap().0.len(), 1);
    assert_eq!(ledger.lose_tail(&first.tenant, first.case, 9), 0);
    assert_eq!(ledger.due(Shard::ALL, NOON, 9).await.unwrap(), (Vec::new(), None));
    assert!(
        ledger
            .list(Filter {
                limit: 9,
                ..Filter::default()
            })
            .await
            .unwrap()
            .is_empty()
    );

    let mut append = Pen::new("acme", "two").draft(1, "opened");
    append.claim = Claim::Take("m365:7".to_owned());
    assert_eq!(ledger.append(append).await.unwrap(), Appended::Done);
}

#[tokio::test]
async fn going_back_to_a_snapshot_forgets_what_came_after() {
    use crate::pen::Pen;

    let ledger = MemoryLedger::new();
    let mut pen = Pen::new("acme", "one");
    let opened = pen.draft(1, "opened");
    pen.write(&*ledger, opened.clone()).await;
    let then = ledger.snapshot();
    let later = pen.draft(1, "later");
    pen.write(&*ledger, later).await;
    ledger.restore(then);
    assert_eq!(pen.history(&*ledger).await, opened.records);
}
