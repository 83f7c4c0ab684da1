//! What is known of an account that is not found.

use crate::google::stage::{LEAVER, Stage, quiet};
use offboard_connectors::{Absence, Workspace as _};
use offboard_domain::time::DAY_MS;
use offboard_domain::{FaultClass, ObjectId};
use offboard_sim::world::workspace::WorkspaceHabits;

#[tokio::test]
async fn who_was_deleted_is_listed_for_a_while_and_so_is_when_that_was() {
    for numbers in [false, true] {
        let s = Stage::with(WorkspaceHabits {
            numbers,
            page_max: 1,
            ..WorkspaceHabits::default()
        })
        .await;
        let google = s.open();
        let id = ObjectId::from(LEAVER);
        let company = s.leaver(&google).await.company;
        assert_eq!(company.as_deref(), Some("C01"));
        let absence = async || google.absence(&mut s.reading(), &id).await.unwrap();
        let unlisted = Absence {
            company: company.clone(),
            ..Absence::default()
        };
        assert_eq!(absence().await, unlisted, "who is there is not deleted");
        let at_ms = s.clock.ms();
        // Others were deleted as well, and are listed before him.
        s.edit(|rows| {
            for n in 0..3 {
                let address = format!("canary{n}@example.com");
                rows.deleted.insert(format!("100{n}-x"), (address, at_ms));
            }
            rows.delete_user(LEAVER, at_ms);
        });
        assert!(google.member(&mut s.reading(), &id).await.unwrap().is_none());
        let listed = Absence {
            deleted: true,
            deleted_ms: Some(at_ms),
            company: company.clone(),
        };
        assert_eq!(absence().await, listed);
        s.clock.advance(20 * DAY_MS);
        assert_eq!(absence().await, unlisted, "Google forgets it");
    }
}

#[tokio::test]
async fn where_the_administrator_is_not_found_nothing_is_known() {
    let s = Stage::new().await;
    let google = s.open();
    s.order("users/admin", Some(404), "notFound", false);
    let mut call = s.reading();
    let fault = google.absence(&mut call, &ObjectId::from(LEAVER)).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Rejected, "{fault}");
    assert!(fault.detail.contains("`admin`"), "{fault}");
    quiet(&fault, &call);
}
