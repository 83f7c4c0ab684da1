//! A space in Confluence Cloud, as a tenant's file describes it.

use super::reader::{Section, Value};
use super::secret_ref::{self, SecretRef};
use super::tenant::base_url;
use std::path::Path;

/// Where Confluence is, as whom it is asked, and below which page notes are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfluenceConfig {
    /// The site's address.
    pub url: String,
    /// The account's address.
    pub user: String,
    /// Where its API token is.
    pub token: SecretRef,
    /// The space, by its number.
    pub space_id: String,
    /// The page below which notes are written, by its number.
    pub parent_page_id: String,
}

/// The digits of the largest number that Confluence gives.
const ID_MAX_CHARS: usize = 18;

pub(super) fn read(section: &mut Section<'_>, dir: &Path) -> Option<ConfluenceConfig> {
    let url = section.require("url", "your site's address, such as \"https://contoso.atlassian.net\"");
    let url = url.and_then(|v| base_url(&v));
    if url.as_deref().is_some_and(|url| url.ends_with("/wiki")) {
        section.wrong("url must not end with /wiki: it is added");
    }
    let user = section.require("user", "the account's mail address");
    let user = user.and_then(|v| v.filled());
    if user.as_deref().is_some_and(|user| user.contains(':')) {
        section.wrong("user must have no ':': the token follows it");
    }
    let token = section.require("token", "{ env = \"NAME\" } or { file = \"path\" }");
    let token = token.and_then(|v| secret_ref::read(&v, dir));
    let space_id = section.require("space_id", "the space's number, in quotes");
    let space_id = space_id.and_then(|v| id(&v));
    let parent_page_id = section.require("parent_page_id", "the page's number, in quotes");
    let parent_page_id = parent_page_id.and_then(|v| id(&v));
    Some(ConfluenceConfig {
        url: url?,
        user: user?,
        token: token?,
        space_id: space_id?,
        parent_page_id: parent_page_id?,
    })
}

/// A number that is larger than most that are written without quotes.
fn id(value: &Value<'_>) -> Option<String> {
    value.parsed("a number in quotes, such as \"98306\"", |s| {
        let fine = s.len() <= ID_MAX_CHARS && s.bytes().all(|b| b.is_ascii_digit()) && !s.starts_with('0');
        (fine && !s.is_empty()).then(|| s.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{SystemKind, parse_tenant};
    use offboard_domain::{System, TenantId};

    /// What a system's lines mean, or all that is wrong with them.
    fn with(lines: &str) -> Result<ConfluenceConfig, String> {
        let text = format!("name = \"C\"\ntime_zone = \"UTC\"\n[systems.notes]\nkind = \"confluence\"\n{lines}");
        let id = TenantId::new("c").unwrap();
        let (tenant, found) = parse_tenant(Path::new("c.toml"), &text, id, Path::new("/w"));
        if !found.problems.is_empty() {
            return Err(found.problems.iter().map(ToString::to_string).collect());
        }
        let notes = System::new("notes").unwrap();
        match tenant.unwrap().systems.remove(&notes).unwrap().kind {
            SystemKind::Confluence(wiki) => Ok(wiki),
            other => panic!("{other:?}"),
        }
    }

    const ALL: &str = "url = \"https://c.atlassian.net/\"\nuser = \"offboard@c.example\"\ntoken = { env = \"T\" }\n\
                       space_id = \"98306\"\nparent_page_id = \"3146055681\"\n";

    #[test]
    fn what_is_needed_can_be_said() {
        let wiki = with(ALL).unwrap();
        assert_eq!(
            (wiki.url.as_str(), wiki.user.as_str()),
            ("https://c.atlassian.net", "offboard@c.example")
        );
        assert_eq!(
            (wiki.space_id.as_str(), wiki.parent_page_id.as_str()),
            ("98306", "3146055681")
        );
        assert_eq!(wiki.token, SecretRef::Env("T".into()));
    }

    #[test]
    fn each_key_is_asked_for_and_what_is_wrong_is_said() {
        for line in ALL.lines() {
            let key = line.split(' ').next().unwrap();
            let less: String = ALL.lines().filter(|l| *l != line).map(|l| format!("{l}\n")).collect();
            let wrong = with(&less).unwrap_err();
            assert!(wrong.contains(&format!("{key}: missing")), "{key}: {wrong}");
        }
        for (from, to, says) in [
            ("https://", "http://", "https://"),
            (".net/", ".net/wiki", "/wiki"),
            ("offboard@", "off:board@", "must have no ':'"),
            ("{ env = \"T\" }", "\"hunter2\"", "a literal secret"),
            ("\"98306\"", "98306", "in quotes"),
            ("\"98306\"", "\"DEPARTURES\"", "in quotes"),
            ("\"3146055681\"", "\"\"", "in quotes"),
            ("user", "tenant = 1\nuser", "unknown key"),
        ] {
            let wrong = with(&ALL.replace(from, to)).unwrap_err();
            assert!(wrong.contains(says) && !wrong.contains("hunter2"), "{to}: {wrong}");
        }
    }
}
