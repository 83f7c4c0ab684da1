//! What may be in flight is configured for the whole installation: dispatchers
//! that share its shards share that, too, however many there are.

use crate::rig::*;
use offboard_dispatcher::admission::Limits;
use offboard_domain::TenantId;
use std::collections::BTreeSet;
use std::sync::Arc;

const SHARDS: u16 = 8;
/// Of each queue.
const CREDIT: u32 = 8;

fn world(tenants: &[TenantId], urgent_together: u32) -> World {
    let mut world = World::new(tenants.iter().map(|t| (t.clone(), terms(CUT))));
    world.shards = SHARDS;
    world.limits = Arc::new(move || Limits {
        urgent_together,
        ..Limits::each(CREDIT)
    });
    world
}

/// How many assignments are out of those that were ordered since, while nobody
/// answers any.
fn out(world: &World, since: usize) -> usize {
    let orders = world.queue.orders();
    let attempts = orders[since..]
        .iter()
        .map(|o| (o.assignment.task, o.assignment.attempt));
    attempts.collect::<BTreeSet<_>>().len()
}

/// Submits more than may be in flight, and waits until all that may be is.
async fn crowd(world: &World, tenants: &[TenantId], of: &str, most: usize) {
    let (outside, since) = (world.engine(), world.queue.orders().len());
    for n in 0..4 {
        for tenant in tenants {
            let departure = world.departure(tenant, &format!("{of}-{n}"));
            outside.submit(departure).await.unwrap();
        }
    }
    until("all that may be is out", MINUTE, async || out(world, since) >= most).await;
    pass(30 * SECOND).await;
    assert_eq!(out(world, since), most, "with {of}");
}

#[tokio::test(start_paused = true)]
async fn two_dispatchers_have_no_more_in_flight_than_one() {
    // Of one queue, and of all that is urgent together.
    for (urgent_together, most) in [(u32::MAX, 8), (6, 6)] {
        let tenants: Vec<TenantId> = (0..12).map(|n| tenant(&format!("tenant-{n}"))).collect();
        let world = world(&tenants, urgent_together);
        let _closer = world.closer();
        let one = world.member("one", world.clock.clone());
        let two = world.member("two", world.clock.clone());
        until("each has its share", MINUTE, async || {
            [&one, &two].iter().all(|d| d.owned().len() == usize::from(SHARDS / 2))
        })
        .await;
        crowd(&world, &tenants, "two", most).await;
        let worker = world.worker();
        world.all_closed(30 * MINUTE).await;
        drop(worker);
        // Who stays has what the other had.
        one.leave().await;
        until("the other owns all", MINUTE, async || {
            two.owned().len() == usize::from(SHARDS)
        })
        .await;
        crowd(&world, &tenants, "one", most).await;
        let _worker = world.worker();
        world.all_closed(30 * MINUTE).await;
        two.is_idle().await;
    }
}
