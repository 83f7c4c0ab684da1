//! What a ledger has lost that nobody would meet by himself: departures of long
//! ago, sealed ones that went on before anybody looked, and what people ordered.

use crate::rig::*;
use offboard_dispatcher::Keeping;
use offboard_dispatcher::gates::{Paused, WITHOUT_END};
use offboard_domain::departure::Manner;
use offboard_domain::time::{DAY_MS, HOUR_MS};
use offboard_domain::{CaseId, CaseState, Command, Departure, Event, Kind, Mode, TenantId};
use offboard_ledger::Ledger as _;

pub(crate) fn keeping(kinds: &[Kind]) -> (World, TenantId) {
    let acme = tenant("acme");
    let mut world = World::new([(acme.clone(), terms(kinds))]);
    world.keeping = Some(Keeping {
        archive_after_ms: 365 * DAY_MS,
    });
    (world, acme)
}

pub(crate) async fn losses(world: &World, tenant: &TenantId, case: CaseId) -> usize {
    let events = world.events(tenant, case).await;
    let lost = |e: &Event| matches!(e, Event::TailLost { .. });
    events.iter().filter(|(_, e)| lost(e)).count()
}

/// Who leaves in a month.
pub(crate) fn in_a_month(world: &World, tenant: &TenantId, reference: &str) -> Departure {
    Departure {
        manner: Manner::Planned,
        effective_at: world.now().plus(30 * DAY_MS),
        ..world.departure(tenant, reference)
    }
}

pub(crate) fn cancel() -> Command {
    Command::Cancel {
        by: "boss@msp.example".into(),
        reason: "he stays".into(),
    }
}

#[tokio::test(start_paused = true)]
async fn who_was_accepted_long_ago_and_vanished_is_put_back_if_his_departure_was_not_over() {
    const OTHERS: u64 = 20;
    let (world, acme) = keeping(SHORT);
    let closer = world.closer();
    let worker = world.worker();
    let one = world.dispatcher().await;
    let over = one.engine.submit(world.departure(&acme, "HR-over")).await.unwrap();
    world.all_closed(MINUTE).await;
    drop(worker);
    drop(closer);
    let open = one.engine.submit(in_a_month(&world, &acme, "HR-open")).await.unwrap();
    for n in 0..OTHERS {
        let departure = in_a_month(&world, &acme, &format!("HR-{n}"));
        one.engine.submit(departure).await.unwrap();
    }
    one.engine.find_losses(0).await.unwrap();
    one.die().await;
    // A backup from before all of this is restored a week later.
    for case in [over.case(), open.case()] {
        assert_eq!(world.ledger.inner.lose_tail(&acme, case, usize::MAX), 0);
    }
    world.ledger.inner.lose_gates();
    pass(7 * DAY_MS).await;
    let two = world.dispatcher().await;
    let before = world.ledger.reads();
    assert_eq!(two.engine.find_losses(0).await.unwrap(), 1);
    let reads = world.ledger.reads() - before;
    assert!(reads < OTHERS, "{reads} histories were read for one that is gone");
    assert_eq!(losses(&world, &acme, open.case()).await, 1);
    let gone = world.index(&acme, over.case()).await;
    assert_eq!(gone, None, "what was done to him long ago is not done again");
    assert_eq!(two.engine.find_losses(0).await.unwrap(), 0, "it is found once");
    assert_eq!(losses(&world, &acme, open.case()).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_mark_of_the_last_days_vouches_for_what_was_opened_before() {
    let (world, acme) = keeping(SHORT);
    let one = world.dispatcher().await;
    let departure = in_a_month(&world, &acme, "HR-1");
    let case = one.engine.submit(departure).await.unwrap().case();
    one.die().await;
    pass(7 * DAY_MS).await;
    let two = world.dispatcher().await;
    assert_eq!(two.engine.find_losses(0).await.unwrap(), 0);
    two.die().await;
    // No ledger loses what is older than something that is still there.
    world.ledger.inner.lose_tail(&acme, case, usize::MAX);
    let three = world.dispatcher().await;
    assert_eq!(three.engine.find_losses(0).await.unwrap(), 0);
    three.die().await;
    world.ledger.inner.lose_gates();
    let four = world.dispatcher().await;
    assert_eq!(four.engine.find_losses(0).await.unwrap(), 1);
}

/// Takes from a closed case what came after its plan, as an old backup does.
async fn goes_back(world: &World, tenant: &TenantId, case: CaseId) {
    let closed = world.case(tenant, case).await.version;
    while world.case(tenant, case).await.version + 6 > closed {
        world.ledger.inner.lose_tail(tenant, case, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_sealed_case_that_went_back_long_ago_is_read_again_before_anything_is_done_for_it() {
    let (world, acme) = keeping(CUT);
    let _closer = world.closer();
    let _worker = world.worker();
    let one = world.dispatcher().await;
    let departure = world.departure(&acme, "HR-1");
    let case = one.engine.submit(departure).await.unwrap().case();
    world.all_closed(MINUTE).await;
    let evidence = world.case(&acme, case).await.evidence;
    one.die().await;
    pass(7 * DAY_MS).await;
    goes_back(&world, &acme, case).await;
    let _two = world.dispatcher().await;
    let events = world.events(&acme, case).await;
    assert_eq!(losses(&world, &acme, case).await, 1, "as soon as its shard is taken");
    let noted = events.iter().position(|(_, e)| matches!(e, Event::TailLost { .. }));
    let after = &events[noted.unwrap()..];
    assert!(!after.iter().any(|(_, e)| matches!(e, Event::TaskSettled { .. })));
    world.all_closed(30 * MINUTE).await;
    assert_eq!(losses(&world, &acme, case).await, 1);
    assert_ne!(world.case(&acme, case).await.evidence, evidence);
}

/// Who takes it up does not look, as one of an older version.
#[tokio::test(start_paused = true)]
async fn the_closer_seals_no_history_that_has_parted_from_one_that_it_has_sealed() {
    let (mut world, acme) = keeping(CUT);
    let _closer = world.closer();
    let _worker = world.worker();
    let one = world.dispatcher().await;
    let departure = world.departure(&acme, "HR-1");
    let case = one.engine.submit(departure).await.unwrap().case();
    world.all_closed(MINUTE).await;
    one.die().await;
    goes_back(&world, &acme, case).await;
    world.keeping = None;
    let _two = world.dispatcher().await;
    assert_eq!(losses(&world, &acme, case).await, 0, "or this test shows nothing");
    until("the closer says so", 30 * MINUTE, async || {
        losses(&world, &acme, case).await == 1
    })
    .await;
    world.all_closed(30 * MINUTE).await;
    assert_eq!(losses(&world, &acme, case).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_departure_that_was_called_off_stays_so_when_a_running_dispatcher_meets_the_loss() {
    let (world, acme) = keeping(CUT);
    let _closer = world.closer();
    let dispatcher = world.dispatcher().await;
    let departure = world.departure(&acme, "HR-1");
    let case = dispatcher.engine.submit(departure).await.unwrap().case();
    let order = world.order(&acme, Kind::Resolve).await;
    dispatcher.engine.order(&acme, case, cancel()).await.unwrap();
    world.ledger.inner.lose_tail(&acme, case, 1);
    assert_eq!(world.case(&acme, case).await.state, CaseState::Received);
    world.answer(&order).await;
    // Whoever may be at something that was ordered in what is lost is waited for.
    until("it is called off", 30 * MINUTE, async || {
        world.case(&acme, case).await.state == CaseState::Cancelled
    })
    .await;
    assert_eq!(losses(&world, &acme, case).await, 1);
    let events = world.events(&acme, case).await;
    let by: Vec<&str> = events
        .iter()
        .filter_map(|(_, e)| match e {
            Event::CancelRequested { by, .. } => Some(by.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(by, ["boss@msp.example"]);
    assert_eq!(world.queue.orders().len(), 1, "nothing more is done to him");
}

#[tokio::test(start_paused = true)]
async fn a_departure_that_was_called_off_stays_so_after_a_restart_of_everything() {
    for whole in [false, true] {
        let (world, acme) = keeping(CUT);
        let one = world.dispatcher().await;
        let departure = in_a_month(&world, &acme, "HR-1");
        let case = one.engine.submit(departure).await.unwrap().case();
        world.order(&acme, Kind::Resolve).await;
        one.engine.order(&acme, case, cancel()).await.unwrap();
        one.die().await;
        world
            .ledger
            .inner
            .lose_tail(&acme, case, if whole { usize::MAX } else { 1 });
        let before = world.queue.orders().len();
        let two = world.dispatcher().await;
        two.engine.find_losses(0).await.unwrap();
        assert_eq!(losses(&world, &acme, case).await, 1, "{whole}");
        let now = world.case(&acme, case).await.state;
        assert!(
            matches!(now, CaseState::Cancelling | CaseState::Cancelled),
            "{whole}: {now:?}"
        );
        pass(HOUR_MS).await;
        assert_eq!(
            world.queue.orders().len(),
            before,
            "{whole}: nothing more is done to him"
        );
        two.engine.find_losses(0).await.unwrap();
        assert_eq!(losses(&world, &acme, case).await, 1, "{whole}: it is noticed once");
    }
}

/// Another day, and by whom.
pub(crate) fn postponed(first: &Departure, days: i64) -> Departure {
    Departure {
        effective_at: first.effective_at.plus(days * DAY_MS),
        requested_by: format!("hr-{days}@msp.example"),
        ..first.clone()
    }
}

#[tokio::test(start_paused = true)]
async fn a_changed_day_that_was_lost_is_changed_again_for_whoever_changed_it_and_once() {
    let (world, acme) = keeping(SHORT);
    let one = world.dispatcher().await;
    let first = in_a_month(&world, &acme, "HR-1");
    let case = one.engine.submit(first.clone()).await.unwrap().case();
    let order = world.order(&acme, Kind::Resolve).await;
    one.engine.submit(postponed(&first, 1)).await.unwrap();
    world.ledger.inner.lose_tail(&acme, case, 1);
    pass(SECOND).await;
    world.answer(&order).await;
    until("the loss is met", MINUTE, async || {
        losses(&world, &acme, case).await == 1
    })
    .await;
    let now = world.case(&acme, case).await;
    assert_eq!(now.departure.effective_at, postponed(&first, 1).effective_at);
    assert!(now.amended_by.contains("hr-1@msp.example"), "{:?}", now.amended_by);
    // Changed since, and called off; of that the end is lost while nobody runs.
    pass(SECOND).await;
    one.engine.submit(postponed(&first, 2)).await.unwrap();
    pass(SECOND).await;
    one.engine.order(&acme, case, cancel()).await.unwrap();
    one.die().await;
    world.ledger.inner.lose_tail(&acme, case, 1);
    let _two = world.dispatcher().await;
    let now = world.case(&acme, case).await;
    assert_eq!(now.departure.effective_at, postponed(&first, 2).effective_at);
    assert!(matches!(now.state, CaseState::Cancelling | CaseState::Cancelled));
    assert_eq!(losses(&world, &acme, case).await, 2);
}

/// The owner still holds what is lost, and meets it in what somebody else appends.
#[tokio::test(start_paused = true)]
async fn a_changed_day_that_was_lost_does_not_undo_what_was_changed_since() {
    let (world, acme) = keeping(SHORT);
    let dispatcher = world.dispatcher().await;
    let outside = world.engine();
    let first = in_a_month(&world, &acme, "HR-1");
    let case = dispatcher.engine.submit(first.clone()).await.unwrap().case();
    world.order(&acme, Kind::Resolve).await;
    dispatcher.engine.submit(postponed(&first, 1)).await.unwrap();
    world.ledger.inner.lose_tail(&acme, case, 1);
    pass(SECOND).await;
    outside.submit(postponed(&first, 2)).await.unwrap();
    until("the loss is met", 5 * SECOND, async || {
        losses(&world, &acme, case).await == 1
    })
    .await;
    let now = world.case(&acme, case).await;
    assert_eq!(now.departure.effective_at, postponed(&first, 2).effective_at);
    assert!(!now.amended_by.contains("hr-1@msp.example"), "{:?}", now.amended_by);
    let held = dispatcher.engine.case(&acme, case).await.unwrap();
    assert_eq!((held.version, held.head), (now.version, now.head));
}

#[tokio::test(start_paused = true)]
async fn what_somebody_approved_is_ordered_anew_and_read_first() {
    let (world, acme) = keeping(WIPE);
    let _closer = world.closer();
    let _worker = world.worker_who(0, |a| {
        (a.kind != Kind::WipeDevice || a.mode == Mode::ObserveOnly).then(|| truth(a))
    });
    let dispatcher = world.dispatcher().await;
    let departure = world.departure(&acme, "HR-1");
    let case = dispatcher.engine.submit(departure).await.unwrap().case();
    until("the wipe is found", MINUTE, async || {
        find(&world.case(&acme, case).await, Kind::WipeDevice).is_some()
    })
    .await;
    world.approve_wipes(&dispatcher.engine).await;
    let order = world.order(&acme, Kind::WipeDevice).await;
    until("only the wipe is out", MINUTE, async || {
        in_flight(&world.case(&acme, case).await).len() == 1
    })
    .await;
    while find(&world.case(&acme, case).await, Kind::WipeDevice).is_some_and(|t| t.approved.is_some()) {
        world.ledger.inner.lose_tail(&acme, case, 1);
    }
    world.answer(&order).await;
    // Nobody approves it a second time.
    world.all_closed(30 * MINUTE).await;
    assert_eq!(losses(&world, &acme, case).await, 1);
    world.assert_once();
    let modes: Vec<Mode> = world
        .ordered(Kind::WipeDevice)
        .iter()
        .map(|o| o.assignment.mode)
        .collect();
    assert_eq!(modes, [Mode::Full, Mode::ObserveOnly]);
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_the_ledger_lost_is_in_force_again_and_one_that_was_ended_is_not() {
    let (world, acme) = keeping(SHORT);
    let one = world.dispatcher().await;
    let engine = &one.engine;
    engine.find_losses(0).await.unwrap();
    pass(MINUTE).await;
    let of = |kind| Paused { system: None, kind };
    let (all, ended) = (of(None), of(Some(Kind::WipeDevice)));
    engine.pause(&acme, &ended, WITHOUT_END, None).await.unwrap();
    engine.pause(&acme, &all, WITHOUT_END, None).await.unwrap();
    pass(SECOND).await;
    engine.resume(&acme, &ended).await.unwrap();
    let shut = async || {
        let gates = world.ledger.inner.gates(&acme, Vec::new()).await.unwrap();
        gates.into_keys().collect::<Vec<_>>()
    };
    assert_eq!(shut().await, ["pause"]);
    // Whatever is lost: all, or what came after the last look alone.
    let lost = |name: &str| offboard_ledger::GateChange {
        name: name.to_owned(),
        until: None,
    };
    world.ledger.inner.gates(&acme, vec![lost("pause")]).await.unwrap();
    engine.find_losses(0).await.unwrap();
    assert_eq!(shut().await, ["pause"]);
    world.ledger.inner.lose_gates();
    engine.find_losses(0).await.unwrap();
    assert_eq!(shut().await, ["pause"]);
    // What a mark vouches for is as the ledger has it, also if an older version ended it.
    pass(MINUTE).await;
    engine.find_losses(0).await.unwrap();
    world.ledger.inner.gates(&acme, vec![lost("pause")]).await.unwrap();
    engine.find_losses(0).await.unwrap();
    assert_eq!(shut().await, [""; 0]);
}
