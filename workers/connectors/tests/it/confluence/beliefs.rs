//! What is believed of Confluence, and stands in none of its descriptions.

use crate::confluence::stage::{FIRST, Stage, TITLE, notes};
use offboard_connectors::NotesStatus;
use offboard_domain::FaultClass::Transient;

#[tokio::test]
async fn the_titles_of_pages_that_were_put_aside_are_believed_to_stay_taken() {
    for (trashed, status) in [(false, NotesStatus::Archived), (true, NotesStatus::Trashed)] {
        let s = Stage::kind().await;
        let connector = s.open();
        let wiki = notes(&connector);
        let page = s.added(&connector).await;
        assert_eq!(page.status, NotesStatus::Current);
        {
            let mut all = s.wiki();
            let aside = all.edit(FIRST).unwrap();
            (aside.trashed, aside.archived) = (trashed, !trashed);
        }
        let read = wiki.page(&mut s.reading(), &page.id).await.unwrap().unwrap();
        assert_eq!((read.status, &read.id), (status, &page.id));
        // The archive is listed, the trash is not.
        let listed = wiki.titled(&mut s.reading(), TITLE).await.unwrap();
        assert_eq!(listed.map(|p| p.status), (!trashed).then_some(status));
        let fault = wiki.add(&mut s.writing(), TITLE, "<p/>").await.unwrap_err();
        assert_eq!(fault.class, Transient, "{fault}");
        assert!(
            fault.detail.contains("the trash") && fault.detail.contains("the archive"),
            "{fault}"
        );
    }
}

#[tokio::test]
async fn a_title_that_is_taken_is_believed_to_be_refused_with_already_exists() {
    let s = Stage::kind().await;
    let connector = s.open();
    s.added(&connector).await;
    let fault = notes(&connector)
        .add(&mut s.writing(), TITLE, "<p/>")
        .await
        .unwrap_err();
    assert_eq!((fault.class, fault.status), (Transient, Some(400)), "{fault}");
}

#[tokio::test]
async fn a_page_in_the_trash_is_believed_to_be_read_by_its_id() {
    let s = Stage::kind().await;
    let connector = s.open();
    let page = s.added(&connector).await;
    s.wiki().edit(FIRST).unwrap().trashed = true;
    let read = notes(&connector).page(&mut s.reading(), &page.id).await.unwrap();
    assert_eq!(read.map(|p| p.status), Some(NotesStatus::Trashed));
    assert_eq!(
        s.wiki().asked.last().unwrap(),
        &format!("GET /wiki/api/v2/pages/{FIRST}?body-format=storage")
    );
}
