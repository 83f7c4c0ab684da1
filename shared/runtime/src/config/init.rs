//! Makes a working folder: commented configuration, and keys that their owner
//! alone can read. Nothing that is there is ever overwritten, so a second run
//! only adds what is missing.

use super::{ENGINE_FILE, TENANTS_FOLDER};
use crate::keys::{self, KeyError};
use crate::private::{self, PrivateError};
use std::path::{Path, PathBuf};

const ENGINE_EXAMPLE: &str = include_str!("../../../../deploy/example/offboard.toml");
const TENANT_EXAMPLE: &str = include_str!("../../../../deploy/example/tenants/contoso.toml");
/// Not `.toml`: an example must not become a tenant by being there.
const TENANT_EXAMPLE_FILE: &str = "contoso.toml.example";

/// What `init` did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Created {
    /// What it made.
    pub made: Vec<PathBuf>,
    /// What was there already, and was left as it is.
    pub kept: Vec<PathBuf>,
}

/// A working folder that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// A file or folder could not be written.
    #[error(transparent)]
    File(#[from] PrivateError),
    /// A key could not be made.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Makes a working folder in `dir`: [`ENGINE_FILE`], an example of a tenant
/// beside the tenants, and the keys.
///
/// # Errors
/// [`InitError`] if something could not be written; what was made stays.
pub fn init(dir: &Path) -> Result<Created, InitError> {
    let mut created = Created::default();
    for folder in [
        dir.to_owned(),
        dir.join(TENANTS_FOLDER),
        dir.join("data"),
        dir.join("evidence"),
    ] {
        private::create_folder(&folder)?;
    }
    let files = [
        (dir.join(ENGINE_FILE), ENGINE_EXAMPLE),
        (dir.join(TENANTS_FOLDER).join(TENANT_EXAMPLE_FILE), TENANT_EXAMPLE),
    ];
    for (path, text) in files {
        if path.exists() {
            created.kept.push(path);
        } else {
            private::write_new(&path, text.as_bytes())?;
            created.made.push(path);
        }
    }
    let made = keys::create_missing(&dir.join("keys"))?;
    created.made.extend(made.made);
    created.kept.extend(made.kept);
    Ok(created)
}
