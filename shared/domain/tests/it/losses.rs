//! Ring 1: a history that is known to have been longer, and the gates that
//! hold back what may be tried.

use crate::keeping::{account, cloud, leaving, opened, opened_under, stands, wants, wants_hold};
use crate::model::*;
use offboard_domain::catalogue::{Area, Kind};
use offboard_domain::departure::Manner;
use offboard_domain::fault::Rule;
use offboard_domain::standing::{Standing, next, standing, words};
use offboard_domain::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use offboard_domain::{
    Capabilities, CaseState, Command, Event, Facts, FaultClass, Gates, Mode, Outcome, Policy, Refusal, Report, Said,
    System, TaskState, Timestamp, WakeReason, decide,
};

fn lost(w: &mut World, known: u64) -> Vec<Event> {
    w.order(Command::RecordLoss { known, parted: false }).unwrap()
}

/// A case whose wipe is settled, and everything else that can be.
fn wiped() -> World {
    let mut w = World::about_to_wipe();
    w.pass(2 * HOUR_MS);
    w.drain();
    assert!(w.task(Kind::WipeDevice).is_settled());
    w
}

#[test]
fn a_loss_of_an_unknown_case_is_refused() {
    let loss = Command::RecordLoss { known: 7, parted: true };
    let none = decide(None, loss, T0, &Gates::open());
    assert!(matches!(none, Err(Refusal::UnknownCase)));
}

#[test]
fn who_knows_of_no_more_than_there_is_proves_no_loss() {
    let mut w = wiped();
    let version = w.case().version;
    for known in [0, 1, version - 1, version] {
        let before = format!("{:?}", w.case());
        assert_eq!(lost(&mut w, known), [], "{known} of {version}");
        assert_eq!(format!("{:?}", w.case()), before);
    }
    assert!(!lost(&mut w, version + 1).is_empty());
}

#[test]
fn who_stood_elsewhere_proves_a_loss_however_far_history_has_grown_since() {
    let mut w = wiped();
    let known = w.case().version - 1;
    let events = w.order(Command::RecordLoss { known, parted: true }).unwrap();
    assert_eq!(
        events[0],
        Event::TailLost {
            known,
            dealt_with: None,
            proven_by: None
        }
    );
}

/// What people ordered in it is for whoever can read that. Where nobody has, none of it is
/// dealt with: who says nothing of it is an older program, which has dealt with all that was kept.
#[test]
fn a_report_that_proves_a_loss_deals_with_nothing_that_people_ordered() {
    let mut w = World::opened(Manner::Immediate);
    w.answer(Kind::Resolve);
    let known = w.case().version + 3;
    let ahead = Report {
        version: known,
        ..w.truthful(w.id(Kind::SnapshotAccess))
    };
    let head = ahead.head;
    let events = w.order(Command::RecordReport(Box::new(ahead))).unwrap();
    assert_eq!(
        events[0],
        Event::TailLost {
            known,
            dealt_with: Some(Vec::new()),
            proven_by: Some(head)
        }
    );
}

/// Its worker's clock was a day ahead, and its task is not there again before that day is over.
#[test]
fn a_report_that_told_of_a_loss_tells_of_no_other_when_its_time_has_come() {
    let mut w = World::opened(Manner::Immediate);
    let (kept, events) = (w.case.clone(), w.events.len());
    w.answer(Kind::Resolve);
    let report = Report {
        at: w.now.plus(DAY_MS),
        ..w.truthful(w.id(Kind::SnapshotAccess))
    };
    w.case = kept;
    w.events.truncate(events);
    let told = w.order(Command::RecordReport(Box::new(report.clone()))).unwrap();
    assert!(matches!(told[0], Event::TailLost { .. }), "{told:?}");
    w.now = w.now.plus(DAY_MS + HOUR_MS);
    let again = w.order(Command::RecordReport(Box::new(report.clone())));
    assert!(matches!(again, Err(Refusal::UnknownTask(_))), "{again:?}");
    w.run_until(|w| w.case().has(Kind::SnapshotAccess));
    let late = w.order(Command::RecordReport(Box::new(report))).unwrap();
    assert!(matches!(late[0], Event::LateReport { .. }), "{late:?}");
}

#[test]
fn how_far_a_lost_history_went_need_not_be_known() {
    let mut w = wiped();
    let loss = Command::RecordLoss { known: 0, parted: true };
    assert_eq!(
        w.order(loss).unwrap()[0],
        Event::TailLost {
            known: 0,
            dealt_with: None,
            proven_by: None
        }
    );
    assert_eq!(w.case().tail_lost_at, Some(w.now));
}

#[test]
fn after_a_loss_a_once_act_is_not_even_read_while_somebody_may_be_at_what_is_lost() {
    let mut w = wiped();
    let known = w.case().version + 1;
    let lost_at = w.now;
    lost(&mut w, known);
    let spec = Kind::WipeDevice.spec();
    // Five minutes to begin, the time that it may take, half a minute for the clocks.
    let over = lost_at.plus(5 * 60_000 + spec.run_for_ms + 30_000);
    let waits = |w: &World| match standing(w.case(), w.task(Kind::WipeDevice), w.now, &w.gates) {
        Standing::WaitsUntil(wake) => Some(wake.at),
        _ => None,
    };
    w.drain();
    assert_eq!(w.task(Kind::WipeDevice).in_flight(), None);
    assert_eq!(waits(&w), Some(over));
    w.now = over;
    w.order(Command::Tick).unwrap();
    assert_eq!(
        w.task(Kind::WipeDevice).in_flight().map(|a| a.mode),
        Some(Mode::ObserveOnly)
    );
}

#[test]
fn a_known_loss_makes_every_machines_task_unknown_and_leaves_people_alone() {
    let mut w = wiped();
    let known = w.case().version + 5;
    let events = lost(&mut w, known);
    assert_eq!(
        events[0],
        Event::TailLost {
            known,
            dealt_with: None,
            proven_by: None
        }
    );
    assert_eq!(w.case().tail_lost_at, Some(w.now));
    for task in w.case().tasks.values() {
        let kind = task.kind();
        if kind == Kind::Resolve || kind.spec().area == Area::Person {
            assert!(!task.observe_first, "{kind}");
            continue;
        }
        assert!(!task.is_settled(), "{kind} counts as done");
        assert_eq!(task.observe_first, !kind.spec().convergent, "{kind}");
    }
    for kind in [Kind::Resolve, Kind::ApprovePlan, Kind::ConfirmDeviceReturned] {
        assert!(
            w.task(kind).is_settled(),
            "{kind}: who he is and what people said stays"
        );
    }
    assert_eq!(w.case().state, CaseState::Active);
    w.run_to_sealing();
}

/// That somebody goes without it stands in what is left of the history.
#[test]
fn a_loss_ends_no_waiver() {
    let mut w = World::opened(Manner::Planned);
    w.finds = company_laptop();
    w.drain();
    let waived = [Kind::ReleaseDirectLicenses, Kind::WipeDevice];
    for kind in waived {
        w.order(Command::Waive {
            task: w.id(kind),
            by: "boss@msp.example".into(),
            reason: "legal looks into it".into(),
            until: w.now.plus(30 * DAY_MS),
        })
        .unwrap();
    }
    let known = w.case().version + 5;
    lost(&mut w, known);
    w.run_to_sealing();
    for kind in waived {
        assert!(w.task(kind).is_waived(), "{kind}");
        assert_eq!(w.task(kind).attempt, 0, "{kind} was ordered against a waiver");
    }
    // It may have ended, and the device been wiped, in what is lost.
    assert!(
        w.task(Kind::WipeDevice).observe_first,
        "it is read first when the waiver ends"
    );
}

#[test]
fn what_came_late_is_a_persons_after_a_loss_too() {
    let mut w = opened(leaving(), cloud());
    w.approve();
    w.pass(10 * DAY_MS);
    w.run_to_sealing();
    w.order(wants_hold()).unwrap();
    w.drain();
    w.approve();
    let known = w.case().version + 5;
    lost(&mut w, known);
    for _ in 0..10 {
        w.drain();
        w.pass(HOUR_MS);
    }
    let hold = w.task(Kind::HoldMailbox);
    let is_late = matches!(hold.state, TaskState::Failed { rule, .. } if rule == Rule::LateFind);
    assert!(is_late, "{:?}", hold.state);
    assert_eq!(hold.attempt, 0, "it ran, and nobody was asked");
    let retry = Command::Retry {
        task: Some(hold.id()),
        by: "boss@msp.example".into(),
    };
    w.order(retry).unwrap();
    w.run_to_sealing();
    assert_eq!(w.task(Kind::HoldMailbox).outcome(), Some(&Outcome::Verified));
}

fn is_late(w: &World, kind: Kind) -> bool {
    matches!(w.task(kind).state, TaskState::Failed { rule, .. } if rule == Rule::LateFind)
}

/// What was done is done outside, whatever is known of it here.
#[test]
fn a_hold_that_is_wanted_after_a_loss_comes_too_late_for_what_was_done_before_it() {
    let mut w = opened(leaving(), cloud());
    w.approve();
    w.pass(10 * DAY_MS);
    w.run_to_sealing();
    let known = w.case().version + 5;
    lost(&mut w, known);
    assert!(!w.task(Kind::ConvertToShared).is_settled());
    w.order(wants_hold()).unwrap();
    assert!(is_late(&w, Kind::HoldMailbox), "{:?}", w.task(Kind::HoldMailbox).state);
}

#[test]
fn a_hold_comes_too_late_for_what_nobody_has_answered_for() {
    let mut w = opened(leaving(), cloud());
    w.approve();
    w.pass(10 * DAY_MS);
    let convert = Kind::ConvertToShared;
    for _ in 0..500 {
        w.drain_but(convert);
        if matches!(w.task(convert).state, TaskState::Failed { .. }) {
            break;
        }
        if w.case().in_flight_of(convert) > 0 {
            // Whoever has it dies.
            w.pass(HOUR_MS);
        } else {
            w.a_person_or_time(10 * MINUTE_MS);
        }
    }
    let state = &w.task(convert).state;
    let given_up = matches!(state, TaskState::Failed { rule, .. } if *rule == Rule::OutOfAttempts);
    assert!(given_up, "{state:?}");
    w.order(wants_hold()).unwrap();
    assert!(is_late(&w, Kind::HoldMailbox), "{:?}", w.task(Kind::HoldMailbox).state);
    // Nobody knows that anything was done.
    let TaskState::Failed { detail, .. } = &w.task(Kind::HoldMailbox).state else {
        panic!("it is late")
    };
    assert!(detail.ends_with("was done, or may have been begun"), "{detail}");
}

/// Everything is done that comes before the conversion, and that is with a worker.
fn converting() -> World {
    let mut w = opened(leaving(), cloud());
    w.approve();
    w.pass(10 * DAY_MS);
    for _ in 0..500 {
        w.drain_but(Kind::ConvertToShared);
        if w.case().in_flight_of(Kind::ConvertToShared) > 0 {
            return w;
        }
        w.a_person_or_time(10 * MINUTE_MS);
    }
    panic!("nobody is to convert it");
}

#[test]
fn a_hold_comes_in_time_for_what_was_ordered_where_nobody_was_there() {
    let mut w = converting();
    w.gates.shut.insert("since/away/m365".to_owned(), w.now);
    w.gates.shut.insert("away/m365".to_owned(), w.now.plus(900 * DAY_MS));
    w.now = w.task(Kind::ConvertToShared).in_flight().unwrap().over_at();
    w.order(Command::Tick).unwrap();
    let convert = w.task(Kind::ConvertToShared);
    assert!(
        matches!(convert.state, TaskState::Resting { .. }),
        "{:?}",
        convert.state
    );
    assert_eq!(convert.spent, 0, "or this test shows nothing");
    w.order(wants_hold()).unwrap();
    assert!(!is_late(&w, Kind::HoldMailbox), "{:?}", w.task(Kind::HoldMailbox).state);
}

/// Who goes without it for a time takes nothing back of what was written.
#[test]
fn a_hold_comes_too_late_for_what_was_half_written_before_it_was_waived() {
    let mut w = converting();
    w.gates.shut.insert("pause/m365".to_owned(), w.now.plus(900 * DAY_MS));
    let id = w.id(Kind::ConvertToShared);
    let half = Report {
        remembered: Some(Facts::new().with("half", true)),
        ..w.report(id, fault(FaultClass::Rejected))
    };
    w.order(Command::RecordReport(Box::new(half))).unwrap();
    assert!(
        w.task(Kind::ConvertToShared).checkpoint.is_some(),
        "or this test shows nothing"
    );
    w.order(Command::Waive {
        task: id,
        by: "boss@msp.example".into(),
        reason: "legal looks into it".into(),
        until: w.now.plus(HOUR_MS),
    })
    .unwrap();
    w.pass(2 * HOUR_MS);
    let convert = w.task(Kind::ConvertToShared);
    assert_eq!(convert.state, TaskState::Pending, "or this test shows nothing");
    w.order(wants_hold()).unwrap();
    assert!(is_late(&w, Kind::HoldMailbox), "{:?}", w.task(Kind::HoldMailbox).state);
}

/// A wipe whose order is lost with its approval, and what the worker says that has it.
fn ordered_in_a_lost_history() -> (World, Report) {
    let mut w = opened(leaving(), cloud());
    w.finds = company_laptop();
    w.approve();
    w.pass(10 * DAY_MS);
    w.run_until(|w| w.case().has(Kind::WipeDevice) && stands(w, Kind::WipeDevice) == Standing::WaitsForOwnApproval);
    let (kept, events) = (w.case.clone(), w.events.len());
    w.approve_wipe();
    w.pass(2 * HOUR_MS);
    let ordered = w.task(Kind::WipeDevice).in_flight().map(|a| a.mode);
    assert_eq!(ordered, Some(Mode::Full));
    let said = Said::Wait {
        until: w.now.plus(HOUR_MS),
        why: "it has not checked in".into(),
        checkpoint: None,
    };
    let report = w.report(w.id(Kind::WipeDevice), said);
    w.case = kept;
    w.events.truncate(events);
    (w, report)
}

#[test]
fn a_wipe_that_only_its_report_tells_of_was_ordered_and_is_looked_for() {
    let (mut w, report) = ordered_in_a_lost_history();
    let events = w.order(Command::RecordReport(Box::new(report))).unwrap();
    assert!(
        matches!(events[..2], [Event::TailLost { .. }, Event::LateReport { .. }]),
        "{events:?}"
    );
    assert_eq!(w.task(Kind::WipeDevice).attempt, 0, "or this test shows nothing");
    w.order(wants(|d| d.choices.wipe_company_devices = Some(false)))
        .unwrap();
    let asked = &w.task(Kind::DecidePreservation).state;
    assert!(is_late(&w, Kind::DecidePreservation), "{asked:?}");
    // Whoever agrees to it anew can no more stop what was ordered: it is looked for at once.
    w.drain();
    w.now = w.task(Kind::WipeDevice).busy_until.unwrap();
    let asked = words(&stands(&w, Kind::WipeDevice), w.task(Kind::WipeDevice));
    assert!(asked.starts_with("may have been ordered already"), "{asked}");
    w.approve_wipe();
    let looks = w.task(Kind::WipeDevice).in_flight().map(|a| a.mode);
    assert_eq!(looks, Some(Mode::ObserveOnly));
    let not_wiped = good(Kind::WipeDevice).with("wiped", false).with("conclusive", true);
    let said = Said::Observed {
        observation: seen(not_wiped),
    };
    let report = w.report(w.id(Kind::WipeDevice), said);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    let then = stands(&w, Kind::WipeDevice);
    assert!(matches!(then, Standing::WaitsFor(_)), "{then:?}");
}

/// Five minutes to begin, the longest that any may take, half a minute for the clocks.
fn lost_orders_are_over(lost_at: Timestamp) -> Timestamp {
    let longest = Kind::ALL.iter().map(|k| k.spec().run_for_ms).max().unwrap();
    lost_at.plus(5 * MINUTE_MS + longest + 30_000)
}

/// Whoever holds an order of the history that is lost may write until then, and no round would
/// see it.
#[test]
fn no_closing_round_begins_while_somebody_may_be_at_what_is_lost() {
    let kinds = [
        Kind::Resolve,
        Kind::SnapshotAccess,
        Kind::DisableSignIn,
        Kind::ObserveIdentity,
    ];
    let few = Capabilities([(m365(), kinds.into())].into());
    let mut w = opened_under(Policy::default(), departure(Manner::Immediate), few);
    w.run_to_sealing();
    let known = w.case().version + 1;
    let round = w.case().round;
    let over = lost_orders_are_over(w.now);
    lost(&mut w, known);
    w.drain();
    assert!(w.case().all_settled(), "or this test shows nothing");
    assert_eq!((&w.case().state, w.case().round), (&CaseState::Active, round));
    let timer = next(w.case(), w.now, &w.gates).timer.unwrap();
    assert_eq!((timer.at, timer.why), (over, WakeReason::Unanswered));
    assert!(timer.why.words().contains("lost history"), "everything is answered");
    w.now = over;
    w.order(Command::Tick).unwrap();
    assert_eq!((&w.case().state, w.case().round), (&CaseState::Closing, round + 1));
}

/// Nothing of it is read again, and so nothing would prove it anew.
#[test]
fn what_was_proven_stays_so_when_history_is_lost_while_a_case_is_called_off() {
    let mut w = World::with_in_flight(Kind::RemoveDirectoryRoles, Manner::Immediate);
    w.answer(Kind::RemoveDirectoryRoles);
    w.order(Command::Cancel {
        by: "boss@msp.example".into(),
        reason: "he stays".into(),
    })
    .unwrap();
    assert_eq!(w.case().state, CaseState::Cancelling);
    let known = w.case().version + 3;
    assert!(!lost(&mut w, known).is_empty());
    let roles = w.task(Kind::RemoveDirectoryRoles);
    assert_eq!(roles.outcome(), Some(&Outcome::Verified));
    assert_eq!(w.in_flight(), [], "what was under way is not known any more");
    w.now = w.case().lost_orders_until().unwrap();
    w.order(Command::Tick).unwrap();
    assert_eq!(w.case().state, CaseState::Cancelled);
    // And its account says so, and verifies.
    let told = account(&w).predicate;
    let roles = told.tasks.iter().find(|t| t.kind == Kind::RemoveDirectoryRoles.name());
    assert!(roles.is_some_and(|t| t.outcome.is_some()));
}

#[test]
fn nothing_is_sealed_after_a_loss_before_everything_was_read_again() {
    let mut w = wiped();
    w.run_to_sealing();
    let round = w.case().round;
    let known = w.case().version + 1;
    lost(&mut w, known);
    assert_eq!(w.case().state, CaseState::Active);
    assert!(!w.case().is_to_be_sealed());
    w.run_to_sealing();
    assert!(w.case().round > round, "another round was read");
}

#[test]
fn what_is_over_is_not_opened_again_by_a_loss() {
    let mut w = World::opened(Manner::Immediate);
    w.order(Command::Cancel {
        by: "boss".into(),
        reason: "he stays".into(),
    })
    .unwrap();
    w.drain();
    assert_eq!(w.case().state, CaseState::Cancelled);
    assert_eq!(lost(&mut w, 900), []);
    assert_eq!(w.case().tail_lost_at, None);
}

/// Whoever holds an order of the history that is lost may be at it, and answers.
#[test]
fn a_case_that_is_called_off_awaits_what_may_be_under_way_of_a_lost_history() {
    let cancel = || Command::Cancel {
        by: "boss@msp.example".into(),
        reason: "he stays".into(),
    };
    for lost_first in [false, true] {
        let mut w = World::opened(Manner::Immediate);
        w.answer(Kind::Resolve);
        w.answer(Kind::SnapshotAccess);
        let answer = w.truthful(w.id(Kind::RemoveDirectoryRoles));
        if !lost_first {
            w.order(cancel()).unwrap();
        }
        let known = w.case().version + 3;
        lost(&mut w, known);
        let lost_at = w.now;
        if lost_first {
            w.order(cancel()).unwrap();
        }
        w.drain();
        assert_eq!(w.case().state, CaseState::Cancelling, "{lost_first}");
        w.now = lost_at.plus(60_000);
        let events = w.order(Command::RecordReport(Box::new(answer))).unwrap();
        assert!(matches!(events[..], [Event::LateReport { .. }]), "{events:?}");
        // Five minutes to begin, the longest that any may take, half a minute for the clocks.
        let longest = Kind::ALL.iter().map(|k| k.spec().run_for_ms).max().unwrap();
        let over = lost_at.plus(5 * 60_000 + longest + 30_000);
        let timer = next(w.case(), w.now, &w.gates).timer.unwrap();
        assert_eq!((timer.at, timer.why), (over, WakeReason::Unanswered), "{lost_first}");
        w.now = over;
        w.order(Command::Tick).unwrap();
        assert_eq!(w.case().state, CaseState::Cancelled, "{lost_first}");
        assert_eq!(w.case().account_to().version, w.case().version, "and is told");
    }
}

#[test]
fn after_a_loss_what_must_not_happen_twice_is_read_first_and_the_rest_is_done_again() {
    let mut w = wiped();
    let known = w.case().version + 5;
    lost(&mut w, known);
    for _ in 0..50 {
        if w.task(Kind::WipeDevice).in_flight().is_some() {
            break;
        }
        let next = w.in_flight().into_iter().next();
        match next {
            Some(id) => {
                let attempt = *w.case().tasks[&id].in_flight().unwrap();
                assert_eq!(attempt.mode, Mode::Full, "{}", w.case().tasks[&id].kind());
                let report = w.truthful(id);
                w.order(Command::RecordReport(Box::new(report))).unwrap();
            }
            None => w.pass(HOUR_MS),
        }
    }
    let attempt = *w.task(Kind::WipeDevice).in_flight().expect("it is read");
    assert_eq!(attempt.mode, Mode::ObserveOnly);

    let read = |conclusive: bool, facts: Facts| Said::Observed {
        observation: seen(facts.with("conclusive", conclusive)),
    };
    let not_wiped = good(Kind::WipeDevice).with("wiped", false);
    let id = w.id(Kind::WipeDevice);
    for (said, then) in [
        (read(false, good(Kind::WipeDevice)), "settled"),
        (read(true, not_wiped.clone()), "done again"),
        (read(false, not_wiped), "a person's"),
    ] {
        let report = w.report(id, said);
        let d = decide(
            w.case.as_ref(),
            Command::RecordReport(Box::new(report)),
            w.now,
            &w.gates,
        )
        .unwrap();
        let task = &d.case.tasks[&id];
        match then {
            "settled" => assert_eq!(task.outcome(), Some(&Outcome::Verified)),
            "done again" => assert_eq!(task.in_flight().map(|a| a.mode), Some(Mode::Full)),
            _ => assert!(
                matches!(task.state, TaskState::Failed { rule, .. } if rule == Rule::InconclusiveOnce),
                "{:?}",
                task.state
            ),
        }
    }
}

#[test]
fn what_is_found_only_after_a_loss_is_read_first_too() {
    let mut w = World::opened(Manner::Planned);
    w.finds = company_laptop();
    lost(&mut w, 40);
    w.drain();
    w.approve();
    w.drain();
    for task in w.case().tasks.values() {
        assert_eq!(task.observe_first, !task.kind().spec().convergent, "{}", task.kind());
        assert_eq!(task.busy_until.is_some(), task.observe_first, "{}", task.kind());
    }
    w.attest(Kind::ConfirmDeviceReturned).unwrap();
    w.approve_wipe();
    w.drain();
    w.pass(2 * HOUR_MS);
    assert_eq!(
        w.task(Kind::WipeDevice).in_flight().map(|a| a.mode),
        Some(Mode::ObserveOnly)
    );
}

fn gates(shut: &[(&str, i64)]) -> Gates {
    let shut = shut.iter().map(|(name, ms)| ((*name).to_owned(), T0.plus(*ms)));
    Gates {
        shut: shut.collect(),
        ..Gates::open()
    }
}

#[test]
fn a_gate_shuts_what_it_names_and_says_why() {
    let (m365, ad) = (m365(), System::new("ad").unwrap());
    let (disable, wipe) = (Kind::DisableSignIn, Kind::WipeDevice);
    let every = [(&m365, disable), (&m365, wipe), (&ad, disable), (&ad, wipe)];
    for (name, shuts, why) in [
        ("pause", [true; 4], WakeReason::PauseEnds),
        ("pause/ad", [false, false, true, true], WakeReason::PauseEnds),
        ("pause/*/device.wipe", [false, true, false, true], WakeReason::PauseEnds),
        (
            "pause/ad/device.wipe",
            [false, false, false, true],
            WakeReason::PauseEnds,
        ),
        ("hold/ad", [false, false, true, true], WakeReason::HoldEnds),
        ("away/ad", [false, false, true, true], WakeReason::SiteAway),
        ("away/ad/identity", [false, false, true, false], WakeReason::SiteAway),
        ("away/ad/device", [false, false, false, true], WakeReason::SiteAway),
        ("since/away/ad/device", [false; 4], WakeReason::SiteAway),
        ("since/away/ad", [false; 4], WakeReason::SiteAway),
        ("pause/*", [false; 4], WakeReason::PauseEnds),
        ("away", [false; 4], WakeReason::SiteAway),
    ] {
        let gates = gates(&[(name, 7_000)]);
        for ((system, kind), shut) in every.into_iter().zip(shuts) {
            let wake = gates.shut(system, kind, T0);
            assert_eq!(wake.is_some(), shut, "{name}: {kind} in {system}");
            assert!(wake.is_none_or(|w| (w.at, w.why) == (T0.plus(7_000), why)), "{name}");
            // At its time it is open.
            assert_eq!(gates.shut(system, kind, T0.plus(7_000)), None, "{name}");
        }
    }
}

#[test]
fn of_several_gates_the_latest_counts_and_an_old_one_counts_for_nothing() {
    let gates = gates(&[
        ("pause/*/identity.disable_sign_in", 5_000),
        ("hold/m365", 9_000),
        ("away/m365", 60_000),
        ("pause", -1),
    ]);
    let at = |ms| gates.shut(&m365(), Kind::DisableSignIn, T0.plus(ms)).map(|w| w.why);
    assert_eq!(at(0), Some(WakeReason::SiteAway));
    assert_eq!(at(59_999), Some(WakeReason::SiteAway));
    assert_eq!(at(60_000), None);
    let other = gates.shut(&System::new("ad").unwrap(), Kind::DisableSignIn, T0);
    assert_eq!(other.map(|w| w.why), Some(WakeReason::PauseEnds));
}

#[test]
fn what_is_behind_a_gate_waits_for_it_costs_nothing_and_wakes_when_it_ends() {
    for (name, why) in [
        ("away/m365", WakeReason::SiteAway),
        ("pause/*/identity.snapshot_access", WakeReason::PauseEnds),
    ] {
        let mut w = World::opened(Manner::Immediate);
        w.gates = gates(&[(name, HOUR_MS)]);
        let resolve = w.id(Kind::Resolve);
        let report = w.truthful(resolve);
        w.order(Command::RecordReport(Box::new(report))).unwrap();
        w.pass(HOUR_MS / 2);
        let snapshot = w.task(Kind::SnapshotAccess);
        assert_eq!((snapshot.attempt, snapshot.spent), (0, 0), "{name}");
        let stands = standing(w.case(), snapshot, w.now, &w.gates);
        assert!(
            matches!(stands, Standing::WaitsUntil(wake) if (wake.at, wake.why) == (T0.plus(HOUR_MS), why)),
            "{name}: {stands:?}"
        );
        let timer = next(w.case(), w.now, &w.gates).timer.unwrap();
        assert!(timer.at <= T0.plus(HOUR_MS));
        w.pass(HOUR_MS / 2);
        assert_eq!(w.task(Kind::SnapshotAccess).attempt, 1, "{name}");
    }
}
