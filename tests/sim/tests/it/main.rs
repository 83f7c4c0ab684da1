//! What the simulated world promises: each cruelty, each shape, each harm.

mod client;
mod cruelty;
mod departure;
mod http;
mod shapes;
