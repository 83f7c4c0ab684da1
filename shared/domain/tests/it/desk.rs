//! A desk beside a case: the ticket is told what happens and holds back nothing,
//! and what the sealed account is needed for comes after the closing.

use crate::model::*;
use offboard_domain::catalogue::desk::{AT_ONCE, ENDED, EVIDENCE, KINDS, REFERENCE, TICKET};
use offboard_domain::catalogue::{Closes, Kind, Stage};
use offboard_domain::departure::Manner;
use offboard_domain::standing::{Standing, next, standing};
use offboard_domain::time::{DAY_MS, HOUR_MS};
use offboard_domain::{
    Capabilities, CaseState, Command, Digest, Event, Facts, Fault, FaultClass, Find, Mode, ObjectId, Outcome, Policy,
    Refusal, Said, System, TaskId, TaskState,
};
use std::sync::Arc;

fn psa() -> System {
    System::new("psa").unwrap()
}

fn capabilities() -> Capabilities {
    let mut all = everything();
    all.0.get_mut(&m365()).unwrap().retain(|k| k.is_of_a_cloud());
    all.0.insert(psa(), KINDS.iter().copied().collect());
    all
}

fn opened(manner: Manner) -> World {
    let mut w = World::new();
    w.order(Command::Open {
        departure: Arc::new(departure(manner)),
        policy: Arc::new(Policy::default()),
        capabilities: Arc::new(capabilities()),
        traceparent: None,
    })
    .unwrap();
    w.answer(Kind::Resolve);
    w
}

/// What a departure's own ticket is told.
fn of_a_departure() -> impl DoubleEndedIterator<Item = Kind> {
    let all = KINDS.iter().copied();
    all.filter(|k| k.spec().closes != Closes::Instead)
}

fn stands(w: &World, kind: Kind) -> Standing {
    standing(w.case(), w.task(kind), w.now, &w.gates)
}

fn is_of_the_desk(w: &World, id: TaskId) -> bool {
    KINDS.contains(&w.case().tasks[&id].kind())
}

fn away() -> Said {
    Said::Fault {
        fault: Fault {
            class: FaultClass::Transient,
            system: psa(),
            attempted: "GET /Tickets".into(),
            status: None,
            code: None,
            detail: "no connection could be made".into(),
            request_id: None,
        },
    }
}

/// Everything goes on while the desk answers nothing but that it is away.
fn run_without_the_desk(w: &mut World, so: impl Fn(&World) -> bool) {
    for _ in 0..4_000 {
        if so(w) {
            return;
        }
        let flying = w.in_flight();
        if let Some(id) = flying.iter().copied().find(|id| !is_of_the_desk(w, *id)) {
            let report = w.truthful(id);
            w.order(Command::RecordReport(Box::new(report))).unwrap();
            continue;
        }
        if let Some(id) = flying.first().copied() {
            let report = w.report(id, away());
            w.order(Command::RecordReport(Box::new(report))).unwrap();
            continue;
        }
        let waits = |k: Kind, w: &World| w.case().has(k) && stands(w, k) == Standing::WaitsForPerson;
        if waits(Kind::ApprovePlan, w) {
            w.approve();
        } else if let Some(kind) = [Kind::ConfirmHandover, Kind::Validate]
            .into_iter()
            .find(|k| waits(*k, w))
        {
            w.attest(kind).unwrap();
        } else {
            w.pass(10 * 60_000);
        }
    }
    panic!("it does not get there: {:?}", w.case().state);
}

fn seal(w: &mut World) -> Digest {
    let evidence = Digest::of(b"the account");
    let to = w.case().account_to();
    let key_id = "k".to_owned();
    w.order(Command::RecordSealed { to, evidence, key_id }).unwrap();
    assert_eq!(w.case().state, CaseState::Closed);
    evidence
}

#[test]
fn without_one_none_is_missed() {
    let mut alone = capabilities();
    alone.0.remove(&psa());
    let d = departure(Manner::Planned);
    let plan =
        offboard_domain::plan::plan(d.case_id(), &d, &good(Kind::Resolve), &Policy::default(), &alone, false).unwrap();
    assert!(plan.tasks.iter().all(|t| !KINDS.contains(&t.kind)));
    assert!(plan.unserved.iter().all(|k| !KINDS.contains(k)), "{:?}", plan.unserved);
}

#[test]
fn the_ticket_waits_for_no_approval_and_is_told_nothing_of_the_person() {
    let mut w = opened(Manner::Planned);
    w.answer(Kind::SnapshotAccess);
    assert_eq!(w.task(Kind::OpenTicket).in_flight().map(|a| a.mode), Some(Mode::Full));
    assert!(!w.task(Kind::ApprovePlan).is_settled());
    let told = w.case().assignment(w.id(Kind::OpenTicket)).unwrap().params;
    assert_eq!(told.text(REFERENCE), Some("HR-1"));
    assert_eq!(told.bool(AT_ONCE), Some(false));
    assert_eq!(told.0.len(), 2);
    w.answer(Kind::OpenTicket);
    w.run_until(|w| w.task(Kind::NoteAccess).is_settled());
    let told = w.case().told(w.task(Kind::NoteAccess));
    assert_eq!(told.text(TICKET), Some("7"));
    let told: Vec<&String> = told.0.keys().filter(|k| *k != TICKET).collect();
    assert!(
        !told.is_empty() && told.iter().all(|k| k.starts_with(ENDED)),
        "{told:?}"
    );
    for task in w.case().tasks.values().filter(|t| KINDS.contains(&t.kind())) {
        assert!(task.planned.params.0.is_empty(), "{}", task.kind());
    }
}

#[test]
fn a_stage_is_told_when_all_of_it_is_settled() {
    let mut w = opened(Manner::Immediate);
    w.finds = company_laptop();
    w.run_until(|w| w.task(Kind::NoteAccess).is_settled());
    let of = |stage: Stage| {
        let all = w.case().tasks.values();
        all.filter(move |t| t.kind().spec().stage == stage && !t.kind().is_beside())
    };
    assert!(of(Stage::Access).all(|t| t.is_settled()));
    assert!(of(Stage::Access).count() > 5);
    // Who may find more of a stage is waited for as well.
    let mut w = opened(Manner::Immediate);
    w.answer(Kind::SnapshotAccess);
    w.answer(Kind::OpenTicket);
    let Standing::WaitsFor(missing) = stands(&w, Kind::NoteDevices) else {
        panic!("{:?}", stands(&w, Kind::NoteDevices));
    };
    assert!(missing.contains(&Kind::DiscoverDevices), "{missing:?}");
}

#[test]
fn a_desk_that_is_away_for_the_whole_case_delays_nothing_but_its_ticket() {
    let mut with = opened(Manner::Immediate);
    run_without_the_desk(&mut with, |w| w.case().state == CaseState::Sealing);
    let mut without = World::new();
    let mut alone = capabilities();
    alone.0.remove(&psa());
    without
        .order(Command::Open {
            departure: Arc::new(departure(Manner::Immediate)),
            policy: Arc::new(Policy::default()),
            capabilities: Arc::new(alone),
            traceparent: None,
        })
        .unwrap();
    without.answer(Kind::Resolve);
    run_without_the_desk(&mut without, |w| w.case().state == CaseState::Sealing);
    // Each task was settled at the very time at which it would have been without.
    for task in without.case().tasks.values() {
        let other = &with.case().tasks[&task.id()];
        match (&task.state, &other.state) {
            (TaskState::Settled { at: a, .. }, TaskState::Settled { at: b, .. }) => {
                assert_eq!(a, b, "{}", task.kind());
            }
            states => panic!("{}: {states:?}", task.kind()),
        }
    }
    assert!(!with.task(Kind::OpenTicket).is_settled());
    seal(&mut with);
    assert!(!with.case().is_over(), "the ticket is still to be opened");
    // And a person hears of it, though the case is closed.
    run_without_the_desk(&mut with, |w| {
        matches!(stands(w, Kind::OpenTicket), Standing::Failed(_))
    });
    assert!(next(with.case(), with.now, &with.gates).needs_person);
    // He orders another try when the desk is back, and everything follows.
    with.order(Command::Retry {
        task: None,
        by: "boss@msp.example".into(),
    })
    .unwrap();
    with.run_until(|w| w.case().is_over());
    assert!(of_a_departure().all(|k| with.task(k).is_settled()));
}

#[test]
fn the_account_reaches_to_the_last_round_whatever_the_desk_does_meanwhile() {
    let mut w = opened(Manner::Immediate);
    run_without_the_desk(&mut w, |w| w.case().state == CaseState::Sealing);
    let to = w.case().account_to();
    w.pass(3 * HOUR_MS);
    let opening = w.id(Kind::OpenTicket);
    assert!(w.task(Kind::OpenTicket).in_flight().is_some());
    let report = w.truthful(opening);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    assert!(w.task(Kind::OpenTicket).is_settled());
    assert!(w.case().version > to.version);
    assert_eq!(
        w.case().account_to(),
        to,
        "another account would be sealed beside the first"
    );
    assert_eq!(w.case().state, CaseState::Sealing);
    seal(&mut w);
}

#[test]
fn what_needs_the_account_comes_after_it() {
    let mut w = opened(Manner::Immediate);
    w.run_to_sealing();
    for kind in [Kind::AttachEvidence, Kind::CloseTicket] {
        assert_eq!(stands(&w, kind), Standing::WaitsForClosing, "{kind}");
    }
    assert!(w.task(Kind::Validate).is_settled());
    let evidence = seal(&mut w);
    assert!(w.task(Kind::AttachEvidence).in_flight().is_some());
    let told = w.case().assignment(w.id(Kind::AttachEvidence)).unwrap().params;
    assert_eq!(told.text(EVIDENCE), Some(evidence.to_string().as_str()));
    assert_eq!(
        stands(&w, Kind::CloseTicket),
        Standing::WaitsFor(vec![Kind::AttachEvidence])
    );
    w.answer(Kind::AttachEvidence);
    assert!(w.task(Kind::CloseTicket).in_flight().is_some());
    assert!(!w.case().is_over());
    w.answer(Kind::CloseTicket);
    assert!(w.case().is_over());
    assert_eq!(w.task(Kind::CloseTicket).outcome(), Some(&Outcome::Verified));
}

#[test]
fn what_was_sent_without_an_answer_is_read_before_it_is_sent_again() {
    let mut w = opened(Manner::Immediate);
    w.answer(Kind::SnapshotAccess);
    let id = w.id(Kind::OpenTicket);
    w.pass(30 * 60_000);
    assert_eq!(w.case().tasks[&id].in_flight().map(|a| a.mode), Some(Mode::ObserveOnly));
    // Until it is known, a person is asked rather than a second one opened.
    let observation = seen(Facts::new().with("ticket_exists", false).with("conclusive", false));
    let report = w.report(id, Said::Observed { observation });
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    assert!(matches!(stands(&w, Kind::OpenTicket), Standing::Failed(_)));
}

/// The ledger may lose what was ordered after the closing as well.
#[test]
fn a_lost_tail_of_a_closed_case_is_read_before_anything_is_sent_again() {
    let mut w = opened(Manner::Planned);
    run_without_the_desk(&mut w, |w| w.case().state == CaseState::Sealing);
    w.drain();
    seal(&mut w);
    for _ in 0..50 {
        if w.case().in_flight_of(Kind::AttachEvidence) > 0 {
            break;
        }
        match w.in_flight().first().copied() {
            Some(id) => {
                let report = w.truthful(id);
                w.order(Command::RecordReport(Box::new(report))).unwrap();
            }
            None => w.pass(10 * 60_000),
        }
    }
    let attach = w.id(Kind::AttachEvidence);
    assert!(
        w.task(Kind::AttachEvidence).in_flight().is_some(),
        "{:?}",
        stands(&w, Kind::AttachEvidence)
    );
    let settled: Vec<TaskId> = {
        let tasks = w.case().tasks.values();
        tasks.filter(|t| t.is_settled()).map(|t| t.id()).collect()
    };
    let known = w.case().version + 3;
    w.order(Command::RecordLoss { known, parted: false }).unwrap();
    assert_eq!(w.case().state, CaseState::Closed, "what is closed stays so");
    assert!(settled.iter().all(|id| w.case().tasks[id].is_settled()));
    let task = &w.case().tasks[&attach];
    assert!(task.observe_first && task.busy_until.is_some(), "{task:?}");
    w.pass(DAY_MS);
    assert_eq!(w.case().assignment(attach).unwrap().mode, Mode::ObserveOnly);
}

#[test]
fn a_person_waives_what_the_desk_will_not_do_and_nothing_follows_from_it() {
    let mut w = opened(Manner::Immediate);
    run_without_the_desk(&mut w, |w| w.case().state == CaseState::Sealing);
    seal(&mut w);
    run_without_the_desk(&mut w, |w| matches!(stands(w, Kind::OpenTicket), Standing::Failed(_)));
    let until = w.now.plus(DAY_MS);
    // What waits for the ticket first: it would be ordered when that is settled.
    for kind in of_a_departure().rev() {
        w.order(Command::Waive {
            task: w.id(kind),
            by: "boss@msp.example".into(),
            reason: "the desk is another one now".into(),
            until,
        })
        .unwrap();
    }
    assert!(w.case().is_over());
    let events = w.order(Command::Tick).unwrap();
    assert!(events.is_empty(), "{events:?}");
    w.now = until.plus(DAY_MS);
    assert!(w.order(Command::Tick).unwrap().is_empty());
    assert_eq!(next(w.case(), w.now, &w.gates).wake, None, "no linked case follows");
    // What the case itself waited for is not opened again by anybody.
    let refused = w.order(Command::Retry {
        task: Some(w.id(Kind::DisableSignIn)),
        by: "boss@msp.example".into(),
    });
    assert_eq!(refused, Err(Refusal::CaseEnded("closed")));
}

#[test]
fn a_case_that_is_called_off_tells_the_desk_no_more_of_its_stages() {
    let mut w = opened(Manner::Planned);
    w.answer(Kind::SnapshotAccess);
    let events = w
        .order(Command::Cancel {
            by: "boss@msp.example".into(),
            reason: "he stays".into(),
        })
        .unwrap();
    assert!(!events.iter().any(|e| matches!(e, Event::CaseCancelled)));
    let report = w.truthful(w.id(Kind::OpenTicket));
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    w.drain();
    assert_eq!(w.case().state, CaseState::Cancelled);
    assert_eq!(stands(&w, Kind::NoteAccess), Standing::Never);
    assert!(w.case().is_to_be_sealed());
}

/// He decides about an application in weeks: that is no part of how the access was cut.
#[test]
fn the_note_on_the_access_waits_for_nobody_s_word_about_an_application() {
    let mut w = opened(Manner::Immediate);
    w.drain_but(Kind::DiscoverApps);
    let said = Said::Found {
        observation: seen(good(Kind::DiscoverApps)),
        finds: vec![Find {
            kind: Kind::DecideApp,
            object: ObjectId::from("m365/a-1"),
            params: Facts::new(),
        }],
    };
    let report = w.report(w.id(Kind::DiscoverApps), said);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    w.drain();
    w.approve();
    for _ in 0..100 {
        w.drain();
        w.pass(HOUR_MS);
    }
    assert_eq!(stands(&w, Kind::DecideApp), Standing::WaitsForPerson);
    assert!(
        w.task(Kind::NoteAccess).is_settled(),
        "{:?}",
        stands(&w, Kind::NoteAccess)
    );
}
