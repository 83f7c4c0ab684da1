//! HaloPSA: the tickets of one client company in an MSP's desk.
//!
//! One credential sees every client of the MSP. So the client is fixed in the
//! configuration, each ticket that is read is compared with it, and one of another
//! client's is none of ours.
//!
//! Facts from the vendor's description (HaloPSA API v2) and from what clients of it
//! do. Whatever is written is a list of one. A note (an *action*) takes an
//! *outcome*, and the API's user must have the right to it. An action and a file
//! have no key: they are known again by what is in them.
//!
//! Beliefs, each with a test of its name: lists say `record_count` (notes and files need
//! not: a list of less than a page is whole); a ticket says
//! `hasbeenclosed`; a file's data is a `data:` address in base64; `/Attachment` and
//! `/Outcome` are where they are (the description at hand does not have them).
//!
//! | file | what |
//! |---|---|
//! | `settings` | where it is, as whom, for which client, and the numbers that tickets take |
//! | `desk` | the primitives |
//! | `doctor` | what would fail, before it does |

mod desk;
mod doctor;
mod settings;

pub use settings::{HaloOpenError, HaloSettings};

use crate::area::desk::Desk;
use crate::client_credentials::{Grant, Tokens};
use crate::http::{HttpClient, base_address};
use crate::path::Path;
use crate::ticketing::{self, About, Ask, SignIn, Wire};
use crate::{Answer, Call, Connector, Finding};
use async_trait::async_trait;
use offboard_domain::{FaultClass, Kind, System, catalogue};
use std::collections::BTreeSet;

const HALO: ticketing::Desk = ticketing::Desk {
    vendor: "halopsa",
    title: "HaloPSA",
    accept: "application/json",
    rights: "give the agent that the API application acts as the right to it (docs/connectors/halopsa.md, Rights)",
    client_key: "client_id",
};

/// One client in HaloPSA.
pub struct HaloConnector {
    wire: Wire,
    base: String,
    settings: HaloSettings,
}

impl HaloConnector {
    /// Opens a client. Sends nothing yet.
    ///
    /// # Errors
    /// [`HaloOpenError`] when an address cannot be used.
    pub fn open(http: &HttpClient, settings: &HaloSettings) -> Result<Self, HaloOpenError> {
        let usable = |given: &str| {
            let unusable = |why| HaloOpenError {
                given: given.to_owned(),
                why,
            };
            base_address(given).map_err(unusable)
        };
        let base = usable(&settings.url)?.as_str().trim_end_matches('/').to_owned();
        let auth = settings.auth_url.as_deref().unwrap_or(&settings.url);
        let auth = usable(auth)?.as_str().trim_end_matches('/').to_owned();
        let mut url = format!("{auth}/auth/token");
        if let Some(tenant) = &settings.tenant {
            let named = Path::at("auth").then("token").with("tenant", tenant);
            url = format!("{auth}{}", named.sent());
        }
        let grant = Grant {
            url,
            client_id: settings.application_id.clone(),
            secret: settings.secret.clone(),
            scope: Some(settings.scope.clone()),
        };
        let tokens = Tokens::new(settings.system.clone(), HALO.vendor, http.clone(), Some(grant));
        Ok(Self {
            wire: Wire::new(settings.system.clone(), HALO, http, SignIn::Tokens(Box::new(tokens))),
            base: format!("{base}/api"),
            settings: settings.clone(),
        })
    }

    async fn send(&self, call: &mut Call, ask: &Ask) -> Answer<ticketing::Reply> {
        self.wire.send(call, &self.base, ask).await
    }

    /// Whether the client is there: what a credential does not see is not found
    /// either. How far the clock there is ahead, in milliseconds.
    async fn client_is_there(&self, call: &mut Call) -> Answer<Option<i64>> {
        let id = self.settings.client_id.to_string();
        let ask = Ask::get(Path::at("Client").id(&id), About::Client);
        let reply = self.send(call, &ask).await?;
        if ticketing::number(&reply.body["id"]) == Some(self.settings.client_id) {
            return Ok(reply.ahead_ms);
        }
        let detail = "HaloPSA has no client of that id, or the credential does not see it; correct client_id";
        Err(self.wire.fault(&ask, FaultClass::Rejected, detail))
    }
}

impl std::fmt::Debug for HaloConnector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HaloConnector")
            .field("system", &self.wire.system)
            .field("client", &self.settings.client_id)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Connector for HaloConnector {
    fn system(&self) -> &System {
        &self.wire.system
    }

    fn vendor(&self) -> &'static str {
        HALO.vendor
    }

    fn claims(&self) -> BTreeSet<Kind> {
        catalogue::desk::KINDS.iter().copied().collect()
    }

    fn desk(&self) -> Option<&dyn Desk> {
        Some(self)
    }

    async fn check(&self, call: &mut Call) -> Vec<Finding> {
        doctor::check(self, call).await
    }
}
