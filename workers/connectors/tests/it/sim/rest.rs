//! Licences, files, the check, and reading that changes nothing.

use crate::common::{CERTIFICATE, KEY};
use crate::sim::stage::{Stage, id};
use offboard_connectors::graph::Credential;
use offboard_connectors::{
    Attachment, Call, Connector, Directory, Documents, Holding, LicenceOrigin, MailboxChange, Mailboxes, Severity,
};
use offboard_domain::{FaultClass, Kind};
use offboard_sim::population::{ADMIN_APP, ADMIN_APP_SECRET};
use offboard_sim::world::catalogue::{
    EXCHANGE_ADMINISTRATOR, GLOBAL_ADMINISTRATOR, GLOBAL_READER, PRIVILEGED_AUTHENTICATION_ADMINISTRATOR,
};
use offboard_sim::world::{Cruelty, Effect};
use std::collections::BTreeSet;

#[tokio::test]
async fn a_directory_may_be_configured_by_any_of_its_domains() {
    let s = Stage::kind().await;
    let who = id(&s.cast.plain);
    for domain in s.truth(|t| [t.domain.clone(), t.initial_domain.clone()]) {
        let graph = s.by_domain(&domain);
        let account = Directory::account(&graph, &mut s.reading(), &who).await.unwrap();
        assert_eq!(account.id, who, "{domain}");
        let mailbox = Mailboxes::mailbox(&graph, &mut s.reading(), &who).await.unwrap();
        assert!(mailbox.is_some(), "{domain}");
        let mut call = s.writing();
        Mailboxes::set(&graph, &mut call, &who, &MailboxChange::Hide)
            .await
            .unwrap();
        assert!(
            Mailboxes::mailbox(&graph, &mut call, &who)
                .await
                .unwrap()
                .unwrap()
                .hidden
        );
    }
}

#[tokio::test]
async fn licences_go_by_the_way_they_came() {
    let s = Stage::kind().await;
    let who = id(&s.cast.on_hold);
    let mut call = s.writing();
    let held = s.licenses().held(&mut call, &who).await.unwrap();
    let direct: Vec<String> = held
        .iter()
        .filter(|l| l.origin == LicenceOrigin::Direct)
        .map(|l| l.sku_id.clone())
        .collect();
    let by_group: Vec<String> = held
        .iter()
        .filter(|l| l.origin != LicenceOrigin::Direct)
        .map(|l| l.sku_id.clone())
        .collect();
    assert_eq!((direct.len(), by_group.len()), (2, 1));
    assert!(held.iter().any(|l| l.keeps_mailbox_hold) && held.iter().all(|l| l.part_number.is_some()));
    let fault = s.licenses().release(&mut call, &who, &by_group).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Blocked, "{fault}");
    let consumed = |pool: &[offboard_connectors::PoolLine]| {
        direct
            .iter()
            .map(|sku| pool.iter().find(|p| p.sku_id == *sku).unwrap().consumed)
            .collect::<Vec<_>>()
    };
    let before = consumed(&s.licenses().pool(&mut call).await.unwrap());
    s.licenses().release(&mut call, &who, &direct[..1]).await.unwrap();
    // One of the two is gone already; the other still goes.
    s.licenses().release(&mut call, &who, &direct).await.unwrap();
    s.licenses().release(&mut call, &who, &direct).await.unwrap();
    let after = consumed(&s.licenses().pool(&mut call).await.unwrap());
    assert_eq!(after, before.iter().map(|n| n - 1).collect::<Vec<_>>());
    let left = s.licenses().held(&mut call, &who).await.unwrap();
    assert!(left.iter().all(|l| matches!(l.origin, LicenceOrigin::Group(_))) && left.len() == 1);
}

#[tokio::test]
async fn what_a_group_gives_can_be_his_own_and_stays_when_he_leaves_the_group() {
    let s = Stage::kind().await;
    let who = id(&s.cast.privileged);
    let mut call = s.writing();
    let held = s.licenses().held(&mut call, &who).await.unwrap();
    let [licence] = held.as_slice() else { panic!("{held:?}") };
    assert!(matches!(licence.origin, LicenceOrigin::Group(_)), "{held:?}");
    let skus = [licence.sku_id.clone()];
    for _twice in 0..2 {
        s.licenses().assign(&mut call, &who, &skus).await.unwrap();
    }
    // What no group gives, nobody gets.
    let unheard = ["00000000-0000-0000-0000-000000000000".to_owned()];
    s.licenses().assign(&mut call, &who, &unheard).await.unwrap();
    let added = s.effects().into_iter().filter(|(e, ..)| *e == Effect::LicenceAdded);
    assert_eq!(
        added.map(|(_, subject, _)| subject).collect::<Vec<_>>(),
        std::slice::from_ref(&who.0)
    );
    for role in s.directory().holdings(&mut call, &who, Holding::Roles).await.unwrap() {
        s.directory().remove(&mut call, &who, &role).await.unwrap();
    }
    s.clock.advance(24 * 3_600_000);
    let held = s.licenses().held(&mut call, &who).await.unwrap();
    assert!(
        matches!(held.as_slice(), [own] if own.origin == LicenceOrigin::Direct && skus.contains(&own.sku_id)),
        "{held:?}"
    );
    assert!(s.world().violations().is_empty(), "{:?}", s.world().violations());
    s.licenses().release(&mut call, &who, &skus).await.unwrap();
    assert_eq!(s.licenses().held(&mut call, &who).await.unwrap(), []);
}

/// Beliefs: what is assigned anew has the plans switched off that the new order names; of
/// what comes in several ways, a plan is on that is on in one of them.
#[tokio::test]
async fn a_plan_that_is_off_directly_and_on_by_a_group_is_his_own_before_he_leaves_the_group() {
    let s = Stage::kind().await;
    let who = id(&s.cast.privileged);
    let mut call = s.writing();
    let held = s.licenses().held(&mut call, &who).await.unwrap();
    let [licence] = held.as_slice() else { panic!("{held:?}") };
    let LicenceOrigin::Group(group) = licence.origin.clone() else {
        panic!("{held:?}")
    };
    let sku = licence.sku_id.clone();
    let plans = offboard_sim::world::catalogue::sku(&sku).unwrap().plans;
    let all: BTreeSet<String> = plans.iter().map(|plan| plan.id.to_owned()).collect();
    let one: BTreeSet<String> = all.iter().take(1).cloned().collect();
    s.arrange(|t| {
        let person = t.people.edit_silently(&who.0).unwrap();
        person.direct_licenses.insert(sku.clone());
        person.disabled_plans.insert((sku.clone(), None), all.clone());
        person
            .disabled_plans
            .insert((sku.clone(), Some(group.0.clone())), one.clone());
    });
    let off = async |call: &mut Call| {
        let held = s.licenses().held(call, &who).await.unwrap();
        let mut off: Vec<_> = held.into_iter().map(|l| (l.origin, l.disabled_plans)).collect();
        off.sort();
        off
    };
    let by_group = (LicenceOrigin::Group(group), one.clone());
    assert_eq!(off(&mut call).await, [(LicenceOrigin::Direct, all), by_group.clone()]);
    let own = s.licenses().held(&mut call, &who).await.unwrap();
    let own = own.iter().find(|l| l.origin == LicenceOrigin::Direct).unwrap();
    assert!(!own.bears_mailbox && !own.keeps_mailbox_hold, "{own:?}");
    for _twice in 0..2 {
        s.licenses()
            .assign(&mut call, &who, std::slice::from_ref(&sku))
            .await
            .unwrap();
    }
    assert_eq!(off(&mut call).await, [(LicenceOrigin::Direct, one.clone()), by_group]);
    for role in s.directory().holdings(&mut call, &who, Holding::Roles).await.unwrap() {
        s.directory().remove(&mut call, &who, &role).await.unwrap();
    }
    s.clock.advance(24 * 3_600_000);
    assert_eq!(off(&mut call).await, [(LicenceOrigin::Direct, one)]);
}

#[tokio::test]
async fn a_licence_of_which_no_unit_is_free_is_not_assigned() {
    let s = Stage::kind().await;
    let who = id(&s.cast.privileged);
    s.arrange(|t| t.pool.values_mut().for_each(|units| *units = 0));
    let mut call = s.writing();
    let held = s.licenses().held(&mut call, &who).await.unwrap();
    let skus: Vec<String> = held.iter().map(|l| l.sku_id.clone()).collect();
    let fault = s.licenses().assign(&mut call, &who, &skus).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Rejected, "{fault}");
    assert!(s.effects().is_empty());
}

#[tokio::test]
async fn a_onedrive_gets_a_second_administrator() {
    let s = Stage::with(
        Cruelty {
            sharepoint_needs_certificate: true,
            ..Cruelty::kind()
        },
        true,
    )
    .await;
    let (who, successor) = (id(&s.cast.plain), id(&s.cast.chief));
    let mut call = s.writing();
    let site = s.documents().site(&mut call, &who).await.unwrap().unwrap();
    assert!(site.site_url.starts_with("https://") && site.used_bytes.is_some());
    for _twice in 0..2 {
        s.documents()
            .add_administrator(&mut call, &site, &successor)
            .await
            .unwrap();
    }
    let administrators = s.documents().administrators(&mut call, &site).await.unwrap();
    let accounts: Vec<_> = administrators.iter().filter_map(|a| a.account.clone()).collect();
    assert!(
        accounts.contains(&successor) && accounts.contains(&who) && accounts.len() == 2,
        "{administrators:?}"
    );
    let never = s.documents().site(&mut call, &id(&s.cast.no_drive)).await.unwrap();
    assert_eq!(never, None);

    let by_secret = s.anew(Credential::Secret(ADMIN_APP_SECRET.into()));
    let fault = by_secret.administrators(&mut s.reading(), &site).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Denied, "{fault}");
    let elsewhere = offboard_connectors::Site {
        site_url: "https://evil.example/personal/x".into(),
        ..site
    };
    let fault = s
        .documents()
        .administrators(&mut s.reading(), &elsewhere)
        .await
        .unwrap_err();
    assert_eq!(fault.class, FaultClass::Rejected, "no token leaves for another host");
}

#[tokio::test]
async fn reading_everything_changes_nothing_page_by_page() {
    let mut counts = Vec::new();
    for page_size in [100, 1] {
        let s = Stage::with(
            Cruelty {
                page_size,
                ..Cruelty::kind()
            },
            false,
        )
        .await;
        let mut seen = 0;
        for who in [&s.cast.plain, &s.cast.forwarder, &s.cast.devices, &s.cast.privileged] {
            let who = id(who);
            let mut call = s.reading();
            for what in [
                Holding::Roles,
                Holding::Methods,
                Holding::Grants,
                Holding::AppRoles,
                Holding::Memberships,
                Holding::Ownerships,
            ] {
                seen += s.directory().holdings(&mut call, &who, what).await.unwrap().len();
            }
            for what in [
                Attachment::Protocols,
                Attachment::Rules,
                Attachment::DelegationsTo,
                Attachment::MobileDevices,
                Attachment::Meetings,
                Attachment::OrphanMeetings {
                    successor: id(&s.cast.chief),
                },
            ] {
                seen += s.mailboxes().attached(&mut call, &who, &what).await.unwrap().len();
            }
            seen += s.held_on_others(&mut call, &who).await.unwrap().len();
            s.mailboxes().usage(&mut call, &who).await.unwrap();
            seen += s.licenses().held(&mut call, &who).await.unwrap().len();
            seen += s.licenses().pool(&mut call).await.unwrap().len();
            for device in s.devices().of(&mut call, &who).await.unwrap() {
                s.devices().managed(&mut call, &device.at).await.unwrap().unwrap();
                s.devices().autopilot(&mut call, &device.at).await.unwrap();
                seen += s
                    .devices()
                    .recovery_keys(&mut call, &device.at)
                    .await
                    .unwrap()
                    .keys
                    .len();
            }
            let site = s.documents().site(&mut call, &who).await.unwrap().unwrap();
            seen += s.documents().administrators(&mut call, &site).await.unwrap().len();
            assert_eq!(call.writes_sent(), 0);
            assert!(call.receipts().len() <= offboard_connectors::READ_RECEIPTS_MAX);
        }
        let effects: Vec<_> = s
            .effects()
            .into_iter()
            .filter(|(e, ..)| *e != Effect::KeyRead)
            .collect();
        assert_eq!(effects, [], "reading wrote");
        counts.push(seen);
    }
    assert!(
        counts[0] > 100 && counts[0] == counts[1],
        "the same however it is paged: {counts:?}"
    );
}

#[tokio::test]
async fn the_check_says_what_is_missing_and_for_which_kinds() {
    let s = Stage::with(Cruelty::kind(), true).await;
    let graph = s.anew(Credential::Certificate {
        certificate_pem: CERTIFICATE.into(),
        key_pem: KEY.into(),
    });
    let findings = graph.check(&mut s.reading()).await;
    let problems: Vec<_> = findings
        .iter()
        .filter(|f| f.severity == Severity::Problem && !f.what.contains("clock"))
        .collect();
    assert_eq!(problems, Vec::<&offboard_connectors::Finding>::new());
    s.arrange(|t| {
        let app = t.apps.get_mut(ADMIN_APP).unwrap();
        app.graph_roles.remove("UserAuthenticationMethod.ReadWrite.All");
        app.entra_roles.clear();
    });
    let graph = s.anew(Credential::Secret(ADMIN_APP_SECRET.into()));
    let findings = graph.check(&mut s.reading()).await;
    let about = |text: &str| {
        findings
            .iter()
            .find(|f| f.severity == Severity::Problem && f.what.contains(text))
            .unwrap()
    };
    assert!(
        about("UserAuthenticationMethod.ReadWrite.All")
            .kinds
            .contains(&Kind::RemoveAuthMethods)
    );
    assert!(about("Exchange does not let").kinds.contains(&Kind::ConvertToShared));
    assert!(about("SharePoint").kinds.contains(&Kind::HandOverOneDrive));
    let graph = s.anew(Credential::Secret("wrong".into()));
    let findings = graph.check(&mut s.reading()).await;
    assert!(
        matches!(findings.as_slice(), [f] if f.severity == Severity::Problem && f.what.contains("AADSTS7000215")),
        "{findings:?}"
    );
}

#[tokio::test]
async fn the_check_tells_a_role_of_exchange_that_only_reads() {
    let s = Stage::with(Cruelty::kind(), true).await;
    let told = async || {
        let graph = s.anew(Credential::Certificate {
            certificate_pem: CERTIFICATE.into(),
            key_pem: KEY.into(),
        });
        let findings = graph.check(&mut s.reading()).await;
        assert!(
            findings
                .iter()
                .any(|f| f.what.contains("Exchange lets the application run"))
        );
        findings
            .into_iter()
            .find(|f| f.what.contains("Exchange lets") && f.what.contains("change anything"))
    };
    for (roles, severity) in [
        (&[EXCHANGE_ADMINISTRATOR][..], None),
        (&[GLOBAL_ADMINISTRATOR, GLOBAL_READER][..], None),
        (&[GLOBAL_READER][..], Some(Severity::Problem)),
        // It may have the other one by a group.
        (
            &[GLOBAL_READER, PRIVILEGED_AUTHENTICATION_ADMINISTRATOR][..],
            Some(Severity::Warning),
        ),
    ] {
        s.arrange(|t| {
            let app = t.apps.get_mut(ADMIN_APP).unwrap();
            app.entra_roles = roles.iter().map(|role| (*role).to_owned()).collect();
        });
        let told = told().await;
        assert_eq!(told.as_ref().map(|f| f.severity), severity, "{roles:?}: {told:?}");
        if let Some(told) = told {
            assert!(told.how_to_mend.contains("Exchange Administrator"), "{told:?}");
            assert!(told.kinds.contains(&Kind::ConvertToShared) && !told.kinds.contains(&Kind::SnapshotMailbox));
        }
    }
    // It is as the check says: what reads goes on, and what writes is refused.
    let graph = s.anew(Credential::Secret(ADMIN_APP_SECRET.into()));
    let who = id(&s.cast.plain);
    let mailbox = Mailboxes::mailbox(&graph, &mut s.reading(), &who).await.unwrap();
    assert!(mailbox.is_some());
    let refused = Mailboxes::set(&graph, &mut s.writing(), &who, &MailboxChange::Hide)
        .await
        .unwrap_err();
    assert_eq!(refused.class, FaultClass::Denied);
    assert!(refused.detail.contains("Exchange Administrator"), "{refused}");
    // Where its roles cannot be read, that is said.
    s.arrange(|t| {
        let app = t.apps.get_mut(ADMIN_APP).unwrap();
        app.graph_roles
            .retain(|role| !role.starts_with("RoleManagement.") && !role.starts_with("Directory."));
    });
    let unread = told().await.unwrap();
    assert_eq!(unread.severity, Severity::Warning);
    assert!(unread.what.contains("cannot be read"), "{unread:?}");
}

#[tokio::test]
async fn the_check_reads_what_is_granted_on_sharepoint_or_says_that_it_cannot() {
    let s = Stage::with(Cruelty::kind(), true).await;
    let told = async || {
        let graph = s.anew(Credential::Certificate {
            certificate_pem: CERTIFICATE.into(),
            key_pem: KEY.into(),
        });
        let findings = graph.check(&mut s.reading()).await;
        findings
            .into_iter()
            .find(|f| f.what.contains("Sites.FullControl.All on SharePoint"))
    };
    assert_eq!(told().await, None, "it is granted");
    s.arrange(|t| t.apps.get_mut(ADMIN_APP).unwrap().sharepoint_roles.clear());
    let lacking = told().await.unwrap();
    assert_eq!(lacking.severity, Severity::Problem);
    assert!(lacking.what.contains("is not granted") && lacking.kinds.contains(&Kind::HandOverOneDrive));
    // Where Graph does not say where SharePoint is, that is said, and not that all is well.
    s.arrange(|t| {
        let app = t.apps.get_mut(ADMIN_APP).unwrap();
        app.graph_roles.retain(|role| !role.starts_with("Sites."));
    });
    let unread = told().await.unwrap();
    assert_eq!(unread.severity, Severity::Warning);
    assert!(unread.what.contains("cannot be read") && unread.kinds.contains(&Kind::HandOverOneDrive));
}

#[tokio::test]
async fn the_check_tells_a_wrong_address_of_sharepoint() {
    let s = Stage::with(Cruelty::kind(), true).await;
    for (address, wrong) in [
        (s.simulator.bases().sharepoint.as_str(), None),
        (
            "https://contoso-admin.sharepoint.com",
            Some("contoso-admin.sharepoint.com, which is SharePoint itself"),
        ),
        ("http://127.0.0.1:9", Some("127.0.0.1, does not answer")),
    ] {
        let findings = s.with_sharepoint_at(address).check(&mut s.reading()).await;
        let told = findings
            .iter()
            .find(|f| f.severity == Severity::Problem && f.what.to_lowercase().contains("sharepoint"));
        match wrong {
            None => assert_eq!(told, None, "{address}"),
            Some(wrong) => {
                let told = told.unwrap_or_else(|| panic!("{address}: {findings:?}"));
                assert!(told.what.contains(wrong), "{}", told.what);
                assert!(told.kinds.contains(&Kind::HandOverOneDrive) && told.how_to_mend.contains("sharepoint_url"));
            }
        }
    }
}
