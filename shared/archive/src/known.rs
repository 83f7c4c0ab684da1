//! Which messages of one folder the archive has: 16 bytes a message.

use sha2::{Digest as _, Sha256};
use std::collections::HashSet;

/// A message as it is known.
#[must_use]
pub fn key(id: &str) -> u128 {
    let hash = Sha256::digest(id.as_bytes());
    let mut half = [0; 16];
    half.copy_from_slice(&hash[..16]);
    u128::from_be_bytes(half)
}

/// The messages of one folder.
#[derive(Debug, Default)]
pub struct Known {
    sorted: Vec<u128>,
    since: HashSet<u128>,
}

impl Known {
    /// Those that were read from parts.
    #[must_use]
    pub fn of(mut keys: Vec<u128>) -> Self {
        keys.sort_unstable();
        keys.dedup();
        Self {
            sorted: keys,
            since: HashSet::new(),
        }
    }

    /// Whether the archive has it.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        let key = key(id);
        self.sorted.binary_search(&key).is_ok() || self.since.contains(&key)
    }

    /// It has it now.
    pub fn add(&mut self, id: &str) {
        self.since.insert(key(id));
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sorted.len() + self.since.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
