//! Each refusal is the right fault, and silence after a write is not knowing.

use crate::google::stage::{LEAVER, Stage, quiet};
use offboard_connectors::{MemberChange, MemberHolds, Workspace as _};
use offboard_domain::{FaultClass, ObjectId};
use offboard_sim::world::workspace::WorkspaceFault;

#[tokio::test]
async fn a_403_is_less_haste_or_broken_or_a_no() {
    let s = Stage::new().await;
    let google = s.open();
    let id = ObjectId::from(LEAVER);
    let slower = FaultClass::Throttled { retry_after_ms: None };
    // Whether it was certainly not done, as it is counted.
    let table = [
        (403, "quotaExceeded", slower, 1),
        (403, "rateLimitExceeded", slower, 1),
        (403, "userRateLimitExceeded", slower, 1),
        (503, "rateLimitExceeded", slower, 1),
        (429, "aWordThatIsNew", slower, 1),
        (403, "backendError", FaultClass::Transient, 0),
        (503, "backendError", FaultClass::Transient, 0),
        (500, "internalError", FaultClass::Transient, 0),
        (403, "forbidden", FaultClass::Denied, 1),
        (403, "aWordThatIsNew", FaultClass::Denied, 1),
        (404, "notFound", FaultClass::Absent, 1),
        (400, "invalid", FaultClass::Rejected, 1),
    ];
    for (status, reason, class, refused) in table {
        for happens in [false, true] {
            s.order("PATCH", Some(status), reason, happens);
            let mut call = s.writing();
            let fault = google.change(&mut call, &id, &MemberChange::Suspend).await.unwrap_err();
            assert_eq!(fault.class, class, "{status} {reason}");
            assert_eq!((fault.status, fault.code.as_deref()), (Some(status), Some(reason)));
            assert_eq!(call.writes_sent(), 1);
            assert_eq!(call.writes().refused, refused, "{status} {reason}");
            quiet(&fault, &call);
        }
    }
}

/// A gateway may have passed it on, also where it says when to come again.
#[tokio::test]
async fn a_write_that_google_was_too_busy_for_may_have_happened() {
    let s = Stage::new().await;
    let google = s.open();
    let id = ObjectId::from(LEAVER);
    for (status, refused) in [(503, 0), (429, 1)] {
        s.world().faults.push(WorkspaceFault {
            of: "PATCH".into(),
            status: Some(status),
            reason: String::new(),
            retry_after_s: Some(7),
            happens: false,
        });
        let mut call = s.writing();
        let fault = google.change(&mut call, &id, &MemberChange::Suspend).await.unwrap_err();
        let wait = FaultClass::Throttled {
            retry_after_ms: Some(7_000),
        };
        assert_eq!(fault.class, wait, "{status}");
        assert_eq!((call.writes().sent, call.writes().refused), (1, refused), "{status}");
    }
}

#[tokio::test]
async fn an_account_is_gone_only_if_google_says_so_and_the_workspace_is_there() {
    let s = Stage::new().await;
    let google = s.open();
    let id = ObjectId::from(LEAVER);
    let (his, admins) = (format!("users/{LEAVER}"), "users/admin");
    let look = async || google.member(&mut s.reading(), &id).await;
    // About something else than the account: a domain, a service, a page of nobody's.
    for reason in ["domainNotFound", "serviceNotEnabled", ""] {
        s.order(&his, Some(404), reason, false);
        let fault = look().await.unwrap_err();
        assert_eq!(fault.class, FaultClass::Denied, "{reason}: {fault}");
    }
    // Nothing is found there, not even who is acted for.
    s.order(admins, Some(404), "notFound", false);
    s.order(&his, Some(404), "notFound", false);
    let mut call = s.reading();
    let fault = google.member(&mut call, &id).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Rejected, "{fault}");
    assert!(fault.detail.contains("`admin`"), "{fault}");
    quiet(&fault, &call);
    s.order(&his, Some(404), "notFound", false);
    assert!(look().await.unwrap().is_none(), "the workspace is there, and he is not");
    assert!(look().await.unwrap().is_some());
    // The same of a licence: that nobody has one of a product that there is not.
    let leaver = s.leaver(&google).await;
    s.order("sku/1010020020/users", Some(404), "notFound", false);
    s.order("sku/1010020020/user/", Some(404), "notFound", false);
    let held = google.held(&mut s.reading(), &leaver, MemberHolds::Licences).await;
    let fault = held.unwrap_err();
    assert!(fault.detail.contains("`licences`"), "{fault}");
}

#[tokio::test]
async fn who_administers_anything_is_changed_by_nobody_who_administers_less() {
    for everything in [false, true] {
        let s = Stage::new().await;
        let google = s.open();
        s.edit_leaver(|user| {
            user.administrator = everything;
            user.administers_some = !everything;
        });
        for change in [MemberChange::Suspend, MemberChange::SignOut] {
            let mut call = s.writing();
            let fault = google
                .change(&mut call, &ObjectId::from(LEAVER), &change)
                .await
                .unwrap_err();
            assert_eq!(fault.class, FaultClass::Denied, "{fault}");
            assert!(fault.detail.contains("super administrator alone"), "{fault}");
            quiet(&fault, &call);
        }
        assert_eq!(s.journal(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn who_says_when_to_come_again_is_believed() {
    let s = Stage::new().await;
    let google = s.open();
    for (status, reason) in [(429, "rateLimitExceeded"), (403, "quotaExceeded"), (503, "")] {
        s.world().faults.push(WorkspaceFault {
            of: "GET /admin".into(),
            status: Some(status),
            reason: reason.into(),
            retry_after_s: Some(7),
            happens: false,
        });
        let fault = google
            .member(&mut s.reading(), &ObjectId::from(LEAVER))
            .await
            .unwrap_err();
        let wait = FaultClass::Throttled {
            retry_after_ms: Some(7_000),
        };
        assert_eq!(fault.class, wait, "{status}");
    }
}

#[tokio::test]
async fn silence_is_unknown_after_a_write_and_nothing_after_a_reading() {
    let s = Stage::new().await;
    let google = s.open();
    let id = ObjectId::from(LEAVER);
    for happens in [false, true] {
        s.order("PATCH", None, "", happens);
        let mut call = s.writing();
        let fault = google.change(&mut call, &id, &MemberChange::Suspend).await.unwrap_err();
        assert_eq!((fault.class, call.writes_sent()), (FaultClass::Unknown, 1));
        s.order("GET /admin", None, "", happens);
        let fault = google.member(&mut s.reading(), &id).await.unwrap_err();
        assert_eq!(fault.class, FaultClass::Transient);
        s.order("/token", None, "", happens);
        let other = s.open();
        let mut call = s.writing();
        let fault = other.change(&mut call, &id, &MemberChange::Suspend).await.unwrap_err();
        assert_eq!(
            (fault.class, call.writes_sent()),
            (FaultClass::Transient, 0),
            "nothing was asked for"
        );
    }
    assert_eq!(s.journal(), ["suspend 1001"]);
}

#[tokio::test]
async fn the_token_endpoint_fails_in_its_own_ways() {
    let s = Stage::new().await;
    let id = ObjectId::from(LEAVER);
    for (status, class) in [
        (429, FaultClass::Throttled { retry_after_ms: None }),
        (500, FaultClass::Transient),
        (503, FaultClass::Transient),
        (403, FaultClass::Denied),
    ] {
        s.order("/token", Some(status), "", false);
        let mut call = s.reading();
        let fault = s.open().member(&mut call, &id).await.unwrap_err();
        assert_eq!(fault.class, class, "{status}");
        quiet(&fault, &call);
    }
}
