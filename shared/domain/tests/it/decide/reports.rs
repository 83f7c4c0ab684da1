//! What is believed of a report: proof and no claim, each once, of this case alone.

use crate::model::*;
use offboard_domain::catalogue::{Area, Kind, Lane};
use offboard_domain::departure::Manner;
use offboard_domain::fault::{FaultClass, Rule};
use offboard_domain::task::Place;
use offboard_domain::time::{HOUR_MS, MINUTE_MS};
use offboard_domain::{
    CaseId, CaseState, Command, Credit, Digest, Event, Facts, Refusal, Report, Said, TaskState, TenantId, decide,
    decide_reports,
};

#[test]
fn a_claim_without_proof_is_not_believed() {
    let mut w = World::opened(Manner::Immediate);
    w.answer(Kind::Resolve);
    w.answer(Kind::SnapshotAccess);
    let id = w.id(Kind::RemoveDirectoryRoles);
    let lie = seen(Facts::new().with("role_ids", vec!["r-1".to_owned()]));
    let report = w.report(
        id,
        Said::Satisfied {
            before: lie.clone(),
            after: lie,
        },
    );
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    assert!(matches!(
        w.task(Kind::RemoveDirectoryRoles).state,
        TaskState::Failed {
            rule: Rule::ClaimWithoutProof,
            ..
        }
    ));
}

#[test]
fn a_counter_that_did_not_move_proves_nothing() {
    let mut w = World::opened(Manner::Immediate);
    for kind in [
        Kind::Resolve,
        Kind::SnapshotAccess,
        Kind::RemoveDirectoryRoles,
        Kind::DisableSignIn,
    ] {
        w.answer(kind);
    }
    let id = w.id(Kind::ResetPassword);
    let same = seen(Facts::new().with("password_changed_ms", 7));
    let report = w.report(
        id,
        Said::Satisfied {
            before: same.clone(),
            after: same,
        },
    );
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    assert!(matches!(
        w.task(Kind::ResetPassword).state,
        TaskState::Failed {
            rule: Rule::ClaimWithoutProof,
            ..
        }
    ));
}

#[test]
fn a_repeated_report_is_recognised_and_a_late_one_is_kept() {
    let mut w = World::opened(Manner::Immediate);
    let report = w.truthful(w.id(Kind::Resolve));
    w.order(Command::RecordReport(Box::new(report.clone()))).unwrap();
    assert_eq!(
        w.order(Command::RecordReport(Box::new(report))),
        Err(Refusal::AlreadyRecorded)
    );

    // The first attempt is given up as unanswered; then its answer comes.
    let id = w.id(Kind::SnapshotAccess);
    let late = w.truthful(id);
    w.pass(HOUR_MS);
    assert_eq!(w.task(Kind::SnapshotAccess).attempt, 2);
    let events = w.order(Command::RecordReport(Box::new(late.clone()))).unwrap();
    assert!(matches!(&events[0], Event::LateReport { attempt: 1, .. }), "{events:?}");
    assert!(
        w.task(Kind::SnapshotAccess).in_flight().is_some(),
        "its state is not changed"
    );
    assert_eq!(
        w.order(Command::RecordReport(Box::new(late))),
        Err(Refusal::AlreadyRecorded)
    );
}

#[test]
fn a_history_does_not_go_backwards_with_a_clock_that_is_behind() {
    let mut w = World::opened(Manner::Immediate);
    let before = w.now.plus(MINUTE_MS);
    w.pass(MINUTE_MS);
    let report = w.truthful(w.id(Kind::Resolve));
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    assert_eq!(w.case().changed_at, before);
    // Another dispatcher takes over.
    w.now = T0;
    let id = w.id(Kind::SnapshotAccess);
    let report = w.truthful(id);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    assert_eq!(w.case().changed_at, before);
    assert_eq!(w.case().settled_at(Kind::SnapshotAccess), before);
}

#[test]
fn a_late_report_does_not_make_an_account_of_the_same_end_a_second_one() {
    let mut w = World::opened(Manner::Immediate);
    w.drain();
    let id = w.id(Kind::DisableSignIn);
    w.run_to_sealing();
    let to = w.case().account_to();
    assert_eq!((to.version, to.head), (w.case().version, w.case().head));
    let seal = |to| Command::RecordSealed {
        to,
        evidence: Digest::ZERO,
        key_id: "k".into(),
    };
    let late = w.report(id, fault(FaultClass::Transient));
    w.order(Command::RecordReport(Box::new(late))).unwrap();
    assert_eq!(w.case().version, to.version + 1);
    assert_eq!(w.case().account_to(), to);
    assert!(w.case().is_to_be_sealed());
    let before = Place {
        version: to.version - 1,
        ..to
    };
    // The account of a history that is lost, which reached just as far.
    let lost = Place {
        head: Digest([7; 32]),
        ..to
    };
    for wrong in [before, lost] {
        let refused = w.order(seal(wrong));
        assert!(matches!(refused, Err(Refusal::NotToBeSealed { .. })), "{refused:?}");
    }
    w.order(seal(to)).unwrap();
    assert_eq!(w.case().state, CaseState::Closed);
}

#[test]
fn reports_that_come_together_are_decided_as_one_after_the_other() {
    let mut w = World::opened(Manner::Immediate);
    w.answer(Kind::Resolve);
    w.answer(Kind::SnapshotAccess);
    let mut reports: Vec<Report> = w.in_flight().into_iter().map(|id| w.truthful(id)).collect();
    assert!(reports.len() > 2);
    let again = reports[0].clone();
    reports.push(again);
    let (together, answers) = decide_reports(w.case(), reports.clone(), w.now, &w.gates);
    let mut case = w.case().clone();
    let mut events = Vec::new();
    for (report, answer) in reports.iter().zip(&answers) {
        match decide(
            Some(&case),
            Command::RecordReport(Box::new(report.clone())),
            w.now,
            &w.gates,
        ) {
            Ok(one) => {
                assert_eq!(answer, &Ok(()));
                events.extend(one.events);
                case = one.case;
            }
            Err(refusal) => assert_eq!(answer, &Err(refusal)),
        }
    }
    assert_eq!(answers.len(), reports.len());
    assert_eq!(answers.last(), Some(&Err(Refusal::AlreadyRecorded)));
    assert_eq!(together.events, events);
    assert_eq!(together.case.tasks, case.tasks);
}

#[test]
fn reports_that_come_together_share_one_credit() {
    let mut w = World::opened(Manner::Immediate);
    w.answer(Kind::Resolve);
    w.answer(Kind::SnapshotAccess);
    let reports: Vec<Report> = w.in_flight().into_iter().map(|id| w.truthful(id)).collect();
    let mut gates = w.gates.clone();
    gates.credit = Credit::NONE;
    for area in Area::MACHINES {
        gates.credit.set(*area, Lane::Urgent, 1);
        gates.credit.set(*area, Lane::Normal, 1);
    }
    let (together, _) = decide_reports(w.case(), reports, w.now, &gates);
    let mut given = std::collections::BTreeMap::new();
    for event in &together.events {
        if let Event::TaskAssigned { task, .. } = event {
            let kind = together.case.tasks[task].kind();
            *given.entry((kind.spec().area, together.case.lane(kind))).or_insert(0) += 1;
        }
    }
    assert!(!given.is_empty() && given.values().all(|n| *n == 1), "{given:?}");
}

#[test]
fn reports_behind_one_that_shuts_a_gate_are_not_decided_with_it() {
    let mut w = World::opened(Manner::Immediate);
    w.answer(Kind::Resolve);
    w.answer(Kind::SnapshotAccess);
    let mut reports: Vec<Report> = w.in_flight().into_iter().map(|id| w.truthful(id)).collect();
    let throttled = fault(FaultClass::Throttled {
        retry_after_ms: Some(7_000),
    });
    reports[1] = w.report(reports[1].task, throttled);
    let (together, answers) = decide_reports(w.case(), reports, w.now, &w.gates);
    assert_eq!(answers, vec![Ok(()), Ok(())]);
    assert_eq!(together.holds, vec![(m365(), w.now.plus(7_000))]);
}

#[test]
fn what_is_over_is_not_opened_again_by_a_report() {
    let mut w = World::opened(Manner::Immediate);
    w.order(Command::Cancel {
        by: "boss".into(),
        reason: "he stays".into(),
    })
    .unwrap();
    w.answer(Kind::Resolve);
    let ahead = Report {
        version: 900,
        attempt: 9,
        ..w.truthful(w.id(Kind::Resolve))
    };
    assert!(matches!(
        w.order(Command::RecordReport(Box::new(ahead))),
        Err(Refusal::Stale { .. })
    ));
    assert_eq!(w.case().state, CaseState::Cancelled);
}

#[test]
fn a_report_about_somebody_else_is_refused() {
    let mut w = World::opened(Manner::Immediate);
    let good = w.truthful(w.id(Kind::Resolve));
    let foreign = Report {
        tenant: TenantId::new("other").unwrap(),
        ..good.clone()
    };
    assert_eq!(w.order(Command::RecordReport(Box::new(foreign))), Err(Refusal::Foreign));
    let foreign = Report {
        case: CaseId([9; 10]),
        ..good
    };
    assert_eq!(w.order(Command::RecordReport(Box::new(foreign))), Err(Refusal::Foreign));
}
