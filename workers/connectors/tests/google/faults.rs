//! Each refusal is the right fault, and silence after a write is not knowing.

use crate::stage::{LEAVER, Stage, quiet};
use offboard_connectors::{MemberChange, Workspace as _};
use offboard_domain::{FaultClass, ObjectId};
use offboard_sim::world::workspace::WorkspaceFault;

#[tokio::test]
async fn a_403_is_less_haste_or_broken_or_a_no() {
    let s = Stage::new().await;
    let google = s.open();
    let id = ObjectId::from(LEAVER);
    let table = [
        (403, "quotaExceeded", FaultClass::Throttled { retry_after_ms: None }),
        (403, "rateLimitExceeded", FaultClass::Throttled { retry_after_ms: None }),
        (
            403,
            "userRateLimitExceeded",
            FaultClass::Throttled { retry_after_ms: None },
        ),
        (429, "aWordThatIsNew", FaultClass::Throttled { retry_after_ms: None }),
        (403, "backendError", FaultClass::Transient),
        (503, "backendError", FaultClass::Transient),
        (500, "internalError", FaultClass::Transient),
        (403, "forbidden", FaultClass::Denied),
        (403, "aWordThatIsNew", FaultClass::Denied),
        (404, "notFound", FaultClass::Absent),
        (400, "invalid", FaultClass::Rejected),
    ];
    for (status, reason, class) in table {
        for happens in [false, true] {
            s.order("PATCH", Some(status), reason, happens);
            let mut call = s.writing();
            let fault = google.change(&mut call, &id, &MemberChange::Suspend).await.unwrap_err();
            assert_eq!(fault.class, class, "{status} {reason}");
            assert_eq!((fault.status, fault.code.as_deref()), (Some(status), Some(reason)));
            assert_eq!(call.writes_sent(), 1);
            quiet(&fault, &call);
        }
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
