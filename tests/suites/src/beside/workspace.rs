//! A Google workspace, beside the directory: each tenant has its own. The same ids are given
//! out in each, so that whoever mistakes the tenant strikes somebody.

use super::accounts::{Elsewhere, HAVE_ONE, Held, canary, lost, mood};
use super::google;
use super::mood::{Mood, lag_ms};
use crate::rng::Rng;
use crate::simulation::Broken;
use crate::vendor::ROOT;
use offboard_connectors::Connector;
use offboard_connectors::google::{self as gws, GoogleConnector, GoogleEndpoints, GoogleSettings, Licence};
use offboard_connectors::graph::HttpClient;
use offboard_domain::{Kind, TenantId, Timestamp};
use offboard_runtime::Secret;
use offboard_sim::face::{GoogleFace, WireAnswer, WireRequest, public_key};
use offboard_sim::population::DemoTenant;
use offboard_sim::world::desk::DeskFault;
use offboard_sim::world::workspace::{
    Workspace, WorkspaceAccess, WorkspaceDriveMember, WorkspaceFault, WorkspaceHabits, WorkspaceLaptop, WorkspacePhone,
    WorkspaceRows, WorkspaceUser,
};
use offboard_sim::world::{Tenant, World};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The service account's key: nobody's but the tests'.
const KEY: &str = include_str!("../../../../workers/connectors/tests/data/test-key.pem");
const ISSUER: &str = "offboard@project.iam.example";
const PRODUCT: &str = "Google-Apps";
const SKU: &str = "1010020020";
/// The scopes that are delegated to it.
const SCOPES: [&str; 11] = [
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
/// How all its tokens begin.
const TOKENS: &str = "ya29.canary-";
/// The id of the administrator for whom the service account acts: a person's follow.
const ROBOT: u64 = 10_000;
/// How many of the accounts have each thing that not all have, in permille.
const SOME: u32 = 300;

/// One tenant's.
struct One {
    workspace: Workspace,
    before: WorkspaceRows,
    /// Whose each account is, by the ids of both.
    people: BTreeMap<String, String>,
}

struct State {
    rng: Rng,
    mood: Mood,
    tenants: BTreeMap<TenantId, One>,
    canaries: Vec<(TenantId, String)>,
}

/// The workspaces, as they truly are.
pub(crate) struct Workspaces {
    habits: WorkspaceHabits,
    state: Mutex<State>,
    broken: Option<Broken>,
}

impl Workspaces {
    pub(super) fn of(seed: u64, broken: Option<Broken>) -> Self {
        let mut rng = Rng::of(seed, "workspace");
        let habits = WorkspaceHabits {
            lag_ms: lag_ms(&mut rng),
            page_max: if rng.happens(300) { 2 } else { 100 },
            numbers: rng.happens(200),
            ..WorkspaceHabits::default()
        };
        let state = State {
            rng,
            mood: mood(seed, "workspace's mood"),
            tenants: BTreeMap::new(),
            canaries: Vec::new(),
        };
        Self {
            habits,
            state: Mutex::new(state),
            broken,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn calm(&self) {
        self.state().mood.calm();
    }

    /// Most of the tenants' people get an account.
    pub(super) fn settle(&self, world: &World, built: &[DemoTenant]) {
        let mut state = self.state();
        let State {
            rng, tenants, canaries, ..
        } = &mut *state;
        for one in built {
            let (Ok(tenant), Some(there)) = (TenantId::new(&one.short), world.tenant(&one.id)) else {
                continue;
            };
            let company = format!("C{}", one.short);
            let mut robot = WorkspaceUser::of(&company, &robot(&tenant));
            robot.administrator = true;
            let mut rows = WorkspaceRows::default();
            rows.users.insert(ROBOT.to_string(), robot);
            let mut people = BTreeMap::new();
            let mut account = ROBOT;
            for (id, _) in there.people.iter() {
                account += 1;
                if self.broken.is_some() || rng.happens(HAVE_ONE) {
                    let canary = canary(rng);
                    move_in(rng, &mut rows, there, id, &account.to_string(), &company, &canary);
                    canaries.push((tenant.clone(), canary));
                    people.insert(account.to_string(), id.to_owned());
                }
            }
            let access = WorkspaceAccess {
                issuer: ISSUER.to_owned(),
                public_key: public_key(KEY).expect("the tests' key is one"),
                scopes: SCOPES
                    .map(|word| format!("https://www.googleapis.com/auth/{word}"))
                    .into(),
                turned_off: BTreeSet::new(),
                forbidden: BTreeSet::new(),
            };
            let one = One {
                workspace: Workspace::new(self.habits, &company, access, rows.clone()),
                before: rows,
                people,
            };
            tenants.insert(tenant, one);
        }
    }

    /// What it is asked with: its key, and how its tokens begin.
    pub(super) fn secrets(&self) -> Vec<String> {
        let key = KEY.lines().nth(1).unwrap_or_default().to_owned();
        vec![key, TOKENS.to_owned()]
    }

    /// Codes that stand for a second factor.
    pub(super) fn codes(&self) -> BTreeSet<String> {
        let state = self.state();
        let users = state.tenants.values().flat_map(|one| one.before.users.values());
        users.flat_map(|user| user.codes.iter().cloned()).collect()
    }

    /// What stands in its accounts alone, and whose people's that is.
    pub(super) fn canaries(&self) -> Vec<(TenantId, String)> {
        self.state().canaries.clone()
    }

    /// What it offers.
    pub(super) fn kinds(&self) -> BTreeSet<Kind> {
        gws::claims(false, true, true)
    }

    /// What a tenant's answers, and how long that takes.
    pub(super) fn answer(
        &self,
        tenant: &TenantId,
        now: Timestamp,
        request: &WireRequest,
    ) -> Option<(WireAnswer, Duration)> {
        let mut state = self.state();
        let State { mood, tenants, .. } = &mut *state;
        let workspace = &mut tenants.get_mut(tenant)?.workspace;
        let away = mood.is_away(now);
        let takes = mood.takes(away);
        if away {
            return Some((lost(), takes));
        }
        workspace.asked.clear();
        workspace.answered.clear();
        // Who asks for a token meets none of them.
        let fault = mood.fault(request.method == "GET").filter(|_| request.path != "/token");
        workspace.faults = fault.map(met).into_iter().collect();
        let (transfers, shut) = counts(workspace);
        let face = GoogleFace::new(ROOT);
        let answer = face.answer(workspace, now.0, request);
        workspace.faults.clear();
        let (transfers_now, shut_now) = counts(workspace);
        match self.broken {
            Some(Broken::FilesAreTransferredTwice) if transfers_now > transfers => {
                drop(face.answer(workspace, now.0, request));
            }
            Some(Broken::AnotherEndsInTheWorkspace) if shut_now > shut => suspend_another(workspace, now),
            _ => {}
        }
        Some((self.told(answer), takes))
    }

    /// What it answers, unless it is broken and calls everybody suspended.
    fn told(&self, answer: WireAnswer) -> WireAnswer {
        match answer {
            WireAnswer::Response(mut response) if self.broken == Some(Broken::TheWorkspaceCallsEverybodySuspended) => {
                let body = String::from_utf8_lossy(&response.body).replace("\"suspended\":false", "\"suspended\":true");
                response.body = body.into_bytes();
                WireAnswer::Response(response)
            }
            other => other,
        }
    }

    /// A tenant's, as it truly is.
    pub(super) fn elsewhere(&self, tenant: &TenantId) -> Option<Elsewhere> {
        let state = self.state();
        let one = state.tenants.get(tenant)?;
        let mut all = Elsewhere::new(google());
        one.compare_accounts(&mut all);
        one.compare_belongings(&mut all);
        let transfers = one.workspace.rows().transfers.values();
        all.transfers = transfers.map(|transfer| one.held(&transfer.from)).collect();
        Some(all)
    }

    /// The product's way to a tenant's.
    pub(super) fn connector(&self, http: &HttpClient, tenant: &TenantId) -> Arc<dyn Connector> {
        let key = json!({"type": "service_account", "client_email": ISSUER, "private_key": KEY});
        let settings = GoogleSettings {
            system: google(),
            admin: robot(tenant),
            key: Secret::new(key.to_string()),
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
        Arc::new(GoogleConnector::open(http, &settings).expect("the simulated workspace's addresses are sound"))
    }
}

impl One {
    fn held(&self, account: &str) -> Held {
        Held {
            account: account.to_owned(),
            person: self.people.get(account).cloned().unwrap_or_default(),
        }
    }

    /// Whose account had this address.
    fn holder(&self, address: &str) -> Held {
        let mut users = self.before.users.iter();
        let account = users.find(|(_, user)| user.address == address);
        self.held(account.map_or("", |(id, _)| id.as_str()))
    }

    fn compare_accounts(&self, all: &mut Elsewhere) {
        let users = &self.workspace.rows().users;
        for (id, before) in &self.before.users {
            let Some(now) = users.get(id) else {
                all.strange.push(format!("{id} was deleted"));
                continue;
            };
            if !now.suspended {
                all.open.push(self.held(id));
            }
            if now != before && is_the_same(before, now) {
                all.ended.push((self.held(id), "was changed".to_owned()));
            } else if now != before {
                all.strange.push(format!("{id} is another than it was"));
            }
        }
        let new = users.keys().filter(|id| !self.before.users.contains_key(*id));
        all.strange.extend(new.map(|id| format!("{id} is new")));
    }

    /// Groups, phones, laptops and drives.
    fn compare_belongings(&self, all: &mut Elsewhere) {
        let (before, now) = (&self.before, self.workspace.rows());
        for (group, members) in &before.groups {
            let left = now.groups.get(group).map(Vec::as_slice).unwrap_or_default();
            let gone = members.iter().filter(|member| !left.contains(member));
            all.ended
                .extend(gone.map(|member| (self.held(member), format!("left {group}"))));
            if left.iter().any(|member| !members.contains(member)) {
                all.strange.push(format!("{group} has a new member"));
            }
        }
        for (id, phone) in &now.phones {
            if phone.wiped_whole {
                all.strange.push(format!("the phone {id} was wiped whole"));
            }
            if phone.told > 0 {
                all.ended
                    .push((self.holder(&phone.owner), format!("is to go from the phone {id}")));
            }
        }
        for (id, laptop) in &now.laptops {
            if before.laptops.get(id) != Some(laptop) {
                all.ended
                    .push((self.holder(&laptop.noted), format!("lost the laptop {id}")));
            }
        }
        for (id, members) in &now.drives {
            // Each had one manager, and whoever came came in his place.
            let had = before.drives.get(id).and_then(|members| members.values().next());
            if before.drives.get(id) != Some(members) {
                let address = had.map_or("", |manager| manager.address.as_str());
                all.ended.push((self.holder(address), format!("shares the drive {id}")));
            }
        }
    }
}

/// The address of the administrator for whom the service account acts.
fn robot(tenant: &TenantId) -> String {
    format!("robot@{tenant}.example")
}

/// Somebody gets an account, and perhaps a phone, a laptop and a drive.
fn move_in(
    rng: &mut Rng,
    rows: &mut WorkspaceRows,
    there: &Tenant,
    person: &str,
    account: &str,
    company: &str,
    canary: &str,
) {
    let Some(person) = there.person(person) else { return };
    let address = &person.upn;
    let manager = person.manager.as_deref().and_then(|manager| there.person(manager));
    let mut user = WorkspaceUser {
        aliases: vec![format!("{canary}@alias.example")],
        manager: manager.map(|manager| manager.upn.clone()),
        second_factor: rng.happens(500),
        licences: BTreeMap::from([(format!("{PRODUCT}/{SKU}"), false)]),
        ..WorkspaceUser::of(company, address)
    };
    if rng.happens(SOME) {
        user.grants = ["app-a", "app-b"].map(str::to_owned).into();
        user.app_passwords = [3, 7].into();
        let code = rng.between(10_000_000, 99_999_999);
        user.codes = BTreeSet::from([code.to_string()]);
    }
    if rng.happens(SOME) {
        user.mailbox.forwards = Some(("elsewhere@alias.example".to_owned(), "trash".to_owned()));
    }
    rows.users.insert(account.to_owned(), user);
    let everybody = rows.groups.entry("g1".to_owned()).or_default();
    everybody.push(account.to_owned());
    if rng.happens(SOME) {
        let phone = WorkspacePhone {
            owner: address.clone(),
            told_ms: None,
            told: 0,
            wiped_whole: false,
        };
        rows.phones.insert(format!("p{account}"), phone);
    }
    if rng.happens(SOME) {
        let laptop = WorkspaceLaptop {
            noted: address.clone(),
            recent: address.clone(),
            status: "ACTIVE".to_owned(),
        };
        rows.laptops.insert(format!("c{account}"), laptop);
    }
    if rng.happens(SOME) {
        let manages = WorkspaceDriveMember {
            address: address.clone(),
            group: false,
            role: "organizer".to_owned(),
            deleted: false,
        };
        let members = BTreeMap::from([(format!("p{account}"), manages)]);
        rows.drives.insert(format!("d{account}"), members);
    }
}

/// What the next request meets, in Google's words.
fn met(fault: DeskFault) -> WorkspaceFault {
    let (status, retry_after_s, happens) = match fault {
        DeskFault::Status(status, retry_after_s, happens) => (Some(status), retry_after_s, happens),
        DeskFault::Cut(happens) => (None, None, happens),
    };
    let reason = if status == Some(429) {
        "rateLimitExceeded"
    } else {
        "backendError"
    };
    WorkspaceFault {
        of: String::new(),
        status,
        reason: reason.to_owned(),
        retry_after_s,
        happens,
    }
}

/// How many transfers there are, and how many accounts that are suspended.
fn counts(workspace: &Workspace) -> (usize, usize) {
    let rows = workspace.rows();
    let shut = rows.users.values().filter(|user| user.suspended);
    (rows.transfers.len(), shut.count())
}

fn suspend_another(workspace: &mut Workspace, now: Timestamp) {
    workspace.change(now.0, None, |rows| {
        let another = rows.users.values_mut().find(|user| !user.suspended);
        if let Some(user) = another {
            user.suspended = true;
        }
    });
}

/// Whether an account is the same person's still, and was not opened.
fn is_the_same(before: &WorkspaceUser, now: &WorkspaceUser) -> bool {
    let is = |user: &WorkspaceUser| {
        let WorkspaceUser {
            customer,
            address,
            aliases,
            number,
            manager,
            administrator,
            administers_some,
            has_mail,
            ..
        } = user.clone();
        (
            (customer, address, aliases, number, manager),
            (administrator, administers_some, has_mail),
        )
    };
    is(before) == is(now) && (now.suspended || !before.suspended)
}
