//! What is planned, what may be found, and what follows of either.

use crate::model::*;
use offboard_domain::catalogue::{APP_GROUPS_LATER, Kind};
use offboard_domain::departure::Manner;
use offboard_domain::fault::{FaultClass, Rule};
use offboard_domain::id::System;
use offboard_domain::policy::Capabilities;
use offboard_domain::standing::{Standing, standing};
use offboard_domain::{Command, Facts, Find, ObjectId, Policy, TaskState};
use std::sync::Arc;

#[test]
fn what_is_found_after_the_approval_asks_again() {
    let mut w = World::opened(Manner::Planned);
    w.drain();
    w.approve();
    // Discovery is done again by hand and finds a laptop now.
    let id = w.id(Kind::DiscoverDevices);
    w.reopen(id);
    w.finds = company_laptop();
    w.order(Command::Tick).unwrap();
    w.answer(Kind::DiscoverDevices);
    assert_eq!(
        standing(w.case(), w.task(Kind::ApprovePlan), w.now, &w.gates),
        Standing::WaitsForPerson
    );
    assert!(!w.task(Kind::WipeDevice).in_approved_plan);
    assert!(
        w.task(Kind::DisableSignIn).in_approved_plan,
        "what was approved stays approved"
    );
}

#[test]
fn a_find_that_comes_too_late_is_for_a_person() {
    let mut w = World::opened(Manner::Immediate);
    w.run_to_sealing();
    let id = w.id(Kind::DiscoverDevices);
    w.reopen(id);
    w.order(Command::Tick).unwrap();
    w.finds = vec![Find {
        kind: Kind::RetireDevice,
        object: ObjectId::from("d-9"),
        params: Facts::new(),
    }];
    w.answer(Kind::DiscoverDevices);
    assert!(
        matches!(
            w.task(Kind::RetireDevice).state,
            TaskState::Failed {
                rule: Rule::LateFind,
                ..
            }
        ),
        "the mailbox is converted already"
    );
}

#[test]
fn a_finder_finds_only_what_it_may() {
    let mut w = World::opened(Manner::Immediate);
    w.finds = vec![Find {
        kind: Kind::RemoveAuthMethods,
        object: ObjectId::from("u-7"),
        params: Facts::new(),
    }];
    w.answer(Kind::Resolve);
    w.answer(Kind::DiscoverDevices);
    assert!(matches!(
        w.task(Kind::DiscoverDevices).state,
        TaskState::Failed {
            rule: Rule::ClaimWithoutProof,
            ..
        }
    ));
}

/// An older dispatcher orders nothing that leaves these groups later: so a worker leaves them to
/// that only where he is told that it does.
#[test]
fn groups_that_give_applications_are_left_where_something_takes_him_out_of_them_later() {
    for planned in [true, false] {
        let mut offered = everything();
        if !planned {
            offered.0.get_mut(&m365()).unwrap().remove(&Kind::RemoveAppRoles);
        }
        let mut w = World::new();
        w.order(Command::Open {
            departure: Arc::new(departure(Manner::Immediate)),
            policy: Arc::new(Policy::default()),
            capabilities: Arc::new(offered),
            traceparent: None,
        })
        .unwrap();
        w.answer(Kind::Resolve);
        let told = w.case().told(w.task(Kind::RemoveGroupMemberships));
        assert_eq!(told.bool(APP_GROUPS_LATER), planned.then_some(true));
    }
}

/// Who hands an application over may take weeks.
#[test]
fn an_application_that_he_owns_keeps_him_in_no_group() {
    let mut w = World::opened(Manner::Planned);
    w.drain();
    w.approve();
    w.drain_but(Kind::RemoveGroupOwnerships);
    assert_eq!(w.task(Kind::RemoveGroupMemberships).attempt, 0);
    let owns = w.report(w.id(Kind::RemoveGroupOwnerships), fault(FaultClass::Unsupported));
    w.order(Command::RecordReport(Box::new(owns))).unwrap();
    w.drain();
    assert!(matches!(
        w.task(Kind::RemoveGroupOwnerships).state,
        TaskState::Failed { .. }
    ));
    assert!(w.task(Kind::RemoveGroupMemberships).is_settled());
}

#[test]
fn no_licence_is_planned_to_go_where_nothing_keeps_what_hangs_on_it() {
    use offboard_domain::plan::plan;
    let subject = Facts::new().with("object_id", "u-1").with("successor_id", "u-2");
    let released = |policy: &Policy, capabilities| {
        let d = departure(Manner::Planned);
        let p = plan(d.case_id(), &d, &subject, policy, &capabilities, false).unwrap();
        p.tasks
            .iter()
            .any(|t| matches!(t.kind, Kind::ReleaseDirectLicenses | Kind::ReleaseGroupLicenses))
    };
    assert!(released(&Policy::default(), everything()));
    for missing in [Kind::ConvertToShared, Kind::HandOverOneDrive] {
        let mut capabilities = everything();
        capabilities.0.values_mut().for_each(|kinds| {
            kinds.remove(&missing);
        });
        assert!(!released(&Policy::default(), capabilities), "{missing} is not offered");
    }
    let skip = Policy {
        skip: [Kind::ConvertToShared].into(),
        ..Policy::default()
    };
    assert!(!released(&skip, everything()), "the conversion is skipped");
}

/// What is planned for somebody, by system; and what is missed.
fn planned(subject: &Facts, capabilities: &Capabilities, policy: &Policy) -> offboard_domain::plan::Plan {
    let d = departure(Manner::Planned);
    offboard_domain::plan::plan(d.case_id(), &d, subject, policy, capabilities, false).unwrap()
}

/// The cloud, and a directory on the premises if there is one.
fn cloud_and(premises: bool) -> Capabilities {
    let (here, there): (Vec<Kind>, Vec<Kind>) = everything().0.remove(&m365()).unwrap().into_iter().partition(|k| {
        let computers = matches!(k, Kind::DiscoverComputers | Kind::DisableComputer);
        let there = k.name().contains("on_premises") || computers || *k == Kind::MoveToLeaversUnit;
        !there
    });
    let mut all = Capabilities([(m365(), here.into_iter().collect())].into());
    if premises {
        all.0.insert(System::new("ad").unwrap(), there.into_iter().collect());
    }
    all
}

fn a_copy() -> Facts {
    Facts::new()
        .with("object_id", "u-1")
        .with("successor_id", "u-2")
        .with("synced", true)
        .with("has_mailbox", true)
        .with("on_premises_security_id", "S-1-5-21-1-2-3-1104")
}

#[test]
fn a_copy_is_changed_where_it_is_mastered_and_watched() {
    let plan = planned(&a_copy(), &cloud_and(true), &Policy::default());
    let of = |kind: Kind| plan.tasks.iter().find(|t| t.kind == kind);
    for routed in [Kind::ResetPassword, Kind::HideFromAddressLists] {
        assert!(
            of(routed).is_none(),
            "{routed} is refused by the cloud, and done on the premises"
        );
    }
    for told in [
        Kind::DisableSignIn,
        Kind::RemoveGroupMemberships,
        Kind::ReleaseGroupLicenses,
    ] {
        assert_eq!(
            of(told).unwrap().params.bool("mastered_on_premises"),
            Some(true),
            "{told}"
        );
    }
    let resolve = of(Kind::ResolveOnPremises).unwrap();
    assert_eq!(resolve.target.system.as_str(), "ad");
    assert_eq!(
        resolve.params.text("on_premises_security_id"),
        Some("S-1-5-21-1-2-3-1104")
    );
    assert_eq!(of(Kind::AwaitSynchronisation).unwrap().target.system, m365());
    assert!(resolve.params.get("licences_unkept").is_none() && resolve.params.get("hold_wanted").is_none());
    let careless = Policy {
        skip: [Kind::ConvertToShared].into(),
        ..Policy::default()
    };
    let held = Policy {
        legal_hold: true,
        ..Policy::default()
    };
    for (policy, param) in [(careless, "licences_unkept"), (held, "hold_wanted")] {
        let plan = planned(&a_copy(), &cloud_and(true), &policy);
        let resolve = plan.tasks.iter().find(|t| t.kind == Kind::ResolveOnPremises).unwrap();
        assert_eq!(resolve.params.bool(param), Some(true), "{param}");
    }
}

#[test]
fn a_copy_of_what_is_not_connected_keeps_the_clouds_tasks_and_that_is_said() {
    let plan = planned(&a_copy(), &cloud_and(false), &Policy::default());
    assert!(plan.tasks.iter().any(|t| t.kind == Kind::ResetPassword));
    assert!(
        plan.tasks
            .iter()
            .all(|t| t.params.get("mastered_on_premises").is_none())
    );
    assert_eq!(plan.unserved, [Kind::ResolveOnPremises]);
    let mut own = a_copy();
    own.set("synced", false);
    let plan = planned(&own, &cloud_and(false), &Policy::default());
    assert_eq!(plan.unserved, []);
    // Nobody's copy is looked up on the premises all the same.
    let plan = planned(&own, &cloud_and(true), &Policy::default());
    assert!(plan.tasks.iter().any(|t| t.kind == Kind::ResolveOnPremises));
    assert!(plan.tasks.iter().any(|t| t.kind == Kind::ResetPassword));
    assert!(plan.tasks.iter().all(|t| t.kind != Kind::AwaitSynchronisation));
}
