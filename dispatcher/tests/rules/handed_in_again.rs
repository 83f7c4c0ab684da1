//! What whoever hands a list in again is told of those for whom nothing is done any more.

use crate::rig::*;
use offboard_dispatcher::Engine;
use offboard_dispatcher::control::{Accepted, Request, Response, What, handle};
use offboard_domain::departure::Departure;
use offboard_domain::time::HOUR_MS;
use offboard_domain::{CaseState, Kind, TenantId, Timestamp};
use std::sync::Arc;

async fn hand_in(engine: &Arc<Engine>, departure: Departure) -> Accepted {
    let departures = vec![departure];
    match handle(engine, Request::Submit { departures }).await {
        Response::Submitted(mut accepted) => accepted.remove(0),
        other => panic!("it was not handed in: {other:?}"),
    }
}

/// At once, and without a reference; the day alone tells it from others.
fn bare(world: &World, acme: &TenantId, name: &str, day: Timestamp) -> Departure {
    Departure {
        reference: None,
        of_day: Some(day),
        ..world.departure(acme, name)
    }
}

/// He may have been rehired and leave again on the same day: then it is another departure,
/// and whoever hands it in must know how to say so.
#[tokio::test(start_paused = true)]
async fn who_is_closed_and_handed_in_again_without_a_reference_is_said_to_be_closed() {
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), terms(CUT))]);
    let dispatcher = world.dispatcher().await;
    let engine = &dispatcher.engine;
    let day = world.now().plus(8 * HOUR_MS);
    let first = hand_in(engine, bare(&world, &acme, "anna", day)).await;
    assert_eq!((first.what, first.why), (What::Opened, None));
    // While it is open, it is simply known.
    let open = hand_in(engine, bare(&world, &acme, "anna", day)).await;
    assert_eq!((open.what, open.why), (What::Known, None));
    let named = hand_in(engine, world.departure(&acme, "HR-1")).await;
    let (_worker, _closer) = (world.worker(), world.closer());
    world.all_closed(30 * MINUTE).await;
    let closed_at = world.case(&acme, first.case).await.closed_at.unwrap();
    pass(HOUR_MS).await;

    let again = hand_in(engine, bare(&world, &acme, "anna", day)).await;
    assert_eq!((again.what, again.case), (What::Known, first.case));
    let why = again.why.unwrap();
    for said in [first.case.to_string(), closed_at.to_string(), "`reference`".to_owned()] {
        assert!(why.contains(&said), "{said}: {why}");
    }
    // Whoever has a reference is told from others by it: the same list every night says nothing new.
    let repeated = hand_in(engine, world.departure(&acme, "HR-1")).await;
    assert_eq!(
        (repeated.case, repeated.what, repeated.why),
        (named.case, What::Known, None)
    );
    // What it says to do helps.
    let rehired = Departure {
        reference: Some("HR-2".to_owned()),
        ..bare(&world, &acme, "anna", day)
    };
    let other = hand_in(engine, rehired).await;
    assert_eq!((other.what, other.why), (What::Opened, None));
    assert_ne!(other.case, first.case);
}

#[tokio::test(start_paused = true)]
async fn what_was_merged_into_a_case_that_is_closed_is_said_to_be_done_there() {
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), terms(CUT))]);
    let dispatcher = world.dispatcher().await;
    let engine = &dispatcher.engine;
    let day = world.now().plus(8 * HOUR_MS);
    let first = hand_in(engine, world.departure(&acme, "HR-1")).await.case;
    let resolve = world.order(&acme, Kind::Resolve).await;
    world.answer(&resolve).await;
    until("he is found", MINUTE, async || {
        world.case(&acme, first).await.state == CaseState::Active
    })
    .await;
    let second = hand_in(engine, bare(&world, &acme, "HR-1", day)).await.case;
    until("he is looked for again", MINUTE, async || {
        world.ordered_for(&acme, Kind::Resolve).len() == 2
    })
    .await;
    let resolve = world.order(&acme, Kind::Resolve).await;
    world.answer(&resolve).await;
    until("it is merged", MINUTE, async || {
        world.case(&acme, second).await.state == CaseState::Merged { into: first }
    })
    .await;
    let open = hand_in(engine, bare(&world, &acme, "HR-1", day)).await;
    assert_eq!((open.what, open.case, open.why), (What::Known, second, None));
    let (_worker, _closer) = (world.worker(), world.closer());
    until("it is done there", HOUR_MS, async || {
        world.case(&acme, first).await.state == CaseState::Closed
    })
    .await;
    let again = hand_in(engine, bare(&world, &acme, "HR-1", day)).await;
    assert_eq!((again.what, again.case), (What::Known, second));
    let why = again.why.unwrap();
    assert!(
        why.contains(&first.to_string()) && why.contains("closed since"),
        "{why}"
    );
}
