//! Three nodes on one machine that keep each quorum queue together: what is
//! confirmed is on the disks of two, and without two nothing is.

use super::{Member, Rabbit, RabbitOptions, TRIES, escaped, is_about_a_port, new_home, random};
use crate::process::{Patience, StartError, until};
use serde_json::Value;
use std::time::Duration;

const NODES: usize = 3;

/// How long nodes may take to see each other, and a queue to have a leader.
const PATIENCE: Patience = Patience(Duration::from_secs(120));

/// A broker of three nodes.
#[derive(Debug)]
pub struct RabbitCluster {
    nodes: Vec<Rabbit>,
}

impl RabbitCluster {
    /// Starts it, and waits until every node knows the others. Queues that are
    /// imported from then on are on all of them.
    ///
    /// # Errors
    /// [`StartError`] if it does not come together.
    pub fn start() -> Result<Self, StartError> {
        let mut last = None;
        for _ in 0..TRIES {
            match Self::start_once() {
                Err(error) if is_about_a_port(&error) => last = Some(error),
                other => return other,
            }
        }
        Err(last.unwrap_or_else(|| StartError("no port was free".to_owned())))
    }

    fn start_once() -> Result<Self, StartError> {
        let homes = (0..NODES).map(|_| new_home()).collect::<Result<Vec<_>, _>>()?;
        let first = homes.first().ok_or_else(|| StartError("there is no node".to_owned()))?;
        let mut together = Member::alone(&first.path().join("epmd.log"))?;
        together.of = (1..=NODES).map(|n| format!("offboard{n}@localhost")).collect();
        let password = random()?;
        let mut nodes = Vec::new();
        for (home, name) in homes.into_iter().zip(together.of.clone()) {
            let member = Member {
                name,
                ..together.clone()
            };
            let options = RabbitOptions::default();
            nodes.push(Rabbit::prepare(options, home, member, password.clone())?);
        }
        let mut cluster = Self { nodes };
        cluster.start_all()?;
        Ok(cluster)
    }

    /// One of its nodes, to be killed.
    pub fn node(&mut self, n: usize) -> Option<&mut Rabbit> {
        self.nodes.get_mut(n)
    }

    /// A node that runs.
    #[must_use]
    pub fn running(&self) -> Option<&Rabbit> {
        self.nodes.iter().find(|node| node.pid().is_some())
    }

    /// Starts all that do not run, at the same time since they look for each other,
    /// and waits until they are one.
    fn start_all(&mut self) -> Result<(), StartError> {
        std::thread::scope(|scope| {
            let starting: Vec<_> = self
                .nodes
                .iter_mut()
                .filter(|node| node.pid().is_none())
                .map(|node| scope.spawn(move || node.start_node()))
                .collect();
            // The scope waits for all, also when one has failed.
            let broke = || StartError("whoever started a node broke".to_owned());
            let mut ended = starting.into_iter().map(|s| s.join().unwrap_or_else(|_| Err(broke())));
            ended.try_for_each(|ended| ended)
        })?;
        let whole = |node: &Rabbit| {
            let answer = node.ask("GET", "/api/nodes?columns=name,running", b"");
            let listed = answer.ok().and_then(|a| serde_json::from_slice::<Vec<Value>>(&a).ok());
            listed.is_some_and(|l| l.iter().filter(|n| n["running"] == true).count() == NODES)
        };
        until("three nodes to be one broker", PATIENCE, || {
            self.nodes.iter().all(whole)
        })
    }

    /// Which node leads a queue, once one that runs does.
    ///
    /// # Errors
    /// [`StartError`] if none does in time.
    pub fn leader(&self, vhost: &str, queue: &str) -> Result<usize, StartError> {
        let path = format!("/api/queues/{}/{}?columns=leader", escaped(vhost), escaped(queue));
        let mut found = None;
        let waited = until("a queue to have a leader", PATIENCE, || {
            found = self.leader_now(&path);
            found.is_some()
        });
        waited.and_then(|()| found.ok_or_else(|| StartError(format!("nobody leads {queue}"))))
    }

    /// Waits until every node has a replica of a queue that takes part.
    ///
    /// # Errors
    /// [`StartError`] with which have one, if that does not come.
    pub fn until_on_all(&self, vhost: &str, queue: &str) -> Result<(), StartError> {
        let path = format!(
            "/api/queues/{}/{}?columns=leader,members,online",
            escaped(vhost),
            escaped(queue)
        );
        let mut said = Value::Null;
        until(&format!("{queue} to be on all nodes"), PATIENCE, || {
            let answer = self.running().and_then(|node| node.ask("GET", &path, b"").ok());
            said = answer.and_then(|a| serde_json::from_slice(&a).ok()).unwrap_or_default();
            said["online"].as_array().is_some_and(|online| online.len() == NODES)
        })
        .map_err(|e| StartError(format!("{e}; last it was said: {said}")))
    }

    fn leader_now(&self, path: &str) -> Option<usize> {
        let answer = self.running()?.ask("GET", path, b"").ok()?;
        let said: Value = serde_json::from_slice(&answer).ok()?;
        let name = said["leader"].as_str()?;
        let runs = |node: &Rabbit| node.member.name == name && node.pid().is_some();
        self.nodes.iter().position(runs)
    }
}
