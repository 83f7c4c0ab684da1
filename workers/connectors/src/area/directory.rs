//! Accounts, credentials, roles, groups.

use crate::{Answer, Call};
use async_trait::async_trait;
use offboard_domain::ObjectId;
use offboard_domain::departure::PersonRef;
pub use offboard_domain::fault::MASTERED_ELSEWHERE;
use offboard_runtime::Secret;
use serde::Serialize;

/// A directory of accounts.
#[async_trait]
pub trait Directory: Send + Sync {
    /// Looks a person up. Everything that the request gives must lead to the
    /// same one account: names that lead to different accounts, or one that
    /// leads to several, are [`Found::Ambiguous`]. A name that leads nowhere
    /// while another leads to an account is ambiguous too: somebody mistyped,
    /// and we do not guess. Nor does an object id decide alone: what is given
    /// beside it must be so of its account, else that one id is ambiguous.
    async fn find(&self, call: &mut Call, person: &PersonRef) -> Answer<Found>;

    /// Reads one account. Fault `Absent` when there is none of that id.
    async fn account(&self, call: &mut Call, id: &ObjectId) -> Answer<Account>;

    /// Changes one account. Repeatable: disabling twice is disabled, a second
    /// password replaces the first, a second revocation moves the date on.
    /// Fault `Blocked` when the account is privileged or mastered elsewhere.
    async fn set(&self, call: &mut Call, id: &ObjectId, change: &AccountChange) -> Answer<()>;

    /// Everything of one sort that the account holds, in a stable order. What the
    /// tenant has no licence for is not there, and is noted on the call
    /// ([`Call::note_unlicensed`]).
    async fn holdings(&self, call: &mut Call, id: &ObjectId, what: Holding) -> Answer<Vec<Held>>;

    /// Takes one held thing from the account. Already gone is success.
    /// Fault `Blocked` for what cannot be taken here ([`Removable`], the last
    /// owner); `Transient` for a method that can go only after the others
    /// (take the rest first, then it).
    async fn remove(&self, call: &mut Call, id: &ObjectId, held: &Held) -> Answer<()>;

    /// [`Directory::remove`] for several things, each with its own answer in
    /// the same order. A vendor that takes several in one request says how.
    async fn remove_all(&self, call: &mut Call, id: &ObjectId, held: &[Held]) -> Vec<Answer<()>> {
        let mut answers = Vec::with_capacity(held.len());
        for one in held {
            answers.push(self.remove(call, id, one).await);
        }
        answers
    }

    /// Makes somebody an owner of a group. Already an owner is success.
    async fn add_owner(&self, call: &mut Call, group: &ObjectId, owner: &ObjectId) -> Answer<()>;

    /// What these applications are, in any order; those that the directory has no more
    /// are left out. The ids are those by which consents and roles name them.
    async fn applications(&self, call: &mut Call, ids: &[ObjectId]) -> Answer<Vec<Application>>;
}

/// An application, as the directory knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Application {
    /// Its id in this directory.
    pub id: ObjectId,
    /// The id that it has in every directory.
    pub app_id: String,
    /// Its name, which anybody may have chosen.
    pub name: Option<String>,
    /// Who published it, where the vendor has verified that.
    pub publisher: Option<String>,
    /// Whether it is the vendor's own, or the one that this connector acts as.
    pub of_the_platform: bool,
}

/// What a look-up found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "found", rename_all = "snake_case")]
pub enum Found {
    /// Nobody.
    Nobody,
    /// Exactly one account.
    One(Box<Account>),
    /// Several accounts, or names that disagree.
    Ambiguous {
        /// The accounts that were met.
        ids: Vec<ObjectId>,
    },
}

/// Whether a request that names an account by its id says of it, besides, what is
/// not so: then the id or the rest is somebody else's. It happens to a whole file
/// at once, when a table was sorted by one of its columns alone.
///
/// The `addresses` are all by which the account is signed in to or written to. A
/// sign-in name may be any of them, since a former one stays an address where the
/// vendor keeps it; one that is none of them leads nowhere, as it would without
/// the id.
///
/// Only what the request itself says is compared. Whom this product names by what
/// it once read (a manager as the successor, the leaver in a departure that
/// follows a waiver), it names by the id alone: no old name is held against him.
pub(crate) fn says_otherwise(person: &PersonRef, addresses: &[&str], numbers: &[&str]) -> bool {
    let is_none_of = |said: &Option<String>, own: &[&str]| {
        let said = said.as_deref().unwrap_or_default().trim().to_lowercase();
        !said.is_empty() && !own.iter().any(|o| o.trim().to_lowercase() == said)
    };
    is_none_of(&person.user_principal_name, addresses)
        || is_none_of(&person.mail, addresses)
        || is_none_of(&person.employee_id, numbers)
}

/// The mail address in a proxy address; none in one of another sort (X500, SIP).
pub(crate) fn smtp_in(proxy: &str) -> Option<&str> {
    let (sort, address) = proxy.split_once(':')?;
    sort.eq_ignore_ascii_case("smtp").then_some(address)
}

/// One account as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Its immutable id.
    pub id: ObjectId,
    /// The sign-in name, for people; never used as a key.
    pub user_principal_name: String,
    /// The primary mail address.
    pub mail: Option<String>,
    /// The other mail addresses that it answers to; none where the vendor keeps none.
    pub addresses: Vec<String>,
    /// The name to show.
    pub display_name: Option<String>,
    /// HR's number.
    pub employee_id: Option<String>,
    /// Whether it may sign in.
    pub enabled: bool,
    /// Whether another directory masters it and would undo a change made here.
    pub synced: bool,
    /// Whether it is somebody else's account, invited.
    pub guest: bool,
    /// Whether it may have a mailbox; a `true` is a hint, a `false` is sure.
    /// [`Mailboxes::mailbox`](crate::Mailboxes::mailbox) knows.
    pub has_mailbox: bool,
    /// Sessions begun before this time are void, in milliseconds since 1970.
    pub sessions_valid_from_ms: Option<i64>,
    /// When the password was last changed, in milliseconds since 1970.
    pub password_changed_ms: Option<i64>,
    /// The manager.
    pub manager_id: Option<ObjectId>,
    /// The security identifier of the account on the premises that this one is
    /// a copy of, or of this one itself when it is there.
    pub on_premises_security_id: Option<String>,
    /// When the copy was last synchronised, in milliseconds since 1970.
    pub synced_at_ms: Option<i64>,
}

impl Account {
    /// Whether this is its id, its sign-in name or an address of it, however it is written.
    /// A tenant's list of protected accounts names them by these, and by nothing else.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        let known_by = [&self.id.0, &self.user_principal_name];
        let mut names = known_by.into_iter().chain(&self.mail).chain(&self.addresses);
        let name = name.to_lowercase();
        names.any(|own| own.to_lowercase() == name)
    }
}

/// The code of a fault that says that the call is permitted, and that this
/// account is not to be changed by it, because it is privileged.
pub const PROTECTED_TARGET: &str = "ProtectedTarget";

/// A change of one account.
#[derive(Debug)]
pub enum AccountChange {
    /// It may no longer sign in.
    Disable,
    /// Its password becomes this one, to be changed at the next sign-in where
    /// that leaves its date readable.
    Password(Secret),
    /// Every session begun before now is void.
    RevokeSessions,
}

/// A sort of thing that an account holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Holding {
    /// Directory roles, also those that a group gives, and those that the
    /// account is only eligible for ([`ELIGIBLE_ROLES`] when unlicensed).
    Roles,
    /// Sign-in methods but the password.
    Methods,
    /// Consents that this person alone gave to applications.
    Grants,
    /// Application roles assigned to the account itself.
    AppRoles,
    /// Application roles assigned to a group that the account is a direct member of:
    /// they go with the group, which each of them names.
    GroupAppRoles,
    /// Groups that it is a direct member of.
    Memberships,
    /// Groups and applications that it owns.
    Ownerships,
}

/// How [`Call::take_unlicensed`] names roles that are held only when they are
/// activated: the tenant has none without a licence for them.
pub const ELIGIBLE_ROLES: &str = "eligible_roles";

/// One held thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "held", rename_all = "snake_case")]
pub enum Held {
    /// A directory role, or a place in a group that may be given one: either
    /// makes the account privileged.
    Role {
        /// The assignment's (or the eligibility's) id, or the group's.
        id: ObjectId,
        /// The role's definition; none for a group that was given no role.
        role: Option<ObjectId>,
        /// Where it is valid; `/` is the whole directory.
        scope: String,
        /// How it comes to the account. Removing a role that a group gives
        /// takes the account out of that group.
        origin: RoleOrigin,
        /// Whether it is not held yet, but may be activated by the account itself.
        eligible: bool,
        /// Whether it is the role that can do everything.
        administrator: bool,
        /// For that role, when it is held: whether no other enabled account
        /// holds it, but for those that the call does not count
        /// ([`Call::leaving`]). Nobody who is only eligible administers anything yet.
        last_administrator: bool,
    },
    /// A sign-in method.
    Method {
        /// Its id.
        id: ObjectId,
        /// What it is.
        sort: MethodSort,
        /// Whether the vendor lets it go only after the others.
        last: bool,
    },
    /// A consent.
    Grant {
        /// Its id.
        id: ObjectId,
        /// The application that was trusted, as [`Directory::applications`] knows it.
        client: ObjectId,
        /// The interface that it may call.
        resource: ObjectId,
        /// What it may do there.
        scopes: Vec<String>,
    },
    /// An application role.
    AppRole {
        /// The assignment's id.
        id: ObjectId,
        /// The application, as [`Directory::applications`] knows it.
        application: ObjectId,
        /// The role in it.
        role: ObjectId,
        /// The group that it is assigned to; none: the account itself.
        #[serde(skip_serializing_if = "Option::is_none")]
        group: Option<ObjectId>,
    },
    /// Membership of a group.
    Membership {
        /// The group.
        group: Group,
    },
    /// Ownership.
    Ownership {
        /// What is owned.
        id: ObjectId,
        /// What it is.
        sort: OwnedSort,
        /// The group, if it is one.
        group: Option<Group>,
        /// How many others own it who look after it: people who may sign in, are no guests,
        /// and are none that the call does not count ([`Call::leaving`]).
        other_owners: u32,
    },
}

impl Held {
    /// The id that stands for it in facts: of the assignment, the method, the
    /// grant, the group or the owned object.
    #[must_use]
    pub fn id(&self) -> &ObjectId {
        match self {
            Self::Role { id, .. }
            | Self::Method { id, .. }
            | Self::Grant { id, .. }
            | Self::AppRole { id, .. }
            | Self::Ownership { id, .. } => id,
            Self::Membership { group } => &group.id,
        }
    }

    /// The group, for memberships and owned groups.
    #[must_use]
    pub fn group(&self) -> Option<&Group> {
        match self {
            Self::Membership { group } => Some(group),
            Self::Ownership { group, .. } => group.as_ref(),
            _ => None,
        }
    }
}

/// How a directory role comes to an account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "origin", content = "group", rename_all = "snake_case")]
pub enum RoleOrigin {
    /// Assigned to the account itself.
    Direct,
    /// The account is a member of this group, to which roles may be given.
    Member(ObjectId),
    /// The account owns this group, to which roles may be given.
    Owner(ObjectId),
}

/// What sort of sign-in method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MethodSort {
    /// A mail address for recovery.
    Email,
    /// A phone for calls and texts.
    Phone,
    /// A security key or passkey.
    Fido2,
    /// An authenticator app.
    Authenticator,
    /// A one-time-code generator.
    SoftwareOath,
    /// A temporary pass.
    TemporaryPass,
    /// A device's own sign-in (Windows Hello).
    WindowsHello,
    /// A platform's own credential.
    Platform,
    /// Another provider's method.
    External,
    /// One that this version does not know and will not pretend to remove.
    Other,
}

/// What sort of thing is owned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OwnedSort {
    /// A group.
    Group,
    /// An application or its presence in the tenant: it may have credentials
    /// that the owner knows.
    Application,
    /// Anything else.
    Other,
}

/// A group, as what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Its immutable id.
    pub id: ObjectId,
    /// Its name.
    pub name: Option<String>,
    /// What it is for.
    pub nature: GroupNature,
    /// Its members are computed by a rule.
    pub dynamic: bool,
    /// Another directory masters it.
    pub synced: bool,
    /// Directory roles may be given to it.
    pub role_assignable: bool,
    /// The licences that it gives, by SKU id.
    pub gives_skus: Vec<String>,
}

/// What a group is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupNature {
    /// Access.
    Security,
    /// A shared workspace: Microsoft 365 group, team.
    Unified,
    /// Access and mail.
    MailEnabledSecurity,
    /// Mail only.
    DistributionList,
}

/// How somebody can be taken out of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Removable {
    /// By [`Directory::remove`].
    Directly,
    /// Only by what its rule reads.
    ByItsRule,
    /// Only in the directory that masters it.
    WhereItIsMastered,
}

impl Group {
    /// How somebody can be taken out of it.
    #[must_use]
    pub fn removable(&self) -> Removable {
        if self.dynamic {
            Removable::ByItsRule
        } else if self.synced {
            Removable::WhereItIsMastered
        } else {
            Removable::Directly
        }
    }

    /// Whether leaving it takes licences away.
    #[must_use]
    pub fn bears_licences(&self) -> bool {
        !self.gives_skus.is_empty()
    }
}
