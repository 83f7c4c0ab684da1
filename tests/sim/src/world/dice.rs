//! Every choice of the simulated world.
//!
//! A choice is a keyed hash of the seed, of what is being decided, for whom,
//! and of how often that was decided before. So the fate of one call does not
//! depend on which other call happened to arrive first: two clients that race
//! over HTTP still meet the same throttling on the same calls.

/// A source of choices, fixed by its seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dice {
    seed: u64,
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

impl Dice {
    /// Choices that follow from `seed` alone.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The number that belongs to the `nth` decision of this kind for `key`.
    #[must_use]
    pub fn roll(self, what: &str, key: &str, nth: u64) -> u64 {
        let mut hash = FNV_OFFSET ^ self.seed;
        for byte in what.bytes().chain([0]).chain(key.bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
        }
        splitmix(hash ^ splitmix(nth.wrapping_add(self.seed.rotate_left(17))))
    }

    /// True in `permille` of a thousand cases.
    #[must_use]
    pub fn happens(self, permille: u32, what: &str, key: &str, nth: u64) -> bool {
        permille > 0 && self.roll(what, key, nth) % 1000 < u64::from(permille)
    }

    /// A number in `low..=high`.
    #[must_use]
    pub fn between(self, (low, high): (i64, i64), what: &str, key: &str, nth: u64) -> i64 {
        let width = high.saturating_sub(low).unsigned_abs().saturating_add(1);
        low.saturating_add_unsigned(self.roll(what, key, nth) % width)
    }

    /// One of `options`; `None` only of none.
    #[must_use]
    pub fn pick<'a, T>(self, options: &'a [T], what: &str, key: &str) -> Option<&'a T> {
        let count = u64::try_from(options.len()).ok().filter(|count| *count > 0)?;
        let index = usize::try_from(self.roll(what, key, 0) % count).ok()?;
        options.get(index)
    }

    /// An identifier in the form of a version 4 GUID.
    #[must_use]
    pub fn guid(self, what: &str, key: &str) -> String {
        let high = self.roll(what, key, 1);
        let low = self.roll(what, key, 2);
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0x0fff,
            0x8000 | ((low >> 48) & 0x3fff),
            low & 0xffff_ffff_ffff
        )
    }
}

fn splitmix(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::Dice;

    #[test]
    fn a_seed_fixes_every_choice_and_another_changes_them() {
        let (one, two) = (Dice::new(1), Dice::new(2));
        assert_eq!(one.roll("a", "b", 0), Dice::new(1).roll("a", "b", 0));
        assert_ne!(one.roll("a", "b", 0), two.roll("a", "b", 0));
        assert_ne!(one.roll("a", "b", 0), one.roll("a", "b", 1));
        assert_ne!(one.roll("ab", "", 0), one.roll("a", "b", 0));
    }

    #[test]
    fn chances_come_out_near_what_was_asked() {
        let hits = (0..10_000)
            .filter(|nth| Dice::new(7).happens(250, "x", "y", *nth))
            .count();
        assert!((2_300..2_700).contains(&hits), "{hits}");
    }

    #[test]
    fn a_guid_looks_like_one() {
        let guid = Dice::new(3).guid("user", "anna");
        let parts: Vec<usize> = guid.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
    }
}
