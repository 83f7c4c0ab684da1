//! A device that is joined to a cloud and to a directory on the premises: what
//! the cloud has of it is a copy, and follows the computer there, which is found by the
//! id that the cloud knows.

use crate::model::*;
use offboard_domain::assignment::{ACCOUNT_CHANGED_ON_PREMISES_MS, CHANGED_ON_PREMISES_MS};
use offboard_domain::catalogue::premises::{
    FOR_THE_CLOUD, FOUND_ELSEWHERE, HYBRID_JOINED, KINDS, LISTED, MASTERED, SECURITY_ID, SOUGHT,
};
use offboard_domain::catalogue::{Approval, Area, Kind};
use offboard_domain::departure::Manner;
use offboard_domain::plan::plan;
use offboard_domain::policy::Approvals;
use offboard_domain::standing::{Standing, standing};
use offboard_domain::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use offboard_domain::{
    Capabilities, Command, Facts, FaultClass, Find, ObjectId, Outcome, Policy, Said, System, Task, TaskId, TaskState,
};
use std::collections::BTreeSet;
use std::sync::Arc;

const COMPUTER: &str = "7F3A9C0D-11AA-4B6E-9D20-F1AA00000001";

fn found(w: &mut World, kind: Kind, find: Find) {
    let said = Said::Found {
        observation: seen(good(kind)),
        finds: vec![find],
    };
    let report = w.report(w.id(kind), said);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
}

#[test]
fn the_copy_of_a_computer_follows_it_where_that_is_disabled() {
    let same = COMPUTER.to_lowercase();
    for (device_id, follows) in [
        (Some(same.as_str()), true),
        (Some("7f3a9c0d-11aa-4b6e-9d20-f1aa00000002"), false),
        (None, false),
    ] {
        let mut w = World::opened(Manner::Immediate);
        w.answer(Kind::Resolve);
        let mut params = Facts::new().with("object_id", "o-1");
        if let Some(id) = device_id {
            params.set("device_id", id);
        }
        let device = Find {
            kind: Kind::DisableDeviceObject,
            object: ObjectId::from("o-1"),
            params,
        };
        found(&mut w, Kind::DiscoverDevices, device);
        let told = |w: &World| w.case().told(w.task(Kind::DisableDeviceObject)).bool(MASTERED);
        assert_eq!(told(&w), None, "nobody disables it on the premises");
        let computer = Find {
            kind: Kind::DisableComputer,
            object: ObjectId::from(COMPUTER),
            params: Facts::new(),
        };
        found(&mut w, Kind::ResolveOnPremises, computer);
        assert_eq!(told(&w), follows.then_some(true), "{device_id:?}");
    }
}

/// The same, as a directory on the premises writes it.
const SAME: &str = "7f3a9c0d-11aa-4b6e-9d20-f1aa00000001";
const OTHER: &str = "7f3a9c0d-11aa-4b6e-9d20-f1aa00000002";

fn forest(name: &str) -> System {
    System::new(name).unwrap()
}

/// A cloud, and these directories on the premises.
fn cloud_and(forests: &[&str]) -> Capabilities {
    let mut all = everything();
    let cloud = all.0.get_mut(&m365()).unwrap();
    let there: BTreeSet<Kind> = KINDS
        .iter()
        .copied()
        .filter(|k| *k != Kind::AwaitSynchronisation)
        .chain([Kind::ObserveDevice, Kind::ObserveIdentity])
        .collect();
    cloud.retain(|k| k.is_of_a_cloud() || *k == Kind::AwaitSynchronisation);
    for name in forests {
        all.0.insert(forest(name), there.clone());
    }
    all
}

fn opened(capabilities: Capabilities, policy: Policy) -> World {
    let mut w = World::new();
    w.order(Command::Open {
        departure: Arc::new(departure(Manner::Immediate)),
        policy: Arc::new(policy),
        capabilities: Arc::new(capabilities),
        traceparent: None,
    })
    .unwrap();
    w.answer(Kind::Resolve);
    w
}

fn in_forest(w: &World, kind: Kind, name: &str) -> TaskId {
    let mut tasks = w.case().tasks.values();
    let of = tasks.find(|t| t.kind() == kind && t.planned.target.system == forest(name));
    of.unwrap_or_else(|| panic!("no {kind} in {name}")).id()
}

/// The cloud's finder has seen these hybrid-joined devices, and one object to disable.
fn the_cloud_lists(w: &mut World, joined: &[&str]) {
    let object = Find {
        kind: Kind::DisableDeviceObject,
        object: ObjectId::from("o-1"),
        params: Facts::new().with("object_id", "o-1").with("device_id", COMPUTER),
    };
    let joined: Vec<String> = joined.iter().map(|id| (*id).to_owned()).collect();
    let said = Said::Found {
        observation: seen(good(Kind::DiscoverDevices).with(HYBRID_JOINED, joined)),
        finds: vec![object],
    };
    let report = w.report(w.id(Kind::DiscoverDevices), said);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
}

/// A directory has looked, and has these computers.
fn the_forest_has(w: &mut World, name: &str, computers: &[&str]) {
    let task = in_forest(w, Kind::DiscoverComputers, name);
    let sought = w.case().assignment(task).unwrap().params.list(SOUGHT).unwrap().to_vec();
    let finds = computers.iter().map(|id| Find {
        kind: Kind::DisableComputer,
        object: ObjectId::from(*id),
        params: Facts::new().with(FOR_THE_CLOUD, true),
    });
    let said = Said::Found {
        observation: seen(Facts::new().with(SOUGHT, sought)),
        finds: finds.collect(),
    };
    let report = w.report(task, said);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
}

/// Where a computer is to be disabled.
fn computers(w: &World) -> Vec<(String, String)> {
    let of = w.case().tasks.values().filter(|t| t.kind() == Kind::DisableComputer);
    let mut found: Vec<(String, String)> = of
        .map(|t| {
            let target = &t.planned.target;
            (target.system.to_string(), target.object.as_ref().unwrap().0.clone())
        })
        .collect();
    found.sort();
    found
}

fn follows(w: &World) -> Option<bool> {
    w.case().told(w.task(Kind::DisableDeviceObject)).bool(MASTERED)
}

#[test]
fn each_directory_looks_for_what_the_cloud_lists_and_who_has_it_disables_it() {
    let mut w = opened(cloud_and(&["berlin", "paris"]), Policy::default());
    for name in ["berlin", "paris"] {
        let task = &w.case().tasks[&in_forest(&w, Kind::DiscoverComputers, name)];
        assert!(task.in_flight().is_none(), "nobody knows yet what to look for");
    }
    the_cloud_lists(&mut w, &[COMPUTER, OTHER]);
    for name in ["berlin", "paris"] {
        let told = w
            .case()
            .assignment(in_forest(&w, Kind::DiscoverComputers, name))
            .unwrap();
        let both = [SAME.to_owned(), OTHER.to_owned()];
        assert_eq!(told.params.list(SOUGHT), Some(&both[..]));
    }
    assert_eq!(follows(&w), Some(true), "two have not answered yet");
    the_forest_has(&mut w, "berlin", &[]);
    assert_eq!(follows(&w), Some(true), "one has not answered yet");
    the_forest_has(&mut w, "paris", &[SAME]);
    assert_eq!(computers(&w), [("paris".to_owned(), SAME.to_owned())]);
    assert_eq!(follows(&w), Some(true), "it is disabled there");
    for task in w.case().tasks.values() {
        let stored = serde_json::to_string(&task.planned).unwrap();
        assert!(!stored.contains(SOUGHT), "{stored}");
    }
}

#[test]
fn what_no_directory_has_is_asked_about() {
    let mut w = opened(cloud_and(&["berlin"]), Policy::default());
    the_cloud_lists(&mut w, &[COMPUTER]);
    assert_eq!(follows(&w), Some(true));
    the_forest_has(&mut w, "berlin", &[]);
    assert_eq!(computers(&w), []);
    assert_eq!(follows(&w), None, "nobody disables it");
    // Nor is one waited for that the policy leaves alone, or that is not joined to both.
    let policy = Policy {
        skip: [Kind::DisableComputer].into(),
        ..Policy::default()
    };
    for (policy, joined) in [(policy, COMPUTER), (Policy::default(), OTHER)] {
        let mut w = opened(cloud_and(&["berlin"]), policy);
        the_cloud_lists(&mut w, &[joined]);
        assert_eq!(follows(&w), None, "{joined}");
    }
}

/// `managedBy` names him too: one computer is one task.
#[test]
fn a_computer_that_two_finders_find_is_disabled_once() {
    let mut w = opened(cloud_and(&["berlin"]), Policy::default());
    let managed = Find {
        kind: Kind::DisableComputer,
        object: ObjectId::from(SAME),
        params: Facts::new(),
    };
    found(&mut w, Kind::ResolveOnPremises, managed);
    the_cloud_lists(&mut w, &[COMPUTER]);
    the_forest_has(&mut w, "berlin", &[SAME]);
    assert_eq!(computers(&w), [("berlin".to_owned(), SAME.to_owned())]);
    assert_eq!(Kind::DisableComputer.spec().approval, Approval::Own);
}

/// A site that is away holds back what is done there, and nothing of the cloud's.
#[test]
fn a_site_that_is_away_holds_no_task_of_the_cloud() {
    let policy = Policy {
        approvals: Approvals {
            plan: false,
            ..Policy::default().approvals
        },
        ..Policy::default()
    };
    let mut w = opened(cloud_and(&["berlin"]), policy);
    w.gates
        .shut
        .insert("away/berlin/device".to_owned(), w.now.plus(900 * DAY_MS));
    let last_of_all = Find {
        kind: Kind::MoveToLeaversUnit,
        object: ObjectId::from("guid-1"),
        params: Facts::new(),
    };
    found(&mut w, Kind::ResolveOnPremises, last_of_all);
    w.finds = company_laptop();
    for _ in 0..300 {
        w.drain_but(Kind::DiscoverComputers);
        w.a_person_or_time(10 * 60_000);
    }
    let finder = w.task(Kind::DiscoverComputers);
    assert!(!finder.is_settled() && finder.attempt == 0, "{:?}", finder.state);
    let last = [Kind::Validate, Kind::MoveToLeaversUnit, Kind::DiscoverComputers];
    for task in w.case().tasks.values().filter(|t| !last.contains(&t.kind())) {
        assert!(
            task.is_settled(),
            "{} waits for the site: {:?}",
            task.kind(),
            task.state
        );
    }
    for kind in [Kind::Validate, Kind::MoveToLeaversUnit] {
        let stands = standing(w.case(), w.task(kind), w.now, &w.gates);
        assert!(matches!(stands, Standing::WaitsFor(_)), "{kind}: {stands:?}");
    }
    w.gates.shut.clear();
    w.run_to_sealing();
}

/// While the site is away, the cloud refuses, and is asked again by itself; a person is
/// asked when nobody looks there any more.
#[test]
fn a_copy_waits_for_a_site_that_is_away_until_that_is_gone_without() {
    let mut w = opened(cloud_and(&["berlin"]), Policy::default());
    w.gates.shut.insert("away/berlin/device".to_owned(), w.now.plus(DAY_MS));
    the_cloud_lists(&mut w, &[COMPUTER]);
    let finder = w.id(Kind::DiscoverComputers);
    let waiver = Command::Waive {
        task: finder,
        by: "boss@msp.example".into(),
        reason: "the site was given up".into(),
        until: w.now.plus(300 * DAY_MS),
    };
    assert_eq!(follows(&w), Some(true));
    w.order(waiver).unwrap();
    assert!(matches!(
        w.case().tasks[&finder].outcome(),
        Some(Outcome::Waived { .. })
    ));
    assert_eq!(follows(&w), None);
}

/// Planned a month ahead: the laptop was exchanged, and the site was away until an hour
/// before he leaves. What the domain looks for then is what the cloud lists then.
#[test]
fn what_is_looked_for_is_read_anew_with_what_the_cloud_lists() {
    let mut leaving = departure(Manner::Planned);
    leaving.effective_at = T0.plus(30 * DAY_MS);
    let mut w = World::new();
    w.order(Command::Open {
        departure: Arc::new(leaving),
        policy: Arc::new(Policy::default()),
        capabilities: Arc::new(cloud_and(&["berlin"])),
        traceparent: None,
    })
    .unwrap();
    w.answer(Kind::Resolve);
    w.gates
        .shut
        .insert("away/berlin/device".to_owned(), T0.plus(30 * DAY_MS - HOUR_MS));
    the_cloud_lists(&mut w, &[OTHER]);
    w.pass(30 * DAY_MS - HOUR_MS);
    the_forest_has(&mut w, "berlin", &[OTHER]);
    w.pass(HOUR_MS);
    let finder = w.task(Kind::DiscoverComputers);
    assert!(
        !finder.is_settled() && finder.in_flight().is_none(),
        "it waits for the cloud"
    );
    the_cloud_lists(&mut w, &[COMPUTER]);
    the_forest_has(&mut w, "berlin", &[SAME]);
    let ids: Vec<String> = computers(&w).into_iter().map(|(_, id)| id).collect();
    assert_eq!(ids, [SAME, OTHER]);
    // Whose the other one is by now, nobody knows.
    let listed = |id: &str| {
        let mut tasks = w.case().tasks.values();
        let of = |t: &&Arc<Task>| t.kind() == Kind::DisableComputer && t.planned.target.object == Some(id.into());
        w.case().told(tasks.find(of).unwrap()).bool(LISTED)
    };
    assert_eq!((listed(SAME), listed(OTHER)), (Some(true), Some(false)));
}

#[test]
fn without_a_domain_or_without_a_cloud_there_is_nothing_to_look_for() {
    let d = departure(Manner::Planned);
    let kinds = |capabilities: &Capabilities| {
        plan(
            d.case_id(),
            &d,
            &good(Kind::Resolve),
            &Policy::default(),
            capabilities,
            false,
        )
        .unwrap()
    };
    let alone = kinds(&cloud_and(&[]));
    assert!(alone.tasks.iter().all(|t| t.kind != Kind::DiscoverComputers));
    assert!(!alone.unserved.contains(&Kind::DiscoverComputers));
    let mut premises = cloud_and(&["berlin"]);
    let cloud = premises.0.get_mut(&m365()).unwrap();
    cloud.retain(|k| *k == Kind::Resolve || k.spec().area == Area::Mailbox);
    let premises = kinds(&premises);
    assert!(premises.tasks.iter().all(|t| t.kind != Kind::DiscoverComputers));
    let both = kinds(&cloud_and(&["berlin"]));
    assert!(both.tasks.iter().any(|t| t.kind == Kind::DiscoverComputers));
}

/// A finder that cannot read is a person's, and he may go without it.
#[test]
fn a_directory_that_refuses_to_be_read_is_a_person_s() {
    let mut w = opened(cloud_and(&["berlin"]), Policy::default());
    the_cloud_lists(&mut w, &[COMPUTER]);
    let report = w.report(w.id(Kind::DiscoverComputers), fault(FaultClass::Denied));
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    let state = &w.task(Kind::DiscoverComputers).state;
    assert!(matches!(state, TaskState::Failed { .. }), "{state:?}");
}

/// A copy, of an account that one of two domains has.
fn a_copy_in_one_of_two() -> World {
    let mut w = World::new();
    w.order(Command::Open {
        departure: Arc::new(departure(Manner::Immediate)),
        policy: Arc::new(Policy::default()),
        capabilities: Arc::new(cloud_and(&["berlin", "paris"])),
        traceparent: None,
    })
    .unwrap();
    let copy = good(Kind::Resolve)
        .with("synced", true)
        .with(SECURITY_ID, "S-1-5-21-1-2-3-1104");
    let said = Said::Satisfied {
        before: seen(copy.clone()),
        after: seen(copy),
    };
    let report = w.report(w.id(Kind::Resolve), said);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    w
}

/// A domain has looked for his account. Who has none says what it was told of others.
fn the_domain_says(w: &mut World, name: &str, facts: Facts) {
    let task = in_forest(w, Kind::ResolveOnPremises, name);
    let said = Said::Found {
        observation: seen(facts),
        finds: Vec::new(),
    };
    let report = w.report(task, said);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
}

fn has_it() -> Facts {
    good(Kind::ResolveOnPremises)
}

fn has_none(elsewhere: bool) -> Facts {
    let none = Facts::new().with("found", false).with("ambiguous", false);
    none.with(FOUND_ELSEWHERE, elsewhere)
}

/// What the order tells of the other domains.
fn is_told(w: &World, name: &str) -> bool {
    let task = in_forest(w, Kind::ResolveOnPremises, name);
    let params = w.case().assignment(task).unwrap().params;
    params.bool(FOUND_ELSEWHERE) == Some(true)
}

fn resolved(w: &World, name: &str) -> TaskState {
    let task = in_forest(w, Kind::ResolveOnPremises, name);
    w.case().tasks[&task].state.clone()
}

fn needs_nothing(w: &World, name: &str) -> bool {
    match resolved(w, name) {
        TaskState::Settled { outcome, .. } => matches!(outcome, Outcome::NotApplicable { .. }),
        _ => false,
    }
}

#[test]
fn a_domain_without_the_account_waits_for_the_other_s_answer_and_asks_nobody() {
    for berlin_first in [true, false] {
        let mut w = a_copy_in_one_of_two();
        assert!(!is_told(&w, "berlin") && !is_told(&w, "paris"));
        // Both were ordered before either has answered. Nobody waits for a time to pass.
        if berlin_first {
            the_domain_says(&mut w, "berlin", has_none(false));
            let berlin = resolved(&w, "berlin");
            assert!(matches!(berlin, TaskState::Resting { .. }), "{berlin:?}");
            the_domain_says(&mut w, "paris", has_it());
            assert!(is_told(&w, "berlin"), "it is asked again at once");
            the_domain_says(&mut w, "berlin", has_none(true));
        } else {
            the_domain_says(&mut w, "paris", has_it());
            the_domain_says(&mut w, "berlin", has_none(false));
        }
        assert!(needs_nothing(&w, "berlin") && !needs_nothing(&w, "paris"));
    }
}

/// A worker of another version says nothing of other domains.
#[test]
fn whether_another_domain_has_him_is_no_worker_s_to_say() {
    let mut w = a_copy_in_one_of_two();
    the_domain_says(&mut w, "paris", has_it());
    let says_nothing = Facts::new().with("found", false).with("ambiguous", false);
    the_domain_says(&mut w, "berlin", says_nothing);
    assert!(needs_nothing(&w, "berlin"));
    let mut w = a_copy_in_one_of_two();
    the_domain_says(&mut w, "berlin", has_none(true));
    assert!(!needs_nothing(&w, "berlin"), "paris has not answered");
}

/// A domain has his account.
fn the_domain_has(w: &mut World, name: &str, account: &str, kinds: &[Kind]) {
    let task = in_forest(w, Kind::ResolveOnPremises, name);
    let finds = kinds.iter().map(|kind| Find {
        kind: *kind,
        object: ObjectId::from(account),
        params: Facts::new(),
    });
    let said = Said::Found {
        observation: seen(has_it()),
        finds: finds.collect(),
    };
    let report = w.report(task, said);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
}

/// What is done with an account where it is.
const DONE_THERE: [Kind; 4] = [
    Kind::DisableOnPremises,
    Kind::ResetPasswordOnPremises,
    Kind::HideOnPremises,
    Kind::RemoveGroupsOnPremises,
];

/// Answers whatever is in flight but the search in this domain, whose site is away, until
/// this is settled in that one.
fn until_settled(w: &mut World, kind: Kind, name: &str, away: TaskId) {
    for _ in 0..300 {
        if w.case().tasks[&in_forest(w, kind, name)].is_settled() {
            return;
        }
        match w.in_flight().into_iter().find(|id| *id != away) {
            Some(id) => {
                let report = w.truthful(id);
                w.order(Command::RecordReport(Box::new(report))).unwrap();
            }
            None => w.a_person_or_time(60_000),
        }
    }
    panic!("{kind} waits in {name}");
}

/// The domain that has him disables him, and does all the rest that is done there, while
/// another one's site is away; the cloud's watch for it waits for both.
#[test]
fn a_domain_whose_site_is_away_holds_nothing_up_in_another() {
    let mut w = a_copy_in_one_of_two();
    the_domain_has(&mut w, "paris", "guid-1", &DONE_THERE);
    let away = in_forest(&w, Kind::ResolveOnPremises, "berlin");
    w.gates
        .shut
        .insert("away/berlin/identity".to_owned(), w.now.plus(900 * DAY_MS));
    assert!(matches!(resolved(&w, "berlin"), TaskState::Assigned(_)));
    for kind in DONE_THERE {
        until_settled(&mut w, kind, "paris", away);
    }
    assert!(!w.case().tasks[&away].is_settled());
    let stands = standing(w.case(), w.task(Kind::AwaitSynchronisation), w.now, &w.gates);
    let Standing::WaitsFor(kinds) = stands else {
        panic!("{stands:?}")
    };
    assert_eq!(kinds, [Kind::ResolveOnPremises]);
}

/// Converted in the cloud alone, it may become a person's again. No licence waits for who
/// sets it on the premises; nobody is asked about a mailbox that is not there.
#[test]
fn a_copy_s_mailbox_is_set_to_shared_on_the_premises_too() {
    let kind = Kind::ConfirmSharedOnPremises;
    let standing_of = |w: &World| standing(w.case(), w.task(kind), w.now, &w.gates);
    let mut w = a_copy_in_one_of_two();
    the_domain_has(&mut w, "paris", "guid-1", &DONE_THERE);
    the_domain_says(&mut w, "berlin", has_none(true));
    let early = standing_of(&w);
    assert!(
        matches!(&early, Standing::WaitsFor(kinds) if kinds.contains(&Kind::ConvertToShared)),
        "{early:?}"
    );
    w.run_until(|w| standing_of(w) == Standing::WaitsForPerson);
    assert!(w.task(Kind::ConvertToShared).is_settled());
    for release in [Kind::ReleaseGroupLicenses, Kind::ReleaseDirectLicenses] {
        assert!(release.spec().after.iter().all(|dep| dep.kind != kind), "{release}");
    }
    w.attest(kind).unwrap();
    w.run_to_sealing();

    // It was turned back there: what was said of it is to be said again.
    let mut w = a_copy_in_one_of_two();
    the_domain_has(&mut w, "paris", "guid-1", &DONE_THERE);
    the_domain_says(&mut w, "berlin", has_none(true));
    w.run_until(|w| standing_of(w) == Standing::WaitsForPerson);
    w.attest(kind).unwrap();
    let looks = |w: &World| {
        let is_it = |id: &TaskId| w.case().tasks[id].kind() == Kind::ObserveMailbox;
        w.in_flight().into_iter().find(is_it)
    };
    for _ in 0..300 {
        w.drain_but(Kind::ObserveMailbox);
        if looks(&w).is_some() {
            break;
        }
        w.a_person_or_time(60_000);
    }
    let mut report = w.truthful(looks(&w).expect("the closing round reads the mailbox"));
    let Said::Checked { results } = &mut report.said else {
        panic!("{report:?}");
    };
    let converted = w.id(Kind::ConvertToShared);
    let read = results.iter_mut().find(|r| r.task == converted).unwrap();
    read.observation.facts.set("recipient_type", "UserMailbox");
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    w.run_until(|w| standing_of(w) == Standing::WaitsForPerson);
    assert_eq!(w.task(Kind::ConvertToShared).reopened, 1);
    w.attest(kind).unwrap();
    w.run_to_sealing();

    let mut w = a_copy_in_one_of_two();
    the_domain_has(&mut w, "paris", "guid-1", &DONE_THERE);
    the_domain_says(&mut w, "berlin", has_none(true));
    for _ in 0..300 {
        w.drain_but(Kind::ConvertToShared);
        if w.task(Kind::ConvertToShared).in_flight().is_some() {
            break;
        }
        w.a_person_or_time(60_000);
    }
    let none = seen(Facts::new().with("mailbox_exists", false));
    let said = Said::Satisfied {
        before: none.clone(),
        after: none,
    };
    let report = w.report(w.id(Kind::ConvertToShared), said);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    let outcome = w.task(kind).outcome();
    assert!(
        matches!(outcome, Some(Outcome::NotApplicable { .. })),
        "nobody is asked: {outcome:?}"
    );

    // Nor about an account that is nobody's copy.
    let mut w = World::opened(Manner::Immediate);
    w.drain();
    assert!(w.case().has(Kind::ConvertToShared) && !w.case().has(kind));
}

/// He has an account in each, and the one is found when the other is done with: what
/// follows in its own domain alone has not come too soon.
#[test]
fn an_account_that_is_found_late_in_another_domain_is_disabled_there_too() {
    let mut w = a_copy_in_one_of_two();
    the_domain_has(&mut w, "paris", "guid-1", &DONE_THERE);
    let away = in_forest(&w, Kind::ResolveOnPremises, "berlin");
    until_settled(&mut w, Kind::ResetPasswordOnPremises, "paris", away);
    the_domain_has(&mut w, "berlin", "guid-2", &DONE_THERE);
    let of = |w: &World, kind: Kind| w.case().tasks[&in_forest(w, kind, "berlin")].state.clone();
    for kind in DONE_THERE {
        assert!(
            !matches!(of(&w, kind), TaskState::Failed { .. }),
            "{kind}: {:?}",
            of(&w, kind)
        );
    }
    let disabling = of(&w, Kind::DisableOnPremises);
    assert!(matches!(disabling, TaskState::Assigned(_)), "{disabling:?}");
    // Its password waits for that, whatever the other domain has done.
    let password = of(&w, Kind::ResetPasswordOnPremises);
    assert!(matches!(password, TaskState::Pending), "{password:?}");
    w.run_to_sealing();
}

/// A computer is disabled when its own domain has looked for it.
#[test]
fn a_computer_does_not_wait_for_another_domain() {
    let mut w = a_copy_in_one_of_two();
    the_domain_has(&mut w, "paris", "guid-1", &[]);
    the_cloud_lists(&mut w, &[COMPUTER]);
    the_forest_has(&mut w, "paris", &[SAME]);
    let computer = w.task(Kind::DisableComputer);
    let stands = standing(w.case(), computer, w.now, &w.gates);
    for finder in [Kind::ResolveOnPremises, Kind::DiscoverComputers] {
        assert!(w.case().open_of(finder) > 0, "berlin has not answered");
        assert!(
            !matches!(&stands, Standing::WaitsFor(kinds) if kinds.contains(&finder)),
            "{stands:?}"
        );
    }
}

#[test]
fn an_account_that_no_domain_has_is_asked_about_until_one_has_it() {
    let mut w = a_copy_in_one_of_two();
    the_domain_says(&mut w, "berlin", has_none(false));
    the_domain_says(&mut w, "paris", has_none(false));
    let paris = resolved(&w, "paris");
    assert!(
        matches!(paris, TaskState::Failed { .. }),
        "both have answered: {paris:?}"
    );
    w.pass(HOUR_MS);
    the_domain_says(&mut w, "berlin", has_none(false));
    let berlin = resolved(&w, "berlin");
    assert!(matches!(berlin, TaskState::Failed { .. }), "{berlin:?}");
    // Somebody has mended what hid it.
    let retry = Command::Retry {
        task: Some(in_forest(&w, Kind::ResolveOnPremises, "paris")),
        by: "boss@msp.example".into(),
    };
    w.order(retry).unwrap();
    the_domain_says(&mut w, "paris", has_it());
    assert!(is_told(&w, "berlin"), "it is asked once more by itself");
    the_domain_says(&mut w, "berlin", has_none(true));
    assert!(needs_nothing(&w, "berlin"));
}

/// A person goes without the conversion while the archive is still being made: the groups
/// on the premises, one of which may give the licence, wait for the archive all the same.
#[test]
fn no_group_is_left_on_the_premises_while_the_mailbox_is_still_being_archived() {
    let mut asked = departure(Manner::Immediate);
    asked.choices.archive_mailbox = Some(true);
    let mut w = World::with(asked, Policy::default());
    w.answer(Kind::Resolve);
    let groups = Find {
        kind: Kind::RemoveGroupsOnPremises,
        object: ObjectId::from("guid-1"),
        params: Facts::new(),
    };
    found(&mut w, Kind::ResolveOnPremises, groups);
    w.drain_but(Kind::ArchiveMailbox);
    w.approve();
    w.drain_but(Kind::ArchiveMailbox);
    w.order(Command::Waive {
        task: w.id(Kind::ConvertToShared),
        by: "boss@msp.example".into(),
        reason: "nobody needs it shared".into(),
        until: w.now.plus(30 * DAY_MS),
    })
    .unwrap();
    // While it rests, what else is written to the mailbox goes on.
    let broken = w.report(w.id(Kind::ArchiveMailbox), fault(FaultClass::Transient));
    w.order(Command::RecordReport(Box::new(broken))).unwrap();
    w.drain_but(Kind::ArchiveMailbox);
    let stands = standing(w.case(), w.task(Kind::RemoveGroupsOnPremises), w.now, &w.gates);
    assert_eq!(stands, Standing::WaitsFor(vec![Kind::ArchiveMailbox]));
    w.run_until(|w| w.task(Kind::RemoveGroupsOnPremises).is_settled());
    assert!(w.task(Kind::ArchiveMailbox).is_settled());
}

/// What the watch in the cloud is told when a domain has done these, each of which changed
/// something there.
fn watch_after(changes: &[Kind]) -> Facts {
    let mut w = a_copy_in_one_of_two();
    the_domain_has(&mut w, "berlin", "guid-1", changes);
    the_domain_says(&mut w, "paris", has_none(false));
    for _ in 0..1_000 {
        if w.task(Kind::AwaitSynchronisation).in_flight().is_some() {
            let watch = w.id(Kind::AwaitSynchronisation);
            return w.case().assignment(watch).unwrap().params;
        }
        let Some(id) = w.in_flight().first().copied() else {
            w.a_person_or_time(10 * MINUTE_MS);
            continue;
        };
        let kind = w.case().tasks[&id].kind();
        let report = if changes.contains(&kind) {
            let said = Said::Satisfied {
                before: seen(good(kind).with("was_otherwise", true)),
                after: seen(good(kind)),
            };
            w.report(id, said)
        } else {
            w.truthful(id)
        };
        w.order(Command::RecordReport(Box::new(report))).unwrap();
    }
    panic!("the copy is not watched");
}

/// A synchronisation that brings who left a group does not stamp the account.
#[test]
fn the_copy_of_the_account_need_not_be_newer_than_what_was_changed_of_groups() {
    let groups = watch_after(&[Kind::RemoveGroupsOnPremises]);
    assert!(groups.int(CHANGED_ON_PREMISES_MS).is_some_and(|at| at > 0));
    assert_eq!(groups.int(ACCOUNT_CHANGED_ON_PREMISES_MS), Some(0));
    let account = watch_after(&[Kind::DisableOnPremises]);
    let changed = account.int(CHANGED_ON_PREMISES_MS);
    assert!(changed.is_some_and(|at| at > 0));
    assert_eq!(account.int(ACCOUNT_CHANGED_ON_PREMISES_MS), changed);
    let neither = watch_after(&[]);
    assert!(neither.get(CHANGED_ON_PREMISES_MS).is_none());
    assert!(neither.get(ACCOUNT_CHANGED_ON_PREMISES_MS).is_none());
}
