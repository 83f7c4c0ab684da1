//! Three primaries on one machine that share the slots between them.

use super::{PATIENCE, Redis, RedisOptions, Reply};
use crate::process::{StartError, until};
use std::sync::{Arc, Mutex, PoisonError, Weak};

const SLOTS: usize = 16_384;
const NODES: usize = 3;

/// A Redis Cluster without replicas.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<Redis>,
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
        let serves = |node: &Redis| matches!(node.command(&["EXISTS", key]), Ok(Reply::Number(_)));
        let node = self.nodes.iter_mut().find(|n| serves(n));
        node.ok_or_else(|| StartError(format!("no node of the cluster serves {key}")))
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
