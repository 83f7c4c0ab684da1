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
//! Two times count. What attempts took that have ended says how many places keep
//! the worker busy. What those take that are held says how many places are lost to
//! slow ones, however quick the others are that end beside them: half of the
//! configured number is always left for the rest.
//!
//! It knows no tenant and no vendor: how the places are shared is decided where
//! assignments are admitted.

use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// How long an attempt takes when vendors are well: a handful of requests.
const USUAL: Duration = Duration::from_secs(1);

/// The most places of a lane that a worker has, in multiples of the configured number.
pub const PLACES_MOST: u16 = 8;

/// How much one attempt counts in the mean: the last ten decide.
const WEIGHT: f64 = 0.2;

/// The places of one lane.
#[derive(Debug)]
pub(crate) struct Window {
    configured: u16,
    mean_s: Option<f64>,
    /// When those that are held began, in the order in which they did.
    held: BTreeMap<u64, Instant>,
    next: u64,
}

/// An attempt that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(u64);

impl Window {
    /// As configured, until something was measured.
    pub(crate) fn new(configured: u16) -> Self {
        Self {
            configured: configured.max(1),
            mean_s: None,
            held: BTreeMap::new(),
            next: 0,
        }
    }

    /// An attempt is held from now on.
    pub(crate) fn hold(&mut self, now: Instant) -> Place {
        let place = self.next;
        self.next += 1;
        self.held.insert(place, now);
        Place(place)
    }

    /// It no longer is.
    pub(crate) fn let_go(&mut self, place: Place) {
        self.held.remove(&place.0);
    }

    /// How many places there are. The number changes by halves and doubles alone:
    /// each change is a word with the broker.
    pub(crate) fn places(&self, now: Instant) -> u16 {
        let longer = self.mean_s.map_or(1.0, |mean| mean / USUAL.as_secs_f64());
        let busy = f64::from(self.configured) * longer;
        let slow = self.held.values().take_while(|began| is_slow(**began, now)).count();
        let left = usize::from(self.configured.div_ceil(2)) + slow;
        let most = self.configured.saturating_mul(PLACES_MOST);
        let mut places = self.configured;
        while places < most && (f64::from(places) < busy || usize::from(places) < left) {
            places = places.saturating_mul(2).min(most);
        }
        places
    }

    /// When the next of those that are held will have taken longer than usual.
    pub(crate) fn next_slow(&self, now: Instant) -> Option<Instant> {
        let next = self.held.values().find(|began| !is_slow(**began, now));
        next.map(|began| *began + USUAL)
    }

    /// Notes how long an attempt took.
    pub(crate) fn took(&mut self, time: Duration) {
        let took = time.as_secs_f64();
        let mean = self.mean_s.map_or(took, |mean| mean + WEIGHT * (took - mean));
        self.mean_s = Some(mean);
    }
}

fn is_slow(began: Instant, now: Instant) -> bool {
    now.saturating_duration_since(began) >= USUAL
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(window: &mut Window, times: usize, took: Duration) -> u16 {
        for _ in 0..times {
            window.took(took);
        }
        window.places(Instant::now())
    }

    #[test]
    fn it_is_as_configured_while_vendors_are_well() {
        let mut window = Window::new(8);
        assert_eq!(window.places(Instant::now()), 8);
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
        let began = Instant::now();
        window.hold(began);
        assert_eq!(window.places(began + USUAL * 4), 8);
    }

    #[test]
    fn it_never_has_no_place() {
        assert_eq!(Window::new(0).places(Instant::now()), 1);
        let mut widest = Window::new(u16::MAX);
        assert_eq!(after(&mut widest, 1, Duration::from_secs(1_000)), u16::MAX);
    }

    #[test]
    fn slow_ones_leave_room_before_any_of_them_has_ended() {
        let mut window = Window::new(8);
        let began = Instant::now();
        for _ in 0..8 {
            window.hold(began);
        }
        assert_eq!(window.places(began), 8, "nobody knows yet");
        assert_eq!(window.next_slow(began), Some(began + USUAL));
        let later = began + USUAL;
        assert_eq!(window.places(later), 16);
        assert_eq!(window.next_slow(later), None, "all that are held are slow");
        let places: Vec<Place> = (0..8).map(|_| window.hold(later)).collect();
        assert_eq!(window.places(later), 16);
        assert_eq!(window.next_slow(later), Some(later + USUAL));
        assert_eq!(window.places(later + USUAL), 32);
        for place in places {
            window.let_go(place);
        }
        assert_eq!(window.places(later + USUAL), 16);
    }

    #[test]
    fn it_does_not_shrink_under_the_slow_ones_that_it_holds() {
        let mut window = Window::new(8);
        let began = Instant::now();
        let slow: Vec<Place> = (0..24).map(|_| window.hold(began)).collect();
        let later = began + Duration::from_secs(60);
        for _ in 0..100 {
            window.took(Duration::from_millis(5));
            assert_eq!(window.places(later), 32, "24 are slow, and there is room for others");
        }
        for place in slow {
            window.let_go(place);
        }
        assert_eq!(window.places(later), 8);
        for _ in 0..1_000 {
            window.hold(began);
        }
        assert_eq!(window.places(later), 64, "the most");
    }

    #[test]
    fn the_least_has_room_for_one_beside_a_slow_one() {
        let mut window = Window::new(1);
        let began = Instant::now();
        window.hold(began);
        assert_eq!(window.places(began), 1);
        assert_eq!(window.places(began + USUAL), 2);
    }
}
