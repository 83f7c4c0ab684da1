//! A store that is away holds nothing up for long: no order of a person, no shard's
//! next owner, nothing that is to be taken from whoever leaves. What could not be kept
//! or read there is made up for when it answers.

use crate::losses::{cancel, in_a_month, keeping, losses};
use crate::moody::{Mood, Moody};
use crate::rig::*;
use offboard_dispatcher::EngineError;
use offboard_dispatcher::control::{Request, Response, handle};
use offboard_dispatcher::gates::{Paused, WITHOUT_END};
use offboard_domain::{CaseState, Kind};
use offboard_ledger::Ledger as _;
use std::time::Duration;

const AWAY: [Mood; 2] = [Mood::Fails, Mood::Hangs];

#[tokio::test(start_paused = true)]
async fn what_somebody_approved_is_published_before_it_is_kept_and_kept_when_that_is_possible() {
    for mood in AWAY {
        let (mut world, acme) = keeping(WIPE);
        let store = Moody::in_place_of(&mut world);
        let _worker = world.worker_who(0, |a| (a.kind != Kind::WipeDevice).then(|| truth(a)));
        let dispatcher = world.dispatcher().await;
        let departure = world.departure(&acme, "HR-1");
        let case = dispatcher.engine.submit(departure).await.unwrap().case();
        until("the wipe is found", MINUTE, async || {
            find(&world.case(&acme, case).await, Kind::WipeDevice).is_some()
        })
        .await;
        store.is(mood);
        let asked = world.now();
        let approved = async {
            world.approve_wipes(&dispatcher.engine).await;
            world.now()
        };
        let ordered = until("it is ordered", 2 * SECOND, async || {
            !world.ordered(Kind::WipeDevice).is_empty()
        });
        let (answered, ()) = futures::join!(approved, ordered);
        assert!(
            answered.since(asked) < 10 * SECOND,
            "{mood:?}: whoever approved is told"
        );
        assert_eq!(store.names("orders").await, [""; 0], "or this test shows nothing");
        store.is(Mood::Answers);
        until("it is kept", 3 * MINUTE, async || {
            store.names("orders").await.len() == 1
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_and_its_end_are_in_force_at_once_and_it_is_said_that_they_are_not_kept() {
    for mood in AWAY {
        let (mut world, acme) = keeping(SHORT);
        let store = Moody::in_place_of(&mut world);
        let dispatcher = world.dispatcher().await;
        let engine = &dispatcher.engine;
        let shut = async || {
            let gates = world.ledger.inner.gates(&acme, Vec::new()).await.unwrap();
            gates.into_keys().collect::<Vec<_>>()
        };
        let what = Paused {
            system: None,
            kind: None,
        };
        store.is(mood);
        let said = engine.pause(&acme, &what, WITHOUT_END).await.unwrap_err();
        assert!(matches!(said, EngineError::Unkept { .. }), "{said}");
        assert_eq!(shut().await, ["pause"]);
        let resume = Request::Resume {
            tenant: None,
            what: what.clone(),
        };
        let Response::Failed { why, .. } = handle(engine, resume).await else {
            panic!("{mood:?}: nobody says that it is not kept");
        };
        assert!(why.contains("it is in force all the same"), "{why}");
        assert_eq!(shut().await, [""; 0]);
        store.is(Mood::Answers);
        engine.resume(&acme, &what).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_shard_is_taken_up_and_let_go_while_the_store_is_away() {
    for mood in AWAY {
        let (mut world, acme) = keeping(SHORT);
        let store = Moody::in_place_of(&mut world);
        let one = world.dispatcher().await;
        one.engine.submit(in_a_month(&world, &acme, "HR-1")).await.unwrap();
        world.order(&acme, Kind::Resolve).await;
        one.die().await;
        let before = world.queue.orders().len();
        store.is(mood);
        let two = world.member("two", world.clock.clone());
        until("what was out is ordered again", 10 * SECOND, async || {
            world.queue.orders().len() == before + 1
        })
        .await;
        // It looks for what the ledger has lost meanwhile.
        pass(20 * SECOND).await;
        let left = tokio::time::timeout(Duration::from_secs(10), two.leave()).await;
        let two = left.expect("whoever is told to end does not wait for the store");
        assert_eq!(two.holdings(), "0 cases; ", "{mood:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_loss_is_written_down_without_the_store_and_what_was_ordered_is_decided_when_it_answers() {
    for mood in AWAY {
        let (mut world, acme) = keeping(CUT);
        let store = Moody::in_place_of(&mut world);
        let _closer = world.closer();
        let dispatcher = world.dispatcher().await;
        let departure = world.departure(&acme, "HR-1");
        let case = dispatcher.engine.submit(departure).await.unwrap().case();
        let order = world.order(&acme, Kind::Resolve).await;
        dispatcher.engine.order(&acme, case, cancel()).await.unwrap();
        world.ledger.inner.lose_tail(&acme, case, 1);
        store.is(mood);
        world.answer(&order).await;
        until("the loss is met", MINUTE, async || {
            losses(&world, &acme, case).await == 1
        })
        .await;
        let called_off = async || {
            let state = world.case(&acme, case).await.state;
            matches!(state, CaseState::Cancelling | CaseState::Cancelled)
        };
        assert!(!called_off().await, "{mood:?}: or this test shows nothing");
        store.is(Mood::Answers);
        assert_eq!(dispatcher.engine.find_losses(0).await.unwrap(), 1, "{mood:?}");
        assert!(called_off().await, "{mood:?}");
        assert_eq!(dispatcher.engine.find_losses(0).await.unwrap(), 0, "{mood:?}: once");
        assert_eq!(losses(&world, &acme, case).await, 2, "{mood:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_look_is_told_to_stop_in_the_middle_of_is_looked_at_again() {
    let (mut world, acme) = keeping(SHORT);
    let store = Moody::in_place_of(&mut world);
    let one = world.dispatcher().await;
    let departure = in_a_month(&world, &acme, "HR-1");
    let case = one.engine.submit(departure).await.unwrap().case();
    one.die().await;
    world.ledger.inner.lose_tail(&acme, case, usize::MAX);
    store.lists_one_by_one();
    let two = world.member("two", world.clock.clone());
    until("it looks for losses", MINUTE, async || store.is_waited_for()).await;
    let left = tokio::time::timeout(Duration::from_secs(10), two.leave()).await;
    let engine = left.expect("whoever is told to end does not wait for the look");
    assert_eq!(world.index(&acme, case).await, None);
    for _ in 0..100 {
        store.list_one();
    }
    engine.recover().await.unwrap();
    assert_eq!(engine.find_losses(0).await.unwrap(), 1);
}
