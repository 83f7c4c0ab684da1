//! The paused clock, which notices when nobody lets time pass.

use crate::audit::Auditor;
use crate::invariant::Invariant;
use async_trait::async_trait;
use offboard_domain::Timestamp;
use offboard_runtime::{Clock, TokioClock};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// How often the time may be read at one moment; beyond it something spins.
const MOST_READS_AT_ONCE: u64 = 100_000;

/// The clock of a simulation.
pub(crate) struct WatchedClock {
    inner: TokioClock,
    auditor: Arc<Auditor>,
    last: AtomicI64,
    reads: AtomicU64,
}

impl WatchedClock {
    pub(crate) fn new(base: Timestamp, auditor: Arc<Auditor>) -> Arc<Self> {
        Arc::new(Self {
            inner: TokioClock::new(base),
            auditor,
            last: AtomicI64::new(0),
            reads: AtomicU64::new(0),
        })
    }
}

#[async_trait]
impl Clock for WatchedClock {
    fn now(&self) -> Timestamp {
        let now = self.inner.now();
        if self.last.swap(now.0, Ordering::Relaxed) != now.0 {
            self.reads.store(0, Ordering::Relaxed);
        } else if self.reads.fetch_add(1, Ordering::Relaxed) == MOST_READS_AT_ONCE {
            self.auditor.violated(
                Invariant::WakeMovesForward,
                format!("the time was read {MOST_READS_AT_ONCE} times at {now}"),
            );
            // Nothing else would end a task that spins on one thread.
            panic!("something spins at {now}");
        }
        now
    }

    async fn sleep_until(&self, t: Timestamp) {
        self.inner.sleep_until(t).await;
    }

    fn real(&self, ms: i64) -> Duration {
        self.inner.real(ms)
    }
}
