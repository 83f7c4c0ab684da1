//! Which messages a folder has, and which of them the archive has, whatever their number:
//! sorted runs of their keys, most of them in the store, compared range by range.
//!
//! It owns the bound: at most [`RUN_KEYS`] keys of a side wait for their run, and while
//! two sides are compared one run of them and one range of each are held, at most five or
//! six megabytes. It knows neither servers nor folders. Keys are hashes, so a range of them
//! has its share of all.
//!
//! What is small never goes to the store.

use offboard_domain::Digest;
use offboard_store::{Store, StoreError};
use serde::{Deserialize, Serialize};

/// The most keys of a run that is full, and about as many as a range has.
pub(super) const RUN_KEYS: usize = 64 * 1024;
/// The bytes of a key in the store.
const KEY_BYTES: usize = 16;
/// The last bit of a key says whether the message arrived after the pass began.
const LATER: u128 = 1;

/// The keys of one side.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Runs {
    /// Sorted runs in the store.
    put: Vec<Digest>,
    /// How many keys those have together; one may be in several.
    keys: u64,
    /// What is in none yet, in no order.
    #[serde(skip)]
    open: Vec<u128>,
}

impl Runs {
    /// A message; `later`: it arrived after the pass began.
    pub(super) fn add(&mut self, key: u128, later: bool) {
        self.open.push((key & !LATER) | u128::from(later));
    }

    /// Writes a run if enough keys wait for one.
    pub(super) async fn spill(&mut self, store: &Store) -> Result<(), StoreError> {
        if self.open.len() < RUN_KEYS {
            return Ok(());
        }
        self.lay_aside(store).await
    }

    /// Writes a run of what waits for one: all of it is in the store then.
    pub(super) async fn lay_aside(&mut self, store: &Store) -> Result<(), StoreError> {
        if self.open.is_empty() {
            return Ok(());
        }
        each_once(&mut self.open);
        let bytes: Vec<u8> = self.open.iter().flat_map(|key| key.to_be_bytes()).collect();
        self.put.push(store.put(bytes).await?);
        self.keys += self.open.len() as u64;
        self.open = Vec::new();
        Ok(())
    }

    fn len(&self) -> u64 {
        self.keys + self.open.len() as u64
    }

    /// Its keys of one range, in order and each once; and how many were held for that at most.
    async fn of_range(&self, store: &Store, range: Range) -> Result<(Vec<u128>, usize), StoreError> {
        let mut keys: Vec<u128> = self.open.iter().copied().filter(|key| range.has(*key)).collect();
        let mut most = 0;
        for run in &self.put {
            let bytes = store.get(*run).await?;
            let of_run = bytes.len() / KEY_BYTES;
            let at = |n: usize| read(&bytes[n * KEY_BYTES..(n + 1) * KEY_BYTES]);
            let begins = first(of_run, |n| range.number_of(at(n)) >= range.number);
            let ends = first(of_run, |n| range.number_of(at(n)) > range.number);
            keys.extend((begins..ends).map(at));
            most = most.max(of_run + keys.len());
        }
        each_once(&mut keys);
        let most = most.max(keys.len());
        Ok((keys, most))
    }
}

/// In order, each once. Listed twice is listed once; of two that differ in when it arrived
/// the earlier counts, which claims less.
fn each_once(keys: &mut Vec<u128>) {
    keys.sort_unstable();
    keys.dedup_by_key(|key| *key & !LATER);
}

fn read(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0, |key, byte| (key << 8) | u128::from(*byte))
}

/// The first of so many that it holds for, if it holds for all after that.
fn first(of: usize, holds: impl Fn(usize) -> bool) -> usize {
    let (mut from, mut to) = (0, of);
    while from < to {
        let middle = from + (to - from) / 2;
        if holds(middle) {
            to = middle;
        } else {
            from = middle + 1;
        }
    }
    from
}

/// One of so many ranges, into which all keys fall in their order.
#[derive(Debug, Clone, Copy)]
struct Range {
    number: u64,
    of: u64,
}

impl Range {
    fn number_of(self, key: u128) -> u64 {
        let leading = key >> 64;
        u64::try_from((leading * u128::from(self.of)) >> 64).unwrap_or(u64::MAX)
    }

    fn has(self, key: u128) -> bool {
        self.number_of(key) == self.number
    }
}

/// What one side has of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Compared {
    /// Different messages that are listed.
    pub(super) listed: u64,
    /// Over all of them, whatever their order.
    pub(super) sum: u128,
    /// Those of them that are known.
    pub(super) kept: u64,
    /// Those that are not, and arrived after the pass began.
    pub(super) later: u64,
    /// Those that are not, and did not.
    pub(super) lacking: u64,
    /// The most keys that were held for this, of runs and of ranges.
    held: usize,
}

/// Compares what is listed with what is known.
pub(super) async fn compare(store: &Store, listed: &Runs, known: &Runs) -> Result<Compared, StoreError> {
    let of = listed.len().max(known.len()).div_ceil(RUN_KEYS as u64).max(1);
    let waiting = listed.open.len() + known.open.len();
    let mut found = Compared::default();
    for number in 0..of {
        let range = Range { number, of };
        let (keys, most_listed) = listed.of_range(store, range).await?;
        let (has, most_known) = known.of_range(store, range).await?;
        found.held = found.held.max(waiting + most_listed.max(keys.len() + most_known));
        for key in keys {
            let message = key & !LATER;
            found.listed += 1;
            found.sum = found.sum.wrapping_add(message);
            if has.binary_search_by_key(&message, |k| *k & !LATER).is_ok() {
                found.kept += 1;
            } else if key & LATER == LATER {
                found.later += 1;
            } else {
                found.lacking += 1;
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use offboard_archive::key;

    /// What is held for it at most, besides what is counted by [`compare`].
    async fn note(runs: &mut Runs, store: &Store, id: u64, later: bool, most: &mut usize) {
        runs.add(key(&id.to_string()), later);
        *most = (*most).max(runs.open.len());
        runs.spill(store).await.unwrap();
    }

    #[tokio::test]
    async fn a_folder_of_many_messages_is_compared_to_its_end_and_few_keys_are_held() {
        const MESSAGES: u64 = 300_000;
        let store = Store::memory();
        let (mut listed, mut known) = (Runs::default(), Runs::default());
        let mut most = 0;
        // The server has the even ones twice, lost three, and has five more, of which two are late.
        for id in 0..MESSAGES {
            note(&mut known, &store, id, false, &mut most).await;
        }
        for id in (3..MESSAGES + 5).chain((4..MESSAGES).step_by(2)) {
            note(&mut listed, &store, id, id >= MESSAGES + 3, &mut most).await;
        }
        assert!(
            listed.put.len() > 4 && known.put.len() > 3,
            "most of it is in the store"
        );
        let found = compare(&store, &listed, &known).await.unwrap();
        assert_eq!(
            (found.listed, found.kept, found.later, found.lacking),
            (MESSAGES + 2, MESSAGES - 3, 2, 3)
        );
        let sum = (3..MESSAGES + 5).fold(0_u128, |sum, id| sum.wrapping_add(key(&id.to_string()) & !LATER));
        assert_eq!(found.sum, sum);
        assert!(most <= RUN_KEYS, "{most}");
        // What waits on both sides, a run, and a range of each, which are not all alike.
        let held = found.held;
        assert!(held > RUN_KEYS && held <= 6 * RUN_KEYS, "{held}");
    }

    #[tokio::test]
    async fn what_is_laid_aside_counts_with_what_comes_later_and_survives_being_written() {
        let store = Store::memory();
        let (mut listed, mut known) = (Runs::default(), Runs::default());
        for id in ["a", "b"] {
            listed.add(key(id), false);
        }
        listed.lay_aside(&store).await.unwrap();
        let json = serde_json::to_string(&listed).unwrap();
        assert!(!json.contains("open"), "{json}");
        let mut listed: Runs = serde_json::from_str(&json).unwrap();
        // Listed once more, as one that arrived late: it did not.
        listed.add(key("b"), true);
        listed.add(key("c"), true);
        known.add(key("a"), false);
        let found = compare(&store, &listed, &known).await.unwrap();
        assert_eq!((found.listed, found.kept, found.later, found.lacking), (3, 1, 1, 1));
        let nothing = compare(&store, &Runs::default(), &known).await.unwrap();
        assert_eq!((nothing.listed, nothing.lacking), (0, 0));
    }

    #[test]
    fn ranges_follow_one_another_and_have_every_key() {
        for of in [1, 2, 3, 17] {
            let number_of = |key: u128| Range { number: 0, of }.number_of(key);
            assert_eq!((number_of(0), number_of(u128::MAX)), (0, of - 1));
            assert!(number_of(u128::MAX / 3) <= number_of(u128::MAX / 2));
        }
    }
}
