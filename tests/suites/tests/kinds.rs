//! Death at every await of every kind, on the vendor's world and through the
//! real connector.

use offboard_domain::{Area, Kind};
use offboard_sim::population::Cast;
use offboard_suites::death::{Deaths, at_every_await};
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

#[test]
fn every_kind_converges_after_death_at_any_await() {
    let mut died: BTreeSet<Kind> = BTreeSet::new();
    for (name, who) in WHO {
        let told: Vec<Deaths> = at_every_await(who).unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
        // Who has no device gives the round of devices nothing to read.
        died.extend(told.iter().filter(|d| d.awaits > 0).map(|d| d.kind));
    }
    let machines: BTreeSet<Kind> = Kind::ALL
        .iter()
        .copied()
        .filter(|k| k.spec().area != Area::Person)
        .collect();
    let missing: Vec<&Kind> = machines.difference(&died).collect();
    assert!(missing.is_empty(), "no attempt of these died: {missing:?}");
}
