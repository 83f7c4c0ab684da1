//! Whether this process lives, and whether it is ready: named checks that its
//! parts set, and one report that tells the truth about them.
//!
//! *Alive* says that the loops turn. A process that is not should be ended and
//! started again. *Ready* says that what it depends on answers; a process that
//! is not should be left alone and given nothing new. So nothing outside of the
//! process makes it less alive: an absent broker is not mended by a restart.
//!
//! A process is watched from [`begin`] on; before that, and in tests and
//! simulations, every call here does nothing.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// How often a loop says that it turns while it has nothing else to do.
const PULSE: Duration = Duration::from_secs(5);
/// A loop that has not turned for this long hangs. Long enough for any wait on
/// a ledger or a broker that is bounded, so that their absence is not our death.
const HANGS_AFTER: Duration = Duration::from_secs(180);

static HEALTH: OnceLock<Health> = OnceLock::new();

/// What a check is called; from a list that the code or the configuration fixes.
type Name = Cow<'static, str>;

/// The check that fails until the process has begun, and again when it ends.
const STARTED: &str = "started";

/// Watches this process from now on. It is not ready before [`started`].
pub fn begin() {
    let _ = HEALTH.get_or_init(Health::default);
    set(STARTED, Err("the process is being started".to_owned()));
}

/// Every part of the process runs.
pub fn started() {
    set(STARTED, Ok(()));
}

/// Whether this process is watched.
#[must_use]
pub fn watched() -> bool {
    HEALTH.get().is_some()
}

/// A loop of this name turns from now on; it says so by [`Pulse::next`].
#[must_use]
pub fn pulse(name: impl Into<Cow<'static, str>>) -> Pulse {
    let pulse = Pulse(HEALTH.get().map(|health| (health, name.into())));
    pulse.beat();
    pulse
}

/// Sets a check of readiness: passed, or why not.
pub fn set(name: &'static str, state: Result<(), String>) {
    if let Some(health) = HEALTH.get() {
        health.set(name, state, None);
    }
}

/// Sets a check of readiness that passes, and fails by itself when this is not
/// called again within some time.
pub fn fresh(name: &'static str, within: Duration) {
    if let Some(health) = HEALTH.get() {
        health.set(name, Ok(()), Some(within));
    }
}

/// The process is being stopped: it is no longer ready.
pub fn stopping() {
    set(STARTED, Err("the process is being stopped".to_owned()));
}

/// The report on whether the process lives.
#[must_use]
pub fn alive() -> Report {
    HEALTH.get().map(|h| h.alive(Instant::now())).unwrap_or_default()
}

/// The report on whether the process is ready.
#[must_use]
pub fn ready() -> Report {
    HEALTH.get().map(|h| h.ready(Instant::now())).unwrap_or_default()
}

/// The checks, and what became of each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// By name, in order.
    pub checks: Vec<(Cow<'static, str>, Result<(), String>)>,
}

impl Report {
    /// Whether every check passes.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.checks.iter().all(|(_, state)| state.is_ok())
    }
}

/// One loop's sign of life.
#[derive(Debug)]
pub struct Pulse(Option<(&'static Health, Name)>);

impl Pulse {
    /// Says that the loop turns now, and returns when it is time to turn again;
    /// never, if nobody watches. To be one of the things that a loop waits for.
    pub async fn next(&self) {
        if self.0.is_none() {
            return std::future::pending().await;
        }
        self.beat();
        tokio::time::sleep(PULSE).await;
    }

    /// Says that the loop turns now.
    pub fn beat(&self) {
        if let Some((health, name)) = &self.0 {
            health.beat(name.clone(), Instant::now());
        }
    }

    /// The loop has ended, and was meant to.
    pub fn end(self) {
        if let Some((health, name)) = self.0 {
            health.ended(&name);
        }
    }
}

#[derive(Debug)]
struct Check {
    state: Result<(), String>,
    set_at: Instant,
    within: Option<Duration>,
}

#[derive(Debug, Default)]
struct Health {
    loops: Mutex<BTreeMap<Name, Instant>>,
    checks: Mutex<BTreeMap<Name, Check>>,
}

impl Health {
    fn beat(&self, name: Name, now: Instant) {
        let mut loops = self.loops.lock().unwrap_or_else(PoisonError::into_inner);
        loops.insert(name, now);
    }

    fn ended(&self, name: &str) {
        let mut loops = self.loops.lock().unwrap_or_else(PoisonError::into_inner);
        loops.remove(name);
    }

    fn set(&self, name: &'static str, state: Result<(), String>, within: Option<Duration>) {
        let check = Check {
            state,
            set_at: Instant::now(),
            within,
        };
        let mut checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
        checks.insert(name.into(), check);
    }

    fn alive(&self, now: Instant) -> Report {
        let loops = self.loops.lock().unwrap_or_else(PoisonError::into_inner);
        let state = |beat: Instant| {
            let since = now.saturating_duration_since(beat);
            if since <= HANGS_AFTER {
                Ok(())
            } else {
                Err(format!("it has not turned for {} s", since.as_secs()))
            }
        };
        Report {
            checks: loops.iter().map(|(name, beat)| (name.clone(), state(*beat))).collect(),
        }
    }

    fn ready(&self, now: Instant) -> Report {
        let checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
        let state = |check: &Check| {
            check.state.clone()?;
            let since = now.saturating_duration_since(check.set_at);
            match check.within {
                Some(within) if since > within => Err(format!(
                    "it last succeeded {} s ago, and should every {} s",
                    since.as_secs(),
                    within.as_secs()
                )),
                _ => Ok(()),
            }
        };
        Report {
            checks: checks
                .iter()
                .map(|(name, check)| (name.clone(), state(check)))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_hangs_is_no_longer_alive() {
        let health = Health::default();
        let start = Instant::now();
        assert!(health.alive(start).passes());
        health.beat("sweep".into(), start);
        health.beat("pump".into(), start);
        assert!(health.alive(start + HANGS_AFTER).passes());
        health.beat("pump".into(), start + HANGS_AFTER);
        let late = health.alive(start + HANGS_AFTER + Duration::from_secs(1));
        assert!(!late.passes());
        assert_eq!(late.checks[0], ("pump".into(), Ok(())));
        assert_eq!(late.checks[1].1, Err("it has not turned for 181 s".to_owned()));
        health.ended("sweep");
        assert!(health.alive(start + HANGS_AFTER + Duration::from_secs(1)).passes());
    }

    #[test]
    fn readiness_is_what_was_set_last_and_grows_old() {
        let health = Health::default();
        assert!(health.ready(Instant::now()).passes());
        health.set("ledger", Err("it does not answer".into()), None);
        assert!(!health.ready(Instant::now()).passes());
        health.set("ledger", Ok(()), None);
        health.set("looked around", Ok(()), Some(Duration::from_secs(30)));
        let now = Instant::now();
        assert!(health.ready(now).passes());
        let late = health.ready(now + Duration::from_secs(40));
        assert_eq!(late.checks[0], ("ledger".into(), Ok(())));
        assert_eq!(
            late.checks[1].1,
            Err("it last succeeded 40 s ago, and should every 30 s".to_owned())
        );
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_a_pulse_that_nobody_watches() {
        let pulse = Pulse(None);
        let year = Duration::from_secs(365 * 86_400);
        assert!(tokio::time::timeout(year, pulse.next()).await.is_err());
    }
}
