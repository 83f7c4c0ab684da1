//! A connection that is kept: one task opens it, watches it, and opens it
//! again when it is gone, for as long as the link lives.
//!
//! The client library's own recovery stays off: it tells nobody of an outage,
//! lets confirms hang until it is over, and replays what nobody here declared.
//! Here an outage ends everything that ran over the connection at once; whoever
//! needs it waits for the next one, for as long as he chooses.

use super::apart::Losses;
use super::connection::{OpenError, Opening, Socket};
use futures::StreamExt as _;
use lapin::{Connection, Event};
use offboard_runtime::retry::{Failed, Policy, retry};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, JoinHandle};

/// How often a connection is looked at that says nothing of its own accord.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long a farewell may take before the socket is simply closed.
const FAREWELL_WITHIN: Duration = Duration::from_secs(2);

/// A connection in use.
pub(super) struct Live {
    pub(super) connection: Connection,
    socket: Socket,
    lost: Notify,
}

impl Live {
    /// Gives the connection up, since nothing moves on it any more: whatever
    /// waits on it fails now.
    pub(super) fn hang_up(&self) {
        self.socket.hang_up();
        self.lost.notify_one();
    }

    /// Whether it still stands, as far as anybody knows.
    pub(super) fn connected(&self) -> bool {
        self.connection.status().connected()
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // The library says farewell when its handle goes, which helps only a
        // connection that still stands.
        if !self.connected() {
            self.socket.hang_up();
        }
    }
}

/// Whether there is a connection.
#[derive(Clone)]
enum State {
    Up(Arc<Live>),
    /// And why not.
    Down(Arc<str>),
}

/// The link. Dropped, it ends its connection.
pub(super) struct Link {
    state: Arc<watch::Sender<State>>,
    blocked: watch::Receiver<Option<Arc<str>>>,
    losses: Arc<Mutex<Losses>>,
    keeping: AbortHandle,
    kept: Mutex<Option<JoinHandle<()>>>,
}

impl Link {
    /// A link whose first connection stands; from now on it is kept.
    pub(super) async fn open(opening: Opening, policy: Policy) -> Result<Self, OpenError> {
        let (connection, socket) = opening.open().await?;
        let state = Arc::new(watch::Sender::new(State::Down(Arc::from("not begun"))));
        let (blocked, on_blocked) = watch::channel(None);
        let losses = Arc::new(Mutex::new(Losses::default()));
        let keeper = Keeper {
            opening,
            policy,
            state: Arc::clone(&state),
            blocked,
            losses: Arc::clone(&losses),
        };
        let live = keeper.up(connection, socket);
        let kept = tokio::spawn(keeper.keep(live));
        Ok(Self {
            state,
            blocked: on_blocked,
            losses,
            keeping: kept.abort_handle(),
            kept: Mutex::new(Some(kept)),
        })
    }

    /// The connection, waited for as long as this; else why there is none.
    pub(super) async fn live(&self, within: Duration) -> Result<Arc<Live>, String> {
        let mut state = self.state.subscribe();
        let standing = async {
            loop {
                let found = state.borrow_and_update().clone();
                if let State::Up(live) = found {
                    if live.connected() {
                        return live;
                    }
                    // Whoever keeps it learns of it now, and not at his next look.
                    live.lost.notify_one();
                }
                if state.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        if let Ok(live) = tokio::time::timeout(within, standing).await {
            return Ok(live);
        }
        Err(match &*self.state.borrow() {
            State::Up(_) => "the connection was lost again".to_owned(),
            State::Down(why) => format!("there is no connection to the broker: {why}"),
        })
    }

    /// The connection of this moment.
    pub(super) fn now(&self) -> Option<Arc<Live>> {
        match &*self.state.borrow() {
            State::Up(live) => Some(Arc::clone(live)),
            State::Down(_) => None,
        }
    }

    /// Why the connection does not stand, if it does not.
    pub(super) fn lost(&self) -> Option<String> {
        match &*self.state.borrow() {
            State::Up(live) if live.connected() => None,
            State::Up(_) => Some("it was closed".to_owned()),
            State::Down(why) => Some(why.to_string()),
        }
    }

    /// Whether the connection was lost again and again lately, each time soon after it was
    /// opened.
    pub(super) fn is_lost_again_and_again(&self) -> bool {
        let losses = self.losses.lock().unwrap_or_else(PoisonError::into_inner);
        losses.go_on(Instant::now())
    }

    /// Why the broker takes nothing more on this connection, if it does not.
    pub(super) fn blocked(&self) -> Option<Arc<str>> {
        self.blocked.borrow().clone()
    }

    /// Returns when the broker takes nothing more on this connection, with why.
    pub(super) async fn until_blocked(&self) -> Arc<str> {
        let mut blocked = self.blocked.clone();
        loop {
            if let Some(reason) = blocked.borrow_and_update().clone() {
                return reason;
            }
            if blocked.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Ends the connection with a farewell. There is none after it.
    pub(super) async fn close(&self) {
        self.keeping.abort();
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(kept) = kept {
            // Until it has ended, it might still open another.
            drop(kept.await);
        }
        let live = self.now();
        self.state
            .send_replace(State::Down(Arc::from("this process has said farewell")));
        if let Some(live) = live {
            farewell(&live).await;
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.keeping.abort();
    }
}

async fn farewell(live: &Live) {
    let closing = live.connection.close(200, "OK".into());
    // Whoever does not answer the farewell is left without it.
    drop(tokio::time::timeout(FAREWELL_WITHIN, closing).await);
    live.socket.hang_up();
}

/// The task behind a link.
struct Keeper {
    opening: Opening,
    policy: Policy,
    state: Arc<watch::Sender<State>>,
    blocked: watch::Sender<Option<Arc<str>>>,
    losses: Arc<Mutex<Losses>>,
}

impl Keeper {
    fn up(&self, connection: Connection, socket: Socket) -> Arc<Live> {
        let live = Arc::new(Live {
            connection,
            socket,
            lost: Notify::new(),
        });
        self.blocked.send_replace(None);
        self.state.send_replace(State::Up(Arc::clone(&live)));
        live
    }

    fn note_loss(&self, stood: Duration) {
        let mut losses = self.losses.lock().unwrap_or_else(PoisonError::into_inner);
        losses.note(stood, Instant::now());
    }

    async fn keep(self, mut live: Arc<Live>) {
        loop {
            let began = Instant::now();
            let why = self.watch(&live).await;
            self.note_loss(began.elapsed());
            let (name, address) = (&self.opening.name, &self.opening.address);
            tracing::warn!(connection = name, %address, why, "lost the connection to the broker; connecting again");
            self.state.send_replace(State::Down(Arc::from(why)));
            self.blocked.send_replace(None);
            live.socket.hang_up();
            live = self.open_again().await;
            tracing::info!(connection = name, %address, "connected to the broker again");
        }
    }

    /// Returns when the connection is gone, with the reason.
    async fn watch(&self, live: &Live) -> String {
        // One listener only: two would take each other's events.
        let mut events = live.connection.events_listener();
        let mut look = tokio::time::interval(LOOK_EVERY);
        let mut last_error = None;
        loop {
            let event = tokio::select! {
                biased;
                () = live.lost.notified() => {
                    return last_error.unwrap_or_else(|| "nothing moved on it, or it was found dead".to_owned());
                }
                event = events.next() => event,
                _ = look.tick() => None,
            };
            match event {
                Some(Event::ConnectionBlocked(reason)) => {
                    tracing::warn!(
                        connection = self.opening.name,
                        reason,
                        "the broker takes no publications now"
                    );
                    self.blocked.send_replace(Some(Arc::from(reason)));
                }
                Some(Event::ConnectionUnblocked) => {
                    tracing::info!(connection = self.opening.name, "the broker takes publications again");
                    self.blocked.send_replace(None);
                }
                // Also what ended one channel alone comes here.
                Some(Event::Error(error)) => last_error = Some(error.to_string()),
                Some(_) | None => {}
            }
            if !live.connected() {
                return last_error.unwrap_or_else(|| "it was closed".to_owned());
            }
        }
    }

    async fn open_again(&self) -> Arc<Live> {
        loop {
            let opened = retry(&self.policy, |_| async {
                self.opening.open().await.map_err(|error| {
                    tracing::warn!(connection = self.opening.name, address = %self.opening.address, %error, "failed to connect to the broker; trying again");
                    self.state.send_replace(State::Down(Arc::from(error.to_string())));
                    // What must be changed first may be changed while it runs.
                    Failed::Again(error)
                })
            });
            // A policy that gives up is taken up again: nobody else would.
            if let Ok((connection, socket)) = opened.await {
                return self.up(connection, socket);
            }
        }
    }
}
