//! Who leaves a tenant, of those who hold roles in it, is remembered beside its
//! gates: what one case may do hangs on who else leaves.
//!
//! It is remembered as soon as a case knows it, so that those who leave together are
//! told of each other. But nothing hangs on that: whatever looks who else administers
//! the tenant is published only after his mark was written and the others' were read
//! with it, in one step of the ledger. So of two, at least one is told of the other,
//! whoever lost a mark, died or was slow. Of whom the case knows no roles there is no
//! mark to write, and the order does not say that he is marked: whoever finds that he
//! administers the tenant all the same writes nothing and says so, and the next order
//! is given with his mark.

use crate::engine::Engine;
use crate::gates::shut_anew;
use offboard_domain::{Assignment, Case, TenantId, Timestamp, leaving};
use offboard_ledger::{GateChange, LedgerError};

impl Engine {
    /// Remembers that somebody leaves, while his case is open.
    pub(crate) async fn remember_leaving(&self, tenant: &TenantId, case: &Case) {
        if let Err(error) = self.mark_leaving(tenant, case).await {
            tracing::warn!(case = %case.id, %error, "failed to remember who leaves; it is written again before it matters, and ends by itself");
        }
    }

    async fn mark_leaving(&self, tenant: &TenantId, case: &Case) -> Result<(), LedgerError> {
        let there = self.shut(tenant).await?;
        let changes = leaving::changes(case, &there, self.clock.now());
        if !changes.is_empty() {
            self.shut_more(tenant, gates(changes)).await?;
        }
        Ok(())
    }

    /// Tells each of a case's assignments that looks who else administers the tenant, or
    /// owns a group, who leaves, too.
    pub(crate) async fn tell_who_leaves(&self, case: &Case, assignments: &mut [Assignment]) -> Result<(), LedgerError> {
        if !assignments.iter().any(Assignment::asks_who_stays) {
            return Ok(());
        }
        let (tenant, now) = (&case.departure.tenant, self.clock.now());
        let own = leaving::marks(case, now);
        let there = if own.is_empty() {
            self.shut(tenant).await?
        } else {
            let written = own.iter().map(|(name, until)| (name.clone(), Some(*until)));
            self.shut_more(tenant, gates(written)).await?
        };
        for assignment in assignments.iter_mut().filter(|a| a.asks_who_stays()) {
            assignment.tell_who_leaves(&there, now);
            assignment.tell_marked(&own);
        }
        Ok(())
    }
}

fn gates(marks: impl IntoIterator<Item = (String, Option<Timestamp>)>) -> Vec<GateChange> {
    // The mark of a case that has ended is to end sooner than it would have.
    let marks = marks.into_iter();
    marks.flat_map(|(name, until)| shut_anew(name, until)).collect()
}
