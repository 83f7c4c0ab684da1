//! Several dispatchers on one ledger and one queue: they share the shards,
//! hand them over when they leave, and take them over when one is gone. Two
//! that both believe that they own a case lose races against each other, and
//! nothing else.

use crate::rig::*;
use offboard_dispatcher::Engine;
use offboard_domain::{CaseId, Command, Event, FaultClass, Kind, Mode, TaskState, TenantId};
use offboard_queue::{Queue as _, QueueName};
use offboard_runtime::SkewedClock;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A lease and the time between two looks at who lives.
const TAKEN_OVER_WITHIN: i64 = 25 * SECOND;
/// How long a look at who lives takes at most.
const LOOK: i64 = 6 * SECOND;
/// How long somebody else has reached the broker before shards are left to him.
const APART_AFTER: i64 = 45 * SECOND;
const SHARDS: u16 = 8;

fn tenants(n: usize) -> Vec<TenantId> {
    (0..n).map(|n| tenant(&format!("tenant-{n}"))).collect()
}

fn shared(tenants: &[TenantId]) -> World {
    let mut world = World::new(tenants.iter().map(|t| (t.clone(), terms(WIPE))));
    world.shards = SHARDS;
    world
}

/// Twelve tenants, whom a worker and a closer serve, and an engine that owns none of them.
fn served() -> (World, Vec<TenantId>, Arc<Engine>, [Running; 2]) {
    let tenants = tenants(12);
    let world = shared(&tenants);
    let closer = world.closer();
    let worker = world.worker_who(2 * SECOND, |a| Some(truth(a)));
    let outside = world.engine();
    (world, tenants, outside, [closer, worker])
}

/// One departure of each tenant, accepted by whoever is asked.
async fn submit(world: &World, tenants: &[TenantId], by: &Arc<Engine>, reference: &str) -> Vec<CaseId> {
    let mut cases = Vec::new();
    for tenant in tenants {
        let departure = world.departure(tenant, reference);
        cases.push(by.submit(departure).await.unwrap().case());
    }
    cases
}

async fn share(dispatchers: &[&Dispatcher]) {
    until("each shard has its owner", MINUTE, async || {
        let mut owned: Vec<u16> = dispatchers.iter().flat_map(|d| d.owned()).collect();
        owned.sort_unstable();
        let even = usize::from(SHARDS) / dispatchers.len();
        owned == (0..SHARDS).collect::<Vec<_>>() && dispatchers.iter().all(|d| d.owned().len() == even)
    })
    .await;
}

async fn owns_all(who: &Dispatcher, within_ms: i64) {
    until("the other owns all", within_ms, async || {
        who.owned().len() == usize::from(SHARDS)
    })
    .await;
}

/// Once discovery has found them, somebody approves all wipes.
async fn approve_all(world: &World, by: &Arc<Engine>, count: usize) {
    until("every wipe waits for its approval", 5 * MINUTE, async || {
        let mut found = 0;
        for entry in world.listed().await {
            let case = world.case(&entry.tenant, entry.case).await;
            found += case.tasks.values().filter(|t| t.kind() == Kind::WipeDevice).count();
        }
        found == count
    })
    .await;
    world.approve_wipes(by).await;
}

/// One more departure of each tenant comes and closes, with all `wipes` that were ever found.
async fn closes(world: &World, tenants: &[TenantId], by: &Arc<Engine>, reference: &str, wipes: usize) {
    submit(world, tenants, by, reference).await;
    approve_all(world, by, wipes).await;
    world.all_closed(5 * MINUTE).await;
    world.assert_once();
}

#[tokio::test(start_paused = true)]
async fn who_leaves_hands_over_at_once_and_nothing_is_lost_or_ordered_twice() {
    let (world, tenants, outside, _served) = served();
    let one = world.member("one", world.clock.clone());
    let two = world.member("two", world.clock.clone());
    share(&[&one, &two]).await;
    submit(&world, &tenants, &outside, "HR-1").await;
    approve_all(&world, &outside, tenants.len()).await;
    until("wipes are being ordered", MINUTE, async || {
        !world.ordered(Kind::WipeDevice).is_empty()
    })
    .await;
    let left = world.now();
    let one = one.leave().await;
    assert!(
        world.now().since(left) < 3 * SECOND,
        "he finished what was at hand, and no more"
    );
    assert_eq!(one.holdings(), "0 cases; ", "what he held he let go");
    owns_all(&two, LOOK).await;
    assert!(world.now().since(left) < LOOK + 3 * SECOND, "no lease was waited for");
    closes(&world, &tenants, &outside, "HR-2", 2 * tenants.len()).await;
    assert_eq!(world.ordered(Kind::WipeDevice).len(), 2 * tenants.len());
    two.is_idle().await;
}

#[tokio::test(start_paused = true)]
async fn who_dies_is_replaced_within_the_lease() {
    let (world, tenants, outside, _served) = served();
    let one = world.member("one", world.clock.clone());
    let two = world.member("two", world.clock.clone());
    share(&[&one, &two]).await;
    let his: Vec<TenantId> = tenants.iter().filter(|t| one.engine.owns(t)).cloned().collect();
    assert!(!his.is_empty());
    submit(&world, &tenants, &outside, "HR-1").await;
    approve_all(&world, &outside, tenants.len()).await;
    one.die().await;
    let died = world.now();
    // It was renewed just before, and is looked at just before it ends.
    owns_all(&two, TAKEN_OVER_WITHIN + 5 * SECOND).await;
    assert!(world.now().since(died) > 5 * SECOND, "a lease is not taken away");
    submit(&world, &his, &outside, "HR-2").await;
    approve_all(&world, &outside, tenants.len() + his.len()).await;
    // What he had ordered and nobody published runs out first, and is read.
    world.all_closed(30 * MINUTE).await;
    world.assert_once();
    two.is_idle().await;
}

#[tokio::test(start_paused = true)]
async fn who_cannot_reach_the_ledger_lets_go_before_somebody_else_takes_over() {
    let (world, tenants, outside, _served) = served();
    let (one, way) = world.member_apart("one");
    let two = world.member("two", world.clock.clone());
    share(&[&one, &two]).await;
    submit(&world, &tenants, &outside, "HR-1").await;
    pass(SECOND).await;
    way.cut(true);
    let cut = world.now();
    let both = async || {
        let his = one.owned();
        two.owned().iter().any(|s| his.contains(s))
    };
    until("the other owns all", TAKEN_OVER_WITHIN, async || {
        assert!(!both().await, "two own a shard {} ms later", world.now().since(cut));
        two.owned().len() == usize::from(SHARDS)
    })
    .await;
    assert_eq!(one.owned(), [0; 0]);
    approve_all(&world, &outside, tenants.len()).await;
    world.all_closed(30 * MINUTE).await;
    world.assert_once();
    // It reaches it again, and gets its share.
    way.cut(false);
    share(&[&one, &two]).await;
    closes(&world, &tenants, &outside, "HR-2", 2 * tenants.len()).await;
    one.is_idle().await;
    two.is_idle().await;
}

/// He reaches the ledger: nobody would take his shards from him.
#[tokio::test(start_paused = true)]
async fn who_is_cut_off_from_the_broker_alone_leaves_his_shards_to_whoever_is_not() {
    let (world, tenants, outside, _served) = served();
    let (one, line) = world.member_on_a_line("one");
    let two = world.member("two", world.clock.clone());
    share(&[&one, &two]).await;
    line.cut(true);
    pass(30 * SECOND).await;
    share(&[&one, &two]).await;
    until("the other owns all", MINUTE, async || {
        two.owned().len() == usize::from(SHARDS) && one.owned().is_empty()
    })
    .await;
    closes(&world, &tenants, &outside, "HR-1", tenants.len()).await;
    assert_eq!(one.owned(), [0; 0]);
    line.cut(false);
    share(&[&one, &two]).await;
    closes(&world, &tenants, &outside, "HR-2", 2 * tenants.len()).await;
    one.is_idle().await;
    two.is_idle().await;
}

#[tokio::test(start_paused = true)]
async fn nobody_leaves_anything_to_others_who_are_cut_off_from_the_broker_too() {
    let world = shared(&[]);
    let (one, ones) = world.member_on_a_line("one");
    let (two, twos) = world.member_on_a_line("two");
    share(&[&one, &two]).await;
    let (his, others) = (one.owned(), two.owned());
    for line in [&ones, &twos] {
        line.cut(true);
    }
    for _ in 0..5 * 60 {
        pass(SECOND).await;
        assert_eq!((one.owned(), two.owned()), (his.clone(), others.clone()));
    }
    // When one of them has reached it for a while the other one's are his: he says that he
    // does, is heard, the other one lets go, says so, and he takes them.
    twos.cut(false);
    until("he owns all", APART_AFTER + 5 * LOOK, async || {
        two.owned().len() == usize::from(SHARDS) && one.owned().is_empty()
    })
    .await;
    // And who is alone is better than nobody.
    two.leave().await;
    owns_all(&one, MINUTE).await;
}

/// However long the broker was away from all: one is connected again before the other.
#[tokio::test(start_paused = true)]
async fn who_reaches_the_broker_again_a_little_later_than_others_leaves_nothing() {
    let world = shared(&[]);
    let (one, ones) = world.member_on_a_line("one");
    let (two, twos) = world.member_on_a_line("two");
    share(&[&one, &two]).await;
    let (his, others) = (one.owned(), two.owned());
    let stays = async |seconds: i64| {
        for _ in 0..seconds {
            pass(SECOND).await;
            assert_eq!((one.owned(), two.owned()), (his.clone(), others.clone()));
        }
    };
    ones.cut(true);
    twos.cut(true);
    stays(5 * 60).await;
    twos.cut(false);
    stays(40).await;
    ones.cut(false);
    stays(2 * 60).await;
    // It is counted anew each time.
    ones.cut(true);
    stays(40).await;
}

/// He stands apart, and one of his reports takes longer than a lease.
#[tokio::test(start_paused = true)]
async fn who_is_cut_off_from_the_broker_is_taken_nothing_from_while_his_lease_lasts() {
    let tenants = tenants(12);
    let world = shared(&tenants);
    let outside = world.engine();
    let (one, line) = world.member_on_a_line("one");
    let two = world.member("two", world.clock.clone());
    share(&[&one, &two]).await;
    let held = one.owned();
    let his = tenants.iter().find(|t| one.engine.owns(t)).unwrap();
    let shard = his.shard(SHARDS);
    submit(&world, std::slice::from_ref(his), &outside, "HR-1").await;
    let order = world.order(his, Kind::Resolve).await;
    // What it causes is being published when he is cut off, and stays at hand.
    world.queue.stick(true);
    world.answer(&order).await;
    pass(SECOND).await;
    line.cut(true);
    until("he lets go", APART_AFTER + 3 * LOOK, async || {
        one.owned().len() < held.len()
    })
    .await;
    pass(SECOND).await;
    assert_eq!(one.owned(), [shard], "or this test shows nothing");
    // It was renewed at the look before.
    for _ in 0..8 {
        assert!(!two.owned().contains(&shard), "it is his, and he says that he lives");
        pass(SECOND).await;
    }
    // Nor do the others wait for what never ends.
    owns_all(&two, 3 * LOOK).await;
    world.queue.stick(false);
    until("he has let go of all", MINUTE, async || one.owned().is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn who_comes_is_given_his_share_while_work_goes_on() {
    let (world, tenants, outside, _served) = served();
    let one = world.member("one", world.clock.clone());
    share(&[&one]).await;
    submit(&world, &tenants, &outside, "HR-1").await;
    let two = world.member("two", world.clock.clone());
    share(&[&one, &two]).await;
    approve_all(&world, &outside, tenants.len()).await;
    world.all_closed(5 * MINUTE).await;
    world.assert_once();
    one.is_idle().await;
    two.is_idle().await;
}

/// What everybody does while a dispatcher leaves: report, tick, approve, retry.
#[tokio::test(start_paused = true)]
async fn what_is_decided_while_a_shard_is_left_holds_nothing_there() {
    for left_after_ms in 0..40 {
        let acme = tenant("acme");
        let world = World::new([(acme.clone(), terms(WIPE))]);
        world.ledger.takes(5);
        let _closer = world.closer();
        let _worker = world.worker();
        let engine = world.engine();
        let one = world.dispatcher().await;
        for n in 0..4 {
            let departure = world.departure(&acme, &format!("HR-{n}"));
            one.engine.submit(departure).await.unwrap();
        }
        pass(left_after_ms).await;
        let busy = (0..4).map(|n| {
            let by = one.engine.clone();
            let departure = world.departure(&acme, &format!("HR-late-{n}"));
            tokio::spawn(async move { by.submit(departure).await.map(drop) })
        });
        let busy: Vec<_> = busy.collect();
        tokio::task::yield_now().await;
        let noticing = one.engine.clone();
        let stop = one.stopped();
        let also = tokio::spawn(noticing.notice(stop));
        one.engine.leave_shard(0).await;
        for accepted in busy {
            accepted.await.unwrap().unwrap();
        }
        let one = one.leave().await;
        also.await.unwrap();
        assert_eq!(one.holdings(), "0 cases; ", "left after {left_after_ms} ms");
        engine.recover().await.unwrap();
        let two = Dispatcher::over(engine, |engine, stop| {
            vec![tokio::spawn(engine.clone().take_reports(0, stop))]
        });
        approve_all(&world, &world.engine(), 8).await;
        world.all_closed(10 * MINUTE).await;
        world.assert_once();
        two.is_idle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_just_ordered_is_published_before_a_shard_is_left() {
    for left_after_ms in 0..60 {
        let acme = tenant("acme");
        let world = World::new([(acme.clone(), terms(WIPE))]);
        let _worker = world.worker();
        let one = world.dispatcher().await;
        let departure = world.departure(&acme, "HR-1");
        let case = one.engine.submit(departure).await.unwrap().case();
        until("the wipe is found", MINUTE, async || {
            let case = world.case(&acme, case).await;
            case.tasks.values().any(|t| t.kind() == Kind::WipeDevice)
        })
        .await;
        world.ledger.takes(10);
        let (by, waiting) = (one.engine.clone(), world.case(&acme, case).await);
        let wipe = task(&waiting, Kind::WipeDevice);
        let of = offboard_domain::ApprovalOf::Task(wipe.id(), waiting.task_digest(wipe));
        let approve = Command::Approve { by: "boss".into(), of };
        let tenant = acme.clone();
        let approved = tokio::spawn(async move { by.order(&tenant, case, approve).await.map(drop) });
        pass(left_after_ms).await;
        one.engine.leave_shard(0).await;
        approved.await.unwrap().unwrap();
        let case = world.case(&acme, case).await;
        let assigned = task(&case, Kind::WipeDevice).attempt == 1;
        assert_eq!(
            world.ordered(Kind::WipeDevice).len(),
            usize::from(assigned),
            "left after {left_after_ms} ms: ordered is published"
        );
    }
}

/// Two dispatchers that both own everything, in one world.
async fn split(world: &World) -> [Dispatcher; 2] {
    [world.dispatcher().await, world.dispatcher().await]
}

async fn every_case_settles_under_two_owners(one_way_ms: u64, takes_ms: i64) {
    let tenants = tenants(3);
    let world = World::new(tenants.iter().map(|t| (t.clone(), terms(WIPE))));
    let _closer = world.closer();
    let throttled = AtomicBool::new(false);
    let _worker = world.worker_who(takes_ms, move |a| {
        // Some rest, so that both owners wake them at the same time.
        let rests = a.attempt == 1 && a.kind != Kind::WipeDevice && throttled.fetch_not(Ordering::Relaxed);
        Some(if rests {
            fault(a, FaultClass::Transient)
        } else {
            truth(a)
        })
    });
    let outside = world.engine();
    let both = split(&world).await;
    world.ledger.takes(one_way_ms);
    for (n, dispatcher) in both.iter().enumerate() {
        submit(&world, &tenants, &dispatcher.engine, &format!("HR-{n}")).await;
    }
    // The other one learns of what his twin accepted as after a handover.
    for dispatcher in &both {
        dispatcher.engine.recover().await.unwrap();
    }
    approve_all(&world, &outside, 2 * tenants.len()).await;
    world.all_closed(60 * MINUTE).await;
    world.assert_once();
    // Each version was written by one of them.
    for entry in world.listed().await {
        let events = world.events(&entry.tenant, entry.case).await;
        assert_eq!(events.len() as u64, entry.version);
        let mut assigned = BTreeSet::new();
        for (_, event) in &events {
            if let Event::TaskAssigned { task, attempt, .. } = event {
                assert!(
                    assigned.insert((*task, *attempt)),
                    "{task} #{attempt} was assigned twice"
                );
            }
        }
    }
    // Whoever does not hold the lease lets go: nothing stays behind with either.
    for dispatcher in both {
        let engine = dispatcher.leave().await;
        engine.leave_shard(0).await;
        assert_eq!(engine.holdings(), "0 cases; ");
    }
}

#[tokio::test(start_paused = true)]
async fn two_who_both_own_a_shard_lose_races_and_nothing_else() {
    every_case_settles_under_two_owners(3, 500).await;
}

#[tokio::test(start_paused = true)]
async fn two_owners_who_decide_the_same_at_the_same_time_order_it_once() {
    every_case_settles_under_two_owners(0, 0).await;
}

/// One report comes twice, to each of two owners at the same millisecond. Both
/// decide the same, so the ledger takes the second one's append for a
/// repetition of the first.
#[tokio::test(start_paused = true)]
async fn the_same_append_by_two_owners_publishes_a_once_only_order_once() {
    let acme = tenant("acme");
    let kinds = [WIPE, &[Kind::RevokeSessions]].concat();
    let world = World::new([(acme.clone(), terms(&kinds))]);
    let worker = world.worker_who(0, |a| (a.kind != Kind::RevokeSessions).then(|| truth(a)));
    let one = world.dispatcher().await;
    let departure = world.departure(&acme, "HR-1");
    let case = one.engine.submit(departure).await.unwrap().case();
    approve_all(&world, &world.engine(), 1).await;
    let last = world.order(&acme, Kind::RevokeSessions).await;
    pass(SECOND).await;
    drop(worker);
    let two = world.dispatcher().await;
    world.ledger.takes(1);
    let report = last.message(&last.report(world.now(), truth(&last.assignment)));
    let reports = QueueName::Reports { shard: 0 };
    world
        .queue
        .publish(&reports, vec![report.clone(), report])
        .await
        .unwrap();
    pass(10 * SECOND).await;
    let orders = world.ordered(Kind::WipeDevice);
    assert_eq!(orders.len(), 1, "{orders:?}");
    let now = world.case(&acme, case).await;
    assert!(matches!(task(&now, Kind::WipeDevice).state, TaskState::Assigned(a) if a.mode == Mode::Full));
    drop((one, two));
}

#[tokio::test(start_paused = true)]
async fn clocks_that_are_minutes_apart_stop_nobody() {
    let (world, tenants, outside, _served) = served();
    let ahead = world.member("ahead", Arc::new(SkewedClock(world.clock.clone(), 4 * MINUTE)));
    let behind = world.member("behind", Arc::new(SkewedClock(world.clock.clone(), -3 * MINUTE)));
    pass(MINUTE).await;
    submit(&world, &tenants, &outside, "HR-1").await;
    approve_all(&world, &outside, tenants.len()).await;
    world.all_closed(5 * MINUTE).await;
    let owned = [ahead.owned(), behind.owned()].concat();
    let owned: BTreeSet<u16> = owned.into_iter().collect();
    assert_eq!(owned.len(), usize::from(SHARDS), "no shard is left lying");
    // Who is ahead dies: by what it says his lease lasts for as long as his clock was wrong.
    ahead.die().await;
    submit(&world, &tenants, &outside, "HR-2").await;
    // Two leases long he may be only late.
    owns_all(&behind, 2 * TAKEN_OVER_WITHIN).await;
    approve_all(&world, &outside, 2 * tenants.len()).await;
    world.all_closed(30 * MINUTE).await;
    world.assert_once();
    behind.is_idle().await;
}

/// With two dispatchers that race, by clocks that differ, and requests that
/// come twice.
#[tokio::test(start_paused = true)]
async fn no_more_departures_start_within_an_hour_than_the_cap_allows() {
    const MOST: u32 = 5;
    for (ahead_ms, both_own) in [(0, true), (0, false), (4 * MINUTE, true)] {
        let (acme, other) = (tenant("acme"), tenant("other"));
        let mut capped = terms(CUT);
        let mut policy = policy();
        policy.departures_per_hour = MOST;
        capped.policy = Arc::new(policy);
        let world = World::new([(acme.clone(), capped), (other.clone(), terms(CUT))]);
        world.ledger.takes(7);
        let one = world.engine();
        let two = world.engine_with((world.limits)(), Arc::new(SkewedClock(world.clock.clone(), ahead_ms)));
        one.recover().await.unwrap();
        if both_own {
            two.recover().await.unwrap();
        }
        let _closer = world.closer();
        let _worker = world.worker();
        let one = Dispatcher::over(one, |e, stop| vec![tokio::spawn(e.clone().take_reports(0, stop))]);
        let two = Dispatcher::over(two, |_, _| Vec::new());
        let mut racing = Vec::new();
        for n in 0..12 {
            for by in [&one.engine, &two.engine, &one.engine] {
                for tenant in [&acme, &other] {
                    let departure = world.departure(tenant, &format!("HR-{n}"));
                    let by = by.clone();
                    racing.push(tokio::spawn(async move { by.submit(departure).await.unwrap() }));
                }
            }
        }
        for submitted in racing {
            submitted.await.unwrap();
        }
        pass(5 * MINUTE).await;
        let mut free = [0, 0];
        for entry in world.listed().await {
            let case = world.case(&entry.tenant, entry.case).await;
            free[usize::from(entry.tenant == other)] += u32::from(!case.capped);
            if case.capped {
                assert!(entry.needs_person, "{}", entry.case);
                let written = case.tasks.values().any(|t| t.kind().spec().writes && t.attempt > 0);
                assert!(!written, "nothing is written before somebody agrees");
            } else {
                assert_eq!(entry.state, "closed");
            }
        }
        assert_eq!(free, [MOST, 12], "{ahead_ms} {both_own}");
        // The hour is over, and the next ones start by themselves.
        pass(61 * MINUTE).await;
        let departure = world.departure(&acme, "HR-later");
        let later = two.engine.submit(departure).await.unwrap().case();
        assert!(!world.case(&acme, later).await.capped);
    }
}
