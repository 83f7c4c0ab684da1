//! The roles as processes of their own, over a real RabbitMQ and a real Redis,
//! against the simulated vendor.

#![expect(clippy::unwrap_used, reason = "what a test needs and does not get is its failure")]

#[path = "../offboard/account.rs"]
mod account;
#[path = "../offboard/chance.rs"]
mod chance;
mod chaos;
mod doctor;
mod hybrid;
mod letters;
mod people;
mod servers;
mod stage;
mod story;
#[path = "../offboard/support.rs"]
#[expect(
    dead_code,
    reason = "shared with the tests of the embedded mode, which use all of it"
)]
mod support;
mod upgrade;
mod whole;
