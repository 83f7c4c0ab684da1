//! `offboard doctor`: says before the first departure what would fail in it, by
//! asking for tokens and reading alone.

use super::NinjaConnector;
use super::read::{number, text};
use super::wire::{About, Ask};
use crate::path::Path;
use crate::{Call, Finding, Severity};
use offboard_domain::assignment::CLOCK_MARGIN_MS;
use offboard_domain::{Fault, FaultClass};
use serde_json::Value;

/// A fault as a finding: its detail says what to do.
fn failed(what: &str, fault: Fault) -> Finding {
    let status = fault.status.map(|s| format!(" (HTTP {s})")).unwrap_or_default();
    Finding::new(
        Severity::Problem,
        format!("{what}: {} fails{status}", fault.attempted),
        fault.detail,
    )
}

fn fine(what: impl Into<String>) -> Finding {
    Finding::new(Severity::Fine, what, "")
}

pub(super) async fn check(ninja: &NinjaConnector, call: &mut Call) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !scopes(ninja, call, &mut findings).await {
        return findings;
    }
    match ninja.organization_is_there(call).await {
        Ok(ahead_ms) => {
            findings.push(fine("the organisation is there"));
            findings.extend(clock(ahead_ms));
        }
        Err(fault) => {
            findings.push(failed("the organisation cannot be read", fault));
            return findings;
        }
    }
    tags(ninja, call, &mut findings).await;
    fields(ninja, call, &mut findings).await;
    script(ninja, call, &mut findings).await;
    findings
}

/// Each scope by itself, the least first: whether a token of it is given.
async fn scopes(ninja: &NinjaConnector, call: &mut Call, findings: &mut Vec<Finding>) -> bool {
    let given = async |scope: &str| ninja.wire.tokens_for(scope).get(call.deadline(), None).await;
    match given("monitoring").await {
        Ok(_) => findings.push(fine(
            "NinjaOne accepts the credential, and gives it the scope monitoring",
        )),
        Err(fault) => {
            let mut finding = failed("no token of the scope monitoring is given", fault);
            finding.how_to_mend.push_str(
                "; a 404 means that `url` is another instance's address (eu, us2, oc, ca, app), else give the API application the scope Monitoring and the grant type client credentials",
            );
            findings.push(finding);
            return false;
        }
    }
    match given("management").await {
        Ok(_) => findings.push(fine("it gives the scope management")),
        Err(fault) => {
            let mut finding = failed(
                "no token of the scope management is given, so nothing can be changed",
                fault,
            );
            "give the API application the scope Management".clone_into(&mut finding.how_to_mend);
            findings.push(finding);
            return false;
        }
    }
    match given("control").await {
        Ok(_) => findings.push(Finding::new(
            Severity::Warning,
            "it gives the scope control as well, which opens devices to remote access and which nothing here needs",
            "take the scope Control off the API application",
        )),
        Err(fault) if fault.class == FaultClass::Denied => {
            findings.push(fine("it does not give the scope control, which is not needed"));
        }
        Err(fault) => findings.push(failed("whether the scope control is given cannot be seen", fault)),
    }
    true
}

fn clock(ahead_ms: Option<i64>) -> Option<Finding> {
    let ahead_ms = ahead_ms?;
    Some(if ahead_ms.abs() > CLOCK_MARGIN_MS {
        Finding::new(
            Severity::Problem,
            format!(
                "this machine's clock differs from NinjaOne's by {} seconds",
                ahead_ms.abs() / 1_000
            ),
            "set this machine's clock (timedatectl set-ntp true)",
        )
    } else {
        fine("this machine's clock agrees with NinjaOne's")
    })
}

async fn tags(ninja: &NinjaConnector, call: &mut Call, findings: &mut Vec<Finding>) {
    let wanted: Vec<&String> = [&ninja.tags.pending_wipe, &ninja.tags.repurpose]
        .into_iter()
        .flatten()
        .collect();
    if wanted.is_empty() {
        return;
    }
    let there = match ninja.all_tags(call).await {
        Ok(there) => there,
        Err(fault) => return findings.push(failed("the tags cannot be read", fault)),
    };
    for name in wanted {
        findings.push(match there.get(name).map(std::collections::BTreeSet::len) {
            Some(1) => fine(format!("the tag '{name}' is there")),
            Some(_) => Finding::new(
                Severity::Problem,
                format!("several tags are called '{name}'"),
                "merge them in NinjaOne (Administration, Tags)",
            ),
            None => Finding::new(
                Severity::Problem,
                format!("there is no tag '{name}'"),
                "make it in NinjaOne (Administration, Tags), or correct the name here: it must agree to the letter",
            ),
        });
    }
}

async fn fields(ninja: &NinjaConnector, call: &mut Call, findings: &mut Vec<Finding>) {
    let of_script = ninja.script.as_ref().map(|s| &s.field);
    let wanted: Vec<&String> = [ninja.state_field.as_ref(), of_script].into_iter().flatten().collect();
    if wanted.is_empty() {
        return;
    }
    let ask = Ask::get(Path::at("v2").then("device-custom-fields"), About::List);
    let there = match ninja.wire.send(call, &ask).await.map(|reply| reply.body) {
        Ok(Value::Array(there)) => there,
        Ok(_) => {
            return findings.push(failed(
                "the custom fields cannot be read",
                ninja.misshapen(&ask, "a list"),
            ));
        }
        Err(fault) => return findings.push(failed("the custom fields cannot be read", fault)),
    };
    for name in wanted {
        let found = there.iter().find(|f| text(&f["name"]).as_ref() == Some(name));
        findings.push(match found {
            None => Finding::new(
                Severity::Problem,
                format!("there is no custom field '{name}' of devices"),
                "make a text field of that name in NinjaOne (Administration, Devices, Global or Role Custom Fields); the name, not the label",
            ),
            Some(field) if field["apiPermission"].as_str().is_some_and(|p| p != "READ_WRITE") => Finding::new(
                Severity::Problem,
                format!("the custom field '{name}' may not be written through the API"),
                "set its API permission to Read/Write",
            ),
            Some(field) if field["type"].as_str().is_some_and(|t| t != "TEXT") => Finding::new(
                Severity::Problem,
                format!("the custom field '{name}' is no text field"),
                "make a field of the type Text for it",
            ),
            Some(_) => fine(format!("the custom field '{name}' is there")),
        });
    }
}

async fn script(ninja: &NinjaConnector, call: &mut Call, findings: &mut Vec<Finding>) {
    let Some(wanted) = &ninja.script else { return };
    let ask = Ask::get(Path::at("v2").then("automation").then("scripts"), About::List);
    let there = match ninja.wire.send(call, &ask).await.map(|reply| reply.body) {
        Ok(Value::Array(there)) => there,
        Ok(_) => return findings.push(failed("the scripts cannot be read", ninja.misshapen(&ask, "a list"))),
        Err(fault) => return findings.push(failed("the scripts cannot be read", fault)),
    };
    findings.push(if there.iter().any(|s| number(&s["id"]) == Some(wanted.id)) {
        fine("the script is in the library")
    } else {
        Finding::new(
            Severity::Problem,
            format!("there is no script {} in the library", wanted.id),
            "set script_id to the number in the address that the script has in NinjaOne (Administration, Library, Automation)",
        )
    });
}
