//! How the store stands: what would lose history, what could not be looked
//! at, and what is promised as it is set up. For whoever opens the ledger,
//! and for `doctor`.

use super::address::Shape;
use super::connect::{ANSWER, Connection, within};
use super::failure::{explained, passes};
use super::keys::ShardKeys;
use super::options::{Credentials, RedisOptions};
use super::script::{Call, RIGHTS};
use super::{OPEN, acl, answer, installation};
use crate::LedgerError;
use crate::check::broken;
use offboard_runtime::retry::{Failed, Policy, retry};
use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};
use std::collections::BTreeMap;
use std::fmt;

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// History would be lost: the ledger is not opened.
    Refused(String),
    /// It could not be looked at, and what it takes to.
    Unchecked(String),
    /// It works, and somebody should know.
    Warning(String),
    /// What is promised.
    Promise(String),
}

/// All that was found, the worst first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisStanding {
    findings: Vec<Finding>,
}

impl fmt::Display for RedisStanding {
    /// One finding a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            match finding {
                Finding::Refused(what) => writeln!(f, "refused: {what}")?,
                Finding::Unchecked(what) => writeln!(f, "not checked: {what}")?,
                Finding::Warning(what) => writeln!(f, "warning: {what}")?,
                Finding::Promise(what) => writeln!(f, "promised: {what}")?,
            }
        }
        Ok(())
    }
}

impl RedisStanding {
    /// Looks at the store, and changes nothing.
    ///
    /// # Errors
    /// [`LedgerError`] if it cannot be reached.
    pub async fn look(options: &RedisOptions) -> Result<Self, LedgerError> {
        if let Some(why) = options.wrong() {
            return Err(broken(OPEN, why));
        }
        let credentials = options.health_credentials.as_ref().or(options.credentials.as_ref());
        let seen = asked(options, credentials, |connection| async move {
            within(ANSWER, primaries(options, &connection)).await
        })
        .await?;
        let mut findings: Vec<Finding> = seen.iter().flat_map(Seen::findings).collect();
        findings.push(Finding::Promise(ERASED.to_owned()));
        Ok(Self::of(findings))
    }

    /// [`RedisStanding::look`], and whether this user may do what every append
    /// takes in the installation that is configured. That is tried on a key
    /// which stays empty; the installation is not made.
    ///
    /// # Errors
    /// [`LedgerError`] if it cannot be reached.
    pub async fn look_as_user(options: &RedisOptions) -> Result<Self, LedgerError> {
        let mut findings = Self::look(options).await?.findings;
        let refused = asked(options, options.credentials.as_ref(), |connection| async move {
            within(ANSWER, refused_to_user(options, &connection)).await
        });
        findings.extend(refused.await?.map(Finding::Refused));
        Ok(Self::of(findings))
    }

    fn of(mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|finding| match finding {
            Finding::Refused(_) => 0,
            Finding::Unchecked(_) => 1,
            Finding::Warning(_) => 2,
            Finding::Promise(_) => 3,
        });
        findings.dedup();
        Self { findings }
    }

    /// What was found, the worst first.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Why the ledger is not opened; none if it may be.
    #[must_use]
    pub fn refused(&self) -> Option<String> {
        let refusals: Vec<&str> = self
            .findings
            .iter()
            .filter_map(|f| match f {
                Finding::Refused(why) => Some(why.as_str()),
                _ => None,
            })
            .collect();
        (!refusals.is_empty()).then(|| refusals.join("; "))
    }

    /// Notes which shards were opened for the first time just now. All: a new
    /// installation. Some: one that was interrupted, or a node that has lost
    /// what it held.
    pub(super) fn new_shards(&mut self, new: &[u16], of: u16) {
        let warning = if new.len() == usize::from(of) {
            format!("a new installation of {of} shards was made; if there was one, its cases are not here")
        } else if !new.is_empty() {
            let shards: Vec<String> = new.iter().map(ToString::to_string).collect();
            format!(
                "shards {} held nothing of this installation though others do: unless its first start was \
                 interrupted, a node has lost its data; restore its backup",
                shards.join(", ")
            )
        } else {
            return;
        };
        let at = self.findings.iter().position(|f| matches!(f, Finding::Promise(_)));
        self.findings
            .insert(at.unwrap_or(self.findings.len()), Finding::Warning(warning));
    }
}

/// Asks over a connection of its own, more than once if that may help.
async fn asked<T, Asking>(
    options: &RedisOptions,
    credentials: Option<&Credentials>,
    ask: impl Fn(Connection) -> Asking,
) -> Result<T, LedgerError>
where
    Asking: Future<Output = RedisResult<T>>,
{
    let ask = &ask;
    let answered = retry(&Policy::ATTEMPT, |turn| async move {
        let answered = async { ask(Connection::open(options, credentials, turn).await?).await };
        answered.await.map_err(|e| {
            if passes(&e) {
                Failed::Again(e)
            } else {
                Failed::ForGood(e)
            }
        })
    });
    answered.await.map_err(|gave_up| match explained(OPEN, &gave_up.error) {
        LedgerError::Unavailable { attempted, detail } => LedgerError::Unavailable {
            attempted,
            detail: format!("{}: {detail}", options.at),
        },
        LedgerError::Broken { attempted, detail } => broken(attempted, format!("{}: {detail}", options.at)),
        held @ LedgerError::Held { .. } => held,
    })
}

/// What the primaries say of themselves.
async fn primaries(options: &RedisOptions, connection: &Connection) -> RedisResult<Vec<Seen>> {
    let seen = Seen::through(connection).await?;
    // Sentinels, and the nodes of a cluster, name the old primary for a moment in a
    // failover: nobody has configured anything wrong, and they may be asked again.
    let what = match options.at.shape {
        Shape::One => return Ok(seen),
        Shape::Sentinel(_) => "the server that the sentinels name is a replica; look at them if they go on naming it",
        Shape::Cluster => "a node that the cluster names as a primary is a replica; look at it if it stays one",
    };
    if seen.iter().any(Seen::is_replica) {
        return Err(RedisError::from((ErrorKind::MasterNameNotFoundBySentinel, what)));
    }
    Ok(seen)
}

/// Why the user cannot work with the installation, if it cannot.
async fn refused_to_user(options: &RedisOptions, connection: &Connection) -> RedisResult<Option<String>> {
    let keys = ShardKeys::new(&options.prefix, 0);
    let tried = connection.send(0, &Call::new(&RIGHTS, &[&keys.trial]).whole()).await;
    let Some(tried) = allowed(tried)? else {
        return Ok(Some(format!(
            "the user may not run the ledger's scripts on the keys of '{}': give it the rules of its role (deploy/redis)",
            options.prefix
        )));
    };
    let lacking = match acl::tried(tried) {
        Ok(tried) => tried.lacking,
        Err(damage) => return Ok(Some(damage)),
    };
    if !lacking.is_empty() {
        return Ok(Some(format!(
            "the user lacks rights that every append takes ({}): give it the rules of its role (deploy/redis)",
            lacking.join(" ")
        )));
    }
    let mut get = redis::cmd("GET");
    get.arg(&keys.installation);
    Ok(match connection.send(0, &get).await? {
        Value::Nil => None,
        there => answer::text(there).map_or_else(Some, |there| installation::other(options, 0, &there)),
    })
}

const ERASED: &str = "an erased person's key is gone from memory at once; from the append-only file with its next \
                      rewrite (BGREWRITEAOF), and from backups when they expire";

/// What one primary says of itself. What it does not say is not there.
struct Seen {
    node: String,
    info: Option<BTreeMap<String, String>>,
    settings: BTreeMap<&'static str, String>,
}

const POLICY: &str = "maxmemory-policy";
const APPEND_ONLY: &str = "appendonly";
const FSYNC: &str = "appendfsync";
const MIN_REPLICAS: &str = "min-replicas-to-write";
const SETTINGS: [&str; 4] = [POLICY, APPEND_ONLY, FSYNC, MIN_REPLICAS];

impl Seen {
    async fn through(connection: &Connection) -> RedisResult<Vec<Self>> {
        let mut nodes: BTreeMap<String, Self> = BTreeMap::new();
        let seen = |node: String| Self {
            node,
            info: None,
            settings: BTreeMap::new(),
        };
        if let Some(answers) = allowed(connection.ask_primaries(&redis::cmd("INFO")).await)? {
            for (node, said) in answers {
                let said: String = redis::from_redis_value(said)?;
                let fields = said.lines().filter_map(|l| l.split_once(':'));
                let fields = fields.map(|(k, v)| (k.to_owned(), v.trim().to_owned())).collect();
                nodes.entry(node.clone()).or_insert_with(|| seen(node)).info = Some(fields);
            }
        }
        for setting in SETTINGS {
            let mut command = redis::cmd("CONFIG");
            command.arg("GET").arg(setting);
            let Some(answers) = allowed(connection.ask_primaries(&command).await)? else {
                break;
            };
            for (node, said) in answers {
                let found = value_of(said)?;
                let node = nodes.entry(node.clone()).or_insert_with(|| seen(node));
                node.settings.extend(found.map(|value| (setting, value)));
            }
        }
        if nodes.is_empty() {
            nodes.insert(String::new(), seen("the store".to_owned()));
        }
        Ok(nodes.into_values().collect())
    }

    /// A setting, from wherever it is shown.
    fn says(&self, setting: &str, in_info: &str) -> Option<&str> {
        let info = || self.info.as_ref().and_then(|i| i.get(in_info));
        self.settings.get(setting).or_else(info).map(String::as_str)
    }

    fn role(&self) -> Option<&str> {
        self.info.as_ref()?.get("role").map(String::as_str)
    }

    fn is_replica(&self) -> bool {
        self.role().is_some_and(|role| role != "master")
    }

    fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let node = &self.node;
        let unchecked = |what: &str, right: &str| {
            Finding::Unchecked(format!(
                "{what} of {node}: the user may not look; give the one who does the right {right}"
            ))
        };
        match self.role() {
            Some("master") => {}
            Some(_) => findings.push(Finding::Refused(format!(
                "{node} is a replica; name the primary, or the sentinels that know it"
            ))),
            None => findings.push(unchecked("whether it is a primary, and its replicas,", "+info")),
        }
        match self.says(POLICY, "maxmemory_policy") {
            Some("noeviction") => {}
            Some(policy) => findings.push(Finding::Refused(format!(
                "{node} throws data away when its memory is full (maxmemory-policy {policy}): set maxmemory-policy \
                 noeviction"
            ))),
            None => findings.push(unchecked(
                "maxmemory-policy (it must be noeviction)",
                "+info or +config|get",
            )),
        }
        match self.says(APPEND_ONLY, "aof_enabled") {
            Some("yes" | "1") => findings.push(self.durability()),
            Some(_) => findings.push(Finding::Refused(format!(
                "{node} keeps no append-only file, so a restart loses history: set appendonly yes"
            ))),
            None => findings.push(unchecked("appendonly (it must be yes)", "+info or +config|get")),
        }
        findings.extend(self.replicas());
        findings
    }

    fn durability(&self) -> Finding {
        let node = &self.node;
        match self.settings.get(FSYNC).map(String::as_str) {
            Some("always") => Finding::Promise(format!(
                "{node} writes to its disk before it answers (appendfsync always): what was acknowledged survives a \
                 crash of the server and of its machine"
            )),
            Some("everysec") => Finding::Promise(format!(
                "{node} writes to its disk every second (appendfsync everysec): what was acknowledged survives a crash \
                 of the server; a crash of its machine or a full disk can lose the last two seconds, which is noticed \
                 and repaired"
            )),
            Some(other) => Finding::Warning(format!(
                "{node} leaves it to the system when it writes to its disk (appendfsync {other}): a crash of its \
                 machine can lose half a minute, which is noticed and repaired; set appendfsync always"
            )),
            None => Finding::Unchecked(format!(
                "appendfsync of {node}: the user may not look; give the one who does the right +config|get. Under \
                 always, what was acknowledged survives a crash of the machine; under everysec, all but the last two \
                 seconds do"
            )),
        }
    }

    fn replicas(&self) -> Option<Finding> {
        let node = &self.node;
        let number = |text: Option<&String>| text.and_then(|n| n.parse::<u32>().ok());
        let replicas = number(self.info.as_ref()?.get("connected_slaves"))?;
        let least = number(self.settings.get(MIN_REPLICAS)).unwrap_or(0);
        Some(Finding::Promise(match (replicas, least) {
            (0, _) => format!("{node} has no replica: if its disk is lost, so is all since the last backup"),
            (n, 0) => format!(
                "{node} has {n} replicas, which copy a moment behind: when one takes over, what was acknowledged last \
                 may be missing, whatever appendfsync says. That is noticed and repaired; min-replicas-to-write 1 \
                 makes the moment shorter"
            ),
            (n, least) => format!(
                "{node} has {n} replicas, of which {least} must be connected, and which copy a moment behind: when \
                 one takes over, what was acknowledged last may be missing. That is noticed and repaired"
            ),
        }))
    }
}

/// The answer; none if the user may not ask, or the store does not know the
/// question.
fn allowed<T>(answer: RedisResult<T>) -> RedisResult<Option<T>> {
    let not_for_us = |e: &RedisError| {
        let unknown = e.kind() == ErrorKind::Server(ServerErrorKind::ResponseError)
            && e.to_string().to_ascii_lowercase().contains("unknown");
        unknown || e.kind() == ErrorKind::Server(ServerErrorKind::NoPerm)
    };
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if not_for_us(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The value that `CONFIG GET` gives for one name.
fn value_of(said: Value) -> RedisResult<Option<String>> {
    let pairs: Vec<String> = match said {
        Value::Map(pairs) => pairs
            .into_iter()
            .flat_map(|(k, v)| [k, v])
            .map(redis::from_redis_value)
            .collect::<Result<_, _>>()?,
        other => redis::from_redis_value(other)?,
    };
    Ok(pairs.into_iter().nth(1))
}
