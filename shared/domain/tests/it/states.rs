//! Ring 1: every order in every state of a case, and of a task.
//!
//! Each state is reached as a real case reaches it. The tables say what each
//! order does there: the first event that it makes, `·` for nothing, or the
//! refusal. They are read as text, so that a change of the state machine shows
//! as a changed word.

use crate::model::*;
use offboard_domain::catalogue::Kind;
use offboard_domain::departure::Manner;
use offboard_domain::fault::FaultClass;
use offboard_domain::keeping::Retention;
use offboard_domain::task::Place;
use offboard_domain::time::{DAY_MS, HOUR_MS};
use offboard_domain::{
    ApprovalOf, Capabilities, CaseId, CaseState, Command, Digest, Event, Policy, Refusal, Said, TaskId, Timestamp,
    decide,
};
use std::collections::BTreeSet;
use std::sync::Arc;

const BOSS: &str = "boss@msp.example";

/// The case's states, each with how a case comes there.
fn cases() -> Vec<(&'static str, World)> {
    let received = World::opened(Manner::Planned);
    let mut unapproved = World::opened(Manner::Planned);
    unapproved.drain();
    let mut active = World::opened(Manner::Planned);
    active.drain();
    active.approve();
    let mut closing = World::opened(Manner::Planned);
    closing.run_until(|w| w.case().state == CaseState::Sealing);
    let mut closing = rewind(&closing, |c| c.state == CaseState::Closing && c.in_flight() > 0);
    closing.gates = offboard_domain::Gates::open();
    let mut sealing = World::opened(Manner::Planned);
    sealing.run_to_sealing();
    let closed = sealed(&sealing);
    let mut waived = World::opened(Manner::Planned);
    waived.drain();
    let gone_without = waived.id(Kind::DisableSignIn);
    waived.order(waive(gone_without, waived.now)).unwrap();
    waived.run_to_sealing();
    let waived = sealed(&waived);
    let mut cancelling = with_a_write_in_flight();
    cancel(&mut cancelling);
    let mut cancelled = replay(&cancelling, cancelling.events.len());
    cancelled.drain();
    let cancelled_sealed = sealed(&cancelled);
    let mut merged = World::opened(Manner::Planned);
    merged.gates.claimed_by = Some(other_case());
    merged.drain();
    let mut refused = World::opened(Manner::Planned);
    let id = refused.id(Kind::Resolve);
    let protected = good(Kind::Resolve).with("last_administrator", true);
    let said = Said::Satisfied {
        before: seen(protected.clone()),
        after: seen(protected),
    };
    let report = refused.report(id, said);
    refused.order(Command::RecordReport(Box::new(report))).unwrap();
    let refused_sealed = sealed(&refused);
    vec![
        ("received", received),
        ("active, not approved", unapproved),
        ("active", active),
        ("closing", closing),
        ("sealing", sealing),
        ("closed", closed),
        ("closed, with a waiver", waived),
        ("cancelling", cancelling),
        ("cancelled", cancelled),
        ("cancelled, sealed", cancelled_sealed),
        ("merged", merged),
        ("refused", refused),
        ("refused, sealed", refused_sealed),
    ]
}

/// An immediate departure whose sign-in is being disabled.
fn with_a_write_in_flight() -> World {
    let mut w = World::opened(Manner::Immediate);
    while w.case().in_flight_of(Kind::DisableSignIn) == 0 {
        let report = w.truthful(w.in_flight()[0]);
        w.order(Command::RecordReport(Box::new(report))).unwrap();
    }
    w
}

fn other_case() -> CaseId {
    CaseId::derive(&departure(Manner::Planned).tenant, "HR-0")
}

fn cancel(w: &mut World) {
    let (by, reason) = (BOSS.to_owned(), "he stays".to_owned());
    w.order(Command::Cancel { by, reason }).unwrap();
}

/// The same history up to where it was so last.
fn rewind(w: &World, so: impl Fn(&offboard_domain::Case) -> bool) -> World {
    let mut best = None;
    for n in 1..=w.events.len() {
        let again = replay(w, n);
        if so(again.case()) {
            best = Some(again);
        }
    }
    best.unwrap()
}

fn replay(w: &World, n: usize) -> World {
    let mut again = World::new();
    again.now = w.now;
    again.take(&w.events[..n]);
    again
}

fn sealed(w: &World) -> World {
    let mut sealed = replay(w, w.events.len());
    sealed.now = w.now;
    sealed.order(seal(&sealed, true)).unwrap();
    sealed
}

fn seal(w: &World, right: bool) -> Command {
    let to = w.case().account_to();
    let to = if right {
        to
    } else {
        Place {
            version: to.version.saturating_sub(1),
            ..to
        }
    };
    Command::RecordSealed {
        to,
        evidence: Digest::of(b"evidence"),
        key_id: "key".into(),
    }
}

/// What may be ordered, each as fitting as the state allows.
fn orders(w: &World) -> Vec<(&'static str, Command)> {
    let open = |change: &dyn Fn(&mut offboard_domain::Departure)| {
        let mut d = (*w.case().departure).clone();
        change(&mut d);
        Command::Open {
            departure: Arc::new(d),
            policy: Arc::new(Policy::default()),
            capabilities: Arc::new(Capabilities::default()),
            traceparent: None,
        }
    };
    let any = w.case().tasks.keys().next().copied().unwrap();
    let flying = w.in_flight().first().copied();
    let kind = |kind: Kind| {
        let mut of = w.case().tasks.values().filter(|t| t.kind() == kind);
        of.next().map_or(any, |t| t.id())
    };
    let old = w.report(kind(Kind::Resolve), truth(w, kind(Kind::Resolve)));
    let of = kind(Kind::DisableSignIn);
    vec![
        ("the same request", open(&|_| {})),
        ("another time", open(&|d| d.effective_at = d.effective_at.plus(HOUR_MS))),
        (
            "another person",
            open(&|d| d.person.mail = Some("other@acme.example".into())),
        ),
        (
            "an answer, where one is awaited",
            flying.map_or(Command::Tick, |id| Command::RecordReport(Box::new(w.truthful(id)))),
        ),
        ("an answer of resolving", Command::RecordReport(Box::new(old))),
        ("a look", Command::Tick),
        (
            "approve plan",
            Command::Approve {
                by: BOSS.into(),
                of: ApprovalOf::Plan(w.case().plan_digest()),
            },
        ),
        (
            "approve task",
            Command::Approve {
                by: BOSS.into(),
                of: ApprovalOf::Task(of, w.case().task_digest(&w.case().tasks[&of])),
            },
        ),
        (
            "attest",
            Command::Attest {
                task: kind(Kind::Validate),
                by: BOSS.into(),
                file: None,
                ending: None,
                note: String::new(),
            },
        ),
        ("waive", waive(of, w.now)),
        (
            "retry",
            Command::Retry {
                task: None,
                by: BOSS.into(),
            },
        ),
        (
            "cancel",
            Command::Cancel {
                by: BOSS.into(),
                reason: "he stays".into(),
            },
        ),
        ("seal", seal(w, true)),
        ("seal less", seal(w, false)),
        (
            "loss",
            Command::RecordLoss {
                known: w.case().version + 1,
                parted: false,
            },
        ),
        (
            "join",
            Command::Join {
                case: CaseId([9; 10]),
                asked_at: w.now,
                departure: w.case().departure.clone(),
                amended_by: BTreeSet::new(),
                retention: Retention::default(),
            },
        ),
        (
            "leave",
            Command::Leave {
                case: CaseId([9; 10]),
                asked_at: w.now,
            },
        ),
        (
            "acknowledge merge",
            Command::AcknowledgeMerge {
                into: other_case(),
                known: Some(w.case().departure.clone()),
            },
        ),
        ("undo merge", Command::UndoMerge { into: other_case() }),
        (
            "follow up",
            Command::RecordFollowUp {
                task: of,
                case: other_case(),
            },
        ),
    ]
}

fn truth(w: &World, id: TaskId) -> Said {
    let facts = good(w.case().tasks[&id].kind());
    // Not what is on the record already.
    let facts = facts.with("read_late", true);
    Said::Satisfied {
        before: seen(facts.clone()),
        after: seen(facts),
    }
}

fn waive(task: TaskId, now: Timestamp) -> Command {
    Command::Waive {
        task,
        by: BOSS.into(),
        reason: "by hand".into(),
        until: now.plus(30 * DAY_MS),
    }
}

/// The answer in a word.
fn answer(w: &World, command: Command) -> String {
    match decide(w.case.as_ref(), command, w.now, &w.gates) {
        Ok(decision) => decision.events.first().map_or("·", Event::name).to_owned(),
        Err(refusal) => format!("-{}", name_of(&refusal)),
    }
}

fn name_of(refusal: &Refusal) -> String {
    let debug = format!("{refusal:?}");
    debug.split([' ', '(', '{']).next().unwrap().to_owned()
}

/// A state: its name, what is ordered in it, and how a case stands there.
type Row<'a> = (String, Vec<(&'static str, Command)>, &'a World);

/// For each order, its answers and the states that give them.
fn table(rows: &[Row<'_>]) -> String {
    let mut out = String::new();
    for (i, (order, _)) in rows[0].1.iter().enumerate() {
        let mut by_answer: Vec<(String, Vec<&str>)> = Vec::new();
        for (state, orders, world) in rows {
            let answer = answer(world, orders[i].1.clone());
            match by_answer.iter_mut().find(|(a, _)| *a == answer) {
                Some((_, states)) => states.push(state),
                None => by_answer.push((answer, vec![state])),
            }
        }
        out.push_str(&format!("{order}\n"));
        for (answer, states) in by_answer {
            out.push_str(&format!("    {answer}: {}\n", states.join("; ")));
        }
    }
    out
}

#[test]
fn every_order_in_every_state_of_a_case() {
    let cases = cases();
    let rows: Vec<_> = cases.iter().map(|(n, w)| ((*n).to_owned(), orders(w), w)).collect();
    let table = table(&rows);
    assert_eq!(table, OF_A_CASE, "{table}");
}

/// What is done to a task, as fitting as it can be.
fn orders_to(w: &World, id: TaskId) -> Vec<(&'static str, Command)> {
    let digest = w.case().task_digest(&w.case().tasks[&id]);
    let attempt = |by: i64| {
        let mut report = w.report(id, truth(w, id));
        report.attempt = u32::try_from(i64::from(report.attempt) + by).unwrap_or(0);
        Command::RecordReport(Box::new(report))
    };
    vec![
        ("its answer", attempt(0)),
        ("the answer of the attempt before", attempt(-1)),
        ("the answer of an attempt to come", attempt(1)),
        ("a look", Command::Tick),
        (
            "approve",
            Command::Approve {
                by: BOSS.into(),
                of: ApprovalOf::Task(id, digest),
            },
        ),
        (
            "attest",
            Command::Attest {
                task: id,
                by: BOSS.into(),
                file: Some(Digest::of(b"file")),
                ending: None,
                note: String::new(),
            },
        ),
        ("waive", waive(id, w.now)),
        (
            "retry",
            Command::Retry {
                task: Some(id),
                by: BOSS.into(),
            },
        ),
    ]
}

fn faulty(w: &mut World, kind: Kind, class: FaultClass) {
    let report = w.report(w.id(kind), fault(class));
    w.order(Command::RecordReport(Box::new(report))).unwrap();
}

/// The states of a task of this kind, which machines do.
fn tasks(kind: Kind) -> Vec<(&'static str, World)> {
    let mut waiting = World::opened(Manner::Planned);
    waiting.finds = company_laptop();
    waiting.drain();
    let working = World::with_in_flight(kind, Manner::Planned);
    let then = |class: FaultClass| {
        let mut w = World::with_in_flight(kind, Manner::Planned);
        faulty(&mut w, kind, class);
        w
    };
    let mut done = World::with_in_flight(kind, Manner::Planned);
    done.answer(kind);
    let mut waived = then(FaultClass::Rejected);
    let id = waived.id(kind);
    waived.order(waive(id, waived.now)).unwrap();
    vec![
        ("waiting", waiting),
        ("working", working),
        ("resting", then(FaultClass::Transient)),
        ("unknown", then(FaultClass::Unknown)),
        ("failed", then(FaultClass::Rejected)),
        ("done", done),
        ("waived", waived),
    ]
}

fn task_table(kind: Kind) -> String {
    let states = tasks(kind);
    let rows: Vec<_> = states
        .iter()
        .map(|(n, w)| ((*n).to_owned(), orders_to(w, w.id(kind)), w))
        .collect();
    table(&rows)
}

#[test]
fn every_order_in_every_state_of_a_task_that_may_be_repeated() {
    let table = task_table(Kind::DisableSignIn);
    assert_eq!(table, OF_A_TASK, "{table}");
}

#[test]
fn every_order_in_every_state_of_a_task_that_must_happen_once() {
    let table = task_table(Kind::WipeDevice);
    assert_eq!(table, OF_A_TASK, "{table}");
}

#[test]
fn every_order_in_every_state_of_a_person_s_task() {
    let kind = Kind::ConfirmDeviceReturned;
    let mut asked = World::opened(Manner::Planned);
    asked.finds = company_laptop();
    asked.run_until(|w| w.case().has(kind));
    let mut waiting = World::opened(Manner::Planned);
    waiting.drain();
    let attested = |w: &World| {
        let mut w = replay(w, w.events.len());
        w.attest(kind).unwrap();
        w
    };
    let done = attested(&asked);
    let mut waived = replay(&asked, asked.events.len());
    let id = waived.id(kind);
    waived.order(waive(id, waived.now)).unwrap();
    let states = [("asked", asked), ("done", done), ("waived", waived)];
    let mut rows: Vec<_> = states
        .iter()
        .map(|(n, w)| ((*n).to_owned(), orders_to(w, w.id(kind)), w))
        .collect();
    rows.push((
        "waiting".into(),
        orders_to(&waiting, waiting.id(Kind::Validate)),
        &waiting,
    ));
    let table = table(&rows);
    assert_eq!(table, OF_A_PERSONS_TASK, "{table}");
}

const OF_A_CASE: &str = "\
the same request\n\
\x20   -AlreadyOpen: received; active, not approved; active; closing; sealing; closed; closed, with a waiver; merged\n\
\x20   -WasCalledOff: cancelling; cancelled; cancelled, sealed\n\
\x20   -WasRefused: refused; refused, sealed\n\
another time\n\
\x20   case_amended: received; active, not approved; active; closing; merged\n\
\x20   -AlreadyOpen: sealing; closed; closed, with a waiver\n\
\x20   -WasCalledOff: cancelling; cancelled; cancelled, sealed\n\
\x20   -WasRefused: refused; refused, sealed\n\
another person\n\
\x20   -TooLateToAmend: received; active, not approved; active; closing; merged\n\
\x20   -AlreadyOpen: sealing; closed; closed, with a waiver\n\
\x20   -WasCalledOff: cancelling; cancelled; cancelled, sealed\n\
\x20   -WasRefused: refused; refused, sealed\n\
an answer, where one is awaited\n\
\x20   task_settled: received; active; cancelling\n\
\x20   ·: active, not approved; sealing; closed; closed, with a waiver; cancelled; cancelled, sealed; merged; refused; refused, sealed\n\
\x20   checks_done: closing\n\
an answer of resolving\n\
\x20   task_settled: received\n\
\x20   late_report: active, not approved; active; closing; sealing; closed; closed, with a waiver; cancelling; cancelled; cancelled, sealed; merged; refused; refused, sealed\n\
a look\n\
\x20   ·: received; active, not approved; active; closing; sealing; closed; closed, with a waiver; cancelling; cancelled; cancelled, sealed; merged; refused; refused, sealed\n\
approve plan\n\
\x20   -NothingToApprove: received\n\
\x20   plan_approved: active, not approved\n\
\x20   -AlreadyApproved: active; closing\n\
\x20   -CaseEnded: sealing; closed; closed, with a waiver; cancelling; cancelled; cancelled, sealed; merged; refused; refused, sealed\n\
approve task\n\
\x20   -NothingToApprove: received\n\
\x20   task_approved: active, not approved\n\
\x20   -AlreadyApproved: active\n\
\x20   -AlreadySettled: closing\n\
\x20   -CaseEnded: sealing; closed; closed, with a waiver; cancelling; cancelled; cancelled, sealed; merged; refused; refused, sealed\n\
attest\n\
\x20   -NotAttestable: received\n\
\x20   -TooEarly: active, not approved; active\n\
\x20   -AlreadySettled: closing\n\
\x20   -CaseEnded: sealing; closed; closed, with a waiver; cancelling; cancelled; cancelled, sealed; merged; refused; refused, sealed\n\
waive\n\
\x20   -NotWaivable: received\n\
\x20   task_settled: active, not approved; active\n\
\x20   -AlreadySettled: closing\n\
\x20   -CaseEnded: sealing; closed; closed, with a waiver; cancelling; cancelled; cancelled, sealed; merged; refused; refused, sealed\n\
retry\n\
\x20   -NothingToRetry: received; active, not approved; active; closing\n\
\x20   -CaseEnded: sealing; closed; closed, with a waiver; cancelling; cancelled; cancelled, sealed; merged; refused; refused, sealed\n\
cancel\n\
\x20   cancel_requested: received; active, not approved; active; closing; merged\n\
\x20   -CaseEnded: sealing; closed; closed, with a waiver; cancelling; cancelled; cancelled, sealed; refused; refused, sealed\n\
seal\n\
\x20   -NotToBeSealed: received; active, not approved; active; closing; cancelling; merged\n\
\x20   case_closed: sealing\n\
\x20   -AlreadyRecorded: closed; closed, with a waiver; cancelled, sealed; refused, sealed\n\
\x20   evidence_sealed: cancelled; refused\n\
seal less\n\
\x20   -NotToBeSealed: received; active, not approved; active; closing; sealing; cancelling; cancelled; merged; refused\n\
\x20   -AlreadyRecorded: closed; closed, with a waiver; cancelled, sealed; refused, sealed\n\
loss\n\
\x20   tail_lost: received; active, not approved; active; closing; sealing; cancelling\n\
\x20   ·: closed; closed, with a waiver; cancelled; cancelled, sealed; merged; refused; refused, sealed\n\
join\n\
\x20   -TakesNoRequest: received; cancelled; cancelled, sealed; merged; refused; refused, sealed\n\
\x20   request_joined: active, not approved; active; closing; sealing; cancelling\n\
\x20   ·: closed; closed, with a waiver\n\
leave\n\
\x20   ·: received; active, not approved; active; closing; sealing; closed; closed, with a waiver; cancelling; cancelled; cancelled, sealed; merged; refused; refused, sealed\n\
acknowledge merge\n\
\x20   ·: received; active, not approved; active; closing; sealing; closed; closed, with a waiver; cancelling; cancelled; cancelled, sealed; refused; refused, sealed\n\
\x20   merge_acknowledged: merged\n\
undo merge\n\
\x20   ·: received; active, not approved; active; closing; sealing; closed; closed, with a waiver; cancelling; cancelled; cancelled, sealed; refused; refused, sealed\n\
\x20   merge_undone: merged\n\
follow up\n\
\x20   ·: received; active, not approved; active; closing; sealing; closed; cancelling; cancelled; cancelled, sealed; merged; refused; refused, sealed\n\
\x20   follow_up_opened: closed, with a waiver\n\
";
/// People are answered alike, whether it may be repeated or not: what differs is how
/// it is tried again.
const OF_A_TASK: &str = "\
its answer\n\
\x20   -Stale: waiting\n\
\x20   task_settled: working\n\
\x20   late_report: resting; unknown; failed; done; waived\n\
the answer of the attempt before\n\
\x20   -Stale: waiting; working; resting; unknown; failed; done; waived\n\
the answer of an attempt to come\n\
\x20   tail_lost: waiting; working; resting; unknown; failed; done; waived\n\
a look\n\
\x20   ·: waiting; working; resting; unknown; failed; done; waived\n\
approve\n\
\x20   task_approved: waiting\n\
\x20   -AlreadyApproved: working; resting; unknown; failed\n\
\x20   -AlreadySettled: done; waived\n\
attest\n\
\x20   -NotAttestable: waiting; working; resting; unknown; failed; done; waived\n\
waive\n\
\x20   task_settled: waiting; resting; unknown; failed\n\
\x20   -InFlight: working\n\
\x20   -AlreadySettled: done; waived\n\
retry\n\
\x20   -NothingToRetry: waiting\n\
\x20   -InFlight: working\n\
\x20   retry_ordered: resting; unknown; failed\n\
\x20   -AlreadySettled: done; waived\n\
";
const OF_A_PERSONS_TASK: &str = "\
its answer\n\
\x20   -Stale: asked; done; waived; waiting\n\
the answer of the attempt before\n\
\x20   -Stale: asked; done; waived; waiting\n\
the answer of an attempt to come\n\
\x20   tail_lost: asked; done; waived; waiting\n\
a look\n\
\x20   ·: asked; done; waived; waiting\n\
approve\n\
\x20   -NothingToApprove: asked; waiting\n\
\x20   -AlreadySettled: done; waived\n\
attest\n\
\x20   task_settled: asked\n\
\x20   -AlreadySettled: done; waived\n\
\x20   -TooEarly: waiting\n\
waive\n\
\x20   task_settled: asked; waiting\n\
\x20   -AlreadySettled: done; waived\n\
retry\n\
\x20   -NothingToRetry: asked; waiting\n\
\x20   -AlreadySettled: done; waived\n\
";
