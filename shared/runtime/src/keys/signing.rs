//! The signing key and its public halves. A key's id is the first 16
//! hexadecimal digits of SHA-256 over the public key as DER (SubjectPublicKeyInfo),
//! so anybody can check it: `openssl pkey -pubin -in key.pem -outform DER | sha256sum`.

use super::{KeyError, hex, random};
use crate::private::{self, PrivateError};
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey, KeypairBytes};
use ed25519_dalek::{Signature, Signer, VerifyingKey};
use sha2::{Digest, Sha256};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

pub(super) fn path(folder: &Path) -> PathBuf {
    folder.join("signing.pem")
}

pub(super) fn public_folder(folder: &Path) -> PathBuf {
    folder.join("public")
}

/// Hexadecimal digits of a key's id.
const KEY_ID_DIGITS: usize = 16;

/// The name of a signing key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(String);

impl KeyId {
    fn of(key: &VerifyingKey) -> Self {
        // The DER of an Ed25519 SubjectPublicKeyInfo is a fixed prefix (RFC
        // 8410, section 4) and the key's 32 bytes; encoding it cannot fail.
        const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
        let mut hash = Sha256::new();
        hash.update(SPKI_PREFIX);
        hash.update(key.as_bytes());
        Self(hex(&hash.finalize())[..KEY_ID_DIGITS].to_owned())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The public half of a signing key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    key: VerifyingKey,
    id: KeyId,
}

impl PublicKey {
    fn new(key: VerifyingKey) -> Self {
        Self {
            id: KeyId::of(&key),
            key,
        }
    }

    /// Reads a public key in PEM (SPKI).
    ///
    /// # Errors
    /// [`KeyError::NotAPublicKey`].
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        VerifyingKey::from_public_key_pem(pem.trim())
            .map(Self::new)
            .map_err(|_| KeyError::NotAPublicKey)
    }

    /// The key in PEM (SPKI), as every other tool reads it.
    #[must_use]
    pub fn to_pem(&self) -> String {
        self.key
            .to_public_key_pem(LineEnding::LF)
            .expect("an Ed25519 public key always has an encoding")
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// The key for verifying.
    #[must_use]
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.key
    }

    /// Whether a signature over these bytes is this key's; strict (RFC 8032,
    /// no small-order keys).
    #[must_use]
    pub fn verifies(&self, bytes: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature).is_ok_and(|s| self.key.verify_strict(bytes, &s).is_ok())
    }

    /// Where it stands in the keys folder.
    pub(super) fn path(&self, folder: &Path) -> PathBuf {
        public_folder(folder).join(format!("{}.pem", self.id))
    }

    /// Keeps it in the keys folder; one that is there stays.
    pub(super) fn keep(&self, folder: &Path) -> Result<(), KeyError> {
        private::create_folder(&public_folder(folder))?;
        let path = self.path(folder);
        if !path.exists() {
            private::write_new_public(&path, self.to_pem().as_bytes())?;
        }
        Ok(())
    }
}

/// The private half. It does not print and is wiped when dropped.
#[derive(Clone)]
pub struct SigningKey {
    key: ed25519_dalek::SigningKey,
    public: PublicKey,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, …)", self.public.id)
    }
}

const EXPECTED: &str = "an Ed25519 private key in PEM (PKCS#8)";

impl SigningKey {
    /// A key of known bytes, for tests and simulations.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        let key = ed25519_dalek::SigningKey::from_bytes(bytes);
        Self {
            public: PublicKey::new(key.verifying_key()),
            key,
        }
    }

    /// Makes the first key of a keys folder.
    ///
    /// # Errors
    /// [`KeyError`], also when there is one already: use [`super::rotate`].
    pub fn create(folder: &Path) -> Result<Self, KeyError> {
        private::create_folder(folder)?;
        let made = Self::from_bytes(&*random()?);
        made.write_new(&path(folder))?;
        made.public.keep(folder)?;
        Ok(made)
    }

    /// Loads the current key of a keys folder.
    ///
    /// # Errors
    /// [`KeyError`] if it is absent, malformed or readable by others.
    pub fn load(folder: &Path) -> Result<Self, KeyError> {
        Self::load_file(&path(folder))
    }

    pub(super) fn load_file(path: &Path) -> Result<Self, KeyError> {
        let malformed = || KeyError::Malformed {
            path: path.to_owned(),
            expected: EXPECTED,
        };
        let bytes = private::read(path)?;
        let pem = std::str::from_utf8(&bytes).map_err(|_| malformed())?;
        let key = ed25519_dalek::SigningKey::from_pkcs8_pem(pem.trim()).map_err(|_| malformed())?;
        Ok(Self {
            public: PublicKey::new(key.verifying_key()),
            key,
        })
    }

    pub(super) fn write_new(&self, path: &Path) -> Result<(), KeyError> {
        // Version 1 of the format, without the public half: openssl before 3.2
        // and many others do not read version 2.
        let pair = KeypairBytes {
            secret_key: self.key.to_bytes(),
            public_key: None,
        };
        let pem = pair
            .to_pkcs8_pem(LineEnding::LF)
            .expect("an Ed25519 private key always has an encoding");
        private::write_new(path, pem.as_bytes())?;
        Ok(())
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &KeyId {
        &self.public.id
    }

    /// Its public half.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs bytes: 64 bytes, the same every time (RFC 8032).
    #[must_use]
    pub fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        self.key.sign(bytes).to_bytes()
    }

    /// The key itself, for sealing evidence.
    #[must_use]
    pub fn expose(&self) -> &ed25519_dalek::SigningKey {
        &self.key
    }
}

/// Every public key of a keys folder, the current and all before it, by id.
///
/// # Errors
/// [`KeyError`] if a file cannot be read or is no public key.
pub fn public_keys(folder: &Path) -> Result<Vec<PublicKey>, KeyError> {
    let public = public_folder(folder);
    let io = |what: &'static str, path: &Path| {
        let path = path.to_owned();
        move |source| KeyError::File(PrivateError::Io { what, path, source })
    };
    let mut keys = Vec::new();
    for entry in fs::read_dir(&public).map_err(io("list", &public))? {
        let path = entry.map_err(io("list", &public))?.path();
        if path.extension().is_some_and(|x| x == "pem") {
            let pem = fs::read_to_string(&path).map_err(io("read", &path))?;
            keys.push(PublicKey::from_pem(&pem).map_err(|_| KeyError::Malformed {
                path,
                expected: "an Ed25519 public key in PEM (SPKI)",
            })?);
        }
    }
    keys.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(keys)
}
