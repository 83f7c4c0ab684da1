//! How often and how fast: tries, rests, throttles and credit.

use crate::model::*;
use offboard_domain::catalogue::{Area, Kind, Lane};
use offboard_domain::departure::Manner;
use offboard_domain::fault::{FaultClass, Rule};
use offboard_domain::standing::next;
use offboard_domain::task::RestReason;
use offboard_domain::time::{HOUR_MS, MINUTE_MS};
use offboard_domain::{Command, Credit, Facts, Gates, Said, TaskState, decide};

#[test]
fn throttling_costs_no_attempt_and_holds_the_system_back() {
    let mut w = World::opened(Manner::Immediate);
    w.answer(Kind::Resolve);
    let id = w.id(Kind::SnapshotAccess);
    let said = fault(FaultClass::Throttled {
        retry_after_ms: Some(7_000),
    });
    let report = w.report(id, said);
    let d = decide(
        w.case.as_ref(),
        Command::RecordReport(Box::new(report)),
        w.now,
        &w.gates,
    )
    .unwrap();
    assert_eq!(d.holds, vec![(m365(), w.now.plus(7_000))]);
    let task = &d.case.tasks[&id];
    assert_eq!((task.spent, task.faults), (0, 1));
    let shut = [("hold/m365".to_owned(), w.now.plus(7_000))].into();
    let held = Gates { shut, ..Gates::open() };
    assert!(
        next(&d.case, w.now, &held).effects.is_empty(),
        "nothing of that system starts meanwhile"
    );
}

#[test]
fn a_throttle_without_a_word_rests_its_task_and_shuts_nobody_else_out_for_long() {
    let mut w = World::opened(Manner::Immediate);
    w.answer(Kind::Resolve);
    let id = w.id(Kind::SnapshotAccess);
    let mut rested = 0;
    for _ in 0..12 {
        let report = w.report(id, fault(FaultClass::Throttled { retry_after_ms: None }));
        let command = Command::RecordReport(Box::new(report));
        let d = decide(w.case.as_ref(), command.clone(), w.now, &w.gates).unwrap();
        assert_eq!(d.holds, vec![(m365(), w.now.plus(30_000))]);
        w.order(command).unwrap();
        let TaskState::Resting { until, .. } = w.task(Kind::SnapshotAccess).state else {
            panic!("{:?}", w.task(Kind::SnapshotAccess).state)
        };
        rested = until.since(w.now);
        w.now = until;
        w.order(Command::Tick).unwrap();
    }
    assert!(rested > 10 * MINUTE_MS, "{rested}: the task itself backs off");
}

/// Long work meets more faults and waits longer, in all, than any task may that
/// stands still.
#[test]
fn what_comes_further_has_its_tries_and_its_time_anew() {
    let mut w = World::opened(Manner::Immediate);
    w.answer(Kind::Resolve);
    let id = w.id(Kind::SnapshotAccess);
    let wait = |until| Said::Wait {
        until,
        why: "the vendor wants to be left alone".into(),
        checkpoint: None,
    };
    let (faults, days) = (Kind::SnapshotAccess.spec().attempts - 1, 2);
    for slice in 0..4 {
        for _ in 0..faults {
            let report = w.report(id, fault(FaultClass::Transient));
            w.order(Command::RecordReport(Box::new(report))).unwrap();
            w.pass(HOUR_MS);
        }
        for _ in 0..24 * days {
            let report = w.report(id, wait(w.now.plus(HOUR_MS)));
            w.order(Command::RecordReport(Box::new(report))).unwrap();
            w.pass(HOUR_MS);
        }
        let said = Said::Progress {
            checkpoint: Facts::new().with("slices", slice),
        };
        let report = w.report(id, said);
        w.order(Command::RecordReport(Box::new(report))).unwrap();
        w.pass(MINUTE_MS);
        let task = w.task(Kind::SnapshotAccess);
        assert!(task.in_flight().is_some(), "slice {slice}: {:?}", task.state);
        assert_eq!(task.faults, faults * (u32::try_from(slice).unwrap() + 1));
    }
    // Standing still, it ends at a person as ever.
    for _ in 0..=faults {
        assert!(w.task(Kind::SnapshotAccess).in_flight().is_some());
        let report = w.report(id, fault(FaultClass::Transient));
        w.order(Command::RecordReport(Box::new(report))).unwrap();
        w.pass(HOUR_MS);
    }
    let state = &w.task(Kind::SnapshotAccess).state;
    assert!(
        matches!(
            state,
            TaskState::Failed {
                rule: Rule::OutOfAttempts,
                ..
            }
        ),
        "{state:?}"
    );
}

#[test]
fn attempts_run_out_at_a_person_who_may_retry() {
    let mut w = World::opened(Manner::Immediate);
    w.answer(Kind::Resolve);
    let id = w.id(Kind::SnapshotAccess);
    for _ in 0..200 {
        if w.task(Kind::SnapshotAccess).in_flight().is_none() {
            break;
        }
        let report = w.report(id, fault(FaultClass::Transient));
        w.order(Command::RecordReport(Box::new(report))).unwrap();
        w.pass(HOUR_MS);
    }
    assert!(matches!(
        w.task(Kind::SnapshotAccess).state,
        TaskState::Failed {
            rule: Rule::OutOfAttempts,
            ..
        }
    ));
    assert_eq!(
        w.task(Kind::SnapshotAccess).attempt,
        Kind::SnapshotAccess.spec().attempts,
        "not one more, not one less"
    );
    w.order(Command::Retry {
        task: None,
        by: "tech".into(),
    })
    .unwrap();
    assert!(w.task(Kind::SnapshotAccess).in_flight().is_some());
}

#[test]
fn scarce_credit_goes_to_what_cuts_access_first() {
    let mut w = World::opened(Manner::Immediate);
    w.gates.credit = Credit::NONE;
    w.answer(Kind::Resolve);
    w.gates.credit.set(Area::Identity, Lane::Urgent, 1);
    w.order(Command::Tick).unwrap();
    assert_eq!(w.in_flight(), vec![w.id(Kind::SnapshotAccess)]);
}

#[test]
fn what_did_not_begin_costs_no_attempt() {
    let mut w = World::opened(Manner::Immediate);
    let id = w.id(Kind::Resolve);
    let report = w.report(id, Said::NotBegun { why: "too late".into() });
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    assert!(matches!(
        &w.task(Kind::Resolve).state,
        TaskState::Resting {
            why: RestReason::NotBegun { .. },
            ..
        }
    ));
    assert_eq!(w.task(Kind::Resolve).spent, 0);
}
