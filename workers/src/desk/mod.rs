//! The MSP's desk: a ticket is opened or taken, told each stage, given the sealed
//! account and closed. What is written there names nobody: the case's number is
//! enough for whoever may look at the case.
//!
//! Tickets, notes and files are known again by the case's marker, and lists lag
//! behind what was written. So what may have been sent is looked for, for longer
//! than any list is believed to lag, before it is sent again:
//!
//! | read, in a reading that was ordered | means |
//! |---|---|
//! | the marker | done |
//! | no marker, and it was looked for without a gap for half an hour | it did not happen: conclusive |
//! | no marker, and the desk had acknowledged it | a person looks; if he then wants it tried again, it is looked for once more, and then sent again |
//! | no marker, sooner than that | wait, and look again |

pub(crate) mod attach_evidence;
pub(crate) mod close_ticket;
pub(crate) mod note;
pub(crate) mod note_ending;
pub(crate) mod open_ticket;

use crate::job::Job;
use crate::looked;
use crate::procedure::{Wait, When};
use offboard_connectors::Answer;
use offboard_domain::catalogue::desk::{ENDED, PERSON_LOOKED, TICKET};
use offboard_domain::time::MINUTE_MS;
use offboard_domain::{Fact, Facts, ObjectId, Timestamp};

/// How long a desk's lists may lag behind what was written: a belief, taken large.
const LISTED_WITHIN_MS: i64 = 30 * MINUTE_MS;

/// How soon it is looked again meanwhile.
const LOOK_AGAIN_MS: i64 = 5 * MINUTE_MS;

/// How soon it is looked again for what was acknowledged just now.
const LOOK_AGAIN_SOON_MS: i64 = MINUTE_MS;

/// When the desk acknowledged it, in milliseconds since 1970.
const ORDERED_MS: &str = "ordered_ms";

fn looked_long_enough(job: &Job<'_>) -> bool {
    looked::looked_for(job, LISTED_WITHIN_MS)
}

/// Whether not to have found it proves that it did not happen. What the desk had
/// acknowledged is believed to be there until a person has looked himself.
fn conclusive(job: &Job<'_>) -> bool {
    let acknowledged = job.remembered.int(ORDERED_MS).is_some();
    let person_looked = job.params.bool(PERSON_LOOKED) == Some(true);
    looked_long_enough(job) && (!acknowledged || person_looked)
}

/// How many tasks ended how, in words; none: the ticket is told of none.
fn counted(job: &Job<'_>) -> Option<String> {
    let counted = job.params.0.iter().filter_map(|(name, n)| match n {
        Fact::Int(n) => Some(format!("{n} {}", name.strip_prefix(ENDED)?.replace('_', " "))),
        _ => None,
    });
    let counted: Vec<String> = counted.collect();
    (!counted.is_empty()).then(|| counted.join(", "))
}

/// Waits for what may have been written and is not listed.
fn not_listed_yet(job: &Job<'_>, when: When) -> Option<Wait> {
    let (after_ms, why) = match when {
        When::Before | When::Closing => return None,
        When::After => (LOOK_AGAIN_SOON_MS, "the desk acknowledged it, and does not list it yet"),
        When::ObserveOnly if looked_long_enough(job) => return None,
        When::ObserveOnly => (
            LOOK_AGAIN_MS,
            "it may have been sent, and the desk's lists may lag behind",
        ),
    };
    let mut remember = job.remembered.clone();
    looked::remember(job, &mut remember);
    Some(Wait {
        until: Timestamp(job.now_ms()).plus(after_ms),
        why: why.to_owned(),
        remember,
    })
}

/// The case's ticket, and what its reading says; no ticket: a person went without.
async fn ticket(job: &mut Job<'_>) -> Answer<(Option<ObjectId>, Facts)> {
    let Some(id) = job.params.text(TICKET).map(ObjectId::from) else {
        return Ok((None, Facts::new().with("has_ticket", false)));
    };
    let read = job.desk()?.ticket(&mut job.call, &id).await?;
    let facts = Facts::new()
        .with("has_ticket", true)
        .with("ticket_exists", read.is_some())
        .with("ticket_closed", read.as_ref().is_some_and(|t| t.closed));
    Ok((read.map(|t| t.id), facts))
}
