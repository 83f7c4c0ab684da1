//! The tenants' systems and terms, and how much may be in flight, replaceable
//! while attempts run: an attempt that has begun keeps the connector that it
//! began with.

use crate::systems::Systems;
use offboard_connectors::Connector;
use offboard_dispatcher::Engine;
use offboard_dispatcher::admission::Limits;
use offboard_dispatcher::tenants::Tenants;
use offboard_domain::{System, TenantId};
use offboard_workers::Connectors;
use std::sync::{Arc, PoisonError, RwLock};

/// The systems as they are configured now.
#[derive(Clone)]
pub struct Reloaded {
    systems: Arc<RwLock<Arc<Systems>>>,
    engine: Option<Arc<Engine>>,
}

impl Reloaded {
    /// These systems, until others replace them.
    #[must_use]
    pub fn new(systems: Arc<Systems>) -> Self {
        Self {
            systems: Arc::new(RwLock::new(systems)),
            engine: None,
        }
    }

    /// Also this engine is told.
    pub fn tell(&mut self, engine: &Arc<Engine>) {
        self.engine = Some(engine.clone());
    }

    /// From now on these.
    pub fn replace(&self, systems: Arc<Systems>, tenants: &Tenants, limits: &Limits) {
        *self.systems.write().unwrap_or_else(PoisonError::into_inner) = systems;
        if let Some(engine) = &self.engine {
            engine.reconfigure(tenants);
            engine.set_limits(limits);
        }
    }
}

impl Connectors for Reloaded {
    fn get(&self, tenant: &TenantId, system: &System) -> Option<Arc<dyn Connector>> {
        let systems = self.systems.read().unwrap_or_else(PoisonError::into_inner).clone();
        systems.get(tenant, system)
    }
}
