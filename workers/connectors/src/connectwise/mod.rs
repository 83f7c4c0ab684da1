//! ConnectWise PSA (Manage): the tickets of one company on an MSP's board.
//!
//! One credential sees every company of the MSP. So the company is fixed in the
//! configuration, each ticket that is read is compared with it, and one of another
//! company's is none of ours.
//!
//! Facts: how it is signed in to (the login company and a pair of keys, and the
//! integration's own id in a header), that a ticket's summary has at most a hundred
//! characters, and how a document is sent. Beliefs, each with a test of its name,
//! because no whole description is at hand: a ticket says `closedFlag` and
//! `company.id`; notes are below the ticket; a status is changed with a patch; a
//! board's statuses say `closedStatus`.
//!
//! | file | what |
//! |---|---|
//! | `settings` | where it is, as whom, for which company, and the numbers that tickets take |
//! | `desk` | the primitives |
//! | `doctor` | what would fail, before it does |

mod desk;
mod doctor;
mod settings;

pub use settings::{ConnectWiseOpenError, ConnectWiseSettings};

use crate::area::desk::Desk;
use crate::http::{HttpClient, base_address};
use crate::path::Path;
use crate::ticketing::{self, About, Ask, SignIn, Wire};
use crate::{Answer, Call, Connector, Finding};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use offboard_domain::{FaultClass, Kind, System, catalogue};
use offboard_runtime::Secret;
use reqwest::header::{AUTHORIZATION, HeaderName};
use std::collections::BTreeSet;

const CONNECTWISE: ticketing::Desk = ticketing::Desk {
    vendor: "connectwise",
    title: "ConnectWise",
    accept: "application/vnd.connectwise.com+json; version=2022.1",
    rights: "give the API member's security role the right to it (docs/connectors/connectwise.md, Rights)",
    client_key: "company_id",
};

/// One company in ConnectWise.
pub struct ConnectWiseConnector {
    wire: Wire,
    base: String,
    settings: ConnectWiseSettings,
}

impl ConnectWiseConnector {
    /// Opens a company. Sends nothing yet.
    ///
    /// # Errors
    /// [`ConnectWiseOpenError`] when the address cannot be used.
    pub fn open(http: &HttpClient, settings: &ConnectWiseSettings) -> Result<Self, ConnectWiseOpenError> {
        let base = base_address(&settings.url).map_err(|why| ConnectWiseOpenError {
            given: settings.url.clone(),
            why,
        })?;
        let base = base.as_str().trim_end_matches('/');
        let pair = format!(
            "{}+{}:{}",
            settings.login_company,
            settings.public_key,
            settings.private_key.expose().trim()
        );
        let basic = Secret::new(format!("Basic {}", STANDARD.encode(pair)));
        let integration = Secret::new(settings.integration_id.as_str());
        let headers = vec![
            (AUTHORIZATION, basic),
            (HeaderName::from_static("clientid"), integration),
        ];
        Ok(Self {
            wire: Wire::new(settings.system.clone(), CONNECTWISE, http, SignIn::Headers(headers)),
            base: format!("{base}/v4_6_release/apis/3.0"),
            settings: settings.clone(),
        })
    }

    async fn send(&self, call: &mut Call, ask: &Ask) -> Answer<ticketing::Reply> {
        self.wire.send(call, &self.base, ask).await
    }

    /// Whether the company is there: what a credential does not see is not found
    /// either. How far the clock there is ahead, in milliseconds.
    async fn company_is_there(&self, call: &mut Call) -> Answer<Option<i64>> {
        let id = self.settings.company_id.to_string();
        let ask = Ask::get(Path::at("company").then("companies").id(&id), About::Client);
        let reply = self.send(call, &ask).await?;
        if ticketing::number(&reply.body["id"]) == Some(self.settings.company_id) {
            return Ok(reply.ahead_ms);
        }
        let detail = "ConnectWise has no company of that id, or the credential does not see it; correct company_id";
        Err(self.wire.fault(&ask, FaultClass::Rejected, detail))
    }
}

impl std::fmt::Debug for ConnectWiseConnector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectWiseConnector")
            .field("system", &self.wire.system)
            .field("company", &self.settings.company_id)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Connector for ConnectWiseConnector {
    fn system(&self) -> &System {
        &self.wire.system
    }

    fn vendor(&self) -> &'static str {
        CONNECTWISE.vendor
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
