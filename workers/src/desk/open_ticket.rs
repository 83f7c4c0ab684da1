//! `desk.open_ticket`, *once*: the ticket that has the case's marker, else the one
//! that the request came from, else a new one.

use super::{ORDERED_MS, conclusive, not_listed_yet};
use crate::job::{Applied, Job, Seen};
use crate::procedure::{Procedure, Wait, When};
use async_trait::async_trait;
use offboard_connectors::{Answer, NewTicket, Ticket};
use offboard_domain::catalogue::desk::{AT_ONCE, REFERENCE, TICKET, marker};
use offboard_domain::{Facts, ObjectId};

pub(crate) struct OpenTicket;

/// How the ticket that is found was found.
pub(super) struct Found {
    pub(super) ticket: Option<Ticket>,
    adopted: bool,
    marked: usize,
}

/// The case's ticket, or the one that the request came from.
pub(super) async fn find(job: &mut Job<'_>) -> Answer<Found> {
    let desk = job.desk()?;
    // The desk has just said which it is. If that one is gone, a person may have
    // opened another in its place.
    if let Some(id) = job.remembered.text(TICKET).map(ObjectId::from)
        && let Some(ticket) = desk.ticket(&mut job.call, &id).await?
    {
        return Ok(Found {
            ticket: Some(ticket),
            adopted: false,
            marked: 1,
        });
    }
    let marked = desk.marked(&mut job.call, &marker(job.case)).await?;
    let count = marked.len();
    if let Some(ticket) = worked_on(marked) {
        return Ok(Found {
            ticket: Some(ticket),
            adopted: false,
            marked: count,
        });
    }
    let named = job.params.text(REFERENCE).and_then(|r| desk.named_by(r));
    let theirs = match named {
        Some(id) => desk.ticket(&mut job.call, &id).await?,
        None => None,
    };
    // A closed one takes no notes, and one that is not there none either.
    let ticket = theirs.filter(|t| !t.closed);
    Ok(Found {
        adopted: ticket.is_some(),
        ticket,
        marked: 0,
    })
}

/// Of several with the marker the oldest that is open: who merges two, or finds one
/// too many, closes it, and works on the other.
fn worked_on(marked: Vec<Ticket>) -> Option<Ticket> {
    let open = marked.iter().position(|t| !t.closed);
    marked.into_iter().nth(open.unwrap_or(0))
}

#[async_trait]
impl Procedure for OpenTicket {
    async fn observe(&self, job: &mut Job<'_>) -> Answer<Seen> {
        let found = find(job).await?;
        let mut facts = Facts::new()
            .with("ticket_exists", found.ticket.is_some())
            .with("adopted", found.adopted)
            .with("tickets_with_marker", crate::job::count(found.marked))
            .with("conclusive", conclusive(job));
        if let Some(ticket) = found.ticket {
            facts.set(TICKET, ticket.id.0);
            facts.set("ticket_closed", ticket.closed);
        }
        Ok(Seen::facts(facts))
    }

    async fn apply(&self, job: &mut Job<'_>, _seen: &Seen) -> Answer<Applied> {
        let urgent = job.params.bool(AT_ONCE) == Some(true);
        let how = if urgent {
            "Access is to go at once."
        } else {
            "It was planned."
        };
        let case = job.case;
        let new = NewTicket {
            title: format!("Departure {}", marker(case)),
            text: format!(
                "Somebody leaves this client. {how}\nCase {case}: `offboard show {case}` says who, and what is done and proven.\nThis ticket is told of each stage, is given the sealed account, and is closed when the manager has validated."
            ),
            urgent,
        };
        let ordered_ms = job.now_ms();
        let opened = job.desk()?.open(job.writing()?, &new).await?;
        job.remembered.set(ORDERED_MS, ordered_ms);
        if let Some(id) = opened {
            job.remembered.set(TICKET, id.0);
        }
        Ok(Applied::All)
    }

    fn wait(&self, job: &Job<'_>, _seen: &Seen, when: When) -> Option<Wait> {
        not_listed_yet(job, when)
    }
}
