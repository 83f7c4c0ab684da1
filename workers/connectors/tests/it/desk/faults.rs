//! What each refusal, and each silence, is to the engine.

use crate::desk::stage::{MAKERS, MARKER, Stage, desk, file, quiet, ticket};
use offboard_domain::FaultClass::{self, Denied, Rejected, Throttled, Transient, Unknown};
use offboard_sim::world::desk::{DeskFault, DeskHabits};

const WAIT: FaultClass = Throttled {
    retry_after_ms: Some(7_000),
};

#[tokio::test]
async fn each_refusal_is_the_right_fault() {
    let of_reads: &[(u16, Option<u32>, FaultClass)] = &[
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
        (409, None, Transient),
        (429, Some(7), WAIT),
        (503, Some(7), Transient),
        (500, None, Transient),
    ];
    for maker in MAKERS.iter().copied() {
        let s = Stage::kind(maker).await;
        let connector = s.open();
        let psa = desk(connector.as_ref());
        let id = s.opened(connector.as_ref()).await;
        for (status, after_s, class) in of_reads {
            s.desk().faults = vec![DeskFault::Status(*status, *after_s, false)];
            let mut call = s.reading();
            let fault = psa.marked(&mut call, MARKER).await.unwrap_err();
            assert_eq!(fault.class, *class, "{maker:?} {status}: {fault}");
            quiet(&fault, &call);
        }
        for (status, after_s, class) in of_writes {
            s.desk().write_faults = vec![DeskFault::Status(*status, *after_s, false)];
            let mut call = s.writing();
            let fault = psa.note(&mut call, &id, "n").await.unwrap_err();
            assert_eq!(fault.class, *class, "{maker:?} {status}: {fault}");
            quiet(&fault, &call);
        }
    }
}

#[tokio::test]
async fn silence_after_an_order_is_unknown_and_it_is_sent_once() {
    for maker in MAKERS.iter().copied() {
        for happened in [true, false] {
            let s = Stage::kind(maker).await;
            let connector = s.open();
            let psa = desk(connector.as_ref());
            // Signed in before: what is cut is the order.
            assert_eq!(psa.marked(&mut s.reading(), MARKER).await.unwrap(), []);
            s.desk().write_faults = vec![DeskFault::Cut(happened)];
            let mut call = s.writing();
            let fault = psa.open(&mut call, &ticket()).await.unwrap_err();
            assert_eq!((fault.class, call.writes_sent()), (Unknown, 1), "{maker:?}");
            quiet(&fault, &call);
            assert_eq!(s.desk().tickets().len(), usize::from(happened));
            let id = s.opened(connector.as_ref()).await;
            for what in ["note", "attach"] {
                s.desk().write_faults = vec![DeskFault::Cut(happened)];
                let mut call = s.writing();
                let fault = match what {
                    "note" => psa.note(&mut call, &id, "n").await,
                    _ => psa.attach(&mut call, &id, &file(b"{}")).await,
                };
                assert_eq!(fault.unwrap_err().class, Unknown, "{maker:?} {what}");
            }
            let read = s.desk().tickets()[&id.0.parse().unwrap()].clone();
            assert_eq!(read.notes.len() + read.files.len(), 2 * usize::from(happened));
            // Silence while reading is only read again.
            s.desk().faults = vec![DeskFault::Cut(false)];
            let fault = psa.marked(&mut s.reading(), MARKER).await.unwrap_err();
            assert_eq!(fault.class, Transient);
        }
    }
}

#[tokio::test]
async fn a_closed_ticket_takes_nothing_more_and_says_what_to_do() {
    for maker in MAKERS.iter().copied() {
        let s = Stage::kind(maker).await;
        let connector = s.open();
        let psa = desk(connector.as_ref());
        let id = s.opened(connector.as_ref()).await;
        psa.close(&mut s.writing(), &id).await.unwrap();
        let mut call = s.writing();
        let faults = [
            psa.note(&mut call, &id, "n").await.unwrap_err(),
            psa.attach(&mut call, &id, &file(b"{}")).await.unwrap_err(),
        ];
        for fault in faults {
            assert_eq!(fault.class, Rejected, "{maker:?}: {fault}");
            assert!(fault.detail.contains("open it again"), "{fault}");
            quiet(&fault, &call);
        }
    }
}

#[tokio::test]
async fn a_file_that_is_too_large_is_a_person_s() {
    for maker in MAKERS.iter().copied() {
        let s = Stage::with(
            maker,
            DeskHabits {
                file_max_bytes: 10,
                ..DeskHabits::default()
            },
        )
        .await;
        let connector = s.open();
        let psa = desk(connector.as_ref());
        let id = s.opened(connector.as_ref()).await;
        let mut call = s.writing();
        let fault = psa
            .attach(&mut call, &id, &file(b"more than ten bytes"))
            .await
            .unwrap_err();
        assert_eq!(fault.class, Rejected, "{maker:?}: {fault}");
        assert!(fault.detail.contains("by hand"), "{fault}");
        quiet(&fault, &call);
    }
}

#[tokio::test]
async fn a_desk_that_is_not_there_is_tried_again() {
    for maker in MAKERS.iter().copied() {
        let s = Stage::kind(maker).await;
        s.desk().away = true;
        let connector = s.open();
        let mut call = s.reading();
        let fault = desk(connector.as_ref()).marked(&mut call, MARKER).await.unwrap_err();
        assert_eq!(fault.class, Transient, "{maker:?}: {fault}");
        quiet(&fault, &call);
        let nowhere = crate::desk::stage::Given {
            url: "http://127.0.0.1:1".to_owned(),
            ..s.given()
        };
        let connector = nowhere.open(maker);
        let fault = desk(connector.as_ref())
            .open(&mut s.writing(), &ticket())
            .await
            .unwrap_err();
        assert_eq!(fault.class, Transient, "{maker:?}: {fault}");
    }
}
