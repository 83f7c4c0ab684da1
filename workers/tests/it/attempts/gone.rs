//! An account of a workspace that is not found. It is gone when the workspace lists it
//! as deleted, or when it is not found for an hour in the company that it was found in.

use crate::attempts::drive::{Desk, End, NEVER, his_names, setting};
use crate::attempts::fake::workspace::HIS;
use offboard_domain::catalogue::workspace::{COMPANY, DELETED_MS, KINDS};
use offboard_domain::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use offboard_domain::{Assignment, Check, Facts, FaultClass, Kind, Lane, Mode, Said, Target};
use offboard_workers::attempt;

const NEEDS_NO_MORE: [Kind; 3] = [
    Kind::SuspendAtOnce,
    Kind::RevokeTokensInWorkspace,
    Kind::SetForwardingInWorkspace,
];

#[tokio::test(start_paused = true)]
async fn what_is_not_found_once_is_not_gone() {
    for kind in NEEDS_NO_MORE {
        let (mut state, todo) = setting(kind);
        let row = state.office.members.remove(HIS).unwrap();
        let mut desk = Desk::new(state.clone());
        let report = desk.once(&todo).await;
        let Said::Wait { checkpoint, why, .. } = report.said else {
            panic!("{kind}: {:?}", report.said)
        };
        assert!(why.contains("not found"), "{why}");
        assert_eq!(desk.writes(), Vec::<String>::new(), "{kind}");
        // It is there again, and what was to be done is done.
        let mut again = todo.clone();
        again.checkpoint = checkpoint;
        desk.fake.edit(|s| drop(s.office.members.insert(HIS.to_owned(), row)));
        let end = desk.settle(again, &mut NEVER.clone()).await;
        assert!(matches!(end, End::Settled(_)), "{kind}: {end:?}");
        // It never is, and somebody has looked for as long as replicas may differ.
        let mut desk = Desk::new(state);
        let since = desk.now();
        let end = desk.settle(todo, &mut NEVER.clone()).await;
        assert!(matches!(end, End::NotApplicable(_)), "{kind}: {end:?}");
        assert!(desk.now().since(since) >= HOUR_MS, "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_listed_as_deleted_is_gone_at_once_and_since_when_is_said() {
    for kind in NEEDS_NO_MORE {
        let (mut state, todo) = setting(kind);
        state.office.members.remove(HIS);
        state.office.deleted.insert(HIS.to_owned(), 5_000);
        let mut desk = Desk::new(state);
        let since = desk.now();
        let end = desk.settle(todo, &mut NEVER.clone()).await;
        assert!(matches!(end, End::NotApplicable(_)), "{kind}: {end:?}");
        assert!(desk.now().since(since) < MINUTE_MS, "{kind}");
    }
    let (mut state, todo) = setting(Kind::TransferFiles);
    state.office.members.remove(HIS);
    state.office.deleted.insert(HIS.to_owned(), 5_000);
    let report = Desk::new(state).once(&todo).await;
    let Said::Fault { fault } = &report.said else {
        panic!("{:?}", report.said)
    };
    assert!(fault.detail.contains("Restore it"), "{fault}");
    let seen = report.seen.unwrap();
    assert_eq!(seen.facts.int(DELETED_MS), Some(5_000));
}

#[tokio::test(start_paused = true)]
async fn what_another_company_does_not_have_is_not_gone() {
    for kind in KINDS.iter().copied().filter(|k| k.spec().writes) {
        let (mut state, mut todo) = setting(kind);
        state.office.members.remove(HIS);
        state.office.company = Some("C99".to_owned());
        todo.params.set(COMPANY, "C01");
        let mut desk = Desk::new(state);
        let report = desk.once(&todo).await;
        let Said::Fault { fault } = &report.said else {
            panic!("{kind}: {:?}", report.said)
        };
        assert_eq!(fault.class, FaultClass::Blocked, "{kind}: {fault}");
        assert!(fault.detail.contains("another company"), "{kind}: {fault}");
        assert_eq!(desk.writes(), Vec::<String>::new(), "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_task_knows_in_which_company_he_was_found() {
    let (mut state, mut todo) = setting(Kind::ResolveInWorkspace);
    state.office.company = Some("C01".to_owned());
    todo.params = his_names();
    let End::Found(_, finds) = Desk::new(state).settle(todo, &mut NEVER.clone()).await else {
        panic!("not found");
    };
    assert!(!finds.is_empty());
    assert!(finds.iter().all(|f| f.params.text(COMPANY) == Some("C01")), "{finds:?}");
}

#[tokio::test(start_paused = true)]
async fn the_closing_round_waits_too_before_it_believes_that_an_account_is_gone() {
    let (mut state, todo) = setting(Kind::SuspendInWorkspace);
    state.office.members.remove(HIS);
    let desk = Desk::new(state);
    let of_task = desk.assignment(&todo);
    let check = Check {
        task: of_task.task,
        kind: Kind::SuspendInWorkspace,
        target: of_task.target.clone(),
        params: todo.params.clone(),
    };
    let mut round = Assignment {
        kind: Kind::ObserveIdentity,
        mode: Mode::ObserveOnly,
        target: Target {
            system: of_task.target.system.clone(),
            object: Some("round-1".into()),
        },
        params: Facts::new(),
        checks: vec![check],
        ..of_task
    };
    let since = desk.now();
    let results = loop {
        let report = attempt(&round, Lane::Normal, false, &desk.context).await;
        match report.said {
            Said::Wait { until, checkpoint, .. } => {
                assert!(desk.now().since(since) < HOUR_MS);
                desk.fake.clock.to(until);
                round.checkpoint = checkpoint;
                round.start_by = until.plus(HOUR_MS);
            }
            Said::Checked { results } => break results,
            other => panic!("{other:?}"),
        }
    };
    assert!(desk.now().since(since) >= HOUR_MS);
    assert_eq!(results[0].observation.facts.bool("object_exists"), Some(false));
}

/// Two looks a day apart say little of the hours in between. What makes us wait so long may do
/// so again and again, and yet each look counts.
#[tokio::test(start_paused = true)]
async fn an_hour_in_which_nobody_looked_counts_for_half_of_one() {
    for (apart_ms, looks) in [(25 * MINUTE_MS, 3), (35 * MINUTE_MS, 2), (DAY_MS, 2)] {
        let (mut state, mut todo) = setting(Kind::RevokeTokensInWorkspace);
        state.office.members.remove(HIS);
        let mut desk = Desk::new(state);
        for _ in 0..looks {
            let report = desk.once(&todo).await;
            let Said::Wait { checkpoint, .. } = report.said else {
                panic!("{apart_ms}: {:?}", report.said)
            };
            todo.checkpoint = checkpoint;
            desk.fake.clock.to(desk.now().plus(apart_ms));
        }
        let last = desk.once(&todo).await.said;
        assert!(matches!(last, Said::Satisfied { .. }), "{apart_ms}: {last:?}");
        let end = desk.settle(todo, &mut NEVER.clone()).await;
        assert!(matches!(end, End::NotApplicable(_)), "{end:?}");
    }
}
