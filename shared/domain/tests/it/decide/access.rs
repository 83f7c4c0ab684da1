//! What cuts access goes first, waits for nobody, and is done again when it must be.

use crate::model::*;
use offboard_domain::catalogue::{Kind, ROLES_OPEN};
use offboard_domain::departure::Manner;
use offboard_domain::fault::FaultClass;
use offboard_domain::time::{HOUR_MS, MINUTE_MS};
use offboard_domain::{Command, TaskState};

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
fn sessions_are_revoked_once_more_an_hour_later() {
    let mut w = World::opened(Manner::Immediate);
    w.drain();
    assert_eq!(w.task(Kind::RevokeSessionsAgain).attempt, 0);
    w.pass(59 * MINUTE_MS);
    assert_eq!(w.task(Kind::RevokeSessionsAgain).attempt, 0);
    w.pass(MINUTE_MS);
    assert_eq!(w.task(Kind::RevokeSessionsAgain).attempt, 1);
}
