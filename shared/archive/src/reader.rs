//! Reads an archive. Everything is checked against its digest: pieces, parts
//! and the manifest by the store, messages here.

use crate::form::{FORM, Line, Manifest, MessageEntry, Segment};
use crate::known::key;
use crate::writer::State;
use crate::{ArchiveError, Result};
use bytes::Bytes;
use offboard_domain::Digest;
use offboard_store::{Store, StoreError};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::task::JoinSet;

/// How many pieces are asked for at the same time: 50 GB are 13,000 of them, and an object
/// store takes tens of milliseconds to say that it has one.
const ASKED_AT_ONCE: usize = 32;

/// An archive, opened by its manifest.
#[derive(Debug, Clone)]
pub struct Archive {
    store: Store,
    /// The piece that was read last: messages beside each other share one.
    last: Arc<Mutex<Option<(Digest, Bytes)>>>,
    /// Its manifest's digest.
    pub digest: Digest,
    /// Its manifest.
    pub manifest: Manifest,
}

impl Archive {
    /// Opens an archive.
    ///
    /// # Errors
    /// The store's, or that it is no manifest.
    pub async fn open(store: &Store, digest: Digest) -> Result<Self> {
        let bytes = store.get(digest).await?;
        let wrong = |why: String| ArchiveError::Form {
            what: "the manifest",
            digest,
            why,
        };
        let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|e| wrong(e.to_string()))?;
        if manifest.form != FORM {
            return Err(wrong(format!("its form is not {FORM}")));
        }
        Ok(Self {
            store: store.clone(),
            last: Arc::default(),
            digest,
            manifest,
        })
    }

    /// The manifest to the byte, as its digest says.
    ///
    /// # Errors
    /// The store's.
    pub async fn manifest_bytes(&self) -> Result<Bytes> {
        Ok(self.store.get(self.digest).await?)
    }

    /// The folders in force, by number.
    fn in_force(&self) -> BTreeSet<u32> {
        self.manifest.folders.iter().map(|f| f.folder.number).collect()
    }

    /// Every segment, a part at a time, with the messages of folders in force.
    ///
    /// # Errors
    /// As for reading a part.
    pub async fn segments(&self, mut each: impl FnMut(Segment)) -> Result<()> {
        let in_force = self.in_force();
        for part in &self.manifest.parts {
            for_each_line(&self.store, *part, |line| {
                if let Line::Segment(mut segment) = line {
                    segment.messages.retain(|m| in_force.contains(&m.folder));
                    each(segment);
                }
            })
            .await?;
        }
        Ok(())
    }

    /// The segments of one part, with the messages of folders in force.
    ///
    /// # Errors
    /// As for reading a part.
    pub async fn segments_of(&self, part: Digest) -> Result<Vec<Segment>> {
        let in_force = self.in_force();
        let mut found = Vec::new();
        for_each_line(&self.store, part, |line| {
            if let Line::Segment(mut segment) = line {
                segment.messages.retain(|m| in_force.contains(&m.folder));
                found.push(segment);
            }
        })
        .await?;
        Ok(found)
    }

    /// One message's line, with its segment.
    ///
    /// # Errors
    /// [`ArchiveError::NoMessage`], or as for reading a part.
    pub async fn find(&self, number: u64) -> Result<(Segment, MessageEntry)> {
        for part in &self.manifest.parts {
            for segment in self.segments_of(*part).await? {
                if let Some(found) = segment.messages.iter().find(|m| m.number == number).cloned() {
                    return Ok((segment, found));
                }
            }
        }
        Err(ArchiveError::NoMessage { number })
    }

    /// Hands a message's bytes on, a piece at a time. That it is what its line
    /// says is known at the end only.
    ///
    /// # Errors
    /// [`ArchiveError::Message`] if it is not, the store's, the sink's.
    pub async fn read(
        &self,
        segment: &Segment,
        message: &MessageEntry,
        into: &mut (dyn AsyncWrite + Unpin + Send),
    ) -> Result<()> {
        let (mut from, to) = (message.at, message.at + message.bytes);
        let mut hasher = Sha256::new();
        let mut begins = 0;
        for piece in &segment.pieces {
            let ends = begins + piece.bytes;
            if from < ends && begins < to {
                let bytes = self.piece(piece.sha256).await?;
                let within = |at: u64| usize::try_from(at - begins).unwrap_or(usize::MAX).min(bytes.len());
                let part = &bytes[within(from.max(begins))..within(to.min(ends))];
                hasher.update(part);
                into.write_all(part).await.map_err(ArchiveError::Sink)?;
                from = ends;
            }
            begins = ends;
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(&hasher.finalize());
        if Digest(hash) == message.sha256 {
            Ok(())
        } else {
            Err(ArchiveError::Message {
                number: message.number,
                wanted: message.sha256,
                found: Digest(hash),
            })
        }
    }

    async fn piece(&self, digest: Digest) -> Result<Bytes> {
        let held = || self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, bytes)) = held().as_ref()
            && *of == digest
        {
            return Ok(bytes.clone());
        }
        let bytes = self.store.get(digest).await?;
        *held() = Some((digest, bytes.clone()));
        Ok(bytes)
    }

    /// The beginning of a message, at most so many bytes; of it alone nothing
    /// is proven but that its piece is undamaged.
    ///
    /// # Errors
    /// The store's.
    pub async fn beginning(&self, segment: &Segment, message: &MessageEntry, most: usize) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        let (mut begins, to) = (0, message.at + message.bytes.min(most as u64));
        for piece in &segment.pieces {
            let ends = begins + piece.bytes;
            if message.at < ends && begins < to {
                let bytes = self.piece(piece.sha256).await?;
                let within = |at: u64| {
                    usize::try_from(at.saturating_sub(begins))
                        .unwrap_or(usize::MAX)
                        .min(bytes.len())
                };
                out.extend_from_slice(&bytes[within(message.at)..within(to)]);
            }
            begins = ends;
        }
        Ok(out)
    }

    /// A message whole, for those that are known to be small.
    ///
    /// # Errors
    /// As [`Archive::read`].
    pub async fn read_whole(&self, segment: &Segment, message: &MessageEntry) -> Result<Vec<u8>> {
        let mut bytes = std::io::Cursor::new(Vec::new());
        self.read(segment, message, &mut bytes).await?;
        Ok(bytes.into_inner())
    }

    /// Which messages of folders in force one part has: each with its folder's number, as it
    /// is known ([`key`]). A part has some ten thousand, an archive any number.
    ///
    /// # Errors
    /// As for reading a part.
    pub async fn keys_of(&self, part: Digest) -> Result<Vec<(u32, u128)>> {
        let in_force = self.in_force();
        let mut keys = Vec::new();
        for_each_line(&self.store, part, |line| {
            if let Line::Segment(segment) = line {
                let these = segment.messages.iter().filter(|m| in_force.contains(&m.folder));
                keys.extend(these.map(|m| (m.folder, key(&m.id))));
            }
        })
        .await?;
        Ok(keys)
    }

    /// Whether everything that it names is in the store with the length that
    /// it had. Answers how many pieces are not. Those that only a site has are read for
    /// it, by whoever is not at that site ([`Store::holds`]).
    ///
    /// # Errors
    /// The store's, but for what is missing.
    pub async fn missing(&self) -> Result<u64> {
        let mut missing = 0;
        let mut asked = JoinSet::new();
        for part in &self.manifest.parts {
            let segments = match self.segments_of(*part).await {
                Ok(segments) => segments,
                Err(ArchiveError::Store(StoreError::Absent { .. } | StoreError::Damaged { .. })) => {
                    missing += 1;
                    continue;
                }
                Err(other) => return Err(other),
            };
            for piece in segments.iter().flat_map(|s| &s.pieces).copied() {
                if asked.len() >= ASKED_AT_ONCE {
                    missing += one_missing(&mut asked).await?;
                }
                let store = self.store.clone();
                asked.spawn(async move { store.holds(piece.sha256, piece.bytes).await });
            }
        }
        while !asked.is_empty() {
            missing += one_missing(&mut asked).await?;
        }
        Ok(missing)
    }
}

/// Waits until one of them is known: one if it is missing, else none.
async fn one_missing(asked: &mut JoinSet<std::result::Result<bool, StoreError>>) -> Result<u64> {
    match asked.join_next().await {
        None => Ok(0),
        Some(Ok(there)) => Ok(u64::from(!there?)),
        Some(Err(stopped)) => std::panic::resume_unwind(stopped.into_panic()),
    }
}

/// Reads a part and hands its lines on.
///
/// # Errors
/// The store's, or that it is no part.
pub async fn for_each_line(store: &Store, part: Digest, mut each: impl FnMut(Line)) -> Result<()> {
    let bytes = store.get(part).await?;
    let wrong = |why: String| ArchiveError::Form {
        what: "a part",
        digest: part,
        why,
    };
    for line in bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
        let line: Line = serde_json::from_slice(line).map_err(|e| wrong(e.to_string()))?;
        if let Line::Part { form, .. } = &line
            && form != FORM
        {
            return Err(wrong(format!("its form is not {FORM}")));
        }
        each(line);
    }
    Ok(())
}

/// From where a part says to go on.
pub(crate) async fn last_line(store: &Store, part: Digest) -> Result<State> {
    let mut end = None;
    for_each_line(store, part, |line| {
        if let Line::End(state) = line {
            end = Some(*state);
        }
    })
    .await?;
    end.ok_or(ArchiveError::Form {
        what: "a part",
        digest: part,
        why: "its last line is missing".to_owned(),
    })
}
