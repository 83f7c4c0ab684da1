//! A case as people and programs are shown it: the shape of `--json`.

use crate::engine::{Engine, EngineError};
use offboard_domain::catalogue::{LICENSED_BY_RULE, Stage};
use offboard_domain::clocks::{Clock, Deadline};
use offboard_domain::estate::{self, KnownDevice};
use offboard_domain::standing::{Standing, standing, words};
use offboard_domain::{
    Case, CaseId, Gates, Kind, Outcome, TaskId, TaskState, TenantId, Timestamp, folders, keeping, unplanned,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskView {
    /// Its id.
    pub id: TaskId,
    /// Its kind.
    pub kind: Kind,
    /// What it does.
    pub title: String,
    /// Its stage of the lifecycle.
    pub stage: Stage,
    /// In which system.
    pub system: String,
    /// About which object, if not the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// `done`, `working`, `resting`, `waiting`, `person`, `failed`, `ready`, `never`.
    pub status: String,
    /// Where it stands, in a sentence.
    pub words: String,
    /// Its outcome's class, once settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// When it was settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<Timestamp>,
    /// The last try.
    pub attempt: u32,
    /// Whether it was ever ordered, as far as anybody has told: also where only a report tells
    /// of that, and the record of its try is lost.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub was_ordered: bool,
    /// Faults in all.
    pub faults: u32,
    /// The last fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_fault: Option<String>,
    /// When something happens next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Timestamp>,
    /// What was read last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<offboard_domain::Observation>,
    /// Whether it writes.
    pub writes: bool,
    /// Whether it can be undone.
    pub reversible: bool,
    /// With which parameters: with id and target, what its digest binds.
    #[serde(default, skip_serializing_if = "no_facts")]
    pub params: offboard_domain::Facts,
    /// What an approval of exactly this task must name.
    pub digest: offboard_domain::Digest,
}

fn no_facts(facts: &offboard_domain::Facts) -> bool {
    facts.0.is_empty()
}

/// Something that only a person can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Need {
    /// For which task.
    pub task: TaskId,
    /// Its kind.
    pub kind: Kind,
    /// `approve_plan`, `approve_task`, `attest`, `decide`, `protected`.
    pub what: String,
    /// Why, in a sentence.
    pub why: String,
    /// The command that does it.
    pub command: String,
}

/// Another request for the same person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinedView {
    /// Its case.
    pub case: CaseId,
    /// Its source's reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Who asked.
    pub requested_by: String,
    /// Who handed it in, if that was somebody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handed_in_by: Option<String>,
    /// `planned` or `immediate`.
    pub manner: offboard_domain::departure::Manner,
    /// From when on access must be gone.
    pub effective_at: Timestamp,
    /// What it wants kept, and this case's own request does not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wants: Vec<String>,
}

/// A vendor's clock that the departure has set going.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadlineView {
    /// When it ends: at the earliest, or at the latest.
    pub at: Timestamp,
    /// It began at an unknown time, and may end before `at`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub or_before: bool,
    /// In which system.
    pub system: String,
    /// Which it is.
    pub clock: Clock,
    /// What happens then.
    pub words: String,
    /// What to do before.
    pub advice: String,
    /// Whether it is over.
    pub passed: bool,
}

/// A case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseView {
    /// Its id.
    pub case: CaseId,
    /// Whose.
    pub tenant: TenantId,
    /// The source's reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The person, as the request or the directory names him.
    pub person: String,
    /// `planned` or `immediate`, by the most urgent of those who asked.
    pub manner: offboard_domain::departure::Manner,
    /// Who asked.
    pub requested_by: String,
    /// Who handed it in, if that was somebody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handed_in_by: Option<String>,
    /// Who changed what was asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amended_by: Vec<String>,
    /// Who handed those changes in, where that was somebody else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes_handed_in_by: Vec<String>,
    /// Other requests for the same person that were merged into this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub joined: Vec<JoinedView>,
    /// Its state.
    pub state: String,
    /// More about the state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Whether its life is over.
    pub ended: bool,
    /// From when on access must be gone, by the earliest of those who asked.
    pub effective_at: Timestamp,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it last changed.
    pub changed_at: Timestamp,
    /// Version of its last record.
    pub version: u64,
    /// Tasks settled.
    pub settled: u32,
    /// Tasks in all.
    pub total: u32,
    /// What an approval of the plan must name.
    pub plan_digest: offboard_domain::Digest,
    /// The sealed evidence's digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<offboard_domain::Digest>,
    /// What only a person can do.
    pub needs: Vec<Need>,
    /// What whoever looks at it should know, and nothing waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Its tasks, in the order of a departure.
    pub tasks: Vec<TaskView>,
    /// The devices that its finders have seen, with every system's record of each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<KnownDevice>,
    /// The vendors' clocks that it has set going, the first to end first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deadlines: Vec<DeadlineView>,
}

/// Shows a case.
#[must_use]
pub fn view(case: &Case, now: Timestamp, gates: &Gates) -> CaseView {
    let mut ordered: Vec<_> = case.tasks.values().collect();
    ordered.sort_by_key(|t| (t.kind().spec().stage, t.kind(), t.id()));
    let mut needs = Vec::new();
    let tasks = ordered
        .iter()
        .map(|t| {
            let stands = standing(case, t, now, gates);
            needs.extend(need(case, t, &stands));
            task_view(case, t, &stands)
        })
        .collect();
    let person = &case.departure.person;
    let name = [
        person.display_name.as_deref(),
        case.subject_facts.text("user_principal_name"),
        person.user_principal_name.as_deref(),
        person.mail.as_deref(),
        person.employee_id.as_deref(),
        person.object_id.as_ref().map(|o| o.0.as_str()),
    ];
    let (settled, total) = case.progress();
    needs.dedup_by(|a, b| a.command == b.command);
    CaseView {
        case: case.id,
        tenant: case.departure.tenant.clone(),
        reference: case.departure.reference.clone(),
        person: name.into_iter().flatten().next().unwrap_or("").to_owned(),
        manner: case.manner(),
        requested_by: case.departure.requested_by.clone(),
        handed_in_by: case.departure.handed_in_by.clone(),
        amended_by: case.amended_by.iter().cloned().collect(),
        changes_handed_in_by: case.changes_handed_in_by.iter().cloned().collect(),
        joined: joined(case),
        state: case.state.word().to_owned(),
        detail: match &case.state {
            offboard_domain::CaseState::Refused { reason } => Some(reason.clone()),
            offboard_domain::CaseState::Merged { into } => Some(format!("the person's departure is case {into}")),
            _ => None,
        },
        ended: case.is_over(),
        effective_at: case.effective_at(),
        opened_at: case.opened_at,
        changed_at: case.changed_at,
        version: case.version,
        settled,
        total,
        plan_digest: case.plan_digest(),
        evidence: case.evidence,
        needs: if case.is_at_rest() { Vec::new() } else { needs },
        warnings: licences_by_rule(case).into_iter().collect(),
        tasks,
        devices: estate::join(&case.sightings()),
        deadlines: case.deadlines().iter().map(|d| deadline(d, now)).collect(),
    }
}

/// Licences that may go by themselves as he is disabled, while that is still to come.
fn licences_by_rule(case: &Case) -> Option<String> {
    let of = |kind: Kind| case.tasks.values().filter(move |t| t.kind() == kind);
    let is_disabled = of(Kind::DisableSignIn).all(|t| t.is_settled());
    let read = of(Kind::SnapshotDirectory).filter_map(|t| t.last_seen()?.facts.list(LICENSED_BY_RULE));
    let groups: Vec<&str> = read.flatten().map(String::as_str).collect();
    (!case.is_over() && !is_disabled && !groups.is_empty()).then(|| {
        format!(
            "groups whose members a rule computes give him licences ({}): if a rule asks whether he is enabled, disabling him takes his mailbox with them before it is kept; assign such a licence to him directly first",
            groups.join(", ")
        )
    })
}

fn deadline(of: &Deadline, now: Timestamp) -> DeadlineView {
    DeadlineView {
        at: of.at,
        or_before: of.or_before,
        system: of.system.to_string(),
        clock: of.clock,
        words: of.clock.words().to_owned(),
        advice: of.clock.advice().to_owned(),
        passed: of.at <= now,
    }
}

fn joined(case: &Case) -> Vec<JoinedView> {
    let asking = case.joined.iter().filter_map(|(id, j)| Some((id, j.asked.as_ref()?)));
    asking
        .map(|(id, asked)| JoinedView {
            case: *id,
            reference: asked.reference.clone(),
            requested_by: asked.requested_by.clone(),
            handed_in_by: asked.handed_in_by.clone(),
            manner: asked.manner,
            effective_at: asked.effective_at,
            wants: keeping::beyond(case, asked)
                .iter()
                .map(|kept| kept.words().to_owned())
                .collect(),
        })
        .collect()
}

fn task_view(case: &Case, task: &offboard_domain::Task, stands: &Standing) -> TaskView {
    let status = match stands {
        Standing::Settled(_) => "done",
        Standing::Failed(_) => "failed",
        Standing::Assigned(_) => "working",
        Standing::WaitsFor(_) | Standing::WaitsForClosing => "waiting",
        Standing::WaitsUntil(_) => "resting",
        Standing::WaitsForPlanApproval
        | Standing::WaitsForOwnApproval
        | Standing::Protected
        | Standing::WaitsForPerson => "person",
        Standing::Ready(..) => "ready",
        Standing::Never => "never",
    };
    let spec = task.kind().spec();
    TaskView {
        id: task.id(),
        kind: task.kind(),
        title: spec.title.to_owned(),
        stage: spec.stage,
        system: task.planned.target.system.to_string(),
        object: task.planned.target.object.as_ref().map(ToString::to_string),
        status: status.to_owned(),
        words: said(case, task, stands),
        outcome: task.outcome().map(|o| o.word().to_owned()),
        settled_at: match &task.state {
            TaskState::Settled { at, .. } => Some(*at),
            _ => None,
        },
        attempt: task.attempt,
        was_ordered: task.was_ordered(),
        faults: task.faults,
        last_fault: task.last_fault.as_ref().map(|(_, fault)| fault.to_string()),
        next_at: match stands {
            Standing::WaitsUntil(w) => Some(w.at),
            Standing::Assigned(at) => Some(*at),
            Standing::Settled(Outcome::Waived { until, .. }) => Some(*until),
            _ => None,
        },
        seen: task.last_seen().cloned(),
        writes: spec.writes,
        reversible: spec.reversible,
        params: task.planned.params.clone(),
        digest: case.task_digest(task),
    }
}

/// Where a task stands, and what or for whose sake a person is asked.
fn said(case: &Case, task: &offboard_domain::Task, stands: &Standing) -> String {
    let plain = words(stands, task);
    let asked = keeping::words(case, task)
        .or_else(|| unplanned::words(task))
        .or_else(|| folders::words(case, task));
    match (stands, asked) {
        (Standing::WaitsForPerson, Some(asked)) => asked,
        (Standing::Failed(_), Some(asked)) => format!("{asked}; {plain}"),
        _ => match unplanned::called(&task.planned.params) {
            Some(name) => format!("{name}: {plain}"),
            None => plain,
        },
    }
}

fn need(case: &Case, task: &offboard_domain::Task, stands: &Standing) -> Option<Need> {
    let id = case.id;
    let (what, command) = match stands {
        Standing::WaitsForPerson if task.kind() == Kind::ApprovePlan => {
            ("approve_plan", format!("offboard approve {id}"))
        }
        Standing::WaitsForPerson if task.kind() == Kind::ConfirmDeviceReturned => {
            ("attest", format!("offboard attest {id} {} --file FILE", task.id()))
        }
        // What became of it is what the account is to say.
        Standing::WaitsForPerson if task.kind() == Kind::DecideApp => {
            ("attest", format!("offboard attest {id} {} --note WHAT", task.id()))
        }
        Standing::WaitsForPerson => ("attest", format!("offboard attest {id} {}", task.id())),
        Standing::Protected => ("protected", format!("offboard cancel {id}")),
        Standing::WaitsForOwnApproval => ("approve_task", format!("offboard approve {id} {}", task.id())),
        Standing::Failed(_) => ("decide", format!("offboard why {id} {}", task.id())),
        _ => return None,
    };
    Some(Need {
        task: task.id(),
        kind: task.kind(),
        what: what.to_owned(),
        why: said(case, task, stands),
        command,
    })
}

impl Engine {
    /// Shows a case, from memory or the ledger.
    ///
    /// # Errors
    /// [`EngineError`] if there is no such case or it cannot be read.
    pub async fn view(self: &Arc<Self>, tenant: &TenantId, id: CaseId) -> Result<CaseView, EngineError> {
        let case = self.case(tenant, id).await?;
        let shut = self.shut(tenant).await?;
        Ok(view(&case, self.clock.now(), &self.gates_now(tenant, &shut)))
    }

    /// The case as it is.
    ///
    /// # Errors
    /// [`EngineError`] if there is no such case or it cannot be read.
    pub async fn case(self: &Arc<Self>, tenant: &TenantId, id: CaseId) -> Result<Arc<Case>, EngineError> {
        if self.holds(id) {
            let place = self.place(tenant, id);
            let case = place.held.lock().await.as_ref().map(|h| h.case.clone());
            if let Some(case) = case {
                return Ok(case);
            }
        }
        let held = self.load(tenant, id).await?;
        held.map(|h| h.case)
            .ok_or(EngineError::Refused(offboard_domain::Refusal::UnknownCase))
    }
}
