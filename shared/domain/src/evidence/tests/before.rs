//! What there was before Offboard changed it, when one try did not see the end.

use super::world::{World, departure};
use super::*;
use crate::assignment::{Find, Report, Said, baseline_facts};
use crate::catalogue::Kind;
use crate::command::Command;
use crate::departure::{Choices, Departure, Manner};
use crate::id::TaskId;
use crate::observation::{Facts, Observation};
use crate::policy::Policy;
use crate::task::Task;
use crate::time::{HOUR_MS, MINUTE_MS};

fn opened(kinds: &[Kind]) -> World {
    let mut policy = Policy::default();
    policy.approvals.plan = false;
    policy.skip = [Kind::ConfirmHandover, Kind::Validate].into();
    let request = Departure {
        choices: Choices {
            wipe_company_devices: Some(true),
            ..Choices::default()
        },
        effective_at: world::T0,
        ..departure(Manner::Immediate)
    };
    let mut world = World::open(request, kinds, policy);
    world.extra.insert(Kind::Resolve, Facts::new().with("object_id", "u-1"));
    world
}

/// Everything else goes well until a task of this kind is with a worker.
fn given(world: &mut World, kind: Kind) -> Task {
    for _ in 0..500 {
        let tasks = world.case().tasks.values();
        let flying: Vec<(Kind, TaskId)> = tasks
            .filter(|t| t.in_flight().is_some())
            .map(|t| (t.kind(), t.id()))
            .collect();
        if let Some((_, id)) = flying.iter().find(|(k, _)| *k == kind) {
            return Task::clone(&world.case().tasks[id]);
        }
        match flying.first() {
            Some((_, id)) => world.answer(*id),
            None if world.person() => {}
            None => {
                world.now = world.now.plus(MINUTE_MS);
                world.order(Command::Tick);
            }
        }
    }
    panic!("{kind} is never given to a worker");
}

fn read(world: &World, facts: Facts) -> Observation {
    Observation {
        read_at: world.now,
        sources: vec!["graph".into()],
        facts,
    }
}

/// It was ordered, and is looked at in an hour.
fn awaited(world: &mut World, task: &Task, checkpoint: Facts, seen: Observation) {
    let said = Said::Wait {
        until: world.now.plus(HOUR_MS),
        why: "ordered, and not seen done yet".into(),
        checkpoint: Some(checkpoint),
    };
    let report = Report {
        seen: Some(seen),
        ..world.report(task, said)
    };
    world.order(Command::RecordReport(Box::new(report)));
}

fn account(world: &World, kind: Kind) -> TaskAccount {
    let said = statement(&world.history).unwrap();
    assert_eq!(verify(&seal(&said, &key()), &key().verifying_key()), Ok(said.clone()));
    let mut tasks = said.predicate.tasks.into_iter();
    tasks.find(|t| t.kind == kind.name()).unwrap()
}

/// A mailbox is converted in one try, seen converted by another, and proven by a third.
fn converted() -> (World, Observation) {
    let mut world = opened(&[
        Kind::Resolve,
        Kind::SnapshotAccess,
        Kind::SnapshotMailbox,
        Kind::DisableSignIn,
        Kind::ConvertToShared,
        Kind::ObserveIdentity,
        Kind::ObserveMailbox,
    ]);
    let first = given(&mut world, Kind::ConvertToShared);
    let facts = Facts::new().with("recipient_type", "UserMailbox");
    let was = read(&world, facts.with("user_purpose", "user"));
    awaited(&mut world, &first, baseline_facts(&was), was.clone());
    let second = given(&mut world, Kind::ConvertToShared);
    let shared = Facts::new()
        .with("recipient_type", "SharedMailbox")
        .with("user_purpose", "shared");
    let agreed = read(&world, shared.clone().with("agreed_for_ms", 0));
    awaited(&mut world, &second, Facts::new(), agreed);
    let third = given(&mut world, Kind::ConvertToShared);
    assert_eq!(third.attempt, 3);
    let is = read(&world, shared.with("agreed_for_ms", HOUR_MS));
    let said = Said::Satisfied {
        before: is.clone(),
        after: is,
    };
    let report = world.report(&third, said);
    world.order(Command::RecordReport(Box::new(report)));
    (world, was)
}

#[test]
fn a_mailbox_that_is_seen_converted_by_another_try_was_not_so_already() {
    let (mut world, was) = converted();
    world.run();
    let task = account(&world, Kind::ConvertToShared);
    let before = task.before.unwrap();
    assert_eq!((before.read_at, before.facts), (When::from(was.read_at), was.facts));
    let after = task.after.unwrap();
    assert_eq!(after.facts.text("recipient_type"), Some("SharedMailbox"));
}

/// What was there before it was done for the first time is in that step's readings.
#[test]
fn what_is_done_once_more_says_what_there_was_since() {
    let (mut world, was) = converted();
    world.undone = vec![Kind::ConvertToShared];
    world.run();
    let task = account(&world, Kind::ConvertToShared);
    assert_eq!(task.before.unwrap().facts.text("recipient_type"), Some("other"));
    let ended = task.steps.iter().find(|s| s.event == "task_settled").unwrap();
    assert_eq!(ended.readings.first().map(|r| &r.facts), Some(&was.facts));
}

/// After the order there is nothing but reading, and what the ordering try read last shows
/// the order.
#[test]
fn a_wipe_that_is_awaited_was_not_so_already() {
    let mut world = opened(&[
        Kind::Resolve,
        Kind::SnapshotAccess,
        Kind::DiscoverDevices,
        Kind::WipeDevice,
        Kind::DisableSignIn,
        Kind::ObserveIdentity,
        Kind::ObserveDevice,
    ]);
    world.finds = vec![Find {
        kind: Kind::WipeDevice,
        object: "laptop-1".into(),
        params: Facts::new().with("owner", "company"),
    }];
    let facts = |state: &str, wiped: bool| {
        let facts = Facts::new().with("owner_type", "company");
        facts.with("action_state", state).with("wiped", wiped)
    };
    let first = given(&mut world, Kind::WipeDevice);
    let was = read(&world, facts("none", false));
    let pending = read(&world, facts("pending", false));
    let mut left = baseline_facts(&was);
    left.set("ordered_ms", world.now.0);
    awaited(&mut world, &first, left, pending);
    let second = given(&mut world, Kind::WipeDevice);
    assert_eq!(
        second.checkpoint,
        Some(Facts::new().with("ordered_ms", was.read_at.0)),
        "what there was stays here"
    );
    let observation = read(&world, facts("done", true));
    let report = world.report(&second, Said::Observed { observation });
    world.order(Command::RecordReport(Box::new(report)));
    world.run();
    let task = account(&world, Kind::WipeDevice);
    assert_eq!(task.attempts, 2);
    assert_eq!(task.before.unwrap().facts, was.facts);
    assert_eq!(task.after.unwrap().facts.bool("wiped"), Some(true));
}
