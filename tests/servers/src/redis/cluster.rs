//! Three primaries on one machine that share the slots between them; one may be
//! given a replica that takes its place, and a slot may move.

use super::{PATIENCE, Redis, RedisOptions, Reply};
use crate::process::{Patience, StartError, until};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

const SLOTS: usize = 16_384;
const NODES: usize = 3;

/// After this long a node has given up a failover that it was told to make.
const FAIL_OVER_MAX: Patience = Patience(Duration::from_secs(6));
/// How often it is told.
const FAIL_OVER_TRIES: usize = 10;
/// How long a move of keys may take, in milliseconds.
const MIGRATE_MAX_MS: &str = "5000";

/// A Redis Cluster without replicas, in the beginning.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<Redis>,
}

/// A slot that is open: on its way from one node to another.
#[derive(Debug)]
pub struct MovingSlot {
    slot: String,
    from: usize,
    to: usize,
}

impl RedisCluster {
    /// Starts it, and waits until every node knows that all is served.
    ///
    /// # Errors
    /// [`StartError`] if it does not come together.
    pub fn start(options: &RedisOptions) -> Result<Self, StartError> {
        let options = RedisOptions {
            cluster: true,
            ..options.clone()
        };
        let nodes: Vec<Redis> = (0..NODES).map(|_| Redis::start(&options)).collect::<Result<_, _>>()?;
        for (n, node) in nodes.iter().enumerate() {
            let (first, after) = (SLOTS * n / NODES, SLOTS * (n + 1) / NODES);
            let range = [first.to_string(), (after - 1).to_string()];
            told(node, &["CLUSTER", "ADDSLOTSRANGE", &range[0], &range[1]])?;
            told(node, &["CLUSTER", "SET-CONFIG-EPOCH", &(n + 1).to_string()])?;
        }
        for node in &nodes[1..] {
            let (port, bus) = (node.port().to_string(), bus_port(node)?);
            told(&nodes[0], &["CLUSTER", "MEET", "127.0.0.1", &port, &bus])?;
        }
        let cluster = Self { nodes };
        cluster.wait_until_whole()?;
        Ok(cluster)
    }

    /// A cluster that the tests of this process share, set up as by default.
    /// It ends with the last of those who hold it.
    ///
    /// # Errors
    /// As [`RedisCluster::start`].
    pub fn shared() -> Result<Arc<Self>, StartError> {
        static SHARED: Mutex<Weak<RedisCluster>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cluster) = shared.upgrade() {
            return Ok(cluster);
        }
        let cluster = Arc::new(Self::start(&RedisOptions::default())?);
        *shared = Arc::downgrade(&cluster);
        Ok(cluster)
    }

    /// The nodes' URLs as one.
    #[must_use]
    pub fn url(&self) -> String {
        let nodes: Vec<String> = self.nodes.iter().map(|n| format!("127.0.0.1:{}", n.port())).collect();
        format!("redis-cluster://{}", nodes.join(","))
    }

    /// The nodes.
    pub fn nodes(&mut self) -> &mut [Redis] {
        &mut self.nodes
    }

    /// The node that serves a key.
    ///
    /// # Errors
    /// [`StartError`] if none says that it does.
    pub fn node_of(&mut self, key: &str) -> Result<&mut Redis, StartError> {
        let node = self.serving(key)?;
        Ok(&mut self.nodes[node])
    }

    fn serving(&self, key: &str) -> Result<usize, StartError> {
        let serves = |node: &Redis| matches!(node.command(&["EXISTS", key]), Ok(Reply::Number(_)));
        let node = self.nodes.iter().position(serves);
        node.ok_or_else(|| StartError(format!("no node of the cluster serves {key}")))
    }

    /// Starts a replica of the node that serves a key, and waits until it follows and
    /// every node knows that it does: until then nobody votes for it.
    ///
    /// # Errors
    /// [`StartError`] if it does not get there.
    pub fn replica_of(&self, key: &str, options: &RedisOptions) -> Result<Redis, StartError> {
        let replica = Redis::start(&RedisOptions {
            cluster: true,
            ..options.clone()
        })?;
        let (port, bus) = (replica.port().to_string(), bus_port(&replica)?);
        told(&self.nodes[0], &["CLUSTER", "MEET", "127.0.0.1", &port, &bus])?;
        let primary = id(&self.nodes[self.serving(key)?])?;
        until("the replica to know its primary", PATIENCE, || {
            told(&replica, &["CLUSTER", "REPLICATE", &primary]).is_ok()
        })?;
        let known = format!("slave {primary}");
        let knows = |node: &Redis| {
            let nodes = node.command(&["CLUSTER", "NODES"]);
            nodes.is_ok_and(|nodes| nodes.text().contains(&known))
        };
        until("the replica to follow and be known", PATIENCE, || {
            let said = replica.command(&["INFO", "replication"]);
            let follows = said.is_ok_and(|said| said.text().contains("master_link_status:up"));
            follows && self.nodes.iter().all(knows)
        })?;
        Ok(replica)
    }

    /// Has a replica take its primary's place while both are well, and waits until it
    /// has. Nothing is lost by it: the primary takes nothing more until the replica has all.
    ///
    /// # Errors
    /// [`StartError`] if it does not.
    pub fn fail_over(&self, replica: &Redis) -> Result<(), StartError> {
        let promoted = || {
            let role = replica.command(&["ROLE"]);
            role.is_ok_and(|role| role.text().starts_with("master"))
        };
        let mut last = StartError("the replica was not told".to_owned());
        for _ in 0..FAIL_OVER_TRIES {
            if promoted() {
                return Ok(());
            }
            // Told again before it has given up, it would begin anew.
            let done = told(replica, &["CLUSTER", "FAILOVER"])
                .and_then(|()| until("the replica to be promoted", FAIL_OVER_MAX, promoted));
            match done {
                Ok(()) => return Ok(()),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Opens the slot of a key, so that its keys may go over to another node.
    ///
    /// # Errors
    /// [`StartError`] if a node refuses.
    pub fn open_slot(&self, key: &str) -> Result<MovingSlot, StartError> {
        let from = self.serving(key)?;
        let to = (from + 1) % NODES;
        let slot = self.nodes[from].command(&["CLUSTER", "KEYSLOT", key])?.text();
        let (source, target) = (id(&self.nodes[from])?, id(&self.nodes[to])?);
        told(&self.nodes[to], &["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source])?;
        told(&self.nodes[from], &["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target])?;
        Ok(MovingSlot { slot, from, to })
    }

    /// Takes so many keys of an open slot over, if there are; says how many went.
    ///
    /// # Errors
    /// [`StartError`] if they do not go.
    pub fn take_over(&self, moving: &MovingSlot, most: usize) -> Result<usize, StartError> {
        let source = &self.nodes[moving.from];
        let keys = match source.command(&["CLUSTER", "GETKEYSINSLOT", &moving.slot, &most.to_string()])? {
            Reply::List(keys) => keys.iter().map(Reply::text).collect::<Vec<_>>(),
            other => return Err(StartError(format!("a slot's keys: {}", other.text()))),
        };
        if keys.is_empty() {
            return Ok(0);
        }
        let port = self.nodes[moving.to].port().to_string();
        let mut words = vec!["MIGRATE", "127.0.0.1", port.as_str(), "", "0", MIGRATE_MAX_MS, "KEYS"];
        words.extend(keys.iter().map(String::as_str));
        told(source, &words)?;
        Ok(keys.len())
    }

    /// Says to all that the slot is the other node's from now on.
    ///
    /// # Errors
    /// [`StartError`] if a node refuses.
    pub fn close_slot(&self, moving: &MovingSlot) -> Result<(), StartError> {
        let target = id(&self.nodes[moving.to])?;
        // The new one first: were it the old one, a node might send clients to one
        // that does not know yet.
        let others = (0..NODES).filter(|node| *node != moving.to);
        for node in std::iter::once(moving.to).chain(others) {
            told(
                &self.nodes[node],
                &["CLUSTER", "SETSLOT", &moving.slot, "NODE", &target],
            )?;
        }
        Ok(())
    }

    /// How often the node that a slot goes from has refused so, such as `ASK`.
    #[must_use]
    pub fn refusals(&self, moving: &MovingSlot, word: &str) -> u64 {
        let said = self.nodes[moving.from].command(&["INFO", "errorstats"]);
        let said = said.map_or_else(|e| e.0, |r| r.text());
        let begin = format!("errorstat_{word}:count=");
        let count = said.lines().find_map(|line| line.strip_prefix(&begin));
        count.and_then(|n| n.trim().parse().ok()).unwrap_or(0)
    }

    /// Kills every node and starts it again.
    ///
    /// # Errors
    /// [`StartError`] if they do not come together again.
    pub fn restart(&mut self) -> Result<(), StartError> {
        self.nodes.iter_mut().for_each(Redis::kill);
        self.nodes.iter_mut().try_for_each(Redis::restart)?;
        self.wait_until_whole()
    }

    fn wait_until_whole(&self) -> Result<(), StartError> {
        let whole = |node: &Redis| {
            let info = node.command(&["CLUSTER", "INFO"]).map_or_else(|e| e.0, |r| r.text());
            let peers = node.command(&["CLUSTER", "SLOTS"]).map(|slots| match slots {
                Reply::List(ranges) => ranges.len(),
                _ => 0,
            });
            info.contains("cluster_state:ok") && peers.is_ok_and(|n| n == NODES)
        };
        until("the cluster to come together", PATIENCE, || {
            self.nodes.iter().all(whole)
        })
    }
}

fn id(node: &Redis) -> Result<String, StartError> {
    Ok(node.command(&["CLUSTER", "MYID"])?.text())
}

fn bus_port(node: &Redis) -> Result<String, StartError> {
    let set = node.command(&["CONFIG", "GET", "cluster-port"])?.text();
    let port = set.lines().nth(1).map(str::to_owned);
    port.ok_or_else(|| StartError(format!("the node does not say its bus port: {set}")))
}

fn told(node: &Redis, words: &[&str]) -> Result<(), StartError> {
    match node.command(words)? {
        Reply::Text(ok) if ok == "OK" => Ok(()),
        other => Err(StartError(format!("{}: {}", words.join(" "), other.text()))),
    }
}
