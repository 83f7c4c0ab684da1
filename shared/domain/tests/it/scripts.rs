//! Programs of the MSP's own: any number of them, each a task of its own, after
//! sign-in is disabled; told who leaves, and nobody of it kept.

use crate::model::*;
use offboard_domain::catalogue::{Kind, script, workspace};
use offboard_domain::departure::{Departure, Manner, PersonRef};
use offboard_domain::standing::{Standing, standing};
use offboard_domain::time::DAY_MS;
use offboard_domain::{
    Capabilities, Command, Facts, FaultClass, Find, ObjectId, Policy, Said, System, TaskId, TaskState,
};
use std::sync::Arc;

fn system(name: &str) -> System {
    System::new(name).unwrap()
}

/// A cloud, two programs, and one whose effect cannot be undone.
fn programs() -> Capabilities {
    let mut all = everything();
    all.0.get_mut(&m365()).unwrap().retain(|k| !script::KINDS.contains(k));
    with_programs(all)
}

/// The same beside a workspace, and without a cloud.
fn beside_a_workspace_alone() -> Capabilities {
    let closing = [
        Kind::ObserveIdentity,
        Kind::ObserveMailbox,
        Kind::ObserveDevice,
        Kind::ObserveLicense,
        Kind::ObserveKnowledge,
    ];
    let kinds = workspace::KINDS.iter().copied().chain(closing).chain([Kind::Resolve]);
    with_programs(Capabilities([(system("google"), kinds.collect())].into()))
}

fn with_programs(mut all: Capabilities) -> Capabilities {
    for (name, kind) in [
        ("vpn", Kind::RunScript),
        ("door", Kind::RunScript),
        ("shred", Kind::RunIrreversibleScript),
    ] {
        all.0.insert(system(name), [kind, Kind::ObserveIdentity].into());
    }
    all
}

fn opened(person: PersonRef) -> World {
    opened_in(Manner::Immediate, person, programs())
}

fn opened_in(manner: Manner, person: PersonRef, capabilities: Capabilities) -> World {
    let mut w = World::new();
    w.order(Command::Open {
        departure: Arc::new(Departure {
            person,
            ..departure(manner)
        }),
        policy: Arc::new(Policy::default()),
        capabilities: Arc::new(capabilities),
        traceparent: None,
    })
    .unwrap();
    w
}

fn leaver() -> PersonRef {
    PersonRef {
        user_principal_name: Some("leaver@acme.example".into()),
        mail: Some("jane.leaver@acme.example".into()),
        ..PersonRef::default()
    }
}

/// The task of one program.
fn of(w: &World, name: &str) -> TaskId {
    let tasks = w.case().tasks.values();
    let mut here = tasks.filter(|t| t.planned.target.system == system(name) && script::KINDS.contains(&t.kind()));
    let task = here.next().unwrap();
    assert!(here.next().is_none(), "one for each program");
    task.id()
}

/// His account in the workspace is found, and is to be suspended in this way.
fn found_in_the_workspace(w: &mut World, suspension: Kind) {
    let said = Said::Found {
        observation: seen(good(Kind::ResolveInWorkspace)),
        finds: vec![Find {
            kind: suspension,
            object: ObjectId::from("1001"),
            params: Facts::new(),
        }],
    };
    let report = w.report(w.id(Kind::ResolveInWorkspace), said);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
}

#[test]
fn none_runs_while_the_account_in_a_workspace_is_open() {
    for (manner, suspension) in [
        (Manner::Immediate, Kind::SuspendAtOnce),
        (Manner::Planned, Kind::SuspendInWorkspace),
    ] {
        let mut w = opened_in(manner, leaver(), beside_a_workspace_alone());
        w.answer(Kind::Resolve);
        found_in_the_workspace(&mut w, suspension);
        w.drain_but(suspension);
        w.approve();
        w.drain_but(suspension);
        assert!(w.task(suspension).in_flight().is_some(), "{manner:?}");
        for name in ["vpn", "door", "shred"] {
            let task = &w.case().tasks[&of(&w, name)];
            let waits = standing(w.case(), task, w.now, &w.gates);
            assert!(
                matches!(&waits, Standing::WaitsFor(k) if k.contains(&suspension)),
                "{name} {manner:?}: {waits:?}"
            );
        }
        w.answer(suspension);
        for name in ["vpn", "door"] {
            assert!(w.case().tasks[&of(&w, name)].in_flight().is_some(), "{name} {manner:?}");
        }
    }
}

/// As where an older version ran it ahead.
#[test]
fn an_account_that_is_found_after_a_program_ran_is_suspended_all_the_same() {
    let mut w = opened_in(Manner::Immediate, leaver(), beside_a_workspace_alone());
    w.answer(Kind::Resolve);
    let finder = w.id(Kind::ResolveInWorkspace);
    let report = w.report(finder, fault(FaultClass::Denied));
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    w.order(Command::Waive {
        task: finder,
        by: "boss@msp.example".into(),
        reason: "nobody may look there yet".into(),
        until: w.now.plus(DAY_MS),
    })
    .unwrap();
    w.drain();
    w.approve();
    w.drain();
    assert!(w.case().tasks[&of(&w, "vpn")].is_settled());
    w.pass(DAY_MS);
    found_in_the_workspace(&mut w, Kind::SuspendAtOnce);
    let found = w.task(Kind::SuspendAtOnce);
    assert!(found.in_flight().is_some(), "{:?}", found.state);
}

/// A loss has every act that must not happen twice be read first, also what was never ordered.
#[test]
fn a_program_that_was_never_ordered_makes_nothing_late_after_a_loss() {
    let mut w = opened(leaver());
    w.answer(Kind::Resolve);
    w.order(Command::RecordLoss { known: 0, parted: true }).unwrap();
    w.drain_but(Kind::ResolveOnPremises);
    assert_eq!(w.case().tasks[&of(&w, "shred")].attempt, 0);
    let said = Said::Found {
        observation: seen(good(Kind::ResolveOnPremises)),
        finds: vec![Find {
            kind: Kind::DisableOnPremises,
            object: ObjectId::from("g-1"),
            params: Facts::new(),
        }],
    };
    let report = w.report(w.id(Kind::ResolveOnPremises), said);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    let found = w.task(Kind::DisableOnPremises);
    assert!(!matches!(found.state, TaskState::Failed { .. }), "{:?}", found.state);
}

#[test]
fn each_program_is_a_task_and_none_is_missed_where_there_is_none() {
    let mut w = opened(leaver());
    w.answer(Kind::Resolve);
    let ids = ["vpn", "door", "shred"].map(|name| of(&w, name));
    assert!(ids[0] != ids[1] && ids[1] != ids[2]);
    let unserved = |capabilities: &Capabilities| {
        let d = departure(Manner::Planned);
        let plan = offboard_domain::plan::plan(
            d.case_id(),
            &d,
            &good(Kind::Resolve),
            &Policy::default(),
            capabilities,
            false,
        );
        plan.unwrap().unserved
    };
    let mut none = programs();
    none.0.retain(|name, _| *name == m365());
    for capabilities in [programs(), none] {
        assert!(!unserved(&capabilities).iter().any(|k| script::KINDS.contains(k)));
    }
}

#[test]
fn none_runs_before_sign_in_is_disabled_and_what_cannot_be_undone_asks_by_itself() {
    let mut w = opened(leaver());
    let mut disabled = false;
    for _ in 0..2_000 {
        let Some(id) = w.in_flight().first().copied() else {
            break;
        };
        let kind = w.case().tasks[&id].kind();
        assert!(disabled || !script::KINDS.contains(&kind), "{kind} was ordered before");
        disabled |= kind == Kind::DisableSignIn;
        let report = w.truthful(id);
        w.order(Command::RecordReport(Box::new(report))).unwrap();
    }
    assert!(disabled);
    let waits = |w: &World, name: &str| {
        let task = &w.case().tasks[&of(w, name)];
        standing(w.case(), task, w.now, &w.gates)
    };
    assert_eq!(waits(&w, "vpn"), Standing::WaitsForPlanApproval);
    w.approve();
    w.drain();
    assert!(w.case().tasks[&of(&w, "vpn")].is_settled() && w.case().tasks[&of(&w, "door")].is_settled());
    assert_eq!(waits(&w, "shred"), Standing::WaitsForOwnApproval);
}

#[test]
fn a_program_is_told_who_leaves_also_in_the_closing_round_and_no_event_says_it() {
    for (person, mail) in [
        (leaver(), Some("jane.leaver@acme.example")),
        (PersonRef { mail: None, ..leaver() }, None),
    ] {
        let mut w = opened(person);
        w.drain();
        w.approve();
        let vpn = of(&w, "vpn");
        while w.case().tasks[&vpn].in_flight().is_none() {
            let report = w.truthful(w.in_flight()[0]);
            w.order(Command::RecordReport(Box::new(report))).unwrap();
        }
        let told = |params: &Facts| {
            assert_eq!(params.text(script::SIGN_IN_NAME), Some("leaver@acme.example"));
            assert_eq!(params.text(script::MAIL), mail);
        };
        told(&w.case().assignment(vpn).unwrap().params);
        w.run_to_sealing();
        let rounds = w.case().tasks.values().filter(|t| t.kind().is_closing_round());
        let checks = rounds.flat_map(|t| w.case().checks_for(t));
        let of_programs: Vec<_> = checks.filter(|c| script::KINDS.contains(&c.kind)).collect();
        assert_eq!(of_programs.len(), 3);
        of_programs.iter().for_each(|c| told(&c.params));
        for name in ["vpn", "door", "shred"] {
            let kept = format!("{:?}", w.case().tasks[&of(&w, name)].planned);
            assert!(!kept.contains("leaver@acme"), "{kept}");
        }
    }
}
