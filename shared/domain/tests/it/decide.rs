//! Ring 1: each rule of the state machine by itself.

use crate::model::*;
use offboard_domain::assignment::baseline_facts;
use offboard_domain::catalogue::apps::PROTECTED;
use offboard_domain::catalogue::{
    ACCOUNT_GONE, APP_GROUPS_LATER, Area, Kind, Lane, MAILBOX_EXISTS, POOL_WITHIN_MS, ROLES_OPEN,
};
use offboard_domain::departure::{Departure, Forwarding, Manner, Meetings, OneDriveChoice, PersonRef};
use offboard_domain::fault::{FaultClass, Rule};
use offboard_domain::id::System;
use offboard_domain::policy::Capabilities;
use offboard_domain::standing::{Standing, next, standing};
use offboard_domain::task::{Place, RestReason};
use offboard_domain::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use offboard_domain::{
    ApprovalOf, CaseId, CaseState, Checked, Command, Credit, Digest, Event, Facts, Find, Gates, Mode, ObjectId,
    Outcome, Policy, Refusal, Report, Said, TaskId, TaskState, TenantId, Timestamp, WakeReason, decide, decide_reports,
    follow_up,
};
use std::collections::BTreeSet;
use std::sync::Arc;

#[test]
fn a_planned_departure_closes_and_writes_nothing_before_its_approval() {
    let mut w = World::opened(Manner::Planned);
    w.finds = company_laptop();
    w.drain();
    let wrote = |w: &World| {
        w.case()
            .tasks
            .values()
            .filter(|t| t.kind().spec().writes && t.attempt > 0)
            .map(|t| t.kind())
            .collect::<Vec<_>>()
    };
    assert_eq!(wrote(&w), Vec::<Kind>::new());
    w.run_to_sealing();
    assert!(wrote(&w).contains(&Kind::WipeDevice));
    let to = w.case().account_to();
    w.order(Command::RecordSealed {
        to,
        evidence: Digest::ZERO,
        key_id: "k".into(),
    })
    .unwrap();
    assert_eq!(w.case().state, CaseState::Closed);
    assert_eq!(w.attest(Kind::Validate), Err(Refusal::CaseEnded("closed")));
}

#[test]
fn an_immediate_departures_burst_waits_for_nobody_and_the_rest_does() {
    let mut w = World::opened(Manner::Immediate);
    w.drain();
    for kind in [
        Kind::RemoveDirectoryRoles,
        Kind::DisableSignIn,
        Kind::ResetPassword,
        Kind::RevokeSessions,
    ] {
        assert!(w.task(kind).is_settled(), "{kind}");
    }
    for kind in [
        Kind::RemoveAuthMethods,
        Kind::HideFromAddressLists,
        Kind::ConvertToShared,
    ] {
        assert_eq!(w.task(kind).attempt, 0, "{kind}");
    }
    w.run_to_sealing();
}

/// A copy of what is not connected, or a permission that is missing: who cannot
/// sign in gets no new sessions, so those that he has do not wait for a person.
#[test]
fn sessions_are_revoked_although_a_person_must_reset_the_password_and_again_when_he_has() {
    let mut w = World::opened(Manner::Immediate);
    let resetting = |w: &World| {
        let mut tasks = w.case().tasks.values();
        tasks.any(|t| t.kind() == Kind::ResetPassword && t.in_flight().is_some())
    };
    while !resetting(&w) {
        let report = w.truthful(w.in_flight()[0]);
        w.order(Command::RecordReport(Box::new(report))).unwrap();
    }
    let reset = w.id(Kind::ResetPassword);
    let refused = w.report(reset, fault(FaultClass::Blocked));
    w.order(Command::RecordReport(Box::new(refused))).unwrap();
    assert!(matches!(w.task(Kind::ResetPassword).state, TaskState::Failed { .. }));
    w.drain();
    assert!(w.task(Kind::RevokeSessions).is_settled());
    let revoked = w.task(Kind::RevokeSessions).attempt;
    w.order(Command::Retry {
        task: Some(reset),
        by: "boss".into(),
    })
    .unwrap();
    w.drain();
    assert!(w.task(Kind::ResetPassword).is_settled());
    assert!(w.task(Kind::RevokeSessions).is_settled());
    assert!(
        w.task(Kind::RevokeSessions).attempt > revoked,
        "revoked once more after the reset"
    );
}

/// The first of the burst is with this fault; what comes of the rest?
fn roles_cannot_go(class: FaultClass) -> World {
    let mut w = World::opened(Manner::Immediate);
    w.answer(Kind::Resolve);
    w.answer(Kind::SnapshotAccess);
    let roles = w.id(Kind::RemoveDirectoryRoles);
    let refused = w.report(roles, fault(class));
    w.order(Command::RecordReport(Box::new(refused))).unwrap();
    w
}

#[test]
fn access_is_cut_although_a_person_must_take_the_roles_away_and_sessions_again_when_he_has() {
    let mut w = roles_cannot_go(FaultClass::Denied);
    let disable = w.id(Kind::DisableSignIn);
    assert!(w.task(Kind::DisableSignIn).in_flight().is_some());
    let told = w.case().assignment(disable).unwrap().params;
    assert_eq!(told.bool(ROLES_OPEN), Some(true), "he may be the last administrator");
    w.drain();
    assert!(w.task(Kind::RevokeSessions).is_settled());
    let revoked = w.task(Kind::RevokeSessions).attempt;
    w.order(Command::Retry {
        task: None,
        by: "boss".into(),
    })
    .unwrap();
    w.drain();
    assert!(w.task(Kind::RemoveDirectoryRoles).is_settled());
    assert!(w.task(Kind::RevokeSessions).is_settled());
    assert!(w.task(Kind::RevokeSessions).attempt > revoked);
    w.run_to_sealing();
}

#[test]
fn a_vendor_that_keeps_failing_at_roles_holds_access_open_for_minutes() {
    let mut w = roles_cannot_go(FaultClass::Throttled {
        retry_after_ms: Some(2 * HOUR_MS),
    });
    // The vendor asked for rest; it is the roles alone that fail.
    w.drain_but(Kind::RemoveDirectoryRoles);
    assert_eq!(w.task(Kind::DisableSignIn).attempt, 0);
    for _ in 0..20 {
        w.pass(MINUTE_MS);
        w.drain_but(Kind::RemoveDirectoryRoles);
    }
    assert!(!w.task(Kind::RemoveDirectoryRoles).is_settled());
    for kind in [Kind::DisableSignIn, Kind::ResetPassword, Kind::RevokeSessions] {
        assert!(w.task(kind).is_settled(), "{kind}");
    }
}

#[test]
fn who_cannot_be_disabled_loses_password_and_sessions() {
    let mut w = World::opened(Manner::Immediate);
    for kind in [Kind::Resolve, Kind::SnapshotAccess, Kind::RemoveDirectoryRoles] {
        w.answer(kind);
    }
    let refused = w.report(w.id(Kind::DisableSignIn), fault(FaultClass::Blocked));
    w.order(Command::RecordReport(Box::new(refused))).unwrap();
    w.drain();
    assert!(w.task(Kind::ResetPassword).is_settled());
    assert!(w.task(Kind::RevokeSessions).is_settled());
}

#[test]
fn a_reset_that_a_person_orders_waits_for_the_revocation_that_went_ahead_of_it() {
    let mut w = World::opened(Manner::Immediate);
    let in_flight = |w: &World, kind: Kind| {
        let mut tasks = w.case().tasks.values();
        tasks.any(|t| t.kind() == kind && t.in_flight().is_some())
    };
    while !in_flight(&w, Kind::ResetPassword) {
        let report = w.truthful(w.in_flight()[0]);
        w.order(Command::RecordReport(Box::new(report))).unwrap();
    }
    let reset = w.id(Kind::ResetPassword);
    let refused = w.report(reset, fault(FaultClass::Blocked));
    w.order(Command::RecordReport(Box::new(refused))).unwrap();
    assert!(in_flight(&w, Kind::RevokeSessions));
    w.order(Command::Retry {
        task: Some(reset),
        by: "boss".into(),
    })
    .unwrap();
    assert!(!in_flight(&w, Kind::ResetPassword), "not beside the revocation");
    w.answer(Kind::RevokeSessions);
    assert!(in_flight(&w, Kind::ResetPassword));
    let revoked = w.task(Kind::RevokeSessions).attempt;
    w.drain();
    assert!(w.task(Kind::RevokeSessions).attempt > revoked);
}

#[test]
fn a_departure_in_the_future_reads_now_and_writes_then() {
    let later = T0.plus(3 * DAY_MS);
    let mut w = World::with(
        Departure {
            effective_at: later,
            ..departure(Manner::Planned)
        },
        Policy::default(),
    );
    w.drain();
    w.approve();
    w.drain();
    assert_eq!(w.task(Kind::DisableSignIn).attempt, 0);
    let n = next(w.case(), w.now, &w.gates);
    assert_eq!(n.timer.map(|t| t.at), Some(later));
    w.pass(3 * DAY_MS);
    w.answer(Kind::SnapshotAccess);
    assert!(w.in_flight().contains(&w.id(Kind::RemoveDirectoryRoles)));
}

#[test]
fn sessions_are_revoked_once_more_an_hour_later() {
    let mut w = World::opened(Manner::Immediate);
    w.drain();
    assert_eq!(w.task(Kind::RevokeSessionsAgain).attempt, 0);
    w.pass(59 * MINUTE_MS);
    assert_eq!(w.task(Kind::RevokeSessionsAgain).attempt, 0);
    w.pass(MINUTE_MS);
    assert_eq!(w.task(Kind::RevokeSessionsAgain).attempt, 1);
}

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

#[test]
fn whoever_asked_does_not_give_the_files_up_either() {
    let mut asked = departure(Manner::Planned);
    asked.choices.onedrive = Some(OneDriveChoice::Ask);
    let mut w = World::with(asked, Policy::default());
    w.drain();
    w.approve();
    w.drain();
    let task = w.id(Kind::DecideOneDrive);
    let attest = |by: &str| Command::Attest {
        task,
        by: by.into(),
        file: None,
        ending: None,
        note: "nothing in it is needed".into(),
    };
    let refused = w.order(attest("HR@acme.example"));
    assert!(matches!(refused, Err(Refusal::SamePerson(_))), "{refused:?}");
    assert!(!w.task(Kind::DecideOneDrive).is_settled());
    w.order(attest("lead@acme.example")).unwrap();
    assert!(w.task(Kind::DecideOneDrive).is_settled());
}

#[test]
fn whoever_asked_or_leaves_does_not_approve() {
    let mut w = World::opened(Manner::Planned);
    w.drain();
    let of = ApprovalOf::Plan(w.case().plan_digest());
    for by in ["hr@acme.example", "HR@ACME.example ", "leaver@acme.example"] {
        let refused = w.order(Command::Approve { by: by.into(), of });
        assert!(
            matches!(refused, Err(Refusal::SamePerson(_) | Refusal::IsTheLeaver(_))),
            "{by}: {refused:?}"
        );
    }
    let wrong = ApprovalOf::Plan(Digest::of(b"another plan"));
    assert!(matches!(
        w.order(Command::Approve {
            by: "boss".into(),
            of: wrong
        }),
        Err(Refusal::Changed { .. })
    ));
    w.order(Command::Approve { by: "boss".into(), of }).unwrap();
    assert_eq!(
        w.order(Command::Approve { by: "boss".into(), of }),
        Err(Refusal::AlreadyApproved)
    );
}

#[test]
fn an_irreversible_task_needs_its_own_approval_and_its_delay() {
    let mut w = World::opened(Manner::Planned);
    w.finds = company_laptop();
    w.drain();
    w.approve();
    w.drain();
    w.attest(Kind::ConfirmDeviceReturned).unwrap();
    w.drain();
    let wipe = w.id(Kind::WipeDevice);
    assert_eq!(w.task(Kind::WipeDevice).attempt, 0);
    let digest = w.to_approve(Kind::WipeDevice);
    let by = || "boss@msp.example".to_owned();
    let wrong = ApprovalOf::Task(wipe, Digest::of(b"x"));
    assert!(matches!(
        w.order(Command::Approve { by: by(), of: wrong }),
        Err(Refusal::Changed { .. })
    ));
    w.order(Command::Approve {
        by: by(),
        of: ApprovalOf::Task(wipe, digest),
    })
    .unwrap();
    w.pass(59 * MINUTE_MS);
    assert_eq!(w.task(Kind::WipeDevice).attempt, 0, "it can still be stopped");
    w.pass(2 * MINUTE_MS);
    assert_eq!(w.task(Kind::WipeDevice).attempt, 1);
}

#[test]
fn a_device_is_returned_with_a_file() {
    let mut w = World::opened(Manner::Planned);
    w.finds = company_laptop();
    w.drain();
    let task = w.id(Kind::ConfirmDeviceReturned);
    let bare = Command::Attest {
        task,
        by: "manager".into(),
        file: None,
        ending: None,
        note: String::new(),
    };
    assert!(matches!(w.order(bare), Err(Refusal::NeedsFile(_))));
    assert!(matches!(w.attest(Kind::Validate), Err(Refusal::TooEarly { .. })));
    let of_a_machine = w.attest(Kind::DisableSignIn);
    assert!(matches!(of_a_machine, Err(Refusal::NotAttestable(_))));
}

/// Brings a case to a wipe in flight.
fn wiping() -> World {
    let mut w = about_to_wipe();
    w.pass(2 * HOUR_MS);
    assert_eq!(w.task(Kind::WipeDevice).in_flight().map(|a| a.mode), Some(Mode::Full));
    w
}

/// Brings a case to an approved wipe that can still be stopped.
fn about_to_wipe() -> World {
    let mut w = World::opened(Manner::Planned);
    w.finds = company_laptop();
    w.drain();
    w.approve();
    w.drain();
    w.attest(Kind::ConfirmDeviceReturned).unwrap();
    let id = w.id(Kind::WipeDevice);
    let digest = w.to_approve(Kind::WipeDevice);
    w.order(Command::Approve {
        by: "boss@msp.example".into(),
        of: ApprovalOf::Task(id, digest),
    })
    .unwrap();
    w.drain();
    w
}

#[test]
fn a_once_act_without_answer_is_only_read_until_that_is_conclusive() {
    let mut w = wiping();
    let id = w.id(Kind::WipeDevice);
    let over = w.task(Kind::WipeDevice).in_flight().unwrap().over_at();
    let report = w.report(id, fault(FaultClass::Unknown));
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    assert!(
        matches!(&w.task(Kind::WipeDevice).state, TaskState::Resting { until, .. } if *until >= over),
        "not before its validity is over"
    );
    w.now = over.plus(HOUR_MS);
    w.order(Command::Tick).unwrap();
    assert_eq!(
        w.task(Kind::WipeDevice).in_flight().map(|a| a.mode),
        Some(Mode::ObserveOnly)
    );
    // Inconclusive: a person.
    let unclear = Facts::new()
        .with("wiped", false)
        .with("owner_type", "company")
        .with("conclusive", false);
    let mut other = World {
        case: w.case.clone(),
        now: w.now,
        ..World::new()
    };
    let report = other.report(
        id,
        Said::Observed {
            observation: seen(unclear.clone()),
        },
    );
    other.order(Command::RecordReport(Box::new(report))).unwrap();
    assert!(matches!(
        other.task(Kind::WipeDevice).state,
        TaskState::Failed {
            rule: Rule::InconclusiveOnce,
            ..
        }
    ));
    // Conclusive: it did not happen, so it may be tried.
    let clear = Facts::new()
        .with("wiped", false)
        .with("owner_type", "company")
        .with("conclusive", true);
    let report = w.report(
        id,
        Said::Observed {
            observation: seen(clear),
        },
    );
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    assert_eq!(w.task(Kind::WipeDevice).in_flight().map(|a| a.mode), Some(Mode::Full));
}

#[test]
fn an_unanswered_once_act_is_read_after_its_validity_and_never_repeated_before() {
    let mut w = wiping();
    let over = w.task(Kind::WipeDevice).in_flight().unwrap().over_at();
    w.now = over.plus(-1);
    w.order(Command::Tick).unwrap();
    assert!(w.task(Kind::WipeDevice).in_flight().is_some());
    w.now = over;
    w.order(Command::Tick).unwrap();
    assert_eq!(
        w.task(Kind::WipeDevice).in_flight().map(|a| (a.number, a.mode)),
        Some((2, Mode::ObserveOnly))
    );
}

#[test]
fn a_wipe_that_waits_for_the_device_is_never_ordered_again() {
    let mut w = wiping();
    let id = w.id(Kind::WipeDevice);
    for _ in 0..5 {
        let until = w.now.plus(10 * MINUTE_MS);
        let report = w.report(
            id,
            Said::Wait {
                until,
                why: "the device has not checked in".into(),
                checkpoint: None,
            },
        );
        w.order(Command::RecordReport(Box::new(report))).unwrap();
        w.pass(10 * MINUTE_MS);
        assert_eq!(
            w.task(Kind::WipeDevice).in_flight().map(|a| a.mode),
            Some(Mode::ObserveOnly)
        );
    }
}

#[test]
fn a_vendor_that_never_comes_round_ends_at_a_person() {
    let mut w = wiping();
    let id = w.id(Kind::WipeDevice);
    for _ in 0..100 {
        let until = w.now.plus(2 * HOUR_MS);
        let report = w.report(
            id,
            Said::Wait {
                until,
                why: "offline".into(),
                checkpoint: None,
            },
        );
        w.order(Command::RecordReport(Box::new(report))).unwrap();
        if matches!(w.task(Kind::WipeDevice).state, TaskState::Failed { .. }) {
            assert!(matches!(
                w.task(Kind::WipeDevice).state,
                TaskState::Failed {
                    rule: Rule::StillWaiting,
                    ..
                }
            ));
            assert!(w.now.since(T0) < 4 * DAY_MS);
            return;
        }
        w.pass(2 * HOUR_MS);
    }
    panic!("nobody was asked");
}

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

/// A wipe was ordered, and the copy of its order that came again was answered.
fn wipe_that_somebody_may_be_at() -> (World, Timestamp) {
    let mut w = wiping();
    let id = w.id(Kind::WipeDevice);
    let over_at = w.task(Kind::WipeDevice).in_flight().unwrap().over_at();
    let again = w.report(id, fault(FaultClass::Unknown));
    w.order(Command::RecordReport(Box::new(again))).unwrap();
    (w, over_at)
}

#[test]
fn a_persons_retry_of_a_once_act_waits_until_nobody_can_be_at_it() {
    let (mut w, over_at) = wipe_that_somebody_may_be_at();
    let id = w.id(Kind::WipeDevice);
    w.order(Command::Retry {
        task: Some(id),
        by: "tech".into(),
    })
    .unwrap();
    w.order(Command::Tick).unwrap();
    assert_eq!(w.task(Kind::WipeDevice).in_flight(), None);
    let wake = next(w.case(), w.now, &w.gates).wake.unwrap();
    assert_eq!(wake.at, over_at);
    w.now = over_at;
    w.order(Command::Tick).unwrap();
    let reading = w.task(Kind::WipeDevice).in_flight().unwrap();
    assert_eq!(reading.mode, Mode::ObserveOnly);
}

#[test]
fn the_last_unanswered_order_of_a_once_act_is_read_before_a_person_has_it_tried_again() {
    let mut w = wiping();
    let id = w.id(Kind::WipeDevice);
    for _ in 1..Kind::WipeDevice.spec().attempts {
        let failed = w.report(id, fault(FaultClass::Transient));
        w.order(Command::RecordReport(Box::new(failed))).unwrap();
        while w.task(Kind::WipeDevice).in_flight().is_none() {
            w.pass(HOUR_MS);
        }
    }
    let last = *w.task(Kind::WipeDevice).in_flight().unwrap();
    assert_eq!(last.mode, Mode::Full);
    w.now = last.over_at();
    w.order(Command::Tick).unwrap();
    assert!(matches!(w.task(Kind::WipeDevice).state, TaskState::Failed { .. }));
    w.order(Command::Retry {
        task: Some(id),
        by: "tech".into(),
    })
    .unwrap();
    w.order(Command::Tick).unwrap();
    assert_eq!(w.task(Kind::WipeDevice).in_flight().unwrap().mode, Mode::ObserveOnly);
}

#[test]
fn a_late_report_of_a_once_act_makes_the_next_try_read_first() {
    let mut w = wiping();
    let id = w.id(Kind::WipeDevice);
    let late = w.report(id, fault(FaultClass::Transient));
    let report = w.report(
        id,
        Said::NotBegun {
            why: "the worker stopped".into(),
        },
    );
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    w.order(Command::RecordReport(Box::new(late))).unwrap();
    w.pass(MINUTE_MS);
    assert_eq!(
        w.task(Kind::WipeDevice).in_flight().map(|a| a.mode),
        Some(Mode::ObserveOnly)
    );
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
fn throttling_costs_no_attempt_and_holds_the_system_back() {
    let mut w = World::opened(Manner::Immediate);
    w.answer(Kind::Resolve);
    let id = w.id(Kind::SnapshotAccess);
    let said = fault(FaultClass::Throttled {
        retry_after_ms: Some(7_000),
    });
    let report = w.report(id, said);
    let d = decide(
        w.case.as_ref(),
        Command::RecordReport(Box::new(report)),
        w.now,
        &w.gates,
    )
    .unwrap();
    assert_eq!(d.holds, vec![(m365(), w.now.plus(7_000))]);
    let task = &d.case.tasks[&id];
    assert_eq!((task.spent, task.faults), (0, 1));
    let shut = [("hold/m365".to_owned(), w.now.plus(7_000))].into();
    let held = Gates { shut, ..Gates::open() };
    assert!(
        next(&d.case, w.now, &held).effects.is_empty(),
        "nothing of that system starts meanwhile"
    );
}

#[test]
fn a_throttle_without_a_word_rests_its_task_and_shuts_nobody_else_out_for_long() {
    let mut w = World::opened(Manner::Immediate);
    w.answer(Kind::Resolve);
    let id = w.id(Kind::SnapshotAccess);
    let mut rested = 0;
    for _ in 0..12 {
        let report = w.report(id, fault(FaultClass::Throttled { retry_after_ms: None }));
        let command = Command::RecordReport(Box::new(report));
        let d = decide(w.case.as_ref(), command.clone(), w.now, &w.gates).unwrap();
        assert_eq!(d.holds, vec![(m365(), w.now.plus(30_000))]);
        w.order(command).unwrap();
        let TaskState::Resting { until, .. } = w.task(Kind::SnapshotAccess).state else {
            panic!("{:?}", w.task(Kind::SnapshotAccess).state)
        };
        rested = until.since(w.now);
        w.now = until;
        w.order(Command::Tick).unwrap();
    }
    assert!(rested > 10 * MINUTE_MS, "{rested}: the task itself backs off");
}

/// Long work meets more faults and waits longer, in all, than any task may that
/// stands still.
#[test]
fn what_comes_further_has_its_tries_and_its_time_anew() {
    let mut w = World::opened(Manner::Immediate);
    w.answer(Kind::Resolve);
    let id = w.id(Kind::SnapshotAccess);
    let wait = |until| Said::Wait {
        until,
        why: "the vendor wants to be left alone".into(),
        checkpoint: None,
    };
    let (faults, days) = (Kind::SnapshotAccess.spec().attempts - 1, 2);
    for slice in 0..4 {
        for _ in 0..faults {
            let report = w.report(id, fault(FaultClass::Transient));
            w.order(Command::RecordReport(Box::new(report))).unwrap();
            w.pass(HOUR_MS);
        }
        for _ in 0..24 * days {
            let report = w.report(id, wait(w.now.plus(HOUR_MS)));
            w.order(Command::RecordReport(Box::new(report))).unwrap();
            w.pass(HOUR_MS);
        }
        let said = Said::Progress {
            checkpoint: Facts::new().with("slices", slice),
        };
        let report = w.report(id, said);
        w.order(Command::RecordReport(Box::new(report))).unwrap();
        w.pass(MINUTE_MS);
        let task = w.task(Kind::SnapshotAccess);
        assert!(task.in_flight().is_some(), "slice {slice}: {:?}", task.state);
        assert_eq!(task.faults, faults * (u32::try_from(slice).unwrap() + 1));
    }
    // Standing still, it ends at a person as ever.
    for _ in 0..=faults {
        assert!(w.task(Kind::SnapshotAccess).in_flight().is_some());
        let report = w.report(id, fault(FaultClass::Transient));
        w.order(Command::RecordReport(Box::new(report))).unwrap();
        w.pass(HOUR_MS);
    }
    let state = &w.task(Kind::SnapshotAccess).state;
    assert!(
        matches!(
            state,
            TaskState::Failed {
                rule: Rule::OutOfAttempts,
                ..
            }
        ),
        "{state:?}"
    );
}

#[test]
fn attempts_run_out_at_a_person_who_may_retry() {
    let mut w = World::opened(Manner::Immediate);
    w.answer(Kind::Resolve);
    let id = w.id(Kind::SnapshotAccess);
    for _ in 0..200 {
        if w.task(Kind::SnapshotAccess).in_flight().is_none() {
            break;
        }
        let report = w.report(id, fault(FaultClass::Transient));
        w.order(Command::RecordReport(Box::new(report))).unwrap();
        w.pass(HOUR_MS);
    }
    assert!(matches!(
        w.task(Kind::SnapshotAccess).state,
        TaskState::Failed {
            rule: Rule::OutOfAttempts,
            ..
        }
    ));
    assert_eq!(
        w.task(Kind::SnapshotAccess).attempt,
        Kind::SnapshotAccess.spec().attempts,
        "not one more, not one less"
    );
    w.order(Command::Retry {
        task: None,
        by: "tech".into(),
    })
    .unwrap();
    assert!(w.task(Kind::SnapshotAccess).in_flight().is_some());
}

#[test]
fn cancelling_assigns_nothing_new_and_waits_for_what_is_in_flight() {
    let mut w = World::opened(Manner::Immediate);
    w.answer(Kind::Resolve);
    w.answer(Kind::SnapshotAccess);
    let before: BTreeSet<TaskId> = w.in_flight().into_iter().collect();
    assert!(before.contains(&w.id(Kind::RemoveDirectoryRoles)));
    w.order(Command::Cancel {
        by: "hr@acme.example".into(),
        reason: "he stays".into(),
    })
    .unwrap();
    assert_eq!(w.case().state, CaseState::Cancelling);
    while let Some(id) = w.in_flight().first().copied() {
        let report = w.truthful(id);
        w.order(Command::RecordReport(Box::new(report))).unwrap();
        assert!(
            w.in_flight().iter().all(|t| before.contains(t)),
            "assigned after cancel"
        );
    }
    assert_eq!(w.case().state, CaseState::Cancelled);
    assert!(
        w.task(Kind::RemoveDirectoryRoles).is_settled(),
        "what happened in that window is recorded"
    );
}

#[test]
fn a_cancelled_case_ends_also_when_nobody_answers() {
    let mut w = World::opened(Manner::Immediate);
    w.order(Command::Cancel {
        by: "x".into(),
        reason: "y".into(),
    })
    .unwrap();
    assert_eq!(w.case().state, CaseState::Cancelling);
    w.pass(HOUR_MS);
    assert_eq!(w.case().state, CaseState::Cancelled);
}

#[test]
fn what_is_found_after_the_approval_asks_again() {
    let mut w = World::opened(Manner::Planned);
    w.drain();
    w.approve();
    // Discovery is done again by hand and finds a laptop now.
    let id = w.id(Kind::DiscoverDevices);
    let mut case = w.case().clone();
    case.fold(
        w.now,
        &Event::TaskReopened {
            task: id,
            why: "test".into(),
        },
    );
    w.case = Some(case);
    w.finds = company_laptop();
    w.order(Command::Tick).unwrap();
    w.answer(Kind::DiscoverDevices);
    assert_eq!(
        standing(w.case(), w.task(Kind::ApprovePlan), w.now, &w.gates),
        Standing::WaitsForPerson
    );
    assert!(!w.task(Kind::WipeDevice).in_approved_plan);
    assert!(
        w.task(Kind::DisableSignIn).in_approved_plan,
        "what was approved stays approved"
    );
}

#[test]
fn a_find_that_comes_too_late_is_for_a_person() {
    let mut w = World::opened(Manner::Immediate);
    w.run_to_sealing();
    let id = w.id(Kind::DiscoverDevices);
    let mut case = w.case().clone();
    case.fold(
        w.now,
        &Event::TaskReopened {
            task: id,
            why: "test".into(),
        },
    );
    w.case = Some(case);
    w.order(Command::Tick).unwrap();
    w.finds = vec![Find {
        kind: Kind::RetireDevice,
        object: ObjectId::from("d-9"),
        params: Facts::new(),
    }];
    w.answer(Kind::DiscoverDevices);
    assert!(
        matches!(
            w.task(Kind::RetireDevice).state,
            TaskState::Failed {
                rule: Rule::LateFind,
                ..
            }
        ),
        "the mailbox is converted already"
    );
}

#[test]
fn a_finder_finds_only_what_it_may() {
    let mut w = World::opened(Manner::Immediate);
    w.finds = vec![Find {
        kind: Kind::RemoveAuthMethods,
        object: ObjectId::from("u-7"),
        params: Facts::new(),
    }];
    w.answer(Kind::Resolve);
    w.answer(Kind::DiscoverDevices);
    assert!(matches!(
        w.task(Kind::DiscoverDevices).state,
        TaskState::Failed {
            rule: Rule::ClaimWithoutProof,
            ..
        }
    ));
}

#[test]
fn protected_accounts_are_refused_before_anything_is_written() {
    let protected = |f: &dyn Fn(&mut Policy)| {
        let mut policy = Policy::default();
        f(&mut policy);
        let mut w = World::with(departure(Manner::Immediate), policy);
        w.answer(Kind::Resolve);
        assert!(matches!(w.case().state, CaseState::Refused { .. }));
        assert!(w.case().tasks.values().all(|t| !t.kind().spec().writes));
    };
    protected(&|p| {
        p.protected.insert("leaver@acme.example".into());
    });
    protected(&|p| {
        p.protected.insert("u-1".into());
    });
}

#[test]
fn an_account_is_protected_by_any_address_that_only_the_directory_knows() {
    let policy = Policy {
        protected: ["info@acme.example".to_owned()].into(),
        ..Policy::default()
    };
    let mut w = World::with(departure(Manner::Immediate), policy);
    let told = w.case().assignment(w.id(Kind::Resolve)).unwrap().params;
    assert_eq!(told.list(PROTECTED), Some(&["info@acme.example".to_owned()][..]));
    // So is each directory that a cloud copies: it may know him by another one.
    let mut on_the_premises = World::with(departure(Manner::Immediate), Policy::clone(&w.case().policy));
    on_the_premises.answer(Kind::Resolve);
    let task = on_the_premises.id(Kind::ResolveOnPremises);
    let told = on_the_premises.case().assignment(task).unwrap().params;
    assert_eq!(told.list(PROTECTED), Some(&["info@acme.example".to_owned()][..]));
    let listed = seen(good(Kind::Resolve).with("protected", true));
    let said = Said::Satisfied {
        before: listed.clone(),
        after: listed,
    };
    let report = w.report(w.id(Kind::Resolve), said);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    assert!(matches!(w.case().state, CaseState::Refused { .. }));
}

#[test]
fn a_second_request_for_the_same_person_merges() {
    let mut w = World::opened(Manner::Immediate);
    let other = CaseId([7; 10]);
    w.gates.claimed_by = Some(other);
    w.answer(Kind::Resolve);
    assert_eq!(w.case().state, CaseState::Merged { into: other });
}

#[test]
fn the_same_request_is_one_case_and_a_changed_one_amends_it() {
    let mut w = World::opened(Manner::Planned);
    let open = |d: Departure| Command::Open {
        departure: Arc::new(d),
        policy: Arc::new(Policy::default()),
        capabilities: Arc::new(everything()),
        traceparent: None,
    };
    let again = Departure {
        requested_at: T0.plus(5),
        ..departure(Manner::Planned)
    };
    assert_eq!(w.order(open(again)), Err(Refusal::AlreadyOpen));
    // The first is being looked for: he would be found, and offboarded under the other's name.
    let exchanged = Departure {
        person: PersonRef {
            mail: Some("x@y".into()),
            ..PersonRef::default()
        },
        ..departure(Manner::Planned)
    };
    assert_eq!(w.order(open(exchanged)), Err(Refusal::TooLateToAmend("the person")));
    w.drain();
    let sooner = Departure {
        manner: Manner::Immediate,
        requested_by: "evil@acme.example".into(),
        ..departure(Manner::Planned)
    };
    w.order(open(sooner)).unwrap();
    assert_eq!(w.case().departure.manner, Manner::Immediate);
    assert_eq!(
        w.case().departure.requested_by,
        "hr@acme.example",
        "an amendment frees nobody to approve"
    );
    let other = Departure {
        person: PersonRef {
            mail: Some("x@y".into()),
            ..PersonRef::default()
        },
        ..departure(Manner::Planned)
    };
    assert!(matches!(w.order(open(other)), Err(Refusal::TooLateToAmend(_))));
}

#[test]
fn who_was_not_found_can_be_named_more_exactly_and_is_looked_for_again() {
    let mut w = World::opened(Manner::Planned);
    let two = seen(good(Kind::Resolve).with("ambiguous", true));
    let said = Said::Satisfied {
        before: two.clone(),
        after: two,
    };
    let report = w.report(w.id(Kind::Resolve), said);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    assert!(matches!(w.task(Kind::Resolve).state, TaskState::Failed { .. }));
    let open = |person: PersonRef| Command::Open {
        departure: Arc::new(Departure {
            person,
            ..departure(Manner::Planned)
        }),
        policy: Arc::new(Policy::default()),
        capabilities: Arc::new(everything()),
        traceparent: None,
    };
    let other = PersonRef {
        user_principal_name: Some("another@acme.example".into()),
        ..PersonRef::default()
    };
    assert_eq!(w.order(open(other)), Err(Refusal::TooLateToAmend("the person")));
    let exactly = PersonRef {
        object_id: Some(ObjectId::from("u-1")),
        ..departure(Manner::Planned).person
    };
    w.order(open(exactly.clone())).unwrap();
    assert!(w.task(Kind::Resolve).in_flight().is_some());
    // While he is looked for, he is not exchanged.
    assert_eq!(
        w.order(open(departure(Manner::Planned).person)),
        Err(Refusal::TooLateToAmend("the person"))
    );
    w.drain();
    assert_eq!(w.case().departure.person, exactly);
    assert_eq!(w.case().state, CaseState::Active);
}

#[test]
fn an_account_that_is_a_copy_of_what_nobody_connected_is_disabled_there_by_hand() {
    let mut w = World::opened(Manner::Immediate);
    let copy = seen(good(Kind::Resolve).with("synced", true));
    let said = Said::Satisfied {
        before: copy.clone(),
        after: copy,
    };
    let mut capabilities = everything();
    for kinds in capabilities.0.values_mut() {
        kinds.retain(|k| *k != Kind::ResolveOnPremises);
    }
    let mut w2 = World::new();
    w2.order(Command::Open {
        departure: Arc::new(departure(Manner::Immediate)),
        policy: Arc::new(Policy::default()),
        capabilities: Arc::new(capabilities),
        traceparent: None,
    })
    .unwrap();
    let report = w2.report(w2.id(Kind::Resolve), said);
    w2.order(Command::RecordReport(Box::new(report))).unwrap();
    w2.drain();
    let kind = Kind::ConfirmDisabledOnPremises;
    assert_eq!(
        standing(w2.case(), w2.task(kind), w2.now, &w2.gates),
        Standing::WaitsForPerson
    );
    // Nobody is asked about an account that is nobody's copy.
    w.drain();
    assert!(!w.case().has(kind));
}

#[test]
fn what_was_refused_or_called_off_says_so_when_it_is_handed_in_again() {
    let again = |w: &mut World| {
        let open = Command::Open {
            departure: Arc::new(departure(Manner::Planned)),
            policy: Arc::new(Policy::default()),
            capabilities: Arc::new(everything()),
            traceparent: None,
        };
        w.order(open)
    };
    let protected = Policy {
        protected: ["u-1".to_owned()].into(),
        ..Policy::default()
    };
    let mut w = World::with(departure(Manner::Planned), protected);
    w.drain();
    assert!(matches!(again(&mut w), Err(Refusal::WasRefused(why)) if why.contains("protected")));
    let mut w = World::opened(Manner::Planned);
    w.order(Command::Cancel {
        by: "boss@msp.example".into(),
        reason: "he stays".into(),
    })
    .unwrap();
    assert_eq!(again(&mut w), Err(Refusal::WasCalledOff));
    w.drain();
    assert_eq!(again(&mut w), Err(Refusal::WasCalledOff));
    // Who had no reference would not know what a new one is.
    for refusal in [Refusal::WasRefused("protected".into()), Refusal::WasCalledOff] {
        assert!(refusal.to_string().contains("give it a `reference`"), "{refusal}");
    }
}

#[test]
fn a_case_beyond_the_cap_writes_nothing_without_a_person() {
    let mut w = World::new();
    w.gates.capped = true;
    w.order(Command::Open {
        departure: Arc::new(departure(Manner::Immediate)),
        policy: Arc::new(Policy::default()),
        capabilities: Arc::new(everything()),
        traceparent: None,
    })
    .unwrap();
    w.gates.capped = false;
    w.drain();
    assert!(
        w.case()
            .tasks
            .values()
            .filter(|t| t.kind().spec().writes)
            .all(|t| t.attempt == 0)
    );
    w.approve();
    assert!(w.in_flight().contains(&w.id(Kind::RemoveDirectoryRoles)));
}

#[test]
fn a_waiver_needs_reason_end_and_somebody_else_and_reopens_when_it_ends() {
    let mut w = World::opened(Manner::Immediate);
    w.drain();
    let task = w.id(Kind::HandOverOneDrive);
    let waive = |by: &str, reason: &str, until| Command::Waive {
        task,
        by: by.into(),
        reason: reason.into(),
        until,
    };
    let future = T0.plus(30 * DAY_MS);
    assert!(matches!(
        w.order(waive("hr@acme.example", "r", future)),
        Err(Refusal::SamePerson(_))
    ));
    assert_eq!(w.order(waive("boss", " ", future)), Err(Refusal::NeedsReason));
    assert!(matches!(
        w.order(waive("boss", "r", T0)),
        Err(Refusal::WaiverInThePast(_))
    ));
    w.order(waive("boss", "nothing in it", T0.plus(DAY_MS))).unwrap();
    assert!(w.task(Kind::HandOverOneDrive).is_settled());
    w.pass(DAY_MS);
    assert!(!w.task(Kind::HandOverOneDrive).is_settled());
    for ground in [
        Kind::Resolve,
        Kind::SnapshotAccess,
        Kind::SnapshotDirectory,
        Kind::SnapshotMailbox,
    ] {
        let by_force = Command::Waive {
            task: w.id(ground),
            by: "boss".into(),
            reason: "r".into(),
            until: future.plus(DAY_MS),
        };
        assert!(matches!(w.order(by_force), Err(Refusal::NotWaivable(_))), "{ground}");
    }
}

#[test]
fn nothing_changes_a_case_any_more_of_which_an_account_is_being_made() {
    let mut w = World::opened(Manner::Immediate);
    w.drain();
    let task = w.id(Kind::HandOverOneDrive);
    let until = T0.plus(DAY_MS);
    w.order(Command::Waive {
        task,
        by: "boss".into(),
        reason: "empty".into(),
        until,
    })
    .unwrap();
    w.run_to_sealing();
    let to = w.case().account_to();
    // The closer has written the account, and cannot say so for days.
    w.pass(2 * DAY_MS);
    let cancel = Command::Cancel {
        by: "boss".into(),
        reason: "he stays".into(),
    };
    assert_eq!(w.order(cancel), Err(Refusal::CaseEnded("sealing")));
    let later = Departure {
        effective_at: until,
        ..(*w.case().departure).clone()
    };
    let amend = Command::Open {
        departure: Arc::new(later),
        policy: w.case().policy.clone(),
        capabilities: w.case().capabilities.clone(),
        traceparent: None,
    };
    assert_eq!(w.order(amend), Err(Refusal::AlreadyOpen));
    assert_eq!(
        (w.case().state.clone(), w.case().account_to()),
        (CaseState::Sealing, to)
    );
    w.order(Command::RecordSealed {
        to,
        evidence: Digest::ZERO,
        key_id: "k".into(),
    })
    .unwrap();
    let wake = next(w.case(), w.now, &w.gates).wake.unwrap();
    assert_eq!(
        (wake.at, wake.why),
        (until, WakeReason::WaiverEnds),
        "a linked case takes it up at once"
    );
}

#[test]
fn a_closed_case_wants_to_be_looked_at_when_its_waiver_ends() {
    let mut w = World::opened(Manner::Immediate);
    w.drain();
    let task = w.id(Kind::HandOverOneDrive);
    let until = T0.plus(90 * DAY_MS);
    w.order(Command::Waive {
        task,
        by: "boss".into(),
        reason: "empty".into(),
        until,
    })
    .unwrap();
    w.run_to_sealing();
    let to = w.case().account_to();
    w.order(Command::RecordSealed {
        to,
        evidence: Digest::ZERO,
        key_id: "k".into(),
    })
    .unwrap();
    assert_eq!(next(w.case(), w.now, &w.gates).wake.map(|x| x.at), Some(until));
    w.now = until;
    w.order(Command::RecordFollowUp {
        task,
        case: CaseId([1; 10]),
    })
    .unwrap();
    assert_eq!(next(w.case(), w.now, &w.gates).wake, None);
}

#[test]
fn what_follows_a_waiver_is_the_same_person_whoever_has_the_address_now_and_asks_before_it_writes() {
    let mut w = World::opened(Manner::Immediate);
    w.drain();
    let task = w.id(Kind::HandOverOneDrive);
    let first = w.case().departure.clone();
    let next = follow_up(w.case(), task, T0.plus(DAY_MS)).unwrap();
    assert_eq!(next.person.object_id.as_ref(), w.case().subject.0.get(&m365()));
    assert_eq!((&next.person.user_principal_name, &next.person.mail), (&None, &None));
    assert_eq!(next.successor.unwrap().object_id, Some(ObjectId::from("u-2")));
    assert_eq!(next.manner, Manner::Planned);
    assert_ne!(next.reference, first.reference);
    let unresolved = World::opened(Manner::Immediate);
    assert!(follow_up(unresolved.case(), task, T0).is_none());
}

/// Each machine's kind in turn is paused for good, under policies that leave
/// out what validation waits for it through.
#[test]
fn the_manager_validates_last_whatever_is_skipped() {
    let skippable = Kind::ALL.iter().filter(|k| k.spec().skippable && **k != Kind::Validate);
    for skipped in skippable {
        let skip: BTreeSet<Kind> = [*skipped, Kind::ConfirmHandover].into();
        for late in Kind::ALL.iter().filter(|k| k.spec().writes) {
            let mut asked = departure(Manner::Planned);
            asked.choices.legal_hold = Some(true);
            asked.choices.meetings = None;
            let policy = Policy {
                skip: skip.clone(),
                ..Policy::default()
            };
            let mut w = World::with(asked, policy);
            w.gates.shut = [(format!("pause/*/{late}"), T0.plus(DAY_MS))].into();
            w.run_until(|w| w.now > T0.plus(3 * HOUR_MS));
            if w.case().open_of(*late) > 0 {
                let last = standing(w.case(), w.task(Kind::Validate), w.now, &w.gates);
                assert!(
                    matches!(last, Standing::WaitsFor(_)),
                    "{late} waits, {skip:?} is skipped: {last:?}"
                );
            }
        }
    }
}

#[test]
fn mail_that_is_to_go_to_a_successor_who_is_not_there_waits_for_a_person() {
    let mut asked = departure(Manner::Planned);
    asked.choices.forwarding = Some(Forwarding::Successor);
    let mut w = World::with(asked, Policy::default());
    w.no_successor = Some("the directory names no manager");
    w.drain();
    w.approve();
    w.drain();
    let TaskState::Failed { rule, detail, .. } = &w.task(Kind::SetForwarding).state else {
        panic!("{:?}", w.task(Kind::SetForwarding).state)
    };
    assert_eq!(*rule, Rule::BlockedByPolicy);
    assert!(
        detail.contains("there is none") && detail.contains("the directory names no manager"),
        "{detail}"
    );
}

#[test]
fn the_leaver_attests_nothing_and_calls_nothing_off() {
    let mut w = World::opened(Manner::Planned);
    w.finds = company_laptop();
    w.drain();
    w.approve();
    w.drain();
    let task = w.id(Kind::ConfirmDeviceReturned);
    let by = || "leaver@acme.example".to_owned();
    let attest = Command::Attest {
        task,
        by: by(),
        file: Some(Digest::of(b"file")),
        ending: None,
        note: String::new(),
    };
    assert_eq!(w.order(attest), Err(Refusal::IsTheLeaver(by())));
    let cancel = Command::Cancel {
        by: by(),
        reason: "I stay".into(),
    };
    assert_eq!(w.order(cancel), Err(Refusal::IsTheLeaver(by())));
}

/// Answers the closing round, reading `enabled = yes` for the sign-in.
fn closing_with_difference(w: &mut World) {
    for _ in 0..200 {
        w.drain_but_closing();
        let rounds: Vec<TaskId> = w.in_flight();
        let Some(id) = rounds.first().copied() else {
            w.pass(10 * MINUTE_MS);
            continue;
        };
        let mut report = w.truthful(id);
        let disable = w.id(Kind::DisableSignIn);
        let mut differed = false;
        if let Said::Checked { results } = &mut report.said {
            for r in results.iter_mut().filter(|r| r.task == disable) {
                r.observation.facts.set("enabled", true);
                differed = true;
            }
        }
        w.order(Command::RecordReport(Box::new(report))).unwrap();
        if differed {
            return;
        }
    }
    panic!("no closing round came");
}

trait DrainButClosing {
    fn drain_but_closing(&mut self);
}

impl DrainButClosing for World {
    fn drain_but_closing(&mut self) {
        for _ in 0..500 {
            let case = self.case().clone();
            let open = self
                .in_flight()
                .into_iter()
                .find(|id| !case.tasks[id].kind().is_closing_round());
            if let Some(id) = open {
                let report = self.truthful(id);
                self.order(Command::RecordReport(Box::new(report))).unwrap();
                continue;
            }
            let waiting = case
                .tasks
                .values()
                .find(|t| standing(&case, t, self.now, &self.gates) == Standing::WaitsForPerson);
            match waiting.map(|t| t.kind()) {
                Some(Kind::ApprovePlan) => self.approve(),
                Some(kind) => {
                    self.attest(kind).unwrap();
                }
                None => return,
            }
        }
    }
}

#[test]
fn a_difference_in_the_closing_round_reopens_it_and_what_must_follow() {
    let mut w = World::opened(Manner::Immediate);
    closing_with_difference(&mut w);
    assert!(!w.task(Kind::DisableSignIn).is_settled());
    assert!(!w.task(Kind::RevokeSessions).is_settled(), "sessions are cut again");
    assert_ne!(w.case().state, CaseState::Sealing);
    w.run_to_sealing();
    assert_eq!(w.case().round, 2);
}

fn revocations(w: &World) -> (u32, u32) {
    let of = |kind| w.task(kind).attempt;
    (of(Kind::RevokeSessions), of(Kind::RevokeSessionsAgain))
}

/// What must follow a difference is done again with it, in the midst of the round, and was found
/// undone by nobody.
#[test]
fn only_what_a_round_finds_undone_counts_as_flapping() {
    let mut w = World::opened(Manner::Immediate);
    for round in 1..3 {
        closing_with_difference(&mut w);
        assert!(w.task(Kind::RevokeSessions).reopened_at.is_some());
        let counted = |kind| w.task(kind).reopened;
        assert_eq!(counted(Kind::DisableSignIn), round);
        assert_eq!(counted(Kind::RevokeSessions), 0);
        assert_eq!(counted(Kind::RevokeSessionsAgain), 0);
    }
}

/// A person has what a machine could not do done after all, in the midst of a closing round.
fn done_after_all(w: &mut World, kind: Kind) {
    assert_eq!(w.case().state, CaseState::Closing);
    assert!(matches!(w.task(kind).state, TaskState::Failed { .. }));
    w.pass(MINUTE_MS);
    let task = Some(w.id(kind));
    let by = "boss@msp.example".into();
    w.order(Command::Retry { task, by }).unwrap();
    w.drain_but_closing();
    assert!(w.task(kind).is_settled());
}

/// Whoever keeps enabling him lets him in, until a person has stopped that.
#[test]
fn sessions_are_revoked_while_a_sign_in_keeps_flapping_and_again_when_a_person_has_stopped_that() {
    let mut w = World::opened(Manner::Immediate);
    for _ in 0..3 {
        closing_with_difference(&mut w);
    }
    let flaps = matches!(
        w.task(Kind::DisableSignIn).state,
        TaskState::Failed {
            rule: Rule::KeepsFlapping,
            ..
        }
    );
    assert!(flaps, "{:?}", w.task(Kind::DisableSignIn).state);
    w.drain_but_closing();
    assert!(w.task(Kind::RevokeSessions).is_settled(), "they wait for no person");
    let meanwhile = revocations(&w);
    done_after_all(&mut w, Kind::DisableSignIn);
    assert!(revocations(&w).0 > meanwhile.0, "he may have signed in meanwhile");
    w.run_to_sealing();
    assert!(revocations(&w).1 > meanwhile.1);
}

#[test]
fn sessions_are_revoked_again_when_a_sign_in_that_differed_is_disabled_only_for_a_person() {
    let mut w = World::opened(Manner::Immediate);
    closing_with_difference(&mut w);
    let refused = w.report(w.id(Kind::DisableSignIn), fault(FaultClass::Denied));
    w.order(Command::RecordReport(Box::new(refused))).unwrap();
    w.drain_but_closing();
    assert!(w.task(Kind::RevokeSessions).is_settled(), "it went ahead");
    let ahead = revocations(&w);
    done_after_all(&mut w, Kind::DisableSignIn);
    assert!(revocations(&w).0 > ahead.0);
    w.run_to_sealing();
    assert!(revocations(&w).1 > ahead.1);
}

/// A person has the sign-in disabled after all while the second revocation is with a worker.
fn disabled_beside_the_second_revocation(w: &mut World) {
    assert!(w.task(Kind::RevokeSessions).is_settled(), "it went ahead");
    w.pass(HOUR_MS);
    assert!(w.task(Kind::RevokeSessionsAgain).in_flight().is_some());
    let task = Some(w.id(Kind::DisableSignIn));
    let by = "boss@msp.example".into();
    w.order(Command::Retry { task, by }).unwrap();
    for kind in [Kind::DisableSignIn, Kind::ResetPassword, Kind::RevokeSessions] {
        w.answer(kind);
    }
}

fn is_made_once_more_an_hour_later(w: &mut World) {
    let made = revocations(w).1;
    assert!(
        !w.task(Kind::RevokeSessionsAgain).is_settled(),
        "it may have come before"
    );
    w.pass(59 * MINUTE_MS);
    assert_eq!(revocations(w).1, made);
    w.pass(MINUTE_MS);
    assert_eq!(revocations(w).1, made + 1);
    w.answer(Kind::RevokeSessionsAgain);
    assert!(w.task(Kind::RevokeSessionsAgain).is_settled(), "once, and not for ever");
}

/// A sign-in that only a person can have disabled.
fn not_disabled() -> World {
    let mut w = World::opened(Manner::Immediate);
    for kind in [Kind::Resolve, Kind::SnapshotAccess, Kind::RemoveDirectoryRoles] {
        w.answer(kind);
    }
    let refused = w.report(w.id(Kind::DisableSignIn), fault(FaultClass::Denied));
    w.order(Command::RecordReport(Box::new(refused))).unwrap();
    w.drain();
    w
}

#[test]
fn a_second_revocation_that_is_under_way_while_the_sign_in_is_disabled_is_made_once_more() {
    let mut w = not_disabled();
    disabled_beside_the_second_revocation(&mut w);
    assert_eq!(w.case().state, CaseState::Active);
    w.answer(Kind::RevokeSessionsAgain);
    is_made_once_more_an_hour_later(&mut w);
    w.run_to_sealing();

    let mut w = World::opened(Manner::Immediate);
    closing_with_difference(&mut w);
    let refused = w.report(w.id(Kind::DisableSignIn), fault(FaultClass::Denied));
    w.order(Command::RecordReport(Box::new(refused))).unwrap();
    w.drain_but_closing();
    disabled_beside_the_second_revocation(&mut w);
    assert_eq!(w.case().state, CaseState::Closing);
    w.answer(Kind::RevokeSessionsAgain);
    is_made_once_more_an_hour_later(&mut w);
    w.run_to_sealing();
}

/// It has revoked and waits until that shows: what shows then was before the sign-in was cut.
#[test]
fn a_revocation_that_waits_to_show_while_the_sign_in_is_disabled_is_made_once_more() {
    let mut w = not_disabled();
    w.pass(HOUR_MS);
    let written = seen(Facts::new().with("sessions_valid_from_ms", 1));
    let waits = Said::Wait {
        until: w.now.plus(MINUTE_MS),
        why: "it does not show yet".into(),
        checkpoint: Some(baseline_facts(&written)),
    };
    let report = w.report(w.id(Kind::RevokeSessionsAgain), waits);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    let task = Some(w.id(Kind::DisableSignIn));
    let by = "boss@msp.example".into();
    w.order(Command::Retry { task, by }).unwrap();
    for kind in [Kind::DisableSignIn, Kind::ResetPassword, Kind::RevokeSessions] {
        w.answer(kind);
    }
    w.pass(HOUR_MS);
    let seen_then = w.task(Kind::RevokeSessionsAgain).attempt;
    w.answer(Kind::RevokeSessionsAgain);
    assert_eq!(w.task(Kind::RevokeSessionsAgain).attempt, seen_then + 1);
    w.answer(Kind::RevokeSessionsAgain);
    assert!(w.task(Kind::RevokeSessionsAgain).is_settled());
    w.run_to_sealing();
}

#[test]
fn what_was_done_long_before_a_closing_round_is_not_done_again_for_what_that_finds_undone() {
    let mut w = World::opened(Manner::Immediate);
    closing_with_difference(&mut w);
    let reset = w.task(Kind::ResetPassword).attempt;
    w.run_to_sealing();
    assert_eq!(w.task(Kind::ResetPassword).attempt, reset);
}

#[test]
fn what_cannot_be_undone_and_differs_at_the_end_is_not_done_again_on_the_old_approval() {
    let mut departure = departure(Manner::Immediate);
    departure.choices.meetings = Some(Meetings::Cancel);
    let mut w = World::with(departure, Policy::default());
    let reading = |w: &World| {
        let is_it = |id: &TaskId| w.case().tasks[id].kind() == Kind::ObserveMailbox;
        w.in_flight().into_iter().find(is_it)
    };
    for _ in 0..300 {
        w.drain_but(Kind::ObserveMailbox);
        if reading(&w).is_some() {
            break;
        }
        w.a_person_or_time(10 * MINUTE_MS);
    }
    let mut report = w.truthful(reading(&w).expect("the closing round reads the mailbox"));
    let cancel = w.id(Kind::CancelMeetings);
    let Said::Checked { results } = &mut report.said else {
        panic!("{report:?}");
    };
    // Whoever took the mailbox over has organised a meeting from it.
    let read = results.iter_mut().find(|r| r.task == cancel).unwrap();
    read.observation
        .facts
        .set("organised_meeting_ids", vec!["m-9".to_owned()]);
    let attempts = w.task(Kind::CancelMeetings).attempt;
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    w.drain();
    w.pass(HOUR_MS);
    w.drain();
    let task = w.task(Kind::CancelMeetings);
    assert!(
        matches!(
            task.state,
            TaskState::Failed {
                rule: Rule::IrreversibleDiffers,
                ..
            }
        ),
        "{:?}",
        task.state
    );
    assert_eq!(task.attempt, attempts, "nothing is ordered again");
    // Nor when somebody says "try again": who approved it had not seen this.
    w.order(Command::Retry {
        task: None,
        by: "tech".into(),
    })
    .unwrap();
    w.drain();
    w.pass(2 * HOUR_MS);
    let task = w.task(Kind::CancelMeetings);
    assert_eq!(task.attempt, attempts, "nothing is ordered on the old approval");
    let stands = standing(w.case(), task, w.now, &w.gates);
    assert_eq!(stands, Standing::WaitsForOwnApproval);
}

/// "Legal still needs the disk" is a decision against what was approved before it.
#[test]
fn what_was_gone_without_is_approved_anew_when_that_ends() {
    let mut w = about_to_wipe();
    let (task, ends) = (w.id(Kind::WipeDevice), w.now.plus(30 * DAY_MS));
    w.order(Command::Waive {
        task,
        by: "legal@acme.example".into(),
        reason: "the disk is evidence".into(),
        until: ends,
    })
    .unwrap();
    w.drain();
    w.pass(31 * DAY_MS);
    w.drain();
    w.pass(2 * HOUR_MS);
    let wipe = w.task(Kind::WipeDevice);
    assert_eq!((wipe.attempt, wipe.is_settled()), (0, false), "{:?}", wipe.state);
    let stands = standing(w.case(), wipe, w.now, &w.gates);
    assert_eq!(stands, Standing::WaitsForOwnApproval);
}

/// An account that somebody deletes while a laptop is waited for takes nothing back
/// that was proven; what was to be kept is for a person.
#[test]
fn an_account_that_is_gone_at_the_end_leaves_only_what_was_to_be_kept_to_a_person() {
    let gone_in = |area: Kind| {
        let mut w = World::opened(Manner::Immediate);
        for _ in 0..300 {
            w.drain_but(area);
            if w.case().has(area) && w.task(area).in_flight().is_some() {
                break;
            }
            w.a_person_or_time(10 * MINUTE_MS);
        }
        let mut report = w.truthful(w.id(area));
        let Said::Checked { results } = &mut report.said else {
            panic!("{report:?}");
        };
        for read in results {
            read.observation.facts = Facts::new().with(ACCOUNT_GONE, true);
        }
        w.order(Command::RecordReport(Box::new(report))).unwrap();
        w
    };
    let mut w = gone_in(Kind::ObserveIdentity);
    assert!(w.task(Kind::DisableSignIn).is_settled());
    w.run_to_sealing();
    let w = gone_in(Kind::ObserveKnowledge);
    let kept = w.task(Kind::HandOverOneDrive);
    assert!(
        matches!(
            kept.state,
            TaskState::Failed {
                rule: Rule::ObjectGone,
                ..
            }
        ),
        "{:?}",
        kept.state
    );
}

#[test]
fn what_keeps_flapping_ends_at_a_person() {
    let mut w = World::opened(Manner::Immediate);
    for _ in 0..MAX_ROUNDS_TESTED {
        closing_with_difference(&mut w);
        if let TaskState::Failed { rule, .. } = w.task(Kind::DisableSignIn).state {
            assert_eq!(rule, Rule::KeepsFlapping);
            assert_eq!(w.case().round, 3);
            return;
        }
    }
    panic!("it flaps for ever");
}

const MAX_ROUNDS_TESTED: u32 = 5;

#[test]
fn a_report_from_ahead_of_the_ledger_proves_a_lost_tail() {
    let mut w = World::opened(Manner::Immediate);
    w.drain();
    let id = w.id(Kind::DisableSignIn);
    let mut report = w.report(id, Said::NotBegun { why: String::new() });
    report.version = w.case().version + 5;
    let events = w.order(Command::RecordReport(Box::new(report))).unwrap();
    assert!(matches!(events[0], Event::TailLost { .. }));
    assert!(
        !w.task(Kind::DisableSignIn).is_settled(),
        "everything is looked at again"
    );
    w.run_to_sealing();
}

/// A case whose ledger forgets everything since the snapshot was to be taken,
/// and what a worker says of the attempt that the lost history ordered.
fn forgotten() -> (World, Report) {
    let mut w = World::opened(Manner::Immediate);
    let kept = w.case.clone();
    w.answer(Kind::Resolve);
    w.answer(Kind::SnapshotAccess);
    let report = w.truthful(w.id(Kind::RemoveDirectoryRoles));
    w.case = kept;
    (w, report)
}

#[test]
fn a_report_of_an_attempt_that_was_never_heard_of_proves_a_lost_tail() {
    let (mut w, report) = forgotten();
    // History has grown past what was lost before the report comes.
    while w.case().version < report.version {
        w.now = w.now.plus(HOUR_MS);
        w.order(Command::Tick).unwrap();
    }
    let events = w.order(Command::RecordReport(Box::new(report))).unwrap();
    assert!(matches!(events[0], Event::TailLost { .. }), "{events:?}");
    w.run_to_sealing();
}

#[test]
fn a_report_of_a_task_that_was_lost_is_kept_when_the_task_is_there_again() {
    let (mut w, report) = forgotten();
    w.now = w.now.plus(MINUTE_MS);
    let recorded = |w: &mut World, report: &Report| w.order(Command::RecordReport(Box::new(report.clone())));
    let events = recorded(&mut w, &report).unwrap();
    assert!(matches!(events[0], Event::TailLost { .. }), "{events:?}");
    let version = w.case().version;
    // Also if whoever wrote it is half a minute ahead of us.
    let ahead = Report {
        at: w.now.plus(30_000),
        ..report.clone()
    };
    for report in [&report, &ahead] {
        assert_eq!(recorded(&mut w, report), Err(Refusal::UnknownTask(report.task)));
    }
    // Or an hour, and comes again and again.
    let far_ahead = Report {
        at: w.now.plus(HOUR_MS),
        ..report.clone()
    };
    for _ in 0..10 {
        assert_eq!(recorded(&mut w, &far_ahead), Err(Refusal::UnknownTask(report.task)));
        w.now = w.now.plus(10 * MINUTE_MS);
    }
    assert!(far_ahead.at < w.now, "it is heard also when that is over");
    assert_eq!(w.case().version, version, "nothing is read again for it");
    w.run_to_sealing();
    let events = recorded(&mut w, &report).unwrap();
    assert!(
        matches!(events[..], [Event::LateReport { task, .. }] if task == report.task),
        "{events:?}"
    );
}

#[test]
fn a_report_that_answers_an_order_from_before_a_loss_proves_no_other() {
    let (mut w, report) = forgotten();
    let again = Report {
        attempt: 7,
        ..w.truthful(w.id(Kind::Resolve))
    };
    w.now = w.now.plus(MINUTE_MS);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    let lost = |w: &World| {
        w.events
            .iter()
            .filter(|(_, e)| matches!(e, Event::TailLost { .. }))
            .count()
    };
    assert_eq!(lost(&w), 1);
    let begun = Report {
        said: Said::NotBegun { why: String::new() },
        ..again.clone()
    };
    assert!(matches!(
        w.order(Command::RecordReport(Box::new(begun))),
        Err(Refusal::Stale { got: 7, .. })
    ));
    // What it says happened is kept, once.
    let events = w.order(Command::RecordReport(Box::new(again.clone()))).unwrap();
    assert!(matches!(events[0], Event::LateReport { attempt: 7, .. }), "{events:?}");
    assert_eq!(
        w.order(Command::RecordReport(Box::new(again.clone()))),
        Err(Refusal::AlreadyRecorded)
    );
    assert_eq!(lost(&w), 1);
    // Others who have such orders end them later, each at his own time.
    let over = w.case().lost_orders_until().unwrap();
    w.now = over;
    let last = Report {
        attempt: 8,
        at: over,
        ..again.clone()
    };
    let events = w.order(Command::RecordReport(Box::new(last))).unwrap();
    assert!(matches!(events[0], Event::LateReport { attempt: 8, .. }), "{events:?}");
    assert_eq!(lost(&w), 1);
    // One that was written when all of them were over tells of another loss.
    w.now = w.now.plus(1);
    let since = Report {
        attempt: 9,
        at: w.now,
        ..again
    };
    w.order(Command::RecordReport(Box::new(since))).unwrap();
    assert_eq!(lost(&w), 2);
    w.run_to_sealing();
}

#[test]
fn a_report_from_ahead_of_more_than_what_was_lost_proves_another_loss_at_any_time() {
    let mut w = World::opened(Manner::Immediate);
    let known = w.case().version + 1;
    w.order(Command::RecordLoss { known, parted: false }).unwrap();
    // What was recorded since goes farther than what is known of what was lost.
    w.drain();
    assert!(w.case().version > known);
    let ahead = Report {
        version: w.case().version + 1,
        attempt: 7,
        ..w.truthful(w.id(Kind::SnapshotAccess))
    };
    let events = w.order(Command::RecordReport(Box::new(ahead))).unwrap();
    assert!(
        matches!(events[..2], [Event::TailLost { .. }, Event::LateReport { .. }]),
        "{events:?}"
    );
}

/// However far the first loss went, and though his clock is a second ahead of ours.
#[test]
fn a_report_on_a_task_that_is_there_proves_a_second_loss_once_the_first_is_over() {
    let mut w = World::opened(Manner::Immediate);
    let known = w.case().version + 100;
    w.order(Command::RecordLoss { known, parted: false }).unwrap();
    w.now = w.case().lost_orders_until().unwrap().plus(HOUR_MS);
    let again = Report {
        version: w.case().version + 5,
        attempt: 7,
        at: w.now.plus(1_000),
        ..w.truthful(w.id(Kind::Resolve))
    };
    let record = Command::RecordReport(Box::new(again.clone()));
    let events = w.order(record.clone()).unwrap();
    assert!(
        matches!(events[..2], [Event::TailLost { .. }, Event::LateReport { .. }]),
        "{events:?}"
    );
    w.now = w.now.plus(HOUR_MS);
    assert_eq!(w.order(record), Err(Refusal::AlreadyRecorded), "it tells of it once");
}

#[test]
fn a_report_of_an_attempt_that_another_record_ordered_proves_a_lost_tail() {
    let (mut w, mut again) = (about_to_wipe(), about_to_wipe());
    w.pass(2 * HOUR_MS);
    let wiped = w.truthful(w.id(Kind::WipeDevice));
    // The order is lost with its number, and given again under the same one.
    again.pass(2 * HOUR_MS + MINUTE_MS);
    let ordered_again = again.task(Kind::WipeDevice).clone();
    assert_eq!(
        (ordered_again.attempt, ordered_again.ordered_by.unwrap().version),
        (wiped.attempt, wiped.version),
        "only the hash tells them apart"
    );
    let events = again.order(Command::RecordReport(Box::new(wiped))).unwrap();
    assert!(matches!(events[0], Event::TailLost { .. }), "{events:?}");
    assert!(matches!(events[1], Event::LateReport { .. }), "what it says is kept");
    let wipe = again.task(Kind::WipeDevice);
    assert!(
        !wipe.is_settled() && wipe.observe_first,
        "it is read, not ordered again"
    );
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

#[test]
fn scarce_credit_goes_to_what_cuts_access_first() {
    let mut w = World::opened(Manner::Immediate);
    w.gates.credit = Credit::NONE;
    w.answer(Kind::Resolve);
    w.gates.credit.set(Area::Identity, Lane::Urgent, 1);
    w.order(Command::Tick).unwrap();
    assert_eq!(w.in_flight(), vec![w.id(Kind::SnapshotAccess)]);
}

#[test]
fn an_overdue_person_is_noted_once_and_the_wake_moves_on() {
    let mut w = World::opened(Manner::Planned);
    w.drain();
    w.pass(2 * DAY_MS);
    assert!(w.task(Kind::ApprovePlan).overdue);
    let count = w
        .events
        .iter()
        .filter(|(_, e)| matches!(e, Event::PersonOverdue { .. }))
        .count();
    w.pass(DAY_MS);
    assert_eq!(
        w.events
            .iter()
            .filter(|(_, e)| matches!(e, Event::PersonOverdue { .. }))
            .count(),
        count
    );
    assert!(
        next(w.case(), w.now, &w.gates).timer.is_none_or(|t| t.at > w.now),
        "every tick moves the wake-up forward"
    );
}

/// Nobody but the case's own wake-ups makes anybody look.
#[test]
fn an_overdue_approval_of_what_cannot_be_undone_is_noted_when_it_is_and_until_it_is_given() {
    let mut w = World::opened(Manner::Planned);
    w.finds = company_laptop();
    w.drain();
    w.approve();
    w.drain();
    w.pass(3 * HOUR_MS);
    w.drain();
    w.attest(Kind::ConfirmDeviceReturned).unwrap();
    w.drain();
    let wipe = |w: &World| standing(w.case(), w.task(Kind::WipeDevice), w.now, &w.gates);
    assert_eq!(wipe(&w), Standing::WaitsForOwnApproval);
    let due = w.now.plus(Policy::default().approvals.overdue_after_ms);
    for _ in 0..50 {
        let timer = next(w.case(), w.now, &w.gates).timer;
        let Some(timer) = timer.filter(|_| !w.task(Kind::WipeDevice).overdue) else {
            break;
        };
        w.now = w.now.max(timer.at);
        w.order(Command::Tick).unwrap();
        w.drain();
    }
    assert!(w.task(Kind::WipeDevice).overdue);
    assert_eq!(w.now, due, "it is waited for since the device came back");
    let of = ApprovalOf::Task(w.id(Kind::WipeDevice), w.to_approve(Kind::WipeDevice));
    let by = "boss@msp.example".into();
    w.order(Command::Approve { by, of }).unwrap();
    assert!(!w.task(Kind::WipeDevice).overdue);
}

#[test]
fn what_did_not_begin_costs_no_attempt() {
    let mut w = World::opened(Manner::Immediate);
    let id = w.id(Kind::Resolve);
    let report = w.report(id, Said::NotBegun { why: "too late".into() });
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    assert!(matches!(
        &w.task(Kind::Resolve).state,
        TaskState::Resting {
            why: RestReason::NotBegun { .. },
            ..
        }
    ));
    assert_eq!(w.task(Kind::Resolve).spent, 0);
}

#[test]
fn licences_stay_when_the_conversion_is_waived_only_by_a_person() {
    let mut w = World::opened(Manner::Immediate);
    w.drain();
    w.approve();
    let id = w.id(Kind::ConvertToShared);
    while w.task(Kind::ConvertToShared).in_flight().is_none() {
        let first = w.in_flight()[0];
        let report = w.truthful(first);
        w.order(Command::RecordReport(Box::new(report))).unwrap();
    }
    let large = seen(
        Facts::new()
            .with("recipient_type", "UserMailbox")
            .with("too_large_or_held", true),
    );
    let report = w.report(
        id,
        Said::Satisfied {
            before: large.clone(),
            after: large,
        },
    );
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    w.drain();
    assert!(matches!(
        w.task(Kind::ConvertToShared).state,
        TaskState::Failed {
            rule: Rule::BlockedByPolicy,
            ..
        }
    ));
    assert_eq!(w.task(Kind::ReleaseDirectLicenses).attempt, 0);
    assert_eq!(w.task(Kind::ReleaseGroupLicenses).attempt, 0);
}

/// A departure with everything kept, right when this kind is with a worker; the snapshot
/// has read a mailbox, or none.
fn keeping(kind: Kind, had_one: bool) -> World {
    keeping_of(departure(Manner::Immediate), kind, |_| had_one)
}

/// The same, of whom each snapshot of the mailbox shows one or none.
fn keeping_of(mut asked: Departure, kind: Kind, had_one: impl Fn(u32) -> bool) -> World {
    asked.choices.legal_hold = Some(true);
    asked.choices.archive_mailbox = Some(true);
    let mut w = World::with(asked, Policy::default());
    for _ in 0..5_000 {
        if w.case().has(kind) && w.task(kind).in_flight().is_some() {
            return w;
        }
        let Some(id) = w.in_flight().first().copied() else {
            w.a_person_or_time(10 * MINUTE_MS);
            continue;
        };
        let mut report = w.truthful(id);
        if w.case().tasks[&id].kind() == Kind::SnapshotMailbox
            && let Said::Satisfied { before, after } = &mut report.said
        {
            let there = had_one(report.attempt);
            before.facts.set(MAILBOX_EXISTS, there);
            after.facts.set(MAILBOX_EXISTS, there);
        }
        w.order(Command::RecordReport(Box::new(report))).unwrap();
    }
    panic!("{kind} is never given to a worker");
}

/// A worker reads that the account has no mailbox.
fn reads_no_mailbox(w: &mut World, kind: Kind) {
    let none = seen(Facts::new().with(MAILBOX_EXISTS, false));
    let report = w.report(
        w.id(kind),
        Said::Satisfied {
            before: none.clone(),
            after: none,
        },
    );
    w.order(Command::RecordReport(Box::new(report))).unwrap();
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

/// An older dispatcher orders nothing that leaves these groups later: so a worker leaves them to
/// that only where he is told that it does.
#[test]
fn groups_that_give_applications_are_left_where_something_takes_him_out_of_them_later() {
    for planned in [true, false] {
        let mut offered = everything();
        if !planned {
            offered.0.get_mut(&m365()).unwrap().remove(&Kind::RemoveAppRoles);
        }
        let mut w = World::new();
        w.order(Command::Open {
            departure: Arc::new(departure(Manner::Immediate)),
            policy: Arc::new(Policy::default()),
            capabilities: Arc::new(offered),
            traceparent: None,
        })
        .unwrap();
        w.answer(Kind::Resolve);
        let told = w.case().told(w.task(Kind::RemoveGroupMemberships));
        assert_eq!(told.bool(APP_GROUPS_LATER), planned.then_some(true));
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

/// Who hands an application over may take weeks.
#[test]
fn an_application_that_he_owns_keeps_him_in_no_group() {
    let mut w = World::opened(Manner::Planned);
    w.drain();
    w.approve();
    w.drain_but(Kind::RemoveGroupOwnerships);
    assert_eq!(w.task(Kind::RemoveGroupMemberships).attempt, 0);
    let owns = w.report(w.id(Kind::RemoveGroupOwnerships), fault(FaultClass::Unsupported));
    w.order(Command::RecordReport(Box::new(owns))).unwrap();
    w.drain();
    assert!(matches!(
        w.task(Kind::RemoveGroupOwnerships).state,
        TaskState::Failed { .. }
    ));
    assert!(w.task(Kind::RemoveGroupMemberships).is_settled());
}

#[test]
fn no_licence_is_planned_to_go_where_nothing_keeps_what_hangs_on_it() {
    use offboard_domain::plan::plan;
    let subject = Facts::new().with("object_id", "u-1").with("successor_id", "u-2");
    let released = |policy: &Policy, capabilities| {
        let d = departure(Manner::Planned);
        let p = plan(d.case_id(), &d, &subject, policy, &capabilities, false).unwrap();
        p.tasks
            .iter()
            .any(|t| matches!(t.kind, Kind::ReleaseDirectLicenses | Kind::ReleaseGroupLicenses))
    };
    assert!(released(&Policy::default(), everything()));
    for missing in [Kind::ConvertToShared, Kind::HandOverOneDrive] {
        let mut capabilities = everything();
        capabilities.0.values_mut().for_each(|kinds| {
            kinds.remove(&missing);
        });
        assert!(!released(&Policy::default(), capabilities), "{missing} is not offered");
    }
    let skip = Policy {
        skip: [Kind::ConvertToShared].into(),
        ..Policy::default()
    };
    assert!(!released(&skip, everything()), "the conversion is skipped");
}

/// What is planned for somebody, by system; and what is missed.
fn planned(subject: &Facts, capabilities: &Capabilities, policy: &Policy) -> offboard_domain::plan::Plan {
    let d = departure(Manner::Planned);
    offboard_domain::plan::plan(d.case_id(), &d, subject, policy, capabilities, false).unwrap()
}

/// The cloud, and a directory on the premises if there is one.
fn cloud_and(premises: bool) -> Capabilities {
    let (here, there): (Vec<Kind>, Vec<Kind>) = everything().0.remove(&m365()).unwrap().into_iter().partition(|k| {
        let computers = matches!(k, Kind::DiscoverComputers | Kind::DisableComputer);
        let there = k.name().contains("on_premises") || computers || *k == Kind::MoveToLeaversUnit;
        !there
    });
    let mut all = Capabilities([(m365(), here.into_iter().collect())].into());
    if premises {
        all.0.insert(System::new("ad").unwrap(), there.into_iter().collect());
    }
    all
}

fn a_copy() -> Facts {
    Facts::new()
        .with("object_id", "u-1")
        .with("successor_id", "u-2")
        .with("synced", true)
        .with("has_mailbox", true)
        .with("on_premises_security_id", "S-1-5-21-1-2-3-1104")
}

#[test]
fn a_copy_is_changed_where_it_is_mastered_and_watched() {
    let plan = planned(&a_copy(), &cloud_and(true), &Policy::default());
    let of = |kind: Kind| plan.tasks.iter().find(|t| t.kind == kind);
    for routed in [Kind::ResetPassword, Kind::HideFromAddressLists] {
        assert!(
            of(routed).is_none(),
            "{routed} is refused by the cloud, and done on the premises"
        );
    }
    for told in [
        Kind::DisableSignIn,
        Kind::RemoveGroupMemberships,
        Kind::ReleaseGroupLicenses,
    ] {
        assert_eq!(
            of(told).unwrap().params.bool("mastered_on_premises"),
            Some(true),
            "{told}"
        );
    }
    let resolve = of(Kind::ResolveOnPremises).unwrap();
    assert_eq!(resolve.target.system.as_str(), "ad");
    assert_eq!(
        resolve.params.text("on_premises_security_id"),
        Some("S-1-5-21-1-2-3-1104")
    );
    assert_eq!(of(Kind::AwaitSynchronisation).unwrap().target.system, m365());
    assert!(resolve.params.get("licences_unkept").is_none() && resolve.params.get("hold_wanted").is_none());
    let careless = Policy {
        skip: [Kind::ConvertToShared].into(),
        ..Policy::default()
    };
    let held = Policy {
        legal_hold: true,
        ..Policy::default()
    };
    for (policy, param) in [(careless, "licences_unkept"), (held, "hold_wanted")] {
        let plan = planned(&a_copy(), &cloud_and(true), &policy);
        let resolve = plan.tasks.iter().find(|t| t.kind == Kind::ResolveOnPremises).unwrap();
        assert_eq!(resolve.params.bool(param), Some(true), "{param}");
    }
}

#[test]
fn a_copy_of_what_is_not_connected_keeps_the_clouds_tasks_and_that_is_said() {
    let plan = planned(&a_copy(), &cloud_and(false), &Policy::default());
    assert!(plan.tasks.iter().any(|t| t.kind == Kind::ResetPassword));
    assert!(
        plan.tasks
            .iter()
            .all(|t| t.params.get("mastered_on_premises").is_none())
    );
    assert_eq!(plan.unserved, [Kind::ResolveOnPremises]);
    let mut own = a_copy();
    own.set("synced", false);
    let plan = planned(&own, &cloud_and(false), &Policy::default());
    assert_eq!(plan.unserved, []);
    // Nobody's copy is looked up on the premises all the same.
    let plan = planned(&own, &cloud_and(true), &Policy::default());
    assert!(plan.tasks.iter().any(|t| t.kind == Kind::ResolveOnPremises));
    assert!(plan.tasks.iter().any(|t| t.kind == Kind::ResetPassword));
    assert!(plan.tasks.iter().all(|t| t.kind != Kind::AwaitSynchronisation));
}
