//! `offboard keys`.

use super::Ctx;
use crate::args::Keys;
use crate::backends::assignments;
use crate::error::{CliError, Exit};
use crate::show::Table;
use offboard_domain::{Area, Timestamp};
use offboard_runtime::keys::{self, DispatchKey, PublicKey, SigningKey};
use offboard_runtime::{Clock as _, SystemClock};
use serde_json::json;
use std::path::Path;

pub(super) fn run(ctx: &Ctx, what: &Keys) -> Result<Exit, CliError> {
    let folder = ctx.load()?.engine.keys;
    match what {
        Keys::Create => create(ctx, &folder),
        Keys::Rotate => rotate(ctx, &folder, SystemClock.now()),
        Keys::Export { id } => export(ctx, &folder, id.as_deref()),
        Keys::List => list(ctx, &folder),
        Keys::Worker { areas, site, to } => worker(ctx, &folder, areas, site.as_deref(), to),
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
