//! The private broker itself: it starts, dies, comes back with its data, and
//! comes back whole when its data is gone.

use offboard_servers::{Rabbit, RabbitOptions};
use serde_json::{Value, json};

fn definitions(vhost: &str) -> Value {
    json!({
        "vhosts": [{ "name": vhost }],
        "queues": [{
            "name": "kept", "vhost": vhost, "durable": true, "auto_delete": false,
            "arguments": { "x-queue-type": "quorum" },
        }],
    })
}

#[test]
fn a_broker_comes_back_with_its_data_and_without_it() {
    let options = RabbitOptions {
        definitions: Some(definitions("booted")),
        ..RabbitOptions::default()
    };
    let mut rabbit = Rabbit::start(options).unwrap();
    assert_eq!(rabbit.queues("booted").unwrap(), ["kept"]);
    rabbit.import(&definitions("later")).unwrap();
    let (pid, port) = (rabbit.pid().unwrap(), rabbit.port());

    rabbit.kill();
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    rabbit.restart().unwrap();
    assert_eq!(rabbit.port(), port);
    assert_eq!(rabbit.queues("later").unwrap(), ["kept"]);
    rabbit.delete_queue("later", "kept").unwrap();
    assert!(rabbit.queues("later").unwrap().is_empty());

    rabbit.wipe_data().unwrap();
    rabbit.restart().unwrap();
    assert_eq!(rabbit.queues("booted").unwrap(), ["kept"]);
    assert!(rabbit.queues("later").is_err(), "only what its file defines is there");
    rabbit.memory_alarm(true).unwrap();
    rabbit.memory_alarm(false).unwrap();
    rabbit.disk_alarm(true).unwrap();
    rabbit.disk_alarm(false).unwrap();
}
