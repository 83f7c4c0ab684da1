//! The mail reader against a real Dovecot: tokens that end, are taken back or
//! are another's, and the server's own mark of a folder's state.

use crate::common::{Asked, KEY, Server, call, json_answer, token};
use crate::imap::Kept;
use axum::body::Body;
use axum::http::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use offboard_connectors::google::ServiceKey;
use offboard_connectors::graph::HttpClient;
use offboard_connectors::imap::{Access, ImapConnector, ImapSettings, Security};
use offboard_connectors::{Connector as _, MailFolder, MailMessage, MailOwner};
use offboard_domain::{FaultClass, System};
use offboard_servers::{ARCHIVER, ARCHIVER_PASSWORD, Dovecot, OWN_PASSWORD, Proxy};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const ALICE: &str = "alice@contoso.example";
const BERTA: &str = "berta@contoso.example";
const MESSAGES: [&[u8]; 4] = [
    b"Subject: one\r\n\r\n1\r\n",
    b"Subject: two\r\n\r\n2\r\n",
    b"Subject: three\r\n\r\n3\r\n",
    b"Subject: four\r\n\r\n4\r\n",
];
/// For longer than this a token is no new one.
const NEW: Duration = Duration::from_secs(61);
/// A life that is long, and one that is over before it can be used twice.
const LONG_S: i64 = 3_600;
const SHORT_S: i64 = 60;

/// What the issuer of tokens knows.
#[derive(Default)]
struct Issued {
    count: usize,
    /// Those that are good, and for whose mailbox.
    good: BTreeMap<String, String>,
    /// How often the mail server was told that one is not good.
    refused: usize,
    lives_s: i64,
}

/// Issues tokens, to an application for Alice's mailbox and to a service account for the
/// one that it asks for, and tells the mail server which are good.
struct Issuer {
    server: Server,
    issued: Arc<Mutex<Issued>>,
}

impl Issuer {
    async fn start() -> Self {
        let issued = Arc::new(Mutex::new(Issued {
            lives_s: LONG_S,
            ..Issued::default()
        }));
        let own = Arc::clone(&issued);
        let server = Server::start(move |asked: Asked| {
            let issued = Arc::clone(&own);
            async move { answer(&mut issued.lock().unwrap(), &asked) }
        })
        .await;
        Self { server, issued }
    }

    /// How many tokens were issued, and how often one was refused.
    fn counts(&self) -> (usize, usize) {
        let issued = self.issued.lock().unwrap();
        (issued.count, issued.refused)
    }

    /// None that was issued is good any more; the next ones live so long.
    fn take_back(&self, next_live_s: i64) {
        let mut issued = self.issued.lock().unwrap();
        issued.good.clear();
        issued.lives_s = next_live_s;
    }

    fn settings(&self, dovecot: &Dovecot, port: u16, secret: &str) -> ImapSettings {
        let access = Access::Token {
            url: format!("{}/token", self.server.root()),
            client_id: "archiver".into(),
            secret: secret.into(),
            scope: "imap".into(),
        };
        settings(dovecot, port, access)
    }
}

fn settings(dovecot: &Dovecot, port: u16, access: Access) -> ImapSettings {
    ImapSettings {
        system: System::new("mail").unwrap(),
        host: "localhost".into(),
        port,
        security: Security::Tls,
        ca: Some(dovecot.authority().to_owned()),
        access,
        exact_sizes: true,
        probe: None,
    }
}

impl Issued {
    fn give(&mut self, mailbox: &str) -> Response<Body> {
        self.count += 1;
        let name = format!("token{}", self.count);
        self.good.insert(name.clone(), mailbox.to_owned());
        token(&name, self.lives_s)
    }
}

/// What a service account claims.
fn claims(assertion: &str) -> Value {
    let assertion = percent_decode_str(assertion).decode_utf8().unwrap();
    let claims = assertion.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

fn answer(issued: &mut Issued, asked: &Asked) -> Response<Body> {
    let text = asked.text();
    let said = |name: &str| {
        text.split('&')
            .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    };
    match asked.path.as_str() {
        "/token" if said("client_secret") == Some("s3cret") => issued.give(ALICE),
        "/token" if said("assertion").is_some() => {
            let claims = claims(said("assertion").unwrap());
            assert_eq!(claims["scope"], "https://mail.google.com/");
            match claims["sub"].as_str() {
                Some(mailbox @ (ALICE | BERTA)) => issued.give(mailbox),
                _ => json_answer(
                    400,
                    json!({"error": "invalid_grant", "error_description": "Invalid email or User ID"}),
                ),
            }
        }
        "/token" => json_answer(401, json!({"error": "invalid_client"})),
        "/introspect" => {
            let mailbox = said("token").and_then(|t| issued.good.get(t));
            let answer = json!({"active": mailbox.is_some(), "username": mailbox.map_or(ALICE, String::as_str)});
            issued.refused += usize::from(mailbox.is_none());
            json_answer(200, answer)
        }
        other => panic!("{other} was asked for"),
    }
}

fn open(settings: &ImapSettings) -> ImapConnector {
    ImapConnector::open(&HttpClient::new().unwrap(), settings).unwrap()
}

fn owner(login: &str) -> MailOwner {
    MailOwner {
        id: None,
        login: Some(login.into()),
    }
}

async fn inbox(connector: &ImapConnector) -> MailFolder {
    let reader = connector.mail().unwrap();
    let folders = reader.folders(&mut call(), &owner(ALICE)).await.unwrap().unwrap();
    folders.into_iter().find(|f| f.id == "INBOX").unwrap()
}

/// Puts messages into Alice's inbox.
async fn fill(connector: &ImapConnector) {
    let mut call = call();
    call.allow_writes(true);
    let mut mailbox = connector.restore(&mut call, ALICE).await.unwrap();
    mailbox.folder(&mut call, "INBOX").await.unwrap();
    for message in MESSAGES {
        let bytes = message.len() as u64;
        let tag = mailbox.begin(&mut call, "INBOX", &[], None, bytes).await.unwrap();
        mailbox.bytes(message).await.unwrap();
        mailbox.end(&tag).await.unwrap();
    }
    mailbox.close().await;
}

async fn fetch(connector: &ImapConnector, folder: &MailFolder, which: &[MailMessage], kept: &mut Kept) {
    let reader = connector.mail().unwrap();
    reader
        .fetch(&mut call(), &owner(ALICE), folder, which, kept)
        .await
        .unwrap();
}

/// Lets the connector's time pass; the servers' does not.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// Ends every connection, and waits until they are.
async fn cut(proxy: &Proxy) {
    proxy.cut();
    while proxy.connections() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_token_that_ends_or_is_taken_back_in_mid_run_is_renewed_and_nothing_is_lost() {
    let issuer = Issuer::start().await;
    let introspection = format!("{}/introspect", issuer.server.root());
    let dovecot = Dovecot::start_with_tokens(&[ALICE, BERTA], &introspection).unwrap();
    let proxy = Proxy::to(dovecot.port()).unwrap();
    let connector = open(&issuer.settings(&dovecot, proxy.port(), "s3cret"));
    fill(&connector).await;
    let inbox_before = inbox(&connector).await;
    assert_eq!(
        issuer.counts(),
        (1, 0),
        "one token for every connection while it is good"
    );
    let reader = connector.mail().unwrap();
    let page = reader
        .messages(&mut call(), &owner(ALICE), &inbox_before, None)
        .await
        .unwrap();
    assert_eq!(page.messages.len(), MESSAGES.len());
    let mut kept = Kept::default();
    for (at, message) in page.messages.iter().enumerate() {
        // The first token is taken back before its end, the second one ends before
        // another connection could be made with it; and the server ends what was
        // signed in.
        if at == 1 {
            pass(NEW).await;
            issuer.take_back(SHORT_S);
        }
        if matches!(at, 1 | 2) {
            cut(&proxy).await;
        }
        fetch(&connector, &inbox_before, std::slice::from_ref(message), &mut kept).await;
        let tokens_and_refusals = [(1, 0), (2, 1), (3, 1), (3, 1)];
        assert_eq!(issuer.counts(), tokens_and_refusals[at]);
    }
    let came: Vec<&[u8]> = kept.0.iter().map(|(_, bytes, _)| bytes.as_slice()).collect();
    assert_eq!(came, MESSAGES);
    assert!(kept.0.iter().all(|(_, _, complete)| *complete));
    assert_eq!(inbox(&connector).await, inbox_before);
}

#[tokio::test]
async fn a_token_that_opens_another_mailbox_and_a_wrong_secret_are_denied() {
    let issuer = Issuer::start().await;
    let introspection = format!("{}/introspect", issuer.server.root());
    let dovecot = Dovecot::start_with_tokens(&[ALICE, BERTA], &introspection).unwrap();
    let connector = open(&issuer.settings(&dovecot, dovecot.port(), "s3cret"));
    let reader = connector.mail().unwrap();
    let denied = reader.folders(&mut call(), &owner(BERTA)).await.unwrap_err();
    assert_eq!(denied.class, FaultClass::Denied, "{denied}");
    assert_eq!(issuer.counts().0, 1, "the next one would be as good as one of just now");
    pass(NEW).await;
    let denied = reader.folders(&mut call(), &owner(BERTA)).await.unwrap_err();
    assert_eq!(denied.class, FaultClass::Denied, "{denied}");
    assert_eq!(issuer.counts().0, 2, "a new one is tried, once");
    let wrong = open(&issuer.settings(&dovecot, dovecot.port(), "Wr0ng-secret"));
    let denied = wrong
        .mail()
        .unwrap()
        .folders(&mut call(), &owner(ALICE))
        .await
        .unwrap_err();
    assert_eq!(
        (denied.class, denied.code.as_deref()),
        (FaultClass::Denied, Some("invalid_client"))
    );
    let told = format!("{denied} {denied:?}");
    assert!(!told.contains("Wr0ng") && !told.contains("alice"), "{told}");
}

#[tokio::test]
async fn a_service_account_opens_each_mailbox_with_a_token_of_its_own() {
    let issuer = Issuer::start().await;
    let introspection = format!("{}/introspect", issuer.server.root());
    let dovecot = Dovecot::start_with_tokens(&[ALICE, BERTA], &introspection).unwrap();
    let proxy = Proxy::to(dovecot.port()).unwrap();
    let file = json!({
        "type": "service_account", "client_email": "offboard@project.iam.example", "private_key": KEY,
    })
    .to_string();
    let access = Access::ServiceAccount {
        key: ServiceKey::parse(&file.as_str().into()).unwrap(),
        url: format!("{}/token", issuer.server.root()),
    };
    let connector = open(&settings(&dovecot, proxy.port(), access));
    let reader = connector.mail().unwrap();
    // The second time by new connections, with the tokens that are there.
    for _ in 0..2 {
        for mailbox in [ALICE, BERTA] {
            let folders = reader.folders(&mut call(), &owner(mailbox)).await.unwrap();
            assert!(folders.is_some_and(|f| f.iter().any(|f| f.id == "INBOX")));
        }
        assert_eq!(issuer.counts(), (2, 0), "one for each mailbox");
        cut(&proxy).await;
    }
    pass(NEW).await;
    issuer.take_back(LONG_S);
    reader.folders(&mut call(), &owner(BERTA)).await.unwrap();
    assert_eq!(issuer.counts(), (3, 1), "what was taken back is asked for anew, once");
    let nobody = reader.folders(&mut call(), &owner("carl@contoso.example")).await;
    let denied = nobody.unwrap_err();
    assert_eq!(
        (denied.class, denied.code.as_deref()),
        (FaultClass::Denied, Some("invalid_grant"))
    );
    assert!(!format!("{denied} {denied:?}").contains("carl"), "{denied}");
}

#[tokio::test]
async fn a_mailbox_s_own_password_opens_it_and_is_tried_on_no_other() {
    let dovecot = Dovecot::start(&[ALICE, BERTA]).unwrap();
    let access = Access::Owner {
        mailbox: ALICE.into(),
        password: OWN_PASSWORD.into(),
    };
    let connector = open(&settings(&dovecot, dovecot.port(), access));
    fill(&connector).await;
    assert_eq!(inbox(&connector).await.messages, MESSAGES.len() as u64);
    // The same password would open it.
    let reader = connector.mail().unwrap();
    let denied = reader.folders(&mut call(), &owner(BERTA)).await.unwrap_err();
    assert_eq!(denied.class, FaultClass::Denied, "{denied}");
    assert!(!format!("{denied} {denied:?}").contains("berta"), "{denied}");
}

/// Says something to the server as Alice herself, and waits until it is done.
fn as_alice(dovecot: &Dovecot, commands: &[&str]) {
    let stream = TcpStream::connect(("127.0.0.1", dovecot.plain_port())).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    let login = format!("LOGIN {ALICE} {OWN_PASSWORD}");
    for command in std::iter::once(login.as_str()).chain(commands.iter().copied()) {
        stream
            .get_mut()
            .write_all(format!("A {command}\r\n").as_bytes())
            .unwrap();
        loop {
            line.clear();
            stream.read_line(&mut line).unwrap();
            if line.starts_with("A ") {
                assert!(line.starts_with("A OK"), "{command}: {line}");
                break;
            }
        }
    }
}

#[tokio::test]
async fn the_servers_own_mark_of_a_folder_is_read_and_moves_with_every_change() {
    let dovecot = Dovecot::start(&[ALICE]).unwrap();
    let access = Access::Joined {
        user: ARCHIVER.into(),
        password: ARCHIVER_PASSWORD.into(),
        separator: "*".into(),
    };
    let connector = open(&settings(&dovecot, dovecot.port(), access));
    fill(&connector).await;
    let before = inbox(&connector).await;
    assert!(before.state.is_some(), "CONDSTORE is offered: {before:?}");
    // To read it changes nothing of it, also for the server.
    let reader = connector.mail().unwrap();
    let page = reader
        .messages(&mut call(), &owner(ALICE), &before, None)
        .await
        .unwrap();
    let mut kept = Kept::default();
    fetch(&connector, &before, &page.messages, &mut kept).await;
    assert_eq!(inbox(&connector).await, before);
    // A flag alone moves nothing but the mark.
    as_alice(&dovecot, &["SELECT INBOX", "STORE 1 +FLAGS.SILENT (\\Flagged)"]);
    let flagged = inbox(&connector).await;
    assert_ne!(flagged.state, before.state);
    assert_eq!(
        flagged,
        MailFolder {
            state: flagged.state.clone(),
            ..before
        }
    );
}
