//! Tokens: one cache for each connector, so for each tenant; in it one slot for
//! each resource, refreshed early.

use super::settings::{Bases, Credential, GraphSettings, OpenError};
use super::{fault, id};
use crate::http::{Answered, HttpClient, Shown};
use crate::token_slots::{Life, Lives, Slots, ask_for_token};
use crate::{Answer, Call};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use offboard_domain::{Digest, Fault, FaultClass, System, Timestamp};
use offboard_runtime::Secret;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{StatusCode, Url};
use rustls::SignatureScheme;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// How long an assertion is valid: enough for clocks that differ.
const ASSERTION_MS: i64 = 300_000;
const ATTEMPTED: &str = "POST /{directory}/oauth2/v2.0/token";
const SHOWN: Shown<'static> = Shown {
    vendor: super::VENDOR,
    service: "login",
    template: "/{directory}/oauth2/v2.0/token",
    named: None,
};

/// A token and what it says about itself.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) value: Secret,
    /// The application permissions in it, when it could be read.
    pub(crate) roles: Option<BTreeSet<String>>,
    /// The directory's id, when it says one.
    pub(crate) tenant: Option<String>,
    /// The id of the application's service principal there, when it says one.
    pub(crate) principal: Option<String>,
    life: Life,
}

impl Lives for Token {
    fn life(&self) -> &Life {
        &self.life
    }
}

/// The token cache of one connector.
pub(crate) struct Tokens {
    http: HttpClient,
    system: System,
    client_id: String,
    proof: Proof,
    url: Url,
    slots: Slots<Token>,
}

enum Proof {
    Secret(Secret),
    Key {
        key: Arc<dyn rustls::sign::SigningKey>,
        thumbprint: String,
    },
}

impl Tokens {
    pub(crate) fn new(http: HttpClient, settings: &GraphSettings, bases: &Bases) -> Result<Self, OpenError> {
        let url = format!(
            "{}/{}/oauth2/v2.0/token",
            bases.login.as_str().trim_end_matches('/'),
            settings.directory
        );
        Ok(Self {
            http,
            system: settings.system.clone(),
            client_id: settings.client_id.clone(),
            proof: Proof::of(&settings.credential)?,
            url: Url::parse(&url).map_err(|_| OpenError::Directory)?,
            slots: Slots::default(),
        })
    }

    /// Whether SharePoint will take this application's tokens.
    pub(crate) fn by_certificate(&self) -> bool {
        matches!(self.proof, Proof::Key { .. })
    }

    /// A token for this resource; never the one that was `refused`.
    pub(crate) async fn get(&self, call: &Call, resource: &str, refused: Option<&Token>) -> Answer<Arc<Token>> {
        let ask = |serial| self.ask(call, resource, serial);
        self.slots.get(resource, || call.now(), refused, ask).await
    }

    async fn ask(&self, call: &Call, resource: &str, serial: u64) -> Answer<Token> {
        let now = call.now();
        let form = self
            .form(resource, now)
            .map_err(|detail| self.fault(FaultClass::Denied, detail))?;
        let answered = ask_for_token(&self.http, &self.url, form, call.deadline(), SHOWN)
            .await
            .map_err(|why| self.fault(FaultClass::Transient, why))?;
        let body: Value = serde_json::from_slice(&answered.body).unwrap_or(Value::Null);
        tracing::debug!(system = %self.system, status = answered.status.as_u16(), "asked for a token");
        if !answered.status.is_success() {
            return Err(self.refusal(&answered, &body, now));
        }
        let (Some(value), Some(lives_s)) = (body["access_token"].as_str(), seconds(&body["expires_in"])) else {
            return Err(self.fault(
                FaultClass::Transient,
                "the token endpoint answered without a token; it is tried again",
            ));
        };
        let claims = claims(value);
        let guid = |name: &str| {
            let id = claims.as_ref()?[name].as_str().filter(|id| id::is_guid(id))?;
            Some(id.to_owned())
        };
        Ok(Token {
            value: Secret::new(value),
            roles: claims.as_ref().map(|c| {
                c["roles"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect()
            }),
            tenant: guid("tid"),
            principal: guid("oid"),
            life: Life::new(now, lives_s, serial),
        })
    }

    fn form(&self, resource: &str, now: Timestamp) -> Result<String, &'static str> {
        let scope = format!("{resource}/.default");
        let mut form = String::new();
        let mut add = |name: &str, value: &str| {
            if !form.is_empty() {
                form.push('&');
            }
            form.push_str(name);
            form.push('=');
            form.extend(utf8_percent_encode(value, NON_ALPHANUMERIC));
        };
        add("grant_type", "client_credentials");
        add("client_id", &self.client_id);
        add("scope", &scope);
        match &self.proof {
            Proof::Secret(secret) => add("client_secret", secret.expose()),
            Proof::Key { key, thumbprint } => {
                add(
                    "client_assertion_type",
                    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                );
                add("client_assertion", &self.assertion(&**key, thumbprint, now)?);
            }
        }
        Ok(form)
    }

    fn assertion(
        &self,
        key: &dyn rustls::sign::SigningKey,
        thumbprint: &str,
        now: Timestamp,
    ) -> Result<String, &'static str> {
        let header = json!({"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint});
        let claims = json!({
            "aud": self.url.as_str(),
            "iss": self.client_id,
            "sub": self.client_id,
            "jti": id::random_guid(),
            "iat": now.0 / 1_000,
            "nbf": now.0 / 1_000,
            "exp": now.plus(ASSERTION_MS).0 / 1_000,
        });
        let part = |v: &Value| URL_SAFE_NO_PAD.encode(v.to_string());
        let message = format!("{}.{}", part(&header), part(&claims));
        let signer = key.choose_scheme(&[SignatureScheme::RSA_PSS_SHA256]).ok_or(NOT_RSA)?;
        let signature = signer
            .sign(message.as_bytes())
            .map_err(|_| "the certificate's key failed to sign")?;
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    fn refusal(&self, answered: &Answered, body: &Value, now: Timestamp) -> Fault {
        let code = body["error_description"].as_str().and_then(aadsts);
        let wait = fault::retry_after_ms(&answered.headers, now);
        let (class, detail) = match answered.status {
            StatusCode::TOO_MANY_REQUESTS => (
                FaultClass::Throttled { retry_after_ms: wait },
                "the token endpoint asks to be called less often",
            ),
            status if status.is_server_error() => {
                (FaultClass::Transient, "the token endpoint failed; it is tried again")
            }
            _ => match code.as_deref() {
                Some("AADSTS50196" | "AADSTS90033" | "AADSTS90055") => {
                    (FaultClass::Transient, "the token endpoint is busy; it is tried again")
                }
                Some("AADSTS7000222") => (
                    FaultClass::Denied,
                    "the application's secret has expired; make a new one and put it where the configuration points",
                ),
                Some("AADSTS7000215") => (
                    FaultClass::Denied,
                    "the application's secret is wrong; use the secret's value, not its id",
                ),
                Some("AADSTS700027") => (
                    FaultClass::Denied,
                    "the certificate is not registered on the application; upload it there",
                ),
                Some("AADSTS700016") => (
                    FaultClass::Denied,
                    "the application is not in this directory; consent to it there as an administrator, or correct client_id",
                ),
                Some("AADSTS90002") => (FaultClass::Denied, "there is no such directory; correct its id"),
                Some("AADSTS65001") => (
                    FaultClass::Denied,
                    "nobody has consented to the application in this directory; do so as an administrator",
                ),
                _ => (
                    FaultClass::Denied,
                    "the directory refuses to give the application a token; run `offboard doctor`",
                ),
            },
        };
        Fault {
            status: Some(answered.status.as_u16()),
            code: code.or_else(|| body["error"].as_str().and_then(fault::clean_code)),
            request_id: super::api::request_id(&answered.headers),
            ..self.fault(class, detail)
        }
    }

    fn fault(&self, class: FaultClass, detail: impl Into<String>) -> Fault {
        Fault {
            class,
            system: self.system.clone(),
            attempted: ATTEMPTED.into(),
            status: None,
            code: None,
            detail: detail.into(),
            request_id: None,
        }
    }
}

const NOT_RSA: &str = "the certificate's key is not an RSA key";

impl Proof {
    fn of(credential: &Credential) -> Result<Self, OpenError> {
        match credential {
            Credential::Secret(secret) => Ok(Self::Secret(secret.clone())),
            Credential::Certificate {
                certificate_pem,
                key_pem,
            } => {
                let key = PrivateKeyDer::from_pem_slice(key_pem.expose().as_bytes())
                    .map_err(|_| OpenError::Certificate("its key is not a PEM private key"))?;
                let key = rustls::crypto::ring::sign::any_supported_type(&key)
                    .map_err(|_| OpenError::Certificate("its key is of no supported sort; use RSA"))?;
                if key.choose_scheme(&[SignatureScheme::RSA_PSS_SHA256]).is_none() {
                    return Err(OpenError::Certificate(NOT_RSA));
                }
                Ok(Self::Key {
                    key,
                    thumbprint: thumbprint(certificate_pem)?,
                })
            }
        }
    }
}

/// The `x5t#S256` of a PEM certificate, as the directory knows it by.
///
/// # Errors
/// [`OpenError::Certificate`] when it is not a PEM certificate.
pub fn thumbprint(certificate_pem: &str) -> Result<String, OpenError> {
    let der = CertificateDer::from_pem_slice(certificate_pem.as_bytes())
        .map_err(|_| OpenError::Certificate("it is not a PEM certificate"))?;
    Ok(URL_SAFE_NO_PAD.encode(Digest::of(&der).0))
}

fn seconds(value: &Value) -> Option<i64> {
    value
        .as_i64()
        .or_else(|| value.as_str()?.parse().ok())
        .filter(|s| *s > 0)
}

fn claims(token: &str) -> Option<Value> {
    let bytes = URL_SAFE_NO_PAD
        .decode(token.split('.').nth(1)?.trim_end_matches('='))
        .ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// The `AADSTS…` code at the head of a description.
fn aadsts(description: &str) -> Option<String> {
    let digits: String = description
        .strip_prefix("AADSTS")?
        .chars()
        .take_while(char::is_ascii_digit)
        .take(10)
        .collect();
    (!digits.is_empty()).then(|| format!("AADSTS{digits}"))
}
