//! The one way to read the time outside the domain.
//!
//! Engine time is what the ledger, the wake-ups and every record use. It may
//! run faster than the real time ([`ScaledClock`]: the demonstration) or be
//! the paused time of a simulation ([`TokioClock`]). What limits a wait on the
//! network is real time; [`Clock::real`] turns one into the other.

use async_trait::async_trait;
use offboard_domain::Timestamp;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// Longest single wait on the timer: after it the clock is read again, so that
/// a wall clock that was set, or a machine that slept, is noticed within a minute.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Engine time.
#[async_trait]
pub trait Clock: Send + Sync {
    /// What time it is.
    fn now(&self) -> Timestamp;

    /// Waits until it is `t` or later; returns at once if it already is.
    async fn sleep_until(&self, t: Timestamp);

    /// How long this many milliseconds of engine time last for real; negative
    /// ones last no time.
    fn real(&self, ms: i64) -> Duration;
}

fn non_negative(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

async fn wait(clock: &(impl Clock + ?Sized), t: Timestamp) {
    loop {
        let left_ms = t.since(clock.now());
        if left_ms <= 0 {
            return;
        }
        // Never zero: a fraction of a millisecond must not spin.
        let pause = clock.real(left_ms).clamp(Duration::from_millis(1), LOOK_AGAIN);
        tokio::time::sleep(pause).await;
    }
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

fn system_now() -> Timestamp {
    let ms = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
    };
    Timestamp(ms)
}

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        system_now()
    }

    async fn sleep_until(&self, t: Timestamp) {
        wait(self, t).await;
    }

    fn real(&self, ms: i64) -> Duration {
        non_negative(ms)
    }
}

/// Another clock, wrong by so many milliseconds: a machine among others in a
/// simulation.
pub struct SkewedClock(pub Arc<dyn Clock>, pub i64);

#[async_trait]
impl Clock for SkewedClock {
    fn now(&self) -> Timestamp {
        self.0.now().plus(self.1)
    }

    async fn sleep_until(&self, t: Timestamp) {
        self.0.sleep_until(t.plus(-self.1)).await;
    }

    fn real(&self, ms: i64) -> Duration {
        self.0.real(ms)
    }
}

/// A clock that starts at some time and runs `scale` times as fast as the real one.
#[derive(Debug, Clone, Copy)]
pub struct ScaledClock {
    base: Timestamp,
    started: Instant,
    scale: u32,
}

impl ScaledClock {
    /// A clock that says `base` now; a `scale` of 0 counts as 1.
    #[must_use]
    pub fn new(base: Timestamp, scale: u32) -> Self {
        Self {
            base,
            started: Instant::now(),
            scale: scale.max(1),
        }
    }

    /// A clock that says the machine's time now.
    #[must_use]
    pub fn from_now(scale: u32) -> Self {
        Self::new(system_now(), scale)
    }

    /// How many times as fast it runs.
    #[must_use]
    pub fn scale(&self) -> u32 {
        self.scale
    }
}

#[async_trait]
impl Clock for ScaledClock {
    fn now(&self) -> Timestamp {
        let scaled_us = self
            .started
            .elapsed()
            .as_micros()
            .saturating_mul(u128::from(self.scale));
        self.base.plus(i64::try_from(scaled_us / 1_000).unwrap_or(i64::MAX))
    }

    async fn sleep_until(&self, t: Timestamp) {
        wait(self, t).await;
    }

    fn real(&self, ms: i64) -> Duration {
        non_negative(ms) / self.scale
    }
}

/// A base plus the runtime's own elapsed time: with the runtime paused it moves
/// only when everything waits, which is how the simulation sees years go by.
#[derive(Debug, Clone, Copy)]
pub struct TokioClock {
    base: Timestamp,
    started: Instant,
}

impl TokioClock {
    /// A clock that says `base` now.
    #[must_use]
    pub fn new(base: Timestamp) -> Self {
        Self {
            base,
            started: Instant::now(),
        }
    }
}

#[async_trait]
impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        self.base
            .plus(i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX))
    }

    async fn sleep_until(&self, t: Timestamp) {
        wait(self, t).await;
    }

    fn real(&self, ms: i64) -> Duration {
        non_negative(ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn paused_time_moves_by_what_is_slept() {
        let clock = TokioClock::new(Timestamp(1_000));
        clock.sleep_until(Timestamp(86_401_000)).await;
        assert_eq!(clock.now(), Timestamp(86_401_000));
        clock.sleep_until(Timestamp(0)).await;
        assert_eq!(clock.now(), Timestamp(86_401_000));
    }

    #[tokio::test(start_paused = true)]
    async fn a_scaled_clock_runs_ahead() {
        let clock = ScaledClock::new(Timestamp(0), 600);
        assert_eq!(clock.real(60_000), Duration::from_millis(100));
        let real = Instant::now();
        clock.sleep_until(Timestamp(60_000)).await;
        assert!(clock.now() >= Timestamp(60_000));
        assert!(real.elapsed() < Duration::from_millis(200), "{:?}", real.elapsed());
    }

    #[test]
    fn negative_waits_last_no_time() {
        assert_eq!(SystemClock.real(-5), Duration::ZERO);
    }
}
