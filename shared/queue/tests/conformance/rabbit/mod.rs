//! The backend on RabbitMQ: the laws, and what it promises beyond them.

mod broker;
mod dead;
mod depths;
mod faults;
mod revoked;
mod rights;
mod silence;
mod standing;
mod tls;

use crate::backend::conformance;

conformance!(crate::rabbit::broker::OnRabbit, steady);
conformance!(crate::rabbit::broker::OnRough, restarted);
