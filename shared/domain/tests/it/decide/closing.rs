//! The closing round: what differs is done again, or is a person's, and what flaps comes to an end.

use crate::model::*;
use offboard_domain::assignment::baseline_facts;
use offboard_domain::catalogue::{ACCOUNT_GONE, Kind};
use offboard_domain::departure::{Manner, Meetings};
use offboard_domain::fault::{FaultClass, Rule};
use offboard_domain::standing::{Standing, standing};
use offboard_domain::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use offboard_domain::{CaseState, Command, Facts, Policy, Said, TaskId, TaskState};

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
    let mut w = World::about_to_wipe();
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
