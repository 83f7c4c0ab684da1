//! Active Directory inside a client's network, over LDAP with TLS.
//!
//! It owns the wire: names and filters, the connection, and what each answer
//! means. It refuses to know what a kind is for, and decides nothing but one
//! thing: an account that the domain protects is never written to.
//!
//! | file | what |
//! |---|---|
//! | `settings` | where the domain is, as whom, and whom we believe to be it |
//! | `id`, `filter` | ids, names and filters that cannot be written wrongly |
//! | `session`, `entry` | one connection to one controller; one object as it was read |
//! | `fault` | what a refusal means |
//! | `account`, `premises` | the areas |
//! | `doctor` | what is missing before a departure needs it |

mod account;
mod doctor;
mod entry;
mod fault;
mod filter;
mod id;
mod premises;
mod session;
mod settings;

pub use filter::Name;
pub use settings::{LdapOpenError, LdapSettings, is_controller};

use crate::{Call, Connector, Directory, Finding, Premises};
use async_trait::async_trait;
use offboard_domain::{Kind, System};
use session::Wire;
use std::collections::BTreeSet;

/// One client's Active Directory domain.
pub struct LdapConnector {
    wire: Wire,
    alone: bool,
}

impl LdapConnector {
    /// Opens a client's domain. Sends nothing yet.
    ///
    /// # Errors
    /// [`LdapOpenError`] when a controller or the authority cannot be used.
    pub fn open(settings: &LdapSettings) -> Result<Self, LdapOpenError> {
        Ok(Self {
            wire: Wire::new(settings)?,
            alone: settings.alone,
        })
    }

    /// The kinds that a domain with these settings is claimed to suffice for.
    #[must_use]
    pub fn claims_of(settings: &LdapSettings) -> BTreeSet<Kind> {
        claims(settings.leavers_unit.is_some(), settings.alone)
    }

    /// The same, reading long answers in parts as small as this: a server's
    /// limits may be lower than the usual ones.
    #[must_use]
    pub fn in_parts_of(mut self, part: usize) -> Self {
        self.wire.in_parts_of(part);
        self
    }
}

impl std::fmt::Debug for LdapConnector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LdapConnector")
            .field("system", &self.wire.system)
            .finish_non_exhaustive()
    }
}

/// The kinds that a directory suffices for, with what its tenant has configured.
pub(crate) fn claims(has_leavers_unit: bool, alone: bool) -> BTreeSet<Kind> {
    let mut claims = BTreeSet::from([
        Kind::ResolveOnPremises,
        Kind::DisableOnPremises,
        Kind::ResetPasswordOnPremises,
        Kind::RemoveGroupsOnPremises,
        Kind::HideOnPremises,
        Kind::DiscoverComputers,
        Kind::DisableComputer,
        Kind::ObserveIdentity,
        Kind::ObserveDevice,
    ]);
    if has_leavers_unit {
        claims.insert(Kind::MoveToLeaversUnit);
    }
    if alone {
        claims.insert(Kind::Resolve);
    }
    claims
}

/// Whose service it is, for metrics.
const VENDOR: &str = "active_directory";

#[async_trait]
impl Connector for LdapConnector {
    fn system(&self) -> &System {
        &self.wire.system
    }

    fn vendor(&self) -> &'static str {
        VENDOR
    }

    fn claims(&self) -> BTreeSet<Kind> {
        claims(self.wire.leavers_unit.is_some(), self.alone)
    }

    fn directory(&self) -> Option<&dyn Directory> {
        Some(self)
    }

    fn premises(&self) -> Option<&dyn Premises> {
        Some(self)
    }

    async fn check(&self, call: &mut Call) -> Vec<Finding> {
        doctor::check(self, call).await
    }
}
