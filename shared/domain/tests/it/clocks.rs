//! The vendors' clocks that a departure sets going, and the devices that are known
//! before a task about them has ended.

use crate::model::*;
use offboard_domain::catalogue::workspace::{DELETED_MS, KINDS};
use offboard_domain::catalogue::{ACCOUNT_GONE, Kind};
use offboard_domain::clocks::{Clock, Deadline};
use offboard_domain::departure::Manner;
use offboard_domain::estate::{self, Holding, Serial};
use offboard_domain::time::{DAY_MS, HOUR_MS};
use offboard_domain::{
    Case, CaseState, Command, Facts, FaultClass, Find, ObjectId, Policy, Report, Said, System, TaskId, Timestamp,
};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What the release of a licence finds, and leaves.
fn released(w: &World, id: TaskId, fact: &str, held: &[&str]) -> Report {
    let held: Vec<String> = held.iter().map(|s| (*s).to_owned()).collect();
    let after = seen(Facts::new().with(fact, Vec::<String>::new()));
    let before = seen(Facts::new().with(fact, held));
    w.report(id, Said::Satisfied { before, after })
}

/// A cloud's departure to its end; says when the direct licences went.
fn through(held: &[&str], drive: bool) -> (World, Timestamp) {
    let mut w = World::opened(Manner::Immediate);
    let mut went = T0;
    for _ in 0..600 {
        let Some(id) = w.in_flight().first().copied() else {
            if w.case().state == CaseState::Sealing {
                break;
            }
            w.a_person_or_time(HOUR_MS);
            continue;
        };
        let report = match w.case().tasks[&id].kind() {
            Kind::ReleaseDirectLicenses => {
                went = w.now;
                released(&w, id, "direct_sku_ids", held)
            }
            Kind::ReleaseGroupLicenses => released(&w, id, "licence_group_ids", &[]),
            Kind::HandOverOneDrive if !drive => {
                let none = seen(Facts::new().with("drive_exists", false));
                let said = Said::Satisfied {
                    before: none.clone(),
                    after: none,
                };
                w.report(id, said)
            }
            _ => w.truthful(id),
        };
        w.order(Command::RecordReport(Box::new(report))).unwrap();
    }
    assert!(w.task(Kind::ReleaseDirectLicenses).is_settled());
    (w, went)
}

fn clocks(case: &Case) -> Vec<(Clock, Timestamp)> {
    case.deadlines().into_iter().map(|d| (d.clock, d.at)).collect()
}

#[test]
fn a_drive_s_clock_begins_when_the_licence_goes() {
    let (w, went) = through(&["sku-1"], true);
    let wanted = [
        (Clock::OneDriveReadOnly, went.plus(60 * DAY_MS)),
        (Clock::OneDriveArchived, went.plus(93 * DAY_MS)),
        (Clock::OneDriveDeleted, went.plus(365 * DAY_MS)),
    ];
    assert_eq!(clocks(w.case()), wanted);
    assert!(w.case().deadlines().iter().all(|d| d.system == m365() && !d.or_before));
    // Before it goes, and where none went or there is no drive, none runs.
    assert!(clocks(World::opened(Manner::Planned).case()).is_empty());
    assert!(clocks(through(&[], true).0.case()).is_empty());
    assert!(clocks(through(&["sku-1"], false).0.case()).is_empty());
}

/// Answers what comes, these kinds with these facts, until this one is with a worker, or
/// everything is done.
fn with_facts(read: &[(Kind, Facts)], until: Option<Kind>) -> World {
    let mut w = World::opened(Manner::Immediate);
    for _ in 0..600 {
        if until.is_some_and(|kind| w.case().in_flight_of(kind) > 0) {
            return w;
        }
        let Some(id) = w.in_flight().first().copied() else {
            if w.case().state == CaseState::Sealing {
                assert_eq!(until, None);
                return w;
            }
            w.a_person_or_time(HOUR_MS);
            continue;
        };
        let kind = w.case().tasks[&id].kind();
        let report = match read.iter().find(|(k, _)| *k == kind) {
            Some((_, facts)) => {
                let (before, after) = (seen(facts.clone()), seen(facts.clone()));
                w.report(id, Said::Satisfied { before, after })
            }
            None => w.truthful(id),
        };
        w.order(Command::RecordReport(Box::new(report))).unwrap();
    }
    panic!("it comes to no end");
}

fn listed(kind: Kind, fact: &str, list: &[&str]) -> (Kind, Facts) {
    let list: Vec<String> = list.iter().map(|s| (*s).to_owned()).collect();
    (kind, good(kind).with(fact, list))
}

fn drive() -> (Kind, Facts) {
    let kind = Kind::HandOverOneDrive;
    (kind, good(kind).with("drive_exists", true))
}

/// The three of a licence, which was gone by then.
fn of_a_licence(by: Timestamp) -> Vec<Deadline> {
    [
        (Clock::OneDriveReadOnly, 60),
        (Clock::OneDriveArchived, 93),
        (Clock::OneDriveDeleted, 365),
    ]
    .into_iter()
    .map(|(clock, days)| Deadline {
        at: by.plus(days * DAY_MS),
        system: m365(),
        clock,
        or_before: true,
    })
    .collect()
}

#[test]
fn a_licence_that_was_taken_by_hand_is_known_by_what_is_read() {
    let none_at_first = listed(Kind::SnapshotDirectory, "sku_ids", &[]);
    let some_at_first = listed(Kind::SnapshotDirectory, "sku_ids", &["sku-1"]);
    let none_at_last = listed(Kind::ProvePool, "assigned_sku_ids", &[]);
    let some_at_last = listed(Kind::ProvePool, "assigned_sku_ids", &["sku-1"]);
    let deadlines = |read: &[(Kind, Facts)]| with_facts(read, None).case().deadlines();
    // The tests' workers have read everything at the first moment.
    assert_eq!(deadlines(&[none_at_first.clone(), drive()]), of_a_licence(T0));
    assert_eq!(
        deadlines(&[some_at_first.clone(), none_at_last, drive()]),
        of_a_licence(T0)
    );
    assert!(deadlines(&[some_at_first, some_at_last, drive()]).is_empty());
    let no_drive = (Kind::HandOverOneDrive, Facts::new().with("drive_exists", false));
    assert!(deadlines(&[none_at_first.clone(), no_drive]).is_empty());
    // Who never had a licence may have had no drive either, and nobody has seen one.
    assert!(deadlines(&[none_at_first]).is_empty());
}

/// A release of these that a person goes without, after this fault; and what ran before
/// he said so.
fn waived_after(class: FaultClass, recorded: &[&str]) -> (World, Vec<Deadline>) {
    let kind = Kind::ReleaseDirectLicenses;
    let mut w = with_facts(&[listed(Kind::SnapshotDirectory, "sku_ids", recorded)], Some(kind));
    let id = w.id(kind);
    let report = w.report(id, fault(class));
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    let before = w.case().deadlines();
    w.order(Command::Waive {
        task: id,
        by: "boss@msp.example".into(),
        reason: "done by hand".into(),
        until: w.now.plus(DAY_MS),
    })
    .unwrap();
    (w, before)
}

#[test]
fn a_release_that_a_person_does_by_hand_starts_the_drive_s_clock() {
    let (w, before) = waived_after(FaultClass::Rejected, &["sku-1"]);
    assert!(before.is_empty(), "{before:?}");
    assert_eq!(w.case().deadlines(), of_a_licence(w.now));
    let (w, _) = waived_after(FaultClass::Rejected, &[]);
    assert!(w.case().deadlines().is_empty(), "what was never held nobody has taken");
}

#[test]
fn an_account_of_microsoft_s_that_somebody_deletes_can_be_restored_for_thirty_days() {
    let until = |by: Timestamp| Deadline {
        at: by.plus(30 * DAY_MS),
        system: m365(),
        clock: Clock::AccountPastRestoring,
        or_before: true,
    };
    // Read as gone at the end, where it leaves nothing to do.
    let mut w = with_facts(&[], Some(Kind::ObserveIdentity));
    let mut report = w.truthful(w.id(Kind::ObserveIdentity));
    let Said::Checked { results } = &mut report.said else {
        panic!("{report:?}");
    };
    for read in results {
        read.observation.facts = Facts::new().with(ACCOUNT_GONE, true);
    }
    assert!(w.case().deadlines().is_empty());
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    assert_eq!(w.case().deadlines(), [until(T0)]);
    // Missed on the way, and a person goes without what is then of no use. That it is
    // missed once says nothing.
    let (mut w, before) = waived_after(FaultClass::Absent, &[]);
    assert!(before.is_empty(), "{before:?}");
    assert_eq!(w.case().deadlines(), [until(w.now)]);
    // Missed on the way and gone at the end, it was gone the first time.
    let (mut gone, _) = waived_after(FaultClass::Absent, &[]);
    let missed = gone.now;
    for _ in 0..100 {
        gone.drain_but(Kind::ObserveIdentity);
        if gone.case().in_flight_of(Kind::ObserveIdentity) > 0 {
            break;
        }
        gone.a_person_or_time(HOUR_MS);
    }
    let mut report = gone.truthful(gone.id(Kind::ObserveIdentity));
    let Said::Checked { results } = &mut report.said else {
        panic!("{report:?}");
    };
    for read in results {
        read.observation.facts = Facts::new().with(ACCOUNT_GONE, true);
    }
    gone.order(Command::RecordReport(Box::new(report))).unwrap();
    assert_eq!(gone.case().deadlines(), [until(missed)]);
    // It is there when it is looked for at the end.
    w.pass(HOUR_MS);
    w.run_to_sealing();
    assert!(w.task(Kind::ReleaseDirectLicenses).is_waived());
    assert!(w.case().deadlines().is_empty(), "{:?}", w.case().deadlines());
}

fn google() -> System {
    System::new("google").unwrap()
}

/// A case in which the workspace's finder has found these.
fn in_a_workspace(kinds: &[Kind]) -> World {
    let mut capabilities = everything();
    capabilities.0.get_mut(&m365()).unwrap().retain(|k| k.is_of_a_cloud());
    let claims: BTreeSet<Kind> = KINDS.iter().copied().collect();
    capabilities.0.insert(google(), claims);
    let mut w = World::new();
    w.order(Command::Open {
        departure: Arc::new(departure(Manner::Immediate)),
        policy: Arc::new(Policy::default()),
        capabilities: Arc::new(capabilities),
        traceparent: None,
    })
    .unwrap();
    w.answer(Kind::Resolve);
    let finds = kinds.iter().map(|kind| Find {
        kind: *kind,
        object: ObjectId::from("1001"),
        params: Facts::new(),
    });
    let said = Said::Found {
        finds: finds.collect(),
        observation: seen(good(Kind::ResolveInWorkspace)),
    };
    let report = w.report(w.id(Kind::ResolveInWorkspace), said);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    w
}

/// Answers and approves what comes, until this kind is with a worker.
fn until(w: &mut World, kind: Kind) -> TaskId {
    for _ in 0..300 {
        if w.case().in_flight_of(kind) > 0 {
            return w.id(kind);
        }
        match w.in_flight().first().copied() {
            Some(id) => {
                let report = w.truthful(id);
                w.order(Command::RecordReport(Box::new(report))).unwrap();
            }
            None => w.a_person_or_time(HOUR_MS),
        }
    }
    panic!("{kind} is never given to a worker");
}

#[test]
fn a_deleted_account_can_be_restored_for_as_long_as_google_says() {
    let mut w = in_a_workspace(&[Kind::SuspendAtOnce]);
    let id = until(&mut w, Kind::SuspendAtOnce);
    let gone = Facts::new().with("object_exists", false).with(DELETED_MS, T0.0);
    let said = Said::Satisfied {
        before: seen(gone.clone()),
        after: seen(gone),
    };
    let report = w.report(id, said);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    let wanted = Deadline {
        at: T0.plus(20 * DAY_MS),
        system: google(),
        clock: Clock::AccountPastRestoring,
        or_before: false,
    };
    assert_eq!(w.case().deadlines(), [wanted]);
}

#[test]
fn a_phone_that_has_not_checked_in_is_known_by_its_number() {
    let mut w = in_a_workspace(&[Kind::WipeAccount]);
    let id = until(&mut w, Kind::WipeAccount);
    let mut facts = Facts::new().with("object_exists", true);
    let serial = Serial::parse("R58N1111");
    let phone = ObjectId::from("p1");
    estate::note(&mut facts, &phone, serial.as_ref(), Holding::ManagedUnknown);
    let said = Said::Wait {
        until: w.now.plus(HOUR_MS),
        why: "a device has not checked in".into(),
        checkpoint: None,
    };
    let mut report = w.report(id, said);
    report.seen = Some(seen(facts));
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    assert!(!w.case().tasks[&id].is_settled());
    let known = w.case().sightings_elsewhere(&m365());
    assert_eq!(known.len(), 1, "{known:?}");
    assert_eq!((known[0].system.clone(), known[0].serial.clone()), (google(), serial));
}
