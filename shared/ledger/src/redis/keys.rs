//! The names of the keys. All of a shard stand under one hash tag, so that
//! one script may touch them all, also in a cluster.
//!
//! | key | what |
//! |---|---|
//! | `{offboard:3}:installation` | what the installation is: format and number of shards |
//! | `{offboard:3}:cases` | hash: case → its row |
//! | `{offboard:3}:log:acme/c-…` | list: the records of one case |
//! | `{offboard:3}:wakes` | sorted set: when which case is to be woken |
//! | `{offboard:3}:open`, `:ended` | sorted sets: the cases by tenant and id |
//! | `{offboard:3}:opened` | sorted set: the cases by tenant and when they were opened |
//! | `{offboard:3}:claims` | hash: subject → the case that claims it |
//! | `{offboard:3}:gates:acme` | hash: a tenant's gates |
//! | `{offboard:3}:owners` | hash: shard → its owner |

use offboard_domain::{CaseId, TenantId};

/// The key that scripts try a user's rights on; nothing stays in it.
pub(super) const TRIAL: &str = "trial";
pub(super) const INSTALLATION: &str = "installation";
pub(super) const CASES: &str = "cases";
pub(super) const LOG: &str = "log";
pub(super) const WAKES: &str = "wakes";
pub(super) const OPEN: &str = "open";
pub(super) const ENDED: &str = "ended";
pub(super) const OPENED: &str = "opened";
pub(super) const CLAIMS: &str = "claims";
pub(super) const GATES: &str = "gates";
pub(super) const OWNERS: &str = "owners";

/// The keys of one shard that are not of one case or tenant.
#[derive(Debug)]
pub(super) struct ShardKeys {
    tag: String,
    pub(super) installation: String,
    pub(super) cases: String,
    pub(super) wakes: String,
    pub(super) open: String,
    pub(super) ended: String,
    pub(super) opened: String,
    pub(super) claims: String,
    pub(super) owners: String,
    pub(super) trial: String,
}

impl ShardKeys {
    pub(super) fn new(prefix: &str, shard: u16) -> Self {
        let tag = format!("{{{prefix}:{shard}}}");
        let key = |name: &str| format!("{tag}:{name}");
        Self {
            installation: key(INSTALLATION),
            cases: key(CASES),
            wakes: key(WAKES),
            open: key(OPEN),
            ended: key(ENDED),
            opened: key(OPENED),
            claims: key(CLAIMS),
            owners: key(OWNERS),
            trial: key(TRIAL),
            tag,
        }
    }

    /// The records of a case.
    pub(super) fn log(&self, tenant: &TenantId, case: CaseId) -> String {
        format!("{}:{LOG}:{tenant}/{case}", self.tag)
    }

    /// A tenant's gates.
    pub(super) fn gates(&self, tenant: &TenantId) -> String {
        format!("{}:{GATES}:{tenant}", self.tag)
    }
}
