//! Death at every await of every kind, on the vendor's world and through the
//! real connector; a workspace's and an application's likewise.

use offboard_domain::catalogue::{apps, workspace};
use offboard_domain::time::MINUTE_MS;
use offboard_domain::{Area, Kind};
use offboard_sim::population::Cast;
use offboard_suites::death::{
    Deaths, at_every_await, in_a_workspace, in_applications, pool_that_lags, with_least_permissions,
};
use std::collections::BTreeSet;

/// Picks somebody of a cast.
type Chosen = fn(&Cast) -> &String;

/// People who between them have something of every sort to lose.
const WHO: [(&str, Chosen); 5] = [
    ("devices", |c| &c.devices),
    ("forwarder", |c| &c.forwarder),
    ("sole owner", |c| &c.sole_owner),
    ("group licensed", |c| &c.group_licensed),
    ("privileged", |c| &c.privileged),
];

fn machines() -> BTreeSet<Kind> {
    Kind::ALL
        .iter()
        .copied()
        .filter(|k| k.spec().area != Area::Person)
        // A cloud alone.
        .filter(|k| k.is_of_a_cloud())
        .collect()
}

#[test]
fn every_kind_converges_after_death_at_any_await() {
    let mut told: Vec<Deaths> = Vec::new();
    for (name, who) in WHO {
        told.extend(at_every_await(who).unwrap_or_else(|wrong| panic!("{name}: {wrong}")));
    }
    each_died_and_those_that_write_wrote(&told, &machines());
}

#[test]
fn every_kind_of_a_workspace_converges_after_death_at_any_await() {
    let told = in_a_workspace().unwrap();
    each_died_and_those_that_write_wrote(&told, &workspace::KINDS.iter().copied().collect());
    // Each order is another transfer, so all of them are counted.
    let transfers = told.iter().filter(|d| d.kind == Kind::TransferFiles);
    assert_eq!(transfers.map(|d| d.effects).collect::<Vec<_>>(), [1]);
}

#[test]
fn every_kind_of_an_application_converges_after_death_at_any_await() {
    let told = in_applications().unwrap();
    each_died_and_those_that_write_wrote(&told, &apps::KINDS.iter().copied().collect());
}

fn each_died_and_those_that_write_wrote(told: &[Deaths], kinds: &BTreeSet<Kind>) {
    // Who has no device gives the round of devices nothing to read.
    let died: BTreeSet<Kind> = told.iter().filter(|d| d.awaits > 0).map(|d| d.kind).collect();
    let wrote: BTreeSet<Kind> = told.iter().filter(|d| d.effects > 0).map(|d| d.kind).collect();
    let missing: Vec<Kind> = kinds.difference(&died).copied().collect();
    assert!(missing.is_empty(), "no attempt of these died: {missing:?}");
    // Else two worlds in which nothing happened would be compared.
    // What an archive writes, it writes into our own store.
    let outside = |k: &Kind| k.spec().writes && *k != Kind::ArchiveMailbox;
    let writing: BTreeSet<Kind> = kinds.iter().copied().filter(outside).collect();
    let idle: Vec<Kind> = writing.difference(&wrote).copied().collect();
    assert!(idle.is_empty(), "these had no effect on anybody: {idle:?}");
    let reading: Vec<Kind> = wrote.difference(&writing).copied().collect();
    assert!(
        reading.is_empty(),
        "these only read, and changed something: {reading:?}"
    );
}

#[test]
fn every_kind_does_with_the_permissions_that_it_is_said_to_need() {
    let mut ran = BTreeSet::new();
    for (name, who) in WHO {
        ran.extend(with_least_permissions(who).unwrap_or_else(|wrong| panic!("{name}: {wrong}")));
    }
    assert_eq!(ran, machines());
}

#[test]
fn a_pool_that_lags_is_waited_for_and_one_that_lags_too_long_is_not_claimed() {
    let (seen, took_ms) = pool_that_lags(|c| &c.plain, 0).unwrap();
    assert_eq!(seen.bool("pool_agrees"), Some(true), "{seen:?}");
    assert!(took_ms < MINUTE_MS, "{took_ms}");
    assert!(seen.list("freed_sku_ids").is_some_and(|freed| !freed.is_empty()));

    let (seen, took_ms) = pool_that_lags(|c| &c.plain, 10 * MINUTE_MS).unwrap();
    assert_eq!(seen.bool("pool_agrees"), Some(true), "{seen:?}");
    assert!((10 * MINUTE_MS..20 * MINUTE_MS).contains(&took_ms), "{took_ms}");

    let (seen, _) = pool_that_lags(|c| &c.plain, 120 * MINUTE_MS).unwrap();
    assert_eq!(seen.bool("pool_agrees"), Some(false), "{seen:?}");
    assert!(seen.list("pool_differs").is_some_and(|d| !d.is_empty()), "{seen:?}");
    assert!(seen.text("pool_proves_nothing_because").is_some());
}
