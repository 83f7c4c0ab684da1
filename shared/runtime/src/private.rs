//! Files that their owner alone may read: keys and secrets.
//!
//! One place for the rule, so that no key is ever written or read around it:
//! folders 0700, files 0600, created and never overwritten, on the disk before
//! the call returns. Where the system has no such modes (not Unix), the
//! folder's own protection is all there is.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Largest key or secret that is read: far above any, far below trouble.
const PRIVATE_FILE_MAX_BYTES: u64 = 64 * 1024;

/// A private file that could not be written or read, or is not private.
#[derive(Debug, thiserror::Error)]
pub enum PrivateError {
    /// The system said no.
    #[error("failed to {what} {}", path.display())]
    Io {
        /// What was attempted.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What came back.
        #[source]
        source: io::Error,
    },
    /// Others than the owner can read or write it.
    #[error("{} can be read by others (mode {mode:03o}); run: chmod 600 '{}'", path.display(), path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is too large to be a key or a secret.
    #[error("failed to read {}: larger than {PRIVATE_FILE_MAX_BYTES} bytes, so it is no key or secret", .0.display())]
    TooLarge(PathBuf),
}

fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PrivateError {
    let path = path.to_owned();
    move |source| PrivateError::Io { what, path, source }
}

#[cfg(unix)]
fn mode_of(meta: &fs::Metadata) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    meta.permissions().mode() & 0o777
}

#[cfg(not(unix))]
fn mode_of(_: &fs::Metadata) -> u32 {
    0o600
}

fn require_private(path: &Path, meta: &fs::Metadata) -> Result<(), PrivateError> {
    match mode_of(meta) {
        mode if mode & 0o077 == 0 => Ok(()),
        mode => Err(PrivateError::Exposed {
            path: path.to_owned(),
            mode,
        }),
    }
}

/// Refuses a file that others than its owner can use.
///
/// # Errors
/// [`PrivateError::Exposed`], or [`PrivateError::Io`] if it is not there.
pub fn check(path: &Path) -> Result<(), PrivateError> {
    let meta = fs::metadata(path).map_err(io_error("look at", path))?;
    require_private(path, &meta)
}

/// Reads a private file, after checking that it is one.
///
/// # Errors
/// [`PrivateError`].
pub fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, PrivateError> {
    let file = File::open(path).map_err(io_error("read", path))?;
    // The open file is looked at, not its name, which could be changed meanwhile.
    let meta = file.metadata().map_err(io_error("look at", path))?;
    require_private(path, &meta)?;
    if meta.len() > PRIVATE_FILE_MAX_BYTES {
        return Err(PrivateError::TooLarge(path.to_owned()));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(meta.len()).unwrap_or(0) + 1));
    file.take(PRIVATE_FILE_MAX_BYTES)
        .read_to_end(&mut bytes)
        .map_err(io_error("read", path))?;
    Ok(bytes)
}

fn new_file(path: &Path, bytes: &[u8], mode: u32) -> Result<(), PrivateError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(mode);
    }
    #[cfg(not(unix))]
    let _ = mode;
    let mut file = options.open(path).map_err(io_error("create", path))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(io_error("write", path))?;
    sync_folder_of(path)
}

/// Writes a new private file (0600).
///
/// # Errors
/// [`PrivateError::Io`], also when the file exists: nothing is overwritten.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<(), PrivateError> {
    new_file(path, bytes, 0o600)
}

/// Writes a new file that everybody may read (0644), such as a public key.
///
/// # Errors
/// [`PrivateError::Io`], also when the file exists: nothing is overwritten.
pub fn write_new_public(path: &Path, bytes: &[u8]) -> Result<(), PrivateError> {
    new_file(path, bytes, 0o644)
}

/// Moves a file over another in one step.
///
/// # Errors
/// [`PrivateError::Io`].
pub fn replace(from: &Path, to: &Path) -> Result<(), PrivateError> {
    fs::rename(from, to).map_err(io_error("replace", to))?;
    sync_folder_of(to)
}

/// Makes a folder for its owner alone (0700), with those above it; one that is
/// there is left as it is.
///
/// # Errors
/// [`PrivateError::Io`].
pub fn create_folder(path: &Path) -> Result<(), PrivateError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(path).map_err(io_error("create the folder", path))
}

/// A new name in a folder is on the disk only when the folder is.
fn sync_folder_of(path: &Path) -> Result<(), PrivateError> {
    let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) else {
        return Ok(());
    };
    if cfg!(unix) {
        File::open(folder)
            .and_then(|f| f.sync_all())
            .map_err(io_error("sync the folder", folder))?;
    }
    Ok(())
}
