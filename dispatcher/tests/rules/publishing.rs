//! What was ordered goes out, each order by itself: a queue that takes nothing
//! holds back what is for it, and nothing else of the same case.

use crate::rig::*;
use offboard_domain::{Area, Kind, Lane};
use offboard_queue::QueueName;

/// Once he is found, two areas are asked at the same time.
const FINDS: &[Kind] = &[Kind::Resolve, Kind::SnapshotAccess, Kind::DiscoverDevices];

fn queues_of(area: Area) -> impl Iterator<Item = QueueName> {
    [Lane::Urgent, Lane::Normal]
        .into_iter()
        .map(move |lane| QueueName::Assignments { area, lane, site: None })
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_refuses_holds_back_its_own_orders_alone() {
    for (refusing, held_back, other) in [
        (Area::Identity, Kind::SnapshotAccess, Kind::DiscoverDevices),
        (Area::Device, Kind::DiscoverDevices, Kind::SnapshotAccess),
    ] {
        let acme = tenant("acme");
        let world = World::new([(acme.clone(), terms(FINDS))]);
        let dispatcher = world.dispatcher().await;
        let departure = world.departure(&acme, "HR-1");
        dispatcher.engine.submit(departure).await.unwrap();
        let resolve = world.order(&acme, Kind::Resolve).await;
        world.queue.refuse(queues_of(refusing));
        world.answer(&resolve).await;
        pass(20 * SECOND).await;
        assert_eq!(
            world.ordered(other).len(),
            1,
            "{other} goes out while {refusing} refuses, and once"
        );
        assert_eq!(world.ordered(held_back).len(), 0);
        // It takes what is published again, and nobody does anything for it.
        world.queue.refuse([]);
        let late = world.order(&acme, held_back).await;
        assert_eq!(late.assignment.attempt, 1, "it waited, and was not tried in vain");
        pass(20 * SECOND).await;
        assert_eq!((world.ordered(other).len(), world.ordered(held_back).len()), (1, 1));
    }
}
