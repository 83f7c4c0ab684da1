//! The store in a bucket at Azure or Google: over faces of them that check signatures, give short
//! pages, and are crueller to whoever asks than they are themselves. What only such a bucket can
//! suffer is here, once for both.

use crate::backend::Backend;
use async_trait::async_trait;
use bytes::Bytes;
use offboard_domain::Digest;
use offboard_runtime::config::{self, BucketAccess, Cloud, StoreUrl};
use offboard_runtime::{Clock as _, SecretRef, SystemClock};
use offboard_sim::face::{BucketFace, BucketSimulator};
use offboard_sim::world::bucket::{Bucket, BucketFault};
use offboard_store::{Store, StoreError};
use std::marker::PhantomData;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tempfile::TempDir;

/// By it the first who creates the name that the laws race for gets no answer, and the second is
/// not heard; who looks whether a site's place can be written to finds another at it.
const SEED: u64 = 6_554;
const NAME: &str = "offboard-evidence";
const PREFIX: &str = "of/offboard";
pub(crate) const ACCOUNT: &str = "offboard";

/// Who keeps the bucket.
pub(crate) trait Vendor: Send + Sync + 'static {
    const CLOUD: Cloud;
    /// What the configuration refers to.
    fn key() -> String;
    /// One that knows whoever has that key.
    fn face() -> BucketFace;
    /// Those that do not.
    fn strangers() -> Vec<BucketFace>;
}

/// A bucket of this vendor's, and the store in it.
pub(crate) struct Faced<V> {
    held: Arc<Mutex<Bucket>>,
    at: config::Bucket,
    store: Store,
    _server: BucketSimulator,
    _secrets: TempDir,
    _vendor: PhantomData<V>,
}

impl<V: Vendor> Faced<V> {
    /// One that is cruel, or only when a test orders it.
    async fn start(face: BucketFace, cruel: bool, resets: bool) -> Self {
        let mut bucket = Bucket::new(SEED, NAME);
        bucket.cruel = cruel;
        let held = Arc::new(Mutex::new(bucket));
        let clock = Arc::new(|| SystemClock.now().0);
        let server = BucketSimulator::start(held.clone(), face, clock, resets).await.unwrap();
        let secrets = tempfile::tempdir().unwrap();
        let key = secrets.path().join("key");
        std::fs::write(&key, V::key()).unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
        let at = config::Bucket {
            cloud: V::CLOUD,
            name: NAME.to_owned(),
            prefix: PREFIX.to_owned(),
            access: BucketAccess {
                endpoint: Some(server.url().to_owned()),
                account: Some(ACCOUNT.to_owned()),
                key: Some(SecretRef::File(key)),
                ..BucketAccess::default()
            },
            lock: None,
        };
        Self {
            held,
            store: open(&at),
            at,
            _server: server,
            _secrets: secrets,
            _vendor: PhantomData,
        }
    }

    /// One that is cruel only when a test orders it.
    async fn kind(resets: bool) -> Self {
        Self::start(V::face(), false, resets).await
    }

    fn held(&self) -> MutexGuard<'_, Bucket> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn order(&self, of: &str, fault: BucketFault) {
        self.held().ordered.push((of.to_owned(), fault));
    }

    /// How often something was asked for whose line begins so, and holds that.
    fn asked(&self, begins: &str, holds: &str) -> usize {
        let held = self.held();
        let those = held
            .asked
            .iter()
            .filter(|line| line.starts_with(begins) && line.contains(holds));
        those.count()
    }
}

fn open(at: &config::Bucket) -> Store {
    Store::at(&StoreUrl::Bucket(Box::new(at.clone()))).unwrap()
}

#[async_trait]
impl<V: Vendor> Backend for Faced<V> {
    async fn fresh() -> Self {
        Self::start(V::face(), true, true).await
    }

    fn store(&self) -> Store {
        self.store.clone()
    }

    async fn restart(self) -> Self {
        let store = open(&self.at);
        Self { store, ..self }
    }

    async fn damage(&self, digest: Digest) -> bool {
        let hex = digest.to_string();
        let name = format!("{PREFIX}/objects/{}/{hex}", &hex[..2]);
        self.held().objects.get_mut(&name).unwrap().bytes[500] ^= 1;
        true
    }
}

/// One test for each of what is below.
macro_rules! faced {
    ($vendor:ty) => {
        $crate::faces::faced!($vendor:
            a_name_is_written_once_whatever_befalls_the_request,
            a_connection_that_is_always_cut_is_told_and_not_waited_for,
            what_is_torn_is_read_on_from_where_it_ended,
            a_listing_is_read_page_by_page_and_no_further_than_needed,
            whoever_is_not_known_is_told_from_one_who_gets_no_answer,
            a_bucket_that_is_not_there_is_named_as_such,
            a_bucket_that_overwrites_is_refused,
            several_may_look_at_a_new_bucket_at_the_same_time,
        );
    };
    ($vendor:ty: $($test:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $test() {
                let within = std::time::Duration::from_secs(120);
                tokio::time::timeout(within, $crate::faces::$test::<$vendor>()).await.expect("an end");
            }
        )*
    };
}
pub(crate) use faced;

pub(crate) async fn a_name_is_written_once_whatever_befalls_the_request<V: Vendor>() {
    use BucketFault::{Busy, Conflict, LostAfter, LostBefore};
    let name = "evidence/acme/one.json";
    for resets in [false, true] {
        for fault in [Busy, Conflict, LostBefore, LostAfter] {
            let what = format!("{fault:?}, resets: {resets}");
            let faced = Faced::<V>::kind(resets).await;
            faced.order("CREATE", fault);
            faced.store.put_named(name, Bytes::from_static(b"proof")).await.unwrap();
            assert_eq!(faced.asked("CREATE", name), 2, "{what}");
            assert_eq!(faced.asked("REPLACE", ""), 0, "{what}");
            let generations: Vec<u64> = faced.held().objects.values().map(|o| o.generation).collect();
            assert_eq!(generations, [1], "{what}");
            let said = faced.store.put_named(name, Bytes::from_static(b"other")).await;
            assert!(matches!(said, Err(StoreError::Occupied { .. })), "{what}: {said:?}");
        }
    }
}

pub(crate) async fn a_connection_that_is_always_cut_is_told_and_not_waited_for<V: Vendor>() {
    let faced = Faced::<V>::kind(true).await;
    for _ in 0..10 {
        faced.order("CREATE", BucketFault::LostBefore);
    }
    let said = faced.store.put(Bytes::from_static(b"snapshot")).await.unwrap_err();
    assert!(matches!(said, StoreError::Unavailable { .. }), "{said:?}");
    assert!(faced.asked("CREATE", "") < 10);
    assert!(faced.held().objects.is_empty());
}

pub(crate) async fn what_is_torn_is_read_on_from_where_it_ended<V: Vendor>() {
    let whole: Bytes = (0..100_000_u32).flat_map(u32::to_be_bytes).collect::<Vec<u8>>().into();
    for resets in [false, true] {
        let faced = Faced::<V>::kind(resets).await;
        let digest = faced.store.put(whole.clone()).await.unwrap();
        for _ in 0..2 {
            faced.order("READ", BucketFault::Torn);
        }
        assert!(faced.store.get(digest).await.unwrap() == whole, "resets: {resets}");
        assert_eq!(faced.asked("READ", " from "), 2, "resets: {resets}");
    }
}

pub(crate) async fn a_listing_is_read_page_by_page_and_no_further_than_needed<V: Vendor>() {
    let faced = Faced::<V>::kind(false).await;
    let names: Vec<String> = (0..7).map(|n| format!("evidence/acme/{n}")).collect();
    for name in &names {
        faced.store.put_named(name, Bytes::from_static(b"x")).await.unwrap();
    }
    let listed = faced.store.list("evidence").await.unwrap();
    assert!(listed.iter().map(|named| &named.path).eq(&names), "{listed:?}");
    // One that is empty, and those of two each.
    assert_eq!(faced.asked("LIST", ""), 5);
    assert_eq!(faced.store.list_at_most("evidence", 1).await.unwrap(), None);
    assert_eq!(faced.asked("LIST", ""), 7);
}

pub(crate) async fn whoever_is_not_known_is_told_from_one_who_gets_no_answer<V: Vendor>() {
    for stranger in V::strangers() {
        let faced = Faced::<V>::start(stranger, false, false).await;
        for said in [
            faced.store.check().await.unwrap_err(),
            faced.store.get(Digest::of(b"x")).await.unwrap_err(),
            faced.store.size(Digest::of(b"x")).await.unwrap_err(),
            faced.store.list("").await.unwrap_err(),
        ] {
            assert!(matches!(said, StoreError::Denied { .. }), "{said:?}");
            let shown = format!("{said:?} {}", said.with_causes());
            assert!(
                !shown.contains(&V::key()) && !shown.contains("PRIVATE KEY"),
                "the key is shown"
            );
        }
        assert!(faced.held().asked.is_empty());
    }
}

pub(crate) async fn a_bucket_that_is_not_there_is_named_as_such<V: Vendor>() {
    let faced = Faced::<V>::kind(false).await;
    let mut at = faced.at.clone();
    at.name = "offboard-elsewhere".to_owned();
    let store = open(&at);
    for said in [store.check().await.unwrap_err(), store.list("").await.unwrap_err()] {
        assert!(matches!(said, StoreError::NoBucket { .. }), "{said:?}");
    }
}

pub(crate) async fn a_bucket_that_overwrites_is_refused<V: Vendor>() {
    let faced = Faced::<V>::kind(false).await;
    faced.held().overwrites = true;
    let said = faced.store.check().await.unwrap_err();
    assert!(matches!(said, StoreError::Overwrites { .. }), "{said:?}");
}

pub(crate) async fn several_may_look_at_a_new_bucket_at_the_same_time<V: Vendor>() {
    let faced = Faced::<V>::kind(false).await;
    faced.order("CREATE", BucketFault::Conflict);
    for _ in 0..3 {
        faced.store.check().await.unwrap();
    }
    assert_eq!(faced.held().objects.len(), 1);
    assert_eq!(faced.asked("REPLACE", ""), 0);
}
