//! What every composition shares: an engine over a ledger and a queue, as the
//! configuration says it should be.

use crate::backends::OpenLedger;
use crate::error::CliError;
use crate::systems::Systems;
use offboard_dispatcher::admission::Limits;
use offboard_dispatcher::tenants::{Tenants, Terms};
use offboard_dispatcher::{Engine, Keeping, Parts};
use offboard_domain::{Area, Lane};
use offboard_queue::Queue;
use offboard_runtime::Clock;
use offboard_runtime::config::{Admission, Configuration, StoreUrl};
use offboard_runtime::keys::{DispatchKey, MasterKey};
use offboard_store::{Store, StoreError};
use offboard_workers::{Concurrency, PLACES_MOST};
use std::sync::Arc;

/// In what engines of one configuration differ.
pub struct Settings {
    /// Engine time.
    pub clock: Arc<dyn Clock>,
    /// How much may be in flight.
    pub limits: Limits,
    /// With what assignments are authenticated.
    pub dispatch: DispatchKey,
    /// Over how many shards tenants are spread.
    pub shards: u16,
    /// Where artifacts are kept.
    pub store: Store,
    /// What of a shared ledger is kept in the store.
    pub keeping: Option<Keeping>,
}

impl Settings {
    /// As the configuration says.
    #[must_use]
    pub fn of(config: &Configuration, clock: Arc<dyn Clock>, dispatch: DispatchKey, store: Store) -> Self {
        Self {
            clock,
            limits: limits(&config.engine.admission),
            dispatch,
            shards: config.engine.shards,
            store,
            keeping: crate::backends::is_shared(config).then_some(Keeping {
                archive_after_ms: config.engine.archive_after_ms,
            }),
        }
    }
}

/// An engine that owns nothing yet.
///
/// # Errors
/// [`CliError`] if a key cannot be used.
pub fn engine(
    config: &Configuration,
    systems: &Systems,
    ledger: &OpenLedger,
    queue: Arc<dyn Queue>,
    settings: Settings,
) -> Result<Arc<Engine>, CliError> {
    let master = MasterKey::load(&config.engine.keys)?;
    Ok(Engine::new(Parts {
        ledger: ledger.seam(),
        queue,
        store: settings.store,
        clock: settings.clock,
        tenants: tenants(config, systems),
        master: *master.expose(),
        entropy: Arc::new(salt),
        limits: settings.limits,
        dispatch: settings.dispatch,
        shards: settings.shards,
        keeping: settings.keeping,
    }))
}

/// The store that the configuration names. One that overwrites what is there is
/// refused; one that does not answer yet may do so later.
///
/// # Errors
/// [`CliError`] if it cannot be set up or overwrites.
pub async fn store(url: &StoreUrl) -> Result<Store, CliError> {
    let store = Store::at(url)?;
    if matches!(url, StoreUrl::Bucket(_)) {
        match store.check().await {
            Ok(()) => {}
            Err(error @ StoreError::Overwrites { .. }) => return Err(CliError::of(&error)),
            Err(error) => tracing::warn!("{}", CliError::of(&error).brief()),
        }
    }
    Ok(store)
}

/// What the dispatcher needs to know of each tenant.
#[must_use]
pub fn tenants(config: &Configuration, systems: &Systems) -> Tenants {
    let terms = |t: &offboard_runtime::config::Tenant| Terms {
        policy: Arc::new(t.policy.clone()),
        capabilities: Arc::new(systems.capabilities(&t.id)),
        weight: t.weight,
        sites: t
            .systems
            .iter()
            .filter_map(|(name, s)| s.site.clone().map(|site| (name.clone(), site)))
            .collect(),
    };
    Tenants::new(config.tenants.values().map(|t| (t.id.clone(), terms(t))).collect())
}

/// How much may be in flight, as configured.
#[must_use]
pub fn limits(admission: &Admission) -> Limits {
    let credit = admission.credit.clone();
    Limits {
        urgent_together: admission.urgent_cap,
        tenant_percent: admission.tenant_percent,
        credit: Box::new(move |place| credit.get(&place).copied().unwrap_or_default()),
    }
}

/// Half as many of the normal lane as of the urgent one, so that what is
/// urgent always finds a hand free.
#[must_use]
pub fn concurrency(admission: &Admission) -> Concurrency {
    let most = admission.prefetch.max(1);
    Concurrency {
        urgent: most,
        normal: (most / 2).max(1),
    }
}

/// A queue of which one tenant may have so much in flight that it fills a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crowded {
    /// The area.
    pub area: Area,
    /// The lane.
    pub lane: Lane,
    /// The most that one tenant may have in flight.
    pub tenant: u64,
    /// The most places that a worker has.
    pub places: u64,
}

/// The queues of which one tenant with a slow vendor may take every place of a worker that
/// is configured like this: the others' work would wait behind it.
#[must_use]
pub fn crowded(admission: &Admission) -> Vec<Crowded> {
    let hands = concurrency(admission);
    let of_queue = |((area, lane), credit): (&(Area, Lane), &u32)| {
        let (credit, hands) = match lane {
            Lane::Urgent => ((*credit).min(admission.urgent_cap), hands.urgent),
            Lane::Normal => (*credit, hands.normal),
        };
        Crowded {
            area: *area,
            lane: *lane,
            tenant: u64::from(credit) * u64::from(admission.tenant_percent) / 100,
            places: u64::from(hands) * u64::from(PLACES_MOST),
        }
    };
    let all = admission.credit.iter().map(of_queue);
    all.filter(|queue| queue.tenant >= queue.places).collect()
}

/// The name of this process among others: the configured one with something
/// that no other process has.
#[must_use]
pub fn instance(config: &Configuration) -> String {
    let name = config.engine.telemetry.instance.as_deref().unwrap_or("dispatcher");
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).expect("the system gives random bytes: without them no case may be opened");
    format!("{name}-{:08x}", u32::from_be_bytes(bytes))
}

fn salt() -> [u8; 32] {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the system gives random bytes: without them no case may be opened");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credit_that_lets_one_tenant_fill_a_worker_is_found_until_the_worker_has_places_for_it() {
        let mut admission = Admission::default();
        assert!(crowded(&admission).is_empty());
        admission.credit.insert((Area::Mailbox, Lane::Normal), 200);
        let found = Crowded {
            area: Area::Mailbox,
            lane: Lane::Normal,
            tenant: 150,
            places: 64,
        };
        assert_eq!(crowded(&admission), [found]);
        admission.prefetch = 40;
        assert!(crowded(&admission).is_empty());
        // As many as there are places leave none.
        admission.tenant_percent = 80;
        assert_eq!(crowded(&admission).len(), 1);
    }
}
