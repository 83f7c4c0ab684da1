//! The dispatcher: takes departures in, decides, appends, publishes, takes
//! reports back, wakes what is due, and closes.
//!
//! It alone knows the ledger, and it decides nothing itself: every business
//! rule is the domain's. What it owns is the order of doing: append, then
//! publish, then acknowledge.

pub mod accounts;
pub mod admission;
mod closer;
pub mod control;
mod dead_letters;
mod effects;
mod engine;
mod follow_up;
pub mod gates;
mod gathered;
mod handing;
mod heirs;
pub mod http;
mod index;
pub mod intake;
mod kept;
mod leaving;
pub mod letters;
pub mod membership;
mod merge;
pub mod page;
mod place;
mod publish;
mod reports;
pub mod sites;
mod submit;
mod sweep;
pub mod tenants;
mod timers;
mod transact;
mod unwritten;
pub mod view;
mod vitals;

pub use closer::{Closer, Sealed, ToSeal};
pub use engine::{Engine, EngineError, Entropy, Parts};
pub use kept::Keeping;
pub use membership::Membership;
pub use submit::Submitted;
pub use unwritten::Unwritten;
