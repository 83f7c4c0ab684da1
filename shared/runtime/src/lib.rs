//! What every process of Offboard needs and no part of it owns.

pub mod clock;
pub mod secret;

pub use clock::{Clock, ScaledClock, SystemClock, TokioClock};
pub use secret::Secret;
