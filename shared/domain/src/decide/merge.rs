//! Several requests for one person: the first that is planned does the work, and
//! what the others ask for is asked for there. None of them is lost: when the
//! first is called off, the others go on by themselves.

use super::Draft;
use crate::case::{CaseState, Joined};
use crate::catalogue::{Approval, Kind};
use crate::command::Refusal;
use crate::departure::Departure;
use crate::event::Event;
use crate::id::CaseId;
use crate::keeping::{self, Retention};
use crate::task::PlannedTask;
use crate::time::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What follows a hold or an archive for the sake of no loss: an archive only reads what is
/// held, and notes are written anew when they do not say what is so.
const HARMLESS: [Kind; 2] = [Kind::ArchiveMailbox, Kind::WriteNotes];

/// What another case of the same person asks for.
pub(super) struct Asks {
    pub(super) case: CaseId,
    pub(super) asked_at: Timestamp,
    pub(super) departure: Arc<Departure>,
    pub(super) amended_by: BTreeSet<String>,
    pub(super) retention: Retention,
}

impl Draft<'_> {
    pub(super) fn join(&mut self, asks: Asks) -> Result<(), Refusal> {
        let mut brings = keeping::brings(&self.case, asks.case, &asks.departure, asks.retention);
        let known = self.case.joined.get(&asks.case);
        let newer = known.is_none_or(|k| k.asked_at <= asks.asked_at);
        let other = known.is_none_or(|k| k.asked.as_ref() != Some(&asks.departure) || k.amended_by != asks.amended_by);
        match self.case.state {
            // An account that is being made is made anew: it says who asked, and what was
            // asked is not known from elsewhere when it is lost.
            CaseState::Active | CaseState::Closing | CaseState::Sealing => {}
            // It is let go of, and goes on by itself.
            CaseState::Cancelling => brings.clear(),
            // All that it could ask for is done and proven; what is not, it does itself.
            // And what it is told once more was seen to before.
            CaseState::Closed if brings.is_empty() || !other => return Ok(()),
            ref over => return Err(Refusal::TakesNoRequest(over.word())),
        }
        if newer && other {
            self.take_in(asks, brings);
            self.ask_again_if_sooner();
        }
        Ok(())
    }

    /// Who joined when nobody looked at what he wants kept is looked at now.
    pub(super) fn look_at_who_joined(&mut self) {
        if self.case.state != CaseState::Active {
            return;
        }
        let unseen = self.case.joined.iter().filter(|(_, j)| j.retention.is_none());
        let unseen: Vec<(CaseId, Joined)> = unseen.map(|(case, joined)| (*case, joined.clone())).collect();
        for (case, joined) in unseen {
            let Some(departure) = joined.asked else { continue };
            // Under which policy it was handed in is not known here.
            let retention = Retention::of(&self.case.policy);
            // Also if it brings nothing: then it is known that he was looked at.
            let brings = keeping::brings(&self.case, case, &departure, retention);
            let asks = Asks {
                case,
                asked_at: joined.asked_at,
                departure,
                amended_by: joined.amended_by,
                retention,
            };
            self.take_in(asks, brings);
        }
    }

    /// What it brings is planned with it, and asks for the plan's approval again.
    fn take_in(&mut self, asks: Asks, brings: Vec<PlannedTask>) {
        let late = brings.iter().filter(|t| self.breaks_order(t, None, &HARMLESS));
        let late = late.map(|t| t.id).collect();
        let more = brings.iter().any(|t| t.kind.spec().approval != Approval::None);
        self.push(Event::RequestJoined {
            case: asks.case,
            asked_at: asks.asked_at,
            departure: asks.departure,
            amended_by: asks.amended_by,
            retention: Some(asks.retention),
            tasks: brings,
            late,
        });
        if more {
            self.ask_again("another request asks for more than was approved");
        }
    }

    pub(super) fn leave(&mut self, case: CaseId, asked_at: Timestamp) {
        let known = self.case.joined.get(&case);
        if known.is_some_and(|k| k.asked.is_some() && k.asked_at <= asked_at) {
            self.push(Event::RequestLeft { case, asked_at });
        }
    }

    /// What has changed since it was told is told again.
    pub(super) fn acknowledge_merge(&mut self, into: CaseId, known: Option<&Departure>) {
        let asked = self.case.asks_there().map(AsRef::as_ref);
        if self.case.tells() == Some(into) && asked == known {
            self.push(Event::MergeAcknowledged { into });
        }
    }

    pub(super) fn undo_merge(&mut self, into: CaseId) {
        if self.case.state == (CaseState::Merged { into }) {
            self.push(Event::MergeUndone { into });
        }
    }

    /// An approval holds from the time on that it names: for anything sooner a
    /// person is asked again.
    pub(super) fn ask_again_if_sooner(&mut self) {
        let Some(approved) = &self.case.plan_approval else {
            return;
        };
        let (from, wanted) = (approved.from, self.case.effective_at());
        let sooner = wanted < from && self.now < from && self.case.state == CaseState::Active;
        let settled = self
            .case
            .tasks
            .values()
            .find(|t| t.kind() == Kind::ApprovePlan && t.is_settled());
        let Some(task) = settled.filter(|_| sooner).map(|t| t.id()) else {
            return;
        };
        self.push(Event::TaskReopened {
            task,
            why: format!("it was approved from {from} on, and is to be done from {wanted} on"),
        });
    }
}
