//! Where a mail server is, and as whom it is opened.

use crate::client_credentials::Grant;
use crate::google::ServiceKey;
use offboard_domain::System;
use offboard_runtime::Secret;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// How the connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first byte (port 993).
    Tls,
    /// TLS after a word in the clear (port 143).
    StartTls,
    /// None: for this machine itself alone.
    None,
}

/// As whom mailboxes are opened.
#[derive(Clone)]
pub enum Access {
    /// As an administrator who acts for the mailbox's owner (SASL PLAIN with
    /// an authorisation identity, RFC 4616; Dovecot's master users, Cyrus's
    /// administrators).
    Delegate {
        /// The administrator.
        user: String,
        /// His password.
        password: Secret,
    },
    /// As an administrator, where the server wants both names in one
    /// (`anna@contoso.example*archiver`).
    Joined {
        /// The administrator.
        user: String,
        /// His password.
        password: Secret,
        /// What stands between the two.
        separator: String,
    },
    /// With an application's token (XOAUTH2), asked for with its own secret.
    Token {
        /// Where tokens are asked for.
        url: String,
        /// The application.
        client_id: String,
        /// Its secret.
        secret: Secret,
        /// What is asked for.
        scope: String,
    },
    /// With a token for each mailbox (XOAUTH2), which a Google service account is given
    /// because it may act for the mailbox's owner.
    ServiceAccount {
        /// Its key.
        key: ServiceKey,
        /// Where tokens are asked for.
        url: String,
    },
    /// As the owner of one mailbox, by its own password. No other is opened: a wrong
    /// password that is tried again and again locks an account.
    Owner {
        /// The mailbox.
        mailbox: String,
        /// Its password.
        password: Secret,
    },
}

impl Access {
    /// The mailboxes that it opens, where that is one alone.
    pub(crate) fn only_mailbox(&self) -> Option<&str> {
        match self {
            Self::Owner { mailbox, .. } => Some(mailbox),
            Self::Delegate { .. } | Self::Joined { .. } | Self::Token { .. } | Self::ServiceAccount { .. } => None,
        }
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Delegate { .. } => "Access::Delegate",
            Self::Joined { .. } => "Access::Joined",
            Self::Token { .. } => "Access::Token",
            Self::ServiceAccount { .. } => "Access::ServiceAccount",
            Self::Owner { .. } => "Access::Owner",
        })
    }
}

/// A mail server.
#[derive(Debug, Clone)]
pub struct ImapSettings {
    /// The system's name in the tenant's configuration.
    pub system: System,
    /// Its host, by the name that its certificate has.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub security: Security,
    /// Further authorities that its certificate may be from, PEM.
    pub ca: Option<PathBuf>,
    /// As whom.
    pub access: Access,
    /// Whether the sizes that it says are those of what it sends. Exchange only
    /// estimates them unless told otherwise.
    pub exact_sizes: bool,
    /// A mailbox by which the credential can be checked.
    pub probe: Option<String>,
}

/// A mail server that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ImapOpenError {
    /// The file with authorities.
    #[error("failed to read the authorities in {path}: {why}; it must hold certificates in PEM")]
    Authorities {
        /// Which file.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// TLS.
    #[error("failed to set up TLS: {0}")]
    Tls(String),
    /// A host that cannot be one.
    #[error("failed to use '{0}' as a host's name")]
    Host(String),
    /// Where tokens are asked for.
    #[error("failed to use the token_url '{given}': {why}")]
    Address {
        /// What was given.
        given: String,
        /// The rule that it breaks.
        why: &'static str,
    },
    /// No protection to another machine.
    #[error("failed to open a mail server without TLS: that is for this machine itself alone")]
    Unprotected,
}

/// What tokens are asked for with, if they are.
pub(crate) fn grant(access: &Access) -> Option<Grant> {
    match access {
        Access::Delegate { .. } | Access::Joined { .. } | Access::ServiceAccount { .. } | Access::Owner { .. } => None,
        Access::Token {
            url,
            client_id,
            secret,
            scope,
        } => Some(Grant {
            url: url.clone(),
            client_id: client_id.clone(),
            secret: secret.clone(),
            scope: Some(scope.clone()),
        }),
    }
}

/// The rules by which a server's certificate is trusted.
pub(crate) fn tls(settings: &ImapSettings) -> Result<Arc<ClientConfig>, ImapOpenError> {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(native.certs);
    if let Some(path) = &settings.ca {
        let failed = |why: String| ImapOpenError::Authorities {
            path: path.display().to_string(),
            why,
        };
        let own = CertificateDer::pem_file_iter(path).map_err(|e| failed(e.to_string()))?;
        for certificate in own {
            let certificate = certificate.map_err(|e| failed(e.to_string()))?;
            roots.add(certificate).map_err(|e| failed(e.to_string()))?;
        }
    }
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .map_err(|e| ImapOpenError::Tls(e.to_string()))?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}
