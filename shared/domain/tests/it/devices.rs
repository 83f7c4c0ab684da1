//! Several devices of one person: what is done to one waits for what is done to it, in
//! whatever system that is, and not for another one that never comes back.

use crate::model::*;
use offboard_domain::catalogue::{Kind, managed, premises};
use offboard_domain::departure::Manner;
use offboard_domain::estate::{self, Holding, Serial};
use offboard_domain::fault::Rule;
use offboard_domain::standing::{Standing, standing};
use offboard_domain::time::{DAY_MS, HOUR_MS};
use offboard_domain::{ApprovalOf, Command, Digest, Facts, Find, ObjectId, Policy, Said, System, TaskId, TaskState};
use std::collections::BTreeSet;
use std::sync::Arc;

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

fn company(id: &str) -> Vec<Find> {
    let mut finds = company_laptop();
    for find in &mut finds {
        find.object = ObjectId::from(id);
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
    w.finds = company("back");
    w.finds.extend(company("lost"));
    let own = Facts::new().with("owner", "personal");
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
    w.finds = company("one");
    w.finds
        .retain(|f| ![Kind::WipeDevice, Kind::EscrowRecoveryKeys].contains(&f.kind));
    w.finds.extend(company("other"));
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
    let none = Facts::new();
    let finder = w.id(Kind::DiscoverDevices);
    found(&mut w, finder, good(Kind::DiscoverDevices), Vec::new());
    let finds = vec![
        find(Kind::ConfirmDeviceReturned, "rmm/41", none.clone()),
        find(Kind::MarkManaged, "41", none.clone()),
        find(Kind::ClearManagedOwner, "41", none.clone()),
        find(Kind::ConfirmManagedDevice, "rmm/43", none.clone()),
        find(Kind::DiscoverConfirmed, "43", none.clone()),
        find(Kind::ConfirmManagedDevice, "rmm/44", none.clone()),
        find(Kind::DiscoverConfirmed, "44", none.clone()),
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
        find(Kind::ConfirmDeviceReturned, "rmm/43", none.clone()),
        find(Kind::MarkManaged, "43", none.clone()),
        find(Kind::ClearManagedOwner, "43", none.clone()),
        // Of the one whose owner was cleared already.
        find(Kind::DecideDevice, "rmm/41", none),
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
