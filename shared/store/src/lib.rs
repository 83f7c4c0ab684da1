//! The store: artifacts by their digest, evidence files by their name.
//!
//! It owns bytes and knows nothing of what they say. An artifact (a snapshot,
//! an attested file) is found by the digest that an event carries; an evidence
//! file by a name made of our own ids. Nothing that was put is ever changed or
//! removed. It stands on `object_store`, so that a folder, memory and the
//! clouds' object stores are one thing.
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

mod name;

use bytes::Bytes;
use futures::TryStreamExt as _;
use name::{OBJECTS, checked, object_path};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, PutPayload};
use offboard_domain::Digest;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// The store. A clone is another handle on the same place.
#[derive(Clone)]
pub struct Store {
    inner: Arc<dyn ObjectStore>,
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
            inner: Arc::new(inner.with_fsync(true)),
        })
    }

    /// A store in memory, for the simulation and for tests.
    #[must_use]
    pub fn memory() -> Self {
        Self {
            inner: Arc::new(InMemory::new()),
        }
    }

    /// A store on any object store: a cloud's, or one that a simulation has
    /// wrapped in faults.
    #[must_use]
    pub fn on(inner: Arc<dyn ObjectStore>) -> Self {
        Self { inner }
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
        if !self.create(&path, &bytes).await? && self.fetch(&path).await? != bytes {
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
    /// [`StoreError::Absent`], [`StoreError::Damaged`] or [`StoreError::Unavailable`].
    pub async fn get(&self, digest: Digest) -> Result<Bytes, StoreError> {
        let path = object_path(digest);
        let bytes = self.fetch(&path).await?;
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

    /// How long the bytes of that digest are, without reading them; none: they
    /// are not there. Who must know that they are undamaged reads them.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn size(&self, digest: Digest) -> Result<Option<u64>, StoreError> {
        let path = object_path(digest);
        match self.inner.head(&path).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(unavailable("look for", &path, source)),
        }
    }

    /// Keeps bytes under a name (`evidence/acme/c-….json`) and returns their
    /// digest. The same content again changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Occupied`] if the name holds other content,
    /// [`StoreError::Refused`] if the name is not made of our ids,
    /// [`StoreError::Unavailable`].
    pub async fn put_named(&self, path: &str, bytes: impl Into<Bytes>) -> Result<Digest, StoreError> {
        let path = checked(path)?;
        let bytes = bytes.into();
        let digest = Digest::of(&bytes);
        if !self.create(&path, &bytes).await? {
            let holds = Digest::of(&self.fetch(&path).await?);
            if holds != digest {
                return Err(StoreError::Occupied {
                    path: path.to_string(),
                    holds,
                });
            }
        }
        Ok(digest)
    }

    /// The bytes under a name.
    ///
    /// # Errors
    /// [`StoreError::Absent`], [`StoreError::Refused`] or [`StoreError::Unavailable`].
    pub async fn get_named(&self, path: &str) -> Result<Bytes, StoreError> {
        self.fetch(&checked(path)?).await
    }

    /// The named files in a folder and below, in the order of their names;
    /// an empty prefix means all.
    ///
    /// # Errors
    /// [`StoreError::Refused`] or [`StoreError::Unavailable`].
    pub async fn list(&self, prefix: &str) -> Result<Vec<Named>, StoreError> {
        let folder = if prefix.is_empty() {
            None
        } else {
            Some(checked(prefix)?)
        };
        let place = folder.clone().unwrap_or_default();
        let found: Vec<_> = self
            .inner
            .list(folder.as_ref())
            .try_collect()
            .await
            .map_err(|e| unavailable("list", &place, e))?;
        let objects = ObjectPath::from(OBJECTS);
        let mut named: Vec<Named> = found
            .into_iter()
            .filter(|meta| !meta.location.prefix_matches(&objects))
            .map(|meta| Named {
                path: meta.location.to_string(),
                bytes: meta.size,
            })
            .collect();
        named.sort();
        Ok(named)
    }

    /// Writes what is not there yet; false if something is.
    async fn create(&self, path: &ObjectPath, bytes: &Bytes) -> Result<bool, StoreError> {
        let payload = PutPayload::from_bytes(bytes.clone());
        match self.inner.put_opts(path, payload, PutMode::Create.into()).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(source) => Err(unavailable("write", path, source)),
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

fn unavailable(attempted: &'static str, path: &ObjectPath, source: object_store::Error) -> StoreError {
    StoreError::Unavailable {
        attempted,
        path: path.to_string(),
        source,
    }
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
