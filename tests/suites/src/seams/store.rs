//! The object store, which sometimes does not answer: before it has written,
//! or after.

use crate::trouble::{Fate, Trouble};
use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use offboard_store::Store;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// One process's access to what an object store holds.
pub(crate) struct FaultyStore {
    inner: Arc<InMemory>,
    trouble: Arc<Trouble>,
    /// While this is so, nothing is put.
    shut: Option<Arc<AtomicBool>>,
}

impl FaultyStore {
    /// A store over this memory for a process with this fortune.
    pub(crate) fn over(inner: &Arc<InMemory>, trouble: &Arc<Trouble>) -> Store {
        Self::shut_while(None, inner, trouble)
    }

    /// The same, into which nothing is put while this is so: broken on purpose, see
    /// [`Broken::SealingWaitsForTheDesk`](crate::Broken).
    pub(crate) fn shut_while(shut: Option<Arc<AtomicBool>>, inner: &Arc<InMemory>, trouble: &Arc<Trouble>) -> Store {
        Store::on(Arc::new(Self {
            inner: inner.clone(),
            trouble: trouble.clone(),
            shut,
        }))
    }

    fn is_shut(&self) -> bool {
        self.shut.as_ref().is_some_and(|shut| shut.load(Ordering::Relaxed))
    }

    async fn end<T>(&self, fate: Fate, done: Result<T>) -> Result<T> {
        match fate {
            Fate::FailsAfter => Err(silent()),
            Fate::DiesAfter => self.trouble.die().await,
            Fate::Answered | Fate::FailsBefore | Fate::DiesBefore => done,
        }
    }

    async fn begin(&self, what: &str) -> Result<Fate> {
        match self.trouble.meet(what).await {
            Fate::FailsBefore => Err(silent()),
            Fate::DiesBefore => self.trouble.die().await,
            fate => Ok(fate),
        }
    }
}

fn silent() -> Error {
    Error::Generic {
        store: "simulated",
        source: "it did not answer".into(),
    }
}

impl fmt::Debug for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyStore")
    }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a store with faults")
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let fate = self.begin("put").await?;
        if self.is_shut() {
            return Err(silent());
        }
        self.end(fate, self.inner.put_opts(location, payload, opts).await).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let fate = self.begin("put in parts").await?;
        self.end(fate, self.inner.put_multipart_opts(location, opts).await)
            .await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let fate = self.begin("get").await?;
        self.end(fate, self.inner.get_opts(location, options).await).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
