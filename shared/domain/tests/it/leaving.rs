//! Who leaves, of those who hold roles, is known beyond his case.

use crate::model::*;
use offboard_domain::catalogue::{LEAVING, MARKED, ROLES_GONE_MS, ROLES_OPEN};
use offboard_domain::departure::Manner;
use offboard_domain::leaving::{changes, marks};
use offboard_domain::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use offboard_domain::{CaseState, Command, Facts, FaultClass, Kind, Said, Timestamp};
use std::collections::BTreeMap;

/// One is found, and this was read of him with it.
fn found_with(more: &[(&str, i64)]) -> World {
    let mut w = World::opened(Manner::Immediate);
    let facts = more
        .iter()
        .fold(good(Kind::Resolve), |facts, (name, n)| facts.with(name, *n));
    settle(&mut w, Kind::Resolve, facts);
    w
}

fn settle(w: &mut World, kind: Kind, facts: Facts) {
    let said = Said::Satisfied {
        before: seen(facts.clone()),
        after: seen(facts),
    };
    let report = w.report(w.id(kind), said);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
}

fn names(w: &World) -> Vec<String> {
    marks(w.case(), w.now).into_keys().collect()
}

#[test]
fn who_holds_roles_is_marked_while_his_case_is_open() {
    let his = |w: &World| vec![format!("leaves/{}/m365/u-1", w.case().id)];
    assert_eq!(names(&World::opened(Manner::Immediate)), Vec::<String>::new());
    let mut plain = found_with(&[("role_count", 0)]);
    assert_eq!(names(&plain), Vec::<String>::new());
    // He was given one since.
    settle(
        &mut plain,
        Kind::SnapshotAccess,
        Facts::new().with("role_ids", vec!["r-1".to_owned()]),
    );
    assert_eq!(names(&plain), his(&plain));
    let mut w = found_with(&[("role_count", 2)]);
    assert_eq!(names(&w), his(&w));
    w.drain();
    assert_eq!(names(&w), his(&w), "a directory may show what was taken away");
    w.order(Command::Cancel {
        by: "boss".into(),
        reason: "he stays".into(),
    })
    .unwrap();
    w.drain();
    assert_eq!(w.case().state, CaseState::Cancelled);
    assert_eq!(names(&w), Vec::<String>::new());
}

#[test]
fn who_leaves_later_counts_until_the_day_before() {
    let later = departure(Manner::Planned);
    let leaves = T0.plus(60 * DAY_MS);
    let later = offboard_domain::departure::Departure {
        effective_at: leaves,
        ..later
    };
    let mut w = World::with(later, offboard_domain::Policy::default());
    settle(&mut w, Kind::Resolve, good(Kind::Resolve).with("role_count", 1));
    let marked = |now: Timestamp| marks(w.case(), now).len();
    assert_eq!(marked(w.now), 0);
    assert_eq!(marked(leaves.plus(-2 * DAY_MS)), 0);
    assert_eq!(marked(leaves.plus(-HOUR_MS)), 1);
    assert_eq!(marked(leaves), 1);
}

#[test]
fn a_mark_is_renewed_in_time_and_ends_with_the_case() {
    let mut w = found_with(&[("role_count", 1)]);
    let now = w.now;
    let mut there: BTreeMap<String, Timestamp> = BTreeMap::from([("hold/m365".to_owned(), now)]);
    let first = changes(w.case(), &there, now);
    assert_eq!(first.len(), 1);
    there.extend(first.into_iter().map(|(name, until)| (name, until.unwrap())));
    assert!(changes(w.case(), &there, now.plus(6 * DAY_MS)).is_empty());
    assert_eq!(changes(w.case(), &there, now.plus(8 * DAY_MS)).len(), 1);
    w.order(Command::Cancel {
        by: "boss".into(),
        reason: "he stays".into(),
    })
    .unwrap();
    w.drain();
    let until = |now: Timestamp| changes(w.case(), &there, now).into_values().collect::<Vec<_>>();
    assert_eq!(until(now), [Some(now.plus(HOUR_MS))]);
    assert_eq!(until(now.plus(30 * DAY_MS)), [None], "and no gate of anybody else's");
}

#[test]
fn who_takes_roles_away_is_told_who_else_leaves_and_no_approval_hangs_on_it() {
    let mut w = found_with(&[("role_count", 1)]);
    w.answer(Kind::SnapshotAccess);
    let roles = w.id(Kind::RemoveDirectoryRoles);
    let digests = |w: &World| (w.case().plan_digest(), w.to_approve(Kind::RemoveDirectoryRoles));
    let before = digests(&w);
    let mut assignment = w.case().assignment(roles).unwrap();
    assert!(assignment.asks_who_stays());
    let later = w.now.plus(DAY_MS);
    let there = [
        ("leaves/c-1/m365/u-1", later),
        ("leaves/c-2/m365/u-8", later),
        ("leaves/c-3/m365/u-9", later),
        ("leaves/c-4/m365/u-9", later),
        ("leaves/c-5/other/u-7", later),
        ("leaves/c-6/m365/u-6", w.now),
        ("hold/m365", later),
    ]
    .map(|(name, until)| (name.to_owned(), until))
    .into();
    assignment.tell_who_leaves(&there, w.now);
    let told = ["u-8", "u-9"].map(str::to_owned);
    assert_eq!(assignment.params.list(LEAVING), Some(&told[..]));
    assert!(w.task(Kind::RemoveDirectoryRoles).planned.params.get(LEAVING).is_none());
    assert_eq!(digests(&w), before);
    let mut alone = w.case().assignment(roles).unwrap();
    alone.tell_who_leaves(&BTreeMap::new(), w.now);
    assert!(alone.params.get(LEAVING).is_none());
}

#[test]
fn who_disables_him_with_his_roles_is_told_too_and_nobody_else_is() {
    let mut w = found_with(&[("role_count", 1)]);
    w.answer(Kind::SnapshotAccess);
    let roles = w.id(Kind::RemoveDirectoryRoles);
    let refused = w.report(roles, fault(FaultClass::Denied));
    w.order(Command::RecordReport(Box::new(refused))).unwrap();
    let asks = |w: &World, kind: Kind| w.case().assignment(w.id(kind)).map(|a| a.asks_who_stays());
    assert_eq!(asks(&w, Kind::DisableSignIn), Some(true));
    let told = w.case().assignment(w.id(Kind::DisableSignIn)).unwrap().params;
    assert_eq!(told.bool(ROLES_OPEN), Some(true));
    w.answer(Kind::DisableSignIn);
    assert_eq!(asks(&w, Kind::ResetPassword), Some(true));
    w.answer(Kind::ResetPassword);
    assert_ne!(asks(&w, Kind::RevokeSessions), Some(true));
}

/// A person is to deal with his roles.
fn roles_refused(w: &mut World) {
    let refused = w.report(w.id(Kind::RemoveDirectoryRoles), fault(FaultClass::Denied));
    w.order(Command::RecordReport(Box::new(refused))).unwrap();
}

#[test]
fn who_was_promoted_after_he_was_recorded_is_marked_by_whoever_finds_that() {
    for kind in [Kind::RemoveDirectoryRoles, Kind::DisableSignIn] {
        let mut w = found_with(&[("role_count", 0)]);
        w.answer(Kind::SnapshotAccess);
        if kind != Kind::RemoveDirectoryRoles {
            roles_refused(&mut w);
        }
        assert_eq!(names(&w), Vec::<String>::new(), "{kind}");
        let mut first = w.case().assignment(w.id(kind)).unwrap();
        first.tell_marked(&marks(w.case(), w.now));
        assert_eq!(first.params.bool(MARKED), Some(false), "{kind}");
        let mut report = w.report(
            w.id(kind),
            Said::Wait {
                until: w.now,
                why: "he administers the tenant".into(),
                checkpoint: None,
            },
        );
        report.seen = Some(seen(Facts::new().with("role_ids", vec!["r-1".to_owned()])));
        w.order(Command::RecordReport(Box::new(report))).unwrap();
        assert_eq!(names(&w), [format!("leaves/{}/m365/u-1", w.case().id)], "{kind}");
        w.pass(MINUTE_MS);
        let mut next = w.case().assignment(w.id(kind)).unwrap();
        next.tell_marked(&marks(w.case(), w.now));
        assert_eq!(next.params.bool(MARKED), Some(true), "{kind}");
    }
}

#[test]
fn who_cuts_his_access_is_told_when_his_roles_were_read_as_gone_and_only_then() {
    let mut w = found_with(&[("role_count", 1)]);
    w.answer(Kind::SnapshotAccess);
    roles_refused(&mut w);
    w.order(Command::Waive {
        task: w.id(Kind::RemoveDirectoryRoles),
        by: "boss@msp.example".into(),
        reason: "he keeps it".into(),
        until: w.now.plus(30 * DAY_MS),
    })
    .unwrap();
    let waived = w.case().assignment(w.id(Kind::DisableSignIn)).unwrap();
    assert!(waived.asks_who_stays());
    assert_eq!(waived.params.get(ROLES_OPEN), None, "no task is at them");
    assert_eq!(
        waived.params.get(ROLES_GONE_MS),
        None,
        "and nobody has read that they went"
    );

    let mut w = found_with(&[("role_count", 1)]);
    w.answer(Kind::SnapshotAccess);
    w.answer(Kind::RemoveDirectoryRoles);
    let gone = w.case().assignment(w.id(Kind::DisableSignIn)).unwrap();
    assert_eq!(gone.params.int(ROLES_GONE_MS), Some(T0.0));
}
