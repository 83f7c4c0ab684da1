//! `knowledge.transfer_files`, *once*: each order makes another transfer, so those
//! that there are are listed before one is ordered, and ours is known by what it
//! is: of all files, from him to the successor, since the departure began.
//!
//! | read | means |
//! |---|---|
//! | one is completed | done |
//! | one is under way, in whatever word | wait |
//! | the latest failed | a person looks, and starts it again by hand |
//! | none, or only older ones, and we sent none that was acknowledged | it did not happen: conclusive, because nobody looks before lists have caught up |
//! | none, though ours was acknowledged, or one was listed | wait an hour; then a person looks |

use super::{account, known, look, successor};
use crate::attempt::ONCE_LOOK_AGAIN_MS;
use crate::job::{Applied, Job, Seen, Things};
use crate::procedure::{Procedure, Wait, When};
use async_trait::async_trait;
use offboard_connectors::{Answer, FileTransfer};
use offboard_domain::catalogue::workspace::{RESOLVED_MS, TRANSFER_SHOWS_WITHIN_MS};
use offboard_domain::time::MINUTE_MS;
use offboard_domain::{Facts, FaultClass, Timestamp};

/// How often a transfer is looked at: one of many files takes hours.
const LOOK_AGAIN_MS: i64 = 5 * MINUTE_MS;
/// How far the vendor's clock may be behind ours when it dates an order.
const VENDOR_CLOCK_MS: i64 = 5 * MINUTE_MS;

const ORDERED_MS: &str = "ordered_ms";
const COMPLETED: &str = "completed";
const FAILED: &str = "failed";

pub(crate) struct TransferFiles;

/// Whether it was asked for in this departure. One without a date is: what may
/// be ours is not ordered again.
fn is_ours(job: &Job<'_>, transfer: &FileTransfer) -> bool {
    let since = job.params.int(RESOLVED_MS).unwrap_or(0);
    transfer
        .requested_ms
        .is_none_or(|ms| ms.saturating_add(VENDOR_CLOCK_MS) >= since)
}

/// Where the files are on their way, as one word.
fn status(job: &Job<'_>, listed: &[FileTransfer]) -> String {
    let ours: Vec<&FileTransfer> = listed.iter().filter(|t| is_ours(job, t)).collect();
    let completed = ours.iter().any(|t| t.status == COMPLETED);
    let under_way = ours.iter().find(|t| t.status != FAILED);
    match (completed, under_way.or(ours.first())) {
        (true, _) => COMPLETED.to_owned(),
        (false, Some(transfer)) => transfer.status.clone(),
        (false, None) if listed.is_empty() => "none".to_owned(),
        (false, None) => "older".to_owned(),
    }
}

fn is_missing(status: &str) -> bool {
    matches!(status, "none" | "older")
}

#[async_trait]
impl Procedure for TransferFiles {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let id = account(job)?;
        let Some(to) = job.successor() else {
            return Ok(Seen::facts(Facts::new()));
        };
        let listed = job.file_transfers()?.transfers(&mut job.call, &id, &to).await?;
        let status = status(job, &listed);
        let member = look(job).await?;
        let did_not_happen = is_missing(&status) && job.remembered.int(ORDERED_MS).is_none();
        let facts = known(job, member.as_ref())
            .with("transfer_ids", crate::job::ids(listed.iter().map(|t| &t.id)))
            .with("transfer_status", status.as_str())
            .with("conclusive", did_not_happen || status == COMPLETED);
        Ok(match member {
            Some(member) => Seen::with(facts, Things::Member(Box::new(member))),
            None => Seen::facts(facts),
        })
    }

    async fn apply(&self, job: &mut Job<'_>, seen: &Seen) -> Answer<Applied> {
        let from = super::writable(job, seen)?.id.clone();
        if !is_missing(seen.facts.text("transfer_status").unwrap_or_default()) {
            return Err(job.fault(
                FaultClass::Unknown,
                "a transfer has been ordered already; it is awaited, not ordered again",
            ));
        }
        let to = successor(job).await?;
        let ordered_ms = job.now_ms();
        job.file_transfers()?.transfer(job.writing()?, &from, &to.id).await?;
        job.remembered.set(ORDERED_MS, ordered_ms);
        Ok(Applied::All)
    }

    fn wait(&self, job: &Job<'_>, seen: &Seen, when: When) -> Option<Wait> {
        let status = seen.facts.text("transfer_status")?;
        if when == When::Closing || status == COMPLETED || status == FAILED {
            return None;
        }
        let now = job.call.now();
        let sent = job.remembered.int(ORDERED_MS).map(Timestamp);
        let (after_ms, why) = if !is_missing(status) {
            (LOOK_AGAIN_MS, "the files are being transferred")
        } else if sent.is_some_and(|at| now.since(at) < TRANSFER_SHOWS_WITHIN_MS) {
            (ONCE_LOOK_AGAIN_MS, "the transfer was ordered and is not listed yet")
        } else {
            return None;
        };
        // One that is listed was ordered, whether or not that was answered: should a list
        // lack it later, it is not ordered again.
        let ordered = sent.unwrap_or(now);
        Some(Wait {
            until: now.plus(after_ms),
            why: why.to_owned(),
            remember: job.remembered.clone().with(ORDERED_MS, ordered.0),
        })
    }
}
