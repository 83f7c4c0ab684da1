//! Google Workspace: accounts, mail settings, files, phones and licences, as far
//! as ending somebody's access takes.
//!
//! It owns the wire, the service account's claims and tokens, and what each of
//! Google's many refusals means. It refuses to guess: an account is addressed by
//! the id that was found, what a search lists is compared here, and what an
//! answer does not show (whether somebody is suspended, or an administrator) is
//! no proof of either.
//!
//! | file | what |
//! |---|---|
//! | `settings`, `scope` | where it is, as whom, and what that needs |
//! | `token` | a claim for each person and scope, and the token for it |
//! | `wire`, `fault` | one request; what a refusal means |
//! | `account`, `directory` | the accounts, as a workspace's and as a directory's |
//! | `mail`, `files`, `drives`, `phones`, `laptops` | what hangs on them |
//! | `doctor` | what would fail, before it does |

mod account;
mod directory;
mod doctor;
mod drives;
mod fault;
mod files;
mod laptops;
mod mail;
mod phones;
mod scope;
mod settings;
mod token;
mod wire;

pub use settings::{GoogleEndpoints, GoogleOpenError, GoogleSettings, Licence, ServiceKey};

pub(crate) use token::{MailToken, MailTokens};

use crate::http::HttpClient;
use crate::{
    Call, Connector, Directory, FileTransfers, Finding, Laptops, Phones, SharedDrives, Workspace, WorkspaceMail,
};
use async_trait::async_trait;
use offboard_domain::catalogue::workspace;
use offboard_domain::{Kind, System};
use std::collections::BTreeSet;
use wire::Wire;

/// Whose service it is, for metrics.
const VENDOR: &str = "google";

/// The kinds that a workspace's primitives suffice for. `alone`: people are found
/// here, because there is no other directory. `licences`, `shared_drives`: the tenant's
/// file names licences, and asks for shared drives to be looked at.
#[must_use]
pub fn claims(alone: bool, licences: bool, shared_drives: bool) -> BTreeSet<Kind> {
    let closing = [
        Kind::ObserveIdentity,
        Kind::ObserveMailbox,
        Kind::ObserveDevice,
        Kind::ObserveLicense,
        Kind::ObserveKnowledge,
    ];
    let mut kinds: BTreeSet<Kind> = workspace::KINDS.iter().copied().chain(closing).collect();
    if alone {
        kinds.insert(Kind::Resolve);
    }
    if !licences {
        kinds.remove(&Kind::ReleaseInWorkspace);
    }
    if !shared_drives {
        kinds.remove(&Kind::HandOverSharedDrives);
    }
    kinds
}

/// One workspace.
pub struct GoogleConnector {
    wire: Wire,
    admin: String,
    licences: Vec<Licence>,
    looks_at_drives: bool,
    alone: bool,
}

impl GoogleConnector {
    /// Opens a workspace. Sends nothing yet.
    ///
    /// # Errors
    /// [`GoogleOpenError`] when an address or the key cannot be used.
    pub fn open(http: &HttpClient, settings: &GoogleSettings) -> Result<Self, GoogleOpenError> {
        Ok(Self {
            wire: Wire::new(http, settings)?,
            admin: settings.admin.clone(),
            licences: settings.licences.clone(),
            looks_at_drives: settings.shared_drives,
            alone: settings.alone,
        })
    }

    /// For whom the service account acts.
    fn admin(&self) -> &str {
        &self.admin
    }
}

impl std::fmt::Debug for GoogleConnector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GoogleConnector")
            .field("system", &self.wire.system)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Connector for GoogleConnector {
    fn system(&self) -> &System {
        &self.wire.system
    }

    fn vendor(&self) -> &'static str {
        VENDOR
    }

    fn claims(&self) -> BTreeSet<Kind> {
        claims(self.alone, !self.licences.is_empty(), self.looks_at_drives)
    }

    fn directory(&self) -> Option<&dyn Directory> {
        Some(self)
    }

    fn workspace(&self) -> Option<&dyn Workspace> {
        Some(self)
    }

    fn workspace_mail(&self) -> Option<&dyn WorkspaceMail> {
        Some(self)
    }

    fn file_transfers(&self) -> Option<&dyn FileTransfers> {
        Some(self)
    }

    fn shared_drives(&self) -> Option<&dyn SharedDrives> {
        Some(self)
    }

    fn phones(&self) -> Option<&dyn Phones> {
        Some(self)
    }

    fn laptops(&self) -> Option<&dyn Laptops> {
        Some(self)
    }

    async fn check(&self, call: &mut Call) -> Vec<Finding> {
        doctor::check(self, call).await
    }
}
