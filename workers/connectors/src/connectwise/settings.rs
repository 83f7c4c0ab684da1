//! Where ConnectWise is, as whom it is asked, for which company, and what an MSP
//! has set up there for departures.

use offboard_domain::System;
use offboard_runtime::Secret;

/// One company in ConnectWise.
#[derive(Debug, Clone)]
pub struct ConnectWiseSettings {
    /// The system's name in the tenant's configuration.
    pub system: System,
    /// The server's address: `https://api-eu.myconnectwise.net`.
    pub url: String,
    /// The MSP's own name at sign-in.
    pub login_company: String,
    /// The API member's public key.
    pub public_key: String,
    /// Its private key.
    pub private_key: Secret,
    /// The integration's id (`clientId`).
    pub integration_id: String,
    /// The company; nothing of any other is touched.
    pub company_id: u64,
    /// The board of a new ticket.
    pub board_id: u64,
    /// The priority of a new ticket; none: the board's.
    pub priority_id: Option<u64>,
    /// The priority of a departure that is immediate; none: as any.
    pub urgent_priority_id: Option<u64>,
    /// The board's status of a closed ticket.
    pub closed_status_id: u64,
    /// How the reference of a request begins that came from a ticket.
    pub adopt_prefix: Option<String>,
}

/// A company that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("failed to use the url '{given}': {why}")]
pub struct ConnectWiseOpenError {
    /// What was given.
    pub given: String,
    /// The rule that it breaks.
    pub why: &'static str,
}
