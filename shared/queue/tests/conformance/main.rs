//! One suite for every backend of the queue. `laws.rs` holds one function a
//! law; a backend is an implementation of [`backend::Backend`] and one line
//! that makes a test of each law.

#![expect(clippy::unwrap_used, reason = "what a test needs and does not get is its failure")]

mod backend;
mod kit;
mod laws;
mod local;
mod rabbit;
