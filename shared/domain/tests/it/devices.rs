//! Several devices of one person: what is done to one waits for what is done to it, in
//! whatever system that is, and not for another one that never comes back.

use crate::model::*;
use offboard_domain::catalogue::{Kind, managed, premises};
use offboard_domain::departure::Manner;
use offboard_domain::estate::{self, Holding, Serial};
use offboard_domain::fault::Rule;
use offboard_domain::standing::{Standing, next, person_since, standing};
use offboard_domain::time::{DAY_MS, HOUR_MS};
use offboard_domain::{
    ApprovalOf, Command, Digest, Facts, Find, ObjectId, Policy, Said, System, TaskId, TaskState, decide,
};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

const GUID: &str = "7f3a9c0d-11aa-4b6e-9d20-f1aa00000001";

fn system(name: &str) -> System {
    System::new(name).unwrap()
}

/// A cloud, a remote management and a domain.
fn opened() -> World {
    let mut all = everything();
    all.0.get_mut(&m365()).unwrap().retain(|k| k.is_of_a_cloud());
    for (name, kinds) in [("rmm", managed::KINDS), ("berlin", premises::KINDS)] {
        // The cloud's own, and what is read once for all devices.
        let beside = [Kind::AwaitSynchronisation, Kind::DiscoverSoftware];
        let claims: BTreeSet<Kind> = kinds.iter().copied().filter(|k| !beside.contains(k)).collect();
        all.0.insert(system(name), claims);
    }
    let mut w = World::new();
    w.order(Command::Open {
        departure: Arc::new(departure(Manner::Immediate)),
        policy: Arc::new(Policy::default()),
        capabilities: Arc::new(all),
        traceparent: None,
    })
    .unwrap();
    w.answer(Kind::Resolve);
    w
}

fn find(kind: Kind, object: &str, params: Facts) -> Find {
    Find {
        kind,
        object: ObjectId::from(object),
        params,
    }
}

fn numbered(serial: &str) -> Facts {
    Facts::new().with("serial", serial)
}

fn company(id: &str, serial: &str) -> Vec<Find> {
    let mut finds = company_laptop();
    for find in &mut finds {
        find.object = ObjectId::from(id);
        find.params.set("serial", serial);
    }
    finds
}

fn found(w: &mut World, finder: TaskId, facts: Facts, finds: Vec<Find>) {
    let observation = seen(facts);
    let report = w.report(finder, Said::Found { observation, finds });
    w.order(Command::RecordReport(Box::new(report))).unwrap();
}

/// The task of this kind about this object.
fn about(w: &World, kind: Kind, object: &str) -> TaskId {
    let object = Some(ObjectId::from(object));
    let mut tasks = w.case().tasks.values();
    let of = tasks.find(|t| t.kind() == kind && t.planned.target.object == object);
    of.unwrap_or_else(|| panic!("no {kind} about {object:?}")).id()
}

fn waits_for(w: &World, task: TaskId) -> Vec<Kind> {
    match standing(w.case(), &w.case().tasks[&task], w.now, &w.gates) {
        Standing::WaitsFor(kinds) => kinds,
        _ => Vec::new(),
    }
}

fn is_settled(w: &World, task: TaskId) -> bool {
    w.case().tasks[&task].is_settled()
}

fn attest(w: &mut World, task: TaskId) {
    w.order(Command::Attest {
        task,
        by: "manager@acme.example".into(),
        file: Some(Digest::of(b"file")),
        ending: None,
        note: String::new(),
    })
    .unwrap();
}

fn approve(w: &mut World, task: TaskId) {
    let digest = w.case().task_digest(&w.case().tasks[&task]);
    w.order(Command::Approve {
        by: "boss@msp.example".into(),
        of: ApprovalOf::Task(task, digest),
    })
    .unwrap();
}

fn go_without(w: &mut World, task: TaskId) {
    w.order(Command::Waive {
        task,
        by: "boss@msp.example".into(),
        reason: "it was stolen".into(),
        until: w.now.plus(300 * DAY_MS),
    })
    .unwrap();
}

#[test]
fn a_laptop_that_never_comes_back_holds_up_nothing_of_one_that_has() {
    let mut w = World::opened(Manner::Planned);
    w.finds = company("back", "5CG1111");
    w.finds.extend(company("lost", "5CG2222"));
    let own = numbered("5CG3333").with("owner", "personal");
    for kind in [Kind::EscrowRecoveryKeys, Kind::RetireDevice, Kind::DisableDeviceObject] {
        w.finds.push(find(kind, "phone", own.clone()));
    }
    w.drain();
    w.approve();
    w.drain();
    // His own phone waits for no laptop.
    let phone = about(&w, Kind::DisableDeviceObject, "phone");
    assert!(is_settled(&w, phone), "{:?}", w.case().tasks[&phone].state);
    let task = about(&w, Kind::ConfirmDeviceReturned, "back");
    let wipe = about(&w, Kind::WipeDevice, "back");
    assert_eq!(waits_for(&w, wipe), [Kind::ConfirmDeviceReturned]);
    attest(&mut w, task);
    approve(&mut w, wipe);
    w.pass(2 * HOUR_MS);
    w.drain();
    for kind in [Kind::WipeDevice, Kind::UnassignAutopilot, Kind::DisableDeviceObject] {
        let task = about(&w, kind, "back");
        assert!(is_settled(&w, task), "{kind}: {:?}", w.case().tasks[&task].state);
    }
    // Nothing of the other one was begun.
    let lost = about(&w, Kind::WipeDevice, "lost");
    assert_eq!(waits_for(&w, lost), [Kind::ConfirmDeviceReturned]);
    for kind in [Kind::WipeDevice, Kind::UnassignAutopilot, Kind::DisableDeviceObject] {
        assert_eq!(w.case().tasks[&about(&w, kind, "lost")].attempt, 0, "{kind}");
    }
    // What needs all of them waits for all of them.
    let validate = w.id(Kind::Validate);
    assert!(waits_for(&w, validate).contains(&Kind::DisableDeviceObject));
    w.run_to_sealing();
}

/// An order reaches through what this device has not, though another one has it.
#[test]
fn an_order_reaches_through_what_a_device_has_not() {
    let mut w = World::opened(Manner::Planned);
    w.finds = company("one", "5CG1111");
    w.finds
        .retain(|f| ![Kind::WipeDevice, Kind::EscrowRecoveryKeys].contains(&f.kind));
    w.finds.extend(company("other", "5CG2222"));
    w.drain();
    w.approve();
    w.drain();
    // It is not wiped, and its enrolment stays until it is back all the same.
    let task = about(&w, Kind::UnassignAutopilot, "one");
    assert_eq!(waits_for(&w, task), [Kind::ConfirmDeviceReturned]);
    let returned = about(&w, Kind::ConfirmDeviceReturned, "one");
    attest(&mut w, returned);
    w.drain();
    assert!(is_settled(&w, task), "{:?}", w.case().tasks[&task].state);
}

/// What was met by a name alone is found when somebody has confirmed it, and until then
/// much is done to the others.
#[test]
fn a_device_that_is_found_after_another_was_ended_is_late_for_nothing_of_its_own() {
    let mut w = opened();
    let [first, third, fourth] = ["5CG1111", "5CG3333", "5CG4444"].map(numbered);
    let finder = w.id(Kind::DiscoverDevices);
    found(&mut w, finder, good(Kind::DiscoverDevices), Vec::new());
    let finds = vec![
        find(Kind::ConfirmDeviceReturned, "rmm/41", first.clone()),
        find(Kind::MarkManaged, "41", first.clone()),
        find(Kind::ClearManagedOwner, "41", first.clone()),
        find(Kind::ConfirmManagedDevice, "rmm/43", third.clone()),
        find(Kind::DiscoverConfirmed, "43", third.clone()),
        find(Kind::ConfirmManagedDevice, "rmm/44", fourth.clone()),
        find(Kind::DiscoverConfirmed, "44", fourth),
    ];
    let finder = w.id(Kind::DiscoverManaged);
    found(&mut w, finder, good(Kind::DiscoverManaged), finds);
    w.drain();
    w.approve();
    w.drain();
    let returned = about(&w, Kind::ConfirmDeviceReturned, "rmm/41");
    attest(&mut w, returned);
    w.drain();
    let ended = about(&w, Kind::ClearManagedOwner, "41");
    assert!(is_settled(&w, ended), "{:?}", w.case().tasks[&ended].state);
    // Nobody has said anything of the third one.
    let confirmed = about(&w, Kind::ConfirmManagedDevice, "rmm/43");
    attest(&mut w, confirmed);
    let finds = vec![
        find(Kind::ConfirmDeviceReturned, "rmm/43", third.clone()),
        find(Kind::MarkManaged, "43", third.clone()),
        find(Kind::ClearManagedOwner, "43", third),
        // Of the one whose owner was cleared already.
        find(Kind::DecideDevice, "rmm/41", first),
    ];
    let finder = about(&w, Kind::DiscoverConfirmed, "43");
    found(&mut w, finder, good(Kind::DiscoverConfirmed), finds);
    let is_late = |kind, object| {
        let state = &w.case().tasks[&about(&w, kind, object)].state;
        matches!(
            state,
            TaskState::Failed {
                rule: Rule::LateFind,
                ..
            }
        )
    };
    assert!(!is_late(Kind::ConfirmDeviceReturned, "rmm/43"));
    assert!(!is_late(Kind::MarkManaged, "43") && !is_late(Kind::ClearManagedOwner, "43"));
    assert!(is_late(Kind::DecideDevice, "rmm/41"));
}

/// By the serial number, over systems; and what cannot be told apart may be one.
#[test]
fn a_device_of_another_system_is_known_by_its_serial_number() {
    let mut w = opened();
    let mut facts = good(Kind::DiscoverDevices);
    for (id, serial, device_id) in [("one", "5CG1111", GUID), ("other", "5CG2222", "another")] {
        let id = ObjectId::from(id);
        let serial = Serial::parse(serial);
        estate::note(&mut facts, &id, serial.as_ref(), Holding::ManagedCompany);
        estate::note_device_id(&mut facts, &id, device_id);
    }
    let finds = vec![
        find(Kind::WipeDevice, "one", numbered("5CG1111").with("device_id", GUID)),
        find(Kind::WipeDevice, "other", numbered("5CG2222")),
    ];
    let finder = w.id(Kind::DiscoverDevices);
    found(&mut w, finder, facts, finds);
    let owners = [
        ("41", numbered(" 5cg1111 ")),
        ("42", numbered("5CG2222")),
        ("43", numbered("5CG3333")),
        // Never set by its maker.
        ("44", numbered("To be filled by O.E.M.")),
        ("45", Facts::new()),
    ];
    let finds = owners.map(|(id, params)| find(Kind::ClearManagedOwner, id, params));
    let finder = w.id(Kind::DiscoverManaged);
    found(&mut w, finder, good(Kind::DiscoverManaged), finds.into());
    // Joined to the domain as well, and known there by the id of its own alone.
    let finder = w.id(Kind::ResolveOnPremises);
    let computers = [GUID, "7f3a9c0d-11aa-4b6e-9d20-f1aa00000009"];
    let finds = computers.map(|id| find(Kind::DisableComputer, id, Facts::new()));
    found(&mut w, finder, good(Kind::ResolveOnPremises), finds.into());
    let wait = |w: &World| -> Vec<bool> {
        let owners = ["41", "42", "43", "44", "45"].map(|id| about(w, Kind::ClearManagedOwner, id));
        let computers = computers.map(|id| about(w, Kind::DisableComputer, id));
        let all = owners.into_iter().chain(computers);
        all.map(|task| waits_for(w, task).contains(&Kind::WipeDevice)).collect()
    };
    assert_eq!(wait(&w), [true, true, false, true, true, true, true]);
    let wipe = about(&w, Kind::WipeDevice, "one");
    go_without(&mut w, wipe);
    assert_eq!(wait(&w), [false, true, false, true, true, false, true]);
    let wipe = about(&w, Kind::WipeDevice, "other");
    go_without(&mut w, wipe);
    assert_eq!(wait(&w), [false; 7]);
}

/// A cloud is two systems in one: its device management may have a number and no id of the
/// device's own, its directory has the id and never a number. Until both have the same sort of
/// mark, two records there may be of one device.
#[test]
fn two_records_of_one_system_are_two_devices_only_where_both_have_a_number_or_both_an_id() {
    let both = || numbered("5CG1111").with("device_id", GUID);
    let one = |id: &str| Facts::new().with("device_id", id);
    for (managed, listed, waits) in [
        (numbered("5CG1111"), one("another"), true),
        (numbered("5CG1111"), Facts::new(), true),
        (numbered("5CG1111"), numbered("5CG2222"), false),
        (numbered("5CG1111"), numbered("5CG1111"), true),
        (one(GUID), one("another"), false),
        (one(GUID), one(GUID), true),
        (one(GUID), Facts::new(), true),
        (both(), one("another"), false),
        (both(), numbered("5CG2222"), false),
        (both(), numbered("5CG2222").with("device_id", GUID), true),
        (Facts::new(), Facts::new(), true),
    ] {
        let mut w = World::opened(Manner::Planned);
        w.finds = vec![
            find(Kind::RetireDevice, "m-1", managed.clone()),
            find(Kind::DisableDeviceObject, "o-2", listed.clone()),
        ];
        w.drain();
        let object = about(&w, Kind::DisableDeviceObject, "o-2");
        let is_waited_for = waits_for(&w, object).contains(&Kind::RetireDevice);
        assert_eq!(is_waited_for, waits, "{managed:?} and {listed:?}");
    }
}

/// What is known of a device is kept, and not for longer than it is so: a finder that reads
/// more, and finds no more, tells two devices apart that were not.
#[test]
fn what_a_later_reading_knows_of_a_device_counts_from_then_on() {
    let mut w = opened();
    let finds = vec![find(Kind::WipeDevice, "one", numbered("5CG1111"))];
    let finder = w.id(Kind::DiscoverDevices);
    found(&mut w, finder, good(Kind::DiscoverDevices), finds);
    let finder = w.id(Kind::DiscoverManaged);
    let finds = vec![find(Kind::ClearManagedOwner, "41", Facts::new())];
    found(&mut w, finder, good(Kind::DiscoverManaged), finds.clone());
    let owner = about(&w, Kind::ClearManagedOwner, "41");
    assert!(waits_for(&w, owner).contains(&Kind::WipeDevice));
    w.reopen(finder);
    w.order(Command::Tick).unwrap();
    let mut facts = good(Kind::DiscoverManaged);
    let (id, serial) = (ObjectId::from("41"), Serial::parse("5CG9999"));
    estate::note(&mut facts, &id, serial.as_ref(), Holding::Remote);
    let tasks = w.case().tasks.len();
    found(&mut w, finder, facts, finds);
    assert_eq!(w.case().tasks.len(), tasks);
    assert!(!waits_for(&w, owner).contains(&Kind::WipeDevice));
}

/// Who may be about one device is found by what they have in common: the same as when each is
/// compared with each.
#[test]
fn whoever_may_be_about_one_device_is_found_and_nobody_else() {
    let mut w = opened();
    let marks = |serial: &str, device_id: &str| {
        let mut params = Facts::new();
        for (name, value) in [("serial", serial), ("device_id", device_id)] {
            if !value.is_empty() {
                params.set(name, value);
            }
        }
        params
    };
    let all: Vec<Facts> = ["", "5CG1111", "5CG2222"]
        .into_iter()
        .flat_map(|serial| ["", GUID, "another"].map(|id| marks(serial, id)))
        .collect();
    let finds_of = |kinds: &[Kind], before: &str| -> Vec<Find> {
        let each = |kind: Kind| {
            let one = move |(n, params): (usize, &Facts)| find(kind, &format!("{before}{n}"), params.clone());
            all.iter().enumerate().map(one).collect::<Vec<Find>>()
        };
        kinds.iter().flat_map(|kind| each(*kind)).collect()
    };
    let kinds = [Kind::ConfirmDeviceReturned, Kind::WipeDevice];
    let finder = w.id(Kind::DiscoverDevices);
    found(&mut w, finder, good(Kind::DiscoverDevices), finds_of(&kinds, "d-"));
    let finder = w.id(Kind::DiscoverManaged);
    let finds = finds_of(&[Kind::ClearManagedOwner], "");
    found(&mut w, finder, good(Kind::DiscoverManaged), finds);
    let wipe = about(&w, Kind::WipeDevice, "d-4");
    go_without(&mut w, wipe);
    let case = w.case();
    let (mut near, mut far) = (0, 0);
    for task in case.tasks.values().filter(|t| t.planned.params.get("serial").is_some()) {
        for kind in [Kind::ConfirmDeviceReturned, Kind::WipeDevice, Kind::ClearManagedOwner] {
            let of_kind = || case.tasks.values().filter(move |t| t.kind() == kind);
            let one_by_one = of_kind().any(|t| case.may_be_one_device(t, task));
            assert_eq!(case.has_of_device(kind, task), one_by_one, "{kind} {:?}", task.planned);
            let mut open = of_kind().filter(|t| !t.is_settled());
            let one_by_one = open.any(|t| case.may_be_one_device(t, task));
            assert_eq!(
                case.is_open_of_device(kind, task),
                one_by_one,
                "{kind} {:?}",
                task.planned
            );
            let together = of_kind().filter(|t| case.may_be_one_device(t, task)).count();
            near += together;
            far += of_kind().count() - together;
        }
    }
    assert!(near > 0 && far > 0, "{near} {far}");
}

/// How long it takes to decide, and to see what is next, for somebody with so many devices.
/// The cloud says no numbers in what it finds, so that each is known by another reading.
fn one_look(devices: usize) -> Duration {
    let mut w = opened();
    let (mut facts, mut finds) = (good(Kind::DiscoverDevices), Vec::new());
    for n in 0..devices {
        let (id, device_id) = (ObjectId(format!("d-{n:04}")), format!("guid-{n:04}"));
        let serial = Serial::parse(&format!("5CG{n:05}"));
        estate::note(&mut facts, &id, serial.as_ref(), Holding::ManagedCompany);
        estate::note_device_id(&mut facts, &id, &device_id);
        for one in company_laptop() {
            let params = Facts::new().with("device_id", device_id.as_str());
            finds.push(find(one.kind, &id.0, params));
        }
    }
    let finder = w.id(Kind::DiscoverDevices);
    found(&mut w, finder, facts, finds);
    let timed = || {
        let began = Instant::now();
        let decision = decide(w.case.as_ref(), Command::Tick, w.now, &w.gates).unwrap();
        let next = next(&decision.case, w.now, &w.gates);
        assert!(next.wake.is_some());
        began.elapsed()
    };
    (0..5).map(|_| timed()).min().unwrap()
}

/// Whoever enrols devices for others has hundreds, and shares his shard with everybody else's
/// departures. By comparing each with each it would be a hundred times the work at least, and
/// was a thousand times.
#[test]
fn ten_times_the_devices_are_not_a_hundred_times_the_work() {
    let (few, many) = (one_look(20), one_look(200));
    assert!(many < few * 50, "{few:?} for 20, {many:?} for 200");
}

/// Whoever is to approve a wipe can when that laptop is back, whatever comes back later.
#[test]
fn an_approval_is_awaited_since_its_own_device_came_back() {
    let mut w = World::opened(Manner::Planned);
    w.finds = company("one", "5CG1111");
    w.finds.extend(company("other", "5CG2222"));
    w.drain();
    w.approve();
    w.drain();
    let since = |w: &World, id: &str| person_since(w.case(), &w.case().tasks[&about(w, Kind::WipeDevice, id)]);
    let mut came_back = Vec::new();
    for id in ["one", "other"] {
        w.pass(HOUR_MS);
        w.drain();
        let task = about(&w, Kind::ConfirmDeviceReturned, id);
        attest(&mut w, task);
        came_back.push(w.now);
    }
    assert_eq!(came_back, [since(&w, "one"), since(&w, "other")]);
}
