//! `offboard list --dead` and `offboard clear` over a real broker: what was
//! looked at is dealt with, and nothing else.

use crate::cluster::servers::{PASSWORD, Role, definitions, quiet, store};
use offboard_domain::{Area, Lane, Timestamp};
use offboard_queue::rabbit::{Address, CLOSER, DISPATCHER, WORKER};
use offboard_queue::{Message, Queue as _, QueueName, RabbitConfig, RabbitQueue};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;
use std::time::Duration;

/// How long a delivery may take on a busy machine.
const WITHIN: Duration = Duration::from_secs(20);

async fn as_user(vhost: &str, user: &str, queues: Vec<QueueName>) -> RabbitQueue {
    let port = quiet().port();
    let address = Address::parse(&format!("amqp://{user}:{PASSWORD}@127.0.0.1:{port}/{vhost}")).unwrap();
    let now = || Timestamp(crate::cluster::stage::now_ms());
    let config = RabbitConfig::new(address, queues, Arc::new(now));
    RabbitQueue::connect(config, Duration::from_secs(30)).await.unwrap()
}

fn message(id: &str, body: &str) -> Message {
    Message {
        id: id.to_owned(),
        headers: BTreeMap::new(),
        body: body.to_owned().into(),
        expires_at: None,
    }
}

/// Buries what one user sends and another takes.
async fn bury(from: (&RabbitQueue, &RabbitQueue), name: &QueueName, message: Message, reason: &str) {
    let (sender, taker) = from;
    sender.publish(name, vec![message]).await.unwrap();
    let mut consumer = taker.consume(name, 1).await.unwrap();
    let delivery = tokio::time::timeout(WITHIN, consumer.next()).await;
    delivery.unwrap().unwrap().bury(reason).await.unwrap();
}

/// Buries so many orders, and gives who sent and who took them.
async fn bury_many(vhost: &str, many: usize) -> [RabbitQueue; 2] {
    let orders = QueueName::Assignments {
        area: Area::Identity,
        lane: Lane::Urgent,
        site: None,
    };
    let dispatcher = as_user(vhost, DISPATCHER, vec![QueueName::Dead]).await;
    let worker = as_user(vhost, WORKER, vec![orders.clone()]).await;
    let all = (0..many).map(|n| message(&format!("m-{n}"), "{}")).collect();
    dispatcher.publish(&orders, all).await.unwrap();
    let mut consumer = worker.consume(&orders, 200).await.unwrap();
    for _ in 0..many {
        let delivery = tokio::time::timeout(WITHIN, consumer.next()).await.unwrap().unwrap();
        delivery.bury("poison").await.unwrap();
    }
    drop(consumer);
    [dispatcher, worker]
}

fn letter(listed: &Value, reason: &str) -> String {
    let listed = listed.as_array().unwrap();
    let one = listed.iter().find(|l| l["reason"] == reason).unwrap();
    one["letter"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_dropped_or_sent_again_one_by_one() {
    let vhost = "letters";
    quiet().import(&definitions(vhost)).unwrap();
    let redis = store(|_| {});
    let role = Role::over(redis.port(), quiet().port(), vhost);
    let (orders, reports) = (
        QueueName::Assignments {
            area: Area::Identity,
            lane: Lane::Urgent,
            site: None,
        },
        QueueName::Reports { shard: 3 },
    );
    let dispatcher = as_user(vhost, DISPATCHER, vec![QueueName::Dead]).await;
    let worker = as_user(vhost, WORKER, vec![orders.clone()]).await;
    let closer = as_user(vhost, CLOSER, vec![QueueName::Sealing]).await;
    let to_seal = json!({ "tenant": "contoso", "case": format!("c-{}", "0".repeat(20)), "version": 7 }).to_string();
    bury(
        (&dispatcher, &worker),
        &orders,
        message("same", "{}"),
        "forged: by hand",
    )
    .await;
    bury(
        (&worker, &dispatcher),
        &reports,
        message("same", "[1"),
        "not a report: it ends",
    )
    .await;
    bury(
        (&dispatcher, &closer),
        &QueueName::Sealing,
        message("seal", &to_seal),
        "of another version",
    )
    .await;

    let listed = role.run(&["list", "--dead", "--json"], PASSWORD).expect(0).json();
    assert_eq!(listed.as_array().unwrap().len(), 3, "{listed}");
    let text = role.run(&["list", "--dead"], PASSWORD).expect(0);
    let report = letter(&listed, "not a report: it ends");
    assert!(text.out.contains(&report[..12]), "{}", text.out);

    // Two have the same id: their names tell them apart.
    let ran = role
        .run(&["clear", "same", "--reason", "understood"], PASSWORD)
        .expect(2);
    assert!(
        ran.err.contains("fits several") && ran.err.contains("forged: by hand"),
        "{}",
        ran.err
    );
    role.run(&["clear", "nobody", "--reason", "understood"], PASSWORD)
        .expect(2);
    role.run(&["clear", &report], PASSWORD).expect(2);
    role.run(&["clear", &report, "--reason", " "], PASSWORD).expect(2);

    // What is forged, and reports, are never sent again.
    let forged = letter(&listed, "forged: by hand");
    for (one, why) in [(&forged, "never sent again"), (&report, "counts only from the worker")] {
        let ran = role
            .run(&["clear", one, "--resend", "--reason", "try"], PASSWORD)
            .expect(1);
        assert!(ran.out.contains(why), "{}", ran.out);
    }
    let ran = role.run(
        &["clear", "seal", "--resend", "--reason", "upgraded", "--json"],
        PASSWORD,
    );
    assert_eq!(ran.expect(0).json()[0]["became"], "sent_again");
    let mut sealing = closer.consume(&QueueName::Sealing, 1).await.unwrap();
    let again = tokio::time::timeout(WITHIN, sealing.next()).await.unwrap().unwrap();
    let expected = message("seal", &to_seal);
    assert_eq!((again.message(), again.sender()), (&expected, Some(DISPATCHER)));
    again.ack().await.unwrap();

    // Dropped, its body is kept, and the log says who and why.
    let keep = role.folder.path().join("kept");
    let args = [
        "clear",
        &report[..12],
        "--keep",
        "kept",
        "--reason",
        "INC-2041",
        "--as",
        "lead@acme.example",
    ];
    let ran = role.run(&args, PASSWORD).expect(0);
    assert!(ran.out.contains("dropped; its body is in "), "{}", ran.out);
    assert_eq!(fs::read_to_string(keep.join(&report)).unwrap(), "[1");
    for told in [
        "a dead letter is dropped",
        "lead@acme.example",
        "INC-2041",
        "ob.v1.reports.3",
        &report[..],
    ] {
        assert!(ran.err.contains(told), "{told}: {}", ran.err);
    }

    // All: asked for, unless told not to. Where nobody can be asked, nothing is done.
    let ran = role
        .run(&["clear", "--all", "--reason", "understood"], PASSWORD)
        .expect(2);
    assert!(
        ran.err.contains("--yes") && ran.err.contains("forged: by hand"),
        "{}",
        ran.err
    );
    let left = role.run(&["list", "--dead", "--json"], PASSWORD).expect(0).json();
    assert_eq!(
        (left.as_array().unwrap().len(), letter(&left, "forged: by hand")),
        (1, forged)
    );
    let ran = role
        .run(
            &["clear", "--all", "--yes", "--reason", "understood", "--json"],
            PASSWORD,
        )
        .expect(0);
    assert_eq!(ran.json()[0]["became"], "dropped");
    let left = role.run(&["list", "--dead", "--json"], PASSWORD).expect(0).json();
    assert_eq!(left, json!([]));
    role.run(&["clear", "--all", "--yes", "--reason", "understood"], PASSWORD)
        .expect(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clearing_goes_on_until_nothing_is_left_however_many_there_are() {
    // More than are looked at together.
    const LETTERS: usize = 1_060;
    let vhost = "many-letters";
    quiet().import(&definitions(vhost)).unwrap();
    let redis = store(|_| {});
    let role = Role::over(redis.port(), quiet().port(), vhost);
    let _users = bury_many(vhost, LETTERS).await;

    let ran = role.run(&["clear", "--all", "--reason", "understood", "--yes"], PASSWORD);
    let ran = ran.expect(0);
    // One that the broker did not hear to the end is dropped again.
    let dropped: BTreeSet<&str> = ran.out.lines().filter(|l| l.ends_with(": dropped")).collect();
    assert_eq!(dropped.len(), LETTERS);
    assert!(
        ran.err.contains("dead letters dealt with; looking for more."),
        "{}",
        ran.err
    );
    let left = role.run(&["list", "--dead", "--json"], PASSWORD).expect(0).json();
    assert_eq!(left, json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_the_dead_says_that_it_is_cut_and_that_none_may_be_all_in_somebodys_hands() {
    let vhost = "cut-letters";
    quiet().import(&definitions(vhost)).unwrap();
    let redis = store(|_| {});
    let role = Role::over(redis.port(), quiet().port(), vhost);
    let none = role.run(&["list", "--dead"], PASSWORD).expect(0);
    let said = "a dispatcher is looking through all of them";
    assert!(none.err.contains(said), "{}", none.err);

    // One more than are shown.
    let _users = bury_many(vhost, 101).await;
    let cut = role.run(&["list", "--dead", "--json"], PASSWORD).expect(0);
    assert_eq!(cut.json().as_array().unwrap().len(), 100);
    assert!(cut.err.contains("there are more than these 100"), "{}", cut.err);
}
