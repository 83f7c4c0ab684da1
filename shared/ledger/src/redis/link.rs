//! The way to the store, kept up for as long as the ledger lives.
//!
//! A connection that broke, a primary that was demoted and a server that is
//! still loading are the supervisor's: it finds the primary, connects again,
//! and makes sure that it may write there. Whoever calls meanwhile waits, up
//! to his own limit. A call may be sent twice when its connection broke:
//! every script may, because it is recognised or says the same again.
//!
//! A call that is not answered in time is not sent again. Whether it was done
//! is not known, and whoever asked repeats it and is told.

use super::connect::{Connection, within};
use super::failure::{Remedy, explained, passes, remedy, why_not_connected};
use super::options::RedisOptions;
use super::script::Call;
use super::{OPEN, installation};
use crate::LedgerError;
use offboard_runtime::retry::{Failed, GaveUp, Policy, retry};
use redis::{ErrorKind, RedisError, RedisResult, Value};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

/// How long a call may take, its repetitions included. Longer than a disk
/// that stumbles, shorter than anybody's patience with a decision.
const CALL: Duration = Duration::from_secs(5);

/// Before a call is sent again that could not be served now.
const PAUSE: Duration = Duration::from_millis(100);

/// Connecting again: at once, and never rarer than a caller waits.
const RECONNECT: Policy = Policy {
    first: Duration::from_millis(50),
    longest: Duration::from_secs(2),
    ..Policy::RECONNECT
};

/// Connecting for the first time: a store that starts together with us is
/// waited for, a wrong address is soon told.
const CONNECT: Policy = Policy::ATTEMPT;

/// The way to the store.
pub(super) struct Link {
    state: watch::Receiver<State>,
    broken: mpsc::UnboundedSender<u64>,
    supervisor: JoinHandle<()>,
}

#[derive(Clone)]
enum State {
    /// Connected, for the n-th time.
    Up(u64, Connection),
    /// Not connected, and what the last try came back with.
    Down(String),
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Link")
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.supervisor.abort();
    }
}

impl Link {
    /// Connects, and keeps the connection up from then on.
    pub(super) async fn open(options: Arc<RedisOptions>) -> Result<Self, LedgerError> {
        let connection = first(&options).await.map_err(|e| explained(OPEN, &e))?;
        let (sender, state) = watch::channel(State::Up(0, connection));
        let (broken, reports) = mpsc::unbounded_channel();
        let supervisor = tokio::spawn(supervise(options, sender, reports));
        Ok(Self {
            state,
            broken,
            supervisor,
        })
    }

    /// Has a script run, and gives its answer. Calls of one lane arrive in
    /// order.
    pub(super) async fn call(&self, attempted: &'static str, lane: usize, call: &Call) -> Result<Value, LedgerError> {
        let until = Instant::now() + CALL;
        let mut command = call.short();
        let mut least = 0;
        loop {
            let (turn, connection) = self.up(least, until).await.map_err(|why| LedgerError::Unavailable {
                attempted,
                detail: format!("Redis cannot be reached: {why}"),
            })?;
            let Ok(answer) = timeout_at(until, connection.send(lane, &command)).await else {
                self.report(turn);
                return Err(LedgerError::Unavailable {
                    attempted,
                    detail: format!("Redis gave no answer within {} s", CALL.as_secs()),
                });
            };
            let error = match answer {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            match (remedy(&error), &connection) {
                (Remedy::Whole, _) => command = call.whole(),
                (Remedy::Reconnect, Connection::Server(_)) => {
                    self.report(turn);
                    least = turn + 1;
                }
                // A cluster's connection heals itself, node by node.
                (Remedy::Reconnect | Remedy::Wait, _) if Instant::now() + PAUSE < until => {
                    tokio::time::sleep(PAUSE).await;
                }
                (Remedy::Reconnect | Remedy::Wait, _) => {
                    // It had its time: perhaps none of the nodes that it knows is there.
                    self.report(turn);
                    return Err(explained(attempted, &error));
                }
                (Remedy::None, _) => return Err(explained(attempted, &error)),
            }
        }
    }

    /// The connection, as soon as there is one of that turn or a later one; or
    /// why there was none.
    async fn up(&self, least: u64, until: Instant) -> Result<(u64, Connection), String> {
        let mut state = self.state.clone();
        let of_use = |s: &State| matches!(s, State::Up(turn, _) if *turn >= least);
        if let Ok(Ok(up)) = timeout_at(until, state.wait_for(of_use)).await
            && let State::Up(turn, connection) = &*up
        {
            return Ok((*turn, connection.clone()));
        }
        match &*self.state.borrow() {
            State::Down(why) => Err(why.clone()),
            State::Up(..) => Err("the connection was lost".to_owned()),
        }
    }

    /// Says that the connection of that turn is of no use.
    fn report(&self, turn: u64) {
        // The supervisor lives as long as this.
        let _ = self.broken.send(turn);
    }
}

async fn supervise(options: Arc<RedisOptions>, state: watch::Sender<State>, mut reports: mpsc::UnboundedReceiver<u64>) {
    let mut turn = 0;
    while let Some(broken) = reports.recv().await {
        if broken != turn {
            continue;
        }
        tracing::warn!(store = %options.at, "the connection to the ledger was lost; connecting again");
        state.send_replace(State::Down("the connection was lost".to_owned()));
        match again(&options, &state).await {
            Ok(connection) => {
                turn += 1;
                tracing::info!(store = %options.at, "connected to the ledger again");
                state.send_replace(State::Up(turn, connection));
            }
            // The policy has no end, and every failure is tried again.
            Err(error) => tracing::error!(%error, "gave up connecting to the ledger"),
        }
    }
}

/// Connects for the first time; a server that is still loading is waited for.
async fn first(options: &RedisOptions) -> Result<Connection, RedisError> {
    let connected = retry(&CONNECT, |turn| async move {
        let connected = async {
            let connection = Connection::open(options, options.credentials.as_ref(), turn).await?;
            within(CALL, connection.send(0, &redis::cmd("PING"))).await?;
            Ok(connection)
        };
        connected.await.map_err(|e| {
            if passes(&e) {
                Failed::Again(e)
            } else {
                Failed::ForGood(e)
            }
        })
    });
    connected.await.map_err(|gave_up| gave_up.error)
}

/// Connects again, to a server that may be written to. What it said each time
/// that this was not possible is what callers are told.
async fn again(options: &RedisOptions, state: &watch::Sender<State>) -> Result<Connection, GaveUp<RedisError>> {
    retry(&RECONNECT, |turn| async move {
        let connected = async {
            let connection = Connection::open(options, options.credentials.as_ref(), turn).await?;
            if let Connection::Server(_) = &connection {
                within(CALL, probe(options, &connection)).await?;
            }
            Ok(connection)
        };
        connected.await.map_err(|error| {
            state.send_replace(State::Down(why_not_connected(&error)));
            Failed::Again(error)
        })
    })
    .await
}

/// Whether the server that was found may be written to, and is this
/// installation's.
async fn probe(options: &RedisOptions, connection: &Connection) -> RedisResult<()> {
    let call = installation::call(options, 0);
    let mut answer = connection.send(0, &call.short()).await;
    if answer.as_ref().is_err_and(|e| remedy(e) == Remedy::Whole) {
        answer = connection.send(0, &call.whole()).await;
    }
    let wrong = |why: String| RedisError::from((ErrorKind::InvalidClientConfig, "another installation", why));
    if installation::agreed(options, 0, answer?).map_err(wrong)? {
        tracing::error!(
            store = %options.at,
            "the ledger's store was emptied: every case that it held is missing; restore a backup before anything else"
        );
    }
    Ok(())
}
