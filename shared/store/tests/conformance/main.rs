//! One suite for every backend of the store. `laws.rs` holds one function a
//! law; a backend is an implementation of [`backend::Backend`] and one line
//! that makes a test of each law. What only a folder or a bucket can suffer is
//! in `folder.rs` and `s3.rs`.

#![expect(clippy::unwrap_used, reason = "what a test needs and does not get is its failure")]

mod backend;
mod folder;
mod laws;
mod memory;
mod s3;
