//! The Redis backend: on one server, and on a cluster of three. Most laws
//! share a server and have keys of their own; those that restart one have a
//! server of their own, which is killed.

use crate::backend::{Backend, conformance};
use async_trait::async_trait;
use offboard_domain::{CaseId, TenantId};
use offboard_ledger::redis::RedisOptions;
use offboard_ledger::{Ledger, RedisLedger};
use offboard_servers::redis as servers;
use offboard_servers::{Redis, RedisCluster};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Of the tests' installations: not a multiple of what the laws count in, so
/// that one shard of theirs is several of the store's.
pub(crate) const SHARDS: u16 = 6;

/// How the ledger is reached at this URL, under keys that nobody else has.
pub(crate) fn options(url: &str) -> RedisOptions {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    RedisOptions {
        prefix: format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed)),
        shards: SHARDS,
        ..RedisOptions::new(url.parse().unwrap())
    }
}

pub(crate) async fn open(options: &RedisOptions) -> Arc<RedisLedger> {
    RedisLedger::open(options.clone()).await.unwrap().0
}

/// A server that others use too.
struct Shared {
    _server: Arc<Redis>,
    ledger: Arc<RedisLedger>,
}

/// A server of its own.
struct Alone {
    server: Redis,
    options: RedisOptions,
    ledger: Arc<RedisLedger>,
}

/// A cluster that others use too.
struct SharedCluster {
    _cluster: Arc<RedisCluster>,
    ledger: Arc<RedisLedger>,
}

/// A cluster of its own.
struct ClusterAlone {
    cluster: RedisCluster,
    options: RedisOptions,
    ledger: Arc<RedisLedger>,
}

#[async_trait]
impl Backend for Shared {
    async fn fresh() -> Self {
        let server = Redis::shared().unwrap();
        let ledger = open(&options(&server.url())).await;
        Self {
            _server: server,
            ledger,
        }
    }

    fn ledger(&self) -> Arc<dyn Ledger> {
        Arc::clone(&self.ledger) as Arc<dyn Ledger>
    }

    async fn restart(self) -> Self {
        unreachable!("others use this server");
    }

    async fn lose_last_append(self, _: &TenantId, _: CaseId) -> Self {
        unreachable!("others use this server");
    }
}

#[async_trait]
impl Backend for Alone {
    async fn fresh() -> Self {
        let server = Redis::start(&servers::RedisOptions::default()).unwrap();
        let options = options(&server.url());
        let ledger = open(&options).await;
        Self {
            server,
            options,
            ledger,
        }
    }

    fn ledger(&self) -> Arc<dyn Ledger> {
        Arc::clone(&self.ledger) as Arc<dyn Ledger>
    }

    async fn restart(mut self) -> Self {
        self.server.restart().unwrap();
        self.ledger = open(&self.options).await;
        self
    }

    async fn lose_last_append(mut self, _: &TenantId, _: CaseId) -> Self {
        self.server.kill();
        self.server.lose_last_transaction().unwrap();
        self.restart().await
    }
}

#[async_trait]
impl Backend for SharedCluster {
    async fn fresh() -> Self {
        let cluster = RedisCluster::shared().unwrap();
        let ledger = open(&options(&cluster.url())).await;
        Self {
            _cluster: cluster,
            ledger,
        }
    }

    fn ledger(&self) -> Arc<dyn Ledger> {
        Arc::clone(&self.ledger) as Arc<dyn Ledger>
    }

    async fn restart(self) -> Self {
        unreachable!("others use this cluster");
    }

    async fn lose_last_append(self, _: &TenantId, _: CaseId) -> Self {
        unreachable!("others use this cluster");
    }
}

#[async_trait]
impl Backend for ClusterAlone {
    async fn fresh() -> Self {
        let cluster = RedisCluster::start(&servers::RedisOptions::default()).unwrap();
        let options = options(&cluster.url());
        let ledger = open(&options).await;
        Self {
            cluster,
            options,
            ledger,
        }
    }

    fn ledger(&self) -> Arc<dyn Ledger> {
        Arc::clone(&self.ledger) as Arc<dyn Ledger>
    }

    async fn restart(mut self) -> Self {
        self.cluster.restart().unwrap();
        self.ledger = open(&self.options).await;
        self
    }

    async fn lose_last_append(mut self, tenant: &TenantId, _: CaseId) -> Self {
        let shard = offboard_ledger::Shard::of_tenant(tenant, SHARDS).index;
        let key = format!("{{{}:{shard}}}:cases", self.options.prefix);
        let node = self.cluster.node_of(&key).unwrap();
        node.kill();
        node.lose_last_transaction().unwrap();
        self.restart().await
    }
}

mod server {
    super::conformance!(super::Shared, super::Alone);
}

mod cluster {
    super::conformance!(super::SharedCluster, super::ClusterAlone);
}
