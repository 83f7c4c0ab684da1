//! How the broker stands, as each role's user sees it; and that looking takes,
//! changes and publishes nothing.

use super::broker::{administrator, config_of, connect, new_vhost, quiet, rough, to};
use crate::kit::{holds, identity, message, messages, next, reports, take};
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Connection, ConnectionProperties};
use offboard_domain::Area;
use offboard_queue::rabbit::{
    CLOSER, DISPATCHER, Finding, OBSERVER, RabbitError, RabbitStanding, WORKER, area_worker, site_worker,
};
use offboard_queue::{Queue as _, QueueName, RabbitConfig};
use offboard_runtime::Secret;
use offboard_servers::{ADMINISTRATOR, ClosedPort, Rabbit};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// Every finding as a line: how bad, what, what next.
async fn look(config: RabbitConfig) -> Vec<String> {
    let standing = RabbitStanding::look(config).await.unwrap();
    let line = |finding: &Finding| match finding {
        Finding::Fine(what) => format!("fine: {what}"),
        Finding::Warning { what, next } => format!("warning: {what}; {next}"),
        Finding::Problem { what, next } => format!("problem: {what}; {next}"),
    };
    standing.findings().iter().map(line).collect()
}

#[track_caller]
fn says(found: &[String], grade: &str, what: &str) {
    let said = found.iter().any(|line| line.starts_with(grade) && line.contains(what));
    assert!(said, "no {grade} says '{what}': {found:#?}");
}

/// Does something to a virtual host that only its operator may do.
async fn as_operator(broker: &Rabbit, vhost: &str, queue: &str, classic: bool) {
    broker.delete_queue(vhost, queue).unwrap();
    if !classic {
        return;
    }
    let uri = format!(
        "amqp://{ADMINISTRATOR}:{}@127.0.0.1:{}/{vhost}",
        broker.password(),
        broker.port()
    );
    let connection = Connection::connect(&uri, ConnectionProperties::default())
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    let durable = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("classic".into()));
    channel.queue_declare(queue.into(), durable, arguments).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_role_finds_all_that_its_user_needs() {
    let broker = quiet().await;
    let vhost = new_vhost(broker).await;
    let (version, _) = broker.versions().unwrap();
    for (user, used, consumed) in [
        (DISPATCHER.to_owned(), 12, 5),
        (CLOSER.to_owned(), 2, 1),
        (WORKER.to_owned(), 9, 4),
        (area_worker(Area::Identity), 7, 2),
        (site_worker("berlin"), 7, 2),
    ] {
        let found = look(config_of(broker, &vhost, &user)).await;
        assert!(
            found.iter().all(|line| line.starts_with("fine: ")),
            "{user}: {found:#?}"
        );
        says(&found, "fine", &format!("RabbitMQ {version} at amqp://{user}@"));
        says(&found, "fine", &format!("all {used} queues"));
        says(
            &found,
            "fine",
            &format!("{consumed} queues that it consumes are quorum queues"),
        );
        says(&found, "fine", "takes publications, and it may publish to");
        says(&found, "fine", "there is no dead letter");
    }
    let found = look(config_of(broker, &vhost, OBSERVER)).await;
    assert!(found.iter().all(|line| line.starts_with("fine: ")), "{found:#?}");
    let found = look(administrator(broker, broker.port(), &vhost)).await;
    says(&found, "warning", "is none of those that have a role");
    says(&found, "fine", "all 12 queues");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn looking_takes_and_publishes_nothing() {
    let broker = quiet().await;
    let vhost = new_vhost(broker).await;
    let dispatcher = connect(config_of(broker, &vhost, DISPATCHER)).await;
    let worker = connect(config_of(broker, &vhost, WORKER)).await;
    dispatcher.publish(&identity(), messages(0..3)).await.unwrap();
    worker.publish(&reports(), messages(3..5)).await.unwrap();
    holds(&dispatcher, &identity(), 3, 0).await;
    holds(&dispatcher, &reports(), 2, 0).await;
    let found = look(config_of(broker, &vhost, WORKER)).await;
    says(
        &found,
        "warning",
        "(messages wait and nobody consumes them): ob.v1.identity.normal",
    );
    // Somebody who is at work is not disturbed.
    let mut at_work = worker.consume(&identity(), 1).await.unwrap();
    let held = next(&mut at_work).await;
    let found = look(config_of(broker, &vhost, WORKER)).await;
    assert!(found.iter().all(|line| line.starts_with("fine: ")), "{found:#?}");
    look(config_of(broker, &vhost, DISPATCHER)).await;
    held.ack().await.unwrap();
    for _ in 0..2 {
        let delivery = next(&mut at_work).await;
        assert!(!delivery.redelivered());
        delivery.ack().await.unwrap();
    }
    let mut consumer = dispatcher.consume(&reports(), 5).await.unwrap();
    let left = take(&mut consumer, 2).await;
    assert!(left.iter().all(|d| !d.redelivered()));
    for name in [identity(), QueueName::Sealing, QueueName::Dead] {
        holds(&dispatcher, &name, 0, 0).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_or_of_another_sort_is_named() {
    let broker = quiet().await;
    let vhost = new_vhost(broker).await;
    as_operator(broker, &vhost, "ob.v1.reports.2", false).await;
    as_operator(broker, &vhost, "ob.v1.reports.3", true).await;
    let found = look(config_of(broker, &vhost, DISPATCHER)).await;
    says(
        &found,
        "problem",
        "the broker lacks queue ob.v1.reports.2; import the definitions",
    );
    says(&found, "problem", "what a node holds is lost with it: ob.v1.reports.3;");
    says(&found, "fine", "3 queues that it consumes are quorum queues");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_that_a_role_lacks_are_named() {
    let broker = quiet().await;
    let vhost = new_vhost(broker).await;
    // Others' tests log in as the same users: only the rights in this virtual host change.
    let nothing = serde_json::json!({
        "permissions": [{ "user": WORKER, "vhost": vhost, "configure": "^$", "write": "^$", "read": "^$" }],
    });
    broker.import(&nothing).unwrap();
    let found = look(config_of(broker, &vhost, WORKER)).await;
    says(
        &found,
        "problem",
        "the user may not consume ob.v1.identity.urgent, ob.v1.identity.normal, ",
    );
    says(
        &found,
        "problem",
        "the user may not publish to the exchange ob.v1.reports: ",
    );
    says(
        &found,
        "problem",
        "the user may not publish to the exchange ob.v1.dead: ",
    );
    says(&found, "problem", "ACCESS_REFUSED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_counted() {
    let broker = quiet().await;
    let vhost = new_vhost(broker).await;
    let queue = connect(administrator(broker, broker.port(), &vhost)).await;
    queue.publish(&identity(), vec![message("poison")]).await.unwrap();
    let mut consumer = queue.consume(&identity(), 1).await.unwrap();
    next(&mut consumer).await.bury("it does not read").await.unwrap();
    holds(&queue, &QueueName::Dead, 1, 0).await;
    let found = look(config_of(broker, &vhost, CLOSER)).await;
    says(&found, "warning", "dead letters: 1; `offboard list --dead`");
    // One who may consume them is told of nothing else.
    let found = look(config_of(broker, &vhost, DISPATCHER)).await;
    says(&found, "fine", "5 queues that it consumes are quorum queues");
    assert_eq!(
        found.iter().filter(|line| !line.starts_with("fine: ")).count(),
        1,
        "{found:#?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_let_in_is_told_why_and_no_password() {
    let broker = quiet().await;
    let vhost = new_vhost(broker).await;
    let mut config = config_of(broker, &vhost, WORKER);
    config.address.password = Some(Secret::new("hunter2"));
    let error = RabbitStanding::look(config.clone()).await.unwrap_err().to_string();
    assert!(error.contains("ACCESS_REFUSED") && error.contains(WORKER), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
    config = config_of(broker, "nowhere", WORKER);
    let error = RabbitStanding::look(config).await.unwrap_err().to_string();
    assert!(error.contains("nowhere"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alarm_is_told() {
    let broker = rough().await;
    let vhost = new_vhost(&broker).await;
    let broker = to(broker, |broker| broker.memory_alarm(true).unwrap()).await;
    let began = Instant::now();
    let found = look(config_of(&broker, &vhost, DISPATCHER)).await;
    says(&found, "problem", "the broker takes no publications: low on memory");
    says(&found, "fine", "5 queues that it consumes are quorum queues");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let broker = to(broker, |broker| broker.memory_alarm(false).unwrap()).await;
    let found = look(config_of(&broker, &vhost, DISPATCHER)).await;
    assert!(found.iter().all(|line| line.starts_with("fine: ")), "{found:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_never_answers_or_is_not_there_is_not_waited_for() {
    let broker = quiet().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut config = config_of(broker, "any", WORKER);
    config.address.port = port;
    config.limits.connect = Duration::from_secs(1);
    let looked = tokio::time::timeout(Duration::from_secs(10), RabbitStanding::look(config.clone()));
    let error = looked.await.unwrap().unwrap_err();
    assert!(matches!(error, RabbitError::Connect { .. }));
    assert!(error.to_string().contains("nothing answered within 1 s"), "{error}");
    let closed = ClosedPort::take().unwrap();
    config.address.port = closed.port();
    let looked = tokio::time::timeout(Duration::from_secs(10), RabbitStanding::look(config));
    let error = looked.await.unwrap().unwrap_err().to_string();
    assert!(error.to_lowercase().contains("refused"), "{error}");
}
