//! A Google Workspace, as a tenant's file describes it.

use super::reader::{Section, Value};
use super::secret_ref::{self, SecretRef};
use super::tenant::base_url;
use std::path::Path;

/// Where a Google Workspace is reached, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoogleConfig {
    /// The address of the administrator for whom the service account acts.
    pub admin: String,
    /// Where the service account's key (JSON) is.
    pub key: SecretRef,
    /// The licences that the company has, by product and SKU.
    pub licences: Vec<(String, String)>,
    /// Whether shared drives are looked at, which takes a wide scope.
    pub shared_drives: bool,
    /// Where tokens are asked for.
    pub token_url: String,
    /// The Directory and Data Transfer interfaces.
    pub admin_url: String,
    /// Gmail.
    pub gmail_url: String,
    /// The licence manager.
    pub licensing_url: String,
    /// Drive.
    pub drive_url: String,
}

pub(super) const TOKEN_URL: &str = "https://oauth2.googleapis.com/token";
const ADMIN_URL: &str = "https://admin.googleapis.com";
const GMAIL_URL: &str = "https://gmail.googleapis.com";
const LICENSING_URL: &str = "https://licensing.googleapis.com";
const DRIVE_URL: &str = "https://www.googleapis.com";

pub(super) fn read(section: &mut Section<'_>, dir: &Path) -> Option<GoogleConfig> {
    let admin = section.require(
        "admin",
        "the address of the administrator for whom the service account acts",
    );
    let admin = admin.and_then(|v| {
        v.parsed("an address, such as \"offboard@contoso.example\"", |s| {
            let (name, domain) = s.split_once('@')?;
            let fine = !name.is_empty() && !domain.is_empty() && !s.contains(char::is_whitespace);
            fine.then(|| s.to_owned())
        })
    });
    let key = section.require(
        "key",
        "{ file = \"path\" } or { env = \"NAME\" } of the service account's key",
    );
    let key = key.and_then(|v| secret_ref::read(&v, dir));
    let licences = section.get("licences").map(|v| licences(&v)).unwrap_or_default();
    let shared_drives = section.get("shared_drives").map_or(Some(false), |v| v.bool());
    let mut url = |name: &'static str, default: &str| match section.get(name) {
        None => Some(default.to_owned()),
        Some(v) => base_url(&v),
    };
    let token_url = url("token_url", TOKEN_URL);
    let admin_url = url("admin_url", ADMIN_URL);
    let gmail_url = url("gmail_url", GMAIL_URL);
    let licensing_url = url("licensing_url", LICENSING_URL);
    let drive_url = url("drive_url", DRIVE_URL);
    Some(GoogleConfig {
        admin: admin?,
        key: key?,
        licences,
        shared_drives: shared_drives?,
        token_url: token_url?,
        admin_url: admin_url?,
        gmail_url: gmail_url?,
        licensing_url: licensing_url?,
        drive_url: drive_url?,
    })
}

fn licences(value: &Value<'_>) -> Vec<(String, String)> {
    let one = |v: &Value<'_>| {
        v.parsed("a product and a SKU, such as \"Google-Apps/1010020020\"", |s| {
            let (product, sku) = s.split_once('/')?;
            let word = |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            (word(product) && word(sku)).then(|| (product.to_owned(), sku.to_owned()))
        })
    };
    let mut found: Vec<(String, String)> = Vec::new();
    for licence in value.list().iter().filter_map(one) {
        if !found.contains(&licence) {
            found.push(licence);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{SystemKind, parse_tenant};
    use offboard_domain::{System, TenantId};

    /// What a system's lines mean, or all that is wrong with them.
    fn with(lines: &str) -> Result<GoogleConfig, String> {
        let text = format!("name = \"C\"\ntime_zone = \"UTC\"\n[systems.g]\nkind = \"google\"\n{lines}");
        let id = TenantId::new("c").unwrap();
        let (tenant, found) = parse_tenant(Path::new("c.toml"), &text, id, Path::new("/w"));
        if !found.problems.is_empty() {
            return Err(found.problems.iter().map(ToString::to_string).collect());
        }
        match tenant.unwrap().systems.remove(&System::new("g").unwrap()).unwrap().kind {
            SystemKind::Google(google) => Ok(google),
            other => panic!("{other:?}"),
        }
    }

    const LEAST: &str = "admin = \"offboard@c.example\"\nkey = { file = \"secrets/g.json\" }\n";

    #[test]
    fn the_least_that_is_needed() {
        let wanted = GoogleConfig {
            admin: "offboard@c.example".into(),
            key: SecretRef::File("/w/secrets/g.json".into()),
            licences: Vec::new(),
            shared_drives: false,
            token_url: TOKEN_URL.into(),
            admin_url: ADMIN_URL.into(),
            gmail_url: GMAIL_URL.into(),
            licensing_url: LICENSING_URL.into(),
            drive_url: DRIVE_URL.into(),
        };
        assert_eq!(with(LEAST), Ok(wanted));
    }

    #[test]
    fn everything_can_be_said() {
        let all = "licences = [\"Google-Apps/1010020020\", \"101031/1010310003\", \"Google-Apps/1010020020\"]\n\
                   token_url = \"https://t.example/token\"\nadmin_url = \"https://a.example/\"\n\
                   gmail_url = \"https://m.example\"\nlicensing_url = \"https://l.example\"\n\
                   shared_drives = true\ndrive_url = \"https://d.example\"\n";
        let google = with(&format!("{LEAST}{all}")).unwrap();
        let both = |p: &str, s: &str| (p.to_owned(), s.to_owned());
        assert_eq!(
            google.licences,
            [both("Google-Apps", "1010020020"), both("101031", "1010310003")]
        );
        assert_eq!(google.token_url, "https://t.example/token");
        assert_eq!(google.admin_url, "https://a.example");
        assert!(google.shared_drives);
        assert_eq!(google.drive_url, "https://d.example");
    }

    #[test]
    fn what_is_wrong_is_said() {
        let none = with("").unwrap_err();
        assert!(
            none.contains("admin: missing") && none.contains("key: missing"),
            "{none}"
        );
        let literal = LEAST.replace("{ file = \"secrets/g.json\" }", "\"hunter2\"");
        assert!(with(&literal).unwrap_err().contains("a literal secret"));
        for (lines, says) in [
            ("licences = [\"Google-Apps\"]", "a product and a SKU"),
            ("licences = [\"Google-Apps/../x\"]", "a product and a SKU"),
            ("admin_url = \"http://a.example\"", "https://"),
            ("licenses = []", "unknown key"),
        ] {
            let wrong = with(&format!("{LEAST}{lines}")).unwrap_err();
            assert!(wrong.contains(says), "{lines}: {wrong}");
        }
        for admin in ["offboard", "@c.example", "a b@c.example"] {
            let wrong = with(&LEAST.replace("offboard@c.example", admin)).unwrap_err();
            assert!(wrong.contains("an address"), "{admin}: {wrong}");
        }
    }
}
