//! Certificates: whom the app must be to be shown a token, and what is said when
//! it is somebody else.

use crate::common::{acceptor, call};
use crate::scim::stage::PATCH;
use offboard_connectors::graph::HttpClient;
use offboard_connectors::scim::{MatchBy, ScimAccess, ScimConnector, ScimSettings};
use offboard_connectors::{Connector as _, Severity};
use offboard_domain::System;
use offboard_servers::Certificates;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// An app that finds nobody, over TLS with this certificate.
async fn serve(certificates: &Certificates) -> (String, JoinHandle<()>) {
    const NOBODY: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/scim+json\r\ncontent-length: 18\r\nconnection: close\r\n\r\n{\"totalResults\":0}";
    let acceptor = acceptor(certificates);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("https://{}/scim/v2", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // Who does not trust us goes away.
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut some = [0; 4096];
            let _ = stream.read(&mut some).await;
            let _ = stream.write_all(NOBODY.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    (url, serving)
}

fn open(url: &str, authority_pem: Option<Vec<u8>>) -> ScimConnector {
    let settings = ScimSettings {
        system: System::new("wiki").unwrap(),
        url: url.to_owned(),
        access: ScimAccess::Token("t".into()),
        authority_pem,
        matched: vec![MatchBy::UserName],
        profile: PATCH,
    };
    ScimConnector::open(&HttpClient::new().unwrap(), &settings).unwrap()
}

/// What the doctor says first, and how bad that is.
async fn said(app: &ScimConnector) -> (Severity, String) {
    let findings = app.check(&mut call()).await;
    let first = findings.into_iter().next().unwrap();
    (first.severity, format!("{} {}", first.what, first.how_to_mend))
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_when_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::make(folder.path()).unwrap();
    let (url, serving) = serve(&certificates).await;
    let (severity, text) = said(&open(&url, None)).await;
    assert_eq!(severity, Severity::Problem);
    assert!(text.contains("an authority that is not trusted here"), "{text}");
    let authority = std::fs::read(&certificates.authority).unwrap();
    let (severity, text) = said(&open(&url, Some(authority))).await;
    assert_eq!(severity, Severity::Fine, "{text}");
    serving.abort();
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::naming(folder.path(), "subjectAltName=DNS:other.example\n").unwrap();
    let authority = std::fs::read(&certificates.authority).unwrap();
    let (url, serving) = serve(&certificates).await;
    let (severity, text) = said(&open(&url, Some(authority))).await;
    assert_eq!(severity, Severity::Problem);
    assert!(text.contains("for another name"), "{text}");
    serving.abort();
}

#[tokio::test]
async fn an_authority_that_is_none_is_not_opened_with() {
    for pem in ["", "no certificate"] {
        let settings = ScimSettings {
            system: System::new("wiki").unwrap(),
            url: "https://wiki.example".into(),
            access: ScimAccess::Token("t".into()),
            authority_pem: Some(pem.into()),
            matched: vec![MatchBy::UserName],
            profile: PATCH,
        };
        let opened = ScimConnector::open(&HttpClient::new().unwrap(), &settings);
        assert!(opened.is_err(), "{pem}");
    }
}
