//! Sites: a tenant's network whose systems are reached from inside alone, by a
//! worker that stands there. While nobody consumes a site's queues it gets no
//! assignments: its work rests, costs no attempt, and says since when the site
//! is away.

use crate::engine::{Engine, told};
use offboard_domain::{System, TenantId, Timestamp};
use offboard_ledger::GateChange;
use offboard_queue::QueueName;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often the sites' queues are looked at, in milliseconds of engine time:
/// several times while a look holds.
const LOOK_EVERY_MS: i64 = 10_000;
/// The broker is asked no more often than this, however fast engine time runs.
const ASK_AT_MOST_EVERY: Duration = Duration::from_millis(250);
/// A site is away once nobody has consumed its queues for this long: a worker
/// that reconnects is not away.
const SILENT_FOR_MS: i64 = 30_000;
/// For how long a look holds at least, in milliseconds. It is renewed while the
/// site is silent; should every dispatcher die, it ends by itself.
const HOLDS_MS: i64 = 60_000;
/// A look holds for so many of the time that the last one took, however slow the
/// broker is or fast engine time runs.
const HOLDS_LOOKS: i64 = 6;

/// The gate that keeps since when a system's site has been away.
#[must_use]
pub fn since_gate(system: &System) -> String {
    format!("since/away/{system}")
}

fn away_gate(system: &System) -> String {
    format!("away/{system}")
}

impl Engine {
    /// Shuts and opens the gates of sites, until told to stop.
    pub async fn watch_sites(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut silent: BTreeMap<String, Timestamp> = BTreeMap::new();
        let mut looked = self.clock.now();
        while !told(&stop) {
            match self.silent_sites().await {
                Ok(now_silent) => {
                    let now = self.clock.now();
                    let holds_until = now.plus(HOLDS_MS.max(HOLDS_LOOKS * now.since(looked)));
                    looked = now;
                    silent.retain(|site, _| now_silent.contains(site));
                    for site in now_silent {
                        silent.entry(site).or_insert(now);
                    }
                    self.mark(&silent, now, holds_until).await;
                }
                Err(error) => tracing::warn!(%error, "failed to see which sites have workers; looking again"),
            }
            let again = self.clock.now().plus(LOOK_EVERY_MS);
            let pause = async {
                tokio::join!(self.clock.sleep_until(again), tokio::time::sleep(ASK_AT_MOST_EVERY));
            };
            tokio::select! {
                biased;
                _ = stop.changed() => {}
                () = pause => {}
            }
        }
    }

    /// The sites of which no queue is consumed by anybody. A queue whose
    /// consumers the broker does not tell is not called silent.
    async fn silent_sites(&self) -> Result<BTreeSet<String>, offboard_queue::QueueError> {
        let mut consumers: BTreeMap<String, u64> = BTreeMap::new();
        for depth in self.queue.depths().await? {
            if let QueueName::Assignments { site: Some(site), .. } = depth.queue {
                *consumers.entry(site).or_default() += depth.consumers.unwrap_or(1);
            }
        }
        Ok(consumers
            .into_iter()
            .filter(|(_, n)| *n == 0)
            .map(|(site, _)| site)
            .collect())
    }

    async fn mark(self: &Arc<Self>, silent: &BTreeMap<String, Timestamp>, now: Timestamp, holds_until: Timestamp) {
        let tenants = self.tenants.all();
        let concerned = tenants
            .iter()
            .filter(|(t, terms)| self.owns(t) && !terms.sites.is_empty());
        for (tenant, terms) in concerned {
            if let Err(error) = self.mark_tenant(tenant, &terms.sites, silent, (now, holds_until)).await {
                tracing::warn!(%tenant, %error, "failed to note that a site is away");
            }
        }
    }

    async fn mark_tenant(
        self: &Arc<Self>,
        tenant: &TenantId,
        sites: &BTreeMap<System, String>,
        silent: &BTreeMap<String, Timestamp>,
        (now, holds_until): (Timestamp, Timestamp),
    ) -> Result<(), offboard_ledger::LedgerError> {
        let shut = self.shut(tenant).await?;
        let mut changes = Vec::new();
        let mut back = false;
        for (system, site) in sites {
            let known = shut.get(&since_gate(system)).copied();
            // One that was away before this dispatcher looked still is.
            let away = |since: &Timestamp| known.is_some() || now.since(*since) >= SILENT_FOR_MS;
            let since = silent.get(site).filter(|since| away(since));
            match since {
                Some(since) => {
                    if known.is_none() {
                        tracing::warn!(%tenant, %system, site, "a site's workers are silent; its work rests");
                    }
                    changes.push((since_gate(system), Some(known.unwrap_or(*since))));
                    changes.push((away_gate(system), Some(holds_until)));
                }
                None if known.is_some() => {
                    tracing::info!(%tenant, %system, site, "a site's workers are back");
                    changes.push((since_gate(system), None));
                    changes.push((away_gate(system), None));
                    back = true;
                }
                None => {}
            }
        }
        if changes.is_empty() {
            return Ok(());
        }
        let changes = changes
            .into_iter()
            .map(|(name, until)| GateChange { name, until })
            .collect();
        self.shut_more(tenant, changes).await?;
        if back {
            self.look_at_all_of(tenant);
        }
        Ok(())
    }
}
