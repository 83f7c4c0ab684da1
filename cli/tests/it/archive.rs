//! An archive of which the store has lost something: that is named, and everything else
//! is found and exported all the same.

use crate::support::Folder;
use offboard_archive::{Archive, Cursor, Manifest, Meta, PIECE_BYTES, Writer};
use offboard_domain::{Digest, Timestamp};
use offboard_store::Store;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

fn store(folder: &Folder) -> PathBuf {
    folder.path().join("data/store")
}

/// Three messages that hold one word, of which the second needs two pieces.
async fn kept(store: &Path) -> Archive {
    let store = Store::folder(store).unwrap();
    let mut writer = Writer::resume(&store, None).await.unwrap();
    writer.begin_pass(Timestamp(1), |_| false);
    let inbox = writer.folder("INBOX", "7", &["INBOX".to_owned()]);
    for (id, filling) in [(0, 10), (1, PIECE_BYTES + 700), (2, 10)] {
        writer.begin(
            inbox,
            Meta {
                id: id.to_string(),
                flags: Vec::new(),
                received_ms: None,
            },
        );
        let text = format!("Subject: {id}\r\n\r\n{}\r\nneedle\r\n", "x".repeat(filling));
        for part in text.as_bytes().chunks(100_003) {
            writer.bytes(part).await.unwrap();
        }
        writer.end().await.unwrap();
    }
    writer.set_cursor(Cursor {
        folder: inbox,
        page: None,
        listed: 3,
        undelivered: 0,
        listed_bytes: None,
        next: 1_000,
    });
    writer.end_folder(None);
    let about = Manifest {
        form: String::new(),
        tenant: "contoso".into(),
        case: "c-1".into(),
        system: "mail".into(),
        mailbox: "u-1".into(),
        taken_from_ms: Timestamp(1),
        taken_to_ms: Timestamp(2),
        keep_until_ms: None,
        messages: 0,
        bytes: 0,
        folders: Vec::new(),
        parts: Vec::new(),
    };
    let (_, manifest) = writer.end_pass(about).await.unwrap();
    Archive::open(&store, manifest).await.unwrap()
}

/// Where the store's folder has a thing.
fn file_of(thing: Digest, below: &Path) -> PathBuf {
    let (name, mut todo) = (thing.to_string(), vec![below.to_owned()]);
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                todo.push(path);
            } else if path.ends_with(&name) {
                return path;
            }
        }
    }
    panic!("the store has no {name}");
}

fn numbers(found: &[Value]) -> Vec<u64> {
    found.iter().map(|o| o["number"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn what_is_damaged_is_named_and_everything_else_is_found_and_exported() {
    let folder = Folder::with_tenant();
    let at = store(&folder);
    let archive = kept(&at).await;
    let manifest = archive.digest.to_string();
    let (segment, _) = archive.find(2).await.unwrap();
    let piece = file_of(segment.pieces.last().unwrap().sha256, &at);
    let whole = fs::read(&piece).unwrap();
    fs::remove_file(&piece).unwrap();

    let search = ["archive", "search", &manifest, "needle", "--body", "--json"];
    let ran = folder.run(&search).expect(1);
    assert_eq!(numbers(&ran.objects()), [1, 3]);
    assert!(
        ran.err.contains("message 2 in INBOX: ") && ran.err.contains("it is not there"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("1 messages and 0 parts"), "{}", ran.err);

    let export = ["archive", "export", &manifest, "out", "--json"];
    let ran = folder.run(&export).expect(1);
    assert_eq!(ran.json()["written"], 2);
    assert!(ran.err.contains("message 2 in INBOX: "), "{}", ran.err);
    let index = fs::read_to_string(folder.path().join("out/messages.jsonl")).unwrap();
    assert_eq!(index.lines().count(), 2, "{index}");

    fs::write(&piece, whole).unwrap();
    let ran = folder.run(&export).expect(0);
    assert_eq!(
        (&ran.json()["written"], &ran.json()["there_already"]),
        (&1.into(), &2.into())
    );
    assert_eq!(numbers(&folder.run(&search).expect(0).objects()), [1, 2, 3]);

    // Which messages a part has is in the part.
    let part = archive.manifest.parts[0];
    fs::remove_file(file_of(part, &at)).unwrap();
    for args in [&search[..], &export, &["archive", "list", &manifest, "--messages"]] {
        let ran = folder.run(args).expect(1);
        assert!(ran.err.contains(&format!("part {part}: ")), "{args:?}: {}", ran.err);
        assert!(ran.err.contains("0 messages and 1 parts"), "{args:?}: {}", ran.err);
    }
}
