//! Where a task stands *now*, given the case and the gates: the one answer
//! from which `next` takes its effects and wake-ups, `decide` its assignments,
//! and `offboard why` its words.

use crate::assignment::Mode;
use crate::case::{Case, CaseState};
use crate::catalogue::{Approval, Area, Dep, Kind, Lane};
use crate::departure::Manner;
use crate::fault::Rule;
use crate::gates::Gates;
use crate::id::TaskId;
use crate::task::{Outcome, RestReason, Task, TaskState};
use crate::time::Timestamp;
use crate::wake::{Wake, WakeReason};
use std::sync::Arc;

/// Where a task stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Done.
    Settled(Outcome),
    /// Needs a person.
    Failed(Rule),
    /// With a worker, whose answer is awaited until then.
    Assigned(Timestamp),
    /// Waits for these kinds.
    WaitsFor(Vec<Kind>),
    /// Waits for a time.
    WaitsUntil(Wake),
    /// Waits for the plan's approval.
    WaitsForPlanApproval,
    /// Waits for its own approval.
    WaitsForOwnApproval,
    /// A person is to do it, and can.
    WaitsForPerson,
    /// Can be assigned.
    Ready(Mode, Lane),
    /// The case is being called off or is over; it will not be done.
    Never,
}

/// Where a task of the case stands.
#[must_use]
pub fn standing(case: &Case, task: &Task, now: Timestamp, gates: &Gates) -> Standing {
    let resting = match &task.state {
        TaskState::Settled { outcome, .. } => return Standing::Settled(outcome.clone()),
        TaskState::Failed { rule, .. } => return Standing::Failed(*rule),
        TaskState::Assigned(a) => return Standing::Assigned(a.over_at()),
        TaskState::Resting { until, .. } => Some(*until),
        TaskState::Pending => None,
    };
    if case.state.ended() || matches!(case.state, CaseState::Cancelling) {
        return Standing::Never;
    }
    let spec = task.kind().spec();
    let missing = unsettled(case, spec.after);
    if !missing.is_empty() {
        return Standing::WaitsFor(missing);
    }
    if let Some(wake) = delayed(case, spec.after, now) {
        return Standing::WaitsUntil(wake);
    }
    if spec.area == Area::Person {
        return Standing::WaitsForPerson;
    }
    if spec.writes {
        if now < case.departure.effective_at {
            return Standing::WaitsUntil(Wake {
                at: case.departure.effective_at,
                why: WakeReason::Start,
            });
        }
        if let Some(waits) = unapproved(case, task, now) {
            return waits;
        }
    }
    if let Some(until) = resting.max(task.busy_until).filter(|until| *until > now) {
        return Standing::WaitsUntil(Wake {
            at: until,
            why: WakeReason::Retry,
        });
    }
    if let Some(wake) = gates.shut(&task.planned.target.system, task.kind(), now) {
        return Standing::WaitsUntil(wake);
    }
    let rivals: Vec<Kind> = rivals_in_flight(case, task.kind());
    if !rivals.is_empty() {
        return Standing::WaitsFor(rivals);
    }
    let mode = if task.observe_first {
        Mode::ObserveOnly
    } else {
        Mode::Full
    };
    Standing::Ready(mode, case.lane(task.kind()))
}

/// The kinds for whose sake dependencies are not met. A kind that the case has
/// no task of stands for what it would have waited for: an order holds also
/// through what a policy leaves out or no connector offers.
fn unsettled(case: &Case, after: &[Dep]) -> Vec<Kind> {
    const { assert!(Kind::ALL.len() <= 128, "a kind is a bit of the mask") };
    let mut missing: Vec<Kind> = Vec::new();
    let mut looked_through = 0_u128;
    let mut todo: Vec<&[Dep]> = vec![after];
    while let Some(deps) = todo.pop() {
        for dep in deps {
            let spec = dep.kind.spec();
            let finds = spec.finds.iter().filter(|_| dep.with_finds);
            for kind in std::iter::once(&dep.kind).chain(finds) {
                let waits = case.open_of(*kind) > 0 && !(dep.tried && case.is_with_people(*kind));
                if waits && !missing.contains(kind) {
                    missing.push(*kind);
                }
            }
            let bit = 1 << dep.kind.index();
            if !case.has(dep.kind) && looked_through & bit == 0 {
                looked_through |= bit;
                todo.push(spec.after);
            }
        }
    }
    missing
}

fn delayed(case: &Case, after: &[Dep], now: Timestamp) -> Option<Wake> {
    after
        .iter()
        .filter(|d| d.delay_ms > 0)
        .map(|d| case.settled_at(d.kind).plus(d.delay_ms))
        .filter(|at| *at > now)
        .max()
        .map(|at| Wake {
            at,
            why: WakeReason::Delay,
        })
}

/// What approval a write still waits for. An immediate departure's reversible
/// burst waits for none, unless the tenant's cap holds the case back.
fn unapproved(case: &Case, task: &Task, now: Timestamp) -> Option<Standing> {
    let needed = case.policy.approvals.plan || case.capped;
    let by_plan = !needed || task.in_approved_plan;
    match task.kind().spec().approval {
        Approval::None => None,
        Approval::Plan => (!by_plan).then_some(Standing::WaitsForPlanApproval),
        Approval::PlanOrBurst => {
            let burst = case.departure.manner == Manner::Immediate && !case.capped;
            (!by_plan && !burst).then_some(Standing::WaitsForPlanApproval)
        }
        Approval::Own => match &task.approved {
            None if !by_plan => Some(Standing::WaitsForPlanApproval),
            None => Some(Standing::WaitsForOwnApproval),
            Some(a) => {
                let at = a.at.plus(case.policy.approvals.irreversible_delay_ms);
                (at > now).then_some(Standing::WaitsUntil(Wake {
                    at,
                    why: WakeReason::Delay,
                }))
            }
        },
    }
}

fn rivals_in_flight(case: &Case, kind: Kind) -> Vec<Kind> {
    Kind::ALL
        .iter()
        .copied()
        .filter(|k| case.in_flight_of(*k) > 0)
        .filter(|k| kind.spec().conflicts.contains(k) || k.spec().conflicts.contains(&kind))
        .collect()
}

/// Since when a person has been waited for: the last of what it waited for.
#[must_use]
pub fn person_since(case: &Case, task: &Task) -> Timestamp {
    task.kind()
        .spec()
        .after
        .iter()
        .map(|d| case.settled_at(d.kind))
        .max()
        .unwrap_or(case.opened_at)
}

/// What is to be told to the world, given the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// This task can be assigned.
    Assign(TaskId, Lane),
    /// The closer can seal.
    Seal,
}

/// Effects and the next wake-up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Next {
    /// What can be done now.
    pub effects: Vec<Effect>,
    /// When the case next wants to be looked at, and why.
    pub wake: Option<Wake>,
    /// The same without what could be done now: the next time to come.
    pub timer: Option<Wake>,
    /// Whether a person is needed now.
    pub needs_person: bool,
}

/// `next`: case + now + gates → effects and the next wake-up with its reason.
#[must_use]
pub fn next(case: &Case, now: Timestamp, gates: &Gates) -> Next {
    let mut out = Next::default();
    let mut wake = |w: Wake| {
        if out.wake.is_none_or(|old| w < old) {
            out.wake = Some(w);
        }
        let now_already = matches!(w.why, WakeReason::Ready | WakeReason::Seal);
        if !now_already && out.timer.is_none_or(|old| w < old) {
            out.timer = Some(w);
        }
    };
    if case.is_to_be_sealed() {
        out.effects.push(Effect::Seal);
        wake(Wake {
            at: now,
            why: WakeReason::Seal,
        });
    }
    // What is settled wants nothing, but for a waiver.
    let wants = |t: &&Arc<Task>| t.outcome().is_none_or(|o| matches!(o, Outcome::Waived { .. }));
    for task in case.tasks.values().filter(wants) {
        match standing(case, task, now, gates) {
            Standing::Settled(Outcome::Waived { until, .. }) => {
                let open = !case.state.ended() && !case.is_to_be_sealed();
                let follow = case.state == CaseState::Closed && !case.followed_up.contains(&task.id());
                if open || follow {
                    wake(Wake {
                        at: until,
                        why: WakeReason::WaiverEnds,
                    });
                }
            }
            Standing::Settled(_) | Standing::Never | Standing::WaitsFor(_) => {}
            Standing::Failed(_) => out.needs_person = !case.state.ended() || out.needs_person,
            Standing::Assigned(over) => wake(Wake {
                at: over,
                why: WakeReason::Unanswered,
            }),
            Standing::WaitsUntil(w) => wake(w),
            Standing::WaitsForPerson | Standing::WaitsForOwnApproval | Standing::WaitsForPlanApproval => {
                out.needs_person = true;
                if !task.overdue && task.kind().spec().area == Area::Person {
                    let at = person_since(case, task).plus(case.policy.approvals.overdue_after_ms);
                    wake(Wake {
                        at,
                        why: WakeReason::Overdue,
                    });
                }
            }
            Standing::Ready(_, lane) => {
                out.effects.push(Effect::Assign(task.id(), lane));
                wake(Wake {
                    at: now,
                    why: WakeReason::Ready,
                });
            }
        }
    }
    out
}

/// Where a task stands, in a sentence.
#[must_use]
pub fn words(standing: &Standing, task: &Task) -> String {
    match standing {
        Standing::Settled(o) => match o {
            Outcome::NotApplicable { reason } => format!("not applicable: {reason}"),
            Outcome::Waived { by, reason, until } => format!("waived by {by} until {until}: {reason}"),
            Outcome::Attested { by, .. } => format!("attested by {by}"),
            other => other.word().to_owned(),
        },
        Standing::Failed(rule) => {
            let detail = match &task.state {
                TaskState::Failed { detail, .. } => detail.as_str(),
                _ => "",
            };
            format!("needs a person: {detail} — {}", rule.advice())
        }
        Standing::Assigned(until) => format!("with a worker; an answer is awaited until {until}"),
        Standing::WaitsFor(kinds) => {
            // A kind may be missing for itself and as what another one finds.
            let kinds: std::collections::BTreeSet<Kind> = kinds.iter().copied().collect();
            let names: Vec<&str> = kinds.into_iter().map(Kind::name).collect();
            format!("waits for {}", names.join(", "))
        }
        Standing::WaitsUntil(wake) => match &task.state {
            TaskState::Resting { why, .. } if wake.why == WakeReason::Retry => {
                format!("rests until {}: {}", wake.at, rest_words(why))
            }
            _ => format!("waits until {}: {}", wake.at, wake.why.words()),
        },
        Standing::WaitsForPlanApproval => "waits for the plan's approval (`offboard approve CASE`)".into(),
        Standing::WaitsForOwnApproval => {
            "waits for an approval of exactly this task (`offboard approve CASE TASK`)".into()
        }
        Standing::WaitsForPerson => {
            format!("waits for a person: {}", task.kind().spec().title)
        }
        Standing::Ready(..) => "can start now".into(),
        Standing::Never => "will not be done: the case is over or called off".into(),
    }
}

fn rest_words(why: &RestReason) -> String {
    why.to_string()
}
