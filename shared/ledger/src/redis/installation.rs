//! What the installation is, written into every shard when the ledger is
//! first opened: its format and its number of shards. With another number, a
//! tenant's cases would be looked for where they are not.

use super::answer;
use super::keys::ShardKeys;
use super::options::RedisOptions;
use super::script::{Call, INSTALLATION};
use redis::Value;

/// The format of everything that the scripts write.
const FORMAT: u16 = 1;

fn written(shards: u16) -> String {
    format!("format={FORMAT} shards={shards}")
}

pub(super) fn call(options: &RedisOptions, shard: u16) -> Call {
    let keys = ShardKeys::new(&options.prefix, shard);
    Call::new(&INSTALLATION, &[&keys.installation]).arg(written(options.shards))
}

/// Whether the shard is new; or why it is not this installation's.
pub(super) fn agreed(options: &RedisOptions, shard: u16, said: Value) -> Result<bool, String> {
    let [new, there] = answer::fixed(said)?;
    let (new, there) = (answer::number(&new)?, answer::text(there)?);
    other(options, shard, &there).map_or(Ok(new == 1), Err)
}

/// Why the installation that stands in a shard is not the configured one, if
/// it is another.
pub(super) fn other(options: &RedisOptions, shard: u16, there: &str) -> Option<String> {
    if there == written(options.shards) {
        return None;
    }
    let field = |name: &str| {
        let found = there.split(' ').find_map(|f| f.strip_prefix(name)?.strip_prefix('='));
        found.and_then(|n| n.parse::<u16>().ok())
    };
    Some(match (field("format"), field("shards")) {
        (Some(FORMAT), Some(shards)) => format!(
            "the installation '{}' has {shards} shards and the configuration says {}; their number is fixed when it \
             is first opened: say {shards}, or choose another prefix for a new installation",
            options.prefix, options.shards
        ),
        (Some(format), _) => format!(
            "the installation '{}' has format {format}, this version knows {FORMAT}; use the newer one",
            options.prefix
        ),
        _ => format!(
            "shard {shard} of the installation '{}' says '{there}', which no version wrote",
            options.prefix
        ),
    })
}
