//! A case on one line.

use crate::view::{CaseView, DeadlineView, TaskView};
use offboard_domain::departure::Manner;
use offboard_domain::{CaseId, TenantId, Timestamp};
use offboard_ledger::IndexEntry;
use serde::{Deserialize, Serialize};

/// A case as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseSummary {
    /// Its id.
    pub case: CaseId,
    /// Whose.
    pub tenant: TenantId,
    /// The source's reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The person, as the request or the directory names him; empty when the
    /// case cannot be read (its key was destroyed).
    pub person: String,
    /// `planned` or `immediate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manner: Option<Manner>,
    /// Its state.
    pub state: String,
    /// Whether its life is over.
    pub ended: bool,
    /// From when on access must be gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_at: Option<Timestamp>,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it last changed.
    pub changed_at: Timestamp,
    /// Tasks settled.
    pub settled: u32,
    /// Tasks in all.
    pub total: u32,
    /// How many things only a person can do now.
    pub needs: u32,
    /// How many of them are tasks that failed.
    pub failed: u32,
    /// Whether something is being done, or could be, at this moment.
    pub working: bool,
    /// When something that rests goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Timestamp>,
    /// What is going on, in a few words.
    pub doing: String,
    /// The vendor's clock that ends next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<DeadlineView>,
}

/// Tells a case on one line.
#[must_use]
pub fn summarise(view: &CaseView) -> CaseSummary {
    let with = |status: &'static str| view.tasks.iter().filter(move |t| t.status == status);
    let failed = with("failed").count();
    let busy = with("working").chain(with("ready")).next();
    let sealing = is_sealing(view);
    let next = with("resting")
        .filter(|t| t.next_at.is_some())
        .min_by_key(|t| t.next_at);
    CaseSummary {
        case: view.case,
        tenant: view.tenant.clone(),
        reference: view.reference.clone(),
        person: view.person.clone(),
        manner: Some(view.manner),
        state: view.state.clone(),
        ended: view.ended,
        effective_at: Some(view.effective_at),
        opened_at: view.opened_at,
        changed_at: view.changed_at,
        settled: view.settled,
        total: view.total,
        needs: count(view.needs.len()),
        failed: count(failed),
        working: !view.ended && (busy.is_some() || sealing),
        next_at: next.and_then(|t| t.next_at).filter(|_| !view.ended),
        doing: doing(view, busy, next),
        deadline: view.deadlines.iter().find(|d| !d.passed).cloned(),
    }
}

/// The same from the index alone, for a case that cannot be read.
pub(super) fn from_index(entry: &IndexEntry) -> CaseSummary {
    CaseSummary {
        case: entry.case,
        tenant: entry.tenant.clone(),
        reference: None,
        person: String::new(),
        manner: None,
        state: entry.state.clone(),
        ended: entry.ended,
        effective_at: None,
        opened_at: entry.opened_at,
        changed_at: entry.updated_at,
        settled: entry.settled,
        total: entry.tasks,
        needs: u32::from(entry.needs_person),
        failed: 0,
        working: false,
        next_at: entry.wake.map(|w| w.at),
        doing: "cannot be read".to_owned(),
        deadline: None,
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn doing(view: &CaseView, busy: Option<&TaskView>, next: Option<&TaskView>) -> String {
    if view.ended {
        return match (&view.detail, &view.evidence) {
            (Some(detail), _) => detail.clone(),
            (None, Some(_)) => "evidence is sealed".to_owned(),
            (None, None) => String::new(),
        };
    }
    if is_sealing(view) {
        return "the evidence is being sealed".to_owned();
    }
    if let Some(task) = busy {
        return task.title.clone();
    }
    if let Some(need) = view.needs.first() {
        let what = match need.what.as_str() {
            "approve_plan" => "approve the plan".to_owned(),
            "approve_task" => format!("approve: {}", need.kind.spec().title),
            "decide" => format!("failed: {}", need.kind.spec().title),
            "protected" => {
                "the account is protected by now: take it off the list, or call the departure off".to_owned()
            }
            _ => need.kind.spec().title.to_owned(),
        };
        return match view.needs.len() {
            1 => what,
            n => format!("{what} (and {} more)", n - 1),
        };
    }
    match next {
        Some(task) => format!("{}: {}", task.title, task.words),
        None => String::new(),
    }
}

/// Whether its evidence is being made: also of a case that was called off or
/// refused, which is not over before.
fn is_sealing(view: &CaseView) -> bool {
    !view.ended && matches!(view.state.as_str(), "sealing" | "cancelled" | "refused")
}
