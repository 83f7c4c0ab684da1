//! A broker and a store of their own, and a folder that names them, without a
//! role that runs.

use crate::support::{Folder, Ran};
use offboard_ledger::redis::{RedisRole, acl_rules};
use offboard_queue::rabbit::{DISPATCHER, Topology, password_hash};
use offboard_servers::{Rabbit, RabbitOptions, Redis, RedisOptions};
use serde_json::Value;
use std::fs;
use std::sync::OnceLock;

/// As many shards as a configuration has that says nothing.
const SHARDS: u16 = 16;
pub(crate) const PASSWORD: &str = "hunter2-of-the-broker";
pub(crate) const LEDGER_PASSWORD: &str = "hunter2-of-the-ledger";

pub(crate) fn definitions(vhost: &str) -> Value {
    let mut topology = Topology::new(vhost);
    topology.report_shards = SHARDS;
    let hash = password_hash(PASSWORD, *b"salt");
    topology.password_hashes = topology.users().into_iter().map(|u| (u, hash.clone())).collect();
    topology.definitions().unwrap()
}

/// The broker that nothing happens to.
pub(crate) fn quiet() -> &'static Rabbit {
    static QUIET: OnceLock<Rabbit> = OnceLock::new();
    QUIET.get_or_init(|| {
        let options = RabbitOptions {
            definitions: Some(definitions("quiet")),
            outlives_its_value: true,
            ..RabbitOptions::default()
        };
        Rabbit::start(options).unwrap()
    })
}

pub(crate) fn store(change: impl FnOnce(&mut RedisOptions)) -> Redis {
    let mut options = store_options();
    change(&mut options);
    Redis::start(&options).unwrap()
}

/// A store with the users that are deployed.
pub(crate) fn store_options() -> RedisOptions {
    let user = |name: &str, role| format!("{name} on >{LEDGER_PASSWORD} {}", acl_rules(role, "offboard"));
    RedisOptions {
        users: vec![
            user("offboard-dispatcher", RedisRole::Dispatcher),
            user("offboard-health", RedisRole::Health),
        ],
        ..RedisOptions::default()
    }
}

/// A folder of one role.
pub(crate) struct Role {
    pub(crate) folder: Folder,
    ledger: String,
    pub(crate) queue: String,
    /// Who it is at the ledger, if it says so.
    pub(crate) at_ledger: Option<&'static str>,
    /// Who it is at the sentinels that watch that, if it says so.
    pub(crate) at_sentinels: Option<&'static str>,
    pub(crate) at_queue: Option<&'static str>,
}

impl Role {
    pub(crate) fn over(ledger: u16, queue: u16, vhost: &str) -> Self {
        Self::at(format!("redis://127.0.0.1:{ledger}"), queue, vhost)
    }

    pub(crate) fn at(ledger: String, queue: u16, vhost: &str) -> Self {
        Self {
            folder: Folder::fresh(),
            ledger,
            queue: format!("amqp://127.0.0.1:{queue}/{vhost}"),
            at_ledger: None,
            at_sentinels: None,
            at_queue: Some(DISPATCHER),
        }
    }

    #[track_caller]
    pub(crate) fn run(&self, args: &[&str], password: &str) -> Ran {
        let section = |of: &str, user: Option<&str>, variable: &str| {
            user.map_or_else(String::new, |user| {
                format!("[connect.{of}]\nuser = \"{user}\"\npassword = {{ env = \"{variable}\" }}\n")
            })
        };
        let at_sentinels = self.at_sentinels.map_or_else(String::new, |user| {
            format!("sentinel_user = \"{user}\"\nsentinel_password = {{ env = \"AT_LEDGER\" }}\n")
        });
        let text = format!(
            "ledger = \"{}\"\nqueue = \"{}\"\n\n{}{at_sentinels}\n{}",
            self.ledger,
            self.queue,
            section("ledger", self.at_ledger, "AT_LEDGER"),
            section("queue", self.at_queue, "AT_QUEUE"),
        );
        fs::write(self.folder.path().join("offboard.toml"), text).unwrap();
        let ran = self.folder.run_with(args, |command| {
            command.env("AT_LEDGER", LEDGER_PASSWORD).env("AT_QUEUE", password);
        });
        for secret in [password, PASSWORD, LEDGER_PASSWORD] {
            assert!(!(ran.out.clone() + &ran.err).contains(secret), "{ran:?}");
        }
        ran
    }
}
