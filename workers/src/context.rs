//! What an attempt needs besides its assignment.

use offboard_connectors::Connector;
use offboard_domain::{System, TenantId};
use offboard_runtime::Clock;
use offboard_runtime::keys::EscrowMaster;
use offboard_store::Store;
use std::sync::Arc;

/// The systems that this worker can reach.
pub trait Connectors: Send + Sync {
    /// A tenant's system, opened with that tenant's credential; none if this
    /// worker does not serve it.
    fn get(&self, tenant: &TenantId, system: &System) -> Option<Arc<dyn Connector>>;
}

/// What every attempt of a worker shares.
#[derive(Clone)]
pub struct Context {
    /// Where snapshots and escrowed keys are kept.
    pub store: Store,
    /// The tenants' systems.
    pub connectors: Arc<dyn Connectors>,
    /// Seals recovery keys for their tenant; none: this worker keeps none, and
    /// refuses to.
    pub escrow: Option<EscrowMaster>,
    /// Engine time.
    pub clock: Arc<dyn Clock>,
}
