//! The seams, wrapped in faults.

mod ledger;
mod queue;
mod store;

pub(crate) use ledger::FaultyLedger;
pub(crate) use queue::{Broker, FaultyQueue};
pub(crate) use store::FaultyStore;
