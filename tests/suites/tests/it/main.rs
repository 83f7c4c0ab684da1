//! The suites over what is: the simulation, death at every await, and evidence
//! that others verify.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod evidence;
mod kinds;
mod simulation;
