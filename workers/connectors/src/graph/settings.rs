//! Where a Microsoft 365 tenant is reached, and as whom.

use crate::http::{base_address, is_loopback};
use offboard_domain::System;
use offboard_runtime::Secret;
use reqwest::Url;

/// One tenant's Microsoft 365.
#[derive(Debug, Clone)]
pub struct GraphSettings {
    /// The system's name in the tenant's configuration.
    pub system: System,
    /// The directory's (Entra tenant's) id, or one of its domains.
    pub directory: String,
    /// The application's (client) id.
    pub client_id: String,
    /// How the application proves that it is itself.
    pub credential: Credential,
    /// Where the interfaces are.
    pub endpoints: Endpoints,
}

/// How an application proves that it is itself.
#[derive(Debug, Clone)]
pub enum Credential {
    /// A secret that it shares with the directory. SharePoint accepts none.
    Secret(Secret),
    /// A certificate whose private key it holds.
    Certificate {
        /// The certificate, PEM.
        certificate_pem: String,
        /// The private key (RSA), PEM.
        key_pem: Secret,
    },
}

/// Base addresses. `https` everywhere, but on this machine itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    /// Where tokens are asked for.
    pub login: String,
    /// Microsoft Graph; its version need not be there.
    pub graph: String,
    /// Exchange's admin endpoint, without its path.
    pub exchange: String,
    /// Where SharePoint is reached in place of the host that a site's own
    /// address names; none: at that host. For a gateway of the client's, or a
    /// simulator; never one of SharePoint's own hosts, which is one of many.
    pub sharepoint: Option<String>,
}

impl Default for Endpoints {
    fn default() -> Self {
        Self {
            login: "https://login.microsoftonline.com".into(),
            graph: "https://graph.microsoft.com".into(),
            exchange: "https://outlook.office365.com".into(),
            sharepoint: None,
        }
    }
}

/// Why a connector cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// An address is not one that may be used.
    #[error("the {which} address '{given}' cannot be used: {why}")]
    Address {
        /// Which one.
        which: &'static str,
        /// What was given.
        given: String,
        /// The rule that it breaks.
        why: &'static str,
    },
    /// The directory is neither an id nor a domain.
    #[error("the directory must be its id (a GUID) or one of its domains")]
    Directory,
    /// The certificate or its key cannot be read.
    #[error("the certificate cannot be used: {0}")]
    Certificate(&'static str),
}

/// The endpoints, parsed and checked.
#[derive(Debug, Clone)]
pub(crate) struct Bases {
    pub(crate) login: Url,
    pub(crate) graph: Url,
    pub(crate) exchange: Url,
    pub(crate) sharepoint: Option<Url>,
}

impl Bases {
    pub(crate) fn of(endpoints: &Endpoints) -> Result<Self, OpenError> {
        Ok(Self {
            login: base("login", &endpoints.login)?,
            graph: base("Graph", endpoints.graph.trim_end_matches('/').trim_end_matches("/v1.0"))?,
            exchange: base("Exchange", &endpoints.exchange)?,
            sharepoint: endpoints
                .sharepoint
                .as_deref()
                .map(|u| base("SharePoint", u))
                .transpose()?,
        })
    }
}

fn base(which: &'static str, given: &str) -> Result<Url, OpenError> {
    let wrong = |why| OpenError::Address {
        which,
        given: given.to_owned(),
        why,
    };
    base_address(given).map_err(wrong)
}

/// What a token for this base is asked for: the base's own origin, or on this
/// machine the worldwide cloud's.
pub(crate) fn resource_of(base: &Url, worldwide: &str) -> String {
    if is_loopback(base) {
        worldwide.to_owned()
    } else {
        base.origin().ascii_serialization()
    }
}

pub(crate) fn check_directory(directory: &str) -> Result<(), OpenError> {
    let fine = !directory.is_empty()
        && directory.contains(['-', '.'])
        && !directory.starts_with('.')
        && directory
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
    if fine { Ok(()) } else { Err(OpenError::Directory) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_leaves_this_machine() {
        for fine in [
            "https://graph.microsoft.com",
            "http://127.0.0.1:8080/",
            "http://[::1]:1",
            "http://localhost:9/x",
        ] {
            assert!(base("x", fine).is_ok(), "{fine}");
        }
        for bad in [
            "http://graph.microsoft.com",
            "http://127.0.0.1.evil.test",
            "ftp://localhost",
            "https://u:p@h",
            "x",
            "https://h/?q",
        ] {
            assert!(base("x", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_directory_is_an_id_or_a_domain() {
        assert!(check_directory("5f9e1a3c-0000-4000-8000-000000000001").is_ok());
        assert!(check_directory("contoso.onmicrosoft.com").is_ok());
        for bad in ["", "common", "..", "a/b.c", "a.b?x", "contoso.com/../x"] {
            assert!(check_directory(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn tokens_are_for_the_cloud_that_is_spoken_to() {
        let at = |s: &str| Url::parse(s).unwrap();
        assert_eq!(
            resource_of(&at("https://graph.microsoft.us"), "https://graph.microsoft.com"),
            "https://graph.microsoft.us"
        );
        assert_eq!(
            resource_of(&at("http://127.0.0.1:8"), "https://graph.microsoft.com"),
            "https://graph.microsoft.com"
        );
    }
}
