//! Which messages a folder has, and which of them the archive has, whatever their number:
//! sorted runs of their keys, most of them in the store, merged side by side.
//!
//! It owns the bounds: at most [`RUN_KEYS`] keys of a side wait for their run, and while two
//! sides are compared a piece of each of at most [`RUNS_AT_ONCE`] runs of a side is held, at most
//! six megabytes. Where a side has more runs they are merged into longer ones first, sixteen times
//! as long: a million messages are read once, sixteen million twice. It knows neither servers nor
//! folders.
//!
//! What is small never goes to the store.

use offboard_domain::Digest;
use offboard_store::{Store, StoreError};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The most keys of a run that is full.
pub(super) const RUN_KEYS: usize = 64 * 1024;
/// The most keys of a piece of a run, which is read whole.
const PIECE_KEYS: usize = 4 * 1024;
/// The most runs that are merged at once.
const RUNS_AT_ONCE: usize = 16;
/// The bytes of a key in the store.
const KEY_BYTES: usize = 16;
/// The last bit of a key says whether the message arrived after the pass began.
const LATER: u128 = 1;

/// The keys of one side.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Runs {
    /// Sorted runs in the store, each by its pieces in their order.
    put: Vec<Vec<Digest>>,
    /// What is in none yet, in no order.
    #[serde(skip)]
    open: Vec<u128>,
}

impl Runs {
    /// A message; `later`: it arrived after the pass began.
    pub(super) fn add(&mut self, key: u128, later: bool) {
        self.open.push((key & !LATER) | u128::from(later));
    }

    /// Whether some of it is in the store.
    pub(super) fn has_spilled(&self) -> bool {
        !self.put.is_empty()
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
        let mut run = Vec::new();
        for piece in self.open.chunks(PIECE_KEYS) {
            run.push(put(store, piece).await?);
        }
        self.put.push(run);
        self.open = Vec::new();
        Ok(())
    }
}

/// In order, each once. Listed twice is listed once; of two that differ in when it arrived
/// the earlier counts, which claims less.
fn each_once(keys: &mut Vec<u128>) {
    keys.sort_unstable();
    keys.dedup_by_key(|key| *key & !LATER);
}

async fn put(store: &Store, piece: &[u128]) -> Result<Digest, StoreError> {
    let bytes: Vec<u8> = piece.iter().flat_map(|key| key.to_be_bytes()).collect();
    store.put(bytes).await
}

fn read(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0, |key, byte| (key << 8) | u128::from(*byte))
}

/// What is still to come of a run.
struct Rest {
    pieces: std::vec::IntoIter<Digest>,
    keys: std::vec::IntoIter<u128>,
}

impl Rest {
    /// Of a run in the store.
    fn of(pieces: Vec<Digest>) -> Self {
        Self {
            pieces: pieces.into_iter(),
            keys: Vec::new().into_iter(),
        }
    }

    /// Its next key. Pieces that are read for it are counted.
    async fn next(&mut self, store: &Store, reads: &mut u64) -> Result<Option<u128>, StoreError> {
        loop {
            if let Some(key) = self.keys.next() {
                return Ok(Some(key));
            }
            let Some(piece) = self.pieces.next() else {
                return Ok(None);
            };
            *reads += 1;
            let bytes = store.get(piece).await?;
            let keys: Vec<u128> = bytes.chunks_exact(KEY_BYTES).map(read).collect();
            self.keys = keys.into_iter();
        }
    }
}

/// Several runs as one: in order, each key once.
struct Merged<'s> {
    store: &'s Store,
    runs: Vec<Rest>,
    /// The next key of each run that has one, with the run's place.
    next: BinaryHeap<Reverse<(u128, usize)>>,
    /// The message that was handed out last.
    last: Option<u128>,
    /// Pieces that were read.
    reads: u64,
}

impl<'s> Merged<'s> {
    async fn of(store: &'s Store, runs: Vec<Rest>) -> Result<Self, StoreError> {
        let mut merged = Self {
            store,
            runs,
            next: BinaryHeap::new(),
            last: None,
            reads: 0,
        };
        for place in 0..merged.runs.len() {
            merged.advance(place).await?;
        }
        Ok(merged)
    }

    /// Takes in the next key of a run.
    async fn advance(&mut self, place: usize) -> Result<(), StoreError> {
        if let Some(run) = self.runs.get_mut(place)
            && let Some(key) = run.next(self.store, &mut self.reads).await?
        {
            self.next.push(Reverse((key, place)));
        }
        Ok(())
    }

    /// The next key. Of two that differ in when it arrived the earlier comes first, and alone.
    async fn next(&mut self) -> Result<Option<u128>, StoreError> {
        while let Some(Reverse((key, place))) = self.next.pop() {
            self.advance(place).await?;
            let message = key & !LATER;
            if self.last != Some(message) {
                self.last = Some(message);
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    /// The keys that are held for it.
    fn held(&self) -> usize {
        let of_runs: usize = self.runs.iter().map(|run| run.keys.len()).sum();
        of_runs + self.next.len()
    }

    /// Writes all of it as one run.
    async fn write(&mut self) -> Result<Vec<Digest>, StoreError> {
        let (mut run, mut piece) = (Vec::new(), Vec::new());
        while let Some(key) = self.next().await? {
            piece.push(key);
            if piece.len() >= PIECE_KEYS {
                run.push(put(self.store, &piece).await?);
                piece.clear();
            }
        }
        if !piece.is_empty() {
            run.push(put(self.store, &piece).await?);
        }
        Ok(run)
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
    /// The most keys that were held for this.
    held: usize,
    /// The pieces of runs that were read for this.
    reads: u64,
}

/// A side's runs in the store, made fewer there if they are too many to be merged at once with
/// what waits for a run.
async fn fewer(store: &Store, side: &Runs, found: &mut Compared) -> Result<Vec<Vec<Digest>>, StoreError> {
    let mut put = side.put.clone();
    while put.len() >= RUNS_AT_ONCE {
        let mut longer = Vec::new();
        for some in put.chunks(RUNS_AT_ONCE) {
            let runs: Vec<Rest> = some.iter().cloned().map(Rest::of).collect();
            let mut together = Merged::of(store, runs).await?;
            found.held = found.held.max(together.held() + PIECE_KEYS);
            longer.push(together.write().await?);
            found.reads += together.reads;
        }
        put = longer;
    }
    Ok(put)
}

/// A side as one run.
async fn merged<'s>(store: &'s Store, put: Vec<Vec<Digest>>, side: &Runs) -> Result<Merged<'s>, StoreError> {
    let mut open = side.open.clone();
    each_once(&mut open);
    let mut runs: Vec<Rest> = put.into_iter().map(Rest::of).collect();
    runs.push(Rest {
        pieces: Vec::new().into_iter(),
        keys: open.into_iter(),
    });
    Merged::of(store, runs).await
}

/// Compares what is listed with what is known.
pub(super) async fn compare(store: &Store, listed: &Runs, known: &Runs) -> Result<Compared, StoreError> {
    let mut found = Compared::default();
    let (one, other) = (
        fewer(store, listed, &mut found).await?,
        fewer(store, known, &mut found).await?,
    );
    let mut keys = merged(store, one, listed).await?;
    let mut has = merged(store, other, known).await?;
    // No piece of a run is larger than the one before it.
    found.held = found.held.max(keys.held() + has.held());
    found.held += listed.open.len() + known.open.len();
    let mut least = has.next().await?;
    while let Some(key) = keys.next().await? {
        let message = key & !LATER;
        while least.is_some_and(|known| known & !LATER < message) {
            least = has.next().await?;
        }
        found.listed += 1;
        found.sum = found.sum.wrapping_add(message);
        if least.is_some_and(|known| known & !LATER == message) {
            found.kept += 1;
        } else if key & LATER == LATER {
            found.later += 1;
        } else {
            found.lacking += 1;
        }
    }
    found.reads += keys.reads + has.reads;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use offboard_archive::key;
    use proptest::collection::vec;
    use proptest::prelude::*;

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
        // What waits on both sides, twice while it is sorted, and a piece of each run.
        let held = found.held;
        assert!(held > RUN_KEYS && held <= 5 * RUN_KEYS, "{held}");
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

    /// Runs of so many keys each, all different.
    async fn runs_of(store: &Store, runs: u64, keys: u64) -> Runs {
        let mut side = Runs::default();
        for run in 0..runs {
            for n in 0..keys {
                // An odd factor leaves all different, and in no order.
                let key = u128::from((run * keys + n).wrapping_mul(0x9e37_79b9_7f4a_7c15)) << 64;
                side.add(key, false);
            }
            side.lay_aside(store).await.unwrap();
        }
        side
    }

    #[tokio::test]
    async fn what_is_read_of_the_store_grows_as_the_runs_do() {
        let store = Store::memory();
        let full = RUN_KEYS as u64;
        let mut reads = Vec::new();
        for runs in [1, 3, 12] {
            let side = runs_of(&store, runs, full).await;
            let found = compare(&store, &side, &Runs::default()).await.unwrap();
            assert_eq!(found.listed, runs * full);
            assert!(found.held <= RUN_KEYS, "{runs}: {}", found.held);
            reads.push(found.reads);
        }
        assert_eq!((reads[1], reads[2]), (3 * reads[0], 12 * reads[0]));
        // More than are merged at once: each is read once more, and what it was merged into.
        let most = RUNS_AT_ONCE as u64;
        for runs in [most - 1, most, 5 * most] {
            let side = runs_of(&store, runs, 10).await;
            let found = compare(&store, &side, &side).await.unwrap();
            assert_eq!((found.listed, found.kept), (runs * 10, runs * 10));
            assert!(found.reads <= 2 * (runs + 5), "{runs}: {}", found.reads);
        }
    }

    /// Says how a set of keys looks from the other, as the definition has it.
    fn by_definition(listed: &[(u128, bool)], known: &[u128]) -> Compared {
        let mut of = std::collections::BTreeMap::new();
        for (key, later) in listed {
            let is_later = of.entry(key & !LATER).or_insert(true);
            *is_later &= *later;
        }
        let known: std::collections::BTreeSet<u128> = known.iter().map(|key| key & !LATER).collect();
        let mut found = Compared::default();
        for (message, later) in of {
            found.listed += 1;
            found.sum = found.sum.wrapping_add(message);
            if known.contains(&message) {
                found.kept += 1;
            } else if later {
                found.later += 1;
            } else {
                found.lacking += 1;
            }
        }
        found
    }

    proptest! {
        #[test]
        fn sets_in_any_runs_are_compared_as_the_definition_has_it(
            listed in vec((0_u128..300, any::<bool>(), 0_u8..4), 0..200),
            known in vec((0_u128..300, 0_u8..4), 0..200),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let found = runtime.block_on(async {
                let store = Store::memory();
                let (mut one, mut other) = (Runs::default(), Runs::default());
                // A run ends wherever a zero is: up to some fifty of them, and some messages wait.
                for (key, later, ends) in &listed {
                    one.add(*key, *later);
                    if *ends == 0 {
                        one.lay_aside(&store).await.unwrap();
                    }
                }
                for (key, ends) in &known {
                    other.add(*key, false);
                    if *ends == 0 {
                        other.lay_aside(&store).await.unwrap();
                    }
                }
                compare(&store, &one, &other).await.unwrap()
            });
            let listed: Vec<(u128, bool)> = listed.iter().map(|(key, later, _)| (*key, *later)).collect();
            let known: Vec<u128> = known.iter().map(|(key, _)| *key).collect();
            let Compared { held, reads, .. } = found;
            let expected = by_definition(&listed, &known);
            prop_assert_eq!(found, Compared { held, reads, ..expected });
        }
    }
}
