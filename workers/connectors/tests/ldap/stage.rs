//! A real domain, made once for all tests of this process, and a connector to it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use offboard_connectors::ldap::{LdapConnector, LdapSettings, Name};
use offboard_connectors::{Call, Directory as _, Found};
use offboard_domain::departure::PersonRef;
use offboard_domain::{Fault, Lane, ObjectId, System};
use offboard_runtime::{Clock, SystemClock};
use offboard_servers::samba::DOMAIN;
use offboard_servers::{Samba, SambaOptions};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Is in the name of every test person; and in nothing that is reported.
pub(crate) const CANARY: &str = "kanarienvogel";

pub(crate) const SERVICE_PASSWORD: &str = "Service-Pass-1";

const STAFF: &str = "OU=Staff";
const LEAVERS: &str = "OU=Leavers";

pub(crate) fn leavers_unit() -> Name {
    Name::parse(&format!("{LEAVERS},{DOMAIN}")).unwrap()
}

/// As it stands in LDIF.
pub(crate) fn password(text: &str) -> String {
    let wide: Vec<u8> = format!("\"{text}\"")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    STANDARD.encode(wide)
}

pub(crate) fn dn(cn: &str) -> String {
    format!("CN={cn},{STAFF},{DOMAIN}")
}

/// A person of the staff; `more` are further lines.
pub(crate) fn person(cn: &str, account: &str, more: &str) -> String {
    format!(
        "dn: {}\nobjectClass: user\nsAMAccountName: {account}\nuserPrincipalName: {account}@corp.example.test\n\
         displayName: {CANARY} {account}\nuserAccountControl: 512\nunicodePwd:: {}\n{more}\n",
        dn(cn),
        password("First-Pass-1")
    )
}

pub(crate) fn group(cn: &str, members: &[&str], more: &str) -> String {
    let mut ldif = format!("dn: {}\nobjectClass: group\nsAMAccountName: {cn}\n{more}", dn(cn));
    for member in members {
        let _ = writeln!(ldif, "member: {}", dn(member));
    }
    ldif.push('\n');
    ldif
}

pub(crate) fn computer(cn: &str, system: &str, owner: &str) -> String {
    format!(
        "dn: {}\nobjectClass: computer\nsAMAccountName: {cn}$\nuserAccountControl: 4096\noperatingSystem: {system}\nmanagedBy: {}\n\n",
        dn(cn),
        dn(owner)
    )
}

/// Units, and the account that departures sign in with.
pub(crate) fn ground() -> String {
    format!(
        "dn: {STAFF},{DOMAIN}\nobjectClass: organizationalUnit\n\ndn: {LEAVERS},{DOMAIN}\nobjectClass: organizationalUnit\n\n\
         dn: CN=svc-offboard,CN=Users,{DOMAIN}\nobjectClass: user\nsAMAccountName: svc-offboard\n\
         userPrincipalName: svc-offboard@corp.example.test\nuserAccountControl: 66048\nunicodePwd:: {0}\n\n\
         dn: CN=svc-nothing,CN=Users,{DOMAIN}\nobjectClass: user\nsAMAccountName: svc-nothing\n\
         userPrincipalName: svc-nothing@corp.example.test\nuserAccountControl: 66048\nunicodePwd:: {0}\n\n\
         dn: CN=svc-disabled,CN=Users,{DOMAIN}\nobjectClass: user\nsAMAccountName: svc-disabled\n\
         userPrincipalName: svc-disabled@corp.example.test\nuserAccountControl: 66050\nunicodePwd:: {0}\n\n",
        password(SERVICE_PASSWORD)
    )
}

/// The rights that `docs/connectors/active-directory.md` names, and no others:
/// on the staff's unit, and on the leavers'.
pub(crate) fn delegate(samba: &Samba) {
    const USER: &str = "bf967aba-0de6-11d0-a285-00aa003049e2";
    const GROUP: &str = "bf967a9c-0de6-11d0-a285-00aa003049e2";
    const COMPUTER: &str = "bf967a86-0de6-11d0-a285-00aa003049e2";
    const CONTROL: &str = "bf967a68-0de6-11d0-a285-00aa003049e2";
    const PRIMARY_GROUP: &str = "bf967a00-0de6-11d0-a285-00aa003049e2";
    const MEMBER: &str = "bf9679c0-0de6-11d0-a285-00aa003049e2";
    const NAME: &str = "bf967a0e-0de6-11d0-a285-00aa003049e2";
    const COMMON_NAME: &str = "bf96793f-0de6-11d0-a285-00aa003049e2";
    const RESET_PASSWORD: &str = "00299570-246d-11d0-a768-00aa006e0529";
    let sid = samba.look("(sAMAccountName=svc-offboard)", &["objectSid"]).unwrap();
    let sid = sid.iter().find_map(|l| l.strip_prefix("objectSid: ")).unwrap();
    let staff = format!(
        "(OA;CI;RPWP;{CONTROL};{USER};{sid})(OA;CI;CR;{RESET_PASSWORD};{USER};{sid})(OA;CI;RPWP;{PRIMARY_GROUP};{USER};{sid})\
         (OA;CI;RPWP;{MEMBER};{GROUP};{sid})(OA;CI;RPWP;{CONTROL};{COMPUTER};{sid})\
         (OA;CI;WP;{NAME};{USER};{sid})(OA;CI;WP;{COMMON_NAME};{USER};{sid})(OA;CI;SD;;{USER};{sid})"
    );
    samba.grant(&format!("{STAFF},{DOMAIN}"), &staff).unwrap();
    samba
        .grant(&format!("{LEAVERS},{DOMAIN}"), &format!("(OA;CI;CC;{USER};;{sid})"))
        .unwrap();
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
            seed: crate::seed(),
        })
        .unwrap();
        delegate(&samba);
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
    let settings = settings(samba, "svc-offboard@corp.example.test", SERVICE_PASSWORD);
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
    let lines = samba
        .look(&format!("(sAMAccountName={account})"), &[attribute])
        .unwrap();
    let prefix = format!("{attribute}: ");
    lines
        .iter()
        .filter_map(|l| l.strip_prefix(&prefix))
        .map(str::to_owned)
        .collect()
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
