//! What is a person's to decide: approvals, attestations and waivers, who may give them, and when.

use crate::model::*;
use offboard_domain::catalogue::Kind;
use offboard_domain::departure::{Departure, Forwarding, Manner, OneDriveChoice};
use offboard_domain::fault::Rule;
use offboard_domain::standing::{Standing, next, standing};
use offboard_domain::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use offboard_domain::{
    ApprovalOf, CaseId, CaseState, Command, Digest, Event, Facts, ObjectId, Policy, Refusal, Said, TaskState, follow_up,
};
use std::collections::BTreeSet;

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
