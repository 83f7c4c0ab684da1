//! Whom the tenant's list protects: he is known by his id, and by every name and address
//! that the directory has of him, and by nothing of anybody else.

use crate::attempts::drive::{Desk, End, NEVER, setting};
use crate::attempts::fake::state::{CANARY, LEAVER, SUCCESSOR};
use offboard_domain::catalogue::apps::PROTECTED;
use offboard_domain::policy::{ADDRESS_MARKS, NAME_MARKS, address_mark};
use offboard_domain::{Fact, Kind};

async fn found_protected(listed: &str) -> Option<bool> {
    let (state, mut todo) = setting(Kind::Resolve);
    todo.params.set(PROTECTED, vec![listed.to_lowercase()]);
    let mut desk = Desk::new(state);
    let End::Settled(seen) = desk.settle(todo, &mut NEVER.clone()).await else {
        panic!("he was not found");
    };
    let told = |fact: &Fact| format!("{fact:?}").contains(CANARY);
    assert!(!seen.facts.0.values().any(told), "an address of his is stored");
    seen.facts.bool("protected")
}

#[tokio::test(start_paused = true)]
async fn a_protected_account_is_known_by_any_of_its_names() {
    for listed in [
        LEAVER.to_owned(),
        format!("{LEAVER}@example.com"),
        format!("{CANARY}.{LEAVER}@example.com"),
        format!("{CANARY}.{LEAVER}@old.example.com"),
    ] {
        assert_eq!(found_protected(&listed).await, Some(true), "{listed}");
    }
    for listed in [
        SUCCESSOR.to_owned(),
        format!("{SUCCESSOR}@example.com"),
        "u-leave".into(),
    ] {
        assert_eq!(found_protected(&listed).await, None, "{listed}");
    }
}

/// For a list that is longer by the departure's time: of his addresses a mark is kept, of this
/// case, and of nothing that is a fact anyhow.
#[tokio::test(start_paused = true)]
async fn his_addresses_are_known_again_by_marks_and_not_by_themselves() {
    let (state, todo) = setting(Kind::Resolve);
    let mut desk = Desk::new(state);
    let End::Settled(seen) = desk.settle(todo, &mut NEVER.clone()).await else {
        panic!("he was not found");
    };
    let case = desk.reports.last().expect("it was reported").case;
    let mut marks = [
        format!("{CANARY}.{LEAVER}@Example.com"),
        format!("{CANARY}.{LEAVER}@old.example.com"),
    ]
    .map(|address| address_mark(case, &address));
    marks.sort();
    assert_eq!(seen.facts.list(ADDRESS_MARKS), Some(&marks[..]));
}

/// What an application may know him by: every address but those that the platform gives
/// everybody. The sign-in name counts where it is an address of his.
#[tokio::test(start_paused = true)]
async fn every_alias_is_marked_as_a_name_and_the_platform_s_own_is_not() {
    let (mut state, todo) = setting(Kind::Resolve);
    let account = state.accounts.get_mut(LEAVER).expect("he has an account");
    let sign_in = account.user_principal_name.clone();
    account.addresses = vec![
        sign_in.clone(),
        format!("{LEAVER}@before.example.com"),
        format!("{LEAVER}@Example.OnMicrosoft.com"),
        format!("{LEAVER}@example.mail.onmicrosoft.com"),
        format!("{LEAVER}@example.com.test-google-a.com"),
    ];
    account.mail = None;
    let mut desk = Desk::new(state);
    let End::Settled(seen) = desk.settle(todo, &mut NEVER.clone()).await else {
        panic!("he was not found");
    };
    let case = desk.reports.last().expect("it was reported").case;
    let mut marks = [sign_in, format!("{LEAVER}@before.example.com")].map(|address| address_mark(case, &address));
    marks.sort();
    assert_eq!(seen.facts.list(NAME_MARKS), Some(&marks[..]));
}
