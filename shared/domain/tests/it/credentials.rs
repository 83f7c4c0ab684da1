//! What several people sign in with: each is changed by a person, once the
//! leaver can no longer read the new one, and nothing is validated before.

use crate::model::*;
use offboard_domain::catalogue::Kind;
use offboard_domain::departure::{Choices, Manner, shared_credentials};
use offboard_domain::time::{DAY_MS, MINUTE_MS};
use offboard_domain::{Command, Facts, Find, ObjectId, Outcome, Policy, Refusal, Said, TaskId, TaskState, follow_up};

const BOSS: &str = "boss@acme.example";

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn world(of_everybody: &[&str], his: &[&str]) -> World {
    let mut departure = departure(Manner::Planned);
    departure.choices.shared_credentials = names(his);
    let policy = Policy {
        shared_credentials: names(of_everybody),
        skip: [Kind::ConfirmHandover].into(),
        ..Policy::default()
    };
    World::with(departure, policy)
}

fn to_change(w: &World) -> Vec<(String, TaskId)> {
    let tasks = w
        .case()
        .tasks
        .values()
        .filter(|t| t.kind() == Kind::RotateSharedCredential);
    let mut named: Vec<_> = tasks
        .map(|t| (t.planned.target.object.as_ref().unwrap().0.clone(), t.id()))
        .collect();
    named.sort();
    named
}

fn changed(id: TaskId, by: &str) -> Command {
    Command::Attest {
        task: id,
        by: by.into(),
        file: None,
        ending: None,
        note: "changed in the vault".into(),
    }
}

#[test]
fn each_is_named_once_whoever_names_it() {
    let chosen = Choices {
        shared_credentials: names(&["guest wi-fi ", "", "Bank token"]),
        ..Choices::default()
    };
    let everybody = names(&["Guest Wi-Fi", "Door code"]);
    let all: Vec<&str> = shared_credentials(&everybody, &chosen).collect();
    assert_eq!(all, ["Guest Wi-Fi", "Door code", "Bank token"]);
}

#[test]
fn each_is_a_task_for_a_person_and_none_is_there_without() {
    let mut w = world(&["Door code"], &["Bank token", "door code"]);
    w.drain();
    let named: Vec<String> = to_change(&w).into_iter().map(|(name, _)| name).collect();
    assert_eq!(named, ["Bank token", "Door code"]);
    let mut without = world(&[], &[]);
    without.drain();
    assert_eq!(to_change(&without), []);
}

#[test]
fn letting_one_off_early_makes_no_cut_late() {
    let mut w = world(&["Door code"], &[]);
    w.drain_but(Kind::ResolveOnPremises);
    let (_, id) = to_change(&w)[0].clone();
    w.order(Command::Waive {
        task: id,
        by: BOSS.into(),
        reason: "the door is being replaced".into(),
        until: w.now.plus(30 * DAY_MS),
    })
    .unwrap();
    let found = w.id(Kind::ResolveOnPremises);
    let mut report = w.truthful(found);
    let Said::Found { finds, .. } = &mut report.said else {
        panic!("{report:?}");
    };
    finds.push(Find {
        kind: Kind::DisableOnPremises,
        object: ObjectId::from("guid-1"),
        params: Facts::new(),
    });
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    let cut = w.task(Kind::DisableOnPremises);
    assert!(!matches!(cut.state, TaskState::Failed { .. }), "{:?}", cut.state);
}

#[test]
fn what_follows_a_closed_case_changes_again_only_what_that_was_let_off() {
    let mut w = world(&["Door code"], &["Bank token"]);
    w.run_to_sealing();
    let at = w.now;
    let follows = |id: TaskId| follow_up(w.case(), id, at).unwrap().choices.shared_credentials;
    assert!(follows(w.id(Kind::DisableSignIn)).is_empty());
    let (name, id) = to_change(&w)[0].clone();
    assert_eq!(follows(id), [name]);
}

#[test]
fn it_waits_until_he_can_no_longer_read_the_new_one_and_the_validation_waits_for_it() {
    let mut w = world(&["Door code"], &["Bank token"]);
    w.drain();
    let tasks = to_change(&w);
    for (_, id) in &tasks {
        // He could still sign in.
        assert!(matches!(w.order(changed(*id, BOSS)), Err(Refusal::TooEarly { .. })));
    }
    w.approve();
    w.drain();
    let before = w.order(changed(tasks[0].1, "leaver@acme.example"));
    assert!(before.is_err(), "who leaves says it of himself");
    w.order(changed(tasks[0].1, BOSS)).unwrap();
    // All that machines do is done meanwhile.
    for _ in 0..60 {
        w.drain();
        w.pass(10 * MINUTE_MS);
    }
    let early = w.attest(Kind::Validate);
    assert!(
        matches!(&early, Err(Refusal::TooEarly { missing, .. }) if missing.contains("rotate_shared_credential")),
        "{early:?}"
    );
    w.order(changed(tasks[1].1, BOSS)).unwrap();
    w.run_to_sealing();
    for (name, id) in &tasks {
        let outcome = w.case().tasks[id].outcome();
        assert!(
            matches!(outcome, Some(Outcome::Attested { note, .. }) if !note.is_empty()),
            "{name}: {outcome:?}"
        );
    }
}
