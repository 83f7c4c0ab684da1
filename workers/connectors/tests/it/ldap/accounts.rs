//! What departures read and write.

use crate::ldap::stage::{
    CANARY, SERVICE_PASSWORD, administrator, delegated, dn, domain, id, named, quiet, quiet_receipts, reading,
    settings, truth, writing,
};
use offboard_connectors::ldap::LdapConnector;
use offboard_connectors::{
    AccountChange, Connector as _, Directory as _, Found, Held, Holding, Premises as _, Protection,
};
use offboard_domain::departure::PersonRef;
use offboard_domain::{FaultClass, ObjectId};
use offboard_servers::samba::DOMAIN;
use std::collections::BTreeSet;
use std::time::Duration;

#[tokio::test]
async fn a_person_is_found_by_each_name_and_nothing_is_guessed() {
    let (samba, _alone) = domain();
    let ldap = delegated(samba);
    let found = id(&ldap, "found").await;
    let sid = truth(samba, "found", "objectSid").remove(0);
    assert_eq!(truth(samba, "found", "objectGUID").remove(0), found.0);
    let by = |f: &dyn Fn(&mut PersonRef)| {
        let mut person = PersonRef::default();
        f(&mut person);
        person
    };
    let mail = |local: &str| Some(format!("{local}.{CANARY}@example.com"));
    for person in [
        by(&|p| p.object_id = Some(found.clone())),
        by(&|p| p.object_id = Some(sid.as_str().into())),
        by(&|p| p.mail = mail("found")),
        by(&|p| p.mail = mail("OLD")),
        by(&|p| p.employee_id = Some("4711".into())),
        by(&|p| (p.mail, p.employee_id) = (mail("found"), Some("4711".into()))),
        by(&|p| (p.object_id, p.mail) = (Some(found.clone()), mail("OLD"))),
        by(&|p| {
            p.object_id = Some(found.clone());
            p.user_principal_name = Some(" FOUND@corp.example.test ".into());
            p.employee_id = Some("4711".into());
        }),
    ] {
        match ldap.find(&mut reading(), &person).await.unwrap() {
            Found::One(account) => {
                assert_eq!(account.id, found, "{person:?}");
                assert_eq!(account.on_premises_security_id.as_deref(), Some(sid.as_str()));
                assert!(account.enabled && account.has_mailbox && !account.synced);
                // What protects an account is what it is called, and no other way to find it.
                let old = mail("OLD").unwrap();
                assert_eq!(account.addresses, [format!("old.{CANARY}@example.com")]);
                assert!(account.is_called(&old) && account.is_called(&found.0));
                assert!(!account.is_called(&sid) && !account.is_called("4711"));
            }
            other => panic!("{person:?}: {other:?}"),
        }
    }
    let same = ldap
        .find(&mut reading(), &by(&|p| p.mail = mail("same")))
        .await
        .unwrap();
    assert!(
        matches!(same, Found::Ambiguous { ids } if ids.len() == 5),
        "five pages of them"
    );
    let torn = by(&|p| (p.mail, p.employee_id) = (mail("found"), Some("4712".into())));
    assert!(matches!(
        ldap.find(&mut reading(), &torn).await.unwrap(),
        Found::Ambiguous { .. }
    ));
    for beside in [
        by(&|p| p.mail = mail("same")),
        by(&|p| p.employee_id = Some("4712".into())),
        named("read"),
    ] {
        let person = PersonRef {
            object_id: Some(found.clone()),
            ..beside
        };
        let contradicted = Found::Ambiguous {
            ids: vec![found.clone()],
        };
        let found = ldap.find(&mut reading(), &person).await.unwrap();
        assert_eq!(found, contradicted, "{person:?}");
    }
    for nobody in [
        "*",
        "found)(objectClass=*",
        "*)(mail=*",
        "\\2a",
        "",
        "\0",
        "nobody@corp.example.test",
    ] {
        let names = by(&|p| {
            (p.user_principal_name, p.mail, p.employee_id) =
                (Some(nobody.into()), Some(nobody.into()), Some(nobody.into()));
        });
        assert_eq!(
            ldap.find(&mut reading(), &names).await.unwrap(),
            Found::Nobody,
            "{nobody:?}"
        );
        let object = by(&|p| p.object_id = Some(nobody.into()));
        assert_eq!(
            ldap.find(&mut reading(), &object).await.unwrap(),
            Found::Nobody,
            "{nobody:?}"
        );
    }
    // No name of an account, but what it signs in with is the first part of one: perhaps his.
    for address in ["found@example.com", "nobody@example.com"] {
        for person in [
            by(&|p| p.user_principal_name = Some(address.into())),
            by(&|p| (p.mail, p.employee_id) = (Some(address.into()), Some("4799".into()))),
        ] {
            let wanted = if address.starts_with("found@") {
                Found::Ambiguous {
                    ids: vec![found.clone()],
                }
            } else {
                Found::Nobody
            };
            assert_eq!(ldap.find(&mut reading(), &person).await.unwrap(), wanted, "{person:?}");
        }
    }
    // A group, a computer, and an account of nobody's.
    for other in ["group1", "PC1$"] {
        let guid = truth(samba, other, "objectGUID").remove(0);
        let fault = ldap.account(&mut reading(), &guid.as_str().into()).await.unwrap_err();
        assert_eq!(quiet(fault).class, FaultClass::Absent, "{other}");
    }
    let gone = ObjectId("00000000-0000-0000-0000-000000000001".into());
    let fault = ldap.account(&mut reading(), &gone).await.unwrap_err();
    assert_eq!(quiet(fault).class, FaultClass::Absent);
}

#[tokio::test]
async fn reading_writes_nothing_and_a_write_without_leave_is_not_sent() {
    let (samba, _alone) = domain();
    let ldap = delegated(samba);
    let who = id(&ldap, "read").await;
    let before = samba.changes().unwrap();
    let mut call = reading();
    ldap.account(&mut call, &who).await.unwrap();
    ldap.footing(&mut call, &who).await.unwrap();
    ldap.computers(&mut call, &who).await.unwrap();
    for what in [Holding::Memberships, Holding::Roles, Holding::Methods, Holding::Grants] {
        ldap.holdings(&mut call, &who, what).await.unwrap();
    }
    ldap.check(&mut call).await;
    let held = ldap.holdings(&mut call, &who, Holding::Memberships).await.unwrap();
    let refused = [
        ldap.set(&mut call, &who, &AccountChange::Disable).await,
        ldap.set(&mut call, &who, &AccountChange::Password("x".into())).await,
        ldap.remove(&mut call, &who, &held[0]).await,
        ldap.hide(&mut call, &who).await,
        ldap.move_to_leavers(&mut call, &who).await,
    ];
    for done in refused {
        assert_eq!(quiet(done.unwrap_err()).class, FaultClass::Rejected);
    }
    assert_eq!(call.writes_sent(), 0);
    assert_eq!(call.take_sources(), ["active_directory.ldap"]);
    quiet_receipts(call);
    assert_eq!(samba.changed_since(before).unwrap(), Vec::<String>::new());
}

/// What was changed since, but for the account that departures sign in with.
fn changed(samba: &offboard_servers::Samba, since: u64) -> Vec<String> {
    let all = samba.changed_since(since).unwrap();
    all.into_iter().filter(|dn| !dn.starts_with("CN=svc-")).collect()
}

#[tokio::test]
async fn an_account_is_disabled_twice_is_once_and_nobody_else_is_touched() {
    let (samba, _alone) = domain();
    let ldap = delegated(samba);
    let who = id(&ldap, "off").await;
    let before = samba.changes().unwrap();
    for _ in 0..2 {
        let mut call = writing();
        ldap.set(&mut call, &who, &AccountChange::Disable).await.unwrap();
        quiet_receipts(call);
    }
    assert!(!ldap.account(&mut reading(), &who).await.unwrap().enabled);
    assert_eq!(truth(samba, "off", "userAccountControl"), ["514"]);
    assert_eq!(changed(samba, before), [dn(&format!("{CANARY} off"))]);
    assert_eq!(samba.changes().unwrap() - before, 1, "the second time nothing was sent");
    // A hostile name, by its id.
    let hostile = id(&ldap, "hostile").await;
    ldap.set(&mut writing(), &hostile, &AccountChange::Disable)
        .await
        .unwrap();
    assert_eq!(truth(samba, "hostile", "userAccountControl"), ["514"]);
    ldap.move_to_leavers(&mut writing(), &hostile).await.unwrap();
    assert_eq!(
        ldap.footing(&mut reading(), &hostile).await.unwrap().among_leavers,
        Some(true)
    );
    assert_eq!(id(&ldap, "hostile").await, hostile);
}

#[tokio::test]
async fn a_password_is_replaced_and_once_disabled_none_opens_anything() {
    let (samba, _alone) = domain();
    let ldap = delegated(samba);
    let who = id(&ldap, "reset").await;
    let before = ldap
        .account(&mut reading(), &who)
        .await
        .unwrap()
        .password_changed_ms
        .unwrap();
    let opens = async |password: &str| {
        let settings = settings(samba, "reset@corp.example.test", password);
        let own = LdapConnector::open(&settings).unwrap();
        own.account(&mut reading(), &who).await.is_ok()
    };
    assert!(opens("First-Pass-1").await);
    let new = "aB3-_.!*+=:@#%^ü\"'<> long enough for every policy";
    ldap.set(&mut writing(), &who, &AccountChange::Password(new.into()))
        .await
        .unwrap();
    assert!(opens(new).await);
    let after = ldap
        .account(&mut reading(), &who)
        .await
        .unwrap()
        .password_changed_ms
        .unwrap();
    assert!(after > before, "{after} > {before}");
    let now = reading().now().0;
    assert!(
        (now - after).abs() < 60_000,
        "a time of 1601 or of another zone: {after}"
    );
    // For an hour the old one opens as well, as Windows has it; so disabling is
    // what counts.
    ldap.set(&mut writing(), &who, &AccountChange::Disable).await.unwrap();
    for password in ["First-Pass-1", new] {
        assert!(!opens(password).await);
    }
    // The directory's policy.
    let fault = ldap
        .set(&mut writing(), &who, &AccountChange::Password("x".into()))
        .await
        .unwrap_err();
    assert_eq!(quiet(fault).class, FaultClass::Blocked);
}

#[tokio::test]
async fn he_is_hidden_where_the_schema_knows_it() {
    let (samba, _alone) = domain();
    let ldap = administrator(samba);
    let who = id(&ldap, "hide").await;
    assert_eq!(ldap.footing(&mut reading(), &who).await.unwrap().hidden, Some(false));
    let before = samba.changes().unwrap();
    for _ in 0..2 {
        ldap.hide(&mut writing(), &who).await.unwrap();
    }
    assert_eq!(ldap.footing(&mut reading(), &who).await.unwrap().hidden, Some(true));
    assert_eq!(truth(samba, "hide", "msExchHideFromAddressLists"), ["TRUE"]);
    assert_eq!(changed(samba, before), [dn(&format!("{CANARY} hide"))]);
}

#[tokio::test]
async fn he_is_moved_with_his_id_and_a_name_that_is_taken_is_for_a_person() {
    let (samba, _alone) = domain();
    let ldap = delegated(samba);
    let who = id(&ldap, "move").await;
    assert_eq!(
        ldap.footing(&mut reading(), &who).await.unwrap().among_leavers,
        Some(false)
    );
    for _ in 0..2 {
        ldap.move_to_leavers(&mut writing(), &who).await.unwrap();
    }
    let there = ldap.footing(&mut reading(), &who).await.unwrap();
    assert_eq!(there.among_leavers, Some(true));
    assert_eq!(there.place, format!("CN={CANARY} move,OU=Leavers,{DOMAIN}"));
    assert_eq!(id(&ldap, "move").await, who);
    let clash = id(&ldap, "clash").await;
    let fault = ldap.move_to_leavers(&mut writing(), &clash).await.unwrap_err();
    assert_eq!(quiet(fault).class, FaultClass::Blocked);
    assert_eq!(
        ldap.footing(&mut reading(), &clash).await.unwrap().among_leavers,
        Some(false)
    );
}

fn group_ids(held: &[Held]) -> BTreeSet<ObjectId> {
    held.iter().map(|h| h.id().clone()).collect()
}

#[tokio::test]
async fn he_leaves_every_group_but_those_that_the_directory_guards() {
    let (samba, _alone) = domain();
    let ldap = delegated(samba);
    let who = id(&ldap, "member").await;
    let held = ldap.holdings(&mut reading(), &who, Holding::Memberships).await.unwrap();
    // Seven and the guarded one, in parts of two; not the one that holds a group of his.
    assert_eq!(held.len(), 8);
    let before = samba.changes().unwrap();
    for _ in 0..2 {
        for one in &held {
            let guarded = one.group().unwrap().role_assignable;
            match ldap.remove(&mut writing(), &who, one).await {
                Ok(()) => assert!(!guarded),
                Err(fault) => {
                    assert!(guarded, "{fault}");
                    assert_eq!(quiet(fault).class, FaultClass::Blocked);
                }
            }
        }
    }
    let left = ldap.holdings(&mut reading(), &who, Holding::Memberships).await.unwrap();
    assert_eq!(left.len(), 1);
    assert!(left[0].group().unwrap().role_assignable);
    // Everybody else is in them still.
    for n in 1..=7 {
        assert_eq!(
            truth(samba, &format!("group{n}"), "member"),
            [dn(&format!("{CANARY} read"))],
            "{n}"
        );
    }
    let touched: BTreeSet<String> = changed(samba, before).into_iter().collect();
    let groups: BTreeSet<String> = (1..=7).map(|n| dn(&format!("group{n}"))).collect();
    assert!(touched.is_subset(&groups), "{touched:?}");
}

#[tokio::test]
async fn the_primary_group_is_left_too() {
    let (samba, _alone) = domain();
    let ldap = administrator(samba);
    let prime = truth(samba, "prime", "objectSid").remove(0);
    let (_, relative) = prime.rsplit_once('-').unwrap();
    let set = format!(
        "dn: {}\nchangetype: modify\nreplace: primaryGroupID\nprimaryGroupID: {relative}\n",
        dn(&format!("{CANARY} primary"))
    );
    samba.modify(&set).unwrap();
    let who = id(&ldap, "primary").await;
    let held = ldap.holdings(&mut reading(), &who, Holding::Memberships).await.unwrap();
    let prime = ObjectId(truth(samba, "prime", "objectGUID").remove(0));
    assert!(
        group_ids(&held).contains(&prime),
        "it is in no list, and counts all the same"
    );
    let one = held.iter().find(|h| *h.id() == prime).unwrap();
    for _ in 0..2 {
        ldap.remove(&mut writing(), &who, one).await.unwrap();
    }
    let held = ldap.holdings(&mut reading(), &who, Holding::Memberships).await.unwrap();
    assert!(!group_ids(&held).contains(&prime));
    assert_eq!(truth(samba, "primary", "primaryGroupID"), ["513"]);
}

#[tokio::test]
async fn a_computer_is_disabled_and_a_server_never() {
    let (samba, _alone) = domain();
    let ldap = delegated(samba);
    let who = id(&ldap, "owner").await;
    let computers = ldap.computers(&mut reading(), &who).await.unwrap();
    assert_eq!(computers.len(), 2);
    let of = |server| computers.iter().find(|c| c.server == server).unwrap().id.clone();
    for _ in 0..2 {
        ldap.disable_computer(&mut writing(), &of(false)).await.unwrap();
    }
    assert!(
        !ldap
            .computer(&mut reading(), &of(false))
            .await
            .unwrap()
            .unwrap()
            .enabled
    );
    assert_eq!(truth(samba, "PC1$", "userAccountControl"), ["4098"]);
    // By this id a cloud knows the device that is joined to both.
    assert_eq!(truth(samba, "PC1$", "objectGUID"), [of(false).0]);
    let controller = ObjectId(truth(samba, "DC1$", "objectGUID").remove(0));
    let admin = administrator(samba);
    for server in [of(true), controller] {
        let fault = admin.disable_computer(&mut writing(), &server).await.unwrap_err();
        assert_eq!(quiet(fault).class, FaultClass::Blocked);
        assert!(admin.computer(&mut reading(), &server).await.unwrap().unwrap().enabled);
    }
    assert_eq!(
        ldap.computer(&mut reading(), &who).await.unwrap(),
        None,
        "an account is no computer"
    );
    let fault = admin.disable_computer(&mut writing(), &who).await.unwrap_err();
    assert_eq!(quiet(fault).class, FaultClass::Absent);
}

#[tokio::test]
async fn what_the_domain_protects_is_never_written_to_whatever_rights_there_are() {
    let (samba, _alone) = domain();
    let nest = format!(
        "dn: CN=Backup Operators,CN=Builtin,{DOMAIN}\nchangetype: modify\nadd: member\nmember: {}\n",
        dn("operators")
    );
    samba.modify(&nest).unwrap();
    let ldap = administrator(samba);
    let before = samba.changes().unwrap();
    for (account, protection) in [
        ("Administrator", Protection::BuiltIn),
        ("krbtgt", Protection::BuiltIn),
        ("Guest", Protection::BuiltIn),
        ("admin", Protection::Marked),
        // By a group in a group, before the directory has marked him.
        ("operator", Protection::Administers),
    ] {
        let who = ObjectId(truth(samba, account, "objectGUID").remove(0));
        let footing = ldap.footing(&mut reading(), &who).await.unwrap();
        assert_eq!(footing.protected, Some(protection), "{account}");
        let refused = [
            ldap.set(&mut writing(), &who, &AccountChange::Disable).await,
            ldap.set(
                &mut writing(),
                &who,
                &AccountChange::Password("A-long-Passw0rd-indeed".into()),
            )
            .await,
            ldap.hide(&mut writing(), &who).await,
            ldap.move_to_leavers(&mut writing(), &who).await,
        ];
        for done in refused {
            assert_eq!(quiet(done.unwrap_err()).class, FaultClass::Blocked, "{account}");
        }
    }
    assert_eq!(changed(samba, before), Vec::<String>::new());
}

#[tokio::test]
async fn whenever_a_write_is_dropped_the_next_one_converges() {
    let (samba, _alone) = domain();
    let ldap = delegated(samba);
    let who = id(&ldap, "dies").await;
    let held = ldap.holdings(&mut reading(), &who, Holding::Memberships).await.unwrap();
    assert!(held.is_empty());
    for after_us in (0..24).map(|n| n * 250) {
        samba
            .modify(&format!(
                "dn: {}\nchangetype: modify\nreplace: userAccountControl\nuserAccountControl: 512\n",
                dn(&format!("{CANARY} dies"))
            ))
            .unwrap();
        let mut call = writing();
        let cut = ldap.set(&mut call, &who, &AccountChange::Disable);
        drop(tokio::time::timeout(Duration::from_micros(after_us), cut).await);
        ldap.set(&mut writing(), &who, &AccountChange::Disable).await.unwrap();
        assert!(!ldap.account(&mut reading(), &who).await.unwrap().enabled);
        assert_eq!(
            truth(samba, "dies", "userAccountControl"),
            ["514"],
            "after {after_us} µs"
        );
    }
}

#[tokio::test]
async fn one_who_left_is_named_by_no_other_system_and_so_is_found_here_alone() {
    let (samba, _alone) = domain();
    let mut alone = settings(samba, "svc-offboard@corp.example.test", SERVICE_PASSWORD);
    alone.alone = true;
    alone.leavers_unit = None;
    let only = LdapConnector::open(&alone).unwrap();
    assert!(only.claims().contains(&offboard_domain::Kind::Resolve));
    assert!(!only.claims().contains(&offboard_domain::Kind::MoveToLeaversUnit));
    let ldap = delegated(samba);
    assert!(!ldap.claims().contains(&offboard_domain::Kind::Resolve));
    let who = id(&only, "read").await;
    assert_eq!(only.footing(&mut reading(), &who).await.unwrap().among_leavers, None);
    let fault = only.move_to_leavers(&mut writing(), &who).await.unwrap_err();
    assert_eq!(quiet(fault).class, FaultClass::Unsupported);
    let fault = only
        .set(&mut writing(), &who, &AccountChange::RevokeSessions)
        .await
        .unwrap_err();
    assert_eq!(quiet(fault).class, FaultClass::Unsupported);
    assert!(matches!(
        ldap.find(&mut reading(), &named("read")).await.unwrap(),
        Found::One(_)
    ));
}
