//! A dispatcher says the truth about itself and about sites, while the broker takes
//! nothing and after the configuration was read anew. Every role says which queue is
//! missing.

use crate::cluster::stage::{SITE, Size, Stage};
use crate::support::{Ran, Running, until};
use offboard_domain::{Area, Lane};
use offboard_queue::QueueName;
use std::fs;

const SMALL: Size = Size {
    tenants: 1,
    leavers_each: 1,
};

/// As many shards as a configuration has that says nothing.
const SHARDS: u16 = 16;

/// A dispatcher that can be asked how it is, once it is ready.
fn dispatcher(stage: &Stage) -> Running {
    started(stage, "dispatcher")
}

/// A role that can be asked how it is, once it is ready.
fn started(stage: &Stage, role: &str) -> Running {
    let port = offboard_servers::free_port().unwrap();
    let file = stage.folder.path().join("roles").join(role).join("offboard.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{text}\n[telemetry]\nlisten = \"127.0.0.1:{port}\"\n")).unwrap();
    let running = stage.start(role);
    until(&format!("the {role} is ready"), || {
        health_of(stage, role, &[]).code == Some(0)
    });
    running
}

fn health(stage: &Stage, more: &[&str]) -> Ran {
    health_of(stage, "dispatcher", more)
}

fn health_of(stage: &Stage, role: &str, more: &[&str]) -> Ran {
    let dir = format!("roles/{role}");
    let mut args = vec!["-C", &dir, "health"];
    args.extend(more);
    stage.run(&args)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dispatcher_is_not_ready_while_the_broker_takes_nothing_and_then_is_again() {
    let stage = Stage::set(41, SMALL).await;
    let dispatcher = dispatcher(&stage);
    let ready = health(&stage, &[]).expect(0).out;
    assert!(
        ready.contains("✓ publishing\n") && ready.contains("✓ queue\n"),
        "{ready}"
    );
    // One that turns does not hide one that hangs.
    until("the loop of every shard is watched by itself", || {
        let alive = health(&stage, &["--alive"]).out;
        (0..SHARDS).all(|s| alive.contains(&format!("✓ consumer of ob.v1.reports.{s}\n")))
    });

    stage.rabbit().memory_alarm(true).unwrap();
    // The alarm is told to whoever publishes: it has something to order.
    let file = stage.departures();
    stage.run(&["submit", &file, "--json"]).expect(0);
    until("it says that it cannot publish", || {
        let ran = health(&stage, &[]);
        let said = "✗ publishing: the broker takes no publications: ";
        ran.code == Some(1) && ran.out.contains(said)
    });
    health(&stage, &["--alive"]).expect(0);

    stage.rabbit().memory_alarm(false).unwrap();
    until("it is ready again", || health(&stage, &[]).code == Some(0));
    drop(dispatcher);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_role_is_ready_while_a_queue_that_it_needs_is_missing() {
    const MISSING: [(&str, &[&str]); 3] = [
        ("dispatcher", &["ob.v1.identity.urgent", "ob.v1.sealing"]),
        ("closer", &["ob.v1.sealing"]),
        ("worker", &["ob.v1.identity.urgent"]),
    ];
    let stage = Stage::set(53, SMALL).await;
    let _running = MISSING.map(|(role, _)| started(&stage, role));
    let vhost = stage.definitions["vhosts"][0]["name"].as_str().unwrap();
    for queue in ["ob.v1.identity.urgent", "ob.v1.sealing"] {
        stage.rabbit().delete_queue(vhost, queue).unwrap();
    }
    for (role, queues) in MISSING {
        until(&format!("the {role} says what is missing"), || {
            let ran = health_of(&stage, role, &[]);
            let mut lines = ran.out.lines();
            let line = lines.find(|line| line.starts_with("✗ queue: "));
            ran.code == Some(1) && line.is_some_and(|line| queues.iter().all(|queue| line.contains(queue)))
        });
        health_of(&stage, role, &["--alive"]).expect(0);
    }

    stage.rabbit().import(&stage.definitions).unwrap();
    for (role, _) in MISSING {
        until(&format!("the {role} is ready again"), || {
            health_of(&stage, role, &[]).code == Some(0)
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_that_comes_with_a_new_configuration_is_shown_as_away() {
    let stage = Stage::set(43, SMALL).await;
    let dispatcher = dispatcher(&stage);
    let away = || {
        stage
            .run(&["resume", "--json"])
            .expect(0)
            .out
            .contains("away/ad/identity")
    };
    assert!(!away());
    give_a_site(&stage);
    dispatcher.signal("HUP");
    until("the site is away", away);
}

/// The first client gets a system that only a worker at its site reaches.
fn give_a_site(stage: &Stage) {
    let file = stage
        .folder
        .path()
        .join(format!("tenants/{}.toml", stage.clients[0].handle));
    let before = fs::read_to_string(&file).unwrap();
    // What only a worker there needs, the dispatcher does without.
    let inside = format!(
        r#"
[systems.ad]
kind = "active_directory"
site = "{SITE}"
controllers = ["127.0.0.1"]
user = "offboard@corp.example"
password = {{ file = "only-there" }}
"#
    );
    fs::write(&file, before + &inside).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dispatcher_starts_while_the_queues_of_a_site_are_missing_and_says_which() {
    let stage = Stage::set(47, SMALL).await;
    give_a_site(&stage);
    let missing = QueueName::Assignments {
        area: Area::Identity,
        lane: Lane::Urgent,
        site: Some(SITE.to_owned()),
    };
    let missing = missing.to_string();
    let said = dispatcher(&stage).end().err;
    let warned = said
        .lines()
        .any(|line| line.contains(&missing) && line.contains("there is no such queue"));
    assert!(warned, "{said}");
}
