//! Where artifacts and evidence are kept: whether it is there, can be written
//! to and refuses to overwrite, and whether it locks what it was asked to lock.

use super::role::Role;
use super::{CHECK_WITHIN, fine, problem, warning};
use crate::error::CliError;
use offboard_connectors::Finding;
use offboard_runtime::config::{Bucket, Configuration, LockMode, StoreUrl};
use offboard_runtime::disk::{self, MIB};
use offboard_store::{LockState, Store, StoreError, lock_state};
use std::fs;
use std::path::Path;

/// Less than this that is free is little, in mebibytes: some days of a busy installation.
const LITTLE_MIB: u64 = 100;

pub(super) async fn of(config: &Configuration, role: &Role, offline: bool) -> Vec<Finding> {
    let mut found = written("store", &config.engine.store, offline).await;
    match role {
        Role::All | Role::Closer => found.extend(written("evidence", &config.engine.evidence, offline).await),
        Role::Dispatcher | Role::Clerk => found.push(evidence_to_read(&config.engine.evidence, role)),
        // It has nothing to do with what is sealed.
        Role::Worker { .. } => {}
    }
    found
}

/// Who signs writes it; others ask what is in it, if it is there for them.
fn evidence_to_read(url: &StoreUrl, role: &Role) -> Finding {
    let path = match url {
        StoreUrl::Folder(path) => path,
        StoreUrl::Bucket(at) => return fine(format!("the evidence {at} is looked at in the closer's folder")),
    };
    let shown = path.display();
    match fs::read_dir(path) {
        Ok(_) => fine(format!("the evidence folder {shown} can be read")),
        Err(error) if *role == Role::Clerk => warning(
            format!("the evidence folder {shown} cannot be read: {error}"),
            "`offboard verify CASE` needs it: mount it here, to be read alone, or name the file in place of the case",
        ),
        Err(_) => fine(format!(
            "the evidence folder {shown} is not here: `offboard verify CASE` is for a folder that has it"
        )),
    }
}

async fn written(name: &str, url: &StoreUrl, offline: bool) -> Vec<Finding> {
    match url {
        StoreUrl::Folder(path) => vec![folder(name, path)],
        StoreUrl::Bucket(at) if offline => vec![fine(format!("the {name} {at} is not asked (--offline)"))],
        StoreUrl::Bucket(at) => {
            let asked = tokio::time::timeout(CHECK_WITHIN, bucket(name, url, at)).await;
            asked.unwrap_or_else(|_| {
                let what = format!("the {name} {at} did not answer within {} s", CHECK_WITHIN.as_secs());
                vec![problem(
                    what,
                    "look at the network, and at the endpoint in offboard.toml",
                )]
            })
        }
    }
}

fn folder(name: &str, path: &Path) -> Finding {
    let shown = if name == "evidence" { "evidence folder" } else { name };
    match Store::folder(path) {
        Ok(_) => room(shown, path),
        Err(error) => problem(
            format!("the {shown} cannot be used: {error}"),
            "mend the folder, or name another one in offboard.toml",
        ),
    }
}

/// Whether a folder takes what is written there, and how much more.
pub(super) fn room(shown: &str, folder: &Path) -> Finding {
    let shown = format!("the {shown} {}", folder.display());
    match disk::probe(folder) {
        Ok(free) if free < LITTLE_MIB * MIB => warning(
            format!("{shown} can be written to, and only {} MiB are free", free / MIB),
            "make room: where nothing can be written, no departure goes on",
        ),
        Ok(free) => fine(format!("{shown} can be written to; {} MiB are free", free / MIB)),
        Err(error) => problem(
            format!("{shown} cannot be written to: {error}"),
            "make room on its disk, or give this user the right to write there",
        ),
    }
}

async fn bucket(name: &str, url: &StoreUrl, at: &Bucket) -> Vec<Finding> {
    let checked = async { Store::at(url)?.check().await }.await;
    let mut found = vec![match checked {
        Ok(()) => fine(format!(
            "the {name} {at} can be read, written and listed, and refuses to overwrite"
        )),
        Err(error) => cannot(&format!("the {name} {at} cannot be used"), &error),
    }];
    if let Some(lock) = at.lock {
        let days = lock.keep_ms / offboard_domain::time::DAY_MS;
        let mode = match lock.mode {
            LockMode::Compliance => "compliance, so that nobody can end it",
            LockMode::Governance => "governance, which a right of its own can end",
        };
        found.push(match lock_state(at).await {
            Ok(LockState::On) => fine(format!(
                "the {name} {at} has Object Lock; each file is locked for {days} days ({mode})"
            )),
            Ok(LockState::Off) => problem(
                format!("the {name} {at} was made without Object Lock, so no lock in it would hold"),
                "make a bucket with Object Lock and name it in offboard.toml, or take 'lock' and 'keep' out",
            ),
            Err(error) => cannot(&format!("whether the {name} {at} locks is not known"), &error),
        });
    }
    found
}

fn cannot(what: &str, error: &StoreError) -> Finding {
    problem(
        format!("{what}: {}", CliError::of(error).brief()),
        "mend what is named, then run `offboard doctor` again",
    )
}
