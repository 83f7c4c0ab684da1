//! Which requests become a case, what another one changes, and when no more is changed.

use crate::model::*;
use offboard_domain::catalogue::Kind;
use offboard_domain::catalogue::apps::PROTECTED;
use offboard_domain::departure::{Departure, Manner, PersonRef};
use offboard_domain::standing::{Standing, next, standing};
use offboard_domain::time::{DAY_MS, HOUR_MS};
use offboard_domain::{
    CaseId, CaseState, Command, Digest, ObjectId, Policy, Refusal, Said, TaskId, TaskState, WakeReason,
};
use std::collections::BTreeSet;
use std::sync::Arc;

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
