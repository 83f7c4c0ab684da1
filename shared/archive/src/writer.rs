//! Writes an archive, message by message, and can be gone on with from any
//! part that it closed.
//!
//! Of what it was given, only what a closed part names counts. One piece is
//! filled while others are written; a message that does not fit goes, by
//! itself, into a segment of its own.

use crate::form::{FORM, FolderEntry, Line, Manifest, MessageEntry, Piece, Segment, Taken, is_zero, letters, maildir};
use crate::known::{Known, key};
use crate::reader::{for_each_line, last_line};
use crate::{Result, tar};
use offboard_domain::{Digest, Timestamp};
use offboard_store::{Store, StoreError};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeSet, VecDeque};
use tokio::task::JoinHandle;

/// The most bytes of a piece.
pub const PIECE_BYTES: usize = 4 * 1024 * 1024;
/// Pieces that are being written while the next one is filled.
const IN_FLIGHT: usize = 2;
/// Messages after which a part is closed: its lines are held in memory until then.
const PART_MESSAGES: u64 = 10_000;

/// From where to go on; the last line of every part.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct State {
    /// Messages so far, also those of folders that are no longer in force.
    messages: u64,
    /// When the pass under way began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pass_began_ms: Option<Timestamp>,
    /// Every folder so far.
    folders: Vec<FolderState>,
    /// Where the pass stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cursor: Option<Cursor>,
    /// The parts before this one.
    parts: Vec<Digest>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct FolderState {
    taken: Taken,
    /// The pass under way is through with it.
    done: bool,
    /// Another generation has taken its place.
    withdrawn: bool,
    /// This pass, or the last one, left it as it was: nothing of it is lacking.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    stays: bool,
}

/// Where a pass stopped within a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Which folder.
    pub folder: u32,
    /// Its next page, in the server's own words.
    pub page: Option<String>,
    /// Messages that the server has listed of it in this pass, and that are in the archive.
    pub listed: u64,
    /// Messages that it listed and did not deliver.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub undelivered: u64,
    /// The bytes of those that are in the archive, as far as the server says sizes.
    pub listed_bytes: Option<u64>,
    /// The place in the folder's order after the last of them.
    pub next: u64,
}

/// What is known of a message before its first byte.
#[derive(Debug, Clone)]
pub struct Meta {
    /// The server's id of it.
    pub id: String,
    /// Flags, as the server names them.
    pub flags: Vec<String>,
    /// When the server got it, in milliseconds since 1970.
    pub received_ms: Option<i64>,
}

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Messages.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Messages that were listed and not delivered, of the folders that this pass, or the
    /// last one, went through: in those that it left as they were, none is there any more.
    pub undelivered: u64,
}

/// A message that is being written.
struct Open {
    folder: usize,
    meta: Meta,
    file: String,
    /// Where its header is in the buffer.
    start: usize,
    hasher: Sha256,
    written: u64,
    large: Option<Large>,
}

/// A message that is larger than a piece: the buffer holds its bytes alone.
struct Large {
    /// What comes before its header.
    head: Vec<u8>,
    /// The pieces after the first.
    pieces: Vec<usize>,
}

/// A piece that is being written.
struct InFlight {
    number: usize,
    bytes: u64,
    writing: JoinHandle<std::result::Result<Digest, StoreError>>,
}

/// Writes one archive.
pub struct Writer {
    store: Store,
    state: State,
    /// The part that was closed last.
    last: Option<Digest>,
    buffer: Vec<u8>,
    /// Folders whose Maildir the segment under way has.
    made: BTreeSet<usize>,
    entries: Vec<MessageEntry>,
    open: Option<Open>,
    pieces: Vec<Option<Piece>>,
    in_flight: VecDeque<InFlight>,
    drafts: Vec<(Vec<usize>, Vec<MessageEntry>)>,
    since_part: u64,
}

impl Writer {
    /// A new archive, or one that goes on after a part.
    ///
    /// # Errors
    /// The store's, also that one of the parts before is not there any more; or
    /// that the part is none.
    pub async fn resume(store: &Store, part: Option<Digest>) -> Result<Self> {
        let state = match part {
            None => State::default(),
            Some(digest) => {
                let mut state = last_line(store, digest).await?;
                for before in &state.parts {
                    if store.size(*before).await?.is_none() {
                        let path = before.to_string();
                        return Err(StoreError::Absent { path }.into());
                    }
                }
                state.parts.push(digest);
                state
            }
        };
        Ok(Self {
            store: store.clone(),
            state,
            last: part,
            buffer: Vec::new(),
            made: BTreeSet::new(),
            entries: Vec::new(),
            open: None,
            pieces: Vec::new(),
            in_flight: VecDeque::new(),
            drafts: Vec::new(),
            since_part: 0,
        })
    }

    /// Begins a pass unless one is under way. Folders for which `stays` holds
    /// are as the last pass left them, and not gone through again.
    pub fn begin_pass(&mut self, now: Timestamp, stays: impl Fn(&Taken) -> bool) {
        if self.state.pass_began_ms.is_some() {
            return;
        }
        self.state.pass_began_ms = Some(now);
        self.state.cursor = None;
        for folder in &mut self.state.folders {
            folder.stays = folder.done && stays(&folder.taken);
            folder.done = folder.stays;
        }
    }

    /// The number of a folder, which is new if this generation of it is. An
    /// older generation is withdrawn: its ids mean nothing any more.
    pub fn folder(&mut self, id: &str, generation: &str, path: &[String]) -> u32 {
        let number = self.find(id, generation);
        for other in &mut self.state.folders {
            let entry = &other.taken.folder;
            if entry.id == id && entry.generation != generation {
                other.withdrawn = true;
            }
        }
        if let Some(number) = number {
            return number;
        }
        let number = u32::try_from(self.state.folders.len() + 1).unwrap_or(u32::MAX);
        self.state.folders.push(FolderState {
            taken: Taken {
                folder: FolderEntry {
                    number,
                    id: id.to_owned(),
                    generation: generation.to_owned(),
                    path: path.to_vec(),
                    maildir: maildir(number, path),
                },
                messages: 0,
                bytes: 0,
                listed: 0,
                undelivered: 0,
                listed_bytes: None,
                next: 0,
                state: None,
            },
            done: false,
            withdrawn: false,
            stays: false,
        });
        number
    }

    fn find(&self, id: &str, generation: &str) -> Option<u32> {
        let mut all = self.state.folders.iter().map(|f| &f.taken.folder);
        all.find(|f| f.id == id && f.generation == generation).map(|f| f.number)
    }

    fn at(&mut self, number: u32) -> Option<&mut FolderState> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        self.state.folders.get_mut(index)
    }

    /// Whether the pass under way is through with a folder.
    #[must_use]
    pub fn is_done(&self, number: u32) -> bool {
        let mut all = self.state.folders.iter();
        all.any(|f| f.taken.folder.number == number && f.done)
    }

    /// How many messages of a folder there are.
    #[must_use]
    pub fn messages_of(&self, number: u32) -> u64 {
        let mut all = self.state.folders.iter().map(|f| &f.taken);
        all.find(|t| t.folder.number == number).map_or(0, |t| t.messages)
    }

    /// Where the pass under way stopped.
    #[must_use]
    pub fn cursor(&self) -> Option<&Cursor> {
        self.state.cursor.as_ref()
    }

    /// Notes how far the pass has come.
    pub fn set_cursor(&mut self, cursor: Cursor) {
        self.state.cursor = Some(cursor);
    }

    /// The pass is through with the folder that the cursor is in.
    pub fn end_folder(&mut self, state: Option<String>) {
        let Some(cursor) = self.state.cursor.take() else { return };
        if let Some(folder) = self.at(cursor.folder) {
            folder.done = true;
            folder.taken.listed = cursor.listed;
            folder.taken.undelivered = cursor.undelivered;
            folder.taken.listed_bytes = cursor.listed_bytes;
            folder.taken.next = cursor.next;
            folder.taken.state = state;
        }
    }

    /// Which messages of a folder the archive has, from its closed parts.
    ///
    /// # Errors
    /// As for reading a part.
    pub async fn known(&self, number: u32) -> Result<Known> {
        known(&self.store, &self.state.parts, number).await
    }

    /// What there is, but for folders that were withdrawn.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let in_force = self.state.folders.iter().filter(|f| !f.withdrawn);
        in_force.fold(Totals::default(), |sum, f| Totals {
            messages: sum.messages + f.taken.messages,
            bytes: sum.bytes + f.taken.bytes,
            undelivered: sum.undelivered + if f.stays { 0 } else { f.taken.undelivered },
        })
    }

    /// The folders of [`Totals::undelivered`] by their numbers, with how many of each.
    #[must_use]
    pub fn undelivered(&self) -> Vec<(u32, u64)> {
        let in_question = self.state.folders.iter().filter(|f| !f.withdrawn && !f.stays);
        in_question
            .filter(|f| f.taken.undelivered > 0)
            .map(|f| (f.taken.folder.number, f.taken.undelivered))
            .collect()
    }

    /// Begins a message of a folder.
    pub fn begin(&mut self, folder: u32, meta: Meta) {
        self.abandon();
        let index = usize::try_from(folder.saturating_sub(1)).unwrap_or(usize::MAX);
        let Some(known) = self.state.folders.get(index) else {
            debug_assert!(false, "a folder gets its number first");
            return;
        };
        let dir = known.taken.folder.maildir.clone();
        let number = self.state.messages + 1;
        let file = format!("{dir}/cur/{number:010}:2,{}", letters(&meta.flags));
        if self.buffer.capacity() == 0 {
            self.buffer.reserve_exact(PIECE_BYTES);
        }
        if self.made.insert(index) {
            for sub in ["", "cur/", "new/", "tmp/"] {
                self.buffer.extend_from_slice(&tar::folder(&format!("{dir}/{sub}")));
            }
        }
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&[0; tar::BLOCK]);
        self.open = Some(Open {
            folder: index,
            meta,
            file,
            start,
            hasher: Sha256::new(),
            written: 0,
            large: None,
        });
    }

    /// More bytes of the message.
    ///
    /// # Errors
    /// The store's.
    pub async fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(mut open) = self.open.take() else {
            return Ok(());
        };
        open.hasher.update(bytes);
        open.written += bytes.len() as u64;
        let mut rest = bytes;
        while self.buffer.len() + rest.len() + Self::TAIL > PIECE_BYTES {
            if open.large.is_none() && !self.entries.is_empty() {
                self.move_to_own_segment(&mut open).await?;
                continue;
            }
            if open.large.is_none() {
                let data = self.buffer.split_off(open.start + tar::BLOCK);
                self.buffer.truncate(open.start);
                open.large = Some(Large {
                    head: std::mem::replace(&mut self.buffer, data),
                    pieces: Vec::new(),
                });
                self.buffer.reserve_exact(PIECE_BYTES.saturating_sub(self.buffer.len()));
            }
            let room = PIECE_BYTES
                .saturating_sub(Self::TAIL + self.buffer.len())
                .min(rest.len());
            self.buffer.extend_from_slice(&rest[..room]);
            rest = &rest[room..];
            if rest.is_empty() {
                break;
            }
            let full = std::mem::take(&mut self.buffer);
            let piece = self.put(full).await?;
            if let Some(large) = &mut open.large {
                large.pieces.push(piece);
            }
            self.buffer.reserve_exact(PIECE_BYTES);
        }
        self.buffer.extend_from_slice(rest);
        self.open = Some(open);
        Ok(())
    }

    /// What may follow the last byte of a message in its piece.
    const TAIL: usize = tar::BLOCK + tar::END.len();

    /// The segment ends before the message that no longer fits.
    async fn move_to_own_segment(&mut self, open: &mut Open) -> Result<()> {
        let message = self.buffer.split_off(open.start + tar::BLOCK);
        self.buffer.truncate(open.start);
        self.end_segment().await?;
        let dir = self.state.folders[open.folder].taken.folder.maildir.clone();
        self.buffer.reserve_exact(PIECE_BYTES);
        self.made.insert(open.folder);
        for sub in ["", "cur/", "new/", "tmp/"] {
            self.buffer.extend_from_slice(&tar::folder(&format!("{dir}/{sub}")));
        }
        open.start = self.buffer.len();
        self.buffer.extend_from_slice(&[0; tar::BLOCK]);
        self.buffer.extend_from_slice(&message);
        Ok(())
    }

    /// Bytes of the message so far.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.open.as_ref().map_or(0, |o| o.written)
    }

    /// The message is complete. A part is closed when there is much to say in it.
    ///
    /// # Errors
    /// The store's.
    pub async fn end(&mut self) -> Result<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let at_s = open.meta.received_ms.unwrap_or(0) / 1_000;
        let header = tar::file(&open.file, open.written, at_s);
        self.buffer.resize(self.buffer.len() + tar::padding(open.written), 0);
        let mut hash = [0; 32];
        hash.copy_from_slice(&open.hasher.finalize());
        self.state.messages += 1;
        let folder = &mut self.state.folders[open.folder].taken;
        folder.messages += 1;
        folder.bytes += open.written;
        let before = open.large.as_ref().map_or(open.start, |l| l.head.len());
        self.entries.push(MessageEntry {
            number: self.state.messages,
            folder: folder.folder.number,
            id: open.meta.id,
            flags: open.meta.flags,
            received_ms: open.meta.received_ms,
            bytes: open.written,
            sha256: Digest(hash),
            at: (before + tar::BLOCK) as u64,
            file: open.file,
        });
        self.since_part += 1;
        match open.large {
            None => self.buffer[open.start..open.start + tar::BLOCK].copy_from_slice(&header),
            Some(mut large) => {
                self.buffer.extend_from_slice(&tar::END);
                let last = std::mem::take(&mut self.buffer);
                large.head.extend_from_slice(&header);
                let mut pieces = vec![self.put(large.head).await?];
                pieces.append(&mut large.pieces);
                pieces.push(self.put(last).await?);
                self.drafts.push((pieces, std::mem::take(&mut self.entries)));
                self.made.clear();
            }
        }
        if self.since_part >= PART_MESSAGES {
            self.close_part().await?;
        }
        Ok(())
    }

    /// Forgets the message that is being written.
    pub fn abandon(&mut self) {
        let Some(open) = self.open.take() else { return };
        match open.large {
            None => self.buffer.truncate(open.start),
            Some(_) => {
                self.buffer.clear();
                self.made.clear();
            }
        }
    }

    async fn end_segment(&mut self) -> Result<()> {
        self.made.clear();
        let mut full = std::mem::take(&mut self.buffer);
        if self.entries.is_empty() {
            return Ok(());
        }
        full.extend_from_slice(&tar::END);
        let piece = self.put(full).await?;
        self.drafts.push((vec![piece], std::mem::take(&mut self.entries)));
        Ok(())
    }

    /// Writes a piece, beside what is done meanwhile.
    async fn put(&mut self, bytes: Vec<u8>) -> Result<usize> {
        while self.in_flight.len() >= IN_FLIGHT {
            self.one_landed().await?;
        }
        let number = self.pieces.len();
        self.pieces.push(None);
        let (store, length) = (self.store.clone(), bytes.len() as u64);
        self.in_flight.push_back(InFlight {
            number,
            bytes: length,
            writing: tokio::spawn(async move { store.put(bytes).await }),
        });
        Ok(number)
    }

    async fn one_landed(&mut self) -> Result<()> {
        // It stays in the list until it is known: this may be dropped here.
        let Some(first) = self.in_flight.front_mut() else {
            return Ok(());
        };
        let (number, bytes) = (first.number, first.bytes);
        let landed = match (&mut first.writing).await {
            Ok(landed) => landed,
            Err(stopped) => std::panic::resume_unwind(stopped.into_panic()),
        };
        self.in_flight.pop_front();
        self.pieces[number] = Some(Piece { sha256: landed?, bytes });
        Ok(())
    }

    /// Closes a part: what was written so far counts from now on. Answers the
    /// part from which to go on; none: nothing was ever written.
    ///
    /// # Errors
    /// The store's.
    pub async fn close_part(&mut self) -> Result<Option<Digest>> {
        let open = self.open.is_some();
        debug_assert!(!open, "a part ends between messages");
        self.abandon();
        self.end_segment().await?;
        while !self.in_flight.is_empty() {
            self.one_landed().await?;
        }
        let mut lines = vec![Line::Part {
            form: FORM.to_owned(),
            previous: self.last,
        }];
        let pieces = std::mem::take(&mut self.pieces);
        for (numbers, messages) in std::mem::take(&mut self.drafts) {
            let pieces = numbers
                .iter()
                .filter_map(|n| pieces.get(*n).copied().flatten())
                .collect();
            lines.push(Line::Segment(Segment { pieces, messages }));
        }
        lines.push(Line::End(Box::new(self.state.clone())));
        let mut text = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut text, &line).expect("a line is plain data");
            text.push(b'\n');
        }
        let digest = self.store.put(text).await?;
        self.last = Some(digest);
        self.state.parts.push(digest);
        self.since_part = 0;
        Ok(self.last)
    }

    /// Ends the pass: closes a part and writes the manifest over all of them.
    /// Answers the part and the manifest's digest.
    ///
    /// # Errors
    /// The store's.
    pub async fn end_pass(&mut self, about: Manifest) -> Result<(Option<Digest>, Digest)> {
        let began = self.state.pass_began_ms.take();
        let part = self.close_part().await?;
        let totals = self.totals();
        let in_force = self.state.folders.iter().filter(|f| !f.withdrawn);
        let manifest = Manifest {
            form: FORM.to_owned(),
            taken_from_ms: began.unwrap_or(about.taken_from_ms),
            messages: totals.messages,
            bytes: totals.bytes,
            folders: in_force.map(|f| f.taken.clone()).collect(),
            parts: self.state.parts.clone(),
            ..about
        };
        let json = serde_json::to_vec_pretty(&manifest).expect("a manifest is plain data");
        Ok((part, self.store.put(json).await?))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        for piece in &self.in_flight {
            piece.writing.abort();
        }
    }
}

/// Which messages of a folder these parts have.
async fn known(store: &Store, parts: &[Digest], number: u32) -> Result<Known> {
    let mut keys = Vec::new();
    for part in parts {
        for_each_line(store, *part, |line| {
            if let Line::Segment(segment) = line {
                let of_folder = segment.messages.iter().filter(|m| m.folder == number);
                keys.extend(of_folder.map(|m| key(&m.id)));
            }
        })
        .await?;
    }
    Ok(Known::of(keys))
}
