//! DSSE 1.0.0 (github.com/secure-systems-lab/dsse, protocol.md and
//! envelope.md): what exactly is signed, and the file around it.
//!
//! DSSE leaves the envelope's outside unauthenticated: the key id, white
//! space, the flavour of base64. An envelope of ours has one form only, so
//! that no byte of the file can change unseen.

use super::statement::Statement;
use crate::id::Digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as B64;
use ed25519_dalek::pkcs8::EncodePublicKey as _;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

/// The payload type of an in-toto Statement (in-toto attestation framework v1).
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// Characters of a key id: 64 bits tell an installation's keys apart; the
/// signature itself is what binds.
const KEY_ID_CHARS: usize = 16;

/// The file. Its members are in the order in which they are written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Envelope {
    /// The statement's bytes in base64.
    pub(super) payload: String,
    /// [`PAYLOAD_TYPE`].
    #[serde(rename = "payloadType")]
    pub(super) payload_type: String,
    /// One signature.
    pub(super) signatures: Vec<EnvelopeSignature>,
}

/// One signature of an envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EnvelopeSignature {
    /// Which key made it.
    pub(super) keyid: String,
    /// Its 64 bytes in base64.
    pub(super) sig: String,
}

impl Envelope {
    /// The one form in which an envelope is written.
    pub(super) fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an envelope is plain data")
    }
}

/// The name of a public key: the first 16 hexadecimal digits of the SHA-256 of
/// its SubjectPublicKeyInfo in DER, so that
/// `openssl pkey -pubin -outform DER | sha256sum` shows it too.
#[must_use]
pub fn key_id(key: &VerifyingKey) -> String {
    let der = key
        .to_public_key_der()
        .expect("an Ed25519 public key always has a DER form");
    let mut id = Digest::of(der.as_bytes()).to_string();
    id.truncate(KEY_ID_CHARS);
    id
}

/// The bytes that are signed: DSSE's PAE of a payload and its type.
#[must_use]
pub fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut out = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    out.extend_from_slice(payload);
    out
}

/// Signs a statement: the evidence file's bytes. The same statement and key
/// always give the same bytes.
#[must_use]
pub fn seal(statement: &Statement, key: &SigningKey) -> Vec<u8> {
    let payload = serde_json::to_vec(statement).expect("a statement is plain data");
    let signature = key.sign(&pre_authentication_encoding(PAYLOAD_TYPE, &payload));
    let outside = Envelope {
        payload: String::new(),
        payload_type: PAYLOAD_TYPE.to_owned(),
        signatures: vec![EnvelopeSignature {
            keyid: key_id(&key.verifying_key()),
            sig: B64.encode(signature.to_bytes()),
        }],
    }
    .bytes();
    // No character of base64 needs an escape, so the payload, which is nearly all of the
    // file, is not looked through for one.
    let (before, after) = outside.split_at(PAYLOAD_AT);
    let mut file = String::with_capacity(outside.len() + payload.len().div_ceil(3) * 4);
    file.push_str(std::str::from_utf8(before).expect("JSON is text"));
    B64.encode_string(payload, &mut file);
    file.push_str(std::str::from_utf8(after).expect("JSON is text"));
    file.into_bytes()
}

/// Where the payload begins in an envelope's one form.
const PAYLOAD_AT: usize = r#"{"payload":""#.len();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_as_the_specification_s_example_does() {
        assert_eq!(
            pre_authentication_encoding("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }

    #[test]
    fn an_envelope_is_sealed_in_its_one_form() {
        let statement: Statement = serde_json::from_str(include_str!("testdata/small.json")).unwrap();
        let sealed = seal(&statement, &SigningKey::from_bytes(&[7; 32]));
        let envelope: Envelope = serde_json::from_slice(&sealed).unwrap();
        assert_eq!(envelope.bytes(), sealed);
        assert_eq!(
            B64.decode(&envelope.payload).unwrap(),
            serde_json::to_vec(&statement).unwrap()
        );
    }

    #[test]
    fn names_a_key_by_its_der_form() {
        // The public key of RFC 8032's first test vector, behind the fixed
        // DER prefix of RFC 8410.
        let public = [
            0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a, 0x0e, 0xe1,
            0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a,
        ];
        let mut der = vec![0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
        der.extend_from_slice(&public);
        let key = VerifyingKey::from_bytes(&public).unwrap();
        assert_eq!(key_id(&key), Digest::of(&der).to_string()[..16]);
    }
}
