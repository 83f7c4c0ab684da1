//! One connection to the store, whatever shape it has. Connecting finds the
//! primary anew each time, and reads the certificates anew, so that both may
//! change while a process runs.

use super::address::Shape;
use super::options::{Credentials, RedisOptions};
use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo};
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind,
    IntoConnectionInfo as _, RedisConnectionInfo, RedisError, RedisResult, ServerErrorKind, TlsCertificates, Value,
};
use std::path::Path;
use std::time::Duration;

/// How long reaching a server may take.
const CONNECT: Duration = Duration::from_secs(3);

/// How long an answer may take that nobody gives a limit.
pub(super) const ANSWER: Duration = Duration::from_secs(5);

/// Connections to one server. It reads some 16 KiB of each in one turn and
/// writes what came to its disk together, so that several fill a turn better
/// than one; more than these gained nothing.
const LANES: usize = 4;

/// Calls that wait in one connection for the one before to be written.
const WAITING: usize = 1_024;

/// Bytes gathered before they are written.
const WRITE_BYTES: usize = 64 * 1024;

/// How often, and after which pauses in milliseconds, a cluster's connection
/// looks by itself where a key has moved to.
const CLUSTER_TRIES: u32 = 6;
const CLUSTER_PAUSE_MIN_MS: u64 = 20;
const CLUSTER_PAUSE_MAX_MS: u64 = 500;

/// A connection. Its clones share it.
#[derive(Clone)]
pub(super) enum Connection {
    /// To one server, several times.
    Server(Vec<MultiplexedConnection>),
    /// To every node of a cluster.
    Cluster(ClusterConnection),
}

impl Connection {
    /// Connects as this user. `turn` counts the tries: which sentinel is asked
    /// first changes with it, because one of them may be wrong.
    pub(super) async fn open(
        options: &RedisOptions,
        credentials: Option<&Credentials>,
        turn: u32,
    ) -> RedisResult<Self> {
        let to = |node: &(String, u16)| info(options, node, credentials, options.database());
        match &options.at.shape {
            Shape::One => {
                let node = options.at.nodes.first().ok_or_else(|| wrong("no server is named"))?;
                server(client(options, to(node)?)?).await
            }
            Shape::Sentinel(name) => {
                let node = primary(options, name, turn).await?;
                server(client(options, to(&node)?)?).await
            }
            Shape::Cluster => {
                let nodes = options.at.nodes.iter().map(to).collect::<RedisResult<Vec<_>>>()?;
                let mut builder = ClusterClient::builder(nodes)
                    .connection_timeout(CONNECT)
                    .response_timeout(ANSWER)
                    .overall_response_timeout(Some(ANSWER))
                    .retries(CLUSTER_TRIES)
                    .min_retry_wait(CLUSTER_PAUSE_MIN_MS)
                    .max_retry_wait(CLUSTER_PAUSE_MAX_MS)
                    .write_backpressure_boundary(WRITE_BYTES);
                if options.at.encrypted {
                    builder = builder.certs(certificates(options)?);
                }
                builder.build()?.get_async_connection().await.map(Self::Cluster)
            }
        }
    }

    /// Sends a command, and waits for its answer without a limit of its own.
    /// Commands of one lane arrive in the order in which they were sent.
    pub(super) async fn send(&self, lane: usize, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::Server(lanes) => {
                let lane = lanes.get(lane % lanes.len().max(1));
                let mut lane = lane.ok_or_else(|| wrong("there is no connection"))?.clone();
                lane.send_packed_command(command).await?.extract_error()
            }
            Self::Cluster(cluster) => {
                let answer = command.query_async(&mut cluster.clone()).await;
                answer.map_err(given_up)
            }
        }
    }

    /// Sends a command to every primary, and gives each one's name and answer.
    pub(super) async fn ask_primaries(&self, command: &Cmd) -> RedisResult<Vec<(String, Value)>> {
        match self {
            Self::Server(_) => Ok(vec![("the store".to_owned(), self.send(0, command).await?)]),
            Self::Cluster(cluster) => {
                let everywhere = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
                match cluster.clone().route_command(command.clone(), everywhere).await? {
                    Value::Map(answers) => answers
                        .into_iter()
                        .map(|(node, answer)| Ok((redis::from_redis_value::<String>(node)?, answer.extract_error()?)))
                        .collect(),
                    other => Err(wrong_answer(&other)),
                }
            }
        }
    }
}

/// A cluster's connection follows redirections itself, so one that it hands on
/// says nothing about the address in the configuration: the node that the key
/// was to be found on is away, and those that are asked instead point to it.
fn given_up(error: RedisError) -> RedisError {
    match error.kind() {
        ErrorKind::Server(ServerErrorKind::Moved | ServerErrorKind::Ask) => RedisError::from((
            ErrorKind::ClusterConnectionNotFound,
            "the node that holds the key is away",
            error.to_string(),
        )),
        _ => error,
    }
}

/// The answer, if it comes in that time.
pub(super) async fn within<T>(limit: Duration, answer: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    match tokio::time::timeout(limit, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
    }
}

fn wrong(what: &'static str) -> RedisError {
    RedisError::from((ErrorKind::InvalidClientConfig, what))
}

fn wrong_answer(answer: &Value) -> RedisError {
    let sort = match answer {
        Value::Nil => "nothing",
        Value::Array(_) => "a list",
        _ => "something else",
    };
    RedisError::from((ErrorKind::UnexpectedReturnType, "unexpected answer", sort.to_owned()))
}

impl RedisOptions {
    fn database(&self) -> i64 {
        i64::from(self.at.database)
    }
}

fn info(
    options: &RedisOptions,
    (host, port): &(String, u16),
    credentials: Option<&Credentials>,
    database: i64,
) -> RedisResult<ConnectionInfo> {
    let (host, port) = (host.clone(), *port);
    let at = if options.at.encrypted {
        ConnectionAddr::TcpTls {
            host,
            port,
            insecure: false,
            tls_params: None,
        }
    } else {
        ConnectionAddr::Tcp(host, port)
    };
    // It names its library otherwise, which takes a right of its own.
    let mut who = RedisConnectionInfo::default().set_skip_set_lib_name().set_db(database);
    if let Some(credentials) = credentials {
        who = who.set_password(credentials.password.expose());
        if let Some(user) = &credentials.user {
            who = who.set_username(user);
        }
    }
    Ok(at.into_connection_info()?.set_redis_settings(who))
}

fn client(options: &RedisOptions, to: ConnectionInfo) -> RedisResult<Client> {
    if options.at.encrypted {
        Client::build_with_tls(to, certificates(options)?)
    } else {
        Client::open(to)
    }
}

fn config() -> AsyncConnectionConfig {
    // The library's own limit for an answer is half a second, which a slow
    // disk exceeds; every call has a limit of its own.
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT))
        .set_response_timeout(None)
        .set_pipeline_buffer_size(WAITING)
        .set_write_backpressure_boundary(WRITE_BYTES)
}

async fn server(client: Client) -> RedisResult<Connection> {
    let mut lanes = Vec::with_capacity(LANES);
    for _ in 0..LANES {
        lanes.push(client.get_multiplexed_async_connection_with_config(&config()).await?);
    }
    Ok(Connection::Server(lanes))
}

/// Whom the sentinels take for the primary.
async fn primary(options: &RedisOptions, name: &str, turn: u32) -> RedisResult<(String, u16)> {
    let sentinels = &options.at.nodes;
    let first = usize::try_from(turn).unwrap_or(0) % sentinels.len().max(1);
    let mut last = RedisError::from((ErrorKind::EmptySentinelList, "no sentinel is named"));
    for sentinel in sentinels.iter().cycle().skip(first).take(sentinels.len()) {
        match ask_sentinel(options, sentinel, name).await {
            Ok(primary) => return Ok(primary),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn ask_sentinel(options: &RedisOptions, sentinel: &(String, u16), name: &str) -> RedisResult<(String, u16)> {
    let to = info(options, sentinel, options.sentinel_credentials.as_ref(), 0)?;
    let limited = config().set_response_timeout(Some(CONNECT));
    let client = client(options, to)?;
    let mut connection = client.get_multiplexed_async_connection_with_config(&limited).await?;
    let mut command = redis::cmd("SENTINEL");
    command.arg("GET-MASTER-ADDR-BY-NAME").arg(name);
    let said: Option<(String, u16)> = command.query_async(&mut connection).await?;
    said.ok_or_else(|| {
        let what = "the sentinel knows no primary of the name in the URL";
        RedisError::from((ErrorKind::MasterNameNotFoundBySentinel, what))
    })
}

fn certificates(options: &RedisOptions) -> RedisResult<TlsCertificates> {
    // Another part of the process may have chosen already; either will do.
    drop(rustls::crypto::ring::default_provider().install_default());
    let root_cert = options.tls.authority.as_deref().map(read).transpose()?;
    let client_tls = match &options.tls.client {
        None => None,
        Some((certificate, key)) => Some(ClientTlsConfig {
            client_cert: read(certificate)?,
            client_key: read(key)?,
        }),
    };
    Ok(TlsCertificates { client_tls, root_cert })
}

fn read(path: &Path) -> RedisResult<Vec<u8>> {
    std::fs::read(path).map_err(|e| {
        let what = format!("{} cannot be read: {e}", path.display());
        RedisError::from((ErrorKind::InvalidClientConfig, "a file of the TLS settings", what))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redis::failure::{Remedy, passes, remedy};

    #[test]
    fn a_redirection_that_a_cluster_hands_on_passes_by_itself() {
        for line in ["-MOVED 15921 127.0.0.1:6381\r\n", "-ASK 3999 127.0.0.1:6381\r\n"] {
            let answer = redis::parse_redis_value(line.as_bytes());
            let redirected = answer.and_then(Value::extract_error).unwrap_err();
            assert_eq!(
                remedy(&redirected),
                Remedy::None,
                "a single server's is for the operator"
            );
            let error = given_up(redirected);
            assert!(passes(&error), "{error}");
            assert!(error.to_string().contains("127.0.0.1:6381"), "{error}");
        }
        let other = given_up(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into());
        assert_eq!(other.kind(), ErrorKind::Io);
    }
}
