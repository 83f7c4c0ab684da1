//! Processes at work from which something is taken that they need: the ledger's
//! rights, the broker's permissions, files to open. Each says what it lacks, each
//! goes on by itself when that is given back, and no departure is lost or made
//! twice, although one came in each time.

use crate::account::{Party, nothing_lost, nothing_twice};
use crate::cluster::people::People;
use crate::cluster::stage::{Size, Stage, now_ms};
use crate::support::{PATIENCE, Ran, Running, until};
use offboard_ledger::redis::{RedisRole, acl_rules};
use offboard_queue::rabbit::WORKER;
use offboard_servers::redis::Reply;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;

const SECRET: &str = "hunter2-of-the-ledger";
/// The variable in which a process finds it.
const VARIABLE: &str = "AT_LEDGER";
/// The roles, and as whom each comes to the ledger.
const ROLES: [(&str, Option<(&str, RedisRole)>); 3] = [
    ("dispatcher", Some(("offboard-dispatcher", RedisRole::Dispatcher))),
    ("closer", Some(("offboard-clerk", RedisRole::Clerk))),
    ("worker", None),
];
/// Fewer than any process has open: nothing more can be opened.
const NO_FILES: u32 = 3;
const USUAL_FILES: u32 = 1_024;

/// Sets what the processes' users of the ledger may do: the rules of their roles,
/// or these.
fn set_rights(stage: &Stage, rules: Option<&str>) {
    for (user, role) in ROLES.iter().filter_map(|(_, user)| *user) {
        let own = acl_rules(role, "offboard");
        let password = format!(">{SECRET}");
        let words = ["ACL", "SETUSER", user, "on", password.as_str()].into_iter();
        let rules = rules.unwrap_or(&own).split(' ').filter(|w| !w.is_empty());
        let words: Vec<&str> = words.chain(rules).collect();
        let said = stage.redis().command(&words).unwrap();
        assert_eq!(said, Reply::Text("OK".to_owned()));
    }
}

/// Starts a role that answers for itself.
fn start(stage: &Stage, role: &str, user: Option<&str>) -> Running {
    let port = offboard_servers::free_port().unwrap();
    let file = stage.folder.path().join("roles").join(role).join("offboard.toml");
    let mut text = fs::read_to_string(&file).unwrap();
    text += &format!("\n[telemetry]\nlisten = \"127.0.0.1:{port}\"\n");
    if let Some(user) = user {
        text += &format!("\n[connect.ledger]\nuser = \"{user}\"\npassword = {{ env = \"{VARIABLE}\" }}\n");
    }
    fs::write(&file, text).unwrap();
    stage.start_with(role, |command| {
        command.env(VARIABLE, SECRET);
    })
}

fn health(stage: &Stage, role: &str) -> Ran {
    let dir = format!("roles/{role}");
    stage.run_with(&["-C", &dir, "health"], |command| {
        command.env(VARIABLE, SECRET);
    })
}

/// Waits until a role is not ready, and says so in this line with these words.
#[track_caller]
fn until_it_lacks(stage: &Stage, role: &str, check: &str, words: &[&str]) {
    let mut last = String::new();
    until(&format!("{role} lacks {check}"), || {
        let ran = health(stage, role);
        last = ran.out + &ran.err;
        let line = last.lines().find(|line| line.starts_with(&format!("✗ {check}: ")));
        let said = line.is_some_and(|line| words.iter().all(|word| line.contains(word)));
        said && ran.code == Some(1)
    });
    assert!(!last.contains(SECRET), "{last}");
}

/// The worker's permissions in the broker's definitions, all taken away.
fn nothing_allowed(definitions: &Value) -> Value {
    let all = definitions["permissions"].as_array().unwrap().iter();
    let taken: Vec<Value> = all
        .filter(|permission| permission["user"] == WORKER)
        .map(|permission| {
            let vhost = &permission["vhost"];
            json!({ "user": WORKER, "vhost": vhost, "configure": "^$", "write": "^$", "read": "^$" })
        })
        .collect();
    assert_eq!(taken.len(), 1);
    json!({ "permissions": taken })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_taken_from_processes_at_work_is_said_and_loses_nothing() {
    let size = Size {
        tenants: 3,
        leavers_each: 1,
    };
    let stage = Stage::set(47, size).await;
    set_rights(&stage, None);
    let mut running: Vec<Running> = ROLES
        .iter()
        .map(|(role, user)| start(&stage, role, user.map(|(name, _)| name)))
        .collect();
    let all_ready = || ROLES.iter().all(|(role, _)| health(&stage, role).code == Some(0));
    until("all are ready", all_ready);
    let mut clients = stage.clients.chunks(1);
    let mut submit_next = || {
        let file = stage.departures_of(clients.next().unwrap());
        stage.run(&["submit", &file, "--json"]).expect(0);
    };

    // Every right in the ledger, which keeps them in and lets them do nothing.
    set_rights(&stage, Some("-@all"));
    submit_next();
    for role in ["dispatcher", "closer"] {
        until_it_lacks(&stage, role, "ledger", &["lacks a right", "rules of its role"]);
    }
    set_rights(&stage, None);

    // Every permission of the worker at the broker.
    stage.rabbit().import(&nothing_allowed(&stage.definitions)).unwrap();
    // A channel in use remembers for a while what it was allowed.
    stage.to_rabbit.cut();
    submit_next();
    until_it_lacks(&stage, "worker", "rights", &["ACCESS_REFUSED", "its permissions"]);
    stage.rabbit().import(&stage.definitions).unwrap();

    // Every file that they could open, with the connections that they had.
    for process in &running {
        process.limit_files(NO_FILES);
    }
    stage.to_rabbit.cut();
    stage.to_redis.cut();
    submit_next();
    until("all say that they can open nothing", || {
        running
            .iter()
            .all(|r| r.logged_so_far().contains("Too many open files"))
    });
    for process in &mut running {
        assert!(process.is_running(), "{}", process.logged_so_far());
        process.limit_files(USUAL_FILES);
    }

    let running = People::default().until_all_closed(&stage, PATIENCE, running);
    assert_eq!(stage.cases().len(), 3);
    until("all are ready again", all_ready);
    let parties: Vec<Party<'_>> = stage.clients.iter().map(Into::into).collect();
    let attempts = nothing_lost(&stage.folder, &stage.cases(), &BTreeSet::new(), &parties, "");
    nothing_twice(&mut stage.world(), now_ms(), &parties, &attempts, "");
    for role in running {
        role.signal("TERM");
        let said = role.wait().expect(0).err;
        for broken in ["panicked", "a part of this process broke", SECRET] {
            assert!(!said.contains(broken), "{said}");
        }
    }
}
