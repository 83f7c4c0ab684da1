//! What happens while everything is read once more.

use super::world::{Mishap, World, departure};
use super::*;
use crate::assignment::{Report, Said};
use crate::case::CaseState;
use crate::catalogue::Kind;
use crate::command::Command;
use crate::departure::{Choices, Departure, Manner};
use crate::fault::FaultClass;
use crate::id::Digest;
use crate::observation::Facts;
use crate::policy::Policy;
use crate::time::HOUR_MS;

/// A waiver that ends while the last round is being read: what it excused is
/// done, and everything is read again after that write.
#[test]
fn a_waiver_that_ends_in_a_closing_round_leads_to_another_round() {
    let kinds = [
        Kind::Resolve,
        Kind::SnapshotAccess,
        Kind::SnapshotDirectory,
        Kind::DisableSignIn,
        Kind::RemoveOauthGrants,
        Kind::ObserveIdentity,
    ];
    let mut policy = Policy::default();
    policy.approvals.plan = false;
    policy.skip = [Kind::ConfirmHandover, Kind::Validate].into();
    let request = Departure {
        choices: Choices::default(),
        effective_at: world::T0,
        ..departure(Manner::Immediate)
    };
    let mut world = World::open(request, &kinds, policy);
    world.extra.insert(Kind::Resolve, Facts::new().with("object_id", "u-1"));
    world
        .mishaps
        .insert(Kind::RemoveOauthGrants, vec![Mishap::Fault(FaultClass::Unsupported)]);
    world.drain();
    let until = world.now.plus(HOUR_MS);
    let task = world.id(Kind::RemoveOauthGrants);
    world.order(Command::Waive {
        task,
        by: "boss@msp.example".into(),
        reason: "later".into(),
        until,
    });
    assert_eq!(world.case().state, CaseState::Closing);
    world.now = until;
    world.order(Command::Tick);
    world.run();
    let said = statement(&world.history).unwrap().predicate;
    assert!(said.waivers.is_empty());
    assert_eq!(said.rounds.last().map(|r| r.round), Some(2));
    assert!(
        said.tasks
            .iter()
            .any(|t| t.id == task && t.outcome == Some(OutcomeAccount::Verified))
    );
}

/// After a lost tail everything is read again, and the account says so.
#[test]
fn a_lost_tail_is_told_and_proven_again() {
    let kinds = [
        Kind::Resolve,
        Kind::SnapshotAccess,
        Kind::DisableSignIn,
        Kind::ObserveIdentity,
    ];
    let at_once = departure(Manner::Immediate);
    let time_has_come = at_once.effective_at;
    let mut world = World::open(at_once, &kinds, Policy::default());
    world.extra.insert(Kind::Resolve, Facts::new().with("object_id", "u-1"));
    world.drain();
    world.now = world.now.max(time_has_come);
    let task = world.case().tasks[&world.id(Kind::SnapshotAccess)].clone();
    let said = Said::NotBegun { why: "stopped".into() };
    let ahead = Report {
        version: world.case().version + 3,
        ..world.report(&task, said)
    };
    world.order(Command::RecordReport(Box::new(ahead)));
    world.run();
    let account = statement(&world.history).unwrap();
    let [lost] = account.predicate.lost_tails.as_slice() else {
        panic!("{:?}", account.predicate.lost_tails)
    };
    let snapshot = account.predicate.tasks.iter().find(|t| t.id == task.id()).unwrap();
    assert!(snapshot.settled_version > Some(lost.version));
    assert!(
        snapshot
            .steps
            .iter()
            .any(|s| s.event == "task_settled" && !s.readings.is_empty()),
        "what was read before is kept"
    );
    // Nobody knows what was written in the history that was lost: the record is the earlier one.
    let known = task.before.as_ref().map(|seen| When::from(seen.read_at));
    let (before, after) = (snapshot.before.as_ref(), snapshot.after.as_ref());
    assert_eq!(before.map(|r| r.read_at), known);
    assert!(after.map(|r| r.read_at) > known, "what was read since is beside it");
}

/// A case that is about to be recorded and disabled.
fn resolved() -> World {
    let kinds = [
        Kind::Resolve,
        Kind::SnapshotAccess,
        Kind::SnapshotDirectory,
        Kind::DisableSignIn,
        Kind::ObserveIdentity,
    ];
    let mut world = World::open(departure(Manner::Immediate), &kinds, Policy::default());
    world.extra.insert(Kind::Resolve, Facts::new().with("object_id", "u-1"));
    world.answer(world.id(Kind::Resolve));
    world
}

/// A case that is called off while two workers are at it: one answers, one
/// never does, but for what he was asked before.
fn called_off() -> World {
    let mut world = resolved();
    let snapshot = |world: &World| world.case().tasks[&world.id(Kind::SnapshotDirectory)].clone();
    let first = snapshot(&world);
    world.now = first.in_flight().unwrap().over_at();
    world.order(Command::Tick);
    world.order(Command::Cancel {
        by: "boss@msp.example".into(),
        reason: "he stays".into(),
    });
    assert_eq!(world.case().in_flight(), 2);
    world.answer(world.id(Kind::SnapshotAccess));
    assert_eq!(world.case().state, CaseState::Cancelling);
    // What came too late is kept, and told.
    let said = Said::Fault {
        fault: world::fault(FaultClass::Transient),
    };
    let late = world.report(&first, said);
    world.order(Command::RecordReport(Box::new(late)));
    world.now = snapshot(&world).in_flight().unwrap().over_at();
    world.order(Command::Tick);
    assert_eq!(world.case().state, CaseState::Cancelled);
    world
}

fn sealed(world: &mut World) -> Statement {
    assert!(world.case().is_to_be_sealed() && !world.case().is_over());
    let said = statement(&world.history).unwrap();
    let file = seal(&said, &key());
    assert_eq!(verify(&file, &key().verifying_key()), Ok(said.clone()));
    let (to, state) = (world.case().account_to(), world.case().state.clone());
    let record = |evidence| Command::RecordSealed {
        to,
        evidence,
        key_id: "k".into(),
    };
    world.order(record(Digest::of(&file)));
    assert!(world.case().is_over());
    assert_eq!(
        (&world.case().state, world.case().evidence),
        (&state, Some(Digest::of(&file)))
    );
    said
}

/// What a worker was given and nobody has seen done is not "not done": a device
/// that was told to wipe itself does it whenever it is next switched on.
#[test]
fn what_was_begun_and_not_proven_when_a_case_is_called_off_is_said() {
    let kinds = [
        Kind::Resolve,
        Kind::SnapshotAccess,
        Kind::DisableSignIn,
        Kind::ObserveIdentity,
    ];
    let mut world = World::open(departure(Manner::Immediate), &kinds, Policy::default());
    world.extra.insert(Kind::Resolve, Facts::new().with("object_id", "u-1"));
    world.answer(world.id(Kind::Resolve));
    world.answer(world.id(Kind::SnapshotAccess));
    world.now = world.case().departure.effective_at.max(world.now);
    world.order(Command::Tick);
    let task = world.id(Kind::DisableSignIn);
    let given = world.case().tasks[&task].clone();
    let said = Said::Wait {
        until: world.now.plus(HOUR_MS),
        why: "told to, and not seen done yet".into(),
        checkpoint: None,
    };
    let report = world.report(&given, said);
    world.order(Command::RecordReport(Box::new(report)));
    assert_eq!(world.case().in_flight(), 0, "it rests");
    world.order(Command::Cancel {
        by: "boss@msp.example".into(),
        reason: "he stays".into(),
    });
    assert_eq!(world.case().state, CaseState::Cancelled);
    let mut said = sealed(&mut world);
    let cancellation = said.predicate.cancellation.as_mut().unwrap();
    assert!(cancellation.in_flight.is_empty());
    let told: Vec<_> = cancellation.begun.iter().map(|b| (b.task, b.attempts)).collect();
    assert_eq!(told, [(task, 1)]);
    assert!(cancellation.begun[0].last.contains("told to, and not seen done yet"));
    cancellation.begun.clear();
    assert!(
        verify(&seal(&said, &key()), &key().verifying_key()).is_err(),
        "left out"
    );
}

/// History is lost with the order to disable the sign-in, the case is called off, and then the
/// worker says what he did.
fn called_off_after_a_loss() -> World {
    let mut world = resolved();
    world.answer(world.id(Kind::SnapshotAccess));
    world.now = world.case().departure.effective_at.max(world.now);
    let (case, records) = (world.case.clone(), world.history.len());
    world.order(Command::Tick);
    let given = world.case().tasks[&world.id(Kind::DisableSignIn)].clone();
    assert!(given.in_flight().is_some());
    let said = Said::Fault {
        fault: world::fault(FaultClass::Unknown),
    };
    let report = world.report(&given, said);
    world.case = case;
    world.history.truncate(records);
    world.order(Command::Cancel {
        by: "boss@msp.example".into(),
        reason: "he stays".into(),
    });
    assert_eq!(world.case().state, CaseState::Cancelling, "a snapshot is under way");
    world.order(Command::RecordReport(Box::new(report)));
    for _ in 0..48 {
        if world.case().state == CaseState::Cancelled {
            return world;
        }
        world.now = world.now.plus(HOUR_MS);
        world.order(Command::Tick);
    }
    panic!("it does not end");
}

/// What was ordered in a history that is lost is not "not done" where a late report tells of it.
#[test]
fn what_only_a_late_report_shows_to_have_been_begun_is_said() {
    let mut world = called_off_after_a_loss();
    let task = world.id(Kind::DisableSignIn);
    let said = sealed(&mut world);
    let cancellation = said.predicate.cancellation.as_ref().unwrap();
    assert!(cancellation.begun.is_empty(), "no order of it is left");
    let told: Vec<_> = cancellation.all_begun().map(|b| (b.task, b.attempts)).collect();
    assert_eq!(told, [(task, 1)]);
    let changed = |heard_late| {
        let mut said = said.clone();
        said.predicate.cancellation.as_mut().unwrap().heard_late = heard_late;
        verify(&seal(&said, &key()), &key().verifying_key())
    };
    let denied = changed(Some(Vec::new()));
    assert!(matches!(denied, Err(Invalid::DoesNotFollow { .. })), "{denied:?}");
    // As it was sealed before this was told.
    assert!(changed(None).is_ok());
}

/// The account of a case that was called off lists what was under way then,
/// and what became of it; nothing of it can be left out.
#[test]
fn a_case_that_was_called_off_tells_what_was_under_way() {
    let mut world = called_off();
    let said = sealed(&mut world);
    let account = &said.predicate;
    assert_eq!(account.ending, Ending::Cancelled);
    let cancellation = account.cancellation.as_ref().unwrap();
    assert_eq!(
        (&*cancellation.by, &*cancellation.reason),
        ("boss@msp.example", "he stays")
    );
    let told: Vec<(&str, &str)> = cancellation
        .in_flight
        .iter()
        .map(|f| {
            let task = account.tasks.iter().find(|t| t.id == f.task).unwrap();
            assert!(f.ended_version > Some(cancellation.version));
            (task.kind.as_str(), f.became.as_str())
        })
        .collect();
    assert_eq!(
        told,
        [
            ("identity.snapshot_access", "verified"),
            ("identity.snapshot_directory", "the assignment was not answered in time"),
        ]
    );
    assert_eq!(account.summary.late_reports, 1);
    let disable = account
        .tasks
        .iter()
        .find(|t| t.kind == "identity.disable_sign_in")
        .unwrap();
    assert_eq!(
        (disable.attempts, &disable.outcome),
        (0, &None),
        "nothing new was ordered"
    );

    let forged = |f: &dyn Fn(&mut Predicate)| {
        let mut s = said.clone();
        f(&mut s.predicate);
        verify(&seal(&s, &key()), &key().verifying_key()).expect_err("it was forged")
    };
    let in_flight = |p: &mut Predicate| p.cancellation.as_mut().map(|c| std::mem::take(&mut c.in_flight));
    let denied = forged(&|p| drop(in_flight(p)));
    assert!(matches!(denied, Invalid::DoesNotFollow { .. }), "{denied}");
    let open = forged(&|p| p.cancellation.as_mut().unwrap().in_flight[0].ended_version = None);
    assert!(matches!(open, Invalid::StillInFlight { .. }), "{open}");
    let other = forged(&|p| p.ending = Ending::Refused);
    assert!(matches!(other, Invalid::Ending { .. }), "{other}");
    let silent = forged(&|p| p.cancellation = None);
    assert!(matches!(silent, Invalid::LeftOut { .. }), "{silent}");
}

/// The account of a refused case says that nothing was written, and bears it out.
#[test]
fn a_refused_case_tells_that_nothing_was_written() {
    let kinds = [Kind::Resolve, Kind::SnapshotAccess, Kind::DisableSignIn];
    let policy = Policy {
        protected: ["u-1".to_owned()].into(),
        ..Policy::default()
    };
    let mut world = World::open(departure(Manner::Immediate), &kinds, policy);
    world.extra.insert(Kind::Resolve, Facts::new().with("object_id", "u-1"));
    world.drain();
    let said = sealed(&mut world);
    let account = &said.predicate;
    assert_eq!(account.ending, Ending::Refused);
    let refusal = account.refusal.as_ref().unwrap();
    assert!(
        refusal.nothing_written && refusal.reason.contains("protected"),
        "{refusal:?}"
    );
    assert_eq!(
        account.tasks.iter().map(|t| t.kind.as_str()).collect::<Vec<_>>(),
        ["identity.resolve"]
    );

    let forged = |f: &dyn Fn(&mut Predicate)| {
        let mut s = said.clone();
        f(&mut s.predicate);
        verify(&seal(&s, &key()), &key().verifying_key()).expect_err("it was forged")
    };
    let wrote = forged(&|p| p.tasks[0].nature.writes = true);
    assert!(matches!(wrote, Invalid::DoesNotFollow { .. }), "{wrote}");
    let unsaid = forged(&|p| p.refusal = None);
    assert!(matches!(unsaid, Invalid::LeftOut { .. }), "{unsaid}");
}

/// A desk that is away does not keep a case open, and the account says that its
/// ticket is still to come. Nothing that a departure is judged by passes so.
#[test]
fn what_goes_on_beside_a_case_is_in_its_account_without_an_outcome() {
    let mut kinds = vec![
        Kind::Resolve,
        Kind::SnapshotAccess,
        Kind::DisableSignIn,
        Kind::ObserveIdentity,
    ];
    kinds.extend(crate::catalogue::desk::KINDS);
    let mut policy = Policy::default();
    policy.approvals.plan = false;
    policy.skip = [Kind::ConfirmHandover, Kind::Validate].into();
    let request = Departure {
        choices: Choices::default(),
        effective_at: world::T0,
        ..departure(Manner::Immediate)
    };
    let mut world = World::open(request, &kinds, policy);
    world.extra.insert(Kind::Resolve, Facts::new().with("object_id", "u-1"));
    let away = (0..40).map(|_| Mishap::Fault(FaultClass::Transient)).collect();
    world.mishaps.insert(Kind::OpenTicket, away);
    world.run();
    assert_eq!(world.case().state, CaseState::Sealing);
    let to = world.case().account_to();
    // As the closer has it: up to the record that the account reaches to.
    let accounted = |world: &World| {
        let until = |r: &&Recorded| r.record.version <= to.version;
        let history: Vec<Recorded> = world.history.iter().filter(until).cloned().collect();
        statement(&history).unwrap()
    };
    let said = accounted(&world);
    let file = seal(&said, &key());
    assert_eq!(verify(&file, &key().verifying_key()), Ok(said.clone()));
    let place = |said: &Statement, kind: Kind| {
        let mut all = said.predicate.tasks.iter();
        all.position(|t| t.kind == kind.name()).unwrap()
    };
    let ticket = place(&said, Kind::OpenTicket);
    let told = &said.predicate.tasks[ticket];
    assert!(told.outcome.is_none() && told.nature.beside && told.attempts > 0);
    // What it does while the account is made does not move the account.
    let version = world.case().version;
    world.drain();
    world.now = world.now.plus(HOUR_MS);
    world.order(Command::Tick);
    world.drain();
    assert!(world.case().version > version);
    assert_eq!(world.case().account_to(), to);
    assert_eq!(seal(&accounted(&world), &key()), file);
    // Whoever has the key makes nothing else of it.
    let wrong = |said: &Statement| verify(&seal(said, &key()), &key().verifying_key()).unwrap_err();
    let mut claimed = said.clone();
    claimed.predicate.tasks[ticket].nature.beside = false;
    let id = claimed.predicate.tasks[ticket].id;
    assert_eq!(wrong(&claimed), Invalid::NotSettled { task: id });
    let mut hidden = said;
    let sign_in = place(&hidden, Kind::DisableSignIn);
    let task = &mut hidden.predicate.tasks[sign_in];
    (task.outcome, task.settled_version, task.settled_at, task.closing_proof) = (None, None, None, None);
    task.nature.beside = true;
    let id = task.id;
    assert_eq!(wrong(&hidden), Invalid::NotSettled { task: id });
}
