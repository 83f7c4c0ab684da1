//! Ring 1: small plans under every order of events, enumerated.
//!
//! For every choice of up to four kinds, every order in which their answers
//! can come is walked, with faults for the smaller choices. At each step the
//! law of order holds, nothing conflicts, and every walk can end at sealing.

use crate::model::*;
use offboard_domain::catalogue::{Area, Kind, Until, Wanted};
use offboard_domain::departure::Manner;
use offboard_domain::fault::{Fault, FaultClass};
use offboard_domain::policy::Approvals;
use offboard_domain::standing::next;
use offboard_domain::time::HOUR_MS;
use offboard_domain::{
    Capabilities, Case, CaseState, Command, Decision, Event, Gates, Policy, Said, TaskId, TaskState, Timestamp, decide,
};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What may become of an attempt.
#[derive(Clone, Copy)]
enum Answer {
    Good,
    Transient,
    Silence,
}

/// Kinds that a worker does for a person without devices.
fn plannable() -> Vec<Kind> {
    Kind::ALL
        .iter()
        .copied()
        .filter(|k| k.spec().area != Area::Person && !k.is_closing_round() && *k != Kind::Resolve)
        .filter(|k| !matches!(k.spec().wanted, Wanted::Found | Wanted::Ended))
        // Planned for a copy alone.
        .filter(|k| *k != Kind::AwaitSynchronisation)
        // Waits for a person of its own.
        .filter(|k| k.spec().approval != offboard_domain::catalogue::Approval::Own)
        .collect()
}

fn case_with(kinds: &[Kind]) -> Case {
    let policy = Policy {
        approvals: Approvals {
            plan: false,
            ..Policy::default().approvals
        },
        legal_hold: true,
        archive_mailbox: kinds.contains(&Kind::ArchiveMailbox),
        automatic_reply: None,
        skip: [Kind::ConfirmHandover, Kind::Validate].into(),
        ..Policy::default()
    };
    let claimed = kinds.iter().copied().chain([Kind::Resolve]).collect();
    let open = Command::Open {
        departure: Arc::new(departure(Manner::Immediate)),
        policy: Arc::new(policy),
        capabilities: Arc::new(Capabilities([(m365(), claimed)].into())),
        traceparent: None,
    };
    let opened = decide(None, open, T0, &Gates::open()).unwrap();
    let resolved = step(&opened.case, Answer::Good, in_flight(&opened.case)[0], T0);
    resolved.0
}

fn in_flight(case: &Case) -> Vec<TaskId> {
    case.tasks
        .values()
        .filter(|t| t.in_flight().is_some())
        .map(|t| t.id())
        .collect()
}

/// One answer, and everything that follows by itself.
fn step(case: &Case, answer: Answer, task: TaskId, now: Timestamp) -> (Case, Vec<Event>, Timestamp) {
    let w = World {
        case: Some(case.clone()),
        now,
        ..World::new()
    };
    let gates = Gates::open();
    let order = |command, now| -> Decision { decide(Some(case), command, now, &gates).unwrap() };
    let (d, now) = match answer {
        Answer::Good => (order(Command::RecordReport(Box::new(w.truthful(task))), now), now),
        Answer::Transient => {
            let fault = Fault {
                class: FaultClass::Transient,
                system: m365(),
                attempted: "x".into(),
                status: None,
                code: None,
                detail: String::new(),
                request_id: None,
            };
            (
                order(
                    Command::RecordReport(Box::new(w.report(task, Said::Fault { fault }))),
                    now,
                ),
                now,
            )
        }
        Answer::Silence => {
            let over = case.tasks[&task].in_flight().unwrap().over_at();
            (order(Command::Tick, over), over)
        }
    };
    let mut after = d.case;
    after.version += d.events.len() as u64;
    (after, d.events, now)
}

fn check_order(before: &Case, after: &Case, events: &[Event]) {
    let mut walk = before.clone();
    for event in events {
        if let Event::TaskAssigned { task, .. } = event {
            let kind = after.tasks[task].kind();
            for dep in kind.spec().after {
                // What is not waited for without an end has a time of its own, or a person is at it.
                let over = dep.at_most_ms.is_some_and(|ms| after.changed_at >= T0.plus(ms));
                let tried = dep.until == Until::Tried && walk.is_with_people(dep.kind);
                let params = &after.tasks[task].planned.params;
                let other_mail = dep.workspace_mail && !walk.is_to_come_in_workspace_mail(dep.kind);
                let spared = other_mail || dep.with_param.is_some_and(|name| params.get(name).is_none());
                let may = walk.open_of(dep.kind) == 0 || over || tried || spared;
                assert!(may, "{kind} was assigned before {} was settled", dep.kind);
            }
            for rival in kind.spec().conflicts {
                assert_eq!(walk.in_flight_of(*rival), 0, "{kind} was assigned beside {rival}");
            }
        }
        walk.fold(after.changed_at, event);
    }
}

/// Everything about a case but times and numbers.
fn shape(case: &Case) -> Vec<u8> {
    let mut out = vec![
        case.state.word().len() as u8,
        case.state.word().as_bytes()[0],
        case.round as u8,
    ];
    for t in case.tasks.values() {
        out.push(t.kind() as u8);
        out.push(match t.state {
            TaskState::Pending => 0,
            TaskState::Assigned(_) => 1,
            TaskState::Resting { .. } => 2,
            TaskState::Settled { .. } => 3,
            TaskState::Failed { .. } => 4,
        });
        out.push(t.spent as u8);
    }
    out
}

/// Walks every order; returns how many different situations there were.
fn walk(kinds: &[Kind], answers: &[Answer], most_faults: u32) -> usize {
    let mut seen = BTreeSet::new();
    let mut todo = vec![(case_with(kinds), T0)];
    let mut sealed = false;
    while let Some((case, now)) = todo.pop() {
        if !seen.insert(shape(&case)) {
            continue;
        }
        let flying = in_flight(&case);
        if flying.is_empty() {
            if case.state == CaseState::Sealing {
                sealed = true;
                continue;
            }
            let timer = next(&case, now, &Gates::open())
                .timer
                .unwrap_or_else(|| panic!("{kinds:?} is stuck: {case:?}"));
            let later = now.plus(HOUR_MS).max(timer.at);
            let d = decide(Some(&case), Command::Tick, later, &Gates::open()).unwrap();
            check_order(&case, &d.case, &d.events);
            let mut after = d.case;
            after.version += d.events.len() as u64;
            assert_ne!(
                shape(&after),
                shape(&case),
                "{kinds:?}: a tick at its own wake-up changed nothing"
            );
            todo.push((after, later));
            continue;
        }
        let faults: u32 = case.tasks.values().map(|t| t.faults).sum();
        for task in flying {
            for answer in answers {
                if !matches!(answer, Answer::Good) && faults >= most_faults {
                    continue;
                }
                let (after, events, now) = step(&case, *answer, task, now);
                check_order(&case, &after, &events);
                todo.push((after, now));
            }
        }
    }
    assert!(sealed, "{kinds:?} never comes to sealing");
    seen.len()
}

fn choices(all: &[Kind], n: usize, f: &mut dyn FnMut(&[Kind])) {
    fn go(all: &[Kind], n: usize, chosen: &mut Vec<Kind>, f: &mut dyn FnMut(&[Kind])) {
        if n == 0 {
            return f(chosen);
        }
        for (i, k) in all.iter().enumerate() {
            chosen.push(*k);
            go(&all[i + 1..], n - 1, chosen, f);
            chosen.pop();
        }
    }
    go(all, n, &mut Vec::new(), f);
}

#[test]
fn every_plan_of_up_to_two_kinds_under_every_order_of_answers_faults_and_silence() {
    let all = plannable();
    let mut situations = 0;
    for n in 0..=2 {
        choices(&all, n, &mut |kinds| {
            situations += walk(kinds, &[Answer::Good, Answer::Transient, Answer::Silence], 2);
        });
    }
    assert!(situations > 5_000, "{situations}");
}

#[test]
fn every_plan_of_up_to_four_kinds_under_every_order_of_answers() {
    let all = plannable();
    let mut plans = 0;
    for n in 0..=4 {
        choices(&all, n, &mut |kinds| {
            plans += 1;
            walk(kinds, &[Answer::Good], 0);
        });
    }
    assert!(plans > 10_000, "{plans}");
}
