//! One tenant's access to one outside system.

use crate::Call;
use crate::area::apps::Apps;
use crate::area::desk::Desk;
use crate::area::devices::Devices;
use crate::area::directory::Directory;
use crate::area::documents::Documents;
use crate::area::fleet::Fleet;
use crate::area::licenses::Licenses;
use crate::area::mail::MailReader;
use crate::area::mailboxes::Mailboxes;
use crate::area::notes::Notes;
use crate::area::premises::Premises;
use crate::area::scripts::Scripts;
use crate::area::workspace::{FileTransfers, Laptops, Phones, SharedDrives, Workspace, WorkspaceMail};
use async_trait::async_trait;
use offboard_domain::{Kind, System};
use serde::Serialize;
use std::collections::BTreeSet;

/// A tenant's system, opened with that tenant's credential. It cannot reach
/// another tenant: there is no parameter to name one.
#[async_trait]
pub trait Connector: Send + Sync {
    /// The system's name in the tenant's configuration.
    fn system(&self) -> &System;

    /// Whose system it is, as metrics name it: one word for each vendor, however
    /// tenants call their systems.
    fn vendor(&self) -> &'static str;

    /// The kinds that this vendor's primitives suffice for.
    fn claims(&self) -> BTreeSet<Kind>;

    /// Accounts, credentials, roles and groups, if the vendor has them.
    fn directory(&self) -> Option<&dyn Directory> {
        None
    }

    /// Mailboxes, if the vendor has them.
    fn mailboxes(&self) -> Option<&dyn Mailboxes> {
        None
    }

    /// What is in mailboxes, if the vendor lets it be read.
    fn mail(&self) -> Option<&dyn MailReader> {
        None
    }

    /// Devices, if the vendor has them.
    fn devices(&self) -> Option<&dyn Devices> {
        None
    }

    /// Licences, if the vendor has them.
    fn licenses(&self) -> Option<&dyn Licenses> {
        None
    }

    /// Files, if the vendor has them.
    fn documents(&self) -> Option<&dyn Documents> {
        None
    }

    /// What only a directory inside a client's network has, if this is one.
    fn premises(&self) -> Option<&dyn Premises> {
        None
    }

    /// What the MSP's own program does, if this is one.
    fn scripts(&self) -> Option<&dyn Scripts> {
        None
    }

    /// Devices in a remote management, if this is one.
    fn fleet(&self) -> Option<&dyn Fleet> {
        None
    }

    /// Tickets, if this is a service desk.
    fn desk(&self) -> Option<&dyn Desk> {
        None
    }

    /// Pages of notes, if this is a wiki.
    fn notes(&self) -> Option<&dyn Notes> {
        None
    }

    /// Accounts of its own, if this is an application that keeps them.
    fn apps(&self) -> Option<&dyn Apps> {
        None
    }

    /// Accounts of a workspace, if this is one.
    fn workspace(&self) -> Option<&dyn Workspace> {
        None
    }

    /// The settings of a workspace's mailboxes, if it has them.
    fn workspace_mail(&self) -> Option<&dyn WorkspaceMail> {
        None
    }

    /// Transfers of files between accounts, if the vendor makes them.
    fn file_transfers(&self) -> Option<&dyn FileTransfers> {
        None
    }

    /// Drives that are the company's, if the vendor has them.
    fn shared_drives(&self) -> Option<&dyn SharedDrives> {
        None
    }

    /// Phones and tablets that hold an account's data, if the vendor knows them.
    fn phones(&self) -> Option<&dyn Phones> {
        None
    }

    /// Laptops that are managed with a workspace, if the vendor has them.
    fn laptops(&self) -> Option<&dyn Laptops> {
        None
    }

    /// Serves `offboard doctor`: is the credential accepted, is each permission
    /// granted that the claimed kinds need (least first), do the clocks agree.
    /// Reads only, never fails: what cannot be found out is a finding.
    async fn check(&self, call: &mut Call) -> Vec<Finding>;
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// All is well.
    Fine,
    /// Departures work, but something is wider or weaker than it should be.
    Warning,
    /// Some kinds, or all, will not work.
    Problem,
}

/// One thing that a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What was looked at and what was seen, in a sentence.
    pub what: String,
    /// What to do about it; empty when all is well.
    pub how_to_mend: String,
    /// The kinds that it stops; empty when none, or all.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub kinds: BTreeSet<Kind>,
}

impl Finding {
    /// One that stops no kind in particular.
    pub(crate) fn new(severity: Severity, what: impl Into<String>, how_to_mend: impl Into<String>) -> Self {
        Self {
            severity,
            what: what.into(),
            how_to_mend: how_to_mend.into(),
            kinds: BTreeSet::new(),
        }
    }
}
