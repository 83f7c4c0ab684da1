//! Engine time that moves when it is slept, and never by itself.

use async_trait::async_trait;
use offboard_domain::Timestamp;
use offboard_runtime::Clock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

pub(crate) struct VirtualClock(AtomicI64);

impl Default for VirtualClock {
    fn default() -> Self {
        Self(AtomicI64::new(1_800_000_000_000))
    }
}

impl VirtualClock {
    pub(crate) fn to(&self, t: Timestamp) {
        self.0.fetch_max(t.0, Ordering::SeqCst);
    }
}

#[async_trait]
impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }

    async fn sleep_until(&self, t: Timestamp) {
        super::pause().await;
        self.to(t);
    }

    fn real(&self, ms: i64) -> Duration {
        Duration::from_millis(u64::try_from(ms).unwrap_or(0))
    }
}
