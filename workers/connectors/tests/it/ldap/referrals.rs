//! A controller that answers with a referral: it is not followed, because an answer does not
//! choose to whom the credential goes, and the fault says what is to be done. The controller
//! is one of a few lines here, since a real one refers only to a domain that there would
//! have to be.

use crate::common::acceptor;
use crate::ldap::stage::{named, quiet, quiet_receipts, reading, writing};
use offboard_connectors::ldap::{LdapConnector, LdapSettings};
use offboard_connectors::{Directory as _, Found, Premises as _};
use offboard_domain::{Fault, FaultClass, ObjectId, System};
use offboard_servers::Certificates;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A computer that is here, and whose writes are referred.
const HERE: &str = "0a0b0c0d-0102-0304-0506-0708090a0b0c";
/// The same, as it stands in its attribute.
const HERE_BYTES: [u8; 16] = [0x0d, 0x0c, 0x0b, 0x0a, 2, 1, 4, 3, 5, 6, 7, 8, 9, 0x0a, 0x0b, 0x0c];
/// An object of another domain.
const ELSEWHERE: &str = "0f0b0c0d-0102-0304-0506-0708090a0b0c";

const REFERRED: &str = "0000202B: RefErr: DSID-0310078A, data 0, 1 access points";

/// The tags of RFC 4511 that are used here.
mod tag {
    pub(super) const SEQUENCE: u8 = 0x30;
    pub(super) const SET: u8 = 0x31;
    pub(super) const INTEGER: u8 = 0x02;
    pub(super) const TEXT: u8 = 0x04;
    pub(super) const ENUMERATED: u8 = 0x0a;
    pub(super) const REFERRAL: u8 = 0xa3;
    pub(super) const BIND: u8 = 0x60;
    pub(super) const BOUND: u8 = 0x61;
    pub(super) const SEARCH: u8 = 0x63;
    pub(super) const ENTRY: u8 = 0x64;
    pub(super) const FOUND: u8 = 0x65;
    pub(super) const MODIFY: u8 = 0x66;
    pub(super) const MODIFIED: u8 = 0x67;
    pub(super) const REFERENCE: u8 = 0x73;
}

/// One value of BER.
fn ber(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[tag, 0x82, length[0], length[1]][..], content].concat()
}

fn text(value: impl AsRef<[u8]>) -> Vec<u8> {
    ber(tag::TEXT, value.as_ref())
}

/// The first value: its tag, its content, and what follows. None: it has not all come.
fn first(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (short, rest) = rest.split_first()?;
    let (length, rest) = if *short < 0x80 {
        (usize::from(*short), rest)
    } else {
        let (long, rest) = rest.split_at_checked(usize::from(short & 0x7f))?;
        (long.iter().fold(0_usize, |n, byte| (n << 8) | usize::from(*byte)), rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

fn result(tag: u8, code: u8, sentence: &str, referral: Option<&str>) -> Vec<u8> {
    let mut content = [ber(tag::ENUMERATED, &[code]), text(""), text(sentence)].concat();
    if let Some(to) = referral {
        content.extend(ber(tag::REFERRAL, &text(to)));
    }
    ber(tag, &content)
}

fn entry(name: &str, attributes: &[(&str, &[u8])]) -> Vec<u8> {
    let one = |(name, value): &(&str, &[u8])| {
        let values = ber(tag::SET, &text(value));
        ber(tag::SEQUENCE, &[text(name), values].concat())
    };
    let all: Vec<u8> = attributes.iter().flat_map(one).collect();
    ber(tag::ENTRY, &[text(name), ber(tag::SEQUENCE, &all)].concat())
}

/// What is answered to a request, each in a message of its own.
fn answers(operation: u8, content: &[u8], refers_to: &str) -> Vec<Vec<u8>> {
    match operation {
        tag::BIND => vec![result(tag::BOUND, 0, "", None)],
        tag::MODIFY => vec![result(tag::MODIFIED, 10, REFERRED, Some(refers_to))],
        tag::SEARCH => {
            let (_, base, rest) = first(content).unwrap();
            let (_, scope, _) = first(rest).unwrap();
            let base = String::from_utf8_lossy(base).to_lowercase();
            let done = result(tag::FOUND, 0, "", None);
            if scope != [0] {
                // Other domains may have more of it.
                return vec![ber(tag::REFERENCE, &text(refers_to)), done];
            }
            if base.is_empty() {
                let root: [(&str, &[u8]); 2] = [
                    ("defaultNamingContext", b"DC=corp,DC=example,DC=test"),
                    (
                        "schemaNamingContext",
                        b"CN=Schema,CN=Configuration,DC=corp,DC=example,DC=test",
                    ),
                ];
                return vec![entry("", &root), done];
            }
            if base.contains(HERE) {
                let computer: [(&str, &[u8]); 4] = [
                    ("objectClass", b"computer"),
                    ("objectGUID", &HERE_BYTES),
                    ("userAccountControl", b"4096"),
                    ("operatingSystem", b"Windows 11"),
                ];
                return vec![entry("CN=PC,DC=corp,DC=example,DC=test", &computer), done];
            }
            vec![result(tag::FOUND, 10, REFERRED, Some(refers_to))]
        }
        _ => Vec::new(),
    }
}

struct Controller {
    connector: LdapConnector,
    /// How often somebody signed in.
    signed_in: Arc<AtomicUsize>,
    /// Where it refers to.
    other: std::net::TcpListener,
}

async fn converse(stream: TcpStream, acceptor: TlsAcceptor, refers_to: &str, signed_in: &AtomicUsize) {
    let Ok(mut stream) = acceptor.accept(stream).await else {
        return;
    };
    let (mut heard, mut some) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = stream.read(&mut some).await {
        heard.extend_from_slice(&some[..read]);
        while let Some((_, message, rest)) = first(&heard) {
            let (_, number, operation) = first(message).unwrap();
            let (operation, content, _) = first(operation).unwrap();
            signed_in.fetch_add(usize::from(operation == tag::BIND), Ordering::SeqCst);
            for answer in answers(operation, content, refers_to) {
                let message = ber(tag::SEQUENCE, &[ber(tag::INTEGER, number), answer].concat());
                if stream.write_all(&message).await.is_err() {
                    return;
                }
            }
            heard = rest.to_vec();
        }
    }
}

impl Controller {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let certificates = Certificates::make(folder.path()).unwrap();
        let acceptor = acceptor(&certificates);
        let other = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        other.set_nonblocking(true).unwrap();
        let refers_to = format!("ldap://{}/DC=other,DC=example,DC=test", other.local_addr().unwrap());
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let signed_in = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&signed_in);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                converse(stream, acceptor.clone(), &refers_to, &counted).await;
            }
        });
        let settings = LdapSettings {
            system: System::new("ad").unwrap(),
            controllers: vec![address],
            user: "svc-offboard@corp.example.test".to_owned(),
            password: "Service-Pass-1".into(),
            authority_pem: Some(std::fs::read(&certificates.authority).unwrap()),
            leavers_unit: None,
            alone: false,
        };
        Self {
            connector: LdapConnector::open(&settings).unwrap(),
            signed_in,
            other,
        }
    }

    /// Nobody was asked but who is configured, and he was shown the credential once.
    fn asked_nobody_else(&self) {
        let asked = self.other.accept().unwrap_err();
        assert_eq!(asked.kind(), ErrorKind::WouldBlock, "{asked}");
        assert_eq!(self.signed_in.load(Ordering::SeqCst), 1);
    }
}

/// Says that it is of another domain, and what is to be done; and not where that is.
fn says_that_it_is_elsewhere(fault: Fault) {
    let fault = quiet(fault);
    assert_eq!(fault.class, FaultClass::Denied, "{fault}");
    assert_eq!(fault.code.as_deref(), Some("10-202b"), "{fault}");
    assert!(fault.detail.contains("referrals are not followed"), "{fault}");
    assert!(fault.detail.contains("connect that domain as a system"), "{fault}");
    assert!(!format!("{fault:?}").contains("ldap://"), "{fault:?}");
}

#[tokio::test]
async fn what_another_domain_has_is_not_read_there_and_the_fault_says_so() {
    let controller = Controller::start().await;
    let ldap = &controller.connector;
    let who = ObjectId::from(ELSEWHERE);
    says_that_it_is_elsewhere(ldap.account(&mut reading(), &who).await.unwrap_err());
    says_that_it_is_elsewhere(ldap.computer(&mut reading(), &who).await.unwrap_err());
    controller.asked_nobody_else();
}

#[tokio::test]
async fn a_write_that_is_referred_is_refused_and_nobody_else_is_asked() {
    let controller = Controller::start().await;
    let ldap = &controller.connector;
    let here = ObjectId::from(HERE);
    assert!(ldap.computer(&mut reading(), &here).await.unwrap().unwrap().enabled);
    let mut call = writing();
    says_that_it_is_elsewhere(ldap.disable_computer(&mut call, &here).await.unwrap_err());
    // What was refused has changed nothing for certain.
    let writes = call.writes();
    assert!(writes.sent > 0 && !writes.may_have_been_taken(), "{writes:?}");
    quiet_receipts(call);
    // Nor is a write begun to what cannot be read.
    let mut call = writing();
    let done = ldap.disable_computer(&mut call, &ObjectId::from(ELSEWHERE)).await;
    says_that_it_is_elsewhere(done.unwrap_err());
    assert_eq!(call.writes_sent(), 0);
    controller.asked_nobody_else();
}

#[tokio::test]
async fn where_other_domains_may_have_more_they_are_not_asked() {
    let controller = Controller::start().await;
    let found = controller.connector.find(&mut reading(), &named("read")).await.unwrap();
    assert!(matches!(found, Found::Nobody), "{found:?}");
    controller.asked_nobody_else();
}
