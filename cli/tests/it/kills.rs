//! `kill -9` at random moments of `offboard run`, over two hundred departures,
//! until all are done. Nothing that was accepted is lost, nothing that must
//! happen once happens twice, nobody else is touched, and every case has
//! evidence that verifies. The outside world answers from this process and
//! lives on; its journal says what truly happened.
//!
//! `OFFBOARD_KILL_SEED` chooses other moments; a failure prints its seed.

use crate::account::{Party, nothing_lost, nothing_twice};
use crate::chance::Chance;
use crate::support::{CERTIFICATE, Credential, Folder, Running};
use offboard_connectors::graph::thumbprint;
use offboard_domain::Digest;
use offboard_sim::face::Simulator;
use offboard_sim::population::{DeviceSpec, PersonSpec, Town};
use offboard_sim::world::{Cruelty, Effect, World, catalogue, model::GroupKind};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const LEAVERS: usize = 200;
/// Every so manieth has a company laptop, which is wiped: once.
const LAPTOP_EVERY: usize = 10;
/// An hour lasts twenty-four seconds: long attempts still have real time to run in.
const SCALE: u32 = 150;
/// Kills go on this long, and until wipes and seals were struck; then the last run
/// may finish.
const KILLING_FOR: Duration = Duration::from_secs(30);
/// How often each of the two is aimed at, and how often it is looked.
const STRUCK: u32 = 3;
const AIM_AGAIN: Duration = Duration::from_millis(10);
/// By then they are closed, however slow the machine is.
const KILLING_AT_MOST: Duration = Duration::from_secs(480);
/// Fewer kills than this show nothing.
const FEWEST_KILLS: u32 = 8;
/// Far longer than the end takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(900);
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How often a person looks: to show two hundred cases takes its time too.
const PEOPLE_LOOK_EVERY: Duration = Duration::from_millis(1_500);

const USUAL_SEED: u64 = 4_711;
const LEAD: &str = "lead@acme.example";

fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// How long a process lives: often not even until it is up.
fn life(chance: &mut Chance) -> Duration {
    let most = chance.one(&[150, 800, 3_000, 6_000]);
    chance.millis(20, most)
}

struct Stage {
    folder: Folder,
    world: Arc<Mutex<World>>,
    tenant: String,
    leavers: Vec<String>,
    laptops: Vec<String>,
    successor: String,
    _simulator: Simulator,
}

impl Stage {
    async fn set(seed: u64) -> Self {
        // Answers get lost and things take their time; what is slow for its own
        // sake is for other tests.
        let cruelty = Cruelty {
            stale_read_permille: 50,
            directory_lag_ms: 10_000,
            exchange_lag_ms: 10_000,
            throttle_permille: 1,
            unavailable_permille: 5,
            timeout_after_permille: 5,
            reset_before_permille: 5,
            reset_after_permille: 5,
            conversion_ms: (30_000, 180_000),
            device_action_ms: (60_000, 600_000),
            // A wipe's record is still there when its process has been killed and is up
            // again, however long that takes; that it goes is for other tests.
            record_gone_ms: (12 * 3_600_000, 12 * 3_600_000),
            ..Cruelty::kind()
        };
        let anchor = now_ms();
        let mut world = World::new(seed, cruelty);
        let mut town = Town::found(&mut world, "northwind", anchor);
        town.register_certificate(&thumbprint(CERTIFICATE).unwrap());
        town.trust_app_with_administrators();
        for prepaid in town.tenant().pool.values_mut() {
            *prepaid = 1_000;
        }
        let chief = town.employee("Charlotte");
        town.role(&chief, catalogue::GLOBAL_ADMINISTRATOR);
        let leavers: Vec<String> = (0..LEAVERS)
            .map(|n| {
                town.person(&PersonSpec {
                    manager: Some(chief.clone()),
                    ..PersonSpec::named(&format!("Leaver{n}"))
                })
            })
            .collect();
        // Whoever stays is in the same groups.
        let mut all: Vec<String> = (0..10).map(|n| town.employee(&format!("Stayer{n}"))).collect();
        all.extend(leavers.iter().cloned());
        let members: Vec<&str> = all.iter().map(String::as_str).collect();
        town.group("VPN Users", GroupKind::Security, &members, &[&chief]);
        let laptops = leavers
            .iter()
            .step_by(LAPTOP_EVERY)
            .map(|person| town.device(person, "LAPTOP", DeviceSpec::company()).0)
            .collect();
        let tenant = town.id().to_owned();
        let world = Arc::new(Mutex::new(world));
        let clock = move || anchor + (now_ms() - anchor) * i64::from(SCALE);
        let simulator = Simulator::start(world.clone(), Arc::new(clock), None).await.unwrap();
        let mut folder = Folder::fresh();
        folder.hurry(anchor, SCALE);
        let bases = simulator.bases();
        let bases = [&bases.login[..], &bases.graph, &bases.exchange, &bases.sharepoint];
        folder.tenant("northwind", &tenant, bases, Credential::Certificate);
        let configured = folder.path().join("tenants/northwind.toml");
        let text = fs::read_to_string(&configured).unwrap();
        let policy = "[policy]\nskip = [\"person.confirm_handover\", \"person.validate\"]\ndepartures_per_hour = 1000\n\n[policy.approvals]\nplan = false\n";
        fs::write(&configured, text.replace("[policy.approvals]\n", policy)).unwrap();
        folder.write("offboard.toml", "[admission]\nprefetch = 8\n");
        Self {
            folder,
            world,
            tenant,
            leavers,
            laptops,
            successor: chief,
            _simulator: simulator,
        }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hand_in(&self) -> &'static str {
        let all: Vec<Value> = self
            .leavers
            .iter()
            .enumerate()
            .map(|(n, id)| {
                json!({
                    "tenant": "northwind", "reference": format!("HR-{n}"), "person": { "object_id": id },
                    "effective_at": "2026-01-01T00:00:00Z", "requested_by": "hr@acme.example",
                })
            })
            .collect();
        self.folder.write("leavers.json", &Value::from(all).to_string());
        "leavers.json"
    }
}

/// How far it has come.
#[derive(Debug)]
struct Happened {
    /// Wipes ordered.
    wiped: usize,
    /// Accounts and their pages that are written, or begun to be.
    sealed: usize,
}

impl Happened {
    fn by_now(stage: &Stage) -> Self {
        let world = stage.world();
        let wiped = world.journal().into_iter();
        let wiped = wiped.filter(|e| e.effect == Effect::WipeOrdered).count();
        let entries = |folder: &Path| -> Vec<PathBuf> {
            let all = fs::read_dir(folder).into_iter().flatten().flatten();
            all.map(|entry| entry.path()).collect()
        };
        let months = entries(&stage.folder.path().join("evidence/northwind"));
        Self {
            wiped,
            sealed: months.iter().map(|month| entries(month).len()).sum(),
        }
    }
}

/// Which kills struck at something, and not at random.
#[derive(Debug, Default)]
struct Struck {
    /// Right after a wipe was ordered.
    wiping: u32,
    /// Right after an account was begun to be written.
    sealing: u32,
}

impl Struck {
    /// Lets a process live for so long, or until it does what is not struck often
    /// enough yet.
    fn wait(&mut self, stage: &Stage, life: Duration) {
        let (began, before) = (Instant::now(), Happened::by_now(stage));
        while began.elapsed() < life {
            thread::sleep(AIM_AGAIN);
            let now = Happened::by_now(stage);
            if now.wiped > before.wiped && self.wiping < STRUCK {
                self.wiping += 1;
                return;
            }
            if now.sealed > before.sealed && self.sealing < STRUCK {
                self.sealing += 1;
                return;
            }
        }
    }
}

/// What a killed process had said: the cases that it called accepted. Its last
/// line may have been cut.
fn accepted(out: &str, into: &mut BTreeSet<String>) {
    for line in out.lines() {
        let Ok(said) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        if let Some(case) = said["departure"]["case"]
            .as_str()
            .filter(|_| said["event"] == "accepted" || said["event"] == "known")
        {
            into.insert(case.to_owned());
        }
    }
}

/// A person in another process: approves every wipe and confirms every return,
/// over the socket of whichever process serves at the moment. Gives what no
/// person should have to decide here.
fn people(socket: &Path, receipt: Digest, over: &AtomicBool) -> BTreeSet<String> {
    let mut failed = BTreeSet::new();
    while !over.load(Ordering::Relaxed) {
        // A process that was killed hangs up in the middle of anything.
        let _ = attend(socket, receipt, &mut failed);
        thread::sleep(PEOPLE_LOOK_EVERY);
    }
    failed
}

fn attend(socket: &Path, receipt: Digest, failed: &mut BTreeSet<String>) -> Option<()> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let mut lines = BufReader::new(stream.try_clone().ok()?);
    let mut ask = |request: Value| -> Option<Value> {
        stream.write_all(format!("{request}\n").as_bytes()).ok()?;
        let mut line = String::new();
        lines.read_line(&mut line).ok()?;
        serde_json::from_str(&line).ok()
    };
    let listed = ask(json!({ "ask": "list", "open_only": true, "limit": 500 }))?;
    for case in listed["with"]["cases"].as_array()? {
        if case["needs"].as_u64() == Some(0) {
            continue;
        }
        let case = case["case"].as_str()?;
        let shown = ask(json!({ "ask": "show", "case": case }))?["with"].clone();
        for need in shown["needs"].as_array()? {
            let task = need["task"].as_str()?;
            let digest = shown["tasks"].as_array()?.iter().find(|t| t["id"] == task)?["digest"].clone();
            let request = match need["what"].as_str()? {
                "approve_task" => {
                    json!({ "ask": "approve", "case": case, "by": LEAD, "of": { "task": { "task": task, "digest": digest } } })
                }
                "attest" => {
                    json!({ "ask": "attest", "case": case, "task": task, "by": LEAD, "file": receipt, "note": "at the desk" })
                }
                _ => {
                    failed.insert(need.to_string());
                    json!({ "ask": "retry", "case": case, "task": task, "by": LEAD })
                }
            };
            ask(request)?;
        }
    }
    Some(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_moments_it_loses_nothing_and_does_nothing_twice() {
    let seed = std::env::var("OFFBOARD_KILL_SEED").map_or(USUAL_SEED, |s| s.parse().unwrap());
    let stage = Stage::set(seed).await;
    let folder = &stage.folder;
    let store = offboard_store::Store::folder(&folder.path().join("data/store")).unwrap();
    let receipt = store.put(b"handed in at the desk".to_vec()).await.unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let lead = thread::spawn({
        let (socket, over) = (folder.socket(), over.clone());
        move || people(&socket, receipt, &over)
    });
    let file = stage.hand_in();
    let run = || folder.start(&["run", file, "--json", "--wait"]);
    let mut chance = Chance::of(seed);
    let mut promised = BTreeSet::new();
    let (began, mut kills) = (Instant::now(), 0);
    let figures = |kills: u32| format!("seed {seed}: {kills} kills, {} s", began.elapsed().as_secs());
    let mut struck = Struck::default();
    while began.elapsed() < KILLING_FOR || struck.sealing < STRUCK {
        assert!(
            began.elapsed() < KILLING_AT_MOST,
            "{}: nothing closes amid kills: {struck:?}",
            figures(kills)
        );
        let running: Running = run();
        struck.wait(&stage, life(&mut chance));
        running.signal("KILL");
        let ran = running.wait();
        assert_eq!(ran.code, None, "{}: it ended by itself: {}", figures(kills), ran.err);
        accepted(&ran.out, &mut promised);
        kills += 1;
    }
    let mut last_run = run();
    let until = Instant::now() + PATIENCE;
    while last_run.is_running() && !lead.is_finished() && Instant::now() < until {
        thread::sleep(LOOK_AGAIN);
    }
    over.store(true, Ordering::Relaxed);
    let failed = lead.join().unwrap();
    let figures = figures(kills);
    assert!(failed.is_empty(), "{figures}: {failed:#?}");
    assert!(!last_run.is_running(), "{figures}: not done:\n{}", why_open(folder));
    let last = last_run.wait();
    println!("{figures}");
    assert!(kills >= FEWEST_KILLS, "{figures}");
    assert!(struck.wiping > 0, "{figures}: no kill struck a wipe: {struck:?}");
    assert_eq!(last.code, Some(0), "{figures}: {}", last.err);
    accepted(&last.out, &mut promised);
    let listed = folder.run(&["list", "--json"]).expect(0).json();
    let cases = listed.as_array().unwrap().iter();
    let cases = cases
        .map(|c| (c["case"].as_str().unwrap().to_owned(), c.clone()))
        .collect();
    let party = Party {
        directory: &stage.tenant,
        leavers: &stage.leavers,
        laptops: &stage.laptops,
        successor: &stage.successor,
    };
    let attempts = nothing_lost(folder, &cases, &promised, &[party], &figures);
    nothing_twice(&mut stage.world(), now_ms(), &[party], &attempts, &figures);
}

/// What holds those up that are open.
fn why_open(folder: &Folder) -> String {
    let listed = folder.run(&["list", "--json"]).json();
    let open = listed.as_array().unwrap().iter().filter(|c| c["ended"] == false);
    open.take(3)
        .map(|c| folder.run(&["why", c["case"].as_str().unwrap()]).out)
        .collect()
}
