//! Against a real SCIM server, by somebody else: scim2-server.

use crate::common::call;
use crate::scim::stage::{CANARY, PATCH, by_name, ids, one, open, quiet};
use offboard_connectors::scim::{ExternalId, MatchBy, Profile, ScimConnector};
use offboard_connectors::{Apps as _, Call, Connector as _, Known, Severity};
use offboard_domain::FaultClass;
use offboard_servers::{Scim, ScimOptions};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

fn venv() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    target.join("test-venv")
}

/// One server for the tests whose people are their own alone.
fn shared() -> Arc<Scim> {
    static SHARED: Mutex<Weak<Scim>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(server) = shared.upgrade() {
        return server;
    }
    let server = Arc::new(Scim::start(&venv(), ScimOptions::default()).unwrap());
    *shared = Arc::downgrade(&server);
    server
}

fn connect(server: &Scim, profile: Profile) -> ScimConnector {
    open(&server.url(), server.token(), profile, &[MatchBy::UserName])
}

fn writing() -> Call {
    let mut call = call();
    call.allow_writes(true);
    call
}

/// Somebody with more than deactivating needs, none of which may be lost.
fn whole(name: &str) -> Value {
    json!({
        "userName": name, "active": true, "displayName": CANARY, "title": "Tour Guide", "externalId": format!("n-{name}"),
        "emails": [{"value": format!("mail.{name}"), "type": "work", "primary": true}],
        "phoneNumbers": [{"value": "555-0100", "type": "work"}],
        "name": {"familyName": CANARY, "givenName": "Ann"},
    })
}

/// An account without what every write changes.
fn rest(mut account: Value) -> Value {
    let object = account.as_object_mut().unwrap();
    object.remove("meta");
    object.remove("active");
    account
}

async fn is_deactivated(server: &Scim, profile: Profile, name: &str) {
    let app = connect(server, profile);
    let (id, other) = (
        server.make(&whole(name)).unwrap(),
        server.make(&whole(&format!("x{name}"))).unwrap(),
    );
    let (before, untouched) = (server.look(&id).unwrap(), server.look(&other).unwrap());
    let account = one(app.find(&mut call(), &by_name(&name.to_uppercase())).await.unwrap());
    assert_eq!((account.id.0.as_str(), account.active), (id.as_str(), Some(true)));
    let mut write = writing();
    app.deactivate(&mut write, &account).await.unwrap();
    assert_eq!(write.writes_sent(), 1);
    let read = app.account(&mut call(), &account.id).await.unwrap().unwrap();
    assert!(read.is_ended());
    assert!(one(app.find(&mut call(), &by_name(name)).await.unwrap()).is_ended());
    let after = server.look(&id).unwrap();
    assert_eq!(after["active"], json!(false));
    assert_eq!(rest(after), rest(before), "nothing else of it is changed");
    assert_eq!(server.look(&other).unwrap(), untouched, "nor anybody else");
    app.deactivate(&mut writing(), &read).await.unwrap();
    assert_eq!(server.look(&id).unwrap()["active"], json!(false), "twice is once");
    let said = format!("{write:?} {:?}", write.receipts());
    assert!(!said.contains(name) && said.contains("/Users/{id}"), "{said}");
}

#[tokio::test]
async fn by_patch() {
    let server = shared();
    let patch = |path, text| Profile::Patch { path, text };
    is_deactivated(&server, PATCH, "patch@example.com").await;
    is_deactivated(&server, patch(false, false), "nopath@example.com").await;
    is_deactivated(&server, patch(true, true), "text@example.com").await;
}

#[tokio::test]
async fn by_the_whole_where_there_is_no_patch() {
    let server = Scim::start(&venv(), ScimOptions { patch: false }).unwrap();
    is_deactivated(&server, Profile::Put { text: false }, "put@example.com").await;
    let app = connect(&server, PATCH);
    let id = server.make(&whole("refused@example.com")).unwrap();
    let account = one(app.find(&mut call(), &by_name("refused@example.com")).await.unwrap());
    let mut write = writing();
    let fault = app.deactivate(&mut write, &account).await.unwrap_err();
    assert_eq!((fault.class, fault.status), (FaultClass::Unsupported, Some(501)));
    assert!(fault.detail.contains("profile = \"put\""), "{fault}");
    assert_eq!(server.look(&id).unwrap()["active"], json!(true));
    quiet(&fault, &write);
    // The doctor knows before.
    let findings = app.check(&mut call()).await;
    assert!(
        findings.iter().any(|f| f.how_to_mend.contains("profile = \"put\"")),
        "{findings:?}"
    );
    // Over what somebody else has written meanwhile nothing is written.
    let app = connect(&server, Profile::Put { text: false });
    let stale = app.account(&mut call(), &account.id).await.unwrap().unwrap();
    let mut changed = whole("refused@example.com");
    changed["schemas"] = json!(["urn:ietf:params:scim:schemas:core:2.0:User"]);
    changed["title"] = json!("Pilot");
    server
        .ask("PUT", &format!("/Users/{id}"), changed.to_string().as_bytes())
        .unwrap();
    let fault = app.deactivate(&mut writing(), &stale).await.unwrap_err();
    assert_eq!((fault.class, fault.status), (FaultClass::Transient, Some(412)));
    assert_eq!(server.look(&id).unwrap()["title"], json!("Pilot"));
}

#[tokio::test]
async fn by_deletion() {
    let server = shared();
    let app = connect(&server, Profile::Delete);
    let id = server.make(&whole("delete@example.com")).unwrap();
    let other = server.make(&whole("kept@example.com")).unwrap();
    let account = one(app.find(&mut call(), &by_name("delete@example.com")).await.unwrap());
    for _ in 0..2 {
        app.delete(&mut writing(), &account.id).await.unwrap();
    }
    assert!(server.look(&id).is_none() && server.look(&other).is_some());
    assert!(app.account(&mut call(), &account.id).await.unwrap().is_none());
    let found = app.find(&mut call(), &by_name("delete@example.com")).await.unwrap();
    assert!(found.accounts.is_empty() && found.complete);
}

#[tokio::test]
async fn each_attribute_finds_its_owner_alone() {
    let server = shared();
    let id = server.make(&whole("attr@example.com")).unwrap();
    let number = MatchBy::ExternalId(ExternalId::EmployeeId);
    let who = Known {
        names: vec!["attr@example.com".into(), "mail.attr@example.com".into()],
        directory_id: None,
        employee_id: Some("n-attr@example.com".into()),
    };
    for by in [MatchBy::UserName, MatchBy::Emails, number] {
        let app = open(&server.url(), server.token(), PATCH, &[by]);
        let found = app.find(&mut call(), &who).await.unwrap();
        assert_eq!(ids(&found), [id.as_str()], "{by:?}");
    }
}

#[tokio::test]
async fn hostile_names_find_their_owners_alone() {
    let server = shared();
    let app = connect(&server, PATCH);
    for name in [
        r#"quote"d@example.com"#,
        r#"" or userName pr or userName eq ""#,
        r"back\slash@example.com",
        r#"both\"@example.com"#,
        "o'brien@example.com",
        "a+b&c=d#e%22@example.com",
        "ünïcödé@example.com",
        "(paren) and [bracket]@example.com",
    ] {
        let nobody = app.find(&mut call(), &by_name(name)).await.unwrap();
        assert!(nobody.accounts.is_empty(), "{name}");
        let id = server.make(&json!({"userName": name, "active": true})).unwrap();
        let found = app.find(&mut call(), &by_name(name)).await.unwrap();
        assert_eq!(ids(&found), [id.as_str()], "{name}");
    }
}

#[tokio::test]
async fn the_doctor_and_a_wrong_token() {
    let server = shared();
    let findings = connect(&server, PATCH).check(&mut call()).await;
    assert!(findings.iter().all(|f| f.severity == Severity::Fine), "{findings:?}");
    assert_eq!(findings.len(), 2, "{findings:?}");
    let wrong = open(&server.url(), "wrong", PATCH, &[MatchBy::UserName]);
    let mut reading = call();
    let fault = wrong.find(&mut reading, &by_name("a@b.test")).await.unwrap_err();
    assert_eq!((fault.class, fault.status), (FaultClass::Denied, Some(401)));
    quiet(&fault, &reading);
    let findings = wrong.check(&mut call()).await;
    assert!(findings.iter().any(|f| f.severity == Severity::Problem), "{findings:?}");
}
