//! A whole installation on one machine: broker and store of its own, reached
//! through proxies that can cut them off, a folder for each role with only
//! what that role may have, and the simulated world outside.

use crate::account::Party;
use crate::support::{BadLog, CERTIFICATE, Credential, Folder, Running};
use offboard_connectors::graph::thumbprint;
use offboard_queue::rabbit::{CLOSER, DISPATCHER, WORKER, site_worker};
use offboard_servers::{Disk, Proxy, Rabbit, RabbitOptions, Redis, RedisOptions};
use offboard_sim::face::Simulator;
use offboard_sim::population::{DeviceSpec, PersonSpec, Town};
use offboard_sim::world::{Cruelty, World, catalogue, model::GroupKind};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// An hour lasts twenty-four seconds: long attempts still have real time to run in.
pub(crate) const SCALE: u32 = 150;
/// The site that a client may have.
pub(crate) const SITE: &str = "headquarters";
/// Every so manieth leaver has a company laptop, which is wiped: once.
const LAPTOP_EVERY: usize = 10;
/// Room for the ledger of thousands of departures and for a rewrite of its log.
const DISK_MIB: u32 = 1_024;

/// How large it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) tenants: usize,
    pub(crate) leavers_each: usize,
}

/// One client company.
pub(crate) struct Client {
    pub(crate) handle: String,
    pub(crate) directory: String,
    pub(crate) leavers: Vec<String>,
    pub(crate) laptops: Vec<String>,
    pub(crate) successor: String,
}

/// The installation.
pub(crate) struct Stage {
    pub(crate) folder: Folder,
    pub(crate) clients: Vec<Client>,
    /// What the broker was given: queues, users and what they may do.
    pub(crate) definitions: Value,
    rabbit: Mutex<Rabbit>,
    redis: Mutex<Redis>,
    pub(crate) to_rabbit: Proxy,
    pub(crate) to_redis: Proxy,
    world: Arc<Mutex<World>>,
    /// When engine time began to run faster.
    anchor: i64,
    _simulator: Simulator,
    /// What the ledger keeps its data on, where that must be able to be full.
    /// Removed last.
    disk: Option<Disk>,
}

pub(crate) fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// Engine time.
fn hurried(anchor: i64) -> i64 {
    anchor + (now_ms() - anchor) * i64::from(SCALE)
}

fn variable(user: &str) -> String {
    format!("OFFBOARD_BROKER_PASSWORD_{}", user.to_uppercase().replace('-', "_"))
}

fn password(user: &str) -> String {
    format!("only for tests: {user}")
}

impl Stage {
    /// Sets everything up; no role runs yet.
    pub(crate) async fn set(seed: u64, size: Size) -> Self {
        Self::prepare(seed, size, None, None).await
    }

    /// The same, with the ledger on a disk that can be full: it takes the right to
    /// mount one, so only whoever fills it asks for it.
    pub(crate) async fn set_on_small_disk(seed: u64, size: Size) -> Self {
        let disk = Disk::mount(DISK_MIB).unwrap();
        Self::prepare(seed, size, None, Some(disk)).await
    }

    /// The same, where the leavers' accounts are copies of others on the
    /// premises, and each client has these systems, too.
    pub(crate) async fn set_hybrid(seed: u64, size: Size, systems: &str) -> Self {
        Self::prepare(seed, size, Some(systems), None).await
    }

    async fn prepare(seed: u64, size: Size, hybrid: Option<&str>, disk: Option<Disk>) -> Self {
        let cruelty = Cruelty {
            sync_interval_ms: 0,
            throttle_permille: 2,
            rate_limits: false,
            ..Cruelty::real()
        };
        let anchor = now_ms();
        let mut world = World::new(seed, cruelty);
        let mut folder = Folder::fresh();
        folder.hurry(anchor, SCALE);
        let clients: Vec<Client> = (0..size.tenants)
            .map(|n| {
                found(
                    &mut world,
                    &format!("client-{n:02}"),
                    size.leavers_each,
                    hybrid.is_some(),
                    anchor,
                )
            })
            .collect();
        let world = Arc::new(Mutex::new(world));
        let clock = move || hurried(anchor);
        let simulator = Simulator::start(world.clone(), Arc::new(clock), None).await.unwrap();
        let bases = simulator.bases();
        let bases = [&bases.login[..], &bases.graph, &bases.exchange, &bases.sharepoint];
        for client in &clients {
            folder.tenant(&client.handle, &client.directory, bases, Credential::Certificate);
            let configured = folder.path().join(format!("tenants/{}.toml", client.handle));
            let text = fs::read_to_string(&configured).unwrap();
            let policy = "[policy]\nskip = [\"person.confirm_handover\", \"person.validate\"]\ndepartures_per_hour = 1000\n\n[policy.approvals]\nplan = false\n";
            fs::write(
                &configured,
                text.replace("[policy.approvals]\n", policy) + hybrid.unwrap_or_default(),
            )
            .unwrap();
        }
        let users = [DISPATCHER, WORKER, CLOSER];
        let topology = folder.run_with(&["topology", "--json"], |command| {
            command.envs(users.map(|u| (variable(u), password(u))));
            // Whoever has no site has no such user.
            let user = site_worker(SITE);
            command.env(variable(&user), password(&user));
        });
        let definitions: Value = topology.expect(0).json();
        let rabbit = Rabbit::start(RabbitOptions {
            definitions: Some(definitions.clone()),
            ..RabbitOptions::default()
        })
        .unwrap();
        let redis = Redis::start(&RedisOptions {
            data: disk.as_ref().map(|disk| disk.path().to_owned()),
            ..RedisOptions::default()
        })
        .unwrap();
        let stage = Self {
            anchor,
            to_rabbit: Proxy::to(rabbit.port()).unwrap(),
            to_redis: Proxy::to(redis.port()).unwrap(),
            folder,
            clients,
            definitions,
            rabbit: Mutex::new(rabbit),
            redis: Mutex::new(redis),
            world,
            _simulator: simulator,
            disk,
        };
        for (role, user) in [("dispatcher", DISPATCHER), ("worker", WORKER), ("closer", CLOSER)] {
            stage.role_folder(role, user);
        }
        // Commands that people type.
        stage.configure(stage.folder.path().to_owned(), DISPATCHER);
        stage
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Engine time, which is the simulated vendor's, too.
    pub(crate) fn engine_now_ms(&self) -> i64 {
        hurried(self.anchor)
    }

    pub(crate) fn rabbit(&self) -> MutexGuard<'_, Rabbit> {
        self.rabbit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn redis(&self) -> MutexGuard<'_, Redis> {
        self.redis.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The disk of a stage that was set on a small one.
    #[track_caller]
    pub(crate) fn disk(&self) -> &Disk {
        self.disk.as_ref().expect("the stage was set on a small disk")
    }

    fn role_folder(&self, role: &str, user: &str) {
        let dir = self.folder.path().join("roles").join(role);
        fs::create_dir_all(&dir).unwrap();
        symlink(self.folder.path().join("tenants"), dir.join("tenants")).unwrap();
        self.configure(dir, user);
    }

    fn configure(&self, dir: PathBuf, user: &str) {
        let home = self.folder.path().display().to_string();
        let text = format!(
            r#"ledger = "redis://127.0.0.1:{}"
queue = "amqp://127.0.0.1:{}"
store = "file:{home}/data/store"
evidence = "{home}/evidence"
keys = "{home}/keys"

[connect.queue]
user = "{user}"
password = {{ env = "{}" }}

[admission]
prefetch = 8
"#,
            self.to_redis.port(),
            self.to_rabbit.port(),
            variable(user),
        );
        fs::write(dir.join("offboard.toml"), text).unwrap();
    }

    /// Prepares a folder for the workers of a site, with what they may have and
    /// no more.
    pub(crate) fn site_folder(&self, site: &str) {
        self.role_folder(site, &site_worker(site));
        let dir = self.folder.path().join("roles").join(site);
        let own = dir.join("keys").display().to_string();
        self.run(&["keys", "worker", "--site", site, "--to", &own]).expect(0);
        let all = self.folder.path().join("keys").display().to_string();
        let file = dir.join("offboard.toml");
        let text = fs::read_to_string(&file).unwrap();
        let keys = |folder: &str| format!("keys = \"{folder}\"");
        fs::write(&file, text.replace(&keys(&all), &keys(&own))).unwrap();
    }

    /// Starts a site's worker.
    pub(crate) fn start_at(&self, site: &str) -> Running {
        let dir = format!("roles/{site}");
        let args = ["-C", &dir, "worker", "--site", site];
        self.folder.start_with(&args, |command| {
            secrets(command);
            let user = site_worker(site);
            command.env(variable(&user), password(&user));
        })
    }

    /// Starts a process of a role.
    pub(crate) fn start(&self, role: &str) -> Running {
        let dir = format!("roles/{role}");
        self.folder.start_with(&["-C", &dir, role], secrets)
    }

    /// The same in an environment of its own.
    pub(crate) fn start_with(&self, role: &str, change: impl FnOnce(&mut Command)) -> Running {
        let dir = format!("roles/{role}");
        self.folder.start_with(&["-C", &dir, role], |command| {
            secrets(command);
            change(command);
        })
    }

    /// Starts a process of a role, nothing of whose log can be written.
    pub(crate) fn start_unlogged(&self, role: &str, log: BadLog) -> Running {
        let dir = format!("roles/{role}");
        self.folder.start_unlogged(&["-C", &dir, role], log, secrets)
    }

    /// Lets every process send its traces and metrics to a collector.
    pub(crate) fn watched_by(&self, endpoint: &str) {
        let home = self.folder.path();
        let roles = ["dispatcher", "worker", "closer"].map(|r| home.join("roles").join(r));
        for dir in roles.iter().map(PathBuf::as_path).chain([home]) {
            let path = dir.join("offboard.toml");
            let text = fs::read_to_string(&path).unwrap();
            fs::write(&path, format!("{text}\n[telemetry]\notlp = \"{endpoint}\"\n")).unwrap();
        }
    }

    /// Runs a command in an environment of its own.
    #[track_caller]
    pub(crate) fn run_with(&self, args: &[&str], change: impl FnOnce(&mut Command)) -> crate::support::Ran {
        self.folder.run_with(args, |command| {
            secrets(command);
            change(command);
        })
    }

    /// Runs a command as a person would, with the rights of a dispatcher.
    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) -> crate::support::Ran {
        self.folder.run_with(args, secrets)
    }

    /// Every departure as one file.
    pub(crate) fn departures(&self) -> String {
        self.departures_of(&self.clients)
    }

    /// Those of these clients alone.
    pub(crate) fn departures_of(&self, clients: &[Client]) -> String {
        let all: Vec<Value> = clients
            .iter()
            .flat_map(|client| {
                client.leavers.iter().enumerate().map(|(n, person)| {
                    json!({
                        "tenant": client.handle,
                        "reference": format!("{}-{n}", client.handle),
                        "person": { "object_id": person },
                        "successor": { "object_id": client.successor },
                        "effective_at": "2026-01-01T00:00:00Z",
                    })
                })
            })
            .collect();
        self.folder.write("leavers.json", &json!(all).to_string());
        "leavers.json".to_owned()
    }

    /// What each case is, by its id.
    #[track_caller]
    pub(crate) fn cases(&self) -> BTreeMap<String, Value> {
        by_id(&self.run(&["list", "--json"]).expect(0).json())
    }

    /// [`Stage::cases`], when the servers may be away this moment.
    pub(crate) fn cases_if_there(&self) -> Option<BTreeMap<String, Value>> {
        let ran = self.run(&["list", "--json"]);
        (ran.code == Some(0)).then(|| by_id(&ran.json()))
    }
}

fn by_id(listed: &Value) -> BTreeMap<String, Value> {
    let cases = listed.as_array().unwrap().iter();
    cases
        .map(|c| (c["case"].as_str().unwrap().to_owned(), c.clone()))
        .collect()
}

impl<'a> From<&'a Client> for Party<'a> {
    fn from(client: &'a Client) -> Self {
        Self {
            directory: &client.directory,
            leavers: &client.leavers,
            laptops: &client.laptops,
            successor: &client.successor,
        }
    }
}

fn secrets(command: &mut Command) {
    command.envs([DISPATCHER, WORKER, CLOSER].map(|u| (variable(u), password(u))));
    command.env("OFFBOARD_LOG", "info");
}

fn found(world: &mut World, handle: &str, leavers: usize, synced: bool, now: i64) -> Client {
    let mut town = Town::found(world, handle, now);
    town.register_certificate(&thumbprint(CERTIFICATE).unwrap());
    town.trust_app_with_administrators();
    for prepaid in town.tenant().pool.values_mut() {
        *prepaid = 10_000;
    }
    let chief = town.employee("Charlotte");
    town.role(&chief, catalogue::GLOBAL_ADMINISTRATOR);
    let leavers: Vec<String> = (0..leavers)
        .map(|n| {
            town.person(&PersonSpec {
                manager: Some(chief.clone()),
                synced,
                ..PersonSpec::named(&format!("Leaver{n}"))
            })
        })
        .collect();
    let mut all: Vec<String> = (0..3).map(|n| town.employee(&format!("Stayer{n}"))).collect();
    all.extend(leavers.iter().cloned());
    let members: Vec<&str> = all.iter().map(String::as_str).collect();
    town.group("VPN Users", GroupKind::Security, &members, &[&chief]);
    let laptops = leavers
        .iter()
        .step_by(LAPTOP_EVERY)
        .map(|person| town.device(person, "LAPTOP", DeviceSpec::company()).0)
        .collect();
    Client {
        handle: handle.to_owned(),
        directory: town.id().to_owned(),
        leavers,
        laptops,
        successor: chief,
    }
}
