//! Each refusal as the fault that it is, a controller that is not what it says,
//! and what `offboard doctor` tells.

use crate::ldap::stage::{
    CANARY, SERVICE_PASSWORD, delegated, domain, ground, id, named, person, quiet, reading, settings, truth, within,
    writing,
};
use offboard_connectors::ldap::{LdapConnector, LdapOpenError};
use offboard_connectors::{AccountChange, Connector as _, Directory as _, Premises as _, Severity};
use offboard_domain::{FaultClass, Kind};
use offboard_servers::{Direction, Proxy, Samba, SambaOptions};
use std::time::Duration;

const SERVICE: &str = "svc-offboard@corp.example.test";

#[tokio::test]
async fn a_wrong_credential_is_denied_and_says_what_is_wrong_with_it() {
    let (samba, _alone) = domain();
    for (user, password, code, told) in [
        (SERVICE, "Wrong-Pass-1", "49-52e", "password"),
        ("nobody@corp.example.test", "Wrong-Pass-1", "49-", ""),
        ("svc-disabled@corp.example.test", SERVICE_PASSWORD, "49-533", "disabled"),
    ] {
        let ldap = LdapConnector::open(&settings(samba, user, password)).unwrap();
        let fault = quiet(ldap.find(&mut reading(), &named("read")).await.unwrap_err());
        assert_eq!(fault.class, FaultClass::Denied, "{fault}");
        assert!(fault.code.as_deref().unwrap().starts_with(code), "{fault}");
        assert!(fault.detail.contains(told), "{fault}");
        let findings = ldap.check(&mut reading()).await;
        assert!(findings.iter().any(|f| f.severity == Severity::Problem), "{findings:?}");
    }
}

#[tokio::test]
async fn what_was_not_delegated_is_denied_and_changes_nothing() {
    let (samba, _alone) = domain();
    let nothing = LdapConnector::open(&settings(samba, "svc-nothing@corp.example.test", SERVICE_PASSWORD)).unwrap();
    let who = id(&nothing, "denied").await;
    let before = samba.changes().unwrap();
    let denied = [
        nothing.set(&mut writing(), &who, &AccountChange::Disable).await,
        nothing
            .set(
                &mut writing(),
                &who,
                &AccountChange::Password("A-long-Passw0rd-indeed".into()),
            )
            .await,
        nothing.hide(&mut writing(), &who).await,
        nothing.move_to_leavers(&mut writing(), &who).await,
        // The delegated rights do not hold for this.
        delegated(samba).hide(&mut writing(), &who).await,
    ];
    for done in denied {
        let fault = quiet(done.unwrap_err());
        assert_eq!(fault.class, FaultClass::Denied, "{fault}");
        assert!(fault.detail.contains("active-directory.md"), "{fault}");
    }
    let changed = samba.changed_since(before).unwrap();
    assert!(changed.iter().all(|dn| dn.starts_with("CN=svc-")), "{changed:?}");
}

#[tokio::test]
async fn the_doctor_says_which_right_is_missing_and_for_what() {
    let (samba, _alone) = domain();
    let stopped = async |ldap: &LdapConnector| {
        let findings = ldap.check(&mut reading()).await;
        let mut kinds: Vec<Kind> = findings
            .iter()
            .filter(|f| f.severity == Severity::Problem)
            .flat_map(|f| f.kinds.iter().copied())
            .collect();
        kinds.sort();
        kinds
    };
    let said = async |ldap: &LdapConnector, attribute: &str| {
        let findings = ldap.check(&mut reading()).await;
        let mut of = findings
            .iter()
            .filter(|f| f.what.contains(&format!(" {attribute} of accounts")));
        of.next().map(|f| f.severity)
    };
    assert_eq!(stopped(&delegated(samba)).await, [Kind::HideOnPremises]);
    let nothing = LdapConnector::open(&settings(samba, "svc-nothing@corp.example.test", SERVICE_PASSWORD)).unwrap();
    let mut all = vec![
        Kind::DisableOnPremises,
        Kind::HideOnPremises,
        Kind::RemoveGroupsOnPremises,
        Kind::DisableComputer,
        // For the unit, and for the account's own name.
        Kind::MoveToLeaversUnit,
        Kind::MoveToLeaversUnit,
    ];
    all.sort();
    assert_eq!(stopped(&nothing).await, all);
    for (attribute, severity) in [("cn", Severity::Problem), ("primaryGroupID", Severity::Warning)] {
        assert_eq!(said(&nothing, attribute).await, Some(severity), "{attribute}");
        assert_eq!(said(&delegated(samba), attribute).await, None, "{attribute}");
    }
    assert_eq!(stopped(&crate::ldap::stage::administrator(samba)).await, []);
}

/// A controller whose certificate has its name nowhere but in its common name,
/// and whose schema has nothing of Exchange.
#[tokio::test]
async fn a_certificate_without_its_name_is_refused_and_a_schema_without_exchange_is_told() {
    let (shared, _alone) = domain();
    let mut bare = Samba::start(&SambaOptions {
        exchange: false,
        named_in_certificate: false,
        seed: ground() + &person(CANARY, "somebody", ""),
    })
    .unwrap();
    let ldap = LdapConnector::open(&settings(&bare, r"CORP\Administrator", "Provisioned-1")).unwrap();
    let fault = quiet(ldap.find(&mut reading(), &named("somebody")).await.unwrap_err());
    assert_eq!(fault.class, FaultClass::Denied, "{fault}");
    assert!(fault.detail.contains("subjectAltName"), "{fault}");
    let findings = ldap.check(&mut reading()).await;
    assert!(findings[0].how_to_mend.contains("subjectAltName"), "{findings:?}");
    // Somebody else's authority.
    let mut strange = settings(shared, SERVICE, SERVICE_PASSWORD);
    strange.authority_pem = Some(std::fs::read(bare.authority()).unwrap());
    let ldap = LdapConnector::open(&strange).unwrap();
    let fault = quiet(ldap.find(&mut reading(), &named("read")).await.unwrap_err());
    assert_eq!(fault.class, FaultClass::Denied, "{fault}");
    assert!(fault.detail.contains("authority"), "{fault}");
    // None at all, and what is no controller.
    strange.authority_pem = Some(b"nothing".to_vec());
    assert!(matches!(LdapConnector::open(&strange), Err(LdapOpenError::Authority)));
    strange.controllers = vec!["ldap://dc1".into()];
    assert!(matches!(
        LdapConnector::open(&strange),
        Err(LdapOpenError::Controller(_) | LdapOpenError::Authority)
    ));

    bare.name_in_certificate().unwrap();
    let ldap = LdapConnector::open(&settings(&bare, r"CORP\Administrator", "Provisioned-1")).unwrap();
    let who = id(&ldap, "somebody").await;
    assert_eq!(ldap.footing(&mut reading(), &who).await.unwrap().hidden, None);
    let fault = quiet(ldap.hide(&mut writing(), &who).await.unwrap_err());
    assert_eq!(fault.class, FaultClass::Unsupported, "{fault}");
    let findings = ldap.check(&mut reading()).await;
    let told = findings
        .iter()
        .find(|f| f.kinds.contains(&Kind::HideOnPremises))
        .unwrap();
    assert_eq!(told.severity, Severity::Warning, "{told:?}");
}

/// Silence after sending is Unknown, and a connection that broke is made anew;
/// the next controller is asked when the first is not there.
#[tokio::test]
async fn silence_is_unknown_for_a_write_and_passes_for_a_read() {
    let (samba, _alone) = domain();
    let proxy = Proxy::to_address((samba.address(), 636).into()).unwrap();
    let mut through = settings(samba, SERVICE, SERVICE_PASSWORD);
    through.controllers = vec![format!("localhost:{}", proxy.port())];
    let ldap = LdapConnector::open(&through).unwrap();
    let who = id(&ldap, "silent").await;
    let enable = format!(
        "dn: {}\nchangetype: modify\nreplace: userAccountControl\nuserAccountControl: 512\n",
        crate::ldap::stage::dn(&format!("{CANARY} silent"))
    );
    proxy.stall(Direction::ToClient);
    let short = || within(Duration::from_millis(300));
    let fault = quiet(ldap.account(&mut short(), &who).await.unwrap_err());
    assert_eq!(fault.class, FaultClass::Transient, "{fault}");
    // A new connection passes, slowly: the call ends before, in and after the write.
    let mut unknown = 0;
    for time_ms in (40..=400).step_by(40) {
        ldap.account(&mut reading(), &who).await.unwrap();
        proxy.delay(Duration::from_millis(40));
        let mut call = within(Duration::from_millis(time_ms));
        call.allow_writes(true);
        if let Err(fault) = ldap.set(&mut call, &who, &AccountChange::Disable).await {
            let fault = quiet(fault);
            let class = if call.writes_sent() == 0 {
                FaultClass::Transient
            } else {
                FaultClass::Unknown
            };
            assert_eq!(fault.class, class, "{fault}");
            unknown += u32::from(class == FaultClass::Unknown);
        }
        proxy.restore();
        samba.modify(&enable).unwrap();
    }
    assert!(unknown > 0, "no call ended in a write");
    ldap.set(&mut writing(), &who, &AccountChange::Disable).await.unwrap();
    assert_eq!(truth(samba, "silent", "userAccountControl"), ["514"]);
    proxy.cut();
    ldap.account(&mut reading(), &who).await.unwrap();
    proxy.block();
    let fault = quiet(ldap.account(&mut short(), &who).await.unwrap_err());
    assert_eq!(fault.class, FaultClass::Transient, "{fault}");
    through.controllers.push(samba.address().to_string());
    let two = LdapConnector::open(&through).unwrap();
    two.account(&mut reading(), &who).await.unwrap();
}

/// The first controller dies in a write, and the next one is asked: whether it happened is not
/// known before it is read there, and what is read there is so.
#[tokio::test]
async fn what_a_controller_that_died_may_have_written_is_unknown_until_the_next_one_is_read() {
    let (samba, _alone) = domain();
    let proxy = Proxy::to_address((samba.address(), 636).into()).unwrap();
    let mut both = settings(samba, SERVICE, SERVICE_PASSWORD);
    both.controllers = vec![format!("localhost:{}", proxy.port()), samba.address().to_string()];
    let who = id(&delegated(samba), "failover").await;
    let enable = format!(
        "dn: {}\nchangetype: modify\nreplace: userAccountControl\nuserAccountControl: 512\n",
        crate::ldap::stage::dn(&format!("{CANARY} failover"))
    );
    let (mut unknown, mut happened) = (0, 0);
    for time_ms in (40..=340).step_by(30) {
        let ldap = LdapConnector::open(&both).unwrap();
        ldap.account(&mut reading(), &who).await.unwrap();
        assert!(proxy.connections() > 0, "the first was to be asked first");
        proxy.delay(Duration::from_millis(40));
        let mut call = within(Duration::from_millis(time_ms));
        call.allow_writes(true);
        let done = ldap.set(&mut call, &who, &AccountChange::Disable).await;
        proxy.block();
        let enabled = ldap.account(&mut reading(), &who).await.unwrap().enabled;
        match done {
            Ok(()) => assert!(!enabled, "it was said to be done after {time_ms} ms"),
            Err(fault) if call.writes_sent() > 0 => {
                assert_eq!(quiet(fault).class, FaultClass::Unknown);
                unknown += 1;
                happened += u32::from(!enabled);
            }
            Err(fault) => {
                assert_eq!(quiet(fault).class, FaultClass::Transient);
                assert!(enabled, "nothing was sent within {time_ms} ms");
            }
        }
        // On the next one it is done, whether or not the first had done it.
        ldap.set(&mut writing(), &who, &AccountChange::Disable).await.unwrap();
        assert_eq!(truth(samba, "failover", "userAccountControl"), ["514"]);
        samba.modify(&enable).unwrap();
        proxy.restore();
    }
    assert!(unknown > 0, "no controller died in a write");
    assert!(happened > 0, "none had written before it died");
}
