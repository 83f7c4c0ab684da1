//! Accounts, roles, methods, grants, groups.

use crate::sim::stage::{Stage, id};
use offboard_connectors::{AccountChange, ELIGIBLE_ROLES, Found, GroupNature, Held, Holding, Removable, RoleOrigin};
use offboard_domain::FaultClass;
use offboard_domain::departure::PersonRef;
use offboard_sim::population::ADMIN_APP;
use offboard_sim::world::Effect;
use offboard_sim::world::catalogue::EXCHANGE_ADMINISTRATOR;
use offboard_sim::world::model::RoleAssignment;
use std::collections::BTreeSet;

#[tokio::test]
async fn a_person_is_found_by_every_name_and_never_guessed() {
    let s = Stage::kind().await;
    let plain = id(&s.cast.plain);
    let truth = s.person(&plain);
    s.arrange(|t| {
        t.people.edit_silently(&s.cast.others[0]).unwrap().mail = Some("o'hara+x@elsewhere.example".into());
        t.people.edit_silently(&s.cast.devices).unwrap().employee_id = truth.employee_id.clone();
    });
    let find = |person: PersonRef| {
        let s = &s;
        async move { s.directory().find(&mut s.reading(), &person).await.unwrap() }
    };
    let by_upn = PersonRef {
        user_principal_name: Some(truth.upn.to_uppercase()),
        ..PersonRef::default()
    };
    let by_id = PersonRef {
        object_id: Some(plain.clone()),
        ..PersonRef::default()
    };
    let by_mail = PersonRef {
        mail: truth.mail.clone(),
        ..PersonRef::default()
    };
    for person in [by_upn.clone(), by_id, by_mail] {
        let Found::One(account) = find(person).await else {
            panic!("found")
        };
        assert_eq!(account.id, plain);
        assert!(account.enabled && !account.synced && !account.guest && account.has_mailbox);
        assert_eq!(account.manager_id.map(|m| m.0), truth.manager);
        assert_eq!(account.password_changed_ms, Some(truth.password_changed_ms));
        assert_eq!(account.sessions_valid_from_ms, Some(truth.sessions_valid_from_ms));
    }
    let hostile = PersonRef {
        mail: Some("o'hara+x@elsewhere.example".into()),
        ..PersonRef::default()
    };
    let Found::One(account) = find(hostile).await else {
        panic!("found")
    };
    assert_eq!(account.id.0, s.cast.others[0]);
    let shared = PersonRef {
        employee_id: truth.employee_id.clone(),
        ..PersonRef::default()
    };
    assert!(matches!(find(shared).await, Found::Ambiguous { ids } if ids.len() == 2));
    let disagreeing = PersonRef {
        mail: Some("o'hara+x@elsewhere.example".into()),
        ..by_upn.clone()
    };
    assert!(matches!(find(disagreeing).await, Found::Ambiguous { ids } if ids.len() == 2));
    let mistyped = PersonRef {
        employee_id: Some("E-none".into()),
        ..by_upn
    };
    assert!(matches!(find(mistyped).await, Found::Ambiguous { ids } if ids.len() == 1));
    for nobody in ["x' or accountEnabled eq true or mail eq 'x", "nobody@x.example"] {
        let person = PersonRef {
            mail: Some(nobody.into()),
            ..PersonRef::default()
        };
        assert_eq!(find(person).await, Found::Nobody);
    }
    let gone = PersonRef {
        object_id: Some("00000000-0000-4000-8000-00000000dead".into()),
        ..PersonRef::default()
    };
    assert_eq!(find(gone).await, Found::Nobody);
}

#[tokio::test]
async fn what_stands_beside_an_id_must_be_so_of_its_account() {
    let s = Stage::kind().await;
    let plain = id(&s.cast.plain);
    let (his, another) = (s.person(&plain), s.person(&id(&s.cast.devices)));
    let (number, other_number) = (his.employee_id.unwrap(), another.employee_id.unwrap());
    let beside = |upn: &str, mail: &str, number: &str| {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        PersonRef {
            object_id: Some(plain.clone()),
            user_principal_name: given(upn),
            mail: given(mail),
            employee_id: given(number),
            ..PersonRef::default()
        }
    };
    for person in [
        beside("", "", &number),
        beside(
            &format!(" {} ", his.upn.to_uppercase()),
            &his.upn,
            &number.to_lowercase(),
        ),
    ] {
        let found = s.directory().find(&mut s.reading(), &person).await.unwrap();
        assert!(
            matches!(&found, Found::One(account) if account.id == plain),
            "{found:?}"
        );
    }
    // One column of a table was sorted, and the others were not.
    for person in [
        beside(&another.upn, "", ""),
        beside("", &another.upn, ""),
        beside("", "", &other_number),
        beside(&his.upn, &his.upn, &other_number),
        beside(&another.upn, &another.upn, &other_number),
    ] {
        let found = s.directory().find(&mut s.reading(), &person).await.unwrap();
        let contradicted = Found::Ambiguous {
            ids: vec![plain.clone()],
        };
        assert_eq!(found, contradicted, "{person:?}");
    }
}

#[tokio::test]
async fn the_burst_works_on_a_privileged_person_only_once_his_roles_are_gone() {
    let s = Stage::kind().await;
    let who = id(&s.cast.privileged);
    let mut call = s.writing();
    let fault = s
        .directory()
        .set(&mut call, &who, &AccountChange::Disable)
        .await
        .unwrap_err();
    assert_eq!(
        fault.class,
        FaultClass::Blocked,
        "the target is protected, our permission is there: {fault}"
    );
    let roles = s.directory().holdings(&mut call, &who, Holding::Roles).await.unwrap();
    let direct = |eligible: bool| {
        let role =
            |r: &&Held| matches!(r, Held::Role { origin: RoleOrigin::Direct, eligible: e, .. } if *e == eligible);
        roles.iter().filter(role).count()
    };
    let through = roles
        .iter()
        .filter(|r| {
            matches!(
                r,
                Held::Role {
                    origin: RoleOrigin::Member(_),
                    role: None,
                    ..
                }
            )
        })
        .count();
    assert_eq!((direct(false), direct(true), through), (2, 1, 1));
    for answer in s.directory().remove_all(&mut call, &who, &roles).await {
        answer.unwrap();
    }
    assert_eq!(
        s.directory().holdings(&mut call, &who, Holding::Roles).await.unwrap(),
        []
    );
    s.clock.advance(60_000);
    for change in [
        AccountChange::Disable,
        AccountChange::Password("Xk9$mmnp-Long-Enough".into()),
        AccountChange::RevokeSessions,
    ] {
        s.directory().set(&mut call, &who, &change).await.unwrap();
    }
    let account = s.directory().account(&mut call, &who).await.unwrap();
    assert!(!account.enabled);
    let now = s.clock.ms();
    assert_eq!(
        (account.password_changed_ms, account.sessions_valid_from_ms),
        (Some(now), Some(now))
    );
    // Twice is once.
    s.directory()
        .set(&mut call, &who, &AccountChange::Disable)
        .await
        .unwrap();
    for answer in s.directory().remove_all(&mut call, &who, &roles).await {
        answer.unwrap();
    }
    let touched: BTreeSet<String> = s.effects().into_iter().map(|(_, subject, _)| subject).collect();
    assert_eq!(touched, BTreeSet::from([who.0.clone()]), "nobody else was touched");
}

/// Belief: `roleEligibilitySchedules` lists them by principal, and `adminRemove`
/// takes each.
#[tokio::test]
async fn a_role_that_could_be_activated_is_read_and_taken_from_him_and_with_his_groups() {
    let s = Stage::kind().await;
    let (who, plain) = (id(&s.cast.privileged), id(&s.cast.plain));
    let mut call = s.writing();
    let group = s
        .directory()
        .holdings(&mut call, &who, Holding::Memberships)
        .await
        .unwrap()
        .into_iter()
        .find_map(|h| h.group().filter(|g| g.role_assignable).map(|g| g.id.clone()))
        .unwrap();
    s.arrange(|t| {
        let role = |id: &str, principal: &str| RoleAssignment {
            id: id.into(),
            principal: principal.into(),
            role: EXCHANGE_ADMINISTRATOR.into(),
        };
        t.eligible_roles.found("of-group", role("of-group", &group.0));
        t.eligible_roles.found("of-plain", role("of-plain", &plain.0));
    });
    let roles = s.directory().holdings(&mut call, &who, Holding::Roles).await.unwrap();
    let eligible: Vec<(&RoleOrigin, bool, bool)> = roles
        .iter()
        .filter_map(|r| match r {
            Held::Role {
                origin,
                eligible: true,
                administrator,
                last_administrator,
                ..
            } => Some((origin, *administrator, *last_administrator)),
            _ => None,
        })
        .collect();
    assert_eq!(
        eligible,
        [
            (&RoleOrigin::Direct, true, false),
            (&RoleOrigin::Member(group.clone()), false, false)
        ],
        "the highest role, though nobody administers by it yet"
    );
    for _twice in 0..2 {
        for answer in s.directory().remove_all(&mut call, &who, &roles).await {
            answer.unwrap();
        }
    }
    assert_eq!(
        s.directory().holdings(&mut call, &who, Holding::Roles).await.unwrap(),
        []
    );
    assert_eq!(call.take_unlicensed(), BTreeSet::new());
    let effects = s.effects();
    let count = |effect| effects.iter().filter(|(e, ..)| *e == effect).count();
    assert_eq!(
        (count(Effect::EligibleRoleRemoved), count(Effect::MemberRemoved)),
        (1, 1)
    );
    assert!(
        s.truth(|t| t.eligible_roles.get("of-group").is_some() && t.eligible_roles.get("of-plain").is_some()),
        "the group's own and another's stay"
    );
    assert!(effects.iter().all(|(_, subject, _)| *subject == who.0));
}

/// Belief: 400 `AadPremiumLicenseRequired` says that the tenant cannot have any.
#[tokio::test]
async fn a_tenant_without_the_licence_has_no_eligible_roles_and_that_is_no_fault() {
    let s = Stage::kind().await;
    s.arrange(|t| t.eligible_roles_licensed = false);
    let who = id(&s.cast.privileged);
    let mut call = s.writing();
    let roles = s.directory().holdings(&mut call, &who, Holding::Roles).await.unwrap();
    assert_eq!(roles.len(), 3);
    assert!(roles.iter().all(|r| matches!(r, Held::Role { eligible: false, .. })));
    assert_eq!(call.take_unlicensed(), BTreeSet::from([ELIGIBLE_ROLES]));
    assert_eq!(call.take_unlicensed(), BTreeSet::new(), "said once for each reading");
}

#[tokio::test]
async fn who_may_not_read_eligible_roles_is_told_which_permission_is_missing() {
    let s = Stage::kind().await;
    s.arrange(|t| {
        let app = t.apps.get_mut(ADMIN_APP).unwrap();
        app.graph_roles.remove("RoleManagement.ReadWrite.Directory");
    });
    let fault = s
        .directory()
        .holdings(&mut s.reading(), &id(&s.cast.privileged), Holding::Roles)
        .await
        .unwrap_err();
    assert_eq!(fault.class, FaultClass::Denied);
    assert!(
        fault.detail.contains("RoleEligibilitySchedule.Read.Directory"),
        "{fault}"
    );
}

#[tokio::test]
async fn who_could_only_become_administrator_is_not_the_last_one() {
    let s = Stage::kind().await;
    s.arrange(|t| {
        for admin in [&s.cast.chief, &s.cast.break_glass, &s.cast.administrator] {
            t.people.edit_silently(admin).unwrap().account_enabled = false;
        }
    });
    let roles = s
        .directory()
        .holdings(&mut s.reading(), &id(&s.cast.privileged), Holding::Roles)
        .await
        .unwrap();
    let says = |r: &Held| {
        matches!(
            r,
            Held::Role {
                administrator: true,
                eligible: true,
                ..
            }
        )
    };
    let last = |r: &Held| {
        matches!(
            r,
            Held::Role {
                last_administrator: true,
                ..
            }
        )
    };
    assert!(roles.iter().any(says) && !roles.iter().any(last), "{roles:?}");
}

#[tokio::test]
async fn the_last_administrator_is_known_as_such() {
    let s = Stage::kind().await;
    let who = id(&s.cast.administrator);
    let last = |roles: &[Held]| {
        roles.iter().any(|r| {
            matches!(
                r,
                Held::Role {
                    last_administrator: true,
                    ..
                }
            )
        })
    };
    let roles = s
        .directory()
        .holdings(&mut s.reading(), &who, Holding::Roles)
        .await
        .unwrap();
    assert!(
        roles.iter().any(|r| matches!(
            r,
            Held::Role {
                administrator: true,
                ..
            }
        )) && !last(&roles)
    );
    s.arrange(|t| {
        for other in [&s.cast.chief, &s.cast.break_glass] {
            t.people.edit_silently(other).unwrap().account_enabled = false;
        }
    });
    let roles = s
        .directory()
        .holdings(&mut s.reading(), &who, Holding::Roles)
        .await
        .unwrap();
    assert!(last(&roles), "the others cannot sign in");
}

#[tokio::test]
async fn who_leaves_too_is_no_other_administrator() {
    let s = Stage::kind().await;
    let who = id(&s.cast.administrator);
    let (chief, break_glass) = (id(&s.cast.chief), id(&s.cast.break_glass));
    for (leaving, last) in [
        (BTreeSet::from([chief.clone()]), false),
        (BTreeSet::from([chief, break_glass]), true),
    ] {
        let mut call = s.reading().not_counting(leaving.clone());
        let roles = s.directory().holdings(&mut call, &who, Holding::Roles).await.unwrap();
        let says = |r: &Held| {
            matches!(
                r,
                Held::Role {
                    last_administrator: true,
                    ..
                }
            )
        };
        assert_eq!(roles.iter().any(says), last, "{leaving:?}");
    }
}

#[tokio::test]
async fn every_method_goes_in_passes_the_default_last() {
    let s = Stage::kind().await;
    let who = id(&s.cast.devices);
    let mut call = s.writing();
    let held = s.directory().holdings(&mut call, &who, Holding::Methods).await.unwrap();
    assert_eq!(held.len(), 4);
    assert!(matches!(held.last(), Some(Held::Method { last: true, .. })));
    let mut left = held;
    for _pass in 0..3 {
        let mut refused = Vec::new();
        for method in left {
            match s.directory().remove(&mut call, &who, &method).await {
                Ok(()) => {}
                Err(fault) if fault.class == FaultClass::Transient => refused.push(method),
                Err(fault) => panic!("{fault}"),
            }
        }
        left = refused;
    }
    assert_eq!(left, []);
    assert_eq!(
        s.directory().holdings(&mut call, &who, Holding::Methods).await.unwrap(),
        []
    );
}

#[tokio::test]
async fn grants_and_application_roles_are_his_own_alone() {
    let s = Stage::kind().await;
    let who = id(&s.cast.plain);
    let mut call = s.writing();
    for what in [Holding::Grants, Holding::AppRoles] {
        let held = s.directory().holdings(&mut call, &who, what).await.unwrap();
        assert!(!held.is_empty(), "{what:?}");
        for answer in s.directory().remove_all(&mut call, &who, &held).await {
            answer.unwrap();
        }
        assert_eq!(s.directory().holdings(&mut call, &who, what).await.unwrap(), []);
        // Already gone is success.
        s.directory().remove(&mut call, &who, &held[0]).await.unwrap();
    }
    assert!(s.effects().iter().all(|(_, subject, _)| *subject == who.0));
}

#[tokio::test]
async fn each_group_is_left_as_what_it_is() {
    let s = Stage::kind().await;
    let mut call = s.writing();
    let hybrid = s
        .directory()
        .holdings(&mut call, &id(&s.cast.hybrid), Holding::Memberships)
        .await
        .unwrap();
    let named = |held: &[Held], name: &str| {
        held.iter()
            .find_map(|h| h.group().filter(|g| g.name.as_deref() == Some(name)).cloned())
    };
    assert_eq!(
        named(&hybrid, "AD File Share").unwrap().removable(),
        Removable::WhereItIsMastered
    );
    assert_eq!(
        named(&hybrid, "Everybody Enabled").unwrap().removable(),
        Removable::ByItsRule
    );

    let who = id(&s.cast.plain);
    let held = s
        .directory()
        .holdings(&mut call, &who, Holding::Memberships)
        .await
        .unwrap();
    let natures: BTreeSet<GroupNature> = held.iter().filter_map(|h| h.group().map(|g| g.nature)).collect();
    assert_eq!(natures.len(), 4, "{natures:?}");
    assert!(named(&held, "Licence Power BI").unwrap().bears_licences());
    let (his, not_his): (Vec<Held>, Vec<Held>) = held
        .into_iter()
        .partition(|h| h.group().is_some_and(|g| g.removable() == Removable::Directly));
    for answer in s.directory().remove_all(&mut call, &who, &his).await {
        answer.unwrap();
    }
    for answer in s.directory().remove_all(&mut call, &who, &not_his).await {
        assert_eq!(answer.unwrap_err().class, FaultClass::Blocked);
    }
    assert_eq!(
        s.directory()
            .holdings(&mut call, &who, Holding::Memberships)
            .await
            .unwrap(),
        not_his
    );
    // A second time each is already gone.
    for one in &his {
        s.directory().remove(&mut call, &who, one).await.unwrap();
    }
    let effects = s.effects();
    assert!(effects.iter().all(|(_, subject, _)| *subject == who.0), "{effects:?}");
    assert!(!effects.iter().any(|(e, ..)| *e == Effect::UserDeleted));
    assert!(s.world().violations().is_empty());
}

#[tokio::test]
async fn a_successor_comes_before_the_last_owner_goes() {
    let s = Stage::kind().await;
    let (who, successor) = (id(&s.cast.sole_owner), id(&s.cast.chief));
    let mut call = s.writing();
    let owned = s
        .directory()
        .holdings(&mut call, &who, Holding::Ownerships)
        .await
        .unwrap();
    assert_eq!(owned.len(), 2);
    for held in &owned {
        assert!(matches!(held, Held::Ownership { other_owners: 0, .. }));
        let fault = s.directory().remove(&mut call, &who, held).await.unwrap_err();
        assert_eq!(fault.class, FaultClass::Blocked, "{fault}");
        for _twice in 0..2 {
            s.directory().add_owner(&mut call, held.id(), &successor).await.unwrap();
        }
        s.directory().remove(&mut call, &who, held).await.unwrap();
    }
    assert_eq!(
        s.directory()
            .holdings(&mut call, &who, Holding::Ownerships)
            .await
            .unwrap(),
        []
    );
    let owners = s.truth(|t| {
        owned
            .iter()
            .all(|o| t.groups.get(&o.id().0).unwrap().owners.contains(&successor.0))
    });
    assert!(owners);
    assert!(s.world().violations().is_empty());
}

/// Who may not sign in, is a guest, or leaves too looks after no group.
#[tokio::test]
async fn only_who_stays_counts_as_another_owner() {
    let s = Stage::kind().await;
    let (who, other) = (id(&s.cast.sole_owner), id(&s.cast.others[0]));
    s.arrange(|t| {
        let owned: Vec<String> = t
            .groups
            .iter()
            .filter(|(_, group)| group.owners.contains(&who.0))
            .map(|(id, _)| id.to_owned())
            .collect();
        for group in owned {
            t.groups.edit_silently(&group).unwrap().owners.insert(other.0.clone());
        }
    });
    let member = s.person(&other).user_type;
    for (enabled, user_type, leaves, counts) in [
        (true, member, false, 1),
        (false, member, false, 0),
        (true, "Guest", false, 0),
        (true, member, true, 0),
    ] {
        s.arrange(|t| {
            let person = t.people.edit_silently(&other.0).unwrap();
            (person.account_enabled, person.user_type) = (enabled, user_type);
        });
        let leaving: BTreeSet<_> = leaves.then(|| other.clone()).into_iter().collect();
        let mut call = s.reading().not_counting(leaving);
        let owned = s
            .directory()
            .holdings(&mut call, &who, Holding::Ownerships)
            .await
            .unwrap();
        assert_eq!(owned.len(), 2);
        for held in &owned {
            let Held::Ownership { other_owners, .. } = held else {
                panic!("{held:?}")
            };
            assert_eq!(*other_owners, counts, "{enabled} {user_type} {leaves}");
        }
    }
}

#[tokio::test]
async fn what_the_other_directory_masters_is_blocked() {
    let s = Stage::kind().await;
    let who = id(&s.cast.hybrid);
    let mut call = s.writing();
    assert!(s.directory().account(&mut call, &who).await.unwrap().synced);
    let fault = s
        .directory()
        .set(&mut call, &who, &AccountChange::Password("Xk9$mmnp-Long".into()))
        .await
        .unwrap_err();
    assert_eq!(fault.class, FaultClass::Blocked);
    s.directory()
        .set(&mut call, &who, &AccountChange::Disable)
        .await
        .unwrap();
}
