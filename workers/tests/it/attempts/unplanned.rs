//! `identity.discover_apps`: what the snapshot wrote down is looked up, and nothing is
//! read of the account itself, which may have lost it by now. Of a workspace, the tokens
//! are listed before they are revoked, and what was revoked is known by its id.

use crate::attempts::drive::{Desk, End, NEVER, setting};
use crate::attempts::fake::state::application;
use crate::attempts::fake::workspace::HIS;
use offboard_domain::catalogue::workspace::MET_GRANTS;
use offboard_domain::unplanned::{
    APP_ID, APP_IDS, APPS, ASKED_DEVICES, DEVICES, NAME, PUBLISHER, READ_DEVICES, UNREAD_DEVICES, WAYS, Way, had,
};
use offboard_domain::{Facts, Kind, ObjectId, Said};

fn list(of: &[&str]) -> Vec<String> {
    of.iter().map(ToString::to_string).collect()
}

#[tokio::test(start_paused = true)]
async fn the_snapshot_says_which_applications_he_has_and_how() {
    let (state, todo) = setting(Kind::SnapshotDirectory);
    let mut desk = Desk::new(state);
    let End::Settled(seen) = desk.settle(todo, &mut NEVER.clone()).await else {
        panic!("a snapshot settles")
    };
    let had = had(&seen.facts).unwrap();
    let ways = |id: &str| had[&ObjectId::from(id)].iter().copied().collect::<Vec<Way>>();
    assert_eq!(ways("c"), [Way::Consented]);
    assert_eq!(ways("a"), [Way::Assigned]);
    assert_eq!(ways("b"), [Way::ByGroup]);
}

#[tokio::test(start_paused = true)]
async fn each_that_is_not_the_vendors_own_is_found_with_what_it_is() {
    let (mut state, todo) = setting(Kind::DiscoverApps);
    // All of it was taken from him meanwhile.
    state.grants.clear();
    state.app_roles.clear();
    state.group_app_roles.clear();
    let mut desk = Desk::new(state);
    let End::Found(seen, finds) = desk.settle(todo, &mut NEVER.clone()).await else {
        panic!("a look-up finds")
    };
    assert_eq!(seen.facts.list(APP_IDS), Some(&list(&["a", "b", "c"])[..]));
    assert_eq!(seen.facts.list("platform_app_ids"), Some(&list(&["b"])[..]));
    let [a, c] = finds.as_slice() else { panic!("{finds:?}") };
    assert!(finds.iter().all(|f| f.kind == Kind::DecideApp));
    assert!(a.object.0.ends_with("/a") && c.object.0.ends_with("/c"));
    assert_eq!(a.params.text(NAME), Some("Tool A"));
    assert_eq!(a.params.text(PUBLISHER), Some("Tools Inc"));
    assert_eq!(a.params.text(APP_ID), Some("app-a"));
    assert_eq!(a.params.list(WAYS), Some(&list(&["assigned"])[..]));
    assert_eq!(c.params.text(PUBLISHER), None);
    assert_eq!(desk.writes(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn one_that_the_directory_has_no_more_is_found_all_the_same() {
    let (mut state, todo) = setting(Kind::DiscoverApps);
    state.applications.clear();
    let mut desk = Desk::new(state);
    let End::Found(_, finds) = desk.settle(todo, &mut NEVER.clone()).await else {
        panic!("a look-up finds")
    };
    assert_eq!(finds.len(), 3);
    assert!(finds.iter().all(|f| f.params.text(NAME).is_none()));
}

#[tokio::test(start_paused = true)]
async fn what_the_tenant_covers_or_knows_is_not_found() {
    let (mut state, mut todo) = setting(Kind::DiscoverApps);
    state.applications.insert("b".into(), application("b", false));
    todo.params.set("covered_apps", list(&["tool a"]));
    todo.params.set("known_apps", list(&["app-c"]));
    let mut desk = Desk::new(state);
    let End::Found(seen, finds) = desk.settle(todo, &mut NEVER.clone()).await else {
        panic!("a look-up finds")
    };
    assert_eq!(finds.len(), 1);
    assert!(finds[0].object.0.ends_with("/b"));
    assert_eq!(seen.facts.list("covered_app_ids"), Some(&list(&["a"])[..]));
    assert_eq!(seen.facts.list("known_app_ids"), Some(&list(&["c"])[..]));
}

/// A snapshot of an older version names none: that is not none.
#[tokio::test(start_paused = true)]
async fn without_a_record_nothing_is_claimed() {
    let (state, mut todo) = setting(Kind::DiscoverApps);
    todo.params = Facts::new();
    let mut desk = Desk::new(state);
    let report = desk.once(&todo).await;
    let Said::Found { observation, finds } = report.said else {
        panic!("{:?}", report.said)
    };
    assert_eq!(observation.facts.bool("applications_known"), Some(false));
    assert!(finds.is_empty());
}

#[tokio::test(start_paused = true)]
async fn each_application_that_has_a_token_is_found_by_its_name() {
    let (state, todo) = setting(Kind::DiscoverAppsInWorkspace);
    let mut desk = Desk::new(state);
    let End::Found(seen, finds) = desk.settle(todo, &mut NEVER.clone()).await else {
        panic!("a look-up finds")
    };
    assert_eq!(seen.facts.list(APP_IDS), Some(&list(&["app-a", "app-b"])[..]));
    let names: Vec<_> = finds.iter().map(|f| f.params.text(NAME)).collect();
    assert_eq!(names, [Some("Tool app-a"), Some("Tool app-b")]);
    assert_eq!(desk.writes(), Vec::<String>::new());
}

/// Whoever revokes tokens keeps the ids of all that he met, over all attempts.
#[tokio::test(start_paused = true)]
async fn what_was_revoked_before_it_was_listed_is_found_by_its_id() {
    let (state, todo) = setting(Kind::RevokeTokensInWorkspace);
    let mut desk = Desk::new(state);
    let End::Settled(seen) = desk.settle(todo, &mut NEVER.clone()).await else {
        panic!("tokens go")
    };
    assert_eq!(seen.facts.list("grant_ids"), Some(&list(&[])[..]));
    let met = seen.facts.list(MET_GRANTS).unwrap().to_vec();
    assert_eq!(met, ["app-a", "app-b"]);
    let (mut state, mut todo) = setting(Kind::DiscoverAppsInWorkspace);
    state.office.members.get_mut(HIS).unwrap().grants = ["app-b".to_owned()].into();
    todo.params.set(MET_GRANTS, met);
    let End::Found(_, finds) = Desk::new(state).settle(todo, &mut NEVER.clone()).await else {
        panic!("a look-up finds")
    };
    let names: Vec<_> = finds.iter().map(|f| f.params.text(NAME)).collect();
    assert_eq!(names, [None, Some("Tool app-b")]);
}

/// Done once more, it keeps what it met the first time.
#[tokio::test(start_paused = true)]
async fn what_was_met_before_it_is_revoked_once_more_stays_met() {
    let (state, mut todo) = setting(Kind::RevokeTokensInWorkspace);
    todo.params.set(MET_GRANTS, list(&["app-gone"]));
    let End::Settled(seen) = Desk::new(state).settle(todo, &mut NEVER.clone()).await else {
        panic!("tokens go")
    };
    let met = list(&["app-a", "app-b", "app-gone"]);
    assert_eq!(seen.facts.list(MET_GRANTS), Some(&met[..]));
}

#[tokio::test(start_paused = true)]
async fn software_on_all_of_his_devices_is_one_question() {
    let (mut state, mut todo) = setting(Kind::DiscoverSoftware);
    state.fleet.get_mut("42").unwrap().software[0].name = "Editor".to_owned();
    todo.params.set("known_apps", list(&["microsoft corporation"]));
    let mut desk = Desk::new(state);
    let End::Found(seen, finds) = desk.settle(todo.clone(), &mut NEVER.clone()).await else {
        panic!("a look-up finds")
    };
    let [one] = finds.as_slice() else { panic!("{finds:?}") };
    assert_eq!(one.kind, Kind::DecideApp);
    assert_eq!(one.params.list(APPS), Some(&list(&["Editor", "Vault"])[..]));
    assert_eq!(seen.facts.int("software_count"), Some(3));
    assert_eq!(seen.facts.int("known_count"), Some(1));
    // All of it known, nobody is asked.
    let (state, _) = setting(Kind::DiscoverSoftware);
    todo.params.set("covered_apps", list(&["vault ltd"]));
    let End::Found(_, finds) = Desk::new(state.clone()).settle(todo.clone(), &mut NEVER.clone()).await else {
        panic!("a look-up finds")
    };
    assert_eq!(finds, []);
    // Without a device, there is nothing to look at.
    todo.params.set(DEVICES, list(&[]));
    let report = Desk::new(state).once(&todo).await;
    let Said::Found { observation, finds } = report.said else {
        panic!("{:?}", report.said)
    };
    assert_eq!(observation.facts.bool("devices_found"), Some(false));
    assert!(finds.is_empty());
}

/// A device that the remote management has no more took its list along: whatever was on it,
/// a person is asked, also beside what was read of the others.
#[tokio::test(start_paused = true)]
async fn software_that_cannot_be_read_any_more_is_a_question_and_no_silence() {
    for read in [&["42"][..], &[]] {
        let (state, mut todo) = setting(Kind::DiscoverSoftware);
        todo.params
            .set("covered_apps", list(&["vault ltd", "microsoft corporation"]));
        todo.params.set(DEVICES, list(&[read, &["gone"]].concat()));
        let End::Found(seen, finds) = Desk::new(state).settle(todo, &mut NEVER.clone()).await else {
            panic!("a look-up finds")
        };
        assert_eq!(seen.facts.bool("devices_found"), Some(true));
        assert_eq!(seen.facts.bool("applications_known"), Some(true));
        assert_eq!(seen.facts.list(UNREAD_DEVICES), Some(&list(&["gone"])[..]));
        let unread: Vec<_> = finds.iter().filter_map(|f| f.params.list(DEVICES)).collect();
        assert_eq!(unread, [&list(&["gone"])[..]], "{finds:?}");
        assert!(finds.iter().all(|f| f.kind == Kind::DecideApp));
        assert_eq!(seen.facts.list(READ_DEVICES), Some(&list(read)[..]));
    }
    // A person was asked about it already.
    let (state, mut todo) = setting(Kind::DiscoverSoftware);
    todo.params
        .set("covered_apps", list(&["vault ltd", "microsoft corporation"]));
    todo.params.set(DEVICES, list(&["42", "gone", "lost"]));
    todo.params.set(ASKED_DEVICES, list(&["gone"]));
    let End::Found(seen, finds) = Desk::new(state).settle(todo, &mut NEVER.clone()).await else {
        panic!("a look-up finds")
    };
    assert_eq!(seen.facts.list(UNREAD_DEVICES), Some(&list(&["gone", "lost"])[..]));
    let unread: Vec<_> = finds.iter().filter_map(|f| f.params.list(DEVICES)).collect();
    assert_eq!(unread, [&list(&["lost"])[..]], "{finds:?}");
    // Its list was read before its agent went.
    let (state, mut todo) = setting(Kind::DiscoverSoftware);
    todo.params
        .set("covered_apps", list(&["vault ltd", "microsoft corporation"]));
    todo.params.set(DEVICES, list(&["42", "gone"]));
    todo.params.set(READ_DEVICES, list(&["gone"]));
    let End::Found(seen, finds) = Desk::new(state).settle(todo, &mut NEVER.clone()).await else {
        panic!("a look-up finds")
    };
    assert_eq!(finds, []);
    assert_eq!(seen.facts.list(UNREAD_DEVICES), Some(&list(&[])[..]));
    assert_eq!(seen.facts.list(READ_DEVICES), Some(&list(&["42", "gone"])[..]));
}
