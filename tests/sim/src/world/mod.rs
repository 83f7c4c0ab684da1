//! The outside world itself: vendor-neutral, synchronous, deterministic.
//!
//! It owns the truth about every tenant, and every cruelty. It refuses to know
//! HTTP, JSON on the wire, threads and clocks: time comes with each call as
//! `now_ms`, and a call returns at once with what it *would* have taken. Each
//! call passes one gate (`World::gate`), which decides from the seed whether
//! it is throttled, lost, slow or served by a lagging replica; behind the gate
//! the tenant applies the vendor's rules and writes the journal.
//!
//! A tenant's data live in its own [`Tenant`]; an operation gets one tenant and
//! cannot name another, so what crosses tenants can only be a test's mistake.

mod access;
pub mod app;
pub mod bucket;
mod calls;
pub mod catalogue;
mod cruelty;
pub mod desk;
mod devices;
mod dice;
mod drives;
mod exchange;
pub mod fleet;
mod groups;
mod journal;
mod licenses;
mod mail;
pub mod model;
mod op;
mod outcome;
mod people;
mod table;
mod tenant;
pub mod wiki;
pub mod workspace;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use access::{Audience, Caller, TokenGrant, TokenRequest};
pub use calls::Organization;
pub use cruelty::{Cruelty, Fault};
pub use devices::LocalCredential;
pub use dice::Dice;
pub use drives::SiteUser;
pub use exchange::{CmdletOutput, Parameters};
pub use groups::Membership;
pub use journal::{Actor, Effect, Entry, Harm, Violation};
pub use licenses::{LicenceOrder, PoolLine};
pub use mail::{AutoReplyChange, MailboxSettings, NewEvent, Purpose};
pub use op::{Op, Surface};
pub use outcome::{Failure, Reply, VendorError};
pub use people::{Deleted, UserChange};
pub use table::Table;
pub use tenant::Tenant;

/// The latency of an answer that never comes.
pub(crate) const NEVER_MS: i64 = i64::MAX;

/// What one call knows while it runs.
#[derive(Debug, Clone)]
pub(crate) struct Cx {
    pub(crate) now: i64,
    /// Reads look at the rows as they were then.
    pub(crate) as_of: i64,
    pub(crate) actor: Actor,
    pub(crate) caller: Caller,
    pub(crate) tune: Arc<Cruelty>,
    pub(crate) dice: Dice,
    /// Differs for every call of a tenant.
    pub(crate) salt: String,
}

/// A fault that a test has ordered for certain calls.
#[derive(Debug, Clone)]
struct Ordered {
    op: Op,
    fault: Fault,
    times: u32,
}

/// The simulated outside world.
#[derive(Debug)]
pub struct World {
    tune: Arc<Cruelty>,
    dice: Dice,
    tenants: BTreeMap<String, Tenant>,
    ordered: Vec<Ordered>,
    tokens: BTreeMap<String, access::Token>,
    served: BTreeMap<Op, u64>,
    impatient: u64,
    /// The operations that came with a body that their description has.
    bodies: BTreeSet<&'static str>,
}

impl World {
    /// A world without tenants.
    #[must_use]
    pub fn new(seed: u64, cruelty: Cruelty) -> Self {
        Self {
            tune: Arc::new(cruelty),
            dice: Dice::new(seed),
            tenants: BTreeMap::new(),
            ordered: Vec::new(),
            tokens: BTreeMap::new(),
            served: BTreeMap::new(),
            impatient: 0,
            bodies: BTreeSet::new(),
        }
    }

    /// How unkind it is.
    #[must_use]
    pub fn cruelty(&self) -> &Cruelty {
        &self.tune
    }

    /// Changes how unkind it is from now on.
    pub fn set_cruelty(&mut self, cruelty: Cruelty) {
        for tenant in self.tenants.values_mut() {
            tenant.keep_for(&cruelty);
        }
        self.tune = Arc::new(cruelty);
    }

    /// Ends everything random from now on, and leaves what takes time.
    pub fn calm(&mut self) {
        self.ordered.clear();
        self.set_cruelty(self.tune.calmed());
    }

    /// Its choices, for builders that need more of them.
    #[must_use]
    pub fn dice(&self) -> Dice {
        self.dice
    }

    /// Orders `fault` for the next `times` calls of this kind.
    pub fn order(&mut self, op: Op, fault: Fault, times: u32) {
        self.ordered.push(Ordered { op, fault, times });
    }

    /// Adds a tenant.
    pub fn add_tenant(&mut self, tenant: Tenant) {
        self.tenants.insert(tenant.id.clone(), tenant);
    }

    /// A tenant as it truly is.
    #[must_use]
    pub fn tenant(&self, id: &str) -> Option<&Tenant> {
        self.tenants.get(id)
    }

    /// A tenant, to be arranged by a test or a builder.
    pub fn tenant_mut(&mut self, id: &str) -> Option<&mut Tenant> {
        self.tenants.get_mut(id)
    }

    /// All tenants by id.
    pub fn tenants(&self) -> impl Iterator<Item = &Tenant> {
        self.tenants.values()
    }

    /// Every effect on every tenant, in order of time.
    #[must_use]
    pub fn journal(&self) -> Vec<&Entry> {
        let mut entries: Vec<&Entry> = self.tenants.values().flat_map(Tenant::journal).collect();
        entries.sort_by(|a, b| (a.at_ms, &a.tenant, a.seq).cmp(&(b.at_ms, &b.tenant, b.seq)));
        entries
    }

    /// Every harm that truly happened, in order of time.
    #[must_use]
    pub fn violations(&self) -> Vec<&Violation> {
        let mut all: Vec<&Violation> = self.tenants.values().flat_map(Tenant::violations).collect();
        all.sort_by(|a, b| (a.at_ms, &a.tenant).cmp(&(b.at_ms, &b.tenant)));
        all
    }

    /// Every canary of every person: none may ever be seen in a log, a queue or a ticket.
    #[must_use]
    pub fn canaries(&self) -> BTreeSet<String> {
        self.tenants
            .values()
            .flat_map(|tenant| tenant.people.iter().map(|(_, person)| person.canary.clone()))
            .collect()
    }

    /// How many calls of this kind were answered.
    #[must_use]
    pub fn served(&self, op: Op) -> u64 {
        self.served.get(&op).copied().unwrap_or(0)
    }

    /// The operations of Graph that came with a body, by method and path; what their description
    /// does not have was refused, and is not here.
    #[must_use]
    pub fn bodies(&self) -> &BTreeSet<&'static str> {
        &self.bodies
    }

    pub(crate) fn note_body(&mut self, operation: &'static str) {
        self.bodies.insert(operation);
    }

    /// How many calls came although a `Retry-After` had asked to wait.
    #[must_use]
    pub fn impatient(&self) -> u64 {
        self.impatient
    }

    /// Lets time pass: everything that was due by `now_ms` happens.
    pub fn advance(&mut self, now_ms: i64) {
        let (tune, dice) = (Arc::clone(&self.tune), self.dice);
        for tenant in self.tenants.values_mut() {
            tenant.tick(now_ms, &tune, dice);
        }
    }

    /// When the next thing will happen by itself, so that a test can jump there.
    #[must_use]
    pub fn next_due_ms(&self) -> Option<i64> {
        self.tenants.values().filter_map(Tenant::next_due_ms).min()
    }

    /// The one way into the world: decides a call's fate, then lets the tenant answer it.
    pub(crate) fn gate<T>(
        &mut self,
        caller: &Caller,
        now: i64,
        op: Op,
        key: &str,
        run: impl FnOnce(&mut Tenant, &Cx) -> Result<T, VendorError>,
    ) -> Reply<T> {
        *self.served.entry(op).or_default() += 1;
        let ordered = self.take_ordered(op);
        let (tune, dice) = (Arc::clone(&self.tune), self.dice);
        let Some(tenant) = self.tenants.get_mut(&caller.tenant) else {
            let error = VendorError::new(
                401,
                "InvalidAuthenticationToken",
                "The tenant of the token does not exist.",
            );
            return Reply {
                result: Err(Failure::Vendor(error)),
                latency_ms: 0,
                request_id: String::new(),
            };
        };
        tenant.tick(now, &tune, dice);
        let nth = tenant.count_call(op, key);
        let place = format!("{}/{}/{key}", tenant.id, op.name());
        let request_id = dice.guid("request", &format!("{place}/{nth}"));
        let mut latency_ms = dice.between(tune.latency_ms, "latency", &place, nth);
        if dice.happens(tune.slow_permille, "slow", &place, nth) {
            latency_ms += dice.between(tune.slow_ms, "slowness", &place, nth);
        }
        let fate = ordered.or_else(|| fate(&tune, dice, op, &place, nth));

        let answer = |result| Reply {
            result,
            latency_ms,
            request_id: request_id.clone(),
        };
        let refuse = |error| Err(Failure::Vendor(error));
        if matches!(fate, Some(Fault::Silent)) {
            return Reply {
                latency_ms: NEVER_MS,
                ..answer(Err(Failure::Lost))
            };
        }
        if let Some(wait_s) = tenant.held_back(op.surface(), now) {
            if wait_s.is_some() {
                self.impatient += 1;
            }
            return answer(refuse(throttled(op, wait_s)));
        }
        match fate {
            Some(Fault::ResetBefore) => return answer(Err(Failure::Lost)),
            Some(Fault::TokenDead) => return answer(refuse(token_dead())),
            Some(Fault::Unavailable(status)) => return answer(refuse(unavailable(status))),
            Some(Fault::Throttled { retry_after_s }) => {
                let hold_ms = retry_after_s.map_or(tune.throttle_ms.0, |s| {
                    i64::try_from(s).unwrap_or(60).saturating_mul(1_000)
                });
                tenant.hold_back(op.surface(), now.saturating_add(hold_ms), retry_after_s.is_some());
                return answer(refuse(throttled(op, retry_after_s)));
            }
            Some(Fault::TimeoutAfter | Fault::ResetAfter | Fault::Lagging { .. } | Fault::Silent) | None => {}
        }
        if tune.rate_limits
            && let Some(wait_s) = tenant.over_limit(op, now)
        {
            return answer(refuse(throttled(op, Some(wait_s))));
        }
        if tune.rate_limits && tenant.crowded(op, key, now, now.saturating_add(latency_ms)) {
            return answer(refuse(throttled(op, Some(1))));
        }
        if let Err(error) = caller.may(op) {
            return answer(refuse(error));
        }
        let lag = match fate {
            Some(Fault::Lagging { lag_ms }) => lag_ms,
            _ => lag(&tune, dice, op, &place, nth),
        };
        let cx = Cx {
            now,
            as_of: now.saturating_sub(lag),
            actor: Actor::App {
                client_id: caller.app.clone(),
                request_id: request_id.clone(),
                client_request_id: caller.client_request_id.clone(),
            },
            caller: caller.clone(),
            tune: Arc::clone(&tune),
            dice,
            salt: format!("{place}/{nth}"),
        };
        let result = run(tenant, &cx);
        // What is due at this very moment (a prompt world) has happened when the caller looks again.
        tenant.tick(now, &tune, dice);
        match fate {
            Some(Fault::ResetAfter) => answer(Err(Failure::Lost)),
            Some(Fault::TimeoutAfter) => answer(refuse(unavailable(504))),
            _ => answer(result.map_err(Failure::Vendor)),
        }
    }

    fn take_ordered(&mut self, op: Op) -> Option<Fault> {
        let at = self.ordered.iter().position(|ordered| ordered.op == op)?;
        let ordered = self.ordered.get_mut(at)?;
        let fault = ordered.fault;
        ordered.times = ordered.times.saturating_sub(1);
        if ordered.times == 0 {
            self.ordered.remove(at);
        }
        Some(fault)
    }
}

fn fate(tune: &Cruelty, dice: Dice, op: Op, place: &str, nth: u64) -> Option<Fault> {
    if dice.happens(tune.throttle_permille, "throttle", place, nth) {
        let hold_ms = dice.between(tune.throttle_ms, "throttled for", place, nth);
        let spoken = !dice.happens(tune.throttle_silent_permille, "silent", place, nth);
        let seconds = u64::try_from((hold_ms + 999) / 1_000).unwrap_or(1);
        return Some(Fault::Throttled {
            retry_after_s: spoken.then_some(seconds),
        });
    }
    if dice.happens(tune.reset_before_permille, "reset before", place, nth) {
        return Some(Fault::ResetBefore);
    }
    if dice.happens(tune.unavailable_permille, "unavailable", place, nth) {
        let status = dice
            .pick(&[502, 503, 504], "status", &format!("{place}/{nth}"))
            .copied()
            .unwrap_or(503);
        return Some(Fault::Unavailable(status));
    }
    // A token is answered by the login service, where "applied" means nothing.
    if op == Op::Token {
        return None;
    }
    if dice.happens(tune.reset_after_permille, "reset after", place, nth) {
        return Some(Fault::ResetAfter);
    }
    dice.happens(tune.timeout_after_permille, "timeout after", place, nth)
        .then_some(Fault::TimeoutAfter)
}

fn lag(tune: &Cruelty, dice: Dice, op: Op, place: &str, nth: u64) -> i64 {
    let most = match op.surface() {
        Surface::Exchange | Surface::Mail => tune.exchange_lag_ms,
        Surface::Intune => tune.intune_lag_ms,
        Surface::Login => 0,
        Surface::Directory | Surface::Methods | Surface::Files | Surface::SharePoint | Surface::Reports => {
            tune.directory_lag_ms
        }
    };
    if most > 0 && dice.happens(tune.stale_read_permille, "stale", place, nth) {
        dice.between((0, most), "lag", place, nth)
    } else {
        0
    }
}

fn throttled(op: Op, retry_after_s: Option<u64>) -> VendorError {
    let (code, message) = match op.surface() {
        Surface::Mail => (
            "ApplicationThrottled",
            "Application is over its MailboxConcurrency limit.",
        ),
        Surface::Files | Surface::SharePoint => ("activityLimitReached", "The request has been throttled."),
        Surface::Exchange => ("TooManyRequests", "The server is busy. Please try again later."),
        Surface::Login | Surface::Directory | Surface::Methods | Surface::Intune | Surface::Reports => {
            ("TooManyRequests", "Too many requests.")
        }
    };
    VendorError {
        retry_after_s,
        ..VendorError::new(429, code, message)
    }
}

fn unavailable(status: u16) -> VendorError {
    match status {
        502 => VendorError::new(502, "BadGateway", "The gateway received no valid response."),
        504 => VendorError::new(504, "GatewayTimeout", "The service did not answer in time."),
        _ => VendorError::new(503, "ServiceUnavailable", "The service is temporarily unavailable."),
    }
}

fn token_dead() -> VendorError {
    VendorError::new(
        401,
        "InvalidAuthenticationToken",
        "Lifetime validation failed, the token is expired.",
    )
}
