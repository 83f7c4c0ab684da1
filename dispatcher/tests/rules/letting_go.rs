//! A shard that is given up may take its time, for whatever is at hand in it: the
//! others stay with whoever owns them.

use crate::rig::*;
use offboard_domain::{Kind, TenantId};

const SHARDS: u16 = 8;
const HALF: usize = 4;

#[tokio::test(start_paused = true)]
async fn giving_up_a_shard_keeps_no_other_from_being_renewed() {
    let tenants: Vec<TenantId> = (0..12).map(|n| tenant(&format!("tenant-{n}"))).collect();
    let mut world = World::new(tenants.iter().map(|t| (t.clone(), terms(SHORT))));
    world.shards = SHARDS;
    let _closer = world.closer();
    let outside = world.engine();
    let one = world.member("one", world.clock.clone());
    until("he owns all", MINUTE, async || one.owned().len() == usize::from(SHARDS)).await;
    let mut resolved = Vec::new();
    for tenant in &tenants {
        outside.submit(world.departure(tenant, "HR-1")).await.unwrap();
        resolved.push(world.order(tenant, Kind::Resolve).await);
    }
    // What each report causes cannot be published: it stays at hand.
    world.queue.stick(true);
    for order in &resolved {
        world.answer(order).await;
    }
    pass(SECOND).await;
    // Somebody comes, and is to be given half.
    let two = world.member("two", world.clock.clone());
    let mut kept = Vec::new();
    for _ in 0..60 {
        pass(SECOND).await;
        let (his, others) = (one.owned(), two.owned());
        assert!(others.len() <= HALF, "also {others:?} are taken for nobody's");
        kept = his.into_iter().filter(|shard| !others.contains(shard)).collect();
        assert!(kept.len() >= HALF, "he keeps {kept:?}");
    }
    assert_eq!(two.owned().len(), HALF, "nobody waits longer than for a lease");
    let taken = two.owned();
    let stuck = tenants.iter().any(|t| taken.contains(&t.shard(SHARDS)));
    assert!(stuck, "something was at hand where he let go");

    world.queue.stick(false);
    until("each has his half", MINUTE, async || {
        one.owned() == kept && two.owned().len() == HALF
    })
    .await;
    let _worker = world.worker();
    world.all_closed(30 * MINUTE).await;
    one.is_idle().await;
    two.is_idle().await;
}

/// As when one node of a cluster is away, which keeps some of the shards.
#[tokio::test(start_paused = true)]
async fn a_shard_that_the_ledger_says_nothing_of_keeps_no_other_from_being_renewed() {
    let mut world = World::new([]);
    world.shards = SHARDS;
    let one = world.member("one", world.clock.clone());
    until("he owns all", MINUTE, async || one.owned().len() == usize::from(SHARDS)).await;
    world.ledger.say_nothing_of(Some(0));
    until("he lets go of it", MINUTE, async || !one.owned().contains(&0)).await;
    for _ in 0..60 {
        pass(SECOND).await;
        assert_eq!(one.owned(), (1..SHARDS).collect::<Vec<_>>());
    }
    world.ledger.say_nothing_of(None);
    until("he owns all again", MINUTE, async || {
        one.owned().len() == usize::from(SHARDS)
    })
    .await;
}
