//! Who is admitted when not all can be: tenants share by their weights, what
//! is urgent goes ahead within its cap, nobody takes a whole queue, and what
//! was reserved always comes back.

use crate::rig::*;
use offboard_dispatcher::admission::Limits;
use offboard_dispatcher::tenants::Terms;
use offboard_domain::departure::Manner;
use offboard_domain::{Area, CaseId, Command, Departure, Facts, FaultClass, Kind, Lane, Said, TenantId};
use offboard_queue::{Queue as _, QueueName};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

fn world_of(tenants: &[(&TenantId, Terms)], limits: impl Fn() -> Limits + Send + Sync + 'static) -> World {
    let mut world = World::new(tenants.iter().map(|(id, terms)| ((*id).clone(), terms.clone())));
    world.limits = Arc::new(limits);
    world
}

async fn submit(world: &World, dispatcher: &Dispatcher, tenant: &TenantId, count: usize) -> Vec<CaseId> {
    let mut cases = Vec::new();
    for n in 0..count {
        let departure = world.departure(tenant, &format!("HR-{n}"));
        cases.push(dispatcher.engine.submit(departure).await.unwrap().case());
    }
    cases
}

/// How many assignments of these queues are published and not answered.
async fn out(world: &World, of: impl Fn(Area, Lane) -> bool) -> u64 {
    let depths = world.queue.depths().await.unwrap();
    let counted = depths.iter().filter(|d| match d.queue {
        QueueName::Assignments { area, lane, .. } => of(area, lane),
        _ => false,
    });
    counted.map(|d| d.ready + d.unacknowledged.unwrap_or(0)).sum()
}

/// How long a departure takes when nothing else is there, in milliseconds.
async fn alone(takes_ms: i64) -> i64 {
    let acme = tenant("acme");
    let world = world_of(&[(&acme, terms(CUT))], || Limits::each(4));
    let _closer = world.closer();
    let _worker = world.worker_who(takes_ms, |a| Some(truth(a)));
    let dispatcher = world.dispatcher().await;
    submit(&world, &dispatcher, &acme, 1).await;
    world.all_closed(10 * MINUTE).await;
    world.now().since(T0)
}

#[tokio::test(start_paused = true)]
async fn a_thousand_of_one_tenant_do_not_delay_anothers_one() {
    const TAKES: i64 = 500;
    let idle = alone(TAKES).await;
    let (big, small) = (tenant("big"), tenant("small"));
    let world = world_of(&[(&big, terms(CUT)), (&small, terms(CUT))], || Limits::each(4));
    let _closer = world.closer();
    let _worker = world.worker_who(TAKES, |a| Some(truth(a)));
    let dispatcher = world.dispatcher().await;
    submit(&world, &dispatcher, &big, 1_000).await;
    pass(20 * SECOND).await;
    let case = submit(&world, &dispatcher, &small, 1).await[0];
    let came = world.now();
    until("the one is closed", 10 * MINUTE, async || {
        world.index(&small, case).await.unwrap().state == "closed"
    })
    .await;
    let took = world.now().since(came);
    assert!(took <= 2 * idle, "{took} ms among a thousand, {idle} ms alone");
    // Start-time fair: whoever comes to wait has at most one before him.
    let orders = world.queue.orders();
    let mut ready_at = came;
    for (n, order) in orders.iter().enumerate().filter(|(_, o)| o.assignment.tenant == small) {
        let since = orders[..n]
            .iter()
            .filter(|o| o.queue == order.queue && o.assignment.tenant == big && o.at > ready_at && o.at < order.at);
        assert!(since.count() <= 1, "{} waited for others", order.assignment.kind);
        ready_at = order.at.plus(TAKES);
    }
}

#[tokio::test(start_paused = true)]
async fn tenants_that_wait_are_served_by_their_weights() {
    let (one, three) = (tenant("one"), tenant("three"));
    let heavy = Terms {
        weight: 3,
        ..terms(SHORT)
    };
    let world = world_of(&[(&one, terms(SHORT)), (&three, heavy)], || Limits::each(4));
    let _closer = world.closer();
    let _worker = world.worker_who(SECOND, |a| Some(truth(a)));
    let dispatcher = world.dispatcher().await;
    for tenant in [&one, &three] {
        submit(&world, &dispatcher, tenant, 200).await;
    }
    let begun = world.queue.orders().len();
    pass(60 * SECOND).await;
    let orders = world.queue.orders();
    let mut served: BTreeMap<&TenantId, i64> = BTreeMap::new();
    for order in &orders[begun..] {
        *served.entry(&order.assignment.tenant).or_default() += 1;
    }
    let (light, heavy) = (served[&one], served[&three]);
    assert!(light > 40, "{served:?}");
    assert!(
        (3 * light - heavy).abs() <= 8,
        "{served:?}: within a round of the queue"
    );
}

#[tokio::test(start_paused = true)]
async fn all_that_is_urgent_together_stays_under_its_cap_and_the_rest_goes_on() {
    const KINDS: &[Kind] = &[
        Kind::Resolve,
        Kind::SnapshotAccess,
        Kind::DiscoverDevices,
        Kind::HideFromAddressLists,
    ];
    let acme = tenant("acme");
    let world = world_of(&[(&acme, terms(KINDS))], || Limits {
        urgent_together: 3,
        ..Limits::each(8)
    });
    let _closer = world.closer();
    let _worker = world.worker_who(SECOND, |a| Some(truth(a)));
    let dispatcher = world.dispatcher().await;
    for n in 0..60 {
        let departure = Departure {
            manner: if n % 2 == 0 { Manner::Planned } else { Manner::Immediate },
            ..world.departure(&acme, &format!("HR-{n}"))
        };
        dispatcher.engine.submit(departure).await.unwrap();
    }
    let (mut most, mut normal) = (0, 0);
    for _ in 0..400 {
        let urgent = out(&world, |_, lane| lane == Lane::Urgent).await;
        assert!(urgent <= 3, "{urgent} urgent ones are out");
        most = most.max(urgent);
        let rest = out(&world, |_, lane| lane == Lane::Normal).await;
        normal = normal.max(rest);
        pass(100).await;
    }
    assert_eq!(most, 3, "the cap is used");
    assert!(normal > 0, "the rest is not starved");
}

#[tokio::test(start_paused = true)]
async fn under_the_urgent_cap_no_area_waits_until_another_one_is_done() {
    let (big, small) = (tenant("big"), tenant("small"));
    const FINDS: &[Kind] = &[Kind::Resolve, Kind::DiscoverDevices];
    let world = world_of(&[(&big, terms(SHORT)), (&small, terms(FINDS))], || Limits {
        urgent_together: 2,
        ..Limits::each(8)
    });
    let _closer = world.closer();
    let _worker = world.worker_who(SECOND, |a| Some(truth(a)));
    let dispatcher = world.dispatcher().await;
    submit(&world, &dispatcher, &big, 300).await;
    pass(10 * SECOND).await;
    submit(&world, &dispatcher, &small, 1).await;
    let found = world.order(&small, Kind::Resolve).await.at;
    let order = world.order(&small, Kind::DiscoverDevices).await;
    assert!(matches!(
        order.queue,
        QueueName::Assignments {
            area: Area::Device,
            lane: Lane::Urgent,
            ..
        }
    ));
    let waited = order.at.since(found);
    assert!(waited <= 4 * SECOND, "devices waited {waited} ms behind accounts");
}

#[tokio::test(start_paused = true)]
async fn a_tenant_whose_vendor_is_silent_leaves_room_for_the_others() {
    let (slow, other) = (tenant("slow"), tenant("other"));
    let world = world_of(&[(&slow, terms(CUT)), (&other, terms(CUT))], || Limits {
        tenant_percent: 75,
        ..Limits::each(8)
    });
    let _closer = world.closer();
    let silent = slow.clone();
    let _worker = world.worker_who(200, move |a| (a.tenant != silent).then(|| truth(a)));
    let dispatcher = world.dispatcher().await;
    submit(&world, &dispatcher, &slow, 50).await;
    pass(SECOND).await;
    assert_eq!(
        world.ordered_for(&slow, Kind::Resolve).len(),
        6,
        "three quarters of eight"
    );
    let began = world.now();
    submit(&world, &dispatcher, &other, 20).await;
    until("the others are closed", MINUTE, async || {
        let listed = world.listed().await;
        let mut theirs = listed.iter().filter(|e| e.tenant == other);
        theirs.all(|e| e.state == "closed")
    })
    .await;
    let took = world.now().since(began);
    assert!(took < 40 * SECOND, "{took}");
    assert_eq!(world.ordered_for(&slow, Kind::Resolve).len(), 6);
}

#[tokio::test(start_paused = true)]
async fn credit_comes_back_whatever_becomes_of_an_assignment() {
    let tenants: Vec<TenantId> = ["acme", "beta", "gamma"].map(tenant).into();
    let mut world = World::new(tenants.iter().map(|t| (t.clone(), terms(WIPE))));
    world.limits = Arc::new(|| Limits {
        urgent_together: 5,
        tenant_percent: 60,
        ..Limits::each(4)
    });
    world.shards = 2;
    world.ledger.takes(2);
    let _closer = world.closer();
    let n = AtomicU32::new(0);
    let calm = Arc::new(AtomicBool::new(false));
    let calming = calm.clone();
    let _worker = world.worker_who(300, move |a| {
        if calm.load(Ordering::Relaxed) || (a.kind == Kind::WipeDevice && a.attempt == 1) {
            return Some(truth(a));
        }
        match n.fetch_add(1, Ordering::Relaxed) % 11 {
            0 => Some(fault(
                a,
                FaultClass::Throttled {
                    retry_after_ms: Some(5 * SECOND),
                },
            )),
            1 => Some(fault(a, FaultClass::Transient)),
            // Nobody ever answers.
            2 => None,
            3 if a.kind.spec().convergent => Some(Said::Progress {
                checkpoint: Facts::new().with("slice", 1),
            }),
            4 => Some(Said::NotBegun { why: "busy".into() }),
            5 => Some(fault(a, FaultClass::Denied)),
            6 if a.kind.spec().convergent => Some(Said::Wait {
                until: a.start_by.plus(-200 * SECOND),
                why: "not ready".into(),
                checkpoint: None,
            }),
            _ => Some(truth(a)),
        }
    });
    let outside = world.engine();
    let one = world.member("one", world.clock.clone());
    let two = world.member("two", world.clock.clone());
    for n in 0..6 {
        for tenant in &tenants {
            let departure = world.departure(tenant, &format!("HR-{n}"));
            outside.submit(departure).await.unwrap();
        }
        pass(3 * SECOND).await;
    }
    // Deaths and handovers in the midst of it.
    one.die().await;
    pass(40 * SECOND).await;
    let three = world.member("three", world.clock.clone());
    pass(20 * SECOND).await;
    let left = two.leave().await;
    assert_eq!(
        left.holdings().split("; ").next(),
        Some("0 cases"),
        "{}",
        left.holdings()
    );
    calming.store(true, Ordering::Relaxed);
    for _ in 0..200 {
        pass(MINUTE).await;
        world.approve_wipes(&outside).await;
        let open = world.listed().await.into_iter().filter(|e| !e.ended);
        let open: Vec<_> = open.collect();
        if open.is_empty() {
            break;
        }
        for entry in open.iter().filter(|e| e.needs_person) {
            let by = "boss@msp.example".to_owned();
            let retry = Command::Retry { task: None, by };
            // It may wait for an approval instead.
            drop(outside.order(&entry.tenant, entry.case, retry).await);
        }
    }
    world.all_closed(MINUTE).await;
    three.is_idle().await;
}

#[tokio::test(start_paused = true)]
async fn trying_many_again_goes_through_the_same_admission() {
    const MANY: usize = 100;
    let (big, small) = (tenant("big"), tenant("small"));
    let world = world_of(&[(&big, terms(CUT)), (&small, terms(CUT))], || Limits::each(4));
    let _closer = world.closer();
    let denied = Arc::new(AtomicBool::new(true));
    let (denies, whom) = (denied.clone(), big.clone());
    let _worker = world.worker_who(500, move |a| {
        Some(if a.tenant == whom && denies.load(Ordering::Relaxed) {
            fault(a, FaultClass::Denied)
        } else {
            truth(a)
        })
    });
    let dispatcher = world.dispatcher().await;
    let cases = submit(&world, &dispatcher, &big, MANY).await;
    until("all need a person", MINUTE, async || {
        world.listed().await.iter().all(|e| e.needs_person)
    })
    .await;
    denied.store(false, Ordering::Relaxed);
    let engine = dispatcher.engine.clone();
    let again = cases.clone();
    let tenant = big.clone();
    let redrive = tokio::spawn(async move {
        for case in again {
            let by = "boss@msp.example".to_owned();
            let retry = Command::Retry { task: None, by };
            engine.order(&tenant, case, retry).await.unwrap();
        }
    });
    pass(100).await;
    redrive.await.unwrap();
    let began = world.now();
    let case = submit(&world, &dispatcher, &small, 1).await[0];
    let mut closed_at = None;
    for _ in 0..2_000 {
        let urgent = out(&world, |area, lane| (area, lane) == (Area::Identity, Lane::Urgent)).await;
        assert!(urgent <= 4, "{urgent} are out");
        if closed_at.is_none() && world.index(&small, case).await.unwrap().state == "closed" {
            closed_at = Some(world.now());
        }
        pass(50).await;
    }
    let took = closed_at.expect("the other one's closes").since(began);
    assert!(took < 15 * SECOND, "{took}");
    world.all_closed(10 * MINUTE).await;
    dispatcher.is_idle().await;
}
