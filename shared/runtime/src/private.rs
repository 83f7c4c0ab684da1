//! Files that their owner alone may read: keys and secrets.
//!
//! One place for the rule, so that no key is ever written or read around it:
//! folders 0700, files 0600, created and never overwritten, on the disk before
//! the call returns. Where the system has no such modes (not Unix), the
//! folder's own protection is all there is.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
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

/// Writes beside, and gives it its name when all of it is on the disk: no file of a
/// process that died has the name and not the bytes.
fn new_file(path: &Path, bytes: &[u8], mode: u32) -> Result<(), PrivateError> {
    let part = part_of(path);
    // Of a process of the same number that died while it wrote.
    drop(fs::remove_file(&part));
    let named = write_part(path, &part, bytes, mode).and_then(|()| name_it(&part, path));
    if named.is_err() {
        drop(fs::remove_file(&part));
    }
    named?;
    sync_folder_of(path)
}

/// Where a file is written before it has its name; no two at a time in one process.
fn part_of(path: &Path) -> PathBuf {
    static PARTS: AtomicU64 = AtomicU64::new(0);
    let (process, n) = (std::process::id(), PARTS.fetch_add(1, Ordering::Relaxed));
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{process}-{n}.part"));
    path.with_file_name(name)
}

fn write_part(path: &Path, part: &Path, bytes: &[u8], mode: u32) -> Result<(), PrivateError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(mode);
    }
    #[cfg(not(unix))]
    let _ = mode;
    let mut file = options.open(part).map_err(io_error("create", path))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(io_error("write", path))
}

/// Gives what was written its name, if nothing has it.
fn name_it(part: &Path, path: &Path) -> Result<(), PrivateError> {
    match fs::hard_link(part, path) {
        Ok(()) => fs::remove_file(part).map_err(io_error("remove", part)),
        // Where there are no links, it is looked before it is renamed.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists && !path.exists() => {
            fs::rename(part, path).map_err(io_error("create", path))
        }
        Err(error) => Err(io_error("create", path)(error)),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_has_its_name_with_all_its_bytes_or_not_at_all() {
        let dir = tempfile::tempdir().expect("a folder");
        let names = || {
            let all = fs::read_dir(dir.path()).expect("its names");
            all.map(|entry| entry.expect("a name").file_name()).collect::<Vec<_>>()
        };
        let path = dir.path().join("key");
        write_new(&path, b"first").expect("nothing has the name");
        let taken = write_new(&path, b"second").expect_err("it is taken");
        assert!(taken.to_string().starts_with("failed to create "), "{taken}");
        assert_eq!(fs::read(&path).expect("it is there"), b"first");
        // What was cut off stands beside, under no name that anybody reads.
        let cut = part_of(&path);
        assert!(cut.parent() == path.parent() && cut != path && cut.extension().is_some_and(|x| x == "part"));
        assert_eq!(names(), ["key"], "nothing else is left");
    }
}
