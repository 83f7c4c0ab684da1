//! Rights that are taken from a user at work, and a user that is deleted:
//! nothing is lost, what the broker says is told, nobody else is disturbed, and
//! all goes on by itself when it is mended.

use super::broker::{blocking, config, config_of, connect, new_vhost, quiet, topology};
use super::faults::{ended, published, subscribed};
use crate::kit::{identity, ids, message, next, reports, take};
use offboard_queue::rabbit::{DISPATCHER, WORKER};
use offboard_queue::{Queue as _, QueueError};
use offboard_servers::Proxy;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const WITHIN: Duration = Duration::from_secs(60);
const SECRET: &str = "hunter2";

/// What the broker says to an attempt, once the connection that was cut is back or
/// was refused.
async fn refused<T>(attempt: impl AsyncFn() -> Result<T, QueueError>) -> String {
    let end = Instant::now() + WITHIN;
    loop {
        let Err(error) = attempt().await else {
            panic!("it is allowed");
        };
        let said = error.to_string();
        if said.contains("ACCESS_REFUSED") {
            return said;
        }
        assert!(Instant::now() < end, "{said}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn permissions_that_are_taken_away_are_named_and_nothing_is_lost() {
    let broker = quiet().await;
    let vhost = new_vhost(broker).await;
    let proxy = Proxy::to(broker.port()).unwrap();
    let dispatcher = connect(config_of(broker, &vhost, DISPATCHER)).await;
    let mut through = config_of(broker, &vhost, WORKER);
    through.address.port = proxy.port();
    let worker = connect(through).await;
    dispatcher.publish(&identity(), vec![message("held")]).await.unwrap();
    let mut consumer = worker.consume(&identity(), 10).await.unwrap();
    let held = next(&mut consumer).await;
    assert_eq!(worker.denied(), None);

    // Only in this virtual host: others' tests log in as the same user.
    let nothing = json!({
        "permissions": [{ "user": WORKER, "vhost": vhost, "configure": "^$", "write": "^$", "read": "^$" }],
    });
    broker.import(&nothing).unwrap();
    // A channel in use remembers for a while what it was allowed.
    proxy.cut();
    ended(&mut consumer).await;
    drop(held);
    let said = refused(async || worker.publish(&reports(), vec![message("done")]).await).await;
    assert!(said.contains(&reports().to_string()), "{said}");
    let said = refused(async || worker.consume(&identity(), 10).await).await;
    assert!(said.contains(&identity().to_string()), "{said}");
    assert!(worker.denied().is_some_and(|said| said.contains("ACCESS_REFUSED")));
    assert_eq!(worker.lost(), None, "it is let in, and may do nothing");
    dispatcher.publish(&identity(), vec![message("ordered")]).await.unwrap();
    assert_eq!((dispatcher.denied(), dispatcher.lost()), (None, None));

    broker.import(&topology(&vhost).definitions().unwrap()).unwrap();
    let mut consumer = subscribed(&worker, &identity()).await;
    let all = take(&mut consumer, 2).await;
    assert_eq!(ids(&all), ["held", "ordered"]);
    published(&worker, &reports(), message("done")).await;
    assert_eq!(worker.denied(), None);
    let mut on_reports = dispatcher.consume(&reports(), 10).await.unwrap();
    assert_eq!(next(&mut on_reports).await.message().id, "done");
}

/// A user of its own with a worker's permissions in this virtual host.
fn another_worker(vhost: &str, user: &str) -> Value {
    let definitions = topology(vhost).definitions().unwrap();
    let of_worker = |of: &str| -> Vec<Value> {
        let all = definitions[of].as_array().unwrap().iter();
        all.filter(|permission| permission["user"] == WORKER)
            .map(|permission| {
                let mut same = permission.clone();
                same["user"] = user.into();
                same
            })
            .collect()
    };
    json!({
        "users": [{ "name": user, "password": SECRET, "tags": "" }],
        "permissions": of_worker("permissions"),
        "topic_permissions": of_worker("topic_permissions"),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_that_is_deleted_is_told_of_and_goes_on_when_it_is_there_again() {
    let broker = quiet().await;
    let vhost = new_vhost(broker).await;
    let user = format!("worker-of-{vhost}");
    broker.import(&another_worker(&vhost, &user)).unwrap();
    let proxy = Proxy::to(broker.port()).unwrap();
    let mut through = config(proxy.port(), &vhost, &user, SECRET);
    through.limits.reconnected = Duration::from_secs(1);
    let worker = connect(through).await;
    let dispatcher = connect(config_of(broker, &vhost, DISPATCHER)).await;
    dispatcher.publish(&identity(), vec![message("held")]).await.unwrap();
    let mut consumer = worker.consume(&identity(), 10).await.unwrap();
    let held = next(&mut consumer).await;

    let deleted = user.clone();
    blocking(move || broker.control(&["delete_user", &deleted]))
        .await
        .unwrap();
    // Whether or not the broker puts out who is in.
    proxy.cut();
    ended(&mut consumer).await;
    drop(held);
    let said = refused(async || worker.publish(&reports(), vec![message("done")]).await).await;
    assert!(
        said.contains("there is no connection to the broker") && !said.contains(SECRET),
        "{said}"
    );
    let lost = worker.lost().unwrap();
    assert!(lost.contains("ACCESS_REFUSED") && !lost.contains(SECRET), "{lost}");

    broker.import(&another_worker(&vhost, &user)).unwrap();
    let mut consumer = subscribed(&worker, &identity()).await;
    assert_eq!(next(&mut consumer).await.message().id, "held");
    published(&worker, &reports(), message("done")).await;
    assert_eq!((worker.denied(), worker.lost()), (None, None));
}
