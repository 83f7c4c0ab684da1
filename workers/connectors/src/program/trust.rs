//! Who may change a program: whoever can, acts with the rights of the worker
//! that starts it, and with the secrets that it is given.
//!
//! The program itself is looked at before every run, so that one that others
//! may change is not started; folders by `offboard doctor` alone, because a
//! read-only volume shows modes that nobody can use.

use crate::Severity;
use rustix::process::geteuid;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

const OTHERS_WRITE: u32 = 0o002;
const GROUP_WRITES: u32 = 0o020;
const STICKY: u32 = 0o1000;
const ANYBODY_EXECUTES: u32 = 0o111;

/// Something about a path that should be otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flaw {
    pub severity: Severity,
    /// What is so.
    pub what: String,
    /// What to do.
    pub how_to_mend: String,
}

fn flaw(severity: Severity, what: String, how_to_mend: String) -> Flaw {
    Flaw {
        severity,
        what,
        how_to_mend,
    }
}

/// What is wrong with a file that is executed, or read by its interpreter.
pub(super) fn of_file(path: &Path, executed: bool) -> Result<Vec<Flaw>, io::Error> {
    let meta = fs::metadata(path)?;
    let shown = path.display();
    if !meta.is_file() {
        let what = format!("{shown} is no file");
        let how = "name the program itself in `command`".to_owned();
        return Ok(vec![flaw(Severity::Problem, what, how)]);
    }
    let mut flaws = changeable(path, &meta, Severity::Problem);
    if executed && meta.mode() & ANYBODY_EXECUTES == 0 {
        let what = format!("{shown} is not executable (mode {:03o})", mode(&meta));
        let how = format!("run: chmod 755 '{shown}', or name its interpreter first in `command`");
        flaws.push(flaw(Severity::Problem, what, how));
    }
    Ok(flaws)
}

/// What is wrong with the folders that lead to a file, by the name that was
/// given and by where it really is.
pub(super) fn of_folders(path: &Path) -> Vec<Flaw> {
    let mut folders: Vec<PathBuf> = path.ancestors().skip(1).map(Path::to_owned).collect();
    if let Ok(real) = fs::canonicalize(path) {
        folders.extend(real.ancestors().skip(1).map(Path::to_owned));
    }
    folders.sort();
    folders.dedup();
    folders
        .iter()
        .filter_map(|folder| Some((folder, fs::metadata(folder).ok()?)))
        // Where everybody may make files, but only an owner may replace his.
        .filter(|(_, meta)| meta.mode() & STICKY == 0)
        .flat_map(|(folder, meta)| changeable(folder, &meta, Severity::Warning))
        .collect()
}

fn mode(meta: &Metadata) -> u32 {
    meta.permissions().mode() & 0o777
}

fn changeable(path: &Path, meta: &Metadata, by_others: Severity) -> Vec<Flaw> {
    let (shown, mode) = (path.display(), mode(meta));
    let mut flaws = Vec::new();
    let me = geteuid().as_raw();
    if meta.uid() != 0 && meta.uid() != me {
        let what = format!(
            "{shown} belongs to the user with id {}, who may change what this worker runs",
            meta.uid()
        );
        let how = format!("run: chown root '{shown}'");
        flaws.push(flaw(by_others, what, how));
    }
    if mode & OTHERS_WRITE != 0 {
        let what = format!("{shown} can be changed by everybody on this machine (mode {mode:03o})");
        let how = format!("run: chmod go-w '{shown}'");
        flaws.push(flaw(by_others, what, how));
    } else if mode & GROUP_WRITES != 0 && meta.gid() != 0 {
        let what = format!(
            "{shown} can be changed by the group with id {} (mode {mode:03o})",
            meta.gid()
        );
        let how = format!("run: chmod g-w '{shown}', unless everybody in that group may act for this worker");
        flaws.push(flaw(Severity::Warning, what, how));
    }
    flaws
}
