//! The areas: one trait each, vendor-neutral, of primitives alone.
//!
//! Every value that a primitive reads is `Serialize`, so that a whole snapshot
//! can be kept as an artifact. Those values may hold personal data (names of
//! rules, addresses); facts and logs take only what [`key`](crate::Attached::key)
//! and the id accessors give.

pub mod apps;
pub mod desk;
pub mod devices;
pub mod directory;
pub mod documents;
pub mod fleet;
pub mod licenses;
pub mod mail;
pub mod mailboxes;
pub mod notes;
pub mod premises;
pub mod scripts;
pub mod workspace;
