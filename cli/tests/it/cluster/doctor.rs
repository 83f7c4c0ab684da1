//! `offboard doctor` where processes share the work: what it says of broker and
//! ledger, and that neither a silent nor an absent server holds it up.

use crate::cluster::servers::{LEDGER_PASSWORD, PASSWORD, Role, definitions, quiet, store, store_options};
use offboard_ledger::redis::{RedisRole, SENTINEL_RULES, acl_rules};
use offboard_queue::rabbit::{CLOSER, DISPATCHER, WORKER};
use offboard_servers::{ClosedPort, Rabbit, RabbitOptions, RedisSentinel};
use serde_json::Value;
use std::net::TcpListener;
use std::time::{Duration, Instant};

/// Far more than it takes on a busy machine, far less than to wait for a server
/// that never answers.
const SOON: Duration = Duration::from_secs(45);

impl Role {
    #[track_caller]
    fn doctor(&self, code: i32) -> Found {
        let began = Instant::now();
        let ran = self.run(&["doctor", "--json"], PASSWORD).expect(code);
        assert!(began.elapsed() < SOON, "{:?}: {ran:?}", began.elapsed());
        Found(ran.json())
    }
}

/// What doctor found, by the part of the installation.
struct Found(Value);

impl Found {
    fn of(&self, part: &str) -> Vec<(&str, String)> {
        let parts = self.0.as_array().unwrap();
        let found = parts
            .iter()
            .find(|p| p["part"] == part)
            .unwrap_or_else(|| panic!("{part}: {}", self.0));
        let finding = |f: &'_ Value| {
            format!(
                "{} → {}",
                f["what"].as_str().unwrap(),
                f["how_to_mend"].as_str().unwrap()
            )
        };
        let findings = found["findings"].as_array().unwrap();
        findings
            .iter()
            .map(|f| (f["severity"].as_str().unwrap(), finding(f)))
            .collect()
    }

    #[track_caller]
    fn says(&self, part: &str, severity: &str, text: &str) {
        let found = self.of(part);
        let said = found.iter().any(|(s, what)| *s == severity && what.contains(text));
        assert!(said, "no {severity} of {part} says '{text}': {found:#?}");
    }

    #[track_caller]
    fn is_fine(&self, part: &str) {
        let found = self.of(part);
        assert!(found.iter().all(|(severity, _)| *severity == "fine"), "{found:#?}");
    }
}

#[test]
fn all_is_well() {
    let redis = store(|_| {});
    let mut role = Role::over(redis.port(), quiet().port(), "quiet");
    let found = role.doctor(0);
    found.is_fine("ledger");
    found.says("ledger", "fine", "appendfsync always");
    found.is_fine("queue");
    found.says("queue", "fine", "17 queues that it consumes are quorum queues");
    found.says("queue", "fine", "there is no dead letter");
    let (version, _) = quiet().versions().unwrap();
    let text = role.run(&["doctor"], PASSWORD).expect(0).out;
    assert!(
        text.contains(&format!("RabbitMQ {version} at amqp://{DISPATCHER}@")),
        "{text}"
    );
    for (user, queues) in [(WORKER, 12), (CLOSER, 1)] {
        role.at_queue = Some(user);
        let found = role.doctor(0);
        found.says("queue", "fine", &format!("{queues} queues that it consumes"));
    }
    // Who only gives orders names nobody there.
    role.at_queue = None;
    role.doctor(0)
        .says("queue", "warning", "the folder names no user there");
    // Looking makes no installation of a store that has none.
    let held = redis.command(&["DBSIZE"]).unwrap();
    assert_eq!(held, offboard_servers::redis::Reply::Number(0));
}

#[test]
fn as_the_users_that_are_deployed_it_says_what_they_may_not_see() {
    let redis = store(|_| {});
    let mut role = Role::over(redis.port(), quiet().port(), "quiet");
    role.at_ledger = Some("offboard-dispatcher");
    let found = role.doctor(0);
    // That it throws nothing away and keeps a log they do see.
    let warnings = found
        .of("ledger")
        .into_iter()
        .filter(|(severity, _)| *severity != "fine");
    assert_eq!(warnings.count(), 1);
    found.says("ledger", "warning", "appendfsync of the store: the user may not look");
    found.says("ledger", "warning", "offboard-health");
    role.at_ledger = Some("offboard-health");
    role.doctor(0).is_fine("ledger");
}

#[test]
fn a_store_that_loses_history_is_a_problem() {
    let redis = store(|options| {
        options.eviction = "allkeys-lru";
        options.append_only = false;
    });
    let mut role = Role::over(redis.port(), quiet().port(), "quiet");
    for who in [None, Some("offboard-dispatcher")] {
        role.at_ledger = who;
        let found = role.doctor(1);
        found.says(
            "ledger",
            "problem",
            "(maxmemory-policy allkeys-lru): set maxmemory-policy noeviction",
        );
        found.says("ledger", "problem", "set appendonly yes");
        found.says(
            "ledger",
            "problem",
            "no dispatcher and no closer starts before that is mended",
        );
        found.is_fine("queue");
    }
}

#[test]
fn sentinels_let_in_who_the_folder_names_for_them() {
    let servers = RedisSentinel::start(&store_options()).unwrap();
    let watcher = format!("watcher on {SENTINEL_RULES} >{LEDGER_PASSWORD}");
    servers.admit_only(&watcher).unwrap();
    let mut role = Role::at(servers.url(), quiet().port(), "quiet");
    role.at_ledger = Some("offboard-health");
    role.at_sentinels = Some("watcher");
    let found = role.doctor(0);
    found.is_fine("ledger");
    found.says("ledger", "fine", "1 replicas");
    for who in [None, Some("offboard-health")] {
        role.at_sentinels = who;
        let found = role.doctor(1);
        found.says("ledger", "problem", "it refuses the credentials");
        found.says("ledger", "problem", "sentinel_password");
    }
}

#[test]
fn rights_and_shards_that_do_not_fit_are_named() {
    let weak = acl_rules(RedisRole::Dispatcher, "offboard")
        .replace(" +zadd", "")
        .replace(" +rpush", "");
    let redis = store(|options| options.users.push(format!("weak on >{LEDGER_PASSWORD} {weak}")));
    let mut role = Role::over(redis.port(), quiet().port(), "quiet");
    role.at_ledger = Some("weak");
    let found = role.doctor(1);
    found.says(
        "ledger",
        "problem",
        "the user lacks rights that every append takes (+rpush +zadd)",
    );
    role.at_ledger = None;
    let put = ["SET", "{offboard:0}:installation", "format=1 shards=4"];
    redis.command(&put).unwrap();
    let found = role.doctor(1);
    found.says("ledger", "problem", "has 4 shards and the configuration says 16");
}

#[test]
fn a_wrong_password_is_a_problem_and_is_not_repeated() {
    let redis = store(|_| {});
    let mut role = Role::over(redis.port(), quiet().port(), "quiet");
    let ran = role.run(&["doctor", "--json"], "hunter2-and-wrong").expect(1);
    let found = Found(ran.json());
    found.says(
        "queue",
        "problem",
        "failed to connect to the broker amqp://offboard-dispatcher@127.0.0.1",
    );
    found.says("queue", "problem", "ACCESS_REFUSED");
    found.says("queue", "problem", "[connect.queue]");
    role.at_ledger = Some("nobody");
    let found = role.doctor(1);
    found.says("ledger", "problem", "it refuses the credentials");
    // Nor one that stands where it does not belong.
    role.queue = format!("amqp://{DISPATCHER}:{PASSWORD}@127.0.0.1/quiet");
    role.run(&["doctor"], PASSWORD).expect(2);
}

#[test]
fn a_missing_queue_is_a_problem() {
    let broker = quiet();
    broker.import(&definitions("lacking")).unwrap();
    broker.delete_queue("lacking", "ob.v1.device.urgent").unwrap();
    let redis = store(|_| {});
    let role = Role::over(redis.port(), broker.port(), "lacking");
    let found = role.doctor(1);
    found.says("queue", "problem", "the broker lacks queue ob.v1.device.urgent");
    found.says("queue", "problem", "offboard topology");
}

#[test]
fn an_alarm_is_a_problem() {
    let broker = Rabbit::start(RabbitOptions {
        definitions: Some(definitions("low")),
        ..RabbitOptions::default()
    })
    .unwrap();
    let redis = store(|_| {});
    let role = Role::over(redis.port(), broker.port(), "low");
    role.doctor(0).is_fine("queue");
    broker.memory_alarm(true).unwrap();
    let found = role.doctor(1);
    found.says("queue", "problem", "the broker takes no publications: low on memory");
    broker.memory_alarm(false).unwrap();
    role.doctor(0).is_fine("queue");
}

#[test]
fn a_server_that_never_answers_holds_nobody_up() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let mut role = Role::over(port, port, "quiet");
    for who in [None, Some("offboard-dispatcher")] {
        role.at_ledger = who;
        let found = role.doctor(1);
        found.says("queue", "problem", "nothing answered within 5 s");
        found.says("ledger", "problem", &format!("redis://127.0.0.1:{port}"));
    }
    // Nor one that is not there; and nobody asks where nobody is to be asked.
    let closed = ClosedPort::take().unwrap();
    let role = Role::over(closed.port(), closed.port(), "quiet");
    let found = role.doctor(1);
    found.says("queue", "problem", "refused");
    found.says("ledger", "problem", "refused");
    let offline = role.run(&["doctor", "--offline", "--json"], PASSWORD).expect(0);
    Found(offline.json()).says("queue", "fine", "not asked (--offline)");
}

#[test]
fn what_the_brokers_administrator_exports_is_compared_with_what_must_be_there() {
    let redis = store(|_| {});
    let role = Role::over(redis.port(), quiet().port(), "quiet");
    role.doctor(0).says("queue", "fine", "offboard doctor --broker FILE");
    let file = role.folder.path().join("held.json");
    let file = file.to_str().unwrap();
    let doctor = |code: i32| {
        let ran = role.run(&["doctor", "--json", "--broker", file], PASSWORD);
        Found(ran.expect(code).json())
    };
    // As the broker says it, whatever else it holds.
    quiet().control(&["export_definitions", file]).unwrap();
    let found = doctor(0);
    found.is_fine("broker");
    found.says("broker", "fine", "all 6 policies are as they should be");
    found.says("broker", "fine", "bindings are as they should be");

    let mut held: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let gone = |held: &mut Value, key: &str, is: fn(&Value) -> bool| {
        let all = held[key].as_array_mut().unwrap();
        let before = all.len();
        all.retain(|v| v["vhost"] != "quiet" || !is(v));
        assert!(all.len() < before, "{key}");
    };
    gone(&mut held, "policies", |p| p["name"] == "offboard-reports");
    gone(&mut held, "bindings", |b| b["destination"] == "ob.v1.sealing");
    std::fs::write(file, held.to_string()).unwrap();
    let found = doctor(1);
    found.says("broker", "problem", "the broker lacks policies: offboard-reports");
    found.says(
        "broker",
        "problem",
        "the broker lacks bindings: ob.v1.assignments to ob.v1.sealing",
    );
    found.says("broker", "problem", "offboard topology");
    std::fs::write(file, "Exporting definitions").unwrap();
    doctor(1).says("broker", "problem", "no definitions of a broker");
}
