//! What is given up: an order that nobody can deal with becomes a task that
//! needs a person, with the reason; what was never ordered concerns nobody;
//! and nothing that does not read stands in the way of what comes behind it.

use crate::rig::*;
use offboard_dispatcher::control::{Request, Response, handle};
use offboard_dispatcher::letters::{Became, Clearing};
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

/// Many more than are answered after one look.
const MANY: usize = 1_500;

#[tokio::test(start_paused = true)]
async fn an_order_that_was_given_up_is_found_among_all_the_dead_that_concern_nobody() {
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), terms(SHORT))]);
    let (_dispatcher, case) = heeding(&world, &acme).await;
    let order = world.order(&acme, Kind::Resolve).await;
    let forged = Message {
        headers: BTreeMap::new(),
        ..order.message.clone()
    };
    // All of these come before anybody looks: some lie before it, more behind it.
    let nobodys = |from: usize| {
        let junk = (from..from + MANY).map(|n| junk(&format!("junk-{n}"), b"{".to_vec()));
        junk.chain([forged.clone()]).collect::<Vec<_>>()
    };
    world.queue.publish(&QueueName::Dead, nobodys(0)).await.unwrap();
    bury(&world, &order.queue, "poison").await;
    world.queue.publish(&QueueName::Dead, nobodys(MANY)).await.unwrap();
    until("its task has failed", MINUTE, async || {
        failed(&world.case(&acme, case).await, Kind::Resolve).is_some()
    })
    .await;
    let (_, detail) = failed(&world.case(&acme, case).await, Kind::Resolve).unwrap();
    assert!(detail.contains("poison"), "{detail}");
}

/// What became of the one letter, in words.
async fn cleared(dispatcher: &Dispatcher, resend: bool, keep: Option<&std::path::Path>) -> (Became, String) {
    let Response::Dead(dead) = handle(&dispatcher.engine, Request::Dead { limit: 10 }).await else {
        panic!("the dead are not listed");
    };
    let how = Clearing {
        by: "boss@msp.example".to_owned(),
        reason: "understood".to_owned(),
        resend,
        keep: keep.map(Into::into),
    };
    let letters = dead.iter().map(|d| d.letter).collect();
    match handle(&dispatcher.engine, Request::Clear { letters, how }).await {
        Response::Cleared(mut all) if all.len() == 1 => {
            let one = all.remove(0);
            (one.became, one.why.unwrap_or_default())
        }
        other => panic!("not one was cleared: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_that_is_awaited_is_sent_again_as_it_was() {
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), terms(SHORT))]);
    let dispatcher = world.dispatcher().await;
    let departure = world.departure(&acme, "HR-1");
    let case = dispatcher.engine.submit(departure).await.unwrap().case();
    let order = world.order(&acme, Kind::Resolve).await;
    bury(&world, &order.queue, "of another version").await;
    assert_eq!(
        cleared(&dispatcher, true, None).await,
        (Became::SentAgain, String::new())
    );
    let mut consumer = world.queue.consume(&order.queue, 1).await.unwrap();
    let again = consumer.next().await.unwrap();
    assert_eq!(again.message(), &order.message);
    assert!(world.queue.dead(9).await.unwrap().is_empty());
    // Once it has been answered nobody waits for it.
    world.answer(&order).await;
    until("it counts", MINUTE, async || {
        task(&world.case(&acme, case).await, Kind::Resolve).is_settled()
    })
    .await;
    again.bury("of another version").await.unwrap();
    let (became, why) = cleared(&dispatcher, true, None).await;
    assert_eq!(became, Became::Kept);
    assert!(
        why.contains("does not wait for it") && why.contains("offboard retry c-"),
        "{why}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_could_do_harm_is_never_sent_again() {
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), terms(SHORT))]);
    let dispatcher = world.dispatcher().await;
    let departure = world.departure(&acme, "HR-1");
    dispatcher.engine.submit(departure).await.unwrap();
    let order = world.order(&acme, Kind::Resolve).await;
    // A true proof of whatever it says.
    let proven = |change: &dyn Fn(&mut offboard_domain::Assignment), queue: &QueueName| {
        let mut assignment = order.assignment.clone();
        change(&mut assignment);
        let mut message = order.message.clone();
        message.body = serde_json::to_vec(&assignment).unwrap().into();
        let answer = message.headers["offboard-answer-key"].clone();
        let key = world.dispatch().queue(&queue.to_string());
        let proof = key.prove(&message.id, &answer, &message.body);
        message.headers.insert(PROOF_HEADER.into(), proof);
        message
    };
    let elsewhere = QueueName::Assignments {
        area: offboard_domain::Area::Device,
        lane: offboard_domain::Lane::Urgent,
        site: None,
    };
    let reports = QueueName::Reports { shard: 0 };
    let mut claims = order.message.clone();
    claims
        .headers
        .insert(offboard_queue::BURIED_FROM.into(), order.queue.to_string());
    for (through, message, why) in [
        (&elsewhere, order.message.clone(), "never sent again"),
        (&order.queue, junk("order", b"{}".to_vec()), "never sent again"),
        (&order.queue, proven(&|_| {}, &elsewhere), "never sent again"),
        (
            &order.queue,
            proven(&|a| a.kind = Kind::WipeDevice, &order.queue),
            "may happen only once",
        ),
        (
            &order.queue,
            proven(&|a| a.start_by.0 = 1, &order.queue),
            "it has run out",
        ),
        (
            &order.queue,
            proven(&|a| a.attempt = 9, &order.queue),
            "does not wait for it",
        ),
        (&reports, claims, "counts only from the worker"),
        (&QueueName::Sealing, junk("seal", b"{}".to_vec()), "no order to seal"),
        (&QueueName::Dead, junk("direct", b"{}".to_vec()), "no queue of ours"),
    ] {
        if *through == QueueName::Dead {
            world.queue.publish(through, vec![message]).await.unwrap();
        } else {
            // By hand: what stands in the way is nobody's.
            let aside = offboard_queue::LocalQueue::new(std::sync::Arc::new(|| offboard_domain::Timestamp(0)));
            aside.publish(through, vec![message]).await.unwrap();
            let mut consumer = aside.consume(through, 1).await.unwrap();
            consumer.next().await.unwrap().bury("poison").await.unwrap();
            let mut consumer = aside.consume(&QueueName::Dead, 1).await.unwrap();
            let buried = consumer.next().await.unwrap().message().clone();
            world.queue.publish(&QueueName::Dead, vec![buried]).await.unwrap();
        }
        let (became, said) = cleared(&dispatcher, true, None).await;
        assert_eq!(became, Became::Kept, "{through} {why}");
        assert!(said.contains(why), "{through}: {said}");
        assert_eq!(cleared(&dispatcher, false, None).await.0, Became::Dropped);
        assert!(world.queue.dead(9).await.unwrap().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_is_kept_before_its_letter_is_dropped() {
    let acme = tenant("acme");
    let world = World::new([(acme.clone(), terms(SHORT))]);
    let dispatcher = world.dispatcher().await;
    let junk = junk("junk", b"\xff\xfe".to_vec());
    world.queue.publish(&QueueName::Dead, vec![junk.clone()]).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    // Where it cannot be written, it stays.
    let file = folder.path().join("a file");
    std::fs::write(&file, "").unwrap();
    let (became, why) = cleared(&dispatcher, false, Some(&file)).await;
    assert_eq!(became, Became::Kept);
    assert!(why.contains("a file"), "{why}");
    let dead = world.queue.dead(9).await.unwrap();
    assert_eq!(dead.len(), 1);
    let name = offboard_dispatcher::letters::letter(&dead[0].0, &dead[0].1).to_string();
    let keep = folder.path().join("kept");
    assert_eq!(cleared(&dispatcher, false, Some(&keep)).await.0, Became::Dropped);
    assert_eq!(std::fs::read(keep.join(&name)).unwrap(), junk.body);
    assert!(world.queue.dead(9).await.unwrap().is_empty());
    // The same again, of a letter that came back: another copy is no other letter.
    world
        .queue
        .publish(&QueueName::Dead, vec![junk.clone(), junk.clone()])
        .await
        .unwrap();
    let Response::Dead(dead) = handle(&dispatcher.engine, Request::Dead { limit: 10 }).await else {
        panic!("the dead are not listed");
    };
    let how = Clearing {
        by: "boss@msp.example".to_owned(),
        reason: "understood".to_owned(),
        resend: false,
        keep: Some(keep),
    };
    let letters = vec![dead[0].letter];
    handle(
        &dispatcher.engine,
        Request::Clear {
            letters: letters.clone(),
            how: how.clone(),
        },
    )
    .await;
    assert!(world.queue.dead(9).await.unwrap().is_empty());
    let Response::Cleared(gone) = handle(&dispatcher.engine, Request::Clear { letters, how }).await else {
        panic!("nothing is said");
    };
    assert_eq!(gone[0].became, Became::Gone);
}
