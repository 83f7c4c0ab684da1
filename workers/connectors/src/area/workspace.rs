//! A workspace whose accounts carry mail, files and devices with them. Accounts
//! are found by the person's names once, then addressed by the workspace's own
//! id; what needs an address (mail, licences) reads it by that id first.

use crate::{Answer, Call, Known};
use async_trait::async_trait;
use offboard_domain::ObjectId;
use offboard_runtime::Secret;
use serde::Serialize;
use serde_json::Value;

/// The accounts of a workspace.
#[async_trait]
pub trait Workspace: Send + Sync {
    /// Every account that any of the person's names leads to, each once, in the
    /// order of their ids, suspended ones too. An address of another company
    /// leads nowhere.
    async fn find(&self, call: &mut Call, who: &Known) -> Answer<Vec<Member>>;

    /// Reads one account; none when it is not found, which does not say that it is
    /// gone: see [`Workspace::absence`].
    async fn member(&self, call: &mut Call, id: &ObjectId) -> Answer<Option<Member>>;

    /// What is known of an account that is not found, from another source than the
    /// one that does not find it.
    async fn absence(&self, call: &mut Call, id: &ObjectId) -> Answer<Absence>;

    /// Whether it is the account that this service acts for: ended, it would end
    /// everything else.
    fn acts_for(&self, member: &Member) -> bool;

    /// Whether anybody but this one administers all of it, and can sign in.
    async fn has_other_administrator(&self, call: &mut Call, id: &ObjectId) -> Answer<bool>;

    /// Changes one account. Repeatable: suspended twice is suspended, a second
    /// password replaces the first. Fault `Blocked` when the workspace protects it,
    /// or the change can be made of an open account alone.
    async fn change(&self, call: &mut Call, id: &ObjectId, change: &MemberChange) -> Answer<()>;

    /// Everything of one sort that the account holds, in a stable order.
    async fn held(&self, call: &mut Call, member: &Member, sort: MemberHolds) -> Answer<Vec<String>>;

    /// Takes one of them. Already gone is success. Fault `Blocked` for what the
    /// workspace lets nobody, or only its administrators, take.
    async fn take(&self, call: &mut Call, member: &Member, sort: MemberHolds, what: &str) -> Answer<()>;

    /// The applications that the account gave tokens to, in a stable order.
    async fn consents(&self, call: &mut Call, member: &Member) -> Answer<Vec<Consent>>;
}

/// An application that an account gave a token to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Consent {
    /// The application's id, as [`MemberHolds::Grants`] names it.
    pub client: ObjectId,
    /// Its name, which anybody may have chosen.
    pub name: Option<String>,
}

/// An account that is not found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Absence {
    /// Whether the workspace lists it as deleted, which it does for some weeks only.
    pub deleted: bool,
    /// When that was, in milliseconds since 1970, if it says so.
    pub deleted_ms: Option<i64>,
    /// The id of the company in which it is not found.
    pub company: Option<String>,
}

/// One account as it was read.
#[derive(Clone)]
pub struct Member {
    /// The workspace's immutable id for it.
    pub id: ObjectId,
    /// The id of the company that it is of, if that is shown.
    pub company: Option<String>,
    /// Its address, for calls that take no id; never used as a key.
    pub address: String,
    /// Its other addresses.
    pub aliases: Vec<String>,
    /// HR's numbers.
    pub employee_ids: Vec<String>,
    /// Whether it may not be used for now.
    pub suspended: bool,
    /// Whether it is kept without being used.
    pub archived: bool,
    /// Whether it administers all of the workspace.
    pub administrator: bool,
    /// Whether it has a second factor.
    pub second_factor: bool,
    /// Whether it must have one.
    pub second_factor_enforced: bool,
    /// Whether it has a mailbox.
    pub has_mail: bool,
    /// The address of the manager.
    pub manager: Option<String>,
    /// All of it, for who must bring it back.
    pub whole: Value,
}

impl Member {
    /// Whether this is one of its addresses.
    #[must_use]
    pub fn answers_to(&self, address: &str) -> bool {
        let address = address.to_lowercase();
        let mut all = std::iter::once(&self.address).chain(&self.aliases);
        all.any(|own| own.to_lowercase() == address)
    }

    /// Whether it cannot sign in.
    #[must_use]
    pub fn is_shut(&self) -> bool {
        self.suspended || self.archived
    }
}

impl Serialize for Member {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.whole.serialize(s)
    }
}

// It names a person.
impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Member")
            .field("id", &self.id)
            .field("suspended", &self.suspended)
            .finish_non_exhaustive()
    }
}

/// A change of one account.
#[derive(Debug)]
pub enum MemberChange {
    /// Its password becomes this one.
    Password(Secret),
    /// Every session of it ends.
    SignOut,
    /// It may not be used.
    Suspend,
    /// Codes that stand in for its second factor are void.
    InvalidateBackupCodes,
    /// It has no second factor any more.
    TurnOffSecondFactor,
}

/// A sort of thing that an account of a workspace holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberHolds {
    /// Tokens that it gave to applications, by the application.
    Grants,
    /// Passwords for applications.
    AppPasswords,
    /// Codes that stand in for the second factor, as numbers from 1: the codes
    /// themselves are secrets. They are taken all at once, by a change.
    BackupCodes,
    /// Groups that it is a direct member of.
    Groups,
    /// Licences that are known to the configuration.
    Licences,
}

/// The mailbox of an account, as far as its settings go. They can be read and
/// changed only while the account is open.
#[async_trait]
pub trait WorkspaceMail: Send + Sync {
    /// Reads them.
    async fn mail_settings(&self, call: &mut Call, member: &Member) -> Answer<WorkspaceMailSettings>;

    /// Changes them. Repeatable.
    async fn change_mail(&self, call: &mut Call, member: &Member, change: &MailChange) -> Answer<()>;
}

/// What a mailbox does by itself, and for whom.
#[derive(Clone, Default, Serialize)]
pub struct WorkspaceMailSettings {
    /// The text that everybody is answered with, without an end; none: nobody is,
    /// or not everybody.
    pub reply: Option<String>,
    /// The address that everything is forwarded to.
    pub forwards_to: Option<String>,
    /// Whether what is forwarded is kept as well.
    pub keeps_copy: bool,
    /// Filters that forward some of it.
    pub forwarding_filters: Vec<String>,
    /// The addresses of those who are let in.
    pub delegates: Vec<String>,
    /// All of them, whatever they are, for who must bring them back.
    pub whole: Value,
}

// They name people.
impl std::fmt::Debug for WorkspaceMailSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkspaceMailSettings").finish_non_exhaustive()
    }
}

/// A change of a mailbox. Addresses are those of accounts of the workspace.
pub enum MailChange {
    /// Everybody who writes is answered with this text.
    Reply {
        /// The text.
        text: String,
    },
    /// Everything is forwarded to this account, and kept; filters forward nothing.
    ForwardTo(Box<Member>),
    /// Nothing is forwarded.
    StopForwarding,
    /// This account is let in.
    LetIn(Box<Member>),
}

/// Transfers of files from one account to another.
#[async_trait]
pub trait FileTransfers: Send + Sync {
    /// The transfers of all files, private and shared, from one account to
    /// another, latest first. Others are not listed.
    async fn transfers(&self, call: &mut Call, from: &ObjectId, to: &ObjectId) -> Answer<Vec<FileTransfer>>;

    /// Orders one. *Once*: each order is another transfer.
    async fn transfer(&self, call: &mut Call, from: &ObjectId, to: &ObjectId) -> Answer<()>;
}

/// Drives that are the company's, and that some of its accounts manage.
#[async_trait]
pub trait SharedDrives: Send + Sync {
    /// Those that this account manages and nobody else does, whether it is open or not, in
    /// the order of their ids.
    async fn managed_alone(&self, call: &mut Call, member: &Member) -> Answer<Vec<ObjectId>>;

    /// Makes an account one of those who manage a drive. Repeatable.
    async fn let_manage(&self, call: &mut Call, drive: &ObjectId, who: &Member) -> Answer<()>;
}

/// One transfer of files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileTransfer {
    /// Its id.
    pub id: String,
    /// How far it is, in the workspace's own word.
    pub status: String,
    /// When it was asked for, in milliseconds since 1970.
    pub requested_ms: Option<i64>,
}

/// Phones and tablets that hold an account's data.
#[async_trait]
pub trait Phones: Send + Sync {
    /// Those of one account, in the order of their ids.
    async fn phones(&self, call: &mut Call, member: &Member) -> Answer<Vec<Phone>>;

    /// Reads one; none when its record is gone.
    async fn phone(&self, call: &mut Call, id: &ObjectId) -> Answer<Option<Phone>>;

    /// Orders it to wipe the account and its data, and nothing else. Repeatable:
    /// what has no account any more has nothing to wipe.
    async fn wipe_account(&self, call: &mut Call, id: &ObjectId) -> Answer<()>;
}

/// One phone or tablet.
#[derive(Clone)]
pub struct Phone {
    /// The workspace's id for it.
    pub id: ObjectId,
    /// How it stands, in the workspace's own word.
    pub status: String,
    /// The addresses of whose it is.
    pub owners: Vec<String>,
    /// Its serial number, to be matched with other systems.
    pub serial: Option<String>,
    /// All of it, for the record.
    pub whole: Value,
}

impl Phone {
    /// Whether the account is off it.
    #[must_use]
    pub fn is_wiped(&self) -> bool {
        matches!(self.status.as_str(), "ACCOUNT_WIPED" | "WIPED")
    }

    /// Whether a wipe was ordered, and is not done.
    #[must_use]
    pub fn is_wiping(&self) -> bool {
        matches!(self.status.as_str(), "ACCOUNT_WIPING" | "WIPING")
    }
}

impl Serialize for Phone {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.whole.serialize(s)
    }
}

// It names a person.
impl std::fmt::Debug for Phone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Phone")
            .field("id", &self.id)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// Laptops that the company manages in its workspace, and notes whose they are.
#[async_trait]
pub trait Laptops: Send + Sync {
    /// Those that are noted as one account's, in the order of their ids.
    async fn laptops(&self, call: &mut Call, member: &Member) -> Answer<Vec<Laptop>>;

    /// Reads one, whoever it is noted as by now; none when it is gone.
    async fn laptop(&self, call: &mut Call, id: &ObjectId) -> Answer<Option<Laptop>>;

    /// It may not be used until it is enabled again, whosever it is: whoever asks has
    /// looked. Repeatable. Fault `Blocked` when the workspace does not let this one be disabled.
    async fn disable_laptop(&self, call: &mut Call, id: &ObjectId) -> Answer<()>;
}

/// One laptop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Laptop {
    /// The workspace's id for it.
    pub id: ObjectId,
    /// How it stands, in the workspace's own word.
    pub status: String,
    /// Its serial number, to be matched with other systems.
    pub serial: Option<String>,
    /// The address of whom it is noted as; none: nobody.
    pub noted: Option<String>,
}

impl Laptop {
    /// Whether it is noted as this account's.
    #[must_use]
    pub fn is_noted_as(&self, member: &Member) -> bool {
        self.noted.as_deref().is_some_and(|noted| member.answers_to(noted))
    }

    /// Whether it cannot be used with the company's accounts.
    #[must_use]
    pub fn is_shut(&self) -> bool {
        matches!(self.status.as_str(), "DISABLED" | "DEPROVISIONED")
    }
}
