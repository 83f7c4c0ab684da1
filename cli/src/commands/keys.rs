//! `offboard keys`.

use super::Ctx;
use crate::args::Keys;
use crate::backends::assignments;
use crate::error::{CliError, Exit};
use crate::show::Table;
use offboard_domain::{Area, Timestamp};
use offboard_queue::QueueName;
use offboard_runtime::keys::{self, DispatchKey, PublicKey, SigningKey};
use offboard_runtime::{Clock as _, SystemClock, private};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Largest key or secret that is copied: far above any, far below trouble.
const MOUNTED_MAX_BYTES: usize = 64 * 1024;

pub(super) fn run(ctx: &Ctx, what: &Keys) -> Result<Exit, CliError> {
    let folder = || ctx.load_what_reads().map(|config| config.engine.keys);
    match what {
        Keys::Create => create(ctx, &folder()?),
        Keys::Rotate => rotate(ctx, &folder()?, SystemClock.now()),
        Keys::Export { id } => export(ctx, &folder()?, id.as_deref()),
        Keys::List => list(ctx, &folder()?),
        Keys::Worker { areas, site, to } => worker(ctx, &folder()?, areas, site.as_deref(), to),
        // Asks no configuration: what that points at is only now put there.
        Keys::Copy { from, to } => copy(ctx, from, to),
    }
}

fn create(ctx: &Ctx, folder: &Path) -> Result<Exit, CliError> {
    let made = keys::create_missing(folder)?;
    if ctx.out.is_json() {
        ctx.out.document(&json!({ "made": made.made, "kept": made.kept }))?;
        return Ok(Exit::Done);
    }
    for path in &made.made {
        ctx.out.line(&format!("made  {}", path.display()))?;
    }
    for path in &made.kept {
        ctx.out.line(&format!("kept  {}", path.display()))?;
    }
    Ok(Exit::Done)
}

/// The keys of a worker's queues, and nothing that opens more.
fn worker(ctx: &Ctx, folder: &Path, areas: &[Area], site: Option<&str>, to: &Path) -> Result<Exit, CliError> {
    let dispatch = DispatchKey::load(folder)?;
    let areas = if areas.is_empty() { Area::MACHINES } else { areas };
    let mut made = Vec::new();
    for queue in assignments(areas, site) {
        let name = queue.to_string();
        made.push(dispatch.queue(&name).save(to, &name)?);
    }
    if ctx.out.is_json() {
        ctx.out.document(&json!({ "made": made }))?;
        return Ok(Exit::Done);
    }
    for path in &made {
        ctx.out.line(&format!("made  {}", path.display()))?;
    }
    Ok(Exit::Done)
}

/// Keys and secrets that somebody mounted, made this user's own.
///
/// Which folder may be read by whom is here the mounting one's to say; what is
/// written is private, as every reader of a key demands. The folder may hold
/// what an earlier start copied: it is replaced, file by file, each in one step.
fn copy(ctx: &Ctx, from: &Path, to: &Path) -> Result<Exit, CliError> {
    let mut copied = Vec::new();
    for (name, file) in mounted(from)? {
        let bytes = read_mounted(&file)?;
        let queue = name.strip_suffix(".key").filter(|q| q.parse::<QueueName>().is_ok());
        let folder = if queue.is_some() {
            to.join("queues")
        } else if name.ends_with(".pem") && is_public(&bytes) {
            to.join("public")
        } else {
            to.to_owned()
        };
        private::create_folder(&folder)?;
        let (fresh, path) = (folder.join(format!(".{name}.new")), folder.join(&name));
        if fresh.exists() {
            // A copy that was cut off.
            fs::remove_file(&fresh).map_err(|e| failed("remove", &fresh, &e))?;
        }
        private::write_new(&fresh, &bytes)?;
        private::replace(&fresh, &path)?;
        copied.push(path);
    }
    if copied.is_empty() {
        return Err(CliError::usage(format!("{} holds no file", from.display()))
            .next("mount the keys of this role there; docs/operations.md says which"));
    }
    if ctx.out.is_json() {
        ctx.out.document(&json!({ "copied": copied }))?;
        return Ok(Exit::Done);
    }
    for path in &copied {
        ctx.out.line(&format!("copied  {}", path.display()))?;
    }
    Ok(Exit::Done)
}

/// Whether it is the public half of a key that signs: neither a certificate nor a private key
/// reads as one.
fn is_public(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| PublicKey::from_pem(text).is_ok())
}

/// The files of a mounted folder by name, in order. What begins with a dot is
/// the mounting one's own: Kubernetes keeps generations of a secret there.
fn mounted(from: &Path) -> Result<BTreeMap<String, PathBuf>, CliError> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(from).map_err(|e| failed("list", from, &e))? {
        let path = entry.map_err(|e| failed("list", from, &e))?.path();
        let name = path.file_name().and_then(|n| n.to_str()).map(str::to_owned);
        // The name is often a link.
        let meta = fs::metadata(&path).map_err(|e| failed("look at", &path, &e))?;
        if let Some(name) = name.filter(|n| meta.is_file() && !n.starts_with('.')) {
            files.insert(name, path);
        }
    }
    Ok(files)
}

fn read_mounted(file: &Path) -> Result<Zeroizing<Vec<u8>>, CliError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(MOUNTED_MAX_BYTES + 1));
    let read = fs::File::open(file).and_then(|f| f.take(MOUNTED_MAX_BYTES as u64 + 1).read_to_end(&mut bytes));
    read.map_err(|e| failed("read", file, &e))?;
    if bytes.len() > MOUNTED_MAX_BYTES {
        return Err(CliError::usage(format!(
            "{} is larger than {MOUNTED_MAX_BYTES} bytes, so it is no key or secret",
            file.display()
        )));
    }
    Ok(bytes)
}

fn failed(what: &str, path: &Path, error: &io::Error) -> CliError {
    CliError::failed(format!("failed to {what} {}", path.display())).caused_by(Some(error))
}

fn rotate(ctx: &Ctx, folder: &Path, now: Timestamp) -> Result<Exit, CliError> {
    let old = SigningKey::load(folder)?;
    let new = keys::rotate(folder, now)?;
    if ctx.out.is_json() {
        ctx.out
            .document(&json!({ "old": old.id().as_str(), "new": new.id().as_str() }))?;
    } else {
        ctx.out.line(&format!("{} follows {}", new.id(), old.id()))?;
    }
    ctx.out.say("Evidence of the old key still verifies with its public half. A running `offboard serve` signs with the old key until it is restarted.");
    Ok(Exit::Done)
}

fn export(ctx: &Ctx, folder: &Path, id: Option<&str>) -> Result<Exit, CliError> {
    let key = match id {
        None => SigningKey::load(folder)?.public().clone(),
        Some(id) => named(folder, id)?,
    };
    if ctx.out.is_json() {
        ctx.out
            .document(&json!({ "id": key.id().as_str(), "pem": key.to_pem() }))?;
    } else {
        ctx.out.data(&key.to_pem())?;
    }
    Ok(Exit::Done)
}

fn named(folder: &Path, id: &str) -> Result<PublicKey, CliError> {
    let fits = |k: &PublicKey| k.id().as_str().starts_with(id);
    let mut found: Vec<PublicKey> = keys::public_keys(folder)?.into_iter().filter(fits).collect();
    match (found.pop(), found.is_empty()) {
        (Some(key), true) => Ok(key),
        (Some(_), false) => {
            Err(CliError::usage(format!("'{id}' fits several keys")).next("`offboard keys list` shows their ids"))
        }
        (None, _) => Err(
            CliError::usage(format!("there is no key '{id}' in {}", folder.display()))
                .next("`offboard keys list` shows those that there are"),
        ),
    }
}

fn list(ctx: &Ctx, folder: &Path) -> Result<Exit, CliError> {
    let current = SigningKey::load(folder)?;
    let all = keys::public_keys(folder)?;
    if ctx.out.is_json() {
        let row =
            |k: &PublicKey| json!({ "id": k.id().as_str(), "current": k.id() == current.id(), "pem": k.to_pem() });
        ctx.out.document(&all.iter().map(row).collect::<Vec<_>>())?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&["KEY", "USE"]);
    for key in &all {
        let used = if key.id() == current.id() {
            "signs"
        } else {
            "verifies older evidence"
        };
        table.row(vec![key.id().to_string(), used.to_owned()]);
    }
    ctx.out.line(&table.lines(None).join("\n"))?;
    Ok(Exit::Done)
}
