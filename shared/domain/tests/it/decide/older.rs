//! Workers of an older version say less: what they did not look at is looked at by another.

use crate::decide::{keeping, reads_no_mailbox};
use crate::model::*;
use offboard_domain::catalogue::Kind;
use offboard_domain::departure::Manner;
use offboard_domain::fault::{FaultClass, Rule};
use offboard_domain::task::RestReason;
use offboard_domain::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use offboard_domain::{CaseState, Checked, Command, Event, Facts, Outcome, Said, TaskState};
use std::sync::Arc;

/// Whoever reads has the list of when it was ordered; what was settled since is read by another.
#[test]
fn a_closing_reading_need_not_have_what_was_settled_beside_it() {
    let kind = Kind::HideFromAddressLists;
    let mut w = World::with_in_flight(kind, Manner::Immediate);
    let refused = w.report(w.id(kind), fault(FaultClass::Rejected));
    w.order(Command::RecordReport(Box::new(refused))).unwrap();
    let waiting = [kind, Kind::Validate];
    w.run_until(|w| {
        let mut all = w.case().tasks.values();
        all.all(|t| t.is_settled() || waiting.contains(&t.kind()))
    });
    let waive = Command::Waive {
        task: w.id(kind),
        by: "boss@msp.example".into(),
        reason: "the directory is being mended".into(),
        until: w.now.plus(MINUTE_MS),
    };
    w.order(waive).unwrap();
    w.attest(Kind::Validate).unwrap();
    assert_eq!(w.case().state, CaseState::Closing);
    let round = w.id(Kind::ObserveMailbox);
    let reading = w.truthful(round);
    w.pass(MINUTE_MS);
    w.answer(kind);
    assert_eq!(w.task(kind).outcome(), Some(&Outcome::Verified));
    w.order(Command::RecordReport(Box::new(reading))).unwrap();
    assert_eq!(w.case().tasks[&round].outcome(), Some(&Outcome::Verified));
    w.run_to_sealing();
    assert_eq!(w.case().round, 2, "what it has not read is read by another");
}

/// Workers are of several versions for a while.
#[test]
fn an_older_workers_word_that_there_is_no_mailbox_leaves_delegations_to_another() {
    let kind = Kind::RemoveDelegations;
    let mut w = keeping(kind, false);
    reads_no_mailbox(&mut w, kind);
    let state = &w.task(kind).state;
    let not_begun = matches!(
        state,
        TaskState::Resting {
            why: RestReason::NotBegun { .. },
            ..
        }
    );
    assert!(not_begun, "{state:?}");
    w.run_to_sealing();
    assert_eq!(w.task(kind).outcome(), Some(&Outcome::Verified));
}

/// The same of one who has looked for what was assigned to him, and for no group.
#[test]
fn an_older_workers_word_that_no_application_is_assigned_leaves_his_groups_to_another() {
    let kind = Kind::RemoveAppRoles;
    let mut w = World::with_in_flight(kind, Manner::Immediate);
    let read = seen(Facts::new().with("app_role_ids", Vec::new()));
    let said = Said::Satisfied {
        before: read.clone(),
        after: read,
    };
    let report = w.report(w.id(kind), said);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    let why = match &w.task(kind).state {
        TaskState::Resting {
            why: RestReason::NotBegun { why },
            ..
        } => why.clone(),
        other => panic!("{other:?}"),
    };
    assert!(why.contains("groups that give applications"), "{why}");
    w.run_to_sealing();
    assert_eq!(w.task(kind).outcome(), Some(&Outcome::Verified));
}

/// What he has taken before he is known to be old was there, and the account says so.
#[test]
fn what_an_older_worker_took_is_among_what_was_there_before() {
    let kind = Kind::RemoveAppRoles;
    let mut w = World::with_in_flight(kind, Manner::Immediate);
    let roles = |ids: &[&str]| {
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        seen(Facts::new().with("app_role_ids", ids))
    };
    let said = Said::Satisfied {
        before: roles(&["ar-1"]),
        after: roles(&[]),
    };
    let report = w.report(w.id(kind), said);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    assert!(!w.task(kind).is_settled());
    w.run_to_sealing();
    let before = w.task(kind).before.as_ref().unwrap();
    assert_eq!(before.facts.list("app_role_ids"), Some(&["ar-1".to_owned()][..]));
}

/// Of an application's groups: who has not looked for any finds no difference, unless nobody has.
#[test]
fn an_older_workers_word_shows_no_difference_only_where_another_has_looked() {
    let kind = Kind::RemoveAppRoles;
    let read = seen(Facts::new().with("app_role_ids", Vec::new()));
    for looked in [true, false] {
        let mut w = World::with_in_flight(kind, Manner::Immediate);
        if looked {
            w.answer(kind);
        } else {
            // So an older program settled it.
            let settled = Event::TaskSettled {
                task: w.id(kind),
                attempt: 1,
                outcome: Outcome::Verified,
                before: Some(Arc::new(read.clone())),
                after: None,
                receipts: Vec::new(),
                artifacts: Vec::new(),
                report: None,
            };
            let now = w.now;
            w.take(&[(now, settled)]);
        }
        for _ in 0..500 {
            w.drain_but(Kind::ObserveIdentity);
            if w.case().in_flight_of(Kind::ObserveIdentity) > 0 {
                break;
            }
            w.a_person_or_time(10 * MINUTE_MS);
        }
        let round = w.id(Kind::ObserveIdentity);
        let checks = w.case().assignment(round).unwrap().checks;
        let results = checks.iter().map(|c| Checked {
            task: c.task,
            observation: if c.kind == kind {
                read.clone()
            } else {
                seen(good(c.kind))
            },
        });
        let said = Said::Checked {
            results: results.collect(),
        };
        let report = w.report(round, said);
        w.order(Command::RecordReport(Box::new(report))).unwrap();
        assert_eq!(w.task(kind).is_settled(), looked, "{:?}", w.task(kind).state);
        w.run_to_sealing();
        let after = w.task(kind).after.as_ref().unwrap();
        assert!(
            after.facts.list("app_group_ids").is_some(),
            "nobody has looked: {after:?}"
        );
    }
}

/// If nobody upgrades them, it does not go round for ever.
#[test]
fn workers_that_stay_old_leave_delegations_to_a_person() {
    let kind = Kind::RemoveDelegations;
    let mut w = keeping(kind, false);
    let (began, mut answers) = (w.now, 0);
    for _ in 0..5_000 {
        w.drain_but(kind);
        if matches!(w.task(kind).state, TaskState::Failed { .. }) {
            break;
        }
        if w.task(kind).in_flight().is_some() {
            reads_no_mailbox(&mut w, kind);
            answers += 1;
        } else {
            w.a_person_or_time(10 * MINUTE_MS);
        }
    }
    let TaskState::Failed { rule, detail, .. } = &w.task(kind).state else {
        panic!("after {answers} answers: {:?}", w.task(kind).state)
    };
    assert_eq!(*rule, Rule::ClaimWithoutProof);
    assert!(
        detail.contains("older version") && detail.contains("offboard retry"),
        "{detail}"
    );
    // A day is enough to upgrade every worker in.
    let waited = w.now.since(began);
    assert_eq!(answers, 24);
    assert!((18 * HOUR_MS..2 * DAY_MS).contains(&waited), "{waited}");
    w.order(Command::Retry {
        task: Some(w.id(kind)),
        by: "tech".into(),
    })
    .unwrap();
    w.run_to_sealing();
    assert_eq!(w.task(kind).outcome(), Some(&Outcome::Verified));
}
