//! An application's token for a mail server (OAuth 2.0 client credentials,
//! RFC 6749 section 4.4), kept until shortly before it ends.

use super::settings::Access;
use crate::Answer;
use crate::graph::HttpClient;
use offboard_domain::{Fault, FaultClass, System};
use offboard_runtime::Secret;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long before its end a token is asked for anew.
const EARLY: Duration = Duration::from_secs(120);

/// The token of one system.
pub(crate) struct Tokens {
    system: System,
    http: HttpClient,
    access: Access,
    held: Mutex<Option<(Secret, Instant)>>,
}

impl Tokens {
    pub(crate) fn new(system: System, http: HttpClient, access: Access) -> Self {
        Self {
            system,
            http,
            access,
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

    /// A token that is good for a while.
    pub(crate) async fn get(&self, deadline: Instant) -> Answer<Secret> {
        let mut held = self.held.lock().await;
        if let Some((token, ends)) = held.as_ref()
            && *ends > Instant::now() + EARLY
        {
            return Ok(token.clone());
        }
        let Access::Token {
            url,
            client_id,
            secret,
            scope,
        } = &self.access
        else {
            return Err(self.fault(FaultClass::Rejected, "this system signs in by password; report this"));
        };
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", client_id.as_str()),
            ("client_secret", secret.expose()),
            ("scope", scope.as_str()),
        ];
        let answer = self.http.post_form(url, &form, deadline).await;
        let (status, body) = answer.map_err(|why| self.fault(FaultClass::Transient, why))?;
        let token = body["access_token"].as_str().filter(|t| !t.is_empty());
        match (status, token) {
            (200, Some(token)) => {
                let lives = body["expires_in"].as_u64().unwrap_or(0);
                let token = Secret::new(token);
                *held = Some((token.clone(), Instant::now() + Duration::from_secs(lives)));
                Ok(token)
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
}
