//! The configurations of the distributed mode are read by the real reader, and
//! say of each role what is true of it.

use crate::deploy::files::{deploy, read, yaml};
use crate::support::Folder;
use offboard_domain::{Area, Lane, TenantId};
use offboard_queue::rabbit::{Address, CLOSER, DISPATCHER, Topology, WORKER, area_worker};
use offboard_runtime::config::{self, Configuration, LedgerUrl, QueueUrl, Remote, StoreUrl};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// A configuration as it is read, with these clients' files.
#[track_caller]
pub(crate) fn loaded(what: &str, engine: &str, tenants: &[(String, String)]) -> Configuration {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("tenants")).unwrap();
    fs::write(dir.path().join("offboard.toml"), engine).unwrap();
    for (name, text) in tenants {
        fs::write(dir.path().join("tenants").join(name), text).unwrap();
    }
    config::load(dir.path()).unwrap_or_else(|e| panic!("{what}: {e}"))
}

pub(crate) fn example(role: &str) -> String {
    read(format!("deploy/example/distributed/{role}/offboard.toml"))
}

fn ledger(config: &Configuration) -> &Remote {
    match &config.engine.ledger {
        LedgerUrl::Redis(remote) => remote,
        other => panic!("{other:?}"),
    }
}

fn queue(config: &Configuration) -> &Remote {
    match &config.engine.queue {
        QueueUrl::Rabbit(remote) => remote,
        other => panic!("{other:?}"),
    }
}

/// The user at the broker and, if it has one, at the ledger.
fn users(config: &Configuration) -> (Option<&str>, Option<&str>) {
    let of = |remote: &Remote| {
        // With a user there is a password, by reference, and somebody to trust.
        assert_eq!(
            remote.access.user.is_some(),
            remote.access.password.is_some(),
            "{remote:?}"
        );
        assert_eq!(remote.access.user.is_some(), remote.access.ca.is_some(), "{remote:?}");
    };
    of(queue(config));
    of(ledger(config));
    (
        queue(config).access.user.as_deref(),
        ledger(config).access.user.as_deref(),
    )
}

/// What holds for a process of any role, wherever it runs.
#[track_caller]
fn fits_the_others(what: &str, config: &Configuration) {
    assert!(ledger(config).url.starts_with("rediss://"), "{what}");
    let url = &queue(config).url;
    let (scheme, rest) = url.split_once("://").unwrap();
    let address = Address::parse(&format!("{scheme}://somebody@{rest}")).unwrap();
    assert!(address.tls, "{what}: {url}");
    let definitions: Value = serde_json::from_str(&read("deploy/rabbitmq/definitions.json")).unwrap();
    assert_eq!(definitions["vhosts"][0]["name"], address.vhost.as_str(), "{what}");
    let reports = definitions["queues"].as_array().unwrap();
    let reports = reports
        .iter()
        .filter(|q| q["name"].as_str().unwrap().starts_with("ob.v1.reports."));
    assert_eq!(reports.count(), usize::from(config.engine.shards), "{what}");
    let store = StoreUrl::Folder("/var/lib/offboard/store".into());
    assert_eq!(config.engine.store, store, "{what}");
    assert_eq!(config.engine.keys, Path::new("/run/offboard/keys"), "{what}");
}

/// Whether a user may do what it is there for.
#[track_caller]
fn exists(what: &str, broker: Option<&str>, store: Option<&str>) {
    if let Some(user) = broker {
        let users = Topology::new("offboard").users();
        assert!(users.iter().any(|u| u == user), "{what}: the broker knows no {user}");
    }
    if let Some(user) = store {
        let known = read("deploy/redis/users.acl").contains(&format!("user {user} on "));
        assert!(known, "{what}: the ledger knows no {user}");
    }
}

#[test]
fn the_example_of_each_role_is_read_and_is_that_role() {
    let clerk = "offboard-clerk";
    for (role, broker, store) in [
        ("dispatcher", Some(DISPATCHER), Some(DISPATCHER)),
        ("worker", Some(WORKER), None),
        ("closer", Some(CLOSER), Some(clerk)),
        ("clerk", None, Some(clerk)),
    ] {
        let config = loaded(role, &example(role), &[]);
        fits_the_others(role, &config);
        assert_eq!(users(&config), (broker, store), "{role}");
        exists(role, broker, store);
        assert_eq!(config.engine.telemetry.listen.is_some(), role != "clerk", "{role}");
    }
}

/// Where processes share ledger and queue, none is all of them in one; what is said to start in
/// its place is none that fails in the same way.
#[test]
fn a_command_that_is_everything_in_one_names_those_that_are_not() {
    let folder = Folder::fresh();
    folder.write("offboard.toml", &example("clerk"));
    for command in ["run", "serve"] {
        let said = folder.run(&[command]).expect(2).err;
        for role in [
            "offboard dispatcher",
            "offboard worker",
            "offboard closer",
            "offboard submit",
        ] {
            assert!(said.contains(&format!("`{role}")), "{command}: {said}");
        }
        assert!(
            !said.contains("`offboard serve") && !said.contains("`offboard run"),
            "{command}: {said}"
        );
    }
}

#[test]
fn the_lines_that_are_switched_off_are_right_too() {
    for role in ["dispatcher", "worker", "closer"] {
        let on = example(role).replace("#otlp", "otlp");
        assert!(on.contains("\notlp = "), "{role}");
        assert!(loaded(role, &on, &[]).engine.telemetry.otlp.is_some());
    }
}

#[test]
fn what_the_units_page_says_to_change_makes_a_configuration_of_a_machine() {
    let page = read("deploy/systemd/README.md");
    let mut text = example("dispatcher");
    let mut changes = 0;
    for change in page.split("-e 's#").skip(1) {
        let mut parts = change.split('#');
        let (from, to) = (parts.next().unwrap(), parts.next().unwrap());
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
        changes += 1;
    }
    assert_eq!(changes, 3);
    let config = loaded("dispatcher on a machine", &text, &[]);
    assert_eq!(config.engine.keys, Path::new("/run/offboard-dispatcher/keys"));
    let store = config.engine.store.to_string();
    assert!(read("deploy/systemd/tmpfiles.conf").contains(&format!("d {store} ")));
    assert!(config.engine.telemetry.listen.unwrap().ip().is_loopback());
}

/// The ConfigMaps of the manifests by name, with their files.
pub(crate) fn config_maps() -> Vec<(String, Vec<(String, String)>)> {
    let mut maps = Vec::new();
    for path in crate::deploy::files::under(&deploy().join("k8s")) {
        if path.extension().is_none_or(|x| x != "yaml") {
            continue;
        }
        for document in yaml(&path).iter().filter(|d| d["kind"] == "ConfigMap") {
            let files = document["data"].as_object().unwrap().iter();
            let files = files.map(|(name, text)| (name.clone(), text.as_str().unwrap().to_owned()));
            maps.push((
                document["metadata"]["name"].as_str().unwrap().to_owned(),
                files.collect(),
            ));
        }
    }
    maps
}

#[test]
fn the_config_maps_are_read_as_each_role_reads_them() {
    let maps = config_maps();
    let files = |name: &str| &maps.iter().find(|(n, _)| n == name).unwrap().1;
    let tenants = files("offboard-tenants");
    let mut roles: Vec<(String, String, Option<&str>)> = vec![
        ("offboard-dispatcher".into(), DISPATCHER.into(), Some(DISPATCHER)),
        ("offboard-closer".into(), CLOSER.into(), Some("offboard-clerk")),
    ];
    roles.extend(
        Area::MACHINES
            .iter()
            .map(|a| (format!("offboard-worker-{a}"), area_worker(*a), None)),
    );
    for (map, broker, store) in roles {
        let [(name, text)] = &files(&map)[..] else {
            panic!("{map}")
        };
        assert_eq!(name, "offboard.toml");
        let config = loaded(&map, text, tenants);
        fits_the_others(&map, &config);
        assert_eq!(users(&config), (Some(&broker[..]), store), "{map}");
        exists(&map, Some(&broker), store);
        assert!(config.tenants.contains_key(&TenantId::new("contoso").unwrap()), "{map}");
    }
}

#[test]
fn the_queues_that_are_named_are_those_that_there_are() {
    // What the other tests hold names against.
    let names = queues();
    assert_eq!(names.len(), Area::MACHINES.len() * 2);
    let definitions = read("deploy/rabbitmq/definitions.json");
    for name in names {
        assert!(definitions.contains(&format!("\"name\": \"{name}\"")), "{name}");
    }
}

/// The queues of assignments, as the program names them.
pub(crate) fn queues() -> Vec<String> {
    let both = |area: &Area| [Lane::Urgent, Lane::Normal].map(|lane| format!("ob.v1.{area}.{}", lane.word()));
    let named: Vec<String> = Area::MACHINES.iter().flat_map(both).collect();
    let real = offboard_cli::backends::assignments(Area::MACHINES, None);
    assert_eq!(named, real.iter().map(ToString::to_string).collect::<Vec<_>>());
    named
}
