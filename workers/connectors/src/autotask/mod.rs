//! Autotask PSA: the tickets of one company in an MSP's queue.
//!
//! One credential sees every company of the MSP. So the company is fixed in the
//! configuration, each ticket that is read is compared with it, and one of another
//! company's is none of ours.
//!
//! An MSP's data is in a *zone*, whose address is asked for first. The credential
//! is sent to whatever is answered; so that must be the vendor's own, or the host
//! that was configured.
//!
//! Facts: the three headers that it is signed in to with, where the zone is asked
//! for, and how tickets, notes and files are created. Beliefs, each with a test of
//! its name, because no whole description is at hand: a query's form and its
//! `pageDetails`; that a record comes as `item`; that a file's ticket is its
//! `parentID`; that a ticket is closed when it has the configured status.
//!
//! | file | what |
//! |---|---|
//! | `settings` | where it is, as whom, for which company, and the numbers that tickets take |
//! | `desk` | the primitives |
//! | `doctor` | what would fail, before it does |

mod desk;
mod doctor;
mod settings;

pub use settings::{AutotaskOpenError, AutotaskSettings};

use crate::area::desk::Desk;
use crate::http::{HttpClient, base_address};
use crate::path::Path;
use crate::ticketing::{self, About, Ask, SignIn, Wire};
use crate::{Answer, Call, Connector, Finding};
use async_trait::async_trait;
use offboard_domain::{FaultClass, Kind, System, catalogue};
use offboard_runtime::Secret;
use reqwest::Url;
use reqwest::header::HeaderName;
use serde_json::Value;
use std::collections::BTreeSet;
use tokio::sync::Mutex;

const AUTOTASK: ticketing::Desk = ticketing::Desk {
    vendor: "autotask",
    title: "Autotask",
    accept: "application/json",
    rights: "give the API user's security level the right to it (docs/connectors/autotask.md, Rights)",
    client_key: "company_id",
};

/// Below this domain is what the vendor has.
const VENDORS_OWN: &str = ".autotask.net";

/// One company in Autotask.
pub struct AutotaskConnector {
    wire: Wire,
    url: Url,
    zone: Mutex<Option<String>>,
    settings: AutotaskSettings,
}

impl AutotaskConnector {
    /// Opens a company. Sends nothing yet.
    ///
    /// # Errors
    /// [`AutotaskOpenError`] when the address cannot be used.
    pub fn open(http: &HttpClient, settings: &AutotaskSettings) -> Result<Self, AutotaskOpenError> {
        let url = base_address(&settings.url).map_err(|why| AutotaskOpenError {
            given: settings.url.clone(),
            why,
        })?;
        let headers = vec![
            (
                HeaderName::from_static("apiintegrationcode"),
                settings.integration_code.clone(),
            ),
            (HeaderName::from_static("username"), Secret::new(settings.user.as_str())),
            (HeaderName::from_static("secret"), settings.secret.clone()),
        ];
        Ok(Self {
            wire: Wire::new(settings.system.clone(), AUTOTASK, http, SignIn::Headers(headers)),
            url,
            zone: Mutex::new(None),
            settings: settings.clone(),
        })
    }

    /// The zone's address, asked for once.
    async fn zone(&self, call: &mut Call) -> Answer<String> {
        let mut zone = self.zone.lock().await;
        if let Some(known) = zone.as_ref() {
            return Ok(known.clone());
        }
        let path = Path::at("atservicesrest")
            .then("v1.0")
            .then("zoneInformation")
            .with("user", &self.settings.user);
        let ask = Ask::get(path, About::List);
        let root = self.url.as_str().trim_end_matches('/').to_owned();
        let body = self.wire.send(call, &root, &ask).await?.body;
        let Some(base) = body["url"].as_str().and_then(|given| zone_of(&self.url, given)) else {
            let detail = "Autotask names no zone for this user that the credential may be sent to; see that `user` is the API user's whole name";
            return Err(self.wire.fault(&ask, FaultClass::Denied, detail));
        };
        *zone = Some(base.clone());
        Ok(base)
    }

    async fn send(&self, call: &mut Call, ask: &Ask) -> Answer<ticketing::Reply> {
        let base = self.zone(call).await?;
        self.wire.send(call, &base, ask).await
    }

    /// One record; none when there is none.
    async fn item(&self, call: &mut Call, ask: &Ask) -> Answer<(Value, Option<i64>)> {
        match self.send(call, ask).await {
            Ok(reply) => Ok((reply.body["item"].clone(), reply.ahead_ms)),
            Err(fault) if fault.class == FaultClass::Absent => Ok((Value::Null, None)),
            Err(fault) => Err(fault),
        }
    }

    /// Whether the company is there: what a credential does not see is not found
    /// either. How far the clock there is ahead, in milliseconds.
    async fn company_is_there(&self, call: &mut Call) -> Answer<Option<i64>> {
        let id = self.settings.company_id.to_string();
        let ask = Ask::get(Path::at("Companies").id(&id), About::Client);
        let (item, ahead_ms) = self.item(call, &ask).await?;
        if ticketing::number(&item["id"]) == Some(self.settings.company_id) {
            return Ok(ahead_ms);
        }
        let detail = "Autotask has no company of that id, or the credential does not see it; correct company_id";
        Err(self.wire.fault(&ask, FaultClass::Rejected, detail))
    }
}

/// The base address of what was answered as a zone, if the credential may go there.
fn zone_of(configured: &Url, given: &str) -> Option<String> {
    let zone = base_address(given).ok()?;
    let host = zone.host_str()?;
    let same = configured.host_str() == Some(host);
    (same || host.ends_with(VENDORS_OWN)).then(|| format!("{}/V1.0", zone.as_str().trim_end_matches('/')))
}

impl std::fmt::Debug for AutotaskConnector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AutotaskConnector")
            .field("system", &self.wire.system)
            .field("company", &self.settings.company_id)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Connector for AutotaskConnector {
    fn system(&self) -> &System {
        &self.wire.system
    }

    fn vendor(&self) -> &'static str {
        AUTOTASK.vendor
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_goes_to_the_vendor_s_own_zone_alone() {
        let configured = Url::parse("https://webservices.autotask.net").unwrap();
        let zone = |given| zone_of(&configured, given);
        assert_eq!(
            zone("https://webservices5.autotask.net/ATServicesRest/").as_deref(),
            Some("https://webservices5.autotask.net/ATServicesRest/V1.0")
        );
        for bad in [
            "https://autotask.net.example.com/",
            "https://evilautotask.net/",
            "http://webservices5.autotask.net/",
            "https://user@webservices5.autotask.net/",
            "",
        ] {
            assert_eq!(zone(bad), None, "{bad}");
        }
    }
}
