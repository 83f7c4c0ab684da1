//! The laws at the head of the crate, one function each (a second where a law
//! has two sides). Each begins with an empty ledger.

mod history;
mod tenants;
mod trim;

pub(crate) use history::*;
pub(crate) use tenants::*;
pub(crate) use trim::*;

use crate::pen::Pen;
use offboard_domain::{Record, Timestamp};
use offboard_ledger::{Appended, Due, Filter, IndexEntry, Ledger, LedgerError, Shard};

pub(crate) const ALL: Filter = Filter {
    tenant: None,
    shard: None,
    open_only: false,
    after: None,
    limit: 1_000,
};

/// All that can be seen of a ledger.
pub(super) async fn everything(ledger: &dyn Ledger, pens: &[&Pen]) -> (Vec<IndexEntry>, Vec<Due>, Vec<Vec<Record>>) {
    let mut histories = Vec::new();
    for pen in pens {
        histories.push(pen.history(ledger).await);
    }
    let due = ledger.due(Shard::ALL, Timestamp(i64::MAX), 1_000).await.unwrap().0;
    (ledger.list(ALL).await.unwrap(), due, histories)
}

pub(super) fn is_broken(result: Result<Appended, LedgerError>) -> bool {
    matches!(result, Err(LedgerError::Broken { .. }))
}
