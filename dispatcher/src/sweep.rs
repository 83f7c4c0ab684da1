//! The sweep wakes what is due; the pump admits who waits for credit. Retries,
//! schedules, polls, lost messages and dead workers are all this one mechanism.

use crate::admission::Admitted;
use crate::engine::{Engine, EngineError};
use crate::transact::CreditFrom;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use offboard_domain::{CaseId, Command, Refusal, TenantId, Timestamp};
use offboard_ledger::Shard;
use std::sync::Arc;
use tokio::sync::watch;

/// How many cases are ticked at the same time.
const CONCURRENT_TICKS: usize = 256;

/// How often the ledger is asked for what memory does not know: cases that
/// somebody else appended to, and closed cases whose waivers run out.
const LOOK_AROUND_MS: i64 = 30_000;

/// Rest after a failure, before the case is tried again.
const AFTER_FAILURE_MS: i64 = 5_000;

impl Engine {
    /// Wakes what is due until told to stop.
    pub async fn sweep(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut look_around = self.clock.now();
        while !*stop.borrow() {
            let now = self.clock.now();
            if now >= look_around {
                self.look_around(now).await;
                look_around = now.plus(LOOK_AROUND_MS);
            }
            let due = self.timers.take_due(now, CONCURRENT_TICKS);
            if due.is_empty() {
                let until = self.timers.next_at().map_or(look_around, |at| at.min(look_around));
                tokio::select! {
                    biased;
                    _ = stop.changed() => {}
                    () = self.timers.sooner.notified() => {}
                    () = self.clock.sleep_until(until) => {}
                }
                continue;
            }
            let mut ticks: FuturesUnordered<_> = due
                .into_iter()
                .map(|(tenant, case)| self.clone().tick(tenant, case, CreditFrom::Reserve))
                .collect();
            while ticks.next().await.is_some() {}
        }
    }

    /// Admits who waits for credit until told to stop.
    pub async fn pump(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut ticks = FuturesUnordered::new();
        loop {
            while ticks.len() < CONCURRENT_TICKS {
                let Some(Admitted { tenant, case, credit }) = self.admission.admit() else {
                    break;
                };
                ticks.push(self.clone().tick(tenant, case, CreditFrom::Admitted(credit)));
            }
            tokio::select! {
                biased;
                _ = stop.changed() => break,
                Some(()) = ticks.next(), if !ticks.is_empty() => {}
                () = self.admission.changed.notified() => {}
            }
        }
        while ticks.next().await.is_some() {}
    }

    async fn tick(self: Arc<Self>, tenant: TenantId, case: CaseId, from: CreditFrom) {
        match self.transact(&tenant, case, Command::Tick, from).await {
            Ok(_) | Err(EngineError::Refused(Refusal::UnknownCase)) => {}
            Err(error) => {
                tracing::warn!(%case, %error, "failed to wake a case; trying again");
                self.timers
                    .set(&tenant, case, Some(self.clock.now().plus(AFTER_FAILURE_MS)));
            }
        }
    }

    /// Takes up what the ledger says is due and memory does not hold.
    async fn look_around(self: &Arc<Self>, now: Timestamp) {
        const MOST: usize = 1_000;
        let due = match self.ledger.due(Shard::ALL, now, MOST).await {
            Ok((due, _)) => due,
            Err(error) => {
                tracing::warn!(%error, "failed to ask the ledger what is due; asking again");
                return;
            }
        };
        for d in due {
            if self.holds(d.case) {
                continue;
            }
            if let Err(error) = self.take_up_due(&d.tenant, d.case, now).await {
                tracing::warn!(case = %d.case, %error, "failed to take up a case that is due");
            }
        }
    }

    async fn take_up_due(self: &Arc<Self>, tenant: &TenantId, id: CaseId, now: Timestamp) -> Result<(), EngineError> {
        let Some(held) = self.load(tenant, id).await? else {
            return Ok(());
        };
        if held.case.is_over() {
            return self.follow_up(tenant, &held.case, now).await;
        }
        self.take_up(tenant, id).await
    }
}
