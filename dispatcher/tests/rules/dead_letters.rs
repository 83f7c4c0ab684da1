//! What is given up: an order that nobody can deal with becomes a task that
//! needs a person, with the reason; what was never ordered concerns nobody;
//! and nothing that does not read stands in the way of what comes behind it.

use crate::rig::*;
use offboard_dispatcher::control::{Request, Response, handle};
use offboard_domain::{Case, CaseId, Command, Event, FaultClass, Kind, Rule, TaskState, TenantId};
use offboard_queue::{Message, Queue as _, QueueName};
use offboard_runtime::keys::PROOF_HEADER;
use std::collections::BTreeMap;

/// A dispatcher that also looks at the dead, and its one departure.
async fn heeding(world: &World, tenant: &TenantId) -> (Dispatcher, CaseId) {
    let mut dispatcher = world.dispatcher().await;
    let stop = dispatcher.stopped();
    dispatcher.also(dispatcher.engine.clone().heed_dead_letters(stop));
    let departure = world.departure(tenant, "HR-1");
    let case = dispatcher.engine.submit(departure).await.unwrap().case();
    (dispatcher, case)
}

/// Buries the next delivery of a queue.
async fn bury(world: &World, queue: &QueueName, reason: &str) {
    let mut consumer = world.queue.consume(queue, 1).await.unwrap();
    consumer.next().await.unwrap().bury(reason).await.unwrap();
}

fn junk(id: &str, body: Vec<u8>) -> Message {
    Message {
        id: id.into(),
        headers: BTreeMap::new(),
        body: body.into(),
        expires_at: None,
    }
}

fn failed(case: &Case, kind: Kind) -> Option<(Rule, String)> {
    match &task(case, kind).state {
        TaskState::Failed { rule, detail, .. } => Some((*rule, detail.clone())),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_that_was_given_up_needs_a_person_and_says_why() {
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), terms(SHORT))]);
    let (dispatcher, case) = heeding(&world, &acme).await;
    let order = world.order(&acme, Kind::Resolve).await;
    bury(&world, &order.queue, "its panic is not survived").await;
    until("its task has failed", MINUTE, async || {
        failed(&world.case(&acme, case).await, Kind::Resolve).is_some()
    })
    .await;
    let now = world.case(&acme, case).await;
    let (rule, detail) = failed(&now, Kind::Resolve).unwrap();
    assert_eq!(rule, Rule::NeverAccepted);
    assert!(
        detail.contains("no worker could deal with the assignment: its panic is not survived"),
        "{detail}"
    );
    assert!(world.index(&acme, case).await.unwrap().needs_person);

    // A person has mended it. What lies among the dead says nothing new.
    let by = "boss@msp.example".to_owned();
    let retry = Command::Retry { task: None, by };
    dispatcher.engine.order(&acme, case, retry).await.unwrap();
    until("it is ordered again", MINUTE, async || {
        world.ordered(Kind::Resolve).len() == 2
    })
    .await;
    pass(2 * MINUTE).await;
    assert_eq!(failed(&world.case(&acme, case).await, Kind::Resolve), None);
    let _closer = world.closer();
    let _worker = world.worker();
    world.all_closed(MINUTE).await;
    dispatcher.is_idle().await;
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_is_heeded_once_however_often_dispatchers_come_and_go() {
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), terms(SHORT))]);
    let (dispatcher, case) = heeding(&world, &acme).await;
    let order = world.order(&acme, Kind::Resolve).await;
    bury(&world, &order.queue, "poison").await;
    until("its task has failed", MINUTE, async || {
        failed(&world.case(&acme, case).await, Kind::Resolve).is_some()
    })
    .await;
    let by = "boss@msp.example".to_owned();
    let retry = Command::Retry { task: None, by };
    dispatcher.engine.order(&acme, case, retry).await.unwrap();
    let _closer = world.closer();
    let _worker = world.worker();
    world.all_closed(MINUTE).await;
    let before = world.events(&acme, case).await.len();
    dispatcher.leave().await;
    for _ in 0..3 {
        let mut next = world.dispatcher().await;
        let stop = next.stopped();
        next.also(next.engine.clone().heed_dead_letters(stop));
        pass(MINUTE).await;
        next.leave().await;
    }
    let events = world.events(&acme, case).await;
    assert_eq!(events.len(), before, "{:?}", &events[before..]);
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_is_heeded_by_whoever_owns_the_case_when_he_comes() {
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), terms(SHORT))]);
    let engine = world.engine();
    let mut dispatcher = Dispatcher::over(engine.clone(), |_, _| Vec::new());
    let stop = dispatcher.stopped();
    dispatcher.also(engine.clone().heed_dead_letters(stop));
    // The one before orders, and dies before he sees what became of it.
    let before = world.dispatcher().await;
    let departure = world.departure(&acme, "HR-1");
    let case = before.engine.submit(departure).await.unwrap().case();
    let order = world.order(&acme, Kind::Resolve).await;
    bury(&world, &order.queue, "poison").await;
    before.die().await;
    // This one looks at the dead while nobody owns the case, and takes it then.
    pass(MINUTE).await;
    assert_eq!(failed(&world.case(&acme, case).await, Kind::Resolve), None);
    engine.recover().await.unwrap();
    until("its task has failed", MINUTE, async || {
        failed(&world.case(&acme, case).await, Kind::Resolve).is_some()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_forged_order_among_the_dead_changes_nothing() {
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), terms(SHORT))]);
    let (_dispatcher, case) = heeding(&world, &acme).await;
    let order = world.order(&acme, Kind::Resolve).await;
    let before = world.case(&acme, case).await.version;
    let unproven = Message {
        headers: BTreeMap::new(),
        ..order.message.clone()
    };
    let mut other = order.assignment.clone();
    other.attempt = 9;
    let changed = Message {
        body: serde_json::to_vec(&other).unwrap().into(),
        ..order.message.clone()
    };
    let renamed = Message {
        id: "another".into(),
        ..order.message.clone()
    };
    let mut under_another_key = order.message.clone();
    let key = world.dispatch().queue("ob.v1.device.urgent");
    let answer = &order.message.headers["offboard-answer-key"];
    let proof = key.prove(&order.message.id, answer, &order.message.body);
    under_another_key.headers.insert(PROOF_HEADER.into(), proof);
    for (n, forged) in [unproven, changed, renamed, under_another_key].into_iter().enumerate() {
        // Each by another way, so that none hides behind the other's id.
        let through = QueueName::Reports { shard: 7 };
        world.queue.publish(&through, vec![forged]).await.unwrap();
        bury(&world, &through, &format!("forged {n}")).await;
        pass(MINUTE / 2).await;
        assert_eq!(world.case(&acme, case).await.version, before, "forged {n}");
    }
    // The true one still counts.
    world.answer(&order).await;
    until("it counts", MINUTE, async || {
        task(&world.case(&acme, case).await, Kind::Resolve).is_settled()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_list_of_the_dead_says_what_and_why_the_newest_first() {
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), terms(SHORT))]);
    let (dispatcher, _) = heeding(&world, &acme).await;
    let reports = QueueName::Reports { shard: 0 };
    for n in 0..3 {
        let message = junk(&format!("junk-{n}"), vec![b'{'; 100 + n]);
        world.queue.publish(&reports, vec![message]).await.unwrap();
        pass(SECOND).await;
    }
    let order = world.order(&acme, Kind::Resolve).await;
    bury(&world, &order.queue, "too large").await;
    let Response::Dead(dead) = handle(&dispatcher.engine, Request::Dead { limit: 10 }).await else {
        panic!("the dead are not listed");
    };
    let ids: Vec<&str> = dead.iter().map(|d| d.id.as_str()).collect();
    assert_eq!(ids, [order.message.id.as_str(), "junk-2", "junk-1", "junk-0"]);
    assert_eq!(dead[0].reason, "too large");
    assert!(dead[1].reason.starts_with("not a report: "), "{}", dead[1].reason);
    assert_eq!(dead[1].bytes, 102);
    let Response::Status(status) = handle(&dispatcher.engine, Request::Status).await else {
        panic!("there is no status");
    };
    assert_eq!(status.dead, 4);
    let Response::Dead(some) = handle(&dispatcher.engine, Request::Dead { limit: 1 }).await else {
        panic!("the dead are not listed");
    };
    assert_eq!(some, dead[..1]);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_read_never_blocks_what_comes_behind_it() {
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), terms(CUT))]);
    // Before anybody consumes: all of it stands in front of what is true.
    let poison = || {
        let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
        [
            ("empty", Vec::new()),
            ("no json", b"\xff\xfe\x00".to_vec()),
            ("another shape", b"{\"tenant\":\"acme\"}".to_vec()),
            ("a later version", b"{\"said\":\"sung\",\"tenant\":\"acme\"}".to_vec()),
            ("deep", deep),
            ("oversize", vec![b' '; 20 * 1024 * 1024]),
        ]
    };
    for queue in [QueueName::Reports { shard: 0 }, QueueName::Sealing, QueueName::Dead] {
        for (id, body) in poison() {
            world.queue.publish(&queue, vec![junk(id, body)]).await.unwrap();
        }
    }
    let (dispatcher, case) = heeding(&world, &acme).await;
    let _closer = world.closer();
    let _worker = world.worker();
    world.all_closed(MINUTE).await;
    let dead = world.queue.dead(100).await.unwrap();
    let of = |start: &str| dead.iter().filter(|(_, reason)| reason.starts_with(start)).count();
    assert_eq!((of("not a report: "), of("not an order to seal: ")), (6, 6));
    let events = world.events(&acme, case).await;
    assert!(!events.iter().any(|(_, e)| matches!(e, Event::LateReport { .. })));
    dispatcher.is_idle().await;
}

#[tokio::test(start_paused = true)]
async fn an_order_that_was_answered_and_then_buried_stays_answered() {
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), terms(SHORT))]);
    let (_dispatcher, case) = heeding(&world, &acme).await;
    let order = world.order(&acme, Kind::Resolve).await;
    world
        .answer_with(&order, fault(&order.assignment, FaultClass::Transient))
        .await;
    until("it rests", MINUTE, async || {
        matches!(
            task(&world.case(&acme, case).await, Kind::Resolve).state,
            TaskState::Resting { .. }
        )
    })
    .await;
    bury(&world, &order.queue, "the acknowledgement was lost").await;
    pass(MINUTE).await;
    let now = world.case(&acme, case).await;
    assert_eq!(failed(&now, Kind::Resolve), None, "its attempt was over");
}

#[tokio::test(start_paused = true)]
async fn a_forged_letter_does_not_hide_the_true_one_of_the_same_name() {
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), terms(SHORT))]);
    let (_dispatcher, case) = heeding(&world, &acme).await;
    let order = world.order(&acme, Kind::Resolve).await;
    let through = QueueName::Reports { shard: 7 };
    let forged = Message {
        headers: BTreeMap::new(),
        ..order.message.clone()
    };
    world.queue.publish(&through, vec![forged]).await.unwrap();
    bury(&world, &through, "forged").await;
    pass(MINUTE).await;
    bury(&world, &order.queue, "poison").await;
    until("its task has failed", MINUTE, async || {
        failed(&world.case(&acme, case).await, Kind::Resolve).is_some()
    })
    .await;
}
