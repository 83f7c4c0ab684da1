//! Where Autotask is, as whom it is asked, for which company, and what an MSP has
//! set up there for departures.

use offboard_domain::System;
use offboard_runtime::Secret;

/// One company in Autotask.
#[derive(Debug, Clone)]
pub struct AutotaskSettings {
    /// The system's name in the tenant's configuration.
    pub system: System,
    /// Where the zone is asked for: `https://webservices.autotask.net`.
    pub url: String,
    /// The API user.
    pub user: String,
    /// Its secret.
    pub secret: Secret,
    /// The integration's tracking identifier.
    pub integration_code: Secret,
    /// The company; nothing of any other is touched.
    pub company_id: u64,
    /// The queue of a new ticket.
    pub queue_id: u64,
    /// The status of a new ticket.
    pub new_status_id: u64,
    /// The status of a closed ticket.
    pub closed_status_id: u64,
    /// The priority of a new ticket.
    pub priority_id: u64,
    /// The priority of a departure that is immediate; none: as any.
    pub urgent_priority_id: Option<u64>,
    /// What sort of note a note is.
    pub note_type_id: u64,
    /// To whom notes and files are shown: to internal users alone.
    pub publish_id: u64,
    /// How the reference of a request begins that came from a ticket.
    pub adopt_prefix: Option<String>,
}

/// A company that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("failed to use the url '{given}': {why}")]
pub struct AutotaskOpenError {
    /// What was given.
    pub given: String,
    /// The rule that it breaks.
    pub why: &'static str,
}
