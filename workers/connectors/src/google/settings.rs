//! Where a workspace is reached, and as whom.

use crate::http::base_address;
use offboard_domain::System;
use offboard_runtime::Secret;
use reqwest::Url;
use rustls::SignatureScheme;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;
use std::fmt;
use std::sync::Arc;

/// One tenant's Google Workspace.
#[derive(Debug, Clone)]
pub struct GoogleSettings {
    /// The system's name in the tenant's configuration.
    pub system: System,
    /// The administrator for whom the service account acts.
    pub admin: String,
    /// The service account's key, as Google gives it (JSON).
    pub key: Secret,
    /// The licences that the company has, by product and SKU.
    pub licences: Vec<Licence>,
    /// Whether shared drives are looked at.
    pub shared_drives: bool,
    /// Whether people are found here, because the tenant has no other directory.
    pub alone: bool,
    /// Where the interfaces are.
    pub endpoints: GoogleEndpoints,
}

/// A licence, as Google knows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Licence {
    /// The product's id, such as `Google-Apps`.
    pub product: String,
    /// The SKU's id, such as `1010020020`.
    pub sku: String,
}

impl Licence {
    /// Both, as configuration and facts have them.
    pub(super) fn text(&self) -> String {
        format!("{}/{}", self.product, self.sku)
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let (product, sku) = text.split_once('/')?;
        Some(Self {
            product: product.to_owned(),
            sku: sku.to_owned(),
        })
    }
}

/// Base addresses. `https` everywhere, but on this machine itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoogleEndpoints {
    /// Where tokens are asked for, whole.
    pub token: String,
    /// The Directory and Data Transfer interfaces.
    pub admin: String,
    /// Gmail.
    pub gmail: String,
    /// The licence manager.
    pub licensing: String,
    /// Drive.
    pub drive: String,
}

impl Default for GoogleEndpoints {
    fn default() -> Self {
        Self {
            token: "https://oauth2.googleapis.com/token".into(),
            admin: "https://admin.googleapis.com".into(),
            gmail: "https://gmail.googleapis.com".into(),
            licensing: "https://licensing.googleapis.com".into(),
            drive: "https://www.googleapis.com".into(),
        }
    }
}

/// The same, checked.
pub(super) struct Bases {
    pub(super) token: Url,
    pub(super) admin: Url,
    pub(super) gmail: Url,
    pub(super) licensing: Url,
    pub(super) drive: Url,
}

impl Bases {
    pub(super) fn of(endpoints: &GoogleEndpoints) -> Result<Self, GoogleOpenError> {
        let address = |which, given: &str| {
            base_address(given).map_err(|why| GoogleOpenError::Address {
                which,
                given: given.to_owned(),
                why,
            })
        };
        Ok(Self {
            token: address("token_url", &endpoints.token)?,
            admin: address("admin_url", &endpoints.admin)?,
            gmail: address("gmail_url", &endpoints.gmail)?,
            licensing: address("licensing_url", &endpoints.licensing)?,
            drive: address("drive_url", &endpoints.drive)?,
        })
    }
}

/// The service account's key, read.
#[derive(Clone)]
pub struct ServiceKey {
    /// The service account's address.
    pub(super) issuer: String,
    /// Which of its keys it is.
    pub(super) key_id: Option<String>,
    /// The number by which delegation is granted to it, if the file says so.
    pub(super) client_id: Option<String>,
    pub(super) key: Arc<dyn rustls::sign::SigningKey>,
}

impl fmt::Debug for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceKey").finish_non_exhaustive()
    }
}

impl ServiceKey {
    /// Reads the file that Google gives (JSON).
    ///
    /// # Errors
    /// [`GoogleOpenError::Key`] if it is no key of a service account.
    pub fn parse(file: &Secret) -> Result<Self, GoogleOpenError> {
        let wrong = GoogleOpenError::Key;
        let body: Value = serde_json::from_str(file.expose()).map_err(|_| wrong("it is not JSON"))?;
        if body["type"].as_str() != Some("service_account") {
            return Err(wrong(
                "its `type` is not \"service_account\"; make a key of the service account itself",
            ));
        }
        let text = |name: &str| body[name].as_str().filter(|t| !t.is_empty()).map(str::to_owned);
        let issuer = text("client_email").ok_or_else(|| wrong("it has no `client_email`"))?;
        let pem = body["private_key"]
            .as_str()
            .ok_or_else(|| wrong("it has no `private_key`"))?;
        let der = PrivateKeyDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| wrong("its `private_key` is not a PEM private key"))?;
        let key = rustls::crypto::ring::sign::any_supported_type(&der)
            .map_err(|_| wrong("its `private_key` is of no supported sort"))?;
        if key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]).is_none() {
            return Err(wrong("its `private_key` is not an RSA key"));
        }
        Ok(Self {
            issuer,
            key_id: text("private_key_id"),
            client_id: text("client_id"),
            key,
        })
    }
}

/// A workspace that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum GoogleOpenError {
    /// An address is not one that may be used.
    #[error("failed to use the {which} '{given}': {why}")]
    Address {
        /// Which one.
        which: &'static str,
        /// What was given.
        given: String,
        /// The rule that it breaks.
        why: &'static str,
    },
    /// The service account's key.
    #[error(
        "failed to use the service account's key: {0}. Make a new key (Google Cloud console, IAM > Service accounts > Keys > JSON) and put the file where the configuration points"
    )]
    Key(&'static str),
}
