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
use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
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
    /// A folder of which so many lists never come.
    stuck: Mutex<(String, usize)>,
    /// What is listed and cannot be read.
    lacking: Mutex<BTreeSet<String>>,
    /// How many names were listed.
    listed: AtomicUsize,
    /// How long it takes to put something there, in milliseconds.
    put_takes_ms: AtomicU64,
}

impl Manners {
    async fn get_stuck_in(&self, folder: Option<&Path>) {
        let stuck = {
            let mut stuck = self.stuck.lock().unwrap();
            let here = folder.is_some_and(|folder| folder.to_string() == stuck.0) && stuck.1 > 0;
            stuck.1 -= usize::from(here);
            here
        };
        if stuck {
            std::future::pending::<()>().await;
        }
    }

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
                stuck: Mutex::default(),
                lacking: Mutex::default(),
                listed: AtomicUsize::new(0),
                put_takes_ms: AtomicU64::new(0),
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

    /// From now on so many lists of this folder never come.
    pub(crate) fn gets_stuck_in(&self, folder: &str, times: usize) {
        *self.manners.stuck.lock().unwrap() = (folder.to_owned(), times);
    }

    /// From now on this is listed, and is not there for whoever reads it.
    pub(crate) fn lacks(&self, path: &str) {
        self.manners.lacking.lock().unwrap().insert(path.to_owned());
    }

    /// From now on it takes this long to put something there.
    pub(crate) fn puts_take(&self, ms: u64) {
        self.manners.put_takes_ms.store(ms, Ordering::Relaxed);
    }

    /// How many names it has listed so far.
    pub(crate) fn listed(&self) -> usize {
        self.manners.listed.load(Ordering::Relaxed)
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
        let takes_ms = self.manners.put_takes_ms.load(Ordering::Relaxed);
        if takes_ms > 0 {
            tokio::time::sleep(Duration::from_millis(takes_ms)).await;
        }
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.manners.meet().await?;
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.manners.meet().await?;
        if self.manners.lacking.lock().unwrap().contains(&location.to_string()) {
            return Err(Error::NotFound {
                path: location.to_string(),
                source: "as the test wants".into(),
            });
        }
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (inner, manners, prefix) = (self.inner.clone(), self.manners.clone(), prefix.cloned());
        let listed = async move {
            manners.take_turns(prefix.as_ref()).await;
            manners.get_stuck_in(prefix.as_ref()).await;
            manners.meet().await?;
            let counted = inner.list(prefix.as_ref()).inspect_ok(move |_| {
                manners.listed.fetch_add(1, Ordering::Relaxed);
            });
            Ok::<_, Error>(counted)
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
