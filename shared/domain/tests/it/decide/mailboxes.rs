//! What is kept of a mailbox, the licences that wait for it, and outcomes that claim no more than was read.

use crate::decide::{keeping, keeping_of, reads_no_mailbox};
use crate::model::*;
use offboard_domain::catalogue::{Kind, POOL_WITHIN_MS};
use offboard_domain::departure::{Departure, Manner};
use offboard_domain::fault::Rule;
use offboard_domain::time::{DAY_MS, MINUTE_MS};
use offboard_domain::{Command, Facts, Outcome, Policy, Said, TaskState};

#[test]
fn licences_stay_until_a_hold_has_had_its_hour_to_take_effect() {
    let mut asked = departure(Manner::Planned);
    asked.choices.legal_hold = Some(true);
    let mut w = World::with(asked, Policy::default());
    w.drain();
    w.approve();
    w.drain();
    for kind in [Kind::DecideOneDrive, Kind::ConfirmHandover] {
        if w.case().open_of(kind) > 0 {
            w.attest(kind).unwrap();
            w.drain();
        }
    }
    assert!(w.task(Kind::HoldMailbox).is_settled());
    for (passed, attempts) in [(0, 0), (59 * MINUTE_MS, 0), (MINUTE_MS, 1)] {
        w.pass(passed);
        assert_eq!(
            w.task(Kind::ReleaseGroupLicenses).attempt,
            attempts,
            "{passed} ms later"
        );
    }
}

/// Who is disabled may drop out of the group that gave him his licence, and his mailbox
/// goes with it.
#[test]
fn a_mailbox_that_was_there_and_is_gone_is_for_a_person_and_no_licence_goes() {
    for kind in [
        Kind::HoldMailbox,
        Kind::ArchiveMailbox,
        Kind::ConvertToShared,
        Kind::GrantSuccessorMailbox,
    ] {
        let mut w = keeping(kind, true);
        reads_no_mailbox(&mut w, kind);
        let TaskState::Failed { rule, detail, .. } = &w.task(kind).state else {
            panic!("{kind}: {:?}", w.task(kind).state)
        };
        assert_eq!(*rule, Rule::ObjectGone, "{kind}");
        assert!(detail.contains("within 30 days"), "{kind}: {detail}");
        for _ in 0..60 {
            w.drain();
            w.a_person_or_time(10 * MINUTE_MS);
        }
        for release in [Kind::ReleaseGroupLicenses, Kind::ReleaseDirectLicenses] {
            assert_eq!(w.task(release).attempt, 0, "{kind}");
        }
        // Licensed again, it came back.
        let task = Some(w.id(kind));
        w.order(Command::Retry {
            task,
            by: "tech".into(),
        })
        .unwrap();
        w.run_to_sealing();
        assert_eq!(w.task(kind).outcome(), Some(&Outcome::Verified), "{kind}");
    }
}

/// It was read when he was handed in, and is gone when it is read once more on his day.
#[test]
fn a_mailbox_that_was_there_weeks_ago_is_not_forgotten() {
    let asked = Departure {
        effective_at: T0.plus(10 * DAY_MS),
        ..departure(Manner::Planned)
    };
    let kind = Kind::HoldMailbox;
    let mut w = keeping_of(asked, kind, |attempt| attempt == 1);
    let snapshot = w.task(Kind::SnapshotMailbox);
    assert_eq!(snapshot.attempt, 2, "it was not read once more");
    assert!(!snapshot.has_read_a_mailbox(), "what it shows now is the last reading");
    reads_no_mailbox(&mut w, kind);
    let state = &w.task(kind).state;
    assert!(
        matches!(
            state,
            TaskState::Failed {
                rule: Rule::ObjectGone,
                ..
            }
        ),
        "{state:?}"
    );
}

#[test]
fn who_never_had_a_mailbox_has_nothing_to_be_kept() {
    let kind = Kind::HoldMailbox;
    let mut w = keeping(kind, false);
    reads_no_mailbox(&mut w, kind);
    let outcome = w.task(kind).outcome();
    assert!(
        matches!(outcome, Some(Outcome::NotApplicable { .. })),
        "{:?}",
        w.task(kind).state
    );
}

/// A mail server that no snapshot reads shows by the archive itself that there was one.
#[test]
fn a_mailbox_that_goes_while_it_is_archived_is_for_a_person() {
    let kind = Kind::ArchiveMailbox;
    let mut w = keeping(kind, false);
    let checkpoint = Facts::new().with("messages", 1_000);
    let report = w.report(w.id(kind), Said::Progress { checkpoint });
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    w.drain_but(kind);
    assert!(w.task(kind).in_flight().is_some(), "{:?}", w.task(kind).state);
    reads_no_mailbox(&mut w, kind);
    let state = &w.task(kind).state;
    let is_lost = matches!(
        state,
        TaskState::Failed {
            rule: Rule::ObjectGone,
            ..
        }
    );
    assert!(is_lost, "{state:?}");
}

#[test]
fn outcomes_never_over_claim() {
    let mut w = World::opened(Manner::Immediate);
    w.drain();
    assert_eq!(w.task(Kind::DisableSignIn).outcome(), Some(&Outcome::Verified));
    assert_eq!(
        w.task(Kind::RevokeSessions).outcome(),
        Some(&Outcome::VerifiedByCounter)
    );
}

/// Colleagues moved the pool's numbers: that he holds none is read, that the company has
/// one more is not.
#[test]
fn a_pool_that_contradicts_is_acknowledged_and_not_verified() {
    for (agrees, outcome) in [(true, Outcome::Verified), (false, Outcome::Acknowledged)] {
        let mut w = World::with_in_flight(Kind::ProvePool, Manner::Immediate);
        let read = seen(
            Facts::new()
                .with("released", true)
                .with("pool_agrees", agrees)
                .with("pool_waited_ms", POOL_WITHIN_MS),
        );
        let said = Said::Satisfied {
            before: read.clone(),
            after: read,
        };
        let report = w.report(w.id(Kind::ProvePool), said);
        w.order(Command::RecordReport(Box::new(report))).unwrap();
        assert_eq!(w.task(Kind::ProvePool).outcome(), Some(&outcome), "agrees: {agrees}");
    }
}

#[test]
fn without_a_hold_no_licence_waits_for_one_to_take_effect() {
    let mut w = World::opened(Manner::Planned);
    w.drain();
    w.approve();
    w.drain();
    assert!(!w.case().has(Kind::HoldMailbox));
    assert_eq!(w.now, T0);
    assert!(w.task(Kind::ReleaseGroupLicenses).is_settled());
}

#[test]
fn whoever_looks_at_the_mailbox_is_told_how_large_it_may_be() {
    use offboard_domain::plan::plan;
    let subject = Facts::new().with("object_id", "u-1").with("successor_id", "u-2");
    let policy = Policy {
        shared_mailbox_max_bytes: 7,
        ..Policy::default()
    };
    let d = departure(Manner::Planned);
    let p = plan(d.case_id(), &d, &subject, &policy, &everything(), false).unwrap();
    for kind in [
        Kind::ConvertToShared,
        Kind::ReleaseGroupLicenses,
        Kind::ReleaseDirectLicenses,
        Kind::ProvePool,
    ] {
        let task = p.tasks.iter().find(|t| t.kind == kind).unwrap();
        assert_eq!(task.params.int("shared_max_bytes"), Some(7), "{kind}");
    }
}
