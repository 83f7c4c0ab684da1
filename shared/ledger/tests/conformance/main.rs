//! One suite for every backend of the ledger. `laws` holds one function a
//! law; a backend is an implementation of [`backend::Backend`] and one line
//! that makes a test of each law. What only a file can suffer is in
//! `sqlite_file.rs`, `sqlite_group.rs` and `sqlite_kill.rs`, what only a server
//! can in `redis_link.rs`, `redis_standing.rs`, `redis_rights.rs`, `redis_silence.rs`, `redis_disk.rs`,
//! `redis_torn.rs` and `redis_damaged.rs`; `model.rs` holds the backends against each other under random operations.

#![expect(clippy::unwrap_used, reason = "what a test needs and does not get is its failure")]

mod backend;
mod laws;
mod memory;
mod model;
mod pen;
mod redis;
mod redis_damaged;
mod redis_disk;
mod redis_link;
mod redis_rights;
mod redis_silence;
mod redis_standing;
mod redis_torn;
mod sqlite;
mod sqlite_file;
mod sqlite_group;
mod sqlite_kill;
