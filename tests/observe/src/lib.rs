//! Watching Offboard from outside, as observability tools do: a collector of
//! the tests' own that keeps what it is sent ([`Sink`]), somebody else's
//! ([`Rotel`]), and what the traces of a departure must tell ([`Story`]).
//!
//! It knows the wire and nothing of the engine: any number of processes, of
//! any role, are pointed at a collector's endpoint, and their spans are one
//! story or are not.

mod rotel;
mod rotel_log;
mod sink;
mod story;

pub use rotel::Rotel;
pub use sink::Sink;
pub use story::{Seen, SpanKind, Story};
