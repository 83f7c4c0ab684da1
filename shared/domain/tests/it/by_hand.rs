//! Ring 1: what people bring about by hand, go without, and may not say.

use crate::model::*;
use offboard_domain::assignment::baseline_in;
use offboard_domain::catalogue::Kind;
use offboard_domain::departure::Manner;
use offboard_domain::fault::{FaultClass, MASTERED_ELSEWHERE};
use offboard_domain::standing::{Standing, standing, words};
use offboard_domain::time::{HOUR_MS, MINUTE_MS};
use offboard_domain::{Command, Digest, Facts, Mode, Outcome, Policy, Refusal, Said, TaskState};

const BOSS: &str = "boss@msp.example";

fn retry(w: &mut World, kind: Kind) {
    let (task, by) = (Some(w.id(kind)), BOSS.to_owned());
    w.order(Command::Retry { task, by }).unwrap();
}

/// A counter proves that it moved: since the first look, and not only within the
/// attempt that sees it, or what a person has done meanwhile would never count.
#[test]
fn a_counter_that_a_person_moved_by_hand_is_compared_with_what_was_read_before_he_did() {
    let mut w = World::with_in_flight(Kind::ResetPassword, Manner::Immediate);
    let before = seen(Facts::new().with("password_changed_ms", 1));
    let mut refused = w.report(w.id(Kind::ResetPassword), fault(FaultClass::Unsupported));
    refused.seen = Some(before.clone());
    w.order(Command::RecordReport(Box::new(refused))).unwrap();
    assert!(matches!(w.task(Kind::ResetPassword).state, TaskState::Failed { .. }));
    w.drain();
    retry(&mut w, Kind::ResetPassword);
    w.drain_but(Kind::ResetPassword);
    let ordered = w.case().assignment(w.id(Kind::ResetPassword)).unwrap();
    assert_eq!(baseline_in(&ordered.checkpoint.unwrap()), Some(before.clone()));
    let after = seen(Facts::new().with("password_changed_ms", 2));
    let said = Said::Satisfied { before, after };
    let report = w.report(w.id(Kind::ResetPassword), said);
    w.order(Command::RecordReport(Box::new(report))).unwrap();
    let reset = w.task(Kind::ResetPassword);
    assert_eq!(reset.outcome(), Some(&Outcome::VerifiedByCounter));
    assert_eq!(reset.checkpoint, None, "a redo begins anew");
}

/// What is granted after a refusal lets the machine do it: he who leaves may have moved the
/// counter himself meanwhile, and would know the password.
#[test]
fn what_a_counter_was_before_a_missing_permission_is_not_compared_with() {
    for (class, code, is_kept) in [
        (FaultClass::Denied, None, false),
        (FaultClass::Blocked, None, false),
        (FaultClass::Rejected, None, false),
        (FaultClass::Blocked, Some(MASTERED_ELSEWHERE), true),
        (FaultClass::Unsupported, None, true),
    ] {
        let mut w = World::with_in_flight(Kind::ResetPassword, Manner::Immediate);
        let mut said = fault(class);
        if let Said::Fault { fault } = &mut said {
            fault.code = code.map(str::to_owned);
        }
        let mut refused = w.report(w.id(Kind::ResetPassword), said);
        refused.seen = Some(seen(Facts::new().with("password_changed_ms", 1)));
        w.order(Command::RecordReport(Box::new(refused))).unwrap();
        w.drain();
        retry(&mut w, Kind::ResetPassword);
        w.drain_but(Kind::ResetPassword);
        let ordered = w.case().assignment(w.id(Kind::ResetPassword)).unwrap();
        let kept = ordered.checkpoint.as_ref().and_then(baseline_in).is_some();
        assert_eq!(kept, is_kept, "{class:?} {code:?}");
    }
}

#[test]
fn both_revocations_follow_a_reset_that_came_late() {
    let mut w = World::with_in_flight(Kind::ResetPassword, Manner::Immediate);
    let refused = w.report(w.id(Kind::ResetPassword), fault(FaultClass::Blocked));
    w.order(Command::RecordReport(Box::new(refused))).unwrap();
    w.drain();
    w.pass(HOUR_MS);
    w.drain();
    let attempts = |w: &World| {
        let of = |kind| w.task(kind).attempt;
        (of(Kind::RevokeSessions), of(Kind::RevokeSessionsAgain))
    };
    let before = attempts(&w);
    assert!(w.task(Kind::RevokeSessionsAgain).is_settled());
    retry(&mut w, Kind::ResetPassword);
    w.drain();
    w.pass(HOUR_MS);
    w.drain();
    let after = attempts(&w);
    assert!(after.0 > before.0 && after.1 > before.1, "{before:?} {after:?}");
    assert_eq!(w.task(Kind::RevokeSessions).reopened, 0, "that is no flapping");
}

/// Somebody who goes without it for a while does not say that it has not happened.
#[test]
fn what_must_not_happen_twice_is_read_first_when_a_waiver_ends() {
    let mut w = World::with_in_flight(Kind::WipeDevice, Manner::Planned);
    let wipe = w.id(Kind::WipeDevice);
    let unknown = w.report(wipe, fault(FaultClass::Unknown));
    w.order(Command::RecordReport(Box::new(unknown))).unwrap();
    let busy = w.task(Kind::WipeDevice).busy_until;
    assert!(busy.is_some());
    w.order(Command::Waive {
        task: wipe,
        by: BOSS.into(),
        reason: "it is looked for".into(),
        until: w.now.plus(MINUTE_MS),
    })
    .unwrap();
    assert_eq!(w.task(Kind::WipeDevice).busy_until, busy);
    w.pass(2 * MINUTE_MS);
    let stands = |w: &World| standing(w.case(), w.task(Kind::WipeDevice), w.now, &w.gates);
    assert!(
        matches!(stands(&w), Standing::WaitsUntil(wake) if Some(wake.at) == busy),
        "{:?}",
        stands(&w)
    );
    w.pass(busy.unwrap().since(w.now) + 1);
    assert_eq!(w.case().assignment(wipe).unwrap().mode, Mode::ObserveOnly);
}

/// Nobody's word has a device wiped again of which nobody can tell whether it was: whoever
/// looks does by hand what is missing, and that is read.
#[test]
fn a_retry_of_what_may_have_happened_only_reads_it_again_and_the_advice_says_so() {
    let mut w = World::with_in_flight(Kind::WipeDevice, Manner::Planned);
    let wipe = w.id(Kind::WipeDevice);
    let unknown = w.report(wipe, fault(FaultClass::Unknown));
    w.order(Command::RecordReport(Box::new(unknown))).unwrap();
    let busy = w.task(Kind::WipeDevice).busy_until.unwrap();
    w.pass(busy.since(w.now));
    for wiped in [false, false, true] {
        assert_eq!(w.case().assignment(wipe).unwrap().mode, Mode::ObserveOnly);
        let facts = Facts::new().with("wiped", wiped).with("owner_type", "company");
        let observation = seen(facts.with("conclusive", wiped));
        let report = w.report(wipe, Said::Observed { observation });
        w.order(Command::RecordReport(Box::new(report))).unwrap();
        if !wiped {
            let stands = standing(w.case(), w.task(Kind::WipeDevice), w.now, &w.gates);
            let said = words(&stands, w.task(Kind::WipeDevice));
            assert!(said.contains("do by hand what is not there"), "{said}");
            assert!(said.contains("reads it again and orders nothing unless"), "{said}");
            retry(&mut w, Kind::WipeDevice);
        }
    }
    assert_eq!(w.task(Kind::WipeDevice).outcome(), Some(&Outcome::Verified));
}

#[test]
fn a_late_word_of_what_is_gone_without_is_minded() {
    let mut w = World::with_in_flight(Kind::WipeDevice, Manner::Planned);
    let wipe = w.id(Kind::WipeDevice);
    let late = w.report(wipe, fault(FaultClass::Unknown));
    let refused = w.report(wipe, fault(FaultClass::Rejected));
    w.order(Command::RecordReport(Box::new(refused))).unwrap();
    w.order(Command::Waive {
        task: wipe,
        by: BOSS.into(),
        reason: "by hand".into(),
        until: w.now.plus(HOUR_MS),
    })
    .unwrap();
    assert!(!w.task(Kind::WipeDevice).observe_first);
    w.order(Command::RecordReport(Box::new(late))).unwrap();
    assert!(w.task(Kind::WipeDevice).observe_first);
}

#[test]
fn whoever_leaves_decides_nothing_although_he_asked_for_it_himself() {
    let mut own = departure(Manner::Planned);
    own.requested_by = "Leaver@acme.example".into();
    let mut w = World::with(own, Policy::default());
    w.run_until(|w| w.case().has(Kind::Validate));
    let leaver = || "leaver@acme.example".to_owned();
    let attested = w.order(Command::Attest {
        task: w.id(Kind::Validate),
        by: leaver(),
        file: Some(Digest::of(b"file")),
        ending: None,
        note: String::new(),
    });
    assert!(
        matches!(attested, Err(Refusal::IsTheLeaver(_) | Refusal::TooEarly { .. })),
        "{attested:?}"
    );
    let cancelled = w.order(Command::Cancel {
        by: leaver(),
        reason: "I stay".into(),
    });
    assert!(matches!(cancelled, Err(Refusal::IsTheLeaver(_))), "{cancelled:?}");
}
