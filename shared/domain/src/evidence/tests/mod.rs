//! Evidence is tested on histories that `decide` itself made.

mod access;
mod applications;
mod before;
mod closing;
mod golden;
mod tamper;
mod world;

use super::*;
use ed25519_dalek::SigningKey;

/// A key for tests, the same in every run.
fn key() -> SigningKey {
    SigningKey::from_bytes(&[42; 32])
}
