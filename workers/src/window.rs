//! How many attempts of one lane a worker holds at once.
//!
//! An attempt mostly waits for its vendor. While vendors answer quickly the
//! configured number keeps a worker busy, and whoever holds more only keeps it
//! from other workers. When one tenant's vendor is slow, its attempts would sit
//! in all of those places, and everybody else behind them; so the number
//! follows the time that attempts take, up to a bound beyond what the
//! dispatcher lets one tenant have in flight in a queue. Waiting costs a worker
//! little: the bound is for memory.
//!
//! It knows no tenant and no vendor: how the places are shared is decided where
//! assignments are admitted.

use std::time::Duration;

/// How long an attempt takes when vendors are well: a handful of requests.
const USUAL: Duration = Duration::from_secs(1);

/// The most places, in multiples of the configured number.
const MOST: u16 = 8;

/// How much one attempt counts in the mean: the last ten decide.
const WEIGHT: f64 = 0.2;

/// The places of one lane.
#[derive(Debug)]
pub(crate) struct Window {
    configured: u16,
    places: u16,
    mean_s: Option<f64>,
}

impl Window {
    /// As configured, until something was measured.
    pub(crate) fn new(configured: u16) -> Self {
        let configured = configured.max(1);
        Self {
            configured,
            places: configured,
            mean_s: None,
        }
    }

    /// How many places there are.
    pub(crate) fn places(&self) -> u16 {
        self.places
    }

    /// Notes how long an attempt took. The number of places changes by halves
    /// and doubles alone: each change is a word with the broker.
    pub(crate) fn took(&mut self, time: Duration) {
        let took = time.as_secs_f64();
        let mean = self.mean_s.map_or(took, |mean| mean + WEIGHT * (took - mean));
        self.mean_s = Some(mean);
        let longer = mean / USUAL.as_secs_f64();
        let most = self.configured.saturating_mul(MOST);
        let mut places = self.configured;
        while places < most && f64::from(places) < f64::from(self.configured) * longer {
            places = places.saturating_mul(2).min(most);
        }
        self.places = places;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(window: &mut Window, times: usize, took: Duration) -> u16 {
        for _ in 0..times {
            window.took(took);
        }
        window.places()
    }

    #[test]
    fn it_is_as_configured_while_vendors_are_well() {
        let mut window = Window::new(8);
        assert_eq!(window.places(), 8);
        assert_eq!(after(&mut window, 100, Duration::from_millis(5)), 8);
        assert_eq!(after(&mut window, 100, USUAL), 8);
    }

    #[test]
    fn it_grows_with_the_time_that_attempts_take_and_shrinks_again() {
        let mut window = Window::new(8);
        assert_eq!(after(&mut window, 100, USUAL * 3), 32);
        assert_eq!(after(&mut window, 100, Duration::from_secs(120)), 64, "the most");
        assert_eq!(after(&mut window, 100, USUAL / 2), 8);
    }

    #[test]
    fn one_slow_attempt_among_many_changes_little() {
        let mut window = Window::new(8);
        after(&mut window, 100, USUAL / 4);
        assert_eq!(after(&mut window, 1, USUAL * 4), 8);
    }

    #[test]
    fn it_never_has_no_place() {
        assert_eq!(Window::new(0).places(), 1);
        let mut widest = Window::new(u16::MAX);
        assert_eq!(after(&mut widest, 1, Duration::from_secs(1_000)), u16::MAX);
    }
}
