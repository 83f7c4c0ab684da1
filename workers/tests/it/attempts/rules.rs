//! What single kinds owe beyond the laws of all.

use crate::attempts::drive::{Desk, End, NEVER, Todo, every_kind, setting};
use crate::attempts::fake::state::{CANARY, LEAVER, SUCCESSOR, device, group};
use crate::attempts::fake::{State, system};
use offboard_connectors::{ActionState, GroupNature, Held, MobileWipe, Owner};
use offboard_domain::assignment::baseline_in;
use offboard_domain::catalogue::{APP_GROUPS_LATER, LEAVING, ROLES_OPEN};
use offboard_domain::{
    Assignment, Check, Digest, Fact, Facts, Fault, FaultClass, Kind, Lane, Mode, ObjectId, Report, Said, Target,
    TaskId, Timestamp,
};
use offboard_runtime::keys::EscrowMaster;
use offboard_workers::attempt;

async fn end(state: State, todo: Todo) -> (Desk, End) {
    let mut desk = Desk::new(state);
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    (desk, end)
}

async fn changed(kind: Kind, f: impl FnOnce(&mut State)) -> (Desk, End) {
    let (mut state, todo) = setting(kind);
    f(&mut state);
    end(state, todo).await
}

fn asked(end: &End) -> &str {
    match end {
        End::Asked(why) => why,
        other => panic!("a person should have been asked: {other:?}"),
    }
}

fn fact(end: &End, name: &str) -> Fact {
    let (End::Settled(seen) | End::Found(seen, _)) = end else {
        panic!("not settled: {end:?}")
    };
    seen.facts
        .get(name)
        .unwrap_or_else(|| panic!("no fact {name} in {seen:?}"))
        .clone()
}

fn list(of: &[&str]) -> Fact {
    Fact::List(of.iter().map(|s| (*s).to_owned()).collect())
}

#[tokio::test(start_paused = true)]
async fn a_redelivered_once_only_order_is_never_begun() {
    for kind in every_kind().into_iter().filter(|k| !k.spec().convergent) {
        let (state, todo) = setting(kind);
        let desk = Desk::new(state);
        let assignment = desk.assignment(&todo);
        let report = attempt(&assignment, Lane::Normal, true, &desk.context).await;
        assert!(
            matches!(report.said, Said::Fault { fault } if fault.class == FaultClass::Unknown),
            "{kind}"
        );
        // Also when it came late: whoever held it before may have begun in time.
        desk.fake.clock.to(assignment.over_at());
        let report = attempt(&assignment, Lane::Normal, true, &desk.context).await;
        assert!(
            matches!(report.said, Said::Fault { fault } if fault.class == FaultClass::Unknown),
            "{kind}"
        );
        assert!(desk.writes().is_empty(), "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn resolving_names_a_successor_only_if_he_can_be_one() {
    let (_, found) = changed(Kind::Resolve, |_| {}).await;
    assert_eq!(fact(&found, "successor_id"), Fact::from(SUCCESSOR));
    assert_eq!(fact(&found, "object_id"), Fact::from(LEAVER));
    assert_eq!(fact(&found, "last_administrator"), Fact::Bool(false));
    let (_, disabled) = changed(Kind::Resolve, |s| {
        s.accounts.get_mut(SUCCESSOR).unwrap().enabled = false;
    })
    .await;
    assert_eq!(
        fact(&disabled, "successor_problem"),
        Fact::from("the successor's account is disabled")
    );
    let (_, gone) = changed(Kind::Resolve, |s| drop(s.accounts.remove(SUCCESSOR))).await;
    assert_eq!(
        fact(&gone, "successor_problem"),
        Fact::from("no account matches the successor")
    );
    let (_, himself) = changed(Kind::Resolve, |s| {
        s.accounts.get_mut(LEAVER).unwrap().manager_id = Some(LEAVER.into());
    })
    .await;
    assert_eq!(
        fact(&himself, "successor_problem"),
        Fact::from("the successor is the leaver")
    );
    let (_, nobody) = changed(Kind::Resolve, |s| drop(s.accounts.remove(LEAVER))).await;
    assert_eq!(asked(&nobody), "blocked: no account matches the request");
}

#[tokio::test(start_paused = true)]
async fn the_last_administrator_keeps_his_role() {
    let (desk, end) = changed(Kind::RemoveDirectoryRoles, |s| {
        if let Held::Role {
            administrator,
            last_administrator,
            ..
        } = &mut s.roles[0]
        {
            (*administrator, *last_administrator) = (true, true);
        }
    })
    .await;
    assert!(asked(&end).contains("no other enabled account"));
    assert!(desk.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_last_administrator_is_not_disabled_while_he_holds_his_role() {
    let administers = |s: &mut State| {
        if let Held::Role {
            administrator,
            last_administrator,
            ..
        } = &mut s.roles[0]
        {
            (*administrator, *last_administrator) = (true, true);
        }
    };
    for (last, blocked) in [(true, true), (false, false)] {
        let (mut state, mut todo) = setting(Kind::DisableSignIn);
        if last {
            administers(&mut state);
        }
        todo.params.set(ROLES_OPEN, true);
        let (desk, end) = end(state, todo).await;
        assert_eq!(desk.writes().is_empty(), blocked, "{end:?}");
        if blocked {
            assert!(asked(&end).contains("no other enabled account"), "{end:?}");
        }
    }
}

/// What refuses it for the sake of roles is no person's business while another task
/// is at them.
#[tokio::test(start_paused = true)]
async fn what_is_refused_for_the_sake_of_roles_follows_them() {
    for kind in [Kind::DisableSignIn, Kind::ResetPassword] {
        for open in [true, false] {
            let (state, mut todo) = setting(kind);
            if open {
                todo.params.set(ROLES_OPEN, true);
            }
            let mut desk = Desk::new(state);
            desk.fake.lock().protected_until_ms = i64::MAX;
            if open {
                let said = desk.once(&todo).await.said;
                let Said::Wait { why, .. } = said else {
                    panic!("{kind}: {said:?}")
                };
                assert!(why.contains("follows"), "{kind}: {why}");
            } else {
                let end = desk.settle(todo, &mut NEVER.clone()).await;
                assert!(asked(&end).starts_with("blocked"), "{kind}: {end:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_role_that_he_could_activate_goes_too() {
    for kind in [Kind::SnapshotAccess, Kind::RemoveDirectoryRoles] {
        let (state, mut todo) = setting(kind);
        todo.mode = Mode::ObserveOnly;
        let said = Desk::new(state).once(&todo).await.said;
        let Said::Observed { observation } = said else {
            panic!("{kind}: {said:?}")
        };
        assert_eq!(
            observation.facts.get("role_ids"),
            Some(&list(&["ra-1", "re-1"])),
            "{kind}"
        );
        assert_eq!(observation.facts.text("eligible_roles"), Some("read"), "{kind}");
    }
    let (desk, end) = changed(Kind::RemoveDirectoryRoles, |_| {}).await;
    assert_eq!(
        desk.writes(),
        ["remove ra-1 from u-leaver", "remove re-1 from u-leaver"]
    );
    assert_eq!(fact(&end, "eligible_roles"), Fact::from("read"));
    assert_eq!(fact(&end, "eligible_group_places"), Fact::from("not read"));
}

#[tokio::test(start_paused = true)]
async fn without_a_licence_for_eligible_roles_there_are_none_and_the_facts_say_why() {
    let unlicensed = |s: &mut State| s.eligible_roles_licensed = false;
    let (desk, end) = changed(Kind::RemoveDirectoryRoles, unlicensed).await;
    assert_eq!(fact(&end, "eligible_roles"), Fact::from("not licensed"));
    assert_eq!(desk.writes(), ["remove ra-1 from u-leaver"]);
    let (desk, snapshot) = changed(Kind::SnapshotAccess, unlicensed).await;
    assert_eq!(fact(&snapshot, "eligible_roles"), Fact::from("not licensed"));
    assert_eq!(fact(&snapshot, "role_ids"), list(&["ra-1"]));
    let artifact = &desk.reports.last().unwrap().artifacts[0];
    let bytes = desk.context.store.get(artifact.digest).await.unwrap();
    let whole: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(whole["eligible_roles"], "not licensed");
}

#[tokio::test(start_paused = true)]
async fn the_successor_keeps_what_he_holds_on_the_leavers_mailbox_and_calendar() {
    let (desk, end) = changed(Kind::RemoveDelegations, |_| {}).await;
    assert_eq!(fact(&end, "delegations"), list(&[]));
    let mut did = desk.writes();
    did.sort();
    let detached = |key: &str| format!("detach {key} of {LEAVER}");
    let keys = [
        "calendar.from.u-other",
        "calendar.to.u-other",
        "full_access.to.u-other",
        "send_as.from.u-other",
    ];
    assert_eq!(did, keys.map(detached));
}

#[tokio::test(start_paused = true)]
async fn the_default_phone_goes_last() {
    let (desk, _) = changed(Kind::RemoveAuthMethods, |_| {}).await;
    assert_eq!(desk.writes().last().unwrap(), "remove phone-1 from u-leaver");
    assert_eq!(desk.writes().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn each_group_is_treated_as_what_it_is() {
    let (desk, end) = changed(Kind::RemoveGroupMemberships, |s| {
        let mut add = |id: &str, f: fn(&mut offboard_connectors::Group)| {
            let mut added = group(id, &[]);
            f(&mut added);
            s.groups.insert(id.to_owned(), added);
            s.members.insert(id.to_owned(), [LEAVER.to_owned()].into());
        };
        add("g-dynamic", |g| g.dynamic = true);
        add("g-synced", |g| g.synced = true);
        add("g-role", |g| g.role_assignable = true);
        add("g-list", |g| g.nature = GroupNature::DistributionList);
    })
    .await;
    assert!(asked(&end).contains("synchronised from Active Directory"), "{end:?}");
    let left = |g: &str| format!("remove {g} from {LEAVER}");
    let mut wanted = ["g-list", "g-mail", "g-plain", "g-role"].map(left).to_vec();
    wanted.sort();
    let mut did = desk.writes();
    did.sort();
    assert_eq!(did, wanted);
}

/// An application may delete his account, with all that is in it, when he leaves the group.
#[tokio::test(start_paused = true)]
async fn a_group_that_gives_an_application_is_left_with_the_application_roles() {
    let gives = |s: &mut State| {
        s.groups.insert("g-app".to_owned(), group("g-app", &[]));
        s.members.insert("g-app".to_owned(), [LEAVER.to_owned()].into());
    };
    let leaves = |later: bool| {
        let (mut state, mut todo) = setting(Kind::RemoveGroupMemberships);
        gives(&mut state);
        if later {
            todo.params.set(APP_GROUPS_LATER, true);
        }
        end(state, todo)
    };
    let left = format!("remove g-app from {LEAVER}");
    // A dispatcher of an older version orders nothing that takes him out of it later.
    let (desk, _) = leaves(false).await;
    assert!(desk.writes().contains(&left), "{:?}", desk.writes());
    let (desk, end) = leaves(true).await;
    assert_eq!(fact(&end, "app_group_ids"), list(&["g-app"]));
    assert!(
        !desk.writes().contains(&left) && desk.writes().len() == 2,
        "{:?}",
        desk.writes()
    );
    let (desk, end) = changed(Kind::RemoveAppRoles, gives).await;
    assert_eq!(fact(&end, "app_group_ids"), list(&[]));
    assert_eq!(desk.writes(), [format!("remove ar-1 from {LEAVER}"), left]);
    // Those that bear licences go with the licences.
    let (desk, _) = changed(Kind::RemoveAppRoles, |s| {
        gives(s);
        s.groups.insert("g-app".to_owned(), group("g-app", &["flow"]));
    })
    .await;
    assert_eq!(desk.writes(), [format!("remove ar-1 from {LEAVER}")]);
}

#[tokio::test(start_paused = true)]
async fn without_a_successor_nothing_is_given_to_anybody() {
    for kind in [
        Kind::HandOverGroups,
        Kind::HandOverMeetings,
        Kind::GrantSuccessorMailbox,
        Kind::HandOverOneDrive,
    ] {
        let (state, mut todo) = setting(kind);
        todo.params.0.clear();
        let (desk, end) = end(state, todo).await;
        assert!(asked(&end).starts_with("blocked"), "{kind}: {end:?}");
        assert!(desk.writes().is_empty(), "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn sole_owners_hand_over_before_they_go() {
    let (desk, end) = changed(Kind::RemoveGroupOwnerships, |s| {
        s.owners.get_mut("g-sole").unwrap().remove(SUCCESSOR);
    })
    .await;
    assert!(asked(&end).contains("only owner"), "{end:?}");
    assert_eq!(desk.writes(), ["remove g-plain from u-leaver"]);
    // Another owner is gone for certain, and not only late.
    let began = Desk::new(State::rich()).now();
    assert!(desk.now().since(began) >= 10 * 60_000, "{}", desk.now());
}

/// Whoever owns it can give himself its roles.
#[tokio::test(start_paused = true)]
async fn the_successor_is_given_no_group_that_can_hold_roles() {
    let can_hold = |s: &mut State| {
        s.owners.get_mut("g-sole").unwrap().remove(SUCCESSOR);
        s.groups.get_mut("g-sole").unwrap().role_assignable = true;
    };
    let (desk, end) = changed(Kind::HandOverGroups, can_hold).await;
    assert_eq!(fact(&end, "sole_owned_role_group_ids"), list(&["g-sole"]));
    assert!(desk.writes().is_empty(), "{:?}", desk.writes());
    let (mut state, mut todo) = setting(Kind::RemoveGroupOwnerships);
    todo.params.set("successor_id", SUCCESSOR);
    can_hold(&mut state);
    let (desk, end) = self::end(state, todo).await;
    assert!(asked(&end).contains("can hold roles"), "{end:?}");
    assert_eq!(desk.writes(), ["remove g-plain from u-leaver"]);
}

/// Of two who own a group together and leave, each would count on the other.
#[tokio::test(start_paused = true)]
async fn a_group_whose_other_owner_is_disabled_or_a_guest_is_handed_over() {
    for guest in [false, true] {
        let (mut state, todo) = setting(Kind::HandOverGroups);
        state.owners.remove("g-sole");
        let other = state.accounts.get_mut("u-other").unwrap();
        (other.enabled, other.guest) = (guest, guest);
        let (desk, end) = end(state, todo).await;
        assert!(matches!(end, End::Settled(_)), "{end:?}");
        assert_eq!(desk.writes(), [format!("own g-plain by {SUCCESSOR}")], "{guest}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_that_is_his_alone_again_is_handed_over_again_and_left() {
    for leaves_too in [false, true] {
        let (mut state, mut todo) = setting(Kind::RemoveGroupOwnerships);
        state.accounts.get_mut("u-other").unwrap().enabled = false;
        todo.params.set("successor_id", SUCCESSOR);
        if leaves_too {
            todo.params.set(LEAVING, vec![SUCCESSOR.to_owned()]);
        }
        let (desk, end) = end(state, todo).await;
        if leaves_too {
            assert!(asked(&end).contains("leaves, too"), "{end:?}");
            assert_eq!(desk.writes(), ["remove g-sole from u-leaver"]);
            continue;
        }
        assert!(matches!(end, End::Settled(_)), "{end:?}");
        let given = format!("own g-plain by {SUCCESSOR}");
        assert_eq!(
            desk.writes(),
            [
                "remove g-sole from u-leaver",
                given.as_str(),
                "remove g-plain from u-leaver"
            ]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_application_that_he_owns_is_a_person_s_and_keeps_him_in_no_group() {
    let owns = |s: &mut State| {
        s.owners.insert("app-1".to_owned(), [LEAVER.to_owned()].into());
    };
    let (desk, end) = changed(Kind::RemoveGroupOwnerships, owns).await;
    assert!(asked(&end).starts_with("unsupported"), "{end:?}");
    assert_eq!(
        desk.writes(),
        ["remove g-plain from u-leaver", "remove g-sole from u-leaver"],
        "groups are left all the same"
    );
    let (_, end) = changed(Kind::RemoveGroupMemberships, owns).await;
    assert_eq!(fact(&end, "removable_group_ids"), list(&[]));
}

#[tokio::test(start_paused = true)]
async fn a_hand_over_that_reads_late_sends_no_ownership_to_a_person() {
    let (mut state, todo) = setting(Kind::RemoveGroupOwnerships);
    state.owners.get_mut("g-sole").unwrap().remove(SUCCESSOR);
    let mut desk = Desk::new(state);
    desk.fake.clock.to(Timestamp(1_000_000));
    desk.fake.edit(|s| {
        s.owners.get_mut("g-sole").unwrap().insert(SUCCESSOR.to_owned());
    });
    desk.fake.lock().lag_ms = 5 * 60_000;
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    assert!(matches!(end, End::Settled(_)), "{end:?}");
    let mut writes = desk.writes();
    writes.dedup();
    assert_eq!(writes, ["remove g-plain from u-leaver", "remove g-sole from u-leaver"]);
}

#[tokio::test(start_paused = true)]
async fn a_conversion_counts_when_two_sources_agree_twice_a_minute_apart() {
    let (desk, end) = changed(Kind::ConvertToShared, |_| {}).await;
    let Fact::Int(agreed) = fact(&end, "agreed_for_ms") else {
        panic!("{end:?}")
    };
    assert!(agreed >= 60_000, "{agreed}");
    assert_eq!(desk.writes().len(), 1, "ordered once: {:?}", desk.writes());
    assert!(
        desk.reports
            .iter()
            .filter(|r| matches!(r.said, Said::Wait { .. }))
            .count()
            >= 3
    );
    // One source alone is not enough, however long.
    let (state, todo) = setting(Kind::ConvertToShared);
    let mut desk = Desk::new(state);
    desk.fake
        .edit(|s| s.mailbox.as_mut().unwrap().recipient_type = "SharedMailbox".into());
    let mut todo = todo;
    for _ in 0..5 {
        let report = desk.once(&todo).await;
        let Said::Wait { until, checkpoint, .. } = report.said else {
            panic!("{:?}", report.said)
        };
        todo.checkpoint = checkpoint;
        desk.fake.clock.to(until);
    }
}

#[tokio::test(start_paused = true)]
async fn size_and_hold_gate_the_conversion() {
    let (desk, large) = changed(Kind::ConvertToShared, |s| s.usage.size_bytes = 60_000_000_000).await;
    assert!(asked(&large).contains("larger than a shared one may be"), "{large:?}");
    assert!(desk.writes().is_empty());
    let (_, kept) = changed(Kind::ConvertToShared, |s| {
        s.mailbox.as_mut().unwrap().holds.litigation = true;
    })
    .await;
    assert_eq!(fact(&kept, "too_large_or_held"), Fact::Bool(false));
    let (desk, held) = changed(Kind::ConvertToShared, |s| {
        s.mailbox.as_mut().unwrap().holds.litigation = true;
        s.direct.retain(|l| !l.keeps_mailbox_hold);
    })
    .await;
    assert!(asked(&held).contains("on hold"), "{held:?}");
    assert!(desk.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_hold_counts_only_if_it_lasts_as_long_as_wanted() {
    // (what holds it already, for how long it is wanted) → (written, how long it is held then)
    let held = |days: Option<i64>| Some(days);
    for (there, wanted, written, after) in [
        (None, Some(365), true, Some(365)),
        (None, None, true, None),
        (held(Some(30)), Some(365), true, Some(365)),
        (held(Some(30)), None, true, None),
        (held(Some(365)), Some(365), false, Some(365)),
        (held(Some(3_650)), Some(365), false, Some(3_650)),
        (held(None), Some(365), false, None),
        (held(None), None, false, None),
    ] {
        let (mut state, mut todo) = setting(Kind::HoldMailbox);
        if let Some(days) = there {
            let holds = &mut state.mailbox.as_mut().unwrap().holds;
            (holds.litigation, holds.litigation_days) = (true, days);
        }
        if let Some(days) = wanted {
            todo.params.set("hold_days", days);
        }
        let (desk, end) = end(state, todo).await;
        assert_eq!(fact(&end, "litigation_hold"), Fact::Bool(true));
        assert_eq!(fact(&end, "held_unlimited"), Fact::Bool(after.is_none()));
        assert_eq!(!desk.writes().is_empty(), written, "{there:?}, wanted {wanted:?}");
        let holds = desk.fake.now().mailbox.unwrap().holds;
        assert_eq!(holds.litigation_days, after, "{there:?}, wanted {wanted:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_mailbox_needs_is_not_released() {
    let (desk, end) = changed(Kind::ReleaseDirectLicenses, |s| {
        s.mailbox.as_mut().unwrap().holds.litigation = true;
    })
    .await;
    assert_eq!(fact(&end, "kept_sku_ids"), list(&["e3"]));
    assert_eq!(desk.writes(), ["release visio of u-leaver"]);
    // Not shared, and nobody can tell which licence bears it: all stay.
    let (desk, end) = changed(Kind::ReleaseDirectLicenses, |s| {
        s.mailbox.as_mut().unwrap().recipient_type = "UserMailbox".into();
        for licence in &mut s.direct {
            (licence.keeps_mailbox_hold, licence.bears_mailbox) = (false, false);
        }
    })
    .await;
    assert_eq!(fact(&end, "kept_sku_ids"), list(&["e3", "visio"]));
    assert!(desk.writes().is_empty());
    // One that bears it, and cannot keep it on hold: that one stays.
    let (desk, end) = changed(Kind::ReleaseDirectLicenses, |s| {
        s.mailbox.as_mut().unwrap().recipient_type = "UserMailbox".into();
        s.direct.iter_mut().for_each(|l| l.keeps_mailbox_hold = false);
    })
    .await;
    assert_eq!(fact(&end, "kept_sku_ids"), list(&["e3"]));
    assert_eq!(desk.writes(), ["release visio of u-leaver"]);
    // Nothing of his own bears it, whatever else he has: the group's licence stays.
    for others in [&[][..], &["visio"]] {
        let (desk, end) = changed(Kind::ReleaseGroupLicenses, |s| {
            s.mailbox.as_mut().unwrap().recipient_type = "UserMailbox".into();
            s.direct.retain(|l| others.contains(&l.sku_id.as_str()));
        })
        .await;
        assert!(asked(&end).contains("not a shared one"), "{others:?}: {end:?}");
        assert!(desk.writes().is_empty(), "{others:?}");
    }
    // Shared and held, with an addition that keeps it there: what it adds to stays, too.
    let (_, end) = changed(Kind::ReleaseDirectLicenses, |s| {
        s.mailbox.as_mut().unwrap().holds.litigation = true;
        for licence in &mut s.direct {
            licence.bears_mailbox = licence.sku_id == "e3";
            licence.keeps_mailbox_hold = licence.sku_id == "visio";
        }
    })
    .await;
    assert_eq!(fact(&end, "kept_sku_ids"), list(&["e3", "visio"]));
}

/// The size that the tenant's policy says, and not the vendor's own limit alone.
#[tokio::test(start_paused = true)]
async fn a_mailbox_that_is_too_large_for_the_tenant_keeps_its_licence() {
    let (state, mut todo) = setting(Kind::ReleaseDirectLicenses);
    todo.params.set("shared_max_bytes", 1_000_i64);
    let (desk, released) = end(state, todo).await;
    assert_eq!(fact(&released, "kept_sku_ids"), list(&["e3"]));
    assert_eq!(desk.writes(), ["release visio of u-leaver"]);
}

#[tokio::test(start_paused = true)]
async fn the_pool_says_what_is_freed() {
    let (_, end) = changed(Kind::ProvePool, |_| {}).await;
    assert_eq!(fact(&end, "freed_sku_ids"), list(&["e3", "flow", "visio"]));
    assert_eq!(fact(&end, "freed_cents_per_month"), Fact::Int(3_600));
    assert_eq!(fact(&end, "freed_without_price"), list(&["FLOW", "VISIO"]));
    // By their names, by which prices are known, too.
    assert_eq!(fact(&end, "part_number/e3"), Fact::Text("E3".into()));
    assert_eq!(fact(&end, "pool_agrees"), Fact::Bool(true));
    assert_eq!(fact(&end, "pool_differs"), list(&[]));
    // What the vendor still shows is waited for.
    let (state, todo) = setting(Kind::ProvePool);
    let mut desk = Desk::new(state);
    desk.fake.edit(|s| {
        s.members.get_mut("g-lic").unwrap().insert(LEAVER.to_owned());
    });
    let report = desk.once(&todo).await;
    assert!(matches!(report.said, Said::Wait { .. }), "{:?}", report.said);
}

#[tokio::test(start_paused = true)]
async fn the_pool_s_numbers_are_compared_and_waited_for() {
    let consumed = |s: &mut State, units: i64| s.pool.iter_mut().for_each(|line| line.consumed = units);
    // It still counts what was given back: looked at again until it moves.
    let (state, mut todo) = setting(Kind::ProvePool);
    let mut desk = Desk::new(state);
    let began = desk.now();
    desk.fake.edit(|s| consumed(s, 6));
    for _ in 0..3 {
        let report = desk.once(&todo).await;
        let Said::Wait { until, checkpoint, .. } = report.said else {
            panic!("{:?}", report.said)
        };
        todo.checkpoint = checkpoint;
        desk.fake.clock.to(until);
    }
    desk.fake.edit(|s| consumed(s, 5));
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    assert_eq!(fact(&end, "pool_agrees"), Fact::Bool(true));
    assert_eq!(desk.now().since(began), 3 * 2 * 60_000);
    // Colleagues moved it: it is said after half an hour, and nothing is claimed from it.
    let (desk, end) = changed(Kind::ProvePool, |s| {
        consumed(s, 5);
        s.pool.iter_mut().find(|l| l.sku_id == "e3").unwrap().consumed = 9;
    })
    .await;
    assert_eq!(fact(&end, "pool_agrees"), Fact::Bool(false));
    assert_eq!(
        fact(&end, "pool_differs"),
        list(&["E3: 6 in use before, 9 now, 5 expected"])
    );
    let Fact::Text(why) = fact(&end, "pool_proves_nothing_because") else {
        panic!("{end:?}")
    };
    assert!(why.contains("others moved"), "{why}");
    assert_eq!(
        fact(&end, "freed_sku_ids"),
        list(&["e3", "flow", "visio"]),
        "the account says so"
    );
    assert_eq!(desk.now().since(began), 30 * 60_000);
    // A snapshot that counted nothing leaves nothing to compare.
    let (state, mut todo) = setting(Kind::ProvePool);
    todo.params.0.retain(|name, _| !name.starts_with("consumed_before/"));
    let (_, end) = self::end(state, todo).await;
    assert_eq!(fact(&end, "pool_agrees"), Fact::Bool(false));
}

#[tokio::test(start_paused = true)]
async fn the_snapshot_counts_the_pool_before_any_release() {
    let (_, end) = changed(Kind::SnapshotDirectory, |_| {}).await;
    assert_eq!(fact(&end, "consumed_units/e3"), Fact::Int(5));
    let End::Settled(seen) = end else { panic!("{end:?}") };
    let mut params = Facts::new();
    offboard_domain::assignment::pool_params(&mut params, &seen.facts);
    assert_eq!(params.int("consumed_before/flow"), Some(5));
    assert_eq!(params.get("held_sku_ids"), Some(&list(&["e3", "flow", "visio"])));
}

#[tokio::test(start_paused = true)]
async fn discovery_finds_one_task_for_each_need() {
    let (_, end) = changed(Kind::DiscoverDevices, |_| {}).await;
    let End::Found(_, finds) = end else { panic!("{end:?}") };
    let of = |id: &str| -> Vec<Kind> { finds.iter().filter(|f| f.object.0 == id).map(|f| f.kind).collect() };
    let escrow_retire_disable = [Kind::EscrowRecoveryKeys, Kind::RetireDevice, Kind::DisableDeviceObject];
    assert_eq!(of("m-personal"), escrow_retire_disable);
    assert_eq!(of("m-odd"), escrow_retire_disable);
    assert_eq!(
        of("m-company"),
        [
            Kind::EscrowRecoveryKeys,
            Kind::ConfirmDeviceReturned,
            Kind::WipeDevice,
            Kind::UnassignAutopilot,
            Kind::DisableDeviceObject
        ]
    );
    let (state, mut todo) = setting(Kind::DiscoverDevices);
    todo.params.set("wipe_company_devices", false);
    let (_, kept) = self::end(state, todo).await;
    assert!(matches!(kept, End::Found(_, finds) if finds.iter().all(|f| f.kind != Kind::WipeDevice)));
}

#[tokio::test(start_paused = true)]
async fn a_device_that_somebody_else_uses_is_recorded_and_left_alone() {
    // He joined a colleague's laptop: the directory lists it with him, the management does not.
    let joined = |s: &mut State| {
        let mut row = device("joined", Owner::Company);
        row.managed = None;
        row.device.is_managed = false;
        row.device.at.managed = None;
        row.used_by_another = true;
        s.devices.insert("o-joined".into(), row);
    };
    let (_, end) = changed(Kind::DiscoverDevices, joined).await;
    assert_eq!(fact(&end, "somebody_elses_ids"), list(&["o-joined"]));
    assert_eq!(fact(&end, "company_count"), Fact::Int(1), "his own");
    let End::Found(seen, finds) = end else { panic!() };
    assert!(!seen.facts.list("device_ids").unwrap().contains(&"o-joined".to_owned()));
    assert!(finds.iter().all(|f| f.object.0 != "o-joined"), "{finds:?}");
    // Where nobody else is registered it is his, though nothing manages it.
    let (_, end) = changed(Kind::DiscoverDevices, |s| {
        joined(s);
        s.devices.get_mut("o-joined").unwrap().used_by_another = false;
    })
    .await;
    let End::Found(_, finds) = end else { panic!("{end:?}") };
    assert!(
        finds
            .iter()
            .any(|f| f.object.0 == "o-joined" && f.kind == Kind::DisableDeviceObject)
    );
    // Given to somebody else after the discovery: a person decides.
    let (desk, end) = changed(Kind::DisableDeviceObject, |s| {
        let row = s.devices.get_mut("m-company").unwrap();
        row.managed.as_mut().unwrap().user_id = Some("u-other".into());
    })
    .await;
    assert!(asked(&end).contains("somebody else uses the device"), "{end:?}");
    assert!(desk.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn only_his_own_company_device_is_wiped() {
    let row = |s: &mut State| s.devices.get_mut("m-company").unwrap().managed.clone().unwrap();
    for owner in [Owner::Personal, Owner::Unknown] {
        let (desk, end) = changed(Kind::WipeDevice, |s| {
            let managed = offboard_connectors::ManagedDevice { owner, ..row(s) };
            s.devices.get_mut("m-company").unwrap().managed = Some(managed);
        })
        .await;
        assert!(asked(&end).starts_with("blocked"), "{end:?}");
        assert!(desk.writes().is_empty());
    }
    let (desk, end) = changed(Kind::WipeDevice, |s| {
        let managed = offboard_connectors::ManagedDevice {
            user_id: Some("u-other".into()),
            ..row(s)
        };
        s.devices.get_mut("m-company").unwrap().managed = Some(managed);
    })
    .await;
    assert!(asked(&end).contains("another account"), "{end:?}");
    assert!(desk.writes().is_empty());
}

fn given_to(s: &mut State, device: &str, user: Option<&str>) {
    let managed = s.devices.get_mut(device).unwrap().managed.as_mut().unwrap();
    managed.user_id = user.map(ObjectId::from);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_given_away_while_an_order_is_pending_is_for_a_person() {
    for (kind, device) in [(Kind::WipeDevice, "m-company"), (Kind::RetireDevice, "m-personal")] {
        for mode in [Mode::Full, Mode::ObserveOnly] {
            let (state, mut todo) = setting(kind);
            let mut desk = Desk::new(state);
            let report = desk.once(&todo).await;
            let Said::Wait { checkpoint, .. } = report.said else {
                panic!("{kind}: {:?}", report.said)
            };
            (todo.checkpoint, todo.mode) = (checkpoint, mode);
            // Nobody's it may be by our own order.
            desk.fake.edit(|s| given_to(s, device, None));
            let report = desk.once(&todo).await;
            assert!(matches!(report.said, Said::Wait { .. }), "{kind}: {:?}", report.said);
            desk.fake.edit(|s| given_to(s, device, Some("u-other")));
            let end = desk.settle(todo, &mut NEVER.clone()).await;
            assert!(asked(&end).contains("another account"), "{kind}: {end:?}");
            assert_eq!(desk.writes().len(), 1, "{kind}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whose_a_device_is_is_read_right_before_anything_is_ordered() {
    for kind in [Kind::WipeDevice, Kind::RetireDevice] {
        let (state, todo) = setting(kind);
        let mut desk = Desk::new(state);
        let given_away = |s: &mut State| {
            for device in ["m-company", "m-personal"] {
                given_to(s, device, Some("u-other"));
            }
        };
        desk.fake.lock().after_read = Some(("managed", given_away));
        let end = desk.settle(todo, &mut NEVER.clone()).await;
        assert!(asked(&end).contains("another account"), "{kind}: {end:?}");
        assert!(desk.writes().is_empty(), "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_enrolment_that_is_given_to_somebody_else_meanwhile_is_his() {
    let (state, todo) = setting(Kind::UnassignAutopilot);
    let mut desk = Desk::new(state);
    desk.fake.lock().after_read = Some(("autopilot", |s| {
        let enrolled = s.devices.get_mut("m-company").unwrap().autopilot.as_mut().unwrap();
        enrolled.assigned_to = Some(format!("{SUCCESSOR}@example.com"));
    }));
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    assert_eq!(fact(&end, "autopilot_assigned_to_another"), Fact::Bool(true));
    assert!(desk.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn nobody_s_device_is_ordered_anything_only_after_an_order_of_ours() {
    for ours in [false, true] {
        let (mut state, mut todo) = setting(Kind::RetireDevice);
        given_to(&mut state, "m-personal", None);
        let managed = state.devices.get_mut("m-personal").unwrap().managed.as_mut().unwrap();
        managed.actions.push(ActionState {
            name: "retire".into(),
            state: "failed".into(),
            started_ms: None,
            updated_ms: None,
        });
        todo.checkpoint = ours.then(|| Facts::new().with("retire_ordered", true));
        let (desk, end) = end(state, todo).await;
        if ours {
            assert!(matches!(end, End::Settled(_)), "{end:?}");
        } else {
            assert!(asked(&end).contains("belongs to nobody"), "{end:?}");
        }
        assert_eq!(desk.writes().len(), usize::from(ours));
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_gone_proves_no_wipe() {
    let (desk, end) = changed(Kind::WipeDevice, |s| {
        s.devices.get_mut("m-company").unwrap().managed = None;
    })
    .await;
    assert!(asked(&end).contains("does not prove a wipe"), "{end:?}");
    assert!(desk.writes().is_empty());
    // Deleted while the order was still pending: the same.
    let (state, mut todo) = setting(Kind::WipeDevice);
    let mut desk = Desk::new(state);
    let report = desk.once(&todo).await;
    let Said::Wait { checkpoint, .. } = report.said else {
        panic!("{:?}", report.said)
    };
    assert_eq!(desk.writes().len(), 1);
    todo.checkpoint = checkpoint;
    todo.mode = Mode::ObserveOnly;
    desk.fake
        .edit(|s| s.devices.get_mut("m-company").unwrap().managed = None);
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    assert!(asked(&end).contains("does not prove a wipe"), "{end:?}");
    assert_eq!(desk.writes().len(), 1);
}

/// A device that was wiped once, and has a record of that, as it was found.
fn wiped_before(s: &mut State, state: &str, at_ms: Option<i64>) {
    let managed = s.devices.get_mut("m-company").unwrap().managed.as_mut().unwrap();
    managed.actions.push(ActionState {
        name: "wipe".into(),
        state: state.into(),
        started_ms: at_ms,
        updated_ms: at_ms,
    });
}

/// What the finder says of it.
async fn wipe_found(state: &State) -> Facts {
    let (_, todo) = setting(Kind::DiscoverDevices);
    let (_, end) = end(state.clone(), todo).await;
    let End::Found(_, finds) = end else { panic!("{end:?}") };
    let mut wipes = finds.into_iter().filter(|f| f.kind == Kind::WipeDevice);
    wipes.next().unwrap().params
}

#[tokio::test(start_paused = true)]
async fn a_wipe_of_an_earlier_life_is_none() {
    for at_ms in [Some(1_000), None] {
        let (mut state, mut todo) = setting(Kind::WipeDevice);
        wiped_before(&mut state, "done", at_ms);
        todo.params = wipe_found(&state).await;
        let (desk, end) = end(state, todo).await;
        assert_eq!(desk.writes().len(), 1, "it was not wiped: {end:?}");
        assert!(matches!(end, End::Settled(_)), "{end:?}");
    }
}

/// Somebody wiped it after it was found, and he goes on using it.
#[tokio::test(start_paused = true)]
async fn a_wipe_that_the_device_has_outlived_since_it_was_found_is_none() {
    let (mut state, todo) = setting(Kind::WipeDevice);
    let now_ms = Desk::new(state.clone()).now().0;
    wiped_before(&mut state, "done", Some(now_ms - 86_400_000));
    let managed = state.devices.get_mut("m-company").unwrap().managed.as_mut().unwrap();
    managed.last_seen_ms = Some(now_ms - 3_600_000);
    let (desk, end) = end(state, todo).await;
    assert_eq!(desk.writes().len(), 1, "it was not wiped: {end:?}");
    assert!(matches!(end, End::Settled(_)), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn a_wipe_that_was_under_way_when_the_device_was_found_is_awaited() {
    let (mut state, mut todo) = setting(Kind::WipeDevice);
    wiped_before(&mut state, "done", Some(1_000));
    let now_ms = Desk::new(state.clone()).now().0;
    state.order("m-company", "wipe", now_ms);
    todo.params = wipe_found(&state).await;
    let (desk, end) = end(state, todo).await;
    assert!(matches!(end, End::Settled(_)), "{end:?}");
    assert!(desk.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_retirement_of_an_earlier_life_is_none() {
    let (mut state, mut todo) = setting(Kind::RetireDevice);
    let managed = state.devices.get_mut("m-personal").unwrap().managed.as_mut().unwrap();
    managed.actions.push(ActionState {
        name: "retire".into(),
        state: "done".into(),
        started_ms: Some(1_000),
        updated_ms: Some(1_000),
    });
    let (_, finder) = setting(Kind::DiscoverDevices);
    let (_, found) = end(state.clone(), finder).await;
    let End::Found(_, finds) = found else {
        panic!("{found:?}")
    };
    let mut retires = finds
        .into_iter()
        .filter(|f| f.kind == Kind::RetireDevice && f.object.0 == "m-personal");
    todo.params = retires.next().unwrap().params;
    let (desk, end) = end(state, todo).await;
    assert_eq!(desk.writes().len(), 1, "it was not retired: {end:?}");
    assert!(matches!(end, End::Settled(_)), "{end:?}");
}

/// Orders the wipe, looks at it while it is in `state`, and has its record
/// deleted then.
async fn deleted_while(state: &str) -> (Desk, End) {
    let (before, mut todo) = setting(Kind::WipeDevice);
    let mut desk = Desk::new(before);
    for mode in [Mode::Full, Mode::ObserveOnly] {
        todo.mode = mode;
        let report = desk.once(&todo).await;
        let Said::Wait { checkpoint, .. } = report.said else {
            panic!("{:?}", report.said)
        };
        todo.checkpoint = checkpoint;
        desk.fake.edit(|s| {
            let row = s.devices.get_mut("m-company").unwrap();
            row.schedule.clear();
            state.clone_into(&mut row.managed.as_mut().unwrap().actions.last_mut().unwrap().state);
        });
    }
    assert_eq!(todo.checkpoint.as_ref().unwrap().text("last_action_state"), Some(state));
    desk.fake
        .edit(|s| s.devices.get_mut("m-company").unwrap().managed = None);
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    assert_eq!(desk.writes().len(), 1);
    (desk, end)
}

#[tokio::test(start_paused = true)]
async fn a_device_that_had_taken_the_order_is_not_wiped_for_that() {
    let (_, end) = deleted_while("active").await;
    assert!(asked(&end).contains("does not prove a wipe"), "{end:?}");
    assert!(asked(&end).contains("look at the device"), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn a_wipe_that_somebody_else_ordered_is_awaited() {
    let (state, todo) = setting(Kind::WipeDevice);
    let mut desk = Desk::new(state);
    let now_ms = desk.now().0;
    desk.fake.edit(|s| s.order("m-company", "wipe", now_ms));
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    assert!(matches!(end, End::Settled(_)), "{end:?}");
    assert!(desk.writes().is_empty());
}

/// The vendor takes the order, and its answer is lost; its lists lag behind for longer than
/// the order is valid.
#[tokio::test(start_paused = true)]
async fn a_wipe_that_nobody_answered_for_and_that_is_listed_late_is_ordered_once() {
    let (state, mut todo) = setting(Kind::WipeDevice);
    let mut desk = Desk::new(state);
    // History needs a past for the lag to look into.
    desk.fake.clock.to(desk.now().plus(7_200_000));
    desk.fake.lock().lag_ms = 20 * 60_000;
    desk.fake.lock().unanswered = 1;
    let said = desk.once(&todo).await.said;
    assert!(
        matches!(&said, Said::Fault { fault } if fault.class == FaultClass::Unknown),
        "{said:?}"
    );
    desk.fake.clock.to(desk.now().plus(450_000));
    todo.mode = Mode::ObserveOnly;
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    assert!(matches!(end, End::Settled(_)), "{end:?}");
    assert_eq!(desk.writes().len(), 1, "{:?}", desk.writes());
}

#[tokio::test(start_paused = true)]
async fn a_wipe_of_which_nothing_is_listed_for_an_hour_is_ordered_again() {
    let (state, todo) = setting(Kind::WipeDevice);
    let mut desk = Desk::new(state);
    desk.fake.lock().next_faults = vec![(FaultClass::Unknown, false)];
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    assert!(matches!(end, End::Settled(_)), "{end:?}");
    assert_eq!(desk.writes().len(), 1, "what took no effect is not among them");
    let looks = desk.reports.iter().skip(1);
    let looks = looks.take_while(|r| matches!(r.said, Said::Wait { .. })).count();
    assert_eq!(looks, 12);
}

#[tokio::test(start_paused = true)]
async fn a_wipe_that_failed_is_conclusive_and_one_that_cannot_be_seen_is_not() {
    let (state, mut todo) = setting(Kind::WipeDevice);
    let mut desk = Desk::new(state);
    let now_ms = desk.now().0;
    desk.fake.edit(|s| {
        s.order("m-company", "wipe", now_ms);
        let row = s.devices.get_mut("m-company").unwrap();
        row.schedule.clear();
        let managed = row.managed.as_mut().unwrap();
        managed.actions[0].state = "failed".into();
        managed.management_state = Some("managed".into());
    });
    todo.mode = Mode::ObserveOnly;
    // A later order may be listed late: nobody knows that the failed one is the last.
    let mut waited = 0;
    let observation = loop {
        todo.attempt += 1;
        match desk.once(&todo).await.said {
            Said::Wait { until, checkpoint, .. } if waited < 20 => {
                waited += 1;
                todo.checkpoint = checkpoint;
                desk.fake.clock.to(until);
            }
            Said::Observed { observation } => break observation,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(waited, 12, "it is looked for for an hour");
    assert_eq!(observation.facts.bool("conclusive"), Some(true));
    assert_eq!(observation.facts.bool("wiped"), Some(false));
    // Acknowledged long ago, and nowhere to be seen.
    let (state, mut todo) = setting(Kind::WipeDevice);
    let mut desk = Desk::new(state);
    todo.mode = Mode::ObserveOnly;
    todo.checkpoint = Some(Facts::new().with("ordered_ms", desk.now().0 - 7_200_000));
    let report = desk.once(&todo).await;
    let Said::Observed { observation } = &report.said else {
        panic!("{:?}", report.said)
    };
    assert_eq!(observation.facts.bool("conclusive"), Some(false));
}

#[tokio::test(start_paused = true)]
async fn after_a_once_only_order_every_fault_is_unknown() {
    let (state, todo) = setting(Kind::WipeDevice);
    let busy = FaultClass::Throttled {
        retry_after_ms: Some(7_000),
    };
    for class in [FaultClass::Transient, FaultClass::Unknown, busy] {
        let mut desk = Desk::new(state.clone());
        desk.fake.lock().next_faults = vec![(class, true)];
        let report = desk.once(&todo).await;
        assert!(matches!(report.said, Said::Fault { fault } if fault.class == FaultClass::Unknown));
    }
    // A clear refusal is not.
    for class in [FaultClass::Denied, busy] {
        let mut desk = Desk::new(state.clone());
        desk.fake.lock().next_faults = vec![(class, false)];
        let report = desk.once(&todo).await;
        assert!(matches!(report.said, Said::Fault { fault } if fault.class == class));
    }
}

#[tokio::test(start_paused = true)]
async fn recovery_keys_are_in_the_escrow_and_nowhere_else() {
    let (state, todo) = setting(Kind::EscrowRecoveryKeys);
    let mut desk = Desk::new(state.clone());
    let report = desk.once(&todo).await;
    let [artifact] = report.artifacts.as_slice() else {
        panic!("{:?}", report.artifacts)
    };
    let sealed = desk.context.store.get(artifact.digest).await.unwrap();
    assert!(!String::from_utf8_lossy(&sealed).contains(CANARY));
    let key = EscrowMaster::from_bytes([7; 32]).tenant(&report.tenant);
    let opened = key.open(&format!("{}/m-company", report.case), &sealed).unwrap();
    let line: serde_json::Value = serde_json::from_slice(opened.trim_ascii()).unwrap();
    assert_eq!(line["key"], format!("{CANARY}-recovery-company"));
    // The same again is the same artifact.
    let again = desk.once(&todo).await;
    assert_eq!(again.artifacts, report.artifacts);
    let mut without = Desk::new(state);
    without.context.escrow = None;
    let report = without.once(&todo).await;
    assert!(matches!(report.said, Said::Fault { fault } if fault.class == FaultClass::Denied));
    assert!(report.artifacts.is_empty());
}

#[tokio::test(start_paused = true)]
async fn snapshots_are_artifacts_and_hold_the_whole() {
    for (kind, name) in [
        (Kind::SnapshotAccess, "snapshot.access"),
        (Kind::SnapshotDirectory, "snapshot.directory"),
        (Kind::SnapshotMailbox, "snapshot.mailbox"),
    ] {
        let (state, todo) = setting(kind);
        let mut desk = Desk::new(state);
        let report = desk.once(&todo).await;
        let [artifact] = report.artifacts.as_slice() else {
            panic!("{:?}", report.artifacts)
        };
        assert_eq!(artifact.name, name);
        let bytes = desk.context.store.get(artifact.digest).await.unwrap();
        assert_eq!(artifact.size_bytes, bytes.len() as u64);
        assert_eq!(Digest::of(&bytes), artifact.digest);
        let whole: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert!(whole.as_object().is_some_and(|o| o.len() >= 3));
        if kind == Kind::SnapshotMailbox {
            // Once the rule is gone, this alone tells where it sent.
            assert_eq!(
                whole["rules"][0]["original"]["ForwardTo"][0],
                format!("{CANARY}@private.example")
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_devices_are_an_artifact_as_they_were() {
    let (mut state, todo) = setting(Kind::DiscoverDevices);
    let row = state.devices.get_mut("m-company").unwrap();
    row.device.operating_system = Some("Windows".into());
    row.device.last_seen_ms = Some(86_400_000);
    let mut row = device("joined", Owner::Company);
    (row.managed, row.device.is_managed, row.used_by_another) = (None, false, true);
    row.device.at.managed = None;
    state.devices.insert("o-joined".into(), row);
    let mut desk = Desk::new(state);
    let report = desk.once(&todo).await;
    let [artifact] = report.artifacts.as_slice() else {
        panic!("{:?}", report.artifacts)
    };
    assert_eq!(artifact.name, "snapshot.devices");
    let bytes = desk.context.store.get(artifact.digest).await.unwrap();
    let all: Vec<serde_json::Value> = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(all.len(), 4);
    let of = |id: &str| all.iter().find(|d| d["at"]["object"] == id).unwrap();
    let company = of("o-company");
    assert_eq!(company["name"], format!("{CANARY}'s company"));
    assert_eq!(company["operating_system"], "Windows");
    assert_eq!(company["at"]["serial"], "s-company");
    assert_eq!(company["owner"], "company");
    assert_eq!(company["last_seen_ms"], 86_400_000);
    assert_eq!(company["somebody_elses"], false);
    assert_eq!(of("o-joined")["somebody_elses"], true);
}

#[tokio::test(start_paused = true)]
async fn phones_are_wiped_before_they_go_but_not_waited_for_for_ever() {
    let (desk, end) = changed(Kind::RemoveMobilePartnerships, |_| {}).await;
    assert!(matches!(end, End::Settled(_)));
    assert_eq!(
        desk.writes(),
        [
            "wipe account on p-new of u-leaver",
            "detach p-old of u-leaver",
            "detach p-new of u-leaver"
        ]
    );
    let (state, todo) = setting(Kind::RemoveMobilePartnerships);
    let mut desk = Desk::new(state);
    let began = desk.now();
    desk.fake.edit(|s| {
        s.attached.iter_mut().for_each(|a| {
            if let offboard_connectors::Attached::MobileDevice(phone) = a {
                // Ordered before, and switched off since.
                phone.wipe = MobileWipe::Pending;
            }
        });
    });
    let end = desk.settle(todo, &mut NEVER.clone()).await;
    assert_eq!(fact(&end, "unanswered_wipe_count"), Fact::Int(2));
    assert!(desk.now().since(began) >= 86_400_000);
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_that_is_not_there_needs_nothing() {
    // Who has none may hold something on others'.
    let his_own = |k: &Kind| k.spec().area == offboard_domain::Area::Mailbox && *k != Kind::RemoveDelegations;
    for kind in every_kind().into_iter().filter(|k| his_own(k) && k.spec().writes) {
        let without = |s: &mut State| {
            s.mailbox = None;
            s.office.members.values_mut().for_each(|m| m.has_mail = false);
        };
        let (desk, end) = changed(kind, without).await;
        assert!(matches!(end, End::NotApplicable(_)), "{kind}: {end:?}");
        assert!(desk.writes().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn who_has_no_mailbox_loses_what_he_holds_on_others() {
    let (desk, end) = changed(Kind::RemoveDelegations, |s| s.mailbox = None).await;
    assert_eq!(fact(&end, "delegations"), list(&[]));
    assert_eq!(fact(&end, "mailbox_exists"), Fact::Bool(false));
    let mut did = desk.writes();
    did.sort();
    let detached = |key: &str| format!("detach {key} of {LEAVER}");
    assert_eq!(did, ["calendar.from.u-other", "send_as.from.u-other"].map(detached));
}

#[tokio::test(start_paused = true)]
async fn whom_the_mail_system_does_not_know_holds_nothing_there_and_that_is_said() {
    let (desk, end) = changed(Kind::RemoveDelegations, |s| {
        (s.mailbox, s.known_to_mail) = (None, false);
    })
    .await;
    assert!(
        matches!(end, End::NotApplicable(why) if why.contains("does not know")),
        "{end:?}"
    );
    assert!(desk.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_interface_that_shows_no_mailbox_does_not_prove_that_there_is_none() {
    let about_it = |k: &Kind| k.spec().area == offboard_domain::Area::Mailbox && *k != Kind::ArchiveMailbox;
    let releases = [Kind::ReleaseDirectLicenses, Kind::ReleaseGroupLicenses];
    let kinds = every_kind()
        .into_iter()
        .filter(|k| k.spec().writes && k.is_of_a_cloud());
    for kind in kinds.filter(|k| about_it(k) || releases.contains(k)) {
        let (mut state, todo) = setting(kind);
        state.mailbox_unseen = true;
        let mut desk = Desk::new(state);
        let Said::Fault { fault } = desk.once(&todo).await.said else {
            panic!("{kind} believes it")
        };
        assert_eq!(fault.class, FaultClass::Transient, "{kind}: {fault}");
        assert!(fault.to_string().contains("second interface"), "{kind}: {fault}");
        assert!(desk.writes().is_empty(), "{kind}: {:?}", desk.writes());
        desk.fake.edit(|s| s.mailbox_unseen = false);
        let end = desk.settle(todo, &mut NEVER.clone()).await;
        assert!(matches!(end, End::Settled(_)), "{kind}: {end:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_is_given_something_is_still_there() {
    for kind in [
        Kind::HandOverGroups,
        Kind::GrantSuccessorMailbox,
        Kind::HandOverMeetings,
        Kind::SetForwarding,
        Kind::HandOverOneDrive,
    ] {
        for gone in [false, true] {
            let (desk, end) = changed(kind, |s| {
                if gone {
                    s.accounts.remove(SUCCESSOR);
                } else {
                    s.accounts.get_mut(SUCCESSOR).unwrap().enabled = false;
                }
            })
            .await;
            assert!(asked(&end).contains("has left himself"), "{kind}: {end:?}");
            assert!(desk.writes().is_empty(), "{kind}: {:?}", desk.writes());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whose_roles_just_went_is_waited_for_and_whose_did_not_is_for_a_person() {
    for kind in [Kind::DisableSignIn, Kind::ResetPassword, Kind::RevokeSessions] {
        let protect = |roles_went: bool, for_ms: i64| {
            let (mut state, todo) = setting(kind);
            if roles_went {
                state.roles.clear();
            }
            let desk = Desk::new(state);
            desk.fake.lock().protected_until_ms = desk.now().plus(for_ms).0;
            (desk, todo)
        };
        let (mut desk, todo) = protect(true, 10 * 60_000);
        let began = desk.now();
        let end = desk.settle(todo, &mut NEVER.clone()).await;
        assert!(matches!(end, End::Settled(_)), "{kind}: {end:?}");
        let took_ms = desk.now().since(began);
        assert!((600_000..660_000).contains(&took_ms), "{kind}: {took_ms} ms");

        let (mut desk, todo) = protect(false, 60_000);
        let began = desk.now();
        let end = desk.settle(todo, &mut NEVER.clone()).await;
        assert!(asked(&end).contains("by the test's order"), "{kind}: {end:?}");
        assert!(desk.now().since(began) < 60_000, "{kind}: it was waited for");

        // A replica that shows for a while what has gone convinces nobody.
        let (mut desk, todo) = protect(false, 60_000);
        assert!(matches!(desk.once(&todo).await.said, Said::Wait { .. }), "{kind}");
        desk.fake.edit(|s| s.roles.clear());
        let end = desk.settle(todo, &mut NEVER.clone()).await;
        assert!(matches!(end, End::Settled(_)), "{kind}: {end:?}");

        // Something else protects him: for ever is not waited.
        let (mut desk, todo) = protect(true, i64::from(u32::MAX));
        let began = desk.now();
        let end = desk.settle(todo, &mut NEVER.clone()).await;
        assert!(asked(&end).contains("by the test's order"), "{kind}: {end:?}");
        let took_ms = desk.now().since(began);
        assert!((900_000..1_000_000).contains(&took_ms), "{kind}: {took_ms} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn a_company_device_is_never_retired_and_a_stranger_s_neither() {
    let (desk, end) = changed(Kind::RetireDevice, |s| {
        let row = device("personal", Owner::Company);
        s.devices.insert("m-personal".into(), row);
    })
    .await;
    assert!(asked(&end).contains("company's now"), "{end:?}");
    assert!(desk.writes().is_empty());
    let (desk, end) = changed(Kind::RetireDevice, |s| {
        let row = s.devices.get_mut("m-personal").unwrap();
        row.managed.as_mut().unwrap().user_id = Some("u-other".into());
    })
    .await;
    assert!(asked(&end).contains("another account"), "{end:?}");
    assert!(desk.writes().is_empty());
}

pub(super) fn round(desk: &Desk, kinds: &[Kind]) -> Assignment {
    let (_, todo) = setting(Kind::HideFromAddressLists);
    let mut assignment = desk.assignment(&todo);
    assignment.kind = Kind::ObserveMailbox;
    assignment.target.object = Some("round-1".into());
    for kind in kinds {
        let (_, todo) = setting(*kind);
        let object = todo.object.map(ObjectId::from);
        assignment.checks.push(Check {
            task: TaskId::derive(assignment.case, kind.name(), &system(), object.as_ref()),
            kind: *kind,
            target: Target {
                system: system(),
                object,
            },
            params: todo.params,
        });
    }
    assignment
}

#[tokio::test(start_paused = true)]
async fn the_closing_round_reads_all_and_writes_nothing() {
    let desk = Desk::new(State::rich());
    let kinds = [
        Kind::BlockProtocols,
        Kind::HideFromAddressLists,
        Kind::RemoveInboxRules,
        Kind::SetForwarding,
        Kind::HoldMailbox,
    ];
    let assignment = round(&desk, &kinds);
    let Report { said, receipts, .. } = attempt(&assignment, Lane::Normal, false, &desk.context).await;
    let Said::Checked { results } = said else {
        panic!("{said:?}")
    };
    let ordered: Vec<TaskId> = assignment.checks.iter().map(|c| c.task).collect();
    assert_eq!(results.iter().map(|r| r.task).collect::<Vec<_>>(), ordered);
    assert!(!receipts.is_empty());
    assert!(desk.writes().is_empty() && desk.fake.lock().trespasses == 0);
    assert_eq!(desk.fake.now(), State::rich());
    // One that cannot be read is the answer of the whole.
    let mut assignment = round(&desk, &kinds);
    assignment.checks[1].kind = Kind::ConfirmHandover;
    let report = attempt(&assignment, Lane::Normal, false, &desk.context).await;
    assert!(matches!(report.said, Said::Fault { .. }));
}

#[tokio::test(start_paused = true)]
async fn an_account_that_is_gone_is_believed_when_it_has_not_shown_for_an_hour() {
    for comes_back in [false, true] {
        let desk = Desk::new(State::rich());
        let mut assignment = round(&desk, &[Kind::DisableSignIn, Kind::ResetPassword]);
        assignment.kind = Kind::ObserveIdentity;
        let account = desk.fake.now().accounts[LEAVER].clone();
        desk.fake.edit(|s| drop(s.accounts.remove(LEAVER)));
        let began = desk.now();
        let results = loop {
            match attempt(&assignment, Lane::Normal, false, &desk.context).await.said {
                Said::Wait { until, checkpoint, .. } => {
                    assert!(desk.now().since(began) < 2 * 3_600_000, "it is waited for ever");
                    desk.fake.clock.to(until);
                    assignment.start_by = until.plus(60_000);
                    assignment.checkpoint = checkpoint;
                    if comes_back {
                        desk.fake
                            .edit(|s| drop(s.accounts.insert(LEAVER.into(), account.clone())));
                    }
                }
                Said::Checked { results } => break results,
                other => panic!("{other:?}"),
            }
        };
        let gone = |facts: &Facts| facts.bool("account_gone") == Some(true);
        assert!(
            results.iter().all(|r| gone(&r.observation.facts) != comes_back),
            "{results:?}"
        );
        assert_eq!(desk.now().since(began) >= 3_600_000, !comes_back);
    }
}

/// Nor is it by two looks, however far apart: what nobody saw in between counts for half an
/// hour at most.
#[tokio::test(start_paused = true)]
async fn an_account_is_not_gone_because_it_did_not_show_twice_an_hour_apart() {
    for (apart_ms, looks) in [
        (10 * 60_000, 7),
        (25 * 60_000, 4),
        (60 * 60_000, 3),
        (24 * 3_600_000, 3),
    ] {
        let desk = Desk::new(State::rich());
        let mut assignment = round(&desk, &[Kind::DisableSignIn]);
        assignment.kind = Kind::ObserveIdentity;
        desk.fake.edit(|s| drop(s.accounts.remove(LEAVER)));
        for look in 1..=looks {
            let said = attempt(&assignment, Lane::Normal, false, &desk.context).await.said;
            let believed = matches!(said, Said::Checked { .. });
            assert_eq!(believed, look == looks, "{apart_ms}, look {look}: {said:?}");
            if let Said::Wait { checkpoint, .. } = said {
                assignment.checkpoint = checkpoint;
            }
            desk.fake.clock.to(desk.now().plus(apart_ms));
            assignment.start_by = desk.now().plus(60_000);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_closing_round_too_wants_two_agreeing_readings_of_a_conversion() {
    let desk = Desk::new(State::shared());
    let mut assignment = round(&desk, &[Kind::HideFromAddressLists, Kind::ConvertToShared]);
    let first = attempt(&assignment, Lane::Normal, false, &desk.context).await;
    let Said::Wait { until, checkpoint, .. } = first.said else {
        panic!("{:?}", first.said)
    };
    desk.fake.clock.to(until);
    assignment.checkpoint = checkpoint;
    let second = attempt(&assignment, Lane::Normal, false, &desk.context).await;
    let Said::Checked { results } = second.said else {
        panic!("{:?}", second.said)
    };
    assert_eq!(results[1].observation.facts.int("agreed_for_ms"), Some(60_000));
    // Undone in the meantime: it is said at once.
    desk.fake
        .edit(|s| s.mailbox.as_mut().unwrap().recipient_type = "UserMailbox".into());
    let third = attempt(
        &round(&desk, &[Kind::ConvertToShared]),
        Lane::Normal,
        false,
        &desk.context,
    )
    .await;
    assert!(matches!(third.said, Said::Checked { .. }), "{:?}", third.said);
}

/// So many other mailboxes, and the leaver holds something on some of them.
fn with_others(many: usize, held: &[usize]) -> (State, Todo) {
    use offboard_connectors::{Attached, DelegationRight, Direction};
    let (mut state, todo) = setting(Kind::RemoveDelegations);
    let name = |n: usize| format!("o-{n:04}");
    state.other_mailboxes = (0..many).map(name).collect();
    state
        .attached
        .retain(|a| !matches!(a, Attached::Delegation(d) if d.direction == Direction::FromOther));
    let rights = [
        DelegationRight::FullAccess,
        DelegationRight::SendOnBehalf,
        DelegationRight::SendAs,
    ];
    for (n, right) in held.iter().zip(rights.into_iter().cycle()) {
        let held = crate::attempts::fake::state::delegation(Direction::FromOther, right, &name(*n));
        state.attached.push(held);
    }
    (state, todo)
}

/// On how many others' mailboxes he still holds something.
fn held_on_others(desk: &Desk) -> usize {
    let on_others = |a: &&offboard_connectors::Attached| a.key().contains(".from.");
    desk.fake.now().attached.iter().filter(on_others).count()
}

/// On whose mailboxes something was found, by the artifacts of all reports.
async fn recorded(desk: &Desk) -> Vec<String> {
    let mut whose = Vec::new();
    for artifact in desk.reports.iter().flat_map(|r| &r.artifacts) {
        assert_eq!(artifact.name, "snapshot.delegations");
        let bytes = desk.context.store.get(artifact.digest).await.unwrap();
        let found: Vec<serde_json::Value> = serde_json::from_slice(&bytes).unwrap();
        whose.extend(found.iter().map(|d| d["other"].as_str().unwrap().to_owned()));
    }
    whose.sort();
    whose.dedup();
    whose
}

/// What a report has asked of others' mailboxes.
fn asked_of_others(report: &Report) -> usize {
    let of_others = |r: &&offboard_domain::Receipt| r.request.contains("others' mailboxes");
    report.receipts.iter().filter(of_others).count()
}

/// Attempts at a task whose readings take time, until it is settled: how many, and
/// what was read last.
async fn in_slices(desk: &mut Desk, todo: &mut Todo) -> (usize, Facts) {
    in_slices_from(desk, todo, 0).await
}

/// The same, of which so many writes are of before.
async fn in_slices_from(desk: &mut Desk, todo: &mut Todo, before: usize) -> (usize, Facts) {
    for slices in 1..100 {
        todo.attempt += 1;
        let report = desk.once(todo).await;
        if !report.artifacts.is_empty() {
            let removed = desk.writes()[before..].iter().any(|w| w.contains(".from."));
            assert!(!removed, "it is recorded before anything is removed");
        }
        match report.said {
            Said::Progress { checkpoint } => {
                let seen = report.seen.unwrap().facts;
                if seen.int("mailboxes_in_all") != seen.int("mailboxes_looked_at") {
                    assert_eq!(seen.get("delegations"), None, "not all were looked at: {seen:?}");
                }
                todo.checkpoint = Some(checkpoint);
            }
            Said::Satisfied { after, .. } => return (slices, after.facts),
            said => panic!("{said:?}"),
        }
    }
    panic!("it does not end");
}

#[tokio::test(start_paused = true)]
async fn the_snapshot_asks_nothing_of_others_mailboxes_however_many_there_are() {
    let mut reads = Vec::new();
    for many in [0, 500] {
        let (_, todo) = setting(Kind::SnapshotMailbox);
        let (state, _) = with_others(many, &[]);
        let report = Desk::new(state).once(&todo).await;
        assert!(matches!(report.said, Said::Satisfied { .. }), "{:?}", report.said);
        assert_eq!(asked_of_others(&report), 0);
        reads.push(report.receipts.len());
    }
    assert_eq!(reads[0], reads[1]);
}

#[tokio::test(start_paused = true)]
async fn of_more_mailboxes_than_an_attempt_can_look_at_each_is_looked_at_and_cleared() {
    let (state, mut todo) = with_others(300, &[3, 150, 151, 299]);
    let mut desk = Desk::new(state);
    desk.fake.lock().slow = std::time::Duration::from_secs(20);
    let (slices, after) = in_slices(&mut desk, &mut todo).await;
    assert!(slices > 4, "{slices} slices");
    assert_eq!(after.get("delegations"), Some(&list(&[])));
    assert_eq!(after.int("mailboxes_looked_at"), Some(300));
    let whose = ["o-0003", "o-0150", "o-0151", "o-0299"];
    assert_eq!(after.get("found_on"), Some(&list(&whose)));
    assert_eq!(recorded(&desk).await, whose);
    assert_eq!(held_on_others(&desk), 0);
}

/// What there was before comes in parts, both ways: the case puts them together.
#[tokio::test(start_paused = true)]
async fn whatever_is_removed_was_told_of_by_who_removed_it() {
    let held: Vec<usize> = (0..80).collect();
    let (state, todo) = with_others(120, &held);
    let (desk, _) = end(state, todo).await;
    let mut told: Vec<String> = Vec::new();
    for report in &desk.reports {
        let first = match &report.said {
            Said::Progress { checkpoint } => baseline_in(checkpoint),
            Said::Wait { checkpoint, .. } => checkpoint.as_ref().and_then(baseline_in),
            Said::Satisfied { before, .. } => Some(before.clone()),
            _ => report.remembered.as_ref().and_then(baseline_in),
        };
        let keys = first.as_ref().and_then(|seen| seen.facts.list("delegations"));
        told.extend(keys.unwrap_or_default().iter().cloned());
    }
    told.sort();
    told.dedup();
    let writes = desk.writes();
    let keys = writes
        .iter()
        .filter_map(|w| w.strip_prefix("detach ")?.split(' ').next());
    let mut removed: Vec<&str> = keys.collect();
    removed.sort_unstable();
    removed.dedup();
    assert_eq!(told, removed);
    for way in [".to.", ".from."] {
        assert!(told.iter().any(|key| key.contains(way)), "{way}: {told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn more_delegations_than_an_attempt_can_remove_go_in_parts() {
    let held: Vec<usize> = (0..80).collect();
    let (state, todo) = with_others(120, &held);
    let (desk, end) = end(state, todo).await;
    assert_eq!(fact(&end, "delegations"), list(&[]));
    assert_eq!(recorded(&desk).await.len(), 80);
    assert_eq!(held_on_others(&desk), 0);
    let from = desk.writes().iter().filter(|w| w.contains(".from.")).count();
    assert_eq!(from, 80, "each is removed once");
    let parts = desk.reports.iter().filter(|r| matches!(r.said, Said::Progress { .. }));
    assert!(parts.count() >= 2);
}

#[tokio::test(start_paused = true)]
async fn a_pass_whose_list_the_store_has_lost_is_begun_anew() {
    let (state, mut todo) = with_others(300, &[5, 290]);
    let mut desk = Desk::new(state);
    desk.fake.lock().slow = std::time::Duration::from_secs(20);
    for _ in 0..4 {
        todo.attempt += 1;
        let Said::Progress { checkpoint } = desk.once(&todo).await.said else {
            panic!("it was to be begun only")
        };
        todo.checkpoint = Some(checkpoint);
    }
    let looked_at = |todo: &Todo| todo.checkpoint.as_ref().unwrap().int("others_looked_at").unwrap();
    assert!(looked_at(&todo) > 0);
    desk.context.store = offboard_store::Store::memory();
    desk.reports.clear();
    let (slices, after) = in_slices(&mut desk, &mut todo).await;
    assert!(slices > 4, "it looked at all of them again: {slices} slices");
    assert_eq!(after.int("mailboxes_looked_at"), Some(300));
    assert_eq!(recorded(&desk).await, ["o-0005", "o-0290"]);
    assert_eq!(held_on_others(&desk), 0);
}

/// Attempts until one meets a fault; none was there to wait for.
async fn until_fault(desk: &mut Desk, todo: &mut Todo) -> Fault {
    for _ in 0..50 {
        todo.attempt += 1;
        let report = desk.once(todo).await;
        if report.remembered.is_some() {
            todo.checkpoint.clone_from(&report.remembered);
        }
        match report.said {
            Said::Progress { checkpoint } => todo.checkpoint = Some(checkpoint),
            Said::Fault { fault } => return fault,
            said => panic!("{said:?}"),
        }
    }
    panic!("it meets no fault");
}

#[tokio::test(start_paused = true)]
async fn what_others_hold_on_his_mailbox_goes_before_anybody_looks_at_theirs() {
    let (state, mut todo) = with_others(300, &[5]);
    let mut desk = Desk::new(state);
    desk.fake.lock().slow = std::time::Duration::from_secs(20);
    let on_his = |a: &offboard_connectors::Attached| a.key().contains(".to.u-other");
    // Who can open it or send as it, then who can open a folder of it.
    for key in ["full_access.to.u-other", "calendar.to.u-other"] {
        assert!(desk.fake.now().attached.iter().any(on_his));
        todo.attempt += 1;
        let report = desk.once(&todo).await;
        assert_eq!(asked_of_others(&report), 0);
        assert!(!desk.fake.now().attached.iter().any(|a| a.key() == key), "{key}");
        let Said::Progress { checkpoint } = report.said else {
            panic!("{:?}", report.said)
        };
        todo.checkpoint = Some(checkpoint);
    }
    assert!(!desk.fake.now().attached.iter().any(on_his));
    let (_, after) = in_slices(&mut desk, &mut todo).await;
    assert_eq!(after.get("delegations"), Some(&list(&[])));
}

#[tokio::test(start_paused = true)]
async fn one_mailbox_that_cannot_be_read_keeps_no_other_from_being_looked_at() {
    for held in [&[][..], &[12], &[0, 30], &[0, 12, 30]] {
        let (state, mut todo) = with_others(45, held);
        let mut desk = Desk::new(state);
        desk.fake.lock().unreadable.insert("o-0012".to_owned());
        let (on_it, readable): (Vec<usize>, Vec<usize>) = held.iter().partition(|n| **n == 12);
        let names = |of: &[usize]| of.iter().map(|n| format!("o-{n:04}")).collect::<Vec<_>>();
        let fault = until_fault(&mut desk, &mut todo).await;
        assert_eq!(fault.class, FaultClass::Transient);
        assert!(fault.detail.contains("could not: o-0012: "), "{fault}");
        assert!(todo.attempt < 10, "{} attempts", todo.attempt);
        // The others were, and what he held there is gone and on record.
        assert_eq!(recorded(&desk).await, names(&readable));
        assert_eq!(held_on_others(&desk), on_it.len());

        desk.fake.lock().unreadable.clear();
        desk.reports.clear();
        let writes = desk.writes().len();
        let (_, after) = in_slices_from(&mut desk, &mut todo, writes).await;
        assert_eq!(after.get("delegations"), Some(&list(&[])));
        assert_eq!(held_on_others(&desk), 0);
        assert_eq!(recorded(&desk).await, names(&on_it));
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_cannot_be_read_again_keeps_what_was_found_on_others_from_nobody() {
    let held: Vec<usize> = (0..45).collect();
    let (state, mut todo) = with_others(45, &held);
    let mut desk = Desk::new(state);
    // It was read once, and is not when it is to be removed.
    for _ in 0..50 {
        todo.attempt += 1;
        let Said::Progress { checkpoint } = desk.once(&todo).await.said else {
            panic!("nothing ends here")
        };
        todo.checkpoint = Some(checkpoint);
        if recorded(&desk).await.len() == 45 {
            break;
        }
    }
    desk.fake.lock().unreadable.insert("o-0003".to_owned());
    let fault = until_fault(&mut desk, &mut todo).await;
    assert!(fault.detail.contains("could not: o-0003: "), "{fault}");
    assert_eq!(held_on_others(&desk), 1);
    desk.fake.lock().unreadable.clear();
    let writes = desk.writes().len();
    desk.reports.clear();
    let (_, after) = in_slices_from(&mut desk, &mut todo, writes).await;
    assert_eq!(after.get("delegations"), Some(&list(&[])));
    assert_eq!(held_on_others(&desk), 0);
}

#[tokio::test(start_paused = true)]
async fn one_mailbox_that_never_answers_keeps_no_other_from_being_looked_at() {
    let (state, mut todo) = with_others(45, &[0, 30]);
    let mut desk = Desk::new(state);
    desk.fake.lock().hanging.insert("o-0012".to_owned());
    let fault = until_fault(&mut desk, &mut todo).await;
    assert!(fault.detail.contains("could not: o-0012: "), "{fault}");
    assert_eq!(held_on_others(&desk), 0);
    desk.fake.lock().hanging.clear();
    desk.reports.clear();
    let writes = desk.writes().len();
    let (_, after) = in_slices_from(&mut desk, &mut todo, writes).await;
    assert_eq!(after.get("delegations"), Some(&list(&[])));
}

#[tokio::test(start_paused = true)]
async fn one_that_stops_answering_keeps_what_was_found_on_others_from_nobody() {
    let held: Vec<usize> = (0..25).collect();
    let (state, mut todo) = with_others(45, &held);
    let mut desk = Desk::new(state);
    for _ in 0..50 {
        todo.attempt += 1;
        let Said::Progress { checkpoint } = desk.once(&todo).await.said else {
            panic!("nothing ends here")
        };
        todo.checkpoint = Some(checkpoint);
        if recorded(&desk).await.len() == 25 {
            break;
        }
    }
    desk.fake.lock().hanging.insert("o-0003".to_owned());
    let fault = until_fault(&mut desk, &mut todo).await;
    assert!(fault.detail.contains("could not: o-0003: "), "{fault}");
    assert_eq!(held_on_others(&desk), 1);
}

#[tokio::test(start_paused = true)]
async fn too_many_folders_to_be_asked_are_for_a_person_when_all_else_is_removed() {
    let (state, mut todo) = with_others(45, &[0, 30]);
    let mut desk = Desk::new(state);
    desk.fake.lock().too_many_folders = true;
    let fault = until_fault(&mut desk, &mut todo).await;
    assert_eq!(fault.class, FaultClass::Blocked, "{fault}");
    assert_eq!(held_on_others(&desk), 0);
    let key = |a: &offboard_connectors::Attached| a.key().starts_with("full_access.to.u-other");
    assert!(!desk.fake.now().attached.iter().any(key));
    // Nor does it keep the plan from being approved: the snapshot says so and goes on.
    let (state, todo) = setting(Kind::SnapshotMailbox);
    let mut desk = Desk::new(state);
    desk.fake.lock().too_many_folders = true;
    let said = desk.once(&todo).await.said;
    let Said::Satisfied { after, .. } = said else {
        panic!("{said:?}")
    };
    assert_eq!(after.facts.text("delegations_by_folder"), Some("not read"));
}

#[tokio::test(start_paused = true)]
async fn a_system_that_is_down_makes_no_mailbox_unreadable() {
    let (state, mut todo) = with_others(45, &[44]);
    let mut desk = Desk::new(state);
    todo.checkpoint = Some(Facts::new().with("his_done", true));
    let down = (0..45).map(|n| format!("o-{n:04}")).chain([LEAVER.to_owned()]);
    desk.fake.lock().unreadable.extend(down);
    until_fault(&mut desk, &mut todo).await;
    let looked_at = todo.checkpoint.as_ref().unwrap().int("others_looked_at");
    assert_eq!(looked_at.unwrap_or(0), 0, "none of them was looked at");
    desk.fake.lock().unreadable.clear();
    let (_, after) = in_slices(&mut desk, &mut todo).await;
    assert_eq!(after.int("mailboxes_looked_at"), Some(45));
    assert_eq!(after.get("found_on"), Some(&list(&["o-0044"])));
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_ends_a_slice_is_left_alone_as_long_as_it_says() {
    let (state, mut todo) = with_others(300, &[44, 290]);
    let mut desk = Desk::new(state);
    todo.checkpoint = Some(Facts::new().with("his_done", true));
    let retry_after_ms = Some(300_000);
    desk.fake.lock().others_stop = Some((3, FaultClass::Throttled { retry_after_ms }));
    let now = desk.now();
    let Said::Progress { checkpoint } = desk.once(&todo).await.said else {
        panic!("it has come further")
    };
    assert_eq!(checkpoint.int("others_looked_at"), Some(30));
    todo.checkpoint = Some(checkpoint);
    todo.attempt += 1;
    let report = desk.once(&todo).await;
    assert!(report.receipts.is_empty(), "nothing is asked: {:?}", report.receipts);
    let Said::Wait { until, checkpoint, .. } = report.said else {
        panic!("it is to be waited")
    };
    assert!((300_000..360_000).contains(&until.since(now)), "{until}");
    todo.checkpoint = checkpoint;
    desk.fake.clock.to(until);
    let (_, after) = in_slices(&mut desk, &mut todo).await;
    assert_eq!(after.get("found_on"), Some(&list(&["o-0044", "o-0290"])));
}

#[tokio::test(start_paused = true)]
async fn a_death_at_any_await_of_a_pass_leaves_no_delegation_and_none_unrecorded() {
    let (state, todo) = with_others(45, &[0, 11, 12, 44]);
    for n in 1.. {
        let mut polls = n;
        let mut desk = Desk::new(state.clone());
        let end = desk.settle(todo.clone(), &mut polls).await;
        assert_eq!(fact(&end, "delegations"), list(&[]), "death at {n}");
        assert_eq!(held_on_others(&desk), 0, "death at {n}");
        assert_eq!(recorded(&desk).await.len(), 4, "death at {n}");
        if polls != 0 {
            assert!(n > 20, "a pass has awaits");
            break;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_closing_round_reads_those_mailboxes_again_on_which_something_was_found() {
    for held in [&[][..], &[7]] {
        let (mut state, _) = with_others(300, held);
        state.attached.retain(|a| a.key().contains(".from."));
        let desk = Desk::new(state);
        let mut assignment = round(&desk, &[Kind::RemoveDelegations]);
        assignment.checks[0]
            .params
            .set("found_on", vec!["o-0007".to_owned(), "o-0009".to_owned()]);
        let report = attempt(&assignment, Lane::Normal, false, &desk.context).await;
        assert_eq!(asked_of_others(&report), 0, "no mailbox besides");
        let Said::Checked { results } = report.said else {
            panic!("{:?}", report.said)
        };
        let facts = &results[0].observation.facts;
        let keys: &[&str] = if held.is_empty() {
            &[]
        } else {
            &["full_access.from.o-0007"]
        };
        assert_eq!(facts.get("delegations"), Some(&list(keys)));
        assert_eq!(
            facts.text("others_read_again"),
            Some("those on which something was found")
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_closing_round_that_comes_no_further_is_a_fault() {
    let (mut state, _) = with_others(300, &[]);
    state.attached.retain(|a| a.key().contains(".from."));
    let desk = Desk::new(state);
    {
        let mut world = desk.fake.lock();
        world.slow = std::time::Duration::from_secs(20);
        world.unreadable.insert("o-0000".to_owned());
    }
    let mut assignment = round(&desk, &[Kind::RemoveDelegations]);
    let told: Vec<String> = (0..200).map(|n| format!("o-{n:04}")).collect();
    assignment.checks[0].params.set("found_on", told);
    for _ in 0..60 {
        match attempt(&assignment, Lane::Normal, false, &desk.context).await.said {
            Said::Progress { checkpoint } => assignment.checkpoint = Some(checkpoint),
            Said::Fault { fault } => {
                assert_eq!(fault.class, FaultClass::Transient, "{fault}");
                return;
            }
            said => panic!("{said:?}"),
        }
    }
    panic!("it reads the same again and again");
}

#[tokio::test(start_paused = true)]
async fn a_closing_round_that_is_not_told_where_something_was_found_looks_at_all_in_slices() {
    let (mut state, _) = with_others(300, &[299]);
    state.attached.retain(|a| a.key().contains(".from."));
    let desk = Desk::new(state);
    desk.fake.lock().slow = std::time::Duration::from_secs(20);
    let mut assignment = round(&desk, &[Kind::RemoveDelegations]);
    let mut waits = 0;
    let results = loop {
        let report = attempt(&assignment, Lane::Normal, false, &desk.context).await;
        match report.said {
            Said::Progress { checkpoint } => {
                waits += 1;
                assert!(waits < 50, "it does not end");
                assignment.checkpoint = Some(checkpoint);
            }
            Said::Checked { results } => break results,
            said => panic!("{said:?}"),
        }
    };
    assert!(waits > 3, "{waits} slices");
    let facts = &results[0].observation.facts;
    assert_eq!(facts.get("delegations"), Some(&list(&["full_access.from.o-0299"])));
    assert!(desk.writes().is_empty());
}
