//! Gathers, event by event, what the fold lets go.

use super::{Traces, choices, outcome_account, reading};
use crate::assignment::{Artifact, Mode, Receipt, Said};
use crate::case::{ASKED_LATE, FOUND_LATE};
use crate::catalogue::Kind;
use crate::event::Event;
use crate::evidence::statement::*;
use crate::evidence::task::*;
use crate::evidence::when::When;
use crate::fault::{Fault, Rule};
use crate::id::{CaseId, Digest, TaskId};
use crate::task::{Outcome, PlannedTask, RestReason};

/// Everything gathered from a history.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) tasks: Traces,
    pub(super) approvals: Vec<ApprovalAccount>,
    pub(super) rounds: Vec<RoundAccount>,
    pub(super) amendments: Vec<Amendment>,
    pub(super) joined: Vec<JoinedRequest>,
    pub(super) unserved: Vec<Kind>,
    pub(super) planned_at: Option<When>,
    pub(super) cancellation: Option<Cancellation>,
    pub(super) refusal: Option<RefusalAccount>,
    pub(super) lost_tails: Vec<LostTail>,
    pub(super) artifacts: Vec<(ArtifactAccount, Digest)>,
    plan_approval_tasks: Vec<TaskId>,
}

/// What one task has left behind.
#[derive(Debug, Default)]
pub(in crate::evidence) struct Trace {
    pub(super) since_version: u64,
    pub(super) first_assigned_at: Option<When>,
    pub(super) attempts: u32,
    pub(super) settled: Option<(u64, When)>,
    pub(super) before: Option<Reading>,
    pub(super) after: Option<Reading>,
    pub(super) read_again: Option<(u32, u64, Reading)>,
    pub(super) steps: Vec<Step>,
    pub(super) receipts: Vec<ReceiptAccount>,
}

impl Trace {
    /// What was settled no longer is: its readings go to the step that
    /// settled it.
    fn unsettle(&mut self) {
        let Some((version, _)) = self.settled.take() else {
            return;
        };
        let readings: Vec<Reading> = self.before.take().into_iter().chain(self.after.take()).collect();
        if let Some(step) = self.steps.iter_mut().find(|s| s.version == version) {
            step.readings = readings;
        }
    }

    fn receipts(&mut self, version: u64, receipts: &[Receipt]) {
        self.receipts.extend(receipts.iter().map(|r| ReceiptAccount {
            version,
            at: When::from(r.at),
            request: r.request.clone(),
            status: r.status,
            request_id: r.request_id.clone(),
        }));
    }
}

/// One event as it is taken in.
#[derive(Clone, Copy)]
struct Now<'a> {
    version: u64,
    at: When,
    event: &'a Event,
}

impl Now<'_> {
    fn step(self, text: impl Into<String>) -> Step {
        Step {
            version: self.version,
            at: self.at,
            event: self.event.name().to_owned(),
            attempt: None,
            text: text.into(),
            until: None,
            rule: None,
            fault: None,
            report: None,
            readings: Vec::new(),
        }
    }
}

impl Gathered {
    /// Takes in one event.
    pub(super) fn take(&mut self, version: u64, at: When, event: &Event) {
        let now = Now { version, at, event };
        match event {
            Event::CaseOpened { tasks, .. } => self.add(version, tasks),
            Event::CaseAmended {
                departure,
                by,
                handed_in_by,
            } => self.amendments.push(Amendment {
                version,
                at,
                manner: departure.manner,
                effective_at: When::from(departure.effective_at),
                by: by.clone(),
                handed_in_by: handed_in_by.clone(),
            }),
            Event::RequestJoined {
                case,
                departure,
                amended_by,
                tasks,
                late,
                ..
            } => {
                self.left(*case, version);
                self.add(version, tasks);
                self.late(now, late, ASKED_LATE);
                self.joined.push(JoinedRequest {
                    version,
                    at,
                    case: *case,
                    reference: departure.reference.clone(),
                    requested_by: departure.requested_by.clone(),
                    handed_in_by: departure.handed_in_by.clone(),
                    amended_by: amended_by.clone(),
                    requested_at: When::from(departure.requested_at),
                    manner: departure.manner,
                    effective_at: When::from(departure.effective_at),
                    choices: choices(departure),
                    left_version: None,
                });
            }
            Event::RequestLeft { case, .. } => self.left(*case, version),
            Event::NotePlanned { tasks } => self.add(version, tasks),
            Event::CasePlanned { tasks, unserved } => {
                self.planned_at = Some(at);
                self.unserved.clone_from(unserved);
                self.add(version, tasks);
            }
            Event::TaskAssigned {
                task, attempt, mode, ..
            } => {
                let trace = self.trace(*task);
                trace.attempts += 1;
                trace.first_assigned_at.get_or_insert(at);
                let text = match mode {
                    Mode::Full => "given to a worker",
                    Mode::ObserveOnly => "given to a worker, to read only",
                };
                trace.steps.push(Step {
                    attempt: Some(*attempt),
                    ..now.step(text)
                });
            }
            Event::TaskSettled {
                task,
                attempt,
                outcome,
                before,
                after,
                receipts,
                artifacts,
                report,
            } => {
                let trace = self.trace(*task);
                trace.unsettle();
                trace.settled = Some((version, at));
                trace.before = before.as_deref().map(reading);
                trace.after = after.as_deref().or(before.as_deref()).map(reading);
                trace.receipts(version, receipts);
                trace.steps.push(Step {
                    attempt: (*attempt > 0).then_some(*attempt),
                    report: *report,
                    ..now.step(outcome_words(outcome))
                });
                self.keep(version, *task, artifacts);
                if let Outcome::Attested { file: Some(file), .. } = outcome {
                    self.artifact(version, *task, "attested", *file, None);
                }
            }
            Event::TaskRested {
                task,
                attempt,
                until,
                why,
                seen,
                receipts,
                artifacts,
                report,
                ..
            } => {
                let trace = self.trace(*task);
                trace.receipts(version, receipts);
                let (text, fault) = rest_words(why);
                trace.steps.push(Step {
                    attempt: Some(*attempt),
                    until: Some(When::from(*until)),
                    fault,
                    report: *report,
                    readings: seen.as_deref().map(reading).into_iter().collect(),
                    ..now.step(text)
                });
                self.keep(version, *task, artifacts);
            }
            Event::TaskFailed {
                task,
                attempt,
                rule,
                detail,
                fault,
                seen,
                receipts,
                artifacts,
                report,
                ..
            } => {
                let trace = self.trace(*task);
                trace.unsettle();
                trace.receipts(version, receipts);
                trace.steps.push(Step {
                    attempt: (*attempt > 0).then_some(*attempt),
                    rule: Some(rule_word(*rule)),
                    fault: fault.clone(),
                    report: *report,
                    readings: seen.as_deref().map(reading).into_iter().collect(),
                    ..now.step(detail.as_str())
                });
                self.keep(version, *task, artifacts);
            }
            Event::TaskReopened { task, why } => self.reopen(*task, now.step(why.as_str())),
            Event::WaiverEnded { task } => self.reopen(*task, now.step("the waiver ran out")),
            Event::TasksFound { tasks, late, .. } => {
                self.add(version, tasks);
                self.late(now, late, FOUND_LATE);
            }
            Event::LateReport {
                task,
                attempt,
                said,
                receipts,
                artifacts,
                report,
            } => {
                let trace = self.trace(*task);
                trace.receipts(version, receipts);
                let (text, fault, readings) = late_words(said);
                let step = Step {
                    attempt: Some(*attempt),
                    fault,
                    report: Some(*report),
                    readings,
                    ..now.step(text)
                };
                trace.steps.push(step);
                self.keep(version, *task, artifacts);
            }
            Event::PlanApproved { by, digest, from } => {
                self.approvals.push(ApprovalAccount {
                    version,
                    at,
                    by: by.clone(),
                    task: None,
                    digest: *digest,
                    from: from.map(When::from),
                    by_who_handed_in: false,
                });
                for task in self.plan_approval_tasks.clone() {
                    let trace = self.trace(task);
                    trace.unsettle();
                    trace.settled = Some((version, at));
                    trace.steps.push(now.step(format!("the plan was approved by {by}")));
                }
            }
            Event::TaskApproved { task, by, digest, from } => {
                self.approvals.push(ApprovalAccount {
                    version,
                    at,
                    by: by.clone(),
                    task: Some(*task),
                    digest: *digest,
                    from: from.map(When::from),
                    by_who_handed_in: false,
                });
                self.trace(*task)
                    .steps
                    .push(now.step(format!("exactly this task was approved by {by}")));
            }
            Event::PersonOverdue { task } => {
                self.trace(*task)
                    .steps
                    .push(now.step("a person has kept this waiting longer than the policy allows"));
            }
            Event::RetryOrdered { task, by } => {
                let trace = self.trace(*task);
                trace.unsettle();
                trace.steps.push(now.step(format!("another try was ordered by {by}")));
            }
            Event::CancelRequested { by, reason } => {
                self.cancellation = Some(Cancellation {
                    version,
                    at,
                    by: by.clone(),
                    reason: reason.clone(),
                    // Told from the tasks, when all is gathered.
                    in_flight: Vec::new(),
                    begun: Vec::new(),
                    heard_late: None,
                });
            }
            Event::CaseRefused { reason } => {
                self.refusal = Some(RefusalAccount {
                    version,
                    at,
                    reason: reason.clone(),
                    nothing_written: false,
                });
            }
            Event::ClosingBegan { round, tasks } => {
                self.add(version, tasks);
                self.rounds.push(RoundAccount {
                    round: *round,
                    began_version: version,
                    began_at: at,
                    ended_version: None,
                    ended_at: None,
                    read: 0,
                    differences: Vec::new(),
                });
            }
            Event::ChecksDone { results, .. } => {
                let Some(round) = self.rounds.last_mut() else { return };
                let number = round.round;
                for r in results {
                    round.read += 1;
                    let seen = reading(&r.observation);
                    match &r.differs {
                        Some(differs) => round.differences.push(Difference {
                            task: r.task,
                            differs: differs.clone(),
                            reading: seen,
                        }),
                        None => self.tasks.entry(r.task).or_default().read_again = Some((number, version, seen)),
                    }
                }
            }
            Event::RoundEnded { round, .. } => {
                for r in self.rounds.iter_mut().filter(|r| r.round == *round) {
                    r.ended_version = Some(version);
                    r.ended_at = Some(at);
                }
            }
            Event::TailLost { known, .. } => {
                self.lost_tails.push(LostTail {
                    version,
                    at,
                    known: *known,
                });
                for trace in self.tasks.values_mut() {
                    trace.forget_proof();
                }
            }
            Event::CaseMerged { .. }
            | Event::MergeAcknowledged { .. }
            | Event::MergeUndone { .. }
            | Event::CaseCancelled
            | Event::CaseClosed { .. }
            | Event::EvidenceSealed { .. }
            | Event::FollowUpOpened { .. } => {}
        }
    }

    fn add(&mut self, version: u64, tasks: &[PlannedTask]) {
        for planned in tasks {
            if self.tasks.contains_key(&planned.id) {
                continue;
            }
            self.tasks.insert(
                planned.id,
                Trace {
                    since_version: version,
                    ..Trace::default()
                },
            );
            if planned.kind == Kind::ApprovePlan {
                self.plan_approval_tasks.push(planned.id);
            }
        }
    }

    /// What came after what must follow it was done, or may have been begun.
    fn late(&mut self, now: Now<'_>, late: &[TaskId], words: &str) {
        for task in late {
            let step = Step {
                rule: Some(rule_word(Rule::LateFind)),
                ..now.step(words)
            };
            self.trace(*task).steps.push(step);
        }
    }

    /// What a case asked for is asked for no more, or otherwise from now on.
    fn left(&mut self, case: CaseId, version: u64) {
        let asked = self
            .joined
            .iter_mut()
            .filter(|j| j.case == case && j.left_version.is_none());
        asked.for_each(|j| j.left_version = Some(version));
    }

    fn trace(&mut self, task: TaskId) -> &mut Trace {
        self.tasks.entry(task).or_default()
    }

    fn reopen(&mut self, task: TaskId, step: Step) {
        let trace = self.trace(task);
        trace.unsettle();
        trace.read_again = None;
        trace.steps.push(step);
    }

    fn keep(&mut self, version: u64, task: TaskId, artifacts: &[Artifact]) {
        for a in artifacts {
            self.artifact(version, task, &a.name, a.digest, Some(a));
        }
    }

    /// The same file twice is one; another one of the same name says so.
    fn artifact(&mut self, version: u64, task: TaskId, name: &str, digest: Digest, put: Option<&Artifact>) {
        let mut name = format!("{task}/{name}");
        let same_name = |a: &ArtifactAccount| {
            a.name
                .strip_prefix(&name)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('@'))
        };
        if self.artifacts.iter().any(|(a, d)| *d == digest && same_name(a)) {
            return;
        }
        if self.artifacts.iter().any(|(a, _)| a.name == name) {
            name = format!("{name}@{version}");
        }
        let account = ArtifactAccount {
            name,
            task,
            version,
            media_type: put.map(|a| a.media_type.clone()),
            size_bytes: put.map(|a| a.size_bytes),
        };
        self.artifacts.push((account, digest));
    }
}

impl Trace {
    /// After a lost tail, what was read before it proves nothing.
    fn forget_proof(&mut self) {
        self.read_again = None;
    }
}

fn rule_word(rule: Rule) -> String {
    match serde_json::to_value(rule) {
        Ok(serde_json::Value::String(word)) => word,
        _ => unreachable!("a rule is written as one word"),
    }
}

fn outcome_words(outcome: &Outcome) -> String {
    match outcome_account(outcome) {
        OutcomeAccount::NotApplicable { reason } => format!("not applicable: {reason}"),
        OutcomeAccount::Waived { by, reason, until } => format!("waived by {by} until {until}: {reason}"),
        OutcomeAccount::Attested { by, .. } => format!("attested by {by}"),
        _ => outcome.word().to_owned(),
    }
}

fn rest_words(why: &RestReason) -> (String, Option<Fault>) {
    let fault = match why {
        RestReason::Fault { fault } => Some(fault.clone()),
        _ => None,
    };
    (why.to_string(), fault)
}

/// What a report said whose try was over: it changed no state, and is kept.
fn late_words(said: &Said) -> (String, Option<Fault>, Vec<Reading>) {
    match said {
        Said::Satisfied { before, after } => (
            "a late report says that it was done".into(),
            None,
            vec![reading(before), reading(after)],
        ),
        Said::Observed { observation } => (
            "a late report says what was read".into(),
            None,
            vec![reading(observation)],
        ),
        Said::Found { observation, finds } => (
            format!("a late report says that {} were found", finds.len()),
            None,
            vec![reading(observation)],
        ),
        Said::Checked { results } => {
            let text = format!("a late report says what {} end states were", results.len());
            (text, None, results.iter().map(|r| reading(&r.observation)).collect())
        }
        Said::Progress { .. } => ("a late report says that a slice was done".into(), None, Vec::new()),
        Said::Wait { why, .. } => (format!("a late report says: waiting, {why}"), None, Vec::new()),
        Said::Fault { fault } => (format!("a late report says: {fault}"), Some(fault.clone()), Vec::new()),
        Said::NotBegun { why } => (format!("a late report says: not begun, {why}"), None, Vec::new()),
    }
}
