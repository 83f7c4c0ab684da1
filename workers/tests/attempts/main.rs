//! Attempts against a tiny world in memory: what every kind must uphold, death
//! at every await, the rules of single kinds, and the worker over a queue.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod apps;
mod archive;
mod death;
mod drive;
mod fake;
mod kinds;
mod managed;
mod premises;
mod rules;
mod scripts;
mod worker;
mod workspace;
