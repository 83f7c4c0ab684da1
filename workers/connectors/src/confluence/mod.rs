//! Confluence Cloud: pages of notes below one page of a space.
//!
//! The account sees what it may see, and what it may not is not found (404), nor in any
//! list. So that there is no page is believed only if the page is seen below which it
//! would be.
//!
//! Facts from the vendor's descriptions (REST v2; v1 for what it alone has: putting a
//! file): a list of pages takes `space-id` and `title`, and has the archived ones, too; a
//! page says where it stands as `status`; a file says its size as `fileSize`; what the
//! account may do in a space is in its `operations`; a version is written with its number,
//! and refused (409) if that was written by somebody else; a file that is *put* becomes
//! another version of one of the same name, and needs the header that says that no
//! browser sends it; one that is larger than the site's limit is answered with 404.
//!
//! Beliefs, which `tests/it/confluence/beliefs.rs` writes down: a title is in a space
//! once, those in the archive and in the trash counted; one that is taken is refused with
//! words that say "already exists"; a page in the trash can be read by its id.
//!
//! | file | what |
//! |---|---|
//! | `settings` | where it is, as whom, and below which page |
//! | `notes` | the primitives |
//! | `doctor` | what would fail, before it does |

mod doctor;
mod notes;
mod settings;

pub use settings::{ConfluenceOpenError, ConfluenceSettings};

use crate::area::notes::Notes;
use crate::http::{HttpClient, base_address};
use crate::path::Path;
use crate::ticketing::{self, About, Ask, SignIn, Wire};
use crate::{Answer, Call, Connector, Finding};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use offboard_domain::{FaultClass, Kind, System};
use offboard_runtime::Secret;
use reqwest::header::{AUTHORIZATION, HeaderName};
use std::collections::BTreeSet;

const CONFLUENCE: ticketing::Desk = ticketing::Desk {
    vendor: "confluence",
    title: "Confluence",
    accept: "application/json",
    rights: "give the account the right to it in the space (docs/connectors/confluence.md, Rights)",
    client_key: "parent_page_id",
};

/// One space in Confluence.
pub struct ConfluenceConnector {
    wire: Wire,
    base: String,
    settings: ConfluenceSettings,
}

impl ConfluenceConnector {
    /// Opens a space. Sends nothing yet.
    ///
    /// # Errors
    /// [`ConfluenceOpenError`] when the address cannot be used.
    pub fn open(http: &HttpClient, settings: &ConfluenceSettings) -> Result<Self, ConfluenceOpenError> {
        let base = base_address(&settings.url).map_err(|why| ConfluenceOpenError {
            given: settings.url.clone(),
            why,
        })?;
        let base = base.as_str().trim_end_matches('/').to_owned();
        let pair = format!("{}:{}", settings.user, settings.token.expose().trim());
        let basic = Secret::new(format!("Basic {}", STANDARD.encode(pair)));
        let headers = vec![
            (AUTHORIZATION, basic),
            // A form is refused without: it could come from a page that a browser shows.
            (HeaderName::from_static("x-atlassian-token"), Secret::new("nocheck")),
        ];
        Ok(Self {
            wire: Wire::new(settings.system.clone(), CONFLUENCE, http, SignIn::Headers(headers)),
            base,
            settings: settings.clone(),
        })
    }

    async fn send(&self, call: &mut Call, ask: &Ask) -> Answer<ticketing::Reply> {
        self.wire.send(call, &self.base, ask).await
    }

    /// Whether the page is there below which notes are written: what the account does
    /// not see is not found either. How far the clock there is ahead, in milliseconds.
    async fn parent_is_there(&self, call: &mut Call) -> Answer<Option<i64>> {
        let own = &self.settings;
        let ask = Ask::get(pages().id(&own.parent_page_id.0), About::Page);
        let reply = match self.send(call, &ask).await {
            Ok(reply) => reply,
            Err(fault) if fault.class == FaultClass::Absent => {
                let detail = "Confluence has no page of that id, or the account does not see it; correct parent_page_id, or let the account see it";
                return Err(self.wire.fault(&ask, FaultClass::Rejected, detail));
            }
            Err(fault) => return Err(fault),
        };
        if ticketing::id(&reply.body["spaceId"]).as_ref() != Some(&own.space_id) {
            let detail = "that page is in another space than space_id names; correct space_id or parent_page_id";
            return Err(self.wire.fault(&ask, FaultClass::Rejected, detail));
        }
        Ok(reply.ahead_ms)
    }
}

/// Where pages are.
fn pages() -> Path {
    Path::at("wiki").then("api").then("v2").then("pages")
}

impl std::fmt::Debug for ConfluenceConnector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConfluenceConnector")
            .field("system", &self.wire.system)
            .field("space", &self.settings.space_id)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Connector for ConfluenceConnector {
    fn system(&self) -> &System {
        &self.wire.system
    }

    fn vendor(&self) -> &'static str {
        CONFLUENCE.vendor
    }

    fn claims(&self) -> BTreeSet<Kind> {
        [Kind::WriteNotes, Kind::ObserveKnowledge].into()
    }

    fn notes(&self) -> Option<&dyn Notes> {
        Some(self)
    }

    async fn check(&self, call: &mut Call) -> Vec<Finding> {
        doctor::check(self, call).await
    }
}
