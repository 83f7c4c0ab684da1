//! Messages of an archive as files: a Maildir for each folder, under the names
//! that the archive's tar files have, the manifest beside them, and an index.
//!
//! A message gets its name when all of it is on the disk and is what its line says.
//! What has that name already is compared and never written over, so that an
//! export that broke off is gone on with by giving it again. A mail program that
//! opened the Maildir meanwhile has put other flags into names: what stands before
//! them is the message.
//!
//! A mailbox is its owner's and his who exported it: folders and files that are made
//! here nobody else may read.

use crate::form::{FolderEntry, MessageEntry, Segment};
use crate::reader::Archive;
use crate::{ArchiveError, Result};
use offboard_domain::Digest;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
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
/// In a Maildir's names the flags follow this.
const FLAGS: &str = ":2,";
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
    /// Folders in which something got its name: that is on the disk when they are.
    named_in: BTreeSet<PathBuf>,
    /// The `cur` that was looked into last, and the names in it, each by what stands
    /// before its flags.
    listed: Option<(String, BTreeMap<String, String>)>,
}

impl Export {
    /// Begins an export, or goes on with one of the same archive.
    ///
    /// # Errors
    /// [`ArchiveError::Occupied`] if something else is there; the disk's, the store's.
    pub async fn begin(archive: &Archive, root: &Path) -> Result<Self> {
        make(root).await?;
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
                let mut open = create(&unfinished).await?;
                let written = open.write_all(&bytes).await;
                written.map_err(file("write", &unfinished))?;
                name(open, &unfinished, &manifest).await?;
            }
            Err(e) => return Err(file("read", &manifest)(e)),
        }
        let index = root.join(format!("{INDEX}{UNFINISHED}"));
        let index = create(&index).await?;
        Ok(Self {
            root: root.to_owned(),
            digest: archive.digest,
            index: BufWriter::new(index),
            made: BTreeSet::new(),
            named_in: [root.to_owned()].into(),
            listed: None,
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
        if let Some(there) = self.found(message, &place).await?
            && is_there(&self.root.join(&there), message).await?
        {
            self.note(folder, message, there).await?;
            return Ok(false);
        }
        self.write(archive, segment, message, &place).await?;
        self.note(folder, message, message.file.clone()).await?;
        Ok(true)
    }

    /// Names a message in the index that is not asked for, if it was exported
    /// before: if a file of its length has its name.
    ///
    /// # Errors
    /// As [`Export::message`].
    pub async fn passed_over(&mut self, folder: &FolderEntry, message: &MessageEntry) -> Result<()> {
        let place = self.place(message)?;
        let Some(there) = self.found(message, &place).await? else {
            return Ok(());
        };
        let place = self.root.join(&there);
        match fs::symlink_metadata(&place).await {
            Ok(meta) if meta.is_file() && meta.len() == message.bytes => self.note(folder, message, there).await,
            Ok(_) => Ok(()),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
            Err(e) => Err(file("look at", &place)(e)),
        }
    }

    /// Ends it: the index gets its name, and every name is on the disk.
    ///
    /// # Errors
    /// The disk's.
    pub async fn end(mut self) -> Result<()> {
        let index = self.root.join(INDEX);
        self.index.flush().await.map_err(file("write", &index))?;
        let unfinished = self.root.join(format!("{INDEX}{UNFINISHED}"));
        name(self.index.into_inner(), &unfinished, &index).await?;
        for folder in &self.named_in {
            sync(folder).await?;
        }
        Ok(())
    }

    /// The file that a message has, by its place below the root: one of its name, or
    /// one that a mail program has given other flags since.
    async fn found(&mut self, message: &MessageEntry, place: &Path) -> Result<Option<String>> {
        match fs::symlink_metadata(place).await {
            Ok(_) => return Ok(Some(message.file.clone())),
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(file("look at", place)(e)),
        }
        let Some((cur, name)) = message.file.rsplit_once('/') else {
            return Ok(None);
        };
        if self.listed.as_ref().is_none_or(|(of, _)| of != cur) {
            let names = names(&self.root.join(cur)).await?;
            self.listed = Some((cur.to_owned(), names));
        }
        let listed = self.listed.as_ref().and_then(|(_, names)| names.get(base(name)));
        Ok(listed.map(|name| format!("{cur}/{name}")))
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
                make(&maildir.join(sub)).await?;
            }
            // It, its `cur`, and the folder that it is in.
            self.named_in
                .extend(place.ancestors().skip(1).take(3).map(Path::to_owned));
        }
        let unfinished = maildir.join("tmp").join(message.number.to_string());
        let mut open = create(&unfinished).await?;
        if let Err(error) = archive.read(segment, message, &mut open).await {
            drop(open);
            // Others are gone on with; if it stays, it is made anew the next time.
            let _ = fs::remove_file(&unfinished).await;
            return Err(match error {
                ArchiveError::Sink(e) => file("write", &unfinished)(e),
                other => other,
            });
        }
        open.flush().await.map_err(file("write", &unfinished))?;
        if let Some(at) = message.received_ms.and_then(|ms| u64::try_from(ms).ok()) {
            // Who opens a Maildir takes this for when the message came.
            let written = open.into_std().await;
            let dated = written.set_modified(UNIX_EPOCH + Duration::from_millis(at));
            dated.map_err(file("write", &unfinished))?;
            open = File::from_std(written);
        }
        name(open, &unfinished, place).await
    }

    /// A line of the index, with the file that the message has here.
    async fn note(&mut self, folder: &FolderEntry, message: &MessageEntry, there: String) -> Result<()> {
        let message = MessageEntry {
            file: there,
            ..message.clone()
        };
        let line = Indexed {
            message: &message,
            path: &folder.path,
        };
        let mut line = serde_json::to_vec(&line).expect("a line is plain data");
        line.push(b'\n');
        let written = self.index.write_all(&line).await;
        written.map_err(file("write", &self.root.join(INDEX)))
    }
}

/// A file's name without its flags.
fn base(name: &str) -> &str {
    name.split_once(FLAGS).map_or(name, |(base, _)| base)
}

/// The names in a folder, each by what stands before its flags; none if there is no
/// such folder.
async fn names(folder: &Path) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    let mut entries = match fs::read_dir(folder).await {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(found),
        Err(e) => return Err(file("look into", folder)(e)),
    };
    while let Some(entry) = entries.next_entry().await.map_err(file("look into", folder))? {
        // Names that are no text are none of ours.
        if let Ok(name) = entry.file_name().into_string() {
            found.insert(base(&name).to_owned(), name);
        }
    }
    Ok(found)
}

/// Makes a folder for its owner alone, with those above it; one that is there stays
/// as it is.
async fn make(folder: &Path) -> Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    builder.mode(0o700);
    builder.create(folder).await.map_err(file("make the folder", folder))
}

/// A file for its owner alone, without what an export that broke off left of it.
async fn create(path: &Path) -> Result<File> {
    match fs::remove_file(path).await {
        Ok(()) => {}
        Err(e) if e.kind() == ErrorKind::NotFound => {}
        Err(e) => return Err(file("replace", path)(e)),
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    options.mode(0o600);
    options.open(path).await.map_err(file("write", path))
}

/// Gives a file its name when all of it is on the disk: after a crash it must not have
/// its name and nothing in it.
async fn name(mut open: File, unfinished: &Path, place: &Path) -> Result<()> {
    open.flush().await.map_err(file("write", unfinished))?;
    open.sync_all().await.map_err(file("write", unfinished))?;
    fs::rename(unfinished, place).await.map_err(file("write", place))
}

/// What got its name in a folder keeps it over a crash.
async fn sync(folder: &Path) -> Result<()> {
    if cfg!(unix) {
        let open = File::open(folder).await.map_err(file("write", folder))?;
        open.sync_all().await.map_err(file("write", folder))?;
    }
    Ok(())
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
