//! Transfers of files, and phones.

use crate::google::stage::{LEAVER, SUCCESSOR, Stage};
use offboard_connectors::{FileTransfers as _, Laptops as _, Phones as _};
use offboard_domain::{FaultClass, ObjectId};
use offboard_sim::world::workspace::{WorkspaceHabits, WorkspaceTransfer};

#[tokio::test]
async fn a_transfer_is_of_private_files_too_and_known_by_what_it_is() {
    for numbers in [false, true] {
        let s = Stage::with(WorkspaceHabits {
            numbers,
            page_max: 1,
            ..WorkspaceHabits::default()
        })
        .await;
        let google = s.open();
        let (from, to) = (ObjectId::from(LEAVER), ObjectId::from(SUCCESSOR));
        // Others: of shared files alone, and to somebody else.
        let other = |to: &str, levels: &[&str]| WorkspaceTransfer {
            from: LEAVER.into(),
            to: to.into(),
            levels: levels.iter().map(|l| (*l).to_owned()).collect(),
            requested_ms: s.clock.ms() - 1_000_000_000,
            fails: false,
        };
        s.edit(|rows| {
            rows.transfers.insert("a".into(), other(SUCCESSOR, &["SHARED"]));
            rows.transfers.insert("b".into(), other("1003", &["SHARED", "PRIVATE"]));
        });
        let listed = google.transfers(&mut s.reading(), &from, &to).await.unwrap();
        assert_eq!(listed, []);
        let mut call = s.reading();
        let fault = google.transfer(&mut call, &from, &to).await.unwrap_err();
        assert_eq!((fault.class, call.writes_sent()), (FaultClass::Rejected, 0));
        google.transfer(&mut s.writing(), &from, &to).await.unwrap();
        assert_eq!(s.journal(), ["transfer 1001 1002"]);
        let made = s.rows().transfers["AKrEtI-3"].clone();
        assert_eq!(made.levels.iter().collect::<Vec<_>>(), ["PRIVATE", "SHARED"]);
        let status = async || {
            let listed = google.transfers(&mut s.reading(), &from, &to).await.unwrap();
            assert_eq!(listed.len(), 1);
            assert_eq!(listed[0].requested_ms, Some(made.requested_ms));
            listed[0].status.clone()
        };
        assert_eq!(status().await, "queuedSomewhere");
        s.clock.advance(120_000);
        assert_eq!(status().await, "inProgress");
        s.clock.advance(3_600_000);
        assert_eq!(status().await, "completed");
    }
}

#[tokio::test]
async fn silence_and_a_failure_after_the_order_say_that_it_may_have_happened() {
    let s = Stage::new().await;
    let google = s.open();
    let (from, to) = (ObjectId::from(LEAVER), ObjectId::from(SUCCESSOR));
    s.order("POST /admin/datatransfer", None, "", true);
    let fault = google.transfer(&mut s.writing(), &from, &to).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Unknown);
    assert_eq!(s.journal().len(), 1);
}

#[tokio::test]
async fn a_phone_loses_the_account_and_nothing_else() {
    let s = Stage::with(WorkspaceHabits {
        page_max: 1,
        ..WorkspaceHabits::default()
    })
    .await;
    let google = s.open();
    let leaver = s.leaver(&google).await;
    let listed = google.phones(&mut s.reading(), &leaver).await.unwrap();
    let ids: Vec<&str> = listed.iter().map(|p| p.id.0.as_str()).collect();
    assert_eq!(ids, ["p1", "p2"], "not those of who is called alike");
    assert_eq!(listed[0].serial.as_deref(), Some("s-p1"));
    let id = listed[0].id.clone();
    google.wipe_account(&mut s.writing(), &id).await.unwrap();
    assert_eq!(s.journal(), ["admin_account_wipe p1"]);
    let read = async || google.phone(&mut s.reading(), &id).await.unwrap().unwrap();
    assert!(read().await.is_wiping() && !read().await.is_wiped());
    s.clock.advance(3_600_000);
    assert!(read().await.is_wiped());
    assert!(s.rows().phones.values().all(|p| !p.wiped_whole));
    let gone = google.phone(&mut s.reading(), &ObjectId::from("p9")).await.unwrap();
    assert!(gone.is_none());
}

#[tokio::test]
async fn a_laptop_that_is_noted_as_his_is_disabled_and_no_other() {
    let s = Stage::new().await;
    let google = s.open();
    let leaver = s.leaver(&google).await;
    let listed = google.laptops(&mut s.reading(), &leaver).await.unwrap();
    let ids: Vec<&str> = listed.iter().map(|l| l.id.0.as_str()).collect();
    assert_eq!(ids, ["c1", "c4"], "not who signed in lately, nor who is called alike");
    assert!(listed.iter().all(|l| !l.is_shut()));
    for _ in 0..2 {
        google.disable_laptop(&mut s.writing(), &listed[0].id).await.unwrap();
    }
    assert_eq!(s.journal(), ["disable c1", "disable c1"]);
    let read = async |id: &str| google.laptop(&mut s.reading(), &ObjectId::from(id)).await.unwrap();
    let one = read("c1").await.unwrap();
    assert!(one.is_shut() && one.is_noted_as(&leaver));
    assert!(!read("c3").await.unwrap().is_noted_as(&leaver), "who is called alike");
    assert!(read("c9").await.is_none());
    let mut call = s.writing();
    let fault = google.disable_laptop(&mut call, &listed[1].id).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Blocked, "accepted as a batch, and not done");
    assert_eq!((call.writes().sent, call.writes().refused), (1, 1));
    crate::google::stage::quiet(&fault, &call);
    let listed = google.laptops(&mut s.reading(), &leaver).await.unwrap();
    assert_eq!(
        listed
            .iter()
            .map(offboard_connectors::Laptop::is_shut)
            .collect::<Vec<_>>(),
        [true, false]
    );
}
