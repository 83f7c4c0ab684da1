//! `mailbox.archive_mailbox`: the whole mailbox, in the form of
//! `offboard-archive`, slice by slice.
//!
//! A slice goes through the server's folders, takes what the archive lacks, and
//! ends with a part; the checkpoint is that part's digest. When a pass is
//! through, the manifest is written, and the slice ends there all the same: the
//! comparison (`archive_comparison.rs`) is for another attempt, which reads the server anew.
//!
//! A message counts as kept when its bytes are, never because it was listed: what a
//! server lists and does not deliver is looked for again, and is either gone or a fault,
//! whatever else the pass took. One that the server fails over (an error for it alone, another
//! size than was said, silence) is such a one too, and stops no other: it is asked for by itself, more
//! than once, and passed over only while others are delivered, so that an outage is no message's
//! fault. Each such try is remembered (`failed.rs`): the next attempt asks for the others of the
//! page first, and goes on behind what has failed often enough.
//!
//! What stops a slice that has taken something ends it without a fault, so that
//! nothing is taken twice; what stops the next one before it has taken anything
//! is that one's fault.

use super::archive_comparison::{Compared, UNREAD, compare};
use super::failed::{FAILED, Failed};
use crate::job::{Applied, Job, Seen, Things, count};
use crate::procedure::Procedure;
use async_trait::async_trait;
use offboard_archive::{Archive, ArchiveError, Cursor, Known, Manifest, Meta, Taken, Writer};
use offboard_connectors::{Answer, Call, MailFolder, MailMessage, MailOwner, MailReader, MailSink};
use offboard_domain::catalogue::MAILBOX_EXISTS;
use offboard_domain::time::DAY_MS;
use offboard_domain::{Artifact, Digest, Facts, Fault, FaultClass};
use offboard_store::StoreError;
use std::collections::HashSet;
use std::time::Duration;
use tokio::time::Instant;

/// Most messages that are asked for at once.
const BATCH_MESSAGES: usize = 100;
/// Most bytes that are asked for at once, when the server says sizes.
const BATCH_BYTES: u64 = 8 * 1024 * 1024;
/// The share of what is left of a slice that several messages together may take: if the server is
/// silent over one of them, there is time to ask for each by itself.
const TOGETHER_SHARE: u32 = 2;
/// The share of a slice that must be left for a message to be asked for by itself, unless that is
/// the slice's first step: what then gets no answer had time enough.
const ALONE_SHARE: u32 = 4;
/// The share of a slice in which nothing more is begun.
const KEPT_SHARE: u32 = 8;
/// The share of what is left of a slice that one witness may take.
const WITNESS_SHARE: u32 = 3;
/// How many messages, and folders, are asked for to know whether the server delivers any.
const WITNESSES: usize = 3;
/// Most folders that a fault names.
const FOLDERS_NAMED: usize = 5;
/// A year has at most so many days: what is kept is never kept too short.
const YEAR_DAYS: i64 = 366;
/// The share of an attempt that is kept for closing the part and reporting.
const CLOSING_SHARE: u32 = 5;

const PART: &str = "part";
const MANIFEST: &str = "manifest";
const MESSAGES: &str = "messages";
const BYTES: &str = "bytes";
/// The fewest messages that a pass has ended without, since one got all that was listed.
const LACKING: &str = "lacking_messages";
/// How many passes since then have got none of those.
const IN_VAIN: &str = "passes_in_vain";

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
                None => Ok(Seen::facts(Facts::new().with(MAILBOX_EXISTS, false))),
            };
        };
        let on_server: u64 = folders.iter().map(|f| f.messages).sum();
        let mut facts = Facts::new()
            .with(MAILBOX_EXISTS, true)
            .with("server_folders", count(folders.len()))
            .with("server_messages", whole(on_server))
            .with("archive_complete", false);
        if let Some((archive, found)) = kept(job, &owner, &folders).await? {
            let manifest = &archive.manifest;
            facts.set("archive_complete", true);
            facts.set("manifest_sha256", archive.digest.to_string());
            facts.set("archived_messages", whole(manifest.messages));
            facts.set("archived_bytes", whole(manifest.bytes));
            if let Some(until) = manifest.keep_until_ms {
                facts.set("keep_until_ms", until.0);
            }
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
        let (resumed, failed) = match Writer::resume(&job.context.store, part).await {
            // Without what it went on from, all of it is taken anew.
            Err(error) if is_lost(&error) => (Writer::resume(&job.context.store, None).await, Failed::default()),
            resumed => (resumed, Failed::remembered(job).await?),
        };
        let mut writer = resumed.map_err(|e| broken(job, &e))?;
        let now = job.call.now();
        writer.begin_pass(now, |taken| !differ.contains(&name(taken)));
        let mut slice = Slice::of(job, &mut writer, failed);
        let stopped = slice.pass(folders).await;
        let moved = slice.has_moved();
        let receipts = slice.call.take_receipts();
        let failed = std::mem::take(&mut slice.failed);
        receipts.into_iter().for_each(|r| job.call.note_read_receipt(r));
        let (part, manifest) = match &stopped {
            Ok(true) => {
                let (part, manifest) = writer.end_pass(about(job)).await.map_err(|e| broken(job, &e))?;
                (part, Some(manifest))
            }
            Ok(false) => (writer.close_part().await.map_err(|e| broken(job, &e))?, None),
            Err(fault) if !moved => return Err(fault.clone()),
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
        let mut lacking = Lacking::remembered(&job.remembered);
        if manifest.is_some() {
            lacking = lacking.after_a_pass(totals.undelivered);
        }
        lacking.remember(&mut checkpoint);
        if let Some(failed) = failed.keep(job).await? {
            checkpoint.set(FAILED, failed.to_string());
        }
        if let Some(manifest) = manifest {
            checkpoint.set(MANIFEST, manifest.to_string());
        }
        job.remembered = checkpoint;
        // A whole pass for what was lacking, and none of it came, whatever else did.
        if manifest.is_some() && lacking.in_vain > 0 {
            return Err(undelivered(job, &writer.undelivered(), lacking.in_vain));
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

pub(super) fn digest(facts: &Facts, name: &str) -> Option<Digest> {
    facts.text(name)?.parse().ok()
}

/// Whether a manifest was written and cannot be had any more.
fn lost(job: &Job<'_>, seen: &Facts) -> bool {
    digest(&job.remembered, MANIFEST).is_some() && seen.bool("archive_complete") == Some(false)
}

/// How a folder is named where no name of the mailbox may stand.
pub(super) fn name(taken: &Taken) -> String {
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

pub(super) fn broken(job: &Job<'_>, error: &ArchiveError) -> Fault {
    tracing::warn!(kind = job.kind.name(), error = %error, "failed to write or read an archive");
    let detail = match error {
        ArchiveError::Store(StoreError::Unavailable { .. }) => {
            "the store did not take, or not give back, a piece of the archive; look at the store"
        }
        _ => "what is in the store of this archive is not what was put there; look at the store, then retry",
    };
    job.fault(FaultClass::Transient, detail)
}

/// Whether the store has lost, or damaged, what it was asked for.
pub(super) fn is_lost(error: &ArchiveError) -> bool {
    matches!(
        error,
        ArchiveError::Store(StoreError::Absent { .. } | StoreError::Damaged { .. })
    )
}

/// What a fault of the mailbox means that was met so many times. What comes further in
/// between has its tries anew each time, so they are counted here.
pub(super) fn class_after(job: &Job<'_>, times: u32) -> FaultClass {
    if times < job.kind.spec().attempts {
        FaultClass::Transient
    } else {
        FaultClass::Blocked
    }
}

/// What passes did not get, although it was listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Lacking {
    /// The fewest messages that one of them has ended without, since one got all.
    fewest: u64,
    /// How many of them since then have got none of those.
    in_vain: u32,
}

impl Lacking {
    fn remembered(facts: &Facts) -> Self {
        let number = |name: &str| facts.int(name).unwrap_or(0);
        Self {
            fewest: u64::try_from(number(LACKING)).unwrap_or(0),
            in_vain: u32::try_from(number(IN_VAIN)).unwrap_or(0),
        }
    }

    fn remember(self, facts: &mut Facts) {
        if self.fewest > 0 {
            facts.set(LACKING, whole(self.fewest));
            facts.set(IN_VAIN, i64::from(self.in_vain));
        }
    }

    /// The first time, they may have gone since they were listed.
    fn after_a_pass(self, undelivered: u64) -> Self {
        if self.fewest == 0 || undelivered < self.fewest {
            return Self {
                fewest: undelivered,
                in_vain: 0,
            };
        }
        Self {
            in_vain: self.in_vain.saturating_add(1),
            ..self
        }
    }
}

fn undelivered(job: &Job<'_>, by_folder: &[(u32, u64)], passes: u32) -> Fault {
    let messages: u64 = by_folder.iter().map(|(_, messages)| messages).sum();
    let named = by_folder.iter().take(FOLDERS_NAMED);
    let mut folders: Vec<String> = named.map(|(folder, n)| format!("{n} of folder {folder:04}")).collect();
    if by_folder.len() > FOLDERS_NAMED {
        folders.push(format!("and others of {} more", by_folder.len() - FOLDERS_NAMED));
    }
    job.fault(
        class_after(job, passes),
        &format!(
            "the server lists messages that it does not deliver ({messages}), {}, and did not when it was asked again; \
             all others are kept; look at them in the mailbox (`offboard archive list CASE` shows the folders and what \
             is kept of each), then retry, or waive this if they are not needed",
            folders.join(", ")
        ),
    )
}

/// Whether a fault may be one message's: of the system, or of what we may, it is not.
fn may_be_one_messages(fault: &Fault) -> bool {
    match fault.class {
        FaultClass::Transient | FaultClass::Rejected | FaultClass::Unsupported => true,
        FaultClass::Throttled { .. }
        | FaultClass::Denied
        | FaultClass::Blocked
        | FaultClass::Absent
        | FaultClass::Unknown => false,
    }
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

/// The archive that the last pass made, and how it compares with the server; none: not all
/// of it is in the store.
async fn kept(job: &mut Job<'_>, owner: &MailOwner, folders: &[MailFolder]) -> Answer<Option<(Archive, Compared)>> {
    let Some(digest) = digest(&job.remembered, MANIFEST) else {
        return Ok(None);
    };
    let archive = match Archive::open(&job.context.store, digest).await {
        Ok(archive) => archive,
        Err(error) if is_lost(&error) => return Ok(None),
        Err(error) => return Err(broken(job, &error)),
    };
    let found = compare(job, owner, &archive, folders).await?;
    Ok(found.map(|found| (archive, found)))
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
    /// What failed by itself of the page at hand, and how many such tries were this slice's.
    failed: Failed,
    tried: u64,
}

impl<'s, 'j> Slice<'s, 'j> {
    fn of(job: &'s Job<'j>, writer: &'s mut Writer, failed: Failed) -> Self {
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
            failed,
            tried: 0,
        }
    }

    /// Whether something is done that need not be done again. A page of which nothing was lacking
    /// is such a step, too, and so is a message that failed by itself while others came: the next
    /// attempt goes on behind it.
    fn has_moved(&self) -> bool {
        self.took + self.pages + self.tried > 0
    }

    /// Whether there is time for another batch.
    fn go_on(&self) -> bool {
        self.call.remaining() > self.whole / KEPT_SHARE
    }

    /// Whether there is time to ask for a message by itself.
    fn go_on_alone(&self) -> bool {
        self.go_on() && (self.call.remaining() > self.whole / ALONE_SHARE || !self.has_moved())
    }

    /// A call that ends that soon.
    fn within(&self, most: Duration) -> Call {
        let call = Call::new(self.call.clock().clone(), Instant::now() + most, self.call.lane());
        call.marked(self.call.mark())
    }

    /// Goes on with the pass; true when it is through.
    async fn pass(&mut self, folders: &[MailFolder]) -> Answer<bool> {
        for folder in folders {
            let number = self.writer.folder(&folder.id, &folder.generation, &folder.path);
            if self.writer.is_done(number) {
                continue;
            }
            if !self.folder(folders, folder, number).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Goes on with a folder; true when it is through.
    async fn folder(&mut self, folders: &[MailFolder], folder: &MailFolder, number: u32) -> Answer<bool> {
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
            if self.pages > 0 && !self.go_on() {
                return Ok(false);
            }
            let page = reader
                .messages(&mut self.call, &self.owner, folder, cursor.page.as_deref())
                .await?;
            let mut once = HashSet::new();
            let lacks = |m: &&MailMessage| !known.has(&m.id) && once.insert(m.id.clone());
            let lacking: Vec<MailMessage> = page.messages.iter().filter(lacks).cloned().collect();
            self.failed.at(number, cursor.page.as_deref());
            let (failed, others): (Vec<MailMessage>, Vec<MailMessage>) =
                lacking.iter().cloned().partition(|m| self.failed.has(&m.id));
            // What failed before comes last, and by itself.
            for batch in batches(&others).into_iter().chain([failed.as_slice()]) {
                if batch.is_empty() {
                    continue;
                }
                if !self.go_on() {
                    return Ok(false);
                }
                let alone = batch.len() == 1 || batch.first().is_some_and(|m| self.failed.has(&m.id));
                let perhaps_one = alone || self.fetch(folder, number, batch, &mut known).await?.is_some();
                if perhaps_one
                    && !self
                        .singly(folders, folder, &page.messages, number, batch, &mut known)
                        .await?
                {
                    return Ok(false);
                }
            }
            self.pages += 1;
            // Another pass asks for them again.
            self.failed = Failed::default();
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

impl Slice<'_, '_> {
    /// Fetches messages of a folder into the archive; answers a fault that may be a single
    /// one's. One by itself has all the time but what is kept to see whether others come.
    async fn fetch(
        &mut self,
        folder: &MailFolder,
        number: u32,
        which: &[MailMessage],
        known: &mut Known,
    ) -> Answer<Option<Fault>> {
        let reader = self.reader.clone()?;
        let alone = which.len() == 1;
        let mut call = self.within(if alone {
            self.call.remaining().saturating_sub(self.whole / KEPT_SHARE)
        } else {
            self.call.remaining() / TOGETHER_SHARE
        });
        let mut sink = Sink {
            writer: self.writer,
            job: self.job,
            folder: number,
            which,
            known,
            begun: None,
            took: 0,
            broken: false,
        };
        let fetched = reader.fetch(&mut call, &self.owner, folder, which, &mut sink).await;
        let (took, broken) = (sink.took, sink.broken);
        self.took += took;
        self.writer.abandon();
        let receipts = call.take_receipts();
        receipts.into_iter().for_each(|r| self.call.note_read_receipt(r));
        match fetched {
            Ok(()) => Ok(None),
            // When the time is over, everything fails; but one by itself had enough of it.
            Err(fault) if !broken && may_be_one_messages(&fault) && (alone || self.go_on()) => Ok(Some(fault)),
            Err(fault) => Err(fault),
        }
    }

    /// Fetches what is still lacking of a batch one by one, after a fault that may be one
    /// message's; false: there was not time enough. What fails however often it is asked for
    /// is left lacking, if the server delivers others; if not, the fault is all messages'.
    async fn singly(
        &mut self,
        folders: &[MailFolder],
        folder: &MailFolder,
        page: &[MailMessage],
        number: u32,
        batch: &[MailMessage],
        known: &mut Known,
    ) -> Answer<bool> {
        let lacking = batch.iter().filter(|m| !known.has(&m.id));
        let due = lacking.filter(|m| !self.failed.is_passed_over(&m.id));
        let mut due: Vec<MailMessage> = due.cloned().collect();
        let mut last: Option<Fault> = None;
        while !due.is_empty() {
            let mut again = Vec::new();
            let mut failed = Vec::new();
            for message in due {
                if !self.go_on_alone() {
                    if let Some(fault) = &last {
                        self.note_failures(folders, folder, page, known, &mut failed, fault)
                            .await?;
                    }
                    return Ok(false);
                }
                let alone = std::slice::from_ref(&message);
                let Some(fault) = self.fetch(folder, number, alone, known).await? else {
                    continue;
                };
                failed.push(message.id.clone());
                again.push(message);
                // In an outage not every message is asked for.
                if last.is_none() {
                    self.note_failures(folders, folder, page, known, &mut failed, &fault)
                        .await?;
                }
                last = Some(fault);
            }
            // It may have begun since.
            if let Some(fault) = &last {
                self.note_failures(folders, folder, page, known, &mut failed, fault)
                    .await?;
            }
            again.retain(|m| !self.failed.is_passed_over(&m.id));
            due = again;
        }
        let passed_over = batch.iter().filter(|m| self.failed.is_passed_over(&m.id)).count();
        if let Some(fault) = last.filter(|_| passed_over > 0) {
            tracing::warn!(
                kind = self.job.kind.name(),
                folder = number,
                lacking = passed_over,
                class = fault.class.word(),
                status = fault.status,
                "failed to fetch single messages of a mailbox while others come; they are asked for again in another pass"
            );
        }
        Ok(true)
    }

    /// Counts what failed by itself as those messages' own failures, if the server delivers
    /// another one now.
    async fn note_failures(
        &mut self,
        folders: &[MailFolder],
        folder: &MailFolder,
        page: &[MailMessage],
        known: &Known,
        failed: &mut Vec<String>,
        fault: &Fault,
    ) -> Answer<()> {
        if failed.is_empty() {
            return Ok(());
        }
        if !self.delivers(folders, folder, page, known, failed).await? {
            return Err(fault.clone());
        }
        for id in failed.drain(..) {
            if !self.failed.note(&id) {
                return Err(self.job.fault(
                    FaultClass::Transient,
                    "more messages of one page fail than are remembered, while others are delivered; \
                     look at why the server does not deliver them, then retry, or waive this if they are not needed",
                ));
            }
            self.tried += 1;
        }
        Ok(())
    }

    /// Whether the server delivers a message but these, and but what failed before: one of their
    /// page, those that the archive has first, or one of another folder.
    async fn delivers(
        &mut self,
        folders: &[MailFolder],
        folder: &MailFolder,
        page: &[MailMessage],
        known: &Known,
        but: &[String],
    ) -> Answer<bool> {
        // From the end of the page, since what fails is met from its beginning on.
        let others = page.iter().rev();
        let others = others.filter(|m| !but.contains(&m.id) && !self.failed.has(&m.id));
        let (had, not): (Vec<&MailMessage>, Vec<&MailMessage>) = others.partition(|m| known.has(&m.id));
        let here = had.into_iter().take(WITNESSES).chain(not.into_iter().take(WITNESSES));
        let here: Vec<MailMessage> = here.cloned().collect();
        for message in &here {
            if self.comes(folder, message).await? {
                return Ok(true);
            }
        }
        let others = folders.iter().filter(|f| f.id != folder.id && f.messages > 0);
        let others: Vec<&MailFolder> = others.take(WITNESSES).collect();
        for other in others {
            let reader = self.reader.clone()?;
            let mut call = self.within(self.call.remaining() / WITNESS_SHARE);
            let listed = reader.messages(&mut call, &self.owner, other, None).await;
            // What an outage is like is known already.
            let Ok(listed) = listed else { continue };
            if let Some(message) = listed.messages.first()
                && self.comes(other, message).await?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a message is delivered now; it goes nowhere.
    async fn comes(&mut self, folder: &MailFolder, message: &MailMessage) -> Answer<bool> {
        let reader = self.reader.clone()?;
        let mut witness = Witness::default();
        let which = std::slice::from_ref(message);
        let mut call = self.within(self.call.remaining() / WITNESS_SHARE);
        let fetched = reader.fetch(&mut call, &self.owner, folder, which, &mut witness).await;
        // A server that tells wrong sizes tells them of all.
        let whole = message.bytes.is_none_or(|said| said == witness.bytes);
        Ok(fetched.is_ok() && witness.came && whole)
    }
}

/// Sees whether a message comes to its end.
#[derive(Default)]
struct Witness {
    bytes: u64,
    came: bool,
}

#[async_trait]
impl MailSink for Witness {
    async fn begin(&mut self, _: usize) -> Answer<()> {
        Ok(())
    }

    async fn bytes(&mut self, bytes: &[u8]) -> Answer<()> {
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    async fn end(&mut self) -> Answer<()> {
        self.came = true;
        Ok(())
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
    /// Whether it was the archive that did not go on.
    broken: bool,
}

impl Sink<'_, '_> {
    fn broken(&mut self, error: &ArchiveError) -> Fault {
        self.broken = true;
        broken(self.job, error)
    }
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
        let written = self.writer.bytes(bytes).await;
        written.map_err(|e| self.broken(&e))
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
        let ended = self.writer.end().await;
        ended.map_err(|e| self.broken(&e))?;
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
    fn what_is_lacking_is_in_vain_until_less_is_lacking() {
        let mut lacking = Lacking::default();
        let mut in_vain = Vec::new();
        // One goes between two lists, one stays, another comes and goes, all come at last.
        for undelivered in [2, 1, 2, 1, 1, 0, 1] {
            lacking = lacking.after_a_pass(undelivered);
            let mut facts = Facts::new();
            lacking.remember(&mut facts);
            assert_eq!(Lacking::remembered(&facts), lacking);
            in_vain.push(lacking.in_vain);
        }
        assert_eq!(in_vain, [0, 0, 1, 2, 3, 0, 0]);
    }
}
