//! A store that does not answer as a test wants it: that fails, that hangs, or that
//! lists one folder at a time.

use crate::rig::World;
use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use offboard_store::Store;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::{Semaphore, watch};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Answers,
    Fails,
    Hangs,
}

#[derive(Debug)]
struct Manners {
    mood: watch::Sender<Mood>,
    one_by_one: AtomicBool,
    waiting: AtomicUsize,
    /// What was last asked for a list of.
    asked: Mutex<String>,
    may_go: Semaphore,
}

impl Manners {
    async fn meet(&self) -> Result<()> {
        drop(self.mood.subscribe().wait_for(|mood| *mood != Mood::Hangs).await);
        let fails = *self.mood.borrow() == Mood::Fails;
        if fails {
            return Err(Error::Generic {
                store: "moody",
                source: "as the test wants".into(),
            });
        }
        Ok(())
    }

    async fn take_turns(&self, folder: Option<&Path>) {
        if self.one_by_one.load(Ordering::Relaxed) {
            *self.asked.lock().unwrap() = folder.map(ToString::to_string).unwrap_or_default();
            self.waiting.fetch_add(1, Ordering::Relaxed);
            self.may_go.acquire().await.unwrap().forget();
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[derive(Debug)]
pub(crate) struct Moody {
    inner: Arc<InMemory>,
    manners: Arc<Manners>,
}

impl Moody {
    /// The store of everybody in this world from now on.
    pub(crate) fn in_place_of(world: &mut World) -> Arc<Self> {
        let moody = Arc::new(Self {
            inner: Arc::new(InMemory::new()),
            manners: Arc::new(Manners {
                mood: watch::Sender::new(Mood::Answers),
                one_by_one: AtomicBool::new(false),
                waiting: AtomicUsize::new(0),
                asked: Mutex::default(),
                may_go: Semaphore::new(0),
            }),
        });
        world.store = Store::on(moody.clone());
        moody
    }

    pub(crate) fn is(&self, mood: Mood) {
        self.manners.mood.send_replace(mood);
    }

    /// From now on each folder is listed when it is told to be, as it is then.
    pub(crate) fn lists_one_by_one(&self) {
        self.manners.one_by_one.store(true, Ordering::Relaxed);
    }

    /// Whether somebody waits for a list.
    pub(crate) fn is_waited_for(&self) -> bool {
        self.manners.waiting.load(Ordering::Relaxed) > 0
    }

    /// Whether the last who waits for a list waits for one of this folder.
    pub(crate) fn is_waited_for_in(&self, folder: &str) -> bool {
        self.is_waited_for() && self.manners.asked.lock().unwrap().starts_with(folder)
    }

    pub(crate) fn list_one(&self) {
        self.manners.may_go.add_permits(1);
    }

    /// What is in it, whatever its mood.
    pub(crate) async fn names(&self, folder: &str) -> Vec<String> {
        let files = Store::on(self.inner.clone()).list(folder).await.unwrap();
        files.into_iter().map(|f| f.path).collect()
    }
}

impl fmt::Display for Moody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a moody store")
    }
}

#[async_trait]
impl ObjectStore for Moody {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.manners.meet().await?;
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.manners.meet().await?;
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.manners.meet().await?;
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (inner, manners, prefix) = (self.inner.clone(), self.manners.clone(), prefix.cloned());
        let listed = async move {
            manners.take_turns(prefix.as_ref()).await;
            manners.meet().await?;
            Ok::<_, Error>(inner.list(prefix.as_ref()))
        };
        stream::once(listed).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.manners.meet().await?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
