//! What people order: approvals, attestations, waivers, retries, cancelling,
//! amending. Whoever asked for a departure does not decide about it, and neither does
//! whoever handed it in for another one (unless the policy lets him), nor whoever leaves.

use super::Draft;
use crate::case::CaseState;
use crate::catalogue::knowledge::{is_ending, recording};
use crate::catalogue::{Approval, Area, Kind};
use crate::command::{ApprovalOf, Refusal};
use crate::departure::Departure;
use crate::event::Event;
use crate::id::{CaseId, Digest, TaskId};
use crate::standing::{Standing, standing};
use crate::task::{Approved, Outcome, Place, Task, TaskState};
use crate::time::Timestamp;
use std::sync::Arc;

impl Draft<'_> {
    fn refuse_ended(&self) -> Result<(), Refusal> {
        let over = self.case.state.ended() || matches!(self.case.state, CaseState::Cancelling | CaseState::Sealing);
        if over {
            return Err(Refusal::CaseEnded(self.case.state.word()));
        }
        Ok(())
    }

    /// The same for an order about one task: what goes on beside a case goes on
    /// when that is over.
    fn refuse_ended_for(&self, id: TaskId) -> Result<(), Refusal> {
        let sealing = self.case.state == CaseState::Sealing;
        let goes_on = |t: &Arc<Task>| self.case.outlives(t) || (sealing && t.kind().is_beside());
        if self.case.tasks.get(&id).is_some_and(goes_on) {
            return Ok(());
        }
        self.refuse_ended()
    }

    fn task(&self, id: TaskId) -> Result<Arc<Task>, Refusal> {
        self.case.tasks.get(&id).cloned().ok_or(Refusal::UnknownTask(id))
    }

    /// Separation of duties.
    fn decides(&self, by: &str) -> Result<(), Refusal> {
        let same = |other: &str| other.trim().eq_ignore_ascii_case(by.trim());
        if self.case.asked_by().any(same) {
            return Err(Refusal::SamePerson(by.to_owned()));
        }
        self.decides_not_leaver(by)?;
        let approvers = &self.case.policy.approvals.approvers;
        if !approvers.is_empty() && !approvers.iter().any(|a| same(a)) {
            return Err(Refusal::NotAnApprover(by.to_owned()));
        }
        Ok(())
    }

    pub(super) fn approve(&mut self, by: String, of: ApprovalOf) -> Result<(), Refusal> {
        self.refuse_ended()?;
        self.decides(&by)?;
        match of {
            ApprovalOf::Plan(named) => self.approve_plan(by, named),
            ApprovalOf::Task(id, named) => self.approve_task(id, by, named),
        }
    }

    fn approve_plan(&mut self, by: String, named: Digest) -> Result<(), Refusal> {
        let asked = self
            .case
            .tasks
            .values()
            .find(|t| t.kind() == Kind::ApprovePlan)
            .cloned();
        let Some(asked) = asked else {
            return Err(Refusal::NothingToApprove("the case has no plan that needs an approval"));
        };
        match standing(&self.case, &asked, self.now, self.gates) {
            Standing::WaitsForPerson => {}
            Standing::Settled(_) => return Err(Refusal::AlreadyApproved),
            _ => {
                return Err(Refusal::NothingToApprove(
                    "what there is to approve is still being read",
                ));
            }
        }
        let actual = self.case.plan_digest();
        if named != actual {
            return Err(Refusal::Changed { named, actual });
        }
        self.push(Event::PlanApproved {
            by,
            digest: actual,
            from: Some(self.case.effective_at()),
        });
        Ok(())
    }

    fn approve_task(&mut self, id: TaskId, by: String, named: Digest) -> Result<(), Refusal> {
        let task = self.task(id)?;
        if task.is_settled() {
            return Err(Refusal::AlreadySettled(task.kind().name()));
        }
        let effective_at = self.case.effective_at();
        let stands = |a: &Approved| a.from <= effective_at.max(self.now);
        let plan = self.case.plan_approval_of(&task);
        let by_plan = match task.kind().spec().approval {
            Approval::None => return Err(Refusal::NothingToApprove("the task asks for no approval")),
            Approval::Plan | Approval::PlanOrBurst => plan.is_some_and(stands),
            Approval::Own => false,
        };
        let by_own = task.approved.as_ref().filter(|_| !task.approval_lapsed);
        if by_plan || by_own.is_some_and(stands) {
            return Err(Refusal::AlreadyApproved);
        }
        let actual = self.case.task_digest(&task);
        if named != actual {
            return Err(Refusal::Changed { named, actual });
        }
        self.push(Event::TaskApproved {
            task: id,
            by,
            digest: actual,
            from: Some(effective_at),
        });
        Ok(())
    }

    pub(super) fn attest(
        &mut self,
        id: TaskId,
        by: String,
        (file, ending): (Option<Digest>, Option<String>),
        note: String,
    ) -> Result<(), Refusal> {
        self.refuse_ended()?;
        let task = self.task(id)?;
        let name = task.kind().name();
        if task.kind().spec().area != Area::Person || task.kind() == Kind::ApprovePlan {
            return Err(Refusal::NotAttestable(name));
        }
        match standing(&self.case, &task, self.now, self.gates) {
            Standing::WaitsForPerson | Standing::Failed(_) => {}
            Standing::Settled(_) => return Err(Refusal::AlreadySettled(name)),
            Standing::WaitsFor(kinds) => {
                let missing: Vec<&str> = kinds.iter().map(|k| k.name()).collect();
                return Err(Refusal::TooEarly {
                    task: name,
                    missing: missing.join(", "),
                });
            }
            _ => {
                return Err(Refusal::TooEarly {
                    task: name,
                    missing: "the case to reach it".into(),
                });
            }
        }
        if task.kind() == Kind::ConfirmDeviceReturned && file.is_none() {
            return Err(Refusal::NeedsFile(name));
        }
        if task.kind() == Kind::HoldKnowledgeSession && recording(&note).is_none() {
            return Err(Refusal::NeedsLink(name));
        }
        // To give files up, or what somebody wants kept, is a decision, like an approval;
        // the rest is a report of what somebody has seen.
        if matches!(task.kind(), Kind::DecideOneDrive | Kind::DecidePreservation) {
            self.decides(&by)?;
        } else {
            self.decides_not_leaver(&by)?;
        }
        self.push(Event::TaskSettled {
            task: id,
            attempt: task.attempt,
            outcome: Outcome::Attested {
                by,
                file,
                ending: ending.filter(|ending| file.is_some() && is_ending(ending)),
                note,
            },
            before: None,
            after: None,
            receipts: Vec::new(),
            artifacts: Vec::new(),
            report: None,
        });
        Ok(())
    }

    /// Whoever leaves says nothing about it, whether he asked for it or not.
    fn decides_not_leaver(&self, by: &str) -> Result<(), Refusal> {
        let person = &self.case.departure.person;
        let names = [
            person.user_principal_name.as_deref(),
            person.mail.as_deref(),
            self.case.subject_facts.text("user_principal_name"),
        ];
        if names
            .into_iter()
            .flatten()
            .any(|name| name.trim().eq_ignore_ascii_case(by.trim()))
        {
            return Err(Refusal::IsTheLeaver(by.to_owned()));
        }
        Ok(())
    }

    pub(super) fn waive(&mut self, id: TaskId, by: String, reason: String, until: Timestamp) -> Result<(), Refusal> {
        self.refuse_ended_for(id)?;
        self.decides(&by)?;
        let task = self.task(id)?;
        let name = task.kind().name();
        // Whom it is about, that it may be done, and what was there before the
        // first write: without these there is nothing to stand for.
        let is_ground = matches!(
            task.kind(),
            Kind::Resolve | Kind::ApprovePlan | Kind::SnapshotAccess | Kind::SnapshotDirectory | Kind::SnapshotMailbox
        );
        if is_ground || task.kind().is_closing_round() {
            return Err(Refusal::NotWaivable(name));
        }
        if reason.trim().is_empty() {
            return Err(Refusal::NeedsReason);
        }
        if until <= self.now {
            return Err(Refusal::WaiverInThePast(until));
        }
        match &task.state {
            TaskState::Settled { .. } => return Err(Refusal::AlreadySettled(name)),
            TaskState::Assigned(a) => return Err(Refusal::InFlight(name, a.over_at())),
            TaskState::Pending | TaskState::Resting { .. } | TaskState::Failed { .. } => {}
        }
        self.push(Event::TaskSettled {
            task: id,
            attempt: task.attempt,
            outcome: Outcome::Waived { by, reason, until },
            before: None,
            after: None,
            receipts: Vec::new(),
            artifacts: Vec::new(),
            report: None,
        });
        Ok(())
    }

    pub(super) fn retry(&mut self, id: Option<TaskId>, by: &str) -> Result<(), Refusal> {
        self.decides_not_leaver(by)?;
        let chosen: Vec<TaskId> = match id {
            Some(id) => {
                self.refuse_ended_for(id)?;
                let task = self.task(id)?;
                match &task.state {
                    TaskState::Failed { .. } | TaskState::Resting { .. } => vec![id],
                    TaskState::Settled { .. } => return Err(Refusal::AlreadySettled(task.kind().name())),
                    TaskState::Assigned(a) => return Err(Refusal::InFlight(task.kind().name(), a.over_at())),
                    TaskState::Pending => Vec::new(),
                }
            }
            None => {
                let all = self.case.tasks.values();
                all.filter(|t| matches!(t.state, TaskState::Failed { .. }) && !t.waits_for_a_look())
                    .filter(|t| self.refuse_ended_for(t.id()).is_ok())
                    .map(|t| t.id())
                    .collect()
            }
        };
        if chosen.is_empty() {
            let mut all = self.case.tasks.values();
            let unseen = all.find(|t| id.is_none() && t.waits_for_a_look() && self.refuse_ended_for(t.id()).is_ok());
            if let Some(unseen) = unseen {
                return Err(Refusal::NeedsALook(unseen.kind().name()));
            }
            self.refuse_ended()?;
            return Err(Refusal::NothingToRetry);
        }
        for task in chosen {
            self.push(Event::RetryOrdered {
                task,
                by: by.to_owned(),
            });
        }
        Ok(())
    }

    pub(super) fn cancel(&mut self, by: String, reason: String) -> Result<(), Refusal> {
        // What was merged asks for something elsewhere, and can stop asking for it.
        if !matches!(self.case.state, CaseState::Merged { .. }) {
            self.refuse_ended()?;
        }
        if reason.trim().is_empty() {
            return Err(Refusal::NeedsReason);
        }
        self.decides_not_leaver(&by)?;
        self.push(Event::CancelRequested { by, reason });
        Ok(())
    }

    pub(super) fn amend(&mut self, new: &Arc<Departure>) -> Result<(), Refusal> {
        let old = &self.case.departure;
        // What is asked for at once, and is asked for again, began when it was first asked for.
        let (effective_at, of_day) = if new.repeats_the_time_of(old) {
            (old.effective_at, old.of_day)
        } else {
            (new.effective_at, new.of_day)
        };
        let new = Departure {
            effective_at,
            of_day,
            ..(**new).clone()
        };
        let same = Departure {
            requested_at: old.requested_at,
            handed_in_by: old.handed_in_by.clone(),
            ..new.clone()
        } == **old;
        let merged = matches!(self.case.state, CaseState::Merged { .. });
        let over = self.case.state.ended() && !merged;
        // Whoever hands it in again expects something to be done about it.
        match &self.case.state {
            CaseState::Refused { reason } => return Err(Refusal::WasRefused(reason.clone())),
            CaseState::Cancelled | CaseState::Cancelling => return Err(Refusal::WasCalledOff),
            _ => {}
        }
        // A reference that is somebody else's already says nothing of this one.
        if (over || self.case.is_to_be_sealed()) && new.person.contradicts(&old.person) {
            return Err(Refusal::TooLateToAmend("the person"));
        }
        if same || over || self.case.is_to_be_sealed() {
            return Err(Refusal::AlreadyOpen);
        }
        // Who is being looked for already would be found, and be taken for the other.
        let planned = self.case.state != CaseState::Received;
        let sought = planned || self.case.tasks.values().any(|t| t.attempt > 0);
        // Who could not be told from others can be named more exactly.
        let unfound = self.unfound();
        let sought = sought && (unfound.is_empty() || new.person.contradicts(&old.person));
        if planned && new.person != old.person || sought && !new.person.is_sought_as(&old.person) {
            return Err(Refusal::TooLateToAmend("the person"));
        }
        if sought && new.successor != old.successor {
            return Err(Refusal::TooLateToAmend("the successor"));
        }
        if planned && new.choices != old.choices {
            return Err(Refusal::TooLateToAmend("a choice"));
        }
        // Who asked first stays the requester, and who handed it in stays that, so that an
        // amendment cannot free them to approve.
        let amended = Departure {
            requested_by: old.requested_by.clone(),
            handed_in_by: old.handed_in_by.clone(),
            requested_at: old.requested_at,
            ..new.clone()
        };
        if amended == **old {
            return Err(Refusal::AlreadyOpen);
        }
        self.push(Event::CaseAmended {
            departure: Arc::new(amended),
            by: Some(new.requested_by.clone()),
            handed_in_by: new.handed_in_by.clone(),
        });
        for task in unfound {
            self.push(Event::RetryOrdered {
                task,
                by: new.requested_by.clone(),
            });
        }
        self.ask_again_if_sooner();
        Ok(())
    }

    /// The tasks that looked for him and stopped for a person; none while somebody is
    /// looking, or after he was found.
    fn unfound(&self) -> Vec<TaskId> {
        let all = self.case.tasks.values();
        let stopped = |t: &&Arc<Task>| matches!(t.state, TaskState::Failed { .. });
        let looks = all.clone().all(|t| t.is_settled() || stopped(&t));
        let received = self.case.state == CaseState::Received;
        all.filter(stopped)
            .filter(|_| looks && received)
            .map(|t| t.id())
            .collect()
    }

    /// Only what somebody went without in a case that is closed is taken up, and once.
    pub(super) fn record_follow_up(&mut self, task: TaskId, case: CaseId) {
        let waived = |t: &Arc<Task>| matches!(t.outcome(), Some(Outcome::Waived { .. }));
        let open = self.case.state == CaseState::Closed && !self.case.followed_up.contains(&task);
        if open && self.case.tasks.get(&task).is_some_and(waived) {
            self.push(Event::FollowUpOpened { task, case });
        }
    }

    pub(super) fn sealed(&mut self, to: Place, evidence: Digest, key_id: String) -> Result<(), Refusal> {
        if self.case.evidence == Some(evidence) {
            return Err(Refusal::AlreadyRecorded);
        }
        let actual = self.case.account_to();
        if !self.case.is_to_be_sealed() || to != actual {
            return Err(Refusal::NotToBeSealed {
                sealed: to.version,
                actual: actual.version,
            });
        }
        self.push(if self.case.state == CaseState::Sealing {
            Event::CaseClosed { evidence, key_id }
        } else {
            Event::EvidenceSealed { evidence, key_id }
        });
        Ok(())
    }
}
