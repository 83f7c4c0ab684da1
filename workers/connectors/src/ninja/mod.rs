//! NinjaOne, the remote management on the computers of an MSP's clients: the
//! devices of one of its organisations, as far as a departure takes.
//!
//! One credential sees every client of the MSP. So the organisation is fixed in
//! the configuration, each device that is read is compared with it, and one of
//! another organisation is a fault before anything else is. It refuses to guess
//! in three more places: a device that is not found is gone only if the
//! organisation is still there; tags are written as the whole set that they
//! are, read right before; and a script's order is never repeated, because
//! nothing in the protocol could tell the second from the first.
//!
//! Facts from the vendor's description (public API 2.0.9-draft) and from what
//! clients of it have met: a page of HTML in place of a refusal to be called so
//! often, ids as numbers or as texts, times in seconds with a fraction.
//!
//! | file | what |
//! |---|---|
//! | `settings` | where it is, as whom, for which organisation, and what is configured |
//! | `wire`, `fault` | one request; what a refusal means |
//! | `read` | one device, out of what was answered |
//! | `page` | lists that come in pages, each in its own way |
//! | `find` | the devices of a person |
//! | `marks`, `script` | tags and fields; the script and its marker |
//! | `fleet` | the primitives |
//! | `doctor` | what would fail, before it does |

mod doctor;
mod fault;
mod find;
mod fleet;
mod marks;
mod page;
mod read;
mod script;
mod settings;
mod wire;

pub use settings::{NinjaOpenError, NinjaScript, NinjaSettings, NinjaTags};

use crate::http::HttpClient;
use crate::{Call, Connector, Finding, Fleet};
use async_trait::async_trait;
use offboard_domain::{Kind, System};
use std::collections::BTreeSet;
use wire::Wire;

/// Whose service it is, for metrics.
const VENDOR: &str = "ninjaone";

/// Why alerts are silenced: by these words our window is known again.
const SILENCED_BECAUSE: &str = "its user has left";

/// One organisation in NinjaOne.
pub struct NinjaConnector {
    wire: Wire,
    organization: u64,
    tags: NinjaTags,
    state_field: Option<String>,
    script: Option<NinjaScript>,
}

impl NinjaConnector {
    /// Opens an organisation. Sends nothing yet.
    ///
    /// # Errors
    /// [`NinjaOpenError`] when the address cannot be used.
    pub fn open(http: &HttpClient, settings: &NinjaSettings) -> Result<Self, NinjaOpenError> {
        Ok(Self {
            wire: Wire::new(http, settings)?,
            organization: settings.organization_id,
            tags: settings.tags.clone(),
            state_field: settings.state_field.clone(),
            script: settings.script.clone(),
        })
    }

    fn marks(&self) -> bool {
        self.state_field.is_some() || self.tags.pending_wipe.is_some() || self.tags.repurpose.is_some()
    }
}

impl std::fmt::Debug for NinjaConnector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NinjaConnector")
            .field("system", &self.wire.system)
            .field("organization", &self.organization)
            .finish_non_exhaustive()
    }
}

/// What it suffices for, with marks and a script configured or without.
#[must_use]
pub fn claims(marks: bool, script: bool) -> BTreeSet<Kind> {
    let mut kinds = BTreeSet::from([
        Kind::DiscoverTechnicians,
        Kind::DiscoverManaged,
        Kind::DiscoverConfirmed,
        Kind::DiscoverSoftware,
        Kind::MaintainManaged,
        Kind::ClearManagedOwner,
        Kind::Decommission,
        Kind::ObserveDevice,
    ]);
    kinds.extend(marks.then_some(Kind::MarkManaged));
    kinds.extend(script.then_some(Kind::RunManagedScript));
    kinds
}

#[async_trait]
impl Connector for NinjaConnector {
    fn system(&self) -> &System {
        &self.wire.system
    }

    fn vendor(&self) -> &'static str {
        VENDOR
    }

    fn claims(&self) -> BTreeSet<Kind> {
        claims(self.marks(), self.script.is_some())
    }

    fn fleet(&self) -> Option<&dyn Fleet> {
        Some(self)
    }

    async fn check(&self, call: &mut Call) -> Vec<Finding> {
        doctor::check(self, call).await
    }
}
