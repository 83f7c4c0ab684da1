//! Each refusal is the fault that it is, says what to change, and names nobody.

use crate::common::{Cutting, Server, call, json_answer, token};
use crate::scim::stage::{NOWHERE, PATCH, Stage, by_name, leaver, open, quiet};
use offboard_connectors::graph::HttpClient;
use offboard_connectors::scim::{MatchBy, Profile, ScimAccess, ScimConnector, ScimSettings};
use offboard_connectors::{Apps as _, Connector as _};
use offboard_domain::{FaultClass, System};
use offboard_sim::world::app::{Habits, Patching};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[tokio::test]
async fn a_refused_way_names_the_profile_to_set() {
    let patch = |status| Habits {
        patch: Patching::Refused(status),
        ..Habits::default()
    };
    let text = Habits {
        text: true,
        ..Habits::default()
    };
    let no_put = Habits {
        put: false,
        ..Habits::default()
    };
    let no_path = Habits {
        patch: Patching::WithoutPath,
        ..Habits::default()
    };
    let put = Profile::Put { text: false };
    use FaultClass::{Rejected, Unsupported};
    for (habits, profile, class, says) in [
        (patch(501), PATCH, Unsupported, "profile = \"put\""),
        (patch(405), PATCH, Unsupported, "profile = \"put\""),
        (text, PATCH, Rejected, "active_as = \"string\""),
        (no_path, PATCH, Rejected, "patch_path = false"),
        (no_put, put, Unsupported, "profile = \"patch\""),
    ] {
        let s = Stage::with(habits).await;
        let app = s.open(profile);
        let account = s.found(&app).await;
        let mut call = s.writing();
        let fault = app.deactivate(&mut call, &account).await.unwrap_err();
        assert_eq!(fault.class, class, "{fault}");
        assert!(fault.detail.contains(says), "{fault}");
        assert_eq!(s.journal(), Vec::<String>::new());
        quiet(&fault, &call);
    }
    let s = Stage::with(Habits {
        delete: false,
        ..Habits::default()
    })
    .await;
    let app = s.open(Profile::Delete);
    let account = s.found(&app).await;
    let fault = app.delete(&mut s.writing(), &account.id).await.unwrap_err();
    assert_eq!(fault.class, Unsupported);
}

#[tokio::test]
async fn throttles_failures_and_silence_are_of_their_class() {
    let s = Stage::with(Habits::default()).await;
    let app = s.open(PATCH);
    let account = s.found(&app).await;
    let wait = |ms| FaultClass::Throttled { retry_after_ms: ms };
    // Whether a write was certainly not done, as it is counted.
    for (status, after_s, class, refused) in [
        (429, Some(7), wait(Some(7_000)), 1),
        (429, None, wait(None), 1),
        (503, Some(9), wait(Some(9_000)), 0),
        (503, None, FaultClass::Transient, 0),
        (500, None, FaultClass::Transient, 0),
        (403, None, FaultClass::Denied, 1),
    ] {
        for write in [false, true] {
            s.order(status, after_s, false);
            let mut call = s.writing();
            let fault = if write {
                app.deactivate(&mut call, &account).await.unwrap_err()
            } else {
                app.find(&mut call, &by_name(&leaver())).await.unwrap_err()
            };
            assert_eq!((fault.class, fault.status), (class, Some(status)));
            let counted = if write { (1, refused) } else { (0, 0) };
            assert_eq!((call.writes().sent, call.writes().refused), counted, "{status}");
            quiet(&fault, &call);
        }
    }
    // It happened, and the app says that it failed: reading tells.
    s.order(500, None, true);
    let fault = app.deactivate(&mut s.writing(), &account).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Transient);
    let read = app.account(&mut s.reading(), &account.id).await.unwrap().unwrap();
    assert!(read.is_ended());
}

#[tokio::test]
async fn a_wrong_token_and_one_that_may_not_write_are_denied() {
    let s = Stage::with(Habits::default()).await;
    let mut call = s.reading();
    let wrong = s.open_with("wrong-canary");
    let fault = wrong.find(&mut call, &by_name(&leaver())).await.unwrap_err();
    assert_eq!((fault.class, fault.status), (FaultClass::Denied, Some(401)));
    assert!(fault.detail.contains("make a new one"), "{fault}");
    quiet(&fault, &call);
    s.app().may_write = false;
    let app = s.open(PATCH);
    let account = s.found(&app).await;
    let fault = app.deactivate(&mut s.writing(), &account).await.unwrap_err();
    assert_eq!((fault.class, fault.status), (FaultClass::Denied, Some(403)));
    assert!(fault.detail.contains("manage users"), "{fault}");
}

#[tokio::test]
async fn what_was_not_sent_is_transient_and_what_was_not_answered_is_unknown() {
    let cutting = Cutting::start().await;
    let app = open(cutting.root(), "t", PATCH, &[MatchBy::UserName]);
    let s = Stage::with(Habits::default()).await;
    let account = s.found(&s.open(PATCH)).await;
    let mut writing = call();
    writing.allow_writes(true);
    let fault = app.deactivate(&mut writing, &account).await.unwrap_err();
    assert_eq!((fault.class, writing.writes_sent()), (FaultClass::Unknown, 1));
    let fault = app.account(&mut call(), &account.id).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Transient);
    let app = open(NOWHERE, "t", PATCH, &[MatchBy::UserName]);
    let fault = app.deactivate(&mut writing, &account).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Transient, "{fault}");
}

/// An application that answers every reading with this.
async fn answering(status: u16, body: Value) -> Server {
    Server::start(move |_| {
        let body = body.clone();
        async move { json_answer(status, body) }
    })
    .await
}

#[tokio::test]
async fn answers_that_are_none_are_not_taken_for_nobody() {
    use FaultClass::{Rejected, Transient};
    for (status, body, class) in [
        (200, json!("<html>"), Transient),
        (200, json!({"error": "canary"}), Transient),
        (200, json!({"totalResults": 1}), Transient),
        (200, json!({"totalResults": "2", "Resources": []}), Transient),
        (
            200,
            json!({"totalResults": 1, "Resources": [{"userName": "x"}]}),
            Transient,
        ),
        (404, json!({}), Rejected),
        (302, json!({}), Rejected),
        (400, json!({"scimType": "invalidFilter"}), Rejected),
    ] {
        let server = answering(status, body.clone()).await;
        let app = open(server.root(), "t", PATCH, &[MatchBy::UserName]);
        let mut call = call();
        let fault = app.find(&mut call, &by_name("a@b.test")).await.unwrap_err();
        assert_eq!(fault.class, class, "{body}");
        quiet(&fault, &call);
    }
    let server = answering(200, json!({"totalResults": 0})).await;
    let app = open(server.root(), "t", PATCH, &[MatchBy::UserName]);
    assert!(
        app.find(&mut call(), &by_name("a@b.test"))
            .await
            .unwrap()
            .accounts
            .is_empty()
    );
}

#[tokio::test]
async fn an_answer_about_somebody_else_is_none() {
    let server = answering(200, json!({"id": "other", "active": false})).await;
    let app = open(server.root(), "t", PATCH, &[MatchBy::UserName]);
    let fault = app.account(&mut call(), &"mine".into()).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Transient);
    // Nor is anything sent about an id that would leave its segment.
    for id in ["", "..", "."] {
        let fault = app.account(&mut call(), &id.into()).await.unwrap_err();
        assert_eq!(fault.class, FaultClass::Rejected, "{id}");
    }
    assert_eq!(server.count("Users/"), 1);
}

#[tokio::test]
async fn an_active_that_is_never_shown_is_said_and_not_written_for_ever() {
    let server = answering(200, json!({"id": "a", "userName": "a@b.test"})).await;
    let app = open(server.root(), "t", PATCH, &[MatchBy::UserName]);
    let account = app.account(&mut call(), &"a".into()).await.unwrap().unwrap();
    assert!(!account.is_ended());
    let mut writing = call();
    writing.allow_writes(true);
    let fault = app.deactivate(&mut writing, &account).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Unsupported);
    assert!(fault.detail.contains("profile = \"delete\""), "{fault}");
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let server = Server::start(|_| async {
        let huge = axum::body::Body::from(vec![b' '; 17 << 20]);
        axum::http::Response::builder().status(200).body(huge).unwrap()
    })
    .await;
    let app = open(server.root(), "t", PATCH, &[MatchBy::UserName]);
    let fault = app.account(&mut call(), &"a".into()).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Transient);
    assert!(fault.detail.contains("larger"), "{fault}");
}

#[tokio::test]
async fn it_claims_what_its_profile_can() {
    use offboard_domain::Kind;
    let claims = |profile| open("http://127.0.0.1:1", "t", profile, &[MatchBy::UserName]).claims();
    let disables = [Kind::ResolveInApp, Kind::DisableInApp, Kind::ObserveIdentity];
    assert_eq!(claims(PATCH), disables.into());
    assert_eq!(claims(Profile::Put { text: true }), disables.into());
    let deletes = [Kind::ResolveInApp, Kind::DeleteInApp, Kind::ObserveIdentity];
    assert_eq!(claims(Profile::Delete), deletes.into());
}

#[tokio::test]
async fn a_token_that_was_asked_for_is_kept_and_asked_for_anew_once_when_it_is_refused() {
    let given = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&given);
    // The first token is taken back as soon as it was given out.
    let server = Server::start(move |asked| {
        let given = Arc::clone(&counted);
        async move {
            if asked.path == "/token" {
                assert!(asked.text().contains("grant_type=client") && !asked.text().contains("scope"));
                return token(&format!("t{}", given.fetch_add(1, Ordering::SeqCst)), 3_600);
            }
            match asked.bearer().as_str() {
                "t1" => json_answer(200, json!({"totalResults": 0})),
                _ => json_answer(401, json!({})),
            }
        }
    })
    .await;
    let app = signed_in_at(&server);
    for _ in 0..3 {
        let found = app.find(&mut call(), &by_name("a@b.test")).await.unwrap();
        assert!(found.accounts.is_empty());
    }
    assert_eq!((given.load(Ordering::SeqCst), server.count("Users")), (2, 4));
}

/// A connector that asks this server for its tokens, too.
fn signed_in_at(server: &Server) -> ScimConnector {
    let settings = ScimSettings {
        system: System::new("wiki").unwrap(),
        url: format!("{}/scim", server.root()),
        access: ScimAccess::Application {
            token_url: format!("{}/token", server.root()),
            client_id: "c".into(),
            secret: "s3cret".into(),
            scope: None,
        },
        authority_pem: None,
        matched: vec![MatchBy::UserName],
        profile: PATCH,
    };
    ScimConnector::open(&HttpClient::new().unwrap(), &settings).unwrap()
}

#[tokio::test]
async fn a_token_that_was_asked_for_serves_to_its_end_when_no_other_is_given() {
    let asked_for = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked_for);
    let server = Server::start(move |asked| {
        let asked_for = Arc::clone(&counted);
        async move {
            if asked.path != "/token" {
                return json_answer(200, json!({"totalResults": 0}));
            }
            match asked_for.fetch_add(1, Ordering::SeqCst) {
                // To be renewed from its beginning, and good for longer than this test.
                0 => token("t", 119),
                _ => json_answer(503, json!({})),
            }
        }
    })
    .await;
    let app = signed_in_at(&server);
    for _ in 0..3 {
        app.find(&mut call(), &by_name("a@b.test")).await.unwrap();
    }
    assert!(asked_for.load(Ordering::SeqCst) > 1, "its renewal was tried");
}
