//! An application's token (OAuth 2.0 client credentials, RFC 6749 section 4.4),
//! kept until shortly before it ends, or to its end where no other is given.

use crate::Answer;
use crate::http::HttpClient;
use offboard_domain::{Fault, FaultClass, System};
use offboard_runtime::Secret;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long before its end a token is asked for anew.
const EARLY: Duration = Duration::from_secs(120);
/// For how long after a renewal failed nobody asks again while the token still serves.
const ASK_AGAIN: Duration = Duration::from_secs(10);
/// For how long after it was given a token is new: one that is refused then was not
/// taken back, and the next one would be refused like it.
pub(crate) const NEW: Duration = Duration::from_secs(60);

/// What an application asks for, and how it proves that it is itself.
pub(crate) struct Grant {
    /// Where tokens are asked for.
    pub(crate) url: String,
    /// The application.
    pub(crate) client_id: String,
    /// Its secret.
    pub(crate) secret: Secret,
    /// What is asked for; none: whatever the application may.
    pub(crate) scope: Option<String>,
}

/// The token of one system.
pub(crate) struct Tokens {
    system: System,
    vendor: &'static str,
    http: HttpClient,
    grant: Option<Grant>,
    held: Mutex<Option<Held>>,
}

/// A token that was given.
struct Held {
    token: Secret,
    given: Instant,
    renew_at: Instant,
    ends: Instant,
}

impl Held {
    fn serves(&self, refused: Option<&Secret>) -> bool {
        self.ends > Instant::now() && refused.is_none_or(|r| r.expose() != self.token.expose())
    }
}

impl Tokens {
    /// The tokens of a system; without a grant it signs in otherwise.
    pub(crate) fn new(system: System, vendor: &'static str, http: HttpClient, grant: Option<Grant>) -> Self {
        Self {
            system,
            vendor,
            http,
            grant,
            held: Mutex::new(None),
        }
    }

    fn fault(&self, class: FaultClass, detail: &str) -> Fault {
        Fault {
            class,
            system: self.system.clone(),
            attempted: "ask for a token".to_owned(),
            status: None,
            code: None,
            detail: detail.to_owned(),
            request_id: None,
        }
    }

    /// A token that is good for a while, or, where none is given, the one that there is;
    /// never the one that was refused.
    pub(crate) async fn get(&self, deadline: Instant, refused: Option<&Secret>) -> Answer<Secret> {
        let mut held = self.held.lock().await;
        if let Some(held) = held.as_ref()
            && held.renew_at > Instant::now()
            && held.serves(refused)
        {
            return Ok(held.token.clone());
        }
        match self.ask(deadline).await {
            Ok(new) => Ok(held.insert(new).token.clone()),
            Err(fault) => match held.as_mut() {
                Some(held) if held.serves(refused) => {
                    held.renew_at = Instant::now() + ASK_AGAIN;
                    Ok(held.token.clone())
                }
                _ => Err(fault),
            },
        }
    }

    async fn ask(&self, deadline: Instant) -> Answer<Held> {
        let Some(grant) = &self.grant else {
            return Err(self.fault(FaultClass::Rejected, "this system asks for no token; report this"));
        };
        let mut form = vec![
            ("grant_type", "client_credentials"),
            ("client_id", grant.client_id.as_str()),
            ("client_secret", grant.secret.expose()),
        ];
        form.extend(grant.scope.as_deref().map(|scope| ("scope", scope)));
        let answer = self.http.post_form(self.vendor, &grant.url, &form, deadline).await;
        let (status, body) = answer.map_err(|why| self.fault(FaultClass::Transient, why))?;
        let token = body["access_token"].as_str().filter(|t| !t.is_empty());
        match (status, token) {
            (200, Some(token)) => {
                let lives = body["expires_in"].as_u64().unwrap_or(0);
                let given = Instant::now();
                Ok(Held {
                    token: Secret::new(token),
                    given,
                    renew_at: given + Duration::from_secs(lives).saturating_sub(EARLY),
                    ends: given + Duration::from_secs(lives),
                })
            }
            (500.., _) | (429, _) => Err(self.fault(FaultClass::Transient, "the token service is not at hand")),
            (status, _) => Err(Fault {
                status: Some(status),
                code: body["error"].as_str().map(|code| code.chars().take(64).collect()),
                ..self.fault(
                    FaultClass::Denied,
                    "no token was given; look at the application's id, secret and scope, and at its consent",
                )
            }),
        }
    }

    /// Whether this token was given just now.
    pub(crate) async fn is_new(&self, token: &Secret) -> bool {
        let held = self.held.lock().await;
        held.as_ref()
            .is_some_and(|h| h.token.expose() == token.expose() && h.given.elapsed() < NEW)
    }
}
