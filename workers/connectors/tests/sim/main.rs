//! Each primitive against the simulated Microsoft 365 over real HTTP: it reads
//! and writes what it says, only of whom it says, and meets each fault as the
//! class that it is.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../common/mod.rs"]
mod common;

mod devices;
mod directory;
mod faults;
mod mail;
mod mailboxes;
mod rest;
mod stage;
