//! Personal files.

use crate::{Answer, Call};
use async_trait::async_trait;
use offboard_domain::ObjectId;
use serde::Serialize;

/// Personal file stores.
#[async_trait]
pub trait Documents: Send + Sync {
    /// The account's own site; `None` when it was never set up.
    async fn site(&self, call: &mut Call, id: &ObjectId) -> Answer<Option<Site>>;

    /// Who administers the site.
    async fn administrators(&self, call: &mut Call, site: &Site) -> Answer<Vec<SiteAdministrator>>;

    /// Makes somebody an administrator of the site. Already one is success.
    async fn add_administrator(&self, call: &mut Call, site: &Site, person: &ObjectId) -> Answer<()>;
}

/// A personal site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Site {
    /// The drive's id.
    pub drive_id: String,
    /// The site's address, for administration.
    pub site_url: String,
    /// The link that a person opens.
    pub link: String,
    /// How much is stored, in bytes, when it could be read.
    pub used_bytes: Option<i64>,
}

/// One administrator of a site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SiteAdministrator {
    /// The vendor's name of the login.
    pub login: String,
    /// The account in the directory, when it is one.
    pub account: Option<ObjectId>,
}
