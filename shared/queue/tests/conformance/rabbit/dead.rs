//! The dead: what the broker gave up is among them with the reason in words,
//! what merely ran out is not, and what nobody can read blocks nobody.

use super::broker::{OnRabbit, quiet};
use crate::backend::Backend as _;
use crate::kit::{dead, identity, message, messages, next, nothing_comes, reports};
use lapin::options::{BasicPublishOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use offboard_queue::{BURIED_FROM, BURIED_REASON, Message, Queue as _, QueueName};
use offboard_servers::ADMINISTRATOR;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_delivered_again_and_again_is_given_up_with_its_reason() {
    let OnRabbit {
        queue, proxy: _proxy, ..
    } = OnRabbit::fresh().await;
    let mut poison = message("poison");
    poison.headers.insert("traceparent".to_owned(), "00-1".to_owned());
    let mut liar = poison.clone();
    liar.headers
        .insert(BURIED_REASON.to_owned(), "nothing of note".to_owned());
    liar.headers.insert(BURIED_FROM.to_owned(), "ob.v1.sealing".to_owned());
    queue.publish(&identity(), vec![liar]).await.unwrap();
    let mut consumer = queue.consume(&identity(), 1).await.unwrap();
    // The first, and fifty again.
    for _ in 0..51 {
        assert!(queue.dead(10).await.unwrap().is_empty());
        drop(next(&mut consumer).await);
    }
    let (message, reason) = dead(&queue, 1).await.remove(0);
    nothing_comes(&mut consumer).await;
    assert_eq!(message, poison);
    assert!(
        reason.contains("again and again") && reason.contains(&identity().to_string()),
        "{reason}"
    );
    // Whoever consumes the dead is told the same.
    let mut undertaker = queue.consume(&QueueName::Dead, 1).await.unwrap();
    let told = next(&mut undertaker).await;
    assert_eq!(told.message().headers[BURIED_REASON], reason);
    assert_eq!(told.message().headers[BURIED_FROM], identity().to_string());
    drop((told, undertaker));
    // Others were never held up.
    queue
        .publish(&identity(), vec![crate::kit::message("fine")])
        .await
        .unwrap();
    next(&mut consumer).await.ack().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_merely_ran_out_is_not_among_the_dead() {
    let backend = OnRabbit::fresh().await;
    let queue = &backend.queue;
    // What has run out before it is sent is not sent: the way is opened first.
    queue
        .publish(&QueueName::Sealing, vec![message("first")])
        .await
        .unwrap();
    let short = |n: usize| Message {
        expires_at: Some(backend.now().plus(OnRabbit::SHORT_MS)),
        ..message(n)
    };
    queue.publish(&identity(), (0..20).map(short).collect()).await.unwrap();
    backend.pass(OnRabbit::SHORT_MS).await;
    // One that is buried afterwards shows when the broker has got there.
    queue.publish(&identity(), vec![message("poison")]).await.unwrap();
    let mut consumer = queue.consume(&identity(), 1).await.unwrap();
    let delivery = next(&mut consumer).await;
    assert_eq!(delivery.message().id, "poison");
    delivery.bury("it does not read").await.unwrap();
    let dead = dead(queue, 1).await;
    assert_eq!(
        (dead[0].0.id.as_str(), dead[0].1.as_str()),
        ("poison", "it does not read")
    );
    nothing_comes(&mut consumer).await;
    // They are where whoever wonders may look.
    let (_connection, channel) = bare(&backend.vhost).await;
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let passive = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let kept = channel.queue_declare("ob.v1.expired".into(), passive, FieldTable::default());
        match kept.await.unwrap().message_count() {
            20 => return,
            kept => assert!(kept < 20 && Instant::now() < end, "{kept} are kept"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A bare channel as the administrator.
async fn bare(vhost: &str) -> (Connection, Channel) {
    let broker = quiet().await;
    let (user, password) = (ADMINISTRATOR, broker.password());
    let uri = format!("amqp://{user}:{password}@127.0.0.1:{}/{vhost}", broker.port());
    let connection = Connection::connect(&uri, ConnectionProperties::default())
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}

/// More than are looked through to show somebody the newest.
const MANY: usize = 10_100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_wanted_is_found_behind_ten_thousand_others() {
    let OnRabbit {
        queue, proxy: _proxy, ..
    } = OnRabbit::fresh().await;
    queue.publish(&QueueName::Dead, messages(0..MANY)).await.unwrap();
    queue.publish(&QueueName::Dead, vec![message("wanted")]).await.unwrap();
    let wanted = |one: &Message| one.id == "wanted";
    let looking = queue.clone();
    let mut looking = tokio::spawn(async move { looking.dead_among(&wanted, 10).await.unwrap() });
    let mut counted = 0;
    let found = loop {
        tokio::select! {
            biased;
            found = &mut looking => break found.unwrap(),
            depths = queue.depths() => {
                depths.unwrap();
                counted += 1;
            }
        }
    };
    let ids: Vec<&str> = found.iter().map(|(one, _)| one.id.as_str()).collect();
    assert_eq!(ids, ["wanted"]);
    assert!(counted > 1, "whoever counts the queues meanwhile is not held up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_can_read_blocks_nobody() {
    let OnRabbit {
        vhost,
        queue,
        proxy: _proxy,
    } = OnRabbit::with(|config| config.buried_max_bytes = 1_000).await;
    let (_connection, channel) = bare(&vhost).await;
    channel.confirm_select(Default::default()).await.unwrap();
    // No id, headers that are no text, a body that is no text and large.
    let mut headers = FieldTable::default();
    headers.insert("number".into(), AMQPValue::LongLongInt(7));
    headers.insert("bytes".into(), AMQPValue::LongString(vec![0xff, 0xfe].into()));
    headers.insert("offboard-expires-at".into(), AMQPValue::LongString("soon".into()));
    let strange = BasicProperties::default().with_headers(headers);
    let body = vec![0xff; 3_000_000];
    let (exchange, key) = ("ob.v1.assignments", identity().to_string());
    let options = BasicPublishOptions::default();
    let publishing = channel.basic_publish(exchange.into(), key.into(), options, &body, strange);
    publishing.await.unwrap().await.unwrap();
    queue.publish(&identity(), vec![message("fine")]).await.unwrap();

    let mut consumer = queue.consume(&identity(), 1).await.unwrap();
    let delivery = next(&mut consumer).await;
    assert_eq!(
        (delivery.message().id.as_str(), delivery.message().body.len()),
        ("", 3_000_000)
    );
    delivery.bury("it has 3000000 bytes").await.unwrap();
    let delivery = next(&mut consumer).await;
    assert_eq!(delivery.message().id, "fine");
    delivery.ack().await.unwrap();
    let (kept, reason) = dead(&queue, 1).await.remove(0);
    assert_eq!(kept.body.len(), 1_000, "the dead do not fill the broker");
    assert_eq!(
        reason,
        "it has 3000000 bytes (of its 3000000 bytes the first 1000 are kept)"
    );
}

/// All but a little of a frame, which has 131,072 bytes.
const LARGE: usize = 130_700;

/// Puts one with such headers where the bare channel may.
async fn put(channel: &Channel, exchange: &str, key: &QueueName, headers: Vec<(String, String)>) {
    let headers: BTreeMap<ShortString, AMQPValue> = headers
        .into_iter()
        .map(|(name, text)| (name.into(), AMQPValue::LongString(text.into())))
        .collect();
    let properties = BasicProperties::default()
        .with_message_id("large".into())
        .with_headers(FieldTable::from(headers));
    let (key, options) = (key.to_string(), BasicPublishOptions::default());
    channel.confirm_select(Default::default()).await.unwrap();
    let publishing = channel.basic_publish(exchange.into(), key.into(), options, b"{}", properties);
    publishing.await.unwrap().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_as_large_as_the_broker_takes_are_not_kept_and_hold_nobody_up() {
    let OnRabbit {
        vhost,
        queue,
        proxy: _proxy,
    } = OnRabbit::fresh().await;
    let (_connection, channel) = bare(&vhost).await;
    let one = vec![("h".to_owned(), "x".repeat(LARGE))];
    // Each takes 14 bytes of the frame.
    let many = (0..LARGE / 14).map(|n| (format!("h{n:07}"), String::new())).collect();
    for headers in [one, many] {
        put(&channel, "ob.v1.reports", &reports(), headers).await;
    }
    queue.publish(&reports(), vec![message("fine")]).await.unwrap();

    let mut consumer = queue.consume(&reports(), 1).await.unwrap();
    let (why, elsewhere) = ("it does not read ".repeat(40), identity());
    for _ in 0..2 {
        let delivery = next(&mut consumer).await;
        assert_eq!(delivery.message().id, "large");
        // Whoever publishes over the same connection meanwhile does not notice.
        let publishing = queue.publish(&elsewhere, messages(0..100));
        let (buried, published) = tokio::join!(delivery.bury(&why), publishing);
        buried.unwrap();
        published.unwrap();
    }
    let delivery = next(&mut consumer).await;
    assert_eq!(delivery.message().id, "fine");
    delivery.ack().await.unwrap();
    nothing_comes(&mut consumer).await;
    for (kept, reason) in dead(&queue, 2).await {
        assert!(kept.headers.is_empty(), "{} headers", kept.headers.len());
        assert_eq!((kept.id.as_str(), &kept.body[..]), ("large", b"{}".as_slice()));
        assert!(
            reason.starts_with(&why) && reason.ends_with(" bytes are not kept)"),
            "{reason}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_the_dead_with_such_headers_is_buried_again_without_them() {
    let OnRabbit {
        vhost,
        queue,
        proxy: _proxy,
    } = OnRabbit::fresh().await;
    let (_connection, channel) = bare(&vhost).await;
    let headers = vec![("h".to_owned(), "x".repeat(LARGE))];
    put(&channel, "ob.v1.dead", &identity(), headers).await;
    let mut undertaker = queue.consume(&QueueName::Dead, 1).await.unwrap();
    let why = "again ".repeat(100);
    next(&mut undertaker).await.bury(&why).await.unwrap();
    drop(undertaker);
    let (kept, reason) = dead(&queue, 1).await.remove(0);
    assert!(kept.headers.is_empty(), "{} headers", kept.headers.len());
    assert!(reason.starts_with(&why), "{reason}");
}

/// All of a frame but some bytes, fewer than the broker adds when it delivers again.
const FULL: usize = 131_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_the_dead_that_nobody_can_be_given_again_ends_nobodys_work() {
    let OnRabbit {
        vhost,
        queue,
        proxy: _proxy,
    } = OnRabbit::fresh().await;
    let (_connection, channel) = bare(&vhost).await;
    let mut consumer = queue.consume(&identity(), 1).await.unwrap();
    let headers = vec![("h".to_owned(), "x".repeat(FULL))];
    put(&channel, "ob.v1.dead", &identity(), headers).await;
    assert_eq!(dead(&queue, 1).await.len(), 1);
    for n in 0..3 {
        // What comes of it is not said: it may still be read, and end the connection then.
        drop(queue.dead(10).await);
        drop(queue.consume(&QueueName::Dead, 1).await);
        queue.publish(&identity(), vec![message(n)]).await.unwrap();
        let delivery = next(&mut consumer).await;
        assert_eq!(delivery.message().id, n.to_string());
        delivery.ack().await.unwrap();
    }
}

/// The same of what is no dead letter: the broker adds a count of 26 bytes alone to it.
const BRIM: usize = 131_020;

/// Waits until a consumer was ended so often.
async fn until_ended(ended: &AtomicUsize, times: usize) {
    let end = Instant::now() + Duration::from_secs(60);
    while ended.load(Ordering::Relaxed) < times {
        assert!(Instant::now() < end, "{} times", ended.load(Ordering::Relaxed));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_can_be_given_again_ends_the_work_of_its_own_queue_alone() {
    let OnRabbit {
        vhost,
        queue,
        proxy: _proxy,
    } = OnRabbit::fresh().await;
    let (_connection, channel) = bare(&vhost).await;
    let headers = vec![("h".to_owned(), "x".repeat(BRIM))];
    put(&channel, "ob.v1.reports", &reports(), headers).await;
    let ended = Arc::new(AtomicUsize::new(0));
    let consuming = tokio::spawn({
        let (queue, ended) = (queue.clone(), Arc::clone(&ended));
        async move {
            loop {
                let Ok(mut consumer) = queue.consume(&reports(), 10).await else {
                    continue;
                };
                // What is given back is delivered again, and larger.
                while let Ok(delivery) = consumer.next().await {
                    drop(delivery.give_back().await);
                }
                ended.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    until_ended(&ended, 5).await;
    let mut consumer = queue.consume(&identity(), 1).await.unwrap();
    for n in 0..5 {
        let before = ended.load(Ordering::Relaxed);
        until_ended(&ended, before + 1).await;
        queue.publish(&identity(), vec![message(n)]).await.unwrap();
        let delivery = next(&mut consumer).await;
        assert_eq!(delivery.message().id, n.to_string());
        delivery.ack().await.unwrap();
    }
    consuming.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reason_that_quotes_what_is_large_is_cut() {
    let OnRabbit {
        queue, proxy: _proxy, ..
    } = OnRabbit::fresh().await;
    queue.publish(&identity(), vec![message("poison")]).await.unwrap();
    let mut consumer = queue.consume(&identity(), 1).await.unwrap();
    let quoted = format!("not `{}`", "é".repeat(100_000));
    next(&mut consumer).await.bury(&quoted).await.unwrap();
    let (kept, reason) = dead(&queue, 1).await.remove(0);
    assert_eq!(kept, message("poison"));
    assert!(
        reason.starts_with("not `éé") && reason.ends_with("é… (of a reason of 200006 bytes)"),
        "{reason}"
    );
    assert!(reason.len() < 5_000, "{}", reason.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_dead_can_be_buried_again() {
    let OnRabbit {
        queue, proxy: _proxy, ..
    } = OnRabbit::fresh().await;
    queue.publish(&identity(), vec![message("poison")]).await.unwrap();
    let mut consumer = queue.consume(&identity(), 1).await.unwrap();
    next(&mut consumer).await.bury("first").await.unwrap();
    let mut undertaker = queue.consume(&QueueName::Dead, 1).await.unwrap();
    next(&mut undertaker).await.bury("second").await.unwrap();
    let again = next(&mut undertaker).await;
    let headers = &again.message().headers;
    assert_eq!(headers["offboard-buried-reason"], "second");
    assert_eq!(
        headers["offboard-buried-from"],
        identity().to_string(),
        "where it came from at first"
    );
}
