//! An export that is gone on with, where others have been at work meanwhile; and who
//! may read it.

use super::{archive, export, files, index};
use offboard_archive::{ArchiveError, INDEX};
use offboard_store::Store;
use std::path::{Path, PathBuf};

/// Where a message is, and what it is called there.
fn place(root: &Path, number: u64) -> PathBuf {
    root.join(&index(root)[&number].0)
}

/// Gives a file the flag of what was answered, as a mail program does.
fn answered(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap().to_str().unwrap();
    let (base, flags) = name.split_once(":2,").unwrap();
    let to = path.with_file_name(format!("{base}:2,R{flags}"));
    std::fs::rename(path, &to).unwrap();
    to
}

#[tokio::test]
async fn a_message_that_was_read_meanwhile_is_not_exported_twice() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path();
    let store = Store::memory();
    let (archive, messages) = archive(&store).await;
    export(&archive, out, |_| true).await.unwrap();
    let third = answered(&place(out, 3));
    let before = files(out).len();
    assert_eq!(export(&archive, out, |_| true).await.unwrap(), [0_u64; 0]);
    assert_eq!(files(out).len(), before);
    assert_eq!(place(out, 3), third, "the index says under which name it is there");
    // Nor is it taken out of the index where only others are asked for.
    assert_eq!(export(&archive, out, |n| n == 1).await.unwrap(), [0_u64; 0]);
    assert_eq!(place(out, 3), third);
    assert_eq!(std::fs::read(&third).unwrap(), messages[&3]);
    // What bears its name and is another one is told apart here, too.
    std::fs::write(&third, "changed by hand").unwrap();
    let refused = export(&archive, out, |_| true).await;
    assert!(
        matches!(&refused, Err(ArchiveError::Differs { number: 3, path }) if Path::new(path) == third),
        "{refused:?}"
    );
}

#[tokio::test]
async fn what_was_not_asked_for_is_listed_only_where_a_file_of_its_length_is() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path();
    let store = Store::memory();
    let (archive, _) = archive(&store).await;
    export(&archive, out, |_| true).await.unwrap();
    let (third, fourth) = (place(out, 3), place(out, 4));
    std::fs::write(&third, "cut short").unwrap();
    std::fs::remove_file(&fourth).unwrap();
    std::fs::create_dir(&fourth).unwrap();
    export(&archive, out, |n| n == 1).await.unwrap();
    assert_eq!(index(out).into_keys().collect::<Vec<_>>(), [1, 2]);
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_may_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("anna");
    let store = Store::memory();
    let (archive, _) = archive(&store).await;
    export(&archive, &out, |n| n < 3).await.unwrap();
    // What is left of one that broke off may be of another mode.
    std::fs::write(out.join(format!("{INDEX}.new")), "{").unwrap();
    export(&archive, &out, |_| true).await.unwrap();
    assert_eq!(mode(&out), 0o700);
    for file in files(&out).keys() {
        let path = out.join(file);
        assert_eq!(mode(&path), 0o600, "{}", file.display());
        for above in path.ancestors().skip(1).take_while(|p| p.starts_with(&out)) {
            assert_eq!(mode(above), 0o700, "{}", above.display());
        }
    }
}

#[tokio::test]
async fn of_a_damaged_message_nothing_is_left_and_the_others_are_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let (kept, out) = (folder.path().join("store"), folder.path().join("out"));
    let store = Store::folder(&kept).unwrap();
    let (archive, messages) = archive(&store).await;
    // The piece that only the end of the third message is in, or begins in.
    let mut segments = Vec::new();
    for part in &archive.manifest.parts {
        segments.extend(archive.segments_of(*part).await.unwrap());
    }
    let (segment, third) = segments
        .iter()
        .find_map(|s| s.messages.iter().find(|m| m.number == 3).map(|m| (s, m)))
        .unwrap();
    let piece = segment.pieces.last().unwrap().sha256.to_string();
    let damaged = files(&kept).into_keys().find(|f| joined(f).ends_with(&piece)).unwrap();
    let whole = std::fs::read(kept.join(&damaged)).unwrap();
    std::fs::remove_file(kept.join(&damaged)).unwrap();
    let mut begun = offboard_archive::Export::begin(&archive, &out).await.unwrap();
    let of = |number: u32| {
        let mut folders = archive.manifest.folders.iter().map(|f| &f.folder);
        folders.find(|f| f.number == number).unwrap()
    };
    let refused = begun.message(&archive, of(third.folder), segment, third).await;
    assert!(refused.as_ref().is_err_and(ArchiveError::is_damage), "{refused:?}");
    let first = segments
        .iter()
        .flat_map(|s| &s.messages)
        .find(|m| m.number == 1)
        .unwrap();
    let in_segment = segments.iter().find(|s| s.messages.contains(first)).unwrap();
    let written = begun.message(&archive, of(first.folder), in_segment, first).await;
    let written = written.unwrap();
    assert!(written, "it is in another piece");
    begun.end().await.unwrap();
    assert_eq!(index(&out).into_keys().collect::<Vec<_>>(), [1]);
    let left: Vec<_> = files(&out).into_keys().filter(|f| joined(f).contains("tmp")).collect();
    assert!(left.is_empty(), "{left:?}");
    std::fs::write(kept.join(&damaged), whole).unwrap();
    assert_eq!(export(&archive, &out, |_| true).await.unwrap(), [2, 3, 4]);
    assert_eq!(std::fs::read(place(&out, 3)).unwrap(), messages[&3]);
}

/// A path as text without what parts it: the store spreads its things over folders.
fn joined(path: &Path) -> String {
    let parts = path.components().map(|c| c.as_os_str().to_string_lossy().into_owned());
    parts.collect()
}
