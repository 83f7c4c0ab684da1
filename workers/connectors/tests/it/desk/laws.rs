//! What each desk can be relied on for.

use crate::desk::stage::{MAKERS, MARKER, OURS, Stage, THEIRS, desk, file, theirs, ticket};
use offboard_domain::FaultClass;
use offboard_domain::catalogue::desk::KINDS;
use offboard_sim::world::desk::DeskHabits;

const NOTE: &str = "Access revocation is settled: 5 verified.\n[OB-c-00112233445566778899 desk.note_access]";
const NOTE_MARKER: &str = "[OB-c-00112233445566778899 desk.note_access]";

#[tokio::test]
async fn what_was_written_is_found_again() {
    let small = DeskHabits {
        page_max: 1,
        numbers_as_text: true,
        ..DeskHabits::default()
    };
    for maker in MAKERS.iter().copied() {
        for habits in [DeskHabits::default(), small] {
            let s = Stage::with(maker, habits).await;
            // Others' tickets, one of which talks of ours.
            s.desk().put(7, theirs(OURS, "Printer"));
            s.desk()
                .put(8, theirs(OURS, "Like OB-c-00112233445566778899, but another"));
            s.desk().put(9, theirs(THEIRS, &format!("Departure {MARKER}")));
            let connector = s.open();
            let psa = desk(connector.as_ref());
            assert_eq!(psa.marked(&mut s.reading(), MARKER).await.unwrap(), []);
            let id = s.opened(connector.as_ref()).await;
            let read = psa.ticket(&mut s.reading(), &id).await.unwrap().unwrap();
            assert_eq!((&read.id, read.closed), (&id, false));
            assert_eq!(psa.marked(&mut s.reading(), MARKER).await.unwrap(), [read]);

            assert!(!psa.noted(&mut s.reading(), &id, NOTE_MARKER).await.unwrap());
            psa.note(&mut s.writing(), &id, NOTE).await.unwrap();
            assert!(psa.noted(&mut s.reading(), &id, NOTE_MARKER).await.unwrap());
            let other = NOTE_MARKER.replace("access", "devices");
            assert!(!psa.noted(&mut s.reading(), &id, &other).await.unwrap());

            assert_eq!(psa.files(&mut s.reading(), &id).await.unwrap(), []);
            let account = file(b"{\"payload\": \"\xc3\xa4\"}\r\n--");
            psa.attach(&mut s.writing(), &id, &account).await.unwrap();
            let files = psa.files(&mut s.reading(), &id).await.unwrap();
            assert_eq!(files.len(), 1, "{maker:?}");
            assert_eq!(files[0].name, account.name);
            let size = account.bytes.len() as u64;
            assert!(files[0].size_bytes.is_none_or(|n| n == size), "{files:?}");

            for _ in 0..2 {
                psa.close(&mut s.writing(), &id).await.unwrap();
            }
            assert!(psa.ticket(&mut s.reading(), &id).await.unwrap().unwrap().closed);
            // A closed one is found as well: it is not opened again.
            assert_eq!(psa.marked(&mut s.reading(), MARKER).await.unwrap().len(), 1);

            let all = s.desk().clone();
            let ours = &all.tickets()[&id.0.parse().unwrap()];
            assert_eq!((ours.client, ours.title.as_str()), (OURS, ticket().title.as_str()));
            assert!(ours.text.contains("offboard show"), "{}", ours.text);
            assert_eq!(ours.notes.len(), 1);
            assert_eq!(ours.files[0].1.bytes, account.bytes, "{maker:?}: not a byte is lost");
            for id in [7, 8, 9] {
                assert!(all.tickets()[&id].notes.is_empty() && all.tickets()[&id].files.is_empty());
            }
            assert_eq!(all.tickets().len(), 4);
        }
    }
}

#[tokio::test]
async fn reading_writes_nothing_and_a_call_that_may_not_write_does_not() {
    for maker in MAKERS.iter().copied() {
        let s = Stage::kind(maker).await;
        let connector = s.open();
        let psa = desk(connector.as_ref());
        let id = s.opened(connector.as_ref()).await;
        let before = s.desk().clone();
        let mut call = s.reading();
        psa.ticket(&mut call, &id).await.unwrap();
        psa.marked(&mut call, MARKER).await.unwrap();
        psa.noted(&mut call, &id, NOTE_MARKER).await.unwrap();
        psa.files(&mut call, &id).await.unwrap();
        connector.check(&mut call).await;
        let refused = [
            psa.open(&mut call, &ticket()).await.err(),
            psa.note(&mut call, &id, NOTE).await.err(),
            psa.attach(&mut call, &id, &file(b"{}")).await.err(),
            psa.close(&mut call, &id).await.err(),
        ];
        for fault in refused {
            assert_eq!(fault.unwrap().class, FaultClass::Rejected, "{maker:?}");
        }
        assert_eq!(s.desk().tickets(), before.tickets());
        assert_eq!(s.desk().journal(), before.journal());
        assert_eq!(call.writes_sent(), 0);
    }
}

#[tokio::test]
async fn lists_lag_and_a_ticket_s_own_id_does_not() {
    for maker in MAKERS.iter().copied() {
        let lags = DeskHabits {
            lag_ms: 60_000,
            ..DeskHabits::default()
        };
        let s = Stage::with(maker, lags).await;
        let connector = s.open();
        let psa = desk(connector.as_ref());
        let id = s.opened(connector.as_ref()).await;
        assert!(psa.ticket(&mut s.reading(), &id).await.unwrap().is_some());
        psa.note(&mut s.writing(), &id, NOTE).await.unwrap();
        psa.attach(&mut s.writing(), &id, &file(b"{}")).await.unwrap();
        assert_eq!(psa.marked(&mut s.reading(), MARKER).await.unwrap(), []);
        assert!(!psa.noted(&mut s.reading(), &id, NOTE_MARKER).await.unwrap());
        assert_eq!(psa.files(&mut s.reading(), &id).await.unwrap(), []);
        s.pass(60_001);
        assert_eq!(psa.marked(&mut s.reading(), MARKER).await.unwrap().len(), 1);
        assert!(psa.noted(&mut s.reading(), &id, NOTE_MARKER).await.unwrap());
        assert_eq!(psa.files(&mut s.reading(), &id).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn what_is_written_twice_is_there_twice_and_the_oldest_is_taken() {
    for maker in MAKERS.iter().copied() {
        let s = Stage::kind(maker).await;
        let connector = s.open();
        let psa = desk(connector.as_ref());
        let first = s.opened(connector.as_ref()).await;
        let second = s.opened(connector.as_ref()).await;
        assert_ne!(first, second, "the protocol has no key by which it could tell");
        let found = psa.marked(&mut s.reading(), MARKER).await.unwrap();
        let ids: Vec<_> = found.iter().map(|t| t.id.clone()).collect();
        assert_eq!(ids, [first, second]);
    }
}

#[tokio::test]
async fn a_ticket_of_another_client_is_none_of_ours() {
    for maker in MAKERS.iter().copied() {
        let s = Stage::kind(maker).await;
        s.desk().put(7, theirs(THEIRS, "Printer"));
        s.desk().put(8, theirs(OURS, "Somebody leaves"));
        let connector = s.open();
        let psa = desk(connector.as_ref());
        let named = |reference: &str| psa.named_by(reference);
        assert_eq!(named("HR-8"), None);
        for (reference, ours) in [("T-7", false), ("T-8", true), ("T-99", false)] {
            let id = named(reference).unwrap();
            let read = psa.ticket(&mut s.reading(), &id).await.unwrap();
            assert_eq!(read.is_some(), ours, "{maker:?} {reference}");
        }
        // Gone is not proven by a credential that sees the client no more.
        s.desk().clients.remove(&OURS);
        let fault = psa.ticket(&mut s.reading(), &"99".into()).await.unwrap_err();
        assert_eq!(fault.class, FaultClass::Rejected, "{maker:?}: {fault}");
    }
}

#[tokio::test]
async fn a_search_that_finds_everything_is_not_believed() {
    for maker in MAKERS.iter().copied() {
        let deaf = DeskHabits {
            ignores_the_search: true,
            ..DeskHabits::default()
        };
        let s = Stage::with(maker, deaf).await;
        s.desk().put(7, theirs(OURS, "Printer"));
        let connector = s.open();
        let psa = desk(connector.as_ref());
        let id = s.opened(connector.as_ref()).await;
        let found = psa.marked(&mut s.reading(), MARKER).await.unwrap();
        assert_eq!(found.iter().map(|t| &t.id).collect::<Vec<_>>(), [&id]);
        for n in 2_000..4_000 {
            s.desk().put(n, theirs(OURS, "Printer"));
        }
        let fault = psa.marked(&mut s.reading(), MARKER).await.unwrap_err();
        assert_eq!(fault.class, FaultClass::Rejected, "{maker:?}: {fault}");
        assert!(fault.detail.contains("by hand"), "{fault}");
    }
}

#[tokio::test]
async fn it_claims_what_a_desk_does() {
    for maker in MAKERS.iter().copied() {
        let claims = Stage::kind(maker).await.open().claims();
        assert!(KINDS.iter().all(|k| claims.contains(k)) && claims.len() == KINDS.len());
    }
}
