//! The broker's definitions: the deployed file is what the function gives, and
//! what it gives keeps what the crate promises.
//!
//! `BLESS=1 cargo test -p offboard-queue --test definitions` writes the file.

#![expect(clippy::unwrap_used, reason = "what a test needs and does not get is its failure")]

use offboard_domain::Area;
use offboard_queue::QueueName;
use offboard_queue::rabbit::{Topology, TopologyError};
use offboard_runtime::config::is_site;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// What `deploy/rabbitmq` holds: every area, as many queues of reports as an
/// installation has shards unless configured, no site.
fn deployed() -> Topology {
    Topology {
        report_shards: 16,
        ..Topology::new("offboard")
    }
}

fn with_sites() -> Topology {
    Topology {
        sites: [
            ("berlin".to_owned(), vec![Area::Identity]),
            ("dc-2".to_owned(), vec![Area::Identity, Area::Device]),
        ]
        .into(),
        ..deployed()
    }
}

fn names<'d>(definitions: &'d Value, of: &str) -> BTreeSet<&'d str> {
    let listed = definitions[of].as_array().unwrap();
    listed.iter().map(|one| one["name"].as_str().unwrap()).collect()
}

#[test]
fn the_deployed_file_is_what_the_function_gives() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/rabbitmq/definitions.json");
    let given = serde_json::to_string_pretty(&deployed().definitions().unwrap()).unwrap() + "\n";
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &given).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(&path).unwrap();
    assert_eq!(kept, given, "differs; write it anew with BLESS=1 and read the diff");
}

#[test]
fn every_queue_is_a_quorum_queue_and_the_rest_is_policy() {
    let definitions = with_sites().definitions().unwrap();
    let queues = definitions["queues"].as_array().unwrap();
    for queue in queues {
        assert_eq!(
            queue["arguments"],
            serde_json::json!({ "x-queue-type": "quorum" }),
            "{queue}"
        );
        assert_eq!(
            (&queue["durable"], &queue["auto_delete"]),
            (&true.into(), &false.into())
        );
    }
    // Twelve without a site, two in Berlin, four in the other, sixteen of
    // reports, one of orders to seal, the dead, the expired.
    assert_eq!(queues.len(), 12 + 2 + 4 + 16 + 1 + 2);
    let known: BTreeSet<String> = with_sites().queues().iter().map(ToString::to_string).collect();
    assert!(
        known
            .iter()
            .all(|name| names(&definitions, "queues").contains(name.as_str()))
    );
    assert!(with_sites().queues().is_sorted());
    // Each can be reached.
    let bindings = definitions["bindings"].as_array().unwrap();
    let bound: BTreeSet<&str> = bindings.iter().map(|b| b["destination"].as_str().unwrap()).collect();
    assert_eq!(bound, names(&definitions, "queues"));
}

#[test]
fn nobody_configures_and_nobody_has_a_password_that_was_not_given() {
    let mut topology = with_sites();
    topology
        .password_hashes
        .insert("offboard-dispatcher".to_owned(), "hash".to_owned());
    let definitions = topology.definitions().unwrap();
    for permission in definitions["permissions"].as_array().unwrap() {
        assert_eq!(permission["configure"], "^$");
        for side in ["write", "read"] {
            let pattern = permission[side].as_str().unwrap();
            assert!(pattern.starts_with('^') && pattern.ends_with('$'), "{pattern}");
            assert!(!pattern.contains(".*"), "{pattern}");
        }
    }
    for user in definitions["users"].as_array().unwrap() {
        let expected = if user["name"] == "offboard-dispatcher" {
            "hash"
        } else {
            ""
        };
        assert_eq!(user["password_hash"], expected, "{user}");
    }
    let users = names(&definitions, "users");
    assert!(users.contains("offboard-site-dc-2") && users.contains("offboard-worker-identity"));
    assert!(!users.contains("guest"));
}

#[test]
fn a_timeout_is_a_policy_where_the_broker_knows_it() {
    let policies = |topology: Topology| topology.definitions().unwrap()["policies"].to_string();
    assert!(!policies(deployed()).contains("consumer-timeout"));
    let with = Topology {
        consumer_timeout_ms: Some(3_600_000),
        ..deployed()
    };
    assert!(policies(with).contains("\"consumer-timeout\":3600000"));
}

#[test]
fn what_cannot_be_is_refused() {
    for site in ["", "Berlin", "a.b", "a b", "-a", "a-", "a*", "ä", &"a".repeat(41)] {
        let mut topology = deployed();
        topology.sites.insert(site.to_owned(), vec![Area::Identity]);
        assert_eq!(topology.definitions(), Err(TopologyError::Site(site.to_owned())));
        assert!(!is_site(site));
    }
    let none = Topology {
        report_shards: 0,
        ..deployed()
    };
    assert_eq!(none.definitions(), Err(TopologyError::NoShard));
    let mut nobody = deployed();
    nobody.password_hashes.insert("guest".to_owned(), "x".to_owned());
    assert!(nobody.definitions().unwrap_err().to_string().contains("'guest'"));
}

#[test]
fn a_queue_is_called_as_it_ever_was() {
    let named = |name: QueueName| name.to_string();
    let site = Some("berlin".to_owned());
    let (area, lane) = (Area::Identity, offboard_domain::Lane::Urgent);
    assert_eq!(
        named(QueueName::Assignments { area, lane, site: None }),
        "ob.v1.identity.urgent"
    );
    assert_eq!(
        named(QueueName::Assignments { area, lane, site }),
        "ob.v1.identity.urgent.berlin"
    );
    assert_eq!(named(QueueName::Reports { shard: 7 }), "ob.v1.reports.7");
    assert_eq!(named(QueueName::Dead), "ob.v1.dead");
}
