//! What is exported is a Maildir to the byte, and nothing is written over.

mod gone_on_with;

use super::{about, noise, through, write};
use offboard_archive::{Archive, ArchiveError, Export, INDEX, MANIFEST, Manifest, PIECE_BYTES, Writer};
use offboard_domain::{Digest, Timestamp};
use offboard_store::Store;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

/// Messages by number, in two folders, one of a hostile name.
async fn archive(store: &Store) -> (Archive, BTreeMap<u64, Vec<u8>>) {
    let messages = [
        b"one\r\n".to_vec(),
        Vec::new(),
        noise(9, PIECE_BYTES + 700),
        noise(3, 10_000),
    ];
    let mut writer = Writer::resume(store, None).await.unwrap();
    writer.begin_pass(Timestamp(1), |_| false);
    let inbox = writer.folder("INBOX", "7", &["INBOX".into()]);
    let hostile = writer.folder("x", "7", &["..".into(), "/etc/passwd\0".into()]);
    for (id, bytes) in messages.iter().enumerate() {
        write(
            &mut writer,
            if id % 2 == 0 { inbox } else { hostile },
            id,
            bytes,
            100_003,
        )
        .await;
    }
    writer.set_cursor(through(inbox, 2));
    writer.end_folder(None);
    let (_, manifest) = writer.end_pass(about()).await.unwrap();
    let archive = Archive::open(store, manifest).await.unwrap();
    (archive, (1..).zip(messages).collect())
}

/// Exports those that are chosen; the numbers of those that were written.
async fn export(archive: &Archive, to: &Path, chosen: impl Fn(u64) -> bool) -> Result<Vec<u64>, ArchiveError> {
    let mut export = Export::begin(archive, to).await?;
    let mut written = Vec::new();
    for part in &archive.manifest.parts {
        for segment in archive.segments_of(*part).await? {
            for message in &segment.messages {
                let mut folders = archive.manifest.folders.iter().map(|f| &f.folder);
                let folder = folders.find(|f| f.number == message.folder).unwrap();
                if !chosen(message.number) {
                    export.passed_over(folder, message).await?;
                } else if export.message(archive, folder, &segment, message).await? {
                    written.push(message.number);
                }
            }
        }
    }
    export.end().await?;
    Ok(written)
}

/// Every file below a folder, by its place in it.
fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let (mut found, mut todo) = (BTreeMap::new(), vec![root.to_owned()]);
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            match path.is_dir() {
                true => todo.push(path),
                false => {
                    let bytes = std::fs::read(&path).unwrap();
                    found.insert(path.strip_prefix(root).unwrap().to_owned(), bytes);
                }
            }
        }
    }
    found
}

/// The index's lines, by the message's number: its file and its folder's name.
fn index(root: &Path) -> BTreeMap<u64, (PathBuf, Vec<String>)> {
    let text = std::fs::read_to_string(root.join(INDEX)).unwrap();
    let line = |line: &str| -> (u64, (PathBuf, Vec<String>)) {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let file = PathBuf::from(line["file"].as_str().unwrap());
        let path = serde_json::from_value(line["path"].clone()).unwrap();
        (line["number"].as_u64().unwrap(), (file, path))
    };
    text.lines().map(line).collect()
}

#[tokio::test]
async fn what_is_exported_is_a_maildir_to_the_byte_and_is_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("a/b");
    let store = Store::memory();
    let (archive, messages) = archive(&store).await;
    assert_eq!(export(&archive, &out, |n| n == 2).await.unwrap(), [2]);
    assert_eq!(index(&out).into_keys().collect::<Vec<_>>(), [2]);
    assert_eq!(export(&archive, &out, |n| n != 2).await.unwrap(), [1, 3, 4]);
    let listed = index(&out);
    let mut there = files(&out);
    assert_eq!(Digest::of(&there.remove(Path::new(MANIFEST)).unwrap()), archive.digest);
    there.remove(Path::new(INDEX)).unwrap();
    assert_eq!(there.len(), messages.len(), "{:?}", there.keys());
    for (number, bytes) in &messages {
        let (file, path) = &listed[number];
        assert_eq!(&there[file], bytes, "{number}");
        assert!(
            file.starts_with("mail") && file.parent().unwrap().ends_with("cur"),
            "{file:?}"
        );
        assert_eq!(path[0], if number % 2 == 1 { "INBOX" } else { ".." });
        let modified = std::fs::metadata(out.join(file)).unwrap().modified().unwrap();
        assert_eq!(modified, UNIX_EPOCH + Duration::from_secs(1_700_000_000));
        for sub in ["new", "tmp"] {
            assert!(out.join(file).ancestors().nth(2).unwrap().join(sub).is_dir());
        }
    }
    // Killed in the midst of the third: its beginning is left, and its name is not.
    let third = out.join(&listed[&3].0);
    std::fs::remove_file(&third).unwrap();
    let half = third.ancestors().nth(2).unwrap().join("tmp/3");
    std::fs::write(&half, &messages[&3][..100]).unwrap();
    std::fs::write(out.join(format!("{INDEX}.new")), "{").unwrap();
    assert_eq!(export(&archive, &out, |_| true).await.unwrap(), [3]);
    assert!(!half.exists());
    assert_eq!(index(&out), listed);
    assert_eq!(export(&archive, &out, |_| true).await.unwrap(), [0_u64; 0]);
}

#[tokio::test]
async fn nothing_is_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path();
    let store = Store::memory();
    let (archive, messages) = archive(&store).await;
    std::fs::write(out.join("notes.txt"), "mine").unwrap();
    let refused = export(&archive, out, |_| true).await;
    assert!(matches!(refused, Err(ArchiveError::Occupied { .. })), "{refused:?}");
    assert_eq!(files(out).len(), 1);
    std::fs::remove_file(out.join("notes.txt")).unwrap();
    export(&archive, out, |_| true).await.unwrap();
    let fourth = out.join(&index(out)[&4].0);
    let mut changed = messages[&4].clone();
    changed[17] ^= 1;
    for other in [changed, b"short".to_vec()] {
        std::fs::write(&fourth, &other).unwrap();
        let refused = export(&archive, out, |_| true).await;
        assert!(
            matches!(refused, Err(ArchiveError::Differs { number: 4, .. })),
            "{refused:?}"
        );
        assert_eq!(std::fs::read(&fourth).unwrap(), other);
    }
    // Another archive, of which the same folder knows nothing.
    let manifest = Manifest {
        case: "c-2".into(),
        ..archive.manifest.clone()
    };
    let another = store.put(serde_json::to_vec(&manifest).unwrap()).await.unwrap();
    let another = Archive::open(&store, another).await.unwrap();
    let refused = export(&another, out, |_| true).await;
    assert!(matches!(refused, Err(ArchiveError::Occupied { .. })), "{refused:?}");
}

#[tokio::test]
async fn an_archive_of_somebody_else_names_no_place_outside() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::memory();
    let (archive, _) = archive(&store).await;
    for file in [
        "../escaped",
        "/etc/escaped",
        "mail/../cur/x",
        "mail/a/cur/../../x",
        "mail/a/cur/.x",
        "mail//cur/x",
    ] {
        let mut parts = Vec::new();
        for part in &archive.manifest.parts {
            let text = String::from_utf8(store.get(*part).await.unwrap().to_vec()).unwrap();
            let first = text
                .split("\"file\":\"")
                .nth(1)
                .and_then(|rest| rest.split('"').next())
                .unwrap();
            parts.push(store.put(text.replace(first, file).into_bytes()).await.unwrap());
        }
        let manifest = Manifest {
            parts,
            ..archive.manifest.clone()
        };
        let hostile = store.put(serde_json::to_vec(&manifest).unwrap()).await.unwrap();
        let hostile = Archive::open(&store, hostile).await.unwrap();
        let out = folder.path().join(hostile.digest.to_string());
        let refused = export(&hostile, &out, |_| true).await;
        assert!(matches!(refused, Err(ArchiveError::Form { .. })), "{file}: {refused:?}");
        assert!(
            files(folder.path())
                .keys()
                .all(|f| !f.to_string_lossy().contains("escaped"))
        );
    }
}
