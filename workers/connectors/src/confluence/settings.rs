//! Where Confluence is, as whom it is asked, and below which page notes are written.

use offboard_domain::{ObjectId, System};
use offboard_runtime::Secret;

/// One space in Confluence.
#[derive(Debug, Clone)]
pub struct ConfluenceSettings {
    /// The system's name in the tenant's configuration.
    pub system: System,
    /// The site's address: `https://contoso.atlassian.net`.
    pub url: String,
    /// The account's address.
    pub user: String,
    /// Its API token.
    pub token: Secret,
    /// The space, by its number.
    pub space_id: ObjectId,
    /// The page below which notes are written.
    pub parent_page_id: ObjectId,
}

/// A site that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("failed to use the url '{given}': {why}")]
pub struct ConfluenceOpenError {
    /// What was given.
    pub given: String,
    /// The rule that it breaks.
    pub why: &'static str,
}
