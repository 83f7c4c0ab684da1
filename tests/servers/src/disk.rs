//! A small disk in memory: one that can be full. It takes the right to mount,
//! and says so where there is none.

use crate::StartError;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// How much [`Disk::fill`] writes at once.
static PIECE: [u8; 64 * 1024] = [0; 64 * 1024];

/// A mounted tmpfs, until it is dropped.
#[derive(Debug)]
pub struct Disk(TempDir);

impl Disk {
    /// Mounts one of so many MiB.
    ///
    /// # Errors
    /// [`StartError`] without the right to mount, with how to get it.
    pub fn mount(mib: u32) -> Result<Self, StartError> {
        let folder = tempfile::tempdir().map_err(|e| StartError(format!("failed to make a folder for a disk: {e}")))?;
        mount(folder.path(), &format!("size={mib}m"))?;
        Ok(Self(folder))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Makes it a disk of so many MiB, with what is on it.
    ///
    /// # Errors
    /// [`StartError`] with what `mount` said.
    pub fn resize(&self, mib: u32) -> Result<(), StartError> {
        mount(self.path(), &format!("remount,size={mib}m"))
    }

    /// Lets nothing be written on it any more.
    ///
    /// # Errors
    /// [`StartError`] with what `mount` said: something may still be open to be written.
    pub fn freeze(&self) -> Result<(), StartError> {
        mount(self.path(), "remount,ro")
    }

    /// Writes something useless until nothing more can be written.
    ///
    /// # Errors
    /// [`StartError`] if that cannot even be begun.
    pub fn fill(&self) -> Result<(), StartError> {
        let filler = self.filler();
        let mut file =
            File::create(&filler).map_err(|e| StartError(format!("failed to make {}: {e}", filler.display())))?;
        while file.write_all(&PIECE).is_ok() {}
        Ok(())
    }

    /// Takes away what [`Disk::fill`] wrote.
    ///
    /// # Errors
    /// [`StartError`] if it was never filled.
    pub fn free(&self) -> Result<(), StartError> {
        let filler = self.filler();
        fs::remove_file(&filler).map_err(|e| StartError(format!("failed to remove {}: {e}", filler.display())))
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Whoever still has a file open there keeps it; the folder is free.
        drop(Command::new("umount").arg("--lazy").arg(self.path()).status());
    }
}

fn mount(at: &Path, options: &str) -> Result<(), StartError> {
    let done = Command::new("mount")
        .args(["-t", "tmpfs", "-o", options, "tmpfs"])
        .arg(at)
        .output()
        .map_err(|e| StartError(format!("a small disk needs mount (Debian package 'mount'): {e}")))?;
    if done.status.success() {
        return Ok(());
    }
    Err(StartError(format!(
        "a small disk needs the right to mount a tmpfs: run this as root, in a container with --cap-add SYS_ADMIN; \
         mount said: {}",
        String::from_utf8_lossy(&done.stderr)
    )))
}
