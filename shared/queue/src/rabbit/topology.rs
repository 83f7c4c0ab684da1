//! What stands in the broker, as one file of definitions: a pure function of
//! which areas and sites there are and over how many queues reports are spread.
//!
//! **The processes declare nothing.** The operator (or the broker itself, at
//! each start, by `load_definitions`) imports the file; a process looks whether
//! what it needs is there, and says what is missing. So an emptied broker comes
//! back whole, and no process needs the right to configure.
//!
//! **A queue is declared as a durable quorum queue and nothing else.** All that
//! may ever change (limits, dead letters, timeouts) is in policies, which change
//! while the broker runs; an argument of a declaration never can.
//!
//! **Where the dead go.** What a worker buries, and what the broker gives up
//! (delivered [`ASSIGNMENT_DELIVERIES`] times and never settled), ends in the
//! queue of the dead, at least once: the broker keeps it until that queue has
//! taken it. What merely ran out is no dead letter, since the ledger orders it
//! again: the exchange of dead letters, which routes by the reason, leads it to
//! a small queue of its own that keeps the last [`EXPIRED_KEPT`] for whoever
//! wonders, and forgets the rest by itself.

use super::users::{Role, roles};
use crate::QueueName;
use offboard_domain::{Area, Lane};
use offboard_runtime::config::{SITE_MAX_CHARS, is_site};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The exchange of assignments and of orders to seal: direct, by the queue's
/// name.
pub(super) const ASSIGNMENTS: &str = "ob.v1.assignments";
/// The exchange of reports: direct, by the queue's name.
pub(super) const REPORTS: &str = "ob.v1.reports";
/// The exchange of what is buried, by the name of the queue from which: a
/// topic, so that the broker checks from where a user buries.
pub(super) const DEAD: &str = "ob.v1.dead";
/// The exchange of what the broker itself gives up: by its reason.
pub(super) const DEAD_LETTERS: &str = "ob.v1.dead-letters";
/// The queue of what ran out.
pub(super) const EXPIRED: &str = "ob.v1.expired";

/// How often an assignment is delivered before the broker gives it up. Only a
/// guard against one that kills every worker: attempts are counted in the
/// ledger. High, because each restart of a worker or of the broker counts for
/// all that were in its hands.
const ASSIGNMENT_DELIVERIES: u32 = 50;
/// The same for a report. It is given back once a second while the ledger is
/// away: this is three hours of it.
const REPORT_DELIVERIES: u32 = 10_000;
/// The same for the dead: each look at them is a delivery.
const DEAD_DELIVERIES: u32 = 1_000_000_000;

/// Most messages in a queue; whoever publishes more is told no. Admission by
/// credit keeps far below.
pub(super) const WAITING_MOST: u32 = 100_000;
/// How many of those that ran out are kept.
const EXPIRED_KEPT: u32 = 1_000;

/// What a broker is to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// The virtual host.
    pub vhost: String,
    /// The areas that machines serve from anywhere.
    pub areas: Vec<Area>,
    /// The sites, each with the areas that its workers serve.
    pub sites: BTreeMap<String, Vec<Area>>,
    /// Over how many queues reports are spread.
    pub report_shards: u16,
    /// The users' password hashes ([`super::password_hash`]), by user. Who has
    /// none cannot log in with a password.
    pub password_hashes: BTreeMap<String, String>,
    /// How long a worker may hold a delivery; only for brokers from 3.12,
    /// which know the policy (before, `consumer_timeout` in their
    /// configuration is for all queues).
    pub consumer_timeout_ms: Option<u64>,
}

/// A topology that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopologyError {
    /// A site's name.
    #[error(
        "failed to define the site '{0}': its name must be 1 to {SITE_MAX_CHARS} small letters, digits and inner hyphens"
    )]
    Site(String),
    /// The reports have no queue.
    #[error("failed to define the queues of reports: there must be at least one shard")]
    NoShard,
    /// Nobody is called so.
    #[error("failed to give '{0}' a password: no such user is defined; defined are {1}")]
    NoSuchUser(String, String),
}

impl Topology {
    /// All areas, one queue of reports, no site, nobody with a password.
    #[must_use]
    pub fn new(vhost: &str) -> Self {
        Self {
            vhost: vhost.to_owned(),
            areas: Area::MACHINES.to_vec(),
            sites: BTreeMap::new(),
            report_shards: 1,
            password_hashes: BTreeMap::new(),
            consumer_timeout_ms: None,
        }
    }

    /// Every queue, in the order of their names.
    #[must_use]
    pub fn queues(&self) -> Vec<QueueName> {
        let of = |areas: &[Area], site: Option<&String>| -> Vec<QueueName> {
            let lanes = [Lane::Urgent, Lane::Normal];
            let each = areas.iter().flat_map(|area| lanes.map(|lane| (*area, lane)));
            each.map(|(area, lane)| QueueName::Assignments {
                area,
                lane,
                site: site.cloned(),
            })
            .collect()
        };
        let mut queues = of(&self.areas, None);
        for (site, areas) in &self.sites {
            queues.extend(of(areas, Some(site)));
        }
        queues.extend((0..self.report_shards).map(|shard| QueueName::Reports { shard }));
        queues.extend([QueueName::Sealing, QueueName::Dead]);
        queues.sort();
        queues
    }

    /// The names of the users.
    #[must_use]
    pub fn users(&self) -> Vec<String> {
        roles(self).into_iter().map(|role| role.name).collect()
    }

    /// The file that the broker imports.
    ///
    /// # Errors
    /// [`TopologyError`] if it cannot be.
    pub fn definitions(&self) -> Result<Value, TopologyError> {
        self.check()?;
        let roles = roles(self);
        Ok(json!({
            "vhosts": [{ "name": self.vhost }],
            "users": roles.iter().map(|role| self.user(role)).collect::<Vec<_>>(),
            "permissions": roles.iter().map(|role| self.permission(role)).collect::<Vec<_>>(),
            "topic_permissions": roles.iter().map(|role| self.topic_permission(role)).collect::<Vec<_>>(),
            "exchanges": [
                self.exchange(ASSIGNMENTS, "direct"),
                self.exchange(REPORTS, "direct"),
                self.exchange(DEAD, "topic"),
                self.exchange(DEAD_LETTERS, "headers"),
            ],
            "queues": self.all_queues().map(|name| self.queue(&name)).collect::<Vec<_>>(),
            "bindings": self.bindings(),
            "policies": self.policies(),
        }))
    }

    fn check(&self) -> Result<(), TopologyError> {
        if let Some(site) = self.sites.keys().find(|site| !is_site(site)) {
            return Err(TopologyError::Site(site.clone()));
        }
        if self.report_shards == 0 {
            return Err(TopologyError::NoShard);
        }
        let users = self.users();
        match self.password_hashes.keys().find(|name| !users.contains(name)) {
            Some(nobody) => Err(TopologyError::NoSuchUser(nobody.clone(), users.join(", "))),
            None => Ok(()),
        }
    }

    fn all_queues(&self) -> impl Iterator<Item = String> {
        let named = self.queues().into_iter().map(|name| name.to_string());
        named.chain([EXPIRED.to_owned()])
    }

    fn user(&self, role: &Role) -> Value {
        json!({
            "name": role.name,
            "password_hash": self.password_hashes.get(&role.name).map_or("", String::as_str),
            "hashing_algorithm": "rabbit_password_hashing_sha256",
            "tags": role.tag.unwrap_or_default(),
        })
    }

    fn permission(&self, role: &Role) -> Value {
        let publishes: Vec<String> = role.publishes.iter().map(|name| escaped(name)).collect();
        json!({
            "user": role.name,
            "vhost": self.vhost,
            "configure": "^$",
            "write": any_of(&publishes),
            "read": any_of(&role.consumes),
        })
    }

    /// From which queues the user may bury.
    fn topic_permission(&self, role: &Role) -> Value {
        json!({
            "user": role.name,
            "vhost": self.vhost,
            "exchange": DEAD,
            "write": any_of(&role.consumes),
            "read": "^$",
        })
    }

    fn exchange(&self, name: &str, kind: &str) -> Value {
        json!({
            "name": name, "vhost": self.vhost, "type": kind,
            "durable": true, "auto_delete": false, "internal": false, "arguments": {},
        })
    }

    fn queue(&self, name: &str) -> Value {
        json!({
            "name": name, "vhost": self.vhost, "durable": true, "auto_delete": false,
            "arguments": { "x-queue-type": "quorum" },
        })
    }

    fn binding(&self, source: &str, queue: &str, key: &str, arguments: &Value) -> Value {
        json!({
            "source": source, "vhost": self.vhost, "destination": queue, "destination_type": "queue",
            "routing_key": key, "arguments": arguments,
        })
    }

    fn bindings(&self) -> Vec<Value> {
        let none = json!({});
        let mut bindings: Vec<Value> = Vec::new();
        for name in self.queues() {
            let queue = name.to_string();
            bindings.push(match name {
                QueueName::Dead => self.binding(DEAD, &queue, "#", &none),
                _ => self.binding(exchange_of(&name), &queue, &queue, &none),
            });
        }
        // Headers whose names begin with "x-" count only where it says so.
        let ran_out = json!({ "x-match": "all-with-x", "x-first-death-reason": "expired" });
        bindings.push(self.binding(DEAD_LETTERS, EXPIRED, "expired", &ran_out));
        bindings
    }

    fn policies(&self) -> Vec<Value> {
        let work = |deliveries: u32| {
            // At least once needs a queue that refuses what is too much.
            let mut definition = json!({
                "dead-letter-exchange": DEAD_LETTERS,
                "dead-letter-strategy": "at-least-once",
                "overflow": "reject-publish",
                "max-length": WAITING_MOST,
                "delivery-limit": deliveries,
            });
            if let (Some(ms), Some(map)) = (self.consumer_timeout_ms, definition.as_object_mut()) {
                map.insert("consumer-timeout".to_owned(), json!(ms));
            }
            definition
        };
        let areas: Vec<&str> = Area::MACHINES.iter().map(|a| a.word()).collect();
        let policy = |name: &str, pattern: &str, to: &str, definition: Value| {
            json!({
                "vhost": self.vhost, "name": name, "pattern": pattern, "apply-to": to,
                "priority": 0, "definition": definition,
            })
        };
        vec![
            policy(
                "offboard-assignments",
                &format!(r"^ob\.v1\.({})\.", areas.join("|")),
                "queues",
                work(ASSIGNMENT_DELIVERIES),
            ),
            policy(
                "offboard-reports",
                r"^ob\.v1\.reports\.",
                "queues",
                work(REPORT_DELIVERIES),
            ),
            policy(
                "offboard-sealing",
                r"^ob\.v1\.sealing$",
                "queues",
                work(ASSIGNMENT_DELIVERIES),
            ),
            policy(
                "offboard-dead",
                r"^ob\.v1\.dead$",
                "queues",
                json!({ "overflow": "reject-publish", "max-length": WAITING_MOST, "delivery-limit": DEAD_DELIVERIES }),
            ),
            policy(
                "offboard-expired",
                r"^ob\.v1\.expired$",
                "queues",
                json!({ "overflow": "drop-head", "max-length": EXPIRED_KEPT }),
            ),
            // Whatever else the broker gives up, for a reason of today or of a
            // version to come, is a dead letter.
            policy(
                "offboard-dead-letters",
                r"^ob\.v1\.dead-letters$",
                "exchanges",
                json!({ "alternate-exchange": DEAD }),
            ),
        ]
    }
}

/// The exchange through which one publishes to a queue; the routing key is the
/// queue's own name.
#[must_use]
pub fn exchange_of(name: &QueueName) -> &'static str {
    match name {
        QueueName::Assignments { .. } | QueueName::Sealing => ASSIGNMENTS,
        QueueName::Reports { .. } => REPORTS,
        QueueName::Dead => DEAD,
    }
}

/// A name as a pattern.
fn escaped(name: &str) -> String {
    name.replace('.', r"\.")
}

/// A pattern that is any of these and nothing else.
fn any_of(patterns: &[String]) -> String {
    match patterns {
        [] => "^$".to_owned(),
        [one] => format!("^{one}$"),
        some => format!("^({})$", some.join("|")),
    }
}
