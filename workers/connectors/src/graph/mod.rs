//! Microsoft 365: Graph v1.0, Exchange's admin endpoint and SharePoint's REST
//! interface, with an application's own credential in each tenant.
//!
//! It owns the wire: addresses, tokens, pages, batches, and what each answer
//! means. It refuses to know what a kind is for, and decides nothing: no retry
//! but that of a token, no waiting, no order.
//!
//! | file | what |
//! |---|---|
//! | `settings` | where the tenant is, and as whom |
//! | `path` | addresses and filters that cannot be written wrongly |
//! | `token`, `api`, `batch` | one request: its token, its judgement; several in one |
//! | `fault`, `exchange` | what a refusal means, of Graph and of Exchange |
//! | `permission`, `doctor` | what each kind needs, and whether it is granted |
//! | `directory`, `mailboxes`, `mail`, `devices`, `licenses`, `documents` | the areas |

mod api;
mod batch;
mod devices;
mod directory;
mod doctor;
mod documents;
mod exchange;
mod fault;
mod groups;
mod id;
mod licenses;
mod mail;
mod mailbox_folders;
mod mailbox_parts;
mod mailboxes;
mod meetings;
mod path;
mod permission;
mod read;
mod recurrence;
mod settings;
mod token;

pub use crate::http::{CarriedAnswer, CarriedRequest, Carrier, HttpClient, HttpError};
pub use permission::least_permissions;
pub use reqwest::Url;
pub use settings::{Credential, Endpoints, GraphSettings, OpenError};
pub use token::thumbprint;

use crate::{Call, Connector, Devices, Directory, Documents, Finding, Licenses, MailReader, Mailboxes};
use api::Api;
use async_trait::async_trait;
use offboard_domain::{Kind, System};
use std::collections::BTreeSet;

/// One tenant's Microsoft 365.
pub struct GraphConnector {
    api: Api,
}

impl GraphConnector {
    /// Opens a tenant's Microsoft 365. Sends nothing yet.
    ///
    /// # Errors
    /// [`OpenError`] when an address, the directory or the certificate cannot be used.
    pub fn open(http: &HttpClient, settings: &GraphSettings) -> Result<Self, OpenError> {
        Ok(Self {
            api: Api::new(http.clone(), settings)?,
        })
    }
}

impl std::fmt::Debug for GraphConnector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GraphConnector")
            .field("system", &self.api.system)
            .finish_non_exhaustive()
    }
}

/// Whose services these are, for metrics.
const VENDOR: &str = "microsoft";

/// The kinds that some permission suffices for.
pub(crate) fn claims() -> BTreeSet<Kind> {
    let all = Kind::ALL.iter().copied();
    all.filter(|kind| permission::needs(*kind).is_some()).collect()
}

#[async_trait]
impl Connector for GraphConnector {
    fn system(&self) -> &System {
        &self.api.system
    }

    fn vendor(&self) -> &'static str {
        VENDOR
    }

    fn claims(&self) -> BTreeSet<Kind> {
        claims()
    }

    fn directory(&self) -> Option<&dyn Directory> {
        Some(self)
    }

    fn mailboxes(&self) -> Option<&dyn Mailboxes> {
        Some(self)
    }

    fn mail(&self) -> Option<&dyn MailReader> {
        Some(self)
    }

    fn devices(&self) -> Option<&dyn Devices> {
        Some(self)
    }

    fn licenses(&self) -> Option<&dyn Licenses> {
        Some(self)
    }

    fn documents(&self) -> Option<&dyn Documents> {
        Some(self)
    }

    async fn check(&self, call: &mut Call) -> Vec<Finding> {
        doctor::check(&self.api, call).await
    }
}
