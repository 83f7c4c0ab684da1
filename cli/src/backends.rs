//! The ledger and the queue that the configuration names, opened; nothing
//! above this file knows which they are.

use crate::error::CliError;
use async_trait::async_trait;
use offboard_domain::{Area, Lane};
use offboard_ledger::redis::{Credentials, Finding, InvalidAddress, RedisAddress, RedisOptions};
use offboard_ledger::{Ledger, LedgerError, RedisLedger, SqliteLedger};
use offboard_queue::rabbit::{Address, RabbitConfig, Tls};
use offboard_queue::{Consumer, Depth, LocalQueue, Message, Queue, QueueError, QueueName, RabbitQueue, Wanted};
use offboard_runtime::config::{Access, Configuration, LedgerUrl, QueueUrl, Remote, SecretRef};
use offboard_runtime::{Clock, private};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OnceCell;

/// How long a start waits for a broker or a ledger that is not there yet: it
/// may be starting beside this process.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a command that a person typed waits.
const IMPATIENCE: Duration = Duration::from_secs(5);

/// Whether several processes share the installation.
#[must_use]
pub fn is_shared(config: &Configuration) -> bool {
    matches!(config.engine.queue, QueueUrl::Rabbit(_))
}

/// Every queue of assignments of these areas, of one site or of none.
pub fn assignments(areas: &[Area], site: Option<&str>) -> Vec<QueueName> {
    let lanes = |area: &Area| {
        [Lane::Urgent, Lane::Normal].map(|lane| QueueName::Assignments {
            area: *area,
            lane,
            site: site.map(str::to_owned),
        })
    };
    areas.iter().flat_map(lanes).collect()
}

/// Every site that a tenant's system is reached from.
#[must_use]
pub fn sites(config: &Configuration) -> BTreeSet<String> {
    let systems = config.tenants.values().flat_map(|t| t.systems.values());
    systems.filter_map(|s| s.site.clone()).collect()
}

/// The queues that every installation has, without those of sites. Without one of them a
/// dispatcher does not start.
#[must_use]
pub fn own_queues(config: &Configuration) -> Vec<QueueName> {
    let mut own = assignments(Area::MACHINES, None);
    own.extend((0..config.engine.shards).map(|shard| QueueName::Reports { shard }));
    own.extend([QueueName::Sealing, QueueName::Dead]);
    own
}

/// Every queue of an installation.
#[must_use]
pub fn all_queues(config: &Configuration) -> Vec<QueueName> {
    let mut all = own_queues(config);
    for site in sites(config) {
        all.extend(assignments(Area::MACHINES, Some(&site)));
    }
    all
}

/// The ledger of an installation.
pub enum OpenLedger {
    /// A file of this process alone.
    File(Arc<SqliteLedger>),
    /// A server that processes share.
    Server(Arc<dyn Ledger>),
}

impl OpenLedger {
    /// Opens what the configuration names.
    ///
    /// # Errors
    /// [`CliError`] if another process holds it, it cannot be reached, or it
    /// promises less than history needs.
    pub async fn open(config: &Configuration) -> Result<Self, CliError> {
        match &config.engine.ledger {
            LedgerUrl::Sqlite(file) => {
                if let Some(folder) = file.parent() {
                    private::create_folder(folder)?;
                }
                SqliteLedger::open(file).map(Self::File).map_err(|e| match &e {
                    LedgerError::Held { .. } => CliError::of(&e).held(),
                    _ => CliError::of(&e),
                })
            }
            LedgerUrl::Redis(remote) => redis(remote, config.engine.shards).await.map(Self::Server),
        }
    }

    /// Opens a file to be read alone, beside whoever has it, also where nothing can be
    /// written.
    ///
    /// # Errors
    /// [`CliError`] if that cannot be, or the configuration names a server.
    pub fn to_read(config: &Configuration) -> Result<Self, CliError> {
        match &config.engine.ledger {
            LedgerUrl::Sqlite(file) => SqliteLedger::open_to_read(file)
                .map(Self::File)
                .map_err(|e| CliError::of(&e)),
            LedgerUrl::Redis(_) => Err(CliError::usage("a server's ledger is not a file to be read alone")),
        }
    }

    /// The seam.
    #[must_use]
    pub fn seam(&self) -> Arc<dyn Ledger> {
        match self {
            Self::File(ledger) => ledger.clone(),
            Self::Server(ledger) => ledger.clone(),
        }
    }

    /// Lets it go, with everything written.
    ///
    /// # Errors
    /// [`CliError`] if a file could not be closed.
    pub async fn close(&self) -> Result<(), CliError> {
        match self {
            Self::File(ledger) => Ok(ledger.close().await?),
            Self::Server(_) => Ok(()),
        }
    }
}

async fn redis(remote: &Remote, shards: u16) -> Result<Arc<dyn Ledger>, CliError> {
    let (ledger, standing) = RedisLedger::open(redis_options(remote, shards)?)
        .await
        .map_err(|e| CliError::of(&e))?;
    for finding in standing.findings() {
        match finding {
            Finding::Refused(what) | Finding::Unchecked(what) | Finding::Warning(what) => {
                tracing::warn!("ledger: {what}");
            }
            Finding::Promise(what) => tracing::info!("ledger: {what}"),
        }
    }
    Ok(ledger)
}

/// How the store of a shared ledger is reached.
///
/// # Errors
/// [`CliError`] if the address is none, or a password cannot be read.
pub fn redis_options(remote: &Remote, shards: u16) -> Result<RedisOptions, CliError> {
    let at: RedisAddress = remote
        .url
        .parse()
        .map_err(|e: InvalidAddress| CliError::usage(e.to_string()))?;
    let mut options = RedisOptions::new(at);
    options.shards = shards;
    let access = &remote.access;
    options.tls.authority = access.ca.clone();
    options.credentials = credentials(access.user.as_ref(), access.password.as_ref())?;
    options.sentinel_credentials = credentials(access.sentinel_user.as_ref(), access.sentinel_password.as_ref())?;
    options.health_credentials = credentials(access.health_user.as_ref(), access.health_password.as_ref())?;
    Ok(options)
}

/// Who one is there; nobody without a password.
fn credentials(user: Option<&String>, password: Option<&SecretRef>) -> Result<Option<Credentials>, CliError> {
    let Some(password) = password else {
        return Ok(None);
    };
    Ok(Some(Credentials {
        user: user.cloned(),
        password: password.read()?,
    }))
}

/// A queue in this process's memory, on engine time.
#[must_use]
pub fn local(clock: &Arc<dyn Clock>) -> Arc<LocalQueue> {
    let clock = clock.clone();
    Arc::new(LocalQueue::new(Arc::new(move || clock.now())))
}

/// The broker that the configuration names, reached by a role that needs these
/// queues.
///
/// # Errors
/// [`CliError`] if none is named, it cannot be reached, or it lacks a queue.
pub async fn broker(
    config: &Configuration,
    clock: &Arc<dyn Clock>,
    role: &str,
    queues: Vec<QueueName>,
) -> Result<RabbitQueue, CliError> {
    connect(config, clock, role, queues, PATIENCE).await
}

async fn connect(
    config: &Configuration,
    clock: &Arc<dyn Clock>,
    role: &str,
    queues: Vec<QueueName>,
    patience: Duration,
) -> Result<RabbitQueue, CliError> {
    let rabbit = rabbit_config(config, clock, role, queues)?;
    RabbitQueue::connect(rabbit, patience)
        .await
        .map_err(|e| CliError::of(&e))
}

/// How the broker that the configuration names is reached by a role.
///
/// # Errors
/// [`CliError`] if none is named, or the password cannot be read.
pub fn rabbit_config(
    config: &Configuration,
    clock: &Arc<dyn Clock>,
    role: &str,
    queues: Vec<QueueName>,
) -> Result<RabbitConfig, CliError> {
    let QueueUrl::Rabbit(remote) = &config.engine.queue else {
        return Err(
            CliError::usage("this folder's queue is in memory, so its roles are one process")
                .next("run `offboard serve`; or set queue and ledger in offboard.toml to servers that processes share"),
        );
    };
    let mut address = Address::parse(&with_user(remote)).map_err(|e| CliError::usage(e.to_string()))?;
    if let Some(password) = &remote.access.password {
        address.password = Some(password.read()?);
    }
    let clock = clock.clone();
    let mut rabbit = RabbitConfig::new(address, queues, Arc::new(move || clock.now()));
    rabbit.tls = Tls {
        authorities: remote.access.ca.clone(),
        client: None,
    };
    rabbit.name = format!("offboard {role} {}", std::process::id());
    Ok(rabbit)
}

/// The virtual host of the broker that the configuration names.
///
/// # Errors
/// [`CliError`] if it names none.
pub fn vhost(remote: &Remote) -> Result<String, CliError> {
    // Whoever one is there, the virtual host is the same.
    let access = Access {
        user: Some("anybody".to_owned()),
        ..remote.access.clone()
    };
    let anybody = Remote {
        url: remote.url.clone(),
        access,
    };
    let address = Address::parse(&with_user(&anybody)).map_err(|e| CliError::usage(e.to_string()))?;
    Ok(address.vhost)
}

/// The address with the user that is configured beside it.
fn with_user(remote: &Remote) -> String {
    match (&remote.access.user, remote.url.split_once("://")) {
        (Some(user), Some((scheme, rest))) if !rest.split('/').next().unwrap_or_default().contains('@') => {
            let user = percent_encode(user);
            format!("{scheme}://{user}@{rest}")
        }
        _ => remote.url.clone(),
    }
}

fn percent_encode(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        if plain(b) {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
    }
    out
}

/// The queue of a command that a person typed: most need none, so the broker
/// is asked only when one does.
pub struct WhenNeeded {
    config: Configuration,
    clock: Arc<dyn Clock>,
    queue: OnceCell<RabbitQueue>,
}

impl WhenNeeded {
    /// Not connected yet.
    #[must_use]
    pub fn new(config: &Configuration, clock: Arc<dyn Clock>) -> Self {
        Self {
            config: config.clone(),
            clock,
            queue: OnceCell::new(),
        }
    }

    async fn queue(&self, attempted: &'static str) -> Result<&RabbitQueue, QueueError> {
        let connecting = || connect(&self.config, &self.clock, "command", vec![QueueName::Dead], IMPATIENCE);
        self.queue
            .get_or_try_init(connecting)
            .await
            .map_err(|e| QueueError::Unavailable {
                attempted,
                queue: "the broker".to_owned(),
                detail: e.brief(),
            })
    }
}

#[async_trait]
impl Queue for WhenNeeded {
    async fn publish(&self, queue: &QueueName, messages: Vec<Message>) -> Result<(), QueueError> {
        self.queue("publish to").await?.publish(queue, messages).await
    }
    async fn consume(&self, queue: &QueueName, prefetch: u16) -> Result<Box<dyn Consumer>, QueueError> {
        self.queue("consume").await?.consume(queue, prefetch).await
    }
    async fn depths(&self) -> Result<Vec<Depth>, QueueError> {
        self.queue("count").await?.depths().await
    }
    async fn dead(&self, limit: usize) -> Result<Vec<(Message, String)>, QueueError> {
        self.queue("look into").await?.dead(limit).await
    }
    async fn dead_among(&self, wanted: Wanted<'_>, limit: usize) -> Result<Vec<(Message, String)>, QueueError> {
        self.queue("look through").await?.dead_among(wanted, limit).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn who_looks_at_the_stores_settings_is_another_user_where_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("health");
        std::fs::write(&file, "s3cret").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let remote = Remote {
            url: "redis://127.0.0.1:1".to_owned(),
            access: Access {
                health_user: Some("offboard-health".to_owned()),
                health_password: Some(SecretRef::File(file)),
                ..Access::default()
            },
        };
        let options = redis_options(&remote, 1).unwrap();
        assert!(options.credentials.is_none());
        let health = options.health_credentials.unwrap();
        assert_eq!(health.user.as_deref(), Some("offboard-health"));
        assert_eq!(health.password.expose(), "s3cret");
    }
}
