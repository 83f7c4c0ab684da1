//! What an installation says about its store.

use super::address::RedisAddress;
use offboard_runtime::Secret;
use std::path::PathBuf;

/// Shards of a new installation: enough for as many dispatchers as anyone
/// runs, few enough that whoever asks all of them asks quickly.
pub const DEFAULT_SHARDS: u16 = 16;

/// Most shards: every one is asked when the ledger is opened.
pub(super) const SHARDS_MAX: u16 = 1_024;

/// What every key begins with, unless told otherwise.
pub const DEFAULT_PREFIX: &str = "offboard";

const PREFIX_MAX_CHARS: usize = 32;

/// Who one is for the store. The password does not print.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The user; none for the one whom the store takes who names nobody.
    pub user: Option<String>,
    /// Its password.
    pub password: Secret,
}

/// The files that encryption takes, in PEM.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// The authority that the store's certificate must come from; none: those
    /// that the system trusts.
    pub authority: Option<PathBuf>,
    /// A certificate and its key, where the store wants to see one.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// Where the store is, and how it is reached.
#[derive(Debug, Clone)]
pub struct RedisOptions {
    /// Where it is.
    pub at: RedisAddress,
    /// Who one is.
    pub credentials: Option<Credentials>,
    /// Who one is for the sentinels.
    pub sentinel_credentials: Option<Credentials>,
    /// Who one is to look at the store's settings; none: the same as for all
    /// else. That right shows the store's own passwords, so the dispatcher
    /// should not have it.
    pub health_credentials: Option<Credentials>,
    /// The files that encryption takes.
    pub tls: TlsFiles,
    /// What every key begins with: 1 to 32 of `a-z`, `0-9` and `-`.
    pub prefix: String,
    /// How many shards the installation has. It is fixed when the ledger is
    /// first opened.
    pub shards: u16,
}

impl RedisOptions {
    /// A store without credentials or files, and everything else as usual.
    #[must_use]
    pub fn new(at: RedisAddress) -> Self {
        Self {
            at,
            credentials: None,
            sentinel_credentials: None,
            health_credentials: None,
            tls: TlsFiles::default(),
            prefix: DEFAULT_PREFIX.to_owned(),
            shards: DEFAULT_SHARDS,
        }
    }

    /// What is wrong with them already now.
    pub(super) fn wrong(&self) -> Option<String> {
        let fine = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if self.prefix.is_empty() || self.prefix.len() > PREFIX_MAX_CHARS || !self.prefix.bytes().all(fine) {
            return Some(format!(
                "the keys' prefix must be 1 to {PREFIX_MAX_CHARS} of a-z, 0-9 and '-'"
            ));
        }
        if self.shards == 0 || self.shards > SHARDS_MAX {
            return Some(format!(
                "the number of shards must be 1 to {SHARDS_MAX}, not {}",
                self.shards
            ));
        }
        None
    }
}
