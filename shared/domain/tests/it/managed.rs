//! A remote management beside a cloud: it looks after the cloud has looked, is
//! told what that has seen, asks a person about what it met by a name, and lets
//! nothing go before what must come first.

use crate::model::*;
use offboard_domain::catalogue::managed::{CLEARED, CONFIRMED, KINDS, SHOWN_NAME, for_a_person};
use offboard_domain::catalogue::{Approval, Kind, apps};
use offboard_domain::departure::Manner;
use offboard_domain::estate::{self, Holding, Serial};
use offboard_domain::standing::{Standing, standing};
use offboard_domain::time::{DAY_MS, HOUR_MS};
use offboard_domain::{
    ApprovalOf, Capabilities, Command, Facts, FaultClass, Find, Mode, ObjectId, Policy, Said, System, TaskId,
    TaskState, follow_up, unplanned,
};
use std::collections::BTreeSet;
use std::sync::Arc;

fn rmm() -> System {
    System::new("rmm").unwrap()
}

fn capabilities() -> Capabilities {
    let mut all = everything();
    all.0.get_mut(&m365()).unwrap().retain(|k| k.is_of_a_cloud());
    let mut claims: BTreeSet<Kind> = KINDS.iter().copied().collect();
    claims.insert(Kind::ObserveDevice);
    all.0.insert(rmm(), claims);
    all
}

fn opened() -> World {
    opened_with(capabilities())
}

fn opened_with(capabilities: Capabilities) -> World {
    let mut leaving = departure(Manner::Immediate);
    leaving.person.display_name = Some("Anna Gross".into());
    let mut w = World::new();
    w.order(Command::Open {
        departure: Arc::new(leaving),
        policy: Arc::new(Policy::default()),
        capabilities: Arc::new(capabilities),
        traceparent: None,
    })
    .unwrap();
    w.answer(Kind::Resolve);
    w
}

fn found(w: &mut World, kind: Kind, facts: Facts, finds: Vec<Find>) {
    let observation = seen(facts);
    let report = w.report(w.id(kind), Said::Found { observation, finds });
    w.order(Command::RecordReport(Box::new(report))).unwrap();
}

/// What the cloud has seen.
fn in_the_cloud(w: &mut World) {
    let mut facts = good(Kind::DiscoverDevices);
    let serial = Serial::parse("5CG1111");
    estate::note(
        &mut facts,
        &ObjectId::from("m/1"),
        serial.as_ref(),
        Holding::ManagedCompany,
    );
    estate::note(&mut facts, &ObjectId::from("o-2"), None, Holding::Listed);
    found(w, Kind::DiscoverDevices, facts, Vec::new());
}

fn find(kind: Kind, object: &str) -> Find {
    Find {
        kind,
        object: ObjectId::from(object),
        params: Facts::new(),
    }
}

/// What the management has seen: one of his, one that a person must confirm.
fn in_the_management(w: &mut World) {
    let mut facts = good(Kind::DiscoverManaged);
    for (id, serial) in [("41", "5cg1111"), ("43", "0")] {
        let serial = Serial::parse(serial);
        estate::note(&mut facts, &ObjectId::from(id), serial.as_ref(), Holding::Remote);
    }
    let finds = vec![
        find(Kind::MarkManaged, "41"),
        find(Kind::MaintainManaged, "41"),
        find(Kind::DecideDevice, "rmm/41"),
        find(Kind::RunManagedScript, "41"),
        find(Kind::ClearManagedOwner, "41"),
        find(Kind::Decommission, "41"),
        find(Kind::ConfirmManagedDevice, "rmm/43"),
        find(Kind::DiscoverConfirmed, "43"),
    ];
    found(w, Kind::DiscoverManaged, facts, finds);
}

fn stands(w: &World, kind: Kind) -> Standing {
    standing(w.case(), w.task(kind), w.now, &w.gates)
}

#[test]
fn without_one_none_is_missed() {
    let mut alone = capabilities();
    alone.0.remove(&rmm());
    let d = departure(Manner::Planned);
    let plan =
        offboard_domain::plan::plan(d.case_id(), &d, &good(Kind::Resolve), &Policy::default(), &alone, false).unwrap();
    assert!(plan.tasks.iter().all(|t| !KINDS.contains(&t.kind)));
    assert!(plan.unserved.iter().all(|k| !KINDS.contains(k)), "{:?}", plan.unserved);
}

#[test]
fn it_looks_after_the_cloud_and_is_told_what_that_has_seen() {
    let mut w = opened();
    assert!(matches!(stands(&w, Kind::DiscoverManaged), Standing::WaitsFor(_)));
    in_the_cloud(&mut w);
    let params = w.case().assignment(w.id(Kind::DiscoverManaged)).unwrap().params;
    assert_eq!(params.text(SHOWN_NAME), Some("Anna Gross"));
    assert_eq!(params.list(apps::NAMES).unwrap(), ["leaver@acme.example"]);
    assert!(
        params.get(apps::DIRECTORY_ID).is_none(),
        "as little of him as is needed"
    );
    let heard = estate::heard(&params);
    let ids: Vec<&str> = heard.iter().map(|s| s.id.0.as_str()).collect();
    assert_eq!(ids, ["m/1", "o-2"]);
    assert_eq!(heard[0].serial.as_ref().unwrap().as_str(), "5CG1111");
    // And what it has seen itself is told to others, and in no stored task.
    in_the_management(&mut w);
    let devices = estate::join(&w.case().sightings());
    let both = devices.iter().find(|d| d.serial.is_some()).unwrap();
    assert_eq!(both.seen.len(), 2);
    assert_eq!(devices.len(), 3);
    for task in w.case().tasks.values() {
        let stored = serde_json::to_string(&task.planned).unwrap();
        assert!(!stored.contains("Gross") && !stored.contains("elsewhere/"), "{stored}");
    }
}

#[test]
fn a_person_s_word_decides_about_a_candidate() {
    for confirmed in [true, false] {
        let mut w = opened();
        in_the_cloud(&mut w);
        in_the_management(&mut w);
        assert_eq!(stands(&w, Kind::ConfirmManagedDevice), Standing::WaitsForPerson);
        assert!(matches!(stands(&w, Kind::DiscoverConfirmed), Standing::WaitsFor(_)));
        if confirmed {
            w.attest(Kind::ConfirmManagedDevice).unwrap();
        } else {
            w.order(Command::Waive {
                task: w.id(Kind::ConfirmManagedDevice),
                by: "boss@msp.example".into(),
                reason: "it is a colleague's".into(),
                until: w.now.plus(DAY_MS),
            })
            .unwrap();
        }
        assert!(w.task(Kind::DiscoverConfirmed).in_flight().is_some());
        let params = w.case().assignment(w.id(Kind::DiscoverConfirmed)).unwrap().params;
        assert_eq!(params.bool(CONFIRMED), Some(confirmed));
        let facts = Facts::new().with("confirmed", confirmed);
        let finds = vec![find(Kind::MarkManaged, "43")];
        found(&mut w, Kind::DiscoverConfirmed, facts, finds);
        let marks = w.case().tasks.values().filter(|t| t.kind() == Kind::MarkManaged);
        assert_eq!(
            marks.count(),
            if confirmed { 2 } else { 1 },
            "what is not his is not touched"
        );
    }
}

#[test]
fn a_word_about_another_device_is_none_about_this() {
    let mut w = opened();
    in_the_cloud(&mut w);
    in_the_management(&mut w);
    let target = offboard_domain::Target {
        system: rmm(),
        object: Some("44".into()),
    };
    let asked = offboard_domain::catalogue::managed::confirmation(w.case().id, &target);
    assert!(!w.case().tasks.contains_key(&asked));
    let of_43 = w.id(Kind::ConfirmManagedDevice);
    let target = offboard_domain::Target {
        object: Some("43".into()),
        ..target
    };
    assert_eq!(
        offboard_domain::catalogue::managed::confirmation(w.case().id, &target),
        of_43
    );
    assert_eq!(for_a_person(&rmm(), &"43".into()).0, "rmm/43");
}

#[test]
fn the_agent_goes_last_and_each_act_that_cannot_be_undone_asks_by_itself() {
    let mut w = opened();
    w.finds = company_laptop();
    let finds = w.finds.clone();
    let facts = good(Kind::DiscoverDevices);
    found(&mut w, Kind::DiscoverDevices, facts, finds);
    in_the_management(&mut w);
    w.run_to_sealing();
    let at = |kind: Kind| match w.task(kind).state {
        TaskState::Settled { at, .. } => at,
        ref other => panic!("{kind}: {other:?}"),
    };
    for earlier in [Kind::MarkManaged, Kind::MaintainManaged] {
        assert!(at(earlier) <= at(Kind::Decommission), "{earlier}");
    }
    for earlier in [Kind::MarkManaged, Kind::WipeDevice, Kind::RunManagedScript] {
        assert!(at(earlier) <= at(Kind::ClearManagedOwner), "{earlier}");
    }
    assert!(at(Kind::ClearManagedOwner) <= at(Kind::Decommission));
    for kind in [Kind::RunManagedScript, Kind::Decommission] {
        assert_eq!(kind.spec().approval, Approval::Own);
        assert!(!kind.spec().convergent && !kind.spec().reversible, "{kind}");
        assert!(w.task(kind).approved.is_some(), "{kind} went without its own approval");
    }
}

#[test]
fn an_unanswered_end_is_read_before_anything_else() {
    let mut w = opened();
    in_the_cloud(&mut w);
    in_the_management(&mut w);
    w.run_until(|w| stands(w, Kind::Decommission) == Standing::WaitsForOwnApproval);
    let id: TaskId = w.id(Kind::Decommission);
    w.order(Command::Approve {
        by: "boss@msp.example".into(),
        of: ApprovalOf::Task(id, w.to_approve(Kind::Decommission)),
    })
    .unwrap();
    w.pass(HOUR_MS);
    assert_eq!(w.case().tasks[&id].in_flight().map(|a| a.mode), Some(Mode::Full));
    // What it did may not show yet.
    w.pass(30 * 60_000);
    assert_eq!(w.case().tasks[&id].in_flight().map(|a| a.mode), None);
    w.pass(HOUR_MS);
    let mode = w.case().tasks[&id].in_flight().map(|a| a.mode);
    assert_eq!(mode, Some(Mode::ObserveOnly));
}

#[test]
fn who_ends_a_device_is_told_whether_we_have_cleared_its_owner() {
    for (owner_before, ours) in [("his", true), ("none", false)] {
        let mut w = opened();
        in_the_cloud(&mut w);
        let finds = vec![find(Kind::ClearManagedOwner, "41"), find(Kind::Decommission, "41")];
        found(&mut w, Kind::DiscoverManaged, good(Kind::DiscoverManaged), finds);
        while w.task(Kind::ClearManagedOwner).in_flight().is_none() {
            match w.in_flight().first().copied() {
                Some(other) => {
                    let report = w.truthful(other);
                    w.order(Command::RecordReport(Box::new(report))).unwrap();
                }
                None => w.approve(),
            }
        }
        assert_eq!(w.case().told(w.task(Kind::Decommission)).bool(CLEARED), Some(false));
        let was = |owner: &str| seen(Facts::new().with("object_exists", true).with("owner", owner));
        let said = Said::Satisfied {
            before: was(owner_before),
            after: was("none"),
        };
        let report = w.report(w.id(Kind::ClearManagedOwner), said);
        w.order(Command::RecordReport(Box::new(report))).unwrap();
        let told = w.case().told(w.task(Kind::Decommission));
        assert_eq!(told.bool(CLEARED), Some(ours));
    }
}

#[test]
fn a_technician_s_login_and_the_return_of_a_device_are_asked_for_before_anything_is_validated() {
    let mut w = opened();
    in_the_cloud(&mut w);
    let facts = good(Kind::DiscoverManaged);
    let finds = vec![
        find(Kind::EndTechnician, "rmm/7"),
        find(Kind::ConfirmDeviceReturned, "rmm/41"),
        find(Kind::DecideDevice, "rmm/41"),
        find(Kind::ClearManagedOwner, "41"),
    ];
    found(&mut w, Kind::DiscoverManaged, facts, finds);
    assert_eq!(stands(&w, Kind::EndTechnician), Standing::WaitsForPerson);
    for earlier in [Kind::ConfirmDeviceReturned, Kind::DecideDevice] {
        let waits = stands(&w, Kind::ClearManagedOwner);
        assert!(
            matches!(&waits, Standing::WaitsFor(k) if k.contains(&earlier)),
            "{waits:?}"
        );
        w.attest(earlier).unwrap();
    }
    w.drain();
    let validation = stands(&w, Kind::Validate);
    assert!(
        matches!(&validation, Standing::WaitsFor(k) if k.contains(&Kind::EndTechnician)),
        "{validation:?}"
    );
    w.attest(Kind::EndTechnician).unwrap();
    w.run_to_sealing();
}

/// The device management's permission is for people to grant, and takes days.
#[test]
fn a_technician_s_login_is_asked_for_though_no_device_management_may_be_read() {
    let mut w = opened();
    let report = w.report(w.id(Kind::DiscoverDevices), fault(FaultClass::Denied));
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    let told = w.case().assignment(w.id(Kind::DiscoverTechnicians)).unwrap().params;
    assert_eq!(told.list(apps::NAMES).unwrap(), ["leaver@acme.example"]);
    let login = || vec![find(Kind::EndTechnician, "rmm/7")];
    found(&mut w, Kind::DiscoverTechnicians, Facts::new(), login());
    assert_eq!(stands(&w, Kind::EndTechnician), Standing::WaitsForPerson);
    assert!(matches!(stands(&w, Kind::DiscoverManaged), Standing::WaitsFor(_)));
    // Whoever comes upon it once more asks nobody again.
    let mut w = opened();
    found(&mut w, Kind::DiscoverTechnicians, Facts::new(), login());
    in_the_cloud(&mut w);
    found(&mut w, Kind::DiscoverManaged, good(Kind::DiscoverManaged), login());
    let asked = w.case().tasks.values().filter(|t| t.kind() == Kind::EndTechnician);
    assert_eq!(asked.count(), 1);
}

/// Those that are assigned to him, and those that a person says are his.
#[test]
fn software_is_looked_at_on_every_device_that_is_his() {
    let mut w = opened();
    w.drain_but(Kind::DiscoverManaged);
    let facts = good(Kind::DiscoverManaged)
        .with("devices_found", true)
        .with("device_ids", vec!["41".to_owned()]);
    let finds = vec![
        find(Kind::ConfirmManagedDevice, "rmm/43"),
        find(Kind::DiscoverConfirmed, "43"),
    ];
    found(&mut w, Kind::DiscoverManaged, facts, finds);
    w.drain();
    assert!(matches!(stands(&w, Kind::DiscoverSoftware), Standing::WaitsFor(_)));
    w.attest(Kind::ConfirmManagedDevice).unwrap();
    w.drain_but(Kind::DiscoverSoftware);
    let told = w.case().assignment(w.id(Kind::DiscoverSoftware)).unwrap().params;
    assert_eq!(told.list("device_ids"), Some(&["41".to_owned(), "43".to_owned()][..]));
    w.run_to_sealing();
}

/// One that is his, and one that a person is to say something about.
fn with_a_candidate(w: &mut World) {
    with_candidates(w, &[("43", "5CG3333")]);
}

fn with_candidates(w: &mut World, others: &[(&str, &str)]) {
    w.drain_but(Kind::DiscoverManaged);
    let mut facts = good(Kind::DiscoverManaged)
        .with("devices_found", true)
        .with("device_ids", vec!["41".to_owned()]);
    let mut finds = vec![find(Kind::Decommission, "41")];
    for (id, serial) in [("41", "5CG1111")].iter().chain(others) {
        estate::note(
            &mut facts,
            &ObjectId::from(*id),
            Serial::parse(serial).as_ref(),
            Holding::Remote,
        );
    }
    for (id, _) in others {
        let asked = format!("rmm/{id}");
        finds.extend([
            find(Kind::ConfirmManagedDevice, &asked),
            find(Kind::DiscoverConfirmed, id),
        ]);
    }
    found(w, Kind::DiscoverManaged, facts, finds);
    w.drain();
}

/// Which devices keep their agents for this.
fn kept_by(w: &World, kind: Kind) -> Vec<String> {
    let all = w.case().tasks.values().filter(|t| t.kind() == Kind::Decommission);
    let waits = all.filter(|t| match standing(w.case(), t, w.now, &w.gates) {
        Standing::WaitsFor(kinds) => kinds.contains(&kind),
        _ => false,
    });
    waits
        .map(|t| t.planned.target.object.as_ref().unwrap().0.clone())
        .collect()
}

#[test]
fn a_device_that_nobody_confirms_keeps_the_agent_of_no_other_for_longer_than_a_day() {
    let mut w = opened();
    with_a_candidate(&mut w);
    assert_eq!(kept_by(&w, Kind::DiscoverSoftware), ["41"]);
    w.pass(DAY_MS);
    let finds = vec![Find {
        kind: Kind::DecideApp,
        object: "rmm/software-1".into(),
        params: Facts::new().with(unplanned::APPS, vec!["Editor".to_owned()]),
    }];
    let read = good(Kind::DiscoverSoftware).with(unplanned::READ_DEVICES, vec!["41".to_owned()]);
    found(&mut w, Kind::DiscoverSoftware, read, finds);
    w.drain();
    for kind in [Kind::DiscoverSoftware, Kind::DiscoverConfirmed] {
        assert_eq!(kept_by(&w, kind), Vec::<String>::new(), "{kind}");
    }
    // Its software is read before its own agent goes, and only what is new is asked about.
    w.attest(Kind::ConfirmManagedDevice).unwrap();
    let confirmed = Facts::new().with("confirmed", true);
    let finds = vec![find(Kind::Decommission, "43")];
    found(&mut w, Kind::DiscoverConfirmed, confirmed, finds);
    assert!(kept_by(&w, Kind::DiscoverSoftware).contains(&"43".to_owned()));
    let told = w.case().assignment(w.id(Kind::DiscoverSoftware)).unwrap().params;
    assert_eq!(told.list("device_ids"), Some(&["41".to_owned(), "43".to_owned()][..]));
    assert_eq!(told.list(unplanned::ASKED), Some(&["Editor".to_owned()][..]));
    assert_eq!(told.list(unplanned::READ_DEVICES), Some(&["41".to_owned()][..]));
    w.drain();
    assert_eq!(kept_by(&w, Kind::DiscoverSoftware), Vec::<String>::new());
    w.run_to_sealing();
}

/// A day for all of them, and not one for each that is confirmed.
#[test]
fn software_is_read_once_more_at_once_whoever_else_is_not_confirmed_yet() {
    let mut w = opened();
    with_candidates(&mut w, &[("43", "5CG3333"), ("44", "5CG4444")]);
    w.pass(DAY_MS);
    w.drain();
    assert!(w.task(Kind::DiscoverSoftware).is_settled());
    w.pass(DAY_MS);
    w.attest(Kind::ConfirmManagedDevice).unwrap();
    let mut looks = w.case().tasks.values().filter(|t| t.kind() == Kind::DiscoverConfirmed);
    let looks = looks.find(|t| t.in_flight().is_some()).unwrap().id();
    let said = Said::Found {
        observation: seen(Facts::new().with("confirmed", true)),
        finds: Vec::new(),
    };
    let report = w.report(looks, said);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    assert!(
        w.task(Kind::DiscoverSoftware).in_flight().is_some(),
        "{:?}",
        standing(w.case(), w.task(Kind::DiscoverSoftware), w.now, &w.gates)
    );
}

/// A task lists three hundred: who reads the list again knows the others too, and asks about what
/// is new alone.
#[test]
fn of_a_list_that_is_too_long_for_a_task_nothing_is_asked_about_again() {
    let mut w = opened();
    with_a_candidate(&mut w);
    w.pass(DAY_MS);
    let mut installed: BTreeSet<unplanned::Software> = (0..350)
        .map(|n| unplanned::Software {
            name: format!("Program {n:03}"),
            publisher: None,
        })
        .collect();
    let sorted = |w: &World, installed: &BTreeSet<unplanned::Software>| {
        let told = w.case().told(w.task(Kind::DiscoverSoftware));
        unplanned::sort_software(&rmm(), installed, &told).questions
    };
    let asked = sorted(&w, &installed).remove(0);
    let listed = asked.params.list(unplanned::APPS).map(<[String]>::len);
    assert_eq!((listed, asked.params.int(unplanned::COUNT)), (Some(300), Some(350)));
    let finds = vec![Find {
        kind: Kind::DecideApp,
        object: asked.object,
        params: asked.params,
    }];
    found(&mut w, Kind::DiscoverSoftware, good(Kind::DiscoverSoftware), finds);
    assert_eq!(sorted(&w, &installed), []);
    installed.insert(unplanned::Software {
        name: "Qualified Editor".to_owned(),
        publisher: None,
    });
    let more = sorted(&w, &installed).remove(0);
    assert_eq!(
        more.params.list(unplanned::APPS),
        Some(&["Qualified Editor".to_owned()][..])
    );
}

/// Whoever reads the list knows the devices of when he was told to: what is confirmed meanwhile is
/// read after it, also where he found that none is his.
#[test]
fn a_device_that_is_confirmed_while_software_is_read_is_read_too() {
    for nothing in [false, true] {
        let mut w = opened();
        with_a_candidate(&mut w);
        w.pass(DAY_MS);
        let told = w.case().assignment(w.id(Kind::DiscoverSoftware)).unwrap().params;
        assert_eq!(told.list("device_ids"), Some(&["41".to_owned()][..]));
        w.attest(Kind::ConfirmManagedDevice).unwrap();
        let confirmed = Facts::new().with("confirmed", true);
        found(&mut w, Kind::DiscoverConfirmed, confirmed, Vec::new());
        let read = match nothing {
            true => Facts::new().with("devices_found", false),
            false => good(Kind::DiscoverSoftware),
        };
        found(&mut w, Kind::DiscoverSoftware, read, Vec::new());
        assert!(!w.task(Kind::DiscoverSoftware).is_settled(), "nothing found: {nothing}");
        let told = w.case().assignment(w.id(Kind::DiscoverSoftware)).unwrap().params;
        assert_eq!(told.list("device_ids"), Some(&["41".to_owned(), "43".to_owned()][..]));
        w.answer(Kind::DiscoverSoftware);
        assert!(
            w.task(Kind::DiscoverSoftware).is_settled(),
            "it is read once more, and not again"
        );
    }
}

/// What nobody reads is waited for by nobody, and neither is what it would have waited for.
#[test]
fn where_no_software_is_read_a_device_waits_for_no_other_to_be_confirmed() {
    let mut without = capabilities();
    without.0.get_mut(&rmm()).unwrap().remove(&Kind::DiscoverSoftware);
    let mut w = opened_with(without);
    with_a_candidate(&mut w);
    assert_eq!(kept_by(&w, Kind::DiscoverConfirmed), Vec::<String>::new());
}

#[test]
fn a_program_that_was_asked_about_is_not_asked_about_again() {
    let named = |name: &str| unplanned::Software {
        name: name.to_owned(),
        publisher: None,
    };
    let installed = ["Editor", "Viewer"].map(named).into();
    let told = Facts::new().with(unplanned::ASKED, vec!["Editor".to_owned()]);
    let sorted = unplanned::sort_software(&rmm(), &installed, &told);
    assert_eq!(sorted.facts.int("unplanned_count"), Some(2));
    let [question] = sorted.questions.as_slice() else {
        panic!("{} questions", sorted.questions.len());
    };
    assert_eq!(question.params.list(unplanned::APPS), Some(&["Viewer".to_owned()][..]));
    let told = Facts::new().with(unplanned::ASKED, vec!["Editor".to_owned(), "Viewer".to_owned()]);
    assert!(unplanned::sort_software(&rmm(), &installed, &told).questions.is_empty());
}

/// A task lists so many and no more; where the rest is, is said as it is.
#[test]
fn a_list_that_does_not_have_all_says_where_the_rest_is() {
    let called = |count: usize| {
        let installed = (0..count).map(|n| unplanned::Software {
            name: format!("Program {n:03}"),
            publisher: None,
        });
        let sorted = unplanned::sort_software(&rmm(), &installed.collect(), &Facts::new());
        unplanned::called(&sorted.questions[0].params).unwrap()
    };
    assert!(!called(20).contains("more"));
    let listed = called(300);
    assert!(
        listed.contains("280 more (`offboard show --json` lists them)"),
        "{listed}"
    );
    let beyond = called(301);
    assert!(
        beyond.contains("281 more (`offboard show --json` lists the first 300;"),
        "{beyond}"
    );
}

/// The look-up is told which devices, and the case that follows names none of them again.
#[test]
fn a_person_is_asked_about_a_device_that_is_gone_once() {
    let two = vec!["41".to_owned(), "43".to_owned()];
    let gone = |devices: &[String], asked: &[String]| unplanned::unread_software(&rmm(), devices, asked);
    let first = gone(&two[..1], &[]).unwrap();
    assert_eq!(
        gone(&two, &two[..1]).unwrap().params.list("device_ids"),
        Some(&two[1..])
    );
    assert_eq!(gone(&two, &two), None);
    let mut w = opened();
    w.drain_but(Kind::DiscoverManaged);
    let facts = good(Kind::DiscoverManaged)
        .with("devices_found", true)
        .with("device_ids", two.clone());
    found(&mut w, Kind::DiscoverManaged, facts, Vec::new());
    w.drain_but(Kind::DiscoverSoftware);
    let asked = Find {
        kind: Kind::DecideApp,
        object: first.object,
        params: first.params,
    };
    found(
        &mut w,
        Kind::DiscoverSoftware,
        good(Kind::DiscoverSoftware),
        vec![asked],
    );
    let id = w.id(Kind::DiscoverSoftware);
    w.reopen(id);
    w.drain_but(Kind::DiscoverSoftware);
    for _ in 0..100 {
        if w.task(Kind::DiscoverSoftware).in_flight().is_some() {
            break;
        }
        w.pass(HOUR_MS);
        w.drain_but(Kind::DiscoverSoftware);
    }
    let told = w.case().assignment(id).unwrap().params;
    assert_eq!(told.list(unplanned::ASKED_DEVICES), Some(&two[..1]));
    let refused = w.report(id, fault(FaultClass::Denied));
    w.order(Command::RecordReport(Box::new(refused))).unwrap();
    w.order(Command::Waive {
        task: id,
        by: "boss@acme.example".into(),
        reason: "it lists no software".into(),
        until: w.now.plus(90 * DAY_MS),
    })
    .unwrap();
    let again = follow_up(w.case(), id, w.now).unwrap();
    let devices: Vec<_> = again.choices.apps.iter().map(|a| a.params.list("device_ids")).collect();
    assert_eq!(devices, [Some(&two[1..])]);
}

/// By the time that the waiver ends the devices may be decommissioned: a person is asked.
#[test]
fn software_that_nobody_has_looked_at_is_asked_about_by_its_devices() {
    for (devices, asked) in [(vec!["41".to_owned()], true), (Vec::new(), false)] {
        let mut w = opened();
        w.drain_but(Kind::DiscoverManaged);
        let facts = good(Kind::DiscoverManaged)
            .with("devices_found", asked)
            .with("device_ids", devices);
        found(&mut w, Kind::DiscoverManaged, facts, Vec::new());
        w.drain_but(Kind::DiscoverSoftware);
        let id = w.id(Kind::DiscoverSoftware);
        let refused = w.report(id, fault(FaultClass::Denied));
        w.order(Command::RecordReport(Box::new(refused))).unwrap();
        w.order(Command::Waive {
            task: id,
            by: "boss@acme.example".into(),
            reason: "the scope is not granted yet".into(),
            until: w.now.plus(90 * DAY_MS),
        })
        .unwrap();
        let again = follow_up(w.case(), id, w.now).unwrap();
        assert_eq!(again.choices.apps.len(), usize::from(asked));
        let Some(one) = again.choices.apps.first() else {
            continue;
        };
        assert!(one.object.0.starts_with("rmm/software-unread-"), "{}", one.object);
        assert_eq!(one.params.list("device_ids"), Some(&["41".to_owned()][..]));
        let mut w = World::with(again, Policy::default());
        w.drain();
        let words = unplanned::words(w.task(Kind::DecideApp)).unwrap();
        assert!(words.contains("nobody has looked") && words.contains("41"), "{words}");
    }
}
