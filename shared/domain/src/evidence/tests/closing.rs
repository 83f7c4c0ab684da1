//! What happens while everything is read once more.

use super::world::{Mishap, World, departure};
use super::*;
use crate::assignment::{Report, Said};
use crate::case::CaseState;
use crate::catalogue::Kind;
use crate::command::Command;
use crate::departure::{Choices, Departure, Manner};
use crate::fault::FaultClass;
use crate::observation::Facts;
use crate::policy::Policy;
use crate::time::HOUR_MS;

/// A waiver that ends while the last round is being read: what it excused is
/// done, and everything is read again after that write.
#[test]
fn a_waiver_that_ends_in_a_closing_round_leads_to_another_round() {
    let kinds = [
        Kind::Resolve,
        Kind::SnapshotAccess,
        Kind::SnapshotDirectory,
        Kind::DisableSignIn,
        Kind::RemoveOauthGrants,
        Kind::ObserveIdentity,
    ];
    let mut policy = Policy::default();
    policy.approvals.plan = false;
    policy.skip = [Kind::ConfirmHandover, Kind::Validate].into();
    let request = Departure {
        choices: Choices::default(),
        effective_at: world::T0,
        ..departure(Manner::Immediate)
    };
    let mut world = World::open(request, &kinds, policy);
    world.extra.insert(Kind::Resolve, Facts::new().with("object_id", "u-1"));
    world
        .mishaps
        .insert(Kind::RemoveOauthGrants, vec![Mishap::Fault(FaultClass::Unsupported)]);
    world.drain();
    let until = world.now.plus(HOUR_MS);
    let task = world.id(Kind::RemoveOauthGrants);
    world.order(Command::Waive {
        task,
        by: "boss@msp.example".into(),
        reason: "later".into(),
        until,
    });
    assert_eq!(world.case().state, CaseState::Closing);
    world.now = until;
    world.order(Command::Tick);
    world.run();
    let said = statement(&world.history).unwrap().predicate;
    assert!(said.waivers.is_empty());
    assert_eq!(said.rounds.last().map(|r| r.round), Some(2));
    assert!(
        said.tasks
            .iter()
            .any(|t| t.id == task && t.outcome == Some(OutcomeAccount::Verified))
    );
}

/// After a lost tail everything is read again, and the account says so.
#[test]
fn a_lost_tail_is_told_and_proven_again() {
    let kinds = [
        Kind::Resolve,
        Kind::SnapshotAccess,
        Kind::DisableSignIn,
        Kind::ObserveIdentity,
    ];
    let mut world = World::open(departure(Manner::Immediate), &kinds, Policy::default());
    world.extra.insert(Kind::Resolve, Facts::new().with("object_id", "u-1"));
    world.drain();
    let task = world.case().tasks[&world.id(Kind::SnapshotAccess)].clone();
    let said = Said::NotBegun { why: "stopped".into() };
    let ahead = Report {
        version: world.case().version + 3,
        ..world.report(&task, said)
    };
    world.order(Command::RecordReport(Box::new(ahead)));
    world.run();
    let account = statement(&world.history).unwrap();
    let [lost] = account.predicate.lost_tails.as_slice() else {
        panic!("{:?}", account.predicate.lost_tails)
    };
    let snapshot = account.predicate.tasks.iter().find(|t| t.id == task.id()).unwrap();
    assert!(snapshot.settled_version > Some(lost.version));
    assert!(
        snapshot
            .steps
            .iter()
            .any(|s| s.event == "task_settled" && !s.readings.is_empty()),
        "what was read before is kept"
    );
}
