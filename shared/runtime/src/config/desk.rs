//! One client in an MSP's desk (HaloPSA, ConnectWise PSA, Autotask PSA), as a
//! tenant's file describes it.

use super::reader::{Section, Value};
use super::secret_ref::{self, SecretRef};
use super::tenant::base_url;
use std::path::Path;

/// One client in HaloPSA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HaloConfig {
    /// The instance's address.
    pub url: String,
    /// Where tokens are asked for, if not there.
    pub auth_url: Option<String>,
    /// The instance's name, which hosted ones ask for with a token.
    pub instance: Option<String>,
    /// The API application's id.
    pub application_id: String,
    /// Where its secret is.
    pub application_secret: SecretRef,
    /// What it asks for.
    pub scope: String,
    /// The client; nothing of any other is touched.
    pub client_id: u32,
    /// The site of a new ticket.
    pub site_id: Option<u32>,
    /// The type of a new ticket.
    pub ticket_type_id: u32,
    /// The priority of a new ticket.
    pub priority_id: Option<u32>,
    /// The priority of a departure that is immediate.
    pub urgent_priority_id: Option<u32>,
    /// The outcome of a note.
    pub note_outcome_id: u32,
    /// The status of a closed ticket.
    pub closed_status_id: u32,
    /// How the reference of a request begins that came from a ticket.
    pub adopt_prefix: Option<String>,
}

/// One company in ConnectWise PSA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectWiseConfig {
    /// The server's address.
    pub url: String,
    /// The MSP's own name at sign-in.
    pub login_company: String,
    /// The API member's public key.
    pub public_key: String,
    /// Where its private key is.
    pub private_key: SecretRef,
    /// The integration's id.
    pub integration_id: String,
    /// The company; nothing of any other is touched.
    pub company_id: u32,
    /// The board of a new ticket.
    pub board_id: u32,
    /// The priority of a new ticket.
    pub priority_id: Option<u32>,
    /// The priority of a departure that is immediate.
    pub urgent_priority_id: Option<u32>,
    /// The board's status of a closed ticket.
    pub closed_status_id: u32,
    /// How the reference of a request begins that came from a ticket.
    pub adopt_prefix: Option<String>,
}

/// One company in Autotask PSA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AutotaskConfig {
    /// Where the zone is asked for.
    pub url: String,
    /// The API user.
    pub user: String,
    /// Where its secret is.
    pub secret: SecretRef,
    /// Where the integration's tracking identifier is.
    pub integration_code: SecretRef,
    /// The company; nothing of any other is touched.
    pub company_id: u32,
    /// The queue of a new ticket.
    pub queue_id: u32,
    /// The status of a new ticket.
    pub new_status_id: u32,
    /// The status of a closed ticket.
    pub closed_status_id: u32,
    /// The priority of a new ticket.
    pub priority_id: u32,
    /// The priority of a departure that is immediate.
    pub urgent_priority_id: Option<u32>,
    /// What sort of note a note is.
    pub note_type_id: u32,
    /// To whom notes and files are shown.
    pub publish_id: u32,
    /// How the reference of a request begins that came from a ticket.
    pub adopt_prefix: Option<String>,
}

/// The largest id that a desk gives.
const ID_MAX: u32 = i32::MAX as u32;
/// Internal note, as HaloPSA comes.
const HALO_INTERNAL_NOTE: u32 = 7;
/// Where every zone of Autotask is asked for.
const AUTOTASK_URL: &str = "https://webservices.autotask.net";
/// New and complete, as Autotask comes.
const AUTOTASK_NEW: u32 = 1;
const AUTOTASK_COMPLETE: u32 = 5;
/// For internal users alone, as Autotask comes.
const AUTOTASK_INTERNAL: u32 = 2;

const REFERENCE: &str = "{ env = \"NAME\" } or { file = \"path\" }";

/// A desk's keys, read one by one so that all that is wrong is said at once.
struct Keys<'s, 'd> {
    section: &'s mut Section<'d>,
    dir: &'s Path,
}

impl Keys<'_, '_> {
    fn address(&mut self, key: &'static str, what: &str) -> Option<String> {
        self.section.require(key, what).and_then(|v| base_url(&v))
    }

    fn text(&mut self, key: &'static str, what: &str) -> Option<String> {
        self.section.require(key, what).and_then(|v| v.filled())
    }

    fn maybe(&mut self, key: &'static str) -> Option<String> {
        self.section.get(key).and_then(|v| v.filled())
    }

    fn secret(&mut self, key: &'static str) -> Option<SecretRef> {
        let dir = self.dir;
        self.section
            .require(key, REFERENCE)
            .and_then(|v| secret_ref::read(&v, dir))
    }

    fn number(&mut self, key: &'static str, what: &str) -> Option<u32> {
        self.section.require(key, what).and_then(|v| v.integer(1, ID_MAX))
    }

    fn maybe_number(&mut self, key: &'static str) -> Option<u32> {
        self.section.get(key).and_then(|v| v.integer(1, ID_MAX))
    }

    /// A prefix without which any number would be a ticket's is none.
    fn prefix(&mut self) -> Option<String> {
        let prefix = self.maybe("adopt_prefix")?;
        if prefix.ends_with(|c: char| c.is_ascii_digit()) {
            self.section
                .wrong("adopt_prefix must not end with a digit: a ticket's number follows it");
            return None;
        }
        Some(prefix)
    }
}

/// A status that is of new tickets closes none.
fn differ(keys: &mut Keys<'_, '_>, new: u32, closed: Option<u32>) {
    if closed == Some(new) {
        keys.section
            .wrong("new_status_id and closed_status_id must differ: every ticket would be closed from the beginning");
    }
}

pub(super) fn halo(section: &mut Section<'_>, dir: &Path) -> Option<HaloConfig> {
    let mut keys = Keys { section, dir };
    let url = keys.address("url", "your instance's address, such as \"https://msp.halopsa.com\"");
    let auth_url = keys.section.get("auth_url").and_then(|v: Value<'_>| base_url(&v));
    let instance = keys.maybe("instance");
    let application_id = keys.text("application_id", "the API application's id");
    let application_secret = keys.secret("application_secret");
    let scope = keys.maybe("scope").unwrap_or_else(|| "all".to_owned());
    let client_id = keys.number("client_id", "the client's number in HaloPSA");
    let site_id = keys.maybe_number("site_id");
    let ticket_type_id = keys.number("ticket_type_id", "the number of the tickets' type");
    let priority_id = keys.maybe_number("priority_id");
    let urgent_priority_id = keys.maybe_number("urgent_priority_id");
    let note_outcome_id = keys.maybe_number("note_outcome_id").unwrap_or(HALO_INTERNAL_NOTE);
    let closed_status_id = keys.number("closed_status_id", "the number of the status of closed tickets");
    let adopt_prefix = keys.prefix();
    Some(HaloConfig {
        url: url?,
        auth_url,
        instance,
        application_id: application_id?,
        application_secret: application_secret?,
        scope,
        client_id: client_id?,
        site_id,
        ticket_type_id: ticket_type_id?,
        priority_id,
        urgent_priority_id,
        note_outcome_id,
        closed_status_id: closed_status_id?,
        adopt_prefix,
    })
}

pub(super) fn connectwise(section: &mut Section<'_>, dir: &Path) -> Option<ConnectWiseConfig> {
    let mut keys = Keys { section, dir };
    let url = keys.address(
        "url",
        "your server's address, such as \"https://api-eu.myconnectwise.net\"",
    );
    let login_company = keys.text("login_company", "your own company's name at sign-in");
    let public_key = keys.text("public_key", "the API member's public key");
    let private_key = keys.secret("private_key");
    let integration_id = keys.text("integration_id", "the integration's Client ID");
    let company_id = keys.number("company_id", "the company's number in ConnectWise");
    let board_id = keys.number("board_id", "the number of the tickets' board");
    let priority_id = keys.maybe_number("priority_id");
    let urgent_priority_id = keys.maybe_number("urgent_priority_id");
    let closed_status_id = keys.number("closed_status_id", "the number of the board's status of closed tickets");
    let adopt_prefix = keys.prefix();
    let parts = [&login_company, &public_key];
    if parts.iter().any(|p| p.as_ref().is_some_and(|p| p.contains([':', '+']))) {
        keys.section
            .wrong("login_company and public_key must have no ':' or '+': they are joined by these");
    }
    Some(ConnectWiseConfig {
        url: url?,
        login_company: login_company?,
        public_key: public_key?,
        private_key: private_key?,
        integration_id: integration_id?,
        company_id: company_id?,
        board_id: board_id?,
        priority_id,
        urgent_priority_id,
        closed_status_id: closed_status_id?,
        adopt_prefix,
    })
}

pub(super) fn autotask(section: &mut Section<'_>, dir: &Path) -> Option<AutotaskConfig> {
    let mut keys = Keys { section, dir };
    let url = match keys.section.get("url") {
        Some(v) => base_url(&v),
        None => Some(AUTOTASK_URL.to_owned()),
    };
    let user = keys.text("user", "the API user's name (its key)");
    let secret = keys.secret("secret");
    let integration_code = keys.secret("integration_code");
    let company_id = keys.number("company_id", "the company's number in Autotask");
    let queue_id = keys.number("queue_id", "the number of the tickets' queue");
    let new_status_id = keys.maybe_number("new_status_id").unwrap_or(AUTOTASK_NEW);
    let closed_status_id = keys.maybe_number("closed_status_id").or(Some(AUTOTASK_COMPLETE));
    let priority_id = keys.number("priority_id", "the number of the tickets' priority");
    let urgent_priority_id = keys.maybe_number("urgent_priority_id");
    let note_type_id = keys.number("note_type_id", "the number of the notes' type");
    let publish_id = keys.maybe_number("publish_id").unwrap_or(AUTOTASK_INTERNAL);
    let adopt_prefix = keys.prefix();
    differ(&mut keys, new_status_id, closed_status_id);
    Some(AutotaskConfig {
        url: url?,
        user: user?,
        secret: secret?,
        integration_code: integration_code?,
        company_id: company_id?,
        queue_id: queue_id?,
        new_status_id,
        closed_status_id: closed_status_id?,
        priority_id: priority_id?,
        urgent_priority_id,
        note_type_id: note_type_id?,
        publish_id,
        adopt_prefix,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{SystemKind, parse_tenant};
    use offboard_domain::{System, TenantId};

    /// What a system's lines mean, or all that is wrong with them.
    fn with(kind: &str, lines: &str) -> Result<SystemKind, String> {
        let text = format!("name = \"C\"\ntime_zone = \"UTC\"\n[systems.psa]\nkind = \"{kind}\"\n{lines}");
        let id = TenantId::new("c").unwrap();
        let (tenant, found) = parse_tenant(Path::new("c.toml"), &text, id, Path::new("/w"));
        if !found.problems.is_empty() {
            return Err(found.problems.iter().map(ToString::to_string).collect());
        }
        let psa = System::new("psa").unwrap();
        Ok(tenant.unwrap().systems.remove(&psa).unwrap().kind)
    }

    const HALO: &str = "url = \"https://msp.halopsa.com/\"\napplication_id = \"i\"\napplication_secret = { env = \"S\" }\n\
                        client_id = 12\nticket_type_id = 21\nclosed_status_id = 9\n";
    const CONNECTWISE: &str = "url = \"https://api-eu.myconnectwise.net\"\nlogin_company = \"msp\"\npublic_key = \"p\"\n\
                               private_key = { env = \"S\" }\nintegration_id = \"g\"\ncompany_id = 12\nboard_id = 21\n\
                               closed_status_id = 9\n";
    const AUTOTASK: &str = "user = \"u@msp.example\"\nsecret = { env = \"S\" }\nintegration_code = { env = \"C\" }\n\
                            company_id = 12\nqueue_id = 21\npriority_id = 3\nnote_type_id = 1\n";

    const ALL: &[(&str, &str)] = &[("halo", HALO), ("connectwise", CONNECTWISE), ("autotask", AUTOTASK)];

    #[test]
    fn the_least_and_everything_can_be_said() {
        let SystemKind::Halo(halo) = with("halo", HALO).unwrap() else {
            panic!("another")
        };
        assert_eq!(
            (halo.url.as_str(), halo.scope.as_str()),
            ("https://msp.halopsa.com", "all")
        );
        assert_eq!(
            (halo.note_outcome_id, halo.instance, halo.adopt_prefix),
            (7, None, None)
        );
        let more = "instance = \"msp\"\nscope = \"edit:tickets\"\nsite_id = 3\npriority_id = 3\nurgent_priority_id = 1\n\
                    note_outcome_id = 8\nadopt_prefix = \"HALO-\"\nauth_url = \"https://auth.example\"\n";
        let SystemKind::Halo(halo) = with("halo", &format!("{HALO}{more}")).unwrap() else {
            panic!("another")
        };
        assert_eq!((halo.note_outcome_id, halo.site_id), (8, Some(3)));
        assert_eq!(halo.adopt_prefix.as_deref(), Some("HALO-"));
        let SystemKind::ConnectWise(psa) = with("connectwise", CONNECTWISE).unwrap() else {
            panic!("another")
        };
        assert_eq!((psa.company_id, psa.board_id, psa.closed_status_id), (12, 21, 9));
        let SystemKind::Autotask(psa) = with("autotask", AUTOTASK).unwrap() else {
            panic!("another")
        };
        assert_eq!(psa.url, AUTOTASK_URL);
        assert_eq!((psa.new_status_id, psa.closed_status_id, psa.publish_id), (1, 5, 2));
    }

    #[test]
    fn each_key_that_is_needed_is_asked_for() {
        for (kind, lines) in ALL {
            for line in lines.lines().filter(|l| !l.starts_with(' ')) {
                let key = line.trim().split(' ').next().unwrap();
                let less: String = lines.lines().filter(|l| *l != line).map(|l| format!("{l}\n")).collect();
                let wrong = with(kind, &less).unwrap_err();
                assert!(wrong.contains(&format!("{key}: missing")), "{kind} {key}: {wrong}");
            }
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (kind, lines) in ALL {
            let unknown = with(kind, &format!("{lines}tenant = \"x\"\n")).unwrap_err();
            assert!(unknown.contains("unknown key"), "{kind}: {unknown}");
            let literal = with(kind, &lines.replace("{ env = \"S\" }", "\"hunter2\"")).unwrap_err();
            assert!(
                literal.contains("a literal secret") && !literal.contains("hunter2"),
                "{literal}"
            );
            let none = with(kind, &lines.replace("= 12", "= 0")).unwrap_err();
            assert!(none.contains("_id"), "{none}");
            for prefix in ["4", "T-0"] {
                let wrong = with(kind, &format!("{lines}adopt_prefix = \"{prefix}\"\n")).unwrap_err();
                assert!(wrong.contains("adopt_prefix"), "{wrong}");
            }
        }
        for (kind, lines) in &ALL[..2] {
            let wrong = with(kind, &lines.replace("https://", "http://")).unwrap_err();
            assert!(wrong.contains("https://"), "{wrong}");
        }
        let joined = with("connectwise", &CONNECTWISE.replace("\"msp\"", "\"msp+x\"")).unwrap_err();
        assert!(joined.contains("joined"), "{joined}");
        let same = with("autotask", &format!("{AUTOTASK}new_status_id = 5\n")).unwrap_err();
        assert!(same.contains("must differ"), "{same}");
    }
}
