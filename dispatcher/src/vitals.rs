//! Looks every few seconds whether what the dispatcher depends on answers, and
//! where things stand; for `/readyz` and the gauges. It changes nothing, and
//! nobody waits for it.

use crate::admission::Load;
use crate::engine::{Engine, told};
use offboard_domain::Timestamp;
use offboard_ledger::Filter;
use offboard_queue::{Depth, QueueName};
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

/// Most queues that are named one by one where they are missing.
const NAMED_MAX: usize = 8;

const LEDGER: &str = "ledger";
const QUEUE: &str = "queue";
/// Whether what was last tried to be written was.
const WRITES: &str = "writes";

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
        let state = depths.as_ref().map_err(Clone::clone);
        health::set(QUEUE, state.and_then(|_| all_there(&self.queue.absent())));
        let now = self.clock.now();
        let since_s = |at: Timestamp| now.since(at).max(0) as f64 / 1_000.0;
        let (timers_overdue, first) = self.timers.overdue(now);
        let away = self.sites_away();
        let Counted {
            cases,
            need_person,
            oldest_waiting_s,
            access_open_s,
        } = self.timers.census.count(now);
        let (of_sites, own): (Vec<Depth>, Vec<Depth>) = depths.unwrap_or_default().into_iter().partition(of_site);
        metrics::keep(metrics::State {
            lanes: self.admission.load().into_iter().map(lane).collect(),
            depths: own.into_iter().map(depth).collect(),
            site_depths: of_sites.into_iter().map(depth).collect(),
            cases,
            need_person,
            oldest_waiting_s,
            access_open_s,
            sites_away_s: away.into_iter().map(|(post, at)| (post, since_s(at))).collect(),
            timers_overdue,
            timers_late_s: first.map_or(0.0, since_s),
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
        let unwritten = self.failures.still_tried(self.clock.now());
        let why = unwritten.first().map(ToString::to_string);
        health::set(WRITES, why.map_or(Ok(()), Err));
    }
}

fn lane(load: Load) -> (offboard_domain::Area, offboard_domain::Lane, u64, u64, u64) {
    let (area, lane) = load.place;
    let waiting = u64::try_from(load.waiting).unwrap_or(u64::MAX);
    (area, lane, load.in_flight.into(), waiting, load.credit.into())
}

fn depth(depth: Depth) -> (String, u64, Option<u64>) {
    (depth.queue.to_string(), depth.ready, depth.unacknowledged)
}

fn of_site(depth: &Depth) -> bool {
    matches!(depth.queue, QueueName::Assignments { site: Some(_), .. })
}

/// Whether none of the installation's own queues is missing, or which. One of a site holds up
/// that site alone, which shows as away: every dispatcher would be unready together for one
/// client's file that was loaded before its definitions.
fn all_there(absent: &[QueueName]) -> Result<(), String> {
    let own = |queue: &&QueueName| !matches!(queue, QueueName::Assignments { site: Some(_), .. });
    let absent: Vec<&QueueName> = absent.iter().filter(own).collect();
    if absent.is_empty() {
        return Ok(());
    }
    let named = absent.iter().take(NAMED_MAX).map(ToString::to_string);
    let named = named.collect::<Vec<_>>().join(", ");
    let more = match absent.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Err(format!(
        "the broker lacks {named}{more}: import the definitions (deploy/rabbitmq)"
    ))
}

/// What was answered in time, or why not.
async fn answered<T, E: std::error::Error>(asking: impl Future<Output = Result<T, E>>) -> Result<T, String> {
    match tokio::time::timeout(ANSWER_MAX, asking).await {
        Ok(answer) => answer.map_err(|e| e.to_string()),
        Err(_) => Err(format!("no answer within {} s", ANSWER_MAX.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use offboard_domain::{Area, Lane};

    #[test]
    fn a_queue_that_is_missing_fails_the_check_by_name() {
        assert_eq!(all_there(&[]), Ok(()));
        let why = all_there(&[QueueName::Sealing, QueueName::Dead]).unwrap_err();
        assert!(why.contains("lacks ob.v1.sealing, ob.v1.dead: "), "{why}");
        // One client's site holds up nobody else.
        let of_site = QueueName::Assignments {
            area: Area::Identity,
            lane: Lane::Urgent,
            site: Some("berlin".to_owned()),
        };
        assert_eq!(all_there(&[of_site]), Ok(()));
        let many: Vec<QueueName> = (0..10).map(|shard| QueueName::Reports { shard }).collect();
        let why = all_there(&many).unwrap_err();
        assert!(why.contains("ob.v1.reports.7 and 2 more: "), "{why}");
    }
}
