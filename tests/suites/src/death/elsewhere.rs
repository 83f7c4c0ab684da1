//! Death at every await where people have accounts beside the cloud: in a Google workspace,
//! and in applications that are reached by SCIM. The connectors are as they are, the faces
//! answer what goes over the wire, and no socket stands between, so that paused time holds
//! for both.
//!
//! What is compared is what was done to whom and what there is in the end. What leaves the
//! same state however often it is done (a password that nobody knows, a sign-out, the order
//! to a phone to forget the account) may have been done twice; a transfer of files is
//! another one each time, so those are counted.

use super::{Deaths, Outside, Work, Worker, at_every_await_of, case, paused};
use crate::transcript::EPOCH;
use crate::vendor::{ROOT, carried, on_the_wire};
use async_trait::async_trait;
use offboard_connectors::Connector;
use offboard_connectors::google::{GoogleConnector, GoogleEndpoints, GoogleSettings, Licence};
use offboard_connectors::graph::{CarriedAnswer, CarriedRequest, Carrier, HttpClient};
use offboard_connectors::scim::{MatchBy, Profile, ScimAccess, ScimConnector, ScimSettings};
use offboard_domain::catalogue::apps::NAMES;
use offboard_domain::catalogue::workspace::{AT_ONCE, FORWARD, GRANT_MAIL, TRANSFER_FILES};
use offboard_domain::task::PlannedTask;
use offboard_domain::{Digest, Facts, Find, Kind, Subject, System, TenantId, Timestamp};
use offboard_runtime::{Clock, TokioClock};
use offboard_sim::face::{GoogleFace, ScimFace, WireAnswer, WireRequest, public_key};
use offboard_sim::world::app::{App, AppUser, Habits};
use offboard_sim::world::workspace::{
    Workspace, WorkspaceAccess, WorkspaceDriveMember, WorkspaceHabits, WorkspaceLaptop, WorkspacePhone, WorkspaceRows,
    WorkspaceUser,
};
use offboard_store::Store;
use offboard_workers::{Connectors, Context};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The service account's key: nobody's but the tests'.
const KEY: &str = include_str!("../../../../workers/connectors/tests/data/test-key.pem");
const ISSUER: &str = "offboard@project.iam.example";
const COMPANY: &str = "C01";
const LEAVER: &str = "1001";
const SUCCESSOR: &str = "1002";
const ADMINISTRATOR: &str = "1003";
const REPLY: &str = "I have left.";
const PRODUCT: &str = "Google-Apps";
const SKU: &str = "1010020020";
const TOKEN: &str = "the-token-of-the-application";

/// How an effect begins that is another one each time.
const COUNTED: &str = "transfer ";

/// How long an answer takes: whoever dies meanwhile does not learn that it was done.
const TAKES: Duration = Duration::from_millis(20);

/// Every way in which an application ends an account.
const PROFILES: [Profile; 4] = [
    Profile::Patch {
        path: true,
        text: false,
    },
    Profile::Patch {
        path: false,
        text: false,
    },
    Profile::Put { text: false },
    Profile::Delete,
];

/// What is reached over a face.
trait Faced: Send {
    fn hears(&mut self, now: Timestamp, request: &WireRequest) -> WireAnswer;

    /// What was done to it, and to whom.
    fn effects(&self) -> Vec<String>;

    /// What there is, without how often what only repeats itself was done, and when.
    fn leaves(&self) -> String;
}

impl Faced for Workspace {
    fn hears(&mut self, now: Timestamp, request: &WireRequest) -> WireAnswer {
        GoogleFace::new(ROOT).answer(self, now.0, request)
    }

    fn effects(&self) -> Vec<String> {
        self.journal().to_vec()
    }

    fn leaves(&self) -> String {
        let mut rows = self.rows().clone();
        for user in rows.users.values_mut() {
            user.passwords = user.passwords.min(1);
            user.sign_outs = user.sign_outs.min(1);
        }
        for phone in rows.phones.values_mut() {
            phone.told = phone.told.min(1);
            phone.told_ms = phone.told_ms.map(|_| 0);
        }
        for transfer in rows.transfers.values_mut() {
            transfer.requested_ms = 0;
        }
        format!("{rows:#?}")
    }
}

impl Faced for App {
    fn hears(&mut self, now: Timestamp, request: &WireRequest) -> WireAnswer {
        ScimFace.answer(self, now.0, request)
    }

    fn effects(&self) -> Vec<String> {
        self.journal().to_vec()
    }

    fn leaves(&self) -> String {
        let mut users = self.users().clone();
        for user in users.values_mut() {
            user.version = 0;
        }
        format!("{users:#?}")
    }
}

type World = Arc<Mutex<dyn Faced>>;

fn locked(world: &World) -> MutexGuard<'_, dyn Faced + 'static> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The way there: a process may die before a request is taken, and before its answer comes.
struct Way {
    world: World,
    clock: Arc<dyn Clock>,
}

#[async_trait]
impl Carrier for Way {
    async fn carry(&self, request: CarriedRequest) -> Option<CarriedAnswer> {
        tokio::task::yield_now().await;
        let wire = on_the_wire(request);
        let answer = locked(&self.world).hears(self.clock.now(), &wire);
        tokio::time::sleep(TAKES).await;
        carried(answer)
    }
}

struct One(Arc<dyn Connector>);

impl Connectors for One {
    fn get(&self, _tenant: &TenantId, system: &System) -> Option<Arc<dyn Connector>> {
        (self.0.system() == system).then(|| Arc::clone(&self.0))
    }
}

/// One system, and a worker that reaches it.
struct Elsewhere {
    world: World,
    worker: Worker,
}

impl Elsewhere {
    fn new(world: World, open: impl FnOnce(&HttpClient) -> Arc<dyn Connector>) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(TokioClock::new(EPOCH));
        let way = Way {
            world: Arc::clone(&world),
            clock: Arc::clone(&clock),
        };
        let connector = open(&HttpClient::carried_by(Arc::new(way)));
        let context = Context {
            store: Store::memory(),
            connectors: Arc::new(One(connector)),
            escrow: None,
            clock,
        };
        let tenant = TenantId::new("acme").expect("the handle is valid");
        Self {
            world,
            worker: Worker { context, tenant },
        }
    }
}

impl Outside for Elsewhere {
    /// How often each thing was done that is counted, else once; and what there is.
    type Changed = (BTreeMap<String, usize>, String);

    /// What changes a mailbox keeps first what was there, and then changes it.
    const DIE: u32 = 3;

    fn worker(&self) -> &Worker {
        &self.worker
    }

    fn pass(&self, _now: Timestamp) {
        // It is told with each request.
    }

    fn changed(&self) -> Self::Changed {
        let world = locked(&self.world);
        let mut done = BTreeMap::new();
        for effect in world.effects() {
            let counts = effect.starts_with(COUNTED);
            let times = done.entry(effect).or_insert(0);
            *times = if counts { *times + 1 } else { 1 };
        }
        (done, world.leaves())
    }
}

fn address(who: &str) -> String {
    format!("{who}@example.com")
}

fn google() -> System {
    System::new("workspace").expect("the handle is valid")
}

fn app() -> System {
    System::new("app").expect("the handle is valid")
}

/// A company whose leaver has some of everything.
fn rows() -> WorkspaceRows {
    let ours = |who: &str| WorkspaceUser::of(COMPANY, &address(who));
    let mut leaver = ours("leaver");
    leaver.manager = Some(address("successor"));
    leaver.second_factor = true;
    leaver.grants = ["app-a", "app-b"].map(str::to_owned).into();
    leaver.app_passwords = [3, 7].into();
    leaver.codes = ["11111111", "22222222"].map(str::to_owned).into();
    leaver.licences = [(format!("{PRODUCT}/{SKU}"), false)].into();
    leaver.mailbox.forwards = Some((address("elsewhere"), "trash".to_owned()));
    leaver.mailbox.filters = ["f1", "f2"]
        .map(|filter| (filter.to_owned(), Some(address("elsewhere"))))
        .into();
    let users = [
        (LEAVER, leaver),
        (SUCCESSOR, ours("successor")),
        (ADMINISTRATOR, ours("administrator")),
    ];
    let phone = || WorkspacePhone {
        owner: address("leaver"),
        told_ms: None,
        told: 0,
        wiped_whole: false,
    };
    let laptop = || WorkspaceLaptop {
        noted: address("leaver"),
        recent: address("leaver"),
        status: "ACTIVE".to_owned(),
    };
    let manages = || WorkspaceDriveMember {
        address: address("leaver"),
        group: false,
        role: "organizer".to_owned(),
        deleted: false,
    };
    WorkspaceRows {
        users: users.map(|(id, user)| (id.to_owned(), user)).into(),
        groups: ["g1", "g2"]
            .map(|group| (group.to_owned(), vec![LEAVER.to_owned(), SUCCESSOR.to_owned()]))
            .into(),
        phones: ["p1", "p2"].map(|id| (id.to_owned(), phone())).into(),
        laptops: ["c1", "c2"].map(|id| (id.to_owned(), laptop())).into(),
        drives: ["d1", "d2"]
            .map(|id| (id.to_owned(), BTreeMap::from([("p-leaver".to_owned(), manages())])))
            .into(),
        ..WorkspaceRows::default()
    }
}

fn workspace() -> Elsewhere {
    let scopes = [
        "admin.directory.user",
        "admin.directory.user.security",
        "admin.directory.group.readonly",
        "admin.directory.group.member",
        "admin.directory.device.mobile.action",
        "admin.directory.device.chromeos",
        "admin.datatransfer",
        "gmail.settings.basic",
        "gmail.settings.sharing",
        "apps.licensing",
        "drive",
    ];
    let access = WorkspaceAccess {
        issuer: ISSUER.to_owned(),
        public_key: public_key(KEY).expect("the tests' key is one"),
        scopes: scopes
            .map(|word| format!("https://www.googleapis.com/auth/{word}"))
            .into(),
        turned_off: [].into(),
        forbidden: [].into(),
    };
    let key = json!({"type": "service_account", "client_email": ISSUER, "private_key": KEY});
    let settings = GoogleSettings {
        system: google(),
        admin: address("administrator"),
        key: key.to_string().into(),
        licences: vec![Licence {
            product: PRODUCT.to_owned(),
            sku: SKU.to_owned(),
        }],
        shared_drives: true,
        alone: false,
        endpoints: GoogleEndpoints {
            token: format!("{ROOT}/token"),
            admin: ROOT.to_owned(),
            gmail: ROOT.to_owned(),
            licensing: ROOT.to_owned(),
            drive: ROOT.to_owned(),
        },
    };
    let world = Workspace::new(WorkspaceHabits::default(), COMPANY, access, rows());
    Elsewhere::new(Arc::new(Mutex::new(world)), |http| {
        Arc::new(GoogleConnector::open(http, &settings).expect("the simulated workspace's addresses are sound"))
    })
}

fn application(profile: Profile) -> Elsewhere {
    let users = [("u1", "leaver"), ("u2", "successor")];
    let users = users.map(|(id, who)| (id.to_owned(), AppUser::named(&address(who))));
    let settings = ScimSettings {
        system: app(),
        url: format!("{ROOT}/scim/v2"),
        access: ScimAccess::Token(TOKEN.into()),
        authority_pem: None,
        matched: vec![MatchBy::UserName],
        profile,
    };
    let world = App::new(Habits::default(), TOKEN, users.into());
    Elsewhere::new(Arc::new(Mutex::new(world)), |http| {
        Arc::new(ScimConnector::open(http, &settings).expect("the simulated application's address is sound"))
    })
}

fn his_names() -> Facts {
    Facts::new().with(NAMES, vec![address("leaver")])
}

fn finder(kind: Kind, system: &System, params: Facts) -> Work {
    Work {
        subject: Subject::default(),
        task: PlannedTask::new(case(), kind, system, None, params),
        checks: Vec::new(),
    }
}

fn found(system: &System, find: Find) -> Work {
    Work {
        subject: Subject::default(),
        task: PlannedTask::new(case(), find.kind, system, Some(find.object), find.params),
        checks: Vec::new(),
    }
}

/// Everything that there is to do in a workspace, of a planned departure and of an
/// immediate one.
async fn work_in_a_workspace() -> Result<Vec<Work>, String> {
    let mut all: Vec<Work> = Vec::new();
    for at_once in [false, true] {
        let params = his_names()
            .with("successor_is_manager", true)
            .with(AT_ONCE, at_once)
            .with(FORWARD, true)
            .with(GRANT_MAIL, true)
            .with(TRANSFER_FILES, true)
            .with("reply", REPLY)
            .with("reply_digest", Digest::of(REPLY.as_bytes()).to_string());
        let finder = finder(Kind::ResolveInWorkspace, &google(), params);
        let finds = workspace().worker.finds(&finder).await?;
        let known = |kind: Kind, all: &[Work]| all.iter().any(|work| work.task.kind == kind);
        for find in finds {
            if !known(find.kind, &all) {
                all.push(found(&google(), find));
            }
        }
        if !known(finder.task.kind, &all) {
            all.push(finder);
        }
    }
    Ok(all)
}

async fn deaths(all: &[Work], made: impl Fn() -> Elsewhere) -> Result<Vec<Deaths>, String> {
    let mut told = Vec::new();
    for work in all {
        let (awaits, (done, _)) = at_every_await_of(work, async || Ok(made())).await?;
        told.push(Deaths {
            kind: work.task.kind,
            awaits,
            effects: done.values().sum(),
        });
    }
    Ok(told)
}

/// Lets every kind of a workspace die at every await, each in a workspace of its own, and
/// compares that with an undisturbed run's.
///
/// # Errors
/// The first kind and await after which the workspace is another.
pub fn in_a_workspace() -> Result<Vec<Deaths>, String> {
    paused().block_on(async { deaths(&work_in_a_workspace().await?, workspace).await })
}

/// The same of an application, for each way in which one ends an account.
///
/// # Errors
/// The first kind and await after which the application is another.
pub fn in_applications() -> Result<Vec<Deaths>, String> {
    paused().block_on(async {
        let mut told = Vec::new();
        for profile in PROFILES {
            let finder = finder(Kind::ResolveInApp, &app(), his_names());
            let mut all = Vec::new();
            for mut find in application(profile).worker.finds(&finder).await? {
                // As the case gives them to the assignment.
                find.params = find.params.with(NAMES, vec![address("leaver")]);
                all.push(found(&app(), find));
            }
            all.push(finder);
            told.extend(deaths(&all, || application(profile)).await?);
        }
        Ok(told)
    })
}
