//! The sweep wakes what is due; the pump admits who waits for credit. Retries,
//! schedules, polls, lost messages and dead workers are all this one mechanism.

use crate::admission::Admitted;
use crate::engine::{Engine, EngineError, lock, told};
use crate::kept::{STORE_WITHIN, in_time};
use crate::transact::CreditFrom;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use offboard_domain::{Case, CaseId, Command, Refusal, TenantId, Timestamp, Wake};
use offboard_ledger::Shard;
use offboard_runtime::{AtHand, health};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// How many cases are ticked at the same time.
const CONCURRENT_TICKS: usize = 256;

/// How often the ledger is asked for what memory does not know: cases that
/// somebody else appended to, and closed cases whose waivers run out.
const LOOK_AROUND_MS: i64 = 30_000;

/// How often it is looked for what others appended, in real time: a person who
/// approves sees the work go on at once.
const NOTICE_EVERY: std::time::Duration = std::time::Duration::from_millis(250);

/// Gates are read anew each so many rounds: every two seconds.
const GATES_EVERY: u32 = 8;

/// How many such cases are taken up at the same time.
const NOTICE_MOST: usize = 64;

/// Rest after a failure, before the case is tried again.
pub(crate) const AFTER_FAILURE_MS: i64 = 5_000;

impl Engine {
    /// Wakes what is due until told to stop.
    pub async fn sweep(self: Arc<Self>, stop: watch::Receiver<bool>) {
        futures::join!(self.wake_due(stop.clone()), self.keep_looking_around(stop));
    }

    /// Wakes what memory knows to be due. None that takes long, as one that waits for
    /// the store does, holds another back.
    async fn wake_due(self: &Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut ticks = AtHand::new();
        // The cases at hand, and whether they are due again meanwhile: a case that is due
        // until somebody has answered it takes one place, not all.
        let at_hand: Arc<Mutex<BTreeMap<CaseId, bool>>> = Arc::default();
        let pulse = health::pulse("sweep");
        while !told(&stop) {
            pulse.beat();
            let now = self.clock.now();
            for (tenant, case) in self.timers.take_due(now, CONCURRENT_TICKS - ticks.len()) {
                if let Some(again) = lock(&at_hand).get_mut(&case) {
                    *again = true;
                    continue;
                }
                lock(&at_hand).insert(case, false);
                let (engine, at_hand) = (self.clone(), at_hand.clone());
                ticks.push(async move {
                    engine.clone().tick(tenant.clone(), case, CreditFrom::Reserve).await;
                    if lock(&at_hand).remove(&case) == Some(true) {
                        engine.timers.set_by(&tenant, case, engine.clock.now());
                    }
                });
            }
            let until = self.timers.next_at().unwrap_or(now.plus(LOOK_AROUND_MS));
            tokio::select! {
                biased;
                _ = stop.changed() => {}
                Some(()) = ticks.next(), if !ticks.is_empty() => {}
                () = self.timers.sooner.notified() => {}
                () = self.clock.sleep_until(until), if ticks.len() < CONCURRENT_TICKS => {}
                () = pulse.next() => {}
            }
        }
        ticks.finish().await;
        pulse.end();
    }

    /// Looks for what memory does not know, beside the timers: it may wait for the store.
    async fn keep_looking_around(self: &Arc<Self>, mut stop: watch::Receiver<bool>) {
        while !told(&stop) {
            let now = self.clock.now();
            self.look_around(now, &stop).await;
            tokio::select! {
                biased;
                _ = stop.changed() => {}
                () = self.clock.sleep_until(now.plus(LOOK_AROUND_MS)) => {}
            }
        }
    }

    /// Admits who waits for credit until told to stop.
    pub async fn pump(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut ticks = AtHand::new();
        let pulse = health::pulse("pump");
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
                () = pulse.next() => {}
            }
        }
        ticks.finish().await;
        pulse.end();
    }

    async fn tick(self: Arc<Self>, tenant: TenantId, case: CaseId, from: CreditFrom) {
        if !self.owns(&tenant) {
            // Its shard went to somebody else, who wakes it.
            if let CreditFrom::Admitted(credit) = from {
                self.admission.settle(&tenant, credit, None, None);
            }
            return;
        }
        let ticked = match self.transact(&tenant, case, Command::Tick, from).await {
            Ok(done) => self.look_beyond(&tenant, &done.case).await,
            Err(error) => Err(error),
        };
        match ticked {
            Ok(()) | Err(EngineError::Refused(Refusal::UnknownCase)) => {}
            Err(error) => {
                tracing::warn!(%case, %error, "failed to wake a case; trying again");
                self.timers
                    .set(&tenant, case, Some(self.clock.now().plus(AFTER_FAILURE_MS)));
            }
        }
    }

    /// What follows for other cases.
    async fn look_beyond(self: &Arc<Self>, tenant: &TenantId, case: &Case) -> Result<(), EngineError> {
        // What goes on beside a closed case keeps that in memory, and its waivers run out there.
        if case.goes_on() {
            Box::pin(self.follow_up(tenant, case, self.clock.now())).await?;
        }
        self.tell(tenant, case).await
    }

    /// Takes up what the ledger says is due and memory does not hold, until told to stop
    /// or one of them has waited for the store in vain.
    async fn look_around(self: &Arc<Self>, now: Timestamp, stop: &watch::Receiver<bool>) {
        const MOST: usize = 1_000;
        // What waits for credit is due all the time and is held: it must not
        // hide what is not.
        let limit = MOST + self.held();
        for index in (0..self.shards).filter(|s| self.owns_shard(*s)) {
            let shard = Shard { index, of: self.shards };
            let due = match self.ledger.due(shard, now, limit).await {
                Ok((due, _)) => due,
                Err(error) => {
                    tracing::warn!(%error, "failed to ask the ledger what is due");
                    continue;
                }
            };
            for d in due.iter().filter(|d| !self.holds(d.case)) {
                if told(stop) {
                    return;
                }
                let began = tokio::time::Instant::now();
                if let Err(error) = self.take_up_due(&d.tenant, d.case, now).await {
                    tracing::warn!(case = %d.case, %error, "failed to take up a case that is due");
                    if matches!(error, EngineError::Store(_)) && began.elapsed() >= STORE_WITHIN {
                        return;
                    }
                }
            }
        }
    }

    /// Finds what others appended to the cases of this engine's shards, until
    /// told to stop. Only where others can: an embedded engine is alone with
    /// its ledger.
    pub async fn notice(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut rounds = 0_u32;
        while !told(&stop) {
            rounds = rounds.wrapping_add(1);
            if rounds.is_multiple_of(GATES_EVERY)
                && let Err(error) = self.notice_gates().await
            {
                tracing::warn!(%error, "failed to read gates anew; reading them again");
            }
            for index in (0..self.shards).filter(|s| self.owns_shard(*s)) {
                if let Err(error) = self.notice_in(Shard { index, of: self.shards }).await {
                    tracing::warn!(shard = index, %error, "failed to look for what others appended; looking again");
                }
            }
            tokio::select! {
                biased;
                _ = stop.changed() => {}
                () = tokio::time::sleep(NOTICE_EVERY) => {}
            }
        }
    }

    async fn notice_in(self: &Arc<Self>, shard: Shard) -> Result<(), EngineError> {
        loop {
            // Before every other one: see `Wake::APPENDED`.
            let (due, _) = self.ledger.due(shard, Wake::APPENDED.at, NOTICE_MOST).await?;
            let full = due.len() == NOTICE_MOST;
            let mut refreshing: FuturesUnordered<_> = due
                .iter()
                .map(|d| async move { (d.case, self.refresh(&d.tenant, d.case).await) })
                .collect();
            let mut stuck = 0;
            let mut failed = None;
            // All of them: one that is dropped half done has published nothing.
            while let Some((case, refreshed)) = refreshing.next().await {
                if let Err(error) = refreshed {
                    tracing::warn!(%case, %error, "failed to take up what somebody else appended");
                    // What cannot be read stays as it is, and nothing else waits for it.
                    if matches!(error, EngineError::History { .. }) {
                        stuck += 1;
                    } else {
                        failed.get_or_insert(error);
                    }
                }
            }
            if let Some(error) = failed {
                return Err(error);
            }
            if !full || stuck > 0 {
                return Ok(());
            }
        }
    }

    async fn take_up_due(self: &Arc<Self>, tenant: &TenantId, id: CaseId, now: Timestamp) -> Result<(), EngineError> {
        let Some(held) = in_time(self.load(tenant, id)).await? else {
            return Ok(());
        };
        if held.case.is_over() {
            self.follow_up(tenant, &held.case, now).await?;
            return in_time(self.archive(tenant, &held.case, now)).await;
        }
        // Nobody has held it here: perhaps it was over, and the ledger went back.
        let kept = match in_time(self.kept_of(tenant, id)).await {
            Ok(kept) => Some(kept),
            Err(error) => {
                tracing::warn!(case = %id, %error, "failed to list what is kept of a case; taking it up as the ledger has it");
                None
            }
        };
        self.take_up(tenant, id, kept.as_ref()).await
    }
}
