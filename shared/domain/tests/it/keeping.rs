//! What a request that joins a case wants kept is not lost: neither before nor after the
//! plan's approval, nor when it comes too late, nor when it is called off again.

use crate::model::*;
use ed25519_dalek::SigningKey;
use offboard_domain::catalogue::Kind;
use offboard_domain::departure::{Departure, Manner, OneDriveChoice};
use offboard_domain::keeping::Retention;
use offboard_domain::standing::person_since;
use offboard_domain::time::{DAY_MS, HOUR_MS};
use offboard_domain::{
    Capabilities, CaseId, CaseState, Command, Digest, Event, Outcome, Policy, Refusal, Rule, Standing, TaskState,
    evidence, follow_up, keeping, next, standing,
};
use std::collections::BTreeSet;
use std::sync::Arc;

pub(crate) const OTHER: CaseId = CaseId([7; 10]);
const LEAD: &str = "lead@acme.example";
pub(crate) const BOSS: &str = "boss@msp.example";

/// In ten days.
pub(crate) fn leaving() -> Departure {
    Departure {
        effective_at: T0.plus(10 * DAY_MS),
        ..departure(Manner::Planned)
    }
}

pub(crate) fn cloud() -> Capabilities {
    let mut all = everything();
    all.0.get_mut(&m365()).unwrap().retain(|k| k.is_of_a_cloud());
    all
}

pub(crate) fn opened(departure: Departure, capabilities: Capabilities) -> World {
    opened_under(Policy::default(), departure, capabilities)
}

pub(crate) fn opened_under(policy: Policy, departure: Departure, capabilities: Capabilities) -> World {
    let mut w = World::new();
    w.order(Command::Open {
        departure: Arc::new(departure),
        policy: Arc::new(policy),
        capabilities: Arc::new(capabilities),
        traceparent: None,
    })
    .unwrap();
    w.drain();
    w
}

/// Another request for the same person and day, that chooses this.
pub(crate) fn wants(choose: impl FnOnce(&mut Departure)) -> Command {
    let mut departure = Departure {
        reference: Some("LEGAL-4".into()),
        requested_by: LEAD.into(),
        ..leaving()
    };
    choose(&mut departure);
    Command::Join {
        case: OTHER,
        asked_at: T0,
        departure: Arc::new(departure),
        amended_by: BTreeSet::new(),
        retention: Retention::default(),
    }
}

pub(crate) fn wants_hold() -> Command {
    wants(|d| d.choices.legal_hold = Some(true))
}

pub(crate) fn leave() -> Command {
    Command::Leave {
        case: OTHER,
        asked_at: T0,
    }
}

pub(crate) fn stands(w: &World, kind: Kind) -> Standing {
    standing(w.case(), w.task(kind), w.now, &w.gates)
}

pub(crate) fn attest(w: &World, by: &str) -> Command {
    Command::Attest {
        task: w.id(Kind::DecidePreservation),
        by: by.into(),
        file: None,
        ending: None,
        note: "done in the console".into(),
    }
}

pub(crate) fn seal(w: &mut World) {
    let sealed = Command::RecordSealed {
        to: w.case().account_to(),
        evidence: Digest::of(b"evidence"),
        key_id: "key".into(),
    };
    w.order(sealed).unwrap();
}

/// It bears itself out, and an independent reader says so.
pub(crate) fn account(w: &World) -> evidence::Statement {
    let statement = evidence::statement(&w.history()).unwrap();
    let key = SigningKey::from_bytes(&[9; 32]);
    evidence::verify(&evidence::seal(&statement, &key), &key.verifying_key()).unwrap();
    statement
}

/// Which event settled this, and which ordered that.
pub(crate) fn settled_before_ordered(w: &World, first: Kind, then: Kind) -> bool {
    let (first, then) = (w.id(first), w.id(then));
    let settled = w
        .events
        .iter()
        .position(|(_, e)| matches!(e, Event::TaskSettled { task, .. } if *task == first));
    let ordered = w
        .events
        .iter()
        .position(|(_, e)| matches!(e, Event::TaskAssigned { task, .. } if *task == then));
    settled.unwrap() < ordered.unwrap()
}

#[test]
fn a_hold_and_an_archive_that_a_second_request_wants_are_planned() {
    let mut w = opened(leaving(), cloud());
    let before = w.case().plan_digest();
    let both = wants(|d| {
        d.choices.legal_hold = Some(true);
        d.choices.archive_mailbox = Some(true);
    });
    w.order(both.clone()).unwrap();
    assert!(w.case().has(Kind::HoldMailbox) && w.case().has(Kind::ArchiveMailbox));
    assert!(!w.case().has(Kind::DecidePreservation), "nobody is asked for nothing");
    assert_ne!(w.case().plan_digest(), before, "an approval covers what it lists");
    assert_eq!(w.order(both).unwrap(), [], "told twice, it is known once");
    w.approve();
    w.pass(10 * DAY_MS);
    w.run_to_sealing();
    for kind in [Kind::HoldMailbox, Kind::ArchiveMailbox] {
        assert_eq!(w.task(kind).outcome(), Some(&Outcome::Verified), "{kind}");
        for late in [Kind::ConvertToShared, Kind::ReleaseDirectLicenses] {
            assert!(settled_before_ordered(&w, kind, late), "{late} went before {kind}");
        }
    }
    let request = account(&w).predicate.request;
    assert_eq!(request.joined[0].choices.bool("legal_hold"), Some(true));
}

#[test]
fn what_is_wanted_kept_after_the_approval_is_approved_before_anything_goes_that_destroys_it() {
    let mut w = opened(leaving(), cloud());
    w.approve();
    w.order(wants_hold()).unwrap();
    assert_eq!(stands(&w, Kind::ApprovePlan), Standing::WaitsForPerson);
    w.pass(10 * DAY_MS);
    for _ in 0..10 {
        w.drain();
        w.pass(HOUR_MS);
    }
    assert!(w.task(Kind::DisableSignIn).is_settled(), "what was approved goes on");
    for kind in [
        Kind::HoldMailbox,
        Kind::ConvertToShared,
        Kind::ReleaseGroupLicenses,
        Kind::ReleaseDirectLicenses,
    ] {
        assert_eq!(w.task(kind).attempt, 0, "{kind}");
    }
    w.approve();
    w.run_to_sealing();
    assert!(settled_before_ordered(&w, Kind::HoldMailbox, Kind::ConvertToShared));
    account(&w);
}

#[test]
fn what_is_wanted_too_late_is_for_a_person_and_nothing_is_sealed_over_it() {
    let mut w = opened(leaving(), cloud());
    w.approve();
    w.pass(10 * DAY_MS);
    w.run_to_sealing();
    w.order(wants_hold()).unwrap();
    w.drain();
    let TaskState::Failed { rule, detail, .. } = &w.task(Kind::HoldMailbox).state else {
        panic!("{:?}", w.task(Kind::HoldMailbox).state)
    };
    assert_eq!(*rule, Rule::LateFind);
    assert!(detail.starts_with("asked for after"), "{detail}");
    assert!(next(w.case(), w.now, &w.gates).needs_person);
    w.pass(3 * DAY_MS);
    assert_eq!(w.case().state, CaseState::Active, "it was sealed, and nobody decided");
    let retry = Command::Retry {
        task: Some(w.id(Kind::HoldMailbox)),
        by: BOSS.into(),
    };
    w.order(retry).unwrap();
    w.run_to_sealing();
    assert_eq!(w.task(Kind::HoldMailbox).outcome(), Some(&Outcome::Verified));
    account(&w);
}

#[test]
fn a_closed_case_does_not_keep_what_it_did_not_keep() {
    let mut w = opened(leaving(), cloud());
    w.approve();
    w.pass(10 * DAY_MS);
    w.run_to_sealing();
    seal(&mut w);
    assert_eq!(w.order(wants(|_| {})).unwrap(), []);
    assert_eq!(
        w.order(wants_hold()),
        Err(Refusal::TakesNoRequest("closed")),
        "it does not go on by itself"
    );
}

/// What was told of a hold when it was planned cannot be told anew: what a group on the
/// premises gives, and what a workspace keeps.
#[test]
fn where_more_than_one_task_keeps_it_a_person_is_asked_as_well() {
    let mut w = opened(leaving(), everything());
    w.approve();
    w.order(wants_hold()).unwrap();
    assert!(w.case().has(Kind::HoldMailbox));
    let asked = w.task(Kind::DecidePreservation);
    assert_eq!(
        asked.planned.target.object.as_ref().unwrap().0,
        format!("legal_hold/{OTHER}")
    );
    assert_eq!(
        person_since(w.case(), asked),
        w.now,
        "he is not late before he was asked"
    );
    let words = keeping::words(w.case(), asked).unwrap();
    for said in [LEAD, "LEGAL-4", &OTHER.to_string(), "legal hold"] {
        assert!(words.contains(said), "{words}");
    }
    w.approve();
    w.pass(10 * DAY_MS);
    for _ in 0..10 {
        w.drain();
        w.pass(HOUR_MS);
    }
    assert!(w.task(Kind::HoldMailbox).is_settled());
    assert_eq!(w.task(Kind::ConvertToShared).attempt, 0);
    // Nobody who asked decides about it.
    for who in [LEAD, "hr@acme.example"] {
        let refused = w.order(attest(&w, who));
        assert!(matches!(refused, Err(Refusal::SamePerson(_))), "{refused:?}");
    }
    w.order(attest(&w, BOSS)).unwrap();
    w.run_to_sealing();
    assert!(settled_before_ordered(
        &w,
        Kind::DecidePreservation,
        Kind::ConvertToShared
    ));
    account(&w);
}

#[test]
fn a_device_that_another_request_wants_as_it_is_is_not_wiped_before_somebody_decides() {
    let mut w = opened(leaving(), cloud());
    w.finds = company_laptop();
    w.order(wants(|d| d.choices.wipe_company_devices = Some(false)))
        .unwrap();
    w.approve();
    w.pass(10 * DAY_MS);
    w.drain();
    w.approve();
    w.drain();
    w.attest(Kind::ConfirmDeviceReturned).unwrap();
    w.drain();
    let stands_now = stands(&w, Kind::WipeDevice);
    assert!(
        matches!(&stands_now, Standing::WaitsFor(kinds) if kinds.contains(&Kind::DecidePreservation)),
        "{stands_now:?}"
    );
    w.order(attest(&w, BOSS)).unwrap();
    assert_eq!(stands(&w, Kind::WipeDevice), Standing::WaitsForOwnApproval);
    w.run_to_sealing();
    account(&w);
}

#[test]
fn files_that_another_request_wants_handed_over_are_not_given_up_unasked() {
    let mut asks = leaving();
    asks.choices.onedrive = Some(OneDriveChoice::Ask);
    let mut w = opened(asks, cloud());
    w.order(wants(|_| {})).unwrap();
    assert_eq!(
        w.task(Kind::DecidePreservation)
            .planned
            .target
            .object
            .as_ref()
            .unwrap()
            .0,
        format!("files/{OTHER}")
    );
    // The other way round nothing is lost.
    let mut w = opened(leaving(), cloud());
    w.order(wants(|d| d.choices.onedrive = Some(OneDriveChoice::Ask)))
        .unwrap();
    assert!(!w.case().has(Kind::DecidePreservation));
}

#[test]
fn who_called_off_what_wanted_it_is_asked_about_no_more() {
    let mut w = opened(leaving(), everything());
    w.approve();
    w.order(wants_hold()).unwrap();
    w.order(leave()).unwrap();
    assert!(matches!(
        w.task(Kind::DecidePreservation).outcome(),
        Some(Outcome::NotApplicable { .. })
    ));
    assert!(
        !w.task(Kind::HoldMailbox).is_settled(),
        "a machine lets go of nothing by itself"
    );
    w.approve();
    w.pass(10 * DAY_MS);
    w.run_to_sealing();
    account(&w);
}

#[test]
fn what_is_being_called_off_keeps_nothing_for_another() {
    let mut w = World::with_in_flight(Kind::RemoveDirectoryRoles, Manner::Immediate);
    w.order(Command::Cancel {
        by: BOSS.into(),
        reason: "he stays".into(),
    })
    .unwrap();
    w.order(wants_hold()).unwrap();
    assert!(!w.case().has(Kind::HoldMailbox) && !w.case().has(Kind::DecidePreservation));
    w.drain();
    assert_eq!(w.case().lets_go(), [(OTHER, T0)], "it goes on by itself");
}

#[test]
fn what_somebody_went_without_for_a_while_is_taken_up_as_it_was_wanted() {
    let mut w = opened(leaving(), cloud());
    w.order(wants(|d| d.choices.wipe_company_devices = Some(false)))
        .unwrap();
    let task = w.id(Kind::DecidePreservation);
    let until = T0.plus(60 * DAY_MS);
    w.order(Command::Waive {
        task,
        by: BOSS.into(),
        reason: "legal looks into it".into(),
        until,
    })
    .unwrap();
    w.approve();
    w.pass(10 * DAY_MS);
    w.run_to_sealing();
    seal(&mut w);
    let again = follow_up(w.case(), task, until).unwrap();
    assert_eq!(again.choices.wipe_company_devices, Some(false));
}

#[test]
fn what_the_other_request_knows_that_he_knew_is_changed_too() {
    let mut own = leaving();
    own.choices.shared_credentials = vec!["Door code".into()];
    let mut w = opened(own, cloud());
    w.order(wants(|d| {
        d.choices.shared_credentials = vec!["door code".into(), "Safe".into()];
    }))
    .unwrap();
    let objects: Vec<String> = w
        .case()
        .tasks
        .values()
        .filter(|t| t.kind() == Kind::RotateSharedCredential)
        .map(|t| t.planned.target.object.as_ref().unwrap().0.clone())
        .collect::<BTreeSet<String>>()
        .into_iter()
        .collect();
    assert_eq!(objects, ["Door code", "Safe"]);
    assert!(!w.case().has(Kind::DecidePreservation));
}

/// The case that it joins may have been accepted before the policy wanted it.
#[test]
fn what_a_request_s_own_policy_wants_kept_is_told() {
    let plain = Arc::new(leaving());
    assert_eq!(*keeping::spelled_out(&plain, &Policy::default()), *plain);
    let policy = Policy {
        legal_hold: true,
        wipe_company_devices: false,
        shared_credentials: vec!["Door code".into()],
        ..Policy::default()
    };
    let told = keeping::spelled_out(&plain, &policy);
    assert_eq!(told.choices.legal_hold, Some(true));
    assert_eq!(told.choices.wipe_company_devices, Some(false));
    assert_eq!(told.choices.shared_credentials, ["Door code"]);
    let mut against = leaving();
    against.choices.legal_hold = Some(false);
    let told = keeping::spelled_out(&Arc::new(against), &policy);
    assert_eq!(told.choices.legal_hold, Some(false));
}
