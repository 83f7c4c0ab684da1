//! Suites over the whole: the simulation, and its replay.
//!
//! The real dispatcher and workers run on one thread with paused time, over
//! seams wrapped in faults that one number decides. An auditor behind the
//! seams believes nobody and checks named invariants; a violated one is
//! printed with the command that replays its seed.

mod audit;
mod beside;
mod clock;
pub mod death;
mod invariant;
mod logs;
mod model;
mod person;
mod reading;
mod rng;
mod script;
mod seams;
mod secrets;
mod simulation;
mod transcript;
mod trouble;
mod vendor;

pub use invariant::{Invariant, Violated};
pub use simulation::{Befell, Broken, Judged, Outcome, Processes, Shape, Simulation, Workers};
