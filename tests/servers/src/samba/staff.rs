//! A company's directory: its units, its people and their groups, and the
//! account that departures sign in with, as LDIF.

use super::{DOMAIN, REALM, Samba};
use crate::process::StartError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write as _;

/// The unit of those who work there.
pub const STAFF: &str = "OU=Staff";
/// The unit of those who have left.
pub const LEAVERS: &str = "OU=Leavers";
/// The account that departures sign in with.
pub const SERVICE: &str = "svc-offboard@corp.example.test";
/// Its password.
pub const SERVICE_PASSWORD: &str = "Service-Pass-1";

/// What a user is in the schema.
const USER: &str = "bf967aba-0de6-11d0-a285-00aa003049e2";

/// The password of everybody else.
const FIRST_PASSWORD: &str = "First-Pass-1";

/// A password as it stands in LDIF.
fn password(text: &str) -> String {
    let wide: Vec<u8> = format!("\"{text}\"")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    STANDARD.encode(wide)
}

/// The name of one of the staff's objects.
#[must_use]
pub fn dn(cn: &str) -> String {
    format!("CN={cn},{STAFF},{DOMAIN}")
}

/// A person of the staff; `more` are further lines.
#[must_use]
pub fn person(cn: &str, account: &str, more: &str) -> String {
    format!(
        "dn: {}\nobjectClass: user\nsAMAccountName: {account}\nuserPrincipalName: {account}@{REALM}\n\
         displayName: {cn}\nuserAccountControl: 512\nunicodePwd:: {}\n{more}\n",
        dn(cn),
        password(FIRST_PASSWORD)
    )
}

/// A group of the staff; `more` are further lines.
#[must_use]
pub fn group(cn: &str, members: &[&str], more: &str) -> String {
    let mut ldif = format!("dn: {}\nobjectClass: group\nsAMAccountName: {cn}\n{more}", dn(cn));
    for member in members {
        // Writing to a string does not fail.
        let _ = writeln!(ldif, "member: {}", dn(member));
    }
    ldif.push('\n');
    ldif
}

/// A computer that somebody of the staff manages.
#[must_use]
pub fn computer(cn: &str, system: &str, owner: &str) -> String {
    format!(
        "dn: {}\nobjectClass: computer\nsAMAccountName: {cn}$\nuserAccountControl: 4096\noperatingSystem: {system}\nmanagedBy: {}\n\n",
        dn(cn),
        dn(owner)
    )
}

/// The units, and the account that departures sign in with.
#[must_use]
pub fn ground() -> String {
    format!(
        "dn: {STAFF},{DOMAIN}\nobjectClass: organizationalUnit\n\n\
         dn: {LEAVERS},{DOMAIN}\nobjectClass: organizationalUnit\n\n{}",
        service("svc-offboard", 66_048)
    )
}

/// An account for a program, which may do nothing yet; `control` is its `userAccountControl`.
#[must_use]
pub fn service(account: &str, control: u32) -> String {
    format!(
        "dn: CN={account},CN=Users,{DOMAIN}\nobjectClass: user\nsAMAccountName: {account}\n\
         userPrincipalName: {account}@{REALM}\nuserAccountControl: {control}\nunicodePwd:: {}\n\n",
        password(SERVICE_PASSWORD)
    )
}

impl Samba {
    /// Grants the account that departures sign in with the rights that
    /// `docs/connectors/active-directory.md` names, and no others: on the
    /// staff's unit, and on the leavers'.
    ///
    /// # Errors
    /// [`StartError`] with what was refused.
    pub fn delegate(&self) -> Result<(), StartError> {
        const GROUP: &str = "bf967a9c-0de6-11d0-a285-00aa003049e2";
        const COMPUTER: &str = "bf967a86-0de6-11d0-a285-00aa003049e2";
        const CONTROL: &str = "bf967a68-0de6-11d0-a285-00aa003049e2";
        const PRIMARY_GROUP: &str = "bf967a00-0de6-11d0-a285-00aa003049e2";
        const MEMBER: &str = "bf9679c0-0de6-11d0-a285-00aa003049e2";
        const NAME: &str = "bf967a0e-0de6-11d0-a285-00aa003049e2";
        const COMMON_NAME: &str = "bf96793f-0de6-11d0-a285-00aa003049e2";
        const RESET_PASSWORD: &str = "00299570-246d-11d0-a768-00aa006e0529";
        let sid = self.service_sid()?;
        let staff = format!(
            "(OA;CI;RPWP;{CONTROL};{USER};{sid})(OA;CI;CR;{RESET_PASSWORD};{USER};{sid})(OA;CI;RPWP;{PRIMARY_GROUP};{USER};{sid})\
             (OA;CI;RPWP;{MEMBER};{GROUP};{sid})(OA;CI;RPWP;{CONTROL};{COMPUTER};{sid})\
             (OA;CI;WP;{NAME};{USER};{sid})(OA;CI;WP;{COMMON_NAME};{USER};{sid})(OA;CI;SD;;{USER};{sid})"
        );
        self.grant(&format!("{STAFF},{DOMAIN}"), &staff)?;
        self.grant(&format!("{LEAVERS},{DOMAIN}"), &format!("(OA;CI;CC;{USER};;{sid})"))
    }

    /// Grants it the right to hide people from address lists, too, where the
    /// schema has what Exchange adds.
    ///
    /// # Errors
    /// [`StartError`] with what was refused.
    pub fn delegate_hiding(&self) -> Result<(), StartError> {
        const HIDDEN: &str = "11111111-1111-1111-1111-111111111111";
        let sid = self.service_sid()?;
        let entries = format!("(OA;CI;RPWP;{HIDDEN};{USER};{sid})");
        self.grant(&format!("{STAFF},{DOMAIN}"), &entries)
    }

    fn service_sid(&self) -> Result<String, StartError> {
        let sid = self.attribute("svc-offboard", "objectSid")?.into_iter().next();
        sid.ok_or_else(|| StartError("there is no svc-offboard".to_owned()))
    }

    /// The values of an account's attribute, read from the controller's own file.
    ///
    /// # Errors
    /// [`StartError`] if the file cannot be read.
    pub fn attribute(&self, account: &str, attribute: &str) -> Result<Vec<String>, StartError> {
        let lines = self.look(&format!("(sAMAccountName={account})"), &[attribute])?;
        let prefix = format!("{attribute}: ");
        let values = lines.iter().filter_map(|l| l.strip_prefix(&prefix));
        Ok(values.map(str::to_owned).collect())
    }
}
