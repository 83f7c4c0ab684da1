//! How the broker stands for the user that is configured: whether what it
//! needs is there and is what it should be, what it may do, and whether the
//! broker takes anything. For `doctor`.
//!
//! It looks with that user's own rights, and nothing is delivered, published or
//! declared by it. What no order of the protocol asks is found by what the
//! broker refuses:
//! - **Whether a queue is a quorum queue** is shown to nobody who may not
//!   configure. But a quorum queue refuses a consumer that shares its prefetch
//!   with others of its channel, and whoever may not read is refused before.
//!   The broker ends the connection with it and writes a line into its log, so
//!   each queue is tried on a connection of its own. Any other queue is tried
//!   exclusively, and only while nothing could be delivered by it: what was
//!   delivered once and returned counts as begun.
//! - **What may be published** is tried in a transaction that is rolled back.
//! - **That the broker is low** on memory or disk it tells only to whoever
//!   publishes.

use super::config::RabbitConfig;
use super::connection::OpenError;
use super::inspect::{Inspector, NoAnswer};
use super::link::{Link, Live};
use super::topology::{DEAD, exchange_of};
use super::users::{Duties, duties};
use super::{RabbitError, message};
use crate::{Message, QueueName};
use futures::StreamExt as _;
use futures::stream;
use lapin::options::{BasicConsumeOptions, BasicPublishOptions, BasicQosOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Connection, ErrorKind};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How many queues are tried at the same time.
const AT_ONCE: usize = 4;

/// AMQP's numbers for what one may not, and for what there is not.
const ACCESS_REFUSED: u16 = 403;
const NOT_IMPLEMENTED: u16 = 540;

const IMPORT: &str = "import the definitions that `offboard topology` prints (deploy/rabbitmq)";
const LOOK_AT_BROKER: &str = "look at the broker's log and at the network in between, then look again";

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It is as it should be.
    Fine(String),
    /// It works, or could not be looked at, and somebody should know.
    Warning {
        /// What.
        what: String,
        /// What to do next.
        next: String,
    },
    /// This process could not do its work.
    Problem {
        /// What.
        what: String,
        /// What to do next.
        next: String,
    },
}

fn warning(what: String, next: impl Into<String>) -> Finding {
    let next = next.into();
    Finding::Warning { what, next }
}

fn problem(what: String, next: impl Into<String>) -> Finding {
    let next = next.into();
    Finding::Problem { what, next }
}

/// All that was found, in the order in which it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RabbitStanding {
    findings: Vec<Finding>,
}

/// What trying to consume a queue has shown.
enum Tried {
    Quorum,
    /// It is of another sort.
    Other,
    /// The user may not read it.
    Refused(String),
    /// Nothing, and why.
    Nothing(String),
}

impl RabbitStanding {
    /// Looks at the broker as the user of this configuration, whose queues are
    /// all of the installation's, and changes nothing.
    ///
    /// # Errors
    /// [`RabbitError`] if it cannot be reached, or does not let the user in.
    pub async fn look(config: RabbitConfig) -> Result<Self, RabbitError> {
        let config = Arc::new(config);
        let address = config.address.to_string();
        let failed = |e: OpenError| RabbitError::Connect {
            address: address.clone(),
            detail: e.to_string(),
        };
        let server = config.opening("look").greeting().await.map_err(failed)?;
        let open = |purpose| Link::open(config.opening(purpose), config.reconnect);
        let (asking, publishing) = tokio::try_join!(open("look"), open("publish")).map_err(failed)?;
        let asking = Arc::new(asking);
        let mut look = Look {
            inspector: Inspector::new(Arc::clone(&asking), Arc::clone(&config)),
            config: &config,
            findings: vec![Finding::Fine(format!("{server} at {address} lets this user in"))],
        };
        if let Err(why) = look.all(&publishing).await {
            let what = format!("{address} did not go on answering: {why}");
            look.findings.push(problem(what, LOOK_AT_BROKER));
        }
        let findings = look.findings;
        tokio::join!(asking.close(), publishing.close());
        Ok(Self { findings })
    }

    /// What was found, in the order in which it was looked at.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }
}

struct Look<'a> {
    config: &'a Arc<RabbitConfig>,
    inspector: Inspector,
    findings: Vec<Finding>,
}

impl Look<'_> {
    /// An error is that the broker does not answer any more.
    async fn all(&mut self, publishing: &Link) -> Result<(), String> {
        let user = &self.config.address.user;
        let Some(duties) = duties(user, &self.config.queues) else {
            let what = format!("the user '{user}' is none of those that have a role, so its rights were not looked at");
            let next = "name the user of this folder's role in [connect.queue]: deploy/rabbitmq lists them";
            self.findings.push(warning(what, next));
            let everything = Duties {
                consumes: self.config.queues.clone(),
                publishes: Vec::new(),
            };
            let there = self.what_is_there(&everything).await?;
            self.the_dead(&there);
            return Ok(());
        };
        let there = self.what_is_there(&duties).await?;
        self.what_it_may_consume(&duties, &there).await;
        self.what_it_may_publish(&duties, publishing).await;
        self.the_dead(&there);
        Ok(())
    }

    /// The queues of these duties that are there, with what is ready and who consumes.
    async fn what_is_there(&mut self, duties: &Duties) -> Result<BTreeMap<QueueName, (u32, u32)>, String> {
        let mut missing = Vec::new();
        let needed: BTreeSet<&QueueName> = duties
            .consumes
            .iter()
            .chain(&duties.publishes)
            .chain([&QueueName::Dead])
            .collect();
        let exchanges: BTreeSet<&str> = needed.iter().map(|q| exchange_of(q)).collect();
        for name in exchanges {
            match self.inspector.exchange(name).await {
                Ok(()) => {}
                Err(NoAnswer::NotThere) => missing.push(format!("exchange {name}")),
                Err(NoAnswer::Failed(why)) => return Err(why),
            }
        }
        let mut there = BTreeMap::new();
        for queue in needed {
            match self.inspector.state(&queue.to_string()).await {
                Ok(state) => drop(there.insert(queue.clone(), state)),
                Err(NoAnswer::NotThere) => missing.push(format!("queue {queue}")),
                Err(NoAnswer::Failed(why)) => return Err(why),
            }
        }
        self.findings.push(if missing.is_empty() {
            Finding::Fine(format!("all {} queues that it uses are there", there.len()))
        } else {
            problem(format!("the broker lacks {}", missing.join(", ")), IMPORT)
        });
        Ok(there)
    }

    async fn what_it_may_consume(&mut self, duties: &Duties, there: &BTreeMap<QueueName, (u32, u32)>) {
        let config = self.config;
        let tried = duties.consumes.iter().filter_map(|q| Some((q, *there.get(q)?)));
        let tried = stream::iter(tried.map(|(queue, (ready, consumers))| async move {
            // Among the dead, to be delivered once more says nothing.
            let at_risk = ready > 0 && consumers == 0 && *queue != QueueName::Dead;
            let tried = if at_risk {
                Tried::Nothing("messages wait and nobody consumes them".to_owned())
            } else {
                config.try_to_consume(queue).await
            };
            (queue.to_string(), tried)
        }));
        let tried: Vec<(String, Tried)> = tried.buffered(AT_ONCE).collect().await;
        let (mut quorum, mut other, mut refused, mut open) = (0, Vec::new(), Vec::new(), Vec::new());
        let (mut why_refused, mut why_open) = (None, None);
        for (queue, tried) in tried {
            match tried {
                Tried::Quorum => quorum += 1,
                Tried::Other => other.push(queue),
                Tried::Refused(why) => {
                    why_refused.get_or_insert(why);
                    refused.push(queue);
                }
                Tried::Nothing(why) => {
                    why_open.get_or_insert(why);
                    open.push(queue);
                }
            }
        }
        if quorum > 0 {
            let what = format!("{quorum} queues that it consumes are quorum queues, and it may consume them");
            self.findings.push(Finding::Fine(what));
        }
        if !other.is_empty() {
            self.findings.push(problem(
                format!(
                    "no quorum queue, so that what a node holds is lost with it: {}",
                    other.join(", ")
                ),
                format!("delete each once it is empty, then {IMPORT}"),
            ));
        }
        if let Some(why) = why_refused {
            self.findings.push(problem(
                format!("the user may not consume {}: {why}", refused.join(", ")),
                format!("{IMPORT}: they give each user the rights of its role"),
            ));
        }
        if let Some(why) = why_open {
            let open = open.join(", ");
            self.findings.push(warning(
                format!("whether it may consume these, and whether they are quorum queues, was not looked at ({why}): {open}"),
                "look again when its consumers run",
            ));
        }
    }

    async fn what_it_may_publish(&mut self, duties: &Duties, link: &Link) {
        let mut routes: BTreeMap<&str, &QueueName> = BTreeMap::new();
        for queue in &duties.publishes {
            routes.entry(exchange_of(queue)).or_insert(queue);
        }
        // Whoever consumes a queue may bury what came from it.
        if let Some(queue) = duties.consumes.first() {
            routes.insert(DEAD, queue);
        }
        let mut may = Vec::new();
        for (exchange, queue) in routes {
            let tried = tokio::select! {
                biased;
                reason = link.until_blocked() => {
                    self.findings.push(problem(
                        format!("the broker takes no publications: {reason}"),
                        "`rabbitmq-diagnostics alarms` on its machine says what it is low on; docs/operations.md says \
                         what to do about memory and about a full disk. It goes on by itself",
                    ));
                    return;
                }
                tried = self.config.try_to_publish(link, exchange, queue) => tried,
            };
            match tried {
                Ok(()) => may.push(exchange),
                Err(why) => self.findings.push(problem(
                    format!("the user may not publish to the exchange {exchange}: {why}"),
                    format!("{IMPORT}: they give each user the rights of its role"),
                )),
            }
        }
        if !may.is_empty() {
            let what = format!(
                "the broker takes publications, and it may publish to {}",
                may.join(", ")
            );
            self.findings.push(Finding::Fine(what));
        }
    }

    fn the_dead(&mut self, there: &BTreeMap<QueueName, (u32, u32)>) {
        self.findings.push(match there.get(&QueueName::Dead) {
            None => return,
            Some((0, _)) => Finding::Fine("there is no dead letter".to_owned()),
            Some((many, _)) => warning(
                format!("dead letters: {many}"),
                "`offboard list --dead` in a dispatcher's folder shows each with its reason",
            ),
        });
    }
}

impl RabbitConfig {
    async fn try_to_consume(&self, queue: &QueueName) -> Tried {
        let (connection, socket) = match self.opening("try").open().await {
            Ok(opened) => opened,
            Err(error) => return Tried::Nothing(error.to_string()),
        };
        let tried = tokio::time::timeout(self.limits.answer, consume_shared(&connection, queue)).await;
        let tried = match tried {
            Ok(Ok(())) => Tried::Other,
            Ok(Err(error)) => match (number(&error), error.to_string()) {
                (Some(NOT_IMPLEMENTED), _) => Tried::Quorum,
                (Some(ACCESS_REFUSED), why) if why.contains("exclusive use") => Tried::Other,
                (Some(ACCESS_REFUSED), why) => Tried::Refused(why),
                (_, why) => Tried::Nothing(why),
            },
            Err(_) => Tried::Nothing("the broker did not answer".to_owned()),
        };
        // The broker has ended most of them.
        socket.hang_up();
        tried
    }

    async fn try_to_publish(&self, link: &Link, exchange: &str, queue: &QueueName) -> Result<(), String> {
        let user = ShortString::from(self.address.user.as_str());
        let empty = Message {
            id: "look".to_owned(),
            headers: BTreeMap::new(),
            body: bytes::Bytes::new(),
            expires_at: None,
        };
        let properties = message::properties(&empty, &user, (self.clock)()).unwrap_or_default();
        let live: Arc<Live> = link.live(self.limits.reconnected).await?;
        let trying = async {
            let channel = live.connection.create_channel().await?;
            channel.tx_select().await?;
            let options = BasicPublishOptions::default();
            let key = ShortString::from(queue.to_string());
            let publishing = channel.basic_publish(exchange.into(), key, options, b"", properties);
            drop(publishing.await?);
            channel.tx_rollback().await?;
            channel.close(200, "OK".into()).await
        };
        match tokio::time::timeout(self.limits.answer, trying).await {
            Ok(tried) => tried.map_err(|e: lapin::Error| e.to_string()),
            Err(_) => Err("the broker did not answer".to_owned()),
        }
    }
}

/// Consumes as a quorum queue does not allow.
async fn consume_shared(connection: &Connection, queue: &QueueName) -> lapin::Result<()> {
    let channel = connection.create_channel().await?;
    channel.basic_qos(1, BasicQosOptions { global: true }).await?;
    let alone = BasicConsumeOptions {
        exclusive: true,
        ..BasicConsumeOptions::default()
    };
    let name = queue.to_string().into();
    let consuming = channel.basic_consume(name, "".into(), alone, FieldTable::default());
    consuming.await.map(drop)
}

fn number(error: &lapin::Error) -> Option<u16> {
    match error.kind() {
        ErrorKind::ProtocolError(e) => Some(e.get_id()),
        _ => None,
    }
}
