//! Messages of an archive as files: a Maildir for each folder, under the names
//! that the archive's tar files have, the manifest beside them, and an index.
//!
//! A message gets its name when all of it is there and is what its line says.
//! What has that name already is compared and never written over, so that an
//! export that broke off is gone on with by giving it again.

use crate::form::{FolderEntry, MessageEntry, Segment};
use crate::reader::Archive;
use crate::{ArchiveError, Result};
use offboard_domain::Digest;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};
use tokio::fs::{self, File};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufWriter};

/// The manifest, to the byte.
pub const MANIFEST: &str = "manifest.json";
/// A line for each message that is there: its line in the archive, and its
/// folder's true name.
pub const INDEX: &str = "messages.jsonl";
/// What is being written bears this behind its name.
const UNFINISHED: &str = ".new";
/// How much of a file is compared at once.
const READ_BYTES: usize = 64 * 1024;

/// One line of the index.
#[derive(Serialize)]
struct Indexed<'a> {
    #[serde(flatten)]
    message: &'a MessageEntry,
    path: &'a [String],
}

/// A folder that messages of an archive are written into.
#[derive(Debug)]
pub struct Export {
    root: PathBuf,
    /// Whose archive it is, for errors.
    digest: Digest,
    index: BufWriter<File>,
    /// Folders whose Maildir is there.
    made: BTreeSet<u32>,
}

impl Export {
    /// Begins an export, or goes on with one of the same archive.
    ///
    /// # Errors
    /// [`ArchiveError::Occupied`] if something else is there; the disk's, the store's.
    pub async fn begin(archive: &Archive, root: &Path) -> Result<Self> {
        let made = fs::create_dir_all(root).await;
        made.map_err(file("make the folder", root))?;
        let manifest = root.join(MANIFEST);
        match fs::read(&manifest).await {
            Ok(there) if Digest::of(&there) == archive.digest => {}
            Ok(_) => return Err(occupied(root)),
            Err(e) if e.kind() == ErrorKind::NotFound => {
                let unfinished = root.join(format!("{MANIFEST}{UNFINISHED}"));
                let mut entries = fs::read_dir(root).await.map_err(file("look into", root))?;
                while let Some(entry) = entries.next_entry().await.map_err(file("look into", root))? {
                    if entry.path() != unfinished {
                        return Err(occupied(root));
                    }
                }
                let bytes = archive.manifest_bytes().await?;
                let written = fs::write(&unfinished, &bytes).await;
                written.map_err(file("write", &unfinished))?;
                let named = fs::rename(&unfinished, &manifest).await;
                named.map_err(file("write", &manifest))?;
            }
            Err(e) => return Err(file("read", &manifest)(e)),
        }
        let index = root.join(format!("{INDEX}{UNFINISHED}"));
        let index = File::create(&index).await.map_err(file("write", &index))?;
        Ok(Self {
            root: root.to_owned(),
            digest: archive.digest,
            index: BufWriter::new(index),
            made: BTreeSet::new(),
        })
    }

    /// Writes a message, unless it is there to the byte. Answers whether it was
    /// written.
    ///
    /// # Errors
    /// [`ArchiveError::Differs`] if another file has its name; what reading the
    /// message says, and the disk.
    pub async fn message(
        &mut self,
        archive: &Archive,
        folder: &FolderEntry,
        segment: &Segment,
        message: &MessageEntry,
    ) -> Result<bool> {
        let place = self.place(message)?;
        let there = is_there(&place, message).await?;
        if !there {
            self.write(archive, segment, message, &place).await?;
        }
        self.note(folder, message).await?;
        Ok(!there)
    }

    /// Names a message in the index that is not asked for, if it was exported
    /// before.
    ///
    /// # Errors
    /// As [`Export::message`].
    pub async fn passed_over(&mut self, folder: &FolderEntry, message: &MessageEntry) -> Result<()> {
        let place = self.place(message)?;
        match fs::symlink_metadata(&place).await {
            Ok(_) => self.note(folder, message).await,
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
            Err(e) => Err(file("look at", &place)(e)),
        }
    }

    /// Ends it: the index gets its name.
    ///
    /// # Errors
    /// The disk's.
    pub async fn end(mut self) -> Result<()> {
        let index = self.root.join(INDEX);
        self.index.flush().await.map_err(file("write", &index))?;
        let unfinished = self.root.join(format!("{INDEX}{UNFINISHED}"));
        fs::rename(&unfinished, &index).await.map_err(file("write", &index))
    }

    /// Where a message goes. An archive that something else wrote names no place
    /// outside.
    fn place(&self, message: &MessageEntry) -> Result<PathBuf> {
        let parts: Vec<&str> = message.file.split('/').collect();
        let plain = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains(['\\', '\0']);
        match parts.as_slice() {
            ["mail", folder, "cur", name] if plain(folder) && plain(name) => Ok(self.root.join(&message.file)),
            _ => Err(ArchiveError::Form {
                what: "the manifest",
                digest: self.digest,
                why: format!("message {} has no file of a Maildir", message.number),
            }),
        }
    }

    async fn write(
        &mut self,
        archive: &Archive,
        segment: &Segment,
        message: &MessageEntry,
        place: &Path,
    ) -> Result<()> {
        let maildir = place.ancestors().nth(2).unwrap_or(&self.root).to_owned();
        if self.made.insert(message.folder) {
            for sub in ["cur", "new", "tmp"] {
                let dir = maildir.join(sub);
                fs::create_dir_all(&dir).await.map_err(file("make the folder", &dir))?;
            }
        }
        let unfinished = maildir.join("tmp").join(message.number.to_string());
        let mut open = File::create(&unfinished).await.map_err(file("write", &unfinished))?;
        let read = archive.read(segment, message, &mut open).await;
        read.map_err(|e| match e {
            ArchiveError::Sink(e) => file("write", &unfinished)(e),
            other => other,
        })?;
        open.flush().await.map_err(file("write", &unfinished))?;
        if let Some(at) = message.received_ms.and_then(|ms| u64::try_from(ms).ok()) {
            // Who opens a Maildir takes this for when the message came.
            let dated = open
                .into_std()
                .await
                .set_modified(UNIX_EPOCH + Duration::from_millis(at));
            dated.map_err(file("write", &unfinished))?;
        }
        fs::rename(&unfinished, place).await.map_err(file("write", place))
    }

    async fn note(&mut self, folder: &FolderEntry, message: &MessageEntry) -> Result<()> {
        let line = Indexed {
            message,
            path: &folder.path,
        };
        let mut line = serde_json::to_vec(&line).expect("a line is plain data");
        line.push(b'\n');
        let written = self.index.write_all(&line).await;
        written.map_err(file("write", &self.root.join(INDEX)))
    }
}

/// Whether that message is there; another file of its name is an error.
async fn is_there(place: &Path, message: &MessageEntry) -> Result<bool> {
    let differs = || ArchiveError::Differs {
        number: message.number,
        path: place.display().to_string(),
    };
    match fs::symlink_metadata(place).await {
        Ok(there) if !there.is_file() || there.len() != message.bytes => return Err(differs()),
        Ok(_) => {}
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(file("look at", place)(e)),
    }
    let mut open = File::open(place).await.map_err(file("read", place))?;
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; READ_BYTES]);
    loop {
        match open.read(&mut buffer).await.map_err(file("read", place))? {
            0 => break,
            some => hasher.update(&buffer[..some]),
        }
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(&hasher.finalize());
    if Digest(hash) == message.sha256 {
        Ok(true)
    } else {
        Err(differs())
    }
}

fn occupied(root: &Path) -> ArchiveError {
    ArchiveError::Occupied {
        path: root.display().to_string(),
    }
}

fn file(what: &'static str, path: &Path) -> impl FnOnce(Error) -> ArchiveError + use<> {
    let path = path.display().to_string();
    move |source| ArchiveError::File { what, path, source }
}
