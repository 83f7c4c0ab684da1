//! The installation's master key. With a case's own salt it makes the key
//! that the case's events are sealed under; alone it opens nothing.

use super::{KeyError, create_bytes, load_bytes};
use std::fmt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

pub(super) fn path(folder: &Path) -> PathBuf {
    folder.join("master.key")
}

/// 32 random bytes that do not print and are wiped when dropped.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; 32]>);

impl MasterKey {
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

    /// A key of known bytes, for tests and simulations.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, for deriving a case's key.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}
