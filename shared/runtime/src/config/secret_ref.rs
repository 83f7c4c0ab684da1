//! Where a secret is, never the secret itself. A configuration is copied,
//! mailed and committed; so it can only point at a variable of the environment
//! or at a file that its owner alone can read.

use super::reader::Value;
use crate::private::{self, PrivateError};
use crate::secret::Secret;
use std::path::{Path, PathBuf};

/// A reference to a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretRef {
    /// In this variable of the environment.
    Env(String),
    /// In this file, alone, with or without a line's end.
    File(PathBuf),
}

/// A secret that could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The variable is not set, or is empty, or is not text.
    #[error("failed to read a secret: the environment variable {0} is not set or empty; set it before starting")]
    Env(String),
    /// The file holds nothing, or no text.
    #[error("failed to read a secret from {}: the file is empty or not text; write the secret into it, and nothing else", .0.display())]
    Empty(PathBuf),
    /// The file could not be read, or could be read by others too.
    #[error(transparent)]
    File(#[from] PrivateError),
}

impl SecretRef {
    /// Fetches the secret.
    ///
    /// # Errors
    /// [`SecretError`] if it is not there, or if its file can be read by others.
    pub fn read(&self) -> Result<Secret, SecretError> {
        self.read_with(|name| std::env::var(name).ok())
    }

    /// Fetches the secret, asking `env` for variables.
    ///
    /// # Errors
    /// As [`SecretRef::read`].
    pub fn read_with(&self, env: impl FnOnce(&str) -> Option<String>) -> Result<Secret, SecretError> {
        match self {
            Self::Env(name) => env(name)
                .filter(|v| !v.trim().is_empty())
                .map(Secret::new)
                .ok_or_else(|| SecretError::Env(name.clone())),
            Self::File(path) => {
                let bytes = private::read(path)?;
                match std::str::from_utf8(&bytes).map(str::trim) {
                    Ok(text) if !text.is_empty() => Ok(Secret::new(text)),
                    _ => Err(SecretError::Empty(path.clone())),
                }
            }
        }
    }

    /// What is wrong with the reference already now: a file that others can
    /// read. That it is absent is not: it may be mounted later.
    fn exposed(&self) -> Option<String> {
        match self {
            Self::File(path) if path.exists() => private::check(path).err().map(|e| e.to_string()),
            _ => None,
        }
    }
}

const EXPECTED: &str = "a reference, { env = \"NAME\" } or { file = \"path\" }";

/// Reads a reference; a literal is a mistake and is not repeated.
pub(super) fn read(value: &Value<'_>, base: &Path) -> Option<SecretRef> {
    if !value.is_section() {
        let what = if value.is_text() {
            "a literal secret"
        } else {
            "something else"
        };
        value.wrong(format!(
            "expected {EXPECTED}, got {what}; secrets never stand in the configuration"
        ));
        return None;
    }
    let mut section = value.section();
    let env = section.get("env").and_then(|v| {
        v.parsed("the name of an environment variable (A-Z, 0-9, _)", |s| {
            let fine = !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            fine.then(|| s.to_owned())
        })
    });
    let file = section.get("file").and_then(|v| v.filled()).map(|f| base.join(f));
    let found = match (env, file) {
        (Some(name), None) => Some(SecretRef::Env(name)),
        (None, Some(path)) => Some(SecretRef::File(path)),
        (Some(_), Some(_)) => {
            section.wrong(format!("expected {EXPECTED}, got both"));
            None
        }
        (None, None) => {
            section.wrong(format!("expected {EXPECTED}"));
            None
        }
    };
    section.done();
    if let Some(what) = found.as_ref().and_then(SecretRef::exposed) {
        value.wrong(what);
    }
    found
}
