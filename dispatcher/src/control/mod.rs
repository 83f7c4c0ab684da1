//! The local control channel: how another process on this machine looks into
//! a running engine and orders something of it.
//!
//! There is one code path. A request is answered by [`handle`], whether it came
//! over the socket of the process that holds the working folder or was made in
//! the process that opened the ledger itself because nobody else had it.
//!
//! The channel owns no rule: what may be ordered is the state machine's to
//! say. It refuses to know the network: the socket is a file in a folder of
//! its owner's, and whoever can open that file is its owner (or root). Requests
//! and answers are JSON, one a line, bounded in size and in time, so that a
//! client that hangs or lies costs one connection and nothing else.

mod client;
mod find;
mod handle;
mod message;
mod server;
mod socket;
mod summary;
mod why;

pub use client::Client;
pub use handle::handle;
pub use message::{Accepted, Approval, Buried, Gate, Request, Response, Status, Stored, What};
pub use server::Server;
pub use summary::{CaseSummary, summarise};
pub use why::{Happened, RuleView, WhyTask, WhyView};

use std::path::PathBuf;
use std::time::Duration;

/// Largest request: a hundred departures of the largest row, and room.
pub const REQUEST_MAX_BYTES: usize = 8 * 1024 * 1024;
/// Largest answer: a page of cases, or one case with everything in it.
pub const RESPONSE_MAX_BYTES: usize = 64 * 1024 * 1024;
/// Connections that are served at the same time; the next one waits.
pub const CONNECTIONS_MAX: usize = 32;
/// How long a client may be silent before its connection is closed.
pub const IDLE: Duration = Duration::from_secs(60);
/// How long an answer may take to be made and sent.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(120);
/// The longest that [`Request::Changes`] waits, in milliseconds.
pub const CHANGES_WAIT_MAX_MS: u64 = 30_000;
/// Most cases in one answer to [`Request::List`].
pub const LIST_MAX: usize = 500;

/// What went wrong with the channel itself.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The socket could not be made or reached.
    #[error("failed to {attempted} the control socket {}", path.display())]
    Socket {
        /// What was attempted.
        attempted: &'static str,
        /// Where.
        path: PathBuf,
        /// What came back.
        #[source]
        source: std::io::Error,
    },
    /// The other side ended before it had read what was asked: nothing of it was
    /// done.
    #[error("failed to ask over the control socket {}: the process that serves the folder ended; nothing was done, ask again", path.display())]
    Unheard {
        /// Where.
        path: PathBuf,
        /// What came back.
        #[source]
        source: std::io::Error,
    },
    /// The other side did not answer in time, or not sensibly.
    #[error("failed to get an answer over the control socket {}: {detail}; look with `offboard show` whether it was done before repeating it", path.display())]
    NoAnswer {
        /// Where.
        path: PathBuf,
        /// What came back instead.
        detail: String,
    },
}
