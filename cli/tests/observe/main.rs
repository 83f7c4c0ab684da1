//! Departures as observability tools see them: the real binary before the
//! simulated vendor, and collectors on loopback.

#![expect(clippy::unwrap_used, reason = "what a test needs and does not get is its failure")]

mod collector;
mod stories;
mod watched;

#[path = "../offboard/stage.rs"]
#[expect(dead_code, reason = "shared with the other tests of the binary, which use the rest")]
mod stage;
#[path = "../offboard/support.rs"]
#[expect(dead_code, reason = "shared with the other tests of the binary, which use the rest")]
mod support;
