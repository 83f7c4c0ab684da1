//! One organisation in NinjaOne, as a tenant's file describes it.

use super::reader::Section;
use super::secret_ref::{self, SecretRef};
use super::tenant::base_url;
use std::path::Path;

/// Where NinjaOne is, as whom it is asked, for which organisation, and what was
/// set up there for devices that come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NinjaConfig {
    /// The instance's address.
    pub url: String,
    /// The API application's id.
    pub client_id: String,
    /// Where its secret is.
    pub client_secret: SecretRef,
    /// The organisation; nothing of any other is touched.
    pub organization_id: u32,
    /// The tag of a device that is to be wiped.
    pub pending_wipe_tag: Option<String>,
    /// The tag of a device that the next person gets.
    pub repurpose_tag: Option<String>,
    /// The custom field that says what becomes of a device.
    pub state_field: Option<String>,
    /// The script that is run on a device that nothing else can wipe.
    pub script: Option<NinjaScriptConfig>,
}

/// A script of the library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NinjaScriptConfig {
    /// Its id.
    pub id: u32,
    /// The custom field into which it writes that it ran.
    pub field: String,
    /// As whom it runs.
    pub run_as: Option<String>,
}

/// The largest id that NinjaOne gives.
const ID_MAX: u32 = i32::MAX as u32;

pub(super) fn read(section: &mut Section<'_>, dir: &Path) -> Option<NinjaConfig> {
    const REFERENCE: &str = "{ env = \"NAME\" } or { file = \"path\" }";
    let url = section.require("url", "your instance's address, such as \"https://eu.ninjarmm.com\"");
    let url = url.and_then(|v| base_url(&v));
    let client_id = section.require("client_id", "the API application's id");
    let client_id = client_id.and_then(|v| v.filled());
    let client_secret = section.require("client_secret", REFERENCE);
    let client_secret = client_secret.and_then(|v| secret_ref::read(&v, dir));
    let organization_id = section.require("organization_id", "the organisation's number in NinjaOne");
    let organization_id = organization_id.and_then(|v| v.integer(1, ID_MAX));
    let mut text = |key| section.get(key).and_then(|v| v.filled());
    let pending_wipe_tag = text("pending_wipe_tag");
    let repurpose_tag = text("repurpose_tag");
    let state_field = text("state_field");
    if pending_wipe_tag.is_some() && pending_wipe_tag == repurpose_tag {
        section.wrong("pending_wipe_tag and repurpose_tag must differ: they say opposite things");
    }
    let script = script(section);
    if script.is_some() && script.as_ref().map(|s| &s.field) == state_field.as_ref() {
        section.wrong("script_field and state_field must differ: each would undo the other");
    }
    Some(NinjaConfig {
        url: url?,
        client_id: client_id?,
        client_secret: client_secret?,
        organization_id: organization_id?,
        pending_wipe_tag,
        repurpose_tag,
        state_field,
        script,
    })
}

/// A script and the field that proves it: both, or neither.
fn script(section: &mut Section<'_>) -> Option<NinjaScriptConfig> {
    let id = section.get("script_id");
    let field = section.get("script_field");
    let run_as = section.get("script_run_as");
    if id.is_some() != field.is_some() {
        section
            .wrong("script_id and script_field go together: without the field nothing could prove that the script ran");
    }
    if run_as.is_some() && id.is_none() {
        section.wrong("script_run_as has no use without script_id");
    }
    Some(NinjaScriptConfig {
        id: id?.integer(1, ID_MAX)?,
        field: field?.filled()?,
        run_as: run_as.and_then(|v| v.filled()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{SystemKind, parse_tenant};
    use offboard_domain::{System, TenantId};

    /// What a system's lines mean, or all that is wrong with them.
    fn with(lines: &str) -> Result<NinjaConfig, String> {
        let text = format!("name = \"C\"\ntime_zone = \"UTC\"\n[systems.rmm]\nkind = \"ninja\"\n{lines}");
        let id = TenantId::new("c").unwrap();
        let (tenant, found) = parse_tenant(Path::new("c.toml"), &text, id, Path::new("/w"));
        if !found.problems.is_empty() {
            return Err(found.problems.iter().map(ToString::to_string).collect());
        }
        let rmm = System::new("rmm").unwrap();
        match tenant.unwrap().systems.remove(&rmm).unwrap().kind {
            SystemKind::Ninja(ninja) => Ok(ninja),
            other => panic!("{other:?}"),
        }
    }

    const LEAST: &str =
        "url = \"https://eu.ninjarmm.com/\"\nclient_id = \"i\"\nclient_secret = { env = \"S\" }\norganization_id = 7\n";

    #[test]
    fn the_least_and_everything_can_be_said() {
        let least = with(LEAST).unwrap();
        assert_eq!(
            (least.url.as_str(), least.organization_id),
            ("https://eu.ninjarmm.com", 7)
        );
        assert_eq!((&least.state_field, &least.script), (&None, &None));
        let all = "pending_wipe_tag = \"Pending wipe\"\nrepurpose_tag = \"Repurpose\"\nstate_field = \"offboardingState\"\n\
                   script_id = 12\nscript_field = \"offboardScript\"\nscript_run_as = \"system\"\n";
        let all = with(&format!("{LEAST}{all}")).unwrap();
        assert_eq!(all.repurpose_tag.as_deref(), Some("Repurpose"));
        let script = NinjaScriptConfig {
            id: 12,
            field: "offboardScript".into(),
            run_as: Some("system".into()),
        };
        assert_eq!(all.script, Some(script));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let wrong = |lines: &str| with(&format!("{LEAST}{lines}")).unwrap_err();
        for key in ["url", "client_id", "client_secret", "organization_id"] {
            assert!(with("").unwrap_err().contains(&format!("{key}: missing")), "{key}");
        }
        assert!(with(&LEAST.replace("https", "http")).unwrap_err().contains("https://"));
        let literal = LEAST.replace("{ env = \"S\" }", "\"hunter2\"");
        assert!(with(&literal).unwrap_err().contains("a literal secret"));
        for (lines, says) in [
            ("script_id = 12", "go together"),
            ("script_field = \"f\"", "go together"),
            ("script_run_as = \"system\"", "no use"),
            ("pending_wipe_tag = \"a\"\nrepurpose_tag = \"a\"", "must differ"),
            (
                "state_field = \"f\"\nscript_id = 1\nscript_field = \"f\"",
                "must differ",
            ),
            ("organisation_id = 7", "unknown key"),
        ] {
            assert!(wrong(lines).contains(says), "{lines}: {}", wrong(lines));
        }
        assert!(with(&LEAST.replace("= 7", "= 0")).is_err());
    }
}
