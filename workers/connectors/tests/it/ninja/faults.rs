//! Each refusal is the fault that it is, says what to change, and names nobody.

use crate::common::{Cutting, Server, call, json_answer, token};
use crate::ninja::stage::{NOWHERE, OURS, Stage, anna, id, open, quiet, settings};
use offboard_connectors::{Fleet as _, Mark};
use offboard_domain::FaultClass;
use offboard_sim::world::fleet::FleetFault;
use serde_json::json;

#[tokio::test]
async fn throttles_failures_and_pages_are_of_their_class() {
    let s = Stage::kind().await;
    let ninja = s.open();
    let wait = |ms| FaultClass::Throttled { retry_after_ms: ms };
    for (met, class) in [
        (FleetFault::Status(429, Some(7), false), wait(Some(7_000))),
        (FleetFault::Status(429, None, false), wait(None)),
        (FleetFault::Status(503, Some(9), false), wait(Some(9_000))),
        (FleetFault::Status(500, None, false), FaultClass::Transient),
        (FleetFault::Status(403, None, false), FaultClass::Denied),
        (FleetFault::Page(200), wait(None)),
        (FleetFault::Page(502), wait(None)),
        (FleetFault::Cut(false), FaultClass::Transient),
    ] {
        s.order(met);
        let mut call = s.reading();
        let fault = ninja.of(&mut call, &anna()).await.unwrap_err();
        assert_eq!(fault.class, class, "{met:?}");
        quiet(&fault, &call);
    }
    assert_eq!(s.journal(), Vec::<String>::new());
}

#[tokio::test]
async fn a_write_that_happened_and_was_not_said_to_is_found_by_reading() {
    let s = Stage::kind().await;
    let ninja = s.open();
    let slower = FaultClass::Throttled {
        retry_after_ms: Some(7_000),
    };
    for (met, class, happened, refused) in [
        (FleetFault::Status(500, None, true), FaultClass::Transient, true, 0),
        (FleetFault::Status(503, Some(7), true), slower, true, 0),
        (FleetFault::Status(429, Some(7), false), slower, false, 1),
        (FleetFault::Cut(true), FaultClass::Unknown, true, 0),
        (FleetFault::Cut(false), FaultClass::Unknown, false, 0),
        (FleetFault::Page(200), FaultClass::Unknown, false, 0),
    ] {
        s.edit(41, |n| n.owner = Some("uid-anna".to_owned()));
        s.fleet().write_faults = vec![met];
        let mut call = s.writing();
        let fault = ninja.clear_owner(&mut call, &id(41)).await.unwrap_err();
        assert_eq!((fault.class, call.writes_sent()), (class, 1), "{met:?}");
        assert_eq!(call.writes().refused, refused, "{met:?}");
        quiet(&fault, &call);
        let read = ninja.endpoint(&mut s.reading(), &id(41)).await.unwrap().unwrap();
        assert_eq!(read.owner_uid.is_none(), happened, "{met:?}");
    }
}

/// Answers the record, and meets the order with this, and with when to come again if it is
/// busy.
async fn ordering(status: u16, headers: &'static str, body: &'static str) -> Server {
    Server::start(move |asked| async move {
        if asked.path == "/ws/oauth/token" {
            return token("t", 3_600);
        }
        if asked.method == "GET" {
            return json_answer(
                200,
                json!({"id": 41, "organizationId": OURS, "approvalStatus": "APPROVED"}),
            );
        }
        let answer = axum::http::Response::builder()
            .status(status)
            .header("content-type", headers);
        let answer = match status {
            503 => answer.header("retry-after", "7"),
            _ => answer,
        };
        answer.body(axum::body::Body::from(body)).unwrap()
    })
    .await
}

#[tokio::test]
async fn an_order_that_was_not_clearly_refused_may_have_happened() {
    let page = "<html>Too many requests</html>";
    let slower = FaultClass::Throttled { retry_after_ms: None };
    // Whether it was certainly not done, as it is counted.
    for (status, kind, body, class, refused) in [
        (500, "application/json", "{}", FaultClass::Transient, 0),
        (503, "application/json", "{}", FaultClass::Unknown, 0),
        (200, "text/html", page, FaultClass::Unknown, 0),
        (429, "application/json", "{}", slower, 1),
        (403, "application/json", "{}", FaultClass::Denied, 1),
        (400, "application/json", "{}", FaultClass::Rejected, 1),
    ] {
        let server = ordering(status, kind, body).await;
        let ninja = open(&settings(server.root()));
        let mut call = call();
        call.allow_writes(true);
        let fault = ninja.decommission(&mut call, &id(41)).await.unwrap_err();
        assert_eq!((fault.class, call.writes_sent()), (class, 1), "{status}");
        assert_eq!(call.writes().refused, refused, "{status}");
        let fault = ninja.run_script(&mut call, &id(41), "t-1").await.unwrap_err();
        assert_eq!(fault.class, class, "{status}");
        quiet(&fault, &call);
    }
    // Anything that is not JSON after an order is an answer all the same.
    let server = ordering(200, "text/plain", "OK").await;
    let mut call = call();
    call.allow_writes(true);
    open(&settings(server.root()))
        .decommission(&mut call, &id(41))
        .await
        .unwrap();
}

#[tokio::test]
async fn what_was_not_sent_is_transient_and_a_reader_writes_nothing() {
    let cutting = Cutting::start().await;
    let mut writing = call();
    writing.allow_writes(true);
    for url in [cutting.root(), NOWHERE] {
        let fault = open(&settings(url))
            .clear_owner(&mut writing, &id(41))
            .await
            .unwrap_err();
        assert_eq!(
            (fault.class, writing.writes_sent()),
            (FaultClass::Transient, 0),
            "{fault}"
        );
    }
    let s = Stage::kind().await;
    let ninja = s.open();
    let mut reading = s.reading();
    for fault in [
        ninja.mark(&mut reading, &id(41), Mark::PendingWipe).await.unwrap_err(),
        ninja.run_script(&mut reading, &id(41), "t-1").await.unwrap_err(),
        ninja.clear_owner(&mut reading, &id(41)).await.unwrap_err(),
        ninja.decommission(&mut reading, &id(41)).await.unwrap_err(),
    ] {
        assert_eq!(fault.class, FaultClass::Rejected);
        assert!(fault.detail.contains("only read"), "{fault}");
    }
    assert_eq!((s.journal(), reading.writes_sent()), (Vec::new(), 0));
}

#[tokio::test]
async fn a_token_that_ended_is_asked_for_once_more_and_a_wrong_credential_is_denied() {
    let s = Stage::kind().await;
    let ninja = s.open();
    ninja.endpoint(&mut s.reading(), &id(41)).await.unwrap();
    s.fleet().take_back();
    ninja.clear_owner(&mut s.writing(), &id(41)).await.unwrap();
    assert_eq!(s.fleet().given(), 2);
    assert_eq!(s.journal(), ["clear owner 41"]);
    let mut wrong = s.settings();
    wrong.client_id = "of-another-instance".to_owned();
    let mut call = s.reading();
    let fault = open(&wrong).endpoint(&mut call, &id(41)).await.unwrap_err();
    assert_eq!((fault.class, fault.status), (FaultClass::Denied, Some(404)));
    quiet(&fault, &call);
}
