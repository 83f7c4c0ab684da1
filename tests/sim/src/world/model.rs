//! What there is in the world: plain data, one struct for each sort of thing.

use std::collections::{BTreeMap, BTreeSet};

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

    /// Whether any held SKU carries the plan.
    #[must_use]
    pub fn has_plan(&self, wanted: impl Fn(&str) -> bool) -> bool {
        self.skus()
            .into_iter()
            .filter_map(super::catalogue::sku)
            .any(|sku| sku.plans.iter().any(|plan| wanted(plan.name)))
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
    /// When the synchronisation last ran.
    pub last_sync_ms: i64,
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
}

impl DynamicRule {
    /// The rule in the vendor's language.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Enabled => "(user.accountEnabled -eq true)".to_owned(),
            Self::Department(name) => format!("(user.department -eq \"{name}\")"),
        }
    }

    /// Whether it takes this person.
    #[must_use]
    pub fn takes(&self, person: &Person) -> bool {
        match self {
            Self::Enabled => person.account_enabled,
            Self::Department(name) => person.department.as_ref() == Some(name),
        }
    }
}

/// A directory role held by somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleAssignment {
    /// Its id.
    pub id: String,
    /// Who holds it.
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

/// A mailbox; its key is its owner's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// The owner's object id.
    pub owner: String,
    /// Exchange's own id.
    pub exchange_guid: String,
    /// The owner's UPN (kept here for Exchange's answers).
    pub upn: String,
    /// The alias.
    pub alias: String,
    /// The name in address lists.
    pub display_name: String,
    /// Whether Exchange has finished making it a shared one.
    pub shared: bool,
    /// A conversion under way or done.
    pub conversion: Option<Conversion>,
    /// How big it is.
    pub size_bytes: u64,
    /// How many items it has.
    pub items: u64,
    /// Whether it has an archive.
    pub archive: bool,
    /// A litigation hold.
    pub hold: Option<Hold>,
    /// Other holds.
    pub in_place_holds: Vec<String>,
    /// Hidden from address lists.
    pub hidden: bool,
    /// The automatic reply.
    pub reply: AutoReply,
    /// Forwarding to a recipient of the tenant (his id).
    pub forward_to: Option<String>,
    /// Forwarding to any address.
    pub forward_smtp: Option<String>,
    /// Whether forwarded mail is also kept.
    pub keep_forwarded: bool,
    /// Inbox rules, hidden ones too.
    pub rules: Vec<InboxRule>,
    /// Who may open it.
    pub full_access: BTreeSet<String>,
    /// Who may send as it.
    pub send_as: BTreeSet<String>,
    /// Who may send on its behalf.
    pub send_on_behalf: BTreeSet<String>,
    /// Protocols by their parameter name, and whether each is on.
    pub protocols: BTreeMap<&'static str, bool>,
    /// Whether SMTP AUTH is off; unset means as the tenant has it.
    pub smtp_auth_disabled: Option<bool>,
    /// Mobile devices.
    pub mobiles: Vec<Mobile>,
    /// Meetings and appointments.
    pub events: Vec<Event>,
    /// Folders.
    pub folders: Vec<Folder>,
    /// When it was disconnected, if it was.
    pub lost_ms: Option<i64>,
    /// When it will be disconnected because nothing keeps it.
    pub doomed_ms: Option<i64>,
    /// Whether an on-premises directory masters its address-list properties.
    pub synced: bool,
}

/// The protocols that `Set-CASMailbox` switches.
pub const PROTOCOLS: [&str; 7] = [
    "ActiveSyncEnabled",
    "EwsEnabled",
    "ImapEnabled",
    "MAPIEnabled",
    "OWAEnabled",
    "OWAforDevicesEnabled",
    "PopEnabled",
];

/// A conversion between a user's mailbox and a shared one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conversion {
    /// To a shared one, or back.
    pub to_shared: bool,
    /// When Exchange shows it.
    pub exchange_at_ms: i64,
    /// When Graph shows it.
    pub graph_at_ms: i64,
}

/// A litigation hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// Since when.
    pub at_ms: i64,
    /// For how many days; none for ever.
    pub days: Option<i64>,
}

/// An automatic reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AutoReply {
    /// `disabled`, `alwaysEnabled` or `scheduled`.
    pub status: String,
    /// `none`, `contactsOnly` or `all`.
    pub audience: String,
    /// To colleagues.
    pub internal: String,
    /// To everybody else.
    pub external: String,
}

/// An inbox rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxRule {
    /// Its id in Graph.
    pub id: String,
    /// Its id in Exchange.
    pub rule_id: u64,
    /// Its name.
    pub name: String,
    /// Its place.
    pub sequence: u32,
    /// Whether Graph and the plain cmdlet do not show it.
    pub hidden: bool,
    /// One of Exchange's own (junk, out of office), which must stay.
    pub system: bool,
    /// Whom it forwards to.
    pub forward_to: Option<String>,
}

/// A mobile device that reads the mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mobile {
    /// Its id.
    pub id: String,
    /// What it calls itself.
    pub device_id: String,
    /// Its model.
    pub model: String,
    /// Its system.
    pub os: String,
    /// `EAS` or `Outlook`.
    pub client: &'static str,
    /// Whether it can be told to wipe only the account.
    pub account_wipe: bool,
    /// When it can be reached.
    pub reach: Reach,
    /// A wipe: ordered when, of the account only, acknowledged when.
    pub wipe: Option<(i64, bool, Option<i64>)>,
}

/// When a device answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It checks in within a short while.
    Online,
    /// It is away until then.
    Until(i64),
    /// It never comes back.
    Never,
}

/// An appointment or meeting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its id.
    pub id: String,
    /// What it is about.
    pub subject: String,
    /// When it starts.
    pub start_ms: i64,
    /// When it ends.
    pub end_ms: i64,
    /// Whether the mailbox's owner organised it.
    pub organiser: bool,
    /// Who comes.
    pub attendees: Vec<String>,
    /// Whether it repeats.
    pub recurring: bool,
    /// What a client gave to make the creation happen once.
    pub transaction_id: Option<String>,
}

/// A mail folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// How many items it has.
    pub items: u64,
    /// Whether it is hidden.
    pub hidden: bool,
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

/// Whose a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceOwner {
    /// The company's.
    Company,
    /// A person's own.
    Personal,
}

/// Where a device's management stands, in the vendor's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ManagementState {
    /// Managed.
    Managed,
    /// To be retired when it checks in.
    RetirePending,
    /// Told to retire.
    RetireIssued,
    /// To be wiped when it checks in.
    WipePending,
    /// Told to wipe.
    WipeIssued,
}

impl ManagementState {
    /// The vendor's word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Managed => "managed",
            Self::RetirePending => "retirePending",
            Self::RetireIssued => "retireIssued",
            Self::WipePending => "wipePending",
            Self::WipeIssued => "wipeIssued",
        }
    }
}

/// A remote action on a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceAction {
    /// `wipe` or `retire`.
    pub name: &'static str,
    /// `pending`, `active`, `done` or `failed`.
    pub state: &'static str,
    /// When it was ordered.
    pub start_ms: i64,
    /// When its state last changed.
    pub updated_ms: i64,
}

/// A device under management.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagedDevice {
    /// Its id there.
    pub id: String,
    /// The Entra device's `deviceId`.
    pub entra_device_id: String,
    /// Its user's object id.
    pub user: String,
    /// Its name.
    pub name: String,
    /// Its system.
    pub os: &'static str,
    /// Whose it is.
    pub owner: DeviceOwner,
    /// Its serial number.
    pub serial: String,
    /// When it can be reached.
    pub reach: Reach,
    /// Where its management stands.
    pub state: ManagementState,
    /// What was done to it from afar.
    pub actions: Vec<DeviceAction>,
    /// Since when it is managed.
    pub enrolled_ms: i64,
    /// When it last checked in.
    pub last_sync_ms: i64,
}

/// A BitLocker recovery key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BitlockerKey {
    /// Its id.
    pub id: String,
    /// The key itself.
    pub key: String,
    /// Since when.
    pub created_ms: i64,
    /// Whether anybody read it.
    pub read: bool,
}

/// A device in Entra.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntraDevice {
    /// The object id.
    pub id: String,
    /// The `deviceId`.
    pub device_id: String,
    /// Its name.
    pub name: String,
    /// Its system.
    pub os: &'static str,
    /// Whose it is.
    pub owner: DeviceOwner,
    /// The registered user's object id.
    pub user: String,
    /// Whether it is enabled.
    pub enabled: bool,
    /// Whether an on-premises directory masters it.
    pub synced: bool,
    /// The local administrator's password, if kept here, and whether it was read.
    pub laps: Option<(String, bool)>,
    /// BitLocker keys.
    pub bitlocker: Vec<BitlockerKey>,
    /// Since when.
    pub registered_ms: i64,
}

impl EntraDevice {
    /// Whether it holds a secret that nobody has read.
    #[must_use]
    pub fn has_unread_keys(&self) -> bool {
        self.laps.as_ref().is_some_and(|(_, read)| !read)
            || self.bitlocker.iter().any(|key| !key.read)
    }
}

/// An Autopilot identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Autopilot {
    /// Its id.
    pub id: String,
    /// The serial number.
    pub serial: String,
    /// The model.
    pub model: String,
    /// The UPN of the assigned user.
    pub user_upn: Option<String>,
    /// His object id.
    pub user: Option<String>,
    /// The Entra device's `deviceId`.
    pub entra_device_id: String,
    /// The managed device's id.
    pub managed_device_id: String,
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
