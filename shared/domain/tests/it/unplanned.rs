//! Applications that he had a way into and that nobody planned for: each is a person's to
//! end, nothing that cuts access waits for it, and nothing is validated before.

use crate::model::*;
use offboard_domain::catalogue::Kind;
use offboard_domain::departure::Manner;
use offboard_domain::standing::{Standing, standing};
use offboard_domain::time::{DAY_MS, MINUTE_MS};
use offboard_domain::unplanned::{self, App, Question, Sorted, Way};
use offboard_domain::{
    Command, Facts, FaultClass, Find, ObjectId, Outcome, Policy, Refusal, Report, Said, TaskId, TaskState, follow_up,
};
use std::collections::BTreeSet;

const BOSS: &str = "boss@acme.example";

fn app(id: &str, name: Option<&str>, ways: &[Way]) -> App {
    App {
        id: id.into(),
        app_id: Some(format!("id-of-{id}")),
        name: name.map(str::to_owned),
        publisher: None,
        of_the_platform: false,
        ways: ways.iter().copied().collect(),
    }
}

fn list(of: &[&str]) -> Vec<String> {
    of.iter().map(ToString::to_string).collect()
}

fn asked(sorted: &Sorted) -> Vec<&str> {
    sorted.questions.iter().map(|q| q.object.0.as_str()).collect()
}

fn sort(apps: &[App], told: &Facts) -> Sorted {
    unplanned::sort(&m365(), apps, told)
}

#[test]
fn what_a_system_covers_what_is_known_and_what_is_the_vendors_own_is_recorded_and_not_asked_about() {
    let apps = [
        app("covered-by-name", Some("Expense Tool"), &[Way::Assigned]),
        app("covered-by-id", Some("Whatever"), &[Way::ByGroup]),
        app("known", Some("Door Log"), &[Way::Consented]),
        App {
            of_the_platform: true,
            ..app("vendors", Some("Mail"), &[Way::Consented])
        },
        app("unplanned", Some("Miro"), &[Way::Consented, Way::ByGroup]),
    ];
    let told = Facts::new()
        .with(unplanned::COVERED, list(&["expense tool", "id-of-covered-by-id"]))
        .with(unplanned::KNOWN, list(&["door log"]));
    let sorted = sort(&apps, &told);
    assert_eq!(asked(&sorted), ["m365/unplanned"]);
    let ids = |name: &str| sorted.facts.list(name).unwrap().to_vec();
    assert_eq!(ids("covered_app_ids"), ["covered-by-name", "covered-by-id"]);
    assert_eq!(ids("known_app_ids"), ["known"]);
    assert_eq!(ids("platform_app_ids"), ["vendors"]);
    assert_eq!(ids("unplanned_app_ids"), ["unplanned"]);
    assert_eq!(ids(unplanned::APP_IDS).len(), apps.len());
    let params = &sorted.questions[0].params;
    assert_eq!(params.text(unplanned::NAME), Some("Miro"));
    assert_eq!(
        params.list(unplanned::WAYS),
        Some(&list(&["consented", "by_group"])[..])
    );
}

#[test]
fn one_that_the_directory_knows_no_more_is_asked_about_by_its_id() {
    let gone = App {
        app_id: None,
        ..app("gone", None, &[Way::Assigned])
    };
    assert_eq!(asked(&sort(&[gone], &Facts::new())), ["m365/gone"]);
}

#[test]
fn more_than_somebody_would_read_one_by_one_are_listed_in_one_task() {
    let all = |n: usize| -> Vec<App> {
        let one = |i: usize| app(&format!("a-{i:03}"), Some(&format!("Tool {i:03}")), &[Way::Assigned]);
        (0..n).map(one).collect()
    };
    let most = unplanned::MOST_TASKS;
    assert_eq!(sort(&all(most), &Facts::new()).questions.len(), most);
    let sorted = sort(&all(most + 5), &Facts::new());
    assert_eq!(sorted.questions.len(), most + 1);
    let rest = |sorted: &Sorted| -> Question { sorted.questions.last().unwrap().clone() };
    let listed = rest(&sorted).params.list(unplanned::APPS).unwrap().to_vec();
    assert_eq!(listed.len(), 5);
    assert!(listed[0].starts_with("Tool 030 ("), "{listed:?}");
    // Others that come later are another task: the first one stays as it is.
    let later = sort(&all(most + 6), &Facts::new());
    assert_ne!(rest(&later).object, rest(&sorted).object);
    assert_eq!(rest(&sort(&all(most + 5), &Facts::new())), rest(&sorted));
}

#[test]
fn a_name_that_somebody_made_long_is_cut() {
    let long = "x".repeat(5_000);
    let sorted = sort(&[app("long", Some(&long), &[Way::Assigned])], &Facts::new());
    let name = sorted.questions[0].params.text(unplanned::NAME).unwrap();
    assert_eq!(name.chars().count(), unplanned::LONGEST_NAME_CHARS);
}

/// What the snapshot writes down.
fn snapshot(apps: &[&str]) -> Facts {
    let mut facts = good(Kind::SnapshotDirectory);
    facts.set(Way::Consented.fact(), list(apps));
    facts.set(Way::Assigned.fact(), list(&[]));
    facts.set(Way::ByGroup.fact(), list(&[]));
    facts
}

fn reads(w: &mut World, apps: &[&str]) {
    let after = seen(snapshot(apps));
    let said = Said::Satisfied {
        before: after.clone(),
        after,
    };
    let report = w.report(w.id(Kind::SnapshotDirectory), said);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
}

/// The look-up's answer to what it was told, as a worker makes it.
fn looked_up(w: &World) -> Report {
    let id = w.id(Kind::DiscoverApps);
    let told = w.case().assignment(id).unwrap().params;
    let apps: Vec<App> = unplanned::had(&told)
        .unwrap()
        .into_iter()
        .map(|(id, ways)| App {
            ways,
            ..app(&id.0, Some(&format!("Tool of {id}")), &[])
        })
        .collect();
    let sorted = sort(&apps, &told);
    let finds = sorted.questions.into_iter().map(|q| Find {
        kind: Kind::DecideApp,
        object: q.object,
        params: q.params,
    });
    let said = Said::Found {
        observation: seen(sorted.facts),
        finds: finds.collect(),
    };
    w.report(id, said)
}

fn look_up(w: &mut World) {
    let report = looked_up(w);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
}

fn to_decide(w: &World) -> Vec<(String, TaskId)> {
    let tasks = w.case().tasks.values().filter(|t| t.kind() == Kind::DecideApp);
    let mut all: Vec<_> = tasks
        .map(|t| (t.planned.target.object.as_ref().unwrap().0.clone(), t.id()))
        .collect();
    all.sort();
    all
}

fn stands(w: &World, id: TaskId) -> Standing {
    standing(w.case(), &w.case().tasks[&id], w.now, &w.gates)
}

/// Recorded with these applications, and looked up.
fn world(manner: Manner, policy: Policy, apps: &[&str]) -> World {
    let mut w = World::with(departure(manner), policy);
    w.drain_but(Kind::SnapshotDirectory);
    reads(&mut w, apps);
    w.drain_but(Kind::DiscoverApps);
    look_up(&mut w);
    w
}

fn ended(id: TaskId, by: &str) -> Command {
    Command::Attest {
        task: id,
        by: by.into(),
        file: None,
        ending: None,
        note: "deleted".into(),
    }
}

#[test]
fn whoever_looks_up_is_told_the_record_and_what_the_tenant_knows() {
    let policy = Policy {
        covered_apps: ["expense tool".to_owned()].into(),
        known_apps: BTreeSet::from(["door log".to_owned()]),
        ..Policy::default()
    };
    let mut w = World::with(departure(Manner::Planned), policy);
    w.drain_but(Kind::SnapshotDirectory);
    assert_eq!(w.task(Kind::DiscoverApps).attempt, 0);
    reads(&mut w, &["a-1"]);
    let told = w.case().assignment(w.id(Kind::DiscoverApps)).unwrap().params;
    assert_eq!(told.list(Way::Consented.fact()), Some(&list(&["a-1"])[..]));
    assert_eq!(told.list(unplanned::COVERED), Some(&list(&["expense tool"])[..]));
    assert_eq!(told.list(unplanned::KNOWN), Some(&list(&["door log"])[..]));
    // It is told, and stored nowhere.
    assert!(w.task(Kind::DiscoverApps).planned.params.0.is_empty());
}

/// A person is asked where nobody wrote down what there was: an older worker did not.
#[test]
fn a_record_without_applications_is_not_taken_for_one_of_none() {
    let told = Facts::new().with(unplanned::COVERED, list(&[]));
    assert_eq!(unplanned::had(&told), None);
    let facts = Facts::new().with(unplanned::APPS_KNOWN, false);
    let verdict = offboard_domain::judge(Kind::DiscoverApps, &told, &facts, None);
    assert!(matches!(verdict, offboard_domain::Verdict::Blocked(_)), "{verdict:?}");
}

#[test]
fn each_is_a_persons_once_he_can_sign_in_no_more_and_the_validation_waits_for_it() {
    let mut w = world(Manner::Planned, Policy::default(), &["a-1", "a-2"]);
    let tasks = to_decide(&w);
    let named: Vec<&str> = tasks.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(named, ["m365/a-1", "m365/a-2"]);
    w.drain();
    assert!(matches!(
        w.order(ended(tasks[0].1, BOSS)),
        Err(Refusal::TooEarly { .. })
    ));
    w.approve();
    w.drain();
    let words = unplanned::words(&w.case().tasks[&tasks[0].1]).unwrap();
    assert!(
        words.contains("Tool of a-1") && words.contains("he consented to it"),
        "{words}"
    );
    assert!(w.order(ended(tasks[0].1, "leaver@acme.example")).is_err());
    w.order(ended(tasks[0].1, BOSS)).unwrap();
    for _ in 0..60 {
        w.drain();
        w.pass(10 * MINUTE_MS);
    }
    let early = w.attest(Kind::Validate);
    assert!(
        matches!(&early, Err(Refusal::TooEarly { missing, .. }) if missing.contains("decide_app")),
        "{early:?}"
    );
    w.order(ended(tasks[1].1, BOSS)).unwrap();
    w.run_to_sealing();
    let outcome = w.case().tasks[&tasks[0].1].outcome();
    assert!(
        matches!(outcome, Some(Outcome::Attested { note, .. }) if note == "deleted"),
        "{outcome:?}"
    );
}

/// The record has what there was, so access goes while the look-up keeps failing, and
/// what it finds in the end is asked all the same, without a second approval.
#[test]
fn access_goes_while_the_look_up_keeps_failing_and_nothing_is_lost() {
    let mut w = World::with(departure(Manner::Planned), Policy::default());
    w.drain_but(Kind::SnapshotDirectory);
    reads(&mut w, &["a-1"]);
    w.drain_but(Kind::DiscoverApps);
    assert!(
        matches!(stands(&w, w.id(Kind::ApprovePlan)), Standing::WaitsFor(kinds) if kinds == [Kind::DiscoverApps]),
        "one look is waited for"
    );
    let report = w.report(w.id(Kind::DiscoverApps), fault(FaultClass::Transient));
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    w.approve();
    w.drain_but(Kind::DiscoverApps);
    for kind in [
        Kind::DisableSignIn,
        Kind::RevokeSessions,
        Kind::RemoveOauthGrants,
        Kind::RemoveGroupMemberships,
    ] {
        assert!(w.task(kind).is_settled(), "{kind}");
    }
    // What may delete accounts with all that is in them waits, and lets nobody in.
    let roles = stands(&w, w.id(Kind::RemoveAppRoles));
    assert!(
        matches!(&roles, Standing::WaitsFor(kinds) if kinds.contains(&Kind::DiscoverApps)),
        "{roles:?}"
    );
    w.pass(DAY_MS);
    w.drain_but(Kind::DiscoverApps);
    assert!(w.task(Kind::DiscoverApps).in_flight().is_some());
    look_up(&mut w);
    let (_, id) = to_decide(&w)[0].clone();
    assert_eq!(stands(&w, id), Standing::WaitsForPerson);
    assert!(w.task(Kind::ApprovePlan).is_settled(), "nobody approves that again");
    let waits = |w: &World, kind: Kind| {
        let roles = stands(w, w.id(Kind::RemoveAppRoles));
        matches!(roles, Standing::WaitsFor(kinds) if kinds.contains(&kind))
    };
    assert!(waits(&w, Kind::DecideApp) && waits(&w, Kind::ConfirmHandover));
    w.order(ended(id, BOSS)).unwrap();
    assert!(!waits(&w, Kind::DecideApp) && waits(&w, Kind::ConfirmHandover));
    w.run_until(|w| w.task(Kind::ConfirmHandover).is_settled());
    w.drain();
    assert!(w.task(Kind::RemoveAppRoles).is_settled());
    w.run_to_sealing();
}

#[test]
fn what_he_came_to_until_the_departures_time_is_looked_up_then() {
    let mut later = departure(Manner::Planned);
    later.effective_at = T0.plus(10 * DAY_MS);
    let mut w = World::with(later, Policy::default());
    w.drain_but(Kind::SnapshotDirectory);
    reads(&mut w, &["a-1"]);
    w.drain_but(Kind::DiscoverApps);
    look_up(&mut w);
    w.drain();
    w.approve();
    w.pass(10 * DAY_MS);
    assert!(w.task(Kind::SnapshotDirectory).in_flight().is_some());
    assert!(w.task(Kind::DiscoverApps).is_settled());
    reads(&mut w, &["a-1", "a-2"]);
    w.drain_but(Kind::DiscoverApps);
    look_up(&mut w);
    let named: Vec<String> = to_decide(&w).into_iter().map(|(name, _)| name).collect();
    assert_eq!(named, ["m365/a-1", "m365/a-2"]);
    w.run_to_sealing();
}

#[test]
fn a_tenant_can_do_without() {
    let policy = Policy {
        skip: [Kind::DiscoverApps].into(),
        ..Policy::default()
    };
    let mut w = World::with(departure(Manner::Immediate), policy);
    w.run_to_sealing();
    assert!(!w.case().has(Kind::DiscoverApps) && !w.case().has(Kind::DecideApp));
}

/// By then nothing of it can be read in the directory any more.
#[test]
fn what_somebody_let_be_is_asked_again_when_the_waiver_ends_after_closing() {
    let mut w = world(Manner::Immediate, Policy::default(), &["a-1", "a-2"]);
    let tasks = to_decide(&w);
    w.order(Command::Waive {
        task: tasks[0].1,
        by: BOSS.into(),
        reason: "the team moves off it".into(),
        until: w.now.plus(90 * DAY_MS),
    })
    .unwrap();
    w.run_to_sealing();
    let again = follow_up(w.case(), tasks[0].1, w.now).unwrap();
    let left: Vec<&ObjectId> = again.choices.apps.iter().map(|app| &app.object).collect();
    assert_eq!(left, [&ObjectId::from("m365/a-1")]);
    assert!(
        follow_up(w.case(), w.id(Kind::DisableSignIn), w.now)
            .unwrap()
            .choices
            .apps
            .is_empty()
    );
    let mut w = World::with(again, Policy::default());
    w.drain();
    let tasks = to_decide(&w);
    assert_eq!(tasks.len(), 1);
    let (name, id) = tasks[0].clone();
    assert_eq!(name, "m365/a-1");
    assert!(!matches!(w.case().tasks[&id].state, TaskState::Settled { .. }));
    assert!(unplanned::words(&w.case().tasks[&id]).unwrap().contains("Tool of a-1"));
}

/// The tail that was lost had taken them from him: read once more, none is listed.
#[test]
fn what_was_recorded_before_a_loss_is_looked_up_after_it() {
    let mut w = World::with(departure(Manner::Immediate), Policy::default());
    w.drain_but(Kind::SnapshotDirectory);
    reads(&mut w, &["a-1"]);
    w.drain_but(Kind::DiscoverApps);
    let known = w.case().version + 5;
    w.order(Command::RecordLoss { known, parted: false }).unwrap();
    w.drain_but(Kind::SnapshotDirectory);
    reads(&mut w, &["a-2"]);
    w.drain_but(Kind::DiscoverApps);
    look_up(&mut w);
    let named: Vec<String> = to_decide(&w).into_iter().map(|(name, _)| name).collect();
    assert_eq!(named, ["m365/a-1", "m365/a-2"]);
    // One that does not say what there is proves nothing of what there was.
    w.order(Command::RecordLoss {
        known: w.case().version + 5,
        parted: false,
    })
    .unwrap();
    w.drain_but(Kind::SnapshotDirectory);
    w.answer(Kind::SnapshotDirectory);
    let kept = &w.task(Kind::SnapshotDirectory).after.as_ref().unwrap().facts;
    assert_eq!(unplanned::had(kept), None);
}

/// Whoever went without the look-up is asked about all that the record has.
#[test]
fn a_look_up_that_somebody_went_without_is_asked_about_as_a_whole() {
    let mut w = World::with(departure(Manner::Immediate), Policy::default());
    w.drain_but(Kind::SnapshotDirectory);
    reads(&mut w, &["a-1", "a-2"]);
    w.drain_but(Kind::DiscoverApps);
    let id = w.id(Kind::DiscoverApps);
    let refused = w.report(id, fault(FaultClass::Denied));
    w.order(Command::RecordReport(Box::new(refused))).unwrap();
    w.order(Command::Waive {
        task: id,
        by: BOSS.into(),
        reason: "the right is not granted yet".into(),
        until: w.now.plus(90 * DAY_MS),
    })
    .unwrap();
    let again = follow_up(w.case(), id, w.now).unwrap();
    let [one] = again.choices.apps.as_slice() else {
        panic!("{:?}", again.choices.apps)
    };
    assert!(one.object.0.starts_with("m365/others-"), "{}", one.object);
    assert_eq!(one.params.list(unplanned::APPS), Some(&list(&["a-1", "a-2"])[..]));
}
