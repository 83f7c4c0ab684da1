//! Whole departures against the simulated vendor, with people in other
//! processes.

use crate::support::{CERTIFICATE, Credential, Folder, until};
use offboard_connectors::graph::thumbprint;
use offboard_sim::face::Simulator;
use offboard_sim::population::{Cast, DemoTenant, demo};
use offboard_sim::world::{Cruelty, World};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

const SEED: u64 = 7;
/// How fast the hurried world is: its hour lasts six seconds.
const SCALE: u32 = 600;
/// How often a person looks before it is clear that nothing comes of it.
const ROUNDS: usize = 400;

fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

struct Stage {
    folder: Folder,
    world: Arc<Mutex<World>>,
    tenant: DemoTenant,
    _simulator: Simulator,
}

impl Stage {
    /// A kind world in which time runs as fast as in the real one.
    async fn kind() -> Self {
        Self::at(1).await
    }

    /// A kind world in which an hour is over in a moment.
    async fn hurried() -> Self {
        Self::at(SCALE).await
    }

    async fn at(scale: u32) -> Self {
        let (mut world, mut tenants) = demo(SEED, Cruelty::kind(), 1, 16, now_ms());
        let thumbprint = thumbprint(CERTIFICATE).unwrap();
        for app in world.tenant_mut(&tenants[0].id).unwrap().apps.values_mut() {
            app.certificate = Some(thumbprint.clone());
        }
        let world = Arc::new(Mutex::new(world));
        let anchor = now_ms();
        let clock = move || anchor + (now_ms() - anchor) * i64::from(scale);
        let simulator = Simulator::start(Arc::clone(&world), Arc::new(clock), None)
            .await
            .unwrap();
        let tenant = tenants.remove(0);
        let mut folder = Folder::fresh();
        if scale > 1 {
            folder.hurry(anchor, scale);
        }
        let bases = simulator.bases();
        let bases = [&bases.login[..], &bases.graph, &bases.exchange, &bases.sharepoint];
        folder.tenant("northwind", &tenant.id, bases, Credential::Certificate);
        Self {
            folder,
            world,
            tenant,
            _simulator: simulator,
        }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cast(&self) -> &Cast {
        &self.tenant.cast
    }

    fn leavers(&self, people: &[(&str, &str)]) -> String {
        let all: Vec<Value> = people
            .iter()
            .map(|(reference, id)| {
                json!({
                    "tenant": "northwind", "reference": reference, "person": { "object_id": id },
                    "effective_at": "2026-01-01T00:00:00Z", "requested_by": "hr@acme.example",
                })
            })
            .collect();
        self.folder.write("leavers.json", &Value::from(all).to_string());
        "leavers.json".to_owned()
    }
}

/// What the lead does: looks at what a person must do, and does it.
fn lead(folder: &Folder, reference: &str) -> bool {
    let view = folder.run(&["show", reference, "--json"]).expect(0).json();
    if view["ended"] == true {
        return true;
    }
    let case = view["case"].as_str().unwrap();
    let actor = "lead@acme.example";
    for need in view["needs"].as_array().unwrap() {
        let task = need["task"].as_str().unwrap();
        // What was needed a moment ago may be done or changed by now: whoever
        // is refused looks again.
        drop(match need["what"].as_str().unwrap() {
            "approve_plan" => folder.run(&["approve", case, "--yes", "--as", actor]),
            "approve_task" => folder.run(&["approve", case, task, "--yes", "--as", actor]),
            "attest" => folder.run(&[
                "attest",
                case,
                task,
                "--file",
                "receipt.txt",
                "--note",
                "seen",
                "--as",
                actor,
            ]),
            _ => {
                let why = folder.run(&["why", case, task]).expect(0).out;
                panic!("nothing fails in a kind world:\n{why}");
            }
        });
    }
    false
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_departures_run_to_signed_evidence() {
    let stage = Stage::hurried().await;
    let folder = &stage.folder;
    folder.write("receipt.txt", "handed over at the desk");
    let file = stage.leavers(&[
        ("HR-1", stage.cast().plain.as_str()),
        ("HR-2", stage.cast().group_licensed.as_str()),
    ]);
    folder.run(&["doctor"]).expect(0);
    let mut running = folder.start(&["run", &file, "--wait", "--json"]);
    folder.until_served_by(&mut running);
    until("it is accepted", || folder.run(&["show", "HR-2"]).code == Some(0));
    let mut rounds = 0;
    until("both have ended", || {
        rounds += 1;
        assert!(
            rounds < ROUNDS,
            "{}",
            folder.run(&["why", "HR-1"]).out + &folder.run(&["why", "HR-2"]).out
        );
        // Both are looked after in every round.
        ["HR-1", "HR-2"].iter().filter(|r| lead(folder, r)).count() == 2
    });
    let ran = running.wait().expect(0);
    let end = ran.objects().pop().unwrap();
    assert_eq!(
        (&end["event"], &end["closed"], &end["open"]),
        (&json!("end"), &json!(2), &json!(0)),
        "{end}"
    );
    for reference in ["HR-1", "HR-2"] {
        let verified = folder.run(&["verify", reference, "--json"]).expect(0).json();
        assert_eq!(verified["valid"], true);
        assert_eq!(verified["statement"]["predicate"]["request"]["reference"], reference);
        evidence_bites(folder, &verified);
    }
    let world = stage.world();
    assert!(world.violations().is_empty(), "{:?}", world.violations());
}

/// Any change is found: exit code 4.
fn evidence_bites(folder: &Folder, verified: &Value) {
    let path = verified["file"].as_str().unwrap();
    let path = folder.path().join(path);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] = if bytes[middle] == b'A' { b'B' } else { b'A' };
    let changed = folder.path().join("changed.dsse.json");
    std::fs::write(&changed, &bytes).unwrap();
    let pem = folder.run(&["keys", "export"]).expect(0).out;
    folder.write("key.pem", &pem);
    folder
        .run(&["verify", path.to_str().unwrap(), "--key", "key.pem"])
        .expect(0);
    let ran = folder
        .run(&["verify", "changed.dsse.json", "--key", "key.pem"])
        .expect(4);
    assert!(ran.err.contains("is not valid evidence"), "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_reads_only_and_says_what_is_true() {
    let stage = Stage::kind().await;
    let before = stage.world().journal().len();
    let file = stage.leavers(&[("HR-1", stage.cast().devices.as_str())]);
    let plan = stage.folder.run(&["plan", &file, "--json"]).expect(0).json();
    assert_eq!(plan[0]["planned"], true, "{plan}");
    let tasks = plan[0]["tasks"].as_array().unwrap();
    let of = |kind: &str| {
        tasks
            .iter()
            .find(|t| t["kind"] == kind)
            .unwrap_or_else(|| panic!("{kind}: {plan}"))
    };
    assert_eq!(of("identity.disable_sign_in")["now"], "change");
    assert_eq!(of("identity.remove_directory_roles")["now"], "true");
    assert_eq!(of("device.wipe")["approval"], "own");
    assert_eq!(of("person.validate")["now"], "person");
    let unread: Vec<&Value> = tasks.iter().filter(|t| t["now"] == "unknown").collect();
    assert!(unread.is_empty(), "{unread:#?}");
    let text = stage.folder.run(&["plan", &file]).expect(0).out;
    assert!(
        text.contains("├─ ") && text.contains("would change") && text.contains("already true"),
        "{text}"
    );
    assert_eq!(stage.world().journal().len(), before, "reading changed something");
    assert!(
        !stage.folder.path().join("data/ledger.db").exists(),
        "nothing was accepted"
    );
    assert!(!stage.folder.path().join("data/store").exists(), "nothing was kept");
    let nobody = stage
        .folder
        .run(&["plan", "--tenant", "northwind", "--person", "nobody@northwind.example"])
        .expect(3);
    assert!(nobody.out.contains("no plan:"), "{}", nobody.out);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_stops_where_only_a_person_is_waited_for() {
    let stage = Stage::kind().await;
    let file = stage.leavers(&[("HR-1", stage.cast().plain.as_str())]);
    let ran = stage.folder.run(&["run", &file]).expect(3);
    assert!(
        ran.err.contains("1 need a person") && ran.err.contains("offboard run"),
        "{}",
        ran.err
    );
    assert!(ran.out.contains("active"), "{}", ran.out);
    // What was accepted goes on at the next start.
    let again = stage.folder.run(&["run", "--json"]).expect(3);
    assert_eq!(again.objects().pop().unwrap()["open"], 1);
    let needs = stage.folder.run(&["show", "HR-1", "--json"]).expect(0).json()["needs"].clone();
    assert_eq!(needs[0]["what"], "approve_plan");
    let wrong = "0".repeat(64);
    let stale = stage
        .folder
        .run(&["approve", "HR-1", "--digest", &wrong, "--as", "lead"])
        .expect(1);
    assert!(stale.err.contains("nothing was approved"), "{}", stale.err);
    let same = stage.folder.run(&["approve", "HR-1", "--yes"]).expect(1);
    assert!(same.err.contains("somebody else must decide"), "{}", same.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_run_loses_nothing() {
    let stage = Stage::kind().await;
    let file = stage.leavers(&[
        ("HR-1", stage.cast().plain.as_str()),
        ("HR-2", stage.cast().sole_owner.as_str()),
    ]);
    for signal in ["KILL", "INT"] {
        let mut running = stage.folder.start(&["run", &file, "--wait"]);
        stage.folder.until_served_by(&mut running);
        until("it is accepted", || stage.folder.run(&["show", "HR-2"]).code == Some(0));
        running.signal(signal);
        let ran = running.wait();
        if signal == "INT" {
            let ran = ran.expect(130);
            assert!(ran.err.contains("go on where they are"), "{}", ran.err);
        }
    }
    let cases = stage.folder.run(&["list", "--json"]).expect(0).json();
    assert_eq!(cases.as_array().unwrap().len(), 2);
}
