//! The command line as people and programs meet it: the real binary, in
//! folders of its own, over servers of its own, and nothing outside of this machine.

#![expect(clippy::unwrap_used, reason = "what a test needs and does not get is its failure")]

mod account;
mod archive;
mod buckets;
mod chance;
mod channel;
mod cluster;
mod deploy;
mod documents;
mod escrow;
mod files;
mod folder;
mod input;
mod kills;
mod mending;
mod observe;
mod pausing;
mod stage;
mod support;
mod terminal;
mod whole;
