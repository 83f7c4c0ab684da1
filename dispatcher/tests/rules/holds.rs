//! A vendor's request to be left alone is not forgotten by whoever dies, and a
//! pause is what was ordered last.

use crate::rig::*;
use offboard_dispatcher::gates::Paused;
use offboard_domain::{FaultClass, Kind};
use offboard_ledger::Ledger as _;

#[tokio::test(start_paused = true)]
async fn a_hold_is_in_force_before_the_answer_that_asked_for_it_is_on_record() {
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), terms(SHORT))]);
    let dispatcher = world.dispatcher().await;
    let departure = world.departure(&acme, "HR-1");
    let case = dispatcher.engine.submit(departure).await.unwrap().case();
    let order = world.order(&acme, Kind::Resolve).await;
    let in_flight = async || !in_flight(&world.case(&acme, case).await).is_empty();
    // Whoever cannot write the hold has written nothing, and the answer comes again.
    world.ledger.refuse_gates(true);
    let class = FaultClass::Throttled {
        retry_after_ms: Some(10 * MINUTE),
    };
    world.answer_with(&order, fault(&order.assignment, class)).await;
    pass(5 * SECOND).await;
    assert!(in_flight().await, "the answer is on record, and the hold is not");
    world.ledger.refuse_gates(false);
    until("it is on record", MINUTE, async || !in_flight().await).await;
    let gates = world.ledger.inner.gates(&acme, Vec::new()).await.unwrap();
    let hold = gates.get("hold/m365").copied();
    assert!(
        hold.is_some_and(|hold| hold > world.now().plus(9 * MINUTE)),
        "{gates:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_pause_ends_when_whoever_ordered_it_last_said() {
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), terms(SHORT))]);
    let _closer = world.closer();
    let _worker = world.worker();
    let dispatcher = world.dispatcher().await;
    let all = Paused::default();
    for minutes in [60, 5] {
        let ends = world.now().plus(minutes * MINUTE);
        dispatcher.engine.pause(&acme, &all, ends, None).await.unwrap();
    }
    let departure = world.departure(&acme, "HR-1");
    dispatcher.engine.submit(departure).await.unwrap();
    pass(4 * MINUTE).await;
    assert_eq!(world.queue.orders().len(), 0);
    world.all_closed(2 * MINUTE).await;
}
