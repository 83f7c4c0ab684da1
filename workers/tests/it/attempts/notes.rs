//! Notes in a wiki: written once, anew when what they say has changed, and never over
//! what somebody else has written meanwhile.

use crate::attempts::drive::{Desk, End, NEVER, Todo, setting};
use crate::attempts::fake::State;
use crate::attempts::fake::state::NotesRow;
use offboard_domain::catalogue::knowledge::{FILES_LINK, PAGE};
use offboard_domain::{FaultClass, Kind, Observation, Said};

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

#[tokio::test(start_paused = true)]
async fn who_has_written_meanwhile_is_read_before_it_is_written_again() {
    let (state, mut todo) = start();
    let mut desk = Desk::new(state);
    settled(&mut desk, &todo).await;
    todo.params.set(FILES_LINK, "https://files.example/1");
    desk.fake.lock().next_faults = vec![(FaultClass::Transient, false)];
    let report = desk.once(&todo).await;
    assert!(
        matches!(&report.said, Said::Fault { fault } if fault.class == FaultClass::Transient),
        "{:?}",
        report.said
    );
    settled(&mut desk, &todo).await;
    assert_eq!(page(&desk).1.version, 2);
}
