//! What the dispatcher needs to know of a tenant when a departure is accepted.

use offboard_domain::{Capabilities, Policy, System, TenantId};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

/// A tenant's terms.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Its policy.
    pub policy: Arc<Policy>,
    /// What its connectors can do.
    pub capabilities: Arc<Capabilities>,
    /// Its weight in fair admission, from 1.
    pub weight: u32,
    /// The systems that are reached only from inside, and the site of each.
    pub sites: BTreeMap<System, String>,
}

/// The tenants that are configured. They can be changed while the engine runs.
#[derive(Debug, Default)]
pub struct Tenants(RwLock<Arc<BTreeMap<TenantId, Terms>>>);

impl Tenants {
    /// These tenants.
    #[must_use]
    pub fn new(tenants: BTreeMap<TenantId, Terms>) -> Self {
        Self(RwLock::new(Arc::new(tenants)))
    }

    /// A tenant's terms.
    #[must_use]
    pub fn get(&self, tenant: &TenantId) -> Option<Terms> {
        self.all().get(tenant).cloned()
    }

    /// All of them, as they are now.
    #[must_use]
    pub fn all(&self) -> Arc<BTreeMap<TenantId, Terms>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A tenant's policy, as it is now.
    #[must_use]
    pub fn policy(&self, tenant: &TenantId) -> Option<Arc<Policy>> {
        self.all().get(tenant).map(|terms| terms.policy.clone())
    }

    /// From now on these. Open cases keep the policy they were accepted under, but for
    /// whoever is protected by now.
    pub fn replace(&self, tenants: BTreeMap<TenantId, Terms>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(tenants);
    }

    /// A tenant's weight in fair admission.
    #[must_use]
    pub fn weight(&self, tenant: &TenantId) -> u32 {
        self.all().get(tenant).map_or(1, |t| t.weight)
    }

    /// The site from which a tenant's system is reached; none: from anywhere.
    #[must_use]
    pub fn site(&self, tenant: &TenantId, system: &System) -> Option<String> {
        self.all().get(tenant)?.sites.get(system).cloned()
    }
}
