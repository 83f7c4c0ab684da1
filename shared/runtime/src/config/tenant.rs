//! One client company's configuration, `tenants/<handle>.toml`.

use super::confluence::{self, ConfluenceConfig};
use super::desk::{self, AutotaskConfig, ConnectWiseConfig, HaloConfig};
use super::google::{self, GoogleConfig};
use super::intake::{self, IntakeConfig};
use super::ninja::{self, NinjaConfig};
use super::policy;
use super::program::{self, ProgramConfig};
use super::reader::{Document, Section, Value};
use super::scim::{self, ScimConfig};
use super::secret_ref::{self, SecretRef};
use jiff::civil::{DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use offboard_domain::{Policy, System, TenantId};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

/// When the company works. A bare last day ends with the working day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkingHours {
    /// On which days, as numbers from 1 (Monday) to 7 (Sunday).
    pub days: BTreeSet<i8>,
    /// The working day's begin.
    pub from: Time,
    /// The working day's end.
    pub to: Time,
}

impl Default for WorkingHours {
    fn default() -> Self {
        Self {
            days: (1..=5).collect(),
            from: Time::constant(8, 0, 0, 0),
            to: Time::constant(17, 0, 0, 0),
        }
    }
}

impl WorkingHours {
    /// Whether it is worked on that day of the week.
    #[must_use]
    pub fn works_on(&self, day: Weekday) -> bool {
        self.days.contains(&day.to_monday_one_offset())
    }

    /// Whether somebody is there then, by the company's own clocks. The end of
    /// the working day is part of it.
    #[must_use]
    pub fn cover(&self, local: DateTime) -> bool {
        self.works_on(local.weekday()) && (self.from..=self.to).contains(&local.time())
    }
}

impl fmt::Display for WorkingHours {
    /// `mon, tue, fri, 08:00 to 17:00`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (day, _) in WEEKDAYS.iter().filter(|(_, n)| self.days.contains(n)) {
            write!(f, "{day}, ")?;
        }
        write!(f, "{} to {}", self.from.strftime("%H:%M"), self.to.strftime("%H:%M"))
    }
}

/// Where a Microsoft 365 tenant is reached and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphConfig {
    /// The directory's (Entra tenant's) id, or one of its domains.
    pub directory: String,
    /// The application's (client) id.
    pub client_id: String,
    /// How the application proves that it is itself.
    pub credential: GraphCredential,
    /// Where tokens are asked for.
    pub login_url: String,
    /// Microsoft Graph.
    pub graph_url: String,
    /// Exchange's admin endpoint.
    pub exchange_url: String,
    /// A gateway to SharePoint in place of each site's own host; none: that host.
    pub sharepoint_url: Option<String>,
}

/// How an application proves that it is itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GraphCredential {
    /// By a secret that it shares with the directory. SharePoint takes none.
    Secret(SecretRef),
    /// By a certificate.
    Certificate {
        /// The certificate, PEM.
        certificate: PathBuf,
        /// Where its private key (RSA, PEM) is.
        key: SecretRef,
    },
}

/// Where a mail server is reached and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImapConfig {
    /// Its host, by its certificate's name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub security: ImapSecurity,
    /// Further authorities for its certificate, PEM.
    pub ca: Option<PathBuf>,
    /// As whom.
    pub access: ImapAccess,
    /// Whether the sizes that it says are exact.
    pub exact_sizes: bool,
    /// A mailbox to try the credential with.
    pub probe: Option<String>,
    /// Whether its mailboxes are those of the tenant's Google Workspace.
    pub of_workspace: bool,
}

/// How the connection to a mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImapSecurity {
    /// TLS from the first byte.
    Tls,
    /// TLS after a word in the clear.
    StartTls,
    /// None, on this machine itself.
    None,
}

/// As whom mailboxes are opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImapAccess {
    /// As an administrator by password; the separator, if both names are one.
    Administrator {
        /// His name.
        user: String,
        /// Where his password is.
        password: SecretRef,
        /// What stands between the mailbox's name and his, if they are one.
        separator: Option<String>,
    },
    /// As an application with a token.
    Application {
        /// Where tokens are asked for.
        token_url: String,
        /// Its id.
        client_id: String,
        /// Where its secret is.
        client_secret: SecretRef,
        /// What is asked for.
        scope: String,
    },
    /// As a Google service account, with a token for each mailbox.
    ServiceAccount {
        /// Where its key (JSON) is.
        key: SecretRef,
        /// Where tokens are asked for.
        token_url: String,
    },
    /// As the owner of one mailbox.
    Owner {
        /// The mailbox.
        mailbox: String,
        /// Where its password is.
        password: SecretRef,
    },
}

/// Which vendor's protocol a system speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SystemKind {
    /// Microsoft 365 (`kind = "graph"`).
    Graph(GraphConfig),
    /// Google Workspace (`kind = "google"`).
    Google(GoogleConfig),
    /// A mail server (`kind = "imap"`).
    Imap(ImapConfig),
    /// Active Directory on the premises (`kind = "active_directory"`).
    ActiveDirectory(DirectoryConfig),
    /// An application that speaks SCIM 2.0 (`kind = "scim"`).
    Scim(ScimConfig),
    /// An organisation in NinjaOne (`kind = "ninja"`).
    Ninja(NinjaConfig),
    /// A client in HaloPSA (`kind = "halo"`).
    Halo(HaloConfig),
    /// A company in ConnectWise PSA (`kind = "connectwise"`).
    ConnectWise(ConnectWiseConfig),
    /// A company in Autotask PSA (`kind = "autotask"`).
    Autotask(AutotaskConfig),
    /// A space in Confluence (`kind = "confluence"`).
    Confluence(ConfluenceConfig),
    /// A program of the MSP's own (`kind = "program"`).
    Program(ProgramConfig),
}

/// Where an Active Directory domain is reached and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryConfig {
    /// Its domain controllers, each as a host with or without a port, in the
    /// order in which they are tried.
    pub controllers: Vec<String>,
    /// As whom.
    pub user: String,
    /// Where the password is.
    pub password: SecretRef,
    /// The authority that signed the controllers' certificates (PEM); none:
    /// those that this machine trusts.
    pub ca: Option<PathBuf>,
    /// The unit where accounts of leavers are kept; none: they stay.
    pub leavers_unit: Option<String>,
}

/// Longest name of a site: a queue's name and a user's stay readable.
pub const SITE_MAX_CHARS: usize = 40;

/// Whether a site may be called so. It names queues, users of the broker and files.
#[must_use]
pub fn is_site(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = name.as_bytes();
    let edges = bytes.first().is_some_and(|b| plain(*b)) && bytes.last().is_some_and(|b| plain(*b));
    edges && bytes.len() <= SITE_MAX_CHARS && bytes.iter().all(|b| plain(*b) || *b == b'-')
}

/// One outside system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemConfig {
    /// The site whose workers alone can reach it; none: any worker.
    pub site: Option<String>,
    /// The protocol, with what it needs.
    pub kind: SystemKind,
}

/// One client company.
#[derive(Debug, Clone, PartialEq)]
pub struct Tenant {
    /// Its handle: the file's name.
    pub id: TenantId,
    /// Its name, to show.
    pub name: String,
    /// Its time zone.
    pub time_zone: TimeZone,
    /// When it works.
    pub working_hours: WorkingHours,
    /// Its share when tenants compete: 2 gets twice what 1 gets.
    pub weight: u32,
    /// Its outside systems.
    pub systems: BTreeMap<System, SystemConfig>,
    /// How its HR's files are to be read.
    pub intake: IntakeConfig,
    /// What it has decided once for all departures.
    pub policy: Policy,
}

/// Largest share of one tenant.
const WEIGHT_MAX: u32 = 1_000;

const LOGIN_URL: &str = "https://login.microsoftonline.com";
const GRAPH_URL: &str = "https://graph.microsoft.com";
const EXCHANGE_URL: &str = "https://outlook.office365.com";

const WEEKDAYS: &[(&str, i8)] = &[
    ("mon", 1),
    ("tue", 2),
    ("wed", 3),
    ("thu", 4),
    ("fri", 5),
    ("sat", 6),
    ("sun", 7),
];

/// Reads a tenant's document. A tenant without its required keys is none, and
/// then the reason is noted.
pub(super) fn read(doc: &Document<'_>, id: TenantId, dir: &Path) -> Option<Tenant> {
    let table = doc.parse();
    let mut root = doc.root(&table);
    let name = root.require("name", "the company's name").and_then(|v| v.filled());
    let time_zone = root
        .require("time_zone", "an IANA time zone, such as \"Europe/Berlin\"")
        .and_then(|v| zone(&v));
    let working_hours = working_hours(root.section("working_hours"));
    let weight = root.get("weight").and_then(|v| v.integer(1, WEIGHT_MAX)).unwrap_or(1);
    let (systems, covered) = systems(&root.section("systems"), dir);
    let intake = intake::read(root.section("intake"));
    let of_workspace = systems
        .iter()
        .filter(|(_, system)| matches!(&system.kind, SystemKind::Imap(imap) if imap.of_workspace));
    let policy = Policy {
        covered_apps: covered,
        workspace_mail: of_workspace.map(|(name, _)| name.clone()).collect(),
        ..policy::read(root.section("policy"))
    };
    root.done();
    Some(Tenant {
        id,
        name: name?,
        time_zone: time_zone?,
        working_hours,
        weight,
        systems,
        intake,
        policy,
    })
}

fn zone(value: &Value<'_>) -> Option<TimeZone> {
    value.parsed("an IANA time zone, such as \"Europe/Berlin\"", |s| {
        TimeZone::get(s).ok()
    })
}

fn time_of_day(value: &Value<'_>) -> Option<Time> {
    value.parsed("a time of day such as \"17:00\"", |s| {
        let (h, m) = s.split_once(':')?;
        if h.len() != 2 || m.len() != 2 {
            return None;
        }
        Time::new(h.parse().ok()?, m.parse().ok()?, 0, 0).ok()
    })
}

fn working_hours(mut section: Section<'_>) -> WorkingHours {
    let mut hours = WorkingHours::default();
    if let Some(v) = section.get("days") {
        let days: BTreeSet<i8> = v.list().iter().filter_map(|d| d.word(WEEKDAYS)).collect();
        if !days.is_empty() {
            hours.days = days;
        }
    }
    if let Some(t) = section.get("from").and_then(|v| time_of_day(&v)) {
        hours.from = t;
    }
    if let Some(t) = section.get("to").and_then(|v| time_of_day(&v)) {
        hours.to = t;
    }
    if hours.from >= hours.to {
        section.wrong("the working day must begin ('from') before it ends ('to')");
    }
    section.done();
    hours
}

/// The systems, and the applications that one of them sees to.
fn systems(section: &Section<'_>, dir: &Path) -> (BTreeMap<System, SystemConfig>, BTreeSet<String>) {
    let (mut found, mut covered) = (BTreeMap::new(), BTreeSet::new());
    for (name, value) in section.entries() {
        let system = match System::new(name) {
            Ok(s) if s != System::person() => Some(s),
            Ok(_) => {
                value.wrong("the name 'person' is taken by what humans do; choose another");
                None
            }
            Err(e) => {
                value.wrong(e.to_string());
                None
            }
        };
        // Read it also under a wrong name: its own mistakes are told as well.
        if let (Some(config), Some(system)) = (self::system(value.section(), dir, &mut covered), system) {
            found.insert(system, config);
        }
    }
    (found, covered)
}

fn system(mut section: Section<'_>, dir: &Path, covered: &mut BTreeSet<String>) -> Option<SystemConfig> {
    if !section.is_present() {
        return None;
    }
    let kind = section
        .require(
            "kind",
            "the protocol: \"graph\", \"google\", \"imap\", \"active_directory\", \"scim\", \"ninja\", \"halo\", \"connectwise\", \"autotask\", \"confluence\" or \"program\"",
        )
        .and_then(|v| {
            v.word(&[
                ("graph", Protocol::Graph),
                ("google", Protocol::Google),
                ("imap", Protocol::Imap),
                ("active_directory", Protocol::ActiveDirectory),
                ("scim", Protocol::Scim),
                ("ninja", Protocol::Ninja),
                ("halo", Protocol::Halo),
                ("connectwise", Protocol::ConnectWise),
                ("autotask", Protocol::Autotask),
                ("confluence", Protocol::Confluence),
                ("program", Protocol::Program),
            ])
        });
    let site = section.get("site").and_then(|v| {
        let expected = format!("a site's name: 1 to {SITE_MAX_CHARS} of a-z, 0-9 and inner '-'");
        v.parsed(&expected, |s| is_site(s).then(|| s.to_owned()))
    });
    if let Some(v) = section.get("covers") {
        covered.extend(policy::apps(&v));
    }
    // Without a kind it is read as the first, so that its mistakes are told.
    let kind = match kind.unwrap_or(Protocol::Graph) {
        Protocol::Graph => graph(&mut section, dir).map(SystemKind::Graph),
        Protocol::Google => google::read(&mut section, dir).map(SystemKind::Google),
        Protocol::Imap => imap(&mut section, dir).map(SystemKind::Imap),
        Protocol::ActiveDirectory => active_directory(&mut section, dir).map(SystemKind::ActiveDirectory),
        Protocol::Scim => scim::read(&mut section, dir).map(SystemKind::Scim),
        Protocol::Ninja => ninja::read(&mut section, dir).map(SystemKind::Ninja),
        Protocol::Halo => desk::halo(&mut section, dir).map(SystemKind::Halo),
        Protocol::ConnectWise => desk::connectwise(&mut section, dir).map(SystemKind::ConnectWise),
        Protocol::Autotask => desk::autotask(&mut section, dir).map(SystemKind::Autotask),
        Protocol::Confluence => confluence::read(&mut section, dir).map(SystemKind::Confluence),
        Protocol::Program => program::read(&mut section, dir).map(SystemKind::Program),
    }
    .filter(|_| kind.is_some());
    section.done();
    Some(SystemConfig { site, kind: kind? })
}

#[derive(Clone, Copy)]
enum Protocol {
    Graph,
    Google,
    Imap,
    ActiveDirectory,
    Scim,
    Ninja,
    Halo,
    ConnectWise,
    Autotask,
    Confluence,
    Program,
}

fn imap(section: &mut Section<'_>, dir: &Path) -> Option<ImapConfig> {
    let host = section.require("host", "the mail server's name, as its certificate has it");
    let host = host.and_then(|v| {
        v.parsed("a host's name, such as \"mail.contoso.example\"", |s| {
            let fine = is_domain(s) || LOOPBACK.contains(&s);
            fine.then(|| s.to_owned())
        })
    });
    let words = [
        ("tls", ImapSecurity::Tls),
        ("starttls", ImapSecurity::StartTls),
        ("none", ImapSecurity::None),
    ];
    let security = section
        .get("security")
        .map_or(Some(ImapSecurity::Tls), |v| v.word(&words));
    if security == Some(ImapSecurity::None) && !host.as_deref().is_some_and(|h| LOOPBACK.contains(&h)) {
        section.wrong("security = \"none\" is for a server on this machine itself (localhost) alone");
    }
    let standard = if security == Some(ImapSecurity::Tls) { 993 } else { 143 };
    let port = section
        .get("port")
        .map_or(Some(standard), |v| v.integer(1, u32::from(u16::MAX)));
    let ca = section.get("ca").and_then(|v| v.filled()).map(|f| dir.join(f));
    let exact_sizes = section.get("exact_sizes").and_then(|v| v.bool()).unwrap_or(true);
    let probe = section.get("probe").and_then(|v| v.filled());
    let of_workspace = section.get("of_workspace").and_then(|v| v.bool()).unwrap_or(false);
    let access = imap_access(section, dir);
    Some(ImapConfig {
        host: host?,
        port: u16::try_from(port?).ok()?,
        security: security?,
        ca,
        access: access?,
        exact_sizes,
        probe,
        of_workspace,
    })
}

/// By password as an administrator or as one mailbox's owner, or by token as an
/// application or a service account: exactly one.
fn imap_access(section: &mut Section<'_>, dir: &Path) -> Option<ImapAccess> {
    const REFERENCE: &str = "{ env = \"NAME\" } or { file = \"path\" }";
    let key = section.get("key");
    let mailbox = section.get("mailbox");
    let token_url = section.get("token_url");
    let user = section.get("user");
    let by_application = key.is_none() && token_url.is_some();
    let ways = [key.is_some(), mailbox.is_some(), by_application, user.is_some()];
    if ways.iter().filter(|way| **way).count() > 1 {
        section.wrong(
            "expected user with password, mailbox with password, token_url with client_id, client_secret and scope, or key (of a Google service account); got both, or more",
        );
    }
    if let Some(key) = key {
        let token_url = match token_url {
            None => Some(google::TOKEN_URL.to_owned()),
            Some(url) => base_url(&url),
        };
        return Some(ImapAccess::ServiceAccount {
            key: secret_ref::read(&key, dir)?,
            token_url: token_url?,
        });
    }
    if let Some(mailbox) = mailbox {
        let password = section.require("password", REFERENCE);
        return Some(ImapAccess::Owner {
            mailbox: mailbox.filled()?,
            password: secret_ref::read(&password?, dir)?,
        });
    }
    if let Some(url) = token_url {
        let url = base_url(&url);
        let client_id = section
            .require("client_id", "the application's id")
            .and_then(|v| v.filled());
        let secret = section.require("client_secret", REFERENCE);
        let scope = section
            .require("scope", "what the token is for")
            .and_then(|v| v.filled());
        return Some(ImapAccess::Application {
            token_url: url?,
            client_id: client_id?,
            client_secret: secret_ref::read(&secret?, dir)?,
            scope: scope?,
        });
    }
    let user = user.or_else(|| section.require("user", "the administrator who opens mailboxes"));
    let password = section.require("password", REFERENCE);
    let separator = section.get("separator").and_then(|v| v.filled());
    Some(ImapAccess::Administrator {
        user: user?.filled()?,
        password: secret_ref::read(&password?, dir)?,
        separator,
    })
}

/// This machine itself.
const LOOPBACK: &[&str] = &["localhost", "127.0.0.1", "::1"];

fn active_directory(section: &mut Section<'_>, dir: &Path) -> Option<DirectoryConfig> {
    const CONTROLLER: &str = "a domain controller's host name, with or without a port";
    const REFERENCE: &str = "{ env = \"NAME\" } or { file = \"path\" }";
    let controllers = section.require("controllers", "a list of domain controllers, the first to try first");
    let controllers: Vec<String> = controllers
        .map(|v| v.list().iter().filter_map(|c| c.parsed(CONTROLLER, host)).collect())
        .unwrap_or_default();
    let user = section.require("user", "as whom to sign in: name@domain, or DOMAIN\\name");
    let password = section.require("password", REFERENCE);
    let ca = section.get("ca").and_then(|v| v.filled()).map(|f| dir.join(f));
    let unit = section.get("leavers_unit").and_then(|v| v.filled());
    let synchronised = section.get("leavers_unit_synchronised").and_then(|v| v.bool());
    match (&unit, synchronised) {
        (Some(_), None) => section.wrong(
            "leavers_unit needs leavers_unit_synchronised = true (its accounts are copied to the cloud, or there is no cloud): an account that is moved out of what is copied is deleted there, with its mailbox and files",
        ),
        (Some(_), Some(false)) => section.wrong(
            "an account that is moved to a unit that is not synchronised is deleted in the cloud, with its mailbox and files; name a unit that is, or leave leavers_unit out",
        ),
        _ => {}
    }
    if controllers.is_empty() {
        section.wrong("'controllers' names no domain controller");
    }
    Some(DirectoryConfig {
        controllers,
        user: user?.filled()?,
        password: secret_ref::read(&password?, dir)?,
        ca,
        leavers_unit: unit,
    })
}

/// A host with or without a port, and nothing else.
fn host(text: &str) -> Option<String> {
    let (name, port) = text.split_once(':').unwrap_or((text, "636"));
    let label = |l: &str| !l.is_empty() && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let fine = name.split('.').all(label) && port.parse::<u16>().is_ok_and(|p| p > 0);
    fine.then(|| text.to_owned())
}

fn graph(section: &mut Section<'_>, dir: &Path) -> Option<GraphConfig> {
    // What stands here may be a secret in the wrong place: it is not repeated.
    let directory = section.require("directory", "the directory's id").and_then(|v| {
        v.unseen("the directory's id (a GUID) or one of its domains", |s| {
            is_guid(s) || is_domain(s)
        })
    });
    let client_id = section
        .require("client_id", "the application's id")
        .and_then(|v| v.unseen("the application's (client) id, a GUID", is_guid));
    let credential = credential(section, dir);
    let mut url = |key, default: &str| {
        section
            .get(key)
            .map_or_else(|| Some(default.to_owned()), |v| base_url(&v))
    };
    let login_url = url("login_url", LOGIN_URL);
    let graph_url = url("graph_url", GRAPH_URL);
    let exchange_url = url("exchange_url", EXCHANGE_URL);
    let sharepoint_url = section.get("sharepoint_url").and_then(|v| base_url(&v));
    Some(GraphConfig {
        directory: directory?,
        client_id: client_id?,
        credential: credential?,
        login_url: login_url?,
        graph_url: graph_url?,
        exchange_url: exchange_url?,
        sharepoint_url,
    })
}

/// A secret, or a certificate with its key: exactly one of the two, so that
/// nothing that is written is silently ignored.
fn credential(section: &mut Section<'_>, dir: &Path) -> Option<GraphCredential> {
    const REFERENCE: &str = "{ env = \"NAME\" } or { file = \"path\" }";
    let certificate = section.get("certificate");
    let key = section.get("certificate_key");
    if certificate.is_none() && key.is_none() {
        let secret = section.require("client_secret", REFERENCE)?;
        return secret_ref::read(&secret, dir).map(GraphCredential::Secret);
    }
    if section.get("client_secret").is_some() {
        section.wrong("expected client_secret, or certificate with certificate_key; got both");
    }
    let certificate = certificate.or_else(|| section.require("certificate", "the path of a PEM file"));
    let key = key.or_else(|| section.require("certificate_key", REFERENCE));
    Some(GraphCredential::Certificate {
        certificate: dir.join(certificate?.filled()?),
        key: secret_ref::read(&key?, dir)?,
    })
}

fn is_guid(s: &str) -> bool {
    let parts: Vec<&str> = s.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|p| p.len()).collect();
    lengths == [8, 4, 4, 4, 12] && parts.iter().all(|p| p.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn is_domain(s: &str) -> bool {
    s.contains('.')
        && s.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        })
}

/// A base URL without its last slash: https, or http to this machine itself.
pub(super) fn base_url(value: &Value<'_>) -> Option<String> {
    let expected = "a base URL beginning with https:// (http:// only to 127.0.0.1, [::1] or localhost), without user, query or fragment";
    value.parsed(expected, |s| {
        super::base_url::parse(s).filter(|b| b.private).map(|b| b.text)
    })
}
