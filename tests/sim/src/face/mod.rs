//! Faces: what answers in a vendor's own wire protocol.
//!
//! A face knows shapes only: paths, field names, status codes, error bodies.
//! Whether a call is allowed, applied, lost or late is the world's to say. A
//! face is a plain function from a request to an answer, so a test may also use
//! it without a socket; [`Simulator`] puts it behind real HTTP on loopback.

mod autotask;
mod bucket;
mod confluence;
mod connectwise;
mod desk;
mod google;
mod graph;
mod halo;
mod http;
mod ninja;
mod scim;
mod xml;

use std::collections::BTreeMap;

pub use autotask::AutotaskFace;
pub use bucket::{AzureBlobFace, BucketFace, GoogleStorageFace};
pub use confluence::ConfluenceFace;
pub use connectwise::ConnectWiseFace;
pub use google::{GoogleFace, public_key};
pub use graph::{Bases, GraphFace};
pub use halo::HaloFace;
pub use http::{
    BucketSimulator, Clock, ConfluenceSimulator, DeskFace, DeskSimulator, GoogleSimulator, NinjaSimulator,
    ScimSimulator, Simulator,
};
pub use ninja::NinjaFace;
pub use scim::ScimFace;

/// A request as it came over the wire.
#[derive(Debug, Clone, Default)]
pub struct WireRequest {
    /// `GET`, `POST`, …
    pub method: String,
    /// The path, still percent-encoded.
    pub path: String,
    /// What stands after the question mark, still percent-encoded.
    pub query: String,
    /// Headers by lower-case name.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
}

/// What goes back over the wire.
#[derive(Debug, Clone)]
pub enum WireAnswer {
    /// A response.
    Response(WireResponse),
    /// The connection closes without a word.
    Lost {
        /// After this many simulated milliseconds.
        latency_ms: i64,
    },
    /// The connection closes in the middle of a response.
    Torn {
        /// The response.
        response: WireResponse,
        /// How much of its body was sent until then.
        after_bytes: usize,
    },
}

/// A response.
#[derive(Debug, Clone, Default)]
pub struct WireResponse {
    /// The HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How long it took, in simulated milliseconds.
    pub latency_ms: i64,
}

impl WireAnswer {
    /// How long it took, in simulated milliseconds.
    #[must_use]
    pub fn latency_ms(&self) -> i64 {
        match self {
            Self::Response(response) => response.latency_ms,
            Self::Lost { latency_ms } => *latency_ms,
            Self::Torn { response, .. } => response.latency_ms,
        }
    }
}
