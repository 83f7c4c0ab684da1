//! A working folder before a simulated vendor, and the lead who does what
//! people must do.

use crate::support::{CERTIFICATE, Credential, Folder};
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
pub(crate) const ROUNDS: usize = 4_000;

fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

pub(crate) struct Stage {
    pub(crate) folder: Folder,
    world: Arc<Mutex<World>>,
    tenant: DemoTenant,
    _simulator: Simulator,
}

impl Stage {
    /// A kind world in which time runs as fast as in the real one.
    pub(crate) async fn kind() -> Self {
        Self::at(1).await
    }

    /// A kind world in which an hour is over in a moment.
    pub(crate) async fn hurried() -> Self {
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
            let path = folder.path().join("offboard.toml");
            let text = std::fs::read_to_string(&path).unwrap();
            std::fs::write(&path, fewer_at_once(&text)).unwrap();
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

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn tenant_id(&self) -> String {
        self.tenant.id.clone()
    }

    pub(crate) fn cast(&self) -> &Cast {
        &self.tenant.cast
    }

    pub(crate) fn leavers(&self, people: &[(&str, &str)]) -> String {
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

/// An attempt has little real time where engine time runs fast: fewer at once.
pub(crate) fn fewer_at_once(engine: &str) -> String {
    const SECTION: &str = "[admission]\n";
    match engine.contains(SECTION) {
        true => engine.replacen(SECTION, "[admission]\nprefetch = 4\n", 1),
        false => format!("{engine}\n{SECTION}prefetch = 4\n"),
    }
}

/// Who decides.
pub(crate) const LEAD: &str = "lead@acme.example";

/// What the lead does: looks at what a person must do, and does it. Nothing fails
/// in a kind world.
pub(crate) fn lead(folder: &Folder, reference: &str) -> bool {
    attend(folder, reference, |case, need| {
        let task = need["task"].as_str().unwrap();
        panic!("it failed:\n{}", folder.run(&["why", case, task]).expect(0).out);
    })
}

/// The same, and what failed is given to whoever knows what to do about it: its
/// case and what is needed of it.
pub(crate) fn attend(folder: &Folder, reference: &str, mut failed: impl FnMut(&str, &Value)) -> bool {
    let view = folder.run(&["show", reference, "--json"]).expect(0).json();
    if view["ended"] == true {
        return true;
    }
    let case = view["case"].as_str().unwrap();
    for need in view["needs"].as_array().unwrap() {
        let task = need["task"].as_str().unwrap();
        // What was needed a moment ago may be done or changed by now: whoever
        // is refused looks again.
        match need["what"].as_str().unwrap() {
            "approve_plan" => drop(folder.run(&["approve", case, "--yes", "--as", LEAD])),
            "approve_task" => drop(folder.run(&["approve", case, task, "--yes", "--as", LEAD])),
            "attest" => {
                let with = ["--file", "receipt.txt", "--note", "seen", "--as", LEAD];
                drop(folder.run(&[&["attest", case, task][..], &with].concat()));
            }
            _ => failed(case, need),
        }
    }
    false
}
