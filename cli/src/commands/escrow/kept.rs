//! Where a device's recovery keys are, and what is in them.
//!
//! The digest by which the store knows them stands in the event that ended the
//! attempt, also of one that left the rest to a person: whoever has the case's
//! history says which there are. Where the history is not to be had, it stands in
//! the case's sealed account, which is taken only if it is the one that the case
//! names and its signature holds. Every file that was ever kept of the device
//! counts: a key that was changed since may still be the one that the device asks
//! for.

use super::Ctx;
use crate::commands::verify;
use crate::error::{CliError, Exit};
use crate::session::{Session, unexpected};
use offboard_dispatcher::control::{Request, Response, Stored};
use offboard_dispatcher::view::CaseView;
use offboard_domain::{Digest, TaskId};
use offboard_runtime::Secret;
use offboard_runtime::config::Configuration;
use offboard_runtime::keys::{EscrowKey, EscrowMaster};
use offboard_store::Store;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeSet;

/// The media type of what `device.escrow_recovery_keys` and `device.wipe` keep.
const SEALED: &str = "application/vnd.offboard.escrow";

/// A case, and where it stands what it has kept.
pub(super) struct Found {
    pub(super) view: CaseView,
    told: Told,
}

/// Who says what was kept.
enum Told {
    /// The case's history.
    History(Vec<Stored>),
    /// The case's sealed account, which has this digest.
    Account(Digest),
}

/// Reads the case.
pub(super) async fn find(ctx: &Ctx, config: &Configuration, case: String) -> Result<Found, CliError> {
    let mut session = ctx.session_to_read(config).await?;
    let found = read(&mut session, case).await;
    session.close().await?;
    found
}

async fn read(session: &mut Session<'_>, case: String) -> Result<Found, CliError> {
    let view = session.case(Request::Show { case }).await?;
    let case = view.case.to_string();
    let told = match (session.ask(Request::Artifacts { case }).await, view.evidence) {
        (Ok(Response::Artifacts(stored)), _) => Told::History(stored),
        (Ok(other), _) => return Err(unexpected(&other)),
        // The archive is damaged, or who serves the folder does not know this request.
        (Err(_), Some(account)) => Told::Account(account),
        (Err(error), None) if session.is_served() => {
            return Err(error.next(
                "if an older program serves this folder, restart `offboard serve` (or `run`; nothing is lost) with this one, then repeat this",
            ));
        }
        (Err(error), None) => return Err(error),
    };
    Ok(Found { view, told })
}

impl Found {
    /// The files that these tasks have kept of a device, each once, the newest first.
    pub(super) async fn kept(&self, config: &Configuration, tasks: &[TaskId]) -> Result<Vec<Digest>, CliError> {
        let mut all = match &self.told {
            Told::History(stored) => in_history(stored, tasks),
            Told::Account(account) => self.in_account(config, *account, tasks).await?,
        };
        all.reverse();
        let mut seen = BTreeSet::new();
        all.retain(|digest| seen.insert(*digest));
        Ok(all)
    }

    async fn in_account(
        &self,
        config: &Configuration,
        named: Digest,
        tasks: &[TaskId],
    ) -> Result<Vec<Digest>, CliError> {
        let (file, bytes) = verify::sealed(config, &self.view, named).await?;
        let public = verify::kept_keys(&config.engine.keys)?;
        let (statement, _) = verify::with_any(&bytes, &public).map_err(|invalid| {
            CliError::failed(format!(
                "failed to find in {file} what case {} has kept: it is not valid evidence",
                self.view.case
            ))
            .exit(Exit::Evidence)
            .caused_by(Some(&invalid))
        })?;
        // The subjects are the head of the chain, then the artifacts in their order.
        let artifacts = statement.predicate.artifacts.iter();
        Ok(artifacts
            .zip(statement.subject.iter().skip(1))
            .filter(|(a, _)| tasks.contains(&a.task) && a.media_type.as_deref() == Some(SEALED))
            .map(|(_, subject)| subject.digest.sha256)
            .collect())
    }
}

fn in_history(stored: &[Stored], tasks: &[TaskId]) -> Vec<Digest> {
    stored
        .iter()
        .filter(|a| tasks.contains(&a.task) && a.media_type == SEALED)
        .map(|a| a.digest)
        .collect()
}

/// One key, as it was sealed.
#[derive(Deserialize)]
pub(super) struct Key {
    /// Its id with the vendor.
    pub(super) id: String,
    /// What it opens: `disk`, `local_administrator`, `activation_lock`, `wiped_mac`.
    pub(super) sort: String,
    /// The name that goes with it.
    pub(super) label: Option<String>,
    /// The key.
    #[serde(deserialize_with = "secret")]
    pub(super) key: Secret,
    /// When it was filed, in milliseconds since 1970.
    pub(super) created_ms: Option<i64>,
}

fn secret<'de, D: Deserializer<'de>>(from: D) -> Result<Secret, D::Error> {
    String::deserialize(from).map(Secret::from)
}

impl Key {
    fn is(&self, other: &Self) -> bool {
        self.id == other.id && self.key.expose() == other.key.expose()
    }
}

/// What came of opening.
#[derive(Default)]
pub(super) struct Opened {
    /// The keys, each once, those of the newest file first.
    pub(super) keys: Vec<Key>,
    /// The files that did not open.
    pub(super) failed: Vec<CliError>,
}

/// Opens the files of a device with the installation's escrow key.
pub(super) async fn open(
    config: &Configuration,
    view: &CaseView,
    device: &str,
    files: &[Digest],
) -> Result<Opened, CliError> {
    let folder = &config.engine.keys;
    let master = EscrowMaster::load(folder).map_err(|e| {
        CliError::of(&e).next(format!(
            "put the escrow.key that the keys were kept under into {}: from the backup, or from a worker of the area device",
            folder.display()
        ))
    })?;
    let escrow = master.tenant(&view.tenant);
    // The label that the worker sealed them under.
    let label = format!("{}/{device}", view.case);
    let store = Store::at(&config.engine.store)?;
    let mut opened = Opened::default();
    for digest in files {
        match in_file(&store, &escrow, &label, *digest).await {
            Ok(keys) => {
                for key in keys {
                    if !opened.keys.iter().any(|known| known.is(&key)) {
                        opened.keys.push(key);
                    }
                }
            }
            Err(error) => opened.failed.push(error),
        }
    }
    Ok(opened)
}

async fn in_file(store: &Store, escrow: &EscrowKey, label: &str, digest: Digest) -> Result<Vec<Key>, CliError> {
    let sealed = store.get(digest).await?;
    let plain = escrow.open(label, &sealed).map_err(|e| {
        CliError::failed(format!(
            "failed to open the recovery keys of {label} ({digest} in the store) with this folder's escrow.key"
        ))
        .caused_by(Some(&e))
        .next("put the escrow.key back that was there when they were kept: from the backup, or from a worker of the area device")
    })?;
    let mut keys = Vec::new();
    for line in plain.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        // What is wrong with a line is not said: it might hold the key.
        let key: Key = serde_json::from_slice(line).map_err(|_| {
            CliError::failed(format!(
                "failed to read the recovery keys of {label} ({digest} in the store): they opened, and one is in no form that this program knows"
            ))
            .next("use the newer program that kept them")
        })?;
        keys.push(key);
    }
    Ok(keys)
}
