//! The roles of an installation that processes share: any number of each, on
//! any machine that reaches the broker (and, but for workers, the ledger).
//!
//! - **dispatcher**: owns shards, decides, assigns, takes reports, keeps time;
//! - **worker**: takes assignments of its areas, in no site or in one; it never
//!   sees the ledger;
//! - **closer**: seals, alone with the signing key.
//!
//! Each ends in the same way: nothing new is taken, what is at hand is
//! finished, what is held is given back.

use crate::backends::{self, OpenLedger, all_queues, assignments, broker, own_queues};
use crate::compose::{Settings, engine, limits, store, tenants};
use crate::error::CliError;
use crate::reload::Reloaded;
use crate::systems::Systems;
use offboard_dispatcher::admission::Limits;
use offboard_dispatcher::{Closer, Engine, Membership};
use offboard_domain::Area;
use offboard_queue::{Queue, QueueName, RabbitQueue};
use offboard_runtime::config::Configuration;
use offboard_runtime::keys::{DispatchKey, ESCROW_KEY, EscrowMaster, KeyError, QueueKeys, SigningKey};
use offboard_runtime::{Clock, SystemClock, health};
use offboard_store::Store;
use offboard_workers::{Context, Worker, WorkerConfig};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long a shutdown lets attempts finish, in real time: most requests are
/// answered within seconds, and what is cut off is begun again. What must not be begun again is
/// not cut off, and ends with its own time: supervisors allow for that.
const GRACE: Duration = Duration::from_secs(30);

/// How often it is looked whether the broker is there, in real time.
const WATCH_EVERY: Duration = Duration::from_secs(5);

/// What a worker serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serves {
    /// Its areas.
    pub areas: Vec<Area>,
    /// Its site; none: what is reached from anywhere.
    pub site: Option<String>,
}

/// Which roles this process has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Roles {
    /// Whether it dispatches.
    pub dispatcher: bool,
    /// What it works on.
    pub worker: Option<Serves>,
    /// Whether it closes.
    pub closer: bool,
}

impl Roles {
    /// All that an installation needs, without sites.
    #[must_use]
    pub fn all() -> Self {
        Self {
            dispatcher: true,
            worker: Some(Serves {
                areas: Area::MACHINES.to_vec(),
                site: None,
            }),
            closer: true,
        }
    }
}

/// Roles that run until they are stopped.
pub struct Running {
    dispatching: Vec<watch::Sender<bool>>,
    others: watch::Sender<bool>,
    tasks: JoinSet<()>,
    ledger: Option<OpenLedger>,
    /// Where the dispatcher publishes.
    dispatchers: Option<RabbitQueue>,
    reload: Reloaded,
}

impl Running {
    /// Starts the roles over the servers that the configuration names.
    ///
    /// # Errors
    /// [`CliError`] if a server cannot be reached or promises too little, or a
    /// key or file cannot be used.
    pub async fn start(config: &Configuration, clock: Arc<dyn Clock>, roles: &Roles) -> Result<Self, CliError> {
        if !backends::is_shared(config) {
            return Err(
                CliError::usage("this folder's queue is in memory, so its roles are one process").next(
                    "run `offboard serve`; or set queue and ledger in offboard.toml to servers that processes share",
                ),
            );
        }
        let systems = Arc::new(Systems::open(config)?);
        let kept = store(&config.engine.store).await?;
        let mut reload = Reloaded::new(systems.clone());
        let (others, stop) = watch::channel(false);
        let mut running = Self {
            dispatching: Vec::new(),
            others,
            tasks: JoinSet::new(),
            ledger: None,
            dispatchers: None,
            reload: reload.clone(),
        };
        let mut brokers = Vec::new();
        if roles.dispatcher || roles.closer {
            let ledger = OpenLedger::open(config).await?;
            if roles.dispatcher {
                let queue = broker(config, &clock, "dispatcher", own_queues(config)).await?;
                // Of a site whose queues are not there yet nobody else waits: it is away, and
                // whoever looks at its queues says what is missing, as after a reload.
                queue.look_at(all_queues(config));
                brokers.push(queue.clone());
                running.dispatchers = Some(queue.clone());
                let dispatch = DispatchKey::load(&config.engine.keys)?;
                let settings = Settings::of(config, clock.clone(), dispatch, kept.clone());
                let engine = engine(config, &systems, &ledger, Arc::new(queue), settings)?;
                reload.tell_who_orders(&engine);
                running.dispatching = dispatch_with(&mut running.tasks, &engine, crate::compose::instance(config));
            }
            if roles.closer {
                let queue = broker(config, &clock, "closer", vec![QueueName::Sealing]).await?;
                brokers.push(queue.clone());
                let queue: Arc<dyn Queue> = Arc::new(queue);
                let settings = Settings {
                    limits: Limits::none(),
                    // It neither orders nor believes reports.
                    dispatch: DispatchKey::ephemeral()?,
                    ..Settings::of(config, clock.clone(), DispatchKey::ephemeral()?, kept.clone())
                };
                let engine = engine(config, &systems, &ledger, queue, settings)?;
                reload.tell(&engine);
                let signing = SigningKey::load(&config.engine.keys)?;
                let evidence = store(&config.engine.evidence).await?;
                let closer = Closer::new(engine.clone(), signing.expose().clone(), evidence);
                running.tasks.spawn(closer.run(stop.clone()));
                if !roles.dispatcher {
                    running.tasks.spawn(engine.watch_ledger(stop.clone()));
                }
            }
            running.ledger = Some(ledger);
        }
        if let Some(serves) = &roles.worker {
            let queues = assignments(&serves.areas, serves.site.as_deref());
            let queue = broker(config, &clock, "worker", queues).await?;
            brokers.push(queue.clone());
            let worker = worker(config, &clock, serves, &reload, (queue, kept))?;
            let stop = stop.clone();
            running.tasks.spawn(async move { worker.run(stop).await });
        }
        running.tasks.spawn(watch_broker(brokers, roles.dispatcher, stop));
        running.reload = reload;
        Ok(running)
    }

    /// Takes the tenants' configuration and the limits as they are now. Open cases keep the
    /// policy that they were accepted under; nothing that runs is disturbed.
    ///
    /// # Errors
    /// [`CliError`] if it cannot be used; then the old one stays in force.
    pub fn reload(&self, config: &Configuration) -> Result<(), CliError> {
        let systems = Arc::new(Systems::open(config)?);
        if let Some(queue) = &self.dispatchers {
            // First: of a new site that is not looked at, nobody would be seen.
            queue.look_at(all_queues(config));
        }
        self.reload.replace(
            systems.clone(),
            &tenants(config, &systems),
            &limits(&config.engine.admission),
        );
        Ok(())
    }

    /// Returns when a role has broken; never otherwise.
    pub async fn broken(&mut self) -> CliError {
        loop {
            match self.tasks.join_next().await {
                Some(Err(error)) => {
                    return CliError::failed("a part of this process broke; what was accepted is kept")
                        .caused_by(Some(&error));
                }
                // A role ends only when it was told to.
                Some(Ok(())) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// Ends gracefully: nothing new is ordered or taken, what is at hand is
    /// finished or given back.
    ///
    /// # Errors
    /// [`CliError`] if a role broke.
    pub async fn shutdown(mut self) -> Result<(), CliError> {
        // Ordering first, so that nothing is assigned while shards are left.
        for stop in &self.dispatching {
            stop.send_replace(true);
        }
        self.others.send_replace(true);
        let mut broken = None;
        while let Some(ended) = self.tasks.join_next().await {
            broken = ended.err().or(broken);
        }
        if let Some(ledger) = &self.ledger {
            ledger.close().await?;
        }
        match broken {
            Some(error) => {
                Err(CliError::failed("a part of this process broke; what was accepted is kept").caused_by(Some(&error)))
            }
            None => Ok(()),
        }
    }
}

/// Sets going, under this name among others, all that a dispatcher does. What is given
/// ends it: the first its ordering, the second its owning of shards.
#[must_use = "it ends when these are dropped"]
pub fn dispatch_with(tasks: &mut JoinSet<()>, engine: &Arc<Engine>, me: String) -> Vec<watch::Sender<bool>> {
    let (ordering, stop_ordering) = watch::channel(false);
    let (owning, stop_owning) = watch::channel(false);
    let membership = Membership::new(engine.clone(), Arc::new(SystemClock), me);
    tasks.spawn(engine.clone().sweep(stop_ordering.clone()));
    tasks.spawn(engine.clone().pump(stop_ordering.clone()));
    tasks.spawn(engine.clone().notice(stop_ordering.clone()));
    tasks.spawn(engine.clone().watch(stop_ordering.clone()));
    tasks.spawn(engine.clone().heed_dead_letters(stop_ordering.clone()));
    // Sites may come with another configuration.
    tasks.spawn(engine.clone().watch_sites(stop_ordering));
    tasks.spawn(membership.run(stop_owning));
    vec![ordering, owning]
}

/// What a check of readiness is called that says whether the broker is there with
/// the queues that the process consumes. A dispatcher sets it itself: it asks the
/// broker.
const QUEUE: &str = "queue";
/// What the one is called that says whether the broker takes what is published.
const PUBLISHING: &str = "publishing";
/// What the one is called that says, beside a dispatcher's, whether the process can
/// consume its queues.
const CONSUMING: &str = "consuming";
/// What the one is called that says whether the broker lets the process do its work.
const RIGHTS: &str = "rights";

/// Says whether the broker is there, takes what is published, gives what is consumed
/// and lets the process do its work, until told to stop.
async fn watch_broker(queues: Vec<RabbitQueue>, dispatches: bool, mut stop: watch::Receiver<bool>) {
    let passes = |why: Option<String>| why.map_or(Ok(()), Err);
    while !*stop.borrow() {
        let blocked = queues.iter().find_map(RabbitQueue::blocked);
        let blocked = blocked.map(|why| format!("the broker takes no publications: {why}"));
        let denied = queues.iter().find_map(RabbitQueue::denied);
        let denied = denied.map(|why| format!("{why}; give the user its permissions again (deploy/rabbitmq)"));
        let lost = queues.iter().find_map(RabbitQueue::lost);
        let lost = lost.map(|why| format!("the connection to the broker is lost and is being opened again: {why}"));
        let unconsumed = queues.iter().find_map(RabbitQueue::unconsumed);
        health::set(RIGHTS, passes(denied));
        if dispatches {
            // It hears from the broker that nothing answers, and here why.
            health::set(PUBLISHING, passes(blocked.or(lost)));
            health::set(CONSUMING, passes(unconsumed));
        } else {
            health::set(PUBLISHING, passes(blocked));
            health::set(QUEUE, passes(lost.or(unconsumed)));
        }
        tokio::select! {
            biased;
            _ = stop.changed() => {}
            () = tokio::time::sleep(WATCH_EVERY) => {}
        }
    }
}

fn worker(
    config: &Configuration,
    clock: &Arc<dyn Clock>,
    serves: &Serves,
    systems: &Reloaded,
    (queue, store): (RabbitQueue, Store),
) -> Result<Worker, CliError> {
    let queues = assignments(&serves.areas, serves.site.as_deref());
    let names = queues.iter().map(ToString::to_string);
    let keys = QueueKeys::load(&config.engine.keys, names.collect::<Vec<_>>())?;
    let escrow = escrow(&config.engine.keys, serves.site.is_some())?;
    let worker = WorkerConfig {
        areas: serves.areas.clone(),
        site: serves.site.clone(),
        concurrency: crate::compose::concurrency(&config.engine.admission),
        report_shards: config.engine.shards,
        grace: GRACE,
    };
    let context = Context {
        store,
        connectors: Arc::new(systems.clone()),
        escrow,
        clock: clock.clone(),
    };
    Ok(Worker::new(worker, Arc::new(queue), keys, context))
}

/// What recovery keys are sealed with; without it the worker refuses what would need it, and
/// says so. It opens those of every client, so whoever stands in one client's network does
/// without, also where it lies there.
fn escrow(keys: &Path, at_a_site: bool) -> Result<Option<EscrowMaster>, KeyError> {
    let file = keys.join(ESCROW_KEY);
    if !file.exists() {
        return Ok(None);
    }
    if at_a_site {
        tracing::warn!(
            "{} opens the recovery keys of every client; a worker at a site needs none and does not use it; remove it from this machine",
            file.display()
        );
        return Ok(None);
    }
    EscrowMaster::load(keys).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use offboard_runtime::keys;

    #[test]
    fn a_worker_at_a_site_does_without_the_key_to_every_clients_recovery_keys() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("keys");
        assert!(escrow(&folder, false).unwrap().is_none());
        keys::create_missing(&folder).unwrap();
        assert!(escrow(&folder, false).unwrap().is_some());
        assert!(escrow(&folder, true).unwrap().is_none());
    }
}
