//! Writes well-formed appends, so that a law says only what it is about.

use offboard_domain::{CaseId, Digest, Record, TenantId, Timestamp, Wake, WakeReason};
use offboard_ledger::{Append, Appended, Claim, IndexEntry, KeyChange, Ledger};

pub(crate) const NOON: Timestamp = Timestamp(1_800_000_000_000);

pub(crate) fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

pub(crate) fn wake(at: Timestamp) -> Option<Wake> {
    Some(Wake {
        at,
        why: WakeReason::Retry,
    })
}

/// A writer of one case, and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Pen {
    pub(crate) tenant: TenantId,
    pub(crate) case: CaseId,
    pub(crate) version: u64,
    pub(crate) head: Digest,
}

impl Pen {
    pub(crate) fn new(tenant_name: &str, reference: &str) -> Self {
        let tenant = tenant(tenant_name);
        let case = CaseId::derive(&tenant, reference);
        Self {
            tenant,
            case,
            version: 0,
            head: Digest::ZERO,
        }
    }

    /// An append of that many records whose bodies say `text`.
    pub(crate) fn draft(&self, records: usize, text: &str) -> Append {
        let bodies = (0..records).map(|i| format!("{text}, {i} of {}", self.case).into_bytes());
        self.draft_of(bodies.collect())
    }

    pub(crate) fn draft_of(&self, bodies: Vec<Vec<u8>>) -> Append {
        let mut records: Vec<Record> = Vec::new();
        let (mut version, mut head) = (self.version, self.head);
        for body in bodies {
            version += 1;
            let record = Record::chained(version, head, body);
            head = record.hash;
            records.push(record);
        }
        let index = IndexEntry {
            tenant: self.tenant.clone(),
            case: self.case,
            version,
            head,
            state: "active".to_owned(),
            ended: false,
            needs_person: false,
            urgent: false,
            wake: None,
            opened_at: NOON,
            updated_at: NOON,
            settled: 0,
            tasks: 0,
        };
        Append {
            expected: self.version,
            prev: self.head,
            records,
            index,
            key: KeyChange::Keep,
            claim: Claim::Keep,
            cap: None,
            trim: false,
        }
    }

    /// Stands where the append ends.
    pub(crate) fn after(&mut self, append: &Append) {
        (self.version, self.head) = (append.index.version, append.index.head);
    }

    /// Appends, must succeed, and stands there.
    pub(crate) async fn write(&mut self, ledger: &dyn Ledger, append: Append) -> Append {
        assert_eq!(ledger.append(append.clone()).await.unwrap(), Appended::Done);
        self.after(&append);
        append
    }

    pub(crate) async fn history(&self, ledger: &dyn Ledger) -> Vec<Record> {
        ledger.read(&self.tenant, self.case, 1).await.unwrap().records
    }
}
