//! Clients' files are read anew while the roles run: a client that is added is served from
//! then on, and a file with a mistake changes nothing.

use crate::cluster::people::People;
use crate::cluster::stage::{Client, Size, Stage};
use crate::support::{Running, until};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// Far longer than it takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(200);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_is_added_is_served_and_a_mistake_in_its_file_changes_nothing() {
    let stage = Stage::set(
        59,
        Size {
            tenants: 2,
            leavers_each: 1,
        },
    )
    .await;
    let (there, added) = stage.clients.split_at(1);
    let file = stage.folder.path().join(format!("tenants/{}.toml", added[0].handle));
    let right = fs::read_to_string(&file).unwrap();
    fs::remove_file(&file).unwrap();
    let roles: Vec<Running> = ["dispatcher", "worker", "closer"].map(|role| stage.start(role)).into();
    all_say(&roles, "Running as");

    fs::write(&file, "name =\n").unwrap();
    reload(&roles, "the old one stays in force");
    // Whoever types commands has no broken file, and the roles have what they had.
    fs::remove_file(&file).unwrap();
    closes(&stage, there, &roles);

    fs::write(&file, right).unwrap();
    reload(&roles, "read the configuration anew");
    closes(&stage, added, &roles);
    for role in roles {
        role.signal("TERM");
        role.wait().expect(0);
    }
}

/// Has the files read anew by every role, and waits until each says what came of it.
fn reload(roles: &[Running], said: &str) {
    for role in roles {
        role.signal("HUP");
    }
    all_say(roles, said);
}

fn all_say(roles: &[Running], said: &str) {
    for role in roles {
        until(&format!("it says '{said}'"), || role.logged_so_far().contains(said));
    }
}

/// The departures of these clients are carried out to evidence that verifies.
fn closes(stage: &Stage, clients: &[Client], roles: &[Running]) {
    let file = stage.departures_of(clients);
    stage.run(&["submit", &file]).expect(0);
    let mut people = People::default();
    let until = Instant::now() + PATIENCE;
    loop {
        people.answer(stage);
        let mut cases = stage.cases();
        cases.retain(|_, case| clients.iter().any(|client| case["tenant"] == client.handle.as_str()));
        if !cases.is_empty() && cases.values().all(|case| case["state"] == "closed") {
            for case in cases.keys() {
                stage.run(&["verify", case]).expect(0);
            }
            return;
        }
        if Instant::now() > until {
            let why: String = cases.keys().map(|case| stage.run(&["why", case]).out).collect();
            let said: Vec<String> = roles.iter().map(Running::logged_so_far).collect();
            panic!("not closed within {PATIENCE:?}:\n{why}\n{}", said.join("\n----\n"));
        }
        thread::sleep(Duration::from_millis(500));
    }
}
