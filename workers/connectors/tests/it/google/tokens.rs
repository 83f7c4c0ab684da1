//! Claims and tokens: one for each person and scope, asked for once, and renewed
//! before it ends.

use crate::google::stage::{KEY, LEAVER, SCOPES, Stage, address, key, open, quiet};
use offboard_connectors::{MemberChange, MemberHolds, Workspace as _, WorkspaceMail as _};
use offboard_domain::{FaultClass, ObjectId};
use offboard_sim::world::workspace::WorkspaceHabits;
use std::collections::BTreeSet;

#[tokio::test]
async fn one_token_for_each_person_and_scope() {
    let s = Stage::new().await;
    let google = s.open();
    let leaver = s.leaver(&google).await;
    for _ in 0..3 {
        google
            .held(&mut s.reading(), &leaver, MemberHolds::Grants)
            .await
            .unwrap();
        google.mail_settings(&mut s.reading(), &leaver).await.unwrap();
    }
    let given: BTreeSet<(String, String)> = s
        .world()
        .tokens
        .values()
        .map(|t| (t.subject.clone(), t.scope.clone()))
        .collect();
    let scope = |word: &str| crate::google::stage::scope(word);
    let wanted = [
        (address("admin"), scope(SCOPES[0])),
        (address("admin"), scope(SCOPES[1])),
        (address("anna"), scope(SCOPES[6])),
    ];
    assert_eq!(given, wanted.into());
    assert_eq!(s.world().token_requests, 3);
}

#[tokio::test]
async fn many_who_wait_ask_once_and_share_a_refusal_too() {
    let s = Stage::new().await;
    let google = s.open();
    let id = ObjectId::from(LEAVER);
    let read = async || google.member(&mut s.reading(), &id).await;
    let (a, b, c) = tokio::join!(read(), read(), read());
    assert!(a.is_ok() && b.is_ok() && c.is_ok());
    assert_eq!(s.world().token_requests, 1);
    s.world().access.scopes.clear();
    let other = s.open();
    let read = async || other.member(&mut s.reading(), &id).await;
    let (a, b) = tokio::join!(read(), read());
    assert!(a.is_err() && b.is_err());
    assert_eq!(s.world().token_requests, 2);
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends_and_once_when_it_is_refused() {
    let s = Stage::with(WorkspaceHabits {
        token_s: 600,
        ..WorkspaceHabits::default()
    })
    .await;
    let google = s.open();
    s.leaver(&google).await;
    s.clock.advance(470_000);
    s.leaver(&google).await;
    assert_eq!(s.world().token_requests, 1);
    s.clock.advance(20_000);
    s.leaver(&google).await;
    assert_eq!(s.world().token_requests, 2, "two minutes before its end");
    // Taken back there, though its time is not over.
    s.world().tokens.clear();
    s.leaver(&google).await;
    assert_eq!(s.world().token_requests, 3);
    // For a write, too: what was refused did not happen.
    s.world().tokens.clear();
    let id = ObjectId::from(LEAVER);
    google
        .change(&mut s.writing(), &id, &MemberChange::Suspend)
        .await
        .unwrap();
    assert_eq!(s.journal(), ["suspend 1001"]);
    // Refused again, it is told.
    for _ in 0..2 {
        s.order("GET /admin", Some(401), "authError", false);
    }
    let fault = google.member(&mut s.reading(), &id).await.unwrap_err();
    assert_eq!((fault.class, fault.status), (FaultClass::Denied, Some(401)));
}

#[tokio::test]
async fn a_claim_that_is_not_right_gets_no_token() {
    let s = Stage::new().await;
    let id = ObjectId::from(LEAVER);
    let refused = async |settings: &offboard_connectors::google::GoogleSettings| {
        let mut call = s.reading();
        let fault = open(settings).unwrap().member(&mut call, &id).await.unwrap_err();
        quiet(&fault, &call);
        assert_eq!(fault.class, FaultClass::Denied);
        fault
    };
    // Somebody who is not there, and somebody else's service account.
    let mut settings = s.settings();
    settings.admin = address("nobody");
    assert!(refused(&settings).await.detail.contains("`admin`"));
    let mut settings = s.settings();
    settings.key = key("service_account", KEY)
        .replace("offboard@", "other@")
        .as_str()
        .into();
    refused(&settings).await;
    // Another key's signature.
    s.world().access.public_key[40] ^= 1;
    refused(&s.settings()).await;
    s.world().access.public_key[40] ^= 1;
    // Another endpoint's audience.
    let mut settings = s.settings();
    settings.endpoints.token = settings.endpoints.token.replace("127.0.0.1", "localhost");
    refused(&settings).await;
    // A scope that is not delegated stops what needs it, and nothing else.
    s.world().access.scopes.remove(&crate::google::stage::scope(SCOPES[1]));
    let google = s.open();
    let leaver = s.leaver(&google).await;
    let mut call = s.reading();
    let fault = google.held(&mut call, &leaver, MemberHolds::Grants).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Denied);
    assert!(fault.detail.contains(SCOPES[1]), "{}", fault.detail);
    quiet(&fault, &call);
}

#[test]
fn a_key_that_is_none_is_said_to_be_none() {
    let wrong = |file: &str| {
        let settings = offboard_connectors::google::GoogleSettings {
            system: offboard_domain::System::new("w").unwrap(),
            admin: address("admin"),
            key: file.into(),
            licences: Vec::new(),
            shared_drives: false,
            alone: false,
            endpoints: offboard_connectors::google::GoogleEndpoints::default(),
        };
        open(&settings).unwrap_err().to_string()
    };
    assert!(wrong("not json, kanarienvogel").contains("not JSON"));
    assert!(wrong(&key("authorized_user", KEY)).contains("service_account"));
    assert!(wrong(&key("service_account", "kanarienvogel")).contains("PEM"));
    for file in ["not json, kanarienvogel", &key("service_account", "kanarienvogel")] {
        assert!(!wrong(file).contains("kanarienvogel"));
    }
}
