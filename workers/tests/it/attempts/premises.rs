//! What a directory on the premises adds: protected accounts, what is found
//! there, and what a copy refuses.

use crate::attempts::drive::{Desk, End, NEVER, setting};
use crate::attempts::fake::state::{CANARY, LEAVER};
use offboard_connectors::Protection;
use offboard_domain::assignment::{ACCOUNT_CHANGED_ON_PREMISES_MS, CHANGED_ON_PREMISES_MS};
use offboard_domain::catalogue::apps::PROTECTED;
use offboard_domain::catalogue::premises::{FOUND_ELSEWHERE, HOLD_WANTED, LICENCES_UNKEPT, MASTERED, SECURITY_ID};
use offboard_domain::{Facts, Kind, Said, Verdict, judge};

#[tokio::test(start_paused = true)]
async fn what_is_there_is_found_but_no_server_and_it_is_kept_first() {
    let (state, mut todo) = setting(Kind::ResolveOnPremises);
    todo.params.set(LICENCES_UNKEPT, true);
    todo.params.set("has_mailbox", true);
    let mut desk = Desk::new(state);
    let End::Found(seen, finds) = desk.settle(todo, &mut NEVER.clone()).await else {
        panic!("nothing was found");
    };
    assert_eq!(
        judge(Kind::ResolveOnPremises, &Facts::new(), &seen.facts, None),
        Verdict::Satisfied
    );
    let mut kinds: Vec<(Kind, &str)> = finds.iter().map(|f| (f.kind, f.object.0.as_str())).collect();
    kinds.sort();
    let mut wanted = vec![
        (Kind::DisableOnPremises, LEAVER),
        (Kind::ResetPasswordOnPremises, LEAVER),
        (Kind::HideOnPremises, LEAVER),
        (Kind::RemoveGroupsOnPremises, LEAVER),
        (Kind::MoveToLeaversUnit, LEAVER),
        (Kind::DisableComputer, "pc"),
    ];
    wanted.sort();
    assert_eq!(kinds, wanted);
    let params = |kind: Kind| finds.iter().find(|f| f.kind == kind).unwrap().params.clone();
    assert_eq!(params(Kind::HideOnPremises), Facts::new().with("has_mailbox", true));
    assert_eq!(
        params(Kind::RemoveGroupsOnPremises),
        Facts::new().with(LICENCES_UNKEPT, true)
    );
    assert_eq!(params(Kind::DisableOnPremises), Facts::new());
    let kept: Vec<&str> = desk.reports[0].artifacts.iter().map(|a| a.name.as_str()).collect();
    assert_eq!(kept, ["snapshot.on_premises"]);
    assert_eq!(desk.writes(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_protected_account_and_one_that_is_not_there_need_a_person() {
    for protection in [Protection::BuiltIn, Protection::Administers, Protection::Marked] {
        let (mut state, todo) = setting(Kind::ResolveOnPremises);
        state.protected = Some(protection);
        let mut desk = Desk::new(state);
        let End::Found(seen, _) = desk.settle(todo, &mut NEVER.clone()).await else {
            panic!("not read");
        };
        let verdict = judge(Kind::ResolveOnPremises, &Facts::new(), &seen.facts, None);
        assert!(matches!(verdict, Verdict::Blocked(_)), "{verdict:?}");
    }
    // By an address that only this directory may know.
    for (listed, wanted) in [
        (format!("{CANARY}.{LEAVER}@old.example.com"), "listed"),
        ("somebody@example.com".to_owned(), "no"),
    ] {
        let (state, mut todo) = setting(Kind::ResolveOnPremises);
        todo.params.set(PROTECTED, vec![listed.to_lowercase()]);
        let End::Found(seen, _) = Desk::new(state).settle(todo, &mut NEVER.clone()).await else {
            panic!("not read");
        };
        assert_eq!(seen.facts.text("protected"), Some(wanted));
        let verdict = judge(Kind::ResolveOnPremises, &Facts::new(), &seen.facts, None);
        assert_eq!(
            matches!(verdict, Verdict::Blocked(_)),
            wanted == "listed",
            "{verdict:?}"
        );
    }
}

/// The cloud's names prove nothing of an account that is no original of any copy; HR's
/// number does, and a security identifier that leads nowhere is a person's.
#[tokio::test(start_paused = true)]
async fn who_is_not_found_by_the_cloud_s_names_alone_is_not_declared_absent() {
    let copied = Facts::new().with(SECURITY_ID, "S-1-5-21-1-2-3-1104");
    for (planned, number, absent) in [
        (Facts::new(), false, false),
        (Facts::new(), true, true),
        (copied.clone(), false, false),
        (copied, true, false),
    ] {
        let (mut state, mut todo) = setting(Kind::ResolveOnPremises);
        state.accounts.clear();
        todo.params.0.extend(planned.0.clone());
        if number {
            todo.params.set("employee_id", "4711");
        }
        let End::Found(seen, _) = Desk::new(state).settle(todo, &mut NEVER.clone()).await else {
            panic!("not read");
        };
        let verdict = judge(Kind::ResolveOnPremises, &planned, &seen.facts, None);
        assert_eq!(matches!(verdict, Verdict::NotApplicable(_)), absent, "{verdict:?}");
        assert_eq!(matches!(verdict, Verdict::Blocked(_)), !absent, "{verdict:?}");
    }
    // A worker of an older version does not say by what it has searched.
    let unsaid = Facts::new().with("found", false).with("ambiguous", false);
    let verdict = judge(Kind::ResolveOnPremises, &Facts::new(), &unsaid, None);
    assert!(matches!(verdict, Verdict::Blocked(_)), "{verdict:?}");
}

#[tokio::test(start_paused = true)]
async fn who_is_in_another_domain_needs_nobody_here() {
    for elsewhere in [false, true] {
        let (mut state, mut todo) = setting(Kind::ResolveOnPremises);
        state.accounts.clear();
        let security_id = Facts::new().with(SECURITY_ID, "S-1-5-21-1-2-3-1104");
        todo.params = security_id.clone();
        if elsewhere {
            todo.params.set(FOUND_ELSEWHERE, true);
        }
        let mut desk = Desk::new(state);
        let End::Found(seen, finds) = desk.settle(todo, &mut NEVER.clone()).await else {
            panic!("not read");
        };
        assert!(finds.is_empty(), "{finds:?}");
        let verdict = judge(Kind::ResolveOnPremises, &security_id, &seen.facts, None);
        assert_eq!(matches!(verdict, Verdict::NotApplicable(_)), elsewhere, "{verdict:?}");
        assert_eq!(matches!(verdict, Verdict::Blocked(_)), !elsewhere, "{verdict:?}");
    }
}

#[test]
fn groups_that_may_give_a_licence_are_left_to_people_when_nothing_keeps_what_hangs_on_it() {
    let held = Facts::new()
        .with("removable_group_ids", vec!["g".to_owned()])
        .with("protected_group_ids", Vec::<String>::new());
    let verdict = |params: Facts| judge(Kind::RemoveGroupsOnPremises, &params, &held, None);
    assert!(matches!(verdict(Facts::new()), Verdict::Unsatisfied(_)));
    for name in [LICENCES_UNKEPT, HOLD_WANTED] {
        assert!(
            matches!(verdict(Facts::new().with(name, true)), Verdict::Blocked(_)),
            "{name}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_copy_is_watched_until_a_synchronisation_after_the_change_agrees() {
    let (state, mut todo) = setting(Kind::AwaitSynchronisation);
    todo.params.set(CHANGED_ON_PREMISES_MS, 5_000_i64);
    let mut desk = Desk::new(state);
    let report = desk.once(&todo).await;
    assert!(matches!(report.said, Said::Wait { .. }), "{:?}", report.said);
    // It came, and brought what it was before.
    desk.fake.edit(|s| {
        let account = s.accounts.get_mut(LEAVER).unwrap();
        (account.enabled, account.synced_at_ms) = (true, Some(6_000));
    });
    let report = desk.once(&todo).await;
    assert!(matches!(report.said, Said::Wait { .. }), "{:?}", report.said);
    desk.fake.edit(|s| s.accounts.get_mut(LEAVER).unwrap().enabled = false);
    let report = desk.once(&todo).await;
    assert!(matches!(report.said, Said::Satisfied { .. }), "{:?}", report.said);
    todo.params = Facts::new();
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    assert!(matches!(end, End::NotApplicable(_)), "{end:?}");
}

/// Leaving a group changes the group: the account's own stamp stays what it was, and what
/// the cloud lists is waited for in its place.
#[tokio::test(start_paused = true)]
async fn what_was_changed_of_groups_alone_is_awaited_in_the_groups() {
    let (mut state, mut todo) = setting(Kind::AwaitSynchronisation);
    let account = state.accounts.get_mut(LEAVER).unwrap();
    (account.enabled, account.synced_at_ms) = (false, Some(3_000));
    state.groups.get_mut("g-lic").unwrap().synced = true;
    todo.params.set(CHANGED_ON_PREMISES_MS, 5_000_i64);
    todo.params.set(ACCOUNT_CHANGED_ON_PREMISES_MS, 2_000_i64);
    let mut desk = Desk::new(state);
    let report = desk.once(&todo).await;
    assert!(matches!(report.said, Said::Wait { .. }), "{:?}", report.said);
    desk.fake.edit(|s| {
        s.members.get_mut("g-lic").unwrap().remove(LEAVER);
    });
    for (account_ms, settles) in [(2_000_i64, true), (0, true), (4_000, false)] {
        todo.params.set(ACCOUNT_CHANGED_ON_PREMISES_MS, account_ms);
        let report = desk.once(&todo).await;
        let settled = matches!(report.said, Said::Satisfied { .. });
        assert_eq!(settled, settles, "{account_ms}: {:?}", report.said);
    }
}

#[tokio::test(start_paused = true)]
async fn groups_of_the_premises_that_give_licences_are_waited_for() {
    let (mut state, mut todo) = setting(Kind::ReleaseGroupLicenses);
    state.groups.get_mut("g-lic").unwrap().synced = true;
    let mut alone = Desk::new(state.clone());
    let end = alone.settle(todo.clone(), &mut NEVER.clone()).await;
    assert!(matches!(end, End::Asked(_)), "{end:?}");
    todo.params.set(MASTERED, true);
    let mut desk = Desk::new(state);
    let report = desk.once(&todo).await;
    assert!(matches!(report.said, Said::Wait { .. }), "{:?}", report.said);
    assert_eq!(desk.writes(), Vec::<String>::new());
    desk.fake.edit(|s| {
        s.members.get_mut("g-lic").unwrap().remove(LEAVER);
    });
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    assert!(matches!(end, End::Settled(_)), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_a_copy_follows_its_computer_and_is_asked_about_where_that_is_not_disabled() {
    let (mut state, mut todo) = setting(Kind::DisableDeviceObject);
    state
        .devices
        .get_mut("m-company")
        .unwrap()
        .object
        .as_mut()
        .unwrap()
        .synced = true;
    let mut alone = Desk::new(state.clone());
    let end = alone.settle(todo.clone(), &mut NEVER.clone()).await;
    assert!(matches!(end, End::Asked(_)), "{end:?}");
    todo.params.set(MASTERED, true);
    let mut desk = Desk::new(state);
    let report = desk.once(&todo).await;
    assert!(matches!(report.said, Said::Wait { .. }), "{:?}", report.said);
    assert_eq!(desk.writes(), Vec::<String>::new());
    // A synchronisation brings it.
    desk.fake.edit(|s| {
        let row = s.devices.get_mut("m-company").unwrap();
        row.object.as_mut().unwrap().enabled = false;
    });
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    assert!(matches!(end, End::Settled(_)), "{end:?}");
}
