//! A small generator of numbers (xorshift): what an ordeal does, and when,
//! follows from its seed.

use std::time::Duration;

/// The numbers of a seed.
pub(crate) struct Chance(u64);

impl Chance {
    /// Seeds are counted up, and xorshift makes of neighbours neighbours: the
    /// seed is mixed first (as splitmix64 does), so that each is another ordeal.
    pub(crate) fn of(seed: u64) -> Self {
        let mut mixed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        // Of nothing, xorshift makes nothing.
        Self((mixed ^ (mixed >> 31)).max(1))
    }

    /// Less than `n`.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    pub(crate) fn millis(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.below(most))
    }

    pub(crate) fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }
}

#[test]
fn every_seed_is_another_ordeal() {
    const SEEDS: u64 = 10_000;
    let ordeals: std::collections::BTreeSet<Vec<u64>> = (0..SEEDS)
        .map(|seed| {
            let mut chance = Chance::of(seed);
            (0..8).map(|_| chance.below(1_000)).collect()
        })
        .collect();
    assert_eq!(ordeals.len() as u64, SEEDS);
}
