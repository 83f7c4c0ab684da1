//! One suite for every backend of the store. `laws.rs` holds one function a
//! law; a backend is an implementation of [`backend::Backend`] and one line
//! that makes a test of each law. What only a folder or a bucket can suffer is
//! in `folder.rs`, `s3.rs` and `faces.rs`.

#![expect(clippy::unwrap_used, reason = "what a test needs and does not get is its failure")]

mod azure;
mod backend;
mod faces;
mod folder;
mod google;
mod laws;
mod memory;
mod s3;
