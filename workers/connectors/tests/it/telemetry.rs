//! Requests in other protocols than HTTP are measured and traced under the
//! names of all vendors' requests, and nothing of a person is in either.

#![expect(
    clippy::await_holding_lock,
    reason = "it has the domain alone, and nothing of its own waits for that"
)]

use crate::common::{Asked, Server, call, json_answer};
use crate::imap::{EXAMINED, Kept, Server as MailServer, at, folder, owner};
use crate::ldap::stage::{CANARY, delegated, domain, named, reading, settings};
use offboard_connectors::ldap::LdapConnector;
use offboard_connectors::{Connector as _, Directory as _};
use offboard_domain::{CaseId, TenantId};
use offboard_runtime::config::{Engine, Role};
use offboard_runtime::telemetry::{self, metrics, trace};
use offboard_servers::samba::staff::SERVICE;
use serde_json::Value;
use std::sync::{Arc, Mutex};

/// A mailbox of three messages, of which the server keeps one for itself.
async fn mail_server() -> MailServer {
    MailServer::start(|command| match command {
        c if c.starts_with("EXAMINE") => Some(EXAMINED.into()),
        c if c.starts_with("LIST") => Some(b"* LIST () \"/\" INBOX\r\n".to_vec()),
        c if c.starts_with("STATUS") => Some(b"* STATUS INBOX (MESSAGES 3 UIDNEXT 12 UIDVALIDITY 7)\r\n".to_vec()),
        c if c.starts_with("UID FETCH 4 ") => Some(b"* 1 FETCH (UID 4 BODY[] {1}\r\na)\r\n".to_vec()),
        // It breaks off.
        c if c.starts_with("UID FETCH 9 ") => None,
        _ => Some(Vec::new()),
    })
    .await
}

async fn read_mail(server: &MailServer) {
    let connector = server.connector();
    let reader = connector.mail().unwrap();
    reader.folders(&mut call(), &owner()).await.unwrap();
    reader
        .messages(&mut call(), &owner(), &folder("7"), None)
        .await
        .unwrap();
    let mut kept = Kept::default();
    reader
        .fetch(&mut call(), &owner(), &folder("7"), &[at(4)], &mut kept)
        .await
        .unwrap();
    reader
        .fetch(&mut call(), &owner(), &folder("7"), &[at(9)], &mut kept)
        .await
        .unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_not_of_http_are_measured_and_traced_and_name_nobody() {
    let came: Arc<Mutex<Vec<u8>>> = Arc::default();
    let own = Arc::clone(&came);
    let collector = Server::start(move |asked: Asked| {
        own.lock().unwrap().extend(asked.body);
        async { json_answer(200, Value::Null) }
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let mut engine = Engine::defaults(folder.path());
    "error".clone_into(&mut engine.log.level);
    engine.telemetry.otlp = Some(collector.root().to_owned());
    engine.telemetry.sample_ppm = Some(1_000_000);
    engine.telemetry.listen = Some(([127, 0, 0, 1], 0).into());
    // What sends blocks, and is made where that is allowed.
    let started = tokio::task::spawn_blocking(move || telemetry::start(&engine, Role::Worker));
    let guard = started.await.unwrap().unwrap();

    let mail = mail_server().await;
    let (samba, _alone) = domain();
    let tenant = TenantId::new("contoso").unwrap();
    let span = trace::accept(&tenant, CaseId::derive(&tenant, "HR-1"));
    span.within(async {
        read_mail(&mail).await;
        delegated(samba).find(&mut reading(), &named("read")).await.unwrap();
        let wrong = LdapConnector::open(&settings(samba, SERVICE, "Wrong-Pass-1")).unwrap();
        wrong.find(&mut reading(), &named("read")).await.unwrap_err();
    })
    .await;
    drop(span);

    let text = metrics::render().unwrap().unwrap();
    for series in [
        "offboard_vendor_requests_total{service=\"imap\",status=\"2xx\",vendor=\"imap\"}",
        "offboard_vendor_requests_total{service=\"imap\",status=\"silence\",vendor=\"imap\"}",
        "offboard_vendor_requests_total{service=\"ldap\",status=\"2xx\",vendor=\"active_directory\"}",
        "offboard_vendor_requests_total{service=\"ldap\",status=\"4xx\",vendor=\"active_directory\"}",
        "offboard_vendor_request_duration_seconds_count{service=\"imap\",vendor=\"imap\"}",
        "offboard_vendor_request_duration_seconds_count{service=\"ldap\",vendor=\"active_directory\"}",
    ] {
        assert!(text.contains(series), "{series}\n{text}");
    }
    // It waits for the collector, which is served meanwhile.
    tokio::task::spawn_blocking(move || guard.shutdown()).await.unwrap();
    let traced = String::from_utf8_lossy(&came.lock().unwrap()).into_owned();
    for name in [
        "imap connect",
        "imap sign in",
        "imap list the folders",
        "imap ask for a folder's state",
        "imap open a folder",
        "imap list messages",
        "imap fetch messages",
        "ldap connect",
        "ldap sign in",
        "ldap search {filter}",
        "network.protocol.name",
        "silence",
    ] {
        assert!(traced.contains(name), "{name}");
    }
    for (what, told) in [("metrics", &text), ("traces", &traced)] {
        // A kind's own name is nobody's folder.
        let told = told.to_lowercase().replace("mailbox.remove_inbox_rules", "");
        for secret in [CANARY, "anna@x.test", "s3cret", "inbox", "wrong-pass-1", "svc-offboard"] {
            assert!(!told.contains(secret), "{secret} is in the {what}");
        }
    }
}
