//! Who administers the tenant with others, some of whom leave it, too.

use crate::attempts::drive::{Desk, End, NEVER, setting};
use offboard_connectors::Held;
use offboard_domain::Kind;
use offboard_domain::catalogue::{LEAVING, ROLES_OPEN};

const OTHERS: [&str; 2] = ["u-second", "u-third"];

/// What comes of it for one of three who administer the tenant, when he is told that
/// these leave as well.
async fn with_leaving(kind: Kind, leaving: &[&str]) -> (Desk, End) {
    let (mut state, mut todo) = setting(kind);
    if let Held::Role { administrator, .. } = &mut state.roles[0] {
        *administrator = true;
    }
    state.other_administrators = OTHERS.map(str::to_owned).into();
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
    for kind in [Kind::RemoveDirectoryRoles, Kind::DisableSignIn, Kind::ResetPassword] {
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
    for kind in [Kind::RemoveDirectoryRoles, Kind::DisableSignIn, Kind::ResetPassword] {
        for leaving in [&OTHERS[..1], &OTHERS[1..], &[]] {
            let (desk, end) = with_leaving(kind, leaving).await;
            assert!(matches!(end, End::Settled(_)), "{kind}, {leaving:?}: {end:?}");
            assert!(!desk.writes().is_empty(), "{kind}, {leaving:?}");
        }
    }
}
