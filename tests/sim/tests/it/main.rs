//! What the simulated world promises: each cruelty, each shape, each harm.

#![expect(clippy::unwrap_used, reason = "a test that finds no value has failed, right there")]

mod client;
mod cruelty;
mod departure;
mod http;
mod rules;
mod shapes;
