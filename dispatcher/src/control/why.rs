//! Why a case or a task is where it is: what was seen, which fault, which
//! rule, what is next and when.

use super::find;
use super::handle::failed;
use super::message::Response;
use super::summary::{CaseSummary, summarise};
use crate::engine::{Engine, EngineError};
use crate::view::{TaskView, view};
use offboard_domain::event::{Event, open_event};
use offboard_domain::task::RestReason;
use offboard_domain::{
    AttemptMark, CaseId, CaseKey, Fault, Kind, Observation, Rule, Said, Task, TaskId, TaskState, TenantId, Timestamp,
    Verdict, judge,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Something that happened to a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Happened {
    /// When.
    pub at: Timestamp,
    /// What, in a sentence.
    pub what: String,
    /// The vendor's receipts: `PATCH /users/{id} → 204 (request id)`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub receipts: Vec<String>,
}

/// The rule by which a task needs a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleView {
    /// Its name.
    pub rule: Rule,
    /// What it says, and what a person can do.
    pub advice: String,
    /// What it says of this case.
    pub detail: String,
}

/// Why one task is where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyTask {
    /// The task, with where it stands and what was read last.
    pub task: TaskView,
    /// What was read before the first write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Observation>,
    /// What the last reading means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
    /// The wanted end state, as the catalogue states it.
    pub wanted: String,
    /// The last fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// When that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault_at: Option<Timestamp>,
    /// Whether that is why it stands where it stands.
    pub fault_holds: bool,
    /// The rule by which it needs a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<RuleView>,
    /// What it waits for, by the catalogue.
    pub after: Vec<Kind>,
    /// Tries that counted, of how many.
    pub spent: u32,
    /// How many tries it has.
    pub allowed: u32,
    /// All that happened to it.
    pub history: Vec<Happened>,
}

/// Why a case is where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyView {
    /// The case.
    pub case: CaseSummary,
    /// The task that was asked about, or those that hold the case up.
    pub tasks: Vec<WhyTask>,
}

/// The stands that hold a case up: what waits for another task does not.
const HOLDING_UP: [&str; 5] = ["failed", "person", "working", "resting", "ready"];

pub(super) async fn why(
    engine: &Arc<Engine>,
    tenant: &TenantId,
    id: CaseId,
    task: Option<&str>,
) -> Result<WhyView, Response> {
    let case = engine.case(tenant, id).await.map_err(|e| failed(&e))?;
    let shut = engine.shut(tenant).await.map_err(|e| failed(&e))?;
    let gates = engine.gates_now(tenant, &shut);
    let shown = view(&case, engine.now(), &gates);
    let asked = task.map(|t| find::task(&case, t)).transpose()?;
    let history = history(engine, tenant, id).await.map_err(|e| failed(&e))?;
    let concerned = |t: &&TaskView| match asked {
        Some(task) => t.id == task,
        None => HOLDING_UP.contains(&t.status.as_str()),
    };
    let tasks = shown
        .tasks
        .iter()
        .filter(concerned)
        .filter_map(|t| case.tasks.get(&t.id).map(|task| explain(task, t.clone(), &history)))
        .collect();
    Ok(WhyView {
        case: summarise(&shown),
        tasks,
    })
}

fn explain(task: &Arc<Task>, shown: TaskView, history: &[(Timestamp, Event)]) -> WhyTask {
    let spec = task.kind().spec();
    let baseline = task.before.as_ref().map(|b| &b.facts);
    let verdict = task.last_seen().map(
        |seen| match judge(task.kind(), &task.planned.params, &seen.facts, baseline) {
            Verdict::Satisfied => "the wanted state was read".to_owned(),
            Verdict::Unsatisfied(why) => why,
            Verdict::NotApplicable(why) => format!("not applicable: {why}"),
            Verdict::Blocked(why) => format!("blocked: {why}"),
        },
    );
    WhyTask {
        before: task.before.as_deref().cloned(),
        verdict,
        wanted: spec.judge.satisfied.to_string(),
        fault: task.last_fault.as_ref().map(|(_, fault)| (**fault).clone()),
        fault_at: task.last_fault.as_ref().map(|(at, _)| *at),
        fault_holds: match &task.state {
            TaskState::Resting { why, .. } => matches!(why, RestReason::Fault { .. }),
            TaskState::Failed { at, .. } => task.last_fault.as_ref().is_some_and(|(since, _)| since == at),
            TaskState::Pending | TaskState::Assigned(_) | TaskState::Settled { .. } => false,
        },
        rule: match &task.state {
            TaskState::Failed { rule, detail, .. } => Some(RuleView {
                rule: *rule,
                advice: rule.advice().to_owned(),
                detail: detail.clone(),
            }),
            _ => None,
        },
        after: spec.after.iter().map(|d| d.kind).collect(),
        spent: task.spent,
        allowed: spec.attempts,
        history: history
            .iter()
            .filter_map(|(at, event)| happened(*at, event, task.id()))
            .collect(),
        task: shown,
    }
}

/// Everything that happened to a case, in order.
pub(super) async fn history(
    engine: &Arc<Engine>,
    tenant: &TenantId,
    id: CaseId,
) -> Result<Vec<(Timestamp, Event)>, EngineError> {
    let history = engine.whole(tenant, id).await?;
    let wrong = |detail: String| EngineError::History { case: id, detail };
    let salt = history
        .salt
        .ok_or_else(|| wrong("its key was destroyed; the person is erased".into()))?;
    let key = CaseKey::derive(&engine.master, &salt);
    let opened = history.records.iter().map(|r| open_event(&key, r));
    opened.collect::<Result<_, _>>().map_err(|e| wrong(e.to_string()))
}

fn happened(at: Timestamp, event: &Event, id: TaskId) -> Option<Happened> {
    let (what, receipts) = words(event, id)?;
    let receipts = receipts
        .iter()
        .map(|r| match &r.request_id {
            Some(request) => format!("{} → {} ({request})", r.request, r.status),
            None => format!("{} → {}", r.request, r.status),
        })
        .collect();
    Some(Happened { at, what, receipts })
}

/// What an event says of a task; none if it does not concern it.
fn words(event: &Event, id: TaskId) -> Option<(String, &[offboard_domain::Receipt])> {
    let none: &[offboard_domain::Receipt] = &[];
    Some(match event {
        Event::CasePlanned { tasks, .. } | Event::ClosingBegan { tasks, .. } => {
            tasks.iter().find(|t| t.id == id)?;
            ("planned".to_owned(), none)
        }
        Event::TasksFound { by, tasks, late } if tasks.iter().any(|t| t.id == id) => {
            let late = if late.contains(&id) {
                ", after work that must follow it was done, or may have been begun"
            } else {
                ""
            };
            (format!("found by {by}{late}"), none)
        }
        Event::RequestJoined { case, tasks, late, .. } if tasks.iter().any(|t| t.id == id) => {
            let late = if late.contains(&id) {
                ", after work that must follow it was done, or may have been begun"
            } else {
                ""
            };
            (format!("asked for by case {case}{late}"), none)
        }
        Event::TaskAssigned {
            task,
            attempt,
            mode,
            start_by,
            ..
        } if *task == id => {
            let how = match mode {
                offboard_domain::Mode::Full => "ordered",
                offboard_domain::Mode::ObserveOnly => "ordered to read only",
            };
            let mark = AttemptMark::of(id, *attempt);
            (
                format!("attempt {attempt} {how}, to begin by {start_by}; its requests {mark}-…"),
                none,
            )
        }
        Event::TaskSettled {
            task,
            attempt,
            outcome,
            receipts,
            ..
        } if *task == id => (
            format!("settled by attempt {attempt}: {}", outcome.word()),
            receipts.as_slice(),
        ),
        Event::TaskRested {
            task,
            attempt,
            until,
            why,
            receipts,
            ..
        } if *task == id => (
            format!("attempt {attempt} rests until {until}: {why}"),
            receipts.as_slice(),
        ),
        Event::TaskFailed {
            task,
            attempt,
            detail,
            fault,
            receipts,
            ..
        } if *task == id => {
            let fault = fault.as_ref().map(|f| format!(" ({f})")).unwrap_or_default();
            (
                format!("attempt {attempt} needs a person: {detail}{fault}"),
                receipts.as_slice(),
            )
        }
        Event::TaskReopened { task, why } if *task == id => (format!("opened again: {why}"), none),
        Event::LateReport {
            task,
            attempt,
            said,
            receipts,
            ..
        } if *task == id => (
            format!("a late report of attempt {attempt} said: {}", said_word(said)),
            receipts.as_slice(),
        ),
        Event::TaskApproved { task, by, .. } if *task == id => (format!("approved by {by}"), none),
        Event::PersonOverdue { task } if *task == id => ("a person's answer is overdue".to_owned(), none),
        Event::WaiverEnded { task } if *task == id => ("its waiver ran out".to_owned(), none),
        Event::RetryOrdered { task, by } if *task == id => (format!("{by} ordered another try"), none),
        Event::ChecksDone { results, .. } => {
            let result = results.iter().find(|r| r.task == id)?;
            let what = match &result.differs {
                Some(differs) => format!("read again before closing, and it differs: {differs}"),
                None => "read again before closing: as it should be".to_owned(),
            };
            (what, none)
        }
        Event::FollowUpOpened { task, case } if *task == id => (format!("taken up by case {case}"), none),
        _ => return None,
    })
}

fn said_word(said: &Said) -> &'static str {
    match said {
        Said::Satisfied { .. } => "the wanted state is there",
        Said::Observed { .. } | Said::Checked { .. } => "what was read",
        Said::Progress { .. } => "a slice is done",
        Said::Wait { .. } => "the outside system is not ready",
        Said::Found { .. } => "what was found",
        Said::Fault { .. } => "a fault",
        Said::NotBegun { .. } => "it was not begun",
    }
}
