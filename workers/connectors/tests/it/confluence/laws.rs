//! What a wiki can be relied on for, and what it believes of its protocol.

use crate::confluence::stage::{FIRST, Given, Stage, TITLE, notes, quiet};
use bytes::Bytes;
use offboard_connectors::{Connector, NewFile};
use offboard_domain::FaultClass::{self, Absent, Denied, Rejected, Throttled, Transient, Unknown};
use offboard_domain::Kind;
use offboard_sim::world::desk::DeskFault;
use offboard_sim::world::wiki::{PARENT, Wiki};

const NAME: &str = "knowledge-session-0a";

fn file(bytes: &[u8]) -> NewFile {
    NewFile {
        name: NAME.to_owned(),
        media_type: "application/octet-stream",
        bytes: Bytes::copy_from_slice(bytes),
    }
}

#[tokio::test]
async fn what_was_written_is_found_again_and_is_there_once() {
    let s = Stage::kind().await;
    let connector = s.open();
    let wiki = notes(&connector);
    assert_eq!(wiki.titled(&mut s.reading(), TITLE).await.unwrap(), None);
    let page = s.added(&connector).await;
    assert_eq!((page.version, page.title.as_str()), (1, TITLE));
    assert!(page.body.contains("one</h2>"), "{}", page.body);
    assert_eq!(wiki.titled(&mut s.reading(), TITLE).await.unwrap(), Some(page.clone()));
    // A second one of the title is refused, also while no list has the first.
    for lag_ms in [0, 60_000] {
        s.wiki().lag_ms = lag_ms;
        let mut call = s.writing();
        let fault = wiki.add(&mut call, TITLE, "<p>two</p>").await.unwrap_err();
        assert_eq!(fault.class, Transient, "{fault}");
        assert!(fault.detail.contains("does not list it yet"), "{fault}");
        quiet(&fault, &call);
    }
    s.wiki().lag_ms = 0;
    wiki.rewrite(&mut s.writing(), &page, "<p>two</p>").await.unwrap();
    let read = wiki.page(&mut s.reading(), &page.id).await.unwrap().unwrap();
    assert_eq!((read.version, read.body.as_str()), (2, "<p>two</p>"));

    let bytes = b"\xff\r\n--offboard\0".as_slice();
    let there = async || {
        wiki.has_file(&mut s.reading(), &page.id, NAME, bytes.len() as u64)
            .await
    };
    assert!(!there().await.unwrap());
    for _ in 0..2 {
        wiki.attach(&mut s.writing(), &page.id, &file(bytes)).await.unwrap();
    }
    assert!(there().await.unwrap());
    let other = wiki.has_file(&mut s.reading(), &page.id, NAME, 1).await;
    assert!(!other.unwrap(), "one of another size is another");
    let all = s.wiki().clone();
    let stored = &all.pages()[&FIRST];
    assert_eq!((stored.parent, stored.files.len()), (PARENT, 1));
    assert_eq!(
        (stored.files[NAME].bytes.as_slice(), stored.files[NAME].versions),
        (bytes, 2)
    );
    assert_eq!(all.pages()[&PARENT].version, 1, "the page above it is as it was");
}

#[tokio::test]
async fn confluence_is_asked_by_what_it_goes_on_to_offer() {
    let s = Stage::kind().await;
    let connector = s.open();
    let wiki = notes(&connector);
    wiki.titled(&mut s.reading(), TITLE).await.unwrap();
    let page = s.added(&connector).await;
    wiki.rewrite(&mut s.writing(), &page, "<p/>").await.unwrap();
    wiki.has_file(&mut s.reading(), &page.id, NAME, 1).await.unwrap();
    wiki.attach(&mut s.writing(), &page.id, &file(b"x")).await.unwrap();
    const PAGES: &str = "/wiki/api/v2/pages";
    let put_files = format!("/wiki/rest/api/content/{FIRST}/child/attachment");
    assert_eq!(
        s.wiki().asked,
        [
            format!("GET {PAGES}?space-id=98306&title=Hand-over%20%5BOB-c-00112233445566778899%5D"),
            format!("GET {PAGES}/{PARENT}"),
            format!("POST {PAGES}"),
            format!("GET {PAGES}/{FIRST}?body-format=storage"),
            format!("PUT {PAGES}/{FIRST}"),
            format!("GET {PAGES}/{FIRST}/attachments?filename={NAME}"),
            format!("PUT {put_files}"),
        ]
    );
    s.wiki().asked.clear();
    connector.check(&mut s.reading()).await;
    let asked = s.wiki().asked.clone();
    assert!(asked.iter().all(|a| a.contains("/wiki/api/v2/")), "{asked:?}");
}

#[tokio::test]
async fn a_version_that_somebody_else_has_written_is_not_overwritten() {
    let s = Stage::kind().await;
    let connector = s.open();
    let wiki = notes(&connector);
    let page = s.added(&connector).await;
    {
        let mut all = s.wiki();
        let theirs = all.edit(FIRST).unwrap();
        (theirs.version, theirs.body) = (2, "<p>by hand</p>".to_owned());
    }
    let mut call = s.writing();
    let fault = wiki.rewrite(&mut call, &page, "<p>ours</p>").await.unwrap_err();
    assert_eq!(fault.class, Transient, "{fault}");
    assert!(fault.detail.contains("at the same time"), "{fault}");
    quiet(&fault, &call);
    assert_eq!(s.wiki().pages()[&FIRST].body, "<p>by hand</p>");
    // Who has read that goes on, and keeps the title that it has now.
    s.wiki().edit(FIRST).unwrap().title = "Hand-over of the shop".to_owned();
    let page = wiki.page(&mut s.reading(), &page.id).await.unwrap().unwrap();
    wiki.rewrite(&mut s.writing(), &page, "<p>ours</p>").await.unwrap();
    let stored = s.wiki().pages()[&FIRST].clone();
    assert_eq!((stored.version, stored.title.as_str()), (3, "Hand-over of the shop"));
}

#[tokio::test]
async fn what_the_account_does_not_see_is_not_believed_to_be_gone() {
    let s = Stage::kind().await;
    let connector = s.open();
    let wiki = notes(&connector);
    let page = s.added(&connector).await;
    // All of it is hidden: nothing is proven.
    s.wiki().hidden = [FIRST, PARENT].into();
    for read in [
        wiki.page(&mut s.reading(), &page.id).await,
        wiki.titled(&mut s.reading(), TITLE).await,
    ] {
        let fault = read.unwrap_err();
        assert_eq!(fault.class, Rejected, "{fault}");
        assert!(fault.detail.contains("parent_page_id"), "{fault}");
    }
    // Only the page is: its title stays taken.
    s.wiki().hidden = [FIRST].into();
    assert_eq!(wiki.titled(&mut s.reading(), TITLE).await.unwrap(), None);
    let fault = wiki.add(&mut s.writing(), TITLE, "<p/>").await.unwrap_err();
    assert_eq!(fault.class, Transient, "{fault}");
    let fault = wiki.rewrite(&mut s.writing(), &page, "<p/>").await.unwrap_err();
    assert_eq!(fault.class, Absent, "{fault}");
    // It may be too large, as well: that is answered alike.
    let fault = wiki.attach(&mut s.writing(), &page.id, &file(b"x")).await.unwrap_err();
    assert_eq!(fault.class, Rejected, "{fault}");
    assert!(fault.detail.contains("the page is gone"), "{fault}");
    // A page of another space is none of ours to add to.
    let elsewhere = Given { space: 7, ..s.given() }.open();
    let fault = notes(&elsewhere).titled(&mut s.reading(), "t").await.unwrap_err();
    assert!(fault.detail.contains("another space"), "{fault}");
}

#[tokio::test]
async fn reading_writes_nothing_and_a_call_that_may_not_write_does_not() {
    let s = Stage::kind().await;
    let connector = s.open();
    let wiki = notes(&connector);
    let page = s.added(&connector).await;
    let before = s.wiki().clone();
    let mut call = s.reading();
    wiki.titled(&mut call, TITLE).await.unwrap();
    wiki.page(&mut call, &page.id).await.unwrap();
    wiki.has_file(&mut call, &page.id, NAME, 1).await.unwrap();
    connector.check(&mut call).await;
    let refused = [
        wiki.add(&mut call, "other", "<p/>").await.err(),
        wiki.rewrite(&mut call, &page, "<p/>").await.err(),
        wiki.attach(&mut call, &page.id, &file(b"x")).await.err(),
    ];
    for fault in refused {
        assert_eq!(fault.unwrap().class, Rejected);
    }
    assert_eq!(s.wiki().pages(), before.pages());
    assert_eq!(s.wiki().journal(), before.journal());
    assert_eq!(call.writes_sent(), 0);
    assert_eq!(connector.claims(), [Kind::WriteNotes, Kind::ObserveKnowledge].into());
}

#[tokio::test]
async fn each_refusal_and_each_silence_is_the_right_fault() {
    const WAIT: FaultClass = Throttled {
        retry_after_ms: Some(7_000),
    };
    let of_reads: &[(u16, Option<u32>, FaultClass)] = &[
        (401, None, Denied),
        (403, None, Denied),
        (429, Some(7), WAIT),
        (503, Some(7), WAIT),
        (503, None, Transient),
        (500, None, Transient),
        (302, None, Rejected),
    ];
    let of_writes: &[(u16, Option<u32>, FaultClass)] = &[
        (400, None, Rejected),
        (403, None, Denied),
        (404, None, Absent),
        (409, None, Transient),
        (429, Some(7), WAIT),
        (500, None, Transient),
    ];
    let s = Stage::kind().await;
    let connector = s.open();
    let wiki = notes(&connector);
    let page = s.added(&connector).await;
    for (status, after_s, class) in of_reads {
        s.wiki().faults = vec![DeskFault::Status(*status, *after_s, false)];
        let mut call = s.reading();
        let fault = wiki.titled(&mut call, TITLE).await.unwrap_err();
        assert_eq!(fault.class, *class, "{status}: {fault}");
        quiet(&fault, &call);
    }
    for (status, after_s, class) in of_writes {
        s.wiki().write_faults = vec![DeskFault::Status(*status, *after_s, false)];
        let mut call = s.writing();
        let fault = wiki.rewrite(&mut call, &page, "<p/>").await.unwrap_err();
        assert_eq!(fault.class, *class, "{status}: {fault}");
        quiet(&fault, &call);
    }
    // May not add below that page.
    s.wiki().write_faults = vec![DeskFault::Status(404, None, false)];
    let fault = wiki.add(&mut s.writing(), "other", "<p/>").await.unwrap_err();
    assert_eq!(fault.class, Denied, "{fault}");
    s.wiki().write_faults = vec![DeskFault::Cut(true)];
    let fault = wiki.rewrite(&mut s.writing(), &page, "<p>cut</p>").await.unwrap_err();
    assert_eq!(fault.class, Unknown, "{fault}");
    s.wiki().faults = vec![DeskFault::Cut(false)];
    let fault = wiki.titled(&mut s.reading(), TITLE).await.unwrap_err();
    assert_eq!(fault.class, Transient, "{fault}");
    let mut takes_little = Wiki::default();
    takes_little.file_max_bytes = 1;
    let small = Stage::with(takes_little).await;
    let connector = small.open();
    let page = small.added(&connector).await;
    let large = notes(&connector)
        .attach(&mut small.writing(), &page.id, &file(b"xx"))
        .await;
    let fault = large.unwrap_err();
    assert_eq!((fault.class, fault.status), (Rejected, Some(404)), "{fault}");
    assert!(
        fault.detail.contains("the site's limit") && fault.detail.contains("by hand"),
        "{fault}"
    );
    // A gateway in between may say so outright.
    small.wiki().write_faults = vec![DeskFault::Status(413, None, false)];
    let fault = notes(&connector)
        .attach(&mut small.writing(), &page.id, &file(b"x"))
        .await
        .unwrap_err();
    assert_eq!((fault.class, fault.status), (Rejected, Some(413)), "{fault}");
    assert!(fault.detail.contains("by hand"), "{fault}");
}
