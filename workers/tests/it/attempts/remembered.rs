//! What an attempt has come to know when a fault ends it, and what the next one
//! makes of it.

use crate::attempts::closing::round;
use crate::attempts::drive::{Desk, End, NEVER, Todo, setting};
use crate::attempts::fake::State;
use crate::attempts::fake::state::LEAVER;
use offboard_domain::assignment::{baseline_facts, baseline_in, take_baseline};
use offboard_domain::{Facts, FaultClass, Kind, Lane, Mode, Observation, Report, Said};
use offboard_workers::attempt;
use std::time::Duration;

/// The report of an attempt that a fault ended.
async fn faulted(desk: &mut Desk, todo: &Todo) -> Report {
    let report = desk.once(todo).await;
    assert!(matches!(report.said, Said::Fault { .. }), "{:?}", report.said);
    report
}

/// What a fault's report leaves to the next attempt, but for what was read before the write
/// that was begun: that goes with it unless the write was refused.
fn but_what_was_read(report: Report) -> Facts {
    let mut left = report.remembered.unwrap();
    assert!(take_baseline(&mut left).is_some(), "{left:?}");
    left
}

/// One attempt, whose first reading after a write fails.
async fn unread(kind: Kind) -> (Desk, Todo, Option<Facts>) {
    let (state, todo) = setting(kind);
    let mut desk = Desk::new(state);
    desk.fake.lock().reads_fail = 1;
    let report = faulted(&mut desk, &todo).await;
    (desk, todo, report.remembered)
}

#[tokio::test(start_paused = true)]
async fn a_device_that_was_told_to_retire_may_go_although_a_fault_ended_the_attempt() {
    for slow in [false, true] {
        let (state, mut todo) = setting(Kind::RetireDevice);
        let mut desk = Desk::new(state);
        if slow {
            // The reading after the order is not through when the attempt's time is over: the
            // first and the one right before the order are.
            let run_for_ms = u64::try_from(todo.kind.spec().run_for_ms).unwrap();
            desk.fake.lock().slow = Duration::from_millis(run_for_ms * 4 / 10);
        } else {
            desk.fake.lock().reads_fail = 1;
        }
        let report = faulted(&mut desk, &todo).await;
        desk.fake.lock().slow = Duration::ZERO;
        todo.checkpoint = report.remembered;
        // Its record goes before anybody looks again.
        desk.fake
            .edit(|s| s.devices.get_mut("m-personal").unwrap().managed = None);
        let end = desk.settle(todo, &mut NEVER.clone()).await;
        assert!(matches!(end, End::Settled(_)), "{slow}: {end:?}");
        assert_eq!(desk.writes().len(), 1, "{slow}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_phone_that_goes_after_a_fault_is_missed() {
    let (state, mut todo) = setting(Kind::WipeAccount);
    let mut desk = Desk::new(state);
    // The first is told, and the second is not.
    desk.fake.lock().next_faults = vec![(FaultClass::Transient, false), (FaultClass::Absent, true)];
    let report = faulted(&mut desk, &todo).await;
    todo.checkpoint = report.remembered;
    desk.fake.edit(|s| {
        s.office.handhelds.remove("p-2");
    });
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    assert!(
        matches!(&end, End::Asked(why) if why.contains("does not prove a wipe")),
        "{end:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_phone_is_waited_for_from_when_it_was_told_and_not_before() {
    const TOLD: &str = "wipe_ordered_ms";
    let (_, _, remembered) = unread(Kind::RemoveMobilePartnerships).await;
    assert!(remembered.unwrap().int(TOLD).is_some());
    let (state, todo) = setting(Kind::RemoveMobilePartnerships);
    let mut desk = Desk::new(state);
    desk.fake.lock().next_faults = vec![(FaultClass::Transient, false)];
    let report = faulted(&mut desk, &todo).await;
    assert_eq!(but_what_was_read(report).int(TOLD), None, "nobody has told it");
}

#[tokio::test(start_paused = true)]
async fn what_was_written_is_not_written_again_because_it_could_not_be_read() {
    for kind in [Kind::RevokeSessions, Kind::ResetPassword, Kind::ConvertToShared] {
        let (mut desk, mut todo, remembered) = unread(kind).await;
        todo.checkpoint = remembered;
        let end = desk.settle(todo, &mut NEVER.clone()).await;
        assert!(matches!(end, End::Settled(_)), "{kind}: {end:?}");
        assert_eq!(desk.writes().len(), 1, "{kind}: {:?}", desk.writes());
    }
}

#[tokio::test(start_paused = true)]
async fn a_conversion_is_agreed_on_anew_after_it_was_not() {
    let (state, mut todo) = setting(Kind::ConvertToShared);
    let mut desk = Desk::new(state);
    let long_ago = desk.now().0 - 3_600_000;
    todo.checkpoint = Some(Facts::new().with("agreed_since_ms", long_ago));
    desk.fake.lock().next_faults = vec![(FaultClass::Transient, false)];
    let report = faulted(&mut desk, &todo).await;
    assert_eq!(but_what_was_read(report), Facts::new());
}

/// What a person brings about after a refusal is not ours, whatever was read before.
#[tokio::test(start_paused = true)]
async fn what_was_read_before_a_refused_write_is_not_handed_over() {
    for class in [FaultClass::Denied, FaultClass::Rejected, FaultClass::Unsupported] {
        let (state, todo) = setting(Kind::ConvertToShared);
        let mut desk = Desk::new(state);
        desk.fake.lock().next_faults = vec![(class, false)];
        let report = faulted(&mut desk, &todo).await;
        let first = report.remembered.as_ref().and_then(baseline_in);
        assert_eq!(first, None, "{class:?}");
    }
}

/// The next attempt reads the order, and no more what there was before it.
#[tokio::test(start_paused = true)]
async fn what_was_there_before_the_order_is_handed_over_with_it() {
    let (state, mut todo) = setting(Kind::WipeDevice);
    let mut desk = Desk::new(state);
    let report = desk.once(&todo).await;
    let Said::Wait { checkpoint, .. } = report.said else {
        panic!("{:?}", report.said)
    };
    let first = baseline_in(checkpoint.as_ref().unwrap()).unwrap();
    let conclusive = |seen: &Observation| seen.facts.bool("conclusive");
    assert_eq!(conclusive(&first), Some(true), "there was no order");
    assert_eq!(report.seen.as_ref().map(conclusive), Some(Some(false)));
    // Who only reads hands nothing over.
    (todo.checkpoint, todo.mode) = (None, Mode::ObserveOnly);
    let report = desk.once(&todo).await;
    let Said::Wait { checkpoint, .. } = report.said else {
        panic!("{:?}", report.said)
    };
    assert_eq!(baseline_in(&checkpoint.unwrap()), None);
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_taught_nothing_hands_nothing_back() {
    let (state, mut todo) = setting(Kind::RetireDevice);
    let mut desk = Desk::new(state);
    todo.checkpoint = Some(Facts::new().with("retire_ordered", true));
    desk.fake.lock().next_faults = vec![(FaultClass::Transient, false)];
    let report = faulted(&mut desk, &todo).await;
    assert_eq!(Some(but_what_was_read(report)), todo.checkpoint);
    // Nor was anything begun: its time is over before anything is read.
    desk.fake.lock().slow = Duration::from_millis(u64::try_from(todo.kind.spec().run_for_ms).unwrap());
    let report = faulted(&mut desk, &todo).await;
    assert_eq!(report.remembered, None);
}

#[tokio::test(start_paused = true)]
async fn a_transfer_that_was_seen_is_never_ordered_again_though_its_order_was_not_answered() {
    let (state, mut todo) = setting(Kind::TransferFiles);
    let mut desk = Desk::new(state);
    desk.fake.lock().unanswered = 1;
    let report = faulted(&mut desk, &todo).await;
    assert!(matches!(report.said, Said::Fault { fault } if fault.class == FaultClass::Unknown));
    todo.mode = Mode::ObserveOnly;
    let Said::Wait { checkpoint, .. } = desk.once(&todo).await.said else {
        panic!("it is under way")
    };
    todo.checkpoint = checkpoint;
    // A list that lacks it afterwards proves nothing.
    desk.fake.edit(|s| s.office.transfers.clear());
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    assert!(
        matches!(&end, End::Asked(why) if why.contains("inconclusive")),
        "{end:?}"
    );
    assert_eq!(desk.writes().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_a_closing_round_has_seen_of_one_task_outlives_the_fault_of_another() {
    let desk = Desk::new(State::rich());
    let mut assignment = round(&desk, &[Kind::DisableSignIn, Kind::ResetPassword]);
    assignment.kind = Kind::ObserveIdentity;
    // Nobody can read this one.
    assignment.checks[1].kind = Kind::ConfirmHandover;
    desk.fake.edit(|s| drop(s.accounts.remove(LEAVER)));
    let report = attempt(&assignment, Lane::Normal, false, &desk.context).await;
    assert!(matches!(report.said, Said::Fault { .. }), "{:?}", report.said);
    let since = format!("{}/account_gone_since_ms", assignment.checks[0].task);
    assert_eq!(report.remembered.unwrap().int(&since), Some(desk.now().0));
}

/// A task that was refused as this class, and a counter that somebody moved since.
async fn moved_after(kind: Kind, class: FaultClass) -> (Desk, Todo) {
    let (state, mut todo) = setting(kind);
    let mut desk = Desk::new(state);
    desk.fake.lock().next_faults = vec![(class, false)];
    let refused = faulted(&mut desk, &todo).await;
    assert_eq!(desk.writes(), Vec::<String>::new());
    todo.checkpoint = refused.seen.as_ref().map(baseline_facts);
    todo.attempt += 1;
    desk.fake.clock.to(desk.now().plus(60_000));
    let moved_ms = desk.now().0;
    desk.fake.edit(|s| {
        s.accounts.get_mut(LEAVER).unwrap().password_changed_ms = Some(moved_ms);
    });
    desk.fake.clock.to(desk.now().plus(60_000));
    (desk, todo)
}

/// Else it would be his own new password that is claimed as ours.
#[tokio::test(start_paused = true)]
async fn a_password_that_he_changed_himself_after_a_refusal_is_reset_all_the_same() {
    for kind in [Kind::ResetPassword, Kind::ResetPasswordOnPremises] {
        for class in [FaultClass::Denied, FaultClass::Unsupported] {
            let (mut desk, todo) = moved_after(kind, class).await;
            let his = desk.fake.now().accounts[LEAVER].password_changed_ms;
            let report = desk.once(&todo).await;
            let Said::Satisfied { before, after } = report.said else {
                panic!("{kind}: {:?}", report.said)
            };
            assert_eq!(desk.writes(), ["password u-leaver"], "{kind}");
            assert_eq!(before.facts.int("password_changed_ms"), his, "{kind}");
            assert!(after.facts.int("password_changed_ms") > his, "{kind}");
        }
    }
}

/// Nothing is granted that would let the machine do it.
#[tokio::test(start_paused = true)]
async fn what_a_machine_can_never_do_counts_when_it_was_done_by_hand() {
    for (again, counts) in [
        (FaultClass::Unsupported, true),
        (FaultClass::Denied, false),
        (FaultClass::Rejected, false),
    ] {
        let (mut desk, todo) = moved_after(Kind::ResetPassword, FaultClass::Unsupported).await;
        desk.fake.lock().next_faults = vec![(again, false)];
        let report = desk.once(&todo).await;
        let settled = matches!(report.said, Said::Satisfied { .. });
        assert_eq!(settled, counts, "{again:?}: {:?}", report.said);
        assert_eq!(desk.writes(), Vec::<String>::new());
    }
}
