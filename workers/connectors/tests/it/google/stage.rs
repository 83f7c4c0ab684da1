//! A workspace, and connectors to it.

use crate::common::{TestClock, call_with};
use offboard_connectors::google::{GoogleConnector, GoogleEndpoints, GoogleOpenError, GoogleSettings, Licence};
use offboard_connectors::graph::HttpClient;
use offboard_connectors::{Call, Member, Workspace as _};
use offboard_domain::{Fault, ObjectId, System};
use offboard_sim::face::{GoogleSimulator, public_key};
use offboard_sim::world::workspace::{
    Workspace, WorkspaceAccess, WorkspaceDriveMember, WorkspaceFault, WorkspaceGroupSort, WorkspaceHabits,
    WorkspaceLaptop, WorkspacePhone, WorkspaceRows, WorkspaceUser,
};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Is in the name of every test person; and in nothing that is reported.
pub(crate) const CANARY: &str = "kanarienvogel";

pub(crate) const KEY: &str = include_str!("../../data/test-key.pem");

/// Ids of accounts: the leaver, the successor, the administrator, a namesake of
/// another company.
pub(crate) const LEAVER: &str = "1001";
pub(crate) const SUCCESSOR: &str = "1002";
pub(crate) const STRANGER: &str = "9001";

pub(crate) const SCOPES: [&str; 10] = [
    "admin.directory.user",
    "admin.directory.user.security",
    "admin.directory.group.readonly",
    "admin.directory.group.member",
    "admin.directory.device.mobile.action",
    "admin.datatransfer",
    "gmail.settings.basic",
    "gmail.settings.sharing",
    "apps.licensing",
    "admin.directory.device.chromeos",
];

/// Asked for where the tenant's file says that shared drives are looked at.
pub(crate) const DRIVES: &str = "drive";

pub(crate) const T0: i64 = 1_780_000_000_000;

pub(crate) fn scope(word: &str) -> String {
    format!("https://www.googleapis.com/auth/{word}")
}

pub(crate) fn address(who: &str) -> String {
    format!("{who}.{CANARY}@example.com")
}

pub(crate) fn access() -> WorkspaceAccess {
    WorkspaceAccess {
        issuer: "offboard@project.iam.example".to_owned(),
        public_key: public_key(KEY).unwrap(),
        scopes: SCOPES.iter().chain(&[DRIVES]).map(|s| scope(s)).collect(),
        turned_off: [].into(),
        forbidden: [].into(),
    }
}

/// Somebody who is let into a shared drive, by the permission's id.
fn let_in((who, role): (&str, &str)) -> (String, WorkspaceDriveMember) {
    let member = WorkspaceDriveMember {
        address: address(who),
        group: who == "crew",
        role: role.to_owned(),
        deleted: false,
    };
    (format!("p-{who}"), member)
}

/// A company with the leaver, who has some of everything, and others.
pub(crate) fn rows() -> WorkspaceRows {
    let ours = |who: &str| WorkspaceUser::of("C01", &address(who));
    let mut anna = ours("anna");
    anna.aliases = vec![format!("{CANARY}@example.org")];
    anna.number = Some("4711".into());
    anna.manager = Some(address("berta"));
    anna.second_factor = true;
    anna.grants = ["app-b", "app-a", "app/../c"].map(str::to_owned).into();
    anna.app_passwords = [3, 7].into();
    anna.codes = ["11111111", "22222222", "33333333"].map(str::to_owned).into();
    anna.licences = [("Google-Apps/1010020020".to_owned(), false)].into();
    anna.mailbox.forwards = Some((format!("{CANARY}@elsewhere.example"), "trash".into()));
    anna.mailbox.filters = [
        ("f1".to_owned(), Some(format!("{CANARY}@elsewhere.example"))),
        ("f2".to_owned(), None),
    ]
    .into();
    let mut berta = ours("berta");
    berta.grants = ["app-a".to_owned()].into();
    let mut admin = ours("admin");
    admin.number = Some("4712".into());
    // A namesake elsewhere, whom nobody here may see.
    let mut stranger = WorkspaceUser::of("C99", &address("anna.x"));
    stranger.aliases = vec![format!("{CANARY}@example.net")];
    stranger.number = Some("4711".into());
    let phone = |who: &str| WorkspacePhone {
        owner: address(who),
        told_ms: None,
        told: 0,
        wiped_whole: false,
    };
    let laptop = |who: &str, status: &str| WorkspaceLaptop {
        noted: format!(" {} ", address(who).to_uppercase()),
        recent: address("anna"),
        status: status.to_owned(),
    };
    let groups = ["g1", "g2", "g3", "g4"].map(|g| (g.to_owned(), vec![LEAVER.to_owned(), SUCCESSOR.to_owned()]));
    WorkspaceRows {
        users: [
            (LEAVER, anna),
            (SUCCESSOR, berta),
            ("1003", admin),
            (STRANGER, stranger),
        ]
        .map(|(id, user)| (id.to_owned(), user))
        .into(),
        deleted: [].into(),
        groups: groups.into(),
        sorts: [].into(),
        transfers: [].into(),
        phones: [("p1", "anna"), ("p2", "anna"), ("p3", "anna.x"), ("p4", "berta")]
            .map(|(id, who)| (id.to_owned(), phone(who)))
            .into(),
        // His, one that he was lent, a namesake's, and one that was never set up.
        // His alone, for one of which the successor may write; of both; a group's.
        drives: [
            ("d1", vec![("anna", "organizer"), ("admin", "reader")]),
            ("d2", vec![("anna", "organizer"), ("berta", "writer")]),
            ("d3", vec![("anna", "organizer"), ("berta", "organizer")]),
            ("d4", vec![("crew", "organizer"), ("anna", "fileOrganizer")]),
        ]
        .map(|(id, members)| {
            (
                id.to_owned(),
                members.into_iter().map(let_in).collect::<BTreeMap<_, _>>(),
            )
        })
        .into(),
        laptops: [
            ("c1", "anna", "ACTIVE"),
            ("c2", "berta", "ACTIVE"),
            ("c3", "anna.x", "ACTIVE"),
            ("c4", "anna", "PRE_PROVISIONED"),
        ]
        .map(|(id, who, status)| (id.to_owned(), laptop(who, status)))
        .into(),
    }
}

pub(crate) struct Stage {
    workspace: Arc<Mutex<Workspace>>,
    pub(crate) clock: Arc<TestClock>,
    simulator: GoogleSimulator,
}

impl Stage {
    pub(crate) async fn with(habits: WorkspaceHabits) -> Self {
        Self::of(Workspace::new(habits, "C01", access(), rows())).await
    }

    pub(crate) async fn new() -> Self {
        Self::with(WorkspaceHabits::default()).await
    }

    async fn of(workspace: Workspace) -> Self {
        let clock = TestClock::at(T0);
        let workspace = Arc::new(Mutex::new(workspace));
        let tell = Arc::clone(&clock);
        let simulator = GoogleSimulator::start(Arc::clone(&workspace), Arc::new(move || tell.ms()))
            .await
            .unwrap();
        Self {
            workspace,
            clock,
            simulator,
        }
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, Workspace> {
        self.workspace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn rows(&self) -> WorkspaceRows {
        self.world().rows().clone()
    }

    pub(crate) fn edit(&self, how: impl FnOnce(&mut WorkspaceRows)) {
        let now = self.clock.ms();
        self.world().change(now, None, how);
    }

    /// The leaver's account, changed from elsewhere.
    pub(crate) fn edit_leaver(&self, how: impl FnOnce(&mut WorkspaceUser)) {
        self.edit(|rows| how(rows.users.get_mut(LEAVER).unwrap()));
    }

    pub(crate) fn sort(&self, group: &str, sort: WorkspaceGroupSort) {
        self.edit(|rows| {
            rows.sorts.insert(group.to_owned(), sort);
        });
    }

    pub(crate) fn settings(&self) -> GoogleSettings {
        let root = self.simulator.root();
        GoogleSettings {
            system: System::new("workspace").unwrap(),
            admin: address("admin"),
            key: key("service_account", KEY).as_str().into(),
            licences: vec![Licence {
                product: "Google-Apps".into(),
                sku: "1010020020".into(),
            }],
            shared_drives: false,
            alone: false,
            endpoints: GoogleEndpoints {
                token: format!("{root}/token"),
                admin: root.to_owned(),
                gmail: root.to_owned(),
                licensing: root.to_owned(),
                drive: root.to_owned(),
            },
        }
    }

    pub(crate) fn open(&self) -> GoogleConnector {
        open(&self.settings()).unwrap()
    }

    /// A call that may only read.
    pub(crate) fn reading(&self) -> Call {
        call_with(&self.clock)
    }

    /// A call that may write.
    pub(crate) fn writing(&self) -> Call {
        let mut call = call_with(&self.clock);
        call.allow_writes(true);
        call
    }

    /// What the next request of this sort meets; without a status, the connection
    /// is cut.
    pub(crate) fn order(&self, of: &str, status: Option<u16>, reason: &str, happens: bool) {
        self.world().faults.push(WorkspaceFault {
            of: of.to_owned(),
            status,
            reason: reason.to_owned(),
            retry_after_s: None,
            happens,
        });
    }

    pub(crate) fn journal(&self) -> Vec<String> {
        self.world().journal().to_vec()
    }

    pub(crate) async fn member(&self, google: &GoogleConnector, id: &str) -> Member {
        google
            .member(&mut self.reading(), &ObjectId::from(id))
            .await
            .unwrap()
            .unwrap()
    }

    pub(crate) async fn leaver(&self, google: &GoogleConnector) -> Member {
        self.member(google, LEAVER).await
    }
}

/// A key's file.
pub(crate) fn key(kind: &str, pem: &str) -> String {
    json!({
        "type": kind, "client_email": "offboard@project.iam.example", "client_id": "117", "private_key_id": "k1",
        "private_key": pem, "token_uri": "https://evil.example/token",
    })
    .to_string()
}

pub(crate) fn open(settings: &GoogleSettings) -> Result<GoogleConnector, GoogleOpenError> {
    GoogleConnector::open(&HttpClient::new().unwrap(), settings)
}

/// No fault and no receipt names anybody.
pub(crate) fn quiet(fault: &Fault, call: &Call) {
    let said = format!("{fault} {fault:?} {call:?} {:?}", call.receipts());
    for secret in [CANARY, "canary", "ya29", "example.com", "11111111"] {
        assert!(!said.contains(secret), "{said}");
    }
}
