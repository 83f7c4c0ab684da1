//! `offboard doctor`: says before the first departure what would fail in it.
//! What an application says of itself (RFC 7644 section 4) is compared with the
//! profile; what it cannot say is tried, by reading alone.

use super::ScimConnector;
use super::settings::Profile;
use super::wire::{About, Ask};
use crate::path::Path;
use crate::{Call, Finding, Severity};
use offboard_domain::assignment::CLOCK_MARGIN_MS;
use offboard_domain::{Fault, FaultClass};
use serde_json::Value;

/// Nobody's name: whoever is found by it was not asked for.
const NOBODY: &str = "offboard-doctor-nobody@invalid";

/// The status of a token that is accepted and may not read this.
const FORBIDDEN: u16 = 403;

/// The schema of accounts (RFC 7643 section 4.1).
const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

/// A fault as a finding: its detail says what to do.
fn failed(what: &str, fault: Fault) -> Finding {
    let status = fault.status.map(|s| format!(" (HTTP {s})")).unwrap_or_default();
    Finding::new(
        Severity::Problem,
        format!("{what}: {} fails{status}", fault.attempted),
        fault.detail,
    )
}

pub(super) async fn check(app: &ScimConnector, call: &mut Call) -> Vec<Finding> {
    let mut findings = Vec::new();
    let about = match service(app, call, &mut findings).await {
        Ok(about) => about,
        Err(fault) => {
            findings.push(failed("the app cannot be used", fault));
            return findings;
        }
    };
    if !searches(app, call, &mut findings).await {
        return findings;
    }
    if let Some(about) = about {
        offers(app, &about, &mut findings);
    }
    shows_active(app, call, &mut findings).await;
    findings
}

/// What the service says of itself; none where it does not.
async fn service(app: &ScimConnector, call: &mut Call, findings: &mut Vec<Finding>) -> Result<Option<Value>, Fault> {
    let ask = Ask::get(Path::at("ServiceProviderConfig"), About::Service);
    match app.wire.send(call, &ask).await {
        Ok(reply) => {
            clock(reply.ahead_ms, findings);
            Ok(Some(reply.body))
        }
        // Not every app has it, and some show it to nobody, or not with this token (403): the
        // search tells. A token that is refused (401) is refused there, too.
        Err(fault)
            if fault.status == Some(FORBIDDEN) || fault.status.is_some() && fault.class != FaultClass::Denied =>
        {
            findings.push(Finding::new(
                Severity::Warning,
                "the app does not say what it can do (ServiceProviderConfig)",
                "nothing need be done if the app's own pages say that the configured profile is right",
            ));
            Ok(None)
        }
        Err(fault) => Err(fault),
    }
}

fn clock(ahead_ms: Option<i64>, findings: &mut Vec<Finding>) {
    findings.push(match ahead_ms {
        None => return,
        Some(ahead_ms) if ahead_ms.abs() > CLOCK_MARGIN_MS => Finding::new(
            Severity::Problem,
            format!(
                "this machine's clock differs from the app's by {} seconds",
                ahead_ms.abs() / 1_000
            ),
            "set this machine's clock (timedatectl set-ntp true); if it is right, the app's is wrong: tell its vendor",
        ),
        Some(_) => Finding::new(Severity::Fine, "this machine's clock agrees with the app's", ""),
    });
}

/// Whether the token may search, by each attribute that people are found by.
async fn searches(app: &ScimConnector, call: &mut Call, findings: &mut Vec<Finding>) -> bool {
    let before = findings.len();
    for by in &app.matched {
        let word = by.word();
        match app.search(call, *by, NOBODY).await {
            Ok(found) if found.is_empty() => {}
            Ok(_) => findings.push(Finding::new(
                Severity::Problem,
                format!("the app finds somebody by a {word} that nobody has: it ignores the filter"),
                format!("take \"{word}\" out of `match` for this system if another attribute suffices; else every look-up lists all users, which small apps alone can bear"),
            )),
            Err(fault) if fault.class == FaultClass::Denied => {
                findings.push(failed("the app does not let the token search users", fault));
                return false;
            }
            Err(fault) => findings.push(failed(&format!("people cannot be looked up by {word}"), fault)),
        }
    }
    if findings.len() == before {
        findings.push(Finding::new(
            Severity::Fine,
            "the app accepts the token, and lets it look people up",
            "",
        ));
    }
    true
}

/// Whether what the service says of itself fits the profile.
fn offers(app: &ScimConnector, about: &Value, findings: &mut Vec<Finding>) {
    let lacks = |what: &str| about[what]["supported"].as_bool() == Some(false);
    if lacks("patch") && matches!(app.profile, Profile::Patch { .. }) {
        findings.push(Finding::new(
            Severity::Problem,
            "the app says that it takes no PATCH",
            "set profile = \"put\" for this system in the tenant's configuration",
        ));
    }
    if lacks("filter") {
        findings.push(Finding::new(
            Severity::Problem,
            "the app says that it cannot filter",
            "every look-up lists all users, which small apps alone can bear; ask the vendor for filtering by userName",
        ));
    }
    if matches!(app.profile, Profile::Put { .. }) && about["patch"]["supported"].as_bool() == Some(true) {
        findings.push(Finding::new(
            Severity::Warning,
            "the app says that it takes PATCH, which changes `active` alone",
            "set profile = \"patch\" for this system, unless you know that its PATCH does not work",
        ));
    }
}

/// Whether accounts have an `active` at all.
async fn shows_active(app: &ScimConnector, call: &mut Call, findings: &mut Vec<Finding>) {
    let ask = Ask::get(Path::at("Schemas").id(USER), About::Service);
    let Ok(reply) = app.wire.send(call, &ask).await else {
        return;
    };
    let Some(attributes) = reply.body["attributes"].as_array() else {
        return;
    };
    let has = attributes.iter().any(|a| a["name"].as_str() == Some("active"));
    match (app.profile, has) {
        (Profile::Delete, true) => findings.push(Finding::new(
            Severity::Warning,
            "the app's accounts have `active`, and it is configured to delete them",
            "set profile = \"patch\" for this system: what is deactivated can be brought back",
        )),
        (Profile::Patch { .. } | Profile::Put { .. }, false) => findings.push(Finding::new(
            Severity::Problem,
            "the app's accounts have no `active`, so none can be deactivated",
            "set profile = \"delete\" for this system; each deletion then asks for an approval of its own",
        )),
        _ => {}
    }
}
