//! Which way of signing in a mail server is asked for, by what it offers.

use crate::common::call;
use offboard_connectors::graph::HttpClient;
use offboard_connectors::imap::{Access, ImapConnector, ImapSettings, Security};
use offboard_connectors::{Connector as _, MailOwner};
use offboard_domain::{FaultClass, System};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

const ALICE: &str = "alice@contoso.example";
const PASSWORD: &str = "s3\"cret";

/// Offers this, lets everybody in, and refuses all else.
async fn server(offers: &'static str) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&asked);
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        let greeting = format!("* OK [CAPABILITY IMAP4rev1 {offers}] hello\r\n");
        stream.get_mut().write_all(greeting.as_bytes()).await.unwrap();
        let mut line = String::new();
        while stream.read_line(&mut line).await.is_ok_and(|n| n > 0) {
            let (tag, command) = line.trim_end().split_once(' ').unwrap();
            noted.lock().unwrap().push(command.to_owned());
            let signs_in = command.starts_with("LOGIN ") || command.starts_with("AUTHENTICATE ");
            let answer = if signs_in {
                "OK [CAPABILITY IMAP4rev1] in"
            } else {
                "NO no"
            };
            if stream
                .get_mut()
                .write_all(format!("{tag} {answer}\r\n").as_bytes())
                .await
                .is_err()
            {
                return;
            }
            line.clear();
        }
    });
    (port, asked)
}

/// What a server that offers this is asked first, and what kind of fault comes of it.
async fn first(offers: &'static str, access: Access) -> (Option<String>, FaultClass) {
    let (port, asked) = server(offers).await;
    let settings = ImapSettings {
        system: System::new("mail").unwrap(),
        host: "127.0.0.1".into(),
        port,
        security: Security::None,
        ca: None,
        access,
        exact_sizes: true,
        probe: None,
    };
    let connector = ImapConnector::open(&HttpClient::new().unwrap(), &settings).unwrap();
    let owner = MailOwner {
        id: None,
        login: Some(ALICE.into()),
    };
    let fault = connector
        .mail()
        .unwrap()
        .folders(&mut call(), &owner)
        .await
        .unwrap_err();
    let told = format!("{fault} {fault:?}");
    assert!(!told.contains("s3") && !told.contains("alice"), "{told}");
    let first = asked.lock().unwrap().first().cloned();
    (first, fault.class)
}

fn owner() -> Access {
    Access::Owner {
        mailbox: ALICE.into(),
        password: PASSWORD.into(),
    }
}

fn joined() -> Access {
    Access::Joined {
        user: "archiver".into(),
        password: PASSWORD.into(),
        separator: "*".into(),
    }
}

fn delegate() -> Access {
    Access::Delegate {
        user: "archiver".into(),
        password: PASSWORD.into(),
    }
}

#[tokio::test]
async fn a_server_without_plain_is_signed_in_to_with_login_unless_two_names_are_needed() {
    let in_ = FaultClass::Transient;
    let own = r#"LOGIN "alice@contoso.example" "s3\"cret""#;
    assert_eq!(first("ID", owner()).await, (Some(own.to_owned()), in_));
    let both = r#"LOGIN "alice@contoso.example*archiver" "s3\"cret""#;
    assert_eq!(first("ID", joined()).await, (Some(both.to_owned()), in_));
    for access in [owner(), joined()] {
        let (asked, class) = first("SASL-IR AUTH=PLAIN LOGINDISABLED", access).await;
        assert!(asked.is_some_and(|a| a.starts_with("AUTHENTICATE PLAIN ")));
        assert_eq!(class, in_);
    }
    // Nothing is sent that cannot be meant.
    for (offers, access) in [
        ("LOGINDISABLED", owner()),
        ("LOGINDISABLED", joined()),
        ("ID", delegate()),
    ] {
        assert_eq!(first(offers, access).await, (None, FaultClass::Unsupported));
    }
}
