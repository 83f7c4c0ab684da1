//! What the broker and the network do to a queue, and what is left of it then:
//! nothing that was confirmed is lost, nobody waits for ever, and all goes on
//! by itself when the fault is over.

use super::broker::{BOOTED, OnRabbit, OnRough, administrator, connect, new_vhost, quiet, rough, to, topology};
use crate::backend::Backend as _;
use crate::kit::{identity, ids, message, messages, next, reports, take};
use offboard_queue::rabbit::{Limits, RabbitError};
use offboard_queue::{Consumer, Delivery, Message, Queue as _, QueueError, QueueName, RabbitQueue};
use offboard_servers::{Direction, Proxy, Rabbit};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

fn mailbox() -> QueueName {
    QueueName::Assignments {
        area: offboard_domain::Area::Mailbox,
        lane: offboard_domain::Lane::Normal,
        site: None,
    }
}

fn detail(result: Result<(), QueueError>) -> String {
    match result {
        Err(QueueError::Unavailable { detail, .. }) => detail,
        other => panic!("not unavailable, but {other:?}"),
    }
}

/// Waits until something is so.
async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !so() {
        assert!(Instant::now() < end, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Subscribes as a worker does: again and again until it works.
pub(super) async fn subscribed(queue: &RabbitQueue, name: &QueueName) -> Box<dyn Consumer> {
    let end = Instant::now() + Duration::from_secs(90);
    loop {
        match queue.consume(name, 1_000).await {
            Ok(consumer) => return consumer,
            Err(error) => assert!(Instant::now() < end, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Publishes as a dispatcher does: again and again until it works.
pub(super) async fn published(queue: &RabbitQueue, name: &QueueName, what: Message) {
    let end = Instant::now() + Duration::from_secs(90);
    while let Err(error) = queue.publish(name, vec![what.clone()]).await {
        assert!(Instant::now() < end, "{error}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What comes next, and is dealt with.
pub(super) async fn comes(consumer: &mut Box<dyn Consumer>, id: &str) {
    let delivery = next(consumer).await;
    assert_eq!(delivery.message().id, id);
    delivery.ack().await.unwrap();
}

pub(super) async fn ended(consumer: &mut Box<dyn Consumer>) -> String {
    loop {
        match tokio::time::timeout(Duration::from_secs(60), consumer.next()).await {
            Ok(Ok(_)) => {}
            Ok(Err(QueueError::ConsumerEnded { detail, .. })) => return detail,
            other => panic!("not ended, but {:?}", other.map(Result::err)),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_broker_keeps_what_it_confirmed() {
    let OnRough { broker, queue, .. } = OnRough::fresh().await;
    let mut waiting = queue.consume(&reports(), 10).await.unwrap();
    let confirmed = Arc::new(Mutex::new(BTreeSet::new()));
    let mut publishing = JoinSet::new();
    for publisher in 0..8 {
        let (queue, confirmed) = (queue.clone(), Arc::clone(&confirmed));
        publishing.spawn(async move {
            for n in 0.. {
                let id = format!("{publisher}-{n}");
                match queue.publish(&identity(), vec![message(&id)]).await {
                    Ok(()) => drop(confirmed.lock().await.insert(id)),
                    Err(QueueError::Unavailable { .. }) => return,
                    Err(other) => panic!("{other}"),
                }
            }
        });
    }
    while confirmed.lock().await.len() < 400 {
        tokio::task::yield_now().await;
    }
    let broker = to(broker, Rabbit::kill).await;
    ended(&mut waiting).await;
    publishing.join_all().await;
    let _broker = to(broker, |broker| broker.restart().unwrap()).await;

    // The same handle goes on by itself.
    let mut missing = confirmed.lock().await.clone();
    assert!(missing.len() >= 400);
    let mut consumer = subscribed(&queue, &identity()).await;
    published(&queue, &reports(), message("after")).await;
    while !missing.is_empty() {
        let delivery = next(&mut consumer).await;
        missing.remove(&delivery.message().id);
        delivery.ack().await.unwrap();
    }
    assert!(queue.connected());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_broker_comes_back_whole() {
    let broker = rough().await;
    let queue = connect(administrator(&broker, broker.port(), BOOTED)).await;
    queue.publish(&identity(), messages(0..3)).await.unwrap();
    let mut waiting = queue.consume(&reports(), 10).await.unwrap();
    let _broker = to(broker, |broker| {
        broker.wipe_data().unwrap();
        broker.restart().unwrap();
    })
    .await;
    ended(&mut waiting).await;
    // What was in it is gone, and every queue is there again.
    for name in topology(BOOTED).queues() {
        published(&queue, &name, message("again")).await;
        let mut consumer = subscribed(&queue, &name).await;
        comes(&mut consumer, "again").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_takes_no_publications_says_so_and_still_delivers() {
    let broker = rough().await;
    let vhost = new_vhost(&broker).await;
    let mut config = administrator(&broker, broker.port(), &vhost);
    config.limits.blocked = Duration::from_millis(500);
    config.limits.confirm = Duration::from_secs(5);
    let queue = connect(config).await;
    for one in messages(0..3) {
        published(&queue, &identity(), one).await;
    }
    let mut consumer = queue.consume(&identity(), 1).await.unwrap();
    let broker = to(broker, |broker| broker.memory_alarm(true).unwrap()).await;

    // The alarm is told to whoever publishes, not before.
    let mut failure = String::new();
    while queue.blocked().is_none() {
        if let Err(error) = queue.publish(&reports(), vec![message("late")]).await {
            failure = error.to_string();
        }
    }
    let began = Instant::now();
    if failure.is_empty() {
        failure = detail(queue.publish(&reports(), vec![message("later")]).await);
    }
    assert!(failure.contains("takes no publications now"), "{failure}");
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    for _ in 0..3 {
        next(&mut consumer).await.ack().await.unwrap();
    }
    // Longer than a confirm may take: being blocked is not being dead.
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert!(queue.connected() && queue.blocked().is_some());

    let _broker = to(broker, |broker| broker.memory_alarm(false).unwrap()).await;
    published(&queue, &identity(), message("again")).await;
    comes(&mut consumer, "again").await;
    assert_eq!(queue.blocked(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_short_of_disk_takes_nothing_until_there_is_room_again() {
    let broker = rough().await;
    let vhost = new_vhost(&broker).await;
    let mut config = administrator(&broker, broker.port(), &vhost);
    config.limits.blocked = Duration::from_millis(500);
    let queue = connect(config).await;
    published(&queue, &identity(), message("before")).await;
    let broker = to(broker, |broker| broker.disk_alarm(true).unwrap()).await;
    // The alarm is told to whoever publishes, not before.
    let end = Instant::now() + Duration::from_secs(60);
    let why = loop {
        drop(queue.publish(&reports(), vec![message("late")]).await);
        if let Some(why) = queue.blocked() {
            break why;
        }
        assert!(Instant::now() < end, "nobody was told of the alarm");
    };
    assert!(why.contains("disk"), "{why}");
    let said = detail(queue.publish(&identity(), vec![message("later")]).await);
    assert!(said.contains("takes no publications now"), "{said}");
    let mut consumer = queue.consume(&identity(), 1).await.unwrap();
    comes(&mut consumer, "before").await;

    let _broker = to(broker, |broker| broker.disk_alarm(false).unwrap()).await;
    published(&queue, &identity(), message("again")).await;
    // What was told to be unknown may have come, too.
    let mut last = String::new();
    while last != "again" {
        let delivery = next(&mut consumer).await;
        last = delivery.message().id.clone();
        delivery.ack().await.unwrap();
    }
    assert_eq!(queue.blocked(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_cut_before_the_confirm_leaves_the_outcome_unknown() {
    let OnRabbit { proxy, queue, .. } = OnRabbit::fresh().await;
    let mut consumer = queue.consume(&identity(), 10).await.unwrap();
    queue.publish(&identity(), vec![message("before")]).await.unwrap();
    next(&mut consumer).await.ack().await.unwrap();

    // It reaches the broker, the confirm does not come back. Nobody consumes it,
    // so that it is seen there.
    proxy.stall(Direction::ToClient);
    let lost = vec![message("unknown")];
    let publishing = tokio::spawn({
        let queue = queue.clone();
        async move { queue.publish(&mailbox(), lost).await }
    });
    let witness = connect(administrator(quiet().await, quiet().await.port(), &vhost_of(&queue))).await;
    until_ready(&witness, &mailbox()).await;
    proxy.cut();
    let why = detail(publishing.await.unwrap());
    assert!(why.contains("unknown"), "{why}");
    ended(&mut consumer).await;

    // And it is there, and all goes on.
    let mut consumer = subscribed(&queue, &mailbox()).await;
    comes(&mut consumer, "unknown").await;
    published(&queue, &mailbox(), message("after")).await;
    comes(&mut consumer, "after").await;
}

/// The virtual host stands in the name that the handle shows.
fn vhost_of(queue: &RabbitQueue) -> String {
    let shown = format!("{queue:?}");
    let (_, vhost) = shown.trim_end_matches(')').rsplit_once('/').unwrap();
    vhost.to_owned()
}

/// Waits until something is ready to be delivered there.
async fn until_ready(queue: &RabbitQueue, name: &QueueName) {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let depths = queue.depths().await.unwrap();
        let held = depths.iter().find(|d| d.queue == *name).unwrap();
        if held.ready > 0 {
            return;
        }
        assert!(Instant::now() < end);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_confirm_that_never_comes_is_not_waited_for() {
    let OnRabbit { proxy, queue, .. } = OnRabbit::with(|config| {
        config.limits = Limits {
            confirm: Duration::from_secs(2),
            ..config.limits
        };
        // Not the heartbeat notices it, but the missing confirm.
        config.heartbeat = Duration::from_secs(600);
    })
    .await;
    published(&queue, &identity(), message("before")).await;
    proxy.stall(Direction::ToClient);
    let began = Instant::now();
    let why = detail(queue.publish(&identity(), vec![message("lost")]).await);
    assert!(why.contains("unknown"), "{why}");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    // The connection was opened anew.
    published(&queue, &identity(), message("after")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_on_which_nothing_moves_is_noticed_by_asking() {
    let OnRabbit { proxy, queue, .. } = OnRabbit::with(|config| {
        config.limits = Limits {
            answer: Duration::from_secs(6),
            watch: Duration::from_millis(500),
            ..config.limits
        };
        config.heartbeat = Duration::from_secs(600);
    })
    .await;
    let mut consumer = queue.consume(&identity(), 1).await.unwrap();
    // Asked some times, it still counts.
    tokio::time::sleep(Duration::from_secs(2)).await;
    queue.publish(&identity(), messages(1..3)).await.unwrap();
    comes(&mut consumer, "1").await;
    // That the next comes shows that the acknowledgement has arrived.
    let held = next(&mut consumer).await;
    proxy.stall(Direction::Both);
    ended(&mut consumer).await;
    // Else the broker would go on sending to the one that hears nothing.
    proxy.cut();
    drop(held);
    let mut consumer = subscribed(&queue, &identity()).await;
    comes(&mut consumer, "2").await;
    published(&queue, &identity(), message("3")).await;
    comes(&mut consumer, "3").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_queue_is_noticed_and_works_again_when_it_is_back() {
    let broker = quiet().await;
    let OnRabbit {
        vhost,
        queue,
        proxy: _proxy,
    } = OnRabbit::fresh().await;
    let mut consumer = queue.consume(&identity(), 10).await.unwrap();
    let mut other = queue.consume(&mailbox(), 10).await.unwrap();
    broker.delete_queue(&vhost, &identity().to_string()).unwrap();
    let why = ended(&mut consumer).await;
    assert!(why.contains("cancelled"), "{why}");
    let why = detail(queue.publish(&identity(), vec![message("nowhere")]).await);
    assert!(why.contains("import the definitions"), "{why}");
    assert!(matches!(
        queue.consume(&identity(), 1).await.err(),
        Some(QueueError::Unavailable { .. })
    ));
    let depths = queue.depths().await.unwrap();
    assert!(depths.iter().all(|d| d.queue != identity()));
    // The others did not notice anything.
    queue.publish(&mailbox(), vec![message("fine")]).await.unwrap();
    comes(&mut other, "fine").await;

    broker.import(&topology(&vhost).definitions().unwrap()).unwrap();
    let mut consumer = queue.consume(&identity(), 10).await.unwrap();
    queue.publish(&identity(), vec![message("again")]).await.unwrap();
    comes(&mut consumer, "again").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_in_flight_exactly_those_without_a_queue_fail() {
    const ROUNDS: usize = 30;
    const EACH: usize = 200;
    let OnRabbit {
        queue, proxy: _proxy, ..
    } = OnRabbit::fresh().await;
    let nowhere = QueueName::Reports { shard: 99 };
    let mut publishing = JoinSet::new();
    for n in 0..ROUNDS * EACH {
        let (queue, nowhere) = (queue.clone(), nowhere.clone());
        publishing.spawn(async move {
            let unroutable = n % 7 == 3;
            let name = if unroutable { nowhere } else { identity() };
            let done = queue.publish(&name, vec![message(n)]).await;
            assert_eq!(done.is_err(), unroutable, "{n}: {done:?}");
        });
    }
    publishing.join_all().await;
    let mut consumer = queue.consume(&identity(), 1_000).await.unwrap();
    let expected = (0..ROUNDS * EACH).filter(|n| n % 7 != 3).count();
    let mut came = BTreeSet::new();
    while came.len() < expected {
        let delivery = next(&mut consumer).await;
        came.insert(delivery.message().id.clone());
        delivery.ack().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_travel_fails_alone() {
    let OnRabbit {
        queue, proxy: _proxy, ..
    } = OnRabbit::with(|config| config.message_max_bytes = 100_000).await;
    let large = Message {
        body: vec![0; 100_001].into(),
        ..message("large")
    };
    let named = message("n".repeat(256));
    let mut headed = message("headed");
    headed.headers.insert("h".repeat(256), String::new());
    let mut heavy = message("heavy");
    for n in 0..2 {
        heavy.headers.insert(format!("h{n}"), "x".repeat(50_000));
    }
    let name = identity();
    let fine = queue.publish(&name, vec![message("fine")]);
    let bad = [large, named, headed, heavy].map(|bad| queue.publish(&name, vec![message("with it"), bad]));
    let [a, b, c, d] = bad;
    let (fine, a, b, c, d) = tokio::join!(fine, a, b, c, d);
    fine.unwrap();
    assert!(detail(a).contains("100001 bytes"));
    assert!(detail(b).contains("longer than 255"));
    assert!(detail(c).contains("longer than 255"));
    assert!(detail(d).contains("headers have 100016 bytes"));
    let mut consumer = queue.consume(&identity(), 10).await.unwrap();
    let came = take(&mut consumer, 5).await;
    assert_eq!(ids(&came), ["fine", "with it", "with it", "with it", "with it"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expiry_beyond_what_the_broker_counts_still_holds() {
    let backend = OnRabbit::fresh().await;
    let far = Message {
        expires_at: Some(backend.now().plus(i64::from(u32::MAX) * 10)),
        ..message("far")
    };
    backend.queue.publish(&identity(), vec![far.clone()]).await.unwrap();
    let mut consumer = backend.queue.consume(&identity(), 10).await.unwrap();
    let delivery: Box<dyn Delivery> = next(&mut consumer).await;
    assert_eq!(delivery.message(), &far);
}

#[tokio::test]
async fn a_broker_that_comes_late_is_waited_for() {
    let broker = quiet().await;
    let vhost = new_vhost(broker).await;
    let proxy = Proxy::to(broker.port()).unwrap();
    proxy.block();
    let config = administrator(broker, proxy.port(), &vhost);
    let impatient = RabbitQueue::connect(config.clone(), Duration::from_millis(300)).await;
    let error = impatient.unwrap_err().to_string();
    assert!(
        error.contains(&format!("127.0.0.1:{}", proxy.port())) && !error.contains(broker.password()),
        "{error}"
    );
    let (queue, ()) = tokio::join!(connect(config), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        proxy.restore();
    });
    queue.publish(&identity(), vec![message("at last")]).await.unwrap();
}

#[tokio::test]
async fn what_is_missing_at_the_broker_is_named() {
    let broker = quiet().await;
    let vhost = new_vhost(broker).await;
    broker.delete_queue(&vhost, &reports().to_string()).unwrap();
    let mut config = administrator(broker, broker.port(), &vhost);
    config.queues.push(QueueName::Reports { shard: 77 });
    match RabbitQueue::connect(config, Duration::from_secs(30)).await {
        Err(RabbitError::Missing { missing, .. }) => {
            assert_eq!(missing, ["queue ob.v1.reports.3", "queue ob.v1.reports.77"]);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_wrong_password_is_said_without_it() {
    let broker = quiet().await;
    let vhost = new_vhost(broker).await;
    let mut config = administrator(broker, broker.port(), &vhost);
    config.address.password = Some("hunter2".into());
    let refused = RabbitQueue::connect(config, Duration::from_millis(100)).await;
    let error = refused.unwrap_err().to_string();
    assert!(
        error.contains("ACCESS_REFUSED") && !error.contains("hunter2"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_farewell_everything_is_back_and_nothing_works() {
    let OnRabbit {
        vhost,
        queue,
        proxy: _proxy,
    } = OnRabbit::fresh().await;
    queue.publish(&identity(), messages(0..2)).await.unwrap();
    let mut consumer = queue.consume(&identity(), 10).await.unwrap();
    let held = take(&mut consumer, 2).await;
    queue.close().await;
    ended(&mut consumer).await;
    until("the connections are closed", || !queue.connected()).await;
    drop(held);
    let again = connect(administrator(quiet().await, quiet().await.port(), &vhost)).await;
    let mut consumer = again.consume(&identity(), 10).await.unwrap();
    let back = take(&mut consumer, 2).await;
    assert!(back.iter().all(|d| d.redelivered()));
}
