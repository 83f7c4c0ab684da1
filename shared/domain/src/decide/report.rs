//! What a worker answered. Nothing in it is believed but what its observations
//! show: they are judged again here.

use super::Draft;
use crate::assignment::{Checked, Find, Mode, Report, Said, Writes, baseline_facts, baseline_in, take_baseline};
use crate::case::CaseState;
use crate::catalogue::premises::FOUND_ELSEWHERE;
use crate::catalogue::{ACCOUNT_GONE, Area, Dep, Kind, MAILBOX_EXISTS, OlderRule, Proof};
use crate::command::Refusal;
use crate::event::{CheckResult, Event};
use crate::fault::{Consequence, Fault, FaultClass, MAX_WAIT_MS, Rule, consequence, held_back_ms};
use crate::id::{Digest, TaskId};
use crate::judge::{Verdict, judge};
use crate::observation::{Facts, Observation};
use crate::plan::is_skipped;
use crate::task::{Attempt, Outcome, Place, PlannedTask, RestReason, Task, TaskState};
use crate::time::{MINUTE_MS, SECOND_MS, Timestamp};
use crate::unplanned;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A vendor is not asked again sooner than this.
const SHORTEST_WAIT_MS: i64 = SECOND_MS;

/// How soon a directory on the premises that has not his account is asked again while
/// another one has not answered.
const OTHER_DOMAIN_MS: i64 = 5 * MINUTE_MS;

/// How soon another worker is looked for where an older one has this, the first time; each
/// time later twice as long, up to an hour.
const OLDER_WORKER_MS: i64 = 5 * MINUTE_MS;

/// How often one is looked for before a person is told that there are none but older ones:
/// about a day, in which an upgrade is done also at a site.
const OLDER_WORKER_MOST: u32 = 24;

/// What a person is told of a mailbox that was there.
const MAILBOX_LOST: &str = "this case has read a mailbox there, and the account has none any more: it may have lost the licence that bore it, as with a group whose rule he no longer meets; assign such a licence to him directly within 30 days, while the mailbox can still come back, then retry, or waive this with what you found";

/// What every event of one report carries along.
struct Answer {
    task: TaskId,
    attempt: u32,
    mode: Mode,
    digest: Digest,
    /// What was read last, for an answer that settles nothing.
    seen: Option<Arc<Observation>>,
    /// What the next try is to know; none: what this one was given.
    checkpoint: Option<Facts>,
    receipts: Vec<crate::assignment::Receipt>,
    artifacts: Vec<crate::assignment::Artifact>,
}

impl Answer {
    /// The answer, with the reading that it rests on.
    fn having_read(self, seen: Observation) -> Self {
        Self {
            seen: Some(Arc::new(seen)),
            ..self
        }
    }

    /// The answer, with what was read before its first write; where it remembers that already,
    /// as it does.
    fn remembering(mut self, before: &Observation) -> Self {
        let left = self.checkpoint.get_or_insert_default();
        if baseline_in(left).is_none() {
            left.0.extend(baseline_facts(before).0);
        }
        self
    }

    /// The answer, with what it leaves to the next try.
    fn leaving(self, checkpoint: Option<Facts>) -> Self {
        Self { checkpoint, ..self }
    }
}

impl Draft<'_> {
    pub(super) fn record_report(&mut self, report: Report) -> Result<(), Refusal> {
        if report.case != self.case.id || report.tenant != self.case.departure.tenant {
            return Err(Refusal::Foreign);
        }
        let known = self.case.tasks.get(&report.task).cloned();
        let digest = digest_of(&report);
        let lost =
            report.version > self.case.version || known.as_ref().is_none_or(|t| is_of_a_lost_history(t, &report));
        // What is over is not opened again.
        if lost && !self.case.is_at_rest() {
            return self.tail_lost(known.as_deref(), report, digest);
        }
        let Some(task) = known else {
            return Err(Refusal::UnknownTask(report.task));
        };
        let current = task.in_flight().filter(|a| a.number == report.attempt).copied();
        match current {
            Some(attempt) => {
                self.answered(&task, attempt, report, digest);
                Ok(())
            }
            None => self.late(&task, report, digest),
        }
    }

    /// Something outside of the ledger knows of more than it holds: everything
    /// is observed again. What is over is not opened again.
    pub(super) fn record_loss(&mut self, known: u64, parted: bool, proven_by: Option<Digest>) {
        if (parted || known > self.case.version) && !self.case.is_at_rest() {
            self.push(Event::TailLost {
                known,
                dealt_with: None,
                proven_by,
            });
        }
    }

    /// Everything is observed again; one that answers an order from before the loss
    /// was noticed says nothing new about it. What a report says happened is
    /// kept in either case: no history of ours tells of it otherwise.
    fn tail_lost(&mut self, task: Option<&Task>, report: Report, digest: Digest) -> Result<(), Refusal> {
        if self.case.late.contains(&digest) {
            return Err(Refusal::AlreadyRecorded);
        }
        let noticed = self.case.has_noted_loss_of(&report, self.now);
        let begun = !matches!(report.said, Said::NotBegun { .. });
        let tells = task.is_some() && begun;
        if noticed && !tells {
            // The task itself may be lost, until it is planned again: whoever has the report
            // keeps it and comes again.
            return Err(match task {
                None if begun => Refusal::UnknownTask(report.task),
                _ => Refusal::Stale {
                    task: report.task,
                    got: report.attempt,
                },
            });
        }
        if !noticed {
            // Whoever can read what people ordered in it says so instead of this; where this
            // stands, nobody has dealt with any of it.
            self.push(Event::TailLost {
                known: report.version,
                dealt_with: Some(Vec::new()),
                proven_by: Some(report.head),
            });
        }
        if tells {
            self.push(Event::LateReport {
                task: report.task,
                attempt: report.attempt,
                said: Box::new(report.said),
                receipts: report.receipts,
                artifacts: report.artifacts,
                report: digest,
            });
        }
        Ok(())
    }

    fn late(&mut self, task: &Task, report: Report, digest: Digest) -> Result<(), Refusal> {
        if task.last_report == Some(digest) || self.case.late.contains(&digest) {
            return Err(Refusal::AlreadyRecorded);
        }
        if matches!(report.said, Said::NotBegun { .. }) || report.attempt == 0 || report.attempt > task.attempt {
            return Err(Refusal::Stale {
                task: report.task,
                got: report.attempt,
            });
        }
        self.push(Event::LateReport {
            task: report.task,
            attempt: report.attempt,
            said: Box::new(report.said),
            receipts: report.receipts,
            artifacts: report.artifacts,
            report: digest,
        });
        Ok(())
    }

    fn answered(&mut self, task: &Arc<Task>, attempt: Attempt, report: Report, digest: Digest) {
        let Report {
            said,
            seen,
            remembered,
            writes,
            receipts,
            artifacts,
            ..
        } = report;
        // What a person brings about after a refusal is not ours. A worker that does not say
        // what he wrote has looked at that himself.
        let ours = writes.is_none_or(Writes::may_have_been_taken);
        let counts = task.kind().spec().proof == Proof::Counter;
        let left = |mut facts: Facts| {
            if !ours && !counts {
                drop(take_baseline(&mut facts));
            }
            facts
        };
        let answer = Answer {
            task: task.id(),
            attempt: attempt.number,
            mode: attempt.mode,
            digest,
            seen: seen.map(Arc::new),
            checkpoint: remembered.map(left),
            receipts,
            artifacts,
        };
        let checking = task.kind().is_closing_round();
        // Who was to write proves by his own first reading, and not by an older one.
        let reading = answer.mode == Mode::ObserveOnly;
        let finder = !task.kind().spec().finds.is_empty();
        match said {
            Said::Checked { results } if checking => self.checked(task, attempt, answer, results),
            Said::Satisfied { before, after } if !checking && !finder => self.satisfied(task, answer, before, after),
            Said::Observed { observation } if reading && !checking && !finder => {
                self.observed(task, answer, observation);
            }
            Said::Found { observation, finds } if finder => self.found(task, answer, observation, finds),
            Said::Progress { checkpoint } => {
                let answer = answer.leaving(Some(left(checkpoint)));
                self.rest(answer, self.now, RestReason::Progress, false);
            }
            Said::Wait { until, why, checkpoint } => self.wait(task, answer.leaving(checkpoint.map(left)), until, why),
            Said::NotBegun { why } => {
                let until = self.now.plus(SHORTEST_WAIT_MS);
                self.rest(answer, until, RestReason::NotBegun { why }, false);
            }
            Said::Fault { fault } => self.fault(task, attempt, answer, fault),
            Said::Checked { .. } | Said::Satisfied { .. } | Said::Observed { .. } | Said::Found { .. } => {
                self.fail(
                    answer,
                    Rule::ClaimWithoutProof,
                    "the report does not answer what was ordered".into(),
                    None,
                );
            }
        }
    }

    fn satisfied(&mut self, task: &Task, answer: Answer, before: Observation, after: Observation) {
        if answer.mode == Mode::ObserveOnly && before != after {
            let detail = "the report claims to have changed something, but reading was ordered".into();
            return self.fail(answer.having_read(after), Rule::ClaimWithoutProof, detail, None);
        }
        // The attempt's own first reading: what an earlier one moved proves
        // nothing about a redo.
        match judge(task.kind(), &task.planned.params, &after.facts, Some(&before.facts)) {
            Verdict::Satisfied => self.settle(answer, proven(task, &after), before, after),
            Verdict::NotApplicable(_) if self.has_lost_the_mailbox(task, &after) => self.mailbox_lost(answer, after),
            Verdict::NotApplicable(reason) => {
                self.settle(
                    answer,
                    Outcome::NotApplicable {
                        reason: reason.to_owned(),
                    },
                    before,
                    after,
                );
            }
            Verdict::Blocked(why) => self.fail(
                answer.having_read(after),
                Rule::BlockedByPolicy,
                because(task, why),
                None,
            ),
            Verdict::Unsatisfied(why) => {
                let Some(older) = older_rule(task, &after) else {
                    return self.fail(answer.having_read(after), Rule::ClaimWithoutProof, why, None);
                };
                // What he has taken all the same was there before.
                let answer = if before == after {
                    answer
                } else {
                    answer.remembering(&before)
                };
                self.leave_to_a_newer_worker(task, answer.having_read(after), older);
            }
        }
    }

    /// Workers are of several versions while they are upgraded, and no longer: it counts
    /// as a try, and whoever was not upgraded is for a person. His word is never taken: what
    /// he does not look for, nobody would.
    fn leave_to_a_newer_worker(&mut self, task: &Task, answer: Answer, older: &OlderRule) {
        let lacks = older.lacks;
        let why = format!("the worker is of an older version, which {lacks}");
        if task.spent + 1 >= OLDER_WORKER_MOST {
            let area = task.kind().spec().area;
            let detail = format!("{why}: upgrade the workers of the area {area}, then `offboard retry`");
            return self.fail(answer, Rule::ClaimWithoutProof, detail, None);
        }
        // Twelve doublings are far more than an hour, and far less than overflows.
        let wait_ms = (OLDER_WORKER_MS << task.spent.min(12)).min(MAX_WAIT_MS);
        let why = RestReason::NotBegun { why };
        self.rest(answer, self.now.plus(wait_ms), why, true);
    }

    /// A reading that was ordered because a once-only act may have happened.
    fn observed(&mut self, task: &Task, answer: Answer, seen: Observation) {
        let baseline = task.before.as_ref().map(|b| &b.facts);
        match judge(task.kind(), &task.planned.params, &seen.facts, baseline) {
            Verdict::Satisfied => self.settle(answer, proven(task, &seen), seen.clone(), seen),
            Verdict::NotApplicable(_) if self.has_lost_the_mailbox(task, &seen) => self.mailbox_lost(answer, seen),
            Verdict::NotApplicable(reason) => {
                self.settle(
                    answer,
                    Outcome::NotApplicable {
                        reason: reason.to_owned(),
                    },
                    seen.clone(),
                    seen,
                );
            }
            Verdict::Blocked(why) => self.fail(
                answer.having_read(seen),
                Rule::BlockedByPolicy,
                because(task, why),
                None,
            ),
            Verdict::Unsatisfied(why)
                if !task.kind().spec().convergent && seen.facts.bool("conclusive") != Some(true) =>
            {
                self.fail(answer.having_read(seen), Rule::InconclusiveOnce, why, None);
            }
            Verdict::Unsatisfied(_) => {
                self.rest(answer.having_read(seen), self.now, RestReason::DidNotHappen, false);
            }
        }
    }

    /// Whether what was to be kept of a mailbox has no mailbox any more: this case has read
    /// one, or began to archive it. Who never had one has nothing to be kept.
    fn has_lost_the_mailbox(&self, task: &Task, seen: &Observation) -> bool {
        if !task.kind().spec().keeps || seen.facts.bool(MAILBOX_EXISTS) != Some(false) {
            return false;
        }
        let archived_some = task.kind() == Kind::ArchiveMailbox && task.checkpoint.is_some();
        archived_some || self.case.had_mailbox.contains(&task.planned.target.system)
    }

    /// Nothing is kept by finding nothing: a person finds out, and no licence goes.
    fn mailbox_lost(&mut self, answer: Answer, seen: Observation) {
        self.fail(
            answer.having_read(seen),
            Rule::ObjectGone,
            MAILBOX_LOST.to_owned(),
            None,
        );
    }

    fn found(&mut self, task: &Task, answer: Answer, mut seen: Observation, finds: Vec<Find>) {
        let spec = task.kind().spec();
        // Whether another one has him by now is known here, and not where it was read.
        if task.kind() == Kind::ResolveOnPremises && is_not_found(&seen) {
            let elsewhere = self.case.is_found_in_another_domain(task);
            seen.facts.set(FOUND_ELSEWHERE, elsewhere);
        }
        if let Some(stranger) = finds.iter().find(|f| !spec.finds.contains(&f.kind)) {
            let detail = format!("it claims to have found {}, which it may not find", stranger.kind);
            return self.fail(answer.having_read(seen), Rule::ClaimWithoutProof, detail, None);
        }
        match judge(task.kind(), &task.planned.params, &seen.facts, None) {
            Verdict::Satisfied => {}
            Verdict::NotApplicable(reason) => {
                return self.settle(
                    answer,
                    Outcome::NotApplicable {
                        reason: reason.to_owned(),
                    },
                    seen.clone(),
                    seen,
                );
            }
            Verdict::Blocked(_) if is_not_found(&seen) && self.may_be_in_another_domain(task) => {
                let until = self.now.plus(OTHER_DOMAIN_MS);
                let why = "it is not in this directory, and another one on the premises has not answered yet";
                return self.wait(task, answer.having_read(seen), until, why.to_owned());
            }
            Verdict::Blocked(why) => {
                return self.fail(
                    answer.having_read(seen),
                    Rule::BlockedByPolicy,
                    because(task, why),
                    None,
                );
            }
            Verdict::Unsatisfied(why) => {
                return self.fail(answer.having_read(seen), Rule::ClaimWithoutProof, why, None);
            }
        }
        let system = &task.planned.target.system;
        let new: Vec<PlannedTask> = finds
            .into_iter()
            .filter(|f| !is_skipped(f.kind, &self.case.policy))
            .map(|f| {
                let human = f.kind.spec().area == Area::Person;
                let system = if human {
                    crate::id::System::person()
                } else {
                    system.clone()
                };
                PlannedTask::new(self.case.id, f.kind, &system, Some(f.object), f.params)
            })
            .filter(|p| !self.case.tasks.contains_key(&p.id))
            .collect();
        if !new.is_empty() {
            let late = new
                .iter()
                .filter(|p| self.breaks_order(p, Some(answer.task), &[]))
                .map(|p| p.id)
                .collect();
            // What becomes of his accounts elsewhere is for whoever does it, and nothing
            // that was approved is done otherwise for it.
            let asks = new.iter().any(|p| p.kind != Kind::DecideApp);
            self.push(Event::TasksFound {
                by: answer.task,
                tasks: new,
                late,
            });
            if asks {
                self.ask_again("discovery found more than was approved");
            }
        }
        self.settle(answer, proven(task, &seen), seen.clone(), seen);
    }

    /// Whether another directory on the premises may still say that it has the account
    /// that this one has not. One that a person is at says nothing by itself.
    fn may_be_in_another_domain(&self, task: &Task) -> bool {
        let others = self.case.tasks.values().filter(|t| t.id() != task.id());
        let may_have_it = |t: &Arc<Task>| match &t.state {
            TaskState::Settled { .. } | TaskState::Failed { .. } => false,
            TaskState::Pending | TaskState::Assigned(_) | TaskState::Resting { .. } => {
                !t.last_seen().is_some_and(is_not_found)
            }
        };
        task.kind() == Kind::ResolveOnPremises && others.filter(|t| t.kind() == task.kind()).any(may_have_it)
    }

    /// Where his account is has come out: a person need not say any more that it is in
    /// none of the others, and who was to look again later is done at once.
    fn look_again_where_it_is_not(&mut self, id: TaskId) {
        let others = self.case.tasks.values().filter(|t| t.id() != id);
        let stopped = |t: &&Arc<Task>| matches!(t.state, TaskState::Failed { .. } | TaskState::Resting { .. });
        let asked: Vec<TaskId> = others
            .filter(|t| t.kind() == Kind::ResolveOnPremises)
            .filter(stopped)
            .filter(|t| t.last_seen().is_some_and(is_not_found))
            .map(|t| t.id())
            .collect();
        for task in asked {
            self.push(Event::TaskReopened {
                task,
                why: "another directory on the premises has his account".to_owned(),
            });
        }
    }

    /// Whether something that must follow this find has been begun already; these kinds
    /// follow it for the sake of no loss. What follows it in its own system alone, or for its
    /// own device, is not begun too soon in another, or for another. And application roles wait
    /// so long because they may take an account with them: what is found once they have gone
    /// loses nothing more by being found, as where an older version took them at first. Nor is
    /// an account left open for a program that ran while nobody knew of it.
    pub(super) fn breaks_order(&self, find: &PlannedTask, by: Option<TaskId>, harmless: &[Kind]) -> bool {
        let found = Task {
            found_by: by,
            ..Task::new(find.clone())
        };
        let suspends = matches!(find.kind, Kind::SuspendAtOnce | Kind::SuspendInWorkspace);
        let programs = [Kind::RunScript, Kind::RunIrreversibleScript, Kind::RunManagedScript];
        // What a person does or goes without begins nothing.
        let machines = |t: &&Arc<Task>| t.kind().spec().area != Area::Person;
        self.case.tasks.values().filter(machines).any(|t| {
            let let_off = t.is_waived() && !t.was_ordered();
            let done = matches!(t.outcome(), Some(o) if !matches!(o, Outcome::NotApplicable { .. } | Outcome::Attested { .. }));
            let begun = t.may_have_begun() || done && !let_off;
            let gone_already = by.is_some() && t.kind() == Kind::RemoveAppRoles;
            let ran_already = suspends && programs.contains(&t.kind());
            let counts = t.kind() != find.kind && !harmless.contains(&t.kind()) && !gone_already && !ran_already;
            let in_its_system = |d: &Dep| !d.same_system || t.planned.target.system == find.target.system;
            let of_its_device = |d: &Dep| !d.same_device || self.case.may_be_one_device(t, &found);
            let in_its_mail =
                |d: &Dep| !d.workspace_mail || self.case.policy.workspace_mail.contains(&find.target.system);
            let waits = |d: &Dep| d.kind == find.kind && in_its_system(d) && of_its_device(d) && in_its_mail(d);
            begun && counts && t.kind().spec().after.iter().any(waits)
        })
    }

    /// What is found, or asked for, after the plan was approved asks again.
    pub(super) fn ask_again(&mut self, why: &str) {
        let again: Vec<TaskId> = self
            .case
            .tasks
            .values()
            .filter(|t| t.kind() == Kind::ApprovePlan && t.is_settled())
            .map(|t| t.id())
            .collect();
        for task in again {
            self.push(Event::TaskReopened {
                task,
                why: why.to_owned(),
            });
        }
    }

    fn checked(&mut self, task: &Task, attempt: Attempt, answer: Answer, results: Vec<Checked>) {
        // Whoever reads has the list of when it was ordered. What was settled since, as when a
        // waiver ended, is for the round that follows this one.
        let mut ordered = self.case.checks_for(task);
        let listed = |id: &TaskId| {
            let task = self.case.tasks.get(id);
            task.is_some_and(|t| t.was_settled_by(attempt.ordered_at()))
        };
        ordered.retain(|check| listed(&check.task));
        let mut judged = Vec::with_capacity(ordered.len());
        let mut gone = BTreeSet::new();
        for check in &ordered {
            let Some(seen) = results.iter().find(|r| r.task == check.task) else {
                let detail = format!("the reading of {} is missing", check.kind);
                return self.fail(answer, Rule::ClaimWithoutProof, detail, None);
            };
            let baseline = self.case.tasks.get(&check.task).and_then(|t| t.before.clone());
            let account_gone = seen.observation.facts.bool(ACCOUNT_GONE) == Some(true);
            let verdict = if account_gone {
                Verdict::NotApplicable("the account is gone")
            } else {
                let baseline = baseline.as_ref().map(|b| &b.facts);
                judge(check.kind, &check.params, &seen.observation.facts, baseline)
            };
            let differs = match verdict {
                Verdict::NotApplicable(_) if self.was_there(check.task) => {
                    gone.insert(check.task);
                    Some("it was there, and is gone".to_owned())
                }
                Verdict::Satisfied | Verdict::NotApplicable(_) => None,
                Verdict::Unsatisfied(why) => {
                    // A worker of an older version has not looked: that shows no difference,
                    // where somebody has looked before.
                    match check.kind.spec().older_rule(&seen.observation.facts, &check.params) {
                        Some(_) if self.was_looked_at(check.task) => None,
                        _ => Some(why),
                    }
                }
                Verdict::Blocked(why) => Some(why.to_owned()),
            };
            judged.push(CheckResult {
                task: check.task,
                observation: seen.observation.clone(),
                differs,
            });
        }
        let differences: Vec<(TaskId, String)> = judged
            .iter()
            .filter_map(|r| Some((r.task, r.differs.clone()?)))
            .collect();
        self.push(Event::ChecksDone {
            task: answer.task,
            results: judged,
        });
        let seen = Observation {
            read_at: self.now,
            sources: vec![task.planned.target.system.to_string()],
            facts: Facts::new()
                .with("read", i64::try_from(ordered.len()).unwrap_or(i64::MAX))
                .with("differ", i64::try_from(differences.len()).unwrap_or(i64::MAX)),
        };
        self.settle(answer, Outcome::Verified, seen.clone(), seen);
        for (id, why) in differences {
            self.reopen(id, &why, gone.contains(&id));
        }
    }

    /// Whether what was to be kept was there when the task was settled.
    fn was_there(&self, id: TaskId) -> bool {
        let task = self.case.tasks.get(&id);
        let kept = task.filter(|t| t.kind().spec().keeps);
        kept.and_then(|t| t.outcome()).is_some_and(|o| *o == Outcome::Verified)
    }

    /// Whether it was settled by what counts now. A program before this one took an older
    /// worker's word.
    fn was_looked_at(&self, id: TaskId) -> bool {
        let task = self.case.tasks.get(&id);
        let older = task.and_then(|t| older_rule(t, t.after.as_ref()?));
        older.is_none()
    }

    fn wait(&mut self, task: &Task, answer: Answer, until: Timestamp, why: String) {
        let spec = task.kind().spec();
        if let Some(since) = task.waiting_since.filter(|s| self.now.since(*s) >= spec.patience_ms) {
            return self.fail(
                answer,
                Rule::StillWaiting,
                format!("waiting since {since}: {why}"),
                None,
            );
        }
        let until = until.max(self.now.plus(SHORTEST_WAIT_MS));
        self.rest(answer, until, RestReason::Waiting { why }, false);
    }

    fn fault(&mut self, task: &Task, attempt: Attempt, answer: Answer, fault: Fault) {
        let spec = task.kind().spec();
        let costs = !matches!(fault.class, FaultClass::Throttled { .. });
        let spent = task.spent + u32::from(costs);
        match consequence(fault.class, answer.task, spent, task.faults + 1, spec.attempts) {
            Consequence::Rest { wait_ms, costs_attempt } => {
                let mut until = self.now.plus(wait_ms);
                if let Some(held_ms) = held_back_ms(fault.class) {
                    self.holds.push((fault.system.clone(), self.now.plus(held_ms)));
                }
                if fault.class == FaultClass::Unknown && !spec.convergent {
                    until = until.max(attempt.over_at());
                }
                self.rest(answer, until, RestReason::Fault { fault }, costs_attempt);
            }
            Consequence::AskPerson(rule) => {
                let detail = fault.to_string();
                self.fail(answer, rule, detail, Some(fault));
            }
        }
    }

    fn settle(&mut self, answer: Answer, outcome: Outcome, before: Observation, after: Observation) {
        let (id, done) = (answer.task, !matches!(outcome, Outcome::NotApplicable { .. }));
        let before = match self.case.tasks.get(&id) {
            Some(task) => {
                let record = self.case.earlier_record(task);
                record.unwrap_or_else(|| task.there_was(before))
            }
            None => Arc::new(before),
        };
        let after = (after != *before).then(|| Arc::new(after));
        let read = self.case.tasks.get(&id).map(|t| t.kind());
        let overtaken = self.case.tasks.get(&id).is_some_and(|t| t.overtaken);
        self.push(Event::TaskSettled {
            task: id,
            attempt: answer.attempt,
            outcome,
            before: Some(before),
            after,
            receipts: answer.receipts,
            artifacts: answer.artifacts,
            report: Some(answer.digest),
        });
        // What a closing round has found undone is done again while others are still read.
        let goes_on = matches!(self.case.state, CaseState::Active | CaseState::Closing);
        if done && goes_on {
            self.reopen_what_went_ahead(id);
        }
        // Whoever looked too soon may have found nothing for that.
        if overtaken && goes_on {
            self.push(Event::TaskReopened {
                task: id,
                why: "it was under way while what it must follow was done".to_owned(),
            });
        }
        if done && self.case.state == CaseState::Active {
            if read == Some(Kind::SnapshotDirectory) {
                self.look_who_takes_over(id);
                self.look_for_more_apps(id);
            }
            if read == Some(Kind::ResolveOnPremises) {
                self.look_again_where_it_is_not(id);
            }
        }
        if done && goes_on {
            if read == Some(Kind::RevokeTokensInWorkspace) {
                self.look_what_was_met(id);
            }
            // It may have been under way, and not told, while they were revoked.
            if read == Some(Kind::DiscoverAppsInWorkspace)
                && let Some(revoked) = unplanned::revoked_beside(&self.case, id)
            {
                self.look_what_was_met(revoked);
            }
        }
    }

    /// He may have come to more applications since they were looked up.
    fn look_for_more_apps(&mut self, snapshot: TaskId) {
        let Some(task) = self.case.tasks.get(&snapshot) else {
            return;
        };
        let outdated = unplanned::outdated(&self.case, &task.planned.target.system);
        if let Some(task) = outdated {
            self.push(Event::TaskReopened {
                task,
                why: "the record of his access has more applications than were looked up".to_owned(),
            });
        }
    }

    /// Tokens that were given or revoked around the time at which they were listed.
    fn look_what_was_met(&mut self, revoked: TaskId) {
        let revoked = self.case.tasks.get(&revoked);
        let outdated = revoked.and_then(|task| unplanned::outdated_by_tokens(&self.case, task));
        if let Some(task) = outdated {
            self.push(Event::TaskReopened {
                task,
                why: "tokens were revoked of applications that were not looked up".to_owned(),
            });
        }
    }

    /// What did not wait for a person to do this first is done once more, now
    /// that he has; and with it what is always done again after this.
    fn reopen_what_went_ahead(&mut self, id: TaskId) {
        let Some(task) = self.case.tasks.get(&id) else { return };
        let (kind, system) = (task.kind(), &task.planned.target.system);
        let done = |t: &&Arc<Task>| {
            let proven = t.outcome().is_some_and(|o| !matches!(o, Outcome::Waived { .. }));
            proven && t.planned.target.system == *system
        };
        // In a closing round all is done: ahead of this went what was settled since this was
        // found undone.
        let undone_at = task.reopened_at.filter(|_| self.case.state == CaseState::Closing);
        let since = |t: &Arc<Task>| match &t.state {
            TaskState::Settled { at, .. } => undone_at.is_none_or(|undone| *at >= undone),
            _ => false,
        };
        let went_ahead = |t: &Arc<Task>| t.kind().spec().goes_ahead_of(kind);
        let all_done = || self.case.tasks.values().filter(done);
        if !all_done().any(went_ahead) {
            return;
        }
        let follows = |t: &&Arc<Task>| went_ahead(t) && since(t) || kind.spec().redo.contains(&t.kind());
        let followers: Vec<TaskId> = all_done().filter(follows).map(|t| t.id()).collect();
        for follower in followers {
            self.push(Event::TaskReopened {
                task: follower,
                why: format!("{kind} was done only now, and this must follow it"),
            });
        }
    }

    fn rest(&mut self, answer: Answer, until: Timestamp, why: RestReason, spent: bool) {
        let observe_first = self.must_observe_first(&answer, &why);
        self.push(Event::TaskRested {
            task: answer.task,
            attempt: answer.attempt,
            until,
            why,
            spent,
            observe_first,
            checkpoint: answer.checkpoint,
            seen: answer.seen,
            receipts: answer.receipts,
            artifacts: answer.artifacts,
            report: Some(answer.digest),
        });
    }

    /// For a once-only act: whether it has, or may have, been ordered already.
    fn must_observe_first(&self, answer: &Answer, why: &RestReason) -> bool {
        let Some(task) = self.case.tasks.get(&answer.task) else {
            return false;
        };
        if task.kind().spec().convergent {
            return false;
        }
        match why {
            // Who read has not read what came in meanwhile.
            RestReason::DidNotHappen => task.told_late.is_some(),
            // Ordered, and the vendor is at it.
            RestReason::Waiting { .. } | RestReason::Progress | RestReason::Unanswered => true,
            RestReason::NotBegun { .. } => task.observe_first,
            RestReason::Fault { fault } => {
                task.observe_first || answer.mode == Mode::ObserveOnly || fault.class == FaultClass::Unknown
            }
        }
    }

    fn fail(&mut self, answer: Answer, rule: Rule, detail: String, fault: Option<Fault>) {
        self.push(Event::TaskFailed {
            task: answer.task,
            attempt: answer.attempt,
            rule,
            detail,
            fault,
            checkpoint: answer.checkpoint,
            seen: answer.seen,
            receipts: answer.receipts,
            artifacts: answer.artifacts,
            report: Some(answer.digest),
        });
    }
}

/// Tasks and attempts are never taken back, so one that is not there, or that
/// another record ordered, went with a lost tail, even if history has grown
/// past it since.
fn is_of_a_lost_history(task: &Task, report: &Report) -> bool {
    let ordered_by_another = |p: Place| (p.version, p.head) != (report.version, report.head);
    report.attempt > task.attempt || (report.attempt == task.attempt && task.ordered_by.is_some_and(ordered_by_another))
}

/// The older rule by which this was read of a task, if it was by one.
fn older_rule(task: &Task, read: &Observation) -> Option<&'static OlderRule> {
    task.kind().spec().older_rule(&read.facts, &task.planned.params)
}

/// Whether a directory was read to have no such account.
fn is_not_found(seen: &Observation) -> bool {
    seen.facts.bool("found") == Some(false)
}

/// Why it is blocked, with what was wrong with the successor where there is none.
fn because(task: &Task, why: &str) -> String {
    match task.planned.params.text("successor_problem") {
        Some(problem) => format!("{why} ({problem})"),
        None => why.to_owned(),
    }
}

fn proven(task: &Task, seen: &Observation) -> Outcome {
    let spec = task.kind().spec();
    let less = spec.acknowledged_when.as_ref();
    if less.is_some_and(|c| c.holds(&seen.facts, &task.planned.params, None)) {
        return Outcome::Acknowledged;
    }
    match spec.proof {
        Proof::Read | Proof::Attested => Outcome::Verified,
        Proof::Counter => Outcome::VerifiedByCounter,
        Proof::Acknowledged => Outcome::Acknowledged,
    }
}

/// What makes two deliveries of one report the same.
fn digest_of(report: &Report) -> Digest {
    let json = serde_json::to_vec(report).expect("a report is plain data");
    Digest::of_parts(&[b"offboard.report", &json])
}
