//! A departure that begins in the client's own directory: a real Active
//! Directory domain, which only the worker at the client's site reaches, and the
//! cloud's copy of it, which the synchronisation makes.

use crate::cluster::people::People;
use crate::cluster::stage::{SITE, Size, Stage};
use offboard_servers::samba::{DOMAIN, REALM, staff};
use offboard_servers::{Samba, SambaOptions};
use offboard_sim::world::Tenant;
use serde_json::Value;
use std::thread;
use std::time::{Duration, Instant};

/// Far longer than it takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(200);
const LOOK_AGAIN: Duration = Duration::from_millis(300);

/// How often something may be ordered of a site before it is known to be away:
/// half a minute of its silence, which is a fifth of a second here.
const ORDERED_UNKNOWING: u64 = 2;

/// The leaver's account on the premises.
const ACCOUNT: &str = "leaver";
/// A group on the premises that the cloud has a copy of.
const TEAM: &str = "team";
/// The computer of his laptop on the premises, which somebody else looks after there.
const COMPUTER: &str = "PC7";
const KEEPER: &str = "Keeper";
/// Not set in `userAccountControl`: it may sign in.
const DISABLED: u32 = 2;

/// What the client's tenant has besides the cloud.
fn premises(samba: &Samba, password_file: &str) -> String {
    format!(
        r#"
[systems.ad]
kind = "active_directory"
site = "{SITE}"
controllers = ["{}"]
user = "{}"
password = {{ file = "{password_file}" }}
ca = "{}"
leavers_unit = "{},{DOMAIN}"
leavers_unit_synchronised = true
"#,
        samba.address(),
        staff::SERVICE,
        samba.authority().display(),
        staff::LEAVERS,
    )
}

/// The synchronisation, as Entra Connect does it: the cloud becomes what the
/// directory on the premises is.
struct Synchronisation<'a> {
    samba: &'a Samba,
    stage: &'a Stage,
    person: String,
    group: String,
    /// The cloud's object of his laptop.
    laptop: String,
}

impl<'a> Synchronisation<'a> {
    /// Makes the leaver, his group and his laptop copies of those on the premises.
    fn tie(samba: &'a Samba, stage: &'a Stage) -> Self {
        let client = &stage.clients[0];
        let person = client.leavers[0].clone();
        let sid = samba.attribute(ACCOUNT, "objectSid").unwrap().remove(0);
        let mut world = stage.world();
        let tenant = world.tenant_mut(&client.directory).unwrap();
        tenant.hybrid = true;
        let row = tenant.people.edit_silently(&person).unwrap();
        let copied = row.on_prem.as_mut().unwrap();
        (copied.sid, copied.sam) = (sid, ACCOUNT.to_owned());
        let mut ids = tenant
            .groups
            .iter()
            .filter(|(_, g)| g.name == "VPN Users")
            .map(|(id, _)| id);
        let group = ids.next().unwrap().to_owned();
        drop(ids);
        tenant.groups.edit_silently(&group).unwrap().synced = true;
        let laptop = join(tenant, &client.laptops[0], &computer(samba, "objectGUID"));
        drop(world);
        Self {
            samba,
            stage,
            person,
            group,
            laptop,
        }
    }

    fn in_cloud<T>(&self, look: impl FnOnce(&mut Tenant) -> T) -> T {
        let mut world = self.stage.world();
        look(world.tenant_mut(&self.stage.clients[0].directory).unwrap())
    }

    fn enabled_on_premises(&self) -> bool {
        let control = self.samba.attribute(ACCOUNT, "userAccountControl").unwrap().remove(0);
        control.parse::<u32>().unwrap() & DISABLED == 0
    }

    fn computer_enabled(&self) -> bool {
        let control = computer(self.samba, "userAccountControl");
        control.parse::<u32>().unwrap() & DISABLED == 0
    }

    fn laptop_enabled(&self) -> bool {
        self.in_cloud(|t| t.devices.get(&self.laptop).unwrap().enabled)
    }

    fn enabled_in_cloud(&self) -> bool {
        self.in_cloud(|t| t.people.get(&self.person).unwrap().account_enabled)
    }

    /// Runs once.
    fn run(&self) {
        let enabled = self.enabled_on_premises();
        let is_member = !self.samba.attribute(ACCOUNT, "memberOf").unwrap().is_empty();
        let computer_enabled = self.computer_enabled();
        let now = self.stage.engine_now_ms();
        self.in_cloud(|tenant| {
            // What a run brings counts from when it was read again, which may be after the run:
            // so each of them brings something of the account.
            tenant.change_on_prem(&self.person);
            if !computer_enabled && let Some(laptop) = tenant.devices.edit(&self.laptop, now) {
                laptop.enabled = false;
            }
            tenant.set_on_prem_enabled(&self.person, now, enabled);
            if !is_member && let Some(group) = tenant.groups.edit(&self.group, now) {
                group.members.remove(&self.person);
            }
            tenant.start_sync(now);
        });
    }
}

/// An attribute of the computer, from the controller's own file.
fn computer(samba: &Samba, attribute: &str) -> String {
    samba.attribute(&format!("{COMPUTER}$"), attribute).unwrap().remove(0)
}

/// Joins a managed device to the domain as well: the cloud knows it by its computer's
/// GUID, and copies it. Gives the id of its object.
fn join(tenant: &mut Tenant, managed: &str, guid: &str) -> String {
    let record = tenant.managed_devices.edit_silently(managed).unwrap();
    let before = std::mem::replace(&mut record.entra_device_id, guid.to_owned());
    let object = tenant.devices.iter().find(|(_, d)| d.device_id == before);
    let object = object.unwrap().0.to_owned();
    let row = tenant.devices.edit_silently(&object).unwrap();
    (row.device_id, row.synced) = (guid.to_owned(), true);
    let enrolled = tenant.autopilots.iter().find(|(_, a)| a.entra_device_id == before);
    let enrolled = enrolled.map(|(id, _)| id.to_owned());
    if let Some(row) = enrolled.and_then(|id| tenant.autopilots.edit_silently(&id)) {
        row.entra_device_id = guid.to_owned();
    }
    object
}

fn shown(stage: &Stage, case: &str) -> Value {
    stage.run(&["show", case, "--json"]).expect(0).json()
}

fn tasks_on_premises(shown: &Value) -> Vec<&Value> {
    let tasks = shown["tasks"].as_array().unwrap().iter();
    tasks.filter(|t| t["system"] == "ad").collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_departure_begins_where_the_truth_is_and_rests_while_the_site_is_away() {
    let samba = Samba::start(&SambaOptions {
        exchange: true,
        named_in_certificate: true,
        seed: staff::ground()
            + &staff::person("Leaver", ACCOUNT, "")
            + &staff::person(KEEPER, "keeper", "")
            + &staff::group(TEAM, &["Leaver"], "")
            + &staff::computer(COMPUTER, "Windows 11", KEEPER),
    })
    .unwrap();
    samba.delegate().unwrap();
    samba.delegate_hiding().unwrap();
    let password = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(password.path(), staff::SERVICE_PASSWORD).unwrap();
    let systems = premises(&samba, &password.path().display().to_string());
    let size = Size {
        tenants: 1,
        leavers_each: 1,
    };
    let stage = Stage::set_hybrid(29, size, &systems).await;
    stage.site_folder(SITE);
    let synchronisation = Synchronisation::tie(&samba, &stage);
    let changed_before = samba.attribute(ACCOUNT, "pwdLastSet").unwrap();

    // The client's site is cut off from the first.
    let roles: Vec<_> = ["dispatcher", "worker", "closer"].map(|role| stage.start(role)).into();
    let file = stage.departures();
    stage.run(&["submit", &file, "--json"]).expect(0);
    let until = Instant::now() + PATIENCE;
    let mut people = People::default();
    let case = loop {
        people.answer(&stage);
        let cases = stage.cases();
        let gates = stage.run(&["resume", "--json"]).out;
        let cut = cases.len() == 1 && !synchronisation.enabled_in_cloud();
        if cut && gates.contains("away/ad") {
            break cases.into_keys().next().unwrap();
        }
        assert!(Instant::now() < until, "not away within {PATIENCE:?}: {gates}");
        thread::sleep(LOOK_AGAIN);
    };
    // Cut at once in the cloud, and nowhere near done: what rests costs no attempt.
    assert!(synchronisation.enabled_on_premises() && synchronisation.computer_enabled());
    thread::sleep(Duration::from_secs(2));
    let resting = shown(&stage, &case);
    for task in tasks_on_premises(&resting) {
        // What was ordered before anybody knew was not begun, and is ordered again.
        assert!(task["attempt"].as_u64().unwrap() <= ORDERED_UNKNOWING, "{task:#}");
        assert_ne!(task["status"], "done", "{task:#}");
    }

    // It comes back; the synchronisation goes on as it does.
    let site = stage.start_at(SITE);
    let until = Instant::now() + PATIENCE;
    loop {
        people.answer(&stage);
        synchronisation.run();
        if stage.cases().values().all(|c| c["state"] == "closed") {
            break;
        }
        if Instant::now() > until {
            let why = stage.run(&["why", &case]).out;
            let said: Vec<String> = roles.into_iter().chain([site]).map(|r| r.end().err).collect();
            panic!("not closed within {PATIENCE:?}:\n{why}\n{}", said.join("\n----\n"));
        }
        thread::sleep(LOOK_AGAIN);
    }
    stage.run(&["verify", &case]).expect(0);

    // What the controller's own file says.
    let of = |attribute: &str| samba.attribute(ACCOUNT, attribute).unwrap();
    assert!(!synchronisation.enabled_on_premises() && !synchronisation.enabled_in_cloud());
    assert!(!synchronisation.computer_enabled() && !synchronisation.laptop_enabled());
    assert_ne!(of("pwdLastSet"), changed_before);
    assert_eq!(of("memberOf"), Vec::<String>::new());
    assert_eq!(
        of("distinguishedName"),
        [format!("CN=Leaver,{},{DOMAIN}", staff::LEAVERS)]
    );
    assert_eq!(of("userPrincipalName"), [format!("{ACCOUNT}@{REALM}")]);
    // What the cloud's copy refuses was routed there, not failed.
    let closed = shown(&stage, &case);
    let kinds: Vec<&str> = tasks_on_premises(&closed)
        .iter()
        .filter(|t| t["outcome"].as_str().is_some_and(|o| o.starts_with("verified")))
        .filter_map(|t| t["kind"].as_str())
        .collect();
    for kind in [
        "identity.disable_on_premises",
        "identity.reset_password_on_premises",
        "identity.hide_on_premises",
        "identity.remove_groups_on_premises",
        "identity.move_to_leavers_unit",
        "device.discover_computers",
        "device.disable_computer",
    ] {
        assert!(kinds.contains(&kind), "{kind} is not among {kinds:?}: {closed:#}");
    }
    for role in roles.into_iter().chain([site]) {
        role.signal("TERM");
        role.wait().expect(0);
    }
}
