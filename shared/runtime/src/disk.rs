//! Whether a disk takes what is written, and how much more.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

/// One mebibyte.
pub const MIB: u64 = 1024 * 1024;

/// What is written as a trial, in mebibytes: a full disk still takes an empty file, and a
/// few bytes where a block is left.
const TRIAL_MIB: u64 = 4;

/// Writes some mebibytes into a folder, takes them away again, and says how many bytes
/// are free there for this user.
///
/// # Errors
/// What the system said, if they could not be written.
pub fn probe(folder: &Path) -> io::Result<u64> {
    let trial = folder.join(format!(".probe-{}", std::process::id()));
    let written = write(&trial);
    let removed = fs::remove_file(&trial);
    written.and(removed)?;
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

fn write(trial: &Path) -> io::Result<()> {
    let part = vec![0x5a_u8; 1024 * 1024];
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(trial)?;
    for _ in 0..TRIAL_MIB {
        file.write_all(&part)?;
    }
    // Where a disk is full may be known only now.
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_takes_it_says_what_is_free_and_is_left_as_it_was() {
        let dir = tempfile::tempdir().expect("a folder");
        assert!(probe(dir.path()).expect("it takes some mebibytes") > 0);
        assert_eq!(fs::read_dir(dir.path()).expect("its names").count(), 0);
        assert!(probe(&dir.path().join("none")).is_err());
        let file = dir.path().join("file");
        fs::write(&file, "").expect("it takes a file");
        assert!(probe(&file).is_err());
    }
}
