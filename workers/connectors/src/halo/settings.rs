//! Where HaloPSA is, as whom it is asked, for which client, and what an MSP has
//! set up there for departures.

use offboard_domain::System;
use offboard_runtime::Secret;

/// One client in HaloPSA.
#[derive(Debug, Clone)]
pub struct HaloSettings {
    /// The system's name in the tenant's configuration.
    pub system: System,
    /// The instance's address: `https://msp.halopsa.com`. The API is at `/api`
    /// below it, tokens at `/auth/token`.
    pub url: String,
    /// Where tokens are asked for, if not there.
    pub auth_url: Option<String>,
    /// The instance's name, which hosted ones ask for with a token.
    pub tenant: Option<String>,
    /// The application that asks.
    pub application_id: String,
    /// Its secret.
    pub secret: Secret,
    /// What it asks for.
    pub scope: String,
    /// The client; nothing of any other is touched.
    pub client_id: u64,
    /// The site; none: the client's own.
    pub site_id: Option<u64>,
    /// The type of a new ticket.
    pub ticket_type_id: u64,
    /// The priority of a new ticket; none: the type's.
    pub priority_id: Option<u64>,
    /// The priority of a departure that is immediate; none: as any.
    pub urgent_priority_id: Option<u64>,
    /// The outcome of a note.
    pub note_outcome_id: u64,
    /// The status of a closed ticket.
    pub closed_status_id: u64,
    /// How the reference of a request begins that came from a ticket.
    pub adopt_prefix: Option<String>,
}

/// A client that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("failed to use the url '{given}': {why}")]
pub struct HaloOpenError {
    /// What was given.
    pub given: String,
    /// The rule that it breaks.
    pub why: &'static str,
}
