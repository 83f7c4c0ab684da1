//! Programs of the MSP's own in the attempt loop: what they say stands beside
//! what we say, an irreversible one is ordered once, and both are read again in
//! the closing round with the names that they need.

use crate::attempts::drive::{Desk, End, NEVER, setting};
use offboard_domain::{Assignment, Check, Kind, Lane, Mode, Said, Target, TaskId};
use offboard_workers::attempt;

#[tokio::test(start_paused = true)]
async fn what_a_program_says_besides_cannot_pass_for_what_we_say() {
    for kind in [Kind::RunScript, Kind::RunIrreversibleScript] {
        let (state, todo) = setting(kind);
        let mut desk = Desk::new(state);
        let End::Settled(seen) = desk.settle(todo, &mut NEVER.clone()).await else {
            panic!("{kind} did not settle");
        };
        assert_eq!(seen.facts.text("state"), Some("done"));
        assert_eq!(seen.facts.text("reason"), Some("as the test has it"));
        assert_eq!(seen.facts.int("script/profiles"), Some(0));
        let once = kind == Kind::RunIrreversibleScript;
        assert_eq!(seen.facts.bool("conclusive"), once.then_some(true));
        assert_eq!(desk.writes().len(), 1, "{:?}", desk.writes());
    }
}

#[tokio::test(start_paused = true)]
async fn an_irreversible_order_without_effect_is_waited_for_and_never_repeated() {
    let (state, todo) = setting(Kind::RunIrreversibleScript);
    let mut desk = Desk::new(state);
    // History needs a past for the lag to look into.
    desk.fake.clock.to(desk.now().plus(7_200_000));
    desk.fake.lock().lag_ms = 50 * 60_000;
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    assert!(matches!(end, End::Settled(_)), "{end:?}");
    let waits = desk
        .reports
        .iter()
        .filter(|r| matches!(r.said, Said::Wait { .. }))
        .count();
    assert!(waits > 40, "{waits}");
    assert_eq!(desk.writes().len(), 1, "{:?}", desk.writes());
}

#[tokio::test(start_paused = true)]
async fn the_closing_round_asks_the_program_about_the_same_person() {
    let (mut state, todo) = setting(Kind::RunScript);
    state.scripted.insert("u-leaver".to_owned());
    let desk = Desk::new(state);
    let mut assignment = desk.assignment(&todo);
    let check = Check {
        task: TaskId::derive(assignment.case, Kind::RunScript.name(), &assignment.target.system, None),
        kind: Kind::RunScript,
        target: assignment.target.clone(),
        params: todo.params.clone(),
    };
    assignment = Assignment {
        kind: Kind::ObserveIdentity,
        mode: Mode::ObserveOnly,
        target: Target {
            system: assignment.target.system.clone(),
            object: Some("round-1".into()),
        },
        params: offboard_domain::Facts::new(),
        checks: vec![check],
        ..assignment
    };
    let report = attempt(&assignment, Lane::Normal, false, &desk.context).await;
    let Said::Checked { results } = report.said else {
        panic!("{:?}", report.said)
    };
    assert_eq!(results[0].observation.facts.text("state"), Some("done"));
    assert_eq!(desk.writes(), Vec::<String>::new());
}
