//! A kept mailbox beside the server's: folder by folder, and message by message where the
//! folder's own numbers are not those of the archive or prove nothing.
//!
//! A folder of half a million messages has a thousand pages, which no single attempt lists.
//! So what was found of each folder, and how far the listing of one has come, is in the
//! store, and the checkpoint has its digest: nothing that grows. What an attempt has listed
//! when its time ends is not listed again; only one that is killed has listed for nothing.
//! Where comparing takes time, a listing that is through is laid aside as such before: the next
//! attempt begins with it, if need be.
//! Nor is it held: a folder that has any number of messages is compared in flat memory
//! (`runs.rs`), and what the archive has is read for one folder, or some small ones, at a time.
//!
//! What stops an attempt that has listed something ends it without a fault; what stops the
//! next one before it has listed anything is that one's fault.

use super::archive_mailbox::{broken, class_after, digest, is_lost, name};
use super::runs::{self, RUN_KEYS, Runs};
use crate::job::Job;
use offboard_archive::{Archive, ArchiveError, Taken, key};
use offboard_connectors::{Answer, MailFolder, MailMessage, MailOwner};
use offboard_domain::time::HOUR_MS;
use offboard_domain::{Digest, Fault, FaultClass, Timestamp};
use offboard_store::StoreError;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How often a folder is listed until a list is believed to be whole.
const LISTINGS_MAX: u32 = 4;

/// So many parts of an archive are read in a moment; each has some ten thousand messages at most.
const PARTS_FEW: usize = 8;
/// Where in the store it is how far the comparison has come; it begins anew with each manifest.
const COMPARISON: &str = "comparison";
/// How long what was found of one folder counts while others are compared: longer than the
/// largest mailbox takes, and not until a person comes back to it after days.
const COMPARED_HOLDS_MS: i64 = 12 * HOUR_MS;
/// Stands among the folders that differ while some are not compared yet.
pub(super) const UNREAD: &str = "not compared yet";

/// What a comparison with the server found.
#[derive(Debug, Default)]
pub(super) struct Compared {
    /// Folders that differ, by their numbers; `new` for one that the archive lacks.
    pub(super) differ: Vec<String>,
    /// Messages that arrived after the pass began.
    pub(super) later: u64,
    /// Messages that the server had and has no more.
    pub(super) gone: u64,
}

/// Compares as far as the attempt's time goes; none: not all of the archive is in the store.
pub(super) async fn compare(
    job: &mut Job<'_>,
    owner: &MailOwner,
    archive: &Archive,
    folders: &[MailFolder],
) -> Answer<Option<Compared>> {
    let before = SoFar::remembered(job).await?;
    let mut comparison = Comparison {
        job,
        owner,
        archive,
        so_far: before.clone(),
        known: BTreeMap::new(),
        parts: Vec::new(),
        pages: 0,
    };
    let found = comparison.go_through(folders).await;
    if comparison.so_far != before {
        comparison.keep().await?;
    }
    let Some(found) = found? else { return Ok(None) };
    // While something differs it is taken, and compared once more.
    if found.differ.is_empty() {
        let missing = archive.missing().await.map_err(|e| broken(comparison.job, &e))?;
        if missing > 0 {
            return Ok(None);
        }
    }
    Ok(Some(found))
}

/// How far a comparison has come, as the store has it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct SoFar {
    /// When it began.
    #[serde(default)]
    began_ms: i64,
    /// What was found of the folders that were compared by message, by their numbers.
    compared: BTreeMap<u32, Listed>,
    /// The listings that are to be gone on with, likewise. Older versions had them elsewhere
    /// (`begun`, `listings`), each in another form. They find none there, and so does this one
    /// of what they left: the folder is listed anew.
    #[serde(default)]
    lists: BTreeMap<u32, Begun>,
    /// An older version cannot do without.
    #[serde(default, skip_deserializing)]
    begun: BTreeMap<u32, Digest>,
    /// How often a folder changed each time that it was listed.
    unsteady: u32,
}

impl SoFar {
    fn begun(job: &Job<'_>) -> Self {
        Self {
            began_ms: job.now_ms(),
            ..Self::default()
        }
    }

    /// Of what the store has lost, nothing, and nothing of what was seen too long ago: it
    /// is compared anew.
    async fn remembered(job: &Job<'_>) -> Answer<Self> {
        let Some(digest) = digest(&job.remembered, COMPARISON) else {
            return Ok(Self::begun(job));
        };
        let read: Option<Self> = match job.context.store.get(digest).await {
            Ok(bytes) => serde_json::from_slice(&bytes).ok(),
            Err(StoreError::Absent { .. } | StoreError::Damaged { .. }) => None,
            Err(error) => return Err(broken(job, &ArchiveError::from(error))),
        };
        Ok(match read {
            Some(so_far) if job.now_ms() - so_far.began_ms < COMPARED_HOLDS_MS => so_far,
            stale => Self {
                unsteady: stale.map_or(0, |so_far| so_far.unsteady),
                ..Self::begun(job)
            },
        })
    }
}

/// What a comparison message by message found of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Listed {
    later: u64,
    gone: u64,
    /// Whether the archive lacks a message.
    lacks: bool,
}

/// A listing of a folder, as the store has it. A message counts once, however often it comes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Begun {
    /// How many listings of the folder were not whole before it.
    earlier: u32,
    /// The mark of the last of those.
    before: Option<String>,
    /// How many messages the folder had when it began.
    counted: u64,
    /// Its next page, in the server's own words; none: its first.
    page: Option<String>,
    /// Whether there is none: it is to be compared.
    #[serde(default)]
    through: bool,
    /// What was listed.
    listed: Runs,
}

/// A comparison under way.
struct Comparison<'c, 'j> {
    job: &'c mut Job<'j>,
    owner: &'c MailOwner,
    archive: &'c Archive,
    so_far: SoFar,
    /// What the archive has of the folder at hand, and of small ones that follow it.
    known: BTreeMap<u32, Runs>,
    /// The archive's parts, each with the folders that it has messages of; none: no part was
    /// read yet.
    parts: Vec<(Digest, BTreeSet<u32>)>,
    /// Pages that this attempt has listed.
    pages: u64,
}

impl Comparison<'_, '_> {
    async fn go_through(&mut self, folders: &[MailFolder]) -> Answer<Option<Compared>> {
        let archive = self.archive;
        let mut found = Compared::default();
        for folder in folders {
            let same = |t: &&Taken| t.folder.id == folder.id && t.folder.generation == folder.generation;
            let Some(taken) = archive.manifest.folders.iter().find(same) else {
                // Nothing is lacking of an empty one.
                if folder.messages > 0 {
                    found.differ.push("new".to_owned());
                }
                continue;
            };
            if agrees(folder, taken) {
                found.gone += taken.messages.saturating_sub(taken.listed);
                continue;
            }
            let number = taken.folder.number;
            let listed = match self.so_far.compared.get(&number).copied() {
                Some(listed) => listed,
                None => {
                    let listed = match self.by_message(folder, taken).await? {
                        Done::Found(listed) => listed,
                        Done::Later => {
                            found.differ.push(UNREAD.to_owned());
                            break;
                        }
                        Done::Lost => return Ok(None),
                    };
                    self.so_far.compared.insert(number, listed);
                    listed
                }
            };
            found.later += listed.later;
            found.gone += listed.gone;
            if listed.lacks {
                found.differ.push(name(taken));
            }
        }
        Ok(Some(found))
    }

    /// Reads what the archive has of a folder; false: a part of it is not in the store.
    async fn read_known(&mut self, number: u32) -> Answer<bool> {
        if self.known.contains_key(&number) {
            return Ok(true);
        }
        match self.known_from(number).await {
            Ok(known) => self.known = known,
            Err(error) if is_lost(&error) => return Ok(false),
            Err(error) => return Err(broken(self.job, &error)),
        }
        Ok(true)
    }

    /// What the archive has of a folder, and of those after it that are to be compared too,
    /// as many as have no more messages together than a run. Every part is read once to
    /// know whose messages are in it.
    async fn known_from(&mut self, number: u32) -> offboard_archive::Result<BTreeMap<u32, Runs>> {
        let store = &self.job.context.store;
        let mut known = BTreeMap::from([(number, Runs::default())]);
        let mut messages = 0;
        let folders = self.archive.manifest.folders.iter();
        for taken in folders.skip_while(|t| t.folder.number != number) {
            messages += taken.messages;
            if messages > RUN_KEYS as u64 {
                break;
            }
            if !self.so_far.compared.contains_key(&taken.folder.number) {
                known.insert(taken.folder.number, Runs::default());
            }
        }
        let indexed = !self.parts.is_empty();
        let parts: Vec<Digest> = if indexed {
            let of_these = |has: &BTreeSet<u32>| known.keys().any(|folder| has.contains(folder));
            let parts = self.parts.iter().filter(|(_, has)| of_these(has));
            parts.map(|(part, _)| *part).collect()
        } else {
            self.archive.manifest.parts.clone()
        };
        let mut index = Vec::new();
        for part in parts {
            let mut has = BTreeSet::new();
            for (folder, key) in self.archive.keys_of(part).await? {
                has.insert(folder);
                if let Some(runs) = known.get_mut(&folder) {
                    runs.add(key, false);
                    runs.spill(store).await?;
                }
            }
            index.push((part, has));
        }
        if !indexed {
            self.parts = index;
        }
        Ok(known)
    }

    /// Lists a folder until the list is whole, and looks for each message in the archive.
    async fn by_message(&mut self, folder: &MailFolder, taken: &Taken) -> Answer<Done> {
        let (number, began) = (taken.folder.number, self.archive.manifest.taken_from_ms);
        let reader = self.job.mail()?;
        let begun = self.so_far.lists.get(&number).cloned();
        let mut listing = begun.unwrap_or_else(|| Begun::first(folder));
        loop {
            // A page at least is listed in each attempt, or what was listed is compared.
            let long = !listing.through || self.compares_long(number, &listing);
            if self.pages > 0 && long && !self.job.time_for_more() {
                self.lay_aside(number, &mut listing).await?;
                return Ok(Done::Later);
            }
            if listing.through {
                if !self.read_known(number).await? {
                    return Ok(Done::Lost);
                }
                let found = self.looked_up(number, &listing).await?;
                let whole = listing.is_whole(folder, &found);
                self.so_far.lists.remove(&number);
                if found.lacking == 0 && !whole && listing.earlier + 1 < LISTINGS_MAX {
                    listing = listing.once_more(folder, &found);
                    continue;
                }
                if found.lacking == 0 && !whole {
                    return Err(self.unsteady());
                }
                return Ok(Done::Found(Listed::of(&found, taken)));
            }
            let from = listing.page.as_deref();
            let listed = reader.messages(&mut self.job.call, self.owner, folder, from).await;
            let page = match listed {
                Ok(page) => page,
                Err(_) if self.pages > 0 => {
                    self.lay_aside(number, &mut listing).await?;
                    return Ok(Done::Later);
                }
                Err(fault) => {
                    // It may not know any more where the listing was to go on.
                    if matches!(fault.class, FaultClass::Rejected | FaultClass::Unsupported) {
                        self.so_far.lists.remove(&number);
                    }
                    return Err(fault);
                }
            };
            self.pages += 1;
            for message in &page.messages {
                listing.listed.add(key(&message.id), is_later(message, taken, began));
            }
            let written = listing.listed.spill(&self.job.context.store).await;
            written.map_err(|error| broken(self.job, &ArchiveError::from(error)))?;
            listing.page = page.next;
            listing.through = listing.page.is_none();
            // It must not be lost if the time ends while it is compared.
            if listing.through && self.compares_long(number, &listing) {
                self.lay_aside(number, &mut listing).await?;
                self.keep().await?;
            }
        }
    }

    /// Whether it takes time to compare what was listed of a folder.
    fn compares_long(&self, number: u32, listing: &Begun) -> bool {
        let unread = !self.known.contains_key(&number);
        listing.listed.has_spilled() || (unread && self.archive.manifest.parts.len() > PARTS_FEW)
    }

    /// Looks for what was listed of a folder in what the archive has of it. What the store
    /// has lost of a listing is listed anew, by the next attempt.
    async fn looked_up(&mut self, number: u32, listing: &Begun) -> Answer<runs::Compared> {
        let nothing = Runs::default();
        let known = self.known.get(&number).unwrap_or(&nothing);
        let found = runs::compare(&self.job.context.store, &listing.listed, known).await;
        found.map_err(|error| {
            let error = ArchiveError::from(error);
            if is_lost(&error) {
                self.so_far.lists.remove(&number);
            }
            broken(self.job, &error)
        })
    }

    /// Leaves a listing to the next attempt.
    async fn lay_aside(&mut self, number: u32, listing: &mut Begun) -> Answer<()> {
        let written = listing.listed.lay_aside(&self.job.context.store).await;
        written.map_err(|error| broken(self.job, &ArchiveError::from(error)))?;
        self.so_far.lists.insert(number, listing.clone());
        Ok(())
    }

    /// A folder changed each time that it was listed.
    fn unsteady(&mut self) -> Fault {
        self.so_far.unsteady = self.so_far.unsteady.saturating_add(1);
        self.job.fault(
            class_after(self.job, self.so_far.unsteady),
            "a folder changed each time that it was listed, so that messages may have been passed over; it is compared again",
        )
    }

    /// Remembers how far it has come.
    async fn keep(&mut self) -> Answer<()> {
        let json = serde_json::to_vec(&self.so_far).map_err(|_| {
            self.job.fault(
                FaultClass::Rejected,
                "what was compared cannot be written as JSON; report this",
            )
        })?;
        let digest = self.put(json).await?;
        self.job.remembered.set(COMPARISON, digest.to_string());
        Ok(())
    }

    async fn put(&self, bytes: Vec<u8>) -> Answer<Digest> {
        let put = self.job.context.store.put(bytes).await;
        put.map_err(|error| broken(self.job, &ArchiveError::from(error)))
    }
}

/// How a folder's comparison ended.
enum Done {
    Found(Listed),
    /// The rest is for another attempt.
    Later,
    /// A part of the archive is not in the store.
    Lost,
}

impl Begun {
    fn first(folder: &MailFolder) -> Self {
        Self {
            counted: folder.messages,
            ..Self::default()
        }
    }

    /// Another one, because this one was not whole.
    fn once_more(self, folder: &MailFolder, found: &runs::Compared) -> Self {
        Self {
            earlier: self.earlier + 1,
            before: Some(mark(found)),
            ..Self::first(folder)
        }
    }

    /// Whether nothing was passed over. Where there are no places, a list goes on after
    /// so many messages, and one that went from before the next page moves another one
    /// out of it. Then there are fewer than were counted when it began. That may be so for
    /// other reasons, but not twice with the same messages.
    fn is_whole(&self, folder: &MailFolder, found: &runs::Compared) -> bool {
        folder.next.is_some() || found.listed >= self.counted || self.before.as_ref() == Some(&mark(found))
    }
}

/// Which messages were listed.
fn mark(found: &runs::Compared) -> String {
    format!("{}/{:032x}", found.listed, found.sum)
}

impl Listed {
    fn of(found: &runs::Compared, taken: &Taken) -> Self {
        let lacks = found.lacking > 0;
        // Of what was not delivered, it is not known which is lacking and which is gone.
        let undelivered = if lacks { 0 } else { taken.undelivered };
        Self {
            later: found.later,
            gone: taken.messages.saturating_sub(found.kept) + undelivered,
            lacks,
        }
    }
}

/// Whether a message that the archive lacks arrived after the pass began. One that was
/// moved here has a place after all others too, but is older.
fn is_later(message: &MailMessage, taken: &Taken, began: Timestamp) -> bool {
    message.place >= taken.next && message.received_ms.is_some_and(|ms| ms >= began.0)
}

/// Whether the server says of a folder what it said when it was taken, and all of that
/// is in the archive. Without a place or a mark it proves nothing: one that went and one
/// that came look like none.
fn agrees(folder: &MailFolder, taken: &Taken) -> bool {
    let sizes = match (folder.bytes, taken.listed_bytes) {
        (Some(now), Some(then)) => now == then,
        _ => true,
    };
    let places = folder.next.is_some_and(|next| next <= taken.next.max(1));
    let delivered = taken.undelivered == 0 && folder.messages <= taken.messages;
    let marked = folder.state.is_some() && folder.state == taken.state;
    delivered && folder.messages == taken.listed && sizes && (places || marked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_older_version_was_listing_is_listed_anew_and_it_finds_nothing_of_ours() {
        let older = r#"{"began_ms": 5, "compared": {"1": {"later": 1, "gone": 2, "lacks": false}}, "unsteady": 1,
            "begun": {"2": {"earlier": 0, "before": null, "counted": 9, "page": "3", "listed": [], "kept": 2,
                            "later": 0, "lacks": false}},
            "listings": {"3": {"earlier": 0, "before": null, "counted": 9, "page": "3",
                               "listed": {"put": ["0000000000000000000000000000000000000000000000000000000000000000"],
                                          "keys": 1}}}}"#;
        let mut so_far: SoFar = serde_json::from_str(older).unwrap();
        assert_eq!((so_far.compared[&1].gone, so_far.unsteady), (2, 1));
        assert!(so_far.lists.is_empty());
        so_far.lists.insert(2, Begun::default());
        let written = serde_json::to_value(&so_far).unwrap();
        assert_eq!(
            written["begun"],
            serde_json::json!({}),
            "it looks for this and needs it"
        );
        assert_eq!(written.get("listings"), None, "a later one looks for this");
        assert_eq!(serde_json::from_value::<SoFar>(written).unwrap(), so_far);
    }

    #[test]
    fn a_folder_agrees_only_when_count_size_and_place_do() {
        let folder = MailFolder {
            id: "INBOX".to_owned(),
            generation: "7".to_owned(),
            path: vec!["INBOX".to_owned()],
            messages: 3,
            bytes: Some(300),
            next: Some(9),
            state: Some("41".to_owned()),
        };
        let taken = Taken {
            folder: offboard_archive::FolderEntry {
                number: 1,
                id: "INBOX".to_owned(),
                generation: "7".to_owned(),
                path: vec!["INBOX".to_owned()],
                maildir: "mail/0001-INBOX".to_owned(),
            },
            messages: 3,
            bytes: 300,
            listed: 3,
            undelivered: 0,
            listed_bytes: Some(300),
            next: 9,
            state: Some("40".to_owned()),
        };
        assert!(agrees(&folder, &taken));
        let undelivered = Taken {
            undelivered: 1,
            ..taken.clone()
        };
        let not_kept = Taken {
            messages: 2,
            ..taken.clone()
        };
        for lacking in [undelivered, not_kept] {
            assert!(!agrees(&folder, &lacking), "listed is not kept: {lacking:?}");
        }
        let without_marks = MailFolder {
            next: None,
            state: None,
            ..folder.clone()
        };
        assert!(!agrees(&without_marks, &taken), "a count alone proves nothing");
        for (differs, why) in [
            (
                MailFolder {
                    messages: 4,
                    ..folder.clone()
                },
                "a message more",
            ),
            (
                MailFolder {
                    bytes: Some(299),
                    ..folder.clone()
                },
                "a byte less",
            ),
            (
                MailFolder {
                    next: Some(10),
                    ..folder.clone()
                },
                "one came and one went",
            ),
        ] {
            assert!(!agrees(&differs, &taken), "{why}");
        }
        let untouched = MailFolder {
            next: Some(12),
            state: Some("40".to_owned()),
            ..folder
        };
        assert!(
            agrees(&untouched, &taken),
            "the server's own mark says that nothing changed"
        );
    }
}
