//! Gates: what a person pauses and what a vendor asks for holds back exactly
//! that, costs no attempt, and lets everything go at once when it ends.

use crate::rig::*;
use offboard_dispatcher::control::{Request, Response, handle};
use offboard_dispatcher::gates::{Paused, WITHOUT_END};
use offboard_dispatcher::tenants::Tenants;
use offboard_dispatcher::{Engine, EngineError};
use offboard_domain::departure::Manner;
use offboard_domain::{CaseId, Departure, FaultClass, Kind, Lane, System, TaskState, TenantId};
use offboard_queue::QueueName;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

fn ad() -> System {
    system("ad")
}

/// A tenant with two systems that can do the same, but for finding people.
fn two_systems() -> offboard_dispatcher::tenants::Terms {
    let second: Vec<Kind> = CUT.iter().copied().filter(|k| *k != Kind::Resolve).collect();
    terms_of(&[(m365(), CUT), (ad(), &second)])
}

fn paused(system: Option<System>, kind: Option<Kind>) -> Paused {
    Paused { system, kind }
}

/// What was ordered for a tenant after the person was found.
fn ordered(world: &World, tenant: &TenantId) -> BTreeSet<(String, Kind)> {
    let orders = world.queue.orders();
    orders
        .iter()
        .filter(|o| o.assignment.tenant == *tenant && o.assignment.kind != Kind::Resolve)
        .map(|o| (o.assignment.target.system.to_string(), o.assignment.kind))
        .collect()
}

/// That no task of these systems and kinds has been tried, and the rest has.
async fn holds_back(world: &World, tenant: &TenantId, case: CaseId, what: &Paused) {
    let case = world.case(tenant, case).await;
    let shut = |system: &System, kind: Kind| {
        what.system.as_ref().is_none_or(|s| s == system) && what.kind.is_none_or(|k| k == kind)
    };
    for (name, kind) in ordered(world, tenant) {
        assert!(
            !shut(&system(&name), kind),
            "{kind} in {name} was ordered under {what:?}"
        );
    }
    for task in case.tasks.values() {
        let system = &task.planned.target.system;
        if shut(system, task.kind()) && task.kind() != Kind::Resolve {
            assert_eq!((task.attempt, task.spent), (0, 0), "{} in {system}", task.kind());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_holds_back_exactly_what_it_names_until_it_is_ended() {
    let every = [
        paused(None, None),
        paused(Some(ad()), None),
        paused(None, Some(Kind::RemoveDirectoryRoles)),
        paused(Some(ad()), Some(Kind::RemoveDirectoryRoles)),
    ];
    for what in every {
        let (acme, other) = (tenant("acme"), tenant("other"));
        let world = World::new([(acme.clone(), two_systems()), (other.clone(), two_systems())]);
        let _closer = world.closer();
        let _worker = world.worker();
        let dispatcher = world.dispatcher().await;
        let engine = &dispatcher.engine;
        if what != paused(None, None) {
            engine.pause(&acme, &what, WITHOUT_END, None).await.unwrap();
        }
        let departure = world.departure(&acme, "HR-1");
        let case = engine.submit(departure).await.unwrap().case();
        if what == paused(None, None) {
            // All of a tenant: what is with a worker already is finished.
            world.order(&acme, Kind::Resolve).await;
            engine.pause(&acme, &what, WITHOUT_END, None).await.unwrap();
        }
        let departure = world.departure(&other, "HR-1");
        let others = engine.submit(departure).await.unwrap().case();
        pass(60 * MINUTE).await;
        holds_back(&world, &acme, case, &what).await;
        assert_eq!(world.index(&other, others).await.unwrap().state, "closed", "{what:?}");
        let before = ordered(&world, &acme);
        let free_first: Vec<(String, Kind)> = match (&what.system, what.kind) {
            (None, None) => Vec::new(),
            (None, Some(_)) => vec![
                ("ad".into(), Kind::SnapshotAccess),
                ("m365".into(), Kind::SnapshotAccess),
            ],
            (Some(_), None) => vec![("m365".into(), Kind::SnapshotAccess)],
            (Some(_), Some(_)) => vec![("m365".into(), Kind::RemoveDirectoryRoles)],
        };
        for free in free_first {
            assert!(before.contains(&free), "{free:?} goes on under {what:?}: {before:?}");
        }

        engine.resume(&acme, &what).await.unwrap();
        pass(100).await;
        assert!(
            ordered(&world, &acme).len() > before.len(),
            "{what:?}: it goes on at once"
        );
        world.all_closed(MINUTE).await;
        dispatcher.is_idle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_paused_something_is_shown_until_somebody_ends_it() {
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), two_systems())]);
    let engine = world.engine();
    let shown = async || match handle(&engine, Request::Gates).await {
        Response::Gates(gates) => gates.into_iter().map(|g| (g.name, g.by)).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let pause = |what: Paused, by: Option<&str>| Request::Pause {
        tenant: Some(acme.clone()),
        what,
        until: WITHOUT_END,
        by: by.map(str::to_owned),
    };
    let (all, some) = (paused(None, None), paused(Some(m365()), None));
    handle(&engine, pause(all.clone(), Some("bob"))).await;
    handle(&engine, pause(some.clone(), Some("carl"))).await;
    let (bob, carl) = (Some("bob".to_owned()), Some("carl".to_owned()));
    assert_eq!(
        shown().await,
        [
            ("pause".to_owned(), bob.clone()),
            ("pause/m365".to_owned(), carl.clone())
        ]
    );
    // Who ordered it last did; of an order from an older program nobody is known.
    handle(&engine, pause(all.clone(), Some("carl"))).await;
    handle(&engine, pause(some.clone(), None)).await;
    assert_eq!(
        shown().await,
        [("pause".to_owned(), carl), ("pause/m365".to_owned(), None)]
    );
    engine.resume(&acme, &all).await.unwrap();
    engine.resume(&acme, &some).await.unwrap();
    assert!(shown().await.is_empty());
    assert!(engine.gates_of(&acme).await.unwrap().is_empty());
}

/// What is shut after a request, by tenant and name.
async fn shut_after(engine: &Arc<Engine>, request: Request) -> Vec<(TenantId, String)> {
    match handle(engine, request).await {
        Response::Gates(gates) => gates.into_iter().map(|g| (g.tenant, g.name)).collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_a_tenant_that_is_not_configured_any_more_is_seen_and_can_be_ended() {
    let (acme, other, nobody) = (tenant("acme"), tenant("other"), tenant("nobody"));
    for shards in [1, 4] {
        let mut world = World::new([(acme.clone(), terms(CUT)), (other.clone(), terms(CUT))]);
        world.shards = shards;
        let engine = world.engine();
        for (tenant, reference) in [(&acme, "HR-1"), (&acme, "HR-2"), (&other, "HR-1")] {
            let departure = world.departure(tenant, reference);
            engine.submit(departure).await.unwrap();
        }
        let (all, some) = (paused(None, None), paused(Some(m365()), None));
        for what in [&all, &some] {
            engine.pause(&acme, what, WITHOUT_END, None).await.unwrap();
        }
        engine.reconfigure(&Tenants::new([(other.clone(), terms(CUT))].into()));
        let gates = [
            (acme.clone(), "pause".to_owned()),
            (acme.clone(), "pause/m365".to_owned()),
        ];
        assert_eq!(shut_after(&engine, Request::Gates).await, gates);
        let resume = |tenant: Option<&TenantId>, what: &Paused| Request::Resume {
            tenant: tenant.cloned(),
            what: what.clone(),
        };
        assert_eq!(shut_after(&engine, resume(Some(&acme), &some)).await, gates[..1]);
        assert!(shut_after(&engine, resume(None, &all)).await.is_empty());
        for refused in [
            engine.resume(&nobody, &all).await,
            engine.pause(&acme, &all, WITHOUT_END, None).await,
        ] {
            assert!(matches!(refused, Err(EngineError::UnknownTenant(_))), "{refused:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_could_not_be_paused_of_several_is_named() {
    let (acme, other) = (tenant("acme"), tenant("other"));
    let world = World::new([(acme, terms(CUT)), (other, terms(CUT))]);
    let engine = world.engine();
    world.ledger.refuse_gates(true);
    let pause = Request::Pause {
        tenant: None,
        what: paused(None, None),
        until: WITHOUT_END,
        by: None,
    };
    let Response::Failed { why, causes } = handle(&engine, pause.clone()).await else {
        panic!("nobody says that nothing was paused");
    };
    assert!(why.contains("for 2 of 2 clients"), "{why}");
    let of_each: Vec<&str> = causes.iter().filter_map(|cause| cause.split(':').next()).collect();
    assert_eq!(of_each, ["client 'acme'", "client 'other'"], "{causes:?}");
    world.ledger.refuse_gates(false);
    assert_eq!(shut_after(&engine, pause).await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_pause_with_an_end_ends_by_itself() {
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), terms(CUT))]);
    let _closer = world.closer();
    let _worker = world.worker();
    let dispatcher = world.dispatcher().await;
    let ends = world.now().plus(90 * MINUTE);
    dispatcher
        .engine
        .pause(&acme, &paused(Some(m365()), None), ends, None)
        .await
        .unwrap();
    let departure = world.departure(&acme, "HR-1");
    dispatcher.engine.submit(departure).await.unwrap();
    pass(89 * MINUTE).await;
    assert_eq!(world.queue.orders().len(), 0);
    world.all_closed(2 * MINUTE).await;
    let first = world.queue.orders()[0].at;
    assert!((0..SECOND).contains(&first.since(ends)), "{first} {ends}");
}

#[tokio::test(start_paused = true)]
async fn a_pause_by_somebody_who_owns_nothing_is_seen_by_the_owner_within_seconds() {
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), terms(CUT))]);
    let _closer = world.closer();
    let _worker = world.worker();
    let dispatcher = world.dispatcher().await;
    let outside = world.engine();
    // Its gates are known before somebody else changes them.
    let departure = world.departure(&acme, "HR-0");
    dispatcher.engine.submit(departure).await.unwrap();
    world.all_closed(MINUTE).await;
    let all = paused(None, None);
    outside.pause(&acme, &all, WITHOUT_END, None).await.unwrap();
    pass(3 * SECOND).await;
    let before = world.queue.orders().len();
    let departure = world.departure(&acme, "HR-1");
    let case = outside.submit(departure).await.unwrap().case();
    pass(MINUTE).await;
    assert_eq!(world.queue.orders().len(), before);
    let shown = outside.view(&acme, case).await.unwrap();
    assert!(shown.tasks[0].words.contains("pause"), "{}", shown.tasks[0].words);
    outside.resume(&acme, &all).await.unwrap();
    world.all_closed(10 * SECOND).await;
    // Also whoever showed it then shows what is now.
    let departure = world.departure(&acme, "HR-2");
    dispatcher.engine.pause(&acme, &all, WITHOUT_END, None).await.unwrap();
    let case = dispatcher.engine.submit(departure).await.unwrap().case();
    pass(SECOND).await;
    let shown = outside.view(&acme, case).await.unwrap();
    assert!(shown.tasks[0].words.contains("pause"), "{}", shown.tasks[0].words);
    dispatcher.engine.resume(&acme, &all).await.unwrap();
    world.all_closed(10 * SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn what_rests_and_what_is_urgent_waits_for_the_end_of_a_pause_and_costs_nothing() {
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), terms(CUT))]);
    let failing = AtomicU32::new(1);
    let _closer = world.closer();
    let _worker = world.worker_who(0, move |a| {
        let fails = a.kind == Kind::SnapshotAccess && failing.swap(0, Ordering::Relaxed) == 1;
        Some(if fails {
            fault(a, FaultClass::Transient)
        } else {
            truth(a)
        })
    });
    let dispatcher = world.dispatcher().await;
    let engine = &dispatcher.engine;
    let departure = world.departure(&acme, "HR-1");
    let case = engine.submit(departure).await.unwrap().case();
    let rests = async || {
        let now = world.case(&acme, case).await;
        match find(&now, Kind::SnapshotAccess)?.state {
            TaskState::Resting { until, .. } => Some(until),
            _ => None,
        }
    };
    until("it rests", MINUTE, async || rests().await.is_some()).await;
    let all = paused(None, None);
    engine.pause(&acme, &all, WITHOUT_END, None).await.unwrap();
    let until_then = rests().await.unwrap();
    pass(until_then.since(world.now()) + 5 * MINUTE).await;
    let now = world.case(&acme, case).await;
    let snapshot = task(&now, Kind::SnapshotAccess);
    assert_eq!(
        (snapshot.attempt, snapshot.spent),
        (1, 1),
        "it was ready, and was not tried"
    );
    let before = world.queue.orders().len();
    engine.resume(&acme, &all).await.unwrap();
    pass(50).await;
    let orders = world.queue.orders();
    assert!(orders.len() > before, "it is tried at once");
    let first = &orders[before];
    assert_eq!(first.assignment.kind, Kind::SnapshotAccess);
    assert!(matches!(first.queue, QueueName::Assignments { lane: Lane::Urgent, .. }));
    world.all_closed(MINUTE).await;
}

#[tokio::test(start_paused = true)]
async fn a_vendors_request_to_slow_down_holds_back_that_tenant_and_system_and_nobody_else() {
    let (acme, other) = (tenant("acme"), tenant("other"));
    let world = World::new([(acme.clone(), two_systems()), (other.clone(), two_systems())]);
    let _closer = world.closer();
    let (tripped, limited) = (AtomicU32::new(0), acme.clone());
    let _worker = world.worker_who(SECOND, move |a| {
        let slow = a.tenant == limited && a.target.system == ad() && a.kind == Kind::SnapshotAccess;
        Some(if slow && tripped.fetch_add(1, Ordering::Relaxed) == 0 {
            fault(
                a,
                FaultClass::Throttled {
                    retry_after_ms: Some(10 * MINUTE),
                },
            )
        } else {
            truth(a)
        })
    });
    let dispatcher = world.dispatcher().await;
    let submit = async |tenant: &TenantId, reference: &str| {
        let departure = world.departure(tenant, reference);
        dispatcher.engine.submit(departure).await.unwrap().case()
    };
    let first = submit(&acme, "HR-1").await;
    pass(4 * SECOND).await;
    let asked = world.now();
    // Somebody else of the same tenant, and somebody of another one.
    let second = submit(&acme, "HR-2").await;
    let elsewhere = submit(&other, "HR-1").await;
    pass(9 * MINUTE).await;
    let late = world.queue.orders();
    let late = late
        .iter()
        .filter(|o| o.at > asked && o.assignment.tenant == acme && o.assignment.target.system == ad());
    assert_eq!(late.count(), 0, "that system is left alone");
    for case in [first, second] {
        let case = world.case(&acme, case).await;
        assert!(
            task_in(&case, Kind::SnapshotAccess, &m365()).is_settled(),
            "the other system goes on"
        );
        let held = task_in(&case, Kind::SnapshotAccess, &ad());
        assert_eq!(held.spent, 0, "it costs no attempt");
    }
    assert_eq!(world.index(&other, elsewhere).await.unwrap().state, "closed");
    world.all_closed(5 * MINUTE).await;
    dispatcher.is_idle().await;
}

#[tokio::test(start_paused = true)]
async fn a_shorter_hold_does_not_end_a_longer_one() {
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), terms(SHORT))]);
    let dispatcher = world.dispatcher().await;
    for reference in ["HR-1", "HR-2"] {
        let departure = world.departure(&acme, reference);
        dispatcher.engine.submit(departure).await.unwrap();
    }
    let orders = world.ordered(Kind::Resolve);
    for (order, minutes) in orders.iter().zip([10, 1]) {
        let class = FaultClass::Throttled {
            retry_after_ms: Some(minutes * MINUTE),
        };
        world.answer_with(order, fault(&order.assignment, class)).await;
        pass(SECOND).await;
    }
    let held = world.now();
    pass(9 * MINUTE).await;
    assert_eq!(world.queue.orders().len(), 2, "the vendor asked for ten minutes");
    pass(2 * MINUTE).await;
    let orders = world.queue.orders();
    assert_eq!(orders.len(), 4);
    assert!(orders[2].at.since(held) > 9 * MINUTE);
}

#[tokio::test(start_paused = true)]
async fn a_hold_is_kept_by_the_next_owner() {
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), terms(SHORT))]);
    let one = world.dispatcher().await;
    let two = world.engine();
    // He knew the gates before.
    two.recover().await.unwrap();
    let departure = world.departure(&acme, "HR-0");
    two.submit(departure).await.unwrap();
    two.leave_shard(0).await;
    let departure = world.departure(&acme, "HR-1");
    one.engine.submit(departure).await.unwrap();
    let order = world.order(&acme, Kind::Resolve).await;
    let class = FaultClass::Throttled {
        retry_after_ms: Some(10 * MINUTE),
    };
    world.answer_with(&order, fault(&order.assignment, class)).await;
    pass(SECOND).await;
    one.leave().await;
    let before = world.queue.orders().len();
    let republished = |world: &World| {
        let orders = world.queue.orders();
        orders[before..].iter().filter(|o| o.assignment.attempt > 1).count()
    };
    two.recover().await.unwrap();
    let departure = world.departure(&acme, "HR-2");
    let case = two.submit(departure).await.unwrap().case();
    assert_eq!(
        task(&world.case(&acme, case).await, Kind::Resolve).attempt,
        0,
        "the hold is known from the first moment"
    );
    let _two = Dispatcher::over(two, |_, _| Vec::new());
    pass(9 * MINUTE).await;
    assert_eq!(republished(&world), 0);
}

/// Urgent work of a planned departure, and work of his that may wait.
#[tokio::test(start_paused = true)]
async fn after_a_hold_what_is_urgent_goes_first() {
    const KINDS: &[Kind] = &[Kind::Resolve, Kind::DiscoverDevices];
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), terms(KINDS))]);
    let dispatcher = world.dispatcher().await;
    let mut cases = Vec::new();
    for n in 0..12 {
        let departure = Departure {
            manner: if n % 2 == 0 { Manner::Planned } else { Manner::Immediate },
            ..world.departure(&acme, &format!("HR-{n}"))
        };
        cases.push(dispatcher.engine.submit(departure).await.unwrap().case());
        let order = world.ordered(Kind::Resolve).pop().unwrap();
        world.answer(&order).await;
    }
    until("discovery is ordered for all", MINUTE, async || {
        world.ordered(Kind::DiscoverDevices).len() == 12
    })
    .await;
    // One hold for all of them: each rests until the same moment.
    for order in world.ordered(Kind::DiscoverDevices) {
        let class = FaultClass::Throttled {
            retry_after_ms: Some(MINUTE),
        };
        let report = order.report(world.now(), fault(&order.assignment, class));
        world.send(&acme, order.message(&report)).await;
    }
    until("they are ordered again", 2 * MINUTE, async || {
        world.ordered(Kind::DiscoverDevices).len() == 24
    })
    .await;
    let again = &world.ordered(Kind::DiscoverDevices)[12..];
    let lanes: Vec<Lane> = again
        .iter()
        .map(|o| match o.queue {
            QueueName::Assignments { lane, .. } => lane,
            _ => unreachable!("orders are assignments"),
        })
        .collect();
    let mut sorted = lanes.clone();
    sorted.sort_unstable();
    assert_eq!(lanes, sorted, "the urgent lane is served first");
    assert_eq!(lanes.iter().filter(|l| **l == Lane::Urgent).count(), 6);
}
