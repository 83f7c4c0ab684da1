//! Looks every few seconds whether what the dispatcher depends on answers, and
//! where things stand; for `/readyz` and the gauges. It changes nothing, and
//! nobody waits for it.

use crate::admission::Load;
use crate::engine::{Engine, told};
use offboard_ledger::Filter;
use offboard_runtime::health;
use offboard_runtime::telemetry::{Counted, metrics};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often it is looked, in real time.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long an answer is waited for: what takes longer is no use to a departure.
const ANSWER_MAX: Duration = Duration::from_secs(3);
/// Whoever looks has looked within this time, or hangs.
const LOOKED_WITHIN: Duration = Duration::from_secs(60);

const LEDGER: &str = "ledger";
const QUEUE: &str = "queue";

impl Engine {
    /// Looks until told to stop; at once over where nobody wants to know. From
    /// this call on, what was not looked at is not ready.
    pub fn watch(self: Arc<Self>, stop: watch::Receiver<bool>) -> impl Future<Output = ()> {
        for check in [LEDGER, QUEUE] {
            health::set(check, Err("it was not asked yet".to_owned()));
        }
        self.look_on(stop)
    }

    async fn look_on(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        if !health::watched() && !metrics::wanted() {
            return;
        }
        while !told(&stop) {
            self.look().await;
            health::fresh("looked", LOOKED_WITHIN);
            tokio::select! {
                biased;
                _ = stop.changed() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    async fn look(&self) {
        self.look_at_ledger().await;
        let depths = answered(self.queue.depths()).await;
        health::set(QUEUE, depths.as_ref().map(|_| ()).map_err(Clone::clone));
        let now = self.clock.now();
        let (timers_overdue, first) = self.timers.overdue(now);
        let Counted {
            cases,
            need_person,
            oldest_waiting_s,
        } = self.timers.census.count(now);
        metrics::keep(metrics::State {
            lanes: self.admission.load().into_iter().map(lane).collect(),
            depths: depths
                .unwrap_or_default()
                .into_iter()
                .map(|d| (d.queue.to_string(), d.ready, d.unacknowledged))
                .collect(),
            cases,
            need_person,
            oldest_waiting_s,
            timers_overdue,
            timers_late_s: first.map_or(0.0, |at| now.since(at).max(0) as f64 / 1_000.0),
        });
    }

    /// Looks whether the ledger answers and can be written, until told to stop: for who
    /// depends on nothing else that would not tell by itself.
    pub fn watch_ledger(self: Arc<Self>, mut stop: watch::Receiver<bool>) -> impl Future<Output = ()> {
        health::set(LEDGER, Err("it was not asked yet".to_owned()));
        async move {
            while health::watched() && !told(&stop) {
                self.look_at_ledger().await;
                tokio::select! {
                    biased;
                    _ = stop.changed() => {}
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                }
            }
        }
    }

    async fn look_at_ledger(&self) {
        let one = Filter {
            limit: 1,
            ..Filter::default()
        };
        let asking = async {
            self.ledger.ready().await?;
            self.ledger.list(one).await
        };
        health::set(LEDGER, answered(asking).await.map(drop));
    }
}

fn lane(load: Load) -> (offboard_domain::Area, offboard_domain::Lane, u64, u64, u64) {
    let (area, lane) = load.place;
    let waiting = u64::try_from(load.waiting).unwrap_or(u64::MAX);
    (area, lane, load.in_flight.into(), waiting, load.credit.into())
}

/// What was answered in time, or why not.
async fn answered<T, E: std::error::Error>(asking: impl Future<Output = Result<T, E>>) -> Result<T, String> {
    match tokio::time::timeout(ANSWER_MAX, asking).await {
        Ok(answer) => answer.map_err(|e| e.to_string()),
        Err(_) => Err(format!("no answer within {} s", ANSWER_MAX.as_secs())),
    }
}
