//! However an answer is lost, and however late the lists are: a page is there once, and
//! so is each of its files.

use crate::confluence::stage::{FIRST, Stage, TITLE, notes, quiet};
use bytes::Bytes;
use offboard_connectors::NewFile;
use offboard_domain::FaultClass::{Transient, Unknown};
use offboard_domain::ObjectId;
use offboard_sim::world::desk::DeskFault;

const LAG_MS: i64 = 60_000;
const NAME: &str = "knowledge-session-0a";

/// One whose lists lag behind.
async fn late() -> Stage {
    let s = Stage::kind().await;
    s.wiki().lag_ms = LAG_MS;
    s
}

/// Besides the one that was there before.
fn added(s: &Stage) -> usize {
    s.wiki().pages().len() - 1
}

#[tokio::test]
async fn a_page_whose_answer_was_lost_is_found_when_lists_have_it_and_is_not_made_again() {
    let s = late().await;
    let connector = s.open();
    let wiki = notes(&connector);
    s.wiki().write_faults = vec![DeskFault::Cut(true)];
    let mut call = s.writing();
    let fault = wiki.add(&mut call, TITLE, "<p>one</p>").await.unwrap_err();
    assert_eq!(fault.class, Unknown, "{fault}");
    quiet(&fault, &call);
    assert_eq!(wiki.titled(&mut s.reading(), TITLE).await.unwrap(), None);
    let fault = wiki.add(&mut s.writing(), TITLE, "<p>one</p>").await.unwrap_err();
    assert_eq!(fault.class, Transient, "{fault}");
    s.clock.advance(LAG_MS);
    let found = wiki.titled(&mut s.reading(), TITLE).await.unwrap().unwrap();
    assert_eq!((found.id.0, found.version), (FIRST.to_string(), 1));
    assert_eq!(added(&s), 1);
}

#[tokio::test]
async fn a_page_whose_id_is_not_said_is_found_by_its_title() {
    let s = late().await;
    s.wiki().says_no_id = true;
    let connector = s.open();
    let wiki = notes(&connector);
    assert_eq!(wiki.add(&mut s.writing(), TITLE, "<p>one</p>").await.unwrap(), None);
    assert_eq!(wiki.titled(&mut s.reading(), TITLE).await.unwrap(), None);
    let fault = wiki.add(&mut s.writing(), TITLE, "<p>one</p>").await.unwrap_err();
    assert_eq!(fault.class, Transient, "{fault}");
    s.clock.advance(LAG_MS);
    let found = wiki.titled(&mut s.reading(), TITLE).await.unwrap().unwrap();
    assert_eq!(found.id.0, FIRST.to_string());
    assert_eq!(added(&s), 1);
}

#[tokio::test]
async fn a_file_whose_answer_was_lost_is_one_file_however_often_it_is_put() {
    let s = Stage::kind().await;
    let connector = s.open();
    let wiki = notes(&connector);
    let page = s.added(&connector).await.id;
    s.wiki().lag_ms = LAG_MS;
    let file = NewFile {
        name: NAME.to_owned(),
        media_type: "application/octet-stream",
        bytes: Bytes::from_static(b"slides"),
    };
    let there = async |id: &ObjectId| wiki.has_file(&mut s.reading(), id, NAME, 6).await.unwrap();
    s.wiki().write_faults = vec![DeskFault::Cut(true)];
    let mut call = s.writing();
    let fault = wiki.attach(&mut call, &page, &file).await.unwrap_err();
    assert_eq!(fault.class, Unknown, "{fault}");
    quiet(&fault, &call);
    assert!(!there(&page).await, "no list has it yet");
    wiki.attach(&mut s.writing(), &page, &file).await.unwrap();
    s.clock.advance(LAG_MS);
    assert!(there(&page).await);
    let all = s.wiki().clone();
    let files = &all.pages()[&FIRST].files;
    assert_eq!((files.len(), files[NAME].versions), (1, 2));
    assert_eq!(files[NAME].bytes, b"slides");
}
