//! Sites: a tenant's network whose systems are reached from inside alone, by a
//! worker that stands there. While nobody consumes a site's queues of an area it
//! gets no assignments of that area: its work rests, costs no attempt, and says since
//! when the site is away. Workers that serve other areas there change nothing of it.

use crate::engine::{Engine, lock, told};
use crate::tenants::Terms;
use offboard_domain::{Area, System, TenantId, Timestamp};
use offboard_ledger::{GateChange, LedgerError};
use offboard_queue::{QueueError, QueueName};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often the sites' queues are looked at, in milliseconds of engine time:
/// several times while a look holds.
const LOOK_EVERY_MS: i64 = 10_000;
/// The broker is asked no more often than this, however fast engine time runs.
const ASK_AT_MOST_EVERY: Duration = Duration::from_millis(250);
/// A site is away once nobody has consumed its queues of an area for this long: a
/// worker that reconnects is not away.
const SILENT_FOR_MS: i64 = 30_000;
/// For how long a look holds at least, in milliseconds. It is renewed while the
/// site is silent; should every dispatcher die, it ends by itself.
const HOLDS_MS: i64 = 60_000;
/// A look holds for so many of the time that the last one took, however slow the
/// broker is or fast engine time runs.
const HOLDS_LOOKS: i64 = 6;

/// What keeps since when is called as its gate, after this.
const SINCE: &str = "since/";
/// How every gate of a site begins.
const AWAY: &str = "away/";

fn since_gate(gate: &str) -> String {
    format!("{SINCE}{gate}")
}

/// Shuts a gate since then and until then, or opens it.
fn change(gate: &str, shut: Option<(Timestamp, Timestamp)>) -> [GateChange; 2] {
    let (since, until) = shut.unzip();
    [(since_gate(gate), since), (gate.to_owned(), until)].map(|(name, until)| GateChange { name, until })
}

/// What one sort of worker at a site serves: which site, and which area.
pub(crate) type Post = (String, Area);

/// The gate of what a system's site does in one area.
fn away_gate(system: &System, area: Area) -> String {
    format!("{AWAY}{system}/{area}")
}

/// Where a tenant's work is done inside: of which of its systems, and by whom.
fn posts(terms: &Terms) -> impl Iterator<Item = (&System, Post)> {
    terms.sites.iter().flat_map(|(system, site)| {
        let kinds = terms.capabilities.0.get(system).into_iter().flatten();
        let areas: BTreeSet<Area> = kinds.map(|kind| kind.spec().area).collect();
        let served = areas.into_iter().filter(|area| *area != Area::Person);
        served.map(move |area| (system, (site.clone(), area)))
    })
}

/// Keeps the earliest time of each.
fn earliest(since: &mut BTreeMap<Post, Timestamp>, post: Post, at: Timestamp) {
    let known = since.entry(post).or_insert(at);
    *known = at.min(*known);
}

impl Engine {
    /// Shuts and opens the gates of sites, until told to stop. Which sites there are
    /// is asked anew at each look.
    pub async fn watch_sites(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut silent: BTreeMap<Post, Timestamp> = BTreeMap::new();
        let mut looked = self.clock.now();
        while !told(&stop) {
            match self.silent_posts().await {
                Ok(now_silent) => {
                    let now = self.clock.now();
                    let holds_until = now.plus(HOLDS_MS.max(HOLDS_LOOKS * now.since(looked)));
                    looked = now;
                    silent.retain(|post, _| now_silent.contains(post));
                    for post in now_silent {
                        silent.entry(post).or_insert(now);
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

    /// Where nobody consumes what tenants have done inside; also where the queue is
    /// not there at all. A queue whose consumers the broker does not tell is not
    /// called silent.
    async fn silent_posts(&self) -> Result<BTreeSet<Post>, QueueError> {
        let tenants = self.tenants.all();
        let mut silent: BTreeSet<Post> = tenants.values().flat_map(posts).map(|(_, post)| post).collect();
        if silent.is_empty() {
            return Ok(silent);
        }
        for depth in self.queue.depths().await? {
            if let QueueName::Assignments {
                area, site: Some(site), ..
            } = depth.queue
                && depth.consumers != Some(0)
            {
                silent.remove(&(site, area));
            }
        }
        Ok(silent)
    }

    async fn mark(self: &Arc<Self>, silent: &BTreeMap<Post, Timestamp>, now: Timestamp, holds_until: Timestamp) {
        let tenants = self.tenants.all();
        // One that had a site and has none any more has gates to be opened.
        let with_gates: BTreeSet<TenantId> = self.tenants_with_gates().into_iter().collect();
        let concerned = tenants
            .iter()
            .filter(|(t, terms)| self.owns(t) && (!terms.sites.is_empty() || with_gates.contains(*t)));
        let mut away: BTreeMap<Post, Timestamp> = BTreeMap::new();
        for (tenant, terms) in concerned {
            match self.mark_tenant(tenant, terms, silent, (now, holds_until)).await {
                Ok(of_tenant) => {
                    for (post, since) in of_tenant {
                        earliest(&mut away, post, since);
                    }
                }
                Err(error) => tracing::warn!(%tenant, %error, "failed to note that a site is away"),
            }
        }
        *lock(&self.away) = away;
    }

    /// Where nobody serves, and since when: of the tenants that are owned here.
    #[must_use]
    pub fn sites_away(&self) -> BTreeMap<(String, Area), Timestamp> {
        lock(&self.away).clone()
    }

    /// Shuts and opens the gates of one tenant's sites, and tells which are away.
    async fn mark_tenant(
        self: &Arc<Self>,
        tenant: &TenantId,
        terms: &Terms,
        silent: &BTreeMap<Post, Timestamp>,
        (now, holds_until): (Timestamp, Timestamp),
    ) -> Result<BTreeMap<Post, Timestamp>, LedgerError> {
        let shut = self.shut(tenant).await?;
        let mut away: BTreeMap<String, Timestamp> = BTreeMap::new();
        let mut posts_away: BTreeMap<Post, Timestamp> = BTreeMap::new();
        for (system, post) in posts(terms) {
            let gate = away_gate(system, post.1);
            // One that was away before this dispatcher looked still is; an older version
            // knows of systems alone.
            let known = shut.get(&since_gate(&gate));
            let known = known
                .or_else(|| shut.get(&since_gate(&format!("{AWAY}{system}"))))
                .copied();
            let silent_since = silent.get(&post).copied();
            let since = silent_since.filter(|since| known.is_some() || now.since(*since) >= SILENT_FOR_MS);
            if let Some(since) = since {
                if known.is_none() {
                    let (site, area) = &post;
                    tracing::warn!(%tenant, %system, site, %area, "a site's workers are silent; its work rests");
                }
                let since = known.unwrap_or(since);
                away.insert(gate, since);
                earliest(&mut posts_away, post, since);
            }
        }
        let known = shut.keys().filter_map(|name| name.strip_prefix(SINCE));
        let was_away = known.filter(|gate| gate.starts_with(AWAY));
        let back: Vec<&str> = was_away.filter(|gate| !away.contains_key(*gate)).collect();
        let mut changes: Vec<GateChange> = Vec::new();
        for gate in &back {
            tracing::info!(%tenant, gate, "a site's workers are back");
            changes.extend(change(gate, None));
        }
        for (gate, since) in &away {
            changes.extend(change(gate, Some((*since, holds_until))));
        }
        if changes.is_empty() {
            return Ok(posts_away);
        }
        self.shut_more(tenant, changes).await?;
        if !back.is_empty() {
            self.look_at_all_of(tenant);
        }
        Ok(posts_away)
    }
}
