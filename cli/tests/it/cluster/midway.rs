//! Something ends while departures are on their way and a worker waits for the vendor:
//! a node of the broker, the room on the broker's disk, the memory of the worker. Each
//! departure goes on with what is left, none is lost and nothing is done twice.

use crate::account::{Party, nothing_lost, nothing_twice};
use crate::cluster::people::People;
use crate::cluster::stage::{Client, Size, Stage, now_ms};
use crate::support::{PATIENCE, Running, until};
use offboard_domain::{Area, Lane, Timestamp};
use offboard_queue::rabbit::Address;
use offboard_queue::{Message, Queue as _, QueueName, RabbitConfig, RabbitQueue};
use offboard_runtime::Secret;
use offboard_servers::{ADMINISTRATOR, RabbitCluster};
use offboard_sim::world::{Fault, Op};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

const NODES: usize = 3;
/// What a worker may still take once it is held: a thread's stack, and less than a
/// message of the largest size.
const LEFT_BYTES: u64 = 8 * 1024 * 1024;
const LARGE_BYTES: usize = 14 * 1024 * 1024;

fn one_each(tenants: usize) -> Size {
    Size {
        tenants,
        leavers_each: 1,
    }
}

fn vhost(stage: &Stage) -> String {
    stage.definitions["vhosts"][0]["name"].as_str().unwrap().to_owned()
}

fn submit(stage: &Stage, clients: &[Client]) {
    let file = stage.departures_of(clients);
    stage.run(&["submit", &file, "--json"]).expect(0);
}

/// Hands in these clients' departures, and waits until a worker has asked the vendor for
/// something and hears nothing.
fn until_midway(stage: &Stage, clients: &[Client]) {
    stage.world().order(Op::RevokeSessions, Fault::Silent, 1);
    submit(stage, clients);
    until("the vendor is asked and says nothing", || {
        stage.world().served(Op::RevokeSessions) > 0
    });
}

/// Nothing more happens: everything must close, and the account be right.
fn close(stage: &Stage, roles: Vec<Running>) {
    let roles = People::default().until_all_closed(stage, PATIENCE, roles);
    let parties: Vec<Party<'_>> = stage.clients.iter().map(Into::into).collect();
    let attempts = nothing_lost(&stage.folder, &stage.cases(), &BTreeSet::new(), &parties, "");
    nothing_twice(&mut stage.world(), now_ms(), &parties, &attempts, "");
    for role in roles {
        role.signal("TERM");
        let said = role.wait().expect(0).err;
        for broken in ["panicked", "a part of this process broke"] {
            assert!(!said.contains(broken), "{said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_departure_goes_on_through_another_node_when_one_of_three_is_killed() {
    let stage = Stage::set(61, one_each(1)).await;
    // Its place is taken before anybody has come to it.
    stage.rabbit().kill();
    let mut cluster = RabbitCluster::start().unwrap();
    cluster.running().unwrap().import(&stage.definitions).unwrap();
    let (vhost, queue) = (vhost(&stage), QueueName::Reports { shard: 0 }.to_string());
    cluster.until_on_all(&vhost, &queue).unwrap();
    let leads = cluster.leader(&vhost, &queue).unwrap();
    let (killed, other) = ((leads + 1) % NODES, (leads + 2) % NODES);
    stage.to_rabbit.lead_to(cluster.node(killed).unwrap().port());
    let roles: Vec<Running> = ["dispatcher", "worker", "closer"].map(|role| stage.start(role)).into();
    until_midway(&stage, &stage.clients);

    cluster.node(killed).unwrap().kill();
    stage.to_rabbit.lead_to(cluster.node(other).unwrap().port());
    close(&stage, roles);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn departures_wait_while_the_brokers_disk_is_full_and_then_go_on() {
    let stage = Stage::set(67, one_each(2)).await;
    let roles: Vec<Running> = ["dispatcher", "worker", "closer"].map(|role| stage.start(role)).into();
    let (midway, later) = stage.clients.split_at(1);
    until_midway(&stage, midway);

    stage.rabbit().disk_alarm(true).unwrap();
    // The alarm is told to whoever publishes: the dispatcher has something to order.
    submit(&stage, later);
    until("the dispatcher is told that nothing is taken", || {
        let said = roles[0].logged_so_far();
        said.lines()
            .any(|line| line.contains("takes no publications now") && line.contains("disk"))
    });
    stage.rabbit().disk_alarm(false).unwrap();
    close(&stage, roles);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_worker_goes_on_when_one_is_out_of_memory() {
    let stage = Stage::set(71, one_each(1)).await;
    let mut roles: Vec<Running> = ["dispatcher", "closer"].map(|role| stage.start(role)).into();
    let starved = stage.start_with("worker", |command| {
        // Else it has a gibibyte in store that no limit takes away.
        command.env("MIMALLOC_ARENA_RESERVE", "0");
    });
    let mailbox = QueueName::Assignments {
        area: Area::Mailbox,
        lane: Lane::Normal,
        site: None,
    };
    let queue = as_administrator(&stage, &mailbox).await;
    until_midway(&stage, &stage.clients);

    starved.limit_memory(LEFT_BYTES);
    let large = Message {
        id: "large".to_owned(),
        headers: BTreeMap::new(),
        body: vec![b'x'; LARGE_BYTES].into(),
        expires_at: None,
    };
    queue.publish(&mailbox, vec![large]).await.unwrap();
    let died = starved.wait();
    assert_eq!(died.code, None, "it ended by itself: {}", died.err);
    assert!(died.err.contains("memory allocation of "), "{}", died.err);

    // What the first one died of comes to the second, too.
    roles.push(stage.start("worker"));
    close(&stage, roles);
}

/// Somebody at the broker who may do everything.
async fn as_administrator(stage: &Stage, uses: &QueueName) -> RabbitQueue {
    let (port, password) = {
        let rabbit = stage.rabbit();
        (rabbit.port(), Secret::new(rabbit.password()))
    };
    let address = Address {
        tls: false,
        host: "127.0.0.1".to_owned(),
        port,
        vhost: vhost(stage),
        user: ADMINISTRATOR.to_owned(),
        password: Some(password),
    };
    let config = RabbitConfig::new(address, vec![uses.clone()], Arc::new(|| Timestamp(now_ms())));
    RabbitQueue::connect(config, Duration::from_secs(60)).await.unwrap()
}
