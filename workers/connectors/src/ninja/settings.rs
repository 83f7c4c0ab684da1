//! Where NinjaOne is, as whom it is asked, for which organisation, and what an
//! MSP has set up there for devices that come back.

use offboard_domain::System;
use offboard_runtime::Secret;

/// One organisation in NinjaOne.
#[derive(Debug, Clone)]
pub struct NinjaSettings {
    /// The system's name in the tenant's configuration.
    pub system: System,
    /// The instance's address: `https://eu.ninjarmm.com`.
    pub url: String,
    /// The application that asks.
    pub client_id: String,
    /// Its secret.
    pub secret: Secret,
    /// The organisation; nothing of any other is touched.
    pub organization_id: u64,
    /// The tags that say what becomes of a device.
    pub tags: NinjaTags,
    /// The custom field that says it.
    pub state_field: Option<String>,
    /// The script that is run on a device that is to be wiped.
    pub script: Option<NinjaScript>,
}

/// The names of tags, each of which may be left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NinjaTags {
    /// On a device that is to be wiped.
    pub pending_wipe: Option<String>,
    /// On a device that the next person gets.
    pub repurpose: Option<String>,
}

/// A script, and the custom field into which it writes that it ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NinjaScript {
    /// Its id in the library.
    pub id: u64,
    /// The field.
    pub field: String,
    /// As whom it runs; none: as the management runs it by itself.
    pub run_as: Option<String>,
}

/// An organisation that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("failed to use the url '{given}': {why}")]
pub struct NinjaOpenError {
    /// What was given.
    pub given: String,
    /// The rule that it breaks.
    pub why: &'static str,
}
