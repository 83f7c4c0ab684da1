//! What happened in a simulation, line by line, with the virtual time before
//! each line. Two runs of a seed give the same lines.

use offboard_domain::Timestamp;
use sha2::{Digest as _, Sha256};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// When every simulation begins: Monday, 2 March 2026, 08:00 UTC.
pub(crate) const EPOCH: Timestamp = Timestamp(1_772_438_400_000);

#[derive(Default)]
struct Lines {
    hash: Sha256,
    kept: Vec<String>,
    count: u64,
}

/// The transcript.
#[derive(Default)]
pub(crate) struct Transcript {
    lines: Mutex<Lines>,
    keep: bool,
}

impl Transcript {
    /// An empty one; with `keep` the lines stay, else only their digest.
    pub(crate) fn new(keep: bool) -> Self {
        Self {
            lines: Mutex::default(),
            keep,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line.
    pub(crate) fn line(&self, now: Timestamp, text: &str) {
        let mut lines = self.lock();
        let ms = now.since(EPOCH);
        let line = format!(
            "{:>4}:{:02}:{:02}.{:03} {text}",
            ms / 3_600_000,
            ms / 60_000 % 60,
            ms / 1_000 % 60,
            ms % 1_000
        );
        lines.hash.update(line.as_bytes());
        lines.hash.update(b"\n");
        lines.count += 1;
        if self.keep {
            lines.kept.push(line);
        }
    }

    /// SHA-256 of all lines, in hex, and how many there are.
    pub(crate) fn digest(&self) -> (String, u64) {
        let lines = self.lock();
        let hash = lines.hash.clone().finalize();
        (hash.iter().map(|b| format!("{b:02x}")).collect(), lines.count)
    }

    /// The lines that were kept.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().kept)
    }
}
