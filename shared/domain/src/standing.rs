//! Where a task stands *now*, given the case and the gates: the one answer
//! from which `next` takes its effects and wake-ups, `decide` its assignments,
//! and `offboard why` its words.

use crate::assignment::Mode;
use crate::case::{Case, CaseState};
use crate::catalogue::{Approval, Area, Closes, Dep, Kind, Lane, Stage, Until};
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
    /// Waits for the case to be closed.
    WaitsForClosing,
    /// Waits for its own approval.
    WaitsForOwnApproval,
    /// The account came onto the tenant's list of protected accounts before anything was
    /// written: a person takes it off again, or calls the departure off.
    Protected,
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
    let spec = task.kind().spec();
    let goes_on = case.outlives(task);
    let instead = spec.closes == Closes::Instead;
    if !goes_on && (instead || case.state.ended() || matches!(case.state, CaseState::Cancelling)) {
        return Standing::Never;
    }
    if spec.closes == Closes::After && !goes_on {
        return Standing::WaitsForClosing;
    }
    // What shows that it happened may be gone in minutes, and to read it breaks no order, whatever
    // is open again by now, and whenever he is to leave. Once it is known that it did not happen,
    // the order holds as before.
    let is_looked_for = task.is_looked_for();
    // There is no departure whose order and time it could wait for.
    if !instead
        && !is_looked_for
        && let Some(waits) = waits_for_others(case, task, now)
    {
        return waits;
    }
    if spec.area == Area::Person {
        return Standing::WaitsForPerson;
    }
    // Nobody is sent to it before a person has agreed to exactly this, as its account shows; but
    // he need not be waited for any longer.
    if is_looked_for && spec.approval == Approval::Own && task.approved.is_none() {
        return Standing::WaitsForOwnApproval;
    }
    if spec.writes && !instead && !is_looked_for {
        let effective_at = case.effective_at();
        if now < effective_at {
            return Standing::WaitsUntil(Wake {
                at: effective_at,
                why: WakeReason::Start,
            });
        }
        if !task.kind().is_beside() && case.is_protected_by_now(gates) {
            return Standing::Protected;
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

/// What of the case it still waits for.
fn waits_for_others(case: &Case, task: &Task, now: Timestamp) -> Option<Standing> {
    let spec = task.kind().spec();
    let mut missing = unsettled(case, task, now);
    missing.extend(
        spec.after_stage
            .into_iter()
            .flat_map(|stage| open_of_stage(case, stage)),
    );
    if !missing.is_empty() {
        return Some(Standing::WaitsFor(missing));
    }
    delayed(case, spec.after, now).map(Standing::WaitsUntil)
}

/// The kinds for whose sake dependencies are not met. A kind that the case has
/// no task of stands for what it would have waited for: an order holds also
/// through what a policy leaves out or no connector offers. So does one that is
/// waited for by device, where this device has none. What the task waits for by device
/// itself, it reaches by device.
fn unsettled(case: &Case, task: &Task, now: Timestamp) -> Vec<Kind> {
    // What is waited for no longer is not looked through either: an end is the
    // task's own, and holds for what stands in another's place.
    let ends = task.kind().spec().after.iter().any(|dep| dep.at_most_ms.is_some());
    let since = ends.then(|| patient_since(case, task)).flatten();
    open_before(case, task, |dep| {
        let end = since.zip(dep.at_most_ms).map(|(since, ms)| since.plus(ms));
        end.is_some_and(|end| now >= end)
    })
}

/// The same, without what is over of what the task itself waits for.
fn open_before(case: &Case, task: &Task, is_over: impl Fn(&Dep) -> bool) -> Vec<Kind> {
    const { assert!(Kind::ALL.len() <= 128, "a kind is a bit of the mask") };
    let mut missing: Vec<Kind> = Vec::new();
    let mut looked_through = 0_u128;
    let own = task.kind().spec().after;
    let holds = |dep: &&Dep| !is_over(dep) && !is_spared(case, task, dep);
    let by_device = |kind: Kind| own.iter().any(|d| d.same_device && d.kind == kind);
    let mut todo: Vec<Dep> = own.iter().filter(holds).copied().collect();
    while let Some(mut dep) = todo.pop() {
        dep.same_device |= by_device(dep.kind);
        for kind in waited_for_by(case, task, &dep) {
            if !missing.contains(&kind) {
                missing.push(kind);
            }
        }
        let bit = 1 << dep.kind.index();
        let there = if dep.same_device {
            case.has_of_device(dep.kind, task)
        } else {
            case.has(dep.kind)
        };
        if !there && looked_through & bit == 0 {
            looked_through |= bit;
            let through = dep.kind.spec().after.iter().filter(|d| is_looked_through(case, d));
            todo.extend(through.copied());
        }
    }
    missing
}

/// Whether this dependency of a kind that the case has no task of is looked through. An
/// archive that is waited for because it needs the account open is the suspension's own
/// matter: where nothing is suspended, nothing waits for it. Nor is waited for what the
/// kind itself would not wait for, now that he is to go at once.
fn is_looked_through(case: &Case, dep: &Dep) -> bool {
    !(dep.workspace_mail || dep.unless_at_once && case.urgent())
}

/// Whether this task does not wait for it: he is to go at once by now, or only tasks with
/// a parameter wait for it, and this one is without, or nothing of it is open in the
/// systems that count, or what is open there cannot begin before a person acts.
fn is_spared(case: &Case, task: &Task, dep: &Dep) -> bool {
    let params = &task.planned.params;
    let without = dep.with_param.is_some_and(|name| params.get(name).is_none());
    let elsewhere = dep.same_system && !case.is_open_in(dep.kind, &task.planned.target.system);
    let other_mail = dep.workspace_mail && !case.is_to_come_in_workspace_mail(dep.kind);
    without || elsewhere || other_mail || dep.unless_at_once && case.urgent()
}

/// Whether a task cannot begin before a person has dealt with something that it waits for,
/// or that this waits for in turn. One that is with people itself is not held up.
#[must_use]
pub fn is_held_up(case: &Case, task: &Task) -> bool {
    let mut looked_at = 0_u128;
    let mut todo = vec![task];
    while let Some(one) = todo.pop() {
        if !matches!(one.state, TaskState::Pending) {
            continue;
        }
        // What ends by itself holds nothing up.
        for kind in open_before(case, one, |dep| dep.at_most_ms.is_some()) {
            let bit = 1 << kind.index();
            if looked_at & bit != 0 {
                continue;
            }
            looked_at |= bit;
            let open = case.tasks.values().filter(|t| t.kind() == kind && !t.is_settled());
            for before in open {
                if kind.spec().area == Area::Person || matches!(before.state, TaskState::Failed { .. }) {
                    return true;
                }
                todo.push(before);
            }
        }
    }
    false
}

/// The kinds that this dependency still waits for, of those that are there.
pub fn waited_for<'a>(case: &'a Case, dep: &'a Dep) -> impl Iterator<Item = Kind> + 'a {
    let finds = dep.kind.spec().finds.iter().filter(|_| dep.with_finds);
    let all = std::iter::once(&dep.kind).chain(finds).copied();
    all.filter(|kind| case.open_of(*kind) > 0)
        .filter(|kind| match dep.until {
            Until::Settled => true,
            Until::Tried => !case.is_with_people(*kind),
            Until::TriedOnce => !case.was_tried_once(*kind),
            Until::SettledOnce => !case.was_settled_once(*kind),
            Until::SettledOnceOrTried => !case.was_settled_once_or_tried(*kind),
        })
}

/// The same by one task: of what goes by device, only what may be about its own.
fn waited_for_by<'a>(case: &'a Case, task: &'a Task, dep: &'a Dep) -> impl Iterator<Item = Kind> + 'a {
    let of_its_device = move |kind: &Kind| !dep.same_device || case.is_open_of_device(*kind, task);
    waited_for(case, dep).filter(of_its_device)
}

/// When the last of what it waits for by this was settled: of what goes by device, of what may
/// be about its own.
fn settled_at(case: &Case, task: &Task, dep: &Dep) -> Timestamp {
    if dep.same_device {
        case.settled_at_of_device(dep.kind, task)
    } else {
        case.settled_at(dep.kind)
    }
}

/// Since when it waits only for what it does not wait for without an end: when its
/// time had come, it was approved, and the rest was settled. None: it is not so far.
#[must_use]
pub fn patient_since(case: &Case, task: &Task) -> Option<Timestamp> {
    let waits = |d: &&Dep| d.at_most_ms.is_none() && !is_spared(case, task, d);
    let without_end = task.kind().spec().after.iter().filter(waits);
    if without_end
        .clone()
        .any(|dep| waited_for_by(case, task, dep).next().is_some())
    {
        return None;
    }
    let settled = without_end.map(|dep| settled_at(case, task, dep)).max();
    let begun = settled.unwrap_or(case.opened_at).max(case.effective_at());
    // What is to be done again has its time anew. So has what is read anew on the day: it is
    // given that long however late the day is noticed.
    let own = task.kind().spec().after;
    let goes_ahead_of = |kind: Kind| own.iter().any(|d| d.goes_ahead() && d.kind == kind);
    let anew = |t: &&Arc<Task>| t.kind().spec().read_anew && goes_ahead_of(t.kind());
    let read_anew = case.tasks.values().filter(anew).filter_map(|t| t.reopened_at).max();
    // But who finds has waited for what he waits for: each that came since would make him, and
    // whoever waits for him, wait anew for all others.
    let has_found = task.after.is_some() && !task.kind().spec().finds.is_empty();
    let reopened = task.reopened_at.filter(|_| !has_found);
    let again = reopened.max(case.tail_lost_at).max(read_anew);
    let begun = again.map_or(begun, |at| at.max(begun));
    if !needs_plan(case, task) {
        return Some(begun);
    }
    let approved = task.in_plan_since.zip(holds_from(case, task));
    approved.map(|(since, from)| begun.max(since).max(from))
}

/// When it goes ahead of what it does not wait for without an end.
fn goes_ahead_at(case: &Case, task: &Task) -> Option<Timestamp> {
    let at_most_ms = task.kind().spec().after.iter().filter_map(|d| d.at_most_ms).max()?;
    Some(patient_since(case, task)?.plus(at_most_ms))
}

/// What is open of a stage, and who may find more of it.
fn open_of_stage(case: &Case, stage: Stage) -> impl Iterator<Item = Kind> + '_ {
    let of_it = move |k: &Kind| !k.is_beside() && k.spec().stage == stage;
    let kinds = Kind::ALL.iter().copied();
    kinds.filter(move |k| case.open_of(*k) > 0 && (of_it(k) || k.spec().finds.iter().any(of_it)))
}

fn delayed(case: &Case, after: &[Dep], now: Timestamp) -> Option<Wake> {
    after
        .iter()
        .filter(|d| d.delay_ms > 0 && case.has(d.kind))
        .map(|d| case.settled_at(d.kind).plus(d.delay_ms))
        .filter(|at| *at > now)
        .max()
        .map(|at| Wake {
            at,
            why: WakeReason::Delay,
        })
}

/// Whether a write is for the plan's approval to let go.
fn needs_plan(case: &Case, task: &Task) -> bool {
    let needed = case.policy.approvals.plan || case.capped;
    let burst = case.manner() == Manner::Immediate && !case.capped;
    needed
        && match task.kind().spec().approval {
            Approval::None => false,
            Approval::Plan | Approval::Own => true,
            Approval::PlanOrBurst => !burst,
        }
}

/// From when on what was approved of a task holds: who approved it has seen no
/// earlier time. None: nothing was.
fn holds_from(case: &Case, task: &Task) -> Option<Timestamp> {
    let both = case.plan_approval_of(task).into_iter().chain(&task.approved);
    both.map(|a| a.from).min()
}

/// Whether a write waits for the plan's approval.
fn waits_for_plan(case: &Case, task: &Task, now: Timestamp) -> bool {
    needs_plan(case, task) && holds_from(case, task).is_none_or(|from| from > now)
}

/// What approval a write still waits for. An immediate departure's reversible
/// burst waits for none, unless the tenant's cap holds the case back.
fn unapproved(case: &Case, task: &Task, now: Timestamp) -> Option<Standing> {
    let by_plan = waits_for_plan(case, task, now);
    match task.kind().spec().approval {
        Approval::None => None,
        Approval::Plan | Approval::PlanOrBurst => by_plan.then_some(Standing::WaitsForPlanApproval),
        Approval::Own => match &task.approved {
            None if by_plan => Some(Standing::WaitsForPlanApproval),
            None => Some(Standing::WaitsForOwnApproval),
            Some(a) if a.from > now => Some(Standing::WaitsForOwnApproval),
            // To read whether it has happened does not need it anew.
            Some(_) if task.approval_lapsed && !task.observe_first => Some(Standing::WaitsForOwnApproval),
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

/// Since when a person has been waited for: the last of what it waited for, or
/// that it was to be done again. His word on what a machine is to do is asked for when its
/// time has come and the plan is approved, and anew after he gave one that does not hold.
#[must_use]
pub fn person_since(case: &Case, task: &Task) -> Timestamp {
    let after = task.kind().spec().after.iter();
    let settled = after.map(|dep| settled_at(case, task, dep)).max();
    let since = settled.unwrap_or(case.opened_at);
    let since = task.reopened_at.map_or(since, |at| at.max(since));
    if task.kind().spec().area == Area::Person {
        return since;
    }
    let said = case.plan_approval_of(task).into_iter().chain(&task.approved);
    let said = said.map(|a| a.at).max();
    let since = said.map_or(since, |at| at.max(since));
    since.max(case.effective_at())
}

/// Whether a person who keeps this waiting is told so at last: of what he is to do himself,
/// and of an approval of exactly this task. The plan's approval is a task of its own.
pub(crate) fn can_be_overdue(stands: &Standing) -> bool {
    matches!(stands, Standing::WaitsForPerson | Standing::WaitsForOwnApproval)
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
    // What may be under way of a history that is lost is awaited before it is over, and before
    // the round that is to see all of it.
    if let Some(at) = case.lost_orders_until()
        && case.has_nothing_left_but_orders()
    {
        wake(Wake {
            at,
            why: WakeReason::Unanswered,
        });
    }
    if case.speaks() {
        wake(Wake {
            at: now,
            why: WakeReason::Merge,
        });
    }
    // What is settled wants nothing, but for a waiver.
    let wants = |t: &&Arc<Task>| t.outcome().is_none_or(|o| matches!(o, Outcome::Waived { .. }));
    for task in case.tasks.values().filter(wants) {
        let stands = standing(case, task, now, gates);
        match stands {
            Standing::Settled(Outcome::Waived { until, .. }) => {
                let open = !case.state.ended() && !case.is_to_be_sealed();
                let follow = case.is_to_be_followed_up(task);
                if open || follow {
                    wake(Wake {
                        at: until,
                        why: WakeReason::WaiverEnds,
                    });
                }
            }
            Standing::Settled(_) | Standing::Never | Standing::WaitsForClosing => {}
            Standing::WaitsFor(_) => {
                if let Some(at) = goes_ahead_at(case, task).filter(|at| *at > now) {
                    wake(Wake {
                        at,
                        why: WakeReason::Delay,
                    });
                }
            }
            // Whoever changes the list has the case looked at again.
            Standing::Protected => out.needs_person = true,
            Standing::Failed(_) => out.needs_person |= !case.state.ended() || case.goes_on(),
            Standing::Assigned(over) => wake(Wake {
                at: over,
                why: WakeReason::Unanswered,
            }),
            Standing::WaitsUntil(w) => wake(w),
            Standing::WaitsForPerson | Standing::WaitsForOwnApproval | Standing::WaitsForPlanApproval => {
                out.needs_person = true;
                // What was approved for later goes then, whether anybody lets it go sooner or not.
                if let Some(at) = holds_from(case, task).filter(|at| *at > now) {
                    wake(Wake {
                        at,
                        why: WakeReason::Start,
                    });
                }
                if !task.overdue && can_be_overdue(&stands) {
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
            let own_mail = |d: &&Dep| d.workspace_mail && names.contains(&d.kind.name());
            let goes_ahead = task.kind().spec().after.iter().find(own_mail).map(|d| {
                let name = d.kind.name();
                format!("; should something that {name} waits for need a person, it goes ahead of it")
            });
            format!("waits for {}{}", names.join(", "), goes_ahead.unwrap_or_default())
        }
        Standing::WaitsUntil(wake) => match &task.state {
            TaskState::Resting { why, .. } if wake.why == WakeReason::Retry => {
                format!("rests until {}: {}", wake.at, rest_words(why))
            }
            _ => format!("waits until {}: {}", wake.at, wake.why.words()),
        },
        Standing::WaitsForClosing => "waits until the case is closed and its account sealed".into(),
        Standing::WaitsForPlanApproval => "waits for the plan's approval (`offboard approve CASE`)".into(),
        Standing::WaitsForOwnApproval if task.is_looked_for() => {
            "may have been ordered already, which nothing stops any more; waits for an approval of exactly this task (`offboard approve CASE TASK`), which first only has it read, and orders it only if that shows that it did not happen".into()
        }
        Standing::WaitsForOwnApproval => {
            "waits for an approval of exactly this task (`offboard approve CASE TASK`)".into()
        }
        Standing::Protected => {
            "nothing was written: the account is on the tenant's list of protected accounts by now. If it really leaves, take it off the list (`policy.protected` in the tenant's file) and have the configuration read again; else call the departure off (`offboard cancel CASE`)".into()
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
