//! `decide`: case + command + now + gates → events, or a refusal.
//!
//! Every business rule that changes history is below this module. A decision
//! is complete: what one report causes (the task settled, the plan made, the
//! successors assigned, the closing round begun) is one list of events and
//! one append. The decision works on its own copy of the case, so that a lost
//! race costs nothing but deciding again.

mod advance;
mod merge;
mod needless;
mod people;
mod report;
mod successor;

use crate::assignment::Report;
use crate::case::Case;
use crate::command::{Command, Refusal};
use crate::event::Event;
use crate::gates::{Credit, Gates};
use crate::id::{Digest, System};
use crate::plan::first_tasks;
use crate::time::Timestamp;
use merge::Asks;

/// A decision: what happened, and the case after it.
#[derive(Debug, Clone)]
pub struct Decision {
    /// The case as it is once the events are appended (version and head are
    /// still those before).
    pub case: Case,
    /// The events, in order; none if there was nothing to do.
    pub events: Vec<Event>,
    /// Systems that asked to be left alone, and until when: for the tenant's gates.
    pub holds: Vec<(System, Timestamp)>,
}

/// A case under decision: events are folded as they are decided.
struct Draft<'a> {
    case: Case,
    events: Vec<Event>,
    holds: Vec<(System, Timestamp)>,
    now: Timestamp,
    gates: &'a Gates,
    credit: Credit,
}

impl<'a> Draft<'a> {
    fn new(case: Case, now: Timestamp, gates: &'a Gates) -> Self {
        Self {
            case,
            events: Vec::new(),
            holds: Vec::new(),
            now,
            gates,
            credit: gates.credit,
        }
    }

    fn push(&mut self, event: Event) {
        self.case.fold(self.now, &event);
        self.events.push(event);
    }

    fn finish(self) -> Decision {
        Decision {
            case: self.case,
            events: self.events,
            holds: self.holds,
        }
    }
}

/// Decides an order.
///
/// # Errors
/// A [`Refusal`] when the order is lawfully refused; nothing has changed then.
pub fn decide(case: Option<&Case>, command: Command, now: Timestamp, gates: &Gates) -> Result<Decision, Refusal> {
    let mut draft = match (case, command) {
        (
            None,
            Command::Open {
                departure,
                policy,
                capabilities,
                traceparent,
            },
        ) => {
            let id = departure.case_id();
            let opened = Event::CaseOpened {
                tasks: first_tasks(id, &capabilities),
                departure,
                policy,
                capabilities,
                capped: gates.capped,
                traceparent,
            };
            let case = Case::opened(id, now, &opened).map_err(|_| Refusal::UnknownCase)?;
            let mut draft = Draft::new(case, now, gates);
            draft.events.push(opened);
            draft
        }
        (None, _) => return Err(Refusal::UnknownCase),
        (Some(case), command) => {
            // Several machines write one history, and their clocks differ: it
            // does not go backwards.
            let now = now.max(case.changed_at);
            let mut draft = Draft::new(case.clone(), now, gates);
            match command {
                Command::Open { departure, .. } => draft.amend(&departure)?,
                Command::RecordReport(report) => draft.record_report(*report)?,
                Command::Tick => draft.tick(),
                Command::Approve { by, of } => draft.approve(by, of)?,
                Command::Attest {
                    task,
                    by,
                    file,
                    ending,
                    note,
                } => draft.attest(task, by, (file, ending), note)?,
                Command::Waive {
                    task,
                    by,
                    reason,
                    until,
                } => draft.waive(task, by, reason, until)?,
                Command::Retry { task, by } => draft.retry(task, &by)?,
                Command::Cancel { by, reason } => draft.cancel(by, reason)?,
                Command::Join {
                    case,
                    asked_at,
                    departure,
                    amended_by,
                    retention,
                } => draft.join(Asks {
                    case,
                    asked_at,
                    departure,
                    amended_by,
                    retention,
                })?,
                Command::Leave { case, asked_at } => draft.leave(case, asked_at),
                Command::AcknowledgeMerge { into, known } => draft.acknowledge_merge(into, known.as_deref()),
                Command::UndoMerge { into } => draft.undo_merge(into),
                Command::RecordSealed { to, evidence, key_id } => draft.sealed(to, evidence, key_id)?,
                Command::RecordLoss { known, parted } => draft.record_loss(known, parted, None),
                Command::RecordFollowUp { task, case } => draft.record_follow_up(task, case),
            }
            draft
        }
    };
    draft.advance();
    Ok(draft.finish())
}

/// Decides that history was lost, up to a version at least (0: none is known), as
/// [`Command::RecordLoss`] does of a history that has parted. A report may have proved it, by
/// the chain's hash at its order.
#[must_use]
pub fn decide_loss(case: &Case, known: u64, proven_by: Option<Digest>, now: Timestamp, gates: &Gates) -> Decision {
    let mut draft = Draft::new(case.clone(), now.max(case.changed_at), gates);
    draft.record_loss(known, true, proven_by);
    draft.advance();
    draft.finish()
}

/// Decides reports that came together, as [`decide`] would one after the
/// other: one list of events and one append. Each has its own answer; a refused
/// one changes nothing. Where one shuts a system's gate, those after it are not
/// decided and have no answer: they are to be decided behind that gate.
#[must_use]
pub fn decide_reports(
    case: &Case,
    reports: impl IntoIterator<Item = Report>,
    now: Timestamp,
    gates: &Gates,
) -> (Decision, Vec<Result<(), Refusal>>) {
    let mut draft = Draft::new(case.clone(), now.max(case.changed_at), gates);
    let mut answers = Vec::new();
    for report in reports {
        if !draft.holds.is_empty() {
            break;
        }
        let recorded = draft.record_report(report);
        if recorded.is_ok() {
            draft.advance();
        }
        answers.push(recorded);
    }
    (draft.finish(), answers)
}
