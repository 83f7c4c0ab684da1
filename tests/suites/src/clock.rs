//! The paused clock, which notices when nobody lets time pass.

use crate::audit::Auditor;
use crate::invariant::Invariant;
use async_trait::async_trait;
use offboard_domain::Timestamp;
use offboard_runtime::{Clock, TokioClock};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// The clock of one machine among others: wrong by so much, and from a moment on by so
/// much else, as one is that was set.
pub(crate) struct MachinesClock {
    pub(crate) right: Arc<dyn Clock>,
    /// In milliseconds, as is what it is set to.
    pub(crate) wrong_by: i64,
    /// When it is set, by the clock that is right.
    pub(crate) set: Option<(Timestamp, i64)>,
}

impl MachinesClock {
    fn wrong_by_at(&self, right: Timestamp) -> i64 {
        match self.set {
            Some((at, by)) if at <= right => by,
            _ => self.wrong_by,
        }
    }
}

#[async_trait]
impl Clock for MachinesClock {
    fn now(&self) -> Timestamp {
        let right = self.right.now();
        right.plus(self.wrong_by_at(right))
    }

    async fn sleep_until(&self, t: Timestamp) {
        loop {
            let right = self.right.now();
            let wake = t.plus(-self.wrong_by_at(right));
            match self.set {
                // What it is woken by changes meanwhile.
                Some((at, _)) if right < at && at < wake => self.right.sleep_until(at).await,
                _ => return self.right.sleep_until(wake).await,
            }
        }
    }

    fn real(&self, ms: i64) -> Duration {
        self.right.real(ms)
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcript::EPOCH;

    const SECOND_MS: i64 = 1_000;

    fn at(seconds: i64) -> Timestamp {
        EPOCH.plus(seconds * SECOND_MS)
    }

    /// When somebody wakes for real who sleeps until this, by a clock that is set after a
    /// minute.
    fn wakes(until: Timestamp, wrong_by: i64, then_by: i64) -> (Timestamp, Timestamp) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime of one thread needs nothing from outside");
        runtime.block_on(async {
            let right: Arc<dyn Clock> = Arc::new(TokioClock::new(EPOCH));
            let clock = MachinesClock {
                right: right.clone(),
                wrong_by: wrong_by * SECOND_MS,
                set: Some((at(60), then_by * SECOND_MS)),
            };
            clock.sleep_until(until).await;
            (right.now(), clock.now())
        })
    }

    #[test]
    fn whoever_sleeps_wakes_by_the_clock_as_it_was_set() {
        assert_eq!(wakes(at(65), 10, -10), (at(55), at(65)), "before it is set");
        assert_eq!(wakes(at(75), 10, -10), (at(85), at(75)), "it was set back");
        assert_eq!(wakes(at(65), -10, 10), (at(60), at(70)), "it was set past the time");
    }
}
