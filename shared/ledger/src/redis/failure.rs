//! What the store says, turned into what to do about it: by the link, which
//! may try again, and by an operator, who may not know Redis.

use crate::LedgerError;
use redis::{ErrorKind, RedisError, ServerErrorKind};

/// What the link does about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remedy {
    /// The script is not there: send it whole. Nothing was done.
    Whole,
    /// This connection is of no use: find the primary and connect again.
    Reconnect,
    /// It passes by itself: the same again, a moment later.
    Wait,
    /// Nothing that the link could do.
    None,
}

pub(super) fn remedy(error: &RedisError) -> Remedy {
    match error.kind() {
        _ if about_credentials(error) => Remedy::None,
        ErrorKind::Server(ServerErrorKind::NoScript) => Remedy::Whole,
        ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown | ServerErrorKind::BusyLoading) => {
            Remedy::Reconnect
        }
        ErrorKind::Server(ServerErrorKind::ClusterDown | ServerErrorKind::TryAgain) => Remedy::Wait,
        ErrorKind::Io | ErrorKind::Parse | ErrorKind::ClusterConnectionNotFound => Remedy::Reconnect,
        ErrorKind::MasterNameNotFoundBySentinel | ErrorKind::NoValidReplicasFoundBySentinel => Remedy::Reconnect,
        ErrorKind::Extension if error.code() == Some("BUSY") => Remedy::Wait,
        _ => Remedy::None,
    }
}

/// Whether connecting again may help, or somebody has to change something.
pub(super) fn passes(error: &RedisError) -> bool {
    remedy(error) != Remedy::None
}

/// What the store said, without anything that it might repeat of a password.
fn words(error: &RedisError) -> String {
    if about_credentials(error) {
        return "it refuses the credentials, or wants some".to_owned();
    }
    error.to_string()
}

/// Whether it is about who one is. A cluster's connection says so only in the
/// words of what it gave up.
fn about_credentials(error: &RedisError) -> bool {
    error.kind() == ErrorKind::AuthenticationFailed
        || matches!(error.code(), Some("WRONGPASS" | "NOAUTH"))
        || error.to_string().ends_with("AuthenticationFailed")
}

/// Whether it is about what one may do. A script that is stopped in the middle
/// says so in words alone before Redis 7.2.
fn about_rights(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm) || error.to_string().contains(STOPPED_SCRIPT)
}

/// What a script says whose user may not run one of its commands, or use one of
/// its keys.
pub(super) const STOPPED_SCRIPT: &str = "user executing the script";

/// The ledger's error for what the store said.
pub(super) fn explained(attempted: &'static str, error: &RedisError) -> LedgerError {
    let said = words(error);
    if passes(error) {
        return LedgerError::Unavailable {
            attempted,
            detail: format!("Redis: {said}"),
        };
    }
    let (may_be_repeated, advice) = advice(error);
    let detail = format!("Redis: {said}; {advice}");
    if may_be_repeated {
        LedgerError::Unavailable { attempted, detail }
    } else {
        LedgerError::Broken { attempted, detail }
    }
}

/// Why there is no connection, and what to do about it if it does not pass by
/// itself.
pub(super) fn why_not_connected(error: &RedisError) -> String {
    let said = words(error);
    if passes(error) {
        return said;
    }
    format!("{said}; {}", advice(error).1)
}

/// Whether the same may be repeated, and what somebody has to change.
fn advice(error: &RedisError) -> (bool, &'static str) {
    match (error.kind(), error.code()) {
        _ if about_credentials(error) => (
            false,
            "check the user and password that the configuration refers to (for sentinels, their own: sentinel_user \
             and sentinel_password); a process reads them when it starts",
        ),
        (_, Some("OOM")) => (
            true,
            "its memory is full and nothing was written: raise maxmemory, or archive closed cases",
        ),
        (_, Some("MISCONF")) => (
            true,
            "it cannot write to its disk and nothing was written: free space there, then it goes on by itself",
        ),
        (_, Some("NOREPLICAS")) => (
            true,
            "too few of its replicas are connected (min-replicas-to-write), and nothing was written: start them",
        ),
        _ if about_rights(error) => (
            false,
            "its user lacks a right: give it the rules of its role, see deploy/redis",
        ),
        (ErrorKind::Server(ServerErrorKind::Moved | ServerErrorKind::Ask | ServerErrorKind::CrossSlot), _) => {
            (false, "it is a node of a cluster: say redis-cluster:// in the URL")
        }
        (_, Some("WRONGTYPE")) => (
            false,
            "a key of the ledger's was written by something else: stop, keep a copy, and restore a backup",
        ),
        (ErrorKind::InvalidClientConfig, _) => (false, "look at the ledger's section of the configuration"),
        _ => (false, "look it up in Redis' documentation and its log"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &str) -> RedisError {
        let value = redis::parse_redis_value(format!("-{line}\r\n").as_bytes());
        value.and_then(redis::Value::extract_error).unwrap_err()
    }

    #[test]
    fn every_refusal_says_what_to_do_next() {
        for (line, may_be_repeated, advice) in [
            (
                "OOM command not allowed when used memory > 'maxmemory'.",
                true,
                "raise maxmemory",
            ),
            (
                "MISCONF Errors writing to the AOF file: No space left on device",
                true,
                "free space",
            ),
            ("NOREPLICAS Not enough good replicas to write.", true, "start them"),
            ("NOPERM this user has no permissions", false, "rules of its role"),
            (
                "ERR The user executing the script can't run this command or subcommand script: c18bea5d, on \
                 @user_script:84.",
                false,
                "rules of its role",
            ),
            (
                "WRONGPASS invalid username-password pair or user is disabled.",
                false,
                "check the user",
            ),
            ("NOAUTH Authentication required.", false, "check the user"),
            ("MOVED 3999 127.0.0.1:6381", false, "redis-cluster://"),
            ("WRONGTYPE Operation against a key", false, "restore a backup"),
            ("LOADING Redis is loading the dataset in memory", true, "loading"),
        ] {
            let error = explained("append to the ledger", &said(line));
            let repeatable = matches!(error, LedgerError::Unavailable { .. });
            assert_eq!(repeatable, may_be_repeated, "{error}");
            assert!(error.to_string().contains(advice), "{error}");
        }
    }

    #[test]
    fn why_there_is_no_connection_says_what_to_do_next_unless_it_passes() {
        for (line, advice) in [
            (
                "WRONGPASS invalid username-password pair or user is disabled.",
                "check the user",
            ),
            ("NOPERM this user has no permissions", "rules of its role"),
        ] {
            let why = why_not_connected(&said(line));
            assert!(why.contains(advice), "{why}");
        }
        let loading = why_not_connected(&said("LOADING Redis is loading the dataset in memory"));
        assert!(loading.contains("loading") && !loading.contains(';'), "{loading}");
    }

    #[test]
    fn the_link_heals_what_can_be_healed() {
        for (line, expected) in [
            ("NOSCRIPT No matching script.", Remedy::Whole),
            (
                "READONLY You can't write against a read only replica.",
                Remedy::Reconnect,
            ),
            ("MASTERDOWN Link with MASTER is down", Remedy::Reconnect),
            ("LOADING Redis is loading the dataset in memory", Remedy::Reconnect),
            ("CLUSTERDOWN The cluster is down", Remedy::Wait),
            ("BUSY Redis is busy running a script.", Remedy::Wait),
            ("NOPERM this user has no permissions", Remedy::None),
            ("OOM command not allowed", Remedy::None),
        ] {
            assert_eq!(remedy(&said(line)), expected, "{line}");
        }
        let cut = RedisError::from(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
        assert_eq!(remedy(&cut), Remedy::Reconnect);
    }
}
