//! Accounts that people have beside the directory, as they truly are: what the verdict is
//! given to look at.

use super::mood::Mood;
use crate::rng::Rng;
use offboard_domain::System;
use offboard_sim::face::WireAnswer;

/// How many of a tenant's people have an account in a system, in permille.
pub(super) const HAVE_ONE: u32 = 850;

/// A text that stands in an account beside the directory and nowhere else.
pub(super) fn canary(rng: &mut Rng) -> String {
    format!("beside-{:08x}", rng.next() >> 32)
}

/// What comes of a connection that is cut, or of one to nobody.
pub(super) fn lost() -> WireAnswer {
    WireAnswer::Lost { latency_ms: 0 }
}

/// How unkind such a system is under this seed.
pub(super) fn mood(seed: u64, part: &str) -> Mood {
    Mood::of(Rng::of(seed, part))
}

/// An account, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    /// Its id in its system.
    pub(crate) account: String,
    /// The person's in the directory; empty: nobody's.
    pub(crate) person: String,
}

/// What one tenant has in one system.
#[derive(Debug)]
pub(crate) struct Elsewhere {
    /// The system.
    pub(crate) system: System,
    /// The accounts that may be used.
    pub(crate) open: Vec<Held>,
    /// What became otherwise as departures make it, and of whose account that is.
    pub(crate) ended: Vec<(Held, String)>,
    /// What became otherwise as no departure makes it.
    pub(crate) strange: Vec<String>,
    /// The accounts whose files were given away, as often as they were.
    pub(crate) transfers: Vec<Held>,
}

impl Elsewhere {
    pub(super) fn new(system: System) -> Self {
        Self {
            system,
            open: Vec::new(),
            ended: Vec::new(),
            strange: Vec::new(),
            transfers: Vec::new(),
        }
    }
}
