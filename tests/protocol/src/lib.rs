//! The protocol, as a model.

pub mod case;
pub mod history;
mod mutation;
pub mod property;
pub mod protocol;
pub mod state;

pub use mutation::Mutation;
pub use protocol::Protocol;
