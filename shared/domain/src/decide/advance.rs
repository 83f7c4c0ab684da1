//! What follows by itself, once something has happened: the plan when the
//! subject is known, the closing round when all is settled, the end of a
//! cancelled case, and the assignments that credit allows.

use super::Draft;
use crate::assignment::{CLOCK_MARGIN_MS, START_WITHIN_MS};
use crate::case::CaseState;
use crate::catalogue::{Approval, Area, Kind};
use crate::event::Event;
use crate::fault::{Consequence, FaultClass, Rule, consequence};
use crate::id::{ObjectId, TaskId};
use crate::observation::Facts;
use crate::plan::plan;
use crate::standing::{Standing, can_be_overdue, person_since, standing};
use crate::task::{Attempt, Outcome, PlannedTask, RestReason, Task, TaskState};
use crate::time::{HOUR_MS, Timestamp};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Most rounds of the closing observation before a person is told what keeps
/// changing.
pub(crate) const MAX_ROUNDS: u32 = 3;

/// How long before the departure's time a reading may have been made to count then.
const OLD_AFTER_MS: i64 = 12 * HOUR_MS;

impl Draft<'_> {
    /// Looks at what has become due.
    pub(super) fn tick(&mut self) {
        self.run_out_unanswered();
        if !self.case.state.ended() {
            self.end_waivers();
            self.look_at_who_joined();
            self.note_overdue();
        }
    }

    fn run_out_unanswered(&mut self) {
        let now = self.now;
        let over: Vec<TaskId> = self
            .case
            .tasks
            .values()
            .filter(|t| t.in_flight().is_some_and(|a| a.over_at() <= now))
            .map(|t| t.id())
            .collect();
        for id in over {
            let Some(task) = self.case.tasks.get(&id).cloned() else {
                continue;
            };
            let spec = task.kind().spec();
            let begun = !self.went_to_a_silent_site(&task);
            let (spent, faults) = (task.spent + u32::from(begun), task.faults + 1);
            match consequence(FaultClass::Unknown, id, spent, faults, spec.attempts) {
                Consequence::Rest { .. } => self.push(Event::TaskRested {
                    task: id,
                    attempt: task.attempt,
                    // The validity and its margin are over: nobody can still be at it.
                    until: now,
                    why: RestReason::Unanswered,
                    spent: begun,
                    observe_first: !spec.convergent,
                    checkpoint: None,
                    seen: None,
                    receipts: Vec::new(),
                    artifacts: Vec::new(),
                    report: None,
                }),
                Consequence::AskPerson(rule) => self.push(Event::TaskFailed {
                    task: id,
                    attempt: task.attempt,
                    rule,
                    detail: format!("{spent} assignments were not answered in time"),
                    fault: None,
                    checkpoint: None,
                    seen: None,
                    receipts: Vec::new(),
                    artifacts: Vec::new(),
                    report: None,
                }),
            }
        }
    }

    /// Whether nobody was there to begin the attempt: its site was silent when
    /// it was ordered, or fell silent before anybody can have noticed. What was
    /// not begun costs nothing.
    fn went_to_a_silent_site(&self, task: &Task) -> bool {
        let area = task.kind().spec().area;
        let since = self.gates.away_since(&task.planned.target.system, area);
        let ordered = task.in_flight().map(Attempt::ordered_at);
        matches!((since, ordered), (Some(since), Some(ordered)) if since <= ordered.plus(CLOCK_MARGIN_MS))
    }

    /// What an account is being made of stays as it is: a waiver that runs out
    /// meanwhile is taken up by a linked case, as after closing.
    fn end_waivers(&mut self) {
        if self.case.is_to_be_sealed() {
            return;
        }
        let now = self.now;
        let ended: Vec<TaskId> = self
            .case
            .tasks
            .values()
            .filter(|t| matches!(t.outcome(), Some(Outcome::Waived { until, .. }) if *until <= now))
            .map(|t| t.id())
            .collect();
        for task in ended {
            self.push(Event::WaiverEnded { task });
        }
    }

    fn note_overdue(&mut self) {
        let allowed = self.case.policy.approvals.overdue_after_ms;
        let asked = |t: &&Arc<Task>| {
            let spec = t.kind().spec();
            spec.area == Area::Person || spec.approval == Approval::Own
        };
        let late: Vec<TaskId> = self
            .case
            .tasks
            .values()
            .filter(|t| !t.overdue)
            .filter(asked)
            .filter(|t| can_be_overdue(&standing(&self.case, t, self.now, self.gates)))
            .filter(|t| self.now.since(person_since(&self.case, t)) >= allowed)
            .map(|t| t.id())
            .collect();
        for task in late {
            self.push(Event::PersonOverdue { task });
        }
    }

    /// Everything that follows by itself.
    pub(super) fn advance(&mut self) {
        if self.case.state == CaseState::Received {
            self.plan_if_resolved();
        }
        self.read_anew();
        if self.case.state == CaseState::Closing && self.case.all_settled() {
            self.end_round();
        }
        self.ask_no_more();
        // Whoever has an order that is lost may write yet, and the round is to see it.
        let awaited = self.case.awaits_lost_orders(self.now);
        if self.case.state == CaseState::Active && self.case.all_settled() && !awaited {
            self.begin_round();
        }
        if self.case.state == CaseState::Cancelling && self.case.in_flight() == 0 && !awaited {
            self.push(Event::CaseCancelled);
        }
        let notes = self.case.notes_of_its_ending();
        if !notes.is_empty() {
            self.push(Event::NotePlanned { tasks: notes });
        }
        self.assign_ready();
    }

    fn plan_if_resolved(&mut self) {
        let resolved = self.case.tasks.values().filter(|t| t.kind() == Kind::Resolve);
        if resolved.clone().count() == 0 {
            self.push(Event::CaseRefused {
                reason: "no connected system can find a person: connect one in the tenant's configuration and hand the departure in under a new reference".into(),
            });
            return;
        }
        if !resolved.clone().all(|t| t.is_settled()) {
            return;
        }
        if let Some(into) = self.gates.claimed_by.filter(|c| *c != self.case.id) {
            self.push(Event::CaseMerged { into, tells: true });
            return;
        }
        let case = &self.case;
        let planned = plan(
            case.id,
            &case.departure,
            &case.subject_facts,
            &case.policy,
            &case.capabilities,
            case.capped,
        );
        match planned {
            Ok(plan) => self.push(Event::CasePlanned {
                tasks: plan.tasks,
                unserved: plan.unserved,
            }),
            Err(refusal) => self.push(Event::CaseRefused {
                reason: refusal.to_string(),
            }),
        }
    }

    /// Somebody may be handed in months before he leaves. What was read of him then
    /// is read once more when his time has come, before anything is written: a
    /// laptop was exchanged, a phone enrolled, a key rotated.
    fn read_anew(&mut self) {
        let effective_at = self.case.effective_at();
        let due = self.case.state == CaseState::Active && self.now >= effective_at;
        // Nothing of it can be old.
        if !due || effective_at.since(self.case.opened_at) < OLD_AFTER_MS {
            return;
        }
        // Put off after something was written, it stays as it was read before that.
        if self.case.has_begun_to_write() {
            return;
        }
        let read_at = |t: &Arc<Task>| match &t.state {
            TaskState::Settled { outcome, at } => {
                let proven = !matches!(outcome, Outcome::Waived { .. });
                (proven && t.kind().spec().read_anew).then_some(*at)
            }
            _ => None,
        };
        let is_old = |t: &Arc<Task>| read_at(t).is_some_and(|at| effective_at.since(at) >= OLD_AFTER_MS);
        let kinds: BTreeSet<Kind> = self
            .case
            .tasks
            .values()
            .filter(|t| is_old(t))
            .map(|t| t.kind())
            .collect();
        // A finder that goes by what another one found, goes by what that finds now: at
        // a site that was away it may have looked a short while ago.
        let goes_by_old = |t: &Arc<Task>| {
            let spec = t.kind().spec();
            let follows = !spec.finds.is_empty() && spec.after.iter().any(|d| kinds.contains(&d.kind));
            follows && read_at(t).is_some()
        };
        let old: Vec<(TaskId, Timestamp)> = self
            .case
            .tasks
            .values()
            .filter(|t| is_old(t) || goes_by_old(t))
            .map(|t| (t.id(), self.case.settled_at(t.kind())))
            .collect();
        for (task, at) in old {
            self.push(Event::TaskReopened {
                task,
                why: format!("the departure's time has come, and it was read {at}"),
            });
        }
    }

    fn begin_round(&mut self) {
        let round = self.case.round + 1;
        let tasks: Vec<PlannedTask> = Area::MACHINES
            .iter()
            .filter_map(|area| Some((area, area.closing_kind()?)))
            .flat_map(|(area, kind)| {
                let target = ObjectId(format!("round-{round}"));
                let id = self.case.id;
                self.case
                    .systems_to_check(*area)
                    .into_iter()
                    .map(move |s| PlannedTask::new(id, kind, &s, Some(target.clone()), Facts::new()))
                    .collect::<Vec<_>>()
            })
            .collect();
        let nothing_to_read = tasks.is_empty();
        self.push(Event::ClosingBegan { round, tasks });
        if nothing_to_read {
            self.end_round();
        }
    }

    fn end_round(&mut self) {
        let differences: Vec<TaskId> = self.case.differences.iter().copied().collect();
        self.push(Event::RoundEnded {
            round: self.case.round,
            differences,
        });
    }

    /// What a difference of the closing round leads to.
    pub(super) fn reopen(&mut self, id: TaskId, why: &str, is_gone: bool) {
        let Some(task) = self.case.tasks.get(&id).cloned() else {
            return;
        };
        let spec = task.kind().spec();
        // Nor is what cannot be undone done again on an old approval: what is there now
        // may be somebody else's.
        // What was to be kept and is gone comes back by no machine.
        let rule = if is_gone {
            Some(Rule::ObjectGone)
        } else if !spec.convergent || spec.approval == Approval::Own {
            Some(Rule::IrreversibleDiffers)
        } else if task.reopened >= MAX_ROUNDS {
            Some(Rule::KeepsFlapping)
        } else {
            None
        };
        if let Some(rule) = rule {
            self.push(Event::TaskReopened {
                task: id,
                why: why.to_owned(),
            });
            self.push(Event::TaskFailed {
                task: id,
                attempt: task.attempt,
                rule,
                detail: format!("the closing round read otherwise: {why}"),
                fault: None,
                checkpoint: None,
                seen: None,
                receipts: Vec::new(),
                artifacts: Vec::new(),
                report: None,
            });
            // What keeps being undone lets him in meanwhile: what must follow it does not wait
            // for the person, and is done once more when he has.
            if rule == Rule::KeepsFlapping {
                self.reopen_what_follows(&task);
            }
            return;
        }
        self.push(Event::TaskReopened {
            task: id,
            why: format!("the closing round read otherwise: {why}"),
        });
        self.reopen_what_follows(&task);
    }

    /// What must be done again when this had to be.
    fn reopen_what_follows(&mut self, task: &Task) {
        let spec = task.kind().spec();
        let system = &task.planned.target.system;
        // What a person has said of it was said of what was there before.
        let follows = |t: &&Arc<Task>| {
            let of_it = t.planned.target.system == *system || t.kind().spec().area == Area::Person;
            spec.redo.contains(&t.kind()) && of_it
        };
        let followers: Vec<TaskId> = self
            .case
            .tasks
            .values()
            .filter(follows)
            .filter(|t| matches!(&t.state, TaskState::Settled { outcome, .. } if !matches!(outcome, Outcome::Waived { .. })))
            .map(|t| t.id())
            .collect();
        for follower in followers {
            self.push(Event::TaskReopened {
                task: follower,
                why: format!("{} had to be done again, and this must follow it", task.kind()),
            });
        }
    }

    fn assign_ready(&mut self) {
        if self.credit == crate::gates::Credit::NONE {
            return;
        }
        let ids: Vec<TaskId> = self.in_order();
        for id in ids {
            let Some(task) = self.case.tasks.get(&id) else { continue };
            let Standing::Ready(mode, lane) = standing(&self.case, task, self.now, self.gates) else {
                continue;
            };
            let spec = task.kind().spec();
            if !self.credit.take(spec.area, lane) {
                continue;
            }
            let attempt = task.attempt + 1;
            self.push(Event::TaskAssigned {
                task: id,
                attempt,
                mode,
                start_by: self.now.plus(START_WITHIN_MS),
                run_for_ms: spec.run_for_ms,
            });
        }
    }

    /// Unsettled tasks in the order of a departure, so that scarce credit goes
    /// to what cuts access first.
    fn in_order(&self) -> Vec<TaskId> {
        let mut ids: Vec<(Kind, TaskId)> = self
            .case
            .tasks
            .values()
            .filter(|t| matches!(t.state, TaskState::Pending | TaskState::Resting { .. }))
            .map(|t| (t.kind(), t.id()))
            .collect();
        ids.sort_unstable();
        ids.into_iter().map(|(_, id)| id).collect()
    }
}
