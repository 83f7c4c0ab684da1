//! The command line, and the embedded composition that it runs.
//!
//! The library is there so that the demonstration, the kill test and the bench
//! compose exactly what `offboard run` runs, with another clock, other systems
//! or other limits ([`embedded`]). Nothing else is public API.

pub mod args;
pub mod error;
