//! `escrow.log`: who opened whose recovery keys, when and why; one JSON object a
//! line, only ever added to, for its owner alone. A key is shown after its line is
//! on the disk, so there may be a line of something that nobody saw, and never the
//! other way round. No key stands in it.

use super::Ctx;
use crate::error::CliError;
use offboard_domain::{CaseId, TaskId, TenantId};
use offboard_runtime::config::{Configuration, LedgerUrl};
use offboard_runtime::private;
use serde::Serialize;
use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

const NAME: &str = "escrow.log";

/// One line.
#[derive(Debug, Serialize)]
pub(super) struct Entry<'a> {
    /// When, in RFC 3339.
    pub(super) at: String,
    /// Who.
    pub(super) by: &'a str,
    /// Whose device.
    pub(super) tenant: &'a TenantId,
    /// Of which case.
    pub(super) case: CaseId,
    /// The task that kept the keys.
    pub(super) task: TaskId,
    /// In which system the device is known.
    pub(super) system: &'a str,
    /// By which id.
    pub(super) device: &'a str,
    /// How many keys.
    pub(super) keys: usize,
    /// Why.
    pub(super) reason: &'a str,
}

/// Where it is: beside the ledger where that is a file, else in the working
/// folder; store and evidence may be elsewhere.
pub(super) fn place(ctx: &Ctx, config: &Configuration) -> PathBuf {
    match &config.engine.ledger {
        LedgerUrl::Sqlite(file) => file.with_file_name(NAME),
        LedgerUrl::Redis(_) => ctx.global.dir.join(NAME),
    }
}

/// Adds a line, which is on the disk when this returns.
pub(super) fn append(path: &Path, entry: &Entry<'_>) -> Result<(), CliError> {
    let mut line = serde_json::to_vec(entry).map_err(|e| refused(path, &e))?;
    line.push(b'\n');
    let mut file = open(path).map_err(|e| refused(path, &e))?;
    private::check(path).map_err(|e| refused(path, &e))?;
    // In one piece: two who open keys at once write one line after the other.
    file.write_all(&line)
        .and_then(|()| file.sync_all())
        .and_then(|()| sync_folder(path))
        .map_err(|e| refused(path, &e))
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)
}

/// A new name in a folder is on the disk only when the folder is.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) if cfg!(unix) => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

fn refused(path: &Path, cause: &(dyn Error + 'static)) -> CliError {
    CliError::failed(format!(
        "failed to write into {} who opens recovery keys and why, so none is shown",
        path.display()
    ))
    .caused_by(Some(cause))
    .next("let it be a file that this user alone can read and write, on a disk with room, and repeat this")
}
