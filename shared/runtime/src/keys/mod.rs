//! The keys of an installation, in one folder of files.
//!
//! | file | what | who needs it |
//! |---|---|---|
//! | `signing.pem` | Ed25519 private key, PKCS#8 PEM | the closer alone |
//! | `public/<key id>.pem` | public halves, SPKI PEM, the current and all before it | anybody |
//! | `rotations/<old>-<new>.json` | statements that one key follows another, signed by both | anybody |
//! | `master.key` | 32 random bytes in hexadecimal: seals events | the dispatcher |
//! | `dispatch.key` | 32 random bytes in hexadecimal: authenticates assignments and their answers | the dispatcher |
//! | `queues/<queue>.key` | the part of it that belongs to one queue, for a worker without `dispatch.key` | the worker of that queue |
//! | `escrow.key` | 32 random bytes in hexadecimal: seals recovery keys, by tenant | who escrows (never a worker at a site), who recovers |
//!
//! Private files are 0600 in a folder of 0700 and are refused when others can
//! read them. None is ever overwritten but `signing.pem`, by a rotation.

mod dispatch;
mod escrow;
mod master;
mod rotation;
mod signing;

pub use dispatch::{ANSWER_HEADER, AnswerKey, DispatchKey, PROOF_HEADER, QUEUE_HEADER, QueueKey, QueueKeys};
pub use escrow::{ESCROW_KEY, EscrowKey, EscrowMaster};
pub use master::MasterKey;
pub use rotation::{PAYLOAD_TYPE, Rotation, RotationStatement, rotate, rotations};
pub use signing::{KeyId, PublicKey, SigningKey, public_keys};

use crate::private::{self, PrivateError};
use std::path::{Path, PathBuf};

/// A key that could not be made, read or used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Its file could not be read or written, or others can read it.
    #[error(transparent)]
    File(#[from] PrivateError),
    /// The file holds something else.
    #[error("failed to read {} as {expected}; restore it from a backup, it cannot be made again", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// Text that is no public key.
    #[error("failed to read a public key: expected Ed25519 in PEM, beginning with -----BEGIN PUBLIC KEY-----")]
    NotAPublicKey,
    /// The system gave no random bytes.
    #[error("failed to get random bytes from the system: {0}")]
    Random(getrandom::Error),
    /// A rotation statement that does not hold.
    #[error("failed to verify a rotation statement: {0}")]
    Statement(&'static str),
    /// Sealed bytes that do not open.
    #[error("failed to open what was sealed in escrow: another tenant, label or key, or its bytes were changed")]
    CannotOpen,
}

/// What was made of a keys folder, and what was there already.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeysMade {
    /// Files that were made.
    pub made: Vec<PathBuf>,
    /// Files that were there, and were left as they are.
    pub kept: Vec<PathBuf>,
}

/// Makes every key that is missing; those that are there stay.
///
/// # Errors
/// [`KeyError`] if a file could not be written, or one that is there cannot be used.
pub fn create_missing(folder: &Path) -> Result<KeysMade, KeyError> {
    private::create_folder(folder)?;
    let mut made = KeysMade::default();
    type Does = fn(&Path) -> Result<(), KeyError>;
    let keys: [(PathBuf, Does, Does); 4] = [
        (
            signing::path(folder),
            |f| SigningKey::create(f).map(drop),
            |f| SigningKey::load(f).map(drop),
        ),
        (
            master::path(folder),
            |f| MasterKey::create(f).map(drop),
            |f| MasterKey::load(f).map(drop),
        ),
        (
            dispatch::path(folder),
            |f| DispatchKey::create(f).map(drop),
            |f| DispatchKey::load(f).map(drop),
        ),
        (
            escrow::path(folder),
            |f| EscrowMaster::create(f).map(drop),
            |f| EscrowMaster::load(f).map(drop),
        ),
    ];
    for (path, make, load) in keys {
        if path.exists() {
            load(folder)?;
            made.kept.push(path);
        } else {
            make(folder)?;
            made.made.push(path);
        }
    }
    // Whoever made the key may have died before its public half was there.
    let current = SigningKey::load(folder)?;
    let half = current.public().path(folder);
    if !half.exists() {
        current.public().keep(folder)?;
        made.made.push(half);
    }
    Ok(made)
}

fn random() -> Result<zeroize::Zeroizing<[u8; 32]>, KeyError> {
    let mut bytes = zeroize::Zeroizing::new([0; 32]);
    getrandom::fill(bytes.as_mut()).map_err(KeyError::Random)?;
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> zeroize::Zeroizing<String> {
    let mut out = zeroize::Zeroizing::new(String::with_capacity(bytes.len() * 2 + 1));
    for b in bytes {
        for nibble in [b >> 4, b & 15] {
            out.push(char::from_digit(u32::from(nibble), 16).unwrap_or_default());
        }
    }
    out
}

/// Makes a file of 32 random bytes in hexadecimal.
fn create_bytes(path: &Path) -> Result<zeroize::Zeroizing<[u8; 32]>, KeyError> {
    let bytes = random()?;
    let mut text = hex(bytes.as_slice());
    text.push('\n');
    private::write_new(path, text.as_bytes())?;
    Ok(bytes)
}

/// Reads a file of 32 bytes in hexadecimal.
fn load_bytes(path: &Path) -> Result<zeroize::Zeroizing<[u8; 32]>, KeyError> {
    let malformed = || KeyError::Malformed {
        path: path.to_owned(),
        expected: "64 hexadecimal digits",
    };
    let text = private::read(path)?;
    let digits = text.trim_ascii();
    if digits.len() != 64 {
        return Err(malformed());
    }
    let mut bytes = zeroize::Zeroizing::new([0; 32]);
    for (slot, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |d: u8| char::from(d).to_digit(16).and_then(|n| u8::try_from(n).ok());
        let (Some(high), Some(low)) = (digit(pair[0]), digit(pair[1])) else {
            return Err(malformed());
        };
        *slot = high << 4 | low;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
