//! What the account says of access that only a person can cut.

use super::world::{World, departure};
use super::*;
use crate::catalogue::Kind;
use crate::command::Command;
use crate::departure::{Choices, Departure, Manner};
use crate::observation::Facts;
use crate::policy::Policy;
use crate::time::DAY_MS;

/// His account is a copy of one in a directory that is not connected, and he knows the code
/// of the front door. The cloud's account is disabled, and two days have passed.
fn hybrid() -> World {
    let kinds = [
        Kind::Resolve,
        Kind::SnapshotAccess,
        Kind::DisableSignIn,
        Kind::ObserveIdentity,
    ];
    let mut policy = Policy::default();
    policy.approvals.plan = false;
    policy.skip = [Kind::ConfirmHandover, Kind::Validate].into();
    policy.shared_credentials = ["front door".to_owned()].into();
    let request = Departure {
        choices: Choices::default(),
        effective_at: world::T0,
        ..departure(Manner::Immediate)
    };
    let mut world = World::open(request, &kinds, policy);
    let copy = Facts::new().with("object_id", "u-1").with("synced", true);
    world.extra.insert(Kind::Resolve, copy);
    world.drain();
    assert!(world.case().tasks[&world.id(Kind::DisableSignIn)].is_settled());
    world.now = world.now.plus(2 * DAY_MS);
    world.order(Command::Tick);
    world
}

fn account(world: &World) -> Statement {
    let said = statement(&world.history).unwrap();
    assert_eq!(verify(&seal(&said, &key()), &key().verifying_key()), Ok(said.clone()));
    said
}

fn settled_at(said: &Predicate, kind: Kind) -> Option<When> {
    let mut tasks = said.tasks.iter();
    tasks.find(|t| t.kind == kind.name()).unwrap().settled_at
}

#[test]
fn access_that_a_person_cut_counts_from_his_word_and_is_told_apart() {
    let mut world = hybrid();
    world.run();
    let mut said = account(&world);
    let times = &said.predicate.times;
    let by_hand = settled_at(&said.predicate, Kind::ConfirmDisabledOnPremises);
    assert_eq!(times.last_access_attested_at, by_hand);
    assert_eq!(
        times.last_access_cut_at,
        settled_at(&said.predicate, Kind::DisableSignIn)
    );
    let since = |from: When| by_hand.map(|at| at.seconds_since(from));
    let request = &said.predicate.request;
    assert_eq!(
        (
            times.seconds_from_request_to_last_access_attested,
            times.seconds_from_effective_to_last_access_attested
        ),
        (since(request.requested_at), since(request.effective_at))
    );
    assert!(times.last_access_attested_at > times.last_access_cut_at);
    assert!(times.access_not_cut.is_empty());
    // What he shared with others is no access of his own.
    assert!(settled_at(&said.predicate, Kind::RotateSharedCredential) > by_hand);
    said.predicate.times.last_access_attested_at = None;
    let wrong = verify(&seal(&said, &key()), &key().verifying_key());
    assert!(matches!(wrong, Err(Invalid::DoesNotFollow { .. })), "{wrong:?}");
}

#[test]
fn access_that_a_person_was_to_cut_and_did_not_is_not_cut() {
    let mut world = hybrid();
    let task = world.id(Kind::ConfirmDisabledOnPremises);
    world.order(Command::Waive {
        task,
        by: "boss@msp.example".into(),
        reason: "nobody reaches the domain".into(),
        until: world.now.plus(90 * DAY_MS),
    });
    world.run();
    let times = account(&world).predicate.times;
    assert_eq!(times.access_not_cut, [task]);
    assert_eq!(times.last_access_attested_at, None);
}
