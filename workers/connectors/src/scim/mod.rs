//! Any application that speaks SCIM 2.0 (RFC 7643, RFC 7644): its accounts, as
//! far as ending them takes.
//!
//! It owns the wire, and the profile by which one application differs from the
//! next: a patch or the whole resource, `false` or `"False"`, deactivated or
//! deleted. It refuses to guess: a profile is configured, never tried out on
//! somebody's account; what an application was asked for and what it answers to
//! are compared here, whatever its filter makes of it; an `active` that was not
//! shown is not `false`.
//!
//! | file | what |
//! |---|---|
//! | `settings` | where the application is, as whom, and how it differs |
//! | `filter`, `resource` | a filter that cannot be written wrongly; one account, read and written |
//! | `wire`, `fault` | one request; what a refusal means |
//! | `account` | the primitives |
//! | `doctor` | what would fail, before it does |

mod account;
mod doctor;
mod fault;
mod filter;
mod resource;
mod settings;
mod wire;

pub use settings::{ExternalId, MatchBy, Profile, ScimAccess, ScimOpenError, ScimSettings};

use crate::http::HttpClient;
use crate::{Apps, Call, Connector, Ending, Finding};
use async_trait::async_trait;
use offboard_domain::{Kind, System};
use std::collections::BTreeSet;
use wire::Wire;

/// Whose service it is, for metrics: which one is the tenant's own name for it.
const VENDOR: &str = "scim";

/// One application.
pub struct ScimConnector {
    wire: Wire,
    matched: Vec<MatchBy>,
    profile: Profile,
}

impl ScimConnector {
    /// Opens an application. Sends nothing yet.
    ///
    /// # Errors
    /// [`ScimOpenError`] when an address or the authority cannot be used.
    pub fn open(http: &HttpClient, settings: &ScimSettings) -> Result<Self, ScimOpenError> {
        Ok(Self {
            wire: Wire::new(http, settings)?,
            matched: settings.matched.clone(),
            profile: settings.profile,
        })
    }

    fn ended_by(&self) -> Ending {
        match self.profile {
            Profile::Patch { .. } | Profile::Put { .. } => Ending::Deactivate,
            Profile::Delete => Ending::Delete,
        }
    }
}

impl std::fmt::Debug for ScimConnector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScimConnector")
            .field("system", &self.wire.system)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Connector for ScimConnector {
    fn system(&self) -> &System {
        &self.wire.system
    }

    fn vendor(&self) -> &'static str {
        VENDOR
    }

    fn claims(&self) -> BTreeSet<Kind> {
        let ends = match self.ended_by() {
            Ending::Deactivate => Kind::DisableInApp,
            Ending::Delete => Kind::DeleteInApp,
        };
        [Kind::ResolveInApp, ends, Kind::ObserveIdentity].into()
    }

    fn apps(&self) -> Option<&dyn Apps> {
        Some(self)
    }

    async fn check(&self, call: &mut Call) -> Vec<Finding> {
        doctor::check(self, call).await
    }
}
