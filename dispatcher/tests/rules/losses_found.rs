//! What proves a loss, and what does not; what is done about it when something else is
//! wrong, too; and that whoever is told to stop meanwhile drops nothing half done.

use crate::forged::buried;
use crate::losses::{cancel, in_a_month, keeping, losses, postponed};
use crate::moody::Moody;
use crate::rig::*;
use offboard_dispatcher::Engine;
use offboard_dispatcher::admission::Limits;
use offboard_dispatcher::gates::{Paused, WITHOUT_END};
use offboard_dispatcher::tenants::Tenants;
use offboard_dispatcher::view::view;
use offboard_domain::time::{DAY_MS, HOUR_MS};
use offboard_domain::{CaseId, CaseState, Command, Event, Gates, Kind, TenantId};
use offboard_ledger::{GateChange, Ledger as _};
use offboard_runtime::SkewedClock;
use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

async fn orders(world: &World) -> Vec<String> {
    let files = world.store.list("orders").await.unwrap();
    files.into_iter().map(|f| f.path).collect()
}

#[tokio::test(start_paused = true)]
async fn what_somebody_orders_while_a_case_is_compared_is_no_loss() {
    let (mut world, acme) = keeping(SHORT);
    let store = Moody::in_place_of(&mut world);
    let one = world.dispatcher().await;
    let first = in_a_month(&world, &acme, "HR-1");
    let case = one.engine.submit(first.clone()).await.unwrap().case();
    world.order(&acme, Kind::Resolve).await;
    one.die().await;
    let outside = world.engine();
    store.lists_one_by_one();
    let two = world.engine();
    let taking = tokio::spawn(async move {
        two.recover().await?;
        two.find_losses(0).await
    });
    // Whatever is listed, it has changed a moment before.
    let mut days = 0;
    while !taking.is_finished() {
        if store.is_waited_for() {
            days += 1;
            outside.submit(postponed(&first, days)).await.unwrap();
            store.list_one();
        }
        pass(1).await;
    }
    assert_eq!(taking.await.unwrap().unwrap(), 0);
    assert!(days > 3, "or this test shows nothing: {days}");
    assert_eq!(losses(&world, &acme, case).await, 0);
}

/// A case whose cancellation the ledger has lost, while nobody runs.
async fn called_off_and_lost(world: &World, acme: &TenantId) {
    let one = world.dispatcher().await;
    let departure = in_a_month(world, acme, "HR-1");
    let case = one.engine.submit(departure).await.unwrap().case();
    world.order(acme, Kind::Resolve).await;
    one.engine.order(acme, case, cancel()).await.unwrap();
    one.die().await;
    world.ledger.inner.lose_tail(acme, case, 1);
}

#[tokio::test(start_paused = true)]
async fn who_is_told_to_stop_while_a_loss_is_written_down_gives_all_credit_back() {
    for after_ms in (0..240).step_by(6) {
        let (world, acme) = keeping(CUT);
        called_off_and_lost(&world, &acme).await;
        world.ledger.takes(5);
        let two = world.member("two", world.clock.clone());
        pass(after_ms).await;
        let left = tokio::time::timeout(Duration::from_secs(60), two.leave()).await;
        let two = left.expect("he ends");
        assert_eq!(two.holdings(), "0 cases; ", "told to stop after {after_ms} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_being_published_when_a_shard_is_to_be_let_go_is_published() {
    let (world, acme) = keeping(SHORT);
    let one = world.dispatcher().await;
    one.engine.submit(in_a_month(&world, &acme, "HR-1")).await.unwrap();
    world.order(&acme, Kind::Resolve).await;
    one.die().await;
    let before = world.queue.orders().len();
    world.queue.stick(true);
    let two = world.member("two", world.clock.clone());
    until("he takes it up", MINUTE, async || two.owned() == [0]).await;
    pass(SECOND).await;
    let leaving = tokio::spawn(two.leave());
    pass(SECOND).await;
    world.queue.stick(false);
    let two = leaving.await.unwrap();
    assert_eq!(world.queue.orders().len(), before + 1);
    assert_eq!(two.holdings(), "0 cases; ");
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_refuses_keeps_no_shard_from_being_taken_up() {
    let (world, acme) = keeping(SHORT);
    let one = world.dispatcher().await;
    for n in 0..40 {
        let departure = in_a_month(&world, &acme, &format!("HR-{n}"));
        one.engine.submit(departure).await.unwrap();
    }
    world.order(&acme, Kind::Resolve).await;
    one.die().await;
    let before = world.queue.orders().len();
    world.queue.refuse(assignment_queues(None));
    let two = world.engine();
    assert_eq!(two.recover().await.unwrap(), 40);
    let two = Dispatcher::over(two, |_, _| Vec::new());
    world.queue.refuse([]);
    until("what was out is ordered again", MINUTE, async || {
        world.queue.orders().len() == 2 * before
    })
    .await;
    drop(two);
}

#[tokio::test(start_paused = true)]
async fn one_damaged_case_keeps_no_other_from_being_put_back() {
    let (world, acme) = keeping(SHORT);
    let one = world.dispatcher().await;
    let mut cases = Vec::new();
    for n in 0..3 {
        let departure = in_a_month(&world, &acme, &format!("HR-{n}"));
        cases.push(one.engine.submit(departure).await.unwrap().case());
    }
    one.die().await;
    let damaged = format!("openings/{}/{acme}/{}.json", T0.0 / DAY_MS, cases[1]);
    fs::write(world.folder().join("store").join(damaged), "{}").unwrap();
    for case in &cases {
        world.ledger.inner.lose_tail(&acme, *case, usize::MAX);
    }
    let two = world.dispatcher().await;
    assert_eq!(two.engine.find_losses(0).await.unwrap(), 2);
    for (n, case) in cases.iter().enumerate() {
        assert_eq!(world.index(&acme, *case).await.is_some(), n != 1, "HR-{n}");
    }
    assert_eq!(two.engine.find_losses(0).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_damaged_order_keeps_no_other_from_being_ordered_anew() {
    let (world, acme) = keeping(SHORT);
    let one = world.dispatcher().await;
    let first = in_a_month(&world, &acme, "HR-1");
    let case = one.engine.submit(first.clone()).await.unwrap().case();
    world.order(&acme, Kind::Resolve).await;
    one.engine.submit(postponed(&first, 1)).await.unwrap();
    one.engine.order(&acme, case, cancel()).await.unwrap();
    one.die().await;
    let kept = orders(&world).await;
    assert_eq!(kept.len(), 2, "{kept:?}");
    fs::write(world.folder().join("store").join(&kept[0]), "{}").unwrap();
    world.ledger.inner.lose_tail(&acme, case, 2);
    let _two = world.dispatcher().await;
    let now = world.case(&acme, case).await;
    assert!(
        matches!(now.state, CaseState::Cancelling | CaseState::Cancelled),
        "{:?}",
        now.state
    );
    assert_eq!(losses(&world, &acme, case).await, 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_ordered_and_never_kept_is_kept_by_who_takes_it_up() {
    let (world, acme) = keeping(SHORT);
    let one = world.dispatcher().await;
    let first = in_a_month(&world, &acme, "HR-1");
    one.engine.submit(first.clone()).await.unwrap();
    one.engine.submit(postponed(&first, 1)).await.unwrap();
    one.die().await;
    let kept = orders(&world).await;
    assert_eq!(kept.len(), 1);
    // As if he had died before.
    fs::remove_dir_all(world.folder().join("store").join("orders")).unwrap();
    let _two = world.dispatcher().await;
    assert_eq!(orders(&world).await, kept);
}

#[tokio::test(start_paused = true)]
async fn a_day_that_was_changed_and_changed_back_is_the_last_one_after_a_loss() {
    let (world, acme) = keeping(SHORT);
    let one = world.dispatcher().await;
    let first = in_a_month(&world, &acme, "HR-1");
    let case = one.engine.submit(first.clone()).await.unwrap().case();
    world.order(&acme, Kind::Resolve).await;
    for days in [1, 2, 1] {
        pass(SECOND).await;
        one.engine.submit(postponed(&first, days)).await.unwrap();
    }
    one.die().await;
    world.ledger.inner.lose_tail(&acme, case, 3);
    let _two = world.dispatcher().await;
    let now = world.case(&acme, case).await;
    assert_eq!(losses(&world, &acme, case).await, 1);
    assert_eq!(now.departure.effective_at, postponed(&first, 1).effective_at);
}

fn everything() -> Paused {
    Paused {
        system: None,
        kind: None,
    }
}

async fn is_paused(world: &World, tenant: &TenantId) -> bool {
    let gates = world.ledger.inner.gates(tenant, Vec::new()).await.unwrap();
    gates.contains_key("pause")
}

fn ahead(world: &World, ms: i64) -> Arc<Engine> {
    world.engine_with(Limits::none(), Arc::new(SkewedClock(world.clock.clone(), ms)))
}

#[tokio::test(start_paused = true)]
async fn a_pause_by_a_clock_that_is_ahead_is_not_taken_for_later_than_its_end() {
    let (world, acme) = keeping(SHORT);
    let dispatcher = world.dispatcher().await;
    let fast = ahead(&world, MINUTE);
    fast.pause(&acme, &everything(), WITHOUT_END, None).await.unwrap();
    pass(30 * SECOND).await;
    dispatcher.engine.resume(&acme, &everything()).await.unwrap();
    dispatcher.engine.find_losses(0).await.unwrap();
    assert!(!is_paused(&world, &acme).await);
}

#[tokio::test(start_paused = true)]
async fn a_mark_by_a_clock_that_is_far_ahead_vouches_for_nothing() {
    let (world, acme) = keeping(SHORT);
    ahead(&world, HOUR_MS).find_losses(0).await.unwrap();
    let dispatcher = world.dispatcher().await;
    dispatcher
        .engine
        .pause(&acme, &everything(), WITHOUT_END, None)
        .await
        .unwrap();
    let lost = GateChange {
        name: "pause".to_owned(),
        until: None,
    };
    world.ledger.inner.gates(&acme, vec![lost]).await.unwrap();
    dispatcher.engine.find_losses(0).await.unwrap();
    assert!(is_paused(&world, &acme).await);
}

#[tokio::test(start_paused = true)]
async fn a_lost_pause_comes_back_with_who_ordered_it() {
    let (world, acme) = keeping(SHORT);
    let dispatcher = world.dispatcher().await;
    let engine = &dispatcher.engine;
    engine
        .pause(&acme, &everything(), WITHOUT_END, Some("bob"))
        .await
        .unwrap();
    world.ledger.inner.lose_gates();
    engine.find_losses(0).await.unwrap();
    let gates = world.ledger.inner.gates(&acme, Vec::new()).await.unwrap();
    let names: Vec<&str> = gates.keys().map(String::as_str).collect();
    assert_eq!(names, ["by/pause=bob", "pause"]);
}

/// His cases go on, and the mark says of him, too, that all is as it was ordered.
#[tokio::test(start_paused = true)]
async fn a_lost_pause_of_a_client_that_is_not_configured_any_more_comes_back() {
    let (world, acme) = keeping(SHORT);
    let dispatcher = world.dispatcher().await;
    let engine = &dispatcher.engine;
    engine.submit(in_a_month(&world, &acme, "HR-1")).await.unwrap();
    engine.pause(&acme, &everything(), WITHOUT_END, None).await.unwrap();
    engine.reconfigure(&Tenants::new(BTreeMap::new()));
    world.ledger.inner.lose_gates();
    engine.find_losses(0).await.unwrap();
    assert!(is_paused(&world, &acme).await);
}

#[tokio::test(start_paused = true)]
async fn a_look_during_which_the_ledger_goes_back_leaves_no_mark() {
    let (mut world, acme) = keeping(SHORT);
    let store = Moody::in_place_of(&mut world);
    let dispatcher = world.dispatcher().await;
    let departure = in_a_month(&world, &acme, "HR-1");
    dispatcher.engine.submit(departure).await.unwrap();
    store.lists_one_by_one();
    let engine = dispatcher.engine.clone();
    let looking = tokio::spawn(async move { engine.find_losses(0).await });
    until("it looks", MINUTE, async || store.is_waited_for()).await;
    world.ledger.inner.lose_gates();
    for _ in 0..100 {
        store.list_one();
    }
    looking.await.unwrap().unwrap();
    let handle = tenant("offboard-mark-0");
    let marked = async || {
        let gates = world.ledger.inner.gates(&handle, Vec::new()).await.unwrap();
        gates.contains_key("looked-at-all")
    };
    assert!(!marked().await);
    dispatcher.engine.find_losses(0).await.unwrap();
    assert!(marked().await, "or this test shows nothing");
}

/// A case that has lost a task which somebody was ordered to do, and his order.
async fn lost_with_a_task() -> (World, TenantId, CaseId, Order) {
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), terms(CUT))]);
    let one = world.dispatcher().await;
    let departure = world.departure(&acme, "HR-1");
    let case = one.engine.submit(departure).await.unwrap().case();
    world.answer(&world.order(&acme, Kind::Resolve).await).await;
    let order = world.order(&acme, Kind::SnapshotAccess).await;
    one.die().await;
    while task(&world.case(&acme, case).await, Kind::Resolve).is_settled() {
        world.ledger.inner.lose_tail(&acme, case, 1);
    }
    (world, acme, case, order)
}

/// What it says happened is on record nowhere else, whatever its worker's clock says.
#[tokio::test(start_paused = true)]
async fn a_report_whose_task_was_lost_waits_until_the_task_is_there_again() {
    for ahead_ms in [0, HOUR_MS] {
        let (world, acme, case, order) = lost_with_a_task().await;
        let _two = world.dispatcher().await;
        pass(MINUTE).await;
        let report = order.report(world.now().plus(ahead_ms), truth(&order.assignment));
        world.send(&acme, order.message(&report)).await;
        until("the loss is noticed", MINUTE, async || {
            losses(&world, &acme, case).await == 1
        })
        .await;
        // By which it is known when it comes again, whenever that is.
        let head = order.assignment.head;
        let proven = |e: &Event| matches!(e, Event::TailLost { proven_by: Some(by), .. } if *by == head);
        assert!(world.events(&acme, case).await.iter().any(|(_, e)| proven(e)));
        pass(20 * MINUTE).await;
        let told = async || {
            let events = world.events(&acme, case).await;
            let of = |e: &Event| matches!(e, Event::LateReport { task, .. } if *task == order.assignment.task);
            events.iter().any(|(_, e)| of(e))
        };
        assert!(!told().await, "there is no such task yet");
        assert_eq!(losses(&world, &acme, case).await, 1, "it tells of one loss");
        // Nobody answers the lost order a second time.
        let lost = order.assignment.head;
        let _worker = world.worker_who(0, move |a| (a.head != lost).then(|| truth(a)));
        until("it is on record", 30 * MINUTE, told).await;
    }
}

/// It proves the loss, and what it says happened is not dropped.
#[tokio::test(start_paused = true)]
async fn a_report_from_days_ahead_or_ago_whose_task_was_lost_is_buried_with_the_reason() {
    for (ahead_ms, why) in [
        (2 * DAY_MS, "clock is more than a day ahead; set that right"),
        (
            -2 * DAY_MS,
            "it lay for more than a day, or its worker's clock is behind",
        ),
    ] {
        let (world, acme, case, order) = lost_with_a_task().await;
        let _two = world.dispatcher().await;
        pass(MINUTE).await;
        let report = order.report(world.now().plus(ahead_ms), truth(&order.assignment));
        world.send(&acme, order.message(&report)).await;
        until("it is buried", MINUTE, async || !buried(&world).await.is_empty()).await;
        let reasons = buried(&world).await;
        assert!(
            matches!(&reasons[..], [reason] if reason.contains(why)),
            "{ahead_ms}: {reasons:?}"
        );
        assert_eq!(losses(&world, &acme, case).await, 1);
    }
}

/// A case that is gone whole, and a dispatcher who has just heard its
/// answer. A mark vouches for it, so that no look would find it by itself.
async fn heard_of_gone_whole() -> (World, TenantId, CaseId, Dispatcher) {
    let (world, acme) = keeping(SHORT);
    let one = world.dispatcher().await;
    let departure = in_a_month(&world, &acme, "HR-1");
    let case = one.engine.submit(departure).await.unwrap().case();
    let order = world.order(&acme, Kind::Resolve).await;
    one.die().await;
    pass(7 * DAY_MS).await;
    let two = world.dispatcher().await;
    assert_eq!(two.engine.find_losses(0).await.unwrap(), 0);
    two.die().await;
    world.ledger.inner.lose_tail(&acme, case, usize::MAX);
    let three = world.dispatcher().await;
    assert_eq!(three.engine.find_losses(0).await.unwrap(), 0);
    assert_eq!(world.index(&acme, case).await, None, "or this test shows nothing");
    world.answer(&order).await;
    pass(SECOND).await;
    (world, acme, case, three)
}

#[tokio::test(start_paused = true)]
async fn a_report_for_a_case_that_is_gone_whole_has_it_put_back() {
    let (world, acme, case, three) = heard_of_gone_whole().await;
    assert_eq!(three.engine.find_losses(0).await.unwrap(), 1);
    assert_eq!(losses(&world, &acme, case).await, 1);
    until("the report is on record", MINUTE, async || {
        let events = world.events(&acme, case).await;
        events.iter().any(|(_, e)| matches!(e, Event::LateReport { .. }))
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_lets_a_shard_go_forgets_what_is_missed_of_it_until_he_hears_of_it_again() {
    let (_world, _, _, three) = heard_of_gone_whole().await;
    three.engine.leave_shard(0).await;
    three.engine.recover().await.unwrap();
    assert_eq!(three.engine.find_losses(0).await.unwrap(), 0);
    pass(20 * SECOND).await;
    assert_eq!(three.engine.find_losses(0).await.unwrap(), 1);
}

/// The worker's clock is ten seconds ahead.
#[tokio::test(start_paused = true)]
async fn a_report_that_proves_a_loss_proves_one_whatever_the_workers_clock_says() {
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), terms(WIPE))]);
    let worker = world.worker_who(0, |a| (a.kind != Kind::WipeDevice).then(|| truth(a)));
    let one = world.dispatcher().await;
    let departure = world.departure(&acme, "HR-1");
    let case = one.engine.submit(departure).await.unwrap().case();
    until("the wipe is found", MINUTE, async || {
        find(&world.case(&acme, case).await, Kind::WipeDevice).is_some()
    })
    .await;
    world.approve_wipes(&one.engine).await;
    let order = world.order(&acme, Kind::WipeDevice).await;
    until("only the wipe is out", MINUTE, async || {
        in_flight(&world.case(&acme, case).await).len() == 1
    })
    .await;
    one.die().await;
    drop(worker);
    while find(&world.case(&acme, case).await, Kind::WipeDevice).is_some_and(|t| t.approved.is_some()) {
        world.ledger.inner.lose_tail(&acme, case, 1);
    }
    let _two = world.dispatcher().await;
    pass(MINUTE).await;
    let written = world.now().plus(10 * SECOND);
    let report = order.report(written, truth(&order.assignment));
    world.send(&acme, order.message(&report)).await;
    until("it is on record", MINUTE, async || {
        let events = world.events(&acme, case).await;
        events.iter().any(|(_, e)| matches!(e, Event::LateReport { .. }))
    })
    .await;
    assert_eq!(losses(&world, &acme, case).await, 1);
    // Whoever calls the case off now is to hear that it may be wiped all the same.
    let now = world.case(&acme, case).await;
    let shown = view(&now, world.now(), &Gates::open());
    let wipe = shown.tasks.iter().find(|t| t.kind == Kind::WipeDevice).unwrap();
    assert_eq!((wipe.attempt, wipe.was_ordered), (0, true));
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_is_ended_during_a_look_stays_ended() {
    for after_ms in (0..8_000).step_by(250) {
        let (mut world, acme) = keeping(SHORT);
        let _store = Moody::in_place_of(&mut world);
        let (other, _way) = world.member_apart("other");
        until("he owns the shard", MINUTE, async || other.owned() == [0]).await;
        pass(MINUTE).await;
        other
            .engine
            .pause(&acme, &everything(), WITHOUT_END, None)
            .await
            .unwrap();
        let engine = world.engine();
        world.ledger.takes(1_000);
        let looking = tokio::spawn(async move { engine.find_losses(0).await });
        pass(after_ms).await;
        other.engine.resume(&acme, &everything()).await.unwrap();
        looking.await.unwrap().unwrap();
        assert!(!is_paused(&world, &acme).await, "ended after {after_ms} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_was_lost_is_shut_again_unless_it_is_ended_during_that_look() {
    // The ledger takes a second each way: each of its answers is old by then.
    for ended_after_ms in (0..20_000).step_by(250).map(Some).chain([None]) {
        let (mut world, acme) = keeping(SHORT);
        let _store = Moody::in_place_of(&mut world);
        let (other, _way) = world.member_apart("other");
        until("he owns the shard", MINUTE, async || other.owned() == [0]).await;
        pass(MINUTE).await;
        other
            .engine
            .pause(&acme, &everything(), WITHOUT_END, None)
            .await
            .unwrap();
        world.ledger.inner.lose_gates();
        let engine = world.engine();
        world.ledger.takes(1_000);
        let looking = tokio::spawn(async move { engine.find_losses(0).await });
        if let Some(after_ms) = ended_after_ms {
            pass(after_ms).await;
            other.engine.resume(&acme, &everything()).await.unwrap();
        }
        looking.await.unwrap().unwrap();
        assert_eq!(
            is_paused(&world, &acme).await,
            ended_after_ms.is_none(),
            "ended after {ended_after_ms:?} ms"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_is_ordered_shorter_while_a_longer_lost_one_is_put_back_stays_shorter() {
    let (mut world, acme) = keeping(SHORT);
    let store = Moody::in_place_of(&mut world);
    let dispatcher = world.dispatcher().await;
    let engine = dispatcher.engine.clone();
    engine.pause(&acme, &everything(), WITHOUT_END, None).await.unwrap();
    world.ledger.inner.lose_gates();
    store.puts_take(2_000);
    let shorter = world.now().plus(HOUR_MS);
    let (ordering, of) = (engine.clone(), acme.clone());
    let ordering = tokio::spawn(async move { ordering.pause(&of, &everything(), shorter, None).await });
    until("it is in force", MINUTE, async || is_paused(&world, &acme).await).await;
    engine.find_losses(0).await.unwrap();
    assert!(!ordering.is_finished(), "or this test shows nothing");
    ordering.await.unwrap().unwrap();
    for _ in 0..2 {
        let gates = world.ledger.inner.gates(&acme, Vec::new()).await.unwrap();
        assert_eq!(gates.get("pause"), Some(&shorter));
        engine.find_losses(0).await.unwrap();
        assert!(is_marked(&world).await);
    }
}

/// Whether the last look came to its end.
async fn is_marked(world: &World) -> bool {
    let handle = tenant("offboard-mark-0");
    let gates = world.ledger.inner.gates(&handle, Vec::new()).await.unwrap();
    gates.contains_key("looked-at-all")
}

/// Another one's look began meanwhile: this one's mark could vouch for what was lost between.
#[tokio::test(start_paused = true)]
async fn a_look_that_ended_early_is_made_again_in_a_minute() {
    let (mut world, _) = keeping(SHORT);
    let store = Moody::in_place_of(&mut world);
    store.lists_one_by_one();
    let _two = world.member("two", world.clock.clone());
    until("it looks for losses", MINUTE, async || {
        store.is_waited_for_in("openings")
    })
    .await;
    let begun = GateChange {
        name: "looking".to_owned(),
        until: Some(world.now().plus(1)),
    };
    let handle = tenant("offboard-mark-0");
    world.ledger.inner.gates(&handle, vec![begun]).await.unwrap();
    for _ in 0..100 {
        store.list_one();
    }
    pass(SECOND).await;
    assert!(!store.is_waited_for(), "it has come to its end");
    assert!(!is_marked(&world).await, "or this test shows nothing");
    until("it looked again", MINUTE + 10 * SECOND, async || {
        is_marked(&world).await
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_opening_that_is_listed_and_not_there_keeps_no_look_from_its_end() {
    let (mut world, acme) = keeping(SHORT);
    let store = Moody::in_place_of(&mut world);
    let one = world.dispatcher().await;
    let mut cases = Vec::new();
    for n in 0..3 {
        let departure = in_a_month(&world, &acme, &format!("HR-{n}"));
        cases.push(one.engine.submit(departure).await.unwrap().case());
    }
    one.die().await;
    store.lacks(&format!("openings/{}/{acme}/{}.json", T0.0 / DAY_MS, cases[1]));
    for case in &cases {
        world.ledger.inner.lose_tail(&acme, *case, usize::MAX);
    }
    let two = world.dispatcher().await;
    assert_eq!(two.engine.find_losses(0).await.unwrap(), 2);
    assert_eq!(world.index(&acme, cases[1]).await, None);
    assert!(is_marked(&world).await);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_is_listed_and_not_there_has_its_case_read_again_once() {
    let (mut world, acme) = keeping(SHORT);
    let store = Moody::in_place_of(&mut world);
    let one = world.dispatcher().await;
    let departure = in_a_month(&world, &acme, "HR-1");
    let case = one.engine.submit(departure).await.unwrap().case();
    one.die().await;
    let head = format!("heads/{acme}/{case}/00000001");
    world.store.put_named(&head, "whatever it was").await.unwrap();
    store.lacks(&head);
    for _ in 0..2 {
        let next = world.dispatcher().await;
        next.engine.find_losses(0).await.unwrap();
        assert!(is_marked(&world).await);
        assert_eq!(losses(&world, &acme, case).await, 1);
        next.die().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_case_that_the_store_is_slow_about_keeps_no_other_from_being_put_back() {
    const CASES: usize = 40;
    // Slow once, or whenever it is asked.
    for slow in [1, usize::MAX] {
        let (mut world, acme) = keeping(SHORT);
        let store = Moody::in_place_of(&mut world);
        let one = world.dispatcher().await;
        let mut cases = Vec::new();
        for n in 0..CASES {
            let departure = in_a_month(&world, &acme, &format!("HR-{n}"));
            cases.push(one.engine.submit(departure).await.unwrap().case());
        }
        one.die().await;
        for case in &cases {
            world.ledger.inner.lose_tail(&acme, *case, usize::MAX);
        }
        // It is among the first.
        let first = *cases.iter().min().unwrap();
        store.gets_stuck_in(&format!("orders/{acme}/{first}"), slow);
        let two = world.dispatcher().await;
        let found = two.engine.find_losses(0).await;
        assert_eq!(found.is_ok(), slow == 1, "{found:?}");
        assert_eq!(is_marked(&world).await, slow == 1);
        for case in &cases {
            let back = world.index(&acme, *case).await.is_some();
            assert_eq!(back, *case != first || slow == 1, "{case}");
        }
        store.gets_stuck_in("", 0);
        let left = usize::from(slow != 1);
        assert_eq!(two.engine.find_losses(0).await.unwrap(), left);
    }
}

/// Whoever ordered it appended it, and could not keep it before somebody else wrote down
/// that the ledger had lost it: by a report that knew of more.
#[tokio::test(start_paused = true)]
async fn an_order_that_is_kept_after_its_loss_was_written_down_is_ordered_anew_and_once() {
    let (world, acme) = keeping(CUT);
    let one = world.dispatcher().await;
    let departure = in_a_month(&world, &acme, "HR-1");
    let case = one.engine.submit(departure).await.unwrap().case();
    world.order(&acme, Kind::Resolve).await;
    one.engine.order(&acme, case, cancel()).await.unwrap();
    one.die().await;
    let kept = orders(&world).await;
    assert_eq!(kept.len(), 1, "{kept:?}");
    let file = world.folder().join("store").join(&kept[0]);
    let order = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    let known = world.case(&acme, case).await.version + 3;
    world.ledger.inner.lose_tail(&acme, case, 1);
    let two = world.dispatcher().await;
    let loss = Command::RecordLoss { known, parted: false };
    two.engine.order(&acme, case, loss).await.unwrap();
    assert_eq!(losses(&world, &acme, case).await, 1);
    two.die().await;
    fs::write(&file, order).unwrap();
    for _ in 0..2 {
        let next = world.dispatcher().await;
        let now = world.case(&acme, case).await.state;
        assert!(
            matches!(now, CaseState::Cancelling | CaseState::Cancelled),
            "called off: {now:?}"
        );
        assert_eq!(next.engine.find_losses(0).await.unwrap(), 0);
        assert_eq!(losses(&world, &acme, case).await, 2);
        next.die().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_tenant_had_long_ago_is_not_listed_whenever_its_shard_is_taken_up() {
    /// What one request tells; more is asked for once for each open case alone.
    const A_REQUEST: usize = 1_000;
    let (mut world, acme) = keeping(SHORT);
    let store = Moody::in_place_of(&mut world);
    let one = world.dispatcher().await;
    let departure = in_a_month(&world, &acme, "HR-1");
    let case = one.engine.submit(departure).await.unwrap().case();
    world.order(&acme, Kind::Resolve).await;
    one.engine.order(&acme, case, cancel()).await.unwrap();
    one.die().await;
    world.ledger.inner.lose_tail(&acme, case, 1);
    for n in 0..3 * A_REQUEST {
        let over = world.departure(&acme, &format!("HR-over-{n}")).case_id();
        for folder in ["heads", "orders"] {
            let path = format!("{folder}/{acme}/{over}/00000009-0123456789ab");
            world.store.put_named(&path, "kept").await.unwrap();
        }
    }
    let before = store.listed();
    let two = world.engine();
    two.recover().await.unwrap();
    let listed = store.listed() - before;
    assert!(listed <= 2 * (A_REQUEST + 2) + 4, "{listed} names for one open case");
    let now = world.case(&acme, case).await.state;
    assert!(matches!(now, CaseState::Cancelling | CaseState::Cancelled), "{now:?}");
}
