//! What the dispatcher needs to know of a tenant when a departure is accepted.

use offboard_domain::{Capabilities, Policy, TenantId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A tenant's terms.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Its policy.
    pub policy: Arc<Policy>,
    /// What its connectors can do.
    pub capabilities: Arc<Capabilities>,
    /// Its weight in fair admission, from 1.
    pub weight: u32,
}

/// The tenants that are configured.
#[derive(Debug, Clone, Default)]
pub struct Tenants(pub BTreeMap<TenantId, Terms>);

impl Tenants {
    /// A tenant's terms.
    #[must_use]
    pub fn get(&self, tenant: &TenantId) -> Option<&Terms> {
        self.0.get(tenant)
    }
}
