//! Who administers the tenant with others, some of whom leave it, too.

use crate::attempts::drive::{Desk, End, NEVER, Todo, setting};
use crate::attempts::fake::State;
use offboard_connectors::Held;
use offboard_domain::catalogue::{LEAVING, MARKED, ROLES_GONE_MS, ROLES_OPEN};
use offboard_domain::{Kind, Said};

const OTHERS: [&str; 2] = ["u-second", "u-third"];

const LOOKING: [Kind; 3] = [Kind::RemoveDirectoryRoles, Kind::DisableSignIn, Kind::ResetPassword];

/// The task for one of three who administer the tenant.
fn one_of_three(kind: Kind) -> (State, Todo) {
    let (mut state, todo) = setting(kind);
    if let Held::Role { administrator, .. } = &mut state.roles[0] {
        *administrator = true;
    }
    state.other_administrators = OTHERS.map(str::to_owned).into();
    (state, todo)
}

/// What comes of it for him, when he is told that these leave as well.
async fn with_leaving(kind: Kind, leaving: &[&str]) -> (Desk, End) {
    let (state, mut todo) = one_of_three(kind);
    todo.params.set(MARKED, true);
    if kind != Kind::RemoveDirectoryRoles {
        todo.params.set(ROLES_OPEN, true);
    }
    if !leaving.is_empty() {
        let ids: Vec<String> = leaving.iter().map(|id| (*id).to_owned()).collect();
        todo.params.set(LEAVING, ids);
    }
    let (mut desk, mut polls) = (Desk::new(state), NEVER);
    let end = desk.settle(todo, &mut polls).await;
    (desk, end)
}

#[tokio::test(start_paused = true)]
async fn who_leaves_too_is_not_counted_on() {
    for kind in LOOKING {
        let (desk, end) = with_leaving(kind, &OTHERS).await;
        let End::Asked(why) = end else {
            panic!("{kind}: {end:?}")
        };
        assert!(
            why.contains("leave, too") && why.contains("somebody who stays"),
            "{kind}: {why}"
        );
        assert!(desk.writes().is_empty(), "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_who_stays_is_enough() {
    for kind in LOOKING {
        for leaving in [&OTHERS[..1], &OTHERS[1..], &[]] {
            let (desk, end) = with_leaving(kind, leaving).await;
            assert!(matches!(end, End::Settled(_)), "{kind}, {leaving:?}: {end:?}");
            assert!(!desk.writes().is_empty(), "{kind}, {leaving:?}");
        }
    }
}

/// Of two who were both given the role after they were recorded, each would count on
/// the other.
#[tokio::test(start_paused = true)]
async fn who_is_not_marked_as_leaving_loses_nothing_before_he_is() {
    for kind in LOOKING {
        let (state, mut todo) = one_of_three(kind);
        todo.params.set(MARKED, false);
        let mut desk = Desk::new(state);
        let report = desk.once(&todo).await;
        let Said::Wait { checkpoint, .. } = report.said else {
            panic!("{kind}: {:?}", report.said)
        };
        assert!(desk.writes().is_empty(), "{kind}");
        let seen = report.seen.unwrap().facts;
        let roles = seen.list("role_ids").unwrap_or_default();
        assert!(roles.contains(&"ra-1".to_owned()), "{kind} does not tell why: {seen:?}");
        todo.checkpoint = checkpoint;
        todo.params.set(MARKED, true);
        let end = desk.settle(todo, &mut NEVER.clone()).await;
        assert!(matches!(end, End::Settled(_)), "{kind}: {end:?}");
    }
}

/// While versions are exchanged: a dispatcher that marks who leaves, tells who else does,
/// and says nothing of his own mark.
#[tokio::test(start_paused = true)]
async fn who_is_told_nothing_of_his_mark_waits_for_none_and_still_counts_nobody_who_leaves() {
    for kind in LOOKING {
        let (state, todo) = one_of_three(kind);
        let mut desk = Desk::new(state);
        let end = desk.settle(todo, &mut NEVER.clone()).await;
        assert!(matches!(end, End::Settled(_)), "{kind}: {end:?}");
        let (state, mut todo) = one_of_three(kind);
        todo.params.set(LEAVING, OTHERS.map(str::to_owned).to_vec());
        let mut desk = Desk::new(state);
        let end = desk.settle(todo, &mut NEVER.clone()).await;
        assert!(matches!(end, End::Asked(_)), "{kind}: {end:?}");
        assert!(desk.writes().is_empty(), "{kind}");
    }
}

/// Who goes without taking his roles away has read nothing of them.
#[tokio::test(start_paused = true)]
async fn the_last_administrator_keeps_his_account_whatever_became_of_taking_his_role_away() {
    const MINUTE_MS: i64 = 60_000;
    for kind in [Kind::DisableSignIn, Kind::ResetPassword] {
        for (gone_for_ms, is_asked) in [(None, true), (Some(60 * MINUTE_MS), true), (Some(MINUTE_MS), false)] {
            let (mut state, mut todo) = setting(kind);
            if let Held::Role {
                administrator,
                last_administrator,
                ..
            } = &mut state.roles[0]
            {
                (*administrator, *last_administrator) = (true, true);
            }
            let mut desk = Desk::new(state);
            if let Some(ms) = gone_for_ms {
                todo.params.set(ROLES_GONE_MS, desk.now().0 - ms);
            }
            let end = desk.settle(todo, &mut NEVER.clone()).await;
            let asked = matches!(&end, End::Asked(why) if why.contains("no other enabled account"));
            assert_eq!(asked, is_asked, "{kind}, {gone_for_ms:?}: {end:?}");
            assert_eq!(desk.writes().is_empty(), is_asked, "{kind}, {gone_for_ms:?}");
        }
    }
}
