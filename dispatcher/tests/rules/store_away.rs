//! A store that is away holds nothing up for long: no order of a person, no shard's
//! next owner, nothing that is to be taken from whoever leaves. What could not be kept
//! or read there is made up for when it answers.

use crate::losses::{cancel, in_a_month, keeping, losses, postponed};
use crate::moody::{Mood, Moody};
use crate::rig::*;
use offboard_dispatcher::control::{Request, Response, handle};
use offboard_dispatcher::gates::{Paused, WITHOUT_END};
use offboard_dispatcher::{EngineError, Keeping};
use offboard_domain::time::HOUR_MS;
use offboard_domain::{CaseId, CaseState, Kind, TenantId};
use offboard_ledger::Ledger as _;
use std::time::Duration;

const AWAY: [Mood; 2] = [Mood::Fails, Mood::Hangs];

async fn is_called_off(world: &World, tenant: &TenantId, case: CaseId) -> bool {
    let state = world.case(tenant, case).await.state;
    matches!(state, CaseState::Cancelling | CaseState::Cancelled)
}

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
        let said = engine.pause(&acme, &what, WITHOUT_END, None).await.unwrap_err();
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

#[tokio::test(start_paused = true)]
async fn what_is_due_is_woken_while_what_has_ended_cannot_be_archived() {
    for mood in AWAY {
        let (mut world, acme) = keeping(SHORT);
        world.keeping = Some(Keeping {
            archive_after_ms: MINUTE,
        });
        let store = Moody::in_place_of(&mut world);
        let closer = world.closer();
        let worker = world.worker();
        let dispatcher = world.dispatcher().await;
        let over = world.departure(&acme, "HR-over");
        dispatcher.engine.submit(over).await.unwrap();
        world.all_closed(MINUTE).await;
        drop(worker);
        drop(closer);
        let open = world.departure(&acme, "HR-open");
        let case = dispatcher.engine.submit(open).await.unwrap().case();
        let ordered = || {
            let orders = world.ordered(Kind::Resolve);
            orders.iter().filter(|o| o.assignment.case == case).count()
        };
        until("it is ordered", MINUTE, async || ordered() == 1).await;
        assert_eq!(store.names("archive").await, [""; 0], "or this test shows nothing");
        store.is(mood);
        until("what nobody answers is ordered again", HOUR_MS, async || ordered() == 2).await;
        store.is(Mood::Answers);
        until("what has ended is archived", 2 * MINUTE, async || {
            !store.names("archive").await.is_empty()
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_taken_up_without_the_store_is_compared_when_that_answers() {
    for mood in AWAY {
        let (mut world, acme) = keeping(CUT);
        let store = Moody::in_place_of(&mut world);
        let one = world.dispatcher().await;
        let first = in_a_month(&world, &acme, "HR-1");
        let case = one.engine.submit(first.clone()).await.unwrap().case();
        world.order(&acme, Kind::Resolve).await;
        one.engine.order(&acme, case, cancel()).await.unwrap();
        one.die().await;
        let went = world.case(&acme, case).await.version;
        world.ledger.inner.lose_tail(&acme, case, 1);
        // By its version alone nobody sees it any more.
        let outside = world.engine();
        let mut days = 0;
        while world.case(&acme, case).await.version < went {
            days += 1;
            outside.submit(postponed(&first, days)).await.unwrap();
        }
        store.is(mood);
        let two = world.dispatcher().await;
        assert_eq!(losses(&world, &acme, case).await, 0, "or this test shows nothing");
        store.is(Mood::Answers);
        assert_eq!(two.engine.find_losses(0).await.unwrap(), 1, "{mood:?}");
        assert!(is_called_off(&world, &acme, case).await, "{mood:?}");
        assert_eq!(two.engine.find_losses(0).await.unwrap(), 0, "{mood:?}: once");
        assert_eq!(losses(&world, &acme, case).await, 1, "{mood:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_loss_that_was_written_down_without_the_store_vouches_for_no_order_that_nobody_read() {
    for mood in AWAY {
        let (mut world, acme) = keeping(CUT);
        let store = Moody::in_place_of(&mut world);
        let dispatcher = world.dispatcher().await;
        let first = in_a_month(&world, &acme, "HR-1");
        let case = dispatcher.engine.submit(first.clone()).await.unwrap().case();
        world.order(&acme, Kind::Resolve).await;
        dispatcher.engine.order(&acme, case, cancel()).await.unwrap();
        world.ledger.inner.lose_tail(&acme, case, 1);
        store.is(mood);
        // History is as long again before anybody meets its loss.
        world.engine().submit(postponed(&first, 1)).await.unwrap();
        until("the loss is met", MINUTE, async || {
            losses(&world, &acme, case).await == 1
        })
        .await;
        assert!(!is_called_off(&world, &acme, case).await, "or this test shows nothing");
        store.is(Mood::Answers);
        assert_eq!(dispatcher.engine.find_losses(0).await.unwrap(), 1, "{mood:?}");
        assert!(is_called_off(&world, &acme, case).await, "{mood:?}");
        assert_eq!(dispatcher.engine.find_losses(0).await.unwrap(), 0, "{mood:?}: once");
        assert_eq!(losses(&world, &acme, case).await, 2, "{mood:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_kept_before_it_was_lost_is_ordered_anew() {
    for (mood, back) in AWAY.iter().flat_map(|mood| [(*mood, false), (*mood, true)]) {
        let (mut world, acme) = keeping(CUT);
        let store = Moody::in_place_of(&mut world);
        let dispatcher = world.dispatcher().await;
        let departure = in_a_month(&world, &acme, "HR-1");
        let case = dispatcher.engine.submit(departure).await.unwrap().case();
        let order = world.order(&acme, Kind::Resolve).await;
        store.is(mood);
        dispatcher.engine.order(&acme, case, cancel()).await.unwrap();
        world.ledger.inner.lose_tail(&acme, case, 1);
        if back {
            store.is(Mood::Answers);
        }
        world.answer(&order).await;
        until("the loss is met", MINUTE, async || {
            losses(&world, &acme, case).await == 1
        })
        .await;
        assert_eq!(is_called_off(&world, &acme, case).await, back, "{mood:?}");
        store.is(Mood::Answers);
        let found = dispatcher.engine.find_losses(0).await.unwrap();
        assert_eq!(found, usize::from(!back), "{mood:?}");
        assert!(is_called_off(&world, &acme, case).await, "{mood:?}, {back}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_doubt_that_is_raised_during_a_look_is_for_the_next_one() {
    let (mut world, acme) = keeping(CUT);
    let store = Moody::in_place_of(&mut world);
    let one = world.dispatcher().await;
    let first = in_a_month(&world, &acme, "HR-1");
    let case = one.engine.submit(first.clone()).await.unwrap().case();
    world.order(&acme, Kind::Resolve).await;
    one.die().await;
    // Whoever takes it up without the store doubts it.
    store.is(Mood::Hangs);
    let two = world.dispatcher().await;
    store.is(Mood::Answers);
    two.engine.order(&acme, case, cancel()).await.unwrap();
    store.lists_one_by_one();
    let engine = two.engine.clone();
    let looking = tokio::spawn(async move { engine.find_losses(0).await });
    until("it has compared what was in doubt", MINUTE, async || {
        let last = store.is_waited_for_in("pauses");
        if !last && store.is_waited_for() {
            store.list_one();
        }
        last
    })
    .await;
    while is_called_off(&world, &acme, case).await {
        world.ledger.inner.lose_tail(&acme, case, 1);
    }
    world.engine().submit(postponed(&first, 1)).await.unwrap();
    until("the loss is met", MINUTE, async || {
        losses(&world, &acme, case).await == 1
    })
    .await;
    for _ in 0..100 {
        store.list_one();
    }
    assert_eq!(looking.await.unwrap().unwrap(), 0);
    assert!(!is_called_off(&world, &acme, case).await, "or this test shows nothing");
    assert_eq!(two.engine.find_losses(0).await.unwrap(), 1);
    assert!(is_called_off(&world, &acme, case).await);
}

#[tokio::test(start_paused = true)]
async fn a_shard_is_let_go_whichever_list_a_look_waits_for() {
    for listed in 0..3 {
        let (mut world, acme) = keeping(SHORT);
        let store = Moody::in_place_of(&mut world);
        let one = world.dispatcher().await;
        let departure = in_a_month(&world, &acme, "HR-1");
        let case = one.engine.submit(departure).await.unwrap().case();
        one.die().await;
        world.ledger.inner.lose_tail(&acme, case, usize::MAX);
        store.lists_one_by_one();
        let two = world.member("two", world.clock.clone());
        for _ in 0..listed {
            until("it lists", MINUTE, async || store.is_waited_for()).await;
            store.list_one();
            pass(SECOND).await;
        }
        until("it waits for a list", MINUTE, async || store.is_waited_for()).await;
        let left = tokio::time::timeout(Duration::from_secs(10), two.leave()).await;
        let two = left.expect("whoever is told to end does not wait for the store");
        assert_eq!(two.holdings(), "0 cases; ", "after {listed} lists");
    }
}

#[tokio::test(start_paused = true)]
async fn what_others_order_is_noticed_one_after_the_other_while_the_store_is_away() {
    let (mut world, acme) = keeping(SHORT);
    let store = Moody::in_place_of(&mut world);
    let dispatcher = world.dispatcher().await;
    let departures = ["HR-1", "HR-2"].map(|reference| in_a_month(&world, &acme, reference));
    for departure in &departures {
        dispatcher.engine.submit(departure.clone()).await.unwrap();
    }
    until("both are begun", MINUTE, async || {
        world.ordered(Kind::Resolve).len() == 2
    })
    .await;
    store.is(Mood::Hangs);
    let outside = world.engine();
    let mut submitting = Vec::new();
    for departure in &departures {
        let (outside, later) = (outside.clone(), postponed(departure, 1));
        let (case, day) = (later.case_id(), later.effective_at);
        submitting.push(tokio::spawn(async move { outside.submit(later).await.map(drop) }));
        until("it is noticed", 2 * SECOND, async || {
            let held = dispatcher.engine.case(&acme, case).await.unwrap();
            held.departure.effective_at == day
        })
        .await;
    }
    for submitted in submitting {
        submitted.await.unwrap().unwrap();
    }
    assert_eq!(store.names("orders").await, [""; 0], "or this test shows nothing");
    store.is(Mood::Answers);
    until("both are kept", 3 * MINUTE, async || {
        store.names("orders").await.len() == 2
    })
    .await;
}
