//! Every run of the protocol, up to a bound: the laws hold, and what must be
//! possible is.

#![expect(clippy::print_stdout, reason = "how much was looked at is the result")]

use offboard_protocol::Protocol;
use offboard_protocol::state::{FAULTS, Fault};
use stateright::{Checker, Expectation, Model};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// No check may take longer, also on a machine that has much else to do.
const LIMIT: Duration = Duration::from_secs(300);

/// Looks at every run, and returns what must be possible and was not seen.
fn check(what: &str, protocol: Protocol) -> Vec<&'static str> {
    let appends = protocol.appends.clone();
    let checker = protocol.checker().threads(2).timeout(LIMIT).spawn_bfs().join();
    println!(
        "{what}: {} unique states, {} deep",
        checker.unique_state_count(),
        checker.max_depth()
    );
    assert!(checker.is_done(), "{what}: not all was looked at within {LIMIT:?}");
    let count = |c: &std::sync::atomic::AtomicU64| c.load(Ordering::Relaxed);
    assert!(count(&appends.done) > 0);
    let mut unseen = Vec::new();
    for property in checker.model().properties() {
        match (property.expectation, checker.discovery(property.name)) {
            (Expectation::Sometimes, None) => unseen.push(property.name),
            (Expectation::Always | Expectation::Eventually, Some(path)) => {
                panic!("{what}: not so: {}\n{:#?}", property.name, path.into_actions());
            }
            _ => {}
        }
    }
    unseen
}

/// All but the one that costs most to look at.
fn without_losses() -> Vec<Fault> {
    FAULTS.into_iter().filter(|f| *f != Fault::TailLost).collect()
}

#[test]
fn each_fault_alone() {
    let protocol = Protocol::new(&FAULTS, 1).losing(2).up_to(12);
    let appends = protocol.appends.clone();
    let unseen = check("each fault alone", protocol);
    println!("{unseen:?}");
    for met in [&appends.ours, &appends.conflict, &appends.gap] {
        assert!(met.load(Ordering::Relaxed) > 0);
    }
}

#[test]
fn any_two_faults() {
    println!(
        "{:?}",
        check("any two faults", Protocol::new(&without_losses(), 2).up_to(9))
    );
}

#[test]
fn any_two_faults_of_which_one_is_a_loss() {
    println!(
        "{:?}",
        check("a loss and any other fault", Protocol::new(&FAULTS, 2).up_to(7))
    );
}
