//! Notes in a wiki: written once, anew when what they say has changed, and never over
//! what somebody else has written meanwhile.

use crate::attempts::drive::{Desk, End, NEVER, Todo, setting};
use crate::attempts::fake::state::NotesRow;
use crate::attempts::fake::{State, pause};
use offboard_connectors::NotesStatus;
use offboard_domain::catalogue::knowledge::{FILES_LINK, PAGE, SESSION_FILES};
use offboard_domain::{FaultClass, Kind, Lane, Observation, Said};
use offboard_store::Store;
use offboard_workers::attempt;
use std::future::{Future, poll_fn};
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::task::Poll;

fn start() -> (State, Todo) {
    setting(Kind::WriteNotes)
}

async fn settled(desk: &mut Desk, todo: &Todo) -> Observation {
    match desk.settle(todo.clone(), &mut NEVER.clone()).await {
        End::Settled(seen) => seen,
        other => panic!("{other:?}"),
    }
}

fn page(desk: &Desk) -> (String, NotesRow) {
    let pages = desk.fake.now().notes;
    assert_eq!(pages.len(), 1, "{pages:?}");
    pages.into_iter().next().unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_others_write_beside_it_stays() {
    let (state, todo) = start();
    let mut desk = Desk::new(state);
    settled(&mut desk, &todo).await;
    assert_eq!(desk.writes(), ["add a page", "attach to a page"]);
    let (title, row) = page(&desk);
    assert!(title.starts_with("Hand-over [OB-c-"), "{title}");
    assert!(row.body.contains("1 verified"), "{}", row.body);
    assert!(row.files[0].0.starts_with("knowledge-session-"), "{:?}", row.files);
    desk.fake.edit(|s| {
        let row = s.notes.get_mut(&title).unwrap();
        row.version += 1;
        row.body = format!("<p>Ask Mia about the printer.</p>{}", row.body);
    });
    settled(&mut desk, &todo).await;
    assert_eq!(desk.writes().len(), 2, "nothing that it says has changed");
    assert!(page(&desk).1.body.contains("printer"));
}

#[tokio::test(start_paused = true)]
async fn it_is_rewritten_when_what_it_says_has_changed() {
    let (state, mut todo) = start();
    let mut desk = Desk::new(state);
    settled(&mut desk, &todo).await;
    todo.params.set(FILES_LINK, "https://files.example/1");
    settled(&mut desk, &todo).await;
    let (_, row) = page(&desk);
    assert_eq!((row.version, row.files.len()), (2, 1));
    assert!(row.body.contains("https://files.example/1"), "{}", row.body);
    assert_eq!(desk.writes().last().unwrap(), "rewrite a page");
}

#[tokio::test(start_paused = true)]
async fn a_page_that_was_renamed_is_known_by_its_id() {
    let (state, mut todo) = start();
    let mut desk = Desk::new(state);
    let seen = settled(&mut desk, &todo).await;
    let id = seen.facts.text(PAGE).unwrap().to_owned();
    // The ids of this world's pages are their titles: another one has the title.
    desk.fake.edit(|s| {
        let row = s.notes.remove(&id).unwrap();
        s.notes.insert("elsewhere".to_owned(), row);
    });
    todo.params.set(PAGE, "elsewhere");
    settled(&mut desk, &todo).await;
    assert_eq!(desk.writes().len(), 2, "{:?}", desk.writes());
    assert_eq!(page(&desk).0, "elsewhere");
}

/// Polls it so often; answers what it came to, if that was its end.
async fn polled<T>(mut work: Pin<&mut impl Future<Output = T>>, times: usize) -> Option<T> {
    for _ in 0..times {
        let polled = poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await;
        if let Poll::Ready(done) = polled {
            return Some(done);
        }
        pause().await;
    }
    None
}

/// Somebody else writes once, between any two steps of an attempt.
#[tokio::test(start_paused = true)]
async fn who_has_written_meanwhile_is_read_before_it_is_written_again() {
    const STEPS_MAX: usize = 200;
    let mut conflicts = 0;
    for steps in 1..STEPS_MAX {
        let (state, mut todo) = start();
        let mut desk = Desk::new(state);
        settled(&mut desk, &todo).await;
        todo.params.set(FILES_LINK, "https://files.example/1");
        let assignment = desk.assignment(&todo);
        let said = {
            let mut work = pin!(attempt(&assignment, Lane::Normal, false, &desk.context));
            if polled(work.as_mut(), steps).await.is_some() {
                assert!(conflicts > 0, "nobody wrote between the reading and the writing");
                return;
            }
            desk.fake.edit(|s| {
                let row = s.notes.values_mut().next().unwrap();
                row.version += 1;
                row.body = format!("<p>Ask Mia about the printer.</p>{}", row.body);
            });
            work.await.said
        };
        let theirs = page(&desk).1;
        if matches!(&said, Said::Fault { fault } if fault.class == FaultClass::Transient) {
            conflicts += 1;
            assert_eq!(theirs.version, 2, "what nobody read is not written over");
            assert!(theirs.body.contains("printer"), "{}", theirs.body);
        }
        settled(&mut desk, &todo).await;
        let (_, row) = page(&desk);
        assert_eq!(row.version, 3, "after {steps} steps: {said:?}");
        assert!(row.body.contains("https://files.example/1"), "{}", row.body);
    }
    panic!("it takes more than {STEPS_MAX} steps");
}

#[tokio::test(start_paused = true)]
async fn a_page_that_somebody_put_aside_is_for_a_person() {
    for (status, says) in [
        (NotesStatus::Trashed, "Trash"),
        (NotesStatus::Archived, "Archived pages"),
    ] {
        let (state, mut todo) = start();
        let mut desk = Desk::new(state);
        let id = settled(&mut desk, &todo).await.facts.text(PAGE).unwrap().to_owned();
        let put = |desk: &Desk, status| desk.fake.edit(|s| s.notes.get_mut(&id).unwrap().status = status);
        put(&desk, status);
        todo.params.set(PAGE, id.as_str());
        let end = desk.settle(todo.clone(), &mut NEVER.clone()).await;
        assert!(
            matches!(&end, End::Asked(why) if why.contains(says) && why.contains("waive")),
            "{end:?}"
        );
        put(&desk, NotesStatus::Current);
        settled(&mut desk, &todo).await;
        assert_eq!(desk.writes().len(), 2, "{:?}", desk.writes());
    }
}

/// A recording is large, and every look at the page would fetch all of it.
#[tokio::test(start_paused = true)]
async fn how_long_a_file_is_is_known_without_reading_it() {
    let folder = tempfile::tempdir().unwrap();
    let (state, todo) = start();
    let mut desk = Desk::new(state);
    desk.context.store = Store::folder(folder.path()).unwrap();
    settled(&mut desk, &todo).await;
    // Damaged, and as long as it was: who reads it is refused.
    let digest = todo.params.list(SESSION_FILES).unwrap()[0].clone();
    let kept = file_of(&digest, folder.path());
    let bytes = std::fs::read(&kept).unwrap();
    std::fs::write(&kept, vec![b'x'; bytes.len()]).unwrap();
    let assignment = desk.assignment(&todo);
    let report = attempt(&assignment, Lane::Normal, false, &desk.context).await;
    assert!(matches!(report.said, Said::Satisfied { .. }), "{:?}", report.said);
    // Shorter than it was, it is not the file that is on the page.
    std::fs::write(&kept, "x").unwrap();
    let report = attempt(&assignment, Lane::Normal, false, &desk.context).await;
    assert!(matches!(report.said, Said::Fault { .. }), "{:?}", report.said);
}

/// Where a store's folder has a thing.
fn file_of(digest: &str, below: &Path) -> PathBuf {
    let mut todo = vec![below.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                todo.push(path);
            } else if path.ends_with(digest) {
                return path;
            }
        }
    }
    panic!("the store has no {digest}");
}
