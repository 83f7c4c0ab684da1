//! Who takes over when the directory names another manager by the departure's time.

use crate::model::*;
use offboard_domain::catalogue::Kind;
use offboard_domain::departure::{Departure, Forwarding, Manner, PersonRef};
use offboard_domain::heir::{given_to, leaves_too};
use offboard_domain::time::{DAY_MS, HOUR_MS};
use offboard_domain::{Command, Facts, Outcome, Policy, Rule, Said, TaskState};

const GIVEN: [Kind; 4] = [
    Kind::SetForwarding,
    Kind::HandOverGroups,
    Kind::GrantSuccessorMailbox,
    Kind::HandOverOneDrive,
];

/// In ten days; mail goes to whoever takes over.
fn leaving() -> Departure {
    let mut leaving = Departure {
        effective_at: T0.plus(10 * DAY_MS),
        ..departure(Manner::Planned)
    };
    leaving.choices.forwarding = Some(Forwarding::Successor);
    leaving
}

/// What is read says that this is his manager.
fn reads(w: &mut World, kind: Kind, manager: Option<&str>) {
    reads_more(w, kind, manager, good(kind));
}

/// The same, and this.
fn reads_more(w: &mut World, kind: Kind, manager: Option<&str>, mut facts: Facts) {
    if let Some(manager) = manager {
        facts.set("manager_id", manager);
    }
    let said = Said::Satisfied {
        before: seen(facts.clone()),
        after: seen(facts),
    };
    let report = w.report(w.id(kind), said);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
}

/// Found and approved, with this manager then; and read once more when his time has come,
/// with that one.
fn whose_manager_was(departure: Departure, then: Option<&str>, now: Option<&str>) -> World {
    let mut w = before_the_last_reading(departure, then);
    reads(&mut w, Kind::SnapshotDirectory, now);
    w
}

/// The same, while that reading is under way.
fn before_the_last_reading(departure: Departure, then: Option<&str>) -> World {
    let mut w = World::with(departure, Policy::default());
    reads(&mut w, Kind::Resolve, then);
    w.drain_but(Kind::SnapshotDirectory);
    reads(&mut w, Kind::SnapshotDirectory, then);
    w.drain();
    w.approve();
    w.pass(10 * DAY_MS);
    w.drain_but(Kind::SnapshotDirectory);
    for task in GIVEN.map(|kind| w.task(kind)) {
        let gives_nobody = given_to(task).is_none();
        assert!(
            gives_nobody || task.attempt == 0,
            "{} is given before it is known to whom",
            task.kind()
        );
    }
    w
}

#[test]
fn nothing_is_given_to_a_manager_who_is_none_any_more_before_a_person_decides() {
    for now in [Some("u-9"), None] {
        let mut w = whose_manager_was(leaving(), Some("u-2"), now);
        w.drain();
        w.pass(HOUR_MS);
        w.drain();
        for kind in GIVEN {
            let TaskState::Failed { rule, detail, .. } = &w.task(kind).state else {
                panic!("{kind}: {:?}", w.task(kind).state)
            };
            assert_eq!(*rule, Rule::BlockedByPolicy);
            let named = now.unwrap_or("nobody");
            assert!(detail.contains("u-2") && detail.contains(named), "{detail}");
        }
        assert_eq!(w.task(Kind::ReleaseDirectLicenses).attempt, 0);
        assert!(w.task(Kind::DisableSignIn).is_settled(), "access waits for none of it");
    }
}

/// Nobody knows that any of it was given away.
#[test]
fn nothing_is_given_to_a_former_manager_after_a_loss_either() {
    let mut w = before_the_last_reading(leaving(), Some("u-2"));
    let known = w.case().version + 5;
    w.order(Command::RecordLoss { known, parted: false }).unwrap();
    w.drain_but(Kind::SnapshotDirectory);
    reads(&mut w, Kind::SnapshotDirectory, Some("u-9"));
    w.drain();
    w.pass(HOUR_MS);
    w.drain();
    for kind in GIVEN {
        let state = &w.task(kind).state;
        let asks = matches!(state, TaskState::Failed { rule, .. } if *rule == Rule::BlockedByPolicy);
        assert!(asks, "{kind}: {state:?}");
    }
}

#[test]
fn who_decides_for_the_earlier_one_has_it_given_to_him() {
    let mut keeps = leaving();
    keeps.choices.forwarding = None;
    let mut w = whose_manager_was(keeps, Some("u-2"), Some("u-9"));
    w.order(Command::Retry {
        task: None,
        by: "boss@msp.example".into(),
    })
    .unwrap();
    w.run_to_sealing();
    assert_eq!(w.task(Kind::HandOverOneDrive).outcome(), Some(&Outcome::Verified));
}

/// A group may be the leaver's alone once more by then.
#[test]
fn whoever_leaves_the_groups_is_told_to_whom_they_were_given() {
    let mut w = whose_manager_was(leaving(), Some("u-2"), Some("u-2"));
    w.drain_but(Kind::RemoveGroupOwnerships);
    assert!(w.task(Kind::HandOverGroups).is_settled());
    let leaves = w.task(Kind::RemoveGroupOwnerships);
    assert!(leaves.planned.params.get("successor_id").is_none());
    let ordered = w.case().assignment(leaves.id()).unwrap();
    assert_eq!(ordered.params.text("successor_id"), Some("u-2"));
}

/// What is handed over of groups holds up the end of all of them.
#[test]
fn who_owns_no_group_loses_those_he_is_in_whoever_the_manager_is() {
    for (owned, is_asked) in [(0_i64, false), (1, true)] {
        let mut w = before_the_last_reading(leaving(), Some("u-2"));
        let facts = Facts::new().with("owned_count", owned);
        reads_more(&mut w, Kind::SnapshotDirectory, Some("u-9"), facts);
        w.drain();
        let handed_over = w.task(Kind::HandOverGroups);
        assert_eq!(
            matches!(handed_over.state, TaskState::Failed { .. }),
            is_asked,
            "{owned}"
        );
        assert_eq!(w.task(Kind::RemoveGroupMemberships).is_settled(), !is_asked, "{owned}");
        assert!(matches!(w.task(Kind::HandOverOneDrive).state, TaskState::Failed { .. }));
    }
}

/// To an address of his own, perhaps.
#[test]
fn a_forwarding_that_is_only_taken_away_waits_for_no_reading_of_the_directory() {
    for (forwarding, goes) in [(Forwarding::Remove, true), (Forwarding::Successor, false)] {
        let mut leaving = leaving();
        leaving.choices.forwarding = Some(forwarding);
        let w = before_the_last_reading(leaving, Some("u-2"));
        assert!(w.task(Kind::SnapshotDirectory).in_flight().is_some());
        assert_eq!(w.task(Kind::SetForwarding).is_settled(), goes);
    }
}

#[test]
fn whoever_is_named_or_stays_the_manager_takes_over() {
    let named = Departure {
        successor: Some(PersonRef {
            mail: Some("berta@acme.example".into()),
            ..PersonRef::default()
        }),
        ..leaving()
    };
    for (departure, now) in [(named, "u-9"), (leaving(), "u-2")] {
        let w = whose_manager_was(departure, Some("u-2"), Some(now));
        for kind in GIVEN {
            assert!(!matches!(w.task(kind).state, TaskState::Failed { .. }), "{kind}");
        }
    }
}

/// Another one's departure, who was found as this.
fn another(who: &str, found_as: &str) -> World {
    let mut theirs = Departure {
        reference: Some("HR-2".into()),
        ..leaving()
    };
    theirs.person.user_principal_name = Some(who.into());
    let mut w = World::with(theirs, Policy::default());
    let facts = good(Kind::Resolve)
        .with("object_id", found_as)
        .with("user_principal_name", who);
    let said = Said::Satisfied {
        before: seen(facts.clone()),
        after: seen(facts),
    };
    let report = w.report(w.id(Kind::Resolve), said);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    w
}

#[test]
fn a_successor_who_leaves_too_is_known_by_his_id_or_by_his_names() {
    let mut found = World::with(leaving(), Policy::default());
    let chief = another("chief@acme.example", "u-2");
    let other = another("other@acme.example", "u-3");
    assert!(
        !leaves_too(found.case(), chief.case()),
        "nobody knows yet who takes over"
    );
    found.answer(Kind::Resolve);
    assert!(leaves_too(found.case(), chief.case()));
    assert!(!leaves_too(found.case(), other.case()));
    assert!(!leaves_too(found.case(), found.case()));
    let named = Departure {
        successor: Some(PersonRef {
            mail: Some("Chief@acme.example".into()),
            ..PersonRef::default()
        }),
        ..leaving()
    };
    let named = World::with(named, Policy::default());
    assert!(leaves_too(named.case(), chief.case()), "before he was looked up");
    assert!(!leaves_too(named.case(), other.case()));
    let mut called_off = chief;
    called_off
        .order(Command::Cancel {
            by: "boss@msp.example".into(),
            reason: "he stays".into(),
        })
        .unwrap();
    called_off.drain();
    assert!(!leaves_too(found.case(), called_off.case()));
}
