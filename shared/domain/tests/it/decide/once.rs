//! What must not happen twice: after an order without an answer it is read before anything else.

use crate::model::*;
use offboard_domain::catalogue::Kind;
use offboard_domain::fault::{FaultClass, Rule};
use offboard_domain::standing::next;
use offboard_domain::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use offboard_domain::{Command, Facts, Mode, Said, TaskState, Timestamp};

/// Brings a case to a wipe in flight.
fn wiping() -> World {
    let mut w = World::about_to_wipe();
    w.pass(2 * HOUR_MS);
    assert_eq!(w.task(Kind::WipeDevice).in_flight().map(|a| a.mode), Some(Mode::Full));
    w
}

#[test]
fn a_once_act_without_answer_is_only_read_until_that_is_conclusive() {
    let mut w = wiping();
    let id = w.id(Kind::WipeDevice);
    let over = w.task(Kind::WipeDevice).in_flight().unwrap().over_at();
    let report = w.report(id, fault(FaultClass::Unknown));
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    assert!(
        matches!(&w.task(Kind::WipeDevice).state, TaskState::Resting { until, .. } if *until >= over),
        "not before its validity is over"
    );
    w.now = over.plus(HOUR_MS);
    w.order(Command::Tick).unwrap();
    assert_eq!(
        w.task(Kind::WipeDevice).in_flight().map(|a| a.mode),
        Some(Mode::ObserveOnly)
    );
    // Inconclusive: a person.
    let unclear = Facts::new()
        .with("wiped", false)
        .with("owner_type", "company")
        .with("conclusive", false);
    let mut other = World {
        case: w.case.clone(),
        now: w.now,
        ..World::new()
    };
    let report = other.report(
        id,
        Said::Observed {
            observation: seen(unclear.clone()),
        },
    );
    other.order(Command::RecordReport(Box::new(report))).unwrap();
    assert!(matches!(
        other.task(Kind::WipeDevice).state,
        TaskState::Failed {
            rule: Rule::InconclusiveOnce,
            ..
        }
    ));
    // Conclusive: it did not happen, so it may be tried.
    let clear = Facts::new()
        .with("wiped", false)
        .with("owner_type", "company")
        .with("conclusive", true);
    let report = w.report(
        id,
        Said::Observed {
            observation: seen(clear),
        },
    );
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    assert_eq!(w.task(Kind::WipeDevice).in_flight().map(|a| a.mode), Some(Mode::Full));
}

#[test]
fn an_unanswered_once_act_is_read_after_its_validity_and_never_repeated_before() {
    let mut w = wiping();
    let over = w.task(Kind::WipeDevice).in_flight().unwrap().over_at();
    w.now = over.plus(-1);
    w.order(Command::Tick).unwrap();
    assert!(w.task(Kind::WipeDevice).in_flight().is_some());
    w.now = over;
    w.order(Command::Tick).unwrap();
    assert_eq!(
        w.task(Kind::WipeDevice).in_flight().map(|a| (a.number, a.mode)),
        Some((2, Mode::ObserveOnly))
    );
}

#[test]
fn a_wipe_that_waits_for_the_device_is_never_ordered_again() {
    let mut w = wiping();
    let id = w.id(Kind::WipeDevice);
    for _ in 0..5 {
        let until = w.now.plus(10 * MINUTE_MS);
        let report = w.report(
            id,
            Said::Wait {
                until,
                why: "the device has not checked in".into(),
                checkpoint: None,
            },
        );
        w.order(Command::RecordReport(Box::new(report))).unwrap();
        w.pass(10 * MINUTE_MS);
        assert_eq!(
            w.task(Kind::WipeDevice).in_flight().map(|a| a.mode),
            Some(Mode::ObserveOnly)
        );
    }
}

#[test]
fn a_vendor_that_never_comes_round_ends_at_a_person() {
    let mut w = wiping();
    let id = w.id(Kind::WipeDevice);
    for _ in 0..100 {
        let until = w.now.plus(2 * HOUR_MS);
        let report = w.report(
            id,
            Said::Wait {
                until,
                why: "offline".into(),
                checkpoint: None,
            },
        );
        w.order(Command::RecordReport(Box::new(report))).unwrap();
        if matches!(w.task(Kind::WipeDevice).state, TaskState::Failed { .. }) {
            assert!(matches!(
                w.task(Kind::WipeDevice).state,
                TaskState::Failed {
                    rule: Rule::StillWaiting,
                    ..
                }
            ));
            assert!(w.now.since(T0) < 4 * DAY_MS);
            return;
        }
        w.pass(2 * HOUR_MS);
    }
    panic!("nobody was asked");
}

/// A wipe was ordered, and the copy of its order that came again was answered.
fn wipe_that_somebody_may_be_at() -> (World, Timestamp) {
    let mut w = wiping();
    let id = w.id(Kind::WipeDevice);
    let over_at = w.task(Kind::WipeDevice).in_flight().unwrap().over_at();
    let again = w.report(id, fault(FaultClass::Unknown));
    w.order(Command::RecordReport(Box::new(again))).unwrap();
    (w, over_at)
}

#[test]
fn a_persons_retry_of_a_once_act_waits_until_nobody_can_be_at_it() {
    let (mut w, over_at) = wipe_that_somebody_may_be_at();
    let id = w.id(Kind::WipeDevice);
    w.order(Command::Retry {
        task: Some(id),
        by: "tech".into(),
    })
    .unwrap();
    w.order(Command::Tick).unwrap();
    assert_eq!(w.task(Kind::WipeDevice).in_flight(), None);
    let wake = next(w.case(), w.now, &w.gates).wake.unwrap();
    assert_eq!(wake.at, over_at);
    w.now = over_at;
    w.order(Command::Tick).unwrap();
    let reading = w.task(Kind::WipeDevice).in_flight().unwrap();
    assert_eq!(reading.mode, Mode::ObserveOnly);
}

#[test]
fn the_last_unanswered_order_of_a_once_act_is_read_before_a_person_has_it_tried_again() {
    let mut w = wiping();
    let id = w.id(Kind::WipeDevice);
    for _ in 1..Kind::WipeDevice.spec().attempts {
        let failed = w.report(id, fault(FaultClass::Transient));
        w.order(Command::RecordReport(Box::new(failed))).unwrap();
        while w.task(Kind::WipeDevice).in_flight().is_none() {
            w.pass(HOUR_MS);
        }
    }
    let last = *w.task(Kind::WipeDevice).in_flight().unwrap();
    assert_eq!(last.mode, Mode::Full);
    w.now = last.over_at();
    w.order(Command::Tick).unwrap();
    assert!(matches!(w.task(Kind::WipeDevice).state, TaskState::Failed { .. }));
    w.order(Command::Retry {
        task: Some(id),
        by: "tech".into(),
    })
    .unwrap();
    w.order(Command::Tick).unwrap();
    assert_eq!(w.task(Kind::WipeDevice).in_flight().unwrap().mode, Mode::ObserveOnly);
}

#[test]
fn a_late_report_of_a_once_act_makes_the_next_try_read_first() {
    let mut w = wiping();
    let id = w.id(Kind::WipeDevice);
    let late = w.report(id, fault(FaultClass::Transient));
    let report = w.report(
        id,
        Said::NotBegun {
            why: "the worker stopped".into(),
        },
    );
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    w.order(Command::RecordReport(Box::new(late))).unwrap();
    w.pass(MINUTE_MS);
    assert_eq!(
        w.task(Kind::WipeDevice).in_flight().map(|a| a.mode),
        Some(Mode::ObserveOnly)
    );
}
