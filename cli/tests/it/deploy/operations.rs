//! `docs/operations.md`: complete, and about alerts and metrics that there are.

use crate::deploy::files::{read, yaml};
use offboard_runtime::telemetry::metrics::instruments;
use std::collections::BTreeSet;

fn alerts() -> BTreeSet<String> {
    let rules = yaml("deploy/prometheus/alerts.yaml");
    let groups = rules[0]["groups"].as_array().unwrap();
    let rules = groups.iter().flat_map(|g| g["rules"].as_array().unwrap());
    rules.filter_map(|r| r["alert"].as_str().map(str::to_owned)).collect()
}

#[test]
fn every_alert_has_a_section_and_every_section_an_alert() {
    let page = read("docs/operations.md");
    let sections: Vec<&str> = page.lines().filter_map(|l| l.strip_prefix("### ")).collect();
    let unique: BTreeSet<String> = sections.iter().map(|s| (*s).to_owned()).collect();
    assert_eq!(sections.len(), unique.len(), "one section each");
    assert!(unique.len() > 10);
    assert_eq!(unique, alerts());
    for section in page.split("\n### ").skip(1) {
        let (name, text) = section.split_once('\n').unwrap();
        let text = text.trim();
        assert!(
            text.starts_with("**") && text.len() > 60,
            "{name} says too little: {text}"
        );
    }
}

/// Every word of this beginning in a text.
fn words(text: &str, beginning: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|w| w.starts_with(beginning))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_alert_and_metric_that_is_named_is_one() {
    let page = read("docs/operations.md");
    let alerts = alerts();
    for name in words(&page, "Offboard").iter().filter(|n| *n != "Offboard") {
        assert!(alerts.contains(name), "there is no alert {name}");
    }
    let series: BTreeSet<String> = instruments::ALL
        .iter()
        .map(instruments::Instrument::prometheus)
        .collect();
    let named = words(&page, "offboard_");
    assert!(named.len() > 5);
    for name in named {
        assert!(series.contains(&name), "there is no metric {name}");
    }
}

#[test]
fn every_trouble_has_its_section() {
    let page = read("docs/operations.md");
    for section in [
        "Sizing",
        "Scaling",
        "Backup",
        "Restore",
        "Upgrade",
        "Keys",
        "A client, a system or a kind is to rest",
        "A site is away",
        "Dead letters",
        "The broker was emptied",
        "A disk is full",
        "The broker's memory alarm",
    ] {
        assert!(page.contains(&format!("\n## {section}\n")), "{section}");
    }
}

/// The section where a client's systems are asked, as lines.
pub(crate) fn how_systems_are_asked() -> Vec<String> {
    let page = read("docs/operations.md");
    let (_, section) = page.split_once("\n## Ask a client's systems\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    section.lines().map(str::to_owned).collect()
}

/// What stands behind this in the one line that has it, up to the next blank.
#[track_caller]
pub(crate) fn named_behind(lines: &[String], before: &str) -> String {
    let found: Vec<&str> = lines.iter().filter_map(|l| Some(l.split_once(before)?.1)).collect();
    let [found] = found[..] else {
        panic!("{before}: {found:?}")
    };
    found.split(' ').next().unwrap().to_owned()
}

#[test]
fn wherever_a_clients_systems_are_to_be_asked_it_is_said_where() {
    let page = read("docs/operations.md");
    let (_, alerts) = page.split_once("\n# At each alert\n").unwrap();
    let mut asked = Vec::new();
    for section in alerts.split("\n### ").skip(1) {
        let text = section.split_whitespace().collect::<Vec<_>>().join(" ");
        if text.contains("`offboard doctor --tenant") {
            assert!(
                text.contains("in a worker's place (*Ask a client's systems*)"),
                "{text}"
            );
            asked.push(text.split(' ').next().unwrap().to_owned());
        }
    }
    assert_eq!(
        asked,
        [
            "OffboardAccessCutSlipping",
            "OffboardVendorFails",
            "OffboardPermissionRefused"
        ]
    );
}

#[test]
fn what_the_page_says_of_settings_is_so() {
    let page = read("docs/operations.md");
    let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
    let admission = offboard_runtime::config::Admission::default();
    assert!(page.contains(&format!(
        "each holds {} urgent and {} other attempts",
        admission.prefetch,
        admission.prefetch / 2
    )));
    let (mut normal, mut urgent) = (BTreeSet::new(), BTreeSet::new());
    for ((_, lane), credit) in &admission.credit {
        match lane {
            offboard_domain::Lane::Normal => normal.insert(*credit),
            offboard_domain::Lane::Urgent => urgent.insert(*credit),
        };
    }
    assert_eq!((normal.len(), urgent.len()), (1, 1));
    let (normal, urgent) = (normal.first().unwrap(), urgent.first().unwrap());
    assert!(page.contains(&format!("{normal} and {urgent} unless configured")));
    assert!(page.contains(&format!(
        "more than {} workers of an area idle",
        normal / u32::from(admission.prefetch / 2)
    )));
    let most = u32::from(offboard_workers::PLACES_MOST);
    let (of_urgent, of_others) = (u32::from(admission.prefetch), u32::from(admission.prefetch / 2));
    assert_eq!(most, 8, "the page says eight times");
    assert!(page.contains(&format!("({} and {})", of_urgent * most, of_others * most)));
    let tenant = normal * admission.tenant_percent / 100;
    assert!(page.contains(&format!("One client has {tenant} of the credit of {normal}")));
}
