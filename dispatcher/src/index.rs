//! What the ledger's index keeps of a case.

use crate::engine::Engine;
use offboard_domain::{Case, Credit, Digest, Gates, TenantId, Timestamp, Wake, WakeReason, next};
use offboard_ledger::IndexEntry;

impl Engine {
    /// What the ledger's index keeps of a case as it stands at `now`. Whoever does not own
    /// it lets the owner find it before all others.
    pub(crate) fn index_of(
        &self,
        tenant: &TenantId,
        case: &Case,
        version: u64,
        head: Digest,
        gates: &Gates,
        now: Timestamp,
    ) -> IndexEntry {
        let mut index = index_entry(tenant, case, version, head, gates, now);
        if !self.owns(tenant) {
            index.wake = Some(Wake::APPENDED);
        } else if index.wake.is_none() {
            let why = WakeReason::Archive;
            index.wake = self.archive_at(case).map(|at| Wake { at, why });
        }
        index
    }
}

/// What the ledger's index keeps of a case that its reader owns.
pub(crate) fn index_entry(
    tenant: &TenantId,
    case: &Case,
    version: u64,
    head: Digest,
    gates: &Gates,
    now: Timestamp,
) -> IndexEntry {
    let open = Gates {
        credit: Credit::UNLIMITED,
        ..gates.clone()
    };
    let next = next(case, now, &open);
    let (settled, tasks) = case.progress();
    IndexEntry {
        tenant: tenant.clone(),
        case: case.id,
        version,
        head,
        state: case.state.word().to_owned(),
        ended: case.is_over(),
        needs_person: next.needs_person,
        urgent: case.urgent(),
        wake: next.wake,
        opened_at: case.opened_at,
        updated_at: case.changed_at,
        settled,
        tasks,
    }
}
