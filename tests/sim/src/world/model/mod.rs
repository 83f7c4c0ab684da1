//! What there is in the world: plain data, one struct for each sort of thing.

mod devices;
mod mail;

use std::collections::{BTreeMap, BTreeSet};

pub use devices::*;
pub use mail::*;

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The immutable object id.
    pub id: String,
    /// The user principal name.
    pub upn: String,
    /// The name that people see; holds the canary.
    pub display_name: String,
    /// The given name.
    pub given_name: String,
    /// The family name; holds the canary.
    pub surname: String,
    /// The primary mail address, if there is a mailbox.
    pub mail: Option<String>,
    /// The mail alias.
    pub mail_nickname: String,
    /// The job title.
    pub job_title: Option<String>,
    /// The department.
    pub department: Option<String>,
    /// The employee id.
    pub employee_id: Option<String>,
    /// The mobile phone number; holds digits of the canary.
    pub mobile_phone: Option<String>,
    /// `Member` or `Guest`.
    pub user_type: &'static str,
    /// The country of use.
    pub usage_location: String,
    /// Whether he may sign in.
    pub account_enabled: bool,
    /// Whether he shows in address lists, if set in the directory.
    pub show_in_address_list: Option<bool>,
    /// When the account was created.
    pub created_ms: i64,
    /// When he leaves, if somebody entered it.
    pub employee_leave_ms: Option<i64>,
    /// Sessions older than this are void.
    pub sessions_valid_from_ms: i64,
    /// When the password was last changed.
    pub password_changed_ms: i64,
    /// When he last signed in.
    pub last_sign_in_ms: Option<i64>,
    /// The on-premises account that masters this one.
    pub on_prem: Option<OnPrem>,
    /// His manager's id.
    pub manager: Option<String>,
    /// Licences assigned to himself.
    pub direct_licenses: BTreeSet<String>,
    /// Licences by the groups that bring them: SKU → groups.
    pub group_licenses: BTreeMap<String, BTreeSet<String>>,
    /// The plans that are switched off in a SKU as it comes to him: by this group, or
    /// directly → the plans' ids.
    pub disabled_plans: BTreeMap<(String, Option<String>), BTreeSet<String>>,
    /// Authentication methods without the password.
    pub methods: Vec<Method>,
    /// The default method's id.
    pub default_method: Option<String>,
    /// Break-glass: no departure may ever touch it.
    pub protected: bool,
    /// The string that stands in every text about him.
    pub canary: String,
}

impl Person {
    /// Every SKU that he holds, whichever way.
    #[must_use]
    pub fn skus(&self) -> BTreeSet<&str> {
        self.direct_licenses
            .iter()
            .chain(self.group_licenses.keys())
            .map(String::as_str)
            .collect()
    }

    /// Whether any held SKU carries the plan, and something that gives it leaves it on.
    #[must_use]
    pub fn has_plan(&self, wanted: impl Fn(&str) -> bool) -> bool {
        self.skus().into_iter().filter_map(super::catalogue::sku).any(|sku| {
            let plans = sku.plans.iter();
            plans
                .filter(|plan| wanted(plan.name))
                .any(|plan| self.is_on(sku.id, plan.id))
        })
    }

    /// Whether something that gives him this SKU leaves this plan of it on.
    #[must_use]
    pub fn is_on(&self, sku: &str, plan: &str) -> bool {
        let on = |group: Option<&String>| {
            let off = self.disabled_plans.get(&(sku.to_owned(), group.cloned()));
            off.is_none_or(|off| !off.contains(plan))
        };
        let groups = self.group_licenses.get(sku);
        self.direct_licenses.contains(sku) && on(None) || groups.into_iter().flatten().any(|group| on(Some(group)))
    }
}

/// The on-premises half of a synchronised account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnPrem {
    /// Whether it is enabled there; the synchronisation copies this over.
    pub enabled: bool,
    /// Its short logon name.
    pub sam: String,
    /// Its security identifier.
    pub sid: String,
    /// Its distinguished name.
    pub dn: String,
    /// What ties the two accounts together.
    pub immutable_id: String,
    /// When the synchronisation last brought something of it.
    pub last_sync_ms: i64,
    /// Whether it was changed there since.
    pub changed: bool,
}

/// A sort of authentication method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MethodKind {
    /// A phone number.
    Phone(PhoneKind),
    /// An e-mail address for recovery.
    Email,
    /// A security key.
    Fido2,
    /// Microsoft's authenticator app.
    Authenticator,
    /// A software token.
    SoftwareOath,
    /// A temporary access pass.
    TemporaryPass,
    /// A device's own key.
    WindowsHello,
}

/// Which of the three phones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PhoneKind {
    /// The mobile one.
    Mobile,
    /// The second mobile one; must go before the first.
    AlternateMobile,
    /// The one on the desk.
    Office,
}

impl PhoneKind {
    /// The vendor's fixed id of this phone method.
    #[must_use]
    pub fn fixed_id(self) -> &'static str {
        match self {
            Self::Mobile => "3179e48a-750b-4051-897c-87b9720928f7",
            Self::AlternateMobile => "b6332ec1-7057-4abe-9331-3d72feddfe41",
            Self::Office => "e37fc753-ff3b-4958-9484-eaa9425c82bc",
        }
    }
}

/// An authentication method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Method {
    /// Its id.
    pub id: String,
    /// Its sort.
    pub kind: MethodKind,
    /// Phone number, address, or the name of the device.
    pub text: String,
    /// Since when.
    pub created_ms: i64,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The immutable object id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its address, for those that have mail.
    pub mail: Option<String>,
    /// Its sort.
    pub kind: GroupKind,
    /// The rule that computes its members.
    pub rule: Option<DynamicRule>,
    /// Whether an on-premises directory masters it.
    pub synced: bool,
    /// Whether directory roles may be assigned to it.
    pub role_assignable: bool,
    /// SKUs that its members get.
    pub licenses: BTreeSet<String>,
    /// The plans that are switched off in one of them: SKU → the plans' ids.
    pub disabled_plans: BTreeMap<String, BTreeSet<String>>,
    /// Members: people and groups.
    pub members: BTreeSet<String>,
    /// Owners.
    pub owners: BTreeSet<String>,
    /// Since when.
    pub created_ms: i64,
}

/// A sort of group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupKind {
    /// A security group.
    Security,
    /// A Microsoft 365 group, perhaps with a team.
    Unified {
        /// Whether there is a team.
        team: bool,
    },
    /// A mail-enabled security group: only Exchange may change it.
    MailSecurity,
    /// A distribution list: only Exchange may change it.
    Distribution,
}

/// The rule of a dynamic group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DynamicRule {
    /// Everybody who may sign in.
    Enabled,
    /// Everybody of a department.
    Department(String),
    /// Everybody of a department who may sign in.
    EnabledIn(String),
}

impl DynamicRule {
    /// The rule in the vendor's language.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Enabled => "(user.accountEnabled -eq true)".to_owned(),
            Self::Department(name) => format!("(user.department -eq \"{name}\")"),
            Self::EnabledIn(name) => {
                format!("(user.accountEnabled -eq true) and (user.department -eq \"{name}\")")
            }
        }
    }

    /// Whether it takes this person.
    #[must_use]
    pub fn takes(&self, person: &Person) -> bool {
        match self {
            Self::Enabled => person.account_enabled,
            Self::Department(name) => person.department.as_ref() == Some(name),
            Self::EnabledIn(name) => person.account_enabled && person.department.as_ref() == Some(name),
        }
    }
}

/// A directory role that somebody holds, or is eligible for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleAssignment {
    /// Its id.
    pub id: String,
    /// Who holds it (or is eligible): a person, or a group.
    pub principal: String,
    /// The role's template id.
    pub role: String,
}

/// A delegated permission grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Its id.
    pub id: String,
    /// The service principal that may act for him.
    pub client: String,
    /// Where it may act.
    pub resource: String,
    /// He who consented; none for everybody.
    pub principal: Option<String>,
    /// What it may do.
    pub scope: String,
}

/// An application that people of a tenant may use, as its directory knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Its id in this directory.
    pub id: String,
    /// Its id in every directory.
    pub app_id: String,
    /// Its name.
    pub name: String,
    /// The directory that it comes from.
    pub owner: String,
    /// Who published it, if that was verified.
    pub publisher: Option<String>,
}

/// An application role held by somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppAssignment {
    /// Its id.
    pub id: String,
    /// Who holds it.
    pub principal: String,
    /// His name.
    pub principal_name: String,
    /// The application's service principal.
    pub resource: String,
    /// The application's name.
    pub resource_name: String,
    /// Which role of it.
    pub role: String,
    /// Since when.
    pub created_ms: i64,
}

/// A OneDrive; its key is its owner's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drive {
    /// The drive's id.
    pub id: String,
    /// The owner's object id.
    pub owner: String,
    /// The site collection's id.
    pub site_id: String,
    /// The host that serves it.
    pub host: String,
    /// The site's path.
    pub path: String,
    /// How much is in it.
    pub used_bytes: u64,
    /// People known to the site: his id and the site's number for him.
    pub site_users: BTreeMap<String, u32>,
    /// Administrators of the site, its owner among them.
    pub admins: BTreeSet<String>,
    /// People who were invited to the root.
    pub invited: BTreeSet<String>,
    /// When the deletion clock began.
    pub clock_started_ms: Option<i64>,
}

/// A sign-in in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn {
    /// Its id.
    pub id: String,
    /// Who.
    pub user: String,
    /// When.
    pub at_ms: i64,
    /// To which application.
    pub app: String,
    /// The error code; 0 is success.
    pub error_code: i64,
}

/// An application that may call the vendor for a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    /// Its client id.
    pub client_id: String,
    /// Its secret.
    pub secret: String,
    /// When the secret ends.
    pub secret_expires_ms: Option<i64>,
    /// The thumbprint (`x5t`) of its certificate.
    pub certificate: Option<String>,
    /// Its service principal's object id in this tenant.
    pub principal: String,
    /// Its name.
    pub name: String,
    /// Graph permissions that were consented to.
    pub graph_roles: BTreeSet<String>,
    /// Exchange permissions.
    pub exchange_roles: BTreeSet<String>,
    /// SharePoint permissions.
    pub sharepoint_roles: BTreeSet<String>,
    /// Directory roles of its service principal, by template id.
    pub entra_roles: BTreeSet<String>,
}
