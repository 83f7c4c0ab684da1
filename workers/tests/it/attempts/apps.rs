//! What an application adds: accounts that are found by name and pinned by id,
//! ids that are given out again, accounts that are made anew.

use crate::attempts::drive::{Desk, End, NEVER, his_names, mark_in_app, setting};
use crate::attempts::fake::state::{AppRow, LEAVER};
use offboard_domain::catalogue::apps::{MARKS, NAMES, NAMES_MISSING, PROTECTED};
use offboard_domain::{Facts, FaultClass, Kind, Said, Verdict, judge};

fn name() -> String {
    format!("{LEAVER}@example.com")
}

fn row(user_name: &str, active: bool) -> AppRow {
    AppRow {
        user_name: user_name.to_owned(),
        active,
    }
}

/// What looking him up means.
async fn looked_up(edit: impl FnOnce(&mut crate::attempts::fake::State), params: Facts) -> (Verdict, usize) {
    let (mut state, mut todo) = setting(Kind::ResolveInApp);
    edit(&mut state);
    todo.params = params;
    let mut desk = Desk::new(state);
    let End::Found(seen, finds) = desk.settle(todo, &mut NEVER.clone()).await else {
        panic!("not read");
    };
    assert_eq!(desk.writes(), Vec::<String>::new());
    (judge(Kind::ResolveInApp, &Facts::new(), &seen.facts, None), finds.len())
}

#[tokio::test(start_paused = true)]
async fn the_account_is_pinned_by_its_id_and_kept_first() {
    for deletes in [false, true] {
        let (mut state, todo) = setting(Kind::ResolveInApp);
        state.app_deletes = deletes;
        let mut desk = Desk::new(state);
        let End::Found(seen, finds) = desk.settle(todo, &mut NEVER.clone()).await else {
            panic!("nothing was found");
        };
        let verdict = judge(Kind::ResolveInApp, &Facts::new(), &seen.facts, None);
        assert_eq!(verdict, Verdict::Satisfied);
        let kind = if deletes { Kind::DeleteInApp } else { Kind::DisableInApp };
        assert_eq!((finds[0].kind, finds[0].object.0.as_str()), (kind, "app-leaver"));
        let marks = finds[0].params.list(MARKS).unwrap();
        assert!(marks.contains(&mark_in_app("app-leaver", &name())), "{marks:?}");
        assert_eq!(finds.len(), 1);
        let kept: Vec<&str> = desk.reports[0].artifacts.iter().map(|a| a.name.as_str()).collect();
        assert_eq!(kept, ["snapshot.app.m365"]);
        // Nothing of him is in what is stored of the task.
        let stored = serde_json::to_string(&finds).unwrap();
        assert!(!stored.contains(LEAVER), "{stored}");
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_is_not_applicable_only_when_every_name_is_known() {
    let nobody = |s: &mut crate::attempts::fake::State| drop(s.app.remove("app-leaver"));
    let (verdict, finds) = looked_up(nobody, his_names()).await;
    assert!(matches!(verdict, Verdict::NotApplicable(_)), "{verdict:?}");
    assert_eq!(finds, 0);
    let (verdict, _) = looked_up(nobody, his_names().with(NAMES_MISSING, true)).await;
    assert!(matches!(verdict, Verdict::Blocked(_)), "{verdict:?}");
    let without = Facts::new().with(NAMES, Vec::<String>::new()).with("directory_id", "d");
    let (verdict, _) = looked_up(nobody, without).await;
    assert!(matches!(verdict, Verdict::Blocked(_)), "{verdict:?}");
}

#[tokio::test(start_paused = true)]
async fn two_that_answer_and_a_protected_one_need_a_person() {
    let twice = |s: &mut crate::attempts::fake::State| drop(s.app.insert("app-second".into(), row(&name(), false)));
    let (verdict, finds) = looked_up(twice, his_names()).await;
    assert!(matches!(verdict, Verdict::Blocked(_)), "{verdict:?}");
    assert_eq!(finds, 0, "nothing is guessed");
    for listed in ["app-leaver".to_owned(), name()] {
        let (verdict, finds) = looked_up(|_| (), his_names().with(PROTECTED, vec![listed])).await;
        assert!(matches!(verdict, Verdict::Blocked(_)), "{verdict:?}");
        assert_eq!(finds, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_id_that_was_given_to_somebody_else_is_not_written_to() {
    for kind in [Kind::DisableInApp, Kind::DeleteInApp] {
        let (mut state, todo) = setting(kind);
        state
            .app
            .insert("app-leaver".into(), row("somebody@else.example", true));
        let mut desk = Desk::new(state);
        let report = desk.once(&todo).await;
        let Said::Fault { fault } = &report.said else {
            panic!("{kind}: {:?}", report.said)
        };
        assert_eq!(fault.class, FaultClass::Blocked, "{kind}");
        assert_eq!(desk.writes(), Vec::<String>::new(), "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_that_is_made_anew_is_not_overlooked() {
    for kind in [Kind::DisableInApp, Kind::DeleteInApp] {
        let (mut state, todo) = setting(kind);
        state.app.insert("app-anew".into(), row(&name(), true));
        let mut desk = Desk::new(state);
        let end = desk.settle(todo, &mut NEVER.clone()).await;
        let End::Asked(why) = end else {
            panic!("{kind}: {end:?}")
        };
        assert!(why.contains("another one of his"), "{kind}: {why}");
        assert_eq!(desk.writes().len(), 1, "{kind}: its own account is ended first");
        assert!(!desk.writes()[0].contains("anew"), "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_that_is_gone_and_that_nobody_answers_for_is_ended() {
    for kind in [Kind::DisableInApp, Kind::DeleteInApp] {
        let (mut state, todo) = setting(kind);
        state.app.remove("app-leaver");
        let mut desk = Desk::new(state);
        let end = desk.settle(todo, &mut NEVER.clone()).await;
        assert!(matches!(end, End::Settled(_)), "{kind}: {end:?}");
        assert_eq!(desk.writes(), Vec::<String>::new(), "{kind}");
    }
}
