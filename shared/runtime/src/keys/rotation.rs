//! Rotation: a new key follows the old one, and both say so.
//!
//! The statement is a DSSE envelope (as the evidence is) over a small JSON
//! text, signed by the old key, so that who trusts it may trust the new one,
//! and by the new key, which proves that it is held. Steps are ordered so that
//! a crash between any two leaves a key that works and a rotation that the
//! next call completes: the new private half, its public half, the statement,
//! and last the one rename that makes it current (and ends the old one).

use super::signing::{self, KeyId, PublicKey, SigningKey};
use super::{KeyError, random};
use crate::private::{self, PrivateError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as B64;
use offboard_domain::Timestamp;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// The media type of a rotation statement's payload.
pub const PAYLOAD_TYPE: &str = "application/vnd.offboard.key-rotation.v1+json";

/// What a rotation statement says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// The id of the key that ends.
    pub old_key_id: String,
    /// Its public half in PEM.
    pub old_public_key: String,
    /// The id of the key that follows.
    pub new_key_id: String,
    /// Its public half in PEM.
    pub new_public_key: String,
    /// When, in milliseconds since 1970 (UTC).
    pub rotated_at_ms: i64,
}

/// One signature of a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SignatureOf {
    keyid: String,
    sig: String,
}

/// A signed statement that one key follows another: a DSSE envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationStatement {
    #[serde(rename = "payloadType")]
    payload_type: String,
    payload: String,
    signatures: Vec<SignatureOf>,
}

/// DSSE's pre-authentication encoding, version 1.
fn pae(payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

impl RotationStatement {
    fn sign(old: &SigningKey, new: &SigningKey, at: Timestamp) -> Self {
        let rotation = Rotation {
            old_key_id: old.id().to_string(),
            old_public_key: old.public().to_pem(),
            new_key_id: new.id().to_string(),
            new_public_key: new.public().to_pem(),
            rotated_at_ms: at.0,
        };
        let payload = serde_json::to_vec(&rotation).expect("five plain fields always have a JSON form");
        let to_sign = pae(&payload);
        let sign = |key: &SigningKey| SignatureOf {
            keyid: key.id().to_string(),
            sig: B64.encode(key.sign(&to_sign)),
        };
        Self {
            payload_type: PAYLOAD_TYPE.to_owned(),
            payload: B64.encode(&payload),
            signatures: vec![sign(old), sign(new)],
        }
    }

    /// Checks both signatures, the old one against the key that is trusted,
    /// and returns what is said and the key that follows.
    ///
    /// # Errors
    /// [`KeyError::Statement`] with the first thing that does not hold.
    pub fn verify(&self, trusted: &PublicKey) -> Result<(Rotation, PublicKey), KeyError> {
        let wrong = KeyError::Statement;
        if self.payload_type != PAYLOAD_TYPE {
            return Err(wrong("its payload is of another type"));
        }
        let payload = B64
            .decode(&self.payload)
            .map_err(|_| wrong("its payload is not base64"))?;
        let rotation: Rotation =
            serde_json::from_slice(&payload).map_err(|_| wrong("its payload is not a rotation"))?;
        let new =
            PublicKey::from_pem(&rotation.new_public_key).map_err(|_| wrong("the new key is not a public key"))?;
        if rotation.old_key_id != trusted.id().as_str() || rotation.new_key_id != new.id().as_str() {
            return Err(wrong("a key's id does not belong to the key"));
        }
        let signed = pae(&payload);
        let by = |key: &PublicKey| {
            self.signatures.iter().any(|s| {
                s.keyid == key.id().as_str() && B64.decode(&s.sig).is_ok_and(|sig| key.verifies(&signed, &sig))
            })
        };
        if !by(trusted) {
            return Err(wrong("the old key has not signed it"));
        }
        if !by(&new) {
            return Err(wrong("the new key has not signed it"));
        }
        Ok((rotation, new))
    }
}

fn rotations_folder(folder: &Path) -> PathBuf {
    folder.join("rotations")
}

fn statement_path(folder: &Path, old: &KeyId, new: &KeyId) -> PathBuf {
    rotations_folder(folder).join(format!("{old}-{new}.json"))
}

/// Makes a new signing key current. Evidence that the old one signed still
/// verifies with its public half, which stays.
///
/// # Errors
/// [`KeyError`]; the old key is then still current, and the next call completes it.
pub fn rotate(folder: &Path, at: Timestamp) -> Result<SigningKey, KeyError> {
    let old = SigningKey::load(folder)?;
    old.public().keep(folder)?;
    let pending = folder.join("signing.pem.new");
    let begun = match pending.exists().then(|| SigningKey::load_file(&pending)) {
        None => None,
        Some(Ok(new)) => Some(new),
        // Cut off while it was written, so nothing was signed with it.
        Some(Err(KeyError::Malformed { path, .. })) => {
            fs::remove_file(&path).map_err(|source| PrivateError::Io {
                what: "remove",
                path,
                source,
            })?;
            None
        }
        Some(Err(error)) => return Err(error),
    };
    let new = match begun {
        Some(new) => new,
        None => {
            let new = SigningKey::from_bytes(&*random()?);
            new.write_new(&pending)?;
            new
        }
    };
    new.public().keep(folder)?;
    private::create_folder(&rotations_folder(folder))?;
    let path = statement_path(folder, old.id(), new.id());
    if !path.exists() {
        let statement = RotationStatement::sign(&old, &new, at);
        let mut json = serde_json::to_vec_pretty(&statement).expect("a statement always has a JSON form");
        json.push(b'\n');
        private::write_new_public(&path, &json)?;
    }
    private::replace(&pending, &signing::path(folder))?;
    Ok(new)
}

/// Every rotation statement of a keys folder, unverified, by file name.
///
/// # Errors
/// [`KeyError`] if one cannot be read.
pub fn rotations(folder: &Path) -> Result<Vec<RotationStatement>, KeyError> {
    let folder = rotations_folder(folder);
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let io = |what: &'static str, path: &Path| {
        let path = path.to_owned();
        move |source| KeyError::File(PrivateError::Io { what, path, source })
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(&folder).map_err(io("list", &folder))? {
        paths.push(entry.map_err(io("list", &folder))?.path());
    }
    paths.retain(|p| p.extension().is_some_and(|x| x == "json"));
    paths.sort();
    let read = |path: &PathBuf| {
        let text = fs::read(path).map_err(io("read", path))?;
        serde_json::from_slice(&text).map_err(|_| KeyError::Malformed {
            path: path.clone(),
            expected: "a rotation statement",
        })
    };
    paths.iter().map(read).collect()
}
