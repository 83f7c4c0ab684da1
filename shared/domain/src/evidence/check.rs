//! Whether an account bears itself out: what can be recomputed from it is
//! recomputed, and whatever is said to have happened has its event in the
//! chain, and the other way round.
//!
//! It knows the chain's event names and no catalogue, so that evidence of any
//! age is checked alike. What it upholds: nothing is sealed or accepted that
//! claims more than its chain of events.

use super::invalid::Invalid;
use super::statement::*;
use super::task::*;
use super::when::When;
use crate::assignment::{Subject, Target};
use crate::id::{Digest, TaskId};
use crate::observation::Facts;
use crate::plan::{approval_digest, plan_digest};
use crate::record::link;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The events of which each is about exactly one task.
const OF_ONE_TASK: &[&str] = &[
    "task_assigned",
    "task_settled",
    "task_rested",
    "task_failed",
    "task_reopened",
    "late_report",
    "task_approved",
    "person_overdue",
    "waiver_ended",
    "retry_ordered",
];
/// The events after which a task that was settled no longer is.
const UNSETTLES: &[&str] = &[
    "task_assigned",
    "task_rested",
    "task_failed",
    "task_reopened",
    "waiver_ended",
    "retry_ordered",
    "tasks_found",
];
/// The events that bring tasks into a case.
const BRINGS_TASKS: &[&str] = &[
    "case_opened",
    "case_planned",
    "request_joined",
    "tasks_found",
    "note_planned",
    "closing_began",
];
/// The class under which a task without outcome is counted.
const NOT_DONE: &str = "not_done";

/// Checks a statement.
///
/// # Errors
/// [`Invalid`]: the first thing that does not follow.
pub(super) fn consistent(statement: &Statement) -> Result<(), Invalid> {
    if statement.statement_type != STATEMENT_TYPE {
        return Err(Invalid::StatementType {
            found: statement.statement_type.clone(),
        });
    }
    if statement.predicate_type != PREDICATE_TYPE {
        return Err(Invalid::PredicateType {
            found: statement.predicate_type.clone(),
        });
    }
    let account = &statement.predicate;
    chain(statement)?;
    artifacts(statement)?;
    let events = Events(&account.chain.events);
    tasks(account, events)?;
    complete(account, events)?;
    plan(account)?;
    approvals(account, events)?;
    ending(account, events)?;
    derived(account)
}

/// The chain's events, found by version.
#[derive(Clone, Copy)]
struct Events<'a>(&'a [Link]);

impl<'a> Events<'a> {
    fn get(self, version: u64) -> Option<&'a Link> {
        let index = usize::try_from(version.checked_sub(1)?).ok()?;
        self.0.get(index)
    }

    /// That there is this event at this version, at this time.
    fn bears(self, version: u64, event: &str, at: Option<When>) -> Result<(), Invalid> {
        match self.get(version) {
            Some(l) if l.event == event && at.is_none_or(|at| at == l.at) => Ok(()),
            _ => Err(Invalid::WithoutEvent {
                what: event.to_owned(),
                version,
            }),
        }
    }
}

fn chain(statement: &Statement) -> Result<(), Invalid> {
    let chain = &statement.predicate.chain;
    let mut head = Digest::ZERO;
    for (expected, l) in (1..).zip(&chain.events) {
        if l.version != expected || l.hash != link(head, l.body) {
            return Err(Invalid::ChainBroken { version: expected });
        }
        head = l.hash;
    }
    if chain.events.is_empty() {
        return Err(Invalid::ChainEmpty);
    }
    if chain.head != head {
        let said = chain.head.to_string();
        return Err(Invalid::HeadDiffers {
            what: "the chain's own head",
            said,
            actual: head,
        });
    }
    match statement.subject.first() {
        Some(s) if s.name == CHAIN_HEAD && s.digest.sha256 == head => Ok(()),
        other => {
            let said = other.map_or_else(|| "nothing".to_owned(), |s| s.digest.sha256.to_string());
            Err(Invalid::HeadDiffers {
                what: "the statement's first subject",
                said,
                actual: head,
            })
        }
    }
}

fn artifacts(statement: &Statement) -> Result<(), Invalid> {
    let account = &statement.predicate;
    let subjects = statement.subject.get(1..).unwrap_or_default();
    let mismatch = |name: &str| Invalid::ArtifactMismatch { name: name.to_owned() };
    for (i, artifact) in account.artifacts.iter().enumerate() {
        let known = account.tasks.iter().any(|t| t.id == artifact.task);
        if subjects.get(i).is_none_or(|s| s.name != artifact.name) || !known {
            return Err(mismatch(&artifact.name));
        }
    }
    if let Some(extra) = subjects.get(account.artifacts.len()) {
        return Err(mismatch(&extra.name));
    }
    for task in &account.tasks {
        let Some(OutcomeAccount::Attested { file: Some(file), .. }) = &task.outcome else {
            continue;
        };
        let listed = account
            .artifacts
            .iter()
            .zip(subjects)
            .any(|(a, s)| a.task == task.id && s.digest.sha256 == *file);
        if !listed {
            return Err(Invalid::AttestedFileMissing { task: task.id });
        }
    }
    Ok(())
}

/// Each task by itself: its digest, its steps, its outcome.
fn tasks(account: &Predicate, events: Events<'_>) -> Result<(), Invalid> {
    let mut seen = BTreeSet::new();
    for task in &account.tasks {
        if !seen.insert(task.id) {
            return Err(Invalid::TaskTwice { task: task.id });
        }
        if task.withheld_params.is_empty() && task.digest != task_digest(task) {
            return Err(Invalid::TaskDigest { task: task.id });
        }
        let brought = events
            .get(task.since_version)
            .is_some_and(|l| BRINGS_TASKS.contains(&l.event.as_str()));
        if !brought {
            return Err(Invalid::WithoutEvent {
                what: format!("task {}", task.id),
                version: task.since_version,
            });
        }
        let mut last = 0;
        for step in &task.steps {
            events.bears(step.version, &step.event, Some(step.at))?;
            if step.version <= last {
                return Err(Invalid::WithoutEvent {
                    what: step.event.clone(),
                    version: step.version,
                });
            }
            last = step.version;
        }
        for receipt in &task.receipts {
            if !task.steps.iter().any(|s| s.version == receipt.version) {
                return Err(Invalid::WithoutEvent {
                    what: receipt.request.clone(),
                    version: receipt.version,
                });
            }
        }
        outcome(task)?;
    }
    Ok(())
}

fn outcome(task: &TaskAccount) -> Result<(), Invalid> {
    let Some(outcome) = &task.outcome else {
        let claims = task.settled_version.is_some() || task.settled_at.is_some() || task.closing_proof.is_some();
        return if claims {
            Err(Invalid::OutcomeWithoutEvent { task: task.id })
        } else {
            Ok(())
        };
    };
    let settled = task.steps.iter().find(|s| Some(s.version) == task.settled_version);
    let sound = settled.is_some_and(|s| {
        let by_event = s.event == "task_settled"
            || (s.event == "plan_approved" && matches!(outcome, OutcomeAccount::Attested { .. }));
        by_event && Some(s.at) == task.settled_at
    });
    let unsettled = |s: &Step| Some(s.version) > task.settled_version && UNSETTLES.contains(&s.event.as_str());
    if !sound || task.steps.iter().any(unsettled) {
        return Err(Invalid::OutcomeWithoutEvent { task: task.id });
    }
    if outcome.is_proven() && task.after.is_none() {
        return Err(Invalid::NoReading { task: task.id });
    }
    Ok(())
}

/// That no event about a task was left out.
fn complete(account: &Predicate, events: Events<'_>) -> Result<(), Invalid> {
    let told: BTreeSet<u64> = account.tasks.iter().flat_map(|t| &t.steps).map(|s| s.version).collect();
    for l in events.0.iter().filter(|l| OF_ONE_TASK.contains(&l.event.as_str())) {
        if !told.contains(&l.version) {
            return Err(Invalid::LeftOut {
                event: l.event.clone(),
                version: l.version,
            });
        }
    }
    let listed = |name: &str, versions: Vec<u64>| -> Result<(), Invalid> {
        for v in &versions {
            events.bears(*v, name, None)?;
        }
        match events
            .0
            .iter()
            .find(|l| l.event == name && !versions.contains(&l.version))
        {
            Some(l) => Err(Invalid::LeftOut {
                event: l.event.clone(),
                version: l.version,
            }),
            None => Ok(()),
        }
    };
    listed(
        "case_amended",
        account.request.amendments.iter().map(|a| a.version).collect(),
    )?;
    let joined = &account.request.joined;
    listed("request_joined", joined.iter().map(|j| j.version).collect())?;
    // What a case asks otherwise now is its next request, and no event of its own.
    let left = joined.iter().filter_map(|j| j.left_version);
    listed(
        "request_left",
        left.filter(|v| !joined.iter().any(|j| j.version == *v)).collect(),
    )?;
    listed(
        "closing_began",
        account.rounds.iter().map(|r| r.began_version).collect(),
    )?;
    listed(
        "round_ended",
        account.rounds.iter().filter_map(|r| r.ended_version).collect(),
    )?;
    listed(
        "cancel_requested",
        account.cancellation.iter().map(|c| c.version).collect(),
    )?;
    listed("case_refused", account.refusal.iter().map(|r| r.version).collect())?;
    listed("tail_lost", account.lost_tails.iter().map(|t| t.version).collect())?;
    let of_plan = |a: &&ApprovalAccount| a.task.is_none();
    listed(
        "plan_approved",
        account.approvals.iter().filter(of_plan).map(|a| a.version).collect(),
    )?;
    listed(
        "task_approved",
        account
            .approvals
            .iter()
            .filter(|a| !of_plan(a))
            .map(|a| a.version)
            .collect(),
    )
}

fn plan(account: &Predicate) -> Result<(), Invalid> {
    let actual = plan_before(account, u64::MAX);
    if actual == account.plan.digest {
        Ok(())
    } else {
        Err(Invalid::PlanDigest {
            said: account.plan.digest,
            actual,
        })
    }
}

/// The digest of the plan as it stood before a version.
fn plan_before(account: &Predicate, version: u64) -> Digest {
    let listed: BTreeMap<TaskId, Digest> = account
        .tasks
        .iter()
        .filter(|t| !t.nature.closing_round && t.since_version < version)
        .map(|t| (t.id, t.digest))
        .collect();
    plan_digest(&Subject(account.request.subject.clone()), listed.into_values())
}

/// Whether whoever approved had handed the request in for another one, or a change of it, or
/// what joined it, where the policy does not let him approve.
pub(super) fn handed_it_in(request: &Request, a: &ApprovalAccount) -> bool {
    let handed_in = std::iter::once(&request.handed_in_by)
        .chain(amended(request, a).map(|c| &c.handed_in_by))
        .chain(joined(request, a).map(|j| &j.handed_in_by))
        .flatten();
    !request.approver_may_hand_in && is_any(a, handed_in.map(String::as_str))
}

/// Whether he had asked for it, for a change of it, or for something else in it.
fn asked_for_it(request: &Request, a: &ApprovalAccount) -> bool {
    let asked = std::iter::once(request.requested_by.as_str())
        .chain(amended(request, a).filter_map(|c| c.by.as_deref()))
        .chain(
            joined(request, a)
                .flat_map(|j| j.amended_by.iter().chain([&j.requested_by]))
                .map(String::as_str),
        );
    is_any(a, asked)
}

fn is_any<'a>(a: &ApprovalAccount, mut others: impl Iterator<Item = &'a str>) -> bool {
    others.any(|other| other.trim().eq_ignore_ascii_case(a.by.trim()))
}

/// The changes of the request before that approval.
fn amended<'a>(request: &'a Request, a: &ApprovalAccount) -> impl Iterator<Item = &'a Amendment> + use<'a> {
    let before = a.version;
    request.amendments.iter().filter(move |c| c.version < before)
}

/// What had joined it before that approval, and still asked: who asked and let it be may
/// decide about what others ask.
fn joined<'a>(request: &'a Request, a: &ApprovalAccount) -> impl Iterator<Item = &'a JoinedRequest> + use<'a> {
    let before = a.version;
    let joined = request.joined.iter().filter(move |j| j.version < before);
    joined.filter(move |j| j.left_version.is_none_or(|left| left > before))
}

fn approvals(account: &Predicate, events: Events<'_>) -> Result<(), Invalid> {
    for a in &account.approvals {
        let name = if a.task.is_some() {
            "task_approved"
        } else {
            "plan_approved"
        };
        events.bears(a.version, name, Some(a.at))?;
        let what = match a.task {
            None => Some(plan_before(account, a.version)),
            Some(id) => account.tasks.iter().find(|t| t.id == id).map(|t| t.digest),
        };
        let bound = what.map(|what| a.from.map_or(what, |from| approval_digest(what, from.timestamp())));
        if bound != Some(a.digest) {
            return Err(Invalid::ApprovesSomethingElse { version: a.version });
        }
        // What an older program let happen is evidence as what it is, and as nothing else.
        let handed_in = handed_it_in(&account.request, a);
        if asked_for_it(&account.request, a) || handed_in && !a.by_who_handed_in {
            return Err(Invalid::ApprovedByRequester {
                version: a.version,
                by: a.by.clone(),
            });
        }
        if a.by_who_handed_in && !handed_in {
            return Err(Invalid::DoesNotFollow {
                what: "who approved what he had handed in",
            });
        }
    }
    for task in account.tasks.iter().filter(|t| t.nature.needs_own_approval) {
        let begun = task.steps.iter().find(|s| s.event == "task_assigned");
        let approved = account
            .approvals
            .iter()
            .filter(|a| a.task == Some(task.id))
            .map(|a| a.version)
            .min();
        if begun.is_some_and(|b| approved.is_none_or(|a| a > b.version)) {
            return Err(Invalid::Unapproved { task: task.id });
        }
    }
    Ok(())
}

/// What changes nothing about how a case ended.
const NO_END: [&str; 4] = ["late_report", "case_amended", "merge_acknowledged", "request_left"];

/// That the case ended as it is said to have.
fn ending(account: &Predicate, events: Events<'_>) -> Result<(), Invalid> {
    let last = events.0.last().map_or("", |l| l.event.as_str());
    let (word, event) = match account.ending {
        Ending::Completed => ("completed", "round_ended"),
        Ending::Cancelled => ("cancelled", "case_cancelled"),
        Ending::Refused => ("refused", "case_refused"),
    };
    // A fact that changes nothing may follow the end, such as a late report.
    let ended = events.0.iter().rposition(|l| l.event == event);
    let after = |i: usize| events.0[i + 1..].iter().all(|l| NO_END.contains(&l.event.as_str()));
    if !ended.is_some_and(after) {
        return Err(Invalid::Ending {
            said: word,
            event: last.to_owned(),
        });
    }
    match account.ending {
        Ending::Completed => completed(account, events),
        Ending::Cancelled => cancelled(account),
        Ending::Refused => refused(account),
    }
}

/// That nothing was ordered after the cancellation, and that what was under
/// way then is told and has ended.
fn cancelled(account: &Predicate) -> Result<(), Invalid> {
    let Some(cancellation) = &account.cancellation else {
        return Err(Invalid::DoesNotFollow {
            what: "the cancellation",
        });
    };
    let version = cancellation.version;
    let after = |s: &Step| s.version > version && s.event == "task_assigned";
    if let Some(task) = account.tasks.iter().find(|t| t.steps.iter().any(after)) {
        return Err(Invalid::AssignedAfterCancel { task: task.id });
    }
    if let Some(open) = cancellation.in_flight.iter().find(|f| f.ended_version.is_none()) {
        return Err(Invalid::StillInFlight { task: open.task });
    }
    if cancellation.in_flight != in_flight(&account.tasks, &account.lost_tails, version) {
        return Err(Invalid::DoesNotFollow {
            what: "the list of what was under way when it was called off",
        });
    }
    if cancellation.begun != begun(&account.tasks) {
        return Err(Invalid::DoesNotFollow {
            what: "the list of what was begun and not proven when it was called off",
        });
    }
    // An account from before this was told says nothing of it.
    let told = cancellation.heard_late.as_ref();
    if told.is_some_and(|told| *told != heard_late(&account.tasks)) {
        return Err(Invalid::DoesNotFollow {
            what: "the list of what only late reports show to have been begun",
        });
    }
    Ok(())
}

/// That nothing was written.
fn refused(account: &Predicate) -> Result<(), Invalid> {
    let Some(refusal) = &account.refusal else {
        return Err(Invalid::DoesNotFollow { what: "the refusal" });
    };
    if !refusal.nothing_written || !nothing_written(&account.tasks) {
        return Err(Invalid::DoesNotFollow {
            what: "that nothing was written",
        });
    }
    Ok(())
}

/// That every task is settled, and proven by the last round.
fn completed(account: &Predicate, events: Events<'_>) -> Result<(), Invalid> {
    let round = account
        .rounds
        .last()
        .filter(|r| r.ended_version.is_some() && r.differences.is_empty());
    let round = round.ok_or(Invalid::RoundNotClean)?;
    for task in &account.tasks {
        // Nothing that a departure is judged by goes on beside it.
        let bears = task.nature.cuts_access || task.nature.burst || task.nature.closing_round;
        if task.nature.beside && !bears {
            continue;
        }
        if task.outcome.is_none() {
            return Err(Invalid::NotSettled { task: task.id });
        }
        let worked =
            |s: &Step| s.version > round.began_version && matches!(s.event.as_str(), "task_assigned" | "task_settled");
        if !task.nature.closing_round && task.steps.iter().any(worked) {
            return Err(Invalid::WorkedAfterLastRound { task: task.id });
        }
        match &task.closing_proof {
            Some(ClosingProofAccount::ReadAgain { round: n, version, .. }) => {
                events.bears(*version, "checks_done", None)?;
                if *n != round.round || *version < round.began_version {
                    return Err(Invalid::NotReadAgain { task: task.id });
                }
            }
            Some(ClosingProofAccount::Receipt { .. }) => {}
            Some(ClosingProofAccount::Person) => {
                let by_person = matches!(
                    task.outcome,
                    Some(OutcomeAccount::Attested { .. } | OutcomeAccount::Waived { .. })
                );
                if !by_person {
                    return Err(Invalid::NotReadAgain { task: task.id });
                }
            }
            None => return Err(Invalid::NotReadAgain { task: task.id }),
        }
    }
    Ok(())
}

/// What follows from the tasks.
fn derived(account: &Predicate) -> Result<(), Invalid> {
    let follows = |what: &'static str, yes: bool| {
        if yes {
            Ok(())
        } else {
            Err(Invalid::DoesNotFollow { what })
        }
    };
    let times = &account.times;
    let tasks = &account.tasks;
    let events = &account.chain.events;
    follows("the summary", account.summary == summary(tasks))?;
    follows("the list of waivers", account.waivers == waivers(tasks))?;
    follows(
        "the time of opening",
        events.first().is_some_and(|l| l.at == times.opened_at),
    )?;
    follows(
        "the time of the end",
        events.last().is_some_and(|l| l.at == times.ended_at),
    )?;
    let burst = cut_at(tasks, |n| n.burst);
    let last = cut_at(tasks, |n| n.cuts_access);
    follows("the time of the burst", times.burst_cut_at == burst)?;
    follows("the time of the last access cut", times.last_access_cut_at == last)?;
    follows(
        "the list of access that was not cut",
        times.access_not_cut == access_not_cut(tasks),
    )?;
    let attested = attested_at(tasks);
    follows(
        "the time at which access was said to be cut",
        times.last_access_attested_at == attested,
    )?;
    let (requested, effective) = (account.request.requested_at, account.request.effective_at);
    let seconds = [
        (times.seconds_from_request_to_burst_cut, burst, requested),
        (times.seconds_from_effective_to_burst_cut, burst, effective),
        (times.seconds_from_request_to_last_access_cut, last, requested),
        (times.seconds_from_effective_to_last_access_cut, last, effective),
        (times.seconds_from_request_to_last_access_attested, attested, requested),
        (
            times.seconds_from_effective_to_last_access_attested,
            attested,
            effective,
        ),
    ];
    let right = seconds
        .iter()
        .all(|(said, to, from)| *said == to.map(|t| t.seconds_since(*from)));
    follows("the time to the last access cut", right)
}

/// A task's digest from the account of it: the same bytes as
/// [`crate::task::PlannedTask::digest`] hashes.
fn task_digest(task: &TaskAccount) -> Digest {
    #[derive(Serialize)]
    struct Planned<'a> {
        id: TaskId,
        kind: &'a str,
        target: Target,
        params: &'a Facts,
    }
    let target = Target {
        system: task.system.clone(),
        object: task.object.clone(),
    };
    let planned = Planned {
        id: task.id,
        kind: &task.kind,
        target,
        params: &task.params,
    };
    let json = serde_json::to_vec(&planned).expect("a task is plain data");
    Digest::of_parts(&[b"offboard.task.approval", &json])
}

/// The events that end an attempt.
const ENDS_AN_ATTEMPT: &[&str] = &["task_settled", "task_rested", "task_failed"];

/// The tasks of a case that was called off that write and were given to a
/// worker, and that have no outcome. A wipe that was ordered is one, until the
/// device has been seen to have done it.
pub(super) fn begun(tasks: &[TaskAccount]) -> Vec<Begun> {
    let open = tasks.iter().filter(|t| t.outcome.is_none() && t.nature.writes);
    open.filter_map(|task| {
        let given = task.steps.iter().filter(|s| s.event == "task_assigned").count();
        let last = task
            .steps
            .iter()
            .rfind(|s| s.event != "task_assigned" && s.attempt.is_some());
        (given > 0).then(|| Begun {
            task: task.id,
            attempts: u32::try_from(given).unwrap_or(u32::MAX),
            last: last.map_or_else(|| "nothing".to_owned(), |s| s.text.clone()),
        })
    })
    .collect()
}

/// The tasks of a case that was called off that write, have no outcome, and were given to a
/// worker by history that is lost: nothing but a late report tells of that.
pub(super) fn heard_late(tasks: &[TaskAccount]) -> Vec<Begun> {
    let open = tasks.iter().filter(|t| t.outcome.is_none() && t.nature.writes);
    let forgotten = open.filter(|t| t.steps.iter().all(|s| s.event != "task_assigned"));
    forgotten
        .filter_map(|task| {
            let late = || task.steps.iter().filter(|s| s.event == "late_report");
            let last = late().next_back()?;
            Some(Begun {
                task: task.id,
                attempts: late().filter_map(|s| s.attempt).max().unwrap_or(1),
                last: last.text.clone(),
            })
        })
        .collect()
}

/// The attempts that were under way at a version, and what became of them.
pub(super) fn in_flight(tasks: &[TaskAccount], lost_tails: &[LostTail], version: u64) -> Vec<InFlight> {
    let mut found = Vec::new();
    for task in tasks {
        let mut before = task.steps.iter().filter(|s| s.version < version);
        let moves = |s: &&Step| s.event == "task_assigned" || UNSETTLES.contains(&s.event.as_str());
        let last = before.rfind(|s| moves(s) || s.event == "task_settled");
        let Some(assigned) = last.filter(|s| s.event == "task_assigned") else {
            continue;
        };
        // After a lost tail nobody knows of it any more; its report comes late.
        let forgotten = lost_tails
            .iter()
            .any(|t| t.version > assigned.version && t.version < version);
        if forgotten {
            continue;
        }
        let ended = task
            .steps
            .iter()
            .find(|s| s.version > version && ENDS_AN_ATTEMPT.contains(&s.event.as_str()))
            .map(|s| (s.version, s.at, s.text.clone()));
        let lost = lost_tails.iter().find(|t| t.version > version).map(|t| {
            let words = "not known: history was lost; what its worker still says is kept as a late report";
            (t.version, t.at, words.to_owned())
        });
        let end = ended.into_iter().chain(lost).min_by_key(|(version, ..)| *version);
        found.push(InFlight {
            task: task.id,
            attempt: assigned.attempt.unwrap_or(0),
            ended_version: end.as_ref().map(|(version, ..)| *version),
            ended_at: end.as_ref().map(|(_, at, _)| *at),
            became: end.map_or_else(|| "not ended".to_owned(), |(.., words)| words),
        });
    }
    found
}

/// Whether no task that writes anything of the person's was ever given to a worker. What
/// goes on beside a case tells people of it, and cuts no access.
pub(super) fn nothing_written(tasks: &[TaskAccount]) -> bool {
    let tells = |t: &TaskAccount| t.nature.beside && !t.nature.cuts_access && !t.nature.burst;
    !tasks
        .iter()
        .filter(|t| !tells(t))
        .any(|t| t.nature.writes && (t.attempts > 0 || t.steps.iter().any(|s| s.event == "task_assigned")))
}

/// Counts the tasks.
pub(super) fn summary(tasks: &[TaskAccount]) -> Summary {
    let mut outcomes = BTreeMap::new();
    for task in tasks {
        let class = task.outcome.as_ref().map_or(NOT_DONE, OutcomeAccount::class);
        *outcomes.entry(class.to_owned()).or_insert(0) += 1;
    }
    let steps = |f: fn(&Step) -> bool| count(tasks.iter().flat_map(|t| &t.steps).filter(|s| f(s)).count());
    Summary {
        tasks: count(tasks.len()),
        outcomes,
        attempts: tasks.iter().map(|t| u64::from(t.attempts)).sum(),
        faults: steps(|s| s.fault.is_some()),
        needed_a_person: steps(|s| s.rule.is_some()),
        late_reports: steps(|s| s.event == "late_report"),
    }
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// The waivers that are open.
pub(super) fn waivers(tasks: &[TaskAccount]) -> Vec<WaiverAccount> {
    tasks
        .iter()
        .filter_map(|t| match &t.outcome {
            Some(OutcomeAccount::Waived { by, reason, until }) => Some(WaiverAccount {
                task: t.id,
                by: by.clone(),
                reason: reason.clone(),
                until: *until,
            }),
            _ => None,
        })
        .collect()
}

/// When the last of these tasks was proven; what was waived or did not apply
/// cut nothing.
pub(super) fn cut_at(tasks: &[TaskAccount], which: impl Fn(Nature) -> bool) -> Option<When> {
    tasks
        .iter()
        .filter(|t| which(t.nature) && t.outcome.as_ref().is_some_and(OutcomeAccount::is_proven))
        .filter_map(|t| t.settled_at)
        .max()
}

/// When a person last said that he had cut access that no machine can cut.
pub(super) fn attested_at(tasks: &[TaskAccount]) -> Option<When> {
    tasks
        .iter()
        .filter(|t| t.nature.cuts_access && matches!(t.outcome, Some(OutcomeAccount::Attested { .. })))
        .filter_map(|t| t.settled_at)
        .max()
}

/// The tasks that should have cut access and did not.
pub(super) fn access_not_cut(tasks: &[TaskAccount]) -> Vec<TaskId> {
    tasks
        .iter()
        .filter(|t| t.nature.cuts_access && matches!(t.outcome, None | Some(OutcomeAccount::Waived { .. })))
        .map(|t| t.id)
        .collect()
}
