//! The store in a bucket of an S3 server that is somebody else's (moto), and
//! what only a bucket can suffer: a lock, a server that says no, one that
//! overwrites, none at all.

use crate::backend::{Backend, conformance};
use async_trait::async_trait;
use bytes::Bytes;
use offboard_domain::time::DAY_MS;
use offboard_domain::{Digest, Timestamp};
use offboard_runtime::config::{Bucket, BucketAccess, Cloud, Lock, LockMode, StoreUrl};
use offboard_runtime::{Clock as _, SecretRef, SystemClock};
use offboard_servers::{ClosedPort, Moto, StartError};
use offboard_store::{LockState, Store, StoreError, lock_state};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tempfile::TempDir;

fn venv() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    target.join("test-venv")
}

/// One server for the tests that only need a bucket of their own.
fn shared() -> Result<Arc<Moto>, StartError> {
    static SHARED: Mutex<Weak<Moto>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(server) = shared.upgrade() {
        return Ok(server);
    }
    let server = Arc::new(Moto::start(&venv())?);
    *shared = Arc::downgrade(&server);
    Ok(server)
}

/// A bucket at a server, with a key that is read from files.
struct At {
    bucket: Bucket,
    _secrets: TempDir,
}

impl At {
    fn server(url: &str, id: &str, key: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let secrets = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = secrets.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            Some(SecretRef::File(path))
        };
        let access = BucketAccess {
            endpoint: Some(url.to_owned()),
            region: Some("us-east-1".to_owned()),
            key_id: file("id", id),
            key: file("key", key),
            ..BucketAccess::default()
        };
        let bucket = Bucket {
            cloud: Cloud::S3,
            name: format!("offboard-{}", NEXT.fetch_add(1, Ordering::Relaxed)),
            prefix: "of/offboard".to_owned(),
            access,
            lock: None,
        };
        Self {
            bucket,
            _secrets: secrets,
        }
    }

    fn locked(mut self, mode: LockMode) -> Self {
        self.bucket.lock = Some(Lock {
            mode,
            keep_ms: 30 * DAY_MS,
        });
        self
    }

    /// The other's bucket, with this one's key.
    fn like(mut self, other: &Self) -> Self {
        self.bucket.name.clone_from(&other.bucket.name);
        self.bucket.lock = other.bucket.lock;
        self
    }

    fn store(&self) -> Store {
        Store::at(&StoreUrl::Bucket(Box::new(self.bucket.clone()))).unwrap()
    }

    fn path(&self, name: &str) -> String {
        format!("/{}/{}/{name}", self.bucket.name, self.bucket.prefix)
    }
}

struct S3 {
    server: Arc<Moto>,
    at: At,
    store: Store,
}

#[async_trait]
impl Backend for S3 {
    async fn fresh() -> Self {
        let server = shared().unwrap();
        let at = At::server(&server.url(), "somebody", "hunter2");
        server.make_bucket(&at.bucket.name, false).unwrap();
        let store = at.store();
        Self { server, at, store }
    }

    fn store(&self) -> Store {
        self.store.clone()
    }

    async fn restart(self) -> Self {
        let store = self.at.store();
        Self { store, ..self }
    }

    async fn damage(&self, digest: Digest) -> bool {
        let hex = digest.to_string();
        let path = self.at.path(&format!("objects/{}/{hex}", &hex[..2]));
        let (_, mut bytes) = self.server.ask("GET", &path, &[], b"").unwrap();
        bytes[500] ^= 1;
        self.server.ask("PUT", &path, &[], &bytes).unwrap();
        true
    }
}

conformance!(S3);

#[tokio::test]
async fn a_bucket_is_looked_at_without_leaving_more_each_time() {
    let backend = S3::fresh().await;
    for _ in 0..3 {
        backend.store.check().await.unwrap();
    }
    assert!(backend.store.list("").await.unwrap().is_empty());
    let listing = format!("/{}?list-type=2", backend.at.bucket.name);
    let (_, listed) = backend.server.ask("GET", &listing, &[], b"").unwrap();
    assert_eq!(String::from_utf8(listed).unwrap().matches("<Key>").count(), 1);
}

#[tokio::test]
async fn many_names_are_listed_whole_and_in_order() {
    // More than a server gives in one answer.
    const NAMES: usize = 1_030;
    const WRITERS: usize = 4;
    let backend = S3::fresh().await;
    std::thread::scope(|scope| {
        for of in 0..WRITERS {
            let backend = &backend;
            scope.spawn(move || {
                for n in (of..NAMES).step_by(WRITERS) {
                    let path = backend.at.path(&format!("evidence/{n:05}"));
                    backend.server.ask("PUT", &path, &[], b"x").unwrap();
                }
            });
        }
    });
    let listed = backend.store.list("evidence").await.unwrap();
    let names: Vec<String> = (0..NAMES).map(|n| format!("evidence/{n:05}")).collect();
    assert!(listed.iter().map(|l| &l.path).eq(&names), "{} listed", listed.len());
}

#[tokio::test]
async fn what_is_written_is_locked_as_asked() {
    for (mode, word) in [
        (LockMode::Compliance, "COMPLIANCE"),
        (LockMode::Governance, "GOVERNANCE"),
    ] {
        let server = shared().unwrap();
        let at = At::server(&server.url(), "somebody", "hunter2").locked(mode);
        server.make_bucket(&at.bucket.name, true).unwrap();
        assert_eq!(lock_state(&at.bucket).await.unwrap(), LockState::On);
        let store = at.store();
        store.check().await.unwrap();
        let before = SystemClock.now();
        store
            .put_named("evidence/acme/one.json", Bytes::from_static(b"proof"))
            .await
            .unwrap();
        let after = SystemClock.now();
        let (head, body) = server.ask("GET", &at.path("evidence/acme/one.json"), &[], b"").unwrap();
        assert_eq!(body, b"proof");
        let head = head.to_ascii_lowercase();
        let header = |name: &str| {
            let line = head.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(": "));
            line.unwrap_or_else(|| panic!("no {name} in\n{head}")).to_owned()
        };
        assert_eq!(header("x-amz-object-lock-mode"), word.to_ascii_lowercase());
        let until = header("x-amz-object-lock-retain-until-date");
        let day = |t: Timestamp| t.plus(30 * DAY_MS).to_string()[..10].to_ascii_lowercase();
        assert!(
            until.starts_with(&day(before)) || until.starts_with(&day(after)),
            "{until}"
        );
        // A locked name is found as it is, and not written again.
        store
            .put_named("evidence/acme/one.json", Bytes::from_static(b"proof"))
            .await
            .unwrap();
        let other = store
            .put_named("evidence/acme/one.json", Bytes::from_static(b"other"))
            .await;
        assert!(matches!(other, Err(StoreError::Occupied { .. })), "{other:?}");
    }
}

#[tokio::test]
async fn a_bucket_that_was_made_without_locks_says_so_and_takes_none() {
    let server = shared().unwrap();
    let at = At::server(&server.url(), "somebody", "hunter2").locked(LockMode::Compliance);
    server.make_bucket(&at.bucket.name, false).unwrap();
    assert_eq!(lock_state(&at.bucket).await.unwrap(), LockState::Off);
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_named_as_such() {
    let server = shared().unwrap();
    let at = At::server(&server.url(), "somebody", "hunter2");
    let said = at.store().check().await.unwrap_err();
    assert!(matches!(said, StoreError::NoBucket { .. }), "{said:?}");
    let locks = lock_state(&at.bucket).await.unwrap_err();
    let why = std::error::Error::source(&locks).unwrap().to_string();
    assert!(why.contains("NoSuchBucket"), "{why}");
}

#[tokio::test]
async fn every_request_is_signed_the_one_that_locks_too() {
    let server = Moto::start(&venv()).unwrap();
    let at = At::server(&server.url(), "nobody", "hunter2").locked(LockMode::Compliance);
    server.make_bucket(&at.bucket.name, true).unwrap();
    let (id, key) = server.only_for_its_user().unwrap();

    let known = At::server(&server.url(), &id, &key).like(&at);
    let store = known.store();
    store.check().await.unwrap();
    let name = "evidence/acme/one.json";
    for _ in 0..2 {
        store.put_named(name, Bytes::from_static(b"proof")).await.unwrap();
    }
    let digest = store.put(Bytes::from_static(b"snapshot")).await.unwrap();
    assert_eq!(store.get(digest).await.unwrap(), &b"snapshot"[..]);
    assert_eq!(store.list("").await.unwrap().len(), 1);
    assert_eq!(lock_state(&known.bucket).await.unwrap(), LockState::On);

    let wrong = At::server(&server.url(), &id, "hunter2").like(&at);
    for said in [
        wrong.store().check().await.unwrap_err(),
        wrong.store().get(digest).await.unwrap_err(),
        wrong.store().list("").await.unwrap_err(),
    ] {
        assert!(matches!(said, StoreError::Denied { .. }), "{said:?}");
    }
    assert!(lock_state(&wrong.bucket).await.is_err());
}

/// A server that gives every request the same answer, and what it was asked.
fn always(status: &'static str) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let ears = heard.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut request = [0; 16 * 1024];
            let read = stream.read(&mut request).unwrap_or(0);
            ears.lock()
                .unwrap()
                .push(String::from_utf8_lossy(&request[..read]).into_owned());
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\netag: \"x\"\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (url, heard)
}

#[tokio::test]
async fn a_server_that_overwrites_is_refused() {
    let (url, _) = always("200 OK");
    let said = At::server(&url, "somebody", "hunter2")
        .store()
        .check()
        .await
        .unwrap_err();
    assert!(matches!(said, StoreError::Overwrites { .. }), "{said:?}");
    assert!(said.to_string().contains("If-None-Match"), "{said}");
}

#[tokio::test]
async fn a_server_that_says_no_is_told_from_one_that_says_nothing() {
    let (url, heard) = always("403 Forbidden");
    let said = At::server(&url, "somebody", "hunter2")
        .store()
        .check()
        .await
        .unwrap_err();
    assert!(matches!(said, StoreError::Denied { .. }), "{said:?}");
    let shown = format!("{said} {said:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
    let heard = heard.lock().unwrap().clone();
    assert!(!heard.is_empty() && heard.iter().all(|r| !r.contains("hunter2")));
    assert!(
        heard[0].to_ascii_lowercase().contains("if-none-match: *"),
        "{}",
        heard[0]
    );

    let closed = ClosedPort::take().unwrap();
    let said = At::server(&format!("http://127.0.0.1:{}", closed.port()), "somebody", "hunter2")
        .store()
        .get(Digest::of(b"x"))
        .await
        .unwrap_err();
    assert!(matches!(said, StoreError::Unavailable { .. }), "{said:?}");
}
