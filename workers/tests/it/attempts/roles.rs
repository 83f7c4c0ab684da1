//! Groups that can hold roles, and give licences or are the leaver's alone.

use crate::attempts::drive::{Desk, End, NEVER, Todo, setting};
use crate::attempts::fake::State;
use crate::attempts::fake::state::{LEAVER, group};
use offboard_connectors::{Held, RoleOrigin};
use offboard_domain::assignment::baseline_in;
use offboard_domain::catalogue::LICENSED_BY_RULE;
use offboard_domain::{FaultClass, Kind, Said, Timestamp, Writes};
use std::collections::BTreeSet;
use std::time::Duration;

const BOTH: &str = "g-both";

fn by_group(group: &str, origin: RoleOrigin) -> Held {
    Held::Role {
        id: group.into(),
        role: None,
        scope: "/".into(),
        origin,
        eligible: false,
        administrator: false,
        last_administrator: false,
    }
}

/// He is in a group that can hold roles, and that gives these licences.
fn in_a_group_that_gives(skus: &[&str]) -> (State, Todo) {
    let (mut state, todo) = setting(Kind::RemoveDirectoryRoles);
    let mut both = group(BOTH, skus);
    both.role_assignable = true;
    state.groups.insert(BOTH.to_owned(), both);
    state.members.insert(BOTH.to_owned(), [LEAVER.to_owned()].into());
    state.roles.push(by_group(BOTH, RoleOrigin::Member(BOTH.into())));
    (state, todo)
}

/// He owns a group that can hold roles, with these.
fn owning_with(others: &[&str]) -> (State, Todo) {
    let (mut state, todo) = setting(Kind::RemoveDirectoryRoles);
    let mut owned = group(BOTH, &[]);
    owned.role_assignable = true;
    state.groups.insert(BOTH.to_owned(), owned);
    let owners = others.iter().chain(&[LEAVER]).map(|id| (*id).to_owned());
    state.owners.insert(BOTH.to_owned(), owners.collect());
    state.roles.push(by_group(BOTH, RoleOrigin::Owner(BOTH.into())));
    (state, todo)
}

/// The lines of what was written, each named once.
fn wrote(desk: &Desk) -> Vec<String> {
    let mut lines = desk.writes();
    lines.dedup();
    lines
}

fn has(desk: &Desk, sku: &str) -> bool {
    desk.fake.now().licences(LEAVER).iter().any(|l| l.sku_id == sku)
}

#[tokio::test(start_paused = true)]
async fn what_a_group_with_roles_licenses_is_his_own_before_he_leaves_it() {
    let (state, todo) = in_a_group_that_gives(&["e5"]);
    let mut desk = Desk::new(state);
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    assert!(matches!(end, End::Settled(_)), "{end:?}");
    assert_eq!(
        wrote(&desk),
        [
            "remove ra-1 from u-leaver",
            "remove re-1 from u-leaver",
            "assign e5 to u-leaver",
            "remove g-both from u-leaver",
        ]
    );
    assert!(has(&desk, "e5"), "nothing is lost with the group");
}

/// A licence that does not show as his own yet is not his own.
#[tokio::test(start_paused = true)]
async fn he_does_not_leave_it_before_the_licence_reads_as_his_own() {
    const LAG_MS: i64 = 90_000;
    let (state, todo) = in_a_group_that_gives(&["e5"]);
    let mut desk = Desk::new(state);
    desk.fake.clock.to(Timestamp(600_000));
    desk.fake.lock().lag_ms = LAG_MS;
    let report = desk.once(&todo).await;
    let Said::Fault { fault } = report.said else {
        panic!("{:?}", report.said)
    };
    assert_eq!(fault.class, FaultClass::Transient, "{fault}");
    assert_eq!(
        wrote(&desk),
        [
            "remove ra-1 from u-leaver",
            "remove re-1 from u-leaver",
            "assign e5 to u-leaver",
        ],
        "the other roles wait for nothing"
    );
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    assert!(matches!(end, End::Settled(_)), "{end:?}");
    assert!(wrote(&desk).contains(&"remove g-both from u-leaver".to_owned()));
    assert!(has(&desk, "e5"));
}

#[tokio::test(start_paused = true)]
async fn a_licence_that_cannot_be_his_own_keeps_him_in_the_group_and_a_person_is_told() {
    let (state, todo) = in_a_group_that_gives(&["e5"]);
    let mut desk = Desk::new(state);
    // After two roles of his own, which were gone already.
    let gone = (FaultClass::Absent, true);
    desk.fake.lock().next_faults = vec![(FaultClass::Rejected, false), gone, gone];
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    let End::Asked(why) = end else { panic!("{end:?}") };
    assert!(
        why.starts_with("blocked") && why.contains("a unit of each is free"),
        "{why}"
    );
    assert_eq!(wrote(&desk), ["remove ra-1 from u-leaver", "remove re-1 from u-leaver"]);
    assert!(has(&desk, "e5"));
}

/// A role was taken, and a look at what licenses him is refused: that is no refusal of the
/// removal, and what there was before it is known.
#[tokio::test(start_paused = true)]
async fn a_look_that_is_refused_leaves_what_was_read_before_the_write() {
    for class in [FaultClass::Denied, FaultClass::Rejected] {
        let (mut state, todo) = in_a_group_that_gives(&["e5"]);
        state.roles.retain(|held| held.id().0 != "re-1");
        let mut desk = Desk::new(state);
        {
            let mut world = desk.fake.lock();
            (world.reads_fail, world.reads_meet) = (1, class);
        }
        let report = desk.once(&todo).await;
        assert!(
            matches!(&report.said, Said::Fault { fault } if fault.class == class),
            "{:?}",
            report.said
        );
        assert_eq!(wrote(&desk), ["remove ra-1 from u-leaver"]);
        assert_eq!(report.writes, Some(Writes { sent: 1, refused: 0 }), "{class:?}");
        let first = report.remembered.as_ref().and_then(baseline_in).unwrap();
        let roles = first.facts.list("role_ids").unwrap();
        assert!(roles.contains(&"ra-1".to_owned()), "{class:?}: {roles:?}");
    }
}

/// However many there were.
#[tokio::test(start_paused = true)]
async fn what_was_read_before_writes_that_were_all_refused_is_not_handed_over() {
    let (state, todo) = setting(Kind::RemoveDirectoryRoles);
    let mut desk = Desk::new(state);
    desk.fake.lock().next_faults = vec![(FaultClass::Rejected, false); 2];
    let report = desk.once(&todo).await;
    assert!(matches!(report.said, Said::Fault { .. }), "{:?}", report.said);
    assert_eq!(report.writes, Some(Writes { sent: 2, refused: 2 }));
    assert_eq!(report.remembered.as_ref().and_then(baseline_in), None);
}

#[tokio::test(start_paused = true)]
async fn his_own_roles_go_also_where_licences_never_answer() {
    let (state, todo) = in_a_group_that_gives(&["e5"]);
    let mut desk = Desk::new(state);
    desk.fake.lock().licences_take = Duration::from_secs(3_600);
    let report = desk.once(&todo).await;
    assert!(matches!(report.said, Said::Fault { .. }), "{:?}", report.said);
    assert_eq!(wrote(&desk), ["remove ra-1 from u-leaver", "remove re-1 from u-leaver"]);
}

/// Most of the attempt is over when it is known that he may leave: he leaves all the
/// same, since the next attempt would be as late.
#[tokio::test(start_paused = true)]
async fn an_attempt_in_which_nothing_was_done_is_no_progress() {
    let (mut state, todo) = in_a_group_that_gives(&["e3"]);
    state.roles.retain(|held| held.id().0 == BOTH);
    let mut desk = Desk::new(state);
    let tenth_s = u64::try_from(todo.kind.spec().run_for_ms / 10_000).unwrap();
    desk.fake.lock().licences_take = Duration::from_secs(8 * tenth_s);
    let report = desk.once(&todo).await;
    assert!(matches!(report.said, Said::Satisfied { .. }), "{:?}", report.said);
    assert_eq!(wrote(&desk), ["remove g-both from u-leaver"]);
}

#[tokio::test(start_paused = true)]
async fn what_he_has_without_the_group_is_not_assigned() {
    // Given by nobody, his own already, and given by another group that he is let stay in.
    for skus in [&[][..], &["e3"], &["flow"]] {
        let (state, todo) = in_a_group_that_gives(skus);
        let mut desk = Desk::new(state);
        let end = desk.settle(todo, &mut NEVER.clone()).await;
        assert!(matches!(end, End::Settled(_)), "{skus:?}: {end:?}");
        let lines = wrote(&desk);
        assert!(!lines.iter().any(|l| l.starts_with("assign")), "{skus:?}: {lines:?}");
        assert!(skus.iter().all(|sku| has(&desk, sku)), "{skus:?}");
    }
}

/// As with a mailbox that is switched off in his own licence, and on in the group's.
#[tokio::test(start_paused = true)]
async fn a_part_that_only_the_group_leaves_on_is_his_own_before_he_leaves_it() {
    let off = |plans: &[&str]| {
        plans
            .iter()
            .map(|plan| (*plan).to_owned())
            .collect::<BTreeSet<String>>()
    };
    for (own, groups, left) in [
        (off(&["mail", "chat"]), off(&["chat"]), Some(off(&["chat"]))),
        (off(&["mail"]), off(&["mail"]), None),
        (off(&[]), off(&["mail"]), None),
    ] {
        let (mut state, todo) = in_a_group_that_gives(&["e3"]);
        state.direct[0].disabled_plans.clone_from(&own);
        state.groups_leave_off.insert(BOTH.to_owned(), groups);
        let mut desk = Desk::new(state);
        let end = desk.settle(todo, &mut NEVER.clone()).await;
        assert!(matches!(end, End::Settled(_)), "{end:?}");
        let assigned = wrote(&desk).iter().any(|line| line == "assign e3 to u-leaver");
        assert_eq!(assigned, left.is_some());
        let licences = desk.fake.now().licences(LEAVER);
        let his = licences.iter().find(|l| l.sku_id == "e3").unwrap();
        assert_eq!(his.disabled_plans, left.unwrap_or(own));
    }
    // Given by another group that he is let stay in, with less.
    let (mut state, todo) = in_a_group_that_gives(&["flow"]);
    state.groups_leave_off.insert("g-lic".to_owned(), off(&["mail"]));
    let mut desk = Desk::new(state);
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    assert!(matches!(end, End::Settled(_)), "{end:?}");
    assert!(wrote(&desk).contains(&"assign flow to u-leaver".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_group_with_roles_does_not_lose_its_last_owner() {
    let (state, todo) = owning_with(&[]);
    let mut desk = Desk::new(state);
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    let End::Asked(why) = end else { panic!("{end:?}") };
    assert!(
        why.contains("only owner") && why.contains("give it another owner"),
        "{why}"
    );
    assert_eq!(wrote(&desk), ["remove ra-1 from u-leaver", "remove re-1 from u-leaver"]);

    let (state, todo) = owning_with(&["u-other"]);
    let mut desk = Desk::new(state);
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    assert!(matches!(end, End::Settled(_)), "{end:?}");
    assert!(!desk.fake.now().owners[BOTH].contains(LEAVER));
}

/// Whose rule may take the licence away as soon as he is disabled.
#[tokio::test(start_paused = true)]
async fn the_record_of_his_groups_says_which_license_him_by_a_rule() {
    let (mut state, todo) = setting(Kind::SnapshotDirectory);
    let mut by_rule = group("g-rule", &["e3"]);
    by_rule.dynamic = true;
    state.groups.insert("g-rule".to_owned(), by_rule);
    state.members.insert("g-rule".to_owned(), [LEAVER.to_owned()].into());
    let end = Desk::new(state).settle(todo, &mut NEVER.clone()).await;
    let End::Settled(seen) = end else { panic!("{end:?}") };
    assert_eq!(seen.facts.list(LICENSED_BY_RULE), Some(&["g-rule".to_owned()][..]));
}
