//! What each role may do, as rules for `ACL SETUSER`: no more than it needs.
//!
//! None of them is a wall against who may write: whoever may append may also
//! write nonsense, and what was sealed is therefore kept outside the store.
//! They keep each role from everything else: other keys, settings, the whole.

use super::answer;
use super::failure::STOPPED_SCRIPT;
use super::keys::{CASES, CLAIMS, ENDED, GATES, INSTALLATION, LOG, OPEN, OPENED, OWNERS, TRIAL, WAKES};
use super::row::Damage;
use redis::Value;
use std::collections::BTreeSet;

/// Who uses the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedisRole {
    /// Everything that the ledger is.
    Dispatcher,
    /// Everything but to own a shard: the closer, the API, the command line.
    Clerk,
    /// Reads the store's settings, and no key. These show the store's own
    /// passwords, so this is for `doctor` alone.
    Health,
}

/// The commands that the scripts use, and how they are called; and `INFO`, which
/// shows whether the store keeps history, and no password.
const COMMANDS: &str = "+eval +evalsha +ping +info +select +get +setnx +del +hget +hset +hdel +hgetall +hlen +rpush \
                        +llen +lindex +lrange +ltrim +zadd +zrem +zrangebylex +zlexcount";

/// What finding the nodes of a cluster takes.
const CLUSTER: &str = "+cluster|slots";

/// Rules for a user of this role: `ACL SETUSER NAME on >PASSWORD RULES`, in a
/// store whose keys begin with `prefix`.
#[must_use]
pub fn acl_rules(role: RedisRole, prefix: &str) -> String {
    let key = |name: &str| format!("~{{{prefix}:*}}:{name}");
    let (keys, commands) = match role {
        RedisRole::Dispatcher => (vec![key("*")], COMMANDS),
        RedisRole::Clerk => {
            let shared = [INSTALLATION, CASES, WAKES, OPEN, ENDED, OPENED, CLAIMS, TRIAL];
            let mut keys: Vec<String> = shared.into_iter().map(key).collect();
            keys.extend([LOG, GATES].map(|name| key(&format!("{name}:*"))));
            debug_assert!(!keys.contains(&key(OWNERS)), "a clerk owns nothing");
            (keys, COMMANDS)
        }
        RedisRole::Health => (Vec::new(), "+ping +info +config|get"),
    };
    let mut rules = vec!["resetkeys resetchannels -@all".to_owned()];
    rules.extend(keys);
    rules.extend([commands.to_owned(), CLUSTER.to_owned()]);
    rules.join(" ")
}

/// What the script of rights met.
pub(super) struct Tried {
    /// The rights that the user lacks.
    pub(super) lacking: Vec<String>,
    /// The first that was refused for another reason, with it: a full disk or memory, a
    /// primary that became a replica.
    pub(super) refused: Option<String>,
}

/// What the script of rights answered.
pub(super) fn tried(said: Value) -> Result<Tried, Damage> {
    let refused: Vec<String> = answer::list(said)?
        .into_iter()
        .map(answer::text)
        .collect::<Result<_, _>>()?;
    let by_rights = |said: &String| said.contains("NOPERM") || said.contains(STOPPED_SCRIPT);
    let (lacking, others): (Vec<String>, Vec<String>) = refused.into_iter().partition(by_rights);
    // Some commands are tried more than once.
    let lacking: BTreeSet<String> = lacking
        .iter()
        .filter_map(|said| said.split(':').next().map(|c| format!("+{}", c.to_ascii_lowercase())))
        .collect();
    Ok(Tried {
        lacking: lacking.into_iter().collect(),
        // Of another sort is what a try left there that had not all rights.
        refused: others.into_iter().find(|said| !said.contains("WRONGTYPE")),
    })
}

/// What finding the primary takes, for a user of the sentinels.
pub const SENTINEL_RULES: &str = "resetkeys resetchannels -@all +ping +sentinel|get-master-addr-by-name";
