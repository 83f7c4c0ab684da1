//! What a worker stands on before a simulated vendor: the one system that it serves, and a
//! clock that nobody waits for.

use async_trait::async_trait;
use offboard_connectors::Connector;
use offboard_domain::{System, TenantId, Timestamp};
use offboard_runtime::Clock;
use offboard_workers::Connectors;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Every tenant's, and the only one.
pub(crate) struct One(pub(crate) Arc<dyn Connector>);

impl Connectors for One {
    fn get(&self, _tenant: &TenantId, system: &System) -> Option<Arc<dyn Connector>> {
        (self.0.system() == system).then(|| Arc::clone(&self.0))
    }
}

/// Time that passes when it is told to, or slept through.
#[derive(Debug)]
pub(crate) struct Told(AtomicI64);

impl Told {
    pub(crate) fn at(ms: i64) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(ms)))
    }

    pub(crate) fn pass(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

#[async_trait]
impl Clock for Told {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }

    async fn sleep_until(&self, t: Timestamp) {
        self.0.fetch_max(t.0, Ordering::SeqCst);
    }

    fn real(&self, ms: i64) -> Duration {
        Duration::from_millis(u64::try_from(ms).unwrap_or(0))
    }
}
