//! Where a client's Active Directory is reached, as whom, and whom we believe
//! to be it.

use super::filter::Name;
use offboard_domain::System;
use offboard_runtime::Secret;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;

/// One client's Active Directory domain.
#[derive(Debug, Clone)]
pub struct LdapSettings {
    /// The system's name in the tenant's configuration.
    pub system: System,
    /// Its domain controllers, each as a host name with or without a port, in
    /// the order in which they are tried.
    pub controllers: Vec<String>,
    /// As whom: a name that ends with `@domain`, or `DOMAIN\name`.
    pub user: String,
    /// With which password.
    pub password: Secret,
    /// The authority that signed the controllers' certificates, PEM; none:
    /// those that this machine trusts.
    pub authority_pem: Option<Vec<u8>>,
    /// Where the accounts of people who have left are kept; none: they stay.
    pub leavers_unit: Option<Name>,
    /// Whether the tenant has no other directory, so that people are found here.
    pub alone: bool,
}

/// Why a connector cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum LdapOpenError {
    /// There is no controller, or one is no host name.
    #[error("'{0}' is not the host name of a domain controller, with or without a port")]
    Controller(String),
    /// The authority's file holds no certificate.
    #[error("the authority's file holds no certificate (PEM) that can be read")]
    Authority,
    /// This machine trusts nobody.
    #[error("this machine trusts no authority; name the one of the domain's certificates in `ca`")]
    NoAuthority,
    /// The cipher suites cannot be set up.
    #[error("failed to set up TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// The port of LDAP over TLS.
const LDAPS_PORT: u16 = 636;

/// A controller's host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Controller {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Controller {
    pub(crate) fn url(&self) -> String {
        format!("ldaps://{}:{}", self.host, self.port)
    }
}

/// Reads a host name, with or without a port.
#[must_use]
pub fn is_controller(text: &str) -> bool {
    controller(text).is_some()
}

pub(crate) fn controller(text: &str) -> Option<Controller> {
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, port.parse().ok().filter(|p| *p > 0)?),
        None => (text, LDAPS_PORT),
    };
    let label = |l: &str| {
        let plain = l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        plain && !l.is_empty() && l.len() <= 63 && !l.starts_with('-') && !l.ends_with('-')
    };
    let named = host.len() <= 253 && host.split('.').all(label);
    named.then(|| Controller {
        host: host.to_owned(),
        port,
    })
}

/// TLS that believes this authority, or those that the machine trusts. There is
/// no way to believe everybody.
pub(crate) fn tls(authority_pem: Option<&[u8]>) -> Result<Arc<ClientConfig>, LdapOpenError> {
    let mut roots = RootCertStore::empty();
    match authority_pem {
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|_| LdapOpenError::Authority)?;
                roots.add(certificate).map_err(|_| LdapOpenError::Authority)?;
            }
            if roots.is_empty() {
                return Err(LdapOpenError::Authority);
            }
        }
        None => {
            let (_, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err(LdapOpenError::NoAuthority);
            }
        }
    }
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_controller_is_a_host_and_nothing_else() {
        assert_eq!(controller("dc1.corp.test").unwrap().url(), "ldaps://dc1.corp.test:636");
        assert_eq!(controller("127.0.0.11:1636").unwrap().url(), "ldaps://127.0.0.11:1636");
        for wrong in [
            "",
            "ldap://dc1",
            "dc1:",
            "dc1:0",
            "dc1:70000",
            "dc1/x",
            "user@dc1",
            "a..b",
            "-a",
            "d c",
        ] {
            assert!(!is_controller(wrong), "{wrong}");
        }
    }

    #[test]
    fn an_authority_that_is_none_is_refused() {
        for pem in [
            &b""[..],
            b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
        ] {
            assert!(matches!(tls(Some(pem)), Err(LdapOpenError::Authority)));
        }
    }
}
