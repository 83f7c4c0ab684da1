//! The store in a folder, and what only a folder can suffer: damage from
//! outside, a process killed while it writes, a place that is none.

use crate::backend::{Backend, conformance};
use async_trait::async_trait;
use bytes::Bytes;
use offboard_domain::Digest;
use offboard_store::{Store, StoreError};
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

struct Folder {
    place: TempDir,
    store: Store,
}

fn artifact(root: &Path, digest: Digest) -> PathBuf {
    let hex = digest.to_string();
    root.join("objects").join(&hex[..2]).join(hex)
}

#[async_trait]
impl Backend for Folder {
    async fn fresh() -> Self {
        let place = tempfile::tempdir().unwrap();
        let store = Store::folder(&place.path().join("new/store")).unwrap();
        Self { place, store }
    }

    fn store(&self) -> Store {
        self.store.clone()
    }

    async fn restart(self) -> Self {
        let store = Store::folder(&self.place.path().join("new/store")).unwrap();
        Self { store, ..self }
    }

    async fn damage(&self, digest: Digest) -> bool {
        let file = artifact(&self.place.path().join("new/store"), digest);
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[500] ^= 1;
        std::fs::write(&file, bytes).unwrap();
        true
    }
}

conformance!(Folder);

#[cfg(unix)]
#[tokio::test]
async fn the_folder_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let backend = Folder::fresh().await;
    let mode = std::fs::metadata(backend.place.path().join("new/store"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[tokio::test]
async fn a_place_that_is_no_folder_is_named() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("file");
    std::fs::write(&file, "x").unwrap();
    for path in [file.clone(), file.join("below")] {
        let said = Store::folder(&path).unwrap_err();
        assert!(
            matches!(said, StoreError::Folder { .. }) && said.to_string().contains(&path.display().to_string()),
            "{said}"
        );
    }
    assert_eq!(std::fs::read(&file).unwrap(), b"x");
}

/// As of an object that somebody put there under a key of his own.
#[cfg(unix)]
#[tokio::test]
async fn what_nobody_can_read_at_one_site_hides_nothing_that_another_has() {
    let backend = Folder::fresh().await;
    let store = backend.store();
    let bytes = Bytes::from_static(b"there");
    let there = store.site("paris").unwrap().put(bytes.clone()).await.unwrap();
    let root = backend.place.path().join("new/store/sites");
    let unreadable = artifact(&root.join("berlin"), there);
    std::fs::create_dir_all(unreadable.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(&unreadable, &unreadable).unwrap();
    assert_eq!(store.size(there).await.unwrap(), Some(5));
    assert_eq!(store.get(there).await.unwrap(), bytes);
    // Nor is it away, as long as one of them may have it.
    std::fs::remove_file(artifact(&root.join("paris"), there)).unwrap();
    for said in [
        store.get(there).await.map(drop),
        store.size(there).await.map(drop),
        store.holds(there, 5).await.map(drop),
    ] {
        assert!(matches!(said, Err(StoreError::Unavailable { .. })), "{said:?}");
    }
}

/// Tells the test that it is the child, and which folder to write.
const CHILD: &str = "OFFBOARD_STORE_KILL_FOLDER";
/// After that many acknowledgements the child is killed, round by round.
const KILLS: [usize; 6] = [1, 2, 9, 33, 60, 101];
/// Large enough that most kills fall into a write.
const LEN: usize = 400_000;

fn content(n: u64) -> Bytes {
    n.to_be_bytes().into_iter().cycle().take(LEN).collect()
}

#[test]
fn law_04_a_file_is_there_whole_or_not_at_all() {
    if let Some(folder) = std::env::var_os(CHILD) {
        write_without_end(Path::new(&folder));
    }
    let place = tempfile::tempdir().unwrap();
    let mut acknowledged: BTreeSet<u64> = BTreeSet::new();
    for (round, kill_after) in KILLS.into_iter().enumerate() {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "--nocapture",
                "folder::law_04_a_file_is_there_whole_or_not_at_all",
            ])
            .env(CHILD, place.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = 0;
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            let Some(n) = line.strip_prefix("ack ").and_then(|l| l.strip_suffix('.')) else {
                continue;
            };
            acknowledged.insert(n.parse().unwrap());
            said += 1;
            if said == kill_after {
                child.kill().unwrap();
            }
        }
        let status = child.wait().unwrap();
        assert!(
            said >= kill_after,
            "round {round}: the child ended by itself ({status}) after {said}"
        );
        check(place.path(), &acknowledged, round);
    }
}

#[tokio::main(flavor = "current_thread")]
async fn check(folder: &Path, acknowledged: &BTreeSet<u64>, round: usize) {
    let store = Store::folder(folder).unwrap();
    let listed = store.list("").await.unwrap();
    let mut there = BTreeSet::new();
    for named in &listed {
        let n: u64 = named.path.strip_prefix("evidence/").unwrap().parse().unwrap();
        assert_eq!(named.bytes, LEN as u64, "round {round}: {n} is whole");
        assert_eq!(store.get_named(&named.path).await.unwrap(), content(n), "round {round}");
        there.insert(n);
    }
    assert!(there.is_superset(acknowledged), "round {round}");
    for n in acknowledged {
        assert_eq!(
            store.get(Digest::of(&content(*n))).await.unwrap(),
            content(*n),
            "round {round}"
        );
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn write_without_end(folder: &Path) -> ! {
    let store = Store::folder(folder).unwrap();
    // What an earlier round left stays; this one goes on after it.
    let first = store.list("").await.unwrap().len() as u64 * 8;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..4 {
        let store = store.clone();
        writers.spawn(async move {
            for n in (first + writer..).step_by(4) {
                store.put(content(n)).await.unwrap();
                store.put_named(&format!("evidence/{n}"), content(n)).await.unwrap();
                writeln!(std::io::stdout().lock(), "ack {n}.").unwrap();
            }
        });
    }
    panic!("a writer ended: {:?}", writers.join_next().await);
}
