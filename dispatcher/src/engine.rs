//! The dispatcher's engine: the cases that it owns, folded in memory, and the
//! loops that keep them moving.
//!
//! It alone knows the ledger. In steady state it reads nothing: a report comes
//! in, is decided on the folded case, appended, and what it caused is
//! published. Whatever is lost on the way — a message, a worker, this process —
//! is ordered again from the ledger.
//!
//! It owns the cases of its shards, and only for those it assigns, publishes
//! and keeps time. Of any other case it may append a fact of its own — a
//! departure, an approval, a seal — and leaves it for the owner to find. That
//! is how the command line and the closer use the same engine: they own
//! nothing. Safety does not rest on owning but on the append's version check.

use crate::admission::{Admission, Limits};
use crate::handing::Handing;
use crate::kept::{Keeping, Kept, KeptOf, Listed, Looked, Stands, Whose, in_time};
use crate::place::{Held, Places};
use crate::sites::Post;
use crate::tenants::Tenants;
use crate::timers::Timers;
use crate::unwritten::{Failures, Unwritten};
use futures::future::join_all;
use offboard_domain::{CaseId, Credit, Gates, TenantId, Timestamp};
use offboard_ledger::{Filter, Gates as Shut, Ledger, LedgerError, Shard};
use offboard_queue::{Queue, QueueError};
use offboard_runtime::Clock;
use offboard_runtime::keys::DispatchKey;
use offboard_store::Store;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Cases of a shard that are taken up together.
const TAKEN_UP_TOGETHER: usize = 16;

/// How many bytes of randomness a new case's salt takes.
pub type Entropy = Arc<dyn Fn() -> [u8; 32] + Send + Sync>;

/// What an engine is made of.
pub struct Parts {
    /// Where history is written.
    pub ledger: Arc<dyn Ledger>,
    /// How assignments go out and reports come back.
    pub queue: Arc<dyn Queue>,
    /// Where artifacts are.
    pub store: Store,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// The tenants.
    pub tenants: Tenants,
    /// The key from which every case's key is made.
    pub master: [u8; 32],
    /// Where the salts of new cases come from.
    pub entropy: Entropy,
    /// How much may be in flight.
    pub limits: Limits,
    /// With what assignments are authenticated, and reports recognised.
    pub dispatch: DispatchKey,
    /// Over how many shards the tenants are spread; the same for every process
    /// of an installation.
    pub shards: u16,
    /// What of a shared ledger is kept in the store; none for a ledger that is
    /// a file of this process alone.
    pub keeping: Option<Keeping>,
}

/// The engine.
pub struct Engine {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tenants: Tenants,
    pub(crate) master: [u8; 32],
    pub(crate) entropy: Entropy,
    pub(crate) admission: Admission,
    pub(crate) timers: Timers,
    pub(crate) dispatch: DispatchKey,
    pub(crate) shards: u16,
    pub(crate) keeping: Option<Keeping>,
    owned: Vec<AtomicBool>,
    pub(crate) places: Mutex<Places>,
    shut: Mutex<BTreeMap<TenantId, Arc<Shut>>>,
    changes: watch::Sender<u64>,
    /// What was looked at of each shard for what the ledger has lost.
    pub(crate) looked: Vec<tokio::sync::Mutex<Looked>>,
    /// One at a time lists all that was ever opened: there may be much of it.
    pub(crate) listing: tokio::sync::Mutex<()>,
    /// The cases that have ended since.
    pub(crate) ended: Mutex<BTreeSet<Whose>>,
    /// The cases that have lost something, and perhaps orders that nobody could read.
    pub(crate) doubted: Mutex<BTreeSet<Whose>>,
    /// The cases of which something is heard that the ledger does not have, and when their
    /// openings were looked for; none: they are to be.
    pub(crate) missed: Mutex<BTreeMap<Whose, Option<Timestamp>>>,
    /// The cases whose orders are being kept while nobody waits for it.
    pub(crate) kept_beside: Mutex<BTreeSet<CaseId>>,
    /// What is being put into the places of sites.
    pub(crate) handing: Arc<Handing>,
    /// What could not be written when it was last tried.
    pub(crate) failures: Failures,
    /// Since when nobody serves an area at a site, of the tenants that are owned here.
    pub(crate) away: Mutex<BTreeMap<Post, Timestamp>>,
}

/// What stopped the engine from doing what was asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The state machine lawfully says no.
    #[error(transparent)]
    Refused(#[from] offboard_domain::Refusal),
    /// The tenant is not configured.
    #[error("there is no tenant '{0}' in the configuration; `offboard doctor` lists those that there are")]
    UnknownTenant(TenantId),
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The queue failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The store failed.
    #[error("failed to use the evidence store: {0}")]
    Store(String),
    /// A pause, or its end, is in force and not kept outside of the ledger.
    #[error(
        "failed to keep what was paused or resumed for '{tenant}' outside of the ledger: {detail}; it is in force all the same: give the same order again once the store answers, or what was kept before it may come back"
    )]
    Unkept {
        /// Whose.
        tenant: TenantId,
        /// What came back.
        detail: String,
    },
    /// It was to be written together with others', and that failed.
    #[error(transparent)]
    Together(Arc<EngineError>),
    /// Whoever was writing it together with others' was cut off.
    #[error("what was being written for this case was cut off; it is done again")]
    CutOff,
    /// A record does not read as history.
    #[error("failed to read case {case}: {detail}")]
    History {
        /// Which case.
        case: CaseId,
        /// What is wrong.
        detail: String,
    },
    /// The evidence could not be made.
    #[error("failed to seal case {case}: {detail}")]
    Seal {
        /// Which case.
        case: CaseId,
        /// What is wrong.
        detail: String,
    },
}

/// Whether a loop was told to stop; it was, too, when nobody is left who could
/// tell it.
pub(crate) fn told(stop: &watch::Receiver<bool>) -> bool {
    *stop.borrow() || stop.has_changed().is_err()
}

/// What is asked, unless it is told to stop first. Only for what may be dropped half
/// done: no decision, whose credit and publication would be lost.
pub(crate) async fn unless_told<T>(stop: &watch::Receiver<bool>, asking: impl Future<Output = T>) -> Option<T> {
    let mut stop = stop.clone();
    let told = async { drop(stop.wait_for(|stop| *stop).await) };
    tokio::select! {
        biased;
        () = told => None,
        answer = asking => Some(answer),
    }
}

impl EngineError {
    /// Whether it concerns one case alone: the others are gone on with.
    pub(crate) fn is_of_one_case(&self) -> bool {
        let silent = matches!(
            self,
            Self::Ledger(LedgerError::Unavailable { .. } | LedgerError::Held { .. })
        );
        !silent
    }

    /// Says that a case was left alone for it.
    pub(crate) fn tell_left_alone(&self, case: CaseId) {
        match self {
            // A newer version wrote it, or it is damaged.
            Self::History { .. } | Self::Ledger(LedgerError::Broken { .. }) => {
                tracing::error!(%case, error = %self, "left a case alone");
            }
            _ => tracing::warn!(%case, error = %self, "left a case alone; it is looked at again"),
        }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Engine {
    /// An engine that owns nothing yet: [`Engine::recover`] takes up all that
    /// the ledger holds, [`Engine::take_shard`] a part of it.
    #[must_use]
    pub fn new(parts: Parts) -> Arc<Self> {
        let shards = parts.shards.max(1);
        let admission = Admission::new(&parts.limits);
        if parts.keeping.is_some() {
            // There are others: nothing is had of what is configured before a shard is.
            admission.share_among(shards);
        }
        Arc::new(Self {
            ledger: parts.ledger,
            queue: parts.queue,
            store: parts.store,
            clock: parts.clock,
            tenants: parts.tenants,
            master: parts.master,
            entropy: parts.entropy,
            admission,
            timers: Timers::default(),
            dispatch: parts.dispatch,
            shards,
            keeping: parts.keeping,
            owned: (0..shards).map(|_| AtomicBool::new(false)).collect(),
            places: Mutex::default(),
            shut: Mutex::new(BTreeMap::new()),
            changes: watch::Sender::new(0),
            looked: (0..shards).map(|_| tokio::sync::Mutex::default()).collect(),
            listing: tokio::sync::Mutex::default(),
            ended: Mutex::default(),
            doubted: Mutex::default(),
            missed: Mutex::default(),
            kept_beside: Mutex::default(),
            handing: Arc::default(),
            failures: Failures::default(),
            away: Mutex::default(),
        })
    }

    /// What time it is for this engine.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The store of artifacts.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The ledger.
    #[must_use]
    pub fn ledger(&self) -> &Arc<dyn Ledger> {
        &self.ledger
    }

    /// Where nothing can be written at this time, by what is still tried.
    #[must_use]
    pub fn unwritten(&self) -> Vec<Unwritten> {
        self.failures.still_tried(self.clock.now())
    }

    /// Counts up whenever a case changed.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(crate) fn changed(&self) {
        self.changes.send_modify(|n| *n = n.wrapping_add(1));
    }

    /// Whether nothing is in flight, reserved or waiting for credit, and no
    /// case is held.
    #[must_use]
    pub fn idle(&self) -> bool {
        self.held() == 0 && self.admission.idle()
    }

    /// What [`Engine::idle`] looks at, in words.
    #[must_use]
    pub fn holdings(&self) -> String {
        format!("{} cases; {}", self.held(), self.admission.holdings())
    }

    /// The tenant's gates, from memory if they were read before.
    /// Who does not own its cases hears of no change, and reads them anew.
    pub(crate) async fn shut(&self, tenant: &TenantId) -> Result<Arc<Shut>, LedgerError> {
        if let Some(known) = lock(&self.shut).get(tenant).filter(|_| self.owns(tenant)) {
            return Ok(known.clone());
        }
        Ok(self.read_shut(tenant).await?.0)
    }

    /// The tenant's gates as the ledger has them now, and whether they are
    /// others than were known.
    pub(crate) async fn read_shut(&self, tenant: &TenantId) -> Result<(Arc<Shut>, bool), LedgerError> {
        let read = Arc::new(self.ledger.gates(tenant, Vec::new()).await?);
        let before = lock(&self.shut).insert(tenant.clone(), read.clone());
        let changed = before.is_none_or(|b| b != read);
        Ok((read, changed))
    }

    /// The tenants whose gates are known here.
    pub(crate) fn tenants_with_gates(&self) -> Vec<TenantId> {
        lock(&self.shut).keys().cloned().collect()
    }

    /// Wakes every case of a tenant that is held: a gate has moved.
    pub(crate) fn look_at_all_of(&self, tenant: &TenantId) {
        let now = self.clock.now();
        for case in self.placed_of_tenant(tenant) {
            self.timers.set(tenant, case, Some(now));
        }
    }

    /// From now on these tenants. Open cases keep the policy that they were
    /// accepted under, but for whoever is protected by now.
    pub fn reconfigure(&self, tenants: &Tenants) {
        let (before, after) = (self.tenants.all(), tenants.all());
        self.tenants.replace((*after).clone());
        // Who was taken off the list goes on at once.
        for (tenant, terms) in after.iter() {
            let known = before.get(tenant).map(|known| &known.policy.protected);
            if known.is_some_and(|known| *known != terms.policy.protected) {
                self.look_at_all_of(tenant);
            }
        }
    }

    /// The gates of a tenant's cases as they are now, with all the credit that there could be.
    pub(crate) fn gates_now(&self, tenant: &TenantId, shut: &Shut) -> Gates {
        Gates {
            shut: shut.clone(),
            policy_now: self.tenants.policy(tenant),
            ..Gates::open()
        }
    }

    /// From now on at most so much may be in flight. What is in flight already
    /// is not disturbed.
    pub fn set_limits(&self, limits: &Limits) {
        self.admission.set_limits(limits);
    }

    /// Changes the tenant's gates, and gives all of them as they are then.
    pub(crate) async fn shut_more(
        &self,
        tenant: &TenantId,
        changes: Vec<offboard_ledger::GateChange>,
    ) -> Result<Arc<Shut>, LedgerError> {
        let read = Arc::new(self.ledger.gates(tenant, changes).await?);
        lock(&self.shut).insert(tenant.clone(), read.clone());
        Ok(read)
    }

    /// The same, while another gate is shut until exactly then; whether it was.
    pub(crate) async fn shut_while(
        &self,
        tenant: &TenantId,
        (gate, until): (&str, Timestamp),
        changes: Vec<offboard_ledger::GateChange>,
    ) -> Result<bool, LedgerError> {
        let changed = self.ledger.gates_while(tenant, gate, until, changes).await?;
        let stood = changed.is_some();
        if let Some(read) = changed {
            lock(&self.shut).insert(tenant.clone(), Arc::new(read));
        }
        Ok(stood)
    }

    /// Over how many shards the tenants are spread.
    #[must_use]
    pub fn shards(&self) -> u16 {
        self.shards
    }

    /// Whether this engine owns a tenant's cases.
    #[must_use]
    pub fn owns(&self, tenant: &TenantId) -> bool {
        self.owns_shard(tenant.shard(self.shards))
    }

    /// Whether this engine owns a shard.
    #[must_use]
    pub fn owns_shard(&self, shard: u16) -> bool {
        self.owned
            .get(usize::from(shard))
            .is_some_and(|owned| owned.load(Ordering::Acquire))
    }

    fn set_owned(&self, shard: u16, owns: bool) {
        if let Some(owned) = self.owned.get(usize::from(shard)) {
            owned.store(owns, Ordering::Release);
        }
    }

    /// Owns every shard, as the only engine of an installation does, and takes
    /// up what is open.
    ///
    /// # Errors
    /// [`EngineError`] if the ledger cannot be read.
    pub async fn recover(self: &Arc<Self>) -> Result<usize, EngineError> {
        let mut taken = 0;
        for shard in 0..self.shards {
            taken += self.take_shard(shard).await?;
        }
        Ok(taken)
    }

    /// Owns a shard and takes up every open case of it: folds it, arms its
    /// timer, and publishes again what was in flight (of *once* kinds nothing
    /// is ever published twice).
    ///
    /// # Errors
    /// [`EngineError`] if the ledger cannot be read.
    pub async fn take_shard(self: &Arc<Self>, shard: u16) -> Result<usize, EngineError> {
        let (going_on, stop) = watch::channel(false);
        let taken = self.take_shard_until(shard, &stop).await;
        drop(going_on);
        taken
    }

    /// The same, until told to stop. It must not be dropped: what is at hand is
    /// finished first.
    pub(crate) async fn take_shard_until(
        self: &Arc<Self>,
        shard: u16,
        stop: &watch::Receiver<bool>,
    ) -> Result<usize, EngineError> {
        // What was known of its gates when it was last owned may be old.
        lock(&self.shut).retain(|tenant, _| tenant.shard(self.shards) != shard);
        self.set_owned(shard, true);
        let Some(found) = unless_told(stop, self.open_and_kept(shard)).await else {
            return Ok(0);
        };
        let (open, kept) = found?;
        let nothing = Kept::default();
        let mut taken = 0;
        for some in open.chunks(TAKEN_UP_TOGETHER) {
            if told(stop) {
                return Ok(taken);
            }
            let mut taking = Vec::with_capacity(some.len());
            for case in some {
                let kept = kept.as_ref().map(|kept| kept.get(case).unwrap_or(&nothing));
                taking.push(self.take_up(&case.0, case.1, kept));
            }
            for ((_, id), taken_up) in some.iter().zip(join_all(taking).await) {
                match taken_up {
                    // What could not be published is with its case, and is published again.
                    Ok(()) | Err(EngineError::Queue(_)) => taken += 1,
                    // No reason to leave the others alone.
                    Err(error) if error.is_of_one_case() => error.tell_left_alone(*id),
                    Err(error) => return Err(error),
                }
            }
        }
        self.admission.set_share(shard, true, self.shards);
        Ok(taken)
    }

    /// The open cases of a shard, and what is kept of them; none if the store does not
    /// say so in time: no shard waits for it. They are compared when it is next looked
    /// for losses, and at the latest before they are sealed.
    async fn open_and_kept(&self, shard: u16) -> Result<(Vec<Whose>, Option<KeptOf>), EngineError> {
        let open = self.listed(shard, true).await?;
        let kept = match in_time(self.kept_of_open(&open)).await {
            Ok(kept) => Some(kept),
            Err(error) => {
                tracing::warn!(shard, %error, "failed to list what is kept of open cases; taking them up as the ledger has them");
                None
            }
        };
        Ok((open.into_keys().collect(), kept))
    }

    /// The cases of a shard that the ledger lists.
    pub(crate) async fn listed(&self, shard: u16, open_only: bool) -> Result<Listed, LedgerError> {
        const PAGE: usize = 1_000;
        let mut listed = Listed::new();
        let mut after = None;
        loop {
            let filter = Filter {
                open_only,
                shard: Some(Shard {
                    index: shard,
                    of: self.shards,
                }),
                after,
                limit: PAGE,
                ..Filter::default()
            };
            let page = self.ledger.list(filter).await?;
            let Some(last) = page.last() else { return Ok(listed) };
            after = Some((last.tenant.clone(), last.case));
            listed.extend(page.into_iter().map(|entry| {
                let stands = Stands {
                    over: entry.ended,
                    version: entry.version,
                };
                ((entry.tenant, entry.case), stands)
            }));
        }
    }

    /// Lets go of a shard: whatever is being decided is finished and published
    /// first, then its cases leave memory. What is in flight is answered to the
    /// next owner.
    pub async fn leave_shard(&self, shard: u16) {
        self.set_owned(shard, false);
        self.admission.set_share(shard, false, self.shards);
        // Its next owner hears of them again.
        lock(&self.missed).retain(|(tenant, _), _| tenant.shard(self.shards) != shard);
        for (id, tenant) in self.placed_of_shard(shard) {
            let Some(place) = self.place_of(id) else { continue };
            if let Err(error) = self.publish_left(&tenant, id, &place).await {
                tracing::warn!(case = %id, %error, "its next owner publishes what was ordered");
            }
            if let Some(Held { case, .. }) = place.held.lock().await.take() {
                self.admission.settle(&tenant, Credit::NONE, Some(&case), None);
            }
        }
    }
}
