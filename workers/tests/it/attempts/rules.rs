//! What single kinds owe beyond the laws of all.

use crate::attempts::drive::{Desk, End, NEVER, every_kind, setting};
use crate::attempts::ends::{asked, changed, end, fact, list};
use crate::attempts::fake::State;
use crate::attempts::fake::state::{CANARY, LEAVER, SUCCESSOR, group};
use offboard_connectors::{GroupNature, Held};
use offboard_domain::catalogue::{APP_GROUPS_LATER, LEAVING, ROLES_OPEN};
use offboard_domain::{Digest, Fact, Facts, FaultClass, Kind, Lane, Mode, Said, Timestamp};
use offboard_runtime::keys::EscrowMaster;
use offboard_workers::attempt;

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
