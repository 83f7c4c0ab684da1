//! The laws of an archive, over a store in memory and one in a folder.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use offboard_archive::{Archive, ArchiveError, Cursor, Manifest, Meta, PIECE_BYTES, Writer};
use offboard_domain::{Digest, Timestamp};
use offboard_store::{Store, StoreError};
use std::collections::BTreeMap;

mod exporting;

/// Bytes that compress badly and hold every value, the same for the same seed.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut out = Vec::with_capacity(length + 8);
    while out.len() < length {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        out.extend_from_slice(&x.to_le_bytes());
    }
    out.truncate(length);
    out
}

/// Messages of every awkward length.
fn messages() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = vec![
        Vec::new(),
        b"\n".to_vec(),
        b"From here on\r\n\r\n.\r\n".to_vec(),
        b"X: \xe4\xf6\r\n\r\nbare\nends\r\0".to_vec(),
        noise(1, 511),
        noise(2, 512),
        noise(3, 513),
        noise(4, PIECE_BYTES - 2_000),
        noise(5, PIECE_BYTES),
        noise(6, 3 * PIECE_BYTES + 17),
        noise(7, 10),
    ];
    all.extend((0..40).map(|n| noise(100 + n, 300_000)));
    all
}

fn about() -> Manifest {
    Manifest {
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
    }
}

fn meta(id: usize) -> Meta {
    Meta {
        id: id.to_string(),
        flags: vec!["\\Seen".into()],
        received_ms: Some(1_700_000_000_000),
    }
}

async fn write(writer: &mut Writer, folder: u32, id: usize, bytes: &[u8], chunk: usize) {
    writer.begin(folder, meta(id));
    for part in bytes.chunks(chunk) {
        writer.bytes(part).await.unwrap();
    }
    writer.end().await.unwrap();
}

fn through(folder: u32, listed: usize) -> Cursor {
    Cursor {
        folder,
        page: None,
        listed: listed as u64,
        undelivered: 0,
        listed_bytes: None,
        next: 1_000,
    }
}

/// Keeps an archive of one message, and says which.
async fn one_message(store: &Store) -> Digest {
    let mut writer = Writer::resume(store, None).await.unwrap();
    writer.begin_pass(Timestamp(1), |_| false);
    let inbox = writer.folder("INBOX", "7", &["INBOX".into()]);
    write(&mut writer, inbox, 1, b"a message", 10).await;
    writer.set_cursor(through(inbox, 1));
    writer.end_folder(None);
    let (_, manifest) = writer.end_pass(about()).await.unwrap();
    manifest
}

/// Every message of an archive, by folder and the server's id.
async fn all(archive: &Archive) -> BTreeMap<(u32, String), Vec<Vec<u8>>> {
    let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for part in &archive.manifest.parts {
        for segment in archive.segments_of(*part).await.unwrap() {
            for message in &segment.messages {
                let bytes = archive.read_whole(&segment, message).await.unwrap();
                found
                    .entry((message.folder, message.id.clone()))
                    .or_default()
                    .push(bytes);
            }
        }
    }
    found
}

/// The files of a tar file, read as the standard says.
fn untar(mut tar: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    while tar[..512].iter().any(|b| *b != 0) {
        let text = |range: std::ops::Range<usize>| {
            let field = &tar[range];
            let end = field.iter().position(|b| *b == 0).unwrap_or(field.len());
            String::from_utf8(field[..end].to_vec()).unwrap()
        };
        let (name, size) = (text(0..100), usize::from_str_radix(&text(124..136), 8).unwrap());
        if tar[156] == b'0' {
            files.insert(name, tar[512..512 + size].to_vec());
        }
        tar = &tar[512 + size.div_ceil(512) * 512..];
    }
    assert_eq!(tar.len(), 1_024, "two empty blocks end it");
    files
}

#[tokio::test]
async fn what_is_read_is_what_was_written_and_every_segment_is_a_tar_file() {
    let store = Store::memory();
    let messages = messages();
    let mut writer = Writer::resume(&store, None).await.unwrap();
    writer.begin_pass(Timestamp(1), |_| false);
    let inbox = writer.folder("INBOX", "7", &["INBOX".into()]);
    let hostile = writer.folder("x", "7", &["..".into(), "/etc/passwd\0".into()]);
    for (id, bytes) in messages.iter().enumerate() {
        let folder = if id % 2 == 0 { inbox } else { hostile };
        write(&mut writer, folder, id, bytes, 100_003).await;
    }
    writer.set_cursor(through(inbox, 26));
    writer.end_folder(None);
    let (_, manifest) = writer.end_pass(about()).await.unwrap();
    let archive = Archive::open(&store, manifest).await.unwrap();
    assert_eq!(archive.manifest.messages, messages.len() as u64);
    assert_eq!(
        archive.manifest.bytes,
        messages.iter().map(|m| m.len() as u64).sum::<u64>()
    );
    assert_eq!(archive.missing().await.unwrap(), 0);
    let found = all(&archive).await;
    for (id, bytes) in messages.iter().enumerate() {
        let folder = if id % 2 == 0 { inbox } else { hostile };
        assert_eq!(
            found[&(folder, id.to_string())],
            std::slice::from_ref(bytes),
            "message {id}"
        );
    }
    let mut in_tars = 0;
    for part in &archive.manifest.parts {
        for segment in archive.segments_of(*part).await.unwrap() {
            let mut tar = Vec::new();
            for piece in &segment.pieces {
                assert!(piece.bytes <= PIECE_BYTES as u64);
                tar.extend_from_slice(&store.get(piece.sha256).await.unwrap());
            }
            let files = untar(&tar);
            assert_eq!(files.len(), segment.messages.len());
            for message in &segment.messages {
                let id: usize = message.id.parse().unwrap();
                assert_eq!(files[&message.file], messages[id], "{}", message.file);
                assert!(message.file.starts_with("mail/") && !message.file.contains(".."));
                in_tars += 1;
            }
        }
    }
    assert_eq!(in_tars, messages.len());
}

#[tokio::test]
async fn a_kill_anywhere_neither_loses_nor_doubles_a_message() {
    let messages: Vec<Vec<u8>> = (0..60)
        .map(|n| noise(n, 200_000 + usize::try_from(n).unwrap() * 7_001))
        .collect();
    // Dies before, within and after every third message, and goes on from the last part.
    for die_at in (0..messages.len()).step_by(3) {
        let store = Store::memory();
        let mut part: Option<Digest> = None;
        let mut died = false;
        let manifest = loop {
            let mut writer = Writer::resume(&store, part).await.unwrap();
            writer.begin_pass(Timestamp(1), |_| false);
            let folder = writer.folder("INBOX", "7", &["INBOX".into()]);
            let known = writer.known(folder).await.unwrap();
            let mut taken = 0;
            for (id, bytes) in messages.iter().enumerate() {
                if known.has(&id.to_string()) {
                    continue;
                }
                if id == die_at && !died {
                    died = true;
                    writer.begin(folder, meta(id));
                    writer.bytes(&bytes[..bytes.len() / 2]).await.unwrap();
                    break;
                }
                write(&mut writer, folder, id, bytes, 65_536).await;
                taken += 1;
                if taken % 7 == 0 {
                    part = writer.close_part().await.unwrap();
                }
            }
            if died && taken > 0 && id_left(&writer, folder) < messages.len() as u64 {
                drop(writer);
                continue;
            }
            if id_left(&writer, folder) < messages.len() as u64 {
                continue;
            }
            writer.set_cursor(through(folder, messages.len()));
            writer.end_folder(None);
            break writer.end_pass(about()).await.unwrap().1;
        };
        let archive = Archive::open(&store, manifest).await.unwrap();
        let found = all(&archive).await;
        assert_eq!(found.len(), messages.len(), "died at {die_at}");
        for ((_, id), copies) in &found {
            assert_eq!(copies.len(), 1, "message {id}, died at {die_at}");
            assert_eq!(copies[0], messages[id.parse::<usize>().unwrap()]);
        }
    }
}

fn id_left(writer: &Writer, folder: u32) -> u64 {
    writer.messages_of(folder)
}

#[tokio::test]
async fn an_abandoned_message_leaves_nothing_behind() {
    for length in [10, PIECE_BYTES + 5] {
        let store = Store::memory();
        let mut writer = Writer::resume(&store, None).await.unwrap();
        writer.begin_pass(Timestamp(1), |_| false);
        let folder = writer.folder("INBOX", "7", &["INBOX".into()]);
        write(&mut writer, folder, 1, b"one", 10).await;
        writer.begin(folder, meta(2));
        writer.bytes(&noise(1, length)).await.unwrap();
        writer.abandon();
        write(&mut writer, folder, 3, b"three", 10).await;
        writer.set_cursor(through(folder, 2));
        writer.end_folder(None);
        let (_, manifest) = writer.end_pass(about()).await.unwrap();
        let archive = Archive::open(&store, manifest).await.unwrap();
        let found = all(&archive).await;
        let ids: Vec<_> = found.keys().map(|(_, id)| id.as_str()).collect();
        assert_eq!(ids, ["1", "3"]);
        assert_eq!(
            found.values().flatten().collect::<Vec<_>>(),
            [&b"one".to_vec(), &b"three".to_vec()]
        );
    }
}

#[tokio::test]
async fn a_folder_whose_ids_begin_anew_is_another_one() {
    let store = Store::memory();
    let mut writer = Writer::resume(&store, None).await.unwrap();
    writer.begin_pass(Timestamp(1), |_| false);
    let old = writer.folder("INBOX", "7", &["INBOX".into()]);
    write(&mut writer, old, 1, b"as it was", 10).await;
    let part = writer.close_part().await.unwrap();
    let mut writer = Writer::resume(&store, part).await.unwrap();
    let new = writer.folder("INBOX", "8", &["INBOX".into()]);
    assert_ne!(old, new);
    write(&mut writer, new, 1, b"as it is", 10).await;
    writer.set_cursor(through(new, 1));
    writer.end_folder(None);
    let (_, manifest) = writer.end_pass(about()).await.unwrap();
    let archive = Archive::open(&store, manifest).await.unwrap();
    assert_eq!(archive.manifest.messages, 1);
    let found = all(&archive).await;
    assert_eq!(
        found.into_iter().collect::<Vec<_>>(),
        [((new, "1".to_owned()), vec![b"as it is".to_vec()])]
    );
}

#[tokio::test]
async fn what_a_site_has_counts_when_it_is_what_it_is_called() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::folder(folder.path()).unwrap();
    let archive = Archive::open(&store, one_message(&store).await).await.unwrap();
    let (segment, _) = archive.find(1).await.unwrap();
    let piece = segment.pieces[0];
    let hex = piece.sha256.to_string();
    let place = |of: &str| folder.path().join(of).join("objects").join(&hex[..2]);
    let at_site = place("sites/berlin");
    std::fs::create_dir_all(&at_site).unwrap();
    std::fs::rename(place("").join(&hex), at_site.join(&hex)).unwrap();
    assert_eq!(archive.missing().await.unwrap(), 0);
    // As long as it was, and something else.
    let mut lie = std::fs::read(at_site.join(&hex)).unwrap();
    lie[0] ^= 1;
    std::fs::write(at_site.join(&hex), lie).unwrap();
    assert_eq!(store.size(piece.sha256).await.unwrap(), Some(piece.bytes));
    assert_eq!(archive.missing().await.unwrap(), 1);
}

#[tokio::test]
async fn what_was_changed_in_the_store_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::folder(folder.path()).unwrap();
    let manifest = one_message(&store).await;
    let archive = Archive::open(&store, manifest).await.unwrap();
    let (segment, message) = archive.find(1).await.unwrap();
    assert!(matches!(
        archive.find(2).await,
        Err(ArchiveError::NoMessage { number: 2 })
    ));
    let object = |digest: Digest| {
        let mut found = Vec::new();
        let mut todo = vec![folder.path().to_owned()];
        while let Some(dir) = todo.pop() {
            for entry in std::fs::read_dir(dir).unwrap().flatten() {
                match entry.path().is_dir() {
                    true => todo.push(entry.path()),
                    false => found.push(entry.path()),
                }
            }
        }
        let name = digest.to_string();
        let fits = |p: &std::path::PathBuf| p.to_string_lossy().replace(['/', '\\'], "").ends_with(&name);
        found.into_iter().find(fits).unwrap()
    };
    let piece = object(segment.pieces[0].sha256);
    let whole = std::fs::read(&piece).unwrap();
    let mut changed = whole.clone();
    let at = usize::try_from(message.at).unwrap();
    changed[at] ^= 1;
    std::fs::write(&piece, &changed).unwrap();
    let read = archive.read_whole(&segment, &message).await;
    assert!(
        matches!(read, Err(ArchiveError::Store(StoreError::Damaged { .. }))),
        "{read:?}"
    );
    std::fs::write(&piece, &whole[..whole.len() - 1]).unwrap();
    assert_eq!(archive.missing().await.unwrap(), 1);
    std::fs::remove_file(&piece).unwrap();
    assert_eq!(archive.missing().await.unwrap(), 1);
    std::fs::write(object(manifest), b"{}").unwrap();
    let opened = Archive::open(&store, manifest).await;
    assert!(matches!(opened, Err(ArchiveError::Store(StoreError::Damaged { .. }))));
}
