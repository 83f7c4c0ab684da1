//! A case that ends without a departure, and its desk: whoever follows it there hears of
//! that, once, and nothing waits for it; and what is sent again when a person has looked.

use crate::model::*;
use ed25519_dalek::SigningKey;
use offboard_domain::catalogue::Kind;
use offboard_domain::catalogue::desk::{
    BY_REQUESTER, CALLED_OFF, CALLED_OFF_MS, ENDED, HISTORY_LOST, KINDS, MAY_BE_OPEN, PERSON_LOOKED, REFERENCE,
    REFUSED, TICKET,
};
use offboard_domain::departure::Manner;
use offboard_domain::event::Event;
use offboard_domain::evidence;
use offboard_domain::evidence::Recorded;
use offboard_domain::time::{DAY_MS, HOUR_MS};
use offboard_domain::{
    Capabilities, CaseId, CaseState, Command, Departure, Facts, FaultClass, Mode, ObjectId, Policy, Refusal, Rule,
    Said, Standing, System, TaskId, TaskState, next, standing,
};
use std::sync::Arc;

const OTHER: CaseId = CaseId([7; 10]);
const THIRD: CaseId = CaseId([8; 10]);

fn psa() -> System {
    System::new("psa").unwrap()
}

fn capabilities() -> Capabilities {
    let mut all = everything();
    all.0.get_mut(&m365()).unwrap().retain(|k| k.is_of_a_cloud());
    all.0.insert(psa(), KINDS.iter().copied().collect());
    all
}

fn handed_in(departure: Departure, policy: Policy) -> World {
    let mut w = World::new();
    w.order(Command::Open {
        departure: Arc::new(departure),
        policy: Arc::new(policy),
        capabilities: Arc::new(capabilities()),
        traceparent: None,
    })
    .unwrap();
    w
}

fn opened(manner: Manner) -> World {
    let mut w = handed_in(departure(manner), Policy::default());
    w.answer(Kind::Resolve);
    w
}

fn cancel(by: &str) -> Command {
    Command::Cancel {
        by: by.into(),
        reason: "he stays".into(),
    }
}

/// The note of this ending.
fn note(ending: &str) -> TaskId {
    let object = ObjectId::from(ending);
    TaskId::derive(
        departure(Manner::Planned).case_id(),
        Kind::NoteEnding.name(),
        &psa(),
        Some(&object),
    )
}

fn stands(w: &World, id: TaskId) -> Standing {
    standing(w.case(), &w.case().tasks[&id], w.now, &w.gates)
}

fn answer(w: &mut World, id: TaskId) {
    let report = w.truthful(id);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
}

/// As the closer has it: up to the record that the account reaches to.
fn account(w: &World) -> Vec<u8> {
    let to = w.case().account_to();
    let mut history = w.history();
    history.retain(|r: &Recorded| r.record.version <= to.version);
    let key = SigningKey::from_bytes(&[9; 32]);
    let file = evidence::seal(&evidence::statement(&history).unwrap(), &key);
    evidence::verify(&file, &key.verifying_key()).unwrap();
    file
}

#[test]
fn what_is_called_off_is_told_to_its_ticket_with_what_had_been_done() {
    let mut w = opened(Manner::Immediate);
    w.answer(Kind::SnapshotAccess);
    w.answer(Kind::OpenTicket);
    for _ in 0..200 {
        if w.task(Kind::RemoveDirectoryRoles).is_settled() {
            break;
        }
        let id = w.in_flight()[0];
        answer(&mut w, id);
    }
    w.order(cancel("hr@acme.example")).unwrap();
    let off_at = w.now;
    // What is in flight is awaited first.
    for _ in 0..200 {
        if w.case().state == CaseState::Cancelled {
            break;
        }
        let id = w.in_flight()[0];
        let report = w.report(id, fault(FaultClass::Transient));
        w.order(Command::RecordReport(Box::new(report))).unwrap();
    }
    assert_eq!(w.case().state, CaseState::Cancelled);
    let id = note(CALLED_OFF);
    assert_eq!(w.in_flight(), [id], "nothing else");
    assert!(!w.case().is_over());
    let told = w.case().assignment(id).unwrap().params;
    assert_eq!(told.text(TICKET), Some("7"));
    assert_eq!(told.text(REFERENCE), Some("HR-1"));
    assert_eq!(told.int(CALLED_OFF_MS), Some(off_at.0));
    assert_eq!(told.bool(BY_REQUESTER), Some(true));
    assert_eq!(told.bool(MAY_BE_OPEN), None);
    assert!(told.int(&format!("{ENDED}verified")).is_some_and(|n| n > 0));
    assert!(told.int(&format!("{ENDED}begun and not proven")).is_some_and(|n| n > 0));
    assert!(w.case().tasks[&id].planned.params.0.is_empty());
    let text = serde_json::to_string(&told).unwrap();
    assert!(!text.contains("acme.example"), "{text}");
    answer(&mut w, id);
    assert!(w.case().is_to_be_sealed() && !w.case().goes_on());
    assert!(w.in_flight().is_empty());
}

#[test]
fn a_ticket_is_told_that_history_was_lost_and_what_a_late_report_shows_to_have_been_begun() {
    let mut w = opened(Manner::Immediate);
    let kept = w.case.clone();
    w.answer(Kind::SnapshotAccess);
    let report = w.truthful(w.id(Kind::RemoveDirectoryRoles));
    // All that the snapshot led to is lost.
    w.case = kept;
    w.order(cancel("boss@msp.example")).unwrap();
    let note = note(CALLED_OFF);
    assert_eq!(w.case().state, CaseState::Cancelling);
    let events = w.order(Command::RecordReport(Box::new(report))).unwrap();
    assert!(
        matches!(events[..], [Event::TailLost { .. }, Event::LateReport { .. }, ..]),
        "{events:?}"
    );
    for _ in 0..48 {
        if w.case().state == CaseState::Cancelled {
            break;
        }
        w.pass(HOUR_MS);
    }
    let told = w.case().told(&w.case().tasks[&note]);
    assert_eq!(told.bool(HISTORY_LOST), Some(true));
    assert_eq!(told.int(&format!("{ENDED}begun and not proven")), Some(1));
}

#[test]
fn the_account_of_what_was_called_off_does_not_wait_for_the_note_nor_change_by_it() {
    let mut w = opened(Manner::Planned);
    w.answer(Kind::SnapshotAccess);
    w.order(cancel("boss@msp.example")).unwrap();
    w.drain_but(Kind::NoteEnding);
    assert_eq!(w.case().state, CaseState::Cancelled);
    let (to, file) = (w.case().account_to(), account(&w));
    let id = note(CALLED_OFF);
    assert_eq!(w.case().told(&w.case().tasks[&id]).bool(BY_REQUESTER), Some(false));
    // The desk is away, then history is lost, then it is back.
    let report = w.report(id, fault(FaultClass::Transient));
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    w.pass(HOUR_MS);
    let known = w.case().version + 3;
    w.order(Command::RecordLoss { known, parted: false }).unwrap();
    assert_eq!(w.case().state, CaseState::Cancelled, "what is over stays so");
    w.pass(DAY_MS);
    assert_eq!(w.case().tasks[&id].in_flight().map(|a| a.mode), Some(Mode::ObserveOnly));
    assert_eq!(w.case().account_to(), to);
    assert_eq!(account(&w), file);
    let evidence = offboard_domain::Digest::of(&file);
    let key_id = "k".to_owned();
    w.order(Command::RecordSealed { to, evidence, key_id }).unwrap();
    assert!(!w.case().is_over(), "the note is still to come");
    answer(&mut w, id);
    assert!(w.case().is_over());
    assert_eq!(next(w.case(), w.now, &w.gates).wake, None);
}

/// Its worker has told of what was ordered in it.
#[test]
fn what_only_a_lost_history_ordered_is_told_as_begun_when_a_case_is_called_off() {
    let begun = [false, true].map(|is_told_of| {
        let mut w = opened(Manner::Immediate);
        let (kept, events) = (w.case.clone(), w.events.len());
        for _ in 0..200 {
            if w.case().in_flight_of(Kind::RemoveDirectoryRoles) > 0 {
                break;
            }
            let id = w.in_flight()[0];
            answer(&mut w, id);
        }
        let report = w.truthful(w.id(Kind::RemoveDirectoryRoles));
        w.case = kept;
        w.events.truncate(events);
        assert_eq!(w.task(Kind::RemoveDirectoryRoles).attempt, 0);
        w.order(cancel("hr@acme.example")).unwrap();
        let tells = if is_told_of {
            Command::RecordReport(Box::new(report))
        } else {
            let known = report.version;
            Command::RecordLoss { known, parted: true }
        };
        w.order(tells).unwrap();
        w.now = w.case().lost_orders_until().unwrap();
        w.order(Command::Tick).unwrap();
        assert_eq!(w.case().state, CaseState::Cancelled);
        let told = w.case().told(&w.case().tasks[&note(CALLED_OFF)]);
        told.int(&format!("{ENDED}begun and not proven")).unwrap_or_default()
    });
    assert_eq!(begun[1], begun[0] + 1);
}

#[test]
fn a_ticket_that_nobody_has_read_yet_is_looked_for() {
    let mut w = opened(Manner::Planned);
    w.answer(Kind::SnapshotAccess);
    w.order(cancel("boss@msp.example")).unwrap();
    let opening = w.id(Kind::OpenTicket);
    let report = w.report(opening, fault(FaultClass::Unknown));
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    w.drain_but(Kind::NoteEnding);
    assert_eq!(w.case().state, CaseState::Cancelled);
    let told = w.case().assignment(note(CALLED_OFF)).unwrap().params;
    assert_eq!((told.text(TICKET), told.bool(MAY_BE_OPEN)), (None, Some(true)));
    assert_eq!(stands(&w, opening), Standing::Never);
}

#[test]
fn where_there_is_neither_ticket_nor_reference_nothing_is_planned() {
    let nameless = Departure {
        reference: None,
        effective_at: T0.plus(DAY_MS),
        ..departure(Manner::Planned)
    };
    let mut w = handed_in(nameless, Policy::default());
    w.answer(Kind::Resolve);
    w.drain();
    w.order(cancel("boss@msp.example")).unwrap();
    assert_eq!(w.case().state, CaseState::Cancelled);
    assert!(!w.case().has(Kind::NoteEnding));
    // Nor where the tenant's policy leaves it out.
    let policy = Policy {
        skip: [Kind::NoteEnding].into(),
        ..Policy::default()
    };
    let mut w = handed_in(departure(Manner::Planned), policy);
    w.answer(Kind::Resolve);
    w.order(cancel("boss@msp.example")).unwrap();
    w.drain();
    assert!(!w.case().has(Kind::NoteEnding));
}

/// Its departure is far away: what is told of its end does not wait for that.
#[test]
fn a_request_that_is_joined_to_another_is_told_so_at_once_and_again_after_another_merge() {
    let later = Departure {
        effective_at: T0.plus(10 * DAY_MS),
        ..departure(Manner::Planned)
    };
    let mut w = handed_in(later, Policy::default());
    w.gates.claimed_by = Some(OTHER);
    w.answer(Kind::Resolve);
    assert_eq!(w.case().state, CaseState::Merged { into: OTHER });
    let first = note(&OTHER.to_string());
    assert!(w.case().tasks[&first].in_flight().is_some());
    let known = w.case().asks_there().cloned();
    w.order(Command::AcknowledgeMerge { into: OTHER, known }).unwrap();
    assert!(!w.case().is_over(), "its own ticket is still to be told");
    answer(&mut w, first);
    assert!(w.case().is_over());
    // It goes on by itself, and is joined to a third one.
    w.gates.claimed_by = None;
    w.order(Command::UndoMerge { into: OTHER }).unwrap();
    assert!(w.case().tasks[&first].is_settled(), "what was noted is noted");
    w.gates.claimed_by = Some(THIRD);
    w.answer(Kind::Resolve);
    let second = note(&THIRD.to_string());
    assert!(w.case().tasks[&second].in_flight().is_some());
    assert_eq!(w.case().tasks[&first].attempt, 1);
}

#[test]
fn a_note_of_a_merge_that_was_undone_holds_nothing_up_and_is_not_sent() {
    let mut w = handed_in(departure(Manner::Immediate), Policy::default());
    w.gates.claimed_by = Some(OTHER);
    w.answer(Kind::Resolve);
    let id = note(&OTHER.to_string());
    let report = w.report(id, fault(FaultClass::Transient));
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    w.gates.claimed_by = None;
    w.order(Command::UndoMerge { into: OTHER }).unwrap();
    w.answer(Kind::Resolve);
    assert_eq!(w.case().state, CaseState::Active);
    w.pass(HOUR_MS);
    assert_eq!(stands(&w, id), Standing::Never);
    assert_eq!(w.case().tasks[&id].attempt, 1);
    w.run_to_sealing();
    account(&w);
    assert!(!w.case().tasks[&id].is_settled());
    let evidence = offboard_domain::Digest::of(b"the account");
    let (to, key_id) = (w.case().account_to(), "k".to_owned());
    w.order(Command::RecordSealed { to, evidence, key_id }).unwrap();
    w.run_until(|w| w.case().is_over());
    assert_eq!(w.case().tasks[&id].attempt, 1);
}

/// What was noted of a merge before is nothing that was written of the person's.
#[test]
fn a_refused_request_is_told_so_and_accounted_for_as_untouched() {
    let protected = Policy {
        protected: ["u-1".to_owned()].into(),
        ..Policy::default()
    };
    let mut w = handed_in(departure(Manner::Planned), protected);
    w.gates.claimed_by = Some(OTHER);
    w.answer(Kind::Resolve);
    answer(&mut w, note(&OTHER.to_string()));
    w.gates.claimed_by = None;
    w.order(Command::UndoMerge { into: OTHER }).unwrap();
    w.answer(Kind::Resolve);
    assert!(matches!(w.case().state, CaseState::Refused { .. }));
    assert!(w.case().tasks[&note(REFUSED)].in_flight().is_some());
    account(&w);
    answer(&mut w, note(REFUSED));
    assert!(w.case().is_to_be_sealed() && !w.case().goes_on());
}

#[test]
fn a_person_hears_of_a_note_that_does_not_come_through_and_may_retry_or_waive_it() {
    let mut w = opened(Manner::Planned);
    w.order(cancel("boss@msp.example")).unwrap();
    w.drain_but(Kind::NoteEnding);
    let id = note(CALLED_OFF);
    let refused = |w: &mut World| {
        let report = w.report(id, fault(FaultClass::Rejected));
        w.order(Command::RecordReport(Box::new(report))).unwrap();
    };
    refused(&mut w);
    assert!(matches!(stands(&w, id), Standing::Failed(_)));
    assert!(next(w.case(), w.now, &w.gates).needs_person);
    let by = || "boss@msp.example".to_owned();
    w.order(Command::Retry { task: None, by: by() }).unwrap();
    refused(&mut w);
    let until = w.now.plus(DAY_MS);
    let waive = |task: TaskId| Command::Waive {
        task,
        by: by(),
        reason: "told by telephone".into(),
        until,
    };
    w.order(waive(id)).unwrap();
    assert!(!w.case().goes_on());
    // What belonged to the departure is over.
    let others = w.order(waive(w.id(Kind::Resolve)));
    assert_eq!(others, Err(Refusal::CaseEnded("cancelled")));
}

/// What a report says is read alone, and not to be seen there.
fn not_to_be_seen(w: &World, id: TaskId, conclusive: bool) -> Said {
    let facts = Facts::new().with("noted", false).with("has_ticket", true);
    assert_eq!(w.case().tasks[&id].in_flight().map(|a| a.mode), Some(Mode::ObserveOnly));
    Said::Observed {
        observation: seen(facts.with("ticket_exists", true).with("conclusive", conclusive)),
    }
}

#[test]
fn what_a_person_wants_tried_again_is_told_to_be_his_and_ordered_again_once() {
    let mut w = opened(Manner::Immediate);
    w.answer(Kind::SnapshotAccess);
    w.answer(Kind::OpenTicket);
    for _ in 0..300 {
        if w.case().in_flight_of(Kind::NoteAccess) > 0 {
            break;
        }
        match w.in_flight().first().copied() {
            Some(id) => answer(&mut w, id),
            None => w.a_person_or_time(10 * 60_000),
        }
    }
    let id = w.id(Kind::NoteAccess);
    let wait = Said::Wait {
        until: w.now.plus(HOUR_MS),
        why: "the desk acknowledged it, and does not list it yet".into(),
        checkpoint: Some(Facts::new().with("ordered_ms", w.now.0)),
    };
    let report = w.report(id, wait);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    w.pass(HOUR_MS);
    let inconclusive = |w: &mut World| {
        let said = not_to_be_seen(w, id, false);
        let report = w.report(id, said);
        w.order(Command::RecordReport(Box::new(report))).unwrap();
        let failed = &w.case().tasks[&id].state;
        assert!(
            matches!(
                failed,
                TaskState::Failed {
                    rule: Rule::InconclusiveOnce,
                    ..
                }
            ),
            "{failed:?}"
        );
    };
    let looked = |w: &World| w.case().assignment(id).unwrap().params.bool(PERSON_LOOKED);
    assert_eq!(looked(&w), None);
    inconclusive(&mut w);
    // Whoever wants all of the case tried again has not said that he looked.
    let of_all = w.order(Command::Retry {
        task: None,
        by: "boss@msp.example".into(),
    });
    assert!(matches!(of_all, Err(Refusal::NeedsALook(_))), "{of_all:?}");
    let retry = Command::Retry {
        task: Some(id),
        by: "boss@msp.example".into(),
    };
    w.order(retry).unwrap();
    // Read once more, and the worker knows that a person has looked.
    assert_eq!(looked(&w), Some(true));
    // What became known since, he has not looked for.
    let before = (w.case.clone(), w.events.len());
    let known = w.case().version + 3;
    w.order(Command::RecordLoss { known, parted: false }).unwrap();
    assert!(!w.case().tasks[&id].person_looked, "after a loss");
    w.case = before.0;
    w.events.truncate(before.1);
    let wait = Said::Wait {
        until: w.now.plus(HOUR_MS),
        why: "the desk acknowledged another one".into(),
        checkpoint: None,
    };
    let earlier = offboard_domain::Report {
        attempt: 1,
        at: w.now,
        ..w.report(id, wait)
    };
    let before = (w.case.clone(), w.events.len());
    w.order(Command::RecordReport(Box::new(earlier))).unwrap();
    assert!(!w.case().tasks[&id].person_looked, "after a late report");
    w.case = before.0;
    w.events.truncate(before.1);
    let said = not_to_be_seen(&w, id, true);
    let report = w.report(id, said);
    let events = w.order(Command::RecordReport(Box::new(report))).unwrap();
    let again = |e: &Event| matches!(e, Event::TaskAssigned { task, mode: Mode::Full, .. } if *task == id);
    assert!(events.iter().any(again), "{events:?}");
    assert_eq!(looked(&w), None, "his word holds for one order");
}
