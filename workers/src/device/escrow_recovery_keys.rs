//! `device.escrow_recovery_keys`: sealed to the tenant's escrow key and put
//! into the store, which is their one lawful place. They are in no fact, no
//! log and no other artifact, and the memory that held them is wiped.
//!
//! An encrypted disk of the company's has a key: where none is listed, the list is
//! read again for a while, and then a person says where it is.

use super::device;
use crate::job::{Job, Seen, count};
use crate::procedure::{Procedure, Wait, When};
use async_trait::async_trait;
use offboard_connectors::{Answer, RecoveryKey, RecoveryKeySort, RecoveryKeys};
use offboard_domain::{Digest, Facts, Fault, FaultClass};
use offboard_store::StoreError;
use serde::Serialize;
use zeroize::Zeroizing;

/// The media type of what the escrow key sealed.
const SEALED: &str = "application/vnd.offboard.escrow";

/// How long a key may be missing before that is believed, in milliseconds: far longer
/// than lists lag.
const BELIEVED_AFTER_MS: i64 = 10 * 60_000;
/// How soon it is looked for again, in milliseconds.
const LOOK_AGAIN_MS: i64 = 60_000;
/// Since when one is missing.
const MISSING_SINCE_MS: &str = "missing_since_ms";

pub(crate) struct EscrowRecoveryKeys;

/// One key as it is sealed.
#[derive(Serialize)]
struct Plain<'a> {
    id: &'a str,
    sort: RecoveryKeySort,
    label: Option<&'a str>,
    key: &'a str,
    created_ms: Option<i64>,
}

#[async_trait]
impl Procedure for EscrowRecoveryKeys {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let device = device(job)?;
        let RecoveryKeys {
            keys,
            withheld,
            missing,
        } = job.devices()?.recovery_keys(&mut job.call, &device).await?;
        // What there is, is kept, also where a person must see to the rest.
        let escrowed = if keys.is_empty() || escrow(job, &keys).await?.is_none() {
            0
        } else {
            keys.len()
        };
        let words: Vec<String> = withheld.iter().map(|sort| sort.word().to_owned()).collect();
        let facts = Facts::new()
            .with("key_count", count(keys.len()))
            .with("escrowed_count", count(escrowed))
            .with(
                "escrow_complete",
                escrowed == keys.len() && withheld.is_empty() && missing.is_empty(),
            )
            .with("keys_withheld", words)
            .with("key_missing", !missing.is_empty())
            .with("key_not_listed", !missing.is_empty() && believed(job));
        Ok(Seen::facts(facts))
    }

    fn wait(&self, job: &Job<'_>, seen: &Seen, _when: When) -> Option<Wait> {
        let missing = seen.facts.bool("key_missing") == Some(true);
        (missing && !believed(job)).then(|| Wait {
            until: job.call.now().plus(LOOK_AGAIN_MS),
            why: "the disk is encrypted, and its recovery key is not listed; it is looked for again".to_owned(),
            remember: job.remembered.clone().with(MISSING_SINCE_MS, missing_since_ms(job)),
        })
    }
}

fn missing_since_ms(job: &Job<'_>) -> i64 {
    job.remembered.int(MISSING_SINCE_MS).unwrap_or_else(|| job.now_ms())
}

fn believed(job: &Job<'_>) -> bool {
    job.now_ms() - missing_since_ms(job) >= BELIEVED_AFTER_MS
}

/// What the device of the task is called in the escrow.
pub(super) fn label(job: &Job<'_>) -> String {
    let object = job.target.object.as_ref().map_or("", |id| id.0.as_str());
    format!("{}/{object}", job.case)
}

/// Seals all, keeps them, and reads them back: where they are, if they can be opened again.
pub(super) async fn escrow(job: &mut Job<'_>, keys: &[RecoveryKey]) -> Answer<Option<Digest>> {
    let Some(master) = job.context.escrow.clone() else {
        let detail = "this worker has no escrow key, so recovery keys have no lawful place; run `offboard keys create` and give it one (never to a worker at a site: take `site` out of the system's section)";
        return Err(job.fault(FaultClass::Denied, detail));
    };
    let label = label(job);
    let sealed = {
        let plain = plain(job, keys)?;
        master.tenant(job.tenant).seal(&label, &plain)
    };
    let object = job.target.object.as_ref().map_or("", |id| id.0.as_str());
    let name = format!("escrow.{object}");
    let digest = job.keep_bytes(&name, SEALED, sealed).await?;
    let kept = job.context.store.get(digest).await.map_err(|_| not_given_back(job))?;
    let opened = master.tenant(job.tenant).open(&label, &kept);
    Ok(opened.is_ok().then_some(digest))
}

/// Whether what was kept there can be opened, and is these keys.
pub(super) async fn is_in_escrow(job: &Job<'_>, keys: &[RecoveryKey], kept: Digest) -> Answer<bool> {
    let Some(master) = &job.context.escrow else {
        return Ok(false);
    };
    let sealed = match job.context.store.get(kept).await {
        Ok(sealed) => sealed,
        Err(StoreError::Absent { .. } | StoreError::Damaged { .. }) => return Ok(false),
        Err(_) => return Err(not_given_back(job)),
    };
    let plain = plain(job, keys)?;
    let opened = master.tenant(job.tenant).open(&label(job), &sealed);
    Ok(opened.is_ok_and(|opened| *opened == *plain))
}

fn not_given_back(job: &Job<'_>) -> Fault {
    job.fault(
        FaultClass::Transient,
        "the store did not give back the recovery keys that it took; look at the store",
    )
}

/// The keys as JSON lines, in memory that is wiped.
fn plain(job: &Job<'_>, keys: &[RecoveryKey]) -> Answer<Zeroizing<Vec<u8>>> {
    /// Room for one line, so that the buffer does not grow and leave copies.
    const LINE_BYTES: usize = 1_024;
    let mut out = Zeroizing::new(Vec::with_capacity(keys.len() * LINE_BYTES));
    for key in keys {
        let line = Plain {
            id: &key.id,
            sort: key.sort,
            label: key.label.as_deref(),
            key: key.key.expose(),
            created_ms: key.created_ms,
        };
        serde_json::to_writer(&mut *out, &line).map_err(|_| {
            job.fault(
                FaultClass::Rejected,
                "a recovery key cannot be written as JSON; report this",
            )
        })?;
        out.push(b'\n');
    }
    Ok(out)
}
