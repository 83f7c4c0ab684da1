//! Pauses, kept outside of a shared ledger: each, and its end, with its time, which is
//! after that of the one before by whatever clock. The last one of a gate holds.
//!
//! A pause that the ledger has lost is shut again by a look for losses, and somebody may
//! end it, or order another one, in the midst of that. An end that finds its gate open
//! leaves no trace in the ledger. So whoever is about to shut something again shuts a gate
//! of its own first ([`COMPARING`]), lists what is kept after that, and shuts the rest only
//! while that gate still stands as it was; whoever orders a pause or its end opens it with
//! what he orders. An end is kept before its gate opens, so it is in the list, or the gate
//! that it opens is missed. A pause is kept after its gate is shut, and until then a gate of
//! its own stands ([`ORDERING`]): what is kept of it may be older than what is in force.

use super::{PAUSES, short, store};
use crate::engine::{Engine, EngineError};
use crate::gates::{PAUSED_BY, Paused, paused_by, shut_anew};
use offboard_domain::assignment::CLOCK_MARGIN_MS;
use offboard_domain::{Digest, TenantId, Timestamp};
use offboard_ledger::{GateChange, Gates as Shut};
use offboard_store::StoreError;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The gate that is shut while a tenant's pauses are compared, until a time that is over:
/// it holds nothing up.
const COMPARING: &str = "comparing/pauses";

/// What is shut while a pause is in force and not kept yet is called this, and then its gate.
/// It is shut until when that was ordered, a time that is over: it holds nothing up.
const ORDERING: &str = "ordering/";

/// For how long after that it counts, in milliseconds: whoever has not kept it by then has died.
const ORDERING_MS: i64 = 30_000;

/// How often a tenant's pauses are compared anew when somebody ordered another one
/// meanwhile, before that is left to the next look.
const COMPARED_MOST: usize = 3;

/// A pause, or its end, as the store keeps it.
#[derive(Debug, Serialize, Deserialize)]
struct KeptPause {
    /// The gate's name.
    gate: String,
    /// When it was ordered.
    at: Timestamp,
    /// Shut until then; none: opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    /// Who ordered it; none of an end, and from before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<String>,
}

/// Opens the gate that stands while pauses are compared: what was read before may not
/// hold any more.
pub(crate) fn is_ordered_now() -> GateChange {
    GateChange {
        name: COMPARING.to_owned(),
        until: None,
    }
}

/// Shuts what stands while a pause of this gate is not kept yet, and opens it again.
pub(crate) fn is_not_kept_yet(gate: &str, since: Option<Timestamp>) -> Vec<GateChange> {
    shut_anew(format!("{ORDERING}{gate}"), since)
}

/// Whether somebody has ordered a pause that is not kept yet. One by a clock that was far
/// ahead would count for too long.
fn is_being_ordered(there: &Shut, now: Timestamp) -> bool {
    let counts = |since: &Timestamp| since.plus(ORDERING_MS) > now && *since <= now.plus(CLOCK_MARGIN_MS);
    there
        .iter()
        .any(|(name, since)| name.starts_with(ORDERING) && counts(since))
}

impl Engine {
    /// Keeps a pause, or its end, outside of the ledger.
    pub(crate) async fn keep_pause(
        &self,
        tenant: &TenantId,
        what: &Paused,
        until: Option<Timestamp>,
        by: Option<&str>,
    ) -> Result<(), EngineError> {
        if self.keeping.is_none() {
            return Ok(());
        }
        let there = self.store.list(&format!("{PAUSES}/{tenant}")).await.map_err(store)?;
        // After the one before, whoever's clock that was named by: the last one holds.
        let newest = there.iter().filter_map(|named| paused_at(&named.path)).max();
        let now = self.clock.now();
        let at = newest.map_or(now, |newest| now.max(newest.plus(1)));
        let pause = KeptPause {
            gate: what.gate(),
            at,
            until,
            by: by.map(str::to_owned),
        };
        let bytes = serde_json::to_vec(&pause).expect("a pause is plain data");
        let path = format!("{PAUSES}/{tenant}/{:015}-{}", at.0, short(Digest::of(&bytes)));
        self.store.put_named(&path, bytes).await.map_err(store)
    }

    /// Shuts again what people have paused and the ledger has lost. What was
    /// paused before a mark that is still there is as the ledger has it. Returns whether
    /// all of it is as it was ordered; if not, people were ordering again and again.
    pub(crate) async fn shut_lost_pauses(&self, shard: u16, marked: Option<Timestamp>) -> Result<bool, EngineError> {
        let mut all = true;
        for tenant in self.with_kept_pauses(shard).await? {
            let mut compared = false;
            for _ in 0..COMPARED_MOST {
                compared = self.shut_lost_pauses_of(&tenant, marked).await?;
                if compared {
                    break;
                }
            }
            all &= compared;
        }
        Ok(all)
    }

    /// The tenants of a shard of whom a pause is kept, or its end, also those that are not
    /// configured any more: their cases go on, and the mark vouches for them, too.
    async fn with_kept_pauses(&self, shard: u16) -> Result<BTreeSet<TenantId>, EngineError> {
        let kept = self.store.list(PAUSES).await.map_err(store)?;
        let tenants = kept.iter().filter_map(|named| whose(&named.path));
        Ok(tenants.filter(|t| t.shard(self.shards) == shard).collect())
    }

    /// The same of one tenant; false: somebody has ordered something meanwhile, and nothing
    /// was shut.
    async fn shut_lost_pauses_of(&self, tenant: &TenantId, marked: Option<Timestamp>) -> Result<bool, EngineError> {
        // Before what is kept is listed: an end is kept before its gate opens, so if a
        // gate is gone because of one, that one is in the list.
        let there = self.ledger.gates(tenant, Vec::new()).await?;
        if self.lost_pauses(tenant, &there, marked).await?.is_empty() {
            return Ok(true);
        }
        let begun = self.clock.now();
        let begun = there.get(COMPARING).map_or(begun, |before| begun.max(before.plus(1)));
        let comparing = shut_anew(COMPARING.to_owned(), Some(begun));
        let there = self.ledger.gates(tenant, comparing).await?;
        // Whoever orders one after this opens that gate.
        if is_being_ordered(&there, self.clock.now()) {
            return Ok(false);
        }
        let mut changes = self.lost_pauses(tenant, &there, marked).await?;
        let is_pause = |change: &&GateChange| !change.name.starts_with(PAUSED_BY);
        let pauses = changes.iter().filter(is_pause).count();
        changes.push(is_ordered_now());
        if !self.shut_while(tenant, (COMPARING, begun), changes).await? {
            return Ok(false);
        }
        if pauses > 0 {
            tracing::error!(%tenant, pauses, "the ledger had lost what was paused; it is paused again");
            self.look_at_all_of(tenant);
        }
        Ok(true)
    }

    /// The gates that are to be shut again, by what is kept and is in doubt.
    async fn lost_pauses(
        &self,
        tenant: &TenantId,
        there: &Shut,
        marked: Option<Timestamp>,
    ) -> Result<Vec<GateChange>, EngineError> {
        let mut last: BTreeMap<String, KeptPause> = BTreeMap::new();
        for named in self.store.list(&format!("{PAUSES}/{tenant}")).await.map_err(store)? {
            let in_doubt = marked.is_none_or(|mark| {
                let at = paused_at(&named.path);
                at.is_none_or(|at| at.plus(CLOCK_MARGIN_MS) > mark)
            });
            if !in_doubt {
                continue;
            }
            let bytes = match self.store.get_named(&named.path).await {
                Ok(bytes) => bytes,
                Err(error @ (StoreError::Absent { .. } | StoreError::Damaged { .. })) => {
                    tell_unreadable(tenant, &named.path, &error);
                    continue;
                }
                Err(error) => return Err(store(error)),
            };
            match serde_json::from_slice::<KeptPause>(&bytes) {
                Ok(pause) => {
                    last.insert(pause.gate.clone(), pause);
                }
                Err(error) => tell_unreadable(tenant, &named.path, &error),
            }
        }
        let now = self.clock.now();
        let shut = last
            .into_iter()
            .filter_map(|(gate, kept)| Some((gate, kept.until.filter(|until| *until > now)?, kept.by)));
        Ok(shut
            .filter(|(gate, until, _)| there.get(gate).is_none_or(|known| known < until))
            .flat_map(|(name, until, by)| {
                let mut changes = paused_by(there, &name, Some(until), by.as_deref());
                changes.push(GateChange {
                    name,
                    until: Some(until),
                });
                changes
            })
            .collect())
    }
}

/// Whose pause it is, by its name in the store.
fn whose(path: &str) -> Option<TenantId> {
    let tenant = path.strip_prefix(PAUSES)?.strip_prefix('/')?.split('/').next()?;
    TenantId::new(tenant).ok()
}

/// When a pause was ordered, by its name in the store.
fn paused_at(path: &str) -> Option<Timestamp> {
    let at = path.rsplit('/').next()?.split('-').next()?;
    at.parse().ok().map(Timestamp)
}

/// Says that a pause, or its end, is kept and cannot be read.
fn tell_unreadable(tenant: &TenantId, path: &str, error: &dyn std::fmt::Display) {
    tracing::error!(%tenant, %path, %error, "a kept pause does not read; restore it from a backup, and look whether everything is paused that should be");
}
