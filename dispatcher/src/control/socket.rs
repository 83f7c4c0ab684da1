//! Where the socket is, for the system's sake: an address of a Unix socket may
//! have about a hundred bytes, a working folder's path may have more.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Longest address that every system takes (macOS: 104 bytes with the last
/// zero, Linux: 108).
const ADDRESS_MAX_BYTES: usize = 103;

/// An address that is short enough. It holds the folder open, if that is what
/// makes it short, and is good for as long as it lives.
pub(super) struct Address {
    path: PathBuf,
    _folder: Option<File>,
}

impl Address {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        if path.as_os_str().len() <= ADDRESS_MAX_BYTES {
            return Ok(Self {
                path: path.to_owned(),
                _folder: None,
            });
        }
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::Error::from(io::ErrorKind::InvalidFilename));
        };
        let folder = File::open(folder)?;
        let path = through(&folder)?.join(name);
        Ok(Self {
            path,
            _folder: Some(folder),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(target_os = "linux")]
fn through(folder: &File) -> io::Result<PathBuf> {
    use std::os::fd::AsRawFd as _;
    Ok(PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())))
}

#[cfg(not(target_os = "linux"))]
fn through(_: &File) -> io::Result<PathBuf> {
    Err(io::Error::other(format!(
        "its path is longer than {ADDRESS_MAX_BYTES} bytes; use a working folder with a shorter one"
    )))
}
