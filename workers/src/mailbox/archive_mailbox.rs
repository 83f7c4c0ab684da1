//! `mailbox.archive_mailbox`: the whole mailbox, in the form of
//! `offboard-archive`, slice by slice.
//!
//! A slice goes through the server's folders, takes what the archive lacks, and
//! ends with a part; the checkpoint is that part's digest. When a pass is
//! through, the manifest is written, and the slice ends there all the same: the
//! comparison is for another attempt, which reads the server anew.
//!
//! A message counts as kept when its bytes are, never because it was listed: what a
//! server lists and does not deliver is looked for again, and is either gone or a fault.
//!
//! What stops a slice that has taken something ends it without a fault, so that
//! nothing is taken twice; what stops the next one before it has taken anything
//! is that one's fault.

use crate::job::{Applied, Job, Seen, Things, count};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_archive::{Archive, ArchiveError, Cursor, Known, Manifest, Meta, Taken, Writer, key};
use offboard_connectors::{Answer, Call, MailFolder, MailMessage, MailOwner, MailReader, MailSink};
use offboard_domain::time::DAY_MS;
use offboard_domain::{Artifact, Digest, Facts, Fault, FaultClass, Timestamp};
use offboard_store::StoreError;
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

/// Most messages that are asked for at once.
const BATCH_MESSAGES: usize = 100;
/// Most bytes that are asked for at once, when the server says sizes.
const BATCH_BYTES: u64 = 8 * 1024 * 1024;
/// A year has at most so many days: what is kept is never kept too short.
const YEAR_DAYS: i64 = 366;
/// The share of an attempt that is kept for closing the part and reporting.
const CLOSING_SHARE: u32 = 5;
/// How often a folder is listed until a list is believed to be whole.
const LISTINGS_MAX: u32 = 4;

const PART: &str = "part";
const MANIFEST: &str = "manifest";
const MESSAGES: &str = "messages";
const BYTES: &str = "bytes";
/// How many messages there were when the last pass ended.
const PASSED: &str = "passed_messages";
/// Stands among the folders that differ while some are not compared yet.
const UNREAD: &str = "not compared yet";

/// The media type of the manifest.
const MEDIA_TYPE: &str = "application/json";
/// What the manifest is called among the case's artifacts.
const ARTIFACT: &str = "archive.manifest";

pub(crate) struct ArchiveMailbox;

#[async_trait]
impl Procedure for ArchiveMailbox {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let owner = owner(job);
        let Some(folders) = job.mail()?.folders(&mut job.call, &owner).await? else {
            // A server that has mail alone has nobody else to ask.
            if let (Some(mailboxes), Some(id)) = (job.connector.mailboxes(), &owner.id)
                && mailboxes.settings(&mut job.call, id).await?.is_some()
            {
                return Err(job.fault(
                    FaultClass::Transient,
                    "there are no folders to be read, and a second interface reads the mailbox's settings; they are read again",
                ));
            }
            return match vanished(job) {
                Some(fault) => Err(fault),
                None => Ok(Seen::facts(Facts::new().with("mailbox_exists", false))),
            };
        };
        let on_server: u64 = folders.iter().map(|f| f.messages).sum();
        let mut facts = Facts::new()
            .with("mailbox_exists", true)
            .with("server_folders", count(folders.len()))
            .with("server_messages", whole(on_server))
            .with("archive_complete", false);
        if let Some(archive) = kept(job).await? {
            let manifest = &archive.manifest;
            facts.set("archive_complete", true);
            facts.set("manifest_sha256", archive.digest.to_string());
            facts.set("archived_messages", whole(manifest.messages));
            facts.set("archived_bytes", whole(manifest.bytes));
            if let Some(until) = manifest.keep_until_ms {
                facts.set("keep_until_ms", until.0);
            }
            let found = compare(job, &owner, &archive, &folders).await?;
            facts.set("arrived_later", whole(found.later));
            facts.set("gone_since", whole(found.gone));
            facts.set("folders_that_differ", found.differ);
            let size_bytes = serde_json::to_vec_pretty(manifest).map_or(0, |json| json.len() as u64);
            job.artifacts.retain(|a| a.name != ARTIFACT);
            job.artifacts.push(Artifact {
                name: ARTIFACT.to_owned(),
                digest: archive.digest,
                media_type: MEDIA_TYPE.to_owned(),
                size_bytes,
            });
        }
        Ok(Seen::with(facts, Things::Folders(folders)))
    }

    async fn apply(&self, job: &mut Job<'_>, seen: &Seen) -> Answer<Applied> {
        let Things::Folders(folders) = &seen.things else {
            return Ok(Applied::All);
        };
        let differ = seen.facts.list("folders_that_differ").unwrap_or_default();
        if differ.iter().any(|d| d == UNREAD) {
            return Ok(Applied::Part);
        }
        let part = digest(&job.remembered, PART).filter(|_| !lost(job, &seen.facts));
        let mut writer = match Writer::resume(&job.context.store, part).await {
            // Without what it went on from, all of it is taken anew.
            Err(ArchiveError::Store(StoreError::Absent { .. } | StoreError::Damaged { .. })) => {
                Writer::resume(&job.context.store, None).await
            }
            resumed => resumed,
        }
        .map_err(|e| broken(job, &e))?;
        let now = job.call.now();
        writer.begin_pass(now, |taken| !differ.contains(&name(taken)));
        let mut slice = Slice::of(job, &mut writer);
        let stopped = slice.pass(folders).await;
        let (taken_some, moved) = (slice.took > 0, slice.took + slice.pages > 0);
        let receipts = slice.call.take_receipts();
        receipts.into_iter().for_each(|r| job.call.note_read_receipt(r));
        let (part, manifest) = match &stopped {
            Ok(true) => {
                let (part, manifest) = writer.end_pass(about(job)).await.map_err(|e| broken(job, &e))?;
                (part, Some(manifest))
            }
            Ok(false) => (writer.close_part().await.map_err(|e| broken(job, &e))?, None),
            Err(fault) if !taken_some => return Err(fault.clone()),
            Err(_) => (writer.close_part().await.map_err(|e| broken(job, &e))?, None),
        };
        if stopped == Ok(false) && !moved {
            return Err(job.fault(
                FaultClass::Transient,
                "one slice's time was not enough for a single message; look at the connection to the server",
            ));
        }
        let totals = writer.totals();
        let mut checkpoint = Facts::new()
            .with(MESSAGES, whole(totals.messages))
            .with(BYTES, whole(totals.bytes));
        if let Some(part) = part {
            checkpoint.set(PART, part.to_string());
        }
        let before = job.remembered.int(PASSED);
        let passed = manifest.map(|_| whole(totals.messages)).or(before);
        if let Some(passed) = passed {
            checkpoint.set(PASSED, passed);
        }
        if let Some(manifest) = manifest {
            checkpoint.set(MANIFEST, manifest.to_string());
        }
        job.remembered = checkpoint;
        // A whole pass for what was lacking, and none of it came.
        if manifest.is_some() && totals.undelivered > 0 && before == passed {
            return Err(undelivered(job, totals.undelivered));
        }
        Ok(Applied::Part)
    }
}

fn owner(job: &Job<'_>) -> MailOwner {
    MailOwner {
        id: job.account().ok(),
        login: job.params.text("mail_login").map(str::to_owned),
    }
}

fn whole(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn digest(facts: &Facts, name: &str) -> Option<Digest> {
    facts.text(name)?.parse().ok()
}

/// Whether a manifest was written and cannot be had any more.
fn lost(job: &Job<'_>, seen: &Facts) -> bool {
    digest(&job.remembered, MANIFEST).is_some() && seen.bool("archive_complete") == Some(false)
}

/// How a folder is named where no name of the mailbox may stand.
fn name(taken: &Taken) -> String {
    format!("{:04}", taken.folder.number)
}

/// What the manifest says besides what the writer knows.
fn about(job: &Job<'_>) -> Manifest {
    let now = job.call.now();
    let years = job.params.int("keep_years");
    Manifest {
        form: String::new(),
        tenant: job.tenant.to_string(),
        case: job.case.to_string(),
        system: job.target.system.to_string(),
        mailbox: job.account().map(|id| id.0).unwrap_or_default(),
        taken_from_ms: now,
        taken_to_ms: now,
        keep_until_ms: years.map(|y| now.plus(y.saturating_mul(YEAR_DAYS * DAY_MS))),
        messages: 0,
        bytes: 0,
        folders: Vec::new(),
        parts: Vec::new(),
    }
}

fn broken(job: &Job<'_>, error: &ArchiveError) -> Fault {
    tracing::warn!(kind = job.kind.name(), error = %error, "failed to write or read an archive");
    let detail = match error {
        ArchiveError::Store(StoreError::Unavailable { .. }) => {
            "the store did not take, or not give back, a piece of the archive; look at the store"
        }
        _ => "what is in the store of this archive is not what was put there; look at the store, then retry",
    };
    job.fault(FaultClass::Transient, detail)
}

fn undelivered(job: &Job<'_>, messages: u64) -> Fault {
    job.fault(
        FaultClass::Transient,
        &format!(
            "the server lists messages that it does not deliver ({messages}), and did not when it was asked again; \
             look at them in the mailbox (`offboard archive list` shows the folders and what is kept of each), then retry"
        ),
    )
}

/// A mailbox that was there when some of it was kept is not one that never was.
fn vanished(job: &Job<'_>) -> Option<Fault> {
    let (what, digest) = [(MANIFEST, "manifest"), (PART, "last part")]
        .into_iter()
        .find_map(|(fact, what)| Some((what, digest(&job.remembered, fact)?)))?;
    let kept = |fact: &str| job.remembered.int(fact).unwrap_or(0);
    Some(job.fault(
        FaultClass::Blocked,
        &format!(
            "the mailbox is gone, and its archive is not known to be whole: {} messages ({} bytes) of it are kept \
             ({what} {digest}); bring it back (in Microsoft 365 give the account a licence again within 30 days), \
             then retry, or waive this if that is all there is to keep",
            kept(MESSAGES),
            kept(BYTES)
        ),
    ))
}

/// The archive that the last pass made, if all of it is in the store.
async fn kept(job: &Job<'_>) -> Answer<Option<Archive>> {
    let Some(digest) = digest(&job.remembered, MANIFEST) else {
        return Ok(None);
    };
    let archive = match Archive::open(&job.context.store, digest).await {
        Ok(archive) => archive,
        Err(ArchiveError::Store(StoreError::Absent { .. } | StoreError::Damaged { .. })) => return Ok(None),
        Err(error) => return Err(broken(job, &error)),
    };
    match archive.missing().await {
        Ok(0) => Ok(Some(archive)),
        Ok(_) => Ok(None),
        Err(error) => Err(broken(job, &error)),
    }
}

/// What a comparison with the server found.
#[derive(Debug, Default)]
struct Compared {
    /// Folders that differ, by their numbers; `new` for one that the archive lacks.
    differ: Vec<String>,
    /// Messages that arrived after the pass began.
    later: u64,
    /// Messages that the server had and has no more.
    gone: u64,
}

/// Compares folder by folder, and message by message where the folder's own
/// numbers are not those of the archive or prove nothing. What is compared by message
/// is remembered, so that a large mailbox may take several attempts.
async fn compare(job: &mut Job<'_>, owner: &MailOwner, archive: &Archive, folders: &[MailFolder]) -> Answer<Compared> {
    let mut found = Compared::default();
    // Read when the first folder is compared by message, and once: it is in every part.
    let mut known: Option<BTreeMap<u32, Known>> = None;
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
        let listed = match Listed::remembered(&job.remembered, taken) {
            Some(listed) => listed,
            // One at least is compared in each attempt.
            None if known.is_some() && !job.time_for_more() => {
                found.differ.push(UNREAD.to_owned());
                break;
            }
            None => {
                let all = match known.take() {
                    Some(all) => all,
                    None => archive.known_by_folder().await.map_err(|e| broken(job, &e))?,
                };
                let of_it = known.insert(all).entry(taken.folder.number).or_default();
                let began = archive.manifest.taken_from_ms;
                let listed = by_message(job, owner, folder, taken, of_it, began).await?;
                listed.remember(&mut job.remembered, taken);
                listed
            }
        };
        found.later += listed.later;
        found.gone += listed.gone;
        if listed.lacks {
            found.differ.push(name(taken));
        }
    }
    Ok(found)
}

/// What a comparison message by message found of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Listed {
    later: u64,
    gone: u64,
    /// Whether the archive lacks a message.
    lacks: bool,
}

impl Listed {
    /// Their names in the checkpoint, which begins anew with each manifest.
    fn facts(taken: &Taken) -> [String; 3] {
        ["later", "gone", "lacks"].map(|fact| format!("{fact}/{}", name(taken)))
    }

    fn remembered(facts: &Facts, taken: &Taken) -> Option<Self> {
        let [later, gone, lacks] = Self::facts(taken);
        let number = |fact: &str| u64::try_from(facts.int(fact)?).ok();
        Some(Self {
            later: number(&later)?,
            gone: number(&gone)?,
            lacks: facts.bool(&lacks)?,
        })
    }

    fn remember(self, facts: &mut Facts, taken: &Taken) {
        let [later, gone, lacks] = Self::facts(taken);
        facts.set(&later, whole(self.later));
        facts.set(&gone, whole(self.gone));
        facts.set(&lacks, self.lacks);
    }
}

/// Lists a folder until the list is whole, and looks for each message in the archive.
async fn by_message(
    job: &mut Job<'_>,
    owner: &MailOwner,
    folder: &MailFolder,
    taken: &Taken,
    known: &Known,
    began: Timestamp,
) -> Answer<Listed> {
    let mut before = None;
    for _ in 0..LISTINGS_MAX {
        let mut listing = Listing::default();
        let mut page = None;
        loop {
            let answer = job
                .mail()?
                .messages(&mut job.call, owner, folder, page.as_deref())
                .await?;
            for message in &answer.messages {
                listing.note(message, known, taken, began);
            }
            match answer.next {
                Some(next) => page = Some(next),
                None => break,
            }
        }
        if listing.lacks || listing.is_whole(folder, before) {
            // Of what was not delivered, it is not known which is lacking and which is gone.
            let undelivered = if listing.lacks { 0 } else { taken.undelivered };
            return Ok(Listed {
                later: listing.later,
                gone: taken.messages.saturating_sub(listing.kept) + undelivered,
                lacks: listing.lacks,
            });
        }
        before = Some(listing.mark());
    }
    Err(job.fault(
        FaultClass::Transient,
        "a folder changed each time that it was listed, so that messages may have been passed over; it is compared again",
    ))
}

/// One listing of a folder. A message counts once, however often it comes.
#[derive(Debug, Default)]
struct Listing {
    all: Known,
    /// Over the ids, whatever their order.
    sum: u128,
    kept: u64,
    later: u64,
    lacks: bool,
}

impl Listing {
    fn note(&mut self, message: &MailMessage, known: &Known, taken: &Taken, began: Timestamp) {
        if self.all.has(&message.id) {
            return;
        }
        self.all.add(&message.id);
        self.sum = self.sum.wrapping_add(key(&message.id));
        if known.has(&message.id) {
            self.kept += 1;
        } else if is_later(message, taken, began) {
            self.later += 1;
        } else {
            self.lacks = true;
        }
    }

    fn mark(&self) -> (usize, u128) {
        (self.all.len(), self.sum)
    }

    /// Whether nothing was passed over. Where there are no places, a list goes on after
    /// so many messages, and one that went from before the next page moves another one
    /// out of it. Then there are fewer than were counted. That may be so for other reasons,
    /// but not twice with the same messages.
    fn is_whole(&self, folder: &MailFolder, before: Option<(usize, u128)>) -> bool {
        folder.next.is_some() || self.all.len() as u64 >= folder.messages || before == Some(self.mark())
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

/// One slice's work.
struct Slice<'s, 'j> {
    reader: Answer<&'j dyn MailReader>,
    /// Ends before the attempt does.
    call: Call,
    owner: MailOwner,
    whole: Duration,
    job: &'s Job<'j>,
    writer: &'s mut Writer,
    /// Messages that it took, and pages that it is through with.
    took: u64,
    pages: u64,
}

impl<'s, 'j> Slice<'s, 'j> {
    fn of(job: &'s Job<'j>, writer: &'s mut Writer) -> Self {
        let whole = job.call.remaining();
        let ends = job.call.deadline() - whole / CLOSING_SHARE;
        Self {
            reader: job.mail(),
            call: Call::new(job.call.clock().clone(), ends, job.call.lane()).marked(job.call.mark()),
            owner: owner(job),
            whole,
            job,
            writer,
            took: 0,
            pages: 0,
        }
    }

    /// Whether there is time for another batch.
    fn go_on(&self) -> bool {
        const KEPT_SHARE: u32 = 8;
        self.call.remaining() > self.whole / KEPT_SHARE
    }

    /// Goes on with the pass; true when it is through.
    async fn pass(&mut self, folders: &[MailFolder]) -> Answer<bool> {
        for folder in folders {
            let number = self.writer.folder(&folder.id, &folder.generation, &folder.path);
            if self.writer.is_done(number) {
                continue;
            }
            if !self.folder(folder, number).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Goes on with a folder; true when it is through.
    async fn folder(&mut self, folder: &MailFolder, number: u32) -> Answer<bool> {
        let reader = self.reader.clone()?;
        let mut known = match self.writer.messages_of(number) {
            0 => Known::default(),
            _ => self.writer.known(number).await.map_err(|e| broken(self.job, &e))?,
        };
        let begins = Cursor {
            folder: number,
            page: None,
            listed: 0,
            undelivered: 0,
            listed_bytes: folder.bytes.map(|_| 0),
            next: 0,
        };
        let mut cursor = self
            .writer
            .cursor()
            .filter(|c| c.folder == number)
            .cloned()
            .unwrap_or(begins);
        loop {
            let page = reader
                .messages(&mut self.call, &self.owner, folder, cursor.page.as_deref())
                .await?;
            let mut once = HashSet::new();
            let lacks = |m: &&MailMessage| !known.has(&m.id) && once.insert(m.id.clone());
            let lacking: Vec<MailMessage> = page.messages.iter().filter(lacks).cloned().collect();
            for batch in batches(&lacking) {
                if !self.go_on() {
                    return Ok(false);
                }
                let mut sink = Sink {
                    writer: self.writer,
                    job: self.job,
                    folder: number,
                    which: batch,
                    known: &mut known,
                    begun: None,
                    took: 0,
                };
                let fetched = reader
                    .fetch(&mut self.call, &self.owner, folder, batch, &mut sink)
                    .await;
                let took = sink.took;
                self.took += took;
                self.writer.abandon();
                fetched?;
            }
            self.pages += 1;
            cursor.undelivered += lacking.iter().filter(|m| !known.has(&m.id)).count() as u64;
            for message in &page.messages {
                cursor.next = cursor.next.max(message.place + 1);
                if !known.has(&message.id) {
                    continue;
                }
                cursor.listed += 1;
                cursor.listed_bytes = cursor.listed_bytes.zip(message.bytes).map(|(sum, bytes)| sum + bytes);
            }
            let through = page.next.is_none();
            cursor.page = page.next;
            self.writer.set_cursor(cursor.clone());
            if through {
                cursor.next = cursor.next.max(folder.next.unwrap_or(0));
                self.writer.set_cursor(cursor);
                self.writer.end_folder(folder.state.clone());
                return Ok(true);
            }
        }
    }
}

/// Messages in the order of the page, not too many and not too large together.
fn batches(messages: &[MailMessage]) -> Vec<&[MailMessage]> {
    let (mut out, mut from, mut bytes) = (Vec::new(), 0, 0_u64);
    for (at, message) in messages.iter().enumerate() {
        let more = message.bytes.unwrap_or(0);
        if at > from && (at - from >= BATCH_MESSAGES || bytes + more > BATCH_BYTES) {
            out.push(&messages[from..at]);
            (from, bytes) = (at, 0);
        }
        bytes += more;
    }
    if from < messages.len() {
        out.push(&messages[from..]);
    }
    out
}

/// Takes messages into the archive, each only when it is as long as was said.
struct Sink<'a, 'j> {
    writer: &'a mut Writer,
    job: &'a Job<'j>,
    folder: u32,
    which: &'a [MailMessage],
    /// What the archive has of the folder.
    known: &'a mut Known,
    begun: Option<usize>,
    took: u64,
}

#[async_trait]
impl MailSink for Sink<'_, '_> {
    async fn begin(&mut self, index: usize) -> Answer<()> {
        let Some(message) = self.which.get(index) else {
            return Err(self.job.fault(
                FaultClass::Transient,
                "the server sent a message that was not asked for",
            ));
        };
        self.begun = Some(index);
        let meta = Meta {
            id: message.id.clone(),
            flags: message.flags.clone(),
            received_ms: message.received_ms,
        };
        self.writer.begin(self.folder, meta);
        Ok(())
    }

    async fn bytes(&mut self, bytes: &[u8]) -> Answer<()> {
        self.writer.bytes(bytes).await.map_err(|e| broken(self.job, &e))
    }

    async fn end(&mut self) -> Answer<()> {
        let which = self.which;
        let message = self.begun.take().and_then(|i| which.get(i));
        let said = message.and_then(|m| m.bytes);
        let sent = self.writer.written();
        if said.is_some_and(|said| said != sent) {
            self.writer.abandon();
            return Err(self.job.fault(
                FaultClass::Transient,
                "the server sent a message of another size than it says; if it only estimates sizes, say so in the system's configuration (exact_sizes = false)",
            ));
        }
        self.writer.end().await.map_err(|e| broken(self.job, &e))?;
        self.took += 1;
        if let Some(message) = message {
            self.known.add(&message.id);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(bytes: Option<u64>) -> MailMessage {
        MailMessage {
            id: "1".to_owned(),
            place: 1,
            flags: Vec::new(),
            received_ms: None,
            bytes,
        }
    }

    #[test]
    fn a_batch_is_bounded_in_messages_and_bytes() {
        let small = vec![message(Some(10)); 250];
        assert_eq!(
            batches(&small).iter().map(|b| b.len()).collect::<Vec<_>>(),
            [100, 100, 50]
        );
        let large = vec![
            message(Some(BATCH_BYTES - 1)),
            message(Some(2)),
            message(Some(BATCH_BYTES * 9)),
            message(None),
        ];
        assert_eq!(
            batches(&large).iter().map(|b| b.len()).collect::<Vec<_>>(),
            [1, 1, 1, 1]
        );
        assert!(batches(&[]).is_empty());
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
