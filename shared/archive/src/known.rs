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

/// How many new ones are held otherwise, which takes more than twice as much.
const SINCE_MAX: usize = 64 * 1024;

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
        if self.since.len() >= SINCE_MAX {
            // No more room than is needed: the folder may have a million of them.
            self.sorted.reserve_exact(self.since.len());
            self.sorted.extend(self.since.drain());
            self.sorted.sort_unstable();
            self.sorted.dedup();
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_takes_sixteen_bytes_however_many_are_added() {
        const MESSAGES: usize = 200_000;
        let mut known = Known::of(vec![key("0")]);
        let mut most = 0;
        for id in 1..MESSAGES {
            known.add(&id.to_string());
            most = most.max(known.since.len());
        }
        assert!(most < SINCE_MAX, "{most}");
        assert_eq!(known.len(), MESSAGES);
        assert!((0..MESSAGES).all(|id| known.has(&id.to_string())));
        assert!(!known.has("another"));
        assert!(
            known.sorted.capacity() <= MESSAGES,
            "there is no room for more: {}",
            known.sorted.capacity()
        );
    }
}
