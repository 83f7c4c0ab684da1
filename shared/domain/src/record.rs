//! The form in which an event is kept: sealed under the case's own key, and
//! chained over the sealed bytes. Destroying the key erases the person, and
//! the chain still verifies.
//!
//! `hash = SHA-256("offboard.event" ‖ previous hash ‖ SHA-256(body))`, so that
//! evidence can carry each body's digest and anyone can recompute the chain's
//! head without holding a single body.

use crate::id::Digest;
use crate::time::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as B64;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;

/// One event as a ledger keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Position in the case's history, from 1.
    pub version: u64,
    /// Hash of the record before; [`Digest::ZERO`] before the first.
    pub prev: Digest,
    /// Hash of this record.
    pub hash: Digest,
    /// The bytes of a [`Body`] as JSON.
    pub body: Vec<u8>,
}

impl Record {
    /// The record that follows `prev` with this body.
    #[must_use]
    pub fn chained(version: u64, prev: Digest, body: Vec<u8>) -> Self {
        let hash = link(prev, Digest::of(&body));
        Self {
            version,
            prev,
            hash,
            body,
        }
    }
}

/// The hash of a record from the one before and its body's digest.
#[must_use]
pub fn link(prev: Digest, body: Digest) -> Digest {
    let mut h = Sha256::new();
    h.update(b"offboard.event");
    h.update(prev.0);
    h.update(body.0);
    Digest(h.finalize().into())
}

/// What stands in a record: when and what sort of event in clear, the event
/// itself sealed. A closer reads each of a case's records; their text is not
/// copied for that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body<'a> {
    /// Version of the event vocabulary.
    pub v: u16,
    /// When it was decided.
    pub at: Timestamp,
    /// The event's stored name.
    #[serde(borrow)]
    pub event: Cow<'a, str>,
    /// The sealed event: nonce and ciphertext in base64.
    #[serde(borrow)]
    pub sealed: Cow<'a, str>,
}

/// The key of one case. It does not print, and is wiped when dropped.
#[derive(Clone)]
pub struct CaseKey {
    cipher: XChaCha20Poly1305,
    nonce_key: [u8; 32],
}

impl std::fmt::Debug for CaseKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CaseKey(…)")
    }
}

/// A sealed event that does not open: another key, or changed bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("failed to open a sealed event: the case's key does not fit, or its bytes were changed")]
pub struct CannotOpen;

const NONCE_BYTES: usize = 24;

impl CaseKey {
    /// The key that the installation's master key and the case's salt make.
    /// Without the salt, which can be destroyed, nothing brings it back.
    #[must_use]
    pub fn derive(master: &[u8; 32], salt: &[u8; 32]) -> Self {
        let part = |label: &[u8]| {
            let mut h = Sha256::new();
            h.update(label);
            h.update(master);
            h.update(salt);
            <[u8; 32]>::from(h.finalize())
        };
        let mut key = part(b"offboard.case.key");
        let cipher = XChaCha20Poly1305::new((&key).into());
        key.fill(0);
        Self {
            cipher,
            nonce_key: part(b"offboard.case.nonce"),
        }
    }

    /// Seals bytes. The nonce is a digest of a secret and the bytes, so that
    /// the same input always gives the same output and two different inputs
    /// never share a nonce.
    #[must_use]
    pub fn seal(&self, aad: &[u8], plain: &[u8]) -> String {
        let d = Digest::of_parts(&[&self.nonce_key, aad, plain]);
        let mut nonce = [0; NONCE_BYTES];
        nonce.copy_from_slice(&d.0[..NONCE_BYTES]);
        let sealed = self
            .cipher
            .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad })
            .expect("an event is far below the cipher's limit of 256 GiB");
        let mut out = Vec::with_capacity(NONCE_BYTES + sealed.len());
        out.extend_from_slice(&nonce);
        out.extend_from_slice(&sealed);
        B64.encode(out)
    }

    /// Opens what [`CaseKey::seal`] sealed.
    ///
    /// # Errors
    /// [`CannotOpen`] under another key or when a byte was changed.
    pub fn open(&self, aad: &[u8], sealed: &str) -> Result<Vec<u8>, CannotOpen> {
        let bytes = B64.decode(sealed).map_err(|_| CannotOpen)?;
        let (nonce, cipher) = bytes.split_at_checked(NONCE_BYTES).ok_or(CannotOpen)?;
        let nonce = XNonce::try_from(nonce).map_err(|_| CannotOpen)?;
        self.cipher
            .decrypt(&nonce, Payload { msg: cipher, aad })
            .map_err(|_| CannotOpen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seals_open_with_their_own_key_and_place_only() {
        let key = CaseKey::derive(&[1; 32], &[2; 32]);
        let sealed = key.seal(b"3", b"event");
        assert_eq!(key.open(b"3", &sealed).unwrap(), b"event");
        assert_eq!(key.open(b"4", &sealed), Err(CannotOpen));
        assert_eq!(CaseKey::derive(&[1; 32], &[3; 32]).open(b"3", &sealed), Err(CannotOpen));
        assert_eq!(key.open(b"3", "AAAA"), Err(CannotOpen));
    }

    #[test]
    fn the_chain_depends_on_every_byte() {
        let a = Record::chained(1, Digest::ZERO, b"one".to_vec());
        let b = Record::chained(2, a.hash, b"two".to_vec());
        assert_ne!(b.hash, Record::chained(2, a.hash, b"twO".to_vec()).hash);
        assert_ne!(b.hash, Record::chained(2, Digest::ZERO, b"two".to_vec()).hash);
    }
}
