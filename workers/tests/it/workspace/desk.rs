//! A case, a worker and a workspace, on one clock.

use crate::stage::{One, Told};
use offboard_connectors::Connector as _;
use offboard_connectors::google::{GoogleConnector, GoogleEndpoints, GoogleSettings, Licence};
use offboard_connectors::graph::HttpClient;
use offboard_domain::departure::{Departure, Manner, PersonRef};
use offboard_domain::task::Place;
use offboard_domain::{
    ApprovalOf, Capabilities, Case, CaseState, Command, Digest, Gates, Kind, Lane, Outcome, Policy, Rule, Standing,
    System, TaskId, TaskState, TenantId, Timestamp, decide, folders, next, standing,
};
use offboard_runtime::Clock;
use offboard_sim::face::{GoogleSimulator, public_key};
use offboard_sim::world::workspace::{
    Workspace, WorkspaceAccess, WorkspaceFault, WorkspaceHabits, WorkspaceLaptop, WorkspacePhone, WorkspaceRows,
    WorkspaceUser,
};
use offboard_store::Store;
use offboard_workers::{Context, attempt};
use serde_json::json;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Is in every name; and in no report.
const CANARY: &str = "kanarienvogel";
const KEY: &str = include_str!("../../../connectors/tests/data/test-key.pem");
const T0: i64 = 1_780_000_000_000;

pub(crate) const LEAVER: &str = "1001";
pub(crate) const SUCCESSOR: &str = "1002";

pub(crate) fn address(who: &str) -> String {
    format!("{who}.{CANARY}@example.com")
}

fn google() -> System {
    System::new("workspace").unwrap()
}

fn rows() -> WorkspaceRows {
    let ours = |who: &str| WorkspaceUser::of("C01", &address(who));
    let mut anna = ours("anna");
    anna.manager = Some(address("berta"));
    anna.second_factor = true;
    anna.grants = ["app-a", "app-b"].map(str::to_owned).into();
    anna.app_passwords = [3, 7].into();
    anna.codes = ["11111111", "22222222"].map(str::to_owned).into();
    anna.licences = [("Google-Apps/1010020020".to_owned(), false)].into();
    anna.mailbox.forwards = Some((format!("{CANARY}@elsewhere.example"), "trash".into()));
    anna.mailbox.filters = [
        ("f1".to_owned(), Some(format!("{CANARY}@elsewhere.example"))),
        ("f2".to_owned(), None),
    ]
    .into();
    let mut berta = ours("berta");
    berta.grants = ["app-a".to_owned()].into();
    let phone = |who: &str| WorkspacePhone {
        owner: address(who),
        told_ms: None,
        told: 0,
        wiped_whole: false,
    };
    let users = [
        (LEAVER, anna),
        (SUCCESSOR, berta),
        ("1003", ours("admin")),
        ("9001", WorkspaceUser::of("C99", &address("anna.x"))),
    ];
    WorkspaceRows {
        users: users.map(|(id, user)| (id.to_owned(), user)).into(),
        groups: ["g1", "g2", "g3"]
            .map(|g| (g.to_owned(), vec![LEAVER.to_owned(), SUCCESSOR.to_owned()]))
            .into(),
        phones: [("p1", "anna"), ("p2", "anna"), ("p3", "anna.x")]
            .map(|(id, who)| (id.to_owned(), phone(who)))
            .into(),
        laptops: [("c1", "anna"), ("c2", "berta")]
            .map(|(id, who)| {
                let laptop = WorkspaceLaptop {
                    noted: address(who),
                    recent: address("anna"),
                    status: "ACTIVE".to_owned(),
                };
                (id.to_owned(), laptop)
            })
            .into(),
        ..WorkspaceRows::default()
    }
}

pub(crate) struct Desk {
    case: Case,
    gates: Gates,
    context: Context,
    clock: Arc<Told>,
    world: Arc<Mutex<Workspace>>,
    before: WorkspaceRows,
    _simulator: GoogleSimulator,
}

impl Desk {
    pub(crate) async fn new(habits: WorkspaceHabits, manner: Manner, policy: impl FnOnce(&mut Policy)) -> Self {
        Self::open(habits, manner, false, policy).await
    }

    /// The same, where the tenant's file says whether shared drives are looked at.
    pub(crate) async fn open(
        habits: WorkspaceHabits,
        manner: Manner,
        shared_drives: bool,
        policy: impl FnOnce(&mut Policy),
    ) -> Self {
        let scopes = [
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
        let access = WorkspaceAccess {
            issuer: "offboard@project.iam.example".into(),
            public_key: public_key(KEY).unwrap(),
            scopes: scopes.map(|s| format!("https://www.googleapis.com/auth/{s}")).into(),
            turned_off: [].into(),
            forbidden: [].into(),
        };
        let world = Arc::new(Mutex::new(Workspace::new(habits, "C01", access, rows())));
        let clock = Told::at(T0);
        let tell = Arc::clone(&clock);
        let simulator = GoogleSimulator::start(Arc::clone(&world), Arc::new(move || tell.now().0))
            .await
            .unwrap();
        let key = json!({
            "type": "service_account", "client_email": "offboard@project.iam.example", "private_key": KEY,
        });
        let root = simulator.root().to_owned();
        let settings = GoogleSettings {
            system: google(),
            admin: address("admin"),
            key: key.to_string().into(),
            licences: vec![Licence {
                product: "Google-Apps".into(),
                sku: "1010020020".into(),
            }],
            shared_drives,
            alone: true,
            endpoints: GoogleEndpoints {
                token: format!("{root}/token"),
                admin: root.clone(),
                gmail: root.clone(),
                licensing: root.clone(),
                drive: root,
            },
        };
        let connector = GoogleConnector::open(&HttpClient::new().unwrap(), &settings).unwrap();
        let capabilities = Capabilities([(google(), connector.claims())].into());
        let context = Context {
            store: Store::memory(),
            connectors: Arc::new(One(Arc::new(connector))),
            escrow: None,
            clock: Arc::<Told>::clone(&clock),
        };
        let mut in_force = Policy::default();
        policy(&mut in_force);
        let open = Command::Open {
            departure: Arc::new(departure(manner)),
            policy: Arc::new(in_force),
            capabilities: Arc::new(capabilities),
            traceparent: None,
        };
        let gates = Gates::open();
        let mut case = decide(None, open, clock.now(), &gates).unwrap().case;
        case.version += 1;
        Self {
            case,
            gates,
            context,
            clock,
            world,
            before: rows(),
            _simulator: simulator,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn world(&self) -> MutexGuard<'_, Workspace> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn rows(&self) -> WorkspaceRows {
        self.world().rows().clone()
    }

    pub(crate) fn journal(&self) -> Vec<String> {
        self.world().journal().to_vec()
    }

    pub(crate) fn edit(&self, how: impl FnOnce(&mut WorkspaceRows)) {
        let now = self.now().0;
        self.world().change(now, None, how);
    }

    /// What the next request of this sort meets; without a status, its connection
    /// is cut.
    pub(crate) fn order(&self, of: &str, status: Option<(u16, &str)>, happens: bool) {
        self.world().faults.push(WorkspaceFault {
            of: of.to_owned(),
            status: status.map(|(status, _)| status),
            reason: status.map(|(_, reason)| reason.to_owned()).unwrap_or_default(),
            retry_after_s: None,
            happens,
        });
    }

    /// Nothing more goes wrong.
    pub(crate) fn recover(&self) {
        self.world().faults.clear();
    }

    /// A few dozen things that go wrong, one after the other, in an order that the
    /// seed says.
    pub(crate) fn misfortunes(&self, seed: u64) {
        let lines = [
            "PATCH",
            "signOut",
            "/token",
            "DELETE",
            "invalidate",
            "turnOff",
            "PUT /gmail",
            "POST /gmail",
            "GET /admin",
            "POST /admin/datatransfer",
            "action",
            "GET /gmail",
            "licensing",
        ];
        let met = [
            Some((503, "backendError")),
            None,
            Some((403, "userRateLimitExceeded")),
            Some((500, "internalError")),
            Some((429, "rateLimitExceeded")),
            Some((401, "authError")),
        ];
        let mut drawn = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut draw = |n: usize| {
            drawn = drawn
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(drawn >> 33).unwrap() % n
        };
        for _ in 0..24 {
            let (line, what) = (lines[draw(lines.len())], met[draw(met.len())]);
            // What is refused for being too quick, or by an old token, did not happen.
            let refused = matches!(what, Some((401 | 403 | 429, _)));
            let happens = draw(2) == 0 && !refused;
            self.order(line, what, happens);
        }
    }

    fn command(&mut self, command: Command) {
        let decision = decide(Some(&self.case), command, self.clock.now(), &self.gates).unwrap();
        let events = decision.events.len() as u64;
        self.case = decision.case;
        self.case.version += events;
    }

    pub(crate) fn retry(&mut self) {
        self.command(Command::Retry {
            task: None,
            by: "desk@msp.example".into(),
        });
    }

    pub(crate) fn waive(&mut self, kind: Kind) {
        let (task, until) = (self.id(kind), self.now().plus(400 * 86_400_000));
        self.command(Command::Waive {
            task,
            by: "boss@msp.example".into(),
            reason: "not needed".into(),
            until,
        });
    }

    fn id(&self, kind: Kind) -> TaskId {
        let mut all = self.case.tasks.values();
        all.find(|t| t.kind() == kind).unwrap().id()
    }

    pub(crate) fn is_refused(&self) -> bool {
        matches!(self.case.state, CaseState::Refused { .. })
    }

    fn task_state(&self, kind: Kind) -> Option<TaskState> {
        let mut all = self.case.tasks.values();
        all.find(|t| t.kind() == kind).map(|t| t.state.clone())
    }

    pub(crate) fn outcome(&self, kind: Kind) -> Option<Outcome> {
        let mut all = self.case.tasks.values();
        all.find(|t| t.kind() == kind)?.outcome().cloned()
    }

    /// Which shared folders a person is asked about by his task of this kind.
    pub(crate) fn asked_of_folders(&self, kind: Kind) -> Option<String> {
        let task = &self.case.tasks[&self.id(kind)];
        folders::words(&self.case, task)
    }

    pub(crate) fn detail(&self, kind: Kind) -> String {
        match self.task_state(kind) {
            Some(TaskState::Failed { detail, .. }) => detail,
            other => panic!("{other:?}"),
        }
    }

    /// What needs a person, in the order of a departure.
    pub(crate) fn failed(&self) -> Vec<(Kind, Rule)> {
        let mut failed: Vec<(Kind, Rule)> = Vec::new();
        for task in self.case.tasks.values() {
            if let TaskState::Failed { rule, .. } = &task.state {
                failed.push((task.kind(), *rule));
            }
        }
        failed.sort();
        failed
    }

    /// Whether only a person can go on: nothing is under way, nothing is awaited.
    pub(crate) fn is_at_rest(&self) -> bool {
        let next = next(&self.case, self.now(), &self.gates);
        let work = self.case.in_flight() > 0 || next.timer.is_some_and(|w| w.at.since(self.now()) < 86_400_000 / 2);
        let over = matches!(
            self.case.state,
            CaseState::Refused { .. } | CaseState::Sealing | CaseState::Closed
        );
        over || (!work && self.person().is_none())
    }

    /// A person's task, or an approval, that can be given now.
    fn person(&self) -> Option<Command> {
        let by = || "boss@msp.example".to_owned();
        let mut all = self.case.tasks.values();
        all.find_map(|t| match standing(&self.case, t, self.now(), &self.gates) {
            Standing::WaitsForPerson if t.kind() == Kind::ApprovePlan => Some(Command::Approve {
                by: by(),
                of: ApprovalOf::Plan(self.case.plan_digest()),
            }),
            Standing::WaitsForPerson => Some(Command::Attest {
                task: t.id(),
                by: by(),
                file: Some(Digest::of(b"file")),
                ending: None,
                note: String::new(),
            }),
            Standing::WaitsForOwnApproval => Some(Command::Approve {
                by: by(),
                of: ApprovalOf::Task(t.id(), self.case.task_digest(t)),
            }),
            _ => None,
        })
    }

    /// One step: an attempt, else what a person can do, else time.
    async fn step(&mut self) {
        let in_flight = self.case.tasks.values().filter(|t| t.in_flight().is_some());
        let mut ready: Vec<(Kind, TaskId)> = in_flight.map(|t| (t.kind(), t.id())).collect();
        ready.sort();
        if let Some((_, id)) = ready.first().copied() {
            let mut assignment = self.case.assignment(id).unwrap();
            // It was taken in time.
            assignment.start_by = assignment.start_by.max(self.now());
            let report = attempt(&assignment, Lane::Normal, false, &self.context).await;
            let text = serde_json::to_string(&report).unwrap();
            for secret in [CANARY, "ya29", "11111111", "PRIVATE KEY"] {
                let sign_in = assignment.kind == Kind::Resolve;
                assert!(sign_in || !text.contains(secret), "{text}");
            }
            assert!(
                Place {
                    version: report.version,
                    head: report.head
                }
                .version
                    <= self.case.version
            );
            return self.command(Command::RecordReport(Box::new(report)));
        }
        if let Some(command) = self.person() {
            return self.command(command);
        }
        let due = next(&self.case, self.now(), &self.gates).timer.map(|w| w.at);
        let later = due.unwrap_or_else(|| self.now().plus(60_000));
        self.clock.sleep_until(later.max(self.now().plus(1))).await;
        self.command(Command::Tick);
    }

    pub(crate) async fn run_until(&mut self, so: impl Fn(&Self) -> bool) {
        const STEPS_MAX: usize = 4_000;
        for _ in 0..STEPS_MAX {
            if so(self) {
                return;
            }
            self.step().await;
        }
        let all = self.case.tasks.values().filter(|t| !t.is_settled());
        let open: Vec<_> = all
            .map(|t| {
                (
                    t.kind(),
                    standing(&self.case, t, self.now(), &self.gates),
                    t.state.clone(),
                )
            })
            .collect();
        panic!("it does not get there: {open:#?}");
    }

    /// To its end.
    pub(crate) async fn run(&mut self) {
        self.run_until(|d| d.case.state == CaseState::Sealing).await;
        assert_eq!(self.failed(), []);
    }

    /// Everybody and everything else is as it was.
    pub(crate) fn nobody_else_was_touched(&self) {
        let others = |rows: &WorkspaceRows| {
            let mut rows = rows.clone();
            rows.users.remove(LEAVER);
            rows.groups
                .values_mut()
                .for_each(|members| members.retain(|m| m != LEAVER));
            rows.transfers.clear();
            rows.laptops.remove("c1");
            rows.phones.retain(|_, phone| phone.owner != address("anna"));
            rows
        };
        assert_eq!(others(&self.rows()), others(&self.before));
        assert!(self.rows().phones.values().all(|p| !p.wiped_whole));
    }
}

fn departure(manner: Manner) -> Departure {
    Departure {
        tenant: TenantId::new("acme").unwrap(),
        reference: Some("HR-1".into()),
        person: PersonRef {
            mail: Some(address("anna")),
            ..PersonRef::default()
        },
        manner,
        effective_at: Timestamp(T0),
        of_day: None,
        requested_by: "hr@acme.example".into(),
        handed_in_by: None,
        requested_at: Timestamp(T0),
        successor: None,
        choices: offboard_domain::departure::Choices::default(),
    }
}
