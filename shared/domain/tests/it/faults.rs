//! The table of faults, literally: what each class comes to at each try, and one schedule
//! to the millisecond.
//!
//! The numbers are written out, and not taken from the constants that they check: whoever
//! changes how long the outside world is waited for changes them here, too.

use crate::model::*;
use offboard_domain::catalogue::{Kind, spec};
use offboard_domain::departure::Manner;
use offboard_domain::fault::{Consequence, FaultClass, Rule, backoff_ms, consequence};
use offboard_domain::{Command, TaskId, TaskState};

/// The longest wait before the next try, by the try that failed; an hour after these.
const CEILINGS_MS: [i64; 10] = [
    5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 640_000, 1_280_000, 2_560_000,
];
const HOUR: i64 = 3_600_000;

fn ceiling(n: u32) -> i64 {
    let before = n.saturating_sub(1) as usize;
    CEILINGS_MS.get(before).copied().unwrap_or(HOUR)
}

/// The shortest and the longest wait after a fault that is waited out.
pub(crate) fn bounds(class: FaultClass, spent: u32, faults: u32) -> (i64, i64) {
    match class {
        FaultClass::Transient | FaultClass::Absent => (0, ceiling(spent)),
        FaultClass::Unknown => (60_000, ceiling(spent).max(60_000)),
        FaultClass::Throttled { retry_after_ms: None } => (30_000, ceiling(faults).max(30_000)),
        FaultClass::Throttled {
            retry_after_ms: Some(ms),
        } => {
            let asked = ms.clamp(1_000, 24 * HOUR);
            (asked, asked)
        }
        FaultClass::Denied | FaultClass::Blocked | FaultClass::Rejected | FaultClass::Unsupported => {
            panic!("{} is not waited out", class.word())
        }
    }
}

/// What a fault comes to, whatever the task.
#[derive(Debug)]
enum Then {
    /// From this to that long, in milliseconds, and whether it costs an attempt.
    Waits(i64, i64, bool),
    Asks(Rule),
}

fn throttled(ms: i64) -> FaultClass {
    FaultClass::Throttled {
        retry_after_ms: Some(ms),
    }
}

/// A server that is busy asks for less haste, too, and may have passed on what it had.
#[test]
fn who_asks_for_less_haste_has_refused_nothing_yet() {
    use FaultClass::{Absent, Blocked, Denied, Rejected, Transient, Unknown, Unsupported};
    for class in [Denied, Blocked, Absent, Rejected, Unsupported] {
        assert!(class.is_refusal(), "{class:?}");
    }
    let unsaid = FaultClass::Throttled { retry_after_ms: None };
    for class in [Transient, Unknown, throttled(7_000), unsaid] {
        assert!(!class.is_refusal(), "{class:?}");
    }
}

#[test]
fn each_class_at_each_try_comes_to_what_the_table_says() {
    use FaultClass::{Absent, Blocked, Denied, Rejected, Transient, Unknown, Unsupported};
    use Then::{Asks, Waits};
    const UNSAID: FaultClass = FaultClass::Throttled { retry_after_ms: None };
    // Class, tries that cost an attempt, faults, attempts allowed.
    let table = [
        ((Transient, 1, 1, 72), Waits(0, 5_000, true)),
        ((Transient, 2, 2, 72), Waits(0, 10_000, true)),
        ((Transient, 5, 9, 72), Waits(0, 80_000, true)),
        ((Transient, 10, 10, 72), Waits(0, 2_560_000, true)),
        ((Transient, 11, 11, 72), Waits(0, HOUR, true)),
        ((Transient, 71, 71, 72), Waits(0, HOUR, true)),
        ((Transient, 72, 72, 72), Asks(Rule::OutOfAttempts)),
        ((Absent, 1, 1, 72), Waits(0, 5_000, true)),
        ((Absent, 11, 11, 72), Waits(0, HOUR, true)),
        ((Absent, 72, 72, 72), Asks(Rule::OutOfAttempts)),
        // In-flight requests have ended by then.
        ((Unknown, 1, 1, 72), Waits(60_000, 60_000, true)),
        ((Unknown, 6, 6, 72), Waits(60_000, 160_000, true)),
        ((Unknown, 11, 11, 72), Waits(60_000, HOUR, true)),
        ((Unknown, 72, 72, 72), Asks(Rule::OutOfAttempts)),
        // By the faults, since no try is spent; and never out of tries.
        ((UNSAID, 0, 1, 72), Waits(30_000, 30_000, false)),
        ((UNSAID, 0, 5, 72), Waits(30_000, 80_000, false)),
        ((UNSAID, 99, 200, 72), Waits(30_000, HOUR, false)),
        // As long as the vendor says, but for what cannot be meant.
        ((throttled(0), 0, 1, 72), Waits(1_000, 1_000, false)),
        ((throttled(-7), 0, 1, 72), Waits(1_000, 1_000, false)),
        ((throttled(90_000), 99, 200, 72), Waits(90_000, 90_000, false)),
        ((throttled(72 * HOUR), 0, 1, 72), Waits(24 * HOUR, 24 * HOUR, false)),
        ((Denied, 1, 1, 72), Asks(Rule::NeedsPermission)),
        ((Denied, 72, 72, 72), Asks(Rule::NeedsPermission)),
        ((Blocked, 1, 1, 72), Asks(Rule::BlockedByPolicy)),
        ((Blocked, 72, 72, 72), Asks(Rule::BlockedByPolicy)),
        ((Rejected, 1, 1, 72), Asks(Rule::NeverAccepted)),
        ((Rejected, 72, 72, 72), Asks(Rule::NeverAccepted)),
        ((Unsupported, 1, 1, 72), Asks(Rule::NotOffered)),
        ((Unsupported, 72, 72, 72), Asks(Rule::NotOffered)),
    ];
    for ((class, spent, faults, allowed), then) in table {
        let said = format!("{class:?}, {spent} spent, {faults} faults: {then:?}");
        let came = (0..2_000_u16).map(|n| {
            let mut id = [0; 10];
            id[..2].copy_from_slice(&n.to_be_bytes());
            consequence(class, TaskId(id), spent, faults, allowed)
        });
        match then {
            Asks(rule) => {
                let mut came = came;
                assert!(came.all(|c| c == Consequence::AskPerson(rule)), "{said}");
            }
            Waits(least, most, costs) => {
                let waits: Vec<i64> = came
                    .map(|c| match c {
                        Consequence::Rest { wait_ms, costs_attempt } if costs_attempt == costs => wait_ms,
                        other => panic!("{said}, and not {other:?}"),
                    })
                    .collect();
                let (first, last) = (*waits.iter().min().unwrap(), *waits.iter().max().unwrap());
                assert!(least <= first && last <= most, "{said}, and not {first} to {last}");
                // Over all of it: whoever rests for the same fault does not come back together.
                let margin = (most - least) / 50;
                assert!(
                    first - least <= margin && most - last <= margin,
                    "{said}, and not {first} to {last}"
                );
                assert_eq!(bounds(class, spent, faults), (least, most), "{said}");
            }
        }
    }
    assert_eq!(spec::ATTEMPTS, 72);
}

#[test]
fn a_schedule_is_known_before_anything_has_failed() {
    let task = TaskId([7; 10]);
    let waits: Vec<i64> = (1..=12).map(|n| backoff_ms(task, n)).collect();
    let predicted = [
        1_348, 1_697, 18_981, 38_928, 44_080, 61_418, 66_520, 293_858, 1_050_044, 2_368_146, 2_422_635, 2_161_735,
    ];
    assert_eq!(waits, predicted);
}

/// What the vendor asks for is the least of it, and costs no try.
#[test]
fn a_task_rests_for_as_long_as_the_table_says() {
    let mut w = World::opened(Manner::Immediate);
    w.answer(Kind::Resolve);
    let id = w.id(Kind::SnapshotAccess);
    let report = w.report(id, fault(throttled(90_000)));
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    let task = w.task(Kind::SnapshotAccess);
    assert_eq!(task.spent, 0);
    assert!(
        matches!(task.state, TaskState::Resting { until, .. } if until == w.now.plus(90_000)),
        "{:?}",
        task.state
    );
}
