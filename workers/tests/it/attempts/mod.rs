//! Attempts against a tiny world in memory: what every kind must uphold, death
//! at every await, the rules of single kinds, and the worker over a queue.

mod administrators;
mod apps;
mod archive;
mod closing;
mod computers;
mod death;
mod devices;
mod drive;
mod ends;
mod escrow;
mod fake;
mod gone;
mod keeping;
mod kinds;
mod managed;
mod notes;
mod others;
mod premises;
mod protected;
mod remembered;
mod roles;
mod rules;
mod scripts;
mod unplanned;
mod worker;
mod workspace;
