//! A HaloPSA that does not say how many notes and files there are.

use crate::desk::stage::{OURS, Stage, desk, quiet, theirs};
use offboard_domain::{FaultClass, ObjectId};
use offboard_sim::face::DeskFace;
use offboard_sim::world::desk::{DeskHabits, File};

const MARKER: &str = "[OB-c-00112233445566778899 desk.note_access]";
/// As many as it lists at once.
const PAGE: usize = 50;

async fn stage(notes: usize, marked: Option<usize>) -> Stage {
    let habits = DeskHabits {
        says_no_count: true,
        ..DeskHabits::default()
    };
    let s = Stage::with(DeskFace::Halo, habits).await;
    let mut ticket = theirs(OURS, "Printer");
    ticket.notes = (0..notes).map(|n| (0, format!("n{n}"))).collect();
    ticket.files = (0..notes).map(|n| (0, other(n))).collect();
    if let Some(at) = marked {
        ticket.notes[at].1 = MARKER.to_owned();
    }
    s.desk().put(7, ticket);
    s
}

fn other(n: usize) -> File {
    File {
        name: format!("f{n}"),
        bytes: Vec::new(),
    }
}

#[tokio::test]
async fn less_than_a_page_is_believed_to_be_all() {
    let s = stage(PAGE - 1, None).await;
    let connector = s.open();
    let psa = desk(connector.as_ref());
    let id = ObjectId::from("7");
    assert!(!psa.noted(&mut s.reading(), &id, MARKER).await.unwrap());
    psa.note(&mut s.writing(), &id, MARKER).await.unwrap();
    assert!(psa.noted(&mut s.reading(), &id, MARKER).await.unwrap());
    assert_eq!(psa.files(&mut s.reading(), &id).await.unwrap().len(), PAGE - 1);
}

#[tokio::test]
async fn what_is_not_on_a_full_page_may_be_on_none_and_is_not_written_again() {
    for marked in [None, Some(PAGE)] {
        let s = stage(PAGE + 10, marked).await;
        let connector = s.open();
        let psa = desk(connector.as_ref());
        let id = ObjectId::from("7");
        let mut call = s.reading();
        let faults = [
            psa.noted(&mut call, &id, MARKER).await.unwrap_err(),
            psa.files(&mut call, &id).await.unwrap_err(),
        ];
        for fault in faults {
            assert_eq!(fault.class, FaultClass::Rejected, "{fault}");
            assert!(fault.detail.contains("how many"), "{fault}");
            quiet(&fault, &call);
        }
    }
    // What is on it is there, whatever there is besides.
    let s = stage(PAGE + 10, Some(3)).await;
    let connector = s.open();
    let psa = desk(connector.as_ref());
    assert!(psa.noted(&mut s.reading(), &ObjectId::from("7"), MARKER).await.unwrap());
}
