//! Ring 1: what an attempt has kept stays known, also of one that ends with a
//! person; and which keys only a person can keep.

use crate::model::*;
use offboard_domain::catalogue::Kind;
use offboard_domain::departure::Manner;
use offboard_domain::evidence;
use offboard_domain::fault::FaultClass;
use offboard_domain::{Artifact, CaseState, Command, Digest, Event, Facts, Said, TaskState, Verdict, judge};

#[test]
fn what_a_failed_attempt_has_kept_stands_in_its_event_and_in_the_account() {
    let mut w = World::with_in_flight(Kind::EscrowRecoveryKeys, Manner::Planned);
    let task = w.id(Kind::EscrowRecoveryKeys);
    let kept = Artifact {
        name: "escrow.d-1".into(),
        digest: Digest::of(b"sealed"),
        media_type: "application/vnd.offboard.escrow".into(),
        size_bytes: 6,
    };
    let mut report = w.report(task, fault(FaultClass::Blocked));
    report.artifacts = vec![kept.clone()];
    let events = w.order(Command::RecordReport(Box::new(report))).unwrap();
    assert!(matches!(
        w.task(Kind::EscrowRecoveryKeys).state,
        TaskState::Failed { .. }
    ));
    let told: Vec<&Artifact> = events.iter().flat_map(Event::artifacts).collect();
    assert_eq!(told, [&kept]);

    w.order(Command::Cancel {
        by: "hr@acme.example".into(),
        reason: "she stays".into(),
    })
    .unwrap();
    w.drain();
    assert_eq!(w.case().state, CaseState::Cancelled);
    let account = evidence::statement(&w.history()).unwrap();
    let mut artifacts = account.predicate.artifacts.iter().zip(account.subject.iter().skip(1));
    assert!(artifacts.any(|(a, subject)| a.task == task && subject.digest.sha256 == kept.digest));
}

/// The code of a wiped Mac is kept by an attempt that nobody hears of in time. The next ones find
/// it where that one's report says, and order: no other event names the file.
#[test]
fn what_only_a_late_report_says_was_kept_is_known_and_in_the_account() {
    let mut w = World::with_in_flight(Kind::WipeDevice, Manner::Planned);
    let task = w.id(Kind::WipeDevice);
    let code = Artifact {
        name: "escrow.d-1".into(),
        digest: Digest::of(b"sealed code"),
        media_type: "application/vnd.offboard.escrow".into(),
        size_bytes: 11,
    };
    let checkpoint = Facts::new().with("unlock_code_kept_in", code.digest.to_string());
    let mut late = w.report(task, Said::Progress { checkpoint });
    late.artifacts = vec![code.clone()];
    w.now = w.task(Kind::WipeDevice).in_flight().unwrap().over_at();
    w.order(Command::Tick).unwrap();
    let events = w.order(Command::RecordReport(Box::new(late))).unwrap();
    assert!(matches!(events[0], Event::LateReport { .. }), "{events:?}");
    w.run_to_sealing();
    assert!(w.task(Kind::WipeDevice).is_settled());
    let told: Vec<&Artifact> = w.events.iter().flat_map(|(_, e)| e.artifacts()).collect();
    assert_eq!(told, [&code]);
    let account = evidence::statement(&w.history()).unwrap();
    let mut artifacts = account.predicate.artifacts.iter().zip(account.subject.iter().skip(1));
    assert!(artifacts.any(|(a, subject)| a.task == task && subject.digest.sha256 == code.digest));
}

#[test]
fn the_account_of_a_device_without_keys_does_not_say_that_they_are_kept() {
    for (keys, said) in [(0_i64, "there were none"), (1, "are in the store")] {
        let mut w = World::with_in_flight(Kind::EscrowRecoveryKeys, Manner::Planned);
        let task = w.id(Kind::EscrowRecoveryKeys);
        let read = seen(Facts::new().with("escrow_complete", true).with("key_count", keys));
        let said_of_it = Said::Satisfied {
            before: read.clone(),
            after: read,
        };
        let report = w.report(task, said_of_it);
        w.order(Command::RecordReport(Box::new(report))).unwrap();
        w.order(Command::Cancel {
            by: "hr@acme.example".into(),
            reason: "she stays".into(),
        })
        .unwrap();
        w.drain();
        let account = evidence::statement(&w.history()).unwrap();
        let escrowed = account.predicate.tasks.iter().find(|t| t.id == task).unwrap();
        let Some(evidence::ClosingProofAccount::Receipt { reason }) = &escrowed.closing_proof else {
            panic!("{:?}", escrowed.closing_proof)
        };
        assert!(reason.contains(said), "{keys}: {reason}");
    }
}

#[test]
fn a_key_that_is_withheld_is_for_a_person_and_one_that_could_not_be_sealed_is_tried_again() {
    let judged = |withheld: Vec<String>, complete: bool| {
        let facts = Facts::new()
            .with("keys_withheld", withheld)
            .with("escrow_complete", complete);
        judge(Kind::EscrowRecoveryKeys, &Facts::new(), &facts, None)
    };
    let disk = vec!["disk".to_owned()];
    assert!(matches!(judged(disk, false), Verdict::Blocked(why) if why.contains("FileVault")));
    assert!(matches!(judged(Vec::new(), false), Verdict::Unsatisfied(_)));
    assert_eq!(judged(Vec::new(), true), Verdict::Satisfied);
    // Long missing, though the disk is encrypted.
    let facts = Facts::new()
        .with("keys_withheld", Vec::<String>::new())
        .with("escrow_complete", false)
        .with("key_not_listed", true);
    let verdict = judge(Kind::EscrowRecoveryKeys, &Facts::new(), &facts, None);
    assert!(matches!(verdict, Verdict::Blocked(why) if why.contains("no recovery key")));
}
