//! What an attempt has come to remember outlives the fault that ends it.

use crate::model::*;
use offboard_domain::assignment::baseline_facts;
use offboard_domain::catalogue::Kind;
use offboard_domain::departure::Manner;
use offboard_domain::fault::{FaultClass, Rule};
use offboard_domain::time::{HOUR_MS, MINUTE_MS};
use offboard_domain::{Command, Facts, Mode, Observation, Report, Said, TaskState, Writes};

fn mark(n: i64) -> Facts {
    Facts::new().with("ordered_ms", n)
}

/// A fault's report that leaves this to the next try.
fn faulted(w: &World, kind: Kind, class: FaultClass, remembered: Option<Facts>) -> Report {
    Report {
        remembered,
        ..w.report(w.id(kind), fault(class))
    }
}

fn record(w: &mut World, report: Report) {
    w.order(Command::RecordReport(Box::new(report))).unwrap();
}

fn retry(w: &mut World, kind: Kind) {
    let (task, by) = (Some(w.id(kind)), "boss@msp.example".to_owned());
    w.order(Command::Retry { task, by }).unwrap();
}

/// What the try that is under way was given.
fn given(w: &World, kind: Kind) -> Option<Facts> {
    w.case().assignment(w.id(kind)).unwrap().checkpoint
}

fn snapshot_in_flight() -> World {
    let mut w = World::opened(Manner::Immediate);
    w.answer(Kind::Resolve);
    w
}

const KIND: Kind = Kind::SnapshotAccess;

#[test]
fn what_a_faulted_try_remembers_is_given_to_the_next_whatever_the_fault() {
    for class in [
        FaultClass::Transient,
        FaultClass::Throttled { retry_after_ms: None },
        FaultClass::Absent,
        FaultClass::Unknown,
        FaultClass::Denied,
        FaultClass::Blocked,
        FaultClass::Rejected,
        FaultClass::Unsupported,
    ] {
        let mut w = snapshot_in_flight();
        for remembered in [Some(mark(1)), None] {
            let report = faulted(&w, KIND, class, remembered);
            record(&mut w, report);
            match w.task(KIND).state {
                TaskState::Failed { .. } => retry(&mut w, KIND),
                _ => w.pass(HOUR_MS),
            }
            assert_eq!(given(&w, KIND), Some(mark(1)), "{class:?}");
        }
    }
}

#[test]
fn to_remember_more_with_each_fault_is_not_to_come_further() {
    let mut w = snapshot_in_flight();
    let tries = i64::from(KIND.spec().attempts);
    for n in 1..=tries {
        assert!(w.task(KIND).in_flight().is_some(), "try {n}");
        let report = faulted(&w, KIND, FaultClass::Transient, Some(mark(n)));
        record(&mut w, report);
        if n < tries {
            w.pass(HOUR_MS);
        }
    }
    let state = &w.task(KIND).state;
    let out = matches!(
        state,
        TaskState::Failed {
            rule: Rule::OutOfAttempts,
            ..
        }
    );
    assert!(out, "{state:?}");
    retry(&mut w, KIND);
    assert_eq!(given(&w, KIND), Some(mark(tries)));
}

#[test]
fn the_mark_of_an_order_that_must_not_be_given_twice_outlives_a_fault() {
    for class in [FaultClass::Unknown, FaultClass::Transient] {
        let mut w = World::with_in_flight(Kind::WipeDevice, Manner::Planned);
        let over = w.task(Kind::WipeDevice).in_flight().unwrap().over_at();
        let ordered = faulted(&w, Kind::WipeDevice, FaultClass::Unknown, Some(mark(7)));
        record(&mut w, ordered);
        w.pass(over.since(w.now) + 1);
        let next = w.case().assignment(w.id(Kind::WipeDevice)).unwrap();
        assert_eq!((next.mode, next.checkpoint), (Mode::ObserveOnly, Some(mark(7))));
        // Nor does a reading that fails take it away.
        let unread = faulted(&w, Kind::WipeDevice, class, None);
        record(&mut w, unread);
        w.pass(HOUR_MS);
        let next = w.case().assignment(w.id(Kind::WipeDevice)).unwrap();
        assert_eq!((next.mode, next.checkpoint), (Mode::ObserveOnly, Some(mark(7))));
    }
}

/// Whoever reads does not know what an earlier try says meanwhile. That is read once more, and
/// what is to be remembered of it stays, if nothing newer is known.
#[test]
fn what_comes_late_while_it_is_read_is_remembered_and_read_once_more() {
    let kind = Kind::WipeDevice;
    let none = || {
        let facts = Facts::new().with("wiped", false).with("owner_type", "company");
        Said::Observed {
            observation: seen(facts.with("conclusive", true)),
        }
    };
    let waits = |w: &World, checkpoint: Option<Facts>| Said::Wait {
        until: w.now.plus(MINUTE_MS),
        why: "not listed yet".into(),
        checkpoint,
    };
    let state = || Facts::new().with("last_action_state", "pending");
    for (left, known) in [
        (None, mark(7)),
        (Some(state()), state().with("ordered_ms", 7)),
        (Some(mark(9)), mark(9)),
    ] {
        let mut w = World::with_in_flight(kind, Manner::Planned);
        let id = w.id(kind);
        let late = w.report(id, waits(&w, Some(mark(7))));
        let over = w.task(kind).in_flight().unwrap().over_at();
        w.pass(over.since(w.now));
        assert_eq!(w.case().assignment(id).unwrap().mode, Mode::ObserveOnly);
        record(&mut w, late);
        let read = match &left {
            None => none(),
            Some(_) => waits(&w, left.clone()),
        };
        let report = w.report(id, read);
        record(&mut w, report);
        w.pass(MINUTE_MS);
        let next = w.case().assignment(id).unwrap();
        assert_eq!((next.mode, next.checkpoint), (Mode::ObserveOnly, Some(known)));
        // Nothing has come since.
        let report = w.report(id, none());
        record(&mut w, report);
        assert_eq!(w.case().assignment(id).unwrap().mode, Mode::Full);
    }
}

#[test]
fn what_the_last_wait_remembers_is_known_after_patience_is_over() {
    let mut w = World::with_in_flight(Kind::WipeDevice, Manner::Planned);
    for n in 0..100 {
        let said = Said::Wait {
            until: w.now.plus(2 * HOUR_MS),
            why: "offline".into(),
            checkpoint: Some(mark(n)),
        };
        let report = w.report(w.id(Kind::WipeDevice), said);
        record(&mut w, report);
        if let TaskState::Failed { rule, .. } = w.task(Kind::WipeDevice).state {
            assert_eq!(rule, Rule::StillWaiting);
            retry(&mut w, Kind::WipeDevice);
            assert_eq!(given(&w, Kind::WipeDevice), Some(mark(n)));
            return;
        }
        w.pass(2 * HOUR_MS);
    }
    panic!("nobody was asked");
}

/// Everything else goes well until this is with a worker once more.
fn another_try(w: &mut World, kind: Kind) {
    for _ in 0..120 {
        w.drain_but(kind);
        if w.task(kind).in_flight().is_some() {
            return;
        }
        w.pass(MINUTE_MS);
    }
    panic!("{kind} is not tried again");
}

/// Whoever goes on reads what the try before has made of it: what there was is the first
/// reading, also when that try has not seen the end.
#[test]
fn what_was_there_before_the_first_write_is_kept_over_tries_and_goes_to_no_worker() {
    let kind = Kind::DisableSignIn;
    let enabled = |n: i64| seen(Facts::new().with("enabled", true).with("reading", n));
    let remember = |first: &Observation| {
        let mut left = baseline_facts(first);
        left.0.extend(mark(1).0);
        Some(left)
    };
    // A try that wrote hands it over; one that only read does not.
    for (handed_over, known) in [(remember(&enabled(1)), enabled(1)), (Some(mark(1)), enabled(3))] {
        let mut w = World::with_in_flight(kind, Manner::Immediate);
        let first = Report {
            seen: Some(enabled(2)),
            ..faulted(&w, kind, FaultClass::Transient, handed_over)
        };
        record(&mut w, first);
        another_try(&mut w, kind);
        assert_eq!(given(&w, kind), Some(mark(1)));
        let second = Report {
            seen: Some(enabled(4)),
            ..faulted(&w, kind, FaultClass::Transient, remember(&enabled(3)))
        };
        record(&mut w, second);
        another_try(&mut w, kind);
        let disabled = w.truthful(w.id(kind));
        record(&mut w, disabled);
        let task = w.task(kind);
        assert_eq!(task.before.as_deref(), Some(&known));
        assert_eq!(task.after.as_deref(), Some(&seen(good(kind))));
        assert_eq!((&task.first, &task.checkpoint), (&None, &None), "a redo begins anew");
    }
}

/// What was written is counted where it was sent; who does not say has looked himself.
#[test]
fn what_was_read_before_writes_that_were_all_refused_is_not_what_there_was() {
    let kind = Kind::DisableSignIn;
    let enabled = |n: i64| seen(Facts::new().with("enabled", true).with("reading", n));
    let counted = |sent: u32, refused: u32| Some(Writes { sent, refused });
    for (writes, known) in [
        (counted(1, 1), enabled(2)),
        (counted(2, 2), enabled(2)),
        (counted(2, 1), enabled(1)),
        (counted(1, 0), enabled(1)),
        (None, enabled(1)),
    ] {
        for waits in [false, true] {
            let mut w = World::with_in_flight(kind, Manner::Immediate);
            let mut left = baseline_facts(&enabled(1));
            left.0.extend(mark(1).0);
            let report = Report {
                writes,
                ..if waits {
                    let said = Said::Wait {
                        until: w.now.plus(MINUTE_MS),
                        why: "a replica lags behind".into(),
                        checkpoint: Some(left),
                    };
                    w.report(w.id(kind), said)
                } else {
                    faulted(&w, kind, FaultClass::Transient, Some(left))
                }
            };
            record(&mut w, report);
            another_try(&mut w, kind);
            assert_eq!(given(&w, kind), Some(mark(1)), "the rest is kept");
            let said = Said::Satisfied {
                before: enabled(2),
                after: seen(good(kind)),
            };
            let disabled = w.report(w.id(kind), said);
            record(&mut w, disabled);
            assert_eq!(w.task(kind).before.as_deref(), Some(&known), "{writes:?}, {waits}");
        }
    }
}

/// What others hold on his mailbox is removed before anybody looks at theirs, and of those
/// some at a time: before the first of them went, there was all of it.
#[test]
fn what_is_read_and_removed_in_parts_was_there_as_a_whole() {
    let kind = Kind::RemoveDelegations;
    let held = |read_at: i64, keys: &[&str]| Observation {
        read_at: T0.plus(read_at),
        sources: vec!["exchange".into()],
        facts: Facts::new().with(
            "delegations",
            keys.iter().map(ToString::to_string).collect::<Vec<String>>(),
        ),
    };
    let with = |mut seen: Observation, more: Facts| {
        seen.facts.0.extend(more.0);
        seen
    };
    let far = |unread: i64| {
        Facts::new()
            .with("mailboxes_looked_at", 9)
            .with("mailboxes_unread", unread)
    };
    let his = with(held(1, &["z.to.u-9"]), Facts::new().with("his_mailbox_alone", true));
    let some = with(held(2, &["b.from.o-2", "a.from.o-1"]), far(4));
    let last = with(held(3, &["a.from.o-1", "c.from.o-3"]), far(0));
    let (none, end) = (with(held(4, &[]), far(0)), with(held(4, &["c.from.o-3"]), far(0)));
    // Whether the try that sees the end has removed some itself or not.
    for (parts, before) in [
        (vec![&his, &some, &last], &none),
        (vec![&his, &some], &last),
        (vec![&his, &some], &end),
    ] {
        let mut w = World::with_in_flight(kind, Manner::Immediate);
        for part in &parts {
            // One that only looked hands nothing over.
            for checkpoint in [mark(1), baseline_facts(part)] {
                let report = w.report(w.id(kind), Said::Progress { checkpoint });
                record(&mut w, report);
                another_try(&mut w, kind);
            }
        }
        let said = Said::Satisfied {
            before: before.clone(),
            after: none.clone(),
        };
        let report = w.report(w.id(kind), said);
        record(&mut w, report);
        let was = w.task(kind).before.clone().unwrap();
        let mut all: Vec<String> = parts
            .iter()
            .chain([&before])
            .flat_map(|p| p.facts.list("delegations").unwrap())
            .cloned()
            .collect();
        all.sort();
        all.dedup();
        assert_eq!(was.facts.list("delegations"), Some(all.as_slice()));
        assert_eq!((was.read_at, was.facts.bool("his_mailbox_alone")), (T0.plus(1), None));
        assert_eq!(
            was.facts.int("mailboxes_unread"),
            Some(0),
            "how far it came, the last one says"
        );
    }
}

/// Workers and dispatchers of two versions run side by side.
#[test]
fn a_report_of_before_reads_and_one_of_now_reads_as_it_was_written() {
    let w = snapshot_in_flight();
    let report = faulted(&w, KIND, FaultClass::Transient, None);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json.get("remembered"), None, "as it was written before");
    assert_eq!(json.get("writes"), None, "as it was written before");
    assert_eq!(serde_json::from_value::<Report>(json).unwrap(), report);
    let report = faulted(&w, KIND, FaultClass::Transient, Some(mark(3)));
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["remembered"], serde_json::json!({"ordered_ms": 3}));
    assert_eq!(serde_json::from_value::<Report>(json).unwrap(), report);
    let report = Report {
        writes: Some(Writes { sent: 2, refused: 1 }),
        ..report
    };
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["writes"], serde_json::json!({"sent": 2, "refused": 1}));
    assert_eq!(serde_json::from_value::<Report>(json).unwrap(), report);
}
