//! The store: artifacts by their digest, evidence files by their name.
//!
//! It owns bytes and knows nothing of what they say. An artifact (a snapshot,
//! an attested file) is found by the digest that an event carries; an evidence
//! file by a name made of our own ids. Nothing that was put is ever changed or
//! removed. It stands on `object_store`, so that a folder, memory and the
//! clouds' object stores are one thing.
//!
//! A site has a place of its own beneath, which is a store to its worker. Nobody who
//! asks by a digest need know whether a site put it: what is not here is looked for
//! there, and what lies there under a digest that it does not have is never handed out,
//! and hides nothing that another site has. How long it is, is told as it lies there
//! ([`Store::size`]); whether it is there, only when it was read ([`Store::holds`]).
//!
//! # Laws
//! Each is one test that every backend passes.
//! 1. Put twice is once.
//! 2. What is read has the digest that was asked for; what does not is named, never handed out.
//! 3. A name is never overwritten with other content.
//! 4. A file is there whole or not at all, whenever the process dies.
//! 5. Hostile names are refused.
//! 6. What was put survives a restart.
//! 7. Listed is what was named, in order, artifacts not among it.
//! 8. What a site keeps is found from above; a site finds nothing but its own.

mod bucket;
mod name;

pub use bucket::{LockState, lock_state};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use name::{OBJECTS, PROBE, SITES, at_site, checked, object_path, probe_path, site_path};
use object_store::client::{HttpError, HttpErrorKind};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path as ObjectPath;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, PutPayload};
use offboard_domain::Digest;
use offboard_runtime::config::StoreUrl;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// How many writers of the same name that fail are stood.
const WRITERS: usize = 5;
/// How many connections that are cut while one thing is written are stood.
const CUTS: usize = 3;

/// The store. A clone is another handle on the same place.
#[derive(Clone)]
pub struct Store {
    inner: Arc<dyn ObjectStore>,
    /// Whether asking what is there costs much less than writing: so on a disk,
    /// where a write that finds its place taken was synced for nothing.
    asks_first: bool,
    /// At which site something was found last: a kept mailbox has thousands of pieces.
    last_site: Arc<Mutex<Option<ObjectPath>>>,
}

/// A named file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    /// Its name.
    pub path: String,
    /// Its length in bytes.
    pub bytes: u64,
}

/// What went wrong with the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It did not answer or the disk refused; nothing half-written is visible,
    /// the same call may be repeated.
    #[error("failed to {attempted} {path}: the store did not answer; the same call may be repeated once it does")]
    Unavailable {
        /// What was attempted.
        attempted: &'static str,
        /// On what.
        path: String,
        /// What came back.
        #[source]
        source: object_store::Error,
    },
    /// The folder cannot be used.
    #[error("failed to open the store's folder {path}; it must be a folder that this user can write to")]
    Folder {
        /// Which folder.
        path: String,
        /// What came back.
        #[source]
        source: std::io::Error,
    },
    /// The bucket cannot be used as it is configured.
    #[error("failed to set up or ask the bucket {bucket}; look at its section under [connect] in offboard.toml")]
    Bucket {
        /// Which bucket.
        bucket: String,
        /// What is wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The store does not let this identity do that.
    #[error(
        "failed to {attempted} {path}: the store does not let this identity; give it the right to read, write and list there, and look at its key and its clock"
    )]
    Denied {
        /// What was attempted.
        attempted: &'static str,
        /// On what.
        path: String,
        /// What came back.
        #[source]
        source: object_store::Error,
    },
    /// There is no such bucket.
    #[error("failed to {attempted} {path}: there is no such bucket; make it, or name another one in offboard.toml")]
    NoBucket {
        /// What was attempted.
        attempted: &'static str,
        /// On what.
        path: String,
        /// What came back.
        #[source]
        source: object_store::Error,
    },
    /// The store overwrites what is there although it was asked not to.
    #[error(
        "the store {store} overwrites what is there although it was asked not to (If-None-Match), so nothing in it would be safe; use a server, or a version of it, that keeps to conditional writes"
    )]
    Overwrites {
        /// Which store.
        store: String,
    },
    /// There is no such thing.
    #[error("failed to read {path} from the store: it is not there; restore it from a backup or name another")]
    Absent {
        /// What was asked for.
        path: String,
    },
    /// The bytes are not what their digest says.
    #[error(
        "failed to read {path} from the store: its content has the digest {found}; it was damaged or changed, restore it from a backup"
    )]
    Damaged {
        /// What was asked for.
        path: String,
        /// The digest of what is there.
        found: Digest,
    },
    /// The name holds other content.
    #[error(
        "failed to write {path} to the store: it holds other content ({holds}) and is never overwritten; keep both and find out who wrote it"
    )]
    Occupied {
        /// Which name.
        path: String,
        /// The digest of what is there.
        holds: Digest,
    },
    /// The name cannot be used.
    #[error("failed to use the name '{path}' in the store: {why}")]
    Refused {
        /// The name, shortened.
        path: String,
        /// Why not.
        why: &'static str,
    },
}

impl StoreError {
    /// What went wrong with all that it comes from, for whoever shows no chain of
    /// causes: that a disk is full or no file can be opened is known there alone.
    #[must_use]
    pub fn with_causes(&self) -> String {
        let mut said = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let text = error.to_string();
            // Some repeat in their own words what they come from.
            if !said.contains(&text) {
                said = format!("{said}: {text}");
            }
            cause = error.source();
        }
        without_queries(&said)
    }
}

/// A client's words, without the queries of the addresses in them: a signed one (Azure's
/// SAS, S3's presigned) lets in whoever has it.
fn without_queries(said: &str) -> String {
    const ENDS: [char; 5] = [')', '"', '\'', '<', '>'];
    let mut out = String::with_capacity(said.len());
    let mut rest = said;
    while let Some(at) = rest.find("://") {
        let (before, address) = rest.split_at(at);
        let ends = |c: char| c.is_whitespace() || ENDS.contains(&c);
        let (address, after) = address.split_at(address.find(ends).unwrap_or(address.len()));
        out.push_str(before);
        match address.split_once('?') {
            Some((plain, _)) => {
                out.push_str(plain);
                out.push_str("?…");
            }
            None => out.push_str(address),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

impl Store {
    /// The store in a folder, which is created (readable by its owner alone)
    /// if it is missing. What a put acknowledged is on the disk.
    ///
    /// # Errors
    /// [`StoreError::Folder`] if it cannot be created or is no folder.
    pub fn folder(path: &Path) -> Result<Self, StoreError> {
        let failed = |source| StoreError::Folder {
            path: path.display().to_string(),
            source,
        };
        create_private(path).map_err(failed)?;
        let inner = LocalFileSystem::new_with_prefix(path).map_err(|e| failed(std::io::Error::other(e)))?;
        Ok(Self {
            asks_first: true,
            ..Self::on(Arc::new(inner.with_fsync(true)))
        })
    }

    /// A store in memory, for the simulation and for tests.
    #[must_use]
    pub fn memory() -> Self {
        Self::on(Arc::new(InMemory::new()))
    }

    /// The store that a configuration names.
    ///
    /// # Errors
    /// [`StoreError::Folder`] or [`StoreError::Bucket`] if it cannot be set up;
    /// whether a bucket is there and can be written to, [`Store::check`] says.
    pub fn at(url: &StoreUrl) -> Result<Self, StoreError> {
        match url {
            StoreUrl::Folder(path) => Self::folder(path),
            StoreUrl::Bucket(bucket) => bucket::open(bucket),
        }
    }

    /// A store on any object store: a cloud's, or one that a simulation has
    /// wrapped in faults.
    #[must_use]
    pub fn on(inner: Arc<dyn ObjectStore>) -> Self {
        Self {
            inner,
            asks_first: false,
            last_site: Arc::default(),
        }
    }

    /// The place of a site in this store: a store of its own, which a worker there has as
    /// its whole one (`s3://bucket/sites/berlin`).
    ///
    /// # Errors
    /// [`StoreError::Refused`] if no site can be called so.
    pub fn site(&self, site: &str) -> Result<Self, StoreError> {
        let beneath = PrefixStore::new(Arc::clone(&self.inner), site_path(site)?);
        Ok(Self {
            asks_first: self.asks_first,
            ..Self::on(Arc::new(beneath))
        })
    }

    /// Keeps bytes and returns their digest, by which they are found.
    /// A damaged copy that is already there is replaced.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn put(&self, bytes: impl Into<Bytes>) -> Result<Digest, StoreError> {
        let bytes = bytes.into();
        let digest = Digest::of(&bytes);
        let path = object_path(digest);
        // Many people have the same in their snapshots: nothing.
        if self.asks_first
            && let Ok(there) = self.fetch(&path).await
            && there == bytes
        {
            return Ok(digest);
        }
        if self
            .create_or_fetch(&path, &bytes)
            .await?
            .is_some_and(|found| found != bytes)
        {
            let failed = |source| unavailable("repair", &path, source);
            self.inner
                .put(&path, PutPayload::from_bytes(bytes))
                .await
                .map_err(failed)?;
        }
        Ok(digest)
    }

    /// The bytes of that digest.
    ///
    /// # Errors
    /// [`StoreError::Absent`], [`StoreError::Damaged`] or [`StoreError::Unavailable`]; the last
    /// also if nobody else has it and what one site has cannot be read.
    pub async fn get(&self, digest: Digest) -> Result<Bytes, StoreError> {
        let path = object_path(digest);
        let mut why_not = match self.fetch_whole(&path, digest).await {
            Err(absent @ StoreError::Absent { .. }) => absent,
            found => return found,
        };
        for site in self.sites().await? {
            match self.fetch_whole(&at_site(&site, &path), digest).await {
                Ok(bytes) => {
                    *self.last_site.lock().unwrap_or_else(PoisonError::into_inner) = Some(site);
                    return Ok(bytes);
                }
                Err(StoreError::Absent { .. }) => {}
                // Who has one site's machine says nothing about what is at another. What
                // cannot be read may be what was asked for, which outweighs damage.
                Err(error) if matches!(why_not, StoreError::Absent { .. } | StoreError::Damaged { .. }) => {
                    why_not = error;
                }
                Err(_) => {}
            }
        }
        Err(why_not)
    }

    /// How long the bytes of that digest are, without reading them; none: they
    /// are not there. Who must know that they are undamaged reads them. Of what lies at
    /// a site this is a claim of whoever has its machine: who must know that they are there
    /// asks [`Store::holds`].
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn size(&self, digest: Digest) -> Result<Option<u64>, StoreError> {
        let path = object_path(digest);
        let here = self.size_at(&path).await?;
        if here.is_some() {
            return Ok(here);
        }
        let mut failed = None;
        for site in self.sites().await? {
            match self.size_at(&at_site(&site, &path)).await {
                Ok(None) => {}
                Ok(there) => return Ok(there),
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(None), Err)
    }

    /// Whether the bytes of that digest are there, and so many of them: here by their
    /// length, which costs little; at a site only if they are read and have it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn holds(&self, digest: Digest, bytes: u64) -> Result<bool, StoreError> {
        if let Some(here) = self.size_at(&object_path(digest)).await? {
            return Ok(here == bytes);
        }
        match self.get(digest).await {
            Ok(found) => Ok(found.len() as u64 == bytes),
            Err(StoreError::Absent { .. } | StoreError::Damaged { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Keeps bytes under a name (`evidence/acme/c-….json`). The same content again
    /// changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Occupied`] if the name holds other content,
    /// [`StoreError::Refused`] if the name is not made of our ids,
    /// [`StoreError::Unavailable`].
    pub async fn put_named(&self, path: &str, bytes: impl Into<Bytes>) -> Result<(), StoreError> {
        let path = checked(path)?;
        let bytes = bytes.into();
        match self.create_or_fetch(&path, &bytes).await? {
            Some(found) if found != bytes => Err(StoreError::Occupied {
                path: path.to_string(),
                holds: Digest::of(&found),
            }),
            _ => Ok(()),
        }
    }

    /// The bytes under a name.
    ///
    /// # Errors
    /// [`StoreError::Absent`], [`StoreError::Refused`] or [`StoreError::Unavailable`].
    pub async fn get_named(&self, path: &str) -> Result<Bytes, StoreError> {
        self.fetch(&checked(path)?).await
    }

    /// The named files in a folder and below, in the order of their names;
    /// an empty prefix means all but what is at sites.
    ///
    /// # Errors
    /// [`StoreError::Refused`] or [`StoreError::Unavailable`].
    pub async fn list(&self, prefix: &str) -> Result<Vec<Named>, StoreError> {
        let all = self.list_at_most(prefix, usize::MAX).await?;
        Ok(all.unwrap_or_default())
    }

    /// The same, if there are no more than so many; none if there are, and then no more of
    /// them were asked for.
    ///
    /// # Errors
    /// As [`Store::list`].
    pub async fn list_at_most(&self, prefix: &str, most: usize) -> Result<Option<Vec<Named>>, StoreError> {
        let folder = if prefix.is_empty() {
            None
        } else {
            Some(checked(prefix)?)
        };
        let place = folder.clone().unwrap_or_default();
        let unnamed = [OBJECTS, SITES].map(ObjectPath::from);
        let mut listing = self.inner.list(folder.as_ref());
        let mut named: Vec<Named> = Vec::new();
        while let Some(meta) = listing.try_next().await.map_err(|e| unavailable("list", &place, e))? {
            if unnamed.iter().any(|place| meta.location.prefix_matches(place)) {
                continue;
            }
            if named.len() == most {
                return Ok(None);
            }
            named.push(Named {
                path: meta.location.to_string(),
                bytes: meta.size,
            });
        }
        named.sort();
        Ok(Some(named))
    }

    /// Whether the store can be read, written and listed, and refuses to
    /// overwrite. It leaves one small artifact that is never removed, so it
    /// needs no right to delete, and no lock stands in its way the next time.
    ///
    /// # Errors
    /// [`StoreError`] with what the store lacks.
    pub async fn check(&self) -> Result<(), StoreError> {
        let path = probe_path();
        let bytes = Bytes::from_static(PROBE);
        // Others may look at the same time, and be in the way as any writer may.
        let found = if let Some(found) = self.create_or_fetch(&path, &bytes).await? {
            found
        } else {
            if self.create(&path, &bytes).await? {
                return Err(StoreError::Overwrites {
                    store: self.inner.to_string(),
                });
            }
            self.fetch(&path).await?
        };
        if found != bytes {
            return Err(StoreError::Damaged {
                path: path.to_string(),
                found: Digest::of(&found),
            });
        }
        let folder = ObjectPath::from(OBJECTS);
        let first = self.inner.list(Some(&folder)).next().await;
        first
            .transpose()
            .map_err(|source| unavailable("list", &folder, source))?;
        Ok(())
    }

    /// Writes what is not there yet; else what is there. A server may refuse
    /// because another writer is just at it, who may fail.
    async fn create_or_fetch(&self, path: &ObjectPath, bytes: &Bytes) -> Result<Option<Bytes>, StoreError> {
        for _ in 0..WRITERS {
            if self.create(path, bytes).await? {
                return Ok(None);
            }
            match self.fetch(path).await {
                Err(StoreError::Absent { .. }) => {}
                found => return found.map(Some),
            }
        }
        let source = object_store::Error::Generic {
            store: "store",
            source: "other writers were in the way each time, and none of them wrote it".into(),
        };
        Err(unavailable("write", path, source))
    }

    /// Writes what is not there yet; false if something is. After a connection that was cut,
    /// it may be what this wrote: asked again, the server refuses what it has by then.
    async fn create(&self, path: &ObjectPath, bytes: &Bytes) -> Result<bool, StoreError> {
        let mut cuts = 0;
        loop {
            let payload = PutPayload::from_bytes(bytes.clone());
            match self.inner.put_opts(path, payload, PutMode::Create.into()).await {
                Ok(_) => return Ok(true),
                Err(object_store::Error::AlreadyExists { .. }) => return Ok(false),
                Err(source) if cuts < CUTS && was_cut(&source) => cuts += 1,
                Err(source) => return Err(unavailable("write", path, source)),
            }
        }
    }

    /// The places of sites, the one first where something was found last.
    async fn sites(&self) -> Result<Vec<ObjectPath>, StoreError> {
        let all = ObjectPath::from(SITES);
        let listed = match self.inner.list_with_delimiter(Some(&all)).await {
            Ok(listed) => listed,
            Err(source) => match unavailable("list", &all, source) {
                // Whom they let in nowhere there has nothing to look for there.
                StoreError::Denied { .. } => return Ok(Vec::new()),
                error => return Err(error),
            },
        };
        let mut sites = listed.common_prefixes;
        let last = self.last_site.lock().unwrap_or_else(PoisonError::into_inner).clone();
        sites.sort_by_key(|site| Some(site) != last.as_ref());
        Ok(sites)
    }

    async fn size_at(&self, path: &ObjectPath) -> Result<Option<u64>, StoreError> {
        match self.inner.head(path).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(unavailable("look for", path, source)),
        }
    }

    /// What is there, if it has this digest.
    async fn fetch_whole(&self, path: &ObjectPath, digest: Digest) -> Result<Bytes, StoreError> {
        let bytes = self.fetch(path).await?;
        let found = Digest::of(&bytes);
        if found == digest {
            Ok(bytes)
        } else {
            Err(StoreError::Damaged {
                path: path.to_string(),
                found,
            })
        }
    }

    async fn fetch(&self, path: &ObjectPath) -> Result<Bytes, StoreError> {
        let read = async { self.inner.get(path).await?.bytes().await };
        read.await.map_err(|source| match source {
            object_store::Error::NotFound { .. } => StoreError::Absent { path: path.to_string() },
            source => unavailable("read", path, source),
        })
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.inner)
    }
}

/// What went wrong, when it is not about what was asked for.
fn unavailable(attempted: &'static str, path: &ObjectPath, source: object_store::Error) -> StoreError {
    use object_store::Error;
    let path = path.to_string();
    let named = matches!(source, Error::PermissionDenied { .. } | Error::Unauthenticated { .. });
    match source {
        source if named || answered(&source, &["401", "403"]) => StoreError::Denied {
            attempted,
            path,
            source,
        },
        // A write or a list finds no place only when the bucket is none.
        source if matches!(source, Error::NotFound { .. }) || answered(&source, &["404"]) => StoreError::NoBucket {
            attempted,
            path,
            source,
        },
        source => StoreError::Unavailable {
            attempted,
            path,
            source,
        },
    }
}

/// Whether the server answered with one of these statuses. Of a listing the
/// crate keeps the status in its text alone.
fn answered(error: &object_store::Error, statuses: &[&str]) -> bool {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        let said = text.split("status code: ").nth(1).unwrap_or_default();
        if statuses.iter().any(|status| said.starts_with(status)) {
            return true;
        }
        next = error.source();
    }
    false
}

/// Whether the connection was cut before there was an answer. The crate repeats by itself only what
/// it takes for harmless, and it does not take creating for that.
fn was_cut(error: &object_store::Error) -> bool {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(http) = error.downcast_ref::<HttpError>() {
            return http.kind() == HttpErrorKind::Interrupted;
        }
        next = error.source();
    }
    false
}

fn create_private(path: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_signed_address_is_among_the_causes() {
        let said =
            "error sending request for url (https://acme.blob.core.windows.net/offboard/o/1?sv=2024&sig=aGVsbG8%3D)";
        let error = StoreError::Denied {
            attempted: "write",
            path: "o/1".to_owned(),
            source: object_store::Error::Generic {
                store: "MicrosoftAzure",
                source: format!("GET \"https://s3.example/b/k?X-Amz-Signature=beef\" failed: {said}: reset").into(),
            },
        };
        let shown = error.with_causes();
        assert!(!shown.contains("sig=") && !shown.contains("Signature"), "{shown}");
        assert!(shown.contains("\"https://s3.example/b/k?…\" failed"), "{shown}");
        assert!(
            shown.contains("(https://acme.blob.core.windows.net/offboard/o/1?…): reset"),
            "{shown}"
        );
        let plain = "is a question? see https://docs.example/a and try again";
        assert_eq!(without_queries(plain), plain);
    }
}
