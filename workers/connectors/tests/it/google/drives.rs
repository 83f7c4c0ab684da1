//! Shared drives: which only he manages, and who manages them then.

use crate::google::stage::{DRIVES, LEAVER, SUCCESSOR, Stage, open, quiet, scope};
use offboard_connectors::{Connector as _, Severity, SharedDrives as _};
use offboard_domain::{FaultClass, Kind, ObjectId};
use offboard_sim::world::workspace::WorkspaceHabits;

fn ids(drives: &[ObjectId]) -> Vec<&str> {
    drives.iter().map(|d| d.0.as_str()).collect()
}

#[tokio::test]
async fn drives_that_only_he_manages_are_given_to_the_successor_too() {
    for page_max in [1, 100] {
        let s = Stage::with(WorkspaceHabits {
            page_max,
            ..WorkspaceHabits::default()
        })
        .await;
        // It is not he who asks.
        s.edit_leaver(|user| user.suspended = true);
        let google = s.open();
        let (leaver, successor) = (s.leaver(&google).await, s.member(&google, SUCCESSOR).await);
        let alone = google.managed_alone(&mut s.reading(), &leaver).await.unwrap();
        assert_eq!(ids(&alone), ["d1", "d2"]);
        assert_eq!(s.journal(), Vec::<String>::new());
        let mut call = s.reading();
        let fault = google.let_manage(&mut call, &alone[0], &successor).await.unwrap_err();
        assert_eq!((fault.class, call.writes_sent()), (FaultClass::Rejected, 0));
        for _ in 0..2 {
            for drive in &alone {
                google.let_manage(&mut s.writing(), drive, &successor).await.unwrap();
            }
        }
        // One who was let in for less is not let in once more.
        assert_eq!(s.journal(), ["organizer d1 p1002", "organizer d2 p-berta"]);
        assert!(
            google
                .managed_alone(&mut s.reading(), &leaver)
                .await
                .unwrap()
                .is_empty()
        );
        let rows = s.rows();
        assert_eq!(
            rows.drives["d1"]["p-anna"].role, "organizer",
            "he stays, and cannot sign in"
        );
        assert_eq!(rows.drives["d1"]["p-admin"].role, "reader");
    }
}

#[tokio::test]
async fn who_manages_a_drive_is_read_from_its_own_members() {
    let s = Stage::new().await;
    let google = s.open();
    let leaver = s.leaver(&google).await;
    // A search lags behind, or counts somebody who has been deleted.
    s.edit(|rows| {
        let members = rows.drives.get_mut("d1").unwrap();
        members.get_mut("p-anna").unwrap().role = "writer".into();
        members.get_mut("p-admin").unwrap().role = "organizer".into();
        rows.drives.get_mut("d2").unwrap().get_mut("p-anna").unwrap().deleted = true;
    });
    let alone = google.managed_alone(&mut s.reading(), &leaver).await.unwrap();
    assert_eq!(ids(&alone), Vec::<&str>::new());
    // One that is deleted meanwhile is none, and one that may not be read no proof.
    s.order("GET /drive/v3/files/d1", Some(404), "notFound", false);
    assert!(google.managed_alone(&mut s.reading(), &leaver).await.is_ok());
    s.order("GET /drive/v3/files/d1", Some(403), "forbidden", false);
    let mut call = s.reading();
    let fault = google.managed_alone(&mut call, &leaver).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Denied);
    assert!(fault.detail.contains("Drive and Docs"), "{fault}");
    quiet(&fault, &call);
}

#[tokio::test]
async fn it_is_claimed_and_its_scope_asked_for_only_where_it_is_wanted() {
    let s = Stage::new().await;
    assert!(!s.open().claims().contains(&Kind::HandOverSharedDrives));
    let mut settings = s.settings();
    settings.shared_drives = true;
    let google = open(&settings).unwrap();
    assert!(google.claims().contains(&Kind::HandOverSharedDrives));
    let found = google.check(&mut s.reading()).await;
    assert!(found.iter().all(|f| f.severity != Severity::Problem), "{found:?}");
    s.world().access.scopes.remove(&scope(DRIVES));
    // A new one, for tokens are kept.
    let found = open(&settings).unwrap().check(&mut s.reading()).await;
    let lacking: Vec<_> = found.iter().filter(|f| f.severity == Severity::Problem).collect();
    assert_eq!(lacking.len(), 1, "{found:?}");
    assert!(lacking[0].what.contains(&scope(DRIVES)), "{lacking:?}");
    assert_eq!(lacking[0].kinds, [Kind::HandOverSharedDrives].into());
    assert_eq!(s.rows().users[LEAVER].passwords, 0);
}
