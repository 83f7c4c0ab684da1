//! `statement`: a case's history → what is to be sealed.
//!
//! The case itself is folded by [`Case::fold`], as everywhere; beside it this
//! only gathers the traces that the fold lets go: each step with the version
//! of its event, receipts, artifacts, readings. A history that does not bear
//! the account (a broken chain, an unsettled task, an end state that was not
//! read again after the last write) is refused before anything is signed.

use super::check;
use super::invalid::Invalid;
use super::statement::*;
use super::task::*;
use super::when::When;
use crate::case::{Case, CaseState};
use crate::catalogue::{Approval, Area, ClosingProof, Kind, KindSpec, Stage, Urgency};
use crate::departure::{Departure, PersonRef};
use crate::event::Event;
use crate::id::{Digest, TaskId};
use crate::observation::{Fact, Facts, Observation};
use crate::record::{Body, Record, link};
use crate::task::{Outcome, PlannedTask, Task};
use crate::time::Timestamp;
use crate::unplanned;
use std::collections::BTreeMap;

mod gather;

use gather::Gathered;

/// Why a history cannot be sealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// There are no events.
    #[error("failed to account for the case: its history is empty")]
    Empty,
    /// The records are not one chain.
    #[error(
        "failed to account for the case: the chain of its history breaks at version {version}; restore the ledger from its copy, nothing is sealed over a broken history"
    )]
    ChainBroken {
        /// The first record that does not fit.
        version: u64,
    },
    /// A record's outside and its event say different things.
    #[error("failed to account for the case: record {version} does not hold the event that was read from it")]
    OtherEvent {
        /// Which record.
        version: u64,
    },
    /// It does not begin with the opening.
    #[error("failed to account for the case: {0}")]
    NotOpened(#[from] crate::case::NotOpened),
    /// The case is not at a point at which it may be sealed.
    #[error(
        "failed to account for the case: it is {state}; only a case whose last round found no difference, or that was called off or refused, is accounted for"
    )]
    NotAtItsEnd {
        /// Where it stands.
        state: &'static str,
    },
    /// The account does not bear out what it says.
    #[error("failed to account for the case: {0}")]
    Unproven(#[from] Box<Invalid>),
}

/// One event of a history: as it is kept, and as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// The record as the ledger keeps it.
    pub record: Record,
    /// When it was decided.
    pub at: Timestamp,
    /// What it says.
    pub event: Event,
}

/// Accounts for a case: its records with their times and events, from version
/// 1 to the last round's end (or to the end of a cancelled or refused case).
///
/// # Errors
/// [`EvidenceError`] if the history is not whole, not at its end, or does not
/// prove what the account would say.
pub fn statement(history: &[Recorded]) -> Result<Statement, EvidenceError> {
    let chain = chain(history)?;
    let first = history.first().ok_or(EvidenceError::Empty)?;
    let Event::CaseOpened { departure, .. } = &first.event else {
        return Err(crate::case::NotOpened(first.event.name()).into());
    };
    let mut case = Case::opened(departure.case_id(), first.at, &first.event)?;
    let mut gathered = Gathered::default();
    for Recorded { record, at, event } in history {
        case.fold(*at, event);
        gathered.take(record.version, When::from(*at), event);
    }
    let ending = match case.state {
        CaseState::Sealing => Ending::Completed,
        CaseState::Cancelled => Ending::Cancelled,
        CaseState::Refused { .. } => Ending::Refused,
        ref other => return Err(EvidenceError::NotAtItsEnd { state: other.word() }),
    };
    let statement = compose(&case, ending, gathered, chain);
    check::consistent(&statement).map_err(Box::new)?;
    Ok(statement)
}

/// Recomputes the chain, and that each record's outside names its event.
fn chain(history: &[Recorded]) -> Result<Chain, EvidenceError> {
    let mut head = Digest::ZERO;
    let mut events = Vec::with_capacity(history.len());
    for (expected, Recorded { record, at, event }) in (1..).zip(history) {
        let version = record.version;
        let body = Digest::of(&record.body);
        if version != expected || record.prev != head || record.hash != link(head, body) {
            return Err(EvidenceError::ChainBroken { version: expected });
        }
        let outside: Result<Body<'_>, _> = serde_json::from_slice(&record.body);
        if !outside.is_ok_and(|b| b.at == *at && b.event == event.name()) {
            return Err(EvidenceError::OtherEvent { version });
        }
        head = record.hash;
        events.push(Link {
            version,
            at: When::from(*at),
            event: event.name().to_owned(),
            body,
            hash: head,
        });
    }
    Ok(Chain { head, events })
}

fn compose(case: &Case, ending: Ending, mut gathered: Gathered, chain: Chain) -> Statement {
    let mut ordered: Vec<&Task> = case.tasks.values().map(AsRef::as_ref).collect();
    ordered.sort_by(|a, b| (a.kind(), &a.planned.target, a.id()).cmp(&(b.kind(), &b.planned.target, b.id())));
    let mut subject = vec![about(CHAIN_HEAD.to_owned(), chain.head)];
    let mut artifacts = Vec::new();
    for (account, digest) in std::mem::take(&mut gathered.artifacts) {
        subject.push(about(account.name.clone(), digest));
        artifacts.push(account);
    }
    let tasks: Vec<TaskAccount> = ordered
        .into_iter()
        .map(|t| task_account(case, t, &mut gathered))
        .collect();
    let cancellation = gathered.cancellation.map(|c| Cancellation {
        in_flight: check::in_flight(&tasks, &gathered.lost_tails, c.version),
        begun: check::begun(&tasks),
        heard_late: (!gathered.lost_tails.is_empty()).then(|| check::heard_late(&tasks)),
        ..c
    });
    let refusal = gathered.refusal.map(|r| RefusalAccount {
        nothing_written: check::nothing_written(&tasks),
        ..r
    });
    let request = request(case, gathered.amendments, gathered.joined);
    let approvals = gathered.approvals.into_iter().map(|a| ApprovalAccount {
        by_who_handed_in: check::handed_it_in(&request, &a),
        ..a
    });
    let approvals = approvals.collect();
    let ended_at = chain.events.last().map_or(When::from(case.changed_at), |l| l.at);
    Statement {
        statement_type: STATEMENT_TYPE.to_owned(),
        subject,
        predicate_type: PREDICATE_TYPE.to_owned(),
        predicate: Predicate {
            generator: Generator {
                name: "offboard".into(),
                version: env!("CARGO_PKG_VERSION").into(),
            },
            tenant: case.departure.tenant.clone(),
            case: case.id,
            ending,
            request,
            times: times(case, &tasks, gathered.planned_at, ended_at),
            summary: check::summary(&tasks),
            plan: PlanAccount {
                digest: case.tasks_digest(),
                unserved: gathered.unserved.iter().map(|k| k.name().to_owned()).collect(),
                capped: case.capped,
            },
            approvals,
            waivers: check::waivers(&tasks),
            tasks,
            rounds: gathered.rounds,
            cancellation,
            refusal,
            lost_tails: gathered.lost_tails,
            artifacts,
            chain,
        },
    }
}

fn about(name: String, digest: Digest) -> About {
    About {
        name,
        digest: Sha256Digest { sha256: digest },
    }
}

fn request(case: &Case, amendments: Vec<Amendment>, joined: Vec<JoinedRequest>) -> Request {
    let Departure {
        reference,
        person,
        requested_by,
        handed_in_by,
        requested_at,
        successor,
        ..
    } = &*case.departure;
    Request {
        reference: reference.clone(),
        requested_by: requested_by.clone(),
        handed_in_by: handed_in_by.clone(),
        approver_may_hand_in: case.policy.approvals.approver_may_hand_in,
        requested_at: When::from(*requested_at),
        manner: case.manner(),
        effective_at: When::from(case.effective_at()),
        subject: case.subject.0.clone(),
        named: named(person),
        successor: successor.as_ref().map(named),
        choices: choices(&case.departure),
        amendments,
        joined,
    }
}

fn named(person: &PersonRef) -> Named {
    Named {
        display_name: person.display_name.clone(),
        user_principal_name: person.user_principal_name.clone(),
        mail: person.mail.clone(),
        employee_id: person.employee_id.clone(),
        object_id: person.object_id.clone(),
    }
}

fn choices(departure: &Departure) -> Facts {
    let mut chosen = Facts::new();
    let json = serde_json::to_value(&departure.choices).expect("choices are plain data");
    for (name, value) in json.as_object().into_iter().flatten() {
        match value {
            serde_json::Value::String(text) if name == "automatic_reply" => {
                chosen.set("automatic_reply_sha256", Digest::of(text.as_bytes()).to_string());
            }
            serde_json::Value::String(word) => chosen.set(name, word.as_str()),
            serde_json::Value::Bool(yes) => chosen.set(name, *yes),
            serde_json::Value::Array(list) if list.iter().all(serde_json::Value::is_string) => {
                let words = list.iter().filter_map(|v| v.as_str().map(str::to_owned));
                chosen.set(name, words.collect::<Vec<String>>());
            }
            other => chosen.set(name, other.to_string()),
        }
    }
    chosen
}

fn times(case: &Case, tasks: &[TaskAccount], planned_at: Option<When>, ended_at: When) -> Times {
    let requested = When::from(case.departure.requested_at);
    let effective = When::from(case.effective_at());
    let burst = check::cut_at(tasks, |n| n.burst);
    let last = check::cut_at(tasks, |n| n.cuts_access);
    let attested = check::attested_at(tasks);
    Times {
        opened_at: When::from(case.opened_at),
        planned_at,
        ended_at,
        burst_cut_at: burst,
        last_access_cut_at: last,
        seconds_from_request_to_burst_cut: burst.map(|t| t.seconds_since(requested)),
        seconds_from_effective_to_burst_cut: burst.map(|t| t.seconds_since(effective)),
        seconds_from_request_to_last_access_cut: last.map(|t| t.seconds_since(requested)),
        seconds_from_effective_to_last_access_cut: last.map(|t| t.seconds_since(effective)),
        last_access_attested_at: attested,
        seconds_from_request_to_last_access_attested: attested.map(|t| t.seconds_since(requested)),
        seconds_from_effective_to_last_access_attested: attested.map(|t| t.seconds_since(effective)),
        access_not_cut: check::access_not_cut(tasks),
    }
}

fn task_account(case: &Case, task: &Task, gathered: &mut Gathered) -> TaskAccount {
    let spec = task.kind().spec();
    let trace = gathered.tasks.remove(&task.id()).unwrap_or_default();
    let settled = task.is_settled().then_some(trace.settled).flatten();
    let (params, withheld_params) = withhold(&task.planned);
    TaskAccount {
        id: task.id(),
        kind: spec.name.to_owned(),
        title: spec.title.to_owned(),
        stage: spec.stage,
        area: spec.area.word().to_owned(),
        system: task.planned.target.system.clone(),
        object: task.planned.target.object.clone(),
        found_by: task.found_by,
        params,
        withheld_params,
        digest: task.planned.digest(),
        since_version: trace.since_version,
        nature: nature(task.kind()),
        outcome: task.outcome().map(outcome_account),
        settled_version: settled.map(|(version, _)| version),
        settled_at: settled.map(|(_, at)| at),
        first_assigned_at: trace.first_assigned_at,
        attempts: trace.attempts,
        before: trace.before,
        after: trace.after,
        closing_proof: task
            .outcome()
            .and_then(|o| closing_proof(case, task, o, trace.read_again)),
        steps: trace.steps,
        receipts: trace.receipts,
        controls: controls(task.kind()),
    }
}

fn nature(kind: Kind) -> Nature {
    let spec = kind.spec();
    Nature {
        writes: spec.writes,
        once: !spec.convergent,
        reversible: spec.reversible,
        cuts_access: spec.cuts_access() || is_cut_by_hand(spec),
        burst: spec.approval == Approval::PlanOrBurst && spec.after.iter().all(|d| d.delay_ms == 0),
        needs_own_approval: spec.approval == Approval::Own,
        closing_round: kind.is_closing_round(),
        beside: kind.is_beside(),
    }
}

/// Whether a person cuts this access, because no machine can, and as urgently as machines do
/// theirs: the account in a directory that is not connected, a technician's login. What he
/// shared with others is no access of his own.
fn is_cut_by_hand(spec: &KindSpec) -> bool {
    spec.area == Area::Person && spec.stage == Stage::Access && matches!(spec.urgency, Urgency::U0 | Urgency::U1)
}

fn controls(kind: Kind) -> ControlsAccount {
    let list = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
    let c = kind.spec().controls;
    ControlsAccount {
        soc2: list(c.soc2),
        iso27001_2022: list(c.iso27001),
        hipaa: list(c.hipaa),
        nist_800_53_r5: list(c.nist80053),
    }
}

pub(super) fn outcome_account(outcome: &Outcome) -> OutcomeAccount {
    match outcome {
        Outcome::Verified => OutcomeAccount::Verified,
        Outcome::VerifiedByCounter => OutcomeAccount::VerifiedByCounter,
        Outcome::Acknowledged => OutcomeAccount::Acknowledged,
        Outcome::Attested { by, file, note, .. } => OutcomeAccount::Attested {
            by: by.clone(),
            file: *file,
            note: note.clone(),
        },
        Outcome::NotApplicable { reason } => OutcomeAccount::NotApplicable { reason: reason.clone() },
        Outcome::Waived { by, reason, until } => OutcomeAccount::Waived {
            by: by.clone(),
            reason: reason.clone(),
            until: When::from(*until),
        },
    }
}

/// None for an end state that should have been read again and was not: the
/// check then names it.
fn closing_proof(
    case: &Case,
    task: &Task,
    outcome: &Outcome,
    read_again: Option<(u32, u64, Reading)>,
) -> Option<ClosingProofAccount> {
    if matches!(outcome, Outcome::Attested { .. } | Outcome::Waived { .. }) {
        return Some(ClosingProofAccount::Person);
    }
    if case.is_read_again(task) {
        let (round, version, reading) = read_again?;
        return Some(ClosingProofAccount::ReadAgain {
            round,
            version,
            reading,
        });
    }
    match task.kind().spec().closing {
        ClosingProof::Receipt(reason) => Some(ClosingProofAccount::Receipt {
            reason: if kept_no_key(task) { THERE_WERE_NONE } else { reason }.to_owned(),
        }),
        ClosingProof::Read => None,
    }
}

/// What is said of keys that nobody has found.
const THERE_WERE_NONE: &str = "there were none; the device may be gone";

/// Whether the device had no recovery key to be kept.
fn kept_no_key(task: &Task) -> bool {
    let read = task.after.as_ref();
    task.kind() == Kind::EscrowRecoveryKeys && read.is_some_and(|seen| seen.facts.int("key_count") == Some(0))
}

pub(super) fn reading(seen: &Observation) -> Reading {
    Reading {
        read_at: When::from(seen.read_at),
        sources: seen.sources.clone(),
        facts: seen.facts.clone(),
    }
}

/// Parameters that are always prose, however short.
const PROSE_PARAMS: &[&str] = &["reply"];
/// Names that vendors and publishers gave, and that are no prose however they are written.
const NAME_PARAMS: &[&str] = &[unplanned::NAME, unplanned::PUBLISHER];
/// A longer text is no id.
const LONGEST_ID_CHARS: usize = 128;

/// Prose in a parameter is somebody's words, perhaps about the person: the
/// account names it by its digest.
fn withhold(planned: &PlannedTask) -> (Facts, BTreeMap<String, Digest>) {
    let mut shown = Facts::new();
    let mut withheld = BTreeMap::new();
    for (name, value) in &planned.params.0 {
        match value {
            Fact::Text(t)
                if PROSE_PARAMS.contains(&name.as_str())
                    || t.chars().count() > LONGEST_ID_CHARS
                    || (t.contains(char::is_whitespace) && !NAME_PARAMS.contains(&name.as_str())) =>
            {
                withheld.insert(name.clone(), Digest::of(t.as_bytes()));
            }
            other => shown.set(name, other.clone()),
        }
    }
    (shown, withheld)
}

/// What one task has left behind.
pub(super) type Traces = BTreeMap<TaskId, gather::Trace>;
