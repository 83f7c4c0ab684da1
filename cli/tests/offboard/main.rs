//! The command line as people and programs meet it: the real binary, in
//! folders of its own, and nothing outside of this machine.

#![expect(clippy::unwrap_used, reason = "what a test needs and does not get is its failure")]

mod account;
mod buckets;
mod chance;
mod channel;
mod documents;
mod folder;
mod input;
mod kills;
mod mending;
mod pausing;
mod stage;
#[expect(dead_code, reason = "shared with the tests of what is observed, which use the rest")]
mod support;
mod terminal;
mod whole;
