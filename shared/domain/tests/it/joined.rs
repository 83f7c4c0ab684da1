//! What a request that joins a case wants kept, where the case does not see to it by
//! itself: somebody went without it, it is kept for a shorter time, it was approved
//! otherwise before, or whatever follows would destroy it.

use crate::keeping::*;
use crate::model::*;
use offboard_domain::catalogue::Kind;
use offboard_domain::departure::{Departure, Manner};
use offboard_domain::keeping::{self, Retention};
use offboard_domain::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use offboard_domain::{
    ApprovalOf, CaseState, Checked, Command, Credit, Event, Facts, FaultClass, Find, Gates, Mode, ObjectId, Outcome,
    Policy, Rule, Said, Standing, TaskState, follow_up,
};
use std::sync::Arc;

fn waive(w: &mut World, kind: Kind) {
    let waived = Command::Waive {
        task: w.id(kind),
        by: BOSS.into(),
        reason: "legal looks into it".into(),
        until: T0.plus(60 * DAY_MS),
    };
    w.order(waived).unwrap();
}

/// People and machines go on until this is with a worker.
fn until_in_flight(w: &mut World, kind: Kind) {
    for _ in 0..500 {
        w.drain_but(kind);
        if w.case().in_flight_of(kind) > 0 {
            return;
        }
        w.a_person_or_time(10 * MINUTE_MS);
    }
    panic!("{kind} is never given to a worker");
}

/// What a person is asked to keep, as it stands in his tasks.
fn asked(w: &World) -> Vec<String> {
    let tasks = w.case().tasks.values();
    let asked = tasks.filter(|t| t.kind() == Kind::DecidePreservation);
    asked
        .map(|t| t.planned.target.object.as_ref().unwrap().0.clone())
        .collect()
}

fn about(word: &str) -> Vec<String> {
    vec![format!("{word}/{OTHER}")]
}

/// Somebody went without the devices as they are, and all is read for the last time.
fn in_its_last_round() -> World {
    let mut w = opened(leaving(), cloud());
    w.order(wants(|d| d.choices.wipe_company_devices = Some(false)))
        .unwrap();
    waive(&mut w, Kind::DecidePreservation);
    w.approve();
    w.pass(10 * DAY_MS);
    until_in_flight(&mut w, Kind::ObserveIdentity);
    assert_eq!(w.case().state, CaseState::Closing);
    w
}

#[test]
fn what_is_called_off_in_the_last_round_is_sealed_as_it_was_read() {
    let mut w = in_its_last_round();
    w.order(leave()).unwrap();
    w.run_to_sealing();
    account(&w);
    let task = w.id(Kind::DecidePreservation);
    assert!(w.case().tasks[&task].is_waived());
    seal(&mut w);
    assert!(
        !w.case().is_to_be_followed_up(&w.case().tasks[&task]),
        "a case would ask for what nobody wants"
    );
}

/// Another round follows a difference, and he is asked nothing before it.
#[test]
fn what_is_called_off_in_a_round_that_another_follows_is_asked_no_more() {
    let mut w = in_its_last_round();
    w.order(leave()).unwrap();
    let round = w.id(Kind::ObserveIdentity);
    let checks = w.case().assignment(round).unwrap().checks;
    let results = checks.iter().map(|c| {
        let opened = Facts::new().with("enabled", true);
        Checked {
            task: c.task,
            observation: seen(if c.kind == Kind::DisableSignIn {
                opened
            } else {
                good(c.kind)
            }),
        }
    });
    let said = Said::Checked {
        results: results.collect(),
    };
    let report = w.report(round, said);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    w.run_to_sealing();
    assert!(matches!(
        w.task(Kind::DecidePreservation).outcome(),
        Some(Outcome::NotApplicable { .. })
    ));
    account(&w);
}

/// What leaves a synchronised unit is deleted in the cloud, whoever went without a release.
#[test]
fn no_account_leaves_what_is_synchronised_before_somebody_has_decided_what_is_kept() {
    let mut w = World::opened(Manner::Immediate);
    w.answer(Kind::Resolve);
    // An order holds also through what is not there: so the groups are.
    let finds = [Kind::RemoveGroupsOnPremises, Kind::MoveToLeaversUnit].map(|kind| Find {
        kind,
        object: ObjectId::from("u-1"),
        params: Facts::new(),
    });
    let said = Said::Found {
        observation: seen(good(Kind::ResolveOnPremises)),
        finds: finds.into(),
    };
    let report = w.report(w.id(Kind::ResolveOnPremises), said);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    until_in_flight(&mut w, Kind::MoveToLeaversUnit);
    let refused = w.report(w.id(Kind::MoveToLeaversUnit), fault(FaultClass::Rejected));
    w.order(Command::RecordReport(Box::new(refused))).unwrap();
    let wants = wants(|d| {
        d.choices.legal_hold = Some(true);
        d.choices.archive_mailbox = Some(true);
    });
    w.order(wants).unwrap();
    let retry = Command::Retry {
        task: Some(w.id(Kind::MoveToLeaversUnit)),
        by: BOSS.into(),
    };
    w.order(retry).unwrap();
    let Standing::WaitsFor(kinds) = stands(&w, Kind::MoveToLeaversUnit) else {
        panic!("{:?}", stands(&w, Kind::MoveToLeaversUnit))
    };
    for kind in [Kind::DecidePreservation, Kind::HoldMailbox, Kind::ArchiveMailbox] {
        assert!(kinds.contains(&kind), "{kind}: {kinds:?}");
    }
}

#[test]
fn a_wipe_that_was_approved_before_somebody_wanted_the_device_kept_is_approved_again() {
    let mut w = opened(leaving(), cloud());
    w.finds = company_laptop();
    w.approve();
    w.pass(10 * DAY_MS);
    w.drain();
    w.approve();
    w.drain();
    w.attest(Kind::ConfirmDeviceReturned).unwrap();
    w.drain();
    let own = ApprovalOf::Task(w.id(Kind::WipeDevice), w.to_approve(Kind::WipeDevice));
    let approve = Command::Approve {
        by: BOSS.into(),
        of: own,
    };
    w.order(approve.clone()).unwrap();
    assert!(matches!(stands(&w, Kind::WipeDevice), Standing::WaitsUntil(_)));
    w.order(wants(|d| d.choices.wipe_company_devices = Some(false)))
        .unwrap();
    let words = keeping::words(w.case(), w.task(Kind::DecidePreservation)).unwrap();
    assert!(words.contains("waive each wipe"), "{words}");
    w.order(attest(&w, BOSS)).unwrap();
    w.pass(2 * HOUR_MS);
    assert_eq!(stands(&w, Kind::WipeDevice), Standing::WaitsForOwnApproval);
    w.order(approve).unwrap();
    w.run_to_sealing();
    account(&w);
}

/// A company laptop whose wipe was ordered, and that has not checked in since.
fn with_a_wipe_that_is_pending() -> World {
    let mut w = opened(leaving(), cloud());
    w.finds = company_laptop();
    w.approve();
    w.pass(10 * DAY_MS);
    until_in_flight(&mut w, Kind::WipeDevice);
    it_has_not_checked_in(&mut w);
    w
}

fn it_has_not_checked_in(w: &mut World) {
    let said = Said::Wait {
        until: w.now.plus(HOUR_MS),
        why: "it has not checked in".into(),
        checkpoint: None,
    };
    let report = w.report(w.id(Kind::WipeDevice), said);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
}

/// What was ordered from the vendor is done whenever the device checks in, whoever decides what.
#[test]
fn a_device_that_is_wanted_as_it_is_once_its_wipe_was_ordered_came_too_late() {
    for given_up in [false, true] {
        let mut w = with_a_wipe_that_is_pending();
        if given_up {
            w.pass(Kind::WipeDevice.spec().patience_ms);
            it_has_not_checked_in(&mut w);
            let state = &w.task(Kind::WipeDevice).state;
            let waited = matches!(state, TaskState::Failed { rule, .. } if *rule == Rule::StillWaiting);
            assert!(waited, "{state:?}");
        }
        w.order(wants(|d| d.choices.wipe_company_devices = Some(false)))
            .unwrap();
        let asked = w.task(Kind::DecidePreservation);
        let is_late = matches!(asked.state, TaskState::Failed { rule, .. } if rule == Rule::LateFind);
        assert!(is_late, "given up: {given_up}: {:?}", asked.state);
        let words = keeping::words(w.case(), asked).unwrap();
        assert!(words.contains("no waiver calls off one that was ordered"), "{words}");
    }
}

/// A device at hand is wiped, and its record gone, within minutes: who waited for somebody's word
/// would never see it.
#[test]
fn a_wipe_that_was_ordered_is_looked_for_while_what_it_waits_for_is_open_again() {
    let mut w = with_a_wipe_that_is_pending();
    w.order(wants(|d| d.choices.wipe_company_devices = Some(false)))
        .unwrap();
    w.pass(HOUR_MS);
    let looks = w.task(Kind::WipeDevice).in_flight().map(|a| a.mode);
    assert_eq!(looks, Some(Mode::ObserveOnly));
    let not_wiped = good(Kind::WipeDevice).with("wiped", false).with("conclusive", true);
    let said = Said::Observed {
        observation: seen(not_wiped),
    };
    let report = w.report(w.id(Kind::WipeDevice), said);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    w.pass(HOUR_MS);
    let then = stands(&w, Kind::WipeDevice);
    assert!(
        matches!(&then, Standing::WaitsFor(kinds) if kinds.contains(&Kind::DecidePreservation)),
        "{then:?}"
    );
}

/// It is done whenever the device checks in, and not on the day that he leaves by now.
#[test]
fn a_wipe_that_was_ordered_is_looked_for_though_the_departure_was_put_off() {
    let mut w = with_a_wipe_that_is_pending();
    let later = Departure {
        effective_at: w.now.plus(30 * DAY_MS),
        ..(*w.case().departure).clone()
    };
    w.order(Command::Open {
        departure: Arc::new(later),
        policy: Arc::new(Policy::default()),
        capabilities: Arc::new(cloud()),
        traceparent: None,
    })
    .unwrap();
    assert!(
        w.case().effective_at() > w.now.plus(DAY_MS),
        "or this test shows nothing"
    );
    w.pass(HOUR_MS);
    let looks = w.task(Kind::WipeDevice).in_flight().map(|a| a.mode);
    assert_eq!(looks, Some(Mode::ObserveOnly));
}

#[test]
fn a_hold_or_an_archive_that_somebody_went_without_for_a_while_is_taken_up_as_it_was_wanted() {
    for kind in [Kind::HoldMailbox, Kind::ArchiveMailbox] {
        let mut w = opened(leaving(), cloud());
        w.order(wants(|d| {
            d.choices.legal_hold = Some(true);
            d.choices.archive_mailbox = Some(true);
        }))
        .unwrap();
        waive(&mut w, kind);
        w.approve();
        w.pass(10 * DAY_MS);
        w.run_to_sealing();
        let task = w.id(kind);
        seal(&mut w);
        assert!(w.case().is_to_be_followed_up(&w.case().tasks[&task]));
        let again = follow_up(w.case(), task, T0.plus(60 * DAY_MS)).unwrap().choices;
        let chosen = (again.legal_hold, again.archive_mailbox);
        let hold = kind == Kind::HoldMailbox;
        assert_eq!(chosen, (hold.then_some(true), (!hold).then_some(true)));
    }
}

#[test]
fn what_both_want_kept_and_somebody_went_without_is_asked_for_again() {
    for (kind, word) in [
        (Kind::HoldMailbox, "legal_hold"),
        (Kind::ArchiveMailbox, "archive"),
        (Kind::HandOverOneDrive, "files"),
    ] {
        for waived in [false, true] {
            let mut own = leaving();
            own.choices.legal_hold = Some(true);
            own.choices.archive_mailbox = Some(true);
            let both = own.choices.clone();
            let mut w = opened(own, cloud());
            if waived {
                waive(&mut w, kind);
            }
            w.order(wants(|d| d.choices = both)).unwrap();
            let expected = if waived { about(word) } else { Vec::new() };
            assert_eq!(asked(&w), expected, "{kind}, waived: {waived}");
        }
    }
}

#[test]
fn what_both_want_kept_and_no_machine_keeps_is_for_a_person() {
    let mut none = cloud();
    none.0.get_mut(&m365()).unwrap().remove(&Kind::HoldMailbox);
    let mut own = leaving();
    own.choices.legal_hold = Some(true);
    let mut w = opened(own, none);
    assert!(!w.case().has(Kind::HoldMailbox));
    w.order(wants_hold()).unwrap();
    assert_eq!(asked(&w), about("legal_hold"));
}

/// The joining request, of which its policy keeps what it wants for so long.
fn keeping_for(join: Command, hold_days: Option<u32>, archive_years: Option<u32>) -> Command {
    let Command::Join {
        case,
        asked_at,
        departure,
        amended_by,
        ..
    } = join
    else {
        panic!("{join:?}")
    };
    Command::Join {
        case,
        asked_at,
        departure,
        amended_by,
        retention: Retention {
            hold_days,
            archive_years,
        },
    }
}

#[test]
fn what_is_wanted_kept_is_kept_for_as_long_as_its_own_policy_says() {
    let short = Policy {
        hold_days: Some(30),
        archive_years: Some(1),
        ..Policy::default()
    };
    for (hold_days, archive_years) in [(Some(3_650), Some(10)), (None, None)] {
        let mut w = opened_under(short.clone(), leaving(), cloud());
        let both = wants(|d| {
            d.choices.legal_hold = Some(true);
            d.choices.archive_mailbox = Some(true);
        });
        w.order(keeping_for(both, hold_days, archive_years)).unwrap();
        let param = |kind: Kind, name: &str| w.task(kind).planned.params.int(name);
        assert_eq!(param(Kind::HoldMailbox, "hold_days"), hold_days.map(i64::from));
        assert_eq!(param(Kind::ArchiveMailbox, "keep_years"), archive_years.map(i64::from));
        assert_eq!(asked(&w), Vec::<String>::new());
    }
    // A task that is there is not changed: it may be approved.
    for (hold_days, is_asked) in [(Some(10), false), (Some(30), false), (Some(31), true), (None, true)] {
        let mut own = leaving();
        own.choices.legal_hold = Some(true);
        let mut w = opened_under(short.clone(), own, cloud());
        w.order(keeping_for(wants_hold(), hold_days, None)).unwrap();
        assert_eq!(w.task(Kind::HoldMailbox).planned.params.int("hold_days"), Some(30));
        let expected = if is_asked { about("legal_hold") } else { Vec::new() };
        assert_eq!(asked(&w), expected, "{hold_days:?}");
    }
}

/// An archive is made of what is held, and destroys none of it.
#[test]
fn a_hold_that_is_wanted_while_the_mailbox_is_archived_comes_in_time() {
    for done in [false, true] {
        let mut own = leaving();
        own.choices.archive_mailbox = Some(true);
        let mut w = opened(own, cloud());
        w.approve();
        w.pass(10 * DAY_MS);
        until_in_flight(&mut w, Kind::ArchiveMailbox);
        w.gates.credit = Credit::NONE;
        if done {
            w.answer(Kind::ArchiveMailbox);
        }
        w.order(wants_hold()).unwrap();
        let state = &w.task(Kind::HoldMailbox).state;
        assert!(matches!(state, TaskState::Pending), "done: {done}: {state:?}");
        w.gates = Gates::open();
        w.run_to_sealing();
        assert_eq!(w.task(Kind::HoldMailbox).outcome(), Some(&Outcome::Verified));
        assert!(settled_before_ordered(&w, Kind::HoldMailbox, Kind::ConvertToShared));
        account(&w);
    }
}

/// A history from before anybody looked at what a request wants kept.
#[test]
fn who_joined_before_it_was_looked_at_what_he_wants_kept_is_looked_at_once() {
    let mut w = opened(leaving(), cloud());
    w.approve();
    let Command::Join {
        case,
        asked_at,
        departure,
        amended_by,
        ..
    } = wants_hold()
    else {
        panic!("it is none")
    };
    let joined = Event::RequestJoined {
        case,
        asked_at,
        departure,
        amended_by,
        retention: None,
        tasks: Vec::new(),
        late: Vec::new(),
    };
    let now = w.now;
    w.take(&[(now, joined)]);
    assert!(!w.case().has(Kind::HoldMailbox));
    w.pass(HOUR_MS);
    assert!(w.case().has(Kind::HoldMailbox));
    assert_eq!(stands(&w, Kind::ApprovePlan), Standing::WaitsForPerson);
    // Who decides against it has decided.
    waive(&mut w, Kind::HoldMailbox);
    w.approve();
    w.pass(HOUR_MS);
    assert_eq!(asked(&w), Vec::<String>::new());
    w.pass(10 * DAY_MS);
    w.run_to_sealing();
    account(&w);
}

/// What he wants brings nothing: that is found out once, and not whenever time passes.
#[test]
fn who_joined_before_and_brings_nothing_is_looked_at_once_too() {
    let mut w = opened(leaving(), cloud());
    let Command::Join {
        case,
        asked_at,
        departure,
        amended_by,
        ..
    } = wants(|_| {})
    else {
        panic!("it is none")
    };
    let joined = Event::RequestJoined {
        case,
        asked_at,
        departure,
        amended_by,
        retention: None,
        tasks: Vec::new(),
        late: Vec::new(),
    };
    let now = w.now;
    w.take(&[(now, joined)]);
    let looked = |w: &mut World| {
        let events = w.order(Command::Tick).unwrap();
        let looks = |e: &&Event| matches!(e, Event::RequestJoined { .. });
        events.iter().filter(looks).count()
    };
    assert_eq!(looked(&mut w), 1);
    assert_eq!(looked(&mut w), 0);
    assert!(w.case().joined.values().all(|j| j.retention.is_some()));
}
