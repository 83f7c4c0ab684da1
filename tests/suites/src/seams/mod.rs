//! The seams, wrapped in faults.

mod ledger;
mod queue;

pub(crate) use ledger::FaultyLedger;
pub(crate) use queue::FaultyQueue;
