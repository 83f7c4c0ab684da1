//! A report that does not fit the history proves that the ledger has lost its tail.

use crate::model::*;
use offboard_domain::catalogue::Kind;
use offboard_domain::departure::Manner;
use offboard_domain::time::{HOUR_MS, MINUTE_MS};
use offboard_domain::{Command, Digest, Event, Refusal, Report, Said, decide, decide_loss};

#[test]
fn a_report_from_ahead_of_the_ledger_proves_a_lost_tail() {
    let mut w = World::opened(Manner::Immediate);
    w.drain();
    let id = w.id(Kind::DisableSignIn);
    let mut report = w.report(id, Said::NotBegun { why: String::new() });
    report.version = w.case().version + 5;
    let events = w.order(Command::RecordReport(Box::new(report))).unwrap();
    assert!(matches!(events[0], Event::TailLost { .. }));
    assert!(
        !w.task(Kind::DisableSignIn).is_settled(),
        "everything is looked at again"
    );
    w.run_to_sealing();
}

/// A case whose ledger forgets everything since the snapshot was to be taken,
/// and what a worker says of the attempt that the lost history ordered.
fn forgotten() -> (World, Report) {
    let mut w = World::opened(Manner::Immediate);
    let kept = w.case.clone();
    w.answer(Kind::Resolve);
    w.answer(Kind::SnapshotAccess);
    let report = w.truthful(w.id(Kind::RemoveDirectoryRoles));
    w.case = kept;
    (w, report)
}

#[test]
fn a_report_of_an_attempt_that_was_never_heard_of_proves_a_lost_tail() {
    let (mut w, report) = forgotten();
    // History has grown past what was lost before the report comes.
    while w.case().version < report.version {
        w.now = w.now.plus(HOUR_MS);
        w.order(Command::Tick).unwrap();
    }
    let events = w.order(Command::RecordReport(Box::new(report))).unwrap();
    assert!(matches!(events[0], Event::TailLost { .. }), "{events:?}");
    w.run_to_sealing();
}

#[test]
fn a_report_of_a_task_that_was_lost_is_kept_when_the_task_is_there_again() {
    let (mut w, report) = forgotten();
    w.now = w.now.plus(MINUTE_MS);
    let recorded = |w: &mut World, report: &Report| w.order(Command::RecordReport(Box::new(report.clone())));
    let events = recorded(&mut w, &report).unwrap();
    assert!(matches!(events[0], Event::TailLost { .. }), "{events:?}");
    let version = w.case().version;
    // Also if whoever wrote it is half a minute ahead of us.
    let ahead = Report {
        at: w.now.plus(30_000),
        ..report.clone()
    };
    for report in [&report, &ahead] {
        assert_eq!(recorded(&mut w, report), Err(Refusal::UnknownTask(report.task)));
    }
    // Or an hour, and comes again and again.
    let far_ahead = Report {
        at: w.now.plus(HOUR_MS),
        ..report.clone()
    };
    for _ in 0..10 {
        assert_eq!(recorded(&mut w, &far_ahead), Err(Refusal::UnknownTask(report.task)));
        w.now = w.now.plus(10 * MINUTE_MS);
    }
    assert!(far_ahead.at < w.now, "it is heard also when that is over");
    // Or tells of another order of that history.
    let of_another = Report {
        at: w.now.plus(HOUR_MS),
        head: Digest::of(b"another order"),
        ..report.clone()
    };
    assert_eq!(recorded(&mut w, &of_another), Err(Refusal::UnknownTask(report.task)));
    assert_eq!(w.case().version, version, "nothing is read again for it");
    w.run_to_sealing();
    let events = recorded(&mut w, &report).unwrap();
    assert!(
        matches!(events[..], [Event::LateReport { task, .. }] if task == report.task),
        "{events:?}"
    );
}

/// However far the first loss went: it does not tell that nothing was lost since.
#[test]
fn a_report_of_a_task_that_is_not_there_proves_a_second_loss_once_the_first_is_over() {
    for ahead_ms in [0, HOUR_MS] {
        let (mut w, report) = forgotten();
        let known = report.version + 40;
        w.order(Command::RecordLoss { known, parted: false }).unwrap();
        w.now = w.case().lost_orders_until().unwrap().plus(HOUR_MS);
        let since = Report {
            at: w.now.plus(ahead_ms),
            ..report
        };
        let record = Command::RecordReport(Box::new(since.clone()));
        if ahead_ms > 0 {
            // By a clock that is ahead it may be of the first one, until its time has come.
            assert_eq!(w.order(record.clone()), Err(Refusal::UnknownTask(since.task)));
            w.now = since.at;
        }
        let events = w.order(record.clone()).unwrap();
        let proves = |e: &Event| matches!(e, Event::TailLost { proven_by: Some(head), .. } if *head == since.head);
        assert!(events.first().is_some_and(proves), "{events:?}");
        for _ in 0..3 {
            w.now = w.now.plus(HOUR_MS);
            let again = w.order(record.clone());
            assert_eq!(again, Err(Refusal::UnknownTask(since.task)), "it tells of it once");
        }
    }
}

/// Others may have known of more of what it proved.
#[test]
fn a_report_whose_order_proved_a_loss_proves_no_other_however_far_that_one_went() {
    let (w, report) = forgotten();
    for (proven_by, is_known) in [(Some(report.head), true), (None, false)] {
        let loss = decide_loss(w.case(), report.version + 7, proven_by, w.now, &w.gates);
        let later = loss.case.lost_orders_until().unwrap().plus(HOUR_MS);
        let since = Report {
            at: later,
            ..report.clone()
        };
        let again = decide(
            Some(&loss.case),
            Command::RecordReport(Box::new(since)),
            later,
            &w.gates,
        );
        assert_eq!(again.is_err(), is_known, "{again:?}");
    }
}

/// As where the store does not answer that has what was ordered in it.
#[test]
fn a_report_whose_order_proved_a_loss_proves_no_other_where_it_is_not_known_how_far_that_went() {
    let (w, report) = forgotten();
    for (proven_by, is_noted) in [(Some(report.head), true), (None, false)] {
        let loss = decide_loss(w.case(), 0, proven_by, w.now, &w.gates);
        let version = loss.case.version;
        assert!(0 < version && version < report.version, "or this test shows nothing");
        let record = Command::RecordReport(Box::new(report.clone()));
        let again = decide(Some(&loss.case), record, w.now, &w.gates).map(|d| d.events);
        if is_noted {
            assert_eq!(again, Err(Refusal::UnknownTask(report.task)));
        } else {
            assert!(
                matches!(again.as_deref(), Ok([Event::TailLost { .. }, ..])),
                "{again:?}"
            );
        }
    }
}

#[test]
fn a_report_that_answers_an_order_from_before_a_loss_proves_no_other() {
    let (mut w, report) = forgotten();
    let again = Report {
        attempt: 7,
        ..w.truthful(w.id(Kind::Resolve))
    };
    w.now = w.now.plus(MINUTE_MS);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    let lost = |w: &World| {
        w.events
            .iter()
            .filter(|(_, e)| matches!(e, Event::TailLost { .. }))
            .count()
    };
    assert_eq!(lost(&w), 1);
    let begun = Report {
        said: Said::NotBegun { why: String::new() },
        ..again.clone()
    };
    assert!(matches!(
        w.order(Command::RecordReport(Box::new(begun))),
        Err(Refusal::Stale { got: 7, .. })
    ));
    // What it says happened is kept, once.
    let events = w.order(Command::RecordReport(Box::new(again.clone()))).unwrap();
    assert!(matches!(events[0], Event::LateReport { attempt: 7, .. }), "{events:?}");
    assert_eq!(
        w.order(Command::RecordReport(Box::new(again.clone()))),
        Err(Refusal::AlreadyRecorded)
    );
    assert_eq!(lost(&w), 1);
    // Others who have such orders end them later, each at his own time.
    let over = w.case().lost_orders_until().unwrap();
    w.now = over;
    let last = Report {
        attempt: 8,
        at: over,
        ..again.clone()
    };
    let events = w.order(Command::RecordReport(Box::new(last))).unwrap();
    assert!(matches!(events[0], Event::LateReport { attempt: 8, .. }), "{events:?}");
    assert_eq!(lost(&w), 1);
    // One that was written when all of them were over tells of another loss.
    w.now = w.now.plus(1);
    let since = Report {
        attempt: 9,
        at: w.now,
        ..again
    };
    w.order(Command::RecordReport(Box::new(since))).unwrap();
    assert_eq!(lost(&w), 2);
    w.run_to_sealing();
}

#[test]
fn a_report_from_ahead_of_more_than_what_was_lost_proves_another_loss_at_any_time() {
    let mut w = World::opened(Manner::Immediate);
    let known = w.case().version + 1;
    w.order(Command::RecordLoss { known, parted: false }).unwrap();
    // What was recorded since goes farther than what is known of what was lost.
    w.drain();
    assert!(w.case().version > known);
    let ahead = Report {
        version: w.case().version + 1,
        attempt: 7,
        ..w.truthful(w.id(Kind::SnapshotAccess))
    };
    let events = w.order(Command::RecordReport(Box::new(ahead))).unwrap();
    assert!(
        matches!(events[..2], [Event::TailLost { .. }, Event::LateReport { .. }]),
        "{events:?}"
    );
}

/// However far the first loss went, and though his clock is a second ahead of ours.
#[test]
fn a_report_on_a_task_that_is_there_proves_a_second_loss_once_the_first_is_over() {
    let mut w = World::opened(Manner::Immediate);
    let known = w.case().version + 100;
    w.order(Command::RecordLoss { known, parted: false }).unwrap();
    w.now = w.case().lost_orders_until().unwrap().plus(HOUR_MS);
    let again = Report {
        version: w.case().version + 5,
        attempt: 7,
        at: w.now.plus(1_000),
        ..w.truthful(w.id(Kind::Resolve))
    };
    let record = Command::RecordReport(Box::new(again.clone()));
    let events = w.order(record.clone()).unwrap();
    assert!(
        matches!(events[..2], [Event::TailLost { .. }, Event::LateReport { .. }]),
        "{events:?}"
    );
    w.now = w.now.plus(HOUR_MS);
    assert_eq!(w.order(record), Err(Refusal::AlreadyRecorded), "it tells of it once");
}

#[test]
fn a_report_of_an_attempt_that_another_record_ordered_proves_a_lost_tail() {
    let (mut w, mut again) = (World::about_to_wipe(), World::about_to_wipe());
    w.pass(2 * HOUR_MS);
    let wiped = w.truthful(w.id(Kind::WipeDevice));
    // The order is lost with its number, and given again under the same one.
    again.pass(2 * HOUR_MS + MINUTE_MS);
    let ordered_again = again.task(Kind::WipeDevice).clone();
    assert_eq!(
        (ordered_again.attempt, ordered_again.ordered_by.unwrap().version),
        (wiped.attempt, wiped.version),
        "only the hash tells them apart"
    );
    let events = again.order(Command::RecordReport(Box::new(wiped))).unwrap();
    assert!(matches!(events[0], Event::TailLost { .. }), "{events:?}");
    assert!(matches!(events[1], Event::LateReport { .. }), "what it says is kept");
    let wipe = again.task(Kind::WipeDevice);
    assert!(
        !wipe.is_settled() && wipe.observe_first,
        "it is read, not ordered again"
    );
}
