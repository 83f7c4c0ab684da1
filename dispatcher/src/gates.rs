//! Pauses and resumptions by a person, and the finding of gates that others
//! shut or opened: what a gate says is in force for every decision after it is
//! seen, and a gate that opens lets what waited for it go at once.

use crate::engine::{Engine, EngineError};
use crate::kept::{in_time, is_not_kept_yet, is_ordered_now};
use futures::future::try_join_all;
use offboard_domain::{CaseId, Kind, System, TenantId, Timestamp};
use offboard_ledger::{Filter, GateChange, Gates as Shut, LedgerError, Shard};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The latest time that a gate can hold: a pause without an end.
pub const WITHOUT_END: Timestamp = Timestamp(253_402_300_799_000);

/// After every case of its tenant.
const LAST_CASE: CaseId = CaseId([u8::MAX; 10]);

/// What is paused: all of a tenant, one of its systems, one kind of task, or
/// one kind in one system.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Paused {
    /// Which system; none: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<System>,
    /// Which kind of task; none: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
}

impl Paused {
    /// The gate's name.
    #[must_use]
    pub fn gate(&self) -> String {
        match (&self.system, self.kind) {
            (None, None) => "pause".to_owned(),
            (Some(system), None) => format!("pause/{system}"),
            (Some(system), Some(kind)) => format!("pause/{system}/{kind}"),
            (None, Some(kind)) => format!("pause/*/{kind}"),
        }
    }
}

/// What keeps who paused something is called as its gate, after this, and then who. It
/// shuts nothing.
pub(crate) const PAUSED_BY: &str = "by/";

/// Before who paused it. No system's and no kind's name has it.
const WHO: char = '=';

fn by_gate(gate: &str) -> String {
    format!("{PAUSED_BY}{gate}{WHO}")
}

/// Who shut a gate, where that is kept.
pub(crate) fn who_paused<'a>(shut: &'a Shut, gate: &str) -> Option<&'a str> {
    let begins = by_gate(gate);
    shut.keys().find_map(|name| name.strip_prefix(begins.as_str()))
}

/// Keeps who shut a gate, in place of who did before; none: nobody is known, or it opens.
pub(crate) fn paused_by(there: &Shut, gate: &str, until: Option<Timestamp>, by: Option<&str>) -> Vec<GateChange> {
    let begins = by_gate(gate);
    let before = there.keys().filter(|name| name.starts_with(&begins));
    let gone = before.map(|name| GateChange {
        name: name.clone(),
        until: None,
    });
    let now = by.zip(until).map(|(by, until)| GateChange {
        name: format!("{begins}{by}"),
        until: Some(until),
    });
    gone.chain(now).collect()
}

/// Shuts a gate until exactly then, however long it was shut before; none opens
/// it.
pub(crate) fn shut_anew(name: String, until: Option<Timestamp>) -> Vec<GateChange> {
    let opened = GateChange {
        name: name.clone(),
        until: None,
    };
    let shut = until.map(|until| GateChange {
        name,
        until: Some(until),
    });
    std::iter::once(opened).chain(shut).collect()
}

impl Engine {
    /// Pauses something of a tenant until then, and keeps who did, where that is said.
    /// What is with a worker already is finished; nothing new is assigned.
    ///
    /// # Errors
    /// [`EngineError`] if the tenant is unknown or the ledger does not answer;
    /// [`EngineError::Unkept`] if it is in force, and the store does not answer.
    pub async fn pause(
        self: &Arc<Self>,
        tenant: &TenantId,
        what: &Paused,
        until: Timestamp,
        by: Option<&str>,
    ) -> Result<(), EngineError> {
        self.set_pause(tenant, what, Some(until), by).await
    }

    /// Ends a pause, also one of a tenant that is not configured any more.
    ///
    /// # Errors
    /// As [`Engine::pause`].
    pub async fn resume(self: &Arc<Self>, tenant: &TenantId, what: &Paused) -> Result<(), EngineError> {
        self.set_pause(tenant, what, None, None).await
    }

    async fn set_pause(
        self: &Arc<Self>,
        tenant: &TenantId,
        what: &Paused,
        until: Option<Timestamp>,
        by: Option<&str>,
    ) -> Result<(), EngineError> {
        if self.tenants.get(tenant).is_none() && (until.is_some() || !self.has_cases(tenant).await?) {
            return Err(EngineError::UnknownTenant(tenant.clone()));
        }
        let name = what.gate();
        let there = self.read_shut(tenant).await?.0;
        let is_shorter = |until: Timestamp| there.get(&name).is_some_and(|known| until < *known);
        let keep = in_time(self.keep_pause(tenant, what, until, by));
        // Who puts back at this moment what was lost has not heard of this one.
        let mut changes = shut_anew(name.clone(), until);
        changes.extend(paused_by(&there, &name, until, by));
        changes.push(is_ordered_now());
        // Of an end, or an earlier one, the record comes first: who dies in between
        // leaves a pause that somebody ends again, and not one that comes back. Whether
        // it can be kept or not, what was ordered comes into force.
        let kept = if until.is_none_or(is_shorter) {
            let kept = keep.await;
            self.shut_more(tenant, changes).await?;
            kept
        } else if self.keeping.is_some() {
            // A longer one that was lost is not to be put in its place before it is kept.
            changes.extend(is_not_kept_yet(&name, Some(self.clock.now())));
            self.shut_more(tenant, changes).await?;
            let kept = keep.await;
            if let Err(error) = self.shut_more(tenant, is_not_kept_yet(&name, None)).await {
                tracing::warn!(%tenant, %error, "a pause is in force, and it could not be noted that it was kept; nothing that was lost is put back for half a minute");
            }
            kept
        } else {
            self.shut_more(tenant, changes).await?;
            Ok(())
        };
        self.look_at_all_of(tenant);
        kept.map_err(|error| EngineError::Unkept {
            tenant: tenant.clone(),
            detail: error.to_string(),
        })
    }

    async fn has_cases(&self, tenant: &TenantId) -> Result<bool, LedgerError> {
        let filter = Filter {
            tenant: Some(tenant.clone()),
            limit: 1,
            ..Filter::default()
        };
        Ok(!self.ledger.list(filter).await?.is_empty())
    }

    /// The tenants that may have gates: those that are configured, and those that have
    /// cases and are not configured any more.
    pub(crate) async fn tenants_there(&self) -> Result<BTreeSet<TenantId>, EngineError> {
        let of = self.shards;
        let asking: Vec<_> = (0..of).map(|index| self.tenants_of(Shard { index, of })).collect();
        let with_cases = try_join_all(asking).await?;
        let configured = self.tenants.all();
        Ok(configured
            .keys()
            .cloned()
            .chain(with_cases.into_iter().flatten())
            .collect())
    }

    /// The tenants with cases in a shard: of each, one case is asked for.
    async fn tenants_of(&self, shard: Shard) -> Result<Vec<TenantId>, LedgerError> {
        let mut tenants: Vec<TenantId> = Vec::new();
        loop {
            let filter = Filter {
                shard: Some(shard),
                after: tenants.last().map(|last| (last.clone(), LAST_CASE)),
                limit: 1,
                ..Filter::default()
            };
            match self.ledger.list(filter).await?.pop() {
                Some(next) => tenants.push(next.tenant),
                None => return Ok(tenants),
            }
        }
    }

    /// A tenant's gates that are shut now.
    ///
    /// # Errors
    /// [`EngineError`] if the ledger does not answer.
    pub async fn gates_of(&self, tenant: &TenantId) -> Result<Arc<Shut>, EngineError> {
        Ok(self.read_shut(tenant).await?.0)
    }

    /// Reads the gates of the tenants with cases here anew.
    pub(crate) async fn notice_gates(self: &Arc<Self>) -> Result<(), EngineError> {
        for tenant in self.tenants_with_gates() {
            if !self.owns(&tenant) {
                continue;
            }
            let (_, changed) = self.read_shut(&tenant).await?;
            if changed {
                self.look_at_all_of(&tenant);
            }
        }
        Ok(())
    }
}
