//! What a child process of the bench is told: where the servers are, and how
//! much may be open and in flight.

use super::stage::Tuning;
use crate::embedded::Failed;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The virtual host of Offboard's own queues.
pub(crate) const OFFBOARD_VHOST: &str = "offboard";
/// That of the bare loop, which has the same queues.
pub(crate) const BARE_VHOST: &str = "bare";
/// That of the least loop.
pub(crate) const LEAST_VHOST: &str = "least";
/// That of Celery.
pub(crate) const CELERY_VHOST: &str = "celery";

/// Everything that a child needs to know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Setup {
    /// The broker's port on the loopback.
    pub(crate) rabbit_port: u16,
    /// Its users' passwords.
    pub(crate) passwords: BTreeMap<String, String>,
    /// The store's URL.
    pub(crate) redis: String,
    /// The folder of keys, evidence and artifacts.
    pub(crate) folder: PathBuf,
    /// Where traces and metrics are sent.
    pub(crate) otlp: String,
    /// How many tenants there are.
    pub(crate) tenants: usize,
    /// How much may be open and in flight.
    pub(crate) tuning: Tuning,
}

impl Setup {
    /// Reads what the parent wrote.
    pub(crate) fn read(path: &Path) -> Result<Self, Failed> {
        Ok(serde_json::from_slice(&std::fs::read(path)?)?)
    }

    /// The password of a user of the broker.
    pub(crate) fn password(&self, user: &str) -> Result<&str, Failed> {
        let known = self.passwords.get(user).map(String::as_str);
        known.ok_or_else(|| format!("no password was given for the broker's user {user}").into())
    }

    /// The broker, for the client library itself.
    pub(crate) fn amqp(&self, vhost: &str) -> Result<String, Failed> {
        let user = offboard_servers::ADMINISTRATOR;
        let (password, port) = (self.password(user)?, self.rabbit_port);
        Ok(format!("amqp://{user}:{password}@127.0.0.1:{port}/{vhost}"))
    }
}
