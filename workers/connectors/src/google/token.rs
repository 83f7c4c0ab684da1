//! Tokens of the service account for one person and one scope (RFC 7523): a
//! signed claim is exchanged for each, and kept until shortly before it ends.

use super::scope::Scope;
use super::settings::ServiceKey;
use crate::answered::{clean_code, retry_after_ms};
use crate::http::{HttpClient, Shown};
use crate::token_slots::{Life, Lives, Slots, ask_for_token};
use crate::{Answer, Call};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use offboard_domain::{Fault, FaultClass, System, Timestamp};
use offboard_runtime::Secret;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;
use rustls::SignatureScheme;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long a claim is valid: the longest that Google takes is an hour.
const CLAIM_MS: i64 = 3_600_000;
/// A claim is dated back this far, for a clock that is a little ahead.
const BACKDATED_MS: i64 = 10_000;
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const ATTEMPTED: &str = "POST /token";
const SHOWN: Shown<'static> = Shown {
    vendor: super::VENDOR,
    service: "token",
    template: "/token",
    named: None,
};

/// The code that says that the service account may not act in this scope.
pub(super) const NOT_DELEGATED: &str = "unauthorized_client";

/// For whom the service account acts.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum ActsFor {
    /// The administrator of the configuration.
    Administrator,
    /// Whom a task is about, by his address of now.
    Member(String),
}

/// A token.
pub(super) struct Token {
    pub(super) value: Secret,
    life: Life,
    given: Instant,
}

impl Lives for Token {
    fn life(&self) -> &Life {
        &self.life
    }
}

/// The tokens of one workspace.
pub(super) struct Tokens {
    http: HttpClient,
    system: System,
    admin: String,
    pub(super) key: ServiceKey,
    url: Url,
    slots: Slots<Token>,
}

impl Tokens {
    pub(super) fn new(http: HttpClient, system: System, admin: String, key: ServiceKey, url: Url) -> Self {
        Self {
            http,
            system,
            admin,
            key,
            url,
            slots: Slots::default(),
        }
    }

    /// A token for this person and scope; never the one that was `refused`.
    pub(super) async fn get(
        &self,
        call: &Call,
        who: &ActsFor,
        scope: Scope,
        refused: Option<&Token>,
    ) -> Answer<Arc<Token>> {
        let subject = match who {
            ActsFor::Administrator => &self.admin,
            ActsFor::Member(address) => address,
        };
        // A scope has no blanks, so no two pairs have one key.
        let slot = format!("{} {subject}", scope.url());
        let ask = |serial| self.ask(call, who, subject, scope, serial);
        self.slots.get(&slot, || call.now(), refused, ask).await
    }

    async fn ask(&self, call: &Call, who: &ActsFor, subject: &str, scope: Scope, serial: u64) -> Answer<Token> {
        let now = call.now();
        let claim = self
            .claim(subject, scope, now)
            .map_err(|detail| self.fault(FaultClass::Denied, detail))?;
        let form = format!(
            "grant_type={}&assertion={}",
            utf8_percent_encode(GRANT, NON_ALPHANUMERIC),
            utf8_percent_encode(&claim, NON_ALPHANUMERIC)
        );
        let answered = ask_for_token(&self.http, &self.url, form, call.deadline(), SHOWN)
            .await
            .map_err(|why| self.fault(FaultClass::Transient, why))?;
        let body: Value = serde_json::from_slice(&answered.body).unwrap_or(Value::Null);
        tracing::debug!(system = %self.system, status = answered.status.as_u16(), "asked for a token");
        let status = answered.status.as_u16();
        if !answered.status.is_success() {
            let wait = retry_after_ms(&answered.headers, now);
            return Err(self.refusal(status, wait, &body, who, scope));
        }
        let lives_s = body["expires_in"]
            .as_i64()
            .or_else(|| body["expires_in"].as_str()?.parse().ok());
        let (Some(value), Some(lives_s)) = (
            body["access_token"].as_str().filter(|t| !t.is_empty()),
            lives_s.filter(|s| *s > 0),
        ) else {
            return Err(self.fault(
                FaultClass::Transient,
                "the token endpoint answered without a token; it is tried again",
            ));
        };
        Ok(Token {
            value: Secret::new(value),
            life: Life::new(now, lives_s, serial),
            given: Instant::now(),
        })
    }

    fn claim(&self, subject: &str, scope: Scope, now: Timestamp) -> Result<String, &'static str> {
        let issued = now.plus(-BACKDATED_MS);
        let mut header = json!({"alg": "RS256", "typ": "JWT"});
        if let Some(id) = &self.key.key_id {
            header["kid"] = json!(id);
        }
        let claims = json!({
            "iss": self.key.issuer,
            "sub": subject,
            "scope": scope.url(),
            "aud": self.url.as_str(),
            "iat": issued.0 / 1_000,
            "exp": issued.plus(CLAIM_MS).0 / 1_000,
        });
        let part = |v: &Value| URL_SAFE_NO_PAD.encode(v.to_string());
        let message = format!("{}.{}", part(&header), part(&claims));
        let signer = self
            .key
            .key
            .choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256])
            .ok_or("the service account's key is not an RSA key")?;
        let signature = signer
            .sign(message.as_bytes())
            .map_err(|_| "the service account's key failed to sign")?;
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// Google's own sentence is looked at and goes no further: it may name a person.
    fn refusal(&self, status: u16, wait: Option<i64>, body: &Value, who: &ActsFor, scope: Scope) -> Fault {
        let code = body["error"].as_str().and_then(clean_code);
        let says = |what: &str| {
            let said = body["error_description"].as_str().unwrap_or_default();
            said.to_lowercase().contains(what)
        };
        let (class, detail) = match (status, code.as_deref().unwrap_or_default()) {
            (429, _) => (
                FaultClass::Throttled { retry_after_ms: wait },
                "the token endpoint asks to be called less often".to_owned(),
            ),
            (500.., _) => (
                FaultClass::Transient,
                "the token endpoint failed; it is tried again".to_owned(),
            ),
            (_, NOT_DELEGATED | "access_denied") => (
                FaultClass::Denied,
                format!(
                    "the service account may not act with {}; add exactly this scope to its client id (Admin console, Security > API controls > Domain-wide delegation), then retry; it may take a day to be in force",
                    scope.url()
                ),
            ),
            (_, "invalid_grant") if says("signature") => (
                FaultClass::Denied,
                "the service account's key is not one of its keys any more; make a new one and put it where the configuration points".to_owned(),
            ),
            (_, "invalid_grant") if says("iat") || says("exp") || says("timeframe") || says("short-lived") => (
                FaultClass::Denied,
                "this machine's clock differs from Google's; set it (timedatectl set-ntp true)".to_owned(),
            ),
            // He was suspended or renamed since he was read: that is read again.
            (_, "invalid_grant") if *who != ActsFor::Administrator => (
                FaultClass::Transient,
                "the account cannot be acted for now; it is read again".to_owned(),
            ),
            (_, "invalid_grant") => (
                FaultClass::Denied,
                "the administrator who is to be acted for does not exist, or is suspended; correct `admin` in the tenant's configuration".to_owned(),
            ),
            (_, "invalid_client") => (
                FaultClass::Denied,
                "the service account does not exist any more, or is disabled; make it anew, and a key of it".to_owned(),
            ),
            _ => (
                FaultClass::Denied,
                "Google gives the service account no token; run `offboard doctor`".to_owned(),
            ),
        };
        Fault {
            status: Some(status),
            code,
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

/// A token for one mailbox.
pub(crate) struct MailToken(Arc<Token>);

impl MailToken {
    pub(crate) fn expose(&self) -> &str {
        self.0.value.expose()
    }

    /// Whether it was given within this time.
    pub(crate) fn is_younger_than(&self, time: Duration) -> bool {
        self.0.given.elapsed() < time
    }
}

/// Tokens with which Gmail opens mailboxes over IMAP: each is for one mailbox alone, and
/// the service account acts for its owner.
pub(crate) struct MailTokens(Tokens);

impl MailTokens {
    pub(crate) fn new(http: HttpClient, system: System, key: ServiceKey, url: Url) -> Self {
        // No administrator is acted for.
        Self(Tokens::new(http, system, String::new(), key, url))
    }

    /// A token for this mailbox; never the one that was `refused`.
    pub(crate) async fn get(&self, call: &Call, mailbox: &str, refused: Option<&MailToken>) -> Answer<MailToken> {
        let owner = ActsFor::Member(mailbox.to_owned());
        let refused = refused.map(|token| &*token.0);
        match self.0.get(call, &owner, Scope::Mailbox, refused).await {
            Ok(token) => Ok(MailToken(token)),
            // Nothing here reads the account again: to wait brings nobody back.
            Err(fault) if fault.class == FaultClass::Transient && fault.code.as_deref() == Some("invalid_grant") => {
                Err(Fault {
                    class: FaultClass::Denied,
                    detail: "Google does not let the service account act for this mailbox: there is no such account, \
                             or it is suspended; reactivate it for as long as the archive takes, then retry, or export \
                             the mailbox by hand"
                        .to_owned(),
                    ..fault
                })
            }
            Err(fault) => Err(fault),
        }
    }
}
