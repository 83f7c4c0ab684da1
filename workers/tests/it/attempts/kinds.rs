//! The laws that every kind upholds alike.

use crate::attempts::drive::{Desk, End, NEVER, every_kind, setting};
use offboard_domain::catalogue::Proof;
use offboard_domain::{FaultClass, Kind, Mode, Said};
use offboard_runtime::Clock as _;

#[tokio::test(start_paused = true)]
async fn observing_writes_nothing() {
    for kind in every_kind() {
        let (state, mut todo) = setting(kind);
        let mut desk = Desk::new(state.clone());
        todo.mode = Mode::ObserveOnly;
        let report = desk.once(&todo).await;
        let told = matches!(
            report.said,
            Said::Observed { .. } | Said::Found { .. } | Said::Wait { .. }
        );
        assert!(told, "{kind}: {:?}", report.said);
        assert_eq!(desk.writes(), Vec::<String>::new(), "{kind}");
        assert_eq!(desk.fake.lock().trespasses, 0, "{kind}");
        assert_eq!(desk.fake.now(), state, "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn after_apply_it_is_satisfied_and_twice_is_once() {
    for kind in every_kind() {
        let (state, todo) = setting(kind);
        let mut desk = Desk::new(state.clone());
        let end = desk.settle(todo.clone(), &mut NEVER.clone()).await;
        if !kind.spec().finds.is_empty() {
            assert!(matches!(end, End::Found(..)), "{end:?}");
        } else {
            assert!(matches!(end, End::Settled(_)), "{kind}: {end:?}");
        }
        let spec = kind.spec();
        // What an archive writes, it writes into our own store.
        let outside = spec.writes && kind != Kind::ArchiveMailbox;
        assert_eq!(outside, !desk.writes().is_empty(), "{kind} wrote {:?}", desk.writes());
        assert_eq!(desk.fake.lock().trespasses, 0, "{kind}");
        for line in desk.writes() {
            let names_the_other = kind == Kind::RemoveDelegations;
            assert!(
                names_the_other || !line.contains("u-other"),
                "{kind} touched somebody else: {line}"
            );
        }
        if !spec.convergent {
            continue;
        }
        let (once, written) = (desk.fake.now().shape(), desk.writes().len());
        let again = desk.settle(todo, &mut NEVER.clone()).await;
        assert!(matches!(again, End::Settled(_) | End::Found(..)), "{kind}: {again:?}");
        assert_eq!(desk.fake.now().shape(), once, "{kind}");
        if !matches!(spec.proof, Proof::Counter | Proof::Acknowledged) {
            assert_eq!(desk.writes().len(), written, "{kind} wrote again: {:?}", desk.writes());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn reads_that_lag_behind_are_waited_for_and_nothing_is_claimed() {
    for kind in every_kind() {
        let (state, todo) = setting(kind);
        for lag_ms in [3_000, 90_000] {
            let mut desk = Desk::new(state.clone());
            // History needs a past for the lag to look into.
            desk.fake.clock.to(desk.now().plus(600_000));
            desk.fake.lock().lag_ms = lag_ms;
            let end = desk.settle(todo.clone(), &mut NEVER.clone()).await;
            assert!(
                matches!(end, End::Settled(_) | End::Found(..)),
                "{kind} at {lag_ms}: {end:?}"
            );
            if kind.spec().proof == Proof::Counter {
                assert_eq!(desk.writes().len(), 1, "{kind} wrote again instead of waiting");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_assignment_is_not_begun() {
    for kind in every_kind() {
        let (state, todo) = setting(kind);
        let mut desk = Desk::new(state);
        let assignment = desk.assignment(&todo);
        desk.fake.clock.to(assignment.start_by.plus(1));
        let report = offboard_workers::attempt(&assignment, offboard_domain::Lane::Normal, false, &desk.context).await;
        assert!(matches!(report.said, Said::NotBegun { .. }), "{kind}");
        assert!(report.receipts.is_empty() && desk.writes().is_empty(), "{kind}");
        assert_eq!((report.version, report.head), (assignment.version, assignment.head));
        drop(desk.once(&todo).await);
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_ends_before_its_time_and_says_what_it_does_not_know() {
    for kind in every_kind() {
        let (state, todo) = setting(kind);
        let desk = Desk::new(state);
        let mut assignment = desk.assignment(&todo);
        // Time runs out in the course of the attempt: virtual calls take no
        // time, so the limit is at once.
        assignment.run_for_ms = 0;
        let report = offboard_workers::attempt(&assignment, offboard_domain::Lane::Normal, false, &desk.context).await;
        let Said::Fault { fault } = &report.said else {
            panic!("{kind}: {:?}", report.said)
        };
        assert_eq!(fault.class, FaultClass::Transient, "{kind}");
        assert!(desk.writes().is_empty(), "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_vendor_is_unknown_and_then_converges() {
    for kind in every_kind().into_iter().filter(|k| k.spec().writes) {
        for takes_effect in [false, true] {
            let (state, todo) = setting(kind);
            let mut clean = Desk::new(state.clone());
            clean.settle(todo.clone(), &mut NEVER.clone()).await;
            let mut desk = Desk::new(state);
            desk.fake.lock().next_faults = vec![(FaultClass::Unknown, takes_effect)];
            let end = desk.settle(todo, &mut NEVER.clone()).await;
            assert!(matches!(end, End::Settled(_)), "{kind}: {end:?}");
            // Both worlds at the same, later time.
            let later = desk.now().max(clean.now()).plus(86_400_000);
            desk.fake.clock.to(later);
            clean.fake.clock.to(later);
            assert_eq!(desk.fake.now().shape(), clean.fake.now().shape(), "{kind}");
            if kind == Kind::WipeDevice {
                assert_eq!(desk.writes().iter().filter(|w| w.starts_with("Wipe")).count(), 1);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn unserved_systems_and_unresolved_subjects_are_faults() {
    let (state, todo) = setting(Kind::DisableSignIn);
    let desk = Desk::new(state);
    let lane = offboard_domain::Lane::Urgent;
    let mut assignment = desk.assignment(&todo);
    assignment.target.system = offboard_domain::System::new("other").unwrap();
    let report = offboard_workers::attempt(&assignment, lane, false, &desk.context).await;
    assert!(matches!(report.said, Said::Fault { fault } if fault.class == FaultClass::Denied));
    let mut assignment = desk.assignment(&todo);
    assignment.subject.0.clear();
    let report = offboard_workers::attempt(&assignment, lane, false, &desk.context).await;
    assert!(matches!(report.said, Said::Fault { fault } if fault.class == FaultClass::Rejected));
    assert!(desk.fake.clock.now() > offboard_domain::Timestamp(0));
}
