//! The sealed account of a departure, which anyone can check.
//!
//! `statement` folds a case's whole history into an in-toto Statement,
//! [`seal`] signs it as a DSSE envelope, and [`verify`] needs the file and the
//! public key alone and answers yes, or the first thing that is wrong.
//!
//! The account is plain data in words of its own: whoever reads it in ten
//! years needs neither this program nor its catalogue. Nothing is claimed that
//! the chain of events does not bear: each outcome names the version of the
//! event that settled it, each approval the digest of what it bound, and
//! `verify` recomputes all of it. What is prose about a person (the text of an
//! automatic reply) is there by its digest only, and a secret is in no event
//! to begin with.

mod account;
mod check;
mod dsse;
mod invalid;
mod statement;
mod task;
mod verify;
mod when;

pub use account::{EvidenceError, Recorded, statement};
pub use dsse::{PAYLOAD_TYPE, key_id, pre_authentication_encoding, seal};
pub use invalid::Invalid;
pub use statement::*;
pub use task::*;
pub use verify::verify;
pub use when::When;

#[cfg(test)]
mod tests;
