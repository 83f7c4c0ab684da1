//! Least privilege, as the broker itself enforces it: with each role's user the
//! right things work, and nothing else does. What our own code would never try
//! is tried by hand.

use super::broker::{config_of, connect, new_vhost, quiet};
use crate::kit::{identity, message, next, reports, take};
use lapin::options::{BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use offboard_domain::{Area, Lane};
use offboard_queue::rabbit::{DISPATCHER, OBSERVER, WORKER, area_worker, site_worker};
use offboard_queue::{Queue as _, QueueError, QueueName, RabbitQueue};
use std::time::Duration;

fn of_berlin() -> QueueName {
    QueueName::Assignments {
        area: Area::Identity,
        lane: Lane::Urgent,
        site: Some("berlin".to_owned()),
    }
}

fn mailbox() -> QueueName {
    QueueName::Assignments {
        area: Area::Mailbox,
        lane: Lane::Normal,
        site: None,
    }
}

/// A virtual host, and a handle on it for each of these users.
async fn as_each<const N: usize>(users: [String; N]) -> [RabbitQueue; N] {
    let broker = quiet().await;
    let vhost = new_vhost(broker).await;
    let mut handles = Vec::new();
    for user in users {
        handles.push(connect(config_of(broker, &vhost, &user)).await);
    }
    handles.try_into().unwrap()
}

async fn cannot_consume(queue: &RabbitQueue, names: &[QueueName]) {
    for name in names {
        match queue.consume(name, 1).await.err() {
            Some(QueueError::Unavailable { detail, .. }) => {
                assert!(detail.contains("ACCESS_REFUSED"), "{queue:?} {name}: {detail}");
            }
            other => panic!("{queue:?} {name}: {other:?}"),
        }
    }
}

async fn cannot_publish(queue: &RabbitQueue, names: &[QueueName]) {
    for name in names {
        match queue.publish(name, vec![message("forged")]).await {
            Err(QueueError::Unavailable { detail, .. }) => {
                assert!(detail.contains("ACCESS_REFUSED"), "{queue:?} {name}: {detail}");
            }
            other => panic!("{queue:?} {name}: {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_role_can_do_its_work_and_says_who_it_is() {
    let users = [
        DISPATCHER.to_owned(),
        WORKER.to_owned(),
        area_worker(Area::Identity),
        site_worker("berlin"),
    ];
    let handles = as_each(users.clone()).await;
    let [dispatcher, workers @ ..] = &handles;
    let mut on_reports = dispatcher.consume(&reports(), 10).await.unwrap();
    for (worker, user) in workers.iter().zip(&users[1..]) {
        let orders = if *user == site_worker("berlin") {
            of_berlin()
        } else {
            identity()
        };
        dispatcher
            .publish(&orders, vec![message("do"), message("broken")])
            .await
            .unwrap();
        let mut consumer = worker.consume(&orders, 1).await.unwrap();
        let order = next(&mut consumer).await;
        assert_eq!(order.sender(), Some(DISPATCHER));
        worker.publish(&reports(), vec![message("done")]).await.unwrap();
        order.ack().await.unwrap();
        next(&mut consumer).await.bury("it does not read").await.unwrap();

        let report = next(&mut on_reports).await;
        assert_eq!(report.sender(), Some(user.as_str()));
        report.ack().await.unwrap();
    }
    // The dispatcher buries too, and sees and clears the dead.
    workers[0].publish(&reports(), vec![message("nonsense")]).await.unwrap();
    next(&mut on_reports).await.bury("not a report").await.unwrap();
    assert_eq!(dispatcher.dead(10).await.unwrap().len(), 4);
    let mut undertaker = dispatcher.consume(&QueueName::Dead, 10).await.unwrap();
    for dead in take(&mut undertaker, 4).await {
        assert!(dead.message().headers.contains_key("offboard-buried-sender"));
        dead.ack().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_role_can_consume_or_publish_elsewhere() {
    let users = [
        DISPATCHER.to_owned(),
        WORKER.to_owned(),
        area_worker(Area::Identity),
        site_worker("berlin"),
        OBSERVER.to_owned(),
    ];
    let [dispatcher, worker, of_area, of_site, observer] = as_each(users).await;
    let dead = QueueName::Dead;
    cannot_consume(&dispatcher, &[identity(), of_berlin()]).await;
    cannot_publish(&dispatcher, &[reports()]).await;
    cannot_consume(&worker, &[of_berlin(), reports(), dead.clone()]).await;
    cannot_publish(&worker, &[identity(), of_berlin(), dead.clone()]).await;
    cannot_consume(&of_area, &[mailbox(), of_berlin(), reports(), dead.clone()]).await;
    cannot_publish(&of_area, &[identity(), dead.clone()]).await;
    cannot_consume(&of_site, &[identity(), mailbox(), reports(), dead.clone()]).await;
    cannot_publish(&of_site, &[of_berlin(), identity(), dead.clone()]).await;
    cannot_consume(&observer, &[identity(), reports(), dead.clone()]).await;
    cannot_publish(&observer, &[identity(), reports(), dead.clone()]).await;
    // The dead are not for workers' eyes.
    for queue in [worker, of_area, of_site, observer] {
        assert!(queue.dead(1).await.is_err(), "{queue:?}");
    }
}

/// A bare channel of a user.
async fn bare(user: &str) -> (Connection, String) {
    let broker = quiet().await;
    let vhost = new_vhost(broker).await;
    let address = config_of(broker, &vhost, user).address;
    let password = address.password.unwrap().expose().replace(' ', "%20");
    let uri = format!("amqp://{user}:{password}@{}:{}/{vhost}", address.host, address.port);
    let connection = Connection::connect(&uri, ConnectionProperties::default())
        .await
        .unwrap();
    (connection, vhost)
}

/// Whether the broker takes a publication; it closes the channel if not.
async fn published(channel: &Channel, exchange: &str, key: &str, properties: BasicProperties) -> Result<(), String> {
    channel.confirm_select(Default::default()).await.unwrap();
    let options = BasicPublishOptions::default();
    let publishing = channel.basic_publish(exchange.into(), key.into(), options, b"{}", properties);
    let confirmed = async { publishing.await?.await };
    confirmed.await.map(drop).map_err(|e| e.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_was_taken_over_cannot_do_what_our_code_never_tries() {
    let (connection, _) = bare(&site_worker("berlin")).await;
    let plain = BasicProperties::default;
    let own = of_berlin().to_string();
    let refused = async |exchange: &str, key: &str, properties: BasicProperties| {
        let channel = connection.create_channel().await.unwrap();
        let why = published(&channel, exchange, key, properties).await.unwrap_err();
        assert!(
            why.contains("ACCESS_REFUSED") || why.contains("PRECONDITION_FAILED"),
            "{why}"
        );
    };
    // Around the exchanges, straight into a queue; as an order; as a dead letter of the broker.
    refused("", &own, plain()).await;
    refused("", &reports().to_string(), plain()).await;
    refused("ob.v1.assignments", &own, plain()).await;
    refused("ob.v1.dead-letters", &own, plain()).await;
    // Burying what is not its own.
    refused("ob.v1.dead", &identity().to_string(), plain()).await;
    refused("ob.v1.dead", &reports().to_string(), plain()).await;
    // In somebody else's name.
    let forged = plain().with_user_id(WORKER.into());
    refused("ob.v1.reports", &reports().to_string(), forged).await;
    // What it may do works by hand too.
    let channel = connection.create_channel().await.unwrap();
    published(&channel, "ob.v1.dead", &own, plain()).await.unwrap();
    published(&channel, "ob.v1.reports", &reports().to_string(), plain())
        .await
        .unwrap();

    // It configures nothing, and reads nothing but its own.
    let declare = async |name: &str| {
        let channel = connection.create_channel().await.unwrap();
        let (options, arguments) = (QueueDeclareOptions::default(), FieldTable::default());
        channel.queue_declare(name.into(), options, arguments).await
    };
    assert!(declare("ob.v1.mine").await.is_err());
    assert!(declare("").await.is_err());
    let channel = connection.create_channel().await.unwrap();
    let got = channel
        .basic_get(reports().to_string().into(), BasicGetOptions::default())
        .await;
    assert!(got.is_err());
    let channel = connection.create_channel().await.unwrap();
    assert!(
        channel
            .queue_delete(own.as_str().into(), Default::default())
            .await
            .is_err()
    );
    let channel = connection.create_channel().await.unwrap();
    let consuming = channel.basic_consume(
        own.into(),
        "by-hand".into(),
        BasicConsumeOptions::default(),
        FieldTable::default(),
    );
    consuming.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_say_who_he_is_is_nobody() {
    let (connection, vhost) = bare(WORKER).await;
    let channel = connection.create_channel().await.unwrap();
    let key = reports().to_string();
    published(&channel, "ob.v1.reports", &key, BasicProperties::default())
        .await
        .unwrap();
    let named = BasicProperties::default().with_user_id(WORKER.into());
    published(&channel, "ob.v1.reports", &key, named).await.unwrap();
    let dispatcher = connect(config_of(quiet().await, &vhost, DISPATCHER)).await;
    let mut consumer = dispatcher.consume(&reports(), 10).await.unwrap();
    let senders: Vec<_> = take(&mut consumer, 2)
        .await
        .iter()
        .map(|d| d.sender().map(str::to_owned))
        .collect();
    assert_eq!(senders, [Some(String::new()), Some(WORKER.to_owned())]);
}

/// The file that is deployed, on a broker: it is taken, all is there, and
/// nobody comes in before the operator has given passwords.
#[tokio::test]
async fn the_deployed_definitions_are_taken_and_let_nobody_in() {
    let broker = quiet().await;
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/rabbitmq/definitions.json");
    let text = std::fs::read_to_string(path).unwrap();
    let mut definitions: serde_json::Value = serde_json::from_str(&text).unwrap();
    // The users are the whole broker's, and others' tests log in as them.
    let mut renamed = Vec::new();
    for user in definitions["users"].as_array_mut().unwrap() {
        let name = format!("deployed-{}", user["name"].as_str().unwrap());
        user["name"] = name.as_str().into();
        renamed.push(name);
    }
    for of in ["permissions", "topic_permissions"] {
        for permission in definitions[of].as_array_mut().unwrap() {
            permission["user"] = format!("deployed-{}", permission["user"].as_str().unwrap()).into();
        }
    }
    broker.import(&definitions).unwrap();
    let expected = definitions["queues"].as_array().unwrap().len();
    assert_eq!(broker.queues("offboard").unwrap().len(), expected);
    for user in renamed {
        for password in ["", "guest", &user] {
            let mut config = config_of(broker, "offboard", &user);
            config.address.password = Some(password.into());
            let refused = RabbitQueue::connect(config, Duration::ZERO).await;
            let why = refused.unwrap_err().to_string();
            assert!(why.contains("ACCESS_REFUSED"), "{user} '{password}': {why}");
        }
    }
}
