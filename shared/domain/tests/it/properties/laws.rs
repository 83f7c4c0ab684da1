//! The laws that hold whatever is ordered: of what happens, and of a case at any
//! time.

use offboard_domain::catalogue::{Approval, Area, Kind, Until};
use offboard_domain::departure::Manner;
use offboard_domain::plan::approval_digest;
use offboard_domain::task::RestReason;
use offboard_domain::time::MINUTE_MS;
use offboard_domain::{
    Case, CaseState, Credit, Event, Gates, Mode, Observation, Outcome, Rule, Standing, TaskId, TaskState, Timestamp,
    Verdict, WakeReason, judge, next, standing,
};
use std::collections::BTreeSet;

/// What no list of events may ever hold.
pub(super) fn laws_of_what_happened(
    before: &Case,
    history: &[(Timestamp, Event)],
    events: &[Event],
    now: Timestamp,
    gates: &Gates,
) {
    let mut case = before.clone();
    let mut sent_to: BTreeSet<TaskId> = history.iter().filter_map(|(_, e)| shows_an_order(e)).collect();
    for event in events {
        if case.state.ended() {
            let still = matches!(
                event,
                Event::LateReport { .. }
                    | Event::EvidenceSealed { .. }
                    | Event::FollowUpOpened { .. }
                    | Event::MergeAcknowledged { .. }
                    | Event::RequestLeft { .. }
            );
            let still_asks = matches!(
                event,
                Event::CaseAmended { .. } | Event::MergeUndone { .. } | Event::CancelRequested { .. }
            );
            let still = still || still_asks && matches!(case.state, CaseState::Merged { .. });
            assert!(still, "{} after the case was {}", event.name(), case.state.word());
        }
        if case.is_to_be_sealed() {
            let still = matches!(
                event,
                Event::LateReport { .. }
                    | Event::EvidenceSealed { .. }
                    | Event::CaseClosed { .. }
                    | Event::TailLost { .. }
                    | Event::MergeAcknowledged { .. }
                    | Event::RequestLeft { .. }
            );
            // Whoever asks for the same person meanwhile is written down, and all is read again.
            let still = still || matches!(event, Event::RequestJoined { .. });
            assert!(still, "{} while an account of the case is made", event.name());
        }
        match event {
            Event::TaskAssigned {
                task, attempt, mode, ..
            } => {
                assigned_lawfully(&case, *task, *attempt, *mode, sent_to.contains(task), now, gates);
            }
            Event::TaskSettled {
                task,
                outcome,
                before,
                after,
                ..
            } => settled_lawfully(&case, *task, outcome, before.as_deref(), after.as_deref()),
            Event::PlanApproved { by, from, .. } | Event::TaskApproved { by, from, .. } => {
                assert!(!asks(&case, by), "who asked for it approved it");
                assert_eq!(*from, Some(earliest(&case)), "another time was approved than there is");
            }
            Event::TaskRested { until, .. } => assert!(*until >= now, "it rests until a time that is past"),
            Event::CaseClosed { .. } => {
                assert_eq!(case.state, CaseState::Sealing);
                assert!(
                    case.tasks.values().all(|t| t.is_settled()),
                    "closed with something open"
                );
            }
            Event::CaseCancelled => {
                assert_eq!(case.in_flight(), 0, "called off while somebody is at it");
                assert!(
                    nobody_is_at_what_is_lost(&case, now),
                    "called off while somebody may be at what is lost"
                );
            }
            Event::ClosingBegan { .. } => assert!(
                nobody_is_at_what_is_lost(&case, now),
                "read for the last time while somebody may be at what is lost"
            ),
            Event::TasksFound { by, tasks, .. } => {
                let finder = case.tasks[by].kind();
                for t in tasks {
                    assert!(finder.spec().finds.contains(&t.kind), "{finder} found {}", t.kind);
                }
            }
            _ => {}
        }
        let decided = match event {
            Event::TailLost { .. } => left_to_people(&case),
            _ => Vec::new(),
        };
        case.fold(now, event);
        sent_to.extend(shows_an_order(event));
        for (id, state) in decided {
            let task = &case.tasks[&id];
            assert_eq!(
                task.state,
                state,
                "{}: a loss has undone what people decided",
                task.kind()
            );
        }
        let joins = matches!(event, Event::RequestJoined { .. });
        assert!(
            !joins || !case.is_to_be_sealed(),
            "it is sealed without a reading since somebody joined"
        );
    }
}

/// The task that somebody was sent to, as this shows: he was ordered to, or has told of it.
fn shows_an_order(event: &Event) -> Option<TaskId> {
    match event {
        Event::TaskAssigned { task, .. } | Event::LateReport { task, .. } => Some(*task),
        _ => None,
    }
}

/// Whether whoever has an order from before the last loss has stopped.
fn nobody_is_at_what_is_lost(case: &Case, now: Timestamp) -> bool {
    let longest = Kind::ALL.iter().map(|k| k.spec().run_for_ms).max().unwrap();
    let lost = case.tail_lost_at.map(|at| at.plus(5 * MINUTE_MS + longest + 30_000));
    lost.is_none_or(|over| now >= over)
}

/// What somebody goes without, and what he is to say of whether it is done at all.
fn left_to_people(case: &Case) -> Vec<(TaskId, TaskState)> {
    let is_left = |state: &TaskState| match state {
        TaskState::Settled { outcome, .. } => matches!(outcome, Outcome::Waived { .. }),
        TaskState::Failed { rule, .. } => {
            matches!(
                rule,
                Rule::LateFind | Rule::KeepsFlapping | Rule::IrreversibleDiffers | Rule::ObjectGone
            )
        }
        _ => false,
    };
    let left = case.tasks.values().filter(|t| is_left(&t.state));
    left.map(|t| (t.id(), t.state.clone())).collect()
}

/// What comes late of a once-only act may mean that it happened: it is not ordered again
/// before a reading that was begun since, whatever one that was under way shows.
pub(super) fn what_came_late_is_read_first(case: &Case, history: &[(Timestamp, Event)]) {
    let mut unread: BTreeSet<TaskId> = BTreeSet::new();
    for (_, event) in history {
        match event {
            Event::LateReport { task, .. } if !case.tasks[task].kind().spec().convergent => {
                unread.insert(*task);
            }
            Event::TaskAssigned { task, mode, .. } => {
                let came_late = unread.remove(task);
                assert!(
                    !came_late || *mode == Mode::ObserveOnly,
                    "{} was ordered again before what came late of it was read",
                    case.tasks[task].kind()
                );
            }
            _ => {}
        }
    }
}

/// What came late of a once-only act is looked for whatever is open, and whenever he is to leave:
/// what shows it may be gone in minutes.
pub(super) fn what_came_late_waits_for_no_order(
    case: &Case,
    history: &[(Timestamp, Event)],
    now: Timestamp,
    gates: &Gates,
) {
    let mut unread: BTreeSet<TaskId> = BTreeSet::new();
    for (_, event) in history {
        match event {
            Event::LateReport { task, .. } if !case.tasks[task].kind().spec().convergent => {
                unread.insert(*task);
            }
            Event::TaskAssigned { task, .. } | Event::TaskSettled { task, .. } | Event::TaskReopened { task, .. } => {
                unread.remove(task);
            }
            _ => {}
        }
    }
    if !matches!(case.state, CaseState::Active | CaseState::Closing) {
        return;
    }
    for id in unread {
        let task = &case.tasks[&id];
        let waits = match standing(case, task, now, gates) {
            Standing::WaitsForPlanApproval | Standing::Protected => true,
            Standing::WaitsUntil(wake) => matches!(wake.why, WakeReason::Start | WakeReason::Delay),
            // What may not be beside it is waited for.
            Standing::WaitsFor(kinds) => kinds.iter().any(|k| case.in_flight_of(*k) == 0),
            _ => false,
        };
        assert!(!waits, "{} may have happened, and is not looked for", task.kind());
    }
}

/// What is found, or asked for, once something is done that must follow it, is for a person to
/// decide: a loss of what was known of it undoes nothing. Where it goes by system or by device,
/// and where nothing is lost by it, the scenarios judge.
pub(super) fn what_must_precede_what_was_done_comes_late(case: &Case, history: &[(Timestamp, Event)]) {
    const HARMLESS: [Kind; 3] = [Kind::ArchiveMailbox, Kind::WriteNotes, Kind::RemoveAppRoles];
    let mut done: BTreeSet<TaskId> = BTreeSet::new();
    for (_, event) in history {
        match event {
            Event::TaskSettled { task, outcome, .. } => match outcome {
                Outcome::Verified | Outcome::VerifiedByCounter | Outcome::Acknowledged => {
                    let kind = case.tasks[task].kind();
                    if kind.spec().writes && !HARMLESS.contains(&kind) {
                        done.insert(*task);
                    }
                }
                Outcome::Waived { .. } => {}
                Outcome::Attested { .. } | Outcome::NotApplicable { .. } => {
                    done.remove(task);
                }
            },
            Event::TaskReopened { task, .. }
            | Event::TaskRested {
                task,
                why: RestReason::DidNotHappen,
                ..
            } => {
                done.remove(task);
            }
            Event::TasksFound { tasks, late, .. } | Event::RequestJoined { tasks, late, .. } => {
                for new in tasks {
                    let follows = |id: &&TaskId| {
                        let kind = case.tasks[*id].kind();
                        let mut after = kind.spec().after.iter();
                        kind != new.kind && after.any(|d| d.kind == new.kind && !d.same_system && !d.same_device)
                    };
                    if let Some(id) = done.iter().find(follows) {
                        let kind = case.tasks[id].kind();
                        assert!(late.contains(&new.id), "{} came after {kind} was done", new.kind);
                    }
                }
            }
            _ => {}
        }
    }
}

/// The earliest time that anybody asks for.
fn earliest(case: &Case) -> Timestamp {
    let joined = case
        .joined
        .values()
        .filter_map(|j| Some(j.asked.as_ref()?.effective_at));
    joined.chain([case.departure.effective_at]).min().unwrap()
}

/// Whether he asked for it, or for something else in it.
fn asks(case: &Case, who: &str) -> bool {
    let same = |other: &String| other.eq_ignore_ascii_case(who);
    let asking = || case.joined.values().filter(|j| j.asked.is_some());
    let joined = || asking().any(|j| same(&j.asked.as_ref().unwrap().requested_by) || j.amended_by.iter().any(same));
    same(&case.departure.requested_by) || case.amended_by.iter().any(same) || joined()
}

fn assigned_lawfully(
    case: &Case,
    id: TaskId,
    attempt: u32,
    mode: Mode,
    was_sent_to: bool,
    now: Timestamp,
    gates: &Gates,
) {
    let task = &case.tasks[&id];
    let (kind, spec) = (task.kind(), task.kind().spec());
    assert_eq!(attempt, task.attempt + 1, "{kind}: attempts are counted");
    assert!(
        matches!(case.state, CaseState::Received | CaseState::Active | CaseState::Closing),
        "{kind} was ordered of a case that is {}",
        case.state.word()
    );
    assert_ne!(gates.credit, Credit::NONE, "{kind} was ordered without credit");
    assert_eq!(
        gates.shut(&task.planned.target.system, kind, now),
        None,
        "{kind} was ordered behind a shut gate"
    );
    // Where somebody was sent to what must not happen twice, it is looked for whatever is open
    // again, and whenever he is to leave. That a person agreed to it holds all the same.
    let is_looked_for = mode == Mode::ObserveOnly && !spec.convergent && was_sent_to;
    if is_looked_for && spec.approval == Approval::Own {
        let own = task.approved.as_ref().unwrap();
        let bound = approval_digest(task.planned.digest(), own.from);
        assert_eq!(own.digest, bound, "{kind}: something else was approved");
    }
    for dep in spec.after.iter().filter(|_| !is_looked_for) {
        let tried = match dep.until {
            Until::Settled => false,
            Until::Tried => case.is_with_people(dep.kind),
            Until::TriedOnce => case.was_tried_once(dep.kind),
            Until::SettledOnce => case.was_settled_once(dep.kind),
            Until::SettledOnceOrTried => case.was_settled_once_or_tried(dep.kind),
        };
        // What is not waited for without an end is the scenarios' to judge.
        let has = |name: &str| task.planned.params.get(name).is_some();
        let system = &task.planned.target.system;
        let open = || {
            let all = case.tasks.values();
            all.filter(move |t| t.kind() == dep.kind && !t.is_settled())
        };
        let elsewhere = dep.same_system && open().all(|t| t.planned.target.system != *system);
        // All that is found here is one system's, so that another object is another device.
        let object = &task.planned.target.object;
        let of_another = dep.same_device && open().all(|t| t.planned.target.object != *object);
        let other_mail =
            dep.workspace_mail && open().all(|t| !case.policy.workspace_mail.contains(&t.planned.target.system));
        let at_once = dep.unless_at_once && case.urgent();
        let without = dep.with_param.is_some_and(|name| !has(name));
        let spared = elsewhere || of_another || other_mail || at_once || without;
        let may = case.open_of(dep.kind) == 0 || tried || spared || dep.at_most_ms.is_some();
        assert!(may, "{kind} was ordered before {}", dep.kind);
    }
    for other in case.tasks.values().filter(|t| t.in_flight().is_some()) {
        let rival = spec.conflicts.contains(&other.kind()) || other.kind().spec().conflicts.contains(&kind);
        assert!(!rival, "{kind} was ordered beside {}", other.kind());
    }
    if task.observe_first {
        assert_eq!(
            mode,
            Mode::ObserveOnly,
            "{kind} may have happened and was ordered again"
        );
    }
    if spec.writes && !is_looked_for {
        assert!(now >= earliest(case), "{kind} was ordered before the departure's time");
        // Nobody approved that it be done before the time that he was shown.
        let of_plan = case.plan_approval.iter().filter(|_| task.in_approved_plan);
        let approved = of_plan.chain(&task.approved).any(|a| a.from <= now);
        let planned = approved || !(case.policy.approvals.plan || case.capped);
        match spec.approval {
            Approval::None => {}
            Approval::Plan => assert!(planned, "{kind} was ordered without the plan's approval"),
            Approval::PlanOrBurst => {
                let mut all = std::iter::once(&case.departure).chain(case.others());
                let burst = all.any(|d| d.manner == Manner::Immediate) && !case.capped;
                assert!(planned || burst, "{kind} was ordered without the plan's approval");
            }
            Approval::Own => {
                let own = task.approved.as_ref().unwrap();
                let bound = approval_digest(task.planned.digest(), own.from);
                assert_eq!(own.digest, bound, "{kind}: something else was approved");
                assert!(own.from <= now, "{kind} was approved for later");
                let delay = case.policy.approvals.irreversible_delay_ms;
                assert!(
                    now >= own.at.plus(delay),
                    "{kind} was ordered before it could be stopped"
                );
            }
        }
    }
}

fn settled_lawfully(
    case: &Case,
    id: TaskId,
    outcome: &Outcome,
    before: Option<&Observation>,
    after: Option<&Observation>,
) {
    let task = &case.tasks[&id];
    let kind = task.kind();
    match outcome {
        Outcome::Verified | Outcome::VerifiedByCounter | Outcome::Acknowledged => {
            let attempt = task.in_flight();
            assert!(attempt.is_some(), "{kind} was settled, and nobody was at it");
            if kind.is_closing_round() {
                return;
            }
            let read = after.or(before).unwrap();
            // Who was to read alone is measured by what was read before the first write; who
            // wrote, by what he read himself, also if a loss has made reading come first since.
            let reads = attempt.is_some_and(|a| a.mode == Mode::ObserveOnly);
            let kept = task.before.as_deref().filter(|_| reads);
            let baseline = kept.or(before).map(|b| &b.facts);
            let verdict = judge(kind, &task.planned.params, &read.facts, baseline);
            assert_eq!(
                verdict,
                Verdict::Satisfied,
                "{kind} counts as done without a reading that shows it"
            );
        }
        Outcome::NotApplicable { .. } => assert!(after.or(before).is_some()),
        Outcome::Attested { by, .. } => {
            assert_eq!(kind.spec().area, Area::Person, "{kind} was attested");
            assert!(!by.eq_ignore_ascii_case("leaver@acme.example"));
        }
        Outcome::Waived { by, until, .. } => {
            assert!(!asks(case, by), "{kind} was waived by who asked");
            assert!(*until > case.changed_at, "{kind} was waived until a time that is past");
        }
    }
}

/// What holds of every case at every time.
pub(super) fn laws_of_a_case(case: &Case, now: Timestamp, gates: &Gates) {
    for kind in Kind::ALL.iter().copied() {
        let of = || case.tasks.values().filter(|t| t.kind() == kind);
        let open = of().filter(|t| !t.is_settled()).count();
        let flying = of().filter(|t| t.in_flight().is_some()).count();
        assert_eq!(usize::from(case.open_of(kind)), open, "{kind}: open tasks");
        assert_eq!(usize::from(case.in_flight_of(kind)), flying, "{kind}: tasks in flight");
    }
    let next = next(case, now, gates);
    if let Some(merge) = case.merge.filter(|_| case.state.ended()) {
        let told = merge.known || next.timer.is_some_and(|t| t.at <= now);
        assert!(told, "nobody tells the other case of it");
    }
    let asked = case.joined.values().any(|j| j.asked.is_some());
    if case.state == CaseState::Cancelled && asked {
        assert!(next.timer.is_some_and(|t| t.at <= now), "who joined it is forgotten");
    }
    let known = next.wake.is_some() || next.needs_person || case.is_over();
    assert!(known, "a case that is {} waits for nothing", case.state.word());
    if case.is_over() {
        let follows = case.state == CaseState::Closed;
        assert!(
            next.wake.is_none() || follows,
            "a case that is over wants to be woken: {:?}",
            next.wake
        );
    }
    for task in case.tasks.values() {
        if let TaskState::Assigned(attempt) = &task.state {
            assert!(attempt.over_at() >= attempt.start_by);
        }
    }
}
