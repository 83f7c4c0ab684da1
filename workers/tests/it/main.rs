//! Workers from outside: every kind's attempts in a world in memory, and through
//! the real connectors against simulated vendors and real servers.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod apps;
mod attempts;
mod busy;
mod desk;
mod managed;
mod notes;
mod programs;
mod stage;
mod workspace;
