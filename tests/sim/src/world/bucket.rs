//! A bucket of an object store with what is in it, and every unkindness of a server that one met.
//! It is no part of a tenant's cloud.
//!
//! It refuses to know whose protocol is spoken. What befalls a request depends on the seed, on what
//! is asked for, and on how often that was asked before. Only the first [`FAULTS_MAX`] requests of a
//! kind for a name can be met by anything: fewer than a client makes before it gives up, also when
//! several ask for the same.

use std::collections::BTreeMap;

use super::Dice;

/// How many requests for the same can be met by a fault.
pub const FAULTS_MAX: u64 = 2;
/// In how many of a thousand cases those are spared, too.
const SPARED_PERMILLE: u32 = 250;
/// How many entries a page of a listing has at most: fewer than any law's listing.
const PAGE_ENTRIES: usize = 2;

/// Something in the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Differs whenever anything was written.
    pub generation: u64,
    /// When it was written, in milliseconds since 1970.
    pub written_ms: i64,
}

/// What is asked of the bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BucketCall {
    /// Write what must not be there yet.
    Create,
    /// Write whatever is there.
    Replace,
    /// Read, or read a part.
    Read,
    /// See whether it is there.
    Look,
    /// List what begins so.
    List,
}

impl BucketCall {
    /// How it is written in [`Bucket::asked`].
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Replace => "REPLACE",
            Self::Read => "READ",
            Self::Look => "LOOK",
            Self::List => "LIST",
        }
    }

    /// What can befall it.
    fn faults(self) -> &'static [BucketFault] {
        use BucketFault::{Busy, Conflict, LostAfter, LostBefore, Torn};
        match self {
            Self::Create => &[Busy, Conflict, LostBefore, LostAfter],
            Self::Replace => &[Busy, LostBefore, LostAfter],
            Self::Read => &[Busy, LostBefore, Torn],
            Self::Look | Self::List => &[Busy, LostBefore],
        }
    }
}

/// What befalls a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BucketFault {
    /// It is told to come again later; nothing happened.
    Busy,
    /// It is told that there is something, because another writer is just at it, who then fails.
    Conflict,
    /// The connection ends when all of it was received; nothing happened.
    LostBefore,
    /// The same, and it happened.
    LostAfter,
    /// The connection ends in the middle of what is read.
    Torn,
}

/// A page of a listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page<'b> {
    /// What is on it, in the order of names; none: all that begins so up to the next slash.
    pub entries: Vec<(String, Option<&'b Object>)>,
    /// After which name the next page goes on.
    pub next: Option<String>,
}

/// A bucket.
#[derive(Debug)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// What is in it.
    pub objects: BTreeMap<String, Object>,
    /// Whether it takes a condition and writes all the same.
    pub overwrites: bool,
    /// Whether requests are met by what nobody ordered.
    pub cruel: bool,
    /// What is to befall the next request whose line contains the text.
    pub ordered: Vec<(String, BucketFault)>,
    /// What was asked: `CREATE name`, `READ name from 17`, `LIST beginning after name`.
    pub asked: Vec<String>,
    dice: Dice,
    counts: BTreeMap<String, u64>,
    generation: u64,
}

impl Bucket {
    /// An empty one, as cruel as its seed.
    #[must_use]
    pub fn new(seed: u64, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            objects: BTreeMap::new(),
            overwrites: false,
            cruel: true,
            ordered: Vec::new(),
            asked: Vec::new(),
            dice: Dice::new(seed),
            counts: BTreeMap::new(),
            generation: 0,
        }
    }

    /// What befalls this request.
    pub(crate) fn fate(&mut self, call: BucketCall, line: &str) -> Option<BucketFault> {
        let faults = call.faults();
        let ordered = |(of, fault): &(String, BucketFault)| line.contains(of.as_str()) && faults.contains(fault);
        if let Some(at) = self.ordered.iter().position(ordered) {
            return Some(self.ordered.remove(at).1);
        }
        let count = self.counts.entry(line.to_owned()).or_default();
        let nth = *count;
        *count += 1;
        if !self.cruel || nth >= FAULTS_MAX || self.dice.happens(SPARED_PERMILLE, "spared", line, nth) {
            return None;
        }
        let many = u64::try_from(faults.len()).ok()?;
        let index = usize::try_from(self.dice.roll("fault", line, nth) % many).ok()?;
        faults.get(index).copied()
    }

    pub(crate) fn write(&mut self, name: &str, bytes: &[u8], now_ms: i64) -> Object {
        self.generation += 1;
        let object = Object {
            bytes: bytes.to_vec(),
            generation: self.generation,
            written_ms: now_ms,
        };
        self.objects.insert(name.to_owned(), object.clone());
        object
    }

    /// What begins so, after a name. The first page is empty, as no vendor promises that it is not.
    pub(crate) fn page(&self, beginning: &str, folders: bool, after: Option<&str>) -> Page<'_> {
        let mut page = Page::default();
        let Some(after) = after else {
            page.next = Some(String::new());
            return page;
        };
        let from = self.objects.range(beginning.to_owned()..);
        for (name, object) in from.take_while(|(name, _)| name.starts_with(beginning)) {
            let rest = name.get(beginning.len()..).unwrap_or_default();
            let folder = rest.split_once('/').filter(|_| folders);
            let entry = match folder {
                Some((folder, _)) => (format!("{beginning}{folder}/"), None),
                None => (name.clone(), Some(object)),
            };
            let last = page.entries.last().map_or(after, |(last, _)| last.as_str());
            if entry.0.as_str() <= last {
                continue;
            }
            if page.entries.len() == PAGE_ENTRIES {
                page.next = Some(last.to_owned());
                break;
            }
            page.entries.push(entry);
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(bucket: &Bucket, beginning: &str, folders: bool) -> Vec<String> {
        let (mut names, mut after) = (Vec::new(), None);
        loop {
            let page = bucket.page(beginning, folders, after.as_deref());
            names.extend(page.entries.into_iter().map(|(name, _)| name));
            after = page.next;
            if after.is_none() {
                return names;
            }
        }
    }

    #[test]
    fn pages_hold_all_that_begins_so_once_and_in_order() {
        let mut bucket = Bucket::new(1, "b");
        for name in ["a/b-c", "a/b/2", "a/b/1", "a/b/3/4", "a/c", "a-b", "b"] {
            bucket.write(name, b"x", 0);
        }
        assert_eq!(
            names(&bucket, "a/", false),
            ["a/b-c", "a/b/1", "a/b/2", "a/b/3/4", "a/c"]
        );
        assert_eq!(names(&bucket, "a/", true), ["a/b-c", "a/b/", "a/c"]);
        assert_eq!(names(&bucket, "", true), ["a-b", "a/", "b"]);
        assert!(names(&bucket, "c/", false).is_empty());
    }

    #[test]
    fn nothing_is_met_by_more_faults_than_said() {
        let mut bucket = Bucket::new(7, "b");
        let mut met = 0;
        for line in (0..100).map(|n| format!("CREATE {n}")) {
            let fates: Vec<bool> = (0..6)
                .map(|_| bucket.fate(BucketCall::Create, &line).is_some())
                .collect();
            assert!(fates[2..].iter().all(|met| !met), "{line}: {fates:?}");
            met += fates.iter().filter(|met| **met).count();
        }
        assert!((100..200).contains(&met), "{met}");
    }
}
