//! The roles as processes of their own, over a real RabbitMQ and a real Redis,
//! against the simulated vendor.

mod chaos;
mod deprived;
mod doctor;
mod hybrid;
mod letters;
mod midway;
mod people;
mod readiness;
mod reload;
mod servers;
mod stage;
mod story;
mod unheard;
mod upgrade;
mod whole;
