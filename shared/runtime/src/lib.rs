//! What every process of Offboard needs and no part of it owns.

mod at_hand;
pub mod clock;
pub mod config;
pub mod disk;
pub mod health;
pub mod keys;
pub mod private;
pub mod retry;
pub mod secret;
pub mod telemetry;
mod threads;

pub use at_hand::AtHand;
pub use clock::{Clock, ScaledClock, SkewedClock, SystemClock, TokioClock};
pub use config::{Configuration, SecretRef};
pub use retry::retry;
pub use secret::Secret;
pub use threads::threads;
