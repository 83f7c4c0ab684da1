//! How unkind the world is, as numbers.
//!
//! Three presets: [`Cruelty::kind`] for tests of one thing at a time,
//! [`Cruelty::real`] for what a bad day with the vendor looks like, and
//! [`Cruelty::cruel`], which is worse than any day seen. All times are in
//! simulated milliseconds, all chances in permille of calls.

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;

/// Every unkindness of the world. All fields may be set freely after taking a preset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cruelty {
    /// How often a read is served by a lagging replica.
    pub stale_read_permille: u32,
    /// How far a replica of the directory lags at most.
    pub directory_lag_ms: i64,
    /// How far a replica of Exchange lags at most.
    pub exchange_lag_ms: i64,
    /// How far a replica of the device management lags at most.
    pub intune_lag_ms: i64,
    /// How far the licence pool's counters lag, always.
    pub pool_lag_ms: i64,
    /// How often a call is answered 429, which holds that tenant's service back for a while.
    pub throttle_permille: u32,
    /// How many of the 429s carry no `Retry-After`.
    pub throttle_silent_permille: u32,
    /// How long a 429 holds back.
    pub throttle_ms: (i64, i64),
    /// How often a call is answered 502, 503 or 504 and was not applied.
    pub unavailable_permille: u32,
    /// How often a call is answered 504 although it was applied.
    pub timeout_after_permille: u32,
    /// How often the connection breaks before the request is applied.
    pub reset_before_permille: u32,
    /// How often the connection breaks after the request was applied.
    pub reset_after_permille: u32,
    /// What every call takes.
    pub latency_ms: (i64, i64),
    /// How often a call is slow.
    pub slow_permille: u32,
    /// What a slow call takes.
    pub slow_ms: (i64, i64),
    /// How long a token says that it lives.
    pub token_lifetime_ms: i64,
    /// How many tokens die before that.
    pub token_early_death_permille: u32,
    /// How long after the order Exchange shows a shared mailbox.
    pub conversion_ms: (i64, i64),
    /// How much later Graph's `userPurpose` shows it.
    pub conversion_graph_extra_ms: (i64, i64),
    /// How often a licence removal during a conversion is refused; else it is taken, and the mailbox lost.
    pub converting_refuses_permille: u32,
    /// How often a mailbox's statistics are none, as of one that nobody ever opened.
    pub statistics_missing_permille: u32,
    /// How long an unlicensed user mailbox stays before it is disconnected.
    pub mailbox_grace_ms: i64,
    /// How long a licence group takes to give back a licence after the membership ended.
    pub group_license_ms: (i64, i64),
    /// How long dynamic groups take to be computed again.
    pub dynamic_group_ms: (i64, i64),
    /// How long after a device's check-in an action is done.
    pub device_action_ms: (i64, i64),
    /// How long after a wipe or retirement the device's record is gone.
    pub record_gone_ms: (i64, i64),
    /// How often the directory synchronisation runs; 0 is never.
    pub sync_interval_ms: i64,
    /// How often a colleague undoes what was just done (enables the account, adds the member again).
    pub colleague_permille: u32,
    /// When he does.
    pub colleague_ms: (i64, i64),
    /// The size of a page of any list.
    pub page_size: usize,
    /// Whether SharePoint refuses app-only tokens that were got with a secret, as the real one does.
    pub sharepoint_needs_certificate: bool,
    /// Whether the vendor's published rate limits are enforced.
    pub rate_limits: bool,
}

impl Cruelty {
    /// Consistent, prompt, patient: everything is as the documentation's happy path says.
    /// Rules of the domain (last owner, synced objects, order of methods) still hold.
    #[must_use]
    pub fn kind() -> Self {
        Self {
            stale_read_permille: 0,
            directory_lag_ms: 0,
            exchange_lag_ms: 0,
            intune_lag_ms: 0,
            pool_lag_ms: 0,
            throttle_permille: 0,
            throttle_silent_permille: 0,
            throttle_ms: (SECOND, SECOND),
            unavailable_permille: 0,
            timeout_after_permille: 0,
            reset_before_permille: 0,
            reset_after_permille: 0,
            latency_ms: (0, 0),
            slow_permille: 0,
            slow_ms: (0, 0),
            token_lifetime_ms: 60 * MINUTE,
            token_early_death_permille: 0,
            conversion_ms: (0, 0),
            conversion_graph_extra_ms: (0, 0),
            converting_refuses_permille: 1000,
            statistics_missing_permille: 0,
            mailbox_grace_ms: MINUTE,
            group_license_ms: (0, 0),
            dynamic_group_ms: (0, 0),
            device_action_ms: (0, 0),
            record_gone_ms: (10 * MINUTE, 10 * MINUTE),
            sync_interval_ms: 0,
            colleague_permille: 0,
            colleague_ms: (MINUTE, MINUTE),
            page_size: 100,
            sharepoint_needs_certificate: false,
            rate_limits: false,
        }
    }

    /// A bad day with the real vendor.
    #[must_use]
    pub fn real() -> Self {
        Self {
            stale_read_permille: 250,
            directory_lag_ms: 20 * SECOND,
            exchange_lag_ms: 30 * SECOND,
            intune_lag_ms: 30 * SECOND,
            pool_lag_ms: 2 * MINUTE,
            throttle_permille: 15,
            throttle_silent_permille: 200,
            throttle_ms: (2 * SECOND, 20 * SECOND),
            unavailable_permille: 8,
            timeout_after_permille: 3,
            reset_before_permille: 3,
            reset_after_permille: 3,
            latency_ms: (40, 250),
            slow_permille: 10,
            slow_ms: (2 * SECOND, 15 * SECOND),
            token_early_death_permille: 50,
            conversion_ms: (30 * SECOND, 5 * MINUTE),
            conversion_graph_extra_ms: (10 * SECOND, 3 * MINUTE),
            converting_refuses_permille: 1000,
            mailbox_grace_ms: 5 * MINUTE,
            group_license_ms: (30 * SECOND, 5 * MINUTE),
            dynamic_group_ms: (MINUTE, 10 * MINUTE),
            device_action_ms: (MINUTE, 10 * MINUTE),
            record_gone_ms: (5 * MINUTE, 30 * MINUTE),
            sync_interval_ms: 30 * MINUTE,
            page_size: 20,
            sharepoint_needs_certificate: true,
            rate_limits: true,
            ..Self::kind()
        }
    }

    /// Worse than any day seen.
    #[must_use]
    pub fn cruel() -> Self {
        Self {
            stale_read_permille: 500,
            directory_lag_ms: MINUTE,
            exchange_lag_ms: MINUTE,
            intune_lag_ms: 2 * MINUTE,
            pool_lag_ms: 10 * MINUTE,
            throttle_permille: 60,
            throttle_silent_permille: 500,
            throttle_ms: (SECOND, MINUTE),
            unavailable_permille: 40,
            timeout_after_permille: 20,
            reset_before_permille: 20,
            reset_after_permille: 20,
            latency_ms: (50, 800),
            slow_permille: 50,
            slow_ms: (5 * SECOND, 90 * SECOND),
            token_early_death_permille: 300,
            conversion_ms: (MINUTE, 20 * MINUTE),
            conversion_graph_extra_ms: (30 * SECOND, 10 * MINUTE),
            converting_refuses_permille: 500,
            statistics_missing_permille: 100,
            mailbox_grace_ms: MINUTE,
            group_license_ms: (MINUTE, 15 * MINUTE),
            dynamic_group_ms: (MINUTE, 30 * MINUTE),
            device_action_ms: (MINUTE, 30 * MINUTE),
            record_gone_ms: (0, 10 * MINUTE),
            sync_interval_ms: 15 * MINUTE,
            colleague_permille: 50,
            colleague_ms: (MINUTE, 60 * MINUTE),
            page_size: 2,
            ..Self::real()
        }
    }

    /// Stops what is random and leaves what takes time, so that a test can ask
    /// whether everything settles once the faults have ended.
    #[must_use]
    pub fn calmed(&self) -> Self {
        Self {
            stale_read_permille: 0,
            throttle_permille: 0,
            unavailable_permille: 0,
            timeout_after_permille: 0,
            reset_before_permille: 0,
            reset_after_permille: 0,
            slow_permille: 0,
            token_early_death_permille: 0,
            statistics_missing_permille: 0,
            colleague_permille: 0,
            ..self.clone()
        }
    }

    /// How long rows must be remembered for the slowest replica.
    pub(crate) fn longest_lag_ms(&self) -> i64 {
        self.directory_lag_ms
            .max(self.exchange_lag_ms)
            .max(self.intune_lag_ms)
            .saturating_add(self.pool_lag_ms)
    }
}

/// One fault, ordered for a certain call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// 429; with the number of seconds to wait, or without a word.
    Throttled {
        /// What `Retry-After` says.
        retry_after_s: Option<u64>,
    },
    /// 502, 503 or 504, and nothing was applied.
    Unavailable(u16),
    /// 504, and it was applied.
    TimeoutAfter,
    /// The connection broke before anything was applied.
    ResetBefore,
    /// The connection broke after it was applied.
    ResetAfter,
    /// No answer ever comes, the connection stays, and nothing was applied. Where nothing
    /// waits, as in a face without a socket, it is [`Fault::ResetBefore`].
    Silent,
    /// 401: the token is no longer accepted.
    TokenDead,
    /// The read goes to a replica that lags by this much.
    Lagging {
        /// By how much.
        lag_ms: i64,
    },
}
