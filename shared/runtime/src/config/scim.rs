//! An application that speaks SCIM, as a tenant's file describes it.

use super::reader::Section;
use super::secret_ref::{self, SecretRef};
use super::tenant::base_url;
use std::path::{Path, PathBuf};

/// Where an application's SCIM service is, as whom it is asked, and how it
/// differs from the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScimConfig {
    /// The base address of its SCIM service, to which `/Users` is added.
    pub url: String,
    /// As whom.
    pub access: ScimAccess,
    /// Further authorities for its certificate, PEM.
    pub ca: Option<PathBuf>,
    /// By which attributes people are looked up in it: at least one.
    pub matched: Vec<ScimMatch>,
    /// What its `externalId` is.
    pub external_id: ScimExternalId,
    /// How it ends an account.
    pub profile: ScimProfile,
}

/// As whom an application is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScimAccess {
    /// With a token that it gave out.
    Token(SecretRef),
    /// With tokens that are asked for.
    Application {
        /// Where tokens are asked for.
        token_url: String,
        /// The id of who asks.
        client_id: String,
        /// Where its secret is.
        client_secret: SecretRef,
        /// What is asked for; none: whatever it may.
        scope: Option<String>,
    },
}

/// An attribute by which people are looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScimMatch {
    /// `userName`.
    UserName,
    /// `emails`.
    Emails,
    /// `externalId`.
    ExternalId,
}

/// What an application's `externalId` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScimExternalId {
    /// The id of the account in the directory.
    DirectoryId,
    /// HR's number.
    EmployeeId,
}

/// How an application ends an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScimProfile {
    /// `PATCH` of `active`.
    Patch {
        /// Whether the operation names its path.
        path: bool,
        /// Whether `active` is a text.
        text: bool,
    },
    /// `PUT` of the whole account.
    Put {
        /// Whether `active` is a text.
        text: bool,
    },
    /// `DELETE`.
    Delete,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Patch,
    Put,
    Delete,
}

pub(super) fn read(section: &mut Section<'_>, dir: &Path) -> Option<ScimConfig> {
    let url = section.require(
        "url",
        "the base address of the app's SCIM service, such as \"https://app.example/scim/v2\"",
    );
    let url = url.and_then(|v| base_url(&v));
    let access = access(section, dir);
    let ca = section.get("ca").and_then(|v| v.filled()).map(|f| dir.join(f));
    let matched = matched(section);
    let numbers = [
        ("directory_id", ScimExternalId::DirectoryId),
        ("employee_id", ScimExternalId::EmployeeId),
    ];
    let external_id = section.get("external_id");
    if external_id.is_some() && !matched.contains(&ScimMatch::ExternalId) {
        section.wrong("external_id has no use unless 'match' names \"externalId\"");
    }
    let external_id = external_id.map_or(Some(ScimExternalId::DirectoryId), |v| v.word(&numbers));
    let profile = profile(section);
    Some(ScimConfig {
        url: url?,
        access: access?,
        ca,
        matched,
        external_id: external_id?,
        profile: profile?,
    })
}

/// With a token, or as an application that asks for tokens: exactly one.
fn access(section: &mut Section<'_>, dir: &Path) -> Option<ScimAccess> {
    const REFERENCE: &str = "{ env = \"NAME\" } or { file = \"path\" }";
    let token_url = section.get("token_url");
    if let Some(url) = token_url {
        if section.get("token").is_some() {
            section.wrong("expected token, or token_url with client_id and client_secret; got both");
        }
        let url = base_url(&url);
        let client_id = section.require("client_id", "the id of who asks for tokens");
        let client_id = client_id.and_then(|v| v.filled());
        let secret = section.require("client_secret", REFERENCE);
        let scope = section.get("scope").and_then(|v| v.filled());
        return Some(ScimAccess::Application {
            token_url: url?,
            client_id: client_id?,
            client_secret: secret_ref::read(&secret?, dir)?,
            scope,
        });
    }
    let token = section.require("token", REFERENCE)?;
    secret_ref::read(&token, dir).map(ScimAccess::Token)
}

fn matched(section: &mut Section<'_>) -> Vec<ScimMatch> {
    let words = [
        ("userName", ScimMatch::UserName),
        ("emails", ScimMatch::Emails),
        ("externalId", ScimMatch::ExternalId),
    ];
    let Some(given) = section.get("match") else {
        return vec![ScimMatch::UserName];
    };
    let mut matched = Vec::new();
    for by in given.list().iter().filter_map(|v| v.word(&words)) {
        if !matched.contains(&by) {
            matched.push(by);
        }
    }
    if matched.is_empty() {
        given.wrong("'match' names no attribute by which people could be looked up");
    }
    matched
}

fn profile(section: &mut Section<'_>) -> Option<ScimProfile> {
    let ways = [("patch", Way::Patch), ("put", Way::Put), ("delete", Way::Delete)];
    let way = section.get("profile").map_or(Some(Way::Patch), |v| v.word(&ways));
    let active = section.get("active_as");
    let path = section.get("patch_path");
    match way {
        Some(Way::Delete) if active.is_some() || path.is_some() => {
            section.wrong("active_as and patch_path have no use with profile = \"delete\"");
        }
        Some(Way::Put) if path.is_some() => {
            section.wrong("patch_path has no use with profile = \"put\"");
        }
        _ => {}
    }
    let text = active.map_or(Some(false), |v| v.word(&[("boolean", false), ("string", true)]))?;
    let path = path.map_or(Some(true), |v| v.bool())?;
    Some(match way? {
        Way::Patch => ScimProfile::Patch { path, text },
        Way::Put => ScimProfile::Put { text },
        Way::Delete => ScimProfile::Delete,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{SystemKind, parse_tenant};
    use offboard_domain::{System, TenantId};

    /// What a system's lines mean, or all that is wrong with them.
    fn with(lines: &str) -> Result<ScimConfig, String> {
        let text = format!("name = \"C\"\ntime_zone = \"UTC\"\n[systems.app]\nkind = \"scim\"\n{lines}");
        let id = TenantId::new("c").unwrap();
        let (tenant, found) = parse_tenant(Path::new("c.toml"), &text, id, Path::new("/w"));
        if !found.problems.is_empty() {
            return Err(found.problems.iter().map(ToString::to_string).collect());
        }
        match tenant
            .unwrap()
            .systems
            .remove(&System::new("app").unwrap())
            .unwrap()
            .kind
        {
            SystemKind::Scim(scim) => Ok(scim),
            other => panic!("{other:?}"),
        }
    }

    const LEAST: &str = "url = \"https://app.example/scim/v2/\"\ntoken = { env = \"T\" }\n";

    #[test]
    fn the_least_that_is_needed() {
        let wanted = ScimConfig {
            url: "https://app.example/scim/v2".into(),
            access: ScimAccess::Token(SecretRef::Env("T".into())),
            ca: None,
            matched: vec![ScimMatch::UserName],
            external_id: ScimExternalId::DirectoryId,
            profile: ScimProfile::Patch {
                path: true,
                text: false,
            },
        };
        assert_eq!(with(LEAST), Ok(wanted));
    }

    #[test]
    fn everything_can_be_said() {
        let all = "url = \"https://app.example\"\ntoken_url = \"https://id.example/token\"\nclient_id = \"i\"\n\
                   client_secret = { file = \"s\" }\nscope = \"users\"\nca = \"ca.pem\"\n\
                   match = [\"externalId\", \"emails\"]\nexternal_id = \"employee_id\"\nprofile = \"put\"\nactive_as = \"string\"\n";
        let scim = with(all).unwrap();
        assert_eq!(
            scim.access,
            ScimAccess::Application {
                token_url: "https://id.example/token".into(),
                client_id: "i".into(),
                client_secret: SecretRef::File("/w/s".into()),
                scope: Some("users".into()),
            }
        );
        assert_eq!(scim.ca, Some("/w/ca.pem".into()));
        assert_eq!(scim.matched, [ScimMatch::ExternalId, ScimMatch::Emails]);
        assert_eq!(scim.external_id, ScimExternalId::EmployeeId);
        assert_eq!(scim.profile, ScimProfile::Put { text: true });
        let profile = |lines: &str| with(&format!("{LEAST}{lines}")).unwrap().profile;
        assert_eq!(profile("profile = \"delete\""), ScimProfile::Delete);
        assert_eq!(
            profile("patch_path = false\nactive_as = \"string\""),
            ScimProfile::Patch {
                path: false,
                text: true
            }
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        let wrong = |lines: &str| with(&format!("{LEAST}{lines}")).unwrap_err();
        assert!(with("").unwrap_err().contains("url: missing"));
        assert!(with("").unwrap_err().contains("token: missing"));
        assert!(with(&LEAST.replace("https", "http")).unwrap_err().contains("https://"));
        let literal = LEAST.replace("{ env = \"T\" }", "\"hunter2\"");
        assert!(with(&literal).unwrap_err().contains("a literal secret"));
        for (lines, says) in [
            (
                "token_url = \"https://x.example\"\nclient_id = \"i\"\nclient_secret = { env = \"S\" }",
                "got both",
            ),
            ("match = []", "names no attribute"),
            ("match = [\"username\"]", "userName"),
            ("external_id = \"employee_id\"", "has no use"),
            ("profile = \"delete\"\nactive_as = \"string\"", "no use"),
            ("profile = \"put\"\npatch_path = false", "no use"),
            ("profile = \"pach\"", "patch"),
            ("tokn = 1", "unknown key"),
        ] {
            assert!(wrong(lines).contains(says), "{lines}: {}", wrong(lines));
        }
    }
}
