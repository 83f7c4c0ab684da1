//! A mail server that does not let a token in: whether another token is asked for.

use crate::common::{self, Asked, call, token};
use offboard_connectors::graph::HttpClient;
use offboard_connectors::imap::{Access, ImapConnector, ImapSettings, Security};
use offboard_connectors::{Connector as _, MailOwner};
use offboard_domain::{Fault, FaultClass, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

/// Listens, and lets nobody in, with this code; answers the port.
async fn refusing(code: &'static str) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                let greeting = b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=XOAUTH2] hello\r\n";
                stream.get_mut().write_all(greeting).await.unwrap();
                let mut line = String::new();
                while stream.read_line(&mut line).await.is_ok_and(|n| n > 0) {
                    let tag = line.split(' ').next().unwrap_or_default();
                    let refused = format!("{tag} NO {code}not now\r\n");
                    if stream.get_mut().write_all(refused.as_bytes()).await.is_err() {
                        return;
                    }
                    line.clear();
                }
            });
        }
    });
    port
}

/// Tries to open a mailbox with a token that is this old; answers the fault, and how many
/// tokens were asked for in that.
async fn refused(code: &'static str, old: Duration) -> (Fault, usize) {
    let given = Arc::new(AtomicUsize::new(0));
    let own = Arc::clone(&given);
    let issuer = common::Server::start(move |_: Asked| {
        let n = own.fetch_add(1, Ordering::SeqCst);
        async move { token(&format!("token{n}"), 3_600) }
    })
    .await;
    let settings = ImapSettings {
        system: System::new("mail").unwrap(),
        host: "127.0.0.1".into(),
        port: refusing(code).await,
        security: Security::None,
        ca: None,
        access: Access::Token {
            url: format!("{}/token", issuer.root()),
            client_id: "archiver".into(),
            secret: "s3cret".into(),
            scope: "imap".into(),
        },
        exact_sizes: true,
        probe: None,
    };
    let connector = ImapConnector::open(&HttpClient::new().unwrap(), &settings).unwrap();
    let reader = connector.mail().unwrap();
    let owner = MailOwner {
        id: None,
        login: Some("alice@contoso.example".into()),
    };
    // Gets the first token.
    reader.folders(&mut call(), &owner).await.unwrap_err();
    assert_eq!(
        given.load(Ordering::SeqCst),
        1,
        "{code}: one of just now is as good as the next"
    );
    tokio::time::pause();
    tokio::time::advance(old).await;
    tokio::time::resume();
    let fault = reader.folders(&mut call(), &owner).await.unwrap_err();
    (fault, given.load(Ordering::SeqCst) - 1)
}

#[tokio::test]
async fn another_token_is_asked_for_only_where_the_old_one_may_have_been_taken_back() {
    const OLD: Duration = Duration::from_secs(61);
    const NEW: Duration = Duration::from_secs(30);
    for code in ["[AUTHENTICATIONFAILED] ", ""] {
        let (fault, more) = refused(code, OLD).await;
        assert_eq!((fault.class, more), (FaultClass::Denied, 1), "{code}: {fault}");
        let (fault, more) = refused(code, NEW).await;
        assert_eq!((fault.class, more), (FaultClass::Denied, 0), "{code}: {fault}");
    }
    let busy = FaultClass::Throttled { retry_after_ms: None };
    for (code, class) in [
        ("[LIMIT] ", busy),
        ("[INUSE] ", busy),
        ("[SERVERBUG] ", FaultClass::Transient),
        ("[UNAVAILABLE] ", FaultClass::Transient),
        ("[Unavailable] ", FaultClass::Transient),
    ] {
        let (fault, more) = refused(code, OLD).await;
        assert_eq!((fault.class, more), (class, 0), "{code}: {fault}");
        assert!(!format!("{fault} {fault:?}").contains("alice"), "{fault}");
    }
}
