//! How unkind a system beside the vendor is: what its requests meet, how long they take,
//! and for how long it is away.

use crate::rng::Rng;
use crate::transcript::EPOCH;
use offboard_domain::Timestamp;
use offboard_domain::time::{HOUR_MS, MINUTE_MS};
use offboard_sim::world::desk::DeskFault;
use std::time::Duration;

/// How long one waits for somebody who is away.
const IN_VAIN: Duration = Duration::from_secs(10);
/// When it says to come again, if it is asked too often.
const AGAIN_AFTER_S: u32 = 20;

/// How far its lists lag behind: less than half an hour, which is what the product
/// believes of desks.
const LAGS_MS: [i64; 4] = [0, 0, MINUTE_MS, 10 * MINUTE_MS];

/// A lag that this stream has.
pub(super) fn lag_ms(rng: &mut Rng) -> i64 {
    LAGS_MS[usize::try_from(rng.below(4)).unwrap_or(0)]
}

/// How unkind it is.
pub(super) struct Mood {
    rng: Rng,
    /// Requests that meet a fault, in permille.
    faults: u32,
    /// From when to when it answers nothing.
    away: Option<(Timestamp, Timestamp)>,
    calm: bool,
}

impl Mood {
    /// As this stream has it.
    pub(super) fn of(mut rng: Rng) -> Self {
        let faults = [0, 30, 100, 250][usize::try_from(rng.below(4)).unwrap_or(0)];
        let away = rng.happens(400).then(|| {
            let from = EPOCH.plus(rng.between(0, 10 * HOUR_MS));
            (from, from.plus(rng.between(10 * MINUTE_MS, 5 * HOUR_MS)))
        });
        Self {
            rng,
            faults,
            away,
            calm: false,
        }
    }

    /// No fault any more.
    pub(super) fn calm(&mut self) {
        self.calm = true;
    }

    /// Whether it is away.
    pub(super) fn is_away(&self, now: Timestamp) -> bool {
        let during = |(from, until)| from <= now && now < until;
        !self.calm && self.away.is_some_and(during)
    }

    /// What the next request meets. What only reads does not happen by half.
    pub(super) fn fault(&mut self, reads: bool) -> Option<DeskFault> {
        if self.calm || !self.rng.happens(self.faults) {
            return None;
        }
        let happens = !reads && self.rng.happens(500);
        Some(match self.rng.below(5) {
            0 => DeskFault::Status(429, Some(AGAIN_AFTER_S), false),
            1 => DeskFault::Status(500, None, happens),
            2 => DeskFault::Status(503, None, happens),
            3 => DeskFault::Status(504, None, happens),
            _ => DeskFault::Cut(happens),
        })
    }

    /// How long an answer takes, or its failing to come.
    pub(super) fn takes(&mut self, away: bool) -> Duration {
        if away {
            return IN_VAIN;
        }
        Duration::from_millis(self.rng.between(20, 600).unsigned_abs())
    }
}
