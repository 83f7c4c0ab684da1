//! Escrow: recovery keys of devices are kept, and only so that the tenant they
//! belong to can be given them back.
//!
//! The scheme, so that it can be opened without this program:
//! - tenant key = HMAC-SHA-256(escrow master, "offboard.escrow.key.v1" ‖ tenant handle)
//! - nonce key  = HMAC-SHA-256(escrow master, "offboard.escrow.nonce.v1" ‖ tenant handle)
//! - nonce      = the first 24 bytes of HMAC-SHA-256(nonce key, length of label as u64 big-endian ‖ label ‖ plain)
//! - file       = "OFFBOARD-ESCROW-1\n" ‖ nonce ‖ XChaCha20-Poly1305(tenant key, nonce, plain, aad = label)
//! - number key = HMAC-SHA-256(escrow master, "offboard.escrow.number.v1" ‖ tenant handle)
//! - number     = the first 8 bytes, big-endian, of HMAC-SHA-256(number key, label)
//!
//! The nonce follows from the content, so sealing the same thing twice gives
//! the same bytes (the task is convergent) and two things never share one.

use super::{KeyError, create_bytes, load_bytes};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use offboard_domain::TenantId;
use sha2::Sha256;
use std::fmt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const MAGIC: &[u8] = b"OFFBOARD-ESCROW-1\n";
const NONCE_BYTES: usize = 24;

/// What its file in a keys folder is called.
pub const ESCROW_KEY: &str = "escrow.key";

pub(super) fn path(folder: &Path) -> PathBuf {
    folder.join(ESCROW_KEY)
}

fn mac(key: &[u8; 32], parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    Zeroizing::new(mac.finalize().into_bytes().into())
}

/// The master of all tenants' escrow keys.
#[derive(Clone)]
pub struct EscrowMaster(Zeroizing<[u8; 32]>);

impl EscrowMaster {
    /// Makes one in a keys folder.
    ///
    /// # Errors
    /// [`KeyError`], also when there is one already.
    pub fn create(folder: &Path) -> Result<Self, KeyError> {
        create_bytes(&path(folder)).map(Self)
    }

    /// Loads the one in a keys folder.
    ///
    /// # Errors
    /// [`KeyError`] if it is absent, malformed or readable by others.
    pub fn load(folder: &Path) -> Result<Self, KeyError> {
        load_bytes(&path(folder)).map(Self)
    }

    /// A master of known bytes, for tests and simulations.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// One tenant's key.
    #[must_use]
    pub fn tenant(&self, tenant: &TenantId) -> EscrowKey {
        let handle = tenant.as_str().as_bytes();
        EscrowKey {
            key: mac(&self.0, &[b"offboard.escrow.key.v1", handle]),
            nonce_key: mac(&self.0, &[b"offboard.escrow.nonce.v1", handle]),
            number_key: mac(&self.0, &[b"offboard.escrow.number.v1", handle]),
        }
    }
}

impl fmt::Debug for EscrowMaster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EscrowMaster(…)")
    }
}

/// One tenant's escrow key.
#[derive(Clone)]
pub struct EscrowKey {
    key: Zeroizing<[u8; 32]>,
    nonce_key: Zeroizing<[u8; 32]>,
    number_key: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for EscrowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EscrowKey(…)")
    }
}

impl EscrowKey {
    /// A number that nobody can tell without this key, always the same for a label:
    /// for a code that is set somewhere and must be told again by whoever goes on
    /// after a crash.
    #[must_use]
    pub fn number(&self, label: &str) -> u64 {
        let tag = mac(&self.number_key, &[label.as_bytes()]);
        tag.iter()
            .take(8)
            .fold(0, |number, byte| (number << 8) | u64::from(*byte))
    }

    /// Seals bytes under a label, such as the case and the device's id; it
    /// opens under the same label only.
    #[must_use]
    pub fn seal(&self, label: &str, plain: &[u8]) -> Vec<u8> {
        let length = (label.len() as u64).to_be_bytes();
        let tag = mac(&self.nonce_key, &[&length, label.as_bytes(), plain]);
        let mut nonce = [0; NONCE_BYTES];
        nonce.copy_from_slice(&tag[..NONCE_BYTES]);
        let sealed = self
            .cipher()
            .encrypt(
                &XNonce::from(nonce),
                Payload {
                    msg: plain,
                    aad: label.as_bytes(),
                },
            )
            .expect("a recovery key is far below the cipher's limit of 256 GiB");
        [MAGIC, &nonce, &sealed].concat()
    }

    /// Opens what [`EscrowKey::seal`] sealed.
    ///
    /// # Errors
    /// [`KeyError::CannotOpen`] under another tenant's key, another label, or
    /// when a byte was changed.
    pub fn open(&self, label: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let rest = sealed.strip_prefix(MAGIC).ok_or(KeyError::CannotOpen)?;
        let (nonce, rest) = rest.split_at_checked(NONCE_BYTES).ok_or(KeyError::CannotOpen)?;
        let nonce = XNonce::try_from(nonce).map_err(|_| KeyError::CannotOpen)?;
        self.cipher()
            .decrypt(
                &nonce,
                Payload {
                    msg: rest,
                    aad: label.as_bytes(),
                },
            )
            .map(Zeroizing::new)
            .map_err(|_| KeyError::CannotOpen)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.key).into())
    }
}
