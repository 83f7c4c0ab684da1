//! What `deploy/` says about metrics is true of the metrics that there are: the
//! dashboards, the alerts, and the alerts' own tests (`promtool`, from Debian's
//! package `prometheus`; an absent one is an error).

#![expect(clippy::unwrap_used, reason = "what a test needs and does not get is its failure")]

use offboard_runtime::telemetry::metrics::instruments::{self, Sort};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn promtool(args: &[&str]) {
    let output = Command::new("promtool")
        .args(args)
        .current_dir(root().join("deploy/prometheus"))
        .output()
        .expect("promtool must be installed (Debian: apt-get install prometheus)");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

/// Every series that there can be.
fn series() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for instrument in instruments::ALL {
        let name = instrument.prometheus();
        if let Sort::Histogram(_) = instrument.sort {
            names.extend(["_bucket", "_sum", "_count"].map(|part| format!("{name}{part}")));
        } else {
            names.insert(name);
        }
    }
    names
}

/// Every metric of ours that an expression names.
fn named(expr: &str) -> BTreeSet<String> {
    let part_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    expr.split(|c| !part_of_name(c))
        .filter(|word| word.starts_with("offboard_"))
        .map(str::to_owned)
        .collect()
}

/// The labels that an expression asks for (`by (…)`, `{…}`), roughly.
fn labels(expr: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for part in expr.split("by (").skip(1) {
        let inside = part.split(')').next().unwrap();
        found.extend(inside.split(',').map(|l| l.trim().to_owned()));
    }
    for part in expr.split('{').skip(1) {
        let inside = part.split('}').next().unwrap();
        let matchers = inside.split("\",").filter_map(|m| m.split(['=', '!']).next());
        found.extend(matchers.map(|l| l.trim().to_owned()));
    }
    found
}

fn expressions_of(panel: &Value) -> Vec<String> {
    let targets = panel["targets"].as_array().unwrap();
    targets.iter().map(|t| t["expr"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_dashboard_shows_metrics_and_labels_that_there_are() {
    let known = series();
    let given: BTreeSet<&str> = instruments::ALL.iter().flat_map(|i| i.labels.iter().copied()).collect();
    let mut shown = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for entry in fs::read_dir(root().join("deploy/grafana")).unwrap() {
        let path = entry.unwrap().path();
        let dashboard: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        assert!(
            ids.insert(dashboard["uid"].as_str().unwrap().to_owned()),
            "{}",
            path.display()
        );
        for panel in dashboard["panels"].as_array().unwrap() {
            let title = panel["title"].as_str().unwrap();
            for expr in expressions_of(panel) {
                let names = named(&expr);
                assert!(!names.is_empty(), "{title}: {expr}");
                for name in &names {
                    assert!(known.contains(name), "{title}: there is no {name}");
                }
                for label in labels(&expr) {
                    let always = ["le", "instance"].contains(&label.as_str());
                    assert!(
                        always || given.contains(label.as_str()),
                        "{title}: no metric has {label}"
                    );
                }
                shown.extend(names);
            }
        }
    }
    assert_eq!(ids.len(), 3);
    // What is measured and shown nowhere would not have been missed.
    for instrument in instruments::ALL {
        let name = instrument.prometheus();
        if name == IN_ONE_PROCESS {
            assert!(!shown.contains(&name), "the deployed roles have none of it");
            continue;
        }
        let there = shown.iter().any(|s| s == &name || s.starts_with(&format!("{name}_")));
        assert!(there, "{name} is on no dashboard");
    }
}

/// Only a queue in memory tells it: a broker is not asked how much its consumers hold.
const IN_ONE_PROCESS: &str = "offboard_queue_unacknowledged";

/// The names after `alert:` or `alertname:`.
fn names_after(key: &str, text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|l| l.trim().trim_start_matches("- ").strip_prefix(key))
        .map(|name| name.trim().to_owned())
        .collect()
}

#[test]
fn every_alert_watches_metrics_that_there_are_and_is_explained() {
    let text = fs::read_to_string(root().join("deploy/prometheus/alerts.yaml")).unwrap();
    let known = series();
    let rules: String = text
        .lines()
        .filter(|l| !l.trim_start().starts_with('#'))
        .collect::<Vec<_>>()
        .join("\n");
    let recorded: BTreeSet<String> = names_after("record:", &rules).into_iter().collect();
    for name in named(&rules) {
        assert!(known.contains(&name), "there is no {name}");
    }
    assert!(recorded.iter().all(|r| r.starts_with("offboard:")));
    let alerts = names_after("alert:", &rules);
    let tests = fs::read_to_string(root().join("deploy/prometheus/alerts.test.yaml")).unwrap();
    let page = fs::read_to_string(root().join("docs/observability.md")).unwrap();
    assert!(alerts.len() > 10);
    for alert in &alerts {
        for tested in ["fires", "stays quiet"] {
            assert!(
                tests.contains(&format!("- name: {alert} {tested}\n")),
                "{alert} {tested}"
            );
        }
        assert!(
            page.contains(&format!("| `{alert}` |")),
            "docs/observability.md does not say what to do at {alert}"
        );
    }
}

#[test]
fn promtool_accepts_the_configuration_and_the_rules_and_their_tests_pass() {
    promtool(&["check", "config", "prometheus.yml"]);
    promtool(&["check", "rules", "alerts.yaml"]);
    promtool(&["test", "rules", "alerts.test.yaml"]);
}
