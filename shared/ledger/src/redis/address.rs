//! Where the store is, as one URL. Credentials never stand in it: a URL is
//! shown, logged and committed.

use std::fmt;
use std::str::FromStr;

const DEFAULT_PORT: u16 = 6379;
const DEFAULT_SENTINEL_PORT: u16 = 26379;

/// What stands behind the nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    /// One server.
    One,
    /// A Redis Cluster, of which these are some nodes.
    Cluster,
    /// Sentinels, who know the primary of this name.
    Sentinel(String),
}

/// Where the store is: `redis://HOST:PORT`, `redis-cluster://HOST:PORT,HOST:PORT`
/// or `redis-sentinel://HOST:PORT,HOST:PORT/NAME`; encrypted with `rediss` for
/// `redis`. A number of a database may follow, but not for a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisAddress {
    pub(super) nodes: Vec<(String, u16)>,
    pub(super) shape: Shape,
    pub(super) database: u16,
    pub(super) encrypted: bool,
}

/// A URL that names no store. The URL itself is not repeated: there may be a
/// password in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not the URL of a Redis ledger: {0}")]
pub struct InvalidAddress(String);

impl FromStr for RedisAddress {
    type Err = InvalidAddress;

    fn from_str(url: &str) -> Result<Self, InvalidAddress> {
        let invalid = |why: &str| Err(InvalidAddress(why.to_owned()));
        let Some((scheme, rest)) = url.split_once("://") else {
            return invalid("expected redis://HOST:PORT, redis-cluster://… or redis-sentinel://…/NAME");
        };
        let (encrypted, shape) = match scheme.strip_prefix("rediss") {
            Some(shape) => (true, shape),
            None => (false, scheme.strip_prefix("redis").unwrap_or("other")),
        };
        if rest.contains('@') {
            return invalid("credentials do not stand in a URL; give them by reference");
        }
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let database = |text: &str| match text {
            "" => Ok(0),
            text => text
                .parse()
                .map_err(|_| InvalidAddress("what follows the last '/' must be the number of a database".into())),
        };
        let (shape, database, port) = match shape {
            "" => (Shape::One, database(path)?, DEFAULT_PORT),
            "-cluster" if path.is_empty() => (Shape::Cluster, 0, DEFAULT_PORT),
            "-cluster" => return invalid("a cluster has no databases; leave out what follows the '/'"),
            "-sentinel" => {
                let (name, number) = path.split_once('/').unwrap_or((path, ""));
                if name.is_empty() {
                    return invalid("the name under which the sentinels know the primary is missing: …/NAME");
                }
                (
                    Shape::Sentinel(name.to_owned()),
                    database(number)?,
                    DEFAULT_SENTINEL_PORT,
                )
            }
            _ => return invalid("the scheme is none of redis, redis-cluster and redis-sentinel (or rediss for redis)"),
        };
        let nodes = hosts.split(',').map(|h| node(h, port)).collect::<Result<Vec<_>, _>>()?;
        if shape == Shape::One && nodes.len() > 1 {
            return invalid("several nodes: say redis-cluster:// or redis-sentinel://");
        }
        Ok(Self {
            nodes,
            shape,
            database,
            encrypted,
        })
    }
}

fn node(text: &str, port: u16) -> Result<(String, u16), InvalidAddress> {
    let invalid = || InvalidAddress("expected HOST:PORT, several separated by commas".to_owned());
    // An IPv6 address stands in brackets, because it has colons of its own.
    let (host, rest) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']').ok_or_else(invalid)?,
        None => text.find(':').map_or((text, ""), |at| text.split_at(at)),
    };
    if host.is_empty() {
        return Err(invalid());
    }
    let port = match rest {
        "" => port,
        rest => rest
            .strip_prefix(':')
            .and_then(|p| p.parse().ok())
            .ok_or_else(invalid)?,
    };
    Ok((host.to_owned(), port))
}

impl fmt::Display for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shape, path) = match &self.shape {
            Shape::One => ("", String::new()),
            Shape::Cluster => ("-cluster", String::new()),
            Shape::Sentinel(name) => ("-sentinel", format!("/{name}")),
        };
        write!(f, "redis{}{shape}://", if self.encrypted { "s" } else { "" })?;
        for (n, (host, port)) in self.nodes.iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            if host.contains(':') {
                write!(f, "{comma}[{host}]:{port}")?;
            } else {
                write!(f, "{comma}{host}:{port}")?;
            }
        }
        f.write_str(&path)?;
        if self.database > 0 {
            write!(f, "/{}", self.database)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_say_where_the_store_is() {
        for (given, shown) in [
            ("redis://store", "redis://store:6379"),
            ("redis://127.0.0.1:7000/3", "redis://127.0.0.1:7000/3"),
            ("rediss://store:1", "rediss://store:1"),
            ("redis://[::1]:7000", "redis://[::1]:7000"),
            ("redis-cluster://a:1,b,[::1]:3", "redis-cluster://a:1,b:6379,[::1]:3"),
            (
                "rediss-sentinel://a,b:2/ledger/1",
                "rediss-sentinel://a:26379,b:2/ledger/1",
            ),
        ] {
            let address: RedisAddress = given.parse().unwrap();
            assert_eq!(address.to_string(), shown);
            assert_eq!(shown.parse(), Ok(address));
        }
    }

    #[test]
    fn what_is_no_url_of_a_store_is_refused_and_not_repeated() {
        for (given, why) in [
            ("store:6379", "expected redis://"),
            ("http://store", "scheme"),
            ("redis-other://store", "scheme"),
            ("redis://user:hunter2@store", "by reference"),
            ("redis://a,b", "several nodes"),
            ("redis://store/hunter2", "number of a database"),
            ("redis://store:hunter2", "HOST:PORT"),
            ("redis://", "HOST:PORT"),
            ("redis-cluster://a/1", "no databases"),
            ("redis-sentinel://a", "name"),
        ] {
            let said = given.parse::<RedisAddress>().unwrap_err().to_string();
            assert!(said.contains(why) && !said.contains("hunter2"), "{given}: {said}");
        }
    }
}
