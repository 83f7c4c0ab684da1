//! `desk.note_ending`, *once*: that the departure was called off, refused or joined to
//! another, on the ticket that was opened for it, or that the request came from.
//!
//! Nothing was to be done with that ticket by then, so that it is looked for here. It may
//! have been opened just now by an attempt that nobody has answered for: then that it is
//! not found says nothing before it was looked for long enough.

use super::open_ticket::find;
use super::{ORDERED_MS, conclusive, counted, looked_long_enough, not_listed_yet};
use crate::job::{Applied, Job, Seen};
use crate::procedure::{Procedure, Wait, When};
use async_trait::async_trait;
use offboard_connectors::{Answer, Ticket};
use offboard_domain::catalogue::desk::{
    BY_REQUESTER, CALLED_OFF, CALLED_OFF_MS, HISTORY_LOST, MAY_BE_OPEN, REFUSED, TICKET, ending_marker,
};
use offboard_domain::{Facts, FaultClass, ObjectId, Timestamp};

pub(crate) struct NoteEnding;

fn ending<'a>(job: &Job<'a>) -> Answer<&'a ObjectId> {
    job.target.object.as_ref().ok_or_else(|| {
        job.fault(
            FaultClass::Rejected,
            "the assignment does not say how the case ended; report this",
        )
    })
}

async fn followed(job: &mut Job<'_>) -> Answer<Option<Ticket>> {
    if let Some(id) = job.params.text(TICKET).map(ObjectId::from) {
        return job.desk()?.ticket(&mut job.call, &id).await;
    }
    Ok(find(job).await?.ticket)
}

/// Whether a ticket that was opened may still be missing from the desk's lists.
fn may_be_listed_yet(job: &Job<'_>) -> bool {
    job.params.bool(MAY_BE_OPEN) == Some(true) && !looked_long_enough(job)
}

fn told(job: &Job<'_>, ending: &ObjectId) -> String {
    let lost = job.params.bool(HISTORY_LOST) == Some(true);
    match ending.0.as_str() {
        CALLED_OFF => {
            let at = job.params.int(CALLED_OFF_MS).map(|ms| format!(" at {}", Timestamp(ms)));
            let by = if job.params.bool(BY_REQUESTER) == Some(true) {
                "whoever had asked for it"
            } else {
                "somebody else than who had asked for it"
            };
            let done = match (counted(job), lost) {
                (Some(done), false) => format!("What was done by then stays: {done}."),
                (Some(done), true) => format!(
                    "What was done by then stays: {done}, and what else was done in the part of the case's history that was lost."
                ),
                (None, false) => "Nothing had been done.".to_owned(),
                (None, true) => {
                    "Part of the case's history was lost: what was done in it is not known, and stays.".to_owned()
                }
            };
            let at = at.unwrap_or_default();
            format!("The departure was called off{at} by {by}, and nothing more is done for it. {done}")
        }
        REFUSED if lost => "The departure was refused, and nothing more is done for it. Part of the case's history was lost: what was done in it is not known. The case says why it was refused.".to_owned(),
        REFUSED => "The departure was refused, and nothing was done for it. The case says why.".to_owned(),
        into => format!(
            "The same person's departure had been asked for before, and this request was joined to it: case {into} does the work (`offboard show {into}`), and the ticket of that is told of each stage."
        ),
    }
}

#[async_trait]
impl Procedure for NoteEnding {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let marker = ending_marker(job.case, ending(job)?);
        let mut facts = Facts::new().with("conclusive", conclusive(job)).with("noted", false);
        match followed(job).await? {
            Some(ticket) => {
                let noted = job.desk()?.noted(&mut job.call, &ticket.id, &marker).await?;
                facts.set("noted", noted);
                // A closed one takes no notes, and nobody works on it.
                facts.set("has_ticket", noted || !ticket.closed);
                facts.set(TICKET, ticket.id.0);
            }
            None if may_be_listed_yet(job) => {}
            None => facts.set("has_ticket", false),
        }
        Ok(Seen::facts(facts))
    }

    async fn apply(&self, job: &mut Job<'_>, seen: &Seen) -> Answer<Applied> {
        let ending = ending(job)?;
        let Some(id) = seen.facts.text(TICKET).map(ObjectId::from) else {
            return Err(job.fault(FaultClass::Rejected, "there is no ticket to note it on; report this"));
        };
        let (told, case) = (told(job, ending), job.case);
        let marker = ending_marker(case, ending);
        let text = format!(
            "{told}\nThis ticket stays open: close it when nothing is left to do here.\nMore: `offboard show {case}`\n{marker}"
        );
        let ordered_ms = job.now_ms();
        job.desk()?.note(job.writing()?, &id, &text).await?;
        job.remembered.set(ORDERED_MS, ordered_ms);
        Ok(Applied::All)
    }

    fn wait(&self, job: &Job<'_>, seen: &Seen, when: When) -> Option<Wait> {
        // It is the ticket itself that may not be listed yet.
        let sought = when == When::Before && seen.facts.bool("has_ticket").is_none();
        not_listed_yet(job, if sought { When::ObserveOnly } else { when })
    }
}
