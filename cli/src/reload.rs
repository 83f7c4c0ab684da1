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
    /// All of the process.
    engines: Vec<Arc<Engine>>,
    /// The one that orders: how much may be in flight is for it alone.
    ordering: Option<Arc<Engine>>,
}

impl Reloaded {
    /// These systems, until others replace them.
    #[must_use]
    pub fn new(systems: Arc<Systems>) -> Self {
        Self {
            systems: Arc::new(RwLock::new(systems)),
            engines: Vec::new(),
            ordering: None,
        }
    }

    /// Also this engine is told.
    pub fn tell(&mut self, engine: &Arc<Engine>) {
        self.engines.push(engine.clone());
    }

    /// Also this one, which orders.
    pub fn tell_who_orders(&mut self, engine: &Arc<Engine>) {
        self.tell(engine);
        self.ordering = Some(engine.clone());
    }

    /// From now on these.
    pub fn replace(&self, systems: Arc<Systems>, tenants: &Tenants, limits: &Limits) {
        *self.systems.write().unwrap_or_else(PoisonError::into_inner) = systems;
        for engine in &self.engines {
            engine.reconfigure(tenants);
        }
        if let Some(engine) = &self.ordering {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends;
    use offboard_dispatcher::Parts;
    use offboard_dispatcher::gates::{Paused, WITHOUT_END};
    use offboard_dispatcher::tenants::Terms;
    use offboard_domain::{Capabilities, Policy};
    use offboard_ledger::MemoryLedger;
    use offboard_runtime::keys::DispatchKey;
    use offboard_runtime::{Clock, SystemClock};
    use offboard_store::Store;
    use std::collections::BTreeMap;

    #[tokio::test]
    async fn every_engine_of_the_process_hears_of_a_tenant_that_is_added() {
        let folder = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let engine = || {
            Engine::new(Parts {
                ledger: MemoryLedger::new(),
                queue: backends::local(&clock),
                store: Store::folder(folder.path()).unwrap(),
                clock: clock.clone(),
                tenants: Tenants::default(),
                master: [7; 32],
                entropy: Arc::new(|| [7_u8; 32]),
                limits: Limits::none(),
                dispatch: DispatchKey::ephemeral().unwrap(),
                shards: 1,
                keeping: None,
            })
        };
        // As in a process that dispatches and closes.
        let (orders, closes) = (engine(), engine());
        let mut reloaded = Reloaded::new(Arc::default());
        reloaded.tell_who_orders(&orders);
        reloaded.tell(&closes);
        let acme = TenantId::new("acme").unwrap();
        let terms = Terms {
            policy: Arc::new(Policy::default()),
            capabilities: Arc::new(Capabilities::default()),
            weight: 1,
            sites: BTreeMap::new(),
        };
        let tenants = Tenants::new(BTreeMap::from([(acme.clone(), terms)]));
        reloaded.replace(Arc::default(), &tenants, &Limits::each(4));
        for engine in [orders, closes] {
            // One that is not known is not paused.
            engine
                .pause(&acme, &Paused::default(), WITHOUT_END, None)
                .await
                .unwrap();
        }
    }
}
