//! A kept mailbox beside the server's: folder by folder, and message by message where the
//! folder's own numbers are not those of the archive or prove nothing.
//!
//! A folder of half a million messages has a thousand pages, which no single attempt lists.
//! So what was found of each folder, and how far the listing of one has come, is in the
//! store, and the checkpoint has its digest: nothing that grows. What an attempt has listed
//! when its time ends is not listed again; only one that is killed has listed for nothing.
//!
//! What stops an attempt that has listed something ends it without a fault; what stops the
//! next one before it has listed anything is that one's fault.

use super::archive_mailbox::{broken, class_after, digest, is_lost, name};
use crate::job::Job;
use offboard_archive::{Archive, ArchiveError, Known, Taken, key};
use offboard_connectors::{Answer, MailFolder, MailMessage, MailOwner};
use offboard_domain::time::HOUR_MS;
use offboard_domain::{Digest, Fault, FaultClass, Timestamp};
use offboard_store::StoreError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How often a folder is listed until a list is believed to be whole.
const LISTINGS_MAX: u32 = 4;
/// The bytes of a message that was listed, in the store.
const KEY_BYTES: usize = 16;

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
        known: None,
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
    /// The listings that are to be gone on with, likewise.
    begun: BTreeMap<u32, Begun>,
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

/// A listing of a folder, as the store has it.
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
    /// What was listed, a thing of the store for each attempt.
    listed: Vec<Digest>,
    /// Messages that the archive has.
    kept: u64,
    /// Messages that arrived after the pass began.
    later: u64,
    /// Whether the archive lacks a message.
    lacks: bool,
}

/// A comparison under way.
struct Comparison<'c, 'j> {
    job: &'c mut Job<'j>,
    owner: &'c MailOwner,
    archive: &'c Archive,
    so_far: SoFar,
    /// Read when the first folder is compared by message, and once: it is in every part.
    known: Option<BTreeMap<u32, Known>>,
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
                    if !self.read_known().await? {
                        return Ok(None);
                    }
                    let Some(listed) = self.by_message(folder, taken).await? else {
                        found.differ.push(UNREAD.to_owned());
                        break;
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

    /// Reads what the archive has; false: a part of it is not in the store.
    async fn read_known(&mut self) -> Answer<bool> {
        if self.known.is_some() {
            return Ok(true);
        }
        match self.archive.known_by_folder().await {
            Ok(all) => self.known = Some(all),
            Err(error) if is_lost(&error) => return Ok(false),
            Err(error) => return Err(broken(self.job, &error)),
        }
        Ok(true)
    }

    /// Lists a folder until the list is whole, and looks for each message in the archive;
    /// none: the rest is for another attempt.
    async fn by_message(&mut self, folder: &MailFolder, taken: &Taken) -> Answer<Option<Listed>> {
        let (number, began) = (taken.folder.number, self.archive.manifest.taken_from_ms);
        let reader = self.job.mail()?;
        let mut listing = self.begun(folder, number).await?;
        loop {
            // A page at least is listed in each attempt.
            if self.pages > 0 && !self.job.time_for_more() {
                self.lay_aside(number, listing).await?;
                return Ok(None);
            }
            let from = listing.begun.page.as_deref();
            let listed = reader.messages(&mut self.job.call, self.owner, folder, from).await;
            let page = match listed {
                Ok(page) => page,
                Err(_) if self.pages > 0 => {
                    self.lay_aside(number, listing).await?;
                    return Ok(None);
                }
                Err(fault) => {
                    // It may not know any more where the listing was to go on.
                    if matches!(fault.class, FaultClass::Rejected | FaultClass::Unsupported) {
                        self.so_far.begun.remove(&number);
                    }
                    return Err(fault);
                }
            };
            self.pages += 1;
            let nothing = Known::default();
            let known = self.known.as_ref().and_then(|all| all.get(&number));
            for message in &page.messages {
                listing.note(message, known.unwrap_or(&nothing), taken, began);
            }
            listing.begun.page = page.next;
            if listing.begun.page.is_some() {
                continue;
            }
            let whole = listing.is_whole(folder);
            if !listing.begun.lacks && !whole && listing.begun.earlier + 1 < LISTINGS_MAX {
                listing = listing.once_more(folder);
                continue;
            }
            self.so_far.begun.remove(&number);
            if !listing.begun.lacks && !whole {
                return Err(self.unsteady());
            }
            return Ok(Some(listing.found(taken)));
        }
    }

    /// The listing that an earlier attempt has begun; a new one if there is none, or if the
    /// store has lost what it listed.
    async fn begun(&self, folder: &MailFolder, number: u32) -> Answer<Listing> {
        let Some(begun) = self.so_far.begun.get(&number).cloned() else {
            return Ok(Listing::first(folder));
        };
        let mut keys = Vec::new();
        for listed in &begun.listed {
            match self.job.context.store.get(*listed).await {
                Ok(bytes) => keys.extend(unpacked(&bytes)),
                Err(StoreError::Absent { .. } | StoreError::Damaged { .. }) => return Ok(Listing::first(folder)),
                Err(error) => return Err(broken(self.job, &ArchiveError::from(error))),
            }
        }
        Ok(Listing::resumed(begun, keys))
    }

    /// Leaves a listing to the next attempt.
    async fn lay_aside(&mut self, number: u32, listing: Listing) -> Answer<()> {
        let mut begun = listing.begun;
        if !listing.new.is_empty() {
            begun.listed.push(self.put(packed(&listing.new)).await?);
        }
        self.so_far.begun.insert(number, begun);
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

/// One listing of a folder. A message counts once, however often it comes.
#[derive(Debug, Default)]
struct Listing {
    begun: Begun,
    all: Known,
    /// Those of them that this attempt listed.
    new: Vec<u128>,
    /// Over all of them, whatever their order.
    sum: u128,
}

impl Listing {
    fn first(folder: &MailFolder) -> Self {
        Self {
            begun: Begun {
                counted: folder.messages,
                ..Begun::default()
            },
            ..Self::default()
        }
    }

    fn resumed(begun: Begun, keys: Vec<u128>) -> Self {
        Self {
            begun,
            sum: keys.iter().fold(0, |sum, key| sum.wrapping_add(*key)),
            all: Known::of(keys),
            new: Vec::new(),
        }
    }

    /// Another one, because this one was not whole.
    fn once_more(self, folder: &MailFolder) -> Self {
        let mut next = Self::first(folder);
        next.begun.earlier = self.begun.earlier + 1;
        next.begun.before = Some(self.mark());
        next
    }

    fn note(&mut self, message: &MailMessage, known: &Known, taken: &Taken, began: Timestamp) {
        if self.all.has(&message.id) {
            return;
        }
        let key = key(&message.id);
        self.all.add(&message.id);
        self.new.push(key);
        self.sum = self.sum.wrapping_add(key);
        if known.has(&message.id) {
            self.begun.kept += 1;
        } else if is_later(message, taken, began) {
            self.begun.later += 1;
        } else {
            self.begun.lacks = true;
        }
    }

    fn mark(&self) -> String {
        format!("{}/{:032x}", self.all.len(), self.sum)
    }

    /// Whether nothing was passed over. Where there are no places, a list goes on after
    /// so many messages, and one that went from before the next page moves another one
    /// out of it. Then there are fewer than were counted when it began. That may be so for
    /// other reasons, but not twice with the same messages.
    fn is_whole(&self, folder: &MailFolder) -> bool {
        folder.next.is_some()
            || self.all.len() as u64 >= self.begun.counted
            || self.begun.before.as_ref() == Some(&self.mark())
    }

    fn found(&self, taken: &Taken) -> Listed {
        let Begun { later, kept, lacks, .. } = self.begun;
        // Of what was not delivered, it is not known which is lacking and which is gone.
        let undelivered = if lacks { 0 } else { taken.undelivered };
        Listed {
            later,
            gone: taken.messages.saturating_sub(kept) + undelivered,
            lacks,
        }
    }
}

fn packed(keys: &[u128]) -> Vec<u8> {
    keys.iter().flat_map(|key| key.to_be_bytes()).collect()
}

fn unpacked(bytes: &[u8]) -> impl Iterator<Item = u128> {
    bytes.chunks_exact(KEY_BYTES).map(|chunk| {
        let mut key = [0; KEY_BYTES];
        key.copy_from_slice(chunk);
        u128::from_be_bytes(key)
    })
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
