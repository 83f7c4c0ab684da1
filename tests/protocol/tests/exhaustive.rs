//! Every run of the protocol with so many faults: its properties hold, and what must
//! be possible is.

#![expect(clippy::print_stdout, reason = "how much was looked at is the result")]

use offboard_protocol::Protocol;
use offboard_protocol::property::{LOST_AND_TWICE, NOTED_LOSS, RETRIED, TAIL_LOST};
use offboard_protocol::state::{FAULTS, Fault};
use stateright::{Checker, Expectation, Model};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// No check may take longer, also on a machine that has much else to do.
const LIMIT: Duration = Duration::from_secs(300);

/// Looks at every run. All that must be possible must be seen, but for what
/// these bounds leave out.
fn check(what: &str, protocol: Protocol, left_out: &[&str]) {
    let began = Instant::now();
    let checker = protocol.checker().threads(2).timeout(LIMIT).spawn_bfs().join();
    let (unique, deep) = (checker.unique_state_count(), checker.max_depth());
    println!(
        "{what}: {unique} unique states, {deep} steps deep, {:?}",
        began.elapsed()
    );
    assert!(
        began.elapsed() < LIMIT,
        "{what}: not all was looked at within {LIMIT:?}"
    );
    for property in checker.model().properties() {
        let name = property.name;
        let found = checker.discovery(name);
        match property.expectation {
            Expectation::Sometimes => {
                let wanted = !left_out.contains(&name);
                assert_eq!(found.is_some(), wanted, "{what}: {name}");
            }
            Expectation::Always | Expectation::Eventually => {
                let run = found.map(stateright::Path::into_actions);
                assert!(run.is_none(), "{what}: it does not hold that {name}: {run:#?}");
            }
        }
    }
}

#[test]
fn each_fault_alone() {
    let protocol = Protocol::new(&FAULTS, 1).losing(3);
    let appends = protocol.appends.clone();
    check("each fault alone", protocol, &[]);
    let met = |counter: &AtomicU64| counter.load(Ordering::Relaxed) > 0;
    assert!(met(&appends.done) && met(&appends.ours) && met(&appends.conflict) && met(&appends.gap));
}

#[test]
fn any_two_faults_without_a_loss() {
    let faults: Vec<Fault> = FAULTS.into_iter().filter(|f| *f != Fault::TailLost).collect();
    let left_out = [TAIL_LOST, NOTED_LOSS, LOST_AND_TWICE];
    check("any two faults", Protocol::new(&faults, 2), &left_out);
}

/// In histories of at most seven records: a loss leads to long ones.
#[test]
fn a_loss_and_any_other_fault() {
    check("a loss and any other", Protocol::new(&FAULTS, 2).up_to(7), &[RETRIED]);
}
