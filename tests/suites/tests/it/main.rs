//! The suites over what is: the simulation, death at every await, evidence that
//! others verify, and what the whole tree depends on.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod evidence;
mod kinds;
mod simulation;
mod tree;
