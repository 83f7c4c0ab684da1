//! Who may do what at the broker: a user for each role, which configures
//! nothing, consumes only its own queues and publishes only what its role says.
//!
//! The broker checks these patterns itself, also against a worker that was
//! taken over; and it checks the user that a message names as its sender
//! against the connection's, so that [`may_report`] can be asked about it.
//! There is no default password anywhere: a user without a hash cannot log in.

use super::topology::{self, Topology};
use crate::QueueName;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use offboard_domain::{Area, Lane};
use sha2::{Digest as _, Sha256};

/// The dispatcher: publishes assignments, consumes reports.
pub const DISPATCHER: &str = "offboard-dispatcher";
/// A worker of every area, for the systems that are reachable from anywhere.
pub const WORKER: &str = "offboard-worker";
/// The user of the closer.
pub const CLOSER: &str = "offboard-closer";
/// Reads the broker's own figures, and no message.
pub const OBSERVER: &str = "offboard-observer";
/// How the user of a site's workers begins.
const SITE_WORKER: &str = "offboard-site-";

/// What a role may do. Each pattern is anchored by the caller; an empty list
/// is nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Role {
    /// The user's name.
    pub(super) name: String,
    /// The broker's own tag.
    pub(super) tag: Option<&'static str>,
    /// The exchanges to which it publishes.
    pub(super) publishes: Vec<&'static str>,
    /// The queues that it consumes, as patterns. It may bury from these alone.
    pub(super) consumes: Vec<String>,
}

/// The user of one area's workers, for the systems that are reachable from
/// anywhere.
#[must_use]
pub fn area_worker(area: Area) -> String {
    format!("{WORKER}-{area}")
}

/// The user of a site's workers.
#[must_use]
pub fn site_worker(site: &str) -> String {
    format!("{SITE_WORKER}{site}")
}

/// The site whose workers' user this is, if it is one.
#[must_use]
pub fn site_of(user: &str) -> Option<&str> {
    user.strip_prefix(SITE_WORKER)
}

/// Of an installation's queues, those that a role uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Duties {
    pub(super) consumes: Vec<QueueName>,
    pub(super) publishes: Vec<QueueName>,
}

/// What the role of this user's name does with these queues; none if there is
/// no such role.
pub(super) fn duties(user: &str, all: &[QueueName]) -> Option<Duties> {
    let those = |wanted: &dyn Fn(&QueueName) -> bool| all.iter().filter(|q| wanted(q)).cloned().collect();
    let reports = |q: &QueueName| matches!(q, QueueName::Reports { .. });
    let none = Vec::new;
    let worker = |wanted: &dyn Fn(Area, Option<&str>) -> bool| Duties {
        consumes: those(&|q| matches!(q, QueueName::Assignments { area, site, .. } if wanted(*area, site.as_deref()))),
        publishes: those(&reports),
    };
    Some(match user {
        DISPATCHER => Duties {
            consumes: those(&|q| reports(q) || *q == QueueName::Dead),
            publishes: those(&|q| matches!(q, QueueName::Assignments { .. } | QueueName::Sealing)),
        },
        CLOSER => Duties {
            consumes: those(&|q| *q == QueueName::Sealing),
            publishes: none(),
        },
        OBSERVER => Duties {
            consumes: none(),
            publishes: none(),
        },
        WORKER => worker(&|_, site| site.is_none()),
        _ => match (site_of(user), user.strip_prefix("offboard-worker-")) {
            (Some(of), _) => worker(&|_, site| site == Some(of)),
            (None, Some(of)) => {
                let of = Area::named(of)?;
                worker(&|area, site| area == of && site.is_none())
            }
            (None, None) => return None,
        },
    })
}

/// Whether this user may lawfully report about a task of this area, ordered
/// through this site's queues (or through none's). The user is the one that
/// [`crate::Delivery::sender`] gives.
#[must_use]
pub fn may_report(user: &str, area: Area, site: Option<&str>) -> bool {
    match site {
        Some(site) => user == site_worker(site),
        None => user == WORKER || user == area_worker(area),
    }
}

/// A password as the broker keeps it: salted with these four bytes, which must
/// be random (`rabbitmqctl hash_password` does the same).
#[must_use]
pub fn password_hash(password: &str, salt: [u8; 4]) -> String {
    let mut hash = Sha256::new();
    hash.update(salt);
    hash.update(password.as_bytes());
    let mut kept = salt.to_vec();
    kept.extend(hash.finalize());
    STANDARD.encode(kept)
}

/// The roles of a topology, by the name of their user.
pub(super) fn roles(topology: &Topology) -> Vec<Role> {
    let worker = |name: String, queues: String| Role {
        name,
        tag: None,
        publishes: vec![topology::REPORTS, topology::DEAD],
        consumes: vec![queues],
    };
    let mut roles = vec![
        Role {
            name: DISPATCHER.to_owned(),
            tag: None,
            publishes: vec![topology::ASSIGNMENTS, topology::DEAD],
            consumes: vec![r"ob\.v1\.reports\.[0-9]+".to_owned(), r"ob\.v1\.dead".to_owned()],
        },
        Role {
            name: CLOSER.to_owned(),
            tag: None,
            publishes: vec![topology::DEAD],
            consumes: vec![r"ob\.v1\.sealing".to_owned()],
        },
        Role {
            name: OBSERVER.to_owned(),
            tag: Some("monitoring"),
            publishes: Vec::new(),
            consumes: Vec::new(),
        },
        worker(WORKER.to_owned(), assignments(&topology.areas, None)),
    ];
    for area in &topology.areas {
        roles.push(worker(area_worker(*area), assignments(&[*area], None)));
    }
    for (site, areas) in &topology.sites {
        roles.push(worker(site_worker(site), assignments(areas, Some(site))));
    }
    roles.sort_by(|a, b| a.name.cmp(&b.name));
    roles
}

/// The queues of these areas, in every lane, as a pattern.
fn assignments(areas: &[Area], site: Option<&str>) -> String {
    let areas: Vec<&str> = areas.iter().map(|a| a.word()).collect();
    let lanes = [Lane::Urgent, Lane::Normal].map(Lane::word).join("|");
    // A site's name has no character that means something in a pattern.
    let site = site.map(|s| format!(r"\.{s}")).unwrap_or_default();
    format!(r"ob\.v1\.({})\.({lanes}){site}", areas.join("|"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_workers_of_its_queue_may_report_about_a_task() {
        let lawful = [
            (WORKER, Area::Mailbox, None, true),
            ("offboard-worker-mailbox", Area::Mailbox, None, true),
            ("offboard-worker-identity", Area::Mailbox, None, false),
            ("offboard-site-berlin", Area::Mailbox, None, false),
            (DISPATCHER, Area::Mailbox, None, false),
            ("", Area::Mailbox, None, false),
            ("offboard-site-berlin", Area::Identity, Some("berlin"), true),
            ("offboard-site-ber", Area::Identity, Some("berlin"), false),
            (WORKER, Area::Identity, Some("berlin"), false),
            ("offboard-worker-identity", Area::Identity, Some("berlin"), false),
            ("", Area::Identity, Some("berlin"), false),
        ];
        for (user, area, site, may) in lawful {
            assert_eq!(may_report(user, area, site), may, "{user} {area} {site:?}");
        }
    }

    #[test]
    fn a_password_is_hashed_as_the_broker_does() {
        // The example of the broker's own documentation on passwords.
        let salt = [0x90, 0x8d, 0xc6, 0x0a];
        let hash = password_hash("test12", salt);
        assert_eq!(hash, "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR");
    }
}
