//! Attempts against a tiny world in memory: what every kind must uphold, death
//! at every await, the rules of single kinds, and the worker over a queue.

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
