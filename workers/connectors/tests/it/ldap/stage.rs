//! A real domain, made once for all tests of this process, and a connector to it.

use offboard_connectors::ldap::{LdapConnector, LdapSettings, Name};
use offboard_connectors::{Call, Directory as _, Found};
use offboard_domain::departure::PersonRef;
use offboard_domain::{Fault, Lane, ObjectId, System};
use offboard_runtime::{Clock, SystemClock};
use offboard_servers::samba::DOMAIN;
use offboard_servers::samba::staff::{self, LEAVERS};
pub(crate) use offboard_servers::samba::staff::{SERVICE_PASSWORD, computer, dn, group};
use offboard_servers::{Samba, SambaOptions};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Is in the name of every test person; and in nothing that is reported.
pub(crate) const CANARY: &str = "kanarienvogel";

pub(crate) fn leavers_unit() -> Name {
    Name::parse(&format!("{LEAVERS},{DOMAIN}")).unwrap()
}

/// A person of the staff, whose name is the canary.
pub(crate) fn person(cn: &str, account: &str, more: &str) -> String {
    assert!(cn.contains(CANARY), "{cn}");
    staff::person(cn, account, more)
}

/// The staff's directory, and two accounts more that programs sign in with.
pub(crate) fn ground() -> String {
    staff::ground() + &staff::service("svc-nothing", 66_048) + &staff::service("svc-disabled", 66_050)
}

/// The domain of this process. Whoever holds the guard has it alone, so that
/// what changed is his.
pub(crate) fn domain() -> (&'static Samba, MutexGuard<'static, ()>) {
    static ALONE: Mutex<()> = Mutex::new(());
    static DOMAIN: OnceLock<Samba> = OnceLock::new();
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let samba = DOMAIN.get_or_init(|| {
        let samba = Samba::start(&SambaOptions {
            exchange: true,
            named_in_certificate: true,
            seed: crate::ldap::seed(),
        })
        .unwrap();
        samba.delegate().unwrap();
        samba
    });
    (samba, alone)
}

pub(crate) fn settings(samba: &Samba, user: &str, password: &str) -> LdapSettings {
    LdapSettings {
        system: System::new("ad").unwrap(),
        controllers: vec![samba.address().to_string()],
        user: user.to_owned(),
        password: password.into(),
        authority_pem: Some(std::fs::read(samba.authority()).unwrap()),
        leavers_unit: Some(leavers_unit()),
        alone: false,
    }
}

/// With the delegated rights, and long answers in small parts.
pub(crate) fn delegated(samba: &Samba) -> LdapConnector {
    let settings = settings(samba, staff::SERVICE, SERVICE_PASSWORD);
    LdapConnector::open(&settings).unwrap().in_parts_of(2)
}

/// With every right.
pub(crate) fn administrator(samba: &Samba) -> LdapConnector {
    LdapConnector::open(&settings(samba, r"CORP\Administrator", "Provisioned-1")).unwrap()
}

pub(crate) fn reading() -> Call {
    within(Duration::from_secs(30))
}

pub(crate) fn within(time: Duration) -> Call {
    Call::new(
        Arc::new(SystemClock) as Arc<dyn Clock>,
        Instant::now() + time,
        Lane::Normal,
    )
}

pub(crate) fn writing() -> Call {
    let mut call = reading();
    call.allow_writes(true);
    call
}

pub(crate) fn named(account: &str) -> PersonRef {
    PersonRef {
        user_principal_name: Some(format!("{account}@corp.example.test")),
        ..PersonRef::default()
    }
}

/// The person's id, found as a departure finds it.
pub(crate) async fn id(ldap: &LdapConnector, account: &str) -> ObjectId {
    match ldap.find(&mut reading(), &named(account)).await.unwrap() {
        Found::One(account) => account.id,
        other => panic!("{account}: {other:?}"),
    }
}

/// What the controller's own file says of an account.
pub(crate) fn truth(samba: &Samba, account: &str, attribute: &str) -> Vec<String> {
    samba.attribute(account, attribute).unwrap()
}

/// The fault, which names nobody.
pub(crate) fn quiet(fault: Fault) -> Fault {
    let told = format!("{fault} {fault:?}").to_lowercase();
    assert!(!told.contains(CANARY) && !told.contains("pass-1"), "{told}");
    fault
}

/// The receipts, which name nobody.
pub(crate) fn quiet_receipts(mut call: Call) {
    for receipt in call.take_receipts() {
        assert!(!receipt.request.to_lowercase().contains(CANARY), "{receipt:?}");
    }
}
