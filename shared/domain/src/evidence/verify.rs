//! `verify`: a file and a public key → the statement, or the first thing that
//! is wrong with it.
//!
//! First the outside: that the file is one envelope in its one form, signed by
//! exactly this key. Then the inside: that the account bears itself out
//! ([`check::consistent`]). A sound signature over an account that does not is
//! as invalid as a broken one.

use super::check;
use super::dsse::{Envelope, PAYLOAD_TYPE, key_id, pre_authentication_encoding};
use super::invalid::Invalid;
use super::statement::{PREDICATE_TYPE, STATEMENT_TYPE, Statement};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as B64;
use ed25519_dalek::{Signature, VerifyingKey};
use serde::Deserialize;

/// Verifies an evidence file.
///
/// # Errors
/// [`Invalid`]: the first thing that is wrong.
pub fn verify(file: &[u8], key: &VerifyingKey) -> Result<Statement, Invalid> {
    let envelope: Envelope = serde_json::from_slice(file).map_err(|e| match e.classify() {
        serde_json::error::Category::Data => Invalid::NotAnEnvelope(e.to_string()),
        _ => Invalid::NotJson(e.to_string()),
    })?;
    if envelope.payload_type != PAYLOAD_TYPE {
        return Err(Invalid::PayloadType {
            found: envelope.payload_type,
        });
    }
    let [signature] = envelope.signatures.as_slice() else {
        return Err(Invalid::SignatureCount {
            found: envelope.signatures.len(),
        });
    };
    let expected = key_id(key);
    if signature.keyid != expected {
        return Err(Invalid::NoSignatureByThisKey {
            expected,
            found: signature.keyid.clone(),
        });
    }
    let written = envelope.bytes();
    if written != file {
        let offset = written.iter().zip(file).take_while(|(a, b)| a == b).count();
        return Err(Invalid::NotAsSealed { offset });
    }
    let payload = B64.decode(&envelope.payload).map_err(|_| Invalid::PayloadEncoding)?;
    let bytes = B64.decode(&signature.sig).map_err(|_| Invalid::SignatureEncoding)?;
    let signed = Signature::from_slice(&bytes).map_err(|_| Invalid::SignatureEncoding)?;
    if key
        .verify_strict(&pre_authentication_encoding(PAYLOAD_TYPE, &payload), &signed)
        .is_err()
    {
        let seen = inside(&payload).err().map(Box::new);
        return Err(Invalid::SignatureDoesNotFit { seen });
    }
    inside(&payload)
}

/// The two members that say how to read the rest.
#[derive(Deserialize)]
struct Types {
    #[serde(rename = "_type")]
    statement: String,
    #[serde(rename = "predicateType")]
    predicate: String,
}

fn inside(payload: &[u8]) -> Result<Statement, Invalid> {
    let unreadable = |e: serde_json::Error| Invalid::NotAStatement(e.to_string());
    let types: Types = serde_json::from_slice(payload).map_err(unreadable)?;
    if types.statement != STATEMENT_TYPE {
        return Err(Invalid::StatementType { found: types.statement });
    }
    if types.predicate != PREDICATE_TYPE {
        return Err(Invalid::PredicateType { found: types.predicate });
    }
    let statement = serde_json::from_slice(payload).map_err(unreadable)?;
    check::consistent(&statement)?;
    Ok(statement)
}
