//! Applications with accounts of their own: any number of them, each with tasks
//! of its own, and none of them in the way of the cloud.

use crate::model::*;
use offboard_domain::catalogue::Kind;
use offboard_domain::catalogue::apps::{DIRECTORY_ID, KINDS, NAMES, NAMES_MISSING, PROTECTED};
use offboard_domain::departure::Manner;
use offboard_domain::policy::{NAME_MARKS, address_mark};
use offboard_domain::standing::{Standing, standing};
use offboard_domain::task::Outcome;
use offboard_domain::{
    Capabilities, CaseState, Command, Facts, Find, ObjectId, Policy, Said, System, TaskId, TaskState,
};
use std::sync::Arc;

fn system(name: &str) -> System {
    System::new(name).unwrap()
}

/// The cloud, an app that deactivates and one that can only delete.
fn with_apps(apps: &[(&str, Kind)]) -> Capabilities {
    let mut all = everything();
    all.0.get_mut(&m365()).unwrap().retain(|k| !KINDS.contains(k));
    for (name, ends) in apps {
        let claims = [Kind::ResolveInApp, *ends, Kind::ObserveIdentity];
        all.0.insert(system(name), claims.into());
    }
    all
}

const BOTH: [(&str, Kind); 2] = [("chat", Kind::DeleteInApp), ("wiki", Kind::DisableInApp)];

fn opened(manner: Manner, policy: Policy) -> World {
    let mut leaving = departure(manner);
    leaving.person.mail = Some("anna@acme.example".into());
    let mut w = World::new();
    w.order(Command::Open {
        departure: Arc::new(leaving),
        policy: Arc::new(policy),
        capabilities: Arc::new(with_apps(&BOTH)),
        traceparent: None,
    })
    .unwrap();
    w.answer(Kind::Resolve);
    w
}

fn of(w: &World, kind: Kind, at: &str) -> TaskId {
    let mut all = w.case().tasks.values();
    let there = all.find(|t| t.kind() == kind && t.planned.target.system == system(at));
    there.unwrap().id()
}

/// Each app finds his account.
fn found(w: &mut World) {
    for (at, kind) in BOTH {
        let id = of(w, Kind::ResolveInApp, at);
        let finds = vec![Find {
            kind,
            object: ObjectId::from("a-1"),
            params: Facts::new().with("account_marks", vec!["m".to_owned()]),
        }];
        let observation = seen(good(Kind::ResolveInApp));
        let report = w.report(id, Said::Found { observation, finds });
        w.order(Command::RecordReport(Box::new(report))).unwrap();
    }
}

#[test]
fn each_app_has_a_task_of_its_own_and_without_apps_none_is_missed() {
    let d = departure(Manner::Planned);
    let subject = good(Kind::Resolve);
    let plan = |apps: &[(&str, Kind)]| {
        let capabilities = with_apps(apps);
        offboard_domain::plan::plan(d.case_id(), &d, &subject, &Policy::default(), &capabilities, false).unwrap()
    };
    let many: Vec<String> = (0..40).map(|n| format!("app{n:02}")).collect();
    let many: Vec<(&str, Kind)> = many.iter().map(|name| (name.as_str(), Kind::DisableInApp)).collect();
    let planned = plan(&many);
    let at: Vec<&str> = planned
        .tasks
        .iter()
        .filter(|t| t.kind == Kind::ResolveInApp)
        .map(|t| t.target.system.as_str())
        .collect();
    assert_eq!(at, many.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    let none = plan(&[]);
    assert!(none.tasks.iter().all(|t| !KINDS.contains(&t.kind)));
    assert!(none.unserved.iter().all(|k| !KINDS.contains(k)), "{:?}", none.unserved);
}

#[test]
fn his_names_travel_and_are_in_no_stored_task() {
    let policy = Policy {
        protected: ["owner@acme.example".to_owned()].into(),
        ..Policy::default()
    };
    let mut w = opened(Manner::Immediate, policy);
    let id = of(&w, Kind::ResolveInApp, "wiki");
    let params = w.case().assignment(id).unwrap().params;
    let names = ["leaver@acme.example", "anna@acme.example"];
    assert_eq!(params.list(NAMES).unwrap(), names);
    assert_eq!(params.text(DIRECTORY_ID), Some("u-1"));
    assert_eq!(params.list(PROTECTED).unwrap(), ["owner@acme.example"]);
    assert!(params.get(NAMES_MISSING).is_none() && params.get("successor_mail").is_none());
    found(&mut w);
    let ends = of(&w, Kind::DisableInApp, "wiki");
    let params = w.case().assignment(ends).unwrap().params;
    assert_eq!(params.list(NAMES).unwrap(), names);
    assert!(params.get(PROTECTED).is_none());
    for task in w.case().tasks.values() {
        let stored = serde_json::to_string(&task.planned).unwrap();
        assert!(!stored.contains("anna@") && !stored.contains("leaver@"), "{stored}");
    }
}

#[test]
fn an_address_that_nobody_has_told_is_told_to_be_missing() {
    let mut w = World::new();
    w.order(Command::Open {
        departure: Arc::new(departure(Manner::Immediate)),
        policy: Arc::new(Policy::default()),
        capabilities: Arc::new(with_apps(&BOTH)),
        traceparent: None,
    })
    .unwrap();
    let id = w.id(Kind::Resolve);
    let after = seen(good(Kind::Resolve).with("other_mail", true));
    let said = Said::Satisfied {
        before: after.clone(),
        after,
    };
    let report = w.report(id, said);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    let id = of(&w, Kind::ResolveInApp, "wiki");
    let params = w.case().assignment(id).unwrap().params;
    assert_eq!(params.bool(NAMES_MISSING), Some(true));
}

/// Of his addresses there are marks alone; each that is none of the request's is a doubt,
/// whatever else the request names.
#[test]
fn an_address_beside_those_of_the_request_is_a_doubt_and_a_named_one_is_none() {
    let in_doubt = |addresses: &[&str]| {
        let mut leaving = departure(Manner::Immediate);
        leaving.person.mail = Some("anna@acme.example".into());
        let mut w = World::new();
        w.order(Command::Open {
            departure: Arc::new(leaving),
            policy: Arc::new(Policy::default()),
            capabilities: Arc::new(with_apps(&BOTH)),
            traceparent: None,
        })
        .unwrap();
        let case = w.case().id;
        let marks: Vec<String> = addresses.iter().map(|a| address_mark(case, a)).collect();
        let after = seen(good(Kind::Resolve).with("other_mail", true).with(NAME_MARKS, marks));
        let said = Said::Satisfied {
            before: after.clone(),
            after,
        };
        let report = w.report(w.id(Kind::Resolve), said);
        w.order(Command::RecordReport(Box::new(report))).unwrap();
        let id = of(&w, Kind::ResolveInApp, "wiki");
        w.case().assignment(id).unwrap().params.bool(NAMES_MISSING) == Some(true)
    };
    assert!(!in_doubt(&[]));
    assert!(!in_doubt(&["Anna@acme.example", "leaver@acme.example"]));
    assert!(in_doubt(&["anna@acme.example", "anna.before@acme.example"]));
}

#[test]
fn an_immediate_departure_deactivates_at_once_and_deletes_only_what_was_approved() {
    let mut w = opened(Manner::Immediate, Policy::default());
    found(&mut w);
    let (ends, deletes) = (of(&w, Kind::DisableInApp, "wiki"), of(&w, Kind::DeleteInApp, "chat"));
    assert!(w.case().tasks[&ends].in_flight().is_some());
    let stands = |w: &World| standing(w.case(), &w.case().tasks[&deletes], w.now, &w.gates);
    assert_eq!(stands(&w), Standing::WaitsForPlanApproval);
    w.run_until(|w| stands(w) == Standing::WaitsForOwnApproval);
    assert!(w.case().tasks[&ends].is_settled());
    w.run_to_sealing();
    for id in [ends, deletes] {
        assert_eq!(w.case().tasks[&id].outcome(), Some(&Outcome::Verified));
    }
}

#[test]
fn a_planned_departure_waits_for_the_plan_and_an_app_that_is_away_holds_up_itself_alone() {
    let mut w = opened(Manner::Planned, Policy::default());
    let away = of(&w, Kind::ResolveInApp, "chat");
    let others = |w: &mut World| {
        while let Some(id) = w.in_flight().into_iter().find(|id| *id != away) {
            let report = w.truthful(id);
            w.order(Command::RecordReport(Box::new(report))).unwrap();
        }
    };
    others(&mut w);
    assert!(!w.task(Kind::DisableSignIn).is_settled(), "nobody has approved");
    w.approve();
    others(&mut w);
    assert!(w.case().tasks[&away].in_flight().is_some());
    assert!(w.task(Kind::RevokeSessions).is_settled(), "the cloud's burst is over");
    assert_eq!(w.case().state, CaseState::Active);
}

#[test]
fn two_that_answer_to_his_names_fail_for_a_person_and_nothing_is_found() {
    let mut w = opened(Manner::Immediate, Policy::default());
    let id = of(&w, Kind::ResolveInApp, "wiki");
    let facts = Facts::new().with("found", true).with("all_names_known", true);
    let observation = seen(facts.with("ambiguous", true).with("match_count", 2));
    let report = w.report(
        id,
        Said::Found {
            observation,
            finds: Vec::new(),
        },
    );
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    assert!(matches!(w.case().tasks[&id].state, TaskState::Failed { .. }));
    assert!(w.case().tasks.values().all(|t| t.kind() != Kind::DisableInApp));
}

#[test]
fn the_closing_round_searches_by_his_names_again() {
    let mut w = opened(Manner::Immediate, Policy::default());
    found(&mut w);
    w.run_until(|w| w.case().state == CaseState::Closing || w.case().state == CaseState::Sealing);
    let rounds: Vec<TaskId> = w
        .case()
        .tasks
        .values()
        .filter(|t| t.kind() == Kind::ObserveIdentity && t.planned.target.system != m365())
        .map(|t| t.id())
        .collect();
    assert_eq!(rounds.len(), 2);
    for id in rounds {
        let checks = w.case().checks_for(&w.case().tasks[&id]);
        assert_eq!(checks.len(), 1, "{checks:?}");
        assert_eq!(checks[0].params.list(NAMES).unwrap().len(), 2);
        assert!(checks[0].params.get("account_marks").is_some());
    }
}
