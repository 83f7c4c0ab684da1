//! `compose.yaml`: what every service is allowed, what it waits for, and that
//! each thing that it names is there.

use crate::deploy::commands::accepted;
use crate::deploy::configuration::{loaded, queues};
use crate::deploy::files::{deploy, read, root, texts, yaml};
use crate::deploy::operations::{how_systems_are_asked, named_behind};
use offboard_cli::args::Command;
use offboard_domain::Area;
use offboard_domain::Kind;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

pub(crate) fn document() -> Value {
    let mut documents = yaml("deploy/compose.yaml");
    assert_eq!(documents.len(), 1);
    documents.remove(0)
}

/// The services by name.
fn services() -> BTreeMap<String, Value> {
    let document = document();
    let services = document["services"].as_object().unwrap();
    services.iter().map(|(n, s)| (n.clone(), s.clone())).collect()
}

/// Those that run our image.
pub(crate) fn ours() -> BTreeMap<String, Value> {
    let mut all = services();
    all.retain(|_, s| s["image"].as_str().unwrap().starts_with("offboard:"));
    all
}

/// The secrets of a service: which, and where it finds it.
pub(crate) fn mounted(service: &Value) -> Vec<(String, String)> {
    let none = Vec::new();
    let list = service["secrets"].as_array().unwrap_or(&none);
    list.iter()
        .map(|secret| match secret {
            Value::String(name) => (name.clone(), format!("/run/secrets/{name}")),
            other => (
                other["source"].as_str().unwrap().to_owned(),
                other["target"].as_str().unwrap().to_owned(),
            ),
        })
        .collect()
}

/// The file of each secret, from `deploy/`.
pub(crate) fn secret_files() -> BTreeMap<String, PathBuf> {
    let document = document();
    let secrets = document["secrets"].as_object().unwrap();
    secrets
        .iter()
        .map(|(name, secret)| {
            let file = secret["file"].as_str().unwrap();
            (name.clone(), PathBuf::from(file.strip_prefix("./").unwrap()))
        })
        .collect()
}

/// Seconds of `5m`, `30s`.
pub(crate) fn seconds(text: &str) -> i64 {
    let (number, unit) = text.split_at(text.len() - 1);
    let number: i64 = number.parse().unwrap();
    match unit {
        "s" => number,
        "m" => number * 60,
        _ => panic!("{text}"),
    }
}

/// The longest that one attempt of any kind may run, in seconds.
pub(crate) fn longest_attempt_s() -> i64 {
    Kind::ALL.iter().map(|k| k.spec().run_for_ms).max().unwrap() / 1_000
}

#[test]
fn every_service_has_no_more_than_it_needs() {
    let services = services();
    assert!(services.len() > 10);
    for (name, service) in &services {
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(texts(&service["cap_drop"]), ["ALL"], "{name}");
        assert_eq!(texts(&service["security_opt"]), ["no-new-privileges:true"], "{name}");
        assert!(
            service["privileged"].is_null() && service["cap_add"].is_null(),
            "{name}"
        );
        assert!(service["mem_limit"].is_string(), "{name}");
        assert!(service["stop_grace_period"].is_string(), "{name}");
        let profiles = service["profiles"].as_array();
        let for_people = profiles.is_some_and(|p| p.contains(&Value::from("clerk")));
        let restart = if for_people { "no" } else { "unless-stopped" };
        assert_eq!(service["restart"], restart, "{name}");
        let checked = texts_of_check(service);
        assert_eq!(checked.is_empty(), for_people, "{name}");
        // Nothing is open to the network of the machine.
        for port in service["ports"].as_array().into_iter().flatten() {
            assert!(port.as_str().unwrap().starts_with("127.0.0.1:"), "{name}: {port}");
        }
    }
    for (name, service) in ours() {
        let (user, group) = service["user"].as_str().unwrap().split_once(':').unwrap();
        for id in [user, group] {
            assert_ne!(id.parse::<u32>().unwrap(), 0, "{name}");
        }
        // A name that nobody can put an image behind in a registry.
        assert_eq!(service["pull_policy"], "never", "{name}");
        assert!(
            seconds(service["stop_grace_period"].as_str().unwrap()) > longest_attempt_s(),
            "{name}"
        );
    }
}

fn texts_of_check(service: &Value) -> Vec<String> {
    let check = &service["healthcheck"];
    if check["disable"] == true {
        return Vec::new();
    }
    texts(&check["test"])
}

#[test]
fn every_service_waits_for_what_it_needs_until_that_is_well() {
    let services = services();
    for (name, service) in &services {
        for (other, how) in service["depends_on"].as_object().into_iter().flatten() {
            assert_eq!(how["condition"], "service_healthy", "{name}");
            assert!(!texts_of_check(&services[other]).is_empty(), "{name} waits for {other}");
        }
    }
    for (name, service) in ours() {
        let waits: Vec<&String> = service["depends_on"].as_object().unwrap().keys().collect();
        let expected: &[&str] = match service["command"][0].as_str().unwrap() {
            "worker" => &["rabbitmq"],
            "list" => &["redis"],
            _ => &["rabbitmq", "redis"],
        };
        assert_eq!(waits, expected, "{name}");
    }
}

#[test]
fn every_command_is_one_and_every_role_is_there() {
    let mut areas = BTreeSet::new();
    let mut roles = BTreeSet::new();
    for (name, service) in ours() {
        match accepted(&texts(&service["command"]), &name) {
            Command::Worker { areas: its, site: None } => {
                assert_eq!(name, format!("worker-{}", its[0]));
                areas.extend(its);
            }
            Command::Dispatcher => {
                roles.insert("dispatcher");
            }
            Command::Closer => {
                roles.insert("closer");
            }
            Command::List { .. } => {
                roles.insert("clerk");
            }
            other => panic!("{name}: {other:?}"),
        }
        let check = texts_of_check(&service);
        if let [how, program, args @ ..] = &check[..] {
            // Without a shell, and the program that the image has.
            assert_eq!((&how[..], &program[..]), ("CMD", "/usr/local/bin/offboard"), "{name}");
            assert!(matches!(accepted(args, &name), Command::Health { alive: false }));
        }
    }
    assert_eq!(areas, Area::MACHINES.iter().copied().collect());
    assert_eq!(roles.len(), 3);
}

#[test]
fn everything_that_is_named_is_there() {
    let document = document();
    let names = |what: &str| -> BTreeSet<String> { document[what].as_object().unwrap().keys().cloned().collect() };
    let (secrets, volumes, networks) = (names("secrets"), names("volumes"), names("networks"));
    let (mut used, mut kept) = (BTreeSet::new(), BTreeSet::new());
    for (name, service) in services() {
        for (secret, target) in mounted(&service) {
            assert!(secrets.contains(&secret), "{name}: {secret}");
            assert!(target.starts_with('/'), "{name}: {target}");
            used.insert(secret);
        }
        for network in texts(&service["networks"]) {
            assert!(networks.contains(&network), "{name}: {network}");
        }
        for volume in service["volumes"].as_array().into_iter().flatten() {
            let volume = volume.as_str().unwrap();
            let (from, to) = volume.split_once(':').unwrap();
            assert!(to.starts_with('/'), "{name}: {volume}");
            if let Some(file) = from.strip_prefix("./") {
                let made_by_the_script = ["secrets/tenants", "secrets/keys/public"].contains(&file);
                assert!(made_by_the_script || deploy().join(file).is_file(), "{name}: {file}");
                assert!(to.ends_with(":ro"), "{name}: {volume}");
            } else {
                assert!(volumes.contains(from), "{name}: {from}");
                kept.insert(from.to_owned());
            }
        }
        if let Some(build) = service["build"].as_object() {
            assert_eq!(build["context"], "..");
            assert!(root().join(build["dockerfile"].as_str().unwrap()).is_file());
        }
    }
    assert_eq!(used, secrets, "every secret is somebody's");
    assert_eq!(kept, volumes);
    // Inside there is no way out: what has no business outside is inside alone.
    assert_eq!(document["networks"]["inside"]["internal"], true);
    for name in ["rabbitmq", "redis", "dispatcher", "closer", "clerk", "prometheus"] {
        assert_eq!(texts(&services()[name]["networks"]), ["inside"], "{name}");
    }
    for file in secret_files().values() {
        assert!(file.starts_with("secrets"), "{}", file.display());
    }
}

/// Dispatcher, closer and clerk reach a bucket or a collector outside once what stands
/// there as a comment is none.
#[test]
fn the_lines_for_what_is_outside_are_fit_to_be_used() {
    let commented = "    #networks: [inside, outside]\n";
    let text = read("deploy/compose.yaml");
    assert_eq!(text.matches(commented).count(), 3);
    let opened = text.replace(commented, &commented.replace('#', ""));
    let documents: Vec<Value> = serde_saphyr::from_multiple(&opened).unwrap();
    let before = services();
    for (name, service) in documents[0]["services"].as_object().unwrap() {
        if ["dispatcher", "closer", "clerk"].contains(&&name[..]) {
            assert_eq!(texts(&service["networks"]), ["inside", "outside"], "{name}");
        } else {
            assert_eq!(service["networks"], before[name]["networks"], "{name}");
        }
    }
}

#[test]
fn every_role_has_its_keys_and_no_others() {
    let names = queues();
    let mut signers = BTreeSet::new();
    for (name, service) in ours() {
        let keys: BTreeSet<String> = mounted(&service)
            .into_iter()
            .filter_map(|(_, target)| target.strip_prefix("/run/offboard/keys/").map(str::to_owned))
            .filter(|k| !k.ends_with(".password") && k != "authority.pem")
            .collect();
        let expected: BTreeSet<String> = match accepted(&texts(&service["command"]), &name) {
            Command::Worker { areas, .. } => {
                let own = names
                    .iter()
                    .filter(|q| areas.iter().any(|a| q.contains(&format!(".{a}."))));
                let escrow = areas.contains(&Area::Device).then(|| "escrow.key".to_owned());
                own.map(|q| format!("queues/{q}.key")).chain(escrow).collect()
            }
            Command::Dispatcher => ["master.key", "dispatch.key"].map(str::to_owned).into(),
            Command::Closer => ["master.key", "signing.pem"].map(str::to_owned).into(),
            _ => ["master.key"].map(str::to_owned).into(),
        };
        assert_eq!(keys, expected, "{name}");
        if keys.contains("signing.pem") {
            signers.insert(name);
        }
    }
    assert_eq!(signers.into_iter().collect::<Vec<_>>(), ["closer"]);
}

/// Where a service looks for the public halves of what signs, and what of the script's folder
/// is mounted there.
pub(crate) fn public_keys(service: &Value) -> Option<String> {
    let volumes = texts(&service["volumes"]);
    let from = |v: &String| v.strip_suffix(":/run/offboard/keys/public:ro").map(str::to_owned);
    volumes.iter().find_map(from)
}

#[test]
fn people_can_verify_evidence_and_cannot_write_it() {
    for (name, service) in ours() {
        let public = public_keys(&service);
        if name != "clerk" {
            assert_eq!(public, None, "{name}");
            continue;
        }
        assert_eq!(public.as_deref(), Some("./secrets/keys/public"));
        let text = read(format!("deploy/{}", configuration_of(&service)));
        let evidence = text_after(&text, "evidence = \"");
        let mounted = format!("evidence:{evidence}:ro");
        assert!(texts(&service["volumes"]).contains(&mounted), "{mounted}");
    }
}

/// What `doctor` needs for a client's systems is where the page says to run it, and not where
/// orders are given.
#[test]
fn a_clients_systems_are_asked_where_its_secrets_and_a_way_out_are() {
    let named = named_behind(&how_systems_are_asked(), "deploy/compose.yaml exec ");
    let has_both = |service: &Value| {
        let mut files = service["env_file"].as_array().into_iter().flatten();
        let secrets = files.any(|f| f["path"] == "./secrets/tenants.env");
        let way_out = texts(&service["networks"]).contains(&"outside".to_owned());
        assert_eq!(secrets, way_out);
        secrets
    };
    let services = ours();
    assert!(has_both(&services[&named]), "{named}");
    assert!(!has_both(&services["clerk"]) && !has_both(&services["dispatcher"]));
    let tenants = "./secrets/tenants:/etc/offboard/tenants:ro".to_owned();
    assert!(texts(&services[&named]["volumes"]).contains(&tenants), "{named}");
}

/// Where a service finds its configuration.
pub(crate) fn configuration_of(service: &Value) -> String {
    let volumes = texts(&service["volumes"]);
    let volume = volumes
        .iter()
        .find(|v| v.contains(":/etc/offboard/offboard.toml:"))
        .unwrap();
    volume.split(':').next().unwrap().trim_start_matches("./").to_owned()
}

#[test]
fn what_each_role_is_told_is_where_it_is() {
    for (name, service) in ours() {
        let file = configuration_of(&service);
        let text = read(format!("deploy/{file}"));
        let config = loaded(&name, &text, &[]);
        // Every file that it is pointed at is mounted there.
        let targets: BTreeSet<String> = mounted(&service).into_iter().map(|(_, t)| t).collect();
        for file in text.split('"').filter(|t| t.starts_with("/run/offboard/keys/")) {
            assert!(targets.contains(file), "{name}: {file}");
        }
        let services = services();
        for address in [text_after(&text, "ledger = \""), text_after(&text, "queue = \"")] {
            let host = address.split("://").nth(1).unwrap().split(':').next().unwrap();
            assert!(services.contains_key(host), "{name}: {host}");
        }
        if let Some(listen) = config.engine.telemetry.listen {
            let scraped = &yaml("deploy/prometheus/prometheus.yml")[0]["scrape_configs"][0];
            assert_eq!(scraped["job_name"], "offboard");
            let at = &scraped["dns_sd_configs"][0];
            assert_eq!(at["port"], listen.port());
            assert!(texts(&at["names"]).contains(&name), "{name} is not scraped");
        }
    }
}

fn text_after<'a>(text: &'a str, key: &str) -> &'a str {
    text.split(key).nth(1).unwrap().split('"').next().unwrap()
}

#[test]
fn the_dashboards_are_where_grafana_looks() {
    let provider = &yaml("deploy/compose/grafana-dashboards.yaml")[0]["providers"][0];
    let folder = provider["options"]["path"].as_str().unwrap();
    let mounted = texts(&services()["grafana"]["volumes"]);
    for entry in std::fs::read_dir(deploy().join("grafana")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let there = mounted
            .iter()
            .any(|v| *v == format!("./grafana/{name}:{folder}/{name}:ro"));
        assert!(there, "{name}");
    }
    let source = &yaml("deploy/compose/grafana-datasources.yaml")[0]["datasources"][0];
    assert_eq!(source["url"], "http://prometheus:9090");
    assert_eq!(source["type"], "prometheus");
}
